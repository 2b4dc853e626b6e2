/* The seams between LoopCore and Python's halves of a loop: the methods that the standard library's selector
 * loop calls on itself (handles for the ready queue, descriptors, waking up), and those that a host calls in
 * guest mode. */
#include "event/loop_parts.h"

/* ---- the ready queue ---- */

PyObject *
tc_loop_add_callback(LoopCore *core, PyObject *handle)
{
    if (tc_handle_is_cancelled(core, handle)) {
        Py_RETURN_NONE;
    }
    if (tc_ready_push(&core->ready, Py_NewRef(handle)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
tc_loop_write_to_self(LoopCore *core, PyObject *unused)
{
    tc_core_wake(core);
    Py_RETURN_NONE;
}

PyObject *
tc_loop_add_callback_signalsafe(LoopCore *core, PyObject *handle)
{
    PyObject *result = tc_loop_add_callback(core, handle);
    if (result != NULL) {
        tc_core_wake(core);
    }
    return result;
}

/* A timer of the standard library's own class was cancelled: nothing to do, it is skipped when it fires. */
PyObject *
tc_loop_timer_handle_cancelled(LoopCore *core, PyObject *handle)
{
    Py_RETURN_NONE;
}

/* ---- descriptors ---- */

static PyObject *
seam_add_fd(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, bool write)
{
    if (tc_args_check(write ? "_add_writer" : "_add_reader", nargs, 2, PY_SSIZE_T_MAX) < 0) {
        return NULL;
    }
    if (core->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(args[0]);
    if (fd < 0) {
        return NULL;
    }
    PyObject *handle = tc_handle_new(core, false, args[1], args + 2, nargs - 2, NULL);
    if (handle != NULL && tc_fd_add(core, fd, write, handle) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

PyObject *
tc_loop_add_reader(LoopCore *core, PyObject *const *args, Py_ssize_t nargs)
{
    return seam_add_fd(core, args, nargs, false);
}

PyObject *
tc_loop_add_writer(LoopCore *core, PyObject *const *args, Py_ssize_t nargs)
{
    return seam_add_fd(core, args, nargs, true);
}

static PyObject *
seam_remove_fd(LoopCore *core, PyObject *fd_obj, bool write)
{
    if (core->closed) {
        Py_RETURN_FALSE;
    }
    int fd = PyObject_AsFileDescriptor(fd_obj);
    if (fd < 0) {
        return NULL;
    }
    return PyBool_FromLong(tc_fd_remove(core, fd, write));
}

PyObject *
tc_loop_remove_reader(LoopCore *core, PyObject *fd_obj)
{
    return seam_remove_fd(core, fd_obj, false);
}

PyObject *
tc_loop_remove_writer(LoopCore *core, PyObject *fd_obj)
{
    return seam_remove_fd(core, fd_obj, true);
}

PyObject *
tc_loop_fd_info(LoopCore *core, PyObject *fd_obj)
{
    int fd = PyObject_AsFileDescriptor(fd_obj);
    return fd >= 0 ? tc_fd_info(core, fd) : NULL;
}

PyObject *
tc_loop_fd_list(LoopCore *core, PyObject *unused)
{
    return tc_fd_list(core);
}

/* ---- guest mode ---- */

/* The host calls this when our poller is readable, our earliest timer is due or work was put off. */
PyObject *
tc_loop_guest_turn(LoopCore *core, PyObject *unused)
{
    if (core->host == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this loop is nobody's guest");
        return NULL;
    }
    core->guest_scheduled = false;
    if (core->closed) {
        Py_RETURN_NONE;
    }
    /* KeyboardInterrupt or SystemExit: the host may be run again, and what is left must go on then. */
    PyObject *exc = tc_core_turn_now(core) < 0 ? PyErr_GetRaisedException() : NULL;
    if (!core->closed &&
        (core->ready.size > 0 || !tc_list_empty(&core->tasks) || !tc_list_empty(&core->flushes))) {
        tc_guest_wake(core);
    }
    tc_guest_timer_changed(core);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The host's timer has fired, perhaps a little early by our clock: it is not to be waited for any more. */
PyObject *
tc_loop_guest_due(LoopCore *core, PyObject *unused)
{
    Py_CLEAR(core->guest_timer);
    return tc_loop_guest_turn(core, NULL);
}

PyObject *
tc_loop_leave_host(LoopCore *core, PyObject *unused)
{
    if (core->host != NULL) {
        tc_guest_leave(core);
    }
    Py_RETURN_NONE;
}
