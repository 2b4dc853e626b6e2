/* See heap.h. Plain C. */
#include "base/heap.h"

#include <stdlib.h>

static inline bool
timer_before(const tc_timer *a, const tc_timer *b)
{
    return a->when < b->when || (a->when == b->when && a->seq < b->seq);
}

static inline void
heap_put(tc_heap *heap, size_t i, tc_timer *timer)
{
    heap->items[i] = timer;
    timer->place = i + 1;
}

static void
heap_sift_up(tc_heap *heap, size_t i, tc_timer *timer)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!timer_before(timer, heap->items[parent])) {
            break;
        }
        heap_put(heap, i, heap->items[parent]);
        i = parent;
    }
    heap_put(heap, i, timer);
}

static void
heap_sift_down(tc_heap *heap, size_t i, tc_timer *timer)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->size) {
            break;
        }
        if (child + 1 < heap->size && timer_before(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!timer_before(heap->items[child], timer)) {
            break;
        }
        heap_put(heap, i, heap->items[child]);
        i = child;
    }
    heap_put(heap, i, timer);
}

int
tc_heap_push(tc_heap *heap, tc_timer *timer)
{
    assert(timer->place == 0);
    if (heap->size == heap->cap) {
        size_t cap = heap->cap != 0 ? heap->cap * 2 : 32;
        tc_timer **items = realloc(heap->items, cap * sizeof(*items));
        if (items == NULL) {
            return -ENOMEM;
        }
        heap->items = items;
        heap->cap = cap;
    }
    timer->seq = heap->seq++;
    heap_sift_up(heap, heap->size++, timer);
    return TC_OK;
}

void
tc_heap_remove(tc_heap *heap, tc_timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    size_t i = timer->place - 1;
    assert(i < heap->size && heap->items[i] == timer);
    timer->place = 0;
    tc_timer *last = heap->items[--heap->size];
    if (last == timer) {
        return;
    }
    if (i > 0 && timer_before(last, heap->items[(i - 1) / 2])) {
        heap_sift_up(heap, i, last);
    }
    else {
        heap_sift_down(heap, i, last);
    }
}

void
tc_heap_free(tc_heap *heap)
{
    for (size_t i = 0; i < heap->size; i++) {
        heap->items[i]->place = 0;
    }
    free(heap->items);
    memset(heap, 0, sizeof(*heap));
}
