"""HTTPServer as a whole: constructors of both generations, start-up and end, loops, contexts, crowds."""

import asyncio
import contextvars
import gc
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
import weakref

import pytest

from support.children import CHILD_ENVIRONMENT
from support.live_http import PATIENCE, Client, LiveServer, headers_ok, raw_ok, serving, talk, wait_for
from support.ports import free_port
from tornado_c import _core, netutil
from tornado_c.httpserver import HTTPConnection, HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK_X = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"


def answer_x(request):
    raw_ok(request, b"x")


# ---- constructors ----


@pytest.fixture
def io_loop():
    loop = IOLoop(make_current=True)
    yield loop
    loop.close()


def test_arguments_of_6_x(io_loop):
    names = ("no_keep_alive", "xheaders", "protocol", "trusted_downstream")
    server = HTTPServer(answer_x, True, True, None, "https", False, 1024, 2048, 3.0, 4.0, 5, 6, ["1.1.1.1"])
    assert [getattr(server, n) for n in names] == [True, True, "https", ["1.1.1.1"]]
    config = server._config
    assert (config.chunk_size, config.max_header_size, config.idle_timeout) == (1024, 2048, 3.0)
    assert (config.body_timeout, config.max_body_size, config.max_buffer_size) == (4.0, 5, 6)
    assert server.request_callback is answer_x


def test_arguments_of_4_x(io_loop):
    by_position = HTTPServer(answer_x, False, io_loop, True, None, "https", False, 1024)
    by_keyword = HTTPServer(answer_x, io_loop=io_loop, xheaders=True, protocol="https", chunk_size=1024)
    none = HTTPServer(answer_x, False, None, True, None, "https", False, 1024)
    for server in (by_position, by_keyword, none):
        assert (server.xheaders, server.protocol, server._config.chunk_size) == (True, "https", 1024)
    assert by_position.io_loop is io_loop and by_keyword.io_loop is io_loop


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((None,), {}),
        ((answer_x,), {"no_such": 1}),
        ((answer_x, False, False, None, None), {"ssl_options": None}),
        ((answer_x, *[None] * 20), {}),
        ((answer_x,), {"max_header_size": "x"}),
        ((answer_x,), {"max_body_size": "1"}),
        ((answer_x,), {"idle_connection_timeout": "soon"}),
        ((answer_x,), {"chunk_size": b"1"}),
    ],
)
def test_wrong_arguments(args, kwargs):
    with pytest.raises(TypeError):
        HTTPServer(*args, **kwargs)


class OldSubclass(HTTPServer):
    """A subclass of 2.x: its own arguments, and it calls HTTPServer.__init__."""

    def __init__(self, name, callback):
        self.name = name
        HTTPServer.__init__(self, callback, no_keep_alive=True)


class CallbackFirst(HTTPServer):
    def __init__(self, callback, *args, **kwargs):
        super().__init__(callback, *args, **kwargs)
        self.name = "first"


class NewSubclass(HTTPServer):
    """A subclass of 6.x: initialize() has the arguments."""

    def initialize(self, callback, name):
        self.name = name
        super().initialize(callback, no_keep_alive=True)


class InitOnly(HTTPServer):
    """Allowed since 4.0: an __init__ that never calls ours; initialize() was called already."""

    def __init__(self, *args, **kwargs):
        self.name = "only"


@pytest.mark.parametrize(
    "make",
    [
        lambda: OldSubclass("old", answer_x),
        lambda: CallbackFirst(answer_x, no_keep_alive=True),
        lambda: NewSubclass(answer_x, name="new"),
        lambda: InitOnly(answer_x, no_keep_alive=True),
    ],
    ids=["old", "first", "new", "only"],
)
def test_subclasses(make):
    server = LiveServer(answer_x, make=make)
    try:
        assert server.server.name and server.server.no_keep_alive
        assert talk(server.address, GET + GET) == OK_X
    finally:
        server.stop()


