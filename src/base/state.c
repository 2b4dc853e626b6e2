/* The module's definition, and the registration of what Python hands to C. Called by module.c and, through
 * state.h, everywhere. Runs Python only where a dict of the caller's has keys that do. */
#include "base/state.h"

struct PyModuleDef tc_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tornado_c._core",
    .m_doc = "The C core of tornado_c. Use the modules of the package tornado_c instead.",
    .m_size = sizeof(tc_state),
};

typedef struct {
    const char *name, *group;
    bool is_face;
    PyObject **field;
    PyTypeObject *type; /* of which a face is a subclass, an upcall an instance; NULL: anything */
} state_entry;

enum {
#define TC_X(name, group, type) STATE_INDEX_##name,
    TC_FACES(TC_X) TC_UPCALLS(TC_X)
#undef TC_X
        STATE_ENTRIES
};

static void
state_list_entries(tc_state *state, state_entry *out)
{
    const state_entry entries[STATE_ENTRIES] = {
#define TC_X(name, group, type) {#name, #group, true, &state->face_##name, type},
        TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, group, type) {#name, #group, false, &state->upcall_##name, type},
            TC_UPCALLS(TC_X)
#undef TC_X
    };
    memcpy(out, entries, sizeof entries);
}

PyObject *
tc_state_not_registered(tc_state *state, const char *name)
{
    state_entry entries[STATE_ENTRIES];
    state_list_entries(state, entries);
    for (size_t i = 0; i < STATE_ENTRIES; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return PyErr_Format(PyExc_RuntimeError, "%s is not registered; import tornado_c.%s first", name,
                                entries[i].group);
        }
    }
    Py_UNREACHABLE();
}

static const char *
state_kind(const state_entry *entry)
{
    return entry->is_face ? "face" : "upcall";
}

/* 0, or -1 with TypeError if C could not use the object. */
static int
state_check(const state_entry *entry, PyObject *obj)
{
    if (entry->type == NULL) {
        return 0;
    }
    bool fits = entry->is_face ? PyType_Check(obj) && PyType_IsSubtype((PyTypeObject *)obj, entry->type)
                               : PyObject_TypeCheck(obj, entry->type);
    if (!fits) {
        PyErr_Format(PyExc_TypeError, "%s must be a%s %s", entry->name, entry->is_face ? " subclass of" : "",
                     entry->type->tp_name);
    }
    return fits ? 0 : -1;
}

/* 0, or -1 with LookupError if a key of the dict is not one of the group's names of this kind. */
static int
state_check_keys(const state_entry *entries, const char *group, PyObject *dict, bool is_face)
{
    PyObject *keys = PyDict_Keys(dict);
    int st = keys != NULL ? 0 : -1;
    for (Py_ssize_t k = 0; st == 0 && k < PyList_GET_SIZE(keys); k++) {
        PyObject *key = PyList_GET_ITEM(keys, k);
        bool known = false;
        for (size_t i = 0; i < STATE_ENTRIES && !known; i++) {
            known = entries[i].is_face == is_face && strcmp(entries[i].group, group) == 0 &&
                    PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, entries[i].name) == 0;
        }
        if (!known) {
            PyErr_Format(PyExc_LookupError, "%s has no %s named %R", group, is_face ? "face" : "upcall", key);
            st = -1;
        }
    }
    Py_XDECREF(keys);
    return st;
}

/* The group's objects out of both dicts, new references at the places of their entries. Their number, or
 * -1. */
static Py_ssize_t
state_take(const state_entry *entries, const char *group, PyObject *faces, PyObject *upcalls,
           PyObject **taken)
{
    Py_ssize_t count = 0;
    for (size_t i = 0; i < STATE_ENTRIES; i++) {
        if (strcmp(entries[i].group, group) != 0) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(entries[i].name);
        int found =
            name != NULL ? PyDict_GetItemRef(entries[i].is_face ? faces : upcalls, name, &taken[i]) : -1;
        Py_XDECREF(name);
        if (found == 0) {
            PyErr_Format(PyExc_LookupError, "%s lacks the %s %s", group, state_kind(&entries[i]),
                         entries[i].name);
        }
        if (found <= 0 || state_check(&entries[i], taken[i]) < 0) {
            return -1;
        }
        count++;
    }
    if (count == 0) {
        PyErr_Format(PyExc_LookupError, "no group named '%s'", group);
        return -1;
    }
    return count;
}

/* Steals the object, or leaves it. 0 or -1. */
static int
state_put(tc_state *state, const state_entry *entry, PyObject **obj)
{
    if (*entry->field == *obj) {
        return 0;
    }
    if (*entry->field != NULL && PyList_Append(state->replaced, *entry->field) < 0) {
        return -1;
    }
    Py_XSETREF(*entry->field, *obj);
    *obj = NULL;
    return 0;
}

int
tc_state_register(tc_state *state, const char *group, PyObject *faces, PyObject *upcalls)
{
    state_entry entries[STATE_ENTRIES];
    PyObject *taken[STATE_ENTRIES] = {NULL};
    state_list_entries(state, entries);
    int st = state_take(entries, group, faces, upcalls, taken) < 0 ||
                     state_check_keys(entries, group, faces, true) < 0 ||
                     state_check_keys(entries, group, upcalls, false) < 0
                 ? -1
                 : 0;
    for (size_t i = 0; i < STATE_ENTRIES; i++) {
        if (st == 0 && taken[i] != NULL) {
            st = state_put(state, &entries[i], &taken[i]);
        }
        Py_XDECREF(taken[i]);
    }
    return st;
}
