"""The same application on stock Tornado and on ours: same requests, same bytes (but Date), same log lines."""

import http

import pytest

from support.implementations import OURS
from support.live_http import serving
from support.web_application import make_app
from support.web_servers import collecting, pair, request


@pytest.fixture(scope="module")
def ask():
    with pair(make_app) as both:
        yield both


def paths(prefix, names):
    return [prefix + name for name in names.split()]


FORM = "Content-Type: application/x-www-form-urlencoded"
CASES = {
    **{
        path: request(path)
        for path in [
            "/",
            "/?x=1",
            "//",
            "/nothing",
            "/esc.txt",
            "/escxtxt",
            "/order/hidden",
            *paths(
                "/write/", "dict list int none bytes unicode pieces after twice finish_dict empty json_type"
            ),
            *paths("/flush/", "await plain length"),
            *paths("/length/", "6 7 5"),
            *paths(
                "/status/", "0 1 99 200 201 204 304 404 599 999 1000 12345 200?reason=Fine 200?reason=%3Cb%3E"
            ),
            *paths("/status/", "204?body=1 304?body=1 201?body=1"),
            *paths("/header/", "str bytes latin int bool datetime float none newline nul del tab wide"),
            "/args",
            "/args?name=1&name=%20two%20&name=%00a%0b",
            "/args?name=%ff",
            "/args?name=%C3%A9",
            "/path/a/b",
            "/path/a%2Fb/c%20d%C3%A9",
            "/path/a+b/c",
            "/path/%ff/x",
            "/path/named/1/2",
            "/path/named/%41/",
            "/path/optional",
            "/path/optional/x",
            *paths(
                "/fail/", "zero http message percent reason badreason 304 204 finish finish_chunk missing"
            ),
            *paths("/fail/", "cancelled send_error written after_finish key result ok"),
            *paths(
                "/afail/", "zero http message 304 204 finish finish_chunk cancelled written after_finish ok"
            ),
            "/custom",
            "/hooks",
            "/hooks?stop=1",
            "/hooks?noetag=1",
            "/aprepare",
            "/aprepare?sleep=1",
            "/aprepare?fail=1",
            "/aprepare?sleep=1&fail=1",
            "/coroutine",
            *paths("/redirect/", "plain permanent status bad"),
            *paths("/cookies/", "set get bad_value bad_path"),
            "/decorated",
            "/decorated?user=me",
            "/slash",
            "/slash/",
            "/slash///?q=1",
            "/addslash",
            "/addslash?q=1",
            "/addslash/",
            "/properties",
            "/decode/x%20y?q=z",
            "/to/a?b=c",
            "/to/",
            "/toplain",
            "/toplain?y=%20",
            "/tohost/http://evil/",
            "/tohost/x",
            "/error",
        ]
    },
    **{
        f"HEAD {path}": request(path, "HEAD")
        for path in ["/", "/nothing", "/status/200?body=1", "/status/204"]
    },
    **{f"HEAD flush {what}": request(f"/flush/{what}", "HEAD") for what in ("await", "plain", "error")},
    **{
        f"{method} {path}": request(path, method, ["Content-Length: 0"])
        for method, path in [
            ("POST", "/"),
            ("PUT", "/nothing"),
            ("DELETE", "/args"),
            ("FOO", "/"),
            ("get", "/"),
            ("PROPFIND", "/unusual"),
            ("PROPFIND", "/"),
            ("POST", "/custom"),
            ("POST", "/header/x"),
            ("POST", "/aprepare"),
            ("POST", "/aprepare?sleep=1"),
            ("POST", "/coroutine"),
            ("PUT", "/coroutine"),
            ("DELETE", "/coroutine"),
            ("OPTIONS", "/coroutine"),
            ("PATCH", "/coroutine"),
            ("POST", "/decorated"),
            ("POST", "/decorated?user=me"),
            ("POST", "/slash"),
            ("POST", "/slash/"),
            ("POST", "/properties"),
            ("POST", "/afail/zero"),
            ("POST", "/afail/ok"),
            ("POST", "/afail/result"),
            ("POST", "/origin"),
            ("POST", "/status/200?body=1"),
        ]
    },
    "form": request("/args?name=q", "POST", [FORM], b"name=b1&name=+b2+&other=x"),
    "put form": request("/args", "PUT", [FORM], b"name=%e2%82%ac"),
    "bad form": request(
        "/args", "POST", ["Content-Type: multipart/form-data; boundary=x"], b"no such boundary"
    ),
    "multipart": request(
        "/args",
        "POST",
        ["Content-Type: multipart/form-data; boundary=x"],
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nvalue\r\n--x--\r\n',
    ),
    "json body": request("/args", "POST", ["Content-Type: application/json"], b'{"name": 1}'),
    "cookies": request("/cookies/get", headers=["Cookie: a=1; b=2; c"]),
    **{f"etag of {size}": request(f"/write/{size}") for size in (1, 511, 512, 513, 70_000)},
    "etag": request("/", headers=['If-None-Match: "e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    "weak etag": request("/", headers=['If-None-Match: "x", W/"e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    "other etag": request("/", headers=['If-None-Match: "x"']),
    "any etag": request("/", headers=["If-None-Match: *"]),
    "odd etag": request("/", headers=["If-None-Match: nonsense"]),
    "own etag": request("/hooks", headers=['If-None-Match: "mine"']),
    "head etag": request("/", "HEAD", headers=['If-None-Match: "e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    "origin good": request("/origin", "POST", ["Origin: http://example.test", "Content-Length: 0"]),
    "origin bad": request("/origin", "POST", ["Origin: http://evil.test", "Content-Length: 0"]),
    "site same": request("/origin", "POST", ["Sec-Fetch-Site: same-origin", "Content-Length: 0"]),
    "site cross": request("/origin", "POST", ["Sec-Fetch-Site: cross-site", "Content-Length: 0"]),
    "1.0": request("/", version="1.0", close=False),
    "1.0 keep": request("/", version="1.0", close=False, headers=["Connection: keep-alive"])
    + request("/", version="1.0", close=False),
    "1.0 flush": request("/flush/plain", version="1.0", close=False),
    "keep-alive": request("/", close=False) + request("/nothing", close=False) + request("/"),
    "pipelined": request("/coroutine", close=False)
    + request("/fail/zero", close=False)
    + request("/afail/ok"),
    "pipelined async": request("/coroutine", close=False) * 3 + request("/flush/await"),
    "no host path": request("*", "OPTIONS"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_answer(ask, name):
    outcome = ask(CASES[name])
    assert outcome["ours"][0] == outcome["stock"][0]
    assert outcome["ours"][1] == outcome["stock"][1]
    assert outcome["ours"][0]


@pytest.mark.parametrize("how", ["error", "http", "redirect"])
def test_failing_after_the_first_flush(ask, how):
    """Stock ends the body as if it were complete; ours without the last chunk, and the connection ends."""
    outcome = ask(request(f"/flush/{how}", close=False) + request("/"))
    ours, stock = outcome["ours"][0], outcome["stock"][0]
    assert ours.startswith(b"HTTP/1.1 200 OK") and ours.endswith(b"\r\n3\r\none\r\n")
    assert stock.startswith(ours + b"3\r\ntwo\r\n0\r\n\r\n")


def test_unexpected_initialize_argument(ask):
    """A handler that cannot be made is the server's problem: the connection ends without an answer."""
    outcome = ask(request("/initkw"))
    assert outcome["ours"][0] == outcome["stock"][0] == b""


STATUSES = [-1, -200, True, False, 1 << 40, 10**30, 200.0, 404.7, http.HTTPStatus.NOT_FOUND]


@pytest.mark.parametrize("status", STATUSES, ids=repr)
def test_status_of_any_kind(status):
    """set_status() takes what "%d" does."""

    def make(web):
        class Handler(web.RequestHandler):
            def get(self):
                self.set_status(status, "Reason" if self.get_argument("reason", "") else None)
                self.write(f"{self.get_status()!r}")

        return web.Application([("/", Handler)])

    with pair(make) as ask:
        for path in ("/", "/?reason=1"):
            outcome = ask(request(path))
            assert outcome["ours"] == outcome["stock"]
            assert outcome["ours"][0].startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("status", ["200", None, b"200", float("nan"), 1j, ()], ids=repr)
def test_status_that_is_none(status):
    """Stock writes the body without a head, or nothing; ours answers with 500."""

    def make(web):
        class Handler(web.RequestHandler):
            def get(self):
                self.set_status(status, "Reason")
                self.write("body")

        return web.Application([("/", Handler)])

    with collecting() as collector:
        with serving(make(OURS.web)) as server:
            assert server.exchange(request("/")).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert {"TypeError", "ValueError"} & {line[3] for line in collector.take()}
