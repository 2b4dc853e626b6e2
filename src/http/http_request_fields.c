/* The attributes of an HTTPServerRequest: made from the head on first use, or assigned. What makes its arguments
 * is in http_request_forms.c. May run Python, which may assign to the fields while we make one of them, so what
 * is used across a call is held. */
#include "http/http_request_parts.h"

#include "http/http_conn.h"
#include "http/http_fields.h"
#include "http/headers/headers.h"

static PyObject *
span_text(const RequestObject *self, tc_span span)
{
    return PyUnicode_DecodeLatin1(self->head + span.off, span.len, NULL);
}

/* ---- attributes made from the head ---- */

PyObject *
tc_request_method(RequestObject *self)
{
    if (self->method == NULL && self->head != NULL) {
        PyObject *known = NULL;
        switch (self->info.method_id) {
        case TC_HTTP_GET:
            known = self->state->str_GET;
            break;
        case TC_HTTP_HEAD:
            known = self->state->str_HEAD;
            break;
        case TC_HTTP_POST:
            known = self->state->str_POST;
            break;
        default:
            break;
        }
        self->method = known != NULL ? Py_NewRef(known) : span_text(self, self->info.method);
    }
    return self->method;
}

PyObject *
tc_request_uri(RequestObject *self)
{
    if (self->uri == NULL && self->head != NULL) {
        self->uri = span_text(self, self->info.target);
    }
    return self->uri;
}

/* The offset of '?' in the target, or its length. */
static uint32_t
request_path_length(const RequestObject *self)
{
    const char *target = self->head + self->info.target.off;
    const char *mark = memchr(target, '?', self->info.target.len);
    return mark != NULL ? (uint32_t)(mark - target) : self->info.target.len;
}

const char *
tc_request_path_text(const RequestObject *self, size_t *size)
{
    if (self->path != NULL || self->head == NULL) {
        return NULL;
    }
    *size = request_path_length(self);
    return self->head + self->info.target.off;
}

PyObject *
tc_request_path(RequestObject *self)
{
    if (self->path == NULL && self->head != NULL) {
        tc_span span = {self->info.target.off, request_path_length(self)};
        self->path = span_text(self, span);
    }
    return self->path;
}

/* The part of the head after the first '?' of the target. */
tc_span
tc_request_query_span(const RequestObject *self)
{
    uint32_t path = request_path_length(self);
    tc_span span = {self->info.target.off, 0};
    if (path < self->info.target.len) {
        span.off += path + 1;
        span.len = self->info.target.len - path - 1;
    }
    return span;
}

PyObject *
tc_request_query(RequestObject *self)
{
    if (self->query == NULL && self->head != NULL) {
        self->query = span_text(self, tc_request_query_span(self));
    }
    return self->query;
}

PyObject *
tc_request_version(RequestObject *self)
{
    if (self->version == NULL && self->head != NULL) {
        self->version = Py_NewRef(self->info.minor == 1 ? self->state->http_1_1 : self->state->http_1_0);
    }
    return self->version;
}

int
tc_request_join_length(RequestObject *self, PyObject *headers)
{
    PyObject *joined = tc_headers_get(headers, self->state->str_Content_Length), *first = NULL;
    if (joined == NULL || !PyUnicode_Check(joined)) {
        Py_XDECREF(joined);
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_ssize_t comma = PyUnicode_FindChar(joined, ',', 0, PyUnicode_GET_LENGTH(joined), 1);
    first = comma >= 0 ? PyUnicode_Substring(joined, 0, comma) : Py_NewRef(joined);
    int st = first != NULL ? tc_headers_set(headers, self->state->str_Content_Length, first) : -1;
    Py_DECREF(joined);
    Py_XDECREF(first);
    return st;
}

PyObject *
tc_request_headers(RequestObject *self)
{
    if (self->headers == NULL && self->head != NULL) {
        tc_span block = self->info.headers;
        PyObject *headers = tc_headers_from_block(self->state, self->head + block.off, block.len);
        if (TC_UNLIKELY(self->info.flags & TC_HTTP_LENGTH_LIST) && headers != NULL &&
            tc_request_join_length(self, headers) < 0) {
            Py_CLEAR(headers);
        }
        return tc_request_keep(&self->headers, headers);
    }
    return self->headers;
}

const char tc_request_may_be_conditional_doc[] = PyDoc_STR(
    "_may_be_conditional($self, /)\n--\n\n"
    "False if the request has no header Range or If-...; looks at no headers that were made of the head.");

bool
tc_request_is_conditional(const RequestObject *self)
{
    if (self->head == NULL || self->headers != NULL) {
        return true;
    }
    const char *line = self->head + self->info.headers.off, *end = line + self->info.headers.len;
    while (line != NULL && end - line > 2) {
        int first = line[0] | 0x20, second = line[1] | 0x20;
        if ((first == 'i' && second == 'f') || (first == 'r' && second == 'a')) {
            return true;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        line = line != NULL ? line + 1 : NULL;
    }
    return false;
}

PyObject *
tc_request_may_be_conditional(RequestObject *self, PyObject *unused)
{
    return PyBool_FromLong(tc_request_is_conditional(self));
}

bool
tc_request_has_no_arguments(const RequestObject *self)
{
    return self->head != NULL && tc_request_query_span(self).len == 0 && !tc_request_has_body(self) &&
           self->query == NULL && self->body == self->state->empty_bytes && self->arguments == NULL &&
           self->query_arguments == NULL && self->body_arguments == NULL;
}

const char tc_request_peek_headers_doc[] =
    PyDoc_STR("_peek_headers($self, /)\n--\n\n"
              "The headers to be read; where nobody has asked for them before, they are not kept.");

PyObject *
tc_request_peek_headers(RequestObject *self, PyObject *unused)
{
    bool keep = self->headers != NULL || self->head == NULL || (self->info.flags & TC_HTTP_LENGTH_LIST);
    if (!keep) {
        tc_span block = self->info.headers;
        return tc_headers_from_block(self->state, self->head + block.off, block.len);
    }
    if (tc_request_headers(self) == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_AttributeError, "headers");
    }
    return Py_XNewRef(self->headers);
}

PyObject *
tc_request_host(RequestObject *self)
{
    if (self->host == NULL && self->head != NULL) {
        self->host =
            self->info.host.off != 0 ? span_text(self, self->info.host) : PyUnicode_FromString("127.0.0.1");
    }
    return self->host;
}

/* Drops an attribute that can be made again from the head, where it is still what the head says. */
static void
forget_text(RequestObject *self, PyObject **field, tc_span span)
{
    PyObject *text = *field;
    if (text != NULL && PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text) &&
        PyUnicode_GET_LENGTH(text) == (Py_ssize_t)span.len &&
        memcmp(PyUnicode_1BYTE_DATA(text), self->head + span.off, span.len) == 0) {
        Py_CLEAR(*field);
    }
}

