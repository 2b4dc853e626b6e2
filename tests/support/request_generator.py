"""Random conversations of HTTP requests, each with its twin for stock Tornado.

The twin is what stock must be sent to answer as we are documented to answer the original ("Where we depart
from Tornado" in ARCHITECTURE.rst): without chunk extensions where we skip them, broken where we are stricter.
It is the same bytes wherever we do not depart, and `Conversation.departures` names where it is not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from support.request_words import (
    BAD_CODINGS,
    BAD_HEADERS,
    BAD_HOSTS,
    BAD_METHODS,
    BAD_SIZES,
    BAD_TARGETS,
    BAD_TRAILERS,
    BAD_VERSIONS,
    CODINGS,
    CONNECTIONS,
    EXTENSIONS,
    FORM,
    FORMS,
    GZIP,
    GZIPPED,
    HEADERS,
    HOSTS,
    LENGTHS,
    METHODS,
    MULTIPART,
    PARTS,
    TARGETS,
)

MAX_HEAD, MAX_BODY = 1500, 3000
LIMITS = {"max_header_size": MAX_HEAD, "max_body_size": MAX_BODY}

#: Stock refuses it with 400, as it does whatever follows it.
BROKEN = b"BROKEN\r\n\r\n"


class Conversation(NamedTuple):
    data: bytes
    twin: bytes
    departures: frozenset[str]
    damaged: bool  # so that there may be departures of which nothing is known
    cuts: tuple[int, ...]  # where data goes out in several sends, per mille of its length

    def pieces(self, data: bytes) -> list[bytes]:
        ends = [len(data) * cut // 1000 for cut in self.cuts]
        return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


class Writer:
    """One request in the making, with its twin beside it."""

    def __init__(self, rng: random.Random, kind: str) -> None:
        self.rng = rng
        self.kind = kind
        self.data, self.twin = bytearray(), bytearray()
        self.departures: set[str] = set()
        self.refused = False  # by both: what follows in the request is of no consequence
        self.refused_head = False
        self.stricter = False  # by us alone

    def often(self, percent: float) -> bool:
        return self.rng.random() * 100 < percent

    def put(self, data: bytes, twin: bytes | None = None, departure: str = "") -> None:
        self.data += data
        self.twin += data if twin is None else twin
        if departure:
            self.departures.add(departure)

    def be_stricter(self, departure: str) -> None:
        self.stricter = True
        self.departures.add(departure)

    def pick(self, good: Sequence[bytes], bad: Sequence[bytes], percent: float = 2) -> bytes:
        if self.often(percent):
            self.refused = True
            return self.rng.choice(bad)
        return self.rng.choice(good)

    def request(self) -> None:
        self.eol = b"\n" if self.often(6) else b"\r\n"
        if self.often(5):
            self.empty_lines()
        self.request_line()
        lines = self.head()
        body, twin = self.body(lines)
        self.connection(lines)
        self.expectation(lines, bool(body) or any(b"chunked" in data for data, _ in lines))
        self.rng.shuffle(lines)
        for data, twin_line in lines:
            self.put(data + self.eol, twin_line + self.eol if twin_line is not None else b"")
        self.put(self.eol)
        self.put(body, twin)
        if self.stricter:
            self.twin[:] = BROKEN

    def empty_lines(self) -> None:
        count = self.rng.randrange(1, 9)
        self.put(self.rng.choice([b"\r\n", b"\r\n", b"\n"]) * count, b"", "empty lines")

    def request_line(self) -> None:
        self.method = self.pick(METHODS, BAD_METHODS)
        target = self.pick(TARGETS, BAD_TARGETS)
        self.without_length = (
            target.startswith(b"/chunked") and self.method != b"HEAD" and self.kind != "application"
        )
        self.version = b"HTTP/1.0" if self.often(18) else b"HTTP/1.1"
        self.ends = False  # a chunked body in HTTP/1.0
        if self.often(1.5):
            self.version, self.refused = self.rng.choice(BAD_VERSIONS), True
        elif self.often(0.7):
            self.version = b"HTTP/1.%d" % self.rng.randrange(2, 10)
            self.be_stricter("version 1.x")
        line = b" ".join([self.method, target, self.version])
        if self.often(1):
            line, self.refused = line.replace(b" ", self.rng.choice([b"  ", b"\t", b" \t"]), 1), True
        if self.often(0.7):
            at = self.rng.randrange(len(line))
            line = line[:at] + b"\r" + line[at:]
            self.be_stricter("bare CR in the request line")
        self.put(line + self.eol)

    def head(self) -> list[tuple[bytes, bytes | None]]:
        rng = self.rng
        plain: list[bytes] = rng.sample(HEADERS, rng.choice([0, 0, 1, 2, 4]))
        if self.often(2):
            plain.append(rng.choice(BAD_HEADERS))
            # A CR at the end of a line that ends in LF alone makes it one that ends in both.
            self.refused |= not (self.eol == b"\n" and plain[-1].endswith(b"\r"))
        if self.often(1):
            plain.append(b"X-Long: " + b"y" * rng.choice([1000, MAX_HEAD, 3 * MAX_HEAD]))
        if not self.often(4):
            host = rng.choice(BAD_HOSTS if (bad := self.often(2)) else HOSTS)
            plain.append(rng.choice([b"Host: ", b"host:", b"HOST:\t"]) + host)
            if twice := self.often(1):
                plain.append(b"Host: a")
            if bad or twice:
                self.refused = True
        elif self.version == b"HTTP/1.1":
            self.refused = True
        return [(line, line) for line in plain]

    # ---- bodies ----

    def content(self) -> tuple[bytes, list[bytes]]:
        """A body and what the head says of it."""
        rng = self.rng
        kind = rng.randrange(9)
        if kind == 0:
            return rng.choice(FORMS), [FORM]
        if kind == 1:
            return rng.choice(PARTS), [MULTIPART]
        if kind == 2:
            return rng.choice(GZIPPED), [rng.choice(GZIP), *rng.choice([[], [], [FORM]])]
        size = rng.choice([0, 1, 5, 5, 17, 200, 1000, MAX_BODY, MAX_BODY + 1 if self.often(20) else 3])
        alphabet = rng.choice([b"ab", b"\r\n", bytes(range(256)), b"GET / HTTP/1.1\r\n\r\n"])
        return bytes(rng.choices(alphabet, k=size)), []

    def body(self, lines: list[tuple[bytes, bytes | None]]) -> tuple[bytes, bytes]:
        rng = self.rng
        way = rng.choices(["none", "length", "chunked", "both", "coding"], [40, 30, 27, 1.5, 1.5])[0]
        if way == "none":
            return b"", b""
        content, said = self.content()
        lines += [(line, line) for line in said]
        if way in ("length", "both"):
            form, good = rng.choice(LENGTHS)
            if not good and self.often(70):
                form, good = "{}", True
            self.refused |= not good or len(content) > MAX_BODY
            value = form.format(len(content), len(content)).encode("utf-8")
            line = rng.choice([b"Content-Length: ", b"content-length:"]) + value
            lines += [(line, line)] * (2 if good and self.often(3) else 1)
        if way == "length":
            self.refused_head = self.refused
            return content, content
        coding = (
            self.pick([b"chunked"] * 4 + CODINGS, BAD_CODINGS) if way != "coding" else rng.choice(BAD_CODINGS)
        )
        line = b"Transfer-Encoding: " + coding
        lines.append((line, line))
        if way != "chunked":
            self.refused = True
        self.ends |= self.version == b"HTTP/1.0"
        if self.often(1):
            lines.append((line, line))
            self.refused = True
        self.refused_head = self.refused
        return self.chunks(content)

    def chunks(self, content: bytes) -> tuple[bytes, bytes]:
        rng = self.rng
        data, twin = bytearray(), bytearray()
        self.refused |= len(content) > MAX_BODY
        while content:
            size = min(len(content), rng.choice([1, 2, 5, 100, 5000]))
            piece, content = content[:size], content[size:]
            digits = rng.choice([b"%x", b"%X", b"%x", b"00%x"]) % size
            if self.often(0.3):
                digits = digits.rjust(17, b"0")
                self.be_stricter("chunk size of more than 16 digits")
            if self.often(0.7):
                digits, self.refused = rng.choice(BAD_SIZES), True
            ending = rng.choice([b"\n", b"XX", b"", b"\r", b"\r\r"]) if self.often(0.7) else b"\r\n"
            self.refused |= ending != b"\r\n"
            extension = self.extension(5) if digits not in BAD_SIZES else b""
            data += digits + extension + b"\r\n" + piece + ending
            twin += digits + b"\r\n" + piece + ending
            if len(data) > 2 * MAX_BODY:
                break
        extension, trailers = self.extension(5), self.trailers()
        data += b"0" + extension + b"\r\n" + trailers + b"\r\n"
        twin += b"0\r\n\r\n"
        if self.often(0.5):
            data[-2:], twin[-2:] = b"XX\r\n", b"XX"  # to us a trailer without a colon
            self.refused = True
            if trailers:
                self.be_stricter("trailers")
        return bytes(data), bytes(twin)

    def extension(self, percent: float) -> bytes:
        if not self.often(percent):
            return b""
        self.departures.add("chunk extensions")
        if self.often(5):
            self.stricter = True
            return self.rng.choice([b";a\nb", b";a\rb", b";" + b"x" * 5000])
        return self.rng.choice(EXTENSIONS)

    def trailers(self) -> bytes:
        if not self.often(7):
            return b""
        self.departures.add("trailers")
        lines = self.rng.sample(
            [b"X-Sum: 1", b"Host: b", b"Content-Length: 5", b"X:"], self.rng.randrange(1, 4)
        )
        if self.often(15):
            self.stricter = True
            lines.append(self.rng.choice(BAD_TRAILERS))
        return b"".join(line + b"\r\n" for line in lines)

    # ---- what else the head says ----

    def connection(self, lines: list[tuple[bytes, bytes | None]]) -> None:
        if self.often(70):
            return
        value = self.rng.choice(CONNECTIONS)
        twin = value
        if self.version == b"HTTP/1.0" and self.without_length:
            twin = b"close"
            self.departures.add("HTTP/1.0 without Content-Length")
        elif self.ends:
            twin = b"close"
            self.departures.add("chunked in HTTP/1.0")
        if self.often(15):
            value = self.rng.choice(
                [b"foo, close", b"close, foo", b"Close ,x", b"foo,\tCLOSE", b"keep-alive, close"]
            )
            twin = b"close"
            self.departures.add("Connection: foo, close")
        lines.append((b"Connection: " + value, b"Connection: " + twin))

    def expectation(self, lines: list[tuple[bytes, bytes | None]], body: bool) -> None:
        if self.stricter or not self.often(6):
            return
        value = self.rng.choice([b"100-continue", b"100-continue", b"100-Continue", b"x", b"100-continue, x"])
        twin: bytes | None = b"Expect: " + value
        if value.lower() == b"100-continue":
            if not body or self.refused_head or self.version != b"HTTP/1.1":
                twin = None
            else:
                twin = b"Expect: 100-continue"
        if twin != b"Expect: " + value:
            self.departures.add("Expect: 100-continue")
        lines.append((b"Expect: " + value, twin))


def conversation(rng: random.Random, kind: str, departing: bool = True) -> Conversation:
    """One to four requests on a connection, some of them perhaps cut, for an application of that kind."""
    data, twin = bytearray(), bytearray()
    departures: set[str] = set()
    cut = False
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        writer = Writer(rng, kind)
        writer.request()
        while writer.departures and not departing:
            writer = Writer(rng, kind)
            writer.request()
        if cut and writer.departures:
            break  # it would be the rest of the one that was cut
        if rng.random() < 0.06 and not writer.departures:
            del writer.data[rng.randrange(len(writer.data) + 1) :]
            writer.twin = writer.data
            cut = True
        data += writer.data
        twin += writer.twin
        departures |= writer.departures
    cuts = sorted(rng.randrange(1001) for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5])))
    return Conversation(bytes(data), bytes(twin), frozenset(departures), cut, tuple(cuts))


def damaged(rng: random.Random, kind: str, damage: Callable[[bytes, random.Random], bytes]) -> Conversation:
    """A conversation in which we did not depart, before its bytes were damaged; the twin is the same."""
    made = conversation(rng, kind, departing=False)
    data = damage(made.data, rng)
    return Conversation(data, data, frozenset(), True, made.cuts)
