/* The steps of a generator that was suspended. They run in the context of its start, each as far as what it yields
 * is done. YieldPoints, what has to be converted, and exceptions that it ends with are Python's (gen.py). Python
 * can set every field of a runner: none is trusted. Runs Python. */
#include "base/context.h"
#include "base/future.h"
#include "event/runner.h"
#include "event/stack.h"

/* ---- contexts of stack_context ---- */

PyObject *
tc_runner_contexts(tc_state *state)
{
    PyObject *contexts = NULL;
    if (!tc_stack_is_used(state)) {
        return NULL;
    }
    if (PyContextVar_Get(state->upcall_stack_active, NULL, &contexts) < 0) {
        PyErr_Clear();
        return NULL;
    }
    Py_XDECREF(contexts); /* the variable keeps it */
    return contexts;
}

bool
tc_runner_contexts_changed(tc_state *state, PyObject *contexts)
{
    PyObject *now = tc_runner_contexts(state);
    return now != contexts && !(contexts == NULL && now == state->upcall_stack_none);
}

PyObject *
tc_runner_inconsistent(tc_state *state, PyObject *contexts)
{
    PyObject *restore = tc_upcall(state, gen_restore_stack);
    if (restore == NULL) {
        return NULL;
    }
    PyObject *error = PyObject_CallOneArg(restore, contexts != NULL ? contexts : state->upcall_stack_none);
    if (error != NULL && !PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "no exception was returned");
        Py_CLEAR(error);
    }
    return error;
}

/* ---- the end ---- */

/* An exception that Python returned (stolen) is raised: -1; also where it raised itself. */
static int
runner_left(PyObject *left)
{
    if (left != NULL && PyExceptionInstance_Check(left)) {
        PyErr_SetRaisedException(left);
        return -1;
    }
    Py_XDECREF(left);
    return left != NULL ? 0 : -1;
}

int
tc_runner_fail(tc_state *state, PyObject *future)
{
    PyObject *exc = PyErr_GetRaisedException(), *end = tc_upcall(state, gen_end);
    PyObject *args[] = {future, exc};
    PyObject *left = end != NULL ? PyObject_Vectorcall(end, args, 2, NULL) : NULL;
    Py_DECREF(exc);
    return runner_left(left);
}

/* The generator has returned a value, or raised an exception; the other is None. By Python. */
static int
runner_end(RunnerObject *self, PyObject *value, PyObject *exc)
{
    PyObject *args[] = {(PyObject *)self, value, exc};
    return runner_left(PyObject_VectorcallMethod(self->state->str__end, args, 3, NULL));
}

static int
runner_raised(RunnerObject *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    int st = runner_end(self, Py_None, exc);
    Py_DECREF(exc);
    return st;
}

static int
runner_returned(RunnerObject *self, PyObject *value)
{
    if (TC_UNLIKELY(self->deactivate != NULL)) {
        return runner_end(self, value, Py_None);
    }
    PyObject *future = self->result_future;
    self->result_future = NULL;
    self->finished = true;
    Py_CLEAR(self->future);
    if (future == NULL) {
        return 0;
    }
    int st = PyObject_SetAttr(future, self->state->str__runner, Py_None);
    tc_future_resolve(self->state, future, value);
    Py_DECREF(future);
    return st;
}

/* ---- what it waits for ---- */

/* Is it one of asyncio's own, which convert_yielded would return? That may have been replaced, or have learnt more
 * types. */
static bool
runner_is_plain_future(tc_state *state, PyObject *yielded)
{
    PyObject *type = (PyObject *)Py_TYPE(yielded);
    if ((type != state->asyncio_future && type != state->asyncio_task) ||
        state->upcall_gen_namespace == NULL) {
        return false;
    }
    PyObject *convert = PyDict_GetItemWithError(state->upcall_gen_namespace, state->str_convert_yielded);
    Py_ssize_t types = convert == state->upcall_gen_convert ? PyObject_Size(state->upcall_gen_registry) : -1;
    PyErr_Clear();
    return types == 1;
}

