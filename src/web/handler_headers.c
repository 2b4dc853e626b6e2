/* Status and headers of a response: clear, set_status, set_header, add_header, clear_header. The default
 * headers are Tornado's, in its order. set_default_headers() and overridden methods run Python, and so does
 * the conversion of values that are neither str, bytes nor int. */
#include "web/handler.h"

#include "base/args.h"
#include "http/http_chars.h"
#include "http/http_date_text.h"
#include "http/http_frame.h"

/* ---- values ---- */

/* Only what a field value may hold can go out: tab, space, visible ASCII and Latin-1's upper half. */
static bool
header_is_safe(PyObject *text)
{
    if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
        return false;
    }
    const char *p = (const char *)PyUnicode_1BYTE_DATA(text), *end = p + PyUnicode_GET_LENGTH(text);
    return tc_http_scan_value(p, p, end) == end;
}

static PyObject *
header_convert(tc_state *state, PyObject *value)
{
    PyObject *text;
    if (PyUnicode_Check(value)) {
        text = Py_NewRef(value);
    }
    else if (PyBytes_Check(value)) {
        text = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL);
    }
    else if (PyLong_Check(value)) {
        return PyObject_Str(value);
    }
    else {
        text = tc_http_datetime_text(value);
        return text != NULL || PyErr_Occurred() ? text : tc_web_call(state, convert_header_value, value);
    }
    if (text != NULL && TC_UNLIKELY(!header_is_safe(text))) {
        PyErr_Format(PyExc_ValueError, "Unsafe header value %R", text);
        Py_CLEAR(text);
    }
    return text;
}

/* As the method _convert_header_value. */
static PyObject *
handler_convert(HandlerObject *self, PyObject *value)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK__convert_header_value))) {
        return header_convert(self->state, value);
    }
    return PyObject_CallMethodOneArg((PyObject *)self, self->state->str__convert_header_value, value);
}

PyDoc_STRVAR(handler_convert_header_value_doc, "_convert_header_value($self, value)\n--\n\n"
                                               "The text of a header's value.\n\n"
                                               ":raises TypeError: a type that has none.\n"
                                               ":raises ValueError: characters that no header may carry.");

static PyObject *
handler_convert_header_value(HandlerObject *self, PyObject *value)
{
    return header_convert(self->state, value);
}

/* ---- set, add, clear ---- */

static int
handler_store_header(HandlerObject *self, PyObject *name, PyObject *value)
{
    PyObject *text = handler_convert(self, value);
    PyObject *headers = text != NULL ? tc_handler_field(self, self->headers, "_headers") : NULL;
    int st = -1;
    if (headers != NULL) {
        Py_INCREF(headers);
        st = PyObject_SetItem(headers, name, text);
        Py_DECREF(headers);
    }
    Py_XDECREF(text);
    return st;
}

int
tc_handler_set_header(HandlerObject *self, PyObject *name, PyObject *value)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_set_header))) {
        return handler_store_header(self, name, value);
    }
    PyObject *args[3] = {(PyObject *)self, name, value};
    PyObject *result = PyObject_VectorcallMethod(self->state->str_set_header, args, 3, NULL);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_handler_set_safe_header(HandlerObject *self, PyObject *name, PyObject *text)
{
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_set_header | TC_HOOK__convert_header_value) &&
                  self->headers != NULL)) {
        PyObject *headers = Py_NewRef(self->headers);
        int st = tc_headers_set(headers, name, text);
        Py_DECREF(headers);
        return st;
    }
    return tc_handler_set_header(self, name, text);
}

PyDoc_STRVAR(handler_set_header_doc,
             "set_header($self, name, value)\n--\n\n"
             "Set a header of the response, in place of what it had under this name.\n\n"
             ":param value: str, bytes (Latin-1), an integer or a datetime.");

