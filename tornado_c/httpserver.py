"""An HTTP/1.1 server, with the interfaces of Tornado's httpserver of all generations."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, cast

from tornado_c import _core, httputil
from tornado_c._http.adapters import _CallableAdapter as _CallableAdapter
from tornado_c._http.adapters import _HTTPRequestContext as _HTTPRequestContext
from tornado_c._http.adapters import _ProxyAdapter as _ProxyAdapter
from tornado_c._http.adapters import watch_request_task
from tornado_c._http.gzip import _GzipMessageDelegate, decompress_request
from tornado_c._http.limits import DEFAULT_LINGER_SIZE, DEFAULT_LINGER_TIMEOUT
from tornado_c._support import generations
from tornado_c._support.generations import bind_arguments
from tornado_c.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado_c.httputil import HTTPServerRequest
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream
from tornado_c.log import app_log
from tornado_c.tcpserver import TCPServer
from tornado_c.util import Configurable

HTTPRequest = HTTPServerRequest

_RequestCallback = Callable[[HTTPServerRequest], Any] | httputil.HTTPServerConnectionDelegate

#: Seconds that a connection may be idle, or take over the head of a request, where the server does not say.
_DEFAULT_IDLE_TIMEOUT = 3600.0
_DEFAULT_MAX_HEADER_SIZE = 65536


def _whole(size: float | None) -> int:
    """A number of bytes; applications that compute theirs give a float. None: 0."""
    return int(min(size or 0, sys.maxsize))


def _make_config(
    request_callback: Any,
    no_keep_alive: bool = False,
    xheaders: bool = False,
    protocol: str | None = None,
    chunk_size: int | None = None,
    max_header_size: int | None = None,
    idle_connection_timeout: float | None = None,
    body_timeout: float | None = None,
    max_body_size: int | None = None,
    max_buffer_size: int | None = None,
    trusted_downstream: Iterable[str] | None = None,
    decompress_request: bool = False,
    linger_timeout: float = DEFAULT_LINGER_TIMEOUT,
    linger_size: int = DEFAULT_LINGER_SIZE,
) -> _core.HTTPConfig:
    if not callable(request_callback) and not isinstance(
        request_callback, httputil.HTTPServerConnectionDelegate
    ):
        raise TypeError(
            "request_callback must be callable with a request or an HTTPServerConnectionDelegate, "
            f"not {type(request_callback).__name__}"
        )
    config = _core.HTTPConfig()
    config.request_callback = request_callback
    config.no_keep_alive = bool(no_keep_alive)
    config.xheaders = bool(xheaders)
    config.protocol = protocol
    config.chunk_size = _whole(chunk_size)
    config.max_header_size = _whole(max_header_size) or _DEFAULT_MAX_HEADER_SIZE
    config.idle_timeout = idle_connection_timeout or _DEFAULT_IDLE_TIMEOUT
    config.body_timeout = body_timeout or 0.0
    config.max_body_size = _whole(max_body_size)
    config.max_buffer_size = _whole(max_buffer_size)
    config.trusted_downstream = trusted_downstream
    config.decompress = bool(decompress_request)
    config.each_chunk = generations.chunks_are_seen
    config.linger_timeout = linger_timeout
    config.linger_size = linger_size
    return config


def _parameters_of(config: _core.HTTPConfig) -> HTTP1ConnectionParameters:
    return HTTP1ConnectionParameters(
        no_keep_alive=config.no_keep_alive,
        chunk_size=config.chunk_size,
        max_header_size=config.max_header_size,
        header_timeout=config.idle_timeout,
        max_body_size=config.max_body_size or None,
        body_timeout=config.body_timeout or None,
        decompress=config.decompress,
        linger_timeout=config.linger_timeout,
        linger_size=config.linger_size,
    )


class HTTPConnection(_core.HTTPConnectionBase, httputil.HTTPConnection):
    """A client's connection, which is also what ``request.connection`` is.

    It reads requests from ``stream``, calls ``request_callback`` with each, and takes the responses: raw
    bytes through ``write`` and ``finish``, or ``write_headers``, ``write`` and ``finish``. It keeps the
    connection alive as HTTP/1.0 and 1.1 say.

    :param no_keep_alive: close after each response.
    :param xheaders: take remote_ip and protocol from X-Real-Ip, X-Forwarded-For, X-Scheme and
        X-Forwarded-Proto.
    """

    __slots__ = ()
    is_client = False

    def __init__(
        self,
        stream: IOStream,
        address: Any,
        request_callback: Callable[[HTTPServerRequest], Any],
        no_keep_alive: bool = False,
        xheaders: bool = False,
        protocol: str | None = None,
    ) -> None:
        config = _make_config(request_callback, no_keep_alive, xheaders, protocol)
        config.capture_context()
        self._attach(config, stream, address)

    @property
    def _max_body_size(self) -> int:
        return self._body_limit()

    @property
    def params(self) -> HTTP1ConnectionParameters:
        """The settings of the connection, in the form of Tornado's ``HTTP1ConnectionParameters``."""
        return _parameters_of(self._config)

    # The names under which Tornado 2.x-4.x had the stages of a request.

    def _on_headers(self, data: bytes) -> None:
        self._feed(data)

    def _on_request_body(self, data: bytes) -> None:
        self._feed(data)

    def _on_write_complete(self) -> None:
        """Nothing to do: the native connection continues by itself when its output has been sent."""

    def _on_connection_close(self) -> None:
        self.close()

    def _finish_request(self) -> None:
        if self._request is not None:
            self.finish()

    def _clear_request_state(self) -> None:
        self.set_close_callback(None)


