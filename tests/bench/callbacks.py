"""What the interface of Tornado 2.4 to 4.5 costs: Tornado 4.5.3 itself on this Python, the installed Tornado
and ours side by side.

    python tests/bench/callbacks.py [--rows engine,context,...] [--rounds 5] [--no-instructions] [--check]

For each operation: user instructions (callgrind; two runs with different counts, so that start-up and
shut-down are left out) and CPU time, the median of rounds in which they take turns. pip fetches 4.5.3 into
build/. --check fails where a figure that is to be reached is missed."""

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import instructions

HERE = Path(__file__).resolve().parent
SIDES = ("4.5.3", "stock", "ours")
BATCH = 100
COUNTS = (2000, 6000)  # operations, under callgrind


def nothing() -> None:
    pass


def called(loop, work: Callable[[int], None], count: int) -> float:
    """CPU seconds of work(BATCH), once a turn, until `count` operations are done."""
    left = count // BATCH

    def step() -> None:
        nonlocal left
        work(BATCH)
        left -= 1
        loop.add_callback(step if left else loop.stop)

    loop.add_callback(step)
    start = time.process_time()
    loop.start()
    return time.process_time() - start


def add_callback(loop, count: int) -> float:
    def work(n: int) -> None:
        for _ in range(n):
            loop.add_callback(nothing)

    return called(loop, work, count)


def imported(loop, count: int) -> float:
    importlib.import_module("tornado.stack_context")
    return add_callback(loop, count)


class Context:
    """One that costs little itself."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args) -> None:
        pass


def in_context(loop, count: int) -> float:
    """Each callback is called in the context."""
    stack_context = importlib.import_module("tornado.stack_context")
    context = Context()
    with stack_context.StackContext(lambda: context):
        return add_callback(loop, count)


def with_handler(loop, count: int) -> float:
    """Each callback is called with what handles its exceptions."""
    stack_context = importlib.import_module("tornado.stack_context")
    with stack_context.ExceptionStackContext(lambda *args: False):
        return add_callback(loop, count)


def engines(loop, function: Callable, count: int) -> float:
    """Each yields a gen.Task of the function."""
    gen = importlib.import_module("tornado.gen")

    @gen.engine
    def run():
        yield gen.Task(function)

    def work(n: int) -> None:
        for _ in range(n):
            run()

    return called(loop, work, count)


def engine(loop, count: int) -> float:
    """The function calls back at once."""
    return engines(loop, lambda callback: callback(1), count)


def engine_later(loop, count: int) -> float:
    """The function calls back in the next turn."""
    return engines(loop, loop.add_callback, count)


@dataclass(frozen=True)
class Row:
    title: str
    run: Callable
    sides: tuple[str, ...]
    to_old: float | None = None  # at most this many times the time of 4.5.3
    beside: str = ""  # the row whose cost is left out
    most_ns: float | None = None  # at most so much, then


ROWS = {
    "callback": Row("add_callback", add_callback, SIDES),
    "imported": Row("  with stack_context imported", imported, ("4.5.3", "ours")),
    "context": Row("  in a StackContext", in_context, ("4.5.3", "ours"), None, "callback", 500),
    "exceptions": Row(
        "  in an ExceptionStackContext", with_handler, ("4.5.3", "ours"), None, "callback", 500
    ),
    "engine": Row("gen.engine with a gen.Task", engine, ("4.5.3", "ours"), 0.5),
    "engine_later": Row("  that calls back a turn later", engine_later, ("4.5.3", "ours"), 0.5),
}


def child(side: str, row: str, count: int) -> None:
    if side == "4.5.3":
        import collections
        import collections.abc

        for name in ("Iterable", "MutableMapping"):  # Python has them in another place by now
            setattr(collections, name, getattr(collections.abc, name))
        sys.path.insert(0, str(old_folder()))
    elif side == "ours":
        importlib.import_module("tornado_c").install(generation=4)
    loop = importlib.import_module("tornado.ioloop").IOLoop.current()
    print(ROWS[row].run(loop, count))


def old_folder() -> Path:
    sys.path.insert(0, str(HERE.parent))
    return importlib.import_module("support.old_tornado").fetch("4.5.3")


def run(side: str, row: str, count: int, wrapper=()) -> float:
    """CPU seconds of `count` operations in a process of their own."""
    command = [*wrapper, sys.executable, "-W", "ignore", __file__, "--child", side, row, str(count)]
    environment = dict(os.environ, PYTHONHASHSEED="0")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{row} of {side} failed:\n{done.stderr}")
    return float(done.stdout)


def instructions_of(side: str, row: str) -> float:
    return instructions.for_each(partial(run, side, row), COUNTS)


def targets(name: str, results: dict) -> list[tuple[str, bool]]:
    """(the figure to reach beside what was, reached) of a row."""
    row, found = ROWS[name], []
    ns = {side: figures["ns"] for side, figures in results[name].items()}
    if row.to_old:
        share = ns["ours"] / ns["4.5.3"]
        found.append((f"{share:.2f} of 4.5.3's time, reach {row.to_old}", share <= row.to_old))
    if row.most_ns and row.beside in results:
        more = ns["ours"] - results[row.beside]["ours"]["ns"]
        found.append((f"{more:+,.0f} ns over {row.beside}, reach {row.most_ns:+}", more <= row.most_ns))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000, help="operations that are timed")
    parser.add_argument("--no-instructions", action="store_true", help="leave callgrind out")
    parser.add_argument("--check", action="store_true", help="fail where a figure is missed")
    args = parser.parse_args()
    old_folder()
    results: dict = {}
    missed = False
    print(f"{'':34}{'':8}{'CPU, ns':>10}{'instructions':>14}")
    for name in args.rows.split(","):
        row = ROWS[name]
        taken: dict[str, list[float]] = {side: [] for side in row.sides}
        for _ in range(args.rounds):
            for side in row.sides:
                taken[side].append(run(side, name, args.count) / args.count * 1e9)
        results[name] = {side: {"ns": statistics.median(taken[side])} for side in row.sides}
        for i, side in enumerate(row.sides):
            count = "" if args.no_instructions else f"{instructions_of(side, name):,.0f}"
            title = row.title if i == 0 else ""
            print(f"{title:34}{side:8}{results[name][side]['ns']:>10,.0f}{count:>14}", flush=True)
        for text, reached in targets(name, results):
            print(f"{'':34}{text}: {'reached' if reached else 'MISSED'}", flush=True)
            missed |= not reached
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        sys.exit(main())
