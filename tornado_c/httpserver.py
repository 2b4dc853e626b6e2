"""An HTTP/1.1 server, with the interfaces of Tornado's httpserver of all generations."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Iterable
from typing import Any

from . import _core, httputil
from ._support import Configurable
from .httputil import HTTPServerRequest
from .ioloop import IOLoop
from .iostream import IOStream
from .log import app_log
from .netutil import is_valid_ip
from .tcpserver import TCPServer

HTTPRequest = HTTPServerRequest

#: Seconds that a connection may be idle, or take over the head of a request, where the server does not say.
_DEFAULT_IDLE_TIMEOUT = 3600.0
_DEFAULT_MAX_HEADER_SIZE = 65536


def _set_callback(config: _core.HTTPConfig, callback: Callable[[HTTPServerRequest], Any]) -> None:
    config.request_callback = callback
    # An Application has an error page for a malformed form; for other callbacks the connection refuses it.
    config.callback_parses_forms = getattr(callback, "_parses_forms", False)


def _make_config(
    request_callback: Callable[[HTTPServerRequest], Any],
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
) -> _core.HTTPConfig:
    if not callable(request_callback):
        raise TypeError(
            f"request_callback must be callable with a request, not {type(request_callback).__name__}; "
            "delegates (HTTPServerConnectionDelegate) are not supported yet"
        )
    config = _core.HTTPConfig()
    _set_callback(config, request_callback)
    config.no_keep_alive = bool(no_keep_alive)
    config.xheaders = bool(xheaders)
    config.protocol = protocol
    config.chunk_size = chunk_size or 0
    config.max_header_size = max_header_size or _DEFAULT_MAX_HEADER_SIZE
    config.idle_timeout = idle_connection_timeout or _DEFAULT_IDLE_TIMEOUT
    config.body_timeout = body_timeout or 0.0
    config.max_body_size = max_body_size or 0
    config.max_buffer_size = max_buffer_size or 0
    config.trusted_downstream = trusted_downstream
    return config


class HTTPConnection(_core.HTTPConnectionBase, httputil.HTTPConnection):
    """A client's connection, which is also what `request.connection` is.

    It reads requests from `stream`, calls request_callback with each, and takes the answers: raw bytes
    through `write` and `finish`, or `write_headers`, `write` and `finish`. It keeps the connection alive as
    HTTP/1.0 and 1.1 say, unless no_keep_alive. xheaders: take remote_ip and protocol from X-Real-Ip,
    X-Forwarded-For, X-Scheme and X-Forwarded-Proto.
    """

    __slots__ = ()

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

    # The names under which Tornado 2.x-4.x had the stages of a request.

    def _on_headers(self, data: bytes) -> None:
        self._feed(data)

    def _on_request_body(self, data: bytes) -> None:
        self._feed(data)

    def _on_write_complete(self) -> None:
        """The native connection goes on by itself when its output has been sent."""

    def _on_connection_close(self) -> None:
        self.close()

    def _finish_request(self) -> None:
        if self._request is not None:
            self.finish()

    def _clear_request_state(self) -> None:
        self.set_close_callback(None)


class HTTPServer(TCPServer, Configurable, httputil.HTTPServerConnectionDelegate):
    """A non-blocking, single-threaded HTTP server.

    request_callback: called with each `HTTPServerRequest`: a function or any callable object, such as an
    `Application`. It answers with `request.write(raw_bytes)` and `request.finish()`, or through
    `request.connection`.

    no_keep_alive: close after each answer. xheaders: trust X-Real-Ip/X-Forwarded-For and
    X-Scheme/X-Forwarded-Proto of a proxy in front, whose addresses in a list of several are named by
    trusted_downstream. protocol: "http" or "https" where the stream does not say. chunk_size: bytes read at
    a time (64 KB). max_header_size: bytes (64 KB). idle_connection_timeout: seconds for an idle connection
    and for a head (3600). body_timeout: seconds for a body (no limit). max_body_size: bytes
    (max_buffer_size). max_buffer_size: bytes (100 MB). proxy_protocol, trusted_proxies and
    proxy_protocol_timeout: see `TCPServer`; remote_ip is the client's then.

    The third positional argument may be an IOLoop, as in 2.x-4.x; so may io_loop=.
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
            if args and callable(args[0]):
                server.initialize(*args, **kwargs)
        return server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs or self._config is None:
            self.initialize(*args, **kwargs)

    def initialize(
        self,
        request_callback: Callable[[HTTPServerRequest], Any],
        no_keep_alive: bool = False,
        xheaders: Any = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Take the constructor's arguments, in the order of either generation."""
        names: tuple[str, ...] = (
            "ssl_options",
            "protocol",
            "decompress_request",
            "chunk_size",
            "max_header_size",
        )
        names += (
            "idle_connection_timeout",
            "body_timeout",
            "max_body_size",
            "max_buffer_size",
            "trusted_downstream",
        )
        io_loop = kwargs.pop("io_loop", None)
        if xheaders is None or isinstance(xheaders, IOLoop):
            io_loop = xheaders if xheaders is not None else io_loop
            names, xheaders = ("xheaders", *names), kwargs.pop("xheaders", False)
        if len(args) > len(names):
            raise TypeError(f"HTTPServer takes at most {len(names) + 3} arguments ({len(args) + 3} given)")
        for name, value in zip(names, args, strict=False):
            if name in kwargs:
                raise TypeError(f"HTTPServer got multiple values for argument {name!r}")
            kwargs[name] = value
        xheaders = kwargs.pop("xheaders", xheaders)
        self._initialize(request_callback, no_keep_alive, xheaders, io_loop, **kwargs)

    def _initialize(
        self,
        request_callback: Callable[[HTTPServerRequest], Any],
        no_keep_alive: bool,
        xheaders: bool,
        io_loop: IOLoop | None,
        ssl_options: Any = None,
        protocol: str | None = None,
        decompress_request: bool = False,
        proxy_protocol: bool = False,
        trusted_proxies: Iterable[str] | None = None,
        proxy_protocol_timeout: float = 5.0,
        **limits: Any,
    ) -> None:
        if decompress_request:
            raise NotImplementedError(
                "decompress_request is not supported yet; decode the body in the application"
            )
        if ssl_options is not None:
            raise NotImplementedError(
                "TLS is not supported yet; put a proxy such as nginx in front of the server"
            )
        max_buffer_size, chunk_size = limits.get("max_buffer_size"), limits.get("chunk_size")
        self._config = _make_config(request_callback, no_keep_alive, xheaders, protocol, **limits)
        TCPServer.__init__(
            self,
            max_buffer_size=max_buffer_size,
            read_chunk_size=chunk_size,
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
    def request_callback(self) -> Callable[[HTTPServerRequest], Any]:
        return self._settings().request_callback

    @request_callback.setter
    def request_callback(self, callback: Callable[[HTTPServerRequest], Any]) -> None:
        _set_callback(self._settings(), callback)

    @property
    def no_keep_alive(self) -> bool:
        return self._settings().no_keep_alive

    @no_keep_alive.setter
    def no_keep_alive(self, value: bool) -> None:
        self._settings().no_keep_alive = value

    @property
    def xheaders(self) -> bool:
        return self._settings().xheaders

    @xheaders.setter
    def xheaders(self, value: bool) -> None:
        self._settings().xheaders = value

    @property
    def protocol(self) -> str | None:
        return self._settings().protocol

    @protocol.setter
    def protocol(self, value: str | None) -> None:
        self._settings().protocol = value

    @property
    def trusted_downstream(self) -> Any:
        return self._settings().trusted_downstream

    def _settings(self) -> _core.HTTPConfig:
        if self._config is None:
            raise RuntimeError("HTTPServer.__init__() was not called")
        return self._config

    # ---- connections ----

    @property
    def _connections(self) -> set[HTTPConnection]:
        return set(self._settings().connections())

    def _start_accepting(self, sock: socket.socket) -> Callable[[], None]:
        config = self._settings()
        config.capture_context()
        if not self._accepts_natively():
            return super()._start_accepting(sock)
        return _core.HTTPListener(self.io_loop._core, config, sock, self).stop

    def _accepts_natively(self) -> bool:
        """Whether nothing between accept and the callback is overridden, so that C may do all of it."""
        cls = type(self)
        return (
            not self.proxy_protocol
            and cls.handle_stream is HTTPServer.handle_stream
            and cls._handle_connection is TCPServer._handle_connection
            and not {"handle_stream", "_handle_connection"} & self.__dict__.keys()
        )

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve HTTP on a stream."""
        connection = HTTPConnection.__new__(HTTPConnection)
        connection._attach(self._settings(), stream, address)

    async def close_all_connections(self) -> None:
        """Close all connections, also those with a request in hand, and wait until they are closed."""
        while connections := self._settings().connections():
            for connection in connections:
                connection.close()
            await asyncio.sleep(0)


class _HTTPRequestContext:
    """What is known of a connection's client: address, remote_ip and protocol."""

    def __init__(
        self,
        stream: IOStream,
        address: Any,
        protocol: str | None,
        trusted_downstream: Iterable[str] | None = None,
    ) -> None:
        self.address = address
        sock = stream.socket
        self.address_family = sock.family if sock is not None else None
        # Not the socket's family: behind a Unix socket a proxy may have named a client by its IP address.
        is_ip = isinstance(address, tuple) and bool(address) and isinstance(address[0], str)
        self.remote_ip = address[0] if is_ip else "0.0.0.0"
        self.protocol = protocol or "http"
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol
        self.trusted_downstream = set(trusted_downstream or ())

    def __str__(self) -> str:
        if self.address_family in (socket.AF_INET, socket.AF_INET6):
            return str(self.remote_ip)
        if isinstance(self.address, bytes):
            return self.address.decode()
        return str(self.address)

    def _apply_xheaders(self, headers: httputil.HTTPHeaders) -> None:
        """Take remote_ip and protocol from a proxy's headers, as far as they are valid."""
        ip = self.remote_ip
        for candidate in reversed(headers.get("X-Forwarded-For", ip).split(",")):
            ip = candidate.strip()
            if ip not in self.trusted_downstream:
                break
        ip = headers.get("X-Real-Ip", ip)
        if is_valid_ip(ip):
            self.remote_ip = ip
        # Of several protocols the last is the one that the nearest proxy added.
        protocol = headers.get("X-Scheme", headers.get("X-Forwarded-Proto", self.protocol))
        protocol = protocol.rsplit(",", 1)[-1].strip() if protocol else protocol
        if protocol in ("http", "https"):
            self.protocol = protocol

    def _unapply_xheaders(self) -> None:
        """Forget them: the next request on the connection has its own."""
        self.remote_ip = self._orig_remote_ip
        self.protocol = self._orig_protocol


def _watch_request_task(task: asyncio.Task[Any], connection: HTTPConnection) -> None:
    """Log what a coroutine that handles a request raises, and close its connection then."""

    def done(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            connection.close()
        elif (exc := task.exception()) is not None:
            app_log.error("Uncaught exception", exc_info=exc)
            connection.close()

    task.add_done_callback(done)


_core.register("HTTPConnection", HTTPConnection)
_core.register("HTTPRequestContext", _HTTPRequestContext)
_core.register("watch_request_task", _watch_request_task)
