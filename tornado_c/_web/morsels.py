"""A cookie of a response. Apart from cookies.py, since :mod:`http.cookies` takes long to import."""

from __future__ import annotations

from http.cookies import Morsel
from http.cookies import SimpleCookie as SimpleCookie


class Cookie(Morsel[str]):
    """A Morsel that holds the attributes that were set. One of :mod:`http.cookies` has all of them, mostly
    blank, and looks at each where it is made and where it is sent."""

    __init__ = dict.__init__  # type: ignore[assignment]

    def __missing__(self, attribute: str) -> str:
        if attribute not in self._reserved:  # type: ignore[attr-defined]
            raise KeyError(attribute)
        return ""
