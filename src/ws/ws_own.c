/* Which methods of a connection are as we wrote them. A class is looked at once for each of its versions, an
 * instance each time if it has attributes of its own. Runs no Python. */
#include "base/instance.h"
#include "ws/ws_parts.h"

static PyObject *
own_name(tc_state *state, size_t i)
{
    PyObject *const names[TC_WS_OWN_COUNT] = {
#define TC_X(name) state->str_##name,
        TC_WS_OVERRIDABLE(TC_X)
#undef TC_X
    };
    return names[i];
}

static uint32_t
own_of_class(tc_state *state, PyTypeObject *type)
{
    uint32_t own = 0;
    for (size_t i = 0; i < TC_WS_OWN_COUNT; i++) {
        PyObject *name = own_name(state, i);
        own |= _PyType_Lookup(type, name) == _PyType_Lookup(state->ws_protocol_type, name) ? 1u << i : 0;
    }
    return tc_instance_class_is_plain(type, state->str___getattribute__) ? own : 0;
}

bool
tc_ws_owns_slow(WsProtocolObject *self, uint32_t methods)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->class_tag == 0 || self->class_tag != type->tp_version_tag) {
        self->own = own_of_class(self->state, type);
        self->class_tag = type->tp_version_tag; /* which the lookups have given it, if there are any left */
    }
    tc_instance at = tc_instance_read((PyObject *)self);
    if ((self->own & methods) != methods || !at.known || at.values != NULL) {
        return false;
    }
    return !tc_instance_dict_may_have_any(at.dict, self->state, own_name, methods);
}
