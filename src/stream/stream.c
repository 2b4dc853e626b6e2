/* A stream's life: made over a socket, told of events by its watcher, closed once. Runs Python in events and
 * in close. */
#include "stream/stream.h"

#include "base/raise.h"

#include <sys/socket.h>
#include <unistd.h>

/* ---- interest ---- */

static unsigned
wanted_events(const StreamObject *self)
{
    unsigned events = 0;
    if (self->connecting || (self->writes != NULL && self->writes->size > 0)) {
        events |= TC_WRITE;
    }
    if (self->connecting) {
        return events;
    }
    if (self->consumer != NULL) {
        /* A paused consumer still wants to know that the peer left, as long as no bytes wait. */
        if (!self->paused || self->buf_len == 0) {
            events |= TC_READ;
        }
    }
    else if (tc_stream_is_reading(self) || (self->close_callback != NULL && self->buf_len == 0)) {
        events |= TC_READ;
    }
    return events;
}

static bool
has_interest(const StreamObject *self)
{
    return self->consumer != NULL || self->connecting || self->close_callback != NULL ||
           (self->writes != NULL && self->writes->size > 0) || tc_stream_is_reading(self);
}

static int
stream_unwatch(StreamObject *self)
{
    tc_core_unwatch(self->core, &self->watcher);
    PyObject *owner = self->watcher.owner;
    self->watcher.owner = NULL;
    Py_XDECREF(owner); /* callers hold a reference of their own */
    return 0;
}

int
tc_stream_update(StreamObject *self)
{
    if (self->closed) {
        return 0;
    }
    unsigned events = wanted_events(self);
    bool interest = has_interest(self);
    if (!self->watcher.registered && !interest) {
        return 0;
    }
    if (events == 0 && self->hung_up) {
        return stream_unwatch(self);
    }
    if ((!self->watcher.registered || self->watcher.events != events) &&
        tc_core_watch(self->core, &self->watcher, events) < 0) {
        return -1;
    }
    if (interest && self->watcher.owner == NULL) {
        self->watcher.owner = Py_NewRef((PyObject *)self);
    }
    else if (!interest && self->watcher.owner != NULL) {
        /* Callers hold a reference of their own. */
        self->watcher.owner = NULL;
        Py_DECREF(self);
    }
    return 0;
}

/* ---- events ---- */

/* A watched descriptor reports an error or a hang-up, which cannot be masked. A native consumer learns of it
 * at once. Python may come to read what the peer sent before it left, so without a reader the descriptor is
 * only no longer watched. */
