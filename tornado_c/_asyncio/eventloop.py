"""The asyncio face of the native loop: EventLoop, and the core that a foreign loop drives."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import weakref
from asyncio import base_events, events, sslproto
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, SupportsIndex

from tornado_c import _core
from tornado_c._asyncio.transport import SocketTransport
from tornado_c._support import stack
from tornado_c._workers import serving

_asyncio_log = logging.getLogger("asyncio")


class _SelectorView:
    """What the standard library's cold paths ask a loop's selector: who watches a descriptor."""

    def __init__(self, core: _core.LoopCore) -> None:
        self._core = core

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        info = self._core._fd_info(fd)
        if info is None:
            raise KeyError(f"{fileobj!r} is not registered")
        mask, reader, writer = info
        return selectors.SelectorKey(fileobj, fd, mask, (reader, writer))

    def get_map(self) -> dict[int, selectors.SelectorKey]:
        return {fd: self.get_key(fd) for fd in self._core._fd_list()}

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait and deliver, for a _run_once that is not ours: the handles are in _ready then."""
        self._core._select(timeout)
        return []

    def close(self) -> None:
        """The descriptors go with the core."""


class _Timers(list[Any]):
    """A live view of a loop's timers, sorted by deadline.

    A real list for heapq's sake: what heappop takes is the earliest timer. That one leaves the loop when it
    is appended to _ready.
    """

    def __init__(self, core: _core.LoopCore) -> None:
        self._core = core
        self._refresh()

    def _refresh(self) -> None:
        handles = _core.LoopCore._scheduled.__get__(self._core)
        super().__init__(sorted(handles, key=asyncio.TimerHandle.when))

    def __len__(self) -> int:
        self._refresh()
        return super().__len__()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Any]:
        self._refresh()
        return iter(self[:])

    def __getitem__(self, index: Any) -> Any:
        self._refresh()
        return super().__getitem__(index)

    def __contains__(self, handle: object) -> bool:
        self._refresh()
        return super().__contains__(handle)

    def __eq__(self, other: object) -> bool:
        self._refresh()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        self._refresh()
        return super().__repr__()

    def pop(self, index: SupportsIndex = -1) -> Any:
        handle = self[index]
        self._core._forget_timer(handle)
        return handle

    def remove(self, handle: Any) -> None:
        if handle not in self:
            raise ValueError("list.remove(x): x not in list")
        self._core._forget_timer(handle)

    def clear(self) -> None:
        for handle in self:
            self._core._forget_timer(handle)


_signal_loops: weakref.WeakSet[EventLoop] = weakref.WeakSet()  # those that handle signals


def _renew_signal_pipes() -> None:
    """In the child of a fork: its signals must not go through a socket that the parent reads."""
    for loop in list(_signal_loops):
        loop._renew_signal_pipe()


os.register_at_fork(after_in_child=_renew_signal_pipes)


class EventLoop(_core.LoopCore, asyncio.SelectorEventLoop):
    """An asyncio event loop whose turns, handles, timers and poller are C.

    Transports of stream sockets are C where it counts (see transport.py). The rest (datagrams, pipes,
    subprocesses, executors, debug mode) is the standard library's selector loop.
    """

    def __init__(self) -> None:
        super().__init__(_SelectorView(self))  # type: ignore[arg-type]

    @property
    def _scheduled(self) -> _Timers:
        return _Timers(self)

    @_scheduled.setter
    def _scheduled(self, value: Any) -> None:
        """The standard library assigns an empty list at the start: it has nothing to say."""

    def run_forever(self) -> None:
        """Run until stop() is called."""
        self._check_closed()
        self._check_running()
        serving.loop_starts(self)
        self._set_coroutine_origin_tracking(self._debug)
        old_hooks = sys.get_asyncgen_hooks()
        try:
            self._thread_id = threading.get_ident()
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
            )
            events._set_running_loop(self)
            self._run_loop()
        finally:
            self._stopping = False
            self._thread_id = None
            events._set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*old_hooks)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """Call ``callback(*args)`` on this loop when the process gets a signal; of the main thread only."""
        _signal_loops.add(self)
        if not asyncio.iscoroutinefunction(callback):  # which the base refuses
            callback = stack.follow(callback)  # the base's handle enters none
        super().add_signal_handler(sig, callback, *args)

    def _renew_signal_pipe(self) -> None:
        own = signal.set_wakeup_fd(-1)
        if self._closed:
            return
        handlers, old = bool(self._signal_handlers), self._csock.fileno()  # type: ignore[attr-defined]
        self._close_self_pipe()  # type: ignore[attr-defined]
        self._make_self_pipe()  # type: ignore[attr-defined]
        if own not in (-1, old):
            signal.set_wakeup_fd(own)
        elif handlers:
            signal.set_wakeup_fd(self._csock.fileno())  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the loop and everything that is queued on it.

        :raises RuntimeError: it runs.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        super().close()
        self._release()

    if sys.version_info >= (3, 14):

        def call_soon_threadsafe(
            self, callback: Any, *args: Any, context: contextvars.Context | None = None
        ) -> asyncio.Handle:
            """As call_soon, from any thread. The handle's cancel() waits while the callback runs."""
            self._check_closed()
            if self._debug:
                self._check_callback(callback, "call_soon_threadsafe")
            handle = events._ThreadSafeHandle(callback, args, self, context)
            self._ready.append(handle)
            if handle._source_traceback:
                del handle._source_traceback[-2:]  # this method and the handle's own constructor
            self._write_to_self()
            return handle

    def _start_serving(self, *args: Any, **kwargs: Any) -> None:
        serving.accepting(self)
        super()._start_serving(*args, **kwargs)

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None
    ) -> Any:
        if type(sock) is not socket.socket:  # a class with a recv() and send() of its own
            return super()._make_socket_transport(sock, protocol, waiter, extra=extra, server=server)
        self._ensure_fd_no_transport(sock)
        return SocketTransport(self, sock, protocol, waiter, extra, server)  # type: ignore[call-arg, arg-type]

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        **timeouts: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        tls = sslproto.SSLProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts
        )
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls._app_transport

    def _log_slow(self, handle: asyncio.Handle, seconds: float) -> None:
        if seconds >= self.slow_callback_duration:
            _asyncio_log.warning(
                "Executing %s took %.3f seconds", base_events._format_handle(handle), seconds
            )


class GuestCore(_core.LoopCore):
    """A core that a foreign asyncio loop drives: its poller and timers are the host's guests.

    A host that is closed drops what it watched. That is how the guest learns of it: it closes too, and
    calls forget().
    """

    def __init__(self, host: asyncio.AbstractEventLoop, forget: Callable[[], None] | None = None) -> None:
        self._host = host
        self._forget = forget
        self._tether: weakref.ref[Any] | None = None

    def _watched_by_host(self, callback: Callable[[], None]) -> None:
        """The host watches our poller, and holds ``callback`` as long as it does."""
        self._tether = weakref.ref(callback, self._released)

    def _released(self, _: weakref.ref[Any]) -> None:
        if self._host is not None and self._host.is_closed():
            self.close()
            if self._forget is not None:
                self._forget()

    def _log_slow(self, handle: asyncio.Handle, seconds: float) -> None:
        """The host has its own debug mode."""

    def close(self) -> None:
        """Leave the host; it stays open."""
        if not self._closed:
            self._closed = True
            self._tether = None
            self._leave_host()
            self._release()


async def _wrap_awaitable(awaitable: Awaitable[Any]) -> Any:
    """A coroutine around any awaitable, for a Task to run."""
    return await awaitable


_core.register("ioloop", upcalls={"wrap_awaitable": _wrap_awaitable})
