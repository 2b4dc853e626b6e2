"""Clients of a live HTTPServer: those that vanish, those that read slowly, and programs."""

import shutil
import socket
import subprocess

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.live_http import Client, raw_ok, serving, wait_for
from tornado_c.httputil import HTTPHeaders, ResponseStartLine
from tornado_c.iostream import StreamClosedError

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


# ---- clients that vanish ----

HANDLED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("at", [0, 1, 20, len(HANDLED) - 6, len(HANDLED) - 5, len(HANDLED) - 1])
def test_client_that_vanishes_before_the_request_is_whole(at, reset, caplog):
    called = []
    with serving(called.append) as server:
        client = server.connect().send(HANDLED[:at])
        wait_for(lambda: server.call(lambda: len(server.server._connections)) == 1)
        client.reset() if reset else client.sock.close()
        wait_for(lambda: server.call(lambda: not server.server._connections))
    assert called == [] and caplog.text == ""


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_client_that_vanishes_while_it_is_served(reset, caplog):
    events, requests = [], []

    def callback(request):
        requests.append(request)
        request.connection.set_close_callback(lambda: events.append("closed"))

    with serving(callback) as server:
        client = server.connect().send(GET)
        wait_for(lambda: requests)
        client.reset() if reset else client.sock.close()
        wait_for(lambda: events)
        # Answering a client that is gone is no error.
        server.call(raw_ok, requests[0], b"x")
        future = server.call(lambda: requests[0].connection.write(b"x"))
        assert isinstance(future.exception(), StreamClosedError)
        server.call(requests[0].write, b"x")
        server.call(requests[0].finish)
        server.call(requests[0].connection.set_close_callback, lambda: events.append("again"))
        assert server.call(lambda: server.server._connections) == set()
    assert events == ["closed"] and caplog.text == ""


def test_close_callback_is_not_called_after_the_response():
    events = []

    def callback(request):
        request.connection.set_close_callback(lambda: events.append("closed"))
        raw_ok(request, b"x")

    with serving(callback) as server:
        with server.connect() as client:
            assert client.send(GET).answer()[1] == b"x"
        wait_for(lambda: server.call(lambda: not server.server._connections))
        server.call(lambda: None)
    assert events == []


@pytest.mark.parametrize("wrong", [5, "x"])
def test_close_callback_must_be_callable(wrong):
    raised = []

    def callback(request):
        try:
            request.connection.set_close_callback(wrong)
        except TypeError as exc:
            raised.append(exc)
        request.connection.set_close_callback(None)
        raw_ok(request, b"x")

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).answer()[1] == b"x"
    assert len(raised) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_client_that_vanishes_during_the_response(reset, caplog):
    outcome = []

    async def callback(request):
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": str(1 << 40)}))
        try:
            while True:
                await request.connection.write(b"x" * 100_000)
        except StreamClosedError as exc:
            outcome.append(exc)

    with serving(callback) as server:
        client = server.connect().send(GET)
        client.exactly(300_000)
        client.reset() if reset else client.sock.close()
        wait_for(lambda: outcome)
        wait_for(lambda: server.call(lambda: not server.server._connections))
    assert caplog.text == ""


# ---- slow readers ----


def test_slow_reader_holds_the_producer_back():
    unsent, pieces = [], 200

    async def callback(request):
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": str(pieces * 100_000)}))
        request.connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        for i in range(pieces):
            await request.connection.write(b"%05d" % i * 20_000)
            unsent.append(i)
        request.connection.finish()

    with serving(callback) as server, Client(server.address, receive_buffer=65536) as client:
        client.send(GET)
        client.until(b"\r\n\r\n")
        for _ in range(20):
            server.call(lambda: None)
        assert len(unsent) < pieces // 2  # the rest of it waits for the client
        body = client.exactly(pieces * 100_000)
        assert body == b"".join(b"%05d" % i * 20_000 for i in range(pieces))
        assert client.send(GET).until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("size", [15_000, 60_000, 5_000_000])
@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
def test_slow_reader_gets_all_of_it(size, connection):
    """Also what is closed at once is sent whole first; pipelined requests wait for a reader."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n" % connection
    count = 1 if connection == b"close" else 20
    called = []

    def callback(request):
        stream = request.connection.stream
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        called.append(1)
        headers = HTTPHeaders({"Content-Length": str(size)})
        request.connection.write_headers(OK, headers)
        for at in range(0, size, 10_000):
            request.connection.write(b"y" * min(10_000, size - at))
        request.connection.finish()

    with serving(callback) as server, Client(server.address, receive_buffer=4096) as client:
        client.send(data * count)
        wait_for(lambda: called)
        for _ in range(10):
            server.call(lambda: None)
        if size == 5_000_000:
            assert len(called) == 1  # a second answer is not made while the first waits
        for _ in range(count if size < 1_000_000 else 1):
            assert len(client.answer()[1]) == size
        if connection == b"close":
            assert client.rest() == b""


# ---- programs ----


def test_curl():
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("curl is not installed")

    def callback(request):
        head_only = request.method == "HEAD"
        text = f"{request.method} {request.body.decode()}".encode()
        headers = HTTPHeaders({"Content-Length": str(len(text))})
        request.connection.write_headers(OK, headers, b"" if head_only else text)
        request.connection.finish() if not head_only else request.finish()

    def run(*args):
        command = [curl, "-sS", "-i", "--max-time", "20", *args, f"http://127.0.0.1:{server.port}/"]
        done = subprocess.run(command, capture_output=True, timeout=60, env=FOREIGN_ENVIRONMENT)
        assert done.returncode == 0 and done.stderr == b""
        return done.stdout

    with serving(callback) as server:
        assert run("-d", "x=1") == b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nPOST x=1"
        assert run("-I") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        assert run("-0") == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nGET "
        sent = run("-d", "z" * 100_000, "-H", "Expect: 100-continue")
        assert sent.startswith(b"HTTP/1.1 100 (Continue)\r\n\r\n") and sent.endswith(
            b"POST " + b"z" * 100_000
        )


def test_wrk():
    wrk = shutil.which("wrk")
    if not wrk:
        pytest.skip("wrk is not installed")
    with serving(lambda request: raw_ok(request, b"hello")) as server:
        command = [wrk, "-t1", "-c16", "-d1s", f"http://127.0.0.1:{server.port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=FOREIGN_ENVIRONMENT)
        assert done.returncode == 0 and "requests in" in done.stdout
        assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
