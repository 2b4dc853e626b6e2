/* What execute.c, execute_start.c and execution_type.c share: the steps of a request, and the coroutine that continues them
 * after the first await. */
#ifndef TC_EXECUTION_H
#define TC_EXECUTION_H

#include "web/handler.h"

enum tc_execute_phase {
    TC_PHASE_START,    /* nothing done */
    TC_PHASE_PREPARED, /* prepare() is done */
    TC_PHASE_RECEIVED, /* so is the wait for a streamed body, or has begun */
    TC_PHASE_RETURNED, /* the method is done */
};

/* execute_start.c */

/* Everything up to prepare(), whose result it returns; NULL with an exception. */
PyObject *tc_execute_start(HandlerObject *self, PyObject *path_args, PyObject *path_kwargs);

/* execute.c */

/* Runs the rest from `phase`, in a Task where something must be awaited. 0 or -1. */
int tc_execute_run(HandlerObject *self, int phase, PyObject *path_args, PyObject *path_kwargs);

/* Continues from *phase: 0 when the handler is done, 1 when *awaitable (new) must be awaited first, -1. */
int tc_execute_advance(HandlerObject *self, int *phase, PyObject *path_args, PyObject *path_kwargs,
                       PyObject **awaitable);

/* Handles the exception that is set, as _execute's except clause does: 0, or -1 if it propagates. */
int tc_execute_fail(HandlerObject *self);

/* streamed.c */

/* For a new handler that has its body streamed: 0 or -1. */
int tc_streamed_begin(HandlerObject *self);

/* The slow part of the next. */
void tc_streamed_resolve_prepared(HandlerObject *self);

/* prepare() is done, or has failed: a streamed body may come. */
static inline void
tc_streamed_prepared(HandlerObject *self)
{
    if (TC_UNLIKELY(self->prepared_future != NULL)) {
        tc_streamed_resolve_prepared(self);
    }
}

/* What a prepared handler waits for: 1, with *body NULL where the body is there, else what is to be awaited;
 * 0 where the body will not come; -1. */
int tc_streamed_wait(HandlerObject *self, PyObject **body);

/* Whether the exception that is set says that the body will not come; it is cleared then. */
bool tc_streamed_is_lost(HandlerObject *self);

/* execution_type.c */

/* A coroutine that has nothing to run yet. NULL with an exception. */
PyObject *tc_execution_new(tc_state *state);

/* Has it continue after `phase` when `inner`, an iterator (stolen), has ended. */
void tc_execution_arm(PyObject *execution, HandlerObject *handler, int phase, PyObject *inner);

#endif
