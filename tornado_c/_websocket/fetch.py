"""One HTTP request of a client, and its response: the handshake, over our own ``TCPClient`` and
``HTTP1Connection``.

It takes what ``tornado.httpclient.HTTPRequest`` has, and reports as Tornado's ``simple_httpclient`` does:
with Tornado's own exceptions and responses where that is installed, with those below otherwise.
"""

from __future__ import annotations

import base64
import functools
import io
import re
import socket
import ssl
import sys
import time
import urllib.parse
from collections.abc import Callable
from types import TracebackType
from typing import Any

import tornado_c
from tornado_c import httputil
from tornado_c._support.optional import if_tornado
from tornado_c.escape import utf8
from tornado_c.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamClosedError
from tornado_c.netutil import _client_ssl_defaults, is_valid_ip
from tornado_c.tcpclient import TCPClient

_PORTS = {"http": 80, "https": 443}
_NOT_SUPPORTED = ("proxy_host", "proxy_port", "proxy_username", "proxy_password", "proxy_auth_mode")

# ---- requests ----

_DEFAULTS = {
    "allow_nonstandard_methods": False,
    "connect_timeout": 20.0,
    "decompress_response": True,
    "expect_100_continue": False,
    "method": "GET",
    "proxy_password": "",
    "request_timeout": 20.0,
    "validate_cert": True,
}


class Request:
    """A request for a URL with all other attributes left at their defaults.

    :param url: with its scheme.
    :param connect_timeout: seconds; 0: no limit; None: 20.
    """

    def __init__(self, url: str, connect_timeout: float | None = None) -> None:
        self.url = url
        self.connect_timeout = connect_timeout
        self.headers = httputil.HTTPHeaders()
        self.start_time = time.time()


class RequestView:
    """A request with the defaults of attributes that it has not, or has as None. What is assigned here stays
    here: the request is the application's, who may use it again.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.headers = httputil.HTTPHeaders(getattr(request, "headers", None) or {})

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.request, name, None)
        return _DEFAULTS.get(name) if value is None else value


# ---- responses, without Tornado ----


class HTTPClientError(Exception):
    """A request that failed: no response, or one that says so.

    :param code: the status; 599 where there was none.
    :param message: the reason phrase, or what happened.
    :param response: the response, or None.
    """

    def __init__(self, code: int, message: str | None = None, response: Any = None) -> None:
        self.code = code
        self.message = message or httputil.responses.get(code, "Unknown")
        self.response = response
        super().__init__(code, message, response)

    def __str__(self) -> str:
        return f"HTTP {self.code}: {self.message}"

    __repr__ = __str__


class HTTPTimeoutError(HTTPClientError):
    """A time limit was reached."""

    def __init__(self, message: str) -> None:
        super().__init__(599, message)

    def __str__(self) -> str:
        return self.message


class HTTPStreamClosedError(HTTPTimeoutError):
    """The server has closed the connection."""


class HTTPResponse:
    """A response, or what there is in its place."""

    def __init__(
        self,
        request: Any,
        code: int,
        headers: httputil.HTTPHeaders | None = None,
        buffer: io.BytesIO | None = None,
        effective_url: str | None = None,
        error: BaseException | None = None,
        request_time: float | None = None,
        reason: str | None = None,
        start_time: float | None = None,
    ) -> None:
        self.request = request
        self.code = code
        self.reason = reason or httputil.responses.get(code, "Unknown")
        self.headers = httputil.HTTPHeaders() if headers is None else headers
        self.buffer = buffer
        self.effective_url = effective_url or request.url
        if error is None and not 200 <= code < 300:
            error = HTTPClientError(code, self.reason, self)
        self.error = error
        self.request_time = request_time
        self.start_time = start_time
        self.time_info: dict[str, float] = {}

    @property
    def body(self) -> bytes:
        return b"" if self.buffer is None else self.buffer.getvalue()

    def rethrow(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


def _tornados(name: str) -> Any:
    """Tornado's class of that name, or ours."""
    modules = (if_tornado("tornado.httpclient"), if_tornado("tornado.simple_httpclient"))
    for module in modules:
        if module is not None and hasattr(module, name):
            return getattr(module, name)
    return globals()[name]


# ---- the exchange ----


