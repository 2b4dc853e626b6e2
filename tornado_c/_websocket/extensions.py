"""permessage-deflate (RFC 7692): what is agreed on, and the two machines that both sides have then.

A message is a piece of one DEFLATE stream that ends with an empty stored block; the four bytes that such a
block always ends with are not sent.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, Protocol

from tornado_c import _core
from tornado_c._web.transforms import GZipContentEncoding

DEFLATE = "permessage-deflate"

_NO_TAKEOVER = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOW = ("server_max_window_bits", "client_max_window_bits")
_BITS = {str(bits): bits for bits in range(8, zlib.MAX_WBITS + 1)}
_ZLIB_MIN_BITS = 9  # what zlib compresses with at least


class _Compressor(Protocol):
    """What ``zlib.compressobj`` returns."""

    def compress(self, data: bytes) -> bytes: ...

    def flush(self, mode: int) -> bytes: ...


class _Decompressor(Protocol):
    """What ``zlib.decompressobj`` returns."""

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


# ---- the header ----

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PIECE = re.compile(rf'((?:[^",;]|{_QUOTED})*)([,;]|$)')
_TOKEN = r"[\w!#$%&'*+.^`|~-]+"
_PARAMETER = re.compile(rf"({_TOKEN})(?:[ \t]*=[ \t]*(?:({_TOKEN})|({_QUOTED})))?", re.A)

Parameters = dict[str, str | None]


def parse_extensions(text: str) -> list[tuple[str, Parameters]]:
    """Return the name of each extension of a Sec-WebSocket-Extensions header, and its parameters.

    A parameter without a value has None. What is malformed or there twice adds a parameter with an empty
    name, which nobody knows: such an extension will not be agreed on.

    >>> parse_extensions("permessage-deflate; client_max_window_bits, x; y=\"10\"")
    [('permessage-deflate', {'client_max_window_bits': None}), ('x', {'y': '10'})]
    """
    found: list[tuple[str, Parameters]] = []
    at, first = 0, True
    while (piece := _PIECE.match(text, at)) is not None:
        parameter = _PARAMETER.fullmatch(piece[1].strip(" \t"))
        name = parameter[1].lower() if parameter is not None else ""
        if not first:
            values = found[-1][1]
            values["" if name in values else name] = _value(parameter)
        elif piece[1].strip(" \t") or piece[2] == ";":
            malformed = parameter is None or parameter[2] is not None or parameter[3] is not None
            found.append((name, {"": None} if malformed else {}))
        first = piece[2] == ","
        if not piece[2]:
            return found
        at = piece.end()
    return [*found, ("", {"": None})]  # a quote that does not end


def _value(parameter: re.Match[str] | None) -> str | None:
    if parameter is None or parameter[3] is None:
        return None if parameter is None else parameter[2]
    return re.sub(r"\\(.)", r"\1", parameter[3][1:-1])


def accept_offer(offer: Parameters) -> Parameters | None:
    """Return what a server agrees to where a client offers these parameters; None: the offer is declined.

    A window of 8 bits is: zlib does not compress with it.
    """
    agreed: Parameters = {}
    for name, value in offer.items():
        if name in _NO_TAKEOVER:
            fits = value is None
        elif name == "client_max_window_bits" and value is None:
            continue  # the client would obey a window, and needs none
        else:
            fits = name in _WINDOW and value in _BITS
            fits = fits and not (name == "server_max_window_bits" and value == "8")
        if not fits:
            return None
        agreed[name] = value
    return agreed


def check_answer(answer: Parameters) -> None:
    """Refuse parameters with which a server must not answer an offer.

    :raises ValueError: there is such a one.
    """
    for name, value in answer.items():
        if not (value is None if name in _NO_TAKEOVER else name in _WINDOW and value in _BITS):
            raise ValueError(f"unsupported compression parameter {name!r}, {value!r}")


# ---- the machines ----


def _window(max_wbits: int | None) -> int:
    bits = zlib.MAX_WBITS if max_wbits is None else max_wbits
    if not 8 <= bits <= zlib.MAX_WBITS:
        raise ValueError(f"Invalid max_wbits value {bits!r}; allowed range 8-{zlib.MAX_WBITS}")
    return bits


class _PerMessageDeflateCompressor(_core.MessageCompressorBase):
    """Compresses messages.

    :param persistent: whether a message may refer to those before it.
    :param max_wbits: the logarithm of the window's size, 8 to 15; None: 15.
    :param compression_options: a dict that may have ``compression_level`` and ``mem_level``, those of zlib;
        6 and 8 otherwise.
    :raises ValueError: there is no such window.
    """

    def __init__(
        self, persistent: bool, max_wbits: int | None, compression_options: dict[str, Any] | None = None
    ) -> None:
        options = compression_options or {}
        self._persistent = bool(persistent)
        self._max_wbits = _window(max_wbits)
        self._compression_level = options.get("compression_level", GZipContentEncoding.GZIP_LEVEL)
        self._mem_level = options.get("mem_level", 8)

    def _create_compressor(self) -> _Compressor:
        bits, strategy = self._max_wbits, zlib.Z_DEFAULT_STRATEGY
        if bits < _ZLIB_MIN_BITS:
            bits, strategy = _ZLIB_MIN_BITS, zlib.Z_RLE  # which looks back one byte, and fits any window
        return zlib.compressobj(self._compression_level, zlib.DEFLATED, -bits, self._mem_level, strategy)


class _PerMessageDeflateDecompressor(_core.MessageDecompressorBase):
    """Decompresses messages.

    :param persistent: whether a message may refer to those before it.
    :param max_wbits: the logarithm of the window's size, 8 to 15; None: 15.
    :param max_message_size: bytes of the largest message.
    :raises ValueError: there is no such window.
    """

    def __init__(
        self,
        persistent: bool,
        max_wbits: int | None,
        max_message_size: int,
        compression_options: dict[str, Any] | None = None,
    ) -> None:
        self._persistent = bool(persistent)
        self._max_message_size = max_message_size
        self._max_wbits = _window(max_wbits)

    def _create_decompressor(self, history: bytes = b"") -> _Decompressor:
        # Peers whose zlib is old use 9 bits where 8 were agreed on.
        bits = max(self._max_wbits, _ZLIB_MIN_BITS)
        return zlib.decompressobj(-bits, history) if history else zlib.decompressobj(-bits)
