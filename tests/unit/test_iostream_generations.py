"""The interface of Tornado 2.x-4.x: callbacks. Each row of the differences between the generations that
concerns streams, in the order in which 4.x does things: never inside the call, the close callback last, an
exception logged, the stream closed, and the exception handed on to the IOLoop."""

import asyncio
import errno
import os
import socket
import sys

import pytest

import tornado_c
from support.iostream_world import reset, turns, until
from tornado_c import iostream
from tornado_c.ioloop import IOLoop


def messages(caplog):
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


class TestArguments:
    def test_second_argument_of_the_stream(self, ours):
        """An IOLoop, or None with more, as in 4.x; a number, as in 6.x."""

        async def main():
            loop = IOLoop.current()
            for args, size in (((loop, 1000), 1000), ((None, 1000), 1000), ((1000,), 1000), ((loop,), None)):
                left, right = socket.socketpair()
                right.close()
                stream = iostream.IOStream(left, *args)
                assert stream.io_loop is loop
                assert stream.max_buffer_size == (size or 104857600)
                stream.close()

        ours.run(main)

    @pytest.mark.parametrize("how", ["second", "keyword"])
    def test_callable_second_argument(self, ours, how):
        async def main():
            stream, peer = ours.pair()
            got = []
            calls = [
                ("read_until", (b"\n",), b"line\n"),
                ("read_until_regex", (rb"x+",), b"xxx"),
                ("read_bytes", (4,), b"1234"),
            ]
            peer.sendall(b"line\nxxx1234")
            for n, (name, args, expected) in enumerate(calls):
                method = getattr(stream, name)
                answer = method(*args, got.append) if how == "second" else method(*args, callback=got.append)
                assert answer is None
                assert len(got) == n
                await until(lambda n=n: len(got) == n + 1)
                assert got[n] == expected

        ours.run(main)

    def test_both_generations_arguments_together(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            assert stream.read_until(b"\n", 100, got.append) is None
            peer.sendall(b"line\nabcdef")
            await until(lambda: got)
            assert stream.read_bytes(100, got.append, partial=True) is None
            await until(lambda: len(got) == 2)
            assert got == [b"line\n", b"abcdef"]
            peer.sendall(b"xyz")
            assert await stream.read_bytes(100, True) == b"xyz"

        ours.run(main)

    @pytest.mark.parametrize("name", ["read_until", "read_until_regex"])
    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((list.append,), {"max_bytes": 10}),
            ((list.append, 10), {}),
            ((list.append, None), {}),
            ((10,), {"callback": list.append}),
            ((None, list.append), {}),
            ((), {"callback": list.append, "max_bytes": 10}),
        ],
    )
    def test_limit_beside_a_callback(self, ours, name, args, kwargs):
        async def main():
            stream, peer = ours.pair()
            got = []
            given = [got.append if arg is list.append else arg for arg in args]
            named = {k: got.append if v is list.append else v for k, v in kwargs.items()}
            assert getattr(stream, name)(b"\n", *given, **named) is None
            peer.sendall(b"line\n")
            await until(lambda: got)
            assert got == [b"line\n"]
            if 10 in (*args, *kwargs.values()):
                getattr(stream, name)(b"\n", *given, **named)
                peer.sendall(b"x" * 11)
                await until(stream.closed)
                assert isinstance(stream.error, iostream.UnsatisfiableReadError) and len(got) == 1

        ours.run(main)

    @pytest.mark.parametrize("name", ["read_until", "read_until_regex"])
    def test_limit_beside_no_callback(self, ours, name):
        async def main():
            stream, peer = ours.pair()
            peer.sendall(b"a\nb\n" + b"x" * 11)
            assert await getattr(stream, name)(b"\n", None, max_bytes=10) == b"a\n"
            assert await getattr(stream, name)(b"\n", None, 10) == b"b\n"
            for args, kwargs, text in (
                ((list.append,), {"callback": list.append}, "multiple values for argument 'callback'"),
                ((list.append, 1), {"max_bytes": 1}, "multiple values for argument 'max_bytes'"),
                ((1,), {"max_bytes": 1}, "multiple values for argument 'max_bytes'"),
                ((list.append, 1, 1), {}, "takes at most 3 arguments"),
                ((list.append, "1"), {}, "'str' object cannot be interpreted as an integer"),
            ):
                with pytest.raises(TypeError, match=text):
                    getattr(stream, name)(b"\n", *args, **kwargs)

        ours.run(main)

    def test_callback_of_connect(self, ours):
        async def main():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                got = []
                stream = ours.stream(socket.socket())
                assert (
                    stream.connect(listener.getsockname(), lambda: got.append("connected"), "some.test")
                    is None
                )
                assert not got
                await until(lambda: got)

        ours.run(main)

    def test_none_means_a_future(self, ours):
        async def main():
            stream, peer = ours.pair()
            peer.sendall(b"a\nb")
            assert await stream.read_until(b"\n", None) == b"a\n"
            assert await stream.read_bytes(1, callback=None) == b"b"
            await stream.write(b"x", None)
            await stream.write(b"x", callback=None)
            peer.close()
            assert await stream.read_until_close(None) == b""

        ours.run(main)


