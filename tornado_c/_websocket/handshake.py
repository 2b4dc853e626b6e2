"""The HTTP before WebSocket (RFC 6455, section 4): what a request must have, and what a response.

Headers of a native request are only peeked at: a connection lives long, and few applications ask for them
afterwards.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from typing import TYPE_CHECKING, Any

from tornado_c._http.dates import format_timestamp
from tornado_c._http.headers import HTTPHeaders, peek_headers
from tornado_c.escape import utf8
from tornado_c.log import gen_log

if TYPE_CHECKING:
    from tornado_c.httputil import HTTPServerRequest

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE = 16


def why_no_upgrade(request: HTTPServerRequest) -> str | None:
    """Return why a request does not ask for WebSocket, or None."""
    headers = peek_headers(request)
    if headers.get("Upgrade", "").lower() != "websocket":
        return 'Can "Upgrade" only to "WebSocket".'
    if not _has_token(headers.get("Connection", ""), "upgrade"):  # proxies add others
        return '"Connection" must be "Upgrade".'
    return None


def _has_token(text: str, token: str) -> bool:
    return token in (part.strip().lower() for part in text.split(","))


def check_request(request: HTTPServerRequest) -> None:
    """Check what must be there whatever is agreed on.

    :raises ValueError: it is not, or it is malformed.
    """
    headers = peek_headers(request)
    if not all(headers.get(name) for name in ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version")):
        raise ValueError("Missing/Invalid WebSocket headers")
    try:
        key = base64.b64decode(headers["Sec-WebSocket-Key"], validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_SIZE:
        raise ValueError("Sec-WebSocket-Key is not 16 bytes in base64")


def accept_value(key: str | bytes) -> str:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key."""
    digest = hashlib.sha1(utf8(key) + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def offered_subprotocols(request: HTTPServerRequest) -> list[str]:
    """Return the subprotocols that a client proposes."""
    text = peek_headers(request).get("Sec-WebSocket-Protocol")
    return [name.strip() for name in text.split(",")] if text else []


def check_response(headers: HTTPHeaders, key: str | bytes) -> None:
    """Check that a server has agreed to WebSocket.

    :raises ValueError: it has not.
    """
    if headers.get("Upgrade", "").lower() != "websocket":
        raise ValueError("the server's Upgrade is not websocket")
    if not _has_token(headers.get("Connection", ""), "upgrade"):
        raise ValueError("the server's Connection is not Upgrade")
    if headers.get("Sec-WebSocket-Accept", "").strip() != accept_value(key):
        raise ValueError("the server's Sec-WebSocket-Accept does not belong to our key")


#: The headers of a 101 as an idle connection keeps them: names and values in turn, None for a value that can
#: be made again from the request.
PackedHeaders = tuple[str | None, ...]


def pack_headers(headers: HTTPHeaders, request: HTTPServerRequest) -> PackedHeaders:
    """Return the headers of a 101 as small as they can be: most connections share one tuple."""
    known = _known_values(request)
    packed: list[str | None] = []
    for name, value in headers.get_all():
        packed += (name, None if known.get(name) == value else value)
    return _shared(tuple(packed))


def unpack_headers(packed: PackedHeaders, request: HTTPServerRequest) -> HTTPHeaders:
    """Return the headers that were packed."""
    headers, known = HTTPHeaders(), _known_values(request)
    for name, value in zip(packed[::2], packed[1::2], strict=True):
        assert name is not None
        headers.add(name, known[name] if value is None else value)
    return headers


@functools.lru_cache(maxsize=16)
def _shared(packed: PackedHeaders) -> PackedHeaders:
    return packed


def _known_values(request: HTTPServerRequest) -> dict[str, str]:
    key = peek_headers(request).get("Sec-WebSocket-Key", "")
    return {"Date": _date(int(request._start_time)), "Sec-Websocket-Accept": accept_value(key)}


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_timestamp(second)


def refuse(handler: Any, status: int, text: str, detail: str | None = None) -> None:
    """Answer a request that gets no connection."""
    handler.set_status(status)
    handler.finish(text)
    if detail is None:
        gen_log.debug(text)
    else:
        gen_log.debug("%s: %s", text, detail)


def is_gone(handler: Any) -> bool:
    """Whether the client of a handler has left."""
    stream = getattr(handler.request.connection, "stream", None)
    return stream is None or bool(stream.closed())
