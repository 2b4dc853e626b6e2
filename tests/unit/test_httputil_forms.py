"""Forms, cookies, parameters, ranges and headers out of the network: random input to our parsers and to stock
Tornado's gives the same result, or the same exception with the same words.
"""

import random
import subprocess
import sys

import pytest
import tornado.escape
import tornado.httputil

from support.children import CHILD_ENVIRONMENT
from tornado_c import escape as own_escape
from tornado_c import httputil

# ---- what is compared ----


def outcome(function, *args, **kwargs):
    try:
        return "result", function(*args, **kwargs)
    except Exception as exc:
        return type(exc).__name__, str(exc)


def text(data):
    return data.decode("latin-1")


def forms(parse):
    """What a parser of forms leaves in its two dictionaries, also where it fails."""
    arguments, files = {"old": [b"1"]}, {}
    result = outcome(parse, arguments, files)
    return result, arguments, {name: [dict(file) for file in values] for name, values in files.items()}


def multipart(util, data, boundary=b"1234", **limits):
    config = util.ParseMultipartConfig(**limits)
    return forms(lambda a, f: util.parse_multipart_form_data(boundary, data, a, f, config=config))


def typed(util, data):
    """A body behind the first line, which is its Content-Type."""
    content_type, _, body = data.partition(b"\n")
    headers = util.HTTPHeaders({"Content-Type": text(content_type)})
    return forms(lambda a, f: util.parse_body_arguments(text(content_type), body, a, f, headers))


def parsed_headers(util, data, flag):
    headers = util.HTTPHeaders.parse(text(data), _chars_are_bytes=flag)
    return list(headers.get_all()), dict(headers), str(headers)


def request_of(util, data):
    """Cookies, arguments and names that a request takes from its head."""
    target, _, rest = text(data).partition("\n")
    host, _, cookie = rest.partition("\n")
    headers = util.HTTPHeaders()
    headers["Host"], headers["Cookie"] = host, cookie
    line = util.RequestStartLine("GET", target, "HTTP/1.1")
    request = util.HTTPServerRequest(start_line=line, headers=headers)
    cookies = sorted((name, morsel.value, morsel.OutputString()) for name, morsel in request.cookies.items())
    return request.path, request.query, request.arguments, request.host, request.host_name, cookies


PARSERS = {
    "multipart": multipart,
    "multipart, quoted": lambda util, data: multipart(util, data, b'"1234"'),
    "multipart, few": lambda util, data: multipart(util, data, max_parts=2, max_part_header_size=60),
    "multipart, any boundary": lambda util, data: multipart(util, *data.partition(b"\n")[::-2]),
    "typed body": typed,
    "headers": lambda util, data: outcome(parsed_headers, util, data, True),
    "headers of parts": lambda util, data: outcome(parsed_headers, util, data, False),
    "parameters": lambda util, data: outcome(util._parse_header, text(data)),
    "cookies": lambda util, data: outcome(lambda d: list(util.parse_cookie(d).items()), text(data)),
    "range": lambda util, data: outcome(util._parse_request_range, text(data)),
    "request line": lambda util, data: outcome(lambda d: tuple(util.parse_request_start_line(d)), text(data)),
    "status line": lambda util, data: outcome(lambda d: tuple(util.parse_response_start_line(d)), text(data)),
    "host and port": lambda util, data: outcome(util.split_host_and_port, text(data)),
    "url_concat": lambda util, data: outcome(
        util.url_concat, text(data), [("a", text(data[:3])), ("b", "é")]
    ),
    "request": lambda util, data: outcome(request_of, util, data),
}


def query(module, data):
    limited = outcome(module.parse_qs_bytes, data, True, True, max_num_fields=3)
    return outcome(module.parse_qs_bytes, data, True), outcome(module.parse_qs_bytes, text(data)), limited


