/* asyncio.Handle and TimerHandle in C, and how they are laid out: asyncio's slots, then HandleExtra.
 * Python can put anything into the slots, and delete them, so each is checked where it is used. */
#ifndef TC_HANDLE_H
#define TC_HANDLE_H

#include "event/core_parts.h"

/* Offsets in the standard library's classes: integers, the same in every interpreter. */
typedef struct {
    Py_ssize_t callback, args, cancelled, loop, source_traceback, repr, context, weakrefs, when, scheduled,
        extra;
} tc_handle_layout;

extern tc_handle_layout tc_handle_slots __attribute__((visibility("hidden")));

typedef struct {
    PyObject *arg0, *arg1;
    int nargs;       /* -1: they are in the slot _args */
    tc_state *state; /* borrowed: our type keeps it; NULL in a handle that Python made */
    LoopCore *core;  /* borrowed: only to be used while the timer is pending, in this loop's heap */
    tc_timer timer;
} HandleExtra;

#define SLOT(handle, field) (*(PyObject **)((char *)(handle) + tc_handle_slots.field))
#define EXTRA(handle) ((HandleExtra *)((char *)(handle) + tc_handle_slots.extra))

static inline bool
tc_handle_is_ours(const tc_state *state, PyObject *handle)
{
    return Py_TYPE(handle) == state->handle_type || Py_TYPE(handle) == state->timer_handle_type;
}

/* Of a timer handle of ours. */
static inline tc_timer *
tc_handle_timer(PyObject *handle)
{
    return &EXTRA(handle)->timer;
}

/* handle_type.c */
PyObject *tc_handle_new(LoopCore *core, bool timer, PyObject *callback, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *context);
int tc_handle_set_when(PyObject *handle, double when); /* what it says where that is not its timer's key */
PyObject *tc_handle_of_timer(tc_timer *timer);         /* borrowed; NULL for a native timer */
void tc_handle_clear_args(PyObject *handle);           /* may run Python */

/* handle_methods.c */
extern PyMethodDef tc_handle_methods[], tc_timer_handle_methods[];
extern PyGetSetDef tc_handle_getset[], tc_timer_handle_getset[];

/* handle_run.c */
int tc_handle_run(LoopCore *core, PyObject *handle); /* -1 only for KeyboardInterrupt and SystemExit */

/* The same, where the contexts of stack_context were entered already. */
int tc_handle_run_inside(LoopCore *core, PyObject *handle);
bool tc_handle_is_cancelled(LoopCore *core, PyObject *handle);

#endif
