"""Rules, matchers, hosts and paths that misbehave: a request fails as with Tornado, and nothing else does."""

import gc
import re

import pytest

from support.implementations import BOTH, OURS, STOCK
from support.routed import Routed
from tornado_c import _core


class BadBool:
    def __bool__(self):
        raise KeyError("bool")


class Text(str):
    def __eq__(self, other):
        raise KeyError("eq")

    __hash__ = None


def raising(self, request):
    raise ZeroDivisionError


def both(steps):
    """What steps(routed), which gives a list, is for ours and for stock Tornado's."""
    ours, stock = steps(Routed(OURS)), steps(Routed(STOCK))
    assert ours == stock
    return ours


@pytest.mark.parametrize("answer", [5, "x", [], [1], (), True, object(), BadBool(), {"y": 1}, {}])
@pytest.mark.parametrize("kwargs", [None, {"mark": 1}])
def test_match_returns_junk(answer, kwargs):
    def steps(routed):
        Odd = type("Odd", (routed.routing.Matcher,), {"match": lambda self, request: answer})
        routed.start([("/before", routed.handler), (Odd(), routed.handler, kwargs)])
        return [routed.found("/x"), routed.found("/before")]

    both(steps)


@pytest.mark.parametrize("path", [None, 5, b"/a", "", "/\u0100", Text("/a"), "/a\ud800", "\0", "/a" * 5000])
def test_odd_paths(path):
    def steps(routed):
        routed.start(
            [("/a", routed.handler, {"mark": 1}), ("/([^/]+)", routed.handler), ("(.*)", routed.handler)]
        )
        return [routed.found(path), routed.found("/a")]

    both(steps)


@pytest.mark.parametrize(
    "kwargs", [5, "ab", [("a", 1)], [["a", 1]], object(), BadBool(), {1: 2}, {"self": 3}, b""]
)
def test_odd_arguments(kwargs):
    def steps(routed):
        app = routed.start([("/a", routed.handler, {"mark": 1}), ("/b", routed.handler)])
        app.wildcard_router.rules[0].target_kwargs = kwargs
        answers = [routed.found("/a"), routed.found("/b")]
        # Ours makes the handler where stock Tornado's only finds it.
        failed = isinstance(answers[0], str) or not isinstance(kwargs, dict) and bool(kwargs)
        return [failed or answers[0], answers[1]] if kwargs not in ({1: 2}, {"self": 3}) else answers[1:]

    both(steps)


@pytest.mark.parametrize("host", [5, b"a", None, Text("h.test"), "\u0100", object()])
@pytest.mark.parametrize("pattern", [r"h\.test", ".*", "(?i)H.test", "\u0100"])
def test_odd_default_hosts(host, pattern):
    def steps(routed):
        app = routed.start([("/b", routed.handler)], default_host="x")
        app.add_handlers(pattern, [("/a", routed.handler, {"mark": 1})])
        app.default_host = host
        return [
            routed.found("/a", Host="other"),
            routed.found("/a", **{"X-Real-Ip": "1"}),
            routed.found("/b"),
        ]

    both(steps)


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
@pytest.mark.parametrize("way", ["clear", "replace", "delete", "raise"])
def test_rules_that_go_while_they_are_tried(implementation, way):
    """Asking for the default host runs the application's own code."""
    routed = Routed(implementation)

    class App(implementation.web.Application):
        armed = False

        @property
        def default_host(self):
            if self.armed:
                self.armed = False
                if way == "clear":
                    self.wildcard_router.rules.clear()
                elif way == "replace":
                    self.default_router = type(self.default_router)(self, [])
                elif way == "delete":
                    del self.default_router, self.wildcard_router
                else:
                    raise ZeroDivisionError
                gc.collect()
            return "h.test"

        @default_host.setter
        def default_host(self, value):
            pass

    kwargs = {"default_handler_class": routed.handler, "default_handler_args": {"mark": "nothing"}}
    app = routed.app = App([], default_host="x", **kwargs)
    app.add_handlers(r"x\.test", [("/a", routed.handler)])
    app.add_handlers(r"h\.test", [("/x", routed.handler, {"mark": 1})])
    app.wildcard_router.add_rules([("/last", routed.handler, {"mark": 2})])
    assert routed.found("/last")[1] == {"mark": 2}
    app.armed = True
    found = routed.found("/x", Host="other")
    assert found == "ZeroDivisionError" if way == "raise" else found[1] in ({"mark": 1}, {"mark": "nothing"})
    if way == "delete":
        assert routed.found("/x") == "AttributeError"
    elif way != "raise":
        assert routed.found("/last")[1] == {"mark": "nothing"}


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_matchers_that_change_the_rules(implementation):
    routed = Routed(implementation)

    def match(self, request):
        routed.app.wildcard_router.rules[0:1] = [rule("/x", "new")] * 3
        return None

    def rule(pattern, mark):
        return routed.routing.Rule(routed.routing.PathMatches(pattern), routed.handler, {"mark": mark})

    Odd = type("Odd", (routed.routing.Matcher,), {"match": match})
    routed.start([(Odd(), routed.handler), rule("/x", "old")])
    assert routed.found("/x")[1] == {"mark": "new"}
    Raising = type("Raising", (routed.routing.Matcher,), {"match": raising})
    routed.start([rule("/a", "a"), (Raising(), routed.handler), rule("/x", "old")])
    assert routed.found("/x") == "ZeroDivisionError"
    assert routed.found("/a")[1] == {"mark": "a"}


