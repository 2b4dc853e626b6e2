/* Streams in a process that forks while its loop runs. Joined output is sent before the fork: afterwards both
 * processes would send it. Queues are the parent's to send. The child has the descriptors too and may write
 * to them, but native consumers (HTTP) no longer read there. Runs Python: hooks, and the release of what the
 * queues held. */
#include "stream/stream_parts.h"

/* Calls visit for each stream that is registered with its loop. They are collected in a list first, since a
 * visit may make or free others. 0, or -1 with an exception. */
static int
visit_streams(LoopCore *core, void (*visit)(StreamObject *))
{
    PyObject *list = tc_core_owners(core);
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *owner = PyList_GET_ITEM(list, i);
        if (PyObject_TypeCheck(owner, core->state->stream_type)) {
            visit((StreamObject *)owner);
        }
    }
    Py_XDECREF(list);
    return list != NULL ? 0 : -1;
}

static void
send_joined(StreamObject *self)
{
    if (!self->closed && tc_stream_flush(self) == TC_RAISED) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

static PyObject *
before_fork(PyObject *module, PyObject *unused)
{
    tc_state *state = PyModule_GetState(module);
    PyObject *loop = tc_running_loop(state);
    PyObject *cores = loop != NULL ? tc_core_all(state) : NULL;
    int st = cores != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyList_GET_SIZE(cores); i++) {
        LoopCore *core = (LoopCore *)PyList_GET_ITEM(cores, i);
        st = tc_core_asyncio(core) == loop ? visit_streams(core, send_joined) : 0;
    }
    Py_XDECREF(loop);
    Py_XDECREF(cores);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

/* Whether the parent's loop is on the child's stack: asyncio itself says that none runs here. */
static bool
was_running(LoopCore *core)
{
    if (core->host == NULL) {
        return core->running;
    }
    PyObject *result = PyObject_CallMethod(core->host, "is_running", NULL);
    int runs = result != NULL ? PyObject_IsTrue(result) : -1;
    if (runs < 0) {
        PyErr_WriteUnraisable((PyObject *)core);
    }
    Py_XDECREF(result);
    return runs > 0;
}

/* The waiters for the queue are the parent's, too, and are not notified until the child writes. */
static void
leave_to_parent(StreamObject *self)
{
    self->inherited = true;
    if (self->cork != NULL) {
        self->cork->size = 0;
    }
    if (self->writes != NULL) {
        self->writes->done = self->writes->index;
        tc_stream_buffer_clear(self->writes->buffer);
    }
    if (self->tls != NULL && self->tls->memory != NULL) {
        self->tls->encrypted = 0;
        tc_tls_memory_forget(self->tls->memory);
    }
}

static PyObject *
after_fork(PyObject *module, PyObject *unused)
{
    PyObject *cores = tc_core_all(PyModule_GetState(module));
    int st = cores != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < PyList_GET_SIZE(cores); i++) {
        LoopCore *core = (LoopCore *)PyList_GET_ITEM(cores, i);
        if (was_running(core)) {
            core->forked = tc_fork_count();
            st = visit_streams(core, leave_to_parent);
        }
    }
    Py_XDECREF(cores);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef before_fork_def = {
    "before_fork", before_fork, METH_NOARGS,
    "before_fork($module, /)\n--\n\nSend what streams have joined; os.fork() calls this."};
static PyMethodDef after_fork_def = {
    "after_fork", after_fork, METH_NOARGS,
    "after_fork($module, /)\n--\n\nForget what is the parent's to send; os.fork() calls this in the child."};

int
tc_stream_init_fork(PyObject *module, tc_state *state)
{
    PyObject *os = PyImport_ImportModule("os"), *result = NULL;
    PyObject *method = os != NULL ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *before = method != NULL ? PyCFunction_New(&before_fork_def, module) : NULL;
    PyObject *after = before != NULL ? PyCFunction_New(&after_fork_def, module) : NULL;
    PyObject *empty = after != NULL ? PyTuple_New(0) : NULL;
    PyObject *named =
        empty != NULL ? Py_BuildValue("{sOsO}", "before", before, "after_in_child", after) : NULL;
    if (named != NULL) {
        result = PyObject_Call(method, empty, named);
    }
    Py_XDECREF(named);
    Py_XDECREF(empty);
    Py_XDECREF(after);
    Py_XDECREF(before);
    Py_XDECREF(method);
    Py_XDECREF(os);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}
