/* RoutePart, the C base of routers, rules and matchers: assigning one of the attributes that a table of
 * routes was made from raises the state's version of the routes, which makes every table stale. An
 * attribute that was not there before could not be in a table, so making rules costs the tables nothing.
 * Who writes into the dict of a part has asked for it, by a `__dict__` that the class has from us once a
 * table has a part of it, or had it already when the table was made: such a dict is kept with a copy, and
 * compared before a table is used, as long as somebody has it. */
#include "web/route_table.h"

#include "base/args.h"

/* Does an assignment to this attribute, or its deletion, alter what a table may hold? */
static bool
part_counts(tc_state *state, PyObject *self, PyObject *name, bool assigned)
{
    PyObject *hooks[] = {state->str___class__, state->str___dict__, state->str_find_handler,
                         state->str_get_target_delegate, state->str_match};
    PyObject *fields[] = {state->str_application,  state->str_host_pattern, state->str_matcher,
                          state->str_regex,        state->str_rules,        state->str_target,
                          state->str_target_kwargs};
    if (!PyUnicode_CheckExact(name)) {
        return true;
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(hooks); i++) {
        if (name == hooks[i]) {
            return true;
        }
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(fields); i++) {
        if (name == fields[i]) {
            PyTypeObject *type = Py_TYPE(self);
            if (!assigned || type->tp_getattro != PyObject_GenericGetAttr || _PyType_Lookup(type, name)) {
                return true;
            }
            PyObject *value = NULL; /* looked for in the object's own dict only, as the class has none */
            int found = PyObject_GetOptionalAttr(self, name, &value);
            Py_XDECREF(value);
            PyErr_Clear();
            return found != 0;
        }
    }
    return false;
}

/* ---- dicts that were shown ---- */

/* Have two dicts the same items, in the same order? */
static bool
dicts_are_same(PyObject *a, PyObject *b)
{
    PyObject *key, *value, *other_key, *other_value;
    bool same = PyDict_GET_SIZE(a) == PyDict_GET_SIZE(b);
    for (Py_ssize_t i = 0, j = 0; same && PyDict_Next(a, &i, &key, &value);) {
        same = PyDict_Next(b, &j, &other_key, &other_value) && key == other_key && value == other_value;
    }
    return same;
}

/* Keeps a dict with a copy, under its address; one that is another than its copy makes the tables stale. */
static int
part_note_dict(tc_state *state, PyObject *dict)
{
    if (state->shown_parts == NULL && (state->shown_parts = PyDict_New()) == NULL) {
        return -1;
    }
    PyObject *key = PyLong_FromVoidPtr(dict), *copy = NULL, *pair = NULL;
    PyObject *before = key != NULL ? PyDict_GetItemWithError(state->shown_parts, key) : NULL;
    int st = PyErr_Occurred() ? -1 : 0;
    if (st == 0 && (before == NULL || !dicts_are_same(dict, PyTuple_GET_ITEM(before, 1)))) {
        state->routes_version += before != NULL;
        copy = PyDict_Copy(dict);
        pair = copy != NULL ? PyTuple_Pack(2, dict, copy) : NULL;
        st = pair != NULL ? PyDict_SetItem(state->shown_parts, key, pair) : -1;
    }
    Py_XDECREF(key);
    Py_XDECREF(copy);
    Py_XDECREF(pair);
    return st;
}

/* Can nobody but the part write into a dict any more? Its other reference is ours. */
static bool
part_dict_is_left(PyObject *pair)
{
    return Py_REFCNT(PyTuple_GET_ITEM(pair, 0)) <= 2;
}

