/* The extension module tornado_c._core: multi-phase initialisation, the state's life cycle and the
 * registration of the Python classes that C makes instances of. */
#include "event/core.h"
#include "http/http_reader.h"
#include "base/raise.h"
#include "state.h"
#include "web/handler.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

PyObject *
tc_face_or_raise(PyObject *face, const char *name, const char *module)
{
    if (TC_UNLIKELY(face == NULL)) {
        PyErr_Format(PyExc_RuntimeError, "%s is not registered; import %s first", name, module);
    }
    return face;
}

/* Where the state keeps a face; NULL for a name that it does not know. */
static PyObject **
module_face(tc_state *state, const char *name)
{
#define TC_X(face)                                                                                           \
    if (strcmp(name, #face) == 0) {                                                                          \
        return &state->face_##face;                                                                          \
    }
    TC_FACES(TC_X)
#undef TC_X
    return NULL;
}

/* The class of which a face must be a subclass, since C takes its instances to have that layout or raises
 * them; NULL where it does neither. */
static PyTypeObject *
module_face_base(tc_state *state, const char *name)
{
    PyTypeObject *exception = (PyTypeObject *)PyExc_Exception;
    const struct {
        const char *name;
        PyTypeObject *base;
    } faces[] = {
        {"HTTPConnection", state->http_conn_type},
        {"HTTPHeaders", state->headers_type},
        {"HTTPServerRequest", state->request_type},
        {"IOStream", state->stream_type},
        {"RequestStartLine", &PyTuple_Type},
        {"ResponseStartLine", &PyTuple_Type},
        {"HTTPError", exception},
        {"HTTPInputError", exception},
        {"HTTPOutputError", exception},
        {"MissingArgumentError", exception},
        {"StreamBufferFullError", exception},
        {"StreamClosedError", exception},
        {"UnsatisfiableReadError", exception},
    };
    for (size_t i = 0; i < TC_ARRAY_LEN(faces); i++) {
        if (strcmp(name, faces[i].name) == 0) {
            return faces[i].base;
        }
    }
    return NULL;
}

PyDoc_STRVAR(module_register_doc, "register($module, name, obj, /)\n--\n\n"
                                  "Hand a Python class or exception to C, which makes instances of it.\n\n"
                                  "Raises LookupError for a name that C does not know, TypeError where C\n"
                                  "could make no instances of the class.");

static PyObject *
module_register(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *obj;
    if (!PyArg_ParseTuple(args, "sO:register", &name, &obj)) {
        return NULL;
    }
    tc_state *state = PyModule_GetState(module);
    PyObject **field = module_face(state, name);
    if (field == NULL) {
        return PyErr_Format(PyExc_LookupError, "no face named '%s'", name);
    }
    PyTypeObject *base = module_face_base(state, name);
    if (base != NULL && (!PyType_Check(obj) || !PyType_IsSubtype((PyTypeObject *)obj, base))) {
        return PyErr_Format(PyExc_TypeError, "%s must be a subclass of %s", name, base->tp_name);
    }
    if (strcmp(name, "http_responses") == 0 && !PyDict_Check(obj)) {
        return PyErr_Format(PyExc_TypeError, "%s must be a dict", name);
    }
    /* C may be in the middle of using the old one. */
    if (*field != NULL && PyList_Append(state->old_faces, *field) < 0) {
        return NULL;
    }
    Py_XSETREF(*field, Py_NewRef(obj));
    Py_RETURN_NONE;
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
    return tc_handler_execute(PyModule_GetState(module), args[2], args[0], args[1], args[3], args[4],
                              args[5]);
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

PyDoc_STRVAR(module_format_head_doc,
             "format_head($module, first_line, headers, /)\n--\n\n"
             "The head of a message as bytes: the line in UTF-8, the HTTPHeaders in Latin-1.\n\n"
             "Raises ValueError for CR, LF or NUL in a line.");

PyDoc_STRVAR(module_instance_dict_doc, "instance_dict($module, obj, /)\n--\n\n"
                                       "The dict of an object, whatever its class makes of __dict__.");

static PyObject *
module_instance_dict(PyObject *module, PyObject *obj)
{
    return PyObject_GenericGetDict(obj, NULL);
}

static PyMethodDef module_methods[] = {
    {"execute_handler", (PyCFunction)(void (*)(void))module_execute_handler, METH_FASTCALL,
     module_execute_handler_doc},
    {"format_head", (PyCFunction)(void (*)(void))tc_http_format_head, METH_FASTCALL, module_format_head_doc},
    {"instance_dict", module_instance_dict, METH_O, module_instance_dict_doc},
    {"register", module_register, METH_VARARGS, module_register_doc},
    {"signal_when_parent_ends", module_parent_ends, METH_O, module_parent_ends_doc},
    {NULL, NULL, 0, NULL},
};

static PyObject *
module_import(const char *module_name, const char *attr)
{
    PyObject *imported = PyImport_ImportModule(module_name);
    if (imported == NULL) {
        return NULL;
    }
    PyObject *value = PyObject_GetAttrString(imported, attr);
    Py_DECREF(imported);
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
#define TC_X(name)                                                                                           \
    if ((state->str_##name = PyUnicode_InternFromString(#name)) == NULL) {                                   \
        return -1;                                                                                           \
    }
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(name, text)                                                                                     \
    if ((state->text_##name = PyUnicode_InternFromString(text)) == NULL) {                                   \
        return -1;                                                                                           \
    }
    TC_TEXTS(TC_X)
#undef TC_X
#define TC_X(field, module_name, attr)                                                                       \
    if ((state->field = module_import(module_name, attr)) == NULL) {                                         \
        return -1;                                                                                           \
    }
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name, ...)                                                                                      \
    if ((state->kw_##name = Py_BuildValue(__VA_ARGS__)) == NULL) {                                           \
        return -1;                                                                                           \
    }
    TC_KEYWORDS(TC_X)
#undef TC_X
    if ((state->old_faces = PyList_New(0)) == NULL || tc_future_init_methods(state) < 0) {
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
#define TC_X(field, module_name, attr) Py_VISIT(state->field);
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name) Py_VISIT(state->face_##name);
    TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, ...) Py_VISIT(state->kw_##name);
    TC_KEYWORDS(TC_X)
#undef TC_X
#define TC_X(field) Py_VISIT(state->field);
    TC_OWN(TC_X)
#undef TC_X
    return 0;
}

static int
module_clear(PyObject *module)
{
    tc_state *state = PyModule_GetState(module);
    tc_handle_clear_freelists(state);
#define TC_X(name, init) Py_CLEAR(state->name##_type);
    TC_TYPES(TC_X)
#undef TC_X
#define TC_X(name) Py_CLEAR(state->str_##name);
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(name, text) Py_CLEAR(state->text_##name);
    TC_TEXTS(TC_X)
#undef TC_X
#define TC_X(field, module_name, attr) Py_CLEAR(state->field);
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name) Py_CLEAR(state->face_##name);
    TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, ...) Py_CLEAR(state->kw_##name);
    TC_KEYWORDS(TC_X)
#undef TC_X
#define TC_X(field) Py_CLEAR(state->field);
    TC_OWN(TC_X)
#undef TC_X
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

struct PyModuleDef tc_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tornado_c._core",
    .m_doc = "The C core of tornado_c. Use the modules of the package tornado_c instead.",
    .m_size = sizeof(tc_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&tc_module);
}
