/* What is different for a handler that has its body streamed (see stream_request_body): prepare() runs when
 * the head is there, and between it and the method the handler waits for the body, whose pieces the message
 * delegate gives to data_received() meanwhile. handler._prepared_future says that the body may come,
 * request._body_future that it has.
 *
 * Where prepare() has awaited nothing there is no Task to wait in: the handler is parked, and its method is
 * called as the body ends. Called by execute.c and by the delegate, a _HandlerDelegate; runs Python. */
#include "base/future.h"
#include "web/execution.h"

int
tc_handler_streams_by_name(tc_state *state, PyObject *cls)
{
    PyObject *value;
    int st = !PyType_Check(cls) ? 0 : PyObject_GetOptionalAttr(cls, state->str__stream_request_body, &value);
    if (st > 0) {
        st = PyObject_IsTrue(value);
        Py_DECREF(value);
    }
    return st;
}

int
tc_streamed_begin(HandlerObject *self)
{
    PyObject *prepared = PyObject_CallNoArgs(self->state->asyncio_future);
    if (prepared == NULL) {
        return -1;
    }
    Py_XSETREF(self->prepared_future, prepared);
    self->streams = true;
    return 0;
}

void
tc_streamed_resolve_prepared(HandlerObject *self)
{
    PyObject *exc = PyErr_GetRaisedException(), *prepared = Py_NewRef(self->prepared_future);
    if (prepared != Py_None) {
        tc_future_resolve(self->state, prepared, Py_None);
    }
    Py_DECREF(prepared);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
}

bool
tc_streamed_is_lost(HandlerObject *self)
{
    PyObject *closed = self->state->face_StreamClosedError;
    if (closed == NULL || !PyErr_ExceptionMatches(closed)) {
        return false;
    }
    PyErr_Clear();
    return true;
}

int
tc_streamed_wait(HandlerObject *self, PyObject **body)
{
    tc_state *state = self->state;
    *body = tc_handler_request_attr(self, state->str__body_future);
    if (*body == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(*body, (PyTypeObject *)state->asyncio_future) || !tc_future_is_done(state, *body)) {
        return 1;
    }
    PyObject *result = PyObject_CallMethodNoArgs(*body, state->str_result);
    Py_CLEAR(*body);
    if (result == NULL) {
        return tc_streamed_is_lost(self) ? 0 : -1;
    }
    Py_DECREF(result);
    return 1;
}

/* ---- the end of the body, by the delegate ---- */

/* request._body_future, a new reference; NULL where there is none. */
static PyObject *
streamed_body(HandlerObject *self)
{
    PyObject *body = NULL;
    if (self->request != NULL &&
        PyObject_GetOptionalAttr(self->request, self->state->str__body_future, &body) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    return body;
}

PyDoc_STRVAR(streamed_received_doc, "_body_received($self, /)\n--\n\n"
                                    "Called when all of a streamed body has come.");

static PyObject *
streamed_received(HandlerObject *self, PyObject *unused)
{
    bool parked = self->parked;
    self->parked = false;
    PyObject *body = streamed_body(self);
    if (body != NULL) {
        tc_future_resolve(self->state, body, Py_None);
        Py_DECREF(body);
    }
    return parked && tc_execute_run(self, TC_PHASE_RECEIVED, NULL, NULL) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(streamed_lost_doc, "_body_lost($self, /)\n--\n\n"
                                "Called when a streamed body will not come: the method is not called.");

static PyObject *
streamed_lost(HandlerObject *self, PyObject *unused)
{
    self->parked = false;
    PyObject *body = streamed_body(self), *closed = tc_face(self->state, StreamClosedError);
    PyObject *exc = body != NULL && closed != NULL ? PyObject_CallNoArgs(closed) : NULL;
    if (exc != NULL) {
        tc_future_fail_quietly(self->state, body, exc);
    }
    bool good = exc != NULL || (body == NULL && closed != NULL);
    Py_XDECREF(body);
    Py_XDECREF(exc);
    return good ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef tc_streamed_methods[] = {
    {"_body_lost", (PyCFunction)streamed_lost, METH_NOARGS, streamed_lost_doc},
    {"_body_received", (PyCFunction)streamed_received, METH_NOARGS, streamed_received_doc},
    {NULL},
};
