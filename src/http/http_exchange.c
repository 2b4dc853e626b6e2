/* One request between a connection and its application (http_app.h): what is called, when and in which
 * context, what a proxy's headers say of the client, and what happens to the connection afterwards.
 *
 * A request that has come whole, as nearly all have, is begun and ended in one step. Runs Python. */
#include "base/context.h"
#include "event/stack.h"
#include "http/http_conn_parts.h"
#include "http/http_request_parts.h"

/* In place of a mode: the request was ended. */
#define EXCHANGE_ENDED 16

/* A call of the application, with references. */
typedef struct {
    const tc_http_app_class *app_class;
    PyObject *app;
    RequestObject *request;
    StreamObject *stream; /* borrowed from the connection, which owns it */
} tc_exchange;

/* ---- before and after it ---- */

/* X-Forwarded-For and the like, where the server trusts them: adapters.py does the work. The context object
 * says so, too, until the request is ended. */
static int
exchange_apply_xheaders(HttpConnObject *self, RequestObject *request)
{
    PyObject *context = tc_http_conn_context_object(self); /* kept as long as the connection */
    PyObject *headers = context != NULL ? Py_XNewRef(tc_request_headers(request)) : NULL;
    PyObject *result = headers != NULL
                           ? PyObject_CallMethodOneArg(context, self->state->str__apply_xheaders, headers)
                           : NULL;
    Py_XDECREF(headers);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    PyObject *remote_ip = PyObject_GetAttr(context, self->state->str_remote_ip);
    PyObject *protocol = remote_ip != NULL ? PyObject_GetAttr(context, self->state->str_protocol) : NULL;
    if (protocol == NULL) {
        Py_XDECREF(remote_ip);
        return -1;
    }
    Py_XSETREF(request->remote_ip, remote_ip);
    Py_XSETREF(request->protocol, protocol);
    return 0;
}

