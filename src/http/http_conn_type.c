/* HTTPConnectionBase: the type, its life cycle and attributes, and what the rest of C asks of a connection. Its
 * methods are in http_conn_methods.c. */
#include "http/http_conn_parts.h"

#include "base/context.h"

/* ---- for the rest of C ---- */

HttpConnObject *
tc_http_conn_of(tc_state *state, PyObject *obj)
{
    bool ours = obj != NULL && ((PyObject *)Py_TYPE(obj) == state->face_HTTPConnection ||
                                PyObject_TypeCheck(obj, state->http_conn_type));
    return ours ? (HttpConnObject *)obj : NULL;
}

bool
tc_http_conn_check(tc_state *state, PyObject *obj)
{
    return (PyObject *)Py_TYPE(obj) == state->face_HTTPConnection &&
           tc_http_conn_is_plain((HttpConnObject *)obj);
}

LoopCore *
tc_http_conn_core(HttpConnObject *self)
{
    return self->stream != NULL ? self->stream->core : NULL;
}

PyObject *
tc_http_conn_context(HttpConnObject *self)
{
    return self->context;
}

PyObject *
tc_http_conn_changed_context(HttpConnObject *self)
{
    PyObject *origin = self->config != NULL ? self->config->context : NULL;
    bool same = origin == NULL || self->context == NULL || tc_context_is_same(self->context, origin);
    return same ? NULL : self->context;
}

HttpConfigObject *
tc_http_conn_config(HttpConnObject *self)
{
    return self->config;
}

bool
tc_http_conn_is_current(const HttpConnObject *self, PyObject *request)
{
    return self->request == request || tc_http_conn_is_over(self);
}

bool
tc_http_conn_wants_response(const HttpConnObject *self, const RequestObject *request)
{
    return self->request == (PyObject *)request && !tc_http_conn_is_over(self) &&
           !tc_http_frame_is_done(&self->frame);
}

PyObject *
tc_http_conn_close_callback(HttpConnObject *self)
{
    return self->close_callback;
}

/* ---- life cycle ---- */

