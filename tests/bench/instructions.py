"""User instructions for each request or message, by callgrind: repeatable to the digit, blind to noise and
to the kernel.

    python tests/bench/instructions.py [--servers limit,stock,ours] [--rows callback,handler] [--check]

A server is run twice under valgrind, with two different counts of requests (or messages) over one
connection; the difference of the totals divided by the difference of the counts leaves start-up and
shut-down out."""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import http_load
import servers
import ws_load
from http_rows import HttpRow
from row import Row
from rows import BY_NAME, ROWS

COUNTS = {"limit": (192, 2176), "ours": (192, 2176), "stock": (64, 256)}


def callgrind(folder: str) -> list[str]:
    """What goes before a command line to have its instructions counted; `folder` takes the report."""
    valgrind = servers.need("valgrind", "install valgrind")
    return [valgrind, "--tool=callgrind", f"--log-file={folder}/log", f"--callgrind-out-file={folder}/out"]


def collected(folder: str) -> int:
    """The count of a program that has ended."""
    log = Path(folder, "log").read_text()
    found = re.search(r"Collected *: *(\d+)", log)
    if found is None:
        raise RuntimeError(f"callgrind reported nothing:\n{log}")
    return int(found[1])


def counted(run: Callable[[list[str]], object]) -> int:
    """What run(wrapper) executes in a program that it starts behind `wrapper`, and that ends."""
    with tempfile.TemporaryDirectory() as folder:
        run(callgrind(folder))
        return collected(folder)


def for_each(run: Callable[[int, list[str]], object], counts: tuple[int, int]) -> float:
    """For an operation of which run(count, wrapper) has a program do `count`, without start and end."""
    few, many = counts
    with ThreadPoolExecutor() as pool:  # noise does not count
        less, more = pool.map(lambda count: counted(partial(run, count)), counts)
    return (more - less) / (many - few)


def serve(server: str, row: Row, requests: int, wrapper: list[str]) -> None:
    with servers.running(server, row.app, row.limit_mode, wrapper=wrapper, timeout=300, quiet=True) as (
        process,
        port,
    ):
        (http_load if isinstance(row, HttpRow) else ws_load).ask(port, row, requests)
        process.terminate()
        process.wait(60)


def per_operation(server: str, row: Row) -> float:
    few, many = (count // row.slow for count in COUNTS[server])
    return for_each(partial(serve, server, row), (few, many))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", default=",".join(servers.SERVERS))
    parser.add_argument("--rows", default=",".join(r.name for r in ROWS if r.counted))
    parser.add_argument("--check", action="store_true", help="fail where ours is over its figure to reach")
    args = parser.parse_args()
    over = False
    for name in args.rows.split(","):
        row = BY_NAME[name]
        for server in args.servers.split(","):
            if server not in row.servers:
                continue
            if reason := servers.missing_reason(server, row.app):
                print(f"{row.title:38} {server:6} missing: {reason}", flush=True)
                continue
            count = per_operation(server, row)
            note = f"(reach {row.instructions:,})" if row.instructions and server == "ours" else ""
            print(f"{row.title:38} {server:6} {count:12,.0f} {note}", flush=True)
            over |= server == "ours" and row.instructions is not None and count > row.instructions
    return 1 if args.check and over else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Missing, RuntimeError) as problem:
        sys.exit(f"instructions.py: {problem}")
