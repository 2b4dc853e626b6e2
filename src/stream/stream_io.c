/* The lowest level of a stream: bytes from and to its descriptor. A socket or a pipe is read and written
 * directly, TLS through stream_tls.c, and where a class or an instance has a read_from_fd or write_to_fd of
 * its own, that is called. Which applies is looked up once for each version of the class. Runs Python:
 * hooks. */
#include "stream/stream_parts.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/sendfile.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define SENDFILE_MAX 1048576 /* bytes of one sendfile */
#define LOAD_MAX 131072      /* bytes of a file read into memory at once, if it cannot be sent directly */

static bool
is_would_block(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

/* ---- whose hooks ---- */

static PyObject *
hook_find(StreamObject *self, PyObject *name) /* borrowed, or NULL */
{
    PyObject *found = self->dict != NULL ? PyDict_GetItemWithError(self->dict, name) : NULL;
    return found != NULL ? found : _PyType_Lookup(Py_TYPE(self), name);
}

static enum tc_io_way
hook_way(PyObject *found, PyObject *socket_hook, PyObject *pipe_hook, PyObject *tls_hook)
{
    if (found == NULL || found == socket_hook) {
        return TC_IO_SOCKET;
    }
    return found == pipe_hook ? TC_IO_PIPE : found == tls_hook ? TC_IO_TLS : TC_IO_HOOK;
}

void
tc_stream_resolve_slow(StreamObject *self)
{
    tc_state *state = self->state;
    PyObject *saved = PyErr_GetRaisedException();
    self->read_way =
        (uint8_t)hook_way(hook_find(self, state->str_read_from_fd), state->upcall_socket_read_from_fd,
                          state->upcall_pipe_read_from_fd, state->upcall_tls_read_from_fd);
    self->write_way =
        (uint8_t)hook_way(hook_find(self, state->str_write_to_fd), state->upcall_socket_write_to_fd,
                          state->upcall_pipe_write_to_fd, state->upcall_tls_write_to_fd);
    self->plain_close = hook_find(self, state->str_close_fd) == state->upcall_socket_close_fd;
    self->plain_error = hook_find(self, state->str_get_fd_error) == state->upcall_socket_get_fd_error;
    self->plain_inline = hook_find(self, state->str__try_inline_read) ==
                         _PyType_Lookup(state->stream_type, state->str__try_inline_read);
    self->class_version =
        Py_TYPE(self)->tp_version_tag; /* the look-ups have given it one, if there are any */
    PyErr_Clear();
    if (saved != NULL) {
        PyErr_SetRaisedException(saved);
    }
}

/* TLS whose socket is not one of the ssl module's is left to the methods in Python. */
static enum tc_io_way
way_now(const StreamObject *self, enum tc_io_way way)
{
    bool foreign =
        way == TC_IO_TLS && !tc_stream_handshaking(self) && (self->tls == NULL || self->tls->sslobj == NULL);
    return foreign ? TC_IO_HOOK : way;
}

int
tc_stream_descriptor(StreamObject *self)
{
    if (self->watcher.fd >= 0) {
        return self->watcher.fd;
    }
    PyObject *fd = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_fileno);
    int number = fd != NULL ? PyObject_AsFileDescriptor(fd) : -1;
    Py_XDECREF(fd);
    if (number >= 0 && !self->closed) {
        self->watcher.fd = number;
    }
    return number;
}

int
tc_stream_is_connreset(StreamObject *self, PyObject *exc)
{
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, self->state->str__is_connreset, exc);
    int yes = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return yes;
}

/* ---- receiving ---- */

/* The write end of a pipe gives EBADF, polled because its reader has gone: that is how a writer learns of it,
 * and no error to be logged. */
static Py_ssize_t
pipe_left(StreamObject *self)
{
    return tc_stream_close_errno(self, EBADF) == TC_RAISED ? TC_IO_FAILED : TC_IO_AGAIN;
}

