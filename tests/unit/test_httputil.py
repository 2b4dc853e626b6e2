"""httputil's functions against Tornado's own: the same arguments, the same result or the same error."""

import dataclasses
import datetime
import inspect
import random
import sys
import time
import unittest

import pytest

from tornado_c import escape as own_escape
from tornado_c import httputil

stock = pytest.importorskip("tornado.httputil")
escape = pytest.importorskip("tornado.escape")
http1connection = pytest.importorskip("tornado.http1connection")


def outcome(function, *args, **kwargs):
    """The result of a call, or the name and text of the exception it raised."""
    try:
        return function(*args, **kwargs)
    except Exception as e:
        return type(e).__name__, str(e)


def same(name, *args, module=stock, ours=httputil, **kwargs):
    """Calls the function of this name in both modules; the outcomes must be equal."""
    expected = outcome(getattr(module, name), *args, **kwargs)
    got = outcome(getattr(ours, name), *args, **kwargs)
    assert got == expected
    assert type(got) is type(expected) or type(got).__name__ == type(expected).__name__


def test_signatures():
    """Every public name of Tornado's module is here, with the same parameters and defaults."""
    missing, different = [], []
    for name, theirs in vars(stock).items():
        if name.startswith("__") or getattr(theirs, "__module__", None) != stock.__name__:
            continue
        if name == "HTTPServerRequest":  # has tests of its own
            continue
        if not hasattr(httputil, name):
            missing.append(name)
        elif inspect.isfunction(theirs) and not isinstance(theirs, type):
            mine = inspect.signature(getattr(httputil, name)).parameters.values()
            wanted = inspect.signature(theirs).parameters.values()
            if [(p.name, p.default, p.kind) for p in mine] != [(p.name, p.default, p.kind) for p in wanted]:
                different.append(name)
    assert missing in ([], ["_unquote_replace"]) and different == []
    for name in ("HTTP_WHITESPACE", "responses"):
        assert getattr(httputil, name) == getattr(stock, name)


@pytest.mark.parametrize("name", ["HTTPConnection", "HTTPMessageDelegate", "HTTPServerConnectionDelegate"])
def test_interfaces(name):
    theirs, ours = getattr(stock, name), getattr(httputil, name)
    for method, function in vars(theirs).items():
        if inspect.isfunction(function):
            wanted = list(inspect.signature(function).parameters)
            assert list(inspect.signature(getattr(ours, method)).parameters) == wanted
            args = [None] * (len(wanted) - 1)
            assert outcome(getattr(ours(), method), *args) == outcome(getattr(theirs(), method), *args)


@pytest.mark.parametrize("name", ["ParseMultipartConfig", "ParseUrlEncodedConfig", "ParseBodyConfig"])
def test_config_classes(name):
    theirs, ours = getattr(stock, name), getattr(httputil, name)
    assert dataclasses.asdict(ours()) == dataclasses.asdict(theirs())
    assert repr(ours()) == repr(theirs()) and ours() == ours()
    assert str(inspect.signature(ours)).replace("httputil.", "") == str(inspect.signature(theirs)).replace(
        "httputil.", ""
    )


PATTERNS = [name for name in vars(stock._ABNF) if not name.startswith("__")]


@pytest.mark.parametrize("name", PATTERNS)
def test_grammar(name):
    theirs, ours = getattr(stock._ABNF, name), getattr(httputil._ABNF, name)
    assert ours.groups == theirs.groups
    rng = random.Random(name)
    texts = (
        [chr(c) for c in range(0x180)]
        + [f"a{chr(c)}b" for c in range(0x180)]
        + ["", "名", "%4", "%4a", "%zz"]
    )
    texts += ["GET / HTTP/1.1", "HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1", "host:80", "[::1]:80", "a:b"]
    pieces = [
        "GET",
        "/",
        "HTTP/1.1",
        " ",
        "  ",
        "\t",
        "a",
        ":",
        "80",
        "200",
        "\xe9",
        "%41",
        "%",
        "[",
        "]",
        "\n",
        "@",
    ]
    texts += ["".join(rng.choices(pieces, k=rng.randrange(8))) for _ in range(4000)]
    for text in texts:
        wanted, match = theirs.fullmatch(text), ours.fullmatch(text)
        assert (match and match.groups()) == (wanted and wanted.groups()), text


