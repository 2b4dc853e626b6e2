"""Subclasses of streams as in Tornado 2 to 4, where what reads a descriptor returns the data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

_Read = TypeVar("_Read", bound=Callable[..., Any])


def buffer_optional(read: _Read) -> _Read:
    """Let a ``read_from_fd`` of ours be called without a buffer, as old subclasses call their base's.

    It returns data then, or None if there is nothing now; at the end it closes the stream.
    """

    @functools.wraps(read)
    def wrapper(self: Any, buf: Any = None) -> Any:
        if buf is not None:
            return read(self, buf)
        room = bytearray(self.read_chunk_size)
        size = read(self, room)
        if size == 0:
            self.close()
        return bytes(room[:size]) if size else None

    return wrapper  # type: ignore[return-value]


def adapt(cls: type) -> None:
    """Have a class that has a ``read_from_fd`` of 4.x, or a ``_read_from_socket`` of 2.x, read with it."""
    own = vars(cls)
    if "_read_from_socket" in own and "read_from_fd" not in own:
        cls.read_from_fd = _into_buffer(own["_read_from_socket"])  # type: ignore[attr-defined]
    elif _takes_no_buffer(own.get("read_from_fd")):
        cls.read_from_fd = _into_buffer(own["read_from_fd"])  # type: ignore[attr-defined]


def _takes_no_buffer(function: Any) -> bool:
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return False
    code = function.__code__
    return code.co_argcount == 1 and not code.co_flags & 0x0C  # neither *args nor **kwargs


def _into_buffer(read: Callable[[Any], bytes | None]) -> Callable[..., Any]:
    """Return a ``read_from_fd`` of today's."""

    @functools.wraps(read)
    def read_from_fd(self: Any, buf: Any = None) -> Any:
        return read(self) if buf is None else fill(self, buf, functools.partial(read, self))

    read_from_fd.__name__ = "read_from_fd"
    return read_from_fd


def fill(stream: Any, buf: Any, read: Callable[[], bytes | None]) -> int | None:
    """Read into a buffer with what returns data. What does not fit is kept for the next call."""
    data = vars(stream).pop("_unread", None)
    if data is None:
        data = read()
    if not data:  # b"" at the end, None if there is nothing now, or the stream was closed
        return None if data is None else 0
    size = min(len(data), len(buf))
    buf[:size] = data[:size]
    if size < len(data):
        stream._unread = data[size:]
    return size
