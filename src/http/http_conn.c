/* The life of one client's connection: parses heads out of the stream's bytes, and after each response begins
 * the next request or closes. Only this file parses, in a loop, never nested: finish() inside the application
 * only sets a flag; from elsewhere it has the loop offer the buffered bytes again at the end of the turn.
 *
 * While a response is outstanding nothing is parsed: pipelined requests wait, and their responses keep their
 * order. Runs Python: the application. */
#include "base/log.h"
#include "event/ioloop.h"
#include "http/http_conn_parts.h"

/* ---- beginning and end ---- */

static void
conn_start_waiting(HttpConnObject *self)
{
    self->reading = CONN_HEAD;
    self->seen_idle = false;
    tc_timeout_start(&self->config->head_timeouts, &self->timeout);
}

void
tc_http_conn_drop_request(HttpConnObject *self)
{
    Py_CLEAR(self->request);
    Py_CLEAR(self->context);
    Py_CLEAR(self->close_callback);
    if (TC_UNLIKELY(self->incoming != NULL)) {
        tc_http_conn_drop_incoming(self);
    }
    tc_http_frame_reset(&self->frame);
}

int
tc_http_conn_close(HttpConnObject *self)
{
    if (tc_http_conn_is_over(self) || self->stream == NULL) {
        return 0;
    }
    return tc_stream_close(self->stream, NULL) == TC_RAISED ? -1 : 0;
}

void
tc_http_conn_leave(HttpConnObject *self, enum conn_reading reading)
{
    self->reading = (uint8_t)reading;
    tc_http_body_stop_clock(self);
    if (tc_list_linked(&self->link)) {
        tc_list_unlink(&self->link);
    }
}

/* In a later step, since the application may be on the stack. */
static int
conn_tell_closed(HttpConnObject *self, PyObject *callback)
{
    PyObject *handle = tc_ioloop_call_soon(self->stream->core, callback, self->context);
    Py_XDECREF(handle);
    return handle != NULL ? TC_OK : TC_RAISED;
}

int
tc_http_conn_set_close_callback(HttpConnObject *self, PyObject *callback)
{
    if (TC_LIKELY(!tc_http_conn_is_over(self))) {
        Py_XSETREF(self->close_callback, Py_XNewRef(callback));
        return 0;
    }
    Py_CLEAR(self->close_callback); /* it would never be called */
    bool due = callback != NULL && self->close_due && self->stream != NULL;
    self->close_due &= !due;
    return due && conn_tell_closed(self, callback) == TC_RAISED ? -1 : 0;
}

/* The stream is closed: notifies the application, drops everything. */
static int
conn_closed(PyObject *consumer)
{
    HttpConnObject *self = (HttpConnObject *)consumer;
    bool handling = self->reading == CONN_HANDLING && !tc_http_frame_is_done(&self->frame);
    tc_http_conn_leave(self, CONN_CLOSED);
    tc_http_conn_abandon(self);
    int st = TC_OK;
    PyObject *callback = self->close_callback;
    self->close_callback = NULL;
    self->close_due = handling && callback == NULL && self->dispatching;
    if (handling && callback != NULL) {
        st = conn_tell_closed(self, callback);
    }
    Py_XDECREF(callback);
    if (!self->dispatching) {
        tc_http_conn_drop_request(self);
    }
    return st;
}

/* While a request is handled or held nothing is read here, and the application may read: proxies for CONNECT,
 * upgrades. It also may in a call that is going to hold the client back. */
static bool
conn_lends(PyObject *consumer)
{
    HttpConnObject *self = (HttpConnObject *)consumer;
    bool in_call = self->reading == CONN_BODY && self->dispatching;
    if (self->reading != CONN_HANDLING && self->reading != CONN_HELD && !in_call) {
        return false;
    }
    tc_stream_pause(self->stream);
    return true;
}

