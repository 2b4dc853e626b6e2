"""Handlers whose ``get`` need not be awaited, and ends the request itself where there is no WebSocket."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._generation4.begun import answer
from tornado_c._swap.generation import Changes
from tornado_c._websocket import handler


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.websocket``."""
    get_plain = module.WebSocketHandler.get

    async def get_and_finish(self: Any, *args: str, **kwargs: str) -> None:
        await get_plain(self, *args, **kwargs)
        if not self._finished:
            self.finish()

    def get(self: Any, *args: str, **kwargs: str) -> Any:
        """Answer the handshake, and open the connection."""
        self._auto_finish = False
        return answer(self, get, get_and_finish(self, *args, **kwargs))

    changes.set(module.WebSocketHandler, "get", get)
    changes.set(handler, "_own_get", get)
