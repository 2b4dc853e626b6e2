"""What HTTPServer's settings do: limits of size and of time, proxies' headers, protocol, kinds of sockets."""

import asyncio
import socket

import pytest

from support.children import run_alone
from support.implementations import BOTH
from support.iostream_world import turns
from support.live_http import both, headers_ok, raw_ok, serving, talk, wait_for
from tornado_c import httpserver, netutil

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK_X = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"


def answer_x(request):
    raw_ok(request, b"x")


# ---- limits ----

LONG_HEADS = {
    "long line": b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "no end": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1000,
}


@pytest.mark.parametrize("pieces", [0, 100])
@pytest.mark.parametrize("head", LONG_HEADS.values(), ids=LONG_HEADS)
def test_long_heads_are_refused(head, pieces, caplog):
    called = []
    with serving(called.append, max_header_size=1024) as server:
        status = talk(server.address, head, pieces).split()[1]
    assert status == (b"414" if b"GET /x" in head else b"431")
    assert called == []


def test_head_of_just_the_limit():
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: "
    head += b"x" * (1024 - len(head) - 4) + b"\r\n\r\n"
    ours, stock = both(lambda request: headers_ok(request, b"x"), head, max_header_size=1024)
    assert ours == stock and b"200 OK" in ours


@pytest.mark.parametrize("size", [99, 100, 101, 5000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_long_bodies_are_refused(size, chunked, caplog):
    caplog.set_level("INFO", "tornado.general")
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    if chunked:
        data = head + b"Transfer-Encoding: chunked\r\n\r\n"
        data += (
            b"".join(b"%x\r\n%s\r\n" % (n, b"z" * n) for n in [50] * (size // 50) + [size % 50] if n)
            + b"0\r\n\r\n"
        )
    else:
        data = head + b"Content-Length: %d\r\n\r\n" % size + b"z" * size
    seen = []
    for implementation in BOTH:
        caplog.clear()
        called = []

        def callback(request, called=called):
            called.append(len(request.body))
            headers_ok(request, b"x")

        with serving(callback, implementation, max_body_size=100) as server:
            answer = talk(server.address, data)
        seen.append((answer, called, [r.getMessage() for r in caplog.records if r.name == "tornado.general"]))
    assert seen[0] == seen[1]
    assert seen[0][1] == ([size] if size <= 100 else [])


# ---- time limits: the effect, however long it takes ----


def test_the_last_connection_of_a_server_that_is_gone():
    """Its limit ends the connection, and with it what the server has left."""
    program = """if True:
        import asyncio, gc, socket
        from tornado_c.httpserver import HTTPServer
        from tornado_c.ioloop import IOLoop
        from tornado_c.netutil import bind_sockets

        async def main():
            loop = asyncio.get_running_loop()
            server = HTTPServer(lambda request: None, idle_connection_timeout=0.1)
            [listener] = bind_sockets(0, "127.0.0.1")
            server.add_socket(listener)
            client = socket.create_connection(listener.getsockname())
            client.setblocking(False)
            await asyncio.sleep(0.05)
            server.stop()
            del server
            gc.collect()
            print(await loop.sock_recv(client, 10))
            await asyncio.sleep(0.01)

        IOLoop.current().run_sync(main)
    """
    assert run_alone(program) == "b''\n"


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", GET, GET + b"GET"], ids=["silent", "in the head", "idle", "in the next head"]
)
def test_idle_connection_timeout(data, caplog):
    with serving(answer_x, idle_connection_timeout=0.05) as server:
        with server.ready(data) as client:
            assert client.rest() == (OK_X if data.startswith(GET) else b"")
        wait_for(lambda: server.call(lambda: not server.server._connections))
    assert caplog.text == ""


def test_a_request_in_hand_is_not_idle():
    async def callback(request):
        await asyncio.sleep(0.2)
        raw_ok(request, b"x")

    with serving(callback, idle_connection_timeout=0.05) as server, server.ready(GET) as client:
        assert client.rest() == OK_X


def test_body_timeout(caplog):
    caplog.set_level("INFO", "tornado.general")
    called = []
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
    for implementation in BOTH:
        with serving(called.append, implementation, body_timeout=0.05) as server:
            assert talk(server.address, data) == b""
    assert called == []
    assert [r.getMessage() for r in caplog.records] == ["Timeout reading body from 127.0.0.1"] * 2


def test_body_timeout_ends_with_the_body():
    async def in_two_pieces(client):
        """In the server's thread: it has nothing else to do meanwhile."""
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        await turns()
        client.send(b"67890")

    with (
        serving(answer_x, body_timeout=0.05, idle_connection_timeout=30) as server,
        server.connect() as client,
    ):
        for _ in range(3):
            server.call(in_two_pieces, client)
            assert client.answer()[1] == b"x"
            server.call(asyncio.sleep, 0.1)


def test_many_time_limits_end_in_their_turn():
    with serving(answer_x, idle_connection_timeout=0.1) as server:
        clients = server.call(lambda: [server.connect().send(b"" if i % 3 else GET) for i in range(50)])
        for i, client in enumerate(clients):
            if i % 3 == 0:
                assert client.answer()[1] == b"x"
            elif i % 3 == 1:
                client.sock.close()
        for i, client in enumerate(clients):
            if i % 3 != 1:
                assert client.rest() == b""
                client.sock.close()
        wait_for(lambda: server.call(lambda: not server.server._connections))


# ---- proxies, protocol, sockets ----

XHEADERS = {
    "none": b"",
    "real ip": b"X-Real-IP: 4.4.4.4\r\n",
    "forwarded": b"X-Forwarded-For: 127.0.0.1, 4.4.4.4\r\n",
    "ipv6": b"X-Forwarded-For: 2620:0:1cfe:face:b00c::3\r\n",
    "trusted": b"X-Forwarded-For: 4.4.4.4, 5.5.5.5, 6.6.6.6\r\n",
    "all trusted": b"X-Forwarded-For: 5.5.5.5, 6.6.6.6\r\n",
    "not an address": b"X-Real-IP: 4.4.4.4<script>\r\n",
    "host name": b"X-Forwarded-For: www.google.com\r\n",
    "scheme": b"X-Scheme: https\r\n",
    "proto": b"X-Forwarded-Proto: https\r\n",
    "proto list": b"X-Forwarded-Proto: https , http\r\n",
    "proto list 2": b"X-Forwarded-Proto: http,https\r\n",
    "bad proto": b"X-Forwarded-Proto: unknown\r\n",
    "empty": b"X-Forwarded-Proto:\r\nX-Forwarded-For:\r\n",
}


@pytest.mark.parametrize("name", ["xheaders", "no_keep_alive"])
def test_flags_take_any_object(name):
    server = httpserver.HTTPServer(answer_x)
    assert not getattr(server, name)
    for value in (1, 0, "yes", None):
        setattr(server, name, value)
        assert bool(getattr(server, name)) == bool(value)


@pytest.mark.parametrize("xheaders", [False, True])
@pytest.mark.parametrize("fields", XHEADERS.values(), ids=XHEADERS)
def test_xheaders(fields, xheaders):
    def callback(request):
        headers_ok(request, f"{request.remote_ip} {request.protocol} {request.full_url()}".encode())

    data = b"GET /1 HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + LAST
    settings = {"xheaders": xheaders, "trusted_downstream": ["5.5.5.5", "6.6.6.6"]}
    ours, stock = both(callback, data, **settings)
    assert ours == stock


def test_protocol():
    ours, stock = both(
        lambda request: headers_ok(request, request.full_url().encode()), LAST, protocol="https"
    )
    assert ours == stock and b"https://a/" in ours


def test_unix_socket(tmp_path):
    def callback(request):
        headers_ok(request, f"{request.remote_ip} {request.connection.context!s}".encode())

    answers = []
    for implementation in BOTH:
        path = str(tmp_path / repr(implementation))
        with serving(
            callback, implementation, sockets=[implementation.netutil.bind_unix_socket(path)]
        ) as server:
            assert server.address == path
            answers.append(talk(path, GET + LAST))
    assert answers[0] == answers[1] and b"0.0.0.0" in answers[0]


def test_ipv6():
    try:
        sockets = netutil.bind_sockets(0, "::1", socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(lambda request: raw_ok(request, repr((request.remote_ip, request.connection.address)).encode()),  # noqa: E501
                 sockets=sockets) as server, server.connect() as client:  # fmt: skip
        assert client.send(GET).answer()[1] == repr(("::1", client.sock.getsockname())).encode()


CALLS = [
    lambda module, cb: module.HTTPServer(cb, nope=1),
    lambda module, cb: module.HTTPServer(cb, False, False, None, "http", nope=1),
    lambda module, cb: module.HTTPServer(cb, request_callbacks=cb),
    lambda module, cb: module.HTTPServer(),
    lambda module, cb: module.HTTPServer(cb, *[False] * 30),
    lambda module, cb: module.HTTPServer(cb, False, False, None, ssl_options=None),
    lambda module, cb: module.HTTPServer(cb, False, no_keep_alive=True),
    lambda module, cb: type("Own", (module.HTTPServer,), {})(cb, nope=1),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_wrong_arguments_are_named_as_stock_does(number):
    """The error is about the call that the application made, not about what we call inside."""
    stock = pytest.importorskip("tornado.httpserver")
    texts = []
    for module in (stock, httpserver):
        with pytest.raises(TypeError) as caught:
            CALLS[number](module, lambda request: None)
        # From 3.13 on there are suggestions where the call is one of Python's.
        texts.append(str(caught.value).partition(". Did you mean")[0])
    assert texts[0] == texts[1]
