"""The native half of a WebSocket connection: what it sends, how it closes, pings and their time."""

import asyncio
import contextlib
import gc
import logging
import struct
import sys
import weakref
import zlib

import pytest

from support.ws_raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Handler,
    Params,
    Protocol,
    connected,
    frame,
    parse,
    run,
    turns,
    until,
    websocket,
)
from tornado_c import EventLoop
from tornado_c.iostream import StreamClosedError


class ManualLoop(EventLoop):
    """Time passes when the test says so."""

    passed = 0.0

    def time(self):
        return super().time() + self.passed


def pass_time(seconds):
    asyncio.get_running_loop().passed += seconds


# ---- messages ----


def test_kinds_of_messages():
    async def main():
        with connected() as (protocol, _handler, peer):
            big = "\u20ac" * 50_000
            sent = [
                ("text", False, (TEXT, b"text")),
                ("\u20ac", False, (TEXT, "\u20ac".encode())),
                (b"bytes", False, (TEXT, b"bytes")),
                (b"\xff", True, (BINARY, b"\xff")),
                ("text", True, (BINARY, b"text")),
                ({"a": [1]}, False, (TEXT, b'{"a": [1]}')),
                (bytearray(b"array"), True, (BINARY, b"array")),
                (memoryview(b"view")[1:], True, (BINARY, b"iew")),
                (big, False, (TEXT, big.encode())),
                ("", False, (TEXT, b"")),
            ]
            for message, binary, _ in sent:
                protocol.write_message(message, binary=binary)
            assert await peer.receive(len(sent)) == [expected for *_, expected in sent]
            assert protocol._message_bytes_out == sum(len(expected[1]) for *_, expected in sent)

    run(main)


@pytest.mark.parametrize(
    ("message", "error"), [(1, TypeError), (None, AssertionError), ("\ud800", UnicodeError)]
)
def test_what_is_no_message(message, error):
    async def main():
        with connected() as (protocol, _handler, peer):
            with pytest.raises(error):
                protocol.write_message(message)
            protocol.write_message("still there")
            assert await peer.receive(1) == [(TEXT, b"still there")]

    run(main)


def test_a_write_that_is_done_shares_its_future():
    async def main():
        with connected() as (protocol, _handler, _peer):
            future = protocol.write_message("a")
            assert future.done() and await future is None
            assert protocol.write_message("b") is future

    run(main)


def test_answers_to_one_read_leave_together():
    async def main():
        class Echo(Handler):
            def on_message(self, message):
                self.protocol.write_message(message)
                self.protocol.write_message(message.upper())

        with connected(Echo()) as (_protocol, _handler, peer):
            await peer.send(frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"b"))
            data = await asyncio.get_running_loop().sock_recv(peer.sock, 1000)
            assert parse(data) == (
                [(TEXT, b"a"), (TEXT, b"A"), (PONG, b"p"), (TEXT, b"b"), (TEXT, b"B")],
                b"",
            )

    run(main)


def fill(protocol):
    """Writes until the kernel takes no more; the pending Futures."""
    futures = []
    while len(futures) < 5:
        future = protocol.write_message(b"x" * 50_000, binary=True)
        if not future.done():
            futures.append(future)
    return futures


def test_a_reader_that_has_stopped():
    async def main():
        with connected() as (protocol, _handler, peer):
            futures = fill(protocol)
            await turns()
            assert not any(future.done() for future in futures)
            received = 0
            while received < protocol._wire_bytes_out:
                received += len(await asyncio.get_running_loop().sock_recv(peer.sock, 1 << 20))
            assert await asyncio.gather(*futures) == [None] * 5

    run(main)


class Overriding(Protocol):
    def _write_frame(self, fin, opcode, data, flags=0):
        return super()._write_frame(fin, opcode, data, flags)


class Awaiting(Protocol):
    async def _write_frame(self, fin, opcode, data, flags=0):
        await super()._write_frame(fin, opcode, data, flags)


