"""When this process begins to serve. What replaces a running program by a new one listens here, since an old
program goes only when the new one serves."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

#: Called with an asyncio loop that begins to run, and with one on which connections begin to be accepted.
on_loop: Callable[[Any], object] | None = None
on_accepting: Callable[[Any], object] | None = None

#: While others serve and this process may still fail: the loops of its servers, and what begins to accept.
_held: list[tuple[Any, Callable[[], None]]] | None = None


def loop_starts(loop: Any) -> None:
    """An asyncio loop of ours begins to run."""
    if on_loop is not None:
        on_loop(loop)


def accepting(loop: Any) -> None:
    """Connections are about to be accepted on a loop, asyncio's or an IOLoop."""
    if on_accepting is not None:
        on_accepting(getattr(loop, "asyncio_loop", loop))


def hold() -> None:
    """Leave connections to others until release(): those that a process has accepted are lost if it fails."""
    global _held
    _held = []


def release() -> None:
    global _held
    held, _held = _held or [], None
    for loop, begin in held:
        loop.add_callback(begin)


def accept(loop: Any, start: Callable[[], Callable[[], None]]) -> Callable[[], None]:
    """Begin to accept on an IOLoop by start(), which returns what ends it; returns the same."""
    if _held is None:
        return start()
    context = contextvars.copy_context()
    ends: list[Callable[[], None]] = []
    ended = False

    def begin() -> None:
        if not ended:
            ends.append(context.run(start))

    def end() -> None:
        nonlocal ended
        ended = True
        for each in ends:
            each()

    _held.append((loop, begin))
    return end
