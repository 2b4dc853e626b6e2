"""_StreamBuffer, a stream's queue of what is to be sent, alone and as applications reach for it."""

import array
import asyncio
import ctypes
import gc
import random
import sys

import pytest

from support.iostream_world import turns, until


@pytest.fixture
def buffer(implementation):
    return implementation.iostream._StreamBuffer()


def drained(buffer, step=1 << 30):
    data = b""
    while len(buffer):
        with buffer.peek(step) as view:
            part = bytes(view)
        assert 0 < len(part) <= step
        buffer.advance(len(part))
        data += part
    return data


class TestAlone:
    def test_empty(self, buffer):
        assert len(buffer) == 0
        assert bytes(buffer.peek(10)) == b""
        buffer.clear()
        buffer.append(b"")
        assert len(buffer) == 0

    def test_small_and_large(self, buffer):
        buffer.append(b"abc")
        buffer.append(bytearray(b"def"))
        large = bytes(5000)
        buffer.append(large)
        buffer.append(memoryview(b"tail"))
        assert len(buffer) == 5010
        assert [by_reference for by_reference, _ in buffer._buffers] == [False, True, False]
        assert drained(buffer, 700) == b"abcdef" + large + b"tail"

    def test_at_random(self, buffer):
        rng = random.Random(1)
        expected = b""
        for _ in range(3000):
            if rng.random() < 0.5:
                piece = rng.randbytes(rng.choice([0, 1, 10, 2047, 2048, 2049, 9000]))
                buffer.append(rng.choice([bytes, bytearray, memoryview])(piece))
                expected += piece
            elif expected:
                with buffer.peek(rng.choice([1, 5, 4000, 1 << 20])) as view:
                    assert expected.startswith(bytes(view))
                    assert len(view) > 0
                n = rng.randint(1, len(expected) if rng.random() < 0.1 else min(len(expected), 3000))
                buffer.advance(n)
                expected = expected[n:]
            assert len(buffer) == len(expected)
        assert drained(buffer) == expected

    @pytest.mark.parametrize("size", [0, -1])
    def test_wrong_sizes(self, buffer, size):
        buffer.append(b"abc")
        with pytest.raises(AssertionError):
            buffer.peek(size)
        with pytest.raises(AssertionError):
            buffer.advance(size)

    def test_wrong_types(self, buffer):
        for wrong in (5, None, "text", [b"x"]):
            with pytest.raises(TypeError):
                buffer.append(wrong)
        assert len(buffer) == 0

    def test_advance_too_far(self):
        from tornado_c.iostream import _StreamBuffer

        buffer = _StreamBuffer()
        buffer.append(b"abc")
        with pytest.raises(AssertionError):
            buffer.advance(4)
        assert drained(buffer) == b"abc"

    @pytest.mark.parametrize("how", ["advance", "clear", "dealloc"])
    @pytest.mark.parametrize("given", ["object", "view"])
    def test_memory_is_given_back(self, buffer, how, given):
        data = bytearray(10_000)
        view = memoryview(data)
        buffer.append(data if given == "object" else view)
        view.release()
        with pytest.raises(BufferError):
            data.append(1)
        if how == "advance":
            buffer.advance(9_999)
            with pytest.raises(BufferError):
                data.append(1)
            buffer.advance(1)
        elif how == "clear":
            buffer.clear()
        else:
            del buffer
            gc.collect()
        if how != "dealloc":
            data.append(1)

    def test_small_ones_are_copied(self, buffer):
        data = bytearray(b"abc")
        buffer.append(data)
        data.append(1)
        data[0] = 0
        assert drained(buffer) == b"abc"

    def test_what_python_sees_cannot_break_it(self):
        from tornado_c.iostream import _StreamBuffer

        buffer = _StreamBuffer()
        large = bytearray(b"l" * 5000)
        buffer.append(b"small")
        buffer.append(large)
        buffer.append(b"b" * 5000)
        for _, shown in buffer._buffers:
            if isinstance(shown, bytearray):
                shown.clear()
            else:
                shown.release()
        for shown in gc.get_referents(buffer):
            if isinstance(shown, bytearray) and shown is not large:
                shown.clear()
        assert drained(buffer) == b"small" + large + b"b" * 5000

    def test_peeked_views_stay_valid(self):
        """A view that is kept across changes of the queue holds on to its memory."""
        from tornado_c.iostream import _StreamBuffer

        buffer = _StreamBuffer()
        buffer.append(b"abc")
        views = [buffer.peek(10)]
        buffer.append(b"def" * 200)
        views.append(buffer.peek(1 << 20))
        buffer.append(bytes(5000))
        buffer.advance(len(buffer))
        buffer.clear()
        gc.collect()
        assert bytes(views[0]) == b"abc"
        assert bytes(views[1]) in (b"abc", b"abc" + b"def" * 200)


