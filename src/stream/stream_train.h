/* Messages that came together, for a stream's consumer: how many of them it may give to the application in this
 * turn of the loop, and whether their answers leave together. See stream_train.c. */
#ifndef TC_STREAM_TRAIN_H
#define TC_STREAM_TRAIN_H

#include "stream/stream.h"

#define TC_TRAIN_CALLS 16  /* requests of one client in a turn */
#define TC_TRAIN_READS 64  /* reads of Python's: a message is often several */
#define TC_TRAIN_SPAN 1e-3 /* seconds that one client has in a turn */
#define TC_TRAIN_QUICK 8   /* short calls in a row that make the answers of a train join */

void tc_train_start(StreamObject *self);
int tc_train_measure(StreamObject *self);

static inline void
tc_train_begin(StreamObject *self)
{
    self->train.turn = self->core->turn;
    self->train.calls = 0;
    self->train.over = false;
    self->train.began = self->train.last = 0.0;
}

/* To be called before a consumer gives a message to the application, and afterwards (TC_OK or TC_RAISED).
 * `ahead`: it has more input at hand. The clock is read only in trains. */
static inline void
tc_train_call(StreamObject *self, bool ahead)
{
    tc_train *train = &self->train;
    if (train->turn != self->core->turn) {
        tc_train_begin(self);
    }
    train->ahead = ahead;
    if (ahead && train->began == 0.0) {
        tc_train_start(self);
    }
}

static inline int
tc_train_called(StreamObject *self)
{
    self->train.ahead = false;
    self->train.over = ++self->train.calls >= TC_TRAIN_CALLS;
    return self->train.began != 0.0 ? tc_train_measure(self) : TC_OK;
}

/* Whether a consumer has had its share of this turn. */
static inline bool
tc_train_is_over(const StreamObject *self)
{
    return TC_UNLIKELY(self->train.over) && self->train.turn == self->core->turn && tc_stream_feeds(self);
}

/* The rest of the input waits for a later turn. */
void tc_train_wait(StreamObject *self);

/* Whether what a consumer writes now may leave with the answer to the message behind. */
static inline bool
tc_train_joins(const StreamObject *self)
{
    return self->train.ahead && self->train.quick >= TC_TRAIN_QUICK;
}

#endif
