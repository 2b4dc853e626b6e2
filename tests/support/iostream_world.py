"""What the tests of streams share: a loop with streams on it, ours or stock Tornado's, which is the oracle
where it has the same call."""

import asyncio
import socket
import struct

from support.implementations import OURS
from tornado_c import netutil

LIMIT = 20  # seconds: far beyond what anything here takes


class World:
    """A loop, and streams on it that are closed at the end."""

    def __init__(self, implementation, loop=None):
        """On the implementation's own loop, or on one that is there."""
        self.implementation = implementation
        self.module = implementation.iostream
        self.native = implementation is OURS
        self.loop = loop or implementation.ioloop.IOLoop(make_current=False)
        self.open = []

    def stream(self, sock, **kwargs):
        stream = self.module.IOStream(sock, **kwargs)
        self.open.append(stream)
        return stream

    def pair(self, tcp=False, **kwargs):
        """A stream and the plain socket at its other end."""
        if tcp:
            (listener,) = netutil.bind_sockets(0, "127.0.0.1")
            with listener:
                theirs = socket.create_connection(listener.getsockname())
                while True:
                    try:
                        mine, _ = listener.accept()
                        break
                    except BlockingIOError:
                        pass
        else:
            mine, theirs = socket.socketpair()
        theirs.settimeout(LIMIT)
        self.open.append(theirs)
        return self.stream(mine, **kwargs), theirs

    def streams(self, **kwargs):
        left, right = socket.socketpair()
        return self.stream(left, **kwargs), self.stream(right, **kwargs)

    def run(self, main):
        return self.loop.run_sync(main, timeout=LIMIT)

    def close(self):
        for thing in self.open:
            thing.close()
        self.open.clear()
        if not self.loop.asyncio_loop.is_closed():
            self.loop.add_callback(self.loop.stop)
            self.loop.start()
            self.loop.close()
        asyncio.set_event_loop(None)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def reset(sock):
    """Close so that the peer gets RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
