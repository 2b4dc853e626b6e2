/* Calls of the application: in one context, that of the request, with its exceptions logged and the connection
 * aborted for them, and an awaitable that holds back the next message. Every function runs Python. */
#include "base/future.h"
#include "event/stack.h"
#include "ws/ws_parts.h"

/* ---- the context ---- */

static PyObject *
deliver_context(WsProtocolObject *self)
{
    if (self->context == NULL || !PyContext_CheckExact(self->context)) {
        PyObject *context = PyContext_CopyCurrent();
        if (context == NULL) {
            return NULL;
        }
        self->early_context = !self->started;
        Py_XSETREF(self->context, context);
    }
    return Py_NewRef(self->context);
}

/* A call of the application on the stack. */
typedef struct {
    PyObject *context; /* entered, or NULL: it was already */
    PyObject *entered; /* for tc_stack_leave */
} deliver_frame;

static int
deliver_enter(WsProtocolObject *self, deliver_frame *frame)
{
    frame->context = deliver_context(self);
    if (frame->context == NULL) {
        return -1;
    }
    frame->entered = NULL;
    if (PyContext_Enter(frame->context) < 0) { /* a callback runs the loop, and this is a call within it */
        PyErr_Clear();
        Py_CLEAR(frame->context);
    }
    else if (tc_stack_enter(self->state, &frame->entered) < 0) {
        tc_context_exit(frame->context, true, (PyObject *)self);
        Py_CLEAR(frame->context);
        return -1;
    }
    self->delivering++;
    return 0;
}

static void
deliver_leave(WsProtocolObject *self, deliver_frame *frame)
{
    self->delivering--;
    if (frame->context != NULL) {
        tc_stack_leave(self->state, frame->entered);
        tc_context_exit(frame->context, PyErr_Occurred() != NULL, (PyObject *)self);
        Py_DECREF(frame->context);
    }
}

/* ---- exceptions ---- */

static void
deliver_log(WsProtocolObject *self, PyObject *exc)
{
    PyObject *handler = Py_NewRef(self->handler != NULL ? self->handler : Py_None);
    PyObject *traceback = PyException_GetTraceback(exc);
    PyObject *args[] = {handler, (PyObject *)Py_TYPE(exc), exc, traceback != NULL ? traceback : Py_None};
    PyObject *result = PyObject_VectorcallMethod(self->state->str_log_exception, args,
                                                 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (result == NULL) {
        PyErr_WriteUnraisable(handler);
    }
    Py_XDECREF(result);
    Py_XDECREF(traceback);
    Py_DECREF(handler);
}

/* Logs the exception that is set. -1: it is not to be caught. */
static int
deliver_logged(WsProtocolObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) &&
        !PyErr_ExceptionMatches(self->state->asyncio_cancelled_error)) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    deliver_log(self, exc);
    Py_DECREF(exc);
    return 0;
}

int
tc_ws_caught(WsProtocolObject *self)
{
    return deliver_logged(self) < 0 ? -1 : tc_ws_call_abort(self);
}

/* ---- awaitables ---- */

/* The Future (new reference) of what a callback has returned (stolen), NULL with an exception. */
static PyObject *
deliver_future(WsProtocolObject *self, PyObject *result)
{
    tc_state *state = self->state;
    StreamObject *stream = tc_ws_stream(self);
    PyObject *future;
    if (PyCoro_CheckExact(result) && stream != NULL) {
        LoopCore *core = (LoopCore *)Py_NewRef((PyObject *)stream->core);
        future = tc_task_start(core, result);
        Py_DECREF(core);
    }
    else if (PyObject_TypeCheck(result, (PyTypeObject *)state->asyncio_future)) {
        return result;
    }
    else {
        PyObject *convert = tc_upcall(state, convert_yielded);
        future = convert != NULL ? PyObject_CallOneArg(convert, result) : NULL;
    }
    Py_DECREF(result);
    return future;
}

/* The exception that a done Future ended with is the application's. */
static int
deliver_check(WsProtocolObject *self, PyObject *future)
{
    PyObject *value = PyObject_CallMethodNoArgs(future, self->state->str_result);
    Py_XDECREF(value);
    return value != NULL ? 0 : tc_ws_caught(self);
}

