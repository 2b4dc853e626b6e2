"""What the rules of an application may lead to; handlers of one package in the other's Application."""

import asyncio
import subprocess
import sys
import textwrap

import pytest

from support.implementations import OURS, STOCK
from support.live_http import serving
from support.web_servers import collecting, request
from tornado_c import httputil, web
from tornado_c.routing import AnyMatches, PathMatches, Router, Rule, RuleRouter

stock_web = pytest.importorskip("tornado.web")
stock_websocket = pytest.importorskip("tornado.websocket")


class Ours(web.RequestHandler):
    def get(self):
        self.write("ours")


class Stocks(stock_web.RequestHandler):
    def get(self):
        self.write("stock's")


class StocksSocket(stock_websocket.WebSocketHandler):
    pass


def answer_of(application, path="/", implementation=OURS):
    with collecting() as collector:
        with serving(application, implementation) as server:
            return server.exchange(request(path)), [line[:3] for line in collector.take()]


def function(request):
    request.connection.write_headers(
        httputil.ResponseStartLine("", 200, "OK"), httputil.HTTPHeaders({"Content-Length": "2"}), b"ok"
    )
    request.connection.finish()


class Delegate(httputil.HTTPServerConnectionDelegate):
    def start_request(self, server_conn, request_conn):
        class Message(httputil.HTTPMessageDelegate):
            def finish(self):
                head = httputil.HTTPHeaders({"Content-Length": "2"})
                request_conn.write_headers(httputil.ResponseStartLine("", 200, "OK"), head, b"ok")
                request_conn.finish()

        return Message()


def spelled(handler):
    """A rule for "/" with this target, in each form."""
    return [
        ("/", handler),
        ["/", handler],
        web.url("/", handler),
        Rule(PathMatches("/"), handler),
        (AnyMatches(), [("/", handler)]),
    ]


@pytest.mark.parametrize("handler", [Stocks, StocksSocket, stock_web.StaticFileHandler])
@pytest.mark.parametrize("form", range(5))
@pytest.mark.parametrize("when", ["made", "add_handlers"])
def test_handlers_of_stock_are_refused(handler, form, when):
    with pytest.raises(TypeError) as caught:
        if when == "made":
            web.Application([("/ours", Ours), spelled(handler)[form]])
        else:
            web.Application([("/ours", Ours)]).add_handlers(".*", [spelled(handler)[form]])
    text = str(caught.value)
    for part in (f"{handler.__module__}.{handler.__qualname__}", "tornado.web", "tornado_c.web", "install()"):
        assert part in text


@pytest.mark.parametrize("handler", [Ours, web.ErrorHandler])
@pytest.mark.parametrize("when", ["made", "add_handlers"])
def test_our_handlers_are_refused_by_stock(handler, when):
    with pytest.raises(TypeError) as caught:
        if when == "made":
            stock_web.Application([("/", Stocks), ("/ours", handler)])
        else:
            stock_web.Application().add_handlers(".*", [("/", handler)])
    text = str(caught.value)
    for part in (f"{handler.__module__}.{handler.__qualname__}", "tornado.web", "tornado_c.web", "install()"):
        assert part in text


def test_our_handler_that_stock_finds_later():
    class Application(stock_web.Application):
        def find_handler(self, request, **kwargs):
            return self.get_handler_delegate(request, Ours)

    answer, log = answer_of(Application(), implementation=STOCK)
    assert answer.startswith(b"HTTP/1.1 500")
    assert any("Ours is a handler of tornado_c.web" in line[2] for line in log)


@pytest.mark.parametrize("target", [5, None, 1.5, {}, object()], ids=lambda t: type(t).__name__)
def test_what_is_no_target_is_refused(target):
    with pytest.raises(TypeError, match="the target of a rule must be a handler class"):
        web.Application([("/", target)])


@pytest.mark.parametrize("target", [Stocks, 5, "Stocks", object()], ids=lambda t: type(t).__name__)
def test_default_handler_class_that_is_none(target):
    with pytest.raises(TypeError, match="default_handler_class"):
        web.Application([], default_handler_class=target)


