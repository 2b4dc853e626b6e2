/* The heads of outgoing messages, for servers and clients: makes the headers say how the body is framed, as
 * http_frame.c decides, and assembles the bytes of a head. May run Python: headers of a subclass. */
#include "http/http_head_write.h"

#include "http/headers/headers.h"
#include "http/http_conn.h"

#include "base/args.h"

/* ---- what the headers say about the framing ---- */

enum { SAID_LENGTH, SAID_ENCODING, SAID_CONNECTION, SAID_COUNT };

static tc_http_value
text_value(PyObject *text)
{
    return (tc_http_value){(const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)};
}

static bool
is_latin1(PyObject *value)
{
    return PyUnicode_Check(value) && PyUnicode_KIND(value) == PyUnicode_1BYTE_KIND;
}

/* 0, or -1 with an exception. */
static int
parse_length(tc_state *state, PyObject *value, int64_t *length)
{
    if (TC_LIKELY(PyUnicode_Check(value) && PyUnicode_IS_COMPACT_ASCII(value)) &&
        tc_http_parse_length(text_value(value), length)) {
        return 0;
    }
    /* parse_int judges what is not plain digits. */
    PyObject *parse = tc_upcall(state, parse_int);
    PyObject *number = parse != NULL ? PyObject_CallOneArg(parse, value) : NULL;
    if (number == NULL) {
        return -1;
    }
    *length = PyLong_AsLongLong(number);
    Py_DECREF(number);
    return *length < 0 && PyErr_Occurred() ? -1 : 0;
}

/* A Transfer-Encoding beyond Latin-1 counts as a coding of the application's: encoding the head then fails.
 * What is no str at all fails here, as it would where codings are split in Python. */
static int
read_encoding(PyObject *value, tc_http_value *encoding)
{
    if (is_latin1(value)) {
        *encoding = text_value(value);
        return 0;
    }
    PyObject *codings =
        PyUnicode_Check(value) ? Py_NewRef(value) : PyObject_CallMethod(value, "split", "s", ",");
    *encoding = (tc_http_value){"?", 1};
    Py_XDECREF(codings);
    return codings != NULL ? 0 : -1;
}

