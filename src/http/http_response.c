/* The writing half of a connection: status line, headers, body, the end of an answer, with the rules of
 * Tornado's HTTP1Connection. May run Python: headers of a subclass, and whatever closing a stream runs. */
#include "http/http_conn_parts.h"
#include "http/headers/headers.h"
#include "http/http_reader.h"

#include "base/args.h"
#include "base/raise.h"

static bool
conn_writable(const HttpConnObject *self)
{
    return self->phase != CONN_CLOSED && self->stream != NULL && !self->stream->closed;
}

/* Whether the answer to the request in hand can be written: 1; 0: the client is gone, write nothing; -1:
 * AssertionError, there is no request to answer. */
static int
conn_check_answering(const HttpConnObject *self)
{
    if (TC_LIKELY(self->request != NULL && !self->write_finished && conn_writable(self))) {
        return 1;
    }
    if (self->stream == NULL || (conn_writable(self) && (self->request == NULL || self->write_finished))) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return -1;
    }
    return 0;
}

/* ---- heads ---- */

/* Raises HTTPOutputError. */
static int
conn_output_error(HttpConnObject *self, const char *format, long long number)
{
    PyObject *cls = tc_face(self->state, HTTPOutputError);
    if (cls != NULL) {
        PyErr_Format(cls, format, number);
    }
    return -1;
}

static int
conn_parse_length(HttpConnObject *self, PyObject *value)
{
    if (PyUnicode_Check(value) && PyUnicode_IS_COMPACT_ASCII(value)) {
        const char *digits = PyUnicode_DATA(value);
        Py_ssize_t size = PyUnicode_GET_LENGTH(value), i = 0;
        int64_t length = 0;
        for (; i < size && size <= 18 && digits[i] >= '0' && digits[i] <= '9'; i++) {
            length = length * 10 + (digits[i] - '0');
        }
        if (i == size && size > 0) {
            self->content_left = length;
            return 0;
        }
    }
    /* Whatever is not plain digits is parse_int's to judge. */
    PyObject *parse = tc_upcall(self->state, parse_int);
    PyObject *number = parse != NULL ? PyObject_CallOneArg(parse, value) : NULL;
    if (number == NULL) {
        return -1;
    }
    self->content_left = PyLong_AsLongLong(number);
    Py_DECREF(number);
    return self->content_left < 0 && PyErr_Occurred() ? -1 : 0;
}

