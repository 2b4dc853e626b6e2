/* The C bases of the two machines of permessage-deflate: they call zlib's objects, which the Python classes make.
 * A message ends with an empty stored block, of which the last four bytes are not sent. Runs Python: those objects
 * may be anybody's, and zlib lets other threads run. */
#include "base/args.h"
#include "base/flag.h"
#include "ws/ws_parts.h"

#define TAIL "\x00\x00\xff\xff"
#define TAIL_SIZE 4
#define SYNC_FLUSH 2         /* zlib's */
#define WINDOW 32768         /* the longest history */
#define FINAL_BLOCKS_MAX 64  /* with which a peer may end its stream within a message: each costs an object */
#define EMPTY_MESSAGE "\x00" /* zlib flushes nothing where nothing has come since its last flush */

typedef struct {
    PyObject_HEAD PyObject *zlib; /* of all messages, or NULL; made with the first: it is large */
    PyObject *max;                /* bytes of the largest message, of a decompressor */
    bool persistent;
} MachineObject;

/* What a method has returned, which must be bytes. */
static PyObject *
machine_bytes(PyObject *result, const char *method)
{
    if (result != NULL && !PyBytes_Check(result)) {
        PyErr_Format(PyExc_TypeError, "%s() returned %.100s", method, Py_TYPE(result)->tp_name);
        Py_CLEAR(result);
    }
    return result;
}

/* The object of the messages before, or a new one; a new reference. */
static PyObject *
machine_zlib(MachineObject *self, PyObject *create)
{
    return !tc_ws_is_none(self->zlib) ? Py_NewRef(self->zlib)
                                      : PyObject_CallMethodNoArgs((PyObject *)self, create);
}

/* Keeps it for the next message. */
static void
machine_keep(MachineObject *self, PyObject *zlib)
{
    if (self->zlib != zlib || !self->persistent) {
        Py_XSETREF(self->zlib, self->persistent ? Py_NewRef(zlib) : NULL);
    }
}

/* ---- compressing ---- */

/* zlib.compress(data) + zlib.flush(), without the tail. */
static PyObject *
compress_whole(tc_state *state, PyObject *zlib, PyObject *data)
{
    PyObject *args[] = {zlib, data}, *mode = PyLong_FromLong(SYNC_FLUSH), *payload = NULL;
    PyObject *first =
        mode != NULL
            ? machine_bytes(PyObject_VectorcallMethod(state->str_compress, args, 2, NULL), "compress")
            : NULL;
    args[1] = mode;
    PyObject *rest = first != NULL
                         ? machine_bytes(PyObject_VectorcallMethod(state->str_flush, args, 2, NULL), "flush")
                         : NULL;
    if (rest != NULL) {
        Py_ssize_t at = PyBytes_GET_SIZE(first), size = at + PyBytes_GET_SIZE(rest);
        payload = PyBytes_FromStringAndSize(NULL, size);
        if (payload != NULL) {
            char *to = PyBytes_AS_STRING(payload);
            memcpy(to, PyBytes_AS_STRING(first), (size_t)at);
            memcpy(to + at, PyBytes_AS_STRING(rest), (size_t)(size - at));
            if (size < TAIL_SIZE || memcmp(to + size - TAIL_SIZE, TAIL, TAIL_SIZE) != 0) {
                PyErr_SetNone(PyExc_AssertionError);
                Py_CLEAR(payload);
            }
            else {
                _PyBytes_Resize(&payload, size - TAIL_SIZE);
            }
        }
    }
    Py_XDECREF(mode);
    Py_XDECREF(first);
    Py_XDECREF(rest);
    return payload;
}

static PyObject *
compressor_compress(PyObject *obj, PyTypeObject *defining, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    MachineObject *self = (MachineObject *)obj;
    tc_state *state = PyType_GetModuleState(defining);
    PyObject *const names[] = {state->str_data};
    PyObject *data;
    int some =
        tc_args_parse("compress", args, nargs, kwnames, names, 1, 1, &data) == 0 ? PyObject_IsTrue(data) : -1;
    if (some <= 0) {
        return some < 0 ? NULL : PyBytes_FromStringAndSize(EMPTY_MESSAGE, 1);
    }
    PyObject *zlib = machine_zlib(self, state->str__create_compressor);
    PyObject *payload = zlib != NULL ? compress_whole(state, zlib, data) : NULL;
    if (zlib != NULL) {
        machine_keep(self, zlib);
        Py_DECREF(zlib);
    }
    return payload;
}

/* ---- decompressing ---- */

