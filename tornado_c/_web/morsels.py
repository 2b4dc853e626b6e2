"""A cookie of a response. Apart from cookies.py, since :mod:`http.cookies` takes long to import."""

from __future__ import annotations

from collections.abc import Container
from http.cookies import Morsel
from http.cookies import SimpleCookie as SimpleCookie
from typing import Any


class Cookie(Morsel[str]):
    """A Morsel that holds the attributes that were set. One of :mod:`http.cookies` has all of them, mostly
    blank, and looks at each where it is made and where it is sent."""

    __init__ = dict.__init__  # type: ignore[assignment]

    def __setitem__(self, attribute: str, value: Any) -> None:
        if attribute == "path" and value == "/":  # which nearly all have
            dict.__setitem__(self, attribute, value)
        else:
            super().__setitem__(attribute, value)

    def OutputString(self, attrs: Container[str] | None = None) -> str:
        if attrs is None and len(self) == 1 and self["path"] == "/":
            return f"{self.key}={self.coded_value}; Path=/"
        return super().OutputString(attrs)

    def __missing__(self, attribute: str) -> str:
        if attribute not in self._reserved:  # type: ignore[attr-defined]
            raise KeyError(attribute)
        return ""
