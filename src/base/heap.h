/* The timer heap: a binary heap whose entries know their place, so that a cancelled timer leaves at once
 * in O(log n). Timers with equal deadlines fire in the order in which they were added. Plain C. */
#ifndef TC_HEAP_H
#define TC_HEAP_H

#include "base/base.h"

typedef struct tc_timer tc_timer;
struct tc_timer {
    double when;                   /* deadline on the loop's clock, seconds; not NaN, which has no order */
    uint64_t seq;                  /* order of insertion, for equal deadlines */
    size_t place;                  /* index in the heap + 1; 0 while not scheduled */
    void (*fire)(tc_timer *timer); /* called by the loop after the timer left the heap */
};

typedef struct {
    tc_timer **items;
    size_t size, cap;
    uint64_t seq;
} tc_heap;

static inline bool
tc_timer_pending(const tc_timer *timer)
{
    return timer->place != 0;
}

/* Adds a timer that is not in a heap, at timer->when. -ENOMEM leaves everything as it was. */
int tc_heap_push(tc_heap *heap, tc_timer *timer);

/* Takes a timer out; nothing happens if it is not in the heap. */
void tc_heap_remove(tc_heap *heap, tc_timer *timer);

/* The timer with the earliest deadline, or NULL. */
static inline tc_timer *
tc_heap_first(const tc_heap *heap)
{
    return heap->size != 0 ? heap->items[0] : NULL;
}

void tc_heap_free(tc_heap *heap);

#endif
