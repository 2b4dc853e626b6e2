"""What streams leave behind."""

import asyncio
import gc
import socket

from harness import check, main

from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, StreamBufferFullError, StreamClosedError

loop = IOLoop(make_current=False)


def pair(**kwargs: object) -> tuple[IOStream, socket.socket]:
    mine, peer = socket.socketpair()
    return IOStream(mine, loop, **kwargs), peer


def echo() -> None:
    async def body() -> None:
        stream, peer = pair()
        with peer:
            peer.send(b"line\nabcdef")
            await stream.read_until(b"\n")
            await stream.read_until_regex(b"c")
            await stream.read_bytes(3)
            await stream.write(b"answer")
            peer.send(b"late")
            await stream.read_bytes(10, partial=True)
        await stream.read_until_close()

    loop.run_sync(body)


def callbacks() -> None:
    async def body() -> None:
        stream, peer = pair()
        done = asyncio.Event()
        stream.set_close_callback(done.set)
        stream.read_until("\n", lambda data: stream.read_bytes(3, print, streaming_callback=len))
        stream.write("text", lambda: None)
        peer.send(b"line\nab")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        peer.close()
        await done.wait()

    loop.run_sync(body)


def waiting_writes() -> None:
    async def body() -> None:
        stream, peer = pair()
        right = IOStream(peer, loop)
        futures = [stream.write(bytes(1 << 20)), stream.write(bytearray(1000)), stream.write(b"")]
        stream.write(b"x", lambda: None)
        await right.read_bytes((1 << 20) + 1001)
        await asyncio.gather(*futures)
        future = stream.write(bytes(1 << 20))
        stream.close()
        right.close()
        try:
            await future
        except StreamClosedError:
            pass

    loop.run_sync(body)


def failures() -> None:
    async def body() -> None:
        stream, peer = pair(max_write_buffer_size=10)
        for wrong in (lambda: stream.read_bytes("x"), lambda: stream.write(5), lambda: stream.read_until(7)):
            try:
                wrong()
            except TypeError:
                pass
        try:
            stream.write(bytes(100))
        except StreamBufferFullError:
            pass
        future = stream.read_until(b"\n", max_bytes=3)
        peer.send(b"x" * 10)
        try:
            await future
        except StreamClosedError:
            pass
        peer.close()

    loop.run_sync(body)


def connecting() -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = IOStream(socket.socket(), loop)
            await stream.connect(listener.getsockname())
            listener.accept()[0].close()
            address = listener.getsockname()
        stream.close()
        stream = IOStream(socket.socket(), loop)
        try:
            await stream.connect(address)
        except StreamClosedError:
            pass

    loop.run_sync(body)


def cycles() -> None:
    stream, peer = pair()
    stream.itself = stream
    stream.close()
    peer.close()


def loop_closed_under_its_streams() -> None:
    one = IOLoop(make_current=False)
    mine, peer = socket.socketpair()
    stream = IOStream(mine, one)
    stream.read_until(b"\n", print)
    stream.set_close_callback(print)
    one.close()
    del stream
    mine.close()
    peer.close()
    gc.collect()


if __name__ == "__main__":
    for scenario in (echo, callbacks, waiting_writes, failures, connecting, cycles):
        check(scenario.__name__, scenario, repeats=30)
    check("loop_closed_under_its_streams", loop_closed_under_its_streams, repeats=10)
    main()