class TestOrder:
    def test_never_inside_the_call(self, ours):
        """With everything at hand, too."""

        async def main():
            stream, peer = ours.pair()
            peer.sendall(b"a" * 100)
            await stream.read_bytes(10)
            got = []
            stream.read_bytes(10, lambda data: got.append("read"))
            stream.write(b"x", lambda: got.append("written"))
            assert got == []
            await until(lambda: len(got) == 2)
            assert got == ["read", "written"]

        ours.run(main)

    def test_streaming_before_the_final_callback(self, ours):
        """Pieces in order, then the final callback with nothing, then the close callback."""

        async def main():
            stream, peer = ours.pair()
            events = []
            stream.set_close_callback(lambda: events.append("closed"))
            stream.read_bytes(
                6,
                lambda data: events.append(("end", data)),
                streaming_callback=lambda data: events.append(("piece", data)),
            )
            peer.sendall(b"abc")
            await until(lambda: events)
            peer.sendall(b"def and more")
            peer.close()
            await until(lambda: "closed" in events or len(events) == 3)
            assert events[:2] == [("piece", b"abc"), ("piece", b"def")]
            assert events[2] == ("end", b"")
            stream.read_bytes(9, lambda data: events.append(data))
            await until(lambda: events[-1] == "closed")
            assert events[3:] == [b" and more", "closed"]

        ours.run(main)

    def test_streaming_until_close(self, ours):
        async def main():
            stream, peer = ours.pair()
            events = []
            stream.set_close_callback(lambda: events.append("closed"))
            stream.read_until_close(
                lambda data: events.append(("end", data)), lambda data: events.append(("piece", data))
            )
            for n in range(5):
                peer.sendall(b"%d" % n)
                await until(lambda n=n: len(events) == n + 1)
            peer.sendall(b"last")
            peer.close()
            await until(lambda: "closed" in events)
            assert events == [("piece", b"%d" % n) for n in range(5)] + [
                ("piece", b"last"),
                ("end", b""),
                "closed",
            ]

        ours.run(main)

    def test_streaming_of_what_was_buffered(self, ours):
        async def main():
            stream, peer = ours.pair()
            peer.sendall(b"line\nabc")
            assert await stream.read_until(b"\n") == b"line\n"
            events = []
            stream.read_bytes(5, events.append, streaming_callback=events.append)
            await until(lambda: events)
            peer.sendall(b"de")
            await until(lambda: len(events) == 3)
            assert events == [b"abc", b"de", b""]

        ours.run(main)

    def test_streaming_callback_that_closes(self, ours):
        async def main():
            stream, peer = ours.pair()
            events = []

            def piece(data):
                events.append(data)
                stream.close()

            stream.set_close_callback(lambda: events.append("closed"))
            stream.read_bytes(10, events.append, streaming_callback=piece)
            peer.sendall(b"abc")
            await until(lambda: "closed" in events)
            await turns()
            assert events == [b"abc", "closed"]

        ours.run(main)

    def test_close_callback_after_pending_ones(self, ours):
        async def main():
            stream, peer = ours.pair()
            events = []
            stream.set_close_callback(lambda: events.append("closed"))
            peer.sendall(b"abc")
            stream.read_bytes(3, events.append)
            stream.write(b"x", lambda: events.append("written"))
            await until(lambda: not stream.reading())
            stream.close()
            await until(lambda: "closed" in events)
            assert events[-1] == "closed"
            assert b"abc" in events

        ours.run(main)

    def test_callbacks_of_a_reset_connection(self, ours, caplog):
        """Reads and writes that cannot end are not called, only the close callback is."""

        async def main():
            stream, peer = ours.pair(tcp=True)
            events = []
            stream.set_close_callback(lambda: events.append("closed"))
            stream.read_bytes(10, events.append)
            stream.write(bytes(20_000_000), lambda: events.append("written"))
            await turns()
            reset(peer)
            await until(lambda: events)
            await turns(10)
            assert events == ["closed"]
            assert isinstance(stream.error, ConnectionError)

        ours.run(main)
        assert messages(caplog) == []


