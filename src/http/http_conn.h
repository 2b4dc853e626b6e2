/* HttpConnObject, the C base of tornado_c.httpserver.HTTPConnection: one client's connection, from its first
 * byte to its close, and what request.connection is. It is its stream's native consumer.
 *
 * Files: http_conn.c (life, heads, keep-alive), http_exchange.c (a request and its application), http_body.c,
 * http_response.c (writes), http_refuse.c, http_close.c, http_peer.c (who the client is), http_conn_type.c
 * and http_conn_methods.c (for Python). What applications in C may call is here, see http_app.h. */
#ifndef TC_HTTP_CONN_H
#define TC_HTTP_CONN_H

#include "http/http_chunked.h"
#include "http/http_parser.h"
#include "http/http_request.h"
#include "stream/stream.h"

typedef struct HttpConnObject HttpConnObject;
typedef struct HttpConfigObject HttpConfigObject;
typedef struct tc_http_app_class tc_http_app_class;

/* Whether obj is a connection of ours whose write methods are not replaced in a subclass or on the instance,
 * so that the functions below may be called in place of write_headers, write and finish. */
bool tc_http_conn_check(tc_state *state, PyObject *obj);

/* The connection if obj is one of ours, whatever it overrides; else NULL. Borrowed. */
HttpConnObject *tc_http_conn_of(tc_state *state, PyObject *obj);

/* An address as socket.accept() gives it, as request.remote_ip; also the module's function peer_ip(address). */
PyObject *tc_http_peer_ip(PyObject *unused, PyObject *address);

/* The client's address and the scheme, as request.remote_ip and request.protocol; borrowed, NULL with an
 * exception. */
PyObject *tc_http_conn_remote_ip(HttpConnObject *self);
PyObject *tc_http_conn_protocol(HttpConnObject *self);

/* Whether what is written now is the response to this request (or is dropped, if the connection is
 * closed). */
bool tc_http_conn_is_current(const HttpConnObject *self, PyObject *request);

/* The same, and the response is still to be completed. */
bool tc_http_conn_wants_response(const HttpConnObject *self, const RequestObject *request);

/* What is called, without arguments, when the client goes away before its response is complete; NULL for
 * nothing. */
int tc_http_conn_set_close_callback(HttpConnObject *self, PyObject *callback);
PyObject *tc_http_conn_close_callback(HttpConnObject *self); /* borrowed, or NULL */

/* Writes raw bytes of a response (the interface of 2.x-4.x; str is encoded as UTF-8); callback (or NULL) is
 * called when they are sent. */
int tc_http_conn_write_raw(HttpConnObject *self, PyObject *chunk, PyObject *callback);

/* A piece of body as bytes, from anything bytes-like, with `text` also from a str, as UTF-8. A new reference,
 * NULL with TypeError. */
PyObject *tc_http_chunk(PyObject *obj, bool text);

/* The slow part of tc_http_status_code. */
int tc_http_odd_status_code(PyObject *status, int *code);

/* The value of a status, which may be any object, for a response's framing: if it is a whole number that fits
 * a C int. 0, or -1 with an exception. */
static inline int
tc_http_status_code(PyObject *status, int *code)
{
    return TC_LIKELY(tc_long_is_small(status, code)) ? 0 : tc_http_odd_status_code(status, code);
}

/* Writes the status line, the headers (HTTPHeaders; Connection and Transfer-Encoding are added to it as
 * Tornado does) and the first piece of body (bytes, may be NULL). 0, or with what write_headers raises
 * (HTTPOutputError, ValueError) -1, or TC_HEAD_BAD if the head is invalid and nothing was sent. A closed
 * connection is no error: nothing is written. The caller holds all objects. */
#define TC_HEAD_BAD (-2)
int tc_http_conn_write_head(HttpConnObject *self, PyObject *status, PyObject *reason, PyObject *headers,
                            PyObject *chunk);

/* Writes a piece of body (bytes), chunked where that was announced. */
int tc_http_conn_write_chunk(HttpConnObject *self, PyObject *chunk);

/* The same for a range of a file, which is queued as such: the kernel sends it if it can. The queue owns a
 * reference to the file until then. */
int tc_http_conn_write_file(HttpConnObject *self, PyObject *file, int fd, size_t offset, size_t size);

/* The response is complete and is sent: the next request is read, or the connection closed. *written (or
 * NULL) becomes a Future for what was written so far. Raises HTTPOutputError where Content-Length was not
 * met. */
int tc_http_conn_finish(HttpConnObject *self, PyObject **written);

/* Sends what was written and is joined; with `join` only if it may not join the responses to requests that
 * were read already. 0 or -1. */
int tc_http_conn_flush(HttpConnObject *self, bool join);

/* A Future for what was written so far. */
PyObject *tc_http_conn_written(HttpConnObject *self);

/* The loop of the connection, borrowed; NULL after it was closed. */
LoopCore *tc_http_conn_core(HttpConnObject *self);

/* The context in which the current request is handled (borrowed, or NULL). */
PyObject *tc_http_conn_context(HttpConnObject *self);
/* The same where variables have been set in it, else NULL. */
PyObject *tc_http_conn_changed_context(HttpConnObject *self);

/* Maxima in bytes: of the current request's body, and of a piece of it. */
uint64_t tc_http_conn_body_limit(const HttpConnObject *self);
size_t tc_http_conn_piece_size(const HttpConnObject *self);

/* Sets the limits of the current message, while its body is still to come: its bytes; its seconds, below 0:
 * no limit. 0, or -1 with MemoryError. */
int tc_http_conn_set_max_body_size(HttpConnObject *self, uint64_t size);
int tc_http_conn_set_body_timeout(HttpConnObject *self, double seconds);

/* The settings of its server, borrowed. */
HttpConfigObject *tc_http_conn_config(HttpConnObject *self);

/* Detaches the stream, for upgrades: a new reference, or NULL with RuntimeError if the connection is over
 * already. */
StreamObject *tc_http_conn_detach(HttpConnObject *self);

/* Whether the application holds the peer back in this request. */
bool tc_http_conn_is_held(const HttpConnObject *self, const RequestObject *request);

/* The application, which held the peer back, is ready for more; or it has failed with the exception that is
 * set, which is handled as http_app.h says. 0 or -1. */
int tc_http_conn_resume(HttpConnObject *self);
int tc_http_conn_fail(HttpConnObject *self);

#endif
