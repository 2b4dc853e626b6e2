"""The IOLoop that Tornado 3 and 4 had over kqueue(2), on the BSDs and macOS."""

from __future__ import annotations

from tornado_c.ioloop import PollIOLoop


class KQueueIOLoop(PollIOLoop):
    """An IOLoop over the native event loop, which polls with what it was built for."""
