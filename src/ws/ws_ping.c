/* Pings, pongs, and the one time limit that a connection has at a time: all wait in lists that the connections of
 * a loop share, without a Task and without a place in the loop's heap. Runs Python. */
#include "base/future.h"
#include "ws/ws_parts.h"

/* ---- time limits ---- */

void
tc_ws_stop_timer(WsProtocolObject *self)
{
    self->timing = TC_WS_NO_TIMING;
    tc_timeout_end(&self->timer);
}

int
tc_ws_start_timer(WsProtocolObject *self, enum tc_ws_timing timing, double seconds)
{
    StreamObject *stream = tc_ws_stream(self);
    tc_ws_stop_timer(self);
    if (stream == NULL || stream->closed || stream->core->closed) {
        return 0;
    }
    WsLoopObject *loop = tc_ws_loop(stream->core);
    tc_timeouts *list = loop != NULL ? tc_ws_loop_timeouts(loop, seconds) : NULL;
    if (list == NULL) {
        return -1;
    }
    self->timing = (uint8_t)timing;
    tc_timeout_start(list, &self->timer);
    return 0;
}

/* ---- pings ---- */

static int
ping_send(WsProtocolObject *self)
{
    self->received_pong = false;
    PyObject *data = PyBytes_FromStringAndSize(NULL, 0), *result = NULL;
    if (data != NULL && tc_ws_owns(self, TC_WS_OWN_write_ping)) {
        result = tc_ws_frame(self, TC_WS_PING, data);
    }
    else if (data != NULL) {
        result = PyObject_CallMethodOneArg((PyObject *)self, self->state->str_write_ping, data);
    }
    Py_XDECREF(data);
    Py_XDECREF(result);
    if (result == NULL) {
        return -1;
    }
    if (self->server_terminated) {
        return 0;
    }
    return self->timeout > 0.0 ? tc_ws_start_timer(self, TC_WS_AWAIT_PONG, self->timeout)
                               : tc_ws_start_timer(self, TC_WS_NEXT_PING, self->interval);
}

/* The time for the pong is over. */
static int
ping_check(WsProtocolObject *self)
{
    if (!self->received_pong) {
        PyObject *reason = PyUnicode_FromString("ping timed out");
        int st = -1;
        if (reason != NULL && tc_ws_owns(self, TC_WS_OWN_close)) {
            st = tc_ws_close(self, Py_None, reason);
        }
        else if (reason != NULL) {
            PyObject *args[] = {(PyObject *)self, reason};
            PyObject *result = PyObject_VectorcallMethod(
                self->state->str_close, args, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, self->state->kw_reason);
            st = result != NULL ? 0 : -1;
            Py_XDECREF(result);
        }
        Py_XDECREF(reason);
        return st;
    }
    double left = self->interval - self->timeout;
    return left > 0.0 ? tc_ws_start_timer(self, TC_WS_NEXT_PING, left) : ping_send(self);
}

void
tc_ws_expired(tc_timeout *entry)
{
    WsProtocolObject *self = tc_container_of(entry, WsProtocolObject, timer);
    enum tc_ws_timing timing = self->timing;
    int st = 0;
    Py_INCREF(self);
    self->timing = TC_WS_NO_TIMING;
    if (timing == TC_WS_AWAIT_CLOSE) {
        st = tc_ws_call_abort(self);
    }
    else if (!self->server_terminated && tc_ws_is_closed(self) == 0) {
        st = timing == TC_WS_NEXT_PING ? ping_send(self) : ping_check(self);
    }
    StreamObject *stream = tc_ws_stream(self);
    if (st < 0 && (stream == NULL ||
                   tc_core_report(stream->core, "Exception in a ping of", (PyObject *)self) == TC_RAISED)) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_DECREF(self);
}

/* An attribute of seconds; 0 for None. -1 with an exception. */
static int
ping_seconds(WsProtocolObject *self, PyObject *name, double *out)
{
    PyObject *value = PyObject_GetAttr((PyObject *)self, name);
    *out = value == NULL ? -1.0 : value == Py_None ? 0.0 : PyFloat_AsDouble(value);
    Py_XDECREF(value);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 0;
}

