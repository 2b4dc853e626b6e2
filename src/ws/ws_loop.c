/* What the WebSockets of one loop share, made with the first of them that needs it: lists of time limits, by
 * their seconds, masks bought in bulk, and the frame of the message that was written last. The loop owns it. Runs
 * Python in os.urandom, and where messages are freed. */
#include "ws/ws_parts.h"

enum { MASK_POOL = 1024 };

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
    unsigned masks_fork; /* tc_fork_count() when they were bought */
    tc_ws_shared shared;
    tc_task forget; /* drops it at the turn's end */
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
ws_loop_dealloc(WsLoopObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (loop_timeouts *entry = self->timeouts, *next; entry != NULL; entry = next) {
        next = entry->next;
        tc_timeouts_stop(&entry->list);
        PyMem_Free(entry);
    }
    Py_XDECREF(self->masks);
    tc_core_cancel_task(&self->forget);
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

static PyType_Slot ws_loop_slots[] = {
    {Py_tp_dealloc, ws_loop_dealloc},
    {0, NULL},
};

static PyType_Spec ws_loop_spec = {
    .name = "tornado_c._core.WebSocketLoop",
    .basicsize = sizeof(WsLoopObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ws_loop_slots,
};

int
tc_ws_loop_init_type(PyObject *module, tc_state *state)
{
    state->ws_loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ws_loop_spec, NULL);
    return state->ws_loop_type != NULL ? 0 : -1;
}
