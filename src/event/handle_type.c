/* Handle and TimerHandle: C types that subclass asyncio's, so that isinstance and the standard library's own
 * use of their slots hold.
 *
 * The base classes keep their fields in __slots__, whose offsets are read from the member descriptors when
 * the module is loaded. HandleExtra follows them: up to two arguments inline (a longer call has a tuple
 * in the slot _args) and the heap's entry. Traverse, clear and dealloc are written out because the base
 * class's subtype_* functions would call ours again. Their methods and attributes are in handle_methods.c,
 * running them in handle_run.c. */
#include "event/handle.h"

#include <limits.h>

tc_handle_layout tc_handle_slots;

int
tc_handle_set_when(PyObject *handle, double when)
{
    return (SLOT(handle, when) = PyFloat_FromDouble(when)) != NULL ? 0 : -1;
}

/* The heap's reference becomes the ready queue's. */
static void
handle_fire(tc_timer *timer)
{
    PyObject *handle = tc_handle_of_timer(timer);
    LoopCore *core = EXTRA(handle)->core;
    if (tc_ready_push(&core->ready, handle) < 0) {
        PyErr_WriteUnraisable((PyObject *)core);
    }
}

PyObject *
tc_handle_of_timer(tc_timer *timer)
{
    if (timer->fire != handle_fire) {
        return NULL;
    }
    return (PyObject *)((char *)tc_container_of(timer, HandleExtra, timer) - tc_handle_slots.extra);
}

bool
tc_core_forget_timer(LoopCore *core, PyObject *handle)
{
    if (Py_TYPE(handle) != core->state->timer_handle_type || !tc_timer_pending(tc_handle_timer(handle)) ||
        EXTRA(handle)->core != core) {
        return false;
    }
    tc_heap_remove(&core->timers, tc_handle_timer(handle));
    Py_DECREF(handle); /* the heap's reference; the caller has one */
    return true;
}

void
tc_handle_clear_args(PyObject *handle)
{
    HandleExtra *extra = EXTRA(handle);
    int nargs = extra->nargs;
    extra->nargs = 0;
    if (nargs < 0) {
        Py_CLEAR(SLOT(handle, args));
    }
    if (nargs >= 1) {
        Py_CLEAR(extra->arg0);
    }
    if (nargs >= 2) {
        Py_CLEAR(extra->arg1);
    }
}

static int
handle_set_args(PyObject *handle, PyObject *const *args, Py_ssize_t nargs)
{
    HandleExtra *extra = EXTRA(handle);
    if (nargs > 2) {
        PyObject *tuple = PyTuple_New(nargs);
        if (tuple == NULL) {
            return -1;
        }
        for (Py_ssize_t i = 0; i < nargs; i++) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
        }
        SLOT(handle, args) = tuple;
        extra->nargs = -1;
        return 0;
    }
    extra->nargs = (int)nargs;
    if (nargs >= 1) {
        extra->arg0 = Py_NewRef(args[0]);
    }
    if (nargs == 2) {
        extra->arg1 = Py_NewRef(args[1]);
    }
    return 0;
}

/* The stack of the caller, as debug mode shows it. */
static int
handle_set_source(LoopCore *core, PyObject *handle)
{
    PyFrameObject *frame = PyEval_GetFrame();
    PyObject *stack = frame == NULL ? Py_NewRef(Py_None)
                                    : PyObject_CallOneArg(core->state->extract_stack, (PyObject *)frame);
    if (stack == NULL) {
        return -1;
    }
    SLOT(handle, source_traceback) = stack;
    return 0;
}

