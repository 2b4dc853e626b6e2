/* Where plain C's statuses become Python's exceptions and log lines. All of it runs Python. */
#ifndef TC_RAISE_H
#define TC_RAISE_H

#include "base/state.h"

/* An OSError (of the right subclass) for an errno; NULL with another exception set. */
PyObject *tc_oserror_new(int err);

/* Whether an exception is an OSError that means "the peer is gone" (ECONNRESET, ECONNABORTED, EPIPE,
 * ETIMEDOUT). */
bool tc_error_is_connreset(tc_state *state, PyObject *exc);

/* logging.getLogger("tornado." + name).<level>(text), the text made by PyUnicode_FromFormat. With an
 * exception set before the call it is logged as exc_info and cleared. Failures of logging are reported as
 * unraisable. */
void tc_log(tc_state *state, const char *logger, const char *level, const char *format, ...);
void tc_log_exception(tc_state *state, const char *logger, const char *format, ...);

/* Also true where it cannot say. */
bool tc_future_is_done(tc_state *state, PyObject *future);

/* future.set_exception(exc) where it is not done, marked as retrieved so that nothing is logged about it. */
void tc_future_fail_quietly(tc_state *state, PyObject *future, PyObject *exc);

/* For the module's init; 0 or -1. */
int tc_future_init_methods(tc_state *state);

/* future.set_result(value); for a Future that nobody else has seen, so that it cannot be done. */
void tc_future_resolve_new(tc_state *state, PyObject *future, PyObject *value);

/* The same where it is not done or cancelled. */
void tc_future_resolve(tc_state *state, PyObject *future, PyObject *value);

#endif
