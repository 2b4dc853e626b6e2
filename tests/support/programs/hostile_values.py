"""A program that test_web_hostile.py runs: headers and requests whose keys and values run Python when C looks
at them, and put something else in the place of what C is using. Whatever raises, nothing crashes.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import tornado_c
from tornado_c import _core

#: What the modules hand to C: the faces and the upcalls of each group.
GROUPS: dict[str, tuple[dict[Any, Any], dict[Any, Any]]] = {}

_register = _core.register


def _note(group: str, /, **kinds: dict[Any, Any]) -> None:
    GROUPS[group] = kinds.get("faces", {}), kinds.get("upcalls", {})
    _register(group, **kinds)


_core.register = _note

from tornado_c import httputil, web  # noqa: E402
from tornado_c.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine  # noqa: E402

_core.register = _register

action: list[Callable[[], object]] = [lambda: None]


def act() -> None:
    """Does what is under trial, once."""
    now, action[0] = action[0], lambda: None
    with contextlib.suppress(Exception):
        now()
    gc.collect(0)


class Key:
    """Sits where a name would be in a dict, and is not equal to it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        act()
        return False


class Value:
    """Acts when it is looked at, and when it goes."""

    def __str__(self) -> str:
        act()
        return "value"

    def __len__(self) -> int:
        act()
        return 1

    def __bool__(self) -> bool:
        act()
        return True

    def __iter__(self) -> Any:
        act()
        return iter(["a", "b"])

    def __getattr__(self, name: str) -> Any:
        act()
        raise AttributeError(name)

    def __del__(self) -> None:
        act()


class Text(str):
    """A str that acts."""

    __slots__ = ()

    def __str__(self) -> str:
        act()
        return "text"

    def __eq__(self, other: object) -> bool:
        act()
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        act()
        return str.__hash__(self)

    def __add__(self, other: str) -> str:
        act()
        return str.__add__(self, other)

    def lower(self) -> str:
        act()
        return str.lower(self)


class Fields(dict[Any, Any]):
    """Gives items of its own choice."""

    odd: Any = None

    def items(self) -> Any:
        act()
        return iter(self.odd)

    def __iter__(self) -> Any:
        act()
        return super().__iter__()


