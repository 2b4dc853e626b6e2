"""The kinds of reads at their limits: read_into's memory, max_bytes, partial reads, what a closed stream
still gives. Stock Tornado is the oracle."""

import array
import asyncio
import re

import pytest

from support.iostream_world import reset, turns, until


class TestReadInto:
    def test_no_copy(self, both):
        """Bytes appear in the caller's memory as they come."""

        async def main():
            stream, peer = both.pair()
            memory = bytearray(10)
            reading = stream.read_into(memory)
            for n in range(4):
                peer.sendall(b"%d" % n)
                await until(lambda n=n: memory[n : n + 1] == b"%d" % n)
                assert not reading.done()
            peer.sendall(b"456789")
            assert await reading == 10
            assert memory == b"0123456789"

        both.run(main)

    def test_buffered_part_first(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"line\nabc")
            assert await stream.read_until(b"\n") == b"line\n"
            memory = bytearray(6)
            reading = stream.read_into(memory)
            await turns()
            assert not reading.done()
            peer.sendall(b"defghi")
            assert await reading == 6
            assert memory == b"abcdef"
            assert await stream.read_bytes(3) == b"ghi"

        both.run(main)

    def test_more_buffered_than_wanted(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"line\nabcdefgh")
            await stream.read_until(b"\n")
            memory = bytearray(3)
            assert await stream.read_into(memory) == 3
            assert memory == b"abc"
            assert await stream.read_into(memory, partial=True) == 3
            assert memory == b"def"
            assert await stream.read_into(memory, partial=True) == 2
            assert memory == b"ghf"

        both.run(main)

    def test_partial(self, both):
        async def main():
            stream, peer = both.pair()
            memory = bytearray(1000)
            reading = stream.read_into(memory, partial=True)
            await turns()
            assert not reading.done()
            peer.sendall(b"abc")
            assert await reading == 3
            assert memory[:4] == b"abc\0"

        both.run(main)

    def test_zero_length(self, both):
        async def main():
            stream, peer = both.pair()
            for partial in (False, True):
                assert await stream.read_into(bytearray(), partial=partial) == 0
            peer.sendall(b"abc")
            assert await stream.read_bytes(3) == b"abc"

        both.run(main)

    def test_large(self, both):
        async def main():
            left, right = both.streams()
            memory = bytearray(5_000_000)
            data = bytes(range(250)) * 20_000
            sending = left.write(data)
            assert await right.read_into(memory) == len(memory)
            assert memory == data
            await sending

        both.run(main)

    @pytest.mark.parametrize("end", ["done", "closed", "peer gone", "reset", "full"])
    def test_memory_is_the_callers_again(self, both, end, caplog):
        async def main():
            stream, peer = both.pair(tcp=end == "reset")
            memory = bytearray(100)
            reading = stream.read_into(memory)
            if both.native:  # stock keeps no view between events
                with pytest.raises(BufferError):
                    memory.clear()
            if end == "done":
                peer.sendall(bytes(100))
                assert await reading == 100
            else:
                if end == "closed":
                    stream.close()
                elif end == "peer gone":
                    peer.close()
                elif end == "reset":
                    reset(peer)
                else:
                    stream.close(exc_info=both.module.StreamBufferFullError("as if"))
                with pytest.raises(both.module.StreamClosedError):
                    await reading
            memory.append(1)

        both.run(main)

    def test_cancelled(self, both):
        """Close, too, gives the memory back."""

        async def main():
            stream, peer = both.pair()
            memory = bytearray(10)
            reading = stream.read_into(memory)
            reading.cancel()
            stream.close()
            memory.append(1)

        both.run(main)

    def test_read_only_memory(self, ours):
        async def main():
            stream, peer = ours.pair()
            for wrong, error in (
                (b"bytes", BufferError),
                (5, TypeError),
                (memoryview(bytearray(10))[::2], BufferError),
            ):
                with pytest.raises(error):
                    stream.read_into(wrong)
            assert not stream.reading()
            memory = array.array("i", [0, 0])
            reading = stream.read_into(memory)
            peer.sendall(b"\1\0\0\0\2\0\0\0")
            assert await reading == 8
            assert list(memory) == [1, 2]

        ours.run(main)

    def test_while_reading(self, ours):
        async def main():
            stream, _ = ours.pair()
            stream.read_bytes(1)
            memory = bytearray(10)
            with pytest.raises(AssertionError, match="Already reading"):
                stream.read_into(memory)
            memory.clear()

        ours.run(main)


