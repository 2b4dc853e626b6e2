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
            self._locale = self.get_user_locale() or self.get_browser_locale()
        return self._locale

    @locale.setter
    def locale(self, value: Locale) -> None:
        self._locale = value

    def get_user_locale(self) -> Locale | None:
        """Find out the user's locale. May be overridden."""
        return None

    def get_browser_locale(self, default: str = "en_US") -> Locale:
        """Return the known locale that Accept-Language prefers."""
        known = require_tornado("a locale", "tornado.locale")
        wanted = []
        for language in self.request.headers.get("Accept-Language", "").split(","):
            code, _, parameters = language.strip().partition(";")
            quality = parameters.split(";")[0].strip()
            score = 1.0
            if quality.startswith("q="):
                try:
                    score = float(quality[2:])
                except ValueError:
                    score = 0.0
            if code and score > 0:
                wanted.append((code, score))
        wanted.sort(key=lambda pair: pair[1], reverse=True)
        return known.get(*([code for code, _ in wanted] or [default]))
