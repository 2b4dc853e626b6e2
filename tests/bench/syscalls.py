"""System calls for each request, counted by strace over a window of a running server.

    python tests/bench/syscalls.py [--servers limit,stock,ours] [--rows callback,handler] [--check] [--json]

--check fails unless our server answers a keep-alive request with one receive and one send, no epoll_ctl
and no setsockopt, and 16 pipelined requests with one send most of the time: a server that the machine holds
up within them does not keep back what is ready."""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import servers
from http_rows import HttpRow
from rows import BY_NAME

REQUESTS = 200
PIPELINE = 16
WINDOWS = 9
RECEIVES = ("recvfrom", "recvmsg", "read", "readv", "recv")
SENDS = ("sendto", "sendmsg", "write", "writev", "send")


def attach(pid: int, log: Path) -> subprocess.Popen:
    strace = servers.need("strace", "install strace")
    tracer = subprocess.Popen(
        [strace, "-f", "-p", str(pid), "-o", str(log)], stderr=subprocess.PIPE, text=True
    )
    line = tracer.stderr.readline()
    if "attached" not in line:
        tracer.wait()
        raise servers.Missing(f"strace cannot attach here: {line.strip()}")
    time.sleep(0.1)
    return tracer


def calls_during(pid: int, work) -> Counter:
    """System calls by name while `work` runs."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        tracer = attach(pid, log)
        try:
            work()
            time.sleep(0.1)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=10)
        return Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(), re.M))


def count(server: str, row: HttpRow) -> dict:
    with servers.running(server, row.app, row.limit_mode) as (process, port):
        client = servers.Client(port)
        request = row.request()
        client.ask(request, 20)
        single = calls_during(process.pid, lambda: client.ask(request, REQUESTS))
        batches = []
        for _ in range(WINDOWS):
            client.ask(request, 2 * PIPELINE, PIPELINE)  # proves that the application is quick
            batches.append(calls_during(process.pid, lambda: client.ask(request, PIPELINE, PIPELINE)))
        client.close()
    names = sorted(set().union(*batches))
    return {
        "per_request": {name: n / REQUESTS for name, n in sorted(single.items())},
        "per_16_pipelined": {name: statistics.median(batch[name] for batch in batches) for name in names},
    }


def total(calls: dict, names) -> float:
    return sum(calls.get(name, 0) for name in names)


def complaints(result: dict) -> list[str]:
    """What a server does beyond one receive and one send; waiting for events is free."""
    slack = 0.02  # strace itself interrupts a wait or two
    single, batch = result["per_request"], result["per_16_pipelined"]
    found = []
    for what, calls, names, most in (
        ("receives a request", single, RECEIVES, 1),
        ("sends a request", single, SENDS, 1),
        ("epoll_ctl a request", single, ("epoll_ctl",), 0),
        ("setsockopt a request", single, ("setsockopt",), 0),
        ("receives for 16 pipelined requests", batch, RECEIVES, 1),
        ("sends for 16 pipelined requests", batch, SENDS, 1),
        ("epoll_ctl for 16 pipelined requests", batch, ("epoll_ctl",), 0),
    ):
        n = total(calls, names)
        if n > most + slack:
            found.append(f"{n:.2f} {what}, at most {most} expected")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", default=",".join(servers.SERVERS))
    parser.add_argument("--rows", default="callback,raw,handler")
    parser.add_argument(
        "--check", action="store_true", help="fail where ours makes more calls than it should"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results: dict = {}
    failed = False
    for name in args.rows.split(","):
        row = BY_NAME[name]
        for server in args.servers.split(","):
            reason = servers.missing_reason(server, row.app)
            if reason:
                results.setdefault(name, {})[server] = {"missing": reason}
                if not args.json:
                    print(f"{row.title} / {server}: missing: {reason}", flush=True)
                continue
            result = count(server, row)
            result["complaints"] = complaints(result) if server != "stock" else []
            results.setdefault(name, {})[server] = result
            failed |= server == "ours" and bool(result["complaints"])
            if not args.json:
                print(f"{row.title} / {server}")
                for title in ("per_request", "per_16_pipelined"):
                    calls = "  ".join(f"{call} {n:.2f}" for call, n in result[title].items())
                    print(f"    {title.replace('_', ' '):17} {calls}")
                for complaint in result["complaints"]:
                    print(f"    TOO MANY: {complaint}")
                sys.stdout.flush()
    if args.json:
        print(json.dumps(results, indent=1))
    return 1 if args.check and failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Missing, RuntimeError) as problem:
        sys.exit(f"syscalls.py: {problem}")
