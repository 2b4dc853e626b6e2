/* An instance's own attributes, read without making its dict. CPython keeps the values of most instances'
 * attributes in an array, with the dict or without one; their names are those that the class has its
 * instances share, and these only grow. Where the array is differs between versions; of one that this file
 * does not know nothing is assumed. */
#ifndef TC_INSTANCE_H
#define TC_INSTANCE_H

#include "base/compat.h"

struct tc_state;

typedef struct {
    PyObject **values; /* by the shared names, each may be NULL; NULL where there is no array */
    PyObject *dict;    /* one that does not use the shared names, borrowed; NULL where there is none */
    bool known;        /* false: there may be attributes elsewhere */
} tc_instance;

/* The beginning of CPython's PyDictKeysObject. */
typedef struct {
    Py_ssize_t refcnt;
    uint8_t log2_size, log2_index_bytes, kind; /* kind 0: not all keys are exact str */
    uint32_t version;
    Py_ssize_t usable, count;
    char indices[];
} tc_instance_names;

#if !defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030f0000

/* The names that instances of a class share, if it is one whose instances have `values`. */
static inline const tc_instance_names *
tc_instance_names_of(PyTypeObject *type)
{
    return (const tc_instance_names *)((PyHeapTypeObject *)type)->ht_cached_keys;
}

/* Borrowed, an exact str. */
static inline PyObject *
tc_instance_name_at(const tc_instance_names *names, Py_ssize_t i)
{
    return ((PyObject *const *)(names->indices + ((size_t)1 << names->log2_index_bytes)))[2 * i];
}

static inline tc_instance
tc_instance_read(PyObject *obj)
{
    PyTypeObject *type = Py_TYPE(obj);
    tc_instance at = {.known = true};
    if (TC_UNLIKELY(!(type->tp_flags & Py_TPFLAGS_MANAGED_DICT))) {
        at.known = type->tp_dictoffset >= 0;
        at.dict = type->tp_dictoffset > 0 ? *(PyObject **)((char *)obj + type->tp_dictoffset) : NULL;
        return at;
    }
#if PY_VERSION_HEX >= 0x030d0000
    const size_t offset = sizeof(PyObject *); /* the array follows capacity, size, embedded, valid */
    at.dict = ((PyObject **)obj)[-3];
    if (at.dict == NULL && (type->tp_flags & Py_TPFLAGS_INLINE_VALUES)) {
        char *values = (char *)obj + type->tp_basicsize;
        at.known = values[3] != 0;
        at.values = (PyObject **)(values + offset);
    }
#elif PY_VERSION_HEX >= 0x030c0000
    const size_t offset = 0;
    uintptr_t slot = ((uintptr_t *)obj)[-3]; /* a dict, or the address of the array less one */
    if (slot & 1) {
        at.values = (PyObject **)(slot + 1);
    }
    else {
        at.dict = (PyObject *)slot;
    }
#else
    const size_t offset = 0;
    at.dict = ((PyObject **)obj)[-3];
    at.values = at.dict == NULL ? ((PyObject ***)obj)[-4] : NULL;
#endif
    if (at.dict != NULL) {
        PyDictObject *dict = (PyDictObject *)at.dict;
        if (TC_LIKELY(dict->ma_values != NULL &&
                      (const tc_instance_names *)dict->ma_keys == tc_instance_names_of(type))) {
            at.values = (PyObject **)((char *)dict->ma_values + offset);
            at.dict = NULL;
        }
    }
    return at;
}

/* Is `name`, an exact str, a key? Runs no Python: where it would have to be compared with other keys than
 * str, it is taken to be one. */
static inline bool
tc_instance_dict_may_have(PyObject *dict, PyObject *name)
{
    const tc_instance_names *keys = (const tc_instance_names *)((PyDictObject *)dict)->ma_keys;
    return keys->kind == 0 || PyDict_Contains(dict, name) != 0;
}

#else

static inline tc_instance
tc_instance_read(PyObject *obj)
{
    return (tc_instance){.known = false};
}

static inline const tc_instance_names *
tc_instance_names_of(PyTypeObject *type)
{
    return NULL;
}

static inline PyObject *
tc_instance_name_at(const tc_instance_names *names, Py_ssize_t i)
{
    return NULL;
}

static inline bool
tc_instance_dict_may_have(PyObject *dict, PyObject *name)
{
    return true;
}

#endif

/* Are the attributes of a class's instances found in dicts alone? __getattr__ is only asked for what is missing.
 * `name`: the str __getattribute__. */
static inline bool
tc_instance_class_is_plain(PyTypeObject *type, PyObject *name)
{
    return type->tp_getattro == PyObject_GenericGetAttr ||
           _PyType_Lookup(type, name) == _PyType_Lookup(&PyBaseObject_Type, name);
}

/* May the dict (NULL: there is none) have one of the names whose bits are set? */
static inline bool
tc_instance_dict_may_have_any(PyObject *dict, struct tc_state *state,
                              PyObject *(*name)(struct tc_state *state, size_t i), uint64_t bits)
{
    for (size_t i = 0; dict != NULL && i < 64 && bits >> i != 0; i++) {
        if ((bits >> i & 1) && tc_instance_dict_may_have(dict, name(state, i))) {
            return true;
        }
    }
    return false;
}

#endif
