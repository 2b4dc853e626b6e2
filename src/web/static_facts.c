/* What is known of static files: what follows from a path below a folder, and from the time when the file
 * was changed. Python finds it for the first request, see tornado_c/_web/static.py. Runs no Python. */
#include "web/static_file.h"

#include "base/args.h"
#include "http/http_date_text.h"

#define FACTS_MAX 1024 /* of a folder; then they are found anew */
#define FOLDERS_MAX 64

/* dict[key] of a dict with keys of str, borrowed; NULL without an exception. */
static PyObject *
dict_peek(PyObject *dict, PyObject *key)
{
    PyObject *found = dict != NULL && PyDict_CheckExact(dict) ? PyDict_GetItemWithError(dict, key) : NULL;
    if (found == NULL) {
        PyErr_Clear();
    }
    return found;
}

PyObject *
tc_static_facts_find(tc_state *state, PyObject *root, PyObject *path)
{
    return dict_peek(dict_peek(state->static_facts, root), path);
}

/* dict[key], made a new dict where it is missing; one that is full is emptied. Borrowed. */
static PyObject *
facts_folder(tc_state *state, PyObject *root)
{
    if (state->static_facts == NULL && (state->static_facts = PyDict_New()) == NULL) {
        return NULL;
    }
    PyObject *found = dict_peek(state->static_facts, root);
    if (found != NULL) {
        if (PyDict_GET_SIZE(found) >= FACTS_MAX) {
            PyDict_Clear(found);
        }
        return found;
    }
    if (PyDict_GET_SIZE(state->static_facts) >= FOLDERS_MAX) {
        PyDict_Clear(state->static_facts);
    }
    PyObject *made = PyDict_New();
    int st = made != NULL ? PyDict_SetItem(state->static_facts, root, made) : -1;
    Py_XDECREF(made);
    return st == 0 ? made : NULL;
}

static bool
is_text(PyObject *obj)
{
    return PyUnicode_CheckExact(obj);
}

/* Could C use what static_files.type_by_suffix() has returned? Its items become the last of the facts. */
static bool
type_is_usable(PyObject *type)
{
    return PyTuple_CheckExact(type) && PyTuple_GET_SIZE(type) == 5 && is_text(PyTuple_GET_ITEM(type, 0)) &&
           is_text(PyTuple_GET_ITEM(type, 1)) && PyDict_CheckExact(PyTuple_GET_ITEM(type, 3));
}

static bool
link_is_usable(PyObject *link)
{
    return link == Py_None ||
           (PyTuple_CheckExact(link) && PyTuple_GET_SIZE(link) == 2 &&
            PyBytes_CheckExact(PyTuple_GET_ITEM(link, 0)) && PyBytes_CheckExact(PyTuple_GET_ITEM(link, 1)));
}

/* A new tuple, or NULL with an exception. */
static PyObject *
facts_new(PyObject *absolute_path, PyObject *link, PyObject *modified, double seconds, PyObject *type)
{
    PyObject *facts[TC_FACT_COUNT] = {
        [TC_FACT_ABSOLUTE_PATH] = Py_NewRef(absolute_path),        [TC_FACT_LINK] = Py_NewRef(link),
        [TC_FACT_SECONDS] = PyFloat_FromDouble(seconds),           [TC_FACT_MODIFIED] = Py_NewRef(modified),
        [TC_FACT_LAST_MODIFIED] = tc_http_datetime_text(modified),
    };
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type); i++) {
        facts[TC_FACT_CONTENT_TYPE + i] = Py_NewRef(PyTuple_GET_ITEM(type, i));
    }
    PyObject *tuple = NULL;
    if (facts[TC_FACT_LAST_MODIFIED] == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "modified must be a datetime in UTC");
    }
    else if (facts[TC_FACT_LAST_MODIFIED] != NULL &&
             PyUnicode_FSConverter(absolute_path, &facts[TC_FACT_FILE_NAME])) {
        tuple = PyTuple_New(TC_FACT_COUNT);
    }
    for (Py_ssize_t i = 0; i < TC_FACT_COUNT; i++) {
        if (tuple != NULL) {
            PyTuple_SET_ITEM(tuple, i, facts[i]);
        }
        else {
            Py_XDECREF(facts[i]);
        }
    }
    return tuple;
}

PyObject *
tc_static_remember(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    tc_state *state = PyModule_GetState(module);
    if (tc_args_check("remember_static_file", nargs, 7, 7) < 0) {
        return NULL;
    }
    double seconds = PyFloat_AsDouble(args[5]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    for (int i = 0; i < 3; i++) {
        if (!is_text(args[i])) {
            return PyErr_Format(PyExc_TypeError, "paths must be str, not %.200s", Py_TYPE(args[i])->tp_name);
        }
    }
    if (!link_is_usable(args[3])) {
        PyErr_SetString(PyExc_TypeError, "link must be None or a tuple of two bytes");
        return NULL;
    }
    if (!type_is_usable(args[6])) {
        PyErr_SetString(PyExc_TypeError, "content_type must be what static_files.type_by_suffix() returns");
        return NULL;
    }
    PyObject *facts = facts_new(args[2], args[3], args[4], seconds, args[6]);
    PyObject *folder = facts != NULL ? facts_folder(state, args[0]) : NULL;
    int st = folder != NULL ? PyDict_SetItem(folder, args[1], facts) : -1;
    Py_XDECREF(facts);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

/* Whether a table of mimetypes has this, NULL for nothing, for the suffix of a file. */
static bool
facts_table_has(PyObject *facts, PyObject *table, PyObject *expected)
{
    PyObject *dict = Py_XNewRef(dict_peek(PyTuple_GET_ITEM(facts, TC_FACT_MIMETYPES), table));
    PyObject *found = dict_peek(dict, PyTuple_GET_ITEM(facts, TC_FACT_SUFFIX)); /* is compared only */
    Py_XDECREF(dict);
    return dict != NULL && found == expected;
}

bool
tc_static_facts_type_holds(tc_state *state, PyObject *facts)
{
    PyObject *kind = PyTuple_GET_ITEM(facts, TC_FACT_KIND);
    return facts_table_has(facts, state->str_types_map, kind != Py_None ? kind : NULL) &&
           facts_table_has(facts, state->str_suffix_map, NULL) &&
           facts_table_has(facts, state->str_encodings_map, NULL) &&
           dict_peek(PyTuple_GET_ITEM(facts, TC_FACT_MIMETYPES), state->str_guess_type) ==
               PyTuple_GET_ITEM(facts, TC_FACT_GUESS);
}
