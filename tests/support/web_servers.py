"""Two servers for the same application, ours and stock Tornado's: ``pair(make_app)`` yields a function that
sends the same bytes to both and returns what each answered and logged.
"""

from __future__ import annotations

import contextlib
import logging
import re

from support.implementations import BOTH
from support.live_http import serving


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


def without_date(data):
    return re.sub(rb"\r\nDate: [^\r]+", b"\r\nDate: -", data)


@contextlib.contextmanager
def collecting(level=logging.INFO):
    """A Collector of Tornado's three loggers."""
    collector = Collector()
    loggers = [logging.getLogger("tornado." + name) for name in ("access", "application", "general")]
    levels = [(each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.addHandler(collector)
        each.setLevel(level)
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
    """Both servers. The function it yields returns {"ours": (answer, log), "stock": (answer, log)}."""
    with collecting() as collector, contextlib.ExitStack() as stack:
        servers = {
            each.name: stack.enter_context(serving(make_app(each.web), each, **options)) for each in BOTH
        }

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


def gets(prefix, names):
    """{path: its GET} for the paths that begin so."""
    return {prefix + name: request(prefix + name) for name in names.split()}


def heads(*paths):
    return {f"HEAD {path}": request(path, "HEAD") for path in paths}


def without_body(*lines):
    """{line: its request} for lines like "POST /path"."""
    return {line: request(*reversed(line.split()), headers=["Content-Length: 0"]) for line in lines}


def same(outcome):
    """Both answered something, and the same bytes but for the Date, and logged the same lines."""
    assert outcome["ours"][0] == outcome["stock"][0]
    assert outcome["ours"][1] == outcome["stock"][1]
    assert outcome["ours"][0]


def body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def hello(web):
    """A handler that greets GET and HEAD."""

    class Hello(web.RequestHandler):
        def get(self):
            self.write("Hello, world")

        def head(self):
            self.write("Hello, world")

    return Hello
