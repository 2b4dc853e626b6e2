/* Which implementer of http_app.h serves an object, and HTTPAppBase, the base of those that are C types. */
#include "http/http_app.h"

/* The own class of an object that has one, if it may be used. */
static const tc_http_app_class *
app_own_class(tc_state *state, PyObject *app)
{
    if (!PyObject_TypeCheck(app, state->http_app_type)) {
        return NULL;
    }
    const tc_http_app_class *own = ((HttpAppObject *)app)->app_class;
    return own != NULL && (own->serves == NULL || own->serves(app)) ? own : NULL;
}

const tc_http_app_class *
tc_http_app_class_of(tc_state *state, PyObject *app)
{
    const tc_http_app_class *own = app_own_class(state, app);
    PyObject *delegate = state->upcall_HTTPServerConnectionDelegate;
    int is_delegate = own == NULL && delegate != NULL ? PyObject_IsInstance(app, delegate) : 0;
    if (is_delegate < 0) {
        return NULL;
    }
    return own != NULL ? own : is_delegate ? &tc_app_delegate : &tc_app_callback;
}

static PyType_Slot app_slots[] = {
    {Py_tp_doc, "What serves requests by C functions of its own."},
    {0, NULL},
};

static PyType_Spec app_spec = {
    .name = "tornado_c._core.HTTPAppBase",
    .basicsize = sizeof(HttpAppObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = app_slots,
};

int
tc_http_app_init_type(PyObject *module, tc_state *state)
{
    state->http_app_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &app_spec, NULL);
    return state->http_app_type != NULL ? PyModule_AddType(module, state->http_app_type) : -1;
}
