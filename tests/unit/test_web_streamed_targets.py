"""What an Application's requests may be routed to besides handlers: functions, delegates, foreign routers
and what an overridden find_handler() or get_handler_delegate() returns. Each gets the head, the pieces and
the end as they come, beside stock Tornado's; and each request is routed once.
"""

import asyncio

import pytest

from support.implementations import OURS
from support.live_http import wait_for
from support.ways import WAYS, chunked_body, implementation_of, serve
from support.web_servers import collecting, request, without_date

BODY = bytes(range(256)) * 700
TARGETS = ["delegate", "function", "router", "nested", "find_handler", "get_handler_delegate", "application"]


def make_app(implementation, target, seen, kind="plain", handler=None):
    """An Application whose requests lead to `target`; how the delegate behaves is its `kind`."""
    web, httputil, routing = implementation.web, implementation.httputil, implementation.routing

    def note(what):
        if isinstance(what, bytes) and seen and isinstance(seen[-1], bytes):
            what = seen.pop() + what
        if what != "data_received" or what not in seen[-1:]:
            seen.append(what)

    def pause():
        return asyncio.sleep(0.001) if kind == "waits" else None

    def fail(where):
        if kind == where:
            raise ValueError(where)

    async def fail_late(where):
        await asyncio.sleep(0)
        fail(where.removesuffix(" late"))
        raise KeyError(where)

    class Message(httputil.HTTPMessageDelegate):
        def __init__(self, connection):
            self.connection = connection

        def answer(self, text):
            head = httputil.HTTPHeaders({"Content-Length": str(len(text))})
            self.connection.write_headers(httputil.ResponseStartLine("", 200, "OK"), head, text)
            self.connection.finish()

        def headers_received(self, start_line, headers):
            note(f"{type(start_line).__name__} {start_line} {headers['Host']} {type(headers).__name__}")
            fail("headers_received")
            if kind == "answers":
                self.answer(b"early")
            return fail_late(kind) if kind == "headers_received late" else pause()

        def data_received(self, chunk):
            note(chunk if kind in ("plain", "waits") else "data_received")
            fail("data_received")
            if kind == "answers to a piece":
                self.answer(b"enough")
            return fail_late(kind) if kind == "data_received late" else pause()

        def finish(self):
            note("finish")
            fail("finish")
            self.answer(b"done")

        def on_connection_close(self):
            note("on_connection_close")

    class Connections(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            note("start_request")
            return Message(request_conn)

    def function(request):
        note((request.method, request.uri, request.body, request.arguments))
        fail("finish")
        Message(request.connection).answer(b"done")

    class Finder(routing.Router):
        def find_handler(self, request, **kwargs):
            note(f"find_handler {request.path} {sorted(kwargs)}")
            return Message(request.connection) if request.path != "/none" else None

    class Counting(routing.PathMatches):
        def match(self, request):
            note("match")
            return super().match(request)

    class FindHandler(web.Application):
        def find_handler(self, request, **kwargs):
            note("find_handler")
            return Message(request.connection) if request.path != "/none" else None

    class GetHandlerDelegate(web.Application):
        def get_handler_delegate(self, request, target_class, *args, **kwargs):
            note(f"get_handler_delegate {target_class.__name__}")
            return Message(request.connection)

    class Unserved(web.RequestHandler):
        pass

    targets = {"delegate": Connections(), "function": function, "router": Finder()}
    targets["nested"] = routing.RuleRouter([(Counting("/.*"), Connections())])
    targets["application"] = web.Application([(Counting("/.*"), handler or Unserved)])
    if target in targets:
        return web.Application([(Counting("/.*"), targets[target])])
    return {"find_handler": FindHandler, "get_handler_delegate": GetHandlerDelegate}[target](
        [("/.*", Unserved)]
    )


def outcome(way, target, data, kind="plain", **options):
    seen = []
    with (
        collecting() as collector,
        serve(way, make_app(implementation_of(way), target, seen, kind), **options) as server,
    ):
        answer = without_date(server.exchange(data))
        log = [(*line[:2], line[2].replace("https", "http"), line[3]) for line in collector.take()]
        return answer, seen, log


def post(path="/", body=BODY, headers=(), **options):
    return request(path, "POST", headers, body, **options)


def chunked(path="/", body=BODY):
    return request(path, "POST", ["Transfer-Encoding: chunked"]) + chunked_body(body)


REQUESTS = {
    "GET": request("/x?a=1"),
    "length": post(),
    "chunked": chunked(),
    "form": post("/?a=1", b"a=2", ["Content-Type: application/x-www-form-urlencoded"]),
    "empty": request("/", "POST", ["Content-Length: 0"]),
    "HTTP/1.0": post(version="1.0", close=False),
    "pipelined": post(close=False) + request("/two", close=False) + chunked("/three"),
    "nothing found": request("/none"),
    "nothing found, with a body": post("/none"),
}
_stocks = {}


def beside_stock(way, *arguments):
    if arguments not in _stocks:
        target, name, *kind = arguments
        _stocks[arguments] = outcome("stock", target, REQUESTS[name], *kind)
    target, name, *kind = arguments
    assert outcome(way, target, REQUESTS[name], *kind) == _stocks[arguments]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("target", TARGETS)
def test_beside_stock(target, name, way):
    beside_stock(way, target, name)


KINDS = ["waits", "answers", "answers to a piece", "headers_received", "headers_received late"]
KINDS += ["data_received", "data_received late", "finish"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["GET", "length", "chunked"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["delegate", "find_handler"])
def test_delegates_that_wait_answer_and_fail(target, kind, name, way):
    beside_stock(way, target, name, kind)


@pytest.mark.parametrize("way", [*WAYS, "stock"])
@pytest.mark.parametrize("target", ["delegate", "router", "find_handler", "get_handler_delegate"])
@pytest.mark.parametrize("kind", ["plain", "waits"])
def test_a_client_that_leaves(target, kind, way):
    seen = []
    app = make_app(implementation_of(way), target, seen, kind)
    with collecting() as log, serve(way, app) as server:
        with server.connect() as client:
            client.send(request("/", "POST", ["Content-Length: 9"]) + b"half")
            wait_for(lambda: b"half" in seen)
        wait_for(lambda: "on_connection_close" in seen)
        assert seen.count("on_connection_close") == 1 and "finish" not in seen
        assert log.take() == []


@pytest.mark.parametrize("way", [*WAYS, "stock"])
def test_limits_of_a_delegate(way):
    """It may set them when it is found, and when it has the head."""
    implementation = implementation_of(way)
    httputil = implementation.httputil

    class Message(httputil.HTTPMessageDelegate):
        def __init__(self, request):
            self.connection = request.connection

        def headers_received(self, start_line, headers):
            self.connection.set_max_body_size(int(headers["X-Max"]))

        def finish(self):
            self.connection.write_headers(
                httputil.ResponseStartLine("", 200, "OK"),
                httputil.HTTPHeaders({"Content-Length": "2"}),
                b"ok",
            )
            self.connection.finish()

    class Application(implementation.web.Application):
        def find_handler(self, request, **kwargs):
            return Message(request)

    with collecting(), serve(way, Application(), max_body_size=10) as server:
        assert server.exchange(post("/", b"x" * 20, ["X-Max: 20"])).endswith(b"ok")
        assert server.exchange(post("/", b"x" * 20, ["X-Max: 19"])) == b"HTTP/1.1 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("target", ["delegate", "find_handler"])
def test_an_awaitable_holds_the_client_back(way, target):
    httputil = OURS.httputil
    events, sizes = [], []

    class Message(httputil.HTTPMessageDelegate):
        def __init__(self, connection):
            self.connection = connection

        async def data_received(self, chunk):
            sizes.append(len(chunk))
            if not events:
                events.append(asyncio.Event())
                await events[0].wait()

        def finish(self):
            text = b"%d" % sum(sizes)
            head = httputil.HTTPHeaders({"Content-Length": str(len(text))})
            self.connection.write_headers(httputil.ResponseStartLine("", 200, "OK"), head, text)
            self.connection.finish()

    class Connections(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            return Message(request_conn)

    class Application(OURS.web.Application):
        if target == "find_handler":

            def find_handler(self, request, **kwargs):
                return Message(request.connection)

    size = 64 << 20
    with serve(way, Application([("/", Connections())])) as server, server.connect() as client:
        client.send(request("/", "POST", [f"Content-Length: {size}"]))
        client.sock.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.sock.send(b"x" * 65536)
        wait_for(lambda: events)
        assert len(sizes) == 1 and sent < size // 2
        client.sock.settimeout(20)
        server.live.call(events[0].set)
        if way != "tls":  # a record may have been cut
            client.send(b"x" * (size - sent))
            assert client.rest().endswith(b"\r\n\r\n%d" % size)


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_routed_once(way):
    seen = []

    class Matcher(OURS.routing.PathMatches):
        def match(self, request):
            seen.append(self.regex.pattern)
            return super().match(request)

    class Handler(OURS.web.RequestHandler):
        def post(self):
            self.write("done")

        get = post

    @OURS.web.stream_request_body
    class Streamed(Handler):
        def data_received(self, chunk):
            pass

    app = OURS.web.Application([(Matcher("/a"), Handler), (Matcher("/b"), Streamed)])
    with serve(way, app) as server:
        for path, asked in ("/a", ["/a$"]), ("/b", ["/a$", "/b$"]):
            for data in request(path), post(path), chunked(path):
                seen.clear()
                assert server.exchange(data).endswith(b"done")
                assert seen == asked


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_served_by_the_rule_of_its_head(way):
    """Rules that change while the body comes do not matter to it."""

    class First(OURS.web.RequestHandler):
        def post(self):
            self.write("first")

    class Second(OURS.web.RequestHandler):
        def post(self):
            self.write("second")

    app = OURS.web.Application([("/", First)])
    with serve(way, app) as server, server.connect() as client:
        fields = ["Content-Length: 4", "Expect: 100-continue"]
        client.send(request("/", "POST", fields, close=False) + b"bo")
        assert b" 100 " in client.until(b"\r\n\r\n")
        server.live.call(
            setattr, app.wildcard_router, "rules", [OURS.routing.Rule(OURS.routing.PathMatches("/"), Second)]
        )
        assert client.send(b"dy").answer()[1] == b"first"
        assert client.send(post("/", b"body", close=False)).answer()[1] == b"second"


def test_an_application_that_is_called():
    """Whoever calls it has the whole request."""
    seen = []

    @OURS.web.stream_request_body
    class Streamed(OURS.web.RequestHandler):
        def data_received(self, chunk):
            seen.append(chunk)

        async def post(self):
            await asyncio.sleep(0)
            seen.append("post")
            self.write("done")

    inner = OURS.web.Application([("/streamed", Streamed), ("/function", lambda request: function(request))])

    def function(request):
        head = OURS.httputil.HTTPHeaders({"Content-Length": "8"})
        request.connection.write_headers(OURS.httputil.ResponseStartLine("", 200, "OK"), head, b"function")
        request.connection.finish()

    outer = OURS.web.Application([("/.*", OURS.web.FallbackHandler, {"fallback": inner})])
    with collecting(), serve("native", outer) as server:
        assert server.exchange(post("/streamed", b"body")).endswith(b"done")
        assert server.exchange(post("/function", b"body")).endswith(b"function")
        assert server.exchange(request("/nothing")).startswith(b"HTTP/1.1 404")
    assert seen == [b"body", "post"]
