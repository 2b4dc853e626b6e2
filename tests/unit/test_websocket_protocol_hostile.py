"""The native half of a WebSocket connection under callbacks that misbehave, while there are more
frames at hand."""

import asyncio
import gc
import random
import struct
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    masked,
    parse,
    run,
    turns,
    until,
)


def nested_loop():
    """Lets the loop run within a callback."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task(loop)
    if task is not None:
        asyncio.tasks._leave_task(loop, task)
    for _ in range(20):
        loop._run_once()
    if task is not None:
        asyncio.tasks._enter_task(loop, task)


class Reraise(Exception):
    pass


def fail():
    raise Reraise


DEEDS = {
    "close": lambda p, h: p.close(1000),
    "close twice": lambda p, h: (p.close(1000), p.close(1001)),
    "abort": lambda p, h: p._abort(),
    "stream.close": lambda p, h: p.stream.close(),
    "raise": lambda p, h: fail(),
    "delete stream": lambda p, h: (p.stream.close(), delattr(p, "stream")),
    "delete stream, leave it open": lambda p, h: delattr(p, "stream"),
    "no stream": lambda p, h: setattr(p, "stream", None),
    "a stream of another kind": lambda p, h: setattr(p, "stream", object()),
    "delete handler": lambda p, h: delattr(p, "handler"),
    "delete params": lambda p, h: delattr(p, "_params"),
    "strange params": lambda p, h: setattr(p, "_params", Params(max_message_size="x")),
    "drop all": lambda p, h: (p.__dict__.clear(), setattr(p, "handler", None), setattr(h, "protocol", None)),
    "nested loop": lambda p, h: nested_loop(),
    "close and nested loop": lambda p, h: (p.close(), nested_loop()),
    "abort and nested loop": lambda p, h: (p._abort(), nested_loop()),
    "collect": lambda p, h: gc.collect(),
    "abort, drop and collect": lambda p, h: (p._abort(), setattr(h, "protocol", None), gc.collect()),
    "write to itself": lambda p, h: [p.write_message("x" * 100_000) for _ in range(10)],
    "handle messages": lambda p, h: [p._handle_message(op, b"\x03\xe8") for op in (0, 2, 3, 9, 10, 8, 8, 1)],
    "terminated": lambda p, h: setattr(p, "client_terminated", True),
    "terminated here": lambda p, h: setattr(p, "server_terminated", True),
    "the other role": lambda p, h: setattr(p, "mask_outgoing", True),
    "a context that is none": lambda p, h: setattr(p, "_context", 5),
    "decompressor": lambda p, h: setattr(p, "_decompressor", 5),
    "compressor": lambda p, h: (setattr(p, "_compressor", 5), p.write_message("x")),
    "strange methods": lambda p, h: (setattr(p, "_handle_message", 5), setattr(p, "close", 6)),
    "strange abort": lambda p, h: (setattr(p, "_abort", lambda: 1 / 0), fail()),
    "start again": lambda p, h: (p._watch(), p._start(), p.start_pinging()),
    "read the stream": lambda p, h: p.stream.read_bytes(1),
    "counters": lambda p, h: setattr(p, "_wire_bytes_in", 1 << 63),
}
FOLLOWING = (
    frame(TEXT, b"after")
    + frame(0x01, b"frag")
    + frame(PING, b"p")
    + frame(0x80, b"ment")
    + frame(BINARY, b"z" * 70_000)
    + frame(CLOSE, b"\x03\xe8")
)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(
    "where", ["on_message", "on_ping", "on_pong", "on_ws_connection_close", "later", "log_exception"]
)
@pytest.mark.filterwarnings("ignore")
def test_deeds(deed, where, recwarn, caplog, monkeypatch):
    """Whatever is done, nobody crashes, the peer sees an end, and no exception is left set."""
    import sys

    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

        class Doing(Handler):
            done = False

            def do(self, place):
                if place == where and not self.done:
                    self.done = True
                    protocol = self.protocol
                    DEEDS[deed](protocol, self)

            def on_message(self, message):
                super().on_message(message)
                self.do("on_message")
                if where == "later" and not self.done:
                    return self.later()
                if where == "log_exception":
                    raise ValueError

            async def later(self):
                await asyncio.sleep(0)
                self.do("later")

            def on_ping(self, data):
                super().on_ping(data)
                self.do("on_ping")

            def on_pong(self, data):
                super().on_pong(data)
                self.do("on_pong")

            def log_exception(self, *args):
                super().log_exception(*args)
                self.do("log_exception")

            def on_ws_connection_close(self, code=None, reason=None):
                super().on_ws_connection_close(code, reason)
                self.do("on_ws_connection_close")

        with connected(Doing()) as (protocol, handler, peer):
            stream = protocol.stream
            found = weakref.ref(protocol)
            del protocol
            data = frame(PONG, b"") + frame(PING, b"") + frame(TEXT, b"first") + FOLLOWING
            try:
                await asyncio.wait_for(peer.send(data), 5)
            except OSError:
                pass
            await turns(30)
            assert handler.done or where == "log_exception"
            assert len(handler.closes) <= 1
            peer.sock.close()
            await until(stream.closed)
            await turns(10)
            assert len(handler.closes) <= 1
            del stream
            handler.protocol = None
        del handler
        await turns()
        caplog.clear()  # which keeps exceptions
        gc.collect()
        assert found() is None

    run(main)


@pytest.mark.parametrize("deed", ["abort", "close", "stream.close", "raise"])
def test_the_handler_is_notified_once_and_last(deed):
    async def main():
        class Doing(Handler):
            def on_message(self, message):
                super().on_message(message)
                try:
                    DEEDS[deed](self.protocol, self)
                finally:
                    nested_loop()
                    self.events.append(("returned",))

        with connected(Doing()) as (_protocol, handler, peer):
            await peer.send(frame(TEXT, b"first") + frame(CLOSE, b"\x03\xe8"))
            await until(lambda: handler.closes)
            kinds = [event[0] for event in handler.events]
            assert kinds[:2] == ["message", "returned"] and kinds[-1] == "close" and kinds.count("close") == 1

    run(main)


def test_connections_that_close_within_a_loop_over_them():
    """A write that finds the peer gone does not call the application on the spot."""

    async def main():
        clients = set()

        class Member(Handler):
            def on_ws_connection_close(self, code=None, reason=None):
                clients.discard(self)

        with connected(Member()) as (_, one, peer), connected(Member()) as (_, two, other):
            clients.update((one, two))
            other.sock.close()
            peer.sock.close()
            for member in clients:
                member.protocol.write_message("x")
                member.protocol.stream.close()
            await until(lambda: not clients)

    run(main)


# ---- against a slow reading ----


def slow_reader(data, limit):
    """What a server makes of the bytes by the RFC: the events, and the code that it fails with or None."""
    events, parts, kind = [], b"", None
    while True:
        if len(data) < 2:
            return events, None
        first, second = data[:2]
        opcode, size, at = first & 15, second & 127, 2
        control = opcode > 7
        if first & 0x70 or opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) or not second & 128:
            return events, 1002
        if control and (not first & 128 or size > 125):
            return events, 1002
        if not control and ((opcode == 0) != (kind is not None)):
            return events, 1002
        if size > 125:
            at = 4 if size == 126 else 10
            if len(data) < at:
                return events, None
            least = 126 if size == 126 else 65536
            size = int.from_bytes(data[2:at], "big")
            if size < least or size >> 63:
                return events, 1002
        if not control and len(parts) + size > limit:
            return events, 1009
        payload = masked(data[at + 4 : at + 4 + size], data[at : at + 4])
        whole = len(payload) == size and len(data) >= at + 4 + size
        data = data[at + 4 + size :]
        if control:
            if not whole:
                return events, None
            if opcode == 9:
                events.append(("ping", payload))
            elif opcode == 10:
                events.append(("pong", payload))
            elif not payload:
                return [*events, ("close", None, None)], None
            else:
                code = int.from_bytes(payload[:2], "big")
                bad = len(payload) == 1 or code < 1000 or code in (1004, 1005, 1006) or 1015 <= code < 3000
                if bad:
                    return events, 1002
                try:
                    reason = payload[2:].decode() or None
                except UnicodeDecodeError:
                    return events, 1007
                return [*events, ("close", code, reason)], None
            continue
        kind = kind or opcode
        final = first & 128
        parts += payload
        if kind == 1:
            try:
                parts.decode()
            except UnicodeDecodeError as exc:
                cut = exc.reason == "unexpected end of data"
                if not cut or (final and whole):
                    return events, 1007
        if not whole:
            return events, None
        if final:
            events.append(("message", parts.decode() if kind == 1 else parts))
            kind, parts = None, b""


payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.builds(lambda c, r: struct.pack(">H", c) + r.encode(), st.integers(990, 3010), st.text(max_size=5)),
    st.builds(lambda n: b"y" * n, st.sampled_from([125, 126, 127, 300, 65535, 65536])),
)
firsts = st.one_of(
    st.sampled_from([TEXT, BINARY, PING, PONG, 0x01, 0x02, 0x00, 0x80, 0x00, 0x80]),
    st.sampled_from([TEXT, 0x01, 0x80, CLOSE]),
    st.integers(0, 255),
)
frames = st.lists(st.builds(frame, firsts, payloads, st.one_of(st.just(b"abcd"), st.none())), max_size=8)
mostly_good = st.lists(st.builds(frame, firsts, payloads), max_size=8)


@given(
    st.one_of(frames, mostly_good, mostly_good, st.lists(st.binary(max_size=30), max_size=2)),
    st.randoms(use_true_random=False),
    st.sampled_from([30, 200, 1 << 20]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_frames(data, rng: random.Random, limit):
    data = b"".join(data)
    expected, code = slow_reader(data, limit)

    async def main():
        with connected(params=Params(max_message_size=limit)) as (protocol, handler, peer):
            at = 0
            while at < len(data):
                step = rng.choice([1, 3, 10, 100, 100_000])
                try:
                    await peer.send(data[at : at + step])
                except OSError:
                    break
                at += step
                await turns(1)
            if code is not None or (expected and expected[-1][0] == "close"):
                sent = await peer.end()
                assert sent[-1][0] == CLOSE
                assert code is None or sent[-1][1][:2] == struct.pack(">H", code)
            else:
                await until(lambda: len(handler.events) >= len(expected))
                await turns()
                assert not protocol.is_closing()
            peer.sock.close()
            await until(lambda: handler.closes)
            wanted = (
                expected if expected and expected[-1][0] == "close" else [*expected, ("close", None, None)]
            )
            assert handler.events == wanted

    run(main)


def test_parse_reads_what_frame_writes():
    """The test's own two halves."""
    for size in (0, 1, 125, 126, 65535, 65536):
        for key in (None, b"abcd"):
            assert parse(frame(TEXT, b"x" * size, key)) == ([(TEXT, b"x" * size)], b"")
