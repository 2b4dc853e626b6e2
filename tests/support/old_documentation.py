"""The programs in the documentation of old Tornado: literal blocks of its docstrings and documents."""

import re
from pathlib import Path

#: What opens a block of code: "text::", in an item of a list as well, or one of two directives.
OPENS = re.compile(r"(?P<indent> *(?:\d+\. )?)(?:\.\. (?:testcode|code-block)::.*|(?! *\.\. )\S.*::|::) *")


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def blocks(text: str) -> dict[int, str]:
    """The literal blocks of a text, each by the number of the line that opens it."""
    lines, found = text.split("\n"), {}
    for number, line in enumerate(lines, 1):
        opens = OPENS.fullmatch(line)
        if not opens:
            continue
        block: list[str] = []
        for following in lines[number:]:
            if following.strip() and indentation(following) <= len(opens["indent"]):
                break
            block.append(following)
        while block and (not block[0].strip() or block[0].lstrip().startswith(":")):
            del block[0]
        indent = min((indentation(each) for each in block if each.strip()), default=0)
        if indent:
            found[number] = "\n".join(each[indent:].rstrip() for each in block).rstrip() + "\n"
    return found


def examples(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Those of several files, by "file:line"."""
    return {
        f"{name}:{number}": code
        for name in names
        for number, code in blocks((folder / name).read_text(encoding="utf-8")).items()
    }
