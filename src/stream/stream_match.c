/* Pending reads of Python's: what satisfies one, and who gets the bytes. Runs Python: Futures, patterns,
 * close. */
#define _GNU_SOURCE
#include "base/future.h"
#include "base/log.h"
#include "stream/stream_parts.h"

bool
tc_stream_is_reading(const StreamObject *self)
{
    return tc_stream_has_read(self);
}

void
tc_read_clear(tc_read *read)
{
    read->kind = TC_READ_NONE;
    Py_CLEAR(read->pattern);
    Py_CLEAR(read->streaming);
    tc_waiter_clear(&read->waiter);
    if (TC_UNLIKELY(read->view != NULL)) {
        PyBuffer_Release(read->view);
        PyMem_Free(read->view);
        read->view = NULL;
    }
}

/* ---- cancelled ones ---- */

bool
tc_read_is_over(const StreamObject *self)
{
    const tc_read *read = self->read;
    return !read->unseen && read->waiter.future != NULL &&
           tc_future_is_done(self->state, read->waiter.future);
}

void
tc_stream_forget_cancelled(StreamObject *self)
{
    if (!tc_stream_has_read(self) || !tc_read_is_over(self)) {
        return;
    }
    tc_read *read = self->read;
    /* Without its view it is being received into, and the receiver handles these bytes. */
    if (read->kind == TC_READ_INTO && read->filled > 0 && read->view != NULL) {
        if (self->reading_event) {
            return; /* the buffer is in use; the next call does it */
        }
        if (tc_stream_unread(self, read->view->buf, (size_t)read->filled) == TC_RAISED) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
    }
    tc_read gone = *read;
    memset(read, 0, sizeof(*read));
    tc_read_clear(&gone);
}

bool
tc_stream_is_free(StreamObject *self)
{
    tc_stream_forget_cancelled(self);
    if (tc_stream_has_read(self)) {
        return false;
    }
    return self->consumer == NULL || self->consumer_class->lends(self->consumer);
}

static PyObject *
read_into_done(PyObject *stream, PyObject *future)
{
    StreamObject *self = (StreamObject *)stream;
    if (tc_stream_has_read(self) && self->read->waiter.future == future) {
        tc_stream_forget_cancelled(self);
    }
    Py_RETURN_NONE;
}

static PyMethodDef read_into_done_def = {"read_into_done", read_into_done, METH_O, NULL};

int
tc_read_watch_into(StreamObject *self)
{
    PyObject *callback = PyCFunction_New(&read_into_done_def, (PyObject *)self);
    PyObject *result = callback != NULL
                           ? PyObject_CallMethodOneArg(self->read->waiter.future,
                                                       self->state->str_add_done_callback, callback)
                           : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(result);
    return result != NULL ? TC_OK : TC_RAISED;
}

/* ---- what satisfies it ---- */

static Py_ssize_t
find_over_limit(const tc_read *read, size_t size)
{
    return read->max_bytes >= 0 && size > (size_t)read->max_bytes ? TC_FIND_UNSATISFIABLE : TC_FIND_MORE;
}

static Py_ssize_t
find_delimiter(tc_read *read, const char *data, size_t size)
{
    size_t length = (size_t)PyBytes_GET_SIZE(read->pattern);
    size_t from = read->scanned > length ? read->scanned - length : 0;
    if (size >= length && size > from) {
        const char *hit = memmem(data + from, size - from, PyBytes_AS_STRING(read->pattern), length);
        if (hit != NULL) {
            size_t end = (size_t)(hit - data) + length;
            return find_over_limit(read, end) == TC_FIND_MORE ? (Py_ssize_t)end : TC_FIND_UNSATISFIABLE;
        }
    }
    read->scanned = size;
    return find_over_limit(read, size);
}

/* Runs pattern.search over a copy. */
static Py_ssize_t
find_regex(StreamObject *self, const char *data, size_t size)
{
    if (size == 0) {
        return TC_FIND_MORE;
    }
    /* A signal's handler may close the stream during a long search. */
    PyObject *pattern = Py_NewRef(self->read->pattern);
    PyObject *copy = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *match = copy != NULL ? PyObject_CallMethodOneArg(pattern, self->state->str_search, copy) : NULL;
    Py_XDECREF(copy);
    Py_DECREF(pattern);
    if (match == NULL) {
        return TC_FIND_RAISED;
    }
    if (match == Py_None) {
        Py_DECREF(match);
        return find_over_limit(self->read, size);
    }
    PyObject *end = PyObject_CallMethodNoArgs(match, self->state->str_end);
    Py_DECREF(match);
    Py_ssize_t at = end != NULL ? PyLong_AsSsize_t(end) : -1;
    Py_XDECREF(end);
    if (at < 0 || (size_t)at > size) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "a match of %zu bytes cannot end at %zd", size, at);
        }
        return TC_FIND_RAISED;
    }
    return find_over_limit(self->read, (size_t)at) == TC_FIND_MORE ? at : TC_FIND_UNSATISFIABLE;
}

Py_ssize_t
tc_read_find(StreamObject *self, const char *data, size_t size)
{
    tc_read *read = self->read;
    switch (read->kind) {
    case TC_READ_BYTES:
        if (size >= (size_t)read->target) {
            return read->target;
        }
        return read->partial && size > 0 ? (Py_ssize_t)size : TC_FIND_MORE;
    case TC_READ_UNTIL:
        return find_delimiter(read, data, size);
    case TC_READ_REGEX:
        return find_regex(self, data, size);
    default:
        return TC_FIND_MORE;
    }
}

