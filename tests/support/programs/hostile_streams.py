"""A program that test_iostream_hostile.py runs: what C keeps behind a stream's private names is asked for,
replaced and deleted, also in the middle of what uses it. Whatever raises, nothing crashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tornado_c
from tornado_c import _core, iostream
from tornado_c.iostream import IOStream, SSLIOStream
from tornado_c.tcpserver import TCPServer

VALUES: list[Any] = [
    None,
    5,
    -1,
    1 << 80,
    1.5,
    "x",
    b"x",
    [],
    {},
    object(),
    Exception(),
    int,
    lambda *a: None,
]
PRIVATE = [name for name in dir(_core.IOStreamBase) if name[:1] == "_" and name[:2] != "__"]
PUBLIC = ["error", "io_loop", "max_buffer_size", "max_write_buffer_size", "read_chunk_size", "socket"]


def pair() -> tuple[IOStream, IOStream]:
    left, right = socket.socketpair()
    return IOStream(left), IOStream(right)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def attributes() -> None:
    """Set and deleted, with something pending."""
    for name in [*PRIVATE, *PUBLIC]:
        for value in [*VALUES, ...]:
            left, right = pair()
            reading = left.read_until(b"\n")
            left.write(bytes(300_000))
            with contextlib.suppress(Exception):
                if value is ...:
                    delattr(left, name)
                else:
                    setattr(left, name, value)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(right.read_bytes(70_000), 0.05)
                right.write(b"line\n")
                await asyncio.wait_for(reading, 0.05)
            for stream in (left, right):
                with contextlib.suppress(Exception):
                    stream.close()
            await turns(1)


async def methods() -> None:
    """Called by anybody, with anything, before and after __init__."""
    for name in PRIVATE:
        for make in (lambda: IOStream.__new__(IOStream), lambda: pair()[0]):
            for arguments in (
                [],
                *([v] for v in VALUES),
                *([v, v] for v in VALUES),
                *([v] * 5 for v in VALUES),
            ):
                stream = make()
                with contextlib.suppress(Exception):
                    getattr(stream, name)(*arguments)
                with contextlib.suppress(Exception):
                    stream.read_bytes(1).cancel()
                with contextlib.suppress(Exception):
                    stream.close()
        await turns(1)
        gc.collect()


async def handles() -> None:
    """The function that a user callback's handle carries."""
    left, right = pair()
    found: list[Any] = []
    asyncio.get_running_loop().call_soon(lambda: None)
    left.write(b"x", lambda: None)
    for handle in asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]
        found.append(getattr(handle, "_callback", None))
    call = [f for f in found if getattr(f, "__name__", "") == "run_stream_callback"][0]

    async def coroutine() -> None:
        pass

    for arguments in (
        [],
        *([v] for v in VALUES),
        *([v, v] for v in VALUES),
        [IOStream.__new__(IOStream), coroutine],
    ):
        try:
            call(*arguments)
        except TypeError:
            pass
        else:
            raise AssertionError(arguments)
    closed: list[bool] = []
    left.set_close_callback(lambda: closed.append(True))
    for _ in range(3):  # more often than it was queued
        call(left, lambda: None)
        call(left, coroutine)
    left.close()
    right.close()
    await turns()
    assert closed == [True]


