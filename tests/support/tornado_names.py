"""The names of Tornado's modules: its snapshot ``api.txt``, and what its classes and modules have."""

import importlib
import inspect
import types
from pathlib import Path

import tornado.test

SNAPSHOT = Path(tornado.test.__file__).parent / "api.txt"

KINDS = {
    "function": inspect.isroutine,
    "method": inspect.isroutine,
    "classmethod": inspect.ismethod,
    "staticmethod": inspect.isroutine,
    "property": inspect.isdatadescriptor,
    "class": inspect.isclass,
    "data": lambda value: True,
}


def documented(module):
    """Name (below the module) and kind of each documented name."""
    prefix = f"tornado.{module}."
    for line in SNAPSHOT.read_text(encoding="utf-8").splitlines():
        name, colon, kind = line.partition(": ")
        if colon and name.startswith(prefix):
            yield name.removeprefix(prefix), kind.partition("(")[0]


def differences(module):
    """Documented names that ours has not, and those that are something else there. Attributes of instances,
    which classes need not have, are left out.
    """
    missing, different = set(), set()
    for name, kind in documented(module):
        found = importlib.import_module(f"tornado_c.{module}")
        try:
            for part in name.split("."):
                found = getattr(found, part)
        except AttributeError:
            if kind != "attribute":
                missing.add(name)
        else:
            if kind in KINDS and not KINDS[kind](found):
                different.add(name)
    return missing, different


def own_names(module):
    """All names of a stock module but those of the interpreter's."""
    return sorted(name for name in vars(importlib.import_module(f"tornado.{module}")) if name[:2] != "__")


def assert_counterpart(module, name):
    """What a stock module has under a name, ours has too, and it is of the same kind."""
    ours = getattr(importlib.import_module(f"tornado_c.{module}"), name)
    stock = vars(importlib.import_module(f"tornado.{module}"))[name]
    if isinstance(stock, types.ModuleType):
        assert isinstance(ours, types.ModuleType)
        assert ours.__name__ in (stock.__name__, stock.__name__.replace("tornado.", "tornado_c."))
    elif isinstance(stock, (str, int)):
        assert ours == stock
    elif inspect.isclass(stock) or inspect.isfunction(stock):
        assert ours.__name__ == stock.__name__
        if stock.__module__ == f"tornado.{module}":
            assert ours.__module__ == f"tornado_c.{module}"


def stock_classes(module):
    """The names of a stock module's own classes."""
    found = vars(importlib.import_module(f"tornado.{module}")).items()
    return [name for name, cls in found if inspect.isclass(cls) and cls.__module__ == f"tornado.{module}"]


def missing_members(module, name):
    """What a class of a stock module has in its own dict, and ours of that name has not."""
    stock = getattr(importlib.import_module(f"tornado.{module}"), name)
    ours = getattr(importlib.import_module(f"tornado_c.{module}"), name)
    # Setting a class's __module__ drops the number of its first line.
    return {member for member in vars(stock) if not hasattr(ours, member)} - {"__firstlineno__"}


def star(package, module):
    """What ``from package.module import *`` gives."""
    names = {}
    exec(f"from {package}.{module} import *", names)
    del names["__builtins__"]
    return names
