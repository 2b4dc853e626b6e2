"""Guest mode: streams and servers under event loops that are not ours, and what is left of them.

Every test runs under a plain asyncio loop, under uvloop, and under a plain loop in another thread.
"""

import asyncio
import contextlib
import gc
import http.client
import os
import socket
import weakref

import pytest

from support.guest_hosts import HOSTS, LIMIT, Host, descriptors
from tornado_c import netutil, web
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamClosedError

pytestmark = pytest.mark.guest


@pytest.fixture(params=HOSTS)
def host(request):
    return Host(request.param)


# --------------------------------------------------------------------------- descriptors and streams


def test_handlers(host):
    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()
        a, b = socket.socketpair()
        with a, b:

            def readable(fd, events):
                assert fd is a and events & loop.READ
                got.append(a.recv(10))
                loop.update_handler(a, loop.WRITE)

            def handler(fd, events):
                if events & loop.READ:
                    return readable(fd, events)
                got.append("writable")
                loop.remove_handler(a)
                done.set()

            loop.add_handler(a, handler, loop.READ)
            loop.call_later(0.002, b.send, b"sent")
            await done.wait()
            b.send(b"not seen")
            await asyncio.sleep(0.005)
            assert got == [b"sent", "writable"]
            loop.add_handler(a, readable, loop.READ)
            while len(got) < 3:
                await asyncio.sleep(0)
            loop.remove_handler(a)

    host.run(main)


def test_streams(host):
    async def main():
        listener = netutil.bind_sockets(0, "127.0.0.1")[0]
        served = asyncio.get_running_loop().create_future()
        data = os.urandom(3_000_000)

        async def serve(stream):
            line = await stream.read_until(b"\n")
            size = int(line)
            body = await stream.read_bytes(size)
            await stream.write(body[::-1])
            rest = await stream.read_until_close()
            served.set_result((line, len(body), rest))

        def accepted(connection, address):
            IOLoop.current().spawn_callback(serve, IOStream(connection))

        stop = netutil.add_accept_handler(listener, accepted)
        client = IOStream(socket.socket())
        await client.connect(listener.getsockname())
        write = client.write(b"%d\n" % len(data) + data)
        assert await client.read_bytes(len(data)) == data[::-1]
        await write
        client.write(b"the rest")
        client.close()
        assert await served == (b"%d\n" % len(data), len(data), b"the rest")
        stop()
        listener.close()

    host.run(main)


def test_a_read_can_be_cancelled(host):
    async def main():
        left, right = (IOStream(sock) for sock in socket.socketpair())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(left.read_bytes(4), 0.005)
        left.close()
        closed = asyncio.Event()
        right.set_close_callback(closed.set)
        await closed.wait()
        with pytest.raises(StreamClosedError):
            await right.read_bytes(1)

    host.run(main)


def test_a_stream_ends_while_it_is_read(host):
    async def main():
        left, right = (IOStream(sock) for sock in socket.socketpair())
        IOLoop.current().call_later(0.002, right.close)
        with pytest.raises(StreamClosedError):
            await left.read_until(b"\n")
        assert left.closed()

    host.run(main)


# --------------------------------------------------------------------------- servers


GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


class Sleeper(web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0.002)
        self.write("slept")


class HostFuture(web.RequestHandler):
    async def get(self):
        """Awaits what only the host's own machinery resolves."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(0.002, future.set_result, "of the host")
        self.write(await future)


class Current(web.RequestHandler):
    async def get(self):
        task = asyncio.current_task()
        assert type(task) is asyncio.Task and task in asyncio.all_tasks()
        async with asyncio.timeout(LIMIT):
            await asyncio.sleep(0)
        assert asyncio.current_task() is task
        self.write("a task")


class AtOnce(web.RequestHandler):
    def get(self):
        self.write("at once")


class Echo(web.RequestHandler):
    async def post(self):
        assert await IOLoop.current().run_in_executor(None, len, self.request.body)
        self.write(self.request.body)


class Stuck(web.RequestHandler):
    waiting: list = []

    async def get(self):
        self.waiting.append(asyncio.current_task())
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.waiting.append("ended")


ROUTES = [
    ("/sleep", Sleeper),
    ("/future", HostFuture),
    ("/task", Current),
    ("/once", AtOnce),
    ("/echo", Echo),
    ("/stuck", Stuck),
]


@contextlib.asynccontextmanager
async def served(app=None):
    server = HTTPServer(app or web.Application(ROUTES))
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()
    finally:
        server.stop()
        await server.close_all_connections()


EXPECTED = {"/sleep": b"slept", "/future": b"of the host", "/task": b"a task", "/once": b"at once"}


def http_client(address):
    """A blocking client over one connection; what it got."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=LIMIT)) as client:
        got = {}
        for path in EXPECTED:
            client.request("GET", path)
            got[path] = client.getresponse().read()
        body = os.urandom(200_000)
        client.request("POST", "/echo", body)
        assert client.getresponse().read() == body
        return got