PyObject *
tc_handle_new(LoopCore *core, bool timer, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
              PyObject *context)
{
    tc_state *state = core->state;
    PyObject *handle;
    tc_handle_freelist *spare = timer ? &state->timer_handles : &state->handles;
    if (spare->size > 0) {
        handle = spare->items[--spare->size];
        _Py_NewReference(handle);
    }
    else {
        handle = PyType_GenericAlloc(timer ? state->timer_handle_type : state->handle_type, 0);
        if (handle == NULL) {
            return NULL;
        }
        PyObject_GC_UnTrack(handle);
    }
    HandleExtra *extra = EXTRA(handle);
    extra->nargs = 0;
    extra->state = state;
    extra->core = core;
    extra->timer.place = 0;
    extra->timer.fire = handle_fire;
    SLOT(handle, callback) = Py_NewRef(callback);
    SLOT(handle, loop) = Py_NewRef(tc_core_asyncio(core));
    SLOT(handle, cancelled) = Py_NewRef(Py_False);
    context = tc_arg_or_null(context);
    SLOT(handle, context) = context != NULL ? Py_NewRef(context) : PyContext_CopyCurrent();
    PyObject_GC_Track(handle);
    if (SLOT(handle, context) == NULL || handle_set_args(handle, args, nargs) < 0 ||
        (TC_UNLIKELY(core->debug) && handle_set_source(core, handle) < 0)) {
        Py_DECREF(handle);
        return NULL;
    }
    return handle;
}

/* ---- life cycle ---- */

static int
handle_traverse(PyObject *handle, visitproc visit, void *arg)
{
    const HandleExtra *extra = EXTRA(handle);
    Py_VISIT(Py_TYPE(handle));
    Py_VISIT(SLOT(handle, callback));
    Py_VISIT(SLOT(handle, args));
    Py_VISIT(SLOT(handle, loop));
    Py_VISIT(SLOT(handle, context));
    Py_VISIT(SLOT(handle, source_traceback));
    Py_VISIT(SLOT(handle, repr));
    if (TC_UNLIKELY(SLOT(handle, cancelled) != Py_False)) {
        Py_VISIT(SLOT(handle, cancelled));
    }
    Py_VISIT(SLOT(handle, when));
    Py_VISIT(SLOT(handle, scheduled));
    if (extra->nargs >= 1) {
        Py_VISIT(extra->arg0);
    }
    if (extra->nargs >= 2) {
        Py_VISIT(extra->arg1);
    }
    return 0;
}

static int
handle_clear(PyObject *handle)
{
    tc_handle_clear_args(handle);
    Py_CLEAR(SLOT(handle, callback));
    Py_CLEAR(SLOT(handle, context));
    Py_CLEAR(SLOT(handle, source_traceback));
    Py_CLEAR(SLOT(handle, repr));
    Py_CLEAR(SLOT(handle, loop));
    return 0;
}

static void
handle_dealloc(PyObject *handle)
{
    PyTypeObject *type = Py_TYPE(handle);
    PyObject_GC_UnTrack(handle);
    if (SLOT(handle, weakrefs) != NULL) {
        PyObject_ClearWeakRefs(handle);
    }
    PyObject *loop = SLOT(handle, loop);
    SLOT(handle, loop) = NULL;
    handle_clear(handle);
    Py_CLEAR(SLOT(handle, cancelled));
    Py_CLEAR(SLOT(handle, args));
    Py_CLEAR(SLOT(handle, when)); /* a plain handle has these two places as well */
    Py_CLEAR(SLOT(handle, scheduled));
#ifndef TC_DEBUG
    tc_state *state = EXTRA(handle)->state;
    if (state != NULL) {
        tc_handle_freelist *spare = NULL;
        if (type == state->handle_type) {
            spare = &state->handles;
        }
        else if (type == state->timer_handle_type) {
            spare = &state->timer_handles;
        }
        if (spare != NULL && spare->size < (int)TC_ARRAY_LEN(spare->items)) {
            spare->items[spare->size++] = handle; /* keeps its reference to the type */
            Py_XDECREF(loop);
            return;
        }
    }
#endif
    PyObject_GC_Del(handle);
    Py_DECREF(type);
    Py_XDECREF(loop);
}

