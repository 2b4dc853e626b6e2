/* A stream is bound to its socket, loop and limits, gets TLS, and gives its socket up. Runs Python. */
#include "base/args.h"
#include "stream/iostream.h"

#include <limits.h>
#include <sys/socket.h>

Py_ssize_t
tc_iostream_size(PyObject *value)
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

int
tc_iostream_size_option(PyObject *value, Py_ssize_t absent, Py_ssize_t *out)
{
    *out = absent;
    if (value != Py_None) {
        Py_ssize_t size = tc_iostream_size(value);
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

PyObject *
tc_iostream_open(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
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
    if (tc_iostream_size_option(args[2], TC_STREAM_MAX_BUFFER, &max_buffer) < 0 ||
        tc_iostream_size_option(args[3], TC_STREAM_CHUNK, &chunk) < 0 ||
        tc_iostream_size_option(args[4], -1, &max_write) < 0) {
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

/* ---- for start_tls() and TLS streams, of iostream.py ---- */

PyObject *
tc_iostream_set_socket(StreamObject *self, PyObject *socket)
{
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0 || fd != self->watcher.fd) {
        if (fd >= 0) {
            PyErr_SetString(PyExc_ValueError, "the socket has another descriptor than the stream");
        }
        return NULL;
    }
    Py_XSETREF(self->socket, Py_NewRef(socket));
    tc_stream_note_socket(self);
    Py_RETURN_NONE;
}

PyObject *
tc_iostream_detach(StreamObject *self, PyObject *unused)
{
    if (tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    PyObject *socket = tc_stream_socket(self);
    if (socket == NULL) {
        return NULL;
    }
    PyObject *callback = tc_stream_tells_of_close(self) ? self->notices->closed.callback : Py_None;
    PyObject *nodelay = tc_stream_has_nodelay(self) ? Py_True : Py_False;
    PyObject *result = PyTuple_Pack(3, socket, callback, nodelay);
    Py_DECREF(socket);
    if (result == NULL) {
        return NULL;
    }
    if (tc_stream_end_train(self) == TC_RAISED) {
        Py_DECREF(result);
        return NULL;
    }
    if (self->consumer != NULL) {
        self->consumer_class->lost(self->consumer);
    }
    tc_core_unwatch(self->core, &self->watcher);
    tc_core_cancel_task(&self->resume_task);
    self->watcher.fd = -1;
    self->owns_fd = false;
    self->closed = true;
    Py_CLEAR(self->socket);
    if (self->notices != NULL) {
        tc_waiter_clear(&self->notices->closed);
    }
    Py_CLEAR(self->watcher.owner); /* the caller has a reference */
    return result;
}

PyObject *
tc_iostream_tls_begin(StreamObject *self, PyObject *connected)
{
    int now = PyObject_IsTrue(connected); /* first: may run Python */
    if (now < 0 || tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    if (self->tls != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the stream has TLS already");
        return NULL;
    }
    if (tc_tls_begin(self) < 0) {
        return NULL;
    }
    /* The handshake begins in the next turn, when the descriptor is writable. */
    self->tls->want = now ? TC_WRITE : 0;
    return tc_iostream_none_after(self, TC_OK);
}

PyObject *
tc_iostream_tls_wants(StreamObject *self, PyObject *arg)
{
    unsigned long events = PyLong_AsUnsignedLong(arg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (self->tls == NULL) {
        PyErr_SetString(PyExc_ValueError, "the stream has no TLS");
        return NULL;
    }
    self->tls->want = (unsigned)events & (TC_READ | TC_WRITE);
    return tc_iostream_none_after(self, TC_OK);
}

PyObject *
tc_iostream_tls_done(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_tls_done", nargs, 2, 2) < 0) {
        return NULL;
    }
    tc_tls *tls = self->tls;
    PyObject *memory = tc_arg_or_null(args[1]);
    if (memory != NULL && !Py_IS_TYPE(memory, self->state->tls_memory_type)) {
        PyErr_SetString(PyExc_TypeError, "memory must be a TLSMemory or None");
        return NULL;
    }
    if (tls == NULL || self->closed || !tls->accepting) {
        Py_RETURN_NONE;
    }
    tls->accepting = false;
    tls->want = 0;
    /* Only the ssl module's own object is given memory that it must not keep. Any other, and a memory that
     * belongs to it, is left to the socket's Python methods. */
    if (Py_TYPE(args[0]) != (PyTypeObject *)self->state->ssl_object) {
        Py_RETURN_NONE;
    }
    tls->sslobj = Py_NewRef(args[0]);
    tls->memory = (TLSMemoryObject *)Py_XNewRef(memory);
    if (tls->memory != NULL) {
        tls->memory->maybe_more = true; /* bytes may have come after the handshake's last ones */
    }
    Py_RETURN_NONE;
}
