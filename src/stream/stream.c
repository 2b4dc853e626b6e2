/* A stream's life: made over a descriptor, read by a consumer, its user's callbacks called, closed once. Runs
 * Python in close. */
#include "base/future.h"
#include "base/log.h"
#include "base/raise.h"
#include "event/ioloop.h"
#include "event/stack.h"
#include "stream/stream_parts.h"

#include <unistd.h>

/* ---- native consumers ---- */

int
tc_stream_set_consumer(StreamObject *self, const tc_consumer_class *cls, PyObject *consumer)
{
    assert(self->consumer == NULL && (self->output_ended || !tc_stream_has_read(self)));
    self->consumer_class = cls;
    self->consumer = Py_NewRef(consumer);
    self->paused = self->hung_up = false;
    self->inherited |= self->fork_count < self->core->forked;
    tc_train_go_on(self);
    if (self->buf_len > 0 || self->reading_event) { /* what another consumer leaves over is ours */
        tc_stream_resume_later(self);
    }
    return tc_stream_update(self) < 0 ? TC_RAISED : TC_OK;
}

void
tc_stream_drop_consumer(StreamObject *self)
{
    self->consumer_class = NULL;
    if (self->train != NULL) {
        self->train->waits = self->train->ahead = false;
    }
    Py_CLEAR(self->consumer);
}

void
tc_stream_pause(StreamObject *self)
{
    self->paused = true;
}

void
tc_stream_resume(StreamObject *self)
{
    if (self->paused) {
        self->paused = self->hung_up = false;
        if (!self->reading_event &&
            (self->buf_len > 0 || (self->read_way != TC_IO_SOCKET && !self->drained_socket))) {
            tc_stream_resume_later(self);
        }
    }
}

/* ---- user callbacks ---- */

/* After the last user callback of a closed stream, or at close. TC_OK or TC_RAISED. */
static int
run_close_callback(StreamObject *self)
{
    if (!self->closed || self->pending_callbacks > 0 || !tc_stream_tells_of_close(self)) {
        return TC_OK;
    }
    tc_waiter waiter = self->notices->closed;
    memset(&self->notices->closed, 0, sizeof(waiter));
    int st = self->core->closed ? TC_OK : tc_waiter_notify(self, &waiter, NULL, NULL);
    tc_waiter_clear(&waiter);
    return st;
}

/* A callback has read what was in the buffer: the next callback is called at once, as a coroutine would go on,
 * unless anything else than callbacks of streams has been queued before it. */
static bool
next_follows(const StreamObject *self, uint32_t turn, size_t ready, unsigned pending)
{
    const tc_train *train = self->train;
    return train != NULL && self->core->turn == turn && train->turn == turn && train->calls > 0 &&
           self->core->ready.size == ready + 1 && self->pending_callbacks == pending + 1 &&
           self->core->stream_calls == ready + 1;
}

/* args: stream, callback[, data]. What a queued user callback's handle calls: an exception closes the stream
 * and is the IOLoop's to log, as in Tornado 4. Python can reach this function through the handle. */
