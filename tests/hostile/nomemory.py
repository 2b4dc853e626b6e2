"""Allocation failures: in each step of a scenario the n-th allocation fails, for n = 0, 1, 2...

    python nomemory.py [--most N] [--first N] [--span N] [--step STEP] [SCENARIO...]

A scenario is a generator; at each `yield` the loop has some turns, and in one of them, step by step, an
allocation fails. Nothing may crash or hang, no function of ours may fail without an exception, and afterwards
everything works. What was allocated meanwhile may be lost: a connection is then closed or answered with an
error, but not left to wait. A step is over when a number of runs in a row has gone as if nothing had failed:
it allocates no more than that.

Prints a line for each scenario, and exits with 1 for a fault.
"""

from __future__ import annotations

import _testcapi
import argparse
import asyncio
import contextlib
import faulthandler
import functools
import gc
import logging
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator
from typing import Any

from tornado_c import EventLoop, httputil
from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamClosedError
from tornado_c.netutil import bind_sockets
from tornado_c.tcpserver import TCPServer
from tornado_c.web import Application, RequestHandler

TURNS = 4  # turns of the loop at each step, in one of which an allocation fails
QUIET = 12  # runs in a row that went well: the step allocates no more
STDLIB = os.path.dirname(os.__file__)
LIMIT = 20  # seconds that a run may take: it hangs

Steps = Generator[None, None, None]
SCENARIOS: dict[str, Callable[[World], Steps]] = {}


def scenario(function: Callable[[World], Steps]) -> Callable[[World], Steps]:
    SCENARIOS[function.__name__] = function
    return function


class Loop(EventLoop):
    """A loop in one of whose turns an allocation fails, and not around that in run_forever()."""

    failing = -1
    span = 1  # how many allocations in a row fail

    def _run_once(self) -> None:
        n, self.failing = self.failing, -1
        if n >= 0:
            _testcapi.set_nomemory(n, n + self.span)
        try:
            EventLoop._run_once(self)
        finally:
            if n >= 0:
                _testcapi.remove_mem_hooks()


class World:
    """What scenarios share: a loop, and servers that are made once."""

    def __init__(self) -> None:
        self.loop = Loop()
        asyncio.set_event_loop(self.loop)
        self.io_loop = IOLoop.current()
        self.addresses: dict[str, Any] = {}
        self.wrong: list[str] = []
        self.damaged = False  # whether this run went another way than without a failure
        self.said: list[str] = []  # in the log, in this run
        self.excused = False  # whether the standard library has lost a connection or a task

    def turns(self, count: int = TURNS, failing: int = -1, turn: int = 0) -> None:
        """Run some turns. What a failure raises out of the loop is the loop's user's."""
        for number in range(count):
            self.loop.failing = failing if number == turn else -1
            try:
                self.loop.stop()
                self.loop.run_forever()
            except MemoryError:
                self.damaged = True
            except SystemError as exc:
                self.damaged = True
                self.judge(exc)

    def serve(self, name: str, make: Callable[[], Any]) -> Any:
        """The address of a server, which is made at the first call."""
        if name not in self.addresses:
            sockets = bind_sockets(0, "127.0.0.1")
            make().add_sockets(sockets)
            self.addresses[name] = sockets[0].getsockname()
        return self.addresses[name]

    def connect(self, address: Any) -> socket.socket:
        sock = socket.create_connection(address)
        sock.setblocking(False)
        return sock

    def expect(self, sock: socket.socket, answer: bytes) -> None:
        """The client gets this, or with something lost an error or the end, but not silence."""
        data, ended = b"", False
        for number in range(100):
            self.turns(2)
            with contextlib.suppress(BlockingIOError):
                try:
                    while chunk := sock.recv(65536):
                        data += chunk
                    ended = True
                except ConnectionError:
                    ended = True
            if ended or answer in data:
                break
            if data or number > 10:
                time.sleep(0.001)
        sock.close()
        if answer in data:
            return
        self.damaged = True
        if not ended and b"500: " not in data and b"400: " not in data:
            self.waits(data)

    def judge(self, error: SystemError) -> None:
        """A function in C has failed without an exception: ours, or one of the interpreter's, which do."""
        if "_core" in str(error):
            self.wrong.append(repr(error))
        else:
            self.excused = True

    def waits(self, data: bytes) -> None:
        """A client gets no more than this, and no end."""
        self.damaged = True
        if not self.excused and Loop.span == 1:
            self.wrong.append(f"the client waits, with {data!r}; logged: {self.said}")


