"""Which generation of Tornado's interface a swapped process speaks, where the two contradict each other."""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType
from typing import Any

from tornado_c._support.imports import Action, forget, when_imported

VARIABLE = "TORNADO_C_GENERATION"
GENERATIONS = (4, 6)

#: Modules that generation 4 adds to, each by the module of the same name in ``_generation4``.
ADDED = (
    "auth",
    "curl_httpclient",
    "gen",
    "http1connection",
    "httpclient",
    "httpserver",
    "ioloop",
    "locale",
    "netutil",
    "simple_httpclient",
    "tcpclient",
    "testing",
    "web",
    "websocket",
    "wsgi",
)


class Changes:
    """Attributes that were set, which can be set back."""

    def __init__(self) -> None:
        self._old: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module or a class."""
        self._old.append((owner, name, vars(owner).get(name, self)))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Give all attributes the values that they had, the last one first."""
        while self._old:
            owner, name, value = self._old.pop()
            if value is self:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


_actions: dict[str, Action] = {}  # by the module they wait for, while generation 4 is spoken
_changes = Changes()
_variable: list[str | None] = []  # what the environment said before children were told


def wanted(generation: int | None) -> int:
    """Return a generation that was asked for, or what the environment asks for; 6 if nobody does.

    :raises ValueError: there is no such generation.
    """
    if generation is None:
        text = os.environ.get(VARIABLE) or "6"
        if text not in map(str, GENERATIONS):
            raise ValueError(f"the environment variable {VARIABLE} is {text!r}, it can be 4 or 6")
        return int(text)
    if isinstance(generation, bool) or generation not in GENERATIONS:
        raise ValueError(f"the generation is {generation!r}, it can be 4 or 6")
    return generation


def current() -> int:
    """The generation that this process speaks."""
    return 4 if _actions else 6


def enter(generation: int) -> None:
    """Speak a generation: modules are added to at once or when they are imported, or are as they were."""
    if generation == current():
        return
    if generation == 6:
        leave()
        return
    for name in ADDED:
        _actions[name] = functools.partial(_add, name)
    for name in ADDED:
        when_imported(_watched(name), _actions[name])


def leave() -> None:
    """Undo all that ``enter`` did, here and in the environment."""
    for name in [*_actions]:
        forget(_watched(name), _actions.pop(name))
    _changes.undo()
    if _variable:
        before = _variable.pop()
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def reach_children() -> None:
    """Have programs that this process starts speak the same."""
    if not _variable:
        _variable.append(os.environ.get(VARIABLE))
    os.environ[VARIABLE] = str(current())


def _watched(name: str) -> str:
    """The name under which a module is imported first: ours where it is swapped."""
    from tornado_c._swap.install import SWAPPED

    return f"tornado_c.{name}" if name in SWAPPED else f"tornado.{name}"


def _add(name: str, module: ModuleType) -> None:
    addition = importlib.import_module(f"tornado_c._generation4.{name}")
    addition.add(module, _changes)
