"""Answers of a live HTTPServer: both styles, keep-alive, pipelining, framing, errors, clients that vanish."""

import asyncio
import contextlib
import http

import pytest

from support.implementations import BOTH, OURS, STOCK
from support.live_http import Client, Overridden, both, both_ways, headers_ok, raw_ok, serving, talk, wait_for
from tornado_c.httpserver import HTTPConnection
from tornado_c.httputil import (
    HTTPHeaders,
    ResponseStartLine,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class Callable:
    def __call__(self, request):
        raw_ok(request, b"object")

    def method(self, request):
        raw_ok(request, b"method")


async def coroutine(request):
    raw_ok(request, b"at once")


async def suspended(request):
    await asyncio.sleep(0)
    raw_ok(request, b"later")


KINDS = [
    (lambda request: raw_ok(request, b"function"), b"function"),
    (Callable(), b"object"),
    (Callable().method, b"method"),
    (coroutine, b"at once"),
    (suspended, b"later"),
]


@pytest.mark.parametrize(("callback", "text"), KINDS, ids=[text.decode() for _, text in KINDS])
def test_kinds_of_callbacks(callback, text):
    with serving(callback) as server, server.connect() as client:
        for _ in range(3):
            client.send(GET)
            assert client.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text), text)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT"])
@pytest.mark.parametrize(
    "connection",
    [None, b"close", b"Close", b"CLOSE", b"keep-alive", b"Keep-Alive", b"Upgrade", b"x", b""],
)
def test_keep_alive_rules(version, method, connection):
    """The same answers as stock, and open or closed as there."""
    head = b"%s / HTTP/%s\r\nHost: a\r\n" % (method, version)
    head += b"" if connection is None else b"Connection: %s\r\n" % connection
    results = []
    for implementation in BOTH:
        with (
            serving(lambda request: headers_ok(request, b""), implementation) as server,
            server.connect() as client,
        ):
            client.send(head + b"\r\n")
            answer = client.answer()
            client.send(
                head.replace(b"1.0", b"1.1") + b"Connection: close\r\n\r\n"
                if connection is None
                else head + b"\r\n"
            )
            results.append((answer, bool(client.until(b"\r\n\r\n"))))
    assert results[0] == results[1]


@pytest.mark.parametrize("value", [b"foo, close", b"close, foo", b"keep-alive, Close", b"foo,close ,bar"])
def test_close_in_a_list_closes(value):
    with serving(lambda request: raw_ok(request, b"x")) as server:
        answer = talk(
            server.address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + value + b"\r\n\r\n" + GET
        )
        assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"


@pytest.mark.parametrize("body", [b"Content-Length: 0\r\n", b""], ids=["length", "none"])
def test_keep_alive_of_1_0_with_post(body):
    data = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n" + body + b"\r\n"
    data += b"GET / HTTP/1.0\r\n\r\n"
    ours, stock = both(lambda request: headers_ok(request, b"x"), data)
    assert ours == stock and ours.count(b"200 OK") == (2 if body else 1)


def test_no_keep_alive():
    ours, stock = both(lambda request: headers_ok(request, b"x"), GET + GET, no_keep_alive=True)
    assert ours == stock and ours.count(b"200 OK") == 1 and b"Connection: close" in ours


# ---- pipelining ----


def test_pipelined_responses_keep_their_order():
    waiting = []

    def callback(request):
        if request.path == "/later":
            waiting.append(request)
        else:
            raw_ok(request, request.uri.encode())

    paths = ["/a", "/later", "/b", "/c", "/later?2", "/d"]
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % p.encode() for p in paths)
    with serving(callback) as server, server.connect() as client:
        client.send(data)
        got = [client.answer()[1]]
        for _ in range(2):
            request = wait_for(lambda: waiting and waiting.pop())
            assert server.call(lambda: len(server.server._connections)) == 1
            server.call(raw_ok, request, request.uri.encode())
            got += [client.answer()[1] for _ in range(3 if len(got) == 1 else 2)]
        assert got == [p.encode() for p in paths]


@pytest.mark.parametrize("pieces", [0, 1, 7, 1000])
def test_many_pipelined_requests(pieces):
    data = b"".join(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % i for i in range(300))
    data += b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with serving(lambda request: raw_ok(request, request.uri.encode())) as server:
        answer = talk(server.address, data, pieces)
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"/")] == [
        b"/%d" % i + b"HTTP/1.1 200 OK"[: 15 * (i < 300)] for i in range(300)
    ] + [b"/last"]