static bool
deliver_is_done_future(WsProtocolObject *self, PyObject *result)
{
    StreamObject *stream = tc_ws_stream(self);
    return stream != NULL && result == stream->core->done_future;
}

/* What a callback has returned (stolen): *future becomes a Future that is not done, or NULL. */
static int
deliver_result(WsProtocolObject *self, PyObject *result, PyObject **future)
{
    *future = NULL;
    if (result == NULL) {
        return tc_ws_caught(self);
    }
    if (TC_LIKELY(result == Py_None) || deliver_is_done_future(self, result)) {
        Py_DECREF(result);
        return 0;
    }
    PyObject *found = deliver_future(self, result);
    if (found == NULL) {
        return tc_ws_caught(self);
    }
    if (!tc_future_is_done(self->state, found)) {
        *future = found;
        return 0;
    }
    int st = deliver_check(self, found);
    Py_DECREF(found);
    return st;
}

int
tc_ws_go_on(WsProtocolObject *self)
{
    if (self->over) {
        return tc_ws_notify_over(self);
    }
    StreamObject *source = self->source;
    if (source == NULL || tc_ws_is_held(self) || !self->started || !source->paused) {
        return 0;
    }
    Py_INCREF(source);
    tc_stream_resume(source);
    int st = tc_stream_update(source);
    Py_DECREF(source);
    return st;
}

int
tc_ws_end_stream(WsProtocolObject *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    StreamObject *source = (StreamObject *)Py_XNewRef((PyObject *)self->source);
    if (source != NULL && tc_stream_close(source, NULL) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)source);
    }
    Py_XDECREF(source);
    PyErr_SetRaisedException(exc);
    return -1;
}

/* args: the Future. What a callback awaited is done. `data` is the connection, or a tuple of it and a Future to
 * be resolved. */
