/* The arguments, forms and cookies of an HTTPServerRequest, made on first use; all but a plain query is parsed in
 * httputil.py. Python may assign to the fields while we make one of them, so what is used across a call is
 * held. */
#include "http/http_request_parts.h"

#include "http/http_fields.h"

/* How many arguments a query may have, as httputil.py says; -1 where Python has to find out. */
static int
request_arguments_max(tc_state *state)
{
    PyObject *globals = state->upcall_httputil_globals, *config = NULL, *part = NULL, *max = NULL;
    int number = -1;
    if (globals != NULL && PyDict_GetItemRef(globals, state->str__DEFAULT_PARSE_BODY_CONFIG, &config) > 0 &&
        (part = PyObject_GetAttr(config, state->str_urlencoded)) != NULL &&
        (max = PyObject_GetAttr(part, state->str_max_arguments)) != NULL && !tc_long_is_small(max, &number)) {
        number = -1;
    }
    PyErr_Clear();
    Py_XDECREF(config);
    Py_XDECREF(part);
    Py_XDECREF(max);
    return number;
}

/* The query in the head, if that is where it has to be looked for and all of it may be used. */
static bool
request_plain_query(RequestObject *self, tc_span *span)
{
    if (self->query != NULL || self->head == NULL) {
        return false;
    }
    *span = tc_request_query_span(self);
    const char *query = self->head + span->off, *end = query + span->len;
    int max = span->len > 0 ? request_arguments_max(self->state) : 0, count = 1;
    while (count <= max && (query = memchr(query, '&', (size_t)(end - query))) != NULL) {
        query++;
        count++;
    }
    return count <= max || span->len == 0;
}

/* A new dict of the query's arguments. */
static PyObject *
request_parse_query(RequestObject *self)
{
    tc_span span;
    if (TC_LIKELY(request_plain_query(self, &span))) {
        return tc_http_fields(self->head + span.off, span.len, true);
    }
    PyObject *query = Py_XNewRef(tc_request_query(self)), *made = NULL;
    if (query != NULL) {
        PyObject *parse = tc_upcall(self->state, parse_query);
        made = parse != NULL ? PyObject_CallOneArg(parse, query) : NULL;
    }
    Py_XDECREF(query);
    return made;
}

PyObject *
tc_request_query_arguments(RequestObject *self)
{
    return self->query_arguments != NULL ? self->query_arguments
                                         : tc_request_keep(&self->query_arguments, request_parse_query(self));
}

PyObject *
tc_request_body_arguments(RequestObject *self)
{
    return self->body_arguments != NULL ? self->body_arguments
                                        : tc_request_keep(&self->body_arguments, PyDict_New());
}

PyObject *
tc_request_files(RequestObject *self)
{
    return self->files != NULL ? self->files : tc_request_keep(&self->files, PyDict_New());
}

/* Adds the lists of `source`, which an application may have made of anything, to those of `merged`. */
static int
arguments_add(PyObject *merged, PyObject *source)
{
    PyObject *items = PyMapping_Items(source); /* a list of its own: what follows may run Python */
    int st = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "arguments must be a mapping of names to lists");
            st = -1;
            break;
        }
        PyObject *name = PyTuple_GET_ITEM(pair, 0), *values = PyTuple_GET_ITEM(pair, 1);
        PyObject *old, *list = PyDict_GetItemRef(merged, name, &old) < 0 ? NULL : PySequence_List(values);
        if (list != NULL && old != NULL) {
            Py_SETREF(list, PySequence_Concat(old, list));
        }
        st = list != NULL ? PyDict_SetItem(merged, name, list) : -1;
        Py_XDECREF(old);
        Py_XDECREF(list);
    }
    Py_XDECREF(items);
    return st;
}

/* Query arguments with those of the body after them; lists of its own, so that changing one does not change
 * the other. */
static PyObject *
request_merge_arguments(RequestObject *self)
{
    PyObject *query = Py_XNewRef(tc_request_query_arguments(self)),
             *body = query != NULL ? Py_XNewRef(tc_request_body_arguments(self)) : NULL;
    PyObject *merged = body != NULL ? PyDict_New() : NULL;
    if (merged != NULL && (arguments_add(merged, query) < 0 || arguments_add(merged, body) < 0)) {
        Py_CLEAR(merged);
    }
    Py_XDECREF(query);
    Py_XDECREF(body);
    return merged;
}

PyObject *
tc_request_arguments(RequestObject *self)
{
    if (self->arguments != NULL) {
        return self->arguments;
    }
    PyObject *body = self->body_arguments;
    bool alone = self->query_arguments == NULL &&
                 (body == NULL || (PyDict_CheckExact(body) && PyDict_GET_SIZE(body) == 0));
    return tc_request_keep(&self->arguments,
                           alone ? request_parse_query(self) : request_merge_arguments(self));
}

PyObject *
tc_request_cookies(RequestObject *self)
{
    PyObject *load = tc_upcall(self->state, load_cookies);
    PyObject *headers = load != NULL ? Py_XNewRef(tc_request_headers(self)) : NULL;
    PyObject *made = headers != NULL ? PyObject_CallOneArg(load, headers) : NULL;
    Py_XDECREF(headers);
    return tc_request_keep(&self->cookies, made);
}

const char tc_request_parse_body_doc[] =
    PyDoc_STR("_parse_body($self, /)\n--\n\n"
              "Parse a form in the body into body_arguments, arguments and files. Raises HTTPInputError.\n\n"
              "A request that came from a client is parsed once, however often this is called.");

PyObject *
tc_request_parse_body(RequestObject *self, PyObject *unused)
{
    if (self->body_parsed) {
        Py_RETURN_NONE;
    }
    PyObject *parse = tc_upcall(self->state, parse_body), *result = NULL;
    PyObject *headers = Py_XNewRef(tc_request_headers(self)), *body = Py_XNewRef(self->body);
    PyObject *arguments = Py_XNewRef(tc_request_body_arguments(self)),
             *files = Py_XNewRef(tc_request_files(self));
    if ((headers == NULL || body == NULL || arguments == NULL || files == NULL) && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_AttributeError, "the request has no headers or no body");
    }
    if (parse != NULL && headers != NULL && body != NULL && arguments != NULL && files != NULL) {
        PyObject *args[5] = {NULL, headers, body, arguments, files};
        result = PyObject_Vectorcall(parse, args + 1, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    if (result != NULL) {
        Py_SETREF(result, Py_NewRef(Py_None));
        self->body_parsed = self->head != NULL;
        if (PyDict_Check(arguments) && PyDict_GET_SIZE(arguments) > 0) {
            Py_CLEAR(self->arguments); /* merged again on next use */
        }
    }
    Py_XDECREF(headers);
    Py_XDECREF(body);
    Py_XDECREF(arguments);
    Py_XDECREF(files);
    return result;
}
