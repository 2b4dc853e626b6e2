"""One small application in three forms, a callback, an Application and a connection delegate, for servers
that stand behind a proxy. ``FORMS[name](events)`` makes it; events gets what can only be seen here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tornado_c import httputil, web
from tornado_c.iostream import StreamClosedError

#: What large answers consist of, over and over.
PATTERN = b"".join(b"%07d\n" % n for n in range(8192))


def large(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def said(method: str, uri: str, body: bytes, connection: Any, remote_ip: str, protocol: str) -> bytes:
    """The answer to /echo: what arrived, and the how manieth request this is on its connection."""
    stream = connection.stream
    stream.served = getattr(stream, "served", 0) + 1
    heard = {"method": method, "uri": uri, "size": len(body), "sha1": hashlib.sha1(body).hexdigest()}
    return json.dumps(heard | {"ip": remote_ip, "protocol": protocol, "served": stream.served}).encode()


class Plan:
    """What to answer to a target."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.name = parts.path.rpartition("/")[2]
        self.size = int(parse_qs(parts.query).get("n", ["0"])[0])
        self.status = {"empty": 204, "same": 304}.get(self.name, 200)
        self.headers = {"Etag": '"x"'} if self.name == "same" else {}
        if self.name in ("large", "cut"):
            self.headers["Content-Length"] = str(self.size)


async def answer(
    plan: Plan, method: str, connection: Any, echo: Callable[[], bytes], events: list[str]
) -> None:
    """Through the interface of connections, which callbacks and delegates share."""
    if plan.name == "drop":
        connection.stream.close()
        return
    if plan.name == "wait":
        events.append("waiting")
        connection.set_close_callback(lambda: events.append("closed"))
        return
    body = echo() if plan.name == "echo" else large(plan.size)
    if plan.name == "echo":
        plan.headers["Content-Length"] = str(len(body))
    line = httputil.ResponseStartLine("HTTP/1.1", plan.status, httputil.responses[plan.status])
    connection.write_headers(line, httputil.HTTPHeaders(plan.headers))
    try:
        if plan.name == "cut":
            await connection.write(body[: plan.size // 2])
            connection.stream.close()
            return
        if method != "HEAD" and plan.status == 200:
            for at in range(0, len(body), 100_000):
                await connection.write(body[at : at + 100_000])
        connection.finish()
    except StreamClosedError:
        events.append("client gone")


def callback(events: list[str]) -> Any:
    async def serve(request: httputil.HTTPServerRequest) -> None:
        def echo() -> bytes:
            return said(
                request.method,
                request.uri,
                request.body,
                request.connection,
                request.remote_ip,
                request.protocol,
            )

        await answer(Plan(request.uri), request.method, request.connection, echo, events)

    return serve


def delegate(events: list[str]) -> Any:
    class Message(httputil.HTTPMessageDelegate):
        def __init__(self, connection: Any) -> None:
            self.connection = connection
            self.body = bytearray()

        def headers_received(self, start_line: Any, headers: Any) -> None:
            self.method, self.uri, _ = start_line
            context = self.connection.context  # as it is for this request
            self.ip, self.protocol = context.remote_ip, context.protocol

        def data_received(self, chunk: bytes) -> None:
            self.body += chunk

        def finish(self) -> None:
            self.task = asyncio.ensure_future(
                answer(Plan(self.uri), self.method, self.connection, self.echo, events)
            )

        def on_connection_close(self) -> None:
            events.append("request cut")

        def echo(self) -> bytes:
            return said(self.method, self.uri, bytes(self.body), self.connection, self.ip, self.protocol)

    class Server(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: object, request_conn: Any) -> Message:
            return Message(request_conn)

    return Server()


def application(events: list[str]) -> Any:
    class Handler(web.RequestHandler):
        closed: asyncio.Future[None] | None = None

        async def answer(self) -> None:
            request = self.request
            plan = Plan(request.uri)
            if plan.name in ("drop", "cut"):
                if plan.name == "cut":
                    self.set_header("Content-Length", str(plan.size))
                    self.write(large(plan.size // 2))
                    await self.flush()
                request.connection.stream.close()
                return
            if plan.name == "wait":
                events.append("waiting")
                self.closed = asyncio.get_running_loop().create_future()
                await self.closed
                return
            self.set_status(plan.status)
            for name, value in plan.headers.items():
                self.set_header(name, value)
            if plan.status != 200:
                return
            if plan.name == "echo":
                self.write(
                    said(
                        request.method, request.uri, request.body, request.connection, request.remote_ip,
                        request.protocol,
                    )
                )  # fmt: skip
                return
            body = b"" if request.method == "HEAD" else large(plan.size)
            try:
                await self.flush()
                for at in range(0, len(body), 100_000):
                    self.write(body[at : at + 100_000])
                    await self.flush()
            except StreamClosedError:
                events.append("client gone")

        get = post = put = head = answer

        def on_connection_close(self) -> None:
            if self.closed is not None and not self.closed.done():
                events.append("closed")
                self.closed.set_result(None)

    return web.Application([("/.*", Handler)])


FORMS: dict[str, Callable[[list[str]], Any]] = {
    "callback": callback,
    "application": application,
    "delegate": delegate,
}
