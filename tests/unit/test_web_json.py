"""A dict as the response is the JSON that stock Tornado sends, also where json or json_encode is replaced."""

import collections
import contextlib
import decimal
import enum
import json
import json.encoder
import random
import sys
from unittest import mock

import pytest

from support.implementations import BOTH
from support.web_servers import body, pair, request, same


class Text(str):
    def __str__(self):
        return "text"


class Number(enum.IntEnum):
    ONE = 1


class Items(dict):
    def items(self):
        return [("items", 1)]


class Unknown:
    pass


LOOP = {"in itself": []}
LOOP["in itself"].append(LOOP)
DEEP = {}
for _ in range(100_000):
    DEEP = {"deeper": DEEP}

VALUES = {
    "empty": {},
    "text": {"hello": 'wörld \u2028 \U0001f600 \ud800 </script> <\\/ "quoted"'},
    "numbers": {"float": 1e100, "small": 5e-324, "nan": float("nan"), "inf": [-float("inf")], "int": 2**100},
    "keys": {1: 1, 2.5: 2, None: 3, False: 4, "s": 5},
    "unsorted": {"b": 1, "a": 2},
    "nested": {"list": [1, [2, (3, {"four": None})], []], "true": True},
    "subclasses": {"a": Text("x"), "b": Number.ONE, "c": Items(a=1), "d": collections.OrderedDict(z=1, a=2)},
    "items": Items(b=2),
    "same": {"a": [LOOP["in itself"][:0]] * 3},
    "loop": LOOP,
    "deep": DEEP,
    "bad key": {(1, 2): 3},
    "bad value": {"list": [1, {"two": Unknown()}]},
    "decimal": {"price": decimal.Decimal("1.50")},
}


def make_app(web):
    class Handler(web.RequestHandler):
        def get(self, name):
            self.set_header("Content-Type", "text/plain")
            self.write(VALUES[name.replace("_", " ")])

    return web.Application([("/(.*)", Handler)])


def paths():
    return ["/" + name.replace(" ", "_") for name in VALUES]


@pytest.mark.parametrize("path", paths())
def test_every_kind_of_value(ask, path):
    for _ in range(2):
        outcome = ask(request(path))
        ours, stock = outcome["ours"], outcome["stock"]
        assert ours[0] == stock[0] and ours[0]
        assert [line[2:] for line in ours[1][-1:]] == [line[2:] for line in stock[1][-1:]]


def encode_default(self, value):
    return f"encoded {type(value).__name__}"


def refuse_floats(value, **kwargs):
    raise ValueError("no JSON today")


@contextlib.contextmanager
def both_escapes(name, value):
    with contextlib.ExitStack() as stack:
        for each in BOTH:
            stack.enter_context(mock.patch.object(sys.modules[f"{each.package}.escape"], name, value))
        yield


original_dumps = json.dumps

PATCHES = {
    "dumps": lambda: mock.patch.object(
        json, "dumps", lambda value: original_dumps(value, indent=1, default=str)
    ),
    "failing dumps": lambda: mock.patch.object(json, "dumps", refuse_floats),
    "default of the class": lambda: mock.patch.object(json.JSONEncoder, "default", encode_default),
    "default of the encoder": lambda: mock.patch.object(
        json._default_encoder, "default", lambda value: "instance", create=True
    ),
    "another encoder": lambda: mock.patch.object(json, "_default_encoder", json.JSONEncoder(sort_keys=True)),
    "an attribute": lambda: mock.patch.object(json._default_encoder, "allow_nan", False),
    "encode": lambda: mock.patch.object(json.JSONEncoder, "encode", lambda self, value: '"</encoded>"'),
    "iterencode": lambda: mock.patch.object(
        json.JSONEncoder, "iterencode", lambda self, value, _one_shot=False: ["itér", "encoded"]
    ),
    "in Python": lambda: mock.patch.object(json.encoder, "c_make_encoder", None),
    "strings": lambda: mock.patch.object(json.encoder, "encode_basestring_ascii", lambda s: f"<{s}>"),
    "json_encode": lambda: both_escapes("json_encode", lambda value: "<encoded/>"),
    "bytes": lambda: both_escapes("json_encode", lambda value: b"[bytes]"),
    "another json": lambda: both_escapes("json", mock.Mock(dumps=lambda value: "other")),
}


