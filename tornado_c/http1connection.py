"""HTTP/1.x over a stream: one message exchange, in either role, and the loop of a server's connection.

``HTTPServer`` has a faster way for callbacks and applications of ours, all in C; this module serves every
other ``HTTPServerConnectionDelegate``, and clients. Heads and chunks are parsed in C here too
(``_core.HTTPReader``).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from tornado_c import _core, httputil, iostream
from tornado_c._http.errors import _ExceptionLoggingContext as _ExceptionLoggingContext
from tornado_c._http.errors import _QuietException as _QuietException
from tornado_c._http.errors import logging_errors
from tornado_c._http.gzip import _GzipMessageDelegate
from tornado_c._http.limits import DEFAULT_LINGER_SIZE, DEFAULT_LINGER_TIMEOUT, within
from tornado_c._http.writer import MessageWriter
from tornado_c._support import generations, stack
from tornado_c._support.regex import regex
from tornado_c.concurrent import future_set_result_unless_cancelled
from tornado_c.httputil import is_transfer_encoding_chunked as is_transfer_encoding_chunked
from tornado_c.httputil import parse_hex_int as parse_hex_int
from tornado_c.httputil import parse_int as parse_int
from tornado_c.log import gen_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado_c.httputil import HTTPHeaders, HTTPMessageDelegate

CR_OR_LF_RE = re.compile(b"\r|\n")
_HEAD_END = regex(b"\r?\n\r?\n")

#: How many informational responses (1xx) a client accepts before the final one.
_MAX_1XX_RESPONSES = 10

# A body that is at hand is read without the loop having a turn, but only so many bytes of it, where a piece
# counts for something in itself, and only for so many seconds.
_YIELD_THRESHOLD = 256 * 1024
_PIECE_YIELD_COST = 16 * 1024
_YIELD_SECONDS = 0.001

_CHUNKED, _UNTIL_CLOSE = -1, -2  # in place of a length, for HTTPReader.start_body


class HTTP1ConnectionParameters:
    """Settings of an :class:`HTTP1Connection` and an :class:`HTTP1ServerConnection`, all attributes.

    :param no_keep_alive: close after one request.
    :param chunk_size: the largest piece of a body that a delegate gets, in bytes; 64 KB.
    :param max_header_size: the largest head, start line included, in bytes; 64 KB. A server answers a longer
        one with 431, or 414 where not even the request line ends within it (RFC 6585, section 5; RFC 9110,
        section 15.5.15); a client closes with ``UnsatisfiableReadError``.
    :param header_timeout: seconds in which a head must come, time spent idle included; None: no limit.
    :param max_body_size: bytes of a body, decompressed if ``decompress`` is set; None: the stream's
        max_buffer_size.
    :param body_timeout: seconds in which a body must come; None: no limit.
    :param decompress: decode bodies with ``Content-Encoding: gzip``.
    :param linger_timeout: seconds for which a server, after a response that ends the connection before the
        request was read, keeps reading so that the response is not lost to a reset (RFC 9112, section 9.6);
        0: close at once.
    :param linger_size: the most bytes read and dropped in that time; 16 MB.
    """

    def __init__(
        self,
        no_keep_alive: bool = False,
        chunk_size: int | None = None,
        max_header_size: int | None = None,
        header_timeout: float | None = None,
        max_body_size: int | None = None,
        body_timeout: float | None = None,
        decompress: bool = False,
        *,
        linger_timeout: float = DEFAULT_LINGER_TIMEOUT,
        linger_size: int = DEFAULT_LINGER_SIZE,
    ) -> None:
        self.no_keep_alive = no_keep_alive
        self.chunk_size = chunk_size or 65536
        self.max_header_size = max_header_size or 65536
        self.header_timeout = header_timeout
        self.max_body_size = max_body_size
        self.body_timeout = body_timeout
        self.decompress = decompress
        self.linger_timeout = linger_timeout
        self.linger_size = linger_size


class HTTP1Connection(MessageWriter):
    """One request and its response, seen from the client or from the server.

    A client writes with :meth:`write_headers`, :meth:`write` and :meth:`finish`, then calls
    :meth:`read_response`. A server calls :meth:`read_response` first, and the delegate writes.

    :param stream: an ``IOStream``.
    :param is_client: the role.
    :param params: an ``HTTP1ConnectionParameters``; None: the defaults.
    :param context: anything; the attribute ``context``.
    """

    def __init__(
        self,
        stream: iostream.IOStream,
        is_client: bool,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
    ) -> None:
        if params is None:
            params = HTTP1ConnectionParameters()
        self.stream: iostream.IOStream = stream  # None once it was detached
        self.is_client = is_client
        self.params = params
        self.context = context
        self.no_keep_alive = params.no_keep_alive
        # A delegate may change these two for its own message.
        limit = params.max_body_size
        self._max_body_size: int = stream.max_buffer_size if limit is None else limit
        self._body_timeout = params.body_timeout
        self._init_writing()
        self._read_finished = False
        # It has a message that neither finished nor was closed.
        self._open_delegate: HTTPMessageDelegate | None = None
        self._draining = False  # the response's head, if it is still to come, says that the connection ends
        self._reader: _core.HTTPReader | None = None
        self._lingering = False  # the stream closes by itself, later
        self._watching = is_client  # the stream may have a close callback, which is to go
        self._clear_callbacks()

    # ---- reading ----

    def read_response(self, delegate: HTTPMessageDelegate) -> Awaitable[bool]:
        """Read one message, a response or, in a server, a request.

        :returns: an awaitable of whether the connection can be used again, once the message was read and, in
            a server, its response was written.
        :raises StreamClosedError: the stream ended before or within the message, or a response's head is over
            max_header_size (``real_error`` is an ``UnsatisfiableReadError`` then).
        """
        if self.params.decompress:
            delegate = _GzipMessageDelegate(delegate, self.params.chunk_size, self._max_body_size, self)
        return self._read_message(delegate)

    async def _read_message(self, delegate: HTTPMessageDelegate) -> bool:
        try:
            return await self._read_message_inner(delegate)
        except _QuietException:
            self.close()
            return False

    async def _read_message_inner(self, delegate: HTTPMessageDelegate) -> bool:
        params = self.params
        self._reader = _core.HTTPReader(
            self.stream,
            self.is_client,
            params.max_header_size,
            params.chunk_size,
            generations.chunks_are_seen,
        )
        try:
            return await self._exchange(delegate, self._reader)
        except httputil.HTTPInputError as e:
            gen_log.info("Malformed HTTP message from %s: %s", self.context, e)
            if self.is_client:
                # So that the delegate of the request is notified of its end in any case.
                self._open_delegate = delegate
                self.close()
                return False
            await self._refuse(400, delegate)
            return False
        except iostream.StreamClosedError:
            await self._lingered()
            raise
        finally:
            try:
                self._notify_closed(delegate)
            finally:
                self._release_reader()
                self._clear_callbacks()

    async def _exchange(self, delegate: HTTPMessageDelegate, reader: _core.HTTPReader) -> bool:
        for informational in range(_MAX_1XX_RESPONSES + 1):
            head = await self._read_head(reader)
            if head is None:
                self.close()
                return False
            if isinstance(head, int):
                await self._refuse_head(head, delegate)
                return False
            start_line, headers = head
            self._head_received(start_line, reader)
            self._open_delegate = delegate
            with logging_errors:
                result = delegate.headers_received(start_line, headers)
                if result is not None:
                    await result
            if self.stream is None:  # detached
                self._open_delegate = None
                return False
            if not self._is_informational(start_line, headers):
                break
            if informational == _MAX_1XX_RESPONSES:
                raise httputil.HTTPInputError("Too many 1xx responses")
            self._open_delegate = None
        if self._has_body(start_line) and not await self._receive_body(start_line, headers, delegate, reader):
            return False
        self._read_finished = True
        if not self._frame.done or self.is_client:
            with logging_errors:
                delegate.finish()
            self._open_delegate = None
        await self._response_written()
        return self.stream is not None

    async def _response_written(self) -> None:
        """Wait until a server's response was written, or the connection is gone."""
        if not self._finish_future.done() and self.stream is not None and not self.stream.closed():
            self._watching = True
            self.stream.set_close_callback(self._on_connection_close)
            await self._finish_future
        await self._lingered()
        if self.is_client and self._frame.closes:
            self.close()

    async def _read_head(self, reader: _core.HTTPReader) -> Any:
        """The next head, or a status that says that it is too long, or None for one that is too late."""
        head = reader.read_head(self.params.header_timeout)
        if not isinstance(head, (tuple, int)) and head is not None:
            head = await head
        reader.release()  # the delegate may want the stream for itself
        return head

    def _head_received(self, start_line: Any, reader: _core.HTTPReader) -> None:
        if self.is_client:
            self._response_start_line = start_line
            self._frame.closes = False
        else:
            self._request_start_line = start_line
            self._frame.begin(reader, self.params.no_keep_alive)

    def _is_informational(self, start_line: Any, headers: HTTPHeaders) -> bool:
        if not self.is_client or not 100 <= start_line.code < 200:
            return False
        if "Content-Length" in headers or "Transfer-Encoding" in headers:
            raise httputil.HTTPInputError(f"Response code {start_line.code} cannot have body")
        return True

    def _has_body(self, start_line: Any) -> bool:
        """Whether a body may follow; a response to HEAD and a 304 only have the headers of one."""
        if not self.is_client:
            return True
        asked = self._request_start_line
        return start_line.code != 304 and (asked is None or asked.method != "HEAD")

    async def _receive_body(
        self, start_line: Any, headers: HTTPHeaders, delegate: Any, reader: _core.HTTPReader
    ) -> bool:
        """Read the body. False: it was not complete in time."""
        body = self._read_body(start_line.code if self.is_client else 0, headers, delegate)
        if body is None:
            return True
        if not self.is_client and self._pending_write is None and reader.expects_continue:
            self.stream.write(_core.HTTPFrame.own_response(100))
        if self._body_timeout is None:
            await body
        elif not await within(body, self._body_timeout):
            gen_log.info("Timeout reading body from %s", self.context)
            self.stream.close()
            return False
        return True

    def _read_body(
        self, code: int, headers: HTTPHeaders, delegate: HTTPMessageDelegate
    ) -> Awaitable[None] | None:
        """An awaitable that reads the body that the headers announce, or None. May be overridden.

        :param code: the response's status; 0 for a request.
        :raises HTTPInputError: the headers contradict each other, or the body is too long.
        """
        assert self._reader is not None
        length = self._reader.measure_body(headers, self._max_body_size)
        if length is None:
            return None
        if length == _CHUNKED:
            return self._read_chunked_body(delegate)
        if length == _UNTIL_CLOSE:
            return self._read_body_until_close(delegate)
        return self._read_fixed_body(length, delegate)

    async def _read_fixed_body(self, content_length: int, delegate: HTTPMessageDelegate) -> None:
        await self._read_pieces(content_length, delegate)

    async def _read_chunked_body(self, delegate: HTTPMessageDelegate) -> None:
        await self._read_pieces(_CHUNKED, delegate)

    async def _read_body_until_close(self, delegate: HTTPMessageDelegate) -> None:
        await self._read_pieces(_UNTIL_CLOSE, delegate)

    async def _read_pieces(self, length: int, delegate: HTTPMessageDelegate) -> None:
        reader = self._reader
        assert reader is not None
        reader.start_body(length)
        work = total = 0
        began = time.perf_counter()
        while (piece := reader.read_body(self._max_body_size)) is not None:
            if not isinstance(piece, bytes):
                piece = await piece
                if piece is None:
                    return
            total += len(piece)
            if length == _UNTIL_CLOSE and total > self._max_body_size:
                raise httputil.HTTPInputError("Body too long")
            work += len(piece) + _PIECE_YIELD_COST
            if piece:
                await self._deliver_body(delegate, piece)
            if work >= _YIELD_THRESHOLD or not piece or time.perf_counter() - began >= _YIELD_SECONDS:
                work = 0
                await asyncio.sleep(0)
                began = time.perf_counter()

    async def _deliver_body(self, delegate: HTTPMessageDelegate, data: bytes) -> None:
        if self._frame.done and not self.is_client:
            return  # the response is complete already: the rest is dropped
        with logging_errors:
            result = delegate.data_received(data)
            if result is not None:
                await result

    # ---- refusing ----

    async def _refuse_head(self, status: int, delegate: HTTPMessageDelegate) -> None:
        error = iostream.UnsatisfiableReadError(
            f"delimiter {_HEAD_END!r} not found within {self.params.max_header_size} bytes"
        )
        gen_log.info("Unsatisfiable read, closing connection: %s", error)
        if self.is_client:
            self.stream.close(exc_info=(type(error), error, None))
            raise iostream.StreamClosedError(real_error=error)
        await self._refuse(status, delegate)

    async def _refuse(self, status: int, delegate: HTTPMessageDelegate) -> None:
        """Respond to a malformed request and close, once the peer has had its chance to read that.

        Nothing is sent in the middle of a response that the application has begun already.
        """
        self._release_reader()
        if self._pending_write is None:
            await self.stream.write(_core.HTTPFrame.own_response(status))
        self._notify_closed(delegate)
        self._linger()
        await self._lingered()
        self.close()

    def _has_unread(self) -> bool:
        return self.stream is not None and self.stream._has_unread()

    def _linger(self) -> bool:
        """End our side and have the stream drop what still comes, for a while. False: it is to be closed."""
        params = self.params
        self._lingering = self.stream is not None and self.stream._linger(
            params.linger_timeout, params.linger_size
        )
        return self._lingering

    async def _lingered(self) -> None:
        """Wait for the end of a stream that lingers."""
        if self._lingering and self.stream is not None and not self.stream.closed():
            closed: asyncio.Future[None] = asyncio.Future()
            self._watching = True
            self.stream.set_close_callback(lambda: future_set_result_unless_cancelled(closed, None))
            await closed

    def _notify_closed(self, delegate: HTTPMessageDelegate) -> None:
        if self._open_delegate is delegate:
            self._open_delegate = None
            with logging_errors:
                delegate.on_connection_close()

    # ---- the end ----

    def _release_reader(self) -> None:
        if self._reader is not None:
            self._reader.release()
            self._reader = None

    def _clear_callbacks(self) -> None:
        """Drop what the application gave us, which may own the connection in turn."""
        self._write_future = None
        self._close_callback: Callable[[], object] | None = None
        if self._watching and self.stream is not None:
            self._watching = False
            self.stream.set_close_callback(None)

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """Have ``callback()`` called if the peer goes away after the message was read, before its response.

        Until the message was read its delegate's ``on_connection_close`` is called. None takes it back.
        """
        self._close_callback = None if callback is None else stack.follow(callback)

    def _on_connection_close(self) -> None:
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            callback()
        self._end_exchange()
        self._clear_callbacks()

    def _end_exchange(self) -> None:
        if not self._finish_future.done():
            self._finish_future.set_result(None)

    def close(self) -> None:
        """Close the stream."""
        if self.stream is not None:
            self.stream.close()
        self._clear_callbacks()
        self._end_exchange()

    def detach(self) -> iostream.IOStream:
        """Hand the stream over and end HTTP on it. For use in a delegate's ``headers_received``.

        :returns: the ``IOStream``, with what the peer sent after the head still to be read.
        """
        self._release_reader()
        self._clear_callbacks()
        stream = self.stream
        self.stream = None  # type: ignore[assignment]
        self._end_exchange()
        return stream

    def set_body_timeout(self, timeout: float) -> None:
        """Set the body's time limit, in seconds, for this message."""
        self._body_timeout = timeout

    def set_max_body_size(self, max_body_size: int) -> None:
        """Set the body's largest size, in bytes, for this message."""
        self._max_body_size = max_body_size

    def _finish_request(self, future: asyncio.Future[None] | None) -> None:
        self._clear_callbacks()
        if not self.is_client and self._frame.closes:
            # There is the rest of the request, or what the client sent on or before it could know.
            unread = not self._read_finished or self._draining or self._has_unread()
            if not unread or not self._linger():
                self.close()
                return
        self._end_exchange()


