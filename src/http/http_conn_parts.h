/* What the files of a connection share, see http_conn.h. */
#ifndef TC_HTTP_CONN_PARTS_H
#define TC_HTTP_CONN_PARTS_H

#include "http/http_app.h"
#include "http/http_config.h"
#include "http/http_frame.h"
#include "stream/stream_train.h"

#include <sys/socket.h>

/* What happens to the client's input. The response has a state of its own: frame.state. */
enum conn_reading {
    CONN_HEAD,     /* a head is read, or awaited between requests */
    CONN_BODY,     /* a body is read, or the head handed to the application */
    CONN_HELD,     /* the same, but the application holds the peer back: nothing is read */
    CONN_HANDLING, /* the application has all that it gets of the request: nothing is read */
    CONN_ENDING,   /* only the output queue, or the stream that lingers, holds the connection open */
    CONN_DETACHED, /* the stream is the application's now */
    CONN_CLOSED,
};

/* A request with more to come than its head. */
typedef struct {
    const tc_http_app_class *app_class; /* of the application that was given the head; NULL: none yet */
    PyObject *app;
    PyObject
        *request;   /* in WHOLE: not yet the current request, so that nothing can be written before it is */
    PyObject *body; /* in WHOLE: bytes, of which body_size are filled */
    size_t body_size;
    tc_bytes_buf gathered; /* in PIECES: contents of small chunks */
    tc_http_chunked chunked;
    uint64_t left; /* by the Content-Length */
    size_t waited; /* bytes that were left unread, until more of their piece comes */
    /* What was set for this message alone. */
    uint64_t max_body_size;
    double body_timeout;
    bool own_max_body_size, own_body_timeout;
    bool started;   /* the application has agreed to the body */
    uint8_t mode;   /* enum tc_app_mode */
    uint8_t pieces; /* given in this turn; see http_body.c */
    uint32_t turn;
    double began;
    tc_timer timer;       /* of a body_timeout of its own */
    HttpConnObject *conn; /* borrowed, for the timer */
} tc_http_incoming;

/* What Python sees of a connection, made on first use. */
#define TC_PEER_FACES(X)                                                                                     \
    X(address)                                                                                               \
    X(remote_ip)                                                                                             \
    X(protocol)                                                                                              \
    X(context_object)

typedef struct {
#define TC_X(name) PyObject *name;
    TC_PEER_FACES(TC_X)
#undef TC_X
} tc_http_conn_faces;

/* Thousands of these are idle at a time: what only a request in progress needs is allocated for it. */
struct HttpConnObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    HttpConfigObject *config;
    StreamObject *stream;
    tc_link link; /* in config->connections */
    tc_timeout timeout;
    PyObject *request; /* the current one, or NULL */
    PyObject *context; /* what it is handled in */
    PyObject *close_callback;
    PyObject *dict, *weakrefs;
    tc_http_conn_faces *faces;
    tc_http_incoming *incoming; /* in CONN_BODY and CONN_HELD */
    tc_http_frame frame;        /* of the response, with what its framing needs of the request */
    tc_http_parser parser;
    union {
        struct sockaddr any;
        char bytes[28]; /* sockaddr_in, sockaddr_in6 */
    } peer;
    uint8_t peer_size;
    uint8_t reading;  /* enum conn_reading */
    bool dispatching; /* the application is on the stack, called by us */
    bool seen_idle;   /* by a drain, and nothing has come since */
    bool linger;      /* there may be unread input at the end: linger, so that the response arrives */
    bool close_due;   /* closed by the application before anybody asked to be told of it */
};

/* Whether HTTP has ended on the stream. */
static inline bool
tc_http_conn_is_over(const HttpConnObject *self)
{
    return self->reading >= CONN_DETACHED;
}

/* For a connection of our own Python class, which adds no write methods: it has no attributes that could. */
static inline bool
tc_http_conn_is_plain(const HttpConnObject *self)
{
    return self->dict == NULL || PyDict_GET_SIZE(self->dict) == 0;
}

/* Whether the current request is not complete. */
static inline bool
tc_http_conn_is_receiving(const HttpConnObject *self)
{
    return self->reading == CONN_BODY || self->reading == CONN_HELD;
}

/* The states that may exist together. For the doors, which Python can reach at any time. */
static inline void
tc_http_conn_assert(const HttpConnObject *self)
{
#ifndef NDEBUG
    const tc_http_incoming *in = self->incoming;
    bool begun = in != NULL && in->app_class != NULL;
    switch (self->reading) {
    case CONN_HEAD:
        assert(self->request == NULL && in == NULL && !self->dispatching);
        assert(self->frame.state == TC_FRAME_NONE);
        break;
    case CONN_BODY: /* the application is on the stack with the head, or has agreed to the body */
        assert(begun || self->dispatching);
        break;
    case CONN_HELD:
        assert(begun && !self->dispatching);
        break;
    case CONN_HANDLING:
    case CONN_ENDING:
        assert(!begun);
        break;
    default:
        assert(!tc_list_linked(&self->link) && !tc_list_linked(&self->timeout.link));
        break;
    }
#endif
}

