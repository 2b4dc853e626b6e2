"""Runs the limit (a raw C epoll server), stock Tornado and tornado_c side by side under wrk, and reports
requests per second, server CPU for each request, user instructions and the ratios.

    python tests/bench/compare.py [--servers limit,stock,ours] [--rows callback,handler,...]
                                  [--rounds 5] [--seconds 3] [--no-instructions]

Each server has one core, wrk another. The servers of a row take turns within each round, so that noise
meets all of them; figures are medians, ratios are medians of the rounds' own ratios. A table goes to
standard output; a JSON file and a picture go to tests/bench/results/."""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import chart
import instructions
import servers
from rows import BY_NAME, ROWS, Row


def check_answer(server: str, port: int, row: Row) -> None:
    """The server answers what the row asks before it is measured."""
    client = servers.Client(port)
    sent = servers.BODY if row.post else b""
    client.socket.sendall(servers.request_bytes(row.path, body=sent, close=row.close))
    head, body = client.answer()
    client.close()
    expected = "Hello, world!" if server == "limit" and row.limit_mode == "hello" else row.body
    if row.app != "large" and body != (sent or expected.encode()):
        raise RuntimeError(f"unexpected body: {body[:60]!r}")
    if row.close and b"connection: close" not in head.lower():
        raise RuntimeError("no Connection: close in the answer")


def drive(port: int, row: Row, seconds: float, core: int) -> dict:
    """One run of wrk; what it reports."""
    command = [servers.need("taskset", "it is in util-linux"), "-c", str(core)]
    command += [
        servers.need("wrk", "install wrk"),
        "-t1",
        f"-c{row.connections}",
        f"-d{max(1, round(seconds))}s",
    ]
    command += [
        "--timeout",
        "10s",
        "-s",
        str(servers.HERE / "load.lua"),
        f"http://127.0.0.1:{port}{row.path}",
        "--",
    ]
    command += [str(row.pipeline), str(len(servers.BODY) if row.post else 0), "1" if row.close else "0"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.M)
    if found is None:
        raise RuntimeError(f"wrk said:\n{output}")
    requests, micros, p50, p99, errors = map(int, found.groups())
    if requests == 0:
        raise RuntimeError("no request was answered")
    return {
        "requests": requests,
        "rps": requests / micros * 1e6,
        "p50_us": p50,
        "p99_us": p99,
        "errors": errors,
    }


def measure(pid: int, port: int, row: Row, seconds: float, core: int) -> dict:
    cpu, (user, system) = servers.cpu_seconds(pid), servers.cpu_split(pid)
    result = drive(port, row, seconds, core)
    time.sleep(0.05)
    result["cpu_us"] = (servers.cpu_seconds(pid) - cpu) / result["requests"] * 1e6
    user_after, system_after = servers.cpu_split(pid)
    ticks = user_after - user + system_after - system
    result["user_share"] = (user_after - user) / ticks if ticks else 0.0
    return result


def summary(rounds: list[dict]) -> dict:
    result = {
        key: statistics.median(r[key] for r in rounds)
        for key in ("rps", "cpu_us", "p50_us", "p99_us", "user_share")
    }
    return {**result, "errors": sum(r["errors"] for r in rounds), "rounds": rounds}


def ratio(of: list[dict], to: list[dict]) -> float:
    return statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in zip(of, to, strict=True))


def run_row(row: Row, args: argparse.Namespace) -> dict:
    """One row's results by server; a server that cannot take part has {"missing": why}."""
    server_core, client_core = servers.cores()
    results: dict = {}
    measured: dict[str, list[dict]] = {}
    with ExitStack() as stack:
        started = {}
        for name in args.servers:
            reason = servers.missing_reason(name, row.app)
            try:
                if reason is None:
                    process, port = stack.enter_context(
                        servers.running(name, row.app, row.limit_mode, core=server_core, quiet=True)
                    )
                    check_answer(name, port, row)
                    drive(port, row, 1, client_core)
                    started[name] = process.pid, port
            except (RuntimeError, OSError) as error:
                reason = str(error)
            if reason is not None:
                results[name] = {"missing": reason}
                print(f"{row.name:17} {name}: missing: {reason}", file=sys.stderr, flush=True)
        for n in range(args.rounds):
            line = f"{row.name:17} round {n + 1}/{args.rounds}"
            for name, (pid, port) in list(started.items()):
                try:
                    one = measure(pid, port, row, args.seconds, client_core)
                except (RuntimeError, OSError) as error:
                    results[name] = {"missing": f"failed in round {n + 1}: {error}"}
                    del started[name]
                    continue
                measured.setdefault(name, []).append(one)
                line += f"   {name} {one['cpu_us']:.2f} us {one['rps']:,.0f}/s"
            print(line, file=sys.stderr, flush=True)
    for name in started:
        results[name] = summary(measured[name])
        if name != "limit" and "limit" in started:
            results[name]["to_limit"] = ratio(measured[name], measured["limit"])
        if name != "stock" and "stock" in started:
            results[name]["to_stock"] = ratio(measured["stock"], measured[name])
    return {name: results[name] for name in args.servers}


