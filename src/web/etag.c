/* The Etag of a response: the SHA-1 of what was written, and the comparison with If-None-Match. Called by
 * finish() and by applications; runs Python for hashlib, an overridden compute_etag() and the comparison. */
#include "web/handler.h"

#define ETAG_SMALL 512 /* bytes; above this OpenSSL's start-up pays */

/* The SHA-1 of a piece: hashlib's, or for a small one the interpreter's own implementation. */
static PyObject *
etag_hash(tc_state *state, PyObject *piece, bool alone)
{
    PyObject *small = state->upcall_small_sha1;
    bool little = alone && PyBytes_CheckExact(piece) && PyBytes_GET_SIZE(piece) <= ETAG_SMALL;
    return PyObject_CallOneArg(little && small != NULL ? small : state->hashlib_sha1, piece);
}

static PyObject *
etag_quote(PyObject *hex)
{
    if (!PyUnicode_Check(hex) || !PyUnicode_IS_COMPACT_ASCII(hex)) {
        return PyUnicode_FromFormat("\"%S\"", hex);
    }
    Py_ssize_t size = PyUnicode_GET_LENGTH(hex);
    PyObject *etag = PyUnicode_New(size + 2, 127);
    if (etag != NULL) {
        char *text = (char *)PyUnicode_1BYTE_DATA(etag);
        text[0] = text[size + 1] = '"';
        memcpy(text + 1, PyUnicode_1BYTE_DATA(hex), (size_t)size);
    }
    return etag;
}

/* The SHA-1 of the pieces. */
static PyObject *
etag_compute(HandlerObject *self)
{
    tc_state *state = self->state;
    PyObject *buffer = Py_XNewRef(tc_handler_field(self, self->write_buffer, "_write_buffer"));
    if (buffer == NULL) {
        return NULL;
    }
    PyObject *hash = PyList_GET_SIZE(buffer) == 0 ? PyObject_CallNoArgs(state->hashlib_sha1) : NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(buffer); i++) { /* hashing a piece may run Python */
        PyObject *piece = Py_NewRef(PyList_GET_ITEM(buffer, i)), *done;
        if (i == 0) {
            done = hash = etag_hash(state, piece, PyList_GET_SIZE(buffer) == 1);
        }
        else {
            done = PyObject_CallMethodOneArg(hash, state->str_update, piece);
            Py_XDECREF(done);
        }
        Py_DECREF(piece);
        if (done == NULL) {
            Py_CLEAR(hash);
            break;
        }
    }
    Py_DECREF(buffer);
    PyObject *hex = hash != NULL ? PyObject_CallMethodNoArgs(hash, state->str_hexdigest) : NULL;
    PyObject *etag = hex != NULL ? etag_quote(hex) : NULL;
    Py_XDECREF(hash);
    Py_XDECREF(hex);
    return etag;
}

PyDoc_STRVAR(handler_compute_etag_doc, "compute_etag($self)\n--\n\n"
                                       "The Etag of what was written: its SHA-1, in quotes.\n\n"
                                       "May be overridden; None sends no Etag.");

static PyObject *
handler_compute_etag(HandlerObject *self, PyObject *unused)
{
    return etag_compute(self);
}

int
tc_handler_etag_set(HandlerObject *self)
{
    tc_state *state = self->state;
    int st = -1;
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_compute_etag))) {
        PyObject *own = etag_compute(self);
        st = own != NULL ? tc_handler_set_safe_header(self, state->str_Etag, own) : -1;
        Py_XDECREF(own);
        return st;
    }
    PyObject *etag = PyObject_CallMethodNoArgs((PyObject *)self, state->str_compute_etag);
    if (etag != NULL) {
        st = etag == Py_None ? 0 : tc_handler_set_header(self, state->str_Etag, etag);
    }
    Py_XDECREF(etag);
    return st;
}

PyDoc_STRVAR(handler_set_etag_header_doc,
             "set_etag_header($self)\n--\n\n"
             "Set the Etag header to what compute_etag() returns, unless that is None.");

static PyObject *
handler_set_etag_header(HandlerObject *self, PyObject *unused)
{
    return tc_handler_etag_set(self) == 0 ? Py_NewRef(Py_None) : NULL;
}

/* Could the request have an If-None-Match? Looks at the parsed head until the headers have been made. */
static bool
etag_may_be_asked(HandlerObject *self)
{
    if (self->request == NULL || !tc_request_check(self->state, self->request)) {
        return true;
    }
    RequestObject *request = (RequestObject *)self->request;
    return request->head == NULL || request->headers != NULL ||
           (request->info.flags & TC_HTTP_HAS_IF_NONE_MATCH) != 0;
}

int
tc_handler_etag_check(HandlerObject *self)
{
    if (TC_LIKELY(!etag_may_be_asked(self))) {
        return 0;
    }
    PyObject *result = tc_web_call(self->state, check_etag, (PyObject *)self);
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

PyDoc_STRVAR(handler_check_etag_header_doc,
             "check_etag_header($self)\n--\n\n"
             "Whether the client has this Etag already, so that the response is a 304.");

static PyObject *
handler_check_etag_header(HandlerObject *self, PyObject *unused)
{
    int match = tc_handler_etag_check(self);
    return match < 0 ? NULL : PyBool_FromLong(match);
}

PyMethodDef tc_handler_etag_methods[] = {
    {"check_etag_header", (PyCFunction)handler_check_etag_header, METH_NOARGS, handler_check_etag_header_doc},
    {"compute_etag", (PyCFunction)handler_compute_etag, METH_NOARGS, handler_compute_etag_doc},
    {"set_etag_header", (PyCFunction)handler_set_etag_header, METH_NOARGS, handler_set_etag_header_doc},
    {NULL},
};
