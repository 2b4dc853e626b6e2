"""Clients that belong to a loop which is given, call callbacks, and return errors as responses."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from tornado_c._swap.generation import Changes
from tornado_c.ioloop import IOLoop
from tornado_c.util import Configurable

#: Attributes of requests that run in the stack context in which they were set.
_CALLBACKS = ("body_producer", "header_callback", "prepare_curl_callback", "streaming_callback")


def takes_loop(initialize: Callable[..., Any]) -> bool:
    """Whether an ``initialize`` can be given an ``io_loop``."""
    parameters = inspect.signature(initialize).parameters
    return "io_loop" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@contextlib.contextmanager
def current(io_loop: IOLoop) -> Iterator[None]:
    """Make a loop the thread's current one for a while, where none runs."""
    if asyncio._get_running_loop() is not None or IOLoop.current(instance=False) is io_loop:
        yield
        return
    before = IOLoop.current(instance=False)
    asyncio.set_event_loop(io_loop.asyncio_loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None if before is None else before.asyncio_loop)


def _callback_property(name: str) -> property:
    slot = f"_{name}"

    def get(self: Any) -> Any:
        return self.__dict__.get(slot)

    def set(self: Any, value: Any) -> None:
        stack_context = sys.modules.get("tornado_c.stack_context")
        if stack_context is not None and not inspect.iscoroutinefunction(value):
            value = stack_context.wrap(value)
        self.__dict__[slot] = value

    return property(get, set)


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.httpclient``."""
    client = module.AsyncHTTPClient
    fetch_future = client.fetch

    def make(cls: Any, io_loop: Any = None, *args: Any, **kwargs: Any) -> Any:
        # Behind the loop are max_clients and force_instance in Tornado 2, in 3 and 4 only the latter. Later
        # that comes first.
        if isinstance(io_loop, bool):
            args, io_loop = (io_loop, *args), None
        for value in args:
            kwargs["force_instance" if isinstance(value, bool) else "max_clients"] = value
        force_instance = kwargs.pop("force_instance", False)
        loop = IOLoop.current() if io_loop is None else io_loop
        cache = None if force_instance else cls._async_clients()
        if cache is not None and loop in cache:
            return cache[loop]
        chosen = cls.configured_class() if cls is client else cls
        with current(loop):
            if takes_loop(chosen.initialize):
                kwargs["io_loop"] = loop
            instance = Configurable.__new__(cls, **kwargs)
        instance._instance_cache = cache
        if cache is not None:
            cache[instance.io_loop] = instance
        return instance

    def initialize(self: Any, io_loop: Any = None, defaults: dict[str, Any] | None = None) -> None:
        if isinstance(io_loop, dict):
            io_loop, defaults = None, io_loop
        self.io_loop = io_loop or self.__dict__.get("io_loop") or IOLoop.current()
        self.defaults = {**module.HTTPRequest._DEFAULTS, **(defaults or {})}
        self._closed = False

    def fetch(
        self: Any,
        request: Any,
        callback: Callable[[Any], Any] | None = None,
        raise_error: bool = True,
        **kwargs: Any,
    ) -> asyncio.Future[Any]:
        """Send a request.

        :param request: an ``HTTPRequest``, or a URL, to which the further keyword arguments belong.
        :param callback: called with the response, in a later turn of the loop. Where there is none, it is one
            with the code 599, whose ``error`` says why.
        :param raise_error: whether an ``error`` of the response is the Future's exception.
        :returns: a Future of the response.
        """
        if isinstance(callback, bool):
            callback, raise_error = None, callback
        if not isinstance(request, module.HTTPRequest):
            request, kwargs = module.HTTPRequest(url=request, **kwargs), {}
        start = time.time()
        with current(self.io_loop):
            future: asyncio.Future[Any] = fetch_future(self, request, raise_error=raise_error, **kwargs)
        if not raise_error:
            future = _always_response(module, future, request, start)
        if callback is not None:
            call = functools.partial(_call, module, self.io_loop, callback, request, start)
            future.add_done_callback(call)
        return future

    changes.set(client, "__new__", staticmethod(make))
    changes.set(client, "initialize", initialize)
    changes.set(client, "fetch", fetch)
    for name in _CALLBACKS:
        changes.set(module.HTTPRequest, name, _callback_property(name))


def _no_response(module: ModuleType, request: Any, start: float, error: BaseException) -> Any:
    return module.HTTPResponse(request, 599, error=error, request_time=time.time() - start)


def _always_response(
    module: ModuleType, future: asyncio.Future[Any], request: Any, start: float
) -> asyncio.Future[Any]:
    """Return a Future whose result is a response, whatever becomes of the request."""
    wanted: asyncio.Future[Any] = asyncio.Future(loop=future.get_loop())

    def give(done: asyncio.Future[Any]) -> None:
        if done.cancelled() or wanted.done():
            wanted.cancel()
        elif (error := done.exception()) is not None:
            wanted.set_result(_no_response(module, request, start, error))
        else:
            wanted.set_result(done.result())

    future.add_done_callback(give)
    wanted.add_done_callback(lambda done: done.cancelled() and future.cancel())
    return wanted


def _call(
    module: ModuleType,
    io_loop: IOLoop,
    callback: Callable[[Any], Any],
    request: Any,
    start: float,
    done: asyncio.Future[Any],
) -> None:
    """Have a callback called with the response, in a later turn."""
    if done.cancelled():
        return
    error = done.exception()
    if error is None:
        response = done.result()
    else:
        response = getattr(error, "response", None) or _no_response(module, request, start, error)
    io_loop.add_callback(callback, response)