class HTTP1ServerConnection:
    """A client's connection to a server: one ``HTTP1Connection`` after another.

    :param stream: an ``IOStream``.
    :param params: an ``HTTP1ConnectionParameters``; None: the defaults.
    :param context: anything; ``context`` of this and of each ``HTTP1Connection``.
    """

    def __init__(
        self,
        stream: iostream.IOStream,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
    ) -> None:
        self.stream = stream
        self.params = params if params is not None else HTTP1ConnectionParameters()
        self.context = context
        self._serving_future: asyncio.Future[None] | None = None
        self._current: HTTP1Connection | None = None
        self._draining = False
        self._seen_idle: HTTP1Connection | None = None

    def _drain(self) -> None:
        """Close the connection if it has been idle since the last call.

        Any other ends with a response that says so, the current one or, where its head has left, the next.
        """
        self._draining = True
        current = self._current
        if current is None:
            return
        current._draining = True
        idle = current._request_start_line is None and not self.stream._read_buffer_size
        if idle and not self.stream.closed():
            if self._seen_idle is current and not self.stream._has_arrived():
                self.stream.close()
            self._seen_idle = current

    async def close(self) -> None:
        """Close the connection and wait until serving it has ended."""
        self.stream.close()
        assert self._serving_future is not None
        try:
            await self._serving_future
        except Exception:
            pass  # start_serving has it logged

    def start_serving(self, delegate: httputil.HTTPServerConnectionDelegate) -> None:
        """Serve requests until the connection ends.

        :param delegate: its ``start_request`` is called before each request, ``on_close`` at the end.
        """
        assert isinstance(delegate, httputil.HTTPServerConnectionDelegate)
        self._serving_future = asyncio.ensure_future(self._server_request_loop(delegate))
        self.stream.io_loop.add_future(self._serving_future, lambda future: future.result())

    async def _server_request_loop(self, delegate: httputil.HTTPServerConnectionDelegate) -> None:
        """Serve one request after another. May be overridden."""
        try:
            while True:
                connection = HTTP1Connection(self.stream, False, self.params, self.context)
                connection._draining = self._draining
                self._current = connection
                request_delegate = delegate.start_request(self, connection)
                try:
                    goes_on = await connection.read_response(request_delegate)
                except (
                    iostream.StreamClosedError,
                    iostream.UnsatisfiableReadError,
                    asyncio.CancelledError,
                ):
                    return
                except Exception:
                    gen_log.error("Uncaught exception", exc_info=True)
                    connection.close()
                    return
                if not goes_on or self.stream.closed():
                    return
                if self.stream._read_buffer_size:
                    await asyncio.sleep(0)  # the next request is there already: the loop has its turn first
        except BaseException:
            self.stream.close()  # a delegate's start_request has failed: nothing reads any more
            raise
        finally:
            self._current = None
            delegate.on_close(self)
