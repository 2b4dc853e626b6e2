/* The sending half of a stream: corked output, the write queue, and those who wait for it.
 *
 * Output of one event of ours is joined in the loop's scratch buffer and leaves with one send when the
 * event's handling ends; a large piece goes out at once behind what is corked, by reference. What the socket
 * does not take is queued. Runs Python only through Futures, callbacks and close. */
#include "stream/stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define CORK_SIZE 65536
#define IOV_MAX_USED 64

/* ---- the queue ---- */

static tc_writes *
writes_of(StreamObject *self)
{
    if (self->writes == NULL) {
        self->writes = PyMem_Calloc(1, sizeof(tc_writes));
        if (self->writes == NULL) {
            PyErr_NoMemory();
        }
    }
    return self->writes;
}

static int
writes_append(StreamObject *self, PyObject *owner, const char *data, size_t size) /* new reference to owner */
{
    tc_writes *w = writes_of(self);
    if (w == NULL) {
        return TC_RAISED;
    }
    if (w->count == w->cap) {
        if (w->first > w->cap / 2) {
            memmove(w->pieces, w->pieces + w->first, (w->count - w->first) * sizeof(tc_piece));
            w->count -= w->first;
            w->first = 0;
        }
        else {
            size_t cap = w->cap != 0 ? w->cap * 2 : 4;
            tc_piece *pieces = PyMem_Realloc(w->pieces, cap * sizeof(tc_piece));
            if (pieces == NULL) {
                PyErr_NoMemory();
                return TC_RAISED;
            }
            w->pieces = pieces;
            w->cap = cap;
        }
    }
    w->pieces[w->count++] = (tc_piece){.owner = Py_NewRef(owner), .data = data, .size = size};
    w->size += size;
    return TC_OK;
}

/* Queues bytes, by reference to their owner or as a copy. */
static int
writes_queue(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    if (owner != NULL) {
        return writes_append(self, owner, data, size);
    }
    PyObject *copy = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    if (copy == NULL) {
        return TC_RAISED;
    }
    int st = writes_append(self, copy, PyBytes_AS_STRING(copy), size);
    Py_DECREF(copy);
    return st;
}

static void
writes_drop_pieces(tc_writes *w)
{
    while (w->first < w->count) {
        PyObject *owner = w->pieces[w->first++].owner;
        Py_DECREF(owner);
    }
    w->first = w->count = 0;
    w->size = 0;
}

/* Takes `sent` bytes off the front. */
static void
writes_advance(tc_writes *w, size_t sent)
{
    w->size -= sent;
    w->done += sent;
    while (sent > 0) {
        tc_piece *piece = &w->pieces[w->first];
        if (sent < piece->size) {
            piece->data += sent;
            piece->size -= sent;
            return;
        }
        sent -= piece->size;
        PyObject *owner = piece->owner;
        w->first++;
        Py_DECREF(owner);
    }
    if (w->first == w->count) {
        w->first = w->count = 0;
    }
}

/* The first of those who wait, if it waits for no more than `index`; the caller owns what it holds. */
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

static void
waiter_free(tc_write_waiter *waiter)
{
    Py_XDECREF(waiter->future);
    Py_XDECREF(waiter->callback);
    Py_XDECREF(waiter->context);
}

static bool
writes_pending(const StreamObject *self)
{
    return self->writes != NULL && self->writes->size > 0;
}

void
tc_writes_free(tc_writes *w)
{
    if (w == NULL) {
        return;
    }
    writes_drop_pieces(w);
    for (tc_write_waiter waiter; waiters_take(w, UINT64_MAX, &waiter);) {
        waiter_free(&waiter);
    }
    PyMem_Free(w->waiters);
    PyMem_Free(w->pieces);
    PyMem_Free(w);
}

size_t
tc_stream_unsent(const StreamObject *self)
{
    return (self->writes != NULL ? self->writes->size : 0) + (self->cork != NULL ? self->cork->size : 0);
}

/* ---- those who wait ---- */

