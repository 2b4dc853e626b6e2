/* See hooks.h. What is ours is in the dicts of originals, which the Python module registers at import. */
#include "web/hooks.h"

#include "base/args.h"

static PyObject *
hook_name(tc_state *state, size_t i)
{
    PyObject *const names[TC_HOOK_COUNT] = {
#define TC_X(name) state->str_##name,
        TC_HOOKS(TC_X) TC_STATIC_HOOKS(TC_X)
#undef TC_X
    };
    return names[i];
}

/* The entry of a class; NULL where it has no version any more. */
static tc_hook_entry *
hooks_entry(tc_state *state, PyTypeObject *type, uint64_t own)
{
    unsigned tag = type->tp_version_tag;
    tc_hook_entry *entry = &state->hooks[tag % TC_ARRAY_LEN(state->hooks)];
    if (tag == 0) {
        return NULL;
    }
    if (entry->tag != tag) {
        *entry = (tc_hook_entry){.tag = tag, .own = own};
    }
    return entry;
}

uint64_t
tc_hooks_compute(tc_state *state, PyTypeObject *type)
{
    uint64_t own = 0;
    if (state->upcall_hook_originals == NULL) {
        return 0;
    }
    for (size_t i = 0; i < TC_HOOK_COUNT; i++) {
        PyObject *originals =
            i < TC_HOOK_FIRST_STATIC ? state->upcall_hook_originals : state->upcall_static_hook_originals;
        PyObject *name = hook_name(state, i), *found = _PyType_Lookup(type, name); /* borrowed */
        if (found != NULL && found == PyDict_GetItemWithError(originals, name)) {
            own |= UINT64_C(1) << i;
        }
    }
    if (!tc_instance_class_is_plain(type, state->str___getattribute__)) {
        own = 0;
    }
    PyErr_Clear();
    hooks_entry(state, type, own); /* the lookups have given the class a version, if there are any left */
    return own;
}

/* Looks for hooks among the shared names that are new. What does not fit is taken for overridden. */
static void
hooks_see_names(tc_state *state, tc_hook_entry *entry, const tc_instance_names *names)
{
    for (; entry->seen < names->count; entry->seen++) {
        PyObject *name = tc_instance_name_at(names, entry->seen);
        for (size_t i = 0; i < TC_HOOK_COUNT; i++) {
            PyObject *hook = hook_name(state, i);
            if (name != hook && (PyUnicode_CHECK_INTERNED(name) || PyUnicode_Compare(name, hook) != 0)) {
                continue;
            }
            if (entry->shadows == TC_ARRAY_LEN(entry->value)) {
                entry->own &= ~(UINT64_C(1) << i);
                continue;
            }
            entry->value[entry->shadows] = (uint8_t)entry->seen;
            entry->hook[entry->shadows++] = (uint8_t)i; /* a name may be that of another hook, too */
        }
    }
}

static bool
values_own(tc_state *state, PyTypeObject *type, PyObject *const *values, uint64_t hooks)
{
    tc_hook_entry *entry = hooks_entry(state, type, tc_hooks_of_type(state, type));
    if (entry == NULL) {
        return false;
    }
    hooks_see_names(state, entry, tc_instance_names_of(type));
    uint64_t own = entry->own;
    for (size_t i = 0; i < entry->shadows; i++) {
        if (values[entry->value[i]] != NULL) {
            own &= ~(UINT64_C(1) << entry->hook[i]);
        }
    }
    return (own & hooks) == hooks;
}

bool
tc_hooks_own_slow(tc_state *state, PyObject *obj, uint64_t hooks)
{
    PyTypeObject *type = Py_TYPE(obj);
    tc_instance at = tc_instance_read(obj);
    if ((tc_hooks_of_type(state, type) & hooks) != hooks || !at.known) {
        return false;
    }
    if (at.values != NULL) {
        return values_own(state, type, at.values, hooks);
    }
    return !tc_instance_dict_may_have_any(at.dict, state, hook_name, hooks);
}

/* 1, 0 or -1. */
static int
hooks_is(PyObject *obj, PyObject *name, PyObject *original)
{
    PyObject *found;
    int st = PyObject_GetOptionalAttr(obj, name, &found);
    if (st > 0) {
        st = PyMethod_Check(found) && PyMethod_GET_FUNCTION(found) == original;
        Py_DECREF(found);
    }
    return st;
}

PyObject *
tc_hooks_owns(PyObject *unused, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("owns", nargs, 2, 2) < 0) {
        return NULL;
    }
    if (!PyTuple_Check(args[1])) {
        return PyErr_Format(PyExc_TypeError, "originals must be a tuple, not %.200s",
                            Py_TYPE(args[1])->tp_name);
    }
    int same = 1;
    for (Py_ssize_t i = 0; same > 0 && i + 1 < PyTuple_GET_SIZE(args[1]); i += 2) {
        same = hooks_is(args[0], PyTuple_GET_ITEM(args[1], i), PyTuple_GET_ITEM(args[1], i + 1));
    }
    return same < 0 ? NULL : PyBool_FromLong(same);
}
