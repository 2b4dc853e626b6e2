/* Frames that go: a head and its payload leave together, joined with the others of the event at hand. Runs
 * Python where a stream's write does, and where messages are no str or bytes. */
#include "base/args.h"
#include "ws/ws_mask.h"
#include "ws/ws_parts.h"

#define SMALL 1024 /* a frame of this size is put together on the stack */

StreamObject *
tc_ws_stream_slow(const WsProtocolObject *self)
{
    PyObject *stream = self->stream;
    if (TC_UNLIKELY(stream == NULL || !PyObject_TypeCheck(stream, self->state->stream_type))) {
        return NULL;
    }
    return ((StreamObject *)stream)->core != NULL ? (StreamObject *)stream : NULL;
}

int
tc_ws_is_closed_slow(WsProtocolObject *self)
{
    if (tc_ws_is_none(self->stream)) {
        return 1;
    }
    PyObject *closed = PyObject_CallMethodNoArgs(self->stream, self->state->str_closed);
    int yes = closed != NULL ? PyObject_IsTrue(closed) : -1;
    Py_XDECREF(closed);
    return yes;
}

int
tc_ws_raise_closed(WsProtocolObject *self)
{
    PyObject *cls = tc_face(self->state, WebSocketClosedError);
    if (cls != NULL) {
        PyErr_SetNone(cls);
    }
    return -1;
}

/* ---- frames ---- */

/* A stream that is not ours. */
static int
send_by_method(WsProtocolObject *self, const char *head, size_t head_size, const char *data, size_t size)
{
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(head_size + size)), *result = NULL;
    if (frame != NULL) {
        memcpy(PyBytes_AS_STRING(frame), head, head_size);
        memcpy(PyBytes_AS_STRING(frame) + head_size, data, size);
        PyObject *stream = Py_NewRef(self->stream != NULL ? self->stream : Py_None);
        result = PyObject_CallMethodOneArg(stream, self->state->str_write, frame);
        Py_DECREF(stream);
        Py_DECREF(frame);
    }
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static int
send_small(StreamObject *stream, const char *head, size_t head_size, const char *data, size_t size,
           const uint8_t *key)
{
    char frame[TC_WS_HEAD_MAX + SMALL];
    memcpy(frame, head, head_size);
    if (key != NULL) {
        tc_ws_mask(frame + head_size, data, size, key, 0);
    }
    else if (size > 0) {
        memcpy(frame + head_size, data, size);
    }
    return tc_stream_write(stream, frame, head_size + size, NULL) == TC_RAISED ? -1 : 0;
}

static int
send_large(StreamObject *stream, const char *head, size_t head_size, const char *data, size_t size,
           PyObject *owner)
{
    int st;
    if (stream->cork == NULL) {
        st = tc_stream_send_or_queue(stream, head, head_size, data, size, owner);
    }
    else {
        st = tc_stream_write(stream, head, head_size, NULL);
        if (st != TC_RAISED) {
            st = tc_stream_write(stream, data, size, owner);
        }
    }
    return st == TC_RAISED ? -1 : 0;
}

static int
send_to_stream(WsProtocolObject *self, StreamObject *stream, const char *head, size_t head_size,
               const char *data, size_t size, PyObject *owner, const uint8_t *key)
{
    if (size <= SMALL) {
        return send_small(stream, head, head_size, data, size, key);
    }
    PyObject *masked = NULL;
    if (key != NULL) {
        masked = owner = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (masked == NULL) {
            return -1;
        }
        tc_ws_mask(PyBytes_AS_STRING(masked), data, size, key, 0);
        data = PyBytes_AS_STRING(masked);
    }
    int st = send_large(stream, head, head_size, data, size, owner);
    Py_XDECREF(masked);
    return st;
}

