/* The C base of tornado_c.web.RequestHandler: the object, its attributes and what __init__ does. The methods
 * are in handler_headers.c, handler_args.c, output.c, etag.c, finish.c and execute.c; rarer ones are in
 * Python, in tornado_c/_web/. Called on the loop's thread; the hooks (clear, set_default_headers,
 * initialize) may run Python. */
#include "web/application.h"
#include "web/handler.h"

#include "base/args.h"
#include "base/flag.h"

PyObject *
tc_handler_no_field(HandlerObject *self, const char *name)
{
    return PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'", Py_TYPE(self)->tp_name,
                        name);
}

HttpConnObject *
tc_handler_conn(HandlerObject *self)
{
    if (self->request == NULL || !tc_request_check(self->state, self->request)) {
        return NULL;
    }
    PyObject *conn = ((RequestObject *)self->request)->connection;
    return conn != NULL && tc_http_conn_check(self->state, conn) ? (HttpConnObject *)conn : NULL;
}

LoopCore *
tc_handler_core(HandlerObject *self)
{
    if (self->request == NULL || !tc_request_check(self->state, self->request)) {
        return NULL;
    }
    PyObject *conn = ((RequestObject *)self->request)->connection;
    HttpConnObject *native = conn != NULL ? tc_http_conn_of(self->state, conn) : NULL;
    return native != NULL ? tc_http_conn_core(native) : NULL;
}

PyObject *
tc_handler_request_attr(HandlerObject *self, PyObject *name)
{
    PyObject *request = Py_XNewRef(tc_handler_field(self, self->request, "request"));
    PyObject *value = request != NULL ? PyObject_GetAttr(request, name) : NULL;
    Py_XDECREF(request);
    return value;
}

