/* The end of a response: Etag and Content-Length where nothing was flushed, the last flush, the log line and
 * on_finish(). Everything that an application can override (set_etag_header, flush, _log, on_finish, ...) is
 * called as a method and runs Python where it was overridden. */
#include "web/application.h"
#include "web/handler.h"

#include "base/args.h"
#include "http/http_frame.h"

/* The truth of a method's result, or of `own` if the method is ours. */
static int
finish_ask(HandlerObject *self, enum tc_hook hook, PyObject *name, int (*own)(HandlerObject *))
{
    if (TC_LIKELY(tc_handler_owns(self, hook))) {
        return own(self);
    }
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, name);
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

static int
finish_hook(HandlerObject *self, enum tc_hook hook, PyObject *name, int (*own)(HandlerObject *))
{
    if (TC_LIKELY(tc_handler_owns(self, hook))) {
        return own != NULL ? own(self) : 0;
    }
    return tc_handler_call(self, name);
}

/* Whether the response has a header of this normalised name: 1, 0 or -1. */
static int
finish_has_header(HandlerObject *self, PyObject *name)
{
    PyObject *headers = Py_XNewRef(tc_handler_field(self, self->headers, "_headers"));
    int found = headers != NULL ? tc_headers_contains(headers, name) : -1;
    Py_XDECREF(headers);
    return found;
}

/* Sets a header of this normalised name to a text that is known to be safe. */
static int
finish_set_header(HandlerObject *self, PyObject *name, PyObject *text)
{
    PyObject *headers = Py_XNewRef(tc_handler_field(self, self->headers, "_headers"));
    int st = headers != NULL ? tc_headers_set(headers, name, text) : -1;
    Py_XDECREF(headers);
    return st;
}

/* All that completes the headers. As long as it is ours, no Python runs between its steps. */
#define FINISH_HEADERS                                                                                       \
    (TC_HOOK_set_etag_header | TC_HOOK_compute_etag | TC_HOOK_check_etag_header | TC_HOOK_set_header |       \
     TC_HOOK__convert_header_value | TC_HOOK__should_not_send_content)

/* Sets the Etag and asks whether the client has it: 1, 0 or -1. */
static int
finish_ask_etag(HandlerObject *self, bool own)
{
    tc_state *state = self->state;
    if (TC_LIKELY(own)) {
        PyObject *etag = tc_handler_etag_compute(self);
        int st = etag != NULL ? finish_set_header(self, state->str_Etag, etag) : -1;
        Py_XDECREF(etag);
        return st == 0 ? tc_handler_etag_check(self) : -1;
    }
    int st = finish_hook(self, TC_HOOK_set_etag_header, state->str_set_etag_header, tc_handler_etag_set);
    return st == 0 ? finish_ask(self, TC_HOOK_check_etag_header, state->str_check_etag_header,
                                tc_handler_etag_check)
                   : -1;
}

/* Sets the Etag of a response to GET or HEAD, and makes it a 304 where the client has it. */
static int
finish_etag(HandlerObject *self, bool own)
{
    int st = tc_handler_method_in(self, 1u << TC_HTTP_GET | 1u << TC_HTTP_HEAD);
    if (st < 0) {
        return -1;
    }
    st = st > 0 ? finish_has_header(self, self->state->str_Etag) : 1;
    if (st != 0) {
        return st < 0 ? -1 : 0;
    }
    st = finish_ask_etag(self, own);
    if (st > 0) {
        tc_handler_empty_buffer(self);
        st = tc_handler_set_status(self, 304);
    }
    return st;
}

/* 1 if this status forbids a body, 0, -1. */
static int
finish_is_bodiless(HandlerObject *self, bool own)
{
    PyObject *status = Py_XNewRef(tc_handler_field(self, self->status_code, "_status_code"));
    if (status == NULL) {
        return -1;
    }
    int truth = -1;
    if (own || tc_handler_owns(self, TC_HOOK__should_not_send_content)) {
        int code;
        if (tc_http_status_code(status, &code) == 0) {
            truth = !tc_http_status_has_body(code);
        }
    }
    else {
        PyObject *result =
            PyObject_CallMethodOneArg((PyObject *)self, self->state->str__should_not_send_content, status);
        truth = result != NULL ? PyObject_IsTrue(result) : -1;
        Py_XDECREF(result);
    }
    Py_DECREF(status);
    return truth;
}

