"""Random pipelines of requests, cut anywhere, over plain sockets and TLS, under a callback, an application
and delegates, some of which answer late. The answers are byte for byte those of the same requests when each
has a connection of its own, and, where we do not depart from it, those of stock Tornado.

A program's steps are its pipelines: {"do": "pipeline", "kind": KIND, "tls": BOOL, "requests": [TEXT, ...],
"cuts": [OFFSET, ...], "turns": [N, ...], "stock": BOOL}.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile_calls import Note
from hostile_steps import Failure, left_set
from hostile_world import tls_contexts

sys.path.append(str(Path(__file__).resolve().parent.parent))

from support.beside_stock import KINDS, make_server  # noqa: E402
from support.implementations import OURS, STOCK, Implementation  # noqa: E402
from support.request_generator import Writer  # noqa: E402

SETTINGS = {"max_header_size": 20_000, "max_body_size": 1_000_000}
PATIENCE = 20.0  # seconds for an answer; it comes at once
PATIENT = {"patient delegate", "patient callback"}


def drawn(seed: int) -> tuple[dict[str, Any], random.Random]:
    return {"kind": "pipelines"}, random.Random(f"pipelines {seed}")


def draw(rng: random.Random) -> Iterator[dict[str, Any]]:
    kind, tls = rng.choice(KINDS), rng.random() < 0.4
    for _ in range(6):
        requests = [draw_request(rng, kind) for _ in range(rng.choice([1, 2, 3, 5, 8, 20]))]
        size = sum(map(len, requests))
        way = rng.random()
        if way < 0.15:
            cuts = list(range(1, min(size, 400)))  # a byte at a time
        elif way < 0.3:
            cuts = []
        else:
            cuts = sorted(rng.randrange(1, size) for _ in range(rng.choice([1, 2, 5, 20])))
        yield {
            "do": "pipeline", "kind": kind, "tls": tls, "requests": requests, "cuts": cuts,
            "turns": [rng.choice([0, 0, 1, 2, 7]) for _ in range(5)], "stock": rng.random() < 0.4,
            "reads": rng.choice([1 << 18, 1 << 18, 3000, 100]),
        }  # fmt: skip


def draw_request(rng: random.Random, kind: str) -> str:
    """A valid one in which we do not depart from Tornado, as text."""
    while True:
        writer = Writer(rng, kind)
        writer.request()
        ends = writer.version == b"HTTP/1.0" or b"lose" in writer.data.partition(b"\r\n\r\n")[0]
        if ends and rng.random() < 0.95:
            continue
        if not (writer.refused or writer.stricter or writer.departures) and len(writer.data) < 18_000:
            break
    data = bytes(writer.data)
    if rng.random() < 0.03:  # a large one
        size = rng.choice([70_000, 300_000])
        data = b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size
    return data.decode("latin-1")


class Peer:
    """A client in the loop's own thread. A TLS one is a machine between memory and the socket, so that what
    goes over the wire can be cut anywhere too."""

    def __init__(self, address: Any, tls: bool) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unsent = b""
        self.answer = b""
        self.ended = False
        self.tls: ssl.SSLObject | None = None
        if tls:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = tls_contexts()[1].wrap_bio(self.incoming, self.outgoing)
            self.shaken = False

    async def shake(self) -> None:
        while self.tls is not None and not self.shaken:
            try:
                self.tls.do_handshake()
                self.shaken = True
            except ssl.SSLWantReadError:
                pass
            self.unsent += self.outgoing.read()
            await self.turn()

    async def turn(self, size: int = 1 << 18) -> None:
        try:
            if self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unsent = b""
        await asyncio.sleep(0)
        try:
            data = self.sock.recv(size)
            self.ended = not data
        except BlockingIOError:
            return
        except OSError:
            self.ended = True
            return
        if self.tls is None:
            self.answer += data
            return
        self.incoming.write(data)
        try:
            while self.shaken and (plain := self.tls.read(1 << 18)):
                self.answer += plain
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.ended = True

    def write(self, data: bytes) -> None:
        """Bytes of requests; over TLS some of what the wire gets is kept back until the next."""
        if self.tls is None:
            self.unsent += data
        elif data:
            self.tls.write(data)
            self.unsent += self.outgoing.read()


async def converse(address: Any, step: dict[str, Any], data: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    """What is answered to the data, and whether the server ended the connection of itself."""
    peer = Peer(address, step["tls"])
    try:
        await peer.shake()
        at, turns = 0, step["turns"]
        for number, cut in enumerate([*cuts, len(data)]):
            peer.write(data[at:cut])
            at = cut
            await peer.turn(step["reads"])
            for _ in range(turns[number % len(turns)]):
                await peer.turn(step["reads"])
        end, quiet = time.monotonic() + PATIENCE, 0
        while not peer.ended and quiet < 30:
            before = len(peer.answer), len(peer.unsent)
            await peer.turn(max(step["reads"], 3000))
            quiet = 0 if (len(peer.answer), len(peer.unsent)) != before else quiet + 1
            if time.monotonic() > end:
                raise Failure("an answer takes too long")
        return re.sub(rb"\r\nDate: [^\r]*", b"", peer.answer), peer.ended
    finally:
        peer.sock.close()


async def singly_and_together(implementation: Implementation, step: dict[str, Any]) -> tuple[bytes, bytes]:
    """What is answered to the requests on connections of their own, up to the first that ends its connection,
    and on one."""
    settings: dict[str, Any] = dict(SETTINGS)
    if step["tls"]:
        settings["ssl_options"] = tls_contexts()[0]
    server = make_server(implementation, step["kind"], **settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server.add_sockets([listener])
        address = listener.getsockname()
        requests = [text.encode("latin-1") for text in step["requests"]]
        expected = b""
        for data in requests:
            answer, ended = await converse(address, step, data, [])
            expected += answer
            if ended:
                break
        answer, _ = await converse(address, step, b"".join(requests), step["cuts"])
        server.stop()
        await server.close_all_connections()
    await asyncio.sleep(0)
    return expected, answer


def tell(what: str, step: dict[str, Any], wanted: bytes, got: bytes) -> None:
    if wanted != got:
        at = next((at for at, (one, other) in enumerate(zip(wanted, got, strict=False)) if one != other),
                  min(len(wanted), len(got)))  # fmt: skip
        near = slice(max(0, at - 150), at + 150)
        where = f"{step['kind']}, tls {step['tls']}: {what} differ at {at} of {len(wanted)} and {len(got)}"
        raise Failure(f"{where}: {wanted[near]!r} and {got[near]!r}")


def run(
    header: dict[str, Any], steps: Iterator[dict[str, Any]] | None, rng: random.Random, note: Note
) -> None:
    """Perform the pipelines, or draw them. Raises Failure."""
    note(header)
    for step in steps if steps is not None else draw(rng):
        note(step)
        wanted, got = OURS.run(singly_and_together(OURS, step))
        left_set()
        tell("the answers together and singly", step, wanted, got)
        if step["stock"]:
            # Singly: of what follows a refusal stock resets the connection, and its answer may be lost.
            alone, _ = STOCK.run(singly_and_together(STOCK, step))
            tell("our answers and stock's", step, alone, wanted)
