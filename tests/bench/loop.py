"""Compares event loops operation by operation: asyncio's own, uvloop and tornado_c side by side.

    python tests/bench/loop.py [--loops asyncio,uvloop,ours] [--rows call_soon,protocol,...]
                               [--rounds 5] [--no-instructions] [--check]

For each operation: user instructions (callgrind; two runs with different counts, so that start-up and
shut-down are left out) and CPU time, user and system (median of the rounds, in which the loops take
turns). Instructions are the figure to steer by. A table goes to standard output; a JSON file goes to
tests/bench/results/."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import instructions
import servers
from loop_rows import BY_NAME, LOOPS, ROWS, Row

MESSAGE = b"m" * 64


def missing_reason(loop: str) -> str | None:
    package = LOOPS[loop].partition(":")[0]
    return None if importlib.util.find_spec(package) else f"{package} is not installed"


def exchange(port: int, count: int) -> None:
    """Sends `count` messages, each after the answer to the one before."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            client.sendall(MESSAGE)
            left = len(MESSAGE)
            while left:
                data = client.recv(left)
                if not data:
                    raise RuntimeError("the server closed the connection")
                left -= len(data)


def run(loop: str, row: Row, count: int, wrapper=()) -> float:
    """CPU seconds of `count` operations in a process of their own."""
    program = str(Path(__file__).with_name("loop_rows.py"))
    command = [*wrapper, sys.executable, program, loop, row.name, str(count)]
    environment = dict(os.environ, PYTHONHASHSEED="0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            if row.echo:
                exchange(int(process.stdout.readline()), count)
            output = process.stdout.read()
            status = process.wait(600)
        except BaseException:
            process.kill()
            raise
    if status != 0:
        raise RuntimeError(f"{row.name} over {loop} ended with status {status}")
    return float(output)


def instructions_of(loop: str, row: Row) -> float:
    return instructions.for_each(partial(run, loop, row), row.counts)


def count_instructions(rows: list[Row], loops: list[str], results: dict) -> None:
    """Several valgrinds at once: they do not change each other's figures."""
    servers.need("valgrind", "install valgrind")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [(row, loop, pool.submit(instructions_of, loop, row)) for row in rows for loop in loops]
        for row, loop, job in jobs:
            results[row.name][loop]["instructions"] = job.result()
            print(f"{row.name:16} {loop:8} {job.result():12,.0f} instructions", file=sys.stderr, flush=True)


@contextmanager
def on_one_core():
    """This process and what it starts share a core. The two ends of an echo never run at once, and between
    two cores the waking of an idle one would be most of what is measured."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure_time(row: Row, loops: list[str], rounds: int, results: dict) -> None:
    taken: dict[str, list[float]] = {loop: [] for loop in loops}
    with on_one_core():
        for _ in range(rounds):
            for loop in loops:
                taken[loop].append(run(loop, row, row.timed) / row.timed * 1e9)
    for loop in loops:
        results[row.name][loop].update(cpu_ns=statistics.median(taken[loop]), rounds_ns=taken[loop])
    shown = "  ".join(f"{loop} {results[row.name][loop]['cpu_ns']:,.0f} ns" for loop in loops)
    print(f"{row.name:16} {shown}", file=sys.stderr, flush=True)


def version(loop: str) -> str:
    package = LOOPS[loop].partition(":")[0]
    if package == "asyncio":
        return platform.python_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed, imported from the checkout"


def about(loops: list[str], rounds: int) -> dict:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": model[1] if model else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {loop: version(loop) for loop in loops},
        "rounds": rounds,
    }


def behind(results: dict) -> bool:
    """Whether ours needs more instructions than uvloop."""
    ours, other = results.get("ours", {}), results.get("uvloop", {})
    return "instructions" in ours and "instructions" in other and ours["instructions"] > other["instructions"]


def table(report: dict, loops: list[str]) -> str:
    wide = 11 * len(loops)
    lines = [
        f"{'':32}{'user instructions':>{wide}}{'CPU, ns':>{wide}}",
        f"{'for each operation':32}" + "".join(f"{loop:>11}" for loop in loops * 2),
        "-" * (32 + 2 * wide),
    ]
    for name, results in report["rows"].items():
        cells = [results[loop].get(key) for key in ("instructions", "cpu_ns") for loop in loops]
        figures = "".join(f"{'-':>11}" if cell is None else f"{cell:11,.0f}" for cell in cells)
        note = "  BEHIND uvloop" if behind(results) else ""
        lines.append(f"{BY_NAME[name].title:32}{figures}{note}")
    lines += [f"{loop}: missing: {why}" for loop, why in report["missing"].items()]
    return "\n".join(lines)


def chosen(known):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are: {', '.join(known)}")
        return names

    return parse


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loops", type=chosen(LOOPS), default=list(LOOPS))
    parser.add_argument("--rows", type=chosen(BY_NAME), default=[row.name for row in ROWS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-instructions", action="store_true", help="leave callgrind out")
    parser.add_argument("--output", type=Path, default=servers.RESULTS, help="folder of the JSON")
    parser.add_argument("--check", action="store_true", help="fail where ours needs more than uvloop")
    args = parser.parse_args()

    missing = {loop: why for loop in args.loops if (why := missing_reason(loop))}
    loops = [loop for loop in args.loops if loop not in missing]
    rows = [BY_NAME[name] for name in args.rows]
    results: dict = {row.name: {loop: {} for loop in args.loops} for row in rows}
    for row in rows:
        measure_time(row, loops, args.rounds, results)
    if not args.no_instructions:
        try:
            count_instructions(rows, loops, results)
        except servers.Missing as reason:
            missing["instructions"] = str(reason)
    report = {"about": about(loops, args.rounds), "missing": missing, "rows": results}
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "loop.json").write_text(json.dumps(report, indent=1) + "\n")
    print(table(report, args.loops))
    print(f"\n{args.output / 'loop.json'}")
    return 1 if args.check and any(map(behind, results.values())) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Missing as missing:
        sys.exit(f"loop.py: {missing}")
