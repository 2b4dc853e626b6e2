/* HTTPReader: the reading half of one HTTP1Connection. It takes one message out of a stream, head first and
 * then the body piece by piece, as http1connection.py asks for them; nothing is parsed ahead of that, so a
 * slow application holds back the peer.
 *
 * It is the stream's native consumer only while it waits; between its reads the stream is free. Runs Python
 * where Futures are completed. */
#include "base/future.h"
#include "http/http_reader.h"

#include "base/args.h"

/* ---- completing a read ---- */

static void
reader_want_nothing(HttpReaderObject *self)
{
    self->want = TC_WANT_NOTHING;
    if (tc_timer_pending(&self->timer)) {
        tc_heap_remove(&self->stream->core->timers, &self->timer);
    }
}

static void
reader_leave_stream(HttpReaderObject *self)
{
    StreamObject *stream = self->stream;
    if (stream->consumer == (PyObject *)self) {
        tc_stream_drop_consumer(stream); /* which may own the last reference to us */
    }
}

/* The read was cancelled: it is over, and its bytes stay. */
static bool
reader_forget_cancelled(HttpReaderObject *self)
{
    if (self->future == NULL || !tc_future_is_done(self->state, self->future)) {
        return false;
    }
    Py_CLEAR(self->future);
    reader_want_nothing(self);
    reader_leave_stream(self);
    return true;
}

/* Completes the read with the result (stolen), or with NULL with the exception that is set, unless it was
 * cancelled. */
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
        tc_future_resolve_new(self->state, future, result);
    }
    Py_XDECREF(future);
    Py_XDECREF(result);
    Py_XDECREF(exc);
}

/* ---- the stream's consumer ---- */

