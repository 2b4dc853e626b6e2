"""Bodies in gzip, decoded piece by piece within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

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
            raise zlib.error("incomplete or truncated stream")
