"""Static files with the versions that browsers and proxies have of them since Tornado 2, and short 304s; they
are sent by a method that need not be awaited."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._generation4.begun import answer
from tornado_c._swap.generation import Changes
from tornado_c._web import static


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.web``."""
    changes.set(static, "_VERSION_HASH", "md5")
    get_plain, head = module.StaticFileHandler.get, module.StaticFileHandler.head

    def get(self: Any, path: str, include_body: bool = True) -> Any:
        """Respond with the file; with ``include_body=False`` only with its headers."""
        own = head if self.request.method == "HEAD" else get
        return answer(self, own, get_plain(self, path, include_body))

    changes.set(module.StaticFileHandler, "get", get)
    handler = module.RequestHandler
    clear_plain = handler._clear_representation_headers

    def _clear_representation_headers(self: Any) -> None:
        """Drop the headers that describe a body, of a 304 the time of its change as well."""
        clear_plain(self)
        if self.get_status() == 304:
            self.clear_header("Last-Modified")

    changes.set(handler, "_clear_representation_headers", _clear_representation_headers)