static int
reader_give_gathered(tc_task *task)
{
    HttpReaderObject *self = tc_container_of(task, HttpReaderObject, gathered_task);
    PyObject *result;
    if (self->want == TC_WANT_BODY && self->gathered.size > 0 && !self->starting &&
        !reader_forget_cancelled(self)) {
        (void)tc_reader_take_gathered(self, &result);
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
    size_t used = 0;
    PyObject *result = NULL;
    if (reader_forget_cancelled(self)) {
        return 0;
    }
    int st = self->want != TC_WANT_NOTHING ? tc_reader_take(self, data, size, &used, &result) : TC_AGAIN;
    if (st != TC_AGAIN || self->want == TC_WANT_NOTHING) {
        /* The stream reads no further, so that an end after the message is not met before its response. */
        reader_leave_stream(self);
    }
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
    reader_forget_cancelled(self);
    if (self->want == TC_WANT_BODY && self->coding == TC_CODING_CLOSE) {
        reader_settle(self, Py_NewRef(Py_None));
    }
    else if (self->want == TC_WANT_BODY && self->gathered.size > 0) {
        PyObject *result;
        (void)tc_reader_take_gathered(self, &result);
        reader_settle(self, result);
    }
    else if (self->want != TC_WANT_NOTHING) {
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

static bool
reader_lends(PyObject *consumer)
{
    HttpReaderObject *self = (HttpReaderObject *)consumer;
    Py_INCREF(self);
    bool waits = self->starting || (self->want != TC_WANT_NOTHING && !reader_forget_cancelled(self));
    if (!waits) {
        reader_leave_stream(self);
    }
    Py_DECREF(self);
    return !waits;
}

static void
reader_lost(PyObject *consumer)
{
    HttpReaderObject *self = (HttpReaderObject *)consumer;
    Py_INCREF(self);
    reader_leave_stream(self);
    if (self->want != TC_WANT_NOTHING) {
        tc_stream_raise_closed(self->stream);
        reader_settle(self, NULL);
    }
    Py_DECREF(self);
}

static const tc_consumer_class reader_consumer = {
    .data = reader_data,
    .drained = reader_drained,
    .closed = reader_closed,
    .lends = reader_lends,
    .lost = reader_lost,
};

static void
reader_expired(tc_timer *timer)
{
    HttpReaderObject *self = tc_container_of(timer, HttpReaderObject, timer);
    Py_INCREF(self);
    if (!reader_forget_cancelled(self)) {
        reader_leave_stream(self);
        reader_settle(self, Py_NewRef(Py_None));
    }
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
    int st = tc_reader_take(self, stream->buf != NULL ? stream->buf + stream->buf_off : "", stream->buf_len,
                            &used, result);
    if (used > 0) {
        tc_stream_consume(stream, used);
    }
    return st;
}

/* 0, or -1 with an AssertionError: the stream is being read; or with a StreamClosedError: it lingers. */
static int
reader_check_free(HttpReaderObject *self)
{
    StreamObject *stream = self->stream;
    if (stream != NULL && tc_stream_is_free(stream) && stream->consumer == NULL) {
        return 0;
    }
    if (stream != NULL && stream->output_ended) {
        tc_stream_raise_closed(stream);
        return -1;
    }
    PyErr_SetString(PyExc_AssertionError, "Already reading");
    return -1;
}

/* Whether something may be received before the loop reports it. */
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
        if (self->want == TC_WANT_BODY && self->coding == TC_CODING_CLOSE) {
            Py_RETURN_NONE;
        }
        tc_stream_raise_closed(stream);
        return NULL;
    }
    if (reader_check_free(self) < 0 || /* topping up may have run Python */
        tc_stream_set_consumer(stream, &reader_consumer, (PyObject *)self) == TC_RAISED) {
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
            (void)tc_reader_take_gathered(self, &result);
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

/* Receives until there is a whole piece, if the socket gives it in smaller portions. 0 or -1. */
static int
reader_top_up(HttpReaderObject *self)
{
    StreamObject *stream = self->stream;
    size_t need = self->coding == TC_CODING_LENGTH && self->left < self->piece_size ? (size_t)self->left
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
reader_read(HttpReaderObject *self, enum tc_reader_want want, double timeout)
{
    if (reader_check_free(self) < 0) {
        return NULL;
    }
    PyObject *result = NULL;
    if (want == TC_WANT_BODY && self->coding != TC_CODING_CHUNKED && reader_top_up(self) < 0) {
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
             "A head beyond max_header_size gives the status that says so, 414 or 431.\n\n"
             ":param timeout: seconds after which the Future's result is None.\n"
             ":raises HTTPInputError: the head is malformed; also through the Future.\n"
             ":raises StreamClosedError: the stream has ended; also through the Future.");

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
    return reader_read(self, TC_WANT_HEAD, timeout);
}

PyDoc_STRVAR(
    reader_measure_body_doc,
    "measure_body($self, headers, limit, /)\n--\n\n"
    "How the body is delimited that headers, those of the message just read, announce: its length in bytes;\n"
    "-1: it is chunked; -2: it ends with the stream; None: there is none. Raises HTTPInputError where they\n"
    "contradict each other, and where the length is over the limit.");

static PyObject *
reader_measure_body(HttpReaderObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t length;
    if (tc_args_check("measure_body", nargs, 2, 2) < 0) {
        return NULL;
    }
    long long limit = PyLong_AsLongLong(args[1]);
    if ((limit == -1 && PyErr_Occurred()) || tc_reader_judge_body(self, args[0], limit, &length) != TC_OK) {
        return NULL;
    }
    return length == TC_BODY_NONE ? Py_NewRef(Py_None) : PyLong_FromLongLong(length);
}

/* Whether the client waits for a 100 before it sends its body (RFC 9110, section 10.1.1). */
static PyObject *
reader_get_expects_continue(HttpReaderObject *self, void *unused)
{
    uint32_t flags = self->head.flags;
    bool empty = flags & TC_HTTP_HAS_LENGTH && self->head.content_length == 0;
    return PyBool_FromLong(flags & TC_HTTP_EXPECT_CONTINUE && !empty);
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
    self->coding = value >= 0 ? TC_CODING_LENGTH : value == -1 ? TC_CODING_CHUNKED : TC_CODING_CLOSE;
    self->left = value >= 0 ? (uint64_t)value : 0;
    memset(&self->chunked, 0, sizeof(self->chunked));
    self->chunked_done = false;
    self->gathered.size = 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reader_read_body_doc,
             "read_body($self, limit, /)\n--\n\n"
             "Read the next piece of the body: bytes, None after the last, or a Future of that.\n\n"
             ":param limit: how many bytes all chunks of a chunked body may have.\n"
             ":raises HTTPInputError: the body is malformed or too long; also through the Future.\n"
             ":raises StreamClosedError: the stream has ended; also through the Future.");

static PyObject *
reader_read_body(HttpReaderObject *self, PyObject *limit)
{
    long long value = PyLong_AsLongLong(limit);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    self->limit = value > 0 ? (uint64_t)value : 0;
    if ((self->coding == TC_CODING_LENGTH && self->left == 0) ||
        (self->coding == TC_CODING_CHUNKED && self->chunked_done)) {
        Py_RETURN_NONE;
    }
    return reader_read(self, TC_WANT_BODY, 0.0);
}

PyDoc_STRVAR(reader_release_doc,
             "release($self, /)\n--\n\n"
             "Leave the stream to others.\n\n"
             "Bytes that were received ahead stay in it; a Future that waits is cancelled.");

static PyObject *
reader_release(HttpReaderObject *self, PyObject *unused)
{
    PyObject *future = self->future;
    self->future = NULL;
    if (self->stream == NULL) {
        Py_RETURN_NONE;
    }
    reader_want_nothing(self);
    reader_leave_stream(self);
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

PyDoc_STRVAR(reader_doc,
             "HTTPReader(stream, is_client, max_header_size, chunk_size, each_chunk=False, /)\n--\n\n"
             "Reads one message after another from a stream of ours.\n\n"
             ":param chunk_size: the maximum of bytes that read_body() returns at once.\n"
             ":param each_chunk: whether it returns no more than a chunk.");

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    PyObject *stream;
    int client, each_chunk = false;
    Py_ssize_t max_header_size, chunk_size;
    if (state == NULL || !PyArg_ParseTuple(args, "O!pnn|p:HTTPReader", state->stream_type, &stream, &client,
                                           &max_header_size, &chunk_size, &each_chunk)) {
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
    self->each_chunk = each_chunk;
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

static PyMethodDef reader_methods[] = {
    {"read_head", TC_FASTCALL(reader_read_head), reader_read_head_doc},
    {"measure_body", TC_FASTCALL(reader_measure_body), reader_measure_body_doc},
    {"start_body", (PyCFunction)reader_start_body, METH_O, reader_start_body_doc},
    {"read_body", (PyCFunction)reader_read_body, METH_O, reader_read_body_doc},
    {"release", (PyCFunction)reader_release, METH_NOARGS, reader_release_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef reader_getset[] = {
    {"expects_continue", (getter)reader_get_expects_continue, NULL,
     "Whether the sender of the head waits for a 100 before its body.", NULL},
    {NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, (char *)reader_doc}, {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc}, {Py_tp_traverse, reader_traverse},
    {Py_tp_clear, reader_clear},     {Py_tp_methods, reader_methods},
    {Py_tp_getset, reader_getset},   {0, NULL},
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
