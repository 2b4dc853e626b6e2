"""Servers in a thread of their own, ours and stock Tornado's, and raw clients for them."""

import asyncio
import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from support.implementations import BOTH, OURS, STOCK, Implementation

PATIENCE = 20.0  # seconds after which a client gives up: a test that waits for it has failed


def _open_ends(address: Any) -> int:
    """How many connections that were accepted at an address are open in this process; 0 without /proc."""
    count = 0
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with contextlib.suppress(OSError):  # no socket, or closed meanwhile
            sock = socket.socket(fileno=int(name))
            try:
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                count += sock.getsockname() == address and not listens
            finally:
                sock.detach()
    return count


class LiveServer:
    """An HTTPServer(callback, **settings) that runs in a thread until stop()."""

    def __init__(
        self,
        callback: Callable[[Any], Any] | None,
        implementation: Implementation = OURS,
        make: Callable[[], Any] | None = None,
        sockets: list[socket.socket] | None = None,
        **settings: Any,
    ) -> None:
        self.app = callback
        self.implementation = implementation
        self.sockets = sockets or implementation.netutil.bind_sockets(0, "127.0.0.1")
        self.address = self.sockets[0].getsockname()
        started: queue.Queue[BaseException | None] = queue.Queue()

        def run() -> None:
            try:
                self.io_loop = implementation.ioloop.IOLoop(make_current=True)
                self.server = make() if make else implementation.httpserver.HTTPServer(callback, **settings)
                self.server.add_sockets(self.sockets)
                self.io_loop.add_callback(started.put, None)
                self.io_loop.start()
                self.io_loop.close()
            except BaseException as exc:
                started.put(exc)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        exc = started.get(timeout=PATIENCE)
        if exc is not None:
            raise exc

    @property
    def port(self) -> int:
        return self.address[1]

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """fn(*args), awaited where it is a coroutine function, in the server's thread."""
        answers: queue.Queue[tuple[bool, Any]] = queue.Queue()

        async def run() -> None:
            try:
                result = fn(*args)
                if asyncio.iscoroutine(result):
                    result = await result
                answers.put((True, result))
            except BaseException as exc:
                answers.put((False, exc))

        self.io_loop.add_callback(run)
        good, result = answers.get(timeout=PATIENCE)
        if not good:
            raise result
        return result

    def stop(self) -> None:
        if not self.thread.is_alive():
            return

        async def end() -> None:
            self.server.stop()
            await self.server.close_all_connections()

        self.call(end)
        self.left(1.0)  # those of clients that have just gone, which are no longer the server's
        self.settle()  # what the closing has queued
        self.io_loop.add_callback(self.io_loop.stop)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def connect(self) -> "Client":
        return Client(self.address)

    def ready(self, data: bytes = b"") -> "Client":
        """A client that has sent its bytes when it is accepted, so that no time limit ends before it has."""
        return self.call(lambda: self.connect().send(data))

    def exchange(self, data: bytes) -> bytes:
        """What the server sends on a connection of its own, which it ends, once it has done with it."""
        answer = talk(self.address, data)
        self.settle()
        return answer

    def left(self, limit: float = PATIENCE) -> None:
        """Wait until none of the server's connections is open, so long at most: their clients have left."""
        end = time.monotonic() + limit
        while _open_ends(self.address) and time.monotonic() < end:
            time.sleep(0.001)

    def settle(self) -> None:
        """Let the loop do what is queued."""
        for _ in range(3):
            self.call(lambda: None)


@contextlib.contextmanager
def serving(
    callback: Callable[[Any], Any], implementation: Implementation = OURS, **settings: Any
) -> Iterator[LiveServer]:
    server = LiveServer(callback, implementation, **settings)
    try:
        yield server
    finally:
        server.stop()


class Client:
    """A raw connection."""

    def __init__(self, address: Any, receive_buffer: int = 0) -> None:
        family = socket.AF_UNIX if isinstance(address, (str, bytes)) else socket.AF_INET
        family = socket.AF_INET6 if isinstance(address, tuple) and len(address) == 4 else family
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(address)
        except BaseException:
            self.sock.close()
            raise
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> "Client":
        self.sock.sendall(data)
        return self

    def reset(self) -> None:
        """Close so that the server sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with mark, or up to the end."""
        while mark not in self.unread:
            data = self._receive()
            if not data:
                data, self.unread = self.unread, b""
                return data
            self.unread += data
        end = self.unread.index(mark) + len(mark)
        data, self.unread = self.unread[:end], self.unread[end:]
        return data

    def exactly(self, size: int) -> bytes:
        while len(self.unread) < size:
            data = self._receive()
            if not data:
                break
            self.unread += data
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        pieces = [self.unread]
        self.unread = b""
        while data := self._receive():
            pieces.append(data)
        return b"".join(pieces)

    def answer(self, head_only: bool = False) -> tuple[bytes, bytes]:
        """One answer with Content-Length or chunks: (head, body)."""
        head = self.until(b"\r\n\r\n")
        lower = head.lower()
        if head_only:
            return head, b""
        if b"transfer-encoding: chunked" in lower:
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
            return head, body
        length = lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head, self.exactly(int(length or 0))

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(262144)
        except ConnectionError:
            return b""


def talk(address: Any, data: bytes, pieces: int = 0) -> bytes:
    """What the server sends until it closes; data goes in pieces of that many bytes."""
    with Client(address) as client:
        try:
            for at in range(0, len(data), pieces or len(data) or 1):
                client.send(data[at : at + pieces] if pieces else data)
        except ConnectionError:
            pass
        return client.rest()


def wait_for(condition: Callable[[], Any]) -> Any:
    """The condition's first true value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
    return value


def both(callback: Callable[[Any], Any], data: bytes, **settings: Any) -> tuple[bytes, bytes]:
    """What our server and stock Tornado's send for the same bytes; the last request closes."""
    answers = []
    for implementation in BOTH:
        with serving(callback, implementation, **settings) as server:
            answers.append(talk(server.address, data))
    return answers[0], answers[1]


def raw_ok(request: Any, text: bytes) -> None:
    """The answer of 2.x-4.x, which stock 6.6 still takes through the connection."""
    request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    request.connection.finish()


def headers_ok(request: Any, text: bytes, status: int = 200, reason: str = "OK", **fields: str) -> None:
    """The answer of 6.x, with the header classes that belong to the request."""
    ours = isinstance(request, OURS.httputil.HTTPServerRequest)
    util = OURS.httputil if ours else STOCK.httputil
    headers = util.HTTPHeaders({"Content-Length": str(len(text))} | fields)
    request.connection.write_headers(util.ResponseStartLine("HTTP/1.1", status, reason), headers, text)
    request.connection.finish()


def both_ways(answer):
    """Servers that call answer(connection) for each request: the native way and with a delegate."""

    class Message(OURS.httputil.HTTPMessageDelegate):
        def __init__(self, connection):
            self.connection = connection

        def finish(self):
            answer(self.connection)

    class Delegate(OURS.httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            return Message(request_conn)

    return [lambda request: answer(request.connection), Delegate()]


class Overridden(OURS.httpserver.HTTPServer):
    """Served through HTTP1ServerConnection and HTTP1Connection, since start_request() is overridden."""

    def start_request(self, server_conn, request_conn):
        assert type(request_conn) is OURS.http1connection.HTTP1Connection
        return super().start_request(server_conn, request_conn)


class Notified(OURS.httpserver.HTTPServer):
    """Served by the same classes, since on_close() is overridden."""

    def on_close(self, server_conn):
        super().on_close(server_conn)
