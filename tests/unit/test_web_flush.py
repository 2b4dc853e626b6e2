"""flush() that is awaited: a client that does not read holds the handler back, one that leaves ends it."""

import asyncio

import pytest

from support.implementations import BOTH
from support.live_http import Client, LiveServer, Overridden, wait_for
from support.web_servers import collecting

PIECE = b"x" * 65536
PIECES = 400  # more than the buffers of both kernels take


def make_app(web):
    class Slow(web.RequestHandler):
        """Counts the pieces that flush() has said to be sent."""

        async def get(self):
            self.settings["sent"] = 0
            for _ in range(PIECES):
                self.write(PIECE)
                await self.flush()
                self.settings["sent"] += 1
            self.settings["ended"] = "returned"

        def on_finish(self):
            self.settings["ended"] += " finished"

        def on_connection_close(self):
            self.settings["ended"] = "closed"

        def log_exception(self, kind, *more):
            self.settings["ended"] += f" {kind.__name__}"

    class Finish(web.RequestHandler):
        async def get(self):
            self.write(PIECE * PIECES)
            await self.finish()
            self.settings["ended"] = "returned"

    class Head(Slow):
        head = Slow.get

    return web.Application([("/", Slow), ("/finish", Finish), ("/head", Head)], ended="")


@pytest.fixture(params=[*BOTH, "by classes"], ids=str)
def server(request):
    by_classes = request.param == "by classes"
    implementation = BOTH[0] if by_classes else request.param
    application = make_app(implementation.web)
    make = (lambda: Overridden(application)) if by_classes else None
    with collecting() as log:
        server = LiveServer(application, implementation, make)
        server.log = log
        yield server
        server.stop()


def stalled(server):
    """The count of pieces sent, once it stays."""
    seen = []

    async def look():
        while len(seen) < 5 or len(set(seen[-5:])) > 1:
            await asyncio.sleep(0.02)
            seen.append(server.app.settings.get("sent", -1))

    server.call(look)
    return seen[-1]


def test_a_reader_that_stops_holds_the_handler_back(server):
    with Client(server.address, receive_buffer=65536) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.until(b"\r\n\r\n")
        wait_for(lambda: server.app.settings.get("sent", 0) > 0)
        sent = stalled(server)
        assert 0 < sent < PIECES
        got = client.rest()
        assert got.count(b"x") == PIECES * len(PIECE)
    wait_for(lambda: server.app.settings["ended"] == "returned finished")


def test_a_reader_that_leaves_ends_the_waiting(server):
    with Client(server.address, receive_buffer=65536) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: server.app.settings.get("sent", 0) > 0)
        stalled(server)
        client.reset()
    wait_for(lambda: server.app.settings["ended"].startswith("closed"))
    wait_for(lambda: server.app.settings["ended"] == "closed StreamClosedError finished")


def test_finish_can_be_awaited(server):
    with Client(server.address, receive_buffer=65536) as client:
        client.send(b"GET /finish HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.until(b"\r\n\r\n")
        stalled(server)
        assert server.app.settings["ended"] == ""
        assert client.rest().count(b"x") == PIECES * len(PIECE)
    wait_for(lambda: server.app.settings["ended"] == "returned")


def test_nothing_holds_the_answer_to_head_back(server):
    with Client(server.address) as client:
        client.send(b"HEAD /head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.rest().endswith(b"\r\n\r\n")
    assert server.app.settings["sent"] == PIECES
