"""WebSocket on the wire: handshakes and frames as bytes, peers that speak them, and servers of every way."""

import asyncio
import base64
import contextlib
import hashlib
import re
import socket
import ssl
import threading

from support.implementations import OURS, STOCK
from support.live_http import PATIENCE, Client, Overridden, serving
from support.live_tcp import TLS, over_tls

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

#: How a server of ours may come to a handler.
WAYS = ("native", "delegates", "tls")


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def request(path="/", more=(), without=(), method="GET", version="1.1", **changed):
    """The bytes of a handshake. Headers are changed by name, with _ for hyphens; `without` drops some."""
    fields = {
        "Host": "example.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changed.items():
        fields[name.replace("_", "-")] = value
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if name not in without]
    return "\r\n".join([*lines, *more]).encode("latin-1") + b"\r\n\r\n"


async def hang_up(*connections):
    """Close clients' connections and wait until they are, so that no socket is left to the collector."""
    for connection in connections:
        connection.close()
    for connection in connections:
        while await asyncio.wait_for(connection.read_message(), PATIENCE) is not None:
            pass  # what was on its way


def masked(data, mask):
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def frame(opcode, payload=b"", fin=True, mask=b"mask", rsv=0):
    """A frame; mask=None leaves it unmasked, as a server's."""
    size, bit = len(payload), 0 if mask is None else 0x80
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + size.to_bytes(2)
    else:
        head += bytes([bit | 127]) + size.to_bytes(8)
    return head + payload if mask is None else head + mask + masked(payload, mask)


def text(message, **more):
    return frame(TEXT, message.encode(), **more)


def close(code=None, reason="", **more):
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason.encode(), **more)


class Peer(Client):
    """A raw client that reads frames."""

    def open(self, path="/", *more, **changed):
        """Shake hands; the head of the response."""
        self.send(request(path, more, **changed))
        return self.head()

    def head(self):
        return self.until(b"\r\n\r\n")

    def frame(self):
        """(first byte, payload) of the next frame; None at the end of the connection."""
        head = self.exactly(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8))
        mask = self.exactly(4) if head[1] & 0x80 else None
        payload = self.exactly(size)
        return head[0], payload if mask is None else masked(payload, mask)

    def frames(self):
        """All frames up to the end."""
        return list(iter(self.frame, None))

    def message(self):
        """The next message that is one frame of text."""
        first, payload = self.frame()
        assert first == 0x81
        return payload.decode()


class LivePeers:
    """A server that runs, and peers for it."""

    def __init__(self, server, tls):
        self.server, self.tls = server, tls
        self.call, self.settle, self.left, self.port = server.call, server.settle, server.left, server.port
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}"

    def connect(self):
        peer = Peer(self.server.address)
        if self.tls:
            peer.sock = over_tls(peer.sock)
        return peer

    def exchange(self, data):
        """What the server sends until it closes the connection."""
        with self.connect() as peer:
            peer.send(data)
            return peer.rest()


@contextlib.contextmanager
def live(make, way="native", **settings):
    """Serve make(implementation): handlers, or an Application. The ways are those of WAYS, and "stock"."""
    implementation = STOCK if way == "stock" else OURS
    made = make(implementation)
    application = implementation.web.Application(made, **settings) if isinstance(made, list) else made
    options = {"ssl_options": TLS} if way == "tls" else {}
    overridden = (lambda: Overridden(application)) if way == "delegates" else None
    with serving(application, implementation, make=overridden, **options) as server:
        yield LivePeers(server, way == "tls")


def without_date(head):
    return re.sub(rb"\r\nDate: [^\r]+", b"", head)


class Accepted(Peer):
    """A server's end of a connection that was accepted."""

    def __init__(self, sock):
        sock.settimeout(PATIENCE)
        self.sock, self.unread = sock, b""

    def accept(self, *more, accept=None, upgrade="websocket", connection="Upgrade", behind=b""):
        """Read the client's handshake and agree to it; what it said, by name in lower case."""
        said = self.asked()
        key = said["sec-websocket-key"].encode()
        lines = ["HTTP/1.1 101 Switching Protocols", f"Upgrade: {upgrade}", f"Connection: {connection}"]
        lines.append(f"Sec-WebSocket-Accept: {accept or accept_of(key).decode()}")
        self.send("\r\n".join([*lines, *more, "", ""]).encode() + behind)
        return said

    def asked(self):
        """The headers of the client's request, by name in lower case, and its request line as ""."""
        line, *lines = self.head().decode("latin-1").split("\r\n")[:-2]
        return {
            "": line,
            **{name.lower(): value for name, _, value in (each.partition(": ") for each in lines)},
        }


@contextlib.contextmanager
def scripted(serve, certificate=None):
    """Run serve(peer) in a thread for each client; yields the port. What it raises fails the test."""
    failures = []

    def one(sock):
        try:
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*certificate)
                sock = context.wrap_socket(sock, server_side=True)
            with Accepted(sock) as peer:
                serve(peer)
        except (ConnectionError, ssl.SSLError):
            pass  # the client has left
        except BaseException as exc:
            failures.append(exc)

    def run(listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=[sock], daemon=True)
            threads.append(thread)
            thread.start()

    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=run, args=[listener], daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