def test_nothing_after_close_gets_a_response():
    data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET
    ours, stock = both(lambda request: headers_ok(request, b"x"), data)
    assert ours == stock and ours.count(b"200 OK") == 1


def test_valid_requests_before_a_bad_one_get_responses(caplog):
    ours, _ = both(lambda request: headers_ok(request, b"x"), GET + GET + b"bad\r\n\r\n" + GET)
    assert ours.count(b"200 OK") == 2 and ours.endswith(b"xHTTP/1.1 400 Bad Request\r\n\r\n")


# ---- write_headers, write, finish ----

STATUSES = [
    (200, "OK"),
    (201, "Created"),
    (204, "No Content"),
    (304, "Not Modified"),
    (404, "Not Found"),
    (599, "Own"),
]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(("status", "reason"), STATUSES)
@pytest.mark.parametrize("length", [False, True], ids=["no length", "length"])
def test_framing_of_responses(method, version, status, reason, length):
    bodiless = method == b"HEAD" or status in (204, 304)

    def callback(request):
        util = type(request).__module__.split(".")[0] == "tornado" and STOCK.httputil or OURS.httputil
        headers = util.HTTPHeaders({"X-A": "b"})
        if length:
            headers["Content-Length"] = "0" if status == 204 else "10"
        start = util.ResponseStartLine("HTTP/1.1", status, reason)
        if bodiless:
            request.connection.write_headers(start, headers)
        else:
            request.connection.write_headers(start, headers, b"hello")
            request.connection.write(b"")
            request.connection.write(b"world")
        request.connection.finish()

    data = b"%s / HTTP/%s\r\nHost: a\r\nConnection: close\r\n\r\n" % (method, version)
    ours, stock = both(callback, data)
    assert ours == stock


def test_response_without_length_to_1_0_ends_with_the_close():
    def callback(request):
        request.connection.write_headers(OK, HTTPHeaders(), b"until ")
        request.connection.write(b"the end")
        request.connection.finish()

    with serving(callback) as server:
        answer = talk(server.address, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\n\r\nuntil the end"


def test_an_empty_last_piece_does_not_end_the_chunks():
    def callback(request):
        request.connection.write_headers(OK, HTTPHeaders(), b"")
        request.connection.write(b"")
        request.connection.write(b"x")
        request.connection.finish()

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).answer()[1] == b"x"


class Broken:
    """Callbacks whose answer is wrong; each notes what was raised."""

    def __init__(self):
        self.raised = []

    def too_little(self, request):
        self.answer(request, {"Content-Length": "10"}, b"short")

    def too_much(self, request):
        self.answer(request, {"Content-Length": "3"}, b"longer")

    def too_much_later(self, request):
        self.answer(request, {"Content-Length": "3"}, b"ab", b"cd")

    def not_a_number(self, request):
        self.answer(request, {"Content-Length": "ten"}, b"x")

    def body_of_head(self, request):
        self.answer(request, {}, b"x")

    def line_in_value(self, request):
        self.answer(request, {"X": "a\r\nY: b"}, b"x")

    def line_in_reason(self, request):
        self.answer(request, {}, b"x", reason="OK\r\nX: y")

    def answer(self, request, headers, *pieces, reason="OK"):
        util = STOCK.httputil if isinstance(request, STOCK.httputil.HTTPServerRequest) else OURS.httputil
        connection = request.connection
        fields = util.HTTPHeaders()
        for name, value in headers.items():
            try:
                fields[name] = value
            except Exception:
                fields._dict = {name: value}  # older ways around the check
                fields._as_list = {name: [value]}
        try:
            connection.write_headers(util.ResponseStartLine("HTTP/1.1", 200, reason), fields, pieces[0])
            for piece in pieces[1:]:
                connection.write(piece)
            connection.finish()
        except Exception as exc:
            self.raised.append((type(exc).__name__, str(exc)))
            raise


@pytest.mark.parametrize(
    "name", [n for n in vars(Broken) if n[0] != "_" and n not in ("answer", "line_in_value")]
)
def test_broken_responses_close_the_connection(name, caplog):
    data = GET.replace(b"GET", b"HEAD") if name == "body_of_head" else GET
    seen = []
    for implementation in BOTH:
        caplog.clear()
        broken = Broken()
        with serving(getattr(broken, name), implementation) as server:
            answer = talk(server.address, data)
            server.call(lambda: None)
        logged = [(r.name, r.levelname, r.getMessage()) for r in caplog.records]
        seen.append((answer, broken.raised, logged))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 1 and seen[0][2] == [("tornado.application", "ERROR", "Uncaught exception")]


