/* HTTPConfig: the settings and lists that the connections of one server share (http_config.h). */
#include "base/flag.h"
#include "http/http_conn_parts.h"

int
tc_http_config_bind(HttpConfigObject *self, LoopCore *core)
{
    if (TC_LIKELY(self->core == core)) {
        return 0;
    }
    if (self->core != NULL && !self->core->closed && !tc_list_empty(&self->connections)) {
        PyErr_SetString(PyExc_RuntimeError, "the server's connections belong to another loop");
        return -1;
    }
    tc_timeouts_stop(&self->head_timeouts);
    tc_timeouts_stop(&self->body_timeouts);
    Py_XSETREF(self->core, (LoopCore *)Py_NewRef((PyObject *)core));
    core->now = tc_core_time(core);
    PyObject *owner = (PyObject *)self;
    tc_timeouts_init(&self->head_timeouts, owner, core, self->idle_timeout, tc_http_conn_expired);
    tc_timeouts_init(&self->body_timeouts, owner, core, self->body_timeout, tc_http_conn_expired);
    return 0;
}

const tc_http_app_class *
tc_http_config_choose(HttpConfigObject *self)
{
    PyObject *app = Py_XNewRef(self->request_callback);
    if (app == NULL) {
        PyErr_SetString(PyExc_TypeError, "the server has no request_callback");
        return NULL;
    }
    const tc_http_app_class *found = tc_http_app_class_of(self->state, app);
    if (found != NULL && self->request_callback == app) {
        /* A lookup gives the type a version, if there are any left. */
        _PyType_Lookup(Py_TYPE(app), self->state->str_start_request);
        self->app_class = found;
        self->app_tag = Py_TYPE(app)->tp_version_tag;
    }
    Py_DECREF(app);
    return found;
}

static PyObject *
config_get_callback(HttpConfigObject *self, void *unused)
{
    return Py_NewRef(self->request_callback != NULL ? self->request_callback : Py_None);
}

