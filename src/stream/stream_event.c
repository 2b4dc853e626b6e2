/* A stream among its loop's descriptors: what it is registered for, and what an event makes it do. Runs
 * Python: whatever reading, writing and closing run. */
#include "base/log.h"
#include "base/raise.h"
#include "stream/stream_parts.h"

/* ---- interest ---- */

/* `reader`: there is a read, or a consumer that is not paused. */
static inline bool
wants_to_read(const StreamObject *self, bool reader)
{
    if (TC_UNLIKELY(self->inherited) && self->consumer != NULL && !tc_stream_has_read(self)) {
        return false;
    }
    /* Without a reader, and for a paused consumer, too, the peer's end is noticed; bytes that come first stop
     * that until they are read. */
    return reader || self->buf_len == 0;
}

static unsigned
wanted_events(const StreamObject *self)
{
    if (tc_stream_handshaking(self) && !self->connecting) {
        return self->tls->want;
    }
    unsigned events = self->asked;
    if (self->connecting || tc_stream_waiting(self) > 0) {
        events |= TC_WRITE;
    }
    if (self->connecting || self->nested) {
        return events;
    }
    /* Without a reader, reading stays registered until an event reports bytes: most of the time there is a
     * reader again before that, which saves two system calls. */
    if (wants_to_read(self, tc_stream_wants_more(self)) ||
        ((self->watcher.events & TC_READ) && self->watcher.registered && !self->mask)) {
        events |= TC_READ;
    }
    if (TC_UNLIKELY(self->tls != NULL)) {
        if (self->tls->write_blocked && (events & TC_WRITE)) {
            events = (events & ~TC_WRITE) | TC_READ;
        }
        bool unsent = self->tls->memory != NULL && self->tls->memory->unsent != NULL;
        if (self->tls->read_blocked || unsent) {
            events |= TC_WRITE;
        }
    }
    return events;
}

/* Something is pending. From the first time on the descriptor stays watched, and the stream alive, until its
 * end, as in Tornado. */
static bool
has_interest(const StreamObject *self)
{
    return self->consumer != NULL || self->connecting || tc_stream_tells_of_close(self) ||
           tc_stream_waiting(self) > 0 || tc_stream_has_read(self) || self->asked != 0 ||
           (tc_stream_handshaking(self) && self->tls->want != 0);
}

static int
stream_unwatch(StreamObject *self)
{
    tc_core_end_watch(self->core, &self->watcher); /* callers hold a reference of their own */
    return 0;
}

int
tc_stream_update(StreamObject *self)
{
    if (self->closed) {
        return 0;
    }
    if (!self->watcher.registered && !has_interest(self)) {
        return 0;
    }
    unsigned events = wanted_events(self);
    if (events == 0 && self->hung_up) {
        return stream_unwatch(self);
    }
    if (!self->watcher.registered || self->watcher.events != events) {
        if (tc_stream_descriptor(self) < 0) {
            return -1;
        }
        if (self->closed) { /* by fileno() */
            return 0;
        }
        if (tc_core_watch(self->core, &self->watcher, events) < 0) {
            return -1;
        }
    }
    if (self->watcher.owner == NULL) {
        self->watcher.owner = Py_NewRef((PyObject *)self);
    }
    return 0;
}

/* ---- events ---- */

/* The descriptor's error: an OSError or None; NULL with an exception. */
static PyObject *
descriptor_error(StreamObject *self)
{
    tc_stream_resolve(self);
    if (!self->plain_error) {
        return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_get_fd_error);
    }
    int err = tc_stream_socket_error(self);
    return err != 0 ? tc_oserror_new(err) : Py_NewRef(Py_None);
}

/* A watched descriptor reports an error or a hang-up, which cannot be masked. A native consumer is notified
 * at once. Python may still read what the peer sent before it left, and so may a consumer that says so: while
 * such bytes wait, the descriptor is only unwatched. */
static int
event_hangup(StreamObject *self)
{
    tc_stream_forget_cancelled(self);
    bool rest_is_read = self->consumer == NULL || (self->paused && self->consumer_class->reads_rest);
    if (rest_is_read && self->buf_len > 0 && !tc_stream_wants_more(self)) {
        self->hung_up = self->mask = true;
        return TC_OK; /* the update after this event acts on it */
    }
    PyObject *exc = descriptor_error(self);
    if (exc == NULL) {
        return TC_RAISED;
    }
    int st = tc_stream_close(self, PyExceptionInstance_Check(exc) ? exc : NULL);
    Py_DECREF(exc);
    return st;
}

/* Reads in an event. For a read of Python's a failure is logged here and closes the stream. */
static int
event_read(StreamObject *self)
{
    int st = tc_stream_readable(self);
    if (st != TC_RAISED || tc_stream_feeds(self) || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return st;
    }
    PyObject *exc = PyErr_GetRaisedException();
    tc_log(self->state, "general", "warning", "error on read: %S", exc);
    st = tc_stream_close(self, exc);
    Py_DECREF(exc);
    return st;
}

/* Continues connecting and the handshake; true if there is nothing more to do in this event, with *st set.
 * After a handshake both directions are tried: *events says so. */
