"""The cookies of a handler."""

from __future__ import annotations

import datetime
import http.cookies
import re
import warnings
from typing import Any, overload

from tornado_c import httputil
from tornado_c._web.errors import not_yet
from tornado_c.escape import native_str

_COOKIE_VALUE_CONTROLS = re.compile(r"[\x00-\x20]")
_COOKIE_ATTRIBUTE_CONTROLS = re.compile(r"[\x00-\x20\x3b\x7f]")


def _check_cookie(name: str, attributes: dict[str, str | None], others: dict[str, Any]) -> None:
    """Raise CookieError for control characters, spaces and semicolons in what a cookie's attributes are."""
    texts = attributes | {key: str(value) for key, value in others.items()}
    for attribute, text in texts.items():
        if text is not None and _COOKIE_ATTRIBUTE_CONTROLS.search(text):
            shown = others.get(attribute, text)
            raise http.cookies.CookieError(
                f"Invalid cookie attribute {attribute}={shown!r} for cookie {name!r}"
            )


class CookieMixin:
    """Cookies of the request, and of the response."""

    request: httputil.HTTPServerRequest
    _new_cookie: http.cookies.SimpleCookie

    # ---- cookies ----

    @property
    def cookies(self) -> dict[str, http.cookies.Morsel[str]]:
        """The cookies of the request."""
        return self.request.cookies

    @overload
    def get_cookie(self, name: str, default: str) -> str: ...

    @overload
    def get_cookie(self, name: str, default: None = None) -> str | None: ...

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a cookie that came with the request."""
        cookies = self.request.cookies
        return cookies[name].value if cookies is not None and name in cookies else default

    def set_cookie(
        self,
        name: str,
        value: str | bytes,
        domain: str | None = None,
        expires: float | tuple[Any, ...] | datetime.datetime | None = None,
        path: str = "/",
        expires_days: float | None = None,
        *,
        max_age: int | None = None,
        httponly: bool = False,
        secure: bool = False,
        samesite: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Set a cookie with the response. It is sent when the headers are.

        :param expires: a time in seconds, a time tuple or a datetime.
        :param expires_days: days from now, where ``expires`` is not given.
        :raises ValueError: control characters or spaces in the value.
        :raises http.cookies.CookieError: such, or a semicolon, in name or attributes.
        """
        name, value = native_str(name), native_str(value)
        if _COOKIE_VALUE_CONTROLS.search(value):
            raise ValueError(f"Invalid cookie {name!r}: {value!r}")
        _check_cookie(name, {"name": name, "domain": domain, "path": path, "samesite": samesite}, kwargs)
        if not hasattr(self, "_new_cookie"):
            self._new_cookie = http.cookies.SimpleCookie()
        self._new_cookie.pop(name, None)
        self._new_cookie[name] = value
        morsel: Any = self._new_cookie[name]
        if domain:
            morsel["domain"] = domain
        if expires_days is not None and not expires:
            expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=expires_days)
        if expires:
            morsel["expires"] = httputil.format_timestamp(expires)
        if path:
            morsel["path"] = path
        if max_age:
            morsel["max-age"] = str(int(max_age))  # int() keeps other attributes from being smuggled in
        if httponly:
            morsel["httponly"] = True
        if secure:
            morsel["secure"] = True
        if samesite:
            morsel["samesite"] = samesite
        if kwargs:
            for key, given in kwargs.items():
                morsel[key] = given
            warnings.warn(
                f"Deprecated arguments to set_cookie: {set(kwargs)} (should be lowercase)",
                DeprecationWarning,
                stacklevel=2,
            )

    def clear_cookie(self, name: str, **kwargs: Any) -> None:
        """Have the client forget a cookie. Domain, path and the like must be those it was set with."""
        for refused in ("expires", "max_age"):
            if refused in kwargs:
                raise TypeError(f"clear_cookie() got an unexpected keyword argument '{refused}'")
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)
        self.set_cookie(name, value="", expires=long_ago, **kwargs)

    def clear_all_cookies(self, **kwargs: Any) -> None:
        """Have the client forget every cookie that it sent."""
        for name in self.request.cookies:
            self.clear_cookie(name, **kwargs)

    def get_signed_cookie(
        self,
        name: str,
        value: str | None = None,
        max_age_days: float = 31,
        min_version: int | None = None,
    ) -> bytes | None:
        """Not supported yet: return a signed cookie's value if the signature holds."""
        not_yet("get_signed_cookie()", "use get_cookie()")

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Not supported yet: set a cookie that cannot be forged."""
        not_yet("set_signed_cookie()", "use set_cookie()")

    get_secure_cookie = get_signed_cookie
    set_secure_cookie = set_signed_cookie
