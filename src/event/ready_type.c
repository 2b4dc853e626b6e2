/* loop._ready as Python sees it: a live view of a LoopCore's ready queue with the interface of a deque, for
 * code that looks into a loop or runs its handles itself (nested loops, test helpers). On the loop's thread;
 * runs Python in contains, remove and extend only. */
#include "event/core_parts.h"

typedef struct {
    PyObject_HEAD LoopCore *core;
} ReadyObject;

/* ---- life cycle ---- */

PyObject *
tc_ready_view_new(LoopCore *core)
{
    PyTypeObject *type = core->state->ready_view_type;
    ReadyObject *view = (ReadyObject *)type->tp_alloc(type, 0);
    if (view != NULL) {
        view->core = (LoopCore *)Py_NewRef((PyObject *)core);
    }
    return (PyObject *)view;
}

static int
ready_traverse(ReadyObject *view, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(view));
    Py_VISIT(view->core);
    return 0;
}

/* There is no clear: the core breaks cycles, and a view has its core for life. */
static void
ready_dealloc(ReadyObject *view)
{
    PyTypeObject *type = Py_TYPE(view);
    PyObject_GC_UnTrack(view);
    Py_CLEAR(view->core);
    type->tp_free(view);
    Py_DECREF(type);
}

/* ---- the sequence ---- */

static Py_ssize_t
ready_length(ReadyObject *view)
{
    return (Py_ssize_t)view->core->ready.size;
}

static PyObject *
ready_item(ReadyObject *view, Py_ssize_t i)
{
    const tc_ready *ready = &view->core->ready;
    if (i < 0 || (size_t)i >= ready->size) {
        PyErr_SetString(PyExc_IndexError, "deque index out of range");
        return NULL;
    }
    return Py_NewRef(tc_ready_at(ready, (size_t)i));
}

static PyObject *
ready_compare(ReadyObject *view, PyObject *other, int op)
{
    if ((op != Py_EQ && op != Py_NE) ||
        !(PyList_Check(other) || Py_IS_TYPE(other, view->core->state->ready_view_type))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *mine = PySequence_List((PyObject *)view), *theirs = PySequence_List(other);
    PyObject *result = mine != NULL && theirs != NULL ? PyObject_RichCompare(mine, theirs, op) : NULL;
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return result;
}

static PyObject *
ready_repr(ReadyObject *view)
{
    PyObject *list = PySequence_List((PyObject *)view);
    PyObject *text = list != NULL ? PyUnicode_FromFormat("<ready handles %R>", list) : NULL;
    Py_XDECREF(list);
    return text;
}

/* ---- methods ---- */

/* A timer that is queued by hand has left the heap, as with heapq.heappop on loop._scheduled. */
static PyObject *
ready_push(ReadyObject *view, PyObject *handle, int (*push)(tc_ready *, PyObject *))
{
    LoopCore *core = view->core;
    if (push(&core->ready, Py_NewRef(handle)) < 0) {
        return NULL;
    }
    tc_core_forget_timer(core, handle);
    Py_RETURN_NONE;
}

static PyObject *
ready_append(ReadyObject *view, PyObject *handle)
{
    return ready_push(view, handle, tc_ready_push);
}

static PyObject *
ready_appendleft(ReadyObject *view, PyObject *handle)
{
    return ready_push(view, handle, tc_ready_push_first);
}

static PyObject *
ready_pop_with(ReadyObject *view, PyObject *(*pop)(tc_ready *))
{
    PyObject *handle = pop(&view->core->ready);
    if (handle == NULL) {
        PyErr_SetString(PyExc_IndexError, "pop from an empty deque");
    }
    return handle;
}

static PyObject *
ready_popleft(ReadyObject *view, PyObject *unused)
{
    return ready_pop_with(view, tc_ready_pop);
}

static PyObject *
ready_pop(ReadyObject *view, PyObject *unused)
{
    return ready_pop_with(view, tc_ready_pop_last);
}

static PyObject *
ready_extend(ReadyObject *view, PyObject *handles)
{
    PyObject *list = PySequence_List(handles);
    if (list == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *done = ready_append(view, PyList_GET_ITEM(list, i));
        if (done == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(done);
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

static PyObject *
ready_remove(ReadyObject *view, PyObject *handle)
{
    PyObject *list = PySequence_List((PyObject *)view);
    Py_ssize_t i = list != NULL ? PySequence_Index(list, handle) : -1;
    if (i < 0 || PySequence_DelItem(list, i) < 0) {
        Py_XDECREF(list);
        return NULL;
    }
    tc_ready_clear(&view->core->ready);
    PyObject *done = ready_extend(view, list);
    Py_DECREF(list);
    return done;
}

static PyObject *
ready_clear_all(ReadyObject *view, PyObject *unused)
{
    tc_ready_clear(&view->core->ready);
    Py_RETURN_NONE;
}

static PyMethodDef ready_methods[] = {
    {"append", (PyCFunction)ready_append, METH_O,
     "append($self, handle, /)\n--\n\nQueue a handle as the last."},
    {"appendleft", (PyCFunction)ready_appendleft, METH_O,
     "appendleft($self, handle, /)\n--\n\nQueue a handle as the next to run."},
    {"extend", (PyCFunction)ready_extend, METH_O,
     "extend($self, handles, /)\n--\n\nQueue several handles in their order."},
    {"popleft", (PyCFunction)ready_popleft, METH_NOARGS,
     "popleft($self, /)\n--\n\nTake the next handle to run."},
    {"pop", (PyCFunction)ready_pop, METH_NOARGS, "pop($self, /)\n--\n\nTake the last handle."},
    {"remove", (PyCFunction)ready_remove, METH_O, "remove($self, handle, /)\n--\n\nTake a handle out."},
    {"clear", (PyCFunction)ready_clear_all, METH_NOARGS, "clear($self, /)\n--\n\nForget all handles."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_doc, "The handles that a loop will run in its next turn, as a deque."},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_repr, ready_repr},
    {Py_tp_richcompare, ready_compare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_methods, ready_methods},
    {Py_sq_length, ready_length},
    {Py_sq_item, ready_item},
    {0, NULL},
};

static PyType_Spec ready_spec = {
    .name = "tornado_c._core.ReadyView",
    .basicsize = sizeof(ReadyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_slots,
};

int
tc_ready_view_init_type(PyObject *module, tc_state *state)
{
    state->ready_view_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ready_spec, NULL);
    return state->ready_view_type != NULL ? PyModule_AddType(module, state->ready_view_type) : -1;
}
