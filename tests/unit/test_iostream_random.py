"""Streams under random use: the same operations on ours and on stock Tornado's give the same results; and
hooks that do whatever they like give errors at worst."""

import asyncio
import gc
import os
import random
import re
import socket

import pytest

from support.implementations import BOTH
from support.iostream_world import World, turns

SEEDS = int(os.environ.get("STREAM_SEEDS", "40"))  # more by hand


async def outcome(world, start):
    """What a call gives: a Future or nothing, and whatever of an exception can be compared."""
    try:
        return start()
    except Exception as e:
        return described(world, e)


def described(world, error):
    real = getattr(error, "real_error", None)
    return [type(error).__name__, type(real).__name__, str(real if real is not None else error)]


class Script:
    """Random operations on a stream and its peer, and a record of what came of them."""

    def __init__(self, world, seed, kind):
        self.world = world
        self.rng = random.Random(seed)
        self.record = []
        self.pending = None
        self.refused = False
        self.memory = None
        # With small chunks how much is read when nobody asks, or asks for a part, is each one's own affair.
        self.small_chunks = self.rng.random() < 0.3
        limits = {"read_chunk_size": 50} if self.small_chunks else {}
        mine, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        cls = world.module.IOStream
        if kind == "hooks":

            class cls(cls):
                def read_from_fd(self, buf):
                    return super().read_from_fd(buf)

                def write_to_fd(self, data):
                    return super().write_to_fd(data)

        self.stream = cls(mine, **limits)
        self.stream.set_close_callback(lambda: self.record.append("closed"))

    def reads(self):
        rng, stream = self.rng, self.stream
        n, limit = rng.choice([0, 1, 3, 10, 100, 1000]), rng.choice([None, None, 5, 50, 500])
        partial, delimiter = (
            not self.small_chunks and rng.random() < 0.4,
            rng.choice([b"\n", b"ab", b"aab\n", b"zzz"]),
        )
        self.memory = bytearray(n)
        return [
            lambda: stream.read_bytes(n, partial=partial),
            lambda: stream.read_into(self.memory, partial=partial),
            lambda: stream.read_until(delimiter, max_bytes=limit),
            lambda: stream.read_until_regex(re.escape(delimiter) + b"|ba+b", max_bytes=limit),
            lambda: stream.read_until_close(),
        ][rng.choices(range(5), [6, 4, 6, 4, 1])[0]]

    async def settle(self):
        await turns(12)
        if self.pending is not None and self.pending.done():
            future, self.pending = self.pending, None
            if future.exception() is not None:
                self.record.append(["failed", *described(self.world, future.exception())])
                self.refused = True
            else:
                self.record.append(["read", future.result(), bytes(self.memory)])

    async def step(self):
        rng = self.rng
        ends = 0 if self.small_chunks else 1
        weights = [8, 8, 4, 0.3 * ends, 0.2 * ends, 0.2 * ends]
        what = rng.choices(["read", "send", "write", "leave", "close", "shut"], weights)[0]
        if what == "read":
            answer = await outcome(self.world, self.reads())
            if isinstance(answer, list):
                self.record.append(answer)
                self.refused = True
            else:
                assert self.pending is None
                self.pending = answer
        elif what == "send":
            data = bytes(rng.choices(b"aabbz\n", k=rng.choice([1, 2, 10, 100, 400])))
            try:
                self.peer.send(data)
            except OSError:
                pass
        elif what == "write":
            data = bytes(rng.choices(b"xyz", k=rng.choice([0, 1, 100, 3000])))
            answer = await outcome(self.world, lambda: self.stream.write(data))
            await turns()
            if not isinstance(answer, list):
                answer = answer.done() and answer.exception() and described(self.world, answer.exception())
            self.record.append(["written", answer])
        elif what == "leave":
            self.peer.close()
        elif what == "close":
            self.stream.close(exc_info=rng.choice([False, ValueError("x")]))
        elif self.peer.fileno() >= 0:
            self.peer.shutdown(socket.SHUT_WR)

    async def steps(self):
        for _ in range(60):
            await self.step()
            await self.settle()
            closed = self.stream.closed()
            if closed and self.refused:
                return  # stock keeps the delimiters of a read that failed, and trips over them
            self.record.append([closed, str(self.stream.error), self.stream.reading()])

    async def run(self):
        await self.steps()
        if self.peer.fileno() >= 0:
            received = b""
            try:
                while chunk := self.peer.recv(1 << 20):
                    received += chunk
            except OSError:
                pass
            self.record.append(received)
        self.peer.close()
        self.stream.close()
        await self.settle()


