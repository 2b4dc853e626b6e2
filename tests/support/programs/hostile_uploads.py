"""A program that test_web_hostile.py runs: a server of streamed bodies whose handlers, in each of their
hooks, delete and replace what is read of them, end what they are in the middle of, and call what is called on
them.

The request may fail in any way; the server must serve an ordinary one from time to time.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import logging
import socket
import sys
from typing import Any

import tornado_c
from tornado_c import web
from tornado_c.httpserver import HTTPServer

HOOKS = ["initialize", "prepare", "late prepare", "data_received", "late data_received", "post", "late post"]
HOOKS += ["on_connection_close", "find_handler", "headers_received", "finish", "on_finish"]


class Odd:
    """Is nothing that anybody wants, and says so in every way."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("eq")

    def __hash__(self) -> int:
        raise ValueError("hash")

    def __bool__(self) -> bool:
        raise ValueError("bool")

    def __getattr__(self, name: str) -> Any:
        raise ValueError(name)


class Liar(asyncio.Future[Any]):
    """A Future that is never what it says."""

    def done(self) -> Any:
        return Odd()

    def result(self) -> Any:
        raise KeyboardInterrupt if self.__dict__.get("loud") else ValueError("no result")


def replaced(name: str, value: Any) -> Any:
    def act(handler: Any) -> None:
        owner, _, last = name.rpartition(".")
        target = getattr(handler, owner) if owner else handler
        setattr(target, last, value() if callable(value) else value)

    act.__name__ = f"{name} = {value}"
    return act


def deleted(name: str) -> Any:
    def act(handler: Any) -> None:
        owner, _, last = name.rpartition(".")
        delattr(getattr(handler, owner) if owner else handler, last)

    act.__name__ = f"del {name}"
    return act


def called(text: str) -> Any:
    def act(handler: Any) -> Any:
        return eval(text, {"self": handler, "asyncio": asyncio, "gc": gc, "web": web, "delegates": delegates})

    act.__name__ = text
    return act


NAMES = [
    "_prepared_future",
    "request._body_future",
    "request",
    "request.connection",
    "application",
    "_finished",
]
NAMES += ["_transforms", "path_args", "path_kwargs", "request.headers", "request.body", "request.method"]
VALUES: list[Any] = [None, 5, "text", Odd, Liar, asyncio.Future, list, Exception]
CALLS = [
    *("self._body_received()", "self._body_lost()", "self._body_received() or self._body_received()"),
    *("self.finish()", "self.finish('x' * 300000)", "self.flush()", "self.send_error(500)", "self.detach()"),
    *("self.request.connection.close()", "self.request.connection.stream.close()", "self.detach().close()"),
    *("self.request.connection.finish()", "self.request.connection.write(b'raw')", "gc.collect()"),
    "self.request.connection.set_max_body_size(1)",
    "self.request.connection.set_body_timeout(0)",
    "self.request.connection.set_close_callback(None)",
    "self._prepared_future.cancel()",
    "self._prepared_future.set_exception(ValueError())",
    "self.request._body_future.cancel()",
    "self.request._body_future.set_result(5)",
    "self.request._body_future.set_exception(ValueError())",
    *("self.on_connection_close()", "self.post()", "self.data_received(b'mine')", "self.prepare()"),
    *("self.__init__(self.application, self.request)", "asyncio.current_task().cancel()"),
    *("delegates[-1].finish()", "delegates[-1].on_connection_close()", "delegates[-1].execute()"),
    *("delegates[-1].headers_received(None, None)", "delegates[-1].data_received(b'more')"),
    *("delegates[-1].__dict__.clear()", "delegates.clear()", "setattr(delegates[-1], 'handler', None)"),
    "(_ for _ in ()).throw(KeyError('mine'))",
    "(_ for _ in ()).throw(asyncio.CancelledError())",
    "(_ for _ in ()).throw(web.Finish('end'))",
    "(_ for _ in ()).throw(web.HTTPError(400))",
    "setattr(type(self), '_stream_request_body', False)",
    "setattr(type(self), 'data_received', 5)",
    "asyncio.sleep(0.001)",
    "asyncio.Future()",
    "5",
]
ACTIONS = [deleted(name) for name in NAMES]
ACTIONS += [replaced(name, value) for name in NAMES for value in VALUES]
ACTIONS += [called(text) for text in CALLS]

plan: list[Any] = ["", None]
delegates: list[Any] = []


