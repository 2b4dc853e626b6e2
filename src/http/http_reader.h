/* What the rest of C and the module see of http_reader_type.c. */
#ifndef TC_HTTP_READER_H
#define TC_HTTP_READER_H

#include "state.h"

/* The module's function format_head(first_line, headers). */
PyObject *tc_http_format_head(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
