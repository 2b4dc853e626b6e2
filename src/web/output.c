/* What a handler sends: write() collects, flush() hands on, finish() ends the answer with Etag and Content-Length.
 *
 * A native connection is written through the functions of http_conn.h, any other through its methods. The hooks that
 * finish() goes through (set_etag_header, compute_etag, check_etag_header, flush, _log, on_finish, ...) run Python where they are
 * overridden. */
#include "web/handler.h"

#include "base/args.h"

/* -- write ---------------------------------------------------------------------------------------------- */

static void
write_raise_type(PyObject *chunk)
{
    PyErr_Format(PyExc_TypeError, "write() only accepts bytes, unicode, and dict objects%s",
                 PyList_Check(chunk) ? ". Lists not accepted for security reasons; see "
                                       "http://www.tornadoweb.org/en/stable/web.html#tornado.web.RequestHandler.write"
                                     : "");
}

/* The bytes of a dict as JSON; sets the Content-Type. */
static PyObject *
write_json(HandlerObject *self, PyObject *dict)
{
    tc_state *state = self->state;
    PyObject *encode = tc_face(state, json_encode, "tornado_c.web");
    PyObject *text = encode != NULL ? PyObject_CallOneArg(encode, dict) : NULL, *data = NULL;
    if (text != NULL && tc_handler_set_header(self, state->text_content_type, state->text_json) == 0) {
        data = PyUnicode_Check(text) ? PyUnicode_AsUTF8String(text) : Py_NewRef(text);
    }
    Py_XDECREF(text);
    return data;
}

int
tc_handler_write(HandlerObject *self, PyObject *chunk)
{
    PyObject *data;
    if (TC_UNLIKELY(self->finished)) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot write() after finish()");
        return -1;
    }
    if (PyUnicode_Check(chunk)) {
        data = PyUnicode_AsUTF8String(chunk);
    }
    else if (PyBytes_Check(chunk)) {
        data = Py_NewRef(chunk);
    }
    else if (PyDict_Check(chunk)) {
        data = write_json(self, chunk);
    }
    else {
        write_raise_type(chunk);
        return -1;
    }
    int st = -1;
    if (data != NULL && tc_handler_field(self, self->write_buffer, "_write_buffer") != NULL) {
        st = PyList_Append(self->write_buffer, data);
    }
    Py_XDECREF(data);
    return st;
}

PyDoc_STRVAR(handler_write_doc, "write($self, chunk)\n--\n\n"
                                "Add to the body of the answer: bytes, str (sent as UTF-8) or a dict (sent as JSON).\n\n"
                                "A dict sets the Content-Type as well. Lists are refused: JSON whose outermost value is a\n"
                                "list can be read by other sites. Nothing is sent before flush() or finish().");

