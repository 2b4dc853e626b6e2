/* What the state holds for WebSocket; see base/state.h. */
#ifndef TC_NAMES_WS_H
#define TC_NAMES_WS_H

#define TC_WS_TYPES(X)                                                                                       \
    X(ws_await, tc_ws_await_init_type)                                                                       \
    X(ws_compressor, tc_ws_compressor_init_type)                                                             \
    X(ws_decompressor, tc_ws_decompressor_init_type)                                                         \
    X(ws_handler, tc_ws_handler_init_type)                                                                   \
    X(ws_loop, tc_ws_loop_init_type)                                                                         \
    X(ws_protocol, tc_ws_protocol_init_type)

#define TC_WS_NAMES(X)                                                                                       \
    X(_abort)                                                                                                \
    X(_compression_level)                                                                                    \
    X(_create_compressor)                                                                                    \
    X(_create_decompressor)                                                                                  \
    X(_handle_message)                                                                                       \
    X(_max_wbits)                                                                                            \
    X(_mem_level)                                                                                            \
    X(_persistent)                                                                                           \
    X(_ping_coroutine)                                                                                       \
    X(_run_callback)                                                                                         \
    X(_write_frame)                                                                                          \
    X(binary)                                                                                                \
    X(closed)                                                                                                \
    X(code)                                                                                                  \
    X(compress)                                                                                              \
    X(decompress)                                                                                            \
    X(eof)                                                                                                   \
    X(fin)                                                                                                   \
    X(flags)                                                                                                 \
    X(is_closing)                                                                                            \
    X(log_exception)                                                                                         \
    X(max_message_size)                                                                                      \
    X(on_message)                                                                                            \
    X(on_ping)                                                                                               \
    X(on_pong)                                                                                               \
    X(on_ws_connection_close)                                                                                \
    X(opcode)                                                                                                \
    X(ping_interval)                                                                                         \
    X(ping_timeout)                                                                                          \
    X(set_nodelay)                                                                                           \
    X(unused_data)                                                                                           \
    X(write_message)                                                                                         \
    X(write_ping)                                                                                            \
    X(ws_connection)                                                                                         \
    X(x)

#define TC_WS_KEYWORDS(X) X(reason, "(s)", "reason")

#define TC_WS_IMPORTS(X)                                                                                     \
    X(os_urandom, "os", "urandom")                                                                           \
    X(struct_pack, "struct", "pack")

#define TC_WS_FACES(X)                                                                                       \
    X(DecompressTooLargeError, websocket, (PyTypeObject *)PyExc_Exception)                                   \
    X(PerMessageDeflateCompressor, websocket, &PyBaseObject_Type)                                            \
    X(WebSocketClosedError, websocket, (PyTypeObject *)PyExc_Exception)

#define TC_WS_UPCALLS(X)                                                                                     \
    X(convert_yielded, websocket, NULL)                                                                      \
    X(message_bytes, websocket, NULL)                                                                        \
    X(message_written, websocket, NULL)                                                                      \
    X(notify_closed, websocket, NULL)                                                                        \
    X(start_task, websocket, NULL)                                                                           \
    X(write_message, websocket, NULL)

#endif
