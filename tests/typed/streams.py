"""Every method of streams, servers and clients over TCP, and of netutil."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import socket
import ssl
from collections.abc import Awaitable
from typing import Any

from tornado.ioloop import IOLoop
from tornado.iostream import (
    BaseIOStream,
    IOStream,
    PipeIOStream,
    SSLIOStream,
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)
from tornado.netutil import (
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
    add_accept_handler,
    bind_sockets,
    bind_unix_socket,
    is_valid_ip,
    ssl_options_to_context,
    ssl_wrap_socket,
)
from tornado.tcpclient import TCPClient
from tornado.tcpserver import TCPServer


class Echo(TCPServer):
    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> Awaitable[None]:
        return self.serve(stream, address)

    async def serve(self, stream: IOStream, address: tuple[str, int]) -> None:
        stream.set_close_callback(functools.partial(print, "closed", address[0]))
        while not stream.closed():
            try:
                size = await stream.read_bytes(4)
                body = await stream.read_bytes(int.from_bytes(size, "big"), partial=True)
                await stream.write(memoryview(body))
            except (StreamClosedError, UnsatisfiableReadError, StreamBufferFullError) as exc:
                stream.close(exc_info=exc)


class Plain(TCPServer):
    def handle_stream(self, stream: IOStream, address: Any) -> None:
        stream.close()


class Traced(IOStream):
    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        count = super().read_from_fd(buf)
        print(count)
        return count

    def write_to_fd(self, data: memoryview) -> int:
        return super().write_to_fd(data)

    def get_fd_error(self) -> Exception | None:
        return super().get_fd_error()


class Descriptor(BaseIOStream):
    def __init__(self, fd: int, **kwargs: Any) -> None:
        self.fd = fd
        super().__init__(**kwargs)

    def fileno(self) -> int:
        return self.fd

    def close_fd(self) -> None:
        os.close(self.fd)

    def write_to_fd(self, data: memoryview) -> int:
        return os.write(self.fd, data)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        return os.readv(self.fd, [buf])


async def use(stream: IOStream) -> bytes:
    whole = await stream.read_until_close()
    buf = bytearray(10)
    count: int = await stream.read_into(buf, partial=True)
    line: bytes = await stream.read_until(b"\n", 1000)
    match: bytes = await asyncio.wait_for(stream.read_until_regex(b"a+"), 5)
    pending: Awaitable[bytes] = stream.read_bytes(3)
    both = await asyncio.gather(stream.read_bytes(3), pending)
    sent: asyncio.Future[None] = stream.write(both[0] + both[1])
    sent.add_done_callback(lambda future: print(future.exception()))
    stream.io_loop.add_future(sent, lambda future: future.result())
    print(count + 1, stream.reading(), stream.writing(), stream.socket.getpeername())
    print(stream.max_buffer_size + 1, stream.error)
    return whole + line + match


async def connect(host: str, port: int) -> SSLIOStream:
    plain = await IOStream(socket.socket()).connect((host, port))
    tls: SSLIOStream = await plain.start_tls(False, server_hostname=host)
    print(tls.socket.getpeercert())
    direct = SSLIOStream(socket.socket(), ssl_options=ssl.create_default_context())
    await direct.connect((host, port), server_hostname=host)
    client = TCPClient(resolver=Resolver())
    stream: IOStream = await client.connect(host, port, ssl_options={"cert_reqs": ssl.CERT_NONE}, timeout=3.0)
    client.close()
    await stream.write(b"x")
    return await direct.wait_for_handshake()


async def resolve(executor: concurrent.futures.Executor) -> list[tuple[int, Any]]:
    Resolver.configure("tornado.netutil.ThreadedResolver", num_threads=3)
    resolver = OverrideResolver(ExecutorResolver(executor=executor, close_executor=False), {"a": "b"})
    print(await ThreadedResolver().resolve("localhost", 80))
    found: list[tuple[int, Any]] = await resolver.resolve("localhost", 80, socket.AF_INET)
    resolver.close()
    return found


def accepted(connection: socket.socket, address: Any) -> None:
    context = ssl_options_to_context({"certfile": "c.pem"}, server_side=True)
    wrapped = ssl_wrap_socket(connection, context, server_side=True, do_handshake_on_connect=False)
    stream = SSLIOStream(wrapped, max_buffer_size=100)
    stream.set_nodelay(True)


def main() -> None:
    server = Echo(ssl_options={"certfile": "c.pem"}, read_chunk_size=4096)
    server.listen(8000, address="127.0.0.1", reuse_port=True)
    server.bind(8001, family=socket.AF_INET, backlog=10)
    server.start(2, max_restarts=10)
    server.add_sockets(bind_sockets(8002, flags=0))
    server.add_socket(bind_unix_socket("socket", mode=0o600))
    server.stop()
    remove = add_accept_handler(bind_sockets(0)[0], accepted)
    remove()
    reading, _ = os.pipe()
    PipeIOStream(reading).close()
    Descriptor(0, max_buffer_size=10).set_close_callback(None)
    print(is_valid_ip("::1"), Traced(socket.socket()), Plain())
    loop = IOLoop.current()
    loop.run_sync(lambda: connect("localhost", 443))
    loop.run_sync(functools.partial(resolve, concurrent.futures.ThreadPoolExecutor()))
