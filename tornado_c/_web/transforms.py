"""What alters responses on their way out: the interface, and compression with gzip."""

from __future__ import annotations

import zlib
from typing import Any

from tornado_c import httputil
from tornado_c._support.regex import regex
from tornado_c.escape import to_unicode

_NO_WEIGHT = regex(r"\s*[qQ]\s*=\s*0(?:\.0*)?\s*")
_GZIP = 16 + zlib.MAX_WBITS


class OutputTransform:
    """Alters the responses of an application that has it among its ``transforms``.

    :param request: the request that is responded to.
    """

    def __init__(self, request: httputil.HTTPServerRequest) -> None:
        pass

    def transform_first_chunk(
        self, status_code: int, headers: httputil.HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, httputil.HTTPHeaders, bytes]:
        """Return what is sent in place of the status, the headers and the first chunk.

        :param finishing: whether there are no further chunks.
        """
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """Return what is sent in place of a further chunk.

        :param finishing: whether it is the last one.
        """
        return chunk


class GZipContentEncoding(OutputTransform):
    """Compresses responses for clients that accept gzip; the setting ``compress_response`` adds it.

    Compressed are the types ``text/*`` and ``CONTENT_TYPES``, unless the response has a Content-Encoding
    already, or is whole and shorter than ``MIN_LENGTH`` bytes. ``GZIP_LEVEL`` is zlib's level, 0 to 9.
    """

    CONTENT_TYPES = {
        "application/javascript",
        "application/x-javascript",
        "application/xml",
        "application/atom+xml",
        "application/json",
        "application/xhtml+xml",
        "image/svg+xml",
    }
    GZIP_LEVEL = 6
    MIN_LENGTH = 1024

    def __init__(self, request: httputil.HTTPServerRequest) -> None:
        self._gzipping = _accepts_gzip(request.headers.get("Accept-Encoding", ""))

    def _compressible_type(self, ctype: str) -> bool:
        return ctype.startswith("text/") or ctype in self.CONTENT_TYPES

    def _compresses(self, headers: httputil.HTTPHeaders) -> bool:
        """Whether a body is compressed, if it is long enough."""
        if not self._gzipping or "Content-Encoding" in headers:
            return False
        return self._compressible_type(to_unicode(headers.get("Content-Type", "")).split(";")[0])

    def transform_first_chunk(
        self, status_code: int, headers: httputil.HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, httputil.HTTPHeaders, bytes]:
        vary = headers.get("Vary")
        headers["Vary"] = "Accept-Encoding" if vary is None else f"{vary}, Accept-Encoding"
        long = not finishing or len(chunk) >= max(self.MIN_LENGTH, 1)  # no body has no coding
        self._gzipping = long and status_code not in (204, 304) and self._compresses(headers)
        if self._gzipping:
            headers["Content-Encoding"] = "gzip"
            self._compressor = zlib.compressobj(self.GZIP_LEVEL, zlib.DEFLATED, _GZIP)
            chunk = self.transform_chunk(chunk, finishing)
            if "Content-Length" in headers:
                if finishing:
                    headers["Content-Length"] = str(len(chunk))
                else:
                    del headers["Content-Length"]  # unknown until the end: chunked
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if not self._gzipping:
            return chunk
        # A flush ends with what the client can decode.
        last = zlib.Z_FINISH if finishing else zlib.Z_SYNC_FLUSH
        return self._compressor.compress(chunk) + self._compressor.flush(last)


def _accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header names gzip, other than with the weight 0."""
    if "gzip" not in accepted:
        return False
    codings = (item.partition(";") for item in accepted.split(","))
    return any("gzip" in coding and not _NO_WEIGHT.fullmatch(weight) for coding, _, weight in codings)


def wants_body(transform: Any, headers: httputil.HTTPHeaders) -> bool:
    """Whether a transform may alter the body of a response with these headers, which is sent in pieces."""
    first, later = type(transform).transform_first_chunk, type(transform).transform_chunk
    for cls in (OutputTransform, GZipContentEncoding):
        if first is cls.transform_first_chunk and later is cls.transform_chunk:
            return cls is GZipContentEncoding and transform._compresses(headers)
    return True
