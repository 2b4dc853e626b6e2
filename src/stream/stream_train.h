/* Messages that came together, for a stream's consumer: how many of them it may give to the application in
 * this turn of the loop, and whether their responses are sent together. See stream_train.c. */
#ifndef TC_STREAM_TRAIN_H
#define TC_STREAM_TRAIN_H

#include "stream/stream.h"

#define TC_TRAIN_CALLS 16  /* requests of one client in a turn */
#define TC_TRAIN_READS 64  /* reads of Python's: a message is often several */
#define TC_TRAIN_SPAN 1e-3 /* seconds that one client has in a turn */
#define TC_TRAIN_QUICK 8   /* short calls in a row after which the responses of a train join */

/* Messages that came together, in the turn of the loop at hand. */
struct tc_train {
    double began, last; /* the clock when it was first read in this turn, and latest; 0: not yet */
    uint32_t turn;      /* core->turn */
    uint32_t tick;      /* tc_clock_tick() at `last` */
    uint8_t calls;      /* messages that the application was given in it */
    uint8_t quick;      /* how many calls in a row were short */
    bool ahead;         /* a consumer has more input at hand than the message that it handles */
    bool unanswered;    /* a read of Python's was completed, and nothing written since */
    bool corked;        /* the stream's cork is the train's, and lasts until the turn's end */
    bool over;          /* a consumer has had its share */
    bool waits;         /* the rest of the input is for a later turn */
};

/* The slow parts of the two functions below. */
void tc_train_call_ahead(StreamObject *self, bool ahead);
int tc_train_measure(StreamObject *self);

/* Called before a consumer gives a message to the application, and afterwards (TC_OK or TC_RAISED).
 * `ahead`: it has more input at hand. The clock is read only in trains. */
static inline void
tc_train_call(StreamObject *self, bool ahead)
{
    if (TC_UNLIKELY(ahead || self->train != NULL)) {
        tc_train_call_ahead(self, ahead);
    }
}

static inline int
tc_train_called(StreamObject *self)
{
    tc_train *train = self->train;
    if (TC_LIKELY(train == NULL)) {
        return TC_OK;
    }
    train->ahead = false;
    train->over = ++train->calls >= TC_TRAIN_CALLS;
    return train->began != 0.0 ? tc_train_measure(self) : TC_OK;
}

/* The message is still being handled after the call has returned: what is written later joins nothing. */
static inline void
tc_train_call_lasts(StreamObject *self)
{
    if (self->train != NULL) {
        self->train->ahead = false;
    }
}

/* Whether a consumer has had its share of this turn. */
static inline bool
tc_train_is_over(const StreamObject *self)
{
    const tc_train *train = self->train;
    return TC_UNLIKELY(train != NULL && train->over) && train->turn == self->core->turn &&
           tc_stream_feeds(self);
}

/* The rest of the input waits for a later turn. */
void tc_train_wait(StreamObject *self);

static inline bool
tc_train_waits(const StreamObject *self)
{
    return TC_UNLIKELY(self->train != NULL) && self->train->waits;
}

/* The rest is offered now. */
static inline void
tc_train_go_on(StreamObject *self)
{
    if (self->train != NULL) {
        self->train->waits = false;
    }
}

/* The share of a turn begins again. */
void tc_train_begin(StreamObject *self);

/* Whether what a consumer writes now may be sent with the response to the next message. */
static inline bool
tc_train_joins(const StreamObject *self)
{
    return TC_UNLIKELY(self->train != NULL) && self->train->ahead && self->train->quick >= TC_TRAIN_QUICK;
}

#endif
