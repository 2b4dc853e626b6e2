/* The pairs of an HTTPHeaders, in order: the iterator behind get_all, the walk for C, and the lines of a
 * message head. Called by Python code and by the HTTP drivers. Runs Python for instances that are not plain
 * (see headers.h) and for names or values that are not str. */
#include "http/headers/parts.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* -- the iterator --------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD HeadersObject *headers; /* NULL when exhausted */
    PyObject *items;  /* iterator over the fields' items; NULL until the first step, as in a generator */
    PyObject *name;   /* of the field in progress */
    PyObject *values; /* its list, or NULL */
    PyObject *single; /* its only value, already given out, or NULL */
    Py_ssize_t index; /* of the next value in `values` */
    bool running;     /* in the call for the next field */
} HeaderPairsObject;

static int
header_pairs_clear(HeaderPairsObject *self)
{
    Py_CLEAR(self->headers);
    Py_CLEAR(self->items);
    Py_CLEAR(self->name);
    Py_CLEAR(self->values);
    Py_CLEAR(self->single);
    return 0;
}

static int
header_pairs_traverse(HeaderPairsObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->headers);
    Py_VISIT(self->items);
    Py_VISIT(self->name);
    Py_VISIT(self->values);
    Py_VISIT(self->single);
    return 0;
}

static void
header_pairs_dealloc(HeaderPairsObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    header_pairs_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The values of a field that follow a single one, which has been given out: there are some if a value was
 * added meanwhile and turned it into a list. */
static int
header_pairs_follow(HeaderPairsObject *self)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self->headers)), *slot;
    PyObject *name = Py_XNewRef(self->name), *single = self->single;
    self->single = NULL;
    int found = fields != NULL ? PyDict_GetItemRef(fields, name, &slot) : -1;
    if (found > 0 && PyList_CheckExact(slot) && PyList_GET_SIZE(slot) > 1 &&
        PyList_GET_ITEM(slot, 0) == single) {
        Py_XSETREF(self->values, Py_NewRef(slot));
        self->index = 1;
    }
    if (found > 0) {
        Py_DECREF(slot);
    }
    Py_XDECREF(fields);
    Py_XDECREF(name);
    Py_DECREF(single);
    return found < 0 ? -1 : 0;
}

static int
header_pairs_start(HeaderPairsObject *self)
{
    PyObject *fields = Py_XNewRef(tc_headers_fields(self->headers));
    PyObject *view =
        fields != NULL ? PyObject_CallMethodNoArgs(fields, self->headers->state->str_items) : NULL;
    PyObject *items = view != NULL ? PyObject_GetIter(view) : NULL;
    Py_XDECREF(view);
    Py_XDECREF(fields);
    Py_XSETREF(self->items, items);
    return items != NULL ? 0 : -1;
}

/* The next (name, slot) of the fields: a tuple, NULL at the end or with an exception. A dict of the
 * application's own kind may have any items; asking it may run Python, which may ask this iterator. */
static PyObject *
header_pairs_next_field(HeaderPairsObject *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "generator already executing");
        return NULL;
    }
    self->running = true;
    PyObject *item = self->items != NULL || header_pairs_start(self) == 0 ? PyIter_Next(self->items) : NULL;
    if (item != NULL && !PyTuple_CheckExact(item)) {
        Py_SETREF(item, PySequence_Tuple(item));
    }
    if (item != NULL && PyTuple_GET_SIZE(item) != 2) {
        PyErr_SetString(PyExc_ValueError, "items() must give (name, values) pairs");
        Py_CLEAR(item);
    }
    self->running = false;
    return item;
}

/* The next pair of the field in progress; NULL, maybe with an exception, if there is none. */
static PyObject *
header_pairs_same_field(HeaderPairsObject *self)
{
    if (self->single != NULL && header_pairs_follow(self) < 0) {
        return NULL;
    }
    if (self->values != NULL) {
        if (self->index < PyList_GET_SIZE(self->values)) {
            return PyTuple_Pack(2, self->name, PyList_GET_ITEM(self->values, self->index++));
        }
        Py_CLEAR(self->values);
    }
    return NULL;
}