static int
runner_is_true(PyObject *result)
{
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

/* Is what it waits for done? 1, 0 or -1. */
static int
runner_is_ready(RunnerObject *self)
{
    if (self->future == NULL) {
        PyErr_SetString(PyExc_Exception, "No pending future");
        return -1;
    }
    PyObject *future = Py_NewRef(self->future);
    int ready = (PyObject *)Py_TYPE(future) == self->state->asyncio_future
                    ? tc_future_is_done(self->state, future)
                    : runner_is_true(PyObject_CallMethodNoArgs(future, self->state->str_done));
    Py_DECREF(future);
    return ready;
}

/* Has the runner called when a Future is done. */
static int
runner_watch(RunnerObject *self, PyObject *future)
{
    tc_state *state = self->state;
    PyObject *type = (PyObject *)Py_TYPE(future), *done;
    if (type != state->asyncio_future && type != state->asyncio_task) {
        done = PyObject_CallMethodOneArg((PyObject *)self, state->str__watch, future);
    }
    else {
        PyObject *wake = tc_stack_follow(state, (PyObject *)self);
        done = wake != NULL ? PyObject_CallMethodOneArg(future, state->str_add_done_callback, wake) : NULL;
        Py_XDECREF(wake);
    }
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

int
tc_runner_wait_for(RunnerObject *self, PyObject *yielded)
{
    tc_state *state = self->state;
    PyObject *future = runner_is_plain_future(state, yielded)
                           ? Py_NewRef(yielded)
                           : PyObject_CallMethodOneArg((PyObject *)self, state->str__convert, yielded);
    if (future == NULL) {
        return -1;
    }
    Py_XSETREF(self->future, Py_NewRef(future));
    int ready = 0;
    if (future == state->upcall_gen_moment) {
        PyObject *queued = PyObject_CallMethodNoArgs((PyObject *)self, state->str__next_turn);
        ready = queued != NULL ? 0 : -1;
        Py_XDECREF(queued);
    }
    else if ((ready = runner_is_ready(self)) == 0) {
        ready = runner_watch(self, future);
    }
    Py_DECREF(future);
    return ready;
}

/* ---- methods that are the application's ---- */

/* Has a class ours, and have its instances no other? */
static bool
runner_is_plain(const RunnerObject *self)
{
    tc_state *state = self->state;
    PyTypeObject *type = Py_TYPE(self);
    if (TC_LIKELY(type->tp_version_tag == state->runner_tag && state->runner_tag != 0)) {
        return self->deactivate == NULL; /* Python sees it only where YieldPoints are used */
    }
    PyTypeObject *own = state->runner_type;
    if ((PyObject *)type != tc_face(state, Runner) ||
        _PyType_Lookup(type, state->str_run) != _PyType_Lookup(own, state->str_run) ||
        _PyType_Lookup(type, state->str_handle_yield) != _PyType_Lookup(own, state->str_handle_yield)) {
        return false;
    }
    state->runner_tag = type->tp_version_tag; /* which the look-ups have given it, if there are any left */
    return self->deactivate == NULL;
}

/* A method in place of ours: new reference. NULL: it is ours; or with an exception. */
static PyObject *
runner_hook(RunnerObject *self, PyObject *name)
{
    if (TC_LIKELY(runner_is_plain(self))) {
        return NULL;
    }
    PyObject *own = _PyType_Lookup(self->state->runner_type, name);
    PyObject *found = PyObject_GetAttr((PyObject *)self, name);
    if (found != NULL && PyCFunction_CheckExact(found) && Py_IS_TYPE(own, &PyMethodDescr_Type) &&
        PyCFunction_GET_FUNCTION(found) == ((PyMethodDescrObject *)own)->d_method->ml_meth &&
        PyCFunction_GET_SELF(found) == (PyObject *)self) {
        Py_CLEAR(found);
    }
    return found;
}

/* tc_runner_wait_for, or what is there instead. */
static int
runner_handle_yield(RunnerObject *self, PyObject *yielded)
{
    PyObject *hook = runner_hook(self, self->state->str_handle_yield);
    if (TC_LIKELY(hook == NULL)) {
        return PyErr_Occurred() ? -1 : tc_runner_wait_for(self, yielded);
    }
    int ready = runner_is_true(PyObject_CallOneArg(hook, yielded));
    Py_DECREF(hook);
    return ready;
}

/* ---- steps ---- */

/* Sends the outcome of a Future (stolen) into the generator. */
static PySendResult
runner_send(RunnerObject *self, PyObject *gen, PyObject *future, PyObject **yielded)
{
    tc_state *state = self->state;
    PyObject *value = PyObject_CallMethodNoArgs(future, state->str_result);
    Py_DECREF(future);
    *yielded = NULL;
    if (value != NULL) {
        PySendResult how = PyIter_Send(gen, value, yielded);
        Py_DECREF(value);
        return how;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(state->asyncio_cancelled_error)) {
        return PYGEN_ERROR;
    }
    self->had_exception = true;
    PyObject *exc = PyErr_GetRaisedException();
    *yielded = PyObject_CallMethodOneArg(gen, state->str_throw, exc);
    Py_DECREF(exc);
    return *yielded != NULL ? PYGEN_NEXT : PYGEN_ERROR;
}

/* The same, and has the generator end what it did to the contexts of stack_context. */
static PySendResult
runner_send_inside(RunnerObject *self, PyObject *gen, PyObject *future, PyObject **yielded)
{
    PyObject *contexts = Py_XNewRef(tc_runner_contexts(self->state));
    PySendResult how = runner_send(self, gen, future, yielded);
    if (how == PYGEN_NEXT && tc_runner_contexts_changed(self->state, contexts)) {
        PyObject *error = tc_runner_inconsistent(self->state, contexts);
        Py_SETREF(*yielded,
                  error != NULL ? PyObject_CallMethodOneArg(gen, self->state->str_throw, error) : NULL);
        Py_XDECREF(error);
        how = *yielded != NULL ? PYGEN_NEXT : PYGEN_ERROR;
    }
    Py_XDECREF(contexts);
    return how;
}

/* One step, where what it waits for is done: 1 if the next may follow at once, 0 or -1. */
static int
runner_step(RunnerObject *self)
{
    PyObject *future = self->future, *gen = Py_XNewRef(self->gen), *yielded;
    self->future = NULL;
    if (gen == NULL || future == NULL) {
        Py_XDECREF(future);
        Py_XDECREF(gen);
        PyErr_SetString(PyExc_Exception, "No pending future");
        return -1;
    }
    PySendResult how = runner_send_inside(self, gen, future, &yielded);
    int st = how == PYGEN_NEXT     ? runner_handle_yield(self, yielded)
             : how == PYGEN_RETURN ? runner_returned(self, yielded)
                                   : runner_raised(self);
    Py_XDECREF(yielded);
    Py_DECREF(gen);
    return how == PYGEN_NEXT || st < 0 ? st : 0;
}

int
tc_runner_run(RunnerObject *self, PyObject *first)
{
    if (self->running || self->finished) {
        return 0;
    }
    self->running = true;
    int st = first != NULL ? tc_runner_wait_for(self, first) : runner_is_ready(self);
    while (st > 0 && (st = runner_step(self)) > 0) {
        st = runner_is_ready(self);
    }
    self->running = false;
    return st;
}

/* The same with methods that are the application's. */
static int
runner_run_hooked(RunnerObject *self, PyObject *first)
{
    int st = first != NULL ? runner_handle_yield(self, first) : 1;
    PyObject *hook = st > 0 ? runner_hook(self, self->state->str_run) : NULL;
    if (hook != NULL) {
        PyObject *result = PyObject_CallNoArgs(hook);
        st = result != NULL ? 0 : -1;
        Py_XDECREF(result);
        Py_DECREF(hook);
    }
    else if (st > 0) {
        st = PyErr_Occurred() ? -1 : tc_runner_run(self, NULL);
    }
    return st;
}

int
tc_runner_run_in_context(RunnerObject *self, PyObject *first)
{
    PyObject *context = Py_XNewRef(self->context);
    int st = -1;
    if (context == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the runner was not initialised");
    }
    else if (PyContext_Enter(context) == 0) {
        st = TC_LIKELY(runner_is_plain(self)) ? tc_runner_run(self, first) : runner_run_hooked(self, first);
        tc_context_exit(context, st < 0, (PyObject *)self);
    }
    Py_XDECREF(context);
    return st;
}

/* By what the module has under the name of the class, where a program has put another there. */
static int
runner_begin_other(tc_state *state, PyObject *other, PyObject *context, PyObject *gen, PyObject *future,
                   PyObject *yielded)
{
    PyObject *run = PyObject_GetAttr(context, state->str_run);
    PyObject *args[] = {run, gen, future, yielded};
    PyObject *runner = run != NULL ? PyObject_Vectorcall(other, args, 4, NULL) : NULL;
    /* Who holds the Future holds the runner: one of ours says so itself, and forgets it when it has ended. */
    int st = runner == NULL ? -1
             : PyObject_TypeCheck(runner, state->runner_type)
                 ? 0
                 : PyObject_SetAttr(future, state->str__runner, runner);
    Py_XDECREF(runner);
    Py_XDECREF(run);
    return st;
}

int
tc_runner_begin(tc_state *state, PyObject *context, PyObject *gen, PyObject *future, PyObject *yielded)
{
    PyTypeObject *type = (PyTypeObject *)tc_face(state, Runner);
    PyObject *names = type != NULL ? tc_upcall(state, gen_namespace) : NULL;
    PyObject *named = names != NULL ? PyDict_GetItemWithError(names, state->str_Runner) : NULL;
    if (TC_UNLIKELY(named != NULL && named != (PyObject *)type)) {
        Py_INCREF(named);
        int st = runner_begin_other(state, named, context, gen, future, yielded);
        Py_DECREF(named);
        return st;
    }
    RunnerObject *self = !PyErr_Occurred() ? (RunnerObject *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return -1;
    }
    self->state = state;
    self->context = Py_NewRef(context);
    self->gen = Py_NewRef(gen);
    self->result_future = Py_NewRef(future);
    /* Who holds the Future holds the runner. */
    int st = PyObject_SetAttr(future, state->str__runner, (PyObject *)self);
    st = st == 0 ? tc_runner_run_in_context(self, yielded) : st;
    Py_DECREF(self);
    return st < 0 ? -1 : 0;
}
