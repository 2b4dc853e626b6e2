"""WebSocket behind nginx and HAProxy, over TCP and TLS. Both end a connection on which nothing has come for
two seconds: pings keep it.
"""

import asyncio
import secrets

import pytest

from support.implementations import OURS
from support.live_http import LiveServer, wait_for
from support.live_ws import Peer, close, frame, request, text
from support.proxies import Proxy, make_certificate
from tornado_c import web, websocket

LIMIT = 2.0  # seconds, of the proxies


class Echo(websocket.WebSocketHandler):
    ended: dict = {}  # by the query of its request
    ping_interval = 0

    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        request = self.request
        self.ended[request.query] = request.remote_ip, request.protocol, self.close_code, self.close_reason


class Pinging(Echo):
    ping_interval = LIMIT / 2  # also the time in which a client must answer


@pytest.fixture(
    scope="module", params=[(name, link) for name in ("nginx", "haproxy") for link in ("tcp", "tls")]
)
def port(request, tmp_path_factory):
    name, link = request.param
    folder = tmp_path_factory.mktemp("proxy")
    folder.chmod(0o755)
    settings = {"ssl_options": make_certificate(folder)} if link == "tls" else {}
    application = web.Application([("/socket/echo", Echo), ("/socket/pinging", Pinging)])
    server = LiveServer(application, xheaders=True, **settings)
    try:
        proxy = Proxy(name, link, server.address, folder)
        try:
            yield proxy.port
        finally:
            proxy.stop()
    finally:
        server.stop()


def run(main):
    async def limited():
        async with asyncio.timeout(30):
            await main()

    OURS.run(limited())


def url(port, path="echo"):
    return f"ws://127.0.0.1:{port}/socket/{path}"


@pytest.mark.parametrize("options", [{}, {"compression_options": {}}])
def test_messages_both_ways_and_the_close(port, options):
    async def main():
        connection = await websocket.websocket_connect(url(port, f"echo?{name}"), **options)
        assert ("Sec-WebSocket-Extensions" in connection.headers) == bool(options)
        for message in ("hello", "", "x" * 1_000_000, bytes(100_000)):
            connection.write_message(message, binary=isinstance(message, bytes))
            assert await connection.read_message() == message
        connection.close(4000, "bye")
        assert await connection.read_message() is None
        assert connection.close_code == 4000

    name = secrets.token_hex(8)
    run(main)
    # The client may see the end before the server's thread tells its handler.
    assert wait_for(lambda: Echo.ended.get(name)) == ("127.0.0.1", "https", 4000, "bye")


def test_frames_behind_the_handshake(port):
    with Peer(("127.0.0.1", port)) as peer:
        peer.send(request("/socket/echo") + text("one") + frame(1, b"tw", fin=False) + frame(0, b"o"))
        assert b" 101 " in peer.head()
        assert [peer.message(), peer.message()] == ["one", "two"]
        assert peer.send(close(1001)).frame() == (0x88, (1001).to_bytes(2))


def test_pings_keep_it(port):
    """Without them the proxy ends it."""

    async def main():
        pinged, quiet = [await websocket.websocket_connect(url(port, path)) for path in ("pinging", "echo")]
        assert await quiet.read_message() is None
        await asyncio.sleep(LIMIT / 2)
        pinged.write_message("still here")
        assert await pinged.read_message() == "still here"
        for connection in (pinged, quiet):
            connection.close()
        await pinged.read_message()

    run(main)


def test_another_origin(port):
    """The proxies pass Host and Origin on."""
    with Peer(("127.0.0.1", port)) as peer:
        head = peer.open("/socket/echo", Origin="http://elsewhere.test")
        assert b" 403 " in head
    with Peer(("127.0.0.1", port)) as peer:
        assert b" 101 " in peer.open("/socket/echo", Origin="http://example.test")
