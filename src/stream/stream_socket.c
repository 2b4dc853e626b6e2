/* The socket under a stream: the object made for it when Python asks, its options, and how it is connected.
 * Runs Python: methods of the socket, close, Futures. */
#include "base/log.h"
#include "base/raise.h"
#include "base/args.h"
#include "stream/iostream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* ---- the object ---- */

PyObject *
tc_stream_socket(StreamObject *self)
{
    if (self->socket == NULL) {
        if (!self->owns_fd) { /* closed, or no socket at all */
            Py_RETURN_NONE;
        }
        PyObject *fd = PyLong_FromLong(self->watcher.fd);
        PyObject *args[2] = {NULL, fd};
        self->socket = fd == NULL
                           ? NULL
                           : PyObject_Vectorcall(self->state->socket_class, args + 1,
                                                 0 | PY_VECTORCALL_ARGUMENTS_OFFSET, self->state->kw_fileno);
        Py_XDECREF(fd);
        if (self->socket == NULL) {
            return NULL;
        }
        self->owns_fd = false; /* the object closes it now */
        tc_stream_note_socket(self);
        PyObject *done = PyObject_CallMethodOneArg(self->socket, self->state->str_setblocking, Py_False);
        if (done == NULL) {
            return NULL;
        }
        Py_DECREF(done);
    }
    return Py_NewRef(self->socket);
}

static int
socket_option_nodelay(const StreamObject *self, int value)
{
    bool ip = self->family == AF_INET || self->family == AF_INET6;
    return ip ? setsockopt(self->watcher.fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) : 0;
}

void
tc_stream_begin_nodelay(const StreamObject *self)
{
    (void)socket_option_nodelay(self, 1);
}

