/* HTTPListener: a listening socket whose connections go straight to HTTP, with no Python frame from accept to
 * the application. HTTPServer uses it if nothing in between is overridden. The registration owns the listener
 * until stop(). */
#include "base/context.h"
#include "event/stack.h"
#include "http/http_conn_parts.h"
#include "stream/acceptor.h"

#include <unistd.h>

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    LoopCore *core;
    HttpConfigObject *config;
    PyObject *socket, *server; /* owned: an application may keep no reference to its server */
    tc_fd_acceptor acceptor;
} HttpListenerObject;

/* Whether the server's class has HTTPServer's own method of this name. */
static bool
listener_has_own(HttpListenerObject *self, PyObject *name, PyObject *own)
{
    return _PyType_Lookup(Py_TYPE(self->server), name) == own;
}

/* Checked for each connection: monitoring tools replace methods of the class at run time. */
static bool
listener_is_native(HttpListenerObject *self)
{
    tc_state *state = self->state;
    return listener_has_own(self, state->str_handle_stream, state->upcall_own_handle_stream) &&
           listener_has_own(self, state->str_start_request, state->upcall_own_start_request) &&
           listener_has_own(self, state->str_on_close, state->upcall_own_on_close);
}

/* Leaves a connection to the server's Python methods, in the context in which it began to listen. */
static int
listener_hand_over(HttpListenerObject *self, StreamObject *stream, const struct sockaddr *peer, size_t size)
{
    PyObject *address = tc_http_peer_address(peer, size);
    PyObject *context = tc_http_config_copy_context(self->config);
    PyObject *result = NULL;
    if (address != NULL && context != NULL && PyContext_Enter(context) == 0) {
        PyObject *args[2] = {(PyObject *)stream, address};
        PyObject *accepted = PyObject_GetAttr(self->server, self->state->str__accepted);
        result = accepted != NULL ? tc_stack_call(self->state, accepted, args, 2) : NULL;
        Py_XDECREF(accepted);
        tc_context_exit(context, result == NULL, self->server);
    }
    Py_XDECREF(address);
    Py_XDECREF(context);
    Py_XDECREF(result);
    return result != NULL ? TC_OK : TC_RAISED;
}

static int
listener_accepted(tc_fd_acceptor *acceptor, int fd, const struct sockaddr *peer, socklen_t size)
{
    HttpListenerObject *self = tc_container_of(acceptor, HttpListenerObject, acceptor);
    PyTypeObject *stream_class = (PyTypeObject *)tc_face(self->state, IOStream);
    PyTypeObject *conn_class = (PyTypeObject *)tc_face(self->state, HTTPConnection);
    if (stream_class == NULL || conn_class == NULL) {
        close(fd);
        return TC_RAISED;
    }
    StreamObject *stream = tc_stream_from_fd(stream_class, self->core, fd, acceptor->family);
    if (stream == NULL) {
        return TC_RAISED;
    }
    HttpConfigObject *config = self->config;
    if (config->max_buffer_size > 0) {
        stream->max_buffer_size = config->max_buffer_size;
    }
    if (config->chunk_size > 0) {
        stream->read_chunk_size = (int)(config->chunk_size < INT_MAX ? config->chunk_size : INT_MAX);
    }
    if (TC_UNLIKELY(!listener_is_native(self))) {
        int handed = listener_hand_over(self, stream, peer, size);
        Py_DECREF(stream);
        return handed;
    }
    int st = TC_RAISED;
    HttpConnObject *conn = tc_http_conn_new(config, stream, conn_class);
    if (conn != NULL) {
        if ((peer->sa_family == AF_INET || peer->sa_family == AF_INET6) && size <= sizeof(conn->peer.bytes)) {
            memcpy(conn->peer.bytes, peer, size);
            conn->peer_size = (uint8_t)size;
        }
        st = tc_http_conn_start(conn) < 0 ? TC_RAISED : TC_OK;
        Py_DECREF(conn);
    }
    Py_DECREF(stream);
    return st;
}

PyDoc_STRVAR(listener_doc, "HTTPListener(core, config, socket, server, /)\n--\n\n"
                           "Serve HTTP on a listening socket; owns it and the server until stop().");

static PyObject *
listener_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    PyObject *core, *config, *socket, *server;
    if (state == NULL || !PyArg_ParseTuple(args, "O!O!OO:HTTPListener", state->core_type, &core,
                                           state->http_config_type, &config, &socket, &server)) {
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(socket);
    if (fd < 0) {
        return NULL;
    }
    HttpListenerObject *self = (HttpListenerObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->core = (LoopCore *)Py_NewRef(core);
    self->config = (HttpConfigObject *)Py_NewRef(config);
    self->socket = Py_NewRef(socket);
    self->server = Py_NewRef(server);
    self->acceptor.accepted = listener_accepted;
    if (tc_fd_acceptor_start(&self->acceptor, self->core, fd, (PyObject *)self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(listener_stop_doc, "stop($self, /)\n--\n\nAccept no more connections.");

static PyObject *
listener_stop(HttpListenerObject *self, PyObject *unused)
{
    tc_fd_acceptor_stop(&self->acceptor);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(listener_close_doc, "close($self, /)\n--\n\nAccept no more connections, and close the socket.");

static PyObject *
listener_close(HttpListenerObject *self, PyObject *unused)
{
    PyObject *socket = Py_XNewRef(self->socket);
    Py_XDECREF(listener_stop(self, NULL));
    PyObject *result =
        socket != NULL ? PyObject_CallMethodNoArgs(socket, self->state->str_close) : Py_NewRef(Py_None);
    Py_XDECREF(socket);
    return result;
}

static int
listener_traverse(HttpListenerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->core);
    Py_VISIT(self->config);
    Py_VISIT(self->socket);
    Py_VISIT(self->server);
    return 0;
}

static int
listener_clear(HttpListenerObject *self)
{
    tc_fd_acceptor_stop(&self->acceptor);
    Py_CLEAR(self->config);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->server);
    return 0;
}

static void
listener_dealloc(HttpListenerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    listener_clear(self);
    Py_CLEAR(self->core);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef listener_methods[] = {
    {"close", (PyCFunction)listener_close, METH_NOARGS, listener_close_doc},
    {"stop", (PyCFunction)listener_stop, METH_NOARGS, listener_stop_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot listener_slots[] = {
    {Py_tp_doc, (void *)listener_doc},
    {Py_tp_new, listener_new},
    {Py_tp_dealloc, listener_dealloc},
    {Py_tp_traverse, listener_traverse},
    {Py_tp_clear, listener_clear},
    {Py_tp_methods, listener_methods},
    {0, NULL},
};

static PyType_Spec listener_spec = {
    .name = "tornado_c._core.HTTPListener",
    .basicsize = sizeof(HttpListenerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = listener_slots,
};

int
tc_http_listener_init_type(PyObject *module, tc_state *state)
{
    state->http_listener_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &listener_spec, NULL);
    return state->http_listener_type != NULL ? PyModule_AddType(module, state->http_listener_type) : -1;
}
