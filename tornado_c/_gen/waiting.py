"""What is waited for: what a coroutine may yield becomes a Future, and several Futures one."""

from __future__ import annotations

import asyncio
import collections
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from inspect import isawaitable
from typing import Any, cast

from tornado_c import _core
from tornado_c._support.generations import bind_arguments
from tornado_c.concurrent import (
    Future,
    chain_future,
    future_add_done_callback,
    future_set_result_unless_cancelled,
    is_future,
)
from tornado_c.ioloop import IOLoop
from tornado_c.log import app_log
from tornado_c.util import TimeoutError

_PACKAGE = __file__.rpartition("_gen")[0]
_Quiet = type[BaseException] | tuple[type[BaseException], ...]


class BadYieldError(Exception):
    """A coroutine has yielded what nothing is known to wait for."""


_create_future = _core.create_future


def create_traced_future() -> Future[Any]:
    """A Future whose traceback in debug mode ends where a coroutine is called."""
    future: Future[Any] = Future()
    traceback = getattr(future, "_source_traceback", None)
    while traceback and traceback[-1].filename.startswith(_PACKAGE):
        traceback.pop()
    return future


class _NullFuture:
    """Something that is done with None, on any loop."""

    def result(self) -> None:
        """Return None."""

    def done(self) -> bool:
        """Return True."""
        return True


_null_future = cast("Future[None]", _NullFuture())
#: What a generator yields to go on a turn later.
moment = cast("Future[None]", _NullFuture())


@functools.singledispatch
def convert_yielded(yielded: Any) -> Future[Any]:
    """The Future of what a coroutine has yielded; awaitables that have not begun do so.

    Other types are registered as with functools.singledispatch::

        @convert_yielded.register(Deferred)
        def _(deferred):
            return deferred.asFuture(asyncio.get_running_loop())

    :raises BadYieldError: it is nothing that can be waited for.
    """
    if yielded is None or yielded is moment:
        return moment
    if yielded is _null_future or is_future(yielded):
        return cast("Future[Any]", yielded)
    if isinstance(yielded, (list, dict)):
        return multi_future(yielded)
    if isawaitable(yielded):
        return _wrap_awaitable(yielded)
    raise BadYieldError(f"yielded unknown object {yielded!r}")


def _wrap_awaitable(awaitable: Awaitable[Any]) -> Future[Any]:
    future = asyncio.ensure_future(awaitable)
    loop = IOLoop.current()
    loop._register_task(future)
    future.add_done_callback(loop._unregister_task)
    return future


def maybe_future(x: Any) -> Future[Any]:
    """Return ``x`` if it is a Future, else one that is done with ``x``."""
    if is_future(x):
        return cast("Future[Any]", x)
    future: Future[Any] = _create_future()
    future.set_result(x)
    return future


def multi_future(children: Any, quiet_exceptions: _Quiet = ()) -> Future[Any]:
    """Wait for all of several things, none of which is a YieldPoint: see ``multi``, which is to be used."""
    keys = list(children) if isinstance(children, dict) else None
    futures = [convert_yielded(child) for child in (children if keys is None else children.values())]
    together = _create_future()
    waiting = dict.fromkeys(futures)

    def one_is_done(future: Future[Any]) -> None:
        waiting.pop(future, None)
        if not waiting:
            _set_together(together, keys, [each.result for each in futures], quiet_exceptions)

    if not futures:
        together.set_result([] if keys is None else {})
    for future in waiting.copy():
        if future.done() or isinstance(future, Future):
            future_add_done_callback(future, one_is_done)
        else:
            IOLoop.current().add_future(future, one_is_done)  # it will be done in another thread
    return together


def _set_together(
    together: Any,
    keys: list[Any] | None,
    results: Iterable[Callable[[], Any]],
    quiet: _Quiet,
) -> None:
    """Complete a Future with the results of several calls, or the first exception of any."""
    values = []
    for result in results:
        try:
            values.append(result())
        except (Exception, asyncio.CancelledError) as error:
            if not together.done():
                together.set_exception(error)
            elif not isinstance(error, asyncio.CancelledError) and not isinstance(error, quiet):
                app_log.error("Multiple exceptions in yield list", exc_info=True)
    if not together.done():
        together.set_result(values if keys is None else dict(zip(keys, values, strict=False)))


