/* HTTPHeaders for C: its instances are made, read and written out here without a Python frame.
 *
 * "Plain" below is an instance of a subclass of HeadersBase that has not overridden what the function would
 * use. For anything else the functions call the object's own methods: correct, but slow. A method replaced on
 * a single instance is not looked for. */
#ifndef TC_HEADERS_H
#define TC_HEADERS_H

#include "base/buf.h"
#include "base/state.h"

/* A new HTTPHeaders over a copy of a raw header block, which must be valid: lines "Name: value" ended by CRLF
 * or LF, values in Latin-1. It is parsed when the headers are first touched. NULL with an exception. */
PyObject *tc_headers_from_block(tc_state *state, const char *block, size_t size);

/* A new, empty HTTPHeaders; NULL with an exception. */
PyObject *tc_headers_new(tc_state *state);

/* headers[name] = value for a name in normalised form: 0, or -1 with an exception. Works with any mapping. */
int tc_headers_set(PyObject *headers, PyObject *normalized_name, PyObject *value);

/* The same for several fields of new headers: names that all differ, each followed by its value; all str. */
int tc_headers_fill(PyObject *headers, PyObject *const *pairs, size_t count);

/* The combined value, a new reference; NULL without an exception if missing, with one if it failed. */
PyObject *tc_headers_get(PyObject *headers, PyObject *normalized_name);

/* The same for several names at once. 0, or -1 with an exception and no value. */
int tc_headers_get_each(PyObject *headers, PyObject *const *normalized_names, PyObject **values,
                        size_t count);

/* 1 present, 0 absent, -1 with an exception. */
int tc_headers_contains(PyObject *headers, PyObject *normalized_name);

/* Called with each pair in order, both borrowed; anything but 0 ends the walk. */
typedef int (*tc_headers_visit)(void *arg, PyObject *name, PyObject *value);

/* 0 after the last pair, else what `visit` returned, or -1 with an exception. An object that is not plain is
 * asked for get_all(). Adding or deleting names during the walk is a RuntimeError, as for a dict. */
int tc_headers_each(PyObject *headers, tc_headers_visit visit, void *arg);

/* Appends a line "Name: value\r\n", in Latin-1, for each pair: 0, or -1 with an exception, which leaves out's
 * size as it was. Bytes are taken as UTF-8. Raises ValueError for CR, LF or NUL in a line, and
 * UnicodeEncodeError, which takes precedence, for what is not in Latin-1. */
int tc_headers_serialize(PyObject *headers, tc_bytes_buf *out);

/* Ends the line that begins at `start` with CRLF: 0, or -1 with the ValueError of tc_headers_serialize. */
int tc_headers_end_line(tc_bytes_buf *out, size_t start);

#endif
