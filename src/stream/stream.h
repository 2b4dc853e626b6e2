/* StreamObject, the C base of tornado_c.iostream.IOStream: a non-blocking socket with a read buffer, a write
 * queue and one reader, which is either a pending read of Python's or a native consumer (an HTTP connection).
 *
 * Files: stream.c (life cycle, events, close), stream_read.c, stream_write.c, stream_socket.c (its socket,
 * connecting); Python's methods: iostream_type.c, iostream_reads.c. Whatever calls up may run Python, which
 * may close the stream or drop the last other reference: callers hold one of their own and look at `closed`
 * again. While there is interest (a pending read, write or connect, a close callback, a consumer) the watcher
 * owns a reference; otherwise an unreferenced stream is collected and its peer sees the end. */
#ifndef TC_STREAM_H
#define TC_STREAM_H

#include "base/raise.h"
#include "event/core.h"

#define TC_STREAM_CHUNK 65536          /* bytes asked of one recv */
#define TC_STREAM_MAX_BUFFER 104857600 /* Tornado's default max_buffer_size */
#define TC_STREAM_BY_REFERENCE 16384   /* a larger piece is never copied to be sent */

typedef struct StreamObject StreamObject;

/* A native reader. The stream holds a reference to `consumer` and calls these in its own events. */
typedef struct {
    /* Offers all unread bytes. Returns how many are used up; the rest is kept and offered again with more. A
     * negative value: stop, the stream was closed or its consumer has changed. TC_CONSUMER_RAISED: an
     * exception must leave the loop. */
    Py_ssize_t (*data)(PyObject *consumer, const char *data, size_t size);
    /* The write queue has run empty after it was not. */
    int (*drained)(PyObject *consumer);
    /* The stream is closed; called once, the consumer is dropped afterwards. */
    int (*closed)(PyObject *consumer);
} tc_consumer_class;

#define TC_CONSUMER_STOP (-1)
#define TC_CONSUMER_RAISED (-2)

enum tc_read_kind { TC_READ_NONE, TC_READ_UNTIL, TC_READ_REGEX, TC_READ_BYTES, TC_READ_CLOSE };

/* A pending read of Python's. */
typedef struct {
    enum tc_read_kind kind;
    bool partial;
    PyObject *pattern;    /* the delimiter (bytes), or the compiled expression */
    Py_ssize_t target;    /* READ_BYTES: how many */
    Py_ssize_t max_bytes; /* -1: no limit */
    size_t scanned;       /* bytes that the delimiter's search need not look at again */
    PyObject *future;     /* 6.x interface; else NULL */
    PyObject *callback;   /* 2.x-4.x interface; else NULL */
    PyObject *streaming;  /* streaming_callback, or NULL */
    PyObject *context;    /* of the callbacks */
} tc_read;

/* One piece of the write queue. */
typedef struct {
    PyObject *owner; /* bytes or buffer holder that keeps data alive */
    const char *data;
    size_t size;
} tc_piece;

/* Somebody who waits for the queue to pass an index. */
typedef struct {
    uint64_t index;
    PyObject *future;   /* or */
    PyObject *callback; /* with */
    PyObject *context;
} tc_write_waiter;

typedef struct {
    tc_piece *pieces; /* [first, count) are to be sent */
    size_t first, count, cap;
    size_t size;              /* bytes in all pieces */
    uint64_t done;            /* bytes sent since this struct was made */
    tc_write_waiter *waiters; /* [first_waiter, nwaiters) still wait */
    size_t first_waiter, nwaiters, waiters_cap;
} tc_writes;

/* Output of one event of ours, joined and sent when the event's handling ends. */
typedef struct {
    char *data;
    size_t size, cap;
    bool own; /* not the loop's scratch buffer */
} tc_cork;

struct StreamObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    LoopCore *core;
    tc_watcher watcher; /* holds the descriptor; -1 once closed */
    PyObject *dict, *weakrefs;
    PyObject *socket; /* NULL until asked for, for accepted connections */
    PyObject *error;
    PyObject *close_callback, *close_context;
    PyObject *consumer;
    const tc_consumer_class *consumer_class;
    char *buf; /* unread bytes: buf[buf_off .. buf_off + buf_len) */
    size_t buf_off, buf_len, buf_cap;
    tc_read *read;     /* NULL until Python first reads */
    tc_writes *writes; /* NULL until something had to wait */
    tc_cork *cork;     /* inside an event of ours */
    PyObject *connect_future, *connect_callback, *connect_context;
    tc_task resume_task; /* offer what is buffered to the consumer again */
    Py_ssize_t max_buffer_size, read_chunk_size, max_write_buffer_size; /* the last -1: unlimited */
    int family;                                                         /* of the socket: AF_INET... */
    unsigned pending_callbacks; /* user callbacks queued: the close callback waits for them */
    bool closed, connecting;
    bool paused;         /* the consumer wants nothing now */
    bool reading_event;  /* stream_read is on the stack */
    bool drained_socket; /* the last recv emptied the socket: no use trying before an event */
    bool hung_up; /* the kernel reports a hang-up, which it does unasked: no registration for nothing */
    bool nodelay; /* TCP_NODELAY as we last set it */
};

