/* WebSocketHandlerBase: what WebSocketHandler has in C beside RequestHandler's base, a method and no fields of
 * its own. Runs Python. */
#include "base/args.h"
#include "ws/ws_parts.h"

/* Whether a connection is one of ours that nobody has changed in what write_message() asks of it. */
static WsProtocolObject *
handler_plain_connection(tc_state *state, PyObject *connection)
{
    bool ours = PyObject_TypeCheck(connection, state->ws_protocol_type);
    WsProtocolObject *self = ours ? (WsProtocolObject *)connection : NULL;
    return ours && tc_ws_owns(self, TC_WS_OWN_is_closing | TC_WS_OWN_write_message) ? self : NULL;
}

PyDoc_STRVAR(handler_write_message_doc,
             "write_message($self, message, binary=False)\n--\n\n"
             "Send a message.\n\n"
             ":param message: str, anything bytes-like, or a dict, which is sent as JSON.\n"
             ":param binary: whether it is sent as binary; default: as text, which bytes must be UTF-8 for.\n"
             ":returns: a Future that is done when it was sent.\n"
             ":raises WebSocketClosedError: the connection is closed, or closing.");

static PyObject *
handler_write_message(PyObject *self, PyTypeObject *defining, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    tc_state *state = PyType_GetModuleState(defining);
    PyObject *connection = PyObject_GetAttr(self, state->str_ws_connection), *result;
    WsProtocolObject *plain = connection != NULL ? handler_plain_connection(state, connection) : NULL;
    if (TC_LIKELY(plain != NULL)) {
        result = tc_ws_write_message(plain, args, nargs, kwnames);
    }
    else {
        PyObject *const names[] = {state->str_message, state->str_binary};
        PyObject *v[2] = {NULL, NULL};
        PyObject *write = tc_upcall(state, write_message);
        bool parsed = connection != NULL && write != NULL &&
                      tc_args_parse("write_message", args, nargs, kwnames, names, 2, 1, v) == 0;
        PyObject *call[3] = {connection, v[0], v[1] != NULL ? v[1] : Py_False};
        result = parsed ? PyObject_Vectorcall(write, call, 3, NULL) : NULL;
    }
    Py_XDECREF(connection);
    return result;
}

static PyMethodDef handler_methods[] = {
    {"write_message", (PyCFunction)(void (*)(void))handler_write_message,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, handler_write_message_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot handler_slots[] = {
    {Py_tp_doc, "The native half of tornado_c.websocket.WebSocketHandler."},
    {Py_tp_methods, handler_methods},
    {0, NULL},
};

static PyType_Spec handler_spec = {
    .name = "tornado_c._core.WebSocketHandlerBase",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = handler_slots,
};

int
tc_ws_handler_init_type(PyObject *module, tc_state *state)
{
    state->ws_handler_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &handler_spec, NULL);
    return state->ws_handler_type != NULL ? PyModule_AddType(module, state->ws_handler_type) : -1;
}
