"""Features that need an installed Tornado."""

from __future__ import annotations

import importlib
from types import ModuleType


def require_tornado(what: str, module: str = "tornado") -> ModuleType:
    """Import a module of the installed Tornado on behalf of a feature that cannot do without it.

    :param what: the feature, as the subject of the error's sentence (``"template rendering"``).
    :param module: dotted name of the module to import; default ``"tornado"``.
    :returns: the imported module.
    :raises ImportError: Tornado is not installed; the text says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "tornado":
            raise
        raise ImportError(
            f"{what} needs Tornado's own modules; install them with: pip install 'tornado_c[tornado]'",
            name=exc.name,
        ) from exc


def if_tornado(module: str) -> ModuleType | None:
    """Import a module of the installed Tornado; None where there is none."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
