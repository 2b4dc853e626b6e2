/* The methods of LoopCore that are not in loop_type.c, which has the table. tc_loop_<name> is the method of
 * that name, in most cases with a leading underscore. */
#ifndef TC_LOOP_PARTS_H
#define TC_LOOP_PARTS_H

#include "event/core_parts.h"

/* loop_calls.c */
PyObject *tc_loop_call_soon(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_loop_call_soon_threadsafe(LoopCore *core, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);
PyObject *tc_loop_call_later(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *tc_loop_call_at(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* loop_selector.c */
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

/* guest.c */
PyObject *tc_loop_guest_turn(LoopCore *core, PyObject *unused);
PyObject *tc_loop_guest_due(LoopCore *core, PyObject *unused);
PyObject *tc_loop_leave_host(LoopCore *core, PyObject *unused);

/* loop_contents.c */
PyObject *tc_loop_owners(LoopCore *core, PyObject *unused);

#endif
