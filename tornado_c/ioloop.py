"""An I/O event loop: Tornado's IOLoop over the native event loop."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import functools
import importlib
import inspect
import logging
import math
import os
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary

from tornado_c import _core
from tornado_c._asyncio.eventloop import GuestCore
from tornado_c._support import stack
from tornado_c._support.names import Names, on_demand
from tornado_c.concurrent import future_add_done_callback, is_future
from tornado_c.util import Configurable, import_object

if TYPE_CHECKING:
    from datetime import timedelta
    from types import FrameType

    from tornado_c._asyncio.pollioloop import PollIOLoop as PollIOLoop

app_log = logging.getLogger("tornado.application")
gen_log = logging.getLogger("tornado.general")

TimeoutError = asyncio.TimeoutError  # the name that Tornado's module has

_T = TypeVar("_T")


class _Selectable(Protocol):
    def fileno(self) -> int: ...

    def close(self) -> None: ...


#: What add_timeout() returns is one; in Tornado 2 to 4 the class was its own.
_Timeout = asyncio.TimerHandle


def _thread_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """The asyncio loop that is set for this thread, running or not; None where there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    return getattr(getattr(_event_loop_policy(), "_local", None), "_loop", None)


def _event_loop_policy() -> Any:
    """asyncio's policy; Python 3.14 warns of the public accessor."""
    get_policy = getattr(asyncio.events, "_get_event_loop_policy", None) or asyncio.get_event_loop_policy
    return get_policy()