/* ---- stream.c ---- */

/* Makes a stream (class `type`) over an accepted descriptor, which it owns, also when this fails. */
StreamObject *tc_stream_from_fd(PyTypeObject *type, LoopCore *core, int fd, int family);

/* Closes; `exc` (or NULL) becomes stream.error. TC_OK or TC_RAISED. */
int tc_stream_close(StreamObject *self, PyObject *exc);

/* The same with an OSError made of an errno. */
int tc_stream_close_errno(StreamObject *self, int err);

/* For tp_new and for the module's init. */
void tc_stream_init_watcher(StreamObject *self);
int tc_stream_init_callbacks(tc_state *state);

/* Registers for what is wanted now and takes or drops the watcher's reference. -1: an exception is set. */
int tc_stream_update(StreamObject *self);

/* Starts feeding a native consumer; what is buffered is offered at once. TC_OK or TC_RAISED. */
int tc_stream_set_consumer(StreamObject *self, const tc_consumer_class *cls, PyObject *consumer);
void tc_stream_drop_consumer(StreamObject *self);

/* The consumer wants no data now; or wants it again, from the end of this turn on. */
void tc_stream_pause(StreamObject *self);
void tc_stream_resume(StreamObject *self);

/* Queues callback(*args) as a user callback of the stream; the close callback comes after it. */
int tc_stream_call(StreamObject *self, PyObject *callback, PyObject *arg, PyObject *context);

/* Raises StreamClosedError (with real_error) as the exception that is set. */
void tc_stream_raise_closed(StreamObject *self);
PyObject *tc_stream_closed_error(StreamObject *self);

/* After the last user callback of a closed stream, or at close: runs the close callback. */
int tc_stream_maybe_run_close_callback(StreamObject *self);

/* ---- stream_socket.c ---- */

/* The socket object, made on first use; NULL with an exception, or None once closed (new reference). */
PyObject *tc_stream_socket(StreamObject *self);

int tc_stream_set_nodelay(StreamObject *self, bool on);

/* For methods: 0, or -1 with an exception where __init__ was skipped or the socket was closed under the
 * stream (which is closed then). */
int tc_stream_check_ready(StreamObject *self);

/* The connection attempt has ended: tells whoever waits for it, or closes the stream. TC_OK or TC_RAISED. */
int tc_stream_connected(StreamObject *self);

/* ---- stream_read.c ---- */

/* The descriptor is readable (or at its end): receive and deliver. TC_OK or TC_RAISED. */
int tc_stream_readable(StreamObject *self);

/* Starts a read of Python's and returns its Future, or None for a callback. `read` has kind, pattern, target,
 * max_bytes, partial set. callback, streaming: borrowed or NULL. */
PyObject *tc_stream_start_read(StreamObject *self, const tc_read *request, PyObject *callback,
                               PyObject *streaming);

bool tc_stream_is_reading(const StreamObject *self);
int tc_stream_offer_buffered(StreamObject *self);
void tc_stream_read_closed(StreamObject *self, PyObject *exc);
void tc_read_clear(tc_read *read);

/* ---- stream_write.c ---- */

/* Sends now what can be sent, keeps the rest. With `owner` the rest is kept by reference to it, else copied.
 * TC_OK, TC_RAISED. A failing socket closes the stream and is no error here. */
int tc_stream_write(StreamObject *self, const char *data, size_t size, PyObject *owner);

/* Begins to join output in `cork`, unless that is going on already; end it with tc_stream_uncork, which
 * sends. */
bool tc_stream_cork(StreamObject *self, tc_cork *cork);
int tc_stream_uncork(StreamObject *self);

/* Room for `size` more bytes of corked output, to be filled and then claimed; NULL with MemoryError. Only
 * while corked. */
char *tc_stream_room(StreamObject *self, size_t size);
static inline void
tc_stream_claim(StreamObject *self, size_t size)
{
    self->cork->size += size;
}

/* Sends the corked bytes now; the cork stays. */
int tc_stream_flush(StreamObject *self);

/* The descriptor is writable: send what waits. */
int tc_stream_writable(StreamObject *self);

/* Bytes accepted and not yet sent. */
size_t tc_stream_unsent(const StreamObject *self);

/* Waits for everything written so far: a Future (callback NULL), or None with the callback queued. */
PyObject *tc_stream_wait_written(StreamObject *self, PyObject *callback);
void tc_writes_free(tc_writes *writes);
void tc_stream_write_closed(StreamObject *self, PyObject *exc);

#endif