bool
tc_http_conn_take_back(HttpConnObject *self)
{
    if (TC_LIKELY(!self->stream->paused)) {
        return true;
    }
    if (tc_http_conn_is_read_by_others(self)) {
        return false;
    }
    tc_stream_resume(self->stream);
    return true;
}

/* The stream is no longer HTTP's, and the request gets no further call. Callers hold a reference. */
static void
conn_release_stream(HttpConnObject *self)
{
    if (self->request != NULL) {
        Py_CLEAR(((RequestObject *)self->request)->held);
    }
    tc_http_conn_leave(self, CONN_DETACHED);
    tc_stream_drop_consumer(self->stream);
    self->stream->paused = false;
    tc_list_unlink(&self->stream->detached);
    tc_list_append(&self->config->detached, &self->stream->detached);
    if (!self->dispatching) {
        tc_http_conn_drop_request(self);
    }
}

static void
conn_lost(PyObject *consumer)
{
    PyObject *owner = Py_NewRef(consumer);
    conn_release_stream((HttpConnObject *)consumer);
    Py_DECREF(owner);
}

StreamObject *
tc_http_conn_detach(HttpConnObject *self)
{
    tc_http_conn_assert(self);
    if (tc_http_conn_is_over(self) || self->stream == NULL || self->stream->consumer != (PyObject *)self) {
        PyErr_SetString(PyExc_RuntimeError, "the connection is closed");
        return NULL;
    }
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
    conn_release_stream(self);
    return stream;
}

static int
conn_drained(PyObject *consumer)
{
    HttpConnObject *self = (HttpConnObject *)consumer;
    if (self->reading == CONN_ENDING) {
        return tc_http_conn_end(self) < 0 ? TC_RAISED : TC_OK;
    }
    if (self->reading == CONN_HANDLING && tc_http_frame_is_done(&self->frame) && !self->dispatching) {
        return tc_http_conn_response_done(self) < 0 ? TC_RAISED : TC_OK;
    }
    return TC_OK;
}

/* The application has finished its response, and reads what should be the next request: two readers are its
 * own mistake. */
bool
tc_http_conn_is_read_by_others(HttpConnObject *self)
{
    if (TC_LIKELY(self->stream->read == NULL)) {
        return false;
    }
    tc_stream_forget_cancelled(self->stream);
    if (!tc_stream_is_reading(self->stream)) {
        return false;
    }
    PyErr_SetString(PyExc_AssertionError, "Already reading");
    tc_log_exception(self->state, "general", "Uncaught exception");
    return true;
}

/* Forgetting the request may run what closes the connection: callers hold a reference. */
int
tc_http_conn_response_done(HttpConnObject *self)
{
    if (TC_UNLIKELY(tc_http_conn_is_receiving(self))) {
        tc_http_conn_abandon(self); /* the rest of the request is dropped */
        tc_http_body_stop_clock(self);
        self->reading = CONN_HANDLING;
        self->linger = true;
    }
    if (self->frame.closes) { /* not no_keep_alive: it may have been set after the client was promised more */
        self->linger |= self->config->draining; /* the client may have sent more before it could know */
        tc_http_conn_drop_request(self);
        return tc_http_conn_close_when_sent(self);
    }
    if (TC_UNLIKELY(tc_stream_queued(self->stream) > 0)) {
        return 0; /* the next request is not read before this is sent: conn_drained calls again */
    }
    tc_http_conn_drop_request(self);
    if (TC_UNLIKELY(tc_http_conn_is_over(self))) {
        return 0; /* closed by the release of the request */
    }
    if (tc_http_conn_is_read_by_others(self)) {
        return tc_http_conn_close(self);
    }
    conn_start_waiting(self);
    tc_stream_resume(self->stream);
    return 0;
}

/* ---- reading ---- */

