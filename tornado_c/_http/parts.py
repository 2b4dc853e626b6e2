"""What a connection needs besides itself: the fate of exceptions, rules about headers, time limits."""

from __future__ import annotations

import asyncio
import logging
import re
import types
from collections.abc import Awaitable

from tornado_c import httputil, iostream
from tornado_c.log import app_log

HEAD_END = re.compile(b"\r?\n\r?\n")

DEFAULT_LINGER_TIMEOUT = 2.0  # seconds
DEFAULT_LINGER_SIZE = 16 * 1024 * 1024  # bytes

#: The answers to requests that are refused.
REFUSALS = {
    400: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    414: b"HTTP/1.1 414 URI Too Long\r\nConnection: close\r\n\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",
}


class _QuietException(Exception):
    """Stands for an exception that was logged already."""

    def __init__(self) -> None:
        pass


class _ExceptionLoggingContext:
    """Logs what leaves a ``with`` block around a delegate's method, and raises ``_QuietException`` instead.

    ``HTTPInputError`` is let through: the connection answers it.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: types.TracebackType | None,
    ) -> None:
        if value is None or isinstance(value, httputil.HTTPInputError):
            return
        self.logger.error("Uncaught exception", exc_info=value)
        raise _QuietException


logging_errors = _ExceptionLoggingContext(app_log)


async def within(awaitable: Awaitable[None], seconds: float) -> bool:
    """Await something for a limited time. False: it goes on without us, to end with its stream."""
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
