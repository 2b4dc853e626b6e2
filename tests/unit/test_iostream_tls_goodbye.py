"""TLS ends with close_notify wherever we end a connection, so that a client can tell the end from a cut. What
a client does then, or while its refused request is dropped, is not worth a line in the log."""

import asyncio
import logging
import os
import socket
import ssl
import subprocess
import threading

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.iostream_tls_tools import server_context
from support.iostream_world import turns
from support.live_http import Overridden, raw_ok, serving, wait_for
from support.live_tcp import TLS
from tornado_c.httpserver import HTTPServer

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def regular_end(sock):
    """All that comes; SSLEOFError where the end is none of TLS's."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def connect(address):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = socket.create_connection(address, timeout=20)
    return context.wrap_socket(sock, suppress_ragged_eofs=False)


@pytest.fixture(params=["native", "delegates"])
def server(request, caplog):
    """An HTTP server over TLS that logs nothing but refusals."""
    kind = HTTPServer if request.param == "native" else Overridden

    def answer(request):
        raw_ok(request, b"hello")

    def make():
        return kind(answer, ssl_options=TLS, max_body_size=1000, linger_timeout=5)

    with serving(answer, make=make) as server:
        yield server
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


# --------------------------------------------------------------------------- streams


@pytest.mark.parametrize("closing", ["server", "client"])
def test_close(our_tls, closing):
    async def main():
        server, client = await our_tls.pair()
        await server.write(b"hello")
        ending, other = (server, client) if closing == "server" else (client, server)
        ending.close()
        with pytest.raises(our_tls.module.StreamClosedError) as caught:
            await other.read_bytes(100)
        assert caught.value.real_error is None

    our_tls.run(main)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_close_seen_by_the_ssl_module(our_tls, version):
    async def main():
        context = server_context(our_tls.folder)
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        ready = asyncio.ensure_future(our_tls.accepted(context))
        loop = asyncio.get_running_loop()
        sock = await loop.run_in_executor(None, connect, ("127.0.0.1", our_tls.port))
        server = await ready
        await server.wait_for_handshake()
        await server.write(b"hello")
        server.close()
        with sock:
            assert await loop.run_in_executor(None, regular_end, sock) == b"hello"

    our_tls.run(main)


def test_a_cut_does_not_look_regular(our_tls):
    """Where bytes are lost by the close, the peer must be able to tell."""

    async def main():
        ready = asyncio.ensure_future(our_tls.accepted(server_context(our_tls.folder)))
        loop = asyncio.get_running_loop()
        sock = await loop.run_in_executor(None, connect, ("127.0.0.1", our_tls.port))
        server = await ready
        await server.wait_for_handshake()
        server.write(bytes(20_000_000))
        assert server.writing()
        server.close()
        with sock, pytest.raises((ssl.SSLError, ConnectionResetError)):
            await loop.run_in_executor(None, regular_end, sock)

    our_tls.run(main)


def test_close_never_waits(our_tls):
    """The peer reads nothing, and its window is full; or it has gone."""

    async def main():
        server, client = await our_tls.pair()
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server.write(bytes(1 << 20))
        server.close()
        client.close()
        server, client = await our_tls.pair()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await asyncio.sleep(0.01)
        server.close()
        server, client = await our_tls.pair()
        os.close(client.socket.detach())
        await turns()
        server.close()

    our_tls.run(main)


def test_close_during_the_handshake(our_tls):
    async def main():
        with socket.create_connection(("127.0.0.1", our_tls.port)) as sock:
            server = await our_tls.accepted(server_context(our_tls.folder))
            await turns()
            server.close()
            sock.settimeout(10)
            assert await asyncio.get_running_loop().run_in_executor(None, sock.recv, 100) == b""

    our_tls.run(main)


def test_a_forked_child_says_nothing(our_tls):
    """It closes what it inherited; the parent's connection goes on."""

    async def main():
        server, client = await our_tls.pair()
        child = os.fork()
        if child == 0:
            try:
                server.close()
            finally:
                os._exit(0)
        await asyncio.get_running_loop().run_in_executor(None, os.waitpid, child, 0)
        await server.write(b"still here")
        assert await client.read_bytes(10) == b"still here"

    our_tls.run(main)


