/* The extension module tornado_c._core: multi-phase initialisation, the state's life cycle and the module's
 * own functions. */
#include "base/future.h"
#include "base/memory.h"
#include "event/core.h"
#include "base/state.h"
#include "http/http_date_text.h"
#include "http/http_fields.h"
#include "web/application.h"
#include "web/handler.h"
#include "web/static_file.h"
#include "ws/websocket_mask.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

PyDoc_STRVAR(module_register_doc,
             "register($module, group, /, *, faces={}, upcalls={})\n--\n\n"
             "Hand Python objects to C. Each module of the package hands over one group.\n\n"
             "Nothing is registered where it raises.\n\n"
             ":param faces: the classes and exceptions that C makes instances of.\n"
             ":param upcalls: what C calls or reads.\n"
             ":raises LookupError: a name of the group is missing, or C knows none of that name.\n"
             ":raises TypeError: C could not use the object.");

static PyObject *
module_register(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "faces", "upcalls", NULL};
    const char *group;
    PyObject *faces = NULL, *upcalls = NULL, *none = PyDict_New();
    int st = -1;
    if (none != NULL && PyArg_ParseTupleAndKeywords(args, kwargs, "s|$O!O!:register", names, &group,
                                                    &PyDict_Type, &faces, &PyDict_Type, &upcalls)) {
        st = tc_state_register(PyModule_GetState(module), group, faces != NULL ? faces : none,
                               upcalls != NULL ? upcalls : none);
    }
    Py_XDECREF(none);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

PyDoc_STRVAR(module_execute_handler_doc,
             "execute_handler($module, application, request, cls, kwargs, path_args, path_kwargs, /)\n--\n\n"
             "Answer a request with a handler of class cls.");

static PyObject *
module_execute_handler(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("execute_handler", nargs, 6, 6) < 0) {
        return NULL;
    }
    tc_state *state = PyModule_GetState(module);
    if (PyObject_TypeCheck(args[0], state->application_type) &&
        tc_application_prepare((ApplicationObject *)args[0]) < 0) {
        return NULL;
    }
    return tc_handler_execute(state, args[2], args[0], args[1], args[3], args[4], args[5]);
}

PyDoc_STRVAR(module_slice_doc, "slice_bytes($module, data, start, end, /)\n--\n\n"
                               "data[start:end], for slices that may be many megabytes.");

static PyObject *
module_slice(PyObject *module, PyObject *args)
{
    PyObject *data;
    Py_ssize_t start, end;
    if (!PyArg_ParseTuple(args, "Snn:slice_bytes", &data, &start, &end)) {
        return NULL;
    }
    Py_ssize_t size = PySlice_AdjustIndices(PyBytes_GET_SIZE(data), &start, &end, 1);
    PyObject *slice = PyBytes_FromStringAndSize(NULL, size);
    if (slice != NULL && size > 0) {
        tc_memory_expect(PyBytes_AS_STRING(slice), (size_t)size);
        memcpy(PyBytes_AS_STRING(slice), PyBytes_AS_STRING(data) + start, (size_t)size);
    }
    return slice;
}

PyDoc_STRVAR(module_parent_ends_doc,
             "signal_when_parent_ends($module, number, /)\n--\n\n"
             "Have the kernel send this process a signal when the thread that forked it has ended.\n\n"
             "Returns whether the system can (Linux).");

static PyObject *
module_parent_ends(PyObject *module, PyObject *arg)
{
    long number = PyLong_AsLong(arg);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
#ifdef __linux__
    return prctl(PR_SET_PDEATHSIG, number) == 0 ? Py_NewRef(Py_True) : PyErr_SetFromErrno(PyExc_OSError);
#else
    Py_RETURN_FALSE;
#endif
}

PyDoc_STRVAR(module_peer_ip_doc,
             "peer_ip($module, address, /)\n--\n\n"
             "The text of a client's IP address, of an address of a socket's accept(); of a\n"
             "Unix socket's \"0.0.0.0\".");

PyDoc_STRVAR(module_parse_fields_doc,
             "parse_fields($module, data, keep_blank_values, /)\n--\n\n"
             "The fields of a query or of a form: names are Latin-1 text, values bytes, in lists.");

PyDoc_STRVAR(module_unquote_doc,
             "unquote_to_bytes($module, data, /)\n--\n\n"
             "The bytes that %XX stand for; a percent sign without two hex digits stays.");

PyDoc_STRVAR(module_instance_dict_doc, "instance_dict($module, obj, /)\n--\n\n"
                                       "The dict of an object, whatever its class makes of __dict__.");

