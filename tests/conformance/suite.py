"""Runs a module of another project's unittest suite in a process of its own and compares two runs.

What the child does before it loads the module (patching a loop class in, swapping the core) is the business
of asyncio_suite.py and tornado_suite.py."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """What became of one module's tests, by test id."""

    run: int = 0
    skipped: int = 0
    bad: list[str] = field(default_factory=list)
    crash: str = ""  # why the child gave no result
    reasons: dict[str, str] = field(default_factory=dict)  # the last line of what a bad test raised
    log: str = ""  # what the child wrote

    @property
    def passed(self) -> int:
        return self.run - self.skipped - len(self.bad)

    def line(self) -> str:
        if self.crash:
            return f"lost: {self.crash}"
        return f"{self.passed} passed, {len(self.bad)} failed, {self.skipped} skipped"


def run_module(script: Path, arguments: list[str], timeout: float) -> Outcome:
    """Runs `script --child RESULT *arguments` in its own process group and reads what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log")
        command = [sys.executable, "-W", "ignore", str(script), "--child", str(result), *arguments]
        with log.open("w") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=folder,
            )
            try:
                child.wait(timeout)
                why = f"status {child.returncode}"
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                why = f"no end within {timeout:.0f} s"
        if result.exists():
            return Outcome(**json.loads(result.read_text()), log=log.read_text(errors="replace"))
        return Outcome(crash=f"{why}\n{log.read_text()[-2000:]}")


def run_tests(tests: unittest.TestSuite, result: str) -> None:
    """In the child: runs the tests, writes the outcome and ends the process at once, so that a thread or a
    loop that a test left behind cannot hold it."""
    ran = unittest.TextTestRunner(verbosity=2).run(tests)
    bad = [str(test) for test, _ in (*ran.errors, *ran.failures)] + [str(t) for t in ran.unexpectedSuccesses]
    reasons = {str(test): text.rstrip().rpartition("\n")[2] for test, text in (*ran.errors, *ran.failures)}
    outcome = {"run": ran.testsRun, "skipped": len(ran.skipped), "bad": sorted(set(bad)), "reasons": reasons}
    partial = Path(result + ".partial")
    partial.write_text(json.dumps(outcome))
    partial.rename(result)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def complaints(baseline: Outcome, ours: Outcome) -> list[str]:
    """What goes wrong with ours and not with the baseline."""
    if ours.crash:
        return [] if baseline.crash else [f"lost: {ours.crash}"]
    if baseline.crash:
        return []
    found = [f"failed: {name}" for name in ours.bad if name not in baseline.bad]
    if ours.run < baseline.run:
        found.append(f"ran {ours.run} tests, the baseline {baseline.run}")
    if ours.skipped > baseline.skipped:
        found.append(f"skipped {ours.skipped} tests, the baseline {baseline.skipped}")
    return found
