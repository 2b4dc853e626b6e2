"""RequestHandler: the Python class over the C base, with the methods that are not hot. Cookies, locales,
templates and the protection against cross-site requests are mixins in files of their own.

Functions whose work C does (``__init__``, ``flush``, ``on_finish``, ``_execute``) are here as Python
functions because tools wrap them. C knows them by identity, and skips them as long as they have not been
replaced.
"""

from __future__ import annotations

import asyncio
import re
import sys
import traceback
import types
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tornado_c import _core, httputil
from tornado_c._support.attributes import restore, shown, state
from tornado_c._web.cookies import CookieMixin
from tornado_c._web.earlier import EarlierMixin
from tornado_c._web.errors import Finish, HTTPError
from tornado_c._web.locale import LocaleMixin
from tornado_c._web.synchronous import is_synchronous
from tornado_c._web.templates import TemplateMixin
from tornado_c._web.upcalls import _execute_failed
from tornado_c._web.xsrf import XsrfMixin
from tornado_c.concurrent import current_ioloop, future_set_result_unless_cancelled
from tornado_c.escape import utf8, xhtml_escape
from tornado_c.iostream import StreamClosedError
from tornado_c.log import app_log, gen_log

if TYPE_CHECKING:
    from tornado_c._web.application import Application
    from tornado_c.iostream import IOStream


class _ArgDefaultMarker:
    """Stands for "no default given"."""


_ARG_DEFAULT = _ArgDefaultMarker()


