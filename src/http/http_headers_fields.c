/* The fields of an HTTPHeaders: storing, adding, looking up, and the parsing of a raw block when it is first
 * touched. Names are normalised already. Called by the http_headers_*.c files, on any thread that holds the
 * interpreter's lock.
 *
 * Most answers have few headers with one value each, which are kept as pairs until somebody wants more than
 * to set, get or write them out. Most fields have one value, so one dict serves for them: name -> value. A
 * list in it holds the values of a repeated field (a value that is itself a list goes into a list of one),
 * and `combined` caches their comma-separated form. The two dicts that Tornado has, _as_list and
 * _combined_cache, come into being when Python asks for them; from then on the instance works on them alone
 * ("exposed"). */
#include "http/http_headers_parts.h"

#include "http/http_names.h"

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

static PyObject *
pairs_to_dict(HeadersObject *self)
{
    PyObject *fields = PyDict_New();
    for (size_t i = 0; fields != NULL && i < self->npairs; i++) {
        if (PyDict_SetItem(fields, self->pairs[2 * i], self->pairs[2 * i + 1]) < 0) {
            Py_CLEAR(fields);
        }
    }
    if (fields != NULL) {
        pairs_drop(self);
    }
    return fields;
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
    PyObject *fields = tc_headers_fields(self);
    return fields != NULL ? PyDict_Contains(fields, name) : -1;
}

/* -- fields in dicts ------------------------------------------------------------------------------------ */

PyObject *
tc_headers_load(HeadersObject *self)
{
    if (self->fields == NULL && (self->fields = pairs_to_dict(self)) == NULL) {
        return NULL;
    }
    return self->block != NULL && headers_parse_block(self) < 0 ? NULL : self->fields;
}

static inline PyObject *
headers_combined(HeadersObject *self)
{
    if (self->combined == NULL) {
        self->combined = PyDict_New();
    }
    return self->combined;
}

/* Removes a key that may be absent: 1, 0 or -1. */
int
tc_headers_dict_discard(PyObject *dict, PyObject *key)
{
    int found = dict != NULL ? PyDict_Contains(dict, key) : 0;
    if (found > 0) {
        Py_INCREF(dict);
        found = PyDict_DelItem(dict, key) < 0 ? -1 : 1;
        Py_DECREF(dict);
    }
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
    PyObject *combined = headers_combined(self), *list = NULL;
    if (combined == NULL) {
        return -1;
    }
    PyObject *fields = Py_NewRef(self->fields); /* finalizers of old values may run Python */
    Py_INCREF(combined);
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
    PyObject *list = PyList_New(2);
    if (list == NULL) {
        return -1;
    }
    PyList_SET_ITEM(list, 0, Py_NewRef(slot));
    PyList_SET_ITEM(list, 1, Py_NewRef(value));
    int result = PyDict_SetItem(self->fields, name, list);
    Py_DECREF(list);
    return result;
}

/* Appends a value under a normalised name, whatever is there. */
int
tc_headers_put(HeadersObject *self, PyObject *name, PyObject *value)
{
    if (tc_headers_in_pairs(self) && pairs_find(self, name) == NULL) {
        return tc_headers_store(self, name, value);
    }
    PyObject *fields = tc_headers_fields(self), *slot;
    if (fields == NULL) {
        return -1;
    }
    int found = PyDict_GetItemRef(fields, name, &slot);
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
    PyObject *fields = tc_headers_fields(self), *slot, *value = NULL;
    if (fields == NULL) {
        return NULL;
    }
    if (self->exposed && PyDict_GetItemRef(self->combined, name, &value) != 0) {
        return value;
    }
    if (PyDict_GetItemRef(fields, name, &slot) <= 0) {
        return NULL;
    }
    if (TC_LIKELY(!self->exposed)) {
        if (TC_LIKELY(!PyList_CheckExact(slot))) {
            return slot;
        }
        if (self->combined != NULL && PyDict_GetItemRef(self->combined, name, &value) != 0) {
            Py_DECREF(slot);
            return value;
        }
    }
    PyObject *comma = PyUnicode_FromOrdinal(',');
    value = comma != NULL ? PyUnicode_Join(comma, slot) : NULL;
    Py_XDECREF(comma);
    Py_DECREF(slot);
    if (value != NULL) {
        PyObject *combined = headers_combined(self);
        if (combined == NULL || PyDict_SetItem(combined, name, value) < 0) {
            Py_CLEAR(value);
        }
    }
    return value;
}

/* Turns the fields into Tornado's two dicts, for good. */
int
tc_headers_expose(HeadersObject *self)
{
    PyObject *fields = tc_headers_fields(self), *name, *slot;
    if (fields == NULL || headers_combined(self) == NULL) {
        return -1;
    }
    if (self->exposed) {
        return 0;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(fields, &pos, &name, &slot);) {
        if (!PyList_CheckExact(slot)) {
            Py_INCREF(slot);
            int result = tc_headers_store_list(self, name, slot);
            Py_DECREF(slot);
            if (result < 0) {
                return -1;
            }
        }
    }
    self->exposed = true;
    return 0;
}

void
tc_headers_reset(HeadersObject *self)
{
    pairs_drop(self);
    Py_CLEAR(self->fields);
    Py_CLEAR(self->combined);
    PyMem_Free(self->block);
    self->block = NULL;
    self->block_size = 0;
    self->exposed = false;
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
    while (p < end && result == 0) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *next = eol != NULL ? eol + 1 : end, *stop = eol != NULL ? eol : end;
        const char *colon = memchr(p, ':', (size_t)(stop - p));
        if (colon != NULL) {
            const char *from = colon + 1;
            while (from < stop && tc_headers_is_blank((unsigned char)*from)) {
                from++;
            }
            if (from < stop && stop[-1] == '\r') {
                stop--;
            }
            while (from < stop && tc_headers_is_blank((unsigned char)stop[-1])) {
                stop--;
            }
            PyObject *name = tc_names_normalize_token(self->state, p, (size_t)(colon - p));
            PyObject *value = PyUnicode_DecodeLatin1(from, stop - from, NULL);
            result = name != NULL && value != NULL ? tc_headers_put(self, name, value) : -1;
            Py_XDECREF(name);
            Py_XDECREF(value);
        }
        p = next;
    }
    PyMem_Free(block);
    return result;
}