const char tc_request_forget_texts_doc[] = "_forget_texts($self, /)\n--\n\n"
                                           "Drop texts that will be made again if they are asked for.";

PyObject *
tc_request_forget_texts(RequestObject *self, PyObject *unused)
{
    if (self->head != NULL) {
        forget_text(self, &self->uri, self->info.target);
        forget_text(self, &self->path, (tc_span){self->info.target.off, request_path_length(self)});
        if (self->info.host.off != 0) {
            forget_text(self, &self->host, self->info.host);
        }
    }
    Py_RETURN_NONE;
}

/* The length of a host without ":" and a short number at its end; -1 where it may be more difficult. */
static Py_ssize_t
host_name_length(const char *host, Py_ssize_t size)
{
    Py_ssize_t digits = 0;
    while (digits < size && host[size - digits - 1] >= '0' && host[size - digits - 1] <= '9') {
        digits++;
    }
    if (memchr(host, '\n', (size_t)size) != NULL || digits > 5) {
        return -1;
    }
    Py_ssize_t colon = size - digits - 1;
    return digits > 0 && colon > 0 && host[colon] == ':' ? colon : size;
}

static PyObject *
host_name_of_ascii(PyObject *host)
{
    const char *text = (const char *)PyUnicode_1BYTE_DATA(host);
    Py_ssize_t size = host_name_length(text, PyUnicode_GET_LENGTH(host));
    PyObject *made = size >= 0 ? PyUnicode_New(size, 127) : NULL;
    for (Py_ssize_t i = 0; made != NULL && i < size; i++) {
        PyUnicode_1BYTE_DATA(made)[i] = (Py_UCS1)Py_TOLOWER(text[i]);
    }
    return made;
}

static PyObject *
host_name_of(tc_state *state, PyObject *host)
{
    PyObject *split = tc_upcall(state, split_host_and_port), *made = NULL;
    PyObject *lower = split != NULL ? PyObject_CallMethodNoArgs(host, state->str_lower) : NULL;
    PyObject *pair = lower != NULL ? PyObject_CallOneArg(split, lower) : NULL;
    if (pair != NULL) {
        made = PySequence_GetItem(pair, 0);
    }
    Py_XDECREF(pair);
    Py_XDECREF(lower);
    return made;
}

static PyObject *
request_host_name(RequestObject *self)
{
    PyObject *host = Py_XNewRef(tc_request_host(self)), *made = NULL;
    if (host != NULL && PyUnicode_CheckExact(host) && PyUnicode_IS_COMPACT_ASCII(host)) {
        made = host_name_of_ascii(host);
    }
    if (made == NULL && host != NULL && !PyErr_Occurred()) {
        made = host_name_of(self->state, host);
    }
    Py_XDECREF(host);
    return tc_request_keep(&self->host_name, made);
}

