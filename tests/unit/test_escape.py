"""tornado_c.escape, beside Tornado's."""

import json
import random
import re
import subprocess
import sys
import tracemalloc
import urllib.parse
from unittest import mock

import pytest
import tornado.escape

from support.children import CHILD_ENVIRONMENT
from tornado_c import escape


def outcome(function, *args, **kwargs):
    """Return what a call returned, or the type and text of what it raised."""
    try:
        return "returned", function(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)


def same(name, *args, **kwargs):
    """Assert that a function does what Tornado's does, and return what that is."""
    results = [outcome(getattr(module, name), *args, **kwargs) for module in (escape, tornado.escape)]
    assert results[0] == results[1], (name, args, kwargs)
    assert type(results[0][1]) is type(results[1][1])
    return results[0][1]


@pytest.mark.parametrize("value", ["", "é", b"", b"\xc3\xa9", b"\xff", None, 1, ["a"], bytearray(b"a")])
def test_text(value):
    assert outcome(escape.utf8, value) == outcome(tornado.escape.utf8, value)
    assert outcome(escape.to_unicode, value) == outcome(tornado.escape.to_unicode, value)
    assert outcome(escape.native_str, value) == outcome(tornado.escape.native_str, value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {b"a": [b"b", ("c", b"\xc3\xa9", 1)], 2: {b"d": None}},
        [],
        (b"x",),
        {b"x"},
        b"\xff",
        bytearray(b"x"),
    ],
)
def test_recursive_unicode(value):
    same("recursive_unicode", value)


def test_aliases():
    assert escape.native_str is escape.to_basestring is escape._unicode is escape.to_unicode
    assert escape.unicode_type is str


@pytest.mark.parametrize("text", ["", " a  b\t\r\n\x00c ", "\x1f", "é\u3000 x\xa0"])
def test_squeeze(text):
    same("squeeze", text)


@pytest.mark.parametrize(
    "value",
    [None, "</script>", {"a": ["</", "<//", "<\\/"]}, "é\ud800", b"x", float("nan"), {1: 2}, {(1,): 2}],
)
def test_json_encode(value):
    same("json_encode", value)


@pytest.mark.parametrize(
    "value", ['"\\u00e9"', b'"\xc3\xa9"', b'"\xff"', "", "[1,", "NaN", bytearray(b"1"), None]
)
def test_json_decode(value):
    if value == "NaN":
        assert str(escape.json_decode(value)) == "nan"
    else:
        same("json_decode", value)


def test_json_module_can_be_replaced():
    """Programs put another one there."""
    for module in (escape, tornado.escape):
        with mock.patch.object(module.json, "dumps", lambda value: "</"):
            assert module.json_encode(1) == "<\\/"
        with mock.patch.object(module, "json", mock.Mock(loads=lambda value: "other")):
            assert module.json_decode("1") == "other"
        assert module.json_decode("1") == 1


TEXTS = [
    "",
    "a b+c/d",
    "é",
    b"\xff",
    b"a b",
    "%41%4",
    "%C3%A9+%2B",
    b"%C3%A9",
    "%e9",
    "~-_.!*'()",
    "&<>\"'",
    "\ud800",
]


@pytest.mark.parametrize("text", [*TEXTS, None, 5])
def test_urls(text):
    for plus in (True, False):
        same("url_escape", text, plus=plus)
        for encoding in ("utf-8", "latin1", "ascii", None):
            same("url_unescape", text, encoding, plus)
    same("url_escape", text)
    same("url_unescape", text)


@pytest.mark.parametrize("text", [*TEXTS, None, b"<\xc3\xa9>", b"<\xff"])
def test_html(text):
    same("xhtml_escape", text)
    same("xhtml_unescape", text)


def test_html_of_any_text():
    draw = random.Random(3)
    pieces = [
        "&",
        "amp;",
        "#",
        "x",
        "41",
        ";",
        "<",
        ">",
        '"',
        "'",
        "&lt;",
        "&#x80;",
        "&#0;",
        "é",
        "a",
        " ",
        "&notit;",
    ]
    for _ in range(2000):
        text = "".join(draw.choices(pieces, k=8))
        escaped = same("xhtml_escape", text)
        assert escape.xhtml_unescape(escaped) == text
        assert not set(escaped) & set("<>\"'")
        same("xhtml_unescape", text)


def test_unquote():
    draw = random.Random(9)
    pieces = [
        b"%",
        b"%4",
        b"%41",
        b"%2B",
        b"%25",
        b"=",
        b"%3d",
        b"+",
        b"a",
        b"\n",
        b"\r",
        b"%\xff",
        b"zz",
        b"\xff",
    ]
    for _ in range(3000):
        data = b"".join(draw.choices(pieces, k=12))
        assert escape._unquote_to_bytes(data) == urllib.parse.unquote_to_bytes(data)