def same(name, data):
    if name == "query":
        ours, stock = query(own_escape, data), query(tornado.escape, data)
    else:
        ours, stock = PARSERS[name](httputil, data), PARSERS[name](tornado.httputil, data)
    assert ours == stock, (name, data)
    return ours


# ---- input ----

NAME = b'Content-Disposition: form-data; name="a"'
FILE = NAME + b'; filename="b.txt"\r\nContent-Type: text/plain'
PART = b"--1234\r\n" + NAME + b"\r\n\r\nvalue\r\n"
FORM = PART + b"--1234\r\n" + FILE + b"\r\n\r\n\0\xff\r\n\r\n--123\r\n--1234--\r\n"
EXTENDED = (
    b"--1234\r\nContent-Disposition: form-data; name=f; filename*=UTF-8''%C3%A1b.txt\r\n\r\nx\r\n--1234--"
)
CONTINUED = b'a; b*0="x"; b*1*=%41; b*2="y\\"z"; c*=us-ascii\'en\'%2a; d'
CORPUS = {
    "query": [b"a=1&b=%41%zz&c=+&d", b"%C3%A9=\xff;x==&&&", b"a=1&a=2&a=3&a=4"],
    "typed body": [
        b"multipart/form-data; boundary=1234\n" + FORM,
        b'multipart/form-data; charset=utf-8; boundary="1234"\n' + FORM,
        b"application/x-www-form-urlencoded; charset=utf-8\na=1&b=%C3%A9&b&c=d=e",
    ],
    "headers": [
        b"Host: a\r\nX-A:b\r\nx-a: \t c \t\r\n\r\n",
        b"A: b\nC: d\r\nE:\n",
        b"Folded: a\r\n b\r\n",
        b"X: \xe4\x80",
    ],
    "parameters": [NAME[21:] + b'; filename="a;\\"b"', CONTINUED, b"text/html; charset=utf-8; a; b = c ;"],
    "cookies": [b'a=b; c="d\\073\\"e"; f; =g; h=; a=2', b' x = y ;; "z"="\\134\\\\"', b"a=b,c=d; e=\xc3\xa9"],
    "range": [
        b"bytes=1-2",
        b" bytes = 5 - ",
        b"bytes=-0",
        b"bytes=--1",
        b"bytes=1-2,3-4",
        b"bytes=1_0-\xb2",
        b"x=1-2",
    ],
    "request line": [b"GET /a?b=c HTTP/1.1", b"PUT * HTTP/1.0"],
    "status line": [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 301 \xc4 \t"],
    "host and port": [b"a.example:80", b"[::1]:8080", b"::1", b"a:b:1\n"],
    "url_concat": [b"http://u:p@h:1/p;x?a=%41&b#f", b"//h?", b"?a=1&a=2", b"p#f?x", b"http://[::1]/"],
    "request": [
        b'/p?a=%C3%A9&b\na.example:80\na=b; c="d"; e',
        b"*\n[::1]\n",
        b"/?#\na,b\nx=\x7f; y=\xe9; expires=1",
    ],
}
for _kind in ("multipart", "multipart, quoted", "multipart, few"):
    CORPUS[_kind] = [FORM, PART * 3 + b"--1234--", EXTENDED, b"preamble" + FORM + b"epilogue", b"--1234--"]
CORPUS["multipart, any boundary"] = [
    b"1234\n" + FORM,
    b'"1234"\n' + FORM,
    b"1\n" + FORM.replace(b"1234", b"1"),
    b"--\n" + FORM.replace(b"1234", b"--"),
    b"-\n" + FORM.replace(b"1234", b"-") + b"--",
    b"--\r\n\n" + FORM,
    b"1234\n" + FORM + b"." * 1500,
    b"1234\n" + FORM + b"." * 1020 + b"\r\n--1234--" + b"." * 1020,
    b"1234\n" + PART * 99 + FORM,
    b"1234\n" + PART * 97 + FORM,
]
CORPUS["headers of parts"] = [*CORPUS["headers"], NAME + b"\r\nContent-Type: a/b"]

TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"--",
    b"--1234",
    b"--1234\r\n",
    b"--1234--",
    b'"',
    b"\\",
    b"=",
    b";",
    b"; ",
]
TOKENS += [
    b"&",
    b"%",
    b"%41",
    b"%C3%A9",
    b"%u1",
    b"+",
    b":",
    b",",
    b"/",
    b"-",
    b"[",
    b"]",
    b"*",
    b"*0=",
    b"*1*=",
    b"''",
    b"\0",
]
TOKENS += [
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"\xc3\xa9",
    b"a",
    b"0",
    b"1",
    b"9" * 20,
    b"a=b",
    NAME,
    FILE,
]
TOKENS += [
    b"name=",
    b"filename=",
    b"filename*=",
    b'name=""',
    b"boundary=",
    b"bytes=",
    b"HTTP/1.1",
    b"\\073",
    b'\\"',
    b"Host: x\r\n",
]


