/* The ready queue: a growing ring of handles that run in a coming turn. Owns its entries. */
#ifndef TC_READY_H
#define TC_READY_H

#include "base/compat.h"

typedef struct {
    PyObject **items;
    size_t cap; /* a power of two, or 0 */
    size_t head, size;
} tc_ready;

/* Makes room for one more; -1 with MemoryError set. */
static inline int
tc_ready_grow(tc_ready *ready)
{
    size_t cap = ready->cap != 0 ? ready->cap * 2 : 64;
    PyObject **items = PyMem_Malloc(cap * sizeof(*items));
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < ready->size; i++) {
        items[i] = ready->items[(ready->head + i) & (ready->cap - 1)];
    }
    PyMem_Free(ready->items);
    ready->items = items;
    ready->cap = cap;
    ready->head = 0;
    return 0;
}

/* Steals `handle`, also when it fails. */
static inline int
tc_ready_push(tc_ready *ready, PyObject *handle)
{
    if (TC_UNLIKELY(ready->size == ready->cap) && tc_ready_grow(ready) < 0) {
        Py_DECREF(handle);
        return -1;
    }
    ready->items[(ready->head + ready->size++) & (ready->cap - 1)] = handle;
    return 0;
}

/* The oldest entry, owned by the caller; NULL when empty. */
static inline PyObject *
tc_ready_pop(tc_ready *ready)
{
    if (ready->size == 0) {
        return NULL;
    }
    PyObject *handle = ready->items[ready->head];
    ready->head = (ready->head + 1) & (ready->cap - 1);
    ready->size--;
    return handle;
}

/* The same at the other end of the queue. */
static inline int
tc_ready_push_first(tc_ready *ready, PyObject *handle)
{
    if (TC_UNLIKELY(ready->size == ready->cap) && tc_ready_grow(ready) < 0) {
        Py_DECREF(handle);
        return -1;
    }
    ready->head = (ready->head - 1) & (ready->cap - 1);
    ready->items[ready->head] = handle;
    ready->size++;
    return 0;
}

static inline PyObject *
tc_ready_pop_last(tc_ready *ready)
{
    return ready->size != 0 ? ready->items[(ready->head + --ready->size) & (ready->cap - 1)] : NULL;
}

static inline PyObject * /* borrowed */
tc_ready_at(const tc_ready *ready, size_t i)
{
    return ready->items[(ready->head + i) & (ready->cap - 1)];
}

static inline void
tc_ready_clear(tc_ready *ready)
{
    PyObject *handle;
    while ((handle = tc_ready_pop(ready)) != NULL) {
        Py_DECREF(handle);
    }
    PyMem_Free(ready->items);
    memset(ready, 0, sizeof(*ready));
}

#endif
