/* The Etag of a response: the SHA-1 of what was written, and the comparison with If-None-Match. Called by
 * finish() and by applications; runs Python for hashlib, an overridden compute_etag() and the comparison. */
#include "web/handler.h"

#define SHA1_SIZE 20   /* bytes */
#define ETAG_SMALL 512 /* bytes; above this OpenSSL's start-up pays */

/* An attribute of a module, kept in *slot from the first time on; borrowed. */
static PyObject *
etag_import(PyObject **slot, const char *module_name, const char *name)
{
    if (*slot == NULL) {
        PyObject *module = PyImport_ImportModule(module_name);
        PyObject *function = module != NULL ? PyObject_GetAttrString(module, name) : NULL;
        Py_XDECREF(module);
        Py_XSETREF(*slot, function);
    }
    return *slot;
}

/* hashlib.sha1, borrowed. It is imported when there is something large to hash. */
static PyObject *
etag_hashlib(tc_state *state)
{
    return etag_import(&state->hashlib_sha1, "hashlib", "sha1");
}

/* The interpreter's own SHA-1, which hashlib has where there is no OpenSSL: it begins at once. Borrowed. */
static PyObject *
etag_small(tc_state *state)
{
    PyObject *found = etag_import(&state->small_sha1, "_sha1", "sha1");
    if (found == NULL && PyErr_ExceptionMatches(PyExc_ImportError)) {
        PyErr_Clear();
        found = etag_hashlib(state);
        Py_XSETREF(state->small_sha1, Py_XNewRef(found));
    }
    return found;
}

/* What the pieces are together, if it is little: bytes, a new reference. Else NULL, without an exception or
 * with one. */
static PyObject *
etag_join_small(PyObject *pieces)
{
    char text[ETAG_SMALL];
    size_t size = 0;
    for (Py_ssize_t i = 0, count = PyList_GET_SIZE(pieces); i < count; i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        size_t more = PyBytes_CheckExact(piece) ? (size_t)PyBytes_GET_SIZE(piece) : ETAG_SMALL + 1;
        if (more > ETAG_SMALL - size) {
            return NULL;
        }
        if (TC_LIKELY(count == 1)) {
            return Py_NewRef(piece);
        }
        memcpy(text + size, PyBytes_AS_STRING(piece), more);
        size += more;
    }
    return PyBytes_FromStringAndSize(text, (Py_ssize_t)size);
}

/* The digest of pieces that may be large or anything that hashlib takes. */
static PyObject *
etag_hash_pieces(tc_state *state, PyObject *pieces)
{
    PyObject *make = etag_hashlib(state), *hash = make != NULL ? PyObject_CallNoArgs(make) : NULL;
    for (Py_ssize_t i = 0; hash != NULL && i < PyList_GET_SIZE(pieces); i++) { /* hashing may run Python */
        PyObject *piece = Py_NewRef(PyList_GET_ITEM(pieces, i));
        PyObject *done = PyObject_CallMethodOneArg(hash, state->str_update, piece);
        Py_DECREF(piece);
        if (done == NULL) {
            Py_CLEAR(hash);
        }
        Py_XDECREF(done);
    }
    return hash;
}

/* The SHA-1, bytes of that size, of `small`, or of the pieces where that is NULL. */
static PyObject *
etag_digest(tc_state *state, PyObject *small, PyObject *pieces)
{
    PyObject *hash;
    if (TC_LIKELY(small != NULL)) {
        PyObject *function = etag_small(state);
        hash = function != NULL ? PyObject_CallOneArg(function, small) : NULL;
    }
    else {
        hash = etag_hash_pieces(state, pieces);
    }
    PyObject *digest = hash != NULL ? PyObject_CallMethodNoArgs(hash, state->str_digest) : NULL;
    Py_XDECREF(hash);
    if (digest != NULL && (!PyBytes_Check(digest) || PyBytes_GET_SIZE(digest) != SHA1_SIZE)) {
        PyErr_SetString(PyExc_TypeError, "hashlib.sha1() has a digest of another kind");
        Py_CLEAR(digest);
    }
    return digest;
}

