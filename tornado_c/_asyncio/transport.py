"""The socket transport of tornado_c.EventLoop."""

from __future__ import annotations

from asyncio import selector_events

from tornado_c import _core


class SocketTransport(
    _core.SocketTransportBase,
    selector_events._SelectorSocketTransport,  # type: ignore[misc, name-defined]
):
    """The standard library's transport for stream sockets; reads, and writes that need not wait, are C."""
