/* Where the fields of an HTTPHeaders are kept, in the four states that parts.h draws: no other file touches
 * them. Names are normalised already. Called by the files of this folder, on any thread that holds the
 * interpreter's lock.
 *
 * Python may run, and use or reset this very instance, in a replaced _normalize_header, in a lookup in dicts
 * of Python's own (EXPOSED), when a value is released, and wherever the collector may run. So a dict is held
 * while it is used, and the state is read again after anything of that kind. */
#include "http/headers/parts.h"

#include "http/headers/names.h"
#include "http/http_lines.h"

/* The states that may exist. */
static inline void
headers_assert(const HeadersObject *self)
{
#ifndef NDEBUG
    bool pairs = self->form == TC_HEADERS_IN_PAIRS, block = self->form == TC_HEADERS_IN_BLOCK;
    bool dicts = self->form == TC_HEADERS_IN_DICTS, exposed = self->form == TC_HEADERS_EXPOSED;
    assert(pairs || block || dicts || exposed);
    assert((self->fields != NULL) == (dicts || exposed));
    assert(dicts || (self->combined != NULL) == exposed);
    assert((self->block != NULL) == block && (self->block_size > 0) == block);
    assert(self->npairs <= (pairs ? TC_HEADERS_PAIRS : 0));
    for (size_t i = 0; i < self->npairs; i++) {
        assert(PyUnicode_IS_COMPACT_ASCII(self->pairs[2 * i]) &&
               PyUnicode_CheckExact(self->pairs[2 * i + 1]));
    }
#endif
}

/* ---- PAIRS ---- */

static void
pairs_drop(HeadersObject *self)
{
    while (self->npairs > 0) {
        self->npairs--;
        Py_DECREF(self->pairs[2 * self->npairs]);
        Py_DECREF(self->pairs[2 * self->npairs + 1]);
    }
}

/* Where the value of a name is, or NULL. */
static PyObject **
pairs_find(HeadersObject *self, PyObject *name)
{
    if (!PyUnicode_IS_COMPACT_ASCII(name)) {
        return NULL;
    }
    size_t size = (size_t)PyUnicode_GET_LENGTH(name);
    for (size_t i = 0; i < self->npairs; i++) {
        PyObject *known = self->pairs[2 * i];
        if (known == name || ((size_t)PyUnicode_GET_LENGTH(known) == size &&
                              memcmp(PyUnicode_1BYTE_DATA(known), PyUnicode_1BYTE_DATA(name), size) == 0)) {
            return &self->pairs[2 * i + 1];
        }
    }
    return NULL;
}

void
tc_headers_pairs_each(HeadersObject *self, PyObject *const *names, PyObject **values, size_t count)
{
    uint32_t sizes = 0; /* a bit for each length that a name has */
    for (size_t j = 0; j < count; j++) {
        sizes |= 1u << (PyUnicode_GET_LENGTH(names[j]) & 31);
    }
    for (size_t i = 0; i < self->npairs; i++) {
        PyObject *known = self->pairs[2 * i];
        Py_ssize_t size = PyUnicode_GET_LENGTH(known);
        if (TC_LIKELY(!(sizes >> (size & 31) & 1))) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            if (TC_UNLIKELY(PyUnicode_GET_LENGTH(names[j]) == size) &&
                (known == names[j] ||
                 memcmp(PyUnicode_1BYTE_DATA(known), PyUnicode_1BYTE_DATA(names[j]), (size_t)size) == 0)) {
                values[j] = Py_NewRef(self->pairs[2 * i + 1]);
                break;
            }
        }
    }
}

/* Stores a field among the pairs; false where it cannot. */
static bool
pairs_store(HeadersObject *self, PyObject *name, PyObject *value)
{
    if (!tc_headers_in_pairs(self) || !PyUnicode_CheckExact(value) || !PyUnicode_CheckExact(name) ||
        !PyUnicode_IS_COMPACT_ASCII(name)) {
        return false;
    }
    PyObject **place = pairs_find(self, name);
    if (place != NULL) {
        Py_SETREF(*place, Py_NewRef(value));
        return true;
    }
    if (self->npairs == TC_HEADERS_PAIRS) {
        return false;
    }
    self->pairs[2 * self->npairs] = Py_NewRef(name);
    self->pairs[2 * self->npairs + 1] = Py_NewRef(value);
    self->npairs++;
    return true;
}

void
tc_headers_first_pairs(HeadersObject *self, PyObject *const *pairs, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        self->pairs[i] = Py_NewRef(pairs[i]);
    }
    self->npairs = (uint8_t)count;
    headers_assert(self);
}

