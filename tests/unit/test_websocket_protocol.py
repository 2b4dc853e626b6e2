"""The native half of a WebSocket connection over a socket pair: frames that come, in every cut, and what the
application is called with."""

import asyncio
import contextvars
import struct

import pytest

from support.ws_raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Handler,
    Params,
    connected,
    frame,
    run,
    turns,
    until,
    websocket,
)


def closing(code):
    return (CLOSE, struct.pack(">H", code))


# ---- what comes ----


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 63, 64, 125, 126, 127, 1000, 65535, 65536, 300_000])
@pytest.mark.parametrize("text", ["a", "\xe9", "\u20ac", "\U0001f600"])
def test_messages_of_all_sizes(size, text):
    async def main():
        with connected() as (_protocol, handler, peer):
            message = (text * size)[:size]
            await peer.send(
                frame(TEXT, message.encode()) + frame(BINARY, bytes(range(256)) * (size // 256 + 1))
            )
            await until(lambda: len(handler.messages) == 2)
            assert handler.messages == [message, bytes(range(256)) * (size // 256 + 1)]

    run(main)


GOOD = (
    frame(TEXT, b"one")
    + frame(0x01, "gr\xfc".encode()[:3])
    + frame(PING, b"in between")
    + frame(0x00, "gr\xfc\u20ac".encode()[3:5])
    + frame(0x80, "\u20ac".encode()[1:])
    + frame(BINARY, b"")
    + frame(0x02, b"")
    + frame(0x00, b"\xff")
    + frame(PONG, b"late")
    + frame(0x80, b"")
    + frame(CLOSE, struct.pack(">H", 4000) + "tsch\xfcss".encode())
)
GOOD_EVENTS = [
    ("message", "one"),
    ("ping", b"in between"),
    ("message", "gr\xfc\u20ac"),
    ("message", b""),
    ("pong", b"late"),
    ("message", b"\xff"),
    ("close", 4000, "tsch\xfcss"),
]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 11, len(GOOD)])
def test_frames_in_pieces(step):
    async def main():
        with connected() as (protocol, handler, peer):
            for at in range(0, len(GOOD), step):
                await peer.send(GOOD[at : at + step])
                await turns(2)
            assert await peer.end() == [(PONG, b"in between"), (CLOSE, struct.pack(">H", 4000))]
            await until(lambda: handler.closes)
            assert handler.events == GOOD_EVENTS
            assert protocol._wire_bytes_in == len(GOOD)
            assert protocol._message_bytes_in == 3 + len("gr\xfc\u20ac".encode()) + 1

    run(main)


def test_a_client_takes_unmasked_frames_and_masks():
    async def main():
        with connected(mask_outgoing=True) as (protocol, handler, peer):
            sent = [b"", b"x", b"y" * 1024, b"z" * 1025, b"w" * 70_000]
            for message in sent:
                protocol.write_message(message, binary=True)
            await peer.send(frame(TEXT, b"text", None) + frame(BINARY, b"q" * 70_000, None))
            assert await peer.receive(5) == [(BINARY, message) for message in sent]
            await until(lambda: len(handler.messages) == 2)
            assert handler.messages == ["text", b"q" * 70_000]

    run(main)


def test_masks_differ():
    async def main():
        with connected(mask_outgoing=True) as (protocol, _handler, peer):
            for _ in range(600):
                protocol.write_message("")
            keys = set()
            data = b""
            while len(data) < 600 * 6:
                data += await asyncio.get_running_loop().sock_recv(peer.sock, 65536)
            for at in range(0, len(data), 6):
                assert data[at : at + 2] == b"\x81\x80"
                keys.add(data[at + 2 : at + 6])
            assert len(keys) > 590

    run(main)


# ---- what must not come ----

BAD = {
    "unmasked": (frame(TEXT, b"hello", None), 1002),
    "rsv1": (frame(TEXT | 0x40, b"hello"), 1002),
    "rsv2": (frame(TEXT | 0x20, b"hello"), 1002),
    "rsv3": (frame(TEXT | 0x10, b"hello"), 1002),
    "rsv on a ping": (frame(PING | 0x40, b""), 1002),
    **{
        f"opcode {opcode}": (frame(0x80 | opcode, b""), 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "fragmented ping": (frame(0x09, b""), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "orphan continuation": (frame(0x80, b"x"), 1002),
    "orphan after a message": (frame(0x01, b"a") + frame(0x80, b"b") + frame(0x80, b"c"), 1002),
    "message inside one": (frame(0x01, b"a") + frame(TEXT, b"b"), 1002),
    "top bit": (b"\x82\xff" + b"\xff" * 8 + b"key!", 1002),
    "not minimal in two": (b"\x82\xfe\x00\x05key!hello", 1002),
    "not minimal in eight": (b"\x82\xff\0\0\0\0\0\0\x00\x05key!hello", 1002),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"close {code}": (frame(CLOSE, struct.pack(">H", code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999)
    },
    "reason": (frame(CLOSE, b"\x03\xe8ab\xff"), 1007),
    "cut reason": (frame(CLOSE, b"\x03\xe8ab\xc3"), 1007),
    "text": (frame(TEXT, b"abc\xffdef"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "cut text": (frame(TEXT, b"abc\xe2\x82"), 1007),
    "text in fragments": (frame(0x01, b"abc\xe2") + frame(0x80, b"\x28\xa1"), 1007),
    "cut text in fragments": (frame(0x01, b"abc\xe2") + frame(0x80, b"\x82"), 1007),
    "too big": (frame(BINARY, b"x" * 1001), 1009),
    "too big, by its head": (b"\x82\xff" + struct.pack(">Q", 1 << 62), 1009),
    "fragments together": (frame(0x02, b"x" * 600) + frame(0x00, b"x" * 300) + frame(0x80, b"x" * 101), 1009),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("step", [1, 1000, 1_000_000])
def test_bad_input(what, step):
    """The peer gets the close frame and the end, though it goes on; the application has what came before."""
    data, code = BAD[what]

    async def main():
        with connected(params=Params(max_message_size=1000)) as (protocol, handler, peer):
            data_ = frame(TEXT, b"before") + data
            if code != 1009 or what != "too big, by its head":
                data_ += frame(TEXT, b"after") * 3
            for at in range(0, len(data_), step):
                await peer.send(data_[at : at + step])
                await turns(1)
            sent = await peer.end()
            assert len(sent) == 1 and sent[0][0] == CLOSE and sent[0][1][:2] == struct.pack(">H", code)
            await turns()
            whole = [("message", "ab")] if what == "orphan after a message" else []
            assert handler.events == [("message", "before"), *whole, ("close", None, None)]
            assert protocol.is_closing()
            with pytest.raises(websocket.WebSocketClosedError):
                protocol.write_message("x")
            peer.sock.close()
            await until(protocol.stream.closed)
            assert len(handler.closes) == 1

    run(main)


def test_a_message_of_the_limit():
    async def main():
        with connected(params=Params(max_message_size=10)) as (protocol, handler, peer):
            await peer.send(frame(TEXT, b"x" * 10) + frame(0x01, b"y" * 5) + frame(0x80, b"z" * 5))
            await until(lambda: len(handler.messages) == 2)
            protocol._params.max_message_size = 9
            await peer.send(frame(TEXT, b"x" * 10))
            assert (await peer.end())[0][1][:2] == b"\x03\xf1"

    run(main)


# ---- coroutines ----


def test_an_awaitable_holds_back_the_next_message():
    async def main():
        gates = []

        class Slow(Handler):
            async def on_message(self, message):
                super().on_message(message)
                gate = asyncio.get_running_loop().create_future()
                gates.append(gate)
                await gate

        with connected(Slow()) as (_protocol, handler, peer):
            await peer.send(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(CLOSE))
            for count in (1, 2):
                await until(lambda count=count: len(gates) == count)
                await turns(10)
                assert len(handler.messages) == count and not handler.closes
                gates[-1].set_result(None)
            await until(lambda: handler.closes)
            assert handler.events == [("message", "1"), ("message", "2"), ("close", None, None)]

    run(main)


def test_reading_stops_meanwhile():
    """What the peer sends stays in the kernel: it cannot send without end."""

    async def main():
        gate = asyncio.get_running_loop().create_future()

        class Slow(Handler):
            async def on_message(self, message):
                self.events.append(("message", len(message)))
                await gate

        with connected(Slow()) as (_protocol, handler, peer):
            data = frame(BINARY, b"x" * 100_000)
            sent = 0
            idle = 0
            while idle < 50:
                try:
                    sent += peer.sock.send(data[sent % len(data) :])
                    idle = 0
                except BlockingIOError:
                    idle += 1
                await asyncio.sleep(0)
            assert sent < 3_000_000 and len(handler.messages) == 1
            gate.set_result(None)
            await until(lambda: len(handler.messages) == sent // len(data))

    run(main)


def test_a_coroutine_is_run_at_once_in_a_task():
    async def main():
        class Now(Handler):
            async def on_message(self, message):
                assert isinstance(asyncio.current_task(), asyncio.Task)
                async with asyncio.timeout(10):
                    self.events.append(("message", message))
                    if message == "wait":
                        await asyncio.sleep(0)
                        self.events.append(("message", asyncio.current_task() is not None))

        with connected(Now()) as (_protocol, handler, peer):
            await peer.send(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"wait") + frame(TEXT, b"3"))
            await until(lambda: len(handler.events) == 5)
            assert handler.messages == ["1", "2", "wait", True, "3"]

    run(main)


def test_one_context():
    var = contextvars.ContextVar("var", default=0)

    async def main():
        class Counting(Handler):
            def on_message(self, message):
                super().on_message(var.get())
                var.set(var.get() + 1)

            def on_ping(self, data):
                super().on_ping(var.get())

            def on_ws_connection_close(self, code=None, reason=None):
                super().on_ws_connection_close(var.get())

        var.set(10)
        with connected(Counting()) as (_protocol, handler, peer):
            var.set(100)
            await peer.send(frame(TEXT, b"") * 2)
            await until(lambda: len(handler.messages) == 2)
            await peer.send(frame(PING) + frame(TEXT) + frame(CLOSE))
            await until(lambda: handler.closes)
            assert [event[1] for event in handler.events] == [10, 11, 12, 12, 13]

    run(main)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
@pytest.mark.parametrize("kind", ["function", "first step", "later step", "future"])
def test_exceptions_abort(error, kind):
    async def main():
        class Failing(Handler):
            def on_message(self, message):
                super().on_message(message)
                if kind == "function":
                    raise error("x")
                if kind == "future":
                    future = asyncio.get_running_loop().create_future()
                    future.set_exception(error("x")) if error is ValueError else future.cancel()
                    return future
                return self.fail()

            async def fail(self):
                if kind == "later step":
                    await asyncio.sleep(0)
                raise error("x")

        with connected(Failing()) as (protocol, handler, peer):
            await peer.send(frame(TEXT, b"1") + frame(TEXT, b"2"))
            await until(lambda: handler.closes)
            assert [event[0] for event in handler.events] == ["message", "exception", "close"]
            assert isinstance(handler.events[1][1], error) and protocol.stream.closed()

    run(main)


# ---- shares ----


def test_many_frames_let_others_run():
    async def main():
        counts = []

        class Counting(Handler):
            count = 0

            def on_message(self, message):
                self.count += 1

        with connected(Counting()) as (_protocol, handler, peer):
            data = frame(TEXT, b"x") * 5000
            loop = asyncio.get_running_loop()

            def beside():
                counts.append(handler.count)
                if handler.count < 5000:
                    loop.call_soon(beside)

            sending = asyncio.ensure_future(peer.send(data))
            beside()
            await until(lambda: handler.count == 5000)
            await sending
            steps = [b - a for a, b in zip(counts, counts[1:], strict=False)]
            assert max(steps) <= 300

    run(main)
