/* Frames that come: taken from the stream's bytes, unmasked, joined to messages, checked and handed on. A frame
 * that has come whole is turned into its object in one pass; of others the message's bytes are gathered.
 *
 * A client has a share of each turn of the loop: so many bytes, where a frame counts as some, or until the coarse
 * clock moves; what is left over waits in the stream. Runs Python: the application. */
#include "base/clock.h"
#include "stream/stream_train.h"
#include "ws/ws_mask.h"
#include "ws/ws_parts.h"

#define TURN_WORK (256 * 1024)
#define FRAME_WORK 1024
#define GATHER_MIN 65536 /* at first no more room is made than for this, or for what has come */

enum receive_step { STEP_ON, STEP_WAIT, STEP_RAISED };

static enum receive_step
receive_step_of(int st)
{
    return st < 0 ? STEP_RAISED : STEP_ON;
}

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

/* The same through self._handle_message() where that is overridden. */
static int
receive_handle(WsProtocolObject *self, unsigned opcode, PyObject *data, bool compressed)
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

/* Copies payload, unmasked if it was masked; whether all of it is ASCII is known only then. */
static bool
take_payload(char *to, const char *from, size_t size, const tc_ws_head *head, uint64_t phase)
{
    if (head->masked) {
        return tc_ws_mask(to, from, size, head->key, (size_t)(phase & 3));
    }
    memcpy(to, from, size);
    return false;
}

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
    take_payload(PyBytes_AS_STRING(data), payload, size, head, 0);
    int st = receive_handle(self, head->opcode, data, head->compressed);
    Py_DECREF(data);
    return st;
}

/* ---- messages in pieces ---- */

void
tc_ws_drop_incoming(WsProtocolObject *self)
{
    tc_ws_incoming *in = self->incoming;
    self->incoming = NULL;
    if (in != NULL) {
        Py_XDECREF(in->bytes);
        PyMem_Free(in);
    }
}

/* Room for `more` bytes of the message, of which `known` are to come in all. Grows as bytes come, not as frames
 * promise. */
static int
gather_room(tc_ws_incoming *in, size_t more, uint64_t known)
{
    size_t needed = in->size + more, cap = in->bytes != NULL ? (size_t)PyBytes_GET_SIZE(in->bytes) : 0;
    if (needed <= cap) {
        return 0;
    }
    size_t wanted = cap > 0 ? cap * 2 : GATHER_MIN;
    wanted = (size_t)(wanted > in->size + known ? in->size + known : wanted);
    wanted = wanted < needed ? needed : wanted;
    if (in->bytes != NULL) {
        return _PyBytes_Resize(&in->bytes, (Py_ssize_t)wanted);
    }
    in->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)wanted);
    return in->bytes != NULL ? 0 : -1;
}

/* The last frame of a message is there. */
static int
gather_end(WsProtocolObject *self, unsigned opcode, bool compressed)
{
    tc_ws_incoming *in = self->incoming;
    if (opcode == TC_WS_TEXT && !compressed && !tc_ws_utf8_is_whole(&in->text)) {
        return tc_ws_fail(self, TC_WS_BAD_DATA, "invalid UTF-8");
    }
    PyObject *data = in->bytes;
    size_t size = in->size;
    in->bytes = NULL;
    tc_ws_drop_incoming(self);
    if (data == NULL) {
        data = PyBytes_FromStringAndSize(NULL, 0);
    }
    else if ((size_t)PyBytes_GET_SIZE(data) != size && _PyBytes_Resize(&data, (Py_ssize_t)size) < 0) {
        return -1;
    }
    int st = data != NULL ? receive_handle(self, opcode, data, compressed) : -1;
    Py_XDECREF(data);
    return st;
}