@pytest.mark.parametrize("patch", PATCHES)
def test_what_is_replaced_is_honoured(ask, patch):
    changed = False
    for path in ("/text", "/numbers", "/bad_value", "/unsorted"):
        before = ask(request(path))
        with PATCHES[patch]():
            for _ in range(2):
                outcome = ask(request(path))
                assert outcome["ours"][0] == outcome["stock"][0]
        changed |= outcome["ours"][0] != before["ours"][0]
        assert ask(request(path))["ours"][0] == before["ours"][0] == before["stock"][0]
    assert changed or patch == "in Python"


def test_a_value_may_write_a_dict_itself():
    written = []

    def default(self, value):
        written[-1].write({"inner": VALUES["nested"]})
        return VALUES["nested"]

    def make(web):
        class Handler(web.RequestHandler):
            def get(self):
                written.append(self)
                self.write({"outer": Unknown(), "nested": VALUES["nested"]})

        return web.Application([("/", Handler)])

    with mock.patch.object(json.JSONEncoder, "default", default), pair(make) as ask:
        outcome = ask(request("/"))
        same(outcome)
        assert body(outcome["ours"][0]).startswith(b'{"inner"')


def test_the_type_is_set_after_the_encoding():
    """As in Tornado: where a dict cannot be encoded, the Content-Type is as it was."""
    seen = []

    def make(web):
        class Handler(web.RequestHandler):
            def set_header(self, name, value):
                seen.append((name, value))
                super().set_header(name, value)

            def get(self):
                try:
                    self.write({"a": Unknown()})
                except TypeError:
                    self.write({"b": 1})

        return web.Application([("/", Handler)])

    with pair(make) as ask:
        same(ask(request("/")))
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


PIECES = [
    "",
    "a",
    "</",
    "<",
    "/",
    "//",
    '"',
    "\\",
    "\x00",
    "\x1f",
    "\x7f",
    "\x80",
    "é",
    "ÿ",
    "\u0100",
    "\ud800",
]
PIECES += ["\u2028", "\uffff", "\U00010000", "\U0010ffff", "\n\r\t\b\f", "plain text", "x" * 300]
SCALARS = [
    0,
    1,
    -1,
    9,
    10,
    2**30,
    -(2**31),
    2**63 - 1,
    -(2**63),
    2**63,
    10**40,
    0.0,
    -0.0,
    1.5,
    1e16,
    1e-7,
    1e22,
]
SCALARS += [float("nan"), float("inf"), -float("inf"), 1 / 3, True, False, None, Number.ONE, Text("</")]


def random_text(rng):
    return "".join(rng.choices(PIECES, k=rng.randrange(4)))


def random_value(rng, depth):
    kind = rng.randrange(6) if depth else rng.randrange(2)
    if kind == 0:
        return rng.choice(SCALARS)
    if kind == 1:
        return random_text(rng)
    values = [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 2:
        return values
    if kind == 3:
        return tuple(values)
    names = [rng.choice(SCALARS) if rng.random() < 0.02 else random_text(rng) for _ in values]
    return dict(zip(names, values, strict=True))


def test_random_values():
    """Beside json.dumps(), which does it in another way."""
    rng = random.Random(2)
    handler = BOTH[0].web.RequestHandler.__new__(BOTH[0].web.RequestHandler)
    handler.clear()
    for i in range(3000):
        value = {"value": random_value(rng, rng.randrange(5))}
        if i % 100 == 0:
            for _ in range(rng.randrange(200)):
                value = {"deeper": [value]}
        handler.write(value)
        assert handler._write_buffer.pop() == json.dumps(value).replace("</", "<\\/").encode()
