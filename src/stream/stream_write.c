/* The sending half of a stream: the write queue, its waiters, and what is sent at once. What the
 * descriptor does not take is queued. Runs Python: hooks, Futures, callbacks, close. */
#include "base/log.h"
#include "stream/stream_parts.h"

#define IOV_MAX_USED 64
#define SEND_MAX (16 * 1048576) /* bytes; then other descriptors get their turn */

/* ---- the queue ---- */

size_t
tc_writes_queued(const tc_writes *writes)
{
    return writes->buffer->size;
}

tc_writes *
tc_stream_writes(StreamObject *self)
{
    if (self->writes == NULL) {
        StreamBufferObject *buffer = tc_stream_buffer_new(self->state);
        tc_writes *writes = buffer != NULL ? PyMem_Calloc(1, sizeof(tc_writes)) : NULL;
        if (writes == NULL) {
            Py_XDECREF(buffer);
            PyErr_NoMemory();
            return NULL;
        }
        writes->buffer = buffer;
        writes->index = writes->done = self->sent;
        self->writes = writes;
    }
    return self->writes;
}

/* Queues bytes that the counters have counted: a large rest of its owner by reference, else as a copy. */
static int
writes_queue(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    tc_writes *w = tc_stream_writes(self);
    if (w == NULL) {
        return TC_RAISED;
    }
    int status;
    if (owner == NULL || size <= (size_t)w->buffer->large) {
        status = tc_stream_buffer_copy(w->buffer, data, size);
    }
    else {
        bool bytes = PyBytes_CheckExact(owner);
        const char *start = bytes ? PyBytes_AS_STRING(owner) : PyMemoryView_GET_BUFFER(owner)->buf;
        status = tc_stream_buffer_refer(w->buffer, owner, (size_t)(data - start));
    }
    return status < 0 ? TC_RAISED : TC_OK;
}

/* Takes the first waiter, if it waits for no more than `index`; the caller owns what it holds. */
static bool
waiters_take(tc_writes *w, uint64_t index, tc_write_waiter *waiter)
{
    if (w->first_waiter == w->nwaiters || w->waiters[w->first_waiter].index > index) {
        return false;
    }
    *waiter = w->waiters[w->first_waiter++];
    if (w->first_waiter == w->nwaiters) {
        w->first_waiter = w->nwaiters = 0;
    }
    return true;
}

void
tc_writes_forget(tc_writes *w)
{
    tc_stream_buffer_clear(w->buffer);
    for (tc_write_waiter waiter; waiters_take(w, UINT64_MAX, &waiter);) {
        tc_waiter_clear(&waiter.who);
    }
}

void
tc_writes_free(tc_writes *w)
{
    if (w == NULL) {
        return;
    }
    tc_writes_forget(w);
    Py_DECREF(w->buffer);
    PyMem_Free(w->waiters);
    PyMem_Free(w);
}

size_t
tc_stream_unsent(const StreamObject *self)
{
    return tc_stream_waiting(self) + (self->cork != NULL ? self->cork->size : 0);
}

/* ---- those who wait ---- */

/* Notifies the waiters whose bytes were sent. */
static int
waiters_wake(StreamObject *self)
{
    tc_writes *w = self->writes;
    tc_write_waiter waiter;
    while (w != NULL && waiters_take(w, w->done, &waiter)) {
        int st = tc_waiter_notify(self, &waiter.who, Py_None, NULL);
        tc_waiter_clear(&waiter.who);
        if (st == TC_RAISED) {
            return st;
        }
    }
    return TC_OK;
}

static PyObject *
done_future(StreamObject *self)
{
    LoopCore *core = self->core;
    if (core->done_future == NULL) {
        PyObject *future = tc_core_future(core);
        PyObject *result =
            future != NULL ? PyObject_CallMethodOneArg(future, self->state->str_set_result, Py_None) : NULL;
        if (result == NULL) {
            Py_XDECREF(future);
            return NULL;
        }
        Py_DECREF(result);
        core->done_future = future;
    }
    return Py_NewRef(core->done_future);
}

