/* What the layers above use of a loop (see core.h): calls, timers, watchers, error reports, scratch
 * buffers. */
#include "event/handle.h"
#include "event/spare.h"

#include <math.h>
#include <time.h>

#define CROWDED 4096         /* handles in the queue, above which other threads are slowed down */
#define CROWDED_SLEEP 100000 /* nanoseconds */

static int
core_check_open(const LoopCore *core)
{
    if (TC_UNLIKELY(core->closed)) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    return 0;
}

/* Is this the step of the Task that is made? The collector may run meanwhile, and finalizers may call call_soon. */
static bool
core_captures(LoopCore *core, PyObject *callback)
{
    tc_state *state = core->state;
    PyObject *task = NULL, *coroutine = NULL;
    if (PyObject_GetOptionalAttr(callback, state->str___self__, &task) > 0 &&
        PyObject_TypeCheck(task, (PyTypeObject *)state->asyncio_task)) {
        coroutine = PyObject_CallMethodNoArgs(task, state->str_get_coro);
    }
    PyErr_Clear();
    bool is = coroutine != NULL && coroutine == core->capture;
    Py_XDECREF(task);
    Py_XDECREF(coroutine);
    return is;
}

PyObject *
tc_core_call_soon(LoopCore *core, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *context)
{
    if (core_check_open(core) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->host != NULL)) {
        return tc_guest_call_soon(core, false, callback, args, nargs, context);
    }
    PyObject *handle = tc_handle_new(core, false, callback, args, nargs, context);
    if (handle == NULL) {
        return NULL;
    }
    if (TC_UNLIKELY(core->ending != NULL) && tc_spare_captures(core, callback, handle)) {
        return handle;
    }
    if (TC_UNLIKELY(core->capture != NULL) && core_captures(core, callback)) {
        core->capture = NULL;
        Py_XSETREF(core->captured, Py_NewRef(handle));
        return handle;
    }
    if (tc_ready_push(&core->ready, Py_NewRef(handle)) < 0) {
        Py_DECREF(handle);
        return NULL;
    }
    return handle;
}

/* Waking a loop costs no system call while it does not wait, so that a thread which does nothing but queue
 * calls would keep the GIL for whole switch intervals and queue faster than the loop runs. When many are
 * queued, it sleeps a moment without the GIL, and then has to wait for the loop to release it. */
static void
core_give_way(const LoopCore *core)
{
    if (!core->running || core->thread_id == PyThread_get_thread_ident()) {
        return;
    }
    const struct timespec moment = {.tv_nsec = CROWDED_SLEEP};
    Py_BEGIN_ALLOW_THREADS nanosleep(&moment, NULL);
    Py_END_ALLOW_THREADS
}

void
tc_core_wake(LoopCore *core)
{
    if (core->polling) {
        tc_wakeup_send(&core->wakeup);
    }
    if (TC_UNLIKELY(core->ready.size > CROWDED)) {
        core_give_way(core);
    }
}

PyObject *
tc_core_call_soon_threadsafe(LoopCore *core, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *context)
{
    if (core_check_open(core) < 0) {
        return NULL;
    }
    if (TC_UNLIKELY(core->host != NULL)) {
        return tc_guest_call_soon(core, true, callback, args, nargs, context);
    }
    PyObject *handle = tc_handle_new(core, false, callback, args, nargs, context);
    if (handle == NULL || tc_ready_push(&core->ready, Py_NewRef(handle)) < 0) {
        Py_XDECREF(handle);
        return NULL;
    }
    tc_core_wake(core);
    return handle;
}

PyObject *
tc_core_call_at(LoopCore *core, double when, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                PyObject *context)
{
    if (core_check_open(core) < 0) {
        return NULL;
    }
    PyObject *handle = tc_handle_new(core, true, callback, args, nargs, context);
    if (handle == NULL) {
        return NULL;
    }
    Py_INCREF(handle); /* the heap's reference */
    if (TC_UNLIKELY(isnan(when)) && tc_handle_set_when(handle, when) < 0) {
        Py_DECREF(handle);
        Py_DECREF(handle);
        return NULL;
    }
    if (tc_core_timer_set(core, tc_handle_timer(handle), when) < 0) {
        Py_DECREF(handle);
        Py_DECREF(handle);
        return NULL;
    }
    return handle;
}

int
tc_core_timer_set(LoopCore *core, tc_timer *timer, double when)
{
    tc_heap_remove(&core->timers, timer);
    timer->when = isnan(when) ? -INFINITY : when;
    if (tc_heap_push(&core->timers, timer) != TC_OK) {
        PyErr_NoMemory();
        return -1;
    }
    if (TC_UNLIKELY(core->host != NULL)) {
        tc_guest_timer_changed(core);
    }
    return 0;
}

int
tc_core_can_watch(LoopCore *core)
{
    if (core_check_open(core) < 0) {
        return -1;
    }
    return TC_UNLIKELY(core->host != NULL) ? tc_guest_watch(core) : 0;
}

