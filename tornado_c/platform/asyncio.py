"""IOLoops and asyncio event loops: the classes that bind them, and a selector thread for loops without
add_reader.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import errno
import functools
import select
import socket
import threading
import warnings
from collections.abc import AsyncGenerator, Callable
from typing import Any

from tornado_c._asyncio.eventloop import EventLoop
from tornado_c.ioloop import IOLoop, _convert_awaitable, _event_loop_policy

#: Selector threads to shut down when the interpreter exits.
_selector_loops: set[SelectorThread] = set()


def _atexit_callback() -> None:
    for selector in list(_selector_loops):
        selector.close()  # joins the thread and closes its sockets
    _selector_loops.clear()


atexit.register(_atexit_callback)


def _new_asyncio_loop() -> asyncio.AbstractEventLoop:
    """A native loop, or one of the policy's where the application has set a policy of its own."""
    policy = _event_loop_policy()
    if type(policy).__module__.partition(".")[0] == "asyncio":
        return EventLoop()
    return asyncio.new_event_loop()


class BaseAsyncIOLoop(IOLoop):
    """An IOLoop bound to an asyncio event loop: native where that is ours, as its guest otherwise."""

    def initialize(  # type: ignore[override]
        self, asyncio_loop: asyncio.AbstractEventLoop, **kwargs: Any
    ) -> None:
        """Bind to an asyncio event loop.

        :raises RuntimeError: that has an IOLoop already.
        """
        self._bind(asyncio_loop)
        try:
            super().initialize(**kwargs)
        except BaseException:
            self._unbind()
            raise


