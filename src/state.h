/* The module's state: every type, interned name and imported object, from one list each. The lists
 * expand into the struct below and into its exec, traverse and clear functions in module.c.
 *
 * A type's methods reach the state through the pointer that tp_new stored in the object; functions with
 * no object at hand use tc_state_of(type). */
#ifndef TC_STATE_H
#define TC_STATE_H

#include "base/compat.h"

/* C types, made by tc_<noun>_init_type in this order. */
#define TC_TYPES(X)                                                                                          \
    X(handle, tc_handle_init_type)                                                                           \
    X(timer_handle, tc_timer_handle_init_type)                                                               \
    X(core, tc_core_init_type)                                                                               \
    X(ioloop, tc_ioloop_init_type)                                                                           \
    X(stream, tc_stream_init_type)                                                                           \
    X(header_names, tc_header_names_init_type)                                                               \
    X(header_pairs, tc_header_pairs_init_type)                                                               \
    X(headers, tc_headers_init_type)                                                                         \
    X(request, tc_request_init_type)                                                                         \
    X(http_config, tc_http_config_init_type)                                                                 \
    X(http_conn, tc_http_conn_init_type)                                                                     \
    X(http_listener, tc_http_listener_init_type)

/* Interned attribute, method and keyword names: state->str_<name>. */
#define TC_NAMES(X)                                                                                          \
    X(Connection)                                                                                            \
    X(GET)                                                                                                   \
    X(HEAD)                                                                                                  \
    X(POST)                                                                                                  \
    X(__dict__)                                                                                              \
    X(__getstate__)                                                                                          \
    X(_apply_xheaders)                                                                                       \
    X(_args)                                                                                                 \
    X(_as_list)                                                                                              \
    X(_cancelled)                                                                                            \
    X(_chars_are_bytes)                                                                                      \
    X(_check_callback)                                                                                       \
    X(_check_thread)                                                                                         \
    X(_combined_cache)                                                                                       \
    X(_guest_due)                                                                                            \
    X(_guest_turn)                                                                                           \
    X(_log_callback_exception)                                                                               \
    X(_log_slow)                                                                                             \
    X(_normalize_header)                                                                                     \
    X(_parse_body)                                                                                           \
    X(_run)                                                                                                  \
    X(_run_once)                                                                                             \
    X(_unapply_xheaders)                                                                                     \
    X(_watch_result)                                                                                         \
    X(add)                                                                                                   \
    X(add_reader)                                                                                            \
    X(address)                                                                                               \
    X(append)                                                                                                \
    X(call_at)                                                                                               \
    X(call_exception_handler)                                                                                \
    X(call_later)                                                                                            \
    X(call_soon)                                                                                             \
    X(call_soon_threadsafe)                                                                                  \
    X(callback)                                                                                              \
    X(cancel)                                                                                                \
    X(chunk)                                                                                                 \
    X(chunked)                                                                                               \
    X(close)                                                                                                 \
    X(connect)                                                                                               \
    X(context)                                                                                               \
    X(copy)                                                                                                  \
    X(data)                                                                                                  \
    X(deadline)                                                                                              \
    X(default)                                                                                               \
    X(delay)                                                                                                 \
    X(delimiter)                                                                                             \
    X(done)                                                                                                  \
    X(end)                                                                                                   \
    X(errno)                                                                                                 \
    X(events)                                                                                                \
    X(exc_info)                                                                                              \
    X(exception)                                                                                             \
    X(family)                                                                                                \
    X(fd)                                                                                                    \
    X(fileno)                                                                                                \
    X(finish)                                                                                                \
    X(get_all)                                                                                               \
    X(handle)                                                                                                \
    X(handler)                                                                                               \
    X(headers)                                                                                               \
    X(http)                                                                                                  \
    X(items)                                                                                                 \
    X(key)                                                                                                   \
    X(line)                                                                                                  \
    X(lower)                                                                                                 \
    X(max_bytes)                                                                                             \
    X(message)                                                                                               \
    X(name)                                                                                                  \
    X(num_bytes)                                                                                             \
    X(parse_line)                                                                                            \
    X(partial)                                                                                               \
    X(protocol)                                                                                              \
    X(query_arguments)                                                                                       \
    X(regex)                                                                                                 \
    X(remote_ip)                                                                                             \
    X(remove_reader)                                                                                         \
    X(search)                                                                                                \
    X(server_hostname)                                                                                       \
    X(setblocking)                                                                                           \
    X(set_exception)                                                                                         \
    X(set_result)                                                                                            \
    X(source_traceback)                                                                                      \
    X(start_line)                                                                                            \
    X(streaming_callback)                                                                                    \
    X(time)                                                                                                  \
    X(timeout)                                                                                               \
    X(total_seconds)                                                                                         \
    X(update)                                                                                                \
    X(value)                                                                                                 \
    X(when)                                                                                                  \
    X(write)

