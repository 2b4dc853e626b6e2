/* _core.Acceptor: add_accept_handler, a Python listener's registration with an IOLoop of any kind. Socket and
 * loop may be of any class, so they are used through their methods: accept(), add_handler(),
 * remove_handler(), call_later(), remove_timeout(). All of them, and the callback, run Python, which may stop
 * the acceptor. */
#include "stream/acceptor.h"

#include "base/args.h"

#include <poll.h>

typedef struct {
    PyObject_HEAD tc_acceptor base;
    PyObject *io_loop, *socket, *callback;
    PyObject *timeout; /* while it rests */
    bool stopped;
} AcceptorObject;

/* ---- taking connections ---- */

/* Whether another accept() could succeed. Saves the BlockingIOError at the end of each batch; only a socket
 * whose accept() is known to be the kernel's can be judged by its descriptor. */
static bool
acceptor_may_have_more(AcceptorObject *self)
{
    if ((PyObject *)Py_TYPE(self->socket) != self->base.state->socket_class) {
        return true;
    }
    struct pollfd listener = {.fd = PyObject_AsFileDescriptor(self->socket), .events = POLLIN};
    if (listener.fd < 0) {
        PyErr_Clear(); /* closed, which accept() will report */
        return true;
    }
    return poll(&listener, 1, 0) != 0;
}

/* What the exception that accept() has raised means: TC_AGAIN, a negative errno, or TC_RAISED with it. */
static int
acceptor_error(tc_state *state)
{
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        return TC_AGAIN;
    }
    if (PyErr_ExceptionMatches(PyExc_ConnectionError) || PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear(); /* that connection's own end, not the listener's */
        return -ECONNABORTED;
    }
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        return TC_RAISED;
    }
    PyObject *exc = PyErr_GetRaisedException(), *number = PyObject_GetAttr(exc, state->str_errno);
    int err = 0;
    if (number == NULL || !tc_long_is_small(number, &err)) {
        PyErr_Clear();
    }
    Py_XDECREF(number);
    if (tc_acceptor_is_starvation(err)) {
        Py_DECREF(exc);
        return -err;
    }
    PyErr_SetRaisedException(exc);
    return TC_RAISED;
}

static int
acceptor_take(tc_acceptor *base, bool first)
{
    AcceptorObject *self = tc_container_of(base, AcceptorObject, base);
    if (!first && !acceptor_may_have_more(self)) {
        return TC_AGAIN;
    }
    PyObject *accepted = PyObject_CallMethodNoArgs(self->socket, base->state->str_accept);
    if (accepted == NULL) {
        return acceptor_error(base->state);
    }
    PyObject *pair = PySequence_Tuple(accepted), *result = NULL;
    Py_DECREF(accepted);
    if (pair != NULL && PyTuple_GET_SIZE(pair) == 2) {
        result = PyObject_CallObject(self->callback, pair);
    }
    else if (pair != NULL) {
        PyErr_SetString(PyExc_ValueError, "accept() must give a connection and its address");
    }
    Py_XDECREF(pair);
    Py_XDECREF(result);
    return result != NULL ? TC_OK : TC_RAISED;
}

/* ---- the registration ---- */

/* obj.<name>(first, second), the second may be NULL: 0 with the result, which may be dropped, or -1. */
static int
acceptor_call(PyObject *obj, PyObject *name, PyObject *first, PyObject *second, PyObject **result)
{
    PyObject *args[3] = {obj, first, second};
    *result = PyObject_VectorcallMethod(name, args, second != NULL ? 3 : 2, NULL);
    return *result != NULL ? 0 : -1;
}

static int
acceptor_remove_timeout(AcceptorObject *self)
{
    PyObject *timeout = self->timeout, *result;
    self->timeout = NULL;
    int st = acceptor_call(self->io_loop, self->base.state->str_remove_timeout, timeout, NULL, &result);
    Py_XDECREF(result);
    Py_DECREF(timeout);
    return st;
}

static int
acceptor_remove_handler(AcceptorObject *self)
{
    PyObject *result;
    self->base.listening = false;
    int st = acceptor_call(self->io_loop, self->base.state->str_remove_handler, self->socket, NULL, &result);
    Py_XDECREF(result);
    return st;
}

