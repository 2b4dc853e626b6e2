/* Runs handles, ours and foreign ones, and reports what their callbacks raise. Called by turn.c and
 * fd_callbacks.c. Runs Python. */
#include "base/context.h"
#include "event/handle.h"
#include "event/ioloop.h"
#include "event/stack.h"

#include <limits.h>

/* Whether a callback is of the generation before asyncio: the end of an engine, or a function of wrap(). */
static bool
handle_is_old(tc_state *state, PyObject *callback)
{
    if (callback == NULL || !PyFunction_Check(callback) || state->upcall_stack_wrap == NULL) {
        return false;
    }
    PyObject *names = PyFunction_GET_GLOBALS(callback), *wrap = state->upcall_stack_wrap;
    return names == state->upcall_gen_namespace ||
           (PyFunction_Check(wrap) && names == PyFunction_GET_GLOBALS(wrap));
}

/* Reports the callback's exception to the loop's handler, in asyncio's words; where nobody there can know the
 * callback, to the IOLoop. */
static int
handle_report(LoopCore *core, PyObject *handle)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return -1;
    }
    tc_state *state = core->state;
    if (handle_is_old(state, SLOT(handle, callback)) && tc_ioloop_report(core, SLOT(handle, callback)) == 0) {
        return 0;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *callback = Py_NewRef(SLOT(handle, callback) != NULL ? SLOT(handle, callback) : Py_None);
    PyObject *source = Py_XNewRef(SLOT(handle, source_traceback));
    PyObject *args = PyObject_GetAttr(handle, state->str__args);
    PyObject *text = NULL, *message = NULL, *context = NULL, *done = NULL;
    if (args == NULL) {
        goto done;
    }
    PyObject *call[] = {callback, args};
    text = PyObject_Vectorcall(state->format_callback_source, call, 2, NULL);
    if (text == NULL || (message = PyUnicode_FromFormat("Exception in callback %S", text)) == NULL) {
        goto done;
    }
    context = PyDict_New();
    if (context == NULL || PyDict_SetItem(context, state->str_message, message) < 0 ||
        PyDict_SetItem(context, state->str_exception, exc) < 0 ||
        PyDict_SetItem(context, state->str_handle, handle) < 0) {
        goto done;
    }
    int traced = source != NULL ? PyObject_IsTrue(source) : 0;
    if (traced < 0) {
        PyErr_Clear(); /* the callback's exception matters more */
    }
    if (traced > 0 && PyDict_SetItem(context, state->str_source_traceback, source) < 0) {
        goto done;
    }
    done = PyObject_CallMethodOneArg(tc_core_asyncio(core), state->str_call_exception_handler, context);
done:
    Py_DECREF(callback);
    Py_XDECREF(source);
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

/* Calls in the contexts of stack_context, too, unless that is `inside` of them; ours do so themselves. */
static inline PyObject *
handle_call_function(tc_state *state, PyObject *callback, PyObject *const *args, size_t nargsf, bool inside)
{
    if (tc_stack_is_used(state) && !inside && callback != state->ioloop_run &&
        callback != state->stream_run_callback) {
        return tc_stack_call_inside(state, callback, args, nargsf);
    }
    return PyObject_Vectorcall(callback, args, nargsf, NULL);
}

static PyObject *
handle_call(tc_state *state, PyObject *handle, PyObject *callback, bool inside)
{
    const HandleExtra *extra = EXTRA(handle);
    if (extra->nargs < 0) {
        PyObject *args = Py_NewRef(SLOT(handle, args));
        PyObject *result = handle_call_function(state, callback, &PyTuple_GET_ITEM(args, 0),
                                                (size_t)PyTuple_GET_SIZE(args), inside);
        Py_DECREF(args);
        return result;
    }
    /* Cancelling the handle from within drops its references: hold our own over the call. */
    int nargs = extra->nargs;
    PyObject *stack[3] = {NULL, nargs >= 1 ? Py_NewRef(extra->arg0) : NULL,
                          nargs >= 2 ? Py_NewRef(extra->arg1) : NULL};
    PyObject *result = handle_call_function(state, callback, stack + 1,
                                            (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, inside);
    Py_XDECREF(stack[1]);
    Py_XDECREF(stack[2]);
    return result;
}

/* By its _run(): a foreign handle, one of ours whose slots hold what we do not expect, or one whose _run was
 * replaced. */
static int
handle_run_by_method(LoopCore *core, PyObject *handle)
{
    PyObject *result = PyObject_CallMethodNoArgs(handle, core->state->str__run);
    if (result == NULL) {
        return tc_core_report(core, "Exception in callback", handle) == TC_RAISED ? -1 : 0;
    }
    Py_DECREF(result);
    return 0;
}

/* Whether _run is asyncio's own for this type of ours. Tools replace it at run time, in asyncio's classes or
 * in ours; either changes the type's version, for which the result is kept. */
static bool
handle_find_run(tc_state *state, PyTypeObject *type, unsigned *known)
{
    PyObject *run = _PyType_Lookup(type, state->str__run); /* borrowed */
    bool own =
        run != NULL && PyFunction_Check(run) && PyFunction_GET_GLOBALS(run) == state->asyncio_events_dict;
    *known = own && type->tp_version_tag != 0 ? type->tp_version_tag : UINT_MAX;
    return own;
}

/* Whether the handle may be run from here, as its _run would. */
static inline bool
handle_is_native(tc_state *state, PyObject *handle)
{
    PyTypeObject *type = Py_TYPE(handle);
    unsigned *known;
    if (TC_LIKELY(type == state->handle_type)) {
        known = &state->handle_run_tag;
    }
    else if (type == state->timer_handle_type) {
        known = &state->timer_handle_run_tag;
    }
    else {
        return false;
    }
    if (TC_UNLIKELY(type->tp_version_tag != *known) && !handle_find_run(state, type, known)) {
        return false;
    }
    PyObject *context = SLOT(handle, context);
    if (TC_UNLIKELY(context == NULL || !PyContext_CheckExact(context) || SLOT(handle, callback) == NULL)) {
        return false;
    }
    if (TC_LIKELY(EXTRA(handle)->nargs >= 0)) {
        return true;
    }
    PyObject *args = SLOT(handle, args);
    return args != NULL && PyTuple_CheckExact(args);
}

static inline int
handle_run(LoopCore *core, PyObject *handle, bool inside)
{
    if (TC_UNLIKELY(!handle_is_native(core->state, handle))) {
        return handle_run_by_method(core, handle);
    }
    PyObject *context = Py_NewRef(SLOT(handle, context));
    PyObject *callback = Py_NewRef(SLOT(handle, callback));
    PyObject *result = NULL;
    int status = 0;
    if (PyContext_Enter(context) == 0) {
        result = handle_call(core->state, handle, callback, inside);
        tc_context_exit(context, result == NULL, handle);
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

int
tc_handle_run(LoopCore *core, PyObject *handle)
{
    return handle_run(core, handle, false);
}

int
tc_handle_run_inside(LoopCore *core, PyObject *handle)
{
    return handle_run(core, handle, true);
}

bool
tc_handle_is_cancelled(LoopCore *core, PyObject *handle)
{
    if (TC_LIKELY(tc_handle_is_ours(core->state, handle))) {
        PyObject *slot = SLOT(handle, cancelled);
        if (TC_LIKELY(slot == Py_False || slot == Py_True)) {
            return slot == Py_True;
        }
    }
    PyObject *cancelled = PyObject_GetAttr(handle, core->state->str__cancelled);
    bool yes = cancelled != NULL && PyObject_IsTrue(cancelled) == 1;
    Py_XDECREF(cancelled);
    PyErr_Clear();
    return yes;
}
