"""Locales whose cache applications drop."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.locale``."""
    get_plain = module.Locale.get.__func__

    def get(cls: Any, code: str) -> Any:
        """Return the locale of this code. A cache that was deleted begins anew."""
        if not hasattr(cls, "_cache"):
            cls._cache = {}
        return get_plain(cls, code)

    changes.set(module.Locale, "get", classmethod(get))
