/* LoopCore, the C half of tornado_c.EventLoop, and what the layers above use of a loop: watch a descriptor,
 * set a timer, defer native work to the end of the turn, call Python soon.
 *
 * A turn does this, in this order:
 *
 *  1. Waits in the kernel, without the GIL if that can take long: not at all if handles are ready or work
 *     was put off, else until the earliest timer.
 *  2. Runs the handlers of signals.
 *  3. Calls the watchers of what happened, in the kernel's order. One that was removed in this turn, or whose
 *     descriptor is another file's by now, is skipped.
 *  4. Fires the timers that are due, earliest first, including those that this step sets to the past.
 *  5. Runs the handles that were ready when this step began. What they queue waits for the next turn.
 *  6. Sends joined output (tc_core_defer_flush), also where an exception ends the turn; then runs native work
 *     that was put off (tc_core_defer). What that puts off waits for the next turn.
 *
 * Steps 2 to 6 run Python, which may close the loop, run it again (a nested turn does the same with what is
 * left), and free whatever is not held. An exception that leaves a watcher, a timer or a task goes to the
 * loop's handler; only KeyboardInterrupt and SystemExit end the turn, and what is left is done in the next.
 * In guest mode a foreign loop runs turns that do not wait, and its own queue stands for step 5.
 *
 * Watchers, timers and tasks are embedded in what they serve and allocate nothing. The loop owns none of
 * them: the struct that embeds one takes it back before it is freed (tc_core_unwatch, tc_heap_remove,
 * tc_core_cancel_task). A watcher and a task may name an owner: the loop visits this reference for the
 * collector, and drops it when it is closed, that of a task also once it has run. A watcher's callback holds
 * its own reference to what embeds the watcher.
 *
 * One loop and all that hangs on it belong to one thread. From others only call_soon_threadsafe may be
 * called. */
#ifndef TC_CORE_H
#define TC_CORE_H

#include "base/args.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "event/poller.h"
#include "event/ready.h"
#include "event/wakeup.h"
#include "base/state.h"

/* Native work that was put off to the end of the turn; embedded in what it serves. */
typedef struct tc_task tc_task;
struct tc_task {
    tc_link link;
    int (*run)(tc_task *task); /* TC_OK or TC_RAISED; unlinked before it is called */
    /* Kept alive by the queue, or NULL: dropped after the run, or when the task is cancelled. */
    PyObject *owner;
};

/* A buffer that one event borrows at a time; a nested borrower allocates its own. */
typedef struct {
    char *data;
    size_t size;
    bool taken;
} tc_scratch;

/* The idle Tasks of one kind of coroutine, see spare.h. */
typedef struct {
    PyObject *(*make)(struct tc_state *state); /* what makes the coroutines; NULL: free */
    struct tc_spare *first;
    unsigned count;
    bool waits; /* the last coroutine had to wait */
} tc_spares;

typedef struct LoopCore {
    PyObject_HEAD tc_state *state; /* borrowed */
    tc_link link;                  /* in state->cores */
    tc_poller poller;
    tc_wakeup wakeup;
    tc_heap timers;
    tc_link tasks;
    tc_link flushes; /* tasks that run at a turn's end even where an exception ends it */
    tc_ready ready;
    double now;          /* the clock when this turn began to dispatch */
    double gil_released; /* the clock when other threads last had a chance to run */
    double clock_resolution;
    uint32_t turn;   /* counts the turns from 1 on */
    unsigned forked; /* tc_fork_count() after the last fork while it ran, in the child; 0: none */
    bool closed, stopping, debug;
    bool running;            /* thread_id is valid */
    bool own_time;           /* time() is not ours */
    unsigned own_time_tag;   /* the version of the class for which own_time holds, or 0 */
    unsigned time_tag;       /* the same where time() is ours, else UINT_MAX */
    bool quiet;              /* no handle was ready when this turn began to dispatch */
    bool polling;            /* inside the kernel's wait without the GIL */
    double alarm;            /* seconds after which a SIGALRM is to come in a turn that blocks; 0: none */
    size_t stream_calls;     /* how many of the calls that are ready are those of streams' users */
    size_t follow;           /* the calls that are ready, where the last goes first in this turn; else 0 */
    unsigned long thread_id; /* guest mode: that of the last turn */
    PyObject *capture;  /* borrowed: the coroutine of a Task that is being made for its first step; or NULL */
    PyObject *captured; /* the handle that was */
    tc_spares spares[2]; /* of requests, and of WebSocket messages */
    PyObject *ending;    /* a coroutine whose Task is about to become idle, or NULL */
    PyObject *current_handle;
    PyObject *task_factory;  /* as the standard library's methods leave it in _task_factory, or NULL */
    PyObject *future_kwargs; /* {"loop": future_loop}, for new Futures */
    PyObject *future_loop;   /* borrowed from it */
    PyObject *done_future;   /* a Future with the result None, for writes that were done at once */
    PyObject *websockets;    /* what the WebSockets of this loop share (ws/ws_loop.c), or NULL */
    PyObject *ioloop;        /* the IOLoop over this core, which owns it: borrowed; or NULL */
    PyObject *host;          /* guest mode: the foreign loop whose turns drive this core; else NULL */
    PyObject *guest_timer;   /* guest mode: the host's timer for our earliest one */
    double guest_when;       /* and its deadline on our clock */
    bool guest_scheduled;    /* guest mode: a turn of ours is queued in the host */
    bool guest_polled;       /* guest mode: the host watches our poller */
    tc_scratch input;        /* bytes just received */
    tc_scratch output;       /* corked output */
    tc_scratch records;      /* TLS records just received */
} LoopCore;

