"""The locale of a handler's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_c import httputil
from tornado_c._support.optional import require_tornado

if TYPE_CHECKING:
    from tornado.locale import Locale


class LocaleMixin:
    """The language that a response is for."""

    request: httputil.HTTPServerRequest

    @property
    def locale(self) -> Locale:
        """The locale: what was assigned here, or get_user_locale(), or get_browser_locale()."""
        if not hasattr(self, "_locale"):
            chosen = self.get_user_locale()
            self._locale = self.get_browser_locale() if chosen is None else chosen
        return self._locale

    @locale.setter
    def locale(self, value: Locale) -> None:
        self._locale = value

    def get_user_locale(self) -> Locale | None:
        """Find out the user's locale. May be overridden."""
        return None

    def get_browser_locale(self, default: str = "en_US") -> Locale:
        """Return the known locale that comes closest to what Accept-Language prefers.

        :param default: the code of the locale where the header has none; default ``"en_US"``.
        :raises ImportError: Tornado, whose locales these are, is not installed.
        """
        known = require_tornado("a locale", "tornado.locale")
        header = self.request.headers.get("Accept-Language")
        wanted = []
        for language in [] if header is None else header.split(","):
            code, *parameters = language.strip().split(";")
            quality = _quality(parameters[0].strip()) if parameters else 1.0
            if quality > 0:
                wanted.append((code, quality))
        wanted.sort(key=lambda pair: pair[1], reverse=True)
        return known.get(*[code for code, _ in wanted] or [default])


def _quality(parameter: str) -> float:
    """The weight of a language: 1 where the parameter is another, 0 where it is malformed."""
    if not parameter.startswith("q="):
        return 1.0
    try:
        return float(parameter[2:])
    except ValueError:
        return 0.0