int
tc_ws_start_pinging(WsProtocolObject *self)
{
    double interval, timeout;
    if (self->timing != TC_WS_NO_TIMING) {
        return 0;
    }
    if (ping_seconds(self, self->state->str_ping_interval, &interval) < 0) {
        return -1;
    }
    if (!(interval > 0.0)) {
        return 0;
    }
    if (ping_seconds(self, self->state->str_ping_timeout, &timeout) < 0) {
        return -1;
    }
    self->interval = interval;
    self->timeout = timeout > 0.0 ? timeout : 0.0;
    return self->server_terminated ? 0 : tc_ws_start_timer(self, TC_WS_NEXT_PING, interval);
}

int
tc_ws_stop_pings(WsProtocolObject *self)
{
    PyObject *name = self->state->str__ping_coroutine;
    PyObject *task = self->dict != NULL ? PyDict_GetItemWithError(self->dict, name) : NULL, *result = NULL;
    if (self->timing != TC_WS_AWAIT_CLOSE) {
        tc_ws_stop_timer(self);
    }
    if (TC_LIKELY(tc_ws_is_none(task))) {
        return task == NULL && PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(task);
    if (PyObject_SetAttr((PyObject *)self, name, Py_None) == 0) {
        result = PyObject_CallMethodNoArgs(task, self->state->str_cancel);
    }
    Py_DECREF(task);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* ---- pongs ---- */

/* args: the Future. The pong that was outstanding has left, or the stream is closed. */
static PyObject *
pong_sent(PyObject *protocol, PyObject *future)
{
    WsProtocolObject *self = (WsProtocolObject *)Py_NewRef(protocol);
    if (self->pong == future) {
        Py_CLEAR(self->pong);
    }
    PyObject *next = self->next_pong, *value;
    self->next_pong = NULL;
    value = PyObject_CallMethodNoArgs(future, self->state->str_result);
    if (value == NULL) {
        PyErr_Clear();
        Py_CLEAR(next);
    }
    Py_XDECREF(value);
    int st = next != NULL ? tc_ws_send_pong(self, next) : 0;
    Py_XDECREF(next);
    Py_DECREF(self);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef pong_sent_def = {"_on_pong_sent", pong_sent, METH_O,
                                    "_on_pong_sent(future, /)\n--\n\nAnswer the latest ping."};

/* Until the Future is done no other pong is written. */
static int
pong_await(WsProtocolObject *self, PyObject *future)
{
    PyObject *callback = PyCFunction_New(&pong_sent_def, (PyObject *)self);
    PyObject *result = callback != NULL
                           ? PyObject_CallMethodOneArg(future, self->state->str_add_done_callback, callback)
                           : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(result);
    if (result != NULL) {
        Py_XSETREF(self->pong, Py_NewRef(future));
    }
    return result != NULL ? 0 : -1;
}

static int
pong_write(WsProtocolObject *self, PyObject *data)
{
    PyObject *sent = tc_ws_frame(self, TC_WS_PONG, data);
    if (sent == NULL) {
        PyObject *cls = self->state->face_StreamClosedError;
        if (cls == NULL || !PyErr_ExceptionMatches(cls)) {
            return -1;
        }
        PyErr_Clear();
        return tc_ws_call_abort(self);
    }
    int st = sent != Py_None && !tc_future_is_done(self->state, sent) ? pong_await(self, sent) : 0;
    Py_DECREF(sent);
    return st;
}

int
tc_ws_send_pong(WsProtocolObject *self, PyObject *data)
{
    if (self->pong != NULL) {
        Py_XSETREF(self->next_pong, Py_NewRef(data));
        return 0;
    }
    Py_CLEAR(self->next_pong);
    if (self->server_terminated) {
        return 0; /* nothing may follow our close frame */
    }
    return pong_write(self, data);
}