static PyObject *
module_instance_dict(PyObject *module, PyObject *obj)
{
    return PyObject_GenericGetDict(obj, NULL);
}

PyDoc_STRVAR(
    module_watch_part_class_doc,
    "watch_part_class($module, cls, /)\n--\n\n"
    "Have a class of routers, rules or matchers notice who asks for the dict of an instance.\n\n"
    "Returns a number that is another one once the class or a base of its has changed; 0 where there\n"
    "is none, or where the class has a ``__dict__`` of its own.");

PyDoc_STRVAR(module_part_values_doc,
             "part_values($module, part, /)\n--\n\n"
             "The dict of a router, a rule or a matcher; one that others have, too, is watched from now on.");

PyDoc_STRVAR(module_datetime_text_doc,
             "datetime_text($module, value, /)\n--\n\n"
             "A datetime that is in UTC, or has no time zone, as HTTP writes it; None for anything else.");

PyDoc_STRVAR(module_owns_doc,
             "owns($module, obj, originals, /)\n--\n\n"
             "Whether methods of an object are these, (name, function, ...): not overridden, not replaced.");

PyDoc_STRVAR(module_is_plain_path_doc,
             "is_plain_path($module, path, /)\n--\n\n"
             "Whether a path is of ASCII names, one slash between any two, none of which begins with a dot.");

PyDoc_STRVAR(
    module_remember_static_file_doc,
    "remember_static_file($module, root, path, absolute_path, link, modified, seconds, content_type, "
    "/)\n--\n\n"
    "Keep what follows from a path below a folder, and from the time when the file was changed.\n\n"
    ":param link: the folder as it is written and where it leads, if that is another path.\n"
    ":param content_type: what static_files.type_by_suffix() returns.");

PyDoc_STRVAR(
    module_serve_static_file_doc,
    "serve_static_file($module, handler, path, include_body, /)\n--\n\n"
    "What StaticFileHandler's get() does, as far as it is as we wrote it.\n\n"
    "Returns True if all is sent, a Future if some of it waits; the open file, if its headers are set\n"
    "and the rest is to be done; None if nothing was done.");

PyDoc_STRVAR(module_open_static_file_doc,
             "open_static_file($module, path, resolved, /)\n--\n\n"
             "Open a regular file, unless a symbolic link leads there. None if it is none or that fails.\n\n"
             ":param resolved: whether it is known that no link leads there, where the system cannot tell.");

PyDoc_STRVAR(module_resolve_path_doc,
             "resolve_path($module, path, /)\n--\n\n"
             "Where a path leads through symbolic links, as os.path.realpath(); None if that fails.");

PyDoc_STRVAR(module_websocket_mask_doc, "websocket_mask($module, mask, data, /)\n--\n\n"
                                        "Mask or unmask the payload of a frame (RFC 6455, section 5.3).\n\n"
                                        ":raises ValueError: the mask has not four bytes.");

static PyMethodDef module_methods[] = {
    {"datetime_text", tc_http_module_datetime_text, METH_O, module_datetime_text_doc},
    {"execute_handler", TC_FASTCALL(module_execute_handler), module_execute_handler_doc},
    {"instance_dict", module_instance_dict, METH_O, module_instance_dict_doc},
    {"is_plain_path", tc_path_is_plain, METH_O, module_is_plain_path_doc},
    {"open_static_file", TC_FASTCALL(tc_static_file_open), module_open_static_file_doc},
    {"owns", TC_FASTCALL(tc_hooks_owns), module_owns_doc},
    {"parse_fields", TC_FASTCALL(tc_http_parse_fields), module_parse_fields_doc},
    {"part_values", tc_route_part_values, METH_O, module_part_values_doc},
    {"peer_ip", tc_http_peer_ip, METH_O, module_peer_ip_doc},
    {"register", (PyCFunction)(void (*)(void))module_register, METH_VARARGS | METH_KEYWORDS,
     module_register_doc},
    {"remember_static_file", TC_FASTCALL(tc_static_remember), module_remember_static_file_doc},
    {"resolve_path", tc_resolve_path, METH_O, module_resolve_path_doc},
    {"serve_static_file", TC_FASTCALL(tc_static_serve), module_serve_static_file_doc},
    {"slice_bytes", module_slice, METH_VARARGS, module_slice_doc},
    {"signal_when_parent_ends", module_parent_ends, METH_O, module_parent_ends_doc},
    {"unquote_to_bytes", tc_http_unquote_bytes, METH_O, module_unquote_doc},
    {"watch_part_class", tc_route_part_watch, METH_O, module_watch_part_class_doc},
    {"websocket_mask", TC_FASTCALL(tc_websocket_mask), module_websocket_mask_doc},
    {NULL, NULL, 0, NULL},
};

