/* What the files of this folder share among themselves. Names are normalised, results are 0 or -1 with an
 * exception, and new references, unless said otherwise. */
#ifndef TC_HEADERS_PARTS_H
#define TC_HEADERS_PARTS_H

#include "http/headers/headers.h"
#include "http/http_chars.h"

#define TC_HEADERS_PAIRS 6 /* so many fields need no dict */

/* The C part of an HTTPHeaders. */
typedef struct HeadersObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *fields;              /* dict: name -> the only value, or the list of values; NULL: `pairs` */
    PyObject *combined; /* dict: name -> combined value of a field whose values are a list; may be NULL */
    char *block;        /* raw header block not parsed yet, PyMem_Malloc; NULL otherwise */
    size_t block_size;
    bool exposed;   /* Python has seen the dicts: all values are lists, `combined` is exactly Tornado's */
    uint8_t npairs; /* 0 where there is a dict or a block */
    PyObject
        *pairs[2 * TC_HEADERS_PAIRS]; /* name, value, name...: str in ASCII and str, names all different */
} HeadersObject;

/* store.c */

/* The slow part of tc_headers_fields. */
PyObject *tc_headers_load(HeadersObject *self);

/* The dict of fields, borrowed, with any raw block parsed; NULL with an exception. Runs no Python unless
 * _normalize_header is replaced. */
static inline PyObject *
tc_headers_fields(HeadersObject *self)
{
    return TC_LIKELY(self->fields != NULL && self->block == NULL) ? self->fields : tc_headers_load(self);
}

/* Whether the fields are still in `pairs`. */
static inline bool
tc_headers_in_pairs(const HeadersObject *self)
{
    return self->fields == NULL && self->block == NULL;
}

/* Fills in the values of those names that are among the pairs: new references. */
void tc_headers_pairs_each(HeadersObject *self, PyObject *const *names, PyObject **values, size_t count);

/* Removes a key that may be absent from a dict that may be NULL: 1, 0 or -1. */
int tc_headers_dict_discard(PyObject *dict, PyObject *key);

/* Makes fields[name] = [value] and combined[name] = value; the fields must be loaded. */
int tc_headers_store_list(HeadersObject *self, PyObject *name, PyObject *value);

/* self[name] = value. */
int tc_headers_store(HeadersObject *self, PyObject *name, PyObject *value);

/* Adds a value to a field that is there: `slot` is what the dict of fields has for it. */
int tc_headers_append(HeadersObject *self, PyObject *name, PyObject *slot, PyObject *value);

/* Adds a value, whether the field is there or not. */
int tc_headers_put(HeadersObject *self, PyObject *name, PyObject *value);

/* Whether there is such a field: 1, 0 or -1. */
int tc_headers_has_field(HeadersObject *self, PyObject *name);

/* What the dict of fields has for a name, a new reference: 1, 0 or -1. */
int tc_headers_find_slot(HeadersObject *self, PyObject *name, PyObject **slot);

/* The combined value; NULL without an exception if missing. */
PyObject *tc_headers_lookup(HeadersObject *self, PyObject *name);

/* Turns the fields into Tornado's two dicts, for good. */
int tc_headers_expose(HeadersObject *self);

/* Back to an instance without any fields. */
void tc_headers_reset(HeadersObject *self);

/* check.c */

/* Is this str a token, as a name must be? */
bool tc_headers_is_token(PyObject *text);

/* 0 if the object may be a value, else -1 with HTTPInputError or what Tornado raises for the type. */
int tc_headers_check_value(tc_state *state, PyObject *value, bool chars_are_bytes);

/* All return -1: HTTPInputError(message), HTTPInputError("Invalid header <what> <repr>"), and what `re`
 * raises when a str pattern meets something that is not a str. */
int tc_headers_raise(tc_state *state, const char *message);
int tc_headers_raise_invalid(tc_state *state, const char *what, PyObject *obj);
int tc_headers_raise_not_str(PyObject *obj);

/* type.c: the slots, by which an instance of a class that overrides nothing is recognised */
PyObject *tc_headers_getitem(HeadersObject *self, PyObject *key);
int tc_headers_setitem(HeadersObject *self, PyObject *key, PyObject *value);
int tc_headers_has(HeadersObject *self, PyObject *key);
PyObject *tc_headers_iter(HeadersObject *self);

/* walk.c: the method get_all */
PyObject *tc_headers_get_all(HeadersObject *self, PyObject *ignored);

/* add.c: methods, and add(name, value) of this class, whatever subclasses make of it */
PyObject *tc_headers_add(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_headers_parse_line(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames);
PyObject *tc_headers_parse(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
int tc_headers_add_pair(HeadersObject *self, PyObject *name, PyObject *value, bool chars_are_bytes);

extern const char tc_headers_add_doc[], tc_headers_parse_line_doc[], tc_headers_parse_doc[];

/* pickle.c: methods and attributes */
PyObject *tc_headers_getstate(HeadersObject *self, PyObject *ignored);
PyObject *tc_headers_setstate(HeadersObject *self, PyObject *values);
PyObject *tc_headers_reduce(HeadersObject *self, PyObject *ignored);
PyObject *tc_headers_get_as_list(HeadersObject *self, void *closure);
int tc_headers_set_as_list(HeadersObject *self, PyObject *value, void *closure);
PyObject *tc_headers_get_combined_cache(HeadersObject *self, void *closure);
int tc_headers_set_combined_cache(HeadersObject *self, PyObject *value, void *closure);

extern const char tc_headers_getstate_doc[], tc_headers_setstate_doc[], tc_headers_reduce_doc[];

/* headers.c */

/* May pairs be read straight from the fields? False for anything but a HeadersBase. */
bool tc_headers_plain(PyObject *obj);

/* -- what a class has overridden ------------------------------------------------------------------------ */

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
