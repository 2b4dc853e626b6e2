/* What the state holds for applications; see base/state.h. */
#ifndef TC_NAMES_WEB_H
#define TC_NAMES_WEB_H

#include "base/base.h"
#include "base/buf.h"

#define TC_WEB_TYPES(X)                                                                                      \
    X(application, tc_application_init_type)                                                                 \
    X(route_part, tc_route_part_init_type)                                                                   \
    X(request_handler, tc_request_handler_init_type)                                                         \
    X(route_table, tc_route_table_init_type)                                                                 \
    X(execution, tc_execution_init_type)                                                                     \
    X(static_file, tc_static_file_init_type)

#define TC_WEB_NAMES(X)                                                                                      \
    X(Date)                                                                                                  \
    X(Etag)                                                                                                  \
    X(OK)                                                                                                    \
    X(SUPPORTED_METHODS)                                                                                     \
    X(Server)                                                                                                \
    X(__class__)                                                                                             \
    X(__init__)                                                                                              \
    X(_body_future)                                                                                          \
    X(_break_cycles)                                                                                         \
    X(_cache)                                                                                                \
    X(_clear_representation_headers)                                                                         \
    X(_convert_header_value)                                                                                 \
    X(_cross_origin_protection)                                                                              \
    X(_execute)                                                                                              \
    X(_get_argument)                                                                                         \
    X(_get_arguments)                                                                                        \
    X(_get_cached_version)                                                                                   \
    X(_log)                                                                                                  \
    X(_request_summary)                                                                                      \
    X(_should_not_send_content)                                                                              \
    X(_stat)                                                                                                 \
    X(_static_file)                                                                                          \
    X(_static_hashes)                                                                                        \
    X(_stream_request_body)                                                                                  \
    X(_transforms)                                                                                           \
    X(absolute_path)                                                                                         \
    X(allowed_symlink_directory)                                                                             \
    X(application)                                                                                           \
    X(arguments)                                                                                             \
    X(body_arguments)                                                                                        \
    X(check_etag_header)                                                                                     \
    X(clear)                                                                                                 \
    X(compute_etag)                                                                                          \
    X(connection)                                                                                            \
    X(cross_origin_protection)                                                                               \
    X(decode_argument)                                                                                       \
    X(default_handler_args)                                                                                  \
    X(default_handler_class)                                                                                 \
    X(default_host)                                                                                          \
    X(digest)                                                                                                \
    X(encodings_map)                                                                                         \
    X(execute)                                                                                               \
    X(find_handler)                                                                                          \
    X(get)                                                                                                   \
    X(get_absolute_path)                                                                                     \
    X(get_cache_time)                                                                                        \
    X(get_content)                                                                                           \
    X(get_content_size)                                                                                      \
    X(get_content_type)                                                                                      \
    X(get_handler_delegate)                                                                                  \
    X(get_modified_time)                                                                                     \
    X(get_status)                                                                                            \
    X(get_target_delegate)                                                                                   \
    X(groupdict)                                                                                             \
    X(groups)                                                                                                \
    X(guess_type)                                                                                            \
    X(host_name)                                                                                             \
    X(host_pattern)                                                                                          \
    X(initialize)                                                                                            \
    X(isEnabledFor)                                                                                          \
    X(join)                                                                                                  \
    X(log_function)                                                                                          \
    X(log_request)                                                                                           \
    X(match)                                                                                                 \
    X(matcher)                                                                                               \
    X(method)                                                                                                \
    X(modified)                                                                                              \
    X(on_finish)                                                                                             \
    X(parse_url_path)                                                                                        \
    X(path)                                                                                                  \
    X(path_args)                                                                                             \
    X(path_kwargs)                                                                                           \
    X(post)                                                                                                  \
    X(prepare)                                                                                               \
    X(root)                                                                                                  \
    X(rules)                                                                                                 \
    X(set_close_callback)                                                                                    \
    X(set_default_headers)                                                                                   \
    X(set_etag_header)                                                                                       \
    X(set_extra_headers)                                                                                     \
    X(set_header)                                                                                            \
    X(set_headers)                                                                                           \
    X(set_status)                                                                                            \
    X(settings)                                                                                              \
    X(should_return_304)                                                                                     \
    X(source)                                                                                                \
    X(static_hash_cache)                                                                                     \
    X(status_code)                                                                                           \
    X(stream_request_body)                                                                                   \
    X(strip)                                                                                                 \
    X(suffix_map)                                                                                            \
    X(target)                                                                                                \
    X(target_kwargs)                                                                                         \
    X(transform_chunk)                                                                                       \
    X(transform_first_chunk)                                                                                 \
    X(transforms)                                                                                            \
    X(types_map)                                                                                             \
    X(validate_absolute_path)                                                                                \
    X(write_headers)                                                                                         \
    X(xsrf_cookies)