@pytest.mark.parametrize("junk", [None, 5, "rule", object(), type])
def test_rules_that_are_none(junk):
    def steps(routed):
        app = routed.start([("/a", routed.handler, {"mark": 1}), ("/b", routed.handler)])
        app.wildcard_router.rules.insert(1, junk)
        return [routed.found("/a"), routed.found("/b")]

    both(steps)


@pytest.mark.parametrize("junk", [None, 5, "x", {}])
def test_lists_that_are_none(junk):
    def steps(routed):
        app = routed.start([("/a", routed.handler, {"mark": 1})])
        app.wildcard_router.rules = junk
        return [routed.found("/a")]

    both(steps)


JUNK = [
    (),
    (5, None, (), (), ()),
    ({5: 1}, None, (), (), ()),
    ({int: 1.5}, None, (), (), ()),
    ({int: 2**90, str: -1}, [], (), (), ()),
    ({}, (), (), (), ((b"", 0, ()),)),
    ({}, [], (), (), ((b"", 0, (0,)),)),
    ({}, [], (), (), ((b"x", 0, ()),)),
    ({}, [], (), (), ((b"", 0, ()), (b"a", 1, ()))),
    ({}, [], (), (), ((b"", 0, ()), (b"a", -1, ()))),
    ({}, [], (), (), ((b"", 0, 5),)),
    ({}, [], (), (), (5,)),
    ({}, [], (1,), (5,), ((b"", 0, ()),)),
    ({}, [], (1,), ((9, 0, None, None, None, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 9, None, None, None, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 0, None, None, None, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((2, 0, None, None, len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 2, None, None, len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 1, None, 5, len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 1, None, (5,), len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 1, None, ((b"", 1, 1, 1),), len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 1, None, ((bytes(256), -1, 1, 1),), len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 1, None, ((bytes(256), 1, 1, 1),) * 9, len, None, None, None),), ((b"", 0, ()),)),
    ({}, [], (1,), ((0, 2, ("a", "b"), ((bytes(256), 1, 1, 1),), len, None, None, None),), ((b"", 0, ()),)),
]


@pytest.mark.parametrize("arguments", JUNK, ids=range(len(JUNK)))
def test_tables_of_junk_are_refused(arguments):
    with pytest.raises((TypeError, ValueError)):
        _core.RouteTable(*arguments)


def test_parts_tell_of_odd_names():
    matcher = OURS.routing.PathMatches("/")
    with pytest.raises(TypeError):
        matcher.__setattr__(5, 1)
    with pytest.raises(TypeError):
        matcher.__setattr__("regex")
    with pytest.raises(AttributeError):
        del matcher.nothing
    with pytest.raises(AttributeError):
        del matcher.match
    object.__setattr__(matcher, "regex", re.compile("/x"))
    assert matcher.regex.pattern == "/x"
    type("Frozen", (OURS.routing.Matcher,), {"__slots__": ("a",)})().a = 5
