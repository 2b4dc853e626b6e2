"""Static files with the versions that browsers and proxies have of them since Tornado 2."""

from __future__ import annotations

from types import ModuleType

from tornado_c._swap.generation import Changes
from tornado_c._web import static


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.web``."""
    changes.set(static, "_VERSION_HASH", "md5")