static PyObject *
header_pairs_next(HeaderPairsObject *self)
{
    PyObject *item;
    while (self->headers != NULL) {
        PyObject *pair = header_pairs_same_field(self);
        if (pair != NULL) {
            return pair;
        }
        if (PyErr_Occurred() || (item = header_pairs_next_field(self)) == NULL) {
            break;
        }
        PyObject *slot = PyTuple_GET_ITEM(item, 1);
        if (!PyList_CheckExact(slot) && !self->headers->exposed) {
            Py_XSETREF(self->name, Py_NewRef(PyTuple_GET_ITEM(item, 0)));
            Py_XSETREF(self->single, Py_NewRef(slot));
            return item;
        }
        PyObject *values = PyList_CheckExact(slot) ? Py_NewRef(slot) : PySequence_List(slot);
        if (values == NULL) {
            Py_DECREF(item);
            break;
        }
        self->index = 0;
        Py_XSETREF(self->name, Py_NewRef(PyTuple_GET_ITEM(item, 0)));
        Py_XSETREF(self->values, values);
        Py_DECREF(item);
    }
    if (!self->running) { /* else the outer call goes on with them */
        header_pairs_clear(self);
    }
    return NULL;
}

static PyType_Slot header_pairs_slots[] = {
    {Py_tp_traverse, header_pairs_traverse}, {Py_tp_clear, header_pairs_clear},
    {Py_tp_dealloc, header_pairs_dealloc},   {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, header_pairs_next},     {0, NULL},
};

static PyType_Spec header_pairs_spec = {
    .name = "tornado_c._core._HeaderPairs",
    .basicsize = sizeof(HeaderPairsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = header_pairs_slots,
};

int
tc_header_pairs_init_type(PyObject *module, tc_state *state)
{
    state->header_pairs_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &header_pairs_spec, NULL);
    return state->header_pairs_type != NULL ? 0 : -1;
}

PyObject *
tc_headers_get_all(HeadersObject *self, PyObject *ignored)
{
    PyTypeObject *type = self->state->header_pairs_type;
    HeaderPairsObject *pairs = (HeaderPairsObject *)type->tp_alloc(type, 0);
    if (pairs != NULL) {
        pairs->headers = (HeadersObject *)Py_NewRef(self);
    }
    return (PyObject *)pairs;
}

/* -- the walk ------------------------------------------------------------------------------------------- */

static int
headers_each_value(PyObject *name, PyObject *values, tc_headers_visit visit, void *arg)
{
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        result = visit(arg, name, value);
        Py_DECREF(value);
    }
    return result;
}

static int
headers_each_plain(HeadersObject *self, tc_headers_visit visit, void *arg)
{
    PyObject *fields = tc_headers_fields(self), *name, *slot;
    if (fields == NULL) {
        return -1;
    }
    Py_ssize_t pos = 0, size = PyDict_GET_SIZE(fields);
    int result = 0;
    Py_INCREF(fields);
    while (result == 0 && PyDict_Next(fields, &pos, &name, &slot)) {
        Py_INCREF(name);
        Py_INCREF(slot);
        if (PyList_CheckExact(slot)) {
            result = headers_each_value(name, slot, visit, arg);
        }
        else if (TC_LIKELY(!self->exposed)) {
            result = visit(arg, name, slot);
        }
        else {
            PyObject *values = PySequence_List(slot);
            result = values != NULL ? headers_each_value(name, values, visit, arg) : -1;
            Py_XDECREF(values);
        }
        Py_DECREF(name);
        Py_DECREF(slot);
        if (TC_UNLIKELY(result == 0 && PyDict_GET_SIZE(fields) != size)) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            result = -1;
        }
    }
    Py_DECREF(fields);
    return result;
}

