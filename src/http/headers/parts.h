/* What the files of this folder share among themselves. Names are normalised, results are 0 or -1 with an
 * exception, and new references, unless said otherwise.
 *
 * headers.c  access for the rest of C          add.c     add(), parse_line(), parse()
 * type.c     the type: life, access by key     walk.c    all pairs in order: get_all(), the walk for C
 * store.c    where the fields are kept         write.c   the lines of a message head
 * check.c    what a name and a value may be    pickle.c  _as_list, _combined_cache, what pickle keeps
 * names.c    names in normalised form
 *
 * An instance is in one of four states. Only store.c moves it from one to another, and writes its fields:
 *
 *      BLOCK                               PAIRS  (a new instance)
 *      raw header lines, nothing parsed    up to TC_HEADERS_PAIRS names, each with its only value, a str
 *         |                                  |
 *         | first touched                    | one field more, a second value, a walk over the fields
 *         +---------------+------------------+
 *                         v
 *      DICTS
 *      fields: name -> the only value, or the list of a repeated field's values; a value that is itself a
 *      list lies in a list of one. combined: name -> the joined values of such a list, made on first use
 *                         |
 *                         | Python asks for _as_list or _combined_cache
 *                         v
 *      EXPOSED
 *      the two dicts are exactly Tornado's: all values are lists. Their keys, and what Python has put in
 *      their place, may run Python in any lookup
 *
 * tc_headers_reset leads back to PAIRS from everywhere. */
#ifndef TC_HEADERS_PARTS_H
#define TC_HEADERS_PARTS_H

#include "http/headers/headers.h"
#include "http/http_chars.h"

#define TC_HEADERS_PAIRS 6 /* up to this many fields need no dict */

enum tc_headers_form { TC_HEADERS_IN_PAIRS, TC_HEADERS_IN_BLOCK, TC_HEADERS_IN_DICTS, TC_HEADERS_EXPOSED };

/* The C part of an HTTPHeaders. Read through the functions below. */
typedef struct HeadersObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *fields;              /* DICTS, EXPOSED: a dict */
    PyObject *combined;            /* EXPOSED: a dict; DICTS: a dict or NULL */
    char *block;                   /* BLOCK: PyMem_Malloc */
    size_t block_size;
    uint8_t form;   /* enum tc_headers_form */
    uint8_t npairs; /* 0 except in PAIRS */
    PyObject
        *pairs[2 * TC_HEADERS_PAIRS]; /* name, value, name...: str in ASCII and str, names all different */
} HeadersObject;

/* ---- store.c: reading ---- */

/* The slow part of tc_headers_fields. */
PyObject *tc_headers_load(HeadersObject *self);

/* The dict of fields, borrowed; leaves BLOCK and PAIRS. NULL with an exception. Runs no Python unless
 * _normalize_header is replaced. A caller that may run Python while it uses the dict holds it. */
static inline PyObject *
tc_headers_fields(HeadersObject *self)
{
    return TC_LIKELY(self->form >= TC_HEADERS_IN_DICTS) ? self->fields : tc_headers_load(self);
}

static inline bool
tc_headers_in_pairs(const HeadersObject *self)
{
    return self->form == TC_HEADERS_IN_PAIRS;
}

/* As a new instance; one without fields may be in another state. */
static inline bool
tc_headers_is_empty(const HeadersObject *self)
{
    return self->form == TC_HEADERS_IN_PAIRS && self->npairs == 0;
}

static inline bool
tc_headers_is_exposed(const HeadersObject *self)
{
    return self->form == TC_HEADERS_EXPOSED;
}

/* Pair i, both borrowed; false past the last one. */
static inline bool
tc_headers_pair_at(const HeadersObject *self, size_t i, PyObject **name, PyObject **value)
{
    if (i >= self->npairs) {
        return false;
    }
    *name = self->pairs[2 * i];
    *value = self->pairs[2 * i + 1];
    return true;
}

/* Fills in the values of those names that are among the pairs: new references. */
void tc_headers_pairs_each(HeadersObject *self, PyObject *const *names, PyObject **values, size_t count);

/* Whether there is such a field: 1, 0 or -1. */
int tc_headers_has_field(HeadersObject *self, PyObject *name);

/* What the dict of fields has for a name, a new reference: 1, 0 or -1. */
int tc_headers_find_slot(HeadersObject *self, PyObject *name, PyObject **slot);

/* The combined value; NULL without an exception if missing. */
PyObject *tc_headers_lookup(HeadersObject *self, PyObject *name);

/* The very list of a field's values, which Python may change; a new one if there is no such field. */
PyObject *tc_headers_values(HeadersObject *self, PyObject *name);

int tc_headers_traverse(HeadersObject *self, visitproc visit, void *arg);

/* ---- store.c: writing ---- */

/* self[name] = value. */
int tc_headers_store(HeadersObject *self, PyObject *name, PyObject *value);

/* del self[name]: KeyError where it is missing. */
int tc_headers_delete(HeadersObject *self, PyObject *name);