static int
waiter_tell(StreamObject *self, tc_write_waiter waiter) /* steals what it holds */
{
    int st = TC_OK;
    if (waiter.future != NULL) {
        tc_future_resolve(self->state, waiter.future, Py_None);
    }
    else if (tc_stream_call(self, waiter.callback, NULL, waiter.context) < 0) {
        st = TC_RAISED;
    }
    waiter_free(&waiter);
    return st;
}

/* Tells those whose bytes have gone. */
static int
waiters_wake(StreamObject *self)
{
    tc_writes *w = self->writes;
    tc_write_waiter waiter;
    while (w != NULL && waiters_take(w, w->done, &waiter)) {
        if (waiter_tell(self, waiter) == TC_RAISED) {
            return TC_RAISED;
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

PyObject *
tc_stream_wait_written(StreamObject *self, PyObject *callback)
{
    /* Corked bytes count as sent: they leave before the loop waits again, or join the queue. */
    bool done = !writes_pending(self) && !self->connecting;
    if (done && callback == NULL) {
        return done_future(self);
    }
    PyObject *context = callback != NULL ? PyContext_CopyCurrent() : NULL;
    if (callback != NULL && context == NULL) {
        return NULL;
    }
    if (done) {
        int st = tc_stream_call(self, callback, NULL, context);
        Py_DECREF(context);
        return st < 0 ? NULL : Py_NewRef(Py_None);
    }
    tc_writes *w = writes_of(self);
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
        .index = w->done + tc_stream_unsent(self),
        .future = Py_XNewRef(future),
        .callback = Py_XNewRef(callback),
        .context = context,
    };
    return future != NULL ? future : Py_NewRef(Py_None);
}

/* The stream is closed: Futures get the error; callbacks of 2.x-4.x are never called. */
void
tc_stream_write_closed(StreamObject *self, PyObject *exc)
{
    tc_writes *w = self->writes;
    if (w == NULL) {
        return;
    }
    writes_drop_pieces(w);
    for (tc_write_waiter waiter; waiters_take(w, UINT64_MAX, &waiter);) {
        if (waiter.future != NULL) {
            tc_future_fail_quietly(self->state, waiter.future, exc);
        }
        waiter_free(&waiter);
    }
}

/* ---- sending ---- */

static bool
is_would_block(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

/* Sends a vector; bytes taken, or a negative errno. */
static ssize_t
send_vector(StreamObject *self, struct iovec *iov, int count)
{
    ssize_t sent;
    if (count == 1) {
        sent = send(self->watcher.fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    }
    else {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        sent = sendmsg(self->watcher.fd, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) {
        return sent;
    }
    return is_would_block(errno) ? 0 : -errno;
}

/* Sends from the queue until it is empty or the socket is full. */
static int
writes_send(StreamObject *self)
{
    while (!self->closed && writes_pending(self)) {
        tc_writes *w = self->writes;
        struct iovec iov[IOV_MAX_USED];
        int count = 0;
        for (size_t i = w->first; i < w->count && count < IOV_MAX_USED; i++, count++) {
            iov[count].iov_base = (char *)w->pieces[i].data;
            iov[count].iov_len = w->pieces[i].size;
        }
        ssize_t sent = send_vector(self, iov, count);
        if (sent < 0) {
            return tc_stream_close_errno(self, (int)-sent);
        }
        if (sent == 0) {
            return TC_OK;
        }
        writes_advance(w, (size_t)sent);
    }
    return TC_OK;
}

int
tc_stream_writable(StreamObject *self)
{
    bool pending = writes_pending(self);
    if (pending && writes_send(self) == TC_RAISED) {
        return TC_RAISED;
    }
    /* Somebody may wait for nothing: an empty write while connecting. */
    if (self->closed || waiters_wake(self) == TC_RAISED) {
        return self->closed ? TC_OK : TC_RAISED;
    }
    if (pending && !self->closed && !writes_pending(self) && self->consumer != NULL) {
        return self->consumer_class->drained(self->consumer);
    }
    return TC_OK;
}

/* Sends two runs of bytes (either may be empty) ahead of an empty queue and queues what is left. */
static int
send_or_queue(StreamObject *self, const char *head, size_t head_size, const char *data, size_t size,
              PyObject *owner)
{
    size_t sent = 0;
    if (!self->connecting && !writes_pending(self)) {
        struct iovec iov[2];
        int count = 0;
        if (head_size > 0) {
            iov[count++] = (struct iovec){.iov_base = (char *)head, .iov_len = head_size};
        }
        if (size > 0) {
            iov[count++] = (struct iovec){.iov_base = (char *)data, .iov_len = size};
        }
        ssize_t n = send_vector(self, iov, count);
        if (n < 0) {
            return tc_stream_close_errno(self, (int)-n);
        }
        sent = (size_t)n;
        if (self->writes != NULL) {
            self->writes->done += sent;
        }
        if (TC_LIKELY(sent == head_size + size)) {
            return waiters_wake(self);
        }
    }
    if (sent < head_size) {
        if (writes_queue(self, head + sent, head_size - sent, NULL) == TC_RAISED) {
            return TC_RAISED;
        }
        sent = 0;
    }
    else {
        sent -= head_size;
    }
    if (sent < size && writes_queue(self, data + sent, size - sent, owner) == TC_RAISED) {
        return TC_RAISED;
    }
    return tc_stream_update(self) < 0 ? TC_RAISED : TC_OK;
}

int
tc_stream_flush(StreamObject *self)
{
    tc_cork *cork = self->cork;
    if (cork == NULL || cork->size == 0) {
        return TC_OK;
    }
    size_t size = cork->size;
    cork->size = 0;
    if (self->closed) {
        return TC_OK;
    }
    return send_or_queue(self, cork->data, size, NULL, 0, NULL);
}

bool
tc_stream_cork(StreamObject *self, tc_cork *cork)
{
    if (self->cork != NULL) {
        return false;
    }
    memset(cork, 0, sizeof(*cork));
    self->cork = cork;
    return true;
}

int
tc_stream_uncork(StreamObject *self)
{
    tc_cork *cork = self->cork;
    int st = tc_stream_flush(self);
    self->cork = NULL;
    if (cork->data != NULL) {
        tc_scratch_return(&self->core->output, cork->data, cork->own);
    }
    return st;
}

char *
tc_stream_room(StreamObject *self, size_t size)
{
    tc_cork *cork = self->cork;
    if (TC_LIKELY(cork->data != NULL && cork->cap - cork->size >= size)) {
        return cork->data + cork->size;
    }
    if (cork->data == NULL) {
        size_t cap = size > CORK_SIZE ? size : CORK_SIZE;
        cork->data = tc_scratch_take(&self->core->output, cap, &cork->own);
        if (cork->data == NULL) {
            return NULL;
        }
        cork->cap = cork->own ? cap : self->core->output.size;
        return cork->data;
    }
    /* Full: send what there is rather than grow. */
    if (tc_stream_flush(self) == TC_RAISED) {
        return NULL;
    }
    if (cork->cap < size) {
        char *data = PyMem_RawRealloc(cork->data, size);
        if (data == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        cork->data = data;
        cork->cap = size;
        if (!cork->own) {
            self->core->output.data = data;
            self->core->output.size = size;
        }
    }
    return cork->data;
}

int
tc_stream_write(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    if (size == 0 || self->closed) {
        return TC_OK;
    }
    if (self->cork == NULL) {
        return send_or_queue(self, NULL, 0, data, size, owner);
    }
    if (size < TC_STREAM_BY_REFERENCE) {
        char *room = tc_stream_room(self, size);
        if (room == NULL) {
            return TC_RAISED;
        }
        memcpy(room, data, size);
        tc_stream_claim(self, size);
        return TC_OK;
    }
    size_t corked = self->cork->size;
    self->cork->size = 0;
    return send_or_queue(self, self->cork->data, corked, data, size, owner);
}
