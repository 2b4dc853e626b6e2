/* See http_fields.h. Called by the request and by tornado_c/escape.py; runs no Python. */
#include "http/http_fields.h"

#include "base/args.h"
#include "http/http_chars.h"

/* Puts the bytes that %XX stand for in their place; a percent sign without two hex digits stays. `plus`
 * stands for a plus sign. Returns how much of `to`, which has room for `size` bytes, was written. */
static size_t
fields_decode(const char *from, size_t size, char plus, char *to)
{
    const char *end = from + size;
    char *start = to;
    for (; from < end; from++) {
        int high = -1, low = -1;
        if (*from == '%' && end - from > 2) {
            high = tc_http_hex_digit(from[1]);
            low = tc_http_hex_digit(from[2]);
        }
        if (high >= 0 && low >= 0) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        }
        else {
            *to++ = *from == '+' ? plus : *from;
        }
    }
    return (size_t)(to - start);
}

static PyObject *
fields_bytes(const char *text, size_t size, char plus)
{
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (value != NULL) {
        size_t decoded = fields_decode(text, size, plus, PyBytes_AS_STRING(value));
        if (decoded < size) {
            _PyBytes_Resize(&value, (Py_ssize_t)decoded);
        }
    }
    return value;
}

PyObject *
tc_http_unquote(const char *text, size_t size)
{
    return fields_bytes(text, size, '+');
}

static PyObject *
fields_name(const char *text, size_t size)
{
    char buffer[100];
    if (TC_LIKELY(size <= sizeof(buffer))) {
        return PyUnicode_DecodeLatin1(buffer, (Py_ssize_t)fields_decode(text, size, ' ', buffer), NULL);
    }
    PyObject *raw = fields_bytes(text, size, ' ');
    PyObject *name =
        raw != NULL ? PyUnicode_DecodeLatin1(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), NULL) : NULL;
    Py_XDECREF(raw);
    return name;
}

/* Adds a value to the list of a name. 0 or -1. */
static int
fields_add(PyObject *fields, PyObject *name, PyObject *value)
{
    PyObject *list;
    int st = PyDict_GetItemRef(fields, name, &list);
    if (st > 0) {
        st = PyList_Append(list, value);
    }
    else if (st == 0) {
        list = PyList_New(1);
        st = list != NULL ? 0 : -1;
        if (list != NULL) {
            PyList_SET_ITEM(list, 0, Py_NewRef(value));
            st = PyDict_SetItem(fields, name, list);
        }
    }
    Py_XDECREF(list);
    return st;
}

PyObject *
tc_http_fields(const char *text, size_t size, bool keep_blank)
{
    const char *end = text + size;
    PyObject *fields = PyDict_New();
    while (fields != NULL && text < end) {
        const char *next = memchr(text, '&', (size_t)(end - text));
        const char *stop = next != NULL ? next : end;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        const char *value_start = equals != NULL ? equals + 1 : stop;
        if (stop > text && (keep_blank || stop > value_start)) {
            PyObject *name = fields_name(text, (size_t)((equals != NULL ? equals : stop) - text));
            PyObject *value =
                name != NULL ? fields_bytes(value_start, (size_t)(stop - value_start), ' ') : NULL;
            if (value == NULL || fields_add(fields, name, value) < 0) {
                Py_CLEAR(fields);
            }
            Py_XDECREF(name);
            Py_XDECREF(value);
        }
        text = stop + 1;
    }
    return fields;
}

PyObject *
tc_http_parse_fields(PyObject *unused, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer data;
    if (tc_args_check("parse_fields", nargs, 2, 2) < 0) {
        return NULL;
    }
    int keep = PyObject_IsTrue(args[1]);
    if (keep < 0 || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *fields = tc_http_fields(data.buf, (size_t)data.len, keep);
    PyBuffer_Release(&data);
    return fields;
}

PyObject *
tc_http_unquote_bytes(PyObject *unused, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        return PyErr_Format(PyExc_TypeError, "expected bytes, got %.200s", Py_TYPE(data)->tp_name);
    }
    return tc_http_unquote(PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
}
