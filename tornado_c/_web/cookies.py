"""The cookies of a handler."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any, overload

from tornado_c import httputil
from tornado_c._support.regex import regex
from tornado_c._web import signed
from tornado_c.escape import native_str

if TYPE_CHECKING:
    import datetime
    import http.cookies

    from tornado_c._web.application import Application

_COOKIE_VALUE_CONTROLS = regex(r"[\x00-\x20]")
_COOKIE_ATTRIBUTE_CONTROLS = regex(r"[\x00-\x20\x3b\x7f]")


def _check_cookie(name: str, attributes: dict[str, str | None], others: dict[str, Any]) -> None:
    """Raise CookieError for control characters, spaces and semicolons in what a cookie's attributes are."""
    texts = attributes | {key: str(value) for key, value in others.items()}
    for attribute, text in texts.items():
        if text is not None and _COOKIE_ATTRIBUTE_CONTROLS.search(text):
            from http.cookies import CookieError

            shown = others.get(attribute, text)
            raise CookieError(f"Invalid cookie attribute {attribute}={shown!r} for cookie {name!r}")


@functools.cache
def _morsels() -> Any:
    """The module, which takes long to import."""
    from tornado_c._web import morsels

    return morsels


class CookieMixin:
    """Cookies of the request, and of the response."""

    application: Application
    request: httputil.HTTPServerRequest
    _new_cookie: http.cookies.SimpleCookie

    if TYPE_CHECKING:

        def require_setting(self, name: str, feature: str = "this feature") -> None: ...

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
        value = httputil._find_cookie(self.request, name)
        return default if value is None else value

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
        if not isinstance(name, str) or not isinstance(value, str):
            name, value = native_str(name), native_str(value)
        if _COOKIE_VALUE_CONTROLS.search(value):
            raise ValueError(f"Invalid cookie {name!r}: {value!r}")
        if kwargs or domain or samesite or path != "/" or _COOKIE_ATTRIBUTE_CONTROLS.search(name):
            _check_cookie(name, {"name": name, "domain": domain, "path": path, "samesite": samesite}, kwargs)
        morsel = self._replace_cookie(name, value)
        if domain:
            morsel["domain"] = domain
        if expires_days is not None and not expires:
            import datetime

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

    def _replace_cookie(self, name: str, value: str) -> Any:
        """A cookie without attributes in the place of one of that name, and the last one to be sent."""
        morsels = _morsels()
        cookies = getattr(self, "_new_cookie", None)
        if cookies is None:
            cookies = self._new_cookie = morsels.SimpleCookie()
        else:
            cookies.pop(name, None)
        morsel = morsels.Cookie()
        morsel.set(name, *cookies.value_encode(value))
        cookies[name] = morsel
        return morsel

    def clear_cookie(self, name: str, **kwargs: Any) -> None:
        """Have the client forget a cookie. Domain, path and the like must be those it was set with."""
        for refused in ("expires", "max_age"):
            if refused in kwargs:
                raise TypeError(f"clear_cookie() got an unexpected keyword argument '{refused}'")
        import datetime

        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)
        self.set_cookie(name, value="", expires=long_ago, **kwargs)

    def clear_all_cookies(self, **kwargs: Any) -> None:
        """Have the client forget every cookie that it sent."""
        for name in self.request.cookies:
            self.clear_cookie(name, **kwargs)

    # ---- signed cookies ----

    def create_signed_value(self, name: str, value: str | bytes, version: int | None = None) -> bytes:
        """Return ``value`` signed with the setting ``cookie_secret``, for this name and as of now.

        Where that setting is a dict, the one of its keys is taken that the setting ``key_version`` names.

        :param version: of the format; see :func:`create_signed_value`.
        """
        self.require_setting("cookie_secret", "secure cookies")
        settings = self.application.settings
        secret, key_version = settings["cookie_secret"], None
        if isinstance(secret, dict):
            key_version = settings.get("key_version")
            if key_version is None:
                raise Exception("key_version setting must be used for secret_key dicts")
        return signed.create_signed_value(secret, name, value, version=version, key_version=key_version)

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Set a cookie that its reader can trust: the value, any bytes, is signed. It is not hidden.

        :param expires_days: how long the client keeps it; None: until it ends.
        :param version: of the format; see :func:`create_signed_value`.
        :param kwargs: see :meth:`set_cookie`.
        """
        value = self.create_signed_value(name, value, version=version)
        self.set_cookie(name, value, expires_days=expires_days, **kwargs)

    def get_signed_cookie(
        self,
        name: str,
        value: str | None = None,
        max_age_days: float = 31,
        min_version: int | None = None,
    ) -> bytes | None:
        """Return what a signed cookie holds, or None unless its signature is good and not too old.

        :param value: a signed value from elsewhere; default: the request's cookie.
        :param max_age_days: since it was signed, whatever the client was told.
        :param min_version: of the format; see :func:`decode_signed_value`.
        """
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        secret = self.application.settings["cookie_secret"]
        return signed.decode_signed_value(
            secret, name, value, max_age_days=max_age_days, min_version=min_version
        )

    def get_signed_cookie_key_version(self, name: str, value: str | None = None) -> int | None:
        """Return the version of the key that a signed cookie claims to be signed with; nothing is verified.

        :param value: a signed value from elsewhere; default: the request's cookie.
        """
        self.require_setting("cookie_secret", "secure cookies")
        if value is None:
            value = self.get_cookie(name)
        return None if value is None else signed.get_signature_key_version(value)

    # The names before Tornado 6.3.
    set_secure_cookie = set_signed_cookie
    get_secure_cookie = get_signed_cookie
    get_secure_cookie_key_version = get_signed_cookie_key_version
