"""The swap: stock Tornado's core modules replaced by ours, under their own names, for programs that
import ``tornado``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

#: Modules of Tornado that are replaced, whole. A module of ours that is partial yet is not in the list.
SWAPPED: tuple[str, ...] = (
    "util",
    "escape",
    "concurrent",
    "ioloop",
    "platform.asyncio",
    "iostream",
    "tcpserver",
    "tcpclient",
    "netutil",
    "process",
    "httputil",
    "http1connection",
    "httpserver",
)

_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "children")


class _Loader(importlib.abc.Loader):
    """Gives a module of ours for one of Tornado's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        self.module = importlib.import_module(self.name)
        self.spec = self.module.__spec__
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the other name's spec into the module.
        module.__spec__ = self.spec
        module.__loader__ = self.spec.loader if self.spec is not None else None


class _Finder(importlib.abc.MetaPathFinder):
    """Finds our modules under Tornado's names."""

    def __init__(self) -> None:
        self.names = {f"tornado.{name}": f"tornado_c.{name}" for name in SWAPPED}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        ours = self.names.get(fullname)
        return None if ours is None else importlib.machinery.ModuleSpec(fullname, _Loader(ours))


def install(children: bool = True) -> None:
    """Put tornado_c's core in the place of Tornado's for all later imports of ``tornado``.

    Calling it again does nothing.

    :param children: programs that this process starts are swapped too, through PYTHONPATH: those that the
        Python of this environment runs, or that of another environment which has tornado_c. Default True.
    :raises RuntimeError: a core module of stock Tornado has been imported already.
    :raises ImportError: Tornado is not installed.
    """
    finder = next((f for f in sys.meta_path if isinstance(f, _Finder)), None)
    if finder is None:
        finder = _Finder()
        stock = [
            name
            for name, ours in finder.names.items()
            if name in sys.modules and sys.modules[name].__name__ != ours
        ]
        if stock:
            raise RuntimeError(
                f"{', '.join(stock)} was imported before tornado_c.install(); call it first thing in the "
                "program, or start the program with python -m tornado_c"
            )
        if importlib.util.find_spec("tornado") is None:
            raise ImportError("tornado is not installed; install it with: pip install 'tornado_c[tornado]'")
        sys.meta_path.insert(0, finder)
    if children:
        _reach_children()


def _reach_children() -> None:
    """Have Python programs that this process starts run our sitecustomize, which looks at both variables."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if _CHILDREN not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, *paths])
    os.environ["TORNADO_C_ENVIRONMENT"] = sys.prefix
