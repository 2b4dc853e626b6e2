"""A program that test_web_hostile.py runs: a server whose handlers delete and replace what C reads of them.

For each hook and each attribute a request is made in which the hook deletes the attribute, or puts something
else in its place. The request may fail in any way; after each the server must serve an ordinary one.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import socket
import sys
from typing import Any

import tornado_c
from tornado_c import _core, web
from tornado_c.httpserver import HTTPServer

ATTRIBUTES = [
    *("application", "request", "path_args", "path_kwargs", "settings", "ui"),
    *("_headers", "_reason", "_status_code", "_write_buffer", "_transforms", "_new_cookie"),
    *("_finished", "_headers_written", "_auto_finish", "_prepared_future"),
    *("request.connection", "request.headers", "request.method", "request.path", "request.body"),
    *("request.host", "request.uri", "request.arguments", "request.query", "request.remote_ip"),
    *("application.settings", "application.transforms", "application.default_router", "application._routes"),
    *("application.wildcard_router", "application.default_host"),
]
HOOKS = [
    *("initialize", "set_default_headers", "clear", "prepare", "get", "write", "flush", "finish"),
    "on_finish",
    *("set_etag_header", "check_etag_header", "compute_etag", "set_header", "_convert_header_value", "_log"),
    *("_should_not_send_content", "_break_cycles", "_clear_representation_headers", "decode_argument"),
    *("_cross_origin_protection", "transform", "write_error", "log_exception"),
]


class Odd:
    """Is nothing that anybody wants, and says so in every way."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("eq")

    def __hash__(self) -> int:
        raise ValueError("hash")

    def __str__(self) -> str:
        raise ValueError("str")

    def __bool__(self) -> bool:
        raise ValueError("bool")


class Emptier(list[Any]):
    """A list that empties itself when it is asked for its size."""

    def __len__(self) -> int:
        self.clear()
        return 1


DELETE = object()
VALUES = {
    "deleted": lambda handler: DELETE,
    "None": lambda handler: None,
    "5": lambda handler: 5,
    "text": lambda handler: "text",
    "list": lambda handler: [5, None, b"x", "y"],
    "empty dict": lambda handler: {},
    "odd": lambda handler: Odd(),
    "itself": lambda handler: handler,
    "huge": lambda handler: 10**40,
    "class": lambda handler: type(handler),
    "emptier": lambda handler: Emptier([b"a", b"b"]),
}


def put(handler: Any, name: str, kind: str) -> None:
    owner, _, last = name.rpartition(".")
    target = getattr(handler, owner) if owner else handler
    value = VALUES[kind](handler)
    if value is DELETE:
        delattr(target, last)
    else:
        setattr(target, last, value)
    gc.collect(0)


class Transform:
    def __init__(self, request: Any) -> None:
        pass

    def transform_first_chunk(self, status: Any, headers: Any, chunk: Any, finishing: bool) -> Any:
        handler = current[0]
        handler.hostile("transform")
        return status, headers, chunk

    def transform_chunk(self, chunk: Any, finishing: bool) -> Any:
        current[0].hostile("transform")
        return chunk


current: list[Any] = [None]
plan: list[str] = ["", "", ""]


class Hostile(web.RequestHandler):
    hostile_calls = 0

    def hostile(self, hook: str) -> None:
        if hook == plan[0] and not self.hostile_calls:
            self.hostile_calls = 1
            put(self, plan[1], plan[2])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        current[0] = self
        super().__init__(*args, **kwargs)

    def get(self, *args: str, **kwargs: str) -> None:
        self.hostile("get")
        self.set_cookie("a", "b")
        self.write(b"some")
        self.write("thing")
        if self.request.query == "flush":
            self.flush()
            self.write("more")


def overridden(name: str) -> Any:
    original = getattr(web.RequestHandler, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = original(self, *args, **kwargs) if name in ("clear", "write") else None
        self.hostile(name)
        return before if name in ("clear", "write") else original(self, *args, **kwargs)

    return method


for _hook in HOOKS:
    if _hook not in ("get", "transform"):
        # The hook under trial is overridden only while it is, so that C's own ways are gone otherwise.
        setattr(Hostile, "hostile_" + _hook, overridden(_hook))


class Good(web.RequestHandler):
    def get(self) -> None:
        self.write("good")


def make() -> web.Application:
    return web.Application([("/hostile/(.*)", Hostile), ("/named/(?P<a>.*)", Hostile), ("/good", Good)])


async def ask(address: Any, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), 0.05 if path != "/good" else 20)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


async def main(part: int, parts: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    server = HTTPServer(make())
    server.add_sockets([listener])
    trials = list(itertools.product(HOOKS, ATTRIBUTES, VALUES))
    for number, (hook, attribute, kind) in enumerate(trials[part::parts]):
        server.request_callback = make()
        if hook == "transform":
            server.request_callback.add_transform(Transform)
        plan[:] = hook, attribute, kind
        if hook not in ("get", "transform"):
            setattr(Hostile, hook, getattr(Hostile, "hostile_" + hook))
        try:
            path = ("/hostile/x%20", "/named/x%20?flush")[number % 2]
            await ask(address, path)
        finally:
            if hook not in ("get", "transform"):
                delattr(Hostile, hook)
        if number % 20 == 0:
            server.request_callback = make()
            answer = await ask(address, "/good")
            assert answer.endswith(b"good"), (hook, attribute, kind, answer)
    server.stop()
    assert _core is not None
    print("served")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None
    tornado_c.run(main(int(sys.argv[1]), int(sys.argv[2])))
