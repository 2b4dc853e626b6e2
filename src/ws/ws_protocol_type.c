/* WebSocketProtocolBase: a connection's life, and its attributes under Tornado's names. */
#include "base/flag.h"
#include "ws/ws_parts.h"

static PyObject *
ws_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    WsProtocolObject *self = state != NULL ? (WsProtocolObject *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    tc_list_init(&self->timer.link);
    tc_list_init(&self->open);
    return (PyObject *)self;
}

static int
ws_traverse(WsProtocolObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->dict);
    Py_VISIT(self->handler);
    Py_VISIT(self->stream);
    Py_VISIT(self->params);
    Py_VISIT(self->close_code);
    Py_VISIT(self->close_reason);
    Py_VISIT(self->compressor);
    Py_VISIT(self->decompressor);
    Py_VISIT(self->context);
    Py_VISIT(self->source);
    Py_VISIT(self->pending);
    Py_VISIT(self->pong);
    Py_VISIT(self->ended);
    return 0;
}

static int
ws_clear(WsProtocolObject *self)
{
    if (self->state != NULL) {
        tc_ws_stop_timer(self);
        tc_ws_loop_leave(self);
    }
    Py_CLEAR(self->dict);
    Py_CLEAR(self->handler);
    Py_CLEAR(self->stream);
    Py_CLEAR(self->params);
    Py_CLEAR(self->close_code);
    Py_CLEAR(self->close_reason);
    Py_CLEAR(self->compressor);
    Py_CLEAR(self->decompressor);
    Py_CLEAR(self->context);
    Py_CLEAR(self->source);
    Py_CLEAR(self->pending);
    Py_CLEAR(self->pong);
    Py_CLEAR(self->ended);
    return 0;
}

static void
ws_dealloc(WsProtocolObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    ws_clear(self);
    Py_CLEAR(self->next_pong);
    tc_ws_drop_incoming(self);
    type->tp_free(self);
    Py_DECREF(type);
}

#define FIELD(name, field, kind, doc)                                                                        \
    {                                                                                                        \
        name, kind, offsetof(WsProtocolObject, field), 0, PyDoc_STR(doc)                                     \
    }

static PyMemberDef ws_members[] = {
    FIELD("handler", handler, T_OBJECT, "Whom messages are delivered to."),
    FIELD("stream", stream, T_OBJECT, "The IOStream, or None."),
    FIELD("_params", params, T_OBJECT, "The settings: max_message_size and so on."),
    FIELD("close_code", close_code, T_OBJECT, "The code of the peer's close frame, or None."),
    FIELD("close_reason", close_reason, T_OBJECT, "The reason of the peer's close frame, or None."),
    FIELD("_compressor", compressor, T_OBJECT, "What compresses messages, or None."),
    FIELD("_decompressor", decompressor, T_OBJECT, "What decompresses messages, or None."),
    FIELD("_context", context, T_OBJECT, "The context in which callbacks run, or None."),
    FIELD("_message_bytes_in", message_bytes_in, T_ULONGLONG, "Bytes of messages received, uncompressed."),
    FIELD("_message_bytes_out", message_bytes_out, T_ULONGLONG, "Bytes of messages sent, uncompressed."),
    FIELD("_wire_bytes_in", wire_bytes_in, T_ULONGLONG, "Bytes of frames received."),
    FIELD("_wire_bytes_out", wire_bytes_out, T_ULONGLONG, "Bytes of frames sent."),
    {"__dictoffset__", T_PYSSIZET, offsetof(WsProtocolObject, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(WsProtocolObject, weakrefs), READONLY, NULL},
    {NULL},
};

#define FLAG(name, field, doc) TC_FLAG(WsProtocolObject, name, field, doc)

static PyGetSetDef ws_getset[] = {
    FLAG("client_terminated", client_terminated, "Nothing more is expected from the peer."),
    FLAG("server_terminated", server_terminated, "Nothing more is sent."),
    FLAG("mask_outgoing", mask_outgoing, "Whether this is the client's side."),
    FLAG("_received_pong", received_pong, "Whether a pong came since the last ping."),
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyType_Slot ws_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.websocket.WebSocketProtocol13."},
    {Py_tp_new, ws_new},
    {Py_tp_dealloc, ws_dealloc},
    {Py_tp_traverse, ws_traverse},
    {Py_tp_clear, ws_clear},
    {Py_tp_methods, tc_ws_methods},
    {Py_tp_members, ws_members},
    {Py_tp_getset, ws_getset},
    {0, NULL},
};

static PyType_Spec ws_spec = {
    .name = "tornado_c._core.WebSocketProtocolBase",
    .basicsize = sizeof(WsProtocolObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = ws_slots,
};

int
tc_ws_protocol_init_type(PyObject *module, tc_state *state)
{
    state->ws_protocol_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ws_spec, NULL);
    return state->ws_protocol_type != NULL ? PyModule_AddType(module, state->ws_protocol_type) : -1;
}
