/* How a Handle of ours is laid out, for handle_type.c and handle_run.c: asyncio's slots, HandleExtra behind
 * them. Python can put anything into the slots, and delete them: each is checked where it is used. */
#ifndef TC_HANDLE_H
#define TC_HANDLE_H

#include "event/core.h"

/* Offsets in the standard library's classes: integers, the same in every interpreter. */
typedef struct {
    Py_ssize_t callback, args, cancelled, loop, source_traceback, repr, context, weakrefs, when, scheduled,
        extra;
} tc_handle_layout;

extern tc_handle_layout tc_handle_slots __attribute__((visibility("hidden")));

typedef struct {
    PyObject *arg0, *arg1;
    int nargs;       /* -1: they are in the slot _args */
    tc_state *state; /* borrowed: our type keeps it; NULL in a handle that Python made */
    LoopCore *core;  /* borrowed: only to be used while the timer is pending, in this loop's heap */
    tc_timer timer;
} HandleExtra;

#define SLOT(handle, field) (*(PyObject **)((char *)(handle) + tc_handle_slots.field))
#define EXTRA(handle) ((HandleExtra *)((char *)(handle) + tc_handle_slots.extra))

static inline bool
tc_handle_is_ours(const tc_state *state, PyObject *handle)
{
    return Py_TYPE(handle) == state->handle_type || Py_TYPE(handle) == state->timer_handle_type;
}

#endif