class Keeper:
    """An _ssl object that keeps the memory that it is given."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*args: Any) -> Any:
            self.kept += args
            for view in self.kept:
                if isinstance(view, memoryview) and not view.readonly:
                    view[:1] = b"x"
            return 1

        return method


async def ssl_objects(certificate: Path, key: Path) -> None:
    """Others in their place, before the handshake and after it."""
    for memory in (Keeper(), None, ssl.MemoryBIO()):
        with contextlib.suppress(TypeError):
            _core.TLSMemory(memory, ssl.MemoryBIO())
            assert isinstance(memory, ssl.MemoryBIO)
        with contextlib.suppress(TypeError):
            _core.TLSMemory(ssl.MemoryBIO(), memory)
            assert isinstance(memory, ssl.MemoryBIO)
    options = {"certfile": str(certificate), "keyfile": str(key)}
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for when in ("before", "after"):
        streams: list[Any] = []
        server = TCPServer(ssl_options=options)
        server.handle_stream = lambda stream, address, kept=streams: kept.append(stream)  # type: ignore
        left, right = socket.socketpair()
        server._handle_connection(left, None)
        plain = IOStream(right)
        starting = plain.start_tls(False, client)
        if when == "before":
            streams[0].socket._sslobj = Keeper()
        else:
            secure = await starting
            for value in (Keeper(), *VALUES):
                with contextlib.suppress(Exception):
                    streams[0]._tls_done(value, None)
                with contextlib.suppress(Exception):
                    streams[0]._tls_begin(True)
            await secure.write(b"hello")
            assert await streams[0].read_bytes(5) == b"hello"
            streams[0].socket._sslobj = Keeper()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(streams[0].read_bytes(3), 0.05)
        with contextlib.suppress(Exception):
            streams[0].write(b"x")
        starting.cancel()
        await turns()
        for stream in streams:
            stream.close()
        await turns()
        gc.collect()


async def tls_from_inside(certificate: Path, key: Path) -> None:
    """A callback of OpenSSL's says that the handshake is done, begun, gone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    streams: list[SSLIOStream] = []

    def act(*args: Any) -> None:
        for do in (
            lambda s: s._tls_begin(True),
            lambda s: s._tls_done(None, None),
            lambda s: s._tls_done(s.socket._sslobj, None),
            lambda s: s._detach() if len(done) > 10 else None,
        ):
            for stream in streams:
                done.append(True)
                with contextlib.suppress(Exception):
                    do(stream)

    done: list[bool] = []
    context.sni_callback = act  # type: ignore[assignment]
    context._msg_callback = act  # type: ignore[attr-defined]
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for _ in range(3):
        server = TCPServer(ssl_options=context)
        server.handle_stream = lambda stream, address: streams.append(stream)  # type: ignore
        left, right = socket.socketpair()
        server._handle_connection(left, None)
        with contextlib.suppress(Exception):
            secure = await asyncio.wait_for(IOStream(right).start_tls(False, client, "a"), 0.2)
            await asyncio.wait_for(secure.write(b"hello"), 0.05)
            await asyncio.wait_for(streams[-1].read_bytes(5), 0.05)
        for stream in streams:
            with contextlib.suppress(Exception):
                stream.close()
        await turns()
    del streams[:]
    context._msg_callback = None  # type: ignore[attr-defined]


class Name(str):
    """Sits where a hook would be in a stream's attributes, and acts when it is compared."""

    act: Callable[[], object] = staticmethod(lambda: None)

    def __eq__(self, other: object) -> bool:
        now, type(self).act = type(self).act, staticmethod(lambda: None)
        with contextlib.suppress(Exception):
            now()
        return False

    __hash__ = str.__hash__


USES: list[Callable[[Any], object]] = [
    lambda stream: stream.close(),
    lambda stream: stream._write_buffer.clear(),
    lambda stream: stream.write(b"more"),
    lambda stream: stream.read_bytes(1),
    lambda stream: stream._detach(),
]


async def looked_up() -> None:
    """While hooks are looked for: the stream closed, its queue cleared, read and written."""
    for name in ("read_from_fd", "write_to_fd", "close_fd", "_try_inline_read"):
        for do in USES:
            left, right = pair()
            vars(left)[Name(name)] = None
            left.write(bytes(3_000_000))
            Name.act = staticmethod(partial(do, left))
            with contextlib.suppress(Exception):
                left.read_until(b"\n")
            with contextlib.suppress(Exception):
                left.write(bytes(100))
            with contextlib.suppress(Exception):
                await asyncio.wait_for(right.read_bytes(1_000_000), 0.05)
            with contextlib.suppress(Exception):
                right.write(b"line\n")
            await turns()
            Name.act = staticmethod(lambda: None)
            for stream in (left, right):
                with contextlib.suppress(Exception):
                    stream.close()


async def main(certificate: Path, key: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    await attributes()
    await methods()
    await handles()
    await ssl_objects(certificate, key)
    await tls_from_inside(certificate, key)
    await looked_up()
    gc.collect()


if __name__ == "__main__":
    iostream.gen_log.disabled = True
    sys.unraisablehook = lambda *args: None
    import logging
    import warnings

    logging.disable()
    warnings.simplefilter("ignore")
    tornado_c.run(main(*map(Path, sys.argv[1:])))
    print("done")