/* http_conn.c */
HttpConnObject *tc_http_conn_new(HttpConfigObject *config, StreamObject *stream, PyTypeObject *type);
int tc_http_conn_start(HttpConnObject *self);

/* Bytes as if from the stream; the number used, or TC_CONSUMER_RAISED. */
Py_ssize_t tc_http_conn_feed(HttpConnObject *self, const char *data, size_t size);
int tc_http_conn_close(HttpConnObject *self);

/* The one way to leave the server, for CONN_DETACHED or CONN_CLOSED. */
void tc_http_conn_leave(HttpConnObject *self, enum conn_reading reading);

void tc_http_conn_drop_request(HttpConnObject *self); /* drops the current request; may run Python */
void tc_http_conn_expired(tc_timeout *entry);         /* its time is up */

/* Whether the application reads the stream, which it may no longer do; logs that. */
bool tc_http_conn_is_read_by_others(HttpConnObject *self);

/* Resumes reading the stream, which may have been lent to the application. False: that still reads it. */
bool tc_http_conn_take_back(HttpConnObject *self);

/* The response is complete and the application is not on the stack: continues with the next request, or
 * closes. 0 or -1. */
int tc_http_conn_response_done(HttpConnObject *self);

/* http_exchange.c: one request between the connection and its application. */

/* Each step of reading takes bytes from data[*used..size) and says whether to continue. */
enum conn_step { STEP_ON, STEP_WAIT, STEP_STOP, STEP_RAISED };
enum conn_step tc_http_conn_step(HttpConnObject *self, int status);

/* A head is complete: begins the request, and ends it if its whole body has come, too. *used moves past what
 * was taken. */
enum conn_step tc_http_conn_begin(HttpConnObject *self, const tc_http_head *parsed, const char *head,
                                  const char *data, size_t size, size_t *used);

/* A piece of its body; the request is complete. As a step's status: 0, or -1. */
int tc_http_conn_piece(HttpConnObject *self, const char *data, size_t size);
int tc_http_conn_request_end(HttpConnObject *self, bool ahead);

/* A Content-Length that was given more than once becomes one when the body begins. 0 or -1. */
int tc_http_conn_join_lengths(HttpConnObject *self, RequestObject *request);

/* Ends the application's part in a request of which it has the head. */
void tc_http_conn_abandon(HttpConnObject *self);

/* http_body.c */

/* The state of the current request while it is read, made on first use; NULL with MemoryError. */
tc_http_incoming *tc_http_conn_incoming(HttpConnObject *self);
void tc_http_conn_drop_incoming(HttpConnObject *self);
void tc_http_body_stop_clock(HttpConnObject *self);

/* The application wants the body: sends 100 if the client waits for that, and starts the body's time
 * limit. */
int tc_http_body_start(HttpConnObject *self);
enum conn_step tc_http_body_read(HttpConnObject *self, const char *data, size_t size, size_t *used);

/* http_refuse.c: Tornado's response to a malformed request, and its log line. The rest of the input is
 * dropped. 0 or -1. */
int tc_http_conn_refuse(HttpConnObject *self, int error, const char *data, size_t size);
int tc_http_conn_refuse_text(HttpConnObject *self, const char *text);

/* Refuses with the text of the HTTPInputError that is set. Any other exception: "Uncaught exception", and a
 * close. One that is not to be logged (KeyboardInterrupt) closes as well, and stays set: -1. */
int tc_http_conn_refuse_exception(HttpConnObject *self);

/* The connection's name in log lines; borrowed. */
PyObject *tc_http_conn_label(HttpConnObject *self);

/* http_close.c: closes once what was written is sent. */
int tc_http_conn_close_when_sent(HttpConnObject *self);

/* Closes, or has the stream linger where the client may still send. */
int tc_http_conn_end(HttpConnObject *self);

/* http_peer.c: an address as socket.accept gives it; the context object (_HTTPRequestContext), borrowed;
 * address, borrowed. */
PyObject *tc_http_conn_context_object(HttpConnObject *self);
PyObject *tc_http_conn_address(HttpConnObject *self);
int tc_http_conn_set_address(HttpConnObject *self, PyObject *address);
PyObject *tc_http_peer_address(const struct sockaddr *peer, size_t size);

/* http_conn_methods.c */
extern PyMethodDef tc_http_conn_methods[];

#endif
