"""Connections of clients that begin to be made without being awaited."""

from __future__ import annotations

from types import ModuleType

from tornado_c._generation4.begun import begun
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.tcpclient``."""
    changes.set(module.TCPClient, "connect", begun(module.TCPClient.connect))