@pytest.mark.parametrize("cls", [Protocol, Overriding, Awaiting])
@pytest.mark.parametrize("how", ["peer", "close", "abort"])
def test_a_stream_that_dies_under_writes(how, cls, caplog):
    """Who awaits is told; nobody else hears of it."""

    async def main():
        with connected(cls=cls) as (protocol, _handler, peer):
            futures = fill(protocol)
            raw = protocol._write_frame(True, 2, b"x")
            del futures[1:]
            match how:
                case "peer":
                    peer.sock.close()
                case "close":
                    protocol.stream.close()
                case "abort":
                    protocol._abort()
            with pytest.raises(websocket.WebSocketClosedError):
                await futures[0]
            with pytest.raises(StreamClosedError):
                await raw
            with pytest.raises(websocket.WebSocketClosedError):
                protocol.write_message("x")
        gc.collect()

    with caplog.at_level(logging.DEBUG):
        run(main)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_full_buffer():
    async def main():
        with connected() as (protocol, _handler, _peer):
            protocol.stream.max_write_buffer_size = 1000
            with pytest.raises(Exception, match="maximum write buffer size"):
                for _ in range(100):
                    protocol.write_message("x" * 900_000)

    run(main)


def test_write_frame():
    async def main():
        with connected() as (protocol, _handler, peer):
            assert protocol._write_frame(False, 1, b"a").done()
            protocol._write_frame(fin=True, opcode=0, data=b"b", flags=0x20)
            assert await peer.receive(2) == [(0x01, b"a"), (0xA0, b"b")]
            with pytest.raises(ValueError, match="may not be fragmented"):
                protocol._write_frame(False, 9, b"")
            with pytest.raises(ValueError, match="may not exceed 125"):
                protocol.write_ping(b"x" * 126)

    run(main)


# ---- closing ----


@pytest.mark.parametrize(
    ("args", "payload"),
    [
        ((), b""),
        ((1001,), b"\x03\xe9"),
        ((None, "bye"), b"\x03\xe8bye"),
        ((4000, "\u20ac"), b"\x0f\xa0\xe2\x82\xac"),
        ((4000, b"raw"), b"\x0f\xa0raw"),
    ],
)
def test_closing(args, payload):
    async def main():
        with connected() as (protocol, handler, peer):
            protocol.close(*args)
            assert protocol.is_closing() and not protocol.stream.closed()
            protocol.close(1002)
            with pytest.raises(websocket.WebSocketClosedError):
                protocol.write_message("x")
            await peer.send(
                frame(TEXT, b"late") + frame(PING, b"p") + frame(CLOSE, b"\x03\xe8x") + frame(TEXT, b"no")
            )
            assert await peer.end() == [(CLOSE, payload)]
            await until(lambda: handler.closes)
            assert handler.events == [("message", "late"), ("ping", b"p"), ("close", 1000, "x")]
            assert protocol.stream.closed()

    run(main)


@pytest.mark.parametrize(
    ("args", "error"), [((70_000,), struct.error), (("x",), struct.error), ((1, "x" * 124), ValueError)]
)
def test_closing_with_nonsense(args, error):
    async def main():
        with connected() as (protocol, _handler, peer):
            with pytest.raises(error):
                protocol.close(*args)
            assert not protocol.is_closing()
            protocol.close()
            assert await peer.receive(1) == [(CLOSE, b"")]

    run(main)


def test_no_ping_follows_our_close_frame():
    async def main():
        with connected() as (protocol, _handler, peer):
            protocol.write_ping(b"1")
            protocol.close()
            with pytest.raises(websocket.WebSocketClosedError):
                protocol.write_ping(b"2")
            await peer.send(frame(CLOSE))
            assert await peer.end() == [(PING, b"1"), (CLOSE, b"")]
            with pytest.raises(StreamClosedError):
                protocol.write_ping(b"3")

    run(main)