int
tc_ws_send(WsProtocolObject *self, unsigned first, const char *data, size_t size, PyObject *owner)
{
    StreamObject *stream = tc_ws_stream(self);
    uint8_t key[4] = {0};
    if (self->mask_outgoing && stream != NULL) {
        WsLoopObject *loop = tc_ws_loop(stream->core);
        if (loop == NULL || tc_ws_loop_mask(loop, key) < 0) {
            return -1;
        }
        stream = tc_ws_stream(self); /* os.urandom may be anybody's */
    }
    char head[TC_WS_HEAD_MAX];
    size_t head_size = tc_ws_write_head(head, first, size, self->mask_outgoing ? key : NULL);
    self->wire_bytes_out += head_size + size;
    if (TC_UNLIKELY(stream == NULL)) {
        return send_by_method(self, head, head_size, data, size);
    }
    if (stream->closed) {
        tc_stream_raise_closed(stream);
        return -1;
    }
    Py_INCREF(stream);
    int st = stream->max_write_buffer_size >= 0 ? tc_stream_check_room(stream, head_size + size) : 0;
    if (st == 0) {
        st = send_to_stream(self, stream, head, head_size, data, size, owner,
                            self->mask_outgoing ? key : NULL);
    }
    Py_DECREF(stream);
    return st;
}

/* ---- Futures ---- */

/* What a write returns, after it: the Future of the stream's writes so far, which fails with `error` (a class,
 * or NULL: StreamClosedError). */
static PyObject *
write_future(WsProtocolObject *self, PyObject *error)
{
    StreamObject *stream = tc_ws_stream(self);
    if (TC_UNLIKELY(stream == NULL)) {
        PyObject *convert = tc_upcall(self->state, convert_yielded);
        return convert != NULL ? PyObject_CallOneArg(convert, Py_None) : NULL;
    }
    return tc_stream_written(stream, NULL, error);
}

/* The opcode of a frame of Python's. 0, or -1 with an exception. */
static int
frame_check(bool fin, long opcode, Py_ssize_t size)
{
    if (!(opcode & 8)) {
        return 0;
    }
    if (!fin) {
        PyErr_SetString(PyExc_ValueError, "control frames may not be fragmented");
        return -1;
    }
    if (size > TC_WS_CONTROL_MAX) {
        PyErr_SetString(PyExc_ValueError, "control frame payloads may not exceed 125 bytes");
        return -1;
    }
    return 0;
}

