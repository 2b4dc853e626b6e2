"""A program that executes itself again, as autoreload does, is again what ``python -m tornado_c`` made it.

It cannot know: what it executes is ``python`` with its own name and arguments. So we leave a note in the
environment, for this process alone. What runs at the start of swapped programs (``_swap/children``) reads it,
by the path of this file: nothing of the package is imported here.
"""

from __future__ import annotations

import json
import os
import re
import sys

VARIABLE = "TORNADO_C_PROGRAM"


def remember(program: list[str], others: list[str]) -> None:
    """Leave the note.

    :param program: the end of the command line: the program's name, with ``-m`` before it for a module, and
        its arguments.
    :param others: names by which the program may call itself as well.
    """
    command = sys.orig_argv[1 : len(sys.orig_argv) - len(program)]
    names = [_name(program), *others]
    os.environ[VARIABLE] = f"{os.getpid()}:{json.dumps([command, names])}"


def execute() -> None:
    """If the program has executed itself, put ``python -m tornado_c`` in the place of this interpreter."""
    number, _, note = os.environ.get(VARIABLE, "").partition(":")
    if number != str(os.getpid()):
        return  # another process
    command, names = json.loads(note)
    program = _program(sys.orig_argv[1:])
    if _name(program) in names:
        os.execv(sys.executable, [sys.executable, *command, *program])


def _name(program: list[str]) -> str:
    return " ".join(program[: 2 if program[:1] == ["-m"] else 1])


def _program(arguments: list[str]) -> list[str]:
    """What stands behind the options of an interpreter; ``-m`` counts as the program's."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        option, at = arguments[at], at + 1
        # Of letters that stand together the last may take a value, which is behind it or the next argument.
        match = re.fullmatch("-[^-cmWX]*([cmWX])(.*)", option)
        if match is None:
            at += option == "--check-hash-based-pycs"
            continue
        value = match[2]
        if not value:
            value, at = "".join(arguments[at : at + 1]), at + 1
        if match[1] in "cm":
            return ["-m", value, *arguments[at:]] if match[1] == "m" else []
    return arguments[at:]
