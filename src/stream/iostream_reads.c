/* IOStream's read methods, in both generations of the interface: a callable as the second positional
 * argument, or callback=, selects that of 2.x-4.x, where the method returns None and the callback is called
 * in a later turn; max_bytes may follow there. Otherwise a Future is returned. The read itself is in
 * stream_read.c. Runs Python. */
#include "base/args.h"
#include "stream/iostream.h"

/* Delimiters and expressions: bytes, or in the callback interface str, which is encoded as UTF-8. New
 * reference. */
static PyObject *
reads_pattern(PyObject *value, const char *what)
{
    if (PyBytes_Check(value)) {
        return Py_NewRef(value);
    }
    if (PyUnicode_Check(value)) {
        return PyUnicode_AsUTF8String(value);
    }
    return PyErr_Format(PyExc_TypeError, "a bytes-like object is required for the %s, not '%.100s'", what,
                        Py_TYPE(value)->tp_name);
}

/* Whether the arguments after the first are in the order of 4.x: the callback, then max_bytes. */
static bool
reads_old_order(tc_state *state, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs < 2 || args[1] != Py_None) {
        return nargs >= 2 && PyCallable_Check(args[1]);
    }
    if (nargs > 2) {
        return args[2] != Py_None && !PyCallable_Check(args[2]);
    }
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, i), state->str_max_bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* Of read_until and read_until_regex: out becomes the pattern, max_bytes and the callback, as tc_args_sort. */
static int
reads_sort(tc_state *state, const char *method, PyObject *pattern, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames, PyObject **out)
{
    bool old = reads_old_order(state, args, nargs, kwnames);
    PyObject *const names[] = {pattern, old ? state->str_callback : state->str_max_bytes,
                               old ? state->str_max_bytes : state->str_callback};
    PyObject *found[3];
    if (tc_args_parse(method, args, nargs, kwnames, names, 3, 1, found) < 0) {
        return -1;
    }
    out[0] = found[0];
    out[1] = tc_arg_or_null(found[old ? 2 : 1]);
    out[2] = tc_arg_or_null(found[old ? 1 : 2]);
    if (out[1] != NULL && out[2] == NULL && PyCallable_Check(out[1])) { /* max_bytes=callback */
        out[2] = out[1];
        out[1] = NULL;
    }
    return 0;
}

static int
reads_max_bytes(PyObject *value, Py_ssize_t *max_bytes)
{
    *max_bytes = -1;
    if (value == NULL) {
        return 0;
    }
    *max_bytes = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    return *max_bytes == -1 && PyErr_Occurred() ? -1 : 0;
}

PyObject *
tc_iostream_read_until(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *v[3];
    if (TC_LIKELY(nargs == 1 && kwnames == NULL && PyBytes_CheckExact(args[0]))) {
        tc_read request = {.kind = TC_READ_UNTIL, .pattern = args[0], .max_bytes = -1};
        return tc_stream_check_ready(self) < 0 ? NULL : tc_stream_start_read(self, &request, NULL, NULL);
    }
    if (tc_stream_check_ready(self) < 0 ||
        reads_sort(state, "read_until", state->str_delimiter, args, nargs, kwnames, v) < 0) {
        return NULL;
    }
    tc_read request = {.kind = TC_READ_UNTIL};
    if (reads_max_bytes(v[1], &request.max_bytes) < 0 ||
        !(request.pattern = reads_pattern(v[0], "delimiter"))) {
        return NULL;
    }
    PyObject *result = tc_stream_start_read(self, &request, v[2], NULL);
    Py_DECREF(request.pattern);
    return result;
}

PyObject *
tc_iostream_read_until_regex(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *v[3];
    if (tc_stream_check_ready(self) < 0 ||
        reads_sort(state, "read_until_regex", state->str_regex, args, nargs, kwnames, v) < 0) {
        return NULL;
    }
    tc_read request = {.kind = TC_READ_REGEX};
    if (reads_max_bytes(v[1], &request.max_bytes) < 0) {
        return NULL;
    }
    PyObject *source = PyUnicode_Check(v[0]) ? PyUnicode_AsUTF8String(v[0]) : Py_NewRef(v[0]);
    request.pattern = source != NULL ? PyObject_CallOneArg(state->re_compile, source) : NULL;
    Py_XDECREF(source);
    if (request.pattern == NULL) {
        return NULL;
    }
    PyObject *result = tc_stream_start_read(self, &request, v[2], NULL);
    Py_DECREF(request.pattern);
    return result;
}

PyObject *
tc_iostream_read_bytes(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_num_bytes, state->str_callback, state->str_streaming_callback,
                               state->str_partial};
    PyObject *v[4];
    if (tc_stream_check_ready(self) < 0 ||
        tc_args_parse("read_bytes", args, nargs, kwnames, names, 4, 1, v) < 0) {
        return NULL;
    }
    PyObject *callback = tc_arg_or_null(v[1]);
    if (callback != NULL && !PyCallable_Check(callback)) {
        if (v[3] == NULL) {
            v[3] = callback; /* 6.x: read_bytes(n, partial) */
        }
        callback = NULL;
    }
    tc_read request = {.kind = TC_READ_BYTES, .max_bytes = -1};
    if (!PyIndex_Check(v[0])) {
        return PyErr_Format(PyExc_TypeError, "'%.100s' object cannot be interpreted as an integer",
                            Py_TYPE(v[0])->tp_name);
    }
    request.target = PyNumber_AsSsize_t(v[0], PyExc_OverflowError);
    int partial = v[3] != NULL ? PyObject_IsTrue(v[3]) : 0;
    if ((request.target == -1 && PyErr_Occurred()) || partial < 0) {
        return NULL;
    }
    if (request.target < 0) {
        request.target = 0;
    }
    request.partial = partial;
    return tc_stream_start_read(self, &request, callback, tc_arg_or_null(v[2]));
}

PyObject *
tc_iostream_read_until_close(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_callback, state->str_streaming_callback};
    PyObject *v[2];
    if (tc_stream_check_ready(self) < 0 ||
        tc_args_parse("read_until_close", args, nargs, kwnames, names, 2, 0, v) < 0) {
        return NULL;
    }
    tc_read request = {.kind = TC_READ_CLOSE, .max_bytes = -1};
    return tc_stream_start_read(self, &request, tc_arg_or_null(v[0]), tc_arg_or_null(v[1]));
}

PyObject *
tc_iostream_read_into(StreamObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *const names[] = {state->str_buf, state->str_partial};
    PyObject *v[2];
    if (tc_stream_check_ready(self) < 0 ||
        tc_args_parse("read_into", args, nargs, kwnames, names, 2, 1, v) < 0) {
        return NULL;
    }
    int partial = v[1] != NULL ? PyObject_IsTrue(v[1]) : 0;
    tc_read request = {.kind = TC_READ_INTO, .max_bytes = -1, .partial = partial};
    if (partial < 0 || (request.view = PyMem_Calloc(1, sizeof(Py_buffer))) == NULL) {
        return partial < 0 ? NULL : PyErr_NoMemory();
    }
    if (PyObject_GetBuffer(v[0], request.view, PyBUF_WRITABLE) < 0) {
        PyMem_Free(request.view);
        return NULL;
    }
    request.target = request.view->len;
    return tc_stream_start_read(self, &request, NULL, NULL);
}
