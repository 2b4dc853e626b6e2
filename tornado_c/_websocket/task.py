"""The Task of a loop's open connections, which have none each: it is there to be cancelled and waited for, by
``asyncio.run`` or by the application, as that of every handler is with Tornado.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable


async def open_websockets(closed: asyncio.Future[None], cancelled: Callable[[], None]) -> None:
    """Wait until no connection is open; if that is cancelled, they are."""
    try:
        await asyncio.sleep(0)
        await closed
    except asyncio.CancelledError:
        cancelled()


def start_task(
    loop: asyncio.AbstractEventLoop, closed: asyncio.Future[None], cancelled: Callable[[], None]
) -> None:
    """Start the Task.

    :param closed: done when no connection is open.
    :param cancelled: called if the Task is cancelled.
    """
    coroutine = open_websockets(closed, cancelled)
    coroutine.send(None)  # to its sleep(0): from here on it is told of a cancellation
    # In a context of its own, which keeps nothing of the first connection's.
    task = contextvars.Context().run(loop.create_task, coroutine)
    with contextlib.suppress(AttributeError):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