static PyObject *
handler_write(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_chunk}, *out[1];
    if (tc_args_parse("write", args, nargs, kwnames, names, 1, 1, out) < 0 || tc_handler_write(self, out[0]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- flush ---------------------------------------------------------------------------------------------- */

/* What was written, as one bytes object; the list starts anew. */
static PyObject *
output_take(HandlerObject *self)
{
    PyObject *buffer = tc_handler_field(self, self->write_buffer, "_write_buffer"), *chunk;
    if (buffer == NULL) {
        return NULL;
    }
    Py_ssize_t size = PyList_GET_SIZE(buffer);
    if (size == 1 && PyBytes_CheckExact(PyList_GET_ITEM(buffer, 0))) {
        chunk = Py_NewRef(PyList_GET_ITEM(buffer, 0));
    }
    else {
        PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
        chunk = empty == NULL || size == 0 ? empty : PyObject_CallMethodOneArg(empty, self->state->str_join, buffer);
        if (chunk != empty) {
            Py_DECREF(empty);
        }
    }
    if (chunk == NULL || size == 0) {
        return chunk;
    }
    PyObject *fresh = PyList_New(0); /* the old one may be in somebody's hands */
    if (fresh == NULL) {
        Py_DECREF(chunk);
        return NULL;
    }
    Py_XSETREF(self->write_buffer, fresh);
    return chunk;
}

/* Passes the first chunk through one transform, which may change status and headers. Replaces *chunk. */
static int
output_transform_first(HandlerObject *self, PyObject *transform, PyObject **chunk, PyObject *footers)
{
    PyObject *args[5] = {transform, self->status_code, self->headers, *chunk, footers};
    PyObject *result = PyObject_VectorcallMethod(self->state->str_transform_first_chunk, args, 5, NULL);
    PyObject *parts = result != NULL ? PySequence_Tuple(result) : NULL;
    Py_XDECREF(result);
    if (parts == NULL) {
        return -1;
    }
    if (PyTuple_GET_SIZE(parts) != 3) {
        PyErr_SetString(PyExc_ValueError, "transform_first_chunk() must return status, headers and chunk");
        Py_DECREF(parts);
        return -1;
    }
    Py_XSETREF(self->status_code, Py_NewRef(PyTuple_GET_ITEM(parts, 0)));
    Py_XSETREF(self->headers, Py_NewRef(PyTuple_GET_ITEM(parts, 1)));
    Py_XSETREF(*chunk, Py_NewRef(PyTuple_GET_ITEM(parts, 2)));
    Py_DECREF(parts);
    return 0;
}

static int
output_transform(HandlerObject *self, PyObject **chunk, bool first, PyObject *footers)
{
    if (self->transforms == NULL || (PyList_Check(self->transforms) && PyList_GET_SIZE(self->transforms) == 0)) {
        return 0;
    }
    PyObject *transforms = PySequence_Tuple(self->transforms);
    int st = transforms != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyTuple_GET_SIZE(transforms); i++) {
        PyObject *transform = PyTuple_GET_ITEM(transforms, i);
        if (first) {
            st = output_transform_first(self, transform, chunk, footers);
        }
        else {
            PyObject *args[3] = {transform, *chunk, footers};
            PyObject *result = PyObject_VectorcallMethod(self->state->str_transform_chunk, args, 3, NULL);
            st = result != NULL ? 0 : -1;
            if (result != NULL) {
                Py_SETREF(*chunk, result);
            }
        }
    }
    Py_XDECREF(transforms);
    return st;
}

/* Adds a Set-Cookie header for each cookie that was set. */
static int
output_add_cookies(HandlerObject *self)
{
    if (TC_LIKELY(self->new_cookie == NULL)) {
        return 0;
    }
    PyObject *add = tc_face(self->state, add_cookie_headers, "tornado_c.web");
    PyObject *result = add != NULL ? PyObject_CallOneArg(add, (PyObject *)self) : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* A Future that is done, of the handler's loop. */
static PyObject *
output_done_future(HandlerObject *self)
{
    HttpConnObject *conn = tc_handler_conn(self);
    if (conn != NULL) {
        return tc_http_conn_written(conn, false);
    }
    PyObject *make = tc_face(self->state, done_future, "tornado_c.web");
    return make != NULL ? PyObject_CallNoArgs(make) : NULL;
}

static PyObject *
output_write_head(HandlerObject *self, PyObject *chunk, bool want)
{
    tc_state *state = self->state;
    HttpConnObject *native = tc_handler_conn(self);
    if (TC_LIKELY(native != NULL && self->status_code != NULL && PyLong_Check(self->status_code))) {
        long status = PyLong_AsLong(self->status_code);
        if ((status == -1 && PyErr_Occurred()) ||
            tc_http_conn_write_head(native, (int)status, self->reason, self->headers, chunk) < 0) {
            return NULL;
        }
        return want ? tc_http_conn_written(native, false) : Py_NewRef(Py_None);
    }
    PyObject *line_type = tc_face(state, ResponseStartLine, "tornado_c.web");
    PyObject *line = line_type != NULL ? PyObject_CallFunction(line_type, "sOO", "", self->status_code, self->reason) : NULL;
    PyObject *conn = line != NULL ? tc_handler_request_attr(self, state->str_connection) : NULL, *result = NULL;
    if (conn != NULL) {
        PyObject *args[4] = {conn, line, self->headers, chunk};
        result = PyObject_VectorcallMethod(state->str_write_headers, args, 4, NULL);
    }
    Py_XDECREF(line);
    Py_XDECREF(conn);
    return result;
}

static PyObject *
output_write_chunk(HandlerObject *self, PyObject *chunk, bool want)
{
    HttpConnObject *native = tc_handler_conn(self);
    if (TC_LIKELY(native != NULL && PyBytes_Check(chunk))) {
        if (tc_http_conn_write_chunk(native, chunk) < 0) {
            return NULL;
        }
        return want ? tc_http_conn_written(native, false) : Py_NewRef(Py_None);
    }
    PyObject *conn = tc_handler_request_attr(self, self->state->str_connection);
    PyObject *result = conn != NULL ? PyObject_CallMethodOneArg(conn, self->state->str_write, chunk) : NULL;
    Py_XDECREF(conn);
    return result;
}

/* 1 if the request's method is HEAD, 0 if not, -1. */
static int
output_is_head(HandlerObject *self)
{
    PyObject *method = tc_handler_method(self);
    int head = method == NULL                       ? -1
               : method == self->state->str_HEAD   ? 1
               : method == self->state->str_GET    ? 0
               : PyUnicode_Check(method)           ? PyUnicode_CompareWithASCIIString(method, "HEAD") == 0
                                                    : 0;
    Py_XDECREF(method);
    return head;
}

static PyObject *
output_flush(HandlerObject *self, bool footers, bool want)
{
    PyObject *footers_obj = footers ? Py_True : Py_False, *result = NULL;
    bool first = !self->headers_written;
    PyObject *chunk = output_take(self);
    if (chunk == NULL) {
        return NULL;
    }
    self->headers_written = true;
    int head = output_transform(self, &chunk, first, footers_obj) == 0 ? output_is_head(self) : -1;
    if (head > 0 && first) {
        Py_SETREF(chunk, PyBytes_FromStringAndSize(NULL, 0));
    }
    if (head >= 0 && chunk != NULL) {
        if (first) {
            result = output_add_cookies(self) == 0 ? output_write_head(self, chunk, want) : NULL;
        }
        else {
            result = head ? output_done_future(self) : output_write_chunk(self, chunk, want);
        }
    }
    Py_XDECREF(chunk);
    return result;
}

PyDoc_STRVAR(handler_flush_output_doc, "_flush_output($self, include_footers, /)\n--\n\nWhat flush() does.");

static PyObject *
handler_flush_output(HandlerObject *self, PyObject *footers)
{
    int truth = PyObject_IsTrue(footers);
    return truth < 0 ? NULL : output_flush(self, truth, true);
}

/* As the method flush(). */
static PyObject *
handler_flush(HandlerObject *self, bool footers, bool want)
{
    tc_state *state = self->state;
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_flush))) {
        return output_flush(self, footers, want);
    }
    PyObject *args[2] = {(PyObject *)self, footers ? Py_True : Py_False};
    return PyObject_VectorcallMethod(state->str_flush, args, 1, state->kw_include_footers);
}

