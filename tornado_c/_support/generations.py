"""Arguments of calls that mean different things in the generations of Tornado."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Container
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])

#: Whether ``callback=`` in a call of a decorated function is the decorator's in any case, as in Tornado 3
#: to 5. Else it is only where the function has no such parameter.
callbacks_are_decorators = False

#: Whether who gets a body in pieces sees where its chunks end, as before Tornado 6.6. Those without much in
#: them are joined all the same.
chunks_are_seen = False


def bind_arguments(
    function: str,
    order: tuple[str, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    keywords: Container[str] = (),
    before: int = 1,
    required: int = 1,
) -> dict[str, Any]:
    """Return the arguments of a call by name, as Python binds them.

    :param function: what errors call it.
    :param order: the names of the positional arguments.
    :param keywords: names that come as keywords only.
    :param before: how many positional arguments the call has before these, with ``self``.
    :param required: how many of them it must have, with ``self``.
    :raises TypeError: there are too many arguments, an unknown one, or one twice.
    """
    if len(args) > len(order):
        raise TypeError(
            f"{function}() takes from {required} to {len(order) + before} positional arguments but "
            f"{len(args) + before} were given"
        )
    given = dict(zip(order, args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise TypeError(f"{function}() got multiple values for argument {name!r}")
        if name not in order and name not in keywords:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
        given[name] = value
    return given


def take_callback(function: Callable[..., Any], kwargs: dict[str, Any]) -> Callable[..., Any] | None:
    """Remove ``callback`` from the arguments of a call and return it, where it is not the function's own."""
    if "callback" not in kwargs or not (callbacks_are_decorators or _has_no_callback(function)):
        return None
    return kwargs.pop("callback")


def _has_no_callback(function: Callable[..., Any]) -> bool:
    """Whether it has no parameter ``callback`` and does not take any; False where that cannot be seen."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType) or code.co_flags & inspect.CO_VARKEYWORDS:
        return False
    return "callback" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def with_callback(method: _Method) -> _Method:
    """Let a method that returns an awaitable take a ``callback``, as before Tornado 6.

    It begins at once then, and returns a Future; the callback is called with the result. What goes wrong is
    raised where the callback would have been called.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, callback: Callable[[Any], Any] | None = None, **kwargs: Any) -> Any:
        import asyncio

        from tornado_c.ioloop import IOLoop

        result = method(self, *args, **kwargs)
        if callback is None:
            return result
        io_loop = IOLoop.current()
        future = asyncio.ensure_future(result, loop=io_loop.asyncio_loop)
        io_loop.add_future(future, lambda done: callback(done.result()))
        return future

    return wrapper  # type: ignore[return-value]