def with_timeout(timeout: float | timedelta, future: Any, *args: Any, **kwargs: Any) -> Future[Any]:
    """Wait for something that can be yielded, for some time. It is not cancelled afterwards.

    :param timeout: a time on the IOLoop's clock, in seconds, or a timedelta from now.
    :param quiet_exceptions: types of exceptions that are not logged where they come too late. Default: none.
    :param message: that of the TimeoutError, or a function that returns it. Default ``"Timeout"``.
    :param io_loop: whose timer it is. The third argument in Tornado 4. Default: the current one.
    :raises asyncio.TimeoutError: by the Future that is returned, when the time is over.
    """
    old = args and (args[0] is None or isinstance(args[0], IOLoop))
    order = ("io_loop", "quiet_exceptions") if old else ("quiet_exceptions", "io_loop")
    given = bind_arguments("with_timeout", order, args, kwargs, ("message",), before=2, required=2)
    quiet, message = given.get("quiet_exceptions", ()), given.get("message")
    io_loop = given.get("io_loop") or IOLoop.current()
    waited = convert_yielded(future)
    result = _create_future()
    chain_future(waited, result)

    def log_what_comes_late(late: Future[Any]) -> None:
        try:
            late.result()
        except asyncio.CancelledError:
            pass
        except Exception as error:
            if not isinstance(error, quiet):
                app_log.error("Exception in Future %r after timeout", late, exc_info=True)

    def time_out() -> None:
        if not result.done():
            text = message() if callable(message) else message
            result.set_exception(TimeoutError("Timeout" if text is None else text))
        future_add_done_callback(waited, log_what_comes_late)

    timer = io_loop.add_timeout(timeout, time_out)

    def end(_: Any) -> None:
        io_loop.remove_timeout(timer)

    if isinstance(waited, Future):
        future_add_done_callback(waited, end)
    else:
        io_loop.add_future(waited, end)  # it may be done in any thread
    return result


def sleep(duration: float) -> Future[None]:
    """A Future that is done after some time.

    :param duration: seconds.
    """
    future: Future[None] = _create_future()
    IOLoop.current().call_later(duration, future_set_result_unless_cancelled, future, None)
    return future


def _with_timeout(
    timeout: float | timedelta,
    future: Any,
    quiet_exceptions: _Quiet = (),
    io_loop: IOLoop | None = None,
    *,
    message: str | Callable[[], str] | None = None,
) -> None: ...


with_timeout.__signature__ = inspect.signature(_with_timeout)  # type: ignore[attr-defined]


class WaitIterator:
    """Hands out the results of several Futures in the order in which they come.

    ``next()`` returns a Future of the next one, until ``done()``. It can be iterated over with ``async for``,
    too, which ends with the first exception.

    :param args: the Futures, or
    :param kwargs: the Futures, by name.
    :raises ValueError: there are both.
    """

    #: The Future whose result was the last, and its place or name among the arguments.
    current_future: Future[Any] | None = None
    current_index: int | str | None = None

    def __init__(self, *args: Future[Any], **kwargs: Future[Any]) -> None:
        if args and kwargs:
            raise ValueError("You must provide args or kwargs, not both")
        self._unfinished: dict[Future[Any], collections.deque[int | str]] = {}
        self._finished: collections.deque[Future[Any]] = collections.deque()
        self._running_future: Future[Any] | None = None
        named: Iterable[tuple[int | str, Future[Any]]] = kwargs.items() if kwargs else enumerate(args)
        futures = []
        for index, future in named:
            self._unfinished.setdefault(future, collections.deque()).append(index)
            futures.append(future)
        for future in futures:
            future_add_done_callback(future, self._done_callback)

    def done(self) -> bool:
        """Whether there is no further result."""
        if self._finished or self._unfinished:
            return False
        self.current_index = self.current_future = None
        return True

    def next(self) -> Future[Any]:
        """A Future of the next result."""
        future: Future[Any] = Future()
        self._running_future = future
        if self._finished:
            self._hand_out(self._finished.popleft())
        return future

    def _done_callback(self, done: Future[Any]) -> None:
        if self._running_future is not None and not self._running_future.done():
            self._hand_out(done)
        else:
            self._finished.append(done)

    def _hand_out(self, done: Future[Any]) -> None:
        assert self._running_future is not None
        chain_future(done, self._running_future)
        self._running_future = None
        self.current_future = done
        indices = self._unfinished[done]
        self.current_index = indices.popleft()
        if not indices:
            del self._unfinished[done]

    def __aiter__(self) -> WaitIterator:
        return self

    def __anext__(self) -> Future[Any]:
        if self.done():
            raise StopAsyncIteration
        return self.next()
