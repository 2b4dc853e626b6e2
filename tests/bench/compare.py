"""Runs the limit (a raw C epoll server), stock Tornado, tornado_c and, where a row suits them, the servers
of others side by side, and reports server CPU for each request or message, operations per second, user
instructions of ours and the ratios.

    python tests/bench/compare.py [--servers limit,stock,ours,...] [--rows callback,handler,...|all]
                                  [--rounds 3] [--seconds 1] [--no-instructions] [--readme]

HTTP is asked by wrk, WebSockets by ws_load.c. Each server has one core, the load another. The servers of a
row take turns within each round, so that noise meets all of them; figures are medians, ratios are medians of
the rounds' own ratios. A server that is not installed is named and left out. A table goes to standard
output; a JSON file and a picture go to tests/bench/results/."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import resource
import statistics
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import chart
import http_load
import instructions
import peers
import readme
import servers
import ws_load
from http_rows import HttpRow
from row import Row, targets
from rows import BRIEF, BY_NAME
from ws_rows import WsRow

LOADS = {HttpRow: http_load, WsRow: ws_load}
SERVERS = (*servers.SERVERS, *peers.ALL, "zlib", "zlib-one")
PROBLEMS = (RuntimeError, OSError, servers.Missing)


def summary(rounds: list[dict]) -> dict:
    keys = [key for key in rounds[0] if key not in ("operations", "errors")]
    result = {key: statistics.median(r[key] for r in rounds) for key in keys}
    return {**result, "errors": sum(r["errors"] for r in rounds), "rounds": rounds}


def ratio(of: list[dict], to: list[dict], figure: str) -> float:
    return statistics.median(a[figure] / b[figure] for a, b in zip(of, to, strict=True))


def run_row(row: Row, args: argparse.Namespace) -> dict:
    """One row's results by server; a server that cannot take part has {"missing": why}."""
    load = LOADS[type(row)]
    names = [name for name in row.servers if name in args.servers]
    results: dict = {}
    measured: dict[str, list[dict]] = {}
    with ExitStack() as stack:
        started = {}
        for name in names:
            try:
                started[name] = load.start(stack, name, row)
            except PROBLEMS as problem:
                results[name] = {"missing": str(problem)}
                print(f"{row.name:17} {name}: missing: {problem}", file=sys.stderr, flush=True)
        for n in range(args.rounds):
            line = f"{row.name:17} round {n + 1}/{args.rounds}"
            for name, measure in list(started.items()):
                try:
                    one = measure(args.seconds)
                except PROBLEMS as problem:
                    results[name] = {"missing": f"failed in round {n + 1}: {problem}"}
                    del started[name]
                    continue
                measured.setdefault(name, []).append(one)
                line += f"   {name} {row.shown(one)}"
            print(line, file=sys.stderr, flush=True)
    for name in started:
        results[name] = summary(measured[name])
        results[name]["ratios"] = {
            other: ratio(measured[name], measured[other], row.figure) for other in started if other != name
        }
    return {name: results[name] for name in names}


def count_instructions(row: Row, results: dict, names: list[str]) -> None:
    for name in names:
        if "missing" not in results.get(name, {"missing": ""}):
            print(f"{row.name:17} instructions of {name}", file=sys.stderr, flush=True)
            results[name]["instructions"] = instructions.per_operation(name, row)


def table_of_row(row: Row, results: dict) -> list[str]:
    lines = []
    for i, (server, r) in enumerate(results.items()):
        begin = f"{row.title if i == 0 else '':38} {server:10}"
        if "missing" in r:
            lines.append(f"{begin} missing: {r['missing']}")
            continue
        rate = f"{r['rate']:,.0f}" if "rate" in r else ""
        share = f"{r['user_share']:.0%}" if "user_share" in r else ""
        to_limit = f"{r['ratios']['limit']:.2f}" if "limit" in r["ratios"] else ""
        to_stock = f"{1 / r['ratios']['stock']:.1f}" if "stock" in r["ratios"] else ""
        count = f"{r['instructions']:,.0f}" if "instructions" in r else ""
        errors = f"  {r['errors']} errors" if r["errors"] else ""
        figures = f"{rate:>10} {row.shown(r):>10} {share:>5} {to_limit:>8} {to_stock:>8} {count:>9}"
        lines.append(f"{begin} {figures}{errors}")
    for what, figure, aim, reached in targets(row, results):
        figure_shown = f"{figure:,.0f}" if figure >= 1000 else f"{figure:.2f}"
        lines.append(
            f"{'':38} ours       {what} {figure_shown}, reach {aim}: {'reached' if reached else 'MISSED'}"
        )
    return lines


def table(report: dict) -> str:
    lines = [
        f"{'':38} {'server':10} {'a second':>10} {'CPU us':>10} {'user':>5} {'x limit':>8} {'/ stock':>8}"
        f" {'instr.':>9}",
        "-" * 105,
    ]
    for name, results in report["rows"].items():
        lines += table_of_row(BY_NAME[name], results)
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Of the servers that are installed, by name."""
    found = {}
    for name in ("tornado", *peers.ALL, "uvloop", "httptools"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def about(args: argparse.Namespace) -> dict:
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": versions(),
        "rounds": args.rounds,
        "seconds": args.seconds,
    }


def chosen(known, what: str):
    def parse(text: str) -> list[str]:
        names = list(known) if text == "all" else text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} named {name!r}; there are: {', '.join(known)}")
        return names

    return parse


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=chosen(SERVERS, "server"), default=list(SERVERS))
    parser.add_argument("--rows", type=chosen(BY_NAME, "row"), default=BRIEF, help="or: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="length of a round, whole seconds")
    parser.add_argument("--no-instructions", action="store_true", help="leave callgrind out")
    parser.add_argument("--instructions", default="ours", help="whose: of limit, stock, ours")
    parser.add_argument("--readme", action="store_true", help="write the figures into README.rst")
    parser.add_argument(
        "--output", type=Path, default=servers.RESULTS, help="folder of the JSON and the picture"
    )
    parser.add_argument("--check", action="store_true", help="fail where a figure to reach is missed")
    args = parser.parse_args()

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = {"about": about(args), "rows": {}}
    args.output.mkdir(parents=True, exist_ok=True)
    server_core, client_core = servers.cores()
    if server_core == client_core:
        print("one core only: server and client share it, and the figures suffer", file=sys.stderr)
    for name in args.rows:
        report["rows"][name] = run_row(BY_NAME[name], args)
    if not args.no_instructions:
        try:
            servers.need("valgrind", "install valgrind")
            for name in args.rows:
                if BY_NAME[name].counted:
                    count_instructions(BY_NAME[name], report["rows"][name], args.instructions.split(","))
        except servers.Missing as missing:
            print(f"no instruction counts: {missing}", file=sys.stderr)
    (args.output / "compare.json").write_text(json.dumps(report, indent=1) + "\n")
    (args.output / "compare.svg").write_text(chart.draw(report))
    print(table(report))
    if args.readme:
        readme.write(report)
    print(f"\n{args.output / 'compare.json'}\n{args.output / 'compare.svg'}")
    missed = [
        t for name, results in report["rows"].items() for t in targets(BY_NAME[name], results) if not t[3]
    ]
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Missing as missing:
        sys.exit(f"compare.py: {missing}")
