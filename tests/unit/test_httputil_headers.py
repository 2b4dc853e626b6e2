"""HTTPHeaders against Tornado's own: the same operations must give the same results or the same errors."""

import collections.abc
import copy
import gc
import io
import pickle
import random
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path

import pytest

from tornado_c import _core, httputil
from tornado_c.httputil import HTTPHeaders

stock = pytest.importorskip("tornado.httputil")
escape = pytest.importorskip("tornado.escape")
BOTH = (stock.HTTPHeaders, HTTPHeaders)


def outcome(function, *args, **kwargs):
    """The result of a call, or the name and text of the exception it raised."""
    try:
        return function(*args, **kwargs)
    except Exception as e:
        return type(e).__name__, str(e)


def contents(headers):
    """All that can be seen of an instance. Reads the dicts last: seeing them changes how C keeps them."""
    return [
        list(headers),
        len(headers),
        list(headers.get_all()),
        str(headers),
        {name: outcome(headers.get_list, name) for name in headers},
        {name: outcome(headers.__getitem__, name) for name in headers},
        headers._as_list,
        headers._combined_cache,
    ]


def same(function, *args):
    """Runs function(cls, *args) for both classes; the outcomes must be equal."""
    expected, got = (outcome(function, cls, *args) for cls in BOTH)
    assert got == expected
    return got


NAMES = ["", "a", "A", "content-type", "CONTENT-TYPE", "x-y-z", "-", "--a-", "a b", " a", "a ", "a:", "a\n"]
NAMES += ["a\0", "é", "x-é", "ß", "名", "x_y", "!#$%&'*+-.^_`|~09", "a" * 63, "b" * 64, "C" * 65, "d-" * 600]
NAMES += [b"a", None, 5, ("a",), ["a"], 1.5]

VALUES = ["", "v", " v", "v ", "\tv", "a b\tc", "a\rb", "a\nb", "a\r\nb", "a\0b", "a\x7fb", "\x80", "é", "名"]
VALUES += [
    "v\xa0",
    "\xa0",
    "a\x1fb",
    " ",
    "\t",
    "x" * 5000,
    b"",
    b"bytes",
    "é".encode(),
    b"\xff",
    b"\r",
    b" ",
]
VALUES += [None, 5, ["a"], bytearray(b"x"), True]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names(name):
    def run(cls):
        headers = cls(a="1")
        steps = [
            outcome(headers.add, name, "2"),
            outcome(headers.__getitem__, name),
            outcome(headers.get, name, "none"),
            outcome(headers.get_list, name),
            outcome(headers.__contains__, name),
            outcome(headers.__setitem__, name, "3"),
            outcome(headers.add, name, "4"),
            outcome(headers.pop, name, "none"),
            outcome(headers.__delitem__, name),
        ]
        return steps, contents(headers)

    same(run)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
@pytest.mark.parametrize("flag", [True, False, 0, "yes"])
def test_values(value, flag):
    def run(cls):
        headers = cls()
        first = outcome(headers.add, "a", value, _chars_are_bytes=flag)
        second = outcome(headers.add, "A", value, _chars_are_bytes=flag)
        return first, second, contents(headers)

    same(run)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_setting_checks_nothing(value):
    def run(cls):
        headers = cls()
        headers["a"] = value
        steps = [outcome(headers.__getitem__, "a"), outcome(headers.get_list, "A"), list(headers.get_all())]
        steps += [outcome(headers.add, "a", "more"), outcome(headers.get, "a"), str(headers)]
        steps += [outcome(cls, headers), outcome(headers.copy)]
        return [s if not isinstance(s, cls) else contents(s) for s in steps]

    same(run)


def test_every_character_of_names_and_values():
    for code in [*range(0x180), 0x7FF, 0x2028, 0xFFFF, 0x1F600]:
        for text in (chr(code), f"a{chr(code)}b"):
            same(lambda cls, text=text: outcome(cls().add, text, "v"))
            for flag in (True, False):
                same(lambda cls, text=text, flag=flag: outcome(cls().add, "n", text, _chars_are_bytes=flag))


