/* How values get into an HTTPHeaders from outside: add(), parse_line() and parse(), which check names and
 * values. Called by Python code. Methods that subclasses override are called as methods; that and a replaced
 * _normalize_header run Python. */
#include "http/headers/parts.h"

#include "base/args.h"
#include "http/headers/names.h"

/* As tc_headers_put, but through the methods of a class that overrides __contains__ or __setitem__. */
static int
headers_put_checked(HeadersObject *self, PyObject *name, PyObject *value)
{
    PyObject *obj = (PyObject *)self;
    if (TC_LIKELY(tc_headers_own_contains(obj) && tc_headers_own_setitem(obj))) {
        return tc_headers_put(self, name, value);
    }
    int found = PySequence_Contains(obj, name);
    if (found <= 0) {
        return found < 0 ? -1 : PyObject_SetItem(obj, name, value);
    }
    PyObject *slot;
    found = tc_headers_find_slot(self, name, &slot);
    if (found <= 0) {
        if (found == 0) {
            PyErr_SetObject(PyExc_KeyError, name);
        }
        return -1;
    }
    int result = tc_headers_append(self, name, slot, value);
    Py_DECREF(slot);
    return result;
}

/* add(name, value) of this class, even where a subclass overrides it. */
int
tc_headers_add_pair(HeadersObject *self, PyObject *name, PyObject *value, bool chars_are_bytes)
{
    if (!PyUnicode_Check(name)) {
        return tc_headers_raise_not_str(name);
    }
    if (!tc_headers_is_token(name)) {
        return tc_headers_raise_invalid(self->state, "name", name);
    }
    if (tc_headers_check_value(self->state, value, chars_are_bytes) < 0) {
        return -1;
    }
    PyObject *normalized = tc_names_normalize(self->state, name);
    if (normalized == NULL) {
        return -1;
    }
    int result = headers_put_checked(self, normalized, value);
    Py_DECREF(normalized);
    return result;
}

/* Calls a method of self that takes one or two arguments and the keyword _chars_are_bytes. */
static int
headers_call_overridden(HeadersObject *self, PyObject *method, PyObject *first, PyObject *second,
                        bool chars_are_bytes)
{
    PyObject *kwnames = PyTuple_Pack(1, self->state->str__chars_are_bytes);
    if (kwnames == NULL) {
        return -1;
    }
    PyObject *args[4] = {(PyObject *)self, first};
    size_t nargs = 2;
    if (second != NULL) {
        args[nargs++] = second;
    }
    args[nargs] = chars_are_bytes ? Py_True : Py_False;
    PyObject *result = PyObject_VectorcallMethod(method, args, nargs, kwnames);
    Py_DECREF(kwnames);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* parse_line(text[start:end]) of this class. */
static int
headers_parse_span(HeadersObject *self, PyObject *text, Py_ssize_t start, Py_ssize_t end,
                   bool chars_are_bytes)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    if (start < end && PyUnicode_READ(kind, data, end - 1) == '\n') {
        end--;
        if (start < end && PyUnicode_READ(kind, data, end - 1) == '\n') {
            end--; /* as in Tornado, a second line feed right before the last one goes too */
        }
        if (start < end && PyUnicode_READ(kind, data, end - 1) == '\r') {
            end--;
        }
    }
    if (start == end) {
        return 0;
    }
    if (tc_http_is_blank(PyUnicode_READ(kind, data, start))) {
        return tc_headers_raise(self->state,
                                "header line cannot start with whitespace, folding not supported");
    }
    Py_ssize_t colon = PyUnicode_FindChar(text, ':', start, end, 1);
    if (colon < 0) {
        return colon == -1 ? tc_headers_raise(self->state, "no colon in header line") : -1;
    }
    Py_ssize_t from = colon + 1, to = end;
    while (from < to && tc_http_is_blank(PyUnicode_READ(kind, data, from))) {
        from++;
    }
    while (from < to && tc_http_is_blank(PyUnicode_READ(kind, data, to - 1))) {
        to--;
    }
    PyObject *name = PyUnicode_Substring(text, start, colon);
    PyObject *value = PyUnicode_Substring(text, from, to);
    int result = -1;
    if (name != NULL && value != NULL) {
        if (TC_LIKELY(tc_headers_own_add(self))) {
            result = tc_headers_add_pair(self, name, value, chars_are_bytes);
        }
        else {
            result = headers_call_overridden(self, self->state->str_add, name, value, chars_are_bytes);
        }
    }
    Py_XDECREF(name);
    Py_XDECREF(value);
    return result;
}

/* ---- methods ---- */

