/* Whether an object has attributes of its own, without making its dict. CPython keeps the attributes of most
 * instances in an array until __dict__ is first used; where the array is differs between versions. */
#ifndef TC_INSTANCE_H
#define TC_INSTANCE_H

#include "base/compat.h"

/* True only if no attribute of the class can be shadowed by one of the instance. */
static inline bool
tc_instance_is_bare(PyObject *obj)
{
    PyTypeObject *type = Py_TYPE(obj);
    if (!(type->tp_flags & Py_TPFLAGS_MANAGED_DICT)) {
        return type->tp_dictoffset == 0;
    }
#if PY_VERSION_HEX >= 0x030d0000
    PyObject *dict = ((PyObject **)obj)[-3];
    if (dict != NULL) {
        return PyDict_GET_SIZE(dict) == 0;
    }
    if (!(type->tp_flags & Py_TPFLAGS_INLINE_VALUES)) {
        return true;
    }
    const uint8_t *values = (const uint8_t *)obj + type->tp_basicsize; /* capacity, size, embedded, valid */
    return values[3] != 0 && values[1] == 0;
#elif PY_VERSION_HEX >= 0x030c0000
    uintptr_t slot = ((uintptr_t *)obj)[-3]; /* a dict, or the address of the values less one */
    if (slot & 1) {
        return ((const uint8_t *)(slot + 1))[-2] == 0;
    }
    return slot == 0 || PyDict_GET_SIZE((PyObject *)slot) == 0;
#else
    PyObject *dict = ((PyObject **)obj)[-3];
    if (dict != NULL) {
        return PyDict_GET_SIZE(dict) == 0;
    }
    const uint8_t *values = ((const uint8_t **)obj)[-4];
    return values == NULL || values[-2] == 0;
#endif
}

#endif
