/* The module's state: every type, interned name, imported object and registered object, from one list each.
 * A layer's lists are in its names.h; the lists of all expand into the struct below and into its exec,
 * traverse and clear functions in module.c. A name stands in the lowest layer that uses it:
 *
 *     TYPES     state-><name>_type: a C type, made by the init function beside it, in this order
 *     NAMES     state->str_<name>: an interned attribute, method or keyword name
 *     TEXTS     state->text_<name>: an interned text that is no identifier
 *     KEYWORDS  state->kw_<name>: a tuple of keyword names for calls out
 *     OWN       state-><name>: an object that a layer makes itself
 *     IMPORTS   state-><name>: an attribute of a module, imported when ours is loaded
 *     FACES     state->face_<name>: a Python class or exception that C makes instances of or raises, with
 *               the group that brings it and the class of which it must be a subclass
 *     UPCALLS   state->upcall_<name>: what C calls or reads in Python (functions, dicts, loggers, markers),
 *               with its group and the type that it must have, or NULL
 *     FIELDS    anything else
 *
 * A group is the faces and upcalls that one module of the package hands over when it is imported: the group
 * "httputil" is registered by tornado_c.httputil.
 *
 * A type's methods reach the state through the pointer that tp_new stored in the object; functions with no
 * object at hand use tc_state_of(type). */
#ifndef TC_STATE_H
#define TC_STATE_H

#include "base/compat.h"
#include "all_names.h"

typedef struct tc_state {
#define TC_X(name, init) PyTypeObject *name##_type;
    TC_TYPES(TC_X)
#undef TC_X
#define TC_X(name) PyObject *str_##name;
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(name, text) PyObject *text_##name;
    TC_TEXTS(TC_X)
#undef TC_X
#define TC_X(field, module, attr) PyObject *field;
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name, group, base) PyObject *face_##name;
    TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, group, type) PyObject *upcall_##name;
    TC_UPCALLS(TC_X)
#undef TC_X
#define TC_X(name, ...) PyObject *kw_##name;
    TC_KEYWORDS(TC_X)
#undef TC_X
#define TC_X(field) PyObject *field;
    TC_OWN(TC_X)
#undef TC_X
    TC_FIELDS
} tc_state;

#define TC_X(name, init) int init(PyObject *module, tc_state *state);
TC_TYPES(TC_X)
#undef TC_X

/* Complete except for its functions, which module.c fills in before the module is made. */
extern struct PyModuleDef tc_module;

/* The state of the module that `type` or one of its bases belongs to; NULL with an exception set. */
static inline tc_state *
tc_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &tc_module);
    return module != NULL ? (tc_state *)PyModule_GetState(module) : NULL;
}

/* Takes what a module of the package hands over: the faces and the upcalls (dicts) of one group, all of them
 * or nothing. What they replace is kept alive, as C may be using it. 0, or -1 with LookupError for a group or
 * a name that is unknown or missing, or TypeError. */
int tc_state_register(tc_state *state, const char *group, PyObject *faces, PyObject *upcalls);

/* RuntimeError, with the name of the module to import. NULL. */
PyObject *tc_state_not_registered(tc_state *state, const char *name);

static inline PyObject *
tc_state_registered(tc_state *state, PyObject *obj, const char *name)
{
    return TC_LIKELY(obj != NULL) ? obj : tc_state_not_registered(state, name);
}

/* The registered face or upcall, borrowed; NULL with RuntimeError if its module was not imported. */
#define tc_face(state, name) tc_state_registered(state, (state)->face_##name, #name)
#define tc_upcall(state, name) tc_state_registered(state, (state)->upcall_##name, #name)

#endif
