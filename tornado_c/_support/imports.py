"""Something to be done with a module, now or when it is imported."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

# Finders and loaders do without the bases in importlib.abc, whose import takes longer than all else here.

Action = Callable[[Any], None]


class _Watcher:
    """Stands before the other finders, and lets them find."""

    def __init__(self) -> None:
        self.actions: dict[str, list[Action]] = {}
        self._acting: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.actions:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                self._act_after(spec.loader)
                return spec
        return None

    def _act_after(self, loader: Any) -> None:
        """Have the module's own loader tell us when it is done."""
        execute = loader.exec_module

        def exec_and_act(module: ModuleType) -> None:
            execute(module)
            self._act(module)

        loader.exec_module = exec_and_act

    def _act(self, module: ModuleType) -> None:
        # Another module may go by the name that was imported.
        name = module.__spec__.name if module.__spec__ is not None else module.__name__
        if name in self._acting:  # one of them imports it by its other name
            return
        self._acting.add(name)
        try:
            for action in self.actions.get(name, ())[:]:
                action(module)
        finally:
            self._acting.discard(name)


_watcher = _Watcher()


def when_imported(name: str, action: Action) -> None:
    """Call ``action`` with the module of this name: now, or whenever it is imported."""
    _watcher.actions.setdefault(name, []).append(action)
    if _watcher not in sys.meta_path:
        sys.meta_path.insert(0, _watcher)
    module = sys.modules.get(name)
    if module is not None and module.__name__ == name:
        action(module)


def forget(name: str, action: Action) -> None:
    """Take back ``when_imported``."""
    _watcher.actions[name].remove(action)