static PyObject *
wait_written(StreamObject *self, PyObject *callback, PyObject *error, bool apart)
{
    /* Corked bytes count as sent: callers send them first where they may not join others. */
    bool done =
        tc_stream_can_send(self) && (self->writes == NULL || self->writes->done >= self->writes->index);
    if (done && callback == NULL) {
        return done_future(self);
    }
    PyObject *context;
    if (tc_context_capture(callback, &context) < 0) {
        return NULL;
    }
    if (done) {
        int st = tc_waiter_notify(self, &(tc_waiter){NULL, callback, context, apart}, NULL, NULL);
        Py_DECREF(context);
        return st == TC_RAISED ? NULL : Py_NewRef(Py_None);
    }
    tc_writes *w = tc_stream_writes(self);
    PyObject *future = callback == NULL && w != NULL ? tc_core_future(self->core) : NULL;
    if (w == NULL || (callback == NULL && future == NULL)) {
        Py_XDECREF(context);
        return NULL;
    }
    if (w->nwaiters == w->waiters_cap && w->first_waiter > w->waiters_cap / 2) {
        w->nwaiters -= w->first_waiter;
        memmove(w->waiters, w->waiters + w->first_waiter, w->nwaiters * sizeof(*w->waiters));
        w->first_waiter = 0;
    }
    if (w->nwaiters == w->waiters_cap) {
        size_t cap = w->waiters_cap != 0 ? w->waiters_cap * 2 : 4;
        tc_write_waiter *waiters = PyMem_Realloc(w->waiters, cap * sizeof(*waiters));
        if (waiters == NULL) {
            Py_XDECREF(context);
            Py_XDECREF(future);
            return PyErr_NoMemory();
        }
        w->waiters = waiters;
        w->waiters_cap = cap;
    }
    w->waiters[w->nwaiters++] = (tc_write_waiter){
        .index = w->index + (self->cork != NULL ? self->cork->size : 0),
        .who = {Py_XNewRef(future), Py_XNewRef(callback), context, apart},
        .error = error,
    };
    return future != NULL ? future : Py_NewRef(Py_None);
}

PyObject *
tc_stream_wait_written_or(StreamObject *self, PyObject *callback, PyObject *error)
{
    return wait_written(self, callback, error, false);
}

PyObject *
tc_stream_wait_written_apart(StreamObject *self, PyObject *callback)
{
    return wait_written(self, callback, NULL, true);
}

/* The stream is closed: Futures get the error; callbacks of 2.x-4.x are never called. */
void
tc_stream_write_closed(StreamObject *self, PyObject *exc)
{
    tc_writes *w = self->writes;
    if (w == NULL) {
        return;
    }
    tc_stream_buffer_clear(w->buffer);
    for (tc_write_waiter waiter; waiters_take(w, UINT64_MAX, &waiter);) {
        PyObject *own = waiter.error != NULL ? PyObject_CallNoArgs(waiter.error) : Py_NewRef(exc);
        if (own == NULL) {
            PyErr_WriteUnraisable(waiter.error);
        }
        tc_waiter_fail(self, &waiter.who, own != NULL ? own : exc);
        Py_XDECREF(own);
        tc_waiter_clear(&waiter.who);
    }
}

/* ---- sending ---- */

/* Sending has failed with the exception that is set. An OSError closes the stream; anything else, from a
 * hook, is the caller's. */
static int
write_failed(StreamObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        return TC_RAISED;
    }
    PyObject *exc = PyErr_GetRaisedException();
    int gone = tc_stream_is_connreset(self, exc);
    if (gone == 0) {
        PyObject *fd = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_fileno);
        if (fd == NULL) {
            PyErr_Clear();
        }
        tc_log(self->state, "general", "warning", "Write error on %S: %S", fd != NULL ? fd : Py_None, exc);
        Py_XDECREF(fd);
    }
    int st = gone < 0 ? TC_RAISED : tc_stream_close(self, exc);
    Py_DECREF(exc);
    return st;
}

/* Sends once from the queue. */
static Py_ssize_t
writes_send_once(StreamObject *self)
{
    StreamBufferObject *buffer = self->writes->buffer;
    struct iovec iov[IOV_MAX_USED];
    int count = tc_stream_sends_vectors(self) ? tc_stream_buffer_gather(buffer, iov, IOV_MAX_USED) : 0;
    return count > 0 ? tc_stream_send(self, iov, count) : tc_stream_send_front(self);
}

/* Sends from the queue until it is empty or the descriptor takes no more. */
static int
writes_send(StreamObject *self)
{
    if (self->sending) {
        return TC_OK; /* a hook writes: the call that is on the stack sends that, too */
    }
    int st = TC_OK;
    size_t budget = SEND_MAX;
    self->sending = true;
    while (budget > 0 && !self->closed && tc_stream_waiting(self) > 0) {
        Py_ssize_t sent = writes_send_once(self);
        if (sent == TC_IO_FAILED) {
            st = write_failed(self);
            break;
        }
        tc_writes *w = self->writes;
        if (sent <= 0 || self->closed || (size_t)sent > w->buffer->size) {
            break;
        }
        tc_stream_buffer_advance(w->buffer, (size_t)sent);
        w->done += (uint64_t)sent;
        budget -= tc_min_size(budget, (size_t)sent);
    }
    self->sending = false;
    return st;
}

