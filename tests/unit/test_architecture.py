"""ARCHITECTURE.rst names files and functions that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"

if not SRC.is_dir() or not (ROOT / "ARCHITECTURE.rst").is_file():
    pytest.skip("the sources are not here", allow_module_level=True)

TEXT = (ROOT / "ARCHITECTURE.rst").read_text(encoding="utf-8")
#: From where each line is a file and a function of it to where prose goes on.
LIFE = TEXT[TEXT.index("\nThe life of a request\n") : TEXT.index("\nWho owns whom\n")]


def test_files_exist():
    names = set(re.findall(r"``(?:src/)?([\w/]+\.[ch])``", TEXT)) - {"Python.h"}
    assert len(names) > 30
    found = {path.relative_to(SRC).as_posix() for path in SRC.rglob("*.[ch]")}
    base_names = {Path(name).name for name in found}
    assert {name for name in names if name not in found and name not in base_names} == set()


def test_functions_of_the_core_exist():
    code = "\n".join(path.read_text(encoding="utf-8") for path in SRC.rglob("*.[ch]"))
    names = set(re.findall(r"``(tc_\w+)(?:\(\))?``", TEXT)) | set(re.findall(r"``([a-z]+_[a-z_]+)``", LIFE))
    assert len(names) > 20
    assert {name for name in names if re.search(rf"\b{name}\b", code) is None} == set()
