"""Generators as coroutines, and what waits for several awaitables.

A generator function that is decorated with ``coroutine`` runs until it yields something that is not done, and
goes on with its result. It may yield Futures, awaitables, lists and dicts of them, None or ``moment`` for a
turn of the loop, and what an application has registered with ``convert_yielded``. ``engine``, and the classes
that are derived from ``YieldPoint``, are Tornado 2's.
"""

from __future__ import annotations

import asyncio
import contextvars
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
_OF_LOOP = (asyncio.Future, asyncio.Task)


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
            return _start(func, args, kwargs)
        future = _start(func, args, kwargs)
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
        future = _start(func, args, kwargs)
        if future.done():
            _end_engine(future)
        else:
            future.add_done_callback(stack.follow(_end_engine))

    return call


def _end_engine(future: Future[Any]) -> None:
    result = future.result()
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


def _start(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
    """Call a function, and run the generator that it returns: the Future of its result."""
    future: Future[Any] | None = _create_future()
    assert future is not None
    run = contextvars.copy_context().run
    try:
        started = run(_first_step, func, args, kwargs, future)
        if started:
            Runner(run, started.pop(), future, started.pop())
        return future
    finally:
        future = None  # tracebacks have these frames: none of them keeps a Future


def _first_step(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], future: Future[Any] | None
) -> list[Any] | None:
    """What the generator that a function returned has yielded, and that; None where ``future`` is done."""
    assert future is not None
    contexts = stack.active.get()
    try:
        result = func(*args, **kwargs)
        if isinstance(result, Generator):
            yielded = next(result)
            if stack.active.get() is not contexts:
                yielded = _failed(_restore_stack(contexts))
            return [yielded, result]
    except (Return, StopIteration) as end:
        future_set_result_unless_cancelled(future, _value_from_stopiteration(end))
    except asyncio.CancelledError:
        future.cancel()
    except Exception as error:
        future_set_exception_unless_cancelled(future, error)
    else:
        future_set_result_unless_cancelled(future, result)
    finally:
        future = None
    return None


def _restore_stack(contexts: stack.Contexts) -> Exception:
    """After a ``yield`` in the block of a stack context: leave that, and return the error."""
    stack.active.set(contexts)
    module: Any = importlib.import_module("tornado_c.stack_context")
    return module.StackContextInconsistentError('"yield" inside the block of a stack context')


