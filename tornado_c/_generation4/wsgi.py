"""Applications of handlers under WSGI servers: without an event loop, from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any
from urllib.parse import quote
from wsgiref.util import is_hop_by_hop

from tornado_c import httputil
from tornado_c._http.adapters import watch_request_task
from tornado_c._swap.generation import Changes
from tornado_c._web.synchronous import FINISHED, Unfinished, synchronously
from tornado_c.web import Application

_StartResponse = Callable[..., Any]


def from_wsgi_str(s: str) -> bytes:
    """Return the bytes that a string of a WSGI environment stands for."""
    return s.encode("latin1")


class _Context:
    """What ``HTTPServerRequest`` wants to know of a connection."""

    def __init__(self, remote_ip: str, protocol: str) -> None:
        self.remote_ip = remote_ip
        self.protocol = protocol

    def __str__(self) -> str:
        return self.remote_ip


class _WSGIConnection(httputil.HTTPConnection):
    """Keeps a response for a WSGI server. Its Futures are done already: WSGI has no flow control."""

    def __init__(self, method: str, start_response: _StartResponse, context: _Context) -> None:
        self.context = context
        self.chunks: list[bytes] = []
        self.finished = False
        self.over = False  # the server has its answer, and what comes now comes too late
        self.error: Exception | None = None
        self._method = method
        self._start_response = start_response
        self._left: int | None = None  # of the Content-Length

    def set_close_callback(self, callback: Any) -> None:
        """WSGI does not tell whether the client is there."""

    def write_headers(
        self,
        start_line: httputil.ResponseStartLine | httputil.RequestStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
        callback: Callable[[], Any] | None = None,
    ) -> Any:
        assert isinstance(start_line, httputil.ResponseStartLine)
        if self.over:
            return FINISHED
        if self._method == "HEAD":
            self._left = 0
        elif "Content-Length" in headers:
            self._left = int(headers["Content-Length"])
        kept = [(name, value) for name, value in headers.get_all() if not is_hop_by_hop(name)]
        try:
            self._start_response(f"{start_line.code} {start_line.reason}", kept)
        except Exception as error:
            self._fail(error)
        return self.write(chunk or b"", callback)

    def write(self, chunk: bytes, callback: Callable[[], Any] | None = None) -> Any:
        if self.over:
            return FINISHED
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self._fail(httputil.HTTPOutputError("Tried to write more data than Content-Length"))
        if chunk:
            self.chunks.append(bytes(chunk))
        if callback is not None:
            callback()
        return FINISHED

    def finish(self) -> None:
        if self._left and not self.over:
            self._fail(
                httputil.HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
            )
        self.finished = True

    def _fail(self, error: Exception) -> None:
        """Raise an error, which the server gets to see whatever the handler makes of it: the first one."""
        self.error = self.error or error
        raise error


class WSGIAdapter:
    """A WSGI application of a :class:`tornado.web.Application`.

    ::

        from wsgiref.simple_server import make_server

        application = tornado.web.Application([("/", MainHandler)])
        make_server("", 8888, tornado.wsgi.WSGIAdapter(application)).serve_forever()

    Requests must be finished when the handler's method returns. A coroutine may be one as long as it waits
    for nothing.

    :param application: that, or any function that takes requests.
    """

    def __init__(self, application: Callable[[httputil.HTTPServerRequest], Any]) -> None:
        if isinstance(application, WSGIApplication):
            self.application: Callable[[httputil.HTTPServerRequest], Any] = application._serve
        else:
            self.application = application

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        """Serve a request.

        :raises Exception: it was not finished.
        """
        method = environ["REQUEST_METHOD"]
        context = _Context(environ.get("REMOTE_ADDR", ""), environ["wsgi.url_scheme"])
        connection = _WSGIConnection(method, start_response, context)
        try:
            request = _make_request(method, environ, connection)
        except (httputil.HTTPInputError, OverflowError, ValueError):
            start_response("400 Bad Request", [("Content-Length", "0"), ("Content-Type", "text/plain")])
            return [b""]
        try:
            with synchronously():
                self.application(request)
        except Unfinished:
            pass
        finally:
            connection.over = True
        if connection.error is not None:
            raise connection.error
        if not connection.finished:
            raise Exception("request did not finish synchronously")
        return connection.chunks


def _make_request(
    method: str, environ: dict[str, Any], connection: _WSGIConnection
) -> httputil.HTTPServerRequest:
    uri = "".join(quote(from_wsgi_str(environ.get(name, ""))) for name in ("SCRIPT_NAME", "PATH_INFO"))
    if environ.get("QUERY_STRING"):
        uri += "?" + environ["QUERY_STRING"]
    headers = httputil.HTTPHeaders()
    for name in ("Content-Type", "Content-Length"):
        value = environ.get(name.upper().replace("-", "_"))
        if value:
            headers.add(name, value)
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers.add(name[5:].replace("_", "-"), value)
    length = headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"Content-Length {length!r} is no number")
    body = _read_body(environ["wsgi.input"], int(length)) if int(length) else b""
    if not headers.get("Host"):
        headers["Host"] = environ["SERVER_NAME"]
    start_line = httputil.RequestStartLine(method, uri, "HTTP/1.1")
    return httputil.HTTPServerRequest(
        start_line=start_line, headers=headers, body=body, connection=connection
    )


def _read_body(source: Any, length: int) -> bytes:
    """Read a body from a WSGI server.

    :raises HTTPInputError: it is not as long as it was said to be: the client has left.
    """
    pieces = []
    while length > 0 and (piece := source.read(length)):
        pieces.append(bytes(piece))
        length -= len(piece)
    if length:
        raise httputil.HTTPInputError("the body is not as long as its Content-Length")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class WSGIApplication(Application):
    """A :class:`tornado.web.Application` that is called by a WSGI server."""

    def __call__(self, environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:  # type: ignore[override]
        return WSGIAdapter(self._serve)(environ, start_response)

    def _serve(self, request: httputil.HTTPServerRequest) -> Any:
        return super().__call__(request)


def _call_container(self: Any, request: httputil.HTTPServerRequest) -> None:
    """Serve a request with a WSGI application; the connection is closed where that raises."""
    task = asyncio.ensure_future(self.handle_request(request))
    watch_request_task(task, request.connection)


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.wsgi``."""
    for value in (WSGIAdapter, WSGIApplication, from_wsgi_str):
        changes.set(value, "__module__", module.__name__)
        changes.set(module, value.__name__, value)
    changes.set(module.WSGIContainer, "__call__", _call_container)
    changes.set(module, "HTTPRequest", httputil.HTTPServerRequest)