/* The limit, at most so that a byte more can be asked for: 0 or -1. */
static int
decompressor_max(MachineObject *self, Py_ssize_t *max)
{
    *max = PyNumber_AsSsize_t(self->max != NULL ? self->max : Py_None, NULL);
    if (*max == -1 && PyErr_Occurred()) {
        return -1;
    }
    *max = *max < 0 ? 0 : *max == PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX - 1 : *max;
    return 0;
}

/* `*message` (NULL: nothing yet) and what zlib makes of the data; of the limit a byte more is asked for, because
 * zlib keeps output back without saying so, and takes 0 for no limit. 0 or -1. */
static int
decompress_piece(tc_state *state, PyObject *zlib, PyObject *data, Py_ssize_t max, PyObject **message)
{
    Py_ssize_t had = *message != NULL ? PyBytes_GET_SIZE(*message) : 0;
    PyObject *limit = PyLong_FromSsize_t(max + 1 - had);
    PyObject *args[] = {zlib, data, limit};
    PyObject *piece =
        limit != NULL
            ? machine_bytes(PyObject_VectorcallMethod(state->str_decompress, args, 3, NULL), "decompress")
            : NULL;
    Py_XDECREF(limit);
    if (piece == NULL) {
        return -1;
    }
    if (PyBytes_GET_SIZE(piece) > max - had) {
        Py_DECREF(piece);
        PyObject *too_large = tc_face(state, DecompressTooLargeError);
        if (too_large != NULL) {
            PyErr_SetNone(too_large);
        }
        return -1;
    }
    if (*message == NULL) {
        *message = piece;
    }
    else {
        PyBytes_ConcatAndDel(message, piece);
    }
    return *message != NULL ? 0 : -1;
}

/* zlib.eof: a final block has ended zlib's stream. */
static int
decompress_is_over(tc_state *state, PyObject *zlib)
{
    PyObject *eof = PyObject_GetAttr(zlib, state->str_eof);
    int over = eof != NULL ? PyObject_IsTrue(eof) : -1;
    Py_XDECREF(eof);
    return over;
}

/* An object for what follows a final block, which may refer to the message so far; `*data` becomes what follows. */
static int
decompress_again(MachineObject *self, tc_state *state, PyObject **zlib, PyObject **data, PyObject *message)
{
    Py_ssize_t size = PyBytes_GET_SIZE(message), from = size > WINDOW ? size - WINDOW : 0;
    PyObject *history = PyBytes_FromStringAndSize(PyBytes_AS_STRING(message) + from, size - from);
    PyObject *left = machine_bytes(PyObject_GetAttr(*zlib, state->str_unused_data), "unused_data");
    PyObject *next =
        history != NULL && left != NULL
            ? PyObject_CallMethodOneArg((PyObject *)self, state->str__create_decompressor, history)
            : NULL;
    Py_XDECREF(history);
    if (next == NULL) {
        Py_XDECREF(left);
        return -1;
    }
    Py_SETREF(*zlib, next);
    Py_SETREF(*data, left);
    return 0;
}

static void
decompress_refuse(void)
{
    PyObject *module = PyImport_ImportModule("zlib");
    PyObject *error = module != NULL ? PyObject_GetAttrString(module, "error") : NULL;
    if (error != NULL) {
        PyErr_SetString(error, "too many final blocks");
    }
    Py_XDECREF(error);
    Py_XDECREF(module);
}

/* The message of a payload with its tail; `*zlib` becomes the object for the next one. */
static PyObject *
decompress_whole(MachineObject *self, tc_state *state, PyObject **zlib, PyObject *payload, Py_ssize_t max)
{
    PyObject *message = NULL, *data = Py_NewRef(payload);
    int over = 1;
    for (int i = 0; over > 0 && i <= FINAL_BLOCKS_MAX; i++) {
        if ((i > 0 && decompress_again(self, state, zlib, &data, message) < 0) ||
            decompress_piece(state, *zlib, data, max, &message) < 0) {
            over = -1;
            break;
        }
        over = decompress_is_over(state, *zlib);
    }
    Py_DECREF(data);
    if (over > 0) {
        decompress_refuse();
    }
    if (over != 0) {
        Py_CLEAR(message);
    }
    return message;
}

/* The payload with the tail that was not sent. */
static PyObject *
decompressor_payload(PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *payload = PyBytes_FromStringAndSize(NULL, view.len + TAIL_SIZE);
    if (payload != NULL) {
        memcpy(PyBytes_AS_STRING(payload), view.buf, (size_t)view.len);
        memcpy(PyBytes_AS_STRING(payload) + view.len, TAIL, TAIL_SIZE);
    }
    PyBuffer_Release(&view);
    return payload;
}

