/* An execution: the coroutine that runs a request's handler from its first await on. Made by execute.c and
 * driven by a Task; each step sends into what is awaited, and when that ends asks execute.c for the next
 * awaitable. On the loop's thread; every step runs Python. */
#include "web/execution.h"

#include "event/coroutine.h"

typedef struct {
    tc_coroutine base;
    HandlerObject *handler; /* NULL where there is nothing to run, before and after */
    int phase;
} ExecutionObject;

static PySendResult execution_go_on(tc_coroutine *base, PySendResult how, PyObject *value, PyObject **result);

/* ---- life cycle ---- */

PyObject *
tc_execution_new(tc_state *state)
{
    ExecutionObject *self = (ExecutionObject *)state->execution_type->tp_alloc(state->execution_type, 0);
    if (self != NULL) {
        self->base.state = state;
        self->base.go_on = execution_go_on;
        self->base.ended = true;
    }
    return (PyObject *)self;
}

void
tc_execution_arm(PyObject *execution, HandlerObject *handler, int phase, PyObject *inner)
{
    ExecutionObject *self = (ExecutionObject *)execution;
    Py_XSETREF(self->handler, (HandlerObject *)Py_NewRef(handler));
    Py_XSETREF(self->base.inner, inner);
    self->phase = phase;
    self->base.ended = false;
}

static int
execution_traverse(ExecutionObject *self, visitproc visit, void *arg)
{
    TC_COROUTINE_VISIT(self);
    Py_VISIT(self->handler);
    return 0;
}

/* The handler is kept while there is something to run: every method needs it. */
static int
execution_clear(ExecutionObject *self)
{
    tc_coroutine_clear(&self->base);
    return 0;
}

static void
execution_dealloc(ExecutionObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    execution_clear(self);
    Py_XDECREF(self->handler);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- steps ---- */

/* Lets the handler go. */
static void
execution_end(ExecutionObject *self, bool failed)
{
    PyObject *exc = failed ? PyErr_GetRaisedException() : NULL;
    self->base.ended = true;
    Py_CLEAR(self->handler);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

/* Continues with the value or the exception that `inner` ended with, until something yields. */
static PySendResult
execution_go_on(tc_coroutine *base, PySendResult how, PyObject *value, PyObject **result)
{
    ExecutionObject *self = (ExecutionObject *)base;
    while (how != PYGEN_NEXT) {
        Py_CLEAR(base->inner);
        int st = -1;
        bool lost =
            how == PYGEN_ERROR && self->phase == TC_PHASE_RECEIVED && tc_streamed_is_lost(self->handler);
        if (TC_UNLIKELY(lost)) {
            st = 0;
        }
        else if (how == PYGEN_RETURN) {
            PyObject *awaitable = NULL;
            Py_CLEAR(value);
            st = tc_execute_advance(self->handler, &self->phase, NULL, NULL, &awaitable);
            if (st > 0) {
                base->inner = tc_coroutine_iterator(awaitable);
                st = base->inner != NULL ? 1 : -1;
                Py_DECREF(awaitable);
            }
        }
        if (st > 0) {
            how = PyIter_Send(base->inner, Py_None, &value);
            continue;
        }
        if (st < 0) {
            st = tc_execute_fail(self->handler);
        }
        execution_end(self, st < 0);
        *result = st == 0 ? Py_NewRef(Py_None) : NULL;
        return st == 0 ? PYGEN_RETURN : PYGEN_ERROR;
    }
    *result = value;
    return PYGEN_NEXT;
}

/* ---- the type ---- */

static PyMemberDef execution_members[] = {
    {"cr_await", T_OBJECT, offsetof(ExecutionObject, base.inner), READONLY, PyDoc_STR("What is awaited.")},
    {"handler", T_OBJECT, offsetof(ExecutionObject, handler), READONLY,
     PyDoc_STR("The handler that is run.")},
    {NULL},
};

/* What a Task's repr, asyncio's log lines and error trackers call a coroutine by. */
static PyObject *
execution_get_name(PyObject *self, void *name)
{
    return PyUnicode_FromString(name);
}

static PyGetSetDef execution_getset[] = {
    {"__name__", execution_get_name, NULL, NULL, "_execute"},
    {"__qualname__", execution_get_name, NULL, NULL, "RequestHandler._execute"},
    {NULL},
};

PyDoc_STRVAR(execution_doc, "The coroutine that runs a request's handler from its first await on.");

static PyType_Slot execution_slots[] = {
    {Py_tp_doc, (void *)execution_doc},
    {Py_tp_traverse, execution_traverse},
    {Py_tp_clear, execution_clear},
    {Py_tp_dealloc, execution_dealloc},
    TC_COROUTINE_SLOTS,
    {Py_tp_members, execution_members},
    {Py_tp_getset, execution_getset},
    {0, NULL},
};

static PyType_Spec execution_spec = {
    .name = "tornado_c._core.Execution",
    .basicsize = sizeof(ExecutionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = execution_slots,
};

int
tc_execution_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &execution_spec, NULL);
    state->execution_type = state->native_coroutine_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "Execution", type) : -1;
}
