"""A stream belongs to the thread of its loop: debug mode says so, as asyncio does; otherwise nothing does."""

import asyncio
import threading

import pytest

from support.implementations import OURS
from support.iostream_world import World
from support.live_http import raw_ok, serving

USES = {
    "read": lambda stream: stream.read_bytes(1),
    "read_until": lambda stream: stream.read_until(b"x"),
    "write": lambda stream: stream.write(b"x"),
    "close": lambda stream: stream.close(),
    "close callback": lambda stream: stream.set_close_callback(None),
    "connect": lambda stream: stream.connect(("127.0.0.1", 1)),
    "nodelay": lambda stream: stream.set_nodelay(True),
}


def in_thread(use, *args):
    """The exception of a use in another thread, or None."""
    raised = []

    def run():
        try:
            use(*args)
        except Exception as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def check(stream, use, debug):
    exc = in_thread(use, stream)
    if debug:
        assert isinstance(exc, RuntimeError)
        assert "Non-thread-safe operation" in str(exc)
        assert not stream.closed()
    else:
        assert not isinstance(exc, RuntimeError)


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("guest", [False, True], ids=["native", "guest"])
def test_streams(ours, use, debug, guest):
    async def main():
        asyncio.get_running_loop().set_debug(debug)
        stream, peer = world.pair()
        reading = stream.read_until(b"\n")
        peer.sendall(b"line\n")
        await reading
        check(stream, use, debug)
        stream.close()

    world = ours
    if guest:
        from tornado_c.ioloop import IOLoop

        async def hosted():
            world.loop = IOLoop.current()
            await main()

        asyncio.run(hosted())
    else:
        ours.run(main)


def test_a_loop_that_does_not_run_is_anybodys():
    """Streams are made, and closed, before and after."""
    world = World(OURS)
    world.loop.asyncio_loop.set_debug(True)
    left, right = world.streams()
    world.run(lambda: asyncio.sleep(0))
    assert in_thread(left.write, b"x") is None
    assert in_thread(left.close) is None
    world.close()


def test_a_host_in_another_thread():
    """It runs in one thread after the other."""
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    world = World(OURS, loop)

    async def use():
        stream, peer = world.pair()
        peer.sendall(b"x")
        assert await stream.read_bytes(1) == b"x"
        stream.close()

    for _ in range(2):
        assert in_thread(lambda: loop.run_until_complete(use())) is None
        loop.run_until_complete(use())
    for thing in world.open:
        thing.close()
    loop.close()


def test_servers():
    said = []

    def answer(request):
        asyncio.get_running_loop().set_debug(True)
        said.append(in_thread(request.connection.stream.write, b"no"))
        raw_ok(request, b"yes")

    with serving(answer) as server, server.connect() as client:
        assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1] == b"yes"
        server.call(lambda: asyncio.get_running_loop().set_debug(False))
    assert isinstance(said[0], RuntimeError)
