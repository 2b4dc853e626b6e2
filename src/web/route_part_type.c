/* RoutePart, the C base of routers, rules and matchers: assigning one of the attributes that a table of routes was
 * made from raises the state's version of the routes, which makes every table stale. An attribute that was not
 * there before could not be in a table, so making rules costs the tables nothing. */
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
