/* The receiving half of a stream: one recv for each event into the loop's scratch buffer, delivery to the
 * consumer or to the pending read, and the bytes that stay over. Runs Python: consumers, Futures, close. */
#define _GNU_SOURCE
#include "stream/stream.h"

#include <sys/socket.h>

/* ---- the buffer of unread bytes ---- */

static inline const char *
buffered(const StreamObject *self)
{
    return self->buf + self->buf_off;
}

static void
buffer_free(StreamObject *self)
{
    PyMem_Free(self->buf);
    self->buf = NULL;
    self->buf_off = self->buf_len = self->buf_cap = 0;
}

/* Room for `size` more bytes behind the unread ones. */
static char *
buffer_room(StreamObject *self, size_t size)
{
    size_t end = self->buf_off + self->buf_len;
    if (self->buf_cap - end >= size) {
        return self->buf + end;
    }
    if (self->buf_off > 0 && self->buf_cap - self->buf_len >= size && self->buf_off >= self->buf_len) {
        memcpy(self->buf, self->buf + self->buf_off, self->buf_len);
    }
    else {
        size_t cap = self->buf_len + size;
        if (cap < self->buf_cap * 2) {
            cap = self->buf_cap * 2;
        }
        char *buf = PyMem_Malloc(cap);
        if (buf == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        if (self->buf_len > 0) {
            memcpy(buf, self->buf + self->buf_off, self->buf_len);
        }
        PyMem_Free(self->buf);
        self->buf = buf;
        self->buf_cap = cap;
    }
    self->buf_off = 0;
    return self->buf + self->buf_len;
}

static int
buffer_append(StreamObject *self, const char *data, size_t size)
{
    if (size == 0) {
        return TC_OK;
    }
    char *room = buffer_room(self, size);
    if (room == NULL) {
        return TC_RAISED;
    }
    memcpy(room, data, size);
    self->buf_len += size;
    return TC_OK;
}

static void
buffer_consume(StreamObject *self, size_t size)
{
    self->buf_off += size;
    self->buf_len -= size;
    if (self->buf_len == 0) {
        buffer_free(self);
    }
}

/* ---- pending reads of Python's ---- */

bool
tc_stream_is_reading(const StreamObject *self)
{
    return self->read != NULL && self->read->kind != TC_READ_NONE;
}

void
tc_read_clear(tc_read *read)
{
    read->kind = TC_READ_NONE;
    Py_CLEAR(read->pattern);
    Py_CLEAR(read->future);
    Py_CLEAR(read->callback);
    Py_CLEAR(read->streaming);
    Py_CLEAR(read->context);
}

#define FIND_MORE (-1) /* not satisfied yet */
#define FIND_UNSATISFIABLE (-2)
#define FIND_RAISED (-3)

static Py_ssize_t
find_over_limit(const tc_read *read, size_t size)
{
    return read->max_bytes >= 0 && size > (size_t)read->max_bytes ? FIND_UNSATISFIABLE : FIND_MORE;
}

static Py_ssize_t
find_delimiter(tc_read *read, const char *data, size_t size)
{
    size_t length = (size_t)PyBytes_GET_SIZE(read->pattern);
    size_t from = read->scanned > length ? read->scanned - length : 0;
    if (size >= length && size > from) {
        const char *hit = memmem(data + from, size - from, PyBytes_AS_STRING(read->pattern), length);
        if (hit != NULL) {
            size_t end = (size_t)(hit - data) + length;
            return find_over_limit(read, end) == FIND_MORE ? (Py_ssize_t)end : FIND_UNSATISFIABLE;
        }
    }
    read->scanned = size;
    return find_over_limit(read, size);
}

/* Runs pattern.search over a copy: an expression may call back into Python through a subclass. */
static Py_ssize_t
find_regex(StreamObject *self, const char *data, size_t size)
{
    if (size == 0) {
        return FIND_MORE;
    }
    PyObject *copy = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *match =
        copy != NULL ? PyObject_CallMethodOneArg(self->read->pattern, self->state->str_search, copy) : NULL;
    Py_XDECREF(copy);
    if (match == NULL) {
        return FIND_RAISED;
    }
    if (match == Py_None) {
        Py_DECREF(match);
        return find_over_limit(self->read, size);
    }
    PyObject *end = PyObject_CallMethodNoArgs(match, self->state->str_end);
    Py_DECREF(match);
    Py_ssize_t at = end != NULL ? PyLong_AsSsize_t(end) : -1;
    Py_XDECREF(end);
    if (at < 0) {
        return FIND_RAISED;
    }
    return find_over_limit(self->read, (size_t)at) == FIND_MORE ? at : FIND_UNSATISFIABLE;
}

/* How many bytes satisfy the pending read, or one of FIND_*. */
static Py_ssize_t
read_find(StreamObject *self, const char *data, size_t size)
{
    tc_read *read = self->read;
    switch (read->kind) {
    case TC_READ_BYTES:
        if (size >= (size_t)read->target) {
            return read->target;
        }
        return read->partial && size > 0 ? (Py_ssize_t)size : FIND_MORE;
    case TC_READ_UNTIL:
        return find_delimiter(read, data, size);
    case TC_READ_REGEX:
        return find_regex(self, data, size);
    default:
        return FIND_MORE;
    }
}

/* Gives the bytes to whoever waits for them. */
static int
read_finish(StreamObject *self, const char *data, size_t size)
{
    tc_read done = *self->read;
    memset(self->read, 0, sizeof(*self->read));
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    int st = TC_OK;
    if (bytes == NULL) {
        st = TC_RAISED;
    }
    else if (done.future != NULL) {
        tc_future_resolve(self->state, done.future,
                          bytes); /* cancelled: the bytes are lost, as Tornado loses them */
    }
    else if (done.callback != NULL && tc_stream_call(self, done.callback, bytes, done.context) < 0) {
        st = TC_RAISED;
    }
    Py_XDECREF(bytes);
    tc_read_clear(&done);
    return st;
}

/* Hands what there is to streaming_callback; returns how many bytes went, or -1. */
static Py_ssize_t
read_stream_out(StreamObject *self, const char *data, size_t size)
{
    tc_read *read = self->read;
    size_t n = read->kind == TC_READ_BYTES ? tc_min_size(size, (size_t)read->target) : size;
    if (n == 0) {
        return 0;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)n);
    int st = bytes != NULL ? tc_stream_call(self, read->streaming, bytes, read->context) : -1;
    Py_XDECREF(bytes);
    if (st < 0) {
        return -1;
    }
    if (read->kind == TC_READ_BYTES) {
        read->target -= (Py_ssize_t)n;
    }
    return (Py_ssize_t)n;
}

