"""The load of the rows that speak WebSocket: ws_load.c; raw sockets where nothing is sent."""

import functools
import re
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

import servers
from ws_rows import WsRow

FIRST = 200  # idle sockets that are there before memory is counted


def connect(port: int, row: WsRow) -> socket.socket:
    """A socket after its handshake."""
    client = socket.create_connection(("127.0.0.1", port), 20)
    client.sendall(row.handshake(port))
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(4096)
        if not data:
            raise RuntimeError("the handshake was not answered")
        head += data
    if b" 101 " not in head:
        raise RuntimeError(f"the handshake was refused: {head[:60]!r}")
    if row.deflate and b"permessage-deflate" not in head:
        raise RuntimeError("no compression was agreed on")
    return client


def check_answer(port: int, row: WsRow) -> None:
    """The server sends back what it gets."""
    with connect(port, row) as client, client.makefile("rb") as file:
        client.sendall(row.frames()[0])
        opcode, size = file.read(2)
        if size > 125:
            size = int.from_bytes(file.read(2 if size == 126 else 8))
        message = file.read(size)
        if opcode & 0x40:
            message = zlib.decompressobj(-15).decompress(message + b"\0\0\xff\xff")
        if (row.deflate and not opcode & 0x40) or message != row.messages()[0]:
            raise RuntimeError(f"unexpected message: {opcode:x} {message[:60]!r}")


@contextmanager
def conversation(command: list):
    """(process, what has it work: "seconds N" or "messages N") of a program that speaks as ws_load.c does."""
    with subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = process.stdout.readline()
            if said != "READY\n":
                raise RuntimeError(process.stderr.read().strip())

            def send(what: str) -> dict:
                print(what, file=process.stdin, flush=True)
                found = re.fullmatch(r"RESULT (\d+) (\d+) (\d+) (\d+)\n", process.stdout.readline())
                if found is None or found[1] == "0":
                    raise RuntimeError(process.stderr.read().strip() or "no message was answered")
                messages, micros, p50, p99 = map(int, found.groups())
                rate = messages / micros * 1e6
                return {"operations": messages, "rate": rate, "p50_us": p50, "p99_us": p99, "errors": 0}

            yield process, send
        finally:
            process.kill()


@contextmanager
def loading(port: int, row: WsRow, connections: int, wrapper=()):
    """ws_load with its connections open; yields what has it send."""
    with tempfile.TemporaryDirectory() as folder:
        handshake, frames = Path(folder, "handshake"), Path(folder, "frames")
        handshake.write_bytes(row.handshake(port))
        frames.write_bytes(b"".join(row.frames()))
        command = [*wrapper, servers.build("ws_load"), port, handshake, frames, connections, row.in_flight]
        with conversation(command) as (_, send):
            yield send


def anonymous_memory(pids: list[int]) -> int:
    """Bytes."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(re.search(r"^Anonymous: *(\d+) kB", text, re.M)[1]) * 1024 for text in texts)


def idle(server: str, row: WsRow) -> dict:
    """The memory of a socket in a server of its own."""
    server_core, _ = servers.cores()
    with ExitStack() as stack:
        process, port = stack.enter_context(servers.running(server, row.app, core=server_core, quiet=True))
        pids = servers.family(process.pid)
        sizes = []
        for count in (FIRST, row.connections):
            for _ in range(count):
                stack.enter_context(connect(port, row))
            time.sleep(0.3)
            sizes.append(anonymous_memory(pids))
    return {"memory": (sizes[1] - sizes[0]) / row.connections, "errors": 0}


def core(number: int) -> list[str]:
    return [servers.need("taskset", "it is in util-linux"), "-c", str(number)]


def start(stack: ExitStack, server: str, row: WsRow):
    """As http_load.start(). zlib alone is a process, too, and measured like a server."""
    server_core, client_core = servers.cores()
    if server in row.zlib:
        program = [sys.executable, servers.HERE / "ws_zlib.py", row.name, row.zlib[server]]
        process, send = stack.enter_context(conversation([*core(server_core), *program]))
        send(f"messages {row.warm_up * row.zlib[server]}")
    else:
        if reason := servers.missing_reason(server, row.app):
            raise servers.Missing(reason)
        if row.idle:
            once = functools.cache(lambda: idle(server, row))
            return lambda seconds: once()
        process, port = stack.enter_context(servers.running(server, row.app, core=server_core, quiet=True))
        check_answer(port, row)
        send = stack.enter_context(loading(port, row, row.connections, core(client_core)))
        send(f"messages {row.warm_up * row.connections}")
    return lambda seconds: servers.measured(
        process.pid, functools.partial(send, f"seconds {max(1, round(seconds))}")
    )


def ask(port: int, row: WsRow, messages: int) -> None:
    """So many messages over one connection, or to everybody on 64; what instructions.py counts."""
    with loading(port, row, 1 if row.in_flight else 64) as send:
        send(f"messages {messages}")
