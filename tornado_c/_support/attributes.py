"""What Python classes have by default and those over a C base have not: vars(), copy and pickle of attributes
that are fields in C. Nothing here runs before the first access.
"""

from __future__ import annotations

from typing import Any

from tornado_c import _core


def shown(*names: str) -> Any:
    """For a class's body: a ``__dict__`` in which the attributes of these names are, too.

    It is the object's own dict, brought up to date whenever it is asked for. The class looks attributes of
    these names up in C first, so what is in the dict under them counts for nothing; everything else does.
    """

    def attributes(self: Any) -> dict[str, Any]:
        found = _core.instance_dict(self)
        for name in names:
            try:
                found[name] = getattr(self, name)
            except Exception:  # not set, or made of something malformed
                found.pop(name, None)
        return found

    def set_attributes(self: Any, values: dict[str, Any]) -> None:
        own = _core.instance_dict(self)
        own.clear()
        for name, value in values.items():
            if name in names:
                setattr(self, name, value)
            else:
                own[name] = value

    return property(attributes, set_attributes)


def state(self: Any) -> dict[str, Any]:
    """As ``__getstate__``: the attributes that vars() shows."""
    return dict(vars(self))


def restore(self: Any, values: dict[str, Any]) -> None:
    """As ``__setstate__``."""
    for name, value in values.items():
        setattr(self, name, value)
