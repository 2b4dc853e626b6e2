/* What HTTPHeaders accepts as names and values, and Tornado's messages for what it rejects. Called by add.c.
 * Runs Python only for error messages. */
#include "http/headers/parts.h"

bool
tc_headers_is_token(PyObject *text)
{
    if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
        return false; /* it has a character beyond Latin-1 */
    }
    const char *p = (const char *)PyUnicode_1BYTE_DATA(text), *end = p + PyUnicode_GET_LENGTH(text);
    return p < end && tc_http_scan_token(p, p, end) == end;
}

/* Is this a field value? For HTTP, where characters stand for bytes: visible ones and those above 0x7f, with
 * blanks between them. Otherwise (multipart parts): anything but control characters, tab allowed. */
static bool
headers_is_value(PyObject *text, bool chars_are_bytes)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (TC_LIKELY(kind == PyUnicode_1BYTE_KIND)) {
        const char *p = data;
        if (tc_http_scan_value(p, p, p + size) != p + size) {
            return false;
        }
    }
    else if (chars_are_bytes) {
        return false; /* it has a character beyond Latin-1 */
    }
    else {
        for (Py_ssize_t i = 0; i < size; i++) {
            Py_UCS4 c = PyUnicode_READ(kind, data, i);
            if (c < 0x80 && !tc_http_char_is((char)c, TC_CHAR_VALUE)) {
                return false;
            }
        }
    }
    return !chars_are_bytes || size == 0 ||
           (!tc_http_is_blank(PyUnicode_READ(kind, data, 0)) &&
            !tc_http_is_blank(PyUnicode_READ(kind, data, size - 1)));
}

int
tc_headers_raise(tc_state *state, const char *message)
{
    PyObject *error = tc_face(state, HTTPInputError);
    if (error != NULL) {
        PyErr_SetString(error, message);
    }
    return -1;
}

/* Raises HTTPInputError("Invalid header <what> <repr>"). */
int
tc_headers_raise_invalid(tc_state *state, const char *what, PyObject *obj)
{
    PyObject *error = tc_face(state, HTTPInputError);
    if (error != NULL) {
        PyErr_Format(error, "Invalid header %s %R", what, obj);
    }
    return -1;
}

/* Raises what `re` raises when a str pattern meets something that is not a str. */
int
tc_headers_raise_not_str(PyObject *obj)
{
    if (PyObject_CheckBuffer(obj)) {
        PyErr_SetString(PyExc_TypeError, "cannot use a string pattern on a bytes-like object");
    }
    else {
        PyErr_Format(PyExc_TypeError, "expected string or bytes-like object, got '%.200s'",
                     Py_TYPE(obj)->tp_name);
    }
    return -1;
}

int
tc_headers_check_value(tc_state *state, PyObject *value, bool chars_are_bytes)
{
    PyObject *text = NULL;
    if (TC_LIKELY(PyUnicode_Check(value))) {
        text = Py_NewRef(value);
    }
    else if (!chars_are_bytes || value == Py_None) {
        return tc_headers_raise_not_str(value);
    }
    else if (PyBytes_Check(value)) {
        text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL);
    }
    else {
        PyErr_Format(PyExc_TypeError, "Expected bytes, unicode, or None; got %R", Py_TYPE(value));
    }
    if (text == NULL) {
        return -1;
    }
    bool valid = headers_is_value(text, chars_are_bytes);
    Py_DECREF(text);
    return valid ? 0 : tc_headers_raise_invalid(state, "value", value);
}
