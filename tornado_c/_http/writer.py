"""The writing half of a connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from tornado_c import _core, httputil, iostream
from tornado_c._http.framing import says_close, settle_transfer_encoding
from tornado_c._support.concurrent import future_add_done_callback, future_set_result_unless_cancelled
from tornado_c.httputil import parse_int

if TYPE_CHECKING:
    from tornado_c.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine


def _length(headers: HTTPHeaders) -> str | None:
    return headers["Content-Length"] if "Content-Length" in headers else None


class MessageWriter(httputil.HTTPConnection):
    """Writes one message, a request or an answer, framed as its head says."""

    stream: Any
    is_client: bool
    _read_finished: bool
    _disconnect_on_finish: bool
    _draining: bool
    _request_headers: HTTPHeaders | None

    def _init_writing(self) -> None:
        self._write_finished = False
        self._finish_future: asyncio.Future[None] = asyncio.Future()  # all was written, or never will be
        self._request_start_line: RequestStartLine | None = None
        self._response_start_line: ResponseStartLine | None = None
        self._chunking_output = False
        self._cut = False
        self._expected_content_remaining: int | None = None
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
            first_line = self._frame_request(cast(Any, start_line), headers)
        else:
            first_line = self._frame_answer(cast(Any, start_line), headers)
        length = _length(headers)
        if not self.is_client and self._is_bodiless(cast(Any, start_line)):
            self._expected_content_remaining = 0
        else:
            self._expected_content_remaining = None if length is None else parse_int(length)
        data = _core.format_head(first_line, headers)
        if self.stream.closed():
            return self._closed_future()
        return self._send(data + self._format_chunk(chunk) if chunk else data)

    def _frame_request(self, start_line: RequestStartLine, headers: HTTPHeaders) -> str:
        assert isinstance(start_line, httputil.RequestStartLine)
        self._request_start_line = start_line
        self._chunking_output = start_line.method in ("POST", "PUT", "PATCH") and _length(headers) is None
        if self._chunking_output:
            headers["Transfer-Encoding"] = "chunked"
        return f"{start_line[0]} {start_line[1]} HTTP/1.1"

    def _is_bodiless(self, start_line: ResponseStartLine) -> bool:
        """Whether an answer has no body, whatever its Content-Length."""
        assert self._request_start_line is not None
        return self._request_start_line.method == "HEAD" or start_line.code == 304

    def _frame_answer(self, start_line: ResponseStartLine, headers: HTTPHeaders) -> str:
        request = self._request_start_line
        assert isinstance(start_line, httputil.ResponseStartLine)
        assert request is not None and self._request_headers is not None
        self._response_start_line = start_line
        code = start_line.code
        forbidden = code == 204 or 100 <= code < 200
        has_body = not self._is_bodiless(start_line) and not forbidden
        is_http11 = request.version == "HTTP/1.1"
        if "Transfer-Encoding" in headers:
            settle_transfer_encoding(headers, is_http11, forbidden)
        length = _length(headers)
        self._chunking_output = is_http11 and has_body and length is None
        if self._draining and not 100 <= code < 200:
            self._disconnect_on_finish = True
        if "Connection" in headers and says_close(headers["Connection"]):
            if not 100 <= code < 200:  # there is more to come after those
                self._disconnect_on_finish = True
        elif is_http11:
            if self._disconnect_on_finish:
                headers["Connection"] = "close"
        elif has_body and length is None:
            self._disconnect_on_finish = True  # nothing else says where the body ends
        elif not self._draining and self._request_headers.get("Connection", "").lower() == "keep-alive":
            headers["Connection"] = "Keep-Alive"
        if self._chunking_output and "Transfer-Encoding" not in headers:
            headers["Transfer-Encoding"] = "chunked"
        return "HTTP/1.1 %d %s" % start_line[1:]  # noqa: UP031  (takes floats)

    def _format_chunk(self, chunk: bytes) -> bytes:
        if self._expected_content_remaining is not None:
            self._expected_content_remaining -= len(chunk)
            if self._expected_content_remaining < 0:
                self.stream.close()  # what was framed wrongly must not be taken for a message
                raise httputil.HTTPOutputError("Tried to write more data than Content-Length")
        if self._chunking_output and chunk:  # an empty chunk would be the last
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Write a piece of the body or, without ``write_headers`` before it, raw bytes of the message.

        :returns: a Future for flow control; it fails with ``StreamClosedError`` where the stream is closed.
        :raises HTTPOutputError: there is more than Content-Length said.
        """
        if self.stream.closed():
            return self._closed_future()
        return self._send(b"" if self._cut else self._format_chunk(chunk))

    def _cut_short(self) -> None:
        """Have a chunked message end without its last chunk, and the connection with it.

        For a response that failed half-way: it must not look complete. ``finish`` is still to be called.
        """
        if self._chunking_output:
            self._chunking_output = False
            self._cut = self._disconnect_on_finish = True

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
        missing = self._expected_content_remaining
        if missing and not self.stream.closed():
            self.stream.close()
            raise httputil.HTTPOutputError(f"Tried to write {missing} bytes less than Content-Length")
        if self._chunking_output and not self.stream.closed():
            self._pending_write = self.stream.write(b"0\r\n\r\n")
            self._pending_write.add_done_callback(self._on_write_complete)
        self._write_finished = True
        if not self._read_finished:
            self._disconnect_on_finish = True
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
