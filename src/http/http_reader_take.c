/* How a reader takes heads and pieces of bodies out of bytes that its stream offers. Nothing here waits; the
 * only Python that may run is the allocator's. */
#include "http/http_reader.h"

#include "http/headers/headers.h"

/* Chunks that are decoded in a row; then the loop gets its turn. */
#define READER_CHUNKS_AT_ONCE 256

/* Raises HTTPInputError with Tornado's text; returns TC_RAISED. */
static int
reader_refuse(HttpReaderObject *self, int error, const char *data, size_t size)
{
    char text[300];
    PyObject *cls = tc_face(self->state, HTTPInputError);
    if (cls != NULL) {
        tc_http_error_message(error, data, size, text, sizeof(text));
        PyErr_SetString(cls, text);
    }
    return TC_RAISED;
}

/* ---- heads ---- */

static PyObject *
span_text(const char *data, tc_span span)
{
    return PyUnicode_DecodeLatin1(data + span.off, (Py_ssize_t)span.len, NULL);
}

PyObject *
tc_start_line_new(PyObject *cls, PyObject *first, PyObject *second, PyObject *third)
{
    PyObject *line = NULL;
    if (cls != NULL && first != NULL && second != NULL && third != NULL) {
        line = ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 3);
    }
    if (line == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        Py_XDECREF(third);
        return NULL;
    }
    PyTuple_SET_ITEM(line, 0, first);
    PyTuple_SET_ITEM(line, 1, second);
    PyTuple_SET_ITEM(line, 2, third);
    return line;
}

static PyObject *
reader_version(HttpReaderObject *self, int minor)
{
    if (minor <= 1) {
        return Py_NewRef(minor == 1 ? self->state->http_1_1 : self->state->http_1_0);
    }
    return PyUnicode_FromFormat("HTTP/1.%d", minor);
}

static PyObject *
reader_start_line(HttpReaderObject *self, const char *data, const tc_http_head *head)
{
    PyObject *version = reader_version(self, head->minor);
    if (self->client) {
        PyObject *cls = tc_face(self->state, ResponseStartLine);
        PyObject *reason = head->target.len > 0 ? span_text(data, head->target) : Py_NewRef(Py_None);
        return tc_start_line_new(cls, version, PyLong_FromLong(head->status), reason);
    }
    PyObject *cls = tc_face(self->state, RequestStartLine);
    PyObject *method = head->method_id == TC_HTTP_GET    ? Py_NewRef(self->state->str_GET)
                       : head->method_id == TC_HTTP_POST ? Py_NewRef(self->state->str_POST)
                                                         : span_text(data, head->method);
    return tc_start_line_new(cls, method, span_text(data, head->target), version);
}

/* *result is (start line, HTTPHeaders), or an int if the head is over the limit: the status that says so. */
static int
reader_take_head(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    tc_http_head head;
    int st = self->client
                 ? tc_http_parse_response_head(&self->parser, data, size, self->max_header_size, &head)
                 : tc_http_parse_head(&self->parser, data, size, self->max_header_size, &head);
    if (st == TC_AGAIN) {
        return TC_AGAIN;
    }
    self->parser.scanned = 0;
    if (st == -TC_HTTP_ERR_HEAD_TOO_LONG || st == -TC_HTTP_ERR_LINE_TOO_LONG) {
        *result = PyLong_FromLong(st == -TC_HTTP_ERR_LINE_TOO_LONG ? 414 : 431);
        return *result != NULL ? TC_OK : TC_RAISED;
    }
    if (st < 0) {
        return reader_refuse(self, st, data, size);
    }
    *used = head.size;
    self->head = head;
    PyObject *line = reader_start_line(self, data, &head);
    PyObject *headers =
        line != NULL ? tc_headers_from_block(self->state, data + head.headers.off, head.headers.len) : NULL;
    *result = headers != NULL ? PyTuple_New(2) : NULL;
    if (*result == NULL) {
        Py_XDECREF(line);
        Py_XDECREF(headers);
        return TC_RAISED;
    }
    PyTuple_SET_ITEM(*result, 0, line);
    PyTuple_SET_ITEM(*result, 1, headers);
    return TC_OK;
}

