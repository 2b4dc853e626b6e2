/* Futures, of which most are exactly asyncio's. Runs Python where one is not. */
#ifndef TC_FUTURE_H
#define TC_FUTURE_H

#include "base/state.h"

/* Also true where it cannot be known. */
bool tc_future_is_done(tc_state *state, PyObject *future);

/* future.set_exception(exc) where it is not done, marked as retrieved so that nothing is logged about it. */
void tc_future_fail_quietly(tc_state *state, PyObject *future, PyObject *exc);

/* For the module's init; 0 or -1. */
int tc_future_init_methods(tc_state *state);

/* future.set_result(value), for a Future that only the caller has, so that it cannot be done. */
void tc_future_resolve_new(tc_state *state, PyObject *future, PyObject *value);

/* The same where it is not done or cancelled. */
void tc_future_resolve(tc_state *state, PyObject *future, PyObject *value);

#endif
