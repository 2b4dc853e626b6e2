"""The writing half of a connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado_c import _core, httputil, iostream
from tornado_c.concurrent import future_add_done_callback, future_set_result_unless_cancelled

if TYPE_CHECKING:
    from tornado_c.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine


class MessageWriter(httputil.HTTPConnection):
    """Writes one message, a request or a response, framed as its head says."""

    stream: Any
    is_client: bool
    _read_finished: bool
    _draining: bool

    def _init_writing(self) -> None:
        self._frame = _core.HTTPFrame()
        self._finish_future: asyncio.Future[None] = asyncio.Future()  # all was written, or never will be
        self._request_start_line: RequestStartLine | None = None
        self._response_start_line: ResponseStartLine | None = None
        self._pending_write: asyncio.Future[None] | None = None
        self._write_future: asyncio.Future[None] | None = None

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Write the head, and with it the first piece of the body.

        ``Connection`` and ``Transfer-Encoding`` are added to ``headers`` as needed (RFC 9112, 7 and 9).

        :returns: a Future for flow control; it fails with ``StreamClosedError`` where the stream is closed.
        :raises ValueError: there is a CR, LF or NUL in a line, or Content-Length is no number.
        :raises HTTPOutputError: ``chunk`` is longer than Content-Length.
        """
        if self.is_client:
            assert isinstance(start_line, httputil.RequestStartLine)
            self._request_start_line = start_line
            data = self._frame.request(start_line.method, start_line.path, headers)
        else:
            assert isinstance(start_line, httputil.ResponseStartLine)
            assert self._request_start_line is not None
            self._response_start_line = start_line
            data = self._frame.response(start_line.code, start_line.reason, headers, self._draining)
        if self.stream.closed():
            return self._closed_future()
        return self._send(data + self._frame_piece(chunk) if chunk else data)

    def _frame_piece(self, chunk: bytes) -> bytes:
        try:
            return self._frame.piece(chunk)
        except httputil.HTTPOutputError:
            self.stream.close()  # what was framed wrongly must not be taken for a message
            raise

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Write a piece of the body or, without ``write_headers`` before it, raw bytes of the message.

        :returns: a Future for flow control; it fails with ``StreamClosedError`` where the stream is closed.
        :raises HTTPOutputError: there is more than Content-Length said.
        """
        if self.stream.closed():
            return self._closed_future()
        return self._send(self._frame_piece(chunk))

    def _cut_short(self) -> None:
        """Have a chunked message end without its last chunk, and the connection with it.

        For a response that failed half-way: it must not look complete. ``finish`` is still to be called.
        """
        self._frame.cut()

    def _closed_future(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.Future()
        future.set_exception(iostream.StreamClosedError())
        future.exception()  # it need not be looked at
        self._write_future = future
        return future

    def _send(self, data: bytes) -> asyncio.Future[None]:
        pending: asyncio.Future[None] = self.stream.write(data)
        self._pending_write = pending
        if pending.done() and pending.exception() is None:
            return pending
        future = self._write_future = asyncio.Future()
        future_add_done_callback(pending, self._on_write_complete)
        return future

    def _on_write_complete(self, pending: asyncio.Future[None]) -> None:
        error = None if pending.cancelled() else pending.exception()
        future, self._write_future = self._write_future, None
        if future is not None:
            future_set_result_unless_cancelled(future, None)
        if error is not None and not isinstance(error, iostream.StreamClosedError):
            raise error

    def finish(self) -> None:
        """End the message.

        A server whose request was not read to its end closes the connection afterwards.

        :raises HTTPOutputError: less was written than Content-Length said.
        """
        try:
            last = self._frame.finish(self.stream.closed())
        except httputil.HTTPOutputError:
            self.stream.close()  # what was framed wrongly must not be taken for a message
            raise
        if last:
            self._pending_write = self.stream.write(last)
            self._pending_write.add_done_callback(self._on_write_complete)
        if not self._read_finished:
            self._frame.closes = True
        if self._pending_write is None:
            self._finish_request(None)
        else:
            future_add_done_callback(self._pending_write, self._finish_request)

    def _finish_request(self, future: asyncio.Future[None] | None) -> None:
        """Everything was sent."""
        raise NotImplementedError()


# What errors in calls name is the class that applications know.
for _function in (MessageWriter.write_headers, MessageWriter.write, MessageWriter.finish):
    _function.__qualname__ = f"HTTP1Connection.{_function.__name__}"
del _function
