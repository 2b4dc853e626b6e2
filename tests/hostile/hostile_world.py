"""The live objects that a program of hostile steps works on: a loop and, by groups, what hangs on it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tornado_c
from tornado_c import (
    _core,
    http1connection,
    httpserver,
    httputil,
    iostream,
    netutil,
    options,
    routing,
    tcpclient,
    tcpserver,
    web,
)
from tornado_c.ioloop import IOLoop, PeriodicCallback

EventLoop = type(loop := tornado_c.new_event_loop())
loop.close()
del loop

REQUEST = b"POST /x?a=1&b=%41 HTTP/1.1\r\nHost: a\r\nCookie: c=d\r\n"
REQUEST += b"Content-Type: application/x-www-form-urlencoded\r\n"
REQUEST += b"Content-Length: 7\r\n\r\na=1&b=2"
PLAIN = b"GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def noop(*args: Any, **kwargs: Any) -> None:
    pass


class World:
    """Objects by name. `hurt` says that the loop itself was attacked, so that it need not turn any more."""

    def __init__(self, kind: str = "native") -> None:
        self.loop = tornado_c.new_event_loop() if kind == "native" else asyncio.SelectorEventLoop()
        self.loop.set_exception_handler(self.loop_told)
        asyncio.set_event_loop(self.loop)
        self.objects: dict[str, Any] = {}
        self.peers: list[socket.socket] = []
        self.hurt = False
        self.undo: list[Callable[[], Any]] = []
        self.faults: list[str] = []
        self.sort: Callable[[BaseException, str], None] = lambda exc, place: None

        async def first() -> None:
            self.objects["ioloop"] = IOLoop.current()

        self.loop.run_until_complete(first())
        self.objects["loop"] = self.loop

    def loop_told(self, loop: Any, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        if exc is not None:
            self.sort(exc, "the loop's exception handler")

    def peer(self, sock: socket.socket) -> socket.socket:
        sock.setblocking(False)
        self.peers.append(sock)
        return sock

    def turn(self, count: int = 1) -> None:
        """Turns of the loop, by the functions of its class where Python has replaced them on the instance."""
        cls = type(self.loop)
        for _ in range(count):
            cls.call_soon(self.loop, functools.partial(cls.stop, self.loop))
            cls.run_forever(self.loop)

    def build(self, group: str) -> None:
        if isinstance(self.loop, EventLoop) or group != "loop":
            self.loop.run_until_complete(self._build(group))

    async def _build(self, group: str) -> None:
        GROUPS[group](self)
        for _ in range(4):
            await asyncio.sleep(0)

    def close(self) -> None:
        for undo in reversed(self.undo):
            with contextlib.suppress(BaseException):
                undo()
        self.objects.clear()
        for peer in self.peers:
            with contextlib.suppress(OSError):  # its descriptor may be gone
                peer.close()
        loop, cls = self.loop, type(self.loop)
        with contextlib.suppress(BaseException):
            for task in asyncio.all_tasks(loop):
                task.cancel()
        with contextlib.suppress(BaseException):
            self.turn(2)
        with contextlib.suppress(BaseException):
            cls.close(loop)
        with contextlib.suppress(Exception):
            asyncio.set_event_loop_policy(None)  # it may have been replaced
        IOLoop._ioloop_for_asyncio.clear()


# ---- groups ----


def loop_group(world: World) -> None:
    loop, objects = world.loop, world.objects
    objects["handle"] = loop.call_soon(noop, 1)
    objects["timer"] = loop.call_later(0.0005, noop)
    objects["far timer"] = loop.call_later(100, noop)
    objects["ready"] = getattr(loop, "_ready", None)
    objects["future"] = loop.create_future()
    objects["task"] = loop.create_task(asyncio.sleep(0.001))
    objects["periodic"] = PeriodicCallback(noop, 1)
    sock, peer = socket.socketpair()
    world.peer(peer)
    sock.setblocking(False)
    objects["watched socket"] = sock
    objects["reader"] = loop._add_reader(sock, noop)  # type: ignore[attr-defined]


def stream_group(world: World) -> None:
    objects = world.objects
    sock, peer = socket.socketpair()
    stream = objects["stream"] = iostream.IOStream(sock)
    peer.sendall(b"line one\r\nline two\r\n" * 5)
    world.peer(peer)
    objects["line"] = stream.read_until(b"\r\n")
    objects["written"] = stream.write(b"x" * 10)
    objects["write buffer"] = stream._write_buffer
    full, peer = socket.socketpair()
    full.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    blocked = objects["blocked stream"] = iostream.IOStream(full, max_buffer_size=1_000_000)
    objects["blocked write"] = blocked.write(b"y" * 500_000)
    objects["blocked buffer"] = blocked._write_buffer
    objects["waiting read"] = blocked.read_bytes(100)
    world.peer(peer)


def pipe_group(world: World) -> None:
    reading, writing = os.pipe()
    world.objects["pipe reader"] = iostream.PipeIOStream(reading)
    writer = world.objects["pipe writer"] = iostream.PipeIOStream(writing)
    world.objects["piped"] = world.objects["pipe reader"].read_until_close()
    writer.write(b"abc")
    client = world.objects["unconnected stream"] = iostream.IOStream(socket.socket())
    listener = world.peer(socket.create_server(("127.0.0.1", 0)))
    world.objects["connecting"] = client.connect(listener.getsockname())


def hooked_group(world: World) -> None:
    class Hooked(iostream.IOStream):
        def read_from_fd(self, buf: Any) -> Any:
            return super().read_from_fd(buf)

        def write_to_fd(self, data: Any) -> Any:
            return super().write_to_fd(data)

    sock, peer = socket.socketpair()
    stream = world.objects["stream"] = Hooked(sock)
    world.peer(peer)
    world.objects["read"] = stream.read_until_regex(b"x+y")
    stream.write(b"abc")


def tls_group(world: World) -> None:
    server, client = tls_contexts()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    one = server.wrap_socket(left, server_side=True, do_handshake_on_connect=False)
    world.objects["stream"] = iostream.SSLIOStream(one)
    world.objects["tls client"] = iostream.SSLIOStream(right, ssl_options=client)
    listener = tcpserver.TCPServer(ssl_options=server)
    world.objects["tcp server"] = listener
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    world.objects["tls memory"] = _core.TLSMemory(incoming, outgoing)
    world.objects["tls object"] = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    for name in ("stream", "tls client"):
        with contextlib.suppress(Exception):
            world.objects[name + "'s read"] = world.objects[name].read_bytes(10)
            world.objects[name].write(b"abc")


def headers_group(world: World) -> None:
    headers = world.objects["headers"] = httputil.HTTPHeaders({"A": "1", "Content-Length": "5"})
    headers.add("Set-Cookie", "a=b")
    headers.add("Set-Cookie", "c=d")
    world.objects["parsed headers"] = httputil.HTTPHeaders.parse("A: b\r\nC: d\r\nA: e\r\n")
    world.objects["walk"] = headers.get_all()
    world.objects["names"] = iter(headers)
    request = world.objects["request"] = httputil.HTTPServerRequest(
        "POST", "/a?b=c", headers=headers, body=b"a=1", host="a", connection=None
    )
    world.objects["arguments"] = request.arguments
    world.objects["start line"] = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
    world.objects["answer line"] = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
    world.objects["file"] = httputil.HTTPFile(filename="a", body=b"b", content_type="c")


def _serve(world: World, served: Any, **settings: Any) -> socket.socket:
    server = world.objects["server"] = httpserver.HTTPServer(served, **settings)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    server.add_sockets([listener])
    peer = socket.create_connection(listener.getsockname())
    peer.sendall(REQUEST)
    return world.peer(peer)


def callback_group(world: World) -> None:
    def callback(request: Any) -> None:
        objects = world.objects
        objects["request"], objects["connection"] = request, request.connection
        objects["headers"], objects["stream"] = request.headers, request.connection.stream
        objects["context"] = request.connection.context
        if request.uri != "/x?a=1&b=%41":
            request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            request.connection.finish()

    _serve(world, callback)
    world.objects["config"] = world.objects["server"]._config
    sock, peer = socket.socketpair()
    raw = world.objects["bare connection"] = httpserver.HTTPConnection(
        iostream.IOStream(sock), None, callback
    )
    world.objects["bare stream"] = raw.stream
    world.peer(peer)
    with contextlib.suppress(Exception):
        extra = socket.create_server(("127.0.0.1", 0))
        extra.setblocking(False)
        world.objects["listener"] = _core.HTTPListener(
            world.objects["ioloop"]._core, world.objects["config"], extra, world.objects["server"]
        )


def web_group(world: World) -> None:
    objects = world.objects

    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            objects["handler"], objects["request"] = self, self.request
            objects["connection"] = self.request.connection
            objects["stream"] = self.request.connection.stream
            objects["headers"] = self._headers
            task = asyncio.current_task()
            objects["task"] = task
            if task is not None:
                objects["execution"] = task.get_coro()
            objects["gate"] = asyncio.get_running_loop().create_future()

        async def post(self) -> None:
            self.write("first")
            await objects["gate"]

        get = post

    app = objects["application"] = web.Application([("/x", Handler, {}, "x"), ("/plain/(.*)", Handler)], a=1)
    objects["router"] = app.default_router
    objects["rule"] = app.wildcard_router.rules[0]
    objects["matcher"] = objects["rule"].matcher
    _serve(world, app)


def delegate_group(world: World) -> None:
    objects = world.objects

    class Message(httputil.HTTPMessageDelegate):
        def headers_received(self, start_line: Any, headers: Any) -> Any:
            objects["start line"], objects["headers"] = start_line, headers
            return asyncio.sleep(0)

        def data_received(self, chunk: bytes) -> Any:
            objects["gate"] = asyncio.get_running_loop().create_future()
            return objects["gate"]

    class Server(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            objects["server connection"], objects["connection"] = server_conn, request_conn
            objects["stream"] = request_conn.stream
            objects["delegate"] = Message()
            return objects["delegate"]

    _serve(world, Server())
    sock, peer = socket.socketpair()
    stream = iostream.IOStream(sock)
    objects["reader"] = _core.HTTPReader(stream, False, 10000, 65536)
    objects["reader's stream"] = stream
    objects["head"] = objects["reader"].read_head(10.0)
    world.peer(peer)


def client_group(world: World) -> None:
    sock, peer = socket.socketpair()
    stream = world.objects["stream"] = iostream.IOStream(sock)
    connection = world.objects["connection"] = http1connection.HTTP1Connection(stream, True)
    connection.write_headers(
        httputil.RequestStartLine("GET", "/", ""), httputil.HTTPHeaders({"Host": "a"}), b""
    )
    world.objects["response"] = asyncio.ensure_future(
        connection.read_response(httputil.HTTPMessageDelegate())
    )
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    world.peer(peer)
    world.objects["client"] = tcpclient.TCPClient()
    world.objects["resolver"] = netutil.Resolver()


def transport_group(world: World) -> None:
    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            world.objects["transport"] = transport
            transport.write(b"hello")

    sock, peer = socket.socketpair()
    peer.sendall(b"abc")
    world.peer(peer)
    world.objects["protocol"] = Protocol()
    world.objects["making"] = world.loop.create_task(
        world.loop.create_connection(lambda: world.objects.get("protocol"), sock=sock)
    )


def cold_group(world: World) -> None:
    parser = world.objects["options"] = options.OptionParser()
    parser.define("name", default=1, type=int, help="x", group="g", callback=noop)
    parser.define("many", default=["a"], type=str, multiple=True)
    world.objects["mockable options"] = parser.mockable()
    world.objects["router"] = routing.ReversibleRuleRouter([(routing.PathMatches("/a/(.*)"), noop, {}, "a")])
    world.objects["matcher"] = routing.PathMatches("/b/(?P<c>.*)")
    world.objects["url"] = routing.URLSpec("/c/([a-z]+)", web.RequestHandler, {"d": 1}, name="e")
    server = world.objects["tcp server"] = tcpserver.TCPServer()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    server.add_socket(listener)
    world.peer(socket.create_connection(listener.getsockname()))


GROUPS: dict[str, Callable[[World], None]] = {
    "loop": loop_group,
    "stream": stream_group,
    "pipe": pipe_group,
    "hooked": hooked_group,
    "tls": tls_group,
    "headers": headers_group,
    "callback": callback_group,
    "web": web_group,
    "delegate": delegate_group,
    "client": client_group,
    "transport": transport_group,
    "cold": cold_group,
}


@functools.cache
def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and one of a client that trusts nobody and takes everybody."""
    folder = Path(tempfile.gettempdir()) / f"tornado_c-hostile-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not certificate.exists():
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        made = [path.with_suffix(f".{os.getpid()}") for path in (key, certificate)]
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650"
        command += " -subj /CN=localhost"
        subprocess.run(
            [*command.split(), "-keyout", made[0], "-out", made[1]],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        made[0].rename(key)
        made[1].rename(certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


def in_thread(build: Callable[[], World]) -> World:
    """A world that another thread has made and left."""
    made: list[World] = []
    thread = threading.Thread(target=lambda: made.append(build()))
    thread.start()
    thread.join()
    return made[0]


def plain_request_is_served() -> None:
    """On a new loop, a new server: what was done before has not hurt what all share."""
    asyncio._set_running_loop(None)  # the end of a run may have been replaced by what raises
    world = World()
    try:

        def callback(request: Any) -> None:
            request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            request.connection.finish()

        async def main() -> bytes:
            server = httpserver.HTTPServer(callback)
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            server.add_sockets([listener])
            with socket.create_connection(listener.getsockname()) as sock:
                sock.setblocking(False)
                sock.sendall(PLAIN)
                answer = b""
                while data := await asyncio.get_running_loop().sock_recv(sock, 1000):
                    answer += data
            server.stop()
            return answer

        answer = world.loop.run_until_complete(asyncio.wait_for(main(), 10))
        assert answer.endswith(b"\r\n\r\nok"), answer
    finally:
        world.close()


if sys.flags.dev_mode:
    import warnings

    warnings.simplefilter("ignore")
