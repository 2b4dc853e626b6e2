/* IOStream's write methods, in both generations of the interface: with a callback they return None, else a
 * Future. The sending itself is in stream_write.c. Runs Python. */
#include "base/future.h"
#include "base/args.h"
#include "stream/iostream.h"

#include <sys/stat.h>

/* Any other buffer is only borrowed: a large one is kept by reference while it has to wait, and cannot be
 * resized until then. */
static int
write_buffer(StreamObject *self, PyObject *data)
{
    /* One request only: an object may give other memory each time. */
    PyObject *owner = PyMemoryView_FromObject(data);
    Py_buffer view;
    if (owner == NULL || PyObject_GetBuffer(owner, &view, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(owner);
        return TC_RAISED;
    }
    int st = tc_stream_write(self, view.buf, (size_t)view.len, owner);
    PyBuffer_Release(&view);
    Py_DECREF(owner);
    return st;
}

static int
write_object(StreamObject *self, PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return tc_stream_write(self, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), data);
    }
    if (PyUnicode_Check(data)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(data, &size);
        return text != NULL ? tc_stream_write(self, text, (size_t)size, NULL) : TC_RAISED;
    }
    return write_buffer(self, data);
}

static Py_ssize_t
data_size(PyObject *data)
{
    if (PyBytes_CheckExact(data)) {
        return PyBytes_GET_SIZE(data);
    }
    if (PyUnicode_Check(data)) {
        Py_ssize_t size;
        return PyUnicode_AsUTF8AndSize(data, &size) != NULL ? size : -1;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    Py_ssize_t size = view.len;
    PyBuffer_Release(&view);
    return size;
}

/* Bytes in memory that wait to be sent; those of files take none. */
static size_t
bytes_held(const StreamObject *self)
{
    return tc_stream_unsent(self) - (self->writes != NULL ? self->writes->buffer->file_size : 0);
}

PyObject *
tc_stream_written(StreamObject *self, PyObject *callback, PyObject *error)
{
    if (!self->closed) {
        return tc_stream_wait_written_or(self, callback, error);
    }
    /* The peer is gone: a Future says so, a callback is never called. */
    if (callback != NULL) {
        Py_RETURN_NONE;
    }
    PyObject *exc = error != NULL ? PyObject_CallNoArgs(error) : tc_stream_closed_error(self);
    PyObject *future = exc != NULL ? tc_core_future(self->core) : NULL;
    if (future != NULL) {
        tc_future_fail_quietly(self->state, future, exc);
    }
    Py_XDECREF(exc);
    return future;
}

int
tc_stream_check_room(StreamObject *self, size_t size)
{
    size_t max = (size_t)self->max_write_buffer_size;
    if (size + bytes_held(self) > max && tc_stream_flush(self) == TC_RAISED) {
        return -1;
    }
    if (size + bytes_held(self) > max) {
        PyObject *cls = tc_face(self->state, StreamBufferFullError);
        if (cls != NULL) {
            PyErr_SetString(cls, "Reached maximum write buffer size");
        }
        return -1;
    }
    return 0;
}

/* The same for data of Python's. */
static int
check_room(StreamObject *self, PyObject *data)
{
    Py_ssize_t size = data_size(data);
    return size < 0 ? -1 : tc_stream_check_room(self, (size_t)size);
}

/* A write counts as sent when its Future is done. */
static int
send_joined(StreamObject *self)
{
    if (TC_LIKELY(self->cork == NULL)) {
        return TC_OK;
    }
    return self->train != NULL && self->train->corked ? tc_stream_end_train(self) : tc_stream_flush(self);
}

PyObject *
tc_iostream_write(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_data, state->str_callback};
    PyObject *v[2] = {nargs > 0 ? args[0] : NULL, NULL};
    if (tc_stream_check_ready(self) < 0) {
        return NULL;
    }
    if (!(nargs == 1 && kwnames == NULL) &&
        tc_args_parse("write", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    if (self->max_write_buffer_size >= 0 && check_room(self, v[0]) < 0) {
        return NULL;
    }
    PyObject *callback = tc_arg_or_null(v[1]);
    bool joins = callback == NULL && tc_train_write(self);
    if (write_object(self, v[0]) == TC_RAISED) {
        return NULL;
    }
    if (!joins && send_joined(self) == TC_RAISED) {
        return NULL;
    }
    return tc_stream_written(self, callback, NULL);
}

/* ---- files ---- */

/* How many bytes of the file are meant. 0, or -1 with an exception. */
static int
file_range(int fd, PyObject *offset, PyObject *count, Py_ssize_t *start, Py_ssize_t *size)
{
    *start = offset != NULL ? PyNumber_AsSsize_t(offset, PyExc_OverflowError) : 0;
    *size = count != NULL && !PyErr_Occurred() ? PyNumber_AsSsize_t(count, PyExc_OverflowError) : 0;
    if (PyErr_Occurred()) {
        return -1;
    }
    if (*start < 0 || *size < 0) {
        PyErr_SetString(PyExc_ValueError, "offset and count must not be negative");
        return -1;
    }
    if (count == NULL) {
        struct stat status;
        if (fstat(fd, &status) < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        *size = status.st_size > *start ? (Py_ssize_t)(status.st_size - *start) : 0;
    }
    return 0;
}

PyObject *
tc_iostream_sendfile(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_file, state->str_offset, state->str_count};
    PyObject *v[3];
    if (tc_stream_check_ready(self) < 0 ||
        tc_args_parse("sendfile", args, nargs, kwnames, names, 3, 1, v) < 0) {
        return NULL;
    }
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    Py_ssize_t start, size;
    int fd = PyObject_AsFileDescriptor(v[0]);
    if (fd < 0 || file_range(fd, tc_arg_or_null(v[1]), tc_arg_or_null(v[2]), &start, &size) < 0) {
        return NULL;
    }
    if (!self->closed && /* fileno() may have done that */
        tc_stream_write_file(self, v[0], fd, (size_t)start, (size_t)size) == TC_RAISED) {
        return NULL;
    }
    return tc_stream_written(self, NULL, NULL);
}
