"""The routers of an application, and their rules as the tables that C walks, see routes.c.

A table is made of what a router holds when a request comes, and again once that has changed: C compares the
list's items; routers, rules and matchers tell it of assignments (they are ``_core.RoutePart``). Whatever is
not exactly what this module knows is left to the router in Python, once a request meets it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tornado_c import _core, httputil
from tornado_c._web.patterns import Step, literal_prefix, simple_steps
from tornado_c._web.targets import check_target, is_handler_class, is_target
from tornado_c.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    Matcher,
    PathMatches,
    ReversibleRuleRouter,
    Rule,
    RuleRouter,
    _RuleList,
)


class _ApplicationRouter(ReversibleRuleRouter):
    """A router whose targets may also be handler classes and lists of rules."""

    def __init__(self, application: Any, rules: _RuleList | None = None) -> None:
        assert isinstance(application, _core.ApplicationBase)
        self.application: Any = application
        super().__init__(rules)

    def process_rule(self, rule: Rule) -> Rule:
        rule = super().process_rule(rule)
        if isinstance(rule.target, (list, tuple)):
            rule.target = _ApplicationRouter(self.application, rule.target)
        else:
            check_target(rule.target)
        return rule

    def get_target_delegate(
        self, target: Any, request: httputil.HTTPServerRequest, **target_params: Any
    ) -> httputil.HTTPMessageDelegate | None:
        if is_handler_class(target) or not is_target(target):
            # What bypassed process_rule and is no target becomes a 500.
            delegate: httputil.HTTPMessageDelegate = self.application.get_handler_delegate(
                request, target, **target_params
            )
            return delegate
        return super().get_target_delegate(target, request, **target_params)


# ---- tables ----

_ASSIGNING = {
    "__setattr__": _core.RoutePart.__setattr__,
    "__delattr__": _core.RoutePart.__delattr__,
    "__getattribute__": object.__getattribute__,
}
_FIND_HANDLER = RuleRouter.find_handler
#: For each chain of these methods whether their targets may be handler classes.
_GET_TARGET_DELEGATE = {
    (RuleRouter.get_target_delegate,): False,
    (_ApplicationRouter.get_target_delegate, RuleRouter.get_target_delegate): True,
}
#: For each match method the kind of matcher, its pattern's name and all names that it reads.
_MATCHERS: dict[Any, tuple[int, str, tuple[str, ...]]] = {
    PathMatches.match: (_core.ROUTE_PATH, "regex", ("regex",)),
    HostMatches.match: (_core.ROUTE_HOST, "host_pattern", ("host_pattern",)),
    DefaultHostMatches.match: (_core.ROUTE_DEFAULT_HOST, "host_pattern", ("host_pattern", "application")),
    AnyMatches.match: (_core.ROUTE_ANY, "", ()),
}
_UNKNOWN = (_core.ROUTE_UNKNOWN, _core.ROUTE_NO_GROUPS, None, None, None, None, None, None)
_DEEPEST = 50  # tables within tables
_CROWD = 100  # candidates for each rule, on average

_Entry = tuple[int, int, tuple[str, ...] | None, tuple[Step, ...] | None, Any, Any, Any, Any]
_Node = tuple[bytes, int, tuple[int, ...]]


def _make_nodes(prefixes: Sequence[tuple[str, bool]]) -> tuple[_Node, ...]:
    """For each prefix, in their order: it, the node of its own longest prefix, the rules to be tried."""
    own: dict[bytes, list[int]] = {b"": []}
    for index, (prefix, _) in enumerate(prefixes):
        own.setdefault(prefix.encode("latin-1"), []).append(index)
    nodes: list[_Node] = []
    above: list[tuple[int, bytes, list[int]]] = []  # the prefixes of the current one, and what they pass on
    total = 0
    for place, start in enumerate(sorted(own)):
        while above and not start.startswith(above[-1][1]):
            above.pop()
        parent, _, passed = above[-1] if above else (0, b"", [])
        candidates = sorted(passed + own[start])
        total += len(candidates)
        if total > _CROWD * (len(prefixes) + 1):
            return ((b"", 0, tuple(range(len(prefixes)))),)
        nodes.append((start, parent, tuple(candidates)))
        above.append((place, start, [index for index in candidates if not prefixes[index][1]]))
    return tuple(nodes)


class _Compiler:
    """Makes the table of one application's router."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.types: dict[type[Any], int] = {}
        self.plain: dict[tuple[type[Any], tuple[str, ...]], bool] = {}
        self.made: dict[int, _core.RouteTable | None] = {}
        self.depth = 0

    def is_plain(self, obj: Any, own: tuple[str, ...]) -> bool:
        """Whether an object's attributes are what was assigned to it, of which C was told.

        :param own: attributes that its class must leave to it.
        """
        cls = type(obj)
        if (cls, own) not in self.plain:
            self.plain[cls, own] = issubclass(cls, _core.RoutePart) and self.is_plain_class(cls, own)
        return self.plain[cls, own]

    def is_plain_class(self, cls: type[Any], own: tuple[str, ...]) -> bool:
        if cls not in self.types:
            self.types[cls] = _core.watch_part_class(cls)  # first: what is looked up below is of this version
        if self.types[cls] == 0 or any(getattr(cls, name) is not f for name, f in _ASSIGNING.items()):
            return False
        return not any(hasattr(cls, name) for name in ("__getattr__", *own))

    def table(self, router: Any) -> _core.RouteTable | None:
        """The table of a router, or None where it has to route itself."""
        if id(router) not in self.made:
            self.made[id(router)] = None  # what it is within itself
            self.depth += 1
            if self.depth <= _DEEPEST:
                self.made[id(router)] = self.make_table(router)
            self.depth -= 1
        return self.made[id(router)]

    def make_table(self, router: Any) -> _core.RouteTable | None:
        if not isinstance(router, RuleRouter) or not self.is_plain(router, ("rules", "application")):
            return None
        cls, values = type(router), _core.part_values(router)
        chain = tuple(
            vars(each)["get_target_delegate"] for each in cls.__mro__ if "get_target_delegate" in vars(each)
        )
        to_classes = _GET_TARGET_DELEGATE.get(chain)
        rules = values.get("rules")
        if cls.find_handler is not _FIND_HANDLER or to_classes is None:
            return None
        if values.keys() & {"find_handler", "get_target_delegate"}:
            return None
        if to_classes and values.get("application") is not self.application or type(rules) is not list:
            return None
        snapshot = tuple(rules)
        found = [self.entry(rule, to_classes) for rule in snapshot]
        entries, prefixes = tuple(entry for entry, _ in found), [prefix for _, prefix in found]
        types = self.types if self.depth == 1 else {}
        return _core.RouteTable(types, rules, snapshot, entries, _make_nodes(prefixes))

    def entry(self, rule: Any, to_classes: bool) -> tuple[_Entry, tuple[str, bool]]:
        """A rule for C, what its path begins with, and whether that is all of it."""
        if not isinstance(rule, Rule) or not self.is_plain(rule, ("matcher", "target", "target_kwargs")):
            return _UNKNOWN, ("", False)
        values: Mapping[str, Any] = _core.part_values(rule)
        if not {"matcher", "target", "target_kwargs"} <= values.keys():
            return _UNKNOWN, ("", False)
        asked = self.matcher(values["matcher"])
        if asked is None:
            return _UNKNOWN, ("", False)
        kind, pattern, application = asked
        target = self.target(values["target"], to_classes)
        names, steps, groups, match, prefix = None, None, _core.ROUTE_NO_GROUPS, None, ("", False)
        if pattern is not None:
            steps, match = simple_steps(pattern), pattern.match
            if pattern.groupindex:
                groups, names = _core.ROUTE_NAMED, tuple(pattern.groupindex)
                steps = steps if len(names) == pattern.groups else None
            elif pattern.groups:
                groups = _core.ROUTE_UNNAMED
        if kind == _core.ROUTE_PATH and pattern is not None:
            whole = steps is not None and all(isinstance(step, bytes) for step in steps)
            prefix = literal_prefix(pattern), whole
        return (kind, groups, names, steps, match, application, target, values["target_kwargs"]), prefix

    def matcher(self, matcher: Any) -> tuple[int, re.Pattern[Any] | None, Any] | None:
        """The kind of a matcher, its pattern, and the application that it asks for the default host."""
        kind, name, own = _MATCHERS.get(getattr(type(matcher), "match", None), (-1, "", ()))
        if kind < 0 or not isinstance(matcher, Matcher) or not self.is_plain(matcher, own):
            return None
        values = _core.part_values(matcher)
        pattern, application = values.get(name), values.get("application")
        if "match" in values or (own and type(pattern) is not re.Pattern):
            return None
        if kind == _core.ROUTE_DEFAULT_HOST and application is None:
            return None
        return kind, pattern, application

    def target(self, target: Any, to_classes: bool) -> Any:
        """What C goes on to: a class, a table, an application; None where Python has to."""
        if is_handler_class(target):
            return target if to_classes else None
        if isinstance(target, _core.ApplicationBase):
            return target
        return self.table(target) if isinstance(target, RuleRouter) else None


def compile_routes(application: Any) -> _core.RouteTable:
    """Make the table of an application's router."""
    compiler = _Compiler(application)
    table = compiler.table(application.default_router)
    return table if table is not None else _core.RouteTable(compiler.types, None, (), (), ())
