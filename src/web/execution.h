/* What execute.c and execution_type.c share: the steps of a request, and the coroutine that continues them
 * after the first await. */
#ifndef TC_EXECUTION_H
#define TC_EXECUTION_H

#include "web/handler.h"

enum tc_execute_phase {
    TC_PHASE_START,    /* nothing done */
    TC_PHASE_PREPARED, /* prepare() is done */
    TC_PHASE_RETURNED, /* the method is done */
};

/* execute.c */

/* Continues from *phase: 0 when the handler is done, 1 when *awaitable (new) must be awaited first, -1. */
int tc_execute_advance(HandlerObject *self, int *phase, PyObject *path_args, PyObject *path_kwargs,
                       PyObject **awaitable);

/* Handles the exception that is set, as _execute's except clause does: 0, or -1 if it propagates. */
int tc_execute_fail(HandlerObject *self);

/* execution_type.c */

/* The iterator behind `await awaitable`. */
PyObject *tc_execution_iterator(PyObject *awaitable);

/* A coroutine that continues after `phase` when `inner`, an iterator (stolen even on failure), has ended. */
PyObject *tc_execution_new(HandlerObject *handler, int phase, PyObject *inner);

#endif
