/* Which methods a handler or an application has not overridden. C skips the call by name only while it knows
 * that the method is its own: a class is looked at once per version, and so is each name that its instances
 * share for their attributes; an instance each time. */
#ifndef TC_HOOKS_H
#define TC_HOOKS_H

#include "base/instance.h"
#include "base/state.h"

/* Sorted; the order gives the bits. */
#define TC_HOOKS(X)                                                                                          \
    X(SUPPORTED_METHODS)                                                                                     \
    X(__init__)                                                                                              \
    X(_break_cycles)                                                                                         \
    X(_clear_representation_headers)                                                                         \
    X(_convert_header_value)                                                                                 \
    X(_cross_origin_protection)                                                                              \
    X(_execute)                                                                                              \
    X(_get_argument)                                                                                         \
    X(_get_arguments)                                                                                        \
    X(_log)                                                                                                  \
    X(_request_summary)                                                                                      \
    X(_should_not_send_content)                                                                              \
    X(_stream_request_body)                                                                                  \
    X(check_etag_header)                                                                                     \
    X(clear)                                                                                                 \
    X(compute_etag)                                                                                          \
    X(decode_argument)                                                                                       \
    X(find_handler)                                                                                          \
    X(finish)                                                                                                \
    X(flush)                                                                                                 \
    X(get_handler_delegate)                                                                                  \
    X(get_status)                                                                                            \
    X(initialize)                                                                                            \
    X(log_request)                                                                                           \
    X(on_connection_close)                                                                                   \
    X(on_finish)                                                                                             \
    X(prepare)                                                                                               \
    X(set_default_headers)                                                                                   \
    X(set_etag_header)                                                                                       \
    X(set_header)                                                                                            \
    X(set_status)                                                                                            \
    X(settings)                                                                                              \
    X(start_request)                                                                                         \
    X(transforms)                                                                                            \
    X(write)

/* Those of StaticFileHandler. */
#define TC_STATIC_HOOKS(X)                                                                                   \
    X(_get_cached_version)                                                                                   \
    X(_stat)                                                                                                 \
    X(compute_etag)                                                                                          \
    X(get_absolute_path)                                                                                     \
    X(get_cache_time)                                                                                        \
    X(get_content)                                                                                           \
    X(get_content_size)                                                                                      \
    X(get_content_type)                                                                                      \
    X(get_modified_time)                                                                                     \
    X(parse_url_path)                                                                                        \
    X(set_extra_headers)                                                                                     \
    X(set_headers)                                                                                           \
    X(should_return_304)                                                                                     \
    X(validate_absolute_path)

enum {
#define TC_X(name) TC_HOOK_INDEX_##name,
    TC_HOOKS(TC_X)
#undef TC_X
#define TC_X(name) TC_STATIC_HOOK_INDEX_##name,
        TC_STATIC_HOOKS(TC_X)
#undef TC_X
            TC_HOOK_COUNT,
    TC_HOOK_FIRST_STATIC = TC_STATIC_HOOK_INDEX__get_cached_version
};

enum tc_hook {
#define TC_X(name) TC_HOOK_##name = UINT64_C(1) << TC_HOOK_INDEX_##name,
    TC_HOOKS(TC_X)
#undef TC_X
#define TC_X(name) TC_STATIC_HOOK_##name = UINT64_C(1) << TC_STATIC_HOOK_INDEX_##name,
        TC_STATIC_HOOKS(TC_X)
#undef TC_X
};

_Static_assert(TC_HOOK_COUNT <= 64, "a hook for each bit");

/* The slow parts of the two functions below. */
uint64_t tc_hooks_compute(tc_state *state, PyTypeObject *type);
bool tc_hooks_own_slow(tc_state *state, PyObject *obj, uint64_t hooks);

static inline const tc_hook_entry *
tc_hooks_entry(tc_state *state, PyTypeObject *type)
{
    unsigned tag = type->tp_version_tag;
    const tc_hook_entry *entry = &state->hooks[tag % TC_ARRAY_LEN(state->hooks)];
    return TC_LIKELY(tag != 0 && entry->tag == tag) ? entry : NULL;
}

/* The hooks that the class has as we wrote them. Runs no Python. */
static inline uint64_t
tc_hooks_of_type(tc_state *state, PyTypeObject *type)
{
    const tc_hook_entry *entry = tc_hooks_entry(state, type);
    return TC_LIKELY(entry != NULL) ? entry->own : tc_hooks_compute(state, type);
}

/* Whether an object has all of these hooks as we wrote them. Its own attributes are data, except those that
 * are named like a hook. Runs no Python. */
static inline bool
tc_hooks_own(tc_state *state, PyObject *obj, uint64_t hooks)
{
    PyTypeObject *type = Py_TYPE(obj);
    const tc_hook_entry *entry = tc_hooks_entry(state, type);
    tc_instance at = tc_instance_read(obj);
    if (TC_LIKELY(entry != NULL && at.known && at.dict == NULL &&
                  (at.values == NULL ||
                   (entry->shadows == 0 && entry->seen == tc_instance_names_of(type)->count)))) {
        return (entry->own & hooks) == hooks;
    }
    return tc_hooks_own_slow(state, obj, hooks);
}

/* What the upcall of this name makes of one argument; NULL with an exception. */
#define tc_web_call(state, name, arg) tc_web_call_registered(tc_upcall(state, name), arg)

static inline PyObject *
tc_web_call_registered(PyObject *function, PyObject *arg)
{
    return function != NULL ? PyObject_CallOneArg(function, arg) : NULL;
}

/* The module's function owns(obj, originals): whether the methods of an object are these functions. */
PyObject *tc_hooks_owns(PyObject *unused, PyObject *const *args, Py_ssize_t nargs);

#endif
