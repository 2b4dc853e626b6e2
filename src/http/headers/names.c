/* Normalised header names: a bounded, direct-mapped cache from the bytes of a name as it was written to
 * the str that HTTPHeaders keeps. One cache belongs to the module's state. Used on any thread that holds the
 * interpreter's lock; runs Python only where names.h says so.
 *
 * Monitoring tools replace httputil._normalize_header at run time. httputil registers its own function
 * (normalize_header) and its module dictionary (httputil_globals); as long as the dictionary holds that very
 * function, names are normalised here, otherwise the replacement is called for each name, without a cache. */
#include "http/headers/names.h"

#define NAMES_SLOTS 1024
#define NAMES_MAX_SIZE 64 /* longer names are not cached */
#define NAMES_NORMAL 256

typedef struct {
    uint32_t hash;
    uint32_t size;
    PyObject *raw;  /* ASCII str; NULL in an empty slot */
    PyObject *name; /* its normalised form, the same object where nothing changes */
} names_slot;

typedef struct {
    PyObject_HEAD names_slot slots[NAMES_SLOTS];
    PyObject *normal[NAMES_NORMAL]; /* names in normalised form that were seen last, found by their address */
} HeaderNamesObject;

static inline uint64_t
names_load(const char *p, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, p, size);
    return word;
}

static inline uint32_t
names_hash(const char *p, size_t size)
{
    const uint64_t k = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t h = size * k;
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) {
            h = (h ^ names_load(p + i, 8)) * k;
            h ^= h >> 29;
        }
        h ^= names_load(p + size - 8, 8);
    }
    else if (size >= 4) {
        h ^= names_load(p, 4) | names_load(p + size - 4, 4) << 32;
    }
    else if (size > 0) {
        h ^= (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[size / 2] << 8 |
             (uint64_t)(unsigned char)p[size - 1] << 16;
    }
    h *= k;
    return (uint32_t)(h >> 32);
}

/* A new str: the first letter of each part between hyphens in upper case, the others in lower case. */
static PyObject *
names_make(const char *raw, size_t size)
{
    PyObject *name = PyUnicode_New((Py_ssize_t)size, 127);
    if (name == NULL || size == 0) {
        return name;
    }
    Py_UCS1 *out = PyUnicode_1BYTE_DATA(name);
    bool first = true;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)raw[i];
        out[i] = (Py_UCS1)(first ? Py_TOUPPER(c) : Py_TOLOWER(c));
        first = c == '-';
    }
    return name;
}

/* raw_str is the str that raw points into, or NULL. */
static PyObject *
names_find(tc_state *state, const char *raw, size_t size, PyObject *raw_str)
{
    HeaderNamesObject *names = (HeaderNamesObject *)state->header_names;
    if (TC_UNLIKELY(size > NAMES_MAX_SIZE || names == NULL)) {
        return names_make(raw, size);
    }
    assert(Py_IS_TYPE(names, state->header_names_type));
    uint32_t hash = names_hash(raw, size);
    names_slot *slot = &names->slots[hash % NAMES_SLOTS];
    if (TC_LIKELY(slot->raw != NULL && slot->hash == hash && slot->size == size &&
                  memcmp(PyUnicode_1BYTE_DATA(slot->raw), raw, size) == 0)) {
        return Py_NewRef(slot->name);
    }
    PyObject *name = names_make(raw, size);
    if (name == NULL) {
        return NULL;
    }
    if (memcmp(PyUnicode_1BYTE_DATA(name), raw, size) == 0) {
        raw_str = Py_NewRef(name);
    }
    else if (raw_str != NULL) {
        Py_INCREF(raw_str);
    }
    else if ((raw_str = PyUnicode_DecodeASCII(raw, (Py_ssize_t)size, NULL)) == NULL) {
        Py_DECREF(name);
        return NULL;
    }
    Py_XSETREF(slot->raw, raw_str);
    Py_XSETREF(slot->name, Py_NewRef(name));
    slot->hash = hash;
    slot->size = (uint32_t)size;
    return name;
}

