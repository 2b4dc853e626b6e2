/* Attributes that are true or false. They take any object, by its truth, as attributes of a Python class do, and
 * cannot be deleted. */
#ifndef TC_FLAG_H
#define TC_FLAG_H

#include "base/compat.h"

/* An entry of a PyGetSetDef table for a bool of the object's struct. */
#define TC_FLAG(type, name, field, doc)                                                                      \
    {                                                                                                        \
        name, tc_flag_get, tc_flag_set, PyDoc_STR(doc), (void *)offsetof(type, field)                        \
    }

PyObject *tc_flag_get(PyObject *self, void *offset);

/* Runs Python: the value's __bool__(). */
int tc_flag_set(PyObject *self, PyObject *value, void *offset);

#endif
