/* StreamObject, the C base of tornado_c.iostream.BaseIOStream: a non-blocking descriptor with a read buffer,
 * a write queue and one reader, which is either a pending read of Python's or a native consumer (an HTTP
 * connection).
 *
 * Files: stream.c (life and close), stream_event.c, stream_io.c (bytes to and from the descriptor: socket,
 * pipe, TLS or an application's hooks), stream_tls.c, tls_memory.c, stream_read.c (receiving), stream_match.c
 * (pending reads), stream_write.c, stream_cork.c, stream_train.c (messages that came together),
 * stream_fork.c, stream_socket.c (its socket, connecting); Python's methods: iostream_type.c,
 * iostream_reads.c, iostream_writes.c, iostream_private.c. Whatever calls up may run Python, which may close
 * the stream or drop the last other reference: callers hold one of their own and look at `closed` again. From
 * the first interest on (a pending read, write, connect or handshake, a close callback, a consumer) until the
 * close the watcher owns a reference, as Tornado's registration does; before that an unreferenced stream is
 * collected and its peer sees the end. */
#ifndef TC_STREAM_H
#define TC_STREAM_H

#include "base/raise.h"
#include "event/core.h"
#include "stream/stream_buffer.h"
#include "stream/tls_memory.h"

#define TC_STREAM_CHUNK 65536          /* bytes asked of one recv */
#define TC_STREAM_MAX_BUFFER 104857600 /* Tornado's default max_buffer_size */
#define TC_STREAM_BY_REFERENCE 16384   /* a larger piece is never copied to be sent */

typedef struct StreamObject StreamObject;

/* A native reader. The stream holds a reference to `consumer` and calls these in its own events; each call
 * holds another one, since any of them may run Python that closes the stream. */
typedef struct {
    /* Offers all unread bytes. Returns how many are used up; the rest is kept and offered again with more. A
     * negative value: stop, the stream was closed or its consumer has changed. TC_CONSUMER_RAISED: an
     * exception must leave the loop. */
    Py_ssize_t (*data)(PyObject *consumer, const char *data, size_t size);
    /* The write queue has run empty after it was not. */
    int (*drained)(PyObject *consumer);
    /* The stream is closed; called once, the consumer is dropped afterwards. */
    int (*closed)(PyObject *consumer);
    /* Python wants to read the stream itself: true where the consumer wants nothing for now, and has paused
     * or dropped itself. */
    bool (*lends)(PyObject *consumer);
    /* What was lent does not come back, another stream has its socket: lets go of everything, and drops
     * itself. */
    void (*lost)(PyObject *consumer);
} tc_consumer_class;

#define TC_CONSUMER_STOP (-1)
#define TC_CONSUMER_RAISED (-2)

enum tc_read_kind { TC_READ_NONE, TC_READ_UNTIL, TC_READ_REGEX, TC_READ_BYTES, TC_READ_INTO, TC_READ_CLOSE };

/* Who waits for something: a Future (6.x interface), or a callback with its context (2.x-4.x). */
typedef struct {
    PyObject *future, *callback, *context;
} tc_waiter;

/* A pending read of Python's. */
typedef struct {
    enum tc_read_kind kind;
    bool partial;
    bool unseen;          /* nobody has the future yet */
    PyObject *pattern;    /* the delimiter (bytes), or the compiled expression */
    Py_ssize_t target;    /* READ_BYTES, READ_INTO: how many */
    Py_ssize_t filled;    /* READ_INTO: how many of them are in the view */
    Py_buffer *view;      /* READ_INTO: the caller's memory; allocated */
    Py_ssize_t max_bytes; /* -1: no limit */
    size_t scanned;       /* bytes that the delimiter's search need not look at again */
    PyObject *streaming;  /* streaming_callback, or NULL; its context is the waiter's */
    tc_waiter waiter;
} tc_read;

/* Somebody who waits for the queue to pass an index. */
typedef struct {
    uint64_t index;
    tc_waiter who;
} tc_write_waiter;

typedef struct {
    StreamBufferObject *buffer;
    uint64_t index, done;     /* bytes written, and how many of them have left */
    tc_write_waiter *waiters; /* [first_waiter, nwaiters) still wait */
    size_t first_waiter, nwaiters, waiters_cap;
} tc_writes;

