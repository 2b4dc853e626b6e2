/* Methods of IOStreamBase that are not in iostream_type.c, which has the table of all. */
#ifndef TC_IOSTREAM_H
#define TC_IOSTREAM_H

#include "stream/stream.h"

/* iostream_reads.c */
PyObject *tc_iostream_read_until(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *tc_iostream_read_until_regex(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);
PyObject *tc_iostream_read_bytes(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *tc_iostream_read_until_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);

/* stream_socket.c */
PyObject *tc_iostream_connect(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

#endif