bool
tc_headers_take_pairs(HeadersObject *self, PyObject *dict)
{
    PyObject *name, *value;
    size_t n = 0;
    headers_assert(self);
    if (PyDict_GET_SIZE(dict) > TC_HEADERS_PAIRS || !tc_headers_is_empty(self)) {
        return false;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(dict, &pos, &name, &value); n++) {
        if (!PyUnicode_CheckExact(name) || !PyUnicode_IS_COMPACT_ASCII(name) ||
            !PyUnicode_CheckExact(value) || !tc_names_is_normal(self->state, name)) {
            return false;
        }
        self->pairs[2 * n] = name;
        self->pairs[2 * n + 1] = value;
    }
    for (size_t i = 0; i < 2 * n; i++) {
        Py_INCREF(self->pairs[i]);
    }
    self->npairs = (uint8_t)n;
    return true;
}

/* ---- from one state to another ---- */

/* PAIRS to DICTS. */
static int
pairs_to_dict(HeadersObject *self)
{
    PyObject *fields = PyDict_New(); /* the collector may run Python that makes them first */
    if (fields == NULL || self->form != TC_HEADERS_IN_PAIRS) {
        Py_XDECREF(fields);
        return fields != NULL ? 0 : -1;
    }
    for (size_t i = 0; i < self->npairs; i++) {
        if (PyDict_SetItem(fields, self->pairs[2 * i], self->pairs[2 * i + 1]) < 0) {
            Py_DECREF(fields);
            return -1;
        }
    }
    pairs_drop(self);
    self->fields = fields;
    self->form = TC_HEADERS_IN_DICTS;
    return 0;
}

/* Adds the fields of a block. Its contents are valid, so this fails only without memory, or if a replaced
 * _normalize_header does; fields added so far stay. */
static int
headers_put_lines(HeadersObject *self, const char *block, size_t size)
{
    const char *p = block;
    int result = 0;
    tc_http_line line;
    while (result == 0 && tc_http_next_line(block, &p, block + size, &line)) {
        if (line.colon == NULL) {
            continue;
        }
        PyObject *name = tc_names_normalize_token(self->state, line.start, (size_t)(line.colon - line.start));
        PyObject *value = PyUnicode_DecodeLatin1(line.value, line.value_end - line.value, NULL);
        result = name != NULL && value != NULL ? tc_headers_put(self, name, value) : -1;
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return result;
}

/* BLOCK to DICTS. */
static int
block_to_dict(HeadersObject *self)
{
    PyObject *fields = PyDict_New(); /* the collector, as above */
    if (fields == NULL || self->form != TC_HEADERS_IN_BLOCK) {
        Py_XDECREF(fields);
        return fields != NULL ? 0 : -1;
    }
    char *block = self->block;
    size_t size = self->block_size;
    self->block = NULL; /* first: a replaced _normalize_header may look at this very object */
    self->block_size = 0;
    self->fields = fields;
    self->form = TC_HEADERS_IN_DICTS;
    int result = headers_put_lines(self, block, size);
    PyMem_Free(block);
    return result;
}

PyObject *
tc_headers_load(HeadersObject *self)
{
    headers_assert(self);
    while (self->form < TC_HEADERS_IN_DICTS) {
        int result = self->form == TC_HEADERS_IN_PAIRS ? pairs_to_dict(self) : block_to_dict(self);
        if (result < 0) {
            return NULL;
        }
    }
    return self->fields;
}

int
tc_headers_take_block(HeadersObject *self, const char *block, size_t size)
{
    headers_assert(self);
    if (size == 0) {
        return 0;
    }
    char *copy = PyMem_Malloc(size);
    if (copy == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(copy, block, size);
    if (TC_LIKELY(tc_headers_is_empty(self))) {
        self->block = copy;
        self->block_size = size;
        self->form = TC_HEADERS_IN_BLOCK;
        return 0;
    }
    int result = headers_put_lines(self, copy, size); /* a class whose new instances have fields */
    PyMem_Free(copy);
    return result;
}

void
tc_headers_reset(HeadersObject *self)
{
    headers_assert(self);
    if (TC_LIKELY(tc_headers_in_pairs(self))) {
        pairs_drop(self);
        return;
    }
    PyObject *fields = self->fields, *combined = self->combined;
    PyMem_Free(self->block);
    self->block = NULL;
    self->block_size = 0;
    self->fields = self->combined = NULL;
    self->form = TC_HEADERS_IN_PAIRS;
    Py_XDECREF(fields); /* releasing a value may run Python that uses us */
    Py_XDECREF(combined);
}

int
tc_headers_traverse(HeadersObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->fields);
    Py_VISIT(self->combined);
    return 0;
}

/* ---- DICTS and EXPOSED ---- */

/* The dict of combined values, a new reference; there are fields. */
static PyObject *
headers_combined(HeadersObject *self)
{
    if (self->combined != NULL) {
        return Py_NewRef(self->combined);
    }
    PyObject *made = PyDict_New();
    if (made == NULL) {
        return NULL;
    }
    if (TC_UNLIKELY(self->combined != NULL)) { /* made by Python that the collector ran */
        Py_SETREF(made, Py_NewRef(self->combined));
    }
    else if (TC_LIKELY(self->form == TC_HEADERS_IN_DICTS)) { /* unless that reset everything */
        self->combined = Py_NewRef(made);
    }
    return made;
}

/* Removes a key that may be absent from a dict that may be NULL: 1, 0 or -1. */
static int
dict_discard(PyObject *dict, PyObject *key)
{
    if (dict == NULL) {
        return 0;
    }
    Py_INCREF(dict);
    int found = PyDict_Contains(dict, key);
    if (found > 0) {
        found = PyDict_DelItem(dict, key) < 0 ? -1 : 1;
    }
    Py_DECREF(dict);
    return found;
}

/* A new list with one value. */
static PyObject *
headers_list_of(PyObject *value)
{
    PyObject *list = PyList_New(1);
    if (list != NULL) {
        PyList_SET_ITEM(list, 0, Py_NewRef(value));
    }
    return list;
}

/* Makes fields[name] = [value] and combined[name] = value. */
static int
headers_store_list(HeadersObject *self, PyObject *name, PyObject *value)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self)), *list = NULL;
    PyObject *combined = fields != NULL ? headers_combined(self) : NULL;
    int result = combined != NULL ? PyDict_SetItem(combined, name, value) : -1;
    if (result == 0) {
        list = headers_list_of(value);
        result = list != NULL ? PyDict_SetItem(fields, name, list) : -1;
    }
    Py_XDECREF(list);
    Py_XDECREF(combined);
    Py_XDECREF(fields);
    return result;
}

