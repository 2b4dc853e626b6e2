"""Routing: patterns, hosts, nested routers and applications, rules that change, tables that are refused."""

import contextlib
import re

from harness import check, main

from tornado_c import _core, httputil, web
from tornado_c.routing import AnyMatches, HostMatches, PathMatches, Rule


class Handler(web.RequestHandler):
    def initialize(self, **kwargs: object) -> None:
        pass

    def _execute(self, transforms: object, *args: object, **kwargs: object) -> None:  # type: ignore[override]
        pass


class Context:
    context = None

    def set_close_callback(self, callback: object) -> None:
        pass


def ask(application: web.Application, path: str, host: str = "a.test") -> None:
    line = httputil.RequestStartLine("GET", path, "HTTP/1.1")
    headers = httputil.HTTPHeaders({"Host": host})
    application(httputil.HTTPServerRequest(headers=headers, start_line=line, connection=Context()))


def application() -> web.Application:
    inner = web.Application([("/inner/(.*)", Handler)], default_handler_class=Handler)
    made = web.Application(
        [
            ("/", Handler),
            ("/steps/([^/]+)/([0-9]+)", Handler, {"a": 1}),
            ("/named/(?P<a>[^/]+)", Handler),
            ("/(a|b)/(?:x|y)", Handler),
            ("/(?P<a>a|c)/.*", Handler),
            ("/nested/.*", [("/nested/(.*)", Handler)]),
            ("/inner.*", inner),
        ],
        default_host="b.test",
        default_handler_class=Handler,
    )
    made.add_handlers(r"b\.test", [("/host", Handler)])
    made.add_handlers(r"(?i).*\.org", [("/host", Handler)])
    return made


APPLICATION = application()
PATHS = "/ /steps/a/1 /steps/a/b /named/x /a/x /c/x /nested/1 /inner/1 /inner /nothing /host".split()


def finding() -> None:
    for path in PATHS:
        ask(APPLICATION, path)
        ask(APPLICATION, path, "b.test")
        ask(APPLICATION, path, "x.ORG")


def changing() -> None:
    rules = APPLICATION.wildcard_router.rules
    for change in (
        lambda: rules.append(Rule(AnyMatches(), Handler)),
        lambda: rules.pop(),
        lambda: setattr(rules[0], "target_kwargs", {"b": 2}),
        lambda: setattr(rules[1].matcher, "regex", re.compile("/steps/(.*)/([0-9]+)$")),
        lambda: setattr(rules[2].matcher, "match", lambda request: None),
        lambda: delattr(rules[2].matcher, "match"),
        lambda: rules.reverse(),
        lambda: rules.reverse(),
    ):
        change()
        ask(APPLICATION, "/steps/a/1")


def making() -> None:
    ask(application(), "/steps/a/1")


def failing() -> None:
    rules = APPLICATION.wildcard_router.rules
    rules.insert(0, Rule(PathMatches("/loop"), APPLICATION))
    rules.insert(0, Rule(HostMatches("x.test"), Handler, 5))  # type: ignore[arg-type]
    for path, host in (("/loop", "a.test"), ("/", "x.test")):
        with contextlib.suppress(Exception):
            ask(APPLICATION, path, host)
    del rules[:2]


def refused() -> None:
    flags = bytes(256)
    entry = (0, 1, None, ((flags, 1, 2, True), b"x"), len, None, Handler, {})
    for entries, nodes in (
        ((entry,), ((b"", 0, (5,)),)),
        ((entry,), ((b"", 0, (0,)), (b"a", 5, ()))),
        ((entry[:3] + ((flags, 1),) + entry[4:],), ((b"", 0, ()),)),
        ((entry[:3] + ((b"", 5),) + entry[4:],), ((b"", 0, ()),)),
    ):
        with contextlib.suppress(TypeError, ValueError):
            _core.RouteTable({Handler: 1}, [], (1,), entries, nodes)


if __name__ == "__main__":
    for scenario in (finding, changing, making, failing, refused):
        check(scenario.__name__, scenario, repeats=20)
    main()
