"""HTTPServer beyond callbacks: delegates, overridden methods, gzip, TLS, lingering, a graceful stop; each on
the native way and on that of delegates where both apply."""

import contextlib
import gzip
import os
import socket
import ssl
import threading

import pytest
import tornado.test
import tornado.web

from support.live_http import Client, LiveServer, Overridden, headers_ok, serving, talk, wait_for
from tornado_c import http1connection, httpserver, httputil, netutil, web

LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TESTS = os.path.dirname(tornado.test.__file__)
CERTIFICATE = {
    "certfile": os.path.join(TESTS, "test.crt"),
    "keyfile": os.path.join(TESTS, "test.key"),
}


@pytest.fixture(params=["native", "delegate"])
def way(request):
    """A context manager like live_http.serving, for each way through the server."""
    if request.param == "native":
        return serving

    @contextlib.contextmanager
    def serve(callback, **settings):
        server = LiveServer(None, make=lambda: Overridden(callback, **settings))
        try:
            yield server
        finally:
            server.stop()

    return serve


# ---- who serves ----


class Application(web.Application):
    pass


class Hello(web.RequestHandler):
    def get(self):
        self.write(type(self.request.connection).__name__)


def test_applications_are_served_natively():
    for cls in (web.Application, Application):
        with serving(cls([("/", Hello)])) as server:
            assert talk(server.address, LAST).endswith(b"HTTPConnection")
            assert b"HTTP1Connection" not in talk(server.address, LAST)


def test_a_start_request_replaced_at_run_time_is_called_for_each_request(monkeypatch):
    """Monitoring tools do that, also while the server listens."""
    seen = []
    original = httpserver.HTTPServer.start_request

    def start_request(self, server_conn, request_conn):
        seen.append(server_conn)
        return original(self, server_conn, request_conn)

    with serving(web.Application([("/", Hello)])) as server:
        assert talk(server.address, LAST).endswith(b"\nHTTPConnection")
        monkeypatch.setattr(httpserver.HTTPServer, "start_request", start_request)
        assert talk(server.address, GET + LAST).count(b"\nHTTP1Connection") == 2
        monkeypatch.undo()
        assert talk(server.address, LAST).endswith(b"\nHTTPConnection")
    assert len(seen) == 2 and all(type(c) is http1connection.HTTP1ServerConnection for c in seen)


def test_an_application_with_its_own_start_request():
    class Own(web.Application):
        def start_request(self, server_conn, request_conn):
            class Delegate(httputil.HTTPMessageDelegate):
                def finish(self):
                    line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                    request_conn.write_headers(line, httputil.HTTPHeaders({"Content-Length": "3"}), b"own")
                    request_conn.finish()

            return Delegate()

    with serving(Own([("/", Hello)])) as server:
        assert talk(server.address, LAST).endswith(b"own")


