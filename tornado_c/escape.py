"""Text, bytes and what has to be escaped in HTML, JSON and URLs.

A str stands for text and bytes for its UTF-8; most functions take both.
"""

from __future__ import annotations

import importlib
import re
import urllib.parse
from collections.abc import Callable, Container
from typing import Any, overload

from tornado_c import _core
from tornado_c.util import unicode_type

# ---- text and bytes ----


@overload
def utf8(value: str | bytes) -> bytes: ...
@overload
def utf8(value: None) -> None: ...
def utf8(value: str | bytes | None) -> bytes | None:
    """Return ``value`` as UTF-8 bytes; bytes and None pass through.

    :raises TypeError: ``value`` is of any other type.
    """
    if isinstance(value, unicode_type):
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
    if value is None or isinstance(value, unicode_type):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


_unicode = to_unicode
native_str = to_unicode
to_basestring = to_unicode


def recursive_unicode(obj: Any) -> Any:
    """Return a copy of lists, tuples and dictionaries in which bytes are text; anything else as it is."""
    if isinstance(obj, bytes):
        return to_unicode(obj)
    if isinstance(obj, dict):
        return {recursive_unicode(key): recursive_unicode(value) for key, value in obj.items()}
    for kind in (list, tuple):
        if isinstance(obj, kind):
            return kind(map(recursive_unicode, obj))
    return obj


def squeeze(value: str) -> str:
    """Return ``value`` with each run of spaces and control characters as one space, and none at its ends."""
    return re.sub(r"[\x00-\x20]+", " ", value).strip()


# ---- JSON ----


def json_encode(value: Any) -> str:
    r"""Return ``value`` as JSON, in which ``</`` is written ``<\/``: it cannot end a ``<script>`` around it.

    :raises TypeError: ``value`` has something that JSON has not.
    """
    return str(_on_demand("json").dumps(value)).replace("</", r"<\/")


def json_decode(value: str | bytes) -> Any:
    """Return what JSON stands for.

    :raises ValueError: it is malformed.
    """
    return _on_demand("json").loads(value)


# ---- URLs ----


def url_escape(value: str | bytes, plus: bool = True) -> str:
    """Return ``value`` as it stands in a URL.

    :param plus: for a query: a space becomes a plus sign, a slash ``%2F``. False: for a path, in which a
        space is ``%20`` and a slash stays. Default True.
    """
    return (urllib.parse.quote_plus if plus else urllib.parse.quote)(value)


@overload
def url_unescape(value: str | bytes, encoding: None, plus: bool = True) -> bytes: ...
@overload
def url_unescape(value: str | bytes, encoding: str = "utf-8", plus: bool = True) -> str: ...
def url_unescape(value: str | bytes, encoding: str | None = "utf-8", plus: bool = True) -> str | bytes:
    """Undo what was done to a part of a URL.

    :param encoding: of the text that was escaped; None: bytes are returned. Default ``"utf-8"``.
    :param plus: whether a plus sign is a space, as it is in queries. Default True.
    """
    if encoding is not None:
        unquote = urllib.parse.unquote_plus if plus else urllib.parse.unquote
        return unquote(to_basestring(value), encoding=encoding)
    if plus:
        value = to_basestring(value).replace("+", " ")
    return urllib.parse.unquote_to_bytes(value)


_unquote_to_bytes = _core.unquote_to_bytes


def parse_qs_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> dict[str, list[bytes]]:
    """Return the fields of a query or of a form: names are Latin-1 text, values bytes, in lists.

    :param keep_blank_values: whether fields without a value count. Default False.
    :param strict_parsing: whether a field without an equals sign is an error. Default False.
    :param max_num_fields: how many fields there may be, blank ones included. Default: any number.
    :raises ValueError: there are too many, or one is an error.
    """
    query = qs.encode("latin1") if isinstance(qs, str) else qs
    if not query:
        return {}
    if max_num_fields is not None and query.count(b"&") >= max_num_fields:
        raise ValueError("Max number of fields exceeded")
    if strict_parsing:
        for field in query.split(b"&"):
            if b"=" not in field:
                raise ValueError(f"bad query field: {field!r}")
    return _core.parse_fields(query, keep_blank_values)


