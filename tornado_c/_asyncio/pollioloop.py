"""PollIOLoop: the base that IOLoops had in Tornado 3 and 4, for programs that subclass it or name it."""

from __future__ import annotations

import asyncio
import functools
import select
import selectors
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tornado_c.ioloop import IOLoop
from tornado_c.platform.asyncio import AsyncIOLoop

_LONGEST_POLL = 3600.0

#: The kernel's own pollers, to which our core is no second choice.
_KERNELS = tuple(getattr(select, name) for name in ("epoll", "kqueue") if hasattr(select, name))


class _Selector(selectors.BaseSelector):
    """A poller of Tornado's kind, with ``register, modify, unregister, poll, close``, as asyncio wants it."""

    def __init__(self, impl: Any) -> None:
        self._impl = impl
        self._keys: dict[int, selectors.SelectorKey] = {}

    @staticmethod
    def _number(fileobj: Any) -> int:
        return fileobj if isinstance(fileobj, int) else fileobj.fileno()

    @staticmethod
    def _events(events: int) -> int:
        read = IOLoop.READ if events & selectors.EVENT_READ else 0
        write = IOLoop.WRITE if events & selectors.EVENT_WRITE else 0
        return read | write | IOLoop.ERROR

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = self._number(fileobj)
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} is already registered")
        self._impl.register(fd, self._events(events))
        self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return self._keys[fd]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        fd = self._number(fileobj)
        key = self._keys.pop(fd)
        try:
            self._impl.unregister(fd)
        except OSError:
            pass  # it was closed
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = self._number(fileobj)
        if self._keys[fd].events != events:
            self._impl.modify(fd, self._events(events))
        self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return self._keys[fd]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = []
        for fd, events in self._impl.poll(_LONGEST_POLL if timeout is None else max(timeout, 0.0)):
            key = self._keys.get(fd)
            if key is not None:
                wanted = 0
                if events & ~IOLoop.WRITE:
                    wanted |= selectors.EVENT_READ
                if events & ~IOLoop.READ:
                    wanted |= selectors.EVENT_WRITE
                found.append((key, wanted & key.events))
        return found

    def close(self) -> None:
        self._keys.clear()
        self._impl.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class _PollerLoop(asyncio.SelectorEventLoop):
    """An asyncio loop over a poller and a clock of the application's."""

    def __init__(self, impl: Any, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__(_Selector(impl))

    def time(self) -> float:
        return self._clock()


class PollIOLoop(AsyncIOLoop):
    """An IOLoop with a clock, and perhaps a poller, of the application's.

    Without a poller, and with one of the kernel's, it runs on the native event loop. With one that is written
    in Python an asyncio loop waits in it, and this loop is that one's guest.
    """

    #: Whether timers go by the loop's clock alone, which may be none of the system's.
    _timers_of_host = False

    def initialize(  # type: ignore[override]
        self, impl: Any = None, time_func: Callable[[], float] | None = None, **kwargs: Any
    ) -> None:
        """Called with the constructor's arguments.

        :param impl: a poller: ``register(fd, events)``, ``modify``, ``unregister(fd)``, ``close()`` and
            ``poll(seconds)``, which returns pairs of a descriptor and its events.
        :param time_func: returns the time in seconds; default ``time.time``.
        """
        self._impl = impl
        self.time_func = time.time if time_func is None else time_func
        if impl is not None and not isinstance(impl, _KERNELS) and "asyncio_loop" not in kwargs:
            kwargs["asyncio_loop"] = _PollerLoop(impl, self.time_func)
            self._timers_of_host = True
        super().initialize(**kwargs)

    def time(self) -> float:
        return self.time_func()

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> object:
        if not self._timers_of_host:
            return super().call_at(when, callback, *args, **kwargs)
        call = functools.partial(callback, *args, **kwargs)
        return self.asyncio_loop.call_at(when, self._run_callback, call)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> object:
        if not self._timers_of_host:
            return super().call_later(delay, callback, *args, **kwargs)
        return self.call_at(self.time() + delay, callback, *args, **kwargs)

    def add_timeout(
        self, deadline: float | timedelta, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> object:
        if not self._timers_of_host:
            return super().add_timeout(deadline, callback, *args, **kwargs)
        when = self.time() + deadline.total_seconds() if isinstance(deadline, timedelta) else deadline
        return self.call_at(when, callback, *args, **kwargs)

    def close(self, all_fds: bool = False) -> None:
        super().close(all_fds=all_fds)
        if isinstance(self._impl, _KERNELS):
            self._impl.close()
