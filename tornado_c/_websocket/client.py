"""The client: a connection to a server, and the function that opens one."""

from __future__ import annotations

import asyncio
import base64
import os
import warnings
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from tornado_c import httputil
from tornado_c._websocket.errors import WebSocketClosedError, WebSocketError
from tornado_c._websocket.extensions import DEFLATE
from tornado_c._websocket.fetch import HTTPExchange, Request, RequestView
from tornado_c._websocket.params import _default_max_message_size, _WebSocketParams
from tornado_c._websocket.protocol import WebSocketProtocol, WebSocketProtocol13
from tornado_c._websocket.queue import MessageQueue
from tornado_c.concurrent import future_set_result_unless_cancelled
from tornado_c.escape import utf8
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import StreamClosedError
from tornado_c.log import app_log
from tornado_c.netutil import Resolver
from tornado_c.tcpclient import TCPClient

_SCHEMES = {"ws": "http", "wss": "https"}
_MAX_BUFFER_SIZE = 100 * 1024 * 1024
_MAX_HEADER_SIZE = 64 * 1024


class WebSocketClientConnection(HTTPExchange):
    """A client's end of a connection, made by :func:`websocket_connect`; subclasses may be made directly.

    Attributes: ``connect_future`` is done, with the connection, when the server has agreed; ``headers`` are
    those of its response; ``close_code`` and ``close_reason`` what it gave at the end; ``protocol`` is None
    before the handshake and after :meth:`close`.

    :param request: has the attributes of ``HTTPRequest``, and a URL with ``ws`` or ``wss``.
    :raises KeyError: its URL has another scheme.
    """

    protocol: WebSocketProtocol | None = None
    _refusal: ValueError | None = None

    def __init__(
        self,
        request: Any,
        on_message_callback: Callable[[None | str | bytes], None] | None = None,
        compression_options: dict[str, Any] | None = None,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
        max_message_size: int = _default_max_message_size,
        subprotocols: list[str] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.connect_future: asyncio.Future[WebSocketClientConnection] = asyncio.Future()
        self.read_queue = MessageQueue(1)
        self.key = base64.b64encode(os.urandom(16))
        self._on_message_callback = on_message_callback
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.params = _WebSocketParams(
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_message_size=max_message_size,
            compression_options=compression_options,
        )
        scheme, colon, rest = request.url.partition(":")
        request.url = _SCHEMES[scheme] + colon + rest
        request.follow_redirects = False
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key.decode("ascii"),
            "Sec-WebSocket-Version": "13",
        }
        if subprotocols is not None:
            headers["Sec-WebSocket-Protocol"] = ",".join(subprotocols)
        if compression_options is not None:
            headers["Sec-WebSocket-Extensions"] = f"{DEFLATE}; client_max_window_bits"
        request.headers.update(headers)
        self.tcp_client = TCPClient(resolver=resolver)
        super().__init__(
            None,
            request,
            lambda: None,
            self._on_http_response,
            _MAX_BUFFER_SIZE,
            self.tcp_client,
            _MAX_HEADER_SIZE,
            _MAX_BUFFER_SIZE,
        )

    def __del__(self) -> None:
        if self.protocol is not None:
            warnings.warn("Unclosed WebSocketClientConnection", ResourceWarning, stacklevel=2)

    # ---- the handshake ----

    async def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> None:
        """Called with the head of the response."""
        if start_line.code != 101:
            await super().headers_received(start_line, headers)
            return
        self._remove_timeout()
        self.headers = headers
        protocol: Any = self.get_websocket_protocol()
        try:
            protocol._process_server_headers(self.key, headers)
            self._check_subprotocol(headers)
        except ValueError as e:
            self._refusal = e
            raise
        self.protocol = protocol
        self.stream = protocol.stream = self.connection.detach()
        # What follows is not an HTTP request's business any more, nor are its exceptions.
        self.final_callback = None
        protocol._watch()
        protocol.start_pinging()
        self.io_loop.add_callback(protocol._receive_frame_loop)
        future_set_result_unless_cancelled(self.connect_future, self)

    def _check_subprotocol(self, headers: httputil.HTTPHeaders) -> None:
        selected = headers.get("Sec-WebSocket-Protocol")
        proposed = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        if selected is not None and selected not in (name.strip() for name in proposed):
            raise ValueError(f"the server's subprotocol {selected!r} was not proposed")

    def get_websocket_protocol(self) -> WebSocketProtocol:
        """Return the protocol for a server that has agreed. May be overridden."""
        return WebSocketProtocol13(self, mask_outgoing=True, params=self.params)

    def _on_http_response(self, response: Any) -> None:
        error = response.error or WebSocketError("Non-websocket response")
        if not self.connect_future.done():
            self.connect_future.set_exception(error)

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that the server has selected."""
        assert self.protocol is not None
        return self.protocol.selected_subprotocol

    # ---- what it can do ----

    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> asyncio.Future[None]:
        """Send a message; see :meth:`WebSocketHandler.write_message`."""
        if self.protocol is None:
            raise WebSocketClosedError("Client connection has been closed")
        return self.protocol.write_message(message, binary=binary)

    def read_message(
        self, callback: Callable[[asyncio.Future[None | str | bytes]], None] | None = None
    ) -> Awaitable[None | str | bytes]:
        """Return a Future of the next message, or of None when the connection has ended.

        Not for connections with an ``on_message_callback``.

        :param callback: called with the Future when it is done; default: nothing is.
        """
        future = self.read_queue.get()
        if callback is not None:
            self.io_loop.add_future(future, callback)
        return future

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping; see :meth:`WebSocketHandler.ping`."""
        data = utf8(data)
        if self.protocol is None:
            raise WebSocketClosedError()
        self.protocol.write_ping(data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the connection; see :meth:`WebSocketHandler.close`."""
        if self.protocol is not None:
            self.protocol.close(code, reason)
            self.protocol = None

    # ---- what the protocol calls ----

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Called with each message; hands it on."""
        return self._on_message(message)

    def _on_message(self, message: None | str | bytes) -> Awaitable[None] | None:
        if self._on_message_callback is not None:
            self._on_message_callback(message)
            return None
        return self.read_queue.offer(message)

    def on_ping(self, data: bytes) -> None:
        """Called with the payload of each ping; it is answered already. May be overridden."""

    def on_pong(self, data: bytes) -> None:
        """Called with the payload of each pong. May be overridden."""

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Called with what a method of this object has raised. May be overridden."""
        info: Any = (typ, value, tb)
        app_log.error("Uncaught exception %s", value, exc_info=info)

    # ---- the end ----

    def on_connection_close(self) -> None:
        """Called when the server has closed the connection, before or after it has agreed."""
        if not self.connect_future.done():
            self.connect_future.set_exception(StreamClosedError(real_error=self._refusal))
        self._on_message(None)
        self.tcp_client.close()
        super().on_connection_close()

    def on_ws_connection_close(self, close_code: int | None = None, close_reason: str | None = None) -> None:
        """Called when the connection has ended, with what the server gave."""
        self.close_code = close_code
        self.close_reason = close_reason
        self.on_connection_close()


def websocket_connect(
    url: Any,
    callback: Callable[[asyncio.Future[WebSocketClientConnection]], None] | None = None,
    connect_timeout: float | None = None,
    on_message_callback: Callable[[None | str | bytes], None] | None = None,
    compression_options: dict[str, Any] | None = None,
    ping_interval: float | None = None,
    ping_timeout: float | None = None,
    max_message_size: int = _default_max_message_size,
    subprotocols: list[str] | None = None,
    resolver: Resolver | None = None,
    *,
    io_loop: IOLoop | None = None,
) -> asyncio.Future[WebSocketClientConnection]:
    """Connect to a server.

    ::

        connection = await websocket_connect("ws://localhost:8888/chat")
        await connection.write_message("hello")
        while (message := await connection.read_message()) is not None:
            print(message)

    :param url: a str, or an ``HTTPRequest``, or an object with attributes of one (``url``, ``headers``,
        ``ssl_options``, timeouts, ``auth_username``...). It is left as it is.
    :param callback: deprecated; called with the Future when it is done. An IOLoop or None, with a callback
        behind it, is the ``io_loop`` of Tornado 3 and 4.
    :param connect_timeout: seconds, for a str; default 20.
    :param on_message_callback: called with each message, and with None at the end. Default: messages wait for
        ``read_message``.
    :param compression_options: what ``WebSocketHandler.get_compression_options`` returns; default None.
    :param ping_interval: seconds between pings; default: none are sent.
    :param ping_timeout: seconds in which each must be answered; default: the interval.
    :param max_message_size: bytes of the largest message; default 10 MB.
    :param subprotocols: names that are proposed, in order of preference.
    :param resolver: looks the host's name up; default: a ``Resolver()`` of the connection's own.
    :param io_loop: of Tornado 3 and 4; the current loop is meant.
    :returns: a Future of a :class:`WebSocketClientConnection`. It fails with ``HTTPClientError`` (Tornado's,
        where that is installed) if the server answers with an error, with code 599 if it does not answer in
        time; with ``WebSocketError`` if it answers without agreeing; with ``StreamClosedError`` if what it
        agrees to is not what was asked for; with ``OSError`` if there is no connection.
    """
    if isinstance(callback, IOLoop):
        callback = None
    if callable(connect_timeout):
        callback, connect_timeout = connect_timeout, None
        if isinstance(on_message_callback, (int, float)):
            connect_timeout, on_message_callback = on_message_callback, None
    if isinstance(url, str):
        request = RequestView(Request(url, connect_timeout))
    else:
        assert connect_timeout is None
        request = RequestView(url)
    connection = WebSocketClientConnection(
        request,
        on_message_callback=on_message_callback,
        compression_options=compression_options,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_message_size=max_message_size,
        subprotocols=subprotocols,
        resolver=resolver,
    )
    if callback is not None:
        warnings.warn(
            "The callback argument to websocket_connect is deprecated. Use the returned Future instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        IOLoop.current().add_future(connection.connect_future, callback)
    return connection.connect_future
