"""Contexts of stack_context and servers: handlers whose callbacks fail, and contexts around a server."""

import asyncio
import contextlib
import functools
import gc
import socket

import pytest

import tornado_c
from support.live_http import LiveServer
from support.web_servers import request as request_bytes
from tornado_c import gen, iostream, stack_context
from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders, HTTPServerConnectionDelegate, ResponseStartLine
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, HTTPError, RequestHandler, asynchronous
from tornado_c.websocket import WebSocketHandler, websocket_connect


def fail(*args):
    raise KeyError("told")


def parse(raw):
    """The status and the body of a response."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


class Later(RequestHandler):
    """Fails in a callback, of which ``how`` says where it is registered."""

    @asynchronous
    def get(self, how):
        getattr(self, how)(IOLoop.current())

    def at_once(self, loop):
        fail()

    def callback(self, loop):
        loop.add_callback(lambda: loop.add_callback(fail))

    def timer(self, loop):
        loop.call_later(0.001, fail)

    def http_error(self, loop):
        def refuse():
            raise HTTPError(418)

        loop.add_callback(refuse)

    def stream(self, loop):
        self.pair = [iostream.IOStream(each) for each in socket.socketpair()]
        self.pair[0].read_bytes(1, fail)
        self.pair[1].write(b"x")

    def future(self, loop):
        loop.add_future(gen.sleep(0.001), fail)

    def engine(self, loop):
        @gen.engine
        def work():
            yield gen.Task(loop.add_callback)
            fail()

        work()

    def task(self, loop):
        """What the Task's own callback raises is the engine's."""

        @gen.engine
        def work():
            try:
                yield gen.Task(lambda callback: loop.add_callback(fail))
            except KeyError:
                self.finish("caught")

        work()

    def coroutine_callback(self, loop):
        @gen.coroutine
        def work():
            yield gen.sleep(0.001)
            fail()

        work(callback=self.finish)

    def flush_callback(self, loop):
        self.write("begun")
        self.flush(callback=fail)

    def after_finish(self, loop):
        loop.add_callback(fail)
        self.finish("finished")

    def write_error(self, status_code, **kwargs):
        self.write(str(kwargs["exc_info"][1]))

    def on_finish(self):
        for each in getattr(self, "pair", ()):
            each.close()


class Engine(RequestHandler):
    @asynchronous
    @gen.engine
    def get(self):
        yield gen.Task(IOLoop.current().add_callback)
        fail()


class Coroutine(RequestHandler):
    @asynchronous
    @gen.coroutine
    def get(self):
        IOLoop.current().add_callback(fail)
        yield gen.sleep(1000)


#: What is answered, and how often the exception is logged.
ANSWERS = {
    "callback": (500, b"'told'", 1),
    "at_once": (500, b"'told'", 1),
    "timer": (500, b"'told'", 1),
    "stream": (500, b"'told'", 1),
    "future": (500, b"'told'", 1),
    "engine": (500, b"'told'", 1),
    "coroutine_callback": (500, b"'told'", 1),
    "task": (200, b"caught", 0),
    "after_finish": (200, b"finished", 1),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_a_callback_that_fails_later(serve, how):
    status, body, logged = ANSWERS[how]
    assert parse(serve([(r"/(\w+)", Later)])(f"/{how}")) == (status, body)
    uncaught = [each for each in serve.log.lines if "Uncaught exception GET" in each[2]]
    assert len(uncaught) == logged


def test_a_callback_that_fails_with_an_error_of_http(serve):
    assert parse(serve([(r"/(\w+)", Later)])("/http_error"))[0] == 418


@pytest.mark.parametrize("cls", [Engine, Coroutine])
def test_generators(serve, cls):
    assert parse(serve([("/", cls)])("/"))[0] == 500


def test_after_the_head(serve):
    """It is too late for another status: the connection ends."""
    assert parse(serve([(r"/(\w+)", Later)])("/flush_callback"))[0] == 200


@contextlib.contextmanager
def entering(entered):
    entered.append(True)
    yield
    entered.pop()


class Kinds:
    def __init__(self):
        self.entered, self.seen = [], []

    def look(self):
        self.seen.append(len(self.entered))

    def callback(self):
        def call(request):
            self.look()
            request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), self.headers(), b"x")
            request.connection.finish()

        return call

    def headers(self):
        return HTTPHeaders({"Content-Length": "1"})

    def handler(self):
        look = self.look

        class Handler(RequestHandler):
            def get(self):
                look()
                self.write("x")

        return Application([("/", Handler)])

    def native(self):
        look = self.look

        class Handler(RequestHandler):
            async def get(self):
                look()
                await asyncio.sleep(0)
                self.write("x")

        return Application([("/", Handler)])

    def delegate(self):
        kinds = self

        class Delegate(HTTPServerConnectionDelegate):
            def start_request(self, server_conn, request_conn):
                class Message:
                    def headers_received(self, start_line, headers):
                        pass

                    def data_received(self, chunk):
                        pass

                    def finish(self):
                        kinds.look()
                        start = ResponseStartLine("HTTP/1.1", 200, "OK")
                        request_conn.write_headers(start, kinds.headers(), b"x")
                        request_conn.finish()

                    def on_connection_close(self):
                        pass

                return Message()

        return Delegate()


@pytest.mark.parametrize("by_classes", [False, True])
@pytest.mark.parametrize("kind", ["callback", "handler", "native", "delegate"])
def test_a_context_around_a_server(kind, by_classes):
    """Is around each call of its application, once."""
    kinds = Kinds()

    class Around(HTTPServer):
        def add_sockets(self, sockets):
            with stack_context.StackContext(functools.partial(entering, kinds.entered)):
                super().add_sockets(sockets)

    class ByClasses(Around):
        def on_close(self, server_conn):
            super().on_close(server_conn)

    make = ByClasses if by_classes else Around
    live = LiveServer(None, make=lambda: make(getattr(kinds, kind)()))
    try:
        for _ in range(2):
            assert parse(live.exchange(request_bytes("/")))[0] == 200
    finally:
        live.stop()
    assert kinds.seen == [1, 1] and kinds.entered == []


def test_websockets():
    """What a handler registers fails for itself; a context around the connection is around its messages."""
    entered, seen, caught = [], [], []

    class Echo(WebSocketHandler):
        def open(self):
            seen.append(len(entered))

        def on_message(self, message):
            seen.append(len(entered))

            def note(kind, value, traceback):
                caught.append(value)
                self.write_message("caught")
                return True

            with stack_context.ExceptionStackContext(note):
                IOLoop.current().add_callback(fail)

    async def main():
        with stack_context.StackContext(functools.partial(entering, entered)):
            server = Application([("/", Echo)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        client = await websocket_connect(f"ws://127.0.0.1:{port}/")
        client.write_message("x")
        assert await client.read_message() == "caught"
        client.close()
        assert await client.read_message() is None
        server.stop()
        assert seen == [1, 1] and len(caught) == 1 and entered == []

    loop = IOLoop()
    loop.run_sync(main)
    loop.close(all_fds=True)


def test_no_cycles(serve):
    """A request with @asynchronous that finishes from a callback is freed without the collector."""

    class Finishes(RequestHandler):
        @asynchronous
        def get(self):
            IOLoop.current().call_later(0.001, self.end)

        def end(self):
            self.finish("done")

    ask = serve([("/", Finishes)])
    ask("/")
    (server,) = serve.servers

    def collect():
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.disable()

    def found():
        gc.collect()
        garbage = [each for each in gc.garbage if isinstance(each, (RequestHandler, stack_context._Context))]
        gc.garbage.clear()
        gc.set_debug(0)
        gc.enable()
        return [type(each).__name__ for each in garbage]

    server.call(collect)
    try:
        assert parse(ask("/"))[1] == b"done"
    finally:
        left = server.call(found)
    assert left == []


@pytest.mark.parametrize("start", [tornado_c.run, asyncio.run], ids=["native", "guest"])
def test_steps_of_coroutines_are_inside(start):
    """Each of them, also where a Task is run by a loop that knows nothing of contexts."""
    entered, seen = [], {}

    @contextlib.contextmanager
    def named(name):
        entered.append(name)
        yield
        entered.remove(name)

    def note(what):
        seen[what] = [*entered]

    class Get(RequestHandler):
        async def prepare(self):
            note("prepare")
            await asyncio.sleep(0.001)

        async def get(self):
            note("get")
            await asyncio.sleep(0.001)
            note("get, later")

    class Open(WebSocketHandler):
        async def open(self):
            note("open")
            await asyncio.sleep(0.001)
            note("open, later")

        async def on_message(self, message):
            note("on_message")
            await asyncio.sleep(0.001)
            self.write_message(message)

    async def answer(request):
        note("request")
        await asyncio.sleep(0.001)
        note("request, later")
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        request.finish()

    async def ask(server, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", server)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert await reader.read()
        writer.close()

    async def main():
        ports, servers = [], []
        with (
            stack_context.StackContext(functools.partial(named, "one")),
            stack_context.StackContext(functools.partial(named, "two")),
        ):
            for callback in (Application([("/get", Get), ("/open", Open)]), answer):
                servers.append(HTTPServer(callback))
                sockets = bind_sockets(0, "127.0.0.1")
                servers[-1].add_sockets(sockets)
                ports.append(sockets[0].getsockname()[1])
        await ask(ports[0], "/get")
        await ask(ports[1], "/")
        client = await websocket_connect(f"ws://127.0.0.1:{ports[0]}/open")
        await client.write_message("hello")
        assert await client.read_message() == "hello"
        client.close()
        await client.read_message()
        for server in servers:
            server.stop()
            await server.close_all_connections()

    start(asyncio.wait_for(main(), 60))
    assert set(map(tuple, seen.values())) == {("one", "two")}, seen
    assert len(seen) == 8 and entered == []