class Tracked(array.array):
    """Memory that tells when it is gone, and does something then."""

    def __del__(self):
        self.gone()


class TestReentry:
    """Dropping a piece may run the application's code, which changes the queue."""

    @pytest.mark.parametrize("drop", ["advance", "clear"])
    @pytest.mark.parametrize("act", ["clear", "append", "both", "advance"])
    def test_piece_that_changes_the_queue(self, drop, act):
        from tornado_c.iostream import _StreamBuffer

        buffer = _StreamBuffer()
        acts = True

        def gone():
            if not acts:
                return
            if act in ("clear", "both"):
                buffer.clear()
            if act in ("append", "both"):
                for _ in range(5):
                    buffer.append(b"n" * 3000)
            if act == "advance" and len(buffer):
                buffer.advance(1)

        for n in range(6):
            piece = Tracked("b", bytes(4000 + n))
            piece.gone = gone
            buffer.append(piece)
            del piece
        if drop == "advance":
            buffer.advance(len(buffer) - 100)
        else:
            buffer.clear()
        size = len(buffer)
        acts = False
        assert len(drained(buffer)) == size

    def test_pieces_of_a_queue_that_goes(self):
        """They go with it, each once."""
        from tornado_c.iostream import _StreamBuffer

        buffer = _StreamBuffer()
        gone = []
        for n in range(6):
            piece = Tracked("b", bytes(4000 + n))
            piece.gone = lambda n=n: gone.append(n)
            buffer.append(piece)
            del piece
        assert gone == []
        del buffer
        assert sorted(gone) == list(range(6))


class Fresh:
    """Gives other memory each time it is asked."""

    def __init__(self, size):
        self.size = size

    def __buffer__(self, flags):
        return memoryview(bytes([65]) * self.size)


class Structure(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 100_000)]


EXPORTERS = {
    "bytearray": lambda: bytearray(b"A" * 100_000),
    "memoryview": lambda: memoryview(b"A" * 100_000),
    "part of a memoryview": lambda: memoryview(b"B" + b"A" * 100_000 + b"B")[1:-1],
    "array": lambda: array.array("i", [0x41414141] * 25_000),
    "view of integers": lambda: memoryview(array.array("i", [0x41414141] * 25_000)),
    "two dimensions": lambda: memoryview(b"A" * 100_000).cast("B", shape=[100, 1000]),
    "ctypes": lambda: (ctypes.c_int * 25_000)(*[0x41414141] * 25_000),
    "structure": lambda: Structure(b"A" * 100_000),
}
if sys.version_info >= (3, 12):
    EXPORTERS["other memory each time"] = lambda: Fresh(100_000)


class TestWrites:
    @pytest.mark.parametrize("kind", EXPORTERS)
    @pytest.mark.parametrize("way", ["socket", "hook", "append"])
    def test_exporters(self, ours, kind, way):
        async def main():
            left, right = ours.streams()
            if way == "hook":
                left.write_to_fd = lambda data: left.socket.send(data)
            filler = left.write(b"-" * 1_000_000)  # so that the rest has to wait
            data = EXPORTERS[kind]()
            if way == "append":
                left._write_buffer.append(data)
                left._total_write_index += 100_000
                written = left.write(b"")
            else:
                written = left.write(data)
            assert not written.done()
            await right.read_bytes(1_000_000)
            assert await right.read_bytes(100_000) == b"A" * 100_000
            await asyncio.gather(filler, written)

        ours.run(main)

    def test_not_contiguous(self, ours):
        async def main():
            stream, _ = ours.pair()
            with pytest.raises(BufferError):
                stream.write(memoryview(bytes(100))[::2])
            with pytest.raises(BufferError):
                stream._write_buffer.append(memoryview(bytes(10000))[::2])
            assert not stream.writing()

        ours.run(main)

    @pytest.mark.parametrize("connecting", [False, True])
    def test_pieces_put_in_directly(self, both, connecting):
        """As Dask does it: pieces appended, the index moved, an empty write at the end."""

        async def main():
            left, right = both.streams()
            for round in range(5):
                frames = [memoryview(bytes([round]) * size) for size in (10, 3000, 200_000)]
                for frame in frames:
                    left._write_buffer.append(frame)
                    left._total_write_index += frame.nbytes
                written = left.write(b"")
                assert await right.read_bytes(203_010) == bytes([round]) * 203_010
                await written
            before = left._total_write_index
            await left.write(b"more")
            assert left._total_write_index == before + 4 == left._total_write_done_index
            left.close()
            assert left._write_buffer is None

        both.run(main)

    def test_directly_among_joined_writes(self, both):
        async def main():
            left, right = both.streams()
            left.write(b"1")
            left.write(b"2")
            left._write_buffer.append(memoryview(b"3" * 5000))
            left._total_write_index += 5000
            left.write(b"4")
            last = left.write(b"5")
            assert await right.read_bytes(5004) == b"12" + b"3" * 5000 + b"45"
            await last
            assert left._total_write_index == left._total_write_done_index == 5004

        both.run(main)

    def test_index_that_leaps(self, both):
        """Whoever counts bytes that never come waits; close tells."""

        async def main():
            left, right = both.streams()
            left._write_buffer.append(b"abc")
            left._total_write_index += 100
            waiting = left.write(b"")
            assert await right.read_bytes(3) == b"abc"
            await turns()
            assert not waiting.done()
            left.close()
            with pytest.raises(both.module.StreamClosedError):
                await waiting

        both.run(main)

    @pytest.mark.parametrize("end", ["sent", "closed", "peer gone"])
    def test_exporters_are_given_back(self, both, end):
        async def main():
            stream, peer = both.pair()
            data = bytearray(3_000_000)
            written = stream.write(data)
            with pytest.raises(BufferError):
                data.append(1)
            if end == "sent":
                received = 0
                peer.setblocking(False)
                while received < len(data):
                    try:
                        received += len(peer.recv(1 << 20))
                    except BlockingIOError:
                        await asyncio.sleep(0.001)
                await written
            else:
                if end == "closed":
                    stream.close()
                else:
                    peer.close()
                with pytest.raises(both.module.StreamClosedError):
                    await written
            data.append(1)

        both.run(main)

    def test_limit(self, both):
        async def main():
            stream, peer = both.pair(max_write_buffer_size=500_000)
            first = stream.write(bytes(500_000))
            with pytest.raises(both.module.StreamBufferFullError):
                for _ in range(100):
                    stream.write(bytes(100_000))
            assert not stream.closed()
            assert not first.done()
            peer.setblocking(False)
            while not first.done():
                try:
                    peer.recv(1 << 20)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            with pytest.raises(both.module.StreamBufferFullError):
                stream.write(bytes(600_000))

        both.run(main)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