OPERATIONS: dict[str, Callable[[Any], object]] = {
    "get": lambda h: h.get("a"),
    "item": lambda h: h["a"],
    "set": lambda h: h.__setitem__("a", "x"),
    "set list": lambda h: h.__setitem__("a", ["x"]),
    "del": lambda h: h.__delitem__("a"),
    "add": lambda h: h.add("a", "x"),
    "list": lambda h: h.get_list("a"),
    "in": lambda h: "a" in h,
    "all": lambda h: list(h.get_all()),
    "iter": lambda h: list(h),
    "str": str,
    "serialize": lambda h: h._serialize(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda h: pickle.dumps(h),
    "pop": lambda h: h.pop("a", None),
    "update": lambda h: h.update({"a": "1"}, b="2"),
    "parse": lambda h: h.parse_line("a: b"),
    "init": lambda h: h.__init__({"a": "b"}),
    "dicts": lambda h: (h._as_list, h._combined_cache),
    "new dicts": lambda h: (setattr(h, "_as_list", {}), setattr(h, "_combined_cache", {})),
    "state": lambda h: h.__setstate__({"_as_list": {Key("A"): ["x"]}, Key("_as_list"): 5}),
    "len": len,
    "equal": lambda h: h == {"A": "x"},
    "first step": lambda h: next(h.get_all()),
}


def fill_dicts(headers: HTTPHeaders) -> None:
    headers.add("a", "1")
    headers.add("a", "2")
    headers["b"] = "3"
    headers._as_list = {Key("A"): [Value()], "A": ["1", "2"], Key("B"): Value(), "B": ["3"]}
    headers._combined_cache = {Key("A"): Value(), Key("B"): Value(), "B": "3"}


def fill_values(headers: HTTPHeaders) -> None:
    for name in "abcdefgh":
        headers[name] = Value()  # type: ignore[assignment]
        headers.get_list(name).append(Value())  # type: ignore[arg-type]
    headers["a"]  # noqa: B018


def fill_own_dict(odd: Any) -> Callable[[HTTPHeaders], None]:
    def fill(headers: HTTPHeaders) -> None:
        fields = Fields({"A": ["1"], "B": "2"})
        fields.odd = odd
        headers._as_list = fields

    return fill


ODD_ITEMS = ([5], [()], [("A",)], [("A", "b", 3)], ["ab"], ["abc"])
FILLINGS = [fill_dicts, fill_values, *map(fill_own_dict, ODD_ITEMS)]


def try_headers() -> None:
    operations = list(OPERATIONS.values())
    for fill, operation, other in itertools.product(FILLINGS, operations, operations):
        headers = HTTPHeaders()
        with contextlib.suppress(Exception):
            fill(headers)
        iterator = headers.get_all()
        for now in (partial(other, headers), partial(next, iterator), partial(headers.__init__)):
            action[0] = now
            with contextlib.suppress(Exception):
                operation(headers)
            with contextlib.suppress(Exception):
                next(iterator)
        action[0] = partial(other, headers)
        del headers, iterator


def make_request(connection: Any = None) -> HTTPServerRequest:
    headers = HTTPHeaders({"Host": "test", "Content-Type": "application/x-www-form-urlencoded"})
    line = RequestStartLine("POST", "/path?a=b", "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=headers, body=b"c=d", connection=connection)


REQUEST_FIELDS = [
    *("method", "uri", "path", "query", "version", "headers", "body", "arguments", "query_arguments"),
    *("body_arguments", "files", "remote_ip", "protocol", "host", "host_name", "cookies", "connection"),
]
REQUEST_OPERATIONS: list[Callable[[Any], object]] = [
    *(lambda r, f=field: getattr(r, f) for field in REQUEST_FIELDS),
    lambda r: r.full_url(),
    lambda r: r.supports_http_1_1(),
    lambda r: r._parse_body(),
    lambda r: r.write("x", act),
    lambda r: r.finish(),
    lambda r: r.request_time(),
    repr,
]


class Connection:
    @property
    def context(self) -> Any:
        act()
        return self

    def write(self, *args: Any) -> None:
        act()

    finish = write


def try_requests() -> None:
    for operation, field, kind in itertools.product(REQUEST_OPERATIONS, REQUEST_FIELDS, (Value, Text, dict)):
        request = make_request(Connection())
        # A new object each time, so that only the request holds it.
        setattr(request, field, {Key("a"): Value(), "a": [b"x"]} if kind is dict else kind())
        for name in ("arguments", "cookies", "host_name", "query_arguments"):
            if name != field:
                delattr(request, name)

        def strip(request: Any = request) -> None:
            for name in REQUEST_FIELDS:
                with contextlib.suppress(AttributeError):
                    delattr(request, name)

        action[0] = strip
        with contextlib.suppress(Exception):
            operation(request)


def try_recursion() -> None:
    """Objects that refer to themselves end in RecursionError, not in the C stack's end."""
    handler = web.RequestHandler.__new__(web.RequestHandler)
    handler.application = handler  # type: ignore[assignment]
    request = make_request()
    request.connection = request
    holder = type("Holder", (), {})()
    holder.context = make_request(holder)
    holder.context.connection = holder
    calls = [
        lambda: handler.settings,
        lambda: request.write(b"x"),
        lambda: request.finish(),
        *(lambda n=name: getattr(holder.context, n) for name in ("remote_ip", "protocol")),
    ]
    for call in calls[:3]:
        try:
            call()
        except RecursionError:
            pass
        else:
            raise AssertionError(call)
    for name in ("remote_ip", "protocol"):
        delattr(holder.context, name)
    for call in calls[3:]:
        with contextlib.suppress(RecursionError):
            call()


def try_registry() -> None:
    for group, (faces, upcalls) in GROUPS.items():
        for name in faces:
            for wrong in (5, int, object(), None):
                if name != "HTTPRequestContext" or wrong is not int:
                    refused(TypeError, group, {**faces, name: wrong}, upcalls)
        for name in {"hook_originals", "http_responses", "httputil_globals"} & set(upcalls):
            refused(TypeError, group, faces, {**upcalls, name: 5})
        for name in faces:
            refused(LookupError, group, {other: faces[other] for other in faces if other != name}, upcalls)
        for name in upcalls:
            refused(LookupError, group, faces, {other: upcalls[other] for other in upcalls if other != name})
        for unknown in ("header_names", 5, Key("HTTPHeaders")):
            refused(LookupError, group, {**faces, unknown: int}, upcalls)
            refused(LookupError, group, faces, {**upcalls, unknown: int})
        _core.register(group, faces=faces, upcalls=upcalls)
    assert set(GROUPS) == {"httpserver", "httputil", "ioloop", "iostream", "web"}
    refused(LookupError, "core", {}, {})
    for wrong in (None, 5, [], ()):
        refused(TypeError, "ioloop", wrong, wrong)


def refused(error: type[Exception], group: str, faces: Any, upcalls: Any) -> None:
    try:
        _core.register(group, faces=faces, upcalls=upcalls)
    except error:
        return
    raise AssertionError((group, faces, upcalls))


if __name__ == "__main__":
    sys.unraisablehook = lambda _: None
    try_registry()
    try_recursion()
    try_requests()
    try_headers()
    assert HTTPHeaders(a="b")["A"] == "b" and make_request().full_url() == "http://test/path?a=b"
    assert httputil is not None and tornado_c is not None
    print("done")
