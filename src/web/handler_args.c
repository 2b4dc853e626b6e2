/* Arguments of a request as handlers ask for them: decoded, without control characters, stripped. */
#include "web/handler.h"

#include "base/args.h"

/* ---- decoding ---- */

/* HTTPError(400, "Invalid unicode in ...") for bytes that are not UTF-8. */
static PyObject *
argument_raise_invalid(tc_state *state, PyObject *value, PyObject *name)
{
    PyObject *error = tc_face(state, HTTPError);
    PyObject *start = error != NULL ? PyBytes_FromStringAndSize(PyBytes_AS_STRING(value),
                                                                Py_MIN(PyBytes_GET_SIZE(value), 40))
                                    : NULL;
    int named = start != NULL && name != NULL ? PyObject_IsTrue(name) : 0;
    PyObject *where = named > 0 ? Py_NewRef(name) : named == 0 ? PyUnicode_FromString("url") : NULL;
    PyObject *message = start != NULL && where != NULL
                            ? PyUnicode_FromFormat("Invalid unicode in %S: %R", where, start)
                            : NULL;
    PyObject *exc = message != NULL ? PyObject_CallFunction(error, "iO", 400, message) : NULL;
    Py_XDECREF(start);
    Py_XDECREF(where);
    Py_XDECREF(message);
    tc_handler_raise(exc);
    return NULL;
}

static PyObject *
argument_decode(tc_state *state, PyObject *value, PyObject *name)
{
    if (value == Py_None || PyUnicode_Check(value)) {
        return Py_NewRef(value);
    }
    if (!PyBytes_Check(value)) {
        return PyErr_Format(PyExc_TypeError, "Expected bytes, unicode, or None; got %R", Py_TYPE(value));
    }
    PyObject *text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return argument_raise_invalid(state, value, name);
    }
    return text;
}

PyObject *
tc_handler_decode_argument(HandlerObject *self, PyObject *value, PyObject *name)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_decode_argument))) {
        return argument_decode(self->state, value, name);
    }
    PyObject *args[3] = {(PyObject *)self, value, name};
    return PyObject_VectorcallMethod(self->state->str_decode_argument, args, 2,
                                     name != NULL ? self->state->kw_name : NULL);
}

PyDoc_STRVAR(handler_decode_argument_doc,
             "decode_argument($self, value, name=None)\n--\n\n"
             "The text of an argument's bytes, which are UTF-8 unless this is overridden.\n\n"
             "Used for arguments and for what the groups of a route match.\n\n"
             ":param name: None for an unnamed group.\n"
             ":raises HTTPError: with status 400.");

static PyObject *
handler_decode_argument(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[2] = {self->state->str_value, self->state->str_name}, *out[2];
    if (tc_args_parse("decode_argument", args, nargs, kwnames, names, 2, 1, out) < 0) {
        return NULL;
    }
    return argument_decode(self->state, out[0], tc_arg_or_null(out[1]));
}

/* The text with a space for each control character but tab, line feed, vertical tab, form feed and carriage
 * return. */
static PyObject *
argument_without_controls(PyObject *text) /* steals */
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t size = PyUnicode_GET_LENGTH(text), i = 0;
    for (; i < size; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        if (TC_UNLIKELY(c < 0x20 && (c < 0x09 || c > 0x0d))) {
            break;
        }
    }
    if (TC_LIKELY(i == size)) {
        return text;
    }
    PyObject *clean = PyUnicode_New(size, PyUnicode_MAX_CHAR_VALUE(text));
    if (clean != NULL) {
        for (i = 0; i < size; i++) {
            Py_UCS4 c = PyUnicode_READ(kind, data, i);
            PyUnicode_WRITE(PyUnicode_KIND(clean), PyUnicode_DATA(clean), i,
                            c < 0x20 && (c < 0x09 || c > 0x0d) ? ' ' : c);
        }
    }
    Py_DECREF(text);
    return clean;
}

/* text.strip(), which mostly leaves it as it is. */
static PyObject *
argument_strip(tc_state *state, PyObject *text) /* steals */
{
    Py_ssize_t size = PyUnicode_CheckExact(text) ? PyUnicode_GET_LENGTH(text) : 0;
    if (TC_LIKELY(size > 0 && !Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(text, 0)) &&
                  !Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(text, size - 1)))) {
        return text;
    }
    PyObject *stripped = PyObject_CallMethodNoArgs(text, state->str_strip);
    Py_DECREF(text);
    return stripped;
}

/* One value as get_arguments() lists it. */
static PyObject *
handler_argument_text(HandlerObject *self, PyObject *value, PyObject *name, bool strip)
{
    PyObject *text = tc_handler_decode_argument(self, value, name);
    if (text != NULL && PyUnicode_Check(text)) {
        text = argument_without_controls(text);
    }
    return text != NULL && strip ? argument_strip(self->state, text) : text;
}

