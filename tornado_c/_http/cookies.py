"""The Cookie header, read the way browsers write it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tornado_c._support.regex import regex

if TYPE_CHECKING:
    import re

_COOKIE_ESCAPE = regex(r"\\(?:([0-3][0-7]{2})|(.))")


def _unescape_cookie(match: re.Match[str]) -> str:
    octal, char = match.groups()
    return chr(int(octal, 8)) if octal else char


def _unquote_cookie(s: str) -> str:
    """Undo the quoting that ``http.cookies`` does; a value that is not in quotes stays as it is."""
    if s is None or len(s) < 2 or not (s[0] == s[-1] == '"'):
        return s
    return _COOKIE_ESCAPE.sub(_unescape_cookie, s[1:-1])


def parse_cookie(cookie: str) -> dict[str, str]:
    """Parse a Cookie header the way browsers do, which is more lenient than the RFCs.

    A piece without an equals sign is the value of a cookie without a name; of several cookies with the same
    name the last one counts.

    >>> parse_cookie('a=1; b="two"; a=3; four')
    {'a': '3', 'b': 'two', '': 'four'}
    """
    cookies = {}
    for piece in cookie.split(";"):
        name, equals, value = piece.partition("=")
        if not equals:
            name, value = "", name
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquote_cookie(value)
    return cookies


def find_cookie(cookie: str, name: str) -> str | None:
    """Return the value that ``parse_cookie`` has for a name; None if ``http.cookies`` does not accept it."""
    for piece in reversed(cookie.split(";")):
        key, equals, value = piece.partition("=")
        if not equals:
            key, value = "", key
        if key.strip() == name:
            value = _unquote_cookie(value.strip())
            # New versions of http.cookies mind control characters in values.
            accepted = _accepts_name(name) if value.isprintable() else _accepts(name, value)
            return value if accepted else None
    return None


def _accepts(name: str, value: str) -> bool:
    import http.cookies

    try:
        http.cookies.SimpleCookie()[name] = value
    except Exception:
        return False
    return True


@functools.lru_cache(maxsize=256)
def _accepts_name(name: str) -> bool:
    return _accepts(name, "")