/* gen_log.info("Unsatisfiable read, closing connection: ..."), then close with the UnsatisfiableReadError. */
static int
read_unsatisfiable(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, UnsatisfiableReadError, "tornado_c.iostream");
    if (cls == NULL) {
        return TC_RAISED;
    }
    PyObject *text = PyUnicode_FromFormat("delimiter %R not found within %zd bytes", self->read->pattern,
                                          self->read->max_bytes);
    PyObject *exc = text != NULL ? PyObject_CallOneArg(cls, text) : NULL;
    int st = TC_RAISED;
    if (exc != NULL) {
        tc_log(self->state, "general", "info", "Unsatisfiable read, closing connection: %S", exc);
        st = tc_stream_close(self, exc);
    }
    Py_XDECREF(text);
    Py_XDECREF(exc);
    return st;
}

/* Tries the pending read against unread bytes; *used is how many it took. */
static int
read_try(StreamObject *self, const char *data, size_t size, size_t *used)
{
    *used = 0;
    if (self->read->streaming != NULL) {
        Py_ssize_t n = read_stream_out(self, data, size);
        if (n < 0) {
            return TC_RAISED;
        }
        *used = (size_t)n;
        data += n;
        size -= (size_t)n;
        if (self->read->kind == TC_READ_BYTES && self->read->target == 0) {
            return read_finish(self, data, 0);
        }
        return TC_OK;
    }
    Py_ssize_t n = read_find(self, data, size);
    if (n == FIND_RAISED) {
        return TC_RAISED;
    }
    if (n == FIND_UNSATISFIABLE) {
        return read_unsatisfiable(self);
    }
    if (n == FIND_MORE) {
        return TC_OK;
    }
    *used = (size_t)n;
    return read_finish(self, data, (size_t)n);
}

/* ---- delivery ---- */

