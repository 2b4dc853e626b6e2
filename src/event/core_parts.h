/* What the files of the event layer use of a core, beside core.h. */
#ifndef TC_CORE_PARTS_H
#define TC_CORE_PARTS_H

#include "event/core.h"

/* ---- core.c ---- */

/* tc_core_call_soon from any thread. */
PyObject *tc_core_call_soon_threadsafe(LoopCore *core, PyObject *callback, PyObject *const *args,
                                       Py_ssize_t nargs, PyObject *context);

/* After something was queued, from any thread: wakes the loop if it waits. May give up the GIL. */
void tc_core_wake(LoopCore *core);

/* Queues a call at a time of the loop's clock. */
PyObject *tc_core_call_at(LoopCore *core, double when, PyObject *callback, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *context);

/* The two halves of tc_core_watch around tc_poller_set, for callers whose watcher must not go in between.
 * Whether the loop is open and, as a guest, watched: 0 or -1; runs the host's Python. Then -1 with the
 * exception for a status. */
int tc_core_can_watch(LoopCore *core);
int tc_core_raise_watch(int st, int fd);

/* ---- turn.c ---- */

/* One turn. 0, or -1 with an exception (an interrupt, or an OSError of the poller's own). */
int tc_core_turn(LoopCore *core);

/* The turn up to the ready handles, which it leaves in the queue, for code that runs them itself. Waits at
 * most `limit` seconds, if that is not negative. */
int tc_core_select(LoopCore *core, double limit);

/* One turn that does not wait. */
int tc_core_turn_now(LoopCore *core);

/* ---- guest.c ---- */

/* What a core has its host do. Failures are reported as unraisable: the host is closed then. */
void tc_guest_timer_changed(LoopCore *core);
int tc_guest_watch(LoopCore *core);        /* make the host watch our poller; 0 or -1 */
int tc_guest_renew_poller(LoopCore *core); /* tc_poller_renew for a poller that the host watches; 0 or -1 */
void tc_guest_leave(LoopCore *core);
PyObject *tc_guest_call_soon(LoopCore *core, bool threadsafe, PyObject *callback, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *context);

/* ---- loop_contents.c ---- */

int tc_core_traverse(LoopCore *core, visitproc visit, void *arg);
/* Drops all that is held and waits for a turn. */
void tc_core_drop(LoopCore *core);

/* ---- the queue and the timers ---- */

/* A live view of the ready queue, as a deque (ready_type.c). */
PyObject *tc_ready_view_new(LoopCore *core);

/* A timer handle of this core leaves the heap without being run or cancelled; true if it was there. */
bool tc_core_forget_timer(LoopCore *core, PyObject *handle);

#endif
