/* The fields of an HTTPHeaders: storing, adding, looking up, and the parsing of a raw block when it is first
 * touched. Names are normalised already. Called by the files of this folder, on any thread that holds the
 * interpreter's lock.
 *
 * Most answers have few headers with one value each, which are kept as pairs until somebody wants more than
 * to set, get or write them out. Most fields have one value, so one dict serves for them: name -> value. A
 * list in it holds the values of a repeated field (a value that is itself a list goes into a list of one),
 * and `combined` caches their comma-separated form. The two dicts that Tornado has, _as_list and
 * _combined_cache, come into being when Python asks for them; from then on the instance works on them alone
 * ("exposed"): their keys may run Python in any lookup, which may put others in their place. So may the end
 * of any value. A dict that is looked into is held. */
#include "http/headers/parts.h"

#include "http/headers/names.h"
#include "http/http_lines.h"

static int headers_parse_block(HeadersObject *self);

/* -- few fields ----------------------------------------------------------------------------------------- */

static void
pairs_drop(HeadersObject *self)
{
    while (self->npairs > 0) {
        self->npairs--;
        Py_DECREF(self->pairs[2 * self->npairs]);
        Py_DECREF(self->pairs[2 * self->npairs + 1]);
    }
}

/* Turns the pairs into a dict. 0 or -1. */
static int
pairs_to_dict(HeadersObject *self)
{
    PyObject *fields = PyDict_New(); /* the collector may run Python that does this before us */
    for (size_t i = 0; fields != NULL && i < self->npairs; i++) {
        if (PyDict_SetItem(fields, self->pairs[2 * i], self->pairs[2 * i + 1]) < 0) {
            Py_CLEAR(fields);
        }
    }
    if (fields == NULL) {
        return -1;
    }
    if (self->fields == NULL) {
        pairs_drop(self);
        self->fields = fields;
    }
    else {
        Py_DECREF(fields);
    }
    return 0;
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

/* Whether a field could be stored among the pairs, and was. */
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

int
tc_headers_has_field(HeadersObject *self, PyObject *name)
{
    if (tc_headers_in_pairs(self)) {
        return pairs_find(self, name) != NULL;
    }
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    int found = fields != NULL ? PyDict_Contains(fields, name) : -1;
    Py_XDECREF(fields);
    return found;
}

/* -- fields in dicts ------------------------------------------------------------------------------------ */

PyObject *
tc_headers_load(HeadersObject *self)
{
    if (self->fields == NULL && pairs_to_dict(self) < 0) {
        return NULL;
    }
    return self->block != NULL && headers_parse_block(self) < 0 ? NULL : self->fields;
}

static inline PyObject *
headers_combined(HeadersObject *self)
{
    if (self->combined == NULL) {
        PyObject *made = PyDict_New();
        Py_XSETREF(self->combined, made); /* the collector may have had one made */
    }
    return self->combined;
}

/* Removes a key that may be absent: 1, 0 or -1. */
int
tc_headers_dict_discard(PyObject *dict, PyObject *key)
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
int
tc_headers_store_list(HeadersObject *self, PyObject *name, PyObject *value)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self)), *list = NULL;
    PyObject *combined = fields != NULL ? Py_XNewRef(headers_combined(self)) : NULL;
    if (combined == NULL) {
        Py_XDECREF(fields);
        return -1;
    }
    int result = PyDict_SetItem(combined, name, value);
    if (result == 0) {
        list = headers_list_of(value);
        result = list != NULL ? PyDict_SetItem(fields, name, list) : -1;
    }
    Py_XDECREF(list);
    Py_DECREF(combined);
    Py_DECREF(fields);
    return result;
}

/* self[name] = value for a normalised name. */
int
tc_headers_store(HeadersObject *self, PyObject *name, PyObject *value)
{
    if (pairs_store(self, name, value)) {
        return 0;
    }
    PyObject *fields = tc_headers_fields(self);
    if (fields == NULL) {
        return -1;
    }
    if (TC_UNLIKELY(self->exposed || PyList_CheckExact(value))) {
        return tc_headers_store_list(self, name, value);
    }
    Py_INCREF(fields); /* the old value's finalizer may run Python that drops the dict */
    int result = PyDict_SetItem(fields, name, value);
    Py_DECREF(fields);
    return result;
}