static PyObject *
run_user_callback(PyObject *stream_type, PyObject *const *args, Py_ssize_t nargs)
{
    StreamObject *self = nargs >= 2 ? (StreamObject *)args[0] : NULL;
    if (self == NULL || !PyObject_TypeCheck(args[0], (PyTypeObject *)stream_type) || self->core == NULL) {
        PyErr_SetString(PyExc_TypeError, "run_stream_callback() takes a stream and a callback");
        return NULL;
    }
    self->pending_callbacks -= self->pending_callbacks > 0;
    self->core->stream_calls -= self->core->stream_calls > 0;
    size_t ready = self->core->ready.size;
    uint32_t turn = self->core->turn;
    unsigned pending = self->pending_callbacks;
    PyObject *result = tc_stack_call(self->state, args[1], args + 2, (size_t)(nargs - 2));
    if (result == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        tc_stream_close_uncaught(self, "application");
    }
    if (result != NULL && result != Py_None && PyCoro_CheckExact(result)) {
        Py_SETREF(result, tc_stack_task(self->core, result));
    }
    PyObject *raised = result == NULL ? PyErr_GetRaisedException() : NULL;
    if (tc_stream_update(self) < 0 || run_close_callback(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        if (self->core == NULL || tc_ioloop_report(self->core, args[1]) < 0) {
            return NULL;
        }
    }
    Py_XDECREF(result);
    if (next_follows(self, turn, ready, pending)) {
        self->core->follow = ready + 1;
    }
    Py_RETURN_NONE;
}

static PyMethodDef run_user_callback_def = {
    "run_stream_callback", TC_FASTCALL(run_user_callback),
    "run_stream_callback(stream, callback, /, *args)\n--\n\nRun a callback of a stream's user."};

int
tc_stream_call(StreamObject *self, PyObject *callback, PyObject *arg, PyObject *context)
{
    PyObject *args[3] = {(PyObject *)self, callback, arg};
    PyObject *handle =
        tc_core_call_soon(self->core, self->state->stream_run_callback, args, arg != NULL ? 3 : 2, context);
    if (handle == NULL) {
        return -1;
    }
    Py_DECREF(handle);
    self->pending_callbacks++;
    self->core->stream_calls += self->core->host == NULL;
    return 0;
}

/* ---- those who wait ---- */

int
tc_waiter_begin(StreamObject *self, tc_waiter *waiter, PyObject *callback, PyObject *other)
{
    *waiter = (tc_waiter){.callback = Py_XNewRef(callback)};
    if (callback == NULL && (waiter->future = tc_core_future(self->core)) == NULL) {
        return -1;
    }
    return tc_context_capture(callback != NULL ? callback : other, &waiter->context);
}

int
tc_waiter_notify(StreamObject *self, const tc_waiter *waiter, PyObject *result, PyObject *arg)
{
    if (waiter->future != NULL) {
        tc_future_resolve(self->state, waiter->future, result);
    }
    else if (waiter->callback != NULL && waiter->apart) {
        PyObject *handle = tc_ioloop_call_soon(self->core, waiter->callback, waiter->context);
        Py_XDECREF(handle);
        return handle != NULL ? TC_OK : TC_RAISED;
    }
    else if (waiter->callback != NULL && tc_stream_call(self, waiter->callback, arg, waiter->context) < 0) {
        return TC_RAISED;
    }
    return TC_OK;
}

void
tc_waiter_fail(StreamObject *self, const tc_waiter *waiter, PyObject *exc)
{
    if (waiter->future != NULL) {
        tc_future_fail_quietly(self->state, waiter->future, exc);
    }
}

void
tc_waiter_clear(tc_waiter *waiter)
{
    Py_CLEAR(waiter->future);
    Py_CLEAR(waiter->callback);
    Py_CLEAR(waiter->context);
}

tc_notices *
tc_stream_notices(StreamObject *self)
{
    if (self->notices == NULL && (self->notices = PyMem_Calloc(1, sizeof(tc_notices))) == NULL) {
        PyErr_NoMemory();
    }
    return self->notices;
}

/* ---- closing ---- */

PyObject *
tc_stream_closed_error(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, StreamClosedError);
    return cls != NULL ? PyObject_CallOneArg(cls, self->error != NULL ? self->error : Py_None) : NULL;
}

void
tc_stream_raise_closed(StreamObject *self)
{
    PyObject *exc = tc_stream_closed_error(self);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
}

static PyObject *
close_by_hook(StreamObject *self)
{
    return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_close_fd);
}

/* Closes the descriptor: by the application's hook, or through the socket object where there is one, which
 * owns it then. TC_RAISED with what that raises, EBADF where it was closed under us: the stream is closed
 * even then. */
static int
close_descriptor(StreamObject *self)
{
    PyObject *result = NULL;
    tc_core_unwatch(self->core, &self->watcher);
    tc_stream_resolve(self);
    if (TC_UNLIKELY(!self->plain_close)) {
        result = close_by_hook(self); /* finds the descriptor as it was */
    }
    else if (self->socket != NULL) {
        result = PyObject_CallMethodNoArgs(self->socket, self->state->str_close);
    }
    else {
        if (self->owns_fd) {
            close(self->watcher.fd);
        }
        result = Py_NewRef(Py_None);
    }
    self->watcher.fd = -1;
    self->owns_fd = false;
    PyObject *raised = result == NULL ? PyErr_GetRaisedException() : NULL;
    Py_XDECREF(result);
    Py_CLEAR(self->socket);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    return raised != NULL ? TC_RAISED : TC_OK;
}

