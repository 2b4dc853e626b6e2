/* See spare.h. Only where the loop is our own, outside any Task's step, without a task factory and debug
 * mode: else task.c makes a Task. Runs Python: the coroutine, and in what asks the Task about itself nothing
 * but asyncio's C. */
#include "event/spare.h"

#include "base/context.h"
#include "event/handle.h"

#define MISSES_MAX 32

#if PY_VERSION_HEX < 0x030e0000

/* ---- Tasks ---- */

void
tc_spare_clear(tc_spare *spare)
{
    Py_CLEAR(spare->handle);
    Py_CLEAR(spare->task);
    Py_CLEAR(spare->coroutine);
    Py_CLEAR(spare->context);
    Py_CLEAR(spare->origin);
    Py_CLEAR(spare->name);
    Py_CLEAR(spare->ref);
}

static PyObject *
spare_make_task(LoopCore *core, PyObject *coroutine, PyObject *context)
{
    PyObject *args[4] = {NULL, coroutine, tc_core_asyncio(core), context};
    core->capture = true;
    PyObject *task = PyObject_Vectorcall(core->state->asyncio_task, args + 1,
                                         1 | PY_VECTORCALL_ARGUMENTS_OFFSET, core->state->kw_loop_context);
    core->capture = false;
    return task;
}

static int
spare_make(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context, tc_spare *spare)
{
    spare->make = make;
    spare->context = Py_NewRef(context);
    spare->origin = PyContext_Copy(context);
    spare->coroutine = spare->origin != NULL ? make(core->state) : NULL;
    spare->task = spare->coroutine != NULL ? spare_make_task(core, spare->coroutine, context) : NULL;
    spare->handle = core->captured;
    core->captured = NULL;
    if (spare->task == NULL || spare->handle == NULL) {
        tc_spare_clear(spare);
        return PyErr_Occurred() ? -1 : 0;
    }
    spare->name = PyObject_CallMethodNoArgs(spare->task, core->state->str_get_name);
    if (spare->name == NULL) {
        PyErr_Clear(); /* a Task of another kind: it will be taken for changed */
    }
    spare->idle = false;
    return 1;
}

/* May a Task's first step run here at all? 1, 0 or -1. */
static int
spare_is_possible(LoopCore *core)
{
    if (!core->running || core->host != NULL || core->capture || core->debug) {
        return 0;
    }
    int current = PyDict_Contains(core->state->asyncio_current_tasks, (PyObject *)core);
    if (current != 0) {
        return current < 0 ? -1 : 0;
    }
    PyObject *factory = PyObject_GetAttr((PyObject *)core, core->state->str__task_factory);
    int has = factory != NULL ? factory != Py_None : -1;
    Py_XDECREF(factory);
    return has < 0 ? -1 : !has;
}

/* That of the loop's whose coroutine is made this way, or NULL. */
static tc_spare *
spare_kept(LoopCore *core, PyObject *(*make)(tc_state *state))
{
    for (size_t i = 0; i < TC_ARRAY_LEN(core->spares); i++) {
        if (core->spares[i].task != NULL && core->spares[i].make == make) {
            return &core->spares[i];
        }
    }
    return NULL;
}

int
tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare *spare)
{
    int possible = spare_is_possible(core);
    if (possible <= 0) {
        return possible;
    }
    PyObject *context = PyContext_CopyCurrent();
    if (context == NULL) {
        return -1;
    }
    int st = 1;
    tc_spare *kept = spare_kept(core, make);
    if (TC_LIKELY(kept != NULL && tc_context_is_same(kept->context, context))) {
        *spare = *kept;
        spare->misses = 0;
        memset(kept, 0, sizeof(*kept));
    }
    else {
        if (kept != NULL && ++kept->misses == MISSES_MAX) {
            tc_spare_clear(kept); /* nobody comes in its context any more */
        }
        memset(spare, 0, sizeof(*spare));
        st = spare_make(core, make, context, spare);
    }
    Py_DECREF(context);
    if (st > 0) {
        spare->task_refs = Py_REFCNT(spare->task);
        spare->coroutine_refs = Py_REFCNT(spare->coroutine);
        spare->context_refs = Py_REFCNT(spare->context);
    }
    return st;
}

