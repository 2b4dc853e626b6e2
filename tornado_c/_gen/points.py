"""What a coroutine may yield of which there is no Future: the interface of Tornado 2."""

from __future__ import annotations

import concurrent.futures
import importlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from tornado_c._gen.waiting import _create_future, _Quiet, _set_together, convert_yielded, multi_future
from tornado_c.concurrent import Future
from tornado_c.ioloop import IOLoop

if TYPE_CHECKING:
    from tornado_c.gen import Runner


class KeyReuseError(Exception):
    """A ``Callback`` has the key of one that is pending."""


class UnknownKeyError(Exception):
    """A ``Wait`` has a key that no ``Callback`` had."""


class Arguments(NamedTuple):
    """What a callback was called with, unless that is one argument or none."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _result_of_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a callback was called with, as one object."""
    if kwargs or len(args) > 1:
        return Arguments(args, kwargs)
    return args[0] if args else None


def _argument_adapter(callback: Callable[[Any], object]) -> Callable[..., None]:
    """A function that takes any arguments and calls ``callback`` with one."""

    def adapted(*args: Any, **kwargs: Any) -> None:
        callback(_result_of_call(args, kwargs))

    return adapted


def Task(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Call a function that takes a ``callback``; the Future of what it calls that with.

    An exception of the function, or of what it has called later, is the Future's.
    """
    future = _create_future()

    def fail(typ: Any, value: BaseException, tb: Any) -> bool:
        if future.done() or not isinstance(value, Exception):
            return False
        future.set_exception(value)
        return True

    def take(*args: Any, **kwargs: Any) -> None:
        if not future.done():
            future.set_result(_result_of_call(args, kwargs))

    with (_stack_context or _import_stack_context()).ExceptionStackContext(fail):
        func(*args, callback=take, **kwargs)
    return future


#: The module, which is imported where it is used: it is not for nothing.
_stack_context: Any = None


def _import_stack_context() -> Any:
    global _stack_context
    _stack_context = importlib.import_module("tornado_c.stack_context")
    return _stack_context


class YieldPoint:
    """What a generator may yield besides things of which there is a Future: Tornado 2's interface.

    A subclass has the three methods.
    """

    def start(self, runner: Runner) -> None:
        """Called when the generator has yielded it, before anything else."""
        raise NotImplementedError()

    def is_ready(self) -> bool:
        """Whether the generator may go on; asked once or more."""
        raise NotImplementedError()

    def get_result(self) -> Any:
        """Called once it is ready: what the generator goes on with."""
        raise NotImplementedError()


class Callback(YieldPoint):
    """Yields a function that takes a result; ``Wait`` for the same key waits until it is called.

    :param key: any hashable, for which none is pending in this call of the generator.
    """

    def __init__(self, key: Hashable) -> None:
        self.key = key

    def start(self, runner: Runner) -> None:
        """Have the runner expect the key.

        :raises KeyReuseError: one with this key is pending.
        """
        self.runner = runner
        runner.register_callback(self.key)

    def is_ready(self) -> bool:
        """Return True."""
        return True

    def get_result(self) -> Callable[..., None]:
        """Return the function."""
        return self.runner.result_callback(self.key)


class WaitAll(YieldPoint):
    """Yields the arguments of several functions that ``Callback`` yielded, in a list.

    :param keys: those of the Callbacks.
    """

    def __init__(self, keys: Iterable[Hashable]) -> None:
        self.keys = keys

    def start(self, runner: Runner) -> None:
        """Remember the runner."""
        self.runner = runner

    def is_ready(self) -> bool:
        """Whether all functions were called.

        :raises UnknownKeyError: there was no Callback with one of the keys.
        """
        return all(self.runner.is_ready(key) for key in self.keys)

    def get_result(self) -> Any:
        """Return the arguments."""
        return [self.runner.pop_result(key) for key in self.keys]


class Wait(YieldPoint):
    """Yields the argument of the function that ``Callback`` yielded.

    :param key: that of the Callback.
    """

    def __init__(self, key: Hashable) -> None:
        self.key = key

    def start(self, runner: Runner) -> None:
        """Remember the runner."""
        self.runner = runner

    def is_ready(self) -> bool:
        """Whether the function was called.

        :raises UnknownKeyError: there was no Callback with this key.
        """
        return self.runner.is_ready(self.key)

    def get_result(self) -> Any:
        """Return the argument."""
        return self.runner.pop_result(self.key)


class YieldFuture(YieldPoint):
    """A Future as a YieldPoint.

    :param io_loop: by which it is waited for. Default: the current one.
    """

    def __init__(self, future: Any, io_loop: IOLoop | None = None) -> None:
        self.future = future
        self.io_loop = io_loop or IOLoop.current()

    def start(self, runner: Runner) -> None:
        """Have the runner expect the Future, unless it is done."""
        self.runner: Runner | None = None
        if not self.future.done():
            self.runner = runner
            self.key = object()
            runner.register_callback(self.key)
            self.io_loop.add_future(self.future, runner.result_callback(self.key))

    def is_ready(self) -> bool:
        """Whether the Future is done."""
        return self.runner is None or self.runner.is_ready(self.key)

    def get_result(self) -> Any:
        """Return the Future's result, or raise its exception."""
        if self.runner is not None:
            self.runner.pop_result(self.key)
        return self.future.result()


class MultiYieldPoint(YieldPoint):
    """Waits for several things, of which some are YieldPoints; ``multi`` makes one where it has to.

    :param children: in a list, or as the values of a dict.
    :param quiet_exceptions: types of those that are not logged.
    """

    def __init__(self, children: Any, quiet_exceptions: _Quiet = ()) -> None:
        self.keys = list(children) if isinstance(children, dict) else None
        self.children = [
            child if isinstance(child, YieldPoint) else YieldFuture(convert_yielded(child))
            for child in (children if self.keys is None else children.values())
        ]
        self.unfinished_children = set(self.children)
        self.quiet_exceptions = quiet_exceptions

    def start(self, runner: Runner) -> None:
        """Start all of them."""
        for child in self.children:
            child.start(runner)

    def is_ready(self) -> bool:
        """Whether all of them are ready."""
        self.unfinished_children = {child for child in self.unfinished_children if not child.is_ready()}
        return not self.unfinished_children

    def get_result(self) -> Any:
        """Return their results, in a list or a dict, or raise the first exception."""
        together: concurrent.futures.Future[Any] = concurrent.futures.Future()
        results = [child.get_result for child in self.children]
        _set_together(together, self.keys, results, self.quiet_exceptions)
        return together.result()


def _has_yield_point(children: Any) -> bool:
    if isinstance(children, dict):
        children = children.values()
    elif not isinstance(children, list):
        return False
    return any(isinstance(child, YieldPoint) for child in children)


@overload
def multi(children: Sequence[Any], quiet_exceptions: _Quiet = ()) -> Future[list[Any]]: ...
@overload
def multi(children: Mapping[Any, Any], quiet_exceptions: _Quiet = ()) -> Future[dict[Any, Any]]: ...
def multi(children: Any, quiet_exceptions: _Quiet = ()) -> Any:
    """Wait for all of several things that can be yielded.

    :param children: in a list, or as the values of a dict.
    :param quiet_exceptions: types of those that are not logged. The first exception is raised, the others are
        logged. Default: none.
    :returns: a Future of their results, in a list in the same order or a dict with the same keys; what only a
        generator can yield if one of them is a YieldPoint.
    """
    if _has_yield_point(children):
        return MultiYieldPoint(children, quiet_exceptions)
    return multi_future(children, quiet_exceptions)


Multi = multi