class TestExceptions:
    """Logged by the stream, which is closed with it, and then the loop's to report."""

    START = {
        "read_bytes": lambda stream, fail: stream.read_bytes(3, fail),
        "read_until": lambda stream, fail: stream.read_until(b"c", fail),
        "read_until_regex": lambda stream, fail: stream.read_until_regex(b"c", fail),
        "streaming": lambda stream, fail: stream.read_bytes(10, print, streaming_callback=fail),
        "streaming until close": lambda stream, fail: stream.read_until_close(print, fail),
        "write": lambda stream, fail: stream.write(b"x", lambda: fail(None)),
    }

    @pytest.mark.parametrize("where", START)
    def test_in_a_callback(self, ours, caplog, where):
        async def main():
            reported = []
            ours.loop.handle_callback_exception = lambda callback: reported.append(sys.exc_info()[1])
            stream, peer = ours.pair()
            events, error = [], ZeroDivisionError("callback")
            stream.set_close_callback(lambda: events.append("closed"))

            def fail(data):
                raise error

            self.START[where](stream, fail)
            peer.sendall(b"abc")
            await until(lambda: events)
            assert stream.closed()
            assert stream.error is error
            assert reported == [error]

        ours.run(main)
        assert messages(caplog)[0] == (
            "tornado.application",
            "ERROR",
            "Uncaught exception, closing connection.",
        )

    def test_what_read_until_close_has_got_comes_all_the_same(self, ours):
        """As with Tornado 4, which has the error in stream.error: nobody waits for ever."""

        async def main():
            stream, peer = ours.pair()
            got = []
            stream.set_close_callback(lambda: got.append(stream.error))
            stream.read_until_close(got.append)
            peer.sendall(b"abc")
            await until(lambda: stream._read_buffer_size == 3)
            error = OSError(errno.ETIMEDOUT, "timed out")
            stream.close(exc_info=(OSError, error, None))
            await until(lambda: len(got) == 2)
            assert got == [b"abc", error]

            stream, peer = ours.pair()
            pieces, got = [], []

            def fail(data):
                pieces.append(data)
                raise error

            ours.loop.handle_callback_exception = lambda callback: None
            stream.read_until_close(got.append, fail)
            peer.sendall(b"abc")
            await until(lambda: got)
            assert (pieces, got, stream.error) == ([b"abc"], [b""], error)

        ours.run(main)

    def test_in_the_close_callback(self, ours, caplog):
        async def main():
            reported = []
            ours.loop.handle_callback_exception = lambda callback: reported.append(sys.exc_info()[1])
            stream, _ = ours.pair()
            stream.set_close_callback(lambda: 1 / 0)
            stream.close()
            await until(lambda: reported)
            assert isinstance(reported[0], ZeroDivisionError)

        ours.run(main)

    def test_they_are_logged(self, ours, caplog):
        """As exceptions of all callbacks are, by the application's logger and with the callback itself."""

        async def main():
            stream, peer = ours.pair()
            stream.read_bytes(1, fail)
            peer.sendall(b"a")
            await until(stream.closed)
            stream, _ = ours.pair()
            stream.set_close_callback(fail)
            stream.close()
            await until(lambda: len(caplog.records) == 4)

        def fail(*args):
            raise KeyError("told")

        ours.run(main)
        raised = ("tornado.application", "ERROR", f"Exception in callback {fail!r}")
        closing = ("tornado.application", "ERROR", "Uncaught exception, closing connection.")
        assert messages(caplog) == [closing, raised] * 2

    def test_in_a_callback_of_connect(self, ours, caplog):
        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
            with socket.create_server(("127.0.0.1", 0)) as listener:
                stream = ours.stream(socket.socket())
                stream.connect(listener.getsockname(), lambda: 1 / 0)
                await until(stream.closed)
                assert isinstance(stream.error, ZeroDivisionError)

        ours.run(main)

    def test_exit_leaves_the_loop(self, ours):
        async def main():
            stream, peer = ours.pair()

            def leave(data):
                raise SystemExit(3)

            stream.read_bytes(1, leave)
            peer.sendall(b"x")
            await asyncio.sleep(20)

        with pytest.raises(SystemExit):
            ours.run(main)

    def test_future_of_the_newer_interface(self, both):
        """There an exception of whoever awaits is no business of the stream's."""

        async def main():
            stream, peer = both.pair()
            peer.sendall(b"abc")

            async def fail():
                await stream.read_bytes(1)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await fail()
            assert not stream.closed()
            assert await stream.read_bytes(2) == b"bc"

        both.run(main)


class TestOldAttributes:
    def test_names(self, ours):
        async def main():
            stream, peer = ours.pair()
            assert stream.io_loop is IOLoop.current()
            assert isinstance(stream.socket, socket.socket)
            assert stream.error is None
            assert not stream.reading()
            assert not stream.writing()
            assert not stream.closed()
            stream.close()
            assert stream.socket is None

        ours.run(main)

    def test_close_of_4x(self, ours):
        """`close(exc_info=True)` inside a handler of exceptions."""

        async def main():
            stream, _ = ours.pair()
            try:
                1 / 0  # noqa: B018
            except ZeroDivisionError:
                stream.close(True)
            assert isinstance(stream.error, ZeroDivisionError)

        ours.run(main)


