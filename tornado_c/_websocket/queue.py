"""The queue between a client's connection and ``read_message``."""

from __future__ import annotations

import asyncio
import collections
import datetime
from collections.abc import Callable
from typing import Any

from tornado_c._support.optional import if_tornado
from tornado_c.concurrent import current_ioloop, future_add_done_callback, future_set_result_unless_cancelled


class MessageQueue:
    """A queue with the interface of ``tornado.queues.Queue``, for messages.

    :param maxsize: how many messages it holds; further ones wait outside. 0: any number.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self._items: collections.deque[Any] = collections.deque()
        self._getters: collections.deque[asyncio.Future[Any]] = collections.deque()
        self._putters: collections.deque[tuple[Any, asyncio.Future[None]]] = collections.deque()
        self._unfinished = 0
        self._joiners: list[asyncio.Future[None]] = []

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._items)

    # ---- in ----

    def offer(self, item: Any) -> asyncio.Future[None] | None:
        """Put a message in; where that has to wait, return a Future of it."""
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                self._unfinished += 1
                getter.set_result(item)
                return None
        if not self.full():
            self._unfinished += 1
            self._items.append(item)
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._putters.append((item, future))
        return future

    def put(self, item: Any, timeout: float | datetime.timedelta | None = None) -> asyncio.Future[None]:
        """Put a message in; the Future is done when there was room."""
        future = self.offer(item)
        if future is None:
            future = _future()
            future.set_result(None)
        else:
            _expire(future, timeout)
        return future

    def put_nowait(self, item: Any) -> None:
        """Put a message in.

        :raises QueueFull: there is no room.
        """
        if self.full() and not any(not getter.done() for getter in self._getters):
            raise _error("QueueFull")
        self.offer(item)

    # ---- out ----

    def get(self, timeout: float | datetime.timedelta | None = None) -> asyncio.Future[Any]:
        """Return a Future of the next message."""
        future = _future()
        if self._items:
            future.set_result(self._take())
        else:
            while self._getters and self._getters[0].done():
                self._getters.popleft()  # cancelled
            self._getters.append(future)
            _expire(future, timeout)
        return future

    def get_nowait(self) -> Any:
        """Return the next message.

        :raises QueueEmpty: there is none.
        """
        if not self._items:
            raise _error("QueueEmpty")
        return self._take()

    def _take(self) -> Any:
        item = self._items.popleft()
        while self._putters:
            waiting, future = self._putters.popleft()
            if not future.done():
                self._unfinished += 1
                self._items.append(waiting)
                future.set_result(None)
                break
        return item

    def __aiter__(self) -> MessageQueue:
        return self

    def __anext__(self) -> asyncio.Future[Any]:
        return self.get()

    # ---- tasks ----

    def task_done(self) -> None:
        """Say that a message that was taken out has been dealt with.

        :raises ValueError: all are.
        """
        if self._unfinished <= 0:
            raise ValueError("task_done() called too many times")
        self._unfinished -= 1
        if self._unfinished == 0:
            joiners, self._joiners = self._joiners, []
            for joiner in joiners:
                future_set_result_unless_cancelled(joiner, None)

    def join(self, timeout: float | datetime.timedelta | None = None) -> asyncio.Future[None]:
        """Return a Future that is done when all messages have been dealt with."""
        future = _future()
        if self._unfinished:
            self._joiners.append(future)
            _expire(future, timeout)
        else:
            future.set_result(None)
        return future


def _future() -> asyncio.Future[Any]:
    return asyncio.get_event_loop().create_future()


def _error(name: str) -> Exception:
    """Tornado's exception of that name, or asyncio's without Tornado."""
    cls: Callable[[], Exception] = getattr(if_tornado("tornado.queues") or asyncio, name)
    return cls()


def _expire(future: asyncio.Future[Any], timeout: float | datetime.timedelta | None) -> None:
    """Have a Future fail with TimeoutError at a time of the loop's clock, or after a timedelta."""
    if timeout is None:
        return

    def expire() -> None:
        if not future.done():
            future.set_exception(TimeoutError())

    io_loop = current_ioloop()
    handle = io_loop.add_timeout(timeout, expire)
    future_add_done_callback(future, lambda _: io_loop.remove_timeout(handle))