void
tc_handle_clear_freelists(tc_state *state)
{
    tc_handle_freelist *lists[] = {&state->handles, &state->timer_handles};
    for (size_t k = 0; k < TC_ARRAY_LEN(lists); k++) {
        while (lists[k]->size > 0) {
            PyObject *handle = lists[k]->items[--lists[k]->size];
            PyTypeObject *type = Py_TYPE(handle);
            PyObject_GC_Del(handle);
            Py_DECREF(type);
        }
    }
}

/* ---- the types ---- */

static PyType_Slot handle_slots[] = {
    {Py_tp_dealloc, handle_dealloc},    {Py_tp_traverse, handle_traverse}, {Py_tp_clear, handle_clear},
    {Py_tp_methods, tc_handle_methods}, {Py_tp_getset, tc_handle_getset},  {0, NULL},
};

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_traverse, handle_traverse},
    {Py_tp_clear, handle_clear},
    {Py_tp_methods, tc_timer_handle_methods},
    {Py_tp_getset, tc_timer_handle_getset},
    {0, NULL},
};

static Py_ssize_t
slot_offset(PyObject *type, const char *name)
{
    PyObject *member = PyObject_GetAttrString(type, name);
    if (member == NULL) {
        return -1;
    }
    Py_ssize_t offset = -1;
    if (Py_IS_TYPE(member, &PyMemberDescr_Type)) {
        offset = ((PyMemberDescrObject *)member)->d_member->offset;
    }
    else {
        PyErr_Format(PyExc_ImportError, "asyncio.Handle.%s is not a slot on this Python", name);
    }
    Py_DECREF(member);
    return offset;
}

static int
handle_read_layout(PyObject *handle, PyObject *timer_handle)
{
    const struct {
        PyObject *type;
        const char *name;
        Py_ssize_t *out;
    } fields[] = {
        {handle, "_callback", &tc_handle_slots.callback},
        {handle, "_args", &tc_handle_slots.args},
        {handle, "_cancelled", &tc_handle_slots.cancelled},
        {handle, "_loop", &tc_handle_slots.loop},
        {handle, "_source_traceback", &tc_handle_slots.source_traceback},
        {handle, "_repr", &tc_handle_slots.repr},
        {handle, "_context", &tc_handle_slots.context},
        {timer_handle, "_when", &tc_handle_slots.when},
        {timer_handle, "_scheduled", &tc_handle_slots.scheduled},
    };
    for (size_t i = 0; i < TC_ARRAY_LEN(fields); i++) {
        if ((*fields[i].out = slot_offset(fields[i].type, fields[i].name)) < 0) {
            return -1;
        }
    }
    tc_handle_slots.weakrefs = ((PyTypeObject *)handle)->tp_weaklistoffset;
    tc_handle_slots.extra = ((PyTypeObject *)timer_handle)->tp_basicsize;
    return 0;
}

static PyTypeObject *
handle_make_type(PyObject *module, PyObject *base, const char *name, PyType_Slot *slots)
{
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int)(tc_handle_slots.extra + (Py_ssize_t)sizeof(HandleExtra)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *bases = PyTuple_Pack(1, base);
    if (bases == NULL) {
        return NULL;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, bases);
    Py_DECREF(bases);
    return (PyTypeObject *)type;
}

int
tc_handle_init_type(PyObject *module, tc_state *state)
{
    if (handle_read_layout(state->asyncio_handle, state->asyncio_timer_handle) < 0) {
        return -1;
    }
    state->handle_type =
        handle_make_type(module, state->asyncio_handle, "tornado_c._core.Handle", handle_slots);
    state->handle_run_tag = state->timer_handle_run_tag = UINT_MAX;
    return state->handle_type != NULL ? 0 : -1;
}

int
tc_timer_handle_init_type(PyObject *module, tc_state *state)
{
    state->timer_handle_type = handle_make_type(module, state->asyncio_timer_handle,
                                                "tornado_c._core.TimerHandle", timer_handle_slots);
    return state->timer_handle_type != NULL ? 0 : -1;
}
