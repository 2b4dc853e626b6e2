"""Rules that are changed while the application serves: each request gets what trying every rule gives."""

import copy
import gc
import inspect
import re
import sys
from unittest import mock

import pytest

from support.implementations import OURS, STOCK
from support.routed import NOTHING, Routed


class Marked:
    """An application that has served requests already, and what its tests change. Its rules have marks."""

    def __init__(self, implementation):
        self.routed = Routed(implementation)
        self.routing = implementation.routing
        self.web = implementation.web
        self.app = self.routed.start(
            [
                self.rule("/", "root"),
                self.rule("/one", "one"),
                self.rule("/two/(.*)", "two"),
                ("/nested/.*", [self.rule("/nested/a", "a"), self.rule("/nested/(?P<name>.*)", "named")]),
                self.rule("/last", "last"),
            ]
        )
        self.app.add_handlers(r"host\.test", [self.rule("/host", "host")])
        self.rules = self.app.wildcard_router.rules
        self.nested = self.rules[3].target.rules
        self.ask()

    def rule(self, pattern, mark):
        return self.routing.Rule(self.routing.PathMatches(pattern), self.routed.handler, {"mark": mark})

    def ask(self):
        """What serves each of some requests."""
        paths = "/ /one /two/x /nested/a /nested/b /last /new /new/x /host"
        found = {path: self.routed.found(path) for path in paths.split()}
        return found | {"host": self.routed.found("/host", Host="host.test:80")}


def replace_item(m):
    m.rules[0] = m.rule("/", "new")


def replace_slice(m):
    m.rules[1:3] = [m.rule("/new", "new"), m.rule("/one", "again")]


def swap_items(m):
    m.rules[0].matcher, m.rules[1].matcher = m.rules[1].matcher, m.rules[0].matcher
    m.rules[0], m.rules[4] = m.rules[4], m.rules[0]


def insert(m):
    m.rules.insert(0, m.rule("/.*", "all"))


def insert_nested(m):
    m.nested.insert(0, m.rule("/nested/.*", "all"))


def replace_nested_item(m):
    m.nested[0] = m.rule("/nested/(b)", "new")


def pop(m):
    m.rules.pop(1)


def clear(m):
    m.rules.clear()


def reverse(m):
    m.rules.insert(1, m.rule("/.*", "all"))
    m.rules.reverse()


def sort(m):
    m.rules.append(m.rule("/.*", "all"))
    m.ask()
    m.rules.sort(key=lambda rule: rule.matcher.regex.pattern)


def replace_list(m):
    m.app.wildcard_router.rules = [m.rule("/new", "new")]


def replace_list_by_a_tuple(m):
    m.app.wildcard_router.rules = (m.rule("/new", "new"),)


def replace_list_nested(m):
    m.rules[3].target.rules = [m.rule("/nested/.*", "new")]


def delete_list_items(m):
    del m.rules[:2]


def replace_target(m):
    m.rules[0].target = type("Other", (m.routed.handler,), {})
    m.rules[1].target = type(m.app.wildcard_router)(m.app, [m.rule("/one", "deep")])
    m.rules[3].target = m.routed.handler


def replace_matcher(m):
    m.rules[0].matcher = m.routing.PathMatches("/new")
    m.rules[1].matcher = m.routing.AnyMatches()


def replace_matcher_nested(m):
    m.nested[0].matcher = m.routing.PathMatches("/nested/b")


def replace_matcher_of_list(m):
    m.rules[3].matcher = m.routing.PathMatches("/elsewhere")


def replace_regex(m):
    m.rules[0].matcher.regex = re.compile("/new(/x)?$")


def replace_regex_by_another_object(m):
    m.rules[0].matcher.regex = mock.Mock(groups=0, match=lambda path: path == "/new" or None)


def replace_regex_by_bytes(m):
    m.rules[1].matcher.regex = re.compile(b"/one")


def replace_host_pattern(m):
    m.app.default_router.rules[0].matcher.host_pattern = re.compile("h.test$")


def replace_kwargs(m):
    m.rules[0].target_kwargs = {"mark": "other"}
    m.rules[1].target_kwargs = None


def change_kwargs_in_place(m):
    m.rules[0].target_kwargs["more"] = 1
    m.rules[1].target_kwargs.clear()


def set_name(m):
    m.rules[0].name = "other"


def delete_attribute(m):
    del m.rules[1].target


def add_rules(m):
    m.app.wildcard_router.add_rules([m.rule("/new", "new")])
    m.rules[3].target.add_rules([("/nested/.*", m.routed.handler)])