static PyObject *
decompressor_decompress(PyObject *obj, PyTypeObject *defining, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames)
{
    MachineObject *self = (MachineObject *)obj;
    tc_state *state = PyType_GetModuleState(defining);
    PyObject *const names[] = {state->str_data};
    PyObject *data;
    Py_ssize_t max;
    if (tc_args_parse("decompress", args, nargs, kwnames, names, 1, 1, &data) < 0 ||
        decompressor_max(self, &max) < 0) {
        return NULL;
    }
    PyObject *payload = decompressor_payload(data), *message = NULL;
    PyObject *zlib = payload != NULL ? machine_zlib(self, state->str__create_decompressor) : NULL;
    if (zlib != NULL) {
        message = decompress_whole(self, state, &zlib, payload, max);
        if (message != NULL) {
            machine_keep(self, zlib);
        }
        Py_DECREF(zlib);
    }
    Py_XDECREF(payload);
    return message;
}

/* ---- the types ---- */

static int
machine_traverse(MachineObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->zlib);
    Py_VISIT(self->max);
    return 0;
}

static int
machine_clear(MachineObject *self)
{
    Py_CLEAR(self->zlib);
    Py_CLEAR(self->max);
    return 0;
}

static void
machine_dealloc(MachineObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    machine_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

#define METHOD(function) (PyCFunction)(void (*)(void))(function), METH_METHOD | METH_FASTCALL | METH_KEYWORDS

PyDoc_STRVAR(compress_doc, "compress($self, data)\n--\n\nReturn the payload for a message.");

PyDoc_STRVAR(decompress_doc, "decompress($self, data)\n--\n\n"
                             "Return the message of a payload.\n\n"
                             ":raises _DecompressTooLargeError: it would be longer than the limit.\n"
                             ":raises zlib.error: the payload is malformed.");

static PyMethodDef compressor_methods[] = {
    {"compress", METHOD(compressor_compress), compress_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef decompressor_methods[] = {
    {"decompress", METHOD(decompressor_decompress), decompress_doc},
    {NULL, NULL, 0, NULL},
};

#define FIELD(name, field, kind, doc)                                                                        \
    {                                                                                                        \
        name, kind, offsetof(MachineObject, field), 0, PyDoc_STR(doc)                                        \
    }

static PyMemberDef compressor_members[] = {
    FIELD("_compressor", zlib, T_OBJECT, "zlib's object, or None."),
    {NULL},
};

static PyMemberDef decompressor_members[] = {
    FIELD("_decompressor", zlib, T_OBJECT, "zlib's object, or None."),
    FIELD("_max_message_size", max, T_OBJECT, "Bytes of the largest message."),
    {NULL},
};

static PyGetSetDef machine_getset[] = {
    TC_FLAG(MachineObject, "_persistent", persistent, "Whether a message may refer to those before it."),
    {NULL},
};

#define SLOTS(kind, doc)                                                                                     \
    static PyType_Slot kind##_slots[] = {                                                                    \
        {Py_tp_doc, doc},                                                                                    \
        {Py_tp_dealloc, machine_dealloc},                                                                    \
        {Py_tp_traverse, machine_traverse},                                                                  \
        {Py_tp_clear, machine_clear},                                                                        \
        {Py_tp_methods, kind##_methods},                                                                     \
        {Py_tp_members, kind##_members},                                                                     \
        {Py_tp_getset, machine_getset},                                                                      \
        {0, NULL},                                                                                           \
    }

SLOTS(compressor, "The native half of what compresses messages.");
SLOTS(decompressor, "The native half of what decompresses messages.");

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

static PyType_Spec compressor_spec = {"tornado_c._core.MessageCompressorBase", sizeof(MachineObject), 0,
                                      FLAGS, compressor_slots};
static PyType_Spec decompressor_spec = {"tornado_c._core.MessageDecompressorBase", sizeof(MachineObject), 0,
                                        FLAGS, decompressor_slots};

static int
machine_init_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type != NULL ? PyModule_AddType(module, *type) : -1;
}

int
tc_ws_compressor_init_type(PyObject *module, tc_state *state)
{
    return machine_init_type(module, &state->ws_compressor_type, &compressor_spec);
}

int
tc_ws_decompressor_init_type(PyObject *module, tc_state *state)
{
    return machine_init_type(module, &state->ws_decompressor_type, &decompressor_spec);
}
