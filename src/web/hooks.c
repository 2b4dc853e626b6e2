/* See hooks.h. What is ours is in the dict of originals, which the Python module registers at import. */
#include "web/hooks.h"

uint32_t
tc_hooks_compute(tc_state *state, PyTypeObject *type)
{
    PyObject *originals = state->upcall_hook_originals;
    if (originals == NULL || type->tp_getattro != PyObject_GenericGetAttr) {
        return 0; /* __getattr__ and __getattribute__ may provide any name */
    }
    PyObject *names[] = {
#define TC_X(name) state->str_##name,
        TC_HOOKS(TC_X)
#undef TC_X
    };
    uint32_t own = 0;
    for (size_t i = 0; i < TC_ARRAY_LEN(names); i++) {
        PyObject *found = _PyType_Lookup(type, names[i]); /* borrowed */
        if (found != NULL) {
            PyObject *candidates = PyDict_GetItemWithError(originals, names[i]);
            if (candidates != NULL && found == candidates) {
                own |= 1u << i;
            }
        }
    }
    PyErr_Clear();
    unsigned tag = type->tp_version_tag; /* the lookups have given it one, if there are any left */
    if (tag != 0) {
        tc_hook_entry *entry = &state->hooks[tag % TC_ARRAY_LEN(state->hooks)];
        entry->tag = tag;
        entry->own = own;
    }
    return own;
}

bool
tc_hooks_has(tc_state *state, PyObject *obj, enum tc_hook hook, PyObject *name)
{
    if (!(tc_hooks_of_type(state, Py_TYPE(obj)) & hook)) {
        return false;
    }
    if (tc_instance_is_bare(obj)) {
        return true;
    }
    PyObject *dict = PyObject_GenericGetDict(obj, NULL);
    int found = dict != NULL ? PyDict_Contains(dict, name) : -1;
    Py_XDECREF(dict);
    PyErr_Clear();
    return found == 0;
}