#define TC_WEB_TEXTS(X)                                                                                      \
    X(accept_ranges, "Accept-Ranges")                                                                        \
    X(bytes, "bytes")                                                                                        \
    X(content_length, "Content-Length")                                                                      \
    X(content_range, "Content-Range")                                                                        \
    X(content_type, "Content-Type")                                                                          \
    X(html, "text/html; charset=UTF-8")                                                                      \
    X(if_modified_since, "If-Modified-Since")                                                                \
    X(if_none_match, "If-None-Match")                                                                        \
    X(if_range, "If-Range")                                                                                  \
    X(json, "application/json; charset=UTF-8")                                                               \
    X(last_modified, "Last-Modified")                                                                        \
    X(range, "Range")                                                                                        \
    X(server, "TornadoServer/6.6.1")                                                                         \
    X(x_real_ip, "X-Real-Ip")

#define TC_WEB_KEYWORDS(X)                                                                                   \
    X(include_footers, "(s)", "include_footers")                                                             \
    X(name, "(s)", "name")

#define TC_WEB_OWN(X)                                                                                        \
    X(access_log_cache)  /* the logger's cache of isEnabledFor(): a dict, or None */                         \
    X(access_log_cached) /* the logger that access_log_cache belongs to */                                   \
    X(hashlib_sha1)      /* when first needed */                                                             \
    X(reason_ok)         /* the reason phrase of status 200 */                                               \
    X(json_tools)        /* what json.c encodes with, or None */                                             \
    X(small_sha1)        /* when first needed */                                                             \
    X(shown_parts)       /* by its address each dict of a part of routes that was asked for, with a copy */  \
    X(static_facts)      /* by the folder and then by the path, see static_facts.c */

#define TC_WEB_FACES(X)                                                                                      \
    X(ErrorHandler, web, state->request_handler_type)                                                        \
    X(HTTPError, web, (PyTypeObject *)PyExc_Exception)                                                       \
    X(MissingArgumentError, web, (PyTypeObject *)PyExc_Exception)

#define TC_WEB_UPCALLS(X)                                                                                    \
    X(HandlerDelegate, web, &PyType_Type)                                                                    \
    X(access_log, web, NULL)                                                                                 \
    X(add_cookie_headers, web, NULL)                                                                         \
    X(arg_default, web, NULL)                                                                                \
    X(check_etag, web, NULL)                                                                                 \
    X(compile_routes, web, NULL)                                                                             \
    X(convert_header_value, web, NULL)                                                                       \
    X(done_future, web, NULL)                                                                                \
    X(forget_versions, web, NULL)                                                                            \
    X(execute_failed, web, NULL)                                                                             \
    X(hook_originals, web, &PyDict_Type)                                                                     \
    X(http_responses, reasons, &PyDict_Type)                                                                 \
    X(json_encode, web, NULL)                                                                                \
    X(json_tools, web, NULL)                                                                                 \
    X(log_bad_target, web, NULL)                                                                             \
    X(make_ui, web, NULL)                                                                                    \
    X(no_delegate, web, NULL)                                                                                \
    X(run_delegate, web, NULL)                                                                               \
    X(run_execute, web, NULL)                                                                                \
    X(spawn_task, web, NULL)                                                                                 \
    X(watch_execute, web, NULL)                                                                              \
    X(static_expire, web, NULL)                                                                              \
    X(static_hook_originals, web, &PyDict_Type)

/* The class of one version tag, see web/hooks.h. */
typedef struct {
    unsigned tag;     /* 0: free */
    uint8_t shadows;  /* how many of the names that its instances share are hooks', at most those below */
    uint8_t value[5]; /* where an instance has the attribute of such a name */
    uint8_t hook[5];
    Py_ssize_t seen; /* of the shared names, this many were looked at */
    uint64_t own;    /* the hooks that are not overridden */
} tc_hook_entry;

/* Exact bytes and the Etag of a response with that body, or NULL. */
typedef struct {
    PyObject *body, *etag;
} tc_etag;

/* A length and its digits, an exact str, or NULL. */
typedef struct {
    size_t number;
    PyObject *text;
} tc_decimal;

#define TC_JSON_WATCHED 4

#define TC_WEB_FIELDS                                                                                        \
    tc_decimal decimals[64];                                                                                 \
    tc_etag etags[16];                                                                                       \
    tc_hook_entry hooks[256];                                                                                \
    tc_bytes_buf json_buffer; /* of json_text.c */                                                           \
    bool json_busy;           /* json.c is encoding */                                                       \
    setter set_dict;          /* what assigns to the __dict__ of a part, as its class came; or NULL */       \
    unsigned json_tag;        /* the version of json's class of encoders for which json_tools were made */   \
    uint64_t reasons_version; /* of the dict in which reason_ok was found */                                 \
    uint64_t log_version;     /* of access_log_cache, in which it was found that INFO is logged or not */    \
    bool log_info;                                                                                           \
    uint64_t json_versions[TC_JSON_WATCHED]; /* of the dicts that it watches */                              \
    uint64_t routes_version;                 /* raised where what tables of routes were made from changes */

#endif
