"""Static files: paths, conditional requests and ranges, beside stock Tornado; then what we do differently."""

import contextlib
import os
import re
import ssl
import time

import pytest

from support.implementations import BOTH, OURS
from support.iostream_tls_tools import server_context
from support.live_http import LiveServer, Overridden, serving
from support.web_servers import body, pair, request, same, without_date
from tornado_c.httputil import format_timestamp

TIME = 1_600_000_000  # when every file was changed
DIGITS = b"0123456789"


def make_tree(base):
    root, outside = base / "root", base / "outside"
    for folder in (root / "sub", root / "empty", outside / "deep"):
        folder.mkdir(parents=True)
    files = {
        "digits.txt": DIGITS,
        "none.bin": b"",
        "page.html": b"<p>" * 1000,
        "archive.tar.gz": b"x",
        "packed.bz2": b"x",
        "noext": b"x",
        "sub/index.html": b"index",
        "with space.css": b"a{}",
        "\u00fc.js": b"1",
        "..dots": b"dots",
        "large.bin": bytes(range(256)) * 2048,
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    (outside / "secret.txt").write_bytes(b"secret")
    (outside / "deep" / "index.html").write_bytes(b"deep")
    (base / "root_not").write_bytes(b"beside")
    links = {
        "in.txt": root / "digits.txt",
        "out.txt": outside / "secret.txt",
        "outdir": outside,
        "nowhere": outside / "missing",
        "loop": root / "loop",
        "linked": root / "sub",
        "device": "/dev/zero",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (root / "empty" / "index.html").symlink_to(outside / "secret.txt")
    os.mkfifo(root / "fifo")
    (base / "current").symlink_to(root)
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (TIME, TIME))
    return base


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("static"))


def make_app_of(tree):
    def make_app(web):
        static = web.StaticFileHandler
        root, outside = str(tree / "root"), str(tree / "outside")
        default = {"default_filename": "index.html"}
        both = [root, outside]

        class Urls(web.RequestHandler):
            def get(self, path):
                version = self.get_argument("version", "1") == "1"
                host = self.get_argument("host", None)
                self.include_host = self.get_argument("attribute", "") == "1"
                include_host = None if host is None else host == "1"
                self.write(self.static_url(path, include_host, include_version=version))

        return web.Application(
            [
                ("/s/(.*)", static, {"path": root}),
                ("/slash/(.*)", static, {"path": root + "/"}),
                ("/d/(.*)", static, {"path": root} | default),
                ("/sub()", static, {"path": root + "/sub"} | default),
                ("/+evil/(.*)", static, {"path": root} | default),
                ("/root/(.*)", static, {"path": "/"}),
                ("/linked/(.*)", static, {"path": str(tree / "current")}),
                ("/one/(.*)", static, {"path": root, "allowed_symlink_directory": outside} | default),
                ("/many/(.*)", static, {"path": root, "allowed_symlink_directory": both} | default),
                ("/named/(?P<path>.*)", static, {"path": root}),
                ("/missing/(.*)", static, {"path": str(tree / "not there")}),
                ("/url/(.*)", Urls),
            ],
            static_path=root,
            static_handler_args={"default_filename": "index.html"},
        )

    return make_app


@pytest.fixture(scope="module")
def ask(tree):
    with pair(make_app_of(tree)) as both:
        yield both


