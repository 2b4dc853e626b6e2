/* HTTPReader: the reading half of one HTTP1Connection. It takes one message out of a stream, head first and
 * then the body piece by piece, as http1connection.py asks for them; nothing is parsed ahead of that, so a
 * slow application holds back the peer.
 *
 * While it waits it is the stream's native consumer, and it stays that afterwards until bytes come that
 * nobody has asked for, or until release(): a stream that is read again and again is registered once. Runs
 * Python where Futures are completed. */
#include "http/http_reader.h"

#include "http/http_chunked.h"
#include "http/http_headers.h"
#include "http/http_parser.h"
#include "stream/stream.h"

#include "base/args.h"

/* So many chunks are decoded in a row; then the loop has its turn. */
#define READER_CHUNKS_AT_ONCE 256

enum reader_want { WANT_NOTHING, WANT_HEAD, WANT_BODY };
enum reader_coding { CODING_LENGTH, CODING_CHUNKED, CODING_CLOSE };

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    StreamObject *stream;
    PyObject *future;          /* of who waits, or NULL */
    PyObject *ready, *failure; /* what came while the call that asked is still on the stack */
    tc_timer timer;
    tc_task gathered_task; /* gives what is gathered, if nothing came after it */
    tc_http_parser parser;
    tc_http_chunked chunked;
    tc_bytes_buf gathered; /* contents of chunks, less than a piece */
    size_t max_header_size, piece_size;
    uint64_t left;  /* bytes of the body still to come, by its length */
    uint64_t limit; /* of a chunked body */
    uint8_t want, coding;
    bool client;   /* reads answers */
    bool starting; /* the call that asked is on the stack */
    bool chunked_done;
} HttpReaderObject;

/* ---- completing a read ---- */

static void
reader_want_nothing(HttpReaderObject *self)
{
    self->want = WANT_NOTHING;
    if (tc_timer_pending(&self->timer)) {
        tc_heap_remove(&self->stream->core->timers, &self->timer);
    }
}

/* Gives the result (stolen), or with NULL the exception that is set, to who asked for it. */
static void
reader_settle(HttpReaderObject *self, PyObject *result)
{
    PyObject *exc = result == NULL ? PyErr_GetRaisedException() : NULL;
    reader_want_nothing(self);
    if (self->starting) {
        self->ready = result;
        self->failure = exc;
        return;
    }
    PyObject *future = self->future;
    self->future = NULL;
    if (future != NULL && exc != NULL) {
        tc_future_fail_quietly(self->state, future, exc);
    }
    else if (future != NULL) {
        tc_future_resolve(self->state, future, result);
    }
    Py_XDECREF(future);
    Py_XDECREF(result);
    Py_XDECREF(exc);
}

/* Raises HTTPInputError with Tornado's text; returns TC_RAISED. */
static int
reader_refuse(HttpReaderObject *self, int error, const char *data, size_t size)
{
    char text[300];
    PyObject *cls = tc_face(self->state, HTTPInputError, "tornado_c.httputil");
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

/* A named tuple of three, without a call of its Python constructor; steals the items. */
static PyObject *
start_line_new(PyObject *cls, PyObject *first, PyObject *second, PyObject *third)
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
        PyObject *cls = tc_face(self->state, ResponseStartLine, "tornado_c.httputil");
        PyObject *reason = head->target.len > 0 ? span_text(data, head->target) : Py_NewRef(Py_None);
        return start_line_new(cls, version, PyLong_FromLong(head->status), reason);
    }
    PyObject *cls = tc_face(self->state, RequestStartLine, "tornado_c.httputil");
    PyObject *method = head->method_id == TC_HTTP_GET    ? Py_NewRef(self->state->str_GET)
                       : head->method_id == TC_HTTP_POST ? Py_NewRef(self->state->str_POST)
                                                         : span_text(data, head->method);
    return start_line_new(cls, method, span_text(data, head->target), version);
}

/* *result is (start line, HTTPHeaders), or an int where the head is over the limit: the status that says so.
 */