class TestBoundedMemory:
    def test_slow_reader(self, ours):
        """A producer that awaits its writes holds one piece, whatever the peer does."""

        async def main():
            stream, peer = ours.pair()
            sent = 0

            async def produce():
                nonlocal sent
                for _ in range(500):
                    await stream.write(bytes(1 << 20))
                    sent += 1
                stream.close()

            producing = asyncio.ensure_future(produce())
            before = resident()
            await turns(200)
            stopped = sent
            await turns(200)
            assert sent == stopped < 10
            peer.setblocking(False)
            highest = 0
            while True:
                try:
                    if not peer.recv(1 << 18):
                        break
                except BlockingIOError:
                    await asyncio.sleep(0)
                highest = max(highest, resident())
            await producing
            assert highest - before < 64 << 20

        ours.run(main)

    def test_reader_that_pauses(self, ours):
        """Without a pending read no more than a chunk is taken in."""

        async def main():
            left, right = ours.streams()
            writing = left.write(bytes(200 << 20))
            assert await right.read_bytes(10) == bytes(10)
            await turns(300)
            assert right._read_buffer_size <= 2 * right.read_chunk_size
            assert not writing.done()
            left.close()
            with pytest.raises(ours.module.StreamClosedError):
                await writing

        ours.run(main)

    def test_limit_of_the_read_buffer(self, both, caplog):
        """Bytes that fill the buffer beyond max_buffer_size: an exception to an inline read, a log line in an
        event."""

        async def main():
            stream, peer = both.pair(max_buffer_size=10_000)
            for event in (True, False):
                stream, peer = both.pair(max_buffer_size=10_000)
                if event:
                    reading = stream.read_until(b"\n")
                    peer.sendall(b"x" * 50_000)
                    with pytest.raises(both.module.StreamClosedError) as caught:
                        await reading
                    assert isinstance(caught.value.real_error, both.module.StreamBufferFullError)
                else:
                    peer.sendall(b"x" * 50_000)
                    with pytest.raises(both.module.StreamBufferFullError):
                        stream.read_until(b"\n")
                assert stream.closed()
                assert isinstance(stream.error, both.module.StreamBufferFullError)

        both.run(main)
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
            ("ERROR", "Reached maximum read buffer size"),
            ("WARNING", "error on read: Reached maximum read buffer size"),
            ("ERROR", "Reached maximum read buffer size"),
        ]


def test_write_that_waits_for_another(ours):
    """A Future is done when its own bytes have gone, not those behind it."""

    async def main():
        left, right = ours.streams()
        order = []
        for n in range(5):
            left.write(bytes(1 << 19)).add_done_callback(lambda f, n=n: order.append(n))
        await right.read_bytes(5 << 19)
        await until(lambda: len(order) == 5)
        assert order == [0, 1, 2, 3, 4]

    ours.run(main)