/* The eight hex digits of a number, each from its half byte n: '0' + n, and 39 more from 'a' on. */
static void
etag_hex(const uint8_t *bytes, char *out)
{
    uint64_t n = (uint64_t)bytes[0] << 4 | (uint64_t)bytes[1] << 20 | (uint64_t)bytes[2] << 36 |
                 (uint64_t)bytes[3] << 52;
    n = (n >> 8 & UINT64_C(0x000f000f000f000f)) | (n << 4 & UINT64_C(0x0f000f000f000f00));
    uint64_t letters = (n + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    n += UINT64_C(0x3030303030303030) + letters * 39;
    for (int i = 0; i < 8; i++) {
        out[i] = (char)(n >> 8 * i);
    }
}

/* A digest as an Etag: hex digits in quotes. */
static PyObject *
etag_text(const uint8_t *digest)
{
    PyObject *etag = PyUnicode_New(2 * SHA1_SIZE + 2, 127);
    if (etag != NULL) {
        char *text = (char *)PyUnicode_1BYTE_DATA(etag);
        text[0] = text[2 * SHA1_SIZE + 1] = '"';
        for (int i = 0; i < SHA1_SIZE; i += 4) {
            etag_hex(digest + i, text + 1 + 2 * i);
        }
    }
    return etag;
}

/* Where the Etag of a small body is remembered. */
static tc_etag *
etag_place(tc_state *state, PyObject *body)
{
    uint64_t end = 0;
    size_t size = (size_t)PyBytes_GET_SIZE(body), part = size < sizeof(end) ? size : sizeof(end);
    memcpy(&end, PyBytes_AS_STRING(body) + size - part, part);
    return &state
                ->etags[(end + size) * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (TC_ARRAY_LEN(state->etags) - 1)];
}

static bool
etag_is_of(const tc_etag *known, PyObject *body)
{
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    return known->body != NULL && PyBytes_GET_SIZE(known->body) == size &&
           memcmp(PyBytes_AS_STRING(known->body), PyBytes_AS_STRING(body), (size_t)size) == 0;
}

/* The Etag of pieces. Many small bodies are those of an earlier response. */
static PyObject *
etag_make(tc_state *state, PyObject *pieces)
{
    PyObject *small = etag_join_small(pieces), *etag = NULL;
    if (small == NULL && PyErr_Occurred()) {
        return NULL;
    }
    tc_etag *known = small != NULL ? etag_place(state, small) : NULL;
    if (TC_LIKELY(known != NULL && etag_is_of(known, small))) {
        etag = Py_NewRef(known->etag);
        Py_DECREF(small);
        return etag;
    }
    PyObject *digest = etag_digest(state, small, pieces);
    if (digest != NULL) {
        etag = etag_text((const uint8_t *)PyBytes_AS_STRING(digest));
        Py_DECREF(digest);
    }
    if (known != NULL && etag != NULL) {
        Py_XSETREF(known->body, Py_NewRef(small));
        Py_XSETREF(known->etag, Py_NewRef(etag));
    }
    Py_XDECREF(small);
    return etag;
}

void
tc_etags_forget(tc_state *state)
{
    for (size_t i = 0; i < TC_ARRAY_LEN(state->etags); i++) {
        Py_CLEAR(state->etags[i].body);
        Py_CLEAR(state->etags[i].etag);
    }
}

PyObject *
tc_handler_etag_compute(HandlerObject *self)
{
    PyObject *pieces = Py_XNewRef(tc_handler_buffer(self));
    PyObject *etag = pieces != NULL ? etag_make(self->state, pieces) : NULL;
    Py_XDECREF(pieces);
    return etag;
}

PyDoc_STRVAR(handler_compute_etag_doc, "compute_etag($self)\n--\n\n"
                                       "The Etag of what was written: its SHA-1, in quotes.\n\n"
                                       "May be overridden; None sends no Etag.");

static PyObject *
handler_compute_etag(HandlerObject *self, PyObject *unused)
{
    return tc_handler_etag_compute(self);
}

int
tc_handler_etag_set(HandlerObject *self)
{
    tc_state *state = self->state;
    int st = -1;
    if (TC_LIKELY(tc_handler_owns(self, TC_HOOK_compute_etag))) {
        PyObject *own = tc_handler_etag_compute(self);
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
