"""flush() that is awaited: a client that does not read holds the handler back, one that leaves ends it."""

import asyncio
import ssl

import pytest

from support.implementations import BOTH, OURS, STOCK
from support.iostream_tls_tools import server_context
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

    class After(web.RequestHandler):
        async def get(self):
            self.finish("whole")
            await self.flush()
            self.settings["ended"] = "returned"

        def log_exception(self, kind, *more):
            self.settings["ended"] += f" {kind.__name__}"

    rules = [("/", Slow), ("/finish", Finish), ("/head", Head), ("/after", After)]
    return web.Application(rules, ended="")


@pytest.fixture(params=[*BOTH, "by classes", "ours, TLS", "stock, TLS"], ids=str)
def server(request, certificates):
    """The server of one of both; it has connect(), to which TLS makes no difference."""
    tls = str(request.param).endswith("TLS")
    implementation = STOCK if str(request.param).startswith("stock") else OURS
    application = make_app(implementation.web)
    make = (lambda: Overridden(application)) if request.param == "by classes" else None
    settings = {"ssl_options": server_context(certificates)} if tls else {}
    with collecting():
        server = LiveServer(application, implementation, make, **settings)

        def connect(receive_buffer=0):
            client = Client(server.address, receive_buffer)
            if tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                client.sock = context.wrap_socket(client.sock)
            return client

        server.connect = connect
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
    with server.connect(receive_buffer=65536) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.until(b"\r\n\r\n")
        wait_for(lambda: server.app.settings.get("sent", 0) > 0)
        sent = stalled(server)
        assert 0 < sent < PIECES
        got = client.rest()
        assert got.count(b"x") == PIECES * len(PIECE)
    wait_for(lambda: server.app.settings["ended"] == "returned finished")


def test_a_reader_that_leaves_ends_the_waiting(server):
    with server.connect(receive_buffer=65536) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: server.app.settings.get("sent", 0) > 0)
        stalled(server)
        client.reset()
    wait_for(lambda: server.app.settings["ended"].startswith("closed"))
    wait_for(lambda: server.app.settings["ended"] == "closed StreamClosedError finished")


def test_finish_can_be_awaited(server):
    with server.connect(receive_buffer=65536) as client:
        client.send(b"GET /finish HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.until(b"\r\n\r\n")
        stalled(server)
        assert server.app.settings["ended"] == ""
        assert client.rest().count(b"x") == PIECES * len(PIECE)
    wait_for(lambda: server.app.settings["ended"] == "returned")


def test_nothing_is_left_to_flush_after_finish(server):
    with server.connect() as client:
        for _ in range(2):
            client.send(b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.until(b"whole").endswith(b"\r\n\r\nwhole")
            wait_for(lambda: server.app.settings["ended"] != "")
            assert server.app.settings["ended"] == "returned"
            server.app.settings["ended"] = ""


def test_nothing_holds_the_answer_to_head_back(server):
    with server.connect() as client:
        client.send(b"HEAD /head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.rest().endswith(b"\r\n\r\n")
    assert server.app.settings["sent"] == PIECES
