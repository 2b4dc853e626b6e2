"""A stream that lingers: its side of the connection is ended, what the peer sends is dropped, and it closes
by itself."""

import asyncio
import gc
import logging
import socket
import weakref

import pytest

from support.iostream_tls_tools import client_context, server_context
from support.iostream_world import LIMIT, reset, turns, until

FOREVER = 1e6  # seconds, and bytes


@pytest.fixture
def world(ours):
    return ours


def lingering(world, timeout=FOREVER, size=FOREVER, **kwargs):
    stream, peer = world.pair(**kwargs)
    closed = []
    stream.set_close_callback(lambda: closed.append(stream.error))
    assert stream._linger(timeout, int(size)) is True
    return stream, peer, closed


def test_it_ends_our_side_and_closes_with_the_peer(world):
    async def main():
        stream, peer, closed = lingering(world)
        assert peer.recv(1) == b""
        peer.sendall(b"x" * 1000)
        await turns()
        assert not stream.closed() and not closed
        peer.close()
        await until(lambda: closed)
        assert stream.closed() and closed == [None]

    world.run(main)


@pytest.mark.parametrize("buffered", [0, 60, 100, 101])
def test_the_maximum_of_bytes(world, buffered):
    """What nobody had read of the stream's buffer counts too."""

    async def main():
        stream, peer = world.pair()
        if buffered:
            reading = stream.read_until(b"!")
            peer.sendall(b"!" + b"x" * buffered)
            await reading
        assert stream._linger(FOREVER, 100)
        await turns()
        if buffered <= 100:
            peer.sendall(b"x" * (100 - buffered))
            await turns(20)
            assert not stream.closed()
            peer.sendall(b"x")
        await until(stream.closed)
        assert stream.error is None

    world.run(main)


@pytest.mark.parametrize("size", [0, -1])
def test_no_bytes(world, size):
    async def main():
        stream, peer, closed = lingering(world, size=size)
        peer.sendall(b"x")
        await until(lambda: closed)

    world.run(main)


def test_the_time(world):
    """However much the peer sends meanwhile."""

    async def main():
        stream, peer, closed = lingering(world, timeout=0.02, size=1 << 40)
        peer.setblocking(False)
        while not closed:
            try:
                peer.send(b"x" * 1000)
            except OSError:
                pass
            await asyncio.sleep(0)
        assert closed == [None]

    world.run(main)


def test_nothing_to_linger_for(world):
    async def main():
        for timeout in (0, -1.0, float("nan")):
            stream, peer = world.pair()
            assert stream._linger(timeout, 100) is False
            assert not stream.closed()
            peer.settimeout(0)
            with pytest.raises(BlockingIOError):
                peer.recv(1)
        stream.close()
        assert stream._linger(1, 100) is False
        for wrong in [(), (1,), ("1", 1), (1, "1"), (1, 1.5), (1, 1, 1)]:
            with pytest.raises(TypeError):
                world.pair()[0]._linger(*wrong)

    world.run(main)


def test_a_second_time_changes_nothing(world):
    async def main():
        stream, peer, closed = lingering(world, size=100)
        assert stream._linger(FOREVER, 1 << 30) is True
        peer.sendall(b"x" * 101)
        await until(lambda: closed)

    world.run(main)


def test_a_reset_is_an_end(world, caplog):
    async def main():
        stream, peer, closed = lingering(world, tcp=True)
        reset(peer)
        await until(lambda: closed)

    world.run(main)
    assert not caplog.records


def test_closed_by_the_application(world):
    async def main():
        stream, peer, closed = lingering(world, timeout=0.02)
        peer.sendall(b"x")
        stream.close()
        await until(lambda: closed)
        await asyncio.sleep(0.03)  # past the time that it had
        assert len(closed) == 1

    world.run(main)


@pytest.mark.parametrize(
    "name, args", [("read_bytes", (1,)), ("read_until", (b"x",)), ("read_into", (bytearray(1),))]
)
def test_a_pending_read_gets_nothing_more(world, name, args):
    async def main():
        stream, peer = world.pair()
        reading = getattr(stream, name)(*args)
        assert stream._linger(FOREVER, 100)
        peer.sendall(b"x" * 50)
        await turns(20)
        assert not reading.done() and not stream.closed()
        peer.close()
        with pytest.raises(world.module.StreamClosedError):
            await reading

    world.run(main)


