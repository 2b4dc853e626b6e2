/* The C base of tornado_c.web.Application, one of the implementers of http_app.h: route, make the handler,
 * run it, without a Python frame of our own. A request with a body is routed once its head is complete, any
 * other when it is served. A subclass with its own find_handler() or get_handler_delegate() is asked in
 * Python instead; one with its own __call__() or start_request() is a callback or a delegate to HTTP.
 *
 * A handler gets its request whole. Whatever else was found, one that has its body streamed among it, is a
 * message delegate, and gets it from app_delegate.c. */
#include "web/route_table.h"

#include "web/handler.h"

/* ---- in Python ---- */

/* find_handler(request): overridden, or for rules that C does not know. */
static PyObject *
application_find_slow(ApplicationObject *self, PyObject *request)
{
    return PyObject_CallMethodOneArg((PyObject *)self, self->base.state->str_find_handler, request);
}

/* Whose rule it was: this application's, or that of one below it. Borrowed. */
static PyObject *
route_owner(ApplicationObject *self, const tc_route *route)
{
    return route->application != NULL ? route->application : (PyObject *)self;
}

/* A _HandlerDelegate for a route to a handler that has its body streamed. */
static PyObject *
application_make_delegate(ApplicationObject *self, PyObject *request, const tc_route *route)
{
    PyObject *cls = tc_upcall(self->base.state, HandlerDelegate);
    PyObject *args[6] = {route_owner(self, route),
                         request,
                         route->cls,
                         route->kwargs != NULL ? route->kwargs : Py_None,
                         route->path_args != NULL ? route->path_args : Py_None,
                         route->path_kwargs != NULL ? route->path_kwargs : Py_None};
    return cls != NULL ? PyObject_Vectorcall(cls, args, 6, NULL) : NULL;
}

/* Whether a delegate only collects the body for a handler, which C does as well: 1, 0 or -1. */
static int
application_may_collect(tc_state *state, PyObject *delegate)
{
    if ((PyObject *)Py_TYPE(delegate) != state->upcall_HandlerDelegate) {
        return 0;
    }
    PyObject *streams = PyObject_GetAttr(delegate, state->str_stream_request_body);
    int truth = streams != NULL ? PyObject_IsTrue(streams) : -1;
    Py_XDECREF(streams);
    return truth < 0 ? -1 : !truth;
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
    if (!tc_hooks_own(state, (PyObject *)self, TC_HOOK_find_handler | TC_HOOK_get_handler_delegate)) {
        return 0;
    }
    int found = tc_application_route(self, request, route);
    if (found == 0) {
        bool odd_settings = self->settings != NULL && !PyDict_CheckExact(self->settings);
        return odd_settings ? 0 : application_default(self, route) < 0 ? -1 : 1;
    }
    return found == TC_ROUTE_FOREIGN ? 0 : found;
}

/* Whether a setting is there and false: 1, 0 or -1. */
static int
settings_is_off(PyObject *settings, PyObject *name)
{
    PyObject *value;
    int st = PyDict_GetItemRef(settings, name, &value);
    if (st > 0) {
        st = PyObject_Not(value);
        Py_DECREF(value);
    }
    return st;
}

