/* See iostream.h. Runs Python. */
#include "base/log.h"
#include "base/raise.h"
#include "base/args.h"
#include "stream/iostream.h"
#include "stream/stream_linger.h"

/* ---- what Tornado's applications reach for ---- */

PyObject *
tc_iostream_handle_events(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_handle_events", nargs, 2, 2) < 0 || tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    long events = PyLong_AsLong(args[1]);
    if (events == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (self->closed) {
        tc_log(self->state, "general", "warning", "Got events for closed stream %S", args[0]);
        Py_RETURN_NONE;
    }
    return self->watcher.cb(&self->watcher, (unsigned)events) == TC_RAISED ? NULL : Py_NewRef(Py_None);
}

static PyObject *
none_after(StreamObject *self, int st)
{
    return st == TC_RAISED || (!self->closed && tc_stream_update(self) < 0) ? NULL : Py_NewRef(Py_None);
}

PyObject *
tc_iostream_handle_read(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0
               ? NULL
               : none_after(self, self->closed ? TC_OK : tc_stream_readable(self));
}

PyObject *
tc_iostream_handle_write(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0
               ? NULL
               : none_after(self, self->closed ? TC_OK : tc_stream_writable(self));
}

PyObject *
tc_iostream_add_io_state(StreamObject *self, PyObject *state)
{
    long events = PyLong_AsLong(state);
    if ((events == -1 && PyErr_Occurred()) || tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    self->asked |= (uint8_t)((unsigned)events & (TC_READ | TC_WRITE));
    return none_after(self, TC_OK);
}

PyObject *
tc_iostream_try_inline_read(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0 || tc_stream_inline_read(self) == TC_RAISED ? NULL
                                                                                       : Py_NewRef(Py_None);
}

PyObject *
tc_iostream_maybe_add_error_listener(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0 ? NULL : none_after(self, TC_OK);
}

PyObject *
tc_iostream_check_closed(StreamObject *self, PyObject *unused)
{
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
tc_iostream_consume(StreamObject *self, PyObject *arg)
{
    Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size < 0 || (size_t)size > self->buf_len || self->reading_event) {
        return PyErr_Format(PyExc_AssertionError, "cannot take %zd of %zu buffered bytes", size,
                            self->buf_len);
    }
    PyObject *bytes = PyBytes_FromStringAndSize(self->buf != NULL ? self->buf + self->buf_off : NULL, size);
    if (bytes != NULL) {
        tc_stream_consume(self, (size_t)size);
    }
    return bytes;
}

PyObject *
tc_iostream_is_connreset(StreamObject *self, PyObject *exc)
{
    return PyBool_FromLong(tc_error_is_connreset(self->state, exc));
}

PyObject *
tc_iostream_get_write_buffer(StreamObject *self, void *unused)
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

PyObject *
tc_iostream_get_write_index(StreamObject *self, void *which)
{
    if (tc_stream_flush(self) == TC_RAISED) { /* the corked bytes are not counted yet */
        return NULL;
    }
    tc_writes *writes = self->writes;
    return PyLong_FromUnsignedLongLong(writes != NULL ? *write_index(writes, which) : self->sent);
}

int
tc_iostream_set_write_index(StreamObject *self, PyObject *value, void *which)
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

PyObject *
tc_iostream_get_state(StreamObject *self, void *unused)
{
    if (!self->watcher.registered) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(self->watcher.events | TC_ERROR);
}

PyObject *
tc_iostream_get_read_future(StreamObject *self, void *unused)
{
    PyObject *future = tc_stream_has_read(self) ? self->read->waiter.future : NULL;
    if (future != NULL) {
        self->read->unseen = false;
    }
    return Py_NewRef(future != NULL ? future : Py_None);
}

/* ---- what iostream.py needs ---- */

PyObject *
tc_iostream_is_idle(StreamObject *self, PyObject *unused)
{
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    /* Bytes were read ahead to notice the peer's end. A handshake's are for start_tls(); in the middle of a
     * delivery that cannot be known. */
    bool unread = self->buf_len > 0 && (self->reading_event || self->buf[self->buf_off] != TC_TLS_HANDSHAKE);
    bool busy = self->closed || self->connecting || !tc_stream_is_free(self) || unread ||
                tc_stream_unsent(self) > 0 || (self->writes != NULL && self->writes->nwaiters > 0);
    return PyBool_FromLong(!busy);
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
tc_iostream_linger(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_linger", nargs, 2, 2) < 0) {
        return NULL;
    }
    double seconds = PyFloat_AsDouble(args[0]);
    Py_ssize_t size = PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], NULL);
    if ((size == -1 && PyErr_Occurred()) || tc_stream_check_ready(self) < 0 ||
        tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    int lingers = tc_stream_linger(self, seconds, size);
    return lingers < 0 ? NULL : PyBool_FromLong(lingers);
}

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
tc_iostream_call_later(StreamObject *self, PyObject *callback)
{
    if (self->core == NULL) {
        return tc_stream_check_ready(self) < 0 ? NULL : Py_NewRef(Py_None);
    }
    return tc_stream_call(self, callback, NULL, NULL) < 0 ? NULL : Py_NewRef(Py_None);
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
    return none_after(self, TC_OK);
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
    return none_after(self, TC_OK);
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

PyObject *
tc_iostream_get_ssl_accepting(StreamObject *self, void *unused)
{
    return PyBool_FromLong(tc_stream_handshaking(self));
}

PyObject *
tc_iostream_get_handshake_future(StreamObject *self, void *unused)
{
    PyObject *future = self->tls != NULL ? self->tls->future : NULL;
    return Py_NewRef(future != NULL ? future : Py_None);
}

int
tc_iostream_set_handshake_future(StreamObject *self, PyObject *value, void *unused)
{
    if (self->tls == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the stream has no TLS");
        return -1;
    }
    Py_XSETREF(self->tls->future, Py_XNewRef(value != NULL ? tc_arg_or_null(value) : NULL));
    return 0;
}
