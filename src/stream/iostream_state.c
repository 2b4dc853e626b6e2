/* Whether a stream is open, busy or idle, its close and whom to call then. Runs Python. */
#include "base/args.h"
#include "stream/iostream.h"
#include "stream/stream_linger.h"

/* The exception that close()'s argument stands for: new reference, or NULL for none. */
static PyObject *
stream_exc_info(StreamObject *self, PyObject *exc_info)
{
    if (PyExceptionInstance_Check(exc_info)) {
        return Py_NewRef(exc_info);
    }
    if (PyTuple_Check(exc_info)) {
        PyObject *exc = PyTuple_GET_SIZE(exc_info) == 3 ? PyTuple_GET_ITEM(exc_info, 1) : Py_None;
        return PyExceptionInstance_Check(exc) ? Py_NewRef(exc) : NULL;
    }
    if (PyObject_IsTrue(exc_info) == 1) {
        PyObject *type, *value, *traceback;
        PyErr_GetExcInfo(&type, &value, &traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        if (value == Py_None) {
            Py_CLEAR(value);
        }
        return value;
    }
    return NULL;
}

PyObject *
tc_iostream_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_exc_info};
    PyObject *v[1];
    if (tc_args_parse("close", args, nargs, kwnames, names, 1, 0, v) < 0) {
        return NULL;
    }
    if (self->core == NULL) {
        Py_RETURN_NONE;
    }
    if (tc_core_check_thread(self->core) < 0) {
        return NULL;
    }
    PyObject *exc = v[0] != NULL ? stream_exc_info(self, v[0]) : NULL;
    if (exc == NULL && PyErr_Occurred()) {
        return NULL;
    }
    int st = tc_stream_close(self, exc);
    Py_XDECREF(exc);
    if (st == TC_RAISED) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
tc_iostream_set_close_callback(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_callback};
    PyObject *callback;
    if (tc_args_parse("set_close_callback", args, nargs, kwnames, names, 1, 1, &callback) < 0) {
        return NULL;
    }
    if (tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    callback = tc_arg_or_null(callback);
    if (callback != NULL || self->notices != NULL) {
        PyObject *context;
        if (tc_stream_notices(self) == NULL || tc_context_capture(callback, &context) < 0) {
            return NULL;
        }
        Py_XSETREF(self->notices->closed.callback, Py_XNewRef(callback));
        Py_XSETREF(self->notices->closed.context, context);
    }
    if (tc_stream_update(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static bool
handshake_wants(const StreamObject *self, unsigned event)
{
    return tc_stream_handshaking(self) && self->tls->want == event;
}

PyObject *
tc_iostream_reading(StreamObject *self, PyObject *unused)
{
    tc_stream_forget_cancelled(self);
    return PyBool_FromLong(tc_stream_has_read(self) || handshake_wants(self, TC_READ));
}

PyObject *
tc_iostream_writing(StreamObject *self, PyObject *unused)
{
    /* Corked bytes do not wait for the descriptor. */
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    return PyBool_FromLong(!self->closed && tc_stream_unsent(self) > 0);
}

PyObject *
tc_iostream_closed(StreamObject *self, PyObject *unused)
{
    return PyBool_FromLong(self->closed);
}

PyObject *
tc_iostream_set_nodelay(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_value};
    PyObject *value;
    if (tc_args_parse("set_nodelay", args, nargs, kwnames, names, 1, 1, &value) < 0) {
        return NULL;
    }
    int on = PyObject_IsTrue(value);
    if (on < 0 || tc_stream_check_ready(self) < 0 || tc_stream_set_nodelay(self, on) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
tc_iostream_check_closed(StreamObject *self, PyObject *unused)
{
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
tc_iostream_is_idle(StreamObject *self, PyObject *unused)
{
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    /* Bytes were read ahead to notice the peer's end. A handshake's are for start_tls(); in the middle of a
     * delivery that cannot be known. */
    bool unread = self->buf_len > 0 && (self->reading_event || self->buf[self->buf_off] != TC_TLS_HANDSHAKE);
    bool busy = self->closed || self->connecting || !tc_stream_is_free(self) || unread ||
                tc_stream_unsent(self) > 0 || (self->writes != NULL && self->writes->nwaiters > 0);
    return PyBool_FromLong(!busy);
}

PyObject *
tc_iostream_linger(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_linger", nargs, 2, 2) < 0) {
        return NULL;
    }
    double seconds = PyFloat_AsDouble(args[0]);
    Py_ssize_t size = PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], NULL);
    if ((size == -1 && PyErr_Occurred()) || tc_stream_check_ready(self) < 0 ||
        tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    int lingers = tc_stream_linger(self, seconds, size);
    return lingers < 0 ? NULL : PyBool_FromLong(lingers);
}

PyObject *
tc_iostream_has_arrived(StreamObject *self, PyObject *unused)
{
    return PyBool_FromLong(tc_stream_has_arrived(self));
}

PyObject *
tc_iostream_has_unread(StreamObject *self, PyObject *unused)
{
    return PyBool_FromLong(tc_stream_has_unread(self));
}

PyObject *
tc_iostream_leave(StreamObject *self, PyObject *unused)
{
    if (self->consumer == NULL || self->consumer_class->leave == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *consumer = Py_NewRef(self->consumer);
    int st = self->consumer_class->leave(consumer);
    Py_DECREF(consumer);
    return st < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
tc_iostream_call_later(StreamObject *self, PyObject *callback)
{
    if (self->core == NULL) {
        return tc_stream_check_ready(self) < 0 ? NULL : Py_NewRef(Py_None);
    }
    return tc_stream_call(self, callback, NULL, NULL) < 0 ? NULL : Py_NewRef(Py_None);
}
