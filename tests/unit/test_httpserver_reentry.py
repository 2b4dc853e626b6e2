"""Callbacks that do what they should not: run the loop in themselves, close in destructors, feed by hand."""

import asyncio
import gc
import http.client

import pytest

from support.live_http import raw_ok, serving, talk, wait_for
from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders, ResponseStartLine
from tornado_c.iostream import IOStream

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


def run_nested(loop, turns):
    """Some turns of a loop inside a callback of its own, which asyncio itself refuses."""
    asyncio.events._set_running_loop(None)
    try:
        for _ in range(turns):
            loop.call_soon(loop.stop)
            loop._run_once() if hasattr(loop, "_run_once") else None
    finally:
        loop._stopping = False
        asyncio.events._set_running_loop(loop)


def test_a_loop_within_the_callback():
    """Other connections are served meanwhile; this one's next request waits for its answer."""
    order = []

    def callback(request):
        order.append(request.path)
        if request.path == "/outer":
            loop = asyncio.get_running_loop()
            if not hasattr(loop, "_run_once"):
                raw_ok(request, b"/outer")
                return
            run_nested(loop, 20)
        raw_ok(request, request.path.encode())

    with serving(callback) as server, server.connect() as one, server.connect() as two:
        two.send(GET)
        assert two.answer()[1] == b"/"
        one.send(GET.replace(b"/ ", b"/outer ") + GET.replace(b"/ ", b"/next "))
        two.send(GET.replace(b"/ ", b"/two "))
        assert one.answer()[1] == b"/outer"
        assert one.answer()[1] == b"/next"
        assert two.answer()[1] == b"/two"
        assert order.index("/outer") < order.index("/next")


class ClosesWhenDropped:
    def __init__(self, connection):
        self.connection = connection

    def __del__(self):
        self.connection.close()


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_connection_that_is_closed_by_what_its_request_held(late, caplog):
    def answer(request):
        request.mine = ClosesWhenDropped(request.connection)
        raw_ok(request, b"x")

    async def callback(request):
        if late:
            await asyncio.sleep(0)
        answer(request)

    with serving(callback if late else answer) as server:
        assert talk(server.address, GET + GET).startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        wait_for(lambda: server.call(lambda: not server.server._connections))
    assert caplog.text == ""


@pytest.mark.parametrize("big", [False, True])
def test_stream_that_is_closed_by_what_its_request_held(big):
    """While the last of the answer leaves: its close lets go of the connection that is told of it."""
    body = b"x" * (8_000_000 if big else 10)

    class Closes:
        def __init__(self, stream):
            self.stream = stream

        def __del__(self):
            self.stream.close()

    async def callback(request):
        await asyncio.sleep(0)
        request.mine = Closes(request.connection.stream)
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": str(len(body))}), body)
        request.connection.finish()

    with serving(callback) as server:
        assert talk(server.address, GET + GET).partition(b"\r\n\r\n")[2] == body
        wait_for(lambda: server.call(lambda: not server.server._connections))


@pytest.mark.parametrize("nested", [b"n" * 100, b"n" * 15_000, b"n" * 70_000], ids=len)
@pytest.mark.parametrize("size", [15_000, 40_000])
def test_hook_that_writes_to_its_own_stream(size, nested):
    """More is written than is joined, so that the hook is called, and writes, in the middle of an answer."""
    pieces = [bytes([letter]) * size for letter in b"abcdefgh"]

    class Stream(IOStream):
        calls = 0

        def write_to_fd(self, data):
            n = super().write_to_fd(data)
            self.calls += 1
            if self.calls <= 3:
                for _ in range(4):
                    self.write(nested)
            return n

    def callback(request):
        for piece in pieces:
            request.write(piece)
        request.finish()

    class Server(HTTPServer):
        def _handle_connection(self, sock, address):
            self.handle_stream(Stream(sock), address)

    with serving(callback, make=lambda: Server(callback)) as server, server.connect() as client:
        client.send(GET)
        got = client.exactly(len(pieces) * size + 12 * len(nested))
        assert [got.count(piece[:1]) for piece in pieces] == [size] * len(pieces)
        assert got.count(b"n") == 12 * len(nested)
        assert bytes(sorted(got.replace(b"n", b""))) == got.replace(b"n", b"")


def test_headers_that_close_while_they_are_written():
    class Headers(HTTPHeaders):
        def get_all(self):
            connection.append(1)
            requests[-1].connection.close()
            gc.collect()
            return [("X", "y")]

    connection, requests = [], []

    def callback(request):
        requests.append(request)
        request.connection.write_headers(OK, Headers(), b"x")
        request.finish()

    with serving(callback) as server:
        assert talk(server.address, GET + GET) == b""
    assert connection == [1] and len(requests) == 1


def test_headers_that_finish_another_request_while_they_are_written():
    waiting = []

    class Headers(HTTPHeaders):
        def get_all(self):
            other = waiting.pop()
            other.connection.write_headers(OK, HTTPHeaders({"Content-Length": "5", "Of": "other"}), b"other")
            other.finish()
            return [("Content-Length", "4"), ("Of", "mine")]

    def callback(request):
        if request.path == "/wait":
            waiting.append(request)
            return
        request.connection.write_headers(OK, Headers({"Content-Length": "4"}), b"mine")
        request.finish()

    with serving(callback) as server, server.connect() as one, server.connect() as two:
        one.send(GET.replace(b"/ ", b"/wait "))
        wait_for(lambda: waiting)
        two.send(GET)
        assert two.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nOf: mine\r\n\r\n", b"mine")
        assert one.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nOf: other\r\n\r\n", b"other")


def test_bytes_fed_by_hand_leave_no_trace():
    """What _feed cannot use is not kept, nor remembered as looked at."""
    with serving(lambda request: raw_ok(request, b"x")) as server, server.connect() as client:
        [connection] = wait_for(lambda: server.call(lambda: list(server.server._connections)))
        assert server.call(connection._feed, b"GET / HTTP/1.1\r\nHost: " + b"a" * 100) == 0
        assert client.send(b"GE").send(GET[2:]).answer()[1] == b"x"


def test_http_client():
    with serving(lambda request: raw_ok(request, request.method.encode() + request.body)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for method, body in (("GET", None), ("POST", b"one"), ("PUT", iter([b"two", b"three"]))):
            client.request(method, "/", body, encode_chunked=True)
            answer = client.getresponse()
            expected = {"GET": b"GET", "POST": b"POSTone", "PUT": b"PUTtwothree"}[method]
            assert (answer.status, answer.read()) == (200, expected)
        client.close()
