"""Runs the transcripts of tests/http_cases over the C request machines, without the extension module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.http_cases import CASES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["http_parser.c", "http_chunked.c", "http_chars.c", "http_error.c", "http_lines.c"]


@pytest.fixture(scope="session")
def runner(tmp_path_factory) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler to build tests/c/http_case_runner.c with")
    program = tmp_path_factory.mktemp("http_cases") / "http_case_runner"
    sources = [ROOT / "tests/c/http_case_runner.c", *(ROOT / "src/http" / name for name in SOURCES)]
    command = [*compiler.split(), "-std=gnu11", "-g", "-O1", "-UNDEBUG", f"-I{ROOT / 'src'}"]
    command += [f"-I{ROOT / 'tests/c'}", "-o", str(program), *map(str, sources)]
    sanitized = subprocess.run([*command, "-fsanitize=address,undefined"], capture_output=True, text=True)
    if sanitized.returncode != 0:  # a compiler without the sanitizers' runtime
        plain = subprocess.run(command, capture_output=True, text=True)
        assert plain.returncode == 0, plain.stderr
    return program


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_transcript(runner: Path, case) -> None:
    limits = [str(case.limits.get("limit", 65536)), str(case.limits.get("body_limit", 100 * 1024 * 1024))]
    done = subprocess.run([runner, *limits], input=case.request, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    expected = dict(case.expect)
    messages = expected.pop("messages")
    assert {key: result.get(key) for key in expected} == expected
    assert len(result["messages"]) == len(messages)
    for actual, wanted in zip(result["messages"], messages, strict=True):
        assert {key: actual[key] for key in wanted} == wanted


def test_there_are_transcripts() -> None:
    assert len(CASES) >= 80
