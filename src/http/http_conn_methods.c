/* The Python methods of a connection, those of 2.x-4.x's HTTPConnection and those of 6.x's interface. Run
 * Python. */
#include "base/args.h"
#include "base/future.h"
#include "event/stack.h"
#include "http/http_conn_parts.h"
#include "stream/stream_linger.h"

/* ---- writing ---- */

PyDoc_STRVAR(conn_write_headers_doc,
             "write_headers($self, start_line, headers, chunk=None, callback=None)\n--\n\n"
             "Write the status line, the HTTPHeaders and a first piece of body.\n\n"
             "Connection and Transfer-Encoding are added to headers as needed.\n\n"
             ":returns: a Future for flow control.\n"
             ":raises ValueError: there is CR or LF in a line.\n"
             ":raises HTTPOutputError: the piece is beyond Content-Length.");

static PyObject *
conn_write_headers(HttpConnObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_start_line, state->str_headers, state->str_chunk,
                               state->str_callback};
    PyObject *v[4];
    if (tc_args_parse("write_headers", args, nargs, kwnames, names, 4, 2, v) < 0) {
        return NULL;
    }
    if (!PyTuple_Check(v[0]) || PyTuple_GET_SIZE(v[0]) != 3) {
        return PyErr_Format(PyExc_TypeError, "start_line must be a ResponseStartLine, not %.100s",
                            Py_TYPE(v[0])->tp_name);
    }
    PyObject *chunk = tc_arg_or_null(v[2]) != NULL ? tc_http_chunk(v[2], true) : NULL;
    if (chunk == NULL && PyErr_Occurred()) {
        return NULL;
    }
    int st = tc_http_conn_write_head(self, PyTuple_GET_ITEM(v[0], 1), PyTuple_GET_ITEM(v[0], 2), v[1], chunk);
    Py_XDECREF(chunk);
    /* A head alone waits for the first piece of its body. */
    if (st < 0 ||
        (tc_arg_or_null(v[2]) != NULL && tc_http_conn_flush(self, tc_arg_or_null(v[3]) == NULL) < 0)) {
        return NULL;
    }
    if (tc_arg_or_null(v[3]) != NULL && !self->stream->closed) {
        return tc_stream_wait_written_apart(self->stream, v[3]);
    }
    return tc_http_conn_written(self);
}

PyDoc_STRVAR(conn_write_doc,
             "write($self, chunk, callback=None)\n--\n\n"
             "Write a piece of body, or, without write_headers() before it, raw bytes of the response.\n\n"
             "Returns a Future for flow control; callback() is called when everything is sent.");

