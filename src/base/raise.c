/* See raise.h. */
#include "base/raise.h"

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
