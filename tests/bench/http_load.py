"""The load of the rows that speak HTTP: wrk."""

import re
import subprocess
from contextlib import ExitStack
from functools import partial

import servers
from http_rows import BODIES, HttpRow


def check_answer(server: str, port: int, row: HttpRow) -> None:
    """The server answers what the row asks before it is measured."""
    client = servers.Client(port)
    client.socket.settimeout(10)
    client.socket.sendall(row.request())
    head, body = client.answer()
    if not row.close:  # warms up, and shows a server that does not know pipelines
        client.ask(row.request(), 4 * row.pipeline, row.pipeline)
    client.close()
    expected = row.body if server != "limit" or row.limit_mode != "hello" else "Hello, world!"
    if body != (row.sent() if expected is None else expected.encode()):
        raise RuntimeError(f"unexpected body: {body[:60]!r}")
    if row.close and b"connection: close" not in head.lower():
        raise RuntimeError("no Connection: close in the answer")


def drive(port: int, row: HttpRow, seconds: float, core: int) -> dict:
    """One run of wrk; what it reports."""
    content_type, body = "", servers.RESULTS / f"body-{row.post}"
    if row.post:
        content_type = BODIES[row.post][0]
        body.write_bytes(row.sent())
    command = [servers.need("taskset", "it is in util-linux"), "-c", str(core)]
    command += [servers.need("wrk", "install wrk"), "-t1", f"-c{row.connections}"]
    command += [f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(servers.HERE / "load.lua")]
    command += [f"http://127.0.0.1:{port}{row.path}", "--"]
    command += [str(row.pipeline), content_type, str(body), "1" if row.close else "0"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.M)
    if found is None:
        raise RuntimeError(f"wrk said:\n{output}")
    requests, micros, p50, p99, errors = map(int, found.groups())
    if requests == 0:
        raise RuntimeError("no request was answered")
    rate = requests / micros * 1e6
    return {"operations": requests, "rate": rate, "p50_us": p50, "p99_us": p99, "errors": errors}


def start(stack: ExitStack, server: str, row: HttpRow):
    """Starts a server until the stack ends; returns what measures it for a number of seconds.

    :raises RuntimeError: or OSError, or ``servers.Missing``: it cannot take part; the message says why.
    """
    if reason := servers.missing_reason(server, row.app):
        raise servers.Missing(reason)
    server_core, client_core = servers.cores()
    process, port = stack.enter_context(
        servers.running(server, row.app, row.limit_mode, core=server_core, quiet=True)
    )
    check_answer(server, port, row)

    def measure(seconds: float) -> dict:
        return servers.measured(process.pid, partial(drive, port, row, seconds, client_core))

    return measure


def ask(port: int, row: HttpRow, requests: int) -> None:
    """So many requests over one connection; what instructions.py counts."""
    client = servers.Client(port)
    client.ask(row.request(), requests, row.pipeline)
    client.close()
