/* The fields of a query or of a form of the type application/x-www-form-urlencoded, and their encoding. */
#ifndef TC_HTTP_FIELDS_H
#define TC_HTTP_FIELDS_H

#include "base/compat.h"

/* The names, as Latin-1 text, and their values, bytes in a list: a new dict. Fields without a value count
 * only if keep_blank. */
PyObject *tc_http_fields(const char *text, size_t size, bool keep_blank);

/* The bytes that text with %XX stands for: a new bytes object. */
PyObject *tc_http_unquote(const char *text, size_t size);

/* The module's functions parse_fields(data, keep_blank_values) and unquote_to_bytes(data). */
PyObject *tc_http_parse_fields(PyObject *unused, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_http_unquote_bytes(PyObject *unused, PyObject *data);

#endif