def count_instructions(row: Row, results: dict) -> None:
    for name, result in results.items():
        if "missing" not in result:
            print(f"{row.name:17} instructions of {name}", file=sys.stderr, flush=True)
            result["instructions"] = instructions.per_request(name, row)


def verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def targets(row: Row, ours: dict) -> list[tuple[str, float, str, bool]]:
    """(what, figure, the figure to reach, reached) for our server in this row."""
    found = []
    if row.to_limit and "to_limit" in ours:
        found.append(
            ("CPU x limit", ours["to_limit"], f"<= {row.to_limit}", ours["to_limit"] <= row.to_limit)
        )
    if row.to_stock and "to_stock" in ours:
        found.append(
            ("x under stock", ours["to_stock"], f">= {row.to_stock:g}", ours["to_stock"] >= row.to_stock)
        )
    if row.instructions and "instructions" in ours:
        reached = ours["instructions"] <= row.instructions
        found.append(("instructions", ours["instructions"], f"<= {row.instructions:,}", reached))
    return found


def table(report: dict) -> str:
    lines = [
        f"{'':38} {'server':6} {'req/s':>10} {'CPU us':>8} {'user':>5} {'x limit':>8} {'/ stock':>8}"
        f" {'instr.':>9}",
        "-" * 100,
    ]
    for name, results in report["rows"].items():
        row = BY_NAME[name]
        for i, (server, r) in enumerate(results.items()):
            title = row.title if i == 0 else ""
            if "missing" in r:
                lines.append(f"{title:38} {server:6} missing: {r['missing']}")
                continue
            to_limit = f"{r['to_limit']:.2f}" if "to_limit" in r else ""
            to_stock = f"{r['to_stock']:.1f}" if "to_stock" in r else ""
            count = f"{r['instructions']:,.0f}" if "instructions" in r else ""
            errors = f"  {r['errors']} errors" if r["errors"] else ""
            lines.append(
                f"{title:38} {server:6} {r['rps']:10,.0f} {r['cpu_us']:8.2f} {r['user_share']:5.0%} "
                f"{to_limit:>8} {to_stock:>8} {count:>9}{errors}"
            )
        for what, figure, aim, reached in targets(row, results.get("ours", {})):
            shown = f"{figure:,.0f}" if figure >= 1000 else f"{figure:.2f}"
            lines.append(f"{'':38} ours   {what} {shown}, reach {aim}: {verdict(reached)}")
    return "\n".join(lines)


def about(args: argparse.Namespace) -> dict:
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "rounds": args.rounds,
        "seconds": args.seconds,
    }


def chosen(known, what: str):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} named {name!r}; there are: {', '.join(known)}")
        return names

    return parse


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=chosen(servers.SERVERS, "server"), default=list(servers.SERVERS))
    parser.add_argument("--rows", type=chosen(BY_NAME, "row"), default=[row.name for row in ROWS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="length of a round, whole seconds")
    parser.add_argument("--no-instructions", action="store_true", help="leave callgrind out")
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
                if BY_NAME[name].instructions:
                    count_instructions(BY_NAME[name], report["rows"][name])
        except servers.Missing as missing:
            print(f"no instruction counts: {missing}", file=sys.stderr)
    (args.output / "compare.json").write_text(json.dumps(report, indent=1) + "\n")
    (args.output / "compare.svg").write_text(chart.draw(report))
    print(table(report))
    print(f"\n{args.output / 'compare.json'}\n{args.output / 'compare.svg'}")
    missed = [
        t
        for name, results in report["rows"].items()
        for t in targets(BY_NAME[name], results.get("ours", {}))
        if not t[3]
    ]
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.Missing as missing:
        sys.exit(f"compare.py: {missing}")