def add_handlers(m):
    m.app.add_handlers(".*", [("/new", m.routed.handler, {"mark": "new"})])


def set_default_host(m):
    m.app.default_host = "other.test"
    m.app.add_handlers(r"host\.test", [("/new", m.routed.handler, {"mark": "default"})])
    m.ask()
    m.app.default_host = "host.test"


def replace_router(m):
    m.app.default_router = type(m.app.default_router)(m.app, [m.rule("/new", "new")])


def match_of_a_matcher(m):
    m.rules[0].matcher.match = lambda request: {} if request.path == "/new" else None


def match_of_a_matcher_and_back(m):
    match_of_a_matcher(m)
    m.ask()
    del m.rules[0].matcher.match


def find_handler_of_a_router(m):
    m.rules[3].target.find_handler = lambda request, **kwargs: None


def get_target_delegate_of_a_router(m):
    router = m.rules[3].target
    known = router.get_target_delegate
    router.get_target_delegate = lambda target, request, **params: known(
        target, request, target_kwargs={"x": 1}
    )


def find_handler_of_the_application(m):
    known = m.app.find_handler
    m.app.find_handler = lambda request, **kwargs: (
        known(request) if request.path != "/one" else known(mock.Mock())
    )


def class_of_a_rule(m):
    class Other(m.routing.Rule):
        target = property(lambda self: m.routed.handler, lambda self, value: None)

    m.rules[3].__class__ = Other


def class_of_a_matcher(m):
    class Never(m.routing.PathMatches):
        def match(self, request):
            return None

    m.rules[0].matcher.__class__ = Never


def dynamic_name(m):
    m.rules[0].__setattr__("".join(["tar", "get_kwargs"]), {"mark": "other"})


CHANGES = [value for value in list(globals().values()) if getattr(value, "__module__", "") == __name__]
CHANGES = [value for value in CHANGES if callable(value) and value is not Marked]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_change_is_seen(change):
    answers = []
    for implementation in (OURS, STOCK):
        marked = Marked(implementation)
        before = marked.ask()
        change(marked)
        answers.append((before, marked.ask()))
    assert answers[0] == answers[1]
    assert change in (set_name, match_of_a_matcher_and_back) or answers[0][0] != answers[0][1]


PATCHES = {
    "PathMatches.match": ("PathMatches", "match", lambda self, request: {}),
    "HostMatches.match": ("HostMatches", "match", lambda self, request: {}),
    "AnyMatches.match": ("AnyMatches", "match", lambda self, request: None),
    "RuleRouter.find_handler": ("RuleRouter", "find_handler", lambda self, request, **kwargs: None),
    "RuleRouter.get_target_delegate": ("RuleRouter", "get_target_delegate", lambda self, *a, **kw: None),
    "Rule.target_kwargs": ("Rule", "target_kwargs", property(lambda self: {"mark": "patched"})),
}


@pytest.mark.parametrize("name", PATCHES)
def test_patched_class(name):
    """What a tool replaces on a class counts while it is there."""
    cls, attribute, value = PATCHES[name]
    answers = []
    for implementation in (OURS, STOCK):
        marked = Marked(implementation)
        before = marked.ask()
        with mock.patch.object(getattr(implementation.routing, cls), attribute, value, create=True):
            during = marked.ask()
        assert marked.ask() == before
        answers.append(during)
    assert answers[0] == answers[1] != before


@pytest.mark.parametrize("implementation", (OURS, STOCK), ids=repr)
def test_wrapped_as_monitoring_tools_do(implementation):
    seen = []

    def wrapped(self, request, **kwargs):
        seen.append(request.path)
        return known(self, request, **kwargs)

    marked = Marked(implementation)
    before = marked.ask()
    known = implementation.routing.RuleRouter.find_handler
    with mock.patch.object(implementation.routing.RuleRouter, "find_handler", wrapped):
        assert marked.ask() == before
        assert "/one" in seen
        count = len(seen)
    assert marked.ask() == before and len(seen) == count


@pytest.mark.parametrize("implementation", (OURS, STOCK), ids=repr)
def test_process_rule_patched(implementation):
    marked = Marked(implementation)

    def process(self, rule):
        rule.target_kwargs = {"mark": "processed"}
        return rule

    with mock.patch.object(implementation.routing.ReversibleRuleRouter, "process_rule", process):
        marked.app.wildcard_router.add_rules([marked.rule("/new", "new")])
    assert marked.routed.found("/new")[1] == {"mark": "processed"}