/* ---- lists ---- */

/* A list of the texts of source[name]. */
static PyObject *
handler_list_arguments(HandlerObject *self, PyObject *name, PyObject *source, bool strip)
{
    PyObject *values = NULL;
    if (TC_LIKELY(PyDict_Check(source))) {
        if (PyDict_GetItemRef(source, name, &values) < 0) {
            return NULL;
        }
    }
    else if ((values = PyObject_CallMethod(source, "get", "O()", name)) == NULL) {
        return NULL;
    }
    PyObject *texts = PyList_New(0),
             *iterator = values != NULL && texts != NULL ? PyObject_GetIter(values) : NULL;
    if (texts != NULL && values != NULL) {
        PyObject *value;
        while (iterator != NULL && (value = PyIter_Next(iterator)) != NULL) {
            PyObject *text = handler_argument_text(self, value, name, strip);
            int st = text != NULL ? PyList_Append(texts, text) : -1;
            Py_DECREF(value);
            Py_XDECREF(text);
            if (st < 0) {
                break;
            }
        }
        if (PyErr_Occurred()) {
            Py_CLEAR(texts);
        }
    }
    Py_XDECREF(iterator);
    Py_XDECREF(values);
    return texts;
}

/* The last of the texts of source[name], where it is a list in a dict and the methods are ours: 1 found, 0
 * none, -1 with an exception, 2 where it has to be looked for in another way. */
static int
handler_find_last(HandlerObject *self, PyObject *name, PyObject *source, PyObject *strip, PyObject **last)
{
    PyObject *values;
    *last = NULL;
    if (!PyDict_CheckExact(source) || !PyBool_Check(strip) ||
        !tc_handler_owns(self, TC_HOOK__get_arguments)) {
        return 2;
    }
    int st = PyDict_GetItemRef(source, name, &values);
    if (st > 0 && !PyList_CheckExact(values)) {
        st = 2;
    }
    for (Py_ssize_t i = 0; st == 1 && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i)); /* decoding may run Python */
        Py_XSETREF(*last, handler_argument_text(self, value, name, strip == Py_True));
        Py_DECREF(value);
        st = *last != NULL ? 1 : -1;
    }
    Py_XDECREF(values);
    return st == 1 ? *last != NULL : st;
}

/* As the method _get_arguments. */
static PyObject *
handler_get_list(HandlerObject *self, PyObject *name, PyObject *source, PyObject *strip)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK__get_arguments))) {
        int truth = PyObject_IsTrue(strip);
        return truth < 0 ? NULL : handler_list_arguments(self, name, source, truth);
    }
    PyObject *args[4] = {(PyObject *)self, name, source, strip};
    return PyObject_VectorcallMethod(self->state->str__get_arguments, args, 4, NULL);
}

/* The last of the texts; else the default; else MissingArgumentError. default_value may be NULL. */
static PyObject *
handler_last_argument(HandlerObject *self, PyObject *name, PyObject *default_value, PyObject *source,
                      PyObject *strip)
{
    PyObject *last;
    int found = handler_find_last(self, name, source, strip, &last);
    if (TC_UNLIKELY(found == 2)) {
        PyObject *texts = handler_get_list(self, name, source, strip);
        Py_ssize_t size = texts != NULL ? PyObject_Length(texts) : -1;
        last = size > 0 ? PySequence_GetItem(texts, size - 1) : NULL;
        found = last != NULL ? 1 : size == 0 ? 0 : -1;
        Py_XDECREF(texts);
    }
    if (found != 0) {
        return last;
    }
    if (default_value != NULL && default_value != self->state->upcall_arg_default) {
        return Py_NewRef(default_value);
    }
    tc_handler_raise(tc_web_call_registered(tc_face(self->state, MissingArgumentError), name));
    return NULL;
}

/* ---- methods ---- */

static PyObject *
handler_get_one(HandlerObject *self, const char *method, PyObject *attr, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[3] = {state->str_name, state->str_default, state->str_strip}, *out[3], *result;
    if (tc_args_parse(method, args, nargs, kwnames, names, 3, 1, out) < 0) {
        return NULL;
    }
    PyObject *source = tc_handler_request_attr(self, attr), *strip = out[2] != NULL ? out[2] : Py_True;
    if (source == NULL) {
        return NULL;
    }
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK__get_argument))) {
        result = handler_last_argument(self, out[0], out[1], source, strip);
    }
    else {
        PyObject *marker = out[1] != NULL ? out[1] : state->upcall_arg_default;
        PyObject *call[5] = {(PyObject *)self, out[0], marker != NULL ? marker : Py_None, source, strip};
        result = PyObject_VectorcallMethod(state->str__get_argument, call, 5, NULL);
    }
    Py_DECREF(source);
    return result;
}

