"""Which contexts of ``stack_context`` are active: all that ``gen`` knows of them where they are not used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

#: Two views of the same: a tuple of the contexts that are entered around a callback, outermost first, and
#: the innermost of all, which knows the one around it. An exception is offered to these.
Contexts = tuple[tuple[Any, ...], Any]

NONE: Contexts = ((), None)

active: ContextVar[Contexts] = ContextVar("stack_contexts", default=NONE)


def follow(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function to be called in the contexts that are active now, by something that keeps none."""
    if active.get() is NONE:
        return function
    module: Any = importlib.import_module("tornado_c.stack_context")
    return module.wrap(function)


def outside(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function with no context active: what it registers serves more than the caller."""
    around = active.get()
    if around is NONE:
        return function(*args, **kwargs)
    active.set(NONE)
    try:
        return function(*args, **kwargs)
    finally:
        active.set(around)
