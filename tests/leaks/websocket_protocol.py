"""What WebSocket connections leave behind."""

import asyncio
import gc
import socket
import struct

from harness import check, main

from tornado_c import _core, websocket
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream

loop = IOLoop(make_current=False)


def frame(first: int, payload: bytes = b"") -> bytes:
    assert len(payload) < 126
    return bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


class Protocol(_core.WebSocketProtocolBase):
    @property
    def ping_interval(self) -> float:
        return 100.0

    ping_timeout = ping_interval


class Handler:
    def __init__(self) -> None:
        self.left, self.peer = socket.socketpair()
        self.ended = asyncio.Event()
        self.protocol = Protocol()
        self.protocol.handler = self
        self.protocol.stream = IOStream(self.left, loop)
        self.protocol._params = websocket._WebSocketParams()
        self.protocol._watch()
        self.protocol.start_pinging()
        self.protocol._start()

    def on_message(self, message: object) -> object:
        self.protocol.write_message(message)
        return None

    def on_ping(self, data: bytes) -> None:
        pass

    on_pong = on_ping

    def log_exception(self, *exc_info: object) -> None:
        pass

    def on_ws_connection_close(self, code: object, reason: object) -> None:
        self.ended.set()


class Coroutines(Handler):
    async def on_message(self, message: object) -> None:
        if message == "wait":
            await asyncio.sleep(0)
        if message == "fail":
            raise ValueError
        await self.protocol.write_message(message)


def run(handler_class: type[Handler], *pieces: bytes, end: bool = True) -> None:
    async def body() -> None:
        handler = handler_class()
        with handler.peer:
            handler.peer.setblocking(False)
            for piece in pieces:
                handler.peer.send(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        await handler.ended.wait()
        handler.protocol.stream.close()

    loop.run_sync(body)
    gc.collect()


def echo() -> None:
    messages = frame(0x81, b"text") * 3 + frame(0x82, b"bytes") + frame(0x89, b"ping")
    run(Handler, messages, frame(0x88, b"\x03\xe8bye"))


def fragments() -> None:
    run(Handler, frame(0x01, b"a"), frame(0x89), frame(0x00, b"b"), frame(0x80, b"c")[:3])


def bad() -> None:
    run(Handler, frame(0x81, b"\xff"))
    run(Handler, frame(0x83))
    run(Handler, frame(0x88, b"\x03"))


def coroutines() -> None:
    run(Coroutines, frame(0x81, b"now") * 3 + frame(0x81, b"wait") + frame(0x81, b"now"), frame(0x88))
    run(Coroutines, frame(0x81, b"wait"))
    run(Coroutines, frame(0x81, b"fail"))


def full() -> None:
    async def body() -> None:
        handler = Handler()
        futures = [handler.protocol.write_message("x" * 100_000) for _ in range(20)]
        handler.protocol.close(1000, "reason")
        handler.peer.close()
        await asyncio.wait(futures)
        for future in futures:
            future.exception()
        await handler.ended.wait()

    loop.run_sync(body)
    gc.collect()


def compressed() -> None:
    async def body() -> None:
        handlers = [Handler() for _ in range(3)]
        for handler in handlers:
            handler.protocol._compressor = websocket._PerMessageDeflateCompressor(False, 15)
            handler.protocol._decompressor = websocket._PerMessageDeflateDecompressor(True, 15, 1000)
        for handler in handlers:
            handler.protocol.write_message("to all")
        for handler in handlers:
            handler.peer.send(frame(0xC1, b"\xff\xff" + struct.pack(">H", 5)))
            await handler.ended.wait()
            handler.peer.close()
            handler.protocol.stream.close()

    loop.run_sync(body)
    gc.collect()


if __name__ == "__main__":
    for scenario in (echo, fragments, bad, coroutines, full, compressed):
        check(scenario.__name__, scenario)
    main()