def test_a_new_read_finds_the_stream_closed(world):
    async def main():
        stream, peer, closed = lingering(world)
        with pytest.raises(world.module.StreamClosedError):
            await stream.read_bytes(1)
        with pytest.raises((ValueError, world.module.StreamClosedError)):
            await stream.start_tls(True, server_context)
        assert not closed

    world.run(main)


def test_what_is_written_goes_nowhere(world, caplog):
    async def main():
        stream, peer, closed = lingering(world, tcp=True)
        with pytest.raises(world.module.StreamClosedError):
            await stream.write(b"late")
        await until(lambda: closed)
        assert peer.recv(1) == b""

    world.run(main)
    assert not caplog.records


def test_in_a_read_hook(world):
    """A stream that reads by a method of its own is read by that."""
    read = []

    async def main():
        class Hooked(world.module.IOStream):
            def read_from_fd(self, buf):
                n = super().read_from_fd(buf)
                read.append(n)
                return n

        left, right = socket.socketpair()
        with right:
            stream = Hooked(left)
            assert stream._linger(FOREVER, 100)
            right.sendall(b"x" * 100)
            await until(lambda: 100 in read)
            assert not stream.closed()
            right.sendall(b"x")
            await until(stream.closed)

    world.run(main)


def test_in_a_callback_of_a_delivery(world):
    """What came with the bytes that are being delivered is dropped and counted."""

    async def main():
        stream, peer = world.pair()
        reading = stream.read_until(b"!")
        reading.add_done_callback(lambda future: stream._linger(FOREVER, 10))
        peer.sendall(b"!" + b"x" * 11)
        await until(stream.closed)

    world.run(main)


def test_nobody_else_holds_it(world):
    """The loop does, until the close; a loop that ends lets go of it."""

    async def main():
        stream, peer = world.pair()
        world.open.remove(stream)
        known = weakref.ref(stream)
        assert stream._linger(FOREVER, 1000)
        del stream
        gc.collect()
        await turns()
        assert known() is not None
        return known, peer

    known, peer = world.run(main)
    world.run(lambda: peer.sendall(b"x" * 1001))
    world.run(lambda: until(lambda: known() is None))

    known, peer = world.run(main)
    world.close()
    gc.collect()
    assert known() is None


def test_what_lingers_does_not_outlive_its_loop(world):
    """In a cycle with its close callback, by a loop's end."""

    async def main():
        stream, peer = world.pair()
        world.open.remove(stream)
        stream.set_close_callback(lambda: stream)
        assert stream._linger(FOREVER, 1000)
        return weakref.ref(stream)

    known = world.run(main)
    (linger,) = [o for o in gc.get_referents(known()) if type(o).__name__ == "StreamLinger"]
    with pytest.raises(TypeError):
        type(linger)()
    world.close()
    gc.collect()
    assert known() is None  # what we hold has nothing to do with it any more


async def accepted(our_tls):
    """A server's stream, and the blocking ssl socket of its client."""

    def connect():
        context = client_context(our_tls.folder)
        sock = socket.create_connection(("127.0.0.1", our_tls.port), timeout=LIMIT)
        return context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)

    ready = asyncio.ensure_future(our_tls.accepted(server_context(our_tls.folder)))
    client = await asyncio.get_running_loop().run_in_executor(None, connect)
    server = await ready
    await server.wait_for_handshake()
    return server, client


def test_tls(our_tls):
    """close_notify leaves first; then records are dropped as they are, and their bytes counted."""

    async def main():
        server, client = await accepted(our_tls)
        with client:
            await server.write(b"last")
            assert server._linger(FOREVER, 5000)
            assert client.recv(10) == b"last"
            assert client.recv(10) == b""
            client.sendall(b"x" * 4000)
            await turns(20)
            assert not server.closed()
            client.sendall(b"x" * 1000)
            await until(server.closed)
            assert server.error is None

    our_tls.run(main)


def test_tls_with_bytes_that_are_no_records(our_tls, caplog):
    async def main():
        server, client = await accepted(our_tls)
        reading = server.read_bytes(1)
        assert server._linger(FOREVER, 5000)
        with socket.socket(fileno=client.detach()) as raw:
            raw.sendall(b"nothing of TLS")
            await turns(20)
            assert not server.closed() and not reading.done()
        with pytest.raises(our_tls.module.StreamClosedError):
            await reading

    our_tls.run(main)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
