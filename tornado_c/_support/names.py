"""What a module has on demand: parts of ours that few programs need, and what programs reach through a module
of Tornado's though it is not of its making: what it has imported. It is imported when somebody asks for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType
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
        modules: Iterable[str] = (),
        members: Mapping[str, str] | None = None,
        packages: Mapping[str, str] | None = None,
        tornado: Iterable[str] = (),
        tornado_members: Mapping[str, str] | None = None,
    ) -> None:
        self.module = module
        self.modules = frozenset(modules)
        self.members = members or {}
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

    def keeps(self, name: str) -> bool:
        """Whether a name stands for the same as long as the process lives: Tornado may be swapped."""
        return name in self.members or name in self.modules or name in self.packages

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


def rename(values: Iterable[Any], old: str, new: str) -> None:
    """Have classes and functions of one module say that they are another's, and what is in those classes."""
    private = "tornado_c._"  # methods of public classes are written there
    for value in values:
        if not isinstance(value, (FunctionType, BuiltinFunctionType, type)) or value.__module__ != old:
            continue
        value.__module__ = new
        for member in vars(value).values() if isinstance(value, type) else ():
            function = getattr(member, "__func__", member)
            if isinstance(function, FunctionType):
                if function.__module__ == old or function.__module__.startswith(private):
                    function.__module__ = new


def on_demand(
    namespace: dict[str, Any], names: Names | str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a module that has more names on demand.

    What is found is kept in the module, unless it is Tornado's. A star-import takes those names as well:
    ``__all__`` becomes one of them.

    :param names: or a package whose module ``names`` has them as ``NAMES``, and is imported when needed.
    """
    exported = namespace.pop("__all__", None)

    def all_names() -> Names:
        found: Names = names if isinstance(names, Names) else importlib.import_module(f"{names}.names").NAMES
        return found

    def find(name: str) -> Any:
        if name == "__all__":
            listed = dict.fromkeys([*(exported or namespace), *all_names().available()])
            return [each for each in listed if not each.startswith("_")]
        found, members = all_names().find(name), all_names().members
        if members.get(name, "").startswith("tornado_c._"):
            move_in(members[name], [each for each in members if members[each] == members[name]])
        elif all_names().keeps(name):
            namespace.setdefault(name, found)
        return found

    def move_in(home: str, moved: list[str]) -> None:
        """Take all that one module of ours has for this one: parts of a whole say the same of themselves."""
        ours = namespace["__name__"]
        theirs = ours.replace("tornado_c.", "tornado.", 1)  # while it is swapped
        for each in moved:
            namespace.setdefault(each, getattr(sys.modules[home], each))
        values = [namespace[each] for each in moved]
        rename(values, home, theirs if sys.modules.get(theirs) is sys.modules[ours] else ours)

    return find, lambda: sorted({*namespace, *all_names().available()})
