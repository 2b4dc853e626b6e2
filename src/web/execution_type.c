/* An execution: the coroutine that runs a request's handler from its first await on. Made by execute.c and
 * driven by a Task; each step sends into what is awaited, and when that ends asks execute.c for the next
 * awaitable. On the loop's thread; every step runs Python. */
#include "web/execution.h"

#include "base/args.h"
#include "event/spare.h"

typedef struct {
    tc_coroutine base;
    HandlerObject *handler; /* NULL where there is nothing to run, before and after */
    PyObject *inner;        /* what is awaited: a coroutine or an iterator */
    int phase;
    bool running, ended;
} ExecutionObject;

/* ---- life cycle ---- */

PyObject *
tc_execution_new(tc_state *state)
{
    ExecutionObject *self = (ExecutionObject *)state->execution_type->tp_alloc(state->execution_type, 0);
    if (self != NULL) {
        self->ended = true;
    }
    return (PyObject *)self;
}

void
tc_execution_arm(PyObject *execution, HandlerObject *handler, int phase, PyObject *inner)
{
    ExecutionObject *self = (ExecutionObject *)execution;
    Py_XSETREF(self->handler, (HandlerObject *)Py_NewRef(handler));
    Py_XSETREF(self->inner, inner);
    self->phase = phase;
    self->ended = false;
}

static int
execution_traverse(ExecutionObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->handler);
    Py_VISIT(self->inner);
    Py_VISIT(self->base.outcome);
    return 0;
}

/* The handler is kept while there is something to run: every method needs it. */
static int
execution_clear(ExecutionObject *self)
{
    Py_CLEAR(self->inner);
    Py_CLEAR(self->base.outcome);
    self->ended = true;
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

PyObject *
tc_execution_iterator(PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable)) {
        return Py_NewRef(awaitable);
    }
    if (PyGen_CheckExact(awaitable)) {
        PyObject *code = PyObject_GetAttrString(awaitable, "gi_code");
        if (code == NULL) {
            return NULL;
        }
        bool iterable = PyCode_Check(code) && (((PyCodeObject *)code)->co_flags & CO_ITERABLE_COROUTINE) != 0;
        Py_DECREF(code);
        if (iterable) {
            return Py_NewRef(awaitable);
        }
    }
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    if (methods == NULL || methods->am_await == NULL) {
        return PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                            Py_TYPE(awaitable)->tp_name);
    }
    PyObject *iterator = methods->am_await(awaitable);
    if (iterator != NULL && !PyIter_Check(iterator) && !PyCoro_CheckExact(iterator)) {
        PyErr_Format(PyExc_TypeError, "__await__() returned non-iterator of type '%.100s'",
                     Py_TYPE(iterator)->tp_name);
        Py_CLEAR(iterator);
    }
    return iterator;
}

