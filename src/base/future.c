/* See future.h. */
#include "base/future.h"

int
tc_future_init_methods(tc_state *state)
{
    state->future_done = PyObject_GetAttr(state->asyncio_future, state->str_done);
    state->future_set_result = PyObject_GetAttr(state->asyncio_future, state->str_set_result);
    return state->future_done != NULL && state->future_set_result != NULL ? 0 : -1;
}

/* Most Futures are exactly asyncio's, whose methods cannot be replaced: no look-up is needed then. */
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