class HTTPExchange(httputil.HTTPMessageDelegate):
    """Sends a request and receives its response; begins when it is made, with the loop that runs.

    :param client: None; an attribute as in Tornado, like the others.
    :param request: has the attributes of ``HTTPRequest``. Its headers are completed.
    :param release_callback: called without arguments when it is over.
    :param final_callback: called with the response, in a turn of its own; with an attribute ``error`` if it
        failed.
    :param max_buffer_size: bytes that the stream buffers at most.
    :param tcp_client: connects.
    :param max_header_size: bytes of the response's head.
    :param max_body_size: bytes of its body.
    """

    _SUPPORTED_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}

    stream: IOStream
    connection: HTTP1Connection
    parsed: urllib.parse.SplitResult
    parsed_hostname: str
    reason: str

    def __init__(
        self,
        client: Any,
        request: Any,
        release_callback: Callable[[], None] | None,
        final_callback: Callable[[Any], None] | None,
        max_buffer_size: int,
        tcp_client: TCPClient,
        max_header_size: int,
        max_body_size: int,
    ) -> None:
        self.io_loop: Any = IOLoop.current()
        self.start_time: float = self.io_loop.time()
        self.start_wall_time = time.time()
        self.client = client
        self.request = request
        self.release_callback = release_callback
        self.final_callback = final_callback
        self.max_buffer_size = max_buffer_size
        self.tcp_client = tcp_client
        self.max_header_size = max_header_size
        self.max_body_size = max_body_size
        self.code: int | None = None
        self.headers: httputil.HTTPHeaders | None = None
        self.chunks = bytearray()
        self._timeout: object = None
        self.io_loop.add_future(self.io_loop.asyncio_loop.create_task(self.run()), lambda f: f.result())

    async def run(self) -> None:
        """Connect, send the request, and receive the response as far as it is not another protocol's."""
        try:
            stream = await self._connect()
            if self.final_callback is None:
                stream.close()  # too late
                return
            self.stream = stream
            stream.set_close_callback(self.on_connection_close)
            self._start_clock()
            self._complete_headers()
            self.connection = self._create_connection(stream)
            query = f"?{self.parsed.query}" if self.parsed.query else ""
            target = (self.parsed.path or "/") + query
            start_line = httputil.RequestStartLine(self.request.method, target, "")
            self.connection.write_headers(start_line, self.request.headers)
            if self.request.expect_100_continue:
                await self.connection.read_response(self)
            else:
                await self._write_body(True)
        except Exception:
            if not self._handle_exception(*sys.exc_info()):
                raise

    # ---- connecting ----

    async def _connect(self) -> IOStream:
        request = self.request
        self.parsed = parsed = urllib.parse.urlsplit(request.url)
        if parsed.scheme not in _PORTS:
            raise ValueError(f"Unsupported url scheme: {request.url}")
        host, port = httputil.split_host_and_port(parsed.netloc.rpartition("@")[2])
        if re.fullmatch(r"\[.*\]", host):
            host = host[1:-1]
        self.parsed_hostname = host
        source = request.network_interface or None
        if source is not None and not is_valid_ip(source):
            raise ValueError(f"Unrecognized IPv4 or IPv6 address for network_interface, got {source!r}")
        limits = [limit for limit in (request.connect_timeout, request.request_timeout) if limit]
        try:
            return await self.tcp_client.connect(
                host,
                _PORTS[parsed.scheme] if port is None else port,
                af=socket.AF_INET if request.allow_ipv6 is False else socket.AF_UNSPEC,
                ssl_options=self._get_ssl_options(parsed.scheme),
                max_buffer_size=self.max_buffer_size,
                source_ip=source,
                timeout=self.start_time + min(limits) - self.io_loop.time() if limits else None,
            )
        except TimeoutError as e:
            raise _tornados("HTTPTimeoutError")(str(e) or "Timeout while connecting") from None

    def _get_ssl_options(self, scheme: str) -> dict[str, Any] | ssl.SSLContext | None:
        request = self.request
        if scheme != "https":
            return None
        if request.ssl_options is not None:
            options: dict[str, Any] | ssl.SSLContext = request.ssl_options
            return options
        own = (request.ca_certs, request.client_cert, request.client_key)
        if request.validate_cert and own == (None, None, None):
            return _client_ssl_defaults()
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=request.ca_certs)
        if not request.validate_cert:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if request.client_cert is not None:
            context.load_cert_chain(request.client_cert, request.client_key)
        context.options |= getattr(ssl, "OP_NO_COMPRESSION", 0)
        return context

    def _start_clock(self) -> None:
        limit = self.request.request_timeout
        if limit:
            expired = functools.partial(self._on_timeout, "during request")
            self._timeout = self.io_loop.add_timeout(self.start_time + limit, expired)

    def _on_timeout(self, info: str | None = None) -> None:
        self._timeout = None
        if self.final_callback is not None:
            error = _tornados("HTTPTimeoutError")(f"Timeout {info}" if info else "Timeout")
            self._handle_exception(type(error), error, None)

    def _remove_timeout(self) -> None:
        if self._timeout is not None:
            self.io_loop.remove_timeout(self._timeout)
            self._timeout = None

    # ---- the request ----

    def _complete_headers(self) -> None:
        """Check the request, and add the headers that it needs."""
        request, headers = self.request, self.request.headers
        if request.method not in self._SUPPORTED_METHODS and not request.allow_nonstandard_methods:
            raise KeyError(f"unknown method {request.method}")
        for name in _NOT_SUPPORTED:
            if getattr(request, name, None):
                raise NotImplementedError(f"{name} not supported")
        headers.setdefault("Connection", "close")
        headers.setdefault("Host", self.parsed.netloc.rpartition("@")[2])
        self._authorize()
        if request.user_agent:
            headers["User-Agent"] = request.user_agent
        else:
            headers.setdefault("User-Agent", f"Tornado/{tornado_c.version}")
        if not request.allow_nonstandard_methods:
            wanted = request.method in ("POST", "PATCH", "PUT")
            if wanted != (request.body is not None or request.body_producer is not None):
                raise ValueError(
                    f"Body must {'not ' if wanted else ''}be None for method {request.method} (unless "
                    "allow_nonstandard_methods is true)"
                )
        if request.expect_100_continue:
            headers["Expect"] = "100-continue"
        if request.body is not None:
            headers["Content-Length"] = str(len(utf8(request.body)))
        if request.method == "POST":
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if request.decompress_response:
            headers["Accept-Encoding"] = "gzip"

    def _authorize(self) -> None:
        """Add the user's name and password: those in the URL, or the request's."""
        request = self.request
        username, password = self.parsed.username, self.parsed.password
        if username is None:
            username, password = request.auth_username, request.auth_password
        if username is None:
            return
        if request.auth_mode not in (None, "basic"):
            raise ValueError(f"unsupported auth_mode {request.auth_mode}")
        both = httputil.encode_username_password(username, password or "")
        request.headers["Authorization"] = "Basic " + base64.b64encode(both).decode("ascii")

    def _create_connection(self, stream: IOStream) -> HTTP1Connection:
        stream.set_nodelay(True)
        params = HTTP1ConnectionParameters(
            no_keep_alive=True,
            max_header_size=self.max_header_size,
            max_body_size=self.max_body_size,
            decompress=bool(self.request.decompress_response),
        )
        return HTTP1Connection(stream, True, params)

    async def _write_body(self, start_read: bool) -> None:
        if self.request.body is not None:
            self.connection.write(utf8(self.request.body))
        elif self.request.body_producer is not None:
            producing = self.request.body_producer(self.connection.write)
            if producing is not None:
                await producing
        self.connection.finish()
        if start_read:
            await self.connection.read_response(self)

    # ---- the response ----

    async def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> None:
        """Called with the head of the response."""
        if self.request.expect_100_continue and start_line.code == 100:
            await self._write_body(False)
            return
        self.code, self.reason, self.headers = start_line.code, start_line.reason, headers
        callback = self.request.header_callback
        if callback is not None:
            callback("{} {} {}\r\n".format(*start_line))
            for name, value in headers.get_all():
                callback(f"{name}: {value}\r\n")
            callback("\r\n")

    def data_received(self, chunk: bytes) -> Any:
        """Called with each piece of its body."""
        if self.request.streaming_callback is not None:
            return self.request.streaming_callback(chunk)
        self.chunks.extend(chunk)
        return None

    def finish(self) -> None:
        """Called at the end of its body."""
        assert self.code is not None
        self._remove_timeout()
        request = self.request
        response = _tornados("HTTPResponse")(
            getattr(request, "request", request),
            self.code,
            reason=self.reason,
            headers=self.headers,
            request_time=self.io_loop.time() - self.start_time,
            start_time=self.start_wall_time,
            buffer=io.BytesIO(self.chunks),
            effective_url=request.url,
        )
        self._run_callback(response)
        self._on_end_request()

    # ---- the end ----

    def _on_end_request(self) -> None:
        self.stream.close()

    def on_connection_close(self) -> None:
        """Called when the server has closed the connection."""
        if self.final_callback is not None:
            error = self.stream.error or _tornados("HTTPStreamClosedError")("Connection closed")
            self._handle_exception(type(error), error, None)

    def _release(self) -> None:
        release, self.release_callback = self.release_callback, None
        if release is not None:
            release()

    def _run_callback(self, response: Any) -> None:
        self._release()
        callback, self.final_callback = self.final_callback, None
        if callback is not None:
            self.io_loop.add_callback(callback, response)

    def _handle_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> bool:
        """Report a failure. False: it is none of the request's, and is to be raised again."""
        if self.final_callback is None:
            return isinstance(value, StreamClosedError)
        self._remove_timeout()
        if isinstance(value, StreamClosedError):
            value = value.real_error or _tornados("HTTPStreamClosedError")("Stream closed")
        request = self.request
        response = _tornados("HTTPResponse")(
            getattr(request, "request", request),
            599,
            error=value,
            request_time=self.io_loop.time() - self.start_time,
            start_time=self.start_wall_time,
        )
        self._run_callback(response)
        if hasattr(self, "stream"):
            self.stream.close()
        return True
