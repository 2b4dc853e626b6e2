"""Modules of Tornado's without a counterpart: ours of the same name is the installed Tornado's, itself."""

from __future__ import annotations

import sys

from tornado_c._support.optional import require_tornado
from tornado_c._swap.install import installed


def hand_out(name: str, only_swapped: bool = False) -> None:
    """Put a module of the installed Tornado in the place of ours, which is being imported.

    :param name: of our module.
    :param only_swapped: whether it fits our other modules under the swap only.
    :raises ImportError: Tornado is not installed, or not swapped.
    """
    if only_swapped and not installed():
        raise ImportError(
            f"{name} is Tornado's own and works with our modules under the swap only: begin the program with "
            "tornado_c.install(), or start it with python -m tornado_c",
            name=name,
        )
    sys.modules[name] = require_tornado(name, name.replace("tornado_c", "tornado", 1))