PATHS = """
/s/digits.txt /s/none.bin /s/page.html /s/archive.tar.gz /s/packed.bz2 /s/noext /s/with%20space.css
/s/%C3%BC.js /s/..dots /s/sub/index.html /s/digits.txt?v=1 /s/digits.txt?v= /s/digits.txt?other=1
/s/digits.txt/ /s/sub /s/sub/ /s/ /s /s/missing /s/missing/deep /s/../root_not /s/../outside/secret.txt
/s/%2e%2e/outside/secret.txt /s/..%2foutside%2fsecret.txt /s/sub/../digits.txt /s/sub/../../root_not
/s/sub%2findex.html /s//etc/passwd /s/%2fetc%2fpasswd /s//digits.txt /s/./digits.txt /s/sub//index.html
/s/..%5coutside /s/.. /s/../root /s/../root/ /s/../root/digits.txt /s/%ff /s/%c3 /s/in.txt /s/out.txt
/s/outdir /s/outdir/secret.txt /s/nowhere /s/loop /s/linked/index.html /s/device /s/fifo /s/outdir/deep
/s/outdir/missing /s/%252e%252e /s/digits.txt%0a /s/%0d%0aX:y /slash/digits.txt /slash/../root_not /d/
/d/sub /d/sub/ /d/sub?a=b /d/empty /d/empty/ /d/linked /d/linked/ /d/outdir /d/outdir/ /d/outdir/deep
/d/nowhere /d/outdir/missing /d/missing /d/digits.txt/ /sub /sub/ //evil/sub //evil/sub/ ///evil/sub
/linked/digits.txt /linked/in.txt /linked/out.txt /linked/../outside/secret.txt /one/digits.txt /one/out.txt
/one/outdir/secret.txt /one/outdir/deep /one/outdir/deep/ /one/in.txt /one/empty/ /many/digits.txt
/many/out.txt /many/outdir/deep/ /many/device /many/../outside/secret.txt /many/empty/ /named/digits.txt
/missing/digits.txt /missing/ /static/digits.txt /static/sub /static/sub/ /robots.txt /favicon.ico
/url/digits.txt /url/digits.txt?version=0 /url/missing /url/../root_not /url/out.txt /url/sub /url/fifo
/url/digits.txt?host=1 /url/digits.txt?host=0 /url/digits.txt?attribute=1 /url/digits.txt?host=0&attribute=1
""".split()


