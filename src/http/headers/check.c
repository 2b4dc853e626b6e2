/* What may stand in a header: names and values as HTTPHeaders accepts them, and Tornado's words for what it
 * does not. Called by type.c. Runs no Python but for error messages. */
#include "http/headers/parts.h"

/* tchar of RFC 9110: letters, digits and !#$%&'*+-.^_`|~ */
static inline bool
headers_is_token_char(Py_UCS4 c)
{
    static const uint32_t bits[4] = {0x00000000, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    return c < 128 && (bits[c >> 5] >> (c & 31) & 1) != 0;
}

bool
tc_headers_is_token(int kind, const void *data, Py_ssize_t start, Py_ssize_t end)
{
    for (Py_ssize_t i = start; i < end; i++) {
        if (!headers_is_token_char(PyUnicode_READ(kind, data, i))) {
            return false;
        }
    }
    return start < end;
}

/* Is this a field value? For HTTP, where characters stand for bytes: visible ones and those above 0x7f, with
 * blanks between them. Otherwise (multipart parts): anything but control characters, tab allowed. */
static bool
headers_is_value(int kind, const void *data, Py_ssize_t start, Py_ssize_t end, bool chars_are_bytes)
{
    Py_UCS4 max = chars_are_bytes ? 0xff : 0x10ffff;
    bool bad = false;
    if (kind == PyUnicode_1BYTE_KIND) {
        const Py_UCS1 *p = data;
        for (Py_ssize_t i = start; i < end; i++) {
            bad |= (p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f;
        }
    }
    else {
        for (Py_ssize_t i = start; i < end; i++) {
            Py_UCS4 c = PyUnicode_READ(kind, data, i);
            bad |= (c < 0x20 && c != '\t') || c == 0x7f || c > max;
        }
    }
    if (bad || start == end || !chars_are_bytes) {
        return !bad;
    }
    return !tc_headers_is_blank(PyUnicode_READ(kind, data, start)) &&
           !tc_headers_is_blank(PyUnicode_READ(kind, data, end - 1));
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
    bool valid = headers_is_value(PyUnicode_KIND(text), PyUnicode_DATA(text), 0, PyUnicode_GET_LENGTH(text),
                                  chars_are_bytes);
    Py_DECREF(text);
    return valid ? 0 : tc_headers_raise_invalid(state, "value", value);
}