def mutated(rng, corpus):
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            del data[at : at + rng.choice([1, 1, 2, 10])]
        elif kind == 2:
            data[at : at + 1] = rng.choice(TOKENS)
        elif kind == 3:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            start = rng.randrange(at + 1)
            data[at:at] = data[start : start + rng.randrange(40)]
    return bytes(data)


@pytest.mark.parametrize("name", CORPUS)
def test_mutations_of_a_corpus(name):
    rng = random.Random(name)
    for data in CORPUS[name]:
        same(name, data)
    outcomes = {repr(same(name, mutated(rng, CORPUS[name])))[:200] for _ in range(700)}
    assert len(outcomes) > 10


@pytest.mark.conformance
@pytest.mark.parametrize("name", CORPUS)
def test_thousands_of_mutations(name):
    rng = random.Random(f"{name} more")
    for _ in range(30_000):
        same(name, mutated(rng, CORPUS[name]))


@pytest.mark.parametrize("name", CORPUS)
def test_by_hypothesis(name):
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    pieces = strategies.sampled_from([*TOKENS, *CORPUS[name]]) | strategies.binary(max_size=6)

    @hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @hypothesis.given(strategies.lists(pieces, max_size=12).map(b"".join))
    def check(data):
        same(name, data)

    check()


# ---- linear time ----

#: Each of these takes well below a second where the work is linear, and practically for ever where it is not.
LONG = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from tornado_c import httputil
from tornado_c import escape as own_escape
from tornado_c.httputil import HTTPHeaders, ParseMultipartConfig
N = 150_000
def attempt(name, function, *args, **kwargs):
    print(name, flush=True)
    try:
        return function(*args, **kwargs)
    except (httputil.HTTPInputError, ValueError):
        return None
many = ParseMultipartConfig(max_parts=10 * N, max_part_header_size=100 * N)
def form(body, boundary=b"1234"):
    httputil.parse_multipart_form_data(boundary, body, {}, {}, config=many)
