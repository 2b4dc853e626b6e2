/* What a handler sends: write() collects, flush() hands on what was written, through the transforms, with the
 * headers in front of the first chunk.
 *
 * A native connection is written through the functions of http_conn.h, any other through its methods. Runs
 * Python for transforms, cookies, dicts to be sent as JSON, foreign connections and an overridden flush(). */
#include "web/handler.h"
#include "web/json.h"

#include "base/args.h"
#include "event/core.h"

/* ---- write ---- */

static void
write_raise_type(PyObject *chunk)
{
    PyErr_Format(PyExc_TypeError, "write() only accepts bytes, unicode, and dict objects%s",
                 PyList_Check(chunk)
                     ? ". Lists not accepted for security reasons; see "
                       "http://www.tornadoweb.org/en/stable/web.html#tornado.web.RequestHandler.write"
                     : "");
}

/* The bytes of a dict as JSON; sets the Content-Type. */
static PyObject *
write_json(HandlerObject *self, PyObject *dict)
{
    tc_state *state = self->state;
    PyObject *text = tc_json_encode(state, dict), *data = NULL;
    if (text != NULL && tc_handler_set_safe_header(self, state->text_content_type, state->text_json) == 0) {
        data = PyUnicode_Check(text) ? PyUnicode_AsUTF8String(text) : Py_NewRef(text);
    }
    Py_XDECREF(text);
    return data;
}

/* Takes the reference to `data`. */
static int
write_first(HandlerObject *self, PyObject *data)
{
    PyObject *buffer = PyList_New(1);
    if (buffer == NULL) {
        Py_DECREF(data);
        return -1;
    }
    PyList_SET_ITEM(buffer, 0, data);
    Py_XSETREF(self->write_buffer, buffer); /* the collector may have run Python */
    return 0;
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
    if (TC_LIKELY(data != NULL && tc_handler_has_no_buffer(self))) {
        return write_first(self, data);
    }
    PyObject *buffer = data != NULL ? tc_handler_buffer(self) : NULL;
    int st = buffer != NULL ? PyList_Append(buffer, data) : -1;
    Py_XDECREF(data);
    return st;
}

PyDoc_STRVAR(handler_write_doc,
             "write($self, chunk)\n--\n\n"
             "Add to the body of the response: bytes, str (sent as UTF-8) or a dict (sent as JSON).\n\n"
             "A dict sets the Content-Type as well. Lists are refused: JSON whose outermost value is a\n"
             "list can be read by other sites. Nothing is sent before flush() or finish().");

