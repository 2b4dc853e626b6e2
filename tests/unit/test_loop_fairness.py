"""A train of small messages does not hold the loop: other clients, and timers, have their turn between."""

import asyncio
import socket
import struct
import sys
import time

import pytest

import tornado_c
from support.iostream_tls_tools import client_context, make_certificates, server_context
from support.live_http import Client, serving
from support.live_tcp import others_end
from tornado_c import ioloop, netutil, web
from tornado_c.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ResponseStartLine,
)
from tornado_c.iostream import StreamClosedError
from tornado_c.tcpserver import TCPServer

COUNT = 300
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


def work():
    """What the application does for each message."""
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass


class Record(list):
    """What was served, in order."""

    def serve(self, name):
        if not self:
            ioloop.IOLoop.current().call_later(0.005, self.append, "timer")
        work()
        self.append(name)

    def check(self):
        assert [name for name in self if name.startswith("/train")] == [f"/train{n}" for n in range(COUNT)]
        last = self.index(f"/train{COUNT - 1}")
        assert self.index("/other") < last and self.index("timer") < last


def callback(record):
    def answer(request):
        record.serve(request.path)
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"ok")
        request.connection.finish()

    return answer


def raw(record):
    def answer(request):
        record.serve(request.path)
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        request.finish()

    return answer


def plain(record):
    class Handler(web.RequestHandler):
        def get(self):
            record.serve(self.request.path)
            self.write("ok")

    return web.Application([(r"/.*", Handler)])


def coroutine(record):
    class Handler(web.RequestHandler):
        async def get(self):
            record.serve(self.request.path)
            self.write("ok")

    return web.Application([(r"/.*", Handler)])


def waiting(record):
    class Handler(web.RequestHandler):
        async def get(self):
            await asyncio.sleep(0)
            record.serve(self.request.path)
            self.write("ok")

    return web.Application([(r"/.*", Handler)])


def delegates(record):
    application = plain(record)

    class Delegates(HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            return application.start_request(server_conn, request_conn)

    return Delegates()


def get(path, length=0):
    body = b"x" * length
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode() + body


def run_clients(train, other, message, answered):
    """Both have sent everything before either reads."""
    train.send(b"".join(message(f"/train{n}") for n in range(COUNT)))
    other.send(message("/other"))
    answered(other)
    for _ in range(COUNT):
        answered(train)


@pytest.mark.parametrize("length", [0, 3], ids=["without a body", "with a body"])
@pytest.mark.parametrize("kind", [callback, raw, plain, coroutine, waiting, delegates])
def test_requests(kind, length):
    record = Record()
    with serving(kind(record)) as server, server.connect() as train, server.connect() as other:
        run_clients(train, other, lambda path: get(path, length), lambda client: client.answer())
    record.check()


@pytest.mark.parametrize("kind", [callback, plain])
def test_requests_over_tls(kind, tmp_path):
    make_certificates(tmp_path)
    trusting = client_context(tmp_path)
    record = Record()
    with serving(kind(record), ssl_options=server_context(tmp_path)) as server:
        clients = [server.connect(), server.connect()]
        for client in clients:
            client.sock = trusting.wrap_socket(client.sock, server_hostname="localhost")
        run_clients(*clients, get, lambda client: client.answer())
        for client in clients:
            client.sock.close()
    record.check()


def test_one_chunk_of_a_body_after_the_other():
    """Pieces of a delegate's body are messages as well."""
    record = Record()

    class Message(HTTPMessageDelegate):
        def __init__(self, connection):
            self.connection, self.n, self.size = connection, 0, 0

        def headers_received(self, start_line, headers):
            self.path = start_line.path

        def data_received(self, chunk):
            assert len(chunk) <= 10
            self.size += len(chunk)
            if self.size >= 10 * (self.n + 1) or not self.n:
                record.serve(f"{self.path}{self.n}")
                self.n += 1

        def finish(self):
            self.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"ok")
            self.connection.finish()

    class Delegates(HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            return Message(request_conn)

    with serving(Delegates(), chunk_size=10) as server, server.connect() as train, server.connect() as other:
        head = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n"
        train.send(head.format("/train", 10 * COUNT).encode() + b"x" * 10 * COUNT)
        other.send(head.format("/other", 1).encode() + b"x")
        assert other.answer()[1] == train.answer()[1] == b"ok"
    record[:] = [name.replace("/other0", "/other") for name in record]
    record.check()


@pytest.mark.parametrize("how", ["read_until", "read_bytes", "read_into", "read_until_regex"])
def test_lines_of_a_stream(how):
    """A coroutine whose reads are all satisfied at once."""
    record = Record()

    class Server(TCPServer):
        async def handle_stream(self, stream, address):
            buffer = bytearray(10)
            try:
                while True:
                    if how == "read_bytes":
                        line = await stream.read_bytes(10)
                    elif how == "read_into":
                        await stream.read_into(buffer)
                        line = bytes(buffer)
                    elif how == "read_until":
                        line = await stream.read_until(b"\n")
                    else:
                        line = await stream.read_until_regex(b" *\n")
                    record.serve(line.strip().decode())
                    await stream.write(line)
            except StreamClosedError:
                pass

    async def main():
        server = Server()
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        address = sockets[0].getsockname()
        await asyncio.to_thread(talk, address)
        await others_end()
        server.stop()

    def talk(address):
        with Client(address) as train, Client(address) as other:
            run_clients(
                train, other, lambda path: path.ljust(9).encode() + b"\n", lambda client: client.exactly(10)
            )

    tornado_c.run(main())
    record.check()


# --------------------------------------------------------------------------- what leaves together


def segments(client):
    """How many segments with data the client has received."""
    return struct.unpack_from("I", client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 152)[0]


def fewest(client, train, size, tries=2000):
    """The fewest segments that a train's answers came in; one that the machine held up comes in more."""
    counts = []
    while len(counts) < tries and 1 not in counts:
        before = segments(client)
        assert len(client.send(train).exactly(size)) == size
        counts.append(segments(client) - before)
    return counts[0], min(counts)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TCP_INFO is Linux's")
def test_sixteen_requests_get_their_responses_in_one_send():
    """Once the application has proved to be quick; until then each answer leaves by itself."""

    def answer(request):
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        request.finish()

    with serving(answer) as server, server.connect() as client:
        first, least = fewest(client, get("/") * 16, 16 * 40)
    assert first > 1 and least == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TCP_INFO is Linux's")
def test_sixteen_lines_are_echoed_in_one_send():
    class Server(TCPServer):
        async def handle_stream(self, stream, address):
            stream.set_nodelay(True)
            try:
                while True:
                    await stream.write(await stream.read_until(b"\n"))
            except StreamClosedError:
                pass

    async def main():
        server = Server()
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        first, least = await asyncio.to_thread(talk, sockets[0].getsockname())
        await others_end()
        server.stop()
        assert first > 1 and least == 1

    def talk(address):
        with Client(address) as client:
            return fewest(client, b"line\n" * 16, 80)

    tornado_c.run(main())
