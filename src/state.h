/* The module's state: every type, interned name and imported object, from one list each. The lists
 * expand into the struct below and into its exec, traverse and clear functions in module.c.
 *
 * A type's methods reach the state through the pointer that tp_new stored in the object; functions with
 * no object at hand use tc_state_of(type). */
#ifndef TC_STATE_H
#define TC_STATE_H

#include "base/compat.h"

/* C types, made by tc_<noun>_init_type in this order. */
#define TC_TYPES(X)                                                                                          \
    X(headers, tc_headers_init_type)

/* Interned attribute, method and keyword names: state->str_<name>. */
#define TC_NAMES(X)                                                                                          \
    X(copy)                                                                                                  \
    X(update)

/* Objects imported when the module is loaded: state-><field> = getattr(import(module), attr). */
#define TC_IMPORTS(X)                                                                                        \
    X(asyncio_future, "asyncio", "Future")                                                                   \
    X(asyncio_task, "asyncio", "Task")

/* Python classes over our C bases and exceptions, which the Python modules hand over with
 * _core.register(NAME, object) when they are imported: state->face_<name>. */
#define TC_FACES(X)                                                                                          \
    X(HTTPHeaders)                                                                                           \
    X(HTTPInputError)                                                                                        \
    X(HTTPOutputError)

typedef struct tc_state {
#define TC_X(name, init) PyTypeObject *name##_type;
    TC_TYPES(TC_X)
#undef TC_X
#define TC_X(name) PyObject *str_##name;
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(field, module, attr) PyObject *field;
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name) PyObject *face_##name;
    TC_FACES(TC_X)
#undef TC_X
} tc_state;

extern struct PyModuleDef tc_module;

/* The state of the module that `type` or one of its bases belongs to; NULL with an exception set. */
static inline tc_state *
tc_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &tc_module);
    return module != NULL ? (tc_state *)PyModule_GetState(module) : NULL;
}

/* The registered face, or NULL with a RuntimeError that names the module to import. Borrowed. */
#define tc_face(state, name, module) tc_face_or_raise((state)->face_##name, #name, module)
PyObject *tc_face_or_raise(PyObject *face, const char *name, const char *module);

#define TC_X(name, init) int init(PyObject *module, tc_state *state);
TC_TYPES(TC_X)
#undef TC_X

#endif
