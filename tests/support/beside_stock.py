"""The same application under our HTTPServer and under stock Tornado's, and conversations with either.

A conversation runs on a Unix socket and in the server's own loop: what was sent is there to be read at once,
and a fixed number of turns is enough for all answers, so that nothing depends on time.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.implementations import OURS, STOCK, Implementation

#: Turns of the loop in which a server must have answered what it was sent.
TURNS = 60

KINDS = ["callback", "delegate", "application", "hasty delegate", "patient delegate", "patient callback"]

#: Not echoed: the twins of conversations differ there.
UNSAID = {"Expect", "Connection"}


def _said(headers: Any) -> list[tuple[str, str]]:
    return [pair for pair in headers.get_all() if pair[0] not in UNSAID]


def _answer(util: Any, connection: Any, method: str, uri: str, text: bytes) -> None:
    """Answers in the manner that the path asks for."""
    headers = util.HTTPHeaders({"X-Made": "yes"})
    status, reason = 200, "OK"
    path = uri.partition("?")[0]
    if path == "/empty":
        status, reason, text = 204, "No Content", b""
    elif path == "/same":
        status, reason, text = 304, "Not Modified", b""
        headers["Content-Length"] = "5"
    elif path == "/old":
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        connection.finish()
        return
    elif not path.startswith("/chunked"):
        headers["Content-Length"] = str(len(text))
    if method == "HEAD":
        text = b""
    connection.write_headers(util.ResponseStartLine("HTTP/1.1", status, reason), headers)
    for at in range(0, len(text), 700):
        connection.write(text[at : at + 700])
    connection.finish()


def callback(util: Any) -> Any:
    def answer(request: Any) -> None:
        files = {name: [dict(file) for file in files] for name, files in request.files.items()}
        heard = (request.method, request.uri, request.version, request.path, request.query, request.host)
        heard += (
            request.host_name,
            request.remote_ip,
            request.protocol,
            _said(request.headers),
            request.body,
        )
        heard += (request.arguments, request.query_arguments, request.body_arguments, files)
        cookies = sorted((name, morsel.value) for name, morsel in request.cookies.items())
        _answer(util, request.connection, request.method, request.uri, repr((heard, cookies)).encode())

    return answer


def patient_callback(util: Any) -> Any:
    answer = callback(util)

    async def later(request: Any) -> None:
        for _ in range(len(request.uri) % 5):
            await asyncio.sleep(0)
        answer(request)

    if util is OURS.httputil:
        return later
    return lambda request: asyncio.ensure_future(later(request))  # stock does not run coroutines


def delegate(util: Any, manner: str = "") -> Any:
    """A delegate that answers at the end of each request.

    A hasty one answers some with the head or the first piece of the body; a patient one lets the connection
    wait with awaitables, and answers later.
    """

    class Message(util.HTTPMessageDelegate):
        def __init__(self, connection: Any) -> None:
            self.connection, self.body = connection, b""
            self.answered = False

        def headers_received(self, start_line: Any, headers: Any) -> Any:
            self.start_line, self.headers = tuple(start_line), headers
            if util is STOCK.httputil:
                # Our server wants a valid Host whoever serves; for stock an application says so.
                util.HTTPServerRequest(start_line=start_line, headers=headers)
            if manner == "hasty" and len(start_line.path) % 3 == 0:
                self.answer()
            return asyncio.sleep(0) if manner == "patient" else None

        def data_received(self, chunk: bytes) -> Any:
            if manner == "hasty" and not self.answered and len(self.start_line[1]) % 3 == 1:
                self.answer()
            self.body += chunk
            return asyncio.sleep(0) if manner == "patient" else None

        def finish(self) -> None:
            if manner == "patient":
                asyncio.get_running_loop().call_soon(self.answer)
            elif not self.answered:
                self.answer()

        def answer(self) -> None:
            self.answered = True
            method, uri, _ = self.start_line
            heard = (self.start_line, _said(self.headers), self.body)
            _answer(util, self.connection, method, uri, repr(heard).encode())

    class Server(util.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            return Message(request_conn)

    return Server()


def application(web: Any) -> Any:
    class Echo(web.RequestHandler):
        def answer(self) -> None:
            request = self.request
            self.write(repr((request.method, request.uri, _said(request.headers), request.body)))
            self.write(repr((request.arguments, sorted(request.files), self.get_arguments("a"))))
            if self.request.path == "/empty":
                raise web.HTTPError(418)

        get = post = put = head = answer

    return web.Application([("/.*", Echo)])


def make_server(implementation: Implementation, kind: str, **settings: Any) -> Any:
    util = implementation.httputil
    makers: dict[str, Callable[[], Any]] = {
        "callback": lambda: callback(util),
        "patient callback": lambda: patient_callback(util),
        "application": lambda: application(implementation.web),
        "delegate": lambda: delegate(util),
        "hasty delegate": lambda: delegate(util, "hasty"),
        "patient delegate": lambda: delegate(util, "patient"),
    }
    return implementation.httpserver.HTTPServer(makers[kind](), **settings)


async def converse(path: str, pieces: Sequence[bytes]) -> bytes:
    """What the server says to the pieces and to the end after them."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, path)
        answer = b""
        try:
            for piece in pieces:
                await loop.sock_sendall(sock, piece)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused meanwhile
        try:
            while data := await loop.sock_recv(sock, 1 << 18):
                answer += data
        except ConnectionError:
            pass
        return re.sub(rb"\r\nDate: [^\r]*", b"", answer)


def converse_all(
    implementation: Implementation,
    kind: str,
    conversations: Sequence[Sequence[bytes]],
    folder: Path,
    **settings: Any,
) -> list[bytes]:
    """The answers of a server of that kind to each conversation, a few of them at a time."""
    path = str(folder / implementation.name)

    async def run() -> list[bytes]:
        server = make_server(implementation, kind, **settings)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.setblocking(False)
            listener.bind(path)
            listener.listen(100)
            server.add_sockets([listener])
            answers = []
            for at in range(0, len(conversations), 10):
                some = (converse(path, pieces) for pieces in conversations[at : at + 10])
                answers += await asyncio.wait_for(asyncio.gather(*some), 60)
            server.stop()
            await server.close_all_connections()
        Path(path).unlink(missing_ok=True)
        return answers

    answers: list[bytes] = implementation.run(run())
    return answers