def test_server_and_blocking_clients(host):
    async def main():
        loop = IOLoop.current()
        async with served() as address:
            answers = [loop.run_in_executor(None, http_client, address) for _ in range(4)]
            assert await asyncio.gather(*answers) == [EXPECTED] * 4

    host.run(main)


def test_pipelined_requests_to_suspended_handlers(host):
    async def main():
        async with served() as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(GET % b"sleep" + GET % b"once" + GET % b"future" + GET % b"once")
            got = []
            for _ in range(4):
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                got.append(await reader.readexactly(size))
            assert got == [b"slept", b"at once", b"of the host", b"at once"]
            writer.close()
            await writer.wait_closed()

    host.run(main)


def test_callback_server(host):
    async def answer(request):
        await asyncio.sleep(0.001)
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        request.finish()

    async def main():
        async with served(answer) as address:
            reader, writer = await asyncio.open_connection(*address)
            for _ in range(3):
                writer.write(GET % b"")
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(2) == b"ok"
            writer.close()
            await writer.wait_closed()

    host.run(main)


def test_a_suspended_handler_is_cancelled(host):
    """From outside; the client gets an answer."""

    async def main():
        Stuck.waiting.clear()
        async with served() as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(GET % b"stuck")
            while not Stuck.waiting:
                await asyncio.sleep(0.001)
            Stuck.waiting[0].cancel()
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 500 ") and Stuck.waiting[1:] == ["ended"]
            writer.close()
            await writer.wait_closed()

    host.run(main)


def test_the_host_ends_with_handlers_suspended(host):
    """asyncio.run cancels what is left, with a client connected and a server that nobody stopped."""

    async def main():
        Stuck.waiting.clear()
        server = HTTPServer(web.Application(ROUTES))
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        client = socket.create_connection(sockets[0].getsockname(), timeout=LIMIT)
        client.sendall(GET % b"stuck")
        while not Stuck.waiting:
            await asyncio.sleep(0.001)
        IOLoop.current().call_later(LIMIT, print)
        return client, sockets, weakref.ref(server)

    client, sockets, server = host.run(main)
    assert Stuck.waiting[1:] == ["ended"]
    Stuck.waiting.clear()
    gc.collect()
    assert server() is None
    with client, contextlib.suppress(ConnectionResetError):
        while client.recv(1000):
            pass
    for sock in sockets:
        sock.close()


# --------------------------------------------------------------------------- closing and what is left


def test_closing_an_io_loop_with_work_pending(host):
    """IOLoop.close() closes the host too: nothing of either is left, nothing runs any more."""

    def body():
        gc.collect()
        before = descriptors()
        loop = host.factory()
        asyncio.set_event_loop(loop)
        io_loop = IOLoop.current()
        a, b = socket.socketpair()
        called = []
        io_loop.add_callback(called.append, "soon")
        io_loop.call_later(0, called.append, "later")
        io_loop.add_handler(b, lambda *args: called.append("handler"), io_loop.WRITE)
        stream = IOStream(a)
        with contextlib.suppress(RuntimeError):
            stream.set_close_callback(lambda: called.append("closed"))
        io_loop.close(all_fds=True)
        assert loop.is_closed() and called == []
        assert b.fileno() == -1
        io_loop.add_callback(called.append, "soon")
        stream.close()
        a.close()
        asyncio.set_event_loop(None)
        del stream, io_loop, loop
        gc.collect()
        assert descriptors() == before and called == []

    body()


def test_streams_after_the_host_closed(host):
    async def main():
        return [IOStream(sock) for sock in socket.socketpair()]

    left, right = host.run(main)
    left.close()
    right.close()
    assert left.closed() and right.closed()


async def busy_life():
    """One of everything, left as it is."""
    loop = IOLoop.current()
    loop.call_later(LIMIT, print)
    loop.add_callback(lambda: None)
    left, right = (IOStream(sock) for sock in socket.socketpair())
    reading = asyncio.ensure_future(left.read_bytes(1))
    await right.write(b"x")
    await reading
    waiting = left.read_bytes(1)
    left.set_close_callback(lambda: waiting.cancelled())
    async with served() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET % b"once")
        await reader.readuntil(b"at once")
        writer.close()
        await writer.wait_closed()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_hosts_leave_nothing(host):
    hosts = []

    async def life():
        hosts.append(weakref.ref(asyncio.get_running_loop()))
        await busy_life()

    for _ in range(10):
        host.run(life)
    gc.collect()
    fds, objects = descriptors(), len(gc.get_objects())
    hosts.clear()
    for _ in range(100):
        host.run(life)
    gc.collect()
    assert [ref() for ref in hosts if ref() is not None] == []
    assert descriptors() == fds
    assert len(gc.get_objects()) - objects < 200
