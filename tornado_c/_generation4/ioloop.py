"""Loops whose ``spawn_callback`` leaves the contexts of ``stack_context`` behind."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado_c._support import stack
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.ioloop``."""

    def spawn_callback(self: Any, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As add_callback, but what the callback raises is logged, whatever contexts there are."""
        stack.outside(self.add_callback, callback, *args, **kwargs)

    changes.set(module.IOLoop, "spawn_callback", spawn_callback)