static Py_ssize_t
fd_recv(StreamObject *self, char *buf, size_t size)
{
    bool pipe = self->read_way == TC_IO_PIPE;
    ssize_t n = pipe ? read(self->watcher.fd, buf, size) : recv(self->watcher.fd, buf, size, 0);
    if (n >= 0) {
        self->drained_socket = (size_t)n < size;
        return n;
    }
    if (is_would_block(errno)) {
        self->drained_socket = true;
        return TC_IO_AGAIN;
    }
    if (pipe && errno == EBADF) {
        return pipe_left(self);
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return TC_IO_FAILED;
}

Py_ssize_t
tc_stream_recv_plain(StreamObject *self, char *buf, size_t size)
{
    assert(self->read_way == TC_IO_SOCKET && self->tls == NULL);
    return fd_recv(self, buf, size);
}

size_t
tc_stream_arrived(const StreamObject *self)
{
    int count = 0;
    bool known = self->tls == NULL && self->watcher.fd >= 0 && ioctl(self->watcher.fd, FIONREAD, &count) == 0;
    return known && count > 0 ? (size_t)count : 0;
}

/* Receives after our end, to drop it: TLS is not decrypted. */
static Py_ssize_t
raw_recv(StreamObject *self, char *buf, size_t size)
{
    ssize_t n = recv(self->watcher.fd, buf, size, MSG_DONTWAIT);
    bool nothing = n < 0 && is_would_block(errno);
    self->drained_socket = nothing || (size_t)n < size;
    return n >= 0 ? n : nothing ? TC_IO_AGAIN : 0;
}

/* Is a method one of Tornado 4, which returns what it has read? Classes that are defined so have been adapted, see
 * _stream/earlier.py. */
static bool
takes_no_buffer(PyObject *method)
{
    bool bound = PyMethod_Check(method);
    PyObject *function = bound ? PyMethod_GET_FUNCTION(method) : method;
    if (!PyFunction_Check(function)) {
        return false;
    }
    const PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
    return code->co_argcount == (int)bound && (code->co_flags & (CO_VARARGS | CO_VARKEYWORDS)) == 0;
}

static PyObject *
hook_call_recv(StreamObject *self, PyObject *room)
{
    PyObject *method = PyObject_GetAttr((PyObject *)self, self->state->str_read_from_fd), *result = NULL;
    if (method != NULL && takes_no_buffer(method)) {
        PyObject *args[] = {(PyObject *)self, room, method};
        PyObject *fill = tc_upcall(self->state, read_without_buffer);
        result = fill != NULL ? PyObject_Vectorcall(fill, args, 3, NULL) : NULL;
    }
    else if (method != NULL) {
        result = PyObject_CallOneArg(method, room);
    }
    Py_XDECREF(method);
    return result;
}

static Py_ssize_t
hook_recv(StreamObject *self, char *buf, size_t size)
{
    PyObject *room = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (room == NULL) {
        return TC_IO_FAILED;
    }
    memset(PyByteArray_AS_STRING(room), 0, size);
    PyObject *result = hook_call_recv(self, room);
    Py_ssize_t n = TC_IO_FAILED;
    self->drained_socket = result == Py_None;
    if (result == Py_None) {
        n = TC_IO_AGAIN;
    }
    else if (result != NULL) {
        n = PyNumber_AsSsize_t(result, PyExc_OverflowError);
        if (n >= 0 && n <= PyByteArray_GET_SIZE(room) && (size_t)n <= size) {
            memcpy(buf, PyByteArray_AS_STRING(room), (size_t)n);
        }
        else {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_ValueError, "read_from_fd() returned %zd for a buffer of %zu bytes", n,
                             size);
            }
            n = TC_IO_FAILED;
        }
    }
    Py_XDECREF(result);
    Py_DECREF(room);
    return n;
}

Py_ssize_t
tc_stream_recv(StreamObject *self, char *buf, size_t size)
{
    tc_stream_resolve(self);
    enum tc_io_way way = way_now(self, self->read_way);
    if (TC_LIKELY(way != TC_IO_TLS && way != TC_IO_HOOK)) {
        return fd_recv(self, buf, size);
    }
    if (TC_UNLIKELY(self->output_ended && self->tls != NULL)) {
        return raw_recv(self, buf, size);
    }
    /* These run Python, which may re-enter: only one at a time reads. */
    self->receiving = true;
    Py_ssize_t n = way == TC_IO_TLS ? tc_tls_recv(self, buf, size) : hook_recv(self, buf, size);
    self->receiving = false;
    if (TC_UNLIKELY(self->nested)) {
        self->nested = self->hung_up = false;
    }
    return n;
}

/* ---- sending ---- */

bool
tc_stream_sends_vectors(StreamObject *self)
{
    tc_stream_resolve(self);
    return self->write_way == TC_IO_SOCKET || self->write_way == TC_IO_PIPE;
}

