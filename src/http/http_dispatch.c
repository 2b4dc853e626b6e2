/* A whole request on its way to the application: what must fail before that is called (malformed forms,
 * bodies that do not decompress), a proxy's headers, the call itself in a context of its own. Runs Python. */
#include "http/http_conn_parts.h"

#include "base/raise.h"

#include <strings.h>

/* More "&" than this in a query are looked at before the application is called. */
#define FORM_ARGUMENTS_LIMIT 1000

/* A form in the body is parsed before the application is called, so that a malformed one never reaches it. */
static bool
conn_has_form(const tc_http_head *parsed, const char *head)
{
    if (!(parsed->flags & TC_HTTP_HAS_CONTENT_TYPE)) {
        return false;
    }
    const char *block = head + parsed->headers.off;
    size_t pos = 0;
    tc_span name, value;
    while (tc_http_next_header(block, parsed->headers.len, &pos, &name, &value)) {
        if (name.len == 12 && strncasecmp(block + name.off, "content-type", 12) == 0) {
            const char *type = block + value.off;
            return (value.len >= 33 && memcmp(type, "application/x-www-form-urlencoded", 33) == 0) ||
                   (value.len >= 19 && memcmp(type, "multipart/form-data", 19) == 0);
        }
    }
    return false;
}

static bool
conn_has_long_query(const tc_http_head *parsed, const char *head)
{
    const char *p = head + parsed->target.off, *end = p + parsed->target.len;
    if (parsed->target.len <= FORM_ARGUMENTS_LIMIT) {
        return false;
    }
    size_t count = 0;
    while ((p = memchr(p, '&', (size_t)(end - p))) != NULL) {
        count++;
        p++;
    }
    return count >= FORM_ARGUMENTS_LIMIT;
}

/* Whatever must fail before the application is called. An Application sees to forms itself, and answers a
 * malformed one with its own error page. 0, or -1 with an exception. */
static int
conn_check_request(HttpConnObject *self, PyObject *request, const tc_http_head *parsed, const char *head)
{
    PyObject *result;
    if (TC_UNLIKELY(!self->config->callback_parses_forms && conn_has_form(parsed, head))) {
        result = PyObject_CallMethodNoArgs(request, self->state->str__parse_body);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    if (TC_UNLIKELY(conn_has_long_query(parsed, head))) {
        result = PyObject_GetAttr(request, self->state->str_query_arguments);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    return 0;
}

/* A body in gzip, where the server decodes those: httpserver.py does the work. */
static int
conn_decompress(HttpConnObject *self, PyObject *request)
{
    PyObject *decompress = tc_upcall(self->state, decompress_request);
    PyObject *result =
        decompress != NULL
            ? PyObject_CallFunction(decompress, "Onn", request, (Py_ssize_t)TC_STREAM_CHUNK,
                                    (Py_ssize_t)tc_min_size(tc_http_conn_body_limit(self), PY_SSIZE_T_MAX))
            : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* X-Forwarded-For and its like, where the server trusts them: httpserver.py does the work. */
static int
conn_apply_xheaders(HttpConnObject *self, RequestObject *request)
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
    result = PyObject_CallMethodNoArgs(context, self->state->str__unapply_xheaders);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* A coroutine that a callback returned runs as a Task whose exception is logged. */
static int
conn_run_coroutine(HttpConnObject *self, PyObject *coroutine)
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

/* Calls the application. 0, or -1 with the exception that left it. */
static int
conn_call_application(HttpConnObject *self, PyObject *request)
{
    PyObject *callback = Py_XNewRef(self->config->request_callback);
    if (callback == NULL) {
        PyErr_SetString(PyExc_TypeError, "the server has no request_callback");
        return -1;
    }
    PyObject *base = self->config->context;
    PyObject *context = base != NULL ? PyContext_Copy(base) : PyContext_CopyCurrent();
    PyObject *result = NULL;
    int status = -1;
    if (context != NULL && PyContext_Enter(context) == 0) {
        Py_XSETREF(self->context, Py_NewRef(context));
        self->dispatching = true;
        result = PyObject_CallOneArg(callback, request);
        if (result != NULL) {
            status = TC_UNLIKELY(PyCoro_CheckExact(result)) ? conn_run_coroutine(self, result) : 0;
        }
        self->dispatching = false;
        PyObject *exc = status < 0 ? PyErr_GetRaisedException() : NULL;
        if (PyContext_Exit(context) < 0) {
            PyErr_WriteUnraisable(callback);
        }
        if (exc != NULL) {
            PyErr_SetRaisedException(exc);
        }
    }
    Py_XDECREF(result);
    Py_XDECREF(context);
    Py_DECREF(callback);
    return status;
}

int
tc_http_conn_dispatch(HttpConnObject *self, const tc_http_head *parsed, const char *head, PyObject *body,
                      bool ahead)
{
    tc_timeout_end(&self->timeout);
    self->phase = CONN_HANDLING;
    self->read_finished = true;
    self->request = tc_request_new(self->state, (PyObject *)self, head, parsed, body);
    if (self->request == NULL) {
        return -1;
    }
    PyObject *request = Py_NewRef(self->request);
    StreamObject *stream = self->stream;
    tc_train_call(stream, ahead);
    if ((TC_UNLIKELY(self->config->decompress) && conn_decompress(self, request) < 0) ||
        conn_check_request(self, request, parsed, head) < 0 ||
        (self->config->xheaders && conn_apply_xheaders(self, (RequestObject *)request) < 0)) {
        Py_DECREF(request);
        return tc_http_conn_refuse_exception(self);
    }
    /* Looking at it may have run Python, which may have closed the connection. */
    int status = TC_LIKELY(self->phase == CONN_HANDLING) ? conn_call_application(self, request) : 0;
    Py_DECREF(request);
    if (TC_UNLIKELY(status < 0)) {
        status = tc_http_conn_refuse_exception(self);
    }
    if (status == 0 && tc_train_called(stream) == TC_RAISED) {
        status = -1;
    }
    if (TC_UNLIKELY(self->phase == CONN_CLOSED)) {
        tc_http_conn_drop_request(self);
        return status;
    }
    if (status == 0 && self->write_finished) {
        return tc_http_conn_answered(self);
    }
    return status;
}
