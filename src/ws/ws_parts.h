/* What the files of a WebSocket connection share: WsProtocolObject, the C base of
 * tornado_c.websocket.WebSocketProtocol13.
 *
 * Files: ws_protocol_type.c (life, Python's attributes), ws_methods.c (Python's methods), ws_handler_type.c (the
 * handler's method that is called most), ws_receive.c (frames that come), ws_gather.c (in pieces), ws_deliver.c (calls of the
 * application), ws_write.c (frames that go), ws_close.c (the closing handshake, and the end), ws_ping.c (pings,
 * pongs and time limits), ws_loop.c (what the connections of a loop share), ws_own.c (which methods are ours).
 * ws_deflate_type.c (what compresses and decompresses) knows nothing of connections.
 *
 * From _watch() on the stream owns the connection, as its native consumer, until it is closed. Everything that
 * calls up runs Python, which may close the connection, replace or delete any attribute, run the loop, or drop
 * the last other reference: callers hold one of their own and look at the state again. */
#ifndef TC_WS_PARTS_H
#define TC_WS_PARTS_H

#include "base/context.h"
#include "event/timeouts.h"
#include "stream/stream.h"
#include "ws/ws_frame.h"
#include "ws/ws_utf8.h"

/* A message of which more is to come. */
typedef struct {
    tc_ws_head head; /* of the data frame whose payload comes, while in_frame */
    uint64_t read;   /* bytes of that payload that were taken */
    PyObject *bytes; /* the message so far, with room for more */
    size_t size;     /* bytes of it */
    tc_ws_utf8 text;
    bool in_frame;
} tc_ws_incoming;

/* What the connection's time limit is for. */
enum tc_ws_timing { TC_WS_NO_TIMING, TC_WS_NEXT_PING, TC_WS_AWAIT_PONG, TC_WS_AWAIT_CLOSE };

/* A hundred thousand of these may be idle at a time. */
typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *dict, *weakrefs;
    PyObject *handler, *stream, *params, *close_code, *close_reason, *compressor, *decompressor, *context;
    StreamObject *source;     /* the stream that this is the consumer of, or NULL */
    PyObject *pending;        /* the Future that holds back the next message, or NULL */
    PyObject *pong;           /* the Future of the pong that is outstanding, or NULL */
    PyObject *next_pong;      /* payload of the latest ping since, or NULL */
    PyObject *ended;          /* the Future of _wait_closed(), or NULL */
    PyObject **visible;       /* where the Future of the next call goes, for Python, or NULL: it holds back */
    tc_ws_incoming *incoming; /* NULL between messages */
    unsigned long long message_bytes_in, message_bytes_out, wire_bytes_in, wire_bytes_out;
    double interval, timeout; /* of pings, seconds; 0: none */
    tc_timeout timer;
    tc_link open; /* in the loop's list of connections that have no Task of their own */
    tc_ws_reader reader;
    unsigned class_tag;        /* the version of the class for which `own` holds; 0: not known */
    uint32_t own;              /* enum tc_ws_own */
    uint32_t turn, work, tick; /* of the loop in which messages came last; see ws_receive.c */
    uint16_t delivering;       /* calls of the application on the stack */
    uint8_t timing;            /* enum tc_ws_timing */
    bool client_terminated, server_terminated, mask_outgoing, received_pong;
    bool compressed;    /* what _handle_message() is called with is */
    bool held;          /* a coroutine of the application holds back the next message */
    bool early_context; /* the context was made before open() was done */
    bool started;       /* messages are delivered */
    bool over;          /* nothing is read any more: the handler is to be notified */
    bool told;          /* it was */
    bool ending;        /* the stream is closed once all is sent */
    bool fails;         /* the peer broke the rules: the stream lingers, so that it sees our close frame */
} WsProtocolObject;

/* Whether the application has not done with a message. */
static inline bool
tc_ws_is_held(const WsProtocolObject *self)
{
    return self->pending != NULL || self->held;
}

/* ---- ws_own.c: which methods nobody has overridden, in a class or on the instance ---- */

#define TC_WS_OVERRIDABLE(X)                                                                                 \
    X(_abort)                                                                                                \
    X(_handle_message)                                                                                       \
    X(_run_callback)                                                                                         \
    X(_write_frame)                                                                                          \
    X(close)                                                                                                 \
    X(is_closing)                                                                                            \
    X(write_message)                                                                                         \
    X(write_ping)

