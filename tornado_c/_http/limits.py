"""Time limits of a connection, and how long and how much is still read after its last response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tornado_c import iostream
from tornado_c._http.errors import _QuietException
from tornado_c.log import app_log

DEFAULT_LINGER_TIMEOUT = 2.0  # seconds
DEFAULT_LINGER_SIZE = 16 * 1024 * 1024  # bytes


async def within(awaitable: Awaitable[None], seconds: float) -> bool:
    """Await something for a limited time. False: it is still running, and ends with its stream."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
    except BaseException:
        task.cancel()
        raise
    if task.done():
        await task
        return True
    task.add_done_callback(_log_late_error)
    return False


def _log_late_error(task: asyncio.Future[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, (iostream.StreamClosedError, _QuietException)):
        app_log.error("Exception in Future %r after timeout", task, exc_info=error)
