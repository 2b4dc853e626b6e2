/* Calls in a context, and callbacks that are kept with one. */
#ifndef TC_CONTEXT_H
#define TC_CONTEXT_H

#include "base/compat.h"

/* Leaves a context that was entered for a call. If the call `failed`, its exception stays set. An error of
 * the exit itself is reported as unraisable; `source` is what was called. */
static inline void
tc_context_exit(PyObject *context, bool failed, PyObject *source)
{
    PyObject *exc = TC_UNLIKELY(failed) ? PyErr_GetRaisedException() : NULL;
    if (PyContext_Exit(context) < 0) {
        PyErr_WriteUnraisable(source);
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

/* A context with the variables of the current one, new reference: that itself where it can be had without a copy. */
static inline PyObject *
tc_context_look(void)
{
#if PY_VERSION_HEX < 0x030e0000
    PyObject *current = PyThreadState_Get()->context;
    if (TC_LIKELY(current != NULL)) {
        return Py_NewRef(current);
    }
#endif
    return PyContext_CopyCurrent();
}

/* Have two contexts the same variables? They are an immutable map, CPython's second field of a context. False
 * where that is not known. */
static inline bool
tc_context_is_same(PyObject *a, PyObject *b)
{
#if PY_VERSION_HEX < 0x030e0000
    return ((PyObject **)((char *)a + sizeof(PyObject)))[1] ==
           ((PyObject **)((char *)b + sizeof(PyObject)))[1];
#else
    return false;
#endif
}

#if PY_VERSION_HEX < 0x030e0000
/* Two contexts that are not entered exchange their variables. */
static inline void
tc_context_swap(PyObject *a, PyObject *b)
{
    PyObject **one = (PyObject **)((char *)a + sizeof(PyObject)) + 1;
    PyObject **other = (PyObject **)((char *)b + sizeof(PyObject)) + 1;
    PyObject *variables = *one;
    *one = *other;
    *other = variables;
}
#endif

/* For a callback to be called later: *context becomes a copy of the current context, or NULL if there is no
 * callback. 0, or -1 with an exception. */
static inline int
tc_context_capture(PyObject *callback, PyObject **context)
{
    *context = callback != NULL ? PyContext_CopyCurrent() : NULL;
    return callback != NULL && *context == NULL ? -1 : 0;
}

#endif
