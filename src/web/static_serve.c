/* The usual request to a StaticFileHandler: what its methods do, without calling them, where they are as
 * we wrote them. What is known of a file is kept from the first request on (static_facts.c), and is that
 * of the file as long as its path is free of symbolic links, of which the root may be one; it is opened
 * and looked at for each. Called by get() of tornado_c/_web/static.py. Runs Python for what is overridden
 * and may be, such as set_extra_headers(). */
#include "web/handler.h"
#include "web/static_file.h"

#include "base/args.h"
#include "http/http_date_text.h"

/* Must be as we wrote it for any of this. */
#define PLAIN                                                                                                \
    (TC_HOOK__convert_header_value | TC_HOOK_flush | TC_HOOK_set_etag_header | TC_HOOK_set_header |          \
     TC_HOOK_write | TC_STATIC_HOOK__get_cached_version | TC_STATIC_HOOK__stat |                             \
     TC_STATIC_HOOK_compute_etag | TC_STATIC_HOOK_get_absolute_path | TC_STATIC_HOOK_get_content |           \
     TC_STATIC_HOOK_get_content_size | TC_STATIC_HOOK_get_modified_time | TC_STATIC_HOOK_parse_url_path |    \
     TC_STATIC_HOOK_set_headers | TC_STATIC_HOOK_should_return_304 | TC_STATIC_HOOK_validate_absolute_path)

/* May be overridden: is called then. */
#define CALLED                                                                                               \
    (TC_STATIC_HOOK_get_cache_time | TC_STATIC_HOOK_get_content_type | TC_STATIC_HOOK_set_extra_headers)

static bool
is_text(PyObject *obj)
{
    return PyUnicode_CheckExact(obj);
}

/* handler.root as a text, which a pathlib.Path gives; a new reference, or NULL, with an exception or
 * without. */
static PyObject *
static_root(HandlerObject *self)
{
    PyObject *root = PyObject_GetAttr((PyObject *)self, self->state->str_root);
    if (root != NULL && !is_text(root)) {
        Py_SETREF(root, PyOS_FSPath(root));
        if (root == NULL) {
            PyErr_Clear(); /* get_absolute_path() says so */
        }
        else if (!is_text(root)) {
            Py_CLEAR(root);
        }
    }
    return root;
}

/* ---- what is told of the file ---- */

/* The version of a file in quotes. */
static PyObject *
static_quote(PyObject *version)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(version);
    PyObject *text = PyUnicode_IS_COMPACT_ASCII(version) ? PyUnicode_New(size + 2, 127)
                                                         : PyUnicode_FromFormat("\"%U\"", version);
    if (text != NULL && PyUnicode_IS_COMPACT_ASCII(version)) {
        Py_UCS1 *data = PyUnicode_1BYTE_DATA(text);
        data[0] = data[size + 1] = '"';
        memcpy(data + 1, PyUnicode_1BYTE_DATA(version), (size_t)size);
    }
    return text;
}

/* The Etag: the version that the class has of the file, which becomes the most recently used one, in
 * quotes. 1; 0 where there is no version yet, or it is not ours; -1. *etag stays NULL where the file has
 * none. */
static int
static_etag(HandlerObject *self, PyObject *absolute_path, PyObject **etag)
{
    PyObject *versions = PyObject_GetAttr((PyObject *)Py_TYPE(self), self->state->str__static_hashes),
             *version;
    if (versions == NULL || !PyDict_CheckExact(versions)) {
        Py_XDECREF(versions);
        return versions != NULL ? 0 : -1;
    }
    int st = PyDict_GetItemRef(versions, absolute_path, &version);
    if (st > 0 && version != Py_None && !is_text(version)) {
        st = 0;
    }
    if (st > 0 && PyDict_GET_SIZE(versions) > 1) {
        st = PyDict_DelItem(versions, absolute_path) < 0 ||
                     PyDict_SetItem(versions, absolute_path, version) < 0
                 ? -1
                 : 1;
    }
    if (st > 0 && version != Py_None && PyUnicode_GET_LENGTH(version) > 0) {
        *etag = static_quote(version);
        st = *etag != NULL ? 1 : -1;
    }
    Py_XDECREF(version);
    Py_DECREF(versions);
    return st;
}

/* handler.get_content_type(), if that is not ours; a new reference. */
static PyObject *
static_content_type(HandlerObject *self, PyObject *facts, uint64_t called)
{
    if (called & TC_STATIC_HOOK_get_content_type) {
        return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_get_content_type);
    }
    return Py_NewRef(PyTuple_GET_ITEM(facts, TC_FACT_CONTENT_TYPE));
}

