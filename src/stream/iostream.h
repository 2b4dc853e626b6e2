/* Methods of IOStreamBase that are not in iostream_type.c, which has the table of all. */
#ifndef TC_IOSTREAM_H
#define TC_IOSTREAM_H

#include "stream/stream_parts.h"

/* iostream_reads.c */
PyObject *tc_iostream_read_until(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *tc_iostream_read_until_regex(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);
PyObject *tc_iostream_read_bytes(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *tc_iostream_read_into(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames);
PyObject *tc_iostream_read_until_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);

/* iostream_writes.c */
PyObject *tc_iostream_write(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_iostream_sendfile(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *kwnames);

/* stream_socket.c */
PyObject *tc_iostream_connect(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* iostream_private.c: methods and attributes that Tornado's own classes have under these names, for
 * applications that use them, and what tornado_c/iostream.py needs. */
PyObject *tc_iostream_handle_events(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_iostream_handle_read(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_handle_write(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_add_io_state(StreamObject *self, PyObject *state);
PyObject *tc_iostream_try_inline_read(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_maybe_add_error_listener(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_check_closed(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_consume(StreamObject *self, PyObject *size);
PyObject *tc_iostream_is_connreset(StreamObject *self, PyObject *exc);
PyObject *tc_iostream_is_idle(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_detach(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_linger(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_iostream_set_socket(StreamObject *self, PyObject *socket);
PyObject *tc_iostream_call_later(StreamObject *self, PyObject *callback);
PyObject *tc_iostream_tls_begin(StreamObject *self, PyObject *connected);
PyObject *tc_iostream_tls_wants(StreamObject *self, PyObject *events);
PyObject *tc_iostream_tls_done(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);

PyObject *tc_iostream_get_write_buffer(StreamObject *self, void *unused);
PyObject *tc_iostream_get_write_index(StreamObject *self, void *which);
int tc_iostream_set_write_index(StreamObject *self, PyObject *value, void *which);
PyObject *tc_iostream_get_state(StreamObject *self, void *unused);
PyObject *tc_iostream_get_read_future(StreamObject *self, void *unused);
PyObject *tc_iostream_get_ssl_accepting(StreamObject *self, void *unused);
PyObject *tc_iostream_get_handshake_future(StreamObject *self, void *unused);
int tc_iostream_set_handshake_future(StreamObject *self, PyObject *value, void *unused);

#endif
