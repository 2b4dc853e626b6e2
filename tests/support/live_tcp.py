"""Loops, servers and raw clients for tests of TCP."""

import asyncio
import os
import ssl

import tornado.test

from tornado_c.netutil import bind_sockets
from tornado_c.tcpserver import TCPServer

PATIENCE = 30  # seconds, far beyond what anything takes

TLS_FOLDER = os.path.dirname(tornado.test.__file__)
TLS = {"certfile": os.path.join(TLS_FOLDER, "test.crt"), "keyfile": os.path.join(TLS_FOLDER, "test.key")}


def over_tls(sock):
    """A client's TLS over a socket, whoever the server says it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


def run(main):
    """Run a coroutine function on a fresh loop and return its result."""

    async def limited():
        async with asyncio.timeout(PATIENCE):
            return await main()

    return asyncio.run(limited())


async def talk(port, data, **kwargs):
    """Send data, then return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **kwargs)
    try:
        writer.write(data)
        if not kwargs:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def others_end():
    """Until the caller's Task is the only one: handlers of streams have seen the ends of their clients."""
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.001)


def listening(server, **kwargs):
    """Listen on a free port of one address, and return the port."""
    (sock,) = bind_sockets(0, "127.0.0.1", **kwargs)
    server.add_socket(sock)
    return sock.getsockname()[1]


class LineServer(TCPServer):
    """Answers one line with its address' kind and the line in capitals."""

    async def handle_stream(self, stream, address):
        line = await stream.read_until(b"\n")
        await stream.write(address[0].encode() + b" " + line.upper())
        stream.close()