PyObject *
tc_ws_write_frame(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_fin, state->str_opcode, state->str_data, state->str_flags}, *v[4];
    if (tc_args_parse("_write_frame", args, nargs, kwnames, names, 4, 3, v) < 0) {
        return NULL;
    }
    int fin = PyObject_IsTrue(v[0]);
    long opcode = fin >= 0 ? PyLong_AsLong(v[1]) : -1;
    long flags = v[3] != NULL && !PyErr_Occurred() ? PyLong_AsLong(v[3]) : 0;
    Py_buffer view;
    if (PyErr_Occurred() || PyObject_GetBuffer(v[2], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    unsigned first = (unsigned)((fin ? TC_WS_FIN : 0) | opcode | flags) & 0xFF;
    int st = frame_check(fin, opcode, view.len);
    if (st == 0) {
        st = tc_ws_send(self, first, view.buf, (size_t)view.len, PyBytes_CheckExact(v[2]) ? v[2] : NULL);
    }
    PyBuffer_Release(&view);
    return st == 0 ? write_future(self, NULL) : NULL;
}

/* self._write_frame(True, opcode | flags, data). */
static PyObject *
frame_by_method(WsProtocolObject *self, unsigned opcode, unsigned flags, PyObject *data)
{
    PyObject *number = PyLong_FromLong((long)opcode), *bits = PyLong_FromLong((long)flags), *result = NULL;
    if (number != NULL && bits != NULL) {
        PyObject *args[] = {(PyObject *)self, Py_True, number, data, bits};
        result = PyObject_VectorcallMethod(self->state->str__write_frame, args,
                                           (flags != 0 ? 5 : 4) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(number);
    Py_XDECREF(bits);
    return result;
}

PyObject *
tc_ws_frame(WsProtocolObject *self, unsigned opcode, PyObject *data)
{
    if (TC_UNLIKELY(!tc_ws_owns(self, TC_WS_OWN__write_frame))) {
        return frame_by_method(self, opcode, 0, data);
    }
    if (frame_check(true, (long)opcode, PyBytes_GET_SIZE(data)) < 0 ||
        tc_ws_send(self, TC_WS_FIN | opcode, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), data) <
            0) {
        return NULL;
    }
    StreamObject *stream = tc_ws_stream(self);
    return stream == NULL || stream->closed || tc_stream_queued(stream) == 0 ? Py_NewRef(Py_None)
                                                                             : write_future(self, NULL);
}

/* ---- messages ---- */

/* A message in bytes of the application's, or of ours. */
typedef struct {
    const char *data;
    size_t size;
    PyObject *held;  /* new reference: holds `data` */
    PyObject *owner; /* the same if it is exact bytes, else NULL */
} write_message_text;

static int
message_read(WsProtocolObject *self, PyObject *message, write_message_text *out)
{
    if (PyUnicode_Check(message)) {
        Py_ssize_t size;
        out->data = PyUnicode_AsUTF8AndSize(message, &size);
        if (out->data == NULL) {
            return -1;
        }
        out->size = (size_t)size;
        out->held = Py_NewRef(message);
        out->owner = NULL;
        return 0;
    }
    if (PyBytes_CheckExact(message)) {
        out->held = Py_NewRef(message);
    }
    else {
        PyObject *convert = tc_upcall(self->state, message_bytes);
        out->held = convert != NULL ? PyObject_CallOneArg(convert, message) : NULL;
        if (out->held != NULL && !PyBytes_CheckExact(out->held)) {
            PyErr_Format(PyExc_TypeError, "a message cannot be made of %.100s", Py_TYPE(message)->tp_name);
            Py_CLEAR(out->held);
        }
        if (out->held == NULL) {
            return -1;
        }
    }
    out->owner = out->held;
    out->data = PyBytes_AS_STRING(out->held);
    out->size = (size_t)PyBytes_GET_SIZE(out->held);
    return 0;
}

/* The message becomes what compressor.compress() makes of it. */
static int
message_compress(WsProtocolObject *self, write_message_text *text)
{
    PyObject *plain = text->owner != NULL ? Py_NewRef(text->owner)
                                          : PyBytes_FromStringAndSize(text->data, (Py_ssize_t)text->size);
    PyObject *compressor = Py_NewRef(self->compressor);
    PyObject *packed =
        plain != NULL ? PyObject_CallMethodOneArg(compressor, self->state->str_compress, plain) : NULL;
    Py_XDECREF(plain);
    Py_DECREF(compressor);
    if (packed != NULL && !PyBytes_CheckExact(packed)) {
        PyErr_Format(PyExc_TypeError, "compress() returned %.100s", Py_TYPE(packed)->tp_name);
        Py_CLEAR(packed);
    }
    if (packed == NULL) {
        return -1;
    }
    Py_SETREF(text->held, packed);
    text->owner = packed;
    text->data = PyBytes_AS_STRING(packed);
    text->size = (size_t)PyBytes_GET_SIZE(packed);
    return 0;
}

static int
message_send(WsProtocolObject *self, unsigned opcode, unsigned flags, const write_message_text *text,
             PyObject **future)
{
    *future = NULL;
    if (TC_LIKELY(tc_ws_owns(self, TC_WS_OWN__write_frame))) {
        return tc_ws_send(self, TC_WS_FIN | opcode | flags, text->data, text->size, text->owner);
    }
    PyObject *data = text->owner != NULL ? Py_NewRef(text->owner)
                                         : PyBytes_FromStringAndSize(text->data, (Py_ssize_t)text->size);
    *future = data != NULL ? frame_by_method(self, opcode, flags, data) : NULL;
    Py_XDECREF(data);
    return *future != NULL ? 0 : -1;
}

/* An exception of the write: StreamClosedError becomes WebSocketClosedError. */
static void
message_failed(WsProtocolObject *self)
{
    PyObject *cls = self->state->face_StreamClosedError;
    if (cls != NULL && PyErr_ExceptionMatches(cls)) {
        PyErr_Clear();
        tc_ws_raise_closed(self);
    }
}

/* Nothing may follow our close frame. */
static int
message_check(WsProtocolObject *self)
{
    int closed = tc_ws_is_closed(self);
    if (closed < 0) {
        return -1;
    }
    return closed || self->server_terminated || self->client_terminated ? tc_ws_raise_closed(self) : 0;
}

/* ---- the same message for many ---- */

/* A setting of the compressor, a small number; -1 where it is something else. */
static int
share_setting(PyObject *compressor, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(compressor, name);
    int number = -1;
    if (value == NULL) {
        PyErr_Clear();
    }
    else if (!PyBool_Check(value) && (!tc_long_is_small(value, &number) || number < -1 || number > 100)) {
        number = -2;
    }
    else if (PyBool_Check(value)) {
        number = value == Py_True;
    }
    Py_XDECREF(value);
    return number;
}

/* Is a frame as cheap to make as to find? Large bytes are not copied into it; the UTF-8 of a str that is not ASCII
 * stays with that. */
static bool
share_is_cheap(PyObject *message)
{
    if (PyBytes_CheckExact(message)) {
        return PyBytes_GET_SIZE(message) <= SMALL || PyBytes_GET_SIZE(message) >= TC_STREAM_BY_REFERENCE;
    }
    return PyUnicode_GET_LENGTH(message) <= SMALL;
}

/* What a frame depends on besides its message; 0 where it is this connection's alone: what is small, compressed
 * after other messages, masked, or made by somebody else's methods. */
static uint64_t
share_key(WsProtocolObject *self, PyObject *message, unsigned opcode)
{
    const tc_state *state = self->state;
    if (self->mask_outgoing || !(PyUnicode_CheckExact(message) || PyBytes_CheckExact(message)) ||
        !tc_ws_owns(self, TC_WS_OWN__write_frame)) {
        return 0;
    }
    if (tc_ws_is_none(self->compressor)) {
        return share_is_cheap(message) ? 0 : opcode;
    }
    if ((PyObject *)Py_TYPE(self->compressor) != state->face_PerMessageDeflateCompressor) {
        return 0;
    }
    PyObject *compressor = Py_NewRef(self->compressor);
    uint64_t key = 0;
    if (share_setting(compressor, state->str__persistent) == 0) {
        int level = share_setting(compressor, state->str__compression_level);
        int bits = share_setting(compressor, state->str__max_wbits);
        int memory = share_setting(compressor, state->str__mem_level);
        if (level >= -1 && bits > 0 && memory > 0) {
            key = TC_WS_RSV1 | opcode | (uint64_t)(level + 1) << 8 | (uint64_t)bits << 16 |
                  (uint64_t)memory << 24;
        }
    }
    Py_DECREF(compressor);
    return key;
}

/* The whole frame as bytes. */
static PyObject *
share_frame(unsigned first, const write_message_text *text)
{
    char head[TC_WS_HEAD_MAX];
    size_t head_size = tc_ws_write_head(head, first, text->size, NULL);
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(head_size + text->size));
    if (frame != NULL) {
        memcpy(PyBytes_AS_STRING(frame), head, head_size);
        memcpy(PyBytes_AS_STRING(frame) + head_size, text->data, text->size);
    }
    return frame;
}

/* A frame that is there already. */
static int
share_send(WsProtocolObject *self, StreamObject *stream, PyObject *frame)
{
    size_t size = (size_t)PyBytes_GET_SIZE(frame);
    int st = stream->max_write_buffer_size >= 0 ? tc_stream_check_room(stream, size) : 0;
    if (st == 0) {
        self->wire_bytes_out += size;
        st = tc_stream_write(stream, PyBytes_AS_STRING(frame), size, frame) == TC_RAISED ? -1 : 0;
    }
    return st;
}

/* Sends a message, framed (and compressed) once for all that get it in this turn. `key` is not 0. */
static int
message_send_shared(WsProtocolObject *self, PyObject *message, uint64_t key)
{
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)tc_ws_stream(self));
    WsLoopObject *loop = (WsLoopObject *)Py_XNewRef((PyObject *)tc_ws_loop(stream->core));
    tc_ws_shared *shared = loop != NULL ? tc_ws_loop_shared(loop, message, key) : NULL;
    write_message_text text = {0};
    PyObject *frame = shared != NULL ? Py_XNewRef(shared->frame) : NULL, *none;
    size_t size = shared != NULL ? shared->size : 0;
    bool again = shared != NULL;
    int st = loop != NULL ? 0 : -1;
    if (st == 0 && frame == NULL) {
        st = message_read(self, message, &text);
        size = text.size;
        if (st == 0 && (key & TC_WS_RSV1)) {
            st = message_compress(self, &text);
        }
        if (st == 0 && (again || (key & TC_WS_RSV1))) {
            frame = share_frame(TC_WS_FIN | (key & 0xFF), &text);
            st = frame != NULL ? 0 : -1;
        }
        if (st == 0) {
            tc_ws_loop_share(loop, message, key, frame, size);
            st = message_check(self); /* compressing may have run Python */
        }
    }
    if (st == 0) {
        self->message_bytes_out += size;
        st = frame != NULL ? share_send(self, stream, frame)
                           : message_send(self, (unsigned)key & TC_WS_OPCODE, 0, &text, &none);
    }
    Py_XDECREF(text.held);
    Py_XDECREF(frame);
    Py_XDECREF(loop);
    Py_DECREF(stream);
    return st;
}

