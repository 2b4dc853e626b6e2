"""Futures of both kinds, asyncio's and those of thread pools, as in ``tornado.concurrent``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import logging
from collections.abc import Callable
from typing import Any

Future = asyncio.Future
#: What counts as a future: asyncio's kind and the kind that thread pools return.
FUTURES = (concurrent.futures.Future, asyncio.Future)

AnyFuture = asyncio.Future[Any] | concurrent.futures.Future[Any]

_app_log = logging.getLogger("tornado.application")


def is_future(x: Any) -> bool:
    """Whether ``x`` is an asyncio or a concurrent future."""
    return isinstance(x, FUTURES)


def future_set_result_unless_cancelled(future: AnyFuture, value: Any) -> None:
    """Complete ``future`` with ``value``; a cancelled future is left alone."""
    if not future.cancelled():
        future.set_result(value)


def future_set_exception_unless_cancelled(future: AnyFuture, exc: BaseException) -> None:
    """Fail ``future`` with ``exc``; where it was cancelled, the exception is logged instead."""
    if future.cancelled():
        _app_log.error("Exception after Future was cancelled", exc_info=exc)
    else:
        future.set_exception(exc)


def future_add_done_callback(future: AnyFuture, callback: Callable[[Any], object]) -> None:
    """Run ``callback(future)`` when ``future`` is done: at once where it already is."""
    if future.done():
        callback(future)
    else:
        future.add_done_callback(callback)


def chain_future(a: AnyFuture, b: AnyFuture) -> None:
    """Copy the outcome of ``a`` (result, exception or cancellation) to ``b``, unless ``b`` is done by then.

    Where ``a`` comes from a thread pool, the copying happens on the current IOLoop.
    """

    def copy(source: AnyFuture) -> None:
        if b.done():
            return
        if source.cancelled():
            b.cancel()
            return
        exc = source.exception()
        if exc is None:
            b.set_result(source.result())
        else:
            b.set_exception(exc)

    if isinstance(a, asyncio.Future):
        future_add_done_callback(a, copy)
    else:
        current_ioloop().add_future(a, copy)


def current_ioloop() -> Any:
    """Return the calling thread's IOLoop; the loop's module is imported at the first use only."""
    module: Any = importlib.import_module("tornado_c.ioloop")
    return module.IOLoop.current()