class IOLoop(Configurable, _core.IOLoopBase):
    """A level-triggered I/O loop.

    Every IOLoop belongs to an asyncio event loop, its ``asyncio_loop``: a native ``EventLoop`` that it made
    itself, or a foreign loop whose turns drive it. It must be used from the thread that runs it;
    ``add_callback`` is the one method for other threads.
    """

    NONE = 0
    READ = 0x001
    WRITE = 0x004
    ERROR = 0x018

    # epoll's own, which programs for Tornado 2 to 4 combine; only the three above are watched for.
    _EPOLLIN = 0x001
    _EPOLLPRI = 0x002
    _EPOLLOUT = 0x004
    _EPOLLERR = 0x008
    _EPOLLHUP = 0x010
    _EPOLLRDHUP = 0x2000
    _EPOLLONESHOT = 1 << 30
    _EPOLLET = 1 << 31

    _ioloop_for_asyncio: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, IOLoop]] = WeakKeyDictionary()
    _in_start = False  # start() runs
    _registry_lock: ClassVar[Any] = threading.RLock()  # around changes of _ioloop_for_asyncio
    _main_instance: ClassVar[IOLoop | None] = None
    _pending_tasks: ClassVar[set[Any]] = set()

    asyncio_loop: asyncio.AbstractEventLoop
    selector_loop: asyncio.AbstractEventLoop

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        return IOLoop

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        from tornado_c.platform.asyncio import AsyncIOLoop

        return AsyncIOLoop

    @classmethod
    def configure(cls, impl: str | type[Configurable] | None, **kwargs: Any) -> None:
        """Choose the class that IOLoop() makes: AsyncIOLoop, or a subclass of it or its base.

        :raises RuntimeError: it is any other class.
        """
        from tornado_c.platform.asyncio import BaseAsyncIOLoop

        if isinstance(impl, str):
            impl = import_object(impl)
        if isinstance(impl, type) and not issubclass(impl, BaseAsyncIOLoop):
            raise RuntimeError("only AsyncIOLoop is allowed when asyncio is available")
        super().configure(impl, **kwargs)

    def initialize(self, make_current: bool = True) -> None:
        """Called with the constructor's arguments. make_current: become this thread's current loop."""
        if self._core is None:  # a direct subclass
            from tornado_c.platform.asyncio import _new_asyncio_loop

            self._bind(_new_asyncio_loop())
        if make_current:
            self._make_current()

    def _bind(self, asyncio_loop: asyncio.AbstractEventLoop) -> None:
        """Belong to an asyncio event loop: native where that is ours, as its guest otherwise.

        :raises RuntimeError: it has an IOLoop already.
        """
        self._forget_closed_hosts()
        other = IOLoop._ioloop_for_asyncio.get(asyncio_loop)
        if other is not None:
            raise RuntimeError(f"IOLoop {other} already associated with asyncio loop {asyncio_loop}")
        self.asyncio_loop = self.selector_loop = asyncio_loop
        if isinstance(asyncio_loop, _core.LoopCore):
            self._attach(asyncio_loop)
        else:
            self._attach(GuestCore(asyncio_loop, self._unbind))
        with IOLoop._registry_lock:
            IOLoop._ioloop_for_asyncio[asyncio_loop] = self
        if IOLoop._main_instance is None and threading.current_thread() is threading.main_thread():
            IOLoop._main_instance = self

    @staticmethod
    def _forget_closed_hosts() -> None:
        """Drop loops that were closed through asyncio, as asyncio.run does, past their IOLoops."""
        with IOLoop._registry_lock:
            closed = [item for item in IOLoop._ioloop_for_asyncio.items() if item[0].is_closed()]
            for loop, _ in closed:
                IOLoop._ioloop_for_asyncio.pop(loop, None)
        for loop, io_loop in closed:
            if io_loop._core is not loop:
                io_loop._core.close()

    def _unbind(self) -> None:
        """Leave the table of asyncio loops' IOLoops."""
        with IOLoop._registry_lock:
            IOLoop._ioloop_for_asyncio.pop(self.asyncio_loop, None)

    # ---- which loop is current ----

    @staticmethod
    def instance() -> IOLoop:
        """This thread's current loop; off the main thread with none of its own, the main thread's."""
        running = _core.running_ioloop()
        if running is not None:
            return running
        current = IOLoop.current(instance=False)
        if current is not None:
            return current
        main = IOLoop._main_instance
        if main is not None and not main.asyncio_loop.is_closed():
            if threading.current_thread() is not threading.main_thread():
                return main
        return IOLoop.current()

    @staticmethod
    def initialized() -> bool:
        """Whether this thread has a current loop already."""
        return IOLoop.current(instance=False) is not None

    def install(self) -> None:
        """Make this the loop that instance() and current() return. The 2.x name of make_current()."""
        self.make_current()
        IOLoop._main_instance = self

    @staticmethod
    def clear_instance() -> None:
        """Forget this thread's current loop."""
        IOLoop._clear_current()

    @overload
    @staticmethod
    def current() -> IOLoop: ...

    @overload
    @staticmethod
    def current(instance: bool = True) -> IOLoop | None: ...

    @staticmethod
    def current(instance: bool = True) -> IOLoop | None:
        """This thread's loop: the running one, or the one that is set.

        :param instance: whether one is made where there is none; default True.
        """
        running = _core.running_ioloop()
        if running is not None:
            return running
        loop = _thread_asyncio_loop()
        if loop is not None and (not loop.is_closed() or not instance):
            found = IOLoop._ioloop_for_asyncio.get(loop)
            if found is not None or not instance:
                return found
        elif not instance:
            return None
        else:
            loop = None
        from tornado_c.platform.asyncio import AsyncIOMainLoop, _new_asyncio_loop

        if loop is None:
            loop = _new_asyncio_loop()
            asyncio.set_event_loop(loop)
        return AsyncIOMainLoop(make_current=False, asyncio_loop=loop)

    def make_current(self) -> None:
        """Make this the thread's current loop, which is also asyncio's current loop. Deprecated since 6.2."""
        warnings.warn(
            "make_current is deprecated; start the event loop first", DeprecationWarning, stacklevel=2
        )
        self._make_current()

    def _make_current(self) -> None:
        asyncio.set_event_loop(self.asyncio_loop)

    @staticmethod
    def clear_current() -> None:
        """Forget this thread's current loop. Deprecated since 6.2."""
        warnings.warn("clear_current is deprecated", DeprecationWarning, stacklevel=2)
        IOLoop._clear_current()

    @staticmethod
    def _clear_current() -> None:
        old = IOLoop.current(instance=False)
        if old is not None:
            old._clear_current_hook()

    def _clear_current_hook(self) -> None:
        """Called when this loop ceases to be current; subclasses may override it."""

    # ---- running ----

    def start(self) -> None:
        """Run until stop() is called."""
        self._in_start = True
        try:
            self.asyncio_loop.run_forever()
        finally:
            self._in_start = False

    def stop(self) -> None:
        """End start() after the turn that runs now; if none runs, the next start() returns at once."""
        self.asyncio_loop.stop()

    def running(self) -> bool:
        """Whether start() runs."""
        return self.asyncio_loop.is_running()

    def close(self, all_fds: bool = False) -> None:
        """Close the loop; with all_fds also descriptors with a handler, listeners, and streams that wait
        for something.
        """
        if all_fds:
            for owner in self._core._owners():
                owner.close()
        for fd in self._handler_fds():
            self.remove_handler(fd)
            if all_fds:
                self.close_fd(fd)
        self._unbind()
        if IOLoop._main_instance is self:
            IOLoop._main_instance = None
        core = self._core
        if core is not self.asyncio_loop:
            core.close()
        self.asyncio_loop.close()

    def run_sync(self, func: Callable[..., Any], timeout: float | None = None) -> Any:
        """Start the loop, run func, stop the loop, and return func's result, awaited if it is awaitable.

        :param timeout: seconds, or a timedelta, after which the call is cancelled; default: no limit.
        :raises asyncio.TimeoutError: it was.
        """
        future: asyncio.Future[Any] | None = None
        timed_out = False

        def run() -> None:
            nonlocal future
            try:
                result = func()
                if result is not None:
                    result = _convert_awaitable(result)
            except Exception as exc:
                future = self._create_future()
                future.set_exception(exc)
            else:
                if is_future(result):
                    future = result
                else:
                    future = self._create_future()
                    future.set_result(result)
            self.add_future(future, lambda _: self.stop())

        def give_up() -> None:
            nonlocal timed_out
            timed_out = True
            if future is None or not future.cancel():
                self.stop()

        self.add_callback(run)
        handle = None if timeout is None else self.call_later(timeout, give_up)
        self.start()
        if handle is not None:
            self.remove_timeout(handle)
        if future is None or future.cancelled() or not future.done():
            if timed_out:
                raise builtins.TimeoutError(f"Operation timed out after {timeout} seconds")
            raise RuntimeError("Event loop stopped before Future completed.")
        return future.result()

    def _create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.asyncio_loop)

    # ---- futures and executors ----

    def add_future(
        self,
        future: asyncio.Future[_T] | concurrent.futures.Future[_T],
        callback: Callable[[asyncio.Future[_T]], object],
    ) -> None:
        """Call callback(future) in a turn of this loop after the future is done."""
        if isinstance(future, asyncio.Future):

            def run(f: Any) -> None:
                self._run_callback(functools.partial(callback, f))

            if stack.active.get() is not stack.NONE:
                run._wrapped = True  # type: ignore[attr-defined]  # what it calls is called in the contexts
            future.add_done_callback(run)
        else:
            assert is_future(future)
            callback = stack.follow(callback)
            future_add_done_callback(future, lambda f: self.add_callback(callback, f))

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """Call ``func(*args)`` in an executor's thread.

        :param executor: None is the loop's own.
        :returns: a Future of the result.
        """
        return self.asyncio_loop.run_in_executor(executor, func, *args)

    def set_default_executor(self, executor: concurrent.futures.Executor) -> None:
        """Set the executor that run_in_executor(None, ...) uses."""
        self.asyncio_loop.set_default_executor(executor)  # type: ignore[arg-type]

    def add_callback_from_signal(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As add_callback, from a signal handler, which takes no stack context along: it may be in any.

        Deprecated: asyncio's add_signal_handler is the better way.
        """
        warnings.warn("add_callback_from_signal is deprecated", DeprecationWarning, stacklevel=2)
        stack.outside(self.add_callback, callback, *args, **kwargs)

    def _watch_result(self, result: Any) -> None:
        """A callback returned ``result``: if that is awaitable, log what it raises."""
        try:
            future = _convert_awaitable(result)
        except _gen().BadYieldError:
            return
        self.add_future(future, self._discard_future_result)

    def _discard_future_result(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        try:
            future.result()
        except (KeyboardInterrupt, SystemExit):
            if not isinstance(future, asyncio.Task):  # a task's step has raised it out of the loop already
                raise

    def handle_callback_exception(self, callback: Any) -> None:
        """Called with a callback that raised, inside the handling of its exception; logs that.

        Applications may override this. The exception is ``sys.exc_info()[1]``.
        """
        app_log.error("Exception in callback %r", callback, exc_info=True)

    def _handler_failed(self, handler: Any) -> bool:
        """The same with what ``add_handler`` was given. False: the method above is as it came."""
        method = self.handle_callback_exception
        if getattr(method, "__func__", None) is _handle_callback_exception:
            return False
        method(handler)
        return True

    def log_stack(self, signal: int, frame: FrameType | None) -> None:
        """A signal's handler: log where the thread that it came to was.

        :param signal: its number.
        :param frame: that place.
        """
        import traceback

        gen_log.warning("IOLoop blocked in\n%s", "".join(traceback.format_stack(frame)))

    def set_blocking_log_threshold(self, seconds: float | None) -> None:
        """Log callbacks that take longer than ``seconds``; None ends that.

        Turns asyncio's debug mode on or off.
        """
        self.asyncio_loop.set_debug(seconds is not None)
        if seconds is not None:
            self.asyncio_loop.slow_callback_duration = seconds  # type: ignore[attr-defined]

    def set_blocking_signal_threshold(self, seconds: float | None, action: Any = None) -> None:
        """Have a SIGALRM come in a turn that takes longer than ``seconds``; None ends that.

        To be called in the main thread, in a program that uses neither SIGALRM nor ITIMER_REAL for something
        else.

        :param action: the signal's handler, such as ``loop.log_stack``. None: the signal ends the process.
        """
        import signal

        if not isinstance(self.asyncio_loop, _core.LoopCore):
            gen_log.error("set_blocking_signal_threshold requires a loop of ours, not %r", self.asyncio_loop)
            return
        signal.signal(signal.SIGALRM, signal.SIG_DFL if action is None else action)
        self.asyncio_loop._alarm = 0.0 if seconds is None else float(seconds)

    # ---- descriptors ----

    def split_fd(self, fd: int | _Selectable) -> tuple[int, int | _Selectable]:
        """The (number, object) pair of a descriptor or an object with fileno()."""
        if isinstance(fd, int):
            return fd, fd
        return fd.fileno(), fd

    def close_fd(self, fd: int | _Selectable) -> None:
        """Close a descriptor or an object with close(); errors are ignored."""
        try:
            if isinstance(fd, int):
                os.close(fd)
            else:
                fd.close()
        except OSError:
            pass

    def _register_task(self, future: Any) -> None:
        self._pending_tasks.add(future)

    def _unregister_task(self, future: Any) -> None:
        self._pending_tasks.discard(future)


def _convert_awaitable(value: Any) -> asyncio.Future[Any]:
    """A Future for a coroutine, Future or whatever else ``gen`` can yield.

    :raises BadYieldError: it is nothing that can be waited for.
    """
    return _gen().convert_yielded(value)


def _gen() -> Any:
    """The module of coroutines, which is imported at the first use."""
    return importlib.import_module("tornado_c.gen")


_handle_callback_exception = IOLoop.handle_callback_exception


class PeriodicCallback:
    """Calls a function, or starts a coroutine function, again and again while it runs.

    A call that takes longer than ``callback_time`` makes the next ones be skipped.

    :param callback_time: milliseconds, or a timedelta.
    :param jitter: the fraction of ``callback_time`` by which each wait varies at random (0.1: 5 % shorter to
        5 % longer). An IOLoop in its place is the ``io_loop`` of Tornado 2 to 4.
    :param io_loop: default: the loop that is current when it starts.
    """

    def __init__(
        self,
        callback: Callable[[], Awaitable[Any] | None],
        callback_time: timedelta | float,
        jitter: float | IOLoop | None = 0,
        io_loop: IOLoop | None = None,
    ) -> None:
        if isinstance(jitter, IOLoop) or jitter is None:
            io_loop, jitter = jitter if io_loop is None else io_loop, 0
        self.callback = callback
        if hasattr(callback_time, "total_seconds"):
            from datetime import timedelta

            self.callback_time = callback_time / timedelta(milliseconds=1)  # type: ignore[operator]
        else:
            if callback_time <= 0:
                raise ValueError("Periodic callback must have a positive callback_time")
            self.callback_time = callback_time
        self.jitter = jitter
        self._given_loop = io_loop
        self._running = False
        self._timeout: object = None

    def start(self) -> None:
        """Start the timer on the current loop."""
        self.io_loop = self._given_loop or IOLoop.current()
        self._running = True
        self._next_timeout = self.io_loop.time()
        self._schedule_next()

    def stop(self) -> None:
        """Stop the timer."""
        self._running = False
        if self._timeout is not None:
            self.io_loop.remove_timeout(self._timeout)
            self._timeout = None

    def is_running(self) -> bool:
        """Whether start() was called and stop() was not."""
        return self._running

    async def _run(self) -> None:
        if not self._running:
            return
        try:
            result = self.callback()
            if result is not None and inspect.isawaitable(result):
                await result
        except Exception:
            app_log.error("Exception in callback %r", self.callback, exc_info=True)
        finally:
            self._schedule_next()

    def _schedule_next(self) -> None:
        if self._running:
            self._update_next(self.io_loop.time())
            self._timeout = self.io_loop.add_timeout(self._next_timeout, self._run)

    def _update_next(self, current_time: float) -> None:
        seconds = self.callback_time / 1000.0
        if self.jitter:
            import random

            seconds *= 1 + self.jitter * (random.random() - 0.5)  # type: ignore[operator]
        if self._next_timeout <= current_time:
            # Measured from start to start; periods that a slow call has used up are skipped.
            periods = math.floor((current_time - self._next_timeout) / seconds) + 1
            self._next_timeout += periods * seconds
        else:
            # The clock went back: move on all the same, or the same moment would be scheduled again.
            self._next_timeout += seconds


if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        globals(),
        Names(
            __name__,
            modules=("random",),
            members={"timedelta": "datetime", "PollIOLoop": "tornado_c._asyncio.pollioloop"},
        ),
    )

del Names, on_demand
