/* Guest mode: a core that a foreign asyncio loop drives (plain asyncio, uvloop, a notebook's loop).
 *
 * The host watches our poller's descriptor, has one timer for our earliest one, and runs a turn of ours
 * (_guest_turn, which never waits) when either says so or when work was put off. Python's calls go to the
 * host itself. Runs Python: the host's methods. */
#include "event/loop_parts.h"

#include <math.h>

#define GUEST_SLACK 1e-4      /* a host timer this close to the wanted deadline is kept */
#define GUEST_LONGEST 86400.0 /* hosts refuse times beyond their clock's; _guest_due sets the timer again */

static PyObject *
guest_turn_method(LoopCore *core)
{
    return PyObject_GetAttr((PyObject *)core, core->state->str__guest_turn);
}

void
tc_guest_wake(LoopCore *core)
{
    if (core->guest_scheduled || core->closed) {
        return;
    }
    PyObject *method = guest_turn_method(core);
    PyObject *handle =
        method != NULL ? PyObject_CallMethodOneArg(core->host, core->state->str_call_soon, method) : NULL;
    if (handle == NULL) {
        PyErr_WriteUnraisable((PyObject *)core);
    }
    else {
        core->guest_scheduled = true;
    }
    Py_XDECREF(handle);
    Py_XDECREF(method);
}

static void
guest_cancel_timer(LoopCore *core)
{
    PyObject *timer = core->guest_timer;
    core->guest_timer = NULL;
    PyObject *result = PyObject_CallMethodNoArgs(timer, core->state->str_cancel);
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)core);
    }
    Py_XDECREF(result);
    Py_DECREF(timer);
}

/* Whether the host's timer still fits our earliest one. */
static bool
guest_timer_fits(const LoopCore *core, double now)
{
    const tc_timer *first = tc_heap_first(&core->timers);
    return first != NULL && core->guest_when > now &&
           (first->when == core->guest_when ||
            (first->when > core->guest_when && first->when - core->guest_when < GUEST_SLACK));
}

