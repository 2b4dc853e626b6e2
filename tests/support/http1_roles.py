"""HTTP1Connection over one end of a socket pair, ours and stock Tornado's; the other end is a raw socket."""

import asyncio
import socket
from typing import Any

from support.implementations import OURS, Implementation

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def recorder(
    implementation: Implementation, events: list[Any], connection: Any = None, base: type | None = None
) -> Any:
    """A delegate that notes what it is told; with a connection it answers when the request is complete."""

    class Recorder(implementation.httputil.HTTPMessageDelegate):
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
                line = implementation.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                connection.write_headers(
                    line, implementation.httputil.HTTPHeaders({"Content-Length": "2"}), b"ok"
                )
                connection.finish()

        def on_connection_close(self) -> None:
            events.append(("closed",))

    return Recorder()


def serving_delegate(implementation: Implementation, events: list[Any]) -> Any:
    class Server(implementation.httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            return recorder(implementation, events, request_conn)

        def on_close(self, server_conn: Any) -> None:
            events.append(("gone",))

    return Server()


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Peer:
    """The raw end of a socket pair, whose other end is a stream."""

    def __init__(self, implementation: Implementation, **sizes: int) -> None:
        self.sock, other = socket.socketpair()
        self.sock.setblocking(False)
        self.stream = implementation.iostream.IOStream(other, **sizes)
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
    implementation: Implementation, pieces: list[bytes], sizes: dict[str, int] | None = None, **params: Any
) -> tuple[list[Any], bytes]:
    """What a server's delegates are told of a connection, and what it sends; sizes are the stream's."""
    peer = Peer(implementation, **(sizes or {}))
    events: list[Any] = []
    settings = implementation.http1connection.HTTP1ConnectionParameters(**params)
    server = implementation.http1connection.HTTP1ServerConnection(peer.stream, settings, "peer")
    server.start_serving(serving_delegate(implementation, events))
    for piece in pieces:
        await peer.send(piece)
        await turns()
    peer.end()
    sent = await asyncio.wait_for(peer.rest(), 20)
    await server.close()
    peer.close()
    return events, sent


async def serve_natively(
    pieces: list[bytes], sizes: dict[str, int] | None = None, **params: Any
) -> tuple[list[Any], bytes]:
    """The same on the connection of C, which an HTTPServer of ours gives a delegate."""
    peer = Peer(OURS, **(sizes or {}))
    events: list[Any] = []
    server = OURS.httpserver.HTTPServer(serving_delegate(OURS, events), **params)
    server.handle_stream(peer.stream, "peer")
    for piece in pieces:
        await peer.send(piece)
        await turns()
    peer.end()
    sent = await asyncio.wait_for(peer.rest(), 20)
    await server.close_all_connections()
    await turns()
    peer.close()
    return [*events, ("gone",)], sent


async def fetch(
    implementation: Implementation, pieces: list[bytes], method: str = "GET", end: bool = True, **params: Any
) -> tuple[list[Any], Any]:
    """What a client's delegate is told of an answer, and how read_response() ends."""
    peer = Peer(implementation)
    events: list[Any] = []
    settings = implementation.http1connection.HTTP1ConnectionParameters(**params)
    client = implementation.http1connection.HTTP1Connection(peer.stream, True, settings, "peer")
    line = implementation.httputil.RequestStartLine(method, "/", "")
    client.write_headers(line, implementation.httputil.HTTPHeaders({"Host": "a"}))
    client.finish()
    reading = asyncio.ensure_future(client.read_response(recorder(implementation, events)))
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