PyObject *
tc_handler_method(HandlerObject *self)
{
    if (TC_LIKELY(self->request != NULL && tc_request_check(self->state, self->request))) {
        PyObject *method = tc_request_method((RequestObject *)self->request);
        if (TC_LIKELY(method != NULL)) {
            return Py_NewRef(method);
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return tc_handler_request_attr(self, self->state->str_method);
}

int
tc_handler_method_id(HandlerObject *self)
{
    PyObject *method = tc_handler_method(self);
    if (method == NULL) {
        return -1;
    }
    int id = TC_HTTP_OTHER;
    if (PyUnicode_Check(method) && PyUnicode_KIND(method) == PyUnicode_1BYTE_KIND) {
        id = tc_http_method_id((const char *)PyUnicode_1BYTE_DATA(method),
                               (size_t)PyUnicode_GET_LENGTH(method));
    }
    Py_DECREF(method);
    return id;
}

int
tc_handler_call(HandlerObject *self, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, name);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_handler_raise(PyObject *exc)
{
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
    return -1;
}

/* ---- __init__ ---- */

/* Has the connection call on_connection_close(). A native one gets the callback only if the handler outlives
 * its dispatch, see execute_watch_close(). */
static int
handler_watch_close(HandlerObject *self)
{
    tc_state *state = self->state;
    if (TC_LIKELY(tc_handler_conn(self) != NULL)) {
        return 0;
    }
    PyObject *conn = tc_handler_request_attr(self, state->str_connection);
    if (conn == NULL) {
        return -1;
    }
    if (tc_http_conn_of(state, conn) != NULL) {
        Py_DECREF(conn);
        return 0;
    }
    PyObject *method = PyObject_GetAttr((PyObject *)self, state->str_on_connection_close);
    PyObject *result =
        method != NULL ? PyObject_CallMethodOneArg(conn, state->str_set_close_callback, method) : NULL;
    Py_DECREF(conn);
    Py_XDECREF(method);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

#define INITIALIZE_ARGS 8 /* so many are passed without a dict */

/* initialize(**kwargs), of few arguments. The values are held, since the method may change the dict. */
static PyObject *
handler_call_initialize(HandlerObject *self, PyObject *kwargs)
{
    PyObject *args[INITIALIZE_ARGS + 1] = {(PyObject *)self}, *name, *value, *result = NULL;
    Py_ssize_t size = kwargs != NULL ? PyDict_GET_SIZE(kwargs) : 0, count = 0;
    PyObject *names = size > 0 ? PyTuple_New(size) : NULL;
    if (size > 0 && names == NULL) {
        return NULL;
    }
    for (Py_ssize_t pos = 0; size > 0 && count < size && PyDict_Next(kwargs, &pos, &name, &value); count++) {
        PyTuple_SET_ITEM(names, count, Py_NewRef(name));
        args[count + 1] = Py_NewRef(value);
    }
    result = PyObject_VectorcallMethod(self->state->str_initialize, args, 1, names);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(args[i + 1]);
    }
    Py_XDECREF(names);
    return result;
}

/* The same for any number, and for keys that may be anything. */
static PyObject *
handler_call_initialize_any(HandlerObject *self, PyObject *kwargs)
{
    PyObject *method = PyObject_GetAttr((PyObject *)self, self->state->str_initialize);
    PyObject *result = method != NULL ? PyObject_VectorcallDict(method, NULL, 0, kwargs) : NULL;
    Py_XDECREF(method);
    return result;
}

static bool
handler_has_few_arguments(PyObject *kwargs)
{
    PyObject *name, *value;
    if (PyDict_GET_SIZE(kwargs) > INITIALIZE_ARGS) {
        return false;
    }
    for (Py_ssize_t pos = 0; PyDict_Next(kwargs, &pos, &name, &value);) {
        if (!PyUnicode_CheckExact(name)) {
            return false;
        }
    }
    return true;
}

static int
handler_initialize(HandlerObject *self, PyObject *kwargs)
{
    PyObject *result = kwargs == NULL || handler_has_few_arguments(kwargs)
                           ? handler_call_initialize(self, kwargs)
                           : handler_call_initialize_any(self, kwargs);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
tc_handler_setup(HandlerObject *self, PyObject *application, PyObject *request, PyObject *kwargs)
{
    tc_state *state = self->state;
    Py_XSETREF(self->application, Py_NewRef(application));
    Py_XSETREF(self->request, Py_NewRef(request));
    self->headers_written = self->finished = self->streams = self->parked = false;
    self->auto_finish = true;
    Py_CLEAR(self->prepared_future);
    Py_CLEAR(self->ui);
    bool own = tc_handler_owns(self, TC_HOOK_clear);
    if ((own ? tc_handler_clear(self) : tc_handler_call(self, state->str_clear)) < 0 ||
        handler_watch_close(self) < 0) {
        return -1;
    }
    bool given = kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0;
    return !given && tc_handler_owns(self, TC_HOOK_initialize)
               ? 0
               : handler_initialize(self, given ? kwargs : NULL);
}

PyDoc_STRVAR(handler_setup_doc, "_setup($self, application, request, kwargs, /)\n--\n\n"
                                "What __init__ does.");

static PyObject *
handler_setup(HandlerObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("_setup", nargs, 3, 3) < 0) {
        return NULL;
    }
    if (!PyDict_Check(args[2])) {
        return PyErr_Format(PyExc_TypeError, "_setup() argument 3 must be dict, not %.200s",
                            Py_TYPE(args[2])->tp_name);
    }
    return tc_handler_setup(self, args[0], args[1], args[2]) == 0 ? Py_NewRef(Py_None) : NULL;
}

/* ---- life cycle ---- */

static PyObject *
handler_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    PyObject *none = state != NULL ? PyTuple_New(0) : NULL;
    /* Through object(): it refuses abstract classes, and up to 3.12 it is the only one who makes room for
     * attributes in place, without a dict. Classes that come here have an __init__, and set some. */
    HandlerObject *self = none != NULL ? (HandlerObject *)PyBaseObject_Type.tp_new(type, none, NULL) : NULL;
    if (self != NULL) {
        self->state = state;
        self->auto_finish = true;
    }
    Py_XDECREF(none);
    return (PyObject *)self;
}

bool
tc_handler_plain_new(PyTypeObject *type)
{
    return type->tp_new == handler_new;
}

static int
handler_traverse(HandlerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->application);
    Py_VISIT(self->request);
    Py_VISIT(self->headers);
    Py_VISIT(self->status_code);
    Py_VISIT(self->reason);
    Py_VISIT(self->write_buffer);
    Py_VISIT(self->path_args);
    Py_VISIT(self->path_kwargs);
    Py_VISIT(self->transforms);
    Py_VISIT(self->prepared_future);
    Py_VISIT(self->new_cookie);
    Py_VISIT(self->ui);
    Py_VISIT(self->ext);
    return 0;
}