def test_unquote_of_large_data():
    draw = random.Random(9)
    for data in (
        b"%41" * 100_000,
        b"%" * 300_000,
        b"%4" * 200_000,
        b"a%C3x" * 50_000,
        b"".join(draw.choices([b"%41", b"%4", b"%", b"x", b"%zz"], k=200_000)),
    ):
        assert escape._unquote_to_bytes(data) == urllib.parse.unquote_to_bytes(data)


@pytest.mark.parametrize(
    "data", [b"%41" * 300_000, b"%" * 900_000, b"%41x" * 200_000], ids=lambda data: data[:4].hex()
)
def test_unquote_takes_little_memory(data):
    escape.parse_qs_bytes(b"a=%41")
    tracemalloc.start()
    try:
        escape.parse_qs_bytes(b"a=" + data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(data)


PIECES = [
    "http",
    "://",
    ":",
    "/",
    "www",
    ".",
    "-",
    "a",
    "foo",
    "(",
    ")",
    "&",
    "!",
    "#",
    " ",
    "\n",
    "'",
    '"',
    "<",
    ">",
]
PIECES += ["é", "名", "?", "=", ";", "_", "\\", "www.", "http://", "mailto:/", "ftp:///", "&amp;", "&quot;"]
PIECES += ["a.b/c?d=e", "javascript:", "x" * 9, "y/" * 3, "b" * 40]
WAYS = [
    {},
    {"shorten": True},
    {"require_protocol": True},
    {"permitted_protocols": ["ftp", "mailto", "foo-a"]},
    {"extra_params": ' rel="nofollow" '},
    {"extra_params": "  ", "shorten": True},
    {"extra_params": lambda url: f" class={len(url)} "},
    {"extra_params": lambda url: ""},
]


def test_linkify_of_any_text():
    draw = random.Random(7)
    for _ in range(4000):
        text = "".join(draw.choices(PIECES, k=draw.randrange(18)))
        for way in WAYS:
            linked = same("linkify", text, **way)
        assert escape.xhtml_unescape(re.sub(r"</?a\b[^>]*>", "", linked)) == escape.xhtml_unescape(
            escape.xhtml_escape(text)
        )


@pytest.mark.parametrize("way", WAYS, ids=range(len(WAYS)))
@pytest.mark.parametrize(
    "text",
    [
        "http://reallylongdomainnamethatwillbetoolong.com/hi!",
        "A http://reallylong.com/link/that/exceedsthelenglimit.html?a=b",
        "www.verylonghostnameindeed.example.com/path.html?x&y&z",
        "http://example.com/" + "a&b" * 20,
        "http://" + "x" * 24 + "&" + "y" * 30,
        b"http://\xc3\xa9.com/",
        'javascript:/alert(1) http://a.com/" onclick="x',
        "-foo--bar://x a-www.x www.www. http:// http:/// a:////b",
    ],
)
def test_linkify(text, way):
    same("linkify", text, **way)


HOSTILE = [
    "a-",
    "-",
    "http:",
    "http://",
    "www.",
    "www.!",
    "www.(",
    "www.((",
    "http://!",
    "http://a!",
    "&amp;",
    "www.&quot;",
]
HOSTILE += ["www.(!", "a:/", "a:/!", "www.a(b)", "a-www.", "http://x(aaaa"]


def test_linkify_takes_time_in_proportion_to_the_text():
    """In a process of its own: what is not linear would never end."""
    code = f"""
from tornado_c import escape
for piece in {HOSTILE!r}:
    for before in ("", "http://", "www.", "www.(", "http://a"):
        escape.linkify(before + piece * 200_000, shorten=True)
"""
    subprocess.run([sys.executable, "-c", code], env=CHILD_ENVIRONMENT, check=True, timeout=240)


def test_modules_on_demand():
    code = """
import sys
from tornado_c import escape
escape.parse_qs_bytes("a=%41"), escape.xhtml_escape("<"), escape.linkify("www.a.com")
print(sorted({"json", "html"} & set(sys.modules)))
import html, json
assert escape.html is html and escape.json is json and "json" in vars(escape)
assert escape.json_decode("1") == 1 and escape.xhtml_unescape("&lt;") == "<"
assert not hasattr(escape, "nothing")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=CHILD_ENVIRONMENT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
    assert escape.json is json


def test_examples():
    import doctest

    results = doctest.testmod(escape)
    assert results.attempted and not results.failed