def test_a_peer_that_does_not_close():
    async def main():
        with connected() as (protocol, handler, peer):
            protocol.close()
            await turns()
            pass_time(3)
            await turns()
            assert not protocol.stream.closed()
            pass_time(2.1)
            await until(protocol.stream.closed)
            await until(lambda: handler.closes)
            assert handler.closes == [(None, None)] and await peer.end() == [(CLOSE, b"")]

    run(main, ManualLoop, 2000)


def test_what_was_written_before_the_close_arrives():
    async def main():
        with connected() as (protocol, handler, peer):
            fill(protocol)
            protocol.close(1000)
            await peer.send(frame(CLOSE, b"\x03\xe8"))
            await until(lambda: handler.closes)
            frames = await peer.end()
            assert frames[-1] == (CLOSE, b"\x03\xe8") and len(frames) > 5
            await until(protocol.stream.closed)

    run(main)


def test_a_peer_that_closes_and_does_not_read():
    async def main():
        with connected() as (protocol, handler, peer):
            fill(protocol)
            await peer.send(frame(CLOSE, b"\x03\xe8"))
            await until(lambda: handler.closes)
            await turns()
            assert not protocol.stream.closed()
            pass_time(5.1)
            await until(protocol.stream.closed)
            assert len(handler.closes) == 1

    run(main, ManualLoop, 2000)


def test_the_end_without_a_close_frame():
    async def main():
        for data, messages in ((b"", []), (frame(TEXT, b"whole"), ["whole"]), (frame(TEXT, b"cut")[:-1], [])):
            with connected() as (protocol, handler, peer):
                await peer.send(data)
                peer.sock.close()
                await until(lambda handler=handler: handler.closes)
                assert handler.messages == messages and handler.closes == [(None, None)]
                assert protocol.client_terminated and protocol.server_terminated

    run(main)


def test_the_end_before_the_start():
    """The handler hears of it when it begins to listen, and once."""

    async def main():
        for early in (b"", frame(TEXT, b"early")):
            with connected(start=False) as (protocol, handler, peer):
                await peer.send(early)
                await turns()
                peer.sock.close()
                await turns()
                assert handler.events == []
                protocol._start()
                await until(lambda handler=handler: handler.closes)
                assert handler.messages == (["early"] if early else [])
                protocol._start()
                assert len(handler.closes) == 1

    run(main)


def test_nothing_is_left_after_the_end():
    async def main():
        gc.disable()
        try:
            for how in ("peer", "close", "abort", "bad"):
                with connected() as (protocol, handler, peer):
                    await peer.send(frame(TEXT, b"x") + frame(0x01, b"half"))
                    await until(lambda handler=handler: handler.messages)
                    match how:
                        case "peer":
                            peer.sock.close()
                        case "close":
                            await peer.send(frame(0x80, b"") + frame(CLOSE))
                        case "abort":
                            protocol._abort()
                        case "bad":
                            await peer.send(b"\xff\xff")
                            await peer.end()
                            peer.sock.close()
                    await until(lambda handler=handler: handler.closes)
                    await until(protocol.stream.closed)
                handler.protocol = None
                found = weakref.ref(protocol)
                del protocol, handler
                await turns()
                assert found() is None, how
        finally:
            gc.enable()

    run(main)


# ---- pings ----


def test_pings():
    async def main():
        params = Params(ping_interval=10, ping_timeout=4)
        with connected(params=params) as (protocol, handler, peer):
            protocol.start_pinging()
            protocol.start_pinging()
            for _ in range(3):
                await turns()
                pass_time(8)
                await turns()
                assert parse(peer.data)[0] == []
                pass_time(2.1)
                assert await peer.receive(1) == [(PING, b"")]
                await peer.send(frame(PONG, b""))
                await until(lambda: handler.events)
                handler.events.clear()
                pass_time(4.1)
                await turns()
                assert not protocol.is_closing()
                pass_time(-4.1 + 0.0)
                await turns()
            pass_time(10.1)
            assert await peer.receive(1) == [(PING, b"")]
            pass_time(4.1)
            assert await peer.receive(1) == [(CLOSE, b"\x03\xe8ping timed out")]
            pass_time(5.1)
            assert await peer.end() == []
            await until(lambda: handler.closes)

    run(main, ManualLoop, 2000)