/* Output that is joined: of one event of ours, or the answers to messages that were read together. */
typedef struct {
    char *data;
    size_t size, cap;
    bool own; /* not the loop's scratch buffer */
} tc_cork;

/* Messages that came together, in the turn of the loop at hand (see stream_train.c). */
typedef struct {
    double began, last; /* the clock when it was first read in this turn, and latest; 0: not yet */
    uint32_t turn;      /* core->turn */
    uint32_t tick;      /* tc_clock_tick() at `last` */
    uint8_t calls;      /* messages that the application was given in it */
    uint8_t quick;      /* how many calls in a row were short */
    bool ahead;         /* a consumer has more input at hand than the message that it handles */
    bool unanswered;    /* a read of Python's was completed, and nothing written since */
    bool corked;        /* `cork` is of the train, and lasts until the turn's end */
    bool over;          /* a consumer has had its share */
    bool waits;         /* the rest of the input is for a later turn */
} tc_train;

/* How bytes come and go. */
enum tc_io_way {
    TC_IO_SOCKET,
    TC_IO_PIPE,
    TC_IO_TLS,
    TC_IO_HOOK, /* read_from_fd or write_to_fd is the application's */
};

/* The TLS side of a stream. */
typedef struct {
    PyObject *sslobj;    /* the _ssl object of the socket, once the handshake is done */
    PyObject *future;    /* of wait_for_handshake(), or NULL */
    unsigned want;       /* events that the handshake waits for; 0: it has not begun */
    bool accepting;      /* the handshake is not done */
    bool read_blocked;   /* a read waits for the socket to be writable */
    bool write_blocked;  /* a write waits for the socket to be readable */
    bool said_goodbye;   /* close_notify */
    unsigned fork_count; /* of the process that began it */
    bool busy; /* OpenSSL is on the stack, which must not be entered again: its callbacks are Python's */
    PyObject *failure;       /* of a read that had brought bytes before: the next one raises it */
    TLSMemoryObject *memory; /* between OpenSSL and the descriptor; NULL: nothing is */
    size_t encrypted;        /* bytes at the queue's front whose records are on their way */
    unsigned burst;          /* how many records are sent at once, at most */
} tc_tls;

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
    char *buf; /* unread bytes: buf[buf_off .. buf_off + buf_len); NULL where there are none */
    size_t buf_off, buf_len;
    tc_read *read;       /* NULL until Python first reads */
    tc_writes *writes;   /* NULL until something had to wait */
    uint64_t sent;       /* bytes that left before there was a `writes` */
    tc_cork *cork;       /* inside an event of ours, and while the answers of a train are joined */
    tc_tls *tls;         /* NULL: plain */
    tc_waiter *connect;  /* while connecting */
    tc_task resume_task; /* offer what is buffered to the reader again */
    tc_link link;        /* in state->streams */
    tc_train train;
    Py_ssize_t max_buffer_size, max_write_buffer_size; /* the last -1: unlimited */
    int read_chunk_size;
    unsigned class_version;     /* of the class when its hooks were looked up; 0: not yet */
    unsigned pending_callbacks; /* user callbacks queued: the close callback waits for them */
    short family;               /* of the socket: AF_INET... */
    bool closed, connecting;
    bool paused;         /* the consumer wants nothing now */
    bool output_ended;   /* what still comes is only read to be dropped */
    bool reading_event;  /* stream_read is on the stack */
    bool receiving;      /* so is a hook that reads, or the ssl module */
    bool sending;        /* writes_send is on the stack */
    bool owns_fd;        /* the descriptor is ours to close, there is no socket object */
    bool nested;         /* an event came from a nested turn meanwhile: reading is masked till then */
    bool mask;           /* the last event found nobody who wanted to read */
    bool drained_socket; /* the last read emptied the descriptor: no use trying before an event */
    bool hung_up;      /* the kernel reports a hang-up, which it does unasked: no registration for nothing */
    bool plain_socket; /* the socket object is laid out as CPython's */
    bool inherited;    /* a fork of the process has it too: no native consumer reads in this one */
    bool plain_close, plain_error, plain_inline; /* close_fd, get_fd_error, _try_inline_read are ours */
    uint8_t read_way, write_way;                 /* enum tc_io_way */
    uint8_t asked;                               /* events that _add_io_state asked for */
};