Py_ssize_t
tc_stream_send(StreamObject *self, struct iovec *iov, int count)
{
    ssize_t sent;
    if (self->write_way == TC_IO_PIPE) {
        sent = writev(self->watcher.fd, iov, count);
    }
    else if (count == 1) {
        sent = send(self->watcher.fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    }
    else {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        sent = sendmsg(self->watcher.fd, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) {
        return sent;
    }
    if (is_would_block(errno)) {
        return TC_IO_AGAIN;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return TC_IO_FAILED;
}

/* The range of a file at the front of the queue. TC_IO_AGAIN also where it has to go through memory, with
 * *load set. */
static Py_ssize_t
send_file(StreamObject *self, const tc_piece *piece, bool *load)
{
#ifdef __linux__
    if (self->write_way == TC_IO_SOCKET) {
        off_t offset = (off_t)piece->offset;
        ssize_t sent = sendfile(self->watcher.fd, piece->fd, &offset, tc_min_size(piece->size, SENDFILE_MAX));
        if (sent > 0) {
            return sent;
        }
        if (sent == 0) {
            PyErr_SetString(PyExc_OSError, "the file ended before what was to be sent");
            return TC_IO_FAILED;
        }
        if (is_would_block(errno)) {
            return TC_IO_AGAIN;
        }
        if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
            PyErr_SetFromErrno(PyExc_OSError);
            return TC_IO_FAILED;
        }
    }
#endif
    *load = true;
    return TC_IO_AGAIN;
}

static Py_ssize_t
hook_send(StreamObject *self)
{
    StreamBufferObject *buffer = self->writes->buffer;
    PyObject *view = tc_stream_buffer_peek(buffer, buffer->size);
    if (view == NULL) {
        return TC_IO_FAILED;
    }
    Py_ssize_t size = PyMemoryView_GET_BUFFER(view)->len, n = TC_IO_FAILED;
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, self->state->str_write_to_fd, view);
    if (result != NULL) {
        n = PyNumber_AsSsize_t(result, PyExc_OverflowError);
        if (n == 0) {
            n = TC_IO_AGAIN;
        }
        else if (n < 0 || n > size) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_ValueError, "write_to_fd() returned %zd for %zd bytes", n, size);
            }
            n = TC_IO_FAILED;
        }
    }
    else if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        n = TC_IO_AGAIN;
    }
    Py_XDECREF(result);
    PyObject *saved = PyErr_GetRaisedException();
    result = PyObject_CallMethodNoArgs(view, self->state->str_release);
    Py_XDECREF(result);
    PyErr_Clear(); /* BufferError: the hook keeps a slice */
    if (saved != NULL) {
        PyErr_SetRaisedException(saved);
    }
    Py_DECREF(view);
    return n;
}

Py_ssize_t
tc_stream_send_front(StreamObject *self)
{
    StreamBufferObject *buffer = self->writes->buffer;
    if (buffer->size == 0) {
        return TC_IO_AGAIN; /* done by what the look-up of hooks has run */
    }
    tc_piece *piece = tc_stream_buffer_front(buffer);
    if (piece->kind == TC_PIECE_FILE) {
        bool load = false;
        Py_ssize_t sent = send_file(self, piece, &load);
        if (!load) {
            return sent;
        }
        Py_ssize_t n = tc_stream_buffer_load(buffer, LOAD_MAX);
        if (n <= 0) {
            if (n == 0) {
                PyErr_SetString(PyExc_OSError, "the file ended before what was to be sent");
            }
            return TC_IO_FAILED;
        }
        if (buffer->size == 0) {
            return TC_IO_AGAIN; /* releasing the file object has cleared the queue */
        }
        piece = tc_stream_buffer_front(buffer);
    }
    /* Records that are encrypted already are not for a hook that was set since. */
    bool encrypted = self->tls != NULL && self->tls->encrypted > 0;
    switch (encrypted ? TC_IO_TLS : way_now(self, self->write_way)) {
    case TC_IO_TLS:
        return tc_tls_send(self);
    case TC_IO_HOOK:
        return hook_send(self);
    default: {
        struct iovec iov = {.iov_base = (char *)tc_piece_data(piece), .iov_len = piece->size};
        return tc_stream_send(self, &iov, 1);
    }
    }
}
