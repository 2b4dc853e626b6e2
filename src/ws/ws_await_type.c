/* The coroutine that runs what a callback has returned, where that is a coroutine: it sees to the exceptions of that,
 * and lets the next message come. Mostly it ends in its first step, see event/spare.h. Runs Python. */
#include "event/spare.h"
#include "ws/ws_parts.h"

typedef struct {
    tc_coroutine base;
    WsProtocolObject *protocol; /* NULL where there is nothing to run, before and after */
    bool holds;
} WsAwaitObject;

/* The connection, new reference, which the coroutine has nothing more to do with; or NULL. */
static WsProtocolObject *
await_leave(WsAwaitObject *self)
{
    WsProtocolObject *protocol = self->protocol;
    self->protocol = NULL;
    self->base.ended = true;
    if (protocol != NULL && self->holds) {
        protocol->held = false;
    }
    return protocol;
}

/* Has the coroutine cancelled its Task in the step in which it ended? 1, 0 or -1. */
static int
await_is_cancelled(tc_state *state, WsProtocolObject *protocol)
{
    const StreamObject *stream = tc_ws_stream(protocol);
    PyObject *task = stream != NULL ? tc_task_current(stream->core) : Py_NewRef(Py_None);
    if (task == NULL || task == Py_None || !PyObject_TypeCheck(task, (PyTypeObject *)state->asyncio_task)) {
        Py_XDECREF(task);
        return task != NULL ? 0 : -1;
    }
    PyObject *cancelled = PyObject_GetAttr(task, state->str__must_cancel);
    int is = cancelled != NULL ? PyObject_IsTrue(cancelled) : -1;
    Py_XDECREF(cancelled);
    Py_DECREF(task);
    return is;
}

static PySendResult
await_go_on(tc_coroutine *base, PySendResult how, PyObject *value, PyObject **result)
{
    WsProtocolObject *protocol = await_leave((WsAwaitObject *)base);
    PyObject *exc = how == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    int st = 0;
    Py_CLEAR(base->inner);
    Py_XDECREF(value);
    if (how == PYGEN_RETURN && protocol != NULL) {
        int cancelled = await_is_cancelled(base->state, protocol);
        if (cancelled > 0) {
            PyErr_SetNone(base->state->asyncio_cancelled_error);
        }
        exc = cancelled != 0 ? PyErr_GetRaisedException() : NULL;
    }
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
        st = protocol != NULL ? tc_ws_caught(protocol) : -1;
    }
    if (protocol != NULL) {
        st = st == 0 ? tc_ws_go_on(protocol) : tc_ws_end_stream(protocol);
        Py_DECREF(protocol);
    }
    *result = st == 0 ? Py_NewRef(Py_None) : NULL;
    return st == 0 ? PYGEN_RETURN : PYGEN_ERROR;
}

static PyObject *
await_new(tc_state *state)
{
    WsAwaitObject *self = (WsAwaitObject *)state->ws_await_type->tp_alloc(state->ws_await_type, 0);
    if (self != NULL) {
        self->base.state = state;
        self->base.go_on = await_go_on;
        self->base.ended = true;
    }
    return (PyObject *)self;
}

int
tc_ws_await(WsProtocolObject *protocol, LoopCore *core, PyObject *coroutine, bool holds)
{
    tc_spare *spare;
    int st = tc_spare_take(core, await_new, &spare);
    if (st <= 0) {
        return st;
    }
    WsAwaitObject *self = (WsAwaitObject *)tc_spare_coroutine(spare);
    self->protocol = (WsProtocolObject *)Py_NewRef((PyObject *)protocol);
    self->holds = holds;
    self->base.inner = Py_NewRef(coroutine);
    self->base.ended = false;
    protocol->held |= holds;
    return tc_spare_run(core, spare) < 0 ? -1 : 1;
}

/* ---- the type ---- */

static int
await_traverse(WsAwaitObject *self, visitproc visit, void *arg)
{
    TC_COROUTINE_VISIT(self);
    Py_VISIT(self->protocol);
    return 0;
}

static int
await_clear(WsAwaitObject *self)
{
    WsProtocolObject *protocol = await_leave(self);
    Py_XDECREF(protocol);
    tc_coroutine_clear(&self->base);
    return 0;
}

static void
await_dealloc(WsAwaitObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    await_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef await_members[] = {
    {"cr_await", T_OBJECT, offsetof(WsAwaitObject, base.inner), READONLY, PyDoc_STR("What is awaited.")},
    {NULL},
};

static PyType_Slot await_slots[] = {
    {Py_tp_doc, "The coroutine that runs what a callback of a WebSocket has returned."},
    {Py_tp_traverse, await_traverse},
    {Py_tp_clear, await_clear},
    {Py_tp_dealloc, await_dealloc},
    TC_COROUTINE_SLOTS,
    {Py_tp_members, await_members},
    {0, NULL},
};

static PyType_Spec await_spec = {
    .name = "tornado_c._core.WebSocketAwait",
    .basicsize = sizeof(WsAwaitObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = await_slots,
};

int
tc_ws_await_init_type(PyObject *module, tc_state *state)
{
    state->ws_await_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &await_spec, NULL);
    return state->ws_await_type != NULL ? 0 : -1;
}
