/* LoopCore: the C base of tornado_c.EventLoop, above asyncio.SelectorEventLoop in its method resolution
 * order.
 *
 * Names that the standard library assigns in __init__ (_closed, _stopping, _debug, _thread_id, _ready,
 * _scheduled, _timer_cancelled_count, _current_handle) are data descriptors over C fields here, so its cold
 * paths run unchanged. Longer methods are in turn.c, loop_calls.c, loop_selector.c and guest.c; what the loop
 * holds is visited and dropped in loop_contents.c. All methods but call_soon_threadsafe belong to the loop's
 * thread; a turn runs Python. */
#include "event/handle.h"
#include "event/loop_parts.h"

#include <limits.h>

/* ---- its clock ---- */

static PyObject *
core_py_time(LoopCore *core, PyObject *unused)
{
    return PyFloat_FromDouble(tc_clock_now());
}

/* Finds whether time() was overridden in a subclass or replaced, in the class or on the instance. */
static int
core_find_time(LoopCore *core)
{
    PyObject *method = PyObject_GetAttr((PyObject *)core, core->state->str_time);
    if (method == NULL) {
        return -1;
    }
    core->own_time =
        !(PyCFunction_CheckExact(method) && PyCFunction_GET_FUNCTION(method) == (PyCFunction)core_py_time);
    core->own_time_tag = Py_TYPE(core)->tp_version_tag;
    core->time_tag = core->own_time || core->own_time_tag == 0 ? UINT_MAX : core->own_time_tag;
    Py_DECREF(method);
    return 0;
}

/* A time() that is set on one loop, or deleted, counts from the next look at the clock. */
static int
core_setattr(PyObject *self, PyObject *name, PyObject *value)
{
    LoopCore *core = (LoopCore *)self;
    int st = PyObject_GenericSetAttr(self, name, value);
    if (st == 0 && PyUnicode_Check(name) && PyUnicode_Compare(name, core->state->str_time) == 0) {
        core->own_time_tag = 0;
        core->time_tag = UINT_MAX;
    }
    return st;
}

double
tc_core_own_time(LoopCore *core)
{
    if (Py_TYPE(core)->tp_version_tag != core->own_time_tag || core->own_time_tag == 0) {
        if (core_find_time(core) < 0) {
            PyErr_WriteUnraisable((PyObject *)core);
        }
        if (!core->own_time) {
            return tc_clock_now();
        }
    }
    PyObject *value = PyObject_CallMethodNoArgs((PyObject *)core, core->state->str_time);
    double now = value != NULL ? PyFloat_AsDouble(value) : -1.0;
    Py_XDECREF(value);
    if (now == -1.0 && PyErr_Occurred()) {
        PyErr_WriteUnraisable((PyObject *)core);
        now = tc_clock_now();
    }
    return now;
}

/* ---- life cycle ---- */

static PyObject *
core_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    LoopCore *core = (LoopCore *)type->tp_alloc(type, 0);
    if (core == NULL) {
        return NULL;
    }
    tc_poller_init(&core->poller);
    tc_wakeup_init(&core->wakeup);
    tc_list_init(&core->tasks);
    tc_list_init(&core->flushes);
    tc_list_init(&core->link);
    core->clock_resolution = tc_clock_resolution();
    core->state = tc_state_of(type);
    if (core->state == NULL || core_find_time(core) < 0) {
        Py_DECREF(core);
        return NULL;
    }
    tc_list_append(&core->state->cores, &core->link);
    return (PyObject *)core;
}

static int
core_clear(LoopCore *core)
{
    tc_core_drop(core);
    Py_CLEAR(core->captured);
    Py_CLEAR(core->current_handle);
    Py_CLEAR(core->task_factory);
    core->ioloop = NULL;
    Py_CLEAR(core->host);
    Py_CLEAR(core->guest_timer);
    return 0;
}

static void
core_dealloc(LoopCore *core)
{
    PyTypeObject *type = Py_TYPE(core);
    PyObject_GC_UnTrack(core);
    tc_list_unlink(&core->link);
    core_clear(core);
    tc_wakeup_close(&core->wakeup, &core->poller);
    tc_poller_close(&core->poller);
    PyMem_RawFree(core->input.data);
    PyMem_RawFree(core->output.data);
    PyMem_RawFree(core->records.data);
    type->tp_free(core);
    Py_DECREF(type);
}

/* ---- methods ---- */

PyDoc_STRVAR(core_run_once_doc, "_run_once($self, /)\n--\n\nRun one turn of the loop.");