int
tc_headers_each(PyObject *headers, tc_headers_visit visit, void *arg)
{
    if (TC_LIKELY(tc_headers_plain(headers))) {
        return headers_each_plain((HeadersObject *)headers, visit, arg);
    }
    PyObject *all = PyObject_CallMethod(headers, "get_all", NULL), *pair;
    PyObject *pairs = all != NULL ? PyObject_GetIter(all) : NULL;
    Py_XDECREF(all);
    if (pairs == NULL) {
        return -1;
    }
    int result = 0;
    while (result == 0 && (pair = PyIter_Next(pairs)) != NULL) {
        PyObject *both = PySequence_Fast(pair, "get_all() must give (name, value) pairs");
        Py_DECREF(pair);
        if (both == NULL) {
            result = -1;
        }
        else if (PySequence_Fast_GET_SIZE(both) != 2) {
            PyErr_SetString(PyExc_ValueError, "get_all() must give (name, value) pairs");
            result = -1;
        }
        else {
            PyObject *name = Py_NewRef(PySequence_Fast_GET_ITEM(both, 0));
            PyObject *value = Py_NewRef(PySequence_Fast_GET_ITEM(both, 1));
            result = visit(arg, name, value);
            Py_DECREF(name);
            Py_DECREF(value);
        }
        Py_XDECREF(both);
    }
    Py_DECREF(pairs);
    return result == 0 && PyErr_Occurred() ? -1 : result;
}

/* -- the lines of a head -------------------------------------------------------------------------------- */

typedef struct {
    tc_bytes_buf *out;
    size_t bad_off; /* the first illegal line, if bad_size is not 0 */
    size_t bad_size;
} headers_writer;

#define LINE_SLACK 16 /* bytes that may be read, whatever is there, behind a line */

static inline bool
headers_line_is_legal(const char *line, size_t size)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n'), nul = _mm_setzero_si128();
    for (size_t i = 0; i < size; i += 16) {
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(line + i));
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(b, cr), _mm_cmpeq_epi8(b, lf));
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(b, nul)));
        if (TC_UNLIKELY(found != 0) && (size - i >= 16 || (found & ((1U << (size - i)) - 1)) != 0)) {
            return false;
        }
    }
    return true;
#else
    unsigned char bad = 0; /* no early exit, so that compilers make it wide */
    for (size_t i = 0; i < size; i++) {
        bad |= (unsigned char)((line[i] == '\r') | (line[i] == '\n') | (line[i] == '\0'));
    }
    return bad == 0;
#endif
}

static void
headers_raise_line(const char *line, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(line, (Py_ssize_t)size);
    if (bytes != NULL) {
        PyErr_Format(PyExc_ValueError, "Illegal characters (CR or LF) in header: %R", bytes);
        Py_DECREF(bytes);
    }
}

int
tc_headers_end_line(tc_bytes_buf *out, size_t start)
{
    if (TC_UNLIKELY(tc_buf_reserve(out, 2 + LINE_SLACK) != TC_OK)) {
        PyErr_NoMemory();
        return -1;
    }
    if (TC_UNLIKELY(!headers_line_is_legal(out->data + start, out->size - start))) {
        headers_raise_line(out->data + start, out->size - start);
        return -1;
    }
    memcpy(out->data + out->size, "\r\n", 2);
    out->size += 2;
    return 0;
}

/* The str that Tornado's native_str makes of an object: bytes are UTF-8, None stays; a new reference. */
static PyObject *
headers_native(PyObject *obj)
{
    if (PyUnicode_Check(obj) || obj == Py_None) {
        return Py_NewRef(obj);
    }
    if (PyBytes_Check(obj)) {
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(obj), PyBytes_GET_SIZE(obj), NULL);
    }
    PyErr_Format(PyExc_TypeError, "Expected bytes, unicode, or None; got %R", Py_TYPE(obj));
    return NULL;
}