static int
acceptor_rest(tc_acceptor *base)
{
    AcceptorObject *self = tc_container_of(base, AcceptorObject, base);
    PyObject *listen = NULL, *delay = NULL, *timeout = NULL;
    int st = acceptor_remove_handler(self);
    if (st == 0 && !self->stopped) {
        listen = PyObject_GetAttr((PyObject *)self, base->state->str__listen);
        delay = listen != NULL ? PyFloat_FromDouble(TC_ACCEPT_PAUSE) : NULL;
        st = delay != NULL
                 ? acceptor_call(self->io_loop, base->state->str_call_later, delay, listen, &timeout)
                 : -1;
        Py_XSETREF(self->timeout, timeout);
        if (st == 0 && TC_UNLIKELY(self->stopped)) {
            st = acceptor_remove_timeout(self);
        }
    }
    Py_XDECREF(listen);
    Py_XDECREF(delay);
    return st == 0 ? TC_OK : TC_RAISED;
}

static const tc_acceptor_class acceptor_class = {acceptor_take, acceptor_rest};

static int
acceptor_start(AcceptorObject *self)
{
    tc_state *state = self->base.state;
    PyObject *handler = PyObject_GetAttr((PyObject *)self, state->str__on_readable), *result = NULL;
    PyObject *events = handler != NULL ? PyObject_GetAttr(self->io_loop, state->str_READ) : NULL;
    if (events != NULL) {
        PyObject *args[4] = {self->io_loop, self->socket, handler, events};
        result = PyObject_VectorcallMethod(state->str_add_handler, args, 4, NULL);
    }
    Py_XDECREF(handler);
    Py_XDECREF(events);
    Py_XDECREF(result);
    self->base.listening = result != NULL;
    return result != NULL ? 0 : -1;
}

/* ---- methods ---- */

static PyObject *
acceptor_listen(AcceptorObject *self, PyObject *unused)
{
    Py_CLEAR(self->timeout);
    if (self->stopped || self->base.listening) {
        Py_RETURN_NONE;
    }
    return acceptor_start(self) == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
acceptor_on_readable(AcceptorObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_on_readable", nargs, 2, 2) < 0) {
        return NULL;
    }
    return tc_acceptor_run(&self->base) == TC_OK ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(acceptor_stop_doc,
             "stop($self, /)\n--\n\nAccept no more connections; further calls do nothing.");

static PyObject *
acceptor_stop(AcceptorObject *self, PyObject *unused)
{
    int st = 0;
    self->stopped = true;
    if (self->base.listening) {
        st = acceptor_remove_handler(self);
    }
    else if (self->timeout != NULL) {
        st = acceptor_remove_timeout(self);
    }
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

/* ---- the type ---- */

PyDoc_STRVAR(acceptor_doc,
             "Acceptor(io_loop, socket, callback, /)\n--\n\n"
             "Call callback(connection, address) for each connection at a listening socket, until stop().");

static PyObject *
acceptor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    PyObject *io_loop, *socket, *callback;
    if (state == NULL || !PyArg_ParseTuple(args, "OOO:Acceptor", &io_loop, &socket, &callback)) {
        return NULL;
    }
    AcceptorObject *self = (AcceptorObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->base.cls = &acceptor_class;
    self->base.state = state;
    self->io_loop = Py_NewRef(io_loop);
    self->socket = Py_NewRef(socket);
    self->callback = Py_NewRef(callback);
    if (acceptor_start(self) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
acceptor_traverse(AcceptorObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->io_loop);
    Py_VISIT(self->socket);
    Py_VISIT(self->callback);
    Py_VISIT(self->timeout);
    return 0;
}

static int
acceptor_clear(AcceptorObject *self)
{
    self->stopped = true;
    self->base.listening = false;
    Py_CLEAR(self->io_loop);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->timeout);
    return 0;
}

static void
acceptor_dealloc(AcceptorObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    acceptor_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef acceptor_methods[] = {
    {"_listen", (PyCFunction)acceptor_listen, METH_NOARGS, "_listen($self, /)\n--\n\nGo on after a rest."},
    {"_on_readable", TC_FASTCALL(acceptor_on_readable),
     "_on_readable($self, fd, events, /)\n--\n\nThe handler of the listener's events."},
    {"stop", (PyCFunction)acceptor_stop, METH_NOARGS, acceptor_stop_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot acceptor_slots[] = {
    {Py_tp_doc, (void *)acceptor_doc},
    {Py_tp_new, acceptor_new},
    {Py_tp_dealloc, acceptor_dealloc},
    {Py_tp_traverse, acceptor_traverse},
    {Py_tp_clear, acceptor_clear},
    {Py_tp_methods, acceptor_methods},
    {0, NULL},
};

static PyType_Spec acceptor_spec = {
    .name = "tornado_c._core.Acceptor",
    .basicsize = sizeof(AcceptorObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = acceptor_slots,
};

int
tc_acceptor_init_type(PyObject *module, tc_state *state)
{
    state->acceptor_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &acceptor_spec, NULL);
    return state->acceptor_type != NULL ? PyModule_AddType(module, state->acceptor_type) : -1;
}
