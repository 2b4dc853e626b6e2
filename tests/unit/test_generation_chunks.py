"""Bodies whose chunks are seen by who gets them in pieces, as generation 4 has it."""

import asyncio
import itertools
import random
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT
from support.http1_roles import Peer
from support.implementations import OURS
from support.ways import WAYS, serve
from tornado_c import http1connection, httputil, web
from tornado_c._support import generations

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["seen", "joined"])
def seen(request, monkeypatch):
    monkeypatch.setattr(generations, "chunks_are_seen", request.param)
    return request.param


@pytest.fixture(params=WAYS)
def pieces_of(request, seen):
    """A function that sends a body to a server, cut in two, and returns the pieces that its handler gets."""
    pieces = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        def data_received(self, chunk):
            pieces.append(chunk)

        def post(self):
            self.write("ok")

    with serve(request.param, web.Application([("/", Handler)]), chunk_size=1000) as server:

        def send(body, cut=0):
            pieces.clear()
            with server.connect() as client:
                client.send(HEAD + body[:cut])
                client.send(body[cut:])
                assert client.rest().endswith(b"\r\n\r\nok")
            return [*pieces]

        yield send


def encoded(chunks):
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def as_read(chunk):
    """A chunk in pieces of chunk_size."""
    return [chunk[at : at + 1000] for at in range(0, len(chunk), 1000)]


def test_chunks_that_come_together(pieces_of, seen):
    chunks = [b"a" * 100, b"b" * 64, b"c" * 1000, b"d" * 1001, b"e" * 2500, b"f" * 999]
    got = pieces_of(encoded(chunks))
    assert b"".join(got) == b"".join(chunks)
    assert (got == [piece for chunk in chunks for piece in as_read(chunk)]) == seen


def test_a_few_small_ones(pieces_of, seen):
    chunks = [b"%d" % n for n in range(6)]
    assert pieces_of(encoded(chunks)) == (chunks if seen else [b"012345"])


def test_tiny_ones_are_joined(pieces_of, seen):
    """Nobody has a handler called for every byte."""
    got = pieces_of(encoded([b"x"] * 5000))
    assert b"".join(got) == b"x" * 5000
    assert len(got) <= 5000 / 1000 + (6 if seen else 0) + 5000 * 6 / 65536 + 2


@pytest.mark.parametrize("seed", range(20))
def test_any_chunks(pieces_of, seen, seed):
    rng = random.Random(seed)
    most = rng.choice([3, 70, 1500])
    chunks = [bytes([n % 256]) * rng.randint(1, most) for n in range(rng.randint(1, 300))]
    body = encoded(chunks)
    got = pieces_of(body, rng.randrange(len(body)))
    assert b"".join(got) == b"".join(chunks)
    assert all(0 < len(piece) <= 1000 for piece in got)
    if seen and sum(map(len, chunks)) >= 64 * len(chunks):
        ends = set(itertools.accumulate(map(len, chunks)))
        assert ends.issuperset(itertools.accumulate(map(len, got))) or most > 1000


def test_of_a_response(seen):
    chunks = [b'{"id": %d}' % n for n in range(4)]
    got = []

    class Delegate(httputil.HTTPMessageDelegate):
        def data_received(self, chunk):
            got.append(chunk)

    async def run():
        peer = Peer(OURS)
        client = http1connection.HTTP1Connection(peer.stream, True)
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded(chunks))
        client.write_headers(httputil.RequestStartLine("GET", "/", ""), httputil.HTTPHeaders())
        client.finish()
        assert await client.read_response(Delegate())
        peer.close()

    asyncio.run(run())
    assert got == (chunks if seen else [b"".join(chunks)])


PROGRAM = """
import tornado_c
{install}
from tornado import web
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.testing import AsyncHTTPTestCase
import unittest

class Messages(web.RequestHandler):
    def get(self):
        for n in range(3):
            self.write("message %d" % n)
            self.flush()

class Test(AsyncHTTPTestCase):
    def get_app(self):
        return web.Application([("/", Messages)])

    def test(self):
        got = []
        response = self.fetch("/", streaming_callback=got.append)
        assert {check}, got

unittest.main()
"""


@pytest.mark.parametrize("generation, check", [
    ("4", "got == [b'message 0', b'message 1', b'message 2']"),
    ("6", "b''.join(got) == b'message 0message 1message 2'"),  # in one piece, if they came together
])  # fmt: skip
def test_the_switch(generation, check):
    pytest.importorskip("tornado")
    program = PROGRAM.format(install=f"tornado_c.install(generation={generation})", check=check)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=CHILD_ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