/* Sorts the arguments of a method with `count` parameters and the keyword-only _chars_are_bytes. */
static int
headers_args(tc_state *state, const char *method, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject *const *names, Py_ssize_t count, PyObject **out, bool *chars_are_bytes)
{
    *chars_are_bytes = true;
    if (TC_LIKELY(kwnames == NULL)) {
        if (tc_args_check(method, nargs, count, count) < 0) {
            return -1;
        }
        memcpy(out, args, (size_t)count * sizeof(PyObject *));
        return 0;
    }
    if (nargs > count) {
        return tc_args_check(method, nargs, count, count);
    }
    if (tc_args_parse(method, args, nargs, kwnames, names, count + 1, count, out) < 0) {
        return -1;
    }
    int truth = out[count] != NULL ? PyObject_IsTrue(out[count]) : 1;
    *chars_are_bytes = truth > 0;
    return truth < 0 ? -1 : 0;
}

const char tc_headers_add_doc[] =
    PyDoc_STR("add($self, name, value, *, _chars_are_bytes=True)\n--\n\n"
              "Append a value, keeping those that the header already has.\n\n"
              ":raises HTTPInputError: the name is not a token, or the value has characters that no header\n"
              "    may carry.");

PyObject *
tc_headers_add(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[3] = {state->str_name, state->str_value, state->str__chars_are_bytes}, *out[3];
    bool chars_are_bytes;
    if (headers_args(state, "add", args, nargs, kwnames, names, 2, out, &chars_are_bytes) < 0 ||
        tc_headers_add_pair(self, out[0], out[1], chars_are_bytes) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

const char tc_headers_parse_line_doc[] = PyDoc_STR(
    "parse_line($self, line, *, _chars_are_bytes=True)\n--\n\n"
    "Add the header of one line, with or without its line end; nothing for an empty line.\n\n"
    ":raises HTTPInputError: the line has no colon, or begins with white space, which would continue\n"
    "    the line before: that is not supported.");

PyObject *
tc_headers_parse_line(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[2] = {state->str_line, state->str__chars_are_bytes}, *out[2];
    bool chars_are_bytes;
    if (headers_args(state, "parse_line", args, nargs, kwnames, names, 1, out, &chars_are_bytes) < 0) {
        return NULL;
    }
    if (!PyUnicode_Check(out[0])) {
        tc_headers_raise_not_str(out[0]);
        return NULL;
    }
    if (headers_parse_span(self, out[0], 0, PyUnicode_GET_LENGTH(out[0]), chars_are_bytes) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* self.parse_line(text[start:end]) as a method where a class overrides it. */
static int
headers_parse_one(PyObject *headers, tc_state *state, PyObject *text, Py_ssize_t start, Py_ssize_t end,
                  bool chars_are_bytes)
{
    HeadersObject *self = (HeadersObject *)headers;
    if (TC_LIKELY(tc_headers_is_own(Py_TYPE(headers), state->str_parse_line, tc_headers_parse_line))) {
        return headers_parse_span(self, text, start, end, chars_are_bytes);
    }
    PyObject *line = PyUnicode_Substring(text, start, end);
    if (line == NULL) {
        return -1;
    }
    int result = headers_call_overridden(self, state->str_parse_line, line, NULL, chars_are_bytes);
    Py_DECREF(line);
    return result;
}

const char tc_headers_parse_doc[] =
    PyDoc_STR("parse($type, headers, *, _chars_are_bytes=True)\n--\n\n"
              "Make an instance of the text of a header section, lines ended by CRLF or LF.\n\n"
              ":raises HTTPInputError: a line is malformed.");

PyObject *
tc_headers_parse(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = tc_state_of(type);
    if (state == NULL) {
        return NULL;
    }
    PyObject *names[2] = {state->str_headers, state->str__chars_are_bytes}, *out[2];
    bool chars_are_bytes;
    if (headers_args(state, "parse", args, nargs, kwnames, names, 1, out, &chars_are_bytes) < 0) {
        return NULL;
    }
    PyObject *text = out[0];
    PyObject *self = PyObject_CallNoArgs((PyObject *)type);
    if (self == NULL) {
        return NULL;
    }
    if (!PyUnicode_Check(text)) { /* str.find's error, or that of having no find */
        PyObject *found = PyObject_CallMethod(text, "find", "si", "\n", 0);
        if (found != NULL) {
            Py_DECREF(found);
            tc_headers_raise_not_str(text);
        }
        goto error;
    }
    if (!PyObject_TypeCheck(self, state->headers_type)) {
        PyErr_Format(PyExc_TypeError, "%.200s() did not make an HTTPHeaders", type->tp_name);
        goto error;
    }
    Py_ssize_t start = 0, size = PyUnicode_GET_LENGTH(text);
    for (;;) {
        Py_ssize_t eol = PyUnicode_FindChar(text, '\n', start, size, 1);
        if (eol == -2) {
            goto error;
        }
        Py_ssize_t end = eol >= 0 ? eol + 1 : size;
        if (headers_parse_one(self, state, text, start, end, chars_are_bytes) < 0) {
            goto error;
        }
        if (eol < 0) {
            return self;
        }
        start = end;
    }
error:
    Py_DECREF(self);
    return NULL;
}
