"""The event loop policy, for programs that set one. asyncio has deprecated policies: see tornado_c.run."""

from __future__ import annotations

import sys

from tornado_c._asyncio.eventloop import EventLoop

if sys.version_info >= (3, 14):
    from asyncio.unix_events import _DefaultEventLoopPolicy as _StandardPolicy  # its public name warns
else:
    from asyncio import DefaultEventLoopPolicy as _StandardPolicy


class EventLoopPolicy(_StandardPolicy):
    """asyncio's default policy, whose new loops are native; for asyncio.set_event_loop_policy."""

    def new_event_loop(self) -> EventLoop:
        """A new native asyncio event loop."""
        return EventLoop()
