"""Generators as coroutines, and what waits for several awaitables.

A generator function that is decorated with ``coroutine`` runs until it yields something that is not done, and
goes on with its result. It may yield Futures, awaitables, lists and dicts of them, None or ``moment`` for a
turn of the loop, and what an application has registered with ``convert_yielded``. ``engine``, and the classes
that are derived from ``YieldPoint``, are Tornado 2's.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Generator, Hashable
from typing import Any, TypeVar, overload

from tornado_c import _core
from tornado_c._gen.points import (
    Arguments,
    Callback,
    KeyReuseError,
    Multi,
    MultiYieldPoint,
    Task,
    UnknownKeyError,
    Wait,
    WaitAll,
    YieldFuture,
    YieldPoint,
    _argument_adapter,
    _has_yield_point,
    multi,
)
from tornado_c._gen.waiting import (
    BadYieldError,
    WaitIterator,
    _create_future,
    _null_future,
    _NullFuture,
    _wrap_awaitable,
    convert_yielded,
    create_traced_future,
    maybe_future,
    moment,
    multi_future,
    sleep,
    with_timeout,
)
from tornado_c._support import stack
from tornado_c._support.generations import take_callback
from tornado_c._support.names import adopt
from tornado_c.concurrent import (
    Future,
    chain_future,
    future_add_done_callback,
    future_set_exc_info,
    future_set_exception_unless_cancelled,
    future_set_result_unless_cancelled,
    is_future,
)
from tornado_c.ioloop import IOLoop
from tornado_c.log import app_log
from tornado_c.util import TimeoutError

__all__ = [
    "Arguments",
    "BadYieldError",
    "Callback",
    "Future",
    "IOLoop",
    "KeyReuseError",
    "LeakedCallbackError",
    "Multi",
    "MultiYieldPoint",
    "Return",
    "ReturnValueIgnoredError",
    "Runner",
    "Task",
    "TimeoutError",
    "UnknownKeyError",
    "Wait",
    "WaitAll",
    "WaitIterator",
    "YieldFuture",
    "YieldPoint",
    "_NullFuture",
    "_create_future",
    "_null_future",
    "_wrap_awaitable",
    "app_log",
    "chain_future",
    "convert_yielded",
    "coroutine",
    "engine",
    "future_add_done_callback",
    "future_set_exc_info",
    "future_set_result_unless_cancelled",
    "is_coroutine_function",
    "is_future",
    "maybe_future",
    "moment",
    "multi",
    "multi_future",
    "sleep",
    "with_timeout",
]

_T = TypeVar("_T")


class LeakedCallbackError(Exception):
    """A coroutine has ended without a ``Wait`` for each of its Callbacks."""


class ReturnValueIgnoredError(Exception):
    """A function decorated with ``engine`` has returned something."""


class Return(Exception):
    """Raised in a coroutine to end it with a value: what ``return`` is for.

    :param value: the coroutine's result. Default None.
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__()
        self.value = value
        self.args = (value,)


def _value_from_stopiteration(end: StopIteration | Return) -> Any:
    """The value that a generator ended with; compiled generators have it among the arguments only."""
    if hasattr(end, "value"):
        return end.value
    return end.args[0] if end.args else None


# ---- coroutines ----


@overload
def coroutine(func: Callable[..., Generator[Any, Any, _T]]) -> Callable[..., Future[_T]]: ...
@overload
def coroutine(func: Callable[..., _T]) -> Callable[..., Future[_T]]: ...
def coroutine(func: Callable[..., Any]) -> Callable[..., Future[Any]]:
    """Decorate a generator function to run as a coroutine; calls return a Future of what it returns.

    It runs at once, up to where it yields what is not done. An exception that it ends with is the Future's,
    and CancelledError cancels that. The result of a function that is no generator is the Future's.

    A caller may give ``callback=``, which the current IOLoop calls with the result, unless the function has
    that parameter itself.
    """
    if inspect.isgeneratorfunction(func):
        types.coroutine(func)  # so that it may say `yield from` a native coroutine

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Future[Any]:
        callback = take_callback(func, kwargs) if kwargs else None
        if callback is None:
            return _core.start_coroutine(func, args, kwargs)
        future = _core.start_coroutine(func, args, kwargs)
        IOLoop.current().add_future(future, functools.partial(_call_with_result, callback))
        return future

    call.__tornado_coroutine__ = True  # type: ignore[attr-defined]
    return call


def engine(func: Callable[..., Any]) -> Callable[..., None]:
    """Decorate a generator function to run as a coroutine that returns nothing: Tornado 2's.

    It may get a ``callback`` from its caller, which it calls itself. What it ends with is an exception in the
    stack contexts around the call, unless it is None: its own, or ReturnValueIgnoredError.
    """
    if inspect.isgeneratorfunction(func):
        types.coroutine(func)

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> None:
        future = _core.start_coroutine(func, args, kwargs)
        if not future.done():
            future.add_done_callback(stack.follow(_end_engine))
        elif future.result() is not None:
            _end_engine(future)

    return call


def _end_engine(future: Future[Any]) -> None:
    try:
        result = future.result()
    finally:
        del future  # what it raises has this frame
    if result is not None:
        raise ReturnValueIgnoredError(f"@gen.engine functions cannot return values: {result!r}")


def _call_with_result(callback: Callable[[Any], object], future: Future[Any]) -> None:
    callback(future.result())


def is_coroutine_function(func: Any) -> bool:
    """Whether ``func`` was decorated with ``coroutine``."""
    return getattr(func, "__tornado_coroutine__", False)


def _failed(error: BaseException) -> Future[Any]:
    future = _create_future()
    future.set_exception(error)
    return future


