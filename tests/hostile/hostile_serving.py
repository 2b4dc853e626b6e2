"""Programs that serve requests over real sockets while hooks of the application misbehave.

The header names the way of serving and, for each hook that is overridden, an act; the steps are the
exchanges with clients, with other steps between them. In a hook the objects of the world are those of its
request. Asserted is only that nothing crashes or hangs, and that the server answers a plain request at the
end, as far as the program has left server and loop alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from hostile_calls import Note
from hostile_generator import WEIGHTS as ALL_WEIGHTS
from hostile_generator import Generator
from hostile_steps import Failure, Machine, Slow, left_over
from hostile_world import World, plain_request_is_served, tls_contexts

from tornado_c import httpserver, httputil, web

WAYS = ("callback", "written", "handler", "async handler", "streamed handler", "delegate", "server")

HANDLER_HOOKS = (
    "initialize prepare get post set_default_headers write_error on_finish compute_etag log_exception "
    "data_received "
    "on_connection_close clear set_header add_header clear_header flush finish write check_etag_header "
    "set_etag_header _convert_header_value send_error get_status set_status _log _break_cycles "
    "decode_argument "
    "get_argument get_arguments __init__ __del__ _execute _flush_output _should_not_send_content "
    "_request_summary "
    "_setup _when_complete render redirect get_current_user settings _headers _status_code _transforms "
    "_auto_finish _finished __getattribute__ __setattr__ __class__ __hash__ __eq__ __repr__ "
    "_cross_origin_protection check_xsrf_cookie _get_argument _get_arguments set_cookie"
).split()
APPLICATION_HOOKS = (
    "log_request find_handler __call__ get_handler_delegate start_request on_close settings".split()
)
MESSAGE_HOOKS = "headers_received data_received finish on_connection_close".split()
SERVER_HOOKS = "handle_stream start_request on_close _handle_connection".split()
STREAM_HOOKS = (
    "read_from_fd write_to_fd close_fd get_fd_error fileno close write _handle_events __del__".split()
)
HOOKS = {
    "callback": ["callback", "__del__"],
    "written": ["callback", "written"],
    "handler": HANDLER_HOOKS + APPLICATION_HOOKS,
    "async handler": HANDLER_HOOKS + APPLICATION_HOOKS,
    "streamed handler": HANDLER_HOOKS + APPLICATION_HOOKS,
    "delegate": MESSAGE_HOOKS + ["start_request", "on_close"],
    "server": SERVER_HOOKS + ["callback"],
}
PREFERRED = (
    *("handler", "handler", "handler", "request", "connection", "stream", "headers"),
    *("delegate", "server connection", "execution"),
)
TRANSFORM_HOOKS = ["transform_first_chunk", "transform_chunk", "__init__"]

WEIGHTS = ALL_WEIGHTS | {"set": 30, "del": 14, "call": 40, "get": 5, "task": 2, "turn": 2, "op": 5, "peer": 0}

HEAD = "{method} {path} HTTP/1.{minor}\r\nHost: a\r\n{fields}"
PATHS = ["/", "/x?a=1&b=%41", "/x", "/none", "/x?a=%ff"]
FIELDS = [
    "",
    "",
    "Connection: close\r\n",
    'If-None-Match: "a", *\r\n',
    "Cookie: a=b; c\r\n",
    "Expect: 100-continue\r\n",
]
BODIES = ["", "", "a=1&b=2", "x" * 3000, "chunks"]


def drawn(seed: int) -> tuple[dict[str, Any], random.Random]:
    rng = random.Random(f"serving {seed}")
    header: dict[str, Any] = {"kind": "serving", "way": rng.choice(WAYS), "tls": rng.random() < 0.1}
    header["loop"] = "guest" if rng.random() < 0.1 else "native"
    names = HOOKS[header["way"]]
    header["names"] = rng.sample(names, min(len(names), rng.choice([1, 1, 2, 3, 5])))
    header["transform"] = rng.sample(TRANSFORM_HOOKS, rng.randrange(1, 3)) if rng.random() < 0.15 else []
    header["stream"] = rng.sample(STREAM_HOOKS, 1) if rng.random() < 0.25 else []
    return header, rng


class Site:
    """The application, whose hooks the machine performs."""

    def __init__(self, header: dict[str, Any], world: World, machine: Machine) -> None:
        self.header, self.world, self.machine = header, world, machine
        self.acts: dict[str, Any] = header.get("hooks", {})
        self.clients: list[Any] = []
        self.requests: list[Any] = []

    # ---- hooks ----

    def know(self, obj: Any) -> None:
        """What is at hand in a hook becomes the objects that its steps work on."""
        objects = self.world.objects
        if isinstance(obj, web.RequestHandler):
            objects["handler"] = obj
            for name in ("request", "application"):
                with contextlib.suppress(AttributeError):
                    objects[name] = object.__getattribute__(obj, name)
            with contextlib.suppress(Exception):
                objects["headers"] = object.__getattribute__(obj, "_headers")
        elif isinstance(obj, httputil.HTTPServerRequest):
            objects["request"] = obj
        elif isinstance(obj, httputil.HTTPMessageDelegate):
            objects["delegate"] = obj
        request = objects.get("request")
        with contextlib.suppress(Exception):
            objects["connection"] = request.connection  # type: ignore[union-attr]
        with contextlib.suppress(Exception):
            objects["stream"] = objects["connection"].stream
        with contextlib.suppress(Exception):
            task = asyncio.current_task()
            if task is not None:
                objects["task"], objects["execution"] = task, task.get_coro()

    def plain(self) -> bool:
        request = self.world.objects.get("request")
        try:
            return request.path == "/plain"  # type: ignore[union-attr]
        except Exception:
            return False

    def overrides(self, cls: type, names: list[str]) -> dict[str, Any]:
        """Methods for a class derived from cls, by the acts of the program."""
        made: dict[str, Any] = {}
        for name in names:
            act = self.acts.get(name)
            if act is not None and not (name == "get" and cls is httpserver.HTTPServer):
                made[name] = self.override(cls, name, act)
        return made

    def override(self, cls: type, name: str, act: dict[str, Any]) -> Any:
        original = getattr(cls, name, None)
        if act.get("kind") == "value":
            return self.machine.value(act["then"]) if isinstance(act["then"], list) else None
        if act.get("kind") == "property":
            return property(lambda obj: self.perform(act, None, (obj,), {}))

        def method(*args: Any, **kwargs: Any) -> Any:
            return self.perform(act, original, args, kwargs)

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            result = self.perform(act, original, args, kwargs)
            return await result if hasattr(result, "__await__") else result

        return coroutine if act.get("kind") == "async" else method

    def perform(
        self, act: dict[str, Any], original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.machine.depth > 2:
            return original(*args, **kwargs) if original is not None else None
        self.machine.depth += 1
        try:
            for arg in args[:3]:
                self.know(arg)
            if self.plain():
                return original(*args, **kwargs) if original is not None else None
            result = original(*args, **kwargs) if act.get("first") and original is not None else None
            if act.get("first") and act["then"] == "base":
                for step in act["do"]:
                    self.machine.perform(step)
                return result
            return self.machine.act(act, original, args, kwargs)
        finally:
            self.machine.depth -= 1

    # ---- applications ----

    def make(self) -> Any:
        way = self.header["way"]
        if "handler" in way:
            return self.application(way)
        if way == "delegate":
            return self.delegate()
        return self.callback(way)

    def application(self, way: str) -> Any:
        class Base(web.RequestHandler):
            pass

        def get(handler: Any, *args: Any) -> None:
            handler.set_header("X-A", "b")
            handler.write("hello")
            handler.get_argument("a", None)

        async def later(handler: Any, *args: Any) -> None:
            handler.write("one")
            await asyncio.sleep(0)
            await handler.flush()
            handler.write("two")

        Base.get = Base.post = later if way == "async handler" else get  # type: ignore[method-assign]
        if way == "streamed handler":
            Base.data_received = lambda handler, chunk: None  # type: ignore[method-assign, assignment]
        with contextlib.suppress(TypeError):
            Base = type("Handler", (Base,), self.overrides(Base, HANDLER_HOOKS))  # type: ignore[misc]
        if way == "streamed handler":
            with contextlib.suppress(NotImplementedError):
                Base = web.stream_request_body(Base)  # type: ignore[misc]

        class Plain(web.RequestHandler):
            def get(self) -> None:
                self.write("ok")

        App = type("App", (web.Application,), self.overrides(web.Application, APPLICATION_HOOKS))
        settings: dict[str, Any] = {"log_function": lambda handler: None} if self.header.get("quiet") else {}
        transform = self.transform()
        if transform is not None:
            settings["transforms"] = [transform]
        return App([("/plain", Plain), ("/x?", Base), ("/y/(.*)", Base)], **settings)

    def transform(self) -> Any:
        class Transform:
            def __init__(self, request: Any) -> None:
                pass

            def transform_first_chunk(self, status: Any, headers: Any, chunk: Any, finishing: Any) -> Any:
                return status, headers, chunk

            def transform_chunk(self, chunk: Any, finishing: Any) -> Any:
                return chunk

        made = self.overrides(Transform, TRANSFORM_HOOKS)
        return type("T", (Transform,), made) if made else None

    def callback(self, way: str) -> Callable[[Any], Any]:
        act = self.acts.get("callback")

        def answer(request: Any) -> None:
            if way == "written":
                request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", self.written)
            else:
                headers = httputil.HTTPHeaders({"Content-Length": "2"})
                request.connection.write_headers(
                    httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), headers, b"ok"
                )
            request.connection.finish()

        def callback(request: Any) -> Any:
            self.know(request)
            return self.perform(act, answer, (request,), {}) if act else answer(request)

        return callback

    def written(self) -> None:
        if act := self.acts.get("written"):
            self.perform(act, None, (), {})

    def delegate(self) -> Any:
        site = self

        class Message(httputil.HTTPMessageDelegate):
            path = ""

            def headers_received(self, start_line: Any, headers: Any) -> Any:
                site.world.objects["start line"], site.world.objects["headers"] = start_line, headers

            def finish(self) -> None:
                headers = httputil.HTTPHeaders({"Content-Length": "2"})
                line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                self.connection.write_headers(line, headers, b"ok")
                self.connection.finish()

            connection: Any

        class Server(httputil.HTTPServerConnectionDelegate):
            def start_request(self, server_conn: Any, request_conn: Any) -> Any:
                objects = site.world.objects
                objects["server connection"], objects["connection"] = server_conn, request_conn
                objects["stream"] = request_conn.stream
                made = Made()
                made.connection = request_conn
                return made

        Made: Any = type("Message", (Message,), self.overrides(Message, MESSAGE_HOOKS))
        return type("Server", (Server,), self.overrides(Server, ["start_request", "on_close"]))()


class Client:
    """A connection in the loop's own thread, driven by turns of the loop. A TLS one is driven by hand."""

    def __init__(self, address: Any, tls: bool) -> None:
        self.sock: Any = socket.create_connection(address)
        self.sock.setblocking(False)
        if tls:
            self.sock = tls_contexts()[1].wrap_socket(self.sock, do_handshake_on_connect=False)
        self.unsent = b""
        self.received = b""
        self.ended = False

    def drive(self) -> None:
        try:
            if self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent[:5000]) :]
        except (BlockingIOError, OSError):
            pass
        try:
            data = self.sock.recv(1 << 18)
            self.received += data
            self.ended |= not data
        except BlockingIOError:
            pass
        except OSError as exc:
            self.ended |= type(exc).__name__ not in ("SSLWantReadError", "SSLWantWriteError")


