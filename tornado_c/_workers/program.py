"""The program that ``python -m tornado_c`` runs in its own place, as plain Python would run it.

Not by runpy, whose run_path and run_module give ``sys.modules["__main__"]`` back at the end: threads and what
runs at exit would see another module there."""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import pkgutil
import sys
import types
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from typing import Any


class CannotRun(Exception):
    """There is no such program; the text is a line for the user."""


class Program:
    """A script, a folder or zip file with a ``__main__.py``, or a module.

    :param is_module: the name is a module's, with dots.
    """

    def __init__(self, name: str, arguments: list[str], is_module: bool = False) -> None:
        self.name = name
        self.arguments = arguments
        self.is_module = is_module
        self.path = "" if is_module else os.path.abspath(name)

    def command(self) -> list[str]:
        """It and its arguments, as they stand on a command line."""
        return [*(["-m"] if self.is_module else []), self.name, *self.arguments]

    def other_names(self) -> list[str]:
        """Under which it may execute itself: the absolute path, the module of a package that is run."""
        return [f"-m {self.name}.__main__"] if self.is_module else [self.path]

    def enter(self) -> None:
        """Set sys.argv and sys.path. The folder that is first on the path already stands for a module's."""
        sys.argv[:] = [self.name, *self.arguments]
        if self.is_module:
            return
        folder = self.path if self._finder() is not None else os.path.dirname(os.path.realpath(self.path))
        if not sys.flags.safe_path:
            sys.path[0] = folder
        elif folder == self.path:
            sys.path.insert(0, folder)

    def run(self) -> None:
        """Run it as ``__main__``.

        :raises CannotRun: there is none. What the program raises passes through.
        """
        if self.is_module:
            spec = self._find_module()
            sys.argv[0] = spec.origin or self.name
            _run_found(spec)
        elif (finder := self._finder()) is not None:
            found = finder.find_spec("__main__")
            if found is None:
                raise CannotRun(f"can't find '__main__' module in {self.path!r}")
            _run_found(found)
        else:
            self._run_file()

    def _finder(self) -> Any:
        """What finds the modules of a folder or zip file; None for any other file."""
        return pkgutil.get_importer(self.path)

    def _find_module(self) -> ModuleSpec:
        try:
            spec = importlib.util.find_spec(self.name)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = importlib.util.find_spec(f"{self.name}.__main__")
        except ModuleNotFoundError as exc:
            if exc.name is None or not f"{self.name}.__main__.".startswith(f"{exc.name}."):
                raise  # its package cannot import something else
            spec = None
        if spec is None:
            raise CannotRun(f"no module named {self.name!r} that can be run")
        return spec

    def _run_file(self) -> None:
        try:
            with io.open_code(self.path) as file:
                data = file.read()
        except OSError as exc:
            raise CannotRun(f"can't open file {self.path!r}: [Errno {exc.errno}] {exc.strerror}") from None
        loader: SourceFileLoader | SourcelessFileLoader
        if data.startswith(importlib.util.MAGIC_NUMBER):
            loader = SourcelessFileLoader("__main__", self.path)
            code: Any = loader.get_code("__main__")
        else:
            loader = SourceFileLoader("__main__", self.path)
            code = compile(data, self.path, "exec", dont_inherit=True)
        _run_code(code, __file__=self.path, __loader__=loader, __cached__=None)


def _run_found(spec: ModuleSpec) -> None:
    """Run a module that was found."""
    loader: Any = spec.loader
    code = loader.get_code(spec.name) if hasattr(loader, "get_code") else None
    if code is None:
        raise CannotRun(f"module {spec.name!r} has no code that can be run")
    _run_code(
        code,
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=loader,
        __package__=spec.parent,
        __spec__=spec,
    )


def _run_code(code: types.CodeType, **names: Any) -> None:
    main = types.ModuleType("__main__")
    vars(main).update(__builtins__=builtins, **names)
    sys.modules["__main__"] = main
    exec(code, vars(main))
