/* call_soon and its kin, the methods of LoopCore by which Python schedules calls: their arguments and debug
 * mode's checks; core.c does the work. Only call_soon_threadsafe may be called from other threads. */
#include "event/loop_parts.h"

#include <math.h>

/* 1, 0 or -1. */
static int
host_says(LoopCore *core, PyObject *method)
{
    PyObject *result = PyObject_CallMethodNoArgs(core->host, method);
    int yes = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return yes;
}

int
tc_core_assert_thread(LoopCore *core)
{
    if (core->host != NULL) {
        PyObject *here = tc_running_loop(core->state);
        Py_XDECREF(here);
        int wrong = here == NULL ? -1 : here == core->host ? 0 : host_says(core, core->state->str_is_running);
        wrong = wrong > 0 ? host_says(core, core->state->str_get_debug) : wrong;
        if (wrong <= 0) {
            return wrong;
        }
    }
    PyErr_SetString(PyExc_RuntimeError,
                    "Non-thread-safe operation invoked on an event loop other than the current one");
    return -1;
}

/* Debug mode checks the callback and, except for the thread-safe call, the thread. */
static int
call_debug_checks(LoopCore *core, PyObject *callback, PyObject *name, bool check_thread)
{
    if (check_thread) {
        PyObject *result = PyObject_CallMethodNoArgs((PyObject *)core, core->state->str__check_thread);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    PyObject *args[4] = {NULL, (PyObject *)core, callback, name};
    PyObject *result = PyObject_VectorcallMethod(core->state->str__check_callback, args + 1,
                                                 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* asyncio's Tasks have an object of their own for the key, which is compared once. */
static bool
call_is_context(tc_state *state, PyObject *key)
{
    if (TC_LIKELY(key == state->context_key || key == state->str_context)) {
        return true;
    }
    if (PyUnicode_Compare(key, state->str_context) != 0) {
        return false;
    }
    if (state->context_key == NULL) {
        state->context_key = Py_NewRef(key);
    }
    return true;
}

/* The one keyword that the call_* methods take. */
static int
call_context_argument(const char *name, LoopCore *core, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames, PyObject **context)
{
    *context = NULL;
    Py_ssize_t nkw = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < nkw; i++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, i);
        if (!call_is_context(core->state, key)) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name, key);
            return -1;
        }
        *context = args[nargs + i];
    }
    return 0;
}

static int
call_check_count(const char *name, Py_ssize_t nargs, Py_ssize_t required)
{
    if (nargs < required) {
        PyErr_Format(PyExc_TypeError, "%s() missing %zd required positional argument%s", name,
                     required - nargs, required - nargs == 1 ? "" : "s");
        return -1;
    }
    return 0;
}

PyObject *
tc_loop_call_soon(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    if (call_check_count("call_soon", nargs, 1) < 0 ||
        call_context_argument("call_soon", core, args, nargs, kwnames, &context) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed &&
        call_debug_checks(core, args[0], core->state->str_call_soon, true) < 0) {
        return NULL;
    }
    return tc_core_call_soon(core, args[0], args + 1, nargs - 1, context);
}

PyObject *
tc_loop_call_soon_threadsafe(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    if (call_check_count("call_soon_threadsafe", nargs, 1) < 0 ||
        call_context_argument("call_soon_threadsafe", core, args, nargs, kwnames, &context) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed &&
        call_debug_checks(core, args[0], core->state->str_call_soon_threadsafe, false) < 0) {
        return NULL;
    }
    return tc_core_call_soon_threadsafe(core, args[0], args + 1, nargs - 1, context);
}

/* A time in seconds. asyncio's call_at compares whole numbers as they are: one that no float holds is never,
 * or at once. */
static int
call_seconds(PyObject *seconds, bool later, double *result)
{
    if (seconds == Py_None) {
        PyErr_SetString(PyExc_TypeError, later ? "delay must not be None" : "when cannot be None");
        return -1;
    }
    *result = PyFloat_AsDouble(seconds);
    if (*result != -1.0 || !PyErr_Occurred()) {
        return 0;
    }
    if (later || !PyLong_Check(seconds) || !PyErr_ExceptionMatches(PyExc_OverflowError)) {
        return -1;
    }
    PyErr_Clear();
    *result = _PyLong_Sign(seconds) * INFINITY;
    return 0;
}

static PyObject *
call_at_time(LoopCore *core, const char *name, PyObject *str_name, bool later, PyObject *const *args,
             Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    double when;
    if (call_check_count(name, nargs, 2) < 0 ||
        call_context_argument(name, core, args, nargs, kwnames, &context) < 0 ||
        call_seconds(args[0], later, &when) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed && call_debug_checks(core, args[1], str_name, true) < 0) {
        return NULL;
    }
    if (later) {
        when += tc_core_time(core);
    }
    return tc_core_call_at(core, when, args[1], args + 2, nargs - 2, context);
}

PyObject *
tc_loop_call_later(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return call_at_time(core, "call_later", core->state->str_call_later, true, args, nargs, kwnames);
}

PyObject *
tc_loop_call_at(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return call_at_time(core, "call_at", core->state->str_call_at, false, args, nargs, kwnames);
}
