/* SocketTransportBase, the C half of tornado_c's socket transport: reading, and writing while nothing is
 * queued. What is rare (queued output, errors, the end, closing, sendfile) is the standard library's selector
 * transport, which the Python class has as its other base and whose attributes are members here, so that both
 * halves see one state.
 *
 * Made by EventLoop._make_socket_transport. Whatever calls the protocol may run Python: state is read again
 * afterwards. */
#include "event/fd_callbacks.h"
#include "event/handle.h"

#include <sys/socket.h>

#define READ_SIZE (256 * 1024) /* the standard library's max_size */

/* The standard library's base has slots. They stay empty: the members below hide them. */
#define BASE_SLOTS 5

typedef struct {
    PyObject_HEAD PyObject *base_slots[BASE_SLOTS];
    tc_state *state; /* borrowed */
    PyObject *loop, *extra, *sock, *protocol, *server, *buffer, *empty_waiter;
    PyObject *high_water, *low_water;
    Py_ssize_t max_size;
    int fd, conn_lost;
    bool closing, paused, eof, protocol_connected, protocol_paused;
    bool buffered; /* the protocol is a BufferedProtocol */
} TransportObject;

static PyObject *
transport_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    TransportObject *self = state != NULL ? (TransportObject *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->max_size = READ_SIZE;
    self->fd = -1;
    return (PyObject *)self;
}

static int
transport_traverse(TransportObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->extra);
    Py_VISIT(self->sock);
    Py_VISIT(self->protocol);
    Py_VISIT(self->server);
    Py_VISIT(self->buffer);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->high_water);
    Py_VISIT(self->low_water);
    return 0;
}

static int
transport_clear(TransportObject *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->server);
    Py_CLEAR(self->buffer);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->high_water);
    Py_CLEAR(self->low_water);
    return 0;
}

