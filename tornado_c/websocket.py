"""WebSocket: handlers that serve it, and a client.

::

    import asyncio
    import tornado_c.web
    import tornado_c.websocket

    class Echo(tornado_c.websocket.WebSocketHandler):
        def on_message(self, message):
            self.write_message(message)

    async def main():
        tornado_c.web.Application([(r"/", Echo)]).listen(8888)
        await asyncio.Event().wait()

    asyncio.run(main())

The protocol is RFC 6455, with the compression of RFC 7692.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_c import httputil
from tornado_c._support.names import adopt, on_demand
from tornado_c._websocket.client import WebSocketClientConnection, websocket_connect
from tornado_c._websocket.errors import WebSocketClosedError, WebSocketError, _DecompressTooLargeError
from tornado_c._websocket.extensions import (
    _Compressor,
    _Decompressor,
    _PerMessageDeflateCompressor,
    _PerMessageDeflateDecompressor,
)
from tornado_c._websocket.handler import WebSocketHandler, _raise_not_supported_for_websockets
from tornado_c._websocket.params import (
    _default_max_message_size,
    _WebSocketDelegate,
    _WebSocketParams,
    de_dupe_gen_log,
)
from tornado_c._websocket.protocol import WebSocketProtocol, WebSocketProtocol13
from tornado_c.concurrent import Future, future_add_done_callback, future_set_result_unless_cancelled
from tornado_c.escape import native_str, to_unicode, utf8
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamClosedError
from tornado_c.log import app_log, gen_log
from tornado_c.netutil import Resolver
from tornado_c.tcpclient import TCPClient
from tornado_c.util import _websocket_mask

__all__ = [
    "Future",
    "IOLoop",
    "IOStream",
    "Resolver",
    "StreamClosedError",
    "TCPClient",
    "WebSocketClientConnection",
    "WebSocketClosedError",
    "WebSocketError",
    "WebSocketHandler",
    "WebSocketProtocol",
    "WebSocketProtocol13",
    "_Compressor",
    "_DecompressTooLargeError",
    "_Decompressor",
    "_PerMessageDeflateCompressor",
    "_PerMessageDeflateDecompressor",
    "_WebSocketDelegate",
    "_WebSocketParams",
    "_default_max_message_size",
    "_raise_not_supported_for_websockets",
    "_websocket_mask",
    "app_log",
    "de_dupe_gen_log",
    "future_add_done_callback",
    "future_set_result_unless_cancelled",
    "gen_log",
    "httputil",
    "native_str",
    "to_unicode",
    "utf8",
    "websocket_connect",
]

adopt(globals(), "tornado_c._websocket")

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(globals(), "tornado_c._websocket")

del adopt, on_demand