/* Adds a value to a field that exists: `slot` is its entry in the dict of fields. */
int tc_headers_append(HeadersObject *self, PyObject *name, PyObject *slot, PyObject *value);

/* Adds a value; the field need not exist. */
int tc_headers_put(HeadersObject *self, PyObject *name, PyObject *value);

/* The first pairs, of an instance without fields: ASCII names that differ, and values, str. */
void tc_headers_first_pairs(HeadersObject *self, PyObject *const *pairs, size_t count);

/* Makes the items of an exact dict the pairs, if there are no fields yet and all items can be pairs; then
 * true. */
bool tc_headers_take_pairs(HeadersObject *self, PyObject *dict);

/* Adds the fields of a raw block, which is copied; where there are no others it is parsed later. */
int tc_headers_take_block(HeadersObject *self, const char *block, size_t size);

/* Moves to EXPOSED, for good, and hands out the two dicts; either pointer may be NULL. */
int tc_headers_expose(HeadersObject *self, PyObject **as_list, PyObject **combined_cache);

/* Replaces one of them. */
int tc_headers_set_as_list(HeadersObject *self, PyObject *dict);
int tc_headers_set_combined_cache(HeadersObject *self, PyObject *dict);

/* Removes all fields. */
void tc_headers_reset(HeadersObject *self);

/* ---- check.c ---- */

/* Is this str a token, as a name must be? */
bool tc_headers_is_token(PyObject *text);

/* 0 if the object may be a value, else -1 with HTTPInputError or what Tornado raises for the type. */
int tc_headers_check_value(tc_state *state, PyObject *value, bool chars_are_bytes);

/* All return -1: HTTPInputError(message), HTTPInputError("Invalid header <what> <repr>"), and what `re`
 * raises when a str pattern meets something that is not a str. */
int tc_headers_raise(tc_state *state, const char *message);
int tc_headers_raise_invalid(tc_state *state, const char *what, PyObject *obj);
int tc_headers_raise_not_str(PyObject *obj);

/* ---- type.c: the slots, by which an instance of a class that overrides nothing is recognised ---- */

PyObject *tc_headers_getitem(HeadersObject *self, PyObject *key);
int tc_headers_setitem(HeadersObject *self, PyObject *key, PyObject *value);
int tc_headers_has(HeadersObject *self, PyObject *key);
PyObject *tc_headers_iter(HeadersObject *self);

/* ---- walk.c: the method get_all ---- */

PyObject *tc_headers_get_all(HeadersObject *self, PyObject *ignored);

/* ---- add.c: methods, and add(name, value) of this class, whatever subclasses make of it ---- */

PyObject *tc_headers_add(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_headers_parse_line(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames);
PyObject *tc_headers_parse(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
int tc_headers_add_pair(HeadersObject *self, PyObject *name, PyObject *value, bool chars_are_bytes);

extern const char tc_headers_add_doc[], tc_headers_parse_line_doc[], tc_headers_parse_doc[];

/* ---- pickle.c: methods and attributes ---- */

PyObject *tc_headers_getstate(HeadersObject *self, PyObject *ignored);
PyObject *tc_headers_setstate(HeadersObject *self, PyObject *values);
PyObject *tc_headers_reduce(HeadersObject *self, PyObject *ignored);

extern const char tc_headers_getstate_doc[], tc_headers_setstate_doc[], tc_headers_reduce_doc[];
extern PyGetSetDef tc_headers_getset[];

/* ---- headers.c ---- */

/* May pairs be read straight from the fields? False for anything but a HeadersBase. */
bool tc_headers_plain(PyObject *obj);

/* ---- what a class has overridden ---- */

/* True if the method that `type` has under `name` is the C function given. */
static inline bool
tc_headers_is_own(PyTypeObject *type, PyObject *name, void *function)
{
    PyObject *found = _PyType_Lookup(type, name); /* borrowed */
    return found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
           (void *)((PyMethodDescrObject *)found)->d_method->ml_meth == function;
}

static inline bool
tc_headers_own_add(HeadersObject *self)
{
    return tc_headers_is_own(Py_TYPE(self), self->state->str_add, tc_headers_add);
}

static inline bool
tc_headers_own_setitem(PyObject *obj)
{
    PyMappingMethods *mapping = Py_TYPE(obj)->tp_as_mapping;
    return mapping != NULL && mapping->mp_ass_subscript == (objobjargproc)tc_headers_setitem;
}

static inline bool
tc_headers_own_getitem(PyObject *obj)
{
    PyMappingMethods *mapping = Py_TYPE(obj)->tp_as_mapping;
    return mapping != NULL && mapping->mp_subscript == (binaryfunc)tc_headers_getitem;
}

static inline bool
tc_headers_own_contains(PyObject *obj)
{
    PySequenceMethods *sequence = Py_TYPE(obj)->tp_as_sequence;
    return sequence != NULL && sequence->sq_contains == (objobjproc)tc_headers_has;
}

#endif
