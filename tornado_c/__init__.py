"""Tornado's server core, reimplemented in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._swap import install

if TYPE_CHECKING:
    from ._eventloop import EventLoop

# The version of Tornado whose interface this is; the package's own version is __version__.
version = "6.6.1"
version_info = (6, 6, 1, 0)
__version__ = "0.1.0"


def new_event_loop() -> EventLoop:
    """A new native asyncio event loop."""
    from ._eventloop import EventLoop

    return EventLoop()


def __getattr__(name: str) -> Any:
    # Loaded on demand: a child of a swapped program imports this package at its start, and may never need
    # asyncio.
    if name == "EventLoop":
        from ._eventloop import EventLoop

        return EventLoop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["EventLoop", "install", "new_event_loop", "version", "version_info"]
