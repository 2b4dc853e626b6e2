/* Who the client of a connection is: its address, and what Python sees of it, made on first use. Runs Python:
 * the class of the context object. */
#include "http/http_conn_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>

PyObject *
tc_http_peer_address(const struct sockaddr *peer, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "";
    /* Copied, since the bytes in which a connection keeps its peer may not be aligned for a sockaddr. */
    if (size >= sizeof(struct sockaddr_in) && peer->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        return Py_BuildValue("(si)", text, (int)ntohs(in.sin_port));
    }
    if (size >= sizeof(struct sockaddr_in6) && peer->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof(in6));
        inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        return Py_BuildValue("(siII)", text, (int)ntohs(in6.sin6_port), (unsigned)ntohl(in6.sin6_flowinfo),
                             (unsigned)in6.sin6_scope_id);
    }
    return PyUnicode_FromString("");
}

PyObject *
tc_http_peer_ip(PyObject *unused, PyObject *address)
{
    /* Not by the socket's family: behind a Unix socket a proxy may have named a client by its IP address. */
    if (PyTuple_Check(address) && PyTuple_GET_SIZE(address) > 0 &&
        PyUnicode_Check(PyTuple_GET_ITEM(address, 0))) {
        return Py_NewRef(PyTuple_GET_ITEM(address, 0));
    }
    return PyUnicode_FromString("0.0.0.0"); /* a Unix socket has no address to show */
}

static tc_http_conn_faces *
peer_faces(HttpConnObject *self)
{
    if (self->faces == NULL && (self->faces = PyMem_Calloc(1, sizeof(tc_http_conn_faces))) == NULL) {
        PyErr_NoMemory();
    }
    return self->faces;
}

PyObject *
tc_http_conn_address(HttpConnObject *self)
{
    tc_http_conn_faces *faces = peer_faces(self);
    if (faces == NULL) {
        return NULL;
    }
    if (faces->address == NULL) {
        faces->address = tc_http_peer_address(&self->peer.any, self->peer_size);
    }
    return faces->address;
}

PyObject *
tc_http_conn_remote_ip(HttpConnObject *self)
{
    tc_http_conn_faces *faces = peer_faces(self);
    if (faces == NULL) {
        return NULL;
    }
    if (faces->remote_ip == NULL) {
        PyObject *address = tc_http_conn_address(self);
        faces->remote_ip = address != NULL ? tc_http_peer_ip(NULL, address) : NULL;
    }
    return faces->remote_ip;
}

PyObject *
tc_http_conn_protocol(HttpConnObject *self)
{
    tc_http_conn_faces *faces = peer_faces(self);
    if (faces == NULL) {
        return NULL;
    }
    if (faces->protocol == NULL) {
        PyObject *given = self->config != NULL ? self->config->protocol : NULL;
        bool tls = self->stream != NULL && self->stream->tls != NULL;
        faces->protocol = Py_NewRef(given != NULL && given != Py_None ? given
                                    : tls                             ? self->state->str_https
                                                                      : self->state->str_http);
    }
    return faces->protocol;
}

PyObject *
tc_http_conn_context_object(HttpConnObject *self)
{
    tc_http_conn_faces *faces = peer_faces(self);
    if (faces == NULL) {
        return NULL;
    }
    if (faces->context_object == NULL) {
        PyObject *made = NULL;
        if (self->stream == NULL) {
            PyErr_SetString(PyExc_AttributeError, "the connection has no stream");
            return NULL;
        }
        PyObject *cls = tc_face(self->state, HTTPRequestContext);
        PyObject *address = cls != NULL ? tc_http_conn_address(self) : NULL;
        if (address != NULL) {
            PyObject *protocol = self->config->protocol != NULL ? self->config->protocol : Py_None;
            PyObject *trusted =
                self->config->trusted_downstream != NULL ? self->config->trusted_downstream : Py_None;
            PyObject *args[5] = {NULL, (PyObject *)self->stream, address, protocol, trusted};
            made = PyObject_Vectorcall(cls, args + 1, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        }
        if (faces->context_object == NULL) { /* else its constructor has made it */
            faces->context_object = made;
        }
        else {
            Py_XDECREF(made);
        }
    }
    return faces->context_object;
}

int
tc_http_conn_set_address(HttpConnObject *self, PyObject *address)
{
    tc_http_conn_faces *faces = peer_faces(self);
    if (faces != NULL) {
        Py_XSETREF(faces->address, Py_NewRef(address));
    }
    return faces != NULL ? 0 : -1;
}
