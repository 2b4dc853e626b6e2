"""What C may know of a regular expression: the text that every match begins with, and, for the usual patterns
of paths, all of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from tornado_c._support.regex import regex

_MULTILINE, _DEBUG = int(re.MULTILINE), int(re.DEBUG)
_OTHER_FLAGS = ~int(re.UNICODE | re.ASCII | re.DOTALL | re.MULTILINE | re.DEBUG)
_LITERAL = r"\\[^a-zA-Z0-9]|[^.^$*+?{}\[\]\\|()]"
_LITERALS = regex(rf"(?:{_LITERAL})*+", re.DOTALL)
_LAST_LITERAL = regex(rf"((?:{_LITERAL})*)(?:{_LITERAL})", re.DOTALL)
_ESCAPED = regex(r"\\(.)", re.DOTALL)
_BRACKETS = r"\[\^?+\]?+(?:\\.|[^\]\\])*+\]"
_NOISE = regex(rf"\\.|{_BRACKETS}", re.DOTALL)
_ODD_GROUP = regex(r"\(\?(?![:=!]|P<|<[=!])")
_USABLE = regex(r"[\0-\x09\x0b-\xff]*")


def _has_alternatives(text: str) -> bool:
    """Whether a pattern may have alternatives that are in no group."""
    if "|" not in text:
        return False
    text = _NOISE.sub("", text)
    if _ODD_GROUP.search(text):
        return True  # comments and verbose groups may hold any parentheses
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            return True
    return False


def _take_literal(text: str, at: int) -> tuple[str, int]:
    """The characters from ``at`` on that stand for themselves, once each, and where they end."""
    found = _LITERALS.match(text, at)
    assert found is not None
    literal, end = found[0], found.end()
    if literal and text.startswith(("*", "+", "?", "{"), end):
        repeated = _LAST_LITERAL.fullmatch(literal)
        assert repeated is not None
        literal = repeated[1]
        end = at + len(literal)
    return _ESCAPED.sub(r"\1", literal) if "\\" in literal else literal, end


@lru_cache(4096)
def literal_prefix(pattern: re.Pattern[Any]) -> str:
    """Return a text that whatever the pattern matches begins with. It is Latin-1 and has no line feed."""
    text = pattern.pattern
    if not isinstance(text, str) or pattern.flags & _OTHER_FLAGS or _has_alternatives(text):
        return ""
    prefix, _ = _take_literal(text, int(text.startswith("^")))
    usable = _USABLE.match(prefix)
    assert usable is not None
    return usable[0]


# ---- patterns that need no backtracking ----

#: A piece of text, or a repeated class of characters: 256 flags, the least and the most times (-1: any
#: number), whether it is a group.
Step = tuple[bytes, int, int, bool] | bytes

_CLASS = rf"(?P<set>\.|\\[dDsSwW]|{_BRACKETS})"
_TIMES = r"(?P<times>[*+?]|\{[0-9]{1,4}(?:,[0-9]{0,4})?\})?"
_REPEATED = regex(rf"(?P<group>\((?:\?P<\w+>)?)?{_CLASS}{_TIMES}(?(group)\))(?![*+?{{])", re.DOTALL)
_DOUBTFUL = regex(r"(?s).\[|--|&&|~~|\|\|")  # in a class: it may come to mean something else
_TIMES_OF = {None: (1, 1), "*": (0, -1), "+": (1, -1), "?": (0, 1)}
_MOST_GROUPS = 8


@lru_cache(256)
def _flags_of(text: str, flags: int) -> bytes:
    """For each character of Latin-1 whether a class has it."""
    match = re.compile(text, flags).fullmatch
    return bytes(match(chr(code)) is not None for code in range(256))


def _times(text: str | None) -> tuple[int, int]:
    if text in _TIMES_OF:
        return _TIMES_OF[text]
    assert text is not None
    least, comma, most = text[1:-1].partition(",")
    return int(least), int(most) if most else -1 if comma else int(least)


@lru_cache(4096)
def simple_steps(pattern: re.Pattern[Any]) -> tuple[Step, ...] | None:
    """Return the steps of a pattern in which each class ends where the text that follows it begins, or where
    the text begins that ends all.

    So there is only one way to match. None for other patterns.
    """
    text, flags = pattern.pattern, pattern.flags
    if not isinstance(text, str) or flags & (_OTHER_FLAGS | _MULTILINE) or not text.endswith("$"):
        return None
    end = len(text) - 1
    at = int(text.startswith("^"))
    steps: list[Step] = []
    groups = 0
    open_class: bytes | None = None  # the class before, if it has no fixed length
    while at < end:
        literal, at = _take_literal(text, at)
        if literal:
            if not _USABLE.fullmatch(literal):
                return None
            piece = literal.encode("latin-1")
            if open_class is not None and open_class[piece[0]] and at != end:
                return None
            open_class = None
            steps.append(piece)
        found = _REPEATED.match(text, at, end)
        if found is None:
            break
        if open_class is not None or _DOUBTFUL.search(found["set"]):
            return None
        least, most = _times(found["times"])
        if found["group"]:
            groups += 1
        members = _flags_of(found["set"], flags & ~_DEBUG)
        open_class = members if least != most else None
        steps.append((members, least, most, bool(found["group"])))
        at = found.end()
    # What is left at the end is the "$" alone; an escaped one is a literal. Groups in classes are none.
    return tuple(steps) if at == end and groups == pattern.groups <= _MOST_GROUPS else None
