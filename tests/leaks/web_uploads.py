"""What streamed bodies leave behind: uploads that are completed, refused, answered early and broken off."""

import asyncio
import gzip
import logging
import socket
from functools import partial

from harness import check, main

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, HTTPError, RequestHandler, stream_request_body

logging.getLogger("tornado").addHandler(logging.NullHandler())
logging.getLogger("tornado").propagate = False

loop = IOLoop(make_current=True)


@stream_request_body
class Upload(RequestHandler):
    size = 0

    def data_received(self, chunk):
        self.size += len(chunk)

    def post(self):
        self.write(f"{self.size} {self.request.body}")


class Waiting(Upload):
    async def prepare(self):
        await asyncio.sleep(0)

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        self.size += len(chunk)

    async def post(self):
        await asyncio.sleep(0)
        self.write(f"{self.size}")


class Wrapped(Waiting):
    async def _execute(self, *args, **kwargs):
        await super()._execute(*args, **kwargs)


class Refusing(Upload):
    def prepare(self):
        raise HTTPError(401)


class RefusingLate(Upload):
    async def prepare(self):
        await asyncio.sleep(0)
        raise HTTPError(401)


class Answering(Upload):
    def data_received(self, chunk):
        self.finish("enough")


class Raising(Upload):
    def data_received(self, chunk):
        raise ValueError("mine")


class RaisingLate(Upload):
    async def data_received(self, chunk):
        await asyncio.sleep(0)
        raise ValueError("mine")


class Silent(Waiting):
    def on_connection_close(self):
        pass


class Detaching(Upload):
    def prepare(self):
        self.detach().close()


HANDLERS = [
    Upload,
    Waiting,
    Wrapped,
    Refusing,
    RefusingLate,
    Answering,
    Raising,
    RaisingLate,
    Silent,
    Detaching,
]


class Delegating(HTTPServer):
    """Not native: its requests pass through HTTP1ServerConnection."""

    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)


class Around(Application):
    def find_handler(self, request, **kwargs):
        return super().find_handler(request, **kwargs)


SERVERS, WAYS = {}, {}
for way, cls, application in (
    ("native", HTTPServer, Application),
    ("find_handler", HTTPServer, Around),
    ("delegates", Delegating, Application),
):
    sockets = bind_sockets(0, "127.0.0.1")
    rules = [("/" + handler.__name__, handler) for handler in HANDLERS]
    server = cls(application(rules), max_body_size=200_000, decompress_request=True, linger_timeout=0.2)
    server.add_sockets(sockets)
    SERVERS[server], WAYS[server] = sockets[0].getsockname(), way


def talk(server, *pieces, read=True):
    async def run():
        running = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await running.sock_connect(client, SERVERS[server])
            try:
                for piece in pieces:
                    await running.sock_sendall(client, piece)
                    await asyncio.sleep(0)
                while read and await running.sock_recv(client, 65536):
                    pass
            except ConnectionError:
                pass
        while server._connections:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)


def head(name, *lines):
    return "\r\n".join([f"POST /{name} HTTP/1.1", "Host: a", "Connection: close", *lines, "", ""]).encode()


def scenarios(name):
    body, zipped = b"x" * 150_000, gzip.compress(b"x" * 100_000)
    whole = head(name, "Content-Length: 150000") + body
    return {
        "length": [whole],
        "no body": [head(name, "Content-Length: 0")],
        "chunked": [head(name, "Transfer-Encoding: chunked"), b"249f0\r\n" + body + b"\r\n", b"0\r\n\r\n"],
        "too long": [head(name, "Transfer-Encoding: chunked"), b"49f00\r\n", body, body],
        "bad chunk": [head(name, "Transfer-Encoding: chunked"), b"5\r\nhel", b"looo\r\n"],
        "gzip": [head(name, "Content-Encoding: gzip", f"Content-Length: {len(zipped)}") + zipped],
        "pipelined": [whole.replace(b"Connection: close\r\n", b"") * 2 + whole],
    }


def leaving(name):
    return {
        "leaves after the head": [head(name, "Content-Length: 9")],
        "leaves within the body": [head(name, "Content-Length: 9"), b"four"],
        "leaves within a long body": [head(name, "Content-Length: 150000") + b"x" * 140_000],
    }


if __name__ == "__main__":
    for server, way in WAYS.items():
        for handler in HANDLERS[:3] if way == "find_handler" else HANDLERS:
            name = handler.__name__
            for case, pieces in scenarios(name).items():
                check(f"uploads, {way}, {name}: {case}", partial(talk, server, *pieces), repeats=5)
            for case, pieces in leaving(name).items():
                check(
                    f"uploads, {way}, {name}: {case}", partial(talk, server, *pieces, read=False), repeats=5
                )
    for server in SERVERS:
        server.stop()
    main()
