/* From a routed request to its response: make the handler, prepare(), the method, finish(), and errors on the
 * way. Called by application_type.c and module.c; nearly every step may run Python.
 *
 * The steps run on until something must be awaited; until then there is no Task. The first awaitable makes an
 * execution, a coroutine in C that runs the rest inside one asyncio.Task, so that everything after an `await`
 * shares a context and a cancellation, as in Tornado's _execute. Where a subclass or a tool has replaced
 * _execute, that is called instead. */
#include "web/application.h"
#include "web/execution.h"

#include "event/core.h"
#include "event/coroutine.h"
#include "event/spare.h"

/* ---- steps ---- */

/* The name of the handler's method for this request: request.method in lower case. */
static PyObject *
execute_method_name(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *method = tc_handler_method(self);
    if (method == state->str_GET || method == state->str_POST) {
        PyObject *name = method == state->str_GET ? state->str_get : state->str_post;
        Py_DECREF(method);
        return Py_NewRef(name);
    }
    PyObject *name = method != NULL ? PyObject_CallMethodNoArgs(method, state->str_lower) : NULL;
    Py_XDECREF(method);
    if (name != NULL && PyUnicode_CheckExact(name)) {
        PyUnicode_InternInPlace(
            &name); /* the interpreter's cache of attributes goes by the name's identity */
    }
    return name;
}

/* handler.<name>(*path_args, **path_kwargs) for what may be any objects by now. */
static PyObject *
execute_call_any(HandlerObject *self, PyObject *name)
{
    PyObject *args = PyObject_GetAttr((PyObject *)self, self->state->str_path_args), *result = NULL;
    PyObject *kwargs = args != NULL ? PyObject_GetAttr((PyObject *)self, self->state->str_path_kwargs) : NULL;
    PyObject *method = kwargs != NULL ? PyObject_GetAttr((PyObject *)self, name) : NULL;
    PyObject *positional = method != NULL ? PySequence_Tuple(args) : NULL;
    PyObject *named = positional != NULL ? PyDict_New() : NULL;
    if (named != NULL && PyDict_Update(named, kwargs) == 0) {
        result = PyObject_Call(method, positional, named);
    }
    Py_XDECREF(method);
    Py_XDECREF(positional);
    Py_XDECREF(named);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return result;
}

#define EXECUTE_ARGS 7 /* so many are passed without a tuple */

static PyObject *
execute_call_method(HandlerObject *self)
{
    PyObject *name = execute_method_name(self), *result = NULL;
    if (name == NULL) {
        return NULL;
    }
    PyObject *args = self->path_args, *kwargs = self->path_kwargs;
    bool few = args != NULL ? PyList_CheckExact(args) && PyList_GET_SIZE(args) <= EXECUTE_ARGS
                            : (self->unmade & TC_UNMADE_ARGS) != 0;
    bool none = kwargs != NULL ? PyDict_CheckExact(kwargs) && PyDict_GET_SIZE(kwargs) == 0
                               : (self->unmade & TC_UNMADE_KWARGS) != 0;
    if (TC_LIKELY(few && none)) {
        PyObject *call[EXECUTE_ARGS + 1] = {(PyObject *)self};
        Py_ssize_t count = args != NULL ? PyList_GET_SIZE(args) : 0;
        for (Py_ssize_t i = 0; i < count; i++) {
            call[i + 1] = Py_NewRef(PyList_GET_ITEM(args, i)); /* the method may change the list */
        }
        result = PyObject_VectorcallMethod(name, call, (size_t)count + 1, NULL);
        for (Py_ssize_t i = 0; i < count; i++) {
            Py_DECREF(call[i + 1]);
        }
    }
    else {
        result = execute_call_any(self, name);
    }
    Py_DECREF(name);
    return result;
}

static int
execute_end(HandlerObject *self)
{
    if (self->auto_finish && !self->finished) {
        PyObject *future = tc_handler_finish(self, NULL, false);
        Py_XDECREF(future);
        return future != NULL ? 0 : -1;
    }
    return 0;
}

/* 1 if an awaitable is a Future that has its result already (takes it), 0 if not, -1 if it failed. */
static int
execute_take_done(HandlerObject *self, PyObject *awaitable)
{
    tc_state *state = self->state;
    if (!Py_IS_TYPE(awaitable, (PyTypeObject *)state->asyncio_future)) {
        return 0;
    }
    PyObject *done = PyObject_CallMethodNoArgs(awaitable, state->str_done);
    int st = done != NULL ? PyObject_IsTrue(done) : -1;
    Py_XDECREF(done);
    if (st > 0) {
        PyObject *result = PyObject_CallMethodNoArgs(awaitable, state->str_result);
        st = result != NULL ? 1 : -1;
        Py_XDECREF(result);
    }
    return st;
}

