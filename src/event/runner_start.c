/* What a function decorated with gen.coroutine does when it is called: the function, the first step of its
 * generator, and a Future. Mostly that is all. Runs Python. */
#include "base/args.h"
#include "base/context.h"
#include "base/future.h"
#include "event/runner.h"

/* A Future of the current loop. In debug mode it remembers who made it, which Python is to leave out. */
static PyObject *
start_future(tc_state *state)
{
    PyObject *loop = tc_running_loop(state), *future = NULL;
    if (loop != NULL && PyObject_TypeCheck(loop, state->core_type) && !((LoopCore *)loop)->debug) {
        future = tc_core_future((LoopCore *)loop);
    }
    else if (loop != NULL) {
        PyObject *create = tc_upcall(state, gen_create_future);
        future = create != NULL ? PyObject_CallNoArgs(create) : NULL;
    }
    Py_XDECREF(loop);
    return future;
}

/* Whether what a function returned is a generator, of Python's or of another compiler's. */
static int
start_is_generator(tc_state *state, PyObject *result)
{
    if (PyGen_CheckExact(result)) {
        return 1;
    }
    return Py_TYPE(result)->tp_iternext != NULL ? PyObject_IsInstance(result, state->abc_generator) : 0;
}

/* The function and the first step: how that ended, and with what. PYGEN_NEXT: *gen is the generator. */
static PySendResult
start_step(tc_state *state, PyObject *func, PyObject *args, PyObject *kwargs, PyObject **gen,
           PyObject **value)
{
    *gen = NULL;
    *value = NULL;
    PyObject *contexts = Py_XNewRef(tc_runner_contexts(state));
    PyObject *result = PyObject_Call(func, args, kwargs);
    int is_generator = result != NULL ? start_is_generator(state, result) : -1;
    PySendResult how = is_generator < 0 ? PYGEN_ERROR : PYGEN_RETURN;
    if (is_generator > 0) {
        how = PyIter_Send(result, Py_None, value);
        *gen = result;
    }
    else if (is_generator == 0) {
        *value = result;
    }
    else {
        Py_XDECREF(result);
    }
    if (how == PYGEN_NEXT && tc_runner_contexts_changed(state, contexts)) {
        PyObject *fail = tc_upcall(state, gen_failed), *error = tc_runner_inconsistent(state, contexts);
        Py_SETREF(*value, fail != NULL && error != NULL ? PyObject_CallOneArg(fail, error) : NULL);
        Py_XDECREF(error);
        how = *value != NULL ? PYGEN_NEXT : PYGEN_ERROR;
    }
    Py_XDECREF(contexts);
    return how;
}

/* The same in a context. */
static PySendResult
start_step_in(tc_state *state, PyObject *context, PyObject *func, PyObject *args, PyObject *kwargs,
              PyObject **gen, PyObject **value)
{
    *gen = *value = NULL;
    if (context == NULL || PyContext_Enter(context) < 0) {
        return PYGEN_ERROR;
    }
    PySendResult how = start_step(state, func, args, kwargs, gen, value);
    tc_context_exit(context, how == PYGEN_ERROR, func);
    return how;
}

PyDoc_STRVAR(start_doc, "start_coroutine($module, func, args, kwargs, /)\n--\n\n"
                        "Call a function, and run the generator that it returns: the Future of its result.");

static PyObject *
start_coroutine(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("start_coroutine", nargs, 3, 3) < 0) {
        return NULL;
    }
    if (!PyTuple_Check(args[1]) || !PyDict_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "start_coroutine() takes a function, a tuple and a dict");
        return NULL;
    }
    tc_state *state = PyModule_GetState(module);
    PyObject *future = start_future(state), *context = future != NULL ? PyContext_CopyCurrent() : NULL;
    PyObject *gen, *value;
    PySendResult how = start_step_in(state, context, args[0], args[1], args[2], &gen, &value);
    int st = -1;
    if (how == PYGEN_RETURN) {
        tc_future_resolve_new(state, future, value);
        st = 0;
    }
    else if (how == PYGEN_NEXT) {
        st = tc_runner_begin(state, context, gen, future, value);
    }
    else if (context != NULL) {
        st = tc_runner_fail(state, future);
    }
    Py_XDECREF(gen);
    Py_XDECREF(value);
    Py_XDECREF(context);
    if (st < 0) {
        Py_CLEAR(future);
    }
    return future;
}

PyDoc_STRVAR(start_future_doc, "create_future($module, /)\n--\n\n"
                               "A Future of the current loop, whose traceback in debug mode ends where ours "
                               "was called.");

static PyObject *
start_future_alone(PyObject *module, PyObject *unused)
{
    return start_future(PyModule_GetState(module));
}

PyMethodDef tc_runner_functions[] = {
    {"create_future", start_future_alone, METH_NOARGS, start_future_doc},
    {"start_coroutine", TC_FASTCALL(start_coroutine), start_doc},
    {NULL, NULL, 0, NULL},
};
