"""What our modules' classes and functions call their module: Tornado's, while it is swapped.

Error trackers and logs know exceptions by that name, and pickles find classes by it, in this process and in
others that may not be swapped.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from tornado_c._support.names import rename
from tornado_c._swap import imported


def take(module: types.ModuleType, theirs: str) -> None:
    """Let a module of ours go by a name of Tornado's.

    It is imported by that name, so that tools which wait for it learn of it. They go by its ``__name__``.
    """
    ours = module.__name__
    imported.add(module, theirs)
    rename(vars(module).values(), ours, theirs)
    module.__name__ = theirs
    try:
        importlib.import_module(theirs)
    finally:
        module.__name__ = ours


def give_back(module: types.ModuleType, theirs: str) -> None:
    """Undo that."""
    imported.take_away(module)
    rename(vars(module).values(), theirs, module.__name__)


def drop(kept: dict[str, Any]) -> None:
    """Have Tornado's modules imported anew, but for those in ``kept``, which stay as they are there.

    Modules of ours that hand one of them out are imported anew as well.
    """
    dropped = [
        (name, module)
        for name, module in sys.modules.items()
        if name.startswith("tornado.") and kept.get(name) is not module
    ]
    gone = {id(module) for _, module in dropped}
    for name, module in [*sys.modules.items()]:
        package, _, leaf = name.rpartition(".")
        if id(module) in gone and package.partition(".")[0] in ("tornado", "tornado_c"):
            if not name.startswith("tornado_c.") or module.__name__ != name:
                del sys.modules[name]
                parent = sys.modules.get(package)
                if parent is not None and vars(parent).get(leaf) is module:
                    delattr(parent, leaf)
