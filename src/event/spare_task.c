/* What asyncio is told of an idle Task, and what a Task says of itself: whether it is as new. See spare.h. Runs nothing
 * but asyncio's C, and the methods of its WeakSet. */
#include "event/spare_parts.h"

#include "base/context.h"
#include "base/instance.h"

#if TC_SPARES

/* ---- what asyncio is told ---- */

/* The set in which all_tasks() looks for the Task, borrowed; NULL if there is none. */
static PyObject *
spare_known_tasks(tc_state *state)
{
    if (TC_UNLIKELY(state->known_tasks == NULL)) {
        PyObject *tasks = Py_NewRef(state->asyncio_stepped_tasks);
        Py_SETREF(tasks, PyObject_GetAttr(tasks, state->str_data));
        if (tasks == NULL || !PySet_Check(tasks)) {
            PyErr_Clear();
            Py_CLEAR(tasks);
        }
        state->known_tasks = tasks;
    }
    return state->known_tasks;
}

void
tc_spare_show(tc_state *state, tc_spare *spare, bool show)
{
    PyObject *tasks = spare->idle && spare->ref != NULL ? spare_known_tasks(state) : NULL;
    if (tasks != NULL && (show ? PySet_Add(tasks, spare->ref) : PySet_Discard(tasks, spare->ref)) < 0) {
        PyErr_Clear();
    }
}

/* Attributes and methods of asyncio's own class, which is of C and cannot be changed: they are called without a
 * look-up for each Task. Borrowed; NULL where it is another class. */
static PyObject *
spare_find_part(tc_state *state, PyObject *name, PyTypeObject *kind)
{
    PyTypeObject *type = (PyTypeObject *)state->asyncio_task;
    bool fixed = PyType_Check(type) && (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) ||
                                        (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0);
    PyObject *part = fixed ? _PyType_Lookup(type, name) : NULL;
    if (part != NULL && Py_IS_TYPE(part, kind) &&
        (kind != &PyMethodDescr_Type || ((PyMethodDescrObject *)part)->d_method->ml_flags == METH_NOARGS)) {
        return part;
    }
    return NULL;
}

static const tc_task_parts *
spare_parts(tc_state *state)
{
    tc_task_parts *parts = &state->task_parts;
    if (TC_UNLIKELY(!parts->looked)) {
        parts->looked = true;
        parts->callbacks = spare_find_part(state, state->str__callbacks, &PyGetSetDescr_Type);
        parts->must_cancel = spare_find_part(state, state->str__must_cancel, &PyGetSetDescr_Type);
        parts->message = spare_find_part(state, state->str__cancel_message, &PyGetSetDescr_Type);
        parts->state = spare_find_part(state, state->str__state, &PyGetSetDescr_Type);
        parts->blocking = spare_find_part(state, state->str__asyncio_future_blocking, &PyGetSetDescr_Type);
        parts->log = spare_find_part(state, state->str__log_destroy_pending, &PyGetSetDescr_Type);
        parts->cancelling = spare_find_part(state, state->str_cancelling, &PyMethodDescr_Type);
        parts->name = spare_find_part(state, state->str_get_name, &PyMethodDescr_Type);
    }
    return parts;
}

int
tc_spare_set_log(tc_state *state, PyObject *task, bool log)
{
    PyObject *part = spare_parts(state)->log, *value = log ? Py_True : Py_False;
    if (TC_LIKELY(part != NULL)) {
        const PyGetSetDef *def = ((PyGetSetDescrObject *)part)->d_getset;
        return def->set(task, value, def->closure);
    }
    return PyObject_SetAttr(task, state->str__log_destroy_pending, value);
}

int
tc_spare_make_idle(tc_state *state, tc_spare *spare)
{
    if (!spare->idle) {
        PyObject *told = PyObject_CallOneArg(state->asyncio_unregister_task, spare->task);
        spare->idle = true;
        Py_XDECREF(told);
        if (told == NULL || tc_spare_set_log(state, spare->task, false) < 0) {
            return -1;
        }
    }
    if (spare->ref == NULL) {
        spare->ref = PyWeakref_NewRef(spare->task, NULL);
    }
    return spare->ref != NULL ? 0 : -1;
}

/* ---- making ---- */

void
tc_spare_free(tc_spare *spare)
{
    Py_CLEAR(spare->handle);
    Py_CLEAR(spare->task);
    Py_CLEAR(spare->coroutine);
    Py_CLEAR(spare->context);
    Py_CLEAR(spare->origin);
    Py_CLEAR(spare->name);
    Py_CLEAR(spare->ref);
    PyMem_Free(spare);
}