static int
event_hangup(StreamObject *self, bool reader)
{
    if (self->consumer == NULL && !reader) {
        self->hung_up = true;
        return TC_OK; /* the update after this event acts on it */
    }
    int err = 0;
    socklen_t size = sizeof(err);
    if (getsockopt(self->watcher.fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) {
        err = errno;
    }
    return err != 0 ? tc_stream_close_errno(self, err) : tc_stream_close(self, NULL);
}

static int
event_handle(StreamObject *self, unsigned events)
{
    if (self->connecting && tc_stream_connected(self) == TC_RAISED) {
        return TC_RAISED;
    }
    bool reader = (self->consumer != NULL && !self->paused) || tc_stream_is_reading(self);
    if ((events & TC_READ) || (reader && (events & (TC_ERROR | TC_HUP)))) {
        self->drained_socket = false;
        if (!self->closed && tc_stream_readable(self) == TC_RAISED) {
            return TC_RAISED;
        }
    }
    if ((events & TC_WRITE) && !self->closed && tc_stream_writable(self) == TC_RAISED) {
        return TC_RAISED;
    }
    /* A reader finds the end by itself, once it has read everything before it. */
    if ((events & (TC_ERROR | TC_HUP)) && !self->closed &&
        (!reader || ((events & TC_ERROR) && self->drained_socket))) {
        return event_hangup(self, reader);
    }
    return TC_OK;
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
    if (st == TC_RAISED) {
        /* Nothing of ours raises for the peer's sake: what gets here is a defect or an interrupt. */
        st = tc_core_report(self->core, "Exception in stream event of", (PyObject *)self);
        if (st == TC_OK) {
            st = tc_stream_close(self, NULL);
        }
    }
    return st;
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

/* ---- native consumers ---- */

static int
resume_run(tc_task *task)
{
    StreamObject *self = tc_container_of(task, StreamObject, resume_task);
    tc_cork cork;
    bool corked = tc_stream_cork(self, &cork);
    int st = event_end(self, corked, self->closed ? TC_OK : tc_stream_offer_buffered(self));
    return st;
}

static void
resume_later(StreamObject *self)
{
    if (!tc_list_linked(&self->resume_task.link)) {
        self->resume_task.owner = Py_NewRef((PyObject *)self);
        tc_core_defer(self->core, &self->resume_task);
    }
}

int
tc_stream_set_consumer(StreamObject *self, const tc_consumer_class *cls, PyObject *consumer)
{
    assert(self->consumer == NULL && !tc_stream_is_reading(self));
    self->consumer_class = cls;
    self->consumer = Py_NewRef(consumer);
    self->paused = self->hung_up = false;
    if (self->buf_len > 0) {
        resume_later(self);
    }
    return tc_stream_update(self) < 0 ? TC_RAISED : TC_OK;
}

void
tc_stream_drop_consumer(StreamObject *self)
{
    self->consumer_class = NULL;
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
        self->paused = false;
        if (!self->reading_event && self->buf_len > 0) {
            resume_later(self);
        }
    }
}

/* ---- user callbacks ---- */

/* args: stream, callback[, data]. What a queued user callback's handle calls: an exception closes the stream
 * and goes on to the loop, as in Tornado 4. */
static PyObject *
run_user_callback(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    StreamObject *self = (StreamObject *)args[0];
    self->pending_callbacks--;
    PyObject *result = PyObject_Vectorcall(args[1], args + 2, (size_t)(nargs - 2), NULL);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyObject *exc = PyErr_GetRaisedException();
        PyErr_SetRaisedException(Py_NewRef(exc));
        tc_log_exception(self->state, "application", "Uncaught exception, closing connection.");
        if (tc_stream_close(self, exc) == TC_RAISED) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        PyErr_SetRaisedException(exc);
    }
    if (result != NULL && result != Py_None && PyCoro_CheckExact(result)) {
        Py_SETREF(result, tc_task_start(self->core, result));
    }
    PyObject *raised = result == NULL ? PyErr_GetRaisedException() : NULL;
    if (tc_stream_update(self) < 0 || tc_stream_maybe_run_close_callback(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        return NULL;
    }
    Py_XDECREF(result);
    Py_RETURN_NONE;
}

static PyMethodDef run_user_callback_def = {
    "run_stream_callback", (PyCFunction)(void (*)(void))run_user_callback, METH_FASTCALL,
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
    return 0;
}

/* ---- closing ---- */

PyObject *
tc_stream_closed_error(StreamObject *self)
{
    PyObject *cls = tc_face(self->state, StreamClosedError, "tornado_c.iostream");
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

int
tc_stream_maybe_run_close_callback(StreamObject *self)
{
    if (!self->closed || self->pending_callbacks > 0 || self->close_callback == NULL) {
        return TC_OK;
    }
    PyObject *callback = self->close_callback, *context = self->close_context;
    self->close_callback = self->close_context = NULL;
    int st = self->core->closed                                  ? TC_OK
             : tc_stream_call(self, callback, NULL, context) < 0 ? TC_RAISED
                                                                 : TC_OK;
    Py_DECREF(callback);
    Py_XDECREF(context);
    return st;
}

/* The descriptor goes: through the socket object where there is one, since that owns it then. */
static void
close_descriptor(StreamObject *self)
{
    int fd = self->watcher.fd;
    tc_core_unwatch(self->core, &self->watcher);
    self->watcher.fd = -1;
    if (self->socket == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    PyObject *socket = self->socket;
    self->socket = NULL;
    PyObject *result = PyObject_CallMethodNoArgs(socket, self->state->str_close);
    if (result == NULL) {
        PyErr_WriteUnraisable(socket);
    }
    Py_XDECREF(result);
    Py_DECREF(socket);
}

/* Pending Futures and callbacks learn that the stream is closed. */
static int
close_tell(StreamObject *self)
{
    PyObject *exc = NULL;
    bool somebody = tc_stream_is_reading(self) || self->connect_future != NULL ||
                    (self->writes != NULL && (self->writes->nwaiters > 0 || self->writes->size > 0));
    if (somebody) {
        exc = tc_stream_closed_error(self);
        if (exc == NULL) {
            return TC_RAISED;
        }
        tc_stream_read_closed(self, exc);
        tc_stream_write_closed(self, exc);
        if (self->connect_future != NULL) {
            tc_future_fail_quietly(self->state, self->connect_future, exc);
            Py_CLEAR(self->connect_future);
        }
        Py_DECREF(exc);
    }
    Py_CLEAR(self->connect_callback);
    Py_CLEAR(self->connect_context);
    int st = TC_OK;
    if (self->consumer != NULL) {
        PyObject *consumer = self->consumer;
        const tc_consumer_class *cls = self->consumer_class;
        self->consumer = NULL;
        self->consumer_class = NULL;
        st = cls->closed(consumer);
        Py_DECREF(consumer);
    }
    return tc_stream_maybe_run_close_callback(self) == TC_RAISED ? TC_RAISED : st;
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
    /* What was corked goes out first, as it would have without the cork. */
    if (self->cork != NULL && !self->connecting && tc_stream_flush(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    int st = TC_OK;
    if (!self->closed) { /* flushing may have found the connection broken */
        self->closed = true;
        self->connecting = false;
        tc_core_cancel_task(&self->resume_task);
        close_descriptor(self);
        st = close_tell(self);
    }
    PyObject *owner = self->watcher.owner;
    self->watcher.owner = NULL;
    Py_XDECREF(owner);
    Py_DECREF(self);
    return st;
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
    self->family = family;
    self->closed = false;
    return self;
}

void
tc_stream_init_watcher(StreamObject *self)
{
    self->watcher.cb = stream_event;
    self->watcher.fd = -1;
    tc_list_init(&self->resume_task.link);
    self->resume_task.run = resume_run;
}

int
tc_stream_init_callbacks(tc_state *state)
{
    state->stream_run_callback = PyCFunction_New(&run_user_callback_def, NULL);
    return state->stream_run_callback != NULL ? 0 : -1;
}
