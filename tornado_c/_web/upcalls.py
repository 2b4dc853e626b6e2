"""What C calls of Python while it serves a request: the rare steps of handler.py's RequestHandler."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from tornado_c import escape, httputil
from tornado_c._http.adapters import watch_request_task
from tornado_c._support.regex import regex
from tornado_c._web.synchronous import FINISHED, is_synchronous, run_now
from tornado_c._web.targets import log_bad_target
from tornado_c._web.ui_modules import _UIModuleNamespace
from tornado_c.escape import utf8
from tornado_c.log import access_log, app_log
from tornado_c.routing import _DefaultMessageDelegate, _unquote_or_none
from tornado_c.util import ObjectDict

if TYPE_CHECKING:
    from tornado_c._web.handler import RequestHandler

_ETAGS = regex(rb'\*|(?:W/)?"[^"]*"')


def _execute_failed(handler: RequestHandler, e: BaseException) -> bool:
    """Deal with an exception of a handler, which is the one being handled. True: it is to be raised again."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if isinstance(e, asyncio.CancelledError) and task is not None and task.cancelling():
        # The request's own task is cancelled: the client still gets a response.
        if not handler._finished:
            try:
                handler.send_error(500)
            except Exception:
                app_log.error("Exception in exception handler", exc_info=True)
                _leave_client(handler)
        return True
    try:
        handler._handle_request_exception(e)
    except Exception:
        app_log.error("Exception in exception handler", exc_info=True)
        _leave_client(handler)
    return False


def _leave_client(handler: RequestHandler) -> None:
    """Close the connection of a handler that has not even an error page: the client would wait for ever."""
    close = getattr(handler.request.connection, "close", None)
    if close is not None and not handler._finished:
        close()


def _run_execute(handler: RequestHandler, transforms: Any, args: Any, kwargs: Any) -> Any:
    """Call an _execute that is not ours; returns a coroutine that is to be run, or None."""

    def raw(group: Any) -> Any:
        return _unquote_or_none(group) if isinstance(group, str) else group

    positional = [raw(group) for group in args or ()]
    named = {name: raw(group) for name, group in (kwargs or {}).items()}
    result = handler._execute(transforms, *positional, **named)
    if result is None or asyncio.iscoroutine(result) or is_synchronous():
        return result
    from tornado_c import gen  # whatever a coroutine may yield will do, as in Tornado

    _watch_execute(handler, gen.convert_yielded(result))
    return None


def _watch_execute(handler: RequestHandler, task: asyncio.Future[Any]) -> None:
    """Have the loop log what an _execute that is not ours raises."""
    if not task.done() or task.cancelled() or task.exception() is not None:
        task.add_done_callback(functools.partial(_execute_ended, handler))


def _execute_ended(handler: RequestHandler, task: asyncio.Future[Any]) -> None:
    failed = task.cancelled() or task.exception() is not None
    if failed and handler._auto_finish:
        _leave_client(handler)
    try:
        if not task.cancelled():
            task.result()
    finally:
        del handler, task  # the exception, which the Task has, would have this frame


_tasks: set[asyncio.Future[Any]] = set()


def _spawn_task(awaitable: Any) -> asyncio.Future[Any] | None:
    """Run a coroutine for a connection that is not native: in a Task of the running loop, or at once."""
    if is_synchronous():
        run_now(awaitable)
        return None
    task = asyncio.ensure_future(awaitable)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def _done_future() -> Any:
    if is_synchronous():
        return FINISHED
    future: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    future.set_result(None)
    return future


def _add_cookie_headers(handler: RequestHandler) -> None:
    for morsel in handler._new_cookie.values():
        handler.add_header("Set-Cookie", morsel.OutputString(None))


def _check_etag(handler: RequestHandler) -> bool:
    """Compare the response's Etag with If-None-Match, weakly: a W/ in front does not count."""
    etag = utf8(handler._headers.get("Etag", ""))
    wanted = _ETAGS.findall(utf8(handler.request.headers.get("If-None-Match", "")))
    if not etag or not wanted:
        return False
    if wanted[0] == b"*":
        return True
    return etag.removeprefix(b"W/") in (tag.removeprefix(b"W/") for tag in wanted)


def _forget_versions(application: Any) -> None:
    """Have the files of static URLs read anew, for the setting static_hash_cache that is off."""
    from tornado_c._web.static import StaticFileHandler

    application.settings.get("static_handler_class", StaticFileHandler).reset()