static enum conn_step
conn_read_head(HttpConnObject *self, const char *data, size_t size, size_t *used)
{
    tc_http_head parsed;
    const char *head = data + *used;
    int st =
        tc_http_parse_head(&self->parser, head, size - *used, (size_t)self->config->max_header_size, &parsed);
    if (st == TC_AGAIN) {
        return STEP_WAIT;
    }
    self->parser.scanned = 0;
    if (TC_UNLIKELY(st < 0)) {
        int status = tc_http_conn_refuse(self, st, head, size - *used);
        *used = size;
        return status < 0 ? STEP_RAISED : STEP_STOP;
    }
    *used += parsed.size;
    tc_http_frame_begin(&self->frame, &parsed, self->config->no_keep_alive);
    return tc_http_conn_begin(self, &parsed, head, data, size, used);
}

static Py_ssize_t
conn_data(PyObject *consumer, const char *data, size_t size)
{
    HttpConnObject *self = (HttpConnObject *)consumer;
    tc_http_conn_assert(self);
    size_t used = 0;
    enum conn_step step = STEP_ON;
    while (step == STEP_ON && used < size) {
        if (tc_train_is_over(self->stream)) {
            tc_train_wait(self->stream);
            break;
        }
        if (TC_UNLIKELY(self->stream->inherited)) {
            break; /* the application has forked: what follows is for the parent to serve */
        }
        switch (self->reading) {
        case CONN_HEAD:
            step = conn_read_head(self, data, size, &used);
            break;
        case CONN_BODY:
            step = tc_http_body_read(self, data, size, &used);
            break;
        default:
            step = STEP_WAIT;
            break;
        }
    }
    if (TC_UNLIKELY(step == STEP_RAISED)) {
        return TC_CONSUMER_RAISED;
    }
    if (step == STEP_STOP) {
        /* What is left is dropped, unless the stream was detached, perhaps to TLS. */
        return (Py_ssize_t)(self->reading == CONN_DETACHED ? used : size);
    }
    if ((self->reading == CONN_HANDLING || self->reading == CONN_HELD) &&
        self->stream->consumer == consumer) {
        tc_stream_pause(self->stream);
    }
    return (Py_ssize_t)used;
}

Py_ssize_t
tc_http_conn_feed(HttpConnObject *self, const char *data, size_t size)
{
    return conn_data((PyObject *)self, data, size);
}

static const tc_consumer_class conn_consumer = {
    .data = conn_data,
    .drained = conn_drained,
    .closed = conn_closed,
    .lends = conn_lends,
    .lost = conn_lost,
};

/* ---- making ---- */

HttpConnObject *
tc_http_conn_new(HttpConfigObject *config, StreamObject *stream, PyTypeObject *type)
{
    HttpConnObject *self = (HttpConnObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = config->state;
    tc_http_frame_reset(&self->frame);
    self->config = (HttpConfigObject *)Py_NewRef((PyObject *)config);
    self->stream = (StreamObject *)Py_NewRef((PyObject *)stream);
    tc_list_init(&self->link);
    tc_list_init(&self->timeout.link);
    return self;
}

int
tc_http_conn_start(HttpConnObject *self)
{
    if (self->stream->closed) {
        self->reading = CONN_CLOSED;
        return 0;
    }
    if (tc_http_config_bind(self->config, self->stream->core) < 0) {
        self->reading = CONN_CLOSED;
        return -1;
    }
    tc_list_append(&self->config->connections, &self->link);
    conn_start_waiting(self);
    if (tc_stream_set_consumer(self->stream, &conn_consumer, (PyObject *)self) != TC_RAISED) {
        return 0;
    }
    PyObject *exc = PyErr_GetRaisedException();
    if (tc_http_conn_close(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_SetRaisedException(exc);
    return -1;
}

void
tc_http_conn_expired(tc_timeout *entry)
{
    HttpConnObject *self = tc_container_of(entry, HttpConnObject, timeout);
    Py_INCREF(self);
    if (tc_http_conn_is_receiving(self)) {
        tc_log(self->state, "general", "info", "Timeout reading body from %S", tc_http_conn_label(self));
    }
    if (tc_http_conn_close(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_DECREF(self);
}
