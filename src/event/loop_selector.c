/* The methods that the standard library's selector loop calls on itself, and that are ours: handles for the
 * ready queue, descriptors, waking up. */
#include "event/fd_callbacks.h"
#include "event/handle.h"
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
selector_add_fd(LoopCore *core, PyObject *const *args, Py_ssize_t nargs, bool write)
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
    return selector_add_fd(core, args, nargs, false);
}

PyObject *
tc_loop_add_writer(LoopCore *core, PyObject *const *args, Py_ssize_t nargs)
{
    return selector_add_fd(core, args, nargs, true);
}

static PyObject *
selector_remove_fd(LoopCore *core, PyObject *fd_obj, bool write)
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
    return selector_remove_fd(core, fd_obj, false);
}

PyObject *
tc_loop_remove_writer(LoopCore *core, PyObject *fd_obj)
{
    return selector_remove_fd(core, fd_obj, true);
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
