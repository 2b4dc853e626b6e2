/* The attributes of a stream that are computed. Runs Python. */
#include "base/args.h"
#include "stream/iostream.h"

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
    return tc_iostream_size_option(value, -1, &self->max_write_buffer_size);
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
    Py_ssize_t size = tc_iostream_size(value);
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

/* ---- those of Tornado's that applications use, and iostream.py ---- */

static PyObject *
stream_get_write_buffer(StreamObject *self, void *unused)
{
    if (self->closed) {
        Py_RETURN_NONE;
    }
    /* The queue that Python sees is complete: corked bytes are sent or join it. */
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    tc_writes *writes = tc_stream_writes(self);
    return writes != NULL ? Py_NewRef((PyObject *)writes->buffer) : NULL;
}

static uint64_t *
write_index(tc_writes *writes, void *which)
{
    return which != NULL ? &writes->done : &writes->index;
}

static PyObject *
stream_get_write_index(StreamObject *self, void *which)
{
    if (tc_stream_flush(self) == TC_RAISED) { /* the corked bytes are not counted yet */
        return NULL;
    }
    tc_writes *writes = self->writes;
    return PyLong_FromUnsignedLongLong(writes != NULL ? *write_index(writes, which) : self->sent);
}

static int
stream_set_write_index(StreamObject *self, PyObject *value, void *which)
{
    unsigned long long index = value != NULL ? PyLong_AsUnsignedLongLong(value) : 0;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "can't delete a stream's write index");
    }
    tc_writes *writes = PyErr_Occurred() ? NULL : tc_stream_writes(self);
    if (writes == NULL) {
        return -1;
    }
    *write_index(writes, which) = index;
    return 0;
}

static PyObject *
stream_get_state(StreamObject *self, void *unused)
{
    if (!self->watcher.registered) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(self->watcher.events | TC_ERROR | TC_HUP); /* IOLoop.ERROR is both */
}

static PyObject *
stream_get_read_future(StreamObject *self, void *unused)
{
    PyObject *future = tc_stream_has_read(self) ? self->read->waiter.future : NULL;
    if (future != NULL) {
        self->read->unseen = false;
    }
    return Py_NewRef(future != NULL ? future : Py_None);
}

static PyObject *
stream_get_ssl_accepting(StreamObject *self, void *unused)
{
    return PyBool_FromLong(tc_stream_handshaking(self));
}

static PyObject *
stream_get_handshake_future(StreamObject *self, void *unused)
{
    PyObject *future = self->tls != NULL ? self->tls->future : NULL;
    return Py_NewRef(future != NULL ? future : Py_None);
}

static int
stream_set_handshake_future(StreamObject *self, PyObject *value, void *unused)
{
    if (self->tls == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the stream has no TLS");
        return -1;
    }
    Py_XSETREF(self->tls->future, Py_XNewRef(value != NULL ? tc_arg_or_null(value) : NULL));
    return 0;
}

PyGetSetDef tc_iostream_getset[] = {
    {"max_buffer_size", (getter)stream_get_max_buffer, (setter)stream_set_max_buffer,
     "The maximum of unread bytes.", NULL},
    {"socket", (getter)stream_get_socket, NULL, "The socket object; None once closed.", NULL},
    {"io_loop", (getter)stream_get_io_loop, NULL, "The IOLoop of the stream.", NULL},
    {"max_write_buffer_size", (getter)stream_get_max_write, (setter)stream_set_max_write,
     "The maximum of bytes that may wait to be sent; None: no limit.", NULL},
    {"_connecting", (getter)stream_get_connecting, NULL, NULL, NULL},
    {"_close_callback", (getter)stream_get_close_callback, NULL, NULL, NULL},
    {"_read_buffer_size", (getter)stream_get_buffer_size, NULL, NULL, NULL},
    {"_write_buffer", (getter)stream_get_write_buffer, NULL, NULL, NULL},
    {"_total_write_index", (getter)stream_get_write_index, (setter)stream_set_write_index, NULL, NULL},
    {"_total_write_done_index", (getter)stream_get_write_index, (setter)stream_set_write_index, NULL,
     (void *)1},
    {"_state", (getter)stream_get_state, NULL, NULL, NULL},
    {"_read_future", (getter)stream_get_read_future, NULL, NULL, NULL},
    {"_ssl_accepting", (getter)stream_get_ssl_accepting, NULL, NULL, NULL},
    {"_ssl_connect_future", (getter)stream_get_handshake_future, (setter)stream_set_handshake_future, NULL,
     NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};
