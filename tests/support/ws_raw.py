"""WebSocketProtocolBase over a socket pair: the test plays the peer and writes frames byte by byte."""

import asyncio
import contextlib
import socket
import struct

from support.iostream_world import turns, until
from tornado_c import EventLoop, _core, iostream, websocket

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
KEY = b"\x11\x22\x33\x44"


def run(main, factory=EventLoop, limit=20):
    """Run a test's coroutine function on a loop of its own, for at most so many of the loop's seconds."""

    async def limited():
        return await asyncio.wait_for(main(), limit)

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(limited())


def masked(payload, key=KEY):
    size = len(payload)
    keys = (bytes(key) * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)


def frame(first, payload=b"", key=KEY):
    """A frame as a client sends it; with key None as a server does."""
    size = len(payload)
    bit = 0x80 if key is not None else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", size)
    return head + payload if key is None else head + key + masked(payload, key)


def parse(data):
    """The frames in what a side has sent: (first byte, payload) each, and what is left of the bytes."""
    frames = []
    while len(data) >= 2:
        first, size = data[0], data[1] & 127
        bit, at = data[1] & 128, 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        key = data[at : at + 4] if bit else None
        at += 4 if bit else 0
        if len(data) < at + size:
            break
        payload = data[at : at + size]
        frames.append((first, masked(payload, key) if key else payload))
        data = data[at + size :]
    return frames, data


class Params:
    def __init__(self, max_message_size=10 * 1024 * 1024, ping_interval=None, ping_timeout=None):
        self.max_message_size = max_message_size
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout


class Protocol(_core.WebSocketProtocolBase):
    """The base, without the handshake."""

    def __init__(self, handler, stream, mask_outgoing=False, params=None):
        self.handler = handler
        self.stream = stream
        self.mask_outgoing = mask_outgoing
        self._params = params or Params()

    @property
    def ping_interval(self):
        return self._params.ping_interval or 0

    @property
    def ping_timeout(self):
        return self.ping_interval if self._params.ping_timeout is None else self._params.ping_timeout


class Handler:
    """Notes what it is called with."""

    def __init__(self):
        self.events = []
        self.protocol = None

    @property
    def messages(self):
        return [event[1] for event in self.events if event[0] == "message"]

    @property
    def closes(self):
        return [event[1:] for event in self.events if event[0] == "close"]

    def on_message(self, message):
        self.events.append(("message", message))

    def on_ping(self, data):
        self.events.append(("ping", data))

    def on_pong(self, data):
        self.events.append(("pong", data))

    def log_exception(self, typ, value, tb):
        self.events.append(("exception", value))

    def on_ws_connection_close(self, code=None, reason=None):
        self.events.append(("close", code, reason))


class Peer:
    """The other end of a connection."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""
        self.ended = False

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, count):
        """So many frames, or all until the end of the stream."""
        loop = asyncio.get_running_loop()
        while not self.ended and (count is None or len(parse(self.data)[0]) < count):
            more = await asyncio.wait_for(loop.sock_recv(self.sock, 1 << 20), 15)
            self.data += more
            self.ended = not more
        frames, rest = parse(self.data)
        if count is not None:
            frames = frames[:count]
        for first, payload in frames:
            self.data = self.data[len(frame(first, payload, None)) :]
        return frames

    async def end(self):
        """All frames until the end, which must come."""
        return await self.receive(None)


@contextlib.contextmanager
def connected(handler=None, start=True, cls=Protocol, size=None, **kwargs):
    """A protocol, its handler and the peer."""
    mine, theirs = socket.socketpair()
    if size:
        for sock in (mine, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    theirs.setblocking(False)
    handler = handler if handler is not None else Handler()
    stream = iostream.IOStream(mine)
    protocol = cls(handler, stream, **kwargs)
    handler.protocol = protocol
    protocol._watch()
    if start:
        protocol._start()
    try:
        yield protocol, handler, Peer(theirs)
    finally:
        theirs.close()
        stream.close()


__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Handler",
    "Params",
    "Peer",
    "Protocol",
    "connected",
    "frame",
    "masked",
    "parse",
    "turns",
    "until",
    "websocket",
]
