"""Decorators for the methods of handlers."""

from __future__ import annotations

import functools
import importlib
import urllib.parse
from collections.abc import Awaitable, Callable
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from tornado_c import _core
from tornado_c._web.errors import HTTPError
from tornado_c._web.urls import _is_protocol_relative

if TYPE_CHECKING:
    from tornado_c._web.handler import RequestHandler

_Method = Callable[..., Awaitable[None] | None]
_RequestHandlerType = TypeVar("_RequestHandlerType", bound="RequestHandler")


def asynchronous(method: _Method) -> _Method:
    """Leave the request open when ``method`` returns; something must call ``self.finish()`` later.

    An exception of a callback that it registers ends the request, as one of its own does. An awaitable that
    it returns is awaited, and the request is finished then if it is not yet.
    """
    stack_context: Any = importlib.import_module("tornado_c.stack_context")

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._auto_finish = False
        with stack_context.ExceptionStackContext(self._stack_context_handle_exception):
            result = method(self, *args, **kwargs)
            # A generator is for gen.engine, which is around this.
            plain = result is None or type(result) is GeneratorType
            return result if plain else _await_and_finish(self, result)

    return wrapper


async def _await_and_finish(handler: Any, result: Any) -> None:
    await result
    if not handler._finished:
        handler.finish()


def _redirect_path(handler: Any, path: str) -> None:
    """Redirect for good to ``path``, with the request's query."""
    if _is_protocol_relative(path):
        raise HTTPError(403, "cannot redirect path with two initial slashes")
    query = handler.request.query
    handler.redirect(f"{path}?{query}" if query else path, permanent=True)


def removeslash(method: _Method) -> _Method:
    """Redirect from a path with slashes at its end to the one without."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        path = self.request.path
        if not path.endswith("/"):
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(404)
        shorter = path.rstrip("/")
        if not shorter:
            return method(self, *args, **kwargs)
        return _redirect_path(self, shorter)

    return wrapper


def addslash(method: _Method) -> _Method:
    """Redirect from a path without a slash at its end to the one with it."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.request.path.endswith("/"):
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(404)
        return _redirect_path(self, self.request.path + "/")

    return wrapper


def authenticated(method: _Method) -> _Method:
    """Require a current user: others are sent to the login URL, or get 403 for anything but GET and HEAD.

    A login URL without a query is given ``?next=`` and the place to come back to.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.current_user:
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(403)
        url = self.get_login_url()
        if "?" not in url:
            absolute = bool(urllib.parse.urlsplit(url).scheme)
            back = self.request.full_url() if absolute else self.request.uri
            url += "?" + urllib.parse.urlencode({"next": back})
        self.redirect(url)
        return None

    return wrapper


def stream_request_body(cls: type[_RequestHandlerType]) -> type[_RequestHandlerType]:
    """Have the handlers of a class get the body of their request in pieces, as it comes.

    ``prepare`` is called when the head of the request is there, then ``data_received`` with each piece of the
    body, if there is one, and then the method. What either of the first two returns is awaited before more
    of the body is read. ``request.body`` stays empty, and the arguments are those of the query.

    ``prepare`` may set limits for its own request: ``self.request.connection.set_max_body_size(bytes)`` and
    ``set_body_timeout(seconds)``. If the client leaves, or the body is beyond its limit,
    ``on_connection_close`` is called, and not the method. The same goes for a handler that has responded
    before the body's end; the rest of that is dropped. What ``data_received`` raises ends the connection.

    :raises TypeError: ``cls`` is no handler class.
    """
    _has_stream_request_body(cls)
    cls._stream_request_body = True
    return cls


def _has_stream_request_body(cls: type[RequestHandler]) -> bool:
    if not (isinstance(cls, type) and issubclass(cls, _core.HandlerBase)):
        raise TypeError(f"expected subclass of RequestHandler, got {cls!r}")
    return cls._stream_request_body
