"""Something to be done with a module of others, now or when it is imported."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Action = Callable[[Any], None]


class _Watcher(importlib.abc.MetaPathFinder):
    """Waits for the import of one module, and steps back."""

    def __init__(self, name: str, action: Action) -> None:
        self.name = name
        self.action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader:
            return spec
        exec_module = spec.loader.exec_module

        def exec_and_act(module: ModuleType) -> None:
            exec_module(module)
            self.action(module)

        spec.loader.exec_module = exec_and_act  # type: ignore[method-assign]
        return spec


def when_imported(name: str, action: Action) -> None:
    """Call ``action`` with the module of this name: now, or once it is imported."""
    module = sys.modules.get(name)
    if module is None:
        sys.meta_path.insert(0, _Watcher(name, action))
    elif module.__name__ == name:
        action(module)
