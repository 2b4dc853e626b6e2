/* IOStreamBase: the Python methods of a stream, in both generations of the interface: with a callback they
 * return None and call it in a later turn (2.x-4.x), else they return a Future. Reads are in
 * iostream_reads.c, connecting in stream_socket.c. Run Python. */
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
    Py_VISIT(self->close_callback);
    Py_VISIT(self->close_context);
    Py_VISIT(self->consumer);
    Py_VISIT(self->connect_future);
    Py_VISIT(self->connect_callback);
    Py_VISIT(self->connect_context);
    if (self->read != NULL) {
        Py_VISIT(self->read->pattern);
        Py_VISIT(self->read->future);
        Py_VISIT(self->read->callback);
        Py_VISIT(self->read->streaming);
        Py_VISIT(self->read->context);
    }
    if (self->writes != NULL) {
        for (size_t i = self->writes->first_waiter; i < self->writes->nwaiters; i++) {
            Py_VISIT(self->writes->waiters[i].future);
            Py_VISIT(self->writes->waiters[i].callback);
            Py_VISIT(self->writes->waiters[i].context);
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
    /* The registration's reference, which nobody else would drop; the collector holds one of its own. */
    PyObject *owner = self->watcher.owner;
    self->watcher.owner = NULL;
    Py_XDECREF(owner);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->error);
    Py_CLEAR(self->close_callback);
    Py_CLEAR(self->close_context);
    Py_CLEAR(self->consumer);
    Py_CLEAR(self->connect_future);
    Py_CLEAR(self->connect_callback);
    Py_CLEAR(self->connect_context);
    if (self->read != NULL) {
        tc_read_clear(self->read);
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
    if (self->socket == NULL && self->watcher.fd >= 0) {
        close(self->watcher.fd);
    }
    Py_CLEAR(self->socket); /* closes itself, with a ResourceWarning, where nobody else has it */
    PyMem_Free(self->buf);
    PyMem_Free(self->read);
    tc_writes_free(self->writes);
    Py_CLEAR(self->core);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- set-up ---- */

static int
stream_size_option(PyObject *value, Py_ssize_t absent, Py_ssize_t *out)
{
    *out = absent;
    if (value != Py_None) {
        Py_ssize_t size = PyNumber_AsSsize_t(value, PyExc_OverflowError);
        if (size == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (size != 0 || absent < 0) {
            *out = size;
        }
    }
    return 0;
}

PyDoc_STRVAR(stream_open_doc,
             "_open($self, socket, core, max_buffer_size, read_chunk_size, max_write_buffer_size, /)\n--\n\n"
             "Bind the stream to a socket and a LoopCore; called by __init__.");

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
    PyObject *number = PyObject_CallMethodNoArgs(args[0], self->state->str_fileno);
    PyObject *family = number != NULL ? PyObject_GetAttr(args[0], self->state->str_family) : NULL;
    long fd = number != NULL ? PyLong_AsLong(number) : -1;
    self->family = family != NULL ? (int)PyLong_AsLong(family) : AF_UNSPEC;
    Py_XDECREF(number);
    Py_XDECREF(family);
    if (PyErr_Occurred()) {
        return NULL;
    }
    /* A chunk near the limit would fail reads that fit. */
    self->max_buffer_size = max_buffer;
    self->read_chunk_size = chunk < max_buffer / 2 ? chunk : max_buffer / 2;
    if (self->read_chunk_size < 1) {
        self->read_chunk_size = 1;
    }
    self->max_write_buffer_size = max_write;
    Py_XSETREF(self->core, (LoopCore *)Py_NewRef(args[1]));
    Py_XSETREF(self->socket, Py_NewRef(args[0]));
    self->watcher.fd = (int)fd;
    self->closed = false;
    Py_RETURN_NONE;
}

/* ---- writing ---- */

static int
stream_write_object(StreamObject *self, PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return tc_stream_write(self, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), data);
    }
    if (PyUnicode_Check(data)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(data, &size);
        return text != NULL ? tc_stream_write(self, text, (size_t)size, data) : TC_RAISED;
    }
    /* Any other buffer is only borrowed: what has to wait is copied, so that the caller may resize it. */
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return TC_RAISED;
    }
    int st = tc_stream_write(self, view.buf, (size_t)view.len, NULL);
    PyBuffer_Release(&view);
    return st;
}

static Py_ssize_t
stream_data_size(PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return PyBytes_GET_SIZE(data);
    }
    if (PyUnicode_Check(data)) {
        Py_ssize_t size;
        return PyUnicode_AsUTF8AndSize(data, &size) != NULL ? size : -1;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    Py_ssize_t size = view.len;
    PyBuffer_Release(&view);
    return size;
}