# ---- scenarios ----


@scenario
def headers(world: World) -> Steps:
    """What fails raises MemoryError."""
    world.loop.call_soon(use_headers, world)
    yield


def use_headers(world: World) -> None:
    try:
        use_headers_well()
    except MemoryError:
        world.damaged = True


def use_headers_well() -> None:
    made = HTTPHeaders({"Content-Type": "text/html"})
    made.add("Set-Cookie", "a=b")
    made.add("Set-Cookie", "c=d")
    made["X-Long"] = "x" * 300
    parsed = HTTPHeaders.parse("A: b\r\nC: d e\r\nA: f\r\n")
    parsed.parse_line("G: h")
    both = parsed.copy()
    both.update(made)
    del both["A"]
    assert both["set-cookie"] == "a=b,c=d" and both.get("none") is None
    assert list(both.get_all()) and both.get_list("C") == ["d e"] and "G" in both
    assert len(list(both)) == len(both) and both == both.copy() and str(both) and repr(both)
    assert parsed.pop("C") == "d e" and parsed.setdefault("N", "v") == "v"


GET = b"GET /path?a=1&b=2 HTTP/1.1\r\nHost: example\r\nX-Header: value\r\n\r\n"
POST = (
    b"POST /path HTTP/1.1\r\nHost: example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 15\r\n\r\nname=value&b=cd"
)
CHUNKED = b"POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def answer(request: Any) -> None:
    body = b"%s %s" % (request.path.encode(), request.body)
    if "X-Header" in request.headers:
        request.query_arguments.get("a")
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    request.write(body)
    request.finish()


@scenario
def accept(world: World) -> Steps:
    sock = world.connect(world.serve("callback", lambda: HTTPServer(answer)))
    yield
    sock.send(GET)
    yield
    world.expect(sock, b"\r\n\r\n/path ")


@scenario
def requests(world: World) -> Steps:
    """Several on a connection: plain, pipelined, with bodies."""
    sock = world.connect(world.serve("callback", lambda: HTTPServer(answer)))
    world.turns()
    sock.send(GET + GET)
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(POST)
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(CHUNKED[:90])
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(CHUNKED[90:])
    yield
    world.expect(sock, b"\r\n\r\n/ hello")


@scenario
def bad_requests(world: World) -> Steps:
    sock = world.connect(world.serve("callback", lambda: HTTPServer(answer)))
    world.turns()
    sock.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    yield
    sock.shutdown(socket.SHUT_WR)
    yield
    world.expect(sock, b"400 Bad Request")


class Plain(RequestHandler):
    def compute_etag(self) -> str:
        return '"x"'  # not from CPython 3.11's _sha1, which crashes itself

    def get(self, name: str) -> None:
        self.set_header("X-Name", name)
        self.set_cookie("a", "b")
        self.write("argument " + self.get_argument("a"))  # no dict: json of CPython 3.12 crashes

    def post(self, name: str) -> None:
        self.write(self.get_body_argument("name"))


class Async(RequestHandler):
    async def prepare(self) -> None:
        await asyncio.sleep(0)

    async def get(self) -> None:
        self.write("first ")
        await self.flush()
        await asyncio.sleep(0)
        self.write("last")


def application() -> HTTPServer:
    return HTTPServer(Application([(r"/(path)", Plain), (r"/async", Async)]))


@scenario
def handler(world: World) -> Steps:
    sock = world.connect(world.serve("handler", application))
    world.turns()
    sock.send(GET)
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(POST)
    yield
    world.expect(sock, b"\r\n\r\nvalue")


@scenario
def async_handler(world: World) -> Steps:
    sock = world.connect(world.serve("handler", application))
    world.turns()
    sock.send(b"GET /async HTTP/1.1\r\nHost: e\r\n\r\n")
    yield
    world.expect(sock, b"last\r\n0\r\n\r\n")


class Lines(TCPServer):
    async def handle_stream(self, stream: IOStream, address: Any) -> None:
        try:
            while True:
                line = await stream.read_until(b"\n", max_bytes=1000)
                first = await stream.read_bytes(2)
                await stream.write(line + first + b"x" * 5000 + b".")
        except StreamClosedError:
            pass
        finally:
            stream.close()