/* Lets the handler go. */
static void
execution_end(ExecutionObject *self, bool failed)
{
    PyObject *exc = failed ? PyErr_GetRaisedException() : NULL;
    self->ended = true;
    Py_CLEAR(self->handler);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

/* Continues with the value or the exception that `inner` ended with, until something yields. */
static PySendResult
execution_continue(ExecutionObject *self, PySendResult how, PyObject *value, PyObject **result)
{
    while (how != PYGEN_NEXT) {
        Py_CLEAR(self->inner);
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
                self->inner = tc_execution_iterator(awaitable);
                st = self->inner != NULL ? 1 : -1;
                Py_DECREF(awaitable);
            }
        }
        if (st > 0) {
            how = PyIter_Send(self->inner, Py_None, &value);
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

/* Refuses a second entry while a step runs, and any after the end. */
static int
execution_enter(ExecutionObject *self)
{
    if (self->running || self->ended) {
        PyErr_SetString(self->running ? PyExc_ValueError : PyExc_RuntimeError,
                        self->running ? "coroutine already executing"
                                      : "cannot reuse already awaited coroutine");
        return -1;
    }
    self->running = true;
    return 0;
}

/* The outcome of the step before once more. */
static PySendResult
execution_repeat(ExecutionObject *self, PyObject **result)
{
    PyObject *outcome = self->base.outcome;
    self->base.outcome = NULL;
    self->base.repeats = false;
    *result = outcome;
    if (self->base.how == PYGEN_ERROR) {
        *result = NULL;
        PyErr_SetRaisedException(outcome);
    }
    return self->base.how;
}

static PySendResult
execution_am_send(ExecutionObject *self, PyObject *arg, PyObject **result)
{
    *result = NULL;
    if (TC_UNLIKELY(self->base.repeats)) {
        return execution_repeat(self, result);
    }
    if (execution_enter(self) < 0) {
        return PYGEN_ERROR;
    }
    PyObject *value = NULL;
    PySendResult how = PyIter_Send(self->inner, arg, &value);
    how = execution_continue(self, how, value, result);
    self->running = false;
    return how;
}

/* A step's outcome as Python methods return it. */
static PyObject *
execution_return(PySendResult how, PyObject *result)
{
    if (how == PYGEN_RETURN) {
        PyErr_SetNone(PyExc_StopIteration);
        Py_DECREF(result);
        return NULL;
    }
    return result;
}

static PyObject *
execution_iternext(ExecutionObject *self)
{
    PyObject *result;
    PySendResult how = execution_am_send(self, Py_None, &result);
    return execution_return(how, result);
}

PyDoc_STRVAR(execution_send_doc,
             "send($self, value, /)\n--\n\nRun to the next point where something is awaited.");

static PyObject *
execution_send(ExecutionObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult how = execution_am_send(self, value, &result);
    return execution_return(how, result);
}

/* What a step that raised has ended with. */
static PySendResult
execution_outcome(PyObject **value)
{
    if (*value != NULL) {
        return PYGEN_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }
    PyErr_Clear(); /* its value is not used */
    *value = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* Sets the exception that throw()'s arguments stand for. */
static void
execution_raise(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type = args[0], *value = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from BaseException, not %.200s",
                     Py_TYPE(type)->tp_name);
    }
}

/* Of a Task that was cancelled in its first step, in place of the outcome of that: what is awaited is
 * cancelled, and awaited further, as the Task would have done then. True where *result is what throw()
 * returns. */
static bool
execution_repeat_cancelled(ExecutionObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject **result)
{
    PyObject *value, *cancelled = NULL;
    PySendResult how = execution_repeat(self, &value);
    *result = NULL;
    if (how == PYGEN_ERROR) {
        return true;
    }
    if (how == PYGEN_RETURN) {
        Py_DECREF(value);
        execution_raise(args, nargs);
        return true;
    }
    if (value != Py_None) {
        PyObject *given =
            PyExceptionInstance_Check(args[0]) ? ((PyBaseExceptionObject *)args[0])->args : NULL;
        bool has_message = given != NULL && PyTuple_GET_SIZE(given) > 0;
        PyObject *call[2] = {value, has_message ? PyTuple_GET_ITEM(given, 0) : NULL};
        cancelled =
            PyObject_VectorcallMethod(self->handler->state->str_cancel, call, has_message ? 2 : 1, NULL);
    }
    int truth = cancelled != NULL ? PyObject_IsTrue(cancelled) : 0;
    Py_XDECREF(cancelled);
    if (truth > 0) {
        *result = value;
        return true;
    }
    PyErr_Clear();
    Py_DECREF(value);
    return false;
}

PyDoc_STRVAR(execution_throw_doc,
             "throw($self, typ, val=None, tb=None, /)\n--\n\nRaise an exception where something is awaited.");

static PyObject *
execution_throw(ExecutionObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *value = NULL, *throw, *result;
    if (tc_args_check("throw", nargs, 1, 3) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(self->base.repeats) && execution_repeat_cancelled(self, args, nargs, &result)) {
        return result;
    }
    if (execution_enter(self) < 0) {
        return NULL;
    }
    int found = PyObject_GetOptionalAttr(self->inner, self->handler->state->str_throw, &throw);
    if (found > 0) {
        value = PyObject_Vectorcall(throw, args, (size_t)nargs, NULL);
        Py_DECREF(throw);
    }
    else if (found == 0) {
        execution_raise(args, nargs);
    }
    PySendResult how = execution_continue(self, execution_outcome(&value), value, &result);
    self->running = false;
    return execution_return(how, result);
}

PyDoc_STRVAR(execution_close_doc, "close($self)\n--\n\nEnd what is awaited.");

static PyObject *
execution_close(ExecutionObject *self, PyObject *unused)
{
    self->base.repeats = false;
    Py_CLEAR(self->base.outcome);
    if (self->ended && !self->running) {
        Py_RETURN_NONE;
    }
    if (execution_enter(self) < 0) {
        return NULL;
    }
    PyObject *inner = self->inner, *close, *result = NULL;
    self->inner = NULL;
    self->ended = true;
    int found = PyObject_GetOptionalAttr(inner, self->handler->state->str_close, &close);
    if (found > 0) {
        result = PyObject_CallNoArgs(close);
        Py_DECREF(close);
    }
    else if (found == 0) {
        result = Py_NewRef(Py_None);
    }
    Py_DECREF(inner);
    self->running = false;
    return result;
}

/* ---- the type ---- */

static PyMemberDef execution_members[] = {
    {"cr_await", T_OBJECT, offsetof(ExecutionObject, inner), READONLY, PyDoc_STR("What is awaited.")},
    {"handler", T_OBJECT, offsetof(ExecutionObject, handler), READONLY,
     PyDoc_STR("The handler that is run.")},
    {NULL},
};

static PyMethodDef execution_methods[] = {
    {"close", (PyCFunction)execution_close, METH_NOARGS, execution_close_doc},
    {"send", (PyCFunction)execution_send, METH_O, execution_send_doc},
    {"throw", TC_FASTCALL(execution_throw), execution_throw_doc},
    {NULL},
};

PyDoc_STRVAR(execution_doc, "The coroutine that runs a request's handler from its first await on.");

static PyType_Slot execution_slots[] = {
    {Py_tp_doc, (void *)execution_doc},
    {Py_tp_traverse, execution_traverse},
    {Py_tp_clear, execution_clear},
    {Py_tp_dealloc, execution_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, execution_iternext},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, execution_am_send},
    {Py_tp_methods, execution_methods},
    {Py_tp_members, execution_members},
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
