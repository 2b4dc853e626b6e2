"""The IOLoop that Tornado 3 and 4 had over epoll(7), on Linux."""

from __future__ import annotations

from tornado_c.ioloop import PollIOLoop


class EPollIOLoop(PollIOLoop):
    """An IOLoop over the native event loop, which polls with what it was built for."""