@scenario
def streams(world: World) -> Steps:
    sock = world.connect(world.serve("lines", Lines))
    yield
    sock.send(b"hello ")
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(b"world\nab")
    yield
    world.expect(sock, b"hello world\nab" + b"x" * 5000 + b".")


@scenario
def callbacks(world: World) -> Steps:
    """Streams with callbacks, and their end."""
    first, second = socket.socketpair()
    second.setblocking(False)
    got: list[bytes] = []
    try:
        stream = IOStream(first)
    except MemoryError:
        first.close()
        second.close()
        return
    stream.set_close_callback(lambda: got.append(b"closed"))
    second.send(b"a\n")
    stream.read_until(b"\n", got.append)
    yield
    with contextlib.suppress(StreamClosedError, ConnectionError, MemoryError):
        stream.write(b"y" * 10, lambda: got.append(b"written"))
        second.close()
    yield
    stream.close()
    world.turns()
    if got != [b"a\n", b"written", b"closed"]:
        world.damaged = True


@scenario
def loop(world: World) -> Steps:
    """Callbacks, timers, descriptors, threads' doors, tasks."""
    io_loop, seen = world.io_loop, []
    first, second = socket.socketpair()

    def readable(sock: socket.socket, events: int) -> None:
        seen.append("readable")
        io_loop.remove_handler(sock)

    async def task() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.0001)
        seen.append("task")

    def everything() -> None:
        with contextlib.suppress(MemoryError):
            io_loop.add_callback(seen.append, "callback")
            world.loop.call_soon_threadsafe(seen.append, "threadsafe")
            handles = [world.loop.call_later(60 + n, seen.append, n) for n in range(20)]
            io_loop.call_later(0, seen.append, "timer")
            io_loop.add_handler(first, readable, IOLoop.READ)
            io_loop.spawn_callback(task)
            for handle in handles:
                handle.cancel()

    second.send(b"x")
    world.loop.call_soon(everything)
    yield
    for _ in range(5):
        world.turns()
        time.sleep(0.0002)
    with contextlib.suppress(Exception):
        io_loop.remove_handler(first)
    first.close()
    second.close()
    if sorted(seen) != ["callback", "readable", "task", "threadsafe", "timer"]:
        world.damaged = True


class Delegate(httputil.HTTPMessageDelegate):
    def __init__(self, connection: httputil.HTTPConnection) -> None:
        self.connection = connection

    def finish(self) -> None:
        self.connection.write_headers(
            httputil.ResponseStartLine("", 200, "OK"), HTTPHeaders({"Content-Length": "9"}), b"delegated"
        )
        self.connection.finish()


class Delegates(httputil.HTTPServerConnectionDelegate):
    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> Delegate:
        return Delegate(request_conn)


@scenario
def delegates(world: World) -> Steps:
    sock = world.connect(world.serve("delegates", lambda: HTTPServer(Delegates())))
    yield
    sock.send(GET)
    yield
    with contextlib.suppress(ConnectionError):
        sock.send(POST)
    yield
    world.expect(sock, b"delegatedHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndelegated")


class TLSClient:
    """A client whose steps are taken between those of the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.ended = False

    def step(self, action: Callable[[], Any]) -> Any:
        """Receive, do this, send. None where it has to wait."""
        with contextlib.suppress(BlockingIOError):
            try:
                while data := self.sock.recv(65536):
                    self.incoming.write(data)
                self.ended = True
            except ConnectionError:
                self.ended = True
        result = None
        try:
            result = action()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLError:
            self.ended = True
        with contextlib.suppress(ConnectionError):
            if self.outgoing.pending:
                self.sock.send(self.outgoing.read())
        return result


@scenario
def tls(world: World) -> Steps:
    options = {"certfile": os.environ["CERTIFICATE"]}
    sock = world.connect(world.serve("tls", lambda: HTTPServer(answer, ssl_options=options)))
    client = TLSClient(sock)
    client.step(client.tls.do_handshake)
    yield
    client.step(client.tls.do_handshake)
    yield
    client.step(client.tls.do_handshake)
    client.step(lambda: client.tls.write(GET))
    yield
    data = b""
    for _ in range(20):
        world.turns(2)
        data += client.step(lambda: client.tls.read(65536)) or b""
        if client.ended or data:
            break
    sock.close()
    if b"\r\n\r\n/path " not in data:
        world.damaged = True
        if not client.ended:
            world.waits(data)


# ---- running them ----


def make_certificate(folder: str) -> str:
    """The path of a certificate with its key, made by the program openssl. Raises OSError without that."""
    path = os.path.join(folder, "certificate")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*command, "-keyout", f"{path}.key", "-out", f"{path}.crt"], check=True, capture_output=True
    )
    with open(path, "w") as both:
        for part in ("key", "crt"):
            with open(f"{path}.{part}") as file:
                both.write(file.read())
    return path


class Log(logging.Handler):
    """Looks for exceptions that no failure of memory explains."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        _testcapi.remove_mem_hooks()  # something has failed already, and code positions of 3.12 crash
        self.world.damaged = True
        error = record.exc_info[1] if record.exc_info else None
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        if frames and (frames[-1].filename.startswith(STDLIB) or ".sock.accept()" in str(frames[-1].line)):
            self.world.excused = True  # a socket that was accepted, an SSLSocket half made
        elif isinstance(error, SystemError):
            self.world.judge(error)
        message = record.getMessage()
        self.world.said.append(f"{message.splitlines()[0]}: {error!r}")
        if message.startswith(
            (
                "Task was destroyed but it is pending!",
                "Exception in callback <Task",
                "Exception in callback Task.",
            )
        ):
            self.world.excused = True