/* Adds another value to a field whose present slot is given. */
int
tc_headers_append(HeadersObject *self, PyObject *name, PyObject *slot, PyObject *value)
{
    if (tc_headers_dict_discard(self->combined, name) < 0) {
        return -1;
    }
    if (PyList_CheckExact(slot)) {
        return PyList_Append(slot, value);
    }
    if (self->exposed) { /* somebody put a list of their own kind into _as_list */
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

/* What the dict of fields has for a name, a new reference: 1, 0 or -1. */
int
tc_headers_find_slot(HeadersObject *self, PyObject *name, PyObject **slot)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self));
    int found = -1;
    *slot = NULL;
    if (fields != NULL) {
        found = PyDict_GetItemRef(fields, name, slot);
        Py_DECREF(fields);
    }
    return found;
}

/* What the dict of combined values has for it; there need be no such dict. */
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

/* Appends a value under a normalised name, whatever is there. */
int
tc_headers_put(HeadersObject *self, PyObject *name, PyObject *value)
{
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

/* The combined value of a normalised name, a new reference; NULL without an exception if missing. */
PyObject *
tc_headers_lookup(HeadersObject *self, PyObject *name)
{
    if (tc_headers_in_pairs(self)) {
        PyObject **place = pairs_find(self, name);
        return place != NULL ? Py_NewRef(*place) : NULL;
    }
    PyObject *slot, *value = NULL;
    if (self->exposed && headers_find_combined(self, name, &value) != 0) {
        return value;
    }
    if (tc_headers_find_slot(self, name, &slot) <= 0) {
        return NULL;
    }
    if (TC_LIKELY(!self->exposed)) {
        if (TC_LIKELY(!PyList_CheckExact(slot))) {
            return slot;
        }
        if (headers_find_combined(self, name, &value) != 0) {
            Py_DECREF(slot);
            return value;
        }
    }
    PyObject *comma = PyUnicode_FromOrdinal(',');
    value = comma != NULL ? PyUnicode_Join(comma, slot) : NULL;
    Py_XDECREF(comma);
    Py_DECREF(slot);
    if (value != NULL) {
        PyObject *combined = Py_XNewRef(headers_combined(self));
        if (combined == NULL || PyDict_SetItem(combined, name, value) < 0) {
            Py_CLEAR(value);
        }
        Py_XDECREF(combined);
    }
    return value;
}

/* Turns the fields into Tornado's two dicts, for good. */
int
tc_headers_expose(HeadersObject *self)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self)), *name, *slot;
    int result = fields != NULL && headers_combined(self) != NULL ? 0 : -1;
    for (Py_ssize_t pos = 0; result == 0 && !self->exposed && PyDict_Next(fields, &pos, &name, &slot);) {
        if (!PyList_CheckExact(slot)) {
            Py_INCREF(slot);
            result = tc_headers_store_list(self, name, slot);
            Py_DECREF(slot);
        }
    }
    if (result == 0 && (self->fields != fields || self->combined == NULL)) {
        PyErr_SetString(PyExc_RuntimeError, "the headers changed during iteration");
        result = -1;
    }
    if (result == 0) {
        self->exposed = true;
    }
    Py_XDECREF(fields);
    return result;
}

void
tc_headers_reset(HeadersObject *self)
{
    PyObject *fields = self->fields, *combined = self->combined;
    PyMem_Free(self->block);
    self->block = NULL;
    self->block_size = 0;
    self->fields = self->combined = NULL;
    self->exposed = false;
    pairs_drop(self);
    Py_XDECREF(fields); /* the end of a value may run Python that uses us */
    Py_XDECREF(combined);
}

/* Parses the raw block into fields. Its contents are valid, so this fails for want of memory only, or if a
 * replaced _normalize_header does; what was parsed by then stays. */
static int
headers_parse_block(HeadersObject *self)
{
    char *block = self->block;
    const char *p = block, *end = block + self->block_size;
    self->block = NULL; /* first: a replaced _normalize_header may look at this very object */
    self->block_size = 0;
    int result = 0;
    tc_http_line line;
    while (result == 0 && tc_http_next_line(block, &p, end, &line)) {
        if (line.colon == NULL) {
            continue;
        }
        PyObject *name = tc_names_normalize_token(self->state, line.start, (size_t)(line.colon - line.start));
        PyObject *value = PyUnicode_DecodeLatin1(line.value, line.value_end - line.value, NULL);
        result = name != NULL && value != NULL ? tc_headers_put(self, name, value) : -1;
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    PyMem_Free(block);
    return result;
}
