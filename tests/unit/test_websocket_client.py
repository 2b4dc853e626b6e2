"""websocket_connect beside stock Tornado's: what it sends, what it takes, how it fails and how it ends. The
server is a thread that speaks bytes.
"""

import asyncio
import gc
import socket
import ssl
import struct
import subprocess
import sys
import types
import warnings
import weakref

import pytest
import tornado.httpclient

from support.children import CHILD_ENVIRONMENT
from support.implementations import BOTH, OURS, STOCK
from support.live_tcp import TLS
from support.live_ws import CLOSE, TEXT, close, frame, scripted, text
from support.web_servers import collecting

CERTIFICATE = TLS["certfile"], TLS["keyfile"]
HTTPRequest = tornado.httpclient.HTTPRequest


def outcome(implementation, serve, talk, certificate=None):
    """What the coroutine talk(implementation, port) returns or raises, and the lines of the log."""
    with collecting() as log, scripted(serve, certificate) as port:

        async def main():
            async with asyncio.timeout(20):
                try:
                    return await talk(implementation, port)
                except Exception as e:
                    return type(e).__name__, str(e).replace(str(port), "PORT"), getattr(e, "code", None)

        result = implementation.run(main())
        with warnings.catch_warnings():
            if implementation is STOCK:  # which warns of connections that it has never opened
                warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        return result, log.take()


def both(serve, talk, **options):
    ours, stock = (outcome(implementation, serve, talk, **options) for implementation in BOTH)
    assert ours[0] == stock[0]
    assert ours[1] == stock[1]
    return ours[0]


def connecting(path="/", request=None, **options):
    """A coroutine function that connects, for a request with these attributes or a URL; then says hello."""

    async def talk(implementation, port):
        url = f"ws://127.0.0.1:{port}{path}"
        connection = await implementation.websocket.websocket_connect(
            url if request is None else HTTPRequest(url, **request), **options
        )
        await connection.write_message("hello")
        message = await connection.read_message()
        connection.close()
        ended = await connection.read_message()
        return message, ended, connection.close_code

    return talk


def echo(peer, *more, **changed):
    """Agree, echo one message, answer the close."""
    said = peer.accept(*more, **changed)
    first, payload = peer.frame()
    peer.send(frame(TEXT, payload, rsv=first >> 4 & 7, mask=None))
    assert peer.frame()[0] == 0x80 | CLOSE
    peer.send(close(1000, mask=None))
    return said


async def finish(connection):
    """Close, and wait for the server's end: else the socket may be left to the collector."""
    connection.close()
    while await connection.read_message() is not None:
        pass


# ---- what is sent ----


@pytest.mark.parametrize(
    "path, request_, options",
    [
        ("/", None, {}),
        ("", None, {}),
        ("/path?query=1&x", None, {}),
        ("?query", None, {}),
        ("/", None, {"subprotocols": ["one", "two"]}),
        ("/", None, {"subprotocols": []}),
        ("/", None, {"compression_options": {}}),
        ("/", None, {"connect_timeout": 30}),
        ("/", {"headers": {"X-Mine": "yes", "Host": "example.test", "User-Agent": "me"}}, {}),
        ("/", {"headers": {"Connection": "x", "Upgrade": "y", "Sec-WebSocket-Version": "1"}}, {}),
        ("/", {"user_agent": "me", "decompress_response": False}, {}),
        ("/", {"auth_username": "\u00e4", "auth_password": "p"}, {}),
        ("/", {"auth_username": "a", "auth_mode": "basic"}, {}),
        ("/", {"method": "POST", "body": "abc"}, {}),
        ("/", {"method": "GET", "body": "abc", "allow_nonstandard_methods": True}, {}),
        ("/", {"network_interface": "127.0.0.1", "allow_ipv6": False}, {}),
        ("/", {"connect_timeout": 0, "request_timeout": 0}, {}),
    ],
)
def test_the_request(path, request_, options):
    said = []

    def serve(peer):
        asked = echo(peer)
        if "content-length" in asked:
            return
        asked["sec-websocket-key"] = len(asked["sec-websocket-key"])
        said.append(
            {
                name: str(value).replace(str(peer.sock.getsockname()[1]), "PORT")
                for name, value in asked.items()
            }
        )

    def with_body(peer):
        # The body comes behind the head.
        asked = peer.accept()
        body = peer.exactly(int(asked["content-length"]))
        said.append((asked[""], body, asked.get("content-type")))
        peer.send(frame(TEXT, peer.frame()[1], mask=None))
        peer.frame()
        peer.send(close(1000, mask=None))

    body = request_ is not None and "body" in request_
    assert both(with_body if body else serve, connecting(path, request_, **options)) == ("hello", None, 1000)
    assert said[0] == said[1]


