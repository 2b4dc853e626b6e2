/* What the state holds for streams; see base/state.h. */
#ifndef TC_NAMES_STREAM_H
#define TC_NAMES_STREAM_H

#define TC_STREAM_TYPES(X)                                                                                   \
    X(stream_buffer, tc_stream_buffer_init_type)                                                             \
    X(tls_memory, tc_tls_memory_init_type)                                                                   \
    X(stream, tc_stream_init_type)                                                                           \
    X(stream_linger, tc_stream_linger_init_type)                                                             \
    X(acceptor, tc_acceptor_init_type)

#define TC_STREAM_NAMES(X)                                                                                   \
    X(READ)                                                                                                  \
    X(_do_ssl_handshake)                                                                                     \
    X(_is_connreset)                                                                                         \
    X(_listen)                                                                                               \
    X(_on_readable)                                                                                          \
    X(_start_tls)                                                                                            \
    X(_try_inline_read)                                                                                      \
    X(accept)                                                                                                \
    X(add_handler)                                                                                           \
    X(address)                                                                                               \
    X(buf)                                                                                                   \
    X(close_fd)                                                                                              \
    X(connect)                                                                                               \
    X(count)                                                                                                 \
    X(delimiter)                                                                                             \
    X(end)                                                                                                   \
    X(exc_info)                                                                                              \
    X(family)                                                                                                \
    X(file)                                                                                                  \
    X(fileno)                                                                                                \
    X(get_fd_error)                                                                                          \
    X(max_bytes)                                                                                             \
    X(num_bytes)                                                                                             \
    X(offset)                                                                                                \
    X(partial)                                                                                               \
    X(pending)                                                                                               \
    X(read)                                                                                                  \
    X(read_from_fd)                                                                                          \
    X(regex)                                                                                                 \
    X(release)                                                                                               \
    X(remove_handler)                                                                                        \
    X(remove_timeout)                                                                                        \
    X(search)                                                                                                \
    X(server_hostname)                                                                                       \
    X(setblocking)                                                                                           \
    X(shutdown)                                                                                              \
    X(streaming_callback)                                                                                    \
    X(value)                                                                                                 \
    X(write_eof)                                                                                             \
    X(write_to_fd)

#define TC_STREAM_KEYWORDS(X) X(fileno, "(s)", "fileno")

#define TC_STREAM_OWN(X) X(stream_run_callback) /* the same as ioloop_run for a stream's user callback */

#define TC_STREAM_IMPORTS(X)                                                                                 \
    X(errno_names, "errno", "errorcode")                                                                     \
    X(re_compile, "re", "compile")                                                                           \
    X(socket_base, "_socket", "socket")                                                                      \
    X(socket_class, "socket", "socket")                                                                      \
    X(ssl_memory_bio, "_ssl", "MemoryBIO")                                                                   \
    X(ssl_object, "_ssl", "_SSLSocket")

#define TC_STREAM_FACES(X)                                                                                   \
    X(IOStream, iostream, state->stream_type)                                                                \
    X(SSLEOFError, iostream, (PyTypeObject *)PyExc_Exception)                                                \
    X(SSLWantReadError, iostream, (PyTypeObject *)PyExc_Exception)                                           \
    X(SSLWantWriteError, iostream, (PyTypeObject *)PyExc_Exception)                                          \
    X(StreamBufferFullError, iostream, (PyTypeObject *)PyExc_Exception)                                      \
    X(StreamClosedError, iostream, (PyTypeObject *)PyExc_Exception)                                          \
    X(UnsatisfiableReadError, iostream, (PyTypeObject *)PyExc_Exception)

#define TC_STREAM_UPCALLS(X)                                                                                 \
    X(pipe_read_from_fd, iostream, NULL)                                                                     \
    X(pipe_write_to_fd, iostream, NULL)                                                                      \
    X(read_without_buffer, iostream, NULL)                                                                   \
    X(socket_close_fd, iostream, NULL)                                                                       \
    X(socket_get_fd_error, iostream, NULL)                                                                   \
    X(socket_read_from_fd, iostream, NULL)                                                                   \
    X(socket_write_to_fd, iostream, NULL)                                                                    \
    X(tls_read_from_fd, iostream, NULL)                                                                      \
    X(tls_write_to_fd, iostream, NULL)

#endif
