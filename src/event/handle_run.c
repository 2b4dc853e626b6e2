/* Runs handles, ours and foreign ones, and reports what their callbacks raise. Called by the loop's turn and
 * by Handle._run. Runs Python. */
#include "event/handle.h"

/* An exception left the callback: tell the loop's handler, as asyncio words it. */
static int
handle_report(LoopCore *core, PyObject *handle)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return -1;
    }
    tc_state *state = core->state;
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *callback = SLOT(handle, callback) != NULL ? SLOT(handle, callback) : Py_None;
    PyObject *args = PyObject_GetAttr(handle, state->str__args);
    PyObject *text = NULL, *message = NULL, *context = NULL, *done = NULL;
    if (args == NULL) {
        goto done;
    }
    PyObject *call[] = {callback, args};
    text = PyObject_Vectorcall(state->format_callback_source, call, 2, NULL);
    if (text == NULL || (message = PyUnicode_FromFormat("Exception in callback %U", text)) == NULL) {
        goto done;
    }
    context = PyDict_New();
    if (context == NULL || PyDict_SetItem(context, state->str_message, message) < 0 ||
        PyDict_SetItem(context, state->str_exception, exc) < 0 ||
        PyDict_SetItem(context, state->str_handle, handle) < 0) {
        goto done;
    }
    PyObject *source = SLOT(handle, source_traceback);
    if (source != NULL && PyObject_IsTrue(source) == 1 &&
        PyDict_SetItem(context, state->str_source_traceback, source) < 0) {
        goto done;
    }
    done = PyObject_CallMethodOneArg(tc_core_asyncio(core), state->str_call_exception_handler, context);
done:
    Py_XDECREF(args);
    Py_XDECREF(text);
    Py_XDECREF(message);
    Py_XDECREF(context);
    Py_DECREF(exc);
    if (done == NULL) {
        if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
            return -1;
        }
        PyErr_WriteUnraisable(handle);
        return 0;
    }
    Py_DECREF(done);
    return 0;
}

static PyObject *
handle_call(PyObject *handle, PyObject *callback)
{
    const HandleExtra *extra = EXTRA(handle);
    if (extra->nargs < 0) {
        PyObject *args = Py_NewRef(SLOT(handle, args));
        PyObject *result = PyObject_Call(callback, args, NULL);
        Py_DECREF(args);
        return result;
    }
    /* Cancelling the handle from within drops its references: hold our own over the call. */
    int nargs = extra->nargs;
    PyObject *stack[3] = {NULL, nargs >= 1 ? Py_NewRef(extra->arg0) : NULL,
                          nargs >= 2 ? Py_NewRef(extra->arg1) : NULL};
    PyObject *result =
        PyObject_Vectorcall(callback, stack + 1, (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(stack[1]);
    Py_XDECREF(stack[2]);
    return result;
}

/* Runs a foreign handle, one that a subclass or a test put into the queue. */
static int
handle_run_foreign(LoopCore *core, PyObject *handle)
{
    PyObject *result = PyObject_CallMethodNoArgs(handle, core->state->str__run);
    if (result == NULL) {
        return tc_core_report(core, "Exception in callback", handle) == TC_RAISED ? -1 : 0;
    }
    Py_DECREF(result);
    return 0;
}

int
tc_handle_run(LoopCore *core, PyObject *handle)
{
    if (TC_UNLIKELY(!tc_handle_is_ours(core->state, handle))) {
        return handle_run_foreign(core, handle);
    }
    PyObject *context = Py_NewRef(SLOT(handle, context));
    PyObject *callback = Py_NewRef(SLOT(handle, callback));
    PyObject *result = NULL;
    int status = 0;
    if (PyContext_Enter(context) == 0) {
        result = handle_call(handle, callback);
        PyObject *exc = result == NULL ? PyErr_GetRaisedException() : NULL;
        if (PyContext_Exit(context) < 0) {
            PyErr_WriteUnraisable(handle);
        }
        if (exc != NULL) {
            PyErr_SetRaisedException(exc);
        }
    }
    if (TC_UNLIKELY(result == NULL)) {
        status = handle_report(core, handle);
    }
    else {
        Py_DECREF(result);
    }
    Py_DECREF(context);
    Py_DECREF(callback);
    return status;
}

bool
tc_handle_is_cancelled(LoopCore *core, PyObject *handle)
{
    if (TC_LIKELY(tc_handle_is_ours(core->state, handle))) {
        return SLOT(handle, cancelled) == Py_True;
    }
    PyObject *cancelled = PyObject_GetAttr(handle, core->state->str__cancelled);
    bool yes = cancelled != NULL && PyObject_IsTrue(cancelled) == 1;
    Py_XDECREF(cancelled);
    PyErr_Clear();
    return yes;
}