def make(kind: str) -> web.Application:
    """An Application of handlers that follow the plan, once for each request."""

    def hostile(handler: Any, hook: str) -> Any:
        if hook == plan[0] and not handler.__dict__.get("acted"):
            handler.acted = True
            return plan[1](handler)
        return None

    @web.stream_request_body
    class Upload(web.RequestHandler):
        def initialize(self) -> None:
            hostile(self, "initialize")

        def prepare(self) -> Any:
            result = hostile(self, "prepare")
            return self.later("late prepare") if plan[0] == "late prepare" else result

        async def later(self, hook: str) -> None:
            await asyncio.sleep(0)
            hostile(self, hook)
            await asyncio.sleep(0)

        def data_received(self, chunk: bytes) -> Any:
            result = hostile(self, "data_received")
            return self.later("late data_received") if plan[0] == "late data_received" else result

        def post(self) -> Any:
            result = hostile(self, "post")
            self.write("done")
            return self.later("late post") if plan[0] == "late post" else result

        def on_finish(self) -> None:
            hostile(self, "on_finish")

        def on_connection_close(self) -> None:
            hostile(self, "on_connection_close")
            super().on_connection_close()

    class Wrapped(Upload):
        async def _execute(self, *args: Any, **kwargs: Any) -> None:
            await super()._execute(*args, **kwargs)

    class Good(web.RequestHandler):
        def get(self) -> None:
            self.write("good")

    class Delegate(web._HandlerDelegate):
        def headers_received(self, start_line: Any, headers: Any) -> Any:
            delegates.append(self)
            result = super().headers_received(start_line, headers)
            return hostile(self.handler, "headers_received") if plan[0] == "headers_received" else result

        def finish(self) -> None:
            hostile(self.handler, "finish")
            super().finish()

    class Own(web.Application):
        def get_handler_delegate(self, request: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
            if cls is Good:
                return super().get_handler_delegate(request, cls, *args, **kwargs)
            if plan[0] == "find_handler":
                found = cls(self, request)
                hostile(found, "find_handler")
            given = dict(zip(("handler_kwargs", "path_args", "path_kwargs"), args, strict=False))
            given |= {name.replace("target", "handler"): value for name, value in kwargs.items()}
            return Delegate(
                self, request, cls, **{"handler_kwargs": {}, "path_args": [], "path_kwargs": {}} | given
            )

    upload = Wrapped if kind == "wrapped" else Upload
    return (Own if kind in ("own", "wrapped") else web.Application)([("/", upload), ("/good", Good)])


class Overridden(HTTPServer):
    def start_request(self, server_conn: object, request_conn: Any) -> Any:
        return super().start_request(server_conn, request_conn)


BODY = b"x" * 100_000
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
ZIPPED = gzip.compress(BODY)
UPLOADS = [
    [HEAD + b"Content-Length: 100000\r\nConnection: close\r\n\r\n", BODY],
    [HEAD + b"Content-Length: 4\r\n\r\nbody" + HEAD + b"Content-Length: 4\r\nConnection: close\r\n\r\nbody"],
    [HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody", b"\r\n4\r\nbody\r\n", b"0\r\n\r\n"],
    [HEAD + b"Content-Length: 100\r\n\r\n", b"half"],
    [HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED],
    [HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", b"body"],
    [b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD.replace(b"POST", b"GET") + b"\r\n"],
]


async def ask(address: Any, pieces: list[bytes], patience: float) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.read(), patience)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


async def main(part: int, parts: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    servers = [
        cls(make("plain"), decompress_request=True, linger_timeout=0.01) for cls in (HTTPServer, Overridden)
    ]
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    trials = list(itertools.product(HOOKS, ACTIONS))
    for number, (hook, action) in enumerate(trials[part::parts]):
        kind = ("plain", "own", "wrapped")[number % 3]
        server = servers[number % 7 == 6]
        server.request_callback = make(kind)
        server.add_sockets([listener.dup()])
        plan[:] = hook, action
        delegates.clear()
        try:
            await ask(address, UPLOADS[number % len(UPLOADS)], 0.02)
            if number % 20 == 0:
                plan[:] = "", None
                server.request_callback = make(kind)
                answer = await ask(
                    address, [b"GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"], 20
                )
                assert answer.endswith(b"good"), (hook, action.__name__, answer)
        finally:
            server.stop()
    await asyncio.wait_for(
        servers[0].close_all_connections(), 20
    )  # the other's may wait for what never comes
    print("served")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None
    tornado_c.run(main(int(sys.argv[1]), int(sys.argv[2])))