/* A length as text. Those of the last responses are kept. */
static PyObject *
finish_decimal(tc_state *state, size_t number)
{
    tc_decimal *known = &state->decimals[number % TC_ARRAY_LEN(state->decimals)];
    if (TC_LIKELY(known->text != NULL && known->number == number)) {
        return Py_NewRef(known->text);
    }
    char digits[24], *end = digits + sizeof(digits), *start = end;
    size_t left = number;
    do {
        *--start = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    PyObject *text = PyUnicode_New(end - start, 127);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), start, (size_t)(end - start));
        Py_XSETREF(known->text, Py_NewRef(text));
        known->number = number;
    }
    return text;
}

void
tc_decimals_forget(tc_state *state)
{
    for (size_t i = 0; i < TC_ARRAY_LEN(state->decimals); i++) {
        Py_CLEAR(state->decimals[i].text);
    }
}

/* sum(len(part) for part in self._write_buffer), or -1 */
static Py_ssize_t
finish_body_length(HandlerObject *self)
{
    PyObject *buffer = Py_XNewRef(tc_handler_buffer(self));
    Py_ssize_t length = buffer != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; length >= 0 && i < PyList_GET_SIZE(buffer); i++) {
        PyObject *part = PyList_GET_ITEM(buffer, i);
        if (TC_LIKELY(PyBytes_CheckExact(part))) {
            length += PyBytes_GET_SIZE(part);
            continue;
        }
        Py_INCREF(part);
        Py_ssize_t size = PyObject_Length(part);
        Py_DECREF(part);
        length = size >= 0 && size <= PY_SSIZE_T_MAX - length ? length + size : -1;
        if (size >= 0 && length < 0) {
            PyErr_SetString(PyExc_OverflowError, "the body is too long");
        }
    }
    Py_XDECREF(buffer);
    return length;
}

static int
finish_content_length(HandlerObject *self, bool own)
{
    tc_state *state = self->state;
    int st = finish_has_header(self, state->text_content_length);
    if (st != 0) {
        return st < 0 ? -1 : 0;
    }
    Py_ssize_t length = finish_body_length(self);
    if (length < 0) {
        return -1;
    }
    own = own || tc_handler_owns(self, TC_HOOK_set_header | TC_HOOK__convert_header_value);
    PyObject *number = own ? finish_decimal(state, (size_t)length) : PyLong_FromSsize_t(length);
    st = -1;
    if (number != NULL) {
        st = own ? finish_set_header(self, state->text_content_length, number)
                 : tc_handler_set_header(self, state->text_content_length, number);
    }
    Py_XDECREF(number);
    return st;
}

/* Completes the headers, while none have been sent. */
static int
finish_headers(HandlerObject *self)
{
    int code = 0;
    PyObject *status = Py_XNewRef(tc_handler_field(self, self->status_code, "_status_code"));
    if (status == NULL || tc_http_status_code(status, &code) < 0) {
        Py_XDECREF(status);
        return -1;
    }
    Py_DECREF(status);
    bool own = tc_handler_owns(self, FINISH_HEADERS);
    if (code == 200 && finish_etag(self, own) < 0) {
        return -1;
    }
    own = own && tc_handler_owns(self, FINISH_HEADERS); /* not if hashing ran Python */
    int bodiless = finish_is_bodiless(self, own);
    if (bodiless <= 0) {
        return bodiless < 0 ? -1 : finish_content_length(self, own);
    }
    PyObject *buffer = tc_handler_has_no_buffer(self) ? NULL : tc_handler_buffer(self);
    if (buffer == NULL && PyErr_Occurred()) {
        return -1;
    }
    if (buffer != NULL && PyList_GET_SIZE(buffer) > 0) {
        status = self->status_code != NULL ? self->status_code : Py_None;
        Py_INCREF(status);
        PyErr_Format(PyExc_RuntimeError, "Cannot send body with status code HTTP%S", status);
        Py_DECREF(status);
        return -1;
    }
    return tc_handler_call(self, self->state->str__clear_representation_headers);
}

