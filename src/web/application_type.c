/* The C base of tornado_c.web.Application, one of the implementers of http_app.h: route, make the handler,
 * run it, without a Python frame of our own. A request with a body is routed once its head is complete, any
 * other when it is served. A subclass with its own find_handler() or get_handler_delegate() is asked in
 * Python instead; one with its own __call__() or start_request() is a callback or a delegate to HTTP. */
#include "web/route_table.h"

#include "web/handler.h"

/* ---- in Python ---- */

/* find_handler(request): overridden, or for rules that C does not know. */
static PyObject *
application_find_slow(ApplicationObject *self, PyObject *request)
{
    return PyObject_CallMethodOneArg((PyObject *)self, self->base.state->str_find_handler, request);
}

/* delegate.execute(); one that has no such method gets the request in pieces. */
static PyObject *
application_run_slow(tc_state *state, PyObject *delegate, PyObject *request)
{
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
    return result;
}

static PyObject *
application_call_slow(ApplicationObject *self, PyObject *request)
{
    PyObject *delegate = application_find_slow(self, request);
    PyObject *result = delegate != NULL ? application_run_slow(self->base.state, delegate, request) : NULL;
    Py_XDECREF(delegate);
    return result;
}

/* ---- in C ---- */

/* The settings' default handler, for a request that no rule matches: 1 found, 0 none, -1. */
static int
application_default_class(ApplicationObject *self, PyObject *settings, tc_route *route)
{
    PyObject *cls;
    int st = PyDict_GetItemRef(settings, self->base.state->str_default_handler_class, &cls);
    if (st > 0) {
        st = PyObject_IsTrue(cls);
        if (st <= 0) {
            Py_DECREF(cls);
            return st;
        }
        route->cls = cls;
        st = PyDict_GetItemRef(settings, self->base.state->str_default_handler_args, &route->kwargs) < 0 ? -1
                                                                                                         : 1;
    }
    return st;
}

/* The handler of a request that no rule matches. */
static int
application_default(ApplicationObject *self, tc_route *route)
{
    tc_state *state = self->base.state;
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

int
tc_application_find(ApplicationObject *self, PyObject *request, tc_route *route)
{
    tc_state *state = self->base.state;
    PyObject *obj = (PyObject *)self;
    if (!tc_hooks_has(state, obj, TC_HOOK_find_handler, state->str_find_handler) ||
        !tc_hooks_has(state, obj, TC_HOOK_get_handler_delegate, state->str_get_handler_delegate)) {
        return 0;
    }
    int found = tc_application_route(self, request, route);
    if (found == 0) {
        bool odd_settings = self->settings != NULL && !PyDict_CheckExact(self->settings);
        return odd_settings ? 0 : application_default(self, route) < 0 ? -1 : 1;
    }
    return found == TC_ROUTE_FOREIGN ? 0 : found;
}

static PyObject *
application_execute(ApplicationObject *self, PyObject *request, const tc_route *route)
{
    PyObject *application = route->application != NULL ? route->application : (PyObject *)self;
    return tc_handler_execute(self->base.state, route->cls, application, request, route->kwargs,
                              route->path_args, route->path_kwargs);
}

static PyObject *
application_dispatch(ApplicationObject *self, PyObject *request)
{
    tc_route route = {0};
    int found = tc_application_find(self, request, &route);
    PyObject *result = found > 0    ? application_execute(self, request, &route)
                       : found == 0 ? application_call_slow(self, request)
                                    : NULL;
    tc_route_clear(&route);
    return result;
}

/* ---- for HTTP ---- */

static bool
application_serves(PyObject *app)
{
    tc_state *state = ((ApplicationObject *)app)->base.state;
    return Py_TYPE(app)->tp_call == state->application_type->tp_call &&
           tc_hooks_has(state, app, TC_HOOK_start_request, state->str_start_request);
}

/* The route as request->held keeps it: a tuple of its five parts, or of the delegate that Python found. */
static PyObject *
application_hold(ApplicationObject *self, PyObject *request)
{
    tc_route route = {0};
    PyObject *parts[5] = {NULL}, *held = NULL;
    int found = tc_application_find(self, request, &route);
    if (found > 0) {
        PyObject *found_parts[5] = {route.cls, route.kwargs, route.path_args, route.path_kwargs,
                                    route.application};
        for (int i = 0; i < 5; i++) {
            parts[i] = found_parts[i] != NULL ? found_parts[i] : Py_None;
        }
        held = PyTuple_Pack(5, parts[0], parts[1], parts[2], parts[3], parts[4]);
    }
    else if (found == 0) {
        PyObject *delegate = application_find_slow(self, request);
        held = delegate != NULL ? PyTuple_Pack(1, delegate) : NULL;
        Py_XDECREF(delegate);
    }
    tc_route_clear(&route);
    return held;
}

static PyObject *
held_part(PyObject *held, Py_ssize_t i)
{
    PyObject *part = PyTuple_GET_ITEM(held, i);
    return part != Py_None ? part : NULL;
}

static int
application_begin(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    if (tc_request_check_query(request) < 0) {
        return -1;
    }
    if (tc_request_has_body(request)) {
        PyObject *held = application_hold((ApplicationObject *)app, (PyObject *)request);
        if (held == NULL) {
            return -1;
        }
        Py_XSETREF(request->held, held);
    }
    return TC_APP_WHOLE;
}

static int
application_end(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    ApplicationObject *self = (ApplicationObject *)app;
    PyObject *held = request->held, *result;
    request->held = NULL;
    if (TC_LIKELY(held == NULL)) {
        result = application_dispatch(self, (PyObject *)request);
    }
    else if (PyTuple_GET_SIZE(held) == 5) {
        tc_route route = {held_part(held, 0), held_part(held, 1), held_part(held, 2), held_part(held, 3),
                          held_part(held, 4)};
        result = application_execute(self, (PyObject *)request, &route);
    }
    else {
        result = application_run_slow(self->base.state, PyTuple_GET_ITEM(held, 0), (PyObject *)request);
    }
    Py_XDECREF(held);
    return tc_http_conn_take_result(conn, result);
}

static const tc_http_app_class application_class = {
    .serves = application_serves,
    .begin = application_begin,
    .end = application_end,
};

/* ---- for Python ---- */

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

/* ---- life cycle ---- */

static PyObject *
application_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    ApplicationObject *self = state != NULL ? (ApplicationObject *)type->tp_alloc(type, 0) : NULL;
    if (self != NULL) {
        self->base.state = state;
        self->base.app_class = &application_class;
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

/* ---- attributes ---- */

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
     PyDoc_STR("Classes that alter each response.")},
    {"default_host", T_OBJECT_EX, offsetof(ApplicationObject, default_host), 0,
     PyDoc_STR("The host whose rules serve requests for unknown hosts.")},
    {"wildcard_router", T_OBJECT_EX, offsetof(ApplicationObject, wildcard_router), 0,
     PyDoc_STR("The router of the rules for any host.")},
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
    PyObject *type = PyType_FromModuleAndSpec(module, &application_spec, (PyObject *)state->http_app_type);
    state->application_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "ApplicationBase", type) : -1;
}
