"""Connections of clients that read their response without being awaited, and bodies whose chunks are seen."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c import gen
from tornado_c._support import generations
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.http1connection``."""
    read_plain = module.HTTP1Connection.read_response

    @gen.coroutine
    def read_response(self: Any, delegate: Any) -> Any:
        """Read a response. It begins at once, and returns a Future."""
        goes_on = yield read_plain(self, delegate)
        return goes_on

    changes.set(module.HTTP1Connection, "read_response", read_response)
    changes.set(generations, "chunks_are_seen", True)
