/* What the files of the stream layer share, beside stream.h: a stream's parts, and the steps of its life.
 * Whatever calls up may run Python, which may close the stream or drop the last other reference: callers hold
 * one of their own and check `closed` again. */
#ifndef TC_STREAM_PARTS_H
#define TC_STREAM_PARTS_H

#include "base/context.h"
#include "stream/stream.h"
#include "stream/stream_buffer.h"
#include "stream/stream_train.h"
#include "stream/tls_memory.h"

#define TC_STREAM_MAX_BUFFER 104857600 /* Tornado's default max_buffer_size */

enum tc_read_kind { TC_READ_NONE, TC_READ_UNTIL, TC_READ_REGEX, TC_READ_BYTES, TC_READ_INTO, TC_READ_CLOSE };

/* A waiter: a Future (6.x interface), or a callback with its context (2.x-4.x). */
typedef struct {
    PyObject *future, *callback, *context;
    bool apart; /* what the callback raises is no matter of the stream's, which stays open */
} tc_waiter;

/* Whom to notify when the stream is connected, and (a callback) when it is closed. */
struct tc_notices {
    tc_waiter connected, closed;
};

/* A pending read of Python's. */
struct tc_read {
    enum tc_read_kind kind;
    bool partial;
    bool unseen;          /* the future was not returned yet */
    PyObject *pattern;    /* the delimiter (bytes), or the compiled expression */
    Py_ssize_t target;    /* READ_BYTES, READ_INTO: how many */
    Py_ssize_t filled;    /* READ_INTO: how many of them are in the view */
    Py_buffer *view;      /* READ_INTO: the caller's memory; allocated */
    Py_ssize_t max_bytes; /* -1: no limit */
    size_t scanned;       /* bytes already searched for the delimiter */
    PyObject *streaming;  /* streaming_callback, or NULL; its context is the waiter's */
    tc_waiter waiter;
};

/* A waiter for the queue to pass an index. */
typedef struct {
    uint64_t index;
    tc_waiter who;
    PyObject *error; /* the face that the Future fails with, borrowed, or NULL: StreamClosedError */
} tc_write_waiter;

struct tc_writes {
    StreamBufferObject *buffer;
    uint64_t index, done;     /* bytes written, and how many of them were sent */
    tc_write_waiter *waiters; /* [first_waiter, nwaiters) still wait */
    size_t first_waiter, nwaiters, waiters_cap;
};

/* How bytes come and go. */
enum tc_io_way {
    TC_IO_SOCKET,
    TC_IO_PIPE,
    TC_IO_TLS,
    TC_IO_HOOK, /* read_from_fd or write_to_fd is the application's */
};

/* The TLS side of a stream. */
struct tc_tls {
    PyObject *sslobj;    /* the _ssl object of the socket, once the handshake is done */
    PyObject *future;    /* of wait_for_handshake(), or NULL */
    unsigned want;       /* events that the handshake waits for; 0: it has not begun */
    bool accepting;      /* the handshake is not done */
    bool read_blocked;   /* a read waits for the socket to be writable */
    bool write_blocked;  /* a write waits for the socket to be readable */
    bool said_goodbye;   /* close_notify */
    unsigned fork_count; /* of the process that began it */
    bool busy;           /* OpenSSL is on the stack and must not be re-entered: its callbacks are Python's */
    PyObject *failure;   /* of a read that had brought bytes first: the next read raises it */
    TLSMemoryObject *memory; /* between OpenSSL and the descriptor; NULL: OpenSSL uses the descriptor */
    size_t encrypted;        /* bytes at the queue's front whose records are still being sent */
    unsigned burst;          /* how many records are sent at once, at most */
};

/* ---- stream.c ---- */

/* The same for the Exception that is set, which stays set and is logged to `logger` ("application",
 * "general"). */
void tc_stream_close_uncaught(StreamObject *self, const char *logger);

/* The same with an OSError made of an errno. */
int tc_stream_close_errno(StreamObject *self, int err);

/* For tp_new and for the module's init. */
void tc_stream_init_watcher(StreamObject *self);
int tc_stream_init_callbacks(tc_state *state);

/* Fills in a waiter: a Future, or a callback and its context, which is also that of `other`, a second
 * callback of the same caller; both borrowed or NULL. 0, or -1 with an exception and a waiter to be
 * cleared. */
int tc_waiter_begin(StreamObject *self, tc_waiter *waiter, PyObject *callback, PyObject *other);

/* The Future's result, or a call of the callback with arg (or without one where that is NULL). TC_OK or
 * TC_RAISED. */
int tc_waiter_notify(StreamObject *self, const tc_waiter *waiter, PyObject *result, PyObject *arg);

/* The Future fails quietly; a callback is never called. */
void tc_waiter_fail(StreamObject *self, const tc_waiter *waiter, PyObject *exc);
void tc_waiter_clear(tc_waiter *waiter);

