/* Reads of Python's: one begins, is tried at once, and ends with the stream at the latest. Runs Python: Futures,
 * callbacks, hooks, close. */
#include "base/raise.h"
#include "stream/stream_parts.h"

static int
read_check_free(StreamObject *self)
{
    if (tc_stream_is_free(self)) {
        return 0;
    }
    if (self->closed || self->output_ended) {
        tc_stream_raise_closed(self);
    }
    else {
        PyErr_SetString(PyExc_AssertionError, "Already reading");
    }
    return -1;
}

/* Makes it the pending read. 0, or -1 with an exception. */
static int
read_begin(StreamObject *self, const tc_read *request, PyObject *callback, PyObject *streaming)
{
    if (read_check_free(self) < 0 ||
        (self->read == NULL && (self->read = PyMem_Calloc(1, sizeof(tc_read))) == NULL)) {
        if (!PyErr_Occurred()) {
            PyErr_NoMemory();
        }
        tc_read unused = {.view = request->view};
        tc_read_clear(&unused);
        return -1;
    }
    tc_read *read = self->read;
    *read = *request;
    Py_XINCREF(read->pattern);
    read->unseen = true;
    read->streaming = Py_XNewRef(streaming);
    if (tc_waiter_begin(self, &read->waiter, callback, streaming) < 0) {
        tc_read_clear(read);
        return -1;
    }
    return 0;
}

/* A read was tried. One that has to wait sends the responses of those before it. TC_OK or TC_RAISED. */
static int
read_tried(StreamObject *self)
{
    if (!tc_stream_has_read(self)) {
        tc_train_read_done(self);
        return TC_OK;
    }
    if (self->train != NULL) {
        self->train->last = 0.0;
    }
    return tc_stream_end_train(self);
}

int
tc_stream_inline_read(StreamObject *self)
{
    /* Inside a delivery the bytes after it are not in the buffer yet: the event continues with this read
     * afterwards. */
    bool now = !self->reading_event;
    int st = now ? tc_train_read(self) : TC_OK;
    if (st == TC_AGAIN) {
        tc_train_wait(self);
        return read_tried(self);
    }
    if (st == TC_OK && now && tc_stream_has_read(self) &&
        (self->buf_len > 0 || (self->read->target == 0 && self->read->kind >= TC_READ_BYTES &&
                               self->read->kind <= TC_READ_INTO))) {
        size_t used;
        tc_stream_begin_delivery(self);
        st = tc_read_try(self, tc_stream_buffered(self), self->buf_len, &used);
        tc_stream_end_delivery(self);
        if (used > 0) {
            tc_stream_consume(self, used);
        }
    }
    if (st == TC_OK && tc_stream_has_read(self)) {
        if (self->closed) {
            if (self->read->kind == TC_READ_CLOSE) {
                size_t size = now ? self->buf_len : 0;
                st = tc_read_finish(self, tc_stream_buffered(self), size);
                tc_stream_consume(self, size);
                return st;
            }
            tc_stream_raise_closed(self);
            return TC_RAISED;
        }
        /* A hook may have bytes that no event reports. */
        bool worth = !self->drained_socket || self->read_way == TC_IO_HOOK;
        if (now && worth && !self->connecting && !tc_stream_handshaking(self)) {
            st = tc_stream_readable(self);
        }
    }
    /* A read that was satisfied from the buffer changes nothing, unless reading was masked. */
    bool masked = !self->watcher.registered || !(self->watcher.events & TC_READ);
    if (st == TC_OK) {
        st = read_tried(self);
    }
    if (st == TC_OK && !self->closed && (masked || tc_stream_has_read(self)) && tc_stream_update(self) < 0) {
        st = TC_RAISED;
    }
    return st;
}

PyObject *
tc_stream_start_read(StreamObject *self, const tc_read *request, PyObject *callback, PyObject *streaming)
{
    if (read_begin(self, request, callback, streaming) < 0) {
        return NULL;
    }
    PyObject *result = Py_NewRef(self->read->waiter.future != NULL ? self->read->waiter.future : Py_None);
    int st;
    tc_stream_resolve(self);
    if (TC_LIKELY(self->plain_inline)) {
        st = tc_stream_inline_read(self);
    }
    else {
        PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str__try_inline_read);
        st = result != NULL ? TC_OK : TC_RAISED;
        Py_XDECREF(result);
    }
    if (st == TC_OK && request->kind == TC_READ_INTO && tc_stream_has_read(self) &&
        self->read->waiter.future == result) {
        st = tc_read_watch_into(self);
    }
    if (st == TC_RAISED) {
        Py_DECREF(result);
        if (tc_stream_has_read(self)) {
            tc_read_clear(self->read);
        }
        return NULL;
    }
    self->read->unseen = false;
    return result;
}

/* The stream is closing: a read that can be satisfied is, as is read_until_close after a regular end; the
 * rest fails. A callback of read_until_close comes after any end, as in Tornado 4: stream.error tells it which. */
void
tc_stream_read_closed(StreamObject *self, PyObject *exc)
{
    tc_stream_forget_cancelled(self);
    if (!tc_stream_has_read(self)) {
        return;
    }
    tc_read *read = self->read;
    /* While a consumer looks at the buffer nothing may be taken from it. */
    size_t size = self->reading_event || tc_read_is_over(self) ? 0 : self->buf_len, used = 0;
    if (read->kind == TC_READ_CLOSE) {
        if (read->waiter.callback != NULL || self->error == NULL ||
            tc_error_is_connreset(self->state, self->error)) {
            if (tc_read_finish(self, tc_stream_buffered(self), size) == TC_RAISED) {
                PyErr_WriteUnraisable((PyObject *)self);
            }
            if (size > 0) {
                tc_stream_consume(self, size);
            }
            return;
        }
    }
    else if (size > 0 && read->streaming == NULL) {
        Py_ssize_t n = tc_read_find(self, tc_stream_buffered(self), size);
        if (n == TC_FIND_RAISED) {
            PyErr_Clear();
        }
        if (n >= 0) {
            used = (size_t)n;
            if (tc_read_finish(self, tc_stream_buffered(self), used) == TC_RAISED) {
                PyErr_WriteUnraisable((PyObject *)self);
            }
            tc_stream_consume(self, used);
            return;
        }
    }
    tc_read_fail(self, exc);
}
