/* The JSON of a dict that a handler writes. As long as nothing has been replaced that json.dumps() would use, C writes
 * what it can (json_text.c), and one encoder is kept for the rest, where json.dumps() makes a new one in C for
 * each call; the Python half, _json_tools() in upcalls.py, makes it and says what to watch. Else
 * escape.json_encode() is called. Runs Python in the encoder, for what it has to ask the dict's values. */
#include "web/json.h"

#include "web/hooks.h"

/* What _json_tools() returns: (encoder, its markers, the class of json's own encoder, what is watched). */
enum { TOOL_ENCODE, TOOL_MARKERS, TOOL_CLASS, TOOL_WATCHED, TOOL_COUNT };

/* Has the dict still these values under these names? `exact`: and no others. */
static bool
json_has_values(PyObject *dict, PyObject *expected, bool exact)
{
    PyObject *name, *value;
    if (exact && PyDict_GET_SIZE(dict) != PyDict_GET_SIZE(expected)) {
        return false;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(expected, &pos, &name, &value);) {
        if (PyDict_GetItemWithError(dict, name) != value) {
            PyErr_Clear();
            return false;
        }
    }
    return true;
}

/* Watched are dicts: (dict, what it must have, whether it may have more). */
static bool
json_is_unchanged(tc_state *state, PyObject *watched)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(watched); i++) {
        PyObject *one = PyTuple_GET_ITEM(watched, i), *dict = PyTuple_GET_ITEM(one, 0);
        uint64_t version = tc_dict_version(dict);
        if (version != 0 && version == state->json_versions[i]) {
            continue;
        }
        if (!json_has_values(dict, PyTuple_GET_ITEM(one, 1), PyTuple_GET_ITEM(one, 2) == Py_True)) {
            return false;
        }
        state->json_versions[i] = version;
    }
    return true;
}

/* The version of the class of json's encoder; 0 where it has none. */
static unsigned
json_class_version(tc_state *state, PyTypeObject *type)
{
    if (type->tp_version_tag == 0) {
        (void)_PyType_Lookup(type, state->str_default);
    }
    return type->tp_version_tag;
}

/* Could C use these tools? None says that json has been changed. */
static bool
json_is_usable(PyObject *tools)
{
    if (tools == Py_None) {
        return true;
    }
    if (!PyTuple_Check(tools) || PyTuple_GET_SIZE(tools) != TOOL_COUNT ||
        !PyDict_Check(PyTuple_GET_ITEM(tools, TOOL_MARKERS)) ||
        !PyType_Check(PyTuple_GET_ITEM(tools, TOOL_CLASS)) ||
        !PyTuple_Check(PyTuple_GET_ITEM(tools, TOOL_WATCHED))) {
        return false;
    }
    PyObject *watched = PyTuple_GET_ITEM(tools, TOOL_WATCHED);
    bool usable = PyTuple_GET_SIZE(watched) <= TC_JSON_WATCHED;
    for (Py_ssize_t i = 0; usable && i < PyTuple_GET_SIZE(watched); i++) {
        PyObject *one = PyTuple_GET_ITEM(watched, i);
        usable = PyTuple_Check(one) && PyTuple_GET_SIZE(one) == 3 && PyDict_Check(PyTuple_GET_ITEM(one, 0)) &&
                 PyDict_Check(PyTuple_GET_ITEM(one, 1));
    }
    return usable;
}

static int
json_make_tools(tc_state *state)
{
    PyObject *make = tc_upcall(state, json_tools);
    PyObject *tools = make != NULL ? PyObject_CallNoArgs(make) : NULL;
    if (tools != NULL && !json_is_usable(tools)) {
        PyErr_SetString(PyExc_TypeError, "json_tools() must return an encoder and what to watch");
        Py_CLEAR(tools);
    }
    if (tools == NULL) {
        return -1;
    }
    if (tools != Py_None) {
        state->json_tag = json_class_version(state, (PyTypeObject *)PyTuple_GET_ITEM(tools, TOOL_CLASS));
    }
    memset(state->json_versions, 0, sizeof(state->json_versions));
    Py_XSETREF(state->json_tools, tools);
    return 0;
}

/* Has json's class of encoders been changed since? */
static bool
json_is_outdated(tc_state *state)
{
    PyObject *tools = state->json_tools;
    return tools == NULL || (tools != Py_None &&
                             json_class_version(state, (PyTypeObject *)PyTuple_GET_ITEM(tools, TOOL_CLASS)) !=
                                 state->json_tag);
}

/* Tools that may be used now, borrowed; NULL without an exception where json.dumps() has to be called. */
static PyObject *
json_tools(tc_state *state)
{
    if (TC_UNLIKELY(json_is_outdated(state)) && json_make_tools(state) < 0) {
        return NULL;
    }
    PyObject *tools = state->json_tools;
    if (tools == Py_None || state->json_busy ||
        !json_is_unchanged(state, PyTuple_GET_ITEM(tools, TOOL_WATCHED))) {
        return NULL;
    }
    return tools;
}

/* What json.dumps() returns. */
static PyObject *
json_dumps(tc_state *state, PyObject *tools, PyObject *dict)
{
    PyObject *zero = PyLong_FromLong(0), *text = NULL;
    PyObject *args[3] = {NULL, dict, zero};
    Py_INCREF(tools);
    state->json_busy = true; /* what is asked for a value may write a dict, too */
    PyObject *pieces = PyObject_Vectorcall(PyTuple_GET_ITEM(tools, TOOL_ENCODE), args + 1,
                                           2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    state->json_busy = false;
    if (pieces == NULL) {
        PyDict_Clear(PyTuple_GET_ITEM(tools, TOOL_MARKERS)); /* which dicts and lists it was in */
    }
    else if (PyTuple_CheckExact(pieces) && PyTuple_GET_SIZE(pieces) == 1) {
        text = Py_NewRef(PyTuple_GET_ITEM(pieces, 0));
    }
    else {
        PyObject *empty = PyUnicode_FromStringAndSize(NULL, 0);
        text = empty != NULL ? PyUnicode_Join(empty, pieces) : NULL;
        Py_XDECREF(empty);
    }
    Py_XDECREF(zero);
    Py_XDECREF(pieces);
    Py_DECREF(tools);
    return text;
}

/* Writes "</" as "<\/", as escape.json_encode() does. */
static PyObject *
json_escape(PyObject *text) /* steals */
{
    if (text == NULL || PyUnicode_FindChar(text, '<', 0, PyUnicode_GET_LENGTH(text), 1) < 0) {
        return text;
    }
    PyObject *end = PyUnicode_FromString("</"), *escaped = PyUnicode_FromString("<\\/");
    PyObject *result = end != NULL && escaped != NULL ? PyUnicode_Replace(text, end, escaped, -1) : NULL;
    Py_XDECREF(end);
    Py_XDECREF(escaped);
    Py_DECREF(text);
    return result;
}

PyObject *
tc_json_encode(tc_state *state, PyObject *dict)
{
    PyObject *tools = json_tools(state);
    if (TC_LIKELY(tools != NULL)) {
        PyObject *bytes = tc_json_bytes(state, dict);
        return bytes != NULL || PyErr_Occurred() ? bytes : json_escape(json_dumps(state, tools, dict));
    }
    return !PyErr_Occurred() ? tc_web_call(state, json_encode, dict) : NULL;
}
