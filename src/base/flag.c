/* Attributes that are true or false, in the structs of many types. */
#include "base/flag.h"

PyObject *
tc_flag_get(PyObject *self, void *offset)
{
    return PyBool_FromLong(*(bool *)((char *)self + (size_t)offset));
}

int
tc_flag_set(PyObject *self, PyObject *value, void *offset)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "this attribute cannot be deleted");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth >= 0) {
        *(bool *)((char *)self + (size_t)offset) = truth;
    }
    return truth < 0 ? -1 : 0;
}