class HTTPServer(TCPServer, Configurable, httputil.HTTPServerConnectionDelegate):
    """A non-blocking, single-threaded HTTP server.

    The third positional argument may be an IOLoop, as in Tornado 2 to 4; so may ``io_loop``.

    :param request_callback: called with each ``HTTPServerRequest``: a function or any callable object, such
        as an ``Application``. It answers with ``request.write(raw_bytes)`` and ``request.finish()``, or
        through ``request.connection``. Or an ``HTTPServerConnectionDelegate``, whose ``start_request`` is
        called.
    :param no_keep_alive: close after each response.
    :param xheaders: trust X-Real-Ip/X-Forwarded-For and X-Scheme/X-Forwarded-Proto of a proxy in front.
    :param ssl_options: serve TLS: an ``ssl.SSLContext``, or a dict of arguments for one.
    :param protocol: "http" or "https" where the stream does not say.
    :param decompress_request: decode bodies with ``Content-Encoding: gzip``.
    :param chunk_size: bytes read at a time, and the largest piece of a body that a delegate gets; 64 KB.
    :param max_header_size: bytes of a request's head; 64 KB. A longer one is answered with 431, or 414 where
        not even the request line ends within it (RFC 6585, section 5; RFC 9110, section 15.5.15).
    :param idle_connection_timeout: seconds for an idle connection together with the next head; 3600.
    :param body_timeout: seconds for a body; no limit.
    :param max_body_size: bytes of a body, decompressed where that is on; max_buffer_size.
    :param max_buffer_size: bytes that a connection may have in memory; 100 MB.
    :param trusted_downstream: addresses of proxies, passed over in X-Forwarded-For.
    :param linger_timeout: seconds for which a connection whose request was refused is still read, so that the
        response is not lost to a reset (RFC 9112, section 9.6); 2. 0: it is closed at once.
    :param linger_size: bytes that are read and dropped in that time; 16 MB.
    :param proxy_protocol: connections begin with a head of the PROXY protocol; this, ``trusted_proxies`` and
        ``proxy_protocol_timeout`` are those of ``TCPServer``. remote_ip is the client's then.
    :raises TypeError: request_callback is neither callable nor a delegate.
    """

    _config: _core.HTTPConfig | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        chosen = cls.configured_class() if cls is HTTPServer else cls
        server = object.__new__(chosen)
        if chosen.__init__ is not HTTPServer.__init__:
            # Tornado 6 calls initialize() before a subclass's own __init__, which need not call ours;
            # before 4.0 the arguments were the subclass's own and it called ours.
            try:
                inspect.signature(server.initialize).bind(*args, **kwargs)
            except TypeError:
                return server
            if args and (callable(args[0]) or isinstance(args[0], httputil.HTTPServerConnectionDelegate)):
                server.initialize(*args, **kwargs)
        return server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs or self._config is None:
            self.initialize(*args, **kwargs)

    def initialize(
        self,
        request_callback: _RequestCallback,
        no_keep_alive: bool = False,
        xheaders: Any = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Take the constructor's arguments, in the order of either generation."""
        order: tuple[str, ...] = _ORDER
        io_loop = kwargs.pop("io_loop", None)
        if xheaders is None or isinstance(xheaders, IOLoop):
            io_loop = xheaders if xheaders is not None else io_loop
            order, xheaders = ("xheaders", *order), kwargs.pop("xheaders", False)
        given = bind_arguments("HTTPServer.initialize", order, args, kwargs, _KEYWORDS, before=4, required=2)
        xheaders = given.pop("xheaders", xheaders)
        self._initialize(request_callback, no_keep_alive, xheaders, io_loop, **given)

    def _initialize(
        self,
        request_callback: Any,
        no_keep_alive: bool,
        xheaders: bool,
        io_loop: IOLoop | None,
        ssl_options: Any = None,
        proxy_protocol: bool = False,
        trusted_proxies: Iterable[str] | None = None,
        proxy_protocol_timeout: float = 5.0,
        **settings: Any,
    ) -> None:
        config = _make_config(request_callback, no_keep_alive, xheaders, **settings)
        self._config = config
        self._serving: set[HTTP1ServerConnection] = set()
        self.conn_params = _parameters_of(config)
        TCPServer.__init__(
            self,
            ssl_options=ssl_options,
            max_buffer_size=settings.get("max_buffer_size"),
            read_chunk_size=settings.get("chunk_size"),
            io_loop=io_loop,
            proxy_protocol=proxy_protocol,
            trusted_proxies=trusted_proxies,
            proxy_protocol_timeout=proxy_protocol_timeout,
        )

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        return HTTPServer

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        return HTTPServer

    # ---- settings: the native connections read them from the config ----

    @property
    def request_callback(self) -> _RequestCallback:
        """What is called with each request, or its delegate, as given to the constructor."""
        callback: _RequestCallback = self._settings().request_callback
        return callback

    @request_callback.setter
    def request_callback(self, callback: Any) -> None:
        self._settings().request_callback = callback

    @property
    def no_keep_alive(self) -> bool:
        """Whether connections are closed after each response."""
        return self._settings().no_keep_alive

    @no_keep_alive.setter
    def no_keep_alive(self, value: bool) -> None:
        self._settings().no_keep_alive = self.conn_params.no_keep_alive = value

    @property
    def xheaders(self) -> bool:
        """Whether a proxy's headers are trusted."""
        return self._settings().xheaders

    @xheaders.setter
    def xheaders(self, value: bool) -> None:
        self._settings().xheaders = value

    @property
    def protocol(self) -> str | None:
        """ "http" or "https" where the stream does not say; None: what the stream says."""
        return self._settings().protocol

    @protocol.setter
    def protocol(self, value: str | None) -> None:
        self._settings().protocol = value

    @property
    def trusted_downstream(self) -> list[str] | None:
        """Addresses of proxies, passed over in X-Forwarded-For."""
        trusted: Any = self._settings().trusted_downstream
        return cast("list[str] | None", trusted)

    @trusted_downstream.setter
    def trusted_downstream(self, value: Any) -> None:
        self._settings().trusted_downstream = value

    def _settings(self) -> _core.HTTPConfig:
        if self._config is None:
            raise RuntimeError("HTTPServer.__init__() was not called")
        return self._config

    # ---- connections ----

    @property
    def _connections(self) -> _Connections:
        return _Connections(self._serving, self._settings())

    def _start_accepting(self, sock: socket.socket) -> Callable[[], None]:
        config = self._settings()
        config.capture_context()
        if self.ssl_options is not None or not self._accepts_natively():
            return super()._start_accepting(sock)
        return _core.HTTPListener(self.io_loop._core, config, sock, self).stop

    def _accepts_natively(self) -> bool:
        """Whether C may accept connections. For each of them it looks whether it may go on with it."""
        return (
            not self.proxy_protocol
            and type(self)._handle_connection is TCPServer._handle_connection
            and not {"handle_stream", "start_request", "_handle_connection"} & self.__dict__.keys()
        )

    def _answers_natively(self) -> bool:
        """Whether nothing between a connection's bytes and the callback is overridden."""
        return (
            type(self).start_request is _start_request
            and type(self).on_close is _on_close
            and "start_request" not in self.__dict__
        )

    def _accepted(self, stream: IOStream, address: Any) -> None:
        """Take a connection that C accepted and has not gone on with."""
        self._streams.add(stream)
        try:
            handle: Any = self.handle_stream
            result = handle(stream, address)
            if result is not None:
                self._attend(result)
        except Exception:
            app_log.error("Error in connection callback", exc_info=True)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve HTTP on a stream."""
        try:
            self._serve(stream, address)
        except BaseException:
            stream.close()  # an unfinished TLS handshake would keep it, with no reader
            raise

    def _serve(self, stream: IOStream, address: Any) -> None:
        if self._answers_natively():
            connection = HTTPConnection.__new__(HTTPConnection)
            connection._attach(self._settings(), stream, address)
            return
        context = _HTTPRequestContext(stream, address, self.protocol, self.trusted_downstream)
        server_conn = HTTP1ServerConnection(stream, self.conn_params, context)
        self._connections.add(server_conn)
        server_conn.start_serving(self)

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        """Return what takes a request. If it is overridden or replaced, it is called for each one."""
        callback = self.request_callback
        delegate: httputil.HTTPMessageDelegate
        if isinstance(callback, httputil.HTTPServerConnectionDelegate):
            delegate = callback.start_request(server_conn, request_conn)
        else:
            delegate = _CallableAdapter(callback, request_conn)
        return _ProxyAdapter(delegate, request_conn) if self.xheaders else delegate

    def on_close(self, server_conn: object) -> None:
        """Called when a connection that was given to ``start_request`` has ended."""
        self._connections.discard(server_conn)

    async def drain(self, timeout: float = 30.0, idle_grace: float = 1.0) -> bool:
        """Stop gracefully.

        No connection is accepted any more; requests in hand, and those that still come over open connections,
        are answered with ``Connection: close``, after which the connection is closed (RFC 9112, section 9.6).
        A connection whose response has begun without that may bring one more request. An idle connection is
        closed when nothing came over it for a while: at once, a request that is under way would meet a reset.
        A WebSocket is closed with 1001, "going away" (RFC 6455, section 7.4.1). Other connections that were
        detached are waited for.

        :param timeout: seconds after which the connections that are left are closed as they are.
        :param idle_grace: seconds for which idle connections stay open.
        :returns: whether none was left at the end.
        """
        self._settings().draining = True
        self._idle_grace = idle_grace
        in_time = await super().drain(timeout)
        await self.close_all_connections()
        return in_time

    def _drain_connections(self) -> None:
        for connection in list(self._connections):
            connection._drain()
        for stream in self._held_streams():
            stream._leave()

    def _held_streams(self) -> list[IOStream]:
        return super()._held_streams() + self._settings().detached()

    def _is_serving(self) -> bool:
        return bool(self._connections) or super()._is_serving()

    async def close_all_connections(self) -> None:
        """Close all connections, also those with a request in hand, and wait until they are closed."""
        while connections := list(self._connections):
            for connection in connections:
                result = connection.close()
                if result is not None:
                    await result
            await asyncio.sleep(0)


_start_request = HTTPServer.start_request
_on_close = HTTPServer.on_close


def _signature(
    self: HTTPServer,
    request_callback: Any,
    no_keep_alive: bool = False,
    xheaders: bool = False,
    ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
    protocol: str | None = None,
    decompress_request: bool = False,
    chunk_size: int | None = None,
    max_header_size: int | None = None,
    idle_connection_timeout: float | None = None,
    body_timeout: float | None = None,
    max_body_size: int | None = None,
    max_buffer_size: int | None = None,
    trusted_downstream: list[str] | None = None,
    *,
    linger_timeout: float = DEFAULT_LINGER_TIMEOUT,
    linger_size: int = DEFAULT_LINGER_SIZE,
    proxy_protocol: bool = False,
    trusted_proxies: Iterable[str] | None = None,
    proxy_protocol_timeout: float = 5.0,
    io_loop: Any = None,
) -> None: ...


# What introspection shows in place of (*args, **kwargs).
HTTPServer.initialize.__signature__ = inspect.signature(_signature)  # type: ignore[attr-defined]

_PARAMETERS = inspect.signature(_signature).parameters.values()
#: The order of the arguments after xheaders.
_ORDER = tuple(p.name for p in _PARAMETERS if p.kind is p.POSITIONAL_OR_KEYWORD)[4:]
#: What else initialize() has not taken out by the time it looks.
_KEYWORDS = {p.name for p in _PARAMETERS} - {"self", "request_callback", "no_keep_alive", "io_loop"}


class _Connections(MutableSet[Any]):
    """The open connections of a server: native ones, and those of ``HTTP1ServerConnection``."""

    def __init__(self, serving: set[HTTP1ServerConnection], config: _core.HTTPConfig) -> None:
        self._serving = serving
        self._config = config

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain(list(self._serving), self._config.connections())

    def __len__(self) -> int:
        return len(self._serving) + len(self._config.connections())

    def __contains__(self, connection: object) -> bool:
        return connection in self._serving or connection in self._config.connections()

    def add(self, connection: Any) -> None:
        self._serving.add(connection)

    def discard(self, connection: Any) -> None:
        self._serving.discard(connection)


_core.register(
    "httpserver",
    faces={"HTTPConnection": HTTPConnection, "HTTPRequestContext": _HTTPRequestContext},
    upcalls={
        "decompress_request": decompress_request,
        "decompressing_delegate": _GzipMessageDelegate,
        "own_handle_stream": HTTPServer.handle_stream,
        "own_on_close": HTTPServer.on_close,
        "own_start_request": HTTPServer.start_request,
        "watch_request_task": watch_request_task,
    },
)
