/* The methods of WebSocketProtocolBase: those of Tornado's WebSocketProtocol13 under their names, and _watch()
 * and _start(), with which the stream is taken over. Runs Python. */
#include "base/args.h"
#include "ws/ws_parts.h"

static PyObject *
none_after(int st)
{
    return st < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the stream ---- */

/* Becomes the consumer of self.stream; false where it cannot, with or without an exception. */
static bool
take_stream(WsProtocolObject *self)
{
    StreamObject *stream = tc_ws_stream(self);
    if (stream == NULL) {
        PyErr_Format(PyExc_TypeError, "stream must be an IOStream, not %.100s",
                     Py_TYPE(self->stream != NULL ? self->stream : Py_None)->tp_name);
        return false;
    }
    if (tc_core_check_thread(stream->core) < 0 || stream->closed) {
        return false;
    }
    if (self->source != NULL) {
        return self->source == stream;
    }
    tc_stream_forget_cancelled(stream);
    if (stream->consumer != NULL || tc_stream_is_reading(stream)) {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
        return false;
    }
    self->source = (StreamObject *)Py_NewRef((PyObject *)stream);
    return tc_stream_set_consumer(stream, &tc_ws_consumer, (PyObject *)self) != TC_RAISED;
}

static PyObject *
ws_watch(WsProtocolObject *self, PyObject *unused)
{
    if (self->source != NULL || self->over) {
        Py_RETURN_NONE;
    }
    if (take_stream(self)) {
        tc_stream_pause(self->source);
        return none_after(tc_stream_update(self->source));
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    self->over = true;
    Py_RETURN_NONE;
}

static PyObject *
ws_start(WsProtocolObject *self, PyObject *unused)
{
    if (self->started) {
        Py_RETURN_NONE;
    }
    if (tc_ws_is_none(self->context) || self->early_context) {
        PyObject *context = PyContext_CopyCurrent();
        if (context == NULL) {
            return NULL;
        }
        Py_XSETREF(self->context, context);
    }
    bool taken = !self->over && take_stream(self);
    if (!taken && PyErr_Occurred()) {
        return NULL;
    }
    self->started = true;
    if (!taken || self->client_terminated) {
        return none_after(tc_ws_notify_over(self));
    }
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->source);
    tc_stream_resume(stream);
    int st = tc_stream_update(stream);
    Py_DECREF(stream);
    return none_after(st);
}

static PyObject *
ws_serve(WsProtocolObject *self, PyObject *unused)
{
    PyObject *result = ws_start(self, NULL);
    StreamObject *stream = result != NULL ? tc_ws_stream(self) : NULL;
    if (stream != NULL && !stream->core->closed && !self->told && !tc_list_linked(&self->open)) {
        LoopCore *core = (LoopCore *)Py_NewRef((PyObject *)stream->core);
        if (tc_ws_loop_enter(core, self) < 0) {
            PyErr_WriteUnraisable((PyObject *)self); /* the connection works without */
        }
        Py_DECREF(core);
    }
    return result;
}

static PyObject *
ws_notify_cancelled(WsProtocolObject *self, PyObject *unused)
{
    return none_after(tc_ws_notify_cancelled(self));
}

static PyObject *
ws_set_nodelay(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_x}, *value;
    if (tc_args_parse("set_nodelay", args, nargs, kwnames, names, 1, 1, &value) < 0) {
        return NULL;
    }
    PyObject *stream = Py_NewRef(self->stream != NULL ? self->stream : Py_None);
    PyObject *result = PyObject_CallMethodOneArg(stream, self->state->str_set_nodelay, value);
    Py_DECREF(stream);
    return result;
}

/* ---- frames ---- */