/* -- Etag ----------------------------------------------------------------------------------------------- */

/* hashlib.sha1 over the pieces. */
static PyObject *
etag_compute(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *buffer = tc_handler_field(self, self->write_buffer, "_write_buffer");
    if (buffer == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(buffer);
    PyObject *hash = count > 0 ? PyObject_CallOneArg(state->hashlib_sha1, PyList_GET_ITEM(buffer, 0))
                               : PyObject_CallNoArgs(state->hashlib_sha1);
    for (Py_ssize_t i = 1; hash != NULL && i < PyList_GET_SIZE(buffer); i++) {
        PyObject *done = PyObject_CallMethodOneArg(hash, state->str_update, PyList_GET_ITEM(buffer, i));
        if (done == NULL) {
            Py_CLEAR(hash);
        }
        Py_XDECREF(done);
    }
    PyObject *hex = hash != NULL ? PyObject_CallMethodNoArgs(hash, state->str_hexdigest) : NULL;
    PyObject *etag = hex != NULL ? PyUnicode_FromFormat("\"%U\"", hex) : NULL;
    Py_XDECREF(hash);
    Py_XDECREF(hex);
    return etag;
}

PyDoc_STRVAR(handler_compute_etag_doc, "compute_etag($self)\n--\n\n"
                                       "The Etag of what was written: its SHA-1, in quotes.\n\n"
                                       "May be overridden; None sends no Etag.");

static PyObject *
handler_compute_etag(HandlerObject *self, PyObject *unused)
{
    return etag_compute(self);
}

static int
etag_set(HandlerObject *self)
{
    tc_state *state = self->state;
    int st = -1;
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_compute_etag))) {
        PyObject *own = etag_compute(self);
        st = own != NULL ? tc_handler_set_safe_header(self, state->str_Etag, own) : -1;
        Py_XDECREF(own);
        return st;
    }
    PyObject *etag = PyObject_CallMethodNoArgs((PyObject *)self, state->str_compute_etag);
    if (etag != NULL) {
        st = etag == Py_None ? 0 : tc_handler_set_header(self, state->str_Etag, etag);
    }
    Py_XDECREF(etag);
    return st;
}

