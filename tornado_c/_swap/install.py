"""The swap: stock Tornado's core modules replaced by ours, under their own names, for programs that
import ``tornado``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from tornado_c._support.imports import Action, forget, when_imported
from tornado_c._swap import generation as generations
from tornado_c._swap import names

#: Modules of Tornado that are replaced, whole. A module of ours that is partial yet is not in the list.
SWAPPED: tuple[str, ...] = (
    "util",
    "escape",
    "concurrent",
    "log",
    "options",
    "ioloop",
    "gen",
    "stack_context",
    "platform.asyncio",
    "platform.auto",
    "platform.epoll",
    "platform.kqueue",
    "platform.select",
    "iostream",
    "tcpserver",
    "tcpclient",
    "netutil",
    "process",
    "httputil",
    "http1connection",
    "httpserver",
    "routing",
    "web",
    "websocket",
)

_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "children")
_BEGUN_AGAIN = "TORNADO_C_BEGUN_AGAIN"  # the process that was executed again for begin_again_if_late()


class _Loader:
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


class _Finder:
    """Finds our modules under Tornado's names."""

    def __init__(self) -> None:
        self.names = {f"tornado.{name}": f"tornado_c.{name}" for name in SWAPPED}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.names:
            return None
        loader: Any = _Loader(self.names[fullname])
        return importlib.machinery.ModuleSpec(fullname, loader)


def _place_of_finder() -> int:
    """Before Python's own finders, and behind those of tools that wait for an import and let others find."""
    own = (
        importlib.machinery.BuiltinImporter,
        importlib.machinery.FrozenImporter,
        importlib.machinery.PathFinder,
    )
    return next((place for place, finder in enumerate(sys.meta_path) if finder in own), 0)


_finder = _Finder()
_takes: dict[str, Action] = {}  # what is done with each of our modules, while the swap is in force
_kept: dict[str, ModuleType] = {}  # what there was of Tornado's before


def install(children: bool = True, generation: int | None = None) -> None:
    """Put tornado_c's core in the place of Tornado's for all later imports of ``tornado``.

    Calling it again does nothing, but for a generation that is given. Classes and functions of the modules
    that are replaced say from then on that they are Tornado's, in ``__module__``: what is pickled can be
    loaded without tornado_c.

    :param children: programs that this process starts are swapped too, through PYTHONPATH: those that the
        Python of this environment runs, or that of another environment which has tornado_c. Default True.
    :param generation: 4: programs that were written for Tornado 2 to 4 find its behaviour where Tornado 6
        has another, and its names in the modules that stay the installed Tornado's. 6: not so. Default: what
        the environment variable TORNADO_C_GENERATION says, 6 without it.
    :raises ValueError: there is no such generation.
    :raises RuntimeError: a core module of stock Tornado has been imported already.
    :raises ImportError: Tornado is not installed.
    """
    wanted = generations.wanted(generation)
    if not installed():
        present = {name: module for name, module in sys.modules.items() if name.startswith("tornado.")}
        stock = _stock_core()
        if stock:
            raise RuntimeError(
                f"{', '.join(stock)} was imported before tornado_c.install(); call it first thing in the "
                "program, or start the program with python -m tornado_c"
            )
        if importlib.util.find_spec("tornado") is None:
            raise ImportError("tornado is not installed; install it with: pip install 'tornado_c[tornado]'")
        _kept.update(present)
        sys.meta_path.insert(_place_of_finder(), _finder)
        for theirs, ours in _finder.names.items():
            _takes[ours] = functools.partial(names.take, theirs=theirs)
            when_imported(ours, _takes[ours])
        generations.enter(wanted)
    elif generation is not None:
        generations.enter(wanted)
    if children:
        _reach_children()


def begin_again_if_late() -> None:
    """Where a tool's sitecustomize has imported stock Tornado already (that of ``opentelemetry-instrument``
    does), execute this process again with ours in front of it. Else, or if that did not help, do nothing.
    """
    site = getattr(sys.modules.get("sitecustomize"), "__file__", None)
    begun = os.environ.pop(_BEGUN_AGAIN, None)
    if site is None or installed() or not _stock_core() or begun == str(os.getpid()):
        return
    folder = os.path.dirname(os.path.abspath(site))
    others = [path for path in _python_path() if path not in (_CHILDREN, folder)]
    os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, folder, *others])
    os.environ["TORNADO_C_ENVIRONMENT"] = sys.prefix
    os.environ[_BEGUN_AGAIN] = str(os.getpid())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, sys.orig_argv)


def _stock_core() -> list[str]:
    """Those of the modules to be replaced that have been imported already."""
    return [name for name in _finder.names if name in sys.modules]


def installed() -> bool:
    """Whether the swap is in force."""
    return _finder in sys.meta_path


def uninstall() -> None:
    """Undo ``install()``, as far as that is possible, for tests: later imports find stock Tornado.

    What was imported meanwhile stays as it is: a class of an application is still a subclass of ours, and
    a module that says ``from tornado.web import RequestHandler`` has to be imported again. Tornado's own are,
    at their next import. Children that run already stay swapped. Does nothing without the swap.
    """
    if not installed():
        return
    generations.leave()
    sys.meta_path.remove(_finder)
    for theirs, ours in _finder.names.items():
        forget(ours, _takes.pop(ours))
        if ours in sys.modules:
            names.give_back(sys.modules[ours], theirs)
    names.drop(_kept)
    _kept.clear()
    os.environ.pop("TORNADO_C_ENVIRONMENT", None)
    others = [path for path in _python_path() if path != _CHILDREN]
    os.environ["PYTHONPATH"] = os.pathsep.join(others)
    if not others:
        del os.environ["PYTHONPATH"]


def _reach_children() -> None:
    """Have Python programs that this process starts run our sitecustomize, which looks at both variables."""
    if _CHILDREN not in _python_path():
        os.environ["PYTHONPATH"] = os.pathsep.join([_CHILDREN, *_python_path()])
    os.environ["TORNADO_C_ENVIRONMENT"] = sys.prefix
    generations.reach_children()


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
