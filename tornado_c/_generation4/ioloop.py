"""Loops that can be started while another runs, whose ``spawn_callback`` leaves stack contexts behind, and
periodic callbacks that are called in their own turn."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from tornado_c._support import stack
from tornado_c._swap.generation import Changes


def _run_periodic(self: Any) -> asyncio.Future[None]:
    """Call the callback of a ``PeriodicCallback``, now, and begin to wait for what it returns.

    :returns: a Future that is done when the next call has been scheduled.
    """
    result = None
    try:
        if self._running:
            result = self.callback()
    except Exception:
        self.io_loop.handle_callback_exception(self.callback)
    if inspect.isawaitable(result):
        return asyncio.ensure_future(_wait_periodic(self, result), loop=self.io_loop.asyncio_loop)
    self._schedule_next()
    done: asyncio.Future[None] = self.io_loop.asyncio_loop.create_future()
    done.set_result(None)
    return done


async def _wait_periodic(self: Any, result: Awaitable[Any]) -> None:
    try:
        await result
    except Exception:
        self.io_loop.handle_callback_exception(self.callback)
    finally:
        self._schedule_next()


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

    def handler_failed(self: Any, handler: Any) -> bool:
        """Tell handle_callback_exception, replaced or not."""
        self.handle_callback_exception(handler)
        return True

    changes.set(module.IOLoop, "start", start)
    changes.set(module.IOLoop, "_handler_failed", handler_failed)
    changes.set(module.IOLoop, "spawn_callback", spawn_callback)
    changes.set(module.PeriodicCallback, "_run", _run_periodic)


def _set_task(loop: asyncio.AbstractEventLoop, inside: Any, task: Any) -> None:
    """Set the Task that is inside a step, where one is. Each loop has its own before Python 3.12."""
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    if swap is not None and inside is not None:
        swap(loop, task)