/* Sets the headers that say how long the response keeps. */
static int
static_set_cache_time(HandlerObject *self, PyObject *path, PyObject *facts, PyObject *type, uint64_t called)
{
    tc_state *state = self->state;
    if (!(called & TC_STATIC_HOOK_get_cache_time) && tc_request_check(state, self->request) &&
        tc_request_has_no_arguments((RequestObject *)self->request)) {
        return 0;
    }
    PyObject *args[4] = {(PyObject *)self, path, PyTuple_GET_ITEM(facts, TC_FACT_MODIFIED), type};
    PyObject *seconds = PyObject_VectorcallMethod(state->str_get_cache_time, args, 4, NULL);
    PyObject *expire = seconds != NULL ? tc_upcall(state, static_expire) : NULL;
    PyObject *done = expire != NULL ? PyObject_CallFunctionObjArgs(expire, self, seconds, NULL) : NULL;
    Py_XDECREF(seconds);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* What set_headers() does. */
static int
static_set_headers(HandlerObject *self, PyObject *path, PyObject *facts, PyObject *etag, uint64_t called)
{
    tc_state *state = self->state;
    if (tc_handler_set_safe_header(self, state->text_accept_ranges, state->text_bytes) < 0 ||
        (etag != NULL && tc_handler_set_header(self, state->str_Etag, etag) < 0) ||
        tc_handler_set_safe_header(self, state->text_last_modified,
                                   PyTuple_GET_ITEM(facts, TC_FACT_LAST_MODIFIED)) < 0) {
        return -1;
    }
    PyObject *type = static_content_type(self, facts, called);
    int st = type != NULL ? PyObject_IsTrue(type) : -1;
    if (st > 0) {
        st = tc_handler_set_header(self, state->text_content_type, type);
    }
    if (st >= 0) {
        st = static_set_cache_time(self, path, facts, type, called);
    }
    Py_XDECREF(type);
    if (st == 0 && (called & TC_STATIC_HOOK_set_extra_headers)) {
        PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, state->str_set_extra_headers, path);
        st = done != NULL ? 0 : -1;
        Py_XDECREF(done);
    }
    return st;
}

/* Sets handler.path, .absolute_path and .modified. */
static int
static_set_attributes(HandlerObject *self, PyObject *path, PyObject *facts)
{
    tc_state *state = self->state;
    PyObject *obj = (PyObject *)self, *absolute_path = PyTuple_GET_ITEM(facts, TC_FACT_ABSOLUTE_PATH);
    return PyObject_SetAttr(obj, state->str_path, path) < 0 ||
                   PyObject_SetAttr(obj, state->str_absolute_path, absolute_path) < 0 ||
                   PyObject_SetAttr(obj, state->str_modified, PyTuple_GET_ITEM(facts, TC_FACT_MODIFIED)) < 0
               ? -1
               : 0;
}

/* handler._static_file, for methods that are not ours. */
static int
static_show_file(HandlerObject *self, PyObject *file, uint64_t called)
{
    return called != 0 ? PyObject_SetAttr((PyObject *)self, self->state->str__static_file, file) : 0;
}

/* Which of the methods that are called if they are overridden are. */
static uint64_t
static_overridden(HandlerObject *self)
{
    uint64_t called = 0;
    for (uint64_t hooks = CALLED, hook; hooks != 0; hooks &= ~hook) {
        hook = hooks & (~hooks + 1);
        called |= tc_handler_owns(self, hook) ? 0 : hook;
    }
    return called;
}

/* ---- a request ---- */

/* Whether If-None-Match is the Etag, as a client sends it that has the file: 1, 0 where
 * should_return_304() has to look, or -1. */
static int
static_is_known(HandlerObject *self, PyObject *etag)
{
    tc_state *state = self->state;
    if (etag == NULL || self->headers == NULL || self->request == NULL ||
        !tc_handler_owns(self, TC_HOOK_check_etag_header) || !tc_request_check(state, self->request) ||
        !tc_request_is_conditional((RequestObject *)self->request) ||
        PyUnicode_FindChar(etag, '"', 1, PyUnicode_GET_LENGTH(etag) - 1, 1) != -1) {
        return 0;
    }
    PyObject *sent = Py_NewRef(self->headers),
             *asked = Py_XNewRef(tc_request_headers((RequestObject *)self->request));
    int known = asked != NULL ? tc_static_header_is(asked, state->text_if_none_match, etag) : 0;
    known = known > 0 ? tc_static_header_is(sent, state->str_Etag, etag) : known;
    Py_XDECREF(asked);
    Py_DECREF(sent);
    return PyErr_Occurred() ? -1 : known;
}

/* Whether the file may be sent as it is. */
static bool
static_may_send(HandlerObject *self)
{
    bool transformed = self->transforms != NULL &&
                       !(PyList_CheckExact(self->transforms) && PyList_GET_SIZE(self->transforms) == 0);
    return !transformed && self->request != NULL && tc_request_check(self->state, self->request);
}