def test_user_and_password_in_the_url():
    said = []

    def serve(peer):
        said.append({name: value for name, value in echo(peer).items() if name in ("authorization", "host")})

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://me:secret@127.0.0.1:{port}/")
        await connection.write_message("x")
        await finish(connection)
        return connection.parsed_hostname, connection.parsed.username

    assert both(serve, talk) == ("127.0.0.1", "me")
    assert [each["authorization"] for each in said] == ["Basic bWU6c2VjcmV0"] * 2


@pytest.mark.parametrize("how", ["HTTPRequest", "namespace", "dict of headers", "lists"])
def test_any_object_with_the_attributes(how):
    """It is left as it is."""
    said = []

    def serve(peer):
        said.append(echo(peer))

    async def talk(implementation, port):
        url = f"ws://127.0.0.1:{port}/"
        headers = {"X-Mine": "yes"}
        if how == "HTTPRequest":
            request = HTTPRequest(url, headers=headers)
        elif how == "namespace":
            request = types.SimpleNamespace(url=url, headers=headers, request_timeout=30)
        elif how == "lists":
            request = types.SimpleNamespace(url=url, headers=list(headers.items()))
        else:
            request = HTTPRequest(url)
            request.headers = headers
        before = dict(vars(request))
        connection = await implementation.websocket.websocket_connect(request)
        await connection.write_message("hello")
        await finish(connection)
        assert connection.request.headers["X-Mine"] == "yes"
        assert connection.request.url.startswith("http://")
        assert vars(request) == before and dict(request.headers) == headers

    assert outcome(OURS, serve, talk)[0] is None
    assert said[0]["x-mine"] == "yes"


def test_a_request_is_used_again():
    """As programs do that connect again and again."""
    hosts = []

    def serve(peer):
        hosts.append(echo(peer)["host"])

    async def talk(implementation, port):
        request = HTTPRequest(f"ws://127.0.0.1:{port}/")
        for name in ("127.0.0.1", "localhost"):
            request.url = f"ws://{name}:{port}/"
            connection = await implementation.websocket.websocket_connect(request)
            await connection.write_message("x")
            await finish(connection)

    assert outcome(OURS, serve, talk)[0] is None
    assert hosts[0] != hosts[1]


def test_the_keys_differ():
    keys = []

    def serve(peer):
        keys.append(echo(peer)["sec-websocket-key"])

    for _ in range(3):
        outcome(OURS, serve, connecting())
    assert len(set(keys)) == 3


def test_frames_are_masked_each_in_its_own_way():
    masks = set()

    def serve(peer):
        peer.accept()
        for _ in range(500):
            head = peer.exactly(2)
            assert head == b"\x81\x85"
            masks.add(peer.exactly(4))
            peer.exactly(5)

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        for _ in range(500):
            connection.write_message("hello")
        assert await connection.read_message() is None
        connection.close()

    outcome(OURS, serve, talk)
    assert len(masks) > 490


# ---- what is taken ----


@pytest.mark.parametrize(
    "more, changed",
    [
        ([], {}),
        (["X-Other: 1"], {"upgrade": "WebSocket"}),
        (["Sec-WebSocket-Protocol: two"], {}),
        (["sec-websocket-extensions: permessage-deflate"], {}),
        (["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9"], {}),
    ],
)
def test_answers_that_are_taken(more, changed):
    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(
            f"ws://127.0.0.1:{port}/", subprotocols=["one", "two"], compression_options={}
        )
        said = connection.selected_subprotocol, connection.headers.get("X-Other")
        await finish(connection)
        return said

    both(lambda peer: (peer.accept(*more, **changed), peer.frame()), talk)


