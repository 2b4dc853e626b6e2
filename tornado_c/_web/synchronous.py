"""Handlers without an event loop: coroutines are run on the spot, and must not wait."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any


class Unfinished(Exception):
    """A coroutine waits for something."""


class _Finished(concurrent.futures.Future[None]):
    """A Future of no loop that is done, which coroutines of both kinds take for one of theirs."""

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value]


FINISHED = _Finished()
FINISHED.set_result(None)


class _Nowhere(asyncio.AbstractEventLoop):
    """In the place of a thread's loop: Futures are made and completed, what is to run later never does."""

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        return asyncio.Handle(callback, args, self, context)

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return asyncio.TimerHandle(when, callback, args, self, context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **kwargs)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        logging.getLogger("asyncio").error(context["message"], exc_info=context.get("exception"))

    def time(self) -> float:
        return time.monotonic()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False


def _has_loop() -> bool:
    """Whether this thread, which is not the main one, has a loop."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:
        return False
    return True


_in_force: ContextVar[bool] = ContextVar("tornado_c synchronous", default=False)


@contextlib.contextmanager
def synchronously() -> Iterator[None]:
    """Run handlers of foreign connections like this for a while, in this context."""
    nowhere = threading.current_thread() is not threading.main_thread() and not _has_loop()
    if nowhere:
        asyncio.set_event_loop(_Nowhere())  # type: ignore[abstract]
    token = _in_force.set(True)
    try:
        yield
    finally:
        _in_force.reset(token)
        if nowhere:
            asyncio.set_event_loop(None)


def is_synchronous() -> bool:
    """Whether handlers are run like this here."""
    return _in_force.get()


def run_now(coroutine: Any) -> None:
    """Run a coroutine to its end.

    :raises Unfinished: it waits, and was closed.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise Unfinished()
