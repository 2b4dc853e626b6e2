/* Packs what add_callback, call_later and the like were given into the call that a handle makes: see
 * ioloop.h. Runs Python only to make a functools.partial for keyword arguments. */
#include "event/ioloop.h"

void
tc_ioloop_call_free(tc_ioloop_call *call)
{
    if (call->args != call->small) {
        PyMem_Free(call->args);
    }
    Py_XDECREF(call->owned);
}

int
tc_ioloop_call_init(IOLoopObject *self, tc_ioloop_call *call, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    /* As functools.partial, of which Tornado makes one. */
    if (TC_UNLIKELY(!PyCallable_Check(args[0]))) {
        PyErr_SetString(PyExc_TypeError, "the first argument must be callable");
        return -1;
    }
    call->callback = self->state->ioloop_run;
    call->args = call->small;
    call->owned = NULL;
    PyObject *one[1];
    if (TC_UNLIKELY(kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0)) {
        call->owned = PyObject_Vectorcall(self->state->partial, args, (size_t)nargs, kwnames);
        if (call->owned == NULL) {
            return -1;
        }
        one[0] = call->owned;
        args = one;
        nargs = 1;
    }
    call->nargs = nargs + 1;
    if (call->nargs > (Py_ssize_t)TC_ARRAY_LEN(call->small)) {
        call->args = PyMem_Malloc((size_t)call->nargs * sizeof(PyObject *));
        if (call->args == NULL) {
            call->args = call->small;
            tc_ioloop_call_free(call);
            PyErr_NoMemory();
            return -1;
        }
    }
    call->args[0] = (PyObject *)self;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        call->args[1 + i] = args[i];
    }
    return 0;
}

void
tc_ioloop_bound_free(tc_ioloop_bound *bound)
{
    PyMem_Free(bound->memory);
    Py_XDECREF(bound->own_names);
}

static Py_ssize_t
ioloop_find_keyword(PyObject *kwnames, PyObject *name)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, i);
        if (key == name || PyUnicode_Compare(key, name) == 0) {
            return i;
        }
    }
    return -1;
}

int
tc_ioloop_bind(const char *method, PyObject *const *names, Py_ssize_t count, PyObject *const *args,
               Py_ssize_t nargs, PyObject *kwnames, tc_ioloop_bound *bound)
{
    *bound = (tc_ioloop_bound){.args = args, .nargs = nargs, .kwnames = kwnames};
    if (TC_LIKELY(nargs >= count)) {
        return 0;
    }
    Py_ssize_t nkw = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0, rest = 0;
    bound->memory = PyMem_Malloc((size_t)(count + nkw) * sizeof(PyObject *));
    bound->own_names = PyTuple_New(nkw > count - nargs ? nkw - (count - nargs) : 0);
    if (bound->memory == NULL || bound->own_names == NULL) {
        tc_ioloop_bound_free(bound);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t at = i < nargs ? -1 : nkw > 0 ? ioloop_find_keyword(kwnames, names[i]) : -1;
        if (i >= nargs && at < 0) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%U' (pos %zd)", method, names[i],
                         i + 1);
            tc_ioloop_bound_free(bound);
            return -1;
        }
        bound->memory[i] = i < nargs ? args[i] : args[nargs + at];
    }
    for (Py_ssize_t i = 0; i < nkw; i++) {
        bool taken = false;
        for (Py_ssize_t k = nargs; k < count; k++) {
            taken |= PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, i), names[k]) == 0;
        }
        if (!taken) {
            bound->memory[count + rest] = args[nargs + i];
            PyTuple_SET_ITEM(bound->own_names, rest++, Py_NewRef(PyTuple_GET_ITEM(kwnames, i)));
        }
    }
    bound->args = bound->memory;
    bound->nargs = count;
    bound->kwnames = rest > 0 ? bound->own_names : NULL;
    return 0;
}
