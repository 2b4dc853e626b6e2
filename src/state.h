/* The module's state: every type, interned name and imported object, from one list each. The lists
 * expand into the struct below and into its exec, traverse and clear functions in module.c.
 *
 * A type's methods reach the state through the pointer that tp_new stored in the object; functions with
 * no object at hand use tc_state_of(type). */
#ifndef TC_STATE_H
#define TC_STATE_H

#include "base/compat.h"
#include "base/list.h"

/* C types, made by tc_<noun>_init_type in this order. */
#define TC_TYPES(X)                                                                                          \
    X(handle, tc_handle_init_type)                                                                           \
    X(timer_handle, tc_timer_handle_init_type)                                                               \
    X(core, tc_core_init_type)                                                                               \
    X(ready_view, tc_ready_view_init_type)                                                                   \
    X(ioloop, tc_ioloop_init_type)                                                                           \
    X(transport, tc_transport_init_type)                                                                     \
    X(stream_buffer, tc_stream_buffer_init_type)                                                             \
    X(tls_memory, tc_tls_memory_init_type)                                                                   \
    X(stream, tc_stream_init_type)                                                                           \
    X(header_names, tc_header_names_init_type)                                                               \
    X(header_pairs, tc_header_pairs_init_type)                                                               \
    X(headers, tc_headers_init_type)                                                                         \
    X(request, tc_request_init_type)                                                                         \
    X(http_config, tc_http_config_init_type)                                                                 \
    X(http_conn, tc_http_conn_init_type)                                                                     \
    X(http_listener, tc_http_listener_init_type)                                                             \
    X(http_reader, tc_http_reader_init_type)                                                                 \
    X(application, tc_application_init_type)                                                                 \
    X(request_handler, tc_request_handler_init_type)                                                         \
    X(execution, tc_execution_init_type)