/* A message of this connection's alone. */
static int
message_send_own(WsProtocolObject *self, PyObject *message, unsigned opcode, PyObject **future)
{
    write_message_text text;
    if (message_read(self, message, &text) < 0) {
        return -1;
    }
    /* Converting the message may have run Python, so the state is looked at now. */
    unsigned flags = 0;
    size_t size = text.size;
    int st = message_check(self);
    if (st == 0 && !tc_ws_is_none(self->compressor)) {
        flags = TC_WS_RSV1;
        st = message_compress(self, &text);
        st = st == 0 ? message_check(self) : st;
    }
    if (st == 0) {
        self->message_bytes_out += size;
        st = message_send(self, opcode, flags, &text, future);
    }
    Py_DECREF(text.held);
    return st;
}

/* What write_message() returns where an overriding _write_frame() has returned this (stolen). */
static PyObject *
message_future(WsProtocolObject *self, PyObject *future)
{
    const StreamObject *stream = tc_ws_stream(self);
    if (stream != NULL && future == stream->core->done_future) {
        return future;
    }
    PyObject *convert = tc_upcall(self->state, message_written);
    PyObject *result = convert != NULL ? PyObject_CallOneArg(convert, future) : NULL;
    Py_DECREF(future);
    return result;
}

PyObject *
tc_ws_write_message(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_message, state->str_binary}, *v[2];
    if (tc_args_parse("write_message", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    int binary = v[1] != NULL ? PyObject_IsTrue(v[1]) : 0;
    if (binary < 0 || message_check(self) < 0) {
        return NULL;
    }
    PyObject *future = NULL;
    unsigned opcode = binary ? TC_WS_BINARY : TC_WS_TEXT;
    uint64_t key = tc_ws_stream(self) != NULL ? share_key(self, v[0], opcode) : 0;
    int st = key != 0 && tc_ws_stream(self) != NULL ? message_send_shared(self, v[0], key)
                                                    : message_send_own(self, v[0], opcode, &future);
    if (st < 0) {
        message_failed(self);
        return NULL;
    }
    return future != NULL ? message_future(self, future)
                          : write_future(self, state->face_WebSocketClosedError);
}