/* A timer of the host's that calls _guest_due. New reference, or NULL with an exception. */
static PyObject *
guest_set_timer(LoopCore *core, double delay)
{
    PyObject *seconds = PyFloat_FromDouble(delay), *timer = NULL;
    PyObject *method =
        seconds != NULL ? PyObject_GetAttr((PyObject *)core, core->state->str__guest_due) : NULL;
    if (method != NULL) {
        PyObject *args[4] = {NULL, core->host, seconds, method};
        timer = PyObject_VectorcallMethod(core->state->str_call_later, args + 1,
                                          3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(method);
    Py_XDECREF(seconds);
    return timer;
}

/* The host's methods may re-enter this, and what they set must not be lost. */
void
tc_guest_timer_changed(LoopCore *core)
{
    double now = tc_clock_now();
    if (core->guest_timer != NULL) {
        if (guest_timer_fits(core, now)) {
            return;
        }
        guest_cancel_timer(core);
    }
    const tc_timer *first = tc_heap_first(&core->timers);
    if (first == NULL || core->closed || core->guest_timer != NULL) {
        return;
    }
    double when = first->when;
    PyObject *timer = guest_set_timer(core, when > now ? fmin(when - now, GUEST_LONGEST) : 0.0);
    if (timer == NULL) {
        PyErr_WriteUnraisable((PyObject *)core);
        return;
    }
    if (core->guest_timer != NULL) {
        guest_cancel_timer(core);
    }
    Py_XSETREF(core->guest_timer, timer);
    core->guest_when = when;
}

int
tc_guest_watch(LoopCore *core)
{
    if (core->guest_polled) {
        return 0;
    }
    int st = tc_poller_ensure(&core->poller);
    if (st != TC_OK) {
        errno = -st;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (core->poller.fd < 0) {
        PyErr_Format(
            PyExc_RuntimeError,
            "streams under a foreign event loop need a poller with a descriptor, which %s(2) has not: "
            "run tornado_c.EventLoop",
            tc_poller_backend());
        return -1;
    }
    PyObject *fd = PyLong_FromLong(core->poller.fd);
    PyObject *method = fd != NULL ? guest_turn_method(core) : NULL;
    PyObject *result = NULL;
    if (method != NULL) {
        PyObject *args[4] = {NULL, core->host, fd, method};
        result = PyObject_VectorcallMethod(core->state->str_add_reader, args + 1,
                                           3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    core->guest_polled = result != NULL;
    Py_XDECREF(result);
    if (core->guest_polled) {
        result = PyObject_CallMethodOneArg((PyObject *)core, core->state->str__watched_by_host, method);
        if (result == NULL) {
            PyErr_WriteUnraisable((PyObject *)core);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(method);
    Py_XDECREF(fd);
    return core->guest_polled ? 0 : -1;
}

/* The host may be closed already, and then has forgotten us. */
static void
guest_unwatch(LoopCore *core)
{
    if (!core->guest_polled) {
        return;
    }
    core->guest_polled = false;
    PyObject *fd = PyLong_FromLong(core->poller.fd);
    PyObject *result =
        fd != NULL ? PyObject_CallMethodOneArg(core->host, core->state->str_remove_reader, fd) : NULL;
    if (result == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(result);
    Py_XDECREF(fd);
}

int
tc_guest_renew_poller(LoopCore *core)
{
    guest_unwatch(core);
    int st = tc_poller_renew(&core->poller);
    if (st != TC_OK) {
        errno = -st;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return core->closed ? 0 : tc_guest_watch(core);
}

void
tc_guest_leave(LoopCore *core)
{
    if (core->guest_timer != NULL) {
        guest_cancel_timer(core);
    }
    guest_unwatch(core);
}

PyObject *
tc_guest_call_soon(LoopCore *core, bool threadsafe, PyObject *callback, PyObject *const *args,
                   Py_ssize_t nargs, PyObject *context)
{
    tc_state *state = core->state;
    PyObject *small[8], **stack = small;
    if (nargs + 4 > (Py_ssize_t)TC_ARRAY_LEN(small)) {
        stack = PyMem_Malloc((size_t)(nargs + 4) * sizeof(*stack));
        if (stack == NULL) {
            return PyErr_NoMemory();
        }
    }
    stack[0] = NULL;
    stack[1] = core->host;
    stack[2] = callback;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        stack[3 + i] = args[i];
    }
    context = tc_arg_or_null(context);
    stack[3 + nargs] = context;
    PyObject *handle = PyObject_VectorcallMethod(
        threadsafe ? state->str_call_soon_threadsafe : state->str_call_soon, stack + 1,
        (size_t)(nargs + 2) | PY_VECTORCALL_ARGUMENTS_OFFSET, context != NULL ? state->kw_context : NULL);
    if (stack != small) {
        PyMem_Free(stack);
    }
    return handle;
}

/* ---- the methods that the host calls, and that leave it ---- */

/* The host calls this when our poller is readable, our earliest timer is due or work was put off. */
PyObject *
tc_loop_guest_turn(LoopCore *core, PyObject *unused)
{
    if (core->host == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this loop is nobody's guest");
        return NULL;
    }
    core->guest_scheduled = false;
    if (core->closed) {
        Py_RETURN_NONE;
    }
    /* KeyboardInterrupt or SystemExit: the host may be run again, and what is left must be done then. */
    PyObject *exc = tc_core_turn_now(core) < 0 ? PyErr_GetRaisedException() : NULL;
    if (!core->closed &&
        (core->ready.size > 0 || !tc_list_empty(&core->tasks) || !tc_list_empty(&core->flushes))) {
        tc_guest_wake(core);
    }
    tc_guest_timer_changed(core);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The host's timer has fired, perhaps a little early by our clock: it is gone either way. */
PyObject *
tc_loop_guest_due(LoopCore *core, PyObject *unused)
{
    Py_CLEAR(core->guest_timer);
    return tc_loop_guest_turn(core, NULL);
}

PyObject *
tc_loop_leave_host(LoopCore *core, PyObject *unused)
{
    if (core->host != NULL) {
        tc_guest_leave(core);
    }
    Py_RETURN_NONE;
}
