"""Futures of both kinds, asyncio's and those of thread pools."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Any, TypeVar, overload

_T = TypeVar("_T")

Future = asyncio.Future
#: What counts as a future: asyncio's kind and the kind that thread pools return.
FUTURES = (futures.Future, Future)

AnyFuture = asyncio.Future[_T] | futures.Future[_T]

app_log = logging.getLogger("tornado.application")


class ReturnValueIgnoredError(Exception):
    """Nothing raises it any more."""


def is_future(x: Any) -> bool:
    """Whether ``x`` is an asyncio or a concurrent future."""
    return isinstance(x, FUTURES)


class DummyExecutor(futures.Executor):
    """An executor that runs what it is given at once, in the calling thread."""

    def submit(  # type: ignore[override]
        self, fn: Callable[..., _T], *args: Any, **kwargs: Any
    ) -> futures.Future[_T]:
        """Call ``fn`` and return a future that is done with what came of it."""
        future: futures.Future[_T] = futures.Future()
        try:
            result = fn(*args, **kwargs)
        except Exception as e:
            future_set_exception_unless_cancelled(future, e)
        else:
            future_set_result_unless_cancelled(future, result)
        return future

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """Do nothing."""


dummy_executor = DummyExecutor()


def run_on_executor(*args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Decorate a method to run on the executor of its object; calls return an asyncio future.

    With or without parentheses.

    :param executor: the name of the attribute that holds the executor. Default ``"executor"``.
    :raises ValueError: it is given anything else.
    """
    if args and kwargs:
        raise ValueError("cannot combine positional and keyword args")
    if len(args) > 1:
        raise ValueError(f"expected 1 argument, got {len(args)}")
    attribute = kwargs.get("executor", "executor")

    def decorate(method: Callable[..., Any]) -> Callable[..., asyncio.Future[Any]]:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
            outcome: asyncio.Future[Any] = Future()
            chain_future(getattr(self, attribute).submit(method, self, *args, **kwargs), outcome)
            return outcome

        return call

    return decorate(args[0]) if args else decorate


def chain_future(a: AnyFuture[_T], b: AnyFuture[_T]) -> None:
    """Copy the outcome of ``a`` (result, exception or cancellation) to ``b``, unless ``b`` is done by then.

    Where ``a`` comes from a thread pool, the copying happens on the current IOLoop.
    """

    def copy(source: AnyFuture[_T]) -> None:
        if b.done():
            return
        if source.cancelled():
            b.cancel()
            return
        # Futures of other libraries may have this instead.
        exc_info = source.exc_info() if hasattr(source, "exc_info") else None
        error = exc_info[1] if exc_info is not None else source.exception()
        if error is None:
            b.set_result(source.result())
        else:
            b.set_exception(error)

    if isinstance(a, Future):
        future_add_done_callback(a, copy)
    else:
        current_ioloop().add_future(a, copy)


def future_set_result_unless_cancelled(future: AnyFuture[_T], value: _T) -> None:
    """Complete ``future`` with ``value``; a cancelled future is left alone."""
    if not future.cancelled():
        future.set_result(value)


def future_set_exception_unless_cancelled(future: AnyFuture[_T], exc: BaseException) -> None:
    """Fail ``future`` with ``exc``; where it was cancelled, the exception is logged instead."""
    if future.cancelled():
        app_log.error("Exception after Future was cancelled", exc_info=exc)
    else:
        future.set_exception(exc)


def future_set_exc_info(
    future: AnyFuture[_T],
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None],
) -> None:
    """Fail ``future`` with the exception of what ``sys.exc_info()`` returned, unless it was cancelled.

    :raises Exception: there is none.
    """
    if exc_info[1] is None:
        raise Exception("future_set_exc_info called with no exception")
    future_set_exception_unless_cancelled(future, exc_info[1])


@overload
def future_add_done_callback(
    future: futures.Future[_T], callback: Callable[[futures.Future[_T]], object]
) -> None: ...
@overload
def future_add_done_callback(
    future: asyncio.Future[_T], callback: Callable[[asyncio.Future[_T]], object]
) -> None: ...
def future_add_done_callback(future: Any, callback: Callable[[Any], object]) -> None:
    """Run ``callback(future)`` when ``future`` is done: at once where it already is."""
    if future.done():
        callback(future)
    else:
        future.add_done_callback(callback)


def current_ioloop() -> Any:
    """Return the calling thread's IOLoop; the loop's module is imported at the first use only."""
    module: Any = importlib.import_module("tornado_c.ioloop")
    return module.IOLoop.current()