/* Is a part of the Task, a new reference or NULL with an exception, this object? */
static bool
spare_has(PyObject *part, PyObject *expected)
{
    if (part == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(part);
    return part != NULL && part == expected;
}

/* Does it say of itself what a new Task says? */
static bool
spare_is_as_new(tc_state *state, tc_spare *spare)
{
    PyObject *task = spare->task, *zero = PyLong_FromLong(0); /* there is one 0 */
    bool as_new = spare_has(PyObject_GetAttr(task, state->str__callbacks), Py_None) &&
                  spare_has(PyObject_GetAttr(task, state->str__must_cancel), Py_False) &&
                  spare_has(PyObject_CallMethodNoArgs(task, state->str_cancelling), zero) &&
                  spare_has(PyObject_CallMethodNoArgs(task, state->str_get_name), spare->name);
    Py_XDECREF(zero);
    return as_new;
}

/* Has nobody kept or changed what belongs to the Task? */
static bool
spare_is_untouched(LoopCore *core, tc_spare *spare)
{
    PyTypeObject *type = Py_TYPE(spare->task);
    if (Py_REFCNT(spare->task) != spare->task_refs || Py_REFCNT(spare->coroutine) != spare->coroutine_refs ||
        Py_REFCNT(spare->context) != spare->context_refs ||
        !tc_context_is_same(spare->context, spare->origin) || type->tp_dictoffset <= 0 ||
        type->tp_weaklistoffset <= 0) {
        return false;
    }
    PyObject *dict = *(PyObject **)((char *)spare->task + type->tp_dictoffset);
    PyObject *weak = *(PyObject **)((char *)spare->task + type->tp_weaklistoffset);
    bool alone = weak == NULL || ((PyWeakReference *)weak)->wr_next == NULL;
    bool known = alone && (!spare->idle || (weak == spare->ref && (weak == NULL || Py_REFCNT(weak) == 1)));
    return dict == NULL && known && spare_is_as_new(core->state, spare);
}

/* The set in which all_tasks() looks for the Task during a step, a new reference; NULL if there is none. */
static PyObject *
spare_known_tasks(tc_state *state)
{
    PyObject *tasks = Py_NewRef(state->asyncio_stepped_tasks);
#if PY_VERSION_HEX < 0x030c0000
    Py_SETREF(tasks, PyObject_GetAttr(tasks, state->str_data));
#endif
    if (tasks == NULL || !PySet_Check(tasks)) {
        PyErr_Clear();
        Py_CLEAR(tasks);
    }
    return tasks;
}

/* Has all_tasks() find an idle Task, or not any more. Without an exception: what goes wrong is cleared. */
static void
spare_show(LoopCore *core, tc_spare *spare, bool show)
{
    PyObject *entry = spare->ref != NULL ? spare->ref : spare->task;
    PyObject *tasks = spare->idle ? spare_known_tasks(core->state) : NULL;
    if (tasks != NULL && (show ? PySet_Add(tasks, entry) : PySet_Discard(tasks, entry)) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(tasks);
}

/* Makes a Task that asyncio knows one that it does not know, or the other way round. */
static int
spare_set_idle(LoopCore *core, tc_spare *spare, bool idle)
{
    tc_state *state = core->state;
    PyObject *tell = idle ? state->asyncio_unregister_task : state->asyncio_register_task;
    PyObject *told = PyObject_CallOneArg(tell, spare->task);
    spare->idle = idle;
    Py_XDECREF(told);
    return told != NULL && PyObject_SetAttr(spare->task, state->str__log_destroy_pending,
                                            idle ? Py_False : Py_True) == 0
               ? 0
               : -1;
}

/* Keeps it for the next coroutine, if there is no other. */
static bool
spare_keep(LoopCore *core, tc_spare *spare)
{
    tc_spare *place = core->spares[0].task == NULL ? &core->spares[0] : &core->spares[1];
    if (place->task != NULL || core->closed || spare_kept(core, spare->make) != NULL) {
        return false;
    }
    if (!spare->idle && spare_set_idle(core, spare, true) < 0) {
        PyErr_WriteUnraisable(spare->task);
        return false;
    }
#if PY_VERSION_HEX < 0x030c0000
    if (spare->ref == NULL && (spare->ref = PyWeakref_NewRef(spare->task, NULL)) == NULL) {
        PyErr_WriteUnraisable(spare->task);
        return false;
    }
#endif
    *place = *spare;
    memset(spare, 0, sizeof(*spare));
    return true;
}

/* ---- the step ---- */

static PySendResult
spare_step(LoopCore *core, tc_spare *spare, PyObject **value)
{
    PyObject *tasks = core->state->asyncio_current_tasks, *loop = tc_core_asyncio(core);
    if (PyDict_SetItem(tasks, loop, spare->task) < 0) {
        return PYGEN_ERROR;
    }
    spare_show(core, spare, true);
    PySendResult how = PyIter_Send(spare->coroutine, Py_None, value);
    PyObject *exc = how == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    if (PyDict_DelItem(tasks, loop) < 0) {
        PyErr_Clear(); /* what ran has left the Task itself */
    }
    spare_show(core, spare, false);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return how;
}

int
tc_spare_run(LoopCore *core, tc_spare *spare)
{
    tc_coroutine *coroutine = (tc_coroutine *)spare->coroutine;
    PyObject *value = NULL;
    PySendResult how = PYGEN_ERROR;
    if (PyContext_Enter(spare->context) == 0) {
        how = spare_step(core, spare, &value);
        tc_context_exit(spare->context, how == PYGEN_ERROR, spare->coroutine);
    }
    if (TC_LIKELY(how == PYGEN_RETURN) && spare_is_untouched(core, spare) && spare_keep(core, spare)) {
        Py_XDECREF(value);
        return 0;
    }
    coroutine->repeats = true;
    coroutine->how = how;
    coroutine->outcome = how == PYGEN_ERROR ? PyErr_GetRaisedException() : value;
    int st = spare->idle ? spare_set_idle(core, spare, false) : 0;
    if (st < 0) {
        PyErr_WriteUnraisable(spare->task);
    }
    st = tc_handle_run(core, spare->handle);
    tc_spare_clear(spare);
    return st;
}

#else

int
tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare *spare)
{
    return 0;
}

int
tc_spare_run(LoopCore *core, tc_spare *spare)
{
    return 0;
}

void
tc_spare_clear(tc_spare *spare)
{
}

#endif
