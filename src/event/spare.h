/* Coroutines of C that mostly end in their first step. The step runs inside a Task that is current meanwhile,
 * but asyncio is only told how it went where somebody could notice: where the coroutine waits for something,
 * has failed, or somebody keeps or has changed the Task. Else the Task has not begun, and serves the next
 * coroutine. */
#ifndef TC_SPARE_H
#define TC_SPARE_H

#include "event/core.h"
#include "event/coroutine.h"

/* Takes the loop's spare Task, or makes one for a new coroutine, which `make` returns: 1, or 0 where a Task
 * must be started in the usual way, or -1. */
int tc_spare_take(LoopCore *core, PyObject *(*make)(tc_state *state), tc_spare *spare);

/* Runs the first step of spare->coroutine, which has to be made ready for it, and releases the spare or keeps
 * it. 0, or -1 for KeyboardInterrupt and SystemExit. */
int tc_spare_run(LoopCore *core, tc_spare *spare);

/* Drops it without having run it. */
void tc_spare_clear(tc_spare *spare);

#endif
