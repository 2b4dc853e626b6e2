/* IOStreamBase: the Python methods of a stream, in both generations of the interface: with a callback they
 * return None and call it in a later turn (2.x-4.x), else they return a Future. Reads are in
 * iostream_reads.c, writes in iostream_writes.c, connecting in stream_socket.c. All may run Python. */
#include "base/args.h"
#include "stream/iostream.h"

#include <sys/socket.h>
#include <unistd.h>

/* ---- life cycle ---- */

static PyObject *
stream_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    StreamObject *self = (StreamObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    tc_stream_init_watcher(self);
    self->max_buffer_size = TC_STREAM_MAX_BUFFER;
    self->read_chunk_size = TC_STREAM_CHUNK;
    self->max_write_buffer_size = -1;
    self->closed = true; /* until there is a socket */
    if ((self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
stream_traverse(StreamObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->core);
    Py_VISIT(self->dict);
    Py_VISIT(self->socket);
    Py_VISIT(self->error);
    Py_VISIT(self->consumer);
    if (self->notices != NULL) {
        TC_VISIT_WAITER(&self->notices->connected);
        TC_VISIT_WAITER(&self->notices->closed);
    }
    if (self->read != NULL) {
        Py_VISIT(self->read->pattern);
        Py_VISIT(self->read->streaming);
        TC_VISIT_WAITER(&self->read->waiter);
        if (self->read->view != NULL) {
            Py_VISIT(self->read->view->obj);
        }
    }
    if (self->tls != NULL) {
        Py_VISIT(self->tls->sslobj);
        Py_VISIT(self->tls->future);
        Py_VISIT(self->tls->failure);
    }
    if (self->writes != NULL) {
        Py_VISIT(self->writes->buffer);
        for (size_t i = self->writes->first_waiter; i < self->writes->nwaiters; i++) {
            TC_VISIT_WAITER(&self->writes->waiters[i].who);
        }
    }
    return 0;
}

static int
stream_clear(StreamObject *self)
{
    if (self->core != NULL) {
        tc_core_unwatch(self->core, &self->watcher);
    }
    Py_CLEAR(self->watcher.owner); /* the loop does not drop it; the collector holds a reference of its own */
    Py_CLEAR(self->dict);
    Py_CLEAR(self->error);
    Py_CLEAR(self->consumer);
    if (self->notices != NULL) {
        tc_waiter_clear(&self->notices->connected);
        tc_waiter_clear(&self->notices->closed);
    }
    if (self->read != NULL) {
        tc_read_clear(self->read);
    }
    if (self->tls != NULL) {
        Py_CLEAR(self->tls->sslobj);
        Py_CLEAR(self->tls->future);
        Py_CLEAR(self->tls->failure);
    }
    if (self->writes != NULL) {
        tc_writes_forget(self->writes);
    }
    return 0;
}

static void
stream_dealloc(StreamObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    stream_clear(self);
    tc_stream_drop_cork(self);
    if (self->owns_fd) {
        close(self->watcher.fd);
    }
    Py_CLEAR(self->socket); /* closes itself, with a ResourceWarning, if this was the last reference */
    tc_stream_drop_buffer(self);
    PyMem_Free(self->read);
    PyMem_Free(self->train);
    PyMem_Free(self->notices);
    tc_writes_free(self->writes);
    tc_tls_free(self->tls);
    Py_CLEAR(self->core);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- set-up ---- */

/* A number of bytes. Applications compute theirs, as a fraction of the memory, and give a float; one that is
 * too large for the machine is no limit. -1 with an exception. */
static Py_ssize_t
stream_size(PyObject *value)
{
    if (!PyFloat_Check(value)) {
        return PyNumber_AsSsize_t(value, NULL);
    }
    double size = PyFloat_AS_DOUBLE(value);
    if (size != size) {
        PyErr_SetString(PyExc_ValueError, "a buffer's size must not be NaN");
        return -1;
    }
    return size >= (double)PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : size <= 0 ? 0 : (Py_ssize_t)size;
}

static int
stream_size_option(PyObject *value, Py_ssize_t absent, Py_ssize_t *out)
{
    *out = absent;
    if (value != Py_None) {
        Py_ssize_t size = stream_size(value);
        if (size == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (size != 0 || absent < 0) {
            *out = size;
        }
    }
    return 0;
}

/* A socket object, a descriptor's number, or None: fileno() is called. 0, or -1 with an exception. */
static int
stream_open_source(StreamObject *self, PyObject *source)
{
    if (source == Py_None) {
        return 0;
    }
    int fd = PyObject_AsFileDescriptor(source);
    if (fd < 0) {
        return -1;
    }
    if (!PyLong_Check(source)) {
        /* An object that only resembles a socket may lack it. */
        PyObject *family = PyObject_GetAttr(source, self->state->str_family);
        long number = family != NULL && PyLong_Check(family) ? PyLong_AsLong(family) : AF_UNSPEC;
        self->family = number >= 0 && number <= UINT8_MAX ? (uint8_t)number : AF_UNSPEC;
        Py_XDECREF(family);
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                return -1;
            }
            PyErr_Clear();
        }
        Py_XSETREF(self->socket, Py_NewRef(source));
    }
    self->watcher.fd = fd;
    tc_stream_note_socket(self);
    tc_stream_begin_nodelay(self);
    return 0;
}

PyDoc_STRVAR(stream_open_doc,
             "_open($self, source, core, max_buffer_size, read_chunk_size, max_write_buffer_size, /)\n--\n\n"
             "Bind the stream to a socket, a descriptor's number or (None) what fileno() returns,\n"
             "and to a LoopCore; called by __init__.");

static PyObject *
stream_open(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_open", nargs, 5, 5) < 0) {
        return NULL;
    }
    if (self->core != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the stream was initialized already");
        return NULL;
    }
    if (!PyObject_TypeCheck(args[1], self->state->core_type)) {
        return PyErr_Format(PyExc_TypeError, "expected a LoopCore, got %.200s", Py_TYPE(args[1])->tp_name);
    }
    Py_ssize_t max_buffer, chunk, max_write;
    if (stream_size_option(args[2], TC_STREAM_MAX_BUFFER, &max_buffer) < 0 ||
        stream_size_option(args[3], TC_STREAM_CHUNK, &chunk) < 0 ||
        stream_size_option(args[4], -1, &max_write) < 0) {
        return NULL;
    }
    if (stream_open_source(self, args[0]) < 0) {
        return NULL;
    }
    /* A chunk near the limit would fail reads that fit. */
    self->max_buffer_size = max_buffer;
    chunk = chunk < max_buffer / 2 ? chunk : max_buffer / 2;
    self->read_chunk_size = (int)(chunk < 1 ? 1 : chunk > INT_MAX ? INT_MAX : chunk);
    self->max_write_buffer_size = max_write;
    Py_XSETREF(self->core, (LoopCore *)Py_NewRef(args[1]));
    self->fork_count = tc_fork_count();
    self->closed = false;
    Py_RETURN_NONE;
}

/* ---- closing and state ---- */

PyDoc_STRVAR(stream_close_doc,
             "close($self, exc_info=False)\n--\n\n"
             "Close the stream; what is pending fails with StreamClosedError.\n\n"
             ":param exc_info: an exception, a sys.exc_info() tuple or True (the one being handled), which\n"
             "    becomes ``error``; default False.");

/* The exception that close()'s argument stands for: new reference, or NULL for none. */
static PyObject *
stream_exc_info(StreamObject *self, PyObject *exc_info)
{
    if (PyExceptionInstance_Check(exc_info)) {
        return Py_NewRef(exc_info);
    }
    if (PyTuple_Check(exc_info)) {
        PyObject *exc = PyTuple_GET_SIZE(exc_info) == 3 ? PyTuple_GET_ITEM(exc_info, 1) : Py_None;
        return PyExceptionInstance_Check(exc) ? Py_NewRef(exc) : NULL;
    }
    if (PyObject_IsTrue(exc_info) == 1) {
        PyObject *type, *value, *traceback;
        PyErr_GetExcInfo(&type, &value, &traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        if (value == Py_None) {
            Py_CLEAR(value);
        }
        return value;
    }
    return NULL;
}

static PyObject *
stream_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_exc_info};
    PyObject *v[1];
    if (tc_args_parse("close", args, nargs, kwnames, names, 1, 0, v) < 0) {
        return NULL;
    }
    if (self->core == NULL) {
        Py_RETURN_NONE;
    }
    if (tc_core_check_thread(self->core) < 0) {
        return NULL;
    }
    PyObject *exc = v[0] != NULL ? stream_exc_info(self, v[0]) : NULL;
    if (exc == NULL && PyErr_Occurred()) {
        return NULL;
    }
    int st = tc_stream_close(self, exc);
    Py_XDECREF(exc);
    if (st == TC_RAISED) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stream_set_close_callback_doc,
             "set_close_callback($self, callback)\n--\n\n"
             "Call callback() when the stream is closed, after callbacks that wait already.\n\n"
             ":param callback: None takes it back.");

