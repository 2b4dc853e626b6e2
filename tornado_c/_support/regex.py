"""Regular expressions that are compiled when they are first used: most of a program's imports are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import compile as regex
else:

    class regex:
        """What ``re.compile()`` returns, in time."""

        _source = ("", 0)

        def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
            self._source = pattern, flags

        def __getattr__(self, name: str) -> Any:
            found = getattr(re.compile(*self._source), name)
            setattr(self, name, found)
            return found

        def __repr__(self) -> str:  # for log lines
            return repr(re.compile(*self._source))


__all__ = ["regex"]
