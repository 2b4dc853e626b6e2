/* See stream_linger.h. It is a consumer that takes the place of the stream's own, so that other streams have
 * no part in it. Runs Python: whatever closing a stream runs. */
#include "stream/stream_linger.h"

#include "stream/stream_parts.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

typedef struct {
    PyObject_HEAD StreamObject *stream; /* NULL once it is closed */
    PyObject *consumer;                 /* the stream's own, or NULL */
    const tc_consumer_class *consumer_class;
    tc_timer timer;
    size_t left; /* bytes that may still come */
} LingerObject;

static int
linger_clear(LingerObject *self)
{
    if (tc_timer_pending(&self->timer)) {
        tc_heap_remove(&self->stream->core->timers, &self->timer);
    }
    Py_CLEAR(self->stream);
    Py_CLEAR(self->consumer);
    return 0;
}

/* ---- the stream's consumer ---- */

static Py_ssize_t
linger_data(PyObject *consumer, const char *data, size_t size)
{
    LingerObject *self = (LingerObject *)consumer;
    bool over = size > self->left && self->stream != NULL; /* else the collector has been here */
    self->left -= tc_min_size(size, self->left);
    return over && tc_stream_close(self->stream, NULL) == TC_RAISED ? TC_CONSUMER_RAISED : (Py_ssize_t)size;
}

static int
linger_drained(PyObject *consumer)
{
    return TC_OK;
}

static int
linger_closed(PyObject *consumer)
{
    LingerObject *self = (LingerObject *)consumer;
    PyObject *last = Py_XNewRef(self->consumer);
    linger_clear(self);
    int st = last != NULL ? self->consumer_class->closed(last) : TC_OK;
    Py_XDECREF(last);
    return st;
}

static bool
linger_lends(PyObject *consumer)
{
    return false;
}

static void
linger_lost(PyObject *consumer)
{
    LingerObject *self = (LingerObject *)Py_NewRef(consumer);
    PyObject *last = Py_XNewRef(self->consumer);
    if (self->stream != NULL) {
        tc_stream_drop_consumer(self->stream);
    }
    linger_clear(self);
    if (last != NULL) {
        self->consumer_class->lost(last);
    }
    Py_XDECREF(last);
    Py_DECREF(self);
}

static const tc_consumer_class linger_consumer = {
    .data = linger_data,
    .drained = linger_drained,
    .closed = linger_closed,
    .lends = linger_lends,
    .lost = linger_lost,
};

/* ---- beginning and end ---- */

static void
linger_expired(tc_timer *timer)
{
    LingerObject *self = tc_container_of(timer, LingerObject, timer);
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
    if (tc_stream_close(stream, NULL) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)stream);
    }
    Py_DECREF(stream);
}

/* With its time running. NULL with an exception. */
static LingerObject *
linger_new(StreamObject *stream, double seconds, Py_ssize_t size)
{
    PyTypeObject *type = stream->state->stream_linger_type;
    LingerObject *self = (LingerObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->stream = (StreamObject *)Py_NewRef((PyObject *)stream);
    self->left = size > 0 ? (size_t)size : 0;
    self->timer.fire = linger_expired;
    if (tc_core_timer_set(stream->core, &self->timer, tc_core_time(stream->core) + seconds) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

static bool
end_output(StreamObject *self)
{
    if (self->tls != NULL) {
        tc_tls_say_goodbye(self);
    }
    return !self->closed && shutdown(self->watcher.fd, SHUT_WR) == 0;
}

int
tc_stream_linger(StreamObject *self, double seconds, Py_ssize_t size)
{
    if (self->closed || self->output_ended || !(seconds > 0.0)) {
        return !self->closed && self->output_ended;
    }
    LingerObject *linger = linger_new(self, seconds, size);
    if (linger == NULL) {
        return -1;
    }
    bool ended = end_output(self);
    if (!ended || self->output_ended) { /* by Python: in the loop's time(), in callbacks of the ssl module */
        Py_DECREF(linger);
        return ended;
    }
    linger->consumer = self->consumer;
    linger->consumer_class = self->consumer_class;
    self->output_ended = true;
    self->consumer = NULL;
    tc_stream_resume_later(self); /* what is buffered, and what OpenSSL had read */
    int st = tc_stream_set_consumer(self, &linger_consumer, (PyObject *)linger);
    Py_DECREF(linger);
    return st == TC_RAISED ? -1 : 1;
}

/* ---- whether there is reason to ---- */

bool
tc_stream_has_arrived(const StreamObject *self)
{
    int count = 0;
    return ioctl(self->watcher.fd, FIONREAD, &count) == 0 && count > 0;
}

bool
tc_stream_has_unread(const StreamObject *self)
{
    return (!self->reading_event && self->buf_len > 0) || (self->tls == NULL && tc_stream_has_arrived(self));
}

/* ---- the type ---- */

static int
linger_traverse(LingerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->stream);
    Py_VISIT(self->consumer);
    return 0;
}

static void
linger_dealloc(LingerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    linger_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot linger_slots[] = {
    {Py_tp_dealloc, linger_dealloc},
    {Py_tp_traverse, linger_traverse},
    {Py_tp_clear, linger_clear},
    {0, NULL},
};

static PyType_Spec linger_spec = {
    .name = "tornado_c._core.StreamLinger",
    .basicsize = sizeof(LingerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = linger_slots,
};

int
tc_stream_linger_init_type(PyObject *module, tc_state *state)
{
    state->stream_linger_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &linger_spec, NULL);
    return state->stream_linger_type != NULL ? 0 : -1;
}
