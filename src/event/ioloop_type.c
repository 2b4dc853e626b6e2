/* IOLoopBase: the C base of tornado_c.ioloop.IOLoop, Tornado's interface over a LoopCore. What is hot is
 * here; configuration, run_sync and the other cold methods are in ioloop.py. How callbacks are packed and run
 * is in ioloop_call.c and ioloop_run.c. add_callback may be called from any thread. */
#include "event/core_parts.h"
#include "event/fd_callbacks.h"
#include "event/ioloop.h"
#include "event/runner.h"

LoopCore *
tc_ioloop_core(IOLoopObject *self)
{
    if (TC_UNLIKELY(self->core == NULL)) {
        PyErr_SetString(PyExc_RuntimeError, "this IOLoop was not initialized");
    }
    return self->core;
}

/* ---- life cycle ---- */

static PyObject *
ioloop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    IOLoopObject *self = (IOLoopObject *)type->tp_alloc(type, 0);
    if (self != NULL && (self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
ioloop_traverse(IOLoopObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->core);
    return 0;
}

static void
ioloop_detach(IOLoopObject *self)
{
    LoopCore *core = self->core;
    self->core = NULL;
    if (core != NULL && core->ioloop == (PyObject *)self) {
        core->ioloop = NULL;
    }
    Py_XDECREF(core);
}

static int
ioloop_clear(IOLoopObject *self)
{
    ioloop_detach(self);
    return 0;
}

static void
ioloop_dealloc(IOLoopObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ioloop_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(ioloop_attach_doc, "_attach($self, core, /)\n--\n\nBind this IOLoop to its LoopCore.");

static PyObject *
ioloop_attach(IOLoopObject *self, PyObject *core)
{
    if (!PyObject_TypeCheck(core, self->state->core_type)) {
        return PyErr_Format(PyExc_TypeError, "expected a LoopCore, got %.200s", Py_TYPE(core)->tp_name);
    }
    /* For life: methods that run Python use their core afterwards. */
    if (self->core != NULL && self->core != (LoopCore *)core) {
        PyErr_SetString(PyExc_RuntimeError, "this IOLoop has its loop already");
        return NULL;
    }
    if (self->core == NULL) {
        self->core = (LoopCore *)Py_NewRef(core);
    }
    self->core->ioloop = (PyObject *)self;
    Py_RETURN_NONE;
}

/* ---- callbacks ---- */

PyDoc_STRVAR(ioloop_run_callback_doc, "_run_callback($self, callback, /)\n--\n\n"
                                      "Run a callback; log its exception, await what it returns.");

static PyObject *
ioloop_run_callback(IOLoopObject *self, PyObject *callback)
{
    if (tc_ioloop_core(self) == NULL) {
        return NULL;
    }
    return tc_ioloop_run(self, callback, NULL, 0);
}

static PyObject *
ioloop_enqueue(IOLoopObject *self, const char *name, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    LoopCore *core = tc_ioloop_core(self);
    PyObject *const names[] = {self->state->str_callback};
    tc_ioloop_bound bound;
    if (core == NULL || tc_ioloop_bind(name, names, 1, args, nargs, kwnames, &bound) < 0) {
        return NULL;
    }
    if (core->closed) {
        tc_ioloop_bound_free(&bound);
        Py_RETURN_NONE; /* as Tornado: a callback added to a closed loop is dropped */
    }
    tc_ioloop_call call;
    int failed = tc_ioloop_call_init(self, &call, bound.args, bound.nargs, bound.kwnames);
    tc_ioloop_bound_free(&bound);
    if (failed) {
        return NULL;
    }
    bool here = core->running && core->thread_id == PyThread_get_thread_ident();
    PyObject *handle = here ? tc_core_call_soon(core, call.callback, call.args, call.nargs, NULL)
                            : tc_core_call_soon_threadsafe(core, call.callback, call.args, call.nargs, NULL);
    tc_ioloop_call_free(&call);
    if (handle == NULL) {
        if (core->host != NULL && PyErr_ExceptionMatches(PyExc_RuntimeError)) {
            PyErr_Clear(); /* the host is closed */
            Py_RETURN_NONE;
        }
        return NULL;
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(ioloop_add_callback_doc,
             "add_callback($self, callback, *args, **kwargs)\n--\n\n"
             "Call ``callback(*args, **kwargs)`` in the loop's next turn. Safe from any thread.");

static PyObject *
ioloop_add_callback(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return ioloop_enqueue(self, "add_callback", args, nargs, kwnames);
}

PyDoc_STRVAR(ioloop_spawn_callback_doc, "spawn_callback($self, callback, *args, **kwargs)\n--\n\n"
                                        "As add_callback.");

static PyObject *
ioloop_spawn_callback(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return ioloop_enqueue(self, "spawn_callback", args, nargs, kwnames);
}

/* ---- timers ---- */

static PyObject *
ioloop_schedule(IOLoopObject *self, double delay, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    LoopCore *core = tc_ioloop_core(self);
    tc_ioloop_call call;
    if (core == NULL || tc_ioloop_call_init(self, &call, args, nargs, kwnames) < 0) {
        return NULL;
    }
    PyObject *handle = tc_core_call_at(core, tc_core_time(core) + (delay > 0.0 ? delay : 0.0), call.callback,
                                       call.args, call.nargs, NULL);
    tc_ioloop_call_free(&call);
    return handle;
}

/* This loop's wall clock, where a subclass may have its own time(). */
static int
ioloop_time_now(IOLoopObject *self, double *now)
{
    PyObject *value = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_time);
    if (value == NULL) {
        return -1;
    }
    *now = PyFloat_AsDouble(value);
    Py_DECREF(value);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
ioloop_call_later_bound(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    double delay = PyFloat_AsDouble(args[0]);
    if (delay == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return ioloop_schedule(self, delay, args + 1, nargs - 1, kwnames);
}

PyDoc_STRVAR(ioloop_call_later_doc,
             "call_later($self, delay, callback, *args, **kwargs)\n--\n\n"
             "Call callback after ``delay`` seconds; return a handle for remove_timeout().");

static PyObject *
ioloop_call_later(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_delay, self->state->str_callback};
    tc_ioloop_bound bound;
    if (tc_ioloop_bind("call_later", names, 2, args, nargs, kwnames, &bound) < 0) {
        return NULL;
    }
    PyObject *handle = ioloop_call_later_bound(self, bound.args, bound.nargs, bound.kwnames);
    tc_ioloop_bound_free(&bound);
    return handle;
}

static PyObject *
ioloop_call_at_bound(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    double when = PyFloat_AsDouble(args[0]), now;
    if ((when == -1.0 && PyErr_Occurred()) || ioloop_time_now(self, &now) < 0) {
        return NULL;
    }
    return ioloop_schedule(self, when - now, args + 1, nargs - 1, kwnames);
}

PyDoc_STRVAR(ioloop_call_at_doc,
             "call_at($self, when, callback, *args, **kwargs)\n--\n\n"
             "Call callback when time() reads ``when``, seconds since the epoch; return a handle.");

static PyObject *
ioloop_call_at(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_when, self->state->str_callback};
    tc_ioloop_bound bound;
    if (tc_ioloop_bind("call_at", names, 2, args, nargs, kwnames, &bound) < 0) {
        return NULL;
    }
    PyObject *handle = ioloop_call_at_bound(self, bound.args, bound.nargs, bound.kwnames);
    tc_ioloop_bound_free(&bound);
    return handle;
}

static PyObject *
ioloop_add_timeout_bound(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (PyFloat_Check(args[0]) || PyLong_Check(args[0]) || PyIndex_Check(args[0])) {
        return ioloop_call_at_bound(self, args, nargs, kwnames);
    }
    if (PyObject_HasAttr(args[0], self->state->str_total_seconds)) {
        PyObject *seconds = PyObject_CallMethodNoArgs(args[0], self->state->str_total_seconds);
        double delay = seconds != NULL ? PyFloat_AsDouble(seconds) : -1.0;
        Py_XDECREF(seconds);
        if (delay == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
        return ioloop_schedule(self, delay, args + 1, nargs - 1, kwnames);
    }
    int real = PyObject_IsInstance(args[0], self->state->number_real);
    if (real < 0) {
        return NULL;
    }
    if (real) {
        return ioloop_call_at_bound(self, args, nargs, kwnames);
    }
    return PyErr_Format(PyExc_TypeError, "Unsupported deadline %R", args[0]);
}

PyDoc_STRVAR(ioloop_add_timeout_doc,
             "add_timeout($self, deadline, callback, *args, **kwargs)\n--\n\n"
             "Call callback at a time.\n\n"
             ":param deadline: a number on the scale of time(), or a timedelta from now.\n"
             ":returns: a handle for remove_timeout().\n"
             ":raises TypeError: the deadline is of another kind.");

static PyObject *
ioloop_add_timeout(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_deadline, self->state->str_callback};
    tc_ioloop_bound bound;
    if (tc_ioloop_bind("add_timeout", names, 2, args, nargs, kwnames, &bound) < 0) {
        return NULL;
    }
    PyObject *handle = ioloop_add_timeout_bound(self, bound.args, bound.nargs, bound.kwnames);
    tc_ioloop_bound_free(&bound);
    return handle;
}

static PyObject *
ioloop_remove_timeout(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_timeout};
    PyObject *timeout;
    if (tc_args_parse("remove_timeout", args, nargs, kwnames, names, 1, 1, &timeout) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethodNoArgs(timeout, self->state->str_cancel);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

static PyObject *
ioloop_time(IOLoopObject *self, PyObject *unused)
{
    return PyFloat_FromDouble(tc_clock_wall());
}

/* ---- descriptors ---- */

/* Splits an int or an object with fileno() into its number; -1 with an exception. */
static int
ioloop_fd(IOLoopObject *self, PyObject *fd_obj)
{
    if (PyLong_Check(fd_obj)) {
        long fd = PyLong_AsLong(fd_obj);
        if (fd < 0 || fd > INT32_MAX) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
            }
            return -1;
        }
        return (int)fd;
    }
    return PyObject_AsFileDescriptor(fd_obj);
}

PyDoc_STRVAR(ioloop_add_handler_doc, "add_handler($self, fd, handler, events)\n--\n\n"
                                     "Call ``handler(fd, events)`` when a descriptor is ready.\n\n"
                                     ":param fd: its number, or an object with fileno().\n"
                                     ":param events: READ, WRITE or both; ERROR is always reported.\n"
                                     ":raises ValueError: the descriptor has a handler already.");

static PyObject *
ioloop_add_handler(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_fd, self->state->str_handler, self->state->str_events};
    PyObject *values[3];
    LoopCore *core = tc_ioloop_core(self);
    if (core == NULL || tc_args_parse("add_handler", args, nargs, kwnames, names, 3, 3, values) < 0) {
        return NULL;
    }
    int fd = ioloop_fd(self, values[0]);
    unsigned long events = PyLong_AsUnsignedLong(values[2]);
    if (fd < 0 || (events == (unsigned long)-1 && PyErr_Occurred())) {
        return NULL;
    }
    if (tc_fd_set_handler(core, fd, values[0], values[1], (unsigned)events) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(ioloop_update_handler_doc, "update_handler($self, fd, events)\n--\n\n"
                                        "Change the events that a descriptor's handler is called for.");

static PyObject *
ioloop_update_handler(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_fd, self->state->str_events};
    PyObject *values[2];
    LoopCore *core = tc_ioloop_core(self);
    if (core == NULL || tc_args_parse("update_handler", args, nargs, kwnames, names, 2, 2, values) < 0) {
        return NULL;
    }
    int fd = ioloop_fd(self, values[0]);
    unsigned long events = PyLong_AsUnsignedLong(values[1]);
    if (fd < 0 || (events == (unsigned long)-1 && PyErr_Occurred()) ||
        tc_fd_update_handler(core, fd, (unsigned)events) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(ioloop_remove_handler_doc, "remove_handler($self, fd)\n--\n\nStop watching a descriptor.");

static PyObject *
ioloop_remove_handler(IOLoopObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_fd};
    PyObject *fd_obj;
    if (tc_args_parse("remove_handler", args, nargs, kwnames, names, 1, 1, &fd_obj) < 0) {
        return NULL;
    }
    LoopCore *core = tc_ioloop_core(self);
    if (core == NULL) {
        return NULL;
    }
    int fd = PyLong_Check(fd_obj) ? -1 : tc_fd_of_object(core, fd_obj);
    if (fd < 0 && (fd = ioloop_fd(self, fd_obj)) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return NULL;
        }
        PyErr_Clear(); /* a closed file or socket that has no handler */
        Py_RETURN_NONE;
    }
    tc_fd_remove_handler(core, fd);
    Py_RETURN_NONE;
}

static PyObject *
ioloop_handlers(IOLoopObject *self, PyObject *unused)
{
    return self->core != NULL ? tc_fd_handlers(self->core) : PyList_New(0);
}

/* ---- the current loop ---- */

PyDoc_STRVAR(ioloop_running_doc, "running_ioloop()\n--\n\n"
                                 "The IOLoop of the native loop that runs in this thread, or None.");

static PyObject *
ioloop_running_instance(PyObject *module, PyObject *unused)
{
    tc_state *state = PyModule_GetState(module);
    PyObject *loop = tc_running_loop(state);
    if (loop == NULL) {
        return NULL;
    }
    PyObject *found = Py_None;
    if (loop != Py_None && PyObject_TypeCheck(loop, state->core_type) &&
        tc_core_ioloop((LoopCore *)loop) != NULL) {
        found = tc_core_ioloop((LoopCore *)loop);
    }
    Py_INCREF(found);
    Py_DECREF(loop);
    return found;
}

PyMethodDef tc_ioloop_functions[] = {
    {"running_ioloop", ioloop_running_instance, METH_NOARGS, ioloop_running_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ioloop_members[] = {
    {"_core", T_OBJECT, offsetof(IOLoopObject, core), READONLY, NULL},
    {NULL},
};

static PyMethodDef ioloop_methods[] = {
    {"add_callback", TC_METHOD(ioloop_add_callback), ioloop_add_callback_doc},
    {"spawn_callback", TC_METHOD(ioloop_spawn_callback), ioloop_spawn_callback_doc},
    {"call_later", TC_METHOD(ioloop_call_later), ioloop_call_later_doc},
    {"call_at", TC_METHOD(ioloop_call_at), ioloop_call_at_doc},
    {"add_timeout", TC_METHOD(ioloop_add_timeout), ioloop_add_timeout_doc},
    {"remove_timeout", TC_METHOD(ioloop_remove_timeout),
     "remove_timeout($self, timeout)\n--\n\nCancel a timeout, also one that has run."},
    {"time", (PyCFunction)ioloop_time, METH_NOARGS,
     "time($self, /)\n--\n\nSeconds since the epoch, as time.time()."},
    {"add_handler", TC_METHOD(ioloop_add_handler), ioloop_add_handler_doc},
    {"update_handler", TC_METHOD(ioloop_update_handler), ioloop_update_handler_doc},
    {"remove_handler", TC_METHOD(ioloop_remove_handler), ioloop_remove_handler_doc},
    {"_run_callback", (PyCFunction)ioloop_run_callback, METH_O, ioloop_run_callback_doc},
    {"_handler_fds", (PyCFunction)ioloop_handlers, METH_NOARGS,
     "_handler_fds($self, /)\n--\n\nThe descriptors or objects that have a handler."},
    {"_attach", (PyCFunction)ioloop_attach, METH_O, ioloop_attach_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ioloop_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.ioloop.IOLoop."},
    {Py_tp_new, ioloop_new},
    {Py_tp_dealloc, ioloop_dealloc},
    {Py_tp_traverse, ioloop_traverse},
    {Py_tp_clear, ioloop_clear},
    {Py_tp_methods, ioloop_methods},
    {Py_tp_members, ioloop_members},
    {0, NULL},
};

static PyType_Spec ioloop_spec = {
    .name = "tornado_c._core.IOLoopBase",
    .basicsize = sizeof(IOLoopObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = ioloop_slots,
};

int
tc_ioloop_init_type(PyObject *module, tc_state *state)
{
    state->ioloop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ioloop_spec, NULL);
    if (state->ioloop_type == NULL || tc_ioloop_init_run(module, state) < 0 ||
        PyModule_AddFunctions(module, tc_ioloop_functions) < 0 ||
        PyModule_AddFunctions(module, tc_runner_functions) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->ioloop_type);
}
