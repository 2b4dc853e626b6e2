"""Loops that can be started while another runs, and whose ``spawn_callback`` leaves stack contexts behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado_c._support import stack
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.ioloop``."""
    start_plain = module.IOLoop.start

    def start(self: Any) -> None:
        """Run until stop() is called. Another loop that runs in this thread waits meanwhile."""
        running = asyncio._get_running_loop()
        if running is None or running is self.asyncio_loop:
            start_plain(self)
            return
        task = asyncio.current_task(running)
        _set_task(running, task, None)
        asyncio._set_running_loop(None)
        try:
            start_plain(self)
        finally:
            asyncio._set_running_loop(running)
            _set_task(running, task, task)

    def spawn_callback(self: Any, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As add_callback, but what the callback raises is logged, whatever contexts there are."""
        stack.outside(self.add_callback, callback, *args, **kwargs)

    changes.set(module.IOLoop, "start", start)
    changes.set(module.IOLoop, "spawn_callback", spawn_callback)


def _set_task(loop: asyncio.AbstractEventLoop, inside: Any, task: Any) -> None:
    """Set the Task that is inside a step, where one is. Each loop has its own before Python 3.12."""
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    if swap is not None and inside is not None:
        swap(loop, task)
