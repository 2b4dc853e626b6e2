"""URLs, query arguments and addresses of hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import AnyStr
from urllib.parse import parse_qsl, urlencode, urlparse, urlunparse

from tornado_c._support.regex import regex


def url_concat(
    url: str,
    args: None | dict[str, str] | list[tuple[str, str]] | tuple[tuple[str, str], ...],
) -> str:
    """Add arguments to a URL, whether or not it has a query already.

    ``args`` is a dictionary, or a list or tuple of pairs where a name may come more than once.

    >>> url_concat("http://localhost/search#top", {"q": "a b"})
    'http://localhost/search?q=a+b#top'
    >>> url_concat("/search?q=a", [("page", "1"), ("page", "2")])
    '/search?q=a&page=1&page=2'
    """
    if args is None:
        return url
    if not isinstance(args, (dict, list, tuple)):
        raise TypeError(f"'args' parameter should be dict, list or tuple. Not {type(args)}")
    parts = urlparse(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query.extend(args.items() if isinstance(args, dict) else args)
    return urlunparse(parts._replace(query=urlencode(query)))


_HOST_AND_PORT = regex(r"(.+):(\d+)$")


def split_host_and_port(netloc: str) -> tuple[str, int | None]:
    """Take ``host:port`` apart; the port is None if there is none.

    >>> split_host_and_port("[::1]:8080"), split_host_and_port("localhost")
    (('[::1]', 8080), ('localhost', None))
    """
    match = _HOST_AND_PORT.match(netloc)
    return (match[1], int(match[2])) if match else (netloc, None)


def qs_to_qsl(qs: Mapping[str, Iterable[AnyStr]]) -> Iterable[tuple[str, AnyStr]]:
    """The pairs of a dictionary as ``parse_qs`` makes them."""
    return ((name, value) for name, values in qs.items() for value in values)
