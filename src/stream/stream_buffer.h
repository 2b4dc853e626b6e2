/* StreamBufferObject, the C type of tornado_c.iostream._StreamBuffer: a queue of bytes to be sent. Small
 * pieces are copied together, large ones kept by reference, a range of a file is only named. A stream's queue
 * is one of these, and the one that Python sees as stream._write_buffer. */
#ifndef TC_STREAM_BUFFER_H
#define TC_STREAM_BUFFER_H

#include "base/state.h"

#include <sys/uio.h>

#define TC_STREAM_BUFFER_LARGE 2048 /* bytes; a larger piece is kept by reference */

enum tc_piece_kind {
    TC_PIECE_COPY, /* owner: a bytearray of ours, grown by small appends */
    TC_PIECE_BYTES,
    TC_PIECE_VIEW, /* owner: a memoryview of bytes; released when the piece is done */
    TC_PIECE_FILE, /* owner: what keeps the descriptor open; offset is the file's */
};

typedef struct {
    PyObject *owner;
    size_t offset, size; /* what is left: size bytes from offset on */
    int fd;
    uint8_t kind;
} tc_piece;

typedef struct StreamBufferObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    tc_piece *pieces;              /* [first, count) */
    size_t first, count, cap;
    size_t size;      /* bytes in all pieces */
    size_t file_size; /* those of them that lie in files */
    Py_ssize_t large; /* bytes; _large_buf_threshold */
} StreamBufferObject;

StreamBufferObject *tc_stream_buffer_new(tc_state *state);

/* Each returns 0, or -1 with an exception. owner: exact bytes or a memoryview of bytes, to be referred to
 * from offset on. */
int tc_stream_buffer_copy(StreamBufferObject *self, const char *data, size_t size);
int tc_stream_buffer_refer(StreamBufferObject *self, PyObject *owner, size_t offset);
int tc_stream_buffer_file(StreamBufferObject *self, PyObject *file, int fd, size_t offset, size_t size);

/* Takes n <= size bytes off the front. Runs Python only where a caller's object is freed. */
void tc_stream_buffer_advance(StreamBufferObject *self, size_t n);
void tc_stream_buffer_clear(StreamBufferObject *self);

/* The bytes of a piece that is not in a file; valid until the queue changes. */
const char *tc_piece_data(const tc_piece *piece);

/* The first piece; there must be one. */
static inline tc_piece *
tc_stream_buffer_front(StreamBufferObject *self)
{
    return &self->pieces[self->first];
}

/* The pieces up to the next one in a file, at most max of them. */
int tc_stream_buffer_gather(StreamBufferObject *self, struct iovec *iov, int max);

/* A memoryview of at most `size` of the first bytes; new reference. */
PyObject *tc_stream_buffer_peek(StreamBufferObject *self, size_t size);

/* Reads the next bytes of the first piece, which is of a file, into memory as a piece before it. Bytes read:
 * 0 at the file's end; -1 with an exception. */
Py_ssize_t tc_stream_buffer_load(StreamBufferObject *self, size_t max);

#endif
