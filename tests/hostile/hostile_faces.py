"""To be imported before anything of tornado_c: notes what its modules register with C, so that it can be
put back."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

FACES: dict[str, Any] = {}


def _note() -> None:
    core = importlib.import_module("tornado_c._core")
    register = core.register

    def noting(name: str, obj: object, /) -> None:
        FACES[name] = obj
        register(name, obj)

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


_note()
assert FACES or "tornado_c.web" in sys.modules
