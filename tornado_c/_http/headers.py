"""HTTPHeaders: the Python class over the C base."""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from tornado_c import _core
from tornado_c._support.attributes import shown


class HTTPHeaders(_core.HeadersBase, collections.abc.MutableMapping[str, str]):
    """A mapping of header names to values that ignores the case of names and allows several values.

    Names are kept in ``Http-Header-Case``. Access by key joins the values of a header by commas;
    ``add``, ``get_list`` and ``get_all`` deal with them one by one.

    >>> headers = HTTPHeaders({"content-TYPE": "text/plain"})
    >>> headers["Content-Type"], list(headers)
    ('text/plain', ['Content-Type'])
    >>> headers.add("vary", "Accept")
    >>> headers.add("Vary", "Cookie")
    >>> headers["VARY"]
    'Accept,Cookie'
    >>> headers.get_list("vary")
    ['Accept', 'Cookie']
    >>> print(headers, end="")
    Content-Type: text/plain
    Vary: Accept
    Vary: Cookie
    """

    __dict__ = shown("_as_list", "_combined_cache")

    if TYPE_CHECKING:

        @overload
        def __init__(self, arg: Mapping[str, list[str]], /) -> None: ...
        @overload
        def __init__(self, arg: Mapping[str, str], /) -> None: ...
        @overload
        def __init__(self, *args: tuple[str, str]) -> None: ...
        @overload
        def __init__(self, **kwargs: str) -> None: ...
        def __init__(self, *args: Any, **kwargs: str) -> None: ...


def peek_headers(request: Any) -> HTTPHeaders:
    """Return the headers of a request to read them, not to keep them: where nobody has asked for them before,
    the request stays without.
    """
    headers: HTTPHeaders
    headers = request._peek_headers() if isinstance(request, _core.RequestBase) else request.headers
    return headers
