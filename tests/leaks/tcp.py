"""What TCP servers and clients leave behind."""

import contextlib
import logging
import socket

from harness import check, main

from tornado_c import tcpclient, tcpserver
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import StreamClosedError
from tornado_c.netutil import Resolver, bind_sockets

loop = IOLoop(make_current=False)
logging.disable()

HEAD = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n"


class Server(tcpserver.TCPServer):
    async def handle_stream(self, stream, address):
        with contextlib.suppress(StreamClosedError):
            await stream.write(await stream.read_until(b"\n"))
        stream.close()


def serving(**kwargs):
    server = Server(**kwargs)
    (sock,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(sock)
    return server, sock.getsockname()[1]


async def ask(port, data):
    """Send data and read until the server has closed."""
    client = tcpclient.TCPClient()
    stream = await client.connect("127.0.0.1", port, timeout=60)
    with contextlib.suppress(StreamClosedError):
        await stream.write(data)
        await stream.read_until_close()
    client.close()


def come_and_go() -> None:
    async def body() -> None:
        server, port = serving()
        await ask(port, b"hello\n")
        server.stop()

    loop.run_sync(body)


def failing_clients() -> None:
    async def body() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))  # it does not listen
            with contextlib.suppress(OSError):
                await tcpclient.TCPClient().connect("127.0.0.1", sock.getsockname()[1], timeout=60)
        with contextlib.suppress(OSError):
            await tcpclient.TCPClient(Two()).connect("", 0, source_ip="8.8.8.8")

    loop.run_sync(body)


class Two(Resolver):
    async def resolve(self, host, port, family=socket.AF_UNSPEC):
        return [(socket.AF_INET6, ("::1", 1, 0, 0)), (socket.AF_INET, ("127.0.0.1", 1))]


def proxied() -> None:
    async def body() -> None:
        server, port = serving(proxy_protocol=True, trusted_proxies=["127.0.0.1"])
        for data in (HEAD + b"hello\n", b"GET / HTTP/1.1\r\n"):
            await ask(port, data)
        client = await tcpclient.TCPClient().connect("127.0.0.1", port)
        for data in (HEAD[:9], HEAD[9:], b"hello\n"):
            await client.write(data)
        await client.read_until_close()
        server.stop()

    loop.run_sync(body)


def proxied_late() -> None:
    async def body() -> None:
        server, port = serving(
            proxy_protocol=True, trusted_proxies=["127.0.0.1"], proxy_protocol_timeout=0.001
        )
        await ask(port, HEAD[:9])
        server.stop()

    loop.run_sync(body)


if __name__ == "__main__":
    for scenario in (come_and_go, failing_clients, proxied, proxied_late):
        check(scenario.__name__, scenario, repeats=20)
    main()
