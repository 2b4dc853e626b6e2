"""HTTP1Connection over one end of a socket pair, ours and stock Tornado's; the other end is a raw socket."""

import asyncio
import socket
from typing import Any

import tornado.http1connection
import tornado.httputil
import tornado.iostream

from tornado_c import http1connection, httputil, iostream


class Modules:
    def __init__(self, name: str, http1connection: Any, httputil: Any, iostream: Any) -> None:
        self.name, self.http1connection, self.httputil = name, http1connection, httputil
        self.iostream = iostream


OURS = Modules("ours", http1connection, httputil, iostream)
STOCK = Modules("stock", tornado.http1connection, tornado.httputil, tornado.iostream)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def recorder(modules: Modules, events: list[Any], connection: Any = None, base: type | None = None) -> Any:
    """A delegate that notes what it is told; with a connection it answers when the request is complete."""

    class Recorder(modules.httputil.HTTPMessageDelegate):
        def headers_received(self, start_line: Any, headers: Any) -> None:
            events.append(("headers", tuple(start_line), list(headers.get_all())))

        def data_received(self, chunk: bytes) -> None:
            assert type(chunk) is bytes and chunk
            if events[-1][0] == "data":
                chunk = events.pop()[1] + chunk
            events.append(("data", chunk))

        def finish(self) -> None:
            events.append(("finish",))
            if connection is not None:
                line = modules.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                connection.write_headers(line, modules.httputil.HTTPHeaders({"Content-Length": "2"}), b"ok")
                connection.finish()

        def on_connection_close(self) -> None:
            events.append(("closed",))

    return Recorder()


def serving_delegate(modules: Modules, events: list[Any]) -> Any:
    class Server(modules.httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            return recorder(modules, events, request_conn)

        def on_close(self, server_conn: Any) -> None:
            events.append(("gone",))

    return Server()


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Peer:
    """The raw end of a socket pair, whose other end is a stream."""

    def __init__(self, modules: Modules, **sizes: int) -> None:
        self.sock, other = socket.socketpair()
        self.sock.setblocking(False)
        self.stream = modules.iostream.IOStream(other, **sizes)
        self.received = b""

    async def send(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self.sock, data)
        except ConnectionError:
            pass  # refused meanwhile

    def end(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self.sock, 65536):
                self.received += data
        except ConnectionError:
            pass
        return self.received

    async def until(self, mark: bytes) -> bytes:
        """What has been received once that has the mark in it, or the connection has ended."""
        loop = asyncio.get_running_loop()
        while mark not in self.received:
            data = await loop.sock_recv(self.sock, 65536)
            if not data:
                break
            self.received += data
        return self.received

    def close(self) -> None:
        self.sock.close()
        self.stream.close()


async def serve(
    modules: Modules, pieces: list[bytes], sizes: dict[str, int] | None = None, **params: Any
) -> tuple[list[Any], bytes]:
    """What a server's delegates are told of a connection, and what it sends; sizes are the stream's."""
    peer = Peer(modules, **(sizes or {}))
    events: list[Any] = []
    settings = modules.http1connection.HTTP1ConnectionParameters(**params)
    server = modules.http1connection.HTTP1ServerConnection(peer.stream, settings, "peer")
    server.start_serving(serving_delegate(modules, events))
    for piece in pieces:
        await peer.send(piece)
        await turns()
    peer.end()
    sent = await asyncio.wait_for(peer.rest(), 20)
    await server.close()
    peer.close()
    return events, sent


async def fetch(
    modules: Modules, pieces: list[bytes], method: str = "GET", end: bool = True, **params: Any
) -> tuple[list[Any], Any]:
    """What a client's delegate is told of an answer, and how read_response() ends."""
    peer = Peer(modules)
    events: list[Any] = []
    settings = modules.http1connection.HTTP1ConnectionParameters(**params)
    client = modules.http1connection.HTTP1Connection(peer.stream, True, settings, "peer")
    line = modules.httputil.RequestStartLine(method, "/", "")
    client.write_headers(line, modules.httputil.HTTPHeaders({"Host": "a"}))
    client.finish()
    reading = asyncio.ensure_future(client.read_response(recorder(modules, events)))
    for piece in pieces:
        await peer.send(piece)
        await turns()
    if end:
        peer.end()
    try:
        result: Any = await asyncio.wait_for(reading, 20)
    except Exception as e:
        result = type(e).__name__
    peer.close()
    return events, result