def test_rules_of_other_applications_are_no_concern_of_this_one():
    first, second = Marked(OURS), Marked(OURS)
    first.rules[1].target_kwargs = {"mark": "changed"}
    assert second.routed.found("/one")[1] == {"mark": "one"}
    assert first.routed.found("/one")[1] == {"mark": "changed"}


@pytest.mark.parametrize("implementation", (OURS, STOCK), ids=repr)
def test_nested_applications(implementation):
    """An application below a rule serves with its own handlers, also where none of its rules matches."""
    routed = Routed(implementation)
    inner = routed.application([("/api/(.*)", routed.handler, {"mark": "inner"})])
    inner.mark = "inner application"
    routed.start([("/api.*", inner, {"ignored": 1}), ("/(.*)", routed.handler, {"mark": "outer"})])
    for _ in range(2):
        assert routed.found("/api/x") == ["inner application", {"mark": "inner"}, [b"x"], {}]
        assert routed.found("/apis") == ["inner application", {"mark": NOTHING}, [], {}]
        assert routed.found("/x") == [None, {"mark": "outer"}, [b"x"], {}]
    inner.find_handler = lambda request, **kwargs: inner.get_handler_delegate(
        request, routed.handler, {"mark": "found"}, list(kwargs.get("path_args", []))
    )
    assert routed.found("/api/x")[:2] == ["inner application", {"mark": "found"}]


@pytest.mark.parametrize("implementation", (OURS, STOCK), ids=repr)
def test_routers_below_rules(implementation):
    """A router's own groups and arguments count, those of the rule above it do not."""
    routed = Routed(implementation)
    routing = routed.routing
    app = routed.application([])
    deep = type(app.wildcard_router)(
        app, [("/a/(?P<b>.)", routed.handler), ("/a/.*", routed.handler, {"mark": 1})]
    )
    plain = routing.RuleRouter([routing.Rule(routing.PathMatches("/(a)/(.*)"), deep, {"ignored": 2})])
    app.wildcard_router.add_rules([("/(?P<any>.*)", plain, {"ignored": 3}), ("/(b)", routed.handler)])
    routed.app = app
    assert routed.found("/a/%41")[1:] == [{"mark": 1}, [], {}]
    assert routed.found("/a/A")[1:] == [{}, [], {"b": b"A"}]
    assert routed.found("/b")[1:] == [{}, [b"b"], {}]
    assert routed.found("/c")[1] == {"mark": NOTHING}


def test_router_within_itself():
    routed = Routed(OURS)
    app = routed.start([("/one", routed.handler, {"mark": 1})])
    router = app.wildcard_router
    router.rules.append(routed.routing.Rule(routed.routing.PathMatches("/loop"), router))
    assert routed.found("/one")[1] == {"mark": 1}
    assert routed.found("/loop") == "RecursionError"
    app.wildcard_router.rules[1].target = app
    assert routed.found("/one")[1] == {"mark": 1}
    assert routed.found("/loop") == "RecursionError"


def new_kwargs():
    return {"mark": "written"}


DICTS = {
    "a rule's": lambda m: vars(m.rules[1]).update(target_kwargs=new_kwargs()),
    "a nested rule's": lambda m: vars(m.nested[0]).update(target_kwargs=new_kwargs()),
    "a matcher's": lambda m: vars(m.rules[1].matcher).update(regex=re.compile("/new$")),
    "the router's": lambda m: vars(m.app.wildcard_router).update(rules=[m.rule("/.*", "written")]),
    "several": lambda m: [vars(rule).update(target_kwargs=new_kwargs()) for rule in m.rules[:3]],
    "replaced": lambda m: setattr(m.rules[1], "__dict__", vars(m.rules[0])),
    "written twice": lambda m: (
        vars(m.rules[1]).update(target_kwargs=None),
        vars(m.rules[1]).update(target_kwargs=new_kwargs()),
    ),
}


@pytest.mark.parametrize("kind", DICTS)
def test_what_is_written_into_a_dict(kind):
    marked = {each: Marked(each) for each in (OURS, STOCK)}
    before = marked[OURS].ask()
    for m in marked.values():
        DICTS[kind](m)
    assert marked[STOCK].ask() == marked[OURS].ask() != before


