"""Protection of a handler against requests that another site makes a browser send.

The token is random, in a cookie that other sites cannot read. A form sends it back, under a mask that is
another each time, so that the length of a compressed page does not give it away.
"""

from __future__ import annotations

import binascii
import os
import time
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tornado_c import httputil
from tornado_c._http.headers import peek_headers
from tornado_c._web.errors import HTTPError
from tornado_c._web.signed import _signed_value_version_re, same_digest
from tornado_c.escape import utf8, xhtml_escape
from tornado_c.log import gen_log
from tornado_c.util import _websocket_mask

if TYPE_CHECKING:
    from tornado_c._web.application import Application

_TOKEN_SIZE = 16
_MASK_SIZE = 4


class XsrfMixin:
    """Tokens against cross-site requests, and the check of their origin."""

    application: Application
    request: httputil.HTTPServerRequest

    if TYPE_CHECKING:
        get_argument: Callable[..., str | None]
        get_cookie: Callable[..., str | None]
        set_cookie: Callable[..., None]

        @property
        def settings(self) -> dict[str, Any]: ...

        @property
        def current_user(self) -> Any: ...

    # ---- tokens ----

    @property
    def xsrf_token(self) -> bytes:
        """The token that requests which change something must send back; ASCII, another text each time.

        The client is given the cookie that belongs to it unless it sent one. The settings are
        ``xsrf_cookie_name``, ``xsrf_cookie_version`` (2, or 1 without a mask), and ``xsrf_cookie_kwargs``
        for :meth:`set_cookie`.
        """
        if not hasattr(self, "_xsrf_token"):
            self._xsrf_token = self._make_xsrf_token()
        return self._xsrf_token

    def _make_xsrf_token(self) -> bytes:
        settings = self.settings
        known, token, timestamp = self._get_raw_xsrf_token()
        version = settings.get("xsrf_cookie_version", 2)
        if version == 1:
            text = token.hex()
        elif version == 2:
            mask = os.urandom(_MASK_SIZE)
            text = f"2|{mask.hex()}|{_websocket_mask(mask, token).hex()}|{int(timestamp)}"
        else:
            raise ValueError(f"unknown xsrf cookie version {version:d}")
        shown = utf8(text)
        if known is None:
            options = dict(settings.get("xsrf_cookie_kwargs", {}))
            if self.current_user and "expires_days" not in options:
                options["expires_days"] = 30
            self.set_cookie(settings.get("xsrf_cookie_name", "_xsrf"), shown, **options)
        return shown

    def _get_raw_xsrf_token(self) -> tuple[int | None, bytes, float]:
        """Return version, token and time of the request's cookie; a new token has None for its version."""
        if not hasattr(self, "_raw_xsrf_token"):
            cookie = self.get_cookie(self.settings.get("xsrf_cookie_name", "_xsrf"))
            version, token, timestamp = self._decode_xsrf_token(cookie) if cookie else (None, None, None)
            if token is None or timestamp is None:
                version, token, timestamp = None, os.urandom(_TOKEN_SIZE), time.time()
            self._raw_xsrf_token = version, token, timestamp
        return self._raw_xsrf_token

    def _decode_xsrf_token(self, cookie: str) -> tuple[int | None, bytes | None, float | None]:
        """Return version, token and time that a text holds; None for each where it is malformed."""
        try:
            numbered = _signed_value_version_re.match(utf8(cookie))
            if numbered is None:
                return 1, _unhex_or_plain(utf8(cookie)), int(time.time())
            if numbered[1] != b"2":
                raise ValueError("Unknown xsrf cookie version")
            _, mask, token, timestamp = cookie.split("|")
            return 2, _websocket_mask(binascii.a2b_hex(mask), binascii.a2b_hex(token)), int(timestamp)
        except Exception:
            gen_log.debug("Uncaught exception in _decode_xsrf_token", exc_info=True)
            return None, None, None

    def check_xsrf_cookie(self) -> None:
        """Called for requests that change something, with the setting ``xsrf_cookies``. May be overridden.

        The request must have the token in an argument ``_xsrf``, or in the header X-XSRFToken or X-CSRFToken.

        :raises HTTPError: it has none, or another than the cookie: status 403.
        """
        given = (
            self.get_argument("_xsrf", None)
            or self.request.headers.get("X-Xsrftoken")
            or self.request.headers.get("X-Csrftoken")
        )
        if not given:
            raise HTTPError(403, "'_xsrf' argument missing from POST")
        token = self._decode_xsrf_token(given)[1]
        expected = self._get_raw_xsrf_token()[1]
        if not token:
            raise HTTPError(403, "'_xsrf' argument has invalid format")
        if not same_digest(utf8(token), utf8(expected)):
            raise HTTPError(403, "XSRF cookie does not match POST argument")

    def xsrf_form_html(self) -> str:
        """Return the hidden field that a form sends the token back with."""
        return f'<input type="hidden" name="_xsrf" value="{xhtml_escape(self.xsrf_token)}"/>'

    # ---- cross-site requests ----

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
        headers = peek_headers(self.request)
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
        host = peek_headers(self.request).get("Host", "").lower()
        return bool(urllib.parse.urlsplit(origin).netloc.lower() == host)

    def check_trusted_origin(self, origin: str) -> bool:
        """Whether another site may send requests that change something: it is in ``trusted_origins``.

        Called before prepare(), if the setting ``cross_origin_protection`` is on. May be overridden.
        """
        return origin in self.application.settings.get("trusted_origins", [])


def _unhex_or_plain(text: bytes) -> bytes:
    """The token of a cookie of version 1, which may be any text."""
    try:
        return binascii.a2b_hex(text)
    except binascii.Error:
        return text