/* The line of a pair that is not two narrow str: Latin-1 bytes without a line end, or NULL with the exception
 * that name + ": " + value and its encoding raise. */
static PyObject *
headers_slow_line(PyObject *name, PyObject *value)
{
    PyObject *line = NULL, *bytes = NULL, *text = NULL, *start = NULL;
    PyObject *key = headers_native(name), *colon = PyUnicode_FromString(": ");
    if (key == NULL || colon == NULL || (start = PyNumber_Add(key, colon)) == NULL ||
        (text = headers_native(value)) == NULL || (line = PyNumber_Add(start, text)) == NULL) {
        goto done;
    }
    bytes = PyUnicode_AsLatin1String(line);
done:
    Py_XDECREF(key);
    Py_XDECREF(colon);
    Py_XDECREF(start);
    Py_XDECREF(text);
    Py_XDECREF(line);
    return bytes;
}

static inline bool
headers_is_narrow(PyObject *obj)
{
    return PyUnicode_Check(obj) && PyUnicode_KIND(obj) == PyUnicode_1BYTE_KIND;
}

static int
headers_write_visit(void *arg, PyObject *name, PyObject *value)
{
    headers_writer *writer = arg;
    tc_bytes_buf *out = writer->out;
    PyObject *bytes = NULL;
    const char *head, *tail = "";
    size_t head_size, tail_size = 0, extra;
    if (TC_LIKELY(headers_is_narrow(name) && headers_is_narrow(value))) {
        head = (const char *)PyUnicode_1BYTE_DATA(name);
        head_size = (size_t)PyUnicode_GET_LENGTH(name);
        tail = (const char *)PyUnicode_1BYTE_DATA(value);
        tail_size = (size_t)PyUnicode_GET_LENGTH(value);
        extra = 2;
    }
    else {
        if ((bytes = headers_slow_line(name, value)) == NULL) {
            return -1;
        }
        head = PyBytes_AS_STRING(bytes);
        head_size = (size_t)PyBytes_GET_SIZE(bytes);
        extra = 0;
    }
    size_t size = head_size + extra + tail_size;
    if (TC_UNLIKELY(tc_buf_reserve(out, size + 2 + LINE_SLACK) != TC_OK)) {
        Py_XDECREF(bytes);
        PyErr_NoMemory();
        return -1;
    }
    char *line = out->data + out->size;
    memcpy(line, head, head_size);
    if (extra > 0) {
        memcpy(line + head_size, ": ", 2);
        memcpy(line + head_size + 2, tail, tail_size);
    }
    memcpy(line + size, "\r\n", 2);
    Py_XDECREF(bytes);
    if (TC_UNLIKELY(!headers_line_is_legal(line, size)) && writer->bad_size == 0) {
        writer->bad_off = out->size;
        writer->bad_size = size;
    }
    out->size += size + 2;
    return 0;
}

int
tc_headers_serialize(PyObject *headers, tc_bytes_buf *out)
{
    size_t before = out->size;
    headers_writer writer = {.out = out};
    HeadersObject *self = (HeadersObject *)headers;
    int result = 0;
    if (TC_LIKELY(tc_headers_plain(headers) && tc_headers_in_pairs(self))) {
        for (size_t i = 0; result == 0 && i < self->npairs; i++) { /* no Python runs: they are all str */
            result = headers_write_visit(&writer, self->pairs[2 * i], self->pairs[2 * i + 1]);
        }
    }
    else {
        result = tc_headers_each(headers, headers_write_visit, &writer);
    }
    if (TC_UNLIKELY(result == 0 && writer.bad_size > 0)) {
        headers_raise_line(out->data + writer.bad_off, writer.bad_size);
        result = -1;
    }
    if (TC_UNLIKELY(result < 0)) {
        out->size = before;
    }
    return result;
}
