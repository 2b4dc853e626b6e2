/* The C base of httputil.HTTPHeaders, a multi-map of header fields that is lazy inside: life, access by key,
 * copying, the type. Called by Python code and by the HTTP drivers, on any thread that holds the
 * interpreter's lock. parts.h lists the other files of this folder.
 *
 * Methods that subclasses override are called as methods: C recognises its own by the identity of slots and
 * functions. What may run Python: overridden methods, a replaced _normalize_header, and names or values that
 * are not str. */
#include "http/headers/parts.h"

#include "base/args.h"
#include "http/headers/names.h"

/* Is update() the one that MutableMapping brought? (The bare C base has none.) */
static inline bool
headers_own_update(tc_state *state, PyTypeObject *type)
{
    PyObject *found = _PyType_Lookup(type, state->str_update);
    return found == state->mapping_update || found == NULL;
}

/* ---- life cycle ---- */

static PyObject *
headers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    if (state == NULL) {
        return NULL;
    }
    HeadersObject *self = (HeadersObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

static int
headers_traverse(HeadersObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return tc_headers_traverse(self, visit, arg);
}

static int
headers_clear(HeadersObject *self)
{
    tc_headers_reset(self);
    return 0;
}

static void
headers_dealloc(HeadersObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tc_headers_reset(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
headers_add_visit(void *arg, PyObject *name, PyObject *value)
{
    HeadersObject *self = arg;
    if (TC_LIKELY(tc_headers_own_add(self))) {
        return tc_headers_add_pair(self, name, value, true);
    }
    PyObject *args[3] = {(PyObject *)self, name, value};
    PyObject *result = PyObject_VectorcallMethod(self->state->str_add, args, 3, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* self.update(*args, **kwargs), as a method. */
static int
headers_call_update(HeadersObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *update = PyObject_GetAttr((PyObject *)self, self->state->str_update);
    PyObject *result = update != NULL ? PyObject_Call(update, args, kwargs) : NULL;
    Py_XDECREF(update);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Sets every item of a dict. Only for exact dicts, and while nothing that this calls runs Python. */
static int
headers_set_all(HeadersObject *self, PyObject *dict)
{
    PyObject *name, *value;
    Py_ssize_t size = PyDict_GET_SIZE(dict);
    int result = 0;
    for (Py_ssize_t pos = 0; result == 0 && PyDict_Next(dict, &pos, &name, &value);) {
        Py_INCREF(name); /* the collector may run Python that changes the dict */
        Py_INCREF(value);
        PyObject *normalized = tc_names_normalize(self->state, name);
        result = normalized != NULL ? tc_headers_store(self, normalized, value) : -1;
        Py_XDECREF(normalized);
        Py_DECREF(name);
        Py_DECREF(value);
        if (TC_UNLIKELY(result == 0 && PyDict_GET_SIZE(dict) != size)) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            result = -1;
        }
    }
    return result;
}

/* May the items of this dict be stored without running Python? */
static bool
headers_sets_itself(HeadersObject *self, PyObject *dict)
{
    return PyDict_CheckExact(dict) && tc_headers_own_setitem((PyObject *)self) &&
           !tc_names_replaced(self->state);
}

/* May headers_set_all take the items of such a dict? */
static bool
headers_may_set_all(PyObject *dict)
{
    PyObject *name, *value;
    for (Py_ssize_t pos = 0; PyDict_Next(dict, &pos, &name, &value);) {
        if (!PyUnicode_CheckExact(name) || !PyUnicode_IS_ASCII(name)) {
            return false;
        }
    }
    return true;
}

static int
headers_init(HeadersObject *self, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t nargs = PyTuple_GET_SIZE(args);
    bool has_kwargs = kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0;
    if (TC_UNLIKELY(!tc_headers_is_empty(self))) {
        tc_headers_reset(self);
    }
    if (nargs == 1 && !has_kwargs &&
        PyObject_TypeCheck(PyTuple_GET_ITEM(args, 0), self->state->headers_type)) {
        int result = tc_headers_each(PyTuple_GET_ITEM(args, 0), headers_add_visit, self);
        return result == 0 ? 0 : -1;
    }
    if (TC_LIKELY(headers_own_update(self->state, Py_TYPE(self)))) {
        if (nargs == 0 && !has_kwargs) {
            return 0;
        }
        PyObject *items = nargs == 0 ? kwargs : nargs == 1 && !has_kwargs ? PyTuple_GET_ITEM(args, 0) : NULL;
        if (items != NULL && headers_sets_itself(self, items)) {
            if (TC_LIKELY(tc_headers_take_pairs(self, items))) {
                return 0;
            }
            if (headers_may_set_all(items)) {
                return headers_set_all(self, items);
            }
        }
    }
    return headers_call_update(self, args, kwargs);
}

/* Does making an instance of the face run no Python and leave it empty? */
static bool
headers_new_is_plain(tc_state *state, PyObject *face)
{
    PyTypeObject *type = (PyTypeObject *)face;
    return PyType_Check(face) && type->tp_new == headers_new && type->tp_init == (initproc)headers_init &&
           headers_own_update(state, type);
}

PyObject *
tc_headers_new(tc_state *state)
{
    PyObject *face = tc_face(state, HTTPHeaders);
    if (face == NULL) {
        return NULL;
    }
    if (TC_UNLIKELY(!headers_new_is_plain(state, face))) {
        return PyObject_CallNoArgs(face);
    }
    PyTypeObject *type = (PyTypeObject *)face;
    HeadersObject *self = (HeadersObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

PyObject *
tc_headers_from_block(tc_state *state, const char *block, size_t size)
{
    PyObject *obj = tc_headers_new(state);
    if (obj == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(obj, state->headers_type)) {
        PyErr_SetString(PyExc_TypeError, "the registered HTTPHeaders is not a HeadersBase");
        Py_DECREF(obj);
        return NULL;
    }
    if (tc_headers_take_block((HeadersObject *)obj, block, size) < 0) {
        Py_CLEAR(obj);
    }
    return obj;
}

/* ---- methods ---- */

PyDoc_STRVAR(headers_get_list_doc,
             "get_list($self, name)\n--\n\n"
             "All values of a header, in the order they were added; an empty list if there are none.");

static PyObject *
headers_get_list(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_name}, *out[1];
    if (tc_args_parse("get_list", args, nargs, kwnames, names, 1, 1, out) < 0) {
        return NULL;
    }
    PyObject *name = tc_names_normalize(self->state, out[0]);
    PyObject *values = name != NULL ? tc_headers_values(self, name) : NULL;
    Py_XDECREF(name);
    return values;
}

PyObject *
tc_headers_getitem(HeadersObject *self, PyObject *key)
{
    PyObject *name = tc_names_normalize(self->state, key);
    if (name == NULL) {
        return NULL;
    }
    PyObject *value = tc_headers_lookup(self, name);
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, name);
    }
    Py_DECREF(name);
    return value;
}

int
tc_headers_setitem(HeadersObject *self, PyObject *key, PyObject *value)
{
    PyObject *name = tc_names_normalize(self->state, key);
    if (name == NULL) {
        return -1;
    }
    int result = value != NULL ? tc_headers_store(self, name, value) : tc_headers_delete(self, name);
    Py_DECREF(name);
    return result;
}

int
tc_headers_has(HeadersObject *self, PyObject *key)
{
    if (!PyUnicode_Check(key)) {
        return 0;
    }
    PyObject *name = tc_names_normalize(self->state, key);
    int found = name != NULL ? tc_headers_has_field(self, name) : -1;
    Py_XDECREF(name);
    return found;
}

static Py_ssize_t
headers_length(HeadersObject *self)
{
    PyObject *fields = tc_headers_fields(self);
    return fields != NULL ? PyDict_GET_SIZE(fields) : -1;
}

PyObject *
tc_headers_iter(HeadersObject *self)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    PyObject *iterator = fields != NULL ? PyObject_GetIter(fields) : NULL;
    Py_XDECREF(fields);
    return iterator;
}

PyDoc_STRVAR(headers_get_doc,
             "get($self, key, default=None)\n--\n\n"
             "The value of a header, several joined by commas, or the default if there is none.");

static PyObject *
headers_get(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[2] = {state->str_key, state->str_default}, *out[2], *value;
    if (tc_args_parse("get", args, nargs, kwnames, names, 2, 1, out) < 0) {
        return NULL;
    }
    PyObject *fallback = out[1] != NULL ? out[1] : Py_None;
    if (TC_LIKELY(tc_headers_own_getitem((PyObject *)self))) {
        PyObject *name = tc_names_normalize(state, out[0]);
        value = name != NULL ? tc_headers_lookup(self, name) : NULL;
        Py_XDECREF(name);
        if (value == NULL && !PyErr_Occurred()) {
            return Py_NewRef(fallback);
        }
    }
    else {
        value = PyObject_GetItem((PyObject *)self, out[0]);
    }
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        return Py_NewRef(fallback);
    }
    return value;
}

PyDoc_STRVAR(headers_copy_doc, "copy($self, /)\n--\n\n"
                               "A new HTTPHeaders with the same values, independent of this one.");
PyDoc_STRVAR(headers_dunder_copy_doc, "__copy__($self, /)\n--\n\n"
                                      "As copy(): the copy's lists of values are its own.");

static PyObject *
headers_copy(HeadersObject *self, PyObject *ignored)
{
    PyObject *face = tc_face(self->state, HTTPHeaders);
    return face != NULL ? PyObject_CallOneArg(face, (PyObject *)self) : NULL;
}

/* Appends "name: value\n" to a list of str. */
static int
headers_str_visit(void *arg, PyObject *name, PyObject *value)
{
    PyObject *line = PyUnicode_FromFormat("%S: %S\n", name, value);
    int result = line != NULL ? PyList_Append(arg, line) : -1;
    Py_XDECREF(line);
    return result;
}

PyDoc_STRVAR(headers_unicode_doc, "__unicode__($self, /)\n--\n\n"
                                  "As str(): a line for each value.");

static PyObject *
headers_str(HeadersObject *self)
{
    PyObject *lines = PyList_New(0), *empty = PyUnicode_New(0, 0), *text = NULL;
    if (lines != NULL && empty != NULL && tc_headers_each((PyObject *)self, headers_str_visit, lines) == 0) {
        text = PyUnicode_Join(empty, lines);
    }
    Py_XDECREF(lines);
    Py_XDECREF(empty);
    return text;
}

static PyObject *
headers_unicode(HeadersObject *self, PyObject *ignored)
{
    return headers_str(self);
}

PyDoc_STRVAR(headers_from_block_doc,
             "_from_block($type, block, /)\n--\n\n"
             "A new HTTPHeaders over the bytes of a valid header block, parsed when first touched.");

static PyObject *
headers_from_block(PyTypeObject *type, PyObject *block)
{
    tc_state *state = tc_state_of(type);
    char *data;
    Py_ssize_t size;
    if (state == NULL || PyBytes_AsStringAndSize(block, &data, &size) < 0) {
        return NULL;
    }
    return tc_headers_from_block(state, data, (size_t)size);
}

PyDoc_STRVAR(headers_serialize_doc, "_serialize($self, /)\n--\n\n"
                                    "The lines of a message head as bytes, each ended by CRLF.\n\n"
                                    ":raises ValueError: there is CR, LF or NUL in a line.");

static PyObject *
headers_serialize(HeadersObject *self, PyObject *ignored)
{
    tc_bytes_buf out = {0};
    PyObject *result = NULL;
    if (tc_headers_serialize((PyObject *)self, &out) == 0) {
        result = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
    }
    tc_buf_free(&out);
    return result;
}

PyDoc_STRVAR(headers_get_all_doc,
             "get_all($self, /)\n--\n\n"
             "An iterator of (name, value) pairs; a name with several values comes once for each.");

/* ---- the type ---- */

static PyMethodDef headers_methods[] = {
    {"add", TC_METHOD(tc_headers_add), tc_headers_add_doc},
    {"get_list", TC_METHOD(headers_get_list), headers_get_list_doc},
    {"get_all", (PyCFunction)tc_headers_get_all, METH_NOARGS, headers_get_all_doc},
    {"get", TC_METHOD(headers_get), headers_get_doc},
    {"parse_line", TC_METHOD(tc_headers_parse_line), tc_headers_parse_line_doc},
    {"parse", TC_METHOD(tc_headers_parse) | METH_CLASS, tc_headers_parse_doc},
    {"copy", (PyCFunction)headers_copy, METH_NOARGS, headers_copy_doc},
    {"_from_block", (PyCFunction)headers_from_block, METH_O | METH_CLASS, headers_from_block_doc},
    {"_serialize", (PyCFunction)headers_serialize, METH_NOARGS, headers_serialize_doc},
    {"__copy__", (PyCFunction)headers_copy, METH_NOARGS, headers_dunder_copy_doc},
    {"__unicode__", (PyCFunction)headers_unicode, METH_NOARGS, headers_unicode_doc},
    {"__getstate__", (PyCFunction)tc_headers_getstate, METH_NOARGS, tc_headers_getstate_doc},
    {"__setstate__", (PyCFunction)tc_headers_setstate, METH_O, tc_headers_setstate_doc},
    {"__reduce__", (PyCFunction)tc_headers_reduce, METH_NOARGS, tc_headers_reduce_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(headers_doc, "HeadersBase(*args, **kwargs)\n--\n\nThe C part of httputil.HTTPHeaders.");

static PyType_Slot headers_slots[] = {
    {Py_tp_doc, (void *)headers_doc},
    {Py_tp_new, headers_new},
    {Py_tp_init, headers_init},
    {Py_tp_traverse, headers_traverse},
    {Py_tp_clear, headers_clear},
    {Py_tp_dealloc, headers_dealloc},
    {Py_tp_iter, tc_headers_iter},
    {Py_tp_str, headers_str},
    {Py_tp_methods, headers_methods},
    {Py_tp_getset, tc_headers_getset},
    {Py_mp_length, headers_length},
    {Py_mp_subscript, tc_headers_getitem},
    {Py_mp_ass_subscript, tc_headers_setitem},
    {Py_sq_contains, tc_headers_has},
    {0, NULL},
};

static PyType_Spec headers_spec = {
    .name = "tornado_c._core.HeadersBase",
    .basicsize = sizeof(HeadersObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = headers_slots,
};

int
tc_headers_init_type(PyObject *module, tc_state *state)
{
    state->headers_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &headers_spec, NULL);
    state->mapping_update = PyObject_GetAttr(state->mutable_mapping, state->str_update);
    if (state->mapping_update == NULL) {
        return -1;
    }
    return state->headers_type != NULL ? PyModule_AddType(module, state->headers_type) : -1;
}
