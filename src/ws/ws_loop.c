/* What the WebSockets of one loop share, made with the first of them that needs it: lists of time limits, by
 * their seconds, and masks bought in bulk. The loop owns it. Runs Python in os.urandom only. */
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
};

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
            ((WsLoopObject *)core->websockets)->core = core;
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