int
tc_execute_advance(HandlerObject *self, int *phase, PyObject *path_args, PyObject *path_kwargs,
                   PyObject **awaitable)
{
    for (;;) {
        PyObject *result;
        if (*phase == TC_PHASE_RETURNED) {
            return execute_end(self);
        }
        if (*phase == TC_PHASE_START) {
            result = tc_execute_start(self, path_args, path_kwargs);
            *phase = TC_PHASE_PREPARED;
        }
        else {
            if (*phase == TC_PHASE_PREPARED) {
                tc_streamed_prepared(self);
                if (self->finished) {
                    return 0;
                }
                *phase = TC_PHASE_RECEIVED;
                int goes_on = TC_UNLIKELY(self->streams) ? tc_streamed_wait(self, awaitable) : 1;
                if (goes_on <= 0 || *awaitable != NULL) {
                    return goes_on;
                }
            }
            result = execute_call_method(self);
            *phase = TC_PHASE_RETURNED;
        }
        if (result == NULL) {
            return -1;
        }
        if (result != Py_None) {
            int done = execute_take_done(self, result);
            if (done == 0) {
                *awaitable = result;
                return 1;
            }
            if (done < 0) {
                Py_DECREF(result);
                return -1;
            }
        }
        Py_DECREF(result);
    }
}

int
tc_execute_fail(HandlerObject *self)
{
    tc_state *state = self->state;
    if (!PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(state->asyncio_cancelled_error)) {
        tc_streamed_prepared(self);
        return -1;
    }
    PyObject *fail = state->upcall_execute_failed;
    PyObject *exc = PyErr_GetRaisedException(), *outer = PyErr_GetHandledException();
    PyErr_SetHandledException(exc); /* sys.exc_info() in what is called now */
    PyObject *args[2] = {(PyObject *)self, exc};
    PyObject *again = fail != NULL ? PyObject_Vectorcall(fail, args, 2, NULL) : NULL;
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    int truth = again != NULL ? PyObject_IsTrue(again) : -1;
    Py_XDECREF(again);
    tc_streamed_prepared(self);
    if (truth > 0) {
        PyErr_SetRaisedException(exc);
        return -1;
    }
    Py_DECREF(exc);
    return truth;
}

/* ---- start ---- */

/* The request's context where the steps so far have set variables in it, else NULL. A Task runs in that itself
 * then: the token that prepare() got for a variable is good there alone. */
static PyObject *
execute_context(HandlerObject *self)
{
    HttpConnObject *conn = tc_handler_conn(self);
    return conn != NULL ? tc_http_conn_changed_context(conn) : NULL;
}

/* Runs a coroutine in a Task of the handler's loop: a new reference; None where there is no loop and it has run. */
static PyObject *
execute_spawn(HandlerObject *self, PyObject *coroutine)
{
    LoopCore *core = tc_handler_core(self);
    PyObject *task;
    if (core != NULL) {
        PyObject *context = Py_XNewRef(execute_context(self));
        task = context != NULL ? tc_task_start_in(core, coroutine, context) : tc_task_start(core, coroutine);
        Py_XDECREF(context);
    }
    else {
        task = tc_web_call(self->state, spawn_task, coroutine);
    }
    return task;
}

/* Leaves the rest to a Task, which first awaits `awaitable` (stolen), or to the end of the body. */
static int
execute_suspend(HandlerObject *self, int phase, PyObject *awaitable)
{
    if (phase == TC_PHASE_RECEIVED) {
        self->parked = true;
        Py_DECREF(awaitable);
        return 0;
    }
    PyObject *inner = tc_coroutine_iterator(awaitable);
    Py_DECREF(awaitable);
    if (inner == NULL) {
        return tc_execute_fail(self);
    }
    LoopCore *core = tc_handler_core(self);
    tc_spare *spare;
    int st =
        core != NULL && execute_context(self) == NULL ? tc_spare_take(core, tc_execution_new, &spare) : 0;
    if (TC_LIKELY(st > 0)) {
        tc_execution_arm(tc_spare_coroutine(spare), self, phase, inner);
        return tc_spare_run(core, spare);
    }
    PyObject *execution = st == 0 ? tc_execution_new(self->state) : NULL;
    if (execution == NULL) {
        Py_DECREF(inner);
        return -1;
    }
    tc_execution_arm(execution, self, phase, inner);
    PyObject *task = execute_spawn(self, execution);
    Py_XDECREF(task);
    Py_DECREF(execution);
    return task != NULL ? 0 : -1;
}

