"""Rules that lead from a request to what serves it: matchers, rules, routers.

A router walks its rules in order and takes the first whose matcher accepts the request. An
:class:`tornado_c.web.Application` has such routers inside, but finds the usual rules in a table in C.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Union
from urllib.parse import quote, unquote_to_bytes

from tornado_c import _core, httputil
from tornado_c._support.regex import regex
from tornado_c.escape import utf8
from tornado_c.httpserver import _CallableAdapter
from tornado_c.log import app_log
from tornado_c.util import basestring_type, import_object


class Router(httputil.HTTPServerConnectionDelegate):
    """What finds the delegate that serves a request."""

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate | None:
        """Return the delegate for ``request``, or None. To be overridden."""
        raise NotImplementedError()

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        return _RoutingDelegate(self, server_conn, request_conn)


class ReversibleRouter(Router):
    """A router whose rules may have names, from which their URLs can be made again."""

    def reverse_url(self, name: str, *args: Any) -> str | None:
        """Return the URL of a rule with ``args`` in place of its groups, or None. To be overridden.

        :param name: the rule's.
        """
        raise NotImplementedError()


class _RoutingDelegate(httputil.HTTPMessageDelegate):
    """Chooses the real delegate once the head of a request is there."""

    def __init__(self, router: Router, server_conn: object, request_conn: httputil.HTTPConnection) -> None:
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.delegate: httputil.HTTPMessageDelegate | None = None
        self.router = router

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, httputil.RequestStartLine)
        request = httputil.HTTPServerRequest(
            connection=self.request_conn,
            server_connection=self.server_conn,
            start_line=start_line,
            headers=headers,
        )
        self.delegate = self.router.find_handler(request)
        if self.delegate is None:
            app_log.debug("Delegate for %s %s request not found", start_line.method, start_line.path)
            self.delegate = _DefaultMessageDelegate(self.request_conn)
        return self.delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self.delegate is not None
        return self.delegate.data_received(chunk)

    def finish(self) -> None:
        assert self.delegate is not None
        self.delegate.finish()

    def on_connection_close(self) -> None:
        if self.delegate is not None:
            self.delegate.on_connection_close()


class _DefaultMessageDelegate(httputil.HTTPMessageDelegate):
    """Responds with 404."""

    def __init__(self, connection: httputil.HTTPConnection) -> None:
        self.connection = connection

    def finish(self) -> None:
        line = httputil.ResponseStartLine("HTTP/1.1", 404, "Not Found")
        self.connection.write_headers(line, httputil.HTTPHeaders())
        self.connection.finish()


_RuleList = Sequence[
    Union[
        "Rule",
        list[Any],
        tuple[Union[str, "Matcher"], Any],
        tuple[Union[str, "Matcher"], Any, dict[str, Any]],
        tuple[Union[str, "Matcher"], Any, dict[str, Any], str],
    ]
]


class RuleRouter(Router, _core.RoutePart):
    """Walks a list of rules.

    :param rules: :class:`Rule` objects, or tuples ``(matcher, target[, target_kwargs[, name]])`` of their
        arguments, where a str is a pattern for the path. A target is another router, a server delegate
        or a function of the request.
    """

    def __init__(self, rules: _RuleList | None = None) -> None:
        self.rules: list[Rule] = []
        if rules:
            self.add_rules(rules)

    def add_rules(self, rules: _RuleList) -> None:
        """Append rules, in any of the forms that the constructor takes."""
        for rule in rules:
            if isinstance(rule, (tuple, list)):
                assert len(rule) in (2, 3, 4)
                matcher, *rest = rule
                if isinstance(matcher, basestring_type):
                    matcher = PathMatches(matcher)
                rule = Rule(matcher, *rest)
            self.rules.append(self.process_rule(rule))

    def process_rule(self, rule: Rule) -> Rule:
        """Return the rule to be added in place of ``rule``; by default that rule. May be overridden."""
        return rule

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate | None:
        for rule in self.rules:
            params = rule.matcher.match(request)
            if params is None:
                continue
            if rule.target_kwargs:
                params["target_kwargs"] = rule.target_kwargs
            delegate = self.get_target_delegate(rule.target, request, **params)
            if delegate is not None:
                return delegate
        return None

    def get_target_delegate(
        self, target: Any, request: httputil.HTTPServerRequest, **target_params: Any
    ) -> httputil.HTTPMessageDelegate | None:
        """Return the delegate of a rule's target, or None if the target wants none. May be overridden."""
        if isinstance(target, Router):
            return target.find_handler(request, **target_params)
        connection: Any = request.connection
        if isinstance(target, httputil.HTTPServerConnectionDelegate):
            assert connection is not None
            return target.start_request(request.server_connection, connection)
        if callable(target):
            assert connection is not None
            return _CallableAdapter(partial(target, **target_params), connection)
        return None


class ReversibleRuleRouter(ReversibleRouter, RuleRouter):
    """A rule router that can make URLs from the names of its rules."""

    def __init__(self, rules: _RuleList | None = None) -> None:
        self.named_rules: dict[str, Any] = {}
        super().__init__(rules)

    def process_rule(self, rule: Rule) -> Rule:
        rule = super().process_rule(rule)
        if rule.name:
            if rule.name in self.named_rules:
                app_log.warning("Multiple handlers named %s; replacing previous value", rule.name)
            self.named_rules[rule.name] = rule
        return rule

    def reverse_url(self, name: str, *args: Any) -> str | None:
        if name in self.named_rules:
            found: str | None = self.named_rules[name].matcher.reverse(*args)
            return found
        for rule in self.rules:
            if isinstance(rule.target, ReversibleRouter):
                url = rule.target.reverse_url(name, *args)
                if url is not None:
                    return url
        return None


