/* See args.h. May run Python only to build an error message. */
#include "base/args.h"

int
tc_args_check(const char *name, Py_ssize_t nargs, Py_ssize_t min, Py_ssize_t max)
{
    if (TC_LIKELY(nargs >= min && nargs <= max)) {
        return 0;
    }
    if (min == max) {
        PyErr_Format(PyExc_TypeError, "%s() takes exactly %zd argument%s (%zd given)", name, min,
                     min == 1 ? "" : "s", nargs);
    }
    else if (nargs < min) {
        PyErr_Format(PyExc_TypeError, "%s() takes at least %zd argument%s (%zd given)", name, min,
                     min == 1 ? "" : "s", nargs);
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd argument%s (%zd given)", name, max,
                     max == 1 ? "" : "s", nargs);
    }
    return -1;
}

/* The index of a keyword among the parameter names, or -1. */
static Py_ssize_t
args_find_name(PyObject *key, PyObject *const *names, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (names[i] == key) {
            return i;
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyUnicode_Compare(names[i], key) == 0) {
            return i;
        }
    }
    return -1;
}

int
tc_args_sort(const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject *const *names, Py_ssize_t count, Py_ssize_t required, PyObject **out)
{
    if (nargs > count) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd argument%s (%zd given)", name, count,
                     count == 1 ? "" : "s", nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        out[i] = i < nargs ? args[i] : NULL;
    }
    Py_ssize_t nkw = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < nkw; k++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, k);
        Py_ssize_t i = args_find_name(key, names, count);
        if (i < 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name, key);
            return -1;
        }
        if (out[i] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", name, key);
            return -1;
        }
        out[i] = args[nargs + k];
    }
    for (Py_ssize_t i = 0; i < required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%U' (pos %zd)", name, names[i],
                         i + 1);
            return -1;
        }
    }
    return 0;
}