def turns(site: Site, until: Callable[[], bool], count: int) -> None:
    for _ in range(count):
        for client in site.clients:
            client.drive()
        site.world.turn()
        if until():
            return


def exchange(site: Site, step: dict[str, Any], address: Any) -> None:
    clients = site.clients
    if step["new"] or not clients or clients[-1].ended:
        clients.append(Client(address, site.header["tls"]))
    clients[-1].unsent += step["data"].encode("latin-1")
    turns(site, lambda: clients[-1].ended, step["turns"])
    if step["then"] == "close":
        clients.pop().sock.close()
    elif step["then"] == "end":
        with contextlib.suppress(OSError):
            clients[-1].sock.shutdown(socket.SHUT_WR)


def draw_exchange(rng: random.Random) -> dict[str, Any]:
    data = ""
    for _ in range(rng.choice([1, 1, 2, 4])):
        body = rng.choice(BODIES)
        fields = rng.choice(FIELDS)
        if body == "chunks":
            fields += "Transfer-Encoding: chunked\r\n"
            body = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
        elif body:
            fields += f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        method = "POST" if body else rng.choice(["GET", "GET", "HEAD", "OPTIONS"])
        head = HEAD.format(method=method, path=rng.choice(PATHS), minor=rng.choice("1110"), fields=fields)
        data += head + "\r\n" + body
    if rng.random() < 0.15:
        data = data[: rng.randrange(len(data))]
    return {
        "do": "exchange", "data": data, "new": rng.random() < 0.5, "turns": rng.choice([3, 6, 12]),
        "then": rng.choice(["", "", "", "close", "end"]),
    }  # fmt: skip


