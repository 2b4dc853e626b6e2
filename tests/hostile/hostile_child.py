"""Runs programs of one kind in this process: hostile_child.py KIND JOURNAL (--seeds FIRST COUNT | --program
FILE).

The journal is a file in memory, so that the last program is there for the parent whatever becomes of us."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import json
import logging
import mmap
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

SIZE = 4 << 20
PATIENCE = float(os.environ.get("HOSTILE_PATIENCE", 20))  # seconds for a step that can be interrupted


class Journal:
    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            file.truncate(SIZE)
            self.memory = mmap.mmap(file.fileno(), SIZE)

    def begin(self, seed: int | None) -> None:
        self.at = 0
        self.note({"seed": seed})

    def note(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        if self.at + len(line) < SIZE:
            self.memory[self.at : self.at + len(line) + 1] = line + b"\0"
            self.at += len(line)
        # Whoever set it to something else: a step has so much time.
        signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, 1)


def _alarm(*_: Any) -> None:
    from hostile_steps import Slow

    raise Slow


class _Records(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    def emit(self, record: logging.LogRecord) -> None:
        exc = record.exc_info[1] if record.exc_info and not isinstance(record.exc_info, bool) else None
        if isinstance(exc, SystemError):
            self.told.append(f"logged: {exc!r}")


def prepare() -> list[str]:
    """Make the process fit for it; the list gets what was told in other ways than by raising."""
    told: list[str] = []
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    root.addHandler(_Records(told))
    for name in ("tornado.access", "tornado.application", "tornado.general", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)

    def unraisable(hook: Any) -> None:
        if isinstance(hook.exc_value, SystemError):
            told.append(f"unraisable: {hook.exc_value!r}")

    sys.unraisablehook = unraisable
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if "asan" not in os.environ.get("LD_PRELOAD", ""):
        faulthandler.enable()
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    faulthandler.dump_traceback_later(PATIENCE * 3, exit=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return told


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("journal")
    parser.add_argument("--seeds", type=int, nargs=2)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--program")
    options = parser.parse_args()
    importlib.import_module("hostile_faces")
    kind = importlib.import_module(f"hostile_{options.kind}")
    from hostile_steps import Failure

    journal = Journal(options.journal)
    told = prepare()
    end = time.monotonic() + options.seconds
    gc.collect()
    gc.freeze()

    def one(seed: int | None, header: Any, steps: Any, rng: Any) -> None:
        faulthandler.dump_traceback_later(PATIENCE * 3, exit=True)
        journal.begin(seed)
        kind.run(header, steps, rng, journal.note)
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        if told:
            raise Failure("; ".join(told))

    try:
        if options.program:
            header, *steps = json.loads(Path(options.program).read_text())
            one(None, header, iter(steps), None)
        else:
            first, count = options.seeds
            for seed in range(first, first + count):
                if time.monotonic() > end:
                    break
                header, rng = kind.drawn(seed)
                one(seed, header, None, rng)
            else:
                seed += 1
            journal.begin(seed)  # the next one
    except Failure as exc:
        print(f"FAILURE: {exc}", file=sys.stderr, flush=True)
        return 3
    except BaseException as exc:
        traceback.print_exc()
        print(f"FAILURE: {exc!r}", file=sys.stderr, flush=True)
        return 4
    return 0


if __name__ == "__main__":
    try:
        status = main()
    except BaseException:
        traceback.print_exc()
        status = 5
    sys.stderr.flush()
    os._exit(status)
