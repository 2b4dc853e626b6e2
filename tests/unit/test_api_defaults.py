"""What Python classes have by default holds for ours, whose fields and methods are in C: copy, pickle, vars,
dir, signatures, mocks with a specification. Stock Tornado beside ours.
"""

import asyncio
import copy
import functools
import inspect
import pickle
import subprocess
import sys
from unittest import mock

import pytest

import tornado_c
from support.implementations import BOTH, STOCK
from support.live_http import serving
from support.web_servers import collecting, request
from tornado_c import httpserver, httputil, ioloop, iostream, web

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
}
FORM = {"Host": "test:80", "Content-Type": "application/x-www-form-urlencoded", "X": "y"}


def make_request(util, uri="/path?a=b&a=c"):
    line = util.RequestStartLine("POST", uri, "HTTP/1.1")
    made = util.HTTPServerRequest(start_line=line, headers=util.HTTPHeaders(FORM), body=b"d=e")
    made.mine = "mine"
    return made


def told(request):
    """What there is to see of a request."""
    names = [name for name in dir(request) if not name.startswith("_")]
    values = {name: getattr(request, name) for name in names}
    plain = {name: value for name, value in values.items() if not callable(value) and name != "cookies"}
    return plain | {
        "headers": list(request.headers.get_all()),
        "url": request.full_url(),
        "repr": repr(request),
    }


@pytest.mark.parametrize("way", WAYS)
def test_request_is_copied(way):
    results = {}
    for implementation in BOTH:
        first = make_request(implementation.httputil)
        second = WAYS[way](first)
        assert type(second) is type(first) and second is not first
        assert told(second) == told(first)
        second.mine, second.method = "other", "PUT"
        second.body_arguments["z"] = [b"z"]
        results[implementation.name] = told(second), told(first), second.headers is first.headers
    assert results["ours"] == results["stock"]


def public_vars(obj):
    found = dict(vars(obj))
    times = [found.pop(name, None) for name in ("_start_time", "_finish_time")]
    return {k: list(v.get_all()) if k == "headers" else v for k, v in found.items()}, [type(t) for t in times]


def test_vars_of_a_request():
    ours, stock = (make_request(each.httputil) for each in BOTH)
    assert public_vars(ours) == public_vars(stock)
    for each in (ours, stock):
        each.method, each.body = "PATCH", b"new"
        each.__dict__["later"] = 5
        assert each.later == vars(each)["later"] == 5
        del each.mine
    assert public_vars(ours) == public_vars(stock)
    assert "mine" not in vars(ours) and set(vars(ours)) <= set(dir(ours))


def test_cached_property_of_a_request():
    class Request(httputil.HTTPServerRequest):
        calls = 0

        @functools.cached_property
        def user(self):
            self.calls += 1
            return "user"

    line = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
    made = Request(start_line=line, headers=httputil.HTTPHeaders(Host="a"))
    assert made.user == made.user == vars(made)["user"] == "user"
    assert made.calls == 1
    made.__dict__ = {"method": "PUT", "b": 1}
    assert (made.method, made.b) == ("PUT", 1) and not hasattr(made, "calls_")


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
@pytest.mark.parametrize("native", [True, False])
def test_requests_of_a_server(way, native):
    """Those that came over the network are copied while they are handled, and outlive them."""
    kept = []

    class Handler(web.RequestHandler):
        def post(self, *args):
            if way == "copy":
                kept.append(copy.copy(self.request))
            else:
                shallow = copy.copy(self.request)
                shallow.connection = shallow.server_connection = None
                kept.append(copy.deepcopy(shallow))
            seen = vars(self.request)
            self.write(f"{seen['method']} {seen['path']} {seen['body']}")

    class Application(web.Application):
        if not native:

            def start_request(self, server_conn, request_conn):
                return super().start_request(server_conn, request_conn)

    with collecting():
        with serving(Application([("/(.*)", Handler)])) as server:
            answer = server.exchange(request("/x?q=1", "POST", body=b"body"))
    assert answer.endswith(b"POST /x b'body'")
    (made,) = kept
    assert (made.method, made.uri, made.body, made.host) == ("POST", "/x?q=1", b"body", "example.test")
    assert made.arguments == {"q": [b"1"]} and made.remote_ip == "127.0.0.1"


@pytest.mark.parametrize("way", WAYS)
def test_headers_and_their_vars(way):
    results = []
    for implementation in BOTH:
        first = implementation.httputil.HTTPHeaders({"A": "1"})
        first.add("A", "2")
        first.mine = "mine"
        second = WAYS[way](first)
        second["B"] = "3"
        results.append([sorted(vars(first)), vars(first)["_as_list"], list(first.get_all()), str(second)])
        results[-1].append(getattr(second, "mine", None) if way != "copy" else None)
    assert results[0] == results[1]


class Hello(web.RequestHandler):
    def get(self):
        self.write("hello")


class StockHello(STOCK.web.RequestHandler):
    def get(self):
        self.write("hello")


