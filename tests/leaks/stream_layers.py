"""What streams over TLS, pipes and an application's own hooks leave behind, however they end."""

import asyncio
import gc
import logging
import os
import socket
import ssl
import subprocess
import tempfile
import warnings
from pathlib import Path

from harness import check, main

from tornado_c.ioloop import IOLoop
from tornado_c.iostream import BaseIOStream, IOStream, PipeIOStream, SSLIOStream

loop = IOLoop(make_current=False)
folder = tempfile.TemporaryDirectory()
certificate, key = Path(folder.name, "own.pem"), Path(folder.name, "own.key")
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
     "-days", "9", "-keyout", key, "-out", certificate, "-subj", "/CN=own",
     "-addext", "subjectAltName=DNS:localhost"],
    check=True, capture_output=True,
)  # fmt: skip
server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
server_side.load_cert_chain(certificate, key)
client_side.load_verify_locations(certificate)
file = Path(folder.name, "file")
file.write_bytes(bytes(300_000))


async def quietly(awaitable: object) -> None:
    try:
        await awaitable  # type: ignore[misc]
    except OSError:
        pass


async def talk(left: BaseIOStream, right: BaseIOStream) -> None:
    left.write(b"line\n")
    await right.read_until(b"\n")
    memory = bytearray(100_000)
    sent = [left.write(bytearray(100_000)), left.write(memoryview(bytes(5000))), left.write(b"x")]
    await right.read_into(memory)
    await right.read_bytes(5001)
    await asyncio.gather(*sent)


def tls_pair() -> tuple[SSLIOStream, SSLIOStream]:
    left, right = socket.socketpair()
    return (
        SSLIOStream(
            server_side.wrap_socket(left, server_side=True, do_handshake_on_connect=False), loop
        ),
        SSLIOStream(
            client_side.wrap_socket(right, server_hostname="localhost", do_handshake_on_connect=False), loop
        ),
    )  # fmt: skip


def tls() -> None:
    async def body() -> None:
        left, right = tls_pair()
        await asyncio.gather(left.wait_for_handshake(), right.wait_for_handshake())
        await talk(left, right)
        left.close()
        await quietly(right.read_bytes(1))

    loop.run_sync(body)


def tls_handshake_fails() -> None:
    async def body() -> None:
        left, peer = socket.socketpair()
        stream = SSLIOStream(
            server_side.wrap_socket(left, server_side=True, do_handshake_on_connect=False), loop
        )
        peer.send(b"GET / HTTP/1.0\r\n\r\n")
        await quietly(stream.wait_for_handshake())
        peer.close()

    loop.run_sync(body)


def tls_closed_during_handshake() -> None:
    async def body() -> None:
        left, right = tls_pair()
        waiting = left.wait_for_handshake(), left.read_bytes(1), left.write(bytes(100_000))
        await asyncio.sleep(0)
        left.close()
        right.close()
        for future in waiting:
            await quietly(future)

    loop.run_sync(body)


def tls_connect() -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = SSLIOStream(socket.socket(), loop, ssl_options=client_side)
            connecting = stream.connect(listener.getsockname(), server_hostname="wrong.test")
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            other = SSLIOStream(
                server_side.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), loop
            )
            await quietly(connecting)
            await quietly(other.wait_for_handshake())
            other.close()

    loop.run_sync(body)


def start_tls() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        left.set_close_callback(lambda: None)
        secure = await asyncio.gather(
            left.start_tls(True, server_side), right.start_tls(False, client_side, "localhost")
        )
        await talk(*secure)
        for stream in secure:
            stream.close()

    loop.run_sync(body)


def start_tls_cancelled() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        starting = left.start_tls(True, server_side)
        await asyncio.sleep(0)
        starting.cancel()
        await quietly(right.read_bytes(1))

    loop.run_sync(body)


def start_tls_refused() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        try:
            left.start_tls(False, client_side)
        except ValueError:
            pass
        await quietly(right.read_bytes(1))

    loop.run_sync(body)