def test_header_lines_cannot_be_forged(caplog):
    raised = []

    class Headers(HTTPHeaders):
        def get_all(self):
            return [("X", "a\r\nY: b")]

    def callback(request):
        for headers, reason in ((Headers(), "OK"), (HTTPHeaders(), "a\nb"), (HTTPHeaders(), "a\rb")):
            with pytest.raises(ValueError) as caught:
                request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, reason), headers, b"x")
            raised.append(str(caught.value))
        raw_ok(request, b"clean")

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).until(b"clean") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
    assert len(raised) == 3 and all("CR or LF" in text for text in raised)


@pytest.mark.parametrize(
    "args",
    [(), (1,), (1, 2, 3, 4, 5), ((1, 2), HTTPHeaders()), (OK, 5), (OK, HTTPHeaders(), 5), (("HTTP/1.1", "x", "OK"), HTTPHeaders())],  # noqa: E501
    ids=range(7),
)  # fmt: skip
def test_wrong_arguments_of_write_headers(args):
    caught = []

    def callback(request):
        try:
            request.connection.write_headers(*args)
        except (TypeError, AttributeError) as exc:
            caught.append(exc)
        raw_ok(request, b"ok")

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).until(b"ok") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert len(caught) == 1


STATUSES = [1, 99, 100, 999, 1000, 12345, -1, -200, 0, True, 1 << 40, 10**30, 200.7, http.HTTPStatus.OK]
NO_STATUSES = ["200", None, b"200", float("nan"), [200], 1j]


@pytest.mark.parametrize("status", [*STATUSES, *NO_STATUSES], ids=repr)
def test_status_of_any_kind(status):
    """The status line is "HTTP/1.1 %d %s", as on stock; what %d does not take is the caller's error."""
    try:
        expected = b"HTTP/1.1 %d Reason\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" % status
    except (TypeError, ValueError):
        expected = b""

    def answer(connection):
        headers = HTTPHeaders({"Content-Length": "2"})
        connection.write_headers(ResponseStartLine("HTTP/1.1", status, "Reason"), headers, b"ok")
        connection.finish()

    for server in both_ways(answer):
        with serving(server) as live:
            assert talk(live.address, GET[:-2] + b"Connection: close\r\n\r\n") == expected


# ---- exceptions and misuse ----


@pytest.mark.parametrize("after", [None, "write", "finish"])
@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_exception_closes_that_connection_only(after, is_async, caplog):
    def callback(request):
        if request.path == "/bad":
            if after:
                request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            if after == "finish":
                request.finish()
            raise ZeroDivisionError("mine")
        raw_ok(request, b"good")

    async def async_callback(request):
        await asyncio.sleep(0)
        callback(request)

    with serving(async_callback if is_async else callback) as server, server.connect() as other:
        assert other.send(GET).answer()[1] == b"good"
        answer = talk(server.address, b"GET /bad HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer == (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx" if after else b"")
        assert other.send(GET).answer()[1] == b"good"
    records = [r for r in caplog.records if r.name == "tornado.application"]
    assert [(r.levelname, r.getMessage(), r.exc_info[0]) for r in records] == [
        ("ERROR", "Uncaught exception", ZeroDivisionError)
    ]


def misuse_finish_twice(request):
    raw_ok(request, b"x")
    request.finish()


def misuse_write_after_finish(request):
    raw_ok(request, b"x")
    for write in (request.write, request.connection.write):
        with pytest.raises(AssertionError, match="Request closed"):
            write(b"more")
    with pytest.raises(AssertionError, match="Request closed"):
        request.connection.write_headers(OK, HTTPHeaders(), b"x")


def misuse_delete_connection(request):
    connection = request.connection
    del request.connection
    with pytest.raises(RuntimeError):
        request.finish()
    with pytest.raises(RuntimeError):
        request.write(b"x")
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    connection.finish()


def misuse_other_connection(request):
    real, lines = request.connection, []

    class Other:
        def write(self, chunk, callback=None):
            lines.append(chunk)

        def finish(self):
            real.write(b"".join(lines))
            real.finish()

    request.connection = Other()
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
    request.write(b"x")
    request.finish()


MISUSES = [f for n, f in list(globals().items()) if n.startswith("misuse_")]


@pytest.mark.parametrize("callback", MISUSES, ids=[f.__name__ for f in MISUSES])
def test_misuse_leaves_the_connection_usable(callback):
    with serving(callback) as server, server.connect() as client:
        for _ in range(3):
            assert client.send(GET).answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", b"x")


