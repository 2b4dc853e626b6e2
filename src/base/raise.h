/* Turns the errors of plain C into Python exceptions. Runs Python. */
#ifndef TC_RAISE_H
#define TC_RAISE_H

#include "base/state.h"

/* An OSError (of the right subclass) for an errno; NULL with another exception set. */
PyObject *tc_oserror_new(int err);

/* Whether an exception is an OSError that means "the peer is gone" (ECONNRESET, ECONNABORTED, EPIPE,
 * ETIMEDOUT). */
bool tc_error_is_connreset(tc_state *state, PyObject *exc);

#endif