def pipes() -> None:
    async def body() -> None:
        left, right = os.pipe()
        reader, writer = PipeIOStream(left, loop), PipeIOStream(right, loop)
        await talk(writer, reader)
        writer.set_close_callback(lambda: None)
        reader.close()
        while not writer.closed():
            await asyncio.sleep(0)

    loop.run_sync(body)


class Hooked(BaseIOStream):
    failing = ""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        super().__init__(loop)

    def fileno(self) -> socket.socket:
        return self.sock

    def close_fd(self) -> None:
        self.sock.close()

    def write_to_fd(self, data: memoryview) -> int:
        if self.failing == "write":
            raise ZeroDivisionError
        if self.failing == "write and close":
            self.close()
            return len(data)
        return self.sock.send(data)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        if self.failing == "read":
            raise OSError("hook")
        if self.failing == "read and close":
            self.close()
            return 1
        if self.failing == "count":
            return 1 << 40
        try:
            return self.sock.recv_into(buf)
        except BlockingIOError:
            return None


def hooks() -> None:
    async def body() -> None:
        left, right = (Hooked(end) for end in socket.socketpair())
        await talk(left, right)
        left.close()
        await quietly(right.read_bytes(1))

    loop.run_sync(body)


def hooks_that_fail() -> None:
    async def body() -> None:
        for failing in ("read", "read and close", "count", "write", "write and close"):
            for read in (
                lambda s: s.read_bytes(5),
                lambda s: s.read_into(bytearray(9)),
                lambda s: s.read_until(b"x"),
            ):
                left, right = (Hooked(end) for end in socket.socketpair())
                left.failing = failing
                for act in (read, lambda s: s.write(bytearray(10_000))):
                    try:
                        await asyncio.wait_for(act(left), 0)
                    except (OSError, ValueError, ZeroDivisionError, TimeoutError):
                        pass
                left.close()
                right.close()

    loop.run_sync(body)


def files() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        with file.open("rb") as source:
            sent = [left.write(b"head"), left.sendfile(source), left.write(bytearray(3000))]
            await right.read_bytes(303_004)
            await asyncio.gather(*sent)
            left.sendfile(source)
            left.sendfile(source)
            left.close()
        right.close()

    loop.run_sync(body)


def read_into() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        memory = bytearray(10)
        left.write(b"0123456789abc")
        await right.read_into(memory)
        await right.read_into(memory, partial=True)
        cancelled = right.read_into(memory)
        cancelled.cancel()
        try:
            right.read_into(memory)
        except AssertionError:
            pass
        right.close()
        memory.clear()
        left.close()

    loop.run_sync(body)


def pieces_put_in_directly() -> None:
    async def body() -> None:
        left, right = (IOStream(end, loop) for end in socket.socketpair())
        for size in (10, 3000, 200_000):
            left._write_buffer.append(memoryview(bytes(size)))
            left._total_write_index += size
        sent = left.write(b"")
        await right.read_bytes(203_010)
        await sent
        queue = left._write_buffer
        queue.append(bytearray(5000))
        kept = [queue.peek(10), queue._buffers]
        left.close()
        right.close()
        del kept

    loop.run_sync(body)


def dropped() -> None:
    """Nobody closes them: the collector does."""

    async def body() -> None:
        left, right = tls_pair()
        left.me, right.me = left, right  # type: ignore[attr-defined]
        await asyncio.gather(left.wait_for_handshake(), right.wait_for_handshake())
        left.close()
        await quietly(right.read_bytes(1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop.run_sync(body)
        gc.collect()


SCENARIOS = [
    tls, tls_handshake_fails, tls_closed_during_handshake, tls_connect, start_tls, start_tls_cancelled,
    start_tls_refused, pipes, hooks, hooks_that_fail, files, read_into, pieces_put_in_directly, dropped,
]  # fmt: skip

if __name__ == "__main__":
    logging.getLogger("tornado").setLevel(logging.CRITICAL)  # the failures are meant
    try:
        for scenario in SCENARIOS:
            check(scenario.__name__, scenario, repeats=15)
    finally:
        folder.cleanup()
    main()
