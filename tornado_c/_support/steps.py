"""Coroutines whose first step is made before they are awaited."""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any


@types.coroutine
def go_on(coroutine: Any, yielded: Any) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine.

    :param yielded: what its first step has yielded.
    :returns: its result.
    """
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(sent)
    except StopIteration as end:
        return end.value
