"""What programs reach through a module of Tornado's though it is not of its making: what it has imported. For
ours it is imported when somebody asks for it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tornado_c._support.optional import require_tornado

#: What is in a module, for any that wants it.
MEMBERS = {
    "BytesIO": "io",
    "TracebackType": "types",
    "isclass": "inspect",
    "urlencode": "urllib.parse",
    **dict.fromkeys(("Awaitable", "Callable", "Generator", "Iterable"), "collections.abc"),
    **dict.fromkeys(("Any", "Optional", "Protocol", "Type", "TypeVar"), "typing"),
    **dict.fromkeys(("Union", "cast", "overload"), "typing"),
}


class Names:
    """The names that a module has on demand.

    :param module: its own name.
    :param modules: those of modules of the standard library.
    :param members: the name of a member of a module, and that of the module.
    :param packages: the name of a package, and of a module of it that comes with it.
    :param tornado: those of modules of the installed Tornado, without the package's.
    :param tornado_members: the name of a member of a module of the installed Tornado, and that of the module.
    """

    def __init__(
        self,
        module: str,
        modules: Iterable[str],
        members: Mapping[str, str],
        packages: Mapping[str, str] | None = None,
        tornado: Iterable[str] = (),
        tornado_members: Mapping[str, str] | None = None,
    ) -> None:
        self.module = module
        self.modules = frozenset(modules)
        self.members = members
        self.packages = packages or {}
        self.tornado = frozenset(tornado)
        self.tornado_members = tornado_members or {}

    def find(self, name: str) -> Any:
        """Return what the module has under a name.

        :raises AttributeError: nothing.
        :raises ImportError: it is Tornado's, which is not installed.
        """
        if name in self.members:
            return getattr(importlib.import_module(self.members[name]), name)
        what = f"{self.module.rpartition('.')[2]}.{name}"
        if name in self.tornado_members:
            return getattr(require_tornado(what, f"tornado.{self.tornado_members[name]}"), name)
        if name == "tornado" or name in self.tornado:
            return require_tornado(what, "tornado" if name == "tornado" else f"tornado.{name}")
        if name in self.packages:
            importlib.import_module(self.packages[name])
        elif name not in self.modules:
            raise AttributeError(f"module {self.module!r} has no attribute {name!r}")
        return importlib.import_module(name)

    def available(self) -> list[str]:
        """The names that ``find`` finds here."""
        found = [*self.modules, *self.packages, *self.members]
        if importlib.util.find_spec("tornado") is not None:
            found += ["tornado", *self.tornado, *self.tornado_members]
        return found


def adopt(namespace: dict[str, Any], package: str) -> None:
    """Have a module's classes and functions that come from a private package name the module as theirs."""
    for name in namespace["__all__"]:
        value = namespace[name]
        if hasattr(value, "__qualname__") and str(value.__module__).startswith(f"{package}."):
            value.__module__ = namespace["__name__"]


def on_demand(
    namespace: dict[str, Any], package: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a module that has more names on demand.

    A star-import takes those as well: ``__all__`` becomes one of them.

    :param package: its module ``names`` has them as ``NAMES``. It is imported when it is needed.
    """
    exported = [name for name in namespace.pop("__all__") if not name.startswith("_")]

    def names() -> Names:
        found: Names = importlib.import_module(f"{package}.names").NAMES
        return found

    def find(name: str) -> Any:
        return [*exported, *names().available()] if name == "__all__" else names().find(name)

    def listed() -> list[str]:
        return sorted({*namespace, *names().available()})

    return find, listed