LINES = [
    "",
    "\n",
    "\r\n",
    "\r",
    "a",
    "a:",
    ":",
    ":v",
    "a:b",
    "a: b",
    "a:\tb \t",
    "a : b",
    " a: b",
    "\ta: b",
    "a:b:c",
]
LINES += [
    "a: b\n",
    "a: b\r\n",
    "a: b\r",
    "a: b\n\n",
    "a: b\r\n\n",
    "a: b\n\r\n",
    "a: b\r\n\r\n",
    "a: b\nc: d",
]
LINES += [
    "a: b\n\n\n",
    "a: b\r\r\n",
    "\n\n",
    "\r\n\n",
    "é: b",
    "a: é",
    "a: 名",
    "a:\xa0b",
    "a: b\0",
    "a:   ",
    "\x00",
]


@pytest.mark.parametrize("line", [*LINES, b"a: b", None, 5], ids=repr)
@pytest.mark.parametrize("flag", [True, False])
def test_parse_line_and_parse(line, flag):
    def run(cls):
        headers = cls()
        result = outcome(headers.parse_line, line, _chars_are_bytes=flag)
        whole = outcome(cls.parse, line, _chars_are_bytes=flag)
        return result, contents(headers), contents(whole) if isinstance(whole, cls) else whole

    same(run)


def test_parse_random_blocks():
    rng = random.Random(1)
    pieces = [
        "Host",
        "x-a",
        "X-A",
        ":",
        ": ",
        " ",
        "\t",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "v",
        "é",
        "名",
        "a,b",
        "\0",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(14)))
        for flag in (True, False):

            def run(cls, text=text, flag=flag):
                return contents(cls.parse(text, _chars_are_bytes=flag))

            same(run)


def test_random_operations():
    """Long random walks over all operations, comparing after each step and with the dicts seen or not."""
    names = ["a", "A", "b", "x-y", "X-Y", "é"]
    values = ["1", "2", "", "a b", b"by", ["l"], None]
    operations = "add add set set del get list mutate pop update default contains iter peek copy".split()
    operations += ["popitem", "clear"]

    def walk(cls, seed, peek):
        rng = random.Random(seed)
        headers, log = cls(), []
        for _ in range(60):
            name, value = rng.choice(names), rng.choice(values)
            op = rng.choice(operations)
            if op == "add":
                log.append(outcome(headers.add, name, value))
            elif op == "set":
                headers[name] = value
            elif op == "del":
                log.append(outcome(headers.__delitem__, name))
            elif op == "get":
                log.append(outcome(headers.get, name))
            elif op == "list":
                log.append(list(outcome(headers.get_list, name)))
            elif op == "mutate":
                headers.get_list(name).append("m")
            elif op == "pop":
                log.append(outcome(headers.pop, name))
            elif op == "update":
                headers.update({name: value}, z="9")
            elif op == "default":
                log.append(outcome(headers.setdefault, name, value))
            elif op == "contains":
                log.append((name in headers, len(headers), bool(headers)))
            elif op == "iter":
                log.append(
                    (list(headers.get_all()), list(headers), outcome(lambda h: list(h.items()), headers))
                )
            elif op == "peek" and peek:
                log.append((copy.deepcopy(headers._as_list), dict(headers._combined_cache)))
            elif op == "copy":
                other = outcome(headers.copy)
                headers = other if isinstance(other, cls) else headers
            elif op == "popitem" and rng.random() < 0.2:
                log.append(outcome(headers.popitem))
            elif op == "clear" and rng.random() < 0.1:
                log.append(outcome(headers.clear))
            log.append(str(headers))
        return log, contents(headers)

    for seed in range(400):
        same(walk, seed, seed % 2)


