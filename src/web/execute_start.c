/* What is done with a request before its method is called, up to prepare(): the method is one that the handler
 * has, a form in the body is whole, what the route has matched is decoded, and requests from other sites are
 * refused. Called by execute.c; each step may run Python. */
#include "web/application.h"
#include "web/execution.h"

#include "http/http_fields.h"

/* Raises HTTPError(status). */
static int
start_raise(tc_state *state, int status)
{
    PyObject *error = tc_face(state, HTTPError);
    return tc_handler_raise(error != NULL ? PyObject_CallFunction(error, "i", status) : NULL);
}

static int
start_check_method(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *request = tc_handler_field(self, self->request, "request");
    if (request == NULL) {
        return -1;
    }
    if (tc_request_check(state, request) && tc_handler_owns(self, TC_HOOK_SUPPORTED_METHODS)) {
        RequestObject *native = (RequestObject *)request;
        if (native->head != NULL && native->info.method_id != TC_HTTP_OTHER && native->method == NULL) {
            return 0;
        }
    }
    PyObject *method = tc_handler_method(self);
    PyObject *supported =
        method != NULL ? PyObject_GetAttr((PyObject *)self, state->str_SUPPORTED_METHODS) : NULL;
    int found = supported != NULL ? PySequence_Contains(supported, method) : -1;
    Py_XDECREF(method);
    Py_XDECREF(supported);
    return found > 0 ? 0 : found < 0 ? -1 : start_raise(state, 405);
}

/* Parses a form in the body, so that a malformed one gets its 400 before the application sees it. */
static int
start_parse_body(HandlerObject *self)
{
    tc_state *state = self->state;
    if (tc_handler_field(self, self->request, "request") == NULL) {
        return -1;
    }
    if (!tc_request_check(state, self->request)) {
        return 0; /* parsed by the server that made the request */
    }
    RequestObject *request = (RequestObject *)self->request;
    if (request->head != NULL && request->headers == NULL && !tc_request_has_form(request)) {
        return 0;
    }
    Py_INCREF(request);
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)request, state->str__parse_body);
    Py_DECREF(request);
    if (result != NULL) {
        Py_DECREF(result);
        return 0;
    }
    if (state->face_HTTPInputError == NULL || !PyErr_ExceptionMatches(state->face_HTTPInputError)) {
        return -1;
    }
    PyObject *cause = PyErr_GetRaisedException(), *error = tc_face(state, HTTPError);
    PyObject *message = error != NULL ? PyUnicode_FromFormat("Invalid body: %S", cause) : NULL;
    PyObject *exc = message != NULL ? PyObject_CallFunction(error, "iO", 400, message) : NULL;
    if (exc != NULL) {
        PyException_SetCause(exc, Py_NewRef(cause));
        PyException_SetContext(exc, Py_NewRef(cause));
    }
    Py_XDECREF(message);
    Py_DECREF(cause);
    return tc_handler_raise(exc);
}

/* The bytes that %XX in the text of a path stand for. */
static PyObject *
start_unquote(PyObject *group)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(group, &size);
    return text != NULL ? tc_http_unquote(text, (size_t)size) : NULL;
}

/* A matched group as the handler gets it. */
static PyObject *
start_decode_group(HandlerObject *self, PyObject *group, PyObject *name)
{
    PyObject *raw;
    if (PyUnicode_Check(group)) {
        bool escaped = PyUnicode_FindChar(group, '%', 0, PyUnicode_GET_LENGTH(group), 1) >= 0;
        if (!escaped && PyUnicode_IS_ASCII(group) && tc_handler_owns(self, TC_HOOK_decode_argument)) {
            return Py_NewRef(group);
        }
        raw = escaped ? start_unquote(group) : PyUnicode_AsUTF8String(group);
    }
    else {
        raw = Py_NewRef(group); /* None, or bytes from get_handler_delegate() */
    }
    PyObject *text = raw != NULL ? tc_handler_decode_argument(self, raw, name) : NULL;
    Py_XDECREF(raw);
    return text;
}

