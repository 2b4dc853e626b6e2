/* Dates as HTTP writes them: the Date header of this second, for all loops of the process, and others. */
#ifndef TC_HTTP_DATE_TEXT_H
#define TC_HTTP_DATE_TEXT_H

#include "base/state.h"

/* A str, a new reference; NULL with an exception. Runs no Python. */
PyObject *tc_http_date_text(tc_state *state);

/* The text of a datetime that is in UTC or has no time zone, a new reference. NULL without an exception for
 * anything else. Runs no Python. */
PyObject *tc_http_datetime_text(PyObject *value);

/* The module's function datetime_text(value), with None for that. */
PyObject *tc_http_module_datetime_text(PyObject *unused, PyObject *value);

#endif
