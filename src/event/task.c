/* Runs an awaitable that a native event's callback returned.
 *
 * Where no task is current, its first step runs at once inside a real asyncio.Task, so that a coroutine that
 * never suspends needs no turn of its own. On 3.11 the Task queues its first step with loop.call_soon: that
 * handle is captured and run here. From 3.12 asyncio.Task has eager_start. Inside another task's step (where
 * eager execution would disturb the current task) the Task is simply made, and runs in the next turn. A task
 * factory that the application has set makes its own tasks. Runs Python. */
#include "event/coroutine.h"
#include "event/handle.h"
#include "event/stack.h"

PyObject *
tc_task_current(LoopCore *core)
{
#if PY_VERSION_HEX < 0x030e0000
    PyObject *task = PyDict_GetItemWithError(core->state->asyncio_current_tasks, tc_core_asyncio(core));
    return task != NULL ? Py_NewRef(task) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
#else
    return PyObject_CallOneArg(core->state->asyncio_current_tasks, tc_core_asyncio(core));
#endif
}

/* Whether a task of this loop is inside a step: 1, 0, or -1. */
static int
task_is_current(LoopCore *core)
{
    PyObject *task = tc_task_current(core);
    int current = task == NULL ? -1 : task != Py_None;
    Py_XDECREF(task);
    return current;
}

/* context: NULL for a copy of the current one */
static PyObject *
task_make_plain(LoopCore *core, PyObject *coroutine, PyObject *context)
{
    PyObject *args[4] = {NULL, coroutine, tc_core_asyncio(core), context};
    return PyObject_Vectorcall(core->state->asyncio_task, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               context != NULL ? core->state->kw_loop_context : core->state->kw_loop);
}

static PyObject *
task_make_eager(LoopCore *core, PyObject *coroutine, PyObject *context)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *args[5] = {NULL, coroutine, tc_core_asyncio(core), context != NULL ? context : Py_True,
                         Py_True};
    return PyObject_Vectorcall(core->state->asyncio_task, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               context != NULL ? core->state->kw_loop_context_eager_start
                                               : core->state->kw_loop_eager_start);
#else
    core->capture = coroutine;
    PyObject *task = task_make_plain(core, coroutine, context);
    core->capture = NULL;
    PyObject *handle = core->captured;
    core->captured = NULL;
    if (task != NULL && handle != NULL && tc_handle_run_inside(core, handle) < 0) {
        Py_CLEAR(task);
    }
    Py_XDECREF(handle);
    return task;
#endif
}

/* An awaitable that is no coroutine is wrapped in one, as asyncio.ensure_future does; a Future is its own
 * task. */
static PyObject *
task_coroutine_of(LoopCore *core, PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable) || Py_IS_TYPE(awaitable, core->state->native_coroutine_type)) {
        return Py_NewRef(awaitable);
    }
    PyObject *wrap = tc_upcall(core->state, wrap_awaitable);
    return wrap != NULL ? PyObject_CallOneArg(wrap, awaitable) : NULL;
}

static int
task_has_factory(LoopCore *core)
{
    if (core->host == NULL) {
        return core->task_factory != NULL && core->task_factory != Py_None;
    }
    PyObject *factory = PyObject_CallMethodNoArgs(core->host, core->state->str_get_task_factory);
    int has = factory != NULL ? factory != Py_None : -1;
    Py_XDECREF(factory);
    return has;
}

/* Factories are given what asyncio gives them: coroutines of Python. */
static PyObject *
task_from_factory(LoopCore *core, PyObject *awaitable)
{
    PyObject *wrap = NULL, *coroutine = NULL, *task = NULL;
    if (PyCoro_CheckExact(awaitable)) {
        coroutine = Py_NewRef(awaitable);
    }
    else if ((wrap = tc_upcall(core->state, wrap_awaitable)) != NULL) {
        coroutine = PyObject_CallOneArg(wrap, awaitable);
    }
    if (coroutine != NULL) {
        task = PyObject_CallMethodOneArg(tc_core_asyncio(core), core->state->str_create_task, coroutine);
        Py_DECREF(coroutine);
    }
    return task;
}

/* Where there is no factory. context: as above */
static PyObject *
task_start(LoopCore *core, PyObject *awaitable, PyObject *context)
{
    int current = task_is_current(core);
    if (current < 0) {
        return NULL;
    }
    PyObject *coroutine = task_coroutine_of(core, awaitable);
    if (coroutine == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030c0000
    bool eager = !current && (core->running || core->host != NULL);
#else
    bool eager = !current && core->running &&
                 core->capture == NULL; /* a foreign loop's call_soon cannot be captured */
#endif
    PyObject *task =
        eager ? task_make_eager(core, coroutine, context) : task_make_plain(core, coroutine, context);
    Py_DECREF(coroutine);
    return task;
}

static PyObject *
task_start_here(LoopCore *core, PyObject *awaitable)
{
    int factory = task_has_factory(core);
    if (TC_UNLIKELY(factory != 0)) {
        return factory < 0 ? NULL : task_from_factory(core, awaitable);
    }
    return task_start(core, awaitable, NULL);
}

static PyObject *
task_start_in(LoopCore *core, PyObject *coroutine, PyObject *context)
{
    int factory = task_has_factory(core);
    if (factory < 0) {
        return NULL;
    }
    bool own = Py_IS_TYPE(coroutine, core->state->native_coroutine_type);
    if ((factory && !own) || PyContext_Exit(context) < 0) {
        PyErr_Clear();
        return task_start_here(core, coroutine);
    }
    if (factory) { /* its Task has a context of its own */
        Py_XSETREF(((tc_coroutine *)coroutine)->context, Py_NewRef(context));
    }
    PyObject *task = factory ? task_from_factory(core, coroutine)
                             : task_start(core, coroutine, context); /* whose step enters it */
    PyObject *exc = task == NULL ? PyErr_GetRaisedException() : NULL;
    if (PyContext_Enter(context) < 0) {
        PyErr_WriteUnraisable(coroutine);
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return task;
}

PyObject *
tc_task_start(LoopCore *core, PyObject *awaitable)
{
    if (TC_LIKELY(core->host == NULL)) {
        return task_start_here(core, awaitable);
    }
    PyObject *coroutine = tc_stack_steps(core->state, awaitable);
    PyObject *task = coroutine != NULL ? task_start_here(core, coroutine) : NULL;
    Py_XDECREF(coroutine);
    return task;
}

PyObject *
tc_task_start_in(LoopCore *core, PyObject *coroutine, PyObject *context)
{
    if (TC_LIKELY(core->host == NULL)) {
        return task_start_in(core, coroutine, context);
    }
    PyObject *inside = tc_stack_steps(core->state, coroutine);
    PyObject *task = inside != NULL ? task_start_in(core, inside, context) : NULL;
    Py_XDECREF(inside);
    return task;
}
