"""Non-blocking streams over sockets, with the interface of Tornado's IOStream."""

from __future__ import annotations

import socket
from typing import Any, cast

from . import _core
from .ioloop import IOLoop


class StreamClosedError(IOError):
    """Raised by, or set on, operations of a stream that is closed.

    `real_error` is the exception that closed it, or None.
    """

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__("Stream is closed")
        self.real_error = real_error


class UnsatisfiableReadError(Exception):
    """A read can never be satisfied: its delimiter was not found within max_bytes."""


class StreamBufferFullError(Exception):
    """A buffer has reached its limit: max_buffer_size or max_write_buffer_size."""


class IOStream(_core.IOStreamBase):
    """A stream over a connected or connecting socket, which it owns and makes non-blocking.

    max_buffer_size: the most unread bytes (default 100 MB). read_chunk_size: bytes asked of the socket at a
    time (default 64 KB). max_write_buffer_size: the most bytes that may wait to be sent (default: no limit).

    The interface of 2.x-4.x, `IOStream(socket, io_loop, max_buffer_size, ...)`, is understood: an IOLoop as
    second argument, or None with further ones.
    """

    __slots__ = ()

    def __init__(self, socket: socket.socket, *args: Any, **kwargs: Any) -> None:
        io_loop, sizes = _sort_arguments(args, kwargs)
        loop = io_loop if io_loop is not None else cast(IOLoop, IOLoop.current())
        socket.setblocking(False)
        self._open(
            socket,
            loop._core,
            sizes.get("max_buffer_size"),
            sizes.get("read_chunk_size"),
            sizes.get("max_write_buffer_size"),
        )


_SIZES = ("max_buffer_size", "read_chunk_size", "max_write_buffer_size")


def _sort_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[IOLoop | None, dict[str, Any]]:
    """The io_loop and the sizes among a stream's arguments, whichever generation they are of."""
    sizes = dict(kwargs)
    io_loop = sizes.pop("io_loop", None)
    if args and (isinstance(args[0], IOLoop) or (args[0] is None and len(args) > 1)):
        io_loop, args = args[0], args[1:]
    if len(args) > len(_SIZES):
        raise TypeError(f"IOStream takes at most {len(_SIZES) + 2} positional arguments")
    for name, value in zip(_SIZES, args, strict=False):
        if name in sizes:
            raise TypeError(f"IOStream got multiple values for argument '{name}'")
        sizes[name] = value
    unknown = set(sizes) - set(_SIZES)
    if unknown:
        raise TypeError(f"IOStream got an unexpected keyword argument '{sorted(unknown)[0]}'")
    return io_loop, sizes


_core.register("IOStream", IOStream)
_core.register("StreamClosedError", StreamClosedError)
_core.register("UnsatisfiableReadError", UnsatisfiableReadError)
_core.register("StreamBufferFullError", StreamBufferFullError)