int
tc_execute_run(HandlerObject *self, int phase, PyObject *path_args, PyObject *path_kwargs)
{
    PyObject *awaitable = NULL;
    int st = tc_execute_advance(self, &phase, path_args, path_kwargs, &awaitable);
    return st > 0 ? execute_suspend(self, phase, awaitable) : st < 0 ? tc_execute_fail(self) : 0;
}

/* Calls an _execute that is not ours and runs what it returns. */
static int
execute_replaced(HandlerObject *self, PyObject *path_args, PyObject *path_kwargs)
{
    tc_state *state = self->state;
    PyObject *run = tc_upcall(state, run_execute);
    PyObject *transforms = PyObject_GetAttr((PyObject *)self, state->str__transforms);
    if (transforms == NULL) {
        return -1;
    }
    PyObject *args[4] = {(PyObject *)self, transforms, path_args != NULL ? path_args : Py_None,
                         path_kwargs != NULL ? path_kwargs : Py_None};
    PyObject *coroutine = run != NULL ? PyObject_Vectorcall(run, args, 4, NULL) : NULL;
    PyObject *task =
        coroutine == NULL || coroutine == Py_None ? Py_XNewRef(coroutine) : execute_spawn(self, coroutine);
    int st = task != NULL ? 0 : -1;
    if (task != NULL && task != Py_None) {
        PyObject *watch = tc_upcall(state, watch_execute), *watched[2] = {(PyObject *)self, task};
        PyObject *result = watch != NULL ? PyObject_Vectorcall(watch, watched, 2, NULL) : NULL;
        st = result != NULL ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_XDECREF(task);
    Py_XDECREF(coroutine);
    Py_DECREF(transforms);
    return st;
}

/* cls(application, request, **kwargs), for a handler class; kwargs: a dict or NULL. */
static PyObject *
execute_make_handler(tc_state *state, PyObject *cls, PyObject *application, PyObject *request,
                     PyObject *kwargs)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    if (tc_handler_plain_new(type) && Py_TYPE(cls)->tp_call == PyType_Type.tp_call &&
        !(type->tp_flags & Py_TPFLAGS_IS_ABSTRACT) && (tc_hooks_of_type(state, type) & TC_HOOK___init__)) {
        HandlerObject *self = (HandlerObject *)type->tp_alloc(type, 0);
        if (self != NULL) {
            self->state = state;
            if (tc_handler_setup(self, application, request, kwargs) < 0) {
                Py_CLEAR(self);
            }
        }
        return (PyObject *)self;
    }
    PyObject *args[2] = {application, request};
    return PyObject_VectorcallDict(cls, args, 2, kwargs);
}

static bool
execute_is_handler_class(tc_state *state, PyObject *cls)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    return PyType_Check(cls) &&
           (tc_handler_plain_new(type) || PyType_IsSubtype(type, state->request_handler_type));
}

/* application.transforms, a new reference. */
static PyObject *
execute_transform_classes(tc_state *state, PyObject *application)
{
    if (TC_LIKELY(PyObject_TypeCheck(application, state->application_type) &&
                  tc_hooks_own(state, application, TC_HOOK_transforms))) {
        ApplicationObject *own = (ApplicationObject *)application;
        if (TC_LIKELY(own->transforms != NULL)) {
            return Py_NewRef(own->transforms);
        }
    }
    return PyObject_GetAttr(application, state->str_transforms);
}

/* Sets handler._transforms to [transform(request) for transform in application.transforms]. */
static int
execute_set_transforms(HandlerObject *self, PyObject *application, PyObject *request)
{
    PyObject *classes = execute_transform_classes(self->state, application);
    if (classes == NULL) {
        return -1;
    }
    if (TC_LIKELY(PyList_CheckExact(classes) && PyList_GET_SIZE(classes) == 0)) {
        self->unmade |= TC_UNMADE_TRANSFORMS;
        Py_CLEAR(self->transforms);
        Py_DECREF(classes);
        return 0;
    }
    PyObject *transforms = PyList_New(0), *items = transforms != NULL ? PySequence_Tuple(classes) : NULL;
    int st = items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *transform = PyObject_CallOneArg(PyTuple_GET_ITEM(items, i), request);
        st = transform != NULL ? PyList_Append(transforms, transform) : -1;
        Py_XDECREF(transform);
    }
    if (st == 0) {
        Py_XSETREF(self->transforms, Py_NewRef(transforms));
    }
    Py_XDECREF(transforms);
    Py_XDECREF(items);
    Py_DECREF(classes);
    return st;
}

