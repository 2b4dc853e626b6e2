/* LoopCore: the C base of tornado_c.EventLoop, above asyncio.SelectorEventLoop in its method resolution order.
 *
 * Names that the standard library assigns in __init__ (_closed, _stopping, _debug, _thread_id, _ready, _scheduled,
 * _timer_cancelled_count, _current_handle) are data descriptors over C fields here, so its cold paths run unchanged. One turn:
 *
 *     wait in the kernel -> signals -> native watchers and fd callbacks -> timers -> the handles that were
 *     ready when the turn began to run them -> native work that was put off
 *
 * The GIL is released around a wait that can block, and by time on a loop that never blocks. */
#include "base/args.h"
#include "event/core.h"

#define GIL_RELEASE_INTERVAL 0.005 /* seconds: CPython's own switch interval */

/* ---- one turn ---- */

static double
turn_timeout(LoopCore *core)
{
    if (core->ready.size > 0 || core->stopping || !tc_list_empty(&core->tasks)) {
        return 0.0;
    }
    const tc_timer *first = tc_heap_first(&core->timers);
    if (first == NULL) {
        return -1.0;
    }
    double when = first->when, left = when - tc_core_time(core);
    return left > 0.0 ? left : 0.0;
}

/* 0, or -1 with an exception (an OSError of the poller's own). */
static int
turn_wait(LoopCore *core)
{
    int st = tc_poller_ensure(&core->poller);
    if (st == TC_OK) {
        st = tc_wakeup_ensure(&core->wakeup, &core->poller);
    }
    /* A signal's handler that came due while the last turn ran no bytecode must not wait for the next event. */
    if (PyErr_CheckSignals() < 0) {
        return -1;
    }
    if (st == TC_OK) {
        double timeout = turn_timeout(core);
        if (timeout != 0.0 || tc_clock_now() - core->gil_released > GIL_RELEASE_INTERVAL) {
            core->polling = true;
            Py_BEGIN_ALLOW_THREADS
            st = tc_poller_wait(&core->poller, timeout);
            Py_END_ALLOW_THREADS
            core->polling = false;
            core->gil_released = core->now = tc_clock_now();
        } else {
            st = tc_poller_wait(&core->poller, timeout);
            core->now = tc_clock_now();
        }
        if (TC_UNLIKELY(core->own_time)) {
            core->now = tc_core_own_time(core);
        }
    }
    if (st < 0 && st != -EINTR) {
        errno = -st;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return PyErr_CheckSignals();
}

static int
turn_dispatch(LoopCore *core)
{
    tc_watcher *watcher;
    unsigned events;
    while (tc_poller_next(&core->poller, &watcher, &events)) {
        if (watcher->cb(watcher, events) == TC_RAISED) {
            return -1;
        }
        assert(!PyErr_Occurred());
    }
    return 0;
}

static void
turn_fire_timers(LoopCore *core)
{
    double limit = core->now + core->clock_resolution;
    tc_timer *timer;
    while ((timer = tc_heap_first(&core->timers)) != NULL && timer->when < limit) {
        tc_heap_remove(&core->timers, timer);
        timer->fire(timer);
    }
}

/* Debug mode's log line for a callback that took long. */
static int
turn_log_slow(LoopCore *core, PyObject *handle, double seconds)
{
    PyObject *took = PyFloat_FromDouble(seconds);
    if (took == NULL) {
        return -1;
    }
    PyObject *args[4] = {NULL, (PyObject *)core, handle, took};
    PyObject *done =
        PyObject_VectorcallMethod(core->state->str__log_slow, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(took);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

static int
turn_run_debug(LoopCore *core, PyObject *handle)
{
    Py_XSETREF(core->current_handle, Py_NewRef(handle));
    double start = tc_clock_now();
    int status = tc_handle_run(core, handle);
    double took = tc_clock_now() - start;
    if (status == 0) {
        status = turn_log_slow(core, handle, took);
    }
    Py_CLEAR(core->current_handle);
    return status;
}

static int
turn_run_ready(LoopCore *core)
{
    for (size_t left = core->ready.size; left > 0; left--) {
        PyObject *handle = tc_ready_pop(&core->ready);
        if (handle == NULL) {
            break; /* a callback emptied the queue */
        }
        int status = 0;
        if (!tc_handle_is_cancelled(core, handle)) {
            status = TC_UNLIKELY(core->debug) ? turn_run_debug(core, handle) : tc_handle_run(core, handle);
        }
        Py_DECREF(handle);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int
turn_run_tasks(LoopCore *core)
{
    tc_link tasks;
    tc_list_init(&tasks);
    tc_list_splice(&tasks, &core->tasks);
    int status = 0;
    while (!tc_list_empty(&tasks)) {
        tc_task *task = tc_container_of(tasks.next, tc_task, link);
        PyObject *owner = task->owner;
        tc_list_unlink(&task->link);
        task->owner = NULL;
        int st = task->run(task);
        Py_XDECREF(owner);
        if (st == TC_RAISED) {
            status = -1;
            break;
        }
    }
    tc_list_splice(&tasks, &core->tasks);
    tc_list_splice(&core->tasks, &tasks);
    return status;
}

/* What the wait has brought, then what is due, ready and put off. */
static int
turn_work(LoopCore *core)
{
    if (turn_dispatch(core) < 0) {
        return -1;
    }
    turn_fire_timers(core);
    if (turn_run_ready(core) < 0) {
        return -1;
    }
    return tc_list_empty(&core->tasks) ? 0 : turn_run_tasks(core);
}

static int
core_turn(LoopCore *core)
{
    assert(!PyErr_Occurred());
    return turn_wait(core) < 0 ? -1 : turn_work(core);
}

int
tc_core_turn_now(LoopCore *core)
{
    int st = tc_poller_ensure(&core->poller);
    if (st == TC_OK) {
        st = tc_poller_wait(&core->poller, 0.0);
    }
    core->now = tc_clock_now();
    if (st < 0 && st != -EINTR) {
        errno = -st;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return turn_work(core);
}

PyDoc_STRVAR(core_run_once_doc, "_run_once($self, /)\n--\n\nRun one turn of the loop.");

static PyObject *
core_run_once(LoopCore *core, PyObject *unused)
{
    if (core_turn(core) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_py_time(LoopCore *core, PyObject *unused)
{
    return PyFloat_FromDouble(tc_clock_now());
}

double
tc_core_own_time(LoopCore *core)
{
    PyObject *value = PyObject_CallMethodNoArgs((PyObject *)core, core->state->str_time);
    double now = value != NULL ? PyFloat_AsDouble(value) : -1.0;
    Py_XDECREF(value);
    if (now == -1.0 && PyErr_Occurred()) {
        PyErr_WriteUnraisable((PyObject *)core);
        now = tc_clock_now();
    }
    return now;
}

/* Sees whether time() was overridden in a subclass or replaced on the instance. */
static int
core_find_time(LoopCore *core)
{
    PyObject *method = PyObject_GetAttr((PyObject *)core, core->state->str_time);
    if (method == NULL) {
        return -1;
    }
    core->own_time =
        !(PyCFunction_CheckExact(method) && PyCFunction_GET_FUNCTION(method) == (PyCFunction)core_py_time);
    Py_DECREF(method);
    return 0;
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
    bool native = PyCFunction_CheckExact(method) && PyCFunction_GET_FUNCTION(method) == (PyCFunction)core_run_once;
    int status = 0;
    do {
        if (TC_LIKELY(native)) {
            status = core_turn(core);
        } else {
            PyObject *result = PyObject_CallNoArgs(method);
            status = result != NULL ? 0 : -1;
            Py_XDECREF(result);
        }
    } while (status == 0 && !core->stopping);
    Py_DECREF(method);
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- scheduling from Python ---- */

/* Debug mode checks the callback and, but for the thread-safe call, the thread. */
static int
core_debug_checks(LoopCore *core, PyObject *callback, PyObject *name, bool check_thread)
{
    if (check_thread) {
        PyObject *result = PyObject_CallMethodNoArgs((PyObject *)core, core->state->str__check_thread);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    PyObject *args[4] = {NULL, (PyObject *)core, callback, name};
    PyObject *result =
        PyObject_VectorcallMethod(core->state->str__check_callback, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* The one keyword that the call_* methods take. */
static int
core_context_argument(const char *name, LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                      PyObject **context)
{
    *context = NULL;
    Py_ssize_t nkw = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < nkw; i++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, i);
        if (key != core->state->str_context && PyUnicode_Compare(key, core->state->str_context) != 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name, key);
            return -1;
        }
        *context = args[nargs + i];
    }
    return 0;
}

static int
core_check_call(const char *name, Py_ssize_t nargs, Py_ssize_t required)
{
    if (nargs < required) {
        PyErr_Format(PyExc_TypeError, "%s() missing %zd required positional argument%s", name, required - nargs,
                     required - nargs == 1 ? "" : "s");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(core_call_soon_doc, "call_soon($self, callback, /, *args, context=None)\n--\n\n"
                                 "Call callback(*args) in the next turn of the loop; return its Handle.");

static PyObject *
core_call_soon(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    if (core_check_call("call_soon", nargs, 1) < 0 ||
        core_context_argument("call_soon", core, args, nargs, kwnames, &context) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed &&
        core_debug_checks(core, args[0], core->state->str_call_soon, true) < 0) {
        return NULL;
    }
    return tc_core_call_soon(core, args[0], args + 1, nargs - 1, context);
}

PyDoc_STRVAR(core_call_soon_threadsafe_doc,
             "call_soon_threadsafe($self, callback, /, *args, context=None)\n--\n\n"
             "As call_soon, from any thread; wakes the loop.");

static PyObject *
core_call_soon_threadsafe(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    if (core_check_call("call_soon_threadsafe", nargs, 1) < 0 ||
        core_context_argument("call_soon_threadsafe", core, args, nargs, kwnames, &context) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed &&
        core_debug_checks(core, args[0], core->state->str_call_soon_threadsafe, false) < 0) {
        return NULL;
    }
    return tc_core_call_soon_threadsafe(core, args[0], args + 1, nargs - 1, context);
}

static PyObject *
core_schedule(LoopCore *core, const char *name, PyObject *str_name, double base, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context;
    if (core_check_call(name, nargs, 2) < 0 ||
        core_context_argument(name, core, args, nargs, kwnames, &context) < 0) {
        return NULL;
    }
    if (args[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, base != 0.0 ? "delay must not be None" : "when cannot be None");
        return NULL;
    }
    double when = PyFloat_AsDouble(args[0]);
    if (when == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (TC_UNLIKELY(core->debug) && !core->closed && core_debug_checks(core, args[1], str_name, true) < 0) {
        return NULL;
    }
    return tc_core_call_at(core, base + when, args[1], args + 2, nargs - 2, context);
}

PyDoc_STRVAR(core_call_later_doc, "call_later($self, delay, callback, /, *args, context=None)\n--\n\n"
                                  "Call callback(*args) after delay seconds; return its TimerHandle.");

static PyObject *
core_call_later(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return core_schedule(core, "call_later", core->state->str_call_later, tc_core_time(core), args, nargs, kwnames);
}

PyDoc_STRVAR(core_call_at_doc, "call_at($self, when, callback, /, *args, context=None)\n--\n\n"
                               "Call callback(*args) when the loop's clock reads `when` seconds; return its TimerHandle.");

static PyObject *
core_call_at(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return core_schedule(core, "call_at", core->state->str_call_at, 0.0, args, nargs, kwnames);
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

/* ---- seams of the standard library's selector loop ---- */

static PyObject *
core_add_callback(LoopCore *core, PyObject *handle)
{
    if (tc_handle_is_cancelled(core, handle)) {
        Py_RETURN_NONE;
    }
    if (tc_ready_push(&core->ready, Py_NewRef(handle)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_write_to_self(LoopCore *core, PyObject *unused)
{
    if (core->polling) {
        tc_wakeup_send(&core->wakeup);
    }
    Py_RETURN_NONE;
}

static PyObject *
core_add_callback_signalsafe(LoopCore *core, PyObject *handle)
{
    PyObject *result = core_add_callback(core, handle);
    if (result != NULL && core->polling) {
        tc_wakeup_send(&core->wakeup);
    }
    return result;
}

/* A timer of the standard library's own class was cancelled: nothing to do, it is skipped when it fires. */
static PyObject *
core_timer_handle_cancelled(LoopCore *core, PyObject *handle)
{
    Py_RETURN_NONE;
}

static PyObject *
core_add_fd(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, bool write)
{
    if (tc_args_check(write ? "_add_writer" : "_add_reader", nargs, 2, PY_SSIZE_T_MAX) < 0) {
        return NULL;
    }
    if (core->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(args[0]);
    if (fd < 0) {
        return NULL;
    }
    PyObject *handle = tc_handle_new(core, false, args[1], args + 2, nargs - 2, NULL);
    if (handle == NULL || tc_fd_add(core, fd, write, handle) == NULL) {
        return NULL;
    }
    return Py_NewRef(handle);
}

static PyObject *
core_add_reader(LoopCore *core, PyObject *const *args, Py_ssize_t nargs)
{
    return core_add_fd(core, args, nargs, false);
}

static PyObject *
core_add_writer(LoopCore *core, PyObject *const *args, Py_ssize_t nargs)
{
    return core_add_fd(core, args, nargs, true);
}

static PyObject *
core_remove_fd(LoopCore *core, PyObject *fd_obj, bool write)
{
    if (core->closed) {
        Py_RETURN_FALSE;
    }
    int fd = PyObject_AsFileDescriptor(fd_obj);
    if (fd < 0) {
        return NULL;
    }
    return PyBool_FromLong(tc_fd_remove(core, fd, write));
}

static PyObject *
core_remove_reader(LoopCore *core, PyObject *fd_obj)
{
    return core_remove_fd(core, fd_obj, false);
}

static PyObject *
core_remove_writer(LoopCore *core, PyObject *fd_obj)
{
    return core_remove_fd(core, fd_obj, true);
}

static PyObject *
core_fd_info(LoopCore *core, PyObject *fd_obj)
{
    int fd = PyObject_AsFileDescriptor(fd_obj);
    return fd >= 0 ? tc_fd_info(core, fd) : NULL;
}

static PyObject *
core_fd_list(LoopCore *core, PyObject *unused)
{
    return tc_fd_list(core);
}

/* The host calls this when our poller is readable, our earliest timer is due or work was put off. */
static PyObject *
core_guest_turn(LoopCore *core, PyObject *unused)
{
    core->guest_scheduled = false;
    if (!core->closed && tc_core_turn_now(core) < 0) {
        return NULL;
    }
    if (core->ready.size > 0 || !tc_list_empty(&core->tasks)) {
        tc_guest_wake(core);
    }
    tc_guest_timer_changed(core);
    Py_RETURN_NONE;
}

/* The host's timer has fired, perhaps a little early by our clock: it is not to be waited for any more. */
static PyObject *
core_guest_due(LoopCore *core, PyObject *unused)
{
    Py_CLEAR(core->guest_timer);
    return core_guest_turn(core, NULL);
}

static PyObject *
core_leave_host(LoopCore *core, PyObject *unused)
{
    if (core->host != NULL) {
        tc_guest_leave(core);
    }
    Py_RETURN_NONE;
}

/* ---- life cycle ---- */

static void
core_drop_timers(LoopCore *core)
{
    tc_timer *timer;
    while ((timer = tc_heap_first(&core->timers)) != NULL) {
        tc_heap_remove(&core->timers, timer);
        Py_XDECREF(tc_handle_of_timer(timer)); /* the heap's reference; a native timer is only forgotten */
    }
    tc_heap_free(&core->timers);
}

static void
core_drop_tasks(LoopCore *core)
{
    while (!tc_list_empty(&core->tasks)) {
        tc_core_cancel_task(tc_container_of(core->tasks.next, tc_task, link));
    }
}

/* Streams with interest live through their registration: without the loop there will be no event for them. */
static void
core_drop_watchers(LoopCore *core)
{
    for (size_t fd = 0; fd < core->poller.slots_cap; fd++) {
        tc_watcher *watcher = core->poller.slots[fd].watcher;
        if (watcher != NULL && watcher->owner != NULL) {
            PyObject *owner = watcher->owner;
            tc_poller_remove(&core->poller, watcher);
            watcher->owner = NULL;
            Py_DECREF(owner);
        }
    }
    tc_fd_clear(core);
}

static int
core_clear(LoopCore *core)
{
    core_drop_timers(core);
    core_drop_tasks(core);
    tc_ready_clear(&core->ready);
    core_drop_watchers(core);
    Py_CLEAR(core->done_future);
    Py_CLEAR(core->captured);
    Py_CLEAR(core->current_handle);
    Py_CLEAR(core->ioloop);
    Py_CLEAR(core->host);
    Py_CLEAR(core->guest_timer);
    Py_CLEAR(core->date_text);
    return 0;
}

PyDoc_STRVAR(core_release_doc, "_release($self, /)\n--\n\n"
                               "Give back what the closed loop holds: its descriptors and everything queued.");

static PyObject *
core_release(LoopCore *core, PyObject *unused)
{
    core_drop_timers(core);
    core_drop_tasks(core);
    tc_ready_clear(&core->ready);
    core_drop_watchers(core);
    Py_CLEAR(core->done_future);
    tc_wakeup_close(&core->wakeup, &core->poller);
    tc_poller_close(&core->poller);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(core_owners_doc, "_owners($self, /)\n--\n\nWhat lives through its registration: streams, listeners.");

static PyObject *
core_owners(LoopCore *core, PyObject *unused)
{
    PyObject *list = PyList_New(0);
    for (size_t fd = 0; list != NULL && fd < core->poller.slots_cap; fd++) {
        tc_watcher *watcher = core->poller.slots[fd].watcher;
        if (watcher != NULL && watcher->owner != NULL && PyList_Append(list, watcher->owner) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
core_clear_ready(LoopCore *core, PyObject *unused)
{
    tc_ready_clear(&core->ready);
    Py_RETURN_NONE;
}

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
    core->clock_resolution = tc_clock_resolution();
    core->state = tc_state_of(type);
    if (core->state == NULL || core_find_time(core) < 0) {
        Py_DECREF(core);
        return NULL;
    }
    return (PyObject *)core;
}

static int
core_traverse(LoopCore *core, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(core));
    for (size_t i = 0; i < core->ready.size; i++) {
        Py_VISIT(tc_ready_at(&core->ready, i));
    }
    for (size_t i = 0; i < core->timers.size; i++) {
        PyObject *handle = tc_handle_of_timer(core->timers.items[i]);
        Py_VISIT(handle);
    }
    for (size_t fd = 0; fd < core->poller.slots_cap; fd++) {
        tc_watcher *watcher = core->poller.slots[fd].watcher;
        if (watcher != NULL) {
            Py_VISIT((PyObject *)watcher->owner);
        }
    }
    for (tc_link *link = core->tasks.next; link != NULL && link != &core->tasks; link = link->next) {
        Py_VISIT(tc_container_of(link, tc_task, link)->owner);
    }
    Py_VISIT(core->done_future);
    Py_VISIT(core->captured);
    Py_VISIT(core->current_handle);
    Py_VISIT(core->ioloop);
    Py_VISIT(core->host);
    Py_VISIT(core->guest_timer);
    return tc_fd_traverse(core, visit, arg);
}

static void
core_dealloc(LoopCore *core)
{
    PyTypeObject *type = Py_TYPE(core);
    PyObject_GC_UnTrack(core);
    core_clear(core);
    tc_wakeup_close(&core->wakeup, &core->poller);
    tc_poller_close(&core->poller);
    PyMem_RawFree(core->input.data);
    PyMem_RawFree(core->output.data);
    type->tp_free(core);
    Py_DECREF(type);
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
    PyObject *list = PyList_New((Py_ssize_t)core->ready.size);
    for (size_t i = 0; list != NULL && i < core->ready.size; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(tc_ready_at(&core->ready, i)));
    }
    return list;
}

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
        name, (getter)core_get_flag, (setter)core_set_flag, NULL, (void *)offsetof(LoopCore, field)           \
    }

static PyGetSetDef core_getset[] = {
    FLAG("_closed", closed),
    FLAG("_stopping", stopping),
    FLAG("_debug", debug),
    {"_thread_id", (getter)core_get_thread_id, (setter)core_set_thread_id, NULL, NULL},
    {"_ready", (getter)core_get_ready, (setter)core_ignore_set, NULL, NULL},
    {"_scheduled", (getter)core_get_scheduled, (setter)core_ignore_set, NULL, NULL},
    {"_timer_cancelled_count", (getter)core_get_zero, (setter)core_ignore_set, NULL, NULL},
    {NULL},
};

static PyMemberDef core_members[] = {
    {"_current_handle", T_OBJECT, offsetof(LoopCore, current_handle), 0, NULL},
    {"_clock_resolution", T_DOUBLE, offsetof(LoopCore, clock_resolution), 0, NULL},
    {"_ioloop", T_OBJECT, offsetof(LoopCore, ioloop), 0, NULL},
    {"_host", T_OBJECT, offsetof(LoopCore, host), 0, NULL},
    {NULL},
};

#define FASTCALL(f) (PyCFunction)(void (*)(void))(f)

static PyMethodDef core_methods[] = {
    {"call_soon", FASTCALL(core_call_soon), METH_FASTCALL | METH_KEYWORDS, core_call_soon_doc},
    {"call_soon_threadsafe", FASTCALL(core_call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     core_call_soon_threadsafe_doc},
    {"call_later", FASTCALL(core_call_later), METH_FASTCALL | METH_KEYWORDS, core_call_later_doc},
    {"call_at", FASTCALL(core_call_at), METH_FASTCALL | METH_KEYWORDS, core_call_at_doc},
    {"time", (PyCFunction)core_py_time, METH_NOARGS, "time($self, /)\n--\n\nThe loop's monotonic clock, seconds."},
    {"stop", (PyCFunction)core_stop, METH_NOARGS, "stop($self, /)\n--\n\nEnd run_forever after this turn."},
    {"is_closed", (PyCFunction)core_is_closed, METH_NOARGS, "is_closed($self, /)\n--\n\nWhether close() was called."},
    {"is_running", (PyCFunction)core_is_running, METH_NOARGS, "is_running($self, /)\n--\n\nWhether the loop runs."},
    {"get_debug", (PyCFunction)core_get_debug, METH_NOARGS, "get_debug($self, /)\n--\n\nWhether debug mode is on."},
    {"create_future", (PyCFunction)core_create_future, METH_NOARGS,
     "create_future($self, /)\n--\n\nAn asyncio.Future of this loop."},
    {"_run_once", (PyCFunction)core_run_once, METH_NOARGS, core_run_once_doc},
    {"_run_loop", (PyCFunction)core_run_loop, METH_NOARGS, core_run_loop_doc},
    {"_add_callback", (PyCFunction)core_add_callback, METH_O, NULL},
    {"_add_callback_signalsafe", (PyCFunction)core_add_callback_signalsafe, METH_O, NULL},
    {"_timer_handle_cancelled", (PyCFunction)core_timer_handle_cancelled, METH_O, NULL},
    {"_write_to_self", (PyCFunction)core_write_to_self, METH_NOARGS, NULL},
    {"_add_reader", FASTCALL(core_add_reader), METH_FASTCALL, NULL},
    {"_add_writer", FASTCALL(core_add_writer), METH_FASTCALL, NULL},
    {"_remove_reader", (PyCFunction)core_remove_reader, METH_O, NULL},
    {"_remove_writer", (PyCFunction)core_remove_writer, METH_O, NULL},
    {"_fd_info", (PyCFunction)core_fd_info, METH_O, NULL},
    {"_fd_list", (PyCFunction)core_fd_list, METH_NOARGS, NULL},
    {"_owners", (PyCFunction)core_owners, METH_NOARGS, core_owners_doc},
    {"_clear_ready", (PyCFunction)core_clear_ready, METH_NOARGS, NULL},
    {"_guest_turn", (PyCFunction)core_guest_turn, METH_NOARGS, NULL},
    {"_guest_due", (PyCFunction)core_guest_due, METH_NOARGS, NULL},
    {"_leave_host", (PyCFunction)core_leave_host, METH_NOARGS, NULL},
    {"_release", (PyCFunction)core_release, METH_NOARGS, core_release_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot core_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.EventLoop."},
    {Py_tp_new, core_new},
    {Py_tp_dealloc, core_dealloc},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear},
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
    state->core_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &core_spec, NULL);
    return state->core_type != NULL ? PyModule_AddType(module, state->core_type) : -1;
}
