/* See spare.h. Only where the loop is our own, outside any Task's step, without a task factory and debug
 * mode: else task.c makes a Task. Runs Python: the coroutine, and in what asks the Task about itself nothing
 * but asyncio's C.
 *
 * A Task that has begun is given back by its coroutine: in place of its end it yields as if it had to wait for
 * a turn, so that the Task calls call_soon for its next step, whose handle becomes the spare's. */
#include "event/spare.h"

#include "base/context.h"
#include "event/handle.h"

#define IDLE_MAX 64 /* Tasks of one kind that a loop keeps */
#define MISSES_MAX 32
#define SPARE_BEGINS (PY_VERSION_HEX < 0x030c0000) /* whether a Task that has begun may become idle */

#if PY_VERSION_HEX < 0x030e0000

struct tc_spare {
    tc_spare *next; /* of the idle ones of a loop */
    LoopCore *core; /* borrowed: the Task holds it */
    PyObject *(*make)(tc_state *state);
    /* NULL while the coroutine has this, after its first step: then the Task is held by what it waits for. */
    PyObject *task, *coroutine, *handle;
    PyObject *name;
    PyObject *context;                                  /* the Task's own */
    PyObject *origin;                                   /* a copy of that as it was */
    PyObject *ref;                                      /* a weak reference to the Task, up to 3.11 */
    Py_ssize_t task_refs, coroutine_refs, context_refs; /* without anybody else's, while it is idle */
    bool idle;                                          /* asyncio does not know of it */
    bool waited;                                        /* since it was taken */
    bool ending;                                        /* it is to become idle with its next call_soon */
};

/* ---- making and dropping ---- */

/* The set in which all_tasks() looks for the Task, a new reference; NULL if there is none. */
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

/* Has all_tasks() find a Task that asyncio does not know, or not any more. Without an exception: what goes wrong
 * is cleared. */