def test_pings_end_with_the_connection():
    async def main():
        with connected(params=Params(ping_interval=1)) as (protocol, handler, peer):
            protocol.start_pinging()
            protocol.close()
            await turns()
            pass_time(3)
            await turns()
            assert await peer.receive(1) == [(CLOSE, b"")]
            await peer.send(frame(CLOSE))
            assert await peer.end() == []

    run(main, ManualLoop, 2000)


def test_one_pong_at_a_time():
    """A peer that pings and does not read gets the pong to the first ping, and to the last."""

    async def main():
        with connected() as (protocol, handler, peer):
            before = len(fill(protocol))
            assert before == 5
            for i in range(1000):
                await peer.send(frame(PING, b"%d" % i))
                await turns(1)
            await until(lambda: len(handler.events) == 1000)
            protocol.write_message("end")
            frames = []
            while (TEXT, b"end") not in frames or frames[-1] != (PONG, b"999"):
                frames += await peer.receive(1)
            pongs = [payload for first, payload in frames if first == PONG]
            assert pongs == [b"0", b"999"]

    run(main)


# ---- what is overridden ----


def test_methods_are_called_by_name():
    async def main():
        calls = []

        class Noting(Protocol):
            def _handle_message(self, opcode, data):
                calls.append(("handle", opcode, data))
                return super()._handle_message(opcode, data)

            def _write_frame(self, fin, opcode, data, flags=0):
                calls.append(("frame", opcode, data))
                return super()._write_frame(fin, opcode, data, flags)

            def _run_callback(self, callback, *args, **kwargs):
                calls.append(("run", callback.__name__, args))
                return super()._run_callback(callback, *args, **kwargs)

            def close(self, code=None, reason=None):
                calls.append(("close", code, reason))
                return super().close(code, reason)

        with connected(cls=Noting) as (protocol, handler, peer):
            protocol.write_message("out")
            await peer.send(
                frame(0x01, b"a") + frame(0x80, b"b") + frame(PING, b"p") + frame(CLOSE, b"\x03\xe8")
            )
            await peer.end()
            await until(lambda: handler.closes)
        assert calls == [
            ("frame", 1, b"out"),
            ("handle", 1, b"ab"),
            ("run", "on_message", ("ab",)),
            ("handle", 9, b"p"),
            ("frame", 10, b"p"),
            ("run", "on_ping", (b"p",)),
            ("handle", 8, b"\x03\xe8"),
            ("close", 1000, None),
            ("frame", 8, b"\x03\xe8"),
        ]

    run(main)


def test_methods_on_the_instance():
    async def main():
        with connected() as (protocol, handler, peer):
            calls = []
            protocol.other = 1
            protocol._write_frame = lambda *args: calls.append(args)
            protocol.write_message("a")
            protocol.write_ping(b"b")
            del protocol._write_frame
            protocol._handle_message = lambda opcode, data: calls.append((opcode, data))
            await peer.send(frame(TEXT, b"c"))
            await until(lambda: len(calls) == 3)
            del protocol._handle_message
            await peer.send(frame(TEXT, b"d"))
            await until(lambda: handler.messages)
            assert calls == [(True, 1, b"a"), (True, 9, b"b"), (1, b"c")] and handler.messages == ["d"]

    run(main)


def test_an_overriding_method_that_awaits():
    """The Future of _handle_message() holds back the next message and never fails."""

    async def main():
        class Slow(Handler):
            async def on_message(self, message):
                super().on_message(message)
                await asyncio.sleep(0)
                super().on_message(message.upper())
                if message == "c":
                    raise ValueError

        class Waiting(Protocol):
            def _handle_message(self, opcode, data):
                future = super()._handle_message(opcode, data)
                if opcode == 1:
                    assert isinstance(future, asyncio.Future) and not future.done()
                return future

        with connected(Slow(), cls=Waiting) as (_protocol, handler, peer):
            await peer.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c") + frame(TEXT, b"d"))
            await until(lambda: handler.closes)
            assert handler.messages == ["a", "A", "b", "B", "c", "C"]
            assert [event[0] for event in handler.events].count("exception") == 1

    run(main)


