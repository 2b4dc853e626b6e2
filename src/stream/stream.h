/* StreamObject, the C base of tornado_c.iostream.BaseIOStream: a non-blocking descriptor with a read buffer,
 * a write queue and one reader, which is either a pending read of Python's or a native consumer (an HTTP
 * connection).
 *
 * Files: stream.c (life and close), stream_event.c, stream_io.c (bytes to and from the descriptor: socket,
 * pipe, TLS or an application's hooks), stream_tls.c, tls_memory.c, stream_receive.c (receiving),
 * stream_read.c (reads of Python's), stream_match.c (what satisfies them), stream_write.c, stream_cork.c,
 * stream_train.c (messages that came together), stream_linger.c (the end), stream_fork.c, stream_socket.c
 * (its socket, connecting); Python methods: iostream_type.c and those that iostream.h names. Whatever calls
 * up may run Python, which may close the stream or drop the last other reference: callers hold one of their
 * own and look at `closed` again. From the first interest on (a pending read, write, connect or handshake, a
 * close callback, a consumer) until the close the watcher owns a reference, as Tornado's registration does;
 * before that an unreferenced stream is collected and its peer sees the end. */
#ifndef TC_STREAM_H
#define TC_STREAM_H

#include "event/core.h"

#define TC_STREAM_CHUNK 65536        /* bytes asked of one recv */
#define TC_STREAM_BY_REFERENCE 16384 /* larger pieces are sent without a copy */

typedef struct StreamObject StreamObject;

/* Its parts, see stream_parts.h: a pending read of Python's, the write queue, TLS, whom to notify. */
typedef struct tc_read tc_read;
typedef struct tc_writes tc_writes;
typedef struct tc_tls tc_tls;
typedef struct tc_notices tc_notices;
typedef struct tc_train tc_train; /* see stream_train.h */

/* A native reader. The stream holds a reference to `consumer` and calls these in its own events; each call
 * holds another one, since any of them may run Python that closes the stream. */
typedef struct {
    /* Offers all unread bytes. Returns how many are used up; the rest is kept and offered again with more. A
     * negative value: stop, the stream was closed or its consumer has changed. TC_CONSUMER_RAISED: an
     * exception must leave the loop. */
    Py_ssize_t (*data)(PyObject *consumer, const char *data, size_t size);
    /* Memory of its own for what comes next, *size bytes, asked for as long as the stream's `fills` is set, where there is any; a plain socket is read into it while
     * nothing is buffered. NULL for none, without an exception; no Python is run. Or no function. */
    char *(*room)(PyObject *consumer, size_t *size);
    /* So many bytes were received there. TC_OK, or TC_RAISED as for TC_CONSUMER_RAISED. */
    int (*filled)(PyObject *consumer, size_t size);
    /* The write queue has run empty after it was not. */
    int (*drained)(PyObject *consumer);
    /* The stream is closed; called once, the consumer is dropped afterwards. */
    int (*closed)(PyObject *consumer);
    /* Python wants to read the stream itself: true where the consumer wants nothing for now, and has paused
     * or dropped itself. */
    bool (*lends)(PyObject *consumer);
    /* What was lent does not come back, another stream has its socket: releases everything, and drops
     * itself. */
    void (*lost)(PyObject *consumer);
    /* The server goes away, or NULL where there is no way to tell the peer. 0 or -1. */
    int (*leave)(PyObject *consumer);
    /* While it is paused, a hang-up does not close the stream before it has been offered what is buffered. */
    bool reads_rest;
} tc_consumer_class;

#define TC_CONSUMER_RAISED (-2)

/* Joined output: of one event of ours, or the responses to messages that were read together. */
typedef struct {
    char *data;
    size_t size, cap;
    bool own; /* not the loop's scratch buffer */
} tc_cork;

