/* Runs an IOLoop's callbacks: an exception is logged to tornado.application and swallowed; what a callback
 * returns is awaited where that can be. Runs Python. */
#include "event/ioloop.h"
#include "event/stack.h"

/* A method of the IOLoop with the callback that has raised, inside the handling of the exception that is set. */
static PyObject *
ioloop_call_handling(IOLoopObject *self, PyObject *name, PyObject *callback)
{
    PyObject *exc = PyErr_GetRaisedException(), *outer = PyErr_GetHandledException();
    PyErr_SetHandledException(exc); /* sys.exc_info() in the method, which applications override */
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, name, callback);
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    Py_DECREF(exc);
    return result;
}

/* Logs the exception that is set as app_log.error("Exception in callback %r", callback, exc_info=exc).
 * Cancellation is silent; KeyboardInterrupt and SystemExit stay set. */
static int
ioloop_log_exception(IOLoopObject *self, PyObject *callback)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        if (PyErr_ExceptionMatches(self->state->asyncio_cancelled_error)) {
            PyErr_Clear();
            return 0;
        }
        return -1;
    }
    PyObject *result = ioloop_call_handling(self, self->state->str_handle_callback_exception, callback);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* A callback returned something: a coroutine starts as a Task, other awaitables are watched, the rest is
 * ignored. Steals `result`. */
static int
ioloop_handle_result(IOLoopObject *self, PyObject *result)
{
    if (TC_LIKELY(result == Py_None)) {
        Py_DECREF(result);
        return 0;
    }
    if (PyCoro_CheckExact(result)) {
        LoopCore *core = tc_ioloop_core(self);
        Py_SETREF(result, core != NULL ? tc_stack_task(core, result) : NULL);
        if (result == NULL) {
            return -1;
        }
    }
    PyObject *watched = PyObject_CallMethodOneArg((PyObject *)self, self->state->str__watch_result, result);
    Py_DECREF(result);
    Py_XDECREF(watched);
    return watched != NULL ? 0 : -1;
}

PyObject *
tc_ioloop_run(IOLoopObject *self, PyObject *callback, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result = tc_stack_call(self->state, callback, args, (size_t)nargs);
    if (TC_UNLIKELY(result == NULL) || ioloop_handle_result(self, result) < 0) {
        if (ioloop_log_exception(self, callback) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

int
tc_ioloop_report(LoopCore *core, PyObject *callback)
{
    PyObject *ioloop = Py_XNewRef(tc_core_ioloop(core));
    int st = ioloop != NULL ? ioloop_log_exception((IOLoopObject *)ioloop, callback) : -1;
    Py_XDECREF(ioloop);
    return st;
}

int
tc_ioloop_report_handler(LoopCore *core, PyObject *handler, const char *message)
{
    PyObject *ioloop = Py_XNewRef(tc_core_ioloop(core)), *told = NULL;
    if (ioloop != NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyObject *exc = PyErr_GetRaisedException();
        PyErr_SetRaisedException(Py_NewRef(exc));
        told = ioloop_call_handling((IOLoopObject *)ioloop, core->state->str__handler_failed, handler);
        if (told == Py_False) {
            PyErr_SetRaisedException(Py_NewRef(exc));
        }
        Py_DECREF(exc);
    }
    Py_XDECREF(ioloop);
    int st = told == NULL || told == Py_False ? tc_core_report(core, message, handler) : TC_OK;
    Py_XDECREF(told);
    return st;
}

PyObject *
tc_ioloop_call_soon(LoopCore *core, PyObject *callback, PyObject *context)
{
    PyObject *args[] = {tc_core_ioloop(core), callback};
    return args[0] != NULL ? tc_core_call_soon(core, core->state->ioloop_run, args, 2, context)
                           : tc_core_call_soon(core, callback, NULL, 0, context);
}

/* Whether it is an IOLoop. The class of the last one is remembered. */
static inline bool
is_ioloop(tc_state *state, PyObject *obj)
{
    PyObject *type = (PyObject *)Py_TYPE(obj);
    if (TC_LIKELY(type == state->ioloop_last_class)) {
        return true;
    }
    if (!PyObject_TypeCheck(obj, state->ioloop_type)) {
        return false;
    }
    Py_XSETREF(state->ioloop_last_class, Py_NewRef(type));
    return true;
}

/* Python can reach this function through a handle. */
static PyObject *
ioloop_run_callback(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (TC_UNLIKELY(nargs < 2 || !is_ioloop(PyModule_GetState(module), args[0]))) {
        PyErr_SetString(PyExc_TypeError, "run_callback() takes an IOLoop, a callback and its arguments");
        return NULL;
    }
    return tc_ioloop_run((IOLoopObject *)args[0], args[1], args + 2, nargs - 2);
}

static PyMethodDef ioloop_run_def = {
    "run_callback", TC_FASTCALL(ioloop_run_callback),
    "run_callback(io_loop, callback, /, *args)\n--\n\nRun a callback as the IOLoop does: log, do not raise."};

int
tc_ioloop_init_run(PyObject *module, tc_state *state)
{
    state->ioloop_run = PyCFunction_New(&ioloop_run_def, module);
    return state->ioloop_run != NULL ? 0 : -1;
}
