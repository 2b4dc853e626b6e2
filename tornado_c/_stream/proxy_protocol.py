"""The PROXY protocol, versions 1 and 2: what a proxy says of its client before the client's own bytes.

``parse_head`` is the parser. ``HeadReader`` takes the head off an accepted connection, on its loop;
``TCPServer`` makes one for each connection where ``proxy_protocol`` is set. Nothing is read beyond the head:
TLS may follow it. Additional fields of version 2 are skipped, a checksum among them.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

from tornado_c._support.regex import regex
from tornado_c.log import gen_log

#: Bytes of a head at most: what the specification says for version 1, our own bound for version 2, whose
#: heads may carry additional fields.
MAX_V1_HEAD = 107
MAX_V2_HEAD = 4096

#: Stands for the peers of Unix sockets among trusted proxies.
UNIX = "unix"

_V1_START = b"PROXY "
_V2_START = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED = 16  # bytes up to and including the length of the rest

_V1_LINE = regex(
    r"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP4|TCP6) (\S+) (\S+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))"
)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class MalformedHead(Exception):
    """What a peer sent is no head of the PROXY protocol."""


# --------------------------------------------------------------------------- parsing


def parse_head(data: bytes) -> tuple[int, Any] | None:
    """Read the head that ``data`` starts with.

    :returns: its length, and the client's address as ``socket.accept`` would give it, or None where the head
        names no client. None in place of the pair: more bytes are needed.
    :raises MalformedHead: ``data`` does not start with a head, or the head is too long.
    """
    if data[:1] == _V2_START[:1]:
        return _parse_v2(data)
    if not data.startswith(_V1_START[: len(data)]):
        raise MalformedHead("no PROXY protocol")
    return _parse_v1(data)


def _parse_v1(data: bytes) -> tuple[int, Any] | None:
    end = data.find(b"\n", 0, MAX_V1_HEAD)
    if end < 0:
        if len(data) >= MAX_V1_HEAD:
            raise MalformedHead("the line is too long")
        return None
    if data[end - 1 : end] != b"\r":
        raise MalformedHead("the line does not end with CRLF")
    match = _V1_LINE.fullmatch(data[: end - 1].decode("latin1"))
    if match is None:
        raise MalformedHead("malformed line")
    family, source, target, *ports = match.groups()
    if family is None:
        return end + 1, None
    kind = ipaddress.IPv4Address if family == "TCP4" else ipaddress.IPv6Address
    try:
        kind(target)
        host = kind(source)
    except ValueError:
        raise MalformedHead("malformed address") from None
    if "%" in source + target or int(ports[0]) > 65535 or int(ports[1]) > 65535:
        raise MalformedHead("malformed address")
    return end + 1, _ip_address(host, int(ports[0]))


def _parse_v2(data: bytes) -> tuple[int, Any] | None:
    if not data.startswith(_V2_START[: len(data)]):
        raise MalformedHead("no PROXY protocol")
    if len(data) < _V2_FIXED:
        return None
    version_and_command, kind, size = struct.unpack_from(">BBH", data, len(_V2_START))
    if version_and_command not in (0x20, 0x21):
        raise MalformedHead("unknown version or command")
    if _V2_FIXED + size > MAX_V2_HEAD:
        raise MalformedHead("the head is too long")
    if len(data) < _V2_FIXED + size:
        return None
    address = None
    if version_and_command == 0x21:  # 0x20 is LOCAL: the proxy speaks for itself
        address = _v2_address(kind >> 4, kind & 15, data[_V2_FIXED : _V2_FIXED + size])
    return _V2_FIXED + size, address


#: Families of version 2: the address's size (source and target), and where the source's port is.
_V2_FAMILIES = {0: (0, 0), 1: (12, 8), 2: (36, 32), 3: (216, 0)}


def _v2_address(family: int, transport: int, block: bytes) -> Any:
    if family not in _V2_FAMILIES or transport > 2:
        raise MalformedHead("unknown family")
    size, port_at = _V2_FAMILIES[family]
    if len(block) < size:
        raise MalformedHead("the address is cut off")
    if family == 0:
        return None
    if family == 3:
        return _unix_address(block[:108])
    (port,) = struct.unpack_from(">H", block, port_at)
    host = ipaddress.IPv4Address(block[:4]) if family == 1 else ipaddress.IPv6Address(block[:16])
    return _ip_address(host, port)


def _ip_address(host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> tuple[Any, ...]:
    return (str(host), port) if host.version == 4 else (str(host), port, 0, 0)


def _unix_address(name: bytes) -> str | bytes:
    if name[:1] == b"\0":  # an abstract name, or none
        return name.rstrip(b"\0") or ""
    return os.fsdecode(name.partition(b"\0")[0])


# --------------------------------------------------------------------------- trust


class TrustedProxies:
    """The peers that may speak the PROXY protocol.

    :param entries: texts of IP addresses and networks (``"10.0.0.0/8"``), and ``"unix"`` for all peers of
        Unix sockets.
    :raises ValueError: an entry is none of these, or there is none at all.
    """

    def __init__(self, entries: Iterable[str] | None) -> None:
        if isinstance(entries, str):
            raise ValueError("trusted_proxies is a list of addresses and networks, not a text")
        names = list(entries or ())
        if not names:
            raise ValueError("proxy_protocol needs trusted_proxies: the addresses that may speak for clients")
        self.unix = UNIX in names
        self.networks: list[_Network] = [ipaddress.ip_network(name) for name in names if name != UNIX]

    def trust(self, connection: socket.socket, address: Any) -> bool:
        """Whether to believe the peer of a connection, at the address that ``accept`` gave."""
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            return self.unix
        peer = ipaddress.ip_address(address[0].partition("%")[0])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self.networks)


# --------------------------------------------------------------------------- reading


class HeadReader:
    """Reads the head of one accepted connection, then passes the connection on.

    Where the head is malformed or does not come in time, the connection is closed and one line logged. A
    connection that ends without a byte, as a balancer's check of a port does, is closed without one.

    :param peer: the connection's address as ``accept`` gave it, passed on where the head names no client.
    :param limit: seconds for the head.
    :param done: called with the connection and the client's address.
    """

    def __init__(
        self,
        io_loop: Any,
        connection: socket.socket,
        peer: Any,
        limit: float,
        done: Callable[[socket.socket, Any], None],
    ) -> None:
        self.io_loop = io_loop
        self.connection = connection
        self.peer = peer
        self.done = done
        self.head = b""
        self.timeout: Any = None
        connection.setblocking(False)
        if self._advance():  # usually all of it is there by now
            self.timeout = io_loop.call_later(limit, self._expire)
            io_loop.add_handler(connection, self._on_readable, io_loop.READ)

    @property
    def is_waiting(self) -> bool:
        """Whether the head has not come yet."""
        return self.timeout is not None

    def _on_readable(self, fd: Any, events: int) -> None:
        self._advance()

    def _advance(self) -> bool:
        """Read what is there. Returns True while more is needed; else the connection has gone its way."""
        while True:
            try:
                seen = self.connection.recv(MAX_V2_HEAD - len(self.head), socket.MSG_PEEK)
                if not seen:
                    raise ConnectionError("the connection ended inside the head")
                found = parse_head(self.head + seen)
                # Without a whole head all bytes seen are part of it; what follows it stays in the socket.
                end = len(seen) if found is None else found[0] - len(self.head)
                self.head += self.connection.recv(end)
            except (BlockingIOError, InterruptedError):
                return True
            except (OSError, MalformedHead) as e:
                self._fail(e, quiet=isinstance(e, OSError) and not self.head)
                return False
            if found is not None and len(self.head) == found[0]:
                self._stop_waiting()
                self.done(self.connection, self.peer if found[1] is None else found[1])
                return False

    def _expire(self) -> None:
        self._fail("the head did not come in time")

    def _fail(self, why: object, quiet: bool = False) -> None:
        self._stop_waiting()
        self.connection.close()
        if not quiet:
            log_refusal(self.peer, why)

    def _stop_waiting(self) -> None:
        if self.timeout is not None:
            self.io_loop.remove_timeout(self.timeout)
            self.io_loop.remove_handler(self.connection)
            self.timeout = None


def log_refusal(peer: Any, why: object) -> None:
    """Log why a connection was closed before it was served."""
    name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else repr(peer)
    gen_log.warning("PROXY protocol: connection from %s closed: %s", name, why)