/* A hundred thousand of these may be idle at a time: what few need is allocated when they do. */
struct StreamObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    LoopCore *core;
    tc_watcher watcher; /* holds the descriptor; -1 once closed */
    PyObject *dict, *weakrefs;
    PyObject *socket; /* NULL until asked for, for accepted connections */
    PyObject *error;
    PyObject *consumer;
    const tc_consumer_class *consumer_class;
    char *buf; /* unread bytes: buf[buf_off .. buf_off + buf_len); NULL where there are none */
    size_t buf_off, buf_len;
    tc_read *read;       /* NULL until Python first reads */
    tc_writes *writes;   /* NULL until something had to wait */
    uint64_t sent;       /* bytes that left before there was a `writes` */
    tc_cork *cork;       /* inside an event of ours, and while the responses of a train are joined */
    tc_tls *tls;         /* NULL: plain */
    tc_train *train;     /* NULL until messages came together */
    tc_notices *notices; /* NULL until there is somebody to notify of the connection, or of its end */
    tc_task resume_task; /* offer what is buffered to the reader again */
    tc_link detached;    /* in the list of a server that has handed it over and still waits for its end */
    Py_ssize_t max_buffer_size, max_write_buffer_size; /* the last -1: unlimited */
    int read_chunk_size;
    unsigned class_version;     /* of the class when its hooks were looked up; 0: not yet */
    unsigned pending_callbacks; /* user callbacks queued: the close callback waits for them */
    unsigned fork_count;        /* tc_fork_count() when it was made */
    bool closed;
    bool reading_event;  /* bytes are being delivered */
    bool mask;           /* the last event found no reader */
    bool drained_socket; /* the last read emptied the descriptor: no use trying before an event */
    uint8_t family;      /* of the socket: AF_INET... */
    bool connecting : 1;
    bool paused : 1;       /* the consumer wants no data now */
    bool output_ended : 1; /* it lingers: input is only read to be dropped */
    bool receiving : 1;    /* a hook that reads, or the ssl module, is on the stack */
    bool sending : 1;      /* writes_send is on the stack */
    bool owns_fd : 1;      /* the descriptor is ours to close, there is no socket object */
    bool nested : 1;       /* masked by an event of a nested turn, until the outer delivery ends */
    bool hung_up : 1;      /* a hang-up, which cannot be masked, was seen: unregistered */
    bool plain_socket : 1; /* the socket object is laid out as CPython's */
    bool inherited : 1;    /* shared with the parent process: no native consumer reads in this one */
    bool plain_close : 1;  /* close_fd is ours */
    bool plain_error : 1;  /* get_fd_error is ours */
    bool plain_inline : 1; /* _try_inline_read is ours */
    bool fills : 1;        /* the consumer may have memory of its own for what comes */
    uint8_t read_way : 2;  /* enum tc_io_way */
    uint8_t write_way : 2;
    uint8_t asked : 5; /* events that _add_io_state asked for */
};

/* ---- life ---- */

/* Makes a stream (class `type`) over an accepted descriptor, which is taken over, even if this fails. */
StreamObject *tc_stream_from_fd(PyTypeObject *type, LoopCore *core, int fd, int family);

/* Closes; `exc` (or NULL) becomes stream.error. TC_OK or TC_RAISED. */
int tc_stream_close(StreamObject *self, PyObject *exc);

/* Registers for what is wanted now and takes or drops the watcher's reference. -1: an exception is set. */
int tc_stream_update(StreamObject *self);

/* Starts feeding a native consumer; buffered bytes are offered at once. TC_OK or TC_RAISED. */
int tc_stream_set_consumer(StreamObject *self, const tc_consumer_class *cls, PyObject *consumer);
void tc_stream_drop_consumer(StreamObject *self);

/* The consumer wants no data now; or wants it again, from the end of this turn on. */
void tc_stream_pause(StreamObject *self);
void tc_stream_resume(StreamObject *self);

