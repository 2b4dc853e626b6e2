"""The handshake of a server: the same requests to stock Tornado's and to ours, natively, through delegates
and over TLS, with the same answers and log lines."""

import asyncio
import contextlib
import logging

import pytest

from support.implementations import OURS
from support.live_http import Overridden, serving
from support.live_ws import ACCEPT, KEY, TEXT, WAYS, Peer, frame, live, request, text, without_date
from support.web_servers import collecting


def make_handlers(implementation):
    web, websocket = implementation.web, implementation.websocket

    class Echo(websocket.WebSocketHandler):
        def open(self, *args, **kwargs):
            self.opened = args, kwargs

        def on_message(self, message):
            self.write_message(message if message != "opened" else repr(self.opened))

    class Headers(Echo):
        def set_default_headers(self):
            self.set_header("X-Default", "yes")
            self.set_header("Server", "mine")

        def prepare(self):
            self.set_header("X-Prepare", "yes")
            self.add_header("X-Several", "1")
            self.add_header("X-Several", "2")
            self.set_header("Content-Type", "text/x")
            self.set_cookie("cookie", "value")

    class AsyncPrepare(Echo):
        async def prepare(self):
            await asyncio.sleep(0.001)
            self.set_header("X-Prepare", "late")

    class Stopped(Echo):
        def prepare(self):
            self.set_status(401)
            self.finish("no")

    class Failing(Echo):
        def prepare(self):
            raise web.HTTPError(402, "pay")

    class Friends(Echo):
        def prepare(self):
            self.friend = self.get_argument("friend", "")

        def check_origin(self, origin):
            return origin == self.friend

    class Protocols(Echo):
        def select_subprotocol(self, subprotocols):
            self.set_header("X-Offered", repr(subprotocols))
            return next((name for name in subprotocols if name.startswith("good")), None)

        def open(self):
            self.write_message(repr(self.selected_subprotocol))

    class Bad(Echo):
        def select_subprotocol(self, subprotocols):
            return "never offered"

    class Upgrades(Echo):
        """As engineio's: everything else is HTTP."""

        async def get(self, *args):
            if self.request.headers.get("Upgrade", "").lower() == "websocket":
                coroutine = super().get(*args)
                assert asyncio.iscoroutine(coroutine)
                await coroutine
            else:
                self.write("plain")

        def post(self, *args):
            self.write(self.request.body)

        def options(self, *args):
            self.set_status(204)

    class Refusing(Echo):
        def get_websocket_protocol(self):
            return None

    @web.stream_request_body
    class Streamed(Echo):
        def data_received(self, chunk):
            pass

    return [
        ("/", Echo),
        ("/path/([a-z]+)/(.*)", Echo),
        ("/named/(?P<one>[a-z]+)", Echo),
        ("/headers", Headers),
        ("/async", AsyncPrepare),
        ("/stopped", Stopped),
        ("/failing", Failing),
        ("/friends", Friends),
        ("/protocols", Protocols),
        ("/bad", Bad),
        ("/upgrades", Upgrades),
        ("/refusing", Refusing),
        ("/streamed", Streamed),
    ]


@pytest.fixture(scope="module")
def servers():
    with contextlib.ExitStack() as stack:
        settings = {"trusted_origins": ["http://trusted.test"]}
        yield {way: stack.enter_context(live(make_handlers, way, **settings)) for way in ("stock", *WAYS)}


def answer(server, data):
    """Head and body of the answer to a request, with the lines of the log."""
    with collecting(logging.DEBUG) as log, server.connect() as peer:
        head, body = peer.send(data).answer(head_only=data.startswith(b"HEAD"))
        server.settle()
        lines = [
            (name, level, said.replace("='https'", "='http'"), kind) for name, level, said, kind in log.take()
        ]
        return without_date(head), body, lines


