/* RequestObject, the C base of tornado_c.httputil.HTTPServerRequest: the head as bytes, and attributes made
 * from it on first use. Attributes can be assigned; what was assigned wins. A request made by Python has no
 * head and all attributes set. */
#ifndef TC_HTTP_REQUEST_H
#define TC_HTTP_REQUEST_H

#include "http/http_parser.h"
#include "base/state.h"

typedef struct RequestObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    char *head; /* the raw head, spans of `info` count from it; NULL for a request made by Python */
    tc_http_head info;
    double start_time;    /* seconds since the epoch */
    double finish_time;   /* 0 until finished */
    bool body_parsed;     /* _parse_body() is done, of a request with a head */
    uint8_t app_state;    /* with `held`, the application's: see http_app.h */
    PyObject *connection; /* HTTPConnection, or any object, or NULL */
    PyObject *server_connection;
    PyObject *held;
    PyObject *method, *uri, *path, *query, *version, *headers, *body, *arguments, *query_arguments,
        *body_arguments, *files, *remote_ip, *protocol, *host, *host_name, *cookies;
} RequestObject;

/* A request of class state->face_HTTPServerRequest over a copy of a parsed head; its body is empty. */
RequestObject *tc_request_new(tc_state *state, PyObject *connection, const char *head,
                              const tc_http_head *info);

/* Whether a body was announced that is not empty. */
static inline bool
tc_request_has_body(const RequestObject *self)
{
    return (self->info.flags & TC_HTTP_CHUNKED) || self->info.content_length > 0;
}

/* Checks what must be refused before an application gets the request: a query with too many arguments. 0, or
 * -1 with an exception. */
#define TC_REQUEST_LONG_TARGET 1000 /* bytes; a shorter one cannot have too many */
int tc_request_check_long_query(RequestObject *self);

static inline int
tc_request_check_query(RequestObject *self)
{
    return TC_LIKELY(self->info.target.len <= TC_REQUEST_LONG_TARGET) ? 0 : tc_request_check_long_query(self);
}

/* Whether the body is a form, by the head alone. */
bool tc_request_has_form_type(const RequestObject *self);

static inline bool
tc_request_has_form(const RequestObject *self)
{
    return TC_UNLIKELY(self->info.flags & TC_HTTP_HAS_CONTENT_TYPE) && tc_request_has_form_type(self);
}

/* False if there is no header Range or If-... in the head, and nobody has asked for its headers. */
bool tc_request_is_conditional(const RequestObject *self);

/* Whether there are certainly no arguments, neither in the query nor in the body, nor assigned ones. */
bool tc_request_has_no_arguments(const RequestObject *self);

/* The attributes as C uses them: borrowed references, NULL with an exception. */
PyObject *tc_request_method(RequestObject *self);
PyObject *tc_request_uri(RequestObject *self);
PyObject *tc_request_path(RequestObject *self);
PyObject *tc_request_headers(RequestObject *self);
PyObject *tc_request_version(RequestObject *self);

/* The path's Latin-1, which stays as long as the request does; NULL where it has been made or assigned already. */
const char *tc_request_path_text(const RequestObject *self, size_t *size);

/* Whether obj is a request of ours (a subclass's instance counts). */
static inline bool
tc_request_check(tc_state *state, PyObject *obj)
{
    return (PyObject *)Py_TYPE(obj) == state->face_HTTPServerRequest ||
           PyObject_TypeCheck(obj, state->request_type);
}

#endif