/* ---- stream.c ---- */

/* Makes a stream (class `type`) over an accepted descriptor, which it owns, also when this fails. */
StreamObject *tc_stream_from_fd(PyTypeObject *type, LoopCore *core, int fd, int family);

/* Closes; `exc` (or NULL) becomes stream.error. TC_OK or TC_RAISED. */
int tc_stream_close(StreamObject *self, PyObject *exc);

/* The same for the Exception that is set and stays so, which a logger ("application", "general") is told of.
 */
void tc_stream_close_uncaught(StreamObject *self, const char *logger);

/* The same with an OSError made of an errno. */
int tc_stream_close_errno(StreamObject *self, int err);

/* Ends our side of the connection. What still comes may be read until the peer's end, to be dropped: under
 * TLS it stays as it is on the wire. Any failure is an end then. false: the connection is gone. */
bool tc_stream_end_output(StreamObject *self);

/* For tp_new and for the module's init. */
void tc_stream_init_watcher(StreamObject *self);
int tc_stream_init_callbacks(tc_state *state);

/* Registers for what is wanted now and takes or drops the watcher's reference. -1: an exception is set. */
int tc_stream_update(StreamObject *self);

/* Starts feeding a native consumer; what is buffered is offered at once. TC_OK or TC_RAISED. */
int tc_stream_set_consumer(StreamObject *self, const tc_consumer_class *cls, PyObject *consumer);
void tc_stream_drop_consumer(StreamObject *self);

/* At the end of this turn offers what is buffered, and reads on where the descriptor does not tell of more.
 */
void tc_stream_resume_later(StreamObject *self);

/* The consumer wants no data now; or wants it again, from the end of this turn on. */
void tc_stream_pause(StreamObject *self);
void tc_stream_resume(StreamObject *self);

/* Whether a consumer gets what comes; else it is for Python's reads. */
static inline bool
tc_stream_feeds(const StreamObject *self)
{
    return self->consumer != NULL && !self->paused;
}

/* The Future's result, or a call of the callback with arg (or without one where that is NULL). TC_OK or
 * TC_RAISED. */
int tc_waiter_tell(StreamObject *self, const tc_waiter *waiter, PyObject *result, PyObject *arg);

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

/* Raises StreamClosedError (with real_error) as the exception that is set. */
void tc_stream_raise_closed(StreamObject *self);
PyObject *tc_stream_closed_error(StreamObject *self);

/* After the last user callback of a closed stream, or at close: runs the close callback. */
int tc_stream_maybe_run_close_callback(StreamObject *self);

/* ---- stream_io.c ---- */

/* Besides a count of bytes: nothing can be had or sent now; or an exception is set. */
#define TC_IO_AGAIN (-1)
#define TC_IO_FAILED (-2)

/* Reads once; 0 at the peer's end. Sets drained_socket. */
Py_ssize_t tc_stream_recv(StreamObject *self, char *buf, size_t size);

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

/* The descriptor, asked of the application's fileno() where need be; -1 with an exception. */
int tc_stream_descriptor(StreamObject *self);

/* Whether the OSError that is given means that the peer is gone. -1 with an exception. */
int tc_stream_is_connreset(StreamObject *self, PyObject *exc);

/* ---- stream_tls.c ---- */

static inline bool
tc_stream_handshaking(const StreamObject *self)
{
    return TC_UNLIKELY(self->tls != NULL) && self->tls->accepting;
}

int tc_tls_begin(StreamObject *self); /* 0, or -1 with an exception */
void tc_tls_free(tc_tls *tls);

/* One step of the handshake. TC_OK or TC_RAISED. */
int tc_tls_handshake(StreamObject *self);

/* Sends close_notify, which tells the peer that nothing is missing, as far as the socket takes it. */
void tc_tls_say_goodbye(StreamObject *self);

/* The stream is closed: fails the handshake's Future. */
void tc_tls_closed(StreamObject *self);