ACCEPTED = {
    "usual": request(),
    "other case": request(Upgrade="WebSocket", Connection="UPGRADE"),
    "more tokens": request(Connection="keep-alive, Upgrade"),
    "a name in lower case": request(
        without=["Sec-WebSocket-Key"], more=[f"sec-websocket-key: {KEY.decode()}"]
    ),
    "close among the tokens": request(Connection="close, Upgrade"),
    "a header twice": request(Connection="keep-alive", more=["Connection: upgrade"]),
    "1.0": request(version="1.0"),
    "own origin": request(Origin="http://example.test"),
    "own origin, with a path": request(Origin="https://EXAMPLE.test/page"),
    "own origin, with a port": request(Host="example.test:81", Origin="http://example.test:81"),
    "trusted origin": request(Origin="http://trusted.test"),
    "same origin by the browser's word": request(Origin="http://x.test", Sec_Fetch_Site="same-origin"),
    "none by the browser's word": request(Sec_Fetch_Site="none"),
    "trusted, of another site": request(Origin="http://trusted.test", Sec_Fetch_Site="cross-site"),
    "friend": request("/friends?friend=http://friend.test", Origin="http://friend.test"),
    "headers": request("/headers"),
    "prepare that waits": request("/async"),
    "subprotocols": request("/protocols", Sec_WebSocket_Protocol="bad, good1,good2"),
    "subprotocols on two lines": request(
        "/protocols", Sec_WebSocket_Protocol="bad", more=["Sec-WebSocket-Protocol: good"]
    ),
    "subprotocols, none fits": request("/protocols", Sec_WebSocket_Protocol="bad"),
    "no subprotocols": request("/protocols"),
    "empty subprotocols": request("/protocols", Sec_WebSocket_Protocol=""),
    "get that is overridden": request("/upgrades"),
    "an extension that is not wanted": request(Sec_WebSocket_Extensions="permessage-deflate"),
    "streamed": request("/streamed"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(servers, way, case):
    stock, ours = (answer(servers[each], ACCEPTED[case]) for each in ("stock", way))
    assert stock[0].startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-Websocket-Accept: " + ACCEPT in stock[0]
    assert ours == stock


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", [{"Connection": "close, Upgrade"}, {"version": "1.0"}])
def test_what_would_end_an_http_connection_does_not_end_a_websocket(servers, way, change):
    with servers[way].connect() as peer:
        assert b"\r\nConnection: Upgrade\r\n" in peer.open("/", **change)
        assert peer.send(text("hi")).message() == "hi"


@pytest.mark.parametrize("overridden", [False, True])
def test_a_server_that_keeps_no_connection_alive(overridden):
    application = OURS.web.Application(make_handlers(OURS))
    server = Overridden if overridden else OURS.httpserver.HTTPServer
    with serving(None, make=lambda: server(application, no_keep_alive=True)) as live_server:
        with Peer(live_server.address) as peer:
            assert b"\r\nConnection: Upgrade\r\n" in peer.open("/")
            assert peer.send(text("hi")).message() == "hi"


REFUSED = {
    "a plain GET": request(without=["Upgrade", "Connection"]),
    "no Upgrade": request(without=["Upgrade"]),
    "another Upgrade": request(Upgrade="h2c"),
    "several upgrades": request(Upgrade="websocket, h2c"),
    "no Connection": request(without=["Connection"]),
    "another Connection": request(Connection="keep-alive"),
    "no key": request(without=["Sec-WebSocket-Key"]),
    "an empty key": request(Sec_WebSocket_Key=""),
    "no version": request(without=["Sec-WebSocket-Version"]),
    "version 8": request(Sec_WebSocket_Version="8"),
    "version 14": request(Sec_WebSocket_Version="14"),
    "two versions": request(Sec_WebSocket_Version="13, 8"),
    "another origin": request(Origin="http://evil.test"),
    "another origin in http": request(Origin="http://evil.test", without=["Sec-WebSocket-Key"]),
    "another scheme's origin": request(Origin="example.test"),
    "null": request(Origin="null"),
    "another site": request(Origin="http://example.test", Sec_Fetch_Site="cross-site"),
    "another site without origin": request(Sec_Fetch_Site="same-site"),
    "no friend": request("/friends?friend=http://friend.test", Origin="http://evil.test"),
    "no Host": request(without=["Host"], version="1.0"),
    "prepare that answers": request("/stopped"),
    "prepare that fails": request("/failing"),
    "a subprotocol that was not offered": request("/bad", Sec_WebSocket_Protocol="a"),
    "POST": request(method="POST", Content_Length="0"),
    "HEAD": request(method="HEAD"),
    "plain": request("/upgrades", without=["Upgrade"]),
    "plain POST": request("/upgrades", method="POST", Content_Length="2") + b"hi",
    "plain OPTIONS": request("/upgrades", method="OPTIONS"),
    "a handler that refuses": request("/refusing"),
    "nowhere": request("/nowhere"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(servers, way, case):
    stock, ours = (answer(servers[each], REFUSED[case]) for each in ("stock", way))
    assert not stock[0].startswith(b"HTTP/1.1 101")
    assert ours == stock


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "key", ["a", "YQ==", "dGhlIHNhbXBsZSBub25jZQ", KEY.decode() + "AAAA", "!" + KEY.decode()[1:]]
)
def test_a_key_that_is_not_16_bytes(servers, way, key):
    """Stock takes any."""
    head, body, log = answer(servers[way], request(Sec_WebSocket_Key=key))
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert body == b"Missing/Invalid WebSocket headers"
    assert ("tornado.general", "DEBUG", body.decode(), None) in log


@pytest.mark.parametrize("way", ["stock", *WAYS])
@pytest.mark.parametrize(
    "path, arguments",
    [
        ("/", "((), {})"),
        ("/path/abc/", "(('abc', ''), {})"),
        ("/path/abc/%C3%A4%2F", "(('abc', '\u00e4/'), {})"),
        ("/named/abc", "((), {'one': 'abc'})"),
    ],
)
def test_open_gets_what_the_groups_matched(servers, way, path, arguments):
    with servers[way].connect() as peer:
        peer.open(path)
        assert peer.send(text("opened")).message() == arguments


@pytest.mark.parametrize("way", ["stock", *WAYS])
@pytest.mark.parametrize("path", ["/", "/async", "/upgrades", "/streamed"])
def test_frames_behind_the_handshake(servers, way, path):
    """In the same segment, and cut anywhere."""
    data = request(path) + text("one") + text("two") + frame(TEXT, b"th", fin=False) + frame(0, b"ree")
    head = len(request(path))
    for cut in (len(data), head - 1, head, head + 1, head + 5, head + 8, len(data) - 1):
        with servers[way].connect() as peer:
            peer.send(data[:cut])
            servers[way].settle()
            peer.send(data[cut:])
            peer.head()
            assert [peer.message() for _ in range(3)] == ["one", "two", "three"]


@pytest.mark.parametrize("way", ["stock", *WAYS])
def test_a_refused_connection_is_kept_alive(servers, way):
    with servers[way].connect() as peer:
        for _ in range(2):
            head, body = peer.send(request(Upgrade="h2c")).answer()
            assert head.startswith(b"HTTP/1.1 400") and body
        head, _ = peer.send(request(Sec_WebSocket_Version="12", Connection="keep-alive, Upgrade")).answer()
        assert head.startswith(b"HTTP/1.1 426 Upgrade Required") and b"Sec-Websocket-Version: 13" in head
        assert peer.open().startswith(b"HTTP/1.1 101")
        assert peer.send(text("hello")).message() == "hello"


DEFLATE = {
    "permessage-deflate": "permessage-deflate",
    "permessage-deflate; client_max_window_bits": "permessage-deflate",
    "permessage-deflate; client_max_window_bits=10": "permessage-deflate; client_max_window_bits=10",
    "permessage-deflate; server_max_window_bits=9": "permessage-deflate; server_max_window_bits=9",
    'permessage-deflate; server_max_window_bits="12"': "permessage-deflate; server_max_window_bits=12",
    "permessage-deflate; server_no_context_takeover": "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; client_max_window_bits": (
        "permessage-deflate; client_no_context_takeover"
    ),
    "x; y=1, permessage-deflate": "permessage-deflate",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate": "permessage-deflate",
    "permessage-deflate; mode=2, permessage-deflate; server_max_window_bits=11": (
        "permessage-deflate; server_max_window_bits=11"
    ),
    "permessage-deflate; server_max_window_bits=8": None,
    "permessage-deflate; server_max_window_bits": None,
    "permessage-deflate; server_max_window_bits=16": None,
    "permessage-deflate; server_max_window_bits=x": None,
    "permessage-deflate; client_max_window_bits=7": None,
    "permessage-deflate; server_no_context_takeover=1": None,
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover": None,
    "permessage-deflate; unknown": None,
    "permessage-deflate; =": None,
    "x-webkit-deflate-frame": None,
    ';"': None,
}


@pytest.mark.parametrize("way", WAYS)
def test_compression_is_agreed_on_or_declined(way):
    """What we cannot do is declined, and never fails the handshake."""

    def make(implementation):
        class Compressed(implementation.websocket.WebSocketHandler):
            def get_compression_options(self):
                return {}

            def on_message(self, message):
                self.write_message(message)

        return [("/", Compressed)]

    with live(make, way) as server:
        for offer, agreed in DEFLATE.items():
            with server.connect() as peer:
                head = peer.open(Sec_WebSocket_Extensions=offer)
                assert head.startswith(b"HTTP/1.1 101"), offer
                lines = [line for line in head.split(b"\r\n") if line.startswith(b"Sec-Websocket-Extensions")]
                assert lines == ([f"Sec-Websocket-Extensions: {agreed}".encode()] if agreed else []), offer
                assert peer.send(text("hello")).frame()[0] == (0xC1 if agreed else 0x81)
