"""What callbacks may do to the stream and the loop that call them, and what is left when a loop goes."""

import asyncio
import ctypes
import gc
import signal
import socket
import time
import weakref

import pytest

import tornado_c
from support.children import run_alone
from tornado_c.httpserver import HTTPConnection, HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamClosedError
from tornado_c.netutil import bind_sockets

LIMIT = 30  # seconds: far beyond what anything here takes
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def loop():
    loop = IOLoop(make_current=False)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


def run(loop, main, limit=LIMIT):
    return loop.run_sync(main, timeout=limit)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def answer(request):
    request.write(ANSWER)
    request.finish()


async def stream_with_unread_requests(count):
    """A stream that has read one line, with requests behind it in its buffer, and the peer."""
    left, right = socket.socketpair()
    right.settimeout(LIMIT)
    right.sendall(b"line\n" + REQUEST * count)
    stream = IOStream(left)
    assert await stream.read_until(b"\n") == b"line\n"
    assert stream._read_buffer_size == len(REQUEST) * count
    return stream, right


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestDeferredTasks:
    """Work that was put off outside of a turn, when no turn follows."""

    @staticmethod
    def attach(io_loop):
        stream, peer = run(io_loop, lambda: stream_with_unread_requests(1))
        HTTPConnection(stream, None, print)
        return weakref.ref(stream), peer

    def test_dropped_when_the_loop_is_closed(self, loop, capsys):
        stream, peer = self.attach(loop)
        gc.collect()
        assert stream() is not None
        loop.close()
        gc.collect()
        assert stream() is None
        assert capsys.readouterr().out == ""
        peer.close()

    def test_dropped_with_a_loop_that_is_only_forgotten(self):
        """In a program of its own: nothing else may have kept the thread's first IOLoop."""
        program = """if True:
            import asyncio, gc, socket, weakref
            from tornado_c.httpserver import HTTPConnection
            from tornado_c.ioloop import IOLoop
            from tornado_c.iostream import IOStream

            left, peer = socket.socketpair()
            request = b"GET / HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n"
            peer.sendall(b"line\\n" + request)

            async def waiting():
                stream = IOStream(left)
                assert await stream.read_until(b"\\n") == b"line\\n"
                assert stream._read_buffer_size == len(request)
                return stream

            io_loop = IOLoop(make_current=False)
            stream = io_loop.run_sync(waiting)
            HTTPConnection(stream, None, print)
            stream = weakref.ref(stream)
            gc.collect()
            assert stream() is not None
            core = weakref.ref(io_loop.asyncio_loop)
            IOLoop._ioloop_for_asyncio.pop(core())
            IOLoop._main_instance = None
            asyncio.set_event_loop(None)
            del io_loop
            gc.collect()
            assert stream() is None and core() is None
            peer.close()
        """
        assert run_alone(program) == ""


class TestResume:
    def test_exception_does_not_leave_run_forever(self, loop):
        class Odd(BaseException):
            pass

        calls, told = [], []

        def callback(request):
            calls.append(request)
            raise Odd

        async def main():
            loop.asyncio_loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
            stream, peer = await stream_with_unread_requests(2)
            HTTPConnection(stream, None, callback)
            await until(lambda: told)
            await asyncio.sleep(0.01)
            assert stream.closed()
            assert peer.recv(1) == b""
            peer.close()

        run(loop, main)
        assert len(calls) == 1
        assert [type(exc) for exc in told] == [Odd]

    @pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
    def test_interrupt_does(self, loop, exception):
        def callback(request):
            raise exception

        async def main():
            ends.extend(await stream_with_unread_requests(1))
            HTTPConnection(ends[0], None, callback)

        ends = []
        loop.add_callback(main)
        with pytest.raises(exception):
            loop.start()
        for end in ends:
            end.close()


class Served:
    """An HTTP server on the loop, and a plain socket that is connected to it."""

    def __init__(self, callback):
        (self.listener,) = bind_sockets(0, "127.0.0.1")
        self.server = HTTPServer(callback)
        self.server.add_socket(self.listener)
        self.client = socket.create_connection(self.listener.getsockname())
        self.client.setblocking(False)
        self.received = bytearray()

    async def receive(self, condition):
        """Until condition(received) or the end."""
        while not condition(self.received):
            try:
                data = self.client.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            if not data:
                break
            self.received += data

    def close(self):
        self.server.stop()
        self.client.close()