static int
handler_clear(HandlerObject *self)
{
    Py_CLEAR(self->application);
    Py_CLEAR(self->request);
    Py_CLEAR(self->headers);
    Py_CLEAR(self->status_code);
    Py_CLEAR(self->reason);
    Py_CLEAR(self->write_buffer);
    Py_CLEAR(self->path_args);
    Py_CLEAR(self->path_kwargs);
    Py_CLEAR(self->transforms);
    Py_CLEAR(self->prepared_future);
    Py_CLEAR(self->new_cookie);
    Py_CLEAR(self->ui);
    Py_CLEAR(self->ext);
    return 0;
}

static void
handler_dealloc(HandlerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    handler_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- attributes ---- */

/* Fields that are made when somebody asks for them, since most are empty and nobody does. */
typedef struct {
    const char *name;
    size_t offset;
    uint8_t bit;
} handler_lazy_field;

static const handler_lazy_field lazy_path_args = {"path_args", offsetof(HandlerObject, path_args),
                                                  TC_UNMADE_ARGS};
static const handler_lazy_field lazy_path_kwargs = {"path_kwargs", offsetof(HandlerObject, path_kwargs),
                                                    TC_UNMADE_KWARGS};
static const handler_lazy_field lazy_transforms = {"_transforms", offsetof(HandlerObject, transforms),
                                                   TC_UNMADE_TRANSFORMS};
static const handler_lazy_field lazy_buffer = {"_write_buffer", offsetof(HandlerObject, write_buffer),
                                               TC_UNMADE_BUFFER};

/* Borrowed. */
static PyObject *
handler_make_lazy(HandlerObject *self, const handler_lazy_field *lazy)
{
    PyObject **field = (PyObject **)((char *)self + lazy->offset);
    if (*field == NULL && (self->unmade & lazy->bit)) {
        PyObject *made = lazy->bit == TC_UNMADE_KWARGS ? PyDict_New() : PyList_New(0);
        if (made == NULL) {
            return NULL;
        }
        Py_XSETREF(*field, made); /* the collector may have run Python */
    }
    return tc_handler_field(self, *field, lazy->name);
}

static PyObject *
handler_get_lazy(HandlerObject *self, void *closure)
{
    return Py_XNewRef(handler_make_lazy(self, closure));
}

static int
handler_set_lazy(HandlerObject *self, PyObject *value, void *closure)
{
    const handler_lazy_field *lazy = closure;
    PyObject **field = (PyObject **)((char *)self + lazy->offset);
    if (value == NULL && *field == NULL && !(self->unmade & lazy->bit)) {
        tc_handler_no_field(self, lazy->name);
        return -1;
    }
    self->unmade &= (uint8_t)~lazy->bit;
    Py_XSETREF(*field, Py_XNewRef(value));
    return 0;
}

static int
handler_set_buffer(HandlerObject *self, PyObject *value, void *closure)
{
    if (value != NULL && !PyList_Check(value)) {
        PyErr_Format(PyExc_TypeError, "_write_buffer must be a list, not %.200s", Py_TYPE(value)->tp_name);
        return -1;
    }
    return handler_set_lazy(self, value, closure);
}

PyObject *
tc_handler_make_buffer(HandlerObject *self)
{
    return handler_make_lazy(self, &lazy_buffer);
}

static PyObject *
handler_get_ui(HandlerObject *self, void *unused)
{
    if (self->ui == NULL) {
        PyObject *ui = tc_web_call(self->state, make_ui, (PyObject *)self);
        if (ui == NULL) {
            return NULL;
        }
        Py_XSETREF(self->ui, Py_NewRef(ui));
        return ui;
    }
    return Py_NewRef(self->ui);
}

static int
handler_set_ui(HandlerObject *self, PyObject *value, void *unused)
{
    Py_XSETREF(self->ui, Py_XNewRef(value));
    return 0;
}

static PyObject *
handler_get_settings(HandlerObject *self, void *unused)
{
    PyObject *application = Py_XNewRef(tc_handler_field(self, self->application, "application"));
    PyObject *settings = NULL;
    if (TC_LIKELY(application != NULL && PyObject_TypeCheck(application, self->state->application_type) &&
                  tc_hooks_own(self->state, application, TC_HOOK_settings) &&
                  ((ApplicationObject *)application)->settings != NULL)) {
        settings = Py_NewRef(((ApplicationObject *)application)->settings);
        Py_DECREF(application);
        return settings;
    }
    /* The application may be a handler, this one even. */
    if (application != NULL && Py_EnterRecursiveCall(" while getting settings") == 0) {
        settings = PyObject_GetAttr(application, self->state->str_settings);
        Py_LeaveRecursiveCall();
    }
    Py_XDECREF(application);
    return settings;
}

static PyGetSetDef handler_getset[] = {
    TC_FLAG(HandlerObject, "_auto_finish", auto_finish,
            "Whether the request is finished when its method returns."),
    TC_FLAG(HandlerObject, "_finished", finished, "Whether finish() was called."),
    TC_FLAG(HandlerObject, "_headers_written", headers_written,
            "Whether the status line and the headers are sent."),
    {"_transforms", (getter)handler_get_lazy, (setter)handler_set_lazy,
     PyDoc_STR("What alters the response on its way out."), (void *)&lazy_transforms},
    {"_write_buffer", (getter)handler_get_lazy, (setter)handler_set_buffer,
     PyDoc_STR("The chunks written and not flushed, a list of bytes."), (void *)&lazy_buffer},
    {"path_args", (getter)handler_get_lazy, (setter)handler_set_lazy,
     PyDoc_STR("What the unnamed groups of the route matched."), (void *)&lazy_path_args},
    {"path_kwargs", (getter)handler_get_lazy, (setter)handler_set_lazy,
     PyDoc_STR("What the named groups of the route matched."), (void *)&lazy_path_kwargs},
    {"settings", (getter)handler_get_settings, NULL, PyDoc_STR("The settings of the application."), NULL},
    {"ui", (getter)handler_get_ui, (setter)handler_set_ui,
     PyDoc_STR("The UI methods and modules that templates see; None once the request is finished."), NULL},
    {NULL},
};

#define TC_FIELD(name, field, doc)                                                                           \
    {                                                                                                        \
        name, T_OBJECT_EX, offsetof(HandlerObject, field), 0, PyDoc_STR(doc)                                 \
    }

static PyMemberDef handler_members[] = {
    TC_FIELD("application", application, "The application that serves the request."),
    TC_FIELD("request", request, "The request, a HTTPServerRequest."),
    TC_FIELD("_headers", headers, "The headers of the response."),
    TC_FIELD("_new_cookie", new_cookie, "The cookies to set, a SimpleCookie; there only if there are any."),
    TC_FIELD("_reason", reason, "The reason phrase of the response."),
    TC_FIELD("_status_code", status_code, "The status code of the response."),
    {"_prepared_future", T_OBJECT, offsetof(HandlerObject, prepared_future), 0,
     PyDoc_STR("Done when prepare() is, or None.")},
    {NULL},
};

static PyMethodDef handler_own_methods[] = {
    {"_setup", TC_FASTCALL(handler_setup), handler_setup_doc},
    {NULL},
};

PyDoc_STRVAR(handler_doc, "HandlerBase(*args, **kwargs)\n--\n\nThe C base of RequestHandler.");

static PyType_Slot handler_slots[] = {
    {Py_tp_doc, (void *)handler_doc},
    {Py_tp_new, handler_new},
    {Py_tp_traverse, handler_traverse},
    {Py_tp_clear, handler_clear},
    {Py_tp_dealloc, handler_dealloc},
    {Py_tp_members, handler_members},
    {Py_tp_getset, handler_getset},
    {Py_tp_methods, handler_own_methods},
    {0, NULL},
};

static PyType_Spec handler_spec = {
    .name = "tornado_c._core.HandlerBase",
    .basicsize = sizeof(HandlerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = handler_slots,
};

/* Adds a table of methods to the type. */
static int
handler_add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (; methods->ml_name != NULL; methods++) {
        PyObject *descriptor = PyDescr_NewMethod(type, methods);
        int st =
            descriptor != NULL ? PyObject_SetAttrString((PyObject *)type, methods->ml_name, descriptor) : -1;
        Py_XDECREF(descriptor);
        if (st < 0) {
            return -1;
        }
    }
    return 0;
}

int
tc_request_handler_init_type(PyObject *module, tc_state *state)
{
    PyMethodDef *parts[] = {tc_handler_header_methods, tc_handler_arg_methods,    tc_handler_output_methods,
                            tc_handler_etag_methods,   tc_handler_finish_methods, tc_streamed_methods};
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &handler_spec, NULL);
    state->request_handler_type = type;
    if (type == NULL) {
        return -1;
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(parts); i++) {
        if (handler_add_methods(type, parts[i]) < 0) {
            return -1;
        }
    }
    return PyModule_AddObjectRef(module, "HandlerBase", (PyObject *)type);
}