class TestLimits:
    @pytest.mark.parametrize("kind", ["until", "regex"])
    @pytest.mark.parametrize("inline", [True, False])
    @pytest.mark.parametrize(
        "data,satisfied", [(b"12345\n", True), (b"123456\n", False), (b"1234567", False)]
    )
    def test_max_bytes(self, both, caplog, kind, inline, data, satisfied):
        async def main():
            stream, peer = both.pair()

            def read():
                if kind == "until":
                    return stream.read_until(b"\n", max_bytes=6)
                return stream.read_until_regex(rb"\n", max_bytes=6)

            if inline:
                peer.sendall(b"-" + data)
                assert await stream.read_bytes(1) == b"-"
            try:
                reading = read()
            except both.module.UnsatisfiableReadError:
                # With the bytes at hand already
                assert inline and not satisfied
                return
            if not inline:
                peer.sendall(data)
            if satisfied:
                assert await reading == data
                return
            with pytest.raises(both.module.StreamClosedError) as caught:
                await reading
            assert isinstance(caught.value.real_error, both.module.UnsatisfiableReadError)
            assert stream.closed()

        caplog.set_level("INFO")
        both.run(main)
        if not satisfied:
            pattern = repr(b"\n") if kind == "until" else repr(re.compile(rb"\n"))
            assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
                (
                    "INFO",
                    f"Unsatisfiable read, closing connection: delimiter {pattern} not found within 6 bytes",
                )
            ]

    @pytest.mark.parametrize("step", [1, 7, 100])
    def test_regex_over_pieces(self, both, step):
        async def main():
            stream, peer = both.pair()
            data = b"x" * 300 + b"END" + b"y" * 50
            reading = stream.read_until_regex(rb"E(N)D", max_bytes=1000)
            for start in range(0, len(data), step):
                peer.sendall(data[start : start + step])
                await turns(2)
            assert await reading == b"x" * 300 + b"END"
            assert await stream.read_bytes(50) == b"y" * 50

        both.run(main)

    def test_partial(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"abcdef")
            assert await stream.read_bytes(4, partial=True) == b"abcd"
            assert await stream.read_bytes(4, partial=True) == b"ef"
            reading = stream.read_bytes(4, partial=True)
            await turns()
            assert not reading.done()
            peer.sendall(b"g")
            assert await reading == b"g"

        both.run(main)


class TestClosed:
    def test_reads_that_the_buffer_satisfies(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"line\nabcdef rest of it")
            peer.close()
            assert await stream.read_until(b"\n") == b"line\n"
            stream.close()
            assert await stream.read_bytes(3) == b"abc"
            assert await stream.read_until_regex(rb" ") == b"def "
            assert await stream.read_bytes(100, partial=True) == b"rest of it"
            for read in (
                lambda: stream.read_bytes(1),
                lambda: stream.read_until(b"\n"),
                lambda: stream.read_until_regex(rb"x"),
                lambda: stream.read_into(bytearray(1)),
            ):
                with pytest.raises(both.module.StreamClosedError):
                    await read()

        both.run(main)

    def test_read_into_from_the_buffer(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"xabcdef")
            assert await stream.read_bytes(1) == b"x"
            stream.close()
            memory = bytearray(4)
            assert await stream.read_into(memory) == 4
            assert memory == b"abcd"
            if both.native:
                with pytest.raises(both.module.StreamClosedError):
                    await stream.read_into(memory)
                memory.clear()

        both.run(main)

    def test_read_until_close_of_a_closed_stream(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"xabc")
            assert await stream.read_bytes(1) == b"x"
            stream.close()
            assert await stream.read_until_close() == b"abc"
            assert await stream.read_until_close() == b""

        both.run(main)

    def test_error_before_the_end_fails_read_until_close(self, both):
        """Not a truncated result as if it were complete."""

        async def main():
            stream, peer = both.pair()
            reading = stream.read_until_close()
            peer.sendall(b"abc")
            await turns()
            stream.close(exc_info=ValueError("wrong"))
            with pytest.raises(both.module.StreamClosedError) as caught:
                await reading
            assert isinstance(caught.value.real_error, ValueError)

        both.run(main)

    def test_pending_read_satisfied_while_closing(self, both):
        """Bytes that have come in meanwhile count."""

        async def main():
            left, right = both.streams()
            reading = right.read_bytes(6)
            left.write(b"abc")
            await until(lambda: right._read_buffer_size == 3 or not both.native)
            right.close()
            with pytest.raises(both.module.StreamClosedError):
                await reading

        both.run(main)

    @pytest.mark.parametrize(
        "exc_info",
        [False, None, True, ValueError("x"), (ValueError, ValueError("y"), None), (None, None, None)],
    )
    def test_exc_info(self, both, exc_info):
        async def main():
            stream, _ = both.pair()
            if exc_info is True:
                try:
                    raise KeyError("z")
                except KeyError:
                    stream.close(exc_info=True)
                assert isinstance(stream.error, KeyError)
            else:
                stream.close(exc_info=exc_info)
                expected = exc_info[1] if isinstance(exc_info, tuple) else exc_info or None
                assert stream.error is expected
            stream.close(exc_info=RuntimeError("later"))
            assert not isinstance(stream.error, RuntimeError)

        both.run(main)

    def test_two_at_once(self, both):
        async def main():
            left, right = both.streams()
            got = await asyncio.gather(
                left.write(b"a"), right.write(b"b"), left.read_bytes(1), right.read_bytes(1)
            )
            assert got[2:] == [b"b", b"a"]

        both.run(main)

    def test_error_with_bytes_left(self, both):
        """The peer has left without reading all that we wrote, an error: what it said is read first."""

        async def main():
            stream, peer = both.pair()
            called = []
            stream.set_close_callback(lambda: called.append(1))
            await stream.write(b"never read")
            reading = stream.read_until(b"\n")
            peer.sendall(b"line\nand more")
            peer.close()
            assert await reading == b"line\n"
            await turns(12)
            assert await stream.read_bytes(8) == b"and more"
            await until(lambda: called)
            with pytest.raises(both.module.StreamClosedError):
                await stream.read_bytes(1)

        both.run(main)

    def test_sizes_that_were_computed(self, both):
        """A fraction of the machine's memory is a float."""

        async def main():
            stream, peer = both.pair(max_buffer_size=2e9 / 2, max_write_buffer_size=float("inf"))
            peer.sendall(b"x" * 10)
            assert await stream.read_bytes(10) == b"x" * 10
            stream.max_buffer_size = 1e6
            await stream.write(b"y")
            assert peer.recv(1) == b"y"

        both.run(main)