class TestCorkedOutput:
    """Inside the callback of a request output is joined and sent when it returns."""

    def test_waiter_behind_a_queue(self, loop):
        big, futures = b"x" * 20_000_000, []

        def callback(request):
            stream = request.connection.stream
            futures.append(stream.write(big))
            futures.append(stream.write(b"small"))

        async def main():
            served = Served(callback)
            served.client.sendall(REQUEST)
            await until(lambda: len(futures) == 2)
            assert not futures[0].done() and not futures[1].done()
            await served.receive(lambda data: len(data) == len(big) + 5)
            await asyncio.gather(*futures)
            assert served.received[-5:] == b"small"
            served.close()

        run(loop, main)

    def test_waiter_whose_queue_was_sent_meanwhile(self, loop):
        """The queue empties in a turn inside the callback; the corked bytes then leave past it."""
        big, futures = b"x" * 4_000_000, []

        def callback(request):
            stream = request.connection.stream
            futures.append(stream.write(big))
            futures.append(stream.write(b"small"))
            assert not futures[1].done()
            received = bytearray()
            while not futures[0].done():
                try:
                    received += served.client.recv(1 << 20)
                except BlockingIOError:
                    pass
                loop.asyncio_loop._run_once()
            served.received += received

        async def main():
            nonlocal served
            served = Served(callback)
            served.client.sendall(REQUEST)
            await until(lambda: len(futures) == 2 and futures[0].done())
            await served.receive(lambda data: len(data) == len(big) + 5)
            await asyncio.wait_for(futures[1], 5)
            assert served.received[-5:] == b"small"
            served.close()

        served = None
        run(loop, main)


class TestCloseInsideTheConsumer:
    @pytest.mark.parametrize("how", ["stream", "stream with answer", "connection", "socket taken"])
    @pytest.mark.parametrize("buffered", [False, True])
    def test_with_pipelined_input(self, loop, how, buffered):
        calls = []

        def callback(request):
            calls.append(request.connection.stream)
            if how == "connection":
                request.connection.close()
                return
            if how == "stream with answer":
                request.write(ANSWER)
            if how == "socket taken":
                assert request.connection.stream.socket.fileno() >= 0
            request.connection.stream.close()
            assert request.connection.stream.closed()

        async def main():
            if buffered:
                stream, peer = await stream_with_unread_requests(5)
                HTTPConnection(stream, None, callback)
            else:
                served = Served(callback)
                peer = served.client
                peer.sendall(REQUEST * 5 + b"GET / HT")
            peer.setblocking(False)
            received = b""
            while True:
                try:
                    data = peer.recv(65536)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
                    continue
                except ConnectionResetError:
                    break
                if not data:
                    break
                received += data
            assert received == (ANSWER if how == "stream with answer" else b"")
            assert calls[0].closed()
            with pytest.raises(StreamClosedError):
                await calls[0].read_bytes(1)
            peer.close()
            if not buffered:
                served.server.stop()

        run(loop, main)
        assert len(calls) == 1


