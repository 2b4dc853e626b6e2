"""_core.HTTPReader between its own reads and those of others: it is the stream's reader while it waits."""

import asyncio

import pytest

from support.iostream_world import turns
from tornado_c import _core

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def reader_of(stream):
    return _core.HTTPReader(stream, False, 65536, 65536)


async def timed_out(reader):
    assert await reader.read_head(0.002) is None


async def waited_for(reader):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read_head(None), 0.002)


async def body_waited_for(reader):
    reader.start_body(10)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read_body(100), 0.002)


async def chunks_waited_for(reader):
    reader.start_body(-1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read_body(100), 0.002)


GIVEN_UP = pytest.mark.parametrize("give_up", [timed_out, waited_for, body_waited_for, chunks_waited_for])


@GIVEN_UP
@pytest.mark.parametrize("late", [False, True], ids=["", "with bytes meanwhile"])
def test_the_stream_is_free(ours, give_up, late):
    async def main():
        stream, peer = ours.pair()
        await give_up(reader_of(stream))
        peer.sendall(b"hello")
        if late:
            await asyncio.sleep(0.005)
        assert await stream.read_bytes(5) == b"hello"
        assert not stream.reading()

    ours.run(main)


@GIVEN_UP
def test_the_reader_reads_on(ours, give_up):
    async def main():
        stream, peer = ours.pair()
        reader = reader_of(stream)
        for _ in range(3):
            await give_up(reader)
        peer.sendall(HEAD)
        line, _ = await reader.read_head(None)
        assert line.method == "GET"

    ours.run(main)


def test_a_head_for_nobody_stays(ours):
    async def main():
        stream, peer = ours.pair()
        reader = reader_of(stream)
        waiting = reader.read_head(None)
        waiting.cancel()
        peer.sendall(HEAD)
        await asyncio.sleep(0.005)
        head = reader.read_head(None)
        line, headers = head if isinstance(head, tuple) else await head
        assert (line.path, dict(headers)) == ("/", {"Host": "a"})

    ours.run(main)


def test_one_at_a_time(ours):
    async def main():
        stream, peer = ours.pair()
        reader, other = reader_of(stream), reader_of(stream)
        waiting = reader.read_head(None)
        for read in (
            lambda: stream.read_bytes(1),
            lambda: reader.read_head(None),
            lambda: other.read_head(None),
        ):
            with pytest.raises(AssertionError, match="Already reading"):
                read()
        peer.sendall(HEAD)
        assert (await waiting)[0].method == "GET"
        reading = stream.read_until(b"\n")
        peer.sendall(HEAD)
        with pytest.raises(AssertionError, match="Already reading"):
            reader.read_head(None)
        assert await reading == HEAD[:16]

    ours.run(main)


def test_the_end_behind_a_cancelled_read(ours):
    async def main():
        stream, peer = ours.pair()
        waiting = reader_of(stream).read_head(None)
        waiting.cancel()
        peer.close()
        await turns()
        with pytest.raises(ours.module.StreamClosedError):
            await stream.read_bytes(1)

    ours.run(main)
