"""The leak harness finds a planted leak and passes clean code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAKS = Path(__file__).resolve().parent.parent / "leaks"

SCENARIO = """
import os, sys
sys.path.insert(0, {folder!r})
from harness import check, main
kept = []
def objects(): kept.append(object())
def descriptors(): kept.append(os.dup(0))
def clean(): [object() for _ in range(100)]
check({name!r}, {name}, repeats=10)
main()
"""


@pytest.mark.parametrize("name, leaks", [("objects", True), ("descriptors", True), ("clean", False)])
def test_planted(name, leaks):
    script = SCENARIO.format(folder=str(LEAKS), name=name)
    # The block count needs Python's own allocator, which a sanitizer run replaces.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONMALLOC", "LD_PRELOAD")}
    with open(os.devnull) as nothing:
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, stdin=nothing, env=environment
        )
    assert (result.returncode != 0) is leaks, result.stdout + result.stderr
    assert ("LEAKS" in result.stdout) is leaks
