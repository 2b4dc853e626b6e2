/* What HTTP and the applications on it know of each other: the mirror image of tc_consumer_class. A
 * connection calls the class of its server's application when a head is complete, with the body and when the
 * request ends; the application responds through the doors of http_conn.h. Neither sees how the other works.
 *
 * Implementers: app_callback.c (any callable), app_delegate.c (an HTTPServerConnectionDelegate), web's
 * Application. One that is a C type begins its struct with HttpAppObject, is a subtype of
 * state->http_app_type and puts its class there in tp_new: an ASGI application would be another such type.
 *
 * Nothing here is HTTP/1's. An implementer is given an opaque HttpConnObject and a RequestObject, whose
 * accessors say what was asked; bodies come decoded from their transfer coding, and what is written through
 * the doors is framed by the connection. So the same doors can lead to a stream of an HTTP/2 connection: it
 * would be an HttpConnObject whose `stream` is shared, with its own reader and its own http_response.c. */
#ifndef TC_HTTP_APP_H
#define TC_HTTP_APP_H

#include "http/http_conn.h"
#include "http/http_request.h"

/* What begin() wants of the rest of the request. */
enum tc_app_mode {
    TC_APP_WHOLE,   /* the whole body, as request->body at the end */
    TC_APP_PIECES,  /* the body as it comes */
    TC_APP_REFUSED, /* nothing: the response is sent or will be, and ends the connection */
};

/* With a mode: nothing is read before tc_http_conn_resume(). */
#define TC_APP_HOLD 8

/* All may run Python, and all but gone() are called in the context of the request, a copy of the server's.
 * Each call holds the connection, the request and the application. Where one fails with an exception the
 * request is refused (HTTPInputError) or its connection closed (others, which are logged); the implementer
 * has cleaned up then, and is not called for the request again.
 *
 * State between the calls is kept in the request: `held` and `app_state`. */
struct tc_http_app_class {
    /* Whether none of the methods that these functions bypass is overridden; called once for each version of
     * the object's type. NULL if there are none. */
    bool (*serves)(PyObject *app);
    /* The head is complete; request->body is empty until the end. A mode, or -1 with an exception. */
    int (*begin)(PyObject *app, HttpConnObject *conn, RequestObject *request);
    /* The next piece of the body, in PIECES, at most the server's chunk_size. TC_OK; TC_AGAIN: nothing more
     * before tc_http_conn_resume(); TC_RAISED. */
    int (*piece)(PyObject *app, HttpConnObject *conn, RequestObject *request, const char *data, size_t size);
    /* The request is complete, and its response is not. From now on the close callback is called if the
     * client leaves. 0, or -1 with an exception; for a request without a body also TC_AGAIN: as if
     * begin() had held the client back, or had responded. */
    int (*end)(PyObject *app, HttpConnObject *conn, RequestObject *request);
    /* After begin() and in place of end(): the connection is gone, or the request was refused or got its
     * response before it was complete. Must not call Python at once: a call of the application may be on the
     * stack. NULL where there is nothing to do. */
    void (*gone)(PyObject *app, HttpConnObject *conn, RequestObject *request);
};

/* The fields of an application that is a C type of its own. */
typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    const tc_http_app_class *app_class;
} HttpAppObject;

/* What serves an object as an application: its own class if it has one that may be used, else by its kind.
 * May run Python. NULL with an exception. */
const tc_http_app_class *tc_http_app_class_of(tc_state *state, PyObject *app);

extern const tc_http_app_class tc_app_callback;
extern const tc_http_app_class tc_app_delegate;

/* For applications that find a message delegate when the head is there: as their begin(), with the delegate
 * (stolen; NULL with its exception). As long as it is open, the rest of the request is the business of
 * tc_app_delegate's functions. */
int tc_delegate_begin(HttpConnObject *conn, RequestObject *request, PyObject *delegate);
bool tc_delegate_is_open(const RequestObject *request);

/* Runs a coroutine that serves the current request in a Task: an exception is logged and ends the connection.
 * 0 or -1. */
int tc_http_conn_run(HttpConnObject *self, PyObject *coroutine);

/* Takes what a callback has returned (stolen; NULL with its exception): a coroutine is run. 0 or -1. */
static inline int
tc_http_conn_take_result(HttpConnObject *self, PyObject *result)
{
    if (result == NULL) {
        return -1;
    }
    int status = TC_UNLIKELY(PyCoro_CheckExact(result)) ? tc_http_conn_run(self, result) : 0;
    Py_DECREF(result);
    return status;
}

#endif