/* Takes payload of the frame at hand, and ends the frame, and the message, with its last byte. */
static enum receive_step
gather(WsProtocolObject *self, const char *data, size_t size, size_t *used)
{
    tc_ws_incoming *in = self->incoming;
    const tc_ws_head head = in->head;
    unsigned opcode = head.opcode != 0 ? head.opcode : self->reader.opcode;
    bool compressed = head.opcode != 0 ? head.compressed : self->reader.compressed;
    uint64_t left = head.size - in->read;
    size_t piece = tc_min_size(size - *used, left < SIZE_MAX ? (size_t)left : SIZE_MAX);
    if (piece > 0 && gather_room(in, piece, left) < 0) {
        return STEP_RAISED;
    }
    if (piece > 0) {
        char *to = PyBytes_AS_STRING(in->bytes) + in->size;
        bool ascii = take_payload(to, data + *used, piece, &head, in->read);
        in->size += piece;
        in->read += piece;
        *used += piece;
        self->wire_bytes_in += piece;
        if (opcode == TC_WS_TEXT && !compressed && !(ascii && tc_ws_utf8_is_whole(&in->text)) &&
            !tc_ws_utf8_feed(&in->text, to, piece)) {
            return receive_step_of(tc_ws_fail(self, TC_WS_BAD_DATA, "invalid UTF-8"));
        }
    }
    if (in->read < head.size) {
        return STEP_WAIT;
    }
    in->in_frame = false;
    tc_ws_reader_next(&self->reader, &head);
    return head.fin ? receive_step_of(gather_end(self, opcode, compressed)) : STEP_ON;
}

static enum receive_step
gather_begin(WsProtocolObject *self, const tc_ws_head *head)
{
    if (self->incoming == NULL) {
        self->incoming = PyMem_Calloc(1, sizeof(tc_ws_incoming));
        if (self->incoming == NULL) {
            PyErr_NoMemory();
            return STEP_RAISED;
        }
    }
    self->incoming->head = *head;
    self->incoming->read = 0;
    self->incoming->in_frame = true;
    return STEP_ON;
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

static enum receive_step
receive_frame(WsProtocolObject *self, const char *data, size_t size, size_t *used)
{
    if (self->incoming != NULL && self->incoming->in_frame) {
        return gather(self, data, size, used);
    }
    uint64_t max;
    if (receive_max(self, &max) < 0) {
        return receive_step_of(tc_ws_caught(self));
    }
    tc_ws_head head;
    self->reader.masked = !self->mask_outgoing;
    self->reader.deflate = !tc_ws_is_none(self->decompressor);
    const char *start = data + *used;
    size_t there = size - *used;
    int st = tc_ws_read_head(&self->reader, start, there, max, &head);
    if (st == TC_AGAIN) {
        return STEP_WAIT;
    }
    if (TC_UNLIKELY(st != TC_OK)) {
        return receive_step_of(tc_ws_fail(self, st, st == TC_WS_TOO_BIG ? "message too big" : NULL));
    }
    bool control = tc_ws_is_control(head.opcode), whole = head.size <= there - head.head_size;
    if (control && !whole) {
        return STEP_WAIT;
    }
    self->work += FRAME_WORK + (head.size < TURN_WORK ? (uint32_t)head.size : TURN_WORK);
    self->wire_bytes_in += head.head_size;
    *used += head.head_size;
    if (TC_UNLIKELY(!control && (!whole || !head.fin || head.opcode == TC_WS_CONTINUATION))) {
        enum receive_step step = gather_begin(self, &head);
        return step == STEP_ON ? gather(self, data, size, used) : step;
    }
    self->wire_bytes_in += head.size;
    *used += (size_t)head.size;
    return receive_step_of(receive_whole(self, &head, start + head.head_size));
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
    enum receive_step step = STEP_ON;
    while (step == STEP_ON && used < size && receive_goes_on(self, stream)) {
        if (receive_share_is_over(self, stream)) {
            tc_train_wait(stream);
            break;
        }
        step = receive_frame(self, data, size, &used);
    }
    if (step != STEP_RAISED && self->over && tc_ws_notify_over(self) < 0) {
        step = STEP_RAISED;
    }
    if (self->source == stream && tc_ws_is_held(self)) {
        tc_stream_pause(stream);
    }
    else if (self->source == stream && (self->over || self->client_terminated)) {
        used = size;
    }
    Py_DECREF(stream);
    return step == STEP_RAISED ? TC_CONSUMER_RAISED : (Py_ssize_t)used;
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
    return tc_ws_notify_soon(self);
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
    .drained = ws_drained,
    .closed = ws_closed,
    .lends = ws_lends,
    .lost = ws_lost,
    .leave = ws_leave,
    .reads_rest = true,
};
