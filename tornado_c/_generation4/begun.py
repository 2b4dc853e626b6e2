"""Methods that are coroutines by now, and that old programs call without waiting for them."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from tornado_c import gen
from tornado_c._support.steps import go_on
from tornado_c._web.synchronous import FINISHED, Unfinished, is_synchronous


def begun(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that need not be waited for: it returns a Future, and takes a ``callback``.

    Who cancels the Future cancels what the method does.
    """

    @gen.coroutine
    def run(tasks: list[Any], args: Any, kwargs: Any) -> Any:
        tasks.append(gen.convert_yielded(method(*args, **kwargs)))
        result = yield tasks[0]
        return result

    @functools.wraps(method)
    def wrapper(*args: Any, callback: Any = None, **kwargs: Any) -> Any:
        tasks: list[Any] = []
        future = run(tasks, args, kwargs, callback=callback)
        if not future.done():
            future.add_done_callback(functools.partial(_cancel_with, tasks))
        return future

    return wrapper


def _cancel_with(tasks: list[Any], future: Any) -> None:
    if future.cancelled():
        for task in tasks:
            task.cancel()


def answer(handler: Any, own: Callable[..., Any], coroutine: Any) -> Any:
    """Run a coroutine of a handler's: what ``own``, its method for the request, is made of.

    Where an override calls that, nobody may be there to wait for it. So it begins, and an exception comes to
    the override as long as it is there.

    :returns: what can be waited for.
    """
    method = getattr(type(handler), handler.request.method.lower(), own)
    if method is own or inspect.iscoroutinefunction(method):
        return coroutine
    try:
        yielded = coroutine.send(None)
    except StopIteration:
        return FINISHED if is_synchronous() else gen.maybe_future(None)
    if is_synchronous():
        coroutine.close()
        raise Unfinished()
    return asyncio.ensure_future(_rest(coroutine, yielded))


async def _rest(coroutine: Any, yielded: Any) -> None:
    await go_on(coroutine, yielded)
