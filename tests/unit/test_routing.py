"""Which handler gets a request, and with which arguments: rules, hosts, routers, names of handlers."""

import copy
import dataclasses
import pickle
import weakref
from unittest import mock

import pytest

from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, gets, hello, same
from tornado_c import web
from tornado_c.routing import HostMatches, PathMatches, Rule, RuleRouter


class Hello(web.RequestHandler):
    def get(self):
        self.write("hello")


def make_app(web):
    Hello = hello(web)

    class Path(web.RequestHandler):
        def get(self, *args, **kwargs):
            self.write({"args": args, "kwargs": kwargs, "mine": [self.path_args, self.path_kwargs]})

    class Order(web.RequestHandler):
        def get(self):
            self.write("the first")

    return web.Application(
        [
            web.url(r"/", Hello, name="hello"),
            (r"/path/named/(?P<first>[^/]*)/(?P<second>.*)", Path),
            (r"/path/optional(/x)?", Path),
            web.url(r"/path/([^/]*)/(.*)", Path, name="path2"),
            (r"/esc\.txt", Hello),
            (r"/order/.*", Order, {}, "order"),
            (r"/order/hidden", Hello),
        ]
    )


CASES = {
    **gets("/", "/ esc.txt escxtxt order/hidden nothing"),
    **gets("/path/", "a/b a%2Fb/c%20d%C3%A9 a+b/c %ff/x named/1/2 named/%41/ optional optional/x"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


def test_find_handler_overridden(serve):
    class App(web.Application):
        def find_handler(self, request, **kwargs):
            if request.path == "/special":
                return self.get_handler_delegate(request, Hello)
            return super().find_handler(request, **kwargs)

    fetch = serve([("/x(.*)", web.ErrorHandler, {"status_code": 410})], cls=App)
    assert body(fetch("/special")) == b"hello"
    assert fetch("/xy").startswith(b"HTTP/1.1 410")
    assert fetch("/other").startswith(b"HTTP/1.1 404")


def test_default_handler_class(serve):
    class Default(web.RequestHandler):
        def initialize(self, text):
            self.text = text

        def prepare(self):
            self.set_status(404)
            self.finish(self.text)

    fetch = serve([("/", Hello)], default_handler_class=Default, default_handler_args={"text": "nowhere"})
    assert body(fetch("/x")) == b"nowhere"


@pytest.mark.parametrize("host", ["www.one.test", "two.test", "three.test", "default.test"])
@pytest.mark.parametrize("path", ["/", "/one", "/two", "/three"])
@pytest.mark.parametrize("default", [None, "www.one.test"])
@pytest.mark.parametrize("proxied", [False, True])
def test_hosts_as_tornado(host, path, default, proxied):
    def make(module):
        def handler(text):
            def get(self, *args):
                self.write(text)

            return type("Handler", (module.RequestHandler,), {"get": get})

        app = module.Application(
            [("/", handler("any")), ("/thr(.*)", handler("any three"))], default_host=default
        )
        app.add_handlers(r"www\.one\.test", [("/one", handler("one")), ("/", handler("one root"))])
        app.add_handlers(r".*two\.test", [("/two", handler("two")), ("/one", handler("two one"))])
        return app

    data = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    data += "X-Real-Ip: 1.2.3.4\r\n\r\n" if proxied else "\r\n"
    answers = {}
    with collecting():
        for implementation in BOTH:
            with serving(make(implementation.web), implementation) as server:
                answers[implementation.name] = body(server.exchange(data.encode()))
    assert answers["ours"] == answers["stock"]


def test_rules_of_other_kinds(serve):
    """Matchers and targets that C does not know are asked in Python; those before them are not in the way."""

    class Odd(PathMatches):
        def match(self, request):
            return {} if request.path == "/odd" else None

    rules = [
        ("/", Hello),
        Rule(Odd("/never"), Hello),
        (HostMatches("example.test"), [("/nested/(.*)", web.RedirectHandler, {"url": "/{0}"})]),
        ("/last", Hello),
    ]
    fetch = serve(rules)
    assert body(fetch("/")) == body(fetch("/odd")) == body(fetch("/last")) == b"hello"
    assert b"Location: /x" in fetch("/nested/x")
    assert fetch("/never").startswith(b"HTTP/1.1 404")


def test_rules_changed_while_serving(serve):
    fetch = serve([("/", Hello)])
    app = serve.servers[0].app
    assert fetch("/new").startswith(b"HTTP/1.1 404")
    app.wildcard_router.add_rules([("/new", Hello)])
    assert body(fetch("/new")) == b"hello"
    app.wildcard_router.rules[0] = Rule(PathMatches("/"), web.ErrorHandler, {"status_code": 410})
    assert fetch("/").startswith(b"HTTP/1.1 410")
    app.wildcard_router.rules.clear()
    assert fetch("/").startswith(b"HTTP/1.1 404")


def test_router_patched_at_run_time(serve):
    fetch = serve([("/", Hello)])
    assert fetch("/x").startswith(b"HTTP/1.1 404")
    with mock.patch.object(RuleRouter, "find_handler", lambda self, request, **kwargs: None):
        assert fetch("/").startswith(b"HTTP/1.1 404")


def test_dotted_names_and_handlers_attribute():
    app = web.Application([("/", "tornado_c.web.RequestHandler", {}, "root"), ("/(.*)/x", Hello, {}, "x")])
    ((pattern, specs),) = app.handlers
    assert pattern.pattern == ".*$" and specs[0].target is web.RequestHandler
    assert app.reverse_url("root") == "/" and app.reverse_url("x", "a b/\u00e9") == "/a%20b/%C3%A9/x"
    with pytest.raises(KeyError, match="nothing not found in named urls"):
        app.reverse_url("nothing")
    web.Application([("/", Hello)], wsgi=True)


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_rules_are_plain_objects(implementation):
    """They are copied, pickled, referred to weakly and subclassed as any others."""
    routing = implementation.routing
    rule = routing.Rule(routing.PathMatches("/a/(.*)"), print, {"a": 1}, "name")
    router = routing.ReversibleRuleRouter([rule, routing.URLSpec("/b", print)])
    for part in (rule, rule.matcher, router, router.rules[1]):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert vars(pickle.loads(pickle.dumps(part, protocol))).keys() == vars(part).keys()
        assert vars(copy.copy(part)) == vars(part)
        assert vars(copy.deepcopy(part)).keys() == vars(part).keys()
        assert weakref.ref(part)() is part

    @dataclasses.dataclass(frozen=True)
    class Frozen(routing.Matcher):
        number: int

    class Mixed(routing.Matcher, dict):
        __slots__ = ("slot",)

    mixed = Mixed(a=1)
    mixed.slot, mixed.other = 2, Frozen(5)
    assert (mixed, mixed.slot, mixed.other.number) == ({"a": 1}, 2, 5)
    with pytest.raises(AttributeError, match="'Rule' object has no attribute 'nothing'"):
        del rule.nothing
