/* Making and ending a RouteTable. Python hands over what it found out about a router's rules; everything is checked
 * here, once, so that routes.c need not. See route_table.h. */
#include "web/route_table.h"

/* ---- from Python ---- */

static void *
table_allocate(Py_ssize_t count, size_t size)
{
    void *items = PyMem_Calloc(count > 0 ? (size_t)count : 1, size);
    return items != NULL ? items : PyErr_NoMemory();
}

/* {class: version}, as watch_part_class() gave it. */
static int
table_take_types(RouteTableObject *self, PyObject *types)
{
    PyObject *type, *tag;
    self->types = table_allocate(PyDict_GET_SIZE(types), sizeof *self->types);
    if (self->types == NULL) {
        return -1;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(types, &pos, &type, &tag);) {
        if (!PyType_Check(type) || !PyLong_CheckExact(tag)) {
            PyErr_SetString(PyExc_TypeError, "types must be a dict of class: version");
            return -1;
        }
        tc_route_type *item = &self->types[self->type_count++];
        item->type = (PyTypeObject *)Py_NewRef(type);
        item->tag = (unsigned)PyLong_AsUnsignedLongMask(tag);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static enum tc_route_target
table_kind_of_target(tc_state *state, PyObject *target)
{
    if (PyType_Check(target) && PyType_IsSubtype((PyTypeObject *)target, state->request_handler_type)) {
        return TC_ROUTE_TO_CLASS;
    }
    return PyObject_TypeCheck(target, state->route_table_type)   ? TC_ROUTE_TO_TABLE
           : PyObject_TypeCheck(target, state->application_type) ? TC_ROUTE_TO_APPLICATION
                                                                 : TC_ROUTE_TO_PYTHON;
}

static PyObject *
table_optional(PyObject *obj)
{
    return obj != Py_None ? Py_NewRef(obj) : NULL;
}

/* (matcher, groups, names, steps, match, application, target, kwargs) */
static int
table_take_entry(tc_state *state, tc_route_entry *entry, PyObject *item)
{
    int matcher, groups;
    PyObject *names, *steps, *match, *application, *target, *kwargs;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "entries must be a tuple of tuples");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "iiOOOOOO", &matcher, &groups, &names, &steps, &match, &application, &target,
                          &kwargs)) {
        return -1;
    }
    bool calls = matcher == TC_ROUTE_PATH || matcher == TC_ROUTE_HOST || matcher == TC_ROUTE_DEFAULT_HOST;
    if (matcher < 0 || matcher >= TC_ROUTE_MATCHERS || groups < 0 || groups >= TC_ROUTE_GROUPS ||
        (names != Py_None) != (groups == TC_ROUTE_NAMED) ||
        (names != Py_None && !PyTuple_CheckExact(names)) || (calls && match == Py_None) ||
        (matcher == TC_ROUTE_DEFAULT_HOST && application == Py_None)) {
        PyErr_SetString(PyExc_ValueError, "no such entry");
        return -1;
    }
    *entry = (tc_route_entry){
        .matcher = (enum tc_route_matcher)matcher,
        .groups = (enum tc_route_groups)groups,
        .to = table_kind_of_target(state, target),
        .names = table_optional(names),
        .match = table_optional(match),
        .application = table_optional(application),
        .target = Py_NewRef(target),
        .kwargs = table_optional(kwargs),
    };
    return tc_route_steps_take(entry, steps);
}

static int
table_take_entries(tc_state *state, RouteTableObject *self, PyObject *entries)
{
    self->entries = table_allocate(PyTuple_GET_SIZE(entries), sizeof *self->entries);
    for (Py_ssize_t i = 0; self->entries != NULL && i < PyTuple_GET_SIZE(entries); i++) {
        self->entry_count++; /* first: an entry may be half made */
        if (table_take_entry(state, &self->entries[i], PyTuple_GET_ITEM(entries, i)) < 0) {
            return -1;
        }
    }
    return self->entries != NULL ? 0 : -1;
}

/* (prefix, parent, indices of entries) */
static int
table_take_node(RouteTableObject *self, PyObject *item, uint32_t *used)
{
    int parent;
    PyObject *prefix, *order;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "nodes must be a tuple of tuples");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "O!iO!", &PyBytes_Type, &prefix, &parent, &PyTuple_Type, &order)) {
        return -1;
    }
    Py_ssize_t place = self->node_count;
    if (place == 0 ? PyBytes_GET_SIZE(prefix) != 0 || parent != 0 : parent < 0 || parent >= place) {
        PyErr_SetString(PyExc_ValueError, "no such node");
        return -1;
    }
    tc_route_node *node = &self->nodes[self->node_count++];
    *node = (tc_route_node){Py_NewRef(prefix), (uint32_t)parent, *used, (uint32_t)PyTuple_GET_SIZE(order)};
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(order); i++) {
        long index = PyLong_AsLong(PyTuple_GET_ITEM(order, i));
        if (index < 0 || index >= self->entry_count) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "no such entry");
            }
            return -1;
        }
        self->order[(*used)++] = (uint32_t)index;
    }
    return 0;
}