/* Interned attribute, method and keyword names: state->str_<name>. */
#define TC_NAMES(X)                                                                                          \
    X(Connection)                                                                                            \
    X(Date)                                                                                                  \
    X(Etag)                                                                                                  \
    X(GET)                                                                                                   \
    X(HEAD)                                                                                                  \
    X(POST)                                                                                                  \
    X(SUPPORTED_METHODS)                                                                                     \
    X(Server)                                                                                                \
    X(__dict__)                                                                                              \
    X(__getstate__)                                                                                          \
    X(__init__)                                                                                              \
    X(_accepted)                                                                                             \
    X(_apply_xheaders)                                                                                       \
    X(_args)                                                                                                 \
    X(_as_list)                                                                                              \
    X(_break_cycles)                                                                                         \
    X(_cancelled)                                                                                            \
    X(_chars_are_bytes)                                                                                      \
    X(_check_callback)                                                                                       \
    X(_check_thread)                                                                                         \
    X(_clear_representation_headers)                                                                         \
    X(_combined_cache)                                                                                       \
    X(_compile_routes)                                                                                       \
    X(_convert_header_value)                                                                                 \
    X(_cross_origin_protection)                                                                              \
    X(_do_ssl_handshake)                                                                                     \
    X(_execute)                                                                                              \
    X(_fatal_error)                                                                                          \
    X(_get_argument)                                                                                         \
    X(_get_arguments)                                                                                        \
    X(_guest_due)                                                                                            \
    X(_guest_turn)                                                                                           \
    X(_is_connreset)                                                                                         \
    X(_log)                                                                                                  \
    X(_log_callback_exception)                                                                               \
    X(_log_slow)                                                                                             \
    X(_normalize_header)                                                                                     \
    X(_parse_body)                                                                                           \
    X(_read_ready__on_eof)                                                                                   \
    X(_run)                                                                                                  \
    X(_run_once)                                                                                             \
    X(_should_not_send_content)                                                                              \
    X(_start_tls)                                                                                            \
    X(_task_factory)                                                                                         \
    X(_try_inline_read)                                                                                      \
    X(_unapply_xheaders)                                                                                     \
    X(_watch_result)                                                                                         \
    X(_watched_by_host)                                                                                      \
    X(add)                                                                                                   \
    X(add_done_callback)                                                                                     \
    X(add_reader)                                                                                            \
    X(address)                                                                                               \
    X(append)                                                                                                \
    X(arguments)                                                                                             \
    X(body_arguments)                                                                                        \
    X(buf)                                                                                                   \
    X(buffer_updated)                                                                                        \
    X(call_at)                                                                                               \
    X(call_exception_handler)                                                                                \
    X(call_later)                                                                                            \
    X(call_soon)                                                                                             \
    X(call_soon_threadsafe)                                                                                  \
    X(callback)                                                                                              \
    X(cancel)                                                                                                \
    X(check_etag_header)                                                                                     \
    X(chunk)                                                                                                 \
    X(chunked)                                                                                               \
    X(clear)                                                                                                 \
    X(close)                                                                                                 \
    X(close_fd)                                                                                              \
    X(compute_etag)                                                                                          \
    X(connect)                                                                                               \
    X(connection)                                                                                            \
    X(context)                                                                                               \
    X(count)                                                                                                 \
    X(create_task)                                                                                           \
    X(data)                                                                                                  \
    X(data_received)                                                                                         \
    X(deadline)                                                                                              \
    X(decode_argument)                                                                                       \
    X(default)                                                                                               \
    X(default_handler_args)                                                                                  \
    X(default_handler_class)                                                                                 \
    X(delay)                                                                                                 \
    X(delimiter)                                                                                             \
    X(done)                                                                                                  \
    X(end)                                                                                                   \
    X(errno)                                                                                                 \
    X(events)                                                                                                \
    X(exc_info)                                                                                              \
    X(exception)                                                                                             \
    X(execute)                                                                                               \
    X(family)                                                                                                \
    X(fd)                                                                                                    \
    X(file)                                                                                                  \
    X(fileno)                                                                                                \
    X(find_handler)                                                                                          \
    X(finish)                                                                                                \
    X(flush)                                                                                                 \
    X(get)                                                                                                   \
    X(get_all)                                                                                               \
    X(get_buffer)                                                                                            \
    X(get_debug)                                                                                             \
    X(get_fd_error)                                                                                          \
    X(get_handler_delegate)                                                                                  \
    X(groupdict)                                                                                             \
    X(groups)                                                                                                \
    X(get_task_factory)                                                                                      \
    X(handle)                                                                                                \
    X(handle_stream)                                                                                         \
    X(handler)                                                                                               \
    X(headers)                                                                                               \
    X(hexdigest)                                                                                             \
    X(host_name)                                                                                             \
    X(http)                                                                                                  \
    X(https)                                                                                                 \
    X(initialize)                                                                                            \
    X(isEnabledFor)                                                                                          \
    X(is_running)                                                                                            \
    X(items)                                                                                                 \
    X(join)                                                                                                  \
    X(key)                                                                                                   \
    X(line)                                                                                                  \
    X(log_function)                                                                                          \
    X(log_request)                                                                                           \
    X(loop)                                                                                                  \
    X(lower)                                                                                                 \
    X(max_bytes)                                                                                             \
    X(message)                                                                                               \
    X(method)                                                                                                \
    X(name)                                                                                                  \
    X(num_bytes)                                                                                             \
    X(offset)                                                                                                \
    X(on_close)                                                                                              \
    X(on_connection_close)                                                                                   \
    X(on_finish)                                                                                             \
    X(parse_line)                                                                                            \
    X(partial)                                                                                               \
    X(path)                                                                                                  \
    X(pending)                                                                                               \
    X(post)                                                                                                  \
    X(prepare)                                                                                               \
    X(protocol)                                                                                              \
    X(query_arguments)                                                                                       \
    X(read)                                                                                                  \
    X(read_from_fd)                                                                                          \
    X(reason)                                                                                                \
    X(regex)                                                                                                 \
    X(release)                                                                                               \
    X(remote_ip)                                                                                             \
    X(remove_reader)                                                                                         \
    X(result)                                                                                                \
    X(search)                                                                                                \
    X(server_hostname)                                                                                       \
    X(set_close_callback)                                                                                    \
    X(set_default_headers)                                                                                   \
    X(set_etag_header)                                                                                       \
    X(set_exception)                                                                                         \
    X(set_header)                                                                                            \
    X(set_result)                                                                                            \
    X(set_status)                                                                                            \
    X(setblocking)                                                                                           \
    X(settings)                                                                                              \
    X(shutdown)                                                                                              \
    X(source)                                                                                                \
    X(source_traceback)                                                                                      \
    X(start_line)                                                                                            \
    X(start_request)                                                                                         \
    X(status_code)                                                                                           \
    X(streaming_callback)                                                                                    \
    X(strip)                                                                                                 \
    X(throw)                                                                                                 \
    X(time)                                                                                                  \
    X(timeout)                                                                                               \
    X(total_seconds)                                                                                         \
    X(transform_chunk)                                                                                       \
    X(transform_first_chunk)                                                                                 \
    X(transforms)                                                                                            \
    X(update)                                                                                                \
    X(value)                                                                                                 \
    X(when)                                                                                                  \
    X(write)                                                                                                 \
    X(write_eof)                                                                                             \
    X(write_headers)                                                                                         \
    X(write_to_fd)