/* ---- the state ---- */

/* Objects that are made with the module: a name, or an attribute of a module of Python's. In tables, since code
 * for each of some thousand takes a compiler minutes when it is instrumented. */
typedef struct {
    size_t offset;
    const char *text, *attr; /* attr: of the module `text`; NULL: the text itself */
} module_constant;

static const module_constant module_constants[] = {
#define TC_X(name) {offsetof(tc_state, str_##name), #name, NULL},
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(name, text) {offsetof(tc_state, text_##name), text, NULL},
        TC_TEXTS(TC_X)
#undef TC_X
#define TC_X(field, module_name, attr) {offsetof(tc_state, field), module_name, attr},
            TC_IMPORTS(TC_X)
#undef TC_X
};

/* What else the state holds, types apart. */
static const size_t module_held[] = {
#define TC_X(name, group, base) offsetof(tc_state, face_##name),
    TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, group, type) offsetof(tc_state, upcall_##name),
        TC_UPCALLS(TC_X)
#undef TC_X
#define TC_X(name, ...) offsetof(tc_state, kw_##name),
            TC_KEYWORDS(TC_X)
#undef TC_X
#define TC_X(field) offsetof(tc_state, field),
                TC_OWN(TC_X)
#undef TC_X
};

static PyObject **
module_field(tc_state *state, size_t offset)
{
    return (PyObject **)((char *)state + offset);
}

static PyObject *
module_make(const module_constant *constant)
{
    if (constant->attr == NULL) {
        return PyUnicode_InternFromString(constant->text);
    }
    PyObject *imported = PyImport_ImportModule(constant->text), *value = NULL;
    if (imported != NULL) {
        value = PyObject_GetAttrString(imported, constant->attr);
        Py_DECREF(imported);
    }
    return value;
}

static int
module_exec(PyObject *module)
{
    tc_state *state = PyModule_GetState(module);
    /* From 3.12 on Python itself refuses, by the slot below. */
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "module tornado_c._core does not support loading in subinterpreters");
        return -1;
    }
    if (PyModule_AddStringConstant(module, "poller_backend", tc_poller_backend()) < 0) {
        return -1;
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(module_constants); i++) {
        PyObject *value = module_make(&module_constants[i]);
        if (value == NULL) {
            return -1;
        }
        *module_field(state, module_constants[i].offset) = value;
    }
#define TC_X(name, ...)                                                                                      \
    if ((state->kw_##name = Py_BuildValue(__VA_ARGS__)) == NULL) {                                           \
        return -1;                                                                                           \
    }
    TC_KEYWORDS(TC_X)
#undef TC_X
    if ((state->replaced = PyList_New(0)) == NULL || tc_future_init_methods(state) < 0) {
        return -1;
    }
#define TC_X(name, init)                                                                                     \
    if (init(module, state) < 0) {                                                                           \
        return -1;                                                                                           \
    }
    TC_TYPES(TC_X)
#undef TC_X
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    tc_state *state = PyModule_GetState(module);
#define TC_X(name, init) Py_VISIT(state->name##_type);
    TC_TYPES(TC_X)
#undef TC_X
    for (size_t i = 0; i < TC_ARRAY_LEN(module_constants); i++) {
        Py_VISIT(*module_field(state, module_constants[i].offset));
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(module_held); i++) {
        Py_VISIT(*module_field(state, module_held[i]));
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    tc_state *state = PyModule_GetState(module);
    tc_handle_clear_freelists(state);
    tc_etags_forget(state);
    tc_decimals_forget(state);
    tc_buf_free(&state->json_buffer);
#define TC_X(name, init) Py_CLEAR(state->name##_type);
    TC_TYPES(TC_X)
#undef TC_X
    for (size_t i = 0; i < TC_ARRAY_LEN(module_constants); i++) {
        Py_CLEAR(*module_field(state, module_constants[i].offset));
    }
    for (size_t i = 0; i < TC_ARRAY_LEN(module_held); i++) {
        Py_CLEAR(*module_field(state, module_held[i]));
    }
    return 0;
}

static void
module_free(void *module)
{
    module_clear((PyObject *)module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

PyMODINIT_FUNC
PyInit__core(void)
{
    tc_module.m_methods = module_methods;
    tc_module.m_slots = module_slots;
    tc_module.m_traverse = module_traverse;
    tc_module.m_clear = module_clear;
    tc_module.m_free = module_free;
    return PyModuleDef_Init(&tc_module);
}