int
tc_core_raise_watch(int st, int fd)
{
    if (st == -EEXIST) {
        PyErr_Format(PyExc_ValueError, "fd %d added twice", fd);
    }
    else {
        errno = -st;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return -1;
}

int
tc_core_watch(LoopCore *core, tc_watcher *watcher, unsigned events)
{
    /* First: a watcher that the host does not learn of must not look registered. */
    if (tc_core_can_watch(core) < 0) {
        return -1;
    }
    int st = tc_poller_set(&core->poller, watcher, events);
    return TC_LIKELY(st == TC_OK) ? 0 : tc_core_raise_watch(st, watcher->fd);
}

int
tc_core_report(LoopCore *core, const char *message, PyObject *source)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return TC_RAISED;
    }
    tc_state *state = core->state;
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *text =
        source != NULL ? PyUnicode_FromFormat("%s %R", message, source) : PyUnicode_FromString(message);
    PyObject *context = text != NULL ? PyDict_New() : NULL;
    PyObject *done = NULL;
    if (context != NULL && PyDict_SetItem(context, state->str_message, text) == 0 &&
        PyDict_SetItem(context, state->str_exception, exc) == 0) {
        done = PyObject_CallMethodOneArg(tc_core_asyncio(core), state->str_call_exception_handler, context);
    }
    Py_XDECREF(text);
    Py_XDECREF(context);
    Py_XDECREF(exc);
    if (done == NULL) {
        if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
            return TC_RAISED;
        }
        PyErr_WriteUnraisable(source);
        return TC_OK;
    }
    Py_DECREF(done);
    return TC_OK;
}

/* CPython's Futures begin with their loop. */
static inline PyObject *
future_loop(PyObject *future)
{
    PyObject *loop;
    memcpy(&loop, (char *)future + sizeof(PyObject), sizeof(loop));
    return loop;
}

/* Future(loop=loop), with one dict of arguments for all of them. */
static PyObject *
future_of(LoopCore *core, PyObject *loop, PyObject *none)
{
    PyTypeObject *type = (PyTypeObject *)core->state->asyncio_future;
    if (TC_UNLIKELY(core->future_kwargs == NULL || core->future_loop != loop)) {
        PyObject *kwargs = PyDict_New();
        if (kwargs == NULL || PyDict_SetItem(kwargs, core->state->str_loop, loop) < 0) {
            Py_XDECREF(kwargs);
            return NULL;
        }
        Py_XSETREF(core->future_kwargs, kwargs);
        core->future_loop = loop;
    }
    PyObject *future = type->tp_new(type, none, NULL);
    if (future != NULL && type->tp_init(future, none, core->future_kwargs) < 0) {
        Py_CLEAR(future);
    }
    if (future != NULL && !core->state->future_loop_known) {
        size_t size = (size_t)type->tp_basicsize;
        core->state->future_loop_known = true;
        core->state->future_loop_first =
            size >= sizeof(PyObject) + sizeof(PyObject *) && future_loop(future) == loop;
    }
    return future;
}

PyObject *
tc_core_future(LoopCore *core)
{
    PyTypeObject *type = (PyTypeObject *)core->state->asyncio_future;
    PyObject *loop = tc_core_asyncio(core), *none = PyTuple_New(0), *future = NULL;
    if (none == NULL) {
        return NULL;
    }
    /* While we run a Future without arguments is nearly always ours: finding the running loop costs less than
     * the argument. */
    if (TC_LIKELY(core->running && core->host == NULL && core->state->future_loop_first &&
                  core->thread_id == PyThread_get_thread_ident())) {
        future = type->tp_new(type, none, NULL);
        if (future != NULL && type->tp_init(future, none, NULL) < 0) {
            Py_CLEAR(future);
        }
        if (future != NULL && TC_UNLIKELY(future_loop(future) != loop)) {
            Py_CLEAR(future); /* another loop runs inside a callback of ours */
        }
        PyErr_Clear();
    }
    if (future == NULL) {
        future = future_of(core, loop, none);
    }
    Py_DECREF(none);
    return future;
}

char *
tc_scratch_take(tc_scratch *scratch, size_t size, bool *own)
{
    if (TC_LIKELY(!scratch->taken)) {
        if (TC_UNLIKELY(scratch->size < size)) {
            char *data = PyMem_RawRealloc(scratch->data, size);
            if (data == NULL) {
                PyErr_NoMemory();
                return NULL;
            }
            scratch->data = data;
            scratch->size = size;
        }
        scratch->taken = true;
        *own = false;
        return scratch->data;
    }
    *own = true;
    char *data = PyMem_RawMalloc(size);
    if (data == NULL) {
        PyErr_NoMemory();
    }
    return data;
}

void
tc_scratch_return(tc_scratch *scratch, char *data, bool own)
{
    if (own) {
        PyMem_RawFree(data);
    }
    else {
        scratch->taken = false;
    }
}
