"""The measuring programs work, and our server makes no system call too many."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import readme
from rows import BY_NAME

HERE = Path(__file__).resolve().parent
QUICK = ["--rounds", "1", "--seconds", "1", "--no-instructions", "--output"]


def run(program: str, *args: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(HERE / program), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def syscalls(server: str, row: str) -> dict:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("strace and a sanitizer do not go together")
    result = run("syscalls.py", "--servers", server, "--rows", row, "--json")
    if "cannot attach" in result.stderr:
        pytest.skip("strace cannot attach to a process here")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)[row][server]


def test_limit_makes_one_receive_and_one_send():
    assert syscalls("limit", "callback")["complaints"] == []


@pytest.mark.parametrize("row", ["callback", "raw", "handler"])
def test_ours_makes_one_receive_and_one_send(row):
    result = syscalls("ours", row)
    if "missing" in result:
        pytest.skip(f"tornado_c cannot serve this yet: {result['missing']}")
    assert result["complaints"] == []


def test_compare_reports_the_limit(tmp_path):
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    result = run("compare.py", "--servers", "limit", "--rows", "callback,close", *QUICK, str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "hello, callback" in result.stdout
    report = json.loads((tmp_path / "compare.json").read_text())
    assert report["rows"]["callback"]["limit"]["cpu_us"] > 0
    assert (tmp_path / "compare.svg").read_text().startswith("<svg ")


def test_compare_reports_websockets_and_the_readme_shows_them(tmp_path):
    if shutil.which("taskset") is None:
        pytest.skip("taskset is not installed")
    arguments = ["--servers", "ours,zlib,zlib-one", "--rows", "ws_pipeline,ws_deflate", *QUICK, str(tmp_path)]
    result = run("compare.py", *arguments)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "compare.json").read_text())
    rows = report["rows"]
    ratios = rows["ws_deflate"]["ours"]["ratios"]
    assert ratios["zlib"] > 0 and ratios["zlib-one"] > 0
    assert rows["ws_pipeline"]["ours"]["cpu_us"] > 0 and "zlib" not in rows["ws_pipeline"]
    text = readme.tables(report)
    assert BY_NAME["ws_pipeline"].title in text and "are zlib's own with the states of 64 connections" in text
