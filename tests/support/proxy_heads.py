"""Heads of the PROXY protocol: what they say, or why they are refused."""

import ipaddress
import struct

import pytest

from tornado_c._stream.proxy_protocol import MAX_V2_HEAD

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIELD = b"\x04\x00\x05extra"  # an additional field, of a type that says nothing


def v2(command, family, block, size=None):
    return SIGNATURE + struct.pack(">BBH", command, family, len(block) if size is None else size) + block


def block4(source="192.0.2.7", target="192.0.2.8", ports=(1234, 443)):
    packed = [ipaddress.ip_address(text).packed for text in (source, target)]
    return b"".join(packed) + struct.pack(">HH", *ports)


def block_unix(source, target=b""):
    return source.ljust(108, b"\0") + target.ljust(108, b"\0")


V6 = ("2001:db8::7", "2001:db8::8")
LONG = b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n"
assert len(LONG) == 107

#: Heads and the addresses that they give; None: the peer's own.
GOOD = {
    "v1 tcp4": (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n", ("192.0.2.7", 1234)),
    "v1 tcp6": (b"PROXY TCP6 2001:DB8::7 ::1 65535 0\r\n", ("2001:db8::7", 65535, 0, 0)),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown, more": (b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n", None),
    "v1 longest": (LONG, None),
    "v2 tcp4": (v2(0x21, 0x11, block4()), ("192.0.2.7", 1234)),
    "v2 udp4": (v2(0x21, 0x12, block4()), ("192.0.2.7", 1234)),
    "v2 tcp4, fields": (v2(0x21, 0x11, block4() + FIELD), ("192.0.2.7", 1234)),
    "v2 tcp6": (v2(0x21, 0x21, block4(*V6)), ("2001:db8::7", 1234, 0, 0)),
    "v2 unix": (v2(0x21, 0x31, block_unix(b"/run/client")), "/run/client"),
    "v2 unix, no name": (v2(0x21, 0x31, block_unix(b"")), ""),
    "v2 unix, abstract": (v2(0x21, 0x31, block_unix(b"\0client")), b"\0client"),
    "v2 unspecified": (v2(0x21, 0x00, b""), None),
    "v2 unspecified, fields": (v2(0x21, 0x00, FIELD), None),
    "v2 local": (v2(0x20, 0x00, b""), None),
    "v2 local with an address": (v2(0x20, 0x11, block4()), None),
    "v2 longest": (v2(0x21, 0x11, block4().ljust(MAX_V2_HEAD - 16, b"\0")), ("192.0.2.7", 1234)),
}

#: What is refused, and the reason in the log.
BAD = {
    "http": (b"GET / HTTP/1.1\r\n\r\n", "no PROXY protocol"),
    "tls": (b"\x16\x03\x01\x02\x00", "no PROXY protocol"),
    "lower case": (b"proxy TCP4 192.0.2.7 192.0.2.8 1234 443\r\n", "no PROXY protocol"),
    "v1 bare LF": (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\n", "the line does not end with CRLF"),
    "v1 too long": (LONG[:-2] + b"f\r\n", "the line is too long"),
    "v1 endless": (b"PROXY UNKNOWN " + b"f" * 1000, "the line is too long"),
    "v1 nothing": (b"PROXY \r\n", "malformed line"),
    "v1 family": (b"PROXY TCP5 192.0.2.7 192.0.2.8 1234 443\r\n", "malformed line"),
    "v1 two spaces": (b"PROXY TCP4  192.0.2.7 192.0.2.8 1234 443\r\n", "malformed line"),
    "v1 trailing space": (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443 \r\n", "malformed line"),
    "v1 no port": (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234\r\n", "malformed line"),
    "v1 leading zero": (b"PROXY TCP4 192.0.2.7 192.0.2.8 01234 443\r\n", "malformed line"),
    "v1 sign": (b"PROXY TCP4 192.0.2.7 192.0.2.8 +1234 443\r\n", "malformed line"),
    "v1 CR inside": (b"PROXY TCP4 192.0.2.7 192.0.2.8\r 1234 443\r\n", "malformed line"),
    "v1 port": (b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 443\r\n", "malformed address"),
    "v1 target's port": (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 99999\r\n", "malformed address"),
    "v1 address": (b"PROXY TCP4 192.0.2.256 192.0.2.8 1234 443\r\n", "malformed address"),
    "v1 other family": (b"PROXY TCP4 ::1 ::1 1234 443\r\n", "malformed address"),
    "v1 target": (b"PROXY TCP4 192.0.2.7 localhost 1234 443\r\n", "malformed address"),
    "v1 zone": (b"PROXY TCP6 fe80::1%eth0 ::1 1234 443\r\n", "malformed address"),
    "v1 digits": ("PROXY TCP4 192.0.2.7 192.0.2.8 123\u0664 443\r\n".encode(), "malformed line"),
    "v2 signature": (SIGNATURE[:-1] + b"X" + b"\x21\x11\x00\x00", "no PROXY protocol"),
    "v2 version": (v2(0x11, 0x11, block4()), "unknown version or command"),
    "v2 command": (v2(0x22, 0x11, block4()), "unknown version or command"),
    "v2 family": (v2(0x21, 0x41, block4()), "unknown family"),
    "v2 transport": (v2(0x21, 0x13, block4()), "unknown family"),
    "v2 short": (v2(0x21, 0x11, block4()[:-1]), "the address is cut off"),
    "v2 short v6": (v2(0x21, 0x21, block4()), "the address is cut off"),
    "v2 short unix": (v2(0x21, 0x31, b"/run/client\0"), "the address is cut off"),
    "v2 too long": (v2(0x21, 0x11, b"", MAX_V2_HEAD - 15), "the head is too long"),
    "v2 declared": (v2(0x21, 0x11, b"", 65535), "the head is too long"),
}


def named(cases):
    return pytest.mark.parametrize(("head", "expected"), cases.values(), ids=cases.keys())
