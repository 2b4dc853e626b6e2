"""Bodies in gzip, decoded piece by piece within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, Any

from tornado_c import httputil
from tornado_c.util import GzipDecompressor

if TYPE_CHECKING:
    from tornado_c.httputil import (
        HTTPHeaders,
        HTTPMessageDelegate,
        HTTPServerRequest,
        RequestStartLine,
        ResponseStartLine,
    )


def _take_encoding(headers: HTTPHeaders) -> bool:
    """Whether a body is in gzip; the headers then say that it was, and is not any more."""
    if headers.get("Content-Encoding", "").lower() != "gzip":
        return False
    headers.add("X-Consumed-Content-Encoding", headers["Content-Encoding"])
    del headers["Content-Encoding"]
    return True


class _Gunzip:
    """Decodes a body.

    :param piece_size: the largest piece of decoded body, in bytes.
    :param max_size: of the decoded body, in bytes.
    :raises HTTPInputError: from all methods, for what is not gzip and for too much of it.
    """

    def __init__(self, piece_size: int, max_size: int) -> None:
        self._piece_size = piece_size
        self._left = max_size
        self._decompressor = GzipDecompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode ``data``, giving pieces none of which is empty."""
        while data:
            try:
                piece = self._decompressor.decompress(data, self._piece_size)
            except zlib.error as e:
                raise _invalid(e) from e
            rest = self._decompressor.unconsumed_tail
            if not piece and len(rest) >= len(data):
                raise _invalid("no progress")
            data = rest
            self._left -= len(piece)
            if self._left < 0:
                raise httputil.HTTPInputError("decompressed body too large")
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the input did not end within a member."""
        try:
            self._decompressor.flush()
        except zlib.error as e:
            raise _invalid(e) from e


def _invalid(what: object) -> httputil.HTTPInputError:
    return httputil.HTTPInputError(f"invalid gzip data: {what}")


class _GzipMessageDelegate(httputil.HTTPMessageDelegate):
    """Passes a message on to another delegate, with its body decoded where that is gzip.

    :param chunk_size: the largest piece of decoded body, in bytes.
    :param max_body_size: of the decoded body, in bytes.
    :param connection: what has another maximum, as ``_max_body_size``, when the body begins; None: nothing.
    """

    def __init__(
        self, delegate: HTTPMessageDelegate, chunk_size: int, max_body_size: int, connection: Any = None
    ) -> None:
        self._delegate = delegate
        self._chunk_size = chunk_size
        self._max_body_size = max_body_size
        self._connection = connection
        self._encoded = False
        self._decompressor: _Gunzip | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._encoded = _take_encoding(headers)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if not self._encoded:
            return self._delegate.data_received(chunk)
        if self._decompressor is None:
            # Only now, since the delegate may have set the limit of its message.
            limit = self._max_body_size if self._connection is None else self._connection._max_body_size
            self._decompressor = _Gunzip(self._chunk_size, limit)
        return self._deliver(self._decompressor.feed(chunk))

    def _deliver(self, pieces: Iterator[bytes]) -> Awaitable[None] | None:
        """Hand on pieces as far as nothing must be awaited; what is returned does the rest."""
        for piece in pieces:
            result = self._delegate.data_received(piece)
            if result is not None:
                return self._deliver_rest(result, pieces)
        return None

    async def _deliver_rest(self, result: Awaitable[None], pieces: Iterator[bytes]) -> None:
        await result
        for piece in pieces:
            again = self._delegate.data_received(piece)
            if again is not None:
                await again

    def finish(self) -> None:
        if self._decompressor is not None:
            try:
                self._decompressor.finish()
            except httputil.HTTPInputError:
                # Only we can notify the delegate: for the connection this message is complete.
                self._delegate.on_connection_close()
                raise
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()


def decompress_request(request: HTTPServerRequest, chunk_size: int, max_body_size: int) -> None:
    """Decode a whole request's gzip body.

    :raises HTTPInputError: it is malformed or too large.
    """
    if _take_encoding(request.headers):
        decoder = _Gunzip(chunk_size, max_body_size)
        body = b"".join(decoder.feed(request.body))
        decoder.finish()
        request.body = body
