/* One turn of a LoopCore:
 *
 *     wait in the kernel -> signals -> native watchers and fd callbacks -> timers -> the handles that were
 *     ready when the turn began to run them -> native work that was put off
 *
 * The GIL is released around a wait that can block, and by time on a loop that never blocks. Called by
 * loop_type.c (_run_once, _run_loop) and, for a turn that does not wait, by guest.c. Runs Python. */
#include "event/handle.h"

#include <sys/time.h>

#define FOLLOWERS 64               /* calls that follow one, at most */
#define FOLLOWERS_TOGETHER 1024    /* and those that follow all of a turn, which share them */
#define GIL_RELEASE_INTERVAL 0.005 /* seconds: CPython's own switch interval */

static double
turn_timeout(LoopCore *core)
{
    if (core->ready.size > 0 || core->stopping || !tc_list_empty(&core->tasks) ||
        !tc_list_empty(&core->flushes)) {
        return 0.0;
    }
    const tc_timer *first = tc_heap_first(&core->timers);
    if (first == NULL) {
        return -1.0;
    }
    double when = first->when, left = when - tc_core_time(core);
    return left > 0.0 ? left : 0.0; /* a strange clock's NaN: 0, and all timers are due */
}

/* Waits for the next event, at most `limit` seconds if that is not negative. 0, or -1 with an exception (an
 * OSError of the poller's own). */
static int
turn_wait(LoopCore *core, double limit)
{
    if (TC_UNLIKELY(core->polling)) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    int st = tc_wakeup_ensure(&core->wakeup, &core->poller);
    /* A signal's handler that came due while the last turn ran no bytecode must not wait for the next
     * event. */
    if (PyErr_CheckSignals() < 0) {
        return -1;
    }
    double timeout = turn_timeout(core);
    if (TC_UNLIKELY(limit >= 0.0) && (timeout < 0.0 || limit < timeout)) {
        timeout = limit;
    }
    if (TC_UNLIKELY(core->poller.stale) && st == TC_OK) {
        st = tc_poller_renew(&core->poller);
    }
    if (st == TC_OK) {
        st = tc_poller_ensure(&core->poller); /* last: what comes before may run Python */
    }
    if (st == TC_OK) {
        if (timeout != 0.0 || tc_clock_now() - core->gil_released > GIL_RELEASE_INTERVAL) {
            core->polling = true;
            Py_BEGIN_ALLOW_THREADS st = tc_poller_wait(&core->poller, timeout);
            Py_END_ALLOW_THREADS core->polling = false;
            core->gil_released = core->now = tc_clock_now();
        }
        else {
            st = tc_poller_wait(&core->poller, timeout);
            core->now = tc_clock_now();
        }
        if (TC_UNLIKELY(tc_core_has_own_time(core))) {
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
    core->quiet = core->ready.size == 0 && !core->debug;
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
    while ((timer = tc_heap_first(&core->timers)) != NULL && !(timer->when >= limit)) {
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
    PyObject *done = PyObject_VectorcallMethod(core->state->str__log_slow, args + 1,
                                               3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
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
turn_run_handle(LoopCore *core, PyObject *handle) /* steals the reference */
{
    int status = 0;
    uint32_t turn = core->turn;
    core->follow = 0;
    if (!tc_handle_is_cancelled(core, handle)) {
        status = TC_UNLIKELY(core->debug) ? turn_run_debug(core, handle) : tc_handle_run(core, handle);
    }
    Py_DECREF(handle);
    if (TC_UNLIKELY(core->turn != turn)) {
        core->follow = 0; /* it has run the loop: what is queued last follows another */
    }
    return status;
}

/* Runs what a call has queued to be called after it, before what else is ready. Freeing the call may have queued
 * more, which is not that. */
static int
turn_run_followers(LoopCore *core, size_t most)
{
    int status = 0;
    while (most-- > 0 && core->follow != 0 && core->follow == core->ready.size && !core->stopping &&
           status == 0) {
        status = turn_run_handle(core, tc_ready_pop_last(&core->ready));
    }
    return status;
}

static int
turn_run_ready(LoopCore *core)
{
    size_t calls = core->ready.size;
    if (TC_UNLIKELY(core->stream_calls > calls)) {
        core->stream_calls = calls; /* some were thrown away */
    }
    size_t followers = calls > FOLLOWERS_TOGETHER / FOLLOWERS ? FOLLOWERS_TOGETHER / calls : FOLLOWERS;
    for (size_t left = calls; left > 0; left--) {
        PyObject *handle = tc_ready_pop(&core->ready);
        if (handle == NULL) {
            break; /* a callback emptied the queue */
        }
        if (turn_run_handle(core, handle) < 0 ||
            (TC_UNLIKELY(core->follow != 0) && turn_run_followers(core, followers) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
turn_run_list(tc_link *list)
{
    tc_link tasks;
    tc_list_init(&tasks);
    tc_list_splice(&tasks, list);
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
    tc_list_splice(&tasks, list);
    tc_list_splice(list, &tasks);
    return status;
}

static inline int
turn_run_tasks(LoopCore *core)
{
    if (TC_UNLIKELY(!tc_list_empty(&core->flushes)) && turn_run_list(&core->flushes) < 0) {
        return -1;
    }
    return tc_list_empty(&core->tasks) ? 0 : turn_run_list(&core->tasks);
}

/* An exception leaves the loop: what the application has written before is still sent. */
static int
turn_failed(LoopCore *core)
{
    if (!tc_list_empty(&core->flushes)) {
        PyObject *exc = PyErr_GetRaisedException();
        if (turn_run_list(&core->flushes) < 0) {
            PyErr_WriteUnraisable((PyObject *)core);
        }
        PyErr_SetRaisedException(exc);
    }
    return -1;
}

/* Handles what the wait has brought, then what is due, ready and put off. */
static int
turn_work(LoopCore *core)
{
    core->turn++;
    if (turn_dispatch(core) < 0) {
        return turn_failed(core);
    }
    turn_fire_timers(core);
    return turn_run_ready(core) < 0 ? turn_failed(core) : turn_run_tasks(core);
}

static void
turn_set_alarm(double seconds)
{
    struct itimerval timer = {0};
    timer.it_value.tv_sec = (time_t)seconds;
    timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* A turn in which a SIGALRM comes if what is called blocks for too long. */
static int
turn_under_alarm(LoopCore *core)
{
    if (turn_wait(core, -1.0) < 0) {
        return -1;
    }
    turn_set_alarm(core->alarm < 1e9 ? core->alarm : 1e9);
    int st = turn_work(core);
    turn_set_alarm(0);
    return st;
}

int
tc_core_turn(LoopCore *core)
{
    assert(!PyErr_Occurred());
    if (TC_UNLIKELY(core->alarm > 0)) {
        return turn_under_alarm(core);
    }
    return turn_wait(core, -1.0) < 0 ? -1 : turn_work(core);
}

int
tc_core_select(LoopCore *core, double limit)
{
    core->turn++;
    if (turn_wait(core, limit) < 0 || turn_dispatch(core) < 0) {
        return turn_failed(core);
    }
    turn_fire_timers(core);
    return turn_run_tasks(core);
}

int
tc_core_turn_now(LoopCore *core)
{
    core->thread_id = PyThread_get_thread_ident();
    if (TC_UNLIKELY(core->poller.stale) && tc_guest_renew_poller(core) < 0) {
        return -1;
    }
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