#define TC_VISIT_WAITER(waiter)                                                                              \
    do {                                                                                                     \
        Py_VISIT((waiter)->future);                                                                          \
        Py_VISIT((waiter)->callback);                                                                        \
        Py_VISIT((waiter)->context);                                                                         \
    } while (0)

/* Queues callback(*args) as a user callback of the stream; the close callback comes after it. */
int tc_stream_call(StreamObject *self, PyObject *callback, PyObject *arg, PyObject *context);

static inline bool
tc_stream_tells_of_close(const StreamObject *self)
{
    return self->notices != NULL && self->notices->closed.callback != NULL;
}

/* Made on first use; NULL with MemoryError. */
tc_notices *tc_stream_notices(StreamObject *self);

/* ---- stream_io.c ---- */

/* Besides a count of bytes: nothing can be received or sent now; or an exception is set. */
#define TC_IO_AGAIN (-1)
#define TC_IO_FAILED (-2)

/* Reads once; 0 at the peer's end. Sets drained_socket. */
Py_ssize_t tc_stream_recv(StreamObject *self, char *buf, size_t size);

/* The same for a socket that is read directly, as tc_stream_resolve has found; runs no Python. */
Py_ssize_t tc_stream_recv_plain(StreamObject *self, char *buf, size_t size);

/* Whether vectors can be sent as they are; else tc_stream_send_front sends from the queue. */
bool tc_stream_sends_vectors(StreamObject *self);
Py_ssize_t tc_stream_send(StreamObject *self, struct iovec *iov, int count);
Py_ssize_t tc_stream_send_front(StreamObject *self);

/* Looks up which of the hooks are ours, where the class or the instance may have changed. */
void tc_stream_resolve_slow(StreamObject *self);

static inline void
tc_stream_resolve(StreamObject *self)
{
    if (TC_UNLIKELY(self->class_version != Py_TYPE(self)->tp_version_tag || self->class_version == 0 ||
                    (self->dict != NULL && PyDict_GET_SIZE(self->dict) > 0))) {
        tc_stream_resolve_slow(self);
    }
}

/* The descriptor, from the application's fileno() if necessary; -1 with an exception. */
int tc_stream_descriptor(StreamObject *self);

/* Whether the OSError that is given means that the peer is gone. -1 with an exception. */
int tc_stream_is_connreset(StreamObject *self, PyObject *exc);

/* ---- stream_tls.c ---- */

int tc_tls_begin(StreamObject *self); /* 0, or -1 with an exception */
void tc_tls_free(tc_tls *tls);

/* One step of the handshake. TC_OK or TC_RAISED. */
int tc_tls_handshake(StreamObject *self);

/* Sends close_notify, by which the peer knows that nothing is missing, as far as the socket takes it. */
void tc_tls_say_goodbye(StreamObject *self);

/* The stream is closed: fails the handshake's Future. */
void tc_tls_closed(StreamObject *self);

/* As tc_stream_recv and tc_stream_send_front; the first piece of the queue must not be in a file. */
Py_ssize_t tc_tls_recv(StreamObject *self, char *buf, size_t size);
Py_ssize_t tc_tls_send(StreamObject *self);

/* Sends records that had to wait and carry no data of the queue. As tc_tls_memory_flush. */
int tc_tls_flush(StreamObject *self);

/* ---- stream_socket.c ---- */

/* The socket object, made on first use; NULL with an exception, or None once closed (new reference). */
PyObject *tc_stream_socket(StreamObject *self);

/* Must be called after `socket` and the descriptor have been set. */
void tc_stream_note_socket(StreamObject *self);

void tc_stream_drop_connect(StreamObject *self);

/* The error that the kernel keeps for the socket: an errno, or 0. */
int tc_stream_socket_error(const StreamObject *self);

/* TCP_NODELAY, which each stream over TCP gets once, as asyncio's transports do; what the application sets
 * afterwards stays. Unix sockets have no such option. */
void tc_stream_begin_nodelay(const StreamObject *self);
int tc_stream_set_nodelay(StreamObject *self, bool on); /* 0, or -1 with an exception */
bool tc_stream_has_nodelay(const StreamObject *self);

/* For methods: 0, or -1 with an exception where __init__ was skipped, the thread is another's (in debug mode)
 * or the socket was closed under the stream (which is closed then). */
int tc_stream_check_ready(StreamObject *self);

/* The connection attempt has ended: notifies the waiter, or closes the stream. TC_OK or TC_RAISED. */
int tc_stream_connected(StreamObject *self);

/* ---- stream_match.c ---- */

/* As tc_stream_is_reading. */
static inline bool
tc_stream_has_read(const StreamObject *self)
{
    return self->read != NULL && self->read->kind != TC_READ_NONE;
}

void tc_read_clear(tc_read *read);

/* Tries the pending read against unread bytes; *used is how many it took. TC_OK or TC_RAISED. */
int tc_read_try(StreamObject *self, const char *data, size_t size, size_t *used);

/* Whether the pending read's Future was completed elsewhere: a cancelled read is over, and its bytes stay for
 * the next one. */
bool tc_read_is_over(const StreamObject *self);