def _convert_header_value(value: Any) -> str:
    """The text of a header's value of a type that C does not know."""
    import datetime
    import numbers

    if isinstance(value, numbers.Integral):
        return str(value)
    if isinstance(value, datetime.datetime):
        return httputil.format_timestamp(value)
    raise TypeError(f"Unsupported header value {value!r}")


def _json_encode(value: Any) -> str:
    return escape.json_encode(value)


def _json_tools() -> tuple[Any, ...] | None:
    """Make what json.c encodes dicts with, as long as :mod:`json` and ``json_encode`` are as they came.

    :returns: an encoder as ``json.dumps()`` makes it for each call; the dict in which that marks what it is
        inside; the class whose change makes another one necessary; and, to be watched, dicts with what must
        be in them, and whether nothing else may be. None: they have been changed already.
    """
    json = escape._on_demand("json")
    encoder, encoders = json._default_encoder, json.encoder
    cls = encoders.JSONEncoder
    functions = [(escape, "json_encode"), (json, "dumps")]
    as_they_came = all(
        getattr(vars(module)[name], "__globals__", 0) is vars(module) for module, name in functions
    )
    for method in (cls.__init__, cls.default, cls.encode, cls.iterencode):
        as_they_came &= getattr(method, "__globals__", 0) is vars(encoders)
    if not as_they_came or type(encoder) is not cls or vars(encoder) != vars(cls()):
        return None
    if encoders.c_make_encoder is None or encoders.encode_basestring_ascii is None:
        return None
    markers: dict[int, Any] = {}
    encode = encoders.c_make_encoder(
        *(
            markers,
            lambda value: json._default_encoder.default(value),
            encoders.encode_basestring_ascii,
            None,
        ),
        *(encoder.key_separator, encoder.item_separator, False, False, True),
    )
    names = [
        (escape, "json_encode json"),
        (json, "dumps _default_encoder"),
        (encoders, "c_make_encoder encode_basestring_ascii"),
    ]
    watched = [
        (vars(module), {name: vars(module)[name] for name in text.split()}, False) for module, text in names
    ]
    watched.append((vars(encoder), dict(vars(encoder)), True))
    return encode, markers, cls, tuple(watched)


def _make_ui(handler: RequestHandler) -> ObjectDict:
    application = handler.application
    ui = ObjectDict((name, handler._ui_method(method)) for name, method in application.ui_methods.items())
    ui["_tt_modules"] = ui["modules"] = _UIModuleNamespace(handler, application.ui_modules)
    return ui


def _no_delegate(request: httputil.HTTPServerRequest) -> httputil.HTTPMessageDelegate:
    """The delegate of a request for which a router has found none."""
    app_log.debug("Delegate for %s %s request not found", request.method, request.path)
    return _DefaultMessageDelegate(request.connection)


def _run_delegate(delegate: Any, request: httputil.HTTPServerRequest) -> Any:
    """Give a delegate a request that an application was called with, whole."""
    if delegate is None:
        delegate = _no_delegate(request)
    if hasattr(delegate, "execute") and not getattr(delegate, "stream_request_body", False):
        return delegate.execute()
    line = httputil.RequestStartLine(request.method, request.uri, request.version)
    steps: list[Callable[[], Awaitable[None] | None]] = [
        lambda: delegate.headers_received(line, request.headers),
        lambda: delegate.data_received(request.body) if request.body else None,
        lambda: delegate.finish(),
    ]
    pending = iter(steps)
    for step in pending:
        waiting = step()
        if waiting is not None:
            task = _spawn_task(_run_steps(waiting, pending))
            if task is not None:
                watch_request_task(task, request.connection)
            break
    return None


async def _run_steps(waiting: Awaitable[None], steps: Iterator[Callable[[], Awaitable[None] | None]]) -> None:
    await waiting
    for step in steps:
        result = step()
        if result is not None:
            await result


#: What C calls and reads, by the names that it has there.
UPCALLS = {
    "access_log": access_log,
    "add_cookie_headers": _add_cookie_headers,
    "check_etag": _check_etag,
    "convert_header_value": _convert_header_value,
    "done_future": _done_future,
    "execute_failed": _execute_failed,
    "forget_versions": _forget_versions,
    "json_encode": _json_encode,
    "json_tools": _json_tools,
    "log_bad_target": log_bad_target,
    "make_ui": _make_ui,
    "no_delegate": _no_delegate,
    "run_delegate": _run_delegate,
    "run_execute": _run_execute,
    "spawn_task": _spawn_task,
    "watch_execute": _watch_execute,
}
