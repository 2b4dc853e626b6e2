/* JSON as json.dumps() writes it, with "</" as "<\/", of what needs no Python: dicts with names of exact str, lists,
 * tuples, str, int, float, bool and None, of exactly these types. Called by json.c, runs no Python: nothing can
 * change what is being written. */
#include "web/json.h"

#include "base/buf.h"

#include <math.h>

#define JSON_DEPTH 64         /* of dicts and lists; what is deeper may contain itself */
#define JSON_KEEP (64 * 1024) /* bytes of a buffer that is kept for the next */

typedef tc_bytes_buf json_out;

/* Status: TC_OK; JSON_OTHER for what is not written here; -ENOMEM. */
enum { JSON_OTHER = 1 };

static int json_value(json_out *out, PyObject *value, int depth);

static int
json_put(json_out *out, const char *text, size_t size)
{
    return tc_buf_append(out, text, size);
}

#define JSON_PUT(out, literal) json_put(out, literal, sizeof(literal) - 1)

/* ---- text ---- */

/* Characters that stand for themselves, whatever is before them. */
static const bool json_plain[256] = {
    [' '] = true, ['!'] = true, ['#' ... '.'] = true, ['0' ... '['] = true, [']' ... '~'] = true,
};

static char *
json_unit(char *at, unsigned unit)
{
    static const char hex[] = "0123456789abcdef";
    *at++ = '\\';
    *at++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) {
        *at++ = hex[unit >> shift & 15];
    }
    return at;
}

/* A character that is not plain, behind `before`. */
static int
json_escape(json_out *out, Py_UCS4 c, Py_UCS4 before)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'};
    char text[12], *at = text;
    if (c == '/') {
        return before == '<' ? JSON_PUT(out, "\\/") : JSON_PUT(out, "/");
    }
    if (c < sizeof(letters) && letters[c] != 0) {
        *at++ = '\\';
        *at++ = letters[c];
    }
    else if (c > 0xffff) {
        at = json_unit(at, Py_UNICODE_HIGH_SURROGATE(c));
        at = json_unit(at, Py_UNICODE_LOW_SURROGATE(c));
    }
    else {
        at = json_unit(at, c);
    }
    return json_put(out, text, (size_t)(at - text));
}

static int
json_narrow(json_out *out, const Py_UCS1 *text, size_t size)
{
    int st = TC_OK;
    for (size_t i = 0; st == TC_OK && i < size; i++) {
        size_t start = i;
        while (i < size && json_plain[text[i]]) {
            i++;
        }
        st = json_put(out, (const char *)text + start, i - start);
        if (st == TC_OK && i < size) {
            st = json_escape(out, text[i], i > 0 ? text[i - 1] : 0);
        }
    }
    return st;
}

static int
json_wide(json_out *out, PyObject *text)
{
    Py_UCS4 before = 0;
    int st = TC_OK;
    for (Py_ssize_t i = 0; st == TC_OK && i < PyUnicode_GET_LENGTH(text); i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(text, i);
        char plain = (char)c;
        st = c < sizeof(json_plain) && json_plain[c] ? json_put(out, &plain, 1) : json_escape(out, c, before);
        before = c;
    }
    return st;
}

static int
json_text(json_out *out, PyObject *text)
{
    int st = JSON_PUT(out, "\"");
    if (st != TC_OK) {
        return st;
    }
    if (TC_LIKELY(PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND)) {
        st = json_narrow(out, PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    }
    else {
        st = json_wide(out, text);
    }
    return st == TC_OK ? JSON_PUT(out, "\"") : st;
}

/* ---- numbers ---- */

static int
json_int(json_out *out, PyObject *number)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    char digits[24], *end = digits + sizeof(digits), *at = end;
    if (overflow != 0) {
        return JSON_OTHER;
    }
    unsigned long long left = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (value < 0) {
        *--at = '-';
    }
    return json_put(out, at, (size_t)(end - at));
}

static int
json_float(json_out *out, PyObject *number)
{
    double value = PyFloat_AS_DOUBLE(number);
    if (!isfinite(value)) {
        return isnan(value) ? JSON_PUT(out, "NaN")
               : value > 0  ? JSON_PUT(out, "Infinity")
                            : JSON_PUT(out, "-Infinity");
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        PyErr_Clear();
        return -ENOMEM;
    }
    int st = json_put(out, text, strlen(text));
    PyMem_Free(text);
    return st;
}

/* ---- what contains others ---- */

static int
json_dict(json_out *out, PyObject *dict, int depth)
{
    PyObject *name, *value;
    bool first = true;
    int st = JSON_PUT(out, "{");
    for (Py_ssize_t pos = 0; st == TC_OK && PyDict_Next(dict, &pos, &name, &value);) {
        if (!PyUnicode_CheckExact(name)) {
            return JSON_OTHER;
        }
        st = first ? TC_OK : JSON_PUT(out, ", ");
        first = false;
        st = st == TC_OK ? json_text(out, name) : st;
        st = st == TC_OK ? JSON_PUT(out, ": ") : st;
        st = st == TC_OK ? json_value(out, value, depth) : st;
    }
    return st == TC_OK ? JSON_PUT(out, "}") : st;
}

static int
json_items(json_out *out, PyObject *const *items, Py_ssize_t count, int depth)
{
    int st = JSON_PUT(out, "[");
    for (Py_ssize_t i = 0; st == TC_OK && i < count; i++) {
        st = i == 0 ? TC_OK : JSON_PUT(out, ", ");
        st = st == TC_OK ? json_value(out, items[i], depth) : st;
    }
    return st == TC_OK ? JSON_PUT(out, "]") : st;
}

static int
json_container(json_out *out, PyObject *value, int depth)
{
    if (depth >= JSON_DEPTH) {
        return JSON_OTHER;
    }
    if (PyDict_CheckExact(value)) {
        return json_dict(out, value, depth + 1);
    }
    if (PyList_CheckExact(value)) {
        return json_items(out, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value), depth + 1);
    }
    if (PyTuple_CheckExact(value)) {
        return json_items(out, ((PyTupleObject *)value)->ob_item, PyTuple_GET_SIZE(value), depth + 1);
    }
    return JSON_OTHER;
}

static int
json_value(json_out *out, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value)) {
        return json_text(out, value);
    }
    if (PyLong_CheckExact(value)) {
        return json_int(out, value);
    }
    if (value == Py_None) {
        return JSON_PUT(out, "null");
    }
    if (value == Py_True) {
        return JSON_PUT(out, "true");
    }
    if (value == Py_False) {
        return JSON_PUT(out, "false");
    }
    return PyFloat_CheckExact(value) ? json_float(out, value) : json_container(out, value, depth);
}

PyObject *
tc_json_bytes(tc_state *state, PyObject *value)
{
    json_out *out = &state->json_buffer;
    PyObject *bytes = NULL;
    out->size = 0;
    int st = json_value(out, value, 0);
    if (st == TC_OK) {
        bytes = PyBytes_FromStringAndSize(out->data, (Py_ssize_t)out->size);
    }
    else if (st < 0) {
        PyErr_NoMemory();
    }
    if (out->cap > JSON_KEEP) {
        tc_buf_free(out);
    }
    return bytes;
}