/* ---- bodies ---- */

/* A header's value as bytes, in Latin-1 where it can be. *text is a reference that keeps them. */
static int
header_value(PyObject *said, PyObject **text, tc_http_value *value)
{
    Py_ssize_t size;
    *value = (tc_http_value){NULL, 0};
    *text = NULL;
    if (said == NULL) {
        return TC_OK;
    }
    *text = PyObject_Str(said);
    if (*text == NULL) {
        return TC_RAISED;
    }
    if (PyUnicode_KIND(*text) == PyUnicode_1BYTE_KIND) {
        value->data = (const char *)PyUnicode_1BYTE_DATA(*text);
        value->size = (size_t)PyUnicode_GET_LENGTH(*text);
        return TC_OK;
    }
    value->data = PyUnicode_AsUTF8AndSize(*text, &size);
    value->size = value->data != NULL ? (size_t)size : 0;
    return value->data != NULL ? TC_OK : TC_RAISED;
}

enum { SAID_LENGTH, SAID_ENCODING, SAID_EXPECT, SAID_COUNT };

static int
buffer_line(tc_bytes_buf *buf, const char *name, tc_http_value value)
{
    if (tc_buf_append(buf, name, strlen(name)) != TC_OK ||
        (value.size > 0 && tc_buf_append(buf, value.data, value.size) != TC_OK) ||
        tc_buf_append(buf, "\r\n", 2) != TC_OK) {
        PyErr_NoMemory();
        return TC_RAISED;
    }
    return TC_OK;
}

/* Raises HTTPInputError for a verdict on values: the message looks for them in a head. */
static int
reader_refuse_values(HttpReaderObject *self, int error, const tc_http_value *values)
{
    tc_bytes_buf buf = {0};
    if (buffer_line(&buf, "-", (tc_http_value){NULL, 0}) == TC_OK &&
        buffer_line(&buf, "Content-Length: ", values[SAID_LENGTH]) == TC_OK &&
        buffer_line(&buf, "Transfer-Encoding: ", values[SAID_ENCODING]) == TC_OK) {
        (void)reader_refuse(self, error, buf.data, buf.size);
    }
    tc_buf_free(&buf);
    return TC_RAISED;
}

static int
reader_input_error(HttpReaderObject *self, const char *text)
{
    PyObject *cls = tc_face(self->state, HTTPInputError);
    if (cls != NULL) {
        PyErr_SetString(cls, text);
    }
    return TC_RAISED;
}

/* The verdict on values, in Tornado's order. */
static int
reader_judge_values(HttpReaderObject *self, const tc_http_value *values, long long limit)
{
    tc_http_head *head = &self->head;
    int st = tc_http_judge_body(values[SAID_LENGTH], values[SAID_ENCODING], values[SAID_EXPECT], head);
    bool measured = st == TC_OK || st == -TC_HTTP_ERR_LENGTH_AND_CHUNKED;
    if (measured && head->flags & TC_HTTP_HAS_LENGTH &&
        head->content_length > (uint64_t)(limit > 0 ? limit : 0)) {
        return reader_input_error(self, "Content-Length too long");
    }
    if (st < 0) {
        return reader_refuse_values(self, st, values);
    }
    if (self->client && head->status == 204 && (head->flags & TC_HTTP_CHUNKED || head->content_length > 0)) {
        return reader_input_error(self, "Response with code 204 should not have body");
    }
    return TC_OK;
}

