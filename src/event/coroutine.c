/* See coroutine.h. */
#include "event/coroutine.h"

#include "base/args.h"
#include "base/context.h"
#include "event/spare.h"

/* ---- what is awaited ---- */

PyObject *
tc_coroutine_iterator(PyObject *awaitable)
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

void
tc_coroutine_clear(tc_coroutine *self)
{
    self->ended = true;
    if (self->spare != NULL) {
        tc_spare_drop(self);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->outcome);
    Py_CLEAR(self->context);
}

/* ---- steps ---- */

/* After a step of `inner`. */
static PySendResult
coroutine_continue(tc_coroutine *self, PySendResult how, PyObject *value, PyObject **result)
{
    if (how == PYGEN_NEXT) {
        *result = value;
        return how;
    }
    return self->go_on(self, how, value, result);
}

/* Refuses a second entry while a step runs, and any after the end. */
static int
coroutine_enter(tc_coroutine *self)
{
    if (self->running || self->ended) {
        PyErr_SetString(self->running ? PyExc_ValueError : PyExc_RuntimeError,
                        self->running ? "coroutine already executing"
                                      : "cannot reuse already awaited coroutine");
        return -1;
    }
    if (TC_UNLIKELY(self->context != NULL) && PyContext_Enter(self->context) < 0) {
        return -1;
    }
    self->running = true;
    return 0;
}

static void
coroutine_leave(tc_coroutine *self, bool failed)
{
    self->running = false;
    if (TC_UNLIKELY(self->context != NULL)) {
        tc_context_exit(self->context, failed, (PyObject *)self);
    }
}

/* The outcome of the step before once more. */
static PySendResult
coroutine_repeat(tc_coroutine *self, PyObject **result)
{
    PyObject *outcome = self->outcome;
    self->outcome = NULL;
    self->repeats = false;
    *result = outcome;
    if (self->how == PYGEN_ERROR) {
        *result = NULL;
        PyErr_SetRaisedException(outcome);
    }
    return self->how;
}

static PySendResult
coroutine_step(tc_coroutine *self, PyObject *arg, PyObject **result)
{
    *result = NULL;
    if (TC_UNLIKELY(self->repeats)) {
        return coroutine_repeat(self, result);
    }
    if (coroutine_enter(self) < 0) {
        return PYGEN_ERROR;
    }
    PyObject *value = NULL;
    PySendResult how = PyIter_Send(self->inner, arg, &value);
    how = coroutine_continue(self, how, value, result);
    coroutine_leave(self, how == PYGEN_ERROR);
    return how;
}

PySendResult
tc_coroutine_am_send(tc_coroutine *self, PyObject *arg, PyObject **result)
{
    PySendResult how = coroutine_step(self, arg, result);
    return self->spare != NULL ? tc_spare_stepped(self, how, result) : how;
}

/* A step's outcome as Python methods return it. */
static PyObject *
coroutine_return(PySendResult how, PyObject *result)
{
    if (how == PYGEN_RETURN) {
        PyErr_SetNone(PyExc_StopIteration);
        Py_DECREF(result);
        return NULL;
    }
    return result;
}

PyObject *
tc_coroutine_iternext(tc_coroutine *self)
{
    PyObject *result;
    PySendResult how = tc_coroutine_am_send(self, Py_None, &result);
    return coroutine_return(how, result);
}

PyDoc_STRVAR(coroutine_send_doc,
             "send($self, value, /)\n--\n\nRun to the next point where something is awaited.");

static PyObject *
coroutine_send(tc_coroutine *self, PyObject *value)
{
    PyObject *result;
    PySendResult how = tc_coroutine_am_send(self, value, &result);
    return coroutine_return(how, result);
}

/* What a step that raised has ended with. */
static PySendResult
coroutine_outcome(PyObject **value)
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
coroutine_raise(PyObject *const *args, Py_ssize_t nargs)
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
coroutine_repeat_cancelled(tc_coroutine *self, PyObject *const *args, Py_ssize_t nargs, PyObject **result)
{
    PyObject *value, *cancelled = NULL;
    PySendResult how = coroutine_repeat(self, &value);
    *result = NULL;
    if (how == PYGEN_ERROR) {
        return true;
    }
    if (how == PYGEN_RETURN) {
        Py_DECREF(value);
        coroutine_raise(args, nargs);
        return true;
    }
    if (value != Py_None) {
        PyObject *given =
            PyExceptionInstance_Check(args[0]) ? ((PyBaseExceptionObject *)args[0])->args : NULL;
        bool has_message = given != NULL && PyTuple_GET_SIZE(given) > 0;
        PyObject *call[2] = {value, has_message ? PyTuple_GET_ITEM(given, 0) : NULL};
        cancelled = PyObject_VectorcallMethod(self->state->str_cancel, call, has_message ? 2 : 1, NULL);
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

PyDoc_STRVAR(coroutine_throw_doc,
             "throw($self, typ, val=None, tb=None, /)\n--\n\nRaise an exception where something is awaited.");

static PyObject *
coroutine_throw(tc_coroutine *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *value = NULL, *throw, *result;
    if (tc_args_check("throw", nargs, 1, 3) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(self->repeats) && coroutine_repeat_cancelled(self, args, nargs, &result)) {
        return result;
    }
    if (coroutine_enter(self) < 0) {
        return NULL;
    }
    int found = PyObject_GetOptionalAttr(self->inner, self->state->str_throw, &throw);
    if (found > 0) {
        value = PyObject_Vectorcall(throw, args, (size_t)nargs, NULL);
        Py_DECREF(throw);
    }
    else if (found == 0) {
        coroutine_raise(args, nargs);
    }
    PySendResult how = coroutine_outcome(&value);
    how = coroutine_continue(self, how, value, &result);
    coroutine_leave(self, how == PYGEN_ERROR);
    if (self->spare != NULL && how != PYGEN_NEXT) {
        tc_spare_drop(self);
    }
    return coroutine_return(how, result);
}

PyDoc_STRVAR(coroutine_close_doc, "close($self)\n--\n\nEnd what is awaited.");

static PyObject *
coroutine_close(tc_coroutine *self, PyObject *unused)
{
    tc_coroutine_renew(self);
    if (self->spare != NULL) {
        tc_spare_drop(self);
    }
    if (self->ended && !self->running) {
        Py_RETURN_NONE;
    }
    if (coroutine_enter(self) < 0) {
        return NULL;
    }
    PyObject *inner = self->inner, *close, *result = NULL;
    self->inner = NULL;
    self->ended = true;
    int found = PyObject_GetOptionalAttr(inner, self->state->str_close, &close);
    if (found > 0) {
        result = PyObject_CallNoArgs(close);
        Py_DECREF(close);
    }
    else if (found == 0) {
        result = Py_NewRef(Py_None);
    }
    Py_DECREF(inner);
    coroutine_leave(self, result == NULL);
    return result;
}

/* ---- what is asked of it ---- */

PyObject *
tc_coroutine_getattro(tc_coroutine *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr((PyObject *)self, name);
    if (value == NULL && self->inner != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        PyObject *inner = Py_NewRef(self->inner);
        value = PyObject_GetAttr(inner, name);
        Py_DECREF(inner);
    }
    return value;
}

PyMethodDef tc_coroutine_methods[] = {
    {"close", (PyCFunction)coroutine_close, METH_NOARGS, coroutine_close_doc},
    {"send", (PyCFunction)coroutine_send, METH_O, coroutine_send_doc},
    {"throw", TC_FASTCALL(coroutine_throw), coroutine_throw_doc},
    {NULL},
};
