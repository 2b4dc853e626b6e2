/* See stream_buffer.h. */
#include "stream/stream_buffer.h"

#include <unistd.h>

/* ---- pieces ---- */

const char *
tc_piece_data(const tc_piece *piece)
{
    switch (piece->kind) {
    case TC_PIECE_BYTES:
        return PyBytes_AS_STRING(piece->owner) + piece->offset;
    case TC_PIECE_COPY:
        return PyByteArray_AS_STRING(piece->owner) + piece->offset;
    default:
        assert(piece->kind == TC_PIECE_VIEW);
        return (const char *)PyMemoryView_GET_BUFFER(piece->owner)->buf + piece->offset;
    }
}

/* The caller's object is free again at once: any other user of our view finds it released. */
static void
piece_drop(StreamBufferObject *self, tc_piece piece)
{
    if (piece.kind == TC_PIECE_VIEW) {
        PyObject *saved = PyErr_GetRaisedException();
        PyObject *done = PyObject_CallMethodNoArgs(piece.owner, self->state->str_release);
        if (done == NULL) {
            PyErr_Clear(); /* BufferError: a slice of it is in use, and frees it later */
        }
        Py_XDECREF(done);
        if (saved != NULL) {
            PyErr_SetRaisedException(saved);
        }
    }
    Py_DECREF(piece.owner);
}

/* Room for one more piece at the end. */
static int
pieces_reserve(StreamBufferObject *self)
{
    if (self->count < self->cap) {
        return 0;
    }
    if (self->first > self->cap / 2) {
        memmove(self->pieces, self->pieces + self->first, (self->count - self->first) * sizeof(tc_piece));
        self->count -= self->first;
        self->first = 0;
        return 0;
    }
    size_t cap = self->cap != 0 ? self->cap * 2 : 4;
    tc_piece *pieces = PyMem_Realloc(self->pieces, cap * sizeof(tc_piece));
    if (pieces == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->pieces = pieces;
    self->cap = cap;
    return 0;
}

static int
pieces_add(StreamBufferObject *self, tc_piece piece) /* piece.owner: new reference */
{
    if (pieces_reserve(self) < 0) {
        return -1;
    }
    Py_INCREF(piece.owner);
    self->pieces[self->count++] = piece;
    self->size += piece.size;
    if (piece.kind == TC_PIECE_FILE) {
        self->file_size += piece.size;
    }
    return 0;
}

/* Adds to the last piece where that is a small copy of ours which is not exported. */
static bool
copy_extend(StreamBufferObject *self, const char *data, size_t size)
{
    tc_piece *last = self->count > self->first ? &self->pieces[self->count - 1] : NULL;
    if (last == NULL || last->kind != TC_PIECE_COPY || last->size >= (size_t)self->large ||
        last->offset > 4 * (size_t)self->large) { /* more gone than kept: begin another */
        return false;
    }
    size_t end = last->offset + last->size;
    if (PyByteArray_Resize(last->owner, (Py_ssize_t)(end + size)) < 0) {
        PyErr_Clear(); /* BufferError: it is exported */
        return false;
    }
    memcpy(PyByteArray_AS_STRING(last->owner) + end, data, size);
    last->size += size;
    self->size += size;
    return true;
}

int
tc_stream_buffer_copy(StreamBufferObject *self, const char *data, size_t size)
{
    if (size == 0 || copy_extend(self, data, size)) {
        return 0;
    }
    PyObject *copy = PyByteArray_FromStringAndSize(data, (Py_ssize_t)size);
    if (copy == NULL) {
        return -1;
    }
    int status = pieces_add(self, (tc_piece){.owner = copy, .size = size, .kind = TC_PIECE_COPY});
    Py_DECREF(copy);
    return status;
}

int
tc_stream_buffer_refer(StreamBufferObject *self, PyObject *owner, size_t offset)
{
    bool bytes = PyBytes_CheckExact(owner);
    size_t size = (size_t)(bytes ? PyBytes_GET_SIZE(owner) : PyMemoryView_GET_BUFFER(owner)->len) - offset;
    if (size == 0) {
        return 0;
    }
    tc_piece piece = {
        .owner = owner, .offset = offset, .size = size, .kind = bytes ? TC_PIECE_BYTES : TC_PIECE_VIEW};
    return pieces_add(self, piece);
}

int
tc_stream_buffer_file(StreamBufferObject *self, PyObject *file, int fd, size_t offset, size_t size)
{
    tc_piece piece = {.owner = file, .offset = offset, .size = size, .fd = fd, .kind = TC_PIECE_FILE};
    return size > 0 ? pieces_add(self, piece) : 0;
}

/* Dropping a piece may run Python, which may change the queue: it is consistent before each. */
void
tc_stream_buffer_advance(StreamBufferObject *self, size_t n)
{
    while (n > 0 && self->first < self->count) {
        tc_piece *piece = &self->pieces[self->first];
        size_t part = tc_min_size(n, piece->size);
        self->size -= part;
        if (piece->kind == TC_PIECE_FILE) {
            self->file_size -= part;
        }
        piece->offset += part;
        piece->size -= part;
        n -= part;
        if (piece->size == 0) {
            tc_piece done = *piece;
            if (++self->first == self->count) {
                self->first = self->count = 0;
            }
            piece_drop(self, done);
        }
    }
}

void
tc_stream_buffer_clear(StreamBufferObject *self)
{
    tc_piece *pieces = self->pieces;
    size_t first = self->first, count = self->count;
    self->pieces = NULL;
    self->size = self->file_size = self->first = self->count = self->cap = 0;
    while (first < count) {
        piece_drop(self, pieces[first++]);
    }
    PyMem_Free(pieces);
}

int
tc_stream_buffer_gather(StreamBufferObject *self, struct iovec *iov, int max)
{
    int n = 0;
    for (size_t i = self->first; i < self->count && n < max; i++, n++) {
        const tc_piece *piece = &self->pieces[i];
        if (piece->kind == TC_PIECE_FILE) {
            break;
        }
        iov[n].iov_base = (char *)tc_piece_data(piece);
        iov[n].iov_len = piece->size;
    }
    return n;
}

Py_ssize_t
tc_stream_buffer_load(StreamBufferObject *self, size_t max)
{
    if (pieces_reserve(self) < 0) {
        return -1;
    }
    tc_piece *front = tc_stream_buffer_front(self);
    max = tc_min_size(max, front->size);
    PyObject *copy = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)max);
    if (copy == NULL) {
        return -1;
    }
    ssize_t n;
    do {
        n = pread(front->fd, PyByteArray_AS_STRING(copy), max, (off_t)front->offset);
    } while (n < 0 && errno == EINTR);
    if (n <= 0 || ((size_t)n < max && PyByteArray_Resize(copy, n) < 0)) {
        if (n < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
        }
        Py_DECREF(copy);
        return n == 0 ? 0 : -1;
    }
    front->offset += (size_t)n;
    front->size -= (size_t)n;
    self->file_size -= (size_t)n;
    tc_piece loaded = {.owner = copy, .size = (size_t)n, .kind = TC_PIECE_COPY};
    if (front->size == 0) {
        tc_piece done = *front;
        *front = loaded;
        piece_drop(self, done);
    }
    else {
        memmove(front + 1, front, (self->count - self->first) * sizeof(tc_piece));
        self->count++;
        *front = loaded;
    }
    return n;
}

