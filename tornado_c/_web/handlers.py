"""The handlers that come with the core: an error page, a redirect, another callable."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

from tornado_c import httputil
from tornado_c._web.errors import HTTPError
from tornado_c._web.handler import RequestHandler
from tornado_c._web.urls import _scheme_and_netloc


class ErrorHandler(RequestHandler):
    """Responds to every request with an error page."""

    def initialize(self, status_code: int) -> None:
        self.set_status(status_code)

    def prepare(self) -> None:
        raise HTTPError(self._status_code)

    def check_xsrf_cookie(self) -> None:
        """Nothing is changed here, so a wrong URL is 404 and not 403."""

    def check_trusted_origin(self, origin: str) -> bool:
        return True


class RedirectHandler(RequestHandler):
    """Redirects every GET to a URL, with the request's query.

    These are keyword arguments of the route:

    :param url: where to. ``{0}``, ``{name}`` in it are replaced (``str.format``) with what the groups of the
        route matched; they may not change scheme or host.
    :param permanent: 301, else 302; default True.
    """

    def initialize(self, url: str, permanent: bool = True) -> None:
        self._url = url
        self._permanent = permanent

    def get(self, *args: Any, **kwargs: Any) -> None:
        """Redirect, or respond with 400 where the client's part of the path would change the host."""
        url = self._url.format(*args, **kwargs)
        query = self.request.query_arguments
        fixed, substituted = _before_first_field(self._url)
        try:
            if query:
                pairs: Any = httputil.qs_to_qsl(query)  # bytes, which urlencode takes as well
                url = httputil.url_concat(url, list(pairs))
            scheme, netloc = _scheme_and_netloc(fixed)
            good = _scheme_and_netloc(url) == (scheme, netloc)
            if substituted and scheme in ("http", "https") and not netloc:
                good = False  # the host would be the client's choice
        except ValueError:
            good = False
        if not good:
            raise HTTPError(400, "Redirect URL cannot change the scheme or netloc")
        if httputil._FORBIDDEN_HEADER_CHARS_RE.search(url):
            raise HTTPError(400, "Redirect URL contains invalid characters")
        self.redirect(url, permanent=self._permanent)


def _before_first_field(template: str) -> tuple[str, bool]:
    """The text of a format string before its first field, and whether it has one."""
    text = ""
    for literal, field, _, _ in string.Formatter().parse(template):
        text += literal
        if field is not None:
            return text, True
    return text, False


class FallbackHandler(RequestHandler):
    """Hands the request to another callable.

    :param fallback: the callable, a keyword argument of the route.
    """

    def initialize(self, fallback: Callable[[httputil.HTTPServerRequest], None]) -> None:
        self.fallback = fallback

    def prepare(self) -> None:
        self.fallback(self.request)
        self._finished = True
        self.on_finish()
