/* See log.h. */
#include "base/log.h"

#include <stdarg.h>

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