class AsyncIOMainLoop(BaseAsyncIOLoop):
    """The IOLoop of this thread's current asyncio event loop. Closing it closes that."""

    def initialize(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Bind to asyncio's current loop."""
        super().initialize(kwargs.pop("asyncio_loop", None) or asyncio.get_event_loop(), **kwargs)

    def _make_current(self) -> None:
        """It is current already."""


class AsyncIOLoop(BaseAsyncIOLoop):
    """An IOLoop over an asyncio event loop of its own, or over asyncio_loop= where given."""

    def initialize(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Make an asyncio event loop and bind to it."""
        self.is_current = False
        own = None
        if "asyncio_loop" not in kwargs:
            own = kwargs["asyncio_loop"] = _new_asyncio_loop()
        try:
            super().initialize(**kwargs)
        except BaseException:
            if own is not None:
                own.close()
            raise

    def close(self, all_fds: bool = False) -> None:
        """Close this loop and its asyncio event loop."""
        if self.is_current:
            self._clear_current()
        super().close(all_fds=all_fds)

    def _make_current(self) -> None:
        if not self.is_current:
            try:
                self.old_asyncio: asyncio.AbstractEventLoop = _current_or_none()  # type: ignore[assignment]
            except (RuntimeError, AssertionError):
                self.old_asyncio = None  # type: ignore[assignment]
            self.is_current = True
        asyncio.set_event_loop(self.asyncio_loop)

    def _clear_current_hook(self) -> None:
        if self.is_current:
            asyncio.set_event_loop(self.old_asyncio)
            self.is_current = False


def _current_or_none() -> asyncio.AbstractEventLoop | None:
    """The loop that asyncio.get_event_loop() would return, without making one."""
    return getattr(getattr(_event_loop_policy(), "_local", None), "_loop", None)


def to_tornado_future(asyncio_future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """The future itself: Tornado's are asyncio's. Deprecated since Tornado 5.0."""
    return asyncio_future


def to_asyncio_future(tornado_future: Any) -> asyncio.Future[Any]:
    """A Future for anything that Tornado's coroutines can yield. Deprecated since Tornado 5.0."""
    return _convert_awaitable(tornado_future)


_any_thread_policy: type | None = None


def __getattr__(name: str) -> Any:
    # Made on demand: Python 3.14 warns as soon as its base class is looked at.
    if name != "AnyThreadEventLoopPolicy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    global _any_thread_policy
    if _any_thread_policy is None:
        _any_thread_policy = _make_any_thread_policy()
    return _any_thread_policy


def _make_any_thread_policy() -> type:
    class AnyThreadEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
        """An event loop policy that makes loops in any thread. Deprecated since Tornado 6.2."""

        def __init__(self) -> None:
            super().__init__()
            warnings.warn(
                "AnyThreadEventLoopPolicy is deprecated, use asyncio.run or asyncio.new_event_loop instead",
                DeprecationWarning,
                stacklevel=2,
            )

        def get_event_loop(self) -> asyncio.AbstractEventLoop:
            """This thread's loop, made where there is none."""
            try:
                return super().get_event_loop()
            except RuntimeError:
                loop = self.new_event_loop()
                self.set_event_loop(loop)
                return loop

    return AnyThreadEventLoopPolicy


_Callback = Callable[..., Any]


class SelectorThread:
    """The add_reader family for a loop that lacks it, by select() in a hidden thread.

    Callbacks run on the loop's thread, in the context in which this was made. The thread starts with the
    loop and ends with close(), with the loop's shutdown_asyncgens(), or with the interpreter.
    """

    _closed = False

    def __init__(self, real_loop: asyncio.AbstractEventLoop) -> None:
        self._main_thread_ctx = contextvars.copy_context()
        self._real_loop = real_loop
        self._changed = threading.Condition()
        self._to_select: tuple[list[Any], list[Any]] | None = None
        self._closing_selector = False
        self._thread: threading.Thread | None = None
        self._thread_manager_task: asyncio.Task[None] | None = None
        self._manager = self._thread_manager()
        self._readers: dict[Any, _Callback] = {}
        self._writers: dict[Any, _Callback] = {}
        # Not before the loop runs: one that is closed unused must not leave a thread behind.
        real_loop.call_soon(self._start_manager, context=self._main_thread_ctx)
        self._waker_r, self._waker_w = socket.socketpair()
        self._waker_r.setblocking(False)
        self._waker_w.setblocking(False)
        _selector_loops.add(self)
        self.add_reader(self._waker_r, self._drain_waker)

    # ---- the thread's life ----

    def _start_manager(self) -> None:
        async def first_step() -> None:
            await self._manager.__anext__()

        # Kept here: the loop itself has only a weak reference to its tasks.
        self._thread_manager_task = self._real_loop.create_task(first_step())

    async def _thread_manager(self) -> AsyncGenerator[None, None]:
        """An asynchronous generator for the sake of its end: the loop closes it in shutdown_asyncgens()."""
        # A daemon: other threads could not be ended from an exit hook.
        self._thread = threading.Thread(name="Tornado selector", daemon=True, target=self._run_select)
        self._thread.start()
        self._start_select()
        try:
            yield
        except GeneratorExit:
            self.close()
            raise

    def close(self) -> None:
        """End the thread and close its sockets. May be called again."""
        if self._closed:
            return
        with self._changed:
            self._closing_selector = True
            self._changed.notify()
        self._wake_selector()
        if self._thread is not None:
            self._thread.join()
        self._drop_manager()
        _selector_loops.discard(self)
        self.remove_reader(self._waker_r)
        self._waker_r.close()
        self._waker_w.close()
        self._closed = True

    def _drop_manager(self) -> None:
        """Forget the task that was to start the thread, quietly where it never ran."""
        task, self._thread_manager_task = self._thread_manager_task, None
        if task is None or task.done():
            return
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.cancel()
        coroutine = task.get_coro()
        if coroutine is not None:
            coroutine.close()

    # ---- the loop's side ----

    def _wake_selector(self) -> None:
        if self._closed:
            return
        try:
            self._waker_w.send(b"a")
        except BlockingIOError:
            pass

    def _drain_waker(self) -> None:
        try:
            self._waker_r.recv(1024)
        except BlockingIOError:
            pass

    def _start_select(self) -> None:
        """Hand the thread copies of what is watched now; only this thread changes the originals."""
        with self._changed:
            assert self._to_select is None
            self._to_select = (list(self._readers), list(self._writers))
            self._changed.notify()

    def _handle_select(self, readable: list[Any], writable: list[Any]) -> None:
        for fds, callbacks in ((readable, self._readers), (writable, self._writers)):
            for fd in fds:
                callback = callbacks.get(fd)
                if callback is not None:
                    callback()
        self._start_select()

    def add_reader(self, fd: Any, callback: _Callback, *args: Any) -> None:
        """Call ``callback(*args)`` whenever fd can be read."""
        self._readers[fd] = functools.partial(callback, *args)
        self._wake_selector()

    def add_writer(self, fd: Any, callback: _Callback, *args: Any) -> None:
        """Call ``callback(*args)`` whenever fd can be written."""
        self._writers[fd] = functools.partial(callback, *args)
        self._wake_selector()

    def remove_reader(self, fd: Any) -> bool:
        """Stop watching fd for reading; whether it was watched."""
        return self._remove(self._readers, fd)

    def remove_writer(self, fd: Any) -> bool:
        """Stop watching fd for writing; whether it was watched."""
        return self._remove(self._writers, fd)

    def _remove(self, callbacks: dict[Any, _Callback], fd: Any) -> bool:
        found = callbacks.pop(fd, None) is not None
        if found:
            self._wake_selector()
        return found

    # ---- the thread's side ----

    def _run_select(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._to_select is not None or self._closing_selector)
                if self._closing_selector:
                    return
                assert self._to_select is not None
                readers, writers = self._to_select
                self._to_select = None
            readable, writable = self._select(readers, writers)
            try:
                self._real_loop.call_soon_threadsafe(
                    self._handle_select, readable, writable, context=self._main_thread_ctx
                )
            except (RuntimeError, AttributeError):
                pass  # the loop has been closed

    def _select(self, readers: list[Any], writers: list[Any]) -> tuple[list[Any], list[Any]]:
        try:
            # On Windows a failed connection shows among the exceptional ones only.
            readable, writable, failed = select.select(readers, writers, writers)
            return readable, writable + failed
        except OSError as exc:
            if exc.errno != getattr(errno, "WSAENOTSOCK", errno.EBADF):
                raise
            # Something was removed and closed before select() began. Then the waker has been sent to, and the
            # next round has the new lists.
            readable, _, _ = select.select([self._waker_r.fileno()], [], [], 0)
            if not readable:
                raise
            return readable, []


class AddThreadSelectorEventLoop(asyncio.AbstractEventLoop):
    """An event loop with the add_reader family added by a ``SelectorThread``; all else is the wrapped loop's.

    Closing it closes the wrapped loop.
    """

    #: What is this class's own; every other attribute is looked up on the wrapped loop.
    MY_ATTRIBUTES = {
        "_real_loop",
        "_selector",
        "add_reader",
        "add_writer",
        "close",
        "remove_reader",
        "remove_writer",
    }

    def __getattribute__(self, name: str) -> Any:
        if name in AddThreadSelectorEventLoop.MY_ATTRIBUTES:
            return super().__getattribute__(name)
        return getattr(self._real_loop, name)

    def __init__(self, real_loop: asyncio.AbstractEventLoop) -> None:
        self._real_loop = real_loop
        self._selector = SelectorThread(real_loop)

    def close(self) -> None:
        """End the thread and close the wrapped loop."""
        self._selector.close()
        self._real_loop.close()

    def add_reader(self, fd: Any, callback: _Callback, *args: Any) -> None:  # type: ignore[override]
        """As SelectorThread.add_reader."""
        self._selector.add_reader(fd, callback, *args)

    def add_writer(self, fd: Any, callback: _Callback, *args: Any) -> None:  # type: ignore[override]
        """As SelectorThread.add_writer."""
        self._selector.add_writer(fd, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """As SelectorThread.remove_reader."""
        return self._selector.remove_reader(fd)

    def remove_writer(self, fd: Any) -> bool:
        """As SelectorThread.remove_writer."""
        return self._selector.remove_writer(fd)
