"""Connections of clients that read their response without being awaited, and bodies whose chunks are seen."""

from __future__ import annotations

from types import ModuleType

from tornado_c._generation4.begun import begun
from tornado_c._support import generations
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.http1connection``."""
    changes.set(module.HTTP1Connection, "read_response", begun(module.HTTP1Connection.read_response))
    changes.set(module.HTTP1ServerConnection, "close", begun(module.HTTP1ServerConnection.close))
    changes.set(generations, "chunks_are_seen", True)