static int
finish_clear_close_callback(HandlerObject *self)
{
    tc_state *state = self->state;
    HttpConnObject *native = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    if (TC_LIKELY(native != NULL)) {
        tc_http_conn_set_close_callback(native, NULL);
        Py_DECREF(native);
        return 0;
    }
    PyObject *conn = tc_handler_request_attr(self, state->str_connection);
    PyObject *result =
        conn != NULL ? PyObject_CallMethodOneArg(conn, state->str_set_close_callback, Py_None) : NULL;
    Py_XDECREF(conn);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Where the connection is ours, *future (if future is not NULL) becomes that of the response. */
static int
finish_connection(HandlerObject *self, PyObject **future)
{
    HttpConnObject *native = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    if (TC_LIKELY(native != NULL)) {
        int st = tc_http_conn_finish(native, future);
        Py_DECREF(native);
        return st;
    }
    PyObject *conn = tc_handler_request_attr(self, self->state->str_connection);
    PyObject *result = conn != NULL ? PyObject_CallMethodNoArgs(conn, self->state->str_finish) : NULL;
    Py_XDECREF(conn);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* The dict in which the logger caches isEnabledFor() by level, and which the logging package empties in
 * place; borrowed. NULL with an exception. */
static PyObject *
log_cache(tc_state *state, PyObject *logger)
{
    if (TC_UNLIKELY(state->access_log_cached != logger)) {
        PyObject *cache;
        if (PyObject_GetOptionalAttr(logger, state->str__cache, &cache) < 0) {
            return NULL;
        }
        Py_XSETREF(state->access_log_cache, cache != NULL ? cache : Py_NewRef(Py_None));
        Py_XSETREF(state->access_log_cached, Py_NewRef(logger));
    }
    return state->access_log_cache;
}

/* Would a line of this level reach a handler? Reads the logger's own cache first. 1, 0 or -1. */
static int
log_ask(tc_state *state, PyObject *logger, PyObject *cache, long level)
{
    PyObject *number = PyLong_FromLong(level), *cached = NULL;
    if (number == NULL) {
        return -1;
    }
    int found = PyDict_Check(cache) ? PyDict_GetItemRef(cache, number, &cached) : 0;
    if (found == 0) {
        cached = PyObject_CallMethodOneArg(logger, state->str_isEnabledFor, number);
    }
    Py_DECREF(number);
    int enabled = cached != NULL ? PyObject_IsTrue(cached) : -1;
    Py_XDECREF(cached);
    return enabled;
}

/* The same. What was found for good responses is remembered as long as the cache does not change. */
static int
log_is_enabled(tc_state *state, int status)
{
    PyObject *logger = tc_upcall(state, access_log);
    PyObject *cache = logger != NULL ? log_cache(state, logger) : NULL;
    if (cache == NULL) {
        return -1;
    }
    if (TC_UNLIKELY(status >= 400)) {
        return log_ask(state, logger, cache, status < 500 ? 30 : 40);
    }
    uint64_t version = PyDict_CheckExact(cache) ? tc_dict_version(cache) : 0;
    if (TC_LIKELY(version != 0 && version == state->log_version)) {
        return state->log_info;
    }
    int enabled = log_ask(state, logger, cache, 20);
    if (enabled >= 0 && state->access_log_cache == cache && version != 0 &&
        version == tc_dict_version(cache)) {
        state->log_version = version;
        state->log_info = enabled;
    }
    return enabled;
}

/* Does the application have a log_function? 1, 0 or -1. */
static int
finish_has_log_function(ApplicationObject *application)
{
    PyObject *settings = application->settings;
    if (settings == NULL) {
        return 0;
    }
    uint64_t version = PyDict_CheckExact(settings) ? tc_dict_version(settings) : 0;
    if (TC_LIKELY(version != 0 && version == application->unlogged_version)) {
        return 0;
    }
    Py_INCREF(settings);
    int found = PySequence_Contains(settings, application->base.state->str_log_function);
    Py_DECREF(settings);
    if (found == 0) {
        application->unlogged_version = version;
    }
    return found;
}

/* Would the application's log_request() do something? 1, 0 or -1. */
static int
finish_is_logged(HandlerObject *self, PyObject *application)
{
    tc_state *state = self->state;
    if (!PyObject_TypeCheck(application, state->application_type) ||
        !tc_hooks_own(state, application, TC_HOOK_log_request) ||
        !tc_handler_owns(self, TC_HOOK_get_status | TC_HOOK__request_summary)) {
        return 1;
    }
    int custom = finish_has_log_function((ApplicationObject *)application);
    if (custom != 0 || self->status_code == NULL || !PyLong_Check(self->status_code)) {
        return custom < 0 ? -1 : 1;
    }
    int code;
    (void)tc_http_status_code(self->status_code, &code); /* an int has one */
    return log_is_enabled(state, code);
}

/* application.log_request(self), unless that would do nothing. */
static int
finish_log(HandlerObject *self)
{
    PyObject *application = Py_XNewRef(tc_handler_field(self, self->application, "application"));
    if (application == NULL) {
        return -1;
    }
    int st = finish_is_logged(self, application);
    if (st > 0) {
        PyObject *result =
            PyObject_CallMethodOneArg(application, self->state->str_log_request, (PyObject *)self);
        st = result != NULL ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_DECREF(application);
    return st;
}

PyDoc_STRVAR(handler_log_doc, "_log($self)\n--\n\nHave the application log the request.");

static PyObject *
handler_log(HandlerObject *self, PyObject *unused)
{
    return finish_log(self) == 0 ? Py_NewRef(Py_None) : NULL;
}

static int
finish_break_cycles(HandlerObject *self)
{
    Py_XSETREF(self->ui, Py_NewRef(Py_None));
    return 0;
}

PyDoc_STRVAR(handler_break_cycles_doc, "_break_cycles($self)\n--\n\nDrop what refers back to the handler.");

static PyObject *
handler_break_cycles(HandlerObject *self, PyObject *unused)
{
    finish_break_cycles(self);
    Py_RETURN_NONE;
}

static PyObject *
finish_response(HandlerObject *self, PyObject *chunk, bool want)
{
    tc_state *state = self->state;
    if (TC_UNLIKELY(self->finished)) {
        PyErr_SetString(PyExc_RuntimeError, "finish() called twice");
        return NULL;
    }
    if (chunk != NULL && chunk != Py_None) {
        if (tc_handler_owns(self, TC_HOOK_write)) {
            if (tc_handler_write(self, chunk) < 0) {
                return NULL;
            }
        }
        else {
            PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, state->str_write, chunk);
            if (result == NULL) {
                return NULL;
            }
            Py_DECREF(result);
        }
    }
    if ((!self->headers_written && finish_headers(self) < 0) || finish_clear_close_callback(self) < 0) {
        return NULL;
    }
    bool own = tc_handler_owns(self, TC_HOOK_flush);
    PyObject *future = own ? tc_handler_flush_own(self, true, false) : tc_handler_flush(self, true, false);
    if (future == NULL || finish_connection(self, own && want ? &future : NULL) < 0 ||
        finish_hook(self, TC_HOOK__log, state->str__log, finish_log) < 0) {
        Py_XDECREF(future);
        return NULL;
    }
    self->finished = true;
    if (finish_hook(self, TC_HOOK_on_finish, state->str_on_finish, NULL) < 0 ||
        finish_hook(self, TC_HOOK__break_cycles, state->str__break_cycles, finish_break_cycles) < 0) {
        Py_CLEAR(future);
    }
    return future;
}

PyObject *
tc_handler_finish(HandlerObject *self, PyObject *chunk, bool want)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_finish))) {
        return finish_response(self, chunk, want);
    }
    return chunk == NULL ? PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_finish)
                         : PyObject_CallMethodOneArg((PyObject *)self, self->state->str_finish, chunk);
}

PyDoc_STRVAR(handler_finish_doc,
             "finish($self, chunk=None)\n--\n\n"
             "End the response, after write(chunk) if a chunk is given.\n\n"
             "Adds Etag and Content-Length if nothing was flushed before. Returns a Future that is done\n"
             "when everything is sent; it need not be awaited.");

static PyObject *
handler_finish(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_chunk}, *out[1];
    if (tc_args_parse("finish", args, nargs, kwnames, names, 1, 0, out) < 0) {
        return NULL;
    }
    return finish_response(self, out[0], true);
}

PyMethodDef tc_handler_finish_methods[] = {
    {"_break_cycles", (PyCFunction)handler_break_cycles, METH_NOARGS, handler_break_cycles_doc},
    {"_log", (PyCFunction)handler_log, METH_NOARGS, handler_log_doc},
    {"finish", TC_METHOD(handler_finish), handler_finish_doc},
    {NULL},
};