static PyObject *
static_send(HandlerObject *self, StaticFileObject *file, tc_static_part part)
{
    PyObject *size = PyLong_FromSsize_t(part.size), *text = size != NULL ? PyObject_Str(size) : NULL;
    Py_XDECREF(size);
    int st = text != NULL ? tc_handler_set_safe_header(self, self->state->text_content_length, text) : -1;
    Py_XDECREF(text);
    PyObject *sent =
        st == 0 ? tc_handler_flush_file(self, (PyObject *)file, (size_t)part.start, (size_t)part.size) : NULL;
    return sent == Py_None ? (Py_DECREF(sent), Py_NewRef((PyObject *)file)) : sent;
}

/* What is left to be done when the headers are set. */
static PyObject *
static_respond(HandlerObject *self, StaticFileObject *file, PyObject *etag, bool include_body)
{
    int known = static_is_known(self, etag);
    if (known != 0) {
        return known > 0 && tc_handler_set_status(self, 304) == 0 ? Py_NewRef(Py_True) : NULL;
    }
    tc_static_part part;
    int chosen = include_body && static_may_send(self) ? tc_static_choose_part(self, file, etag, &part) : 0;
    return chosen < 0 ? NULL : chosen > 0 ? static_send(self, file, part) : Py_NewRef((PyObject *)file);
}

/* Opens the file, if the root still leads where it led. */
static StaticFileObject *
static_open(tc_state *state, PyObject *facts)
{
    PyObject *link = PyTuple_GET_ITEM(facts, TC_FACT_LINK);
    const char *name = PyBytes_AS_STRING(PyTuple_GET_ITEM(facts, TC_FACT_FILE_NAME));
    if (link == Py_None) {
        return tc_static_file_new(state, name, false, NULL);
    }
    const char *const folders[2] = {PyBytes_AS_STRING(PyTuple_GET_ITEM(link, 0)),
                                    PyBytes_AS_STRING(PyTuple_GET_ITEM(link, 1))};
    return tc_static_file_new(state, name, false, folders);
}

/* What serve_static_file() does, with what is known of the file. */
static PyObject *
static_serve_file(HandlerObject *self, PyObject *path, PyObject *facts, bool include_body)
{
    tc_state *state = self->state;
    StaticFileObject *file = static_open(state, facts);
    PyObject *etag = NULL, *result = NULL;
    if (file == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    int known = file->modified == PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(facts, TC_FACT_SECONDS)) &&
                        tc_static_facts_type_holds(state, facts)
                    ? static_etag(self, PyTuple_GET_ITEM(facts, TC_FACT_ABSOLUTE_PATH), &etag)
                    : 0;
    uint64_t called = static_overridden(self);
    if (known == 0) {
        result = Py_NewRef(Py_None);
    }
    else if (known > 0 && static_set_attributes(self, path, facts) == 0 &&
             static_show_file(self, (PyObject *)file, called) == 0 &&
             static_set_headers(self, path, facts, etag, called) == 0 &&
             static_show_file(self, Py_None, called) == 0) {
        result = static_respond(self, file, etag, include_body);
    }
    Py_XDECREF(etag);
    Py_DECREF(file);
    return result;
}

/* Whether a handler is as we wrote it, and its connection may take files from here. */
static bool
static_is_plain(tc_state *state, PyObject *handler)
{
    return PyObject_TypeCheck(handler, state->request_handler_type) && tc_hooks_own(state, handler, PLAIN) &&
           tc_handler_conn((HandlerObject *)handler) != NULL;
}

PyObject *
tc_static_serve(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    tc_state *state = PyModule_GetState(module);
    int include_body;
    if (tc_args_check("serve_static_file", nargs, 3, 3) < 0 ||
        (include_body = PyObject_IsTrue(args[2])) < 0) {
        return NULL;
    }
    if (!is_text(args[1]) || !static_is_plain(state, args[0])) {
        Py_RETURN_NONE;
    }
    HandlerObject *self = (HandlerObject *)args[0];
    PyObject *root = static_root(self);
    PyObject *links = root != NULL ? PyObject_GetAttr(args[0], state->str_allowed_symlink_directory) : NULL;
    PyObject *facts = links == Py_None ? Py_XNewRef(tc_static_facts_find(state, root, args[1])) : NULL;
    PyObject *result = NULL;
    if (facts != NULL) {
        result = static_serve_file(self, args[1], facts, include_body);
    }
    else if (!PyErr_Occurred()) {
        result = Py_NewRef(Py_None);
    }
    Py_XDECREF(root);
    Py_XDECREF(links);
    Py_XDECREF(facts);
    return result;
}