head = b'--1234\\r\\nContent-Disposition: form-data; name="a"'
attempt("boundaries", form, b"--1234\\r\\n" * N + b"--1234--")
attempt("almost boundaries", form, b"--123\\r\\n--12" * N + b"--1234--")
attempt("dashes", form, b"-" * 5 * N, b"-" * 70)
attempt("dashes, no end", form, b"-" * 5 * N + b"x", b"-" * 2000 + b"y")
attempt("dashes around", form, b"-" * 50 * N, b"-" * 20_000 + b"y" + b"-" * 20_000)
attempt("parts", form, (head + b"\\r\\n\\r\\n\\r\\n") * (N // 20) + b"--1234--")
attempt("a long value", form, head + b"\\r\\n\\r\\n" + b"\\r\\n--123" * N + b"\\r\\n--1234--")
attempt("head lines", form, head + b"\\r\\nA: b" * N + b"\\r\\n\\r\\n\\r\\n--1234--")
attempt("head without end", form, head + b"\\r\\n" * 1 + b"\\r" * 5 * N + b"--1234--")
attempt("quotes", form, head + b'; b="' * N + b"\\r\\n\\r\\n\\r\\n--1234--")
attempt("escaped quotes", form, head + b'; b="' + b'\\\\"' * N + b'"\\r\\n\\r\\n\\r\\n--1234--')
attempt("semicolons", httputil._parse_header, "a" + ";" * 5 * N)
attempt("blanks", httputil._parse_header, "a;" + " " * 5 * N + "b")
attempt("open quote", httputil._parse_header, 'a; b="' + ";" * 5 * N)
attempt("backslashes", httputil._parse_header, 'a; b="' + "\\\\" * 5 * N)
attempt("cookies", httputil.parse_cookie, "a=b; " * N)
attempt("other cookies", httputil.parse_cookie, "; ".join(f"a{n}=b" for n in range(N // 4)))
attempt("octal", httputil.parse_cookie, 'a="' + "\\\\134" * N + '"')
attempt("backslashes in cookies", httputil.parse_cookie, 'a="' + "\\\\" * 5 * N + '"')
attempt("blanks in cookies", httputil.parse_cookie, "a=" + " " * 5 * N + "b")
attempt("arguments", own_escape.parse_qs_bytes, b"a=%41&" * N)
attempt("percent", own_escape.parse_qs_bytes, b"a=" + b"%" * 5 * N)
attempt("ampersands", own_escape.parse_qs_bytes, b"&" * 5 * N)
attempt("range", httputil._parse_request_range, "bytes=" + " " * 5 * N + "x")
attempt("digits", httputil._parse_request_range, "bytes=" + "9" * N + "-")
attempt("host", httputil.split_host_and_port, "a:" * N)
attempt("port", httputil.split_host_and_port, ":" + "1" * 4000 + "x")
attempt("request line", httputil.parse_request_start_line, "GET " + "/" * 5 * N + " x")
attempt("status line", httputil.parse_response_start_line, "HTTP/1.1 200 " + " " * 5 * N + "\\n")
repeated = attempt("repeated headers", HTTPHeaders.parse, "A: b\\r\\n" * N)
assert len(repeated["a"]) == 2 * N - 1 and len(repeated.get_list("A")) == N
attempt("headers", HTTPHeaders.parse, "".join(f"A{n}: b\\r\\n" for n in range(N // 4)))
attempt("blanks in headers", HTTPHeaders.parse, "A: " + " " * 5 * N + "b\\x00")
attempt("blanks inside", HTTPHeaders.parse, "A: b" + " \\t" * 3 * N + "\\x00")
attempt("dashes in names", HTTPHeaders.parse, "-a" * N + ": b")
attempt("no colon", HTTPHeaders.parse, "a" * 5 * N)
attempt("line feeds", HTTPHeaders.parse, "\\n" * 5 * N)
attempt("returns", HTTPHeaders.parse, "\\r" * 5 * N)
attempt("host of a request", httputil._checked_host, HTTPHeaders(Host="a" * N + "%"), "HTTP/1.1")
attempt("colons in a host", httputil._checked_host, HTTPHeaders(Host=":1" * N + "@"), "HTTP/1.1")
print("done")
"""


def test_values_of_many_megabytes():
    value = random.Random(1).randbytes(9 << 20)
    form = b"--1234\r\n" + FILE + b"\r\n\r\n" + value + b"\r\n" + PART + b"--1234--"
    arguments, files = {}, {}
    httputil.parse_multipart_form_data(b"1234", form, arguments, files)
    assert arguments == {"a": [b"value"]} and files["a"][0].body == value


def test_long_input_takes_linear_time():
    """A process that may use a minute of CPU; what it was at when it was killed is its last line."""
    done = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, env=CHILD_ENVIRONMENT)
    assert (done.returncode, done.stdout.split("\n")[-2]) == (0, "done"), done.stdout + done.stderr