def note_unraisable(world: World, args: Any) -> None:
    world.damaged = True
    world.said.append(f"{args.err_msg} {args.object!r}: {args.exc_value!r}")
    if isinstance(args.exc_value, SystemError):
        world.judge(args.exc_value)
    elif isinstance(args.object, asyncio.Future):
        world.excused = True  # it is done, and has forgotten who waits for it


def run_once(world: World, make: Callable[[World], Steps], step: int, n: int) -> bool:
    """Run a scenario, with the n-th allocation of a step failing (-1: none). Whether it has such a step."""
    reached = False
    world.excused = False
    world.said.clear()
    steps = make(world)
    place, turn = divmod(step, TURNS)
    try:
        for number, _ in enumerate(steps):
            here = number == place and n >= 0
            reached = reached or number == place
            world.turns(failing=n if here else -1, turn=turn)
    except MemoryError:
        world.damaged = True
    finally:
        steps.close()
    world.turns(2)
    return reached


def run_scenario(world: World, name: str, first: int, most: int, only: int | None) -> str | None:
    """Run a scenario with all failures; a fault in words, or None."""
    make, runs = SCENARIOS[name], 0
    for _ in range(3):
        world.damaged = False
        run_once(world, make, -1, -1)
        if world.damaged or world.wrong:
            return f"without a failure: {world.wrong}"
    step = only or 0
    while True:
        quiet = 0
        for n in range(first, first + most):
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            world.damaged = False
            print(f"\r{name} step {step} allocation {n}", end="  ", file=sys.stderr)
            if not run_once(world, make, step, n) and not world.damaged:
                print(f"{name}: {step} steps, {runs} failures", flush=True)
                return None
            runs += 1
            if world.wrong:
                return f"step {step}, allocation {n}: {world.wrong}"
            quiet = 0 if world.damaged else quiet + 1
            if quiet >= QUIET:
                break
        world.damaged = False
        run_once(world, make, -1, -1)
        if world.damaged or world.wrong:
            return f"it does not work any more after step {step}: {world.wrong}"
        if only is not None:
            return None
        step += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--most", type=int, default=2000, help="allocations that fail, of each step (default: 2000)"
    )
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument(
        "--span",
        type=int,
        default=1,
        help="how many fail in a row (default: 1; of more, clients may be left waiting)",
    )
    parser.add_argument("--step", type=int, help="only this step")
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"default: all of {', '.join(SCENARIOS)}"
    )
    options = parser.parse_args()
    faulthandler.enable()
    Loop.span = options.span
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("CERTIFICATE", make_certificate(folder))
        faults = sum(not passes(name, options) for name in options.scenarios or SCENARIOS)
    return 1 if faults else 0


def passes(name: str, options: argparse.Namespace) -> bool:
    """Run a scenario in a world of its own."""
    world = World()
    logging.getLogger().handlers[:] = [Log(world)]
    sys.unraisablehook = functools.partial(note_unraisable, world)
    fault = run_scenario(world, name, options.first, options.most, options.step)
    faulthandler.cancel_dump_traceback_later()
    world.loop.close()
    gc.collect()
    if fault is not None:
        print(f"{name}: {fault}", flush=True)
    return fault is None


if __name__ == "__main__":
    sys.exit(main())
