"""Whatever an application puts where C reads: a request may fail, the process lives.

What would end the interpreter on failure runs in a process of its own.
"""

import pytest

from support.children import run_program
from tornado_c import web
from tornado_c.routing import PathMatches, Rule

PARTS = 32


@pytest.mark.parametrize("part", range(0, PARTS, 8))
def test_attributes_deleted_and_replaced_in_hooks(part):
    assert run_program("hostile_handlers.py", str(part), str(PARTS)) == ["served"]


@pytest.mark.parametrize("part", [0, 5])
def test_uploads_that_are_interfered_with(part):
    assert run_program("hostile_uploads.py", str(part), "8") == ["served"]


def test_keys_and_values_that_act_when_looked_at():
    assert run_program("hostile_values.py") == ["done"]


class Hello(web.RequestHandler):
    def get(self, *args, **kwargs):
        self.write("hello")


@pytest.mark.parametrize("name", ["_auto_finish", "_finished", "_headers_written"])
def test_flags_that_are_deleted(serve, name):
    """The request fails; without _auto_finish it would wait for ever."""

    class Handler(Hello):
        def prepare(self):
            delattr(self, name)

    exchange = serve(web.Application([("/", Handler)]))
    assert exchange("/").startswith(b"HTTP/1.1 500 ")


TABLES = [
    *(5, "text", (), (1, 2, 3, 4), ([], 0, {}, ()), ([], -1, {}, ()), ([], 0, {}, ((),))),
    ([1], 1, {"/": 5}, ()),
    ([1], 1, {"/": (0, 1)}, ()),
    ([1], 1, {"/": (0, 1, 2, 3)}, ()),
    ([1], 1, {"/": (-5, 1, Hello, {})}, ()),
    ([1], 1, {"/": (10**30, 1, Hello, {})}, ()),
    ([1], 1, {}, ((0, 1, 0, 5, 5),)),
    ([1], 1, {}, ((0, 1, 0, str, (1, 2)),)),
    ([1], 1, {}, ((0, 1, 0, str, (5, 5, True, False)),)),
    ([1], 1, {}, ((0, 1, 1, str, 5),)),
    ([1], 1, {}, ((0, 1, 2, None, 5),)),
    ([1], 1, {}, ((0, 1, 99, None, 5),)),
    ([1], 1, {}, ((0, 1, "x", None, 5),)),
    ([1], 1, {}, ((-3, 1, 2, None, 5),)),
    ((1,), 1, {}, ()),
    ([1], 10**40, {}, ()),
]


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_table_of_routes_replaced(serve, number):
    application = web.Application([("/", Hello), ("/x(.*)", Hello)])
    fetch = serve(application)
    application._routes = TABLES[number]
    fetch("/")
    fetch("/xy")
    application._routes = None
    assert fetch("/").endswith(b"hello") and fetch("/xy").endswith(b"hello")


def test_table_of_routes_that_contains_itself(serve):
    application = web.Application([("/", Hello)])
    walk = []
    fetch = serve(application)
    table = ([1], 1, {}, (item := (0, 1, 2, None, walk),))
    walk.append(item)
    application._routes = table
    fetch("/")
    application._routes = None
    assert fetch("/").endswith(b"hello")


class Match:
    def __init__(self, value):
        self.value = value

    def groups(self):
        return self.value

    groupdict = groups


@pytest.mark.parametrize("value", [5, None, ["a"], {"a": "b"}, ("a", 5), {"a": 5}, {5: "a"}], ids=repr)
@pytest.mark.parametrize("named", [False, True])
def test_pattern_of_another_kind(serve, value, named):
    """Objects that are used like patterns of `re`."""

    class Pattern:
        pattern, flags, groups, groupindex = "/(.*)", 0, 1, {"a": 1} if named else {}

        def match(self, path):
            return Match(value)

    application = web.Application([("/", Hello)])
    matcher = PathMatches("/(.*)")
    matcher.regex = Pattern()
    application.wildcard_router.rules.insert(0, Rule(matcher, Hello))
    fetch = serve(application)
    fetch("/x")
    application.wildcard_router.rules.pop(0)
    assert fetch("/").endswith(b"hello")


@pytest.mark.parametrize("change", ["clear", "grow", "replace"])
def test_groups_changed_while_they_are_decoded(serve, change):
    class Handler(Hello):
        def decode_argument(self, value, name=None):
            if change == "clear":
                groups.clear()
            elif change == "grow":
                groups.update((str(i), "x" * i) for i in range(100))
            else:
                groups.update((key, "".join(("n", key))) for key in list(groups))
            return "decoded"

    groups = {}

    class Application(web.Application):
        def find_handler(self, request, **kwargs):
            groups.clear()
            groups.update((f"name{i}", f"value{i}") for i in range(5))
            return self.get_handler_delegate(request, Handler, path_kwargs=groups)

    fetch = serve(Application())
    for _ in range(3):
        answer = fetch("/x")
        assert answer.startswith(b"HTTP/1.1 200" if change == "replace" else b"HTTP/1.1 500")


@pytest.mark.parametrize(
    "target", [5, "text", object(), len, dict, Hello.get], ids=lambda t: type(t).__name__
)
@pytest.mark.parametrize("when", ["in the settings", "from find_handler"])
def test_handler_class_that_is_none(serve, target, when):
    class Application(web.Application):
        def find_handler(self, request, **kwargs):
            if when == "from find_handler":
                return self.get_handler_delegate(request, target)
            return super().find_handler(request, **kwargs)

    application = Application([("/", Hello)])
    if when == "in the settings":
        application.settings["default_handler_class"] = target
    answer = serve(application)("/nothing")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    text = f"expected subclass of RequestHandler, got {target!r}"
    assert any(line[:2] == ("tornado.application", "ERROR") and text in line[2] for line in serve.log.take())


@pytest.mark.parametrize("arguments", [None, {}, (), [("x", 1)], {"x": 1}, {5: 1}, 5, "ab"], ids=repr)
@pytest.mark.parametrize("place", ["settings", "rule"])
def test_keyword_arguments_of_any_kind(serve, arguments, place):
    class Handler(Hello):
        def initialize(self, x=0):
            self.x = x

        def get(self):
            self.write(f"x is {self.x}")

    if place == "settings":
        settings = {"default_handler_class": Handler, "default_handler_args": arguments}
        application = web.Application([("/", Hello)], **settings)
    else:
        application = web.Application([("/", Hello), ("/y", Handler, arguments)])
    fetch = serve(application)
    answer = fetch("/y")
    good = not arguments or arguments == {"x": 1}
    assert answer.endswith(b"x is 1" if arguments else b"x is 0") if good else answer == b""
    assert fetch("/").endswith(b"hello")