def test_handle_stream_can_be_overridden():
    seen = []

    class Server(HTTPServer):
        def handle_stream(self, stream, address):
            seen.append((type(stream), address[0]))
            super().handle_stream(stream, address)

    server = LiveServer(answer_x, make=lambda: Server(answer_x))
    try:
        assert talk(server.address, GET + LAST) == OK_X + OK_X
    finally:
        server.stop()
    assert seen == [(IOStream, "127.0.0.1")]


def test_http_connection_over_a_stream_of_ones_own():
    made = []

    def handle_stream(stream, address):
        made.append(
            HTTPConnection(stream, address, answer_x, no_keep_alive=True, xheaders=False, protocol="https")
        )
        with pytest.raises((RuntimeError, AssertionError)):
            HTTPConnection(stream, address, answer_x)

    def make():
        server = HTTPServer(answer_x)
        server.handle_stream = handle_stream
        return server

    server = LiveServer(answer_x, make=make)
    try:
        assert talk(server.address, GET) == OK_X
        assert made[0].protocol == "https" and made[0].no_keep_alive
    finally:
        server.stop()


def test_http_connection_over_a_closed_stream(io_loop):
    ours, theirs = socket.socketpair()
    with theirs:
        stream = IOStream(ours)
        stream.close()
        connection = HTTPConnection(stream, "", answer_x)
        assert connection._request is None
        connection.close()


def test_wrong_arguments_of_http_connection(io_loop):
    ours, theirs = socket.socketpair()
    stream = IOStream(ours)
    with theirs:
        for args in ((stream, ""), (stream, "", None), (ours, "", answer_x), (None, "", answer_x)):
            with pytest.raises(TypeError):
                HTTPConnection(*args)
    stream.close()


# ---- start-up and end ----


