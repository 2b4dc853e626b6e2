"""Static files with the versions that browsers and proxies have of them since Tornado 2, and short 304s."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._swap.generation import Changes
from tornado_c._web import static


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.web``."""
    changes.set(static, "_VERSION_HASH", "md5")
    handler = module.RequestHandler
    clear_plain = handler._clear_representation_headers

    def _clear_representation_headers(self: Any) -> None:
        """Drop the headers that describe a body, of a 304 the time of its change as well."""
        clear_plain(self)
        if self.get_status() == 304:
            self.clear_header("Last-Modified")

    changes.set(handler, "_clear_representation_headers", _clear_representation_headers)
