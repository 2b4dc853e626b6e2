/* The methods and attributes of Handle and TimerHandle: Python sees asyncio's fields wherever they are kept. */
#include "event/handle.h"

/* ---- methods ---- */

PyDoc_STRVAR(handle_cancel_doc, "cancel($self, /)\n--\n\nCancel the call; a timer leaves the loop at once.");

/* Whether the slot _cancelled says so: 1, 0, or -1 with an exception. May run Python. */
static int
handle_says_cancelled(PyObject *handle)
{
    PyObject *cancelled = SLOT(handle, cancelled);
    if (TC_LIKELY(cancelled == Py_False || cancelled == Py_True || cancelled == NULL)) {
        return cancelled == Py_True;
    }
    Py_INCREF(cancelled);
    int truth = PyObject_IsTrue(cancelled);
    Py_DECREF(cancelled);
    return truth;
}

static bool
handle_in_debug_mode(PyObject *handle)
{
    if (TC_LIKELY(tc_timer_pending(tc_handle_timer(handle)))) {
        return EXTRA(handle)->core->debug;
    }
    const tc_state *state = EXTRA(handle)->state;
    PyObject *loop = SLOT(handle, loop);
    return loop != NULL && state != NULL && PyObject_TypeCheck(loop, state->core_type) &&
           ((LoopCore *)loop)->debug;
}