enum {
#define TC_X(name) TC_WS_OWN_INDEX_##name,
    TC_WS_OVERRIDABLE(TC_X)
#undef TC_X
        TC_WS_OWN_COUNT
};

enum tc_ws_own {
#define TC_X(name) TC_WS_OWN_##name = 1 << TC_WS_OWN_INDEX_##name,
    TC_WS_OVERRIDABLE(TC_X)
#undef TC_X
};

/* Runs no Python. */
bool tc_ws_owns_slow(WsProtocolObject *self, uint32_t methods);

static inline bool
tc_ws_owns(WsProtocolObject *self, uint32_t methods)
{
    if (TC_LIKELY(self->dict == NULL && self->class_tag != 0 &&
                  self->class_tag == Py_TYPE(self)->tp_version_tag)) {
        return (self->own & methods) == methods;
    }
    return tc_ws_owns_slow(self, methods);
}

/* ---- ws_loop.c ---- */

typedef struct WsLoopObject WsLoopObject;

/* That of the connection's loop, borrowed; NULL with an exception. */
WsLoopObject *tc_ws_loop(LoopCore *core);

/* The list of time limits of so many seconds; NULL with MemoryError. */
tc_timeouts *tc_ws_loop_timeouts(WsLoopObject *self, double seconds);

/* The message that was written last in this turn. */
typedef struct {
    PyObject *message, *frame; /* a str or bytes, and (or NULL) the frame that it became, bytes */
    uint64_t key;              /* of what else the frame depends on */
    size_t size;               /* of the message, in bytes */
} tc_ws_shared;

/* It, if it is this object under this key; else it is forgotten, and NULL. */
tc_ws_shared *tc_ws_loop_shared(WsLoopObject *self, PyObject *message, uint64_t key);

/* Keeps a message until the turn's end; `frame` may be NULL. */
void tc_ws_loop_share(WsLoopObject *self, PyObject *message, uint64_t key, PyObject *frame, size_t size);

/* The memory of a large message that is gone serves the next one of about that size: steals bytes; and gives some
 * of this size, or NULL, without an exception. */
void tc_ws_loop_keep_memory(WsLoopObject *self, PyObject *bytes);
PyObject *tc_ws_loop_take_memory(WsLoopObject *self, size_t size);

/* A mask for the next frame. 0 or -1. */
int tc_ws_loop_mask(WsLoopObject *self, uint8_t key[4]);

/* A connection that nobody awaits is served from now on: when the loop's Task for these, which is there while any
 * is open, is cancelled, so are all of them. 0, or -1 where there can be no such Task. */
int tc_ws_loop_enter(LoopCore *core, WsProtocolObject *protocol);
void tc_ws_loop_leave(WsProtocolObject *protocol);

/* ---- ws_deliver.c: 0, or -1 with an exception that is not the application's ---- */

/* handler.<name>(arg), in the connection's context. An awaitable holds back the next message if `holds`. */
int tc_ws_call(WsProtocolObject *self, PyObject *name, PyObject *arg, bool holds);

/* The Future (or NULL) that a method of the application's own has returned holds back the next message. */
int tc_ws_hold(WsProtocolObject *self, PyObject *future);

/* The methods _run_callback() and _handle_message() for Python: a Future that fails never, or None. */
PyObject *tc_ws_handle_visibly(WsProtocolObject *self, unsigned opcode, PyObject *data);
PyObject *tc_ws_run_callback(WsProtocolObject *self, PyObject *callback, PyObject *const *args, size_t nargsf,
                             PyObject *kwnames);

/* Nothing is read any more: handler.on_ws_connection_close(), once, when the application's current call and what
 * it awaits is done. At once, for events of the stream's; or in a later step of the loop, where the application
 * may be on the stack, in the middle of a loop over its connections. */
int tc_ws_notify_over(WsProtocolObject *self);
int tc_ws_notify_soon(WsProtocolObject *self);

/* The same when the Task is cancelled: now, whatever the application awaits. */
int tc_ws_notify_cancelled(WsProtocolObject *self);

/* Notifies the handler, and aborts the connection. */
int tc_ws_cancelled(WsProtocolObject *self);