class Runner:
    """Runs a generator for ``coroutine``: one for each call that was suspended.

    :param ctx_run: the ``run`` of the context that the generator's steps run in.
    :param gen: the generator, which has yielded.
    :param result_future: gets what it ends with.
    :param first_yielded: what it has yielded.
    """

    yield_point: YieldPoint | None = None
    pending_callbacks: set[Hashable] | None = None  # the keys of its Callbacks
    results: dict[Hashable, Any]
    had_exception = False
    running = False
    finished = False
    _deactivate: Callable[[], None] | None = None

    def __init__(
        self,
        ctx_run: Callable[..., Any],
        gen: Generator[Any, Any, Any],
        result_future: Future[Any],
        first_yielded: Any,
    ) -> None:
        self.ctx_run = ctx_run
        self.gen = gen
        self.result_future = result_future
        self.future: Any = _null_future
        self.io_loop = _core.running_ioloop() or IOLoop.current()
        result_future._runner = self  # type: ignore[attr-defined]  # who holds the Future holds the runner
        self._first = [first_yielded]
        del gen, result_future, first_yielded
        ctx_run(self._begin)

    def _begin(self) -> None:
        self.running = True
        try:
            ready = self.handle_yield(self._first.pop())
        finally:
            self.running = False
        if ready:
            self.run()

    def run(self) -> None:
        """Go on, if what was yielded is done, until the generator yields something that is not."""
        if self.running or self.finished:
            return
        self.running = True
        try:
            while self.future.done() and self._step():
                pass
        finally:
            self.running = False

    def _step(self) -> bool:
        """Send what is done into the generator; whether what it yields then is done, too."""
        future, self.future = self.future, None
        error: BaseException | None = None
        contexts = stack.active.get()
        try:
            value = future.result()
        except (Exception, asyncio.CancelledError) as exception:
            error = exception
            self.had_exception = True
        future = None
        try:
            # Outside of the handler above, so that the generator finds no exception that is being handled.
            yielded = self.gen.send(value) if error is None else self.gen.throw(error)
            if stack.active.get() is not contexts:
                yielded = self.gen.throw(_restore_stack(contexts))
        except (StopIteration, Return) as end:
            self._end(result=_value_from_stopiteration(end))
            return False
        except asyncio.CancelledError:
            self._end(cancelled=True)
            return False
        except Exception as exception:
            self._end(error=exception)
            return False
        finally:
            error = None  # its traceback has this frame
        return self.handle_yield(yielded)

    def _end(self, result: Any = None, error: Exception | None = None, cancelled: bool = False) -> None:
        self.finished = True
        self.future = _null_future
        future = self.result_future
        self.result_future = None  # type: ignore[assignment]
        if self.pending_callbacks and error is None and not cancelled and not self.had_exception:
            error = LeakedCallbackError(f"finished without waiting for callbacks {self.pending_callbacks!r}")
        future._runner = None  # type: ignore[attr-defined]
        if self._deactivate is not None:
            self._deactivate()
            self._deactivate = None
        if cancelled:
            future.cancel()
        elif error is not None:
            future_set_exception_unless_cancelled(future, error)
        else:
            future_set_result_unless_cancelled(future, result)

    def handle_yield(self, yielded: Any) -> bool:
        """Wait for what the generator has yielded; whether it is done already."""
        if isinstance(yielded, YieldPoint) or _has_yield_point(yielded):
            self._start_yield_point(yielded if isinstance(yielded, YieldPoint) else MultiYieldPoint(yielded))
        else:
            try:
                self.future = convert_yielded(yielded)
            except BadYieldError as error:
                self.future = _failed(error)
        future = self.future
        if future is moment:
            self.io_loop.add_callback(self.ctx_run, self.run)
            return False
        if future is None:
            raise Exception("no pending future")
        if future.done():
            return True
        if type(future) in _OF_LOOP:
            future.add_done_callback(stack.follow(self._wake))
        else:
            self.io_loop.add_future(future, self._wake)
        return False

    def _wake(self, future: Any) -> None:
        if not self.running and not self.finished:
            self.ctx_run(self.run)

    def handle_exception(
        self, typ: type[BaseException], value: BaseException, tb: types.TracebackType | None
    ) -> bool:
        """Raise an exception in the generator where it waits; False where it does not wait."""
        if self.running or self.finished or not isinstance(value, Exception):
            return False
        self.future = _failed(value)
        self.ctx_run(self.run)
        return True

    # ---- what YieldPoints ask for ----

    def _start_yield_point(self, yield_point: YieldPoint) -> None:
        self.future = Future()
        if self._deactivate is None:
            # What a callback raises that the generator waits for is raised in the generator.
            module: Any = importlib.import_module("tornado_c.stack_context")
            self._deactivate = module.push_exception_handler(self.handle_exception)
        try:
            yield_point.start(self)
            if yield_point.is_ready():
                self.future.set_result(yield_point.get_result())
            else:
                self.yield_point = yield_point
        except Exception as error:
            self.future = _failed(error)

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
        self._wake(None)

    def pop_result(self, key: Hashable) -> Any:
        """Return the result with this key and forget it."""
        assert self.pending_callbacks is not None
        self.pending_callbacks.remove(key)
        return self.results.pop(key)

    def result_callback(self, key: Hashable) -> Callable[..., None]:
        """A function that takes the result with this key."""
        return stack.follow(_argument_adapter(functools.partial(self.set_result, key)))


adopt(globals(), "tornado_c._gen")
del adopt, __all__
