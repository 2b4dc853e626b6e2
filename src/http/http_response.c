/* The writing half of a connection: status line, headers, body, the end of a response, with the rules of
 * Tornado's HTTP1Connection. May run Python: headers of a subclass, and whatever closing a stream runs. */
#include "base/future.h"
#include "http/http_conn_parts.h"
#include "http/http_head_write.h"

static bool
conn_writable(const HttpConnObject *self)
{
    return !tc_http_conn_is_over(self) && self->stream != NULL && !self->stream->closed;
}

/* Whether the response to the current request can be written: 1; 0: the client is gone, write nothing; -1
 * with AssertionError: there is no request. */
static int
conn_check_response(const HttpConnObject *self)
{
    tc_http_conn_assert(self);
    if (TC_LIKELY(self->request != NULL && !tc_http_frame_is_done(&self->frame) && conn_writable(self))) {
        return 1;
    }
    if (self->stream == NULL ||
        (conn_writable(self) && (self->request == NULL || tc_http_frame_is_done(&self->frame)))) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return -1;
    }
    return 0;
}

/* ---- bodies ---- */

PyObject *
tc_http_chunk(PyObject *obj, bool text)
{
    if (TC_LIKELY(PyBytes_Check(obj))) {
        return Py_NewRef(obj);
    }
    if (text && PyUnicode_Check(obj)) {
        return PyUnicode_AsUTF8String(obj);
    }
    if (!PyObject_CheckBuffer(obj)) { /* PyBytes_FromObject would take lists and more */
        return PyErr_Format(PyExc_TypeError, "a piece of body must be a bytes-like object%s, not '%.100s'",
                            text ? " or str" : "", Py_TYPE(obj)->tp_name);
    }
    return PyBytes_FromObject(obj);
}

/* Keeps count against Content-Length. */
static int
conn_count_body(HttpConnObject *self, size_t size)
{
    if (TC_LIKELY(tc_http_frame_take(&self->frame, size))) {
        return 0;
    }
    /* Closes at once, to prevent further framing errors. */
    if (tc_http_conn_close(self) < 0) {
        return -1;
    }
    return tc_http_raise_too_much(self->state);
}

static int
conn_send_piece(HttpConnObject *self, PyObject *chunk)
{
    const char *data = PyBytes_AS_STRING(chunk);
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    if (!tc_http_frame_is_chunked(&self->frame)) {
        return tc_stream_write(self->stream, data, size, chunk);
    }
    char line[TC_HTTP_CHUNK_HEAD_MAX];
    int st = tc_stream_write(self->stream, line, tc_http_frame_chunk_head(size, line), NULL);
    if (st != TC_RAISED) {
        st = tc_stream_write(self->stream, data, size, chunk);
    }
    return st == TC_RAISED ? st : tc_stream_write(self->stream, TC_HTTP_CHUNK_TAIL, 2, NULL);
}

/* Writes head bytes and a piece of body so that they are sent together. */
static int
conn_send(HttpConnObject *self, const char *head, size_t head_size, PyObject *chunk)
{
    tc_cork cork;
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
    bool corked = tc_stream_cork(stream, &cork);
    int st = head_size > 0 ? tc_stream_write(stream, head, head_size, NULL) : TC_OK;
    if (st != TC_RAISED && chunk != NULL && PyBytes_GET_SIZE(chunk) > 0) {
        st = conn_send_piece(self, chunk);
    }
    if (corked && tc_stream_uncork(stream) == TC_RAISED) {
        st = TC_RAISED;
    }
    Py_DECREF(stream);
    return st == TC_RAISED ? -1 : 0;
}

/* Writes a piece of body, as a chunk if the body is chunked. */
static inline int
conn_send_body(HttpConnObject *self, PyObject *chunk)
{
    if (TC_UNLIKELY(tc_http_frame_is_chunked(&self->frame))) {
        return conn_send(self, NULL, 0, chunk);
    }
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    return size > 0 && tc_stream_write(self->stream, PyBytes_AS_STRING(chunk), size, chunk) == TC_RAISED ? -1
                                                                                                         : 0;
}

/* A head is sent with the first piece of its body; alone it waits for that. A chunk may be the response's
 * last before the end mark, which is sent with it: callers that know better flush. */
