"""Decorated functions whose ``callback`` argument is the decorator's, whether they have one or not."""

from __future__ import annotations

from types import ModuleType

from tornado_c._support import generations
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.gen``."""
    changes.set(generations, "callbacks_are_decorators", True)
