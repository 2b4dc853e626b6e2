"""loop.py measures each row over the loops that are there, and names those that are not."""

import json
import subprocess
import sys
from pathlib import Path

import loop
import pytest
from loop_rows import ROWS

PROGRAM = Path(__file__).with_name("loop.py")


def report(tmp_path, *args: str) -> tuple[dict, str]:
    command = [sys.executable, str(PROGRAM), "--rounds", "1", "--output", str(tmp_path), *args]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "loop.json").read_text()), result.stdout


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("name", ["asyncio", "ours"])
def test_row(row, name):
    if loop.missing_reason(name):
        pytest.skip(loop.missing_reason(name))
    assert loop.run(name, row, 2000) > 0


def test_table(tmp_path):
    found, printed = report(tmp_path, "--rows", "call_soon,protocol", "--no-instructions")
    for row in ("call_soon", "protocol"):
        assert found["rows"][row]["asyncio"]["cpu_ns"] > 0
        assert ("uvloop" in found["missing"]) == ("cpu_ns" not in found["rows"][row]["uvloop"])
    assert "asyncio Protocol echo" in printed


def test_missing_loop_is_named(monkeypatch):
    monkeypatch.setitem(loop.LOOPS, "uvloop", "no_such_package:Loop")
    reason = loop.missing_reason("uvloop")
    rows = {"sleep": {"asyncio": {"cpu_ns": 5.0}, "uvloop": {}}}
    printed = loop.table({"rows": rows, "missing": {"uvloop": reason}}, ["asyncio", "uvloop"])
    assert reason == "no_such_package is not installed"
    assert "uvloop: missing: no_such_package is not installed" in printed


def test_behind():
    assert loop.behind({"ours": {"instructions": 5}, "uvloop": {"instructions": 4}})
    assert not loop.behind({"ours": {"instructions": 4}, "uvloop": {"instructions": 4}})
    assert not loop.behind({"ours": {"instructions": 4}, "uvloop": {}})
