/* Header names in the case that HTTPHeaders keeps them in: "coNtent-TYPE" -> "Content-Type". */
#ifndef TC_HEADERS_NAMES_H
#define TC_HEADERS_NAMES_H

#include "base/state.h"

/* The normalised form of any object given as a header name, a new reference. May run Python: a name that is
 * not an ASCII str, and every name while httputil._normalize_header is replaced, goes to that function. */
PyObject *tc_names_normalize(tc_state *state, PyObject *name);

/* The same for the bytes of a name that is known to be a token (RFC 9110), so ASCII. */
PyObject *tc_names_normalize_token(tc_state *state, const char *raw, size_t size);

/* Whether an ASCII str is in normalised form already; false also if memory runs out. Must not be called while
 * names are replaced. Runs no Python. */
bool tc_names_is_normal(tc_state *state, PyObject *name);

/* True while httputil._normalize_header is another function than the one registered. */
bool tc_names_replaced(tc_state *state);

#endif
