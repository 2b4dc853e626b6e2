"""Streams whose lowest level is the application's: subclasses of BaseIOStream over a socket pair, and hooks
that are replaced on an instance or on a class at run time. Stock Tornado is the oracle."""

import asyncio
import errno
import gc
import logging
import socket
import weakref
from unittest import mock

import pytest

from support.iostream_world import turns, until


def hooked(world):
    """A stream class that does everything in Python and counts the calls."""

    class Hooked(world.module.BaseIOStream):
        def __init__(self, sock, *args, **kwargs):
            self.sock = sock
            self.calls = []
            sock.setblocking(False)
            super().__init__(*args, **kwargs)

        def fileno(self):
            return self.sock

        def close_fd(self):
            self.calls.append("close")
            self.sock.close()

        def get_fd_error(self):
            self.calls.append("error")
            return OSError(errno.ECONNRESET, "told by the hook")

        def write_to_fd(self, data):
            self.calls.append("write")
            return self.sock.send(data)

        def read_from_fd(self, buf):
            self.calls.append("read")
            try:
                return self.sock.recv_into(buf)
            except BlockingIOError:
                return None

    return Hooked


@pytest.fixture
def pair(both):
    """A hooked stream, of a subclass if one is given, and its peer."""

    def make(**changes):
        mine, theirs = socket.socketpair()
        base = hooked(both)
        stream = type("Changed", (base,), changes)(mine)
        both.open += [stream, theirs]
        theirs.settimeout(30)
        return stream, theirs

    return make


