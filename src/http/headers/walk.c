/* The pairs of an HTTPHeaders, in order: the iterator behind get_all, and the walk for C. Called by Python
 * code and by the HTTP drivers. Runs Python for instances that are not plain (see headers.h) and for names or
 * values that are not str. */
#include "http/headers/parts.h"

/* ---- the iterator ---- */

typedef struct {
    PyObject_HEAD HeadersObject *headers; /* NULL when exhausted */
    PyObject *items;  /* iterator over the fields' items; NULL until the first step, as in a generator */
    PyObject *name;   /* of the field in progress */
    PyObject *values; /* its list, or NULL */
    PyObject *single; /* its only value, already returned, or NULL */
    Py_ssize_t index; /* of the next value in `values` */
    bool running;     /* in the call for the next field */
} HeaderPairsObject;

static int
header_pairs_clear(HeaderPairsObject *self)
{
    Py_CLEAR(self->headers);
    Py_CLEAR(self->items);
    Py_CLEAR(self->name);
    Py_CLEAR(self->values);
    Py_CLEAR(self->single);
    return 0;
}

static int
header_pairs_traverse(HeaderPairsObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->headers);
    Py_VISIT(self->items);
    Py_VISIT(self->name);
    Py_VISIT(self->values);
    Py_VISIT(self->single);
    return 0;
}

static void
header_pairs_dealloc(HeaderPairsObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    header_pairs_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The values after a single one that has been returned: there are some if a value was added in between, which
 * made it a list. */
static int
header_pairs_follow(HeaderPairsObject *self)
{
    PyObject *name = Py_XNewRef(self->name), *single = self->single, *slot;
    self->single = NULL;
    int found = tc_headers_find_slot(self->headers, name, &slot);
    if (found > 0 && PyList_CheckExact(slot) && PyList_GET_SIZE(slot) > 1 &&
        PyList_GET_ITEM(slot, 0) == single) {
        Py_XSETREF(self->values, Py_NewRef(slot));
        self->index = 1;
    }
    if (found > 0) {
        Py_DECREF(slot);
    }
    Py_XDECREF(name);
    Py_DECREF(single);
    return found < 0 ? -1 : 0;
}

static int
header_pairs_start(HeaderPairsObject *self)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self->headers));
    PyObject *view =
        fields != NULL ? PyObject_CallMethodNoArgs(fields, self->headers->state->str_items) : NULL;
    PyObject *items = view != NULL ? PyObject_GetIter(view) : NULL;
    Py_XDECREF(view);
    Py_XDECREF(fields);
    Py_XSETREF(self->items, items);
    return items != NULL ? 0 : -1;
}

/* The next (name, slot) of the fields: a tuple, NULL at the end or with an exception. A dict of the
 * application's own kind may have any items; iterating it may run Python, which may call this iterator. */
static PyObject *
header_pairs_next_field(HeaderPairsObject *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "generator already executing");
        return NULL;
    }
    self->running = true;
    PyObject *item = self->items != NULL || header_pairs_start(self) == 0 ? PyIter_Next(self->items) : NULL;
    if (item != NULL && !PyTuple_CheckExact(item)) {
        Py_SETREF(item, PySequence_Tuple(item));
    }
    if (item != NULL && PyTuple_GET_SIZE(item) != 2) {
        PyErr_SetString(PyExc_ValueError, "items() must give (name, values) pairs");
        Py_CLEAR(item);
    }
    self->running = false;
    return item;
}

/* The next pair of the field in progress; NULL, maybe with an exception, if there is none. */
static PyObject *
header_pairs_same_field(HeaderPairsObject *self)
{
    if (self->single != NULL && header_pairs_follow(self) < 0) {
        return NULL;
    }
    if (self->values != NULL) {
        if (self->index < PyList_GET_SIZE(self->values)) {
            return PyTuple_Pack(2, self->name, PyList_GET_ITEM(self->values, self->index++));
        }
        Py_CLEAR(self->values);
    }
    return NULL;
}

