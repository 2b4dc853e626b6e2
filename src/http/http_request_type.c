/* RequestBase, the native half of HTTPServerRequest: its methods, its life, the type. Its attributes are in
 * http_request_fields.c. */
#include "http/http_conn_parts.h"
#include "http/http_lines.h"
#include "http/http_request_parts.h"

#include "base/args.h"
#include "base/clock.h"

#include <strings.h>

/* ---- methods ---- */

/* The connection, borrowed, if it is one of ours with its own write methods, and this its current request. */
static inline HttpConnObject *
request_current_conn(const RequestObject *self)
{
    HttpConnObject *conn = (HttpConnObject *)self->connection;
    if (TC_LIKELY(conn != NULL && (PyObject *)Py_TYPE(conn) == self->state->face_HTTPConnection) &&
        conn->request == (PyObject *)self && tc_http_conn_is_plain(conn)) {
        return conn;
    }
    return NULL;
}

/* For any other connection: *conn as above, or NULL if its methods must be called. An application that kept a
 * finished request must not write into the response to the next. 0, or -1 with an exception. */
static int
request_check_connection(RequestObject *self, HttpConnObject **conn)
{
    *conn = NULL;
    if (self->connection == NULL || self->connection == Py_None) {
        PyErr_SetString(PyExc_RuntimeError, "the request has no connection");
        return -1;
    }
    HttpConnObject *ours = tc_http_conn_of(self->state, self->connection);
    if (self->head != NULL && ours != NULL && !tc_http_conn_is_current(ours, (PyObject *)self)) {
        PyErr_SetString(PyExc_AssertionError, "Request closed");
        return -1;
    }
    if (tc_http_conn_check(self->state, self->connection)) {
        *conn = ours;
    }
    return 0;
}

PyDoc_STRVAR(
    request_write_doc,
    "write($self, chunk, callback=None)\n--\n\n"
    "Write raw bytes of the response, status line and headers included (str is encoded as UTF-8).\n\n"
    "callback() is called when they are sent.");

