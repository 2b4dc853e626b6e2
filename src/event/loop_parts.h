/* What the files of LoopCore share among themselves. tc_loop_<name> is the method of that name (with a
 * leading underscore for the seams); the table of all methods is in loop_type.c. */
#ifndef TC_LOOP_PARTS_H
#define TC_LOOP_PARTS_H

#include "event/core.h"

/* turn.c: one turn. 0, or -1 with an exception (an interrupt, or an OSError of the poller's own). */
int tc_core_turn(LoopCore *core);

/* The turn up to the ready handles, which it leaves in the queue, for code that runs them itself. Waits at
 * most `limit` seconds, if that is not negative. */
int tc_core_select(LoopCore *core, double limit);

/* loop_calls.c */
PyObject *tc_loop_call_soon(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_loop_call_soon_threadsafe(LoopCore *core, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);
PyObject *tc_loop_call_later(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_loop_call_at(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* loop_seams.c */
PyObject *tc_loop_add_callback(LoopCore *core, PyObject *handle);
PyObject *tc_loop_write_to_self(LoopCore *core, PyObject *unused);
PyObject *tc_loop_add_callback_signalsafe(LoopCore *core, PyObject *handle);
PyObject *tc_loop_timer_handle_cancelled(LoopCore *core, PyObject *handle);
PyObject *tc_loop_add_reader(LoopCore *core, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_loop_add_writer(LoopCore *core, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_loop_remove_reader(LoopCore *core, PyObject *fd_obj);
PyObject *tc_loop_remove_writer(LoopCore *core, PyObject *fd_obj);
PyObject *tc_loop_fd_info(LoopCore *core, PyObject *fd_obj);
PyObject *tc_loop_fd_list(LoopCore *core, PyObject *unused);
PyObject *tc_loop_guest_turn(LoopCore *core, PyObject *unused);
PyObject *tc_loop_guest_due(LoopCore *core, PyObject *unused);
PyObject *tc_loop_leave_host(LoopCore *core, PyObject *unused);

/* loop_holds.c */
int tc_core_traverse(LoopCore *core, visitproc visit, void *arg);
/* Drops all that is held and waits for a turn. */
void tc_core_drop(LoopCore *core);
PyObject *tc_loop_owners(LoopCore *core, PyObject *unused);

#endif