static PyObject *
conn_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    HttpConnObject *self = (HttpConnObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    tc_list_init(&self->link);
    tc_list_init(&self->timeout.link);
    tc_http_frame_reset(&self->frame);
    if ((self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
conn_traverse(HttpConnObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->config);
    Py_VISIT(self->stream);
    Py_VISIT(self->request);
    Py_VISIT(self->context);
    if (self->faces != NULL) {
#define TC_X(name) Py_VISIT(self->faces->name);
        TC_PEER_FACES(TC_X)
#undef TC_X
    }
    Py_VISIT(self->close_callback);
    Py_VISIT(self->dict);
    if (self->incoming != NULL) {
        Py_VISIT(self->incoming->app);
        Py_VISIT(self->incoming->request);
    }
    return 0;
}

static int
conn_clear(HttpConnObject *self)
{
    tc_http_conn_leave(self, CONN_CLOSED);
    tc_http_conn_drop_incoming(self);
    Py_CLEAR(self->stream);
    Py_CLEAR(self->request);
    Py_CLEAR(self->context);
    if (self->faces != NULL) {
#define TC_X(name) Py_CLEAR(self->faces->name);
        TC_PEER_FACES(TC_X)
#undef TC_X
    }
    Py_CLEAR(self->close_callback);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->config);
    return 0;
}

static void
conn_dealloc(HttpConnObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    conn_clear(self);
    PyMem_Free(self->faces);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- attributes ---- */

/* A detached connection keeps its stream for what it may still be asked about the client. */
static PyObject *
conn_get_stream(HttpConnObject *self, void *unused)
{
    bool shown = self->stream != NULL && self->reading != CONN_DETACHED;
    return Py_NewRef(shown ? (PyObject *)self->stream : Py_None);
}

static PyObject *
conn_get_address(HttpConnObject *self, void *unused)
{
    return Py_XNewRef(tc_http_conn_address(self));
}

static PyObject *
conn_get_address_family(HttpConnObject *self, void *unused)
{
    return PyLong_FromLong(self->stream != NULL ? self->stream->family : AF_UNSPEC);
}

static PyObject *
conn_get_context(HttpConnObject *self, void *unused)
{
    return Py_XNewRef(tc_http_conn_context_object(self));
}

static PyObject *
conn_get_protocol(HttpConnObject *self, void *unused)
{
    return Py_XNewRef(tc_http_conn_protocol(self));
}

static PyObject *
conn_get_no_keep_alive(HttpConnObject *self, void *unused)
{
    return PyBool_FromLong(self->config != NULL && self->config->no_keep_alive);
}

static PyObject *
conn_get_xheaders(HttpConnObject *self, void *unused)
{
    return PyBool_FromLong(self->config != NULL && self->config->xheaders);
}

static PyObject *
conn_get_request_callback(HttpConnObject *self, void *unused)
{
    PyObject *callback = self->config != NULL ? self->config->request_callback : NULL;
    return Py_NewRef(callback != NULL ? callback : Py_None);
}

static PyObject *
conn_get_request_finished(HttpConnObject *self, void *unused)
{
    return PyBool_FromLong(tc_http_frame_is_done(&self->frame));
}

static PyGetSetDef conn_getset[] = {
    {"stream", (getter)conn_get_stream, NULL, "The IOStream; None once it was detached.", NULL},
    {"address", (getter)conn_get_address, NULL, "The client's address, as socket.accept() gives it.", NULL},
    {"address_family", (getter)conn_get_address_family, NULL, "socket.AF_INET and so on.", NULL},
    {"context", (getter)conn_get_context, NULL, "Address, remote_ip and protocol of the connection.", NULL},
    {"protocol", (getter)conn_get_protocol, NULL, "\"http\" or \"https\".", NULL},
    {"no_keep_alive", (getter)conn_get_no_keep_alive, NULL, "Whether each response ends the connection.",
     NULL},
    {"xheaders", (getter)conn_get_xheaders, NULL, "Whether X-Forwarded-For and its like are trusted.", NULL},
    {"request_callback", (getter)conn_get_request_callback, NULL, "What is called with each request.", NULL},
    {"_request_finished", (getter)conn_get_request_finished, NULL, "Whether the response is complete.", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyMemberDef conn_members[] = {
    {"_config", T_OBJECT_EX, offsetof(HttpConnObject, config), READONLY, NULL},
    {"_request", T_OBJECT, offsetof(HttpConnObject, request), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(HttpConnObject, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HttpConnObject, weakrefs), READONLY, NULL},
    {NULL},
};

static PyType_Slot conn_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.httpserver.HTTPConnection."},
    {Py_tp_new, conn_new},
    {Py_tp_dealloc, conn_dealloc},
    {Py_tp_traverse, conn_traverse},
    {Py_tp_clear, conn_clear},
    {Py_tp_methods, tc_http_conn_methods},
    {Py_tp_getset, conn_getset},
    {Py_tp_members, conn_members},
    {0, NULL},
};

static PyType_Spec conn_spec = {
    .name = "tornado_c._core.HTTPConnectionBase",
    .basicsize = sizeof(HttpConnObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = conn_slots,
};

int
tc_http_conn_init_type(PyObject *module, tc_state *state)
{
    state->keep_alive_value = PyUnicode_InternFromString("Keep-Alive");
    state->str_Content_Length = PyUnicode_InternFromString("Content-Length");
    state->str_Transfer_Encoding = PyUnicode_InternFromString("Transfer-Encoding");
    state->http_conn_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &conn_spec, NULL);
    if (state->keep_alive_value == NULL || state->str_Content_Length == NULL ||
        state->str_Transfer_Encoding == NULL || state->http_conn_type == NULL) {
        return -1;
    }
    return PyModule_AddType(module, state->http_conn_type);
}