PyDoc_STRVAR(handler_set_etag_header_doc, "set_etag_header($self)\n--\n\n"
                                          "Set the Etag header to what compute_etag() returns, unless that is None.");

static PyObject *
handler_set_etag_header(HandlerObject *self, PyObject *unused)
{
    return etag_set(self) == 0 ? Py_NewRef(Py_None) : NULL;
}

/* Could the request have an If-None-Match? Looks at the parsed head as long as nobody has asked for the headers. */
static bool
etag_may_be_asked(HandlerObject *self)
{
    if (self->request == NULL || !tc_request_check(self->state, self->request)) {
        return true;
    }
    RequestObject *request = (RequestObject *)self->request;
    return request->head == NULL || request->headers != NULL || (request->info.flags & TC_HTTP_HAS_IF_NONE_MATCH) != 0;
}

/* 1 if If-None-Match names the answer's Etag, 0, or -1. */
static int
etag_check(HandlerObject *self)
{
    if (TC_LIKELY(!etag_may_be_asked(self))) {
        return 0;
    }
    PyObject *check = tc_face(self->state, check_etag, "tornado_c.web");
    PyObject *result = check != NULL ? PyObject_CallOneArg(check, (PyObject *)self) : NULL;
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

PyDoc_STRVAR(handler_check_etag_header_doc, "check_etag_header($self)\n--\n\n"
                                            "Whether the client has this Etag already, so that 304 is the answer.");

static PyObject *
handler_check_etag_header(HandlerObject *self, PyObject *unused)
{
    int match = etag_check(self);
    return match < 0 ? NULL : PyBool_FromLong(match);
}

/* The truth of a method's result, or of `own` if the method is ours. */
static int
output_ask(HandlerObject *self, enum tc_hook hook, PyObject *name, int (*own)(HandlerObject *))
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
output_call(HandlerObject *self, enum tc_hook hook, PyObject *name, int (*own)(HandlerObject *))
{
    if (TC_LIKELY(tc_handler_owns(self, hook))) {
        return own != NULL ? own(self) : 0;
    }
    return tc_handler_call(self, name);
}

/* -- finish --------------------------------------------------------------------------------------------- */

/* Sets the Etag of an answer to GET or HEAD, and makes it a 304 where the client has it. */
static int
finish_etag(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *method = tc_handler_method(self);
    if (method == NULL) {
        return -1;
    }
    bool reads = method == state->str_GET || method == state->str_HEAD ||
                 (PyUnicode_Check(method) && (PyUnicode_CompareWithASCIIString(method, "GET") == 0 ||
                                              PyUnicode_CompareWithASCIIString(method, "HEAD") == 0));
    Py_DECREF(method);
    int st = reads ? tc_headers_contains(self->headers, state->str_Etag) : 1;
    if (st != 0) {
        return st < 0 ? -1 : 0;
    }
    st = output_call(self, TC_HOOK_set_etag_header, state->str_set_etag_header, etag_set);
    st = st == 0 ? output_ask(self, TC_HOOK_check_etag_header, state->str_check_etag_header, etag_check) : -1;
    if (st > 0) {
        PyObject *empty = PyList_New(0);
        if (empty == NULL) {
            return -1;
        }
        Py_XSETREF(self->write_buffer, empty);
        st = tc_handler_set_status(self, 304);
    }
    return st;
}

/* 1 if this status forbids a body, 0, -1. */
static int
finish_is_bodiless(HandlerObject *self)
{
    PyObject *status = self->status_code;
    if (tc_handler_owns(self, TC_HOOK__should_not_send_content) && PyLong_Check(status)) {
        long code = PyLong_AsLong(status);
        return code == -1 && PyErr_Occurred() ? -1 : !tc_handler_may_have_body((int)code);
    }
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, self->state->str__should_not_send_content, status);
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

static int
finish_content_length(HandlerObject *self)
{
    tc_state *state = self->state;
    int st = tc_headers_contains(self->headers, state->text_content_length);
    if (st != 0) {
        return st < 0 ? -1 : 0;
    }
    Py_ssize_t length = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->write_buffer); i++) {
        PyObject *part = PyList_GET_ITEM(self->write_buffer, i);
        Py_ssize_t size = TC_LIKELY(PyBytes_CheckExact(part)) ? PyBytes_GET_SIZE(part) : PyObject_Length(part);
        if (size < 0) {
            return -1;
        }
        length += size;
    }
    bool own = tc_handler_owns(self, TC_HOOK_set_header | TC_HOOK__convert_header_value);
    PyObject *number = own ? PyUnicode_FromFormat("%zd", length) : PyLong_FromSsize_t(length);
    st = -1;
    if (number != NULL) {
        st = own ? tc_handler_set_safe_header(self, state->text_content_length, number)
                 : tc_handler_set_header(self, state->text_content_length, number);
    }
    Py_XDECREF(number);
    return st;
}