def test_random_small_instances():
    """Walks that look at nothing but single values until the end: few fields are kept in another way."""
    names = ["Content-Type", "content-type", "Content-Length", "A", "b", "X-Y", "x-y", "C", "d", "E", "é"]
    values = ["1", "", "a b", "\xe9", b"by", ["l"], None, type("Text", (str,), {})("sub")]

    def walk(cls, seed):
        rng = random.Random(seed)
        plain = values[: rng.choice([1, 3, 4, len(values)])]
        start = {rng.choice(names): rng.choice(plain) for _ in range(rng.randrange(9))}
        headers, log = rng.choice([cls(start), cls(**{n: v for n, v in start.items() if n.isalpha()})]), []
        start["A"] = "changed"
        for _ in range(rng.randrange(8)):
            name, value = rng.choice(names), rng.choice(plain)
            op = rng.choice(["add", "set", "get", "item", "get", "set"])
            if op == "add":
                log.append(outcome(headers.add, name, value))
            elif op == "set":
                headers[name] = value
            elif op == "get":
                log.append(outcome(headers.get, name))
            else:
                log.append(outcome(headers.__getitem__, name))
        if rng.random() < 0.5:
            headers = rng.choice([copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])(headers)
        return log, contents(headers)

    for seed in range(3000):
        same(walk, seed)


CONSTRUCTIONS = [
    ((), {}),
    (({"a": "1", "A": "2", "b": "3"},), {}),
    (({},), {}),
    (([("a", "1"), ("b", "2"), ("A", "3")],), {}),
    ((("a1", "b2"),), {}),
    (((("a", "1"),),), {}),
    ((), {"content_type": "x", "A": "1", "a": "2"}),
    (({"a": "1"},), {"b": "2"}),
    (({"a": ["1", "2"]},), {}),
    (({"é": "1"},), {}),
    (({5: "1"},), {}),
    (({b"a": "1"},), {}),
    (({"a": "1"}, {"b": "2"}), {}),
    ((None,), {}),
    ((5,), {}),
    (("text",), {}),
    (([("a",)],), {}),
    (([("a", "b", "c")],), {}),
]


@pytest.mark.parametrize("args, kwargs", CONSTRUCTIONS, ids=repr)
def test_constructor_forms(args, kwargs):
    same(lambda cls: contents(cls(*args, **kwargs)))


def test_constructor_copies_and_takes_any_mapping():
    def run(cls):
        source = cls.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
        view = contents(cls(source)), contents(cls(source, c="4")), contents(cls(dict(source)))
        return view, contents(cls(collections.ChainMap({"a": "1"}))), contents(cls(source.items()))

    same(run)


def test_initialised_again():
    def run(cls):
        headers = cls(a="1")
        headers.__init__(b="2")
        first = contents(headers)
        headers.__init__(headers)
        return first, contents(headers)

    same(run)


def test_init_skipped():
    class Bare(HTTPHeaders):
        def __init__(self):
            pass

    headers = Bare()
    assert (len(headers), list(headers), "a" in headers, headers.get("a"), str(headers)) == (
        0,
        [],
        False,
        None,
        "",
    )
    headers.add("a", "1")
    assert contents(headers) == contents(HTTPHeaders(a="1"))


def test_equality_and_hash():
    def run(cls):
        one, two = cls.parse("a: 1\r\nA: 2\r\n"), cls({"a": "1,2"})
        answers = [
            one == two,
            one != two,
            one == {"A": "1,2"},
            one == {"a": "1,2"},
            one == 5,
            one == [("A", "1,2")],
        ]
        return answers, outcome(hash, one), bool(cls()), bool(one)

    same(run)
    assert HTTPHeaders(a="1") == stock.HTTPHeaders(a="1")


def test_mapping_views():
    def run(cls):
        headers = cls.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
        keys, items, values = headers.keys(), headers.items(), headers.values()
        names = [type(v).__name__ for v in (keys, items, values)]
        return names, list(keys), list(items), list(values), "A" in keys, keys & {"A"}, ("B", "2") in items

    same(run)
    assert isinstance(HTTPHeaders(), collections.abc.MutableMapping)