/* Has a native connection notify a handler that is still at work when the client leaves. */
static int
execute_watch_close(HandlerObject *self)
{
    HttpConnObject *conn = self->finished ? NULL : tc_handler_conn(self);
    bool deaf =
        !self->streams && tc_handler_owns(self, TC_HOOK_on_connection_close); /* it would do nothing */
    if (conn == NULL || deaf || tc_http_conn_close_callback(conn) != NULL) {
        return 0;
    }
    Py_INCREF(conn);
    PyObject *method = PyObject_GetAttr((PyObject *)self, self->state->str_on_connection_close);
    int st = method != NULL ? tc_http_conn_set_close_callback(conn, method) : -1;
    Py_XDECREF(method);
    Py_DECREF(conn);
    return st;
}

/* The keyword arguments of a rule or of the settings; anything false means none. *dict becomes a new
 * reference to a dict, or NULL. 0 or -1. */
static int
execute_take_kwargs(PyObject *kwargs, PyObject **dict)
{
    *dict = NULL;
    if (kwargs == NULL || TC_LIKELY(PyDict_CheckExact(kwargs))) {
        *dict = Py_XNewRef(kwargs);
        return 0;
    }
    int truth = PyObject_IsTrue(kwargs);
    if (truth <= 0) {
        return truth;
    }
    *dict = PyDict_New();
    if (*dict == NULL || PyDict_Update(*dict, kwargs) < 0) {
        if (*dict != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Format(PyExc_TypeError, "the arguments of a handler must be a mapping, not %.200s",
                         Py_TYPE(kwargs)->tp_name);
        }
        Py_CLEAR(*dict);
    }
    return *dict != NULL ? 0 : -1;
}

/* Sends a 500 where the target is no handler class of ours, and logs what it is. */
static PyObject *
execute_refuse_target(tc_state *state, PyObject *target, PyObject *application, PyObject *request)
{
    PyObject *handler = tc_face(state, ErrorHandler);
    PyObject *logged = handler != NULL ? tc_web_call(state, log_bad_target, target) : NULL;
    PyObject *kwargs = logged != NULL ? Py_BuildValue("{Oi}", state->str_status_code, 500) : NULL;
    PyObject *result = NULL;
    Py_XDECREF(logged);
    if (kwargs != NULL && execute_is_handler_class(state, handler)) {
        result = tc_handler_execute(state, handler, application, request, kwargs, NULL, NULL);
    }
    else if (kwargs != NULL) {
        PyErr_SetString(PyExc_TypeError, "the registered ErrorHandler is no handler class");
    }
    Py_XDECREF(kwargs);
    return result;
}

PyObject *
tc_handler_execute(tc_state *state, PyObject *cls, PyObject *application, PyObject *request, PyObject *kwargs,
                   PyObject *path_args, PyObject *path_kwargs)
{
    if (TC_UNLIKELY(!execute_is_handler_class(state, cls))) {
        return execute_refuse_target(state, cls, application, request);
    }
    if (TC_UNLIKELY((path_args != NULL && !PyTuple_Check(path_args)) ||
                    (path_kwargs != NULL && !PyDict_Check(path_kwargs)))) {
        PyErr_SetString(PyExc_TypeError, "the groups of a match must be a tuple or a dict");
        return NULL;
    }
    PyObject *dict;
    if (execute_take_kwargs(kwargs, &dict) < 0) {
        return NULL;
    }
    PyObject *made = execute_make_handler(state, cls, application, request, dict);
    Py_XDECREF(dict);
    if (made == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(made, state->request_handler_type)) {
        PyErr_Format(PyExc_TypeError, "expected subclass of RequestHandler, got %R", cls);
        Py_DECREF(made);
        return NULL;
    }
    HandlerObject *self = (HandlerObject *)made;
    int st = -1;
    int streams =
        execute_set_transforms(self, application, request) == 0 ? tc_handler_streams(state, cls) : -1;
    if (streams >= 0 && (!streams || tc_streamed_begin(self) == 0)) {
        if (TC_LIKELY(tc_handler_owns(self, TC_HOOK__execute))) {
            st = tc_execute_run(self, TC_PHASE_START, path_args, path_kwargs);
        }
        else {
            st = execute_replaced(self, path_args, path_kwargs);
        }
    }
    if (st == 0) {
        st = execute_watch_close(self);
    }
    if (st < 0) {
        Py_CLEAR(made);
    }
    return made;
}
