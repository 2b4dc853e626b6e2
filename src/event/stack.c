/* See stack.h. Several contexts are entered and left by Python (stack_context.py), and asked there what to do with
 * an exception; here is what needs none of it, and a single context manager. */
#include "event/stack.h"

#define FEW_ARGS 6

/* The contexts that are active: a new reference, or NULL; with an exception only if it failed. */
static PyObject *
stack_active(tc_state *state)
{
    PyObject *contexts = NULL;
    if (PyContextVar_Get(state->upcall_stack_active, NULL, &contexts) < 0) {
        return NULL;
    }
    if (contexts == state->upcall_stack_none) {
        Py_CLEAR(contexts);
    }
    return contexts;
}

/* Whether a function is one that wrap() has made, or our own partial of it with keyword arguments. */
static bool
stack_is_wrapped(tc_state *state, PyObject *function)
{
    PyObject *mark, *inner = NULL;
    PyObject *plain = PyMethod_Check(function) ? PyMethod_GET_FUNCTION(function) : function;
    if (PyFunction_Check(plain) && ((PyFunctionObject *)plain)->func_dict == NULL) {
        return false;
    }
    if ((PyObject *)Py_TYPE(function) == state->partial) {
        inner = PyObject_GetAttr(function, state->str_func);
    }
    int found = PyObject_GetOptionalAttr(inner != NULL ? inner : function, state->str__wrapped, &mark);
    Py_XDECREF(inner);
    if (found > 0) {
        Py_DECREF(mark);
    }
    PyErr_Clear();
    return found > 0;
}

/* Whether contexts are only such that handle exceptions: there is nothing to enter. */
static bool
stack_only_handles(PyObject *contexts)
{
    if (!PyTuple_CheckExact(contexts) || PyTuple_GET_SIZE(contexts) != 2) {
        return false;
    }
    PyObject *around = PyTuple_GET_ITEM(contexts, 0);
    return PyTuple_CheckExact(around) && PyTuple_GET_SIZE(around) == 0;
}

/* function(*args), which sees an exception (or NULL: none) as the one that is handled, as sys.exc_info(). */
static PyObject *
stack_call_handling(PyObject *exc, PyObject *function, PyObject *const *args, size_t nargs)
{
    if (exc == NULL) {
        return PyObject_Vectorcall(function, args, nargs, NULL);
    }
    PyObject *outer = PyErr_GetHandledException();
    PyErr_SetHandledException(exc);
    PyObject *result = PyObject_Vectorcall(function, args, nargs, NULL);
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    return result;
}

/* An exception that an upcall returned (stolen) is raised; true if there is one, or the upcall itself raised. */
static bool
stack_raises(PyObject *returned)
{
    if (returned != NULL && PyExceptionInstance_Check(returned)) {
        PyErr_SetRaisedException(returned);
        return true;
    }
    Py_XDECREF(returned);
    return returned == NULL;
}

/* A call has failed: asks the contexts. None, or NULL with the exception that is left. */
static PyObject *
stack_handle(tc_state *state, PyObject *contexts)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *args[] = {contexts, exc};
    PyObject *left = stack_call_handling(exc, state->upcall_stack_handle, args, 2);
    Py_DECREF(exc);
    return stack_raises(left) ? NULL : Py_NewRef(Py_None);
}

/* ---- one context manager ---- */

/* The context, where it is the only one and does nothing but enter a context manager; borrowed. */
static PyObject *
stack_only_one(tc_state *state, PyObject *contexts)
{
    PyObject *around = PyTuple_CheckExact(contexts) && PyTuple_GET_SIZE(contexts) == 2
                           ? PyTuple_GET_ITEM(contexts, 0)
                           : NULL;
    if (around == NULL || !PyTuple_CheckExact(around) || PyTuple_GET_SIZE(around) != 1) {
        return NULL;
    }
    PyObject *only = PyTuple_GET_ITEM(around, 0), *outside = NULL, *active = NULL;
    if (only != PyTuple_GET_ITEM(contexts, 1) || (PyObject *)Py_TYPE(only) != state->upcall_stack_context) {
        return NULL;
    }
    bool alone = PyObject_GetOptionalAttr(only, state->str_old_contexts, &outside) > 0 &&
                 outside == state->upcall_stack_none &&
                 PyObject_GetOptionalAttr(only, state->str_active, &active) > 0 && active == Py_True;
    Py_XDECREF(outside);
    Py_XDECREF(active);
    PyErr_Clear();
    return alone ? only : NULL;
}

/* Leaves a context manager with an exception. What it returns does not end that, but what it raises takes its
 * place. */
static void
stack_exit_failed(tc_state *state, PyObject *manager)
{
    PyObject *exc = PyErr_GetRaisedException(), *traceback = PyException_GetTraceback(exc);
    PyObject *exit = PyObject_GetAttr(manager, state->str___exit__), *result = NULL;
    if (exit != NULL) {
        PyObject *args[] = {(PyObject *)Py_TYPE(exc), exc, traceback != NULL ? traceback : Py_None};
        result = stack_call_handling(exc, exit, args, 3);
    }
    if (result != NULL) {
        PyErr_SetRaisedException(Py_NewRef(exc));
    }
    Py_XDECREF(exit);
    Py_XDECREF(result);
    Py_XDECREF(traceback);
    Py_DECREF(exc);
}

