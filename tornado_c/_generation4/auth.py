"""Mixins whose methods call callbacks, and begin when they are called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado_c import gen
from tornado_c._swap.generation import Changes
from tornado_c.concurrent import TracebackFuture
from tornado_c.ioloop import IOLoop
from tornado_c.log import gen_log
from tornado_c.util import ArgReplacer

#: Where a callback stood among the arguments of a method.
_PLACES = {
    "OpenIdMixin": {"authenticate_redirect": 2, "get_authenticated_user": 0},
    "OAuthMixin": {"authorize_redirect": 3, "get_authenticated_user": 0},
    "OAuth2Mixin": {"authorize_redirect": 5, "oauth2_request": 1},
    "TwitterMixin": {"authenticate_redirect": 1, "twitter_request": 1},
    "GoogleOAuth2Mixin": {"get_authenticated_user": 2},
    "FacebookGraphMixin": {"get_authenticated_user": 4, "facebook_request": 1},
}


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.auth``."""
    from tornado.httpclient import HTTPClientError

    class RequestError(module.AuthError, HTTPClientError):  # type: ignore[name-defined, misc]
        """A service has answered with an error: for programs that expect the one, or the other."""

        def __str__(self) -> str:
            url = self.response.request.url if self.response is not None else "the service"
            return f"Error response {HTTPClientError.__str__(self)} fetching {url}"

    for class_name, methods in _PLACES.items():
        owner = getattr(module, class_name)
        for name, place in methods.items():
            method = _with_callback(module, vars(owner)[name], place, HTTPClientError, RequestError)
            changes.set(owner, name, method)
    get_user = module.OAuthMixin._oauth_get_user_future

    @functools.wraps(get_user)
    async def _oauth_get_user_future(self: Any, access_token: dict[str, Any]) -> Any:
        if hasattr(self, "_oauth_get_user"):  # the name of the method that applications had
            return await gen.Task(self._oauth_get_user, access_token)
        return await get_user(self, access_token)

    changes.set(module.OAuthMixin, "_oauth_get_user_future", _oauth_get_user_future)
    changes.set(module, "_auth_return_future", functools.partial(_auth_return_future, module))


def _with_callback(
    module: ModuleType,
    method: Callable[..., Any],
    place: int,
    plain_error: type[Exception],
    both_errors: type[Exception],
) -> Callable[..., Any]:
    """Return a method that takes a callback as well.

    :param place: where that stood among the arguments.
    :param plain_error: what the method raises where a request has failed.
    :param both_errors: what is raised in its place.
    """

    @gen.coroutine
    def begin(*args: Any, **kwargs: Any) -> Any:
        try:
            result = method(*args, **kwargs)
            if result is not None:
                result = yield result
            return result
        except plain_error as exc:
            if isinstance(exc, module.AuthError):
                raise
            raise both_errors(exc.code, exc.message, exc.response) from exc  # type: ignore[attr-defined]

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        callback = kwargs.pop("callback", None)
        if callback is None and len(args) > place and callable(args[place]):
            callback = args[place]
            args = args[:place] + args[place + 1 :]
        future = begin(self, *args, **kwargs)
        if callback is not None:
            IOLoop.current().add_future(future, functools.partial(_call, module, callback))
        return future

    return wrapper


def _call(module: ModuleType, callback: Callable[[Any], Any], future: Any) -> None:
    """Call a callback with a result; with None after an error of the service's, which is logged."""
    try:
        result = future.result()
    except module.AuthError as exc:
        gen_log.warning(str(exc))
        result = None
    callback(result)


def _auth_return_future(module: ModuleType, function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method that gives its outcome to a Future, its argument ``callback``.

    A callback that is given in its place is called with the result, or after an ``AuthError`` with None. What
    the method raises is the Future's exception.

    :returns: a method that returns that Future.
    """
    replacer = ArgReplacer(function, "callback")

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from tornado_c.stack_context import ExceptionStackContext

        future = TracebackFuture()
        callback, positional, kwargs = replacer.replace(future, args, kwargs)
        if callback is not None:
            IOLoop.current().add_future(future, functools.partial(_call, module, callback))

        def fail(kind: Any, error: Any, traceback: Any) -> bool:
            if future.done():
                return False
            future.set_exc_info((kind, error, traceback))
            return True

        with ExceptionStackContext(fail):
            function(*positional, **kwargs)
        return future

    return wrapper