static PyObject *
request_write(RequestObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_chunk, self->state->str_callback};
    PyObject *v[2];
    if (tc_args_parse("write", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    HttpConnObject *conn = request_current_conn(self);
    if (TC_UNLIKELY(conn == NULL) && request_check_connection(self, &conn) < 0) {
        return NULL;
    }
    if (conn != NULL) {
        Py_INCREF(conn); /* the buffer of a chunk may be Python's */
        int st = tc_http_conn_write_raw(conn, v[0], tc_arg_or_null(v[1]));
        Py_DECREF(conn);
        return st == 0 ? Py_NewRef(Py_None) : NULL;
    }
    PyObject *stack[4] = {NULL, Py_NewRef(self->connection), v[0], v[1]};
    PyObject *result = PyObject_VectorcallMethod(
        self->state->str_write, stack + 1,
        (tc_arg_or_null(v[1]) != NULL ? 3 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(stack[1]);
    Py_XDECREF(result);
    return result != NULL ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(request_finish_doc, "finish($self, /)\n--\n\nEnd the response to this request.");

static PyObject *
request_finish(RequestObject *self, PyObject *unused)
{
    HttpConnObject *conn = request_current_conn(self);
    if (TC_UNLIKELY(conn == NULL) && request_check_connection(self, &conn) < 0) {
        return NULL;
    }
    PyObject *connection = Py_NewRef(self->connection);
    int st;
    if (conn != NULL) {
        st = tc_http_conn_finish(conn, NULL);
    }
    else {
        PyObject *result = PyObject_CallMethodNoArgs(connection, self->state->str_finish);
        st = result != NULL ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_DECREF(connection);
    if (st < 0) {
        return NULL;
    }
    self->finish_time = tc_clock_wall();
    Py_RETURN_NONE;
}

static PyObject *
request_full_url(RequestObject *self, PyObject *unused)
{
    PyObject *protocol = Py_XNewRef(tc_request_protocol(self)), *host = Py_XNewRef(tc_request_host(self)),
             *uri = Py_XNewRef(tc_request_uri(self)), *url = NULL;
    if (protocol != NULL && host != NULL && uri != NULL) {
        url = PyUnicode_FromFormat("%S://%S%S", protocol, host, uri);
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_AttributeError, "the request has no protocol, host or uri");
    }
    Py_XDECREF(protocol);
    Py_XDECREF(host);
    Py_XDECREF(uri);
    return url;
}

static PyObject *
request_request_time(RequestObject *self, PyObject *unused)
{
    double end = self->finish_time != 0.0 ? self->finish_time : tc_clock_wall();
    return PyFloat_FromDouble(end - self->start_time);
}

static PyObject *
request_supports_http_1_1(RequestObject *self, PyObject *unused)
{
    PyObject *version = tc_request_version(self);
    if (version == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    Py_INCREF(version);
    int equal = PyObject_RichCompareBool(version, self->state->http_1_1, Py_EQ);
    Py_DECREF(version);
    return equal < 0 ? NULL : PyBool_FromLong(equal);
}

/* ---- before an application is called ---- */

/* A query with so many "&" has its arguments counted. */
#define FORM_ARGUMENTS_LIMIT TC_REQUEST_LONG_TARGET

static bool
request_has_long_query(const RequestObject *self)
{
    const char *p = self->head + self->info.target.off, *end = p + self->info.target.len;
    size_t count = 0;
    while ((p = memchr(p, '&', (size_t)(end - p))) != NULL) {
        count++;
        p++;
    }
    return count >= FORM_ARGUMENTS_LIMIT;
}

int
tc_request_check_long_query(RequestObject *self)
{
    if (!request_has_long_query(self)) {
        return 0;
    }
    PyObject *arguments = PyObject_GetAttr((PyObject *)self, self->state->str_query_arguments);
    Py_XDECREF(arguments);
    return arguments != NULL ? 0 : -1;
}

bool
tc_request_has_form_type(const RequestObject *self)
{
    const char *block = self->head + self->info.headers.off;
    size_t pos = 0;
    tc_span name, value;
    while (tc_http_next_header(block, self->info.headers.len, &pos, &name, &value)) {
        if (name.len == 12 && strncasecmp(block + name.off, "content-type", 12) == 0) {
            const char *type = block + value.off;
            return (value.len >= 33 && memcmp(type, "application/x-www-form-urlencoded", 33) == 0) ||
                   (value.len >= 19 && memcmp(type, "multipart/form-data", 19) == 0);
        }
    }
    return false;
}

/* ---- life cycle ---- */

static PyObject *
request_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    RequestObject *self = (RequestObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->start_time = tc_clock_wall();
    if ((self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

RequestObject *
tc_request_new(tc_state *state, PyObject *connection, const char *head, const tc_http_head *info)
{
    PyTypeObject *type = (PyTypeObject *)tc_face(state, HTTPServerRequest);
    RequestObject *self = type != NULL ? (RequestObject *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->start_time = tc_clock_wall();
    if ((self->head = PyMem_Malloc(info->size)) == NULL) {
        Py_DECREF(self);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(self->head, head, info->size);
    self->info = *info;
    self->connection = Py_NewRef(connection);
    self->body = Py_NewRef(state->empty_bytes);
    return self;
}

static int
request_traverse(RequestObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->connection);
    Py_VISIT(self->server_connection);
    Py_VISIT(self->held);
    Py_VISIT(self->body);
    return tc_request_fields_traverse(self, visit, arg);
}

static int
request_clear(RequestObject *self)
{
    Py_CLEAR(self->connection);
    Py_CLEAR(self->server_connection);
    Py_CLEAR(self->held);
    Py_CLEAR(self->body);
    tc_request_fields_clear(self);
    return 0;
}

static void
request_dealloc(RequestObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    request_clear(self);
    PyMem_Free(self->head);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef request_members[] = {
    /* Every callback uses it, and the interpreter reads members of this kind without a call. */
    {"connection", T_OBJECT_EX, offsetof(RequestObject, connection), 0, "The HTTPConnection of the request."},
    {"body", T_OBJECT_EX, offsetof(RequestObject, body), 0, "The body, bytes."},
    {"server_connection", T_OBJECT, offsetof(RequestObject, server_connection), 0, NULL},
    {"_cookies", T_OBJECT_EX, offsetof(RequestObject, cookies), 0, NULL}, /* there once somebody asked */
    {"_start_time", T_DOUBLE, offsetof(RequestObject, start_time), 0, NULL},
    {NULL},
};

static PyMethodDef request_methods[] = {
    {"write", TC_METHOD(request_write), request_write_doc},
    {"finish", (PyCFunction)request_finish, METH_NOARGS, request_finish_doc},
    {"full_url", (PyCFunction)request_full_url, METH_NOARGS,
     "full_url($self, /)\n--\n\nThe URL of the request, put together again."},
    {"request_time", (PyCFunction)request_request_time, METH_NOARGS,
     "request_time($self, /)\n--\n\nSeconds from the request's arrival to its end, or to now."},
    {"supports_http_1_1", (PyCFunction)request_supports_http_1_1, METH_NOARGS,
     "supports_http_1_1($self, /)\n--\n\nWhether the client speaks HTTP/1.1."},
    {"_forget_texts", (PyCFunction)tc_request_forget_texts, METH_NOARGS, tc_request_forget_texts_doc},
    {"_may_be_conditional", (PyCFunction)tc_request_may_be_conditional, METH_NOARGS,
     tc_request_may_be_conditional_doc},
    {"_parse_body", (PyCFunction)tc_request_parse_body, METH_NOARGS, tc_request_parse_body_doc},
    {"_peek_headers", (PyCFunction)tc_request_peek_headers, METH_NOARGS, tc_request_peek_headers_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot request_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.httputil.HTTPServerRequest."},
    {Py_tp_new, request_new},
    {Py_tp_dealloc, request_dealloc},
    {Py_tp_traverse, request_traverse},
    {Py_tp_clear, request_clear},
    {Py_tp_methods, request_methods},
    {Py_tp_getset, tc_request_getset},
    {Py_tp_members, request_members},
    {0, NULL},
};

static PyType_Spec request_spec = {
    .name = "tornado_c._core.RequestBase",
    .basicsize = sizeof(RequestObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = request_slots,
};

int
tc_request_init_type(PyObject *module, tc_state *state)
{
    state->http_1_0 = PyUnicode_InternFromString("HTTP/1.0");
    state->http_1_1 = PyUnicode_InternFromString("HTTP/1.1");
    state->empty_bytes = PyBytes_FromStringAndSize(NULL, 0);
    state->request_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &request_spec, NULL);
    if (state->http_1_0 == NULL || state->http_1_1 == NULL || state->empty_bytes == NULL ||
        state->request_type == NULL) {
        return -1;
    }
    return PyModule_AddType(module, state->request_type);
}
