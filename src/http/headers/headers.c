/* Access to an HTTPHeaders for the rest of C, see headers.h. Called by the HTTP drivers and
 * by handlers. What a class has overridden is called as a method; only then does anything here run Python. */
#include "http/headers/parts.h"

bool
tc_headers_plain(PyObject *obj)
{
    return tc_headers_own_getitem(obj) && Py_TYPE(obj)->tp_iter == (getiterfunc)tc_headers_iter &&
           tc_headers_is_own(Py_TYPE(obj), ((HeadersObject *)obj)->state->str_get_all, tc_headers_get_all);
}

int
tc_headers_set(PyObject *headers, PyObject *normalized_name, PyObject *value)
{
    if (TC_LIKELY(tc_headers_own_setitem(headers))) {
        return tc_headers_store((HeadersObject *)headers, normalized_name, value);
    }
    return PyObject_SetItem(headers, normalized_name, value);
}

int
tc_headers_fill(PyObject *headers, PyObject *const *pairs, size_t count)
{
    if (TC_LIKELY(tc_headers_own_setitem(headers) && tc_headers_is_empty((HeadersObject *)headers) &&
                  count <= TC_HEADERS_PAIRS)) {
        tc_headers_first_pairs((HeadersObject *)headers, pairs, count);
        return 0;
    }
    int st = 0;
    for (size_t i = 0; st == 0 && i < count; i++) {
        st = tc_headers_set(headers, pairs[2 * i], pairs[2 * i + 1]);
    }
    return st;
}

PyObject *
tc_headers_get(PyObject *headers, PyObject *normalized_name)
{
    if (TC_LIKELY(tc_headers_own_getitem(headers))) {
        return tc_headers_lookup((HeadersObject *)headers, normalized_name);
    }
    PyObject *value = PyObject_GetItem(headers, normalized_name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
    }
    return value;
}

int
tc_headers_get_each(PyObject *headers, PyObject *const *normalized_names, PyObject **values, size_t count)
{
    memset(values, 0, count * sizeof(*values));
    if (TC_LIKELY(tc_headers_own_getitem(headers) && tc_headers_in_pairs((HeadersObject *)headers))) {
        tc_headers_pairs_each((HeadersObject *)headers, normalized_names, values, count);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = tc_headers_get(headers, normalized_names[i]);
        if (values[i] == NULL && PyErr_Occurred()) {
            while (i > 0) {
                Py_CLEAR(values[--i]);
            }
            return -1;
        }
    }
    return 0;
}

int
tc_headers_contains(PyObject *headers, PyObject *normalized_name)
{
    if (TC_LIKELY(tc_headers_own_contains(headers))) {
        return tc_headers_has_field((HeadersObject *)headers, normalized_name);
    }
    return PySequence_Contains(headers, normalized_name);
}