static PyObject *
ws_write_ping(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_data}, *data;
    if (tc_args_parse("write_ping", args, nargs, kwnames, names, 1, 1, &data) < 0) {
        return NULL;
    }
    if (!PyBytes_Check(data)) {
        PyErr_SetNone(PyExc_AssertionError);
        return NULL;
    }
    int closed = self->server_terminated ? tc_ws_is_closed(self) : 1;
    if (closed <= 0) { /* nothing may follow our close frame */
        return closed < 0 ? NULL : none_after(tc_ws_raise_closed(self));
    }
    PyObject *sent = tc_ws_frame(self, TC_WS_PING, data);
    Py_XDECREF(sent);
    return none_after(sent != NULL ? 0 : -1);
}

static PyObject *
ws_handle_message(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_opcode, self->state->str_data}, *v[2];
    if (tc_args_parse("_handle_message", args, nargs, kwnames, names, 2, 2, v) < 0) {
        return NULL;
    }
    long opcode = PyLong_AsLong(v[0]);
    PyObject *data = opcode == -1 && PyErr_Occurred() ? NULL : PyBytes_FromObject(v[1]);
    if (data == NULL) {
        return NULL;
    }
    PyObject *result = tc_ws_handle_visibly(self, (unsigned)opcode, data);
    Py_DECREF(data);
    if (result != NULL && self->over && tc_ws_notify_soon(self) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* ---- callbacks ---- */

static PyObject *
ws_run_callback(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError,
                        "_run_callback() missing 1 required positional argument: 'callback'");
        return NULL;
    }
    return tc_ws_run_callback(self, args[0], args + 1, (size_t)(nargs - 1) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                              kwnames);
}

/* ---- closing ---- */

static PyObject *
ws_close(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_code, self->state->str_reason}, *v[2];
    if (tc_args_parse("close", args, nargs, kwnames, names, 2, 0, v) < 0) {
        return NULL;
    }
    return none_after(tc_ws_close(self, v[0] != NULL ? v[0] : Py_None, v[1] != NULL ? v[1] : Py_None));
}

static PyObject *
ws_is_closing(WsProtocolObject *self, PyObject *unused)
{
    int closed = tc_ws_is_none(self->stream) ? 0 : tc_ws_is_closed(self); /* before the handshake it is not */
    return closed < 0 ? NULL : PyBool_FromLong(closed || self->client_terminated || self->server_terminated);
}

static PyObject *
ws_abort(WsProtocolObject *self, PyObject *unused)
{
    return none_after(tc_ws_abort(self));
}

static PyObject *
ws_on_connection_close(WsProtocolObject *self, PyObject *unused)
{
    return none_after(tc_ws_call_abort(self));
}

static PyObject *
ws_start_pinging(WsProtocolObject *self, PyObject *unused)
{
    return none_after(tc_ws_start_pinging(self));
}

/* ---- the table ---- */

PyDoc_STRVAR(ws_watch_doc, "_watch($self, /)\n--\n\n"
                           "Own the stream from now on, and notice its end, but read nothing yet.");

PyDoc_STRVAR(ws_start_doc, "_start($self, /)\n--\n\n"
                           "Deliver messages from now on; notify the handler if the stream is closed.\n\n"
                           ":raises TypeError: the attribute ``stream`` is no IOStream.\n"
                           ":raises AssertionError: somebody reads it.");

PyDoc_STRVAR(ws_serve_doc,
             "_serve($self, /)\n--\n\n"
             "The same, for a connection without a Task of its own: it is aborted when that of\n"
             "the loop's connections is cancelled.");

PyDoc_STRVAR(ws_notify_cancelled_doc, "_notify_cancelled($self, /)\n--\n\n"
                                      "Notify the handler of the end now: the Task was cancelled.");

PyDoc_STRVAR(ws_wait_closed_doc, "_wait_closed($self, /)\n--\n\n"
                                 "Return a Future that is done once the handler was notified of the end.");

PyDoc_STRVAR(ws_write_message_doc,
             "write_message($self, message, binary=False)\n--\n\n"
             "Send a message.\n\n"
             ":param message: a str, bytes or another buffer, which is copied; a dict is sent as JSON.\n"
             ":param binary: send it as binary, not as text.\n"
             ":returns: a Future that is done when the message is sent.\n"
             ":raises WebSocketClosedError: the connection is closed or closing; also through the Future.");

