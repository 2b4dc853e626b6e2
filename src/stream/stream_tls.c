/* The TLS side of a stream: records through the ssl module's own object, without a Python frame for each. The
 * handshake is SSLIOStream's, in Python. OpenSSL reads no more of the socket than the record it needs, so
 * that the kernel tells of what is left there; what it holds decrypted is read before the stream waits. Runs
 * Python: the ssl module, the handshake. */
#include "stream/stream.h"

#define TLS_RECORD 16384      /* bytes: the most that one record carries (RFC 8446, section 5.1) */
#define TLS_WRITE_MOST 262144 /* bytes given to OpenSSL at once */

int
tc_tls_begin(StreamObject *self)
{
    if (self->tls == NULL && (self->tls = PyMem_Calloc(1, sizeof(tc_tls))) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->tls->accepting = true;
    return 0;
}

void
tc_tls_free(tc_tls *tls)
{
    if (tls != NULL) {
        Py_XDECREF(tls->sslobj);
        Py_XDECREF(tls->future);
        Py_XDECREF(tls->failure);
        PyMem_Free(tls);
    }
}

int
tc_tls_handshake(StreamObject *self)
{
    if (self->tls->busy) {
        return TC_OK;
    }
    self->tls->busy = true;
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str__do_ssl_handshake);
    self->tls->busy = false;
    if (result == NULL) {
        return TC_RAISED;
    }
    Py_DECREF(result);
    return TC_OK;
}

void
tc_tls_closed(StreamObject *self)
{
    tc_tls *tls = self->tls;
    PyObject *future = tls->future;
    tls->future = NULL;
    tls->want = 0;
    if (future != NULL) {
        /* Whoever waits for a handshake wants to know what was wrong with it. */
        PyObject *exc = self->error != NULL ? Py_NewRef(self->error) : tc_stream_closed_error(self);
        if (exc == NULL) {
            PyErr_WriteUnraisable(future);
        }
        else {
            tc_future_fail_quietly(self->state, future, exc);
            Py_DECREF(exc);
        }
        Py_DECREF(future);
    }
}

/* ---- records ---- */

/* An exception of the ssl module is set: TC_IO_AGAIN where it only wants the socket to be ready, with *other
 * set if that is for the other direction; 0 at the peer's end. */
static Py_ssize_t
tls_error(StreamObject *self, PyObject *same_direction, PyObject *other_direction, bool *other)
{
    tc_state *state = self->state;
    if (same_direction != NULL && PyErr_ExceptionMatches(same_direction)) {
        PyErr_Clear();
        return TC_IO_AGAIN;
    }
    if (other_direction != NULL && PyErr_ExceptionMatches(other_direction)) {
        PyErr_Clear();
        *other = true;
        return TC_IO_AGAIN;
    }
    /* A peer that leaves without saying goodbye: the ssl module's sockets call that a regular end, too. */
    if (state->face_SSLEOFError != NULL && PyErr_ExceptionMatches(state->face_SSLEOFError)) {
        PyErr_Clear();
        return 0;
    }
    return TC_IO_FAILED;
}