static int
reader_take_head(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    tc_http_head head;
    int st = self->client ? tc_http_parse_answer_head(&self->parser, data, size, self->max_header_size, &head)
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

static int
reader_take_gathered(HttpReaderObject *self, PyObject **result)
{
    *result = PyBytes_FromStringAndSize(self->gathered.data, (Py_ssize_t)self->gathered.size);
    self->gathered.size = 0;
    return *result != NULL ? TC_OK : TC_RAISED;
}

/* The contents of chunks are joined to pieces of piece_size as far as bytes are at hand: where the sender cut
 * them means nothing. An empty piece is for the loop's sake. */
static int
reader_take_chunked(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    for (int budget = READER_CHUNKS_AT_ONCE;;) {
        const char *piece;
        size_t piece_size, start = *used;
        size_t window = tc_min_size(size, start + (self->piece_size - self->gathered.size));
        int st = tc_http_chunked_next(&self->chunked, data, window, used, self->limit, &piece, &piece_size);
        if (st == TC_OK) {
            if (piece_size == self->piece_size) { /* nothing was gathered before it */
                *result = PyBytes_FromStringAndSize(piece, (Py_ssize_t)piece_size);
                return *result != NULL ? TC_OK : TC_RAISED;
            }
            if (tc_buf_append(&self->gathered, piece, piece_size) != TC_OK) {
                PyErr_NoMemory();
                return TC_RAISED;
            }
            if (self->gathered.size == self->piece_size) {
                return reader_take_gathered(self, result);
            }
            if (--budget == 0) {
                *result = PyBytes_FromStringAndSize(NULL, 0);
                return *result != NULL ? TC_OK : TC_RAISED;
            }
        }
        else if (st == TC_EOF) {
            self->chunked_done = true;
            if (self->gathered.size > 0) {
                return reader_take_gathered(self, result);
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
            return last && self->gathered.size > 0 ? reader_take_gathered(self, result) : TC_AGAIN;
        }
    }
}

static int
reader_take_body(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    if (self->coding == CODING_CHUNKED) {
        return reader_take_chunked(self, data, size, used, result);
    }
    size_t n = tc_min_size(size, self->piece_size);
    if (self->coding == CODING_LENGTH) {
        n = self->left < n ? (size_t)self->left : n;
        self->left -= n;
    }
    *used = n;
    *result = PyBytes_FromStringAndSize(data, (Py_ssize_t)n);
    return *result != NULL ? TC_OK : TC_RAISED;
}

/* Takes what is wanted from unread bytes. TC_OK: *result is it (a new reference) and *used bytes went. */
static int
reader_take(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result)
{
    *used = 0;
    return self->want == WANT_HEAD ? reader_take_head(self, data, size, used, result)
                                   : reader_take_body(self, data, size, used, result);
}

/* ---- the stream's consumer ---- */

static int
reader_give_gathered(tc_task *task)
{
    HttpReaderObject *self = tc_container_of(task, HttpReaderObject, gathered_task);
    PyObject *result;
    if (self->want == WANT_BODY && self->gathered.size > 0 && !self->starting) {
        (void)reader_take_gathered(self, &result);
        reader_settle(self, result);
    }
    return TC_OK;
}

/* At the end of the turn, if nothing has completed the piece until then. */
static void
reader_give_gathered_later(HttpReaderObject *self)
{
    if (!tc_list_linked(&self->gathered_task.link)) {
        self->gathered_task.owner = Py_NewRef((PyObject *)self);
        tc_core_defer(self->stream->core, &self->gathered_task);
    }
}

static Py_ssize_t
reader_data(PyObject *consumer, const char *data, size_t size)
{
    HttpReaderObject *self = (HttpReaderObject *)consumer;
    if (self->want == WANT_NOTHING) {
        tc_stream_drop_consumer(self->stream); /* it keeps them, and stops reading */
        return 0;
    }
    size_t used;
    PyObject *result = NULL;
    int st = reader_take(self, data, size, &used, &result);
    if (st != TC_AGAIN) {
        reader_settle(self, result);
    }
    else if (self->gathered.size > 0 && !self->starting) {
        reader_give_gathered_later(self);
    }
    return (Py_ssize_t)used;
}

static int
reader_closed(PyObject *consumer)
{
    HttpReaderObject *self = (HttpReaderObject *)consumer;
    if (self->want == WANT_BODY && self->coding == CODING_CLOSE) {
        reader_settle(self, Py_NewRef(Py_None));
    }
    else if (self->want == WANT_BODY && self->gathered.size > 0) {
        PyObject *result;
        (void)reader_take_gathered(self, &result);
        reader_settle(self, result);
    }
    else if (self->want != WANT_NOTHING) {
        tc_stream_raise_closed(self->stream);
        reader_settle(self, NULL);
    }
    return TC_OK;
}

static int
reader_drained(PyObject *consumer)
{
    return TC_OK;
}

static const tc_consumer_class reader_consumer = {
    .data = reader_data,
    .drained = reader_drained,
    .closed = reader_closed,
};

static void
reader_expired(tc_timer *timer)
{
    HttpReaderObject *self = tc_container_of(timer, HttpReaderObject, timer);
    Py_INCREF(self);
    reader_settle(self, Py_NewRef(Py_None));
    Py_DECREF(self);
}

/* ---- reading ---- */

/* Tries the bytes that the stream has kept: TC_OK with *result, TC_AGAIN, TC_RAISED. A closed stream's too:
 * it may have ended after all of the message had come. */
static int
reader_try_buffered(HttpReaderObject *self, PyObject **result)
{
    StreamObject *stream = self->stream;
    if ((stream->buf_len == 0 && self->gathered.size == 0) || stream->reading_event) {
        return TC_AGAIN;
    }
    size_t used;
    int st = reader_take(self, stream->buf != NULL ? stream->buf + stream->buf_off : "", stream->buf_len,
                         &used, result);
    if (used > 0) {
        tc_stream_consume(stream, used);
    }
    return st;
}

/* Becomes the stream's consumer. 0 or -1. */
static int
reader_attach(HttpReaderObject *self)
{
    StreamObject *stream = self->stream;
    if (stream->consumer == (PyObject *)self) {
        return 0;
    }
    if (stream->consumer != NULL || tc_stream_is_reading(stream)) {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
        return -1;
    }
    return tc_stream_set_consumer(stream, &reader_consumer, (PyObject *)self) == TC_RAISED ? -1 : 0;
}

/* Whether there may be something to be had before the loop tells so. */
static bool
reader_may_receive(const StreamObject *stream)
{
    return !stream->drained_socket && !stream->reading_event && !stream->connecting && !stream->closed &&
           !tc_stream_handshaking(stream);
}

/* Waits for more than is buffered: what comes at once from the socket, else a Future. */
static PyObject *
reader_wait(HttpReaderObject *self, double timeout)
{
    StreamObject *stream = self->stream;
    if (stream->closed) {
        if (self->want == WANT_BODY && self->coding == CODING_CLOSE) {
            Py_RETURN_NONE;
        }
        tc_stream_raise_closed(stream);
        return NULL;
    }
    if (reader_attach(self) < 0) {
        return NULL;
    }
    if (reader_may_receive(stream)) {
        self->starting = true;
        int st = tc_stream_readable(stream);
        self->starting = false;
        if (st == TC_RAISED || (!stream->closed && tc_stream_update(stream) < 0)) {
            Py_CLEAR(self->ready);
            Py_CLEAR(self->failure);
            return NULL;
        }
        if (self->failure != NULL) {
            PyObject *exc = self->failure;
            self->failure = NULL;
            PyErr_SetRaisedException(exc);
            return NULL;
        }
        if (self->ready != NULL) {
            PyObject *result = self->ready;
            self->ready = NULL;
            return result;
        }
        if (self->gathered.size > 0) {
            PyObject *result;
            (void)reader_take_gathered(self, &result);
            return result;
        }
    }
    if (self->gathered.size > 0) {
        reader_give_gathered_later(self);
    }
    if (timeout > 0.0) {
        self->timer.fire = reader_expired;
        if (tc_core_timer_set(stream->core, &self->timer, tc_core_time(stream->core) + timeout) < 0) {
            return NULL;
        }
    }
    self->future = tc_core_future(stream->core);
    return Py_XNewRef(self->future);
}

/* Makes a whole piece of what the socket has, where that comes in smaller portions. 0 or -1. */
static int
reader_top_up(HttpReaderObject *self)
{
    StreamObject *stream = self->stream;
    size_t need = self->coding == CODING_LENGTH && self->left < self->piece_size ? (size_t)self->left
                                                                                 : self->piece_size;
    size_t room = (size_t)(stream->max_buffer_size - stream->read_chunk_size);
    need = tc_min_size(need, stream->max_buffer_size > stream->read_chunk_size ? room : 0);
    size_t before;
    do {
        before = stream->buf_len;
        if (before >= need || !reader_may_receive(stream)) {
            break;
        }
        if (tc_stream_readable(stream) == TC_RAISED) {
            return -1;
        }
    } while (stream->buf_len > before);
    return 0;
}

static PyObject *
reader_read(HttpReaderObject *self, enum reader_want want, double timeout)
{
    if (self->want != WANT_NOTHING || self->stream == NULL) {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
        return NULL;
    }
    PyObject *result = NULL;
    if (want == WANT_BODY && self->coding != CODING_CHUNKED && reader_top_up(self) < 0) {
        return NULL;
    }
    self->want = (uint8_t)want;
    int st = reader_try_buffered(self, &result);
    if (st == TC_AGAIN) {
        result = reader_wait(self, timeout);
        if (result != NULL && result == self->future) {
            return result;
        }
    }
    reader_want_nothing(self);
    return result;
}

PyDoc_STRVAR(reader_read_head_doc,
             "read_head($self, timeout=None, /)\n--\n\n"
             "Read the head of a message: (start line, HTTPHeaders), or a Future of that.\n\n"
             "timeout: seconds after which the Future's result is None. A head beyond max_header_size gives "
             "the status that\n"
             "says so, 414 or 431. Raises HTTPInputError, also through the Future, for a malformed head and\n"
             "StreamClosedError at the end of the stream.");

static PyObject *
reader_read_head(HttpReaderObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("read_head", nargs, 0, 1) < 0) {
        return NULL;
    }
    double timeout = nargs > 0 && args[0] != Py_None ? PyFloat_AsDouble(args[0]) : 0.0;
    if (timeout == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return reader_read(self, WANT_HEAD, timeout);
}

PyDoc_STRVAR(reader_start_body_doc,
             "start_body($self, length, /)\n--\n\n"
             "Say how the body is delimited: a length in bytes; -1: it is chunked; -2: the stream's end.");

static PyObject *
reader_start_body(HttpReaderObject *self, PyObject *length)
{
    long long value = PyLong_AsLongLong(length);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    self->coding = value >= 0 ? CODING_LENGTH : value == -1 ? CODING_CHUNKED : CODING_CLOSE;
    self->left = value >= 0 ? (uint64_t)value : 0;
    memset(&self->chunked, 0, sizeof(self->chunked));
    self->chunked_done = false;
    self->gathered.size = 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reader_read_body_doc,
             "read_body($self, limit, /)\n--\n\n"
             "Read the next piece of the body: bytes, None after the last, or a Future of that.\n\n"
             "limit: how many bytes all chunks of a chunked body may have. Raises HTTPInputError and "
             "StreamClosedError, also\n"
             "through the Future.");

static PyObject *
reader_read_body(HttpReaderObject *self, PyObject *limit)
{
    long long value = PyLong_AsLongLong(limit);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    self->limit = value > 0 ? (uint64_t)value : 0;
    if ((self->coding == CODING_LENGTH && self->left == 0) ||
        (self->coding == CODING_CHUNKED && self->chunked_done)) {
        Py_RETURN_NONE;
    }
    return reader_read(self, WANT_BODY, 0.0);
}

PyDoc_STRVAR(
    reader_release_doc,
    "release($self, /)\n--\n\n"
    "Leave the stream to others. What was read and not asked for stays in it; a Future that waits is "
    "cancelled.");

static PyObject *
reader_release(HttpReaderObject *self, PyObject *unused)
{
    PyObject *future = self->future;
    self->future = NULL;
    if (self->stream == NULL) {
        Py_RETURN_NONE;
    }
    reader_want_nothing(self);
    if (self->stream->consumer == (PyObject *)self) {
        tc_stream_drop_consumer(self->stream);
    }
    if (future != NULL) {
        PyObject *result = PyObject_CallMethodNoArgs(future, self->state->str_cancel);
        Py_DECREF(future);
        if (result == NULL) {
            return NULL;
        }
        Py_DECREF(result);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reader_doc, "HTTPReader(stream, is_client, max_header_size, chunk_size, /)\n--\n\n"
                         "Reads one message after another from a stream of ours.\n\n"
                         "chunk_size: the most bytes that read_body() gives at once.");

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    PyObject *stream;
    int client;
    Py_ssize_t max_header_size, chunk_size;
    if (state == NULL || !PyArg_ParseTuple(args, "O!pnn:HTTPReader", state->stream_type, &stream, &client,
                                           &max_header_size, &chunk_size)) {
        return NULL;
    }
    if (((StreamObject *)stream)->core == NULL) {
        PyErr_SetString(PyExc_AssertionError, "the stream's __init__ was not called");
        return NULL;
    }
    HttpReaderObject *self = (HttpReaderObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->stream = (StreamObject *)Py_NewRef(stream);
    self->client = client;
    self->parser.chunked_in_1_0 = true;
    tc_list_init(&self->gathered_task.link);
    self->gathered_task.run = reader_give_gathered;
    self->max_header_size = max_header_size > 0 ? (size_t)max_header_size : 0;
    self->piece_size = chunk_size > 0 ? (size_t)chunk_size : TC_STREAM_CHUNK;
    return (PyObject *)self;
}

static int
reader_traverse(HttpReaderObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->stream);
    Py_VISIT(self->future);
    return 0;
}

static int
reader_clear(HttpReaderObject *self)
{
    if (self->stream != NULL) {
        reader_want_nothing(self);
        tc_core_cancel_task(&self->gathered_task);
    }
    Py_CLEAR(self->future);
    Py_CLEAR(self->stream);
    return 0;
}

static void
reader_dealloc(HttpReaderObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    reader_clear(self);
    tc_buf_free(&self->gathered);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- writing heads ---- */

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
    if (tc_buf_append(&buf, line, (size_t)size) != TC_OK || tc_buf_append(&buf, "\r\n", 2) != TC_OK) {
        PyErr_NoMemory();
    }
    else if (tc_headers_check_line(line, (size_t)size) == 0 && tc_headers_serialize(args[1], &buf) == 0) {
        if (tc_buf_append(&buf, "\r\n", 2) != TC_OK) {
            PyErr_NoMemory();
        }
        else {
            head = PyBytes_FromStringAndSize(buf.data, (Py_ssize_t)buf.size);
        }
    }
    tc_buf_free(&buf);
    return head;
}

static PyMethodDef reader_methods[] = {
    {"read_head", (PyCFunction)(void (*)(void))reader_read_head, METH_FASTCALL, reader_read_head_doc},
    {"start_body", (PyCFunction)reader_start_body, METH_O, reader_start_body_doc},
    {"read_body", (PyCFunction)reader_read_body, METH_O, reader_read_body_doc},
    {"release", (PyCFunction)reader_release, METH_NOARGS, reader_release_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, (char *)reader_doc},
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_traverse, reader_traverse},
    {Py_tp_clear, reader_clear},
    {Py_tp_methods, reader_methods},
    {0, NULL},
};

static PyType_Spec reader_spec = {
    .name = "tornado_c._core.HTTPReader",
    .basicsize = sizeof(HttpReaderObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = reader_slots,
};

int
tc_http_reader_init_type(PyObject *module, tc_state *state)
{
    state->http_reader_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &reader_spec, NULL);
    return state->http_reader_type != NULL ? PyModule_AddType(module, state->http_reader_type) : -1;
}
