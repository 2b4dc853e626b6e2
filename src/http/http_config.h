/* HttpConfigObject: what all connections of one server share: the callback, the limits, the time limits'
 * lists and the list of connections. */
#ifndef TC_HTTP_CONFIG_H
#define TC_HTTP_CONFIG_H

#include "base/buf.h"
#include "event/timeouts.h"
#include "http/http_app.h"

struct HttpConfigObject {
    PyObject_HEAD tc_state *state;      /* borrowed */
    LoopCore *core;                     /* the loop of the first connection; strong */
    PyObject *request_callback;         /* the application, in any of its forms */
    const tc_http_app_class *app_class; /* what serves it, while its type has this version */
    unsigned app_tag;
    PyObject *protocol;           /* str, or NULL: by the stream */
    PyObject *trusted_downstream; /* as given, or NULL */
    PyObject *context;            /* requests are handled in copies of it; NULL: in the caller's */
    bool no_keep_alive, xheaders;
    bool draining;                     /* each response's head says that the connection ends */
    bool decompress;                   /* bodies in gzip are decoded */
    bool each_chunk;                   /* the ends of chunks are seen by who gets bodies in pieces */
    Py_ssize_t max_header_size;        /* bytes */
    Py_ssize_t max_body_size;          /* bytes; 0: the stream's max_buffer_size */
    Py_ssize_t chunk_size;             /* bytes; 0: the stream's default */
    Py_ssize_t max_buffer_size;        /* bytes; 0: the stream's default */
    Py_ssize_t linger_size;            /* bytes read and dropped after a refusal */
    double idle_timeout, body_timeout; /* seconds; 0: none */
    double linger_timeout;             /* seconds of reading on after a refusal; 0: close at once */
    tc_timeouts head_timeouts;         /* from the end of a response to the end of the next head */
    tc_timeouts body_timeouts;
    tc_link connections;      /* HttpConnObject.link */
    tc_link detached;         /* StreamObject.detached, borrowed */
    tc_bytes_buf head_buffer; /* where heads of responses are assembled */
};

/* Binds the config to the loop of its first connection. 0, or -1 (RuntimeError: another loop's). */
int tc_http_config_bind(HttpConfigObject *self, LoopCore *core);

/* The slow part of tc_http_config_app. */
const tc_http_app_class *tc_http_config_choose(HttpConfigObject *self);

/* What serves the requests of this server's application: looked up again when the application's type changes,
 * as monitoring tools replace methods at run time. NULL with an exception. */
static inline const tc_http_app_class *
tc_http_config_app(HttpConfigObject *self)
{
    PyObject *app = self->request_callback;
    return TC_LIKELY(app != NULL && self->app_tag != 0 && Py_TYPE(app)->tp_version_tag == self->app_tag)
               ? self->app_class
               : tc_http_config_choose(self);
}

/* What a connection or a request is handled in: a copy of the server's context, or of the caller's. */
static inline PyObject *
tc_http_config_copy_context(const HttpConfigObject *self)
{
    return self->context != NULL ? PyContext_Copy(self->context) : PyContext_CopyCurrent();
}

#endif
