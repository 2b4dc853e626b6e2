/* Tasks that have begun, see spare.h. Such a one is given back by its coroutine: in place of its end it yields as if
 * it had to wait for a turn, so that the Task calls call_soon for its next step, whose handle becomes the
 * spare's. Runs Python: the Task's step. */
#include "event/spare_parts.h"

#include "base/context.h"
#include "event/handle.h"

#if TC_SPARES

/* Inside the Task's last step: may it become idle? What refers to it is now the callback that runs and asyncio's
 * dict of current Tasks, in place of the handle's callback and the spare. To its context: the running call and
 * the thread as well. */
static bool
spare_may_end(tc_coroutine *coroutine, tc_spare *spare)
{
    PyObject *task = tc_weakref_target(spare->ref);
    if (task == Py_None || spare->ending) {
        return false;
    }
    LoopCore *core = spare->core;
    tc_spares *list = tc_spares_of(core, spare->make);
    if (core->closed || !core->running || core->debug || core->capture != NULL || list == NULL ||
        list->count >= TC_SPARE_IDLE_MAX) {
        return false;
    }
    PyObject *current = PyDict_GetItemWithError(core->state->asyncio_current_tasks, (PyObject *)core);
    if (current != task) {
        PyErr_Clear();
        return false;
    }
    return Py_REFCNT(task) == spare->task_refs && Py_REFCNT(coroutine) == spare->coroutine_refs - 1 &&
           Py_REFCNT(spare->context) == spare->context_refs + 2 &&
           tc_spare_is_untouched(core->state, spare, task, true);
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
            tc_spares_of(core, spare->make)->waits = false;
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
    tc_spare_show(coroutine->state, spare, false);
    tc_spare_free(spare);
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
    PyObject *task = tc_weakref_target(spare->ref), *whose = NULL;
    const char *name = Py_TYPE(callback)->tp_name; /* from 3.12 on with its module */
    if ((strcmp(name, "TaskStepMethWrapper") != 0 && strcmp(name, "_asyncio.TaskStepMethWrapper") != 0) ||
        PyObject_GetOptionalAttr(callback, core->state->str___self__, &whose) <= 0 || whose != task) {
        PyErr_Clear();
        Py_XDECREF(whose);
        return false;
    }
    tc_spare_show(core->state, spare, false);
    spare->ending = false;
    coroutine->spare = NULL;
    core->ending = NULL;
    spare->coroutine = (PyObject *)coroutine;
    spare->task = whose;
    spare->handle = Py_NewRef(handle);
    if (tc_spare_set_log(core->state, task, false) < 0) {
        PyErr_Clear();
    }
    tc_spares_push(tc_spares_of(core, spare->make), spare);
    return true;
}

int
tc_spare_run_task(LoopCore *core, tc_spare *spare)
{
    PyObject *handle = spare->handle;
    if (tc_spare_make_idle(core->state, spare) < 0 || tc_spare_set_log(core->state, spare->task, true) < 0) {
        PyErr_WriteUnraisable(spare->task);
        Py_INCREF(handle);
        tc_spare_free(spare);
        int plain = tc_handle_run_inside(core, handle);
        Py_DECREF(handle);
        return plain;
    }
    tc_spare_show(core->state, spare, true);
    ((tc_coroutine *)spare->coroutine)->spare = spare;
    spare->handle = NULL;
    Py_CLEAR(spare->coroutine);
    Py_CLEAR(spare->task);
    int st = tc_handle_run_inside(core, handle);
    Py_DECREF(handle);
    return st;
}

#else

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
