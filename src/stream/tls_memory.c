/* See tls_memory.h. Runs no Python: the ssl module's objects that are called here call nothing. */
#include "stream/tls_memory.h"

#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* ---- arriving ---- */

static int
memory_feed(TLSMemoryObject *self, char *data, size_t size)
{
    PyObject *view = PyMemoryView_FromMemory(data, (Py_ssize_t)size, PyBUF_READ);
    PyObject *done =
        view != NULL ? PyObject_CallMethodOneArg(self->incoming, self->state->str_write, view) : NULL;
    Py_XDECREF(view);
    Py_XDECREF(done);
    return done != NULL ? TC_OK : TC_RAISED;
}

int
tc_tls_memory_fill(TLSMemoryObject *self, int fd, char *room, bool *emptied)
{
    ssize_t n;
    do {
        n = recv(fd, room, TC_TLS_ARRIVING, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *emptied = n >= 0 && n < TC_TLS_ARRIVING;
    if (n > 0) {
        self->maybe_more = true;
        return memory_feed(self, room, (size_t)n);
    }
    if (n == 0) {
        PyObject *done = PyObject_CallMethodNoArgs(self->incoming, self->state->str_write_eof);
        Py_XDECREF(done);
        self->maybe_more = true;
        return done != NULL ? TC_EOF : TC_RAISED;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        *emptied = true;
        return TC_AGAIN;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return TC_RAISED;
}

Py_ssize_t
tc_tls_memory_arrived(TLSMemoryObject *self)
{
    PyObject *pending = PyObject_GetAttr(self->incoming, self->state->str_pending);
    Py_ssize_t size = pending != NULL ? PyLong_AsSsize_t(pending) : -1;
    Py_XDECREF(pending);
    return size;
}

/* ---- leaving ---- */

/* At most `max` bytes of what OpenSSL has written, as a bytes object. */
static PyObject *
memory_take(TLSMemoryObject *self, PyObject *max)
{
    PyObject *args[2] = {self->outgoing, max};
    PyObject *data = PyObject_VectorcallMethod(self->state->str_read, args,
                                               (max != NULL ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (data != NULL && !PyBytes_CheckExact(data)) {
        PyErr_Format(PyExc_TypeError, "read() must return bytes, not %.100s", Py_TYPE(data)->tp_name);
        Py_CLEAR(data);
    }
    return data;
}

Py_ssize_t
tc_tls_memory_copy(TLSMemoryObject *self, char *out, size_t size)
{
    assert(self->unsent == NULL);
    PyObject *max = PyLong_FromSize_t(size);
    PyObject *data = max != NULL ? memory_take(self, max) : NULL;
    Py_ssize_t n = data != NULL ? PyBytes_GET_SIZE(data) : -1;
    if (n > 0) {
        assert((size_t)n <= size);
        memcpy(out, PyBytes_AS_STRING(data), (size_t)n);
    }
    Py_XDECREF(max);
    Py_XDECREF(data);
    return n;
}

/* Sends once: a count, 0 where the socket takes no more now, -1 with an exception. */
static ssize_t
memory_send_once(int fd, const char *data, size_t size)
{
    ssize_t n;
    do {
        n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (n < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return n;
}

int
tc_tls_memory_send(TLSMemoryObject *self, int fd, const char *data, size_t size)
{
    assert(self->unsent == NULL && self->sent == 0);
    ssize_t n = memory_send_once(fd, data, size);
    if (n < 0) {
        return TC_RAISED;
    }
    if ((size_t)n == size) {
        return TC_OK;
    }
    self->unsent = PyBytes_FromStringAndSize(data + n, (Py_ssize_t)(size - (size_t)n));
    return self->unsent != NULL ? TC_AGAIN : TC_RAISED;
}

int
tc_tls_memory_flush(TLSMemoryObject *self, int fd)
{
    for (;;) {
        if (self->unsent == NULL && (self->unsent = memory_take(self, NULL)) == NULL) {
            return TC_RAISED;
        }
        size_t left = (size_t)PyBytes_GET_SIZE(self->unsent) - self->sent;
        if (left == 0) {
            Py_CLEAR(self->unsent);
            self->sent = 0;
            return TC_OK;
        }
        ssize_t n = memory_send_once(fd, PyBytes_AS_STRING(self->unsent) + self->sent, left);
        if (n <= 0) {
            return n == 0 ? TC_AGAIN : TC_RAISED;
        }
        self->sent += (size_t)n;
        if ((size_t)n == left) {
            Py_CLEAR(self->unsent);
            self->sent = 0;
        }
    }
}

void
tc_tls_memory_forget(TLSMemoryObject *self)
{
    Py_CLEAR(self->unsent);
    self->sent = 0;
    PyObject *output = memory_take(self, NULL);
    if (output == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(output);
}

/* ---- Python's methods ---- */

PyDoc_STRVAR(memory_fill_doc,
             "fill($self, fd, /)\n--\n\n"
             "Receive from the socket: the truth of whether something, or the end, has arrived.\n\n"
             "Raises OSError.");

static PyObject *
memory_fill(TLSMemoryObject *self, PyObject *arg)
{
    int fd = PyObject_AsFileDescriptor(arg);
    char room[TC_TLS_ARRIVING];
    bool emptied;
    int st = fd >= 0 ? tc_tls_memory_fill(self, fd, room, &emptied) : TC_RAISED;
    return st == TC_RAISED ? NULL : PyBool_FromLong(st != TC_AGAIN);
}

PyDoc_STRVAR(memory_feed_doc, "feed($self, data, /)\n--\n\n"
                              "Take records that were received elsewhere.");

static PyObject *
memory_feed_bytes(TLSMemoryObject *self, PyObject *data)
{
    self->maybe_more = true;
    return PyObject_CallMethodOneArg(self->incoming, self->state->str_write, data);
}

PyDoc_STRVAR(memory_flush_doc, "flush($self, fd, /)\n--\n\n"
                               "Send what is encrypted: the truth of whether all has left.\n\n"
                               "Raises OSError.");

static PyObject *
memory_flush(TLSMemoryObject *self, PyObject *arg)
{
    int fd = PyObject_AsFileDescriptor(arg);
    int st = fd >= 0 ? tc_tls_memory_flush(self, fd) : TC_RAISED;
    return st == TC_RAISED ? NULL : PyBool_FromLong(st == TC_OK);
}

/* ---- the type ---- */

static PyObject *
memory_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *incoming, *outgoing;
    tc_state *state = tc_state_of(type);
    if (state == NULL || !PyArg_ParseTuple(args, "OO:TLSMemory", &incoming, &outgoing)) {
        return NULL;
    }
    PyTypeObject *bio = (PyTypeObject *)state->ssl_memory_bio; /* others might keep what they are given */
    if (!Py_IS_TYPE(incoming, bio) || !Py_IS_TYPE(outgoing, bio)) {
        PyErr_SetString(PyExc_TypeError, "TLSMemory() takes two ssl.MemoryBIO");
        return NULL;
    }
    TLSMemoryObject *self = (TLSMemoryObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
        self->incoming = Py_NewRef(incoming);
        self->outgoing = Py_NewRef(outgoing);
    }
    return (PyObject *)self;
}

static void
memory_dealloc(TLSMemoryObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->unsent);
    Py_XDECREF(self->incoming);
    Py_XDECREF(self->outgoing);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef memory_methods[] = {
    {"feed", (PyCFunction)memory_feed_bytes, METH_O, memory_feed_doc},
    {"fill", (PyCFunction)memory_fill, METH_O, memory_fill_doc},
    {"flush", (PyCFunction)memory_flush, METH_O, memory_flush_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "TLSMemory(incoming, outgoing, /)\n--\n\n"
                "Moves TLS records between two ssl.MemoryBIO and a non-blocking socket."},
    {Py_tp_new, memory_new},
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_methods, memory_methods},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "tornado_c._core.TLSMemory",
    .basicsize = sizeof(TLSMemoryObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = memory_slots,
};

int
tc_tls_memory_init_type(PyObject *module, tc_state *state)
{
    state->tls_memory_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &memory_spec, NULL);
    return state->tls_memory_type != NULL ? PyModule_AddType(module, state->tls_memory_type) : -1;
}
