"""What static files leave behind: in whole and part, refused, aborted, cut short, compressed."""

import asyncio
import logging
import os
import socket
import tempfile
from functools import partial
from pathlib import Path

from harness import check, main

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, StaticFileHandler

logging.getLogger("tornado").addHandler(logging.NullHandler())
logging.getLogger("tornado").propagate = False

loop = IOLoop(make_current=True)
folder = tempfile.TemporaryDirectory()
ROOT = Path(folder.name)
LARGE = 8_000_000  # bytes


class InPython(StaticFileHandler):
    @classmethod
    def get_content(cls, abspath, start=None, end=None):
        return super().get_content(abspath, start, end)


class Failing(StaticFileHandler):
    def set_extra_headers(self, path):
        raise ValueError("mine")


class Overridden(HTTPServer):
    """Served by HTTP1ServerConnection."""

    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)


def reset_files():
    (ROOT / "small.txt").write_bytes(b"0123456789" * 200)
    with open(ROOT / "large.bin", "wb") as file:
        file.truncate(LARGE)


reset_files()
(ROOT / "link.txt").symlink_to(ROOT / "small.txt")
RULES = [
    ("/python/(.*)", InPython, {"path": str(ROOT)}),
    ("/failing/(.*)", Failing, {"path": str(ROOT)}),
    ("/(.*)", StaticFileHandler, {"path": str(ROOT)}),
]
application = Application(RULES, compress_response=True)
SERVERS = {}
for way, cls in ("native", HTTPServer), ("overridden", Overridden):
    sockets = bind_sockets(0, "127.0.0.1")
    server = cls(application)
    server.add_sockets(sockets)
    SERVERS[way] = server, sockets[0].getsockname()


def talk(way, data, read=True, meanwhile=None):
    server, address = SERVERS[way]

    async def run():
        running = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await running.sock_connect(client, address)
            await running.sock_sendall(client, data)
            try:
                await running.sock_recv(client, 100)
                if meanwhile is not None:
                    meanwhile()
                while read and await running.sock_recv(client, 1 << 20):
                    pass
            except ConnectionError:
                pass
        while server._connections:
            await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)


def get(path, *headers, method="GET"):
    lines = [f"{method} /{path} HTTP/1.1", "Host: a", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


SCENARIOS = {
    "whole": get("small.txt"),
    "large": get("large.bin"),
    "through a link": get("link.txt"),
    "part": get("small.txt", "Range: bytes=5-9"),
    "HEAD": get("small.txt", method="HEAD"),
    "304": get("small.txt", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"),
    "416": get("small.txt", "Range: bytes=9999-"),
    "404": get("missing"),
    "403": get("../outside"),
    "compressed": get("small.txt", "Accept-Encoding: gzip"),
    "in Python": get("python/large.bin"),
    "failing": get("failing/small.txt"),
}


def come_and_go():
    """A large file is hashed in a thread for the first request."""
    StaticFileHandler.reset()
    talk("native", get("large.bin", method="HEAD"))


if __name__ == "__main__":
    for way in SERVERS:
        for name, data in SCENARIOS.items():
            check(f"static files, {way}: {name}", partial(talk, way, data), repeats=10)
        for path in ("large.bin", "python/large.bin"):
            leave = partial(talk, way, get(path), read=False)
            check(f"static files, {way}: {path}, aborted", leave, repeats=10)

            def cut(way=way, path=path):
                reset_files()
                talk(way, get(path), meanwhile=lambda: os.truncate(ROOT / "large.bin", 10))

            check(f"static files, {way}: {path}, cut short", cut, repeats=10)
    check("static files: a version", come_and_go, repeats=10)
    for server, _ in SERVERS.values():
        server.stop()
    folder.cleanup()
    main()