static PyObject *
handle_cancel(PyObject *handle, PyObject *unused)
{
    int cancelled = handle_says_cancelled(handle);
    if (cancelled < 0) {
        return NULL;
    }
    if (cancelled) {
        Py_RETURN_NONE;
    }
    Py_INCREF(handle);
    Py_XSETREF(SLOT(handle, cancelled), Py_NewRef(Py_True));
    if (TC_UNLIKELY(handle_in_debug_mode(handle))) {
        /* Kept for the log, since the callback goes away now. May run Python; says "cancelled" by now. */
        PyObject *repr = PyObject_Repr(handle);
        if (repr == NULL) {
            Py_DECREF(handle);
            return NULL;
        }
        Py_XSETREF(SLOT(handle, repr), repr);
    }
    Py_CLEAR(SLOT(handle, callback));
    tc_handle_clear_args(handle);
    tc_timer *timer = tc_handle_timer(handle);
    if (tc_timer_pending(timer)) {
        tc_heap_remove(&EXTRA(handle)->core->timers, timer);
        Py_DECREF(handle); /* the heap's reference */
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

static PyObject *
handle_cancelled(PyObject *handle, PyObject *unused)
{
    return Py_NewRef(SLOT(handle, cancelled) != NULL ? SLOT(handle, cancelled) : Py_False);
}

static PyObject *
handle_get_context(PyObject *handle, PyObject *unused)
{
    return Py_NewRef(SLOT(handle, context) != NULL ? SLOT(handle, context) : Py_None);
}

/* ---- attributes ---- */

static PyObject *
handle_get_args(PyObject *handle, void *unused)
{
    const HandleExtra *extra = EXTRA(handle);
    if (extra->nargs < 0) {
        return Py_NewRef(SLOT(handle, args) != NULL ? SLOT(handle, args) : Py_None);
    }
    if (SLOT(handle, callback) == NULL) {
        Py_RETURN_NONE;
    }
    /* Held: making a tuple may collect, and a finalizer cancel the handle. */
    int nargs = extra->nargs;
    PyObject *arg0 = nargs >= 1 ? Py_NewRef(extra->arg0) : NULL;
    PyObject *arg1 = nargs >= 2 ? Py_NewRef(extra->arg1) : NULL;
    PyObject *args = PyTuple_Pack(nargs, arg0, arg1);
    Py_XDECREF(arg0);
    Py_XDECREF(arg1);
    return args;
}

static int
handle_put_args(PyObject *handle, PyObject *value, void *unused)
{
    Py_XINCREF(value);
    tc_handle_clear_args(handle); /* may run Python */
    EXTRA(handle)->nargs = -1;
    Py_XSETREF(SLOT(handle, args), value);
    return 0;
}

/* One of asyncio's slots, by its offset; None where it is empty. */
static PyObject *
handle_get_slot(PyObject *handle, void *offset)
{
    PyObject *value = *(PyObject **)((char *)handle + *(const Py_ssize_t *)offset);
    return Py_NewRef(value != NULL ? value : Py_None);
}

static int
handle_put_slot(PyObject *handle, PyObject *value, void *offset)
{
    PyObject **place = (PyObject **)((char *)handle + *(const Py_ssize_t *)offset);
    Py_XSETREF(*place, Py_XNewRef(value));
    return 0;
}

/* The slot _when is filled only where the key in the heap does not represent the value. */
static PyObject *
timer_handle_get_when(PyObject *handle, void *unused)
{
    PyObject *when = SLOT(handle, when);
    return when != NULL ? Py_NewRef(when) : PyFloat_FromDouble(EXTRA(handle)->timer.when);
}

static int
timer_handle_put_when(PyObject *handle, PyObject *value, void *unused)
{
    tc_timer *timer = tc_handle_timer(handle);
    double when = value != NULL ? PyFloat_AsDouble(value) : 0.0; /* may run Python */
    if (when == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    Py_XSETREF(SLOT(handle, when), Py_XNewRef(value));
    if (tc_timer_pending(timer)) {
        return tc_core_timer_set(EXTRA(handle)->core, timer, when);
    }
    timer->when = when;
    return 0;
}

static PyObject *
timer_handle_when(PyObject *handle, PyObject *unused)
{
    return timer_handle_get_when(handle, NULL);
}

static PyObject *
timer_handle_get_scheduled(PyObject *handle, void *unused)
{
    return PyBool_FromLong(tc_timer_pending(tc_handle_timer(handle)));
}

/* Turns of Python's set it; the heap knows. */
static int
timer_handle_put_scheduled(PyObject *handle, PyObject *value, void *unused)
{
    return 0;
}

PyMethodDef tc_handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, handle_cancel_doc},
    {"cancelled", handle_cancelled, METH_NOARGS,
     "cancelled($self, /)\n--\n\nWhether the call was cancelled."},
    {"get_context", handle_get_context, METH_NOARGS, "get_context($self, /)\n--\n\nThe context of the call."},
    {NULL, NULL, 0, NULL},
};

PyMethodDef tc_timer_handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, handle_cancel_doc},
    {"cancelled", handle_cancelled, METH_NOARGS,
     "cancelled($self, /)\n--\n\nWhether the call was cancelled."},
    {"get_context", handle_get_context, METH_NOARGS, "get_context($self, /)\n--\n\nThe context of the call."},
    {"when", timer_handle_when, METH_NOARGS,
     "when($self, /)\n--\n\nThe deadline on the loop's clock, seconds."},
    {NULL, NULL, 0, NULL},
};

#define SLOT_ATTRIBUTE(name)                                                                                 \
    {                                                                                                        \
        "_" #name, handle_get_slot, handle_put_slot, NULL, &tc_handle_slots.name                             \
    }
#define COMMON_ATTRIBUTES                                                                                    \
    {"_args", handle_get_args, handle_put_args, NULL, NULL}, SLOT_ATTRIBUTE(callback),                       \
        SLOT_ATTRIBUTE(source_traceback), SLOT_ATTRIBUTE(repr)

PyGetSetDef tc_handle_getset[] = {
    COMMON_ATTRIBUTES,
    {NULL},
};

PyGetSetDef tc_timer_handle_getset[] = {
    COMMON_ATTRIBUTES,
    {"_when", timer_handle_get_when, timer_handle_put_when, NULL, NULL},
    {"_scheduled", timer_handle_get_scheduled, timer_handle_put_scheduled, NULL, NULL},
    {NULL},
};