static int
config_set_callback(HttpConfigObject *self, PyObject *value, void *unused)
{
    self->app_tag = 0;
    Py_XSETREF(self->request_callback, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef config_getset[] = {
    TC_FLAG(HttpConfigObject, "no_keep_alive", no_keep_alive, "Close after each response."),
    TC_FLAG(HttpConfigObject, "xheaders", xheaders, "Trust X-Forwarded-For and its like."),
    {"request_callback", (getter)config_get_callback, (setter)config_set_callback,
     "The application: a callable, or an HTTPServerConnectionDelegate.", NULL},
    {NULL},
};

static PyObject *
config_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    HttpConfigObject *self = (HttpConfigObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    tc_list_init(&self->connections);
    tc_list_init(&self->detached);
    tc_list_init(&self->head_timeouts.entries);
    tc_list_init(&self->body_timeouts.entries);
    self->max_header_size = 65536;
    if ((self->state = tc_state_of(type)) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
config_traverse(HttpConfigObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->core);
    Py_VISIT(self->request_callback);
    Py_VISIT(self->protocol);
    Py_VISIT(self->trusted_downstream);
    Py_VISIT(self->context);
    return 0;
}

static int
config_clear(HttpConfigObject *self)
{
    tc_timeouts_stop(&self->head_timeouts);
    tc_timeouts_stop(&self->body_timeouts);
    Py_CLEAR(self->request_callback);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->trusted_downstream);
    Py_CLEAR(self->context);
    return 0;
}

static void
config_dealloc(HttpConfigObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    config_clear(self);
    /* Connections own a reference to us, so none is left: their lists are empty. */
    while (!tc_list_empty(&self->detached)) {
        tc_list_unlink(self->detached.next);
    }
    tc_buf_free(&self->head_buffer);
    Py_CLEAR(self->core);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(config_connections_doc, "connections($self, /)\n--\n\nThe open connections, a list.");

/* The objects that have their links, at an offset, in a list. */
static PyObject *
config_list(const tc_link *head, size_t offset)
{
    PyObject *list = PyList_New(0);
    for (tc_link *link = head->next; list != NULL && link != head; link = link->next) {
        if (PyList_Append(list, (PyObject *)((char *)link - offset)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
config_connections(HttpConfigObject *self, PyObject *unused)
{
    return config_list(&self->connections, offsetof(HttpConnObject, link));
}

PyDoc_STRVAR(config_detached_doc, "detached($self, /)\n--\n\n"
                                  "The streams that were handed over and are not freed, a list.");

static PyObject *
config_detached(HttpConfigObject *self, PyObject *unused)
{
    return config_list(&self->detached, offsetof(StreamObject, detached));
}

PyDoc_STRVAR(config_capture_doc, "capture_context($self, /)\n--\n\n"
                                 "Handle requests in copies of the context that is current now.");

static PyObject *
config_capture_context(HttpConfigObject *self, PyObject *unused)
{
    PyObject *context = PyContext_CopyCurrent();
    if (context == NULL) {
        return NULL;
    }
    Py_XSETREF(self->context, context);
    Py_RETURN_NONE;
}

static PyMemberDef config_members[] = {
    {"protocol", T_OBJECT, offsetof(HttpConfigObject, protocol), 0, "request.protocol; None: by the stream."},
    {"trusted_downstream", T_OBJECT, offsetof(HttpConfigObject, trusted_downstream), 0, NULL},
    {"draining", T_BOOL, offsetof(HttpConfigObject, draining), 0,
     "Say in each response that it is the connection's last."},
    {"decompress", T_BOOL, offsetof(HttpConfigObject, decompress), 0, "Decode bodies in gzip."},
    {"each_chunk", T_BOOL, offsetof(HttpConfigObject, each_chunk), 0,
     "Have a piece of a body end with its chunk."},
    {"linger_size", T_PYSSIZET, offsetof(HttpConfigObject, linger_size), 0,
     "Bytes read and dropped after a refusal."},
    {"linger_timeout", T_DOUBLE, offsetof(HttpConfigObject, linger_timeout), 0,
     "Seconds of reading on after a refusal; 0: close at once."},
    {"max_header_size", T_PYSSIZET, offsetof(HttpConfigObject, max_header_size), 0, "Bytes."},
    {"max_body_size", T_PYSSIZET, offsetof(HttpConfigObject, max_body_size), 0, "Bytes; 0: max_buffer_size."},
    {"chunk_size", T_PYSSIZET, offsetof(HttpConfigObject, chunk_size), 0,
     "Bytes of one recv; 0: the default."},
    {"max_buffer_size", T_PYSSIZET, offsetof(HttpConfigObject, max_buffer_size), 0, "Bytes; 0: the default."},
    {"idle_timeout", T_DOUBLE, offsetof(HttpConfigObject, idle_timeout), 0, "Seconds; 0: none."},
    {"body_timeout", T_DOUBLE, offsetof(HttpConfigObject, body_timeout), 0, "Seconds; 0: none."},
    {NULL},
};

static PyMethodDef config_methods[] = {
    {"connections", (PyCFunction)config_connections, METH_NOARGS, config_connections_doc},
    {"detached", (PyCFunction)config_detached, METH_NOARGS, config_detached_doc},
    {"capture_context", (PyCFunction)config_capture_context, METH_NOARGS, config_capture_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot config_slots[] = {
    {Py_tp_doc, "What the connections of one HTTP server share."},
    {Py_tp_new, config_new},
    {Py_tp_dealloc, config_dealloc},
    {Py_tp_traverse, config_traverse},
    {Py_tp_clear, config_clear},
    {Py_tp_methods, config_methods},
    {Py_tp_getset, config_getset},
    {Py_tp_members, config_members},
    {0, NULL},
};

static PyType_Spec config_spec = {
    .name = "tornado_c._core.HTTPConfig",
    .basicsize = sizeof(HttpConfigObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = config_slots,
};

int
tc_http_config_init_type(PyObject *module, tc_state *state)
{
    state->http_config_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &config_spec, NULL);
    return state->http_config_type != NULL ? PyModule_AddType(module, state->http_config_type) : -1;
}