def test_a_dict_that_is_kept_and_written_into_later():
    marked = {each: Marked(each) for each in (OURS, STOCK)}
    kept = {each: [vars(m.rules[1]), vars(m.rules[2]), vars(m.rules[1])] for each, m in marked.items()}
    for number in range(6):
        for each in marked:
            kept[each][number % 3]["target_kwargs"] = {"mark": number}
            if number == 4:
                del marked[each].rules[2], kept[each][1:]
                kept[each] *= 3
        assert marked[STOCK].ask() == marked[OURS].ask()


def write_kept_from_before(m, kept):
    kept["target_kwargs"] = new_kwargs()


def write_asked_now(m, kept):
    vars(m.rules[0])["target_kwargs"] = new_kwargs()


def write_twice(m, kept):
    now = vars(m.rules[0])
    kept["target_kwargs"] = None
    m.ask()
    now["target_kwargs"] = new_kwargs()


@pytest.mark.parametrize("write", [write_kept_from_before, write_asked_now, write_twice])
@pytest.mark.parametrize("kind", ["rule", "matcher", "router"])
def test_a_class_that_keeps_its_subclasses_to_itself(kind, write):
    """Its `__init_subclass__` does not call that of its base."""
    marked = {each: Marked(each) for each in (OURS, STOCK)}
    before = marked[OURS].ask()
    for each, m in marked.items():
        routing = each.routing
        base = {"rule": routing.Rule, "matcher": routing.PathMatches, "router": routing.RuleRouter}[kind]

        class Alone(base):
            def __init_subclass__(cls, **options):
                pass

        class Mine(Alone):
            pass

        if kind == "rule":
            part = Mine(routing.PathMatches("/new"), m.routed.handler, {"mark": "mine"})
            kept = vars(part)
            m.rules.insert(0, part)
        elif kind == "matcher":
            part = Mine("/new")
            kept = vars(part)
            m.rules.insert(0, routing.Rule(part, m.routed.handler, {"mark": "mine"}))
        else:
            part = Mine([m.rule("/new", "mine")])
            kept = vars(part)
            m.rules.insert(0, routing.Rule(routing.PathMatches("/new"), part))
        asked = m.ask()
        assert asked != before
        if kind == "matcher":
            (vars(part) if write is write_asked_now else kept)["regex"] = re.compile("/one$")
        elif kind == "router":
            (vars(part) if write is write_asked_now else kept)["rules"] = []
        else:
            write(m, kept)
        assert m.ask() != asked
    assert marked[OURS].ask() == marked[STOCK].ask()


def test_a_dict_that_was_only_looked_at_is_not_kept():
    m = Marked(OURS)
    dicts = [vars(rule) for rule in m.rules]
    m.ask()
    addresses = [id(each) for each in dicts]
    assert sys.getrefcount(dicts[0]) > 3
    dicts = dicts[:1]
    m.ask()
    m.ask()
    dicts += [vars(rule) for rule in m.rules[1:]]
    assert [id(each) for each in dicts] == addresses
    kept = dicts.pop(0)
    dicts.clear()
    m.ask()
    kept["target_kwargs"] = new_kwargs()
    assert m.ask()["/"][1] == new_kwargs()
    del kept
    m.ask()
    referrers = [each for each in gc.get_referrers(m.rules[0].target_kwargs) if type(each) is dict]
    assert len(referrers) <= 1  # the rule's own


def test_the_dict_of_a_rule_is_as_of_any_object():
    routing = OURS.routing

    class Init:
        seen = []

        def __init_subclass__(cls, mark=None, **options):
            super().__init_subclass__(**options)
            cls.seen.append(mark)

    class Mine(routing.Rule, Init, mark="mine"):
        pass

    class Mixed(Init, routing.Rule, mark="mixed"):
        __slots__ = ("other",)

    assert Init.seen == ["mine", "mixed"]
    routed = Routed(OURS)
    routed.start([cls(routing.PathMatches("/never"), routed.handler) for cls in (routing.Rule, Mine, Mixed)])
    routed.found("/")
    for cls in (routing.Rule, Mine, Mixed):
        rule = cls(routing.AnyMatches(), print, {"a": 1}, "name")
        assert vars(rule) is vars(rule) and list(vars(rule)) == ["matcher", "target", "target_kwargs", "name"]
        assert inspect.getattr_static(rule, "target") is print
        assert vars(copy.copy(rule)) == vars(rule)
        rule.__dict__ = {"target": 5}
        assert rule.target == 5 and not hasattr(rule, "name")
        with pytest.raises(TypeError):
            rule.__dict__ = 5
        del rule.__dict__
        assert not hasattr(rule, "target") and vars(rule) == {}