static PyObject *
spare_make_task(LoopCore *core, PyObject *coroutine, PyObject *context)
{
    PyObject *args[4] = {NULL, coroutine, tc_core_asyncio(core), context};
    core->capture = coroutine;
    PyObject *task = PyObject_Vectorcall(core->state->asyncio_task, args + 1,
                                         1 | PY_VECTORCALL_ARGUMENTS_OFFSET, core->state->kw_loop_context);
    core->capture = NULL;
    return task;
}

/* 1; 0 where the step of a Task cannot be had; -1. */
int
tc_spare_make(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context, tc_spare **result)
{
    tc_spare *spare = PyMem_Calloc(1, sizeof(*spare));
    if (spare == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    spare->core = core;
    spare->make = make;
    spare->context = PyContext_Copy(context);
    spare->origin = spare->context != NULL ? PyContext_Copy(context) : NULL;
    spare->coroutine = spare->origin != NULL ? make(core->state) : NULL;
    spare->task = spare->coroutine != NULL ? spare_make_task(core, spare->coroutine, spare->context) : NULL;
    spare->handle = core->captured;
    core->captured = NULL;
    if (spare->task == NULL || spare->handle == NULL) {
        tc_spare_free(spare);
        return PyErr_Occurred() ? -1 : 0;
    }
    spare->name = PyObject_CallMethodNoArgs(spare->task, core->state->str_get_name);
    if (spare->name == NULL) {
        PyErr_Clear(); /* a Task of another kind: it will be taken for changed */
    }
    spare->task_refs = Py_REFCNT(spare->task);
    spare->coroutine_refs = Py_REFCNT(spare->coroutine);
    spare->context_refs = Py_REFCNT(spare->context);
    *result = spare;
    return 1;
}

/* ---- is it as new? ---- */

/* Is what a part of the Task gives this object? */
static bool
spare_says(PyObject *task, PyObject *part, PyObject *expected)
{
    PyObject *value = NULL;
    if (part != NULL && Py_IS_TYPE(part, &PyGetSetDescr_Type)) {
        const PyGetSetDef *def = ((PyGetSetDescrObject *)part)->d_getset;
        value = def->get(task, def->closure);
    }
    else if (part != NULL) {
        value = ((PyMethodDescrObject *)part)->d_method->ml_meth(task, NULL);
    }
    if (value == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(value);
    return value != NULL && value == expected;
}

bool
tc_spare_may_step(tc_state *state, tc_spare *spare)
{
    const tc_task_parts *parts = spare_parts(state);
    return spare_says(spare->task, parts->must_cancel, Py_False) &&
           spare_says(spare->task, parts->state, state->str_PENDING);
}

/* Does it say of itself what a new Task says? */
static bool
spare_is_as_new(tc_state *state, tc_spare *spare, PyObject *task)
{
    const tc_task_parts *parts = spare_parts(state);
    PyObject *zero = PyLong_FromLong(0); /* there is one 0 */
    bool as_new = spare_says(task, parts->callbacks, Py_None) &&
                  spare_says(task, parts->state, state->str_PENDING) &&
                  spare_says(task, parts->must_cancel, Py_False) &&
                  spare_says(task, parts->message, Py_None) && spare_says(task, parts->blocking, Py_False) &&
                  spare_says(task, parts->cancelling, zero) && spare_says(task, parts->name, spare->name);
    Py_XDECREF(zero);
    return as_new;
}

bool
tc_spare_is_untouched(tc_state *state, tc_spare *spare, PyObject *task, bool shown)
{
    PyTypeObject *type = Py_TYPE(task);
    tc_instance at = tc_instance_read(task);
    if (!Py_IS_TYPE(task, (PyTypeObject *)state->asyncio_task) ||
        !tc_context_is_same(spare->context, spare->origin) || !at.known || at.dict != NULL ||
        at.values != NULL || type->tp_weaklistoffset == 0) {
        return false;
    }
    PyObject *weak = *(PyObject **)((char *)task + type->tp_weaklistoffset); /* may be before the object */
    bool alone = weak == NULL || ((PyWeakReference *)weak)->wr_next == NULL;
    bool known = alone && (!spare->idle ||
                           (weak == spare->ref && (weak == NULL || Py_REFCNT(weak) == (shown ? 2 : 1))));
    return known && spare_is_as_new(state, spare, task);
}

#endif
