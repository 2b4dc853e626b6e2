"""Ours and stock Tornado; the fixture ``implementation`` is one and then the other."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Coroutine
from typing import Any

import tornado_c

#: Modules that replace one of Tornado's.
MODULES = (
    "concurrent",
    "escape",
    "gen",
    "http1connection",
    "httpserver",
    "httputil",
    "ioloop",
    "iostream",
    "log",
    "netutil",
    "options",
    "process",
    "routing",
)
MODULES += ("tcpclient", "tcpserver", "util", "web", "websocket")


class Implementation:
    """Its public modules are attributes: ``implementation.httpserver.HTTPServer``."""

    def __init__(self, name: str, package: str) -> None:
        self.name, self.package = name, package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        module = importlib.import_module(f"{self.package}.{name}")
        setattr(self, name, module)
        return module

    def __repr__(self) -> str:
        return self.name

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the event loop that belongs to it."""
        return tornado_c.run(main) if self is OURS else asyncio.run(main)


OURS = Implementation("ours", "tornado_c")
STOCK = Implementation("stock", "tornado")
BOTH = (OURS, STOCK)