/* Has framing.py bring the application's own Transfer-Encoding in line with how the body is sent. 0 or -1. */
static int
conn_settle_encoding(HttpConnObject *self, PyObject *headers, bool forbidden)
{
    tc_state *state = self->state;
    PyObject *settle = tc_upcall(state, settle_transfer_encoding);
    PyObject *args[3] = {headers, self->minor == 1 ? Py_True : Py_False, forbidden ? Py_True : Py_False};
    PyObject *result = settle != NULL ? PyObject_Vectorcall(settle, args, 3, NULL) : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Is this value of a Connection header the application's wish to close? */
static bool
conn_is_close(PyObject *value)
{
    if (!PyUnicode_Check(value) || PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND) {
        return false;
    }
    const char *text = (const char *)PyUnicode_1BYTE_DATA(value);
    return tc_http_has_option(text, text + PyUnicode_GET_LENGTH(value), "close");
}

enum { SAID_LENGTH, SAID_ENCODING, SAID_CONNECTION, SAID_COUNT };

/* What the application says about the connection itself: Content-Length, Transfer-Encoding and Connection,
 * new references. 0, or -1 with none. */
static int
conn_read_said(HttpConnObject *self, PyObject *headers, bool forbidden, PyObject **said)
{
    tc_state *state = self->state;
    PyObject *names[SAID_COUNT] = {state->str_Content_Length, state->str_Transfer_Encoding,
                                   state->str_Connection};
    if (tc_headers_get_each(headers, names, said, SAID_COUNT) < 0) {
        return -1;
    }
    if (TC_UNLIKELY(said[SAID_ENCODING] != NULL)) {
        int st = conn_settle_encoding(self, headers, forbidden);
        Py_CLEAR(said[SAID_LENGTH]);
        if (st == 0) {
            said[SAID_LENGTH] = tc_headers_get(headers, state->str_Content_Length);
        }
        if (st < 0 || (said[SAID_LENGTH] == NULL && PyErr_Occurred())) {
            Py_CLEAR(said[SAID_ENCODING]);
            Py_CLEAR(said[SAID_CONNECTION]);
            return -1;
        }
    }
    return 0;
}

/* Adds Connection and Transfer-Encoding where Tornado does, and notes how the body is delimited. */
static int
conn_frame(HttpConnObject *self, int status, PyObject *headers)
{
    tc_state *state = self->state;
    bool http11 = self->minor == 1, is_head = self->method_id == TC_HTTP_HEAD;
    bool interim = status >= 100 && status < 200, forbidden = status == 204 || interim;
    bool has_body = !is_head && status != 304 && !forbidden;
    PyObject *said[SAID_COUNT];
    if (conn_read_said(self, headers, forbidden, said) < 0) {
        return -1;
    }
    PyObject *length = said[SAID_LENGTH];
    bool told_to_close = said[SAID_CONNECTION] != NULL && conn_is_close(said[SAID_CONNECTION]);
    if (TC_UNLIKELY(told_to_close || self->config->draining) && !interim) {
        self->disconnect = true; /* not with those after which there is more to come */
    }
    self->chunking_output = http11 && has_body && length == NULL;
    if (!http11 && has_body && length == NULL) {
        self->disconnect = true; /* only the close says where the body ends */
    }
    self->content_left = -1;
    int failed = 0;
    if (is_head || status == 304) {
        self->content_left = 0;
    }
    else if (length != NULL) {
        failed = conn_parse_length(self, length);
    }
    if (told_to_close) {
        /* The client is told already. */
    }
    else if (!failed && http11 && self->disconnect) {
        failed = tc_headers_set(headers, state->str_Connection, state->str_close);
    }
    else if (!failed && !http11 && !self->config->draining && (length != NULL || !has_body) &&
             (self->flags & TC_HTTP_CONN_KEEP_ALIVE)) {
        failed = tc_headers_set(headers, state->str_Connection, state->keep_alive_value);
    }
    if (!failed && self->chunking_output && said[SAID_ENCODING] == NULL) {
        failed = tc_headers_set(headers, state->str_Transfer_Encoding, state->str_chunked);
    }
    for (int i = 0; i < SAID_COUNT; i++) {
        Py_XDECREF(said[i]);
    }
    return failed;
}

/* The head was not written after all: what follows is not framed by it. */
static void
conn_forget_frame(HttpConnObject *self)
{
    self->chunking_output = false;
    self->content_left = -1;
}

static int
buffer_text(tc_bytes_buf *buf, const char *text, size_t size)
{
    if (tc_buf_append(buf, text, size) != TC_OK) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

int
tc_http_odd_status_code(PyObject *status, int *code)
{
    if (PyLong_Check(status)) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(status, &overflow);
        *code = overflow > 0 || value > INT_MAX   ? INT_MAX
                : overflow < 0 || value < INT_MIN ? INT_MIN
                                                  : (int)value;
        return 0;
    }
    double value = PyFloat_AsDouble(status);
    if (value == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    bool whole = value >= INT_MIN && value <= INT_MAX && value == (double)(int)value;
    *code = whole ? (int)value : value > 100 && value < 200 ? 100 : 0;
    return 0;
}

/* "HTTP/1.1 %d %s" % (status, reason), for objects of any kind. */
static int
buffer_odd_status_line(tc_bytes_buf *buf, PyObject *status, PyObject *reason)
{
    PyObject *format = PyUnicode_FromString("HTTP/1.1 %d %s"), *pair = PyTuple_Pack(2, status, reason);
    PyObject *line = format != NULL && pair != NULL ? PyUnicode_Format(format, pair) : NULL;
    Py_ssize_t size;
    const char *text = line != NULL ? PyUnicode_AsUTF8AndSize(line, &size) : NULL;
    size_t start = buf->size;
    int st = text != NULL ? buffer_text(buf, text, (size_t)size) : -1;
    Py_XDECREF(format);
    Py_XDECREF(pair);
    Py_XDECREF(line);
    return st == 0 ? tc_headers_end_line(buf, start) : -1;
}

static int
buffer_status_line(tc_bytes_buf *buf, int code, PyObject *status, PyObject *reason)
{
    if (TC_UNLIKELY(code < 100 || code > 999 || !PyLong_Check(status) || !PyUnicode_CheckExact(reason))) {
        return buffer_odd_status_line(buf, status, reason);
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(reason, &size);
    if (text == NULL) {
        return -1;
    }
    if (TC_LIKELY(code == 200 && size == 2 && memcmp(text, "OK", 2) == 0)) {
        return buffer_text(buf, "HTTP/1.1 200 OK\r\n", 17);
    }
    char start[13] = "HTTP/1.1 ";
    for (int i = 11; i >= 9; i--, code /= 10) {
        start[i] = (char)('0' + code % 10);
    }
    start[12] = ' ';
    size_t line = buf->size;
    return buffer_text(buf, start, sizeof(start)) < 0 || buffer_text(buf, text, (size_t)size) < 0
               ? -1
               : tc_headers_end_line(buf, line);
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
    if (self->content_left >= 0) {
        self->content_left -= (int64_t)size;
        if (self->content_left < 0) {
            /* Closed at once, to stop further framing errors. */
            if (tc_http_conn_close(self) < 0) {
                return -1;
            }
            return conn_output_error(self, "Tried to write more data than Content-Length", 0);
        }
    }
    return 0;
}

static int
conn_send_piece(HttpConnObject *self, PyObject *chunk)
{
    const char *data = PyBytes_AS_STRING(chunk);
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    if (!self->chunking_output) {
        return tc_stream_write(self->stream, data, size, chunk);
    }
    char line[20];
    int n = PyOS_snprintf(line, sizeof(line), "%zx\r\n", size);
    int st = tc_stream_write(self->stream, line, (size_t)n, NULL);
    if (st != TC_RAISED) {
        st = tc_stream_write(self->stream, data, size, chunk);
    }
    return st == TC_RAISED ? st : tc_stream_write(self->stream, "\r\n", 2, NULL);
}

/* Writes head bytes and a piece of body so that they leave together. */
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

/* A head leaves with the first piece of its body; alone it waits for that. A chunk may be the answer's last
 * but for the end mark, which is to leave with it: whoever knows better sends it. */
static int
conn_send_head(HttpConnObject *self, tc_bytes_buf *head, PyObject *chunk)
{
    StreamObject *stream = self->stream;
    if (TC_UNLIKELY(chunk == NULL || self->chunking_output)) {
        return conn_send(self, head->data, head->size, chunk);
    }
    const char *data = PyBytes_AS_STRING(chunk);
    size_t size = (size_t)PyBytes_GET_SIZE(chunk);
    if (TC_LIKELY(size < TC_STREAM_BY_REFERENCE)) {
        if (buffer_text(head, data, size) < 0) {
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

static int
conn_write_head(HttpConnObject *self, PyObject *status, PyObject *reason, PyObject *headers, PyObject *chunk)
{
    int code;
    if (conn_check_answering(self) < 0) {
        return -1;
    }
    if (tc_http_status_code(status, &code) < 0 || conn_frame(self, code, headers) < 0) {
        conn_forget_frame(self);
        return TC_HEAD_BAD;
    }
    /* Serialising may run Python, which may write another head: take the shared buffer for the while. */
    tc_bytes_buf buf = self->config->head_buffer;
    memset(&self->config->head_buffer, 0, sizeof(buf));
    buf.size = 0;
    int st = TC_HEAD_BAD;
    if (buffer_status_line(&buf, code, status, reason) == 0 && tc_headers_serialize(headers, &buf) == 0 &&
        buffer_text(&buf, "\r\n", 2) == 0) {
        st = 0;
    }
    if (st < 0) {
        conn_forget_frame(self);
    }
    if (st == 0 && conn_writable(self)) {
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

/* Here and below: what calls us may only have borrowed the connection, which writing may close. */
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
    int answering = conn_check_answering(self);
    if (answering <= 0) {
        return answering;
    }
    if (TC_UNLIKELY(self->cut_short)) {
        return 0;
    }
    if (conn_count_body(self, (size_t)PyBytes_GET_SIZE(chunk)) < 0) {
        return -1;
    }
    return conn_send(self, NULL, 0, chunk);
}

/* ---- raw answers of 2.x-4.x ---- */

int
tc_http_conn_write_raw(HttpConnObject *self, PyObject *chunk, PyObject *callback)
{
    if (conn_check_answering(self) < 0) {
        return -1;
    }
    PyObject *bytes = tc_http_chunk(chunk, true);
    if (bytes == NULL) {
        return -1;
    }
    int st = 0;
    Py_INCREF(self);
    if (conn_writable(self) && !self->cut_short) {
        st = conn_count_body(self, (size_t)PyBytes_GET_SIZE(bytes));
        if (st == 0 && conn_writable(self)) {
            st = conn_send(self, NULL, 0, bytes);
        }
        if (st == 0 && callback != NULL && conn_writable(self)) {
            st = tc_http_conn_flush(self, false);
            if (st == 0 && conn_writable(self)) {
                PyObject *none = tc_stream_wait_written(self->stream, callback);
                st = none != NULL ? 0 : -1;
                Py_XDECREF(none);
            }
        }
    }
    Py_DECREF(self);
    Py_DECREF(bytes);
    return st;
}

/* ---- the end of an answer ---- */

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
    if (self->phase == CONN_CLOSED) {
        self->write_finished = true;
        return 0;
    }
    if (self->request == NULL) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return -1;
    }
    if (TC_UNLIKELY(self->content_left > 0 && !self->stream->closed)) {
        long long left = (long long)self->content_left;
        if (tc_http_conn_close(self) < 0) {
            return -1;
        }
        return conn_output_error(self, "Tried to write %lld bytes less than Content-Length", left);
    }
    if (self->write_finished) {
        return 0;
    }
    if (self->chunking_output && conn_writable(self) &&
        tc_stream_write(self->stream, "0\r\n\r\n", 5, NULL) == TC_RAISED) {
        return -1;
    }
    self->chunking_output = false;
    self->write_finished = true;
    if (!self->read_finished) {
        self->disconnect = true; /* the rest of the request is not worth reading */
    }
    return tc_http_conn_flush(self, true);
}

int
tc_http_conn_finish(HttpConnObject *self, PyObject **written)
{
    if (TC_LIKELY(self->dispatching && written == NULL)) {
        return conn_finish(self);
    }
    bool before = self->write_finished;
    Py_INCREF(self);
    int st = conn_finish(self);
    if (st == 0 && written != NULL) {
        Py_XSETREF(*written, tc_http_conn_written(self));
        st = *written != NULL ? 0 : -1;
    }
    if (st == 0 && !before && !self->dispatching && self->phase != CONN_CLOSED) {
        st = tc_http_conn_answered(self);
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
        return tc_stream_wait_written(self->stream, NULL);
    }
    PyObject *exc = tc_stream_closed_error(self->stream);
    PyObject *future = exc != NULL ? tc_core_future(self->stream->core) : NULL;
    if (future != NULL) {
        tc_future_fail_quietly(self->state, future, exc);
    }
    Py_XDECREF(exc);
    return future;
}

/* ---- heads for HTTP1Connection, which writes them itself ---- */

PyObject *
tc_http_format_head(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("format_head", nargs, 2, 2) < 0) {
        return NULL;
    }
    Py_ssize_t size;
    const char *line = PyUnicode_AsUTF8AndSize(args[0], &size);
    if (line == NULL) {
        return NULL;
    }
    tc_bytes_buf buf = {0};
    PyObject *head = NULL;
    if (buffer_text(&buf, line, (size_t)size) == 0 && tc_headers_end_line(&buf, 0) == 0 &&
        tc_headers_serialize(args[1], &buf) == 0 && buffer_text(&buf, "\r\n", 2) == 0) {
        head = PyBytes_FromStringAndSize(buf.data, (Py_ssize_t)buf.size);
    }
    tc_buf_free(&buf);
    return head;
}
