"""Malformed input on the wire: every transcript of tests/http_cases against a live server, its log lines
beside stock's, and thousands of damaged requests."""

import logging
import random
import socket

import pytest

from support.damage import REQUESTS, damage
from support.http_cases import CASES
from support.implementations import OURS, STOCK
from support.live_http import Client, LiveServer, Overridden, raw_ok

REFUSED = b"HTTP/1.1 400 Bad Request\r\n\r\n"
TOO_LONG = {
    "error HEAD_TOO_LONG": b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",
    "error LINE_TOO_LONG": b"HTTP/1.1 414 URI Too Long\r\nConnection: close\r\n\r\n",
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 (Continue)\r\n\r\n"
PROBE = b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Servers:
    """One server for each set of limits, for all cases of this file."""

    def __init__(self):
        self.servers = {}
        self.called = []

    def callback(self, request):
        self.called.append((request.method, request.uri, request.body))
        raw_ok(request, b"ok")

    def get(self, implementation, limits, path="native"):
        key = (implementation.name, path, tuple(sorted(limits.items())))
        if key not in self.servers:
            names = {"limit": "max_header_size", "body_limit": "max_body_size"}
            settings = {names[k]: v for k, v in limits.items()}
            if path == "delegate":
                server = LiveServer(None, make=lambda: Overridden(self.callback, **settings))
            else:
                server = LiveServer(self.callback, implementation, **settings)
            self.servers[key] = server
        return self.servers[key]

    def exchange(self, implementation, case, path="native"):
        """What the callback got and what came back; the client waits for what the case lets it expect."""
        self.called.clear()
        server = self.get(implementation, case.limits, path)
        messages = case.expect["messages"]
        refused = case.expect["end"].startswith("error")
        flags = [set(m.get("flags", "").split()) for m in messages]
        expects = sum("continue" in f and bool(f & {"length", "chunked"}) for f in flags)
        whole = len(messages) - (case.expect["end"] == "incomplete" and bool(messages))
        with server.connect() as client:
            try:
                client.send(case.request)
            except ConnectionError:
                pass
            if refused:
                answer = client.rest()
            else:
                answer = client.exactly(whole * len(ANSWER) + expects * len(CONTINUE))
            server.call(lambda: None)
            return list(self.called), answer.replace(CONTINUE, b"")

    def stop(self):
        for server in self.servers.values():
            server.stop()


@pytest.fixture(scope="module")
def servers():
    made = Servers()
    yield made
    made.stop()


def tornado_lines(caplog):
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "tornado.general"]


# A delegate gets chunks in HTTP/1.0, as with stock Tornado; its suite has a test of that.
LAXER_WITH_DELEGATES = {"framing: Chunked in HTTP/1.0"}


@pytest.mark.parametrize("path", ["native", "delegate"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_transcript_on_the_wire(servers, case, path, caplog):
    if path == "delegate" and case.name in LAXER_WITH_DELEGATES:
        return
    caplog.set_level(logging.INFO, "tornado.general")
    called, answer = servers.exchange(OURS, case, path)
    end = case.expect["end"]
    wanted = case.expect["messages"]
    if not end.startswith("error"):
        count = len(called)
        assert answer == ANSWER * count
        assert tornado_lines(caplog) == []
    else:
        count = answer.count(b"HTTP/1.1 200 OK")
        assert answer == ANSWER * count + TOO_LONG.get(end, REFUSED)
        assert count == len(called)
        [(level, line)] = tornado_lines(caplog)
        if end in TOO_LONG:
            limit = case.limits["limit"]
            assert line.endswith(f"delimiter re.compile(b'\\r?\\n\\r?\\n') not found within {limit} bytes")
            return
        assert level == "INFO" and line.startswith("Malformed HTTP message from 127.0.0.1: ")
        if "message" in case.expect:
            assert line == "Malformed HTTP message from 127.0.0.1: " + case.expect["message"]
    for (method, uri, body), message in zip(called, wanted, strict=False):
        assert method == message.get("method", method)
        assert uri == message.get("target", uri)
        assert body == message.get("body", body.decode("latin-1")).encode("latin-1")
    if end == "complete":
        assert len(called) == len(wanted)


# Numbers that are too long for any machine: stock can read them and finds them too large.
TOO_LONG_FOR_US = {
    "chunked: Seventeen digits",
    *(f"content_length: {n}" for n in ("2^63", "2^64", "2^64 and 5", "A hundred nines")),
}


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.expect["end"].startswith("error")],
    ids=[c.name for c in CASES if c.expect["end"].startswith("error")],
)
def test_log_line_is_stocks_where_stock_refuses_too(servers, case, caplog):
    caplog.set_level(logging.INFO, "tornado.general")
    _, answer = servers.exchange(OURS, case)
    ours = tornado_lines(caplog)
    server = servers.get(STOCK, case.limits)
    caplog.clear()
    with server.connect() as client:
        client.sock.settimeout(0.3)
        try:
            stock_answer = client.send(case.request).rest()
        except (TimeoutError, ConnectionError):
            return  # stock waits for more, or accepts it: we are stricter
    server.call(lambda: None)
    stock = tornado_lines(caplog)
    if not stock_answer.endswith(REFUSED) or not stock:
        return  # stock accepts it, or closes without an answer: we are stricter
    assert answer == stock_answer
    assert len(ours) == len(stock) == 1 and ours[0][0] == stock[0][0]
    if case.name not in TOO_LONG_FOR_US:
        # Stock quotes the offending text, in some cases differently or where we say less.
        assert ours[0][1].split()[:7] == stock[0][1].split()[:7]


# ---- damaged requests ----


@pytest.mark.parametrize("seed", range(4))
def test_damaged_requests(seed, caplog):
    """500 connections for each seed; the server still answers a clean request."""
    caplog.set_level(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    rng = random.Random(seed)

    def callback(request):
        request.connection.set_close_callback(lambda: None)
        for name in ("arguments", "files", "cookies", "headers", "host_name", "remote_ip", "protocol"):
            getattr(request, name)
        repr(request), list(request.headers.get_all()), request.full_url()
        if request.path == "/probe":
            raw_ok(request, b"")
        elif rng_server.random() < 0.1:
            request.connection.stream.io_loop.add_callback(raw_ok, request, request.body)
        elif rng_server.random() < 0.02:
            raise ValueError("now and then")
        else:
            raw_ok(request, request.body)

    rng_server = random.Random(seed + 100)
    server = LiveServer(callback, xheaders=True, max_header_size=2000, max_body_size=2000)
    try:
        for number in range(500):
            data = b"".join(damage(rng.choice(REQUESTS), rng) for _ in range(rng.choice([1, 1, 2, 4])))
            with Client(server.address) as client:
                try:
                    while data:
                        size = rng.choice([len(data), len(data), 1, rng.randrange(1, len(data) + 1)])
                        client.send(data[:size])
                        data = data[size:] if rng.random() < 0.95 else b""
                        if rng.random() < 0.05:
                            server.call(lambda: None)
                    if rng.random() < 0.2:
                        client.reset()
                    elif rng.random() < 0.5:
                        client.sock.shutdown(socket.SHUT_WR)
                        client.rest()
                except OSError:
                    pass
            if number % 50 == 49:
                with Client(server.address) as client:
                    assert client.send(PROBE).rest() == ANSWER.replace(b": 2", b": 0")[:-2]
        server.call(lambda: None)
    finally:
        logging.getLogger("tornado").setLevel(logging.NOTSET)
        server.stop()