static int
set_codings(tc_state *state, PyObject *headers, PyObject *value, tc_http_value encoding)
{
    if (TC_UNLIKELY(!is_latin1(value))) {
        return 0;
    }
    char *text = PyMem_Malloc(tc_http_codings_room(encoding));
    if (text == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject *codings = PyUnicode_DecodeLatin1(text, (Py_ssize_t)tc_http_frame_codings(encoding, text), NULL);
    int st = codings != NULL ? tc_headers_set(headers, state->str_Transfer_Encoding, codings) : -1;
    Py_XDECREF(codings);
    PyMem_Free(text);
    return st;
}

static int
change_headers(tc_state *state, PyObject *headers, unsigned plan, PyObject *encoding, tc_http_value value)
{
    if (plan & TC_PLAN_REMOVE_LENGTH && PyObject_DelItem(headers, state->str_Content_Length) < 0) {
        return -1;
    }
    if (plan & (TC_PLAN_CLOSE | TC_PLAN_KEEP_ALIVE) &&
        tc_headers_set(headers, state->str_Connection,
                       plan & TC_PLAN_CLOSE ? state->str_close : state->keep_alive_value) < 0) {
        return -1;
    }
    if (plan & TC_PLAN_REMOVE_ENCODING) {
        return PyObject_DelItem(headers, state->str_Transfer_Encoding);
    }
    if (plan & TC_PLAN_SET_CODINGS) {
        return set_codings(state, headers, encoding, value);
    }
    return plan & TC_PLAN_SET_CHUNKED
               ? tc_headers_set(headers, state->str_Transfer_Encoding, state->str_chunked)
               : 0;
}

/* Reads the Content-Length where the plan says that the body is counted. 0, or -1 with an exception. */
static inline int
read_length(tc_state *state, PyObject *value, tc_http_opening *opening)
{
    return opening->plan & TC_PLAN_COUNTED ? parse_length(state, value, &opening->content_length) : 0;
}

/* All but the common case. */
static __attribute__((noinline)) int
frame_response(tc_state *state, tc_http_frame *frame, int status, bool draining, PyObject *headers,
               PyObject **said, unsigned *plan)
{
    tc_http_frame_fields fields = {
        .status = status, .draining = draining, .has_length = said[SAID_LENGTH] != NULL};
    if (said[SAID_CONNECTION] != NULL && is_latin1(said[SAID_CONNECTION])) {
        fields.connection = text_value(said[SAID_CONNECTION]);
    }
    if (said[SAID_ENCODING] != NULL && read_encoding(said[SAID_ENCODING], &fields.encoding) < 0) {
        return -1;
    }
    *plan = tc_http_frame_response(frame, &fields);
    return change_headers(state, headers, *plan, said[SAID_ENCODING], fields.encoding);
}

/* Brings the headers in line with the framing. 0, or -1 with an exception. */
static inline int
settle_headers(tc_state *state, tc_http_frame *frame, int status, bool draining, PyObject *headers,
               tc_http_opening *opening)
{
    PyObject *names[SAID_COUNT] = {state->str_Content_Length, state->str_Transfer_Encoding,
                                   state->str_Connection};
    PyObject *said[SAID_COUNT];
    if (tc_headers_get_each(headers, names, said, SAID_COUNT) < 0) {
        return -1;
    }
    int st = 0;
    unsigned plan = TC_PLAN_COUNTED;
    if (TC_UNLIKELY(said[SAID_LENGTH] == NULL || said[SAID_ENCODING] != NULL ||
                    said[SAID_CONNECTION] != NULL || !tc_http_frame_is_plain(frame, status, draining))) {
        st = frame_response(state, frame, status, draining, headers, said, &plan);
    }
    opening->plan = plan;
    if (st == 0) {
        st = read_length(state, said[SAID_LENGTH], opening);
    }
    for (int i = 0; i < SAID_COUNT; i++) {
        Py_XDECREF(said[i]);
    }
    return st;
}

/* ---- a body that does not keep its Content-Length ---- */

int
tc_http_raise_too_much(tc_state *state)
{
    PyObject *cls = tc_face(state, HTTPOutputError);
    if (cls != NULL) {
        PyErr_SetString(cls, "Tried to write more data than Content-Length");
    }
    return -1;
}

int
tc_http_raise_missing(tc_state *state, int64_t missing)
{
    PyObject *cls = tc_face(state, HTTPOutputError);
    if (cls != NULL) {
        PyErr_Format(cls, "Tried to write %lld bytes less than Content-Length", (long long)missing);
    }
    return -1;
}

/* ---- bytes ---- */

const char *
tc_http_own_response(int status)
{
    switch (status) {
    case 100:
        return "HTTP/1.1 100 (Continue)\r\n\r\n";
    case 414:
        return "HTTP/1.1 414 URI Too Long\r\nConnection: close\r\n\r\n";
    case 431:
        return "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n";
    default:
        return "HTTP/1.1 400 Bad Request\r\n\r\n";
    }
}

static int
buffer_text(tc_bytes_buf *buf, const char *text, size_t size)
{
    if (tc_buf_append(buf, text, size) != TC_OK) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

int
tc_http_odd_status_code(PyObject *status, int *code)
{
    if (PyLong_Check(status)) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(status, &overflow);
        *code = overflow > 0 || value > INT_MAX   ? INT_MAX
                : overflow < 0 || value < INT_MIN ? INT_MIN
                                                  : (int)value;
        return 0;
    }
    double value = PyFloat_AsDouble(status);
    if (value == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    bool whole = value >= INT_MIN && value <= INT_MAX && value == (double)(int)value;
    *code = whole ? (int)value : value > 100 && value < 200 ? 100 : 0;
    return 0;
}

/* "HTTP/1.1 %d %s" % (status, reason), for objects of any kind. */
static int
buffer_odd_status_line(tc_bytes_buf *buf, PyObject *status, PyObject *reason)
{
    PyObject *format = PyUnicode_FromString("HTTP/1.1 %d %s"), *pair = PyTuple_Pack(2, status, reason);
    PyObject *line = format != NULL && pair != NULL ? PyUnicode_Format(format, pair) : NULL;
    Py_ssize_t size;
    const char *text = line != NULL ? PyUnicode_AsUTF8AndSize(line, &size) : NULL;
    size_t start = buf->size;
    int st = text != NULL ? buffer_text(buf, text, (size_t)size) : -1;
    Py_XDECREF(format);
    Py_XDECREF(pair);
    Py_XDECREF(line);
    return st == 0 ? tc_headers_end_line(buf, start) : -1;
}

static int
buffer_status_line(tc_bytes_buf *buf, int code, PyObject *status, PyObject *reason)
{
    if (TC_UNLIKELY(code < 100 || code > 999 || !PyLong_Check(status) || !PyUnicode_CheckExact(reason))) {
        return buffer_odd_status_line(buf, status, reason);
    }
    Py_ssize_t size = PyUnicode_GET_LENGTH(reason);
    const char *text = PyUnicode_IS_COMPACT_ASCII(reason) ? (const char *)PyUnicode_1BYTE_DATA(reason)
                                                          : PyUnicode_AsUTF8AndSize(reason, &size);
    if (text == NULL) {
        return -1;
    }
    if (TC_LIKELY(code == 200 && size == 2 && memcmp(text, "OK", 2) == 0)) {
        return buffer_text(buf, "HTTP/1.1 200 OK\r\n", 17);
    }
    char start[13] = "HTTP/1.1 ";
    for (int i = 11; i >= 9; i--, code /= 10) {
        start[i] = (char)('0' + code % 10);
    }
    start[12] = ' ';
    size_t line = buf->size;
    return buffer_text(buf, start, sizeof(start)) < 0 || buffer_text(buf, text, (size_t)size) < 0
               ? -1
               : tc_headers_end_line(buf, line);
}

/* The headers and the empty line. */
static int
buffer_headers(tc_bytes_buf *buf, PyObject *headers)
{
    return tc_headers_serialize(headers, buf) == 0 ? buffer_text(buf, "\r\n", 2) : -1;
}

int
tc_http_write_response_head(tc_state *state, tc_http_frame *frame, bool draining, PyObject *status,
                            PyObject *reason, PyObject *headers, tc_bytes_buf *buf, tc_http_opening *opening)
{
    int code;
    if (tc_http_status_code(status, &code) < 0 ||
        settle_headers(state, frame, code, draining, headers, opening) < 0 ||
        buffer_status_line(buf, code, status, reason) < 0) {
        return -1;
    }
    return buffer_headers(buf, headers);
}

int
tc_http_write_request_head(tc_state *state, PyObject *method, PyObject *target, PyObject *headers,
                           tc_bytes_buf *buf, tc_http_opening *opening)
{
    PyObject *length = tc_headers_get(headers, state->str_Content_Length), *line = NULL;
    if (length == NULL && PyErr_Occurred()) {
        return -1;
    }
    tc_http_frame_fields fields = {.has_length = length != NULL};
    unsigned plan = opening->plan =
        tc_http_frame_request(is_latin1(method) ? text_value(method) : (tc_http_value){"", 0}, &fields);
    int st = -1;
    if (change_headers(state, headers, plan, NULL, (tc_http_value){NULL, 0}) == 0 &&
        read_length(state, length, opening) == 0 &&
        (line = PyUnicode_FromFormat("%S %S HTTP/1.1", method, target)) != NULL) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(line, &size);
        if (text != NULL && buffer_text(buf, text, (size_t)size) == 0 && tc_headers_end_line(buf, 0) == 0) {
            st = buffer_headers(buf, headers);
        }
    }
    Py_XDECREF(length);
    Py_XDECREF(line);
    return st;
}