/* The loop's clock, seconds. A subclass or an instance may have a time() of its own (virtual time in tests),
 * even one that was set while the loop runs. */
double tc_core_own_time(LoopCore *core); /* may run Python */

/* True also where it is not known yet. */
static inline bool
tc_core_has_own_time(const LoopCore *core)
{
    return Py_TYPE(core)->tp_version_tag != core->time_tag;
}

static inline double
tc_core_time(LoopCore *core)
{
    return TC_LIKELY(!tc_core_has_own_time(core)) ? tc_clock_now() : tc_core_own_time(core);
}

/* Queues a call for a coming turn. context NULL: a copy of the current one. Returns the handle (new
 * reference). */
PyObject *tc_core_call_soon(LoopCore *core, PyObject *callback, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *context);

/* The asyncio loop that Python code sees: the host in guest mode, else the core itself. Borrowed. */
static inline PyObject *
tc_core_asyncio(LoopCore *core)
{
    return core->host != NULL ? core->host : (PyObject *)core;
}

/* The IOLoop over this core, or NULL. Borrowed. While one is being freed it runs Python that may ask for
 * it. */
static inline PyObject *
tc_core_ioloop(LoopCore *core)
{
    return core->ioloop != NULL && Py_REFCNT(core->ioloop) > 0 ? core->ioloop : NULL;
}

/* A loop and what it serves belong to one thread, which debug mode checks, as asyncio does. 0, or -1 with a
 * RuntimeError. */
int tc_core_assert_thread(LoopCore *core);

static inline int
tc_core_check_thread(LoopCore *core)
{
    bool known = core->host != NULL ? core->thread_id != 0 : core->debug && core->running;
    return TC_UNLIKELY(known) && core->thread_id != PyThread_get_thread_ident() ? tc_core_assert_thread(core)
                                                                                : 0;
}

void tc_guest_wake(LoopCore *core); /* guest mode: have the host run a turn of ours soon */

static inline void
tc_core_defer_to(LoopCore *core, tc_link *list, tc_task *task)
{
    if (!tc_list_linked(&task->link)) {
        tc_list_append(list, &task->link);
        if (TC_UNLIKELY(core->host != NULL)) {
            tc_guest_wake(core);
        }
    }
}

/* Puts native work off to the end of this turn (or the next, when called from outside one). Idempotent. */
static inline void
tc_core_defer(LoopCore *core, tc_task *task)
{
    tc_core_defer_to(core, &core->tasks, task);
}

/* The same for joined output: it is sent at the turn's end even where an exception ends the turn. */
static inline void
tc_core_defer_flush(LoopCore *core, tc_task *task)
{
    tc_core_defer_to(core, &core->flushes, task);
}

static inline void
tc_core_cancel_task(tc_task *task)
{
    if (tc_list_linked(&task->link)) {
        tc_list_unlink(&task->link);
        Py_CLEAR(task->owner);
    }
}

/* A native timer. NaN, which no clock can reach or pass, is due at once. 0 or -1 with an exception set. */
int tc_core_timer_set(LoopCore *core, tc_timer *timer, double when);

/* Watches a descriptor; -1 with an exception (ValueError for a descriptor that is watched already, else
 * OSError). */
int tc_core_watch(LoopCore *core, tc_watcher *watcher, unsigned events);

static inline void
tc_core_unwatch(LoopCore *core, tc_watcher *watcher)
{
    tc_poller_remove(&core->poller, watcher);
}

/* The same, and drops the registration's owner, which may be what embeds the watcher. */
static inline void
tc_core_end_watch(LoopCore *core, tc_watcher *watcher)
{
    tc_core_unwatch(core, watcher);
    Py_CLEAR(watcher->owner);
}

/* A new list of the owners of registrations; of all cores. NULL with an exception. */
PyObject *tc_core_owners(LoopCore *core);
PyObject *tc_core_all(tc_state *state);

/* Hands the exception that is set to the loop's exception handler under `message`; `source` (or NULL) is what
 * it came from. KeyboardInterrupt and SystemExit stay set and TC_RAISED is returned; otherwise TC_OK. */
int tc_core_report(LoopCore *core, const char *message, PyObject *source);

/* running.c: the loop that runs in this thread, or None. NULL with an exception. */
PyObject *tc_running_loop(tc_state *state);
void tc_running_forget(LoopCore *core); /* at the end of a run */

/* An exact asyncio.Future of this loop. */
PyObject *tc_core_future(LoopCore *core);

/* Borrowing a scratch buffer: the shared one, or memory of the caller's own if that is taken. NULL with
 * MemoryError. */
char *tc_scratch_take(tc_scratch *scratch, size_t size, bool *own);
void tc_scratch_return(tc_scratch *scratch, char *data, bool own);

/* task.c: runs an awaitable from a native event. The first step runs at once inside a real Task when no task
 * is current. Returns the Task (new reference), which may be done already. */
PyObject *tc_task_start(LoopCore *core, PyObject *coroutine);

/* The same in the current context itself, where `context` is that; in a copy of it where it is not, or where
 * the application has a task factory. */
PyObject *tc_task_start_in(LoopCore *core, PyObject *coroutine, PyObject *context);

/* The Task that is inside a step, a new reference, or None; NULL with an exception. */
PyObject *tc_task_current(LoopCore *core);

/* For the end of the module. */
void tc_handle_clear_freelists(tc_state *state);

#endif