/* As tc_stream_recv and tc_stream_send_front; the first piece of the queue must not be in a file. */
Py_ssize_t tc_tls_recv(StreamObject *self, char *buf, size_t size);
Py_ssize_t tc_tls_send(StreamObject *self);

/* Sends records of nobody's bytes that had to wait. As tc_tls_memory_flush. */
int tc_tls_flush(StreamObject *self);

/* ---- stream_socket.c ---- */

/* The socket object, made on first use; NULL with an exception, or None once closed (new reference). */
PyObject *tc_stream_socket(StreamObject *self);

/* To be called where `socket` and the descriptor have been set. */
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

/* The connection attempt has ended: tells whoever waits for it, or closes the stream. TC_OK or TC_RAISED. */
int tc_stream_connected(StreamObject *self);

/* ---- stream_match.c ---- */

static inline bool
tc_stream_is_reading(const StreamObject *self)
{
    return self->read != NULL && self->read->kind != TC_READ_NONE;
}

void tc_read_clear(tc_read *read);

/* Tries the pending read against unread bytes; *used is how many it took. TC_OK or TC_RAISED. */
int tc_read_try(StreamObject *self, const char *data, size_t size, size_t *used);

/* Whether somebody else has completed the pending read's Future: a cancelled read is over, and what it would
 * have got stays for the next one. */
bool tc_read_is_over(const StreamObject *self);

/* Drops the pending read if it is over. To be called before a stream counts as being read. */
void tc_stream_forget_cancelled(StreamObject *self);

/* Whether nobody reads, so that Python may: no consumer, or one that lends the stream. */
bool tc_stream_is_free(StreamObject *self);

/* Has a pending read into the caller's memory give that back when it is cancelled. TC_OK or TC_RAISED. */
int tc_read_watch_into(StreamObject *self);

/* The pending read, which is not over, gets these bytes, as they are. TC_OK or TC_RAISED. */
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

/* ---- stream_read.c ---- */

/* The descriptor is readable (or at its end): receive and deliver. TC_OK or TC_RAISED. */
int tc_stream_readable(StreamObject *self);

/* Starts a read of Python's and returns its Future, or None for a callback. `request` has kind, pattern,
 * target, max_bytes, partial, view set; the view is taken over, also where this fails. callback, streaming:
 * borrowed or NULL. */
PyObject *tc_stream_start_read(StreamObject *self, const tc_read *request, PyObject *callback,
                               PyObject *streaming);

/* Completes the pending read from the buffer or the descriptor, if that can be done without waiting. TC_OK or
 * TC_RAISED. */
int tc_stream_inline_read(StreamObject *self);

/* Frees the buffer of unread bytes. */
void tc_stream_drop_buffer(StreamObject *self);

/* Drops bytes from the front of the buffer. */
void tc_stream_consume(StreamObject *self, size_t size);

/* Puts bytes before those that are unread. TC_OK or TC_RAISED. */
int tc_stream_unread(StreamObject *self, const char *data, size_t size);

int tc_stream_offer_buffered(StreamObject *self);
static inline bool
tc_stream_wants_more(const StreamObject *self)
{
    return !self->closed && TC_LIKELY(!self->train.waits) &&
           (tc_stream_feeds(self) || tc_stream_is_reading(self));
}
void tc_stream_read_closed(StreamObject *self, PyObject *exc);

/* ---- stream_cork.c ---- */

/* Begins to join output in `cork`, unless that is going on already; end it with tc_stream_uncork, which
 * sends. */
bool tc_stream_cork(StreamObject *self, tc_cork *cork);
int tc_stream_uncork(StreamObject *self);

/* Writes behind what is corked; a large piece leaves at once with it. As tc_stream_write. Only while corked.
 */
int tc_stream_cork_write(StreamObject *self, const char *data, size_t size, PyObject *owner);

/* Sends the corked bytes now; the cork stays. */
int tc_stream_flush(StreamObject *self);

/* Begins to join the answers of a train; false where that cannot be. Ends with tc_stream_end_train, which
 * sends, at the turn's end at the latest. */
bool tc_stream_cork_train(StreamObject *self);
int tc_stream_end_train(StreamObject *self);

/* Forgets what was corked; for a stream that dies with its loop. */
void tc_stream_drop_cork(StreamObject *self);

/* ---- stream_train.c ---- */

