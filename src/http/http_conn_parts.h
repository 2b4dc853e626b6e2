/* What the http_conn*.c and http_response.c files share. */
#ifndef TC_HTTP_CONN_PARTS_H
#define TC_HTTP_CONN_PARTS_H

#include "http/http_config.h"
#include "http/http_conn.h"
#include "stream/stream_train.h"

#include <sys/socket.h>

enum conn_phase {
    CONN_HEAD,     /* reading a head, or idle between requests */
    CONN_BODY,     /* reading a body */
    CONN_HANDLING, /* the application has the request; nothing is read */
    CONN_LINGER,   /* our side is ended; what still comes is read and dropped */
    CONN_CLOSED,
};

/* A request whose body is being read. */
typedef struct {
    tc_http_head head;
    tc_http_chunked chunked;
    PyObject *body; /* bytes, of which body_size are filled */
    size_t body_size;
    char bytes[]; /* the head's */
} tc_http_incoming;

/* What Python sees of a connection, made when it asks. */
typedef struct {
    PyObject *address, *remote_ip, *protocol, *context_object;
} tc_http_conn_faces;

/* Thousands of these are idle at a time: what only a request in progress needs is allocated for it. */
struct HttpConnObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    HttpConfigObject *config;
    StreamObject *stream;
    tc_link link; /* in config->connections */
    tc_timeout timeout;
    PyObject *request; /* the one in hand, or NULL */
    PyObject *context; /* what it is handled in */
    PyObject *close_callback;
    PyObject *dict, *weakrefs;
    tc_http_conn_faces *faces;
    tc_http_incoming *incoming; /* in CONN_BODY */
    int64_t content_left; /* of the answer's Content-Length, -1: none was announced; in CONN_LINGER bytes
                             that are still read */
    tc_http_parser parser;
    uint32_t flags; /* of the request's head; and its version's minor number and its method */
    uint8_t minor, method_id;
    union {
        struct sockaddr any;
        char bytes[28]; /* sockaddr_in, sockaddr_in6 */
    } peer;
    uint8_t peer_size;
    uint8_t phase;
    bool dispatching; /* the callback is on the stack, called by our own loop over the input */
    bool read_finished, write_finished;
    bool disconnect; /* close once the answer is sent */
    bool seen_idle;  /* by a drain, since when nothing has come */
    bool chunking_output;
    bool cut_short;   /* the answer failed half-way: nothing more of it is written, nor its last chunk */
    bool handed_over; /* the stream is the application's now */
    bool closing;     /* only the output queue holds the connection open */
    bool linger;      /* the request was refused: see to it that the answer arrives */
};

/* http_conn.c */
HttpConnObject *tc_http_conn_new(HttpConfigObject *config, StreamObject *stream, PyTypeObject *type);
int tc_http_conn_start(HttpConnObject *self);

/* Bytes as if from the stream; the number used, or TC_CONSUMER_RAISED. */
Py_ssize_t tc_http_conn_feed(HttpConnObject *self, const char *data, size_t size);
int tc_http_conn_close(HttpConnObject *self);

/* The stream is no longer HTTP's. Callers hold a reference. */
void tc_http_conn_let_go(HttpConnObject *self);
void tc_http_conn_drop_request(HttpConnObject *self); /* forgets the request in hand; may run Python */
void tc_http_conn_drop_incoming(HttpConnObject *self);
void tc_http_conn_expired(tc_timeout *entry); /* its time is up */

/* The answer is complete and we are not inside dispatch: go on. 0 or -1. */
int tc_http_conn_answered(HttpConnObject *self);

/* Bytes that a body may have. */
uint64_t tc_http_conn_body_limit(const HttpConnObject *self);

/* http_dispatch.c: the request is whole: hand it to the application, and go on if it was answered. `ahead`:
 * there is more input at hand. 0 or -1. */
int tc_http_conn_dispatch(HttpConnObject *self, const tc_http_head *parsed, const char *head, PyObject *body,
                          bool ahead);

/* http_refuse.c: Tornado's answer to a malformed request, and its log line. What is left of the input is not
 * looked at. 0 or -1. */
int tc_http_conn_refuse(HttpConnObject *self, int error, const char *data, size_t size);
int tc_http_conn_refuse_text(HttpConnObject *self, const char *text);

/* An HTTPInputError is set: refuse with its text. Any other exception: "Uncaught exception", and close. */
int tc_http_conn_refuse_exception(HttpConnObject *self);

/* What the log calls the connection; borrowed. */
PyObject *tc_http_conn_label(HttpConnObject *self);

/* Closes once what was written has gone. */
int tc_http_conn_close_when_sent(HttpConnObject *self);

/* Closes, or after a refusal ends our side and goes on reading for a while. */
int tc_http_conn_end(HttpConnObject *self);

/* Takes bytes that nobody wants. 0 or -1. */
int tc_http_conn_drop_input(HttpConnObject *self, size_t size);

/* http_conn_type.c: an address as socket.accept gives it; the context object (_HTTPRequestContext), borrowed;
 * address, borrowed. */
PyObject *tc_http_conn_context_object(HttpConnObject *self);
PyObject *tc_http_conn_address(HttpConnObject *self);
PyObject *tc_http_peer_address(const struct sockaddr *peer, size_t size);

#endif
