/* Argument checks for METH_FASTCALL methods, with CPython's wording of errors. Every function returns
 * 0 on success and -1 with a TypeError (or what a conversion raised) set. */
#ifndef TC_ARGS_H
#define TC_ARGS_H

#include "base/compat.h"

/* A function and its flags in a table of methods: positional arguments only, or keywords as well. */
#define TC_FASTCALL(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL
#define TC_METHOD(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

/* Checks that a call without keywords has between min and max positional arguments. */
int tc_args_check(const char *name, Py_ssize_t nargs, Py_ssize_t min, Py_ssize_t max);

/* Sorts positional and keyword arguments into out[0..count), borrowed, NULL where absent. `names` has
 * `count` interned parameter names; the first `required` must be present. */
int tc_args_sort(const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                 PyObject *const *names, Py_ssize_t count, Py_ssize_t required, PyObject **out);

/* The same, which mostly has nothing to sort: calls pass their arguments by position. */
static inline int
tc_args_parse(const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
              PyObject *const *names, Py_ssize_t count, Py_ssize_t required, PyObject **out)
{
    if (TC_UNLIKELY(kwnames != NULL || nargs < required || nargs > count)) {
        return tc_args_sort(name, args, nargs, kwnames, names, count, required, out);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        out[i] = i < nargs ? args[i] : NULL;
    }
    return 0;
}

/* NULL and None count as "not given". */
static inline PyObject *
tc_arg_or_null(PyObject *arg)
{
    return arg == Py_None ? NULL : arg;
}

#endif