/* Offers unread bytes to the reader of the moment; *used is how many went. */
static int
deliver(StreamObject *self, const char *data, size_t size, size_t *used)
{
    *used = 0;
    if (self->consumer != NULL) {
        if (self->paused) {
            return TC_OK;
        }
        PyObject *consumer = Py_NewRef(self->consumer);
        Py_ssize_t n = self->consumer_class->data(consumer, data, size);
        Py_DECREF(consumer);
        if (n == TC_CONSUMER_RAISED) {
            return TC_RAISED;
        }
        *used = n > 0 ? (size_t)n : 0;
        return TC_OK;
    }
    return tc_stream_is_reading(self) ? read_try(self, data, size, used) : TC_OK;
}

int
tc_stream_offer_buffered(StreamObject *self)
{
    if (self->buf_len == 0 || self->reading_event) {
        return TC_OK;
    }
    size_t used;
    self->reading_event = true;
    /* A consumer's answer may let Python write to this stream, never append to its read buffer: reading_event
     * holds that off. */
    int st = deliver(self, buffered(self), self->buf_len, &used);
    self->reading_event = false;
    if (used > 0) {
        buffer_consume(self, used);
    }
    return st;
}

static int
over_full(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, StreamBufferFullError, "tornado_c.iostream");
    PyObject *exc = cls != NULL ? PyObject_CallFunction(cls, "s", "Reached maximum read buffer size") : NULL;
    if (exc == NULL) {
        return TC_RAISED;
    }
    tc_log(self->state, "general", "error", "Reached maximum read buffer size");
    int st = tc_stream_close(self, exc);
    Py_DECREF(exc);
    return st;
}

/* The peer has ended its side, or the connection broke. */
static int
read_ended(StreamObject *self, int err)
{
    if (err == 0) {
        return tc_stream_close(self, NULL);
    }
    return tc_stream_close_errno(self, err);
}

/* An application may set the attribute to anything; asking for nothing would look like the end. */
static size_t
read_chunk(const StreamObject *self)
{
    return self->read_chunk_size > 0 ? (size_t)self->read_chunk_size : TC_STREAM_CHUNK;
}

/* One recv behind what is buffered. Bytes received; 0 when there is nothing now or the stream was closed;
 * TC_RAISED as -1. */
static Py_ssize_t
receive_to_buffer(StreamObject *self)
{
    size_t chunk = read_chunk(self);
    char *room = buffer_room(self, chunk);
    if (room == NULL) {
        return -1;
    }
    ssize_t n = recv(self->watcher.fd, room, chunk, 0);
    if (n <= 0) {
        if (self->buf_len == 0) {
            buffer_free(self);
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            self->drained_socket = true;
            return 0;
        }
        return read_ended(self, n < 0 ? errno : 0) == TC_RAISED ? -1 : 0;
    }
    self->drained_socket = (size_t)n < chunk;
    self->buf_len += (size_t)n;
    return n;
}

/* One recv into the loop's scratch buffer, delivered from there: the path of every whole request. */
static Py_ssize_t
receive_and_deliver(StreamObject *self)
{
    bool own;
    size_t chunk = read_chunk(self);
    char *scratch = tc_scratch_take(&self->core->input, chunk, &own);
    if (scratch == NULL) {
        return -1;
    }
    int st = TC_OK;
    ssize_t n = recv(self->watcher.fd, scratch, chunk, 0);
    if (TC_LIKELY(n > 0)) {
        size_t used;
        self->drained_socket = (size_t)n < chunk;
        self->reading_event = true;
        st = deliver(self, scratch, (size_t)n, &used);
        self->reading_event = false;
        if (st == TC_OK) {
            st = buffer_append(self, scratch + used, (size_t)n - used);
        }
    }
    else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        self->drained_socket = true;
        n = 0;
    }
    else {
        st = read_ended(self, n < 0 ? errno : 0);
        n = 0;
    }
    tc_scratch_return(&self->core->input, scratch, own);
    return st == TC_RAISED ? -1 : n;
}

static bool
wants_more(const StreamObject *self)
{
    if (self->closed) {
        return false;
    }
    return self->consumer != NULL ? !self->paused : tc_stream_is_reading(self);
}

int
tc_stream_readable(StreamObject *self)
{
    if (self->reading_event) {
        return TC_OK; /* a nested loop inside a consumer: the outer call goes on later */
    }
    for (int budget = 16; budget > 0 && !self->closed; budget--) {
        Py_ssize_t n;
        if (self->buf_len == 0) {
            n = receive_and_deliver(self);
            if (n > 0 && tc_stream_is_reading(self) && tc_stream_offer_buffered(self) == TC_RAISED) {
                return TC_RAISED;
            }
        }
        else {
            n = receive_to_buffer(self);
            if (n > 0 && tc_stream_offer_buffered(self) == TC_RAISED) {
                return TC_RAISED;
            }
        }
        if (n < 0) {
            return TC_RAISED;
        }
        if (self->buf_len > (size_t)self->max_buffer_size && !self->closed) {
            return over_full(self);
        }
        if (n == 0 || self->drained_socket || !wants_more(self)) {
            break;
        }
    }
    return TC_OK;
}

