"""What WebSocket leaves behind: handshakes accepted and refused, connections that end in every way."""

import asyncio
import contextlib
import logging
from functools import partial

from harness import check, main

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, RequestHandler
from tornado_c.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

logging.getLogger("tornado").addHandler(logging.NullHandler())
logging.getLogger("tornado").propagate = False

loop = IOLoop(make_current=True)
HEAD = (
    b"GET /%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
HELLO = b"\x81\x85\0\0\0\0hello"
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class Echo(WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message)


class Slow(Echo):
    async def prepare(self):
        await asyncio.sleep(0)

    async def open(self):
        await asyncio.sleep(0)

    async def on_message(self, message):
        await asyncio.sleep(0)
        await self.write_message({"said": message})


class Around(Echo):
    async def get(self):
        await super().get()


class Bad(Echo):
    def open(self):
        raise ValueError("in open")


class Worse(Echo):
    def on_message(self, message):
        raise ValueError("in on_message")


class Plain(RequestHandler):
    def get(self):
        self.write("no")


HANDLERS = {"echo": Echo, "slow": Slow, "around": Around, "bad": Bad, "worse": Worse, "plain": Plain}


class Delegating(HTTPServer):
    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)


PORTS = {}
for way, cls in (("native", HTTPServer), ("delegates", Delegating)):
    sockets = bind_sockets(0, "127.0.0.1")
    cls(Application([(f"/{path}", handler) for path, handler in HANDLERS.items()])).add_sockets(sockets)
    PORTS[way] = sockets[0].getsockname()[1]


def talk(port, *pieces, read=True):
    async def run():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        try:
            while read and await reader.read(65536):
                pass
        except ConnectionError:
            pass
        if not read:
            writer.transport.abort()
        writer.close()
        for _ in range(3):
            await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)


def connect(port, path, **options):
    async def run():
        try:
            connection = await websocket_connect(f"ws://127.0.0.1:{port}/{path}", **options)
        except Exception:
            return
        answer = None
        for message in ("hello", "x" * 70_000):
            with contextlib.suppress(WebSocketClosedError):
                connection.write_message(message)
                answer = await connection.read_message()
        connection.close(1000, "bye")
        while answer is not None:
            answer = await connection.read_message()
        for _ in range(3):
            await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)


DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
SCENARIOS = {
    **{
        f"{path}, closed": [HEAD % (path.encode(), b""), HELLO, CLOSE] for path in HANDLERS if path != "plain"
    },
    "with the handshake": [HEAD % (b"echo", b"") + HELLO * 5 + CLOSE],
    "deflate is offered": [HEAD % (b"echo", DEFLATE) + CLOSE],
    "bad deflate": [HEAD % (b"echo", DEFLATE), b"\xc1\x82\0\0\0\0\xff\xff"],
    "bad frame": [HEAD % (b"echo", b""), b"\x83\x80\0\0\0\0"],
    "another origin": [HEAD % (b"echo", b"Origin: http://b\r\n") + b"GET / HTTP/1.0\r\n\r\n"],
    "bad key": [HEAD.replace(b"dGhl", b"") % (b"echo", b"") + b"GET / HTTP/1.0\r\n\r\n"],
}

if __name__ == "__main__":
    for way, port in PORTS.items():
        for name, pieces in SCENARIOS.items():
            check(f"websocket, {way}: {name}", partial(talk, port, *pieces), repeats=10)
        for path in ("echo", "slow", "around"):
            pieces = [HEAD % (path.encode(), b""), HELLO]
            check(f"websocket, {way}: {path}, reset", partial(talk, port, *pieces, read=False), repeats=10)
        for path in HANDLERS:
            check(f"websocket, {way}: client of {path}", partial(connect, port, path), repeats=10)
        check(
            f"websocket, {way}: compressed",
            partial(connect, port, "echo", compression_options={}),
            repeats=10,
        )
    main()