bool
tc_names_is_normal(tc_state *state, PyObject *name)
{
    assert(PyUnicode_IS_COMPACT_ASCII(name));
    HeaderNamesObject *names = (HeaderNamesObject *)state->header_names;
    PyObject **known = names != NULL ? &names->normal[((uintptr_t)name >> 5) % NAMES_NORMAL] : NULL;
    if (TC_LIKELY(known != NULL && *known == name)) {
        return true;
    }
    size_t size = (size_t)PyUnicode_GET_LENGTH(name);
    const char *raw = (const char *)PyUnicode_1BYTE_DATA(name);
    PyObject *found = names_find(state, raw, size, name);
    if (found == NULL) {
        PyErr_Clear();
        return false;
    }
    bool normal = memcmp(PyUnicode_1BYTE_DATA(found), raw, size) == 0;
    if (normal && known != NULL && size <= NAMES_MAX_SIZE) {
        Py_XSETREF(*known, Py_NewRef(name));
    }
    Py_DECREF(found);
    return normal;
}

/* What httputil's dictionary holds under _normalize_header, borrowed; NULL if it is the registered function
 * or if the module has not registered yet. */
static inline PyObject *
names_replacement(tc_state *state)
{
    PyObject *globals = state->upcall_httputil_globals;
    if (TC_UNLIKELY(globals == NULL)) {
        return NULL;
    }
    PyObject *own = state->upcall_normalize_header;
    uint64_t version = tc_dict_version(globals);
    if (TC_LIKELY(version != 0 && version == state->names_version && own == state->names_function)) {
        return NULL;
    }
    PyObject *now = PyDict_GetItemWithError(globals, state->str__normalize_header);
    if (TC_UNLIKELY(now == NULL)) {
        PyErr_Clear(); /* deleted: the registered one stays in force */
    }
    if (TC_UNLIKELY(now != own)) {
        return now;
    }
    state->names_version = version;
    state->names_function = own;
    return NULL;
}

bool
tc_names_replaced(tc_state *state)
{
    return names_replacement(state) != NULL;
}

/* function(name), which must be a str: keys of another type could run Python while a dict is at work. */
static PyObject *
names_call(PyObject *function, PyObject *name)
{
    Py_INCREF(function);
    PyObject *result = PyObject_CallOneArg(function, name);
    Py_DECREF(function);
    if (result == NULL || PyUnicode_CheckExact(result)) {
        return result;
    }
    if (PyUnicode_Check(result)) {
        Py_SETREF(result, PyUnicode_FromObject(result));
    }
    else {
        PyErr_Format(PyExc_TypeError, "_normalize_header must return a str, not %.200s",
                     Py_TYPE(result)->tp_name);
        Py_CLEAR(result);
    }
    return result;
}

PyObject *
tc_names_normalize(tc_state *state, PyObject *name)
{
    PyObject *replacement = names_replacement(state);
    if (TC_UNLIKELY(replacement != NULL)) {
        return names_call(replacement, name);
    }
    if (TC_LIKELY(PyUnicode_CheckExact(name) && PyUnicode_IS_COMPACT_ASCII(name))) {
        return names_find(state, (const char *)PyUnicode_1BYTE_DATA(name), (size_t)PyUnicode_GET_LENGTH(name),
                          name);
    }
    PyObject *function = tc_upcall(state, normalize_header);
    return function != NULL ? names_call(function, name) : NULL;
}

PyObject *
tc_names_normalize_token(tc_state *state, const char *raw, size_t size)
{
    PyObject *replacement = names_replacement(state);
    if (TC_LIKELY(replacement == NULL)) {
        return names_find(state, raw, size, NULL);
    }
    Py_INCREF(replacement);
    PyObject *name = PyUnicode_DecodeLatin1(raw, (Py_ssize_t)size, NULL);
    PyObject *result = name != NULL ? names_call(replacement, name) : NULL;
    Py_XDECREF(name);
    Py_DECREF(replacement);
    return result;
}

static void
header_names_dealloc(HeaderNamesObject *self)
{
    for (size_t i = 0; i < NAMES_SLOTS; i++) {
        Py_XDECREF(self->slots[i].raw);
        Py_XDECREF(self->slots[i].name);
    }
    for (size_t i = 0; i < NAMES_NORMAL; i++) {
        Py_XDECREF(self->normal[i]);
    }
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot header_names_slots[] = {
    {Py_tp_dealloc, header_names_dealloc},
    {0, NULL},
};

static PyType_Spec header_names_spec = {
    .name = "tornado_c._core._HeaderNames",
    .basicsize = sizeof(HeaderNamesObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = header_names_slots,
};

int
tc_header_names_init_type(PyObject *module, tc_state *state)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &header_names_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    state->header_names_type = type;
    state->header_names = type->tp_alloc(type, 0);
    return state->header_names != NULL ? 0 : -1;
}