def messages(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


class TestAllHooks:
    def test_reads_and_writes(self, both, pair):
        async def main():
            stream, peer = pair()
            peer.sendall(b"line\nabcdef")
            assert await stream.read_until(b"\n") == b"line\n"
            buf = bytearray(4)
            assert await stream.read_into(buf) == 4
            assert bytes(buf) == b"abcd"
            later = asyncio.ensure_future(stream.read_bytes(5))
            await turns()
            peer.sendall(b"ghi")
            assert await later == b"efghi"
            await stream.write(b"answer")
            assert peer.recv(100) == b"answer"
            peer.close()
            with pytest.raises(both.module.StreamClosedError):
                await stream.read_bytes(1)
            assert stream.closed()
            assert stream.calls.count("close") == 1
            assert "read" in stream.calls
            assert "write" in stream.calls

        both.run(main)

    def test_large_both_ways(self, both, pair):
        async def main():
            left, peer = pair()
            right = both.stream(peer)
            data = bytes(range(256)) * 8000
            sent = [left.write(data), right.write(data)]
            got = await asyncio.gather(left.read_bytes(len(data)), right.read_bytes(len(data)))
            await asyncio.gather(*sent)
            assert got == [data, data]

        both.run(main)

    def test_descriptor_number(self, both, pair):
        """fileno() may return the number instead of the object."""

        async def main():
            stream, peer = pair(fileno=lambda self: self.sock.fileno())
            reading = asyncio.ensure_future(stream.read_bytes(3))
            await turns()
            peer.sendall(b"abc")
            assert await reading == b"abc"

        both.run(main)

    def test_missing_hooks(self, both):
        async def main():
            mine, theirs = socket.socketpair()
            with mine, theirs:
                stream = both.module.BaseIOStream()
                with pytest.raises(NotImplementedError):
                    stream.read_bytes(1)
                stream = both.module.BaseIOStream()
                with pytest.raises(NotImplementedError):
                    stream.write(b"x")

        both.run(main)

    def test_held_back_data(self, both, pair):
        """The hook has bytes that the descriptor does not tell of."""

        async def main():
            held = bytearray(b"0123456789")

            def read_from_fd(self, buf):
                n = min(3, len(held), len(buf))
                buf[:n] = held[:n]
                del held[:n]
                return n if n else None

            stream, _ = pair(read_from_fd=read_from_fd)
            assert await stream.read_bytes(2) == b"01"
            assert await stream.read_bytes(8) == b"23456789"
            reading = stream.read_bytes(1)
            await turns()
            assert not reading.done()
            stream.close()
            with pytest.raises(both.module.StreamClosedError):
                await reading

        both.run(main)

    def test_bytes_without_an_event(self, both, pair):
        """After "nothing now" the hook has something again, of which no event tells: the next read asks."""

        async def main():
            held = bytearray()

            def read_from_fd(self, buf):
                n = min(len(held), len(buf))
                buf[:n] = held[:n]
                del held[:n]
                return n if n else None

            stream, peer = pair(read_from_fd=read_from_fd)
            held += b"ab"
            assert await stream.read_until(b"b") == b"ab"
            assert stream._try_inline_read() is None
            held += b"cd"
            assert await asyncio.wait_for(stream.read_bytes(2), 30) == b"cd"

        both.run(main)

    def test_callback_interface(self, ours):
        mine, theirs = socket.socketpair()

        async def main():
            stream = hooked(ours)(mine)
            got = []
            stream.set_close_callback(lambda: got.append("closed"))
            stream.read_until(b"\n", got.append)
            theirs.sendall(b"line\n")
            await until(lambda: got)
            theirs.close()
            await until(lambda: len(got) == 2)
            assert got == [b"line\n", "closed"]

        ours.run(main)

    def test_zero_and_blocking_mean_later(self, both, pair):
        answers = [0, "block", 2, 0, "block", 100]

        def write_to_fd(self, data):
            answer = answers.pop(0)
            if answer == "block":
                raise BlockingIOError(errno.EAGAIN, "later")
            return self.sock.send(data[:answer]) if answer else 0

        async def main():
            stream, peer = pair(write_to_fd=write_to_fd)
            await stream.write(b"abcdef")
            assert peer.recv(100) == b"abcdef"
            assert not answers

        both.run(main)

    @pytest.mark.parametrize("keep", ["view", "slice"])
    def test_view_is_released_after_the_call(self, both, pair, keep):
        """A hook that keeps what it was given does no harm."""
        kept = []

        def write_to_fd(self, data):
            kept.append(data if keep == "view" else data[:1])
            return self.sock.send(data)

        async def main():
            stream, peer = pair(write_to_fd=write_to_fd)
            data = bytearray(b"x" * 5000)
            if both.native or keep == "view":
                await stream.write(data)
                assert len(peer.recv(10000)) == 5000
            if keep == "view":
                with pytest.raises(ValueError):
                    kept[0][0]
                data.append(1)

        both.run(main)


class TestErrors:
    """What goes wrong in a hook surfaces where, and is logged as, stock Tornado does it."""

    @pytest.mark.parametrize(
        "error", [OSError(errno.EIO, "broken"), ConnectionResetError(errno.ECONNRESET, "x")]
    )
    def test_os_error_inline(self, both, pair, caplog, error):
        def read_from_fd(self, buf):
            raise error

        async def main():
            stream, _ = pair(read_from_fd=read_from_fd)
            reset = isinstance(error, ConnectionResetError)
            with pytest.raises(both.module.StreamClosedError if reset else OSError) as caught:
                await stream.read_bytes(1)
            if not reset:
                assert caught.value is error
            assert stream.closed()
            assert stream.error is error

        both.run(main)
        assert messages(caplog) == []

    def test_os_error_in_an_event(self, both, pair, caplog):
        error = OSError(errno.EIO, "broken")

        async def main():
            stream, peer = pair()
            reading = stream.read_bytes(1)

            def fail(buf):
                raise error

            stream.read_from_fd = fail
            peer.sendall(b"x")
            with pytest.raises(both.module.StreamClosedError) as caught:
                await reading
            assert caught.value.real_error is error
            assert stream.closed()

        both.run(main)
        assert messages(caplog) == [("WARNING", f"error on read: {error}")]

    def test_other_exception_inline(self, both, pair, caplog):
        """The caller gets it; the stream stays as it was."""

        def read_from_fd(self, buf):
            raise ZeroDivisionError("hook")

        async def main():
            stream, _ = pair(read_from_fd=read_from_fd)
            with pytest.raises(ZeroDivisionError):
                stream.read_bytes(1)
            assert not stream.closed()

        both.run(main)
        assert messages(caplog) == []

    def test_other_exception_in_an_event(self, both, pair, caplog):
        async def main():
            stream, peer = pair()
            reading = stream.read_bytes(1)

            def fail(buf):
                raise ZeroDivisionError("hook")

            stream.read_from_fd = fail
            peer.sendall(b"x")
            with pytest.raises(both.module.StreamClosedError) as caught:
                await reading
            assert isinstance(caught.value.real_error, ZeroDivisionError)

        both.run(main)
        assert messages(caplog) == [("WARNING", "error on read: hook")]

    @pytest.mark.parametrize("count", [-5, 10**6, 10**30, "x", 1.5])
    def test_nonsensical_count_of_read_bytes(self, ours, caplog, count):
        mine, theirs = socket.socketpair()

        async def main():
            stream = type("Bad", (hooked(ours),), {"read_from_fd": lambda self, buf: count})(mine)
            with pytest.raises((ValueError, OverflowError, TypeError)):
                await stream.read_bytes(3)
            stream.close()
            theirs.close()

        ours.run(main)

    @pytest.mark.parametrize("count", [-5, 10**6, 10**30, "x", None])
    def test_nonsensical_count_of_written_bytes(self, ours, count):
        mine, theirs = socket.socketpair()

        async def main():
            stream = type("Bad", (hooked(ours),), {"write_to_fd": lambda self, data: count})(mine)
            with pytest.raises((ValueError, OverflowError, TypeError)):
                await stream.write(b"abc")
            stream.close()
            theirs.close()

        ours.run(main)

    def test_hook_that_shrinks_its_buffer(self, ours):
        mine, theirs = socket.socketpair()

        def read_from_fd(self, buf):
            buf.clear()
            return 5

        async def main():
            stream = type("Bad", (hooked(ours),), {"read_from_fd": read_from_fd})(mine)
            with pytest.raises(ValueError):
                await stream.read_bytes(3)
            stream.close()
            theirs.close()

        ours.run(main)

    def test_write_error_inline(self, both, pair, caplog):
        error = OSError(errno.EIO, "broken")

        def write_to_fd(self, data):
            raise error

        async def main():
            stream, _ = pair(write_to_fd=write_to_fd)
            with pytest.raises(both.module.StreamClosedError) as caught:
                await stream.write(b"x")
            assert caught.value.real_error is error
            assert stream.error is error

        both.run(main)
        ((level, text),) = messages(caplog)
        assert level == "WARNING"
        assert text.startswith("Write error on <socket.socket")
        assert text.endswith(": [Errno 5] broken")

    @pytest.mark.parametrize("second", [False, True], ids=["first", "second of a turn"])
    def test_other_write_error_inline(self, both, pair, caplog, second):
        async def main():
            stream, _ = pair()
            if second:
                stream.write(b"1")

            def fail(data):
                raise ZeroDivisionError("hook")

            stream.write_to_fd = fail
            with pytest.raises(ZeroDivisionError):
                stream.write(b"x")
            assert not stream.closed()

        both.run(main)
        assert messages(caplog) == []

    def test_other_write_error_in_an_event(self, both, pair, caplog):
        state = []

        def write_to_fd(self, data):
            if state:
                raise ZeroDivisionError("hook")
            return 0

        async def main():
            stream, _ = pair(write_to_fd=write_to_fd)
            writing = stream.write(b"x")
            state.append(1)
            with pytest.raises(both.module.StreamClosedError) as caught:
                await writing
            assert isinstance(caught.value.real_error, ZeroDivisionError)

        both.run(main)
        assert messages(caplog)[0] == ("ERROR", "Uncaught exception, closing connection.")

    def test_close_hook_raises(self, both, pair):
        async def main():
            def close_fd(self):
                self.sock.close()
                raise ZeroDivisionError("hook")

            stream, peer = pair(close_fd=close_fd)
            both.open[:] = [peer]
            reading = stream.read_bytes(1)
            with pytest.raises(ZeroDivisionError):
                stream.close()
            if both.native:  # stock leaves such a stream half closed
                assert stream.closed()
                with pytest.raises(both.module.StreamClosedError):
                    await reading

        both.run(main)

    def test_fileno_raises(self, both, pair):
        async def main():
            def fileno(self):
                raise ZeroDivisionError("hook")

            stream, peer = pair(fileno=fileno)
            with pytest.raises(ZeroDivisionError):
                stream.read_bytes(1)
            stream.sock.close()
            both.open[:] = [peer]

        both.run(main)


class TestReplaced:
    """A method that is replaced at run time is what the stream calls from then on."""

    def test_on_an_instance(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"abc")
            assert await stream.read_bytes(1) == b"a"
            original, seen = stream.read_from_fd, []

            def spy(buf):
                seen.append(len(buf))
                return original(buf)

            stream.read_from_fd = spy
            peer.sendall(b"def")
            assert await stream.read_bytes(5) == b"bcdef"
            assert seen
            del stream.read_from_fd
            del seen[:]
            peer.sendall(b"x")
            assert await stream.read_bytes(1) == b"x"
            assert not seen

        both.run(main)

    @pytest.mark.parametrize("method", ["read_from_fd", "write_to_fd", "close_fd", "get_fd_error"])
    @pytest.mark.parametrize("owner", ["IOStream", "BaseIOStream"])
    def test_on_a_class(self, both, method, owner):
        cls = getattr(both.module, owner)
        target = cls if method in vars(cls) else both.module.IOStream
        original, calls = getattr(target, method), []

        def spy(self, *args):
            calls.append(method)
            return original(self, *args)

        async def main():
            stream, peer = both.pair()
            peer.sendall(b"a")
            assert await stream.read_bytes(1) == b"a"
            await stream.write(b"b")
            with mock.patch.object(target, method, spy):
                peer.sendall(b"c")
                assert await stream.read_bytes(1) == b"c"
                await stream.write(b"d")
                stream._handle_events(stream.fileno(), both.implementation.ioloop.IOLoop.ERROR)
                stream.close()
            assert peer.recv(10) == b"bd"
            return calls

        if owner == "BaseIOStream" and target is not cls:
            pytest.skip("IOStream has its own")
        calls = both.run(main)
        if target is both.module.IOStream:
            assert calls

    def test_inline_read_on_the_class(self, both):
        """As Tornado's own tests do it, to make reads wait for an event."""

        async def main():
            stream, peer = both.pair()
            with mock.patch.object(both.module.BaseIOStream, "_try_inline_read", lambda self: None):
                reading = stream.read_bytes(3)
                assert not reading.done()
            stream._add_io_state(both.implementation.ioloop.IOLoop.READ)
            peer.sendall(b"abc")
            assert await reading == b"abc"

        both.run(main)

    def test_state(self, both):
        """What the loop is asked for, in its own words."""

        async def main():
            stream, peer = both.pair()
            loop = both.implementation.ioloop.IOLoop
            before = stream._state
            reading = stream.read_bytes(1)
            while_reading = stream._state
            peer.sendall(b"a")
            await reading
            stream.close()
            return before, while_reading == loop.READ | loop.ERROR, stream._state

        assert both.run(main) == (None, True, None)

    def test_class_of_an_instance(self, both, pair):
        async def main():
            stream, peer = pair()
            peer.sendall(b"abc")
            assert await stream.read_bytes(1) == b"a"
            seen = []

            class Other(type(stream)):
                def read_from_fd(self, buf):
                    seen.append(1)
                    return super().read_from_fd(buf)

            stream.__class__ = Other
            peer.sendall(b"d")
            assert await stream.read_bytes(3) == b"bcd"
            assert seen

        both.run(main)

    def test_reader_replaced_with_bytes_buffered(self, ours):
        """The hook closes the stream, and so ends the buffer that is being filled."""

        async def main():
            stream, peer = ours.pair()
            peer.sendall(b"abc" * 100)
            assert await stream.read_bytes(1) == b"a"

            def close(buf):
                assert stream._consume(stream._read_buffer_size)
                stream.close()
                buf[:] = b"z" * len(buf)
                return len(buf)

            reading = stream.read_bytes(100000)
            stream.read_from_fd = close
            peer.sendall(b"x")
            with pytest.raises(ours.module.StreamClosedError):
                await reading

        ours.run(main)


class TestReentry:
    """A hook comes back into its stream."""

    @pytest.mark.parametrize("kind", ["bytes", "into", "until", "close"])
    def test_read_hook_closes(self, both, pair, kind):
        def read_from_fd(self, buf):
            self.close()
            buf[:3] = b"abc"
            return 3

        async def main():
            stream, _ = pair(read_from_fd=read_from_fd)
            memory = bytearray(1 << 20)
            start = {
                "bytes": lambda: stream.read_bytes(10),
                "into": lambda: stream.read_into(memory),
                "until": lambda: stream.read_until(b"\n"),
                "close": lambda: stream.read_until_close(),
            }[kind]
            if kind == "close":
                assert await start() == b""
            else:
                with pytest.raises(both.module.StreamClosedError):
                    await start()
            memory.clear()

        both.run(main)

    def test_memory_of_a_closed_read_into_stays_till_the_hook_returns(self, ours):
        mine, theirs = socket.socketpair()
        memory = bytearray(1 << 22)
        resized = []

        def read_from_fd(self, buf):
            self.close()
            try:
                memory.clear()
                resized.append(True)
            except BufferError:
                resized.append(False)
            buf[:] = b"A" * len(buf)
            return len(buf)

        async def main():
            stream = type("Closer", (hooked(ours),), {"read_from_fd": read_from_fd})(mine)
            with pytest.raises(ours.module.StreamClosedError):
                await stream.read_into(memory)
            memory.clear()

        ours.run(main)
        theirs.close()
        assert resized == [False]

    def test_read_hook_runs_the_reader(self, ours):
        """_handle_read inside read_from_fd: the bytes keep their order."""
        mine, theirs = socket.socketpair()

        def read_from_fd(self, buf):
            if not self.calls:
                self.calls.append(1)
                self._handle_read()
                self._handle_events(self.sock, 1)
            try:
                return self.sock.recv_into(buf, 2)
            except BlockingIOError:
                return None

        async def main():
            stream = type("Nested", (hooked(ours),), {"read_from_fd": read_from_fd})(mine)
            theirs.sendall(b"abcdefgh")
            assert await stream.read_bytes(8) == b"abcdefgh"
            reading = stream.read_bytes(2)
            await turns()
            theirs.sendall(b"ij")
            assert await reading == b"ij"
            stream.close()
            theirs.close()

        ours.run(main)

    def test_read_hook_reads(self, both, pair):
        def read_from_fd(self, buf):
            with pytest.raises(AssertionError, match="Already reading"):
                self.read_bytes(1)
            buf[:1] = b"x"
            return 1

        async def main():
            stream, _ = pair(read_from_fd=read_from_fd)
            assert await stream.read_bytes(1) == b"x"

        both.run(main)

    def test_write_hook_closes(self, both, pair):
        def write_to_fd(self, data):
            self.close()
            return len(data)

        async def main():
            stream, _ = pair(write_to_fd=write_to_fd)
            memory = bytearray(10000)
            try:
                await stream.write(memory)
            except (both.module.StreamClosedError, AttributeError):
                pass  # stock meets its own missing buffer
            assert stream.closed()
            if both.native:
                memory.clear()

        both.run(main)

    def test_write_hook_writes(self, ours):
        """What it writes goes out behind what it was called for, and is not lost."""
        mine, theirs = socket.socketpair()
        theirs.settimeout(30)

        def write_to_fd(self, data):
            if not self.calls:
                self.calls.append(1)
                self.write(b"inner")
            return self.sock.send(data)

        async def main():
            stream = type("Nested", (hooked(ours),), {"write_to_fd": write_to_fd})(mine)
            await stream.write(b"outer")
            await until(lambda: not stream.writing())
            assert theirs.recv(100) == b"outerinner"
            stream.close()
            theirs.close()

        ours.run(main)

    def test_write_hook_changes_the_queue(self, ours):
        mine, theirs = socket.socketpair()

        def write_to_fd(self, data):
            n = self.sock.send(data)
            self._write_buffer.clear()
            return n

        async def main():
            stream = type("Clearing", (hooked(ours),), {"write_to_fd": write_to_fd})(mine)
            stream.write(bytes(5000))
            assert not stream.writing()
            stream.close()
            theirs.close()

        ours.run(main)

    def test_fileno_closes(self, ours):
        mine, theirs = socket.socketpair()

        def fileno(self):
            self.close()
            return number

        number = mine.fileno()

        async def main():
            stream = type("Closer", (hooked(ours),), {"fileno": fileno})(mine)
            with pytest.raises(ours.module.StreamClosedError):
                await stream.read_bytes(5)
            held = weakref.ref(stream)
            del stream
            gc.collect()
            assert held() is None

        ours.run(main)
        theirs.close()

    def test_hook_drops_the_last_reference(self, both, pair):
        streams = []

        def read_from_fd(self, buf):
            streams.clear()
            both.open.clear()
            self.close()
            gc.collect()
            buf[:1] = b"x"
            return 1

        async def main():
            stream, peer = pair()
            streams.append(stream)
            reading = stream.read_bytes(1)
            type(stream).read_from_fd = read_from_fd
            del stream
            peer.sendall(b"abc")
            with pytest.raises(both.module.StreamClosedError):
                await reading
            peer.close()

        both.run(main)

    def test_handler_of_log_messages_closes(self, ours, caplog):
        """Logging an unsatisfiable read runs the application's code with the read half done."""

        class Closer(logging.Handler):
            def emit(self, record):
                stream.close()

        handler, logger = Closer(), logging.getLogger("tornado.general")
        level = logger.level
        stream = None

        async def main():
            nonlocal stream
            stream, peer = ours.pair()
            peer.sendall(b"x" * 100)
            await stream.read_bytes(1)
            with pytest.raises(ours.module.StreamClosedError):
                await stream.read_until(b"\n", max_bytes=10)

        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            ours.run(main)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class TestError:
    def test_get_fd_error(self, both, pair):
        async def main():
            stream, peer = pair()
            stream.set_close_callback(lambda: None)
            stream._handle_events(stream.fileno(), both.implementation.ioloop.IOLoop.ERROR)
            await until(stream.closed)
            assert "error" in stream.calls
            assert str(stream.error) == "[Errno 104] told by the hook"

        both.run(main)


def test_uninitialized_stream_refuses_everything(ours):
    """Every method, on an object whose __init__ was skipped: exceptions, nothing worse."""
    module = ours.module
    gc.collect()
    before = sum(isinstance(thing, module.BaseIOStream) for thing in gc.get_objects())
    for cls in (module.IOStream, module.SSLIOStream, module.PipeIOStream, module.BaseIOStream):
        stream = cls.__new__(cls)
        for name in dir(stream):
            if name.startswith("__"):
                continue
            try:
                method = getattr(stream, name)
            except AttributeError:
                continue
            if callable(method):
                for args in ((), (1,), (print,), (None,), (b"x",), (stream,), (1, 2)):
                    try:
                        method(*args)
                    except SystemError:
                        raise
                    except Exception:
                        pass
    del stream, method
    gc.collect()
    assert sum(isinstance(thing, module.BaseIOStream) for thing in gc.get_objects()) == before
