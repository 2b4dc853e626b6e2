"""Text, bytes and query strings, as in ``tornado.escape``."""

from __future__ import annotations

import re
from typing import overload


@overload
def utf8(value: str | bytes) -> bytes: ...
@overload
def utf8(value: None) -> None: ...
def utf8(value: str | bytes | None) -> bytes | None:
    """Return ``value`` as UTF-8 bytes; bytes and None pass through.

    :raises TypeError: ``value`` is of any other type.
    """
    if isinstance(value, str):
        return value.encode("utf-8")
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


@overload
def to_unicode(value: str | bytes) -> str: ...
@overload
def to_unicode(value: None) -> None: ...
def to_unicode(value: str | bytes | None) -> str | None:
    """Return ``value`` as text, reading bytes as UTF-8; str and None pass through.

    :raises TypeError: ``value`` is of any other type.
    :raises UnicodeDecodeError: ``value`` is bytes and not UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


native_str = to_unicode


_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def _unescape_run(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[0].replace(b"%", b"").decode("ascii"))


def _unquote(field: bytes) -> bytes:
    """Undo form encoding: a plus is a space; a percent sign without two hex digits stays."""
    field = field.replace(b"+", b" ")
    return _ESCAPES.sub(_unescape_run, field) if b"%" in field else field


def parse_qsl_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> list[tuple[str, bytes]]:
    """The fields of a query string, in order; names are Latin-1 text and values are bytes.

    :raises ValueError: there are more than ``max_num_fields`` fields, or, if the parsing is strict, a field
        has no equals sign.
    """
    query = qs.encode("latin1") if isinstance(qs, str) else qs
    if not query:
        return []
    if max_num_fields is not None and query.count(b"&") >= max_num_fields:
        raise ValueError("Max number of fields exceeded")
    pairs = []
    for field in query.split(b"&"):
        name, equals, value = field.partition(b"=")
        if strict_parsing and not equals:
            raise ValueError(f"bad query field: {field!r}")
        if field and (value or keep_blank_values):
            pairs.append((_unquote(name).decode("latin1"), _unquote(value)))
    return pairs


def parse_qs_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> dict[str, list[bytes]]:
    """As ``parse_qsl_bytes``, with the values of each name gathered in a list."""
    pairs = parse_qsl_bytes(qs, keep_blank_values, strict_parsing, max_num_fields=max_num_fields)
    result: dict[str, list[bytes]] = {}
    for name, value in pairs:
        result.setdefault(name, []).append(value)
    return result