/* Objects imported when the module is loaded: state-><field> = getattr(import(module), attr). */
#if PY_VERSION_HEX < 0x030e0000
#define TC_CURRENT_TASKS "_current_tasks" /* a dict: loop -> task */
#else
#define TC_CURRENT_TASKS "current_task" /* a function of the loop */
#endif

#define TC_IMPORTS(X)                                                                                        \
    X(asyncio_cancelled_error, "asyncio", "CancelledError")                                                  \
    X(asyncio_current_tasks, "asyncio.tasks", TC_CURRENT_TASKS)                                              \
    X(asyncio_future, "asyncio", "Future")                                                                   \
    X(asyncio_get_running_loop, "asyncio.events", "_get_running_loop")                                       \
    X(asyncio_handle, "asyncio", "Handle")                                                                   \
    X(asyncio_task, "asyncio", "Task")                                                                       \
    X(asyncio_timer_handle, "asyncio", "TimerHandle")                                                        \
    X(copyreg_newobj, "copyreg", "__newobj__")                                                               \
    X(errno_names, "errno", "errorcode")                                                                     \
    X(extract_stack, "asyncio.format_helpers", "extract_stack")                                              \
    X(format_callback_source, "asyncio.format_helpers", "_format_callback_source")                           \
    X(get_logger, "logging", "getLogger")                                                                    \
    X(mutable_mapping, "collections.abc", "MutableMapping")                                                  \
    X(number_real, "numbers", "Real")                                                                        \
    X(partial, "functools", "partial")                                                                       \
    X(re_compile, "re", "compile")                                                                           \
    X(socket_class, "socket", "socket")

/* Python classes over our C bases and exceptions, which the Python modules hand over with
 * _core.register(NAME, object) when they are imported: state->face_<name>. */
#define TC_FACES(X)                                                                                          \
    X(HTTPConnection)                                                                                        \
    X(HTTPHeaders)                                                                                           \
    X(HTTPInputError)                                                                                        \
    X(HTTPOutputError)                                                                                       \
    X(HTTPRequestContext)                                                                                    \
    X(HTTPServerRequest)                                                                                     \
    X(IOStream)                                                                                              \
    X(StreamBufferFullError)                                                                                 \
    X(StreamClosedError)                                                                                     \
    X(UnsatisfiableReadError)                                                                                \
    X(header_names)                                                                                          \
    X(httputil_globals)                                                                                      \
    X(load_cookies)                                                                                          \
    X(normalize_header)                                                                                      \
    X(parse_body)                                                                                            \
    X(parse_int)                                                                                             \
    X(parse_query)                                                                                           \
    X(split_host_and_port)                                                                                   \
    X(watch_request_task)                                                                                    \
    X(wrap_awaitable)

/* Dead handles kept for the next call_soon. */
typedef struct {
    PyObject *items[128];
    int size;
} tc_handle_freelist;

typedef struct tc_state {
#define TC_X(name, init) PyTypeObject *name##_type;
    TC_TYPES(TC_X)
#undef TC_X
#define TC_X(name) PyObject *str_##name;
    TC_NAMES(TC_X)
#undef TC_X
#define TC_X(field, module, attr) PyObject *field;
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name) PyObject *face_##name;
    TC_FACES(TC_X)
#undef TC_X
    PyObject *ioloop_run;          /* the function that a queued callback's handle calls */
    PyObject *stream_run_callback; /* the same for a stream's user callback */
    PyObject *http_1_0, *http_1_1; /* "HTTP/1.0", "HTTP/1.1" */
    PyObject *keep_alive_value;    /* "Keep-Alive" */
    PyObject *str_Content_Length, *str_Transfer_Encoding;
    PyObject *kw_fileno;           /* ("fileno",) */
    PyObject *kw_context;          /* ("context",) */
    PyObject *kw_loop;             /* ("loop",) */
    PyObject *kw_loop_eager_start; /* ("loop", "eager_start") */
    tc_handle_freelist handles, timer_handles;
} tc_state;

extern struct PyModuleDef tc_module;

/* The state of the module that `type` or one of its bases belongs to; NULL with an exception set. */
static inline tc_state *
tc_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &tc_module);
    return module != NULL ? (tc_state *)PyModule_GetState(module) : NULL;
}

/* The registered face, or NULL with a RuntimeError that names the module to import. Borrowed. */
#define tc_face(state, name, module) tc_face_or_raise((state)->face_##name, #name, module)
PyObject *tc_face_or_raise(PyObject *face, const char *name, const char *module);

#define TC_X(name, init) int init(PyObject *module, tc_state *state);
TC_TYPES(TC_X)
#undef TC_X

#endif