# ---- HTML ----


def xhtml_escape(value: str | bytes) -> str:
    """Return text as it stands in HTML or XML, also within quotes: ``& < > " '`` become references."""
    text = to_unicode(value)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;")


def xhtml_unescape(value: str | bytes) -> str:
    """Return the text that HTML without tags stands for: references become characters, as in browsers."""
    return str(_on_demand("html").unescape(to_unicode(value)))


# In text that was escaped. A link ends in a character of its own, or in a pair of parentheses; punctuation
# belongs to it where more follows. No alternative begins as another does, and what was taken is not given
# back: the time is proportional to the text's length, whatever that is.
_PUNCTUATION = r"""[!"#$%'*+,.:;<=>?@\[\]^`{|}~]"""
_LINK_END = r"""[^\s!"#$%&'()*+,.:;<=>?@\[\]^`{|}~]"""
_URL = rf"""
    (?: (?<![\w-]) -*+ (?=[\w-]++:/) | \b (?=www\.) )
    (                                                   # 1: the link
      (?: ([\w-]++) : (/{{1,3}}) | www\. )              # 2: the protocol, 3: its slashes
      (?:
        (?: {_PUNCTUATION}++ | &amp; | &quot; )*+ {_LINK_END}++
      | \( (?: [^\s&()]++ | &amp; | &quot; )*+ \)
      )++
    )
"""

_SHORT = 30  # characters, of a link's text


def linkify(
    text: str | bytes,
    shorten: bool = False,
    extra_params: str | Callable[[str], str] = "",
    require_protocol: bool = False,
    permitted_protocols: Container[str] = ("http", "https"),
) -> str:
    """Return text as HTML, with links where there are URLs in it.

    >>> linkify("Hello http://tornadoweb.org!")
    'Hello <a href="http://tornadoweb.org">http://tornadoweb.org</a>!'

    :param shorten: whether long URLs are shown shortened, with the whole one as the title. Default False.
    :param extra_params: attributes for every link, as HTML, or a function that is called with the URL and
        returns them. Default: none.
    :param require_protocol: whether ``www.example.com`` stays as it is. Default False.
    :param permitted_protocols: which become links. Not all are safe: ``javascript`` is not.
        Default ``http`` and ``https``.
    """

    def link(match: re.Match[str]) -> str:
        url, protocol, slashes = match.groups()
        if require_protocol if protocol is None else protocol not in permitted_protocols:
            return match[0]
        href = url if protocol is not None else "http://" + url
        attributes = extra_params(href) if callable(extra_params) else extra_params
        if attributes or callable(extra_params):
            attributes = " " + attributes.strip()
        shown = url
        if shorten and len(url) > _SHORT:
            shown = _shortened(url, 0 if protocol is None else len(protocol) + 1 + len(slashes))
            if shown != url:
                attributes += f' title="{href}"'
        before = match[0][: match.start(1) - match.start()]
        return f'{before}<a href="{href}"{attributes}>{shown}</a>'

    return str(_on_demand("_URL_RE").sub(link, xhtml_escape(text)))


def _shortened(url: str, prefix: int) -> str:
    """Return a long link's text: the host and the first bit of the path, or the beginning alone.

    :param prefix: the length of the protocol and its slashes.
    """
    host, slash, path = url[prefix:].partition("/")
    short = url
    if slash:
        first = re.split(r"[?.]", path.partition("/")[0][:8], maxsplit=1)[0]
        short = f"{url[:prefix]}{host}/{first}"
    if len(short) > _SHORT * 1.5:
        short = short[:_SHORT]
    if short == url:
        return url
    reference = short.rfind("&")
    if reference > _SHORT - 5:
        short = short[:reference]  # rather than a part of it
    short += "..."
    return short if len(short) < len(url) else url


# ---- what is imported or compiled when it is needed ----


def _on_demand(name: str) -> Any:
    return globals().get(name) or __getattr__(name)


def __getattr__(name: str) -> Any:
    if name == "_URL_RE":
        found: Any = re.compile(_URL, re.VERBOSE)
    elif name in ("binascii", "html", "json"):
        found = importlib.import_module(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