/* Makes a pending read into the caller's memory release that when it is cancelled. TC_OK or TC_RAISED. */
int tc_read_watch_into(StreamObject *self);

/* The pending read, which is not over, gets these bytes. TC_OK or TC_RAISED. */
int tc_read_finish(StreamObject *self, const char *data, size_t size);

/* The pending read gets an exception. */
void tc_read_fail(StreamObject *self, PyObject *exc);

/* Whether a read into the caller's memory has what it wants. */
static inline bool
tc_read_into_done(const tc_read *read)
{
    return read->filled == read->target || (read->partial && read->filled > 0);
}

/* How many bytes satisfy the pending read, or a negative value. */
Py_ssize_t tc_read_find(StreamObject *self, const char *data, size_t size);
#define TC_FIND_MORE (-1) /* not satisfied yet */
#define TC_FIND_UNSATISFIABLE (-2)
#define TC_FIND_RAISED (-3)

/* ---- stream_receive.c ---- */

/* The bytes that are unread. */
static inline const char *
tc_stream_buffered(const StreamObject *self)
{
    return self->buf + self->buf_off;
}

/* Frees the buffer of unread bytes. */
void tc_stream_drop_buffer(StreamObject *self);

/* Puts bytes before those that are unread. TC_OK or TC_RAISED. */
int tc_stream_unread(StreamObject *self, const char *data, size_t size);

/* Offers what is buffered to the reader. TC_OK or TC_RAISED. */
int tc_stream_offer_buffered(StreamObject *self);

/* Whether there is a reader now: a pending read, or a consumer that is not paused. */
static inline bool
tc_stream_wants_more(const StreamObject *self)
{
    return !self->closed && !tc_train_waits(self) && (tc_stream_feeds(self) || tc_stream_has_read(self));
}

/* Until tc_stream_end_delivery no event reads, and nothing else appends to or takes from the read buffer. */
static inline void
tc_stream_begin_delivery(StreamObject *self)
{
    self->reading_event = true;
}

static inline void
tc_stream_end_delivery(StreamObject *self)
{
    self->reading_event = false;
    if (TC_UNLIKELY(self->nested)) {
        self->nested = self->hung_up = false; /* the update that follows registers again */
    }
}

/* ---- stream_read.c ---- */

/* Starts a read of Python's and returns its Future, or None for a callback. `request` has kind, pattern,
 * target, max_bytes, partial, view set; the view is taken over, also where this fails. callback, streaming:
 * borrowed or NULL. */
PyObject *tc_stream_start_read(StreamObject *self, const tc_read *request, PyObject *callback,
                               PyObject *streaming);

/* Completes the pending read from the buffer or the descriptor, if that can be done without waiting. TC_OK or
 * TC_RAISED. */
int tc_stream_inline_read(StreamObject *self);

/* The stream is closed: the pending read gets what there is, or the exception. */
void tc_stream_read_closed(StreamObject *self, PyObject *exc);

/* ---- stream_cork.c ---- */

/* Writes after what is corked; a large piece is sent with it at once. As tc_stream_write. Only while
 * corked. */
int tc_stream_cork_write(StreamObject *self, const char *data, size_t size, PyObject *owner);

/* Begins to join the responses of a train; false where that is not possible. Ends with tc_stream_end_train,
 * which sends, at the turn's end at the latest. */
bool tc_stream_cork_train(StreamObject *self);
int tc_stream_end_train(StreamObject *self);

/* Forgets what was corked; for a stream that is freed with its loop. */
void tc_stream_drop_cork(StreamObject *self);

/* ---- stream_train.c ---- */

/* A read of Python's begins: TC_OK where it may be completed at once; TC_AGAIN: its turn comes later;
 * TC_RAISED. */
int tc_train_read(StreamObject *self);

/* That read was completed, without waiting. */
void tc_train_read_done(StreamObject *self);

/* Python writes: whether that may be joined with later writes. */
bool tc_train_write(StreamObject *self);

/* ---- stream_fork.c ---- */

/* Registers what os.fork() does with streams; for the module's init. 0, or -1 with an exception. */
int tc_stream_init_fork(PyObject *module, tc_state *state);

/* ---- stream_write.c ---- */

/* Whether nothing is queued before what is written now. */
bool tc_stream_can_send(const StreamObject *self);

/* The descriptor is writable: send what waits. */
int tc_stream_writable(StreamObject *self);

/* The queue and its counters, made on first use; NULL with MemoryError. */
tc_writes *tc_stream_writes(StreamObject *self);

/* As tc_stream_queued. */
static inline size_t
tc_stream_waiting(const StreamObject *self)
{
    return self->writes != NULL ? self->writes->buffer->size : 0;
}

/* The same, with the corked bytes. */
size_t tc_stream_unsent(const StreamObject *self);

void tc_writes_forget(tc_writes *writes); /* the queue and its waiters */
void tc_writes_free(tc_writes *writes);
void tc_stream_write_closed(StreamObject *self, PyObject *exc);

#endif
