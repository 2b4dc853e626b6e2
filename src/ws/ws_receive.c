/* Frames that come: taken from the stream's bytes, unmasked, checked and handed on. A message that has come
 * whole, in a frame, is turned into its object in one pass; what becomes of others is ws_gather.c's.
 *
 * A client has a share of each turn of the loop: so many bytes, where a frame counts as some, or until the coarse
 * clock moves; what is left over waits in the stream. Runs Python: the application. */
#include "base/clock.h"
#include "stream/stream_train.h"
#include "ws/ws_gather.h"

#define TURN_WORK (256 * 1024)
#define FRAME_WORK 1024

/* ---- whole messages ---- */

static int
receive_text(WsProtocolObject *self, PyObject *text)
{
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            return -1;
        }
        PyErr_Clear();
        return tc_ws_fail(self, TC_WS_BAD_DATA, "invalid UTF-8");
    }
    int st = tc_ws_call(self, self->state->str_on_message, text, true);
    Py_DECREF(text);
    return st;
}

/* A message, uncompressed; `data` is bytes. */
static int
receive_message(WsProtocolObject *self, unsigned opcode, PyObject *data)
{
    self->message_bytes_in += (unsigned long long)PyBytes_GET_SIZE(data);
    if (opcode == TC_WS_BINARY) {
        return tc_ws_call(self, self->state->str_on_message, data, true);
    }
    return receive_text(self, PyUnicode_DecodeUTF8(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), NULL));
}

