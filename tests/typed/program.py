"""What the documentation's programs do, in one: lines over TCP, HTTP, a periodic call, a child process."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.options import define, options, parse_command_line
from tornado.process import Subprocess
from tornado.tcpclient import TCPClient
from tornado.tcpserver import TCPServer
from tornado.web import Application, HTTPError, RequestHandler, url

define("port", default=8888, help="port to listen on", type=int)


class LineServer(TCPServer):
    def __init__(self, greeting: bytes) -> None:
        super().__init__(max_buffer_size=1 << 20)
        self.greeting = greeting

    async def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        await stream.write(self.greeting)
        try:
            while True:
                line = await stream.read_until(b"\n", max_bytes=4096)
                if not line.strip():
                    break
                await stream.write(line.upper())
        except StreamClosedError as exc:
            print(address[0], exc.real_error)
        finally:
            stream.close()


class MainHandler(RequestHandler):
    def initialize(self, lines: int) -> None:
        self.lines = lines

    def prepare(self) -> None:
        self.set_header("X-Lines", self.lines)

    async def get(self, name: str) -> None:
        count: str = self.get_argument("count", "1")
        if not count.isdigit():
            raise HTTPError(400, "no number: %s", count)
        answer: bytes = await ask(name.encode(), options.port + 1)
        self.write({"answer": answer.decode(), "agent": self.request.headers.get("User-Agent", "")})
        await self.flush()
        await self.finish()


async def ask(line: bytes, port: int) -> bytes:
    stream = await TCPClient().connect("127.0.0.1", port)
    stream.set_nodelay(True)
    await stream.read_bytes(3, partial=True)
    future: asyncio.Future[None] = stream.write(line + b"\n")
    await future
    return await stream.read_until_regex(rb"\r?\n")


def plain(request: HTTPServerRequest) -> None:
    assert request.connection is not None
    headers = HTTPHeaders({"Content-Length": "2"})
    for name, value in request.headers.get_all():
        headers.add("X-Seen", f"{name}={value}")
    request.connection.write_headers(ResponseStartLine("", 200, "OK"), headers, b"ok")
    request.connection.finish()


async def child() -> int:
    process = Subprocess(["echo", "hello"], stdout=Subprocess.STREAM)
    output: bytes = await process.stdout.read_until_close()
    print(output.decode())
    return await process.wait_for_exit(raise_error=False)


def main() -> None:
    parse_command_line()
    loop = IOLoop.current()
    LineServer(b"hi\n").listen(options.port + 1)
    app = Application([url(r"/(\w+)", MainHandler, {"lines": 3}, name="main")], debug=True)
    server: HTTPServer = app.listen(options.port, xheaders=True)
    HTTPServer(plain, idle_connection_timeout=5.0).add_sockets(bind_sockets(0, "127.0.0.1"))
    PeriodicCallback(lambda: print(loop.time()), 1000, jitter=0.1).start()
    loop.add_callback(child)
    loop.call_later(60, server.stop)
    signal.signal(signal.SIGTERM, lambda number, frame: loop.add_callback_from_signal(loop.stop))
    loop.start()


if __name__ == "__main__":
    main()