def test_run_callback():
    async def main():
        with connected() as (protocol, handler, _peer):
            assert protocol._run_callback(lambda a, b: None, 1, b=2) is None
            future = protocol._run_callback(asyncio.sleep, 0)
            assert await future is None
            assert handler.events == []
            assert protocol._run_callback(lambda: 1 / 0) is None
            await until(lambda: handler.closes)
            assert isinstance(handler.events[0][1], ZeroDivisionError) and protocol.stream.closed()

    run(main)


# ---- one message for many ----


def test_a_message_for_many_is_compressed_once(monkeypatch):
    """Where no connection's output refers to what went before, for the same settings."""

    async def main():
        calls = []
        compress = websocket._PerMessageDeflateCompressor.compress
        monkeypatch.setattr(
            websocket._PerMessageDeflateCompressor,
            "compress",
            lambda self, data: calls.append(data) or compress(self, data),
        )
        with contextlib.ExitStack() as stack:
            members = [stack.enter_context(connected()) for _ in range(6)]
            for i, (protocol, _handler, _peer) in enumerate(members):
                protocol._compressor = websocket._PerMessageDeflateCompressor(
                    i == 5, 15, {"compression_level": 9 if i == 4 else 6}
                )
            message = "to all " * 100
            for turn in range(2):
                calls.clear()
                for protocol, _handler, _peer in members:
                    protocol.write_message(message)
                assert len(calls) == 3
                for _protocol, _handler, peer in members:
                    ((first, payload),) = await peer.receive(1)
                    assert first == 0xC1
                    if turn == 0:
                        plain = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
                        assert plain == message.encode()
            assert members[0][0]._message_bytes_out == 2 * len(message)
            assert members[0][0]._wire_bytes_out == members[1][0]._wire_bytes_out

    run(main)


@pytest.mark.parametrize("size", [0, 1, 100, 1024, 1025, 20_000, 3_000_000])
def test_a_message_for_many(size):
    async def main():
        with contextlib.ExitStack() as stack:
            members = [stack.enter_context(connected()) for _ in range(4)]
            for message in ("x" * size, b"y" * size, "\u20ac" * (size // 3)):
                for binary in (False, True):
                    for protocol, _handler, _peer in members:
                        protocol.write_message(message, binary)
                    data = message.encode() if isinstance(message, str) else message
                    for _protocol, _handler, peer in members:
                        assert await peer.receive(1) == [(BINARY if binary else TEXT, data)]
            totals = {(p._message_bytes_out, p._wire_bytes_out) for p, *_ in members}
            assert len(totals) == 1

    run(main)


def test_what_can_change_is_not_shared():
    async def main():
        with contextlib.ExitStack() as stack:
            members = [stack.enter_context(connected()) for _ in range(3)]
            message, array = {}, bytearray(b"0")
            for i, (protocol, _handler, _peer) in enumerate(members):
                message["i"] = i
                array[:] = b"%d" % i
                protocol.write_message(message)
                protocol.write_message(array)
            for i, (_protocol, _handler, peer) in enumerate(members):
                assert await peer.receive(2) == [(TEXT, b'{"i": %d}' % i), (TEXT, b"%d" % i)]

    run(main)


def test_a_message_is_not_kept():
    async def main():
        with connected() as (protocol, _handler, peer):
            message = b"z" * 5000
            count = sys.getrefcount(message)
            protocol.write_message(message)
            protocol.write_message(message)
            await peer.receive(2)
            await turns()
            assert sys.getrefcount(message) == count

    run(main)