/* What the headers still lack while none are sent. */
static int
finish_headers(HandlerObject *self)
{
    if (tc_handler_field(self, self->status_code, "_status_code") == NULL ||
        tc_handler_field(self, self->headers, "_headers") == NULL ||
        tc_handler_field(self, self->write_buffer, "_write_buffer") == NULL) {
        return -1;
    }
    if (PyLong_Check(self->status_code) && PyLong_AsLong(self->status_code) == 200 && finish_etag(self) < 0) {
        return -1;
    }
    int bodiless = finish_is_bodiless(self);
    if (bodiless <= 0) {
        return bodiless < 0 ? -1 : finish_content_length(self);
    }
    if (PyList_GET_SIZE(self->write_buffer) > 0) {
        PyErr_Format(PyExc_RuntimeError, "Cannot send body with status code HTTP%S", self->status_code);
        return -1;
    }
    return tc_handler_call(self, self->state->str__clear_representation_headers);
}

static int
finish_clear_close_callback(HandlerObject *self)
{
    tc_state *state = self->state;
    HttpConnObject *native = tc_handler_conn(self);
    if (TC_LIKELY(native != NULL)) {
        tc_http_conn_set_close_callback(native, NULL);
        return 0;
    }
    PyObject *conn = tc_handler_request_attr(self, state->str_connection);
    PyObject *result = conn != NULL ? PyObject_CallMethodOneArg(conn, state->str_set_close_callback, Py_None) : NULL;
    Py_XDECREF(conn);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static int
finish_connection(HandlerObject *self)
{
    HttpConnObject *native = tc_handler_conn(self);
    if (TC_LIKELY(native != NULL)) {
        return tc_http_conn_finish(native);
    }
    PyObject *conn = tc_handler_request_attr(self, self->state->str_connection);
    PyObject *result = conn != NULL ? PyObject_CallMethodNoArgs(conn, self->state->str_finish) : NULL;
    Py_XDECREF(conn);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Would a line of this level reach a handler? Reads the logger's own cache of the answer. 1, 0, -1. */
static int
log_is_enabled(tc_state *state, long level)
{
    PyObject *logger = tc_face(state, access_log, "tornado_c.web"), *cache, *number, *cached = NULL;
    if (logger == NULL || (number = PyLong_FromLong(level)) == NULL) {
        return -1;
    }
    int found = PyObject_GetOptionalAttr(logger, state->str__cache, &cache);
    if (found > 0) {
        found = PyDict_Check(cache) ? PyDict_GetItemRef(cache, number, &cached) : 0;
        Py_DECREF(cache);
    }
    if (found == 0) {
        cached = PyObject_CallMethodOneArg(logger, state->str_isEnabledFor, number);
    }
    Py_DECREF(number);
    int enabled = cached != NULL ? PyObject_IsTrue(cached) : -1;
    Py_XDECREF(cached);
    return enabled;
}

/* application.log_request(self), unless that would do nothing. */
static int
finish_log(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *application = tc_handler_field(self, self->application, "application");
    if (application == NULL) {
        return -1;
    }
    if (PyObject_TypeCheck(application, state->application_type) &&
        tc_hooks_has(state, application, TC_HOOK_log_request, state->str_log_request)) {
        PyObject *settings = PyObject_GetAttr(application, state->str_settings);
        int custom = settings != NULL ? PySequence_Contains(settings, state->str_log_function) : -1;
        Py_XDECREF(settings);
        if (custom == 0 && PyLong_Check(self->status_code)) {
            long status = PyLong_AsLong(self->status_code);
            custom = log_is_enabled(state, status < 400 ? 20 : status < 500 ? 30 : 40);
        }
        if (custom <= 0) {
            return custom;
        }
    }
    PyObject *result = PyObject_CallMethodOneArg(application, state->str_log_request, (PyObject *)self);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
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
finish_answer(HandlerObject *self, PyObject *chunk, bool want)
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
    PyObject *future = handler_flush(self, true, want);
    if (future == NULL || finish_connection(self) < 0 ||
        output_call(self, TC_HOOK__log, state->str__log, finish_log) < 0) {
        Py_XDECREF(future);
        return NULL;
    }
    self->finished = true;
    if (output_call(self, TC_HOOK_on_finish, state->str_on_finish, NULL) < 0 ||
        output_call(self, TC_HOOK__break_cycles, state->str__break_cycles, finish_break_cycles) < 0) {
        Py_CLEAR(future);
    }
    return future;
}

PyObject *
tc_handler_finish(HandlerObject *self, PyObject *chunk, bool want)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_finish))) {
        return finish_answer(self, chunk, want);
    }
    return chunk == NULL ? PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_finish)
                         : PyObject_CallMethodOneArg((PyObject *)self, self->state->str_finish, chunk);
}

