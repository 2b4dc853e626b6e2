"""Servers that close their connections without being awaited."""

from __future__ import annotations

from types import ModuleType

from tornado_c._generation4.begun import begun
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.httpserver``."""
    server = module.HTTPServer
    changes.set(server, "close_all_connections", begun(server.close_all_connections))