#define TC_TRAIN_CALLS 16  /* requests of one client in a turn */
#define TC_TRAIN_READS 64  /* reads of Python's: a message is often several */
#define TC_TRAIN_SPAN 1e-3 /* seconds that one client has in a turn */
#define TC_TRAIN_QUICK 8   /* short calls in a row that make the answers of a train join */

void tc_train_start(StreamObject *self);
int tc_train_measure(StreamObject *self);

static inline void
tc_train_begin(StreamObject *self)
{
    self->train.turn = self->core->turn;
    self->train.calls = 0;
    self->train.over = false;
    self->train.began = self->train.last = 0.0;
}

/* To be called before a consumer gives a message to the application, and afterwards (TC_OK or TC_RAISED).
 * `ahead`: it has more input at hand. The clock is read only in trains. */
static inline void
tc_train_call(StreamObject *self, bool ahead)
{
    tc_train *train = &self->train;
    if (train->turn != self->core->turn) {
        tc_train_begin(self);
    }
    train->ahead = ahead;
    if (ahead && train->began == 0.0) {
        tc_train_start(self);
    }
}

static inline int
tc_train_called(StreamObject *self)
{
    self->train.ahead = false;
    self->train.over = ++self->train.calls >= TC_TRAIN_CALLS;
    return self->train.began != 0.0 ? tc_train_measure(self) : TC_OK;
}

/* Whether a consumer has had its share of this turn. */
static inline bool
tc_train_is_over(const StreamObject *self)
{
    return TC_UNLIKELY(self->train.over) && self->train.turn == self->core->turn && tc_stream_feeds(self);
}

/* The rest of the input waits for a later turn. */
void tc_train_wait(StreamObject *self);

/* Whether what a consumer writes now may leave with the answer to the message behind. */
static inline bool
tc_train_joins(const StreamObject *self)
{
    return self->train.ahead && self->train.quick >= TC_TRAIN_QUICK;
}

/* A read of Python's begins: TC_OK where it may be completed at once; TC_AGAIN: its turn comes later;
 * TC_RAISED. */
int tc_train_read(StreamObject *self);

/* Python writes: whether that may leave with later writes. */
bool tc_train_write(StreamObject *self);

/* ---- stream_fork.c ---- */

/* Has os.fork() see to the streams of this process; for the module's init. 0, or -1 with an exception. */
int tc_stream_init_fork(PyObject *module, tc_state *state);

/* ---- stream_write.c ---- */

/* Sends now what can be sent, keeps the rest. With `owner` (exact bytes, or a memoryview of bytes) a large
 * rest is kept by reference, else copied. TC_OK, TC_RAISED. A failing socket closes the stream and is no
 * error here. */
int tc_stream_write(StreamObject *self, const char *data, size_t size, PyObject *owner);

/* Whether nothing is ahead of what is written now. */
bool tc_stream_can_send(const StreamObject *self);

/* Sends two runs of bytes (either may be empty) behind what is queued, and queues what is left; `owner` is
 * that of `data`. */
int tc_stream_send_or_queue(StreamObject *self, const char *head, size_t head_size, const char *data,
                            size_t size, PyObject *owner);

/* The descriptor is writable: send what waits. */
int tc_stream_writable(StreamObject *self);

/* Queues a range of a file, to be sent without passing through the process where the descriptor allows. */
int tc_stream_write_file(StreamObject *self, PyObject *file, int fd, size_t offset, size_t size);

/* The queue and its counters, made on first use; NULL with MemoryError. */
tc_writes *tc_stream_writes(StreamObject *self);

/* Bytes that wait in the queue; and those with the corked ones. */
static inline size_t
tc_stream_queued(const StreamObject *self)
{
    return self->writes != NULL ? self->writes->buffer->size : 0;
}
size_t tc_stream_unsent(const StreamObject *self);

/* Waits for everything written so far: a Future (callback NULL), or None with the callback queued. */
PyObject *tc_stream_wait_written(StreamObject *self, PyObject *callback);
void tc_writes_forget(tc_writes *writes); /* the queue and those who wait */
void tc_writes_free(tc_writes *writes);
void tc_stream_write_closed(StreamObject *self, PyObject *exc);

#endif