int
tc_headers_store(HeadersObject *self, PyObject *name, PyObject *value)
{
    headers_assert(self);
    if (pairs_store(self, name, value)) {
        return 0;
    }
    PyObject *fields = tc_headers_fields(self);
    if (fields == NULL) {
        return -1;
    }
    if (TC_UNLIKELY(tc_headers_is_exposed(self) || PyList_CheckExact(value))) {
        return headers_store_list(self, name, value);
    }
    Py_INCREF(fields); /* the old value's finalizer may run Python that drops the dict */
    int result = PyDict_SetItem(fields, name, value);
    Py_DECREF(fields);
    return result;
}

int
tc_headers_delete(HeadersObject *self, PyObject *name)
{
    headers_assert(self);
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    int result =
        fields != NULL && dict_discard(self->combined, name) >= 0 ? PyDict_DelItem(fields, name) : -1;
    Py_XDECREF(fields);
    return result;
}

int
tc_headers_append(HeadersObject *self, PyObject *name, PyObject *slot, PyObject *value)
{
    headers_assert(self);
    if (dict_discard(self->combined, name) < 0) {
        return -1;
    }
    if (PyList_CheckExact(slot)) {
        return PyList_Append(slot, value);
    }
    if (tc_headers_is_exposed(self)) { /* Python put its own kind of list into _as_list */
        PyObject *result = PyObject_CallMethodOneArg(slot, self->state->str_append, value);
        Py_XDECREF(result);
        return result != NULL ? 0 : -1;
    }
    PyObject *list = PyList_New(2), *fields = list != NULL ? Py_XNewRef(tc_headers_fields(self)) : NULL;
    int result = -1;
    if (fields != NULL) {
        PyList_SET_ITEM(list, 0, Py_NewRef(slot));
        PyList_SET_ITEM(list, 1, Py_NewRef(value));
        result = PyDict_SetItem(fields, name, list);
    }
    Py_XDECREF(list);
    Py_XDECREF(fields);
    return result;
}

int
tc_headers_put(HeadersObject *self, PyObject *name, PyObject *value)
{
    headers_assert(self);
    if (tc_headers_in_pairs(self) && pairs_find(self, name) == NULL) {
        return tc_headers_store(self, name, value);
    }
    PyObject *slot;
    int found = tc_headers_find_slot(self, name, &slot);
    if (found <= 0) {
        return found < 0 ? -1 : tc_headers_store(self, name, value);
    }
    int result = tc_headers_append(self, name, slot, value);
    Py_DECREF(slot);
    return result;
}

int
tc_headers_has_field(HeadersObject *self, PyObject *name)
{
    headers_assert(self);
    if (tc_headers_in_pairs(self)) {
        return pairs_find(self, name) != NULL;
    }
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    int found = fields != NULL ? PyDict_Contains(fields, name) : -1;
    Py_XDECREF(fields);
    return found;
}