def test_goodbye_answered(our_tls):
    """The peer says goodbye first, and gets an answer: unwrap() waits for it."""

    async def main():
        ready = asyncio.ensure_future(our_tls.accepted(server_context(our_tls.folder)))
        loop = asyncio.get_running_loop()
        sock = await loop.run_in_executor(None, connect, ("127.0.0.1", our_tls.port))
        server = await ready
        await server.wait_for_handshake()
        reading = server.read_until_close()
        await loop.run_in_executor(None, sock.sendall, b"hello")
        plain = await loop.run_in_executor(None, sock.unwrap)
        plain.close()
        assert await reading == b"hello"

    our_tls.run(main)


# --------------------------------------------------------------------------- HTTP


def test_last_response(server):
    with connect(server.address) as sock:
        sock.sendall(GET)
        assert regular_end(sock).endswith(b"hello")


def test_server_ends(server):
    with connect(server.address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).endswith(b"hello")
        server.call(lambda: server.server.close_all_connections())
        assert regular_end(sock) == b""


BAD = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"no HTTP at all\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 70_000,
]


@pytest.mark.parametrize("head", BAD, ids=["body", "length", "malformed", "long head"])
@pytest.mark.parametrize("more", [0, 1000, 1_000_000], ids=str)
def test_refused(server, head, more):
    """The answer arrives, and the end is TLS's, whatever the client goes on sending."""
    with connect(server.address) as sock:
        sock.sendall(head + bytes(more))
        said = regular_end(sock)
        assert said.startswith(b"HTTP/1.1 4")
        with pytest.raises((OSError, ValueError)):  # the server's side of it is closed in time
            while True:
                sock.sendall(bytes(65536))
                sock.unwrap()


@pytest.mark.parametrize("head", BAD, ids=["body", "length", "malformed", "long head"])
def test_refused_and_gone(server, head):
    """Clients that answer with alerts, or with a reset."""
    for end in (b"\x15\x03\x03\x00\x02\x02\x32", b"no record", b""):
        sock = connect(server.address)
        sock.sendall(head)
        sock.recv(1000)
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        with raw:
            raw.sendall(end)
            if not end:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
    wait_for(lambda: server.call(lambda: not list(server.server._connections)))


@pytest.mark.parametrize("when", ["in time", "before the body is read"])
def test_a_response_before_the_body(when, caplog):
    """A delegate that answers early: the rest is dropped, record by record."""
    from tornado_c import httputil

    caplog.set_level(logging.INFO)

    class Early(httputil.HTTPMessageDelegate, httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            self.connection = request_conn
            return self

        def headers_received(self, start_line, headers):
            self.connection.write_headers(
                httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
                httputil.HTTPHeaders({"Content-Length": "5"}),
                b"early",
            )
            self.connection.finish()
            return asyncio.sleep(0.01) if when == "before the body is read" else None

    def chunked(size):
        return b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))

    with serving(Early(), ssl_options=TLS) as server:
        for head, body in (
            (b"Content-Length: 300000", bytes(300_000)),
            (b"Transfer-Encoding: chunked", chunked(300_000)),
        ):
            with connect(server.address) as sock:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n")
                sock.sendall(body[:1000])
                assert sock.recv(1000).endswith(b"early")
                sock.sendall(body[1000:])
                assert regular_end(sock) == b""
        wait_for(lambda: server.call(lambda: not list(server.server._connections)))
    assert [r for r in caplog.records if r.name.startswith("tornado")] == []


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("head", [GET, *BAD], ids=["", "body", "length", "malformed", "long head"])
def test_openssl(server, head, option, certificates):
    """The program says what it saw of the end."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-ign_eof", option]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=FOREIGN_ENVIRONMENT,
    )
    out, _ = process.communicate(head, timeout=30)
    assert b"HTTP/1.1 " in out
    assert b"unexpected eof" not in out and b"SSL routines" not in out and b"errno" not in out
    assert out.endswith(b"closed\n")


def test_fatal_responses_of_python_clients(server):
    """Many at once, as a scanner makes them."""

    def one():
        with connect(server.address) as sock:
            sock.sendall(BAD[0] + bytes(100_000))
            regular_end(sock)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: server.call(lambda: not list(server.server._connections)))