static PyObject *
conn_write(HttpConnObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_chunk, self->state->str_callback};
    PyObject *v[2];
    if (tc_args_parse("write", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    PyObject *callback = tc_arg_or_null(v[1]);
    if (tc_http_conn_write_raw(self, v[0], callback) < 0) {
        return NULL;
    }
    if (callback != NULL) {
        Py_RETURN_NONE;
    }
    return tc_http_conn_flush(self, true) < 0 ? NULL : tc_http_conn_written(self);
}

PyDoc_STRVAR(conn_write_file_doc,
             "_write_file($self, file, offset, count, /)\n--\n\n"
             "Write a range of a file as a piece of body. Returns a Future for flow control.");

static PyObject *
conn_write_file(HttpConnObject *self, PyObject *args)
{
    PyObject *file;
    Py_ssize_t offset, count;
    if (!PyArg_ParseTuple(args, "Onn:_write_file", &file, &offset, &count)) {
        return NULL;
    }
    if (offset < 0 || count < 0) {
        PyErr_SetString(PyExc_ValueError, "offset and count must not be negative");
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(file);
    if (fd < 0 || tc_http_conn_write_file(self, file, fd, (size_t)offset, (size_t)count) < 0) {
        return NULL;
    }
    return tc_http_conn_written(self);
}

PyDoc_STRVAR(conn_finish_doc, "finish($self, /)\n--\n\n"
                              "End the response.\n\n"
                              ":raises HTTPOutputError: it is short of Content-Length.");

static PyObject *
conn_finish(HttpConnObject *self, PyObject *unused)
{
    if (tc_http_conn_finish(self, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(conn_close_doc,
             "close($self, /)\n--\n\n"
             "Close the connection. It may be awaited, as that of a server connection of Tornado's.");

static PyObject *
conn_close(HttpConnObject *self, PyObject *unused)
{
    if (tc_http_conn_close(self) < 0) {
        return NULL;
    }
    LoopCore *core = tc_http_conn_core(self);
    if (core == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *done = core->done_future != NULL ? Py_NewRef(core->done_future) : tc_core_future(core);
    if (done != NULL && core->done_future == NULL) {
        tc_future_resolve_new(self->state, done, Py_None);
    }
    return done;
}

PyDoc_STRVAR(
    conn_cut_short_doc,
    "_cut_short($self, /)\n--\n\n"
    "Have a chunked response end without its last chunk, and the connection with it.\n\n"
    "For a response that failed half-way: it must not look complete. finish() is still to be called.");

static PyObject *
conn_cut_short(HttpConnObject *self, PyObject *unused)
{
    tc_http_frame_cut(&self->frame);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(conn_drain_doc, "_drain($self, /)\n--\n\n"
                             "Close the connection if it has been idle since the last call.\n\n"
                             "Any other ends with a response that says so.");

static PyObject *
conn_drain(HttpConnObject *self, PyObject *unused)
{
    if (self->reading == CONN_HEAD && self->stream != NULL && self->stream->buf_len == 0) {
        if (self->seen_idle && !tc_stream_has_arrived(self->stream) && tc_http_conn_close(self) < 0) {
            return NULL;
        }
        self->seen_idle = true;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(conn_set_close_callback_doc,
             "set_close_callback($self, callback)\n--\n\n"
             "Call callback() if the client goes away before its response is complete. None takes it back.");

static PyObject *
conn_set_close_callback(HttpConnObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_callback};
    PyObject *callback;
    if (tc_args_parse("set_close_callback", args, nargs, kwnames, names, 1, 1, &callback) < 0) {
        return NULL;
    }
    if (callback != Py_None && !PyCallable_Check(callback)) {
        return PyErr_Format(PyExc_TypeError, "callback must be callable or None, not %.100s",
                            Py_TYPE(callback)->tp_name);
    }
    callback = tc_stack_follow(self->state, tc_arg_or_null(callback));
    int st = callback != NULL || !PyErr_Occurred() ? tc_http_conn_set_close_callback(self, callback) : -1;
    Py_XDECREF(callback);
    return st < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(
    conn_set_max_body_size_doc,
    "set_max_body_size($self, max_body_size, /)\n--\n\n"
    "Set the maximum size of the body, in bytes, for this message, while its body is still to come.");

static PyObject *
conn_set_max_body_size(HttpConnObject *self, PyObject *value)
{
    double size = PyFloat_AsDouble(value);
    if (size == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t bytes = size > 0 ? size < 9e15 ? (uint64_t)size : UINT64_MAX : 0;
    return tc_http_conn_set_max_body_size(self, bytes) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(conn_set_body_timeout_doc,
             "set_body_timeout($self, timeout, /)\n--\n\n"
             "Set the body's time limit, in seconds, for this message, while its body is still to come.");

static PyObject *
conn_set_body_timeout(HttpConnObject *self, PyObject *value)
{
    double seconds = value != Py_None ? PyFloat_AsDouble(value) : -1.0;
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (value != Py_None && !(seconds > 0.0)) {
        seconds = 0.0;
    }
    return tc_http_conn_set_body_timeout(self, seconds) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(conn_body_limit_doc, "_body_limit($self, /)\n--\n\n"
                                  "The maximum size of the current message's body, in bytes.");

static PyObject *
conn_body_limit(HttpConnObject *self, PyObject *unused)
{
    bool attached = self->config != NULL && self->stream != NULL;
    return PyLong_FromUnsignedLongLong(attached ? tc_http_conn_body_limit(self) : 0);
}

PyDoc_STRVAR(conn_detach_doc, "detach($self, /)\n--\n\n"
                              "Hand over the stream and end HTTP on it. Returns the IOStream.");

static PyObject *
conn_detach(HttpConnObject *self, PyObject *unused)
{
    return (PyObject *)tc_http_conn_detach(self);
}

/* ---- set-up ---- */

PyDoc_STRVAR(conn_attach_doc, "_attach($self, config, stream, address, /)\n--\n\n"
                              "Serve HTTP on a stream; called by __init__ and HTTPServer.");

static PyObject *
conn_attach(HttpConnObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_attach", nargs, 3, 3) < 0) {
        return NULL;
    }
    if (!PyObject_TypeCheck(args[0], self->state->http_config_type) ||
        !PyObject_TypeCheck(args[1], self->state->stream_type)) {
        return PyErr_Format(PyExc_TypeError, "expected an HTTPConfig and an IOStream, got %.100s and %.100s",
                            Py_TYPE(args[0])->tp_name, Py_TYPE(args[1])->tp_name);
    }
    if (self->stream != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the connection has a stream already");
        return NULL;
    }
    StreamObject *stream = (StreamObject *)args[1];
    if (!tc_stream_is_free(stream) || stream->consumer != NULL) {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
        return NULL;
    }
    Py_XSETREF(self->config, (HttpConfigObject *)Py_NewRef(args[0]));
    Py_XSETREF(self->stream, (StreamObject *)Py_NewRef(args[1]));
    if (args[2] != Py_None) {
        if (tc_http_conn_set_address(self, args[2]) < 0) {
            return NULL;
        }
    }
    if (tc_http_conn_start(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(conn_feed_doc, "_feed($self, data, /)\n--\n\n"
                            "Handle bytes as if they had come from the client; returns how many were used.");

static PyObject *
conn_feed(HttpConnObject *self, PyObject *data)
{
    char *bytes;
    Py_ssize_t size, used = 0;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0) {
        return NULL;
    }
    if (!tc_http_conn_is_over(self) && self->stream != NULL && !self->dispatching) {
        tc_cork cork;
        StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
        bool corked = tc_stream_cork(stream, &cork);
        do { /* all of it, however many requests that is */
            tc_train_begin(stream);
            tc_train_go_on(stream);
            Py_ssize_t n = tc_http_conn_feed(self, bytes + used, (size_t)(size - used));
            used = n < 0 ? n : used + n;
        } while (used >= 0 && used < size && tc_train_waits(stream));
        if (corked && tc_stream_uncork(stream) == TC_RAISED) {
            used = TC_CONSUMER_RAISED;
        }
        Py_DECREF(stream);
        self->parser.scanned = 0; /* unused bytes are not kept */
    }
    return used == TC_CONSUMER_RAISED ? NULL : PyLong_FromSsize_t(used);
}

PyMethodDef tc_http_conn_methods[] = {
    {"write_headers", TC_METHOD(conn_write_headers), conn_write_headers_doc},
    {"write", TC_METHOD(conn_write), conn_write_doc},
    {"finish", (PyCFunction)conn_finish, METH_NOARGS, conn_finish_doc},
    {"close", (PyCFunction)conn_close, METH_NOARGS, conn_close_doc},
    {"set_close_callback", TC_METHOD(conn_set_close_callback), conn_set_close_callback_doc},
    {"set_max_body_size", (PyCFunction)conn_set_max_body_size, METH_O, conn_set_max_body_size_doc},
    {"set_body_timeout", (PyCFunction)conn_set_body_timeout, METH_O, conn_set_body_timeout_doc},
    {"detach", (PyCFunction)conn_detach, METH_NOARGS, conn_detach_doc},
    {"_body_limit", (PyCFunction)conn_body_limit, METH_NOARGS, conn_body_limit_doc},
    {"_write_file", (PyCFunction)conn_write_file, METH_VARARGS, conn_write_file_doc},
    {"_cut_short", (PyCFunction)conn_cut_short, METH_NOARGS, conn_cut_short_doc},
    {"_drain", (PyCFunction)conn_drain, METH_NOARGS, conn_drain_doc},
    {"_feed", (PyCFunction)conn_feed, METH_O, conn_feed_doc},
    {"_attach", TC_FASTCALL(conn_attach), conn_attach_doc},
    {NULL, NULL, 0, NULL},
};
