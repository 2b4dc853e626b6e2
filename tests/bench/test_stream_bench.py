"""streams.py measures each row over the servers that are there."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import streams
from stream_rows import SERVERS

PROGRAM = Path(__file__).with_name("streams.py")


@pytest.mark.parametrize("row", streams.ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("server", SERVERS)
def test_row(row, server):
    reason = streams.missing_reason(server, row)
    if reason:
        pytest.skip(reason)
    few = dataclasses.replace(row, count=2 * row.window)
    assert streams.run(server, few) >= 0


def test_table(tmp_path):
    command = [sys.executable, str(PROGRAM), "--rounds", "1", "--rows", "echo", "--servers", "limit,ours"]
    done = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "line echo, one in flight" in done.stdout
    found = json.loads((tmp_path / "streams.json").read_text())
    assert set(found["cpu_us"]["echo"]) == {"limit", "ours"}