int
tc_headers_find_slot(HeadersObject *self, PyObject *name, PyObject **slot)
{
    headers_assert(self);
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    int found = -1;
    *slot = NULL;
    if (fields != NULL) {
        found = PyDict_GetItemRef(fields, name, slot);
        Py_DECREF(fields);
    }
    return found;
}

/* The entry in the dict of combined values, if there is such a dict. */
static int
headers_find_combined(HeadersObject *self, PyObject *name, PyObject **value)
{
    PyObject *combined = Py_XNewRef(self->combined);
    int found = 0;
    *value = NULL;
    if (combined != NULL) {
        found = PyDict_GetItemRef(combined, name, value);
        Py_DECREF(combined);
    }
    return found;
}

/* The values of a slot, joined by commas and remembered. */
static PyObject *
headers_combine(HeadersObject *self, PyObject *name, PyObject *slot)
{
    PyObject *comma = PyUnicode_FromOrdinal(',');
    PyObject *value = comma != NULL ? PyUnicode_Join(comma, slot) : NULL;
    Py_XDECREF(comma);
    PyObject *combined = value != NULL ? headers_combined(self) : NULL;
    if (combined == NULL || PyDict_SetItem(combined, name, value) < 0) {
        Py_CLEAR(value);
    }
    Py_XDECREF(combined);
    return value;
}

PyObject *
tc_headers_lookup(HeadersObject *self, PyObject *name)
{
    headers_assert(self);
    if (tc_headers_in_pairs(self)) {
        PyObject **place = pairs_find(self, name);
        return place != NULL ? Py_NewRef(*place) : NULL;
    }
    PyObject *slot, *value = NULL;
    if (tc_headers_is_exposed(self) && headers_find_combined(self, name, &value) != 0) {
        return value;
    }
    if (tc_headers_find_slot(self, name, &slot) <= 0) {
        return NULL;
    }
    if (TC_LIKELY(!tc_headers_is_exposed(self))) {
        if (TC_LIKELY(!PyList_CheckExact(slot))) {
            return slot;
        }
        if (headers_find_combined(self, name, &value) != 0) {
            Py_DECREF(slot);
            return value;
        }
    }
    value = headers_combine(self, name, slot);
    Py_DECREF(slot);
    return value;
}

PyObject *
tc_headers_values(HeadersObject *self, PyObject *name)
{
    PyObject *slot;
    int found = tc_headers_find_slot(self, name, &slot);
    if (found == 0) {
        return PyList_New(0);
    }
    if (found < 0 || PyList_CheckExact(slot) || tc_headers_is_exposed(self)) {
        return slot;
    }
    int result = headers_store_list(self, name, slot);
    Py_CLEAR(slot);
    if (result == 0 && tc_headers_find_slot(self, name, &slot) == 0) {
        PyErr_SetObject(PyExc_KeyError, name);
    }
    return slot;
}

/* DICTS to EXPOSED: makes every value a list. */
static int
headers_list_all(HeadersObject *self, PyObject *fields, PyObject *combined)
{
    PyObject *name, *slot;
    int result = 0;
    for (Py_ssize_t pos = 0; result == 0 && PyDict_Next(fields, &pos, &name, &slot);) {
        if (!PyList_CheckExact(slot)) {
            Py_INCREF(name);
            Py_INCREF(slot);
            result = headers_store_list(self, name, slot);
            Py_DECREF(name);
            Py_DECREF(slot);
        }
    }
    if (result == 0 && (self->fields != fields || self->combined != combined)) {
        PyErr_SetString(PyExc_RuntimeError, "the headers changed during iteration");
        result = -1;
    }
    if (result == 0) {
        self->form = TC_HEADERS_EXPOSED;
    }
    return result;
}

int
tc_headers_expose(HeadersObject *self, PyObject **as_list, PyObject **combined_cache)
{
    headers_assert(self);
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    PyObject *combined = fields != NULL ? headers_combined(self) : NULL;
    int result = combined != NULL ? 0 : -1;
    if (result == 0 && !tc_headers_is_exposed(self)) {
        result = headers_list_all(self, fields, combined);
    }
    if (result == 0 && as_list != NULL) {
        *as_list = Py_NewRef(fields);
    }
    if (result == 0 && combined_cache != NULL) {
        *combined_cache = Py_NewRef(combined);
    }
    Py_XDECREF(fields);
    Py_XDECREF(combined);
    return result;
}

int
tc_headers_set_as_list(HeadersObject *self, PyObject *dict)
{
    if (tc_headers_expose(self, NULL, NULL) < 0) {
        return -1;
    }
    Py_SETREF(self->fields, Py_NewRef(dict));
    return 0;
}

int
tc_headers_set_combined_cache(HeadersObject *self, PyObject *dict)
{
    if (tc_headers_expose(self, NULL, NULL) < 0) {
        return -1;
    }
    Py_SETREF(self->combined, Py_NewRef(dict));
    return 0;
}
