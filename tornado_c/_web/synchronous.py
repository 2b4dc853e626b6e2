"""Handlers without an event loop: coroutines are run on the spot, and must not wait."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from typing import Any


class Unfinished(Exception):
    """A coroutine waits for something."""


class _Finished(concurrent.futures.Future[None]):
    """A Future of no loop that is done, which coroutines of both kinds take for one of theirs."""

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value]


FINISHED = _Finished()
FINISHED.set_result(None)

_in_force: ContextVar[bool] = ContextVar("tornado_c synchronous", default=False)


@contextlib.contextmanager
def synchronously() -> Iterator[None]:
    """Run handlers of foreign connections like this for a while, in this context."""
    token = _in_force.set(True)
    try:
        yield
    finally:
        _in_force.reset(token)


def is_synchronous() -> bool:
    """Whether handlers are run like this here."""
    return _in_force.get()


def run_now(coroutine: Any) -> None:
    """Run a coroutine to its end.

    :raises Unfinished: it waits, and was closed.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise Unfinished()