# The C base comes first: a call of a C method looks for it among the class's bases, one after another.
class RequestHandler(_core.HandlerBase, CookieMixin, LocaleMixin, TemplateMixin, XsrfMixin, EarlierMixin):
    """Serves one request. Subclasses define ``get``, ``post`` and so on.

    For each request an instance is made, ``initialize`` is called with the keyword arguments of the route,
    then ``prepare``, then the method named after the request's. Both may be coroutines. When the method is
    done the response is finished, unless it was before.
    """

    SUPPORTED_METHODS: tuple[str, ...] = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    _remove_control_chars_regex = re.compile(r"[\x00-\x08\x0e-\x1f]")
    _VALID_HEADER_CHARS = re.compile(r"[\x09\x20-\x7e\x80-\xff]*")
    _stream_request_body = False

    __dict__ = shown(
        *("application", "request", "path_args", "path_kwargs", "ui", "_headers", "_status_code", "_reason"),
        *("_write_buffer", "_transforms", "_new_cookie", "_prepared_future", "_finished", "_headers_written"),
        "_auto_finish",
    )
    __getstate__, __setstate__ = state, restore

    def __init__(self, application: Application, request: httputil.HTTPServerRequest, **kwargs: Any) -> None:
        super().__init__()
        self._setup(application, request, kwargs)

    def _initialize(self) -> None:
        """Takes the route's keyword arguments; this one takes none."""

    initialize: Callable[..., None] = _initialize

    def _unimplemented_method(self, *args: str, **kwargs: str) -> None:
        """Responds with 405, for a method that the handler does not have."""
        raise HTTPError(405)

    head: Callable[..., Awaitable[None] | None] = _unimplemented_method
    get: Callable[..., Awaitable[None] | None] = _unimplemented_method
    post: Callable[..., Awaitable[None] | None] = _unimplemented_method
    delete: Callable[..., Awaitable[None] | None] = _unimplemented_method
    patch: Callable[..., Awaitable[None] | None] = _unimplemented_method
    put: Callable[..., Awaitable[None] | None] = _unimplemented_method
    options: Callable[..., Awaitable[None] | None] = _unimplemented_method

    # ---- hooks ----

    def prepare(self) -> Awaitable[None] | None:
        """Called before the request's method, whichever it is. May be a coroutine."""
        return None

    def on_finish(self) -> None:
        """Called when the response was handed to the connection. May not write."""

    def on_connection_close(self) -> None:
        """Called if the client goes away while an asynchronous handler is at work, or sends its body."""
        if self._stream_request_body:
            self._body_lost()

    def set_default_headers(self) -> None:
        """Called whenever the headers start over: before ``initialize``, and before an error page."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Takes pieces of a streamed body; see :func:`stream_request_body`."""
        raise NotImplementedError()

    # ---- output ----

    def flush(
        self, include_footers: bool = False, callback: Callable[[], Any] | None = None
    ) -> asyncio.Future[None]:
        """Send what was written so far, after the headers if they are not sent yet.

        :param include_footers: passed to the transforms; default False.
        :param callback: of Tornado before 6.0: called when the Future is done; not if the client has left
            already.
        :returns: a Future that is done when the connection has taken it.
        """
        future: asyncio.Future[None] = self._flush_output(include_footers)
        if callback is None:
            return future
        if is_synchronous():
            callback()
        elif not (future.done() and future.exception()):  # who writes from it again has an end
            current_ioloop().add_future(future, lambda _: callback())
        return future

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """Send the client to another URL.

        :param url: where to; it may be relative.
        :param permanent: 301 in place of 302, so that the client remembers it; default False.
        :param status: another status of the kind, 300 to 399.
        :raises Exception: the headers are sent.
        """
        if self._headers_written:
            raise Exception("Cannot redirect after headers have been written")
        if status is None:
            status = 301 if permanent else 302
        else:
            assert isinstance(status, int) and 300 <= status <= 399
        self.set_status(status)
        self.set_header("Location", utf8(url))
        self.finish()

    def detach(self) -> IOStream:
        """Take the stream over from the HTTP connection."""
        self._finished = True
        connection: Any = self.request.connection
        stream: IOStream = connection.detach()
        return stream

    def _clear_representation_headers(self) -> None:
        """Drop the headers that describe a body, for a response without one."""
        for name in ("Content-Encoding", "Content-Language", "Content-Type"):
            self.clear_header(name)

    # ---- errors ----

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send an error page, in place of what was written and not flushed.

        Once the headers are sent there is no error page any more: the response ends where it is. If it is
        chunked, it ends without its last chunk and the connection is closed, so that it is not taken for
        complete.

        :param kwargs: passed to :meth:`write_error`.
        """
        if self._headers_written:
            gen_log.error("Cannot send error response after headers written")
            if not self._finished:
                # The Content-Length will hardly fit, but the attempt releases the connection.
                cut_short = getattr(self.request.connection, "_cut_short", None)
                if cut_short is not None:
                    cut_short()
                try:
                    self.finish()
                except Exception:
                    gen_log.error("Failed to flush partial response", exc_info=True)
            return
        self.clear()
        reason = kwargs.get("reason")
        if "exc_info" in kwargs:
            exception = kwargs["exc_info"][1]
            if isinstance(exception, HTTPError) and exception.reason:
                reason = exception.reason
        self.set_status(status_code, reason=reason)
        try:
            if status_code != 304:
                self.write_error(status_code, **kwargs)
        except Exception:
            app_log.error("Uncaught exception in write_error", exc_info=True)
        if not self._finished:
            self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write and finish an error page. May be overridden.

        ``kwargs["exc_info"]`` is the exception that led here, if there was one; it need not be the current
        one. Where a handler has ``get_error_html``, of Tornado 2, the page is what that returns.
        """
        make_page = getattr(self, "get_error_html", None)
        if self._should_not_send_content(status_code):
            self.finish()
        elif make_page is not None:
            self._write_error_html(make_page, status_code, **kwargs)
        elif self.settings.get("serve_traceback") and "exc_info" in kwargs:
            self.set_header("Content-Type", "text/plain")
            for line in traceback.format_exception(*kwargs["exc_info"]):
                self.write(line)
            self.finish()
        else:
            title = f"{status_code:d}: {xhtml_escape(self._reason)}"
            self.finish(f"<html><title>{title}</title><body>{title}</body></html>")

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: types.TracebackType | None,
    ) -> None:
        """Log an exception that no handler caught. May be overridden.

        An HTTPError with a message is a warning on ``tornado.general``, without a traceback; anything else
        an error on ``tornado.application``, with one.
        """
        if isinstance(value, HTTPError):
            message = value.get_message()
            if message:
                gen_log.warning("%d %s: %s", value.status_code, self._request_summary(), message)
            return
        info: Any = (typ, value, tb)
        app_log.error("Uncaught exception %s\n%r", self._request_summary(), self.request, exc_info=info)

    def _request_summary(self) -> str:
        request = self.request
        return f"{request.method} {request.uri} ({request.remote_ip})"

    def _handle_request_exception(self, e: BaseException) -> None:
        if isinstance(e, Finish):
            if not self._finished:
                self.finish(*e.args)
            return
        try:
            self.log_exception(*sys.exc_info())
        except Exception:
            app_log.error("Error in exception logger", exc_info=True)
        if self._finished:
            return  # too late for an error page
        status = e.status_code if isinstance(e, HTTPError) else 500
        self.send_error(status, exc_info=sys.exc_info())

    def _stack_context_handle_exception(self, type: Any, value: BaseException, traceback: Any) -> bool:
        """Handle an exception of a callback that was registered while ``asynchronous`` was at work."""
        if sys.exc_info()[1] is value:
            self._handle_request_exception(value)
            return True
        try:
            raise value.with_traceback(traceback)
        except Exception as e:
            self._handle_request_exception(e)
        finally:
            del value, traceback  # which has this frame
        return True

    # ---- the request ----

    async def _execute(self, transforms: list[Any], *args: bytes, **kwargs: bytes) -> None:
        """Run the request from prepare() to finish().

        This function runs only where it is called by name, say by one that wraps it: execute.c does the
        same, without a Task as long as nothing is awaited.
        """
        self._transforms = transforms
        try:
            if self.request.method not in self.SUPPORTED_METHODS:
                raise HTTPError(405)
            streams = type(self)._stream_request_body
            if isinstance(self.request, _core.RequestBase) and not streams:
                try:
                    self.request._parse_body()
                except httputil.HTTPInputError as e:
                    raise HTTPError(400, f"Invalid body: {e}") from e
            self.path_args = [self.decode_argument(arg) for arg in args]
            self.path_kwargs = {k: self.decode_argument(v, name=k) for k, v in kwargs.items()}
            self._cross_origin_protection()

            result = self.prepare()
            if result is not None:
                await result
            if self._prepared_future is not None:
                future_set_result_unless_cancelled(self._prepared_future, None)
            if self._finished:
                return
            if streams:
                try:
                    await self.request._body_future
                except StreamClosedError:
                    return
            result = getattr(self, self.request.method.lower())(*self.path_args, **self.path_kwargs)
            if result is not None:
                await result
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as e:
            result = None  # the traceback holds this frame
            if _execute_failed(self, e):
                raise
        finally:
            if self._prepared_future is not None and not self._prepared_future.done():
                self._prepared_future.set_result(None)

    def request_time(self) -> float:
        """Return the seconds since the request came in."""
        seconds: float = self.request.request_time()
        return seconds

    def require_setting(self, name: str, feature: str = "this feature") -> None:
        """Refuse to go on unless the application has the setting.

        :raises Exception: it has not; the text names the setting and the feature.
        """
        if not self.application.settings.get(name):
            raise Exception(f"You must define the '{name}' setting in your application to use {feature}")

    def reverse_url(self, name: str, *args: Any) -> str:
        """Return the URL of a named route; see :meth:`Application.reverse_url`."""
        return self.application.reverse_url(name, *args)

    # ---- the user ----

    @property
    def current_user(self) -> Any:
        """The user: what was assigned here, or else what get_current_user() returned when first asked."""
        if not hasattr(self, "_current_user"):
            self._current_user = self.get_current_user()
        return self._current_user

    @current_user.setter
    def current_user(self, value: Any) -> None:
        self._current_user = value

    def get_current_user(self) -> Any:
        """Find out who sent the request. May be overridden, not by a coroutine."""
        return None

    def get_login_url(self) -> str:
        """Return where :func:`authenticated` sends strangers: the setting ``login_url``."""
        self.require_setting("login_url", "@tornado.web.authenticated")
        url: str = self.application.settings["login_url"]
        return url

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """Return the URL of a static file, with its version.

        The path should be one of the program's own, not one that a client has sent: the file is read.

        :param include_host: whether the URL has scheme and host; default None: what the handler's attribute
            ``include_host`` says, if there is one.
        :param kwargs: passed to the ``make_static_url`` of the setting ``static_handler_class``;
            ``include_version=False`` leaves the version away.
        :raises HTTPError: 403, the path is not below the setting ``static_path``.
        :raises Exception: the setting is missing.
        """
        from tornado_c._web.static import StaticFileHandler

        self.require_setting("static_path", "static_url")
        kind = self.settings.get("static_handler_class", StaticFileHandler)
        if include_host is None:
            include_host = getattr(self, "include_host", False)
        host = f"{self.request.protocol}://{self.request.host}" if include_host else ""
        return host + kind.make_static_url(self.settings, path, **kwargs)


def _adopt(mixin: type) -> None:
    """Name the functions of a mixin as the handler's own: errors show these names, and pickles find them."""
    for member in vars(mixin).values():
        for function in (member, getattr(member, "fget", None), getattr(member, "fset", None)):
            if isinstance(function, types.FunctionType):
                function.__module__ = "tornado_c.web"
                function.__qualname__ = f"RequestHandler.{function.__name__}"


for _mixin in (CookieMixin, EarlierMixin, LocaleMixin, TemplateMixin, XsrfMixin):
    _adopt(_mixin)