/* Interned texts that are no identifiers: state->text_<name>. */
#define TC_TEXTS(X)                                                                                          \
    X(content_length, "Content-Length")                                                                      \
    X(content_type, "Content-Type")                                                                          \
    X(html, "text/html; charset=UTF-8")                                                                      \
    X(json, "application/json; charset=UTF-8")                                                               \
    X(server, "TornadoServer/6.6.1")

/* Tuples of keyword names for calls out: state->kw_<name>. */
#define TC_KEYWORDS(X)                                                                                       \
    X(context, "(s)", "context")                                                                             \
    X(fileno, "(s)", "fileno")                                                                               \
    X(include_footers, "(s)", "include_footers")                                                             \
    X(loop, "(s)", "loop")                                                                                   \
    X(loop_eager_start, "(ss)", "loop", "eager_start")                                                       \
    X(name, "(s)", "name")

/* Objects that the tc_<noun>_init_type of their layer makes: state-><field>. */
#define TC_OWN(X)                                                                                            \
    X(future_done)       /* asyncio.Future.done */                                                           \
    X(future_set_result) /* asyncio.Future.set_result */                                                     \
    X(header_names)      /* the cache of http_names.c */                                                     \
    X(http_1_0)          /* "HTTP/1.0" */                                                                    \
    X(http_1_1)          /* "HTTP/1.1" */                                                                    \
    X(ioloop_last_class) /* of the last IOLoop that ran a callback */                                        \
    X(ioloop_run)        /* the function that a queued callback's handle calls */                            \
    X(keep_alive_value)  /* "Keep-Alive" */                                                                  \
    X(old_faces)         /* a list of what other objects were registered in place of */                      \
    X(str_Content_Length)                                                                                    \
    X(str_Transfer_Encoding)                                                                                 \
    X(stream_run_callback) /* the same as ioloop_run for a stream's user callback */                         \
    X(transport_write)     /* the standard library's write() of a transport */

/* Objects imported when the module is loaded: state-><field> = getattr(import(module), attr). */
#if PY_VERSION_HEX < 0x030e0000
#define TC_CURRENT_TASKS "_current_tasks" /* a dict: loop -> task */
#else
#define TC_CURRENT_TASKS "current_task" /* a function of the loop */
#endif

#define TC_IMPORTS(X)                                                                                        \
    X(asyncio_buffered_protocol, "asyncio", "BufferedProtocol")                                              \
    X(asyncio_cancelled_error, "asyncio", "CancelledError")                                                  \
    X(asyncio_current_tasks, "asyncio.tasks", TC_CURRENT_TASKS)                                              \
    X(asyncio_events_dict, "asyncio.events", "__dict__")                                                     \
    X(asyncio_flow_control, "asyncio.transports", "_FlowControlMixin")                                       \
    X(asyncio_future, "asyncio", "Future")                                                                   \
    X(asyncio_get_running_loop, "asyncio.events", "_get_running_loop")                                       \
    X(asyncio_handle, "asyncio", "Handle")                                                                   \
    X(asyncio_selector_transport, "asyncio.selector_events", "_SelectorSocketTransport")                     \
    X(asyncio_task, "asyncio", "Task")                                                                       \
    X(asyncio_timer_handle, "asyncio", "TimerHandle")                                                        \
    X(copyreg_newobj, "copyreg", "__newobj__")                                                               \
    X(errno_names, "errno", "errorcode")                                                                     \
    X(extract_stack, "asyncio.format_helpers", "extract_stack")                                              \
    X(format_callback_source, "asyncio.format_helpers", "_format_callback_source")                           \
    X(get_logger, "logging", "getLogger")                                                                    \
    X(hashlib_sha1, "hashlib", "sha1")                                                                       \
    X(mutable_mapping, "collections.abc", "MutableMapping")                                                  \
    X(number_real, "numbers", "Real")                                                                        \
    X(partial, "functools", "partial")                                                                       \
    X(re_compile, "re", "compile")                                                                           \
    X(socket_base, "_socket", "socket")                                                                      \
    X(socket_class, "socket", "socket")                                                                      \
    X(ssl_memory_bio, "_ssl", "MemoryBIO")                                                                   \
    X(ssl_object, "_ssl", "_SSLSocket")