static PyObject *
stream_set_close_callback(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_callback};
    PyObject *callback;
    if (tc_args_parse("set_close_callback", args, nargs, kwnames, names, 1, 1, &callback) < 0) {
        return NULL;
    }
    if (tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    callback = tc_arg_or_null(callback);
    if (callback != NULL || self->notices != NULL) {
        PyObject *context;
        if (tc_stream_notices(self) == NULL || tc_context_capture(callback, &context) < 0) {
            return NULL;
        }
        Py_XSETREF(self->notices->closed.callback, Py_XNewRef(callback));
        Py_XSETREF(self->notices->closed.context, context);
    }
    if (tc_stream_update(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static bool
handshake_wants(const StreamObject *self, unsigned event)
{
    return tc_stream_handshaking(self) && self->tls->want == event;
}

static PyObject *
stream_reading(StreamObject *self, PyObject *unused)
{
    tc_stream_forget_cancelled(self);
    return PyBool_FromLong(tc_stream_has_read(self) || handshake_wants(self, TC_READ));
}

static PyObject *
stream_writing(StreamObject *self, PyObject *unused)
{
    /* Corked bytes do not wait for the descriptor. */
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    return PyBool_FromLong(!self->closed && tc_stream_unsent(self) > 0);
}

static PyObject *
stream_closed(StreamObject *self, PyObject *unused)
{
    return PyBool_FromLong(self->closed);
}

PyDoc_STRVAR(stream_set_nodelay_doc, "set_nodelay($self, value)\n--\n\n"
                                     "Turn TCP_NODELAY on or off; nothing happens on other sockets.");

static PyObject *
stream_set_nodelay(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_value};
    PyObject *value;
    if (tc_args_parse("set_nodelay", args, nargs, kwnames, names, 1, 1, &value) < 0) {
        return NULL;
    }
    int on = PyObject_IsTrue(value);
    if (on < 0 || tc_stream_check_ready(self) < 0 || tc_stream_set_nodelay(self, on) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- attributes ---- */

static PyObject *
stream_get_socket(StreamObject *self, void *unused)
{
    /* The caller may use the socket directly: corked bytes must be sent by then. */
    if (self->cork != NULL && tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    return tc_stream_socket(self);
}

static PyObject *
stream_get_io_loop(StreamObject *self, void *unused)
{
    PyObject *io_loop = self->core != NULL ? tc_core_ioloop(self->core) : NULL;
    return Py_NewRef(io_loop != NULL ? io_loop : Py_None);
}

static PyObject *
stream_get_max_write(StreamObject *self, void *unused)
{
    if (self->max_write_buffer_size < 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromSsize_t(self->max_write_buffer_size);
}

static int
stream_set_max_write(StreamObject *self, PyObject *value, void *unused)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete max_write_buffer_size");
        return -1;
    }
    return stream_size_option(value, -1, &self->max_write_buffer_size);
}

static PyObject *
stream_get_buffer_size(StreamObject *self, void *unused)
{
    return PyLong_FromSize_t(self->buf_len);
}

static PyObject *
stream_get_max_buffer(StreamObject *self, void *unused)
{
    return PyLong_FromSsize_t(self->max_buffer_size);
}

static int
stream_set_max_buffer(StreamObject *self, PyObject *value, void *unused)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete max_buffer_size");
        return -1;
    }
    Py_ssize_t size = stream_size(value);
    if (size == -1 && PyErr_Occurred()) {
        return -1;
    }
    self->max_buffer_size = size;
    return 0;
}

static PyObject *
stream_get_connecting(StreamObject *self, void *unused)
{
    return PyBool_FromLong(self->connecting);
}

static PyObject *
stream_get_close_callback(StreamObject *self, void *unused)
{
    return Py_NewRef(tc_stream_tells_of_close(self) ? self->notices->closed.callback : Py_None);
}

static PyGetSetDef stream_getset[] = {
    {"max_buffer_size", (getter)stream_get_max_buffer, (setter)stream_set_max_buffer,
     "The maximum of unread bytes.", NULL},
    {"socket", (getter)stream_get_socket, NULL, "The socket object; None once closed.", NULL},
    {"io_loop", (getter)stream_get_io_loop, NULL, "The IOLoop of the stream.", NULL},
    {"max_write_buffer_size", (getter)stream_get_max_write, (setter)stream_set_max_write,
     "The maximum of bytes that may wait to be sent; None: no limit.", NULL},
    {"_connecting", (getter)stream_get_connecting, NULL, NULL, NULL},
    {"_close_callback", (getter)stream_get_close_callback, NULL, NULL, NULL},
    {"_read_buffer_size", (getter)stream_get_buffer_size, NULL, NULL, NULL},
    {"_write_buffer", (getter)tc_iostream_get_write_buffer, NULL, NULL, NULL},
    {"_total_write_index", (getter)tc_iostream_get_write_index, (setter)tc_iostream_set_write_index, NULL,
     NULL},
    {"_total_write_done_index", (getter)tc_iostream_get_write_index, (setter)tc_iostream_set_write_index,
     NULL, (void *)1},
    {"_state", (getter)tc_iostream_get_state, NULL, NULL, NULL},
    {"_read_future", (getter)tc_iostream_get_read_future, NULL, NULL, NULL},
    {"_ssl_accepting", (getter)tc_iostream_get_ssl_accepting, NULL, NULL, NULL},
    {"_ssl_connect_future", (getter)tc_iostream_get_handshake_future,
     (setter)tc_iostream_set_handshake_future, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyMemberDef stream_members[] = {
    {"error", T_OBJECT, offsetof(StreamObject, error), 0, "What closed the stream, or None."},
    {"read_chunk_size", T_INT, offsetof(StreamObject, read_chunk_size), 0, "Bytes asked of one recv."},
    {"_closed", T_BOOL, offsetof(StreamObject, closed), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(StreamObject, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weakrefs), READONLY, NULL},
    {NULL},
};

PyDoc_STRVAR(stream_read_until_doc,
             "read_until($self, delimiter, max_bytes=None, callback=None)\n--\n\n"
             "Read up to and including the delimiter (bytes).\n\n"
             "The stream is closed if the delimiter is not found within max_bytes. A callback may also be\n"
             "the second argument.\n\n"
             ":returns: a Future of the bytes; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_read_until_regex_doc,
             "read_until_regex($self, regex, max_bytes=None, callback=None)\n--\n\n"
             "Read up to the end of the first match of a regular expression (bytes).\n\n"
             ":returns: what read_until() returns; it raises the same.");

PyDoc_STRVAR(stream_read_bytes_doc,
             "read_bytes($self, num_bytes, callback=None, streaming_callback=None, partial=False)\n--\n\n"
             "Read a number of bytes; with partial, as soon as there are any, at most that many.\n\n"
             ":param streaming_callback: gets the bytes as they come.\n"
             ":param partial: also the second positional argument, unless that is callable.\n"
             ":returns: a Future of the bytes; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_read_until_close_doc,
             "read_until_close($self, callback=None, streaming_callback=None)\n--\n\n"
             "Read everything until the peer closes; at most max_buffer_size bytes.\n\n"
             ":param streaming_callback: gets the bytes as they come.\n"
             ":returns: a Future of the bytes; with a callback None.");

PyDoc_STRVAR(stream_read_into_doc,
             "read_into($self, buf, partial=False)\n--\n\n"
             "Fill a writable buffer, without a copy in between.\n\n"
             ":param buf: it cannot be resized before the Future is done.\n"
             ":param partial: be content as soon as there are any bytes; default False.\n"
             ":returns: a Future of the number of bytes.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_write_doc,
             "write($self, data, callback=None)\n--\n\n"
             "Send bytes, now as far as the descriptor takes them.\n\n"
             ":param data: bytes or another buffer, of which a large one is kept by reference while it has\n"
             "    to wait; a str is encoded as UTF-8.\n"
             ":returns: a Future that is done when they are sent; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.\n"
             ":raises StreamBufferFullError: beyond max_write_buffer_size.");

PyDoc_STRVAR(
    stream_sendfile_doc,
    "sendfile($self, file, offset=0, count=None)\n--\n\n"
    "Send bytes of a file, without copying them through the process where the system can do that.\n\n"
    ":param file: an open binary file, which must stay open until the Future is done. One that ends\n"
    "    early closes the stream.\n"
    ":param count: how many bytes; default: all from offset on.\n"
    ":returns: a Future that is done when they are sent.\n"
    ":raises StreamClosedError: also through the Future.\n"
    ":raises OSError: the file cannot be used.\n"
    ":raises ValueError: the range is negative.");

PyDoc_STRVAR(stream_connect_doc,
             "connect($self, address, callback=None, server_hostname=None)\n--\n\n"
             "Connect the socket to an address in the form of its family.\n\n"
             ":param server_hostname: also the second argument, where that is a str.\n"
             ":returns: a Future of this stream, which fails with StreamClosedError; with a callback None,\n"
             "    and the failure calls the close callback.");

static PyMethodDef stream_methods[] = {
    {"read_until", TC_METHOD(tc_iostream_read_until), stream_read_until_doc},
    {"read_until_regex", TC_METHOD(tc_iostream_read_until_regex), stream_read_until_regex_doc},
    {"read_bytes", TC_METHOD(tc_iostream_read_bytes), stream_read_bytes_doc},
    {"read_until_close", TC_METHOD(tc_iostream_read_until_close), stream_read_until_close_doc},
    {"read_into", TC_METHOD(tc_iostream_read_into), stream_read_into_doc},
    {"write", TC_METHOD(tc_iostream_write), stream_write_doc},
    {"sendfile", TC_METHOD(tc_iostream_sendfile), stream_sendfile_doc},
    {"connect", TC_METHOD(tc_iostream_connect), stream_connect_doc},
    {"close", TC_METHOD(stream_close), stream_close_doc},
    {"set_close_callback", TC_METHOD(stream_set_close_callback), stream_set_close_callback_doc},
    {"reading", (PyCFunction)stream_reading, METH_NOARGS,
     "reading($self, /)\n--\n\nWhether a read is pending."},
    {"writing", (PyCFunction)stream_writing, METH_NOARGS,
     "writing($self, /)\n--\n\nWhether bytes wait to be sent."},
    {"closed", (PyCFunction)stream_closed, METH_NOARGS,
     "closed($self, /)\n--\n\nWhether the stream is closed."},
    {"set_nodelay", TC_METHOD(stream_set_nodelay), stream_set_nodelay_doc},
    {"_open", TC_FASTCALL(stream_open), stream_open_doc},
    {"_handle_events", TC_FASTCALL(tc_iostream_handle_events),
     "_handle_events($self, fd, events, /)\n--\n\nDo what the descriptor is ready for."},
    {"_handle_read", (PyCFunction)tc_iostream_handle_read, METH_NOARGS,
     "_handle_read($self, /)\n--\n\nRead, and complete the pending read."},
    {"_handle_write", (PyCFunction)tc_iostream_handle_write, METH_NOARGS,
     "_handle_write($self, /)\n--\n\nSend what waits."},
    {"_add_io_state", (PyCFunction)tc_iostream_add_io_state, METH_O,
     "_add_io_state($self, state, /)\n--\n\nWait for IOLoop.READ or IOLoop.WRITE once."},
    {"_try_inline_read", (PyCFunction)tc_iostream_try_inline_read, METH_NOARGS,
     "_try_inline_read($self, /)\n--\n\nComplete the pending read without waiting, if that can be."},
    {"_maybe_add_error_listener", (PyCFunction)tc_iostream_maybe_add_error_listener, METH_NOARGS,
     "_maybe_add_error_listener($self, /)\n--\n\nWatch an idle stream for its end."},
    {"_check_closed", (PyCFunction)tc_iostream_check_closed, METH_NOARGS,
     "_check_closed($self, /)\n--\n\nRaise StreamClosedError if the stream is closed."},
    {"_consume", (PyCFunction)tc_iostream_consume, METH_O,
     "_consume($self, loc, /)\n--\n\nTake bytes from the read buffer."},
    {"_is_connreset", (PyCFunction)tc_iostream_is_connreset, METH_O,
     "_is_connreset($self, exc, /)\n--\n\nWhether an exception means that the peer is gone."},
    {"_is_idle", (PyCFunction)tc_iostream_is_idle, METH_NOARGS,
     "_is_idle($self, /)\n--\n\nWhether nothing is pending or buffered."},
    {"_detach", (PyCFunction)tc_iostream_detach, METH_NOARGS,
     "_detach($self, /)\n--\n\nGive up the socket; returns it, the close callback and TCP_NODELAY."},
    {"_linger", TC_FASTCALL(tc_iostream_linger),
     "_linger($self, timeout, size, /)\n--\n\nEnd our side, drop what still comes for a while, close. "
     "False: close it now."},
    {"_set_socket", (PyCFunction)tc_iostream_set_socket, METH_O,
     "_set_socket($self, socket, /)\n--\n\nWork on another object over the same descriptor."},
    {"_call_later", (PyCFunction)tc_iostream_call_later, METH_O,
     "_call_later($self, callback, /)\n--\n\nCall a user's callback in the next turn."},
    {"_tls_begin", (PyCFunction)tc_iostream_tls_begin, METH_O,
     "_tls_begin($self, connected, /)\n--\n\nShake hands before anything else, now or once connected."},
    {"_tls_wants", (PyCFunction)tc_iostream_tls_wants, METH_O,
     "_tls_wants($self, events, /)\n--\n\nSay what the handshake waits for."},
    {"_tls_done", TC_FASTCALL(tc_iostream_tls_done),
     "_tls_done($self, sslobj, memory, /)\n--\n\nThe handshake is done."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.iostream.IOStream."},
    {Py_tp_new, stream_new},
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_getset},
    {Py_tp_members, stream_members},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "tornado_c._core.IOStreamBase",
    .basicsize = sizeof(StreamObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = stream_slots,
};

int
tc_stream_init_type(PyObject *module, tc_state *state)
{
    state->stream_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &stream_spec, NULL);
    if (state->stream_type == NULL || tc_stream_init_callbacks(state) < 0 ||
        tc_stream_init_fork(module, state) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->stream_type);
}
