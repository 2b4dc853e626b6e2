"""The rows that speak WebSocket: what is sent to which handler of apps/websocket.py, and what to reach."""

import json
import random
import struct
import zlib
from dataclasses import KW_ONLY, dataclass

from peers import WEBSOCKET as PEERS
from row import Row

TEXT, BINARY, COMPRESSED = 1, 2, 0x40
MASK = b"mask"
WINDOW = 32768  # what zlib remembers of the messages before
#: What a browser offers.
DEFLATE = "permessage-deflate; client_max_window_bits"
BROWSER = [
    "Pragma: no-cache",
    "Cache-Control: no-cache",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9,de;q=0.8",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
]


def frame(payload: bytes, opcode: int) -> bytes:
    """A whole message, masked."""
    n = len(payload)
    head = (n | 0x80,) if n < 126 else (126 | 0x80, n) if n < 65536 else (127 | 0x80, n)
    head = struct.pack({1: "!BB", 2: "!BBH" if n < 65536 else "!BBQ"}[len(head)], 0x80 | opcode, *head)
    mask = (MASK * (n // 4 + 1))[:n]
    return head + MASK + (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(n)


def deflated(message: bytes) -> bytes:
    """A message by itself, which any decompressor takes at any time."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def lines(count: int, size: int) -> list[bytes]:
    """Different messages as programs send them: JSON."""
    draw, found = random.Random(1), []
    for number in range(count):
        quotes = []
        while len(line := json.dumps({"id": number, "quotes": quotes})) < size:
            quotes.append({"symbol": draw.choice(["ABC", "XY", "LMNO"]), "bid": draw.randrange(10**6) / 100})
        found.append(line[: size - 1].encode() + b"}")
    return found


@dataclass(frozen=True)
class WsRow(Row):
    path: str
    _: KW_ONLY
    size: int = 64
    connections: int = 64
    in_flight: int = 1  # on each connection; 0: each message goes to everybody
    binary: bool = False
    deflate: bool = False
    browser: bool = False  # a browser's head
    idle: bool = False  # nothing is sent; the figure is a socket's memory
    peers: tuple[str, ...] = PEERS
    counted: bool = False

    app = "websocket"
    limit_mode = ""

    @property
    def servers(self) -> tuple[str, ...]:
        return ("stock", "ours", *self.zlib, *self.peers)

    @property
    def zlib(self) -> dict[str, int]:
        """zlib alone, by name: with so many pairs of its objects. Those of all connections do not fit into a
        processor's cache; one pair does, and is several times as fast."""
        return {"zlib": self.connections, "zlib-one": 1} if self.deflate else {}

    @property
    def warm_up(self) -> int:
        """Messages on each connection until zlib's memory is full: the more it has, the longer it looks."""
        return 2 * WINDOW // self.size if self.deflate else max(self.in_flight, 1)

    @property
    def figure(self) -> str:
        return "memory" if self.idle else "cpu_us"

    @property
    def unit(self) -> str:
        return "bytes" if self.idle else "CPU us"

    def messages(self) -> list[bytes]:
        if self.deflate:
            return lines(64, self.size)
        return [bytes(range(256)) * (self.size // 256) if self.binary else b"m" * self.size]

    def payloads(self) -> list[bytes]:
        """The messages as they travel."""
        return [deflated(message) for message in self.messages()] if self.deflate else self.messages()

    def frames(self) -> list[bytes]:
        opcode = (BINARY if self.binary else TEXT) | (COMPRESSED if self.deflate else 0)
        return [frame(payload, opcode) for payload in self.payloads()]

    def handshake(self, port: int) -> bytes:
        head = [f"GET {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port}"]
        head += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        head += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        head += [f"Sec-WebSocket-Extensions: {DEFLATE}"] if self.deflate or self.browser else []
        head += BROWSER if self.browser else []
        return "\r\n".join([*head, "", ""]).encode()


ROWS = (
    WsRow(
        *("ws_echo", "WebSocket echo, 64 bytes", "/echo"),
        **{"to_stock": 8, "to_peers": (("picows", 1.0),), "counted": True, "brief": True},
    ),
    WsRow(
        *("ws_pipeline", "the same, 16 in flight", "/echo"),
        **{"in_flight": 16, "to_stock": 35, "to_peers": (("aiohttp", 1.0),), "counted": True, "brief": True},
    ),
    WsRow(
        *("ws_async", "the same, async on_message", "/async"),
        **{"to_stock": 6, "peers": (), "counted": True, "brief": True},
    ),
    WsRow(
        *("ws_large", "WebSocket echo, 1 MiB", "/large"),
        **{"size": 1 << 20, "binary": True, "connections": 8, "to_peers": (("picows", 1.3),), "brief": True},
        **{"counted": True, "slow": 8},
    ),
    WsRow(
        *("ws_deflate", "WebSocket echo, 1 KB deflated", "/deflate"),
        **{"size": 1024, "deflate": True, "to_peers": (("zlib", 1.2),), "counted": True, "brief": True},
        peers=("aiohttp", "websockets", "uvicorn"),  # picows has no extensions
    ),
    WsRow(
        *("ws_broadcast", "WebSocket broadcast to 10,000", "/broadcast"),
        **{"connections": 10_000, "in_flight": 0, "counted": True, "brief": True},
    ),
    WsRow(
        *("ws_idle", "idle WebSocket, bytes of memory", "/echo"),
        **{"browser": True, "idle": True, "connections": 4000, "most": 2048, "brief": True},
    ),
)
