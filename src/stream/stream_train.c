/* Messages that came together, a train: how many of them are handled in one turn of the loop, and whether
 * their responses are sent together.
 *
 * A turn serves some messages of a train, or as many as take about a millisecond; the rest waits on the
 * loop's list of work put off, so that other descriptors and timers get their turn in between.
 *
 * A response that is ready must not wait for a handler that blocks. So responses are joined only if the input
 * after them was read already, and only once some calls of the application in a row were short; a long one
 * sends what is joined and takes the credit away. The clock is read only in trains; it costs as much as a
 * tenth of a pipelined request, so with a credit only where a cheaper clock, of some milliseconds, has
 * moved. */
#include "stream/stream_parts.h"

#define SHORT_CALL 2e-4  /* seconds */
#define SHORT_CALLS 8e-4 /* with a credit several calls are measured together */

void
tc_train_begin(StreamObject *self)
{
    tc_train *train = self->train;
    if (train != NULL) {
        train->turn = self->core->turn;
        train->calls = 0;
        train->over = false;
        train->began = train->last = 0.0;
    }
}

/* The stream's train; NULL without memory: then nothing is measured, and no responses are joined. */
static tc_train *
train_make(StreamObject *self)
{
    if (TC_UNLIKELY(self->train == NULL)) {
        self->train = PyMem_Calloc(1, sizeof(tc_train));
        tc_train_begin(self);
    }
    return self->train;
}

/* The first message of this turn is there. */
static void
train_start(StreamObject *self)
{
    tc_train *train = self->train;
    bool credit = train->quick == TC_TRAIN_QUICK && !self->core->own_time;
    train->began = train->last = credit ? self->core->now : tc_clock_now();
    train->tick = tc_clock_tick();
}

void
tc_train_call_ahead(StreamObject *self, bool ahead)
{
    tc_train *train = train_make(self);
    if (train == NULL) {
        return;
    }
    if (train->turn != self->core->turn) {
        tc_train_begin(self);
    }
    train->ahead = ahead;
    if (ahead && train->began == 0.0) {
        train_start(self);
    }
}

/* A call of the application has ended. */
int
tc_train_measure(StreamObject *self)
{
    tc_train *train = self->train;
    bool credit = train->quick == TC_TRAIN_QUICK;
    uint32_t tick = tc_clock_tick();
    if (TC_LIKELY(credit && tick == train->tick)) {
        return TC_OK;
    }
    double now = tc_clock_now(), took = now - train->last;
    train->last = now;
    train->tick = tick;
    train->over |= now - train->began >= TC_TRAIN_SPAN;
    if (TC_LIKELY(took < (credit ? SHORT_CALLS : SHORT_CALL))) {
        train->quick += !credit;
        return TC_OK;
    }
    train->quick = 0;
    return tc_stream_flush(self);
}

void
tc_train_wait(StreamObject *self)
{
    if (train_make(self) != NULL) {
        self->train->waits = true;
    }
    tc_stream_resume_later(self);
}

/* ---- coroutines, which read and write by themselves ---- */

int
tc_train_read(StreamObject *self)
{
    tc_train *train = self->train;
    if (TC_LIKELY(train == NULL)) {
        if (self->closed || self->buf_len == 0 || (train = train_make(self)) == NULL) {
            return TC_OK;
        }
    }
    if (train->turn != self->core->turn) {
        if (train->last != 0.0) {
            train->quick = 0; /* the reader of the last message has waited for something else */
        }
        tc_train_begin(self);
    }
    bool at_hand = self->buf_len > 0 || (train->calls > 0 && !self->drained_socket);
    if (self->closed || (!at_hand && train->last == 0.0)) {
        return TC_OK;
    }
    if (train->last == 0.0) {
        double began = train->began;
        train_start(self);
        train->began = began != 0.0 ? began : train->began;
    }
    else if (tc_train_measure(self) == TC_RAISED) {
        return TC_RAISED;
    }
    if (!at_hand || (train->calls < TC_TRAIN_READS && train->last - train->began < TC_TRAIN_SPAN)) {
        return TC_OK;
    }
    /* Put off, if a loop will continue with it. */
    return self->core->running || self->core->host != NULL ? TC_AGAIN : TC_OK;
}

void
tc_train_read_done(StreamObject *self)
{
    tc_train *train = self->train;
    if (train != NULL ||
        ((self->buf_len > 0 || !self->drained_socket) && (train = train_make(self)) != NULL)) {
        train->calls += train->calls < UINT8_MAX;
    }
}

/* One write for each message. In a guest the turns are the host's, which we do not see; and a hook is called,
 * and its errors raised, in the write itself. */
bool
tc_train_write(StreamObject *self)
{
    tc_train *train = self->train;
    if (TC_LIKELY(train == NULL)) {
        return false;
    }
    if (TC_LIKELY(train->quick < TC_TRAIN_QUICK || !train->unanswered || self->buf_len == 0)) {
        return train->ahead && train->quick >= TC_TRAIN_QUICK;
    }
    LoopCore *core = self->core;
    train->unanswered = false;
    if (!core->running || core->host != NULL || tc_stream_feeds(self)) {
        return false;
    }
    tc_stream_resolve(self);
    if (self->write_way == TC_IO_HOOK) {
        return false;
    }
    return self->cork != NULL || (tc_stream_can_send(self) && tc_stream_cork_train(self));
}