/* ---- who gets the bytes ---- */

/* A message was read and not responded to yet, see tc_train_write. */
static inline void
match_unanswered(StreamObject *self)
{
    if (self->train != NULL) {
        self->train->unanswered = true;
    }
}

/* The usual case: a Future that was not returned yet gets bytes. */
static int
read_finish_unseen(StreamObject *self, const char *data, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    if (bytes == NULL) {
        return TC_RAISED;
    }
    self->read->kind = TC_READ_NONE;
    match_unanswered(self);
    tc_future_resolve_new(self->state, self->read->waiter.future, bytes);
    Py_CLEAR(self->read->waiter.future);
    Py_CLEAR(self->read->pattern);
    Py_DECREF(bytes);
    return TC_OK;
}

int
tc_read_finish(StreamObject *self, const char *data, size_t size)
{
    if (self->read->unseen && self->read->waiter.future != NULL && self->read->view == NULL &&
        self->read->streaming == NULL) {
        return read_finish_unseen(self, data, size);
    }
    tc_read done = *self->read;
    memset(self->read, 0, sizeof(*self->read));
    match_unanswered(self);
    PyObject *bytes = done.kind == TC_READ_INTO ? PyLong_FromSsize_t(done.filled)
                                                : PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    int st = bytes != NULL ? TC_OK : TC_RAISED;
    if (st == TC_OK && done.waiter.future != NULL) {
        tc_future_resolve_new(self->state, done.waiter.future, bytes);
    }
    else if (st == TC_OK) {
        st = tc_waiter_notify(self, &done.waiter, bytes, bytes);
    }
    Py_XDECREF(bytes);
    tc_read_clear(&done);
    return st;
}

void
tc_read_fail(StreamObject *self, PyObject *exc)
{
    tc_read gone = *self->read;
    memset(self->read, 0, sizeof(*self->read));
    tc_waiter_fail(self, &gone.waiter, exc);
    tc_read_clear(&gone);
}

/* Hands what there is to streaming_callback; returns how many bytes were taken, or -1. */
static Py_ssize_t
read_stream_out(StreamObject *self, const char *data, size_t size)
{
    tc_read *read = self->read;
    size_t n = read->kind == TC_READ_BYTES ? tc_min_size(size, (size_t)read->target) : size;
    if (n == 0) {
        return 0;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)n);
    int st = bytes != NULL ? tc_stream_call(self, read->streaming, bytes, read->waiter.context) : -1;
    Py_XDECREF(bytes);
    if (st < 0) {
        return -1;
    }
    if (read->kind == TC_READ_BYTES) {
        read->target -= (Py_ssize_t)n;
    }
    return (Py_ssize_t)n;
}

/* gen_log.info("Unsatisfiable read, closing connection: ..."), then close with the UnsatisfiableReadError. */
static int
read_unsatisfiable(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, UnsatisfiableReadError);
    if (cls == NULL) {
        return TC_RAISED;
    }
    PyObject *text = PyUnicode_FromFormat("delimiter %R not found within %zd bytes", self->read->pattern,
                                          self->read->max_bytes);
    PyObject *exc = text != NULL ? PyObject_CallOneArg(cls, text) : NULL;
    int st = TC_RAISED;
    if (exc != NULL) {
        tc_log(self->state, "general", "info", "Unsatisfiable read, closing connection: %S", exc);
        st = tc_stream_close(self, exc);
        PyObject *closed = tc_stream_has_read(self) ? tc_stream_closed_error(self) : NULL;
        if (closed != NULL) { /* closed before, and this reads what is left in the buffer */
            tc_read_fail(self, closed);
            Py_DECREF(closed);
        }
    }
    Py_XDECREF(text);
    Py_XDECREF(exc);
    return st;
}

/* Copies what there is into the caller's memory. */
static int
read_copy_into(StreamObject *self, const char *data, size_t size, size_t *used)
{
    tc_read *read = self->read;
    size_t n = tc_min_size(size, (size_t)(read->target - read->filled));
    if (n > 0) {
        memcpy((char *)read->view->buf + read->filled, data, n);
        read->filled += (Py_ssize_t)n;
    }
    *used = n;
    return tc_read_into_done(read) ? tc_read_finish(self, NULL, 0) : TC_OK;
}

int
tc_read_try(StreamObject *self, const char *data, size_t size, size_t *used)
{
    *used = 0;
    if (TC_UNLIKELY(tc_read_is_over(self))) {
        tc_stream_forget_cancelled(self);
        return TC_OK;
    }
    if (self->read->kind == TC_READ_INTO) {
        return read_copy_into(self, data, size, used);
    }
    if (self->read->streaming != NULL) {
        Py_ssize_t n = read_stream_out(self, data, size);
        if (n < 0) {
            return TC_RAISED;
        }
        *used = (size_t)n;
        data += n;
        size -= (size_t)n;
        if (self->read->kind == TC_READ_BYTES && self->read->target == 0) {
            return tc_read_finish(self, data, 0);
        }
        return TC_OK;
    }
    Py_ssize_t n = tc_read_find(self, data, size);
    if (n == TC_FIND_RAISED) {
        return TC_RAISED;
    }
    if (n == TC_FIND_UNSATISFIABLE) {
        return read_unsatisfiable(self);
    }
    if (n == TC_FIND_MORE || (self->read->kind == TC_READ_REGEX && tc_read_is_over(self))) {
        return TC_OK; /* or cancelled during the search */
    }
    *used = (size_t)n;
    return tc_read_finish(self, data, (size_t)n);
}
