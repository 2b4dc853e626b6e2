"""A short run of each kind of hostile program with seeds that are always the same, and the programs that once
failed. `make hostile` runs for as long as one likes, from a seed by the clock."""

import json
import os
from pathlib import Path

import pytest
from run import KINDS, report, run_program, trials

REGRESSIONS = Path(__file__).parent / "regressions"
COUNTS = {"calls": 150, "serving": 150, "pipelines": 20}
SECONDS = float(os.environ.get("HOSTILE_SECONDS", 60))


@pytest.fixture(autouse=True)
def no_slow_names(monkeypatch):
    monkeypatch.setenv("RES_OPTIONS", "attempts:1 timeout:1")


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind, tmp_path):
    for outcome in trials(kind, 0, COUNTS[kind], SECONDS, tmp_path):
        failed = bool(outcome.reason)
        assert not failed, report(outcome)


@pytest.mark.parametrize("name", sorted(path.stem for path in REGRESSIONS.glob("*.json")))
def test_regression(name, tmp_path):
    program = json.loads((REGRESSIONS / f"{name}.json").read_text())
    outcome = run_program(program[0]["kind"], program, tmp_path)
    if outcome.reason and program[0].get("open"):
        pytest.xfail(f"not mended yet: {outcome.reason}")
    failed = bool(outcome.reason)
    assert not failed, report(outcome)