static bool
event_set_up(StreamObject *self, unsigned *events, int *st)
{
    *st = TC_OK;
    if (self->connecting && (*st = tc_stream_connected(self)) == TC_RAISED) {
        return true;
    }
    if (tc_stream_handshaking(self) && !self->closed) {
        if (self->tls->want == 0 || (*st = tc_tls_handshake(self)) == TC_RAISED ||
            tc_stream_handshaking(self)) {
            return true;
        }
        self->drained_socket = false;
        *events = TC_WRITE | (tc_stream_wants_more(self) ? TC_READ : 0);
    }
    return self->closed;
}

static int
event_handle(StreamObject *self, unsigned events)
{
    int st;
    self->asked = 0;
    if (TC_UNLIKELY(self->inherited) && self->consumer != NULL && !tc_stream_has_read(self)) {
        self->mask = self->hung_up = true; /* the input is the parent process's */
        events &= TC_WRITE;
    }
    if (TC_UNLIKELY(self->connecting || tc_stream_handshaking(self)) && event_set_up(self, &events, &st)) {
        return st;
    }
    if (TC_UNLIKELY(self->tls != NULL)) {
        bool read_blocked = self->tls->read_blocked, write_blocked = self->tls->write_blocked;
        events |= (read_blocked && (events & TC_WRITE) ? TC_READ : 0) |
                  (write_blocked && (events & TC_READ) ? TC_WRITE : 0);
    }
    bool reader = tc_stream_wants_more(self);
    self->mask = !wants_to_read(self, reader);
    if (events & (TC_READ | TC_ERROR | TC_HUP)) {
        self->drained_socket = false;
    }
    if (((events & TC_READ) && !self->mask) ||
        ((reader || self->buf_len == 0) && (events & (TC_ERROR | TC_HUP)))) {
        if (event_read(self) == TC_RAISED) {
            return TC_RAISED;
        }
        if (self->nested && (events & (TC_ERROR | TC_HUP))) {
            self->hung_up = self->mask = true; /* cannot be masked: not watched until the delivery ends */
            return TC_OK;
        }
    }
    if ((events & TC_WRITE) && !self->closed && tc_stream_writable(self) == TC_RAISED) {
        return TC_RAISED;
    }
    /* A reader finds the end itself, after everything before it. */
    if ((events & (TC_ERROR | TC_HUP)) && !self->closed &&
        (!reader || ((events & TC_ERROR) && self->drained_socket))) {
        return event_hangup(self);
    }
    return TC_OK;
}

/* Handles an exception that is not the peer's fault: logs it as Tornado does, closes the stream, and hands
 * the exception to the loop. TC_RAISED only for KeyboardInterrupt and SystemExit. */
static int
event_failed(StreamObject *self)
{
    if (PyErr_ExceptionMatches(PyExc_Exception)) {
        tc_stream_close_uncaught(self, "general");
    }
    int st = tc_core_report(self->core, "Exception in stream event of", (PyObject *)self);
    return st == TC_OK ? tc_stream_close(self, NULL) : st;
}

/* Sends what the event's handling corked, registers for what is wanted next, reports what went wrong. */
static int
event_end(StreamObject *self, bool corked, int st)
{
    PyObject *raised = st == TC_RAISED ? PyErr_GetRaisedException() : NULL;
    if (corked && tc_stream_uncork(self) == TC_RAISED) {
        st = TC_RAISED;
    }
    else if (raised == NULL && tc_stream_update(self) < 0) {
        st = TC_RAISED;
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    return st == TC_RAISED ? event_failed(self) : st;
}

static int
stream_event(tc_watcher *watcher, unsigned events)
{
    StreamObject *self = tc_container_of(watcher, StreamObject, watcher);
    Py_INCREF(self);
    tc_cork cork;
    bool corked = tc_stream_cork(self, &cork);
    int st = event_end(self, corked, event_handle(self, events));
    Py_DECREF(self);
    return st;
}

/* ---- work put off ---- */

static int
resume_run(tc_task *task)
{
    StreamObject *self = tc_container_of(task, StreamObject, resume_task);
    if (tc_train_is_over(self)) {
        tc_stream_resume_later(self); /* in the next turn */
        return TC_OK;
    }
    tc_train_go_on(self);
    tc_cork cork;
    bool corked = tc_stream_cork(self, &cork);
    int st = self->closed ? TC_OK : tc_stream_offer_buffered(self);
    if (st == TC_OK && !self->drained_socket && self->read_way != TC_IO_SOCKET &&
        tc_stream_wants_more(self) && !tc_stream_handshaking(self)) {
        st = event_read(self);
    }
    return event_end(self, corked, st);
}

void
tc_stream_resume_later(StreamObject *self)
{
    if (!tc_list_linked(&self->resume_task.link)) {
        self->resume_task.owner = Py_NewRef((PyObject *)self);
        tc_core_defer(self->core, &self->resume_task);
    }
}

void
tc_stream_init_watcher(StreamObject *self)
{
    self->watcher.cb = stream_event;
    self->watcher.fd = -1;
    tc_list_init(&self->resume_task.link);
    tc_list_init(&self->detached);
    self->resume_task.run = resume_run;
}
