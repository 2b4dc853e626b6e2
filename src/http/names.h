/* What the state holds for HTTP; see base/state.h. */
#ifndef TC_NAMES_HTTP_H
#define TC_NAMES_HTTP_H

#include <time.h>

#define TC_HTTP_TYPES(X)                                                                                     \
    X(header_names, tc_header_names_init_type)                                                               \
    X(header_pairs, tc_header_pairs_init_type)                                                               \
    X(headers, tc_headers_init_type)                                                                         \
    X(request, tc_request_init_type)                                                                         \
    X(http_app, tc_http_app_init_type)                                                                       \
    X(http_config, tc_http_config_init_type)                                                                 \
    X(http_conn, tc_http_conn_init_type)                                                                     \
    X(http_frame, tc_http_frame_init_type)                                                                   \
    X(http_listener, tc_http_listener_init_type)                                                             \
    X(http_reader, tc_http_reader_init_type)

#define TC_HTTP_NAMES(X)                                                                                     \
    X(Connection)                                                                                            \
    X(Expect)                                                                                                \
    X(GET)                                                                                                   \
    X(HEAD)                                                                                                  \
    X(POST)                                                                                                  \
    X(_DEFAULT_PARSE_BODY_CONFIG)                                                                            \
    X(__dict__)                                                                                              \
    X(__getattribute__)                                                                                      \
    X(__getstate__)                                                                                          \
    X(_accepted)                                                                                             \
    X(_apply_xheaders)                                                                                       \
    X(_as_list)                                                                                              \
    X(_chars_are_bytes)                                                                                      \
    X(_combined_cache)                                                                                       \
    X(_normalize_header)                                                                                     \
    X(_parse_body)                                                                                           \
    X(_unapply_xheaders)                                                                                     \
    X(add)                                                                                                   \
    X(append)                                                                                                \
    X(chunk)                                                                                                 \
    X(chunked)                                                                                               \
    X(default)                                                                                               \
    X(finish)                                                                                                \
    X(get_all)                                                                                               \
    X(get_loop)                                                                                              \
    X(handle_stream)                                                                                         \
    X(headers)                                                                                               \
    X(headers_received)                                                                                      \
    X(http)                                                                                                  \
    X(https)                                                                                                 \
    X(items)                                                                                                 \
    X(key)                                                                                                   \
    X(line)                                                                                                  \
    X(lower)                                                                                                 \
    X(max_arguments)                                                                                         \
    X(on_close)                                                                                              \
    X(on_connection_close)                                                                                   \
    X(parse_line)                                                                                            \
    X(protocol)                                                                                              \
    X(query_arguments)                                                                                       \
    X(reason)                                                                                                \
    X(remote_ip)                                                                                             \
    X(start_line)                                                                                            \
    X(start_request)                                                                                         \
    X(update)                                                                                                \
    X(urlencoded)

#define TC_HTTP_OWN(X)                                                                                       \
    X(date_text)        /* the Date header of date_second, str */                                            \
    X(header_names)     /* the cache of headers/names.c */                                                   \
    X(empty_bytes)      /* b"" */                                                                            \
    X(http_1_0)         /* "HTTP/1.0" */                                                                     \
    X(http_1_1)         /* "HTTP/1.1" */                                                                     \
    X(keep_alive_value) /* "Keep-Alive" */                                                                   \
    X(mapping_update)   /* MutableMapping.update */                                                          \
    X(str_Content_Length)                                                                                    \
    X(str_Transfer_Encoding)

#define TC_HTTP_IMPORTS(X)                                                                                   \
    X(copyreg_newobj, "copyreg", "__newobj__")                                                               \
    X(mutable_mapping, "collections.abc", "MutableMapping")

#define TC_HTTP_FACES(X)                                                                                     \
    X(HTTPConnection, httpserver, state->http_conn_type)                                                     \
    X(HTTPHeaders, httputil, state->headers_type)                                                            \
    X(HTTPInputError, httputil, (PyTypeObject *)PyExc_Exception)                                             \
    X(HTTPOutputError, httputil, (PyTypeObject *)PyExc_Exception)                                            \
    X(HTTPRequestContext, httpserver, &PyBaseObject_Type)                                                    \
    X(HTTPServerRequest, httputil, state->request_type)                                                      \
    X(RequestStartLine, httputil, &PyTuple_Type)                                                             \
    X(ResponseStartLine, httputil, &PyTuple_Type)

#define TC_HTTP_UPCALLS(X)                                                                                   \
    X(HTTPServerConnectionDelegate, httputil, &PyType_Type)                                                  \
    X(decompress_request, httpserver, NULL)                                                                  \
    X(decompressing_delegate, httpserver, NULL)                                                              \
    X(httputil_globals, httputil, &PyDict_Type)                                                              \
    X(load_cookies, httputil, NULL)                                                                          \
    X(normalize_header, httputil, NULL)                                                                      \
    X(own_handle_stream, httpserver, NULL)                                                                   \
    X(own_on_close, httpserver, NULL)                                                                        \
    X(own_start_request, httpserver, NULL)                                                                   \
    X(parse_body, httputil, NULL)                                                                            \
    X(parse_int, httputil, NULL)                                                                             \
    X(parse_query, httputil, NULL)                                                                           \
    X(split_host_and_port, httputil, NULL)                                                                   \
    X(watch_request_task, httpserver, NULL)

#define TC_HTTP_FIELDS                                                                                        \
    time_t date_second;                                                                                       \
    /* The version of httputil's dictionary for which this was found in it, borrowed; see headers/names.c. */ \
    uint64_t names_version;                                                                                   \
    PyObject *names_function;

#endif