def test_forbidden_characters():
    for code in range(0x300):
        wanted = stock._FORBIDDEN_HEADER_CHARS_RE.search(f"a{chr(code)}")
        assert bool(httputil._FORBIDDEN_HEADER_CHARS_RE.search(f"a{chr(code)}")) == bool(wanted)


LINES = [
    "",
    "GET / HTTP/1.1",
    "GET /a?b#c HTTP/1.0",
    "GET / HTTP/2.0",
    "GET / HTTP/1.9",
    "GET  / HTTP/1.1",
    "GET /",
]
LINES += [
    "GET / HTTP/1.1\n",
    "GET /é HTTP/1.1",
    "GET /名 HTTP/1.1",
    "G(T / HTTP/1.1",
    "get * http/1.1",
    b"GET / HTTP/1.1",
]
LINES += [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.0 404 Not Found",
    "HTTP/2.0 200 OK",
    None,
]
LINES += [
    "HTTP/1.1 99 x",
    "HTTP/1.1 1000 x",
    "HTTP/1.1 200 \t",
    "HTTP/1.1 200 O\x01K",
    " HTTP/1.1 200 OK",
    "x",
]


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_start_lines(line):
    same("parse_request_start_line", line)
    same("parse_response_start_line", line)


NETLOCS = [
    "",
    "a",
    "a:1",
    "a:",
    ":1",
    "a:b",
    "[::1]",
    "[::1]:80",
    "a:1:2",
    "a:1\n",
    "a\nb:1",
    "a:٣",
    "a:-1",
    "a:1 ",
]


@pytest.mark.parametrize("netloc", NETLOCS, ids=repr)
def test_split_host_and_port(netloc):
    same("split_host_and_port", netloc)