def test_iterators_notice_changes():
    def run(cls):
        log = []
        for make in (iter, cls.get_all, cls.items):
            headers = cls.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
            walk = iter(make(headers))
            if make is cls.get_all:
                headers["c"] = "before the first step: allowed"
            log.append(next(walk))
            headers["d"] = "5"
            log += [outcome(list, walk), outcome(list, walk)]
        return log

    same(run)


def test_get_all_sees_values_added_to_the_present_field():
    def run(cls):
        headers, seen = cls(a="1", b="2"), []
        for name, value in headers.get_all():
            seen.append((name, value))
            if len(seen) in (1, 2, 4):
                headers.add(name, f"{value}+")
            elif len(seen) == 3:
                headers[name] = "new"
        return seen, contents(headers)

    same(run)


def test_get_list_is_live():
    def run(cls):
        headers = cls(a="1")
        values = headers.get_list("a")
        values.append("2")
        seen = [headers["a"], list(headers.get_all()), headers.get_list("A") is values]
        headers.add("a", "3")
        return seen, headers["a"], values, headers.get_list("none")

    same(run)


def test_dicts_are_live():
    def run(cls):
        headers = cls.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
        log = [headers["a"], headers._as_list is headers._as_list]
        headers._as_list["A"].append("4")
        log += [headers["a"], headers.pop("b"), outcome(headers.__getitem__, "b")]
        headers._combined_cache.clear()
        log += [headers["a"]]
        headers._as_list["C"] = ["5", "6"]
        headers._as_list["D"] = ("7", "8")
        log += [headers["c"], headers["d"], list(headers.get_all()), outcome(headers.add, "d", "9")]
        headers._as_list = {"E": ["1"]}
        log += [
            list(headers),
            headers["e"],
            outcome(headers.__delitem__, "E"),
            outcome(headers.__delitem__, "E"),
        ]
        headers["f"] = ["odd"]
        return log, contents(headers)

    same(run)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    headers = HTTPHeaders.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
    headers.note = "kept"
    again = pickle.loads(pickle.dumps(headers, protocol))
    assert type(again) is HTTPHeaders and again.note == "kept"
    assert contents(again) == contents(headers)
    again.add("b", "more")
    assert headers.get_list("b") == ["2"]


class Renaming(pickle.Unpickler):
    """Reads a pickle of one of the two classes as the other."""

    def find_class(self, module, name):
        swapped = {"tornado.httputil": "tornado_c.httputil", "tornado_c.httputil": "tornado.httputil"}
        return super().find_class(swapped.get(module, module), name)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("sender, receiver", [BOTH, BOTH[::-1]])
def test_pickles_are_tornados(protocol, sender, receiver):
    headers = sender.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
    data = pickle.dumps(headers, protocol)
    again = Renaming(io.BytesIO(data)).load()
    assert type(again) is receiver
    assert contents(again) == contents(headers)


def test_copies():
    def run(cls):
        class Child(cls):
            pass

        headers = Child.parse("a: 1\r\nb: 2\r\nA: 3\r\n")
        copies = [headers.copy(), copy.copy(headers), copy.deepcopy(headers)]
        for other in copies:
            other.add("a", "4")
        return [type(c).__name__ for c in copies], [contents(c) for c in copies], contents(headers)

    same(run)


def test_overridden_methods_are_called():
    def run(cls):
        log = []

        class Logged(cls):
            def __setitem__(self, name, value):
                log.append(("set", name, value))
                super().__setitem__(name, value)

            def __contains__(self, name):
                log.append(("contains", name))
                return super().__contains__(name)

            def add(self, name, value, **kwargs):
                log.append(("add", name, value, kwargs))
                super().add(name, value, **kwargs)

            def parse_line(self, line, **kwargs):
                log.append(("line", line, kwargs))
                super().parse_line(line, **kwargs)

            def update(self, *args, **kwargs):
                log.append(("update", args, kwargs))
                super().update(*args, **kwargs)

        headers = Logged({"b": "0"}, c="1")
        headers.add("b", "2")
        other = Logged.parse("a: 1\r\nA: 2\r\n")
        third = Logged(other)
        return log, contents(headers), contents(other), contents(third)

    same(run)


