/* Streams in a process that forks while its loop runs. What is joined leaves before the fork: afterwards it
 * would be in two processes, and be sent twice. What waits in queues is the parent's to send. The child has
 * the descriptors too and may write to them by itself, but native consumers (HTTP) read there no more. Runs
 * Python: hooks, and what the queues held. */
#include "stream/stream_parts.h"

/* All streams that have a loop, in a list: what is done to them may make or free others. One that is being
 * deallocated by now has no references. */
static PyObject *
streams_all(tc_state *state)
{
    PyObject *list = PyList_New(0);
    for (tc_link *link = state->streams.next; list != NULL && link != &state->streams; link = link->next) {
        StreamObject *stream = tc_container_of(link, StreamObject, link);
        if (Py_REFCNT(stream) > 0 && stream->core != NULL && PyList_Append(list, (PyObject *)stream) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
before_fork(PyObject *module, PyObject *unused)
{
    tc_state *state = PyModule_GetState(module);
    PyObject *loop = PyObject_CallNoArgs(state->asyncio_get_running_loop);
    PyObject *list = loop != NULL ? streams_all(state) : NULL;
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        StreamObject *stream = (StreamObject *)PyList_GET_ITEM(list, i);
        if (tc_core_asyncio(stream->core) == loop && tc_stream_flush(stream) == TC_RAISED) {
            PyErr_WriteUnraisable((PyObject *)stream);
        }
    }
    Py_XDECREF(loop);
    Py_XDECREF(list);
    return list != NULL ? Py_NewRef(Py_None) : NULL;
}

/* Whether the parent's loop is on the stack of the child: asyncio itself says that none runs here. */
static bool
was_running(LoopCore *core)
{
    if (core->host == NULL) {
        return core->running;
    }
    PyObject *answer = PyObject_CallMethod(core->host, "is_running", NULL);
    int runs = answer != NULL ? PyObject_IsTrue(answer) : -1;
    if (runs < 0) {
        PyErr_WriteUnraisable((PyObject *)core);
    }
    Py_XDECREF(answer);
    return runs > 0;
}

/* Those who wait for the queue are the parent's as well, and are told of nothing until the child writes. */
static void
forget_unsent(StreamObject *self)
{
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
    PyObject *list = streams_all(PyModule_GetState(module));
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        StreamObject *stream = (StreamObject *)PyList_GET_ITEM(list, i);
        if (was_running(stream->core)) {
            stream->inherited = true;
            forget_unsent(stream);
        }
    }
    Py_XDECREF(list);
    return list != NULL ? Py_NewRef(Py_None) : NULL;
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
    tc_list_init(&state->streams);
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
