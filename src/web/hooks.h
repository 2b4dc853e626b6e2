/* Which methods a handler's or an application's class has not overridden. C skips the call by name only while
 * it knows that the method is its own: the class is looked at once per version, the instance each time. */
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
    X(initialize)                                                                                            \
    X(log_request)                                                                                           \
    X(on_finish)                                                                                             \
    X(prepare)                                                                                               \
    X(set_default_headers)                                                                                   \
    X(set_etag_header)                                                                                       \
    X(set_header)                                                                                            \
    X(set_status)                                                                                            \
    X(start_request)                                                                                         \
    X(write)

enum {
#define TC_X(name) TC_HOOK_INDEX_##name,
    TC_HOOKS(TC_X)
#undef TC_X
};

enum tc_hook {
#define TC_X(name) TC_HOOK_##name = 1u << TC_HOOK_INDEX_##name,
    TC_HOOKS(TC_X)
#undef TC_X
};

/* The slow part of tc_hooks_of_type. */
uint32_t tc_hooks_compute(tc_state *state, PyTypeObject *type);

/* The hooks that the class has as we wrote them. Runs no Python. */
static inline uint32_t
tc_hooks_of_type(tc_state *state, PyTypeObject *type)
{
    unsigned tag = type->tp_version_tag;
    const tc_hook_entry *entry = &state->hooks[tag % TC_ARRAY_LEN(state->hooks)];
    return TC_LIKELY(tag != 0 && entry->tag == tag) ? entry->own : tc_hooks_compute(state, type);
}

/* The same for an object, whose own attributes count too. */
static inline uint32_t
tc_hooks_of(tc_state *state, PyObject *obj)
{
    return TC_LIKELY(tc_instance_is_bare(obj)) ? tc_hooks_of_type(state, Py_TYPE(obj)) : 0;
}

/* What the upcall of this name makes of one argument; NULL with an exception. */
#define tc_web_call(state, name, arg) tc_web_call_registered(tc_upcall(state, name), arg)

static inline PyObject *
tc_web_call_registered(PyObject *function, PyObject *arg)
{
    return function != NULL ? PyObject_CallOneArg(function, arg) : NULL;
}

/* Whether this one hook is ours, for a long-lived object with attributes of its own: looks in its dict, which
 * it may create. */
bool tc_hooks_has(tc_state *state, PyObject *obj, enum tc_hook hook, PyObject *name);

#endif
