"""Bodies in gzip, decoded piece by piece within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING

from tornado_c import httputil

if TYPE_CHECKING:
    from tornado_c.httputil import (
        HTTPHeaders,
        HTTPMessageDelegate,
        HTTPServerRequest,
        RequestStartLine,
        ResponseStartLine,
    )

_MAGIC = b"\x1f\x8b"
_WITH_HEADER = 16 + zlib.MAX_WBITS


class Gunzip:
    """Decodes a sequence of gzip members (RFC 1952, section 2.2).

    What follows the last member must be another one. All methods raise `zlib.error` for what is not gzip.
    """

    def __init__(self) -> None:
        # None where a member may begin: there the input may end as well.
        self._member: zlib._Decompress | None = None

    def feed(self, data: bytes, piece_size: int) -> Iterator[bytes]:
        """Decode `data`, giving pieces of at most piece_size bytes, none of them empty."""
        while data:
            if self._member is None:
                if not _MAGIC.startswith(data[:2]):
                    raise zlib.error(f"expected a gzip member, got {data[:2]!r}")
                self._member = zlib.decompressobj(_WITH_HEADER)
            piece = self._member.decompress(data, piece_size)
            if self._member.eof:
                data, self._member = self._member.unused_data, None
            else:
                rest = self._member.unconsumed_tail
                if not piece and len(rest) >= len(data):
                    raise zlib.error("no progress")
                data = rest
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the input did not end within a member."""
        if self._member is not None:
            raise zlib.error("incomplete or truncated gzip stream")


class _GzipMessageDelegate(httputil.HTTPMessageDelegate):
    """Passes a message on to another delegate, with its body decoded where that is gzip.

    :param chunk_size: the largest piece of decoded body, in bytes.
    :param max_body_size: of the decoded body, in bytes.
    """

    def __init__(self, delegate: HTTPMessageDelegate, chunk_size: int, max_body_size: int) -> None:
        self._delegate = delegate
        self._chunk_size = chunk_size
        self._max_body_size = max_body_size
        self._decompressed_body_size = 0
        self._decompressor: Gunzip | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if headers.get("Content-Encoding", "").lower() == "gzip":
            self._decompressor = Gunzip()
            # The body that the delegate sees is not encoded any more.
            headers.add("X-Consumed-Content-Encoding", headers["Content-Encoding"])
            del headers["Content-Encoding"]
        return self._delegate.headers_received(start_line, headers)

    async def data_received(self, chunk: bytes) -> None:
        if self._decompressor is None:
            await self._pass_on(chunk)
            return
        try:
            for piece in self._decompressor.feed(chunk, self._chunk_size):
                self._decompressed_body_size += len(piece)
                if self._decompressed_body_size > self._max_body_size:
                    raise httputil.HTTPInputError("decompressed body too large")
                await self._pass_on(piece)
        except zlib.error as e:
            raise httputil.HTTPInputError(f"invalid gzip data: {e}") from e

    async def _pass_on(self, piece: bytes) -> None:
        result = self._delegate.data_received(piece)
        if result is not None:
            await result

    def finish(self) -> None:
        if self._decompressor is not None:
            try:
                self._decompressor.finish()
            except zlib.error as e:
                # Nobody else tells the delegate: for the connection this message is complete.
                self._delegate.on_connection_close()
                raise httputil.HTTPInputError(f"invalid gzip data: {e}") from e
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()


def decompress_request(request: HTTPServerRequest, chunk_size: int, max_body_size: int) -> None:
    """Decode a whole request's gzip body; raises `HTTPInputError` if it is malformed or too large."""
    headers = request.headers
    if headers.get("Content-Encoding", "").lower() != "gzip":
        return
    pieces, size = [], 0
    decoder = Gunzip()
    try:
        for piece in decoder.feed(request.body, chunk_size):
            size += len(piece)
            if size > max_body_size:
                raise httputil.HTTPInputError("decompressed body too large")
            pieces.append(piece)
        decoder.finish()
    except zlib.error as e:
        raise httputil.HTTPInputError(f"invalid gzip data: {e}") from e
    headers.add("X-Consumed-Content-Encoding", headers["Content-Encoding"])
    del headers["Content-Encoding"]
    request.body = b"".join(pieces)