/* decompressor.decompress(data), whose errors end the connection. */
static int
receive_compressed(WsProtocolObject *self, unsigned opcode, PyObject *data)
{
    PyObject *decompressor = Py_NewRef(self->decompressor != NULL ? self->decompressor : Py_None);
    PyObject *plain = PyObject_CallMethodOneArg(decompressor, self->state->str_decompress, data);
    Py_DECREF(decompressor);
    if (plain != NULL && !PyBytes_Check(plain)) {
        PyErr_Format(PyExc_TypeError, "decompress() returned %.100s", Py_TYPE(plain)->tp_name);
        Py_CLEAR(plain);
    }
    if (plain != NULL) {
        int st = receive_message(self, opcode, plain);
        Py_DECREF(plain);
        return st;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *too_large = tc_face(self->state, DecompressTooLargeError);
    bool big = too_large != NULL && PyErr_ExceptionMatches(too_large);
    PyErr_Clear();
    return big ? tc_ws_fail(self, TC_WS_TOO_BIG, "message too big after decompression")
               : tc_ws_fail(self, TC_WS_BAD_DATA, "invalid compressed data");
}

static int
receive_close(WsProtocolObject *self, PyObject *data)
{
    const char *text = PyBytes_AS_STRING(data);
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    uint16_t code;
    int st = tc_ws_read_close(text, size, &code);
    if (st != TC_OK) {
        return tc_ws_fail(self, st, NULL);
    }
    self->client_terminated = true;
    if (size > 0) {
        PyObject *number = PyLong_FromLong(code);
        PyObject *reason =
            size > 2 ? PyUnicode_DecodeUTF8(text + 2, (Py_ssize_t)(size - 2), NULL) : Py_NewRef(Py_None);
        if (number == NULL || reason == NULL) {
            Py_XDECREF(number);
            Py_XDECREF(reason);
            return -1;
        }
        Py_XSETREF(self->close_code, number);
        Py_XSETREF(self->close_reason, reason);
    }
    PyObject *echo = Py_NewRef(self->close_code != NULL ? self->close_code : Py_None);
    st = tc_ws_call_close(self, echo, Py_None);
    Py_DECREF(echo);
    self->over = true;
    return st;
}

int
tc_ws_handle_bytes(WsProtocolObject *self, unsigned opcode, PyObject *data, bool compressed)
{
    if (self->client_terminated) {
        return 0;
    }
    switch (opcode) {
    case TC_WS_TEXT:
    case TC_WS_BINARY:
        return compressed ? receive_compressed(self, opcode, data) : receive_message(self, opcode, data);
    case TC_WS_CLOSE:
        return receive_close(self, data);
    case TC_WS_PING:
        if (tc_ws_send_pong(self, data) < 0) {
            return -1;
        }
        return tc_ws_call(self, self->state->str_on_ping, data, false);
    case TC_WS_PONG:
        self->received_pong = true;
        return tc_ws_call(self, self->state->str_on_pong, data, true);
    default:
        return tc_ws_call_abort(self);
    }
}

int
tc_ws_receive(WsProtocolObject *self, unsigned opcode, PyObject *data, bool compressed)
{
    if (TC_LIKELY(tc_ws_owns(self, TC_WS_OWN__handle_message))) {
        return tc_ws_handle_bytes(self, opcode, data, compressed);
    }
    self->compressed = compressed; /* for our own method, if the overriding one calls it */
    PyObject *number = PyLong_FromLong((long)opcode), *result = NULL;
    if (number != NULL) {
        PyObject *args[] = {(PyObject *)self, number, data};
        result = PyObject_VectorcallMethod(self->state->str__handle_message, args,
                                           3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(number);
    }
    self->compressed = false;
    if (result == NULL) {
        return tc_ws_caught(self);
    }
    int st = result != Py_None ? tc_ws_hold(self, result) : 0;
    Py_DECREF(result);
    return st;
}

/* ---- frames that have come whole ---- */

/* Text is written into the str that it becomes, in the hope that it is ASCII. */
static PyObject *
text_of(const char *payload, size_t size, const tc_ws_head *head)
{
    if (!head->masked || size <= 1) {
        char one = size == 1 && head->masked ? (char)(payload[0] ^ (char)head->key[0]) : 0;
        return PyUnicode_DecodeUTF8(size == 1 && head->masked ? &one : payload, (Py_ssize_t)size, NULL);
    }
    PyObject *text = PyUnicode_New((Py_ssize_t)size, 127);
    if (text == NULL) {
        return NULL;
    }
    char *data = PyUnicode_DATA(text);
    if (!tc_ws_mask(data, payload, size, head->key, 0)) {
        PyObject *decoded = PyUnicode_DecodeUTF8(data, (Py_ssize_t)size, NULL);
        memset(data, ' ', size); /* it is freed as what it said it was */
        Py_SETREF(text, decoded);
    }
    return text;
}

static int
receive_whole(WsProtocolObject *self, const tc_ws_head *head, const char *payload)
{
    size_t size = (size_t)head->size;
    if (head->opcode == TC_WS_TEXT && !head->compressed && !self->client_terminated &&
        tc_ws_owns(self, TC_WS_OWN__handle_message)) {
        self->message_bytes_in += size;
        return receive_text(self, text_of(payload, size, head));
    }
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (data == NULL) {
        return -1;
    }
    tc_ws_take_payload(PyBytes_AS_STRING(data), payload, size, head, 0);
    int st = tc_ws_receive(self, head->opcode, data, head->compressed);
    Py_DECREF(data);
    return st;
}

/* ---- frames ---- */

/* params.max_message_size: 0, or -1 with an exception. */
static int
receive_max(WsProtocolObject *self, uint64_t *max)
{
    PyObject *params = Py_NewRef(self->params != NULL ? self->params : Py_None);
    PyObject *value = PyObject_GetAttr(params, self->state->str_max_message_size);
    Py_DECREF(params);
    if (TC_LIKELY(value != NULL && PyLong_CheckExact(value))) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        *max = overflow > 0 ? UINT64_MAX : number > 0 ? (uint64_t)number : 0;
        Py_DECREF(value);
        return 0;
    }
    double size = value == NULL ? -1.0 : value == Py_None ? 1e30 : PyFloat_AsDouble(value);
    Py_XDECREF(value);
    if (size == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    *max = size >= 9e18 ? UINT64_MAX : size > 0.0 ? (uint64_t)size : 0;
    return 0;
}

void
tc_ws_count_work(WsProtocolObject *self, uint64_t size)
{
    self->work += FRAME_WORK + (size < TURN_WORK ? (uint32_t)size : TURN_WORK);
}

static enum tc_ws_step
receive_frame(WsProtocolObject *self, const char *data, size_t size, size_t *used)
{
    if (tc_ws_gathers(self)) {
        return tc_ws_gather(self, data, size, used);
    }
    uint64_t max;
    if (receive_max(self, &max) < 0) {
        return tc_ws_step_of(tc_ws_caught(self));
    }
    tc_ws_head head;
    self->reader.masked = !self->mask_outgoing;
    self->reader.deflate = !tc_ws_is_none(self->decompressor);
    const char *start = data + *used;
    size_t there = size - *used;
    int st = tc_ws_read_head(&self->reader, start, there, max, &head);
    if (st == TC_AGAIN) {
        return TC_WS_WAIT;
    }
    if (TC_UNLIKELY(st != TC_OK)) {
        return tc_ws_step_of(tc_ws_fail(self, st, st == TC_WS_TOO_BIG ? "message too big" : NULL));
    }
    bool control = tc_ws_is_control(head.opcode), whole = head.size <= there - head.head_size;
    if (control && !whole) {
        return TC_WS_WAIT;
    }
    self->wire_bytes_in += head.head_size;
    *used += head.head_size;
    if (TC_UNLIKELY(!control && (!whole || !head.fin || head.opcode == TC_WS_CONTINUATION))) {
        tc_ws_count_work(self, 0);
        return tc_ws_gather_begin(self, &head) == 0 ? tc_ws_gather(self, data, size, used) : TC_WS_RAISED;
    }
    tc_ws_count_work(self, head.size);
    self->wire_bytes_in += head.size;
    *used += (size_t)head.size;
    return tc_ws_step_of(receive_whole(self, &head, start + head.head_size));
}

/* ---- the stream's consumer ---- */

/* Whether this is the time for another frame. */
static bool
receive_goes_on(const WsProtocolObject *self, const StreamObject *stream)
{
    return self->source == stream && self->started && !self->over && !self->client_terminated &&
           !tc_ws_is_held(self) && !stream->closed && tc_stream_feeds(stream) && !stream->inherited;
}

/* Whether the client has had its share of this turn. */
static bool
receive_share_is_over(WsProtocolObject *self, const StreamObject *stream)
{
    if (self->turn != stream->core->turn) {
        self->turn = stream->core->turn;
        self->work = 0;
        self->tick = tc_clock_tick();
        return false;
    }
    return self->work > 0 && (self->work >= TURN_WORK || self->tick != tc_clock_tick());
}

/* What follows from the frames that were taken. */
static enum tc_ws_step
receive_settle(WsProtocolObject *self, StreamObject *stream, enum tc_ws_step step)
{
    if (step != TC_WS_RAISED && self->over && tc_ws_notify_over(self) < 0) {
        step = TC_WS_RAISED;
    }
    if (self->source == stream && tc_ws_is_held(self)) {
        tc_stream_pause(stream);
    }
    return step;
}

static Py_ssize_t
ws_data(PyObject *consumer, const char *data, size_t size)
{
    WsProtocolObject *self = (WsProtocolObject *)consumer;
    StreamObject *stream = self->source;
    if (stream == NULL) { /* the collector has been here */
        return (Py_ssize_t)size;
    }
    Py_INCREF(stream);
    size_t used = 0;
    enum tc_ws_step step = TC_WS_ON;
    while (step == TC_WS_ON && used < size && receive_goes_on(self, stream)) {
        if (receive_share_is_over(self, stream) && !tc_ws_gathers(self)) {
            tc_train_wait(stream);
            break;
        }
        step = receive_frame(self, data, size, &used);
    }
    step = receive_settle(self, stream, step);
    if (self->source == stream && !tc_ws_is_held(self) && (self->over || self->client_terminated)) {
        used = size;
    }
    Py_DECREF(stream);
    return step == TC_WS_RAISED ? TC_CONSUMER_RAISED : (Py_ssize_t)used;
}

static char *
ws_room(PyObject *consumer, size_t *size)
{
    WsProtocolObject *self = (WsProtocolObject *)consumer;
    bool wanted = tc_ws_gathers(self) && self->source != NULL && receive_goes_on(self, self->source);
    return TC_UNLIKELY(wanted) ? tc_ws_gather_room(self, size) : NULL;
}

static int
ws_filled(PyObject *consumer, size_t size)
{
    WsProtocolObject *self = (WsProtocolObject *)consumer;
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->source);
    receive_share_is_over(self, stream); /* counts anew in a new turn */
    enum tc_ws_step step = receive_settle(self, stream, tc_ws_gather_filled(self, size));
    Py_DECREF(stream);
    return step == TC_WS_RAISED ? TC_RAISED : TC_OK;
}

static int
ws_drained(PyObject *consumer)
{
    WsProtocolObject *self = (WsProtocolObject *)consumer;
    return self->ending && tc_ws_end(self) < 0 ? TC_RAISED : TC_OK;
}

/* The stream is not ours any more, closed or somebody else's. */
static int
ws_left(WsProtocolObject *self)
{
    self->client_terminated = self->server_terminated = true;
    tc_ws_stop_timer(self);
    tc_ws_drop_incoming(self);
    Py_CLEAR(self->source);
    Py_CLEAR(self->pong);
    Py_CLEAR(self->next_pong);
    return tc_ws_notify_soon(self) == 0 ? tc_ws_stop_pings(self) : -1;
}

static int
ws_closed(PyObject *consumer)
{
    WsProtocolObject *self = (WsProtocolObject *)Py_NewRef(consumer);
    int st = ws_left(self);
    Py_DECREF(self);
    return st < 0 ? TC_RAISED : TC_OK;
}

static bool
ws_lends(PyObject *consumer)
{
    return false;
}

static void
ws_lost(PyObject *consumer)
{
    WsProtocolObject *self = (WsProtocolObject *)Py_NewRef(consumer);
    if (self->source != NULL && self->source->consumer == consumer) {
        tc_stream_drop_consumer(self->source);
        self->source->paused = false;
    }
    if (ws_left(self) < 0) {
        PyErr_WriteUnraisable(consumer);
    }
    Py_DECREF(self);
}

/* 1001 means "going away, such as a server going down" (RFC 6455, 7.4.1). */
static int
ws_leave(PyObject *consumer)
{
    WsProtocolObject *self = (WsProtocolObject *)consumer;
    PyObject *code = self->server_terminated ? NULL : PyLong_FromLong(1001);
    int st = code != NULL ? tc_ws_call_close(self, code, Py_None) : PyErr_Occurred() ? -1 : 0;
    Py_XDECREF(code);
    return st;
}

const tc_consumer_class tc_ws_consumer = {
    .data = ws_data,
    .room = ws_room,
    .filled = ws_filled,
    .drained = ws_drained,
    .closed = ws_closed,
    .lends = ws_lends,
    .lost = ws_lost,
    .leave = ws_leave,
    .reads_rest = true,
};
