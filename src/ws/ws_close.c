/* The closing handshake, and the ends without one. Runs Python: whatever writing and closing a stream runs, and
 * methods that a subclass has overridden. */
#include "stream/stream_linger.h"
#include "ws/ws_parts.h"

#define CLOSE_SECONDS 5.0 /* for the peer's close frame, or for what was written to be sent */
#define LINGER_SECONDS 2.0
#define LINGER_BYTES (16 * 1048576)

/* ---- the stream ---- */

static int
close_stream(WsProtocolObject *self)
{
    StreamObject *stream = tc_ws_stream(self);
    if (stream != NULL) {
        Py_INCREF(stream);
        int st = tc_stream_close(stream, NULL) == TC_RAISED ? -1 : 0;
        Py_DECREF(stream);
        return st;
    }
    if (tc_ws_is_none(self->stream)) {
        return 0;
    }
    PyObject *other = Py_NewRef(self->stream);
    PyObject *result = PyObject_CallMethodNoArgs(other, self->state->str_close);
    Py_DECREF(other);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* All is sent: a close of the descriptor while the peer still sends would reset the connection, and the peer
 * could lose our close frame. */
static int
end_sent(WsProtocolObject *self, StreamObject *stream)
{
    if (stream->consumer == (PyObject *)self && (self->fails || tc_stream_has_unread(stream))) {
        int lingers = tc_stream_linger(stream, LINGER_SECONDS, LINGER_BYTES);
        if (lingers < 0) {
            return -1;
        }
        if (lingers > 0) {
            tc_ws_stop_timer(self);
            self->ending = false;
            return 0;
        }
    }
    return tc_stream_close(stream, NULL) == TC_RAISED ? -1 : 0;
}

int
tc_ws_end(WsProtocolObject *self)
{
    StreamObject *stream = tc_ws_stream(self);
    if (stream == NULL) {
        return close_stream(self);
    }
    if (stream->closed || stream->output_ended) {
        return 0;
    }
    Py_INCREF(stream);
    int st = tc_stream_flush(stream) == TC_RAISED ? -1 : 0;
    if (st == 0 && !stream->closed) {
        if (tc_stream_queued(stream) == 0 || stream->consumer != (PyObject *)self) {
            st = end_sent(self, stream);
        }
        else if (!self->ending) { /* ws_drained() comes back here */
            self->ending = true;
            tc_stream_pause(stream);
            st = tc_ws_start_timer(self, TC_WS_AWAIT_CLOSE, CLOSE_SECONDS);
        }
    }
    Py_DECREF(stream);
    return st;
}

/* ---- the close frame ---- */

/* The payload, as struct.pack(">H", code) + utf8(reason) would make it. */
static PyObject *
close_payload(WsProtocolObject *self, PyObject *code, PyObject *reason)
{
    PyObject *head = NULL, *text = NULL;
    if (code == Py_None && reason == Py_None) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    int small;
    if (code == Py_None) {
        head = PyBytes_FromStringAndSize("\x03\xe8", 2);
    }
    else if (tc_long_is_small(code, &small) && small >= 0 && small <= UINT16_MAX) {
        char number[2] = {(char)(small >> 8), (char)(small & 0xFF)};
        head = PyBytes_FromStringAndSize(number, 2);
    }
    else { /* its error, or an object with __index__ */
        head = PyObject_CallFunction(self->state->struct_pack, "sO", ">H", code);
    }
    if (head == NULL || reason == Py_None) {
        return head;
    }
    text = PyUnicode_Check(reason) ? PyUnicode_AsUTF8String(reason) : NULL;
    if (text == NULL && !PyErr_Occurred()) {
        PyObject *convert = tc_upcall(self->state, message_bytes);
        text = convert != NULL ? PyObject_CallOneArg(convert, reason) : NULL;
    }
    if (text == NULL) {
        Py_CLEAR(head);
    }
    else {
        PyBytes_Concat(&head, text);
        Py_DECREF(text);
    }
    return head;
}

/* StreamClosedError, which is set, is no error: the connection is gone. */
static int
close_frame_failed(WsProtocolObject *self)
{
    PyObject *cls = self->state->face_StreamClosedError;
    if (cls == NULL || !PyErr_ExceptionMatches(cls)) {
        return -1;
    }
    PyErr_Clear();
    return tc_ws_call_abort(self);
}

static int
send_close_frame(WsProtocolObject *self, PyObject *code, PyObject *reason)
{
    int closed = tc_ws_is_closed(self);
    if (closed != 0) {
        return closed < 0 ? -1 : 0;
    }
    PyObject *data = close_payload(self, code, reason);
    if (data == NULL) {
        return -1;
    }
    PyObject *sent = tc_ws_frame(self, TC_WS_CLOSE, data);
    Py_DECREF(data);
    if (sent == NULL) {
        return close_frame_failed(self);
    }
    Py_DECREF(sent);
    return 0;
}

static int
close_begin(WsProtocolObject *self, PyObject *code, PyObject *reason)
{
    if (!self->server_terminated) {
        if (send_close_frame(self, code, reason) < 0) {
            return -1;
        }
        self->server_terminated = true;
    }
    if (self->client_terminated) {
        return tc_ws_end(self);
    }
    int closed = tc_ws_is_closed(self);
    if (closed != 0 || self->timing == TC_WS_AWAIT_CLOSE) {
        return closed < 0 ? -1 : 0;
    }
    return tc_ws_start_timer(self, TC_WS_AWAIT_CLOSE, CLOSE_SECONDS);
}

int
tc_ws_close(WsProtocolObject *self, PyObject *code, PyObject *reason)
{
    return close_begin(self, code, reason) == 0 ? tc_ws_stop_pings(self) : -1;
}

int
tc_ws_call_close(WsProtocolObject *self, PyObject *code, PyObject *reason)
{
    if (TC_LIKELY(tc_ws_owns(self, TC_WS_OWN_close))) {
        return tc_ws_close(self, code, reason);
    }
    PyObject *args[] = {(PyObject *)self, code, reason};
    size_t count = reason != Py_None ? 3 : code != Py_None ? 2 : 1;
    PyObject *result =
        PyObject_VectorcallMethod(self->state->str_close, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* ---- without a handshake ---- */

int
tc_ws_abort(WsProtocolObject *self)
{
    self->client_terminated = self->server_terminated = true;
    if (close_stream(self) < 0) {
        return -1;
    }
    if (tc_ws_owns(self, TC_WS_OWN_close)) {
        tc_ws_stop_timer(self);
        return tc_ws_notify_soon(self) == 0 ? tc_ws_stop_pings(self) : -1;
    }
    return tc_ws_call_close(self, Py_None, Py_None); /* a subclass cleans up */
}

int
tc_ws_call_abort(WsProtocolObject *self)
{
    if (TC_LIKELY(tc_ws_owns(self, TC_WS_OWN__abort))) {
        return tc_ws_abort(self);
    }
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str__abort);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_ws_fail(WsProtocolObject *self, int code, const char *reason)
{
    PyObject *number = PyLong_FromLong(code);
    PyObject *text = reason != NULL ? PyUnicode_FromString(reason) : Py_NewRef(Py_None);
    int st = number != NULL && text != NULL ? 0 : -1;
    if (st == 0 && !self->server_terminated) {
        st = send_close_frame(self, number, text);
    }
    Py_XDECREF(number);
    Py_XDECREF(text);
    tc_ws_drop_incoming(self);
    tc_ws_stop_timer(self);
    self->client_terminated = self->server_terminated = true;
    self->over = self->fails = true;
    return st == 0 && tc_ws_end(self) == 0 ? tc_ws_stop_pings(self) : -1;
}
