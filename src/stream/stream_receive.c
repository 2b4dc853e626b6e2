/* The receiving half of a stream: reading in an event into the loop's scratch buffer (or the caller's
 * memory), delivery to the consumer or to the pending read, and the bytes that are left. Runs Python:
 * consumers, hooks, Futures, close. */
#include "base/log.h"
#include "stream/stream_parts.h"

#define READ_MAX 1048576 /* bytes of one event; then other descriptors get their turn */

/* ---- the buffer of unread bytes ---- */

/* The buffer's memory begins with its size, so that a stream without one is smaller. */
static inline size_t *
buffer_start(const StreamObject *self)
{
    return (size_t *)self->buf - 1;
}

static inline size_t
buffer_capacity(const StreamObject *self)
{
    return self->buf != NULL ? *buffer_start(self) : 0;
}

void
tc_stream_drop_buffer(StreamObject *self)
{
    if (self->buf != NULL) {
        PyMem_Free(buffer_start(self));
        self->buf = NULL;
    }
    self->buf_off = self->buf_len = 0;
}

/* Moves the unread bytes to the front of memory for `cap`. */
static int
buffer_move(StreamObject *self, size_t cap)
{
    size_t *start = PyMem_Malloc(sizeof(size_t) + cap), unread = self->buf_len;
    if (start == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *start = cap;
    char *buf = (char *)(start + 1);
    if (unread > 0) {
        memcpy(buf, tc_stream_buffered(self), unread);
    }
    tc_stream_drop_buffer(self);
    self->buf = buf;
    self->buf_len = unread;
    return 0;
}

/* Room for `size` more bytes after the unread ones. */
static char *
buffer_room(StreamObject *self, size_t size)
{
    size_t end = self->buf_off + self->buf_len, capacity = buffer_capacity(self);
    if (capacity - end >= size) {
        return self->buf != NULL ? self->buf + end : NULL;
    }
    if (self->buf_off > 0 && capacity - self->buf_len >= size && self->buf_off >= self->buf_len) {
        memcpy(self->buf, tc_stream_buffered(self), self->buf_len);
        self->buf_off = 0;
    }
    else {
        size_t wanted = self->buf_len + size;
        if (buffer_move(self, wanted < capacity * 2 ? capacity * 2 : wanted) < 0) {
            return NULL;
        }
    }
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

int
tc_stream_unread(StreamObject *self, const char *data, size_t size)
{
    if (size == 0) {
        return TC_OK;
    }
    if (buffer_room(self, size) == NULL) {
        return TC_RAISED;
    }
    memmove(self->buf + self->buf_off + size, tc_stream_buffered(self), self->buf_len);
    memcpy(self->buf + self->buf_off, data, size);
    self->buf_len += size;
    return TC_OK;
}

void
tc_stream_consume(StreamObject *self, size_t size)
{
    self->buf_off += size;
    self->buf_len -= size;
    if (self->buf_len == 0 && self->buf != NULL) {
        tc_stream_drop_buffer(self);
    }
}

/* ---- delivery ---- */

/* Offers unread bytes to the current reader; *used is how many it took. */
static int
deliver(StreamObject *self, const char *data, size_t size, size_t *used)
{
    *used = 0;
    if (tc_stream_feeds(self)) {
        if (TC_UNLIKELY(self->inherited)) {
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
    return tc_stream_has_read(self) ? tc_read_try(self, data, size, used) : TC_OK;
}

int
tc_stream_offer_buffered(StreamObject *self)
{
    if (self->buf_len == 0 || self->reading_event) {
        return TC_OK;
    }
    int st;
    bool lent;
    do {
        size_t used;
        bool fed = tc_stream_feeds(self);
        tc_stream_begin_delivery(self);
        /* A consumer may run Python that writes to this stream, but none that appends to its read buffer:
         * reading_event prevents that. */
        st = deliver(self, tc_stream_buffered(self), self->buf_len, &used);
        tc_stream_end_delivery(self);
        if (used > 0) {
            tc_stream_consume(self, used);
        }
        lent = fed && !tc_stream_feeds(self) && tc_stream_has_read(self);
    } while (TC_UNLIKELY(lent) && st == TC_OK && self->buf_len > 0);
    return st;
}

/* Reading has failed and closed the stream: raises the exception (stolen) where a call of Python's has read,
 * else the event logs it. */
static int
failed_closed(PyObject *exc, StreamObject *self, bool consumed)
{
    if (consumed) {
        tc_log(self->state, "general", "warning", "error on read: %S", exc);
        Py_DECREF(exc);
        return TC_OK;
    }
    PyErr_SetRaisedException(exc);
    return TC_RAISED;
}

static int
over_full(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, StreamBufferFullError);
    PyObject *exc = cls != NULL ? PyObject_CallFunction(cls, "s", "Reached maximum read buffer size") : NULL;
    if (exc == NULL) {
        return TC_RAISED;
    }
    tc_log(self->state, "general", "error", "Reached maximum read buffer size");
    bool consumed = tc_stream_feeds(self);
    if (tc_stream_close(self, exc) == TC_RAISED) {
        Py_DECREF(exc);
        return TC_RAISED;
    }
    return failed_closed(exc, self, consumed);
}

/* Reading has failed with the exception that is set. An OSError closes the stream, quietly where the peer is
 * gone; anything else, from a hook, is the caller's. */
static int
read_failed(StreamObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        return TC_RAISED;
    }
    PyObject *exc = PyErr_GetRaisedException();
    bool consumed = tc_stream_feeds(self);
    int gone = self->output_ended ? 1 : tc_stream_is_connreset(self, exc);
    if (gone < 0 || tc_stream_close(self, exc) == TC_RAISED) {
        Py_DECREF(exc);
        return TC_RAISED;
    }
    if (gone) {
        Py_DECREF(exc);
        return TC_OK;
    }
    return failed_closed(exc, self, consumed);
}

/* The result of a read of the descriptor that brought no bytes: 0, or -1 for TC_RAISED. */
static Py_ssize_t
received_nothing(StreamObject *self, Py_ssize_t n)
{
    if (n == TC_IO_AGAIN || (n == 0 && self->closed)) {
        return 0;
    }
    int st = n == TC_IO_FAILED ? read_failed(self) : tc_stream_close(self, NULL);
    return st == TC_RAISED ? -1 : 0;
}

/* An application may set the attribute to anything; asking for nothing would look like the end. */
static size_t
read_chunk(const StreamObject *self)
{
    return self->read_chunk_size > 0 ? (size_t)self->read_chunk_size : TC_STREAM_CHUNK;
}

/* Reads once, after what is buffered. Bytes received; 0 when there is nothing now or the stream was closed;
 * TC_RAISED as -1. */
static Py_ssize_t
receive_to_buffer(StreamObject *self)
{
    bool own;
    size_t chunk = read_chunk(self);
    char *scratch = NULL, *room;
    tc_stream_resolve(self);
    if (self->read_way == TC_IO_HOOK || self->tls != NULL) {
        room = scratch =
            tc_scratch_take(&self->core->input, chunk, &own); /* Python may use the buffer during the read */
    }
    else {
        room = buffer_room(self, chunk);
    }
    if (room == NULL) {
        return -1;
    }
    Py_ssize_t n = tc_stream_recv(self, room, chunk);
    if (n <= 0) {
        n = received_nothing(self, n);
    }
    else if (scratch == NULL) {
        self->buf_len += (size_t)n;
    }
    else if (buffer_append(self, scratch, (size_t)n) == TC_RAISED) {
        n = -1;
    }
    if (scratch != NULL) {
        tc_scratch_return(&self->core->input, scratch, own);
    }
    if (self->buf_len == 0) {
        tc_stream_drop_buffer(self);
    }
    return n;
}

/* Reads once into the loop's scratch buffer and delivers from there: the path of every whole request. */
static Py_ssize_t
receive_and_deliver(StreamObject *self)
{
    bool own;
    size_t chunk = read_chunk(self);
    char *scratch = tc_scratch_take(&self->core->input, chunk, &own);
    if (scratch == NULL) {
        return -1;
    }
    Py_ssize_t n = tc_stream_recv(self, scratch, chunk);
    if (TC_LIKELY(n > 0)) {
        size_t used;
        tc_stream_begin_delivery(self);
        int st = deliver(self, scratch, (size_t)n, &used);
        tc_stream_end_delivery(self);
        if (st == TC_RAISED || buffer_append(self, scratch + used, (size_t)n - used) == TC_RAISED) {
            n = -1;
        }
    }
    else {
        n = received_nothing(self, n);
    }
    tc_scratch_return(&self->core->input, scratch, own);
    return n;
}

/* Memory of the consumer's, if the descriptor may be read into it. */
static char *
consumer_room(StreamObject *self, size_t *size)
{
    if (TC_LIKELY(!self->fills) || !tc_stream_feeds(self) || self->inherited) {
        return NULL;
    }
    tc_stream_resolve(self);
    bool plain = self->read_way == TC_IO_SOCKET && self->tls == NULL && tc_stream_feeds(self) &&
                 self->consumer_class->room != NULL && !self->closed;
    char *room = plain ? self->consumer_class->room(self->consumer, size) : NULL;
    self->fills = room != NULL;
    return room;
}

static Py_ssize_t
receive_to_consumer(StreamObject *self, char *room, size_t size)
{
    Py_ssize_t n = tc_stream_recv_plain(self, room, size);
    if (n <= 0) {
        return received_nothing(self, n);
    }
    PyObject *consumer = Py_NewRef(self->consumer);
    tc_stream_begin_delivery(self);
    int st = self->consumer_class->filled(consumer, (size_t)n);
    tc_stream_end_delivery(self);
    Py_DECREF(consumer);
    return st == TC_RAISED ? -1 : n;
}

/* Reads once into the memory that read_into() was given, which is held here even if a hook closes the stream
 * or cancels the read. */
static Py_ssize_t
receive_into(StreamObject *self)
{
    tc_read *read = self->read;
    Py_buffer *view = read->view;
    Py_ssize_t filled = read->filled;
    read->view = NULL;
    Py_ssize_t n = tc_stream_recv(self, (char *)view->buf + filled, (size_t)(read->target - filled));
    if (read->kind != TC_READ_INTO || read->view != NULL) { /* another read's by now, if any */
        int st = tc_stream_unread(self, view->buf, (size_t)(n > 0 ? filled + n : filled));
        PyBuffer_Release(view);
        PyMem_Free(view);
        if (st == TC_RAISED) {
            return -1;
        }
        if (!self->closed && self->buf_len > 0) {
            tc_stream_resume_later(self);
        }
        return n <= 0 ? received_nothing(self, n) : 0;
    }
    read->view = view;
    if (n <= 0) {
        return received_nothing(self, n);
    }
    read->filled += n;
    if (tc_read_into_done(read)) {
        if (TC_UNLIKELY(tc_read_is_over(self))) {
            tc_stream_forget_cancelled(self);
        }
        else if (tc_read_finish(self, NULL, 0) == TC_RAISED) {
            return -1;
        }
    }
    return n;
}

/* Whether the pending read is for a pattern. */
static bool
is_searching(const StreamObject *self)
{
    return tc_stream_has_read(self) &&
           (self->read->kind == TC_READ_UNTIL || self->read->kind == TC_READ_REGEX);
}

/* Reads once and delivers. Bytes received; 0: nothing now, or closed; -1: TC_RAISED. *seen is how many
 * buffered bytes were looked at last: in one burst a pattern is searched for again only when there are twice
 * as many, so that the work stays linear. */
static Py_ssize_t
receive(StreamObject *self, size_t *seen)
{
    if (self->buf_len > 0) {
        Py_ssize_t n = receive_to_buffer(self);
        if (n > 0 && (!is_searching(self) || self->buf_len / 2 >= *seen)) {
            *seen = self->buf_len;
            n = tc_stream_offer_buffered(self) == TC_RAISED ? -1 : n;
        }
        return n;
    }
    if (tc_stream_has_read(self) && self->read->kind == TC_READ_INTO && !tc_stream_feeds(self)) {
        return receive_into(self);
    }
    size_t size;
    char *room = consumer_room(self, &size);
    if (TC_UNLIKELY(room != NULL)) {
        return receive_to_consumer(self, room, size);
    }
    bool searched = is_searching(self);
    Py_ssize_t n = receive_and_deliver(self);
    *seen = self->buf_len;
    if (n > 0 && tc_stream_has_read(self) && !searched) { /* the reader may be another by now */
        n = tc_stream_offer_buffered(self) == TC_RAISED ? -1 : n;
    }
    return n;
}

/* Whether bytes may wait that the kernel does not report: in OpenSSL, or in a hook. */
static bool
reads_unseen(const StreamObject *self)
{
    return self->tls != NULL || self->read_way == TC_IO_HOOK;
}

int
tc_stream_readable(StreamObject *self)
{
    if (self->reading_event || self->receiving) {
        /* A turn inside a consumer or a hook. The outer call continues later; without the mask the kernel
         * would report the descriptor again and again. */
        self->nested = true;
        return TC_OK;
    }
    size_t seen = 0;
    bool more = true;
    for (size_t budget = READ_MAX; budget > 0 && more && !self->closed && !tc_train_is_over(self);) {
        Py_ssize_t n = receive(self, &seen);
        if (n < 0) {
            return TC_RAISED;
        }
        if (self->buf_len > (size_t)self->max_buffer_size && !self->closed) {
            return over_full(self);
        }
        more = n > 0 && !self->drained_socket && tc_stream_wants_more(self);
        budget -= tc_min_size(budget, (size_t)n);
    }
    if (!self->closed && is_searching(self) && self->buf_len > seen &&
        tc_stream_offer_buffered(self) == TC_RAISED) {
        return TC_RAISED;
    }
    if (more && reads_unseen(self) && tc_stream_wants_more(self)) {
        tc_stream_resume_later(self);
    }
    return TC_OK;
}