def test_a_delegate_streams_both_ways(implementation):
    util = implementation.httputil

    class Echo(util.HTTPServerConnectionDelegate):
        closed = 0

        def start_request(self, server_conn, request_conn):
            class Delegate(util.HTTPMessageDelegate):
                def headers_received(self, start_line, headers):
                    line = util.ResponseStartLine("HTTP/1.1", 200, "OK")
                    request_conn.write_headers(line, util.HTTPHeaders({"X-Path": start_line.path}))

                def data_received(self, chunk):
                    return request_conn.write(chunk)

                def finish(self):
                    request_conn.finish()

            return Delegate()

        def on_close(self, server_conn):
            Echo.closed += 1

    with serving(Echo(), implementation) as server, server.connect() as client:
        for n in range(3):
            body = b"x" * 100_000
            client.send(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" % n + body)
            head, echoed = client.answer()
            assert b"X-Path: /%d" % n in head and echoed == body


def test_coroutine_callbacks_run_on_both_ways(way):
    async def callback(request):
        headers_ok(request, b"ok")

    with way(callback) as server:
        assert talk(server.address, GET + LAST).count(b"200 OK") == 2


def test_errors_of_callbacks_end_the_connection(way, caplog):
    def callback(request):
        line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        request.connection.write_headers(line, httputil.HTTPHeaders(), b"some")
        raise ValueError("half-way")

    with way(callback) as server:
        answer = talk(server.address, GET + LAST)
    assert answer.endswith(b"4\r\nsome\r\n") and answer.count(b"200 OK") == 1
    assert [r.getMessage() for r in caplog.records] == ["Uncaught exception"]


def test_forms_and_request_attributes(way):
    seen = []

    def callback(request):
        seen.append((request.body_arguments, request.remote_ip, request.protocol, request.host_name))
        headers_ok(request, b"ok")

    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=2"
    with way(callback) as server:
        talk(server.address, b"POST / HTTP/1.1\r\nHost: Example.com:80\r\nConnection: close\r\n" + form)
    assert seen == [({"a": [b"1"], "b": [b"2"]}, "127.0.0.1", "http", "example.com")]


def test_xheaders_hold_for_their_request_only(way):
    seen = []

    def callback(request):
        seen.append((request.remote_ip, request.protocol))
        headers_ok(request, b"ok")

    forwarded = b"X-Forwarded-For: 4.4.4.4, 5.5.5.5\r\nX-Forwarded-Proto: http, https\r\n"
    first = GET.replace(b"Host: a\r\n", b"Host: a\r\n" + forwarded)
    with way(callback, xheaders=True, trusted_downstream=["5.5.5.5"]) as server:
        talk(server.address, first + LAST)
    assert seen == [("4.4.4.4", "https"), ("127.0.0.1", "http")]


def test_settings_hold_on_both_ways(way, caplog):
    caplog.set_level("INFO")

    def callback(request):
        headers_ok(request, b"ok")

    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
    with way(callback, max_body_size=10, max_header_size=200, linger_timeout=0) as server:
        assert talk(server.address, post) == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        assert talk(server.address, GET[:-2] + b"X: " + b"y" * 200).startswith(b"HTTP/1.1 431 ")
        assert talk(server.address, b"GET /" + b"y" * 200).startswith(b"HTTP/1.1 414 ")
    with way(callback, no_keep_alive=True) as server:
        assert talk(server.address, GET + GET).count(b"200 OK") == 1
    with way(callback, idle_connection_timeout=0.05) as server:
        with server.ready(GET + GET[:20]) as client:
            assert client.rest().count(b"200 OK") == 1
    with way(callback, body_timeout=0.05) as server:
        assert talk(server.address, post) == b""
    assert caplog.messages[-1] == "Timeout reading body from 127.0.0.1"


@pytest.mark.parametrize("length", [b"0", b"000", b"0, 0", b"00,\t00"])
def test_no_leave_is_given_to_send_an_empty_body(way, length):
    head = LAST[:-2] + b"Expect: 100-continue\r\nContent-Length: " + length + b"\r\n\r\n"
    with way(lambda request: headers_ok(request, b"ok")) as server:
        assert talk(server.address, head).startswith(b"HTTP/1.1 200 OK\r\n")


# ---- gzip ----


def test_decompress_request(way, caplog):
    seen = []

    def callback(request):
        encoding = request.headers.get("Content-Encoding"), request.headers["X-Consumed-Content-Encoding"]
        seen.append((request.body, request.body_arguments, *encoding))
        headers_ok(request, b"ok")

    form = (
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
    )

    def post(body):
        return b"POST / HTTP/1.1\r\nHost: a\r\n" + form + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with way(callback, decompress_request=True, max_body_size=1000, linger_timeout=0) as server:
        assert b"200 OK" in talk(server.address, post(gzip.compress(b"a=" + b"b" * 900)))
        for bad in (gzip.compress(b"a" * 1001), gzip.compress(b"a=b")[:-1], b"not gzip"):
            assert talk(server.address, post(bad)) == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert seen == [(b"a=" + b"b" * 900, {"a": [b"b" * 900]}, None, "gzip")]


# ---- other sockets ----


def tls_client(address):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = Client(address)
    client.sock = context.wrap_socket(client.sock)
    return client


def test_tls(way):
    def callback(request):
        headers_ok(request, f"{request.protocol} {request.remote_ip} {len(request.body)}".encode())

    with way(callback, ssl_options=CERTIFICATE) as server:
        with tls_client(server.address) as client:
            for size in (0, 300_000):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
                assert client.answer()[1] == b"https 127.0.0.1 %d" % size
            client.send(b"no request\r\n\r\n")
            assert client.rest() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        with server.connect() as plain:
            plain.send(GET)
            assert b"200" not in plain.rest()
        with tls_client(server.address) as client:  # the server goes on
            client.send(LAST)
            assert client.rest().endswith(b"https 127.0.0.1 0")


def test_proxy_protocol(way):
    def callback(request):
        headers_ok(request, f"{request.remote_ip} {request.protocol}".encode())

    with way(callback, proxy_protocol=True, trusted_proxies=["127.0.0.1"]) as server:
        announced = b"PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\n"
        assert talk(server.address, announced + GET + LAST).count(b"1.2.3.4 http") == 2


def test_unix_socket(way, tmp_path):
    def callback(request):
        headers_ok(request, f"{request.remote_ip} {request.protocol}".encode())

    path = str(tmp_path / "socket")

    def make():
        return [netutil.bind_unix_socket(path)]

    sockets = make()
    if way is serving:
        server = LiveServer(callback, sockets=sockets)
    else:
        server = LiveServer(None, make=lambda: Overridden(callback), sockets=sockets)
    try:
        assert talk(path, GET + LAST).count(b"0.0.0.0 http") == 2
    finally:
        server.stop()


# ---- lingering ----


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_refusal_reaches_a_client_that_goes_on_sending(way, tls):
    """Without lingering the answer would be lost to a reset in most cases."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n"
    settings = {"ssl_options": CERTIFICATE} if tls else {}
    with way(lambda request: None, max_body_size=1000, **settings) as server:
        for _ in range(5):
            with tls_client(server.address) if tls else server.connect() as client:
                client.send(head)
                for _ in range(40):
                    client.send(b"x" * 50_000)
                assert client.rest() == b"HTTP/1.1 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize("limit", [{"linger_size": 100_000}, {"linger_timeout": 0.05}], ids=repr)
def test_lingering_has_bounds(way, limit):
    with way(lambda request: None, **limit) as server, server.connect() as client:
        client.send(b"no request\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        with pytest.raises(ConnectionError):
            while True:
                client.send(b"x" * 10_000)


def test_lingering_ends_with_the_client(way):
    with way(lambda request: None, linger_timeout=1000.0) as server:
        with server.connect() as client:
            client.send(b"no request\r\n\r\n")
            assert client.rest().startswith(b"HTTP/1.1 400")
            assert server.call(lambda: len(server.server._connections)) == 1
        wait_for(lambda: server.call(lambda: not server.server._connections))


def test_close_all_connections_does_not_wait_for_lingering(way):
    with way(lambda request: None, linger_timeout=1000.0) as server, server.connect() as client:
        client.send(b"no request\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400")
        server.stop()


# ---- connections of a server ----


def test_connections_and_close_all(way):
    held = []
    with way(held.append) as server, server.connect() as idle, server.connect() as busy:
        busy.send(GET)
        wait_for(lambda: held and server.call(lambda: len(server.server._connections)) == 2)
        server.stop()
        assert idle.rest() == busy.rest() == b""
        assert len(server.server._connections) == 0


def test_drain(way):
    """Idle connections are closed at once, requests in hand are answered, and nobody is accepted."""
    held = []
    with way(held.append) as server, server.connect() as idle, server.connect() as busy:
        idle.send(GET)
        wait_for(lambda: len(held) == 1)
        server.call(headers_ok, held.pop(), b"first")
        assert idle.answer()[1] == b"first"
        busy.send(GET)
        wait_for(lambda: len(held) == 1)
        results = []

        def drain():
            results.append(server.call(lambda: server.server.drain(timeout=20.0, idle_grace=0.1)))

        thread = threading.Thread(target=drain)
        thread.start()
        assert idle.rest() == b""
        assert not results
        with pytest.raises(OSError):
            socket.create_connection(server.address).close()
        server.call(headers_ok, held.pop(), b"second")
        answer = busy.rest()
        assert answer.endswith(b"second") and b"Connection: close" in answer
        busy.sock.close()  # or the server would linger
        thread.join(20)
        assert results == [True]


def test_drain_gives_up_at_its_deadline(way):
    held = []
    with way(held.append) as server, server.connect() as busy:
        busy.send(GET)
        wait_for(lambda: len(held) == 1)
        assert server.call(lambda: server.server.drain(timeout=0.05)) is False
        assert busy.rest() == b""


class Draining:
    """A server that drains, in a thread."""

    def __init__(self, server, **limits):
        self.server, self.results = server, []
        self.thread = threading.Thread(target=self._run, kwargs=limits)
        self.thread.start()
        wait_for(lambda: server.server._config.draining)

    def _run(self, **limits):
        self.results.append(self.server.call(lambda: self.server.server.drain(**limits)))

    def result(self):
        self.thread.join(30)
        return self.results


def begin(request):
    """The head of an answer that promises more, and half of its body."""
    headers = httputil.HTTPHeaders({"Content-Length": "10"})
    request.connection.write_headers(httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), headers, b"first")


def end(request):
    request.connection.write(b"-half")
    request.connection.finish()


def begin_raw(request):
    request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")


@pytest.mark.parametrize("start_answer", [begin, begin_raw])
def test_drain_keeps_what_a_response_has_promised(way, start_answer):
    """An answer that has begun without `Connection: close`: one more request is answered, and told."""
    held = []
    with way(held.append) as server, server.connect() as client:
        client.send(GET)
        wait_for(lambda: len(held) == 1)
        request = held.pop()
        server.call(start_answer, request)
        head = client.until(b"first")
        assert b"close" not in head
        draining = Draining(server, timeout=20.0)
        server.call(end, request)
        assert client.until(b"-half") == b"-half"
        client.send(GET)
        wait_for(lambda: len(held) == 1)
        server.call(headers_ok, held.pop(), b"second")
        answer = client.rest()
        assert answer.endswith(b"second") and b"Connection: close" in answer
        client.sock.close()
        assert draining.result() == [True]


def test_drain_closes_what_is_idle_after_a_promise(way):
    held = []
    with way(held.append) as server, server.connect() as client:
        client.send(GET)
        wait_for(lambda: len(held) == 1)
        server.call(begin, held[0])
        draining = Draining(server, timeout=20.0, idle_grace=0.1)
        server.call(end, held[0])
        assert client.rest().endswith(b"first-half")
        assert draining.result() == [True]


def test_drain_tells_http_1_0(way):
    held = []
    with way(held.append) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        wait_for(lambda: len(held) == 1)
        draining = Draining(server, timeout=20.0)
        server.call(headers_ok, held.pop(), b"last")
        answer = client.rest()
        assert answer.endswith(b"last") and b"Keep-Alive" not in answer
        client.sock.close()
        assert draining.result() == [True]


@pytest.mark.parametrize("in_time", [True, False])
def test_drain_waits_for_detached_connections(way, in_time):
    streams = []
    with way(lambda request: streams.append(request.connection.detach())) as server:
        with server.connect() as client:
            client.send(GET)
            wait_for(lambda: len(streams) == 1)
            draining = Draining(server, timeout=20.0 if in_time else 0.3)
            server.call(streams[0].write, b"mine")
            assert client.until(b"mine") == b"mine"
            if in_time:
                assert not draining.results
                server.call(streams[0].close)
            assert client.rest() == b""
        assert draining.result() == [in_time]


def test_what_was_sent_behind_the_last_response_does_not_reset_it(way):
    """The client may send its next request before it can know; what it was answered arrives all the same."""
    held = []
    with way(held.append) as server, server.connect() as client:
        client.send(GET + GET + GET)
        wait_for(lambda: len(held) == 1)
        draining = Draining(server, timeout=20.0)
        server.call(headers_ok, held.pop(), b"x" * 200_000)
        client.send(GET)
        answer = client.rest()
        assert answer.count(b"HTTP/1.1 200 OK") == 1 and answer.endswith(b"x" * 200_000)
        client.sock.close()
        assert draining.result() == [True]


def test_a_subclass_with_initialize():
    class Server(httpserver.HTTPServer):
        def initialize(self, callback, **kwargs):
            self.extra = kwargs.pop("extra")
            super().initialize(callback, **kwargs)

    server = Server(lambda request: None, extra=5, xheaders=True)
    assert server.extra == 5 and server.xheaders and server.conn_params.max_header_size == 65536


def test_what_serves_must_be_callable_or_a_delegate():
    with pytest.raises(TypeError, match="HTTPServerConnectionDelegate"):
        httpserver.HTTPServer("app")
