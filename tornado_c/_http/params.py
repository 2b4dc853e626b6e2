"""Headers with parameters, such as Content-Disposition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tornado_c._support.regex import regex
from tornado_c.escape import native_str

_PARAM_MARKS = regex(r'\\"|"|;')


def _parseparam(s: str) -> Iterator[str]:
    """The stripped pieces of ``;one;two;three``. Semicolons between double quotes do not count."""
    if not s.startswith(";"):
        return
    start, quoted = 1, False
    for mark in _PARAM_MARKS.finditer(s, 1):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == ";" and not quoted:
            yield s[start : mark.start()].strip()
            start = mark.end()
    yield s[start:].strip()


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    r"""Take apart a header such as Content-Disposition: its value and its parameters.

    Parameters without an equals sign are dropped; those encoded as RFC 2231 says are decoded.

    >>> _parse_header("form-data; Name=upload; filename=\"a;b.txt\"")
    ('form-data', {'name': 'upload', 'filename': 'a;b.txt'})
    >>> _parse_header("form-data; filename*=utf-8''%C3%A4.txt")[1] == {"filename": "\u00e4.txt"}
    True
    """
    import email.utils

    value, *rest = _parseparam(";" + line)
    params = [("", "")]  # decode_params passes its first entry through untouched
    for param in rest:
        name, equals, text = param.partition("=")
        if equals:
            params.append((name.strip().lower(), native_str(text.strip())))
    result = {}
    for name, encoded in email.utils.decode_params(params)[1:]:
        text = email.utils.collapse_rfc2231_value(encoded)
        if len(text) >= 2 and text[0] == text[-1] == '"':
            text = text[1:-1]
        result[name] = text
    return value, result


def _encode_header(key: str, pdict: Mapping[str, Any]) -> str:
    """The reverse of ``_parse_header``, with sorted names; a value of None gives the name alone.

    >>> _encode_header("permessage-deflate", {"b": 15, "a": None})
    'permessage-deflate; a; b=15'
    """
    params = (name if value is None else f"{name}={value}" for name, value in sorted(pdict.items()))
    return "; ".join([key, *params])