URLS = [
    "http://a/b",
    "http://a/b?",
    "http://a/b?x",
    "/b?x=1&x=2#frag",
    "?",
    "",
    "#f",
    "http://a/b;p?x=%20",
    "//h",
]
ARGS = [
    None,
    {},
    [],
    (),
    {"a": "1 2"},
    [("a", "1"), ("a", "é")],
    (("a", "1"),),
    {"a": 5},
    "a=b",
    5,
    [("a",)],
    {b"a": b"c"},
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("args", ARGS, ids=repr)
def test_url_concat(url, args):
    same("url_concat", url, args)


RANGES = [
    "bytes=1-2",
    "bytes=6-",
    "bytes=-6",
    "bytes=-0",
    "bytes=",
    "bytes",
    "",
    "foo=1-2",
    "bytes=1-2,3-4",
    "bytes=a-b",
]
RANGES += [
    " bytes = 1 - 2 ",
    "bytes=--1",
    "bytes=-",
    "bytes=5-1",
    "bytes=1_0-2_0",
    "bytes=+1-+2",
    "BYTES=1-2",
    "bytes=٣-",
]


@pytest.mark.parametrize("header", RANGES)
def test_ranges(header):
    same("_parse_request_range", header)


def test_small_functions():
    for value in ("", " ", "5", " 5 ", "-5", "x", "٣"):
        same("_int_or_none", value)
    for start in (None, 0, 3):
        for end in (None, 0, 5):
            same("_get_content_range", start, end, 10)
    for value in ("", "0", "12", "-1", "+1", " 1", "1\n", "٣", "0x1", "ff", "FG", "1_0"):
        same("parse_int", value, module=http1connection)
        same("parse_hex_int", value, module=http1connection)
    for pair in (("a", "b"), ("é", "e\u0301"), (b"\xff", "é"), ("", "")):
        same("encode_username_password", *pair)
    for pairs in ({}, {"a": None}, {"b": 1, "a": "x y"}, {"b": None, "a": None}):
        same("_encode_header", "key", pairs)
    for name in ("", "a", "foo-BAR", "--x", "é-ß", "x_y z"):
        same("_normalize_header", name)
    source = {"a": ["1", "2"], "b": [], "c": ["3"]}
    assert list(httputil.qs_to_qsl(source)) == list(stock.qs_to_qsl(source))


def test_transfer_encoding():
    for fields in (
        {},
        {"transfer-encoding": "chunked"},
        {"Transfer-Encoding": "Chunked"},
        {"transfer-encoding": "gzip"},
    ):
        for extra in ({}, {"content-length": "5"}):
            made = fields | extra
            wanted = outcome(http1connection.is_transfer_encoding_chunked, stock.HTTPHeaders(made))
            assert outcome(httputil.is_transfer_encoding_chunked, httputil.HTTPHeaders(made)) == wanted


STAMP = 1359312200.503611
MOMENT = datetime.datetime.fromtimestamp(STAMP, datetime.timezone.utc)  # noqa: UP017
TIMES = [
    STAMP,
    0,
    -1,
    True,
    time.gmtime(STAMP),
    tuple(time.gmtime(STAMP)),
    MOMENT,
    MOMENT.replace(tzinfo=None),
]
TIMES += [MOMENT.astimezone(datetime.timezone(datetime.timedelta(hours=-4))), "now", None, MOMENT.date()]


@pytest.mark.parametrize("ts", TIMES, ids=repr)
def test_format_timestamp(ts):
    same("format_timestamp", ts)


COOKIES = [
    "",
    ";",
    "a=b",
    "a=b; c=d",
    "a = b ;c",
    "=",
    "=x",
    "x=",
    'a="b"',
    r'a="\"\\\054\400\n"',
    '"',
    'a="',
    "a=b=c",
    "é=ß",
]


def test_cookies():
    rng = random.Random(3)
    pieces = ["a", "b", "=", ";", " ", '"', "\\", "054", "é", ",", "[", "\n", "\t"]
    for cookie in COOKIES + ["".join(rng.choices(pieces, k=rng.randrange(16))) for _ in range(5000)]:
        same("parse_cookie", cookie)
        same("_unquote_cookie", cookie)
    same("_unquote_cookie", None)


HEADERS = [
    "",
    ";",
    "a",
    "a;b",
    "a;b=c",
    'a;b="c;d"',
    'a;b="c',
    r'a;b="c\"d;e"',
    "a; B = c ;d",
    "a;b*=utf-8''%C3%A4",
]
HEADERS += [
    "a;b*0=x;b*1=y",
    "a;b*0*=utf-8''%C3;b*1=\"z\"",
    "a;b*=bad''%zz",
    'a;b="";c="x"',
    "a;b=c;b=d",
    'a;b=\\"c',
]


def test_header_parameters():
    rng = random.Random(4)
    pieces = ["a", "b", "=", ";", ";", " ", '"', '"', "\\", "*", "*0", "é", "''", "utf-8''", "%41"]
    texts = HEADERS + ["".join(rng.choices(pieces, k=rng.randrange(18))) for _ in range(8000)]
    for text in texts:
        same("_parse_header", text)
        for line in (text, ";" + text):
            assert list(httputil._parseparam(line)) == list(stock._parseparam(line))


def parse_both(content_type, body, headers=None, **limits):
    """parse_body_arguments of both modules, with a ParseBodyConfig if limits are given."""
    results = []
    for module in (stock, httputil):
        arguments, files = {"old": [b"0"]}, {}
        made = module.HTTPHeaders(headers) if headers is not None else None
        config = None
        if limits:
            urlencoded = module.ParseUrlEncodedConfig(limits.pop("max_arguments", 1000))
            config = module.ParseBodyConfig(module.ParseMultipartConfig(**limits), urlencoded)
        result = outcome(
            module.parse_body_arguments, content_type, body, arguments, files, made, config=config
        )
        results.append((result, arguments, files))
    assert results[1] == results[0]
    return results[1]


FORM = "application/x-www-form-urlencoded"
FORMS = [
    b"",
    b"a=1",
    b"a=1&a=2&b",
    b"&&",
    b"=",
    b"=1",
    b"a=%",
    b"a=%4",
    b"a=%41%zz%c3%a9+x",
    b"%41=+",
    b"old=1",
    b"a=1;b=2",
]
FORMS += [b"\xff=\xfe", b"a==b", b"a=%3d%25", b"%%41", b"a=1&" * 999 + b"b", b"a=1&" * 1000 + b"b"]


@pytest.mark.parametrize("body", FORMS, ids=lambda b: repr(b[:20]))
def test_urlencoded(body):
    parse_both(FORM, body)
    parse_both(FORM + "; charset=utf-8", body)
    parse_both(FORM, body, {"content-encoding": "gzip"})
    parse_both(FORM, body, {"a": "b"})
    parse_both("text/plain", body, {"content-encoding": "gzip"})


def part(disposition, body=b"", *extra):
    lines = [b"Content-Disposition: " + disposition, *extra, b"", body]
    return b"--1234\r\n" + b"\r\n".join(lines) + b"\r\n"


END = b"--1234--\r\n"
PARTS = [
    END,
    b"",
    b"--1234--",
    part(b'form-data; name="a"', b"1") + END,
    part(b'form-data; name="a"', b"1") + part(b'form-data; name="a"', b"2") + END,
    part(b'form-data; name="f"; filename="x.txt"', b"body", b"Content-Type: text/plain") + END,
    part(b'form-data; name="f"; filename="x.txt"', b"a\r\nb\r\n\r\nc") + END + b"epilogue",
    b"preamble" + part(b'form-data; name="a"', b"1") + END,
    part('form-data; name="é"; filename="测试.txt"'.encode(), b"x") + END,
    part(b"form-data; name=f; filename*=UTF-8''%C3%A1b.txt", b"x") + END,
    part(b'form-data; name="f"; filename=""', b"x") + END,
    part(b'form-data; filename="x"', b"x") + END,
    part(b'form-data; name=""', b"x") + END,
    part(b'attachment; name="a"', b"x") + END,
    part(b'form-data; name="a\x08"', b"x") + END,
    part(b'form-data; name="\xff"', b"x") + END,
    part(b'form-data; name="a"', b"x", b" folded") + END,
    part(b'form-data; name="a"', b"x", b"nocolon") + END,
    b"--1234\r\n\r\nx\r\n" + END,
    b"--1234\r\nno end" + END,
    b'--1234\r\nContent-Disposition: form-data; name="a"\r\n\r\nno line end' + END,
    part(b'form-data; name="a"', b"--1234--") + END,
    part(b'form-data; name="a"', b"x") * 99 + END,
    part(b'form-data; name="a"', b"x") * 100 + END,
    part(b'form-data; name="a"; x="' + b";" * 9000 + b'"', b"x") + END,
    part(b'form-data; name="a"; x="' + b";" * 11000 + b'"', b"x") + END,
]
TYPES = ["multipart/form-data; boundary=1234", 'multipart/form-data;boundary="1234"', "multipart/form-data"]
TYPES += [
    "multipart/form-dataxyz; boundary=1234",
    "multipart/form-data; boundary=",
    "multipart/form-data; x=1; boundary=1234",
]
TYPES += [
    "multipart/form-data; boundary=é",
    "multipart/form-data ; boundary = 1234",
    "multipart/form-data; boundary=9; boundary=1234",
]
TYPES += [
    'multipart/form-data; boundary="',
    "multipart/form-data; BOUNDARY=1234",
    "multipart/mixed; boundary=1234",
]


@pytest.mark.parametrize("body", PARTS, ids=lambda b: repr(b[20:60]))
def test_multipart(body):
    for content_type in TYPES:
        parse_both(content_type, body)
    parse_both(TYPES[0], body, {"Content-Encoding": "br"})
    for limits in ({"enabled": False}, {"max_parts": 0}, {"max_parts": 1}, {"max_part_header_size": 40}):
        parse_both(TYPES[0], body, **limits)
    for boundary in (b"1234", b'"1234"', b'"', b"", b"12"):
        for module, results in ((stock, []), (httputil, [])):
            arguments, files = {}, {}
            results.append(outcome(module.parse_multipart_form_data, boundary, body, arguments, files))
            results.append((arguments, files))
            if module is stock:
                wanted = results
        assert results == wanted


def test_files_are_objects_and_dicts():
    _, _, files = parse_both(TYPES[0], PARTS[5])
    (file,) = files["f"]
    assert type(file) is httputil.HTTPFile and isinstance(file, dict)
    assert (
        file.body == file["body"] == b"body"
        and file.filename == "x.txt"
        and file.content_type == "text/plain"
    )
    with pytest.raises(AttributeError, match="missing"):
        file.missing  # noqa: B018
    file.extra = 1
    assert file["extra"] == 1


def test_global_config():
    try:
        httputil.set_parse_body_config(
            httputil.ParseBodyConfig(
                httputil.ParseMultipartConfig(enabled=False), httputil.ParseUrlEncodedConfig(max_arguments=1)
            )
        )
        with pytest.raises(httputil.HTTPInputError, match="disabled"):
            httputil.parse_body_arguments(TYPES[0], PARTS[3], {}, {})
        with pytest.raises(httputil.HTTPInputError, match="Max number of fields exceeded"):
            httputil.parse_body_arguments(FORM, b"a&b", {}, {})
        with pytest.raises(httputil.HTTPInputError, match="Invalid query string: Max number"):
            httputil._parse_query("a&b")
    finally:
        httputil.set_parse_body_config(httputil.ParseBodyConfig())
    assert httputil._parse_query("a&b=%41+") == {"a": [b""], "b": [b"A "]}
    with pytest.raises(httputil.HTTPInputError, match="Invalid query string: 'latin-1' codec"):
        httputil._parse_query("名")


@pytest.mark.parametrize("cookie", [*COOKIES, "a=b; a b=c; d:e=f; g=h", None])
def test_load_cookies(cookie):
    fields = {} if cookie is None else {"Cookie": cookie}
    headers = stock.HTTPHeaders({"Host": "x", **fields})
    request = stock.HTTPServerRequest(
        start_line=stock.RequestStartLine("GET", "/", "HTTP/1.1"), headers=headers
    )
    assert httputil._load_cookies(httputil.HTTPHeaders(fields)) == request.cookies


def test_parse_body():
    headers = httputil.HTTPHeaders({"Content-Type": TYPES[0]})
    arguments, files = {}, {}
    httputil._parse_body(headers, PARTS[3], arguments, files)
    assert (arguments, files) == ({"a": [b"1"]}, {})
    httputil._parse_body(httputil.HTTPHeaders(), PARTS[3], arguments, files)
    assert (arguments, files) == ({"a": [b"1"]}, {})


def test_escape_helpers():
    rng = random.Random(5)
    pieces = [b"a", b"=", b"&", b"%", b"%41", b"%C3", b"4", b"+", b";", b"\xff", b"%0A", b"%3d", b"\n", b"=="]
    queries = [
        "",
        "a=1",
        "é=1",
        "名",
        *FORMS,
        *(b"".join(rng.choices(pieces, k=rng.randrange(12))) for _ in range(3000)),
    ]
    for query in queries:
        for keep in (False, True):
            for strict in (False, True):
                same("parse_qs_bytes", query, keep, strict, module=escape, ours=own_escape)
        same("parse_qs_bytes", query, max_num_fields=2, module=escape, ours=own_escape)
    for value in (None, "", "é", b"\xc3\xa9", b"\xff", 5, bytearray(b"x"), "\ud800"):
        for name in ("utf8", "to_unicode", "native_str"):
            same(name, value, module=escape, ours=own_escape)


def steps(function, *args):
    """Lines of Python run by a call: work that can be counted."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += 1
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)
    finally:
        sys.settrace(previous)
    return count


@pytest.mark.parametrize(
    "function",
    [
        lambda n: httputil._parse_header("a" + "; b=c" * n),
        lambda n: httputil._parse_header('a; b="' + ";" * n + '"'),
        lambda n: httputil._parse_header('a; b="' + ";" * n),
        lambda n: httputil.parse_cookie("a=b; " * n),
        lambda n: httputil.parse_cookie('a="' + r"\134" * n + '"'),
        lambda n: own_escape.parse_qs_bytes(b"a=%41%4a&" * n),
        lambda n: own_escape.parse_qs_bytes(b"%41b" * n),
        lambda n: httputil.parse_multipart_form_data(
            b"1234",
            PARTS[3][: -len(END)] * n + END,
            {},
            {},
            config=httputil.ParseMultipartConfig(max_parts=10**6),
        ),
    ],
)
def test_steps_grow_linearly(function):
    function(1)  # caches, lazy imports
    small, large = steps(function, 100), steps(function, 1000)
    assert large <= 11 * small


def test_examples():
    result = unittest.TestResult()
    suite = httputil.doctests()
    suite.run(result)
    assert result.wasSuccessful() and result.testsRun >= 13


def test_imports_without_tornado():
    import subprocess

    code = (
        "import sys; sys.modules['tornado'] = None\n"
        "import tornado_c.httputil\n"
        "assert [m for m in sys.modules if m.startswith('tornado.')] == []\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_format_timestamp_of_any_date():
    draw = random.Random(1)
    zones = [None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=-9.5))]
    for _ in range(2000):
        days = draw.choice([draw.randrange(3652059), draw.randrange(700_000, 740_000), 0, 3652058])
        when = datetime.datetime(1, 1, 1) + datetime.timedelta(days=days, seconds=draw.randrange(86400))
        same("format_timestamp", when.replace(tzinfo=draw.choice(zones)))