class Rule(_core.RoutePart):
    """A matcher and what it leads to.

    :param matcher: accepts or refuses a request.
    :param target: what serves it; a str is the dotted name of an object to import.
    :param target_kwargs: handed to the target, for instance to a handler's ``initialize``.
    :param name: for ``reverse_url``.
    """

    def __init__(
        self,
        matcher: Matcher,
        target: Any,
        target_kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.matcher = matcher
        self.target = import_object(target) if isinstance(target, str) else target
        self.target_kwargs = target_kwargs if target_kwargs else {}
        self.name = name

    def reverse(self, *args: Any) -> str | None:
        """Return the URL of this rule with ``args`` in place of its groups, or None if there is none."""
        return self.matcher.reverse(*args)

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}({self.matcher!r}, {self.target}, kwargs={self.target_kwargs!r}, name={self.name!r})"


class Matcher(_core.RoutePart):
    """Decides whether a rule is for a request."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """Return None to refuse, else the parameters for the target, which may be none at all."""
        raise NotImplementedError()

    def reverse(self, *args: Any) -> str | None:
        """Return the URL that this matcher accepts with ``args`` in its groups, or None if there is none."""
        return None


class AnyMatches(Matcher):
    """Accepts every request."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        return {}


class HostMatches(Matcher):
    """Accepts requests for the hosts that a pattern matches."""

    def __init__(self, host_pattern: str | re.Pattern[str]) -> None:
        self.host_pattern = _compile(host_pattern)

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        return {} if self.host_pattern.match(request.host_name) else None


class DefaultHostMatches(Matcher):
    """Accepts requests where the pattern matches the application's default host.

    A request that a proxy has passed on (it has an ``X-Real-Ip`` header) is refused.
    """

    def __init__(self, application: Any, host_pattern: re.Pattern[str]) -> None:
        self.application = application
        self.host_pattern = host_pattern

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        direct = "X-Real-Ip" not in request.headers
        return {} if direct and self.host_pattern.match(self.application.default_host) else None


class PathMatches(Matcher):
    """Accepts paths that a pattern matches as a whole; its groups become arguments of the handler."""

    def __init__(self, path_pattern: str | re.Pattern[str]) -> None:
        self.regex = _compile(path_pattern)
        assert len(self.regex.groupindex) in (0, self.regex.groups), (
            f"groups in url regexes must either be all named or all positional: {self.regex.pattern!r}"
        )
        self._path, self._group_count = self._find_groups()

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        match = self.regex.match(request.path)
        if match is None:
            return None
        if not self.regex.groups:
            return {}
        args: list[bytes | None] = []
        kwargs: dict[str, bytes | None] = {}
        if self.regex.groupindex:
            kwargs = {str(name): _unquote_or_none(text) for name, text in match.groupdict().items()}
        else:
            args = [_unquote_or_none(text) for text in match.groups()]
        return {"path_args": args, "path_kwargs": kwargs}

    def reverse(self, *args: Any) -> str | None:
        if self._path is None:
            raise ValueError("Cannot reverse url regex " + self.regex.pattern)
        assert len(args) == self._group_count, "required number of arguments not found"
        if not args:
            return self._path
        texts = (a if isinstance(a, (str, bytes)) else str(a) for a in args)
        return self._path % tuple(quote(utf8(text)) for text in texts)

    def _find_groups(self) -> tuple[str | None, int | None]:
        """Return the path with ``%s`` for each group, and their number; a pair of None if that is unclear."""
        pattern = self.regex.pattern.removeprefix("^").removesuffix("$")
        if self.regex.groups != pattern.count("("):
            return None, None
        pieces = []
        for fragment in pattern.split("("):
            group, closed, rest = fragment.partition(")")
            try:
                pieces.append("%s" + _re_unescape(rest) if closed else _re_unescape(fragment))
            except ValueError:
                return None, None
        return "".join(pieces), self.regex.groups


class URLSpec(Rule):
    """A rule for a path, in the form that applications list.

    :param pattern: regular expression for the whole path. Named groups become keyword arguments of the
        handler's method, others positional ones; the two do not mix.
    :param handler: the handler class, or its dotted name.
    :param kwargs: keyword arguments of the handler's ``initialize``.
    :param name: for ``reverse_url``.
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        handler: Any,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        matcher = PathMatches(pattern)
        super().__init__(matcher, handler, kwargs, name)
        self.regex = matcher.regex
        self.handler_class = self.target
        self.kwargs = kwargs

    def __repr__(self) -> str:
        kind, pattern = type(self).__name__, self.regex.pattern
        return f"{kind}({pattern!r}, {self.handler_class}, kwargs={self.kwargs!r}, name={self.name!r})"


def _compile(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    """The pattern, which must match to the end if it is a str."""
    if isinstance(pattern, basestring_type):
        return re.compile(pattern if pattern.endswith("$") else pattern + "$")
    return pattern


_ESCAPED = regex(r"\\(.)", re.DOTALL)
_ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def _unescape_char(match: re.Match[str]) -> str:
    if match[1] in _ALPHANUMERIC:
        raise ValueError(f"cannot unescape '\\\\{match[1]}'")
    return match[1]


def _re_unescape(text: str) -> str:
    """Undo ``re.escape``; ValueError for a backslash that it would not have written."""
    return _ESCAPED.sub(_unescape_char, text)


def _unquote_or_none(s: str | None) -> bytes | None:
    """The bytes of a matched group; None for one that took no part."""
    return None if s is None else unquote_to_bytes(s)