/* ---- reads of Python's ---- */

static int
read_check_free(StreamObject *self)
{
    if (self->consumer == NULL && !tc_stream_is_reading(self)) {
        return 0;
    }
    if (self->closed) {
        tc_stream_raise_closed(self);
    }
    else {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
    }
    return -1;
}

PyObject *
tc_stream_start_read(StreamObject *self, const tc_read *request, PyObject *callback, PyObject *streaming)
{
    if (read_check_free(self) < 0) {
        return NULL;
    }
    if (self->read == NULL && (self->read = PyMem_Calloc(1, sizeof(tc_read))) == NULL) {
        return PyErr_NoMemory();
    }
    tc_read *read = self->read;
    *read = *request;
    Py_XINCREF(read->pattern);
    read->callback = Py_XNewRef(callback);
    read->streaming = Py_XNewRef(streaming);
    read->future = callback == NULL ? tc_core_future(self->core) : NULL;
    read->context = callback != NULL || streaming != NULL ? PyContext_CopyCurrent() : NULL;
    if (PyErr_Occurred()) {
        tc_read_clear(read);
        return NULL;
    }
    PyObject *answer = Py_NewRef(read->future != NULL ? read->future : Py_None);
    int st = TC_OK;
    /* Inside a delivery the bytes behind it are not in the buffer yet: the event goes on with this read
     * afterwards. */
    bool now = !self->reading_event;
    if (now && (self->buf_len > 0 || (read->kind == TC_READ_BYTES && read->target == 0))) {
        size_t used;
        st = read_try(self, buffered(self), self->buf_len, &used);
        if (used > 0) {
            buffer_consume(self, used);
        }
    }
    if (st == TC_OK && tc_stream_is_reading(self)) {
        if (self->closed) {
            if (read->kind == TC_READ_CLOSE) {
                st = read_finish(self, NULL, 0);
            }
            else {
                tc_read_clear(read);
                tc_stream_raise_closed(self);
                st = TC_RAISED;
            }
        }
        else if (now && !self->drained_socket && !self->connecting) {
            st = tc_stream_readable(self);
        }
    }
    if (st == TC_OK && !self->closed && tc_stream_update(self) < 0) {
        st = TC_RAISED;
    }
    if (st == TC_RAISED) {
        Py_DECREF(answer);
        if (tc_stream_is_reading(self)) {
            tc_read_clear(self->read);
        }
        return NULL;
    }
    return answer;
}

/* The stream is closing: a read that can be satisfied is, as is read_until_close after a regular end; the
 * rest fails. */
void
tc_stream_read_closed(StreamObject *self, PyObject *exc)
{
    if (!tc_stream_is_reading(self)) {
        return;
    }
    tc_read *read = self->read;
    /* While a consumer looks at the buffer nothing may be taken from it. */
    size_t size = self->reading_event ? 0 : self->buf_len, used = 0;
    if (read->kind == TC_READ_CLOSE) {
        if (self->error == NULL || tc_error_is_connreset(self->state, self->error)) {
            if (read_finish(self, buffered(self), size) == TC_RAISED) {
                PyErr_WriteUnraisable((PyObject *)self);
            }
            if (size > 0) {
                buffer_consume(self, size);
            }
            return;
        }
    }
    else if (size > 0 && read->streaming == NULL) {
        Py_ssize_t n = read_find(self, buffered(self), size);
        if (n == FIND_RAISED) {
            PyErr_Clear();
        }
        if (n >= 0) {
            used = (size_t)n;
            if (read_finish(self, buffered(self), used) == TC_RAISED) {
                PyErr_WriteUnraisable((PyObject *)self);
            }
            buffer_consume(self, used);
            return;
        }
    }
    tc_read gone = *read;
    memset(read, 0, sizeof(*read));
    if (gone.future != NULL) {
        tc_future_fail_quietly(self->state, gone.future, exc);
    }
    tc_read_clear(&gone);
}