static void
spare_show(tc_state *state, tc_spare *spare, bool show)
{
    PyObject *entry = spare->ref != NULL ? spare->ref : spare->task;
    PyObject *tasks = spare->idle && entry != NULL ? spare_known_tasks(state) : NULL;
    if (tasks != NULL && (show ? PySet_Add(tasks, entry) : PySet_Discard(tasks, entry)) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(tasks);
}

static void
spare_free(tc_spare *spare)
{
    Py_CLEAR(spare->handle);
    Py_CLEAR(spare->task);
    Py_CLEAR(spare->coroutine);
    Py_CLEAR(spare->context);
    Py_CLEAR(spare->origin);
    Py_CLEAR(spare->name);
    Py_CLEAR(spare->ref);
    PyMem_Free(spare);
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

/* 1; 0 where the step of a Task cannot be had; -1. */
static int
spare_make(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context, tc_spare **result)
{
    tc_spare *spare = PyMem_Calloc(1, sizeof(*spare));
    if (spare == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    spare->core = core;
    spare->make = make;
    spare->context = Py_NewRef(context);
    spare->origin = PyContext_Copy(context);
    spare->coroutine = spare->origin != NULL ? make(core->state) : NULL;
    spare->task = spare->coroutine != NULL ? spare_make_task(core, spare->coroutine, context) : NULL;
    spare->handle = core->captured;
    core->captured = NULL;
    if (spare->task == NULL || spare->handle == NULL) {
        spare_free(spare);
        return PyErr_Occurred() ? -1 : 0;
    }
    spare->name = PyObject_CallMethodNoArgs(spare->task, core->state->str_get_name);
    if (spare->name == NULL) {
        PyErr_Clear(); /* a Task of another kind: it will be taken for changed */
    }
    spare->task_refs = Py_REFCNT(spare->task);
    spare->coroutine_refs = Py_REFCNT(spare->coroutine);
    spare->context_refs = Py_REFCNT(spare->context) - 1; /* the caller's */
    *result = spare;
    return 1;
}

/* ---- those of a loop ---- */

/* The idle Tasks whose coroutines are made this way; NULL where there is no place for them. */
static tc_spares *
spares_of(LoopCore *core, PyObject *(*make)(tc_state *state))
{
    for (size_t i = 0; i < TC_ARRAY_LEN(core->spares); i++) {
        tc_spares *list = &core->spares[i];
        if (list->make == NULL) {
            list->make = make;
        }
        if (list->make == make) {
            return list;
        }
    }
    return NULL;
}

static tc_spare *
spares_pop(tc_spares *list)
{
    tc_spare *spare = list->first;
    if (spare != NULL) {
        list->first = spare->next;
        list->count--;
        spare->next = NULL;
    }
    return spare;
}

static void
spares_push(tc_spares *list, tc_spare *spare)
{
    spare->next = list->first;
    list->first = spare;
    list->count++;
}

static void
spares_drop(tc_spares *list)
{
    for (tc_spare *spare; (spare = spares_pop(list)) != NULL;) {
        spare_free(spare);
    }
}

void
tc_spares_clear(LoopCore *core)
{
    for (size_t i = 0; i < TC_ARRAY_LEN(core->spares); i++) {
        spares_drop(&core->spares[i]);
    }
    Py_CLEAR(core->ending);
}

int
tc_spare_traverse(tc_spare *spare, visitproc visit, void *arg)
{
    Py_VISIT(spare->task);
    Py_VISIT(spare->coroutine);
    Py_VISIT(spare->handle);
    Py_VISIT(spare->context);
    Py_VISIT(spare->origin);
    return 0;
}

int
tc_spares_traverse(LoopCore *core, visitproc visit, void *arg)
{
    int st = 0;
    for (size_t i = 0; i < TC_ARRAY_LEN(core->spares); i++) {
        for (tc_spare *spare = core->spares[i].first; st == 0 && spare != NULL; spare = spare->next) {
            st = tc_spare_traverse(spare, visit, arg);
        }
    }
    Py_VISIT(core->ending);
    return st;
}

/* ---- taking ---- */

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

/* An idle Task that begins in this context, and that nobody has found meanwhile; NULL if there is none. */
static tc_spare *
spare_kept(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context)
{
    tc_spares *list = spares_of(core, make);
    tc_spare *spare = list != NULL ? list->first : NULL;
    if (spare == NULL) {
        return NULL;
    }
    if (!tc_context_is_same(spare->context, context)) {
        if (++list->misses == MISSES_MAX) {
            list->misses = 0;
            spares_drop(list); /* nobody comes in its context any more */
        }
        return NULL;
    }
    list->misses = 0;
    spares_pop(list);
    tc_coroutine *coroutine = (tc_coroutine *)spare->coroutine;
    if (Py_REFCNT(spare->task) != spare->task_refs || Py_REFCNT(coroutine) != spare->coroutine_refs ||
        Py_REFCNT(spare->context) != spare->context_refs || !coroutine->repeats) {
        spare_free(spare);
        return NULL;
    }
    return spare;
}

int
tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare **spare)
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
    *spare = spare_kept(core, make, context);
    if (TC_UNLIKELY(*spare == NULL)) {
        st = spare_make(core, make, context, spare);
    }
    Py_DECREF(context);
    if (st > 0) {
        tc_coroutine_renew((tc_coroutine *)(*spare)->coroutine);
        (*spare)->waited = false;
    }
    return st;
}

PyObject *
tc_spare_coroutine(tc_spare *spare)
{
    return spare->coroutine;
}

/* ---- giving back ---- */

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
spare_is_as_new(tc_state *state, tc_spare *spare, PyObject *task)
{
    PyObject *zero = PyLong_FromLong(0); /* there is one 0 */
    bool as_new = spare_has(PyObject_GetAttr(task, state->str__callbacks), Py_None) &&
                  spare_has(PyObject_GetAttr(task, state->str__must_cancel), Py_False) &&
                  spare_has(PyObject_CallMethodNoArgs(task, state->str_cancelling), zero) &&
                  spare_has(PyObject_CallMethodNoArgs(task, state->str_get_name), spare->name);
    Py_XDECREF(zero);
    return as_new;
}

/* Has nobody kept or changed what belongs to the Task? `shown`: to all_tasks(), through our own reference. */
static bool
spare_is_untouched(tc_state *state, tc_spare *spare, PyObject *task, bool shown)
{
    PyTypeObject *type = Py_TYPE(task);
    if (!tc_context_is_same(spare->context, spare->origin) || type->tp_dictoffset <= 0 ||
        type->tp_weaklistoffset <= 0) {
        return false;
    }
    PyObject *dict = *(PyObject **)((char *)task + type->tp_dictoffset);
    PyObject *weak = *(PyObject **)((char *)task + type->tp_weaklistoffset);
    bool alone = weak == NULL || ((PyWeakReference *)weak)->wr_next == NULL;
    bool known = alone && (!spare->idle ||
                           (weak == spare->ref && (weak == NULL || Py_REFCNT(weak) == (shown ? 2 : 1))));
    return dict == NULL && known && spare_is_as_new(state, spare, task);
}

/* After a first step that was run in place of the Task's. */
static bool
spare_is_clean(LoopCore *core, tc_spare *spare)
{
    return Py_REFCNT(spare->task) == spare->task_refs &&
           Py_REFCNT(spare->coroutine) == spare->coroutine_refs &&
           Py_REFCNT(spare->context) == spare->context_refs &&
           spare_is_untouched(core->state, spare, spare->task, false);
}

/* Has asyncio say that a Task was destroyed while it waited, or not. 0 or -1. */
static int
spare_set_log(tc_state *state, PyObject *task, bool log)
{
    return PyObject_SetAttr(task, state->str__log_destroy_pending, log ? Py_True : Py_False);
}

/* Makes a Task that asyncio knows one that it does not know, or the other way round. */
static int
spare_set_idle(LoopCore *core, tc_spare *spare, bool idle)
{
    tc_state *state = core->state;
    if (spare->idle != idle) {
        PyObject *tell = idle ? state->asyncio_unregister_task : state->asyncio_register_task;
        PyObject *told = PyObject_CallOneArg(tell, spare->task);
        spare->idle = idle;
        Py_XDECREF(told);
        if (told == NULL || spare_set_log(state, spare->task, !idle) < 0) {
            return -1;
        }
    }
#if PY_VERSION_HEX < 0x030c0000
    if (idle && spare->ref == NULL) {
        spare->ref = PyWeakref_NewRef(spare->task, NULL);
        return spare->ref != NULL ? 0 : -1;
    }
#endif
    return 0;
}

/* Keeps it for the next coroutine, if there is room. */
static bool
spare_keep(LoopCore *core, tc_spares *list, tc_spare *spare)
{
    if (list == NULL || core->closed || list->count >= IDLE_MAX) {
        return false;
    }
    if (spare_set_idle(core, spare, true) < 0) {
        PyErr_WriteUnraisable(spare->task);
        return false;
    }
    spares_push(list, spare);
    return true;
}

/* ---- Tasks that have begun ---- */

#if SPARE_BEGINS

/* Inside the Task's last step: may it become idle? What refers to it is now the callback that runs and asyncio's
 * dict of current Tasks, in place of the handle's callback and the spare. To its context: the running call and
 * the thread as well. */
static bool
spare_may_end(tc_coroutine *coroutine, tc_spare *spare)
{
    PyObject *task = PyWeakref_GET_OBJECT(spare->ref);
    if (task == Py_None || spare->ending) {
        return false;
    }
    LoopCore *core = spare->core;
    tc_spares *list = spares_of(core, spare->make);
    if (core->closed || !core->running || core->debug || core->capture || list == NULL ||
        list->count >= IDLE_MAX) {
        return false;
    }
    PyObject *current = PyDict_GetItemWithError(core->state->asyncio_current_tasks, (PyObject *)core);
    if (current != task) {
        PyErr_Clear();
        return false;
    }
    return Py_REFCNT(task) == spare->task_refs && Py_REFCNT(coroutine) == spare->coroutine_refs - 1 &&
           Py_REFCNT(spare->context) == spare->context_refs + 2 &&
           spare_is_untouched(core->state, spare, task, true);
}

PySendResult
tc_spare_stepped(tc_coroutine *coroutine, PySendResult how, PyObject **result)
{
    tc_spare *spare = coroutine->spare;
    if (how == PYGEN_NEXT) {
        spare->waited = true;
        return how;
    }
    if (how == PYGEN_RETURN && spare_may_end(coroutine, spare)) {
        LoopCore *core = spare->core;
        if (!spare->waited) {
            spares_of(core, spare->make)->waits = false;
        }
        spare->ending = true;
        Py_XSETREF(core->ending, Py_NewRef((PyObject *)coroutine));
        tc_coroutine_repeat_later(coroutine, how, *result); /* if the Task is not given back */
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    tc_spare_drop(coroutine);
    return how;
}

void
tc_spare_drop(tc_coroutine *coroutine)
{
    tc_spare *spare = coroutine->spare;
    PyObject *exc = PyErr_GetRaisedException();
    coroutine->spare = NULL;
    spare_show(coroutine->state, spare, false);
    spare_free(spare);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

bool
tc_spare_captures(LoopCore *core, PyObject *callback, PyObject *handle)
{
    tc_coroutine *coroutine = (tc_coroutine *)core->ending;
    tc_spare *spare = coroutine->spare;
    if (spare == NULL) {
        Py_CLEAR(core->ending); /* its Task ended in another way */
        return false;
    }
    PyObject *task = PyWeakref_GET_OBJECT(spare->ref), *whose = NULL;
    if (strcmp(Py_TYPE(callback)->tp_name, "TaskStepMethWrapper") != 0 ||
        PyObject_GetOptionalAttr(callback, core->state->str___self__, &whose) <= 0 || whose != task) {
        PyErr_Clear();
        Py_XDECREF(whose);
        return false;
    }
    spare_show(core->state, spare, false);
    spare->ending = false;
    coroutine->spare = NULL;
    core->ending = NULL;
    spare->coroutine = (PyObject *)coroutine;
    spare->task = whose;
    spare->handle = Py_NewRef(handle);
    if (spare_set_log(core->state, task, false) < 0) {
        PyErr_Clear();
    }
    spares_push(spares_of(core, spare->make), spare);
    return true;
}

/* Runs the Task's own step, after which the coroutine has the spare. */
static int
spare_run_task(LoopCore *core, tc_spare *spare)
{
    PyObject *handle = spare->handle;
    if (spare_set_idle(core, spare, true) < 0 || spare_set_log(core->state, spare->task, true) < 0) {
        PyErr_WriteUnraisable(spare->task);
        Py_INCREF(handle);
        spare_free(spare);
        int plain = tc_handle_run(core, handle);
        Py_DECREF(handle);
        return plain;
    }
    spare_show(core->state, spare, true);
    ((tc_coroutine *)spare->coroutine)->spare = spare;
    spare->handle = NULL;
    Py_CLEAR(spare->coroutine);
    Py_CLEAR(spare->task);
    int st = tc_handle_run(core, handle);
    Py_DECREF(handle);
    return st;
}

#else

static int
spare_run_task(LoopCore *core, tc_spare *spare)
{
    if (spare_set_idle(core, spare, false) < 0) {
        PyErr_WriteUnraisable(spare->task);
    }
    int st = tc_handle_run(core, spare->handle);
    spare_free(spare);
    return st;
}

#endif

/* ---- the first step ---- */

static PySendResult
spare_step(LoopCore *core, tc_spare *spare, PyObject **value)
{
    PyObject *tasks = core->state->asyncio_current_tasks, *loop = tc_core_asyncio(core);
    if (PyDict_SetItem(tasks, loop, spare->task) < 0) {
        return PYGEN_ERROR;
    }
    spare_show(core->state, spare, true);
    PySendResult how = PyIter_Send(spare->coroutine, Py_None, value);
    PyObject *exc = how == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    if (PyDict_DelItem(tasks, loop) < 0) {
        PyErr_Clear(); /* what ran has left the Task itself */
    }
    spare_show(core->state, spare, false);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return how;
}

int
tc_spare_run(LoopCore *core, tc_spare *spare)
{
    tc_spares *list = spares_of(core, spare->make);
    if (SPARE_BEGINS && list != NULL && list->waits) {
        return spare_run_task(core, spare);
    }
    tc_coroutine *coroutine = (tc_coroutine *)spare->coroutine;
    PyObject *value = NULL;
    PySendResult how = PYGEN_ERROR;
    if (PyContext_Enter(spare->context) == 0) {
        how = spare_step(core, spare, &value);
        tc_context_exit(spare->context, how == PYGEN_ERROR, spare->coroutine);
    }
    if (TC_LIKELY(how == PYGEN_RETURN) && spare_is_clean(core, spare) && spare_keep(core, list, spare)) {
        tc_coroutine_repeat_later(coroutine, how, value);
        return 0;
    }
    PyObject *outcome = how == PYGEN_ERROR ? PyErr_GetRaisedException() : value;
    tc_coroutine_repeat_later(coroutine, how, outcome);
    if (list != NULL && how == PYGEN_NEXT) {
        list->waits = true;
    }
    return spare_run_task(core, spare);
}

#else

int
tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare **spare)
{
    return 0;
}

PyObject *
tc_spare_coroutine(tc_spare *spare)
{
    return NULL;
}

int
tc_spare_run(LoopCore *core, tc_spare *spare)
{
    return 0;
}

int
tc_spare_traverse(tc_spare *spare, visitproc visit, void *arg)
{
    return 0;
}

int
tc_spares_traverse(LoopCore *core, visitproc visit, void *arg)
{
    return 0;
}

void
tc_spares_clear(LoopCore *core)
{
}

#endif

#if !SPARE_BEGINS

PySendResult
tc_spare_stepped(tc_coroutine *coroutine, PySendResult how, PyObject **result)
{
    return how;
}

void
tc_spare_drop(tc_coroutine *coroutine)
{
}

bool
tc_spare_captures(LoopCore *core, PyObject *callback, PyObject *handle)
{
    return false;
}

#endif
