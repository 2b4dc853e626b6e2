"""A read that was cancelled is over: the next one may follow at once, and gets the bytes. Stock Tornado says
"Already reading", and loses them."""

import asyncio
import socket

import pytest

from support.iostream_tls_tools import client_context, server_context
from support.iostream_world import turns, until

READS = {
    "until": lambda stream: stream.read_until(b"\n"),
    "until at most": lambda stream: stream.read_until(b"\n", max_bytes=20),
    "regex": lambda stream: stream.read_until_regex(b"\r?\n"),
    "bytes": lambda stream: stream.read_bytes(11),
    "partial": lambda stream: stream.read_bytes(11, partial=True),
    "into": lambda stream: stream.read_into(bytearray(11)),
    "into, partial": lambda stream: stream.read_into(bytearray(11), partial=True),
    "until close": lambda stream: stream.read_until_close(),
}
READ = pytest.mark.parametrize("read", READS.values(), ids=READS)


async def waited_for(stream, read):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(stream), 0.002)


async def task_cancelled(stream, read):
    async def reading():
        await read(stream)

    task = asyncio.ensure_future(reading())
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_at_once(stream, read):
    read(stream).cancel()


WAY = pytest.mark.parametrize("cancel", [waited_for, task_cancelled, cancelled_at_once])


@READ
@WAY
@pytest.mark.parametrize("early", [b"", b"hello"], ids=["nothing came", "some came"])
def test_the_bytes_stay(ours, read, cancel, early):
    """Those that came before, and those that came after."""

    async def main():
        stream, peer = ours.pair()
        peer.sendall(early)
        if early and read in (READS["partial"], READS["into, partial"]):
            await read(stream)
            return
        await cancel(stream, read)
        assert not stream.reading()
        peer.sendall(b"hello world\n"[len(early) :])
        await asyncio.sleep(0.005)
        assert await stream.read_until(b"\n") == b"hello world\n"

    ours.run(main)


@READ
def test_again_and_again(ours, read):
    async def main():
        stream, peer = ours.pair()
        for number in range(10):
            read(stream).cancel()
            if read not in (READS["partial"], READS["into, partial"]):
                peer.sendall(b"%d" % number)
                await turns(number)
        peer.sendall(b"\n")
        assert (await stream.read_until(b"\n"))[-1:] == b"\n"

    ours.run(main)


@READ
@WAY
def test_the_end_after_it(ours, read, cancel):
    """What came before the end can be read, and the end is seen without a reader."""

    async def main():
        stream, peer = ours.pair()
        await cancel(stream, read)
        peer.sendall(b"last words")
        peer.close()
        await asyncio.sleep(0.005)
        assert await stream.read_bytes(10) == b"last words"
        with pytest.raises(ours.module.StreamClosedError):
            await stream.read_bytes(1)

        stream, peer = ours.pair()
        closed = []
        stream.set_close_callback(lambda: closed.append(True))
        await cancel(stream, read)
        peer.close()
        await until(lambda: closed)

    ours.run(main)


def test_the_memory_is_given_back(ours):
    """Before whoever waited hears of it."""

    async def main():
        stream, peer = ours.pair()
        memory = bytearray(10)
        peer.sendall(b"01234")

        async def reading():
            try:
                await stream.read_into(memory)
            except asyncio.CancelledError:
                memory[:] = b"x"  # its size cannot change while somebody reads into it
                raise

        task = asyncio.ensure_future(reading())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert memory == b"x"
        assert await stream.read_bytes(5) == b"01234"

    ours.run(main)


def test_into_while_more_comes(ours):
    """Bytes that came into the memory after the cancelling, before anybody heard of it."""

    async def main():
        stream, peer = ours.pair()
        for size in (5, 10, 15):
            memory = bytearray(10)
            peer.sendall(b"01")
            reading = stream.read_into(memory)
            peer.sendall(b"23456789abcdef"[: size - 2])
            reading.cancel()
            stream._handle_read()
            assert await stream.read_bytes(size) == b"0123456789abcdef"[:size]
            assert not stream.closed()

    ours.run(main)


def test_limits_are_no_ones(ours):
    """A limit of a read that is over does not close the stream."""

    async def main():
        stream, peer = ours.pair()
        stream.read_until(b"\n", max_bytes=3).cancel()
        peer.sendall(b"far beyond")
        await asyncio.sleep(0.005)
        assert await stream.read_bytes(10) == b"far beyond"

    ours.run(main)


def test_streaming(ours):
    """What the streaming callback had stays its own."""

    async def main():
        stream, peer = ours.pair()
        seen = []
        reading = stream.read_bytes(10, streaming_callback=seen.append)
        peer.sendall(b"0123")
        await until(lambda: seen)
        reading.cancel()
        peer.sendall(b"4567")
        await asyncio.sleep(0.005)
        assert seen == [b"0123"]
        assert await stream.read_bytes(4) == b"4567"

    ours.run(main)


def test_then_start_tls(ours, certificates):
    async def main():
        stream, peer = ours.pair(tcp=True)
        other = ours.stream(peer)
        stream.read_until(b"\n").cancel()
        secure, theirs = await asyncio.gather(
            stream.start_tls(True, server_context(certificates)),
            other.start_tls(False, client_context(certificates), "localhost"),
        )
        await theirs.write(b"hi")
        assert await secure.read_bytes(2) == b"hi"
        secure.close()
        theirs.close()

    ours.run(main)


@READ
def test_tls(our_tls, read):
    async def main():
        server, client = await our_tls.pair()
        await waited_for(server, read)
        await client.write(b"hello ")
        await asyncio.sleep(0.005)
        if read not in (READS["partial"], READS["into, partial"]):
            await waited_for(server, read)
        await client.write(b"world\n")
        assert await server.read_until(b"\n") == b"hello world\n"

    our_tls.run(main)


def test_cancelled_write(ours):
    """The bytes go all the same, and the next write waits as any other."""

    async def main():
        stream, peer = ours.pair()
        peer.setblocking(False)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.write(b"a" * 4_000_000), 0.002)
        later = stream.write(b"end")
        received = 0
        while received < 4_000_003:
            try:
                received += len(peer.recv(1 << 20))
            except BlockingIOError:
                await asyncio.sleep(0)
        await later
        assert not stream.writing()

    ours.run(main)


def test_cancelled_connect(ours):
    """The connection is made all the same, as in stock Tornado."""

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = ours.stream(socket.socket())
            stream.connect(listener.getsockname()).cancel()
            await stream.write(b"hello")
            peer, _ = listener.accept()
            with peer:
                assert peer.recv(5) == b"hello"

    ours.run(main)


def test_cancelled_wait_for_handshake(our_tls):
    """Who waits next is told."""

    async def main():
        stream = our_tls.client_stream(client_context(our_tls.folder))
        connecting = stream.connect(("127.0.0.1", our_tls.port), server_hostname="localhost")
        connecting.cancel()
        waiting = stream.wait_for_handshake()
        waiting.cancel()
        await turns()
        waiting = stream.wait_for_handshake()
        server = await our_tls.accepted(server_context(our_tls.folder))
        assert await waiting is stream
        assert await server.wait_for_handshake() is server

    our_tls.run(main)
