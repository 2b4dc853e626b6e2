/* Which part of a static file a response has: the whole, or what a Range header asks for in the way of
 * clients. What else may be in such a header, what cannot be satisfied and what depends on dates is
 * Python's, see _choose_part() of tornado_c/_web/static.py. Runs Python only where headers are not ours,
 * or set_status() is not. */
#include "web/static_file.h"

enum { IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE, ASKED };

/* ---- the header ---- */

/* Digits, up to 18 of them; -1 if there are none or more. */
static Py_ssize_t
range_number(const char **at)
{
    Py_ssize_t number = 0;
    int digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 18; ++*at, digits++) {
        number = number * 10 + (**at - '0');
    }
    return digits > 0 ? number : -1; /* of more the rest stays, which is nothing that may follow */
}

/* Reads bytes=first-last, bytes=first- and bytes=-count. False for what else it is, and for what is not
 * there. */
static bool
range_read(const char *text, Py_ssize_t length, Py_ssize_t size, tc_static_part *part)
{
    const char *at = text + 6, *end = text + length;
    if (length < 6 || memcmp(text, "bytes=", 6) != 0) {
        return false;
    }
    Py_ssize_t first = range_number(&at);
    if (*at++ != '-') {
        return false;
    }
    Py_ssize_t last = at == end ? size - 1 : range_number(&at);
    if (at != end || last < 0) {
        return false;
    }
    if (first < 0) { /* the last bytes; none of them is nothing that could be sent */
        first = text[6] == '-' && text[7] != '\0' && last > 0 ? Py_MAX(size - last, 0) : size;
        last = size - 1;
    }
    last = Py_MIN(last, size - 1);
    *part = (tc_static_part){first, last - first + 1};
    return first < size && part->size > 0;
}

/* ---- the response ---- */

int
tc_static_header_is(PyObject *headers, PyObject *name, PyObject *text)
{
    PyObject *value = headers != NULL ? tc_headers_get(headers, name) : NULL;
    int same = value != NULL && PyUnicode_CheckExact(value) && PyUnicode_Compare(value, text) == 0;
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : same;
}

/* Says in the response that it has a part of the file. 1 or -1. */
static int
part_announce(HandlerObject *self, Py_ssize_t size, const tc_static_part *part)
{
    PyObject *range =
        PyUnicode_FromFormat("bytes %zd-%zd/%zd", part->start, part->start + part->size - 1, size);
    int st = range != NULL ? tc_handler_set_status(self, 206) : -1;
    if (st == 0) {
        st = tc_handler_set_header(self, self->state->text_content_range, range);
    }
    Py_XDECREF(range);
    return st == 0 ? 1 : -1;
}

/* Whether the part is wanted whatever it is that the client has of the file: If-Range is missing or the
 * Etag that is sent. 1, 0 where Python has to look, or -1. */
static int
part_is_wanted(HandlerObject *self, PyObject *known, PyObject *etag)
{
    if (known == NULL) {
        return 1;
    }
    if (etag == NULL || !PyUnicode_CheckExact(known) || PyUnicode_Compare(known, etag) != 0) {
        return 0;
    }
    PyObject *sent = Py_XNewRef(self->headers);
    int same = tc_static_header_is(sent, self->state->str_Etag, etag);
    Py_XDECREF(sent);
    return same;
}

/* With what the request says. */
static int
part_choose(HandlerObject *self, StaticFileObject *file, PyObject *etag, PyObject *const asked[ASKED],
            tc_static_part *part)
{
    PyObject *range = asked[RANGE];
    if (asked[IF_NONE_MATCH] != NULL || asked[IF_MODIFIED_SINCE] != NULL) {
        return 0;
    }
    if (range == NULL) {
        return 1;
    }
    if (!PyUnicode_IS_COMPACT_ASCII(range) || !range_read((const char *)PyUnicode_1BYTE_DATA(range),
                                                          PyUnicode_GET_LENGTH(range), file->size, part)) {
        return 0;
    }
    int wanted = part_is_wanted(self, asked[IF_RANGE], etag);
    return wanted > 0 && part->size < file->size ? part_announce(self, file->size, part) : wanted;
}

int
tc_static_choose_part(HandlerObject *self, StaticFileObject *file, PyObject *etag, tc_static_part *part)
{
    tc_state *state = self->state;
    RequestObject *request = (RequestObject *)self->request;
    *part = (tc_static_part){0, file->size};
    if (!tc_request_is_conditional(request)) {
        return 1;
    }
    PyObject *headers = Py_XNewRef(tc_request_headers(request)), *asked[ASKED];
    PyObject *const names[ASKED] = {
        [IF_NONE_MATCH] = state->text_if_none_match,
        [IF_MODIFIED_SINCE] = state->text_if_modified_since,
        [IF_RANGE] = state->text_if_range,
        [RANGE] = state->text_range,
    };
    if (headers == NULL || tc_headers_get_each(headers, names, asked, ASKED) < 0) {
        Py_XDECREF(headers);
        return PyErr_Occurred() ? -1 : 0; /* 0: it has none any more */
    }
    int st = part_choose(self, file, etag, asked, part);
    for (size_t i = 0; i < ASKED; i++) {
        Py_XDECREF(asked[i]);
    }
    Py_DECREF(headers);
    return st;
}
