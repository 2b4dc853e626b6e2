/* The timer heap under random operations, against a sorted list. */
#include "base/heap.h"
#include "check.h"

enum { TIMERS = 200, STEPS = 200000 };

static uint32_t seed = 12345;

static uint32_t
draw(uint32_t bound)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % bound;
}

/* The oracle: which pending timer has the smallest (when, order of insertion)? */
static tc_timer *
first_by_search(tc_timer *timers)
{
    tc_timer *first = NULL;
    for (int i = 0; i < TIMERS; i++) {
        tc_timer *t = &timers[i];
        if (tc_timer_pending(t) &&
            (first == NULL || t->when < first->when || (t->when == first->when && t->seq < first->seq))) {
            first = t;
        }
    }
    return first;
}

static void
test_random_operations(void)
{
    tc_heap heap = {0};
    tc_timer *timers = calloc(TIMERS, sizeof(*timers));
    size_t pending = 0;
    for (int step = 0; step < STEPS && check_failures == 0; step++) {
        tc_timer *t = &timers[draw(TIMERS)];
        switch (draw(4)) {
        case 0:
        case 1:
            if (!tc_timer_pending(t)) {
                t->when = draw(50); /* many equal ones */
                CHECK_INT(tc_heap_push(&heap, t), TC_OK);
                pending++;
            }
            break;
        case 2:
            pending -= tc_timer_pending(t);
            tc_heap_remove(&heap, t);
            break;
        default:
            if (tc_heap_first(&heap) != NULL) {
                tc_heap_remove(&heap, tc_heap_first(&heap));
                pending--;
            }
        }
        CHECK_INT(heap.size, pending);
        CHECK(tc_heap_first(&heap) == first_by_search(timers));
    }
    tc_heap_free(&heap);
    for (int i = 0; i < TIMERS; i++) {
        CHECK(!tc_timer_pending(&timers[i]));
    }
    free(timers);
}

static void
test_equal_deadlines_keep_their_order(void)
{
    tc_heap heap = {0};
    tc_timer timers[1000] = {0};
    for (int i = 0; i < 1000; i++) {
        timers[i].when = 1.0;
        tc_heap_push(&heap, &timers[i]);
    }
    for (int i = 1; i < 1000; i += 2) {
        tc_heap_remove(&heap, &timers[i]);
    }
    for (int i = 0; i < 1000; i += 2) {
        CHECK(tc_heap_first(&heap) == &timers[i]);
        tc_heap_remove(&heap, &timers[i]);
    }
    CHECK(tc_heap_first(&heap) == NULL);
    tc_heap_remove(&heap, &timers[0]); /* no longer in: nothing happens */
    tc_heap_free(&heap);
}

int
main(void)
{
    RUN(test_random_operations);
    RUN(test_equal_deadlines_keep_their_order);
    return check_report();
}