int
tc_reader_judge_body(HttpReaderObject *self, PyObject *headers, long long limit, int64_t *length)
{
    tc_state *state = self->state;
    PyObject *names[SAID_COUNT] = {state->str_Content_Length, state->str_Transfer_Encoding,
                                   state->str_Expect};
    PyObject *said[SAID_COUNT], *texts[SAID_COUNT] = {NULL};
    tc_http_value values[SAID_COUNT];
    if (tc_headers_get_each(headers, names, said, SAID_COUNT) < 0) {
        return TC_RAISED;
    }
    int st = TC_OK;
    for (int i = 0; i < SAID_COUNT && st == TC_OK; i++) {
        st = header_value(said[i], &texts[i], &values[i]);
    }
    if (st == TC_OK) {
        st = reader_judge_values(self, values, limit);
    }
    uint32_t flags = self->head.flags;
    if (st == TC_OK && flags & TC_HTTP_LENGTH_LIST) {
        /* One of the equal values is kept, as in Tornado. */
        const char *comma = memchr(values[SAID_LENGTH].data, ',', values[SAID_LENGTH].size);
        PyObject *first = PyUnicode_Substring(texts[SAID_LENGTH], 0, comma - values[SAID_LENGTH].data);
        st = first != NULL && tc_headers_set(headers, state->str_Content_Length, first) == 0 ? TC_OK
                                                                                             : TC_RAISED;
        Py_XDECREF(first);
    }
    for (int i = 0; i < SAID_COUNT; i++) {
        Py_XDECREF(said[i]);
        Py_XDECREF(texts[i]);
    }
    *length = flags & TC_HTTP_CHUNKED ? TC_BODY_CHUNKED
              : flags & TC_HTTP_HAS_LENGTH || (self->client && self->head.status == 204)
                  ? (int64_t)self->head.content_length
              : self->client ? TC_BODY_UNTIL_CLOSE
                             : TC_BODY_NONE;
    return st;
}

int
tc_reader_take_gathered(HttpReaderObject *self, PyObject **result)
{
    *result = PyBytes_FromStringAndSize(self->gathered.data, (Py_ssize_t)self->gathered.size);
    self->gathered.size = 0;
    return *result != NULL ? TC_OK : TC_RAISED;
}

/* The contents of chunks are joined to pieces of piece_size as far as bytes have come: their boundaries mean
 * nothing, unless the reader is told. An empty piece gives the loop its turn. */
static int
reader_take_chunked(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    for (int budget = READER_CHUNKS_AT_ONCE;;) {
        const char *piece;
        size_t piece_size, start = *used;
        size_t window = tc_min_size(size, start + (self->piece_size - self->gathered.size));
        int st = tc_http_chunked_next(&self->chunked, data, window, used, self->limit, &piece, &piece_size);
        if (st == TC_OK) {
            bool ends = self->each_chunk && tc_http_chunked_end_is_seen(&self->chunked);
            if (self->gathered.size == 0 && (piece_size == self->piece_size || ends)) {
                *result = PyBytes_FromStringAndSize(piece, (Py_ssize_t)piece_size);
                return *result != NULL ? TC_OK : TC_RAISED;
            }
            if (tc_buf_append(&self->gathered, piece, piece_size) != TC_OK) {
                PyErr_NoMemory();
                return TC_RAISED;
            }
            if (self->gathered.size == self->piece_size || ends) {
                return tc_reader_take_gathered(self, result);
            }
            if (--budget == 0) {
                *result = PyBytes_FromStringAndSize(NULL, 0);
                return *result != NULL ? TC_OK : TC_RAISED;
            }
        }
        else if (st == TC_EOF) {
            self->chunked_done = true;
            if (self->gathered.size > 0) {
                return tc_reader_take_gathered(self, result);
            }
            *result = Py_NewRef(Py_None);
            return TC_OK;
        }
        else if (st != TC_AGAIN) {
            return reader_refuse(self, st, data + start, size - start);
        }
        else if (*used == size) {
            /* What the socket still has belongs to the piece as well. */
            bool last = self->stream->drained_socket || self->stream->closed;
            return last && self->gathered.size > 0 ? tc_reader_take_gathered(self, result) : TC_AGAIN;
        }
    }
}

static int
reader_take_body(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    if (self->coding == TC_CODING_CHUNKED) {
        return reader_take_chunked(self, data, size, used, result);
    }
    size_t n = tc_min_size(size, self->piece_size);
    if (self->coding == TC_CODING_LENGTH) {
        n = self->left < n ? (size_t)self->left : n;
        self->left -= n;
    }
    *used = n;
    *result = PyBytes_FromStringAndSize(data, (Py_ssize_t)n);
    return *result != NULL ? TC_OK : TC_RAISED;
}

int
tc_reader_take(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    *used = 0;
    return self->want == TC_WANT_HEAD ? reader_take_head(self, data, size, used, result)
                                      : reader_take_body(self, data, size, used, result);
}