static int
conn_send_head(HttpConnObject *self, tc_bytes_buf *head, PyObject *chunk)
{
    StreamObject *stream = self->stream;
    if (TC_UNLIKELY(chunk == NULL || tc_http_frame_is_chunked(&self->frame))) {
        return conn_send(self, head->data, head->size, chunk);
    }
    const char *data = PyBytes_AS_STRING(chunk);
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    if (TC_LIKELY(size < TC_STREAM_BY_REFERENCE)) {
        if (tc_buf_append(head, data, size) != TC_OK) {
            PyErr_NoMemory();
            return -1;
        }
        size = 0;
    }
    bool joins = stream->cork != NULL && (stream->cork->size > 0 || tc_train_joins(stream));
    int st = TC_OK;
    Py_INCREF(stream);
    if (joins) {
        st = tc_stream_write(stream, head->data, head->size, NULL);
        if (st == TC_OK && size > 0) {
            st = tc_stream_write(stream, data, size, chunk);
        }
    }
    else {
        st = tc_stream_send_or_queue(stream, head->data, head->size, data, size, chunk);
    }
    Py_DECREF(stream);
    return st == TC_RAISED ? -1 : 0;
}

/* The head was not written after all: what follows is not framed by it. */
static void
conn_forget_head(HttpConnObject *self)
{
    if (tc_http_frame_accepts(&self->frame)) {
        tc_http_frame_reset(&self->frame);
    }
}

static int
conn_write_head(HttpConnObject *self, PyObject *status, PyObject *reason, PyObject *headers, PyObject *chunk)
{
    tc_http_opening opening;
    if (conn_check_response(self) < 0) {
        return -1;
    }
    /* Reading headers may run Python, which may write another head: take the shared buffer in the
     * meantime. */
    tc_bytes_buf buf = self->config->head_buffer;
    memset(&self->config->head_buffer, 0, sizeof(buf));
    buf.size = 0;
    int st = tc_http_write_response_head(self->state, &self->frame, self->config->draining, status, reason,
                                         headers, &buf, &opening);
    if (TC_UNLIKELY(st < 0)) {
        conn_forget_head(self);
        st = TC_HEAD_BAD;
    }
    else if (conn_writable(self) && tc_http_frame_accepts(&self->frame)) {
        tc_http_frame_open(&self->frame, opening.plan, opening.content_length);
        if (chunk != NULL && PyBytes_GET_SIZE(chunk) > 0) {
            st = conn_count_body(self, (size_t)PyBytes_GET_SIZE(chunk));
        }
        if (st == 0 && conn_writable(self)) {
            st = conn_send_head(self, &buf, chunk);
        }
    }
    tc_buf_free(&self->config->head_buffer);
    self->config->head_buffer = buf;
    return st;
}

/* Here and below: the caller may only have borrowed the connection, which writing may close. */
int
tc_http_conn_write_head(HttpConnObject *self, PyObject *status, PyObject *reason, PyObject *headers,
                        PyObject *chunk)
{
    Py_INCREF(self);
    int st = conn_write_head(self, status, reason, headers, chunk);
    Py_DECREF(self);
    return st;
}

int
tc_http_conn_write_chunk(HttpConnObject *self, PyObject *chunk)
{
    if (PyBytes_GET_SIZE(chunk) == 0 && self->stream != NULL) {
        return 0; /* flush() of nothing, which also comes after finish() */
    }
    int writable = conn_check_response(self);
    if (writable <= 0) {
        return writable;
    }
    if (TC_UNLIKELY(tc_http_frame_is_cut(&self->frame))) {
        return 0;
    }
    if (conn_count_body(self, (size_t)PyBytes_GET_SIZE(chunk)) < 0) {
        return -1;
    }
    return conn_send_body(self, chunk);
}

int
tc_http_conn_write_file(HttpConnObject *self, PyObject *file, int fd, size_t offset, size_t size)
{
    int writable = conn_check_response(self);
    if (writable <= 0 || size == 0 || tc_http_frame_is_cut(&self->frame)) {
        return writable < 0 ? -1 : 0;
    }
    if (conn_count_body(self, size) < 0) {
        return -1;
    }
    char line[TC_HTTP_CHUNK_HEAD_MAX];
    bool chunked = tc_http_frame_is_chunked(&self->frame);
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
    int st = chunked ? tc_stream_write(stream, line, tc_http_frame_chunk_head(size, line), NULL) : TC_OK;
    if (st == TC_OK && !stream->closed) {
        st = tc_stream_write_file(stream, file, fd, offset, size);
    }
    if (st == TC_OK && chunked) {
        st = tc_stream_write(stream, TC_HTTP_CHUNK_TAIL, sizeof(TC_HTTP_CHUNK_TAIL) - 1, NULL);
    }
    Py_DECREF(stream);
    return st == TC_RAISED ? -1 : 0;
}

