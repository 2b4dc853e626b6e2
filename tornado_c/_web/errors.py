"""Exceptions with which a handler ends its request."""

from __future__ import annotations

from typing import Any

from tornado_c import httputil


class HTTPError(Exception):
    """Turns into an error response.

    :param status_code: the response's status.
    :param log_message: for the log; shown to clients only where tracebacks are. May have %-style
        placeholders for the further positional arguments.
    :param reason: keyword only; the reason phrase, where the usual one of the code will not do.
    """

    def __init__(
        self, status_code: int = 500, log_message: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        self.status_code = status_code
        self._log_message = log_message
        self.args = args
        self.reason = kwargs.get("reason")

    @property
    def log_message(self) -> str | None:
        """The message with its placeholders; a percent sign in a message without arguments is doubled."""
        if self._log_message and not self.args:
            return self._log_message.replace("%", "%%")
        return self._log_message

    def get_message(self) -> str | None:
        """Return the message with the arguments in place."""
        if self._log_message and self.args:
            return self._log_message % self.args
        return self._log_message

    def __str__(self) -> str:
        reason = self.reason or httputil.responses.get(self.status_code, "Unknown")
        text = f"HTTP {self.status_code:d}: {reason}"
        message = self.get_message()
        return f"{text} ({message})" if message else text


class Finish(Exception):
    """Ends the request as it stands, without an error and without a log entry.

    An argument is passed to :meth:`RequestHandler.finish`.
    """


class MissingArgumentError(HTTPError):
    """What ``get_argument`` raises for an argument without value and default: status 400."""

    def __init__(self, arg_name: str) -> None:
        super().__init__(400, f"Missing argument {arg_name}")
        self.arg_name = arg_name
