"""unittest.mock's autospec knows the arguments of Python functions only. Our methods in C have signatures,
too: mock is made to count them as functions.
"""

from __future__ import annotations

import types
from typing import Any

from tornado_c._support.imports import when_imported


class _CoreMethods(type):
    def __instancecheck__(cls, obj: Any) -> bool:
        # By type(): mocks have a __class__ that is not theirs.
        if type(obj) is types.MethodDescriptorType:
            owner: Any = obj.__objclass__
        elif type(obj) is types.BuiltinMethodType:
            bound_to = obj.__self__
            owner = bound_to if issubclass(type(bound_to), type) else type(bound_to)
        else:
            return False
        return any(base.__module__ == "tornado_c._core" for base in owner.__mro__)


class CoreMethod(metaclass=_CoreMethods):
    """What methods of our C types are instances of."""


def _teach(mock: Any) -> None:
    mock.FunctionTypes = (*mock.FunctionTypes, CoreMethod)


when_imported("unittest.mock", _teach)