static PyObject *
header_pairs_next(HeaderPairsObject *self)
{
    PyObject *item;
    while (self->headers != NULL) {
        PyObject *pair = header_pairs_same_field(self);
        if (pair != NULL) {
            return pair;
        }
        if (PyErr_Occurred() || (item = header_pairs_next_field(self)) == NULL) {
            break;
        }
        PyObject *slot = PyTuple_GET_ITEM(item, 1);
        if (!PyList_CheckExact(slot) && !tc_headers_is_exposed(self->headers)) {
            Py_XSETREF(self->name, Py_NewRef(PyTuple_GET_ITEM(item, 0)));
            Py_XSETREF(self->single, Py_NewRef(slot));
            return item;
        }
        PyObject *values = PyList_CheckExact(slot) ? Py_NewRef(slot) : PySequence_List(slot);
        if (values == NULL) {
            Py_DECREF(item);
            break;
        }
        self->index = 0;
        Py_XSETREF(self->name, Py_NewRef(PyTuple_GET_ITEM(item, 0)));
        Py_XSETREF(self->values, values);
        Py_DECREF(item);
    }
    if (!self->running) { /* else the outer call goes on with them */
        header_pairs_clear(self);
    }
    return NULL;
}

static PyType_Slot header_pairs_slots[] = {
    {Py_tp_traverse, header_pairs_traverse}, {Py_tp_clear, header_pairs_clear},
    {Py_tp_dealloc, header_pairs_dealloc},   {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, header_pairs_next},     {0, NULL},
};

static PyType_Spec header_pairs_spec = {
    .name = "tornado_c._core._HeaderPairs",
    .basicsize = sizeof(HeaderPairsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = header_pairs_slots,
};

int
tc_header_pairs_init_type(PyObject *module, tc_state *state)
{
    state->header_pairs_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &header_pairs_spec, NULL);
    return state->header_pairs_type != NULL ? 0 : -1;
}

PyObject *
tc_headers_get_all(HeadersObject *self, PyObject *ignored)
{
    PyTypeObject *type = self->state->header_pairs_type;
    HeaderPairsObject *pairs = (HeaderPairsObject *)type->tp_alloc(type, 0);
    if (pairs != NULL) {
        pairs->headers = (HeadersObject *)Py_NewRef(self);
    }
    return (PyObject *)pairs;
}

/* ---- the walk ---- */

static int
headers_each_value(PyObject *name, PyObject *values, tc_headers_visit visit, void *arg)
{
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        result = visit(arg, name, value);
        Py_DECREF(value);
    }
    return result;
}

static int
headers_each_plain(HeadersObject *self, tc_headers_visit visit, void *arg)
{
    PyObject *fields = tc_headers_fields(self), *name, *slot;
    if (fields == NULL) {
        return -1;
    }
    Py_ssize_t pos = 0, size = PyDict_GET_SIZE(fields);
    int result = 0;
    Py_INCREF(fields);
    while (result == 0 && PyDict_Next(fields, &pos, &name, &slot)) {
        Py_INCREF(name);
        Py_INCREF(slot);
        if (PyList_CheckExact(slot)) {
            result = headers_each_value(name, slot, visit, arg);
        }
        else if (TC_LIKELY(!tc_headers_is_exposed(self))) {
            result = visit(arg, name, slot);
        }
        else {
            PyObject *values = PySequence_List(slot);
            result = values != NULL ? headers_each_value(name, values, visit, arg) : -1;
            Py_XDECREF(values);
        }
        Py_DECREF(name);
        Py_DECREF(slot);
        if (TC_UNLIKELY(result == 0 && PyDict_GET_SIZE(fields) != size)) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            result = -1;
        }
    }
    Py_DECREF(fields);
    return result;
}

int
tc_headers_each(PyObject *headers, tc_headers_visit visit, void *arg)
{
    if (TC_LIKELY(tc_headers_plain(headers))) {
        return headers_each_plain((HeadersObject *)headers, visit, arg);
    }
    PyObject *all = PyObject_CallMethod(headers, "get_all", NULL), *pair;
    PyObject *pairs = all != NULL ? PyObject_GetIter(all) : NULL;
    Py_XDECREF(all);
    if (pairs == NULL) {
        return -1;
    }
    int result = 0;
    while (result == 0 && (pair = PyIter_Next(pairs)) != NULL) {
        PyObject *both = PySequence_Fast(pair, "get_all() must give (name, value) pairs");
        Py_DECREF(pair);
        if (both == NULL) {
            result = -1;
        }
        else if (PySequence_Fast_GET_SIZE(both) != 2) {
            PyErr_SetString(PyExc_ValueError, "get_all() must give (name, value) pairs");
            result = -1;
        }
        else {
            PyObject *name = Py_NewRef(PySequence_Fast_GET_ITEM(both, 0));
            PyObject *value = Py_NewRef(PySequence_Fast_GET_ITEM(both, 1));
            result = visit(arg, name, value);
            Py_DECREF(name);
            Py_DECREF(value);
        }
        Py_XDECREF(both);
    }
    Py_DECREF(pairs);
    return result == 0 && PyErr_Occurred() ? -1 : result;
}