def draw_hooks(header: dict[str, Any], generator: Generator, rng: random.Random) -> None:
    hooks = header["hooks"] = {}
    for name in header.pop("names") + header["transform"] + header["stream"]:
        act = generator.act(0)
        act["kind"] = rng.choice(["method"] * 7 + ["async", "async", "property", "value"])
        act["first"] = rng.random() < 0.4
        if rng.random() < 0.5:
            act["then"] = "base"
        hooks[name] = act


def rehearse(world: World, header: dict[str, Any]) -> None:
    """Have the objects of a request in the world, for the generator to know their names."""
    machine = Machine(world)
    site = Site(header | {"hooks": {}, "tls": False}, world, machine)
    kept: list[Any] = []
    know = site.know
    site.know = lambda obj: kept.append(know(obj))  # type: ignore[method-assign]
    site.acts = {name: {"do": [], "then": "base"} for name in ("prepare", "callback", "headers_received")}
    address = listen(site)
    client = Client(address, False)
    client.unsent = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    site.clients.append(client)
    turns(site, lambda: False, 6)
    client.sock.close()
    world.objects["server"].stop()
    world.turn(2)
    for name in ("task", "execution"):
        if header["way"] != "async handler":
            world.objects.pop(name, None)


def listen(site: Site) -> Any:
    async def start() -> Any:
        cls: Any = httpserver.HTTPServer
        if site.header["way"] == "server":
            cls = type("Server", (cls,), site.overrides(cls, SERVER_HOOKS))
        settings = {"ssl_options": tls_contexts()[0]} if site.header["tls"] else {}
        server = site.world.objects["server"] = cls(site.make(), **settings)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        server.add_sockets([listener])
        return listener.getsockname()

    return site.world.loop.run_until_complete(start())


