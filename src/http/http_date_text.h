/* The Date header of this second, for all loops of the process. */
#ifndef TC_HTTP_DATE_TEXT_H
#define TC_HTTP_DATE_TEXT_H

#include "base/state.h"

/* A str, a new reference; NULL with an exception. Runs no Python. */
PyObject *tc_http_date_text(tc_state *state);

#endif
