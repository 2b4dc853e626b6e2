/* Functions that not all of the CPython versions have that we build for (3.11 to 3.14), and the includes that go with
 * them. Files that know Python include this instead of Python.h. */
#ifndef TC_COMPAT_H
#define TC_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "base/base.h"

#if PY_VERSION_HEX < 0x030b0000
#error "tornado_c needs CPython 3.11 or newer"
#endif

#if PY_VERSION_HEX < 0x030c0000
/* The exception that is set, as one normalised object with its traceback; NULL if there is none. */
static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static inline void
PyErr_SetRaisedException(PyObject *exc) /* steals */
{
    PyErr_Restore(Py_NewRef(Py_TYPE(exc)), exc, PyException_GetTraceback(exc));
}
#endif

#if PY_VERSION_HEX < 0x030d0000
/* 1 found (*result is a new reference), 0 missing, -1 raised. */
static inline int
PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **result)
{
    PyObject *value = PyDict_GetItemWithError(dict, key);
    if (value != NULL) {
        *result = Py_NewRef(value);
        return 1;
    }
    *result = NULL;
    return PyErr_Occurred() ? -1 : 0;
}

static inline int
PyObject_GetOptionalAttr(PyObject *obj, PyObject *name, PyObject **result)
{
    return _PyObject_LookupAttr(obj, name, result);
}
#endif

/* What a weak reference refers to, borrowed; None where that is gone. */
static inline PyObject *
tc_weakref_target(PyObject *ref)
{
#if PY_VERSION_HEX >= 0x030d0000
    PyObject *target;
    if (PyWeakref_GetRef(ref, &target) <= 0) {
        return Py_None;
    }
    Py_DECREF(target); /* others hold it */
    return target;
#else
    return PyWeakref_GET_OBJECT(ref);
#endif
}

/* The value of an exact int of one digit (30 bits or fewer); false for any other object. */
static inline bool
tc_long_is_small(PyObject *obj, int *value)
{
    if (!PyLong_CheckExact(obj)) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030c0000
    if (!PyUnstable_Long_IsCompact((PyLongObject *)obj)) {
        return false;
    }
    *value = (int)PyUnstable_Long_CompactValue((PyLongObject *)obj);
#else
    Py_ssize_t size = Py_SIZE(obj);
    if (size < -1 || size > 1) {
        return false;
    }
    *value = size == 0 ? 0 : (int)size * (int)((PyLongObject *)obj)->ob_digit[0];
#endif
    return true;
}

/* A number that changes with the contents of a dict and is no other dict's; 0 where this Python has none, and for
 * the dict of an instance on 3.13, where an attribute that is set leaves it as it was. */
static inline uint64_t
tc_dict_version(PyObject *dict)
{
#if PY_VERSION_HEX < 0x030e0000
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* from 3.12 on: 3.14 has it no more */
    const PyDictObject *self = (const PyDictObject *)dict;
    return PY_VERSION_HEX < 0x030d0000 || self->ma_values == NULL ? self->ma_version_tag : 0;
#pragma GCC diagnostic pop
#else
    return 0;
#endif
}

#endif