static PyObject *
handler_get_all(HandlerObject *self, const char *method, PyObject *attr, bool check, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[2] = {self->state->str_name, self->state->str_strip}, *out[2];
    if (tc_args_parse(method, args, nargs, kwnames, names, 2, 1, out) < 0) {
        return NULL;
    }
    if (check && out[1] != NULL && !PyBool_Check(out[1])) {
        PyErr_SetNone(PyExc_AssertionError); /* a caller takes strip for get_argument's default */
        return NULL;
    }
    PyObject *source = tc_handler_request_attr(self, attr);
    PyObject *result =
        source != NULL ? handler_get_list(self, out[0], source, out[1] != NULL ? out[1] : Py_True) : NULL;
    Py_XDECREF(source);
    return result;
}

#define TC_DEFINE_GETTERS(prefix, attr, check, where)                                                        \
    PyDoc_STRVAR(handler_get_##prefix##argument_doc,                                                         \
                 "get_" #prefix "argument($self, name, default=..., strip=True)\n--\n\n"                     \
                 "The last value that an argument has in " where ".\n\n"                                     \
                 "Without a default, a missing argument raises MissingArgumentError (400).");                \
    PyDoc_STRVAR(handler_get_##prefix##arguments_doc,                                                        \
                 "get_" #prefix "arguments($self, name, strip=True)\n--\n\n"                                 \
                 "All values that an argument has in " where "; an empty list if there are none.");          \
    static PyObject *handler_get_##prefix##argument(HandlerObject *self, PyObject *const *args,              \
                                                    Py_ssize_t nargs, PyObject *kwnames)                     \
    {                                                                                                        \
        return handler_get_one(self, "get_" #prefix "argument", self->state->str_##attr, args, nargs,        \
                               kwnames);                                                                     \
    }                                                                                                        \
    static PyObject *handler_get_##prefix##arguments(HandlerObject *self, PyObject *const *args,             \
                                                     Py_ssize_t nargs, PyObject *kwnames)                    \
    {                                                                                                        \
        return handler_get_all(self, "get_" #prefix "arguments", self->state->str_##attr, check, args,       \
                               nargs, kwnames);                                                              \
    }

TC_DEFINE_GETTERS(, arguments, true, "the query and the body")
TC_DEFINE_GETTERS(body_, body_arguments, false, "the body")
TC_DEFINE_GETTERS(query_, query_arguments, false, "the query")

PyDoc_STRVAR(handler_get_argument_from_doc, "_get_argument($self, name, default, source, strip=True)\n--\n\n"
                                            "The last value that source has for an argument.");

static PyObject *
handler_get_argument_from(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[4] = {state->str_name, state->str_default, state->str_source, state->str_strip}, *out[4];
    if (tc_args_parse("_get_argument", args, nargs, kwnames, names, 4, 3, out) < 0) {
        return NULL;
    }
    return handler_last_argument(self, out[0], out[1], out[2], out[3] != NULL ? out[3] : Py_True);
}

PyDoc_STRVAR(handler_get_arguments_from_doc, "_get_arguments($self, name, source, strip=True)\n--\n\n"
                                             "All values that source has for an argument.");

static PyObject *
handler_get_arguments_from(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[3] = {state->str_name, state->str_source, state->str_strip}, *out[3];
    if (tc_args_parse("_get_arguments", args, nargs, kwnames, names, 3, 2, out) < 0) {
        return NULL;
    }
    int strip = out[2] != NULL ? PyObject_IsTrue(out[2]) : 1;
    return strip < 0 ? NULL : handler_list_arguments(self, out[0], out[1], strip);
}

PyMethodDef tc_handler_arg_methods[] = {
    {"_get_argument", TC_METHOD(handler_get_argument_from), handler_get_argument_from_doc},
    {"_get_arguments", TC_METHOD(handler_get_arguments_from), handler_get_arguments_from_doc},
    {"decode_argument", TC_METHOD(handler_decode_argument), handler_decode_argument_doc},
    {"get_argument", TC_METHOD(handler_get_argument), handler_get_argument_doc},
    {"get_arguments", TC_METHOD(handler_get_arguments), handler_get_arguments_doc},
    {"get_body_argument", TC_METHOD(handler_get_body_argument), handler_get_body_argument_doc},
    {"get_body_arguments", TC_METHOD(handler_get_body_arguments), handler_get_body_arguments_doc},
    {"get_query_argument", TC_METHOD(handler_get_query_argument), handler_get_query_argument_doc},
    {"get_query_arguments", TC_METHOD(handler_get_query_arguments), handler_get_query_arguments_doc},
    {NULL},
};
