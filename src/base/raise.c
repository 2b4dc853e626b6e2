/* See raise.h. */
#include "base/raise.h"

#include <stdarg.h>

PyObject *
tc_oserror_new(int err)
{
    errno = err;
    PyErr_SetFromErrno(PyExc_OSError);
    PyObject *exc = PyErr_GetRaisedException();
    if (exc != NULL && !PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_OSError)) {
        PyErr_SetRaisedException(exc);
        return NULL;
    }
    return exc;
}

bool
tc_error_is_connreset(tc_state *state, PyObject *exc)
{
    if (exc == NULL || !PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_OSError)) {
        return false;
    }
    PyObject *number = PyObject_GetAttr(exc, state->str_errno);
    long err = number != NULL && PyLong_Check(number) ? PyLong_AsLong(number) : 0;
    Py_XDECREF(number);
    PyErr_Clear();
    return err == ECONNRESET || err == ECONNABORTED || err == EPIPE || err == ETIMEDOUT;
}

static void
log_write(tc_state *state, const char *logger_name, const char *level, PyObject *text, PyObject *exc)
{
    PyObject *logger = NULL, *method = NULL, *result = NULL, *args = NULL, *kwargs = NULL;
    PyObject *name = PyUnicode_FromFormat("tornado.%s", logger_name);
    if (name == NULL || text == NULL || (logger = PyObject_CallOneArg(state->get_logger, name)) == NULL ||
        (method = PyObject_GetAttrString(logger, level)) == NULL) {
        goto done;
    }
    args = Py_BuildValue("(sO)", "%s", text);
    kwargs = exc != NULL ? Py_BuildValue("{sO}", "exc_info", exc) : NULL;
    if (args == NULL || (exc != NULL && kwargs == NULL)) {
        goto done;
    }
    result = PyObject_Call(method, args, kwargs);
done:
    if (result == NULL) {
        PyErr_WriteUnraisable(logger);
    }
    Py_XDECREF(name);
    Py_XDECREF(logger);
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
}

void
tc_log(tc_state *state, const char *logger, const char *level, const char *format, ...)
{
    PyObject *saved = PyErr_GetRaisedException();
    va_list args;
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    log_write(state, logger, level, text, NULL);
    Py_XDECREF(text);
    if (saved != NULL) {
        PyErr_SetRaisedException(saved);
    }
}

void
tc_log_exception(tc_state *state, const char *logger, const char *format, ...)
{
    PyObject *exc = PyErr_GetRaisedException();
    va_list args;
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args);
    va_end(args);
    log_write(state, logger, "error", text, exc);
    Py_XDECREF(text);
    Py_XDECREF(exc);
}

int
tc_future_init_methods(tc_state *state)
{
    state->future_done = PyObject_GetAttr(state->asyncio_future, state->str_done);
    state->future_set_result = PyObject_GetAttr(state->asyncio_future, state->str_set_result);
    return state->future_done != NULL && state->future_set_result != NULL ? 0 : -1;
}

/* Most Futures are exactly asyncio's, whose methods nobody replaces: no look-up is needed then. */
static inline bool
is_exact(tc_state *state, PyObject *future)
{
    return (PyObject *)Py_TYPE(future) == state->asyncio_future;
}

bool
tc_future_is_done(tc_state *state, PyObject *future)
{
    PyObject *done = is_exact(state, future) ? PyObject_CallOneArg(state->future_done, future)
                                             : PyObject_CallMethodNoArgs(future, state->str_done);
    bool yes = done == NULL || PyObject_IsTrue(done) != 0;
    PyErr_Clear();
    Py_XDECREF(done);
    return yes;
}

void
tc_future_fail_quietly(tc_state *state, PyObject *future, PyObject *exc)
{
    if (tc_future_is_done(state, future)) {
        return;
    }
    PyObject *result = PyObject_CallMethodOneArg(future, state->str_set_exception, exc);
    Py_XDECREF(result);
    if (result != NULL) {
        result = PyObject_CallMethodNoArgs(future, state->str_exception); /* marks it as seen */
        Py_XDECREF(result);
    }
    if (result == NULL) {
        PyErr_WriteUnraisable(future);
    }
}

void
tc_future_resolve(tc_state *state, PyObject *future, PyObject *value)
{
    if (!tc_future_is_done(state, future)) {
        tc_future_resolve_new(state, future, value);
    }
}

void
tc_future_resolve_new(tc_state *state, PyObject *future, PyObject *value)
{
    PyObject *args[2] = {future, value};
    PyObject *result = is_exact(state, future)
                           ? PyObject_Vectorcall(state->future_set_result, args, 2, NULL)
                           : PyObject_CallMethodOneArg(future, state->str_set_result, value);
    if (result == NULL) {
        PyErr_WriteUnraisable(future);
    }
    Py_XDECREF(result);
}
