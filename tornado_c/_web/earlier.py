"""What handlers had before Tornado 6, and programs of that time still use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tornado_c import httputil
from tornado_c._web.transforms import OutputTransform
from tornado_c.escape import utf8
from tornado_c.log import app_log


class EarlierMixin:
    """Methods of ``RequestHandler``."""

    request: httputil.HTTPServerRequest
    _headers: httputil.HTTPHeaders
    _headers_written: bool
    _status_code: int
    _reason: str
    finish: Callable[..., Any]
    _handle_request_exception: Callable[[BaseException], None]
    _clear_representation_headers: Callable[[], None]

    def async_callback(
        self, callback: Callable[..., Any] | None, *args: Any, **kwargs: Any
    ) -> Callable[..., Any] | None:
        """Return a function that calls ``callback`` and makes an error page of what it raises.

        :param args: arguments that come before those of the call, as with ``functools.partial``.
        :returns: None where there is no callback.
        """
        if callback is None:
            return None
        call = functools.partial(callback, *args, **kwargs)

        @functools.wraps(callback, updated=())
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except Exception as exc:
                if self._headers_written:
                    app_log.error("Exception after headers written", exc_info=True)
                else:
                    self._handle_request_exception(exc)

        return guarded

    def _write_error_html(self, make_page: Callable[..., Any], status_code: int, **kwargs: Any) -> None:
        """Finish with what ``get_error_html`` returns, which is called while the exception is handled."""
        exc_info = kwargs.pop("exc_info", None)
        if exc_info is None:
            self.finish(make_page(status_code, **kwargs))
            return
        try:
            raise exc_info[1].with_traceback(exc_info[2])
        except Exception as exc:
            self.finish(make_page(status_code, exception=exc, **kwargs))

    def _generate_headers(self) -> bytes:
        """Return the head of the response as it would be sent now, without what the connection adds."""
        lines = [f"{self.request.version} {self._status_code} {self._reason}"]
        lines += [f"{name}: {value}" for name, value in self._headers.get_all()]
        cookies = getattr(self, "_new_cookie", None) or {}
        lines += [f"Set-Cookie: {cookie.OutputString(None)}" for cookie in cookies.values()]
        return utf8("\r\n".join(lines) + "\r\n\r\n")

    def _clear_headers_for_304(self) -> None:
        """Drop the headers that describe a body. The name before Tornado 5."""
        self._clear_representation_headers()


class ChunkedTransferEncoding(OutputTransform):
    """Stood for chunked responses before Tornado 4; a connection chunks what has no length by itself."""
