"""The interfaces between connections and applications, and the start lines that they exchange."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, NamedTuple

from tornado_c._http.headers import HTTPHeaders

if TYPE_CHECKING:
    from asyncio import Future


class RequestStartLine(NamedTuple):
    method: str
    path: str
    version: str


class ResponseStartLine(NamedTuple):
    version: str
    code: int
    reason: str


class HTTPServerConnectionDelegate:
    """What ``HTTPServer`` calls for each connection and each request on it."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Called when a request begins; returns the delegate that will receive it.

        ``server_conn`` stands for the connection from the client, ``request_conn`` is where the response
        of this one request is to be written.
        """
        raise NotImplementedError()

    def on_close(self, server_conn: object) -> None:
        """Called when the connection that ``start_request`` was given has been closed."""


class HTTPMessageDelegate:
    """What receives one request or one response, piece by piece."""

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Called with the head. If it returns an awaitable, the body is not read before that is done."""
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Called with each piece of the body. An awaitable result holds back the next piece."""
        return None

    def finish(self) -> None:
        """Called after the last piece."""

    def on_connection_close(self) -> None:
        """Called in place of ``finish`` if the connection closes before the end of the message."""


class HTTPConnection:
    """Where an application writes a message: first the head, then the body, then ``finish``."""

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        """Write the head, and with it the first chunk of the body if there is one.

        The version in ``start_line`` is not used. The Future returned is for flow control.
        """
        raise NotImplementedError()

    def write(self, chunk: bytes) -> Future[None]:
        """Write a piece of the body. The Future returned is for flow control."""
        raise NotImplementedError()

    def finish(self) -> None:
        """Say that the body is complete."""
        raise NotImplementedError()