def test_a_finished_request_cannot_respond_to_the_next():
    kept, refused = [], []

    def callback(request):
        if kept:
            for attempt in (kept[0].finish, lambda: kept[0].write(b"stolen")):
                with pytest.raises(AssertionError, match="Request closed"):
                    attempt()
                refused.append(attempt)
        kept.append(request)
        if len(kept) == 1:
            raw_ok(request, b"first")
        else:
            request.connection.stream.io_loop.add_callback(raw_ok, request, b"second")

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).answer()[1] == b"first"
        with pytest.raises(AssertionError, match="Request closed"):
            server.call(kept[0].finish)
        with pytest.raises(AssertionError, match="Request closed"):
            server.call(kept[0].connection.write_headers, OK, HTTPHeaders())
        assert client.send(GET).answer()[1] == b"second"
        assert len(refused) == 2


def close_connection(request):
    request.connection.close()


def close_stream(request):
    request.connection.stream.close()


def close_twice_then_answer(request):
    request.connection.close()
    request.connection.close()
    raw_ok(request, b"nobody reads it")


def write_then_close(request):
    request.write(b"HTTP/1.1 200 OK\r\n\r\nall")
    request.connection.close()


@pytest.mark.parametrize("pipelined", [0, 2])
@pytest.mark.parametrize(
    "callback", [close_connection, close_stream, close_twice_then_answer, write_then_close]
)
def test_callback_that_closes(callback, pipelined, caplog):
    called = []

    def counted(request):
        called.append(request)
        callback(request)

    with serving(counted) as server:
        answer = talk(server.address, GET * (pipelined + 1))
        assert answer == (b"HTTP/1.1 200 OK\r\n\r\nall" if callback is write_then_close else b"")
        wait_for(lambda: server.call(lambda: not server.server._connections))
        assert len(called) == 1
        called.clear()
    assert caplog.text == ""


def test_callback_that_stops_the_server():
    def callback(request):
        server.server.stop()
        raw_ok(request, b"last")

    with serving(callback) as server, server.connect() as client:
        assert client.send(GET).answer()[1] == b"last"
        assert server.sockets[0].fileno() == -1
        with pytest.raises(OSError):
            Client(server.address)


@pytest.mark.parametrize("late", [False, True], ids=["in the callback", "later"])
@pytest.mark.parametrize("extra", [b"", b"extra bytes"], ids=["", "extra"])
def test_detached_stream(late, extra):
    """The stream is the application's from then on, with the bytes behind the request."""
    got = []

    async def callback(request):
        if late:
            await asyncio.sleep(0)
        stream = request.connection.detach()
        with pytest.raises(RuntimeError):
            request.connection.detach()
        stream.write(b"hello\n")
        got.append(await stream.read_until(b"\n"))
        await stream.write(got[0].upper())
        stream.close()

    with serving(callback) as server, server.connect() as client:
        client.send(GET + extra)
        assert client.until(b"\n") == b"hello\n"
        assert server.call(lambda: server.server._connections) == set()
        client.send(b"line\n")
        assert client.rest() == (extra + b"line\n").upper()


@pytest.mark.parametrize("kind", [OURS.httpserver.HTTPServer, Overridden])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("who", ["client", "server"])
def test_last_response_arrives_though_the_client_sends_on(who, late, kind):
    """What lies unread behind a connection's last request must not have it reset under the response."""
    body, fields = b"x" * 400_000, {"Connection": "close"} if who == "server" else {}

    async def callback(request):
        if late:
            await asyncio.sleep(0.05)
        headers_ok(request, body, **fields)

    asked = b"Connection: close\r\n" if who == "client" else b""
    with serving(None, make=lambda: kind(callback)) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + asked + b"\r\n" + GET * 2000)
        client.send(GET * 2000)
        assert client.answer()[1] == body
        assert client.rest() == b""


@pytest.mark.parametrize("name", [n for n in dir(HTTPConnection) if not n.startswith("__")])
def test_connection_whose_init_was_skipped(name):
    """Whatever is asked of it raises or answers; nothing crashes."""
    connection = HTTPConnection.__new__(HTTPConnection)
    with contextlib.suppress(Exception):
        value = getattr(connection, name)
        if callable(value):
            for args in ((), (None,), (b"x",), (OK, HTTPHeaders()), (None, None, None)):
                with contextlib.suppress(Exception):
                    value(*args)