/* ---- Python's methods ---- */

PyDoc_STRVAR(buffer_append_doc, "append($self, data, /)\n--\n\n"
                                "Queue bytes or another buffer; a large one by reference.");

static PyObject *
buffer_append(StreamBufferObject *self, PyObject *data)
{
    /* One request only: an object may give other memory each time. */
    PyObject *owner = PyBytes_CheckExact(data) ? Py_NewRef(data) : PyMemoryView_FromObject(data);
    Py_buffer view;
    if (owner == NULL || PyObject_GetBuffer(owner, &view, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(owner);
        return NULL;
    }
    int status = view.len <= self->large ? tc_stream_buffer_copy(self, view.buf, (size_t)view.len)
                                         : tc_stream_buffer_refer(self, owner, 0);
    PyBuffer_Release(&view);
    Py_DECREF(owner);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(buffer_peek_doc,
             "peek($self, size, /)\n--\n\n"
             "A memoryview of the first bytes: at least one if there are any, at most size. To be released\n"
             "before the queue is changed.");

/* The first bytes of a piece as a memoryview; of a copy where the memory has a format of its own that is not
 * to be cast (arrays of ctypes). */
static PyObject *
piece_view(const tc_piece *piece, size_t size)
{
    PyObject *whole = PyMemoryView_FromObject(piece->owner), *bytes = NULL, *part = NULL;
    if (whole != NULL) {
        bytes = PyObject_CallMethod(whole, "cast", "s", "B");
    }
    if (bytes != NULL) {
        part = PySequence_GetSlice(bytes, (Py_ssize_t)piece->offset, (Py_ssize_t)(piece->offset + size));
    }
    else if (whole != NULL) {
        PyErr_Clear();
        bytes = PyBytes_FromStringAndSize(tc_piece_data(piece), (Py_ssize_t)size);
        part = bytes != NULL ? PyMemoryView_FromObject(bytes) : NULL;
    }
    Py_XDECREF(whole);
    Py_XDECREF(bytes);
    return part;
}

PyObject *
tc_stream_buffer_peek(StreamBufferObject *self, size_t size)
{
    if (self->size == 0) {
        PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
        PyObject *view = empty != NULL ? PyMemoryView_FromObject(empty) : NULL;
        Py_XDECREF(empty);
        return view;
    }
    if (tc_stream_buffer_front(self)->kind == TC_PIECE_FILE) {
        Py_ssize_t n = tc_stream_buffer_load(self, size);
        if (n <= 0) {
            return n < 0 ? NULL : PyErr_Format(PyExc_EOFError, "the file ended before what was to be sent");
        }
    }
    tc_piece *piece = tc_stream_buffer_front(self);
    return piece_view(piece, tc_min_size(size, piece->size));
}

static PyObject *
buffer_peek(StreamBufferObject *self, PyObject *arg)
{
    Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size <= 0) {
        PyErr_SetString(PyExc_AssertionError, "size must be positive");
        return NULL;
    }
    return tc_stream_buffer_peek(self, (size_t)size);
}

PyDoc_STRVAR(buffer_advance_doc, "advance($self, size, /)\n--\n\nDrop the first bytes.");

static PyObject *
buffer_advance(StreamBufferObject *self, PyObject *arg)
{
    Py_ssize_t size = PyNumber_AsSsize_t(arg, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size <= 0 || (size_t)size > self->size) {
        PyErr_Format(PyExc_AssertionError, "cannot advance by %zd of %zu bytes", size, self->size);
        return NULL;
    }
    tc_stream_buffer_advance(self, (size_t)size);
    Py_RETURN_NONE;
}

static PyObject *
buffer_clear_method(StreamBufferObject *self, PyObject *unused)
{
    tc_stream_buffer_clear(self);
    Py_RETURN_NONE;
}

static Py_ssize_t
buffer_len(StreamBufferObject *self)
{
    return (Py_ssize_t)self->size;
}

/* What Python sees of a piece: never the object that the queue relies on, which could be changed or released
 * then. */
static PyObject *
piece_shown(const tc_piece *piece)
{
    switch (piece->kind) {
    case TC_PIECE_COPY:
        return PyByteArray_FromStringAndSize(tc_piece_data(piece), (Py_ssize_t)piece->size);
    case TC_PIECE_FILE:
        return Py_NewRef(piece->owner);
    default:
        return PyMemoryView_FromObject(piece->owner);
    }
}

/* As Tornado's: (kept by reference?, bytearray or memoryview) for each piece. */
static PyObject *
buffer_get_buffers(StreamBufferObject *self, void *unused)
{
    PyObject *list = PyList_New(0);
    for (size_t i = self->first; list != NULL && i < self->count; i++) {
        const tc_piece *piece = &self->pieces[i];
        PyObject *pair =
            Py_BuildValue("(NN)", PyBool_FromLong(piece->kind != TC_PIECE_COPY), piece_shown(piece));
        if (pair == NULL || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    return list;
}

/* ---- the type ---- */

static PyObject *
buffer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    StreamBufferObject *self = (StreamBufferObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->large = TC_STREAM_BUFFER_LARGE;
        if ((self->state = tc_state_of(type)) == NULL) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

StreamBufferObject *
tc_stream_buffer_new(tc_state *state)
{
    return (StreamBufferObject *)buffer_new(state->stream_buffer_type, NULL, NULL);
}

static int
buffer_traverse(StreamBufferObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (size_t i = self->first; i < self->count; i++) {
        if (self->pieces[i].kind != TC_PIECE_COPY) { /* ours alone, not for gc.get_referents() */
            Py_VISIT(self->pieces[i].owner);
        }
    }
    return 0;
}

static int
buffer_tp_clear(StreamBufferObject *self)
{
    tc_stream_buffer_clear(self);
    return 0;
}

static void
buffer_dealloc(StreamBufferObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tc_stream_buffer_clear(self);
    PyMem_Free(self->pieces);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef buffer_methods[] = {
    {"append", (PyCFunction)buffer_append, METH_O, buffer_append_doc},
    {"peek", (PyCFunction)buffer_peek, METH_O, buffer_peek_doc},
    {"advance", (PyCFunction)buffer_advance, METH_O, buffer_advance_doc},
    {"clear", (PyCFunction)buffer_clear_method, METH_NOARGS,
     "clear($self, /)\n--\n\nDrop all bytes and release the callers' buffers."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef buffer_members[] = {
    {"_large_buf_threshold", T_PYSSIZET, offsetof(StreamBufferObject, large), 0,
     "Bytes; a larger piece is kept by reference."},
    {NULL},
};

static PyGetSetDef buffer_getset[] = {
    {"_buffers", (getter)buffer_get_buffers, NULL, NULL, NULL},
    {NULL},
};

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, "A queue of bytes to be sent, which avoids copies of large pieces."},
    {Py_tp_new, buffer_new},
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_traverse, buffer_traverse},
    {Py_tp_clear, buffer_tp_clear},
    {Py_tp_methods, buffer_methods},
    {Py_tp_members, buffer_members},
    {Py_tp_getset, buffer_getset},
    {Py_sq_length, buffer_len},
    {0, NULL},
};

static PyType_Spec buffer_spec = {
    .name = "tornado_c.iostream._StreamBuffer",
    .basicsize = sizeof(StreamBufferObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = buffer_slots,
};

int
tc_stream_buffer_init_type(PyObject *module, tc_state *state)
{
    state->stream_buffer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &buffer_spec, NULL);
    return state->stream_buffer_type != NULL ? PyModule_AddType(module, state->stream_buffer_type) : -1;
}
