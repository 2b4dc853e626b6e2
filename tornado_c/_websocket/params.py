"""The settings of a connection, and what a connection asks of its owner."""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from types import NoneType, TracebackType
from typing import Any, Protocol

from tornado_c.log import gen_log

#: Bytes of a message, its fragments together and after decompression.
_default_max_message_size = 10 * 1024 * 1024

#: ``gen_log.log``, which says the same thing once.
de_dupe_gen_log = functools.lru_cache(gen_log.log)


class _WebSocketParams:
    """Settings of a connection, all attributes.

    :param ping_interval: seconds between pings; None or 0: none are sent.
    :param ping_timeout: seconds in which each must be answered; 0: no limit; None: the interval.
    :param max_message_size: bytes of the largest message that is accepted.
    :param compression_options: None: messages are not compressed. A dict: they are where the peer wants it,
        too; its items ``compression_level`` and ``mem_level`` are zlib's.
    """

    # With these an instance has a dict only for what somebody adds.
    __slots__ = (
        "ping_interval",
        "ping_timeout",
        "max_message_size",
        "compression_options",
        "__dict__",
        "__weakref__",
    )

    def __init__(
        self,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
        max_message_size: int = _default_max_message_size,
        compression_options: dict[str, Any] | None = None,
    ) -> None:
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_message_size = max_message_size
        self.compression_options = compression_options


class SharedParams(_WebSocketParams):
    """Settings of several connections, which must not be changed; arguments as above, all given.

    Each connection has a copy of its own from the moment somebody looks at them.
    """

    __slots__ = ()

    def copy(self) -> _WebSocketParams:
        """Return the same settings for one connection."""
        return _WebSocketParams(
            self.ping_interval, self.ping_timeout, self.max_message_size, self.compression_options
        )


@functools.lru_cache(maxsize=16, typed=True)
def _shared_params(*settings: Any) -> SharedParams:
    return SharedParams(*settings)


def make_params(
    ping_interval: float | None,
    ping_timeout: float | None,
    max_message_size: int,
    compression_options: dict[str, Any] | None,
) -> _WebSocketParams:
    """Return settings for a connection that waits for long, which may be those of others, too."""
    settings: tuple[Any, ...] = (ping_interval, ping_timeout, max_message_size, compression_options)
    plain = all(type(value) in (int, float, NoneType) for value in settings)
    return (_shared_params if plain else _WebSocketParams)(*settings)


class _WebSocketDelegate(Protocol):
    """The owner of a connection: a server's handler, or a client."""

    def on_ws_connection_close(self, close_code: int | None = None, close_reason: str | None = None) -> None:
        """Called once, at the end."""

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Called with each message, the next one when what this returned is done."""

    def on_ping(self, data: bytes) -> None:
        """Called with the payload of each ping."""

    def on_pong(self, data: bytes) -> None:
        """Called with the payload of each pong."""

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Called with what the methods above have raised."""