def without_times(outcome):
    """Expires is ten years from now, which may be the next second for the other."""
    return {
        side: (re.sub(rb"\r\nExpires: [^\r]+", b"\r\nExpires: -", answer), log)
        for side, (answer, log) in outcome.items()
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_path(ask, path, method):
    same(without_times(ask(request(path, method))))


def test_path_from_the_root_of_all(ask, tree):
    for name in ("root/digits.txt", "outside/secret.txt", "root/out.txt", "root", "root/fifo"):
        same(ask(request(f"/root{tree}/{name}")))
        same(ask(request(f"/root/{tree}/{name}")))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(ask, method):
    same(ask(request("/s/digits.txt", method, headers=["Content-Length: 0"])))


RANGES = """
0-3 3- 0- -3 -0 -10 -11 -100 9- 10- 0-0 9-9 9-10 0-9 0-100 5-100 5-4 10-20 3 - --3 3--1 0--1 a-b 0-1,3-4 0-3-5
1_0-2 +1-2 0x1-2 99999999999999999999999-
""".split()
UNITS = [f"bytes={each}" for each in RANGES]
UNITS += ["bytes", "bytes=", "items=0-3", "BYTES=0-3", " bytes = 1 - 3 "]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("asked", [*UNITS, "bytes=" + "9" * 4000 + "-", "bytes=" + "9" * 5000 + "-"])
def test_range(ask, asked, method):
    for path in ("/s/digits.txt", "/s/none.bin", "/s/digits.txt?v=1"):
        same(without_times(ask(request(path, method, [f"Range: {asked}"]))))


DATES = {
    "then": format_timestamp(TIME),
    "before": format_timestamp(TIME - 1),
    "after": format_timestamp(TIME + 1),
    "no zone": format_timestamp(TIME).replace(" GMT", ""),
    "no zone, before": format_timestamp(TIME - 1).replace(" GMT", ""),
    "zone": "Sun, 13 Sep 2020 14:26:40 +0200",
    "zone, before": "Sun, 13 Sep 2020 14:26:39 +0200",
    "unknown zone": "Sun, 13 Sep 2020 12:26:40 -0000",
    "before 1970": "Fri, 01 Jan 1960 00:00:00 GMT",
    "year 1": "Mon, 01 Jan 0001 00:00:00 +2300",
    "far": "Fri, 31 Dec 9999 23:59:59 GMT",
    "two digits": "Sunday, 13-Sep-20 12:26:40 GMT",
    "asctime": "Sun Sep 13 12:26:40 2020",
    "broken": "nonsense",
    "empty": "",
    "day 32": "Sun, 32 Sep 2020 12:26:40 GMT",
    "digits": "1600000000",
    "huge": "Sun, 13 Sep 99999999999 12:26:40 GMT",
}


@pytest.mark.parametrize("kind", DATES)
def test_if_modified_since(ask, kind):
    headers = [f"If-Modified-Since: {DATES[kind]}"]
    for method in ("GET", "HEAD"):
        same(ask(request("/s/digits.txt", method, headers)))
        same(ask(request("/s/digits.txt", method, [*headers, "Range: bytes=1-2"])))
        same(ask(request("/s/digits.txt", method, [*headers, 'If-None-Match: "other"'])))
        same(ask(request("/s/digits.txt", method, [*headers, "If-None-Match:"])))


def test_if_none_match(ask):
    etag = re.search(rb"Etag: (\S+)", ask(request("/s/digits.txt"))["ours"][0])[1].decode()
    for value in (etag, "W/" + etag, "*", f'"a", {etag}', f'"a",W/{etag}', '"a"', etag.strip('"'), etag[:-1]):
        for method in ("GET", "HEAD"):
            for more in ([], ["Range: bytes=1-2"], ["Range: bytes=99-"], ["If-Modified-Since: nonsense"]):
                same(ask(request("/s/digits.txt", method, [f"If-None-Match: {value}", *more])))
    assert b"304" in ask(request("/s/digits.txt", headers=[f"If-None-Match: {etag}"]))["ours"][0]


def test_pipelined(ask):
    paths = ["/s/large.bin", "/s/digits.txt", "/s/missing", "/s/page.html", "/s/large.bin", "/s/none.bin"]
    data = b"".join(request(path, close=False) for path in paths)
    data += request("/s/large.bin", "HEAD", close=False) + request("/s/digits.txt")
    outcome = {side: re.sub(rb"Date: [^\r]+", b"", answer) for side, (answer, _) in ask(data).items()}
    assert outcome["ours"] == outcome["stock"]


def test_http_1_0(ask):
    for path in ("/s/digits.txt", "/s/large.bin", "/s/none.bin", "/s/missing"):
        same(ask(request(path, version="1.0")))
        first = request(path, version="1.0", headers=["Connection: keep-alive"], close=False)
        same(ask(first + request(path)))


# ---- the other ways through a server ----


@contextlib.contextmanager
def another_way(way, app, certificates):
    if way == "tls":
        server = LiveServer(app, ssl_options=server_context(certificates))
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    else:
        server = LiveServer(app, make=lambda: Overridden(app))

    def exchange(data):
        with server.connect() as client:
            if way == "tls":
                client.sock = trust.wrap_socket(client.sock)
            return without_date(client.send(data).rest())

    try:
        yield exchange
    finally:
        server.stop()


@pytest.mark.parametrize("way", ["tls", "overridden"])
def test_other_ways(ask, tree, way, certificates):
    paths = [path for path in PATHS if "=1" not in path or "?v" in path]  # with a scheme in them
    asked = [request(path, method) for path in paths for method in ("GET", "HEAD")]
    asked += [request("/s/digits.txt", headers=[f"Range: {each}"]) for each in UNITS]
    asked += [request("/s/large.bin"), request("/s/large.bin", headers=["Range: bytes=70000-300000"])]
    with another_way(way, make_app_of(tree)(OURS.web), certificates) as exchange:
        for data in asked:
            answers = without_times({"other": (exchange(data), 0), "native": (ask(data)["ours"][0], 0)})
            assert answers["other"] == answers["native"]


# ---- what differs from stock ----


def test_nul_is_not_found(ask, tree):
    """Stock Tornado fails with 500 on the versions of Python whose file functions raise ValueError."""
    paths = ["/s/%00", "/s/digits.txt%00", "/s/digits.txt%00.html", "/s/%00/../digits.txt%00", "/d/sub%00/"]
    for path in paths:
        answer, log = ask(request(path))["ours"]
        assert answer.startswith(b"HTTP/1.1 404 "), path
        assert log == [("tornado.access", "WARNING", log[0][2], None)]
    answer, log = ask(request("/url/%00"))["ours"]
    assert body(answer) == b"/static/\0"


IF_RANGE = {
    "the etag": ("{etag}", 206),
    "another etag": ('"other"', 200),
    "weak": ("W/{etag}", 200),
    "without quotes": ("{bare}", 200),
    "a list": ("{etag}, {etag}", 200),
    "star": ("*", 200),
    "the date": (DATES["then"], 206),
    "an earlier date": (DATES["before"], 200),
    "a later date": (DATES["after"], 200),
    "broken": ("nonsense", 200),
    "empty": ("", 200),
}


@pytest.mark.parametrize("kind", IF_RANGE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_range(ask, kind, method):
    """A part goes only to a client that has one of the same (RFC 9110, section 13.1.5). Stock ignores it."""
    value, status = IF_RANGE[kind]
    etag = re.search(rb"Etag: (\S+)", ask(request("/s/digits.txt"))["ours"][0])[1].decode()
    header = f"If-Range: {value.format(etag=etag, bare=etag.strip(chr(34)))}"
    answer = ask(request("/s/digits.txt", method, [header, "Range: bytes=2-4"]))["ours"][0]
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if method == "GET":
        assert body(answer) == (b"234" if status == 206 else DIGITS)
    same(ask(request("/s/digits.txt", method, [header])))
    answer = ask(request("/s/digits.txt", method, [header, "Range: bytes=99-"]))["ours"][0]
    assert answer.startswith(b"HTTP/1.1 %d " % (416 if status == 206 else 200))


# ---- settings ----


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_settings(tree, implementation):
    web = implementation.web
    arguments = {}

    class Mine(web.StaticFileHandler):
        def set_extra_headers(self, path):
            self.set_header("X-Mine", path)

    class Urls(web.RequestHandler):
        def get(self):
            self.write(self.static_url("digits.txt", include_version=False))

    settings = {"static_path": str(tree / "root"), "static_url_prefix": "/a+b/", "static_handler_class": Mine}
    app = web.Application([("/(.*)", web.ErrorHandler, {"status_code": 410}), ("/url", Urls)], **settings)
    assert [rule.matcher.regex.pattern for rule in app.wildcard_router.rules] == [
        *(r"/(robots\.txt)$", r"/(favicon\.ico)$", r"/a\+b/(.*)$", "/(.*)$", "/url$")
    ]
    web.Application(None, static_handler_args=arguments, **settings)
    assert arguments == {"path": settings["static_path"]}
    with serving(app, implementation) as server:
        answer = server.exchange(request("/a+b/digits.txt"))
        assert body(answer) == DIGITS and b"\r\nX-Mine: digits.txt\r\n" in answer
        assert server.exchange(request("/aab/digits.txt")).startswith(b"HTTP/1.1 410 ")


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_static_url_needs_the_setting(implementation):
    class Urls(implementation.web.RequestHandler):
        def get(self):
            try:
                self.static_url("x")
            except Exception as e:
                self.write(str(e))

    with serving(implementation.web.Application([("/", Urls)]), implementation) as server:
        assert body(server.exchange(request())) == (
            b"You must define the 'static_path' setting in your application to use static_url"
        )


def test_cache_headers(tree):
    with serving(make_app_of(tree)(OURS.web)) as server:
        answer = server.exchange(request("/s/digits.txt?v=1"))
    assert b"\r\nCache-Control: max-age=315360000\r\n" in answer
    expires = re.search(rb"\r\nExpires: ([^\r]+)", answer)[1].decode()
    assert expires[12:16] in {str(time.gmtime(time.time() + shift).tm_year + 10) for shift in (-3e6, 3e6)} | {
        str(time.gmtime().tm_year + 9)
    }
