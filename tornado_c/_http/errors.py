"""What becomes of exceptions that leave a delegate."""

from __future__ import annotations

import logging
import types

from tornado_c import httputil
from tornado_c.log import app_log


class _QuietException(Exception):
    """Stands for an exception that was logged already."""

    def __init__(self) -> None:
        pass


class _ExceptionLoggingContext:
    """Logs what leaves a ``with`` block around a delegate's method, and raises ``_QuietException`` instead.

    ``HTTPInputError`` passes: the connection responds to it.
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