def patched_stream(site: Site) -> None:
    """Hooks of the stream's class, for a while."""
    from tornado_c.iostream import IOStream

    for name, act in site.acts.items():
        if name in STREAM_HOOKS and name in site.header["stream"]:
            before = vars(IOStream).get(name, site)
            setattr(IOStream, name, site.override(IOStream, name, act))
            undo = (lambda n=name: delattr(IOStream, n)) if before is site else (
                lambda n=name, b=before: setattr(IOStream, n, b))  # fmt: skip
            site.world.undo.append(undo)


def run(
    header: dict[str, Any], steps: Iterator[dict[str, Any]] | None, rng: random.Random, note: Note
) -> None:
    """Perform the program, or draw it. Raises Failure."""
    world = World(header["loop"])
    machine = Machine(world)
    if steps is None:
        rehearse(world, header)
        generator = Generator(rng, world, PREFERRED)
        generator.weights = WEIGHTS
        draw_hooks(header, generator, rng)
        steps = iter([
            draw_exchange(rng) if at == 0 or rng.random() < 0.7 else generator.step()
            for at in range(rng.choice([2, 5, 10]))
        ])  # fmt: skip
        world.close()
        world = World(header["loop"])
        machine = Machine(world)
    note(header)
    site = Site(header, world, machine)
    try:
        try:
            address = listen(site)
        except Exception:
            address = None  # the hooks of the program do not let a server be made
        patched_stream(site)
        for step in steps:
            note(step)
            if address is None:
                break
            machine.budget = 100
            try:
                if step["do"] == "exchange":
                    exchange(site, step, address)
                else:
                    machine.perform(step)
            except Slow:
                if not touched(header, step):
                    raise Failure("a step does not end") from None
                world.hurt = True
                break
            except (Failure, AssertionError):
                raise
            except BaseException as exc:
                machine.sort(exc, "the loop")
        machine.budget = 0
        note({"do": "end"})
        if address is not None and not touched(header, step) and not world.undo and not world.hurt:
            check(site, address)
        left_over(world)
    finally:
        machine.budget = 0
        for client in site.clients:
            with contextlib.suppress(OSError):  # its descriptor may be gone
                client.sock.close()
        with contextlib.suppress(Slow):
            world.close()
    plain_request_is_served()
    if world.faults:
        raise Failure("; ".join(world.faults))


#: What makes the server's silence the program's own doing.
DAMAGE = (
    '"loop"', '"ioloop"', '"server"', '"application"', '"patch"', '"register"', "HTTPServer", "Application",
    "IOLoop", "log_request", "find_handler", "__call__\"", "get_handler_delegate", "start_request",
    "on_close", '"settings"', "handle_stream", "_handle_connection", '"task"', '"execution"', "EventLoop",
    "KeyboardInterrupt", "SystemExit", '"r', "LoopCore", "transform",
)  # fmt: skip


def touched(header: dict[str, Any], step: dict[str, Any]) -> bool:
    """Whether the program may have hurt the loop or the server itself."""
    import json

    text = json.dumps(header) + json.dumps(step)
    return any(name in text for name in DAMAGE)


def check(site: Site, address: Any) -> None:
    """A plain request on a new connection."""
    site.header = site.header | {"hooks": {}}
    client = Client(address, site.header["tls"])
    site.clients = [client]
    client.unsent = b"GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    site.acts = {}
    end = time.monotonic() + 10
    while not client.ended and time.monotonic() < end:
        turns(site, lambda: client.ended, 20)
    if not client.received.endswith(b"\r\n\r\nok"):
        raise Failure(f"a plain request is answered with {client.received!r}")