static bool
part_dict_is_changed(PyObject *pair)
{
    return !dicts_are_same(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
}

/* Makes the tables stale if a dict is another than its copy. Keeps those that somebody still has. */
static int
part_look_at_all(tc_state *state)
{
    PyObject *shown = state->shown_parts, *key, *pair;
    state->shown_parts = NULL;
    int st = 0;
    for (Py_ssize_t i = 0; st == 0 && PyDict_Next(shown, &i, &key, &pair);) {
        state->routes_version += part_dict_is_changed(pair);
        st = part_dict_is_left(pair) ? 0 : part_note_dict(state, PyTuple_GET_ITEM(pair, 0));
    }
    if (st < 0) {
        Py_XSETREF(state->shown_parts, Py_NewRef(shown));
    }
    Py_DECREF(shown); /* last: a value that was replaced may run Python as it goes */
    return st;
}

void
tc_route_parts_look(tc_state *state)
{
    PyObject *key, *pair;
    for (Py_ssize_t i = 0; PyDict_Next(state->shown_parts, &i, &key, &pair);) {
        if (part_dict_is_left(pair) || part_dict_is_changed(pair)) {
            if (part_look_at_all(state) < 0) {
                PyErr_Clear();
                state->routes_version++;
            }
            return;
        }
    }
}

static PyObject *
part_get_dict(PyObject *self, void *unused)
{
    tc_state *state = tc_state_of(Py_TYPE(self));
    PyObject *dict = state != NULL ? PyObject_GenericGetDict(self, NULL) : NULL;
    if (dict != NULL && PyDict_CheckExact(dict) && part_note_dict(state, dict) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

static int
part_set_dict(PyObject *self, PyObject *value, void *unused)
{
    tc_state *state = tc_state_of(Py_TYPE(self));
    setter set = state != NULL ? state->set_dict : NULL;
    if (set == NULL || set(self, value, NULL) < 0) {
        return -1;
    }
    return value != NULL && PyDict_CheckExact(value) ? part_note_dict(state, value) : 0;
}

static PyGetSetDef part_dict = {"__dict__", part_get_dict, part_set_dict, NULL, NULL};

/* What assigns to the dict of an instance as its class came is remembered: CPython 3.13 has values in it that
 * PyObject_GenericSetDict does not know of. */
static int
part_watch_dicts(tc_state *state, PyTypeObject *type, PyObject *plain)
{
    state->set_dict = ((PyGetSetDescrObject *)plain)->d_getset->set; /* first: plain may go now */
    PyObject *descriptor = PyDescr_NewGetSet(type, &part_dict);
    int st = descriptor != NULL ? PyDict_SetItemString(type->tp_dict, part_dict.name, descriptor) : -1;
    Py_XDECREF(descriptor);
    PyType_Modified(type);
    return st;
}

PyObject *
tc_route_part_watch(PyObject *module, PyObject *cls)
{
    tc_state *state = PyModule_GetState(module);
    PyTypeObject *type = (PyTypeObject *)cls;
    if (!PyType_Check(cls) || !PyType_IsSubtype(type, state->route_part_type)) {
        return PyErr_Format(PyExc_TypeError, "expected a class of RoutePart's, got %R", cls);
    }
    PyObject *shown = _PyType_Lookup(type, state->str___dict__); /* which gives it a version, too */
    if (shown == NULL || !Py_IS_TYPE(shown, &PyGetSetDescr_Type)) {
        return PyLong_FromLong(0);
    }
    if (((PyGetSetDescrObject *)shown)->d_getset != &part_dict) {
        if (part_watch_dicts(state, type, shown) < 0) {
            return NULL;
        }
        (void)_PyType_Lookup(type, state->str___dict__);
    }
    return PyLong_FromUnsignedLong(type->tp_version_tag);
}

PyObject *
tc_route_part_values(PyObject *module, PyObject *part)
{
    PyObject *dict = PyObject_GenericGetDict(part, NULL);
    bool kept = dict != NULL && PyDict_CheckExact(dict) && Py_REFCNT(dict) > 2;
    if (kept && part_note_dict(PyModule_GetState(module), dict) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

/* ---- assignments ---- */

static PyObject *
part_change(PyObject *self, PyTypeObject *defining, PyObject *name, PyObject *value)
{
    tc_state *state = PyType_GetModuleState(defining);
    Py_INCREF(name);
    if (PyUnicode_CheckExact(name)) {
        PyUnicode_InternInPlace(&name);
    }
    bool counts = part_counts(state, self, name, value != NULL);
    int st = PyObject_GenericSetAttr(self, name, value);
    state->routes_version +=
        counts; /* afterwards: a table that is being made elsewhere may have seen the old */
    Py_DECREF(name);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(part_setattr_doc, "__setattr__($self, name, value, /)\n--\n\nAssign an attribute.");

static PyObject *
part_setattr(PyObject *self, PyTypeObject *defining, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) != 0) {
        PyErr_SetString(PyExc_TypeError, "__setattr__() takes no keyword arguments");
        return NULL;
    }
    return tc_args_check("__setattr__", nargs, 2, 2) == 0 ? part_change(self, defining, args[0], args[1])
                                                          : NULL;
}

PyDoc_STRVAR(part_delattr_doc, "__delattr__($self, name, /)\n--\n\nDelete an attribute.");

static PyObject *
part_delattr(PyObject *self, PyTypeObject *defining, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) != 0) {
        PyErr_SetString(PyExc_TypeError, "__delattr__() takes no keyword arguments");
        return NULL;
    }
    return tc_args_check("__delattr__", nargs, 1, 1) == 0 ? part_change(self, defining, args[0], NULL) : NULL;
}

static PyMethodDef part_methods[] = {
    {"__delattr__", (PyCFunction)(void (*)(void))part_delattr, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     part_delattr_doc},
    {"__setattr__", (PyCFunction)(void (*)(void))part_setattr, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     part_setattr_doc},
    {NULL},
};

PyDoc_STRVAR(part_doc, "RoutePart()\n--\n\nThe C base of routers, rules and matchers.");

static PyType_Slot part_slots[] = {
    {Py_tp_doc, (void *)part_doc},
    {Py_tp_methods, part_methods},
    {0, NULL},
};

static PyType_Spec part_spec = {
    .name = "tornado_c._core.RoutePart",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = part_slots,
};

int
tc_route_part_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &part_spec, NULL);
    state->route_part_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "RoutePart", type) : -1;
}
