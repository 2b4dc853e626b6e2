/* The C base of tornado_c.web.Application. Its call is what HTTPServer makes for each request: route, make
 * the handler, run it, with no Python frame of ours. A subclass that has its own find_handler() or
 * get_handler_delegate() is asked in Python instead. */
#include "web/application.h"

#include "base/args.h"
#include "web/handler.h"

/* find_handler(request).execute(), in Python; a delegate that has no such method gets the request in pieces.
 */
static PyObject *
application_call_slow(ApplicationObject *self, PyObject *request)
{
    tc_state *state = self->state;
    PyObject *delegate = PyObject_CallMethodOneArg((PyObject *)self, state->str_find_handler, request);
    if (delegate == NULL) {
        return NULL;
    }
    PyObject *execute, *result = NULL;
    int found = PyObject_GetOptionalAttr(delegate, state->str_execute, &execute);
    if (found > 0) {
        result = PyObject_CallNoArgs(execute);
        Py_DECREF(execute);
    }
    else if (found == 0) {
        PyObject *run = tc_upcall(state, run_delegate), *args[2] = {delegate, request};
        result = run != NULL ? PyObject_Vectorcall(run, args, 2, NULL) : NULL;
    }
    Py_DECREF(delegate);
    return result;
}

/* The handler that the settings name for what no rule wants: 1 found, 0 none, -1. */
static int
application_default_class(ApplicationObject *self, PyObject *settings, tc_route *route)
{
    PyObject *cls;
    int st = PyDict_GetItemRef(settings, self->state->str_default_handler_class, &cls);
    if (st > 0) {
        st = PyObject_IsTrue(cls);
        if (st <= 0) {
            Py_DECREF(cls);
            return st;
        }
        route->cls = cls;
        st = PyDict_GetItemRef(settings, self->state->str_default_handler_args, &route->kwargs) < 0 ? -1 : 1;
    }
    return st;
}

/* The handler of a request that no rule wants. */
static int
application_default(ApplicationObject *self, tc_route *route)
{
    tc_state *state = self->state;
    PyObject *settings = Py_XNewRef(self->settings);
    int st = settings != NULL ? application_default_class(self, settings, route) : 0;
    Py_XDECREF(settings);
    if (st != 0) {
        return st < 0 ? -1 : 0;
    }
    PyObject *error_handler = tc_face(state, ErrorHandler);
    if (error_handler == NULL) {
        return -1;
    }
    route->cls = Py_NewRef(error_handler);
    route->kwargs = Py_BuildValue("{Oi}", state->str_status_code, 404);
    return route->kwargs != NULL ? 0 : -1;
}

static PyObject *
application_dispatch(ApplicationObject *self, PyObject *request)
{
    tc_state *state = self->state;
    PyObject *obj = (PyObject *)self;
    if (!tc_hooks_has(state, obj, TC_HOOK_find_handler, state->str_find_handler) ||
        !tc_hooks_has(state, obj, TC_HOOK_get_handler_delegate, state->str_get_handler_delegate)) {
        return application_call_slow(self, request);
    }
    tc_route route = {0};
    PyObject *result = NULL;
    int found = tc_application_route(self, request, &route);
    bool odd_settings = found == 0 && self->settings != NULL && !PyDict_CheckExact(self->settings);
    if (found == TC_ROUTE_FOREIGN || odd_settings) {
        result = application_call_slow(self, request);
    }
    else if (found > 0 || (found == 0 && application_default(self, &route) == 0)) {
        result = tc_handler_execute(state, route.cls, obj, request, route.kwargs, route.path_args,
                                    route.path_kwargs);
    }
    tc_route_clear(&route);
    return result;
}

static PyObject *
application_call(ApplicationObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *request = NULL;
    Py_ssize_t nargs = PyTuple_GET_SIZE(args);
    if (TC_LIKELY(nargs == 1 && kwargs == NULL)) {
        request = PyTuple_GET_ITEM(args, 0);
    }
    else {
        static char *names[] = {"request", NULL};
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:__call__", names, &request)) {
            return NULL;
        }
    }
    return application_dispatch(self, request);
}

/* -- life cycle ----------------------------------------------------------------------------------------- */

static PyObject *
application_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    ApplicationObject *self = state != NULL ? (ApplicationObject *)type->tp_alloc(type, 0) : NULL;
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

static int
application_traverse(ApplicationObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->settings);
    Py_VISIT(self->transforms);
    Py_VISIT(self->default_host);
    Py_VISIT(self->default_router);
    Py_VISIT(self->wildcard_router);
    Py_VISIT(self->routes);
    return 0;
}

static int
application_clear(ApplicationObject *self)
{
    Py_CLEAR(self->settings);
    Py_CLEAR(self->transforms);
    Py_CLEAR(self->default_host);
    Py_CLEAR(self->default_router);
    Py_CLEAR(self->wildcard_router);
    Py_CLEAR(self->routes);
    return 0;
}

static void
application_dealloc(ApplicationObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    application_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- attributes ----------------------------------------------------------------------------------------- */

static PyObject *
application_get_router(ApplicationObject *self, void *unused)
{
    if (self->default_router == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute 'default_router'",
                     Py_TYPE(self)->tp_name);
    }
    return Py_XNewRef(self->default_router);
}

static int
application_set_router(ApplicationObject *self, PyObject *value, void *unused)
{
    Py_XSETREF(self->default_router, Py_XNewRef(value));
    Py_CLEAR(self->routes); /* the table of another router */
    return 0;
}

static PyGetSetDef application_getset[] = {
    {"default_router", (getter)application_get_router, (setter)application_set_router,
     PyDoc_STR("The router that is asked first."), NULL},
    {NULL},
};

static PyMemberDef application_members[] = {
    {"settings", T_OBJECT_EX, offsetof(ApplicationObject, settings), 0, PyDoc_STR("The keyword arguments.")},
    {"transforms", T_OBJECT_EX, offsetof(ApplicationObject, transforms), 0,
     PyDoc_STR("Classes that alter each answer.")},
    {"default_host", T_OBJECT_EX, offsetof(ApplicationObject, default_host), 0,
     PyDoc_STR("The host whose rules serve requests for unknown hosts.")},
    {"wildcard_router", T_OBJECT_EX, offsetof(ApplicationObject, wildcard_router), 0,
     PyDoc_STR("The router of the rules for any host.")},
    {"_routes", T_OBJECT, offsetof(ApplicationObject, routes), 0, NULL},
    {NULL},
};

PyDoc_STRVAR(application_doc, "ApplicationBase(*args, **kwargs)\n--\n\nThe C base of Application.");

static PyType_Slot application_slots[] = {
    {Py_tp_doc, (void *)application_doc},
    {Py_tp_new, application_new},
    {Py_tp_call, application_call},
    {Py_tp_traverse, application_traverse},
    {Py_tp_clear, application_clear},
    {Py_tp_dealloc, application_dealloc},
    {Py_tp_members, application_members},
    {Py_tp_getset, application_getset},
    {0, NULL},
};

static PyType_Spec application_spec = {
    .name = "tornado_c._core.ApplicationBase",
    .basicsize = sizeof(ApplicationObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = application_slots,
};

int
tc_application_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &application_spec, NULL);
    state->application_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "ApplicationBase", type) : -1;
}