/* At the end of this turn offers what is buffered, and reads where bytes may wait that no event reports. */
void tc_stream_resume_later(StreamObject *self);

/* Whether a consumer gets the input; else it is for Python's reads. */
static inline bool
tc_stream_feeds(const StreamObject *self)
{
    return self->consumer != NULL && !self->paused;
}

/* Raises StreamClosedError (with real_error) as the exception that is set. */
void tc_stream_raise_closed(StreamObject *self);
PyObject *tc_stream_closed_error(StreamObject *self);

/* ---- reading ---- */

/* The descriptor is readable (or at its end): receive and deliver. TC_OK or TC_RAISED. */
int tc_stream_readable(StreamObject *self);

/* How many bytes the kernel has for a plain socket; 0 where that is not known. */
size_t tc_stream_arrived(const StreamObject *self);

/* Drops bytes from the front of the buffer. */
void tc_stream_consume(StreamObject *self, size_t size);

/* Whether a read of Python's is pending. */
bool tc_stream_is_reading(const StreamObject *self);

/* Drops the pending read if it is over. Must be called before asking whether the stream is being read. */
void tc_stream_forget_cancelled(StreamObject *self);

/* Whether Python may read: there is no consumer, or one that lends the stream. */
bool tc_stream_is_free(StreamObject *self);

/* Whether a TLS handshake is not done. */
bool tc_tls_is_handshaking(const tc_tls *tls);

static inline bool
tc_stream_handshaking(const StreamObject *self)
{
    return TC_UNLIKELY(self->tls != NULL) && tc_tls_is_handshaking(self->tls);
}

/* ---- writing ---- */

/* Sends now what can be sent, keeps the rest. With `owner` (exact bytes, or a memoryview of bytes) a large
 * rest is kept by reference, else copied. TC_OK, TC_RAISED. A failing socket closes the stream; that is no
 * error here. */
int tc_stream_write(StreamObject *self, const char *data, size_t size, PyObject *owner);

/* Sends two runs of bytes (either may be empty) after what is queued, and queues what is left; `owner` is
 * that of `data`. */
int tc_stream_send_or_queue(StreamObject *self, const char *head, size_t head_size, const char *data,
                            size_t size, PyObject *owner);

/* Queues a range of a file, to be sent without passing through the process where the descriptor allows. */
int tc_stream_write_file(StreamObject *self, PyObject *file, int fd, size_t offset, size_t size);

/* Waits for everything written so far: a Future (callback NULL), or None with the callback queued. If the stream is
 * closed before, the Future fails with `error`, a face, or (NULL) with StreamClosedError. */
PyObject *tc_stream_wait_written_or(StreamObject *self, PyObject *callback, PyObject *error);

/* The same with a callback that is not the stream's user's, and does not close it by what it raises. */
PyObject *tc_stream_wait_written_apart(StreamObject *self, PyObject *callback);

static inline PyObject *
tc_stream_wait_written(StreamObject *self)
{
    return tc_stream_wait_written_or(self, NULL, NULL);
}

/* The same after a write that may have closed the stream. */
PyObject *tc_stream_written(StreamObject *self, PyObject *callback, PyObject *error);

/* Whether max_write_buffer_size allows for `size` more bytes: 0, or -1 with an exception. */
int tc_stream_check_room(StreamObject *self, size_t size);

/* Bytes that wait in the queue. */
size_t tc_writes_queued(const tc_writes *writes);

static inline size_t
tc_stream_queued(const StreamObject *self)
{
    return self->writes != NULL ? tc_writes_queued(self->writes) : 0;
}

/* ---- output that is joined ---- */

/* Begins to join output in `cork`, unless it is being joined already; end it with tc_stream_uncork, which
 * sends. */
bool tc_stream_cork(StreamObject *self, tc_cork *cork);
int tc_stream_uncork(StreamObject *self);

/* Sends the corked bytes now; the cork stays. */
int tc_stream_flush(StreamObject *self);

#endif
