/* The C base of httputil.HTTPHeaders, a multi-map of header fields that is lazy inside, and what
 * http_headers.h promises of it to the rest of C. How fields are kept is the business of
 * http_headers_fields.c; pairs are walked and written out in http_headers_pairs.c. Called by Python code and
 * by the HTTP drivers, on any thread that holds the interpreter's lock.
 *
 * Methods that subclasses override are called as methods: C recognises its own by the identity of slots and
 * functions. What may run Python: overridden methods, a replaced _normalize_header, and names or values that
 * are not str. */
#include "http/http_headers_parts.h"

#include "base/args.h"
#include "http/http_names.h"

static PyObject *headers_getitem(HeadersObject *self, PyObject *key);
static int headers_setitem(HeadersObject *self, PyObject *key, PyObject *value);
static int headers_contains(HeadersObject *self, PyObject *key);
static PyObject *headers_iter(HeadersObject *self);
static int headers_init(HeadersObject *self, PyObject *args, PyObject *kwargs);
static PyObject *headers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
static PyObject *headers_add(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
static PyObject *headers_parse_line(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs,
                                    PyObject *kwnames);

/* -- what a class has overridden ------------------------------------------------------------------------ */

/* True if the method that `type` has under `name` is the C function given. */
static bool
headers_is_own(PyTypeObject *type, PyObject *name, void *function)
{
    PyObject *found = _PyType_Lookup(type, name); /* borrowed */
    return found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
           (void *)((PyMethodDescrObject *)found)->d_method->ml_meth == function;
}

static inline bool
headers_own_add(HeadersObject *self)
{
    return headers_is_own(Py_TYPE(self), self->state->str_add, headers_add);
}

/* Is update() the one of MutableMapping? (The bare C base has none.) */
static bool
headers_own_update(tc_state *state, PyTypeObject *type)
{
    PyObject *found = _PyType_Lookup(type, state->str_update);
    return found == NULL ||
           found == _PyType_Lookup((PyTypeObject *)state->mutable_mapping, state->str_update);
}

static inline bool
headers_own_setitem(PyObject *obj)
{
    PyMappingMethods *mapping = Py_TYPE(obj)->tp_as_mapping;
    return mapping != NULL && mapping->mp_ass_subscript == (objobjargproc)headers_setitem;
}

static inline bool
headers_own_getitem(PyObject *obj)
{
    PyMappingMethods *mapping = Py_TYPE(obj)->tp_as_mapping;
    return mapping != NULL && mapping->mp_subscript == (binaryfunc)headers_getitem;
}

static inline bool
headers_own_contains(PyObject *obj)
{
    PySequenceMethods *sequence = Py_TYPE(obj)->tp_as_sequence;
    return sequence != NULL && sequence->sq_contains == (objobjproc)headers_contains;
}

bool
tc_headers_plain(PyObject *obj)
{
    return headers_own_getitem(obj) && Py_TYPE(obj)->tp_iter == (getiterfunc)headers_iter &&
           headers_is_own(Py_TYPE(obj), ((HeadersObject *)obj)->state->str_get_all, tc_headers_get_all);
}

int
tc_headers_check(tc_state *state, PyObject *obj)
{
    return PyObject_TypeCheck(obj, state->headers_type) && tc_headers_plain(obj);
}

/* -- adding and parsing
 * --------------------------------------------------------------------------------------- */

/* As headers_put, through the methods of a class that overrides __contains__ or __setitem__. */
static int
headers_put_checked(HeadersObject *self, PyObject *name, PyObject *value)
{
    PyObject *obj = (PyObject *)self;
    if (TC_LIKELY(headers_own_contains(obj) && headers_own_setitem(obj))) {
        return tc_headers_put(self, name, value);
    }
    int found = PySequence_Contains(obj, name);
    if (found <= 0) {
        return found < 0 ? -1 : PyObject_SetItem(obj, name, value);
    }
    PyObject *fields = tc_headers_fields(self), *slot;
    if (fields == NULL || (found = PyDict_GetItemRef(fields, name, &slot)) < 0) {
        return -1;
    }
    if (found == 0) {
        PyErr_SetObject(PyExc_KeyError, name);
        return -1;
    }
    int result = tc_headers_append(self, name, slot, value);
    Py_DECREF(slot);
    return result;
}

/* add(name, value) of this class, whatever subclasses make of it. */
static int
headers_add_pair(HeadersObject *self, PyObject *name, PyObject *value, bool chars_are_bytes)
{
    if (!PyUnicode_Check(name)) {
        return tc_headers_raise_not_str(name);
    }
    if (!tc_headers_is_token(PyUnicode_KIND(name), PyUnicode_DATA(name), 0, PyUnicode_GET_LENGTH(name))) {
        return tc_headers_raise_invalid(self->state, "name", name);
    }
    if (tc_headers_check_value(self->state, value, chars_are_bytes) < 0) {
        return -1;
    }
    PyObject *normalized = tc_names_normalize(self->state, name);
    if (normalized == NULL) {
        return -1;
    }
    int result = headers_put_checked(self, normalized, value);
    Py_DECREF(normalized);
    return result;
}

/* Calls a method of self that takes one or two arguments and the keyword _chars_are_bytes. */
static int
headers_call_overridden(HeadersObject *self, PyObject *method, PyObject *first, PyObject *second,
                        bool chars_are_bytes)
{
    PyObject *kwnames = PyTuple_Pack(1, self->state->str__chars_are_bytes);
    if (kwnames == NULL) {
        return -1;
    }
    PyObject *args[4] = {(PyObject *)self, first};
    size_t nargs = 2;
    if (second != NULL) {
        args[nargs++] = second;
    }
    args[nargs] = chars_are_bytes ? Py_True : Py_False;
    PyObject *result = PyObject_VectorcallMethod(method, args, nargs, kwnames);
    Py_DECREF(kwnames);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* parse_line(text[start:end]) of this class. */
static int
headers_parse_span(HeadersObject *self, PyObject *text, Py_ssize_t start, Py_ssize_t end,
                   bool chars_are_bytes)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    if (start < end && PyUnicode_READ(kind, data, end - 1) == '\n') {
        end--;
        if (start < end && PyUnicode_READ(kind, data, end - 1) == '\n') {
            end--; /* as in Tornado, a second line feed right before the last one goes too */
        }
        if (start < end && PyUnicode_READ(kind, data, end - 1) == '\r') {
            end--;
        }
    }
    if (start == end) {
        return 0;
    }
    if (tc_headers_is_blank(PyUnicode_READ(kind, data, start))) {
        return tc_headers_raise(self->state,
                                "header line cannot start with whitespace, folding not supported");
    }
    Py_ssize_t colon = PyUnicode_FindChar(text, ':', start, end, 1);
    if (colon < 0) {
        return colon == -1 ? tc_headers_raise(self->state, "no colon in header line") : -1;
    }
    Py_ssize_t from = colon + 1, to = end;
    while (from < to && tc_headers_is_blank(PyUnicode_READ(kind, data, from))) {
        from++;
    }
    while (from < to && tc_headers_is_blank(PyUnicode_READ(kind, data, to - 1))) {
        to--;
    }
    PyObject *name = PyUnicode_Substring(text, start, colon);
    PyObject *value = PyUnicode_Substring(text, from, to);
    int result = -1;
    if (name != NULL && value != NULL) {
        if (TC_LIKELY(headers_own_add(self))) {
            result = headers_add_pair(self, name, value, chars_are_bytes);
        }
        else {
            result = headers_call_overridden(self, self->state->str_add, name, value, chars_are_bytes);
        }
    }
    Py_XDECREF(name);
    Py_XDECREF(value);
    return result;
}

/* -- life cycle ----------------------------------------------------------------------------------------- */

static PyObject *
headers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    if (state == NULL) {
        return NULL;
    }
    HeadersObject *self = (HeadersObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

static int
headers_traverse(HeadersObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->fields);
    Py_VISIT(self->combined);
    return 0;
}

static int
headers_clear(HeadersObject *self)
{
    Py_CLEAR(self->fields);
    Py_CLEAR(self->combined);
    self->exposed = false;
    return 0;
}

static void
headers_dealloc(HeadersObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tc_headers_reset(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
headers_add_visit(void *arg, PyObject *name, PyObject *value)
{
    HeadersObject *self = arg;
    if (TC_LIKELY(headers_own_add(self))) {
        return headers_add_pair(self, name, value, true);
    }
    PyObject *args[3] = {(PyObject *)self, name, value};
    PyObject *result = PyObject_VectorcallMethod(self->state->str_add, args, 3, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* self.update(*args, **kwargs), as a method. */
static int
headers_call_update(HeadersObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *update = PyObject_GetAttr((PyObject *)self, self->state->str_update);
    PyObject *result = update != NULL ? PyObject_Call(update, args, kwargs) : NULL;
    Py_XDECREF(update);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Sets every item of a dict. Only for exact dicts, and while nothing that this calls runs Python. */
static int
headers_set_all(HeadersObject *self, PyObject *dict)
{
    PyObject *name, *value;
    for (Py_ssize_t pos = 0; PyDict_Next(dict, &pos, &name, &value);) {
        PyObject *normalized = tc_names_normalize(self->state, name);
        int result = normalized != NULL ? tc_headers_store(self, normalized, value) : -1;
        Py_XDECREF(normalized);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

/* May headers_set_all take the items of this dict? */
static bool
headers_may_set_all(HeadersObject *self, PyObject *dict)
{
    PyObject *name, *value;
    if (!PyDict_CheckExact(dict) || !headers_own_setitem((PyObject *)self) ||
        tc_names_replaced(self->state)) {
        return false;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(dict, &pos, &name, &value);) {
        if (!PyUnicode_CheckExact(name) || !PyUnicode_IS_ASCII(name)) {
            return false;
        }
    }
    return true;
}

static int
headers_init(HeadersObject *self, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t nargs = PyTuple_GET_SIZE(args);
    bool has_kwargs = kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0;
    tc_headers_reset(self);
    if (nargs == 1 && !has_kwargs &&
        PyObject_TypeCheck(PyTuple_GET_ITEM(args, 0), self->state->headers_type)) {
        int result = tc_headers_each(PyTuple_GET_ITEM(args, 0), headers_add_visit, self);
        return result == 0 ? 0 : -1;
    }
    if (TC_LIKELY(headers_own_update(self->state, Py_TYPE(self)))) {
        if (nargs == 0 && !has_kwargs) {
            return 0;
        }
        if (nargs == 1 && !has_kwargs && headers_may_set_all(self, PyTuple_GET_ITEM(args, 0))) {
            return headers_set_all(self, PyTuple_GET_ITEM(args, 0));
        }
        if (nargs == 0 && headers_may_set_all(self, kwargs)) {
            return headers_set_all(self, kwargs);
        }
    }
    return headers_call_update(self, args, kwargs);
}

/* -- methods -------------------------------------------------------------------------------------------- */

/* Sorts the arguments of a method with `count` parameters and the keyword-only _chars_are_bytes. */
static int
headers_args(tc_state *state, const char *method, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject *const *names, Py_ssize_t count, PyObject **out, bool *chars_are_bytes)
{
    *chars_are_bytes = true;
    if (TC_LIKELY(kwnames == NULL)) {
        if (tc_args_check(method, nargs, count, count) < 0) {
            return -1;
        }
        memcpy(out, args, (size_t)count * sizeof(PyObject *));
        return 0;
    }
    if (nargs > count) {
        return tc_args_check(method, nargs, count, count);
    }
    if (tc_args_parse(method, args, nargs, kwnames, names, count + 1, count, out) < 0) {
        return -1;
    }
    int truth = out[count] != NULL ? PyObject_IsTrue(out[count]) : 1;
    *chars_are_bytes = truth > 0;
    return truth < 0 ? -1 : 0;
}

PyDoc_STRVAR(
    headers_add_doc,
    "add($self, name, value, *, _chars_are_bytes=True)\n--\n\n"
    "Append a value, keeping those that the header already has.\n\n"
    "Raises HTTPInputError if the name is not a token or the value has characters that no header may\n"
    "carry.");

static PyObject *
headers_add(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[3] = {state->str_name, state->str_value, state->str__chars_are_bytes}, *out[3];
    bool chars_are_bytes;
    if (headers_args(state, "add", args, nargs, kwnames, names, 2, out, &chars_are_bytes) < 0 ||
        headers_add_pair(self, out[0], out[1], chars_are_bytes) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(headers_get_list_doc,
             "get_list($self, name)\n--\n\n"
             "All values of a header, in the order they were added; an empty list if there are none.");

static PyObject *
headers_get_list(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_name}, *out[1], *slot = NULL;
    if (tc_args_parse("get_list", args, nargs, kwnames, names, 1, 1, out) < 0) {
        return NULL;
    }
    PyObject *name = tc_names_normalize(self->state, out[0]);
    PyObject *fields = name != NULL ? tc_headers_fields(self) : NULL;
    int found = fields != NULL ? PyDict_GetItemRef(fields, name, &slot) : -1;
    if (found == 0) {
        slot = PyList_New(0);
    }
    else if (found > 0 && !PyList_CheckExact(slot) && !self->exposed) {
        /* The caller gets the list itself, not a copy: it is ours from now on. */
        if (tc_headers_store_list(self, name, slot) < 0) {
            Py_CLEAR(slot);
        }
        else {
            Py_SETREF(slot, Py_XNewRef(PyDict_GetItemWithError(fields, name)));
        }
    }
    Py_XDECREF(name);
    return slot;
}

PyDoc_STRVAR(
    headers_parse_line_doc,
    "parse_line($self, line, *, _chars_are_bytes=True)\n--\n\n"
    "Add the header of one line, with or without its line end.\n\n"
    "Does nothing for an empty line. Raises HTTPInputError for a line without a colon and for one that\n"
    "begins with white space, which would continue the line before: that is not supported.");

static PyObject *
headers_parse_line(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[2] = {state->str_line, state->str__chars_are_bytes}, *out[2];
    bool chars_are_bytes;
    if (headers_args(state, "parse_line", args, nargs, kwnames, names, 1, out, &chars_are_bytes) < 0) {
        return NULL;
    }
    if (!PyUnicode_Check(out[0])) {
        tc_headers_raise_not_str(out[0]);
        return NULL;
    }
    if (headers_parse_span(self, out[0], 0, PyUnicode_GET_LENGTH(out[0]), chars_are_bytes) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* self.parse_line(text[start:end]) as a method where a class overrides it. */
static int
headers_parse_one(PyObject *headers, tc_state *state, PyObject *text, Py_ssize_t start, Py_ssize_t end,
                  bool chars_are_bytes)
{
    HeadersObject *self = (HeadersObject *)headers;
    if (TC_LIKELY(headers_is_own(Py_TYPE(headers), state->str_parse_line, headers_parse_line))) {
        return headers_parse_span(self, text, start, end, chars_are_bytes);
    }
    PyObject *line = PyUnicode_Substring(text, start, end);
    if (line == NULL) {
        return -1;
    }
    int result = headers_call_overridden(self, state->str_parse_line, line, NULL, chars_are_bytes);
    Py_DECREF(line);
    return result;
}

PyDoc_STRVAR(headers_parse_doc,
             "parse($type, headers, *, _chars_are_bytes=True)\n--\n\n"
             "Make an instance of the text of a header block, lines ended by CRLF or LF.\n\n"
             "Raises HTTPInputError for a malformed line.");

static PyObject *
headers_parse(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = tc_state_of(type);
    if (state == NULL) {
        return NULL;
    }
    PyObject *names[2] = {state->str_headers, state->str__chars_are_bytes}, *out[2];
    bool chars_are_bytes;
    if (headers_args(state, "parse", args, nargs, kwnames, names, 1, out, &chars_are_bytes) < 0) {
        return NULL;
    }
    PyObject *text = out[0];
    PyObject *self = PyObject_CallNoArgs((PyObject *)type);
    if (self == NULL) {
        return NULL;
    }
    if (!PyUnicode_Check(text)) { /* str.find's error, or that of having no find */
        PyObject *found = PyObject_CallMethod(text, "find", "si", "\n", 0);
        if (found != NULL) {
            Py_DECREF(found);
            tc_headers_raise_not_str(text);
        }
        goto error;
    }
    if (!PyObject_TypeCheck(self, state->headers_type)) {
        PyErr_Format(PyExc_TypeError, "%.200s() did not make an HTTPHeaders", type->tp_name);
        goto error;
    }
    Py_ssize_t start = 0, size = PyUnicode_GET_LENGTH(text);
    for (;;) {
        Py_ssize_t eol = PyUnicode_FindChar(text, '\n', start, size, 1);
        if (eol == -2) {
            goto error;
        }
        Py_ssize_t end = eol >= 0 ? eol + 1 : size;
        if (headers_parse_one(self, state, text, start, end, chars_are_bytes) < 0) {
            goto error;
        }
        if (eol < 0) {
            return self;
        }
        start = end;
    }
error:
    Py_DECREF(self);
    return NULL;
}

static PyObject *
headers_getitem(HeadersObject *self, PyObject *key)
{
    PyObject *name = tc_names_normalize(self->state, key);
    if (name == NULL) {
        return NULL;
    }
    PyObject *value = tc_headers_lookup(self, name);
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, name);
    }
    Py_DECREF(name);
    return value;
}

static int
headers_setitem(HeadersObject *self, PyObject *key, PyObject *value)
{
    PyObject *name = tc_names_normalize(self->state, key);
    if (name == NULL) {
        return -1;
    }
    int result = -1;
    if (value != NULL) {
        result = tc_headers_store(self, name, value);
    }
    else {
        PyObject *fields = Py_XNewRef(tc_headers_fields(self));
        if (fields != NULL && tc_headers_dict_discard(self->combined, name) >= 0) {
            result = PyDict_DelItem(fields, name);
        }
        Py_XDECREF(fields);
    }
    Py_DECREF(name);
    return result;
}

static int
headers_contains(HeadersObject *self, PyObject *key)
{
    if (!PyUnicode_Check(key)) {
        return 0;
    }
    PyObject *name = tc_names_normalize(self->state, key);
    PyObject *fields = name != NULL ? tc_headers_fields(self) : NULL;
    int found = fields != NULL ? PyDict_Contains(fields, name) : -1;
    Py_XDECREF(name);
    return found;
}

static Py_ssize_t
headers_length(HeadersObject *self)
{
    PyObject *fields = tc_headers_fields(self);
    return fields != NULL ? PyDict_GET_SIZE(fields) : -1;
}

static PyObject *
headers_iter(HeadersObject *self)
{
    PyObject *fields = tc_headers_fields(self);
    return fields != NULL ? PyObject_GetIter(fields) : NULL;
}

PyDoc_STRVAR(headers_get_doc,
             "get($self, key, default=None)\n--\n\n"
             "The value of a header, several joined by commas, or the default if there is none.");

static PyObject *
headers_get(HeadersObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    tc_state *state = self->state;
    PyObject *names[2] = {state->str_key, state->str_default}, *out[2], *value;
    if (tc_args_parse("get", args, nargs, kwnames, names, 2, 1, out) < 0) {
        return NULL;
    }
    PyObject *fallback = out[1] != NULL ? out[1] : Py_None;
    if (TC_LIKELY(headers_own_getitem((PyObject *)self))) {
        PyObject *name = tc_names_normalize(state, out[0]);
        value = name != NULL ? tc_headers_lookup(self, name) : NULL;
        Py_XDECREF(name);
        if (value == NULL && !PyErr_Occurred()) {
            return Py_NewRef(fallback);
        }
    }
    else {
        value = PyObject_GetItem((PyObject *)self, out[0]);
    }
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        return Py_NewRef(fallback);
    }
    return value;
}

PyDoc_STRVAR(headers_copy_doc, "copy($self, /)\n--\n\n"
                               "A new HTTPHeaders with the same values, independent of this one.");
PyDoc_STRVAR(headers_dunder_copy_doc, "__copy__($self, /)\n--\n\n"
                                      "As copy(): the copy's lists of values are its own.");

static PyObject *
headers_copy(HeadersObject *self, PyObject *ignored)
{
    PyObject *face = tc_face(self->state, HTTPHeaders, "tornado_c.httputil");
    return face != NULL ? PyObject_CallOneArg(face, (PyObject *)self) : NULL;
}

/* Appends "name: value\n" to a list of str. */
static int
headers_str_visit(void *arg, PyObject *name, PyObject *value)
{
    PyObject *line = PyUnicode_FromFormat("%S: %S\n", name, value);
    int result = line != NULL ? PyList_Append(arg, line) : -1;
    Py_XDECREF(line);
    return result;
}

PyDoc_STRVAR(headers_unicode_doc, "__unicode__($self, /)\n--\n\n"
                                  "As str(): a line for each value.");

static PyObject *
headers_str(HeadersObject *self)
{
    PyObject *lines = PyList_New(0), *empty = PyUnicode_New(0, 0), *text = NULL;
    if (lines != NULL && empty != NULL && tc_headers_each((PyObject *)self, headers_str_visit, lines) == 0) {
        text = PyUnicode_Join(empty, lines);
    }
    Py_XDECREF(lines);
    Py_XDECREF(empty);
    return text;
}

static PyObject *
headers_unicode(HeadersObject *self, PyObject *ignored)
{
    return headers_str(self);
}

PyDoc_STRVAR(headers_getstate_doc, "__getstate__($self, /)\n--\n\n"
                                   "What pickle keeps: the attributes, those of Tornado's own HTTPHeaders.");

static PyObject *
headers_getstate(HeadersObject *self, PyObject *ignored)
{
    PyObject *attributes = NULL;
    PyObject *result = tc_headers_expose(self) == 0 ? PyDict_New() : NULL;
    if (result == NULL || PyDict_SetItem(result, self->state->str__as_list, self->fields) < 0 ||
        PyDict_SetItem(result, self->state->str__combined_cache, self->combined) < 0 ||
        PyObject_GetOptionalAttr((PyObject *)self, self->state->str___dict__, &attributes) < 0 ||
        (attributes != NULL && PyDict_Update(result, attributes) < 0)) {
        Py_CLEAR(result);
    }
    Py_XDECREF(attributes);
    return result;
}

static int
headers_take_dict(HeadersObject *self, PyObject **field, PyObject *value)
{
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "the values of HTTPHeaders are kept in a dict");
        return -1;
    }
    if (tc_headers_expose(self) < 0) {
        return -1;
    }
    Py_XSETREF(*field, Py_NewRef(value));
    return 0;
}

PyDoc_STRVAR(headers_setstate_doc,
             "__setstate__($self, state, /)\n--\n\n"
             "Restore what __getstate__ gave, or the dict of a pickled HTTPHeaders of Tornado's.");

static PyObject *
headers_setstate(HeadersObject *self, PyObject *values)
{
    PyObject *attributes = NULL, *key, *value;
    if (!PyDict_Check(values)) {
        PyErr_Format(PyExc_TypeError, "state must be a dict, not %.200s", Py_TYPE(values)->tp_name);
        return NULL;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(values, &pos, &key, &value);) {
        int result, is_list = PyObject_RichCompareBool(key, self->state->str__as_list, Py_EQ);
        int is_cache = PyObject_RichCompareBool(key, self->state->str__combined_cache, Py_EQ);
        if (is_list < 0 || is_cache < 0) {
            goto error;
        }
        if (is_list) {
            result = headers_take_dict(self, &self->fields, value);
        }
        else if (is_cache) {
            result = headers_take_dict(self, &self->combined, value);
        }
        else {
            if (attributes == NULL &&
                (attributes = PyObject_GetAttr((PyObject *)self, self->state->str___dict__)) == NULL) {
                goto error;
            }
            result = PyObject_SetItem(attributes, key, value);
        }
        if (result < 0) {
            goto error;
        }
    }
    Py_XDECREF(attributes);
    Py_RETURN_NONE;
error:
    Py_XDECREF(attributes);
    return NULL;
}

PyDoc_STRVAR(headers_reduce_doc, "__reduce__($self, /)\n--\n\n"
                                 "For pickle and copy.deepcopy: the class and __getstate__().");

static PyObject *
headers_reduce(HeadersObject *self, PyObject *ignored)
{
    PyObject *values = PyObject_CallMethodNoArgs((PyObject *)self, self->state->str___getstate__);
    if (values == NULL) {
        return NULL;
    }
    return Py_BuildValue("O(O)N", self->state->copyreg_newobj, Py_TYPE(self), values);
}

static PyObject *
headers_get_as_list(HeadersObject *self, void *closure)
{
    return tc_headers_expose(self) == 0 ? Py_NewRef(self->fields) : NULL;
}

static int
headers_set_as_list(HeadersObject *self, PyObject *value, void *closure)
{
    return headers_take_dict(self, &self->fields, value);
}

static PyObject *
headers_get_combined_cache(HeadersObject *self, void *closure)
{
    return tc_headers_expose(self) == 0 ? Py_NewRef(self->combined) : NULL;
}

static int
headers_set_combined_cache(HeadersObject *self, PyObject *value, void *closure)
{
    return headers_take_dict(self, &self->combined, value);
}

PyDoc_STRVAR(headers_from_block_doc,
             "_from_block($type, block, /)\n--\n\n"
             "A new HTTPHeaders over the bytes of a valid header block, parsed when first touched.");

static PyObject *
headers_from_block(PyTypeObject *type, PyObject *block)
{
    tc_state *state = tc_state_of(type);
    char *data;
    Py_ssize_t size;
    if (state == NULL || PyBytes_AsStringAndSize(block, &data, &size) < 0) {
        return NULL;
    }
    return tc_headers_from_block(state, data, (size_t)size);
}

PyDoc_STRVAR(headers_serialize_doc, "_serialize($self, /)\n--\n\n"
                                    "The lines of a message head as bytes, each ended by CRLF.\n\n"
                                    "Raises ValueError for CR, LF or NUL in a line.");

static PyObject *
headers_serialize(HeadersObject *self, PyObject *ignored)
{
    tc_bytes_buf out = {0};
    PyObject *result = NULL;
    if (tc_headers_serialize((PyObject *)self, &out) == 0) {
        result = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
    }
    tc_buf_free(&out);
    return result;
}

PyDoc_STRVAR(headers_get_all_doc,
             "get_all($self, /)\n--\n\n"
             "An iterator of (name, value) pairs; a name with several values comes once for each.");

/* -- for C ---------------------------------------------------------------------------------------------- */

/* Is a new instance of the face an empty one, with no Python to run? */
static bool
headers_new_is_plain(tc_state *state, PyObject *face)
{
    PyTypeObject *type = (PyTypeObject *)face;
    return PyType_Check(face) && type->tp_new == headers_new && type->tp_init == (initproc)headers_init &&
           headers_own_update(state, type);
}

PyObject *
tc_headers_new(tc_state *state)
{
    PyObject *face = tc_face(state, HTTPHeaders, "tornado_c.httputil");
    if (face == NULL) {
        return NULL;
    }
    if (TC_UNLIKELY(!headers_new_is_plain(state, face))) {
        return PyObject_CallNoArgs(face);
    }
    PyTypeObject *type = (PyTypeObject *)face;
    HeadersObject *self = (HeadersObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

PyObject *
tc_headers_from_block(tc_state *state, const char *block, size_t size)
{
    PyObject *obj = tc_headers_new(state);
    if (obj == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(obj, state->headers_type)) {
        PyErr_SetString(PyExc_TypeError, "the registered HTTPHeaders is not a HeadersBase");
        Py_DECREF(obj);
        return NULL;
    }
    HeadersObject *self = (HeadersObject *)obj;
    char *copy = size > 0 ? PyMem_Malloc(size) : NULL;
    if (copy == NULL) {
        if (size == 0) {
            return obj;
        }
        Py_DECREF(obj);
        return PyErr_NoMemory();
    }
    memcpy(copy, block, size);
    PyMem_Free(self->block);
    self->block = copy;
    self->block_size = size;
    return obj;
}

int
tc_headers_set(PyObject *headers, PyObject *normalized_name, PyObject *value)
{
    if (TC_LIKELY(headers_own_setitem(headers))) {
        return tc_headers_store((HeadersObject *)headers, normalized_name, value);
    }
    return PyObject_SetItem(headers, normalized_name, value);
}

PyObject *
tc_headers_get(PyObject *headers, PyObject *normalized_name)
{
    if (TC_LIKELY(headers_own_getitem(headers))) {
        return tc_headers_lookup((HeadersObject *)headers, normalized_name);
    }
    PyObject *value = PyObject_GetItem(headers, normalized_name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
    }
    return value;
}

int
tc_headers_contains(PyObject *headers, PyObject *normalized_name)
{
    if (TC_LIKELY(headers_own_contains(headers))) {
        PyObject *fields = tc_headers_fields((HeadersObject *)headers);
        return fields != NULL ? PyDict_Contains(fields, normalized_name) : -1;
    }
    return PySequence_Contains(headers, normalized_name);
}

int
tc_headers_discard(PyObject *headers, PyObject *normalized_name)
{
    int found = tc_headers_contains(headers, normalized_name);
    if (found <= 0) {
        return found;
    }
    if (TC_LIKELY(headers_own_setitem(headers))) {
        HeadersObject *self = (HeadersObject *)headers;
        if (tc_headers_dict_discard(self->combined, normalized_name) < 0) {
            return -1;
        }
        return tc_headers_fields(self) != NULL ? tc_headers_dict_discard(self->fields, normalized_name) : -1;
    }
    return PyObject_DelItem(headers, normalized_name) < 0 ? -1 : 1;
}

/* -- the type ------------------------------------------------------------------------------------------- */

static PyMethodDef headers_methods[] = {
    {"add", (PyCFunction)headers_add, METH_FASTCALL | METH_KEYWORDS, headers_add_doc},
    {"get_list", (PyCFunction)headers_get_list, METH_FASTCALL | METH_KEYWORDS, headers_get_list_doc},
    {"get_all", (PyCFunction)tc_headers_get_all, METH_NOARGS, headers_get_all_doc},
    {"get", (PyCFunction)headers_get, METH_FASTCALL | METH_KEYWORDS, headers_get_doc},
    {"parse_line", (PyCFunction)headers_parse_line, METH_FASTCALL | METH_KEYWORDS, headers_parse_line_doc},
    {"parse", (PyCFunction)headers_parse, METH_FASTCALL | METH_KEYWORDS | METH_CLASS, headers_parse_doc},
    {"copy", (PyCFunction)headers_copy, METH_NOARGS, headers_copy_doc},
    {"_from_block", (PyCFunction)headers_from_block, METH_O | METH_CLASS, headers_from_block_doc},
    {"_serialize", (PyCFunction)headers_serialize, METH_NOARGS, headers_serialize_doc},
    {"__copy__", (PyCFunction)headers_copy, METH_NOARGS, headers_dunder_copy_doc},
    {"__unicode__", (PyCFunction)headers_unicode, METH_NOARGS, headers_unicode_doc},
    {"__getstate__", (PyCFunction)headers_getstate, METH_NOARGS, headers_getstate_doc},
    {"__setstate__", (PyCFunction)headers_setstate, METH_O, headers_setstate_doc},
    {"__reduce__", (PyCFunction)headers_reduce, METH_NOARGS, headers_reduce_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef headers_getset[] = {
    {"_as_list", (getter)headers_get_as_list, (setter)headers_set_as_list,
     "The dict of all values: name -> list.", NULL},
    {"_combined_cache", (getter)headers_get_combined_cache, (setter)headers_set_combined_cache,
     "The dict of combined values that are known.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(headers_doc, "HeadersBase(*args, **kwargs)\n--\n\nThe C part of httputil.HTTPHeaders.");

static PyType_Slot headers_slots[] = {
    {Py_tp_doc, (void *)headers_doc},
    {Py_tp_new, headers_new},
    {Py_tp_init, headers_init},
    {Py_tp_traverse, headers_traverse},
    {Py_tp_clear, headers_clear},
    {Py_tp_dealloc, headers_dealloc},
    {Py_tp_iter, headers_iter},
    {Py_tp_str, headers_str},
    {Py_tp_methods, headers_methods},
    {Py_tp_getset, headers_getset},
    {Py_mp_length, headers_length},
    {Py_mp_subscript, headers_getitem},
    {Py_mp_ass_subscript, headers_setitem},
    {Py_sq_contains, headers_contains},
    {0, NULL},
};

static PyType_Spec headers_spec = {
    .name = "tornado_c._core.HeadersBase",
    .basicsize = sizeof(HeadersObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = headers_slots,
};

int
tc_headers_init_type(PyObject *module, tc_state *state)
{
    state->headers_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &headers_spec, NULL);
    return state->headers_type != NULL ? PyModule_AddType(module, state->headers_type) : -1;
}