/* context.<name> of a connection that is not ours, else `fallback`. */
static PyObject *
request_from_context(RequestObject *self, PyObject *name, PyObject *fallback)
{
    PyObject *connection = Py_XNewRef(self->connection), *context = NULL, *value = NULL;
    int st =
        connection != NULL ? PyObject_GetOptionalAttr(connection, self->state->str_context, &context) : 0;
    if (st > 0 && context != Py_None) {
        st = Py_EnterRecursiveCall(" while asking a connection"); /* the context may be this request */
        if (st == 0) {
            st = PyObject_GetOptionalAttr(context, name, &value);
            Py_LeaveRecursiveCall();
        }
        else {
            st = -1;
        }
    }
    Py_XDECREF(connection);
    Py_XDECREF(context);
    return st < 0 ? NULL : value != NULL ? value : Py_NewRef(fallback);
}

static PyObject *
request_remote_ip(RequestObject *self)
{
    if (self->remote_ip == NULL) {
        HttpConnObject *conn = tc_http_conn_of(self->state, self->connection);
        PyObject *made = conn != NULL ? Py_XNewRef(tc_http_conn_remote_ip(conn))
                                      : request_from_context(self, self->state->str_remote_ip, Py_None);
        return tc_request_keep(&self->remote_ip, made);
    }
    return self->remote_ip;
}

PyObject *
tc_request_protocol(RequestObject *self)
{
    if (self->protocol == NULL) {
        HttpConnObject *conn = tc_http_conn_of(self->state, self->connection);
        PyObject *made = conn != NULL
                             ? Py_XNewRef(tc_http_conn_protocol(conn))
                             : request_from_context(self, self->state->str_protocol, self->state->str_http);
        return tc_request_keep(&self->protocol, made);
    }
    return self->protocol;
}

/* ---- getset: a lazy getter and a field that assignment fills ---- */

/* Fields in the order in which the collector visits them: name, what makes it, its documentation. */
#define REQUEST_FIELDS(X)                                                                                    \
    X(method, tc_request_method, "The HTTP method, such as \"GET\".")                                        \
    X(uri, tc_request_uri, "The request target, query included.")                                            \
    X(path, tc_request_path, "The target before \"?\".")                                                     \
    X(query, tc_request_query, "The target after \"?\".")                                                    \
    X(version, tc_request_version, "\"HTTP/1.0\" or \"HTTP/1.1\".")                                          \
    X(headers, tc_request_headers, "The HTTPHeaders.")                                                       \
    X(arguments, tc_request_arguments, "Arguments of query and body: name to list of bytes.")                \
    X(query_arguments, tc_request_query_arguments, "Arguments of the query.")                                \
    X(body_arguments, tc_request_body_arguments, "Arguments of the body.")                                   \
    X(files, tc_request_files, "Uploaded files: name to list of HTTPFile.")                                  \
    X(remote_ip, request_remote_ip, "The client's address.")                                                 \
    X(protocol, tc_request_protocol, "\"http\" or \"https\".")                                               \
    X(host, tc_request_host, "The Host header.")                                                             \
    X(host_name, request_host_name, "The host without its port, in lower case.")                             \
    X(cookies, tc_request_cookies, "The cookies: name to http.cookies.Morsel.")

typedef struct {
    PyObject *(*make)(RequestObject *self); /* borrowed result */
    size_t offset;
    const char *name;
} request_field;

enum {
#define X(name, make, doc) FIELD_##name,
    REQUEST_FIELDS(X)
#undef X
};

static const request_field request_fields[] = {
#define X(name, make, doc) {make, offsetof(RequestObject, name), #name},
    REQUEST_FIELDS(X)
#undef X
};

static PyObject *
request_get(RequestObject *self, void *closure)
{
    const request_field *field = closure;
    PyObject *value = *(PyObject **)((char *)self + field->offset);
    if (value == NULL && (value = field->make(self)) == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%s'",
                         Py_TYPE(self)->tp_name, field->name);
        }
        return NULL;
    }
    return Py_NewRef(value);
}

static int
request_set(RequestObject *self, PyObject *value, void *closure)
{
    const request_field *field = closure;
    Py_XSETREF(*(PyObject **)((char *)self + field->offset), Py_XNewRef(value));
    return 0;
}

static PyObject *
request_get_finish_time(RequestObject *self, void *unused)
{
    if (self->finish_time == 0.0) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble(self->finish_time);
}

static int
request_set_finish_time(RequestObject *self, PyObject *value, void *unused)
{
    double when = value == NULL || value == Py_None ? 0.0 : PyFloat_AsDouble(value);
    if (when == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    self->finish_time = when;
    return 0;
}

int
tc_request_fields_traverse(RequestObject *self, visitproc visit, void *arg)
{
#define X(name, make, doc) Py_VISIT(self->name);
    REQUEST_FIELDS(X)
#undef X
    return 0;
}

void
tc_request_fields_clear(RequestObject *self)
{
#define X(name, make, doc) Py_CLEAR(self->name);
    REQUEST_FIELDS(X)
#undef X
}

PyGetSetDef tc_request_getset[] = {
#define X(name, make, doc)                                                                                   \
    {#name, (getter)request_get, (setter)request_set, doc, (void *)&request_fields[FIELD_##name]},
    REQUEST_FIELDS(X)
#undef X
        {"_finish_time", (getter)request_get_finish_time, (setter)request_set_finish_time, NULL, NULL},
    {NULL},
};
