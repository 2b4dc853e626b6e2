"""Reads the transcripts of tests/http_cases; README.md there describes their format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support.children import TESTS

FOLDER = TESTS / "http_cases"

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|\{(\d+):((?:[^}\\]|\\.)*)\}|(.))", re.S)
_SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_REQUEST_KEYS = {"method", "target", "version", "host", "flags", "header", "size", "body"}
_CONNECTION_KEYS = {"end", "message"}


class Case(NamedTuple):
    name: str
    request: bytes
    expect: dict[str, Any]  # "messages": list of dicts, "end", perhaps "message"
    limits: dict[str, int]  # perhaps "limit", "body_limit"


def unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code, count, repeated, simple = match.groups()
        if code:
            return chr(int(code, 16))
        if count:
            return unescape(repeated) * int(count)
        return _SIMPLE[simple]

    return _ESCAPE.sub(one, text)


def _parse_expect(lines: list[str], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {"messages": []}
    message: dict[str, Any] = {}
    for line in [*lines, "---"]:
        if line == "---":
            if message:
                result["messages"].append(message)
            message = {}
            continue
        key, colon, value = line.partition(":")
        if not colon or key not in _REQUEST_KEYS | _CONNECTION_KEYS:
            raise ValueError(f"{where}: not understood: {line!r}")
        value = unescape(value.removeprefix(" "))
        if key in _CONNECTION_KEYS:
            result[key] = value
        elif key == "header":
            name, _, text = value.partition(":")
            message.setdefault("header", []).append([name, text.removeprefix(" ")])
        elif key == "size":
            message[key] = int(value)
        else:
            message[key] = None if (key, value) == ("host", "(none)") else value
    if "end" not in result:
        raise ValueError(f"{where}: no end")
    return result


def parse(text: str, where: str) -> Iterator[Case]:
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, rest = part.partition("\n")
        name = f"{where}: {title.strip()}"
        blocks = re.findall(r"^```(request|expect)([^\n]*)\n(.*?)^```$", rest, flags=re.M | re.S)
        if [b[0] for b in blocks] != ["request", "expect"]:
            raise ValueError(f"{name}: wants one request and one expect block")
        limits = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", blocks[0][1])}
        request = unescape(blocks[0][2].replace("\n", "")).encode("latin-1")
        yield Case(name, request, _parse_expect(blocks[1][2].splitlines(), name), limits)


def load(folder: Path = FOLDER) -> list[Case]:
    cases = []
    for path in sorted(folder.glob("*.md")):
        if path.name != "README.md":
            cases += parse(path.read_text(encoding="ascii"), path.stem)
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError("two cases of one name")
    return cases


CASES = load()