int
tc_stream_writable(StreamObject *self)
{
    bool pending = tc_stream_waiting(self) > 0;
    if (pending && writes_send(self) == TC_RAISED) {
        return TC_RAISED;
    }
    if (TC_UNLIKELY(self->tls != NULL) && tc_tls_flush(self) == TC_RAISED) {
        return write_failed(self);
    }
    /* There may be a waiter for no bytes: an empty write while connecting. */
    if (self->closed || waiters_wake(self) == TC_RAISED) {
        return self->closed ? TC_OK : TC_RAISED;
    }
    if (pending && !self->closed && tc_stream_waiting(self) == 0 && self->consumer != NULL) {
        PyObject *consumer = Py_NewRef(self->consumer);
        int st = self->consumer_class->drained(consumer);
        Py_DECREF(consumer);
        return st;
    }
    return TC_OK;
}

bool
tc_stream_can_send(const StreamObject *self)
{
    return !self->connecting && !tc_stream_handshaking(self) && tc_stream_waiting(self) == 0;
}

/* Sends two runs of bytes (either may be empty) at once; the number sent, or TC_IO_FAILED. */
static Py_ssize_t
send_runs(StreamObject *self, const char *head, size_t head_size, const char *data, size_t size)
{
    struct iovec iov[2];
    int count = 0;
    if (head_size > 0) {
        iov[count++] = (struct iovec){.iov_base = (char *)head, .iov_len = head_size};
    }
    if (size > 0) {
        iov[count++] = (struct iovec){.iov_base = (char *)data, .iov_len = size};
    }
    Py_ssize_t sent = tc_stream_send(self, iov, count);
    return sent == TC_IO_AGAIN ? 0 : sent;
}

/* Sends what is queued as far as the descriptor takes it and registers for the rest. */
static int
writes_go_on(StreamObject *self)
{
    int st = writes_send(self);
    if (st == TC_OK && !self->closed) {
        st = waiters_wake(self);
    }
    return st == TC_OK && tc_stream_update(self) < 0 ? TC_RAISED : st;
}

/* Sends two runs of bytes (either may be empty) ahead of an empty queue and queues what is left. */
int
tc_stream_send_or_queue(StreamObject *self, const char *head, size_t head_size, const char *data, size_t size,
                        PyObject *owner)
{
    size_t total = head_size + size, sent = 0;
    bool now = tc_stream_can_send(self), direct = now && tc_stream_sends_vectors(self);
    if (TC_LIKELY(direct)) {
        Py_ssize_t n = send_runs(self, head, head_size, data, size);
        if (n < 0) {
            return write_failed(self);
        }
        sent = (size_t)n;
    }
    if (self->writes == NULL && sent < total && tc_stream_writes(self) == NULL) {
        return TC_RAISED;
    }
    if (self->writes == NULL) {
        self->sent += total;
        return TC_OK;
    }
    self->writes->index += total;
    self->writes->done += sent;
    if (TC_LIKELY(sent == total)) {
        return waiters_wake(self);
    }
    size_t head_sent = tc_min_size(sent, head_size);
    size_t data_sent = sent - head_sent;
    if (head_size > head_sent &&
        writes_queue(self, head + head_sent, head_size - head_sent, NULL) == TC_RAISED) {
        return TC_RAISED;
    }
    if (size > data_sent && writes_queue(self, data + data_sent, size - data_sent, owner) == TC_RAISED) {
        return TC_RAISED;
    }
    if (now && !direct) {
        return writes_go_on(self);
    }
    return tc_stream_update(self) < 0 ? TC_RAISED : TC_OK;
}

int
tc_stream_write_file(StreamObject *self, PyObject *file, int fd, size_t offset, size_t size)
{
    if (tc_stream_flush(self) == TC_RAISED) {
        return TC_RAISED;
    }
    tc_writes *w = tc_stream_writes(self);
    if (w == NULL) {
        return TC_RAISED;
    }
    bool now = tc_stream_can_send(self);
    if (tc_stream_buffer_file(w->buffer, file, fd, offset, size) < 0) {
        return TC_RAISED;
    }
    w->index += size;
    if (now) {
        return writes_go_on(self);
    }
    return tc_stream_update(self) < 0 ? TC_RAISED : TC_OK;
}

int
tc_stream_write(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    if (self->closed) {
        return TC_OK;
    }
    if (size == 0) { /* Python may have put bytes into the queue itself */
        bool waiting = tc_stream_waiting(self) > 0 && !self->connecting && !tc_stream_handshaking(self);
        return waiting ? writes_go_on(self) : TC_OK;
    }
    if (self->cork == NULL) {
        return tc_stream_send_or_queue(self, NULL, 0, data, size, owner);
    }
    return tc_stream_cork_write(self, data, size, owner);
}
