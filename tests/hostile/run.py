"""Runs hostile programs in child processes and tells which fail: by a crash, a hang, a SystemError, a
report of a sanitizer, or what the kind itself asserts.

    python tests/hostile/run.py calls --seeds 0 500        a range of seeds
    python tests/hostile/run.py serving --seconds 60       as many as there is time for, from a seed by the
    clock python tests/hostile/run.py calls --program FILE       a program that was kept, again
    python tests/hostile/run.py calls --program FILE --minimise

A program that fails is printed as JSON, which --program takes, after its seed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
KINDS = ("calls", "serving", "pipelines")
PATIENCE = 150.0  # seconds after the last sign of a child's progress


class Outcome(NamedTuple):
    program: list[dict[str, Any]]  # the journal: {"seed"}, the header and the steps
    reason: str  # empty where all went well
    details: str

    @property
    def seed(self) -> int | None:
        return self.program[0]["seed"] if self.program else None


def run_child(kind: str, *arguments: Any, folder: Path) -> Outcome:
    """One child: what it did last, and why it ended."""
    journal = folder / "journal"
    journal.write_bytes(b"")
    environment = os.environ | {"PYTHONHASHSEED": "0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    environment["ASAN_OPTIONS"] = "detect_leaks=0:allow_user_segv_handler=0:allocator_may_return_null=1"
    environment["ASAN_OPTIONS"] += ":max_allocation_size_mb=3000:handle_abort=1"
    work = folder / "work"
    work.mkdir(exist_ok=True)
    with open(folder / "errors", "w+b") as errors:
        command = [sys.executable, HERE / "hostile_child.py", kind, journal, *map(str, arguments)]
        child = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
        )
        status = _wait(child, journal)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    lines = journal.read_bytes().partition(b"\0")[0].splitlines()
    program = [json.loads(line) for line in lines]
    return Outcome(program, _reason(status, text), text)


def _wait(child: subprocess.Popen[bytes], journal: Path) -> int | None:
    """Its exit status; None where it made no progress any more."""
    before, since = b"", time.monotonic()
    while True:
        try:
            return child.wait(0.5)
        except subprocess.TimeoutExpired:
            head = journal.read_bytes()[:200]
            if head != before:
                before, since = head, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                child.kill()
                child.wait()
                return None


def _reason(status: int | None, text: str) -> str:
    """Why it failed, in words that are the same for the same fault."""
    if status == 0:
        return ""
    if status == 5:
        raise SystemExit(text)  # the child itself is broken
    if failure := re.search(r"^FAILURE: (.*)", text, re.M):
        return failure[1]
    if status is None or "Timeout (" in text:
        return "hang at " + "; ".join(
            re.findall(r'File ".*/(\S+)", line (\d+) in', text)[0] if status == 1 else []
        )
    if report := re.search(r"(?:ERROR: AddressSanitizer:|runtime error:) ?([^\n]*)", text):
        places = re.findall(r"^\s*#\d+ .*? in (\w+) .*?(src/\S+?:\d+)", text[report.start() :], re.M)[:3]
        what = re.sub(r"0x[0-9a-f]+|\(.*", "", report[1]).strip()
        return f"{what.split(' on ')[0]} at " + " < ".join(f"{place} {name}" for name, place in places)
    if status is not None and status < 0:
        return f"{signal.Signals(-status).name} " + " < ".join(re.findall(r"line \d+ in \w+", text)[:2])
    return f"exit status {status}"


def trials(kind: str, first: int, count: int, seconds: float, folder: Path) -> Iterator[Outcome]:
    """Runs seeds first to first + count: an Outcome for each that fails, and one for the others behind it."""
    end, last = time.monotonic() + seconds, first + count
    while first < last and time.monotonic() < end:
        left = end - time.monotonic()
        outcome = run_child(kind, "--seeds", first, last - first, "--seconds", left, folder=folder)
        yield outcome
        if not outcome.reason:
            return
        first = (outcome.seed if outcome.seed is not None else first) + 1


def run_program(kind: str, program: list[dict[str, Any]], folder: Path) -> Outcome:
    file = folder / "program.json"
    file.write_text(json.dumps(program))
    return run_child(kind, "--program", file, folder=folder)


# ---- making it small ----


def minimise(kind: str, program: list[dict[str, Any]], reason: str, folder: Path) -> list[dict[str, Any]]:
    """The program without what it fails without; header and steps, no seed."""
    best = program
    signature = _signature(reason)

    def fails(candidate: list[dict[str, Any]]) -> bool:
        return _signature(run_program(kind, candidate, folder).reason) == signature

    if not fails(best):
        print("it does not fail by itself", file=sys.stderr)
        return best
    size = len(best) - 1
    while size:
        at = 1
        while at < len(best):
            candidate = best[:at] + best[at + size :]
            if fails(candidate):
                best = candidate
            else:
                at += size
        size //= 2
    again = True
    while again:
        again = False
        for candidate in _simpler(best):
            if len(json.dumps(candidate)) < len(json.dumps(best)) and fails(candidate):
                best, again = candidate, True
                break
    return best


def _signature(reason: str) -> str:
    return re.sub(r"SIG\w+.*", "SIG", reason)[:60] if " at src" not in reason else reason.partition(" < ")[0]


def _simpler(thing: Any) -> Iterator[Any]:
    """What remains of a program when something small is left out."""
    if isinstance(thing, list):
        hostile = len(thing) == 4 and thing[0] == "h"
        if hostile:
            yield ["v", "object"]
            yield ["v", "'a'"]
        for at, each in enumerate(thing):
            if isinstance(each, dict) and "do" in each and not isinstance(each["do"], list):
                yield thing[:at] + thing[at + 1 :]
            for simpler in _simpler(each):
                yield [*thing[:at], simpler, *thing[at + 1 :]]
    elif isinstance(thing, dict):
        for key, value in thing.items():
            if key in ("kind", "groups", "loop", "name", "on", "do") and isinstance(value, str):
                continue
            if key == "groups" and len(value) > 1:
                for at in range(len(value)):
                    yield thing | {key: value[:at] + value[at + 1 :]}
            if isinstance(value, dict) and "then" in value:  # a method of a hostile object
                yield {name: act for name, act in thing.items() if name != key}
            if key == "id" and "on" in thing:
                yield {name: each for name, each in thing.items() if name != key}
            for simpler in _simpler(value):
                yield thing | {key: simpler}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "COUNT"))
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for the programs that fail, one for each reason")
    options = parser.parse_args()
    first, count = options.seeds or (int(time.time()) * 1000, 10**9)
    reasons: dict[str, int] = {}
    last = first
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.program:
            program = json.loads(options.program.read_text())
            outcomes = iter([run_program(options.kind, program, folder)])
        else:
            outcomes = trials(options.kind, first, count, options.seconds, folder)
        for outcome in outcomes:
            last = outcome.seed or last
            if not outcome.reason:
                continue
            new = outcome.reason not in reasons
            reasons[outcome.reason] = reasons.get(outcome.reason, 0) + 1
            print(f"seed {outcome.seed}: {outcome.reason[:300]}", flush=True)
            if not new:
                continue
            program = outcome.program[1:]
            if options.minimise:
                program = minimise(options.kind, program, outcome.reason, folder)
                outcome = outcome._replace(program=[outcome.program[0], *program])
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                stem = re.sub(r"\W+", "_", outcome.reason)[:80]
                (options.keep / f"{options.kind}_{stem}.json").write_text(show(program))
                (options.keep / f"{options.kind}_{stem}.txt").write_text(outcome.details)
            else:
                print(report(outcome), flush=True)
    if not options.program:
        print(f"{options.kind}: seeds {first} to {last - 1}", flush=True)
    for reason, number in sorted(reasons.items(), key=lambda pair: -pair[1]):
        print(f"{number:5} {reason}")
    return 1 if reasons else 0


def show(program: list[dict[str, Any]]) -> str:
    """JSON, a line for each step."""
    return "[" + ",\n ".join(json.dumps(step) for step in program) + "]\n"


def report(outcome: Outcome) -> str:
    """For people: a program that is long is to be had by its seed."""
    program = show(outcome.program[1:])
    text = f"seed {outcome.seed}: {outcome.reason[:2000]}\n{outcome.details[-4000:]}\n{program[:4000]}"
    return text + (
        "" if len(program) <= 4000 else f"... and {len(program) - 4000} more: --keep FOLDER has it all\n"
    )


if __name__ == "__main__":
    sys.exit(main())