/* Python classes over our C bases and exceptions, which the Python modules hand over with
 * _core.register(NAME, object) when they are imported: state->face_<name>. */
#define TC_FACES(X)                                                                                          \
    X(ErrorHandler)                                                                                          \
    X(HTTPConnection)                                                                                        \
    X(HTTPError)                                                                                             \
    X(HTTPHeaders)                                                                                           \
    X(HTTPInputError)                                                                                        \
    X(HTTPOutputError)                                                                                       \
    X(HTTPRequestContext)                                                                                    \
    X(HTTPServerRequest)                                                                                     \
    X(IOStream)                                                                                              \
    X(MissingArgumentError)                                                                                  \
    X(RequestStartLine)                                                                                      \
    X(ResponseStartLine)                                                                                     \
    X(SSLEOFError)                                                                                           \
    X(SSLWantReadError)                                                                                      \
    X(SSLWantWriteError)                                                                                     \
    X(StreamBufferFullError)                                                                                 \
    X(StreamClosedError)                                                                                     \
    X(UnsatisfiableReadError)                                                                                \
    X(access_log)                                                                                            \
    X(access_log_cache)                                                                                      \
    X(add_cookie_headers)                                                                                    \
    X(arg_default)                                                                                           \
    X(check_etag)                                                                                            \
    X(convert_header_value)                                                                                  \
    X(decompress_request)                                                                                    \
    X(done_future)                                                                                           \
    X(execute_failed)                                                                                        \
    X(hook_originals)                                                                                        \
    X(http_responses)                                                                                        \
    X(httputil_globals)                                                                                      \
    X(json_encode)                                                                                           \
    X(load_cookies)                                                                                          \
    X(log_bad_target)                                                                                        \
    X(make_ui)                                                                                               \
    X(normalize_header)                                                                                      \
    X(own_handle_stream)                                                                                     \
    X(own_on_close)                                                                                          \
    X(own_start_request)                                                                                     \
    X(parse_body)                                                                                            \
    X(parse_int)                                                                                             \
    X(parse_query)                                                                                           \
    X(pipe_read_from_fd)                                                                                     \
    X(pipe_write_to_fd)                                                                                      \
    X(run_delegate)                                                                                          \
    X(run_execute)                                                                                           \
    X(settle_transfer_encoding)                                                                              \
    X(small_sha1)                                                                                            \
    X(socket_close_fd)                                                                                       \
    X(socket_get_fd_error)                                                                                   \
    X(socket_read_from_fd)                                                                                   \
    X(socket_write_to_fd)                                                                                    \
    X(spawn_task)                                                                                            \
    X(split_host_and_port)                                                                                   \
    X(tls_read_from_fd)                                                                                      \
    X(tls_write_to_fd)                                                                                       \
    X(unquote_to_bytes)                                                                                      \
    X(watch_request_task)                                                                                    \
    X(wrap_awaitable)

/* What the class of one version tag has left as it is, see web/hooks.h. */
typedef struct {
    unsigned tag; /* 0: free */
    uint32_t own;
} tc_hook_entry;

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
#define TC_X(name, text) PyObject *text_##name;
    TC_TEXTS(TC_X)
#undef TC_X
#define TC_X(field, module, attr) PyObject *field;
    TC_IMPORTS(TC_X)
#undef TC_X
#define TC_X(name) PyObject *face_##name;
    TC_FACES(TC_X)
#undef TC_X
#define TC_X(name, ...) PyObject *kw_##name;
    TC_KEYWORDS(TC_X)
#undef TC_X
#define TC_X(field) PyObject *field;
    TC_OWN(TC_X)
#undef TC_X
    /* A C type that asyncio takes for a coroutine; borrowed, set by its layer. */
    PyTypeObject *native_coroutine_type;
    tc_handle_freelist handles, timer_handles;
    /* The versions of our handles' types for which _run is asyncio's own. */
    unsigned handle_run_tag, timer_handle_run_tag;
    tc_link streams;                           /* every StreamObject */
    bool future_loop_known, future_loop_first; /* whether a Future is known to begin with its loop */
    tc_hook_entry hooks[64];
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