PyDoc_STRVAR(ws_write_ping_doc, "write_ping($self, data)\n--\n\nSend a ping (bytes, 125 at most).\n\n"
                                ":raises WebSocketClosedError: our close frame was sent.");

PyDoc_STRVAR(ws_write_frame_doc,
             "_write_frame($self, fin, opcode, data, flags=0)\n--\n\n"
             "Send a frame.\n\n"
             ":returns: a Future that is done when it is sent.\n"
             ":raises ValueError: a control frame of more than 125 bytes, or a fragment of one.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(ws_handle_message_doc, "_handle_message($self, opcode, data)\n--\n\n"
                                    "Take a message or a control frame.\n\n"
                                    ":returns: a Future, where the next one must wait, or None.");

PyDoc_STRVAR(ws_run_callback_doc, "_run_callback($self, callback, /, *args, **kwargs)\n--\n\n"
                                  "Call a callback; its exceptions are logged and abort the connection.\n\n"
                                  ":returns: a Future, where it has returned an awaitable, or None.");

PyDoc_STRVAR(ws_close_doc, "close($self, code=None, reason=None)\n--\n\n"
                           "Begin or complete the closing handshake.\n\n"
                           ":param code: a reason without one makes it 1000.");

PyDoc_STRVAR(ws_is_closing_doc, "is_closing($self, /)\n--\n\n"
                                "Whether either side has begun to close, or the stream is closed.");

PyDoc_STRVAR(ws_abort_doc, "_abort($self, /)\n--\n\nClose the stream at once.");

PyDoc_STRVAR(ws_on_connection_close_doc, "on_connection_close($self, /)\n--\n\nThe same.");

PyDoc_STRVAR(ws_set_nodelay_doc, "set_nodelay($self, x)\n--\n\nTurn TCP_NODELAY on or off.");

PyDoc_STRVAR(ws_start_pinging_doc, "start_pinging($self, /)\n--\n\n"
                                   "Send pings at the interval that ping_interval says, if it is positive.");

PyMethodDef tc_ws_methods[] = {
    {"_abort", (PyCFunction)ws_abort, METH_NOARGS, ws_abort_doc},
    {"_handle_message", TC_METHOD(ws_handle_message), ws_handle_message_doc},
    {"_notify_cancelled", (PyCFunction)ws_notify_cancelled, METH_NOARGS, ws_notify_cancelled_doc},
    {"_run_callback", TC_METHOD(ws_run_callback), ws_run_callback_doc},
    {"_serve", (PyCFunction)ws_serve, METH_NOARGS, ws_serve_doc},
    {"_start", (PyCFunction)ws_start, METH_NOARGS, ws_start_doc},
    {"_wait_closed", (PyCFunction)tc_ws_wait_closed, METH_NOARGS, ws_wait_closed_doc},
    {"_watch", (PyCFunction)ws_watch, METH_NOARGS, ws_watch_doc},
    {"_write_frame", TC_METHOD(tc_ws_write_frame), ws_write_frame_doc},
    {"close", TC_METHOD(ws_close), ws_close_doc},
    {"is_closing", (PyCFunction)ws_is_closing, METH_NOARGS, ws_is_closing_doc},
    {"on_connection_close", (PyCFunction)ws_on_connection_close, METH_NOARGS, ws_on_connection_close_doc},
    {"set_nodelay", TC_METHOD(ws_set_nodelay), ws_set_nodelay_doc},
    {"start_pinging", (PyCFunction)ws_start_pinging, METH_NOARGS, ws_start_pinging_doc},
    {"write_message", TC_METHOD(tc_ws_write_message), ws_write_message_doc},
    {"write_ping", TC_METHOD(ws_write_ping), ws_write_ping_doc},
    {NULL, NULL, 0, NULL},
};
