/* The application that is an HTTPServerConnectionDelegate: for each request a message delegate, which is
 * given the head, the pieces of the body and the end, and responds through the connection. What
 * headers_received() and data_received() return is awaited, and nothing is read until then. Runs Python.
 *
 * The message delegate is kept as request->held until its last notification. */
#include "base/log.h"
#include "http/http_config.h"
#include "http/http_reader.h"

/* In request->app_state. */
#define DELEGATE_WAITS 1 /* for an awaitable that it has returned */
#define DELEGATE_GONE 2  /* the client has left in that time: it is notified afterwards */
#define DELEGATE_OPEN 4  /* request->held is a delegate that has the head */

bool
tc_delegate_is_open(const RequestObject *request)
{
    return request->app_state & DELEGATE_OPEN;
}

/* Ends its part in the request: a new reference, or NULL. */
static PyObject *
delegate_take_held(RequestObject *request)
{
    PyObject *delegate = request->held;
    request->held = NULL;
    request->app_state = 0;
    return delegate;
}

/* ---- the client is gone ---- */

static void
delegate_log_error(tc_state *state)
{
    if (PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(state->asyncio_cancelled_error)) {
        tc_log_exception(state, "application", "Uncaught exception");
    }
}

/* Calls on_connection_close(). 0, or -1 with an exception that must not be logged. */
static int
delegate_notify_closed(RequestObject *request)
{
    PyObject *delegate = delegate_take_held(request);
    if (delegate == NULL) {
        return 0;
    }
    PyObject *result = PyObject_CallMethodNoArgs(delegate, request->state->str_on_connection_close);
    Py_DECREF(delegate);
    Py_XDECREF(result);
    if (result == NULL) {
        delegate_log_error(request->state);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
delegate_closed(PyObject *self, PyObject *unused)
{
    RequestObject *request = (RequestObject *)self;
    if (request->app_state & DELEGATE_WAITS) { /* the method that ended it has returned an awaitable */
        request->app_state |= DELEGATE_GONE;
        Py_RETURN_NONE;
    }
    return delegate_notify_closed(request) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef delegate_closed_def = {"_tell_closed", delegate_closed, METH_NOARGS, NULL};

/* In the loop's next turn: a method of the delegate may be on the stack. */
static void
delegate_gone(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    if (request->app_state & DELEGATE_WAITS) {
        request->app_state |= DELEGATE_GONE;
        return;
    }
    LoopCore *core = tc_http_conn_core(conn);
    if (request->held == NULL || core == NULL || core->closed) {
        return;
    }
    PyObject *callback = PyCFunction_New(&delegate_closed_def, (PyObject *)request);
    PyObject *handle =
        callback != NULL ? tc_core_call_soon(core, callback, NULL, 0, tc_http_conn_context(conn)) : NULL;
    if (handle == NULL) {
        PyErr_WriteUnraisable((PyObject *)conn);
    }
    Py_XDECREF(callback);
    Py_XDECREF(handle);
}

/* A method has failed: the delegate is notified that its connection is closed, as in Tornado. -1. */
static int
delegate_failed(HttpConnObject *conn, RequestObject *request)
{
    PyObject *exc = PyErr_GetRaisedException();
    delegate_gone(NULL, conn, request);
    PyErr_SetRaisedException(exc);
    return -1;
}

/* ---- what it returns ---- */

/* Takes the result of a Future that is done. 0 or -1. */
static int
delegate_take(tc_state *state, PyObject *future)
{
    PyObject *result = PyObject_CallMethodNoArgs(future, state->str_result);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* The awaitable of a request is done. */
static PyObject *
delegate_done(PyObject *self, PyObject *future)
{
    RequestObject *request = (RequestObject *)self;
    HttpConnObject *conn = tc_http_conn_of(request->state, request->connection);
    int status = delegate_take(request->state, future);
    bool gone = request->app_state & DELEGATE_GONE;
    request->app_state &= DELEGATE_OPEN;
    if (gone) {
        if (status < 0) {
            delegate_log_error(request->state);
        }
        if (!PyErr_Occurred()) {
            delegate_notify_closed(request);
        }
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    if (conn == NULL || !tc_http_conn_is_held(conn, request)) {
        if (status < 0) {
            delegate_log_error(request->state);
        }
    }
    else if (status == 0) {
        status = tc_http_conn_resume(conn);
    }
    else {
        delegate_failed(conn, request);
        status = tc_http_conn_fail(conn);
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef delegate_done_def = {"_resume", delegate_done, METH_O, NULL};

/* A Future or a Task for the awaitable, which may be done already. */
static PyObject *
delegate_future(HttpConnObject *conn, RequestObject *request, PyObject *awaitable)
{
    LoopCore *core = tc_http_conn_core(conn);
    if (PyObject_TypeCheck(awaitable, (PyTypeObject *)request->state->asyncio_future)) {
        return Py_NewRef(awaitable);
    }
    if (core == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the connection has no loop");
        return NULL;
    }
    return tc_task_start(core, awaitable);
}

/* Whether a Future is of the connection's loop: another loop would continue the request in its own turn,
 * perhaps in another thread. For any other, -1 with the RuntimeError that a Task raises. */
static int
delegate_check_loop(tc_state *state, HttpConnObject *conn, PyObject *future)
{
    LoopCore *core = tc_http_conn_core(conn);
    PyObject *loop = PyObject_CallMethodNoArgs(future, state->str_get_loop);
    int st = loop != NULL ? 0 : -1;
    if (loop != NULL && (core == NULL || loop != tc_core_asyncio(core))) {
        PyErr_Format(PyExc_RuntimeError, "%R is attached to a different loop", future);
        st = -1;
    }
    Py_XDECREF(loop);
    return st;
}

/* Awaits what a method has returned (stolen; NULL with its exception). TC_OK, TC_AGAIN where it is not done,
 * or TC_RAISED. */
static int
delegate_await(HttpConnObject *conn, RequestObject *request, PyObject *returned)
{
    tc_state *state = request->state;
    if (TC_LIKELY(returned == Py_None)) {
        Py_DECREF(returned);
        return TC_OK;
    }
    PyObject *future = returned != NULL ? delegate_future(conn, request, returned) : NULL;
    PyObject *done = future != NULL ? PyObject_CallMethodNoArgs(future, state->str_done) : NULL;
    int is_done = done != NULL ? PyObject_IsTrue(done) : -1, st = TC_RAISED;
    if (is_done > 0) {
        st = delegate_take(state, future) < 0 ? TC_RAISED : TC_OK;
    }
    else if (is_done == 0 && delegate_check_loop(state, conn, future) == 0) {
        PyObject *callback = PyCFunction_New(&delegate_done_def, (PyObject *)request);
        PyObject *added = callback != NULL
                              ? PyObject_CallMethodOneArg(future, state->str_add_done_callback, callback)
                              : NULL;
        if (added != NULL) {
            request->app_state |= DELEGATE_WAITS;
            st = TC_AGAIN;
        }
        Py_XDECREF(callback);
        Py_XDECREF(added);
    }
    Py_XDECREF(returned);
    Py_XDECREF(future);
    Py_XDECREF(done);
    return st;
}

/* ---- one request ---- */

/* The delegate (stolen), wrapped in one that decodes bodies where the server does. */
static PyObject *
delegate_wrap(HttpConnObject *conn, PyObject *delegate)
{
    if (TC_LIKELY(!tc_http_conn_config(conn)->decompress)) {
        return delegate;
    }
    PyObject *cls = tc_upcall(tc_http_conn_config(conn)->state, decompressing_delegate);
    PyObject *made = cls == NULL
                         ? NULL
                         : PyObject_CallFunction(
                               cls, "OnnO", delegate, (Py_ssize_t)tc_http_conn_piece_size(conn),
                               (Py_ssize_t)tc_min_size(tc_http_conn_body_limit(conn), PY_SSIZE_T_MAX), conn);
    Py_DECREF(delegate);
    return made;
}

static PyObject *
delegate_start_line(RequestObject *request)
{
    PyObject *cls = tc_face(request->state, RequestStartLine);
    return tc_start_line_new(cls, Py_XNewRef(tc_request_method(request)), Py_XNewRef(tc_request_uri(request)),
                             Py_XNewRef(tc_request_version(request)));
}

int
tc_delegate_begin(HttpConnObject *conn, RequestObject *request, PyObject *delegate)
{
    delegate = delegate != NULL ? delegate_wrap(conn, delegate) : NULL;
    if (delegate == NULL) {
        return -1;
    }
    Py_XSETREF(request->held, Py_NewRef(delegate));
    request->app_state = DELEGATE_OPEN;
    PyObject *line = delegate_start_line(request), *returned = NULL;
    PyObject *headers = line != NULL ? Py_XNewRef(tc_request_headers(request)) : NULL;
    if (headers != NULL) {
        PyObject *args[3] = {delegate, line, headers};
        returned = PyObject_VectorcallMethod(request->state->str_headers_received, args, 3, NULL);
    }
    Py_XDECREF(line);
    Py_XDECREF(headers);
    Py_DECREF(delegate);
    int st = delegate_await(conn, request, returned);
    if (st == TC_RAISED) {
        return delegate_failed(conn, request);
    }
    return TC_APP_PIECES | (st == TC_AGAIN ? TC_APP_HOLD : 0);
}

static int
delegate_begin(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    PyObject *args[3] = {app, (PyObject *)conn, (PyObject *)conn};
    return tc_delegate_begin(conn, request,
                             PyObject_VectorcallMethod(request->state->str_start_request, args, 3, NULL));
}

static int
delegate_piece(PyObject *app, HttpConnObject *conn, RequestObject *request, const char *data, size_t size)
{
    PyObject *delegate = Py_XNewRef(request->held);
    if (delegate == NULL) {
        return TC_OK;
    }
    PyObject *piece = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *returned =
        piece != NULL ? PyObject_CallMethodOneArg(delegate, request->state->str_data_received, piece) : NULL;
    int st = delegate_await(conn, request, returned);
    Py_XDECREF(piece);
    Py_DECREF(delegate);
    if (st == TC_RAISED) {
        delegate_failed(conn, request);
    }
    return st;
}

static int
delegate_end(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    PyObject *delegate = Py_XNewRef(request->held);
    if (delegate == NULL) {
        return 0;
    }
    PyObject *result = PyObject_CallMethodNoArgs(delegate, request->state->str_finish);
    Py_DECREF(delegate);
    if (result == NULL) {
        return delegate_failed(conn, request);
    }
    Py_DECREF(result);
    delegate = delegate_take_held(request);
    Py_XDECREF(delegate);
    return 0;
}

const tc_http_app_class tc_app_delegate = {
    .begin = delegate_begin,
    .piece = delegate_piece,
    .end = delegate_end,
    .gone = delegate_gone,
};