@pytest.mark.parametrize(
    "more, changed",
    [
        ([], {"connection": "keep-alive, upgrade"}),
        (["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"], {}),
        (["Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"], {}),
        (["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8"], {}),
        (["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"], {}),
    ],
)
def test_answers_that_only_ours_takes(more, changed):
    result, log = outcome(
        OURS, lambda peer: echo(peer, *more, **changed), connecting(compression_options={"mem_level": 1})
    )
    assert log == []


REFUSED = {
    "accept": ([], {"accept": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
    "upgrade": ([], {"upgrade": "h2c"}),
    "connection": ([], {"connection": "close"}),
    "extension": (["Sec-WebSocket-Extensions: x"], {}),
    "compression": (["Sec-WebSocket-Extensions: permessage-deflate"], {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_answers_that_are_refused(case):
    more, changed = REFUSED[case]
    (ours, log), (stock, stock_log) = (
        outcome(each, lambda peer: (peer.accept(*more, **changed), peer.rest()), connecting())
        for each in BOTH
    )
    assert ours[0] == stock[0] == "StreamClosedError"
    assert [line[:3] for line in log] == [line[:3] for line in stock_log]
    assert log[0][:3] == ("tornado.application", "ERROR", "Uncaught exception")


@pytest.mark.parametrize(
    "more",
    [
        ["Sec-WebSocket-Protocol: three"],
        ["Sec-WebSocket-Protocol: one, two"],
        ["Sec-WebSocket-Extensions: permessage-deflate; x"],
        ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
        ["Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"],
        ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; client_max_window_bits"],
    ],
)
def test_what_was_not_asked_for(more):
    """The error says why."""

    async def talk(implementation, port):
        with pytest.raises(implementation.iostream.StreamClosedError) as failure:
            await implementation.websocket.websocket_connect(
                f"ws://127.0.0.1:{port}/", subprotocols=["one", "two"], compression_options={}
            )
        return type(failure.value.real_error).__name__

    assert outcome(OURS, lambda peer: (peer.accept(*more), peer.rest()), talk)[0] == "ValueError"


def test_frames_behind_the_answer():
    """In the same segment."""

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        messages = [await connection.read_message() for _ in range(3)]
        connection.close()
        return messages, connection.close_code, connection.close_reason

    behind = text("one", mask=None) + text("two", mask=None) + close(4000, "end", mask=None)
    result = both(lambda peer: (peer.accept(behind=behind), peer.rest()), talk)
    assert result == (["one", "two", None], 4000, "end")


# ---- how it fails ----


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
        b"HTTP/1.1 500 Internal\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        b"not HTTP\r\n\r\n",
        b"HTTP/1.1 ",
        b"",
    ],
)
def test_answers_that_do_not_agree(answer):
    both(lambda peer: (peer.asked(), peer.send(answer)), connecting())


def test_what_an_error_carries():
    async def talk(implementation, port):
        with pytest.raises(tornado.httpclient.HTTPClientError) as failure:
            request = HTTPRequest(f"ws://127.0.0.1:{port}/x", headers={"X": "y"})
            await implementation.websocket.websocket_connect(request)
        error = failure.value
        response = error.response
        assert type(response) is tornado.httpclient.HTTPResponse
        assert response.request is request and response.effective_url == f"http://127.0.0.1:{port}/x"
        assert 0 <= response.request_time < 20 and response.start_time > 1e9
        return (
            error.code,
            error.message,
            response.code,
            response.reason,
            response.body,
            response.headers["X-Y"],
        )

    answer = b"HTTP/1.1 403 Not today\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nno"
    expected = (403, "Not today", 403, "Not today", b"no", "z")
    assert both(lambda peer: (peer.asked(), peer.send(answer)), talk) == expected


@pytest.mark.parametrize(
    "options",
    [
        *(
            {name: "x"}
            for name in ("proxy_host", "proxy_port", "proxy_username", "proxy_password", "proxy_auth_mode")
        ),
        {"method": "FOO"},
        {"method": "POST"},
        {"body": "x"},
        {"auth_username": "x", "auth_mode": "digest"},
        {"network_interface": "nowhere"},
    ],
)
def test_requests_that_are_refused(options):
    both(lambda peer: peer.rest(), connecting(request=options))


def test_time_limits():
    """All end with 599."""
    silent = lambda peer: peer.rest()  # noqa: E731
    assert both(silent, connecting(request={"request_timeout": 1}))[1] == "Timeout during request"
    result = both(silent, connecting(connect_timeout=0.000001))
    assert result[0] == "HTTPTimeoutError" and result[2] == 599


def test_time_limit_of_tls():
    async def talk(implementation, port):
        request = HTTPRequest(f"wss://127.0.0.1:{port}/", connect_timeout=0.05)
        await implementation.websocket.websocket_connect(request)

    for implementation in BOTH:
        name, _, code = outcome(implementation, lambda peer: peer.rest(), talk)[0]
        assert (name, code) == ("HTTPTimeoutError", 599)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "foo", "", "wss", "WS://127.0.0.1:1/"])
def test_schemes_that_are_none(url):
    async def talk(implementation, port):
        await implementation.websocket.websocket_connect(url)

    both(None, talk)


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def talk(implementation, _):
            with pytest.raises(ConnectionRefusedError):
                await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")

        both(None, talk)


def test_a_resolver_of_the_programs_own():
    async def talk(implementation, port):
        asked = []

        class Resolver(implementation.netutil.Resolver):
            def initialize(self):
                pass

            async def resolve(self, host, port, family=0):
                asked.append(host)
                return [(socket.AF_INET, ("127.0.0.1", port))]

            def close(self):
                asked.append("closed")

        resolver = Resolver()
        url = f"ws://somewhere.test:{port}/"
        connection = await implementation.websocket.websocket_connect(url, resolver=resolver)
        await connection.write_message("x")
        await finish(connection)
        return asked

    assert both(echo, talk) == ["somewhere.test"]


# ---- TLS ----


def test_tls():
    async def talk(implementation, port):
        url = f"wss://localhost:{port}/"
        connect = implementation.websocket.websocket_connect
        for options in ({"validate_cert": False}, {"ssl_options": {"cert_reqs": ssl.CERT_NONE}}):
            connection = await connect(HTTPRequest(url, **options))
            assert isinstance(connection.stream, implementation.iostream.SSLIOStream)
            await connection.write_message("hello")
            assert await connection.read_message() == "hello"
            connection.close()
            assert await connection.read_message() is None
        with pytest.raises(ssl.SSLError):
            await connect(url)

    for implementation in BOTH:
        assert outcome(implementation, echo, talk, certificate=CERTIFICATE)[0] is None


# ---- what it can do ----


def test_attributes():
    async def talk(implementation, port):
        websocket = implementation.websocket
        future = websocket.websocket_connect(
            f"ws://127.0.0.1:{port}/x", ping_interval=100, max_message_size=77
        )
        connection = await future
        assert connection.connect_future is future and future.result() is connection
        assert isinstance(connection, websocket.WebSocketClientConnection)
        assert isinstance(connection.protocol, websocket.WebSocketProtocol13)
        assert connection.protocol.stream is connection.stream and connection.protocol.mask_outgoing
        assert connection.protocol.handler is connection
        assert (
            connection.tcp_client.resolver is not None
            and connection.io_loop is implementation.ioloop.IOLoop.current()
        )
        assert connection.connection.stream is None
        state = [
            connection.parsed.netloc == f"127.0.0.1:{port}",
            connection.parsed_hostname,
            connection.client,
        ]
        state += [
            connection.params.max_message_size,
            connection.params.ping_interval,
            connection.params.ping_timeout,
        ]
        state += [connection.close_code, connection.close_reason, connection.code, connection.chunks]
        state += [connection.final_callback, connection.read_queue.maxsize, connection.read_queue.qsize()]
        state += [connection.max_buffer_size, connection.max_header_size, connection.max_body_size]
        await connection.write_message("hello")
        state.append(await connection.read_message())
        connection.close(1001, "bye")
        state += [connection.protocol, await connection.read_message()]
        for method in (connection.write_message, connection.ping):
            with pytest.raises(websocket.WebSocketClosedError) as failure:
                method("x")
            state.append(str(failure.value))
        return state

    both(echo, talk)


def test_messages_wait_for_readers():
    """In order, however many readers there are, and None at the end."""

    def serve(peer):
        peer.accept()
        for n in range(10):
            peer.send(text(f"{n}", mask=None))
        peer.frame()

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        seen = list(await asyncio.gather(*(connection.read_message() for _ in range(4))))
        cancelled = [connection.read_message() for _ in range(2)]
        seen += [await each for each in cancelled]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        got = asyncio.get_running_loop().create_future()
        connection.read_message(got.set_result)
        seen.append((await got).result())
        seen += [await asyncio.wait_for(connection.read_message(), 5) for _ in range(3)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.read_message(), 0.01)
        connection.close()
        seen.append(await connection.read_message())
        return seen

    assert both(serve, talk) == [*"0123456789", None]


def test_a_callback_for_messages():
    async def talk(implementation, port):
        seen = asyncio.Queue()
        connection = await implementation.websocket.websocket_connect(
            f"ws://127.0.0.1:{port}/", on_message_callback=seen.put_nowait
        )
        await connection.write_message("hello")
        first = await seen.get()
        connection.close()
        return first, await seen.get(), connection.close_code

    assert both(echo, talk) == ("hello", None, 1000)


def test_a_callback_for_the_connection():
    async def talk(implementation, port):
        future = asyncio.get_running_loop().create_future()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/", future.set_result)
        connection = (await future).result()
        await finish(connection)
        assert warned[0].filename == __file__
        return [(each.category, str(each.message)) for each in warned]

    both(lambda peer: (peer.accept(), peer.frame()), talk)


def test_a_subclass_made_directly():
    """As jupyter-server-proxy's, over Tornado's own _RequestProxy."""

    def serve(peer):
        peer.accept(behind=frame(9, b"ping", mask=None))
        assert peer.frame() == (0x8A, b"ping")
        peer.frame()

    async def talk(implementation, port):
        pinged = asyncio.get_running_loop().create_future()

        class Pingable(implementation.websocket.WebSocketClientConnection):
            def __init__(self, **kwargs):
                self._on_ping_callback = kwargs.pop("on_ping_callback")
                super().__init__(**kwargs)

            def on_ping(self, data):
                self._on_ping_callback(data)

        request = HTTPRequest(f"ws://127.0.0.1:{port}/")
        request.headers = implementation.httputil.HTTPHeaders(request.headers)
        proxy = tornado.httpclient._RequestProxy(request, HTTPRequest._DEFAULTS)
        connection = await Pingable(
            request=proxy,
            on_message_callback=None,
            on_ping_callback=pinged.set_result,
            compression_options=None,
            subprotocols=["a"],
            max_message_size=1000,
        ).connect_future
        data = await pinged
        await finish(connection)
        return data, proxy.headers["Sec-WebSocket-Protocol"]

    assert both(serve, talk) == (b"ping", "a")


def test_pings_of_its_own():
    def serve(peer):
        peer.accept()
        first, payload = peer.frame()
        peer.send(frame(10, payload, mask=None))
        peer.frame()

    async def talk(implementation, port):
        ponged = asyncio.get_running_loop().create_future()

        class Connection(implementation.websocket.WebSocketClientConnection):
            def on_pong(self, data):
                ponged.set_result(data)

        request = tornado.httpclient._RequestProxy(
            HTTPRequest(f"ws://127.0.0.1:{port}/"), HTTPRequest._DEFAULTS
        )
        connection = await Connection(request).connect_future
        with pytest.raises(ValueError):
            connection.ping(b"x" * 126)
        connection.ping("\u00e4")
        data = await ponged
        await finish(connection)
        return data

    assert both(serve, talk) == "\u00e4".encode()


# ---- the end ----


def test_the_server_goes_away():
    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        first = await connection.read_message()
        connection.close()
        return first, connection.close_code, connection.stream.closed()

    assert both(lambda peer: peer.accept(), talk) == (None, None, True)


def test_the_server_resets():
    def serve(peer):
        peer.accept()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        first = await connection.read_message()
        connection.close()
        return first, connection.close_code

    assert both(serve, talk) == (None, None)


def test_a_connection_that_is_dropped():
    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        stream = connection.stream
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            connection.__del__()
        connection.close()
        connection.__del__()
        stream.close()
        return [(each.category, str(each.message)) for each in warned]

    result = both(lambda peer: (peer.accept(), peer.rest()), talk)
    assert result == [(ResourceWarning, "Unclosed WebSocketClientConnection")]


def test_an_exception_in_the_callback():
    """It is logged, and the connection aborted."""

    async def talk(implementation, port):
        ended = asyncio.Event()

        def callback(message):
            if message is None:
                ended.set()
            else:
                raise ZeroDivisionError("in the callback")

        connection = await implementation.websocket.websocket_connect(
            f"ws://127.0.0.1:{port}/", on_message_callback=callback
        )
        await ended.wait()
        connection.close()

    both(lambda peer: (peer.accept(behind=text("x", mask=None)), peer.rest()), talk)


# ---- without Tornado ----

WITHOUT = """
import asyncio, sys
sys.modules["tornado"] = None
from tornado_c import web, websocket

class Echo(websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)

class No(web.RequestHandler):
    def get(self):
        self.set_status(403, "No")
        self.write("not here")

async def main():
    server = web.Application([("/", Echo), ("/no", No)]).listen(0, "127.0.0.1")
    (listener,) = server._sockets.values()
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
    connection = await websocket.websocket_connect(url, connect_timeout=30)
    await connection.write_message("hello")
    print(await connection.read_message())
    connection.close()
    print(await connection.read_message())
    try:
        await websocket.websocket_connect(url + "/no")
    except Exception as e:
        print(type(e).__name__, e, e.code, e.message, e.response.code, e.response.reason, e.response.body)
        print(e.response.headers["Content-Length"], e.response.request.url, e.response.error is e)
    try:
        connection.read_queue.get_nowait()
    except asyncio.QueueEmpty:
        print("empty")
    kept = []  # a StreamWriter that nobody keeps closes its connection, from 3.13 on
    silent = await asyncio.start_server(lambda reader, writer: kept.append(writer), "127.0.0.1", 0)
    request = type("R", (), {"url": url.rpartition(":")[0] + f":{silent.sockets[0].getsockname()[1]}"})()
    request.request_timeout = 1
    try:
        await websocket.websocket_connect(request)
    except Exception as e:
        print(type(e).__name__, e, e.code, e.response)
    server.stop()

asyncio.run(main())
"""


def test_without_tornado():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], env=CHILD_ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["hello", "None"]
    assert lines[2] == "HTTPClientError HTTP 403: No 403 No 403 No b'not here'"
    assert lines[3].startswith("8 ws://127.0.0.1:") and lines[3].endswith("/no True")
    assert lines[4:] == ["empty", "HTTPTimeoutError Timeout during request 599 None"]


def test_nothing_is_left():
    """But the cycle through connect_future, as with Tornado."""

    async def talk(implementation, port):
        connection = await implementation.websocket.websocket_connect(f"ws://127.0.0.1:{port}/")
        await connection.write_message("x")
        await finish(connection)
        seen = [weakref.ref(each) for each in (connection, connection.stream, connection.connection)]
        del connection
        while any(each() is not None for each in seen):
            await asyncio.sleep(0.005)
            gc.collect()
        return "gone"

    assert outcome(OURS, echo, talk) == ("gone", [])
