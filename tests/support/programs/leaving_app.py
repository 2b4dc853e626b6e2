"""Servers whose handlers end, block or fork right after they have written: `python leaving_app.py PACKAGE`
forks one for each line of its input, which prints its process id and its ports. Every handler says in its
answer which request it answers."""

import asyncio
import importlib
import os
import sys
import time

package = sys.argv[1]
httpserver, httputil, ioloop, iostream, netutil, tcpserver, web = (
    importlib.import_module(f"{package}.{name}")
    for name in ("httpserver", "httputil", "ioloop", "iostream", "netutil", "tcpserver", "web")
)

OK = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")


def end_process():
    os._exit(0)


def execute():
    os.execv(sys.executable, [sys.executable, "-c", "pass"])


def block():
    time.sleep(3600)


def fork_and_exit():
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def fork_and_return():
    """The child goes on with the parent's loop, until it is killed after the test."""
    os.fork()


AFTERWARDS = {f.__name__: f for f in (end_process, execute, block, fork_and_exit, fork_and_return)}


def afterwards(request):
    AFTERWARDS.get(request.headers.get("Then", ""), lambda: None)()


class Finish(web.RequestHandler):
    def get(self, n):
        self.finish(n)
        afterwards(self.request)


class FinishAsync(web.RequestHandler):
    async def get(self, n):
        self.write(n)
        await self.finish()
        afterwards(self.request)


class Flush(web.RequestHandler):
    def get(self, n):
        self.set_header("Content-Length", "10")
        self.write(n)
        self.flush()
        afterwards(self.request)


class Native(web.RequestHandler):
    """request.connection's own interface."""

    def get(self, n):
        self._finished = True
        self._auto_finish = False
        connection = self.request.connection
        connection.write_headers(OK, httputil.HTTPHeaders({"Content-Length": str(len(n))}))
        connection.write(n.encode())
        connection.finish()
        afterwards(self.request)


class Big(web.RequestHandler):
    """More than the kernel takes at once."""

    def get(self):
        self.finish(b"x" * 8_000_000)


class Child(web.RequestHandler):
    """A child answers, and its parent does not."""

    def get(self):
        if os.fork() == 0:
            self.finish("child")
            os._exit(0)
        self._auto_finish = False


application = web.Application(
    [
        (r"/finish/(.*)", Finish),
        (r"/async/(.*)", FinishAsync),
        (r"/flush/(.*)", Flush),
        (r"/native/(.*)", Native),
        (r"/big", Big),
        (r"/child", Child),
    ]
)


class Delegates(httputil.HTTPServerConnectionDelegate):
    def start_request(self, server_conn, request_conn):
        return application.start_request(server_conn, request_conn)


class Lines(tcpserver.TCPServer):
    """Answers each line with itself; one that names something to be done has that done afterwards."""

    async def handle_stream(self, stream, address):
        stream.set_nodelay(True)
        try:
            while True:
                line = await stream.read_until(b"\n")
                await stream.write(line)
                AFTERWARDS.get(line.strip().decode(), lambda: None)()
        except iostream.StreamClosedError:
            pass


async def main():
    ports = []
    servers = [httpserver.HTTPServer(application), httpserver.HTTPServer(Delegates()), Lines()]
    for server in servers:
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        ports.append(sockets[0].getsockname()[1])
    print(os.getpid(), *ports, flush=True)
    await asyncio.Event().wait()


for _ in sys.stdin:
    if os.fork() == 0:
        os.setsid()
        run = asyncio.run if package == "tornado" else importlib.import_module(package).run
        run(main())