def _end(future: Future[Any], error: BaseException) -> BaseException | None:
    """Complete a Future with the exception that a generator ended with; return one that is not for it."""
    if isinstance(error, (Return, StopIteration)):
        future_set_result_unless_cancelled(future, _value_from_stopiteration(error))
    elif isinstance(error, asyncio.CancelledError):
        future.cancel()
    elif isinstance(error, Exception):
        future_set_exception_unless_cancelled(future, error)
    else:
        return error
    return None


def _restore_stack(contexts: stack.Contexts) -> Exception:
    """After a ``yield`` in the block of a stack context: leave that, and return the error."""
    stack.active.set(contexts)
    module: Any = importlib.import_module("tornado_c.stack_context")
    return module.StackContextInconsistentError('"yield" inside the block of a stack context')


class Runner(_core.RunnerBase):
    """Runs a generator for ``coroutine``: one for each call that was suspended.

    :param ctx_run: the ``run`` of the context that the generator's steps run in; of a copy of the current one
        where the three others are all that is given, as in Tornado 4.
    :param gen: the generator, which has yielded.
    :param result_future: gets what it ends with.
    :param first_yielded: what it has yielded.
    """

    yield_point: YieldPoint | None = None
    pending_callbacks: set[Hashable] | None = None  # the keys of its Callbacks
    results: dict[Hashable, Any]
    _io_loop: IOLoop | None = None

    @property
    def io_loop(self) -> IOLoop:
        """The loop that it runs on."""
        if self._io_loop is None:
            self._io_loop = IOLoop.current()
        return self._io_loop

    def _convert(self, yielded: Any) -> Any:
        if isinstance(yielded, YieldPoint) or _has_yield_point(yielded):
            return self._start_yield_point(
                yielded if isinstance(yielded, YieldPoint) else MultiYieldPoint(yielded)
            )
        try:
            return convert_yielded(yielded)
        except BadYieldError as error:
            return _failed(error)

    def _next_turn(self) -> None:
        self.io_loop.add_callback(self.ctx_run, self.run)

    def _watch(self, future: Any) -> None:
        self.io_loop.add_future(future, self)

    def _end(self, result: Any, error: BaseException | None) -> BaseException | None:
        """The generator has ended with either; return an exception that is not its Future's."""
        if isinstance(error, (Return, StopIteration)):
            result, error = _value_from_stopiteration(error), None
        self.finished = True
        self.future = _null_future
        future: Any = self.result_future
        self.result_future = None  # type: ignore[assignment]
        if self.pending_callbacks and error is None and not self.had_exception:
            error = LeakedCallbackError(f"finished without waiting for callbacks {self.pending_callbacks!r}")
        if self._deactivate is not None:
            self._deactivate()
            self._deactivate = None
        if future is None:
            return error
        future._runner = None
        if error is not None:
            return _end(future, error)
        future_set_result_unless_cancelled(future, result)
        return None

    def handle_exception(
        self, typ: type[BaseException], value: BaseException, tb: types.TracebackType | None
    ) -> bool:
        """Raise an exception in the generator where it waits; False where it does not wait."""
        if self.running or self.finished or not isinstance(value, Exception):
            return False
        self.future = _failed(value)
        self(None)
        return True

    # ---- what YieldPoints ask for ----

    def _start_yield_point(self, yield_point: YieldPoint) -> Future[Any]:
        future: Future[Any] = Future()
        self.future = future
        if self._deactivate is None:
            # What a callback raises that the generator waits for is raised in the generator.
            module: Any = importlib.import_module("tornado_c.stack_context")
            self._deactivate = module.push_exception_handler(self.handle_exception)
        try:
            yield_point.start(self)
            if yield_point.is_ready():
                future.set_result(yield_point.get_result())
            else:
                self.yield_point = yield_point
        except Exception as error:
            return _failed(error)
        return future

    def register_callback(self, key: Hashable) -> None:
        """Expect a result with this key.

        :raises KeyReuseError: one is expected already.
        """
        if self.pending_callbacks is None:
            self.pending_callbacks = set()
            self.results = {}
        if key in self.pending_callbacks:
            raise KeyReuseError(f"key {key!r} is already pending")
        self.pending_callbacks.add(key)

    def is_ready(self, key: Hashable) -> bool:
        """Whether the result with this key has come.

        :raises UnknownKeyError: none is expected.
        """
        if self.pending_callbacks is None or key not in self.pending_callbacks:
            raise UnknownKeyError(f"key {key!r} is not pending")
        return key in self.results

    def set_result(self, key: Hashable, result: Any) -> None:
        """Take the result with this key, and go on if it was waited for."""
        self.results[key] = result
        yield_point = self.yield_point
        if yield_point is None:
            return
        try:
            if not yield_point.is_ready():
                return
            value = yield_point.get_result()
        except Exception as error:
            future_set_exception_unless_cancelled(self.future, error)
        else:
            future_set_result_unless_cancelled(self.future, value)
        self.yield_point = None
        self(None)

    def pop_result(self, key: Hashable) -> Any:
        """Return the result with this key and forget it."""
        assert self.pending_callbacks is not None
        self.pending_callbacks.remove(key)
        return self.results.pop(key)

    def result_callback(self, key: Hashable) -> Callable[..., None]:
        """A function that takes the result with this key."""
        return stack.follow(_argument_adapter(functools.partial(self.set_result, key)))


_core.register(
    "gen",
    faces={"Runner": Runner},
    upcalls={
        "gen_convert": convert_yielded,
        "gen_create_future": create_traced_future,
        "gen_end": _end,
        "gen_failed": _failed,
        "gen_moment": moment,
        "gen_namespace": globals(),
        "gen_registry": convert_yielded.registry,
        "gen_restore_stack": _restore_stack,
    },
)
adopt(globals(), "tornado_c._gen")
del adopt, __all__
