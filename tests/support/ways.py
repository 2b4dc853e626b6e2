"""Servers of an application, each way on which a request may reach it, and raw clients for them."""

from __future__ import annotations

import contextlib
import ssl

from support.implementations import OURS, STOCK
from support.live_http import Client, LiveServer, Overridden, serving
from support.live_tcp import TLS, over_tls

#: Natively, through the Python classes, under TLS.
WAYS = ["native", "python", "tls"]


def implementation_of(way):
    return STOCK if way == "stock" else OURS


class Server:
    """A server in a thread; clients that speak its language."""

    def __init__(self, live, tls):
        self.live, self.tls = live, tls

    def connect(self):
        client = Client(self.live.address)
        if self.tls:
            client.sock = over_tls(client.sock)
        return client

    def exchange(self, data):
        """What the server sends on a connection of its own, until it ends it."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.send(data)
            answer = client.rest()
        self.live.settle()
        return answer


@contextlib.contextmanager
def serve(way, app, **options):
    """A Server of `app`, of stock Tornado's, or of ours on one of the WAYS; natively for any other name."""
    if way == "tls":
        options["ssl_options"] = TLS
    if way == "python":
        live = LiveServer(None, make=lambda: Overridden(app, **options))
        try:
            yield Server(live, False)
        finally:
            live.stop()
    else:
        with serving(app, implementation_of(way), **options) as live:
            yield Server(live, way == "tls")


def chunked_body(body, size=1000):
    """A body in chunks of so many bytes."""
    pieces = (body[i : i + size] for i in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