int
tc_application_prepare(ApplicationObject *self)
{
    tc_state *state = self->base.state;
    PyObject *settings = self->settings;
    if (settings == NULL || !PyDict_CheckExact(settings)) {
        return 0;
    }
    uint64_t version = tc_dict_version(settings);
    if (TC_UNLIKELY(version == 0 || version != self->settings_version)) {
        Py_INCREF(settings);
        int off = settings_is_off(settings, state->str_static_hash_cache);
        Py_DECREF(settings);
        if (off < 0) {
            return -1;
        }
        self->settings_version = version;
        self->forgets = off;
    }
    if (TC_LIKELY(!self->forgets)) {
        return 0;
    }
    PyObject *result = tc_web_call(state, forget_versions, (PyObject *)self);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static PyObject *
application_execute(ApplicationObject *self, PyObject *request, const tc_route *route)
{
    tc_state *state = self->base.state;
    PyObject *owner = route_owner(self, route);
    bool ours = owner == (PyObject *)self || PyObject_TypeCheck(owner, state->application_type);
    if (ours && tc_application_prepare((ApplicationObject *)owner) < 0) {
        return NULL;
    }
    PyObject *handler = tc_handler_execute(state, route->cls, owner, request, route->kwargs, route->path_args,
                                           route->path_kwargs);
    Py_XDECREF(handler);
    return handler != NULL ? Py_NewRef(Py_None) : NULL;
}

/* What serves a request: 1 with a route, to a handler that gets its request whole; 0 with a delegate; -1. */
static int
application_seek(ApplicationObject *self, PyObject *request, tc_route *route, PyObject **delegate)
{
    int found = tc_application_find(self, request, route);
    int streams = found > 0 ? tc_handler_streams(self->base.state, route->cls) : 0;
    if (TC_LIKELY(found > 0 && streams == 0)) {
        return 1;
    }
    if (found >= 0 && streams >= 0) {
        *delegate = found > 0 ? application_make_delegate(self, request, route)
                              : application_find_slow(self, request);
    }
    return *delegate != NULL ? 0 : -1;
}

/* ---- for HTTP ---- */

static bool
application_serves(PyObject *app)
{
    tc_state *state = ((ApplicationObject *)app)->base.state;
    return Py_TYPE(app)->tp_call == state->application_type->tp_call &&
           tc_hooks_own(state, app, TC_HOOK_start_request);
}

/* The route as request->held keeps it: a tuple of its five parts. */
static PyObject *
application_pack(const tc_route *route)
{
    PyObject *parts[5] = {route->cls, route->kwargs, route->path_args, route->path_kwargs,
                          route->application};
    for (int i = 0; i < 5; i++) {
        parts[i] = parts[i] != NULL ? parts[i] : Py_None;
    }
    return PyTuple_Pack(5, parts[0], parts[1], parts[2], parts[3], parts[4]);
}

static PyObject *
held_part(PyObject *held, Py_ssize_t i)
{
    PyObject *part = PyTuple_GET_ITEM(held, i);
    return part != Py_None ? part : NULL;
}

/* Gives a request to the delegate (stolen) that Python found: a mode or -1. */
static int
application_begin_delegate(ApplicationObject *self, HttpConnObject *conn, RequestObject *request,
                           PyObject *delegate)
{
    if (delegate == Py_None) {
        Py_SETREF(delegate, tc_web_call(self->base.state, no_delegate, (PyObject *)request));
    }
    return tc_delegate_begin(conn, request, delegate);
}

static int
application_begin(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    ApplicationObject *self = (ApplicationObject *)app;
    if (tc_request_check_query(request) < 0) {
        return -1;
    }
    if (!tc_request_has_body(request)) {
        return TC_APP_WHOLE;
    }
    tc_route route = {0};
    PyObject *delegate = NULL, *held = NULL;
    int found = application_seek(self, (PyObject *)request, &route, &delegate);
    int collect = found == 0 ? application_may_collect(self->base.state, delegate) : 0;
    if (found == 0 && collect == 0) {
        tc_route_clear(&route);
        return application_begin_delegate(self, conn, request, delegate);
    }
    if (found > 0) {
        held = application_pack(&route);
    }
    else if (collect > 0) {
        held = PyTuple_Pack(1, delegate);
    }
    tc_route_clear(&route);
    Py_XDECREF(delegate);
    if (held == NULL) {
        return -1;
    }
    Py_XSETREF(request->held, held);
    return TC_APP_WHOLE;
}

/* Serves a request without a body through the delegate (stolen) that Python found. As end(). */
static int
application_serve_delegate(ApplicationObject *self, HttpConnObject *conn, RequestObject *request,
                           PyObject *delegate)
{
    int mode = application_begin_delegate(self, conn, request, delegate);
    if (mode < 0) {
        return -1;
    }
    bool ends = !(mode & TC_APP_HOLD) && tc_http_conn_wants_response(conn, request);
    return ends ? tc_app_delegate.end((PyObject *)self, conn, request) : TC_AGAIN;
}

/* A request without a body, which is routed now. */
static int
application_serve(ApplicationObject *self, HttpConnObject *conn, RequestObject *request)
{
    tc_route route = {0};
    PyObject *delegate = NULL, *result = NULL;
    int found = application_seek(self, (PyObject *)request, &route, &delegate);
    if (TC_LIKELY(found > 0)) {
        result = application_execute(self, (PyObject *)request, &route);
    }
    else if (found == 0) {
        int collect = application_may_collect(self->base.state, delegate);
        if (collect == 0) {
            tc_route_clear(&route);
            return application_serve_delegate(self, conn, request, delegate);
        }
        result = collect > 0 ? PyObject_CallMethodNoArgs(delegate, self->base.state->str_execute) : NULL;
    }
    tc_route_clear(&route);
    Py_XDECREF(delegate);
    return tc_http_conn_take_result(conn, result);
}

static int
application_end(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    ApplicationObject *self = (ApplicationObject *)app;
    PyObject *held = request->held, *result;
    if (TC_LIKELY(held == NULL && !tc_delegate_is_open(request))) {
        return application_serve(self, conn, request);
    }
    if (tc_delegate_is_open(request)) {
        return tc_app_delegate.end(app, conn, request);
    }
    request->held = NULL;
    if (PyTuple_GET_SIZE(held) == 5) {
        tc_route route = {held_part(held, 0), held_part(held, 1), held_part(held, 2), held_part(held, 3),
                          held_part(held, 4)};
        result = application_execute(self, (PyObject *)request, &route);
    }
    else {
        result = PyObject_CallMethodNoArgs(PyTuple_GET_ITEM(held, 0), self->base.state->str_execute);
    }
    Py_DECREF(held);
    return tc_http_conn_take_result(conn, result);
}

static int
application_piece(PyObject *app, HttpConnObject *conn, RequestObject *request, const char *data, size_t size)
{
    return tc_app_delegate.piece(app, conn, request, data, size);
}

static void
application_gone(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    if (tc_delegate_is_open(request)) {
        tc_app_delegate.gone(app, conn, request);
    }
}

static const tc_http_app_class application_class = {
    .serves = application_serves,
    .begin = application_begin,
    .piece = application_piece,
    .end = application_end,
    .gone = application_gone,
};

/* ---- for Python ---- */

/* A request that is complete: application(request). */
static PyObject *
application_dispatch(ApplicationObject *self, PyObject *request)
{
    tc_route route = {0};
    PyObject *delegate = NULL, *result = NULL;
    int found = application_seek(self, request, &route, &delegate);
    if (TC_LIKELY(found > 0)) {
        result = application_execute(self, request, &route);
    }
    else if (found == 0) {
        PyObject *run = tc_upcall(self->base.state, run_delegate), *args[2] = {delegate, request};
        result = run != NULL ? PyObject_Vectorcall(run, args, 2, NULL) : NULL;
    }
    tc_route_clear(&route);
    Py_XDECREF(delegate);
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
