"""How a browser reads the URL of a redirect or a link, for the checks against open redirects."""

from __future__ import annotations

import re
import urllib.parse

_BLANK = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans({"\t": None, "\n": None, "\r": None, "\\": "/"})


def is_absolute(path: str) -> bool:
    """Whether a link is a URL or begins at the root, and so needs no :meth:`RequestHandler.static_url`."""
    return path.startswith(("/", "http:", "https:"))


def _normalize_url_like_browser(url: str) -> str:
    """Drop what browsers drop (WHATWG URL), and turn backslashes into slashes."""
    return url.strip(_BLANK).translate(_REMOVED)


def _is_protocol_relative(url: str) -> bool:
    """Whether a browser would take the URL for ``//host/path``, on another host."""
    return _normalize_url_like_browser(url).startswith("//")


def _scheme_and_netloc(url: str) -> tuple[str, str]:
    """Return what a browser would take for scheme and host, in lower case; empty strings if there are none.

    :raises ValueError: for some malformed URLs.
    """
    # urlsplit finds no host in "///host"; browsers do.
    parts = urllib.parse.urlsplit(re.sub(r"^//+", "//", _normalize_url_like_browser(url)))
    return parts.scheme.lower(), parts.netloc.lower()
