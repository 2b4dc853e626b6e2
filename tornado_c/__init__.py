"""Tornado's server core, reimplemented in C."""

from ._eventloop import EventLoop

# The version of Tornado whose interface this is; the package's own version is __version__.
version = "6.6.1"
version_info = (6, 6, 1, 0)
__version__ = "0.1.0"


def new_event_loop() -> EventLoop:
    """A new native asyncio event loop."""
    return EventLoop()


__all__ = ["EventLoop", "new_event_loop", "version", "version_info"]