class TestNestedTurns:
    """A callback that runs turns of the loop itself."""

    def test_input_waits_without_spinning(self, loop):
        """Nested turns sleep, although the stream that is being served has more to read."""
        turns, order = [], []

        def callback(request):
            order.append(request.path)
            if request.path == "/first":
                served.client.sendall(b"GET /second HTTP/1.1\r\nHost: test\r\n\r\n")
                over = []
                loop.call_later(0.1, over.append, 1)
                while not over:
                    loop.asyncio_loop._run_once()
                    turns.append(1)
                order.append("end of first")
            answer(request)

        async def main():
            nonlocal served
            served = Served(callback)
            served.client.sendall(b"GET /first HTTP/1.1\r\nHost: test\r\n\r\n")
            await served.receive(lambda data: data.count(ANSWER) == 2)
            assert served.received == ANSWER * 2
            served.client.sendall(b"GET /third HTTP/1.1\r\nHost: test\r\n\r\n")
            await served.receive(lambda data: data.count(ANSWER) == 3)
            served.close()

        served = None
        run(loop, main)
        assert order == ["/first", "end of first", "/second", "/third"]
        # main() polls the client each millisecond: about 100 turns, where spinning makes tens of thousands.
        assert len(turns) < 1000

    @pytest.mark.parametrize("last", [b"", b"GET /second HTTP/1.1\r\nHost: test\r\n\r\n"])
    def test_peer_that_leaves_meanwhile(self, loop, last):
        """A hang-up cannot be masked: the descriptor is not watched until the callback returns."""
        turns, order = [], []

        def callback(request):
            order.append(request.path)
            if request.path == "/first":
                peer.sendall(last)
                peer.close()
                over = []
                loop.call_later(0.1, over.append, 1)
                while not over:
                    loop.asyncio_loop._run_once()
                    turns.append(1)
                order.append("end of first")
            answer(request)

        async def main():
            nonlocal peer
            left, peer = socket.socketpair()
            stream = IOStream(left)
            HTTPConnection(stream, None, callback)
            peer.sendall(b"GET /first HTTP/1.1\r\nHost: test\r\n\r\n")
            await until(lambda: "end of first" in order and stream.closed())

        peer = None
        run(loop, main)
        assert order[:2] == ["/first", "end of first"]
        assert len(turns) < 1000

    def test_other_connections_are_served(self, loop):
        order = []

        def callback(request):
            if request.path == "/outer":
                while "inner" not in order:
                    loop.asyncio_loop._run_once()
                order.append("outer")
            else:
                order.append("inner")
            answer(request)

        async def main():
            served = Served(callback)
            with socket.create_connection(served.listener.getsockname()) as other:
                served.client.sendall(b"GET /outer HTTP/1.1\r\nHost: test\r\n\r\n")
                other.sendall(b"GET /inner HTTP/1.1\r\nHost: test\r\n\r\n")
                await served.receive(lambda data: ANSWER in data)
                other.settimeout(LIMIT)
                assert other.recv(65536) == ANSWER
            served.close()

        run(loop, main)
        assert order == ["inner", "outer"]


class TestErrorEvents:
    @pytest.mark.parametrize("tcp", [False, True])
    def test_no_unread_bytes_are_lost(self, loop, tcp):
        """Far more is unread than one event reads, when the peer has broken the connection."""
        payload = bytes(range(256)) * 400

        async def main():
            if tcp:
                (listener,) = bind_sockets(0, "127.0.0.1")
                peer = socket.create_connection(listener.getsockname())
                listener.setblocking(True)
                mine, _ = listener.accept()
                listener.close()
            else:
                mine, peer = socket.socketpair()
            stream = IOStream(mine, read_chunk_size=512)
            await stream.write(b"never read: the peer's close becomes a reset")
            peer.sendall(payload)
            await asyncio.sleep(0.05)
            peer.close()
            await asyncio.sleep(0.05)
            assert await stream.read_until_close() == payload
            assert stream.closed()

        run(loop, main)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestCollectedLoops:
    def test_timer_handle_in_a_cycle_with_its_loop(self):
        core = tornado_c.EventLoop()

        class Holder:
            def call(self):
                pass

        holder = Holder()
        holder.core = core
        holder.handle = core.call_later(1000, holder.call)
        holder.soon = core.call_soon(holder.call)
        refs = weakref.ref(holder), weakref.ref(core)
        core._closed = True  # no ResourceWarning
        del core, holder
        gc.collect()
        assert [ref() for ref in refs] == [None, None]

    def test_timer_handle_that_outlives_its_loop(self):
        core = tornado_c.EventLoop()
        handle = core.call_later(1000, print)
        core.close()
        del core
        gc.collect()
        assert handle.when() > 0
        handle.cancel()
        assert handle.cancelled()


class TestSignals:
    def test_during_a_turn_of_c_code_only(self, loop):
        """The handler runs before the loop sleeps, although no bytecode has run since the signal."""
        core = loop.asyncio_loop
        # Called through its own C type: the pending handler is not looked at on the way.
        raise_in_c = ctypes.CDLL(None)["raise"]
        old = signal.signal(signal.SIGUSR1, lambda *_: core.stop())
        try:
            watchdog = core.call_later(10, core.stop)
            core.call_soon(raise_in_c, signal.SIGUSR1)
            start = time.monotonic()
            core.run_forever()
            assert time.monotonic() - start < 5
            watchdog.cancel()
        finally:
            signal.signal(signal.SIGUSR1, old)
