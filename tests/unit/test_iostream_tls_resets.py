"""Peers of TLS servers that are gone before or within the handshake: port scanners, balancers, impatient
clients. Nothing of ours has failed, so none of them is worth a traceback, and most not even a line."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
import warnings

import pytest

from support.iostream_world import reset, until
from support.live_tcp import TLS, listening, run
from tornado_c.httpserver import HTTPServer
from tornado_c.tcpserver import TCPServer


def hello():
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


class Server(TCPServer):
    async def handle_stream(self, stream, address):
        stream.close()


SENT = {
    "nothing": lambda: b"",
    "garbage": lambda: b"garbage\r\n\r\n",
    "half a hello": lambda: hello()[:20],
    "a hello": hello,
    "an alert": lambda: b"\x15\x03\x01\x00\x02\x02\x28",
}


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("when", ["before it is accepted", "after that"])
@pytest.mark.parametrize("end", [reset, socket.socket.close], ids=["reset", "closed"])
@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_peers_that_are_gone(sent, end, when, kind, caplog):
    async def main():
        server = Server(ssl_options=TLS) if kind == "tcp" else HTTPServer(print, ssl_options=TLS)
        port = listening(server)
        for _ in range(3):
            sock = socket.create_connection(("127.0.0.1", port))
            if when == "after that":
                await asyncio.sleep(0.005)
            sock.sendall(sent())
            if when == "after that":
                await asyncio.sleep(0.002)
            end(sock)
            await asyncio.sleep(0.005)
        # They are accepted in this order, and the last one waits for its end.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"garbage\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        await until(lambda: kind == "tcp" or not list(server._connections))
        server.stop()

    with warnings.catch_warnings():
        # Where the reset comes while the socket is wrapped, Python drops an SSLSocket that it has half made.
        warnings.simplefilter("ignore", ResourceWarning)
        run(main)
        gc.collect()
    assert [r.getMessage() for r in caplog.records if r.exc_info] == []
    lines = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert all(r.getMessage().startswith("SSL Error on ") for r in lines)
    assert len(lines) <= 4


def test_mistakes_of_the_server_are_reported(caplog):
    """A context that is none for servers is nobody else's fault."""

    async def main():
        server = Server(ssl_options=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        port = listening(server)
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.settimeout(10)
            assert await asyncio.get_running_loop().run_in_executor(None, sock.recv, 10) == b""
        server.stop()

    run(main)
    assert [r for r in caplog.records if r.exc_info]
