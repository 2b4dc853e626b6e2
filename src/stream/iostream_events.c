/* Methods of Tornado's streams that applications call for themselves: an event is handled, an interest added,
 * a read tried, bytes taken from the buffer. Runs Python. */
#include "base/log.h"
#include "base/raise.h"
#include "base/args.h"
#include "stream/iostream.h"

PyObject *
tc_iostream_handle_events(StreamObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_handle_events", nargs, 2, 2) < 0 || tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    long events = PyLong_AsLong(args[1]);
    if (events == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (self->closed) {
        tc_log(self->state, "general", "warning", "Got events for closed stream %S", args[0]);
        Py_RETURN_NONE;
    }
    return self->watcher.cb(&self->watcher, (unsigned)events) == TC_RAISED ? NULL : Py_NewRef(Py_None);
}

PyObject *
tc_iostream_handle_read(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0
               ? NULL
               : tc_iostream_none_after(self, self->closed ? TC_OK : tc_stream_readable(self));
}

PyObject *
tc_iostream_handle_write(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0
               ? NULL
               : tc_iostream_none_after(self, self->closed ? TC_OK : tc_stream_writable(self));
}

PyObject *
tc_iostream_add_io_state(StreamObject *self, PyObject *state)
{
    long events = PyLong_AsLong(state);
    if ((events == -1 && PyErr_Occurred()) || tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    self->asked |= (uint8_t)((unsigned)events & (TC_READ | TC_WRITE));
    return tc_iostream_none_after(self, TC_OK);
}

PyObject *
tc_iostream_try_inline_read(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0 || tc_stream_inline_read(self) == TC_RAISED ? NULL
                                                                                       : Py_NewRef(Py_None);
}

PyObject *
tc_iostream_maybe_add_error_listener(StreamObject *self, PyObject *unused)
{
    return tc_stream_check_ready(self) < 0 ? NULL : tc_iostream_none_after(self, TC_OK);
}

PyObject *
tc_iostream_consume(StreamObject *self, PyObject *arg)
{
    Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size < 0 || (size_t)size > self->buf_len || self->reading_event) {
        return PyErr_Format(PyExc_AssertionError, "cannot take %zd of %zu buffered bytes", size,
                            self->buf_len);
    }
    PyObject *bytes = PyBytes_FromStringAndSize(self->buf != NULL ? self->buf + self->buf_off : NULL, size);
    if (bytes != NULL) {
        tc_stream_consume(self, (size_t)size);
    }
    return bytes;
}

PyObject *
tc_iostream_is_connreset(StreamObject *self, PyObject *exc)
{
    return PyBool_FromLong(tc_error_is_connreset(self->state, exc));
}
