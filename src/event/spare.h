/* Tasks that serve one coroutine of C after another. A coroutine's first step runs inside such a Task, which is
 * current meanwhile; asyncio is told only where somebody could notice: where the coroutine waits for something, has
 * failed, or somebody keeps or has changed the Task. When the coroutine has ended, and nobody has, the Task has its
 * next step before it again, and is idle: it waits for the next coroutine, unknown to asyncio. */
#ifndef TC_SPARE_H
#define TC_SPARE_H

#include "event/core.h"
#include "event/coroutine.h"

typedef struct tc_spare tc_spare;

/* Takes an idle Task of the loop, or makes one for a new coroutine, which `make` returns: 1, or 0 where a Task must
 * be started in the usual way, or -1. */
int tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare **spare);

/* The coroutine, borrowed, which has to be made ready for its next run. */
PyObject *tc_spare_coroutine(tc_spare *spare);

/* Runs the first step of it. Takes the spare. 0, or -1 for KeyboardInterrupt and SystemExit. */
int tc_spare_run(LoopCore *core, tc_spare *spare);

/* ---- for the loop ---- */

int tc_spares_traverse(LoopCore *core, visitproc visit, void *arg);
void tc_spares_clear(LoopCore *core);

/* Whether a call_soon is that of an ended coroutine's Task: it has the handle then, which is not queued. */
bool tc_spare_captures(LoopCore *core, PyObject *callback, PyObject *handle);

/* ---- for coroutines ---- */

/* After a step of a coroutine that has a spare: the outcome for its Task. */
PySendResult tc_spare_stepped(tc_coroutine *coroutine, PySendResult how, PyObject **result);

/* Drops that of a coroutine, which has ended or ends. An exception that is set stays. */
void tc_spare_drop(tc_coroutine *coroutine);

#endif
