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

/* iostream_setup.c: set-up, TLS, and the socket given up. */
PyObject *tc_iostream_open(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_iostream_set_socket(StreamObject *self, PyObject *socket);
PyObject *tc_iostream_detach(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_tls_begin(StreamObject *self, PyObject *connected);
PyObject *tc_iostream_tls_wants(StreamObject *self, PyObject *events);
PyObject *tc_iostream_tls_done(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);

/* A number of bytes. Applications compute theirs, as a fraction of the memory, and give a float; one that is
 * too large for the machine is no limit. -1 with an exception. */
Py_ssize_t tc_iostream_size(PyObject *value);

/* The same where None, and 0 where there is a default, is `absent`. 0, or -1 with an exception. */
int tc_iostream_size_option(PyObject *value, Py_ssize_t absent, Py_ssize_t *out);

/* iostream_state.c: the close, and whether the stream is open, busy or idle. */
PyObject *tc_iostream_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_iostream_set_close_callback(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                         PyObject *kwnames);
PyObject *tc_iostream_reading(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_writing(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_closed(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_set_nodelay(StreamObject *self, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames);
PyObject *tc_iostream_check_closed(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_is_idle(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_linger(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_iostream_has_arrived(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_has_unread(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_leave(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_call_later(StreamObject *self, PyObject *callback);

/* iostream_attributes.c */
extern PyGetSetDef tc_iostream_getset[];

/* iostream_events.c: methods of Tornado's own classes under their names, for applications that call them. */
PyObject *tc_iostream_handle_events(StreamObject *self, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_iostream_handle_read(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_handle_write(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_add_io_state(StreamObject *self, PyObject *state);
PyObject *tc_iostream_try_inline_read(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_maybe_add_error_listener(StreamObject *self, PyObject *unused);
PyObject *tc_iostream_consume(StreamObject *self, PyObject *size);
PyObject *tc_iostream_is_connreset(StreamObject *self, PyObject *exc);

/* None, after a step that may have changed what the stream waits for; NULL with an exception. */
static inline PyObject *
tc_iostream_none_after(StreamObject *self, int st)
{
    return st == TC_RAISED || (!self->closed && tc_stream_update(self) < 0) ? NULL : Py_NewRef(Py_None);
}

#endif