/* The method _wait_closed(). */
PyObject *tc_ws_wait_closed(WsProtocolObject *self, PyObject *unused);

/* The connection is aborted because of the exception that is set, which is logged. -1: it is none that the
 * application's code may raise, and stays set. */
int tc_ws_caught(WsProtocolObject *self);

/* Continues after a call of the application, or after what it awaited. */
int tc_ws_go_on(WsProtocolObject *self);

/* Closes the stream for the exception that is set, and stays. -1. */
int tc_ws_end_stream(WsProtocolObject *self);

/* ---- ws_await_type.c ---- */

/* Runs a coroutine that a callback has returned, its first step now. 1; 0: it has to be run another way; or -1. */
int tc_ws_await(WsProtocolObject *self, LoopCore *core, PyObject *coroutine, bool holds);

/* ---- ws_receive.c ---- */

extern const tc_consumer_class tc_ws_consumer;

/* A whole message or a control frame, as the method _handle_message(): `data` is bytes, compressed if that was
 * said of it. */
int tc_ws_handle_bytes(WsProtocolObject *self, unsigned opcode, PyObject *data, bool compressed);

/* ---- ws_gather.c ---- */

/* Forgets a message of which more was to come. */
void tc_ws_drop_incoming(WsProtocolObject *self);

/* ---- ws_write.c ---- */

StreamObject *tc_ws_stream_slow(const WsProtocolObject *self);
int tc_ws_is_closed_slow(WsProtocolObject *self);

/* The stream where it is one of ours and bound to a loop, borrowed; else NULL. */
static inline StreamObject *
tc_ws_stream(const WsProtocolObject *self)
{
    if (TC_LIKELY(self->source != NULL && self->stream == (PyObject *)self->source &&
                  self->source->core != NULL)) {
        return self->source;
    }
    return tc_ws_stream_slow(self);
}

/* Whether nothing can be sent any more: the stream is closed, or there is none. -1 with an exception. */
static inline int
tc_ws_is_closed(WsProtocolObject *self)
{
    const StreamObject *stream = tc_ws_stream(self);
    return TC_LIKELY(stream != NULL) ? stream->closed : tc_ws_is_closed_slow(self);
}

/* WebSocketClosedError. -1. */
int tc_ws_raise_closed(WsProtocolObject *self);

/* Sends a frame. 0 or -1. `owner`: exact bytes that hold the data, or NULL. */
int tc_ws_send(WsProtocolObject *self, unsigned first, const char *data, size_t size, PyObject *owner);

/* The same through _write_frame() where that is overridden, with its Future, or None where all was sent. */
PyObject *tc_ws_frame(WsProtocolObject *self, unsigned opcode, PyObject *data);

/* The methods. */
PyObject *tc_ws_write_frame(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames);
PyObject *tc_ws_write_message(WsProtocolObject *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames);

/* ---- ws_close.c: 0 or -1 ---- */

/* Sends a close frame, unless one was sent; then waits for the peer's, or closes the stream. */
int tc_ws_close(WsProtocolObject *self, PyObject *code, PyObject *reason);

/* The same through close() where that is overridden. */
int tc_ws_call_close(WsProtocolObject *self, PyObject *code, PyObject *reason);

int tc_ws_abort(WsProtocolObject *self);
int tc_ws_call_abort(WsProtocolObject *self);

/* The peer broke the rules. */
int tc_ws_fail(WsProtocolObject *self, int code, const char *reason);

/* Nothing more is to be sent or read: closes the stream once what was written is sent. */
int tc_ws_end(WsProtocolObject *self);

/* ---- ws_ping.c ---- */

void tc_ws_stop_timer(WsProtocolObject *self);

/* No more pings are sent: the Task of a replaced periodic_ping() is cancelled, too. 0 or -1. */
int tc_ws_stop_pings(WsProtocolObject *self);

int tc_ws_start_timer(WsProtocolObject *self, enum tc_ws_timing timing, double seconds);
void tc_ws_expired(tc_timeout *entry);
int tc_ws_start_pinging(WsProtocolObject *self);
int tc_ws_send_pong(WsProtocolObject *self, PyObject *data);

/* ---- ws_methods.c ---- */

extern PyMethodDef tc_ws_methods[];

static inline bool
tc_ws_is_none(PyObject *obj)
{
    return obj == NULL || obj == Py_None;
}

#endif
