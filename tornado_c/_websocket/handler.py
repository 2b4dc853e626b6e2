"""WebSocketHandler: a server's end of a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tornado_c import _core, httputil
from tornado_c._http.headers import peek_headers
from tornado_c._web.handler import RequestHandler
from tornado_c._websocket import handshake
from tornado_c._websocket.errors import WebSocketClosedError
from tornado_c._websocket.params import _default_max_message_size, make_params
from tornado_c._websocket.protocol import WebSocketProtocol, WebSocketProtocol13
from tornado_c.escape import utf8

if TYPE_CHECKING:
    from tornado_c._web.application import Application
    from tornado_c.iostream import IOStream

#: What a handler may do no more once it speaks WebSocket.
_HTTP_ONLY = ("write", "redirect", "set_header", "set_cookie", "set_status", "flush", "finish")

_headers_field: Any = vars(_core.HandlerBase)["_headers"]


def _raise_not_supported_for_websockets(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("Method not supported for Web Sockets")


class _NewDict:
    """An attribute that is a dict of its own each time, until one is set on the instance."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return {}


class WebSocketHandler(RequestHandler, _core.WebSocketHandlerBase):
    """Serves one WebSocket connection. Subclasses define :meth:`on_message`, mostly also :meth:`open` and
    :meth:`on_close`.

    ::

        class Echo(tornado_c.websocket.WebSocketHandler):
            async def on_message(self, message):
                await self.write_message(message)

    The handshake is an HTTP request, so that routes, ``prepare`` and the rest are as with any handler. After
    it there is :meth:`write_message`, :meth:`ping` and :meth:`close`; what responds to HTTP raises
    RuntimeError.

    Browsers let any page connect to any server. One of another origin is refused with 403 unless
    :meth:`check_origin` allows it.

    Settings of the application: ``websocket_ping_interval`` and ``websocket_ping_timeout`` (seconds),
    ``websocket_max_message_size`` (bytes; 10 MB).
    """

    # Here as well as in __init__, which subclasses have been seen to skip.
    ws_connection: WebSocketProtocol | None = None
    close_code: int | None = None
    close_reason: str | None = None
    _on_close_called = False

    #: What the groups of the route matched, for :meth:`open`. On the instance where there were any.
    open_args: tuple[str, ...] = ()
    open_kwargs: dict[str, str] = _NewDict()  # type: ignore[assignment]

    def __init__(self, application: Application, request: httputil.HTTPServerRequest, **kwargs: Any) -> None:
        super().__init__(application, request, **kwargs)
        self.ws_connection = None
        self.close_code = None
        self.close_reason = None
        self._on_close_called = False

    # ---- the handshake ----

    async def get(self, *args: str, **kwargs: str) -> None:
        """Answers the handshake, and opens the connection. Overrides may call it for upgrades only."""
        if args:
            self.open_args = args
        if kwargs:
            self.open_kwargs = kwargs
        refusal = handshake.why_no_upgrade(self.request)
        if refusal is not None:
            handshake.refuse(self, 400, refusal)
            return
        # Always, whatever the setting cross_origin_protection says, and after prepare(), on which an override
        # may rely.
        error = self._check_cross_origin(self.check_origin)
        if error is not None:
            handshake.refuse(self, 403, "Cross origin websockets not allowed", error)
            return
        self.ws_connection = self.get_websocket_protocol()
        if self.ws_connection:
            await self.ws_connection.accept_connection(self)
        else:
            self.set_status(426, "Upgrade Required")
            self.set_header("Sec-WebSocket-Version", "13")

    def check_origin(self, origin: str) -> bool:
        """Whether a page of another origin may connect. May be overridden.

        Called after ``prepare``, if the request may come from another origin: by its Sec-Fetch-Site or,
        without one, by an Origin whose host is not the request's. Clients other than browsers send neither.

        :param origin: the request's Origin.
        :returns: what :meth:`check_trusted_origin` says: whether it is in the setting ``trusted_origins``.
        """
        return self.check_trusted_origin(origin)

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """Return the protocol for the client's version; None: there is none, the client gets a 426."""
        if peek_headers(self.request).get("Sec-WebSocket-Version") != "13":
            return None
        params = make_params(
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_message_size=self.max_message_size,
            compression_options=self.get_compression_options(),
        )
        return WebSocketProtocol13(self, False, params)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose a subprotocol. May be overridden; called once for each connection.

        :param subprotocols: what the client proposes; empty if it proposes none.
        :returns: one of them, or None.
        """
        return None

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that was chosen."""
        assert self.ws_connection is not None
        return self.ws_connection.selected_subprotocol

    def get_compression_options(self) -> dict[str, Any] | None:
        """Say whether messages are compressed where the client wants it, too. May be overridden.

        :returns: None for no. Otherwise a dict, which may be empty, or have ``compression_level`` (default
            6) and ``mem_level`` (8), as in ``zlib.compressobj``. A connection that compresses holds up to
            256 KB.
        """
        return None

    def _detach_stream(self) -> IOStream:
        for method in _HTTP_ONLY:
            setattr(self, method, _raise_not_supported_for_websockets)
        return self.detach()

    # ---- what is left of the handshake ----

    #: The headers of the 101, until somebody asks for them.
    _sent_headers: handshake.PackedHeaders | None = None

    @property
    def _headers(self) -> httputil.HTTPHeaders:
        sent = self._sent_headers
        if sent is not None:
            self._headers = handshake.unpack_headers(sent, self.request)
        return _headers_field.__get__(self)  # type: ignore[no-any-return]

    @_headers.setter
    def _headers(self, value: httputil.HTTPHeaders) -> None:
        self._sent_headers = None
        _headers_field.__set__(self, value)

    @_headers.deleter
    def _headers(self) -> None:
        self._sent_headers = None
        _headers_field.__delete__(self)

    def _pack_handshake(self) -> None:
        """Make what is kept of request and response as small as it can be, for an idle connection."""
        if not isinstance(self.request, httputil.HTTPServerRequest):
            return
        self.request._forget_texts()
        headers = self._headers
        if type(headers) is httputil.HTTPHeaders:
            del self._headers
            self._sent_headers = handshake.pack_headers(headers, self.request)

    # ---- settings ----

    @property
    def ping_interval(self) -> float | None:
        """Seconds between pings; 0 or None: none are sent. The setting ``websocket_ping_interval``."""
        return self.settings.get("websocket_ping_interval", None)

    @property
    def ping_timeout(self) -> float | None:
        """Seconds in which a ping must be answered, or the connection is closed; 0: no limit; None: the
        interval, which is also the most that counts. The setting ``websocket_ping_timeout``.
        """
        return self.settings.get("websocket_ping_timeout", None)

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest message; a client that sends a longer one is disconnected. The setting
        ``websocket_max_message_size``; 10 MB.
        """
        size: int = self.settings.get("websocket_max_message_size", _default_max_message_size)
        return size

    # ---- hooks ----

    def _open(self, *args: str, **kwargs: str) -> Awaitable[None] | None:
        """Called when the connection is open, with what the groups of the route matched. May be a coroutine;
        no message is delivered before it is done.
        """
        return None

    open: Callable[..., Awaitable[None] | None] = _open

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Called with each message: text is str, binary is bytes. To be overridden.

        May be a coroutine; the next message waits until it is done, and so does the client.
        """
        raise NotImplementedError

    def on_ping(self, data: bytes) -> None:
        """Called with the payload of each ping; it is answered already."""

    def on_pong(self, data: bytes) -> None:
        """Called with the payload of each pong."""

    def on_close(self) -> None:
        """Called once, when the connection has ended. ``close_code`` and ``close_reason`` are what the client
        gave, None where it gave none.
        """

    # ---- what it can do ----

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping. The setting ``websocket_ping_interval`` is for those that keep a connection alive.

        :param data: its payload, 125 bytes at most; default none.
        :raises WebSocketClosedError: the connection is closed, or closing.
        :raises ValueError: the payload is too long.
        """
        data = utf8(data)
        if self.ws_connection is None or self.ws_connection.is_closing():
            raise WebSocketClosedError()
        self.ws_connection.write_ping(data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the connection: the client is told, and has five seconds to answer.

        :param code: a status code (RFC 6455, section 7.4); default: none, or 1000 if there is a reason.
        :param reason: a text of 123 bytes at most; default: none.
        """
        if self.ws_connection:
            self.ws_connection.close(code, reason)
            self.ws_connection = None

    def set_nodelay(self, value: bool) -> None:
        """Set TCP_NODELAY, which is on from the beginning."""
        assert self.ws_connection is not None
        self.ws_connection.set_nodelay(value)

    # ---- the end ----

    def on_connection_close(self) -> None:
        """Called when the client has left, at whatever time."""
        if self._stream_request_body:
            super().on_connection_close()
        if self.ws_connection:
            self.ws_connection.on_connection_close()
            self.ws_connection = None
        if not self._on_close_called:
            self._on_close_called = True
            self.on_close()
            self._break_cycles()

    def on_ws_connection_close(self, close_code: int | None = None, close_reason: str | None = None) -> None:
        """Called when the connection has ended, with what the client gave."""
        self.close_code = close_code
        self.close_reason = close_reason
        self.on_connection_close()

    def _break_cycles(self) -> None:
        # finish() comes early here; what renders text is needed until the end.
        if self.get_status() != 101 or self._on_close_called:
            super()._break_cycles()


_own_get = WebSocketHandler.get
_own_execute = RequestHandler._execute


def code_awaits_end(handler: Any) -> bool:
    """Whether get() or _execute() of a handler is not ours, so that code of the application may follow it."""
    get, execute = getattr(handler, "get", None), getattr(handler, "_execute", None)
    ours = getattr(get, "__func__", None) is _own_get and getattr(execute, "__func__", None) is _own_execute
    return not ours