static int
table_take_nodes(RouteTableObject *self, PyObject *nodes)
{
    Py_ssize_t size = PyTuple_GET_SIZE(nodes), total = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *item = PyTuple_GET_ITEM(nodes, i);
        PyObject *order =
            PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 3 ? PyTuple_GET_ITEM(item, 2) : NULL;
        total += order != NULL && PyTuple_Check(order) ? PyTuple_GET_SIZE(order) : 0;
    }
    if (size > INT32_MAX || total > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "too many rules");
        return -1;
    }
    self->nodes = table_allocate(size, sizeof *self->nodes);
    self->order = self->nodes != NULL ? table_allocate(total, sizeof *self->order) : NULL;
    int st = self->order != NULL ? 0 : -1;
    uint32_t used = 0;
    for (Py_ssize_t i = 0; st == 0 && i < size; i++) {
        st = table_take_node(self, PyTuple_GET_ITEM(nodes, i), &used);
    }
    return st;
}

/* ---- life cycle ---- */

static PyObject *
table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"types", "rules", "snapshot", "entries", "nodes", NULL};
    PyObject *types, *rules, *snapshot, *entries, *nodes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO!O!O!:RouteTable", names, &PyDict_Type, &types,
                                     &rules, &PyTuple_Type, &snapshot, &PyTuple_Type, &entries, &PyTuple_Type,
                                     &nodes)) {
        return NULL;
    }
    bool routes = rules != Py_None;
    if (routes && (!PyList_CheckExact(rules) || PyTuple_GET_SIZE(snapshot) != PyTuple_GET_SIZE(entries) ||
                   PyTuple_GET_SIZE(nodes) == 0)) {
        PyErr_SetString(PyExc_ValueError, "a table needs a list of rules, an entry for each and a node");
        return NULL;
    }
    tc_state *state = tc_state_of(type);
    RouteTableObject *self = state != NULL ? (RouteTableObject *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->rules = routes ? Py_NewRef(rules) : NULL;
    self->snapshot = Py_NewRef(snapshot);
    if (table_take_types(self, types) < 0 || table_take_entries(state, self, entries) < 0 ||
        table_take_nodes(self, nodes) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
table_traverse(RouteTableObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->rules);
    Py_VISIT(self->snapshot);
    for (Py_ssize_t i = 0; i < self->type_count; i++) {
        Py_VISIT(self->types[i].type);
    }
    for (Py_ssize_t i = 0; i < self->entry_count; i++) {
        Py_VISIT(self->entries[i].match);
        Py_VISIT(self->entries[i].application);
        Py_VISIT(self->entries[i].target);
        Py_VISIT(self->entries[i].kwargs);
    }
    return 0;
}

static int
table_clear(RouteTableObject *self)
{
    Py_CLEAR(self->rules);
    Py_CLEAR(self->snapshot);
    while (self->type_count > 0) {
        Py_DECREF(self->types[--self->type_count].type);
    }
    while (self->entry_count > 0) {
        tc_route_entry entry = self->entries[--self->entry_count];
        tc_route_steps_clear(&entry);
        Py_XDECREF(entry.names);
        Py_XDECREF(entry.match);
        Py_XDECREF(entry.application);
        Py_XDECREF(entry.target);
        Py_XDECREF(entry.kwargs);
    }
    while (self->node_count > 0) {
        Py_DECREF(self->nodes[--self->node_count].prefix);
    }
    return 0;
}

static void
table_dealloc(RouteTableObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    table_clear(self);
    PyMem_Free(self->types);
    PyMem_Free(self->entries);
    PyMem_Free(self->nodes);
    PyMem_Free(self->order);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(table_doc, "RouteTable(types, rules, snapshot, entries, nodes)\n--\n\n"
                        "A router's rules in the form that C walks.\n\n"
                        "Its arguments are described in tornado_c._web.routes, which makes it.");

static PyType_Slot table_slots[] = {
    {Py_tp_doc, (void *)table_doc}, {Py_tp_new, table_new},         {Py_tp_traverse, table_traverse},
    {Py_tp_clear, table_clear},     {Py_tp_dealloc, table_dealloc}, {0, NULL},
};

static PyType_Spec table_spec = {
    .name = "tornado_c._core.RouteTable",
    .basicsize = sizeof(RouteTableObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = table_slots,
};

int
tc_route_table_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &table_spec, NULL);
    state->route_table_type = (PyTypeObject *)type;
    if (type == NULL || PyModule_AddObjectRef(module, "RouteTable", type) < 0) {
        return -1;
    }
    struct {
        const char *name;
        int value;
    } numbers[] = {
        {"ROUTE_PATH", TC_ROUTE_PATH},       {"ROUTE_HOST", TC_ROUTE_HOST},
        {"ROUTE_ANY", TC_ROUTE_ANY},         {"ROUTE_DEFAULT_HOST", TC_ROUTE_DEFAULT_HOST},
        {"ROUTE_UNKNOWN", TC_ROUTE_UNKNOWN}, {"ROUTE_NO_GROUPS", TC_ROUTE_NO_GROUPS},
        {"ROUTE_NAMED", TC_ROUTE_NAMED},     {"ROUTE_UNNAMED", TC_ROUTE_UNNAMED},
    };
    int st = 0;
    for (size_t i = 0; st == 0 && i < TC_ARRAY_LEN(numbers); i++) {
        st = PyModule_AddIntConstant(module, numbers[i].name, numbers[i].value);
    }
    return st;
}
