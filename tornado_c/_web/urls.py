"""How a browser reads a redirect's URL, for the checks against open redirects."""

from __future__ import annotations

import re
import urllib.parse

_BLANK = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans({"\t": None, "\n": None, "\r": None, "\\": "/"})


def _as_browsers_read(url: str) -> str:
    """Drop what browsers drop (WHATWG URL), and turn backslashes into slashes."""
    return url.strip(_BLANK).translate(_REMOVED)


def is_protocol_relative(url: str) -> bool:
    """Whether a browser would take the URL for ``//host/path``, on another host."""
    return _as_browsers_read(url).startswith("//")


def scheme_and_netloc(url: str) -> tuple[str, str]:
    """Return what a browser would take for scheme and host, in lower case; empty strings if there are none.

    :raises ValueError: for some malformed URLs.
    """
    # urlsplit finds no host in "///host"; browsers do.
    parts = urllib.parse.urlsplit(re.sub(r"^//+", "//", _as_browsers_read(url)))
    return parts.scheme.lower(), parts.netloc.lower()