/* ---- raw responses of 2.x-4.x ---- */

int
tc_http_conn_write_raw(HttpConnObject *self, PyObject *chunk, PyObject *callback)
{
    if (conn_check_response(self) < 0) {
        return -1;
    }
    PyObject *bytes = tc_http_chunk(chunk, true);
    if (bytes == NULL) {
        return -1;
    }
    int st = 0;
    Py_INCREF(self);
    if (conn_writable(self) && !tc_http_frame_is_cut(&self->frame)) {
        st = conn_count_body(self, (size_t)PyBytes_GET_SIZE(bytes));
        if (st == 0) {
            st = conn_send_body(self, bytes);
        }
        if (st == 0 && callback != NULL && conn_writable(self)) {
            st = tc_http_conn_flush(self, false);
            if (st == 0 && conn_writable(self)) {
                PyObject *none = tc_stream_wait_written_apart(self->stream, callback);
                st = none != NULL ? 0 : -1;
                Py_XDECREF(none);
            }
        }
    }
    Py_DECREF(self);
    Py_DECREF(bytes);
    return st;
}

/* ---- the end of a response ---- */

int
tc_http_conn_flush(HttpConnObject *self, bool join)
{
    StreamObject *stream = self->stream;
    if (stream == NULL || stream->cork == NULL || stream->cork->size == 0 ||
        (join && tc_train_joins(stream))) {
        return 0;
    }
    return tc_stream_flush(stream) == TC_RAISED ? -1 : 0;
}

static int
conn_finish(HttpConnObject *self)
{
    tc_http_conn_assert(self);
    tc_http_frame *frame = &self->frame;
    if (tc_http_conn_is_over(self)) {
        tc_http_frame_end(frame);
        return 0;
    }
    if (self->request == NULL) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return -1;
    }
    int64_t missing = tc_http_frame_missing(frame);
    if (TC_UNLIKELY(missing > 0 && !self->stream->closed)) {
        if (tc_http_conn_close(self) < 0) {
            return -1;
        }
        return tc_http_raise_missing(self->state, missing);
    }
    if (tc_http_frame_is_done(frame)) {
        return 0;
    }
    if (tc_http_frame_is_chunked(frame) && conn_writable(self) &&
        tc_stream_write(self->stream, TC_HTTP_LAST_CHUNK, sizeof(TC_HTTP_LAST_CHUNK) - 1, NULL) ==
            TC_RAISED) {
        return -1;
    }
    tc_http_frame_end(frame);
    if (TC_UNLIKELY(tc_http_conn_is_receiving(self))) {
        frame->closes = true; /* the rest of the request is not read */
    }
    return tc_http_conn_flush(self, true);
}

int
tc_http_conn_finish(HttpConnObject *self, PyObject **written)
{
    if (TC_LIKELY(self->dispatching && written == NULL)) {
        return conn_finish(self);
    }
    bool before = tc_http_frame_is_done(&self->frame);
    Py_INCREF(self);
    int st = conn_finish(self);
    if (st == 0 && written != NULL) {
        Py_XSETREF(*written, tc_http_conn_written(self));
        st = *written != NULL ? 0 : -1;
    }
    if (st == 0 && !before && !self->dispatching && !tc_http_conn_is_over(self)) {
        st = tc_http_conn_response_done(self);
    }
    Py_DECREF(self);
    return st;
}

PyObject *
tc_http_conn_written(HttpConnObject *self)
{
    if (self->stream == NULL) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return NULL;
    }
    if (TC_LIKELY(conn_writable(self))) {
        return tc_stream_wait_written(self->stream);
    }
    PyObject *exc = tc_stream_closed_error(self->stream);
    PyObject *future = exc != NULL ? tc_core_future(self->stream->core) : NULL;
    if (future != NULL) {
        tc_future_fail_quietly(self->state, future, exc);
    }
    Py_XDECREF(exc);
    return future;
}
