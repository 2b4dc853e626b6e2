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

from tornado_c._support.generations import take_callback
from tornado_c.util import ArgReplacer

_T = TypeVar("_T")

Future = asyncio.Future
#: What counts as a future: asyncio's kind and the kind that thread pools return.
FUTURES = (futures.Future, Future)

AnyFuture = asyncio.Future[_T] | futures.Future[_T]

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

app_log = logging.getLogger("tornado.application")


class ReturnValueIgnoredError(Exception):
    """A function decorated with ``return_future`` has returned something."""


class _AnyFuture(type(asyncio.Future)):  # type: ignore[misc]
    """Every Future of asyncio's is an instance, as there was one class only where these are asked for."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, asyncio.Future)


class TracebackFuture(asyncio.Future[Any], metaclass=_AnyFuture):
    """A Future with the methods that Tornado's had before it was asyncio's.

    Programs make it themselves; ours are asyncio's. Its callbacks run in the loop's next turn.
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(loop=loop or current_ioloop().asyncio_loop)

    def running(self) -> bool:
        """Whether it is not done yet."""
        return not self.done()

    def result(self, timeout: float | None = None) -> Any:
        """Return the result or raise the exception. ``timeout`` has no meaning.

        :raises asyncio.InvalidStateError: it is not done.
        """
        return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception, or None. ``timeout`` has no meaning.

        :raises asyncio.InvalidStateError: it is not done.
        """
        return super().exception()

    def exc_info(self) -> _ExcInfo | None:
        """Return the exception as ``sys.exc_info()`` does; None where there is none."""
        error = super().exception() if self.done() and not self.cancelled() else None
        return (type(error), error, error.__traceback__) if error is not None else None

    def set_exc_info(self, exc_info: _ExcInfo) -> None:
        """Fail with the exception of what ``sys.exc_info()`` returned."""
        future_set_exc_info(self, exc_info)


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

    With or without parentheses. A caller may give ``callback=``, which is called with the result, unless the
    method has that parameter itself.

    :param executor: the name of the attribute that holds the executor. Default ``"executor"``.
    :param io_loop: that of the attribute with the IOLoop which calls callbacks. Default ``"io_loop"``; where
        there is none it is the current IOLoop.
    :raises ValueError: it is given anything else.
    """
    if args and kwargs:
        raise ValueError("cannot combine positional and keyword args")
    if len(args) > 1:
        raise ValueError(f"expected 1 argument, got {len(args)}")
    attribute, loop_attribute = kwargs.get("executor", "executor"), kwargs.get("io_loop", "io_loop")

    def decorate(method: Callable[..., Any]) -> Callable[..., asyncio.Future[Any]]:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
            callback = take_callback(method, kwargs) if kwargs else None
            outcome: asyncio.Future[Any] = Future()
            chain_future(getattr(self, attribute).submit(method, self, *args, **kwargs), outcome)
            if callback is not None:
                loop = getattr(self, loop_attribute, None) or current_ioloop()
                loop.add_future(outcome, lambda future: callback(future.result()))
            return outcome

        return call

    return decorate(args[0]) if args else decorate


def return_future(f: Callable[..., Any]) -> Callable[..., asyncio.Future[Any]]:
    """Decorate a function that calls a ``callback`` with its result; calls return a Future of that.

    What the function raises is raised to its caller; an exception in what it registers is the Future's. A
    caller may give a ``callback`` all the same. It is called in the stack contexts around the call, in which
    an exception is raised in place of that.

    :raises ReturnValueIgnoredError: by the call, where ``f`` returns anything but None.
    """
    stack_context: Any = importlib.import_module("tornado_c.stack_context")
    replacer = ArgReplacer(f, "callback")

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        future = TracebackFuture()
        results: list[Any] = []

        def take(*result: Any) -> None:
            if not future.done():
                results.extend(result)
                future.set_result(result[0] if result else None)

        def fail(typ: Any, value: BaseException, traceback: Any) -> bool:
            if not isinstance(value, Exception):
                return False
            if not future.done():
                future.set_exception(value)
            return True

        def call_back(done: asyncio.Future[Any]) -> None:
            done.result()
            callback(*results)

        callback, args, kwargs = replacer.replace(take, args, kwargs)  # type: ignore[assignment]
        error: BaseException | None = None
        with stack_context.ExceptionStackContext(fail):
            try:
                result = f(*args, **kwargs)
            except BaseException as exception:
                error = exception
        try:
            if error is not None:
                raise error
        finally:
            error = None  # its traceback has this frame
        if result is not None:
            raise ReturnValueIgnoredError(
                "@return_future should not be used with functions that return values"
            )
        if callback is not None:
            future_add_done_callback(future, stack_context.wrap(call_back))
        return future

    return call


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
    exc_info: _ExcInfo,
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