def test_reading_on_from_callbacks(ours):
    """A protocol of callbacks that read on, thousands of times: no recursion, no growth of the stack."""

    async def main():
        left, right = ours.streams()
        got = []
        done = asyncio.Event()

        def line(data):
            got.append(data)
            if len(got) == 5000:
                done.set()
            else:
                right.read_until(b"\n", line)

        right.read_until(b"\n", line)
        for n in range(5000):
            left.write(b"%d\n" % n, lambda: None)
        await done.wait()
        assert got == [b"%d\n" % n for n in range(5000)]

    ours.run(main)


@pytest.mark.parametrize("queue", [False, True], ids=["alone", "after another callback"])
def test_callbacks_of_lines_that_came_together(queue):
    """What a callback queues before it reads on is called first."""

    async def program():
        one, other = socket.socketpair()
        stream, loop = iostream.IOStream(one), IOLoop.current()
        seen, done = [], asyncio.Event()

        def line(data):
            seen.append(data)
            stream.write(data)
            if queue:
                loop.add_callback(seen.append, "queued")
            if data == b"199\n":
                done.set()
            else:
                stream.read_until(b"\n", line)

        other.sendall(b"".join(b"%d\n" % n for n in range(200)))
        stream.read_until(b"\n", line)
        await done.wait()
        await asyncio.sleep(0)
        sent = other.recv(10_000).splitlines(keepends=True)
        stream.close()
        other.close()
        return seen, sent

    seen, sent = tornado_c.run(program())
    lines = [b"%d\n" % n for n in range(200)]
    assert sent == lines
    assert seen == ([each for line in lines for each in (line, "queued")] if queue else lines)


@pytest.mark.parametrize("first", [False, True], ids=["lines first", "loop's first"])
def test_callbacks_of_lines_take_turns_with_others(first):
    """A callback of the loop that queues another is called between two lines, as with Tornado."""

    async def program():
        one, other = socket.socketpair()
        stream, loop = iostream.IOStream(one), IOLoop.current()
        seen, done = [], asyncio.Event()

        def line(data):
            seen.append("line")
            if data == b"9\n":
                done.set()
            else:
                stream.read_until(b"\n", line)

        def pump():
            seen.append("pump")
            if not done.is_set():
                loop.add_callback(pump)

        other.sendall(b"".join(b"%d\n" % n for n in range(10)))
        if first:
            loop.add_callback(pump)
        stream.read_until(b"\n", line)
        if not first:
            loop.add_callback(pump)
        await done.wait()
        stream.close()
        other.close()
        return seen[:20]

    seen = tornado_c.run(program())
    assert seen == (["pump", "line"] * 10 if first else ["line", "pump"] * 10)[: len(seen)]
    assert len(seen) >= 19


def test_lines_of_many_streams_take_turns_with_descriptors():
    """A descriptor that has its turn each time does not wait for all that they have received."""

    async def program():
        pairs = [socket.socketpair() for _ in range(100)]
        loop, seen, lines, done = IOLoop.current(), [], 0, asyncio.Event()

        def begin(stream):
            def line(data):
                nonlocal lines
                lines += 1
                if data == b"end\n":
                    stream.close()
                    if lines == 100 * 101:
                        done.set()
                else:
                    stream.read_until(b"\n", line)

            stream.read_until(b"\n", line)

        ready = os.pipe()
        os.write(ready[1], b"x")
        loop.add_handler(ready[0], lambda fd, events: seen.append(lines), loop.READ)
        for one, other in pairs:
            other.sendall(b"line\n" * 100 + b"end\n")
            begin(iostream.IOStream(one))
        await done.wait()
        loop.remove_handler(ready[0])
        for fd in ready:
            os.close(fd)
        for _, other in pairs:
            other.close()
        return seen

    seen = tornado_c.run(program())
    assert max(after - before for before, after in zip(seen, seen[1:], strict=False)) <= 100 * 16


def test_a_callback_that_stops_the_loop_is_the_last():
    loop = IOLoop(make_current=False)
    one, other = socket.socketpair()
    seen, stream = [], None

    def start():
        nonlocal stream
        stream = iostream.IOStream(one)

        def line(data):
            seen.append(data)
            stream.read_until(b"\n", line)
            loop.stop()

        other.sendall(b"1\n2\n3\n")
        stream.read_until(b"\n", line)

    loop.add_callback(start)
    loop.start()
    assert seen == [b"1\n"]
    loop.start()
    assert seen == [b"1\n", b"2\n"]
    stream.close()
    other.close()
    loop.close()
