"""When this process begins to serve. What replaces a running program by a new one listens here, since an old
program goes only when the new one serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Called with an asyncio loop that begins to run, and with one on which connections begin to be accepted.
on_loop: Callable[[Any], object] | None = None
on_accepting: Callable[[Any], object] | None = None


def loop_starts(loop: Any) -> None:
    """An asyncio loop of ours begins to run."""
    if on_loop is not None:
        on_loop(loop)


def accepting(loop: Any) -> None:
    """Connections are about to be accepted on a loop, asyncio's or an IOLoop."""
    if on_accepting is not None:
        on_accepting(getattr(loop, "asyncio_loop", loop))
