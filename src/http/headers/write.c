/* The lines of a message head, from the pairs of an HTTPHeaders. Called by the HTTP drivers. Runs Python for
 * instances that are not plain (see headers.h) and for names or values that are not str. */
#include "http/headers/parts.h"

typedef struct {
    tc_bytes_buf *out;
    size_t bad_off; /* the first illegal line, if bad_size is not 0 */
    size_t bad_size;
} headers_writer;

static inline bool
headers_line_is_legal(const tc_bytes_buf *out, size_t from, size_t to)
{
    const char *end = out->data + to;
    return tc_http_scan_line(out->data, out->data + from, end) == end;
}

static void
headers_raise_line(const char *line, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(line, (Py_ssize_t)size);
    if (bytes != NULL) {
        PyErr_Format(PyExc_ValueError, "Illegal characters (CR or LF) in header: %R", bytes);
        Py_DECREF(bytes);
    }
}

int
tc_headers_end_line(tc_bytes_buf *out, size_t start)
{
    if (TC_UNLIKELY(tc_buf_reserve(out, 2) != TC_OK)) {
        PyErr_NoMemory();
        return -1;
    }
    if (TC_UNLIKELY(!headers_line_is_legal(out, start, out->size))) {
        headers_raise_line(out->data + start, out->size - start);
        return -1;
    }
    memcpy(out->data + out->size, "\r\n", 2);
    out->size += 2;
    return 0;
}

/* The str that Tornado's native_str makes of an object: bytes are UTF-8, None stays; a new reference. */
static PyObject *
headers_native(PyObject *obj)
{
    if (PyUnicode_Check(obj) || obj == Py_None) {
        return Py_NewRef(obj);
    }
    if (PyBytes_Check(obj)) {
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(obj), PyBytes_GET_SIZE(obj), NULL);
    }
    PyErr_Format(PyExc_TypeError, "Expected bytes, unicode, or None; got %R", Py_TYPE(obj));
    return NULL;
}

/* The line of a pair that is not two narrow str: Latin-1 bytes without a line end, or NULL with the exception
 * that name + ": " + value and its encoding raise. */
static PyObject *
headers_slow_line(PyObject *name, PyObject *value)
{
    PyObject *line = NULL, *bytes = NULL, *text = NULL, *start = NULL;
    PyObject *key = headers_native(name), *colon = PyUnicode_FromString(": ");
    if (key == NULL || colon == NULL || (start = PyNumber_Add(key, colon)) == NULL ||
        (text = headers_native(value)) == NULL || (line = PyNumber_Add(start, text)) == NULL) {
        goto done;
    }
    bytes = PyUnicode_AsLatin1String(line);
done:
    Py_XDECREF(key);
    Py_XDECREF(colon);
    Py_XDECREF(start);
    Py_XDECREF(text);
    Py_XDECREF(line);
    return bytes;
}

static inline bool
headers_is_narrow(PyObject *obj)
{
    return PyUnicode_Check(obj) && PyUnicode_KIND(obj) == PyUnicode_1BYTE_KIND;
}

static int
headers_write_visit(void *arg, PyObject *name, PyObject *value)
{
    headers_writer *writer = arg;
    tc_bytes_buf *out = writer->out;
    PyObject *bytes = NULL;
    const char *head, *tail = "";
    size_t head_size, tail_size = 0, extra;
    if (TC_LIKELY(headers_is_narrow(name) && headers_is_narrow(value))) {
        head = (const char *)PyUnicode_1BYTE_DATA(name);
        head_size = (size_t)PyUnicode_GET_LENGTH(name);
        tail = (const char *)PyUnicode_1BYTE_DATA(value);
        tail_size = (size_t)PyUnicode_GET_LENGTH(value);
        extra = 2;
    }
    else {
        if ((bytes = headers_slow_line(name, value)) == NULL) {
            return -1;
        }
        head = PyBytes_AS_STRING(bytes);
        head_size = (size_t)PyBytes_GET_SIZE(bytes);
        extra = 0;
    }
    size_t size = head_size + extra + tail_size;
    if (TC_UNLIKELY(tc_buf_reserve(out, size + 2) != TC_OK)) {
        Py_XDECREF(bytes);
        PyErr_NoMemory();
        return -1;
    }
    char *line = out->data + out->size;
    memcpy(line, head, head_size);
    if (extra > 0) {
        memcpy(line + head_size, ": ", 2);
        memcpy(line + head_size + 2, tail, tail_size);
    }
    memcpy(line + size, "\r\n", 2);
    Py_XDECREF(bytes);
    if (TC_UNLIKELY(!headers_line_is_legal(out, out->size, out->size + size)) && writer->bad_size == 0) {
        writer->bad_off = out->size;
        writer->bad_size = size;
    }
    out->size += size + 2;
    return 0;
}

static inline char *
headers_put(char *p, PyObject *narrow)
{
    size_t size = (size_t)PyUnicode_GET_LENGTH(narrow);
    memcpy(p, PyUnicode_1BYTE_DATA(narrow), size);
    return p + size;
}

/* The lines of pairs that are all narrow, checked together at the end: 1, 0 where they must be looked at one
 * by one (nothing is written then), or -1. */
static int
headers_write_pairs(HeadersObject *self, tc_bytes_buf *out)
{
    PyObject *name, *value;
    size_t size = 0, count = 0;
    for (; tc_headers_pair_at(self, count, &name, &value); count++) {
        if (PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND) {
            return 0;
        }
        size += (size_t)(PyUnicode_GET_LENGTH(name) + PyUnicode_GET_LENGTH(value)) + 4;
    }
    if (TC_UNLIKELY(tc_buf_reserve(out, size) != TC_OK)) {
        PyErr_NoMemory();
        return -1;
    }
    char *start = out->data + out->size, *p = start;
    for (size_t i = 0; tc_headers_pair_at(self, i, &name, &value); i++) {
        p = headers_put(p, name);
        *p++ = ':';
        *p++ = ' ';
        p = headers_put(p, value);
        *p++ = '\r';
        *p++ = '\n';
    }
    if (TC_UNLIKELY(tc_http_count_line_stops(start, p) != 2 * count)) {
        return 0;
    }
    out->size += size;
    return 1;
}

int
tc_headers_serialize(PyObject *headers, tc_bytes_buf *out)
{
    size_t before = out->size;
    headers_writer writer = {.out = out};
    HeadersObject *self = (HeadersObject *)headers;
    int result = 0;
    if (TC_LIKELY(tc_headers_plain(headers) && tc_headers_in_pairs(self))) {
        PyObject *name, *value;
        int written = headers_write_pairs(self, out);
        if (TC_LIKELY(written != 0)) {
            return written < 0 ? -1 : 0;
        }
        for (size_t i = 0; result == 0 && tc_headers_pair_at(self, i, &name, &value); i++) {
            result = headers_write_visit(&writer, name, value); /* runs no Python: they are all str */
        }
    }
    else {
        result = tc_headers_each(headers, headers_write_visit, &writer);
    }
    if (TC_UNLIKELY(result == 0 && writer.bad_size > 0)) {
        headers_raise_line(out->data + writer.bad_off, writer.bad_size);
        result = -1;
    }
    if (TC_UNLIKELY(result < 0)) {
        out->size = before;
    }
    return result;
}
