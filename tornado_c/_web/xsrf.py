"""Protection of a handler against requests that another site makes a browser send."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado_c import httputil
from tornado_c._web.errors import HTTPError, not_yet

if TYPE_CHECKING:
    from tornado_c._web.application import Application


class XsrfMixin:
    """Tokens against cross-site requests, and the check of their origin."""

    application: Application
    request: httputil.HTTPServerRequest

    # ---- cross-site requests ----

    @property
    def xsrf_token(self) -> bytes:
        """Not supported yet: the token that forms must send back."""
        not_yet("xsrf_token", "use the setting cross_origin_protection, which needs no token")

    def xsrf_form_html(self) -> str:
        """Not supported yet: the field of a form that holds the token."""
        not_yet("xsrf_form_html()", "use the setting cross_origin_protection, which needs no token")

    def check_xsrf_cookie(self) -> None:
        """Called for requests that change something, with the setting ``xsrf_cookies``. May be overridden."""
        not_yet("the setting xsrf_cookies", "use cross_origin_protection, or override check_xsrf_cookie()")

    def _cross_origin_protection(self) -> None:
        if self.request.method in ("HEAD", "OPTIONS", "GET"):
            return
        settings = self.application.settings
        if settings.get("xsrf_cookies"):
            self.check_xsrf_cookie()
        if settings.get("cross_origin_protection"):
            error = self._check_cross_origin(self.check_trusted_origin)
            if error is not None:
                raise HTTPError(403, error)

    def _check_cross_origin(self, check: Callable[[str], bool]) -> str | None:
        """Return why the request is refused, or None. ``check`` is asked about origins other than our own."""
        headers = self.request.headers
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site in ("same-origin", "none"):
            return None
        if site is None:
            # Not a browser, an old one, or no TLS. Browsers would send the origin.
            if origin is None or self._origin_matches_host(origin) or check(origin):
                return None
            return f"Origin {origin!r} not allowed"
        if origin and check(origin):
            return None
        return f"Sec-Fetch-Site {site} & origin {origin!r} not allowed"

    def _origin_matches_host(self, origin: str) -> bool:
        host = self.request.headers.get("Host", "").lower()
        return bool(urllib.parse.urlsplit(origin).netloc.lower() == host)

    def check_trusted_origin(self, origin: str) -> bool:
        """Whether another site may send requests that change something: it is in ``trusted_origins``.

        Called before prepare(), if the setting ``cross_origin_protection`` is on. May be overridden.
        """
        return origin in self.application.settings.get("trusted_origins", [])