static PyObject *
stack_call_in_one(tc_state *state, PyObject *context, PyObject *function, PyObject *const *args,
                  size_t nargsf)
{
    PyObject *factory = PyObject_GetAttr(context, state->str_context_factory);
    PyObject *manager = factory != NULL ? PyObject_CallNoArgs(factory) : NULL, *result = NULL;
    PyObject *entered = manager != NULL ? PyObject_CallMethodNoArgs(manager, state->str___enter__) : NULL;
    if (entered != NULL) {
        result = PyObject_Vectorcall(function, args, nargsf, NULL);
        if (TC_UNLIKELY(result == NULL)) {
            stack_exit_failed(state, manager);
        }
        else {
            PyObject *none[] = {manager, Py_None, Py_None, Py_None};
            PyObject *left = PyObject_VectorcallMethod(state->str___exit__, none, 4, NULL);
            if (left == NULL) {
                Py_CLEAR(result);
            }
            Py_XDECREF(left);
        }
    }
    Py_XDECREF(entered);
    Py_XDECREF(manager);
    Py_XDECREF(factory);
    return result;
}

/* ---- calls ---- */

/* By Python, with contexts to be entered. */
static PyObject *
stack_call_python(tc_state *state, PyObject *contexts, PyObject *function, PyObject *const *args,
                  Py_ssize_t nargs)
{
    PyObject *few[FEW_ARGS + 2], **all = few;
    if (nargs > FEW_ARGS && (all = PyMem_Malloc((size_t)(nargs + 2) * sizeof(PyObject *))) == NULL) {
        return PyErr_NoMemory();
    }
    all[0] = contexts;
    all[1] = function;
    for (Py_ssize_t i = 0; i < nargs; i++) {
        all[i + 2] = args[i];
    }
    PyObject *result = PyObject_Vectorcall(state->upcall_stack_call, all, (size_t)(nargs + 2), NULL);
    if (all != few) {
        PyMem_Free(all);
    }
    return result;
}

PyObject *
tc_stack_call_inside(tc_state *state, PyObject *function, PyObject *const *args, size_t nargsf)
{
    PyObject *contexts = stack_active(state), *result, *one;
    if (contexts == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (contexts == NULL || stack_is_wrapped(state, function)) {
        result = PyObject_Vectorcall(function, args, nargsf, NULL);
    }
    else if (stack_only_handles(contexts)) {
        result = PyObject_Vectorcall(function, args, nargsf, NULL);
        if (result == NULL) {
            result = stack_handle(state, contexts);
        }
    }
    else if ((one = stack_only_one(state, contexts)) != NULL) {
        result = stack_call_in_one(state, one, function, args, nargsf);
    }
    else {
        result = stack_call_python(state, contexts, function, args, PyVectorcall_NARGS(nargsf));
    }
    Py_XDECREF(contexts);
    return result;
}

int
tc_stack_enter(tc_state *state, PyObject **entered)
{
    *entered = NULL;
    if (!tc_stack_is_used(state)) {
        return 0;
    }
    PyObject *contexts = stack_active(state);
    if (contexts == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (!stack_only_handles(contexts)) {
        *entered = PyObject_CallOneArg(state->upcall_stack_enter, contexts);
    }
    Py_DECREF(contexts);
    return *entered == NULL && PyErr_Occurred() ? -1 : 0;
}

void
tc_stack_leave(tc_state *state, PyObject *entered)
{
    if (TC_LIKELY(entered == NULL)) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *args[] = {entered, exc != NULL ? exc : Py_None};
    (void)stack_raises(stack_call_handling(exc, state->upcall_stack_leave, args, 2));
    Py_XDECREF(exc);
    Py_DECREF(entered);
}

/* A coroutine whose first step, or every one, is inside the contexts that are active; itself where nothing is to
 * be entered. */
static PyObject *
stack_inside(tc_state *state, PyObject *coroutine, bool every)
{
    PyObject *contexts = stack_active(state);
    if (contexts == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(coroutine);
    }
    PyObject *args[] = {contexts, coroutine, every ? Py_True : Py_False};
    PyObject *inside = stack_only_handles(contexts)
                           ? Py_NewRef(coroutine)
                           : PyObject_Vectorcall(state->upcall_stack_begin, args, 3, NULL);
    Py_DECREF(contexts);
    return inside;
}

PyObject *
tc_stack_task(LoopCore *core, PyObject *coroutine)
{
    /* The Task may take its first step later, and then nobody else is there to enter them. */
    PyObject *inside = tc_stack_is_used(core->state) && core->host == NULL
                           ? stack_inside(core->state, coroutine, false)
                           : Py_NewRef(coroutine);
    PyObject *task = inside != NULL ? tc_task_start(core, inside) : NULL;
    Py_XDECREF(inside);
    return task;
}

PyObject *
tc_stack_steps(tc_state *state, PyObject *coroutine)
{
    return tc_stack_is_used(state) ? stack_inside(state, coroutine, true) : Py_NewRef(coroutine);
}

PyObject *
tc_stack_follow(tc_state *state, PyObject *callback)
{
    if (TC_LIKELY(!tc_stack_is_used(state)) || callback == NULL) {
        return Py_XNewRef(callback);
    }
    PyObject *contexts = stack_active(state);
    if (contexts == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(callback);
    }
    Py_DECREF(contexts);
    return PyObject_CallOneArg(state->upcall_stack_wrap, callback);
}