/* The unnamed groups of the route as the handler's path_args. */
static int
start_decode_args(HandlerObject *self, PyObject *groups)
{
    Py_ssize_t size = PyTuple_GET_SIZE(groups);
    PyObject *args = PyList_New(size);
    int st = args != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; st == 0 && i < size; i++) {
        PyObject *text = start_decode_group(self, PyTuple_GET_ITEM(groups, i), NULL);
        st = text != NULL ? 0 : -1;
        if (text != NULL) {
            PyList_SET_ITEM(args, i, text);
        }
    }
    if (st == 0) {
        Py_XSETREF(self->path_args, Py_NewRef(args));
    }
    Py_XDECREF(args);
    return st;
}

/* The named groups of the route as the handler's path_kwargs. */
static int
start_decode_kwargs(HandlerObject *self, PyObject *named)
{
    Py_ssize_t count = PyDict_GET_SIZE(named);
    PyObject *kwargs = PyDict_New(), *name, *group;
    int st = kwargs != NULL ? 0 : -1;
    for (Py_ssize_t pos = 0; st == 0 && PyDict_Next(named, &pos, &name, &group);) {
        Py_INCREF(name); /* decoding may run Python, which may change the dict */
        Py_INCREF(group);
        PyObject *text = start_decode_group(self, group, name);
        st = text != NULL ? PyDict_SetItem(kwargs, name, text) : -1;
        Py_XDECREF(text);
        Py_DECREF(name);
        Py_DECREF(group);
        if (TC_UNLIKELY(st == 0 && PyDict_GET_SIZE(named) != count)) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            st = -1;
        }
    }
    if (st == 0) {
        Py_XSETREF(self->path_kwargs, Py_NewRef(kwargs));
    }
    Py_XDECREF(kwargs);
    return st;
}

static int
start_decode_path(HandlerObject *self, PyObject *groups, PyObject *named)
{
    self->unmade |= TC_UNMADE_ARGS | TC_UNMADE_KWARGS;
    Py_CLEAR(self->path_args);
    Py_CLEAR(self->path_kwargs);
    if (groups != NULL && PyTuple_GET_SIZE(groups) > 0 && start_decode_args(self, groups) < 0) {
        return -1;
    }
    return named != NULL && PyDict_GET_SIZE(named) > 0 ? start_decode_kwargs(self, named) : 0;
}

/* Do the settings of an application of ours, which run no Python, ask for none of the checks? */
static bool
start_is_unprotected(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *application = self->application;
    if (application == NULL || !PyObject_TypeCheck(application, state->application_type) ||
        !tc_hooks_own(state, application, TC_HOOK_settings)) {
        return false;
    }
    PyObject *settings = ((ApplicationObject *)application)->settings;
    return settings != NULL && PyDict_CheckExact(settings) &&
           !tc_instance_dict_may_have(settings, state->str_xsrf_cookies) &&
           !tc_instance_dict_may_have(settings, state->str_cross_origin_protection);
}

/* The XSRF and cross-origin checks; methods that only read need none. */
static int
start_protect(HandlerObject *self)
{
    if (tc_handler_owns(self, TC_HOOK__cross_origin_protection)) {
        int safe = tc_handler_method_in(self, 1u << TC_HTTP_GET | 1u << TC_HTTP_HEAD | 1u << TC_HTTP_OPTIONS);
        if (safe != 0) {
            return safe < 0 ? -1 : 0;
        }
        if (start_is_unprotected(self)) {
            return 0;
        }
    }
    return tc_handler_call(self, self->state->str__cross_origin_protection);
}

PyObject *
tc_execute_start(HandlerObject *self, PyObject *path_args, PyObject *path_kwargs)
{
    if (start_check_method(self) < 0 || (!self->streams && start_parse_body(self) < 0) ||
        start_decode_path(self, path_args, path_kwargs) < 0 || start_protect(self) < 0) {
        return NULL;
    }
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_prepare))) {
        return Py_NewRef(Py_None);
    }
    return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_prepare);
}