PyDoc_STRVAR(handler_finish_doc, "finish($self, chunk=None)\n--\n\n"
                                 "End the answer, after write(chunk) if a chunk is given.\n\n"
                                 "Adds Etag and Content-Length if nothing was flushed before. Returns a Future that is done\n"
                                 "when everything is sent; it need not be awaited.");

static PyObject *
handler_finish(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_chunk}, *out[1];
    if (tc_args_parse("finish", args, nargs, kwnames, names, 1, 0, out) < 0) {
        return NULL;
    }
    return finish_answer(self, out[0], true);
}

#define TC_METHOD(function) (PyCFunction)(void (*)(void))function

PyMethodDef tc_handler_output_methods[] = {
    {"_break_cycles", (PyCFunction)handler_break_cycles, METH_NOARGS, handler_break_cycles_doc},
    {"_flush_output", (PyCFunction)handler_flush_output, METH_O, handler_flush_output_doc},
    {"_log", (PyCFunction)handler_log, METH_NOARGS, handler_log_doc},
    {"check_etag_header", (PyCFunction)handler_check_etag_header, METH_NOARGS, handler_check_etag_header_doc},
    {"compute_etag", (PyCFunction)handler_compute_etag, METH_NOARGS, handler_compute_etag_doc},
    {"finish", TC_METHOD(handler_finish), METH_FASTCALL | METH_KEYWORDS, handler_finish_doc},
    {"set_etag_header", (PyCFunction)handler_set_etag_header, METH_NOARGS, handler_set_etag_header_doc},
    {"write", TC_METHOD(handler_write), METH_FASTCALL | METH_KEYWORDS, handler_write_doc},
    {NULL},
};
