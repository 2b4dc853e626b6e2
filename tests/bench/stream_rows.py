"""The servers of streams.py, each run as a program:

    python stream_rows.py SERVER echo|lines|called|send|take SIZE plain|tls

Prints its port, serves one connection until the peer leaves, and prints the CPU seconds (user and system)
that took. echo answers each line with itself, and so do lines, whose program sets no options, and
called, where a callback is given each line; send answers each byte received with SIZE bytes; take
answers SIZE bytes received with one."""

import asyncio
import resource
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = ("limit", "asyncio", "uvloop", "stock", "ours")


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / "results" / "bench.crt", HERE / "results" / "bench.key")
    return context


class Account:
    """Says the port, and at the end what the connection cost. Knows what is to be done, too."""

    def __init__(self, mode: str, size: int) -> None:
        self.mode, self.size = mode, size
        self.answer = b"a" * size if mode == "send" else b"a"
        self.done: asyncio.Event = asyncio.Event()

    def listening(self, port: int) -> None:
        print(port, flush=True)

    def connected(self) -> None:
        self.start = cpu()

    def lost(self) -> None:
        print(f"{cpu() - self.start:.6f}", flush=True)
        self.done.set()


class Echo(asyncio.Protocol):
    """What an asyncio program would write: lines are cut out of what has come in."""

    def __init__(self, account: Account) -> None:
        self.account, self.mode, self.answer, self.size = account, account.mode, account.answer, account.size
        self.held, self.taken = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.account.connected()

    def connection_lost(self, exc: Exception | None) -> None:
        self.account.lost()

    def data_received(self, data: bytes) -> None:
        if self.mode == "send":
            for _ in data:
                self.transport.write(self.answer)
            return
        if self.mode == "take":
            self.taken += len(data)
            if self.taken == self.size:
                self.taken = 0
                self.transport.write(self.answer)
            return
        data = self.held + data
        write = self.transport.write
        start = 0
        while (end := data.find(b"\n", start) + 1) > 0:
            write(data[start:end])
            start = end
        self.held = data[start:]


async def serve_protocol(mode: str, size: int, context: ssl.SSLContext | None) -> None:
    account = Account(mode, size)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(account), "127.0.0.1", 0, ssl=context)
    account.listening(server.sockets[0].getsockname()[1])
    await account.done.wait()


def call_with_lines(stream, lost: Callable[[], None]) -> None:  # type: ignore[no-untyped-def]
    """The echo in the older style."""

    def answer(line: bytes) -> None:
        stream.write(line)
        stream.read_until(b"\n", answer)

    stream.set_close_callback(lost)
    stream.read_until(b"\n", answer)


async def serve_stream(mode: str, size: int, context: ssl.SSLContext | None) -> None:
    from tornado.iostream import StreamClosedError
    from tornado.netutil import bind_sockets
    from tornado.tcpserver import TCPServer

    account = Account(mode, size)

    class Server(TCPServer):
        async def handle_stream(self, stream, address) -> None:  # type: ignore[no-untyped-def]
            if mode != "lines":
                stream.set_nodelay(True)
            account.connected()
            if mode == "called":
                call_with_lines(stream, account.lost)
                return
            try:
                while mode == "send":
                    for _ in await stream.read_bytes(64, partial=True):
                        await stream.write(account.answer)
                while mode == "take":
                    left = size
                    while left > 0:
                        left -= len(await stream.read_bytes(left, partial=True))
                    stream.write(account.answer)
                while True:
                    stream.write(await stream.read_until(b"\n"))
            except StreamClosedError:
                account.lost()

    server = Server(ssl_options=context)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    account.listening(sockets[0].getsockname()[1])
    await account.done.wait()


def runner(server: str) -> tuple[Callable[..., object], Callable[..., object]]:
    """The coroutine function to run, and what runs it."""
    if server == "uvloop":
        import uvloop

        return serve_protocol, uvloop.run
    if server == "ours":
        import tornado_c

        tornado_c.install()
        return serve_stream, tornado_c.run
    return (serve_stream if server == "stock" else serve_protocol), asyncio.run


def main() -> None:
    server, mode, size, security = sys.argv[1:]
    serve, run = runner(server)
    run(serve(mode, int(size), server_context() if security == "tls" else None))


if __name__ == "__main__":
    main()