def run_in_thread(start):
    """The port that start(io_loop) gives, and what stops the loop."""
    found, loops = [], []

    def run():
        loop = IOLoop(make_current=True)
        loops.append(loop)
        found.append(start(loop))
        loop.start()
        loop.close(all_fds=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(lambda: found)

    def stop():
        loops[0].add_callback(loops[0].stop)
        thread.join(PATIENCE)

    return found[0], stop


@pytest.mark.parametrize("way", ["listen", "bind and start", "add_sockets", "add_socket", "start(1)"])
def test_ways_to_start(way):
    """No reference to the server is kept here: it stays alive by itself."""
    servers = []

    def start(loop):
        server = HTTPServer(answer_x)
        servers.append(weakref.ref(server))
        port = free_port()
        if way == "listen":
            server.listen(port, "127.0.0.1")
        elif way == "add_sockets":
            server.add_sockets(netutil.bind_sockets(port, "127.0.0.1"))
        elif way == "add_socket":
            server.add_socket(netutil.bind_sockets(port, "127.0.0.1")[0])
        else:
            server.bind(port, "127.0.0.1")
            server.start(*[1] if way == "start(1)" else [])
        del server
        gc.collect()
        return port

    port, stop = run_in_thread(start)
    try:
        assert talk(("127.0.0.1", port), GET + LAST) == OK_X * 2
        gc.collect()
        assert servers[0]() is not None
        assert talk(("127.0.0.1", port), LAST) == OK_X
        servers[0]()._sockets  # noqa: B018
    finally:
        server = servers[0]()
        server.io_loop.add_callback(server.stop)
        del server
        stop()


def test_several_listeners():
    with serving(answer_x) as server:
        more = netutil.bind_sockets(0, "127.0.0.1")
        server.call(server.server.add_sockets, more)
        assert talk(server.address, LAST) == talk(more[0].getsockname(), LAST) == OK_X
        server.call(server.server.stop)
        for address in (server.address, server.address):
            with pytest.raises(OSError):
                Client(address)


def test_port_in_use():
    with serving(answer_x) as server:

        def again():
            with pytest.raises(OSError):
                HTTPServer(answer_x).listen(server.port, "127.0.0.1")

        server.call(again)


def test_stop_lets_connections_live():
    with serving(answer_x) as server, server.connect() as client:
        assert client.send(GET).answer()[1] == b"x"
        server.call(server.server.stop)
        with pytest.raises(OSError):
            Client(server.address)
        assert client.send(GET).answer()[1] == b"x"


def test_close_all_connections():
    waiting = []

    def callback(request):
        if request.path == "/wait":
            waiting.append(request)
        else:
            raw_ok(request, b"x")

    with serving(callback) as server:
        clients = [
            server.connect().send(GET.replace(b"/ ", b"/wait " if i % 2 else b"/ ")) for i in range(10)
        ]
        clients += [server.connect() for _ in range(3)]
        wait_for(lambda: len(waiting) == 5 and server.call(lambda: len(server.server._connections)) == 13)
        server.call(server.server.close_all_connections)
        assert server.call(lambda: server.server._connections) == set()
        for client in clients:
            client.rest()
            client.sock.close()
        assert talk(server.address, LAST) == OK_X  # it listens on


def test_connections_of_a_loop_that_was_closed():
    """The server can go on with another loop; its old connections are over."""
    server = HTTPServer(answer_x, idle_connection_timeout=30)
    clients = []

    def start(loop):
        server.io_loop = loop
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        return sockets[0]

    for _ in range(2):
        sock, stop = run_in_thread(start)
        clients.append(Client(sock.getsockname()))
        for _ in range(2):
            assert clients[-1].send(GET).answer()[1] == b"x"
        stop()
        sock.close()
        gc.collect()
    for client in clients:
        client.rest()
        client.sock.close()


# ---- loops and contexts ----


@pytest.mark.guest
def test_guest_of_the_standard_loop():
    async def main():
        server = HTTPServer(suspended_answer)
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        answers = []
        for _ in range(3):
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            answers.append(head + await reader.readexactly(1))
        writer.close()
        await writer.wait_closed()
        server.stop()
        await server.close_all_connections()
        return answers

    async def suspended_answer(request):
        await asyncio.sleep(0.001)
        raw_ok(request, b"x")

    loop = asyncio.SelectorEventLoop()
    try:
        assert loop.run_until_complete(asyncio.wait_for(main(), PATIENCE)) == [OK_X] * 3
    finally:
        loop.close()


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


@pytest.mark.parametrize("native", [True, False], ids=["native", "overridden"])
def test_callbacks_see_the_context_of_the_start(native):
    def callback(request):
        text = VARIABLE.get()
        VARIABLE.set("changed by a request")  # each has a copy of its own
        request.connection.set_close_callback(lambda: None)
        raw_ok(request, text.encode())

    class Server(HTTPServer):
        if not native:

            def handle_stream(self, stream, address):
                super().handle_stream(stream, address)

    def make():
        VARIABLE.set("before listening")
        return Server(callback)

    server = LiveServer(callback, make=make)
    try:
        answer = talk(server.address, GET + GET + LAST)
    finally:
        server.stop()
    assert answer.count(b"before listening") == 3


# ---- many ----


def test_500_connections_at_once():
    with serving(answer_x, sockets=netutil.bind_sockets(0, "127.0.0.1", backlog=1024)) as server:
        clients = [server.connect() for _ in range(500)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.answer()[1] == b"x"
        assert server.call(lambda: len(server.server._connections)) == 500
        for client in clients:
            client.send(LAST)
        for client in clients:
            assert client.rest() == OK_X
            client.sock.close()
        wait_for(lambda: server.call(lambda: not server.server._connections))


def test_requests_leave_no_cycles():
    alive = []

    async def callback(request):
        alive.extend((weakref.ref(request), weakref.ref(request.connection)))
        request.connection.set_close_callback(lambda: request)
        if request.path == "/later":
            await asyncio.sleep(0)
        if request.path == "/headers":
            headers_ok(request, repr(request.arguments).encode())
        else:
            raw_ok(request, repr(request.headers).encode())

    def plain(request):
        raw_ok(request, request.body)

    paths = [b"/", b"/later", b"/headers?a=1"]
    data = b"".join(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" % p for p in paths)
    for fn in (callback, plain):
        with serving(fn) as server:
            talk(server.address, data + LAST)  # what is made once
            server.call(gc.collect)
            before = {id(o) for o in gc.get_objects()}  # other tests have left some
            gc.disable()
            try:
                gc.set_debug(gc.DEBUG_SAVEALL)
                for _ in range(10):
                    assert talk(server.address, data + LAST).count(b"200 OK") == 4
                wait_for(lambda: server.call(lambda: not server.server._connections))
                assert all(ref() is None for ref in alive)
                server.call(gc.collect)
                ours = [o for o in gc.garbage if type(o).__module__.startswith("tornado_c")]
                ours = [o for o in ours if id(o) not in before]
                assert ours == []
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()


def test_no_descriptor_is_lost_over_2000_connections():
    with serving(answer_x) as server:
        assert talk(server.address, LAST) == OK_X
        wait_for(lambda: server.call(lambda: not server.server._connections))
        before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        for i in range(2000):
            client = server.connect().send(LAST if i % 2 else GET[: i % len(GET)])
            if i % 2:
                assert client.rest() == OK_X
            client.sock.close()
        wait_for(lambda: server.call(lambda: not server.server._connections))
        assert not before or len(os.listdir("/proc/self/fd")) == before


STARVED = """
import resource, socket, sys, threading, time, logging
logging.basicConfig(stream=sys.stderr, level=logging.INFO)
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets

def callback(request):
    request.write("HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n\\r\\nx")
    request.finish()

loop = IOLoop.instance()
sockets = bind_sockets(0, "127.0.0.1")
server = HTTPServer(callback)
server.add_sockets(sockets)
print(sockets[0].getsockname()[1], flush=True)

for line in iter(sys.stdin.readline, ""):
    if line == "starve\\n":
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 4096))
    elif line == "feed\\n":
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    elif line == "run\\n":
        before = resource.getrusage(resource.RUSAGE_SELF)
        loop.call_later(1.0, loop.stop)
        loop.start()
        after = resource.getrusage(resource.RUSAGE_SELF)
        print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, flush=True)
server.stop()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_NOFILE"), reason="no limit on descriptors")
def test_accept_without_descriptors():
    """One log line and no busy loop; service again afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARVED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=os.sep,
        env=CHILD_ENVIRONMENT,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None

    def say(line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return float(process.stdout.readline()) if line == "run" else None

    try:
        port = int(process.stdout.readline())
        say("starve")
        clients = [Client(("127.0.0.1", port)).send(GET) for _ in range(40)]
        busy = say("run")
        assert busy < 0.6  # of a second of starvation; a busy loop takes all of it
        say("feed")
        for _ in range(3):
            say("run")
        assert [client.answer()[1] for client in clients] == [b"x"] * 40
        for client in clients:
            client.sock.close()
        _, errors = process.communicate(timeout=PATIENCE)
        lines = [line for line in errors.splitlines() if line]
        assert len(lines) == 1 and "accept failed" in lines[0] and "tornado.general" in lines[0], errors
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_settings_can_be_changed_while_it_runs():
    with serving(answer_x) as server:
        assert talk(server.address, GET + LAST) == OK_X * 2
        server.server.no_keep_alive = True
        server.server.request_callback = lambda request: raw_ok(request, b"y")
        assert talk(server.address, GET + LAST) == OK_X[:-1] + b"y"


def test_removed_callback_is_an_error_of_the_request(caplog):
    with serving(answer_x) as server:
        del server.server._config.request_callback
        assert talk(server.address, GET) == b""
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


def test_config_and_listener_are_checked():
    with pytest.raises(TypeError):
        _core.HTTPListener(1, 2, 3, 4)
    with pytest.raises(TypeError):
        HTTPConnection.__new__(HTTPConnection)._attach(1, 2, 3)


def test_listening_socket_that_is_shut_down(caplog):
    """One log line, and no wake after wake for what cannot be accepted."""
    with serving(answer_x) as server:
        with server.connect() as client:
            assert client.send(GET).answer()[1] == b"x"
            server.call(server.sockets[0].shutdown, socket.SHUT_RDWR)
            for _ in range(20):
                assert client.send(GET).answer()[1] == b"x"
    assert len(caplog.records) == 1 and "listens no more" in caplog.text
