"""Arguments of calls that are understood in the order of more than one generation of Tornado."""

from __future__ import annotations

from collections.abc import Container
from typing import Any


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
