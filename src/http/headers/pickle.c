/* The state of an HTTPHeaders as Python sees it: the two dicts that Tornado's class has, and how pickle and
 * copy.deepcopy use them. Called by Python code; handing out a dict moves the instance to EXPOSED, for
 * good. */
#include "http/headers/parts.h"

const char tc_headers_getstate_doc[] =
    PyDoc_STR("__getstate__($self, /)\n--\n\n"
              "What pickle keeps: the attributes, those of Tornado's own HTTPHeaders.");

PyObject *
tc_headers_getstate(HeadersObject *self, PyObject *ignored)
{
    PyObject *attributes = NULL, *as_list = NULL, *combined_cache = NULL;
    PyObject *result = tc_headers_expose(self, &as_list, &combined_cache) == 0 ? PyDict_New() : NULL;
    if (result == NULL || PyDict_SetItem(result, self->state->str__as_list, as_list) < 0 ||
        PyDict_SetItem(result, self->state->str__combined_cache, combined_cache) < 0 ||
        PyObject_GetOptionalAttr((PyObject *)self, self->state->str___dict__, &attributes) < 0 ||
        (attributes != NULL && PyDict_Update(result, attributes) < 0)) {
        Py_CLEAR(result);
    }
    Py_XDECREF(as_list);
    Py_XDECREF(combined_cache);
    Py_XDECREF(attributes);
    return result;
}

static int
headers_check_dict(PyObject *value)
{
    if (value != NULL && PyDict_Check(value)) {
        return 0;
    }
    PyErr_SetString(PyExc_TypeError, "the values of HTTPHeaders are kept in a dict");
    return -1;
}

static int
headers_set_as_list(HeadersObject *self, PyObject *value, void *unused)
{
    return headers_check_dict(value) < 0 ? -1 : tc_headers_set_as_list(self, value);
}

static int
headers_set_combined_cache(HeadersObject *self, PyObject *value, void *unused)
{
    return headers_check_dict(value) < 0 ? -1 : tc_headers_set_combined_cache(self, value);
}

const char tc_headers_setstate_doc[] =
    PyDoc_STR("__setstate__($self, state, /)\n--\n\n"
              "Restore what __getstate__ gave, or the dict of a pickled HTTPHeaders of Tornado's.");

PyObject *
tc_headers_setstate(HeadersObject *self, PyObject *values)
{
    PyObject *attributes = NULL, *items;
    if (!PyDict_Check(values)) {
        PyErr_Format(PyExc_TypeError, "state must be a dict, not %.200s", Py_TYPE(values)->tp_name);
        return NULL;
    }
    if ((items = PyDict_Items(values)) == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *key = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        int result, is_list = PyObject_RichCompareBool(key, self->state->str__as_list, Py_EQ);
        int is_cache = PyObject_RichCompareBool(key, self->state->str__combined_cache, Py_EQ);
        if (is_list < 0 || is_cache < 0) {
            goto error;
        }
        if (is_list) {
            result = headers_set_as_list(self, value, NULL);
        }
        else if (is_cache) {
            result = headers_set_combined_cache(self, value, NULL);
        }
        else {
            if (attributes == NULL &&
                (attributes = PyObject_GetAttr((PyObject *)self, self->state->str___dict__)) == NULL) {
                goto error;
            }
            result = PyObject_SetItem(attributes, key, value);
        }
        if (result < 0) {
            goto error;
        }
    }
    Py_XDECREF(attributes);
    Py_DECREF(items);
    Py_RETURN_NONE;
error:
    Py_XDECREF(attributes);
    Py_DECREF(items);
    return NULL;
}

const char tc_headers_reduce_doc[] = PyDoc_STR("__reduce__($self, /)\n--\n\n"
                                               "For pickle and copy.deepcopy: the class and __getstate__().");

PyObject *
tc_headers_reduce(HeadersObject *self, PyObject *ignored)
{
    PyObject *values = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str___getstate__);
    if (values == NULL) {
        return NULL;
    }
    return Py_BuildValue("O(O)N", self->state->copyreg_newobj, Py_TYPE(self), values);
}

static PyObject *
headers_get_as_list(HeadersObject *self, void *unused)
{
    PyObject *dict;
    return tc_headers_expose(self, &dict, NULL) == 0 ? dict : NULL;
}

static PyObject *
headers_get_combined_cache(HeadersObject *self, void *unused)
{
    PyObject *dict;
    return tc_headers_expose(self, NULL, &dict) == 0 ? dict : NULL;
}

PyGetSetDef tc_headers_getset[] = {
    {"_as_list", (getter)headers_get_as_list, (setter)headers_set_as_list,
     "The dict of all values: name -> list.", NULL},
    {"_combined_cache", (getter)headers_get_combined_cache, (setter)headers_set_combined_cache,
     "The dict of combined values that are known.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