@pytest.mark.parametrize("target", [Stocks, StocksSocket, 5], ids=["handler", "socket", "5"])
@pytest.mark.parametrize("way", ["rules", "find_handler", "router"])
def test_later_it_is_a_500(target, way):
    class Application(web.Application):
        def find_handler(self, request, **kwargs):
            if way == "find_handler":
                return self.get_handler_delegate(request, target)
            return super().find_handler(request, **kwargs)

    class Finder(Router):
        def find_handler(self, request, **kwargs):
            return application.get_handler_delegate(request, target)

    application = Application([("/x", Finder())] if way == "router" else [("/y", Ours)])
    if way == "rules":
        application.wildcard_router.rules.append(Rule(PathMatches("/x"), target))
    answer, log = answer_of(application, "/x")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert any(line[:2] == ("tornado.application", "ERROR") and "TypeError" in line[2] for line in log)
    if target != 5:
        assert any("tornado_c.install()" in line[2] for line in log)


LEGAL = {
    "function": function,
    "delegate": Delegate(),
    "handler": Ours,
    "list": [("/", Ours)],
    "router": RuleRouter([("/", function)]),
    "router that finds nothing": RuleRouter([("/other", function)]),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["native", "delegate"])
@pytest.mark.parametrize("target", LEGAL)
def test_legal_targets(target, way, method):
    class Application(web.Application):
        if way == "delegate":

            def start_request(self, server_conn, request_conn):
                return super().start_request(server_conn, request_conn)

    application = Application([("/", LEGAL[target])])
    with collecting():
        with serving(application) as server:
            answer = server.exchange(request("/", method, body=b"body" if method == "POST" else b""))
    if LEGAL[target] is Ours and method == "POST" or target == "list" and method == "POST":
        assert answer.startswith(b"HTTP/1.1 405")
    elif target == "router that finds nothing":
        assert answer.startswith(b"HTTP/1.1 404")
    else:
        assert answer.endswith((b"ok", b"ours"))


@pytest.mark.parametrize("way", ["native", "delegate"])
def test_delegate_that_waits(way):
    """The pieces come one after the other, as its awaitables are done."""

    class Patient(httputil.HTTPMessageDelegate):
        def __init__(self, connection):
            self.connection, self.seen = connection, []

        async def headers_received(self, start_line, headers):
            await asyncio.sleep(0)
            self.seen.append(f"{start_line.method} {start_line.path} {headers['Host']}")

        async def data_received(self, chunk):
            await asyncio.sleep(0)
            self.seen.append(chunk.decode())

        def finish(self):
            text = " ".join(self.seen).encode()
            head = httputil.HTTPHeaders({"Content-Length": str(len(text))})
            self.connection.write_headers(httputil.ResponseStartLine("", 200, "OK"), head, text)
            self.connection.finish()

    class Application(web.Application):
        if way == "delegate":

            def start_request(self, server_conn, request_conn):
                return super().start_request(server_conn, request_conn)

        def find_handler(self, request, **kwargs):
            return Patient(request.connection) if request.path != "/none" else None

    application = Application()
    with collecting():
        with serving(application) as server:
            answer = server.exchange(request("/x?y", "POST", body=b"body"))
            assert answer.endswith(b"\r\n\r\nPOST /x?y example.test body")
            assert server.exchange(request("/none")).startswith(b"HTTP/1.1 404 Not Found")


def test_nested_application():
    inner = web.Application([("/", Ours)])
    answer, _ = answer_of(web.Application([("/", inner)]))
    assert answer.endswith(b"ours")


@pytest.mark.parametrize("name", ["default_router", "rules"])
def test_router_replaced_at_run_time(name):
    class Other(Ours):
        def get(self):
            self.write("other")

    application = web.Application([("/", Ours)])
    with collecting():
        with serving(application) as server:
            assert server.exchange(request("/")).endswith(b"ours")
            if name == "default_router":
                application.default_router = web.Application([("/", Other)]).default_router
            else:
                application.wildcard_router.rules = [Rule(PathMatches("/"), Other)]
            assert server.exchange(request("/")).endswith(b"other")


@pytest.mark.parametrize("order", ["ours first", "stock first"])
def test_order_of_the_imports(order):
    """Programs may import the packages in either order."""
    program = {
        "ours first": "from tornado_c import web as ours; import tornado.web as stock",
        "stock first": "import tornado.web as stock; from tornado_c import web as ours",
    }[order]
    program += """
class Handler(ours.RequestHandler): pass
class Other(stock.RequestHandler): pass
stock.Application([("/", Other), ("/s/(.*)", stock.StaticFileHandler, {"path": "."})])
ours.Application([("/", Handler)])
for web, handler in ((stock, Handler), (ours, Other)):
    try:
        web.Application([("/", handler)])
    except TypeError as e:
        print("tornado_c.install()" in str(e))
import inspect, sys
print(inspect.getsource(stock.Application).startswith("class Application"))
print(stock.__spec__.origin == stock.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["True"] * 4, "")
