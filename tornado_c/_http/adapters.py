"""Between a server and what it serves: the client's address, plain callbacks, proxies in front."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tornado_c import _core, httputil, iostream
from tornado_c.httputil import HTTPServerRequest
from tornado_c.iostream import IOStream
from tornado_c.log import app_log
from tornado_c.netutil import is_valid_ip


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
        self.remote_ip = _core.peer_ip(address)
        self.protocol = protocol or ("https" if _is_tls(stream) else "http")
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


def _is_tls(stream: IOStream) -> bool:
    tls_class = getattr(iostream, "SSLIOStream", None)
    return tls_class is not None and isinstance(stream, tls_class)


class _CallableAdapter(httputil.HTTPMessageDelegate):
    """Collects a request, body and all, for a plain callback."""

    def __init__(
        self,
        request_callback: Callable[[HTTPServerRequest], Any],
        request_conn: httputil.HTTPConnection,
    ) -> None:
        self.connection = request_conn
        self.request_callback = request_callback
        self.request: HTTPServerRequest | None = None
        self.delegate = None
        self._chunks = bytearray()

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, httputil.RequestStartLine)
        self.request = HTTPServerRequest(connection=self.connection, start_line=start_line, headers=headers)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._chunks += chunk
        return None

    def finish(self) -> None:
        assert self.request is not None
        self.request.body = bytes(self._chunks)
        self.request._parse_body()
        result = self.request_callback(self.request)
        if asyncio.iscoroutine(result):
            watch_request_task(asyncio.ensure_future(result), self.connection)

    def on_connection_close(self) -> None:
        self._chunks.clear()


class _ProxyAdapter(httputil.HTTPMessageDelegate):
    """Takes a proxy's headers into account while a delegate has the request."""

    def __init__(self, delegate: httputil.HTTPMessageDelegate, request_conn: httputil.HTTPConnection) -> None:
        self.connection: Any = request_conn
        self.delegate = delegate

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        self.connection.context._apply_xheaders(headers)
        return self.delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self.delegate.data_received(chunk)

    def finish(self) -> None:
        self.delegate.finish()
        self._cleanup()

    def on_connection_close(self) -> None:
        self.delegate.on_connection_close()
        self._cleanup()

    def _cleanup(self) -> None:
        self.connection.context._unapply_xheaders()


def watch_request_task(task: asyncio.Future[Any], connection: Any) -> None:
    """Log what a coroutine that handles a request raises, and close its connection then."""

    def done(task: asyncio.Future[Any]) -> None:
        if task.cancelled():
            connection.close()
        elif (exc := task.exception()) is not None:
            app_log.error("Uncaught exception", exc_info=exc)
            connection.close()

    task.add_done_callback(done)