static int
exchange_unapply_xheaders(HttpConnObject *self)
{
    PyObject *context = tc_http_conn_context_object(self);
    PyObject *result =
        context != NULL ? PyObject_CallMethodNoArgs(context, self->state->str__unapply_xheaders) : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_http_conn_join_lengths(HttpConnObject *self, RequestObject *request)
{
    if (TC_LIKELY(!(self->frame.flags & TC_HTTP_LENGTH_LIST))) {
        return 0;
    }
    self->frame.flags &= ~(uint32_t)TC_HTTP_LENGTH_LIST;
    PyObject *headers = Py_XNewRef(request->headers);
    if (headers == NULL) {
        request->info.flags |= TC_HTTP_LENGTH_LIST; /* headers are made from the head as it is */
        return 0;
    }
    int status = tc_request_join_length(request, headers);
    Py_DECREF(headers);
    return status;
}

/* A whole body in gzip, where the server decodes those. */
static int
exchange_decompress(HttpConnObject *self, RequestObject *request)
{
    PyObject *decompress = tc_upcall(self->state, decompress_request), *result = NULL;
    if (decompress != NULL) {
        size_t limit = tc_min_size(tc_http_conn_body_limit(self), PY_SSIZE_T_MAX);
        result =
            PyObject_CallFunction(decompress, "Onn", request, (Py_ssize_t)TC_STREAM_CHUNK, (Py_ssize_t)limit);
    }
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Begins a call of the application, in the request's context. `entered` is for exchange_leave. */
static bool
exchange_enter(HttpConnObject *self, PyObject *context, PyObject **entered)
{
    if (context == NULL || PyContext_Enter(context) < 0) {
        return false;
    }
    if (tc_stack_enter(self->state, entered) < 0) {
        tc_context_exit(context, true, (PyObject *)self);
        return false;
    }
    self->dispatching = true;
    return true;
}

/* Ends it. An exception of the call stays set; true if there is one now. */
static bool
exchange_leave(HttpConnObject *self, PyObject *context, PyObject *entered, bool failed)
{
    self->dispatching = false;
    if (TC_UNLIKELY(entered != NULL)) {
        tc_stack_leave(self->state, entered);
        failed = PyErr_Occurred() != NULL;
    }
    tc_context_exit(context, failed, (PyObject *)self);
    return failed;
}

/* ---- calls ---- */

static inline void
exchange_gone(HttpConnObject *self, const tc_exchange *call)
{
    if (call->app_class->gone != NULL) {
        call->app_class->gone(call->app, self, call->request);
    }
}

/* Calls end() where the request needs work before or after it. */
static int
exchange_end_prepared(HttpConnObject *self, const tc_exchange *call, int mode)
{
    if (tc_http_conn_join_lengths(self, call->request) < 0 ||
        (self->config->decompress && mode == TC_APP_WHOLE && exchange_decompress(self, call->request) < 0)) {
        exchange_gone(self, call);
        return -1;
    }
    if (self->reading != CONN_HANDLING) { /* looking at it may have run Python */
        exchange_gone(self, call);
        return 0;
    }
    int status = call->app_class->end(call->app, self, call->request);
    return self->config->xheaders && status == 0 ? exchange_unapply_xheaders(self) : status;
}

/* Calls end(). 0, TC_AGAIN or -1. */
static inline int
exchange_end(HttpConnObject *self, const tc_exchange *call, int mode)
{
    self->reading = CONN_HANDLING;
    if (TC_UNLIKELY(self->config->decompress || self->config->xheaders ||
                    (self->frame.flags & TC_HTTP_LENGTH_LIST))) {
        return exchange_end_prepared(self, call, mode);
    }
    return call->app_class->end(call->app, self, call->request);
}

/* Calls begin(), and if the request has come whole, with this body, end(). A mode, EXCHANGE_ENDED or -1. */
static int
exchange_begin(HttpConnObject *self, const tc_exchange *call, const char *body, size_t size, bool whole)
{
    if (TC_UNLIKELY(self->config->xheaders)) {
        if (exchange_apply_xheaders(self, call->request) < 0) {
            return -1;
        }
        if (tc_http_conn_is_over(self)) {
            return TC_APP_REFUSED;
        }
    }
    int mode = call->app_class->begin(call->app, self, call->request);
    if (!whole || (mode != TC_APP_WHOLE && (mode != TC_APP_PIECES || size > 0)) ||
        tc_http_frame_is_done(&self->frame) || self->reading != CONN_BODY) {
        return mode;
    }
    if (size > 0) {
        PyObject *bytes = PyBytes_FromStringAndSize(body, (Py_ssize_t)size);
        if (bytes == NULL) {
            exchange_gone(self, call);
            return -1;
        }
        Py_XSETREF(call->request->body, bytes);
    }
    int status = exchange_end(self, call, mode);
    if (TC_UNLIKELY(status == TC_AGAIN)) {
        if (self->reading == CONN_HANDLING) {
            self->reading = CONN_BODY;
        }
        return TC_APP_PIECES | TC_APP_HOLD;
    }
    return status < 0 ? -1 : EXCHANGE_ENDED;
}

/* The same, with the context and what else surrounds a call. */
static int
exchange_run(HttpConnObject *self, const tc_exchange *call, const char *body, size_t size, bool whole)
{
    if (call->app_class == NULL) {
        return -1;
    }
    PyObject *context = tc_http_config_copy_context(self->config);
    PyObject *entered;
    int mode = -1;
    if (exchange_enter(self, context, &entered)) {
        Py_XSETREF(self->context, Py_NewRef(context));
        mode = exchange_begin(self, call, body, size, whole);
        mode = exchange_leave(self, context, entered, mode < 0) ? -1 : mode;
    }
    Py_XDECREF(context);
    return mode;
}

/* ---- what comes afterwards ---- */

enum conn_step
tc_http_conn_step(HttpConnObject *self, int status)
{
    if (status < 0) {
        return STEP_RAISED;
    }
    return self->reading >= CONN_ENDING ? STEP_STOP : STEP_ON;
}

/* The application needs no more of the request. */
static void
exchange_stop_reading(HttpConnObject *self)
{
    if (tc_http_conn_is_receiving(self)) {
        tc_http_body_stop_clock(self);
        self->reading = CONN_HANDLING;
    }
}

/* A call has ended the request. */
static inline int
exchange_ended(HttpConnObject *self, StreamObject *stream)
{
    int status = tc_train_called(stream) == TC_RAISED ? -1 : 0;
    if (TC_UNLIKELY(tc_http_conn_is_over(self))) {
        tc_http_conn_drop_request(self);
        return status;
    }
    return status == 0 && tc_http_frame_is_done(&self->frame) ? tc_http_conn_response_done(self) : status;
}

/* A call has failed. */
static int
exchange_failed(HttpConnObject *self, StreamObject *stream)
{
    exchange_stop_reading(self);
    int status = tc_http_conn_refuse_exception(self);
    if (tc_train_called(stream) == TC_RAISED) {
        status = -1;
    }
    if (tc_http_conn_is_over(self)) {
        tc_http_conn_drop_request(self);
    }
    return status;
}

/* Nothing more of the request is read: the connection ends with its response. */
static int
exchange_stop(HttpConnObject *self, bool unread)
{
    self->reading = CONN_HANDLING;
    self->frame.closes = true;
    self->linger |= unread;
    return tc_http_frame_is_done(&self->frame) ? tc_http_conn_response_done(self) : 0;
}

/* The application has the head: goes on to the rest as the mode says. */
static int
exchange_go_on(HttpConnObject *self, const tc_exchange *call, int mode)
{
    RequestObject *request = call->request;
    if (TC_UNLIKELY(tc_http_conn_is_over(self))) {
        if (self->reading == CONN_CLOSED && mode != TC_APP_REFUSED) {
            exchange_gone(self, call);
        }
        tc_http_conn_drop_request(self);
        return 0;
    }
    if (tc_http_frame_is_done(&self->frame) || mode == TC_APP_REFUSED) {
        if (mode != TC_APP_REFUSED) {
            exchange_gone(self, call);
        }
        return exchange_stop(self, tc_request_has_body(request));
    }
    tc_http_incoming *in = tc_http_conn_incoming(self);
    if (in == NULL) {
        exchange_gone(self, call);
        return -1;
    }
    in->app_class = call->app_class;
    in->app = Py_NewRef(call->app);
    in->mode = (uint8_t)(mode & ~TC_APP_HOLD);
    in->left = request->info.content_length;
    if (in->mode == TC_APP_WHOLE) {
        in->request = self->request;
        self->request = NULL;
    }
    if (mode & TC_APP_HOLD) {
        self->reading = CONN_HELD;
        return 0;
    }
    return tc_http_body_start(self);
}

/* ---- for http_conn.c and http_body.c ---- */

enum conn_step
tc_http_conn_begin(HttpConnObject *self, const tc_http_head *parsed, const char *head, const char *data,
                   size_t size, size_t *used)
{
    size_t here = size - *used, length = 0;
    bool whole = !(parsed->flags & (TC_HTTP_CHUNKED | TC_HTTP_HAS_LENGTH));
    if (!whole && !(parsed->flags & TC_HTTP_CHUNKED)) {
        bool asks = parsed->content_length > 0 && (parsed->flags & TC_HTTP_EXPECT_CONTINUE);
        whole = here >= parsed->content_length && !asks &&
                parsed->content_length <= tc_http_conn_body_limit(self);
        length = whole ? (size_t)parsed->content_length : 0;
    }
    const tc_http_app_class *app_class = tc_http_config_app(self->config);
    if (TC_UNLIKELY(tc_http_conn_is_over(self))) { /* looking at the application may have run Python */
        PyErr_Clear();
        return STEP_STOP;
    }
    tc_timeout_end(&self->timeout);
    self->reading = CONN_BODY;
    tc_exchange call = {.app_class = app_class,
                        .request = tc_request_new(self->state, (PyObject *)self, head, parsed),
                        .stream = self->stream};
    if (call.request == NULL) {
        return STEP_RAISED;
    }
    self->request = Py_NewRef(call.request);
    call.request->info.flags &= ~(uint32_t)TC_HTTP_LENGTH_LIST; /* until the body begins, as with Tornado */
    call.app = Py_XNewRef(self->config->request_callback);
    tc_train_call(call.stream, whole && here > length);
    int status = exchange_run(self, &call, data + *used, length, whole);
    self->linger |= self->frame.closes && here > length;
    if (TC_LIKELY(status == EXCHANGE_ENDED)) {
        *used += length;
        status = exchange_ended(self, call.stream);
    }
    else {
        tc_train_call_lasts(call.stream);
        status = status < 0 ? exchange_failed(self, call.stream) : exchange_go_on(self, &call, status);
    }
    Py_DECREF(call.request);
    Py_XDECREF(call.app);
    return tc_http_conn_step(self, status);
}

/* The call that the current request's state describes, with references. */
static tc_exchange
exchange_of_incoming(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    return (tc_exchange){
        .app_class = in->app_class,
        .app = Py_NewRef(in->app),
        .request = (RequestObject *)Py_NewRef(in->request != NULL ? in->request : self->request),
        .stream = self->stream,
    };
}

int
tc_http_conn_request_end(HttpConnObject *self, bool ahead)
{
    tc_http_incoming *in = self->incoming;
    int mode = in->mode;
    if (mode == TC_APP_WHOLE) {
        RequestObject *request = (RequestObject *)in->request;
        if (in->body != NULL) {
            if ((size_t)PyBytes_GET_SIZE(in->body) != in->body_size &&
                _PyBytes_Resize(&in->body, (Py_ssize_t)in->body_size) < 0) {
                return -1;
            }
            Py_XSETREF(request->body, in->body);
            in->body = NULL;
        }
    }
    tc_exchange call = exchange_of_incoming(self);
    in->app_class = NULL;
    tc_timeout_end(&self->timeout);
    if (in->request != NULL) {
        self->request = in->request;
        in->request = NULL;
    }
    tc_http_conn_drop_incoming(self);
    tc_train_call(call.stream, ahead);
    PyObject *context = Py_XNewRef(self->context), *entered;
    int status = -1;
    if (exchange_enter(self, context, &entered)) {
        status = exchange_end(self, &call, mode);
        status = exchange_leave(self, context, entered, status < 0 && status != TC_AGAIN) ? -1 : status;
    }
    self->linger |= self->frame.closes && ahead;
    status = status < 0 ? exchange_failed(self, call.stream) : exchange_ended(self, call.stream);
    Py_XDECREF(context);
    Py_DECREF(call.request);
    Py_DECREF(call.app);
    return status;
}

int
tc_http_conn_piece(HttpConnObject *self, const char *data, size_t size)
{
    tc_exchange call = exchange_of_incoming(self);
    PyObject *context = Py_XNewRef(self->context), *entered;
    int st = TC_RAISED, status = 0;
    if (exchange_enter(self, context, &entered)) {
        st = call.app_class->piece(call.app, self, call.request, data, size);
        st = exchange_leave(self, context, entered, st == TC_RAISED) ? TC_RAISED : st;
    }
    if (st == TC_RAISED) {
        status = tc_http_conn_fail(self);
    }
    else if (tc_http_conn_is_over(self)) {
        tc_http_conn_drop_request(self);
    }
    else if (tc_http_frame_is_done(&self->frame)) {
        status = tc_http_conn_response_done(self);
    }
    else if (st == TC_AGAIN) {
        self->reading = CONN_HELD;
    }
    else if (!tc_http_conn_take_back(self)) {
        status = tc_http_conn_close(self);
    }
    Py_XDECREF(context);
    Py_DECREF(call.request);
    Py_DECREF(call.app);
    return status;
}

void
tc_http_conn_abandon(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    if (in != NULL && in->app_class != NULL) {
        tc_exchange call = exchange_of_incoming(self);
        in->app_class = NULL;
        PyObject *exc = PyErr_GetRaisedException();
        exchange_gone(self, &call);
        if (exc != NULL) {
            PyErr_SetRaisedException(exc);
        }
        Py_DECREF(call.request);
        Py_DECREF(call.app);
    }
}

/* ---- for applications ---- */

bool
tc_http_conn_is_held(const HttpConnObject *self, const RequestObject *request)
{
    tc_http_conn_assert(self);
    return self->reading == CONN_HELD &&
           (self->request == (PyObject *)request || self->incoming->request == (PyObject *)request);
}

int
tc_http_conn_fail(HttpConnObject *self)
{
    if (self->incoming != NULL) {
        self->incoming->app_class = NULL;
    }
    exchange_stop_reading(self);
    Py_INCREF(self);
    int status = tc_http_conn_refuse_exception(self);
    if (tc_http_conn_is_over(self)) {
        tc_http_conn_drop_request(self);
    }
    Py_DECREF(self);
    return status;
}

static int
exchange_resume(HttpConnObject *self)
{
    self->reading = CONN_BODY;
    if (!self->incoming->started) {
        return tc_http_body_start(self);
    }
    size_t used = 0; /* there may be nothing left to give */
    return tc_http_body_read(self, "", 0, &used) == STEP_RAISED ? -1 : 0;
}

int
tc_http_conn_resume(HttpConnObject *self)
{
    if (self->reading != CONN_HELD) {
        return 0;
    }
    if (tc_http_conn_is_read_by_others(self)) {
        return tc_http_conn_close(self);
    }
    tc_cork cork;
    StreamObject *stream = (StreamObject *)Py_NewRef((PyObject *)self->stream);
    Py_INCREF(self);
    bool corked = tc_stream_cork(stream, &cork);
    int status = exchange_resume(self);
    PyObject *exc = PyErr_GetRaisedException();
    if (corked && tc_stream_uncork(stream) == TC_RAISED) {
        status = -1;
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    if (self->reading == CONN_BODY) {
        tc_stream_resume(stream);
    }
    Py_DECREF(self);
    Py_DECREF(stream);
    return status;
}

int
tc_http_conn_run(HttpConnObject *self, PyObject *coroutine)
{
    PyObject *task = tc_task_start(self->stream->core, coroutine);
    if (task == NULL) {
        return -1;
    }
    PyObject *watch = tc_upcall(self->state, watch_request_task);
    PyObject *args[3] = {NULL, task, (PyObject *)self};
    PyObject *result =
        watch != NULL ? PyObject_Vectorcall(watch, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL) : NULL;
    Py_DECREF(task);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}
