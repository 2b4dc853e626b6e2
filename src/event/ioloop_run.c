/* Runs an IOLoop's callbacks: an exception is logged to tornado.application and swallowed; what a callback
 * returns is awaited where that can be. Runs Python. */
#include "event/ioloop.h"

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
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *args[4] = {NULL, (PyObject *)self, callback, exc};
    PyObject *result = PyObject_VectorcallMethod(self->state->str__log_callback_exception, args + 1,
                                                 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(exc);
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
        Py_SETREF(result, tc_task_start(self->core, result));
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
tc_ioloop_run(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    IOLoopObject *self = (IOLoopObject *)args[0];
    PyObject *callback = args[1];
    PyObject *result = PyObject_Vectorcall(callback, args + 2, (size_t)(nargs - 2), NULL);
    if (TC_UNLIKELY(result == NULL) || ioloop_handle_result(self, result) < 0) {
        if (ioloop_log_exception(self, callback) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef ioloop_run_def = {
    "run_callback", (PyCFunction)(void (*)(void))tc_ioloop_run, METH_FASTCALL,
    "run_callback(io_loop, callback, /, *args)\n--\n\nRun a callback as the IOLoop does: log, do not raise."};

int
tc_ioloop_init_run(tc_state *state)
{
    state->ioloop_run = PyCFunction_New(&ioloop_run_def, NULL);
    return state->ioloop_run != NULL ? 0 : -1;
}