@pytest.mark.parametrize("kind", ["socket", "hooks"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_same_as_stock(seed, kind):
    records = []
    for implementation in BOTH:
        world = World(implementation)
        script = Script.__new__(Script)

        async def main(world=world, script=script):
            script.__init__(world, seed, kind)
            await script.run()

        world.run(main)
        world.close()
        records.append(script.record)
    assert records[0] == records[1]


class Chaos:
    """Hooks and callbacks that do anything at any time."""

    def __init__(self, module, seed):
        self.module = module
        self.rng = random.Random(seed)
        self.streams = []
        self.depth = 0

    def act(self):
        """A random thing to a random stream."""
        if self.depth > 4:
            return
        self.depth += 1
        try:
            self.act_once(self.rng.choice(self.streams))
        except Exception:
            pass
        finally:
            self.depth -= 1

    def act_once(self, stream):
        rng = self.rng
        what = rng.randrange(22)
        if what < 4:
            stream.read_bytes(rng.choice([0, 1, 5, 1000]), partial=rng.random() < 0.5)
        elif what < 6:
            stream.read_into(bytearray(rng.choice([0, 1, 10, 5000])), partial=rng.random() < 0.5)
        elif what == 6:
            stream.read_until(b"x", rng.choice([None, 10]), lambda data: self.act())
        elif what == 7:
            stream.read_until_regex(rb"x+", max_bytes=rng.choice([None, 3]))
        elif what == 8:
            stream.read_until_close(None, lambda data: self.act())
        elif what < 13:
            data = bytearray(rng.choice([0, 1, 100, 3000, 200_000]))
            stream.write(data, (lambda: self.act()) if rng.random() < 0.3 else None)
            del data[:1]
        elif what == 13 and rng.random() < 0.3:
            stream.close(exc_info=rng.choice([False, True, KeyError("x")]))
        elif what == 14:
            stream._handle_events(stream.fileno(), rng.choice([1, 4, 8, 16, 29]))
        elif what == 15:
            rng.choice([stream._handle_read, stream._handle_write, stream._try_inline_read])()
        elif what == 16:
            buffer = stream._write_buffer
            buffer.append(bytes(rng.choice([1, 3000])))
            if rng.random() < 0.3:
                buffer.clear()
            if rng.random() < 0.3 and len(buffer):
                buffer.advance(rng.randint(1, len(buffer)))
        elif what == 17:
            stream._consume(rng.randint(0, max(1, stream._read_buffer_size)))
        elif what == 18:
            gc.collect()
        elif what == 19:
            stream.set_close_callback(rng.choice([None, self.act]))
        elif what == 20:
            stream._read_future and stream._read_future.cancel()
        elif what == 21 and rng.random() < 0.1:
            self.streams.remove(stream)
            self.streams.append(self.make())

    def make(self):
        chaos = self
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        theirs.setblocking(False)
        theirs.send(b"abcx" * 50)

        class Wild(self.module.BaseIOStream):
            def fileno(self):
                return mine

            def close_fd(self):
                mine.close()
                theirs.close()
                chaos.sometimes()

            def get_fd_error(self):
                chaos.sometimes()
                return chaos.rng.choice([None, OSError(5, "x")])

            def read_from_fd(self, buf):
                chaos.sometimes()
                if chaos.rng.random() < 0.1:
                    return chaos.rng.choice([0, 1 << 40, -1, "x", None])
                try:
                    return mine.recv_into(buf, chaos.rng.choice([1, 10, len(buf)]))
                except BlockingIOError:
                    if chaos.rng.random() < 0.5 and theirs.fileno() >= 0:
                        theirs.send(b"abcx")
                    return None
                finally:
                    chaos.sometimes()

            def write_to_fd(self, data):
                chaos.sometimes()
                if chaos.rng.random() < 0.1:
                    return chaos.rng.choice([0, len(data) + 1, "x"])
                n = mine.send(data[: chaos.rng.choice([1, 1000, 1 << 20])])
                try:
                    theirs.recv(1 << 20)
                except OSError:
                    pass
                chaos.sometimes()
                return n

        return Wild()

    def sometimes(self):
        if self.rng.random() < 0.2:
            self.act()
        if self.rng.random() < 0.02:
            raise self.rng.choice([OSError(5, "x"), ValueError("x"), ConnectionResetError(104, "x")])

    async def run(self):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        self.streams = [self.make() for _ in range(4)]
        for _ in range(300):
            self.act()
            if self.rng.random() < 0.4:
                await asyncio.sleep(0)
        for stream in self.streams:
            try:
                stream.close()
            except Exception:
                pass
        await turns(10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_wild_hooks(ours, caplog, seed):
    caplog.set_level("CRITICAL", logger="tornado")
    caplog.set_level("CRITICAL", logger="asyncio")
    chaos = Chaos(ours.module, seed)
    ours.run(chaos.run)
    chaos.streams.clear()
    gc.collect()