static PyObject *
deliver_done(PyObject *data, PyObject *future)
{
    bool visible = PyTuple_CheckExact(data);
    WsProtocolObject *self = (WsProtocolObject *)(visible ? PyTuple_GET_ITEM(data, 0) : data);
    Py_INCREF(self);
    bool held = self->pending == future;
    deliver_frame frame;
    int st = deliver_enter(self, &frame);
    if (st == 0) {
        st = deliver_check(self, future);
        deliver_leave(self, &frame);
    }
    if (held && self->pending == future) {
        Py_CLEAR(self->pending);
    }
    if (visible) {
        PyObject *exc = st < 0 ? PyErr_GetRaisedException() : NULL;
        tc_future_resolve(self->state, PyTuple_GET_ITEM(data, 1), Py_None);
        if (exc != NULL) {
            PyErr_SetRaisedException(exc);
        }
    }
    st = st == 0 ? tc_ws_go_on(self) : tc_ws_end_stream(self);
    Py_DECREF(self);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef deliver_done_def = {"_callback_done", deliver_done, METH_O,
                                       "_callback_done(future, /)\n--\n\nContinue with the next message."};

/* Calls `deliver_done` with the Future when it is done. */
static int
deliver_when_done(WsProtocolObject *self, PyObject *future, PyObject *data)
{
    PyObject *callback = PyCFunction_New(&deliver_done_def, data);
    PyObject *result = callback != NULL
                           ? PyObject_CallMethodOneArg(future, self->state->str_add_done_callback, callback)
                           : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_ws_hold(WsProtocolObject *self, PyObject *future)
{
    Py_XSETREF(self->pending, Py_NewRef(future));
    if (deliver_when_done(self, future, (PyObject *)self) == 0) {
        return 0;
    }
    Py_CLEAR(self->pending);
    return tc_ws_caught(self);
}

/* ---- calls ---- */

/* The call itself, of the handler's method `name` or of self._run_callback() where that is overridden. */
static PyObject *
deliver_call(WsProtocolObject *self, PyObject *name, PyObject *arg, bool own)
{
    PyObject *handler = Py_NewRef(self->handler != NULL ? self->handler : Py_None), *result = NULL;
    PyObject *args[3] = {handler, arg, NULL};
    if (TC_LIKELY(own)) {
        result = PyObject_VectorcallMethod(name, args, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    else {
        args[0] = (PyObject *)self;
        args[1] = PyObject_GetAttr(handler, name);
        args[2] = arg;
        result = args[1] == NULL ? NULL
                                 : PyObject_VectorcallMethod(self->state->str__run_callback, args,
                                                             3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_XDECREF(args[1]);
    }
    Py_DECREF(handler);
    return result;
}

/* The Future for Python: done, without an exception, when the other one is. */
static PyObject *
deliver_visible(WsProtocolObject *self, PyObject *future)
{
    StreamObject *stream = tc_ws_stream(self);
    PyObject *visible = stream != NULL ? tc_core_future(stream->core) : NULL;
    PyObject *data = visible != NULL ? PyTuple_Pack(2, (PyObject *)self, visible) : NULL;
    if (stream == NULL) {
        Py_RETURN_NONE;
    }
    if (data == NULL || deliver_when_done(self, future, data) < 0) {
        Py_CLEAR(visible);
    }
    Py_XDECREF(data);
    return visible;
}

/* Runs a coroutine of Python's. 1; 0: what was returned is none; -1. */
static int
deliver_coroutine(WsProtocolObject *self, PyObject *result, bool holds)
{
    StreamObject *stream = PyCoro_CheckExact(result) ? tc_ws_stream(self) : NULL;
    if (stream == NULL) {
        return 0;
    }
    LoopCore *core = (LoopCore *)Py_NewRef((PyObject *)stream->core);
    int st = tc_ws_await(self, core, result, holds);
    Py_DECREF(core);
    return st;
}

int
tc_ws_call(WsProtocolObject *self, PyObject *name, PyObject *arg, bool holds)
{
    deliver_frame frame;
    PyObject **visible = holds ? self->visible : NULL;
    self->visible = NULL;
    if (deliver_enter(self, &frame) < 0) {
        return -1;
    }
    PyObject *future = NULL;
    bool own = tc_ws_owns(self, TC_WS_OWN__run_callback);
    PyObject *result = deliver_call(self, name, arg, own);
    int st = result != NULL && visible == NULL ? deliver_coroutine(self, result, holds) : 0;
    if (TC_LIKELY(st == 0)) {
        st = deliver_result(self, result, &future);
    }
    else {
        Py_DECREF(result);
        st = st < 0 ? -1 : 0;
    }
    if (future != NULL) {
        if (visible != NULL) {
            *visible = deliver_visible(self, future);
            st = *visible != NULL ? 0 : -1;
        }
        else if (holds) {
            st = tc_ws_hold(self, future);
        }
        else if (deliver_when_done(self, future, (PyObject *)self) < 0) {
            st = tc_ws_caught(self);
        }
        Py_DECREF(future);
    }
    deliver_leave(self, &frame);
    return st;
}

PyObject *
tc_ws_handle_visibly(WsProtocolObject *self, unsigned opcode, PyObject *data)
{
    PyObject *future = NULL;
    self->visible = &future;
    bool compressed = self->compressed;
    int st = tc_ws_handle_bytes(self, opcode, data, compressed);
    self->visible = NULL;
    if (st < 0) {
        Py_CLEAR(future);
        return NULL;
    }
    return future != NULL ? future : Py_NewRef(Py_None);
}

PyObject *
tc_ws_run_callback(WsProtocolObject *self, PyObject *callback, PyObject *const *args, size_t nargsf,
                   PyObject *kwnames)
{
    deliver_frame frame;
    if (deliver_enter(self, &frame) < 0) {
        return NULL;
    }
    PyObject *future, *result = NULL;
    int st = deliver_result(self, PyObject_Vectorcall(callback, args, nargsf, kwnames), &future);
    if (st == 0) {
        result = future != NULL ? deliver_visible(self, future) : Py_NewRef(Py_None);
    }
    Py_XDECREF(future);
    deliver_leave(self, &frame);
    if (result != NULL && self->over && tc_ws_notify_soon(self) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* ---- the end ---- */

static void
deliver_end(WsProtocolObject *self)
{
    PyObject *future = self->ended;
    self->ended = NULL;
    if (TC_UNLIKELY(future != NULL)) {
        tc_future_resolve(self->state, future, Py_None);
        Py_DECREF(future);
    }
}

PyObject *
tc_ws_wait_closed(WsProtocolObject *self, PyObject *unused)
{
    StreamObject *stream = tc_ws_stream(self);
    if (stream == NULL) {
        return PyErr_Format(PyExc_RuntimeError, "the connection has no stream");
    }
    if (self->ended != NULL && !tc_future_is_done(self->state, self->ended)) {
        return Py_NewRef(self->ended);
    }
    PyObject *future = tc_core_future(stream->core);
    if (future != NULL) {
        Py_XSETREF(self->ended, Py_NewRef(future));
        if (self->told && self->delivering == 0) {
            deliver_end(self);
        }
    }
    return future;
}

/* handler.on_ws_connection_close(), in a Task that is current meanwhile where that can be had at once. */
static int
deliver_close_call(WsProtocolObject *self, PyObject *handler, PyObject *code, PyObject *reason)
{
    PyObject *args[] = {handler, code, reason}, *result = NULL;
    StreamObject *stream = tc_ws_stream(self);
    PyObject *make = stream != NULL ? tc_upcall(self->state, notify_closed) : NULL;
    PyObject *coroutine = make != NULL ? PyObject_Vectorcall(make, args, 3, NULL) : NULL;
    int st = coroutine != NULL ? deliver_coroutine(self, coroutine, false) : 0;
    if (st == 0 && coroutine != NULL) {
        result = PyObject_CallMethodNoArgs(coroutine, self->state->str_close);
        Py_XDECREF(result);
    }
    Py_XDECREF(coroutine);
    if (st != 0 || PyErr_Occurred()) {
        return st > 0 ? 0 : st < 0 ? -1 : deliver_logged(self);
    }
    result = PyObject_VectorcallMethod(self->state->str_on_ws_connection_close, args,
                                       3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : deliver_logged(self);
}

static int
deliver_close(WsProtocolObject *self)
{
    self->told = true;
    PyObject *handler = Py_NewRef(self->handler != NULL ? self->handler : Py_None);
    PyObject *code = Py_NewRef(self->close_code != NULL ? self->close_code : Py_None);
    PyObject *reason = Py_NewRef(self->close_reason != NULL ? self->close_reason : Py_None);
    deliver_frame frame;
    int st = deliver_enter(self, &frame);
    if (st == 0) {
        st = deliver_close_call(self, handler, code, reason);
        deliver_leave(self, &frame);
    }
    Py_DECREF(handler);
    Py_DECREF(code);
    Py_DECREF(reason);
    tc_ws_loop_leave(self);
    if (st == 0) {
        deliver_end(self);
    }
    return st;
}

int
tc_ws_notify_over(WsProtocolObject *self)
{
    self->over = true;
    if (self->told || !self->started || self->delivering > 0 || tc_ws_is_held(self)) {
        return 0;
    }
    return deliver_close(self);
}

int
tc_ws_notify_cancelled(WsProtocolObject *self)
{
    self->over = true;
    return self->told || !self->started || self->delivering > 0 ? 0 : deliver_close(self);
}

int
tc_ws_cancelled(WsProtocolObject *self)
{
    int st = tc_ws_notify_cancelled(self);
    if (st == 0 && tc_ws_call_abort(self) < 0) {
        st = deliver_logged(self);
    }
    return st;
}

static PyObject *
deliver_over(PyObject *self, PyObject *unused)
{
    return tc_ws_notify_over((WsProtocolObject *)self) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef deliver_over_def = {"_connection_over", deliver_over, METH_NOARGS,
                                       "_connection_over()\n--\n\nNotify the handler of the close."};

int
tc_ws_notify_soon(WsProtocolObject *self)
{
    StreamObject *stream = tc_ws_stream(self);
    self->over = true;
    if (self->told || !self->started || self->delivering > 0 || tc_ws_is_held(self) || stream == NULL ||
        stream->core->closed) {
        return 0;
    }
    /* Not in the connection's context, which a callback that runs the loop has entered. */
    PyObject *callback = PyCFunction_New(&deliver_over_def, (PyObject *)self);
    PyObject *handle = callback != NULL ? tc_core_call_soon(stream->core, callback, NULL, 0, NULL) : NULL;
    Py_XDECREF(handle);
    Py_XDECREF(callback);
    return handle != NULL ? 0 : -1;
}
