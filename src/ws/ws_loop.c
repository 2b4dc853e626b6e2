/* What the WebSockets of one loop share, made with the first of them that needs it: lists of time limits, by
 * their seconds, masks bought in bulk, the frame of the message that was written last, and one Task for all that
 * are open. The loop owns it. Runs Python in os.urandom, where messages are freed, and for the Task. */
#include "base/future.h"
#include "ws/ws_parts.h"

enum { MASK_POOL = 1024, KEPT_COUNT = 4, KEPT_MIN = 65536, KEPT_MAX = 2 << 20 };

typedef struct loop_timeouts loop_timeouts;
struct loop_timeouts {
    tc_timeouts list;
    loop_timeouts *next;
};

struct WsLoopObject {
    PyObject_HEAD LoopCore *core; /* borrowed: it owns this */
    loop_timeouts *timeouts;
    PyObject *masks; /* random bytes, or NULL */
    Py_ssize_t masks_used;
    unsigned masks_fork;        /* tc_fork_count() when they were bought */
    PyObject *kept[KEPT_COUNT]; /* bytes that nobody else has, or NULL; the latest first */
    tc_ws_shared shared;
    tc_task forget;   /* drops it at the turn's end */
    tc_link open;     /* connections, oldest first */
    PyObject *closed; /* the Future that their Task awaits, or NULL: there is none */
    tc_task rest;     /* ends it at the turn's end, if none is open then */
};

static void
ws_loop_forget(WsLoopObject *self)
{
    tc_ws_shared shared = self->shared;
    self->shared = (tc_ws_shared){0};
    Py_XDECREF(shared.message);
    Py_XDECREF(shared.frame);
}

static int
ws_loop_forget_run(tc_task *task)
{
    ws_loop_forget(tc_container_of(task, WsLoopObject, forget));
    return TC_OK;
}

static void
ws_loop_drop_kept(WsLoopObject *self)
{
    for (int i = 0; i < KEPT_COUNT; i++) {
        Py_CLEAR(self->kept[i]);
    }
}

static int
ws_loop_rest_run(tc_task *task)
{
    WsLoopObject *self = tc_container_of(task, WsLoopObject, rest);
    PyObject *future = self->closed;
    if (tc_list_empty(&self->open)) {
        ws_loop_drop_kept(self);
    }
    if (future != NULL && tc_list_empty(&self->open)) {
        self->closed = NULL;
        tc_future_resolve(self->core->state, future, Py_None);
        Py_DECREF(future);
    }
    return TC_OK;
}

static int
ws_loop_traverse(WsLoopObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->closed);
    return 0;
}

static int
ws_loop_clear(WsLoopObject *self)
{
    Py_CLEAR(self->closed);
    return 0;
}

static void
ws_loop_dealloc(WsLoopObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    while (!tc_list_empty(&self->open)) {
        tc_list_unlink(self->open.next);
    }
    ws_loop_clear(self);
    for (loop_timeouts *entry = self->timeouts, *next; entry != NULL; entry = next) {
        next = entry->next;
        tc_timeouts_stop(&entry->list);
        PyMem_Free(entry);
    }
    Py_XDECREF(self->masks);
    ws_loop_drop_kept(self);
    tc_core_cancel_task(&self->forget);
    tc_core_cancel_task(&self->rest);
    ws_loop_forget(self);
    type->tp_free(self);
    Py_DECREF(type);
}

WsLoopObject *
tc_ws_loop(LoopCore *core)
{
    if (core->websockets == NULL) {
        PyTypeObject *type = core->state->ws_loop_type;
        core->websockets = type->tp_alloc(type, 0);
        if (core->websockets != NULL) {
            WsLoopObject *self = (WsLoopObject *)core->websockets;
            self->core = core;
            tc_list_init(&self->forget.link);
            self->forget.run = ws_loop_forget_run;
            tc_list_init(&self->open);
            tc_list_init(&self->rest.link);
            self->rest.run = ws_loop_rest_run;
        }
    }
    return (WsLoopObject *)core->websockets;
}

/* Lists that have run empty are used for others: a program with ever new intervals has no more lists than
 * connections. */
