/* IOStreamBase: the Python methods of a stream, in both generations of the interface: with a callback they
 * return None and call it in a later turn (2.x-4.x), else they return a Future. Here are
 * the type, its life cycle and the table of all; iostream.h says where each is. All may run Python. */
#include "base/args.h"
#include "stream/iostream.h"

#include <unistd.h>

/* ---- life cycle ---- */

static PyObject *
stream_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    StreamObject *self = (StreamObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    tc_stream_init_watcher(self);
    self->max_buffer_size = TC_STREAM_MAX_BUFFER;
    self->read_chunk_size = TC_STREAM_CHUNK;
    self->max_write_buffer_size = -1;
    self->closed = true; /* until there is a socket */
    if ((self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
stream_traverse(StreamObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->core);
    Py_VISIT(self->dict);
    Py_VISIT(self->socket);
    Py_VISIT(self->error);
    Py_VISIT(self->consumer);
    if (self->notices != NULL) {
        TC_VISIT_WAITER(&self->notices->connected);
        TC_VISIT_WAITER(&self->notices->closed);
    }
    if (self->read != NULL) {
        Py_VISIT(self->read->pattern);
        Py_VISIT(self->read->streaming);
        TC_VISIT_WAITER(&self->read->waiter);
        if (self->read->view != NULL) {
            Py_VISIT(self->read->view->obj);
        }
    }
    if (self->tls != NULL) {
        Py_VISIT(self->tls->sslobj);
        Py_VISIT(self->tls->future);
        Py_VISIT(self->tls->failure);
    }
    if (self->writes != NULL) {
        Py_VISIT(self->writes->buffer);
        for (size_t i = self->writes->first_waiter; i < self->writes->nwaiters; i++) {
            TC_VISIT_WAITER(&self->writes->waiters[i].who);
        }
    }
    return 0;
}

static int
stream_clear(StreamObject *self)
{
    if (self->core != NULL) {
        tc_core_unwatch(self->core, &self->watcher);
    }
    Py_CLEAR(self->watcher.owner); /* the loop does not drop it; the collector holds a reference of its own */
    Py_CLEAR(self->dict);
    Py_CLEAR(self->error);
    Py_CLEAR(self->consumer);
    if (self->notices != NULL) {
        tc_waiter_clear(&self->notices->connected);
        tc_waiter_clear(&self->notices->closed);
    }
    if (self->read != NULL) {
        tc_read_clear(self->read);
    }
    if (self->tls != NULL) {
        Py_CLEAR(self->tls->sslobj);
        Py_CLEAR(self->tls->future);
        Py_CLEAR(self->tls->failure);
    }
    if (self->writes != NULL) {
        tc_writes_forget(self->writes);
    }
    return 0;
}

static void
stream_dealloc(StreamObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tc_list_unlink(&self->detached); /* before anything that runs Python, which may walk the list */
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    stream_clear(self);
    tc_stream_drop_cork(self);
    if (self->owns_fd) {
        close(self->watcher.fd);
    }
    Py_CLEAR(self->socket); /* closes itself, with a ResourceWarning, if this was the last reference */
    tc_stream_drop_buffer(self);
    PyMem_Free(self->read);
    PyMem_Free(self->train);
    PyMem_Free(self->notices);
    tc_writes_free(self->writes);
    tc_tls_free(self->tls);
    Py_CLEAR(self->core);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef stream_members[] = {
    {"error", T_OBJECT, offsetof(StreamObject, error), 0, "What closed the stream, or None."},
    {"read_chunk_size", T_INT, offsetof(StreamObject, read_chunk_size), 0, "Bytes asked of one recv."},
    {"_closed", T_BOOL, offsetof(StreamObject, closed), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(StreamObject, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weakrefs), READONLY, NULL},
    {NULL},
};

PyDoc_STRVAR(stream_read_until_doc,
             "read_until($self, delimiter, max_bytes=None, callback=None)\n--\n\n"
             "Read up to and including the delimiter (bytes).\n\n"
             "The stream is closed if the delimiter is not found within max_bytes. A callback may also be\n"
             "the second argument.\n\n"
             ":returns: a Future of the bytes; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_read_until_regex_doc,
             "read_until_regex($self, regex, max_bytes=None, callback=None)\n--\n\n"
             "Read up to the end of the first match of a regular expression (bytes).\n\n"
             ":returns: what read_until() returns; it raises the same.");

PyDoc_STRVAR(stream_read_bytes_doc,
             "read_bytes($self, num_bytes, callback=None, streaming_callback=None, partial=False)\n--\n\n"
             "Read a number of bytes; with partial, as soon as there are any, at most that many.\n\n"
             ":param streaming_callback: gets the bytes as they come.\n"
             ":param partial: also the second positional argument, unless that is callable.\n"
             ":returns: a Future of the bytes; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_read_until_close_doc,
             "read_until_close($self, callback=None, streaming_callback=None)\n--\n\n"
             "Read everything until the peer closes; at most max_buffer_size bytes.\n\n"
             ":param streaming_callback: gets the bytes as they come.\n"
             ":returns: a Future of the bytes; with a callback None.");

PyDoc_STRVAR(stream_read_into_doc,
             "read_into($self, buf, partial=False)\n--\n\n"
             "Fill a writable buffer, without a copy in between.\n\n"
             ":param buf: it cannot be resized before the Future is done.\n"
             ":param partial: be content as soon as there are any bytes; default False.\n"
             ":returns: a Future of the number of bytes.\n"
             ":raises StreamClosedError: also through the Future.");

PyDoc_STRVAR(stream_write_doc,
             "write($self, data, callback=None)\n--\n\n"
             "Send bytes, now as far as the descriptor takes them.\n\n"
             ":param data: bytes or another buffer, of which a large one is kept by reference while it has\n"
             "    to wait; a str is encoded as UTF-8.\n"
             ":returns: a Future that is done when they are sent; with a callback None.\n"
             ":raises StreamClosedError: also through the Future.\n"
             ":raises StreamBufferFullError: beyond max_write_buffer_size.");

PyDoc_STRVAR(
    stream_sendfile_doc,
    "sendfile($self, file, offset=0, count=None)\n--\n\n"
    "Send bytes of a file, without copying them through the process where the system can do that.\n\n"
    ":param file: an open binary file, which must stay open until the Future is done. One that ends\n"
    "    early closes the stream.\n"
    ":param count: how many bytes; default: all from offset on.\n"
    ":returns: a Future that is done when they are sent.\n"
    ":raises StreamClosedError: also through the Future.\n"
    ":raises OSError: the file cannot be used.\n"
    ":raises ValueError: the range is negative.");

PyDoc_STRVAR(stream_connect_doc,
             "connect($self, address, callback=None, server_hostname=None)\n--\n\n"
             "Connect the socket to an address in the form of its family.\n\n"
             ":param server_hostname: also the second argument, where that is a str.\n"
             ":returns: a Future of this stream, which fails with StreamClosedError; with a callback None,\n"
             "    and the failure calls the close callback.");

PyDoc_STRVAR(stream_close_doc,
             "close($self, exc_info=False)\n--\n\n"
             "Close the stream; what is pending fails with StreamClosedError.\n\n"
             ":param exc_info: an exception, a sys.exc_info() tuple or True (the one being handled), which\n"
             "    becomes ``error``; default False.");

PyDoc_STRVAR(stream_set_close_callback_doc,
             "set_close_callback($self, callback)\n--\n\n"
             "Call callback() when the stream is closed, after callbacks that wait already.\n\n"
             ":param callback: None takes it back.");

PyDoc_STRVAR(stream_set_nodelay_doc, "set_nodelay($self, value)\n--\n\n"
                                     "Turn TCP_NODELAY on or off; nothing happens on other sockets.");

PyDoc_STRVAR(stream_open_doc,
             "_open($self, source, core, max_buffer_size, read_chunk_size, max_write_buffer_size, /)\n--\n\n"
             "Bind the stream to a socket, a descriptor's number or (None) what fileno() returns,\n"
             "and to a LoopCore; called by __init__.");

static PyMethodDef stream_methods[] = {
    {"read_until", TC_METHOD(tc_iostream_read_until), stream_read_until_doc},
    {"read_until_regex", TC_METHOD(tc_iostream_read_until_regex), stream_read_until_regex_doc},
    {"read_bytes", TC_METHOD(tc_iostream_read_bytes), stream_read_bytes_doc},
    {"read_until_close", TC_METHOD(tc_iostream_read_until_close), stream_read_until_close_doc},
    {"read_into", TC_METHOD(tc_iostream_read_into), stream_read_into_doc},
    {"write", TC_METHOD(tc_iostream_write), stream_write_doc},
    {"sendfile", TC_METHOD(tc_iostream_sendfile), stream_sendfile_doc},
    {"connect", TC_METHOD(tc_iostream_connect), stream_connect_doc},
    {"close", TC_METHOD(tc_iostream_close), stream_close_doc},
    {"set_close_callback", TC_METHOD(tc_iostream_set_close_callback), stream_set_close_callback_doc},
    {"reading", (PyCFunction)tc_iostream_reading, METH_NOARGS,
     "reading($self, /)\n--\n\nWhether a read is pending."},
    {"writing", (PyCFunction)tc_iostream_writing, METH_NOARGS,
     "writing($self, /)\n--\n\nWhether bytes wait to be sent."},
    {"closed", (PyCFunction)tc_iostream_closed, METH_NOARGS,
     "closed($self, /)\n--\n\nWhether the stream is closed."},
    {"set_nodelay", TC_METHOD(tc_iostream_set_nodelay), stream_set_nodelay_doc},
    {"_open", TC_FASTCALL(tc_iostream_open), stream_open_doc},
    {"_handle_events", TC_FASTCALL(tc_iostream_handle_events),
     "_handle_events($self, fd, events, /)\n--\n\nDo what the descriptor is ready for."},
    {"_handle_read", (PyCFunction)tc_iostream_handle_read, METH_NOARGS,
     "_handle_read($self, /)\n--\n\nRead, and complete the pending read."},
    {"_handle_write", (PyCFunction)tc_iostream_handle_write, METH_NOARGS,
     "_handle_write($self, /)\n--\n\nSend what waits."},
    {"_add_io_state", (PyCFunction)tc_iostream_add_io_state, METH_O,
     "_add_io_state($self, state, /)\n--\n\nWait for IOLoop.READ or IOLoop.WRITE once."},
    {"_try_inline_read", (PyCFunction)tc_iostream_try_inline_read, METH_NOARGS,
     "_try_inline_read($self, /)\n--\n\nComplete the pending read without waiting, if that can be."},
    {"_maybe_add_error_listener", (PyCFunction)tc_iostream_maybe_add_error_listener, METH_NOARGS,
     "_maybe_add_error_listener($self, /)\n--\n\nWatch an idle stream for its end."},
    {"_check_closed", (PyCFunction)tc_iostream_check_closed, METH_NOARGS,
     "_check_closed($self, /)\n--\n\nRaise StreamClosedError if the stream is closed."},
    {"_consume", (PyCFunction)tc_iostream_consume, METH_O,
     "_consume($self, loc, /)\n--\n\nTake bytes from the read buffer."},
    {"_is_connreset", (PyCFunction)tc_iostream_is_connreset, METH_O,
     "_is_connreset($self, exc, /)\n--\n\nWhether an exception means that the peer is gone."},
    {"_is_idle", (PyCFunction)tc_iostream_is_idle, METH_NOARGS,
     "_is_idle($self, /)\n--\n\nWhether nothing is pending or buffered."},
    {"_detach", (PyCFunction)tc_iostream_detach, METH_NOARGS,
     "_detach($self, /)\n--\n\nGive up the socket; returns it, the close callback and TCP_NODELAY."},
    {"_linger", TC_FASTCALL(tc_iostream_linger),
     "_linger($self, timeout, size, /)\n--\n\nEnd our side, drop what still comes for a while, close. "
     "False: close it now."},
    {"_has_arrived", (PyCFunction)tc_iostream_has_arrived, METH_NOARGS,
     "_has_arrived($self, /)\n--\n\nWhether bytes have come that the loop has not read yet."},
    {"_has_unread", (PyCFunction)tc_iostream_has_unread, METH_NOARGS,
     "_has_unread($self, /)\n--\n\nWhether there is input under which a close would reset the connection."},
    {"_leave", (PyCFunction)tc_iostream_leave, METH_NOARGS,
     "_leave($self, /)\n--\n\nTell the peer that the server goes away, if its protocol has a way to."},
    {"_set_socket", (PyCFunction)tc_iostream_set_socket, METH_O,
     "_set_socket($self, socket, /)\n--\n\nWork on another object over the same descriptor."},
    {"_call_later", (PyCFunction)tc_iostream_call_later, METH_O,
     "_call_later($self, callback, /)\n--\n\nCall a user's callback in the next turn."},
    {"_tls_begin", (PyCFunction)tc_iostream_tls_begin, METH_O,
     "_tls_begin($self, connected, /)\n--\n\nShake hands before anything else, now or once connected."},
    {"_tls_wants", (PyCFunction)tc_iostream_tls_wants, METH_O,
     "_tls_wants($self, events, /)\n--\n\nSay what the handshake waits for."},
    {"_tls_done", TC_FASTCALL(tc_iostream_tls_done),
     "_tls_done($self, sslobj, memory, /)\n--\n\nThe handshake is done."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.iostream.IOStream."},
    {Py_tp_new, stream_new},
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, tc_iostream_getset},
    {Py_tp_members, stream_members},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "tornado_c._core.IOStreamBase",
    .basicsize = sizeof(StreamObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = stream_slots,
};

int
tc_stream_init_type(PyObject *module, tc_state *state)
{
    state->stream_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &stream_spec, NULL);
    if (state->stream_type == NULL || tc_stream_init_callbacks(state) < 0 ||
        tc_stream_init_fork(module, state) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->stream_type);
}
