"""Compares streams side by side over one connection: a C server, the Protocols of asyncio and uvloop, stock
Tornado's IOStream and ours.

    python tests/bench/streams.py [--servers limit,uvloop,...] [--rows echo,...] [--rounds 5 | --instructions]

The figure is the server's CPU time, user and system, for each operation; where the row says so it is the
time that the client saw (median of the rounds, in which the servers take turns). A table goes to standard
output; a JSON file goes to tests/bench/results/."""

import argparse
import dataclasses
import importlib.util
import json
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import instructions
import servers
from stream_rows import SERVERS

LINE = b"m" * 63 + b"\n"
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Row:
    """One measurement: `count` operations, `window` of them in flight."""

    name: str
    title: str
    count: int
    window: int = 1
    size: int = 0  # bytes of an answer, or of a request where `take` is set; 0: lines are echoed
    take: bool = False
    tls: bool = False
    default: bool = False  # the program sets no socket options; the figure is the client's time
    called: bool = False  # by a callback for each line, which is ours alone


ROWS = [
    Row("echo", "line echo, one in flight", 20_000),
    Row("echo16", "line echo, 16 in flight", 96_000, window=16),
    Row("called", "the same, by a callback", 20_000, called=True),
    Row("called16", "16 in flight, by a callback", 96_000, window=16, called=True),
    Row("lines16", "the same by default, time", 1_600, window=16, default=True),
    Row("send1m", "send 1 MB", 600, size=MEGABYTE),
    Row("send100m", "send 100 MB", 10, size=100 * MEGABYTE),
    Row("take1m", "receive 1 MB", 600, size=MEGABYTE, take=True),
    Row("tls_echo", "line echo over TLS", 10_000, tls=True),
    Row("tls_send1m", "send 1 MB over TLS", 200, size=MEGABYTE, tls=True),
    Row("tls_take1m", "receive 1 MB over TLS", 200, size=MEGABYTE, take=True, tls=True),
]
PACKAGES = {"uvloop": "uvloop", "stock": "tornado", "ours": "tornado"}


def make_certificate() -> None:
    key, certificate = servers.RESULTS / "bench.key", servers.RESULTS / "bench.crt"
    if not certificate.exists():
        servers.RESULTS.mkdir(exist_ok=True)
        openssl = servers.need("openssl", "install openssl")
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-days", "3650", "-subj", "/CN=localhost", "-keyout", str(key)]
        subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)


def missing_reason(server: str, row: Row) -> str | None:
    """Why the server cannot be measured, or None."""
    if row.called and server != "ours":
        return "it calls no callbacks with lines"
    if server == "limit":
        return "the limit has no TLS" if row.tls else None
    package = PACKAGES.get(server)
    if package is not None and importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    return None


def command_of(server: str, row: Row) -> list[str]:
    echo = "called" if row.called else "lines" if row.default and server != "limit" else "echo"
    mode = ["take" if row.take else "send" if row.size else echo, str(row.size)]
    if server == "limit":
        return [str(servers.build("stream_limit")), *mode]
    program = str(servers.HERE / "stream_rows.py")
    return [sys.executable, program, server, *mode, "tls" if row.tls else "plain"]


def receive(client: socket.socket, size: int, buffer: bytearray) -> None:
    while size:
        n = client.recv_into(buffer, min(size, len(buffer)))
        if n == 0:
            raise RuntimeError("the server closed the connection")
        size -= n


def exchange(port: int, row: Row) -> float:
    """`row.count` operations over one connection: the seconds that they took."""
    buffer = bytearray(1 << 18)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if row.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client = context.wrap_socket(client)
        request = bytes(row.size) if row.take else b"x" if row.size else LINE * row.window
        answer = 1 if row.take else row.size or len(request)
        start = time.perf_counter()
        for _ in range(row.count // row.window):
            client.sendall(request)
            receive(client, answer, buffer)
        seconds = time.perf_counter() - start
        client.close()
    return seconds


def run(server: str, row: Row, wrapper: Iterable[str] = ()) -> float:
    """The server's CPU seconds for the row, or the client's time."""
    if row.tls:
        make_certificate()
    command = [*wrapper, *command_of(server, row)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            seconds = exchange(int(process.stdout.readline()), row)
            cpu = float(process.stdout.readline())
            process.wait(60)
            return seconds if row.default else cpu
        finally:
            process.kill()


def instructions_of(server: str, row: Row) -> float:
    """User instructions for each operation."""
    few, many = (times * 10 * row.window // min(row.window, 10) for times in (20, 120))

    def some(count: int, wrapper: list[str]) -> None:
        run(server, dataclasses.replace(row, count=count), wrapper)

    return instructions.for_each(some, (few, many))


def table(results: dict[str, dict[str, float]], names: list[str], unit: str) -> str:
    lines = [f"{unit:28}" + "".join(f"{name:>10}" for name in names)]
    for row in ROWS:
        if row.name in results:
            cells = (results[row.name].get(name) for name in names)
            lines.append(
                f"{row.title:28}" + "".join(f"{c:10.2f}" if c is not None else f"{'-':>10}" for c in cells)
            )
    return "\n".join(lines)


def measure(
    rows: list[Row], names: list[str], rounds: int, count: bool = False
) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    for row in rows:
        present = [name for name in names if missing_reason(name, row) is None]
        taken: dict[str, list[float]] = {name: [] for name in present}
        for _ in range(1 if count else rounds):
            for name in present:
                taken[name].append(instructions_of(name, row) if count else run(name, row) / row.count * 1e6)
        results[row.name] = {name: statistics.median(values) for name, values in taken.items()}
        shown = "  ".join(f"{name} {value:,.2f}" for name, value in results[row.name].items())
        print(f"{row.name:12} {shown}", file=sys.stderr, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instructions", action="store_true", help="count them instead, by callgrind")
    parser.add_argument("--output", type=Path, default=servers.RESULTS)
    arguments = parser.parse_args()
    names, wanted = arguments.servers.split(","), arguments.rows.split(",")
    rows = [row for row in ROWS if row.name in wanted]
    if arguments.instructions:
        print(table(measure(rows, names, 1, count=True), names, "instructions an operation"))
        return
    results = measure(rows, names, arguments.rounds)
    arguments.output.mkdir(exist_ok=True)
    report = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cpu_us": results}
    (arguments.output / "streams.json").write_text(json.dumps(report, indent=1) + "\n")
    print(table(results, names, "us an operation"))


if __name__ == "__main__":
    main()