static int
notify_consumer_closed(StreamObject *self)
{
    PyObject *consumer = self->consumer;
    const tc_consumer_class *cls = self->consumer_class;
    if (consumer == NULL) {
        return TC_OK;
    }
    self->consumer = NULL;
    self->consumer_class = NULL;
    int st = cls->closed(consumer);
    Py_DECREF(consumer);
    return st;
}

static int
fail_waiters(StreamObject *self)
{
    bool connects = self->notices != NULL && self->notices->connected.future != NULL;
    bool waited_for = tc_stream_has_read(self) || connects ||
                      (self->writes != NULL && (self->writes->nwaiters > 0 || tc_stream_waiting(self) > 0));
    if (!waited_for) {
        return TC_OK;
    }
    PyObject *exc = tc_stream_closed_error(self);
    if (exc == NULL) {
        return TC_RAISED;
    }
    tc_stream_read_closed(self, exc);
    tc_stream_write_closed(self, exc);
    if (connects && self->notices->connected.future != NULL) {
        tc_waiter_fail(self, &self->notices->connected, exc);
    }
    Py_DECREF(exc);
    return TC_OK;
}

/* Notifies the consumer, pending Futures and callbacks that the stream is closed. The consumer comes first, so
 * that what it queues runs before those who wait for their bytes go on. */
static int
notify_closed(StreamObject *self)
{
    PyObject *raised = notify_consumer_closed(self) == TC_RAISED ? PyErr_GetRaisedException() : NULL;
    int st = fail_waiters(self);
    if (st == TC_OK) {
        if (self->tls != NULL) {
            tc_tls_closed(self);
        }
        tc_stream_drop_connect(self);
        st = run_close_callback(self);
    }
    if (raised == NULL) {
        return st;
    }
    if (st == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_SetRaisedException(raised);
    return TC_RAISED;
}

int
tc_stream_close(StreamObject *self, PyObject *exc)
{
    if (self->closed) {
        return TC_OK;
    }
    Py_INCREF(self);
    if (exc != NULL) {
        Py_XSETREF(self->error, Py_NewRef(exc));
    }
    /* Corked bytes are sent first, as they would have been without the cork. */
    if (self->cork != NULL && !self->connecting && tc_stream_flush(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    int st = TC_OK;
    if (tc_stream_end_train(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (!self->closed) { /* flushing may have found the connection broken */
        self->closed = true;
        self->connecting = false;
        tc_core_cancel_task(&self->resume_task);
        if (TC_UNLIKELY(self->tls != NULL)) {
            tc_tls_say_goodbye(self);
        }
        st = close_descriptor(self);
        PyObject *raised = st == TC_RAISED ? PyErr_GetRaisedException() : NULL;
        int notified = notify_closed(self);
        if (raised != NULL) {
            if (notified == TC_RAISED) {
                PyErr_WriteUnraisable((PyObject *)self);
            }
            PyErr_SetRaisedException(raised);
        }
        else {
            st = notified;
        }
    }
    Py_CLEAR(self->watcher.owner);
    Py_DECREF(self);
    return st;
}

void
tc_stream_close_uncaught(StreamObject *self, const char *logger)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyErr_SetRaisedException(Py_NewRef(exc));
    tc_log_exception(self->state, logger, "Uncaught exception, closing connection.");
    if (tc_stream_close(self, exc) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_SetRaisedException(exc);
}

int
tc_stream_close_errno(StreamObject *self, int err)
{
    PyObject *exc = tc_oserror_new(err);
    if (exc == NULL) {
        return TC_RAISED;
    }
    int st = tc_stream_close(self, exc);
    Py_DECREF(exc);
    return st;
}

/* ---- making ---- */

StreamObject *
tc_stream_from_fd(PyTypeObject *type, LoopCore *core, int fd, int family)
{
    StreamObject *self = (StreamObject *)type->tp_new(type, NULL, NULL);
    if (self == NULL) {
        close(fd);
        return NULL;
    }
    self->core = (LoopCore *)Py_NewRef((PyObject *)core);
    self->watcher.fd = fd;
    self->owns_fd = true;
    self->family = (uint8_t)family;
    self->fork_count = tc_fork_count();
    self->closed = false;
    return self;
}

int
tc_stream_init_callbacks(tc_state *state)
{
    state->stream_run_callback = PyCFunction_New(&run_user_callback_def, (PyObject *)state->stream_type);
    return state->stream_run_callback != NULL ? 0 : -1;
}