def test_overridden_getters_are_called():
    def run(cls):
        class Fixed(cls):
            def __getitem__(self, name):
                if name == "missing":
                    raise KeyError(name)
                return f"<{name}>"

            def get_all(self):
                yield "Only", "this"

        headers = Fixed(a="1")
        return (
            headers.get("a"),
            headers.get("missing", 5),
            str(headers),
            contents(cls(headers)),
            contents(headers.copy()),
        )

    same(run)


def test_replaced_on_the_class_at_run_time(monkeypatch):
    lines = []
    monkeypatch.setattr(HTTPHeaders, "parse_line", lambda self, line, **kwargs: lines.append(line))
    HTTPHeaders.parse("a: 1\r\nb: 2")
    monkeypatch.undo()
    assert lines == ["a: 1\r\n", "b: 2"]
    assert len(HTTPHeaders.parse("a: 1\r\nb: 2")) == 2


def test_update_replaced_on_mutable_mapping(monkeypatch):
    """The constructor calls whatever update() there is now."""
    seen = []
    original = collections.abc.MutableMapping.update

    def update(self, *args, **kwargs):
        seen.append(type(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(collections.abc.MutableMapping, "update", update)
    for cls in BOTH:
        assert dict(cls({"a": "1"})) == {"A": "1"}
    assert seen == list(BOTH)


def test_replaced_normalize_header(monkeypatch):
    headers = HTTPHeaders({"x-a": "1"})
    lazy = HTTPHeaders._from_block(b"Host: h\r\nX-a: 1\r\n")
    monkeypatch.setattr(httputil, "_normalize_header", lambda name: name.lower() + "!")
    assert list(headers) == ["X-A"] and "x-a" not in headers
    headers["x-A"] = "2"
    headers.add("X-a", "3")
    assert headers["x-a"] == "2,3" and list(headers) == ["X-A", "x-a!"]
    assert list(lazy.get_all()) == [("host!", "h"), ("x-a!", "1")] and lazy["HOST"] == "h"
    assert list(HTTPHeaders({"A": "1"})) == ["a!"]
    monkeypatch.undo()
    assert headers["x-a"] == "1"


def test_replacement_must_return_text(monkeypatch):
    class Text(str):
        pass

    headers = HTTPHeaders(a="1")
    monkeypatch.setattr(httputil, "_normalize_header", lambda name: 5)
    with pytest.raises(TypeError, match="must return a str, not int"):
        headers["a"] = "2"
    monkeypatch.setattr(httputil, "_normalize_header", Text)
    headers["x"] = "2"
    assert [type(name) for name in headers] == [str, str]


def test_finalizers_may_drop_the_fields():
    headers = HTTPHeaders()

    class Reset:
        def __del__(self):
            headers.__init__()

    for change in (
        lambda: headers.__setitem__("a", "2"),
        lambda: headers.__delitem__("a"),
        lambda: headers.__init__(b="3"),
        lambda: headers.clear(),
    ):
        for expose in (False, True):
            headers.__init__(z="0")
            headers["a"] = Reset()
            if expose:
                assert headers._as_list
            outcome(change)
            assert len(headers) <= 2


def test_attributes_and_weak_references():
    headers = HTTPHeaders()
    headers.anything = headers
    ref = weakref.ref(headers)
    headers["a"] = "1"
    del headers
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lazy_block(end):
    block = end.join([b"Host: localhost", b"x-a:1", b"X-A: \t 2 \t", b"Empty:", b"Latin: \xe9", b""])
    text = block.decode("latin1")
    expected = contents(stock.HTTPHeaders.parse(text))
    assert contents(HTTPHeaders._from_block(block)) == expected
    touches = [
        len,
        list,
        str,
        lambda h: h["host"],
        lambda h: h.get("x-a"),
        lambda h: "x-a" in h,
        lambda h: h.get_list("x-a"),
        lambda h: next(iter(h.get_all())),
        lambda h: h._serialize(),
        lambda h: pickle.dumps(h),
        lambda h: h.copy(),
        lambda h: h == {},
    ]
    for touch in touches:
        headers = HTTPHeaders._from_block(block)
        touch(headers)
        assert list(headers.get_all()) == expected[2]
    changed = HTTPHeaders._from_block(block)
    changed.add("x-a", "3")
    del changed["Host"]
    changed["new"] = "4"
    assert changed["X-A"] == "1,2,3" and list(changed) == ["X-A", "Empty", "Latin", "New"]


def test_block_dropped_unread():
    for block in (b"", b"a: b\r\n", b"x" * 100000):
        HTTPHeaders._from_block(block)
    assert len(HTTPHeaders._from_block(b"")) == 0
    assert type(HTTPHeaders._from_block(b"a: b\r\n")) is HTTPHeaders
    reset = HTTPHeaders._from_block(b"a: b\r\n")
    reset.__init__(c="d")
    assert list(reset) == ["C"]


def stock_lines(headers):
    """What Tornado's write_headers makes of headers, in its own order of checks."""
    native = escape.native_str
    lines = [(native(n) + ": " + native(v)).encode("latin1") for n, v in headers.get_all()]
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise ValueError(f"Illegal characters (CR or LF) in header: {line!r}")
    return b"".join(line + b"\r\n" for line in lines)


SERIALISED = [
    "",
    "v",
    "é",
    "\xff" * 300,
    "名",
    b"b",
    "é".encode(),
    b"\xff",
    "名".encode(),
    None,
    5,
    "a\r",
    "\nb",
    b"\n",
]


@pytest.mark.parametrize("first", SERIALISED, ids=lambda v: repr(v)[:20])
@pytest.mark.parametrize("second", SERIALISED, ids=lambda v: repr(v)[:20])
def test_serialize(first, second):
    headers = [cls({"x-first": first, "x-second": second}) for cls in BOTH]
    assert outcome(headers[1]._serialize) == outcome(stock_lines, headers[0])


def test_serialize_odd_cases():
    for name in ("a\r\nb", "é", "名", "a b"):
        pair = [cls({name: "v"}) for cls in BOTH]
        assert outcome(pair[1]._serialize) == outcome(stock_lines, pair[0])
    repeated = HTTPHeaders.parse("Set-Cookie: a=1\r\nHost: x\r\nset-cookie: b=2\r\n")
    assert repeated._serialize() == b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nHost: x\r\n"
    repeated._as_list["Tuple"] = ("1", "2")
    assert repeated._serialize().endswith(b"Host: x\r\nTuple: 1\r\nTuple: 2\r\n")
    assert HTTPHeaders()._serialize() == b""
    # Stricter than Tornado: a NUL byte is refused as well.
    assert outcome(HTTPHeaders(a="\0")._serialize) == (
        "ValueError",
        r"Illegal characters (CR or LF) in header: b'A: \x00'",
    )


@pytest.mark.parametrize(
    "pairs", [[("A", "1"), ("B", "2")], [["A", b"1"]], [("A",)], [("A", "1", "2")], [5], 5]
)
def test_serialize_calls_get_all(pairs):
    class Other(HTTPHeaders):
        def get_all(self):
            return pairs

    good = isinstance(pairs, list) and all(isinstance(p, (tuple, list)) and len(p) == 2 for p in pairs)
    if good:
        assert Other()._serialize().startswith(b"A: 1\r\n")
    else:
        with pytest.raises((TypeError, ValueError)):
            Other()._serialize()


def test_repeated_headers_take_linear_work():
    """Allocated memory stands for work: a quadratic add would copy the values again and again."""

    def peak(count):
        tracemalloc.start()
        try:
            headers = HTTPHeaders()
            for _ in range(count):
                headers.add("X-Foo", "bar")
            assert len(headers.get_list("x-foo")) == count
            assert len(headers["x-foo"]) == 4 * count - 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(2_000), peak(20_000)
    assert large < 15 * small


def test_adding_joins_nothing():
    """add() after a read drops the joined value and does not make a new one."""
    headers = HTTPHeaders()
    for i in range(100):
        headers.add("a", str(i))
        assert "A" not in headers._combined_cache or i == 0
    assert headers["a"] is headers["A"]  # joined once, then kept


def test_name_cache_is_bounded_and_right():
    rng = random.Random(2)
    letters = "abcXYZ-_09"
    for _ in range(20_000):
        name = "".join(rng.choices(letters, k=rng.randrange(1, 70)))
        headers = HTTPHeaders()
        headers[name] = "v"
        assert list(headers) == ["-".join(w.capitalize() for w in name.split("-"))]


def test_not_registered():
    """Without its Python module the C base says what is missing instead of crashing."""
    folder = str(Path(_core.__file__).parent)
    code = (
        "import sys, types, pathlib\n"
        "package = types.ModuleType('tornado_c'); package.__path__ = [sys.argv[1]]\n"
        "sys.modules['tornado_c'] = package\n"
        "from tornado_c import _core\n"
        "headers = _core.HeadersBase()\n"
        "headers['a-b'] = 'c'\n"
        "assert list(headers) == ['A-B']\n"
        "for call in (headers.copy, lambda: headers.add(' ', ''), lambda: headers['\\u00e9'],\n"
        "             lambda: _core.HeadersBase._from_block(b'')):\n"
        "    try:\n"
        "        call()\n"
        "    except RuntimeError as e:\n"
        "        assert 'tornado_c.httputil' in str(e), e\n"
        "    else:\n"
        "        raise AssertionError(call)\n"
    )
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=60)


def test_argument_errors():
    headers = HTTPHeaders()
    for call in (
        lambda: headers.add("a"),
        lambda: headers.add("a", "b", True),
        lambda: headers.add("a", "b", chars=True),
        lambda: headers.parse_line(),
        lambda: headers.parse_line("a: b", True),
        lambda: HTTPHeaders.parse(),
        lambda: headers.get(),
        lambda: headers.get("a", 1, 2),
        lambda: headers.get_list(),
        lambda: headers.__setstate__(5),
        lambda: headers.__setstate__({"_as_list": 5}),
        lambda: setattr(headers, "_as_list", []),
        lambda: delattr(headers, "_combined_cache"),
    ):
        with pytest.raises(TypeError):
            call()
    headers.add(name="a", value="b")
    headers.parse_line(line="c: d")
    assert headers.get(key="a", default=None) == "b" and headers.get_list(name="C") == ["d"]


@pytest.mark.parametrize("cls", BOTH, ids=["stock", "ours"])
def test_values_that_end_while_the_headers_are_made_again(cls):
    """The end of an old value may store a new one in the same instance."""

    class Value(str):
        def __del__(self):
            headers["From-Finalizer"] = "1"

    headers = cls()
    headers["Old"] = Value("x")
    headers.__init__({"New": "2"})
    assert sorted(headers.get_all()) == [("From-Finalizer", "1"), ("New", "2")]


def test_block_over_an_instance_that_is_not_empty_at_first(monkeypatch):
    """What the block says joins what a replaced __init__ has put there."""
    original = HTTPHeaders.__init__

    def tagged(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self["X-Tag"] = "1"

    monkeypatch.setattr(HTTPHeaders, "__init__", tagged)
    headers = HTTPHeaders._from_block(b"a: 1\r\nx-tag: 2\r\n")
    assert list(headers.get_all()) == [("X-Tag", "1"), ("X-Tag", "2"), ("A", "1")]
    assert headers["X-Tag"] == "1,2"