PyDoc_STRVAR(
    stream_write_doc,
    "write($self, data, callback=None)\n--\n\n"
    "Send bytes (or another buffer; str is encoded as UTF-8), now as far as the socket takes them.\n\n"
    "Returns a Future that is done when they are sent; with a callback None. Raises StreamClosedError, and\n"
    "StreamBufferFullError beyond max_write_buffer_size.");

static PyObject *
stream_write(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_data, state->str_callback};
    PyObject *v[2];
    if (tc_stream_check_ready(self) < 0 || tc_args_parse("write", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    if (self->max_write_buffer_size >= 0) {
        Py_ssize_t size = stream_data_size(v[0]);
        if (size < 0) {
            return NULL;
        }
        if ((size_t)size + tc_stream_unsent(self) > (size_t)self->max_write_buffer_size) {
            PyObject *cls = tc_face(state, StreamBufferFullError, "tornado_c.iostream");
            if (cls != NULL) {
                PyErr_SetString(cls, "Reached maximum write buffer size");
            }
            return NULL;
        }
    }
    if (stream_write_object(self, v[0]) == TC_RAISED) {
        return NULL;
    }
    if (self->closed) {
        /* The peer is gone: a Future says so, a callback is never called. */
        if (tc_arg_or_null(v[1]) != NULL) {
            Py_RETURN_NONE;
        }
        PyObject *exc = tc_stream_closed_error(self);
        PyObject *future = exc != NULL ? tc_core_future(self->core) : NULL;
        if (future != NULL) {
            tc_future_fail_quietly(state, future, exc);
        }
        Py_XDECREF(exc);
        return future;
    }
    return tc_stream_wait_written(self, tc_arg_or_null(v[1]));
}

/* ---- closing and state ---- */

PyDoc_STRVAR(
    stream_close_doc,
    "close($self, exc_info=False)\n--\n\n"
    "Close the stream; what is pending fails with StreamClosedError.\n\n"
    "exc_info: an exception, a sys.exc_info() tuple or True (the one being handled) becomes `error`.");

/* The exception that close()'s argument stands for: new reference, or NULL for none. */
static PyObject *
stream_exc_info(StreamObject *self, PyObject *exc_info)
{
    if (PyExceptionInstance_Check(exc_info)) {
        return Py_NewRef(exc_info);
    }
    if (PyTuple_Check(exc_info)) {
        PyObject *exc = PyTuple_GET_SIZE(exc_info) == 3 ? PyTuple_GET_ITEM(exc_info, 1) : Py_None;
        return exc != Py_None ? Py_NewRef(exc) : NULL;
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

PyDoc_STRVAR(
    stream_set_close_callback_doc,
    "set_close_callback($self, callback)\n--\n\n"
    "Call callback() when the stream is closed, after callbacks that wait already. None takes it back.");

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
    PyObject *context = callback != NULL ? PyContext_CopyCurrent() : NULL;
    if (callback != NULL && context == NULL) {
        return NULL;
    }
    Py_XSETREF(self->close_callback, Py_XNewRef(callback));
    Py_XSETREF(self->close_context, context);
    if (tc_stream_update(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
stream_reading(StreamObject *self, PyObject *unused)
{
    return PyBool_FromLong(tc_stream_is_reading(self));
}

static PyObject *
stream_writing(StreamObject *self, PyObject *unused)
{
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
    if (on < 0 || tc_stream_set_nodelay(self, on) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stream_fileno_doc,
             "fileno($self, /)\n--\n\nThe socket object that the stream works on; None once closed.");

static PyObject *
stream_fileno(StreamObject *self, PyObject *unused)
{
    return tc_stream_socket(self);
}

/* ---- attributes ---- */

static PyObject *
stream_get_socket(StreamObject *self, void *unused)
{
    /* Whoever takes the socket may use it directly: what is corked must be out by then. */
    if (self->cork != NULL && tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    return tc_stream_socket(self);
}

static PyObject *
stream_get_io_loop(StreamObject *self, void *unused)
{
    if (self->core == NULL || self->core->ioloop == NULL) {
        Py_RETURN_NONE;
    }
    return Py_NewRef(self->core->ioloop);
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

static PyGetSetDef stream_getset[] = {
    {"socket", (getter)stream_get_socket, NULL, "The socket object; None once closed.", NULL},
    {"io_loop", (getter)stream_get_io_loop, NULL, "The IOLoop of the stream.", NULL},
    {"max_write_buffer_size", (getter)stream_get_max_write, (setter)stream_set_max_write,
     "The most bytes that may wait to be sent; None: no limit.", NULL},
    {"_read_buffer_size", (getter)stream_get_buffer_size, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyMemberDef stream_members[] = {
    {"error", T_OBJECT, offsetof(StreamObject, error), 0, "What closed the stream, or None."},
    {"max_buffer_size", T_PYSSIZET, offsetof(StreamObject, max_buffer_size), 0, "The most unread bytes."},
    {"read_chunk_size", T_PYSSIZET, offsetof(StreamObject, read_chunk_size), 0, "Bytes asked of one recv."},
    {"_closed", T_BOOL, offsetof(StreamObject, closed), READONLY, NULL},
    {"_connecting", T_BOOL, offsetof(StreamObject, connecting), READONLY, NULL},
    {"_close_callback", T_OBJECT, offsetof(StreamObject, close_callback), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(StreamObject, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weakrefs), READONLY, NULL},
    {NULL},
};

#define FASTCALL(f) (PyCFunction)(void (*)(void))(f)
#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

PyDoc_STRVAR(stream_read_until_doc, "read_until($self, delimiter, max_bytes=None, callback=None)\n--\n\n"
                                    "Read up to and including the delimiter (bytes).\n\n"
                                    "Returns a Future of the bytes; with a callback (also as second "
                                    "argument) None. The stream is closed if the\n"
                                    "delimiter is not found within max_bytes. Raises StreamClosedError.");

PyDoc_STRVAR(stream_read_until_regex_doc,
             "read_until_regex($self, regex, max_bytes=None, callback=None)\n--\n\n"
             "Read up to the end of the first match of a regular expression (bytes).\n\n"
             "Returns and raises as read_until.");

PyDoc_STRVAR(stream_read_bytes_doc,
             "read_bytes($self, num_bytes, callback=None, streaming_callback=None, partial=False)\n--\n\n"
             "Read a number of bytes; with partial, as soon as there are any, at most that many.\n\n"
             "Returns a Future of the bytes; with a callback None. streaming_callback gets the bytes as they "
             "come. The second\n"
             "positional argument is `partial` unless it is callable. Raises StreamClosedError.");

PyDoc_STRVAR(
    stream_read_until_close_doc,
    "read_until_close($self, callback=None, streaming_callback=None)\n--\n\n"
    "Read everything until the peer closes; at most max_buffer_size bytes.\n\n"
    "Returns a Future of the bytes; with a callback None. streaming_callback gets the bytes as they come.");

PyDoc_STRVAR(stream_connect_doc, "connect($self, address, callback=None, server_hostname=None)\n--\n\n"
                                 "Connect the socket to an address in the form of its family.\n\n"
                                 "Returns a Future of this stream, which fails with StreamClosedError; with "
                                 "a callback None, and the close\n"
                                 "callback tells of a failure. A str as second argument is server_hostname.");

static PyMethodDef stream_methods[] = {
    {"read_until", FASTCALL(tc_iostream_read_until), KEYWORDS, stream_read_until_doc},
    {"read_until_regex", FASTCALL(tc_iostream_read_until_regex), KEYWORDS, stream_read_until_regex_doc},
    {"read_bytes", FASTCALL(tc_iostream_read_bytes), KEYWORDS, stream_read_bytes_doc},
    {"read_until_close", FASTCALL(tc_iostream_read_until_close), KEYWORDS, stream_read_until_close_doc},
    {"write", FASTCALL(stream_write), KEYWORDS, stream_write_doc},
    {"connect", FASTCALL(tc_iostream_connect), KEYWORDS, stream_connect_doc},
    {"close", FASTCALL(stream_close), KEYWORDS, stream_close_doc},
    {"set_close_callback", FASTCALL(stream_set_close_callback), KEYWORDS, stream_set_close_callback_doc},
    {"reading", (PyCFunction)stream_reading, METH_NOARGS,
     "reading($self, /)\n--\n\nWhether a read is pending."},
    {"writing", (PyCFunction)stream_writing, METH_NOARGS,
     "writing($self, /)\n--\n\nWhether bytes wait to be sent."},
    {"closed", (PyCFunction)stream_closed, METH_NOARGS,
     "closed($self, /)\n--\n\nWhether the stream is closed."},
    {"set_nodelay", FASTCALL(stream_set_nodelay), KEYWORDS, stream_set_nodelay_doc},
    {"fileno", (PyCFunction)stream_fileno, METH_NOARGS, stream_fileno_doc},
    {"_open", FASTCALL(stream_open), METH_FASTCALL, stream_open_doc},
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
    if (tc_stream_init_callbacks(state) < 0) {
        return -1;
    }
    state->stream_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &stream_spec, NULL);
    return state->stream_type != NULL ? PyModule_AddType(module, state->stream_type) : -1;
}