static PyObject *
core_run_once(LoopCore *core, PyObject *unused)
{
    if (tc_core_turn(core) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(core_run_loop_doc, "_run_loop($self, /)\n--\n\nRun turns until stop() was called.");

static PyObject *
core_run_loop(LoopCore *core, PyObject *unused)
{
    /* A subclass that replaces _run_once (virtual time, tests) gets its own called. */
    PyObject *method = PyObject_GetAttr((PyObject *)core, core->state->str__run_once);
    if (method == NULL || core_find_time(core) < 0) {
        Py_XDECREF(method);
        return NULL;
    }
    bool native =
        PyCFunction_CheckExact(method) && PyCFunction_GET_FUNCTION(method) == (PyCFunction)core_run_once;
    int status = 0;
    do {
        if (TC_LIKELY(native)) {
            status = tc_core_turn(core);
        }
        else {
            PyObject *result = PyObject_CallNoArgs(method);
            status = result != NULL ? 0 : -1;
            Py_XDECREF(result);
        }
    } while (status == 0 && !core->stopping);
    tc_running_forget(core);
    Py_DECREF(method);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_stop(LoopCore *core, PyObject *unused)
{
    core->stopping = true;
    Py_RETURN_NONE;
}

static PyObject *
core_is_closed(LoopCore *core, PyObject *unused)
{
    return PyBool_FromLong(core->closed);
}

static PyObject *
core_is_running(LoopCore *core, PyObject *unused)
{
    return PyBool_FromLong(core->running);
}

static PyObject *
core_get_debug(LoopCore *core, PyObject *unused)
{
    return PyBool_FromLong(core->debug);
}

static PyObject *
core_create_future(LoopCore *core, PyObject *unused)
{
    return tc_core_future(core);
}

PyDoc_STRVAR(core_release_doc,
             "_release($self, /)\n--\n\n"
             "Give back what the closed loop holds: its descriptors and everything queued.");

static PyObject *
core_release(LoopCore *core, PyObject *unused)
{
    if (core->polling) {
        PyErr_SetString(PyExc_RuntimeError, "this loop waits in another thread");
        return NULL;
    }
    tc_core_drop(core);
    tc_wakeup_close(&core->wakeup, &core->poller);
    tc_poller_close(&core->poller);
    Py_RETURN_NONE;
}

static PyObject *
core_clear_ready(LoopCore *core, PyObject *unused)
{
    tc_ready_clear(&core->ready);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(core_forget_timer_doc, "_forget_timer($self, handle, /)\n--\n\n"
                                    "Take a timer out, without cancelling it; return whether it was there.");

static PyObject *
core_forget_timer(LoopCore *core, PyObject *handle)
{
    return PyBool_FromLong(tc_core_forget_timer(core, handle));
}

PyDoc_STRVAR(core_select_doc,
             "_select($self, timeout, /)\n--\n\n"
             "Wait at most timeout seconds and deliver what happened, but run no handles; None waits on.");

static PyObject *
core_select(LoopCore *core, PyObject *timeout)
{
    double limit = timeout != Py_None ? PyFloat_AsDouble(timeout) : -1.0;
    if (limit == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (timeout != Py_None && !(limit > 0.0)) {
        limit = 0.0;
    }
    if (tc_core_select(core, limit) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- the names that the standard library assigns ---- */

static PyObject *
core_get_flag(LoopCore *core, void *offset)
{
    return PyBool_FromLong(*(bool *)((char *)core + (intptr_t)offset));
}

static int
core_set_flag(LoopCore *core, PyObject *value, void *offset)
{
    int truth = value != NULL ? PyObject_IsTrue(value) : 0;
    if (truth < 0) {
        return -1;
    }
    *(bool *)((char *)core + (intptr_t)offset) = truth;
    return 0;
}

static PyObject *
core_get_thread_id(LoopCore *core, void *unused)
{
    if (!core->running) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(core->thread_id);
}

static int
core_set_thread_id(LoopCore *core, PyObject *value, void *unused)
{
    core->running = value != NULL && value != Py_None;
    if (core->running) {
        core->thread_id = PyLong_AsUnsignedLong(value);
        if (core->thread_id == (unsigned long)-1 && PyErr_Occurred()) {
            core->running = false;
            return -1;
        }
    }
    return 0;
}

static PyObject *
core_get_ready(LoopCore *core, void *unused)
{
    return tc_ready_view_new(core);
}

/* A list of the timers, not sorted; tornado_c.EventLoop makes a live view of it. */
static PyObject *
core_get_scheduled(LoopCore *core, void *unused)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < core->timers.size; i++) {
        PyObject *handle = tc_handle_of_timer(core->timers.items[i]);
        if (handle != NULL && PyList_Append(list, handle) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
core_get_ioloop(LoopCore *core, void *unused)
{
    PyObject *io_loop = tc_core_ioloop(core);
    return Py_NewRef(io_loop != NULL ? io_loop : Py_None);
}

static PyObject *
core_get_host(LoopCore *core, void *unused)
{
    return Py_NewRef(core->host != NULL ? core->host : Py_None);
}

/* Once, before anything happens: what a core does depends on whether it has a host, and it calls the host
 * without holding it. */
static int
core_set_host(LoopCore *core, PyObject *value, void *unused)
{
    if (value == NULL || value == Py_None || core->host != NULL || core->turn > 0 || core->running ||
        core->ioloop != NULL) {
        PyErr_SetString(PyExc_AttributeError, "a loop's host cannot be changed");
        return -1;
    }
    core->host = Py_NewRef(value);
    return 0;
}

/* BaseEventLoop.__init__ assigns empty containers: the fields are there already. */
static int
core_ignore_set(LoopCore *core, PyObject *value, void *unused)
{
    return 0;
}

static PyObject *
core_get_zero(LoopCore *core, void *unused)
{
    return PyLong_FromLong(0);
}

#define FLAG(name, field)                                                                                    \
    {                                                                                                        \
        name, (getter)core_get_flag, (setter)core_set_flag, NULL, (void *)offsetof(LoopCore, field)          \
    }

static PyGetSetDef core_getset[] = {
    FLAG("_closed", closed),
    FLAG("_stopping", stopping),
    FLAG("_debug", debug),
    {"_thread_id", (getter)core_get_thread_id, (setter)core_set_thread_id, NULL, NULL},
    {"_ready", (getter)core_get_ready, (setter)core_ignore_set, NULL, NULL},
    {"_scheduled", (getter)core_get_scheduled, (setter)core_ignore_set, NULL, NULL},
    {"_timer_cancelled_count", (getter)core_get_zero, (setter)core_ignore_set, NULL, NULL},
    {"_ioloop", (getter)core_get_ioloop, NULL, NULL, NULL},
    {"_host", (getter)core_get_host, (setter)core_set_host, NULL, NULL},
    {NULL},
};

static PyMemberDef core_members[] = {
    {"_current_handle", T_OBJECT, offsetof(LoopCore, current_handle), 0, NULL},
    {"_task_factory", T_OBJECT, offsetof(LoopCore, task_factory), 0, NULL},
    {"_alarm", T_DOUBLE, offsetof(LoopCore, alarm), 0, NULL},
    {"_clock_resolution", T_DOUBLE, offsetof(LoopCore, clock_resolution), 0, NULL},
    {NULL},
};

PyDoc_STRVAR(core_call_soon_doc, "call_soon($self, callback, /, *args, context=None)\n--\n\n"
                                 "Call ``callback(*args)`` in the next turn of the loop; return its Handle.");

PyDoc_STRVAR(core_call_soon_threadsafe_doc,
             "call_soon_threadsafe($self, callback, /, *args, context=None)\n--\n\n"
             "As call_soon, from any thread; wakes the loop.");

PyDoc_STRVAR(core_call_later_doc, "call_later($self, delay, callback, /, *args, context=None)\n--\n\n"
                                  "Call ``callback(*args)`` after delay seconds; return its TimerHandle.");

PyDoc_STRVAR(
    core_call_at_doc,
    "call_at($self, when, callback, /, *args, context=None)\n--\n\n"
    "Call ``callback(*args)`` when the loop's clock reads ``when`` seconds; return its TimerHandle.");

PyDoc_STRVAR(core_owners_doc,
             "_owners($self, /)\n--\n\nWhat lives through its registration: streams, listeners.");

static PyMethodDef core_methods[] = {
    {"call_soon", TC_METHOD(tc_loop_call_soon), core_call_soon_doc},
    {"call_soon_threadsafe", TC_METHOD(tc_loop_call_soon_threadsafe), core_call_soon_threadsafe_doc},
    {"call_later", TC_METHOD(tc_loop_call_later), core_call_later_doc},
    {"call_at", TC_METHOD(tc_loop_call_at), core_call_at_doc},
    {"time", (PyCFunction)core_py_time, METH_NOARGS,
     "time($self, /)\n--\n\nThe loop's monotonic clock, seconds."},
    {"stop", (PyCFunction)core_stop, METH_NOARGS, "stop($self, /)\n--\n\nEnd run_forever after this turn."},
    {"is_closed", (PyCFunction)core_is_closed, METH_NOARGS,
     "is_closed($self, /)\n--\n\nWhether close() was called."},
    {"is_running", (PyCFunction)core_is_running, METH_NOARGS,
     "is_running($self, /)\n--\n\nWhether the loop runs."},
    {"get_debug", (PyCFunction)core_get_debug, METH_NOARGS,
     "get_debug($self, /)\n--\n\nWhether debug mode is on."},
    {"create_future", (PyCFunction)core_create_future, METH_NOARGS,
     "create_future($self, /)\n--\n\nAn asyncio.Future of this loop."},
    {"_run_once", (PyCFunction)core_run_once, METH_NOARGS, core_run_once_doc},
    {"_run_loop", (PyCFunction)core_run_loop, METH_NOARGS, core_run_loop_doc},
    {"_add_callback", (PyCFunction)tc_loop_add_callback, METH_O,
     "_add_callback($self, handle, /)\n--\n\nPut a handle on the ready queue."},
    {"_add_callback_signalsafe", (PyCFunction)tc_loop_add_callback_signalsafe, METH_O,
     "_add_callback_signalsafe($self, handle, /)\n--\n\nPut a handle on the ready queue and wake the loop."},
    {"_timer_handle_cancelled", (PyCFunction)tc_loop_timer_handle_cancelled, METH_O,
     "_timer_handle_cancelled($self, handle, /)\n--\n\nDoes nothing: a cancelled timer is skipped when it is "
     "due."},
    {"_write_to_self", (PyCFunction)tc_loop_write_to_self, METH_NOARGS,
     "_write_to_self($self, /)\n--\n\nWake the loop if it waits."},
    {"_add_reader", TC_FASTCALL(tc_loop_add_reader),
     "_add_reader($self, fd, callback, /, *args)\n--\n\nCall back whenever the descriptor is readable."},
    {"_add_writer", TC_FASTCALL(tc_loop_add_writer),
     "_add_writer($self, fd, callback, /, *args)\n--\n\nCall back whenever the descriptor is writable."},
    {"_remove_reader", (PyCFunction)tc_loop_remove_reader, METH_O,
     "_remove_reader($self, fd, /)\n--\n\nForget a reader; whether there was one."},
    {"_remove_writer", (PyCFunction)tc_loop_remove_writer, METH_O,
     "_remove_writer($self, fd, /)\n--\n\nForget a writer; whether there was one."},
    {"_fd_info", (PyCFunction)tc_loop_fd_info, METH_O,
     "_fd_info($self, fd, /)\n--\n\n(events, reader, writer) of a descriptor, or None."},
    {"_fd_list", (PyCFunction)tc_loop_fd_list, METH_NOARGS,
     "_fd_list($self, /)\n--\n\nThe descriptors that are registered."},
    {"_owners", (PyCFunction)tc_loop_owners, METH_NOARGS, core_owners_doc},
    {"_clear_ready", (PyCFunction)core_clear_ready, METH_NOARGS,
     "_clear_ready($self, /)\n--\n\nEmpty the ready queue."},
    {"_forget_timer", (PyCFunction)core_forget_timer, METH_O, core_forget_timer_doc},
    {"_select", (PyCFunction)core_select, METH_O, core_select_doc},
    {"_guest_turn", (PyCFunction)tc_loop_guest_turn, METH_NOARGS,
     "_guest_turn($self, /)\n--\n\nA turn that does not wait, called by the host."},
    {"_guest_due", (PyCFunction)tc_loop_guest_due, METH_NOARGS,
     "_guest_due($self, /)\n--\n\nAs _guest_turn, called by the host's timer."},
    {"_leave_host", (PyCFunction)tc_loop_leave_host, METH_NOARGS,
     "_leave_host($self, /)\n--\n\nLeave the host, if there is one."},
    {"_release", (PyCFunction)core_release, METH_NOARGS, core_release_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot core_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.EventLoop."},
    {Py_tp_new, core_new},
    {Py_tp_dealloc, core_dealloc},
    {Py_tp_traverse, tc_core_traverse},
    {Py_tp_clear, core_clear},
    {Py_tp_setattro, core_setattr},
    {Py_tp_methods, core_methods},
    {Py_tp_getset, core_getset},
    {Py_tp_members, core_members},
    {0, NULL},
};

static PyType_Spec core_spec = {
    .name = "tornado_c._core.LoopCore",
    .basicsize = sizeof(LoopCore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = core_slots,
};

int
tc_core_init_type(PyObject *module, tc_state *state)
{
#if PY_VERSION_HEX < 0x030e0000
    if (!PyDict_Check(state->asyncio_current_tasks)) {
        PyErr_SetString(PyExc_ImportError, "asyncio's table of current tasks is no dict");
        return -1;
    }
#endif
    tc_list_init(&state->cores);
    state->core_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &core_spec, NULL);
    return state->core_type != NULL ? PyModule_AddType(module, state->core_type) : -1;
}
