/* What the files of spare.h share: spare_task.c, what a Task is told and says of itself; spare.c, which takes and runs
 * them; pause_type.c, while a coroutine has given up its turn; spare_begun.c, which has them back after they have
 * waited. */
#ifndef TC_SPARE_PARTS_H
#define TC_SPARE_PARTS_H

#include "event/spare.h"

#define TC_SPARE_IDLE_MAX 64 /* Tasks of one kind that a loop keeps */

/* On 3.14 there are none. */
#define TC_SPARES (PY_VERSION_HEX < 0x030e0000)

struct tc_spare {
    tc_spare *next; /* of the idle ones of a loop */
    LoopCore *core; /* borrowed: the Task holds it */
    PyObject *(*make)(tc_state *state);
    /* NULL while the coroutine has this, after its first step: then the Task is held by what it waits for. */
    PyObject *task, *coroutine, *handle;
    PyObject *name;
    PyObject *context;                                  /* the Task's own */
    PyObject *origin;                                   /* a copy of that as it was */
    PyObject *ref;                                      /* a weak reference to the Task, once it is idle */
    Py_ssize_t task_refs, coroutine_refs, context_refs; /* without anybody else's, while it is idle */
    bool idle;                                          /* asyncio does not know of it */
    bool waited;                                        /* since it was taken */
    bool ending;                                        /* it is to become idle with its next call_soon */
    bool paused;                                        /* its coroutine goes on with the next turn */
};

/* ---- spare_task.c ---- */

/* A Task of the loop for a new coroutine, in a copy of a context: 1; 0 where its first step cannot be had;
 * -1. */
int tc_spare_make(LoopCore *core, PyObject *(*make)(tc_state *state), PyObject *context, tc_spare **result);

void tc_spare_free(tc_spare *spare);

/* Has all_tasks() find a Task that asyncio does not know, or not any more. Without an exception: what goes
 * wrong is cleared. */
void tc_spare_show(tc_state *state, tc_spare *spare, bool show);

/* Makes a Task that asyncio knows one that it does not know. 0 or -1. */
int tc_spare_make_idle(tc_state *state, tc_spare *spare);

/* Has asyncio say that a Task was destroyed while it waited, or not. 0 or -1. */
int tc_spare_set_log(tc_state *state, PyObject *task, bool log);

/* Has nobody changed what belongs to the Task? `shown`: to all_tasks(), through our own reference. */
bool tc_spare_is_untouched(tc_state *state, tc_spare *spare, PyObject *task, bool shown);

/* Has nobody cancelled or ended the Task, which is idle or paused, before its step? */
bool tc_spare_may_step(tc_state *state, tc_spare *spare);

/* ---- pause_type.c ---- */

/* Has the coroutine go on in the next turn, by tc_spare_run, and takes the spare; false: it is not taken. */
bool tc_spare_pause(LoopCore *core, tc_spare *spare);

/* ---- spare.c ---- */

/* The idle Tasks whose coroutines are made this way; NULL where there is no place for them. */
tc_spares *tc_spares_of(LoopCore *core, PyObject *(*make)(tc_state *state));

/* An idle Task is out of the collector's sight, so that gc.get_objects() has none that seems to wait; what
 * it refers to is visited for the loop. */
static inline void
tc_spares_push(tc_spares *list, tc_spare *spare)
{
    PyObject_GC_UnTrack(spare->task);
    spare->next = list->first;
    list->first = spare;
    list->count++;
}

/* ---- spare_begun.c ---- */

/* Runs the Task's own step, after which the coroutine has the spare. As tc_spare_run. */
int tc_spare_run_task(LoopCore *core, tc_spare *spare);

#endif