@pytest.mark.parametrize("way", WAYS)
def test_application_is_copied(way):
    pair = web.Application([("/", Hello)], a=1), STOCK.web.Application([("/", StockHello)], a=1)
    assert sorted(vars(pair[0])) == sorted(vars(pair[1]))
    copied = WAYS[way](pair[0])
    assert copied.settings == {"a": 1} and sorted(vars(copied)) == sorted(vars(pair[1]))
    with collecting():
        with serving(copied) as server:
            assert server.exchange(request("/")).endswith(b"hello")


def test_vars_and_copies_of_a_handler():
    seen = {}

    def make(module):
        class Handler(module.RequestHandler):
            def get(self):
                self.mine = 5
                seen[module.__name__] = sorted(vars(self))
                other = copy.copy(self)
                assert other.request is self.request and other.mine == 5
                self.set_status(201)
                assert (vars(self)["_status_code"], vars(other)["_status_code"]) == (201, 200)
                self.write("got")

        return module.Application([("/", Handler)])

    for implementation in BOTH:
        with collecting():
            with serving(make(implementation.web), implementation) as server:
                answer = server.exchange(request("/"))
        assert answer.startswith(b"HTTP/1.1 201 Created") and answer.endswith(b"got")
    assert seen["tornado_c.web"] == seen["tornado.web"]


# ---- signatures and mocks ----

CLASSES = [
    *(httputil.HTTPHeaders, httputil.HTTPServerRequest, web.RequestHandler, web.Application, ioloop.IOLoop),
    *(iostream.IOStream, httpserver.HTTPConnection, httpserver.HTTPServer),
]


def methods_of(cls):
    names = [name for name in dir(cls) if not name.startswith("_")]
    return [
        name for name in names if callable(getattr(cls, name)) and not isinstance(getattr(cls, name), type)
    ]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_method_has_a_signature(cls):
    for name in methods_of(cls):
        inspect.signature(getattr(cls, name))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_specifications_know_the_arguments(cls):
    for double in (mock.create_autospec(cls), mock.create_autospec(cls, instance=True)):
        for name in methods_of(cls):
            method = getattr(double, name)
            try:
                inspect.signature(getattr(cls, name)).bind(*[None] * 40)
            except TypeError:
                with pytest.raises(TypeError):
                    method(*[None] * 40)


def calls_of(util, module):
    """What mocks in the place of methods were called with: (arguments without self, the error)."""
    seen = []
    handler = module.RequestHandler.__new__(module.RequestHandler)
    headers = util.HTTPHeaders({"a": "b"})
    made = make_request(util)
    trials = [
        (module.RequestHandler, "set_status", lambda: handler.set_status(200, reason="x")),
        (module.RequestHandler, "set_status", lambda: handler.set_status()),
        (module.RequestHandler, "set_header", lambda: handler.set_header("a", value="b")),
        (module.RequestHandler, "set_header", lambda: handler.set_header("a", nope="b")),
        (module.RequestHandler, "write", lambda: handler.write(b"x")),
        (module.RequestHandler, "write", lambda: handler.write()),
        (module.RequestHandler, "finish", lambda: handler.finish()),
        (module.RequestHandler, "get_argument", lambda: handler.get_argument("a", default=None)),
        (module.RequestHandler, "get_status", lambda: handler.get_status(5)),
        (util.HTTPHeaders, "add", lambda: headers.add("a", "b")),
        (util.HTTPHeaders, "add", lambda: headers.add("a")),
        (util.HTTPHeaders, "get_list", lambda: headers.get_list("a")),
        (util.HTTPServerRequest, "full_url", lambda: made.full_url()),
        (util.HTTPServerRequest, "request_time", lambda: made.request_time(5)),
    ]
    for cls, name, call in trials:
        with mock.patch.object(cls, name, autospec=True) as double:
            try:
                call()
            except TypeError as e:
                seen.append((name, type(e)))
                continue
            (first, *rest), kwargs = double.call_args
            assert isinstance(first, cls)
            seen.append((name, rest, kwargs))
        assert getattr(cls, name) is not double
    return seen


def test_mocks_in_the_place_of_methods():
    assert calls_of(httputil, web) == calls_of(STOCK.httputil, STOCK.web)


@pytest.mark.parametrize("order", ["mock first", "mock later"])
def test_order_of_the_imports(order):
    program = {
        "mock first": "from unittest import mock; from tornado_c import web",
        "mock later": "from tornado_c import web; from unittest import mock",
    }[order]
    program += """
import inspect, sys
double = mock.create_autospec(web.RequestHandler, instance=True)
try:
    double.write()
except TypeError:
    print("refused")
assert not isinstance(str.join, mock.FunctionTypes)
assert isinstance(web.RequestHandler.write, mock.FunctionTypes)
assert inspect.getsource(mock).startswith('# mock.py')
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_attributes_of_streams_and_loops_can_be_asked_for():
    async def main():
        import socket

        left, right = socket.socketpair()
        stream = iostream.IOStream(left)
        stream.mine = 5
        assert vars(stream)["mine"] == 5 and "read_bytes" in dir(stream)
        assert isinstance(vars(ioloop.IOLoop.current()), dict)
        stream.close()
        right.close()
        await asyncio.sleep(0)

    tornado_c.run(main())