static PyObject *
handler_write(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_chunk}, *out[1];
    if (tc_args_parse("write", args, nargs, kwnames, names, 1, 1, out) < 0 ||
        tc_handler_write(self, out[0]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- flush ---- */

/* What was written, as one bytes object; empties the list. */
static PyObject *
output_take(HandlerObject *self)
{
    if (tc_handler_has_no_buffer(self)) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    PyObject *buffer = Py_XNewRef(tc_handler_buffer(self)), *chunk;
    if (buffer == NULL) {
        return NULL;
    }
    Py_ssize_t size = PyList_GET_SIZE(buffer);
    if (TC_LIKELY(size == 1 && PyBytes_CheckExact(PyList_GET_ITEM(buffer, 0)))) {
        chunk = PyList_GET_ITEM(buffer, 0);
        if (TC_LIKELY(Py_REFCNT(buffer) == 2)) { /* the handler's and ours */
            Py_SET_SIZE(buffer, 0);              /* the list's reference is the caller's now */
            Py_DECREF(buffer);
            return chunk;
        }
        Py_INCREF(chunk);
    }
    else {
        PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
        chunk = empty == NULL || size == 0 ? empty
                                           : PyObject_CallMethodOneArg(empty, self->state->str_join, buffer);
        if (chunk != empty) {
            Py_DECREF(empty);
        }
    }
    if (chunk != NULL && size > 0) {
        tc_handler_empty_buffer(self); /* others may hold the old one */
    }
    Py_DECREF(buffer);
    return chunk;
}

/* Passes the first chunk through one transform, which may change status and headers. Replaces *chunk. */
static int
output_transform_first(HandlerObject *self, PyObject *transform, PyObject **chunk, PyObject *footers)
{
    PyObject *args[5] = {transform, NULL, NULL, *chunk, footers};
    args[1] = Py_XNewRef(tc_handler_field(self, self->status_code, "_status_code"));
    args[2] = args[1] != NULL ? Py_XNewRef(tc_handler_field(self, self->headers, "_headers")) : NULL;
    PyObject *result = args[2] != NULL
                           ? PyObject_VectorcallMethod(self->state->str_transform_first_chunk, args, 5, NULL)
                           : NULL;
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
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

/* Makes bytes of what the last transform returned. */
static int
output_check_chunk(PyObject **chunk, bool first)
{
    if (!PyBytes_Check(*chunk)) {
        int empty = first ? PyObject_Not(*chunk) : 0; /* with a head, None and the like mean no body */
        Py_SETREF(*chunk, empty < 0   ? NULL
                          : empty > 0 ? PyBytes_FromStringAndSize(NULL, 0)
                                      : tc_http_chunk(*chunk, false));
    }
    return *chunk != NULL ? 0 : -1;
}

/* Passes a chunk through the transforms. If one fails, the error page is sent without them. */
static int
output_transform(HandlerObject *self, PyObject **chunk, bool first, PyObject *footers)
{
    if (self->transforms == NULL ||
        (PyList_Check(self->transforms) && PyList_GET_SIZE(self->transforms) == 0)) {
        return 0;
    }
    PyObject *given = Py_NewRef(self->transforms);
    PyObject *transforms = PySequence_Tuple(given);
    Py_DECREF(given);
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
    if (st < 0 || output_check_chunk(chunk, first) < 0) {
        PyObject *exc = PyErr_GetRaisedException();
        Py_XSETREF(self->transforms, PyList_New(0));
        PyErr_SetRaisedException(exc);
        return -1;
    }
    return 0;
}

/* Adds a Set-Cookie header for each cookie that was set. */
static int
output_add_cookies(HandlerObject *self)
{
    if (TC_LIKELY(self->new_cookie == NULL)) {
        return 0;
    }
    PyObject *result = tc_web_call(self->state, add_cookie_headers, (PyObject *)self);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* After a write to a native connection: flushes and returns the Future of the write; None unless wanted. */
static PyObject *
output_written(HttpConnObject *conn, bool want)
{
    if (!want) {
        Py_RETURN_NONE;
    }
    return tc_http_conn_flush(conn, false) < 0 ? NULL : tc_http_conn_written(conn);
}

/* A Future that is done, of the handler's loop. */
static PyObject *
output_done_future(HandlerObject *self)
{
    HttpConnObject *conn = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    if (conn != NULL) {
        PyObject *future = output_written(conn, true);
        Py_DECREF(conn);
        return future;
    }
    PyObject *make = tc_upcall(self->state, done_future);
    return make != NULL ? PyObject_CallNoArgs(make) : NULL;
}

/* Sends the head and the first chunk. *sent stays false if the head cannot be sent at all. */
static PyObject *
output_send_head(HandlerObject *self, PyObject *status, PyObject *reason, PyObject *headers, PyObject *chunk,
                 bool want, bool *sent)
{
    tc_state *state = self->state;
    HttpConnObject *native = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    PyObject *result = NULL;
    if (TC_LIKELY(native != NULL)) {
        int st = tc_http_conn_write_head(native, status, reason, headers, chunk);
        *sent = st != TC_HEAD_BAD;
        if (st == 0) {
            result = output_written(native, want);
        }
        Py_DECREF(native);
        return result;
    }
    PyObject *line_type = tc_face(state, ResponseStartLine);
    PyObject *line = line_type != NULL ? PyObject_CallFunction(line_type, "sOO", "", status, reason) : NULL;
    PyObject *conn = line != NULL ? tc_handler_request_attr(self, state->str_connection) : NULL;
    if (conn != NULL) {
        PyObject *args[4] = {conn, line, headers, chunk};
        *sent = true;
        result = PyObject_VectorcallMethod(state->str_write_headers, args, 4, NULL);
    }
    Py_XDECREF(line);
    Py_XDECREF(conn);
    return result;
}

static PyObject *
output_write_head(HandlerObject *self, PyObject *chunk, bool want, bool *sent)
{
    if (tc_handler_field(self, self->status_code, "_status_code") == NULL ||
        tc_handler_field(self, self->reason, "_reason") == NULL ||
        tc_handler_field(self, self->headers, "_headers") == NULL) {
        return NULL;
    }
    PyObject *status = Py_NewRef(self->status_code), *reason = Py_NewRef(self->reason),
             *headers = Py_NewRef(self->headers);
    PyObject *result = output_send_head(self, status, reason, headers, chunk, want, sent);
    Py_DECREF(status);
    Py_DECREF(reason);
    Py_DECREF(headers);
    return result;
}

static PyObject *
output_write_chunk(HandlerObject *self, PyObject *chunk, bool want)
{
    HttpConnObject *native = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    if (TC_LIKELY(native != NULL)) {
        PyObject *result = NULL;
        if (tc_http_conn_write_chunk(native, chunk) == 0) {
            result = output_written(native, want);
        }
        Py_DECREF(native);
        return result;
    }
    PyObject *conn = tc_handler_request_attr(self, self->state->str_connection);
    PyObject *result = conn != NULL ? PyObject_CallMethodOneArg(conn, self->state->str_write, chunk) : NULL;
    Py_XDECREF(conn);
    return result;
}

PyObject *
tc_handler_flush_own(HandlerObject *self, bool footers, bool want)
{
    PyObject *footers_obj = footers ? Py_True : Py_False, *result = NULL;
    bool first = !self->headers_written, sent = false;
    PyObject *chunk = output_take(self);
    if (chunk == NULL) {
        return NULL;
    }
    self->headers_written = true;
    int head = output_transform(self, &chunk, first, footers_obj) == 0
                   ? tc_handler_method_in(self, 1u << TC_HTTP_HEAD)
                   : -1;
    if (head > 0 && first) {
        Py_SETREF(chunk, PyBytes_FromStringAndSize(NULL, 0));
    }
    if (head >= 0 && chunk != NULL) {
        if (first) {
            result = output_add_cookies(self) == 0 ? output_write_head(self, chunk, want, &sent) : NULL;
        }
        else {
            result = head ? output_done_future(self) : output_write_chunk(self, chunk, want);
        }
    }
    if (TC_UNLIKELY(result == NULL && first && !sent)) {
        self->headers_written = false; /* there can still be an error page */
    }
    Py_XDECREF(chunk);
    return result;
}

PyDoc_STRVAR(handler_flush_output_doc, "_flush_output($self, include_footers, /)\n--\n\nWhat flush() does.");

static PyObject *
handler_flush_output(HandlerObject *self, PyObject *footers)
{
    int truth = PyObject_IsTrue(footers);
    return truth < 0 ? NULL : tc_handler_flush_own(self, truth, true);
}

/* ---- files ---- */

/* Writes a range of a file behind what was flushed. */
static PyObject *
output_write_file(HandlerObject *self, PyObject *file, size_t offset, size_t size)
{
    int fd = PyObject_AsFileDescriptor(file);
    if (fd < 0) {
        return NULL;
    }
    /* What has run since may have replaced the request. */
    HttpConnObject *native = (HttpConnObject *)Py_XNewRef((PyObject *)tc_handler_conn(self));
    PyObject *result = NULL;
    if (native == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the connection was replaced while a file was sent");
    }
    else if (tc_http_conn_write_file(native, file, fd, offset, size) == 0) {
        result = tc_http_conn_written(native);
        LoopCore *core = tc_http_conn_core(native);
        if (result != NULL && core != NULL && result == core->done_future) {
            Py_SETREF(result, Py_NewRef(Py_True));
        }
    }
    Py_XDECREF(native);
    return result;
}

/* Sends the head, if it is not sent yet, then a range of a file. In a packet of its own: a range that joins it
 * there costs the kernel more than that. */
static PyObject *
output_file(HandlerObject *self, PyObject *file, size_t offset, size_t size)
{
    int head = tc_handler_method_in(self, 1u << TC_HTTP_HEAD);
    PyObject *flushed = head >= 0 ? tc_handler_flush_own(self, false, head > 0) : NULL;
    if (flushed == NULL || head > 0) {
        return flushed;
    }
    Py_DECREF(flushed);
    return output_write_file(self, file, offset, size);
}

PyObject *
tc_handler_flush_file(HandlerObject *self, PyObject *file, size_t offset, size_t size)
{
    if (self->finished) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot write() after finish()");
        return NULL;
    }
    if (tc_handler_conn(self) == NULL || !tc_handler_owns(self, TC_HOOK_write | TC_HOOK_flush)) {
        Py_RETURN_NONE;
    }
    return output_file(self, file, offset, size);
}

PyDoc_STRVAR(
    handler_flush_file_doc,
    "_flush_file($self, file, offset, count, /)\n--\n\n"
    "Write a range of a file and send it, after what was written before. Not through the transforms.\n\n"
    "Returns True if all is sent, else a Future as flush() does; None where files must be written by "
    "write()\n"
    "and flush().");

static PyObject *
handler_flush_file(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_flush_file", nargs, 3, 3) < 0) {
        return NULL;
    }
    Py_ssize_t offset = PyLong_AsSsize_t(args[1]), size = PyErr_Occurred() ? -1 : PyLong_AsSsize_t(args[2]);
    if (offset < 0 || size < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "offset and count must not be negative");
        }
        return NULL;
    }
    return tc_handler_flush_file(self, args[0], (size_t)offset, (size_t)size);
}

PyObject *
tc_handler_flush(HandlerObject *self, bool footers, bool want)
{
    tc_state *state = self->state;
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_flush))) {
        return tc_handler_flush_own(self, footers, want);
    }
    PyObject *args[2] = {(PyObject *)self, footers ? Py_True : Py_False};
    return PyObject_VectorcallMethod(state->str_flush, args, 1, state->kw_include_footers);
}

PyMethodDef tc_handler_output_methods[] = {
    {"_flush_file", TC_FASTCALL(handler_flush_file), handler_flush_file_doc},
    {"_flush_output", (PyCFunction)handler_flush_output, METH_O, handler_flush_output_doc},
    {"write", TC_METHOD(handler_write), handler_write_doc},
    {NULL},
};
