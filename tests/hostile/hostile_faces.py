"""To be imported before anything of tornado_c: notes what its modules register with C, so that it can be
put back."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

#: Faces and upcalls by their names, and what they were registered as: a group of "faces" or of "upcalls".
FACES: dict[str, Any] = {}
_KINDS: dict[str, tuple[str, str]] = {}
_now: dict[str, Any] = {}


def register(name: str, obj: object) -> None:
    """Register a group of faces and upcalls anew with another object under this name."""
    group, kind = _KINDS[name]
    objects: dict[str, dict[str, Any]] = {"faces": {}, "upcalls": {}}
    for other, (its_group, its_kind) in _KINDS.items():
        if its_group == group:
            objects[its_kind][other] = _now[other]
    objects[kind][name] = obj
    importlib.import_module("tornado_c._core").register(group, **objects)
    _now[name] = obj


def _note() -> None:
    core = importlib.import_module("tornado_c._core")
    register = core.register

    def noting(group: str, /, **kinds: dict[str, Any]) -> None:
        for kind, objects in kinds.items():
            _KINDS.update(dict.fromkeys(objects, (group, kind)))
            FACES.update(objects)
        register(group, **kinds)

    core.register = noting  # type: ignore[assignment]
    for name in (
        "web",
        "httpserver",
        "http1connection",
        "tcpserver",
        "tcpclient",
        "iostream",
        "platform.asyncio",
    ):
        importlib.import_module(f"tornado_c.{name}")
    core.register = register
    _now.update(FACES)


_note()
assert FACES or "tornado_c.web" in sys.modules
