"""Two servers for the same application: stock Tornado's and ours, each with its loop in a thread of its own.

``pair(make_app)`` yields a function that sends the same bytes to both and returns what each answered and
logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import threading
from types import SimpleNamespace

import pytest

import tornado_c
import tornado_c.httpserver
import tornado_c.web

stock_web = pytest.importorskip("tornado.web")
stock_httpserver = pytest.importorskip("tornado.httpserver")
gen = pytest.importorskip("tornado.gen")

SIDES = {
    "stock": SimpleNamespace(
        web=stock_web, HTTPServer=stock_httpserver.HTTPServer, new_loop=asyncio.new_event_loop
    ),
    "ours": SimpleNamespace(
        web=tornado_c.web, HTTPServer=tornado_c.httpserver.HTTPServer, new_loop=tornado_c.new_event_loop
    ),
}


class Collector(logging.Handler):
    """Keeps (logger, level, message, exception type) of each record."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        text = re.sub(r"\d+\.\d\dms", "N.NNms", record.getMessage())
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self.lines.append((record.name, record.levelname, text, kind))

    def take(self):
        lines, self.lines = self.lines, []
        return lines


class ThreadedServer:
    """An HTTPServer in a thread; ``exchange`` is the client's side."""

    def __init__(self, side, make_app, **options):
        self.side = SIDES[side]
        self.ready = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(make_app, options))
        self.thread.start()
        assert self.ready.wait(20)
        if self.error is not None:
            raise self.error

    def _run(self, make_app, options):
        self.loop = loop = self.side.new_loop()
        asyncio.set_event_loop(loop)

        async def start():
            self.app = make_app(self.side.web)
            self.server = self.side.HTTPServer(self.app, **options)
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            self.address = listener.getsockname()
            self.server.add_sockets([listener])

        try:
            loop.run_until_complete(start())
        except Exception as e:
            self.error = e
        self.ready.set()
        if self.error is None:
            loop.run_forever()
            self.server.stop()
            loop.run_until_complete(self.server.close_all_connections())
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    def call(self, function):
        """Run a function in the loop's thread and return its result."""
        done, results = threading.Event(), []

        def run():
            try:
                results.append(function())
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(20)
        return results[0]

    def exchange(self, data):
        """Send bytes on a new connection and return everything up to its end."""
        with socket.create_connection(self.address, timeout=20) as conn:
            conn.sendall(data)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := conn.recv(65536):
                    received += piece
        for _ in range(3):
            self.call(lambda: None)
        return received

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        assert not self.thread.is_alive()


def without_date(data):
    return re.sub(rb"\r\nDate: [^\r]+", b"\r\nDate: -", data)


@contextlib.contextmanager
def collecting():
    """A Collector of Tornado's three loggers, at INFO."""
    collector = Collector()
    loggers = [logging.getLogger("tornado." + name) for name in ("access", "application", "general")]
    levels = [(each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.addHandler(collector)
        each.setLevel(logging.INFO)
        each.propagate = False
    try:
        yield collector
    finally:
        for each, (level, propagate) in zip(loggers, levels, strict=True):
            each.removeHandler(collector)
            each.setLevel(level)
            each.propagate = propagate


@contextlib.contextmanager
def pair(make_app, **options):
    """Both servers. The function it yields returns {"stock": (answer, log), "ours": (answer, log)}."""
    with collecting() as collector, contextlib.ExitStack() as stack:
        servers = {side: ThreadedServer(side, make_app, **options) for side in SIDES}
        for server in servers.values():
            stack.callback(server.close)

        def ask(data):
            outcome = {}
            for side, server in servers.items():
                collector.take()
                answer = without_date(server.exchange(data))
                outcome[side] = answer, collector.take()
            return outcome

        ask.servers = servers
        yield ask


def request(path="/", method="GET", headers=(), body=b"", version="1.1", close=True):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: example.test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body
