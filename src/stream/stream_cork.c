/* Output that is joined before it is sent: that of one event of ours in the loop's scratch buffer, which is
 * sent when the event's handling ends, or earlier where the application may rely on it; and the responses of
 * a train that a coroutine reads. A large piece is sent at once after what is corked, by reference. Runs
 * Python where sending does. */
#include "stream/stream_parts.h"

#define CORK_SIZE 65536

/* What is being sent has left the cork, memory and all: during the send a hook, or a callback of a stream
 * that turns out to be broken, may write, and that goes after it. `data` (or NULL) is sent with it. */
static int
cork_send(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    tc_cork *cork = self->cork;
    char *joined = cork->data;
    size_t joined_size = cork->size, cap = cork->cap;
    bool own = cork->own;
    cork->data = NULL;
    cork->size = cork->cap = 0;
    int st = tc_stream_send_or_queue(self, joined, joined_size, data, size, owner);
    if (TC_LIKELY(self->cork == cork && cork->data == NULL)) {
        cork->data = joined;
        cork->cap = cap;
        cork->own = own;
    }
    else if (joined != NULL) {
        tc_scratch_return(&self->core->output, joined, own);
    }
    return st;
}

int
tc_stream_flush(StreamObject *self)
{
    if (self->cork == NULL || self->cork->size == 0) {
        return TC_OK;
    }
    if (TC_UNLIKELY(self->closed)) {
        self->cork->size = 0;
        return TC_OK;
    }
    return cork_send(self, NULL, 0, NULL);
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
    size_t size = cork->size;
    self->cork = NULL; /* what a hook writes during this goes after it */
    int st =
        size > 0 && !self->closed ? tc_stream_send_or_queue(self, cork->data, size, NULL, 0, NULL) : TC_OK;
    if (cork->data != NULL) {
        tc_scratch_return(&self->core->output, cork->data, cork->own);
    }
    return st;
}

/* Memory for `size` bytes after those that are corked. 0, or -1 with MemoryError. */
static int
cork_grow(StreamObject *self, tc_cork *cork, size_t size)
{
    size_t cap = cork->size + size;
    if (cork->data == NULL) {
        cap = cap > CORK_SIZE ? cap : CORK_SIZE;
        cork->data = tc_scratch_take(&self->core->output, cap, &cork->own);
        if (cork->data == NULL) {
            return -1;
        }
        cork->cap = cork->own ? cap : self->core->output.size;
        return 0;
    }
    char *data = PyMem_RawRealloc(cork->data, cap);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    cork->data = data;
    cork->cap = cap;
    if (!cork->own) {
        self->core->output.data = data;
        self->core->output.size = cap;
    }
    return 0;
}

/* Appends to the cork. TC_OK, even if sending what was there has closed the stream; TC_RAISED. */
static int
cork_append(StreamObject *self, const char *data, size_t size)
{
    tc_cork *cork = self->cork;
    if (TC_UNLIKELY(cork->cap - cork->size < size)) {
        /* Full: send what there is rather than grow. */
        if (cork->size > 0 && cork_send(self, NULL, 0, NULL) == TC_RAISED) {
            return TC_RAISED;
        }
        if (self->closed) {
            return TC_OK;
        }
        if (self->cork != cork) { /* a write during the send has ended the joining */
            return tc_stream_write(self, data, size, NULL);
        }
        if (cork->cap - cork->size < size && cork_grow(self, cork, size) < 0) {
            return TC_RAISED;
        }
    }
    memcpy(cork->data + cork->size, data, size);
    cork->size += size;
    return TC_OK;
}

int
tc_stream_cork_write(StreamObject *self, const char *data, size_t size, PyObject *owner)
{
    return size < TC_STREAM_BY_REFERENCE ? cork_append(self, data, size) : cork_send(self, data, size, owner);
}

/* ---- the responses of a train ---- */

/* A cork from the first response that joins to the turn's end. */
typedef struct {
    tc_cork cork;
    tc_task task;
    StreamObject *stream; /* kept alive by the task */
} train_cork;

static train_cork *
train_cork_of(StreamObject *self)
{
    return tc_container_of(self->cork, train_cork, cork);
}

static int
train_cork_end(StreamObject *self)
{
    train_cork *joined = train_cork_of(self);
    self->train->corked = false;
    int st = tc_stream_uncork(self);
    PyMem_Free(joined);
    return st;
}

static int
train_cork_run(tc_task *task)
{
    train_cork *joined = tc_container_of(task, train_cork, task);
    StreamObject *self = joined->stream;
    if (train_cork_end(self) == TC_RAISED) {
        return tc_core_report(self->core, "Exception in writing to", (PyObject *)self);
    }
    return TC_OK;
}

int
tc_stream_end_train(StreamObject *self)
{
    if (self->train == NULL || !self->train->corked) {
        return TC_OK;
    }
    PyObject *owner = Py_NewRef((PyObject *)self);
    tc_core_cancel_task(&train_cork_of(self)->task);
    int st = train_cork_end(self);
    Py_DECREF(owner);
    return st;
}

void
tc_stream_drop_cork(StreamObject *self)
{
    if (self->train != NULL && self->train->corked) {
        self->cork->size = 0;
        train_cork_end(self);
    }
}

bool
tc_stream_cork_train(StreamObject *self)
{
    train_cork *joined = PyMem_Calloc(1, sizeof(train_cork));
    if (joined == NULL) {
        return false;
    }
    tc_list_init(&joined->task.link);
    joined->task.run = train_cork_run;
    joined->task.owner = Py_NewRef((PyObject *)self);
    joined->stream = self;
    tc_core_defer_flush(self->core, &joined->task);
    tc_stream_cork(self, &joined->cork);
    self->train->corked = true;
    return true;
}