static PyObject *
handler_set_header(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[2] = {self->state->str_name, self->state->str_value}, *out[2];
    if (tc_args_parse("set_header", args, nargs, kwnames, names, 2, 2, out) < 0 ||
        handler_store_header(self, out[0], out[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(handler_add_header_doc, "add_header($self, name, value)\n--\n\n"
                                     "Add a header to the response, beside those of the same name.");

static PyObject *
handler_add_header(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[2] = {self->state->str_name, self->state->str_value}, *out[2], *result = NULL;
    if (tc_args_parse("add_header", args, nargs, kwnames, names, 2, 2, out) < 0) {
        return NULL;
    }
    PyObject *text = handler_convert(self, out[1]);
    PyObject *headers = text != NULL ? Py_XNewRef(tc_handler_field(self, self->headers, "_headers")) : NULL;
    if (headers != NULL) {
        PyObject *call[3] = {headers, out[0], text};
        result = PyObject_VectorcallMethod(self->state->str_add, call, 3, NULL);
        Py_DECREF(headers);
    }
    Py_XDECREF(text);
    return result;
}

PyDoc_STRVAR(handler_clear_header_doc, "clear_header($self, name)\n--\n\n"
                                       "Take a header out of the response, if it is there.");

static PyObject *
handler_clear_header(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[1] = {self->state->str_name}, *out[1];
    if (tc_args_parse("clear_header", args, nargs, kwnames, names, 1, 1, out) < 0) {
        return NULL;
    }
    PyObject *headers = Py_XNewRef(tc_handler_field(self, self->headers, "_headers"));
    int found = headers != NULL ? PySequence_Contains(headers, out[0]) : -1;
    if (found > 0) {
        found = PyObject_DelItem(headers, out[0]);
    }
    Py_XDECREF(headers);
    if (found < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- status ---- */

/* The dict of reasons, borrowed. Its module is imported when a reason other than that of 200 is needed. */
static PyObject *
status_reasons(tc_state *state)
{
    if (TC_UNLIKELY(state->upcall_http_responses == NULL)) {
        PyObject *module = PyImport_ImportModule("tornado_c._http.reasons");
        if (module == NULL) {
            return NULL;
        }
        Py_DECREF(module);
    }
    return tc_upcall(state, http_responses);
}

/* responses.get(status, "Unknown") */
static PyObject *
status_reason(tc_state *state, PyObject *status)
{
    PyObject *responses = status_reasons(state), *reason;
    if (responses == NULL || PyDict_GetItemRef(responses, status, &reason) < 0) {
        return NULL;
    }
    return reason != NULL ? reason : PyUnicode_FromString("Unknown");
}

/* The same for 200, which is remembered as long as the dict does not change. Before it was made nobody can have
 * changed it. */
static PyObject *
status_reason_ok(tc_state *state, PyObject *status)
{
    PyObject *responses = state->upcall_http_responses;
    if (responses == NULL) {
        return Py_NewRef(state->str_OK);
    }
    uint64_t version = tc_dict_version(responses);
    if (TC_LIKELY(version != 0 && version == state->reasons_version)) {
        return Py_NewRef(state->reason_ok);
    }
    PyObject *reason = status_reason(state, status);
    if (reason != NULL) {
        Py_XSETREF(state->reason_ok, Py_NewRef(reason));
        state->reasons_version = version;
    }
    return reason;
}

/* The reason, or "Unknown" for one that may not stand in a status line or in a page of HTML. */
static PyObject *
reason_clean(PyObject *reason)
{
    if (!PyUnicode_Check(reason)) {
        return PyErr_Format(PyExc_TypeError, "argument of type '%.200s' is not iterable",
                            Py_TYPE(reason)->tp_name);
    }
    bool good = PyUnicode_KIND(reason) == PyUnicode_1BYTE_KIND && PyUnicode_GET_LENGTH(reason) > 0 &&
                header_is_safe(reason);
    const Py_UCS1 *data = good ? PyUnicode_1BYTE_DATA(reason) : NULL;
    for (Py_ssize_t i = 0; good && i < PyUnicode_GET_LENGTH(reason); i++) {
        good = data[i] != '<';
    }
    return good ? Py_NewRef(reason) : PyUnicode_FromString("Unknown");
}

static int
handler_store_status(HandlerObject *self, PyObject *status, PyObject *reason)
{
    Py_XSETREF(self->status_code, Py_NewRef(status));
    PyObject *text = reason != NULL ? reason_clean(reason) : status_reason(self->state, status);
    if (text == NULL) {
        return -1;
    }
    Py_XSETREF(self->reason, text);
    return 0;
}

int
tc_handler_set_status(HandlerObject *self, int status)
{
    PyObject *number = PyLong_FromLong(status);
    int st = -1;
    if (number != NULL && tc_handler_owns(self, TC_HOOK_set_status)) {
        st = handler_store_status(self, number, NULL);
    }
    else if (number != NULL) {
        PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, self->state->str_set_status, number);
        st = result != NULL ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_XDECREF(number);
    return st;
}

PyDoc_STRVAR(handler_set_status_doc,
             "set_status($self, status_code, reason=None)\n--\n\n"
             "Set the status of the response.\n\n"
             "Without a reason the usual phrase of the code is sent; one that could not\n"
             "stand in a status line is replaced with \"Unknown\".");

static PyObject *
handler_set_status(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *names[2] = {self->state->str_status_code, self->state->str_reason}, *out[2];
    if (tc_args_parse("set_status", args, nargs, kwnames, names, 2, 1, out) < 0 ||
        handler_store_status(self, out[0], tc_arg_or_null(out[1])) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(handler_get_status_doc, "get_status($self)\n--\n\nThe status code of the response.");

static PyObject *
handler_get_status(HandlerObject *self, PyObject *unused)
{
    return Py_XNewRef(tc_handler_field(self, self->status_code, "_status_code"));
}

PyDoc_STRVAR(handler_should_not_send_content_doc, "_should_not_send_content($self, status_code)\n--\n\n"
                                                  "Whether a response with this status has no body.");

static PyObject *
handler_should_not_send_content(HandlerObject *self, PyObject *status)
{
    int code;
    return tc_http_status_code(status, &code) < 0 ? NULL : PyBool_FromLong(!tc_http_status_has_body(code));
}

/* ---- clear ---- */

static PyObject *
handler_default_headers(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *headers = tc_headers_new(state), *date = tc_http_date_text(state);
    PyObject *pairs[] = {state->str_Server, state->text_server, state->text_content_type,
                         state->text_html,  state->str_Date,    date};
    if (headers == NULL || date == NULL || tc_headers_fill(headers, pairs, 3) < 0) {
        Py_CLEAR(headers);
    }
    Py_XDECREF(date);
    return headers;
}

int
tc_handler_clear(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *headers = handler_default_headers(self);
    if (headers == NULL) {
        return -1;
    }
    Py_XSETREF(self->headers, headers);
    if (!tc_handler_owns(self, TC_HOOK_set_default_headers) &&
        tc_handler_call(self, state->str_set_default_headers) < 0) {
        return -1;
    }
    PyObject *status = PyLong_FromLong(200);
    PyObject *reason = status != NULL ? status_reason_ok(state, status) : NULL;
    if (reason == NULL) {
        Py_XDECREF(status);
        return -1;
    }
    tc_handler_empty_buffer(self);
    Py_XSETREF(self->status_code, status);
    Py_XSETREF(self->reason, reason);
    return 0;
}

PyDoc_STRVAR(handler_clear_doc, "clear($self)\n--\n\n"
                                "Start the response over: default headers, status 200, nothing written.");

static PyObject *
handler_clear_method(HandlerObject *self, PyObject *unused)
{
    return tc_handler_clear(self) == 0 ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef tc_handler_header_methods[] = {
    {"_convert_header_value", (PyCFunction)handler_convert_header_value, METH_O,
     handler_convert_header_value_doc},
    {"_should_not_send_content", (PyCFunction)handler_should_not_send_content, METH_O,
     handler_should_not_send_content_doc},
    {"add_header", TC_METHOD(handler_add_header), handler_add_header_doc},
    {"clear", (PyCFunction)handler_clear_method, METH_NOARGS, handler_clear_doc},
    {"clear_header", TC_METHOD(handler_clear_header), handler_clear_header_doc},
    {"get_status", (PyCFunction)handler_get_status, METH_NOARGS, handler_get_status_doc},
    {"set_header", TC_METHOD(handler_set_header), handler_set_header_doc},
    {"set_status", TC_METHOD(handler_set_status), handler_set_status_doc},
    {NULL},
};