/* One read of at most a record. */
static Py_ssize_t
tls_read_record(StreamObject *self, char *buf, size_t size)
{
    PyObject *view = PyMemoryView_FromMemory(buf, (Py_ssize_t)size, PyBUF_WRITE);
    PyObject *length = view != NULL ? PyLong_FromSize_t(size) : NULL;
    PyObject *args[3] = {self->tls->sslobj, length, view};
    PyObject *result = length != NULL ? PyObject_VectorcallMethod(self->state->str_read, args,
                                                                  3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
                                      : NULL;
    Py_ssize_t n;
    if (result != NULL) {
        n = PyLong_AsSsize_t(result);
        Py_DECREF(result);
        n = n >= 0 && (size_t)n <= size ? n : TC_IO_FAILED;
    }
    else {
        n = tls_error(self, self->state->face_SSLWantReadError, self->state->face_SSLWantWriteError,
                      &self->tls->read_blocked);
    }
    Py_XDECREF(length);
    Py_XDECREF(view);
    return n;
}

Py_ssize_t
tc_tls_recv(StreamObject *self, char *buf, size_t size)
{
    tc_tls *tls = self->tls;
    if (tls->accepting || tls->busy) {
        self->drained_socket = true;
        return TC_IO_AGAIN;
    }
    if (TC_UNLIKELY(tls->failure != NULL)) {
        PyErr_SetRaisedException(tls->failure);
        tls->failure = NULL;
        return TC_IO_FAILED;
    }
    size_t total = 0;
    PyObject *sslobj = Py_NewRef(tls->sslobj); /* the stream may be closed meanwhile */
    self->drained_socket = false;
    tls->read_blocked = false;
    while (total < size && !self->closed) {
        tls->busy = true;
        Py_ssize_t n = tls_read_record(self, buf + total, size - total);
        tls->busy = false;
        if (n <= 0) {
            if (n == TC_IO_AGAIN) {
                self->drained_socket = true;
            }
            Py_DECREF(sslobj);
            if (n == TC_IO_FAILED && total > 0) {
                Py_XSETREF(tls->failure, PyErr_GetRaisedException());
            }
            return total > 0 ? (Py_ssize_t)total : n;
        }
        size_t room = size - total;
        total += (size_t)n;
        if (n < TLS_RECORD && (size_t)n < room) {
            /* Asking again would cost an exception, most of the time for nothing: the kernel tells of more.
             */
            self->drained_socket = true;
            break;
        }
    }
    Py_DECREF(sslobj);
    return (Py_ssize_t)total;
}

/* After a "want" error OpenSSL must be given the same bytes again, perhaps with more behind them: pieces of
 * the queue only grow at their end, and the length below depends on where the piece begins. */
Py_ssize_t
tc_tls_send(StreamObject *self, const tc_piece *piece)
{
    tc_tls *tls = self->tls;
    if (tls->accepting || tls->busy) {
        return TC_IO_AGAIN;
    }
    size_t size = tc_min_size(piece->size, TLS_WRITE_MOST);
    PyObject *data;
    if (piece->kind == TC_PIECE_BYTES && piece->offset == 0 && piece->size == size) {
        data = Py_NewRef(piece->owner);
    }
    else {
        data = PyMemoryView_FromMemory((char *)tc_piece_data(piece), (Py_ssize_t)size, PyBUF_READ);
    }
    /* Without the GIL, or in a callback of the ssl module, more may be appended: not to these bytes. */
    Py_buffer pinned = {.obj = NULL};
    if (piece->kind == TC_PIECE_COPY && PyObject_GetBuffer(piece->owner, &pinned, PyBUF_SIMPLE) < 0) {
        Py_CLEAR(data);
    }
    PyObject *sslobj = Py_NewRef(tls->sslobj), *owner = Py_NewRef(piece->owner);
    tls->write_blocked = false;
    tls->busy = true;
    PyObject *result = data != NULL ? PyObject_CallMethodOneArg(sslobj, self->state->str_write, data) : NULL;
    tls->busy = false;
    Py_ssize_t n;
    if (result != NULL) {
        n = PyLong_AsSsize_t(result);
        Py_DECREF(result);
        n = n > 0 && (size_t)n <= size ? n : n == 0 ? TC_IO_AGAIN : TC_IO_FAILED;
    }
    else {
        n = tls_error(self, self->state->face_SSLWantWriteError, self->state->face_SSLWantReadError,
                      &tls->write_blocked);
        if (n == 0) { /* the peer is gone */
            errno = EPIPE;
            PyErr_SetFromErrno(PyExc_OSError);
            n = TC_IO_FAILED;
        }
    }
    Py_XDECREF(data);
    PyBuffer_Release(&pinned);
    Py_DECREF(owner);
    Py_DECREF(sslobj);
    return n;
}