int
tc_stream_set_nodelay(StreamObject *self, bool on)
{
    if (!self->closed && socket_option_nodelay(self, on) < 0) {
        if (errno == EINVAL || errno == ECONNRESET || errno == EPIPE) {
            return 0; /* the peer is gone, which the next read finds */
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

bool
tc_stream_has_nodelay(const StreamObject *self)
{
    int value = 0;
    socklen_t size = sizeof(value);
    bool ip = self->family == AF_INET || self->family == AF_INET6;
    return ip && getsockopt(self->watcher.fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value != 0;
}

/* CPython's socket objects begin with the descriptor. Reading it there saves a call for each operation. */
static inline int
socket_number(PyObject *socket)
{
    int number;
    memcpy(&number, (char *)socket + sizeof(PyObject), sizeof(number));
    return number;
}

void
tc_stream_note_socket(StreamObject *self)
{
    PyTypeObject *type = (PyTypeObject *)self->state->socket_base;
    self->plain_socket = self->socket != NULL && PyObject_TypeCheck(self->socket, type) &&
                         (size_t)type->tp_basicsize >= sizeof(PyObject) + sizeof(int) &&
                         socket_number(self->socket) == self->watcher.fd;
}

/* A socket that was made by Python may be closed under its stream: the number may be another file's by now.
 * 0, or -1 with an OSError (EBADF) after closing the stream. */
static int
socket_check(StreamObject *self)
{
    if (self->socket == NULL || self->closed) {
        return 0;
    }
    if (TC_LIKELY(self->plain_socket && socket_number(self->socket) == self->watcher.fd)) {
        return 0;
    }
    PyObject *number = PyObject_CallMethodNoArgs(self->socket, self->state->str_fileno);
    long fd = number != NULL ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (fd == self->watcher.fd) {
        return 0;
    }
    PyErr_Clear();
    PyObject *exc = tc_oserror_new(EBADF);
    if (exc == NULL) {
        return -1;
    }
    tc_core_unwatch(self->core, &self->watcher);
    self->watcher.fd = -1;
    if (tc_stream_close(self, exc) != TC_RAISED) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    Py_DECREF(exc);
    return -1;
}

int
tc_stream_check_ready(StreamObject *self)
{
    if (self->core == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "IOStream.__init__() was not called");
        return -1;
    }
    return tc_core_check_thread(self->core) < 0 ? -1 : socket_check(self);
}

/* ---- connecting ---- */

void
tc_stream_drop_connect(StreamObject *self)
{
    if (self->notices != NULL) {
        tc_waiter_clear(&self->notices->connected);
    }
}

int
tc_stream_socket_error(const StreamObject *self)
{
    int err = 0;
    socklen_t size = sizeof(err);
    return getsockopt(self->watcher.fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0 ? errno : err;
}

/* In Tornado's words, with the error's name: ECONNREFUSED. */
static void
log_connect_error(StreamObject *self, int err)
{
    PyObject *number = PyLong_FromLong(err);
    PyObject *name = number != NULL ? PyObject_GetItem(self->state->errno_names, number) : NULL;
    if (name == NULL) {
        PyErr_Clear();
        name = Py_XNewRef(number);
    }
    if (name != NULL) {
        tc_log(self->state, "general", "warning", "Connect error on fd %d: %S", self->watcher.fd, name);
    }
    Py_XDECREF(name);
    Py_XDECREF(number);
}

int
tc_stream_connected(StreamObject *self)
{
    int err = tc_stream_socket_error(self);
    if (err != 0) {
        if (self->notices == NULL || self->notices->connected.future == NULL) {
            log_connect_error(self, err);
        }
        return tc_stream_close_errno(self, err);
    }
    self->connecting = false;
    if (self->tls != NULL) {
        PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str__start_tls);
        if (result == NULL) {
            return TC_RAISED;
        }
        Py_DECREF(result);
    }
    int st = TC_OK;
    if (self->notices != NULL) {
        tc_waiter waiter = self->notices->connected;
        memset(&self->notices->connected, 0, sizeof(waiter));
        st = tc_waiter_notify(self, &waiter, (PyObject *)self, NULL);
        tc_waiter_clear(&waiter);
    }
    return st == TC_OK && !tc_stream_handshaking(self) ? tc_stream_writable(self) : st;
}

PyObject *
tc_iostream_connect(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_address, state->str_callback, state->str_server_hostname};
    PyObject *v[3];
    if (tc_stream_check_ready(self) < 0 ||
        tc_args_parse("connect", args, nargs, kwnames, names, 3, 1, v) < 0) {
        return NULL;
    }
    PyObject *callback = tc_arg_or_null(v[1]);
    if (callback != NULL && !PyCallable_Check(callback)) {
        callback = NULL;
    }
    if (self->closed) {
        tc_stream_raise_closed(self);
        return NULL;
    }
    tc_stream_drop_connect(self);
    if (tc_stream_notices(self) == NULL) {
        return NULL;
    }
    tc_waiter *waiter = &self->notices->connected;
    if (tc_waiter_begin(self, waiter, callback, NULL) < 0) {
        tc_stream_drop_connect(self);
        return NULL;
    }
    PyObject *awaited = Py_NewRef(waiter->future != NULL ? waiter->future : Py_None);
    self->connecting = true;
    PyObject *socket = tc_stream_socket(self);
    PyObject *result = socket != NULL ? PyObject_CallMethodOneArg(socket, state->str_connect, v[0]) : NULL;
    Py_XDECREF(socket);
    Py_XDECREF(result);
    if (result == NULL) {
        if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
            PyErr_Clear();
        }
        else if (PyErr_ExceptionMatches(PyExc_OSError)) {
            PyObject *exc = PyErr_GetRaisedException();
            if (callback != NULL) {
                tc_log(state, "general", "warning", "Connect error on fd %d: %S", self->watcher.fd, exc);
            }
            int st = tc_stream_close(self, exc);
            Py_DECREF(exc);
            if (st == TC_RAISED) {
                Py_CLEAR(awaited);
            }
            return awaited;
        }
        else {
            self->connecting = false;
            tc_stream_drop_connect(self);
            Py_DECREF(awaited);
            return NULL;
        }
    }
    if (tc_stream_update(self) < 0) {
        Py_CLEAR(awaited);
    }
    return awaited;
}