static void
transport_dealloc(TransportObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    transport_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The loop, or NULL where it is gone or not one of ours. Borrowed. */
static LoopCore *
transport_core(const TransportObject *self)
{
    PyObject *loop = self->loop;
    return loop != NULL && PyObject_TypeCheck(loop, self->state->core_type) ? (LoopCore *)loop : NULL;
}

/* ---- errors ---- */

/* self._fatal_error(exc, message) for the exception that is set, which is the one being handled during the
 * call, so that the method logs it. KeyboardInterrupt and SystemExit stay set instead. None, or NULL. */
static PyObject *
transport_fail(TransportObject *self, const char *message)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return NULL;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *handled = PyErr_GetHandledException();
    PyObject *args[4] = {NULL, (PyObject *)self, exc, PyUnicode_FromString(message)};
    PyObject *result = NULL;
    if (args[3] != NULL) {
        PyErr_SetHandledException(exc);
        result = PyObject_VectorcallMethod(self->state->str__fatal_error, args + 1,
                                           3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        PyErr_SetHandledException(handled);
    }
    Py_XDECREF(args[3]);
    Py_XDECREF(handled);
    Py_DECREF(exc);
    return result;
}

static PyObject *
transport_fail_errno(TransportObject *self, int err, const char *message)
{
    errno = err;
    PyErr_SetFromErrno(PyExc_OSError);
    return transport_fail(self, message);
}

static bool
is_temporary(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

/* ---- reading ---- */

/* What comes of a recv that brought no bytes: its errno, or 0 at the end. */
static PyObject *
read_nothing(TransportObject *self, int err)
{
    if (err == 0) {
        return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str__read_ready__on_eof);
    }
    if (is_temporary(err)) {
        Py_RETURN_NONE;
    }
    return transport_fail_errno(self, err, "Fatal read error on socket transport");
}

/* Calls protocol.<name>(arg), steals arg (NULL: an exception is set). */
static PyObject *
protocol_call(PyObject *protocol, PyObject *name, PyObject *arg)
{
    if (arg == NULL) {
        return NULL;
    }
    PyObject *args[3] = {NULL, protocol, arg};
    PyObject *result = PyObject_VectorcallMethod(name, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(arg);
    return result;
}

static PyObject *
read_to_bytes(TransportObject *self, LoopCore *core)
{
    size_t size = self->max_size > 0 ? (size_t)self->max_size : READ_SIZE;
    bool own;
    char *scratch = tc_scratch_take(&core->input, size, &own);
    if (scratch == NULL) {
        return transport_fail(self, "Fatal read error on socket transport");
    }
    ssize_t n = recv(self->fd, scratch, size, MSG_DONTWAIT);
    int err = n < 0 ? errno : 0;
    PyObject *data = n > 0 ? PyBytes_FromStringAndSize(scratch, n) : NULL;
    tc_scratch_return(&core->input, scratch, own);
    if (n <= 0) {
        return read_nothing(self, err);
    }
    if (data == NULL) {
        return transport_fail(self, "Fatal read error on socket transport");
    }
    PyObject *protocol = Py_NewRef(self->protocol != NULL ? self->protocol : Py_None);
    PyObject *result = protocol_call(protocol, self->state->str_data_received, data);
    Py_DECREF(protocol);
    return result != NULL ? result
                          : transport_fail(self, "Fatal error: protocol.data_received() call failed.");
}

/* The protocol's buffer, which has room. -1 with an exception. */
static int
protocol_buffer(TransportObject *self, PyObject *protocol, PyObject **buf)
{
    *buf = protocol_call(protocol, self->state->str_get_buffer, PyLong_FromLong(-1));
    Py_ssize_t len = *buf != NULL ? PyObject_Length(*buf) : -1;
    if (len == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    }
    return len > 0 ? 0 : -1;
}

static PyObject *
read_to_buffer(TransportObject *self)
{
    PyObject *protocol = Py_NewRef(self->protocol != NULL ? self->protocol : Py_None);
    PyObject *buf = NULL, *result = NULL;
    Py_buffer view;
    if (protocol_buffer(self, protocol, &buf) < 0) {
        result = transport_fail(self, "Fatal error: protocol.get_buffer() call failed.");
        goto done;
    }
    if (PyObject_GetBuffer(buf, &view, PyBUF_WRITABLE) < 0) {
        result = transport_fail(self, "Fatal read error on socket transport");
        goto done;
    }
    ssize_t n = recv(self->fd, view.buf, (size_t)view.len, MSG_DONTWAIT);
    int err = n < 0 ? errno : 0;
    PyBuffer_Release(&view);
    if (n <= 0) {
        result = read_nothing(self, err);
        goto done;
    }
    result = protocol_call(protocol, self->state->str_buffer_updated, PyLong_FromSsize_t(n));
    if (result == NULL) {
        result = transport_fail(self, "Fatal error: protocol.buffer_updated() call failed.");
    }
done:
    Py_XDECREF(buf);
    Py_DECREF(protocol);
    return result;
}

static PyObject *
transport_read_ready(TransportObject *self, PyObject *unused)
{
    LoopCore *core;
    if (self->conn_lost != 0 || (core = transport_core(self)) == NULL) {
        Py_RETURN_NONE;
    }
    Py_INCREF(core);
    PyObject *result = self->buffered ? read_to_buffer(self) : read_to_bytes(self, core);
    Py_DECREF(core);
    if (TC_LIKELY(result == Py_None) || result == NULL) {
        return result;
    }
    Py_DECREF(result); /* whatever the protocol returned */
    Py_RETURN_NONE;
}

static PyObject *
transport_add_reader(TransportObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_add_reader", nargs, 2, PY_SSIZE_T_MAX) < 0) {
        return NULL;
    }
    if (self->closing || self->paused) {
        Py_RETURN_NONE;
    }
    PyObject *callback = args[1];
    /* A subclass may have a _read_ready of its own. */
    bool native = PyCFunction_CheckExact(callback) && PyCFunction_GET_SELF(callback) == (PyObject *)self;
    int fd = PyObject_AsFileDescriptor(args[0]);
    if (fd < 0) {
        return NULL;
    }
    LoopCore *core = transport_core(self);
    if (core == NULL) {
        Py_RETURN_NONE;
    }
    if (core->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    Py_INCREF(core);
    PyObject *handle = tc_handle_new(core, false, callback, args + 2, nargs - 2, NULL);
    int st = handle != NULL ? tc_fd_add(core, fd, false, handle) : -1;
    if (st == 0 && native) {
        tc_fd_read_at_once(core, fd);
    }
    Py_XDECREF(handle);
    Py_DECREF(core);
    if (st < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- writing ---- */

/* The standard library's write(), for everything but output that can be sent at once. */
static PyObject *
write_slow(TransportObject *self, PyObject *data)
{
    PyObject *args[2] = {(PyObject *)self, data};
    return PyObject_Vectorcall(self->state->transport_write, args, 2, NULL);
}

/* Queues what is left from `sent` on. */
static PyObject *
write_rest(TransportObject *self, PyObject *data, Py_ssize_t sent)
{
    PyObject *bytes = NULL, *rest = NULL, *start = NULL, *slice = NULL, *result = NULL;
    PyObject *view = PyMemoryView_FromObject(data);
    if (view != NULL && (bytes = PyObject_CallMethod(view, "cast", "s", "B")) != NULL &&
        (start = PyLong_FromSsize_t(sent)) != NULL && (slice = PySlice_New(start, NULL, NULL)) != NULL &&
        (rest = PyObject_GetItem(bytes, slice)) != NULL) {
        result = write_slow(self, rest);
    }
    Py_XDECREF(view);
    Py_XDECREF(bytes);
    Py_XDECREF(start);
    Py_XDECREF(slice);
    Py_XDECREF(rest);
    return result;
}

static bool
can_write_now(const TransportObject *self)
{
    return self->conn_lost == 0 && !self->eof && self->sock != NULL && self->sock != Py_None &&
           (self->empty_waiter == NULL || self->empty_waiter == Py_None) && self->buffer != NULL &&
           (PyByteArray_CheckExact(self->buffer) ? PyByteArray_GET_SIZE(self->buffer)
                                                 : PyObject_Length(self->buffer)) == 0;
}

static PyObject *
write_send(TransportObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return transport_fail(self, "Fatal write error on socket transport");
    }
    Py_ssize_t size = view.len;
    ssize_t n = size > 0 ? send(self->fd, view.buf, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    int err = n < 0 ? errno : 0;
    PyBuffer_Release(&view);
    if (TC_LIKELY(n == size)) {
        Py_RETURN_NONE;
    }
    if (n >= 0) {
        return write_rest(self, data, n);
    }
    return is_temporary(err) ? write_slow(self, data)
                             : transport_fail_errno(self, err, "Fatal write error on socket transport");
}

PyDoc_STRVAR(transport_write_doc, "write($self, data, /)\n--\n\n"
                                  "Send bytes, now or as soon as the peer takes them.\n\n"
                                  ":raises TypeError: data is not bytes-like.\n"
                                  ":raises RuntimeError: after write_eof().");

static PyObject *
transport_write(TransportObject *self, PyObject *data)
{
    bool bytes = PyBytes_Check(data) || PyByteArray_Check(data) || PyMemoryView_Check(data);
    if (TC_LIKELY(bytes && can_write_now(self))) {
        return write_send(self, data);
    }
    return PyErr_Occurred() ? NULL : write_slow(self, data);
}

/* ---- the rest of what is asked often ---- */

static PyObject *
transport_set_protocol(TransportObject *self, PyObject *protocol)
{
    int buffered = PyObject_IsInstance(protocol, self->state->asyncio_buffered_protocol);
    if (buffered < 0) {
        return NULL;
    }
    self->buffered = buffered;
    self->protocol_connected = true;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *
transport_get_protocol(TransportObject *self, PyObject *unused)
{
    return Py_NewRef(self->protocol != NULL ? self->protocol : Py_None);
}

static PyObject *
transport_is_closing(TransportObject *self, PyObject *unused)
{
    return PyBool_FromLong(self->closing);
}

static PyObject *
transport_is_reading(TransportObject *self, PyObject *unused)
{
    return PyBool_FromLong(!self->closing && !self->paused);
}

static PyMethodDef transport_methods[] = {
    {"write", (PyCFunction)transport_write, METH_O, transport_write_doc},
    {"set_protocol", (PyCFunction)transport_set_protocol, METH_O,
     "set_protocol($self, protocol, /)\n--\n\nHand the connection over to another protocol."},
    {"get_protocol", (PyCFunction)transport_get_protocol, METH_NOARGS,
     "get_protocol($self, /)\n--\n\nThe protocol; None once the connection is lost."},
    {"is_closing", (PyCFunction)transport_is_closing, METH_NOARGS,
     "is_closing($self, /)\n--\n\nWhether the transport is closed or about to be."},
    {"is_reading", (PyCFunction)transport_is_reading, METH_NOARGS,
     "is_reading($self, /)\n--\n\nWhether the protocol is given what arrives."},
    {"_add_reader", TC_FASTCALL(transport_add_reader),
     "_add_reader($self, fd, callback, /, *args)\n--\n\nBegin to read, unless paused or closing."},
    {"_read_ready", (PyCFunction)transport_read_ready, METH_NOARGS,
     "_read_ready($self, /)\n--\n\nReceive once and hand it to the protocol."},
    {NULL, NULL, 0, NULL},
};

#define OBJECT(name, field)                                                                                  \
    {                                                                                                        \
        name, T_OBJECT, offsetof(TransportObject, field), 0, NULL                                            \
    }
#define FLAG(name, field)                                                                                    \
    {                                                                                                        \
        name, T_BOOL, offsetof(TransportObject, field), 0, NULL                                              \
    }

static PyMemberDef transport_members[] = {
    OBJECT("_loop", loop),
    OBJECT("_extra", extra),
    OBJECT("_sock", sock),
    OBJECT("_protocol", protocol),
    OBJECT("_server", server),
    OBJECT("_buffer", buffer),
    OBJECT("_empty_waiter", empty_waiter),
    OBJECT("_high_water", high_water),
    OBJECT("_low_water", low_water),
    FLAG("_closing", closing),
    FLAG("_paused", paused),
    FLAG("_eof", eof),
    FLAG("_protocol_connected", protocol_connected),
    FLAG("_protocol_paused", protocol_paused),
    {"_sock_fd", T_INT, offsetof(TransportObject, fd), 0, NULL},
    {"_conn_lost", T_INT, offsetof(TransportObject, conn_lost), 0, NULL},
    {"max_size", T_PYSSIZET, offsetof(TransportObject, max_size), 0, "The most bytes of one recv."},
    {NULL},
};

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, "The native half of the loop's socket transport."},
    {Py_tp_new, transport_new},
    {Py_tp_dealloc, transport_dealloc},
    {Py_tp_traverse, transport_traverse},
    {Py_tp_clear, transport_clear},
    {Py_tp_methods, transport_methods},
    {Py_tp_members, transport_members},
    {0, NULL},
};

static PyType_Spec transport_spec = {
    .name = "tornado_c._core.SocketTransportBase",
    .basicsize = sizeof(TransportObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = transport_slots,
};

int
tc_transport_init_type(PyObject *module, tc_state *state)
{
    PyTypeObject *base = (PyTypeObject *)state->asyncio_flow_control;
    if (base->tp_basicsize > (Py_ssize_t)offsetof(TransportObject, state) || base->tp_dictoffset != 0 ||
        base->tp_weaklistoffset != 0) {
        PyErr_SetString(PyExc_ImportError, "asyncio's transports have more slots than expected");
        return -1;
    }
    state->transport_write = PyObject_GetAttr(state->asyncio_selector_transport, state->str_write);
    PyObject *bases = state->transport_write != NULL ? PyTuple_Pack(1, base) : NULL;
    if (bases == NULL) {
        return -1;
    }
    state->transport_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &transport_spec, bases);
    Py_DECREF(bases);
    return state->transport_type != NULL ? PyModule_AddType(module, state->transport_type) : -1;
}