tc_timeouts *
tc_ws_loop_timeouts(WsLoopObject *self, double seconds)
{
    loop_timeouts *empty = NULL;
    for (loop_timeouts *entry = self->timeouts; entry != NULL; entry = entry->next) {
        if (entry->list.seconds == seconds) {
            return &entry->list;
        }
        if (tc_list_empty(&entry->list.entries) && !tc_timer_pending(&entry->list.timer)) {
            empty = entry;
        }
    }
    if (empty == NULL) {
        empty = PyMem_Calloc(1, sizeof(*empty));
        if (empty == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        empty->next = self->timeouts;
        self->timeouts = empty;
    }
    tc_timeouts_init(&empty->list, (PyObject *)self, self->core, seconds, tc_ws_expired);
    return &empty->list;
}

static int
ws_loop_buy_masks(WsLoopObject *self)
{
    PyObject *size = PyLong_FromLong(MASK_POOL);
    PyObject *masks = size != NULL ? PyObject_CallOneArg(self->core->state->os_urandom, size) : NULL;
    Py_XDECREF(size);
    if (masks != NULL && (!PyBytes_CheckExact(masks) || PyBytes_GET_SIZE(masks) < 4)) {
        PyErr_SetString(PyExc_ValueError, "os.urandom() has not returned what it was asked for");
        Py_CLEAR(masks);
    }
    if (masks == NULL) {
        return -1;
    }
    Py_XSETREF(self->masks, masks);
    self->masks_used = 0;
    self->masks_fork = tc_fork_count();
    return 0;
}

int
tc_ws_loop_mask(WsLoopObject *self, uint8_t key[4])
{
    bool fresh = self->masks != NULL && PyBytes_GET_SIZE(self->masks) - self->masks_used >= 4 &&
                 self->masks_fork == tc_fork_count();
    if (!fresh && ws_loop_buy_masks(self) < 0) {
        return -1;
    }
    memcpy(key, PyBytes_AS_STRING(self->masks) + self->masks_used, 4);
    self->masks_used += 4;
    return 0;
}

/* One byte less is kept: the resizing that takes it back makes bytes of it that have not been hashed. The one that
 * has been kept longest goes. */
void
tc_ws_loop_keep_memory(WsLoopObject *self, PyObject *bytes)
{
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    if (size < KEPT_MIN || size > KEPT_MAX || Py_REFCNT(bytes) != 1 || !PyBytes_CheckExact(bytes)) {
        Py_DECREF(bytes);
    }
    else if (_PyBytes_Resize(&bytes, size - 1) < 0) {
        PyErr_Clear();
    }
    else {
        Py_XDECREF(self->kept[KEPT_COUNT - 1]);
        memmove(self->kept + 1, self->kept, (KEPT_COUNT - 1) * sizeof(*self->kept));
        self->kept[0] = bytes;
    }
}

/* Memory that is much too large would stay with the message. */
PyObject *
tc_ws_loop_take_memory(WsLoopObject *self, size_t size)
{
    for (int i = 0; i < KEPT_COUNT; i++) {
        PyObject *bytes = self->kept[i];
        size_t kept = bytes != NULL ? (size_t)PyBytes_GET_SIZE(bytes) + 1 : 0;
        if (bytes != NULL && size <= kept && size >= kept - kept / 4) {
            self->kept[i] = NULL;
            if (_PyBytes_Resize(&bytes, (Py_ssize_t)size) < 0) {
                PyErr_Clear();
            }
            return bytes;
        }
    }
    return NULL;
}

tc_ws_shared *
tc_ws_loop_shared(WsLoopObject *self, PyObject *message, uint64_t key)
{
    if (self->shared.message == message && self->shared.key == key) {
        return &self->shared;
    }
    ws_loop_forget(self);
    return NULL;
}

void
tc_ws_loop_share(WsLoopObject *self, PyObject *message, uint64_t key, PyObject *frame, size_t size)
{
    ws_loop_forget(self);
    self->shared =
        (tc_ws_shared){.message = Py_NewRef(message), .frame = Py_XNewRef(frame), .key = key, .size = size};
    if (!tc_list_linked(&self->forget.link)) {
        self->forget.owner = Py_NewRef((PyObject *)self);
        tc_core_defer(self->core, &self->forget);
    }
}

/* ---- open connections ---- */

/* Those that are open, in a new list. */
static PyObject *
ws_loop_list(WsLoopObject *self)
{
    PyObject *list = PyList_New(0);
    for (tc_link *link = self->open.next; list != NULL && link != &self->open; link = link->next) {
        WsProtocolObject *protocol = tc_container_of(link, WsProtocolObject, open);
        if (PyList_Append(list, (PyObject *)protocol) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* self: the loop. The Task was cancelled, and ends; what is opened from now on gets another. */
static PyObject *
ws_loop_cancelled(PyObject *core, PyObject *unused)
{
    WsLoopObject *self = (WsLoopObject *)((LoopCore *)core)->websockets;
    if (self == NULL) {
        Py_RETURN_NONE;
    }
    Py_CLEAR(self->closed);
    PyObject *list = ws_loop_list(self);
    int st = list != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyList_GET_SIZE(list); i++) {
        st = tc_ws_cancelled((WsProtocolObject *)PyList_GET_ITEM(list, i));
    }
    Py_XDECREF(list);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef ws_loop_cancelled_def = {"_connections_cancelled", ws_loop_cancelled, METH_NOARGS,
                                            "_connections_cancelled()\n--\n\nAbort all that are open."};

static int
ws_loop_start_task(WsLoopObject *self)
{
    LoopCore *core = self->core;
    PyObject *future = tc_core_future(core), *result = NULL;
    PyObject *cancelled = future != NULL ? PyCFunction_New(&ws_loop_cancelled_def, (PyObject *)core) : NULL;
    PyObject *start = cancelled != NULL ? tc_upcall(core->state, start_task) : NULL;
    if (start != NULL) {
        self->closed = Py_NewRef(future);
        PyObject *args[] = {NULL, tc_core_asyncio(core), future, cancelled};
        result = PyObject_Vectorcall(start, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    if (result == NULL && self->closed == future) {
        Py_CLEAR(self->closed);
    }
    Py_XDECREF(result);
    Py_XDECREF(cancelled);
    Py_XDECREF(future);
    return result != NULL ? 0 : -1;
}

int
tc_ws_loop_enter(LoopCore *core, WsProtocolObject *protocol)
{
    WsLoopObject *self = tc_ws_loop(core);
    if (self == NULL) {
        return -1;
    }
    tc_list_append(&self->open, &protocol->open);
    if (TC_LIKELY(self->closed != NULL)) {
        return 0;
    }
    Py_INCREF(self);
    int st = ws_loop_start_task(self);
    Py_DECREF(self);
    return st;
}

void
tc_ws_loop_leave(WsProtocolObject *protocol)
{
    if (!tc_list_linked(&protocol->open)) {
        return;
    }
    tc_list_unlink(&protocol->open);
    StreamObject *stream = tc_ws_stream(protocol);
    WsLoopObject *self =
        stream != NULL && !stream->core->closed ? (WsLoopObject *)stream->core->websockets : NULL;
    if (self != NULL && tc_list_empty(&self->open) && !tc_list_linked(&self->rest.link)) {
        self->rest.owner = Py_NewRef((PyObject *)self);
        tc_core_defer(self->core, &self->rest);
    }
}

/* ---- the type ---- */

static PyType_Slot ws_loop_slots[] = {
    {Py_tp_traverse, ws_loop_traverse},
    {Py_tp_clear, ws_loop_clear},
    {Py_tp_dealloc, ws_loop_dealloc},
    {0, NULL},
};

static PyType_Spec ws_loop_spec = {
    .name = "tornado_c._core.WebSocketLoop",
    .basicsize = sizeof(WsLoopObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ws_loop_slots,
};

int
tc_ws_loop_init_type(PyObject *module, tc_state *state)
{
    state->ws_loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ws_loop_spec, NULL);
    return state->ws_loop_type != NULL ? 0 : -1;
}
