/* The TLS side of a stream: records through the ssl module's own object, without a Python frame for each. The
 * handshake is SSLIOStream's, in Python.
 *
 * There are two ways. A socket that the stream wrapped itself is a TLSSocket: OpenSSL works in memory, and
 * the records are received and sent here. With one that came wrapped OpenSSL uses the descriptor, with a
 * system call for each record and for each record's head. It reads no more there than the record it needs, so
 * that the kernel reports what is left. Either way, what OpenSSL holds is read before the stream waits. Runs
 * Python: the ssl module, the handshake. */
#include "base/future.h"
#include "stream/stream_parts.h"

#define TLS_WRITE_MAX 262144 /* bytes given to OpenSSL at once where it sends them itself */
#define TLS_BURST 32         /* records sent at once, at most */
#define TLS_BURST_ROOM ((TLS_BURST + 2) * TC_TLS_ARRIVING)

bool
tc_tls_is_handshaking(const tc_tls *tls)
{
    return tls->accepting;
}

int
tc_tls_begin(StreamObject *self)
{
    if (self->tls == NULL && (self->tls = PyMem_Calloc(1, sizeof(tc_tls))) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->tls->accepting = true;
    self->tls->burst = 4;
    self->tls->fork_count = tc_fork_count();
    return 0;
}

void
tc_tls_free(tc_tls *tls)
{
    if (tls != NULL) {
        Py_XDECREF(tls->sslobj);
        Py_XDECREF(tls->future);
        Py_XDECREF(tls->failure);
        Py_XDECREF(tls->memory);
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
        /* The waiter for the handshake gets the cause. */
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

/* ---- the end ---- */

void
tc_tls_say_goodbye(StreamObject *self)
{
    tc_tls *tls = self->tls;
    /* Where bytes are lost the end must not look regular; and a forked child ends nothing of its parent's. */
    if (tls->accepting || tls->busy || tls->sslobj == NULL || tls->said_goodbye || self->watcher.fd < 0 ||
        tls->encrypted > 0 || tc_stream_waiting(self) > 0 || tls->fork_count != tc_fork_count()) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *sslobj = Py_NewRef(tls->sslobj);
    tls->said_goodbye = tls->busy = true;
    PyObject *result = PyObject_CallMethodNoArgs(sslobj, self->state->str_shutdown);
    PyErr_Clear(); /* SSLWantReadError: the peer's close_notify is not waited for */
    if (tls->memory != NULL && tc_tls_memory_flush(tls->memory, self->watcher.fd) == TC_RAISED) {
        PyErr_Clear(); /* it is gone */
    }
    tls->busy = false;
    Py_XDECREF(result);
    Py_DECREF(sslobj);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
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
    /* A peer that leaves without close_notify: the ssl module's sockets treat that as a regular end, too. */
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
    size = tc_min_size(size, TC_TLS_RECORD); /* the ssl module knows int only */
    PyObject *view = PyMemoryView_FromMemory(buf, (Py_ssize_t)size, PyBUF_WRITE);
    PyObject *length = view != NULL ? PyLong_FromSize_t(size) : NULL;
    /* The stream may be closed in the call. */
    PyObject *args[3] = {Py_NewRef(self->tls->sslobj), length, view};
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
    Py_DECREF(args[0]);
    Py_XDECREF(length);
    Py_XDECREF(view);
    return n;
}

/* Receives records into OpenSSL's memory: TC_OK, also for the end, which OpenSSL then reports itself;
 * TC_AGAIN; TC_RAISED. */
static int
tls_fill(StreamObject *self, TLSMemoryObject *memory, bool *emptied)
{
    bool own;
    char *room = tc_scratch_take(&self->core->records, TC_TLS_ARRIVING, &own);
    if (room == NULL) {
        return TC_RAISED;
    }
    int st = tc_tls_memory_fill(memory, self->watcher.fd, room, emptied);
    tc_scratch_return(&self->core->records, room, own);
    return st == TC_EOF ? TC_OK : st;
}

/* Sends what OpenSSL has written while it read: responses to key updates, alerts. An exception that is set
 * stays set. */
static int
tls_flush_responses(StreamObject *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    int st = self->closed ? TC_OK : tc_tls_memory_flush(self->tls->memory, self->watcher.fd);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        return TC_OK;
    }
    return st;
}

/* Reads records until `size` bytes are there or there are no more now. As tc_tls_recv, but where bytes
 * precede an end or an exception, *total is not 0. */
static Py_ssize_t
tls_read_memory(StreamObject *self, TLSMemoryObject *memory, char *buf, size_t size, size_t *total)
{
    bool emptied = false;
    while (*total < size && !self->closed) {
        if (!memory->maybe_more) {
            int st = emptied ? TC_AGAIN : tls_fill(self, memory, &emptied);
            if (st != TC_OK) {
                self->drained_socket = true;
                return st == TC_AGAIN ? TC_IO_AGAIN : TC_IO_FAILED;
            }
        }
        size_t room = size - *total;
        Py_ssize_t n = tls_read_record(self, buf + *total, room);
        if (n == TC_IO_AGAIN) {
            memory->maybe_more = false;
        }
        else if (n <= 0) {
            return n;
        }
        else {
            *total += (size_t)n;
            if ((size_t)n < room) {
                /* All of this record; a read in vain would cost an exception. */
                Py_ssize_t arrived = tc_tls_memory_arrived(memory);
                if (arrived < 0) {
                    return TC_IO_FAILED;
                }
                memory->maybe_more = arrived > 0;
            }
        }
    }
    return TC_IO_AGAIN;
}

/* The same from the descriptor. */
static Py_ssize_t
tls_read_descriptor(StreamObject *self, char *buf, size_t size, size_t *total)
{
    while (*total < size && !self->closed) {
        size_t room = size - *total;
        Py_ssize_t n = tls_read_record(self, buf + *total, room);
        if (n <= 0) {
            self->drained_socket = n == TC_IO_AGAIN;
            return n;
        }
        *total += (size_t)n;
        if (n < TC_TLS_RECORD && (size_t)n < room) {
            /* Another read would cost an exception, most of the time for nothing: the kernel reports
             * more. */
            self->drained_socket = true;
            return TC_IO_AGAIN;
        }
    }
    return TC_IO_AGAIN;
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
    TLSMemoryObject *memory = tls->memory;
    self->drained_socket = false;
    tls->read_blocked = false;
    tls->busy = true;
    Py_ssize_t n = memory != NULL ? tls_read_memory(self, memory, buf, size, &total)
                                  : tls_read_descriptor(self, buf, size, &total);
    tls->busy = false;
    if (memory != NULL && tls_flush_responses(self) == TC_RAISED) {
        if (n == 0) {
            PyErr_Clear(); /* the peer has left, and needs no alert */
        }
        else {
            n = TC_IO_FAILED;
        }
    }
    if (total == 0) {
        return n;
    }
    if (n == TC_IO_FAILED) {
        self->drained_socket = false;
        Py_XSETREF(tls->failure, PyErr_GetRaisedException());
    }
    return (Py_ssize_t)total;
}

/* ---- sending ---- */

/* Gives OpenSSL a piece of the queue, from an offset on: how many bytes it took, at most `max`; or as
 * tc_tls_send.
 *
 * After a "want" error OpenSSL must be given the same bytes again, perhaps with more after them: pieces of
 * the queue only grow at their end, and the length below depends on where the piece begins. */
static Py_ssize_t
tls_encrypt(StreamObject *self, const tc_piece *piece, size_t offset, size_t max)
{
    tc_tls *tls = self->tls;
    size_t size = tc_min_size(piece->size - offset, max);
    PyObject *data;
    if (piece->kind == TC_PIECE_BYTES && piece->offset + offset == 0 && piece->size == size) {
        data = Py_NewRef(piece->owner);
    }
    else {
        data = PyMemoryView_FromMemory((char *)tc_piece_data(piece) + offset, (Py_ssize_t)size, PyBUF_READ);
    }
    /* Without the GIL, or in a callback of the ssl module, more may be appended: not to these bytes. */
    Py_buffer pinned = {.obj = NULL};
    if (piece->kind == TC_PIECE_COPY && PyObject_GetBuffer(piece->owner, &pinned, PyBUF_SIMPLE) < 0) {
        Py_CLEAR(data);
    }
    PyObject *sslobj = Py_NewRef(tls->sslobj), *owner = Py_NewRef(piece->owner);
    tls->write_blocked = false;
    PyObject *result = data != NULL ? PyObject_CallMethodOneArg(sslobj, self->state->str_write, data) : NULL;
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

/* Records to be sent at once, in the loop's scratch memory. */
typedef struct {
    char *data;
    size_t size;
    bool own;
} tls_burst;

/* Moves a record from OpenSSL's memory to the burst. */
static int
burst_add(StreamObject *self, tls_burst *burst)
{
    if (burst->data == NULL) {
        burst->data = tc_scratch_take(&self->core->records, TLS_BURST_ROOM, &burst->own);
    }
    Py_ssize_t n = burst->data != NULL ? tc_tls_memory_copy(self->tls->memory, burst->data + burst->size,
                                                            TLS_BURST_ROOM - burst->size)
                                       : -1;
    burst->size += n > 0 ? (size_t)n : 0;
    return n < 0 ? -1 : 0;
}

/* Encrypts from the front of the queue what can be sent at once; until then the queue may change, at its end
 * or by being cleared. A single record stays in OpenSSL's memory, several join the burst. How many bytes of
 * the queue; or as tc_tls_send. */
static Py_ssize_t
tls_encrypt_front(StreamObject *self, tls_burst *burst)
{
    StreamBufferObject *buffer = self->writes->buffer;
    size_t index = 0, offset = 0, total = 0, produced = 0;
    while (total < self->tls->burst * TC_TLS_RECORD && burst->size + 2 * TC_TLS_ARRIVING < TLS_BURST_ROOM &&
           !self->closed && buffer->first + index < buffer->count) {
        const tc_piece *piece = &buffer->pieces[buffer->first + index];
        if (piece->kind == TC_PIECE_FILE) {
            break; /* to be read into memory when it is the first */
        }
        if (offset >= piece->size) {
            index++;
            offset = 0;
            continue;
        }
        if (produced >= TC_TLS_RECORD) {
            produced = 0;
            if (burst_add(self, burst) < 0) {
                return TC_IO_FAILED;
            }
        }
        Py_ssize_t n = tls_encrypt(self, piece, offset, TC_TLS_RECORD);
        if (n < 0) {
            return n == TC_IO_AGAIN && total > 0 ? (Py_ssize_t)total : n;
        }
        total += (size_t)n;
        offset += (size_t)n;
        produced += (size_t)n + TC_TLS_ARRIVING - TC_TLS_RECORD;
    }
    if (burst->size > 0 && !self->closed && burst_add(self, burst) < 0) {
        return TC_IO_FAILED;
    }
    return (Py_ssize_t)total;
}

/* The same, and sends it: TC_OK where all of it was sent, with tls->encrypted set; TC_AGAIN; TC_RAISED. */
static int
tls_send_front(StreamObject *self)
{
    tc_tls *tls = self->tls;
    TLSMemoryObject *memory = tls->memory;
    tls_burst burst = {.size = 0};
    Py_ssize_t n = tls_encrypt_front(self, &burst);
    int st = n == TC_IO_FAILED ? TC_RAISED : TC_OK;
    if (!self->closed && st == TC_OK) {
        tls->encrypted = n > 0 ? (size_t)n : 0;
        if (burst.size > 0) {
            st = tc_tls_memory_send(memory, self->watcher.fd, burst.data, burst.size);
        }
        if (st == TC_OK) {
            st = tc_tls_memory_flush(memory, self->watcher.fd);
        }
    }
    if (burst.data != NULL) {
        tc_scratch_return(&self->core->records, burst.data, burst.own);
    }
    /* What a slow peer leaves unsent is kept in memory: try little after an incomplete send. */
    unsigned more = tls->burst * 2 < TLS_BURST ? tls->burst * 2 : TLS_BURST;
    tls->burst = st == TC_AGAIN ? 1 : tls->encrypted >= tls->burst * TC_TLS_RECORD ? more : tls->burst;
    return st;
}

/* Bytes stay in the queue until their records have left. */
static Py_ssize_t
tls_send_memory(StreamObject *self)
{
    tc_tls *tls = self->tls;
    int st = tc_tls_memory_flush(tls->memory, self->watcher.fd);
    if (st == TC_OK && tls->encrypted == 0) {
        bool emptied;
        st = tls_send_front(self);
        while (st == TC_OK && tls->encrypted == 0 && tls->write_blocked && !self->closed &&
               (st = tls_fill(self, tls->memory, &emptied)) == TC_OK) {
            st = tls_send_front(self); /* a new handshake: what OpenSSL wanted to read was there */
        }
    }
    if (st == TC_RAISED) {
        tls_flush_responses(self);
        return TC_IO_FAILED;
    }
    size_t sent = st == TC_OK && !self->closed ? tls->encrypted : 0;
    if (sent == 0) {
        return TC_IO_AGAIN;
    }
    tls->encrypted = 0;
    return (Py_ssize_t)sent;
}

Py_ssize_t
tc_tls_send(StreamObject *self)
{
    tc_tls *tls = self->tls;
    if (tls->accepting || tls->busy) {
        return TC_IO_AGAIN;
    }
    tls->busy = true;
    Py_ssize_t n = tls->memory != NULL
                       ? tls_send_memory(self)
                       : tls_encrypt(self, tc_stream_buffer_front(self->writes->buffer), 0, TLS_WRITE_MAX);
    tls->busy = false;
    return n;
}

int
tc_tls_flush(StreamObject *self)
{
    tc_tls *tls = self->tls;
    bool unsent = tls->memory != NULL && tls->memory->unsent != NULL && !tls->busy;
    return unsent ? tc_tls_memory_flush(tls->memory, self->watcher.fd) : TC_OK;
}
