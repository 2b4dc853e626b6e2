/* See spare.h. Only where the loop is our own, outside any Task's step, without a task factory and debug
 * mode: else task.c makes a Task. Runs Python: the coroutine. */
#include "event/spare_parts.h"

#include "base/context.h"

#if TC_SPARES

/* ---- those of a loop ---- */

tc_spares *
tc_spares_of(LoopCore *core, PyObject *(*make)(tc_state *state))
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
        PyObject_GC_Track(spare->task);
    }
    return spare;
}

static void
spares_drop(tc_spares *list)
{
    for (tc_spare *spare; (spare = spares_pop(list)) != NULL;) {
        tc_spare_free(spare);
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
    Py_VISIT(spare->coroutine);
    Py_VISIT(spare->handle);
    Py_VISIT(spare->context);
    Py_VISIT(spare->origin);
    if (spare->task != NULL && !PyObject_GC_IsTracked(spare->task)) { /* idle */
        return Py_TYPE(spare->task)->tp_traverse(spare->task, visit, arg);
    }
    Py_VISIT(spare->task);
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
    if (!core->running || core->host != NULL || core->capture != NULL || core->debug) {
        return 0;
    }
    int current = PyDict_Contains(core->state->asyncio_current_tasks, (PyObject *)core);
    if (current != 0) {
        return current < 0 ? -1 : 0;
    }
    return core->task_factory == NULL || core->task_factory == Py_None;
}

/* Gives a Task that nobody has found the variables of this context. 0 or -1. */
static int
spare_move(tc_spare *spare, PyObject *context)
{
    PyObject *own = PyContext_Copy(context), *origin = own != NULL ? PyContext_Copy(context) : NULL;
    if (origin != NULL) {
        tc_context_swap(spare->context, own);
        Py_XSETREF(spare->origin, origin);
    }
    Py_XDECREF(own);
    return origin != NULL ? 0 : -1;
}

/* An idle Task that nobody has found meanwhile, to begin in this context; NULL if there is none, or with an
 * exception. */
static tc_spare *
spare_kept(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context)
{
    tc_spares *list = tc_spares_of(core, make);
    tc_spare *spare = list != NULL ? spares_pop(list) : NULL;
    if (spare == NULL) {
        return NULL;
    }
    tc_coroutine *coroutine = (tc_coroutine *)spare->coroutine;
    if (Py_REFCNT(spare->task) != spare->task_refs || Py_REFCNT(coroutine) != spare->coroutine_refs ||
        Py_REFCNT(spare->context) != spare->context_refs || !coroutine->repeats ||
        !tc_spare_may_step(core->state, spare) ||
        (!tc_context_is_same(spare->context, context) && spare_move(spare, context) < 0)) {
        tc_spare_free(spare);
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
    PyObject *context = tc_context_look();
    if (context == NULL) {
        return -1;
    }
    int st = 1;
    *spare = spare_kept(core, make, context);
    if (TC_UNLIKELY(*spare == NULL)) {
        st = PyErr_Occurred() ? -1 : tc_spare_make(core, make, context, spare);
    }
    Py_DECREF(context);
    if (st > 0) {
        tc_coroutine_renew((tc_coroutine *)(*spare)->coroutine);
        (*spare)->waited = (*spare)->paused = false;
    }
    return st;
}

PyObject *
tc_spare_coroutine(tc_spare *spare)
{
    return spare->coroutine;
}

/* ---- the first step ---- */

/* After a first step that was run in place of the Task's. */
static bool
spare_is_clean(LoopCore *core, tc_spare *spare)
{
    return Py_REFCNT(spare->task) == spare->task_refs &&
           Py_REFCNT(spare->coroutine) == spare->coroutine_refs &&
           Py_REFCNT(spare->context) == spare->context_refs &&
           tc_spare_is_untouched(core->state, spare, spare->task, false);
}

/* Keeps it for the next coroutine, if there is room. */
static bool
spare_keep(LoopCore *core, tc_spares *list, tc_spare *spare)
{
    if (list == NULL || core->closed || list->count >= TC_SPARE_IDLE_MAX) {
        return false;
    }
    if (tc_spare_make_idle(core->state, spare) < 0) {
        PyErr_WriteUnraisable(spare->task);
        return false;
    }
    tc_spares_push(list, spare);
    return true;
}

/* The Task is current meanwhile, and all_tasks() finds it: longer where the coroutine has given up its turn. False with
 * an exception: it has not begun. */
static bool
spare_step(LoopCore *core, tc_spare *spare, PySendResult *how, PyObject **value)
{
    PyObject *tasks = core->state->asyncio_current_tasks, *loop = tc_core_asyncio(core);
    if (PyDict_SetItem(tasks, loop, spare->task) < 0) {
        return false;
    }
    if (!spare->paused) {
        tc_spare_show(core->state, spare, true);
    }
    spare->paused = false;
    *how = PyIter_Send(spare->coroutine, Py_None, value);
    PyObject *exc = *how == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    if (PyDict_DelItem(tasks, loop) < 0) {
        PyErr_Clear(); /* what ran has left the Task itself */
    }
    if (*how != PYGEN_NEXT || *value != Py_None) {
        tc_spare_show(core->state, spare, false);
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return true;
}

int
tc_spare_run(LoopCore *core, tc_spare *spare)
{
    tc_spares *list = tc_spares_of(core, spare->make);
    if (list != NULL && list->waits) {
        return tc_spare_run_task(core, spare);
    }
    tc_coroutine *coroutine = (tc_coroutine *)spare->coroutine;
    PyObject *value = NULL;
    PySendResult how = PYGEN_ERROR;
    bool begun = false;
    if (PyContext_Enter(spare->context) == 0) {
        begun = spare_step(core, spare, &how, &value);
        tc_context_exit(spare->context, how == PYGEN_ERROR, spare->coroutine);
    }
    if (TC_UNLIKELY(!begun)) {
        PyErr_Clear(); /* no memory: the step is still to be made, by the Task itself */
        return tc_spare_run_task(core, spare);
    }
    if (how == PYGEN_NEXT && value == Py_None) {
        if (tc_spare_pause(core, spare)) {
            Py_DECREF(value);
            return 0;
        }
        tc_spare_show(core->state, spare, false);
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
    return tc_spare_run_task(core, spare);
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
