"""Compression of responses, beside stock Tornado: the same heads, and bodies that decode to the same."""

import re
import zlib

import pytest

from support.implementations import BOTH, OURS
from support.live_http import LiveServer, Overridden, serving
from support.web_servers import body, pair, request

LONG = b"all work and no play " * 200
ACCEPT = "Accept-Encoding: gzip"
TYPES = """
text/html text/plain;charset=utf-8 text/anything application/json application/javascript application/xml
application/json;charset=utf-8 image/svg+xml image/png application/octet-stream Text/HTML text
""".split()


def make_app_with(**settings):
    def make_app(web):
        class Plain(web.RequestHandler):
            def get(self, size):
                for name in ("Content-Type", "Vary", "Content-Encoding", "Content-Length"):
                    value = self.get_argument(name, None)
                    if value is not None:
                        self.set_header(name, value)
                self.set_status(int(self.get_argument("status", "200")))
                if size != "0":
                    self.write(LONG[: int(size)])

            head = get

        class Flushing(web.RequestHandler):
            async def get(self):
                if self.get_argument("length", None):
                    self.set_header("Content-Length", 3000)
                if self.get_argument("early", None):
                    await self.flush()
                for at in range(0, 3000, 1000):
                    self.write(LONG[at : at + 1000])
                    await self.flush()
                if self.get_argument("fail", None):
                    raise ValueError("mine")

        class Failing(web.RequestHandler):
            def get(self):
                self.write(LONG)
                self.set_header("X-Dropped", "yes")
                raise web.HTTPError(int(self.get_argument("status", "500")))

            def write_error(self, status_code, **kwargs):
                self.finish(LONG * 2)

        class Twice(web.RequestHandler):
            def get(self):
                self.add_header("Vary", "Cookie")
                self.add_header("Vary", "Accept")
                self.write(LONG)

        rules = [("/plain/(.*)", Plain), ("/flushing", Flushing), ("/failing", Failing), ("/twice", Twice)]
        return web.Application(rules, **settings)

    return make_app


make_app = make_app_with(compress_response=True)


def decoded(answer):
    """The head of an answer without Date and the compressed length, and the body as it was meant."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nDate: [^\r]+", b"", head)
    if b"\r\nTransfer-Encoding: chunked" in head:
        pieces = []
        while rest and not rest.startswith(b"0\r\n"):
            size, _, rest = rest.partition(b"\r\n")
            pieces.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        rest = b"".join(pieces)
    if b"\r\nContent-Encoding: gzip\r\n" in head + b"\r\n" and rest:
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        assert length is None or int(length[1]) == len(rest)
        head = re.sub(rb"\r\nContent-Length: \d+", b"\r\nContent-Length: *", head)
        decoder = zlib.decompressobj(31)
        rest = decoder.decompress(rest)
        assert not decoder.unused_data
        head += b"" if decoder.eof else b" (unfinished)"
    return head, rest


def check(ask, *args, **kwargs):
    """What both sent, decoded."""
    outcome = ask(request(*args, **kwargs))
    ours, stock = decoded(outcome["ours"][0]), decoded(outcome["stock"][0])
    assert ours == stock
    assert outcome["ours"][1] == outcome["stock"][1]
    return ours


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", TYPES)
def test_type(ask, kind, method):
    head, got = check(ask, f"/plain/2000?Content-Type={kind}", method, [ACCEPT])
    assert method == "HEAD" or got == LONG[:2000]
    check(ask, f"/plain/2000?Content-Type={kind}", method)


def test_size(ask):
    for size in (0, 1, 1023, 1024, 4000):
        for method in ("GET", "HEAD"):
            head, _ = check(ask, f"/plain/{size}", method, [ACCEPT])
            assert (b"Content-Encoding: gzip" in head) == (size >= 1024)


def test_vary(ask):
    for query in ("", "?Vary=Cookie", "?Vary=*", "?Vary=Accept-Encoding", "twice"):
        for headers in ([], [ACCEPT]):
            head, _ = check(ask, "/twice" if query == "twice" else "/plain/5" + query, headers=headers)
            assert b"Accept-Encoding" in re.search(rb"\r\nVary: ([^\r]+)", head)[1]


def test_what_is_encoded_already(ask):
    for coding in ("gzip", "br", "identity"):
        outcome = ask(request(f"/plain/2000?Content-Encoding={coding}", headers=[ACCEPT]))
        assert outcome["ours"] == outcome["stock"] and body(outcome["ours"][0]) == LONG[:2000]


def test_declared_length(ask):
    head, got = check(ask, "/plain/2000?Content-Length=2000", headers=[ACCEPT])
    assert got == LONG[:2000]


@pytest.mark.parametrize("status", [201, 204, 206, 304, 404, 500])
def test_status(ask, status):
    size = 0 if status in (204, 304) else 2000
    for method in ("GET", "HEAD"):
        check(ask, f"/plain/{size}?status={status}", method, [ACCEPT])


def test_not_modified(ask):
    etag = re.search(rb"Etag: (\S+)", check(ask, "/plain/2000", headers=[ACCEPT])[0])[1].decode()
    for headers in ([ACCEPT], []):
        head, got = check(ask, "/plain/2000", headers=[*headers, f"If-None-Match: {etag}"])
        assert head.startswith(b"HTTP/1.1 304 ") and not got


@pytest.mark.parametrize("query", ["", "?length=1", "?early=1", "?early=1&length=1"])
def test_flushes(ask, query):
    for version in ("1.1", "1.0"):
        head, got = check(ask, "/flushing" + query, headers=[ACCEPT], version=version)
        assert got == LONG[:3000] and b"gzip" in head
        head, got = check(ask, "/flushing" + query, version=version)
        assert got == LONG[:3000] and b"gzip" not in head


def test_each_flush_can_be_decoded():
    """A client sees what was flushed, before anything follows."""
    gates = []

    class Slow(OURS.web.RequestHandler):
        async def get(self):
            for piece in (b"first", b"second"):
                self.write(piece)
                await self.flush()
                gates.append(OURS.ioloop.IOLoop.current().asyncio_loop.create_future())
                await gates[-1]

    with serving(OURS.web.Application([("/", Slow)], gzip=True)) as server:
        with server.connect() as client:
            client.send(request("/", headers=[ACCEPT]))
            client.until(b"\r\n\r\n")
            decoder = zlib.decompressobj(31)
            for piece in (b"first", b"second"):
                size = int(client.until(b"\r\n"), 16)
                assert decoder.decompress(client.exactly(size + 2)[:-2]) == piece
                server.call(lambda: gates[-1].set_result(None))
            size = int(client.until(b"\r\n"), 16)
            decoder.decompress(client.exactly(size + 2)[:-2])
            assert decoder.eof


def test_failures(ask):
    for path in ("/failing", "/failing?status=404", "/missing"):
        check(ask, path, headers=[ACCEPT])
        check(ask, path)
    ours = ask(request("/flushing?fail=1", headers=[ACCEPT]))["ours"][0]
    head, got = decoded(ours)
    assert got == LONG[:3000] and head.endswith(b" (unfinished)") and not ours.endswith(b"0\r\n\r\n")


ACCEPTED = {
    "gzip": True,
    "deflate, gzip;q=1.0, *;q=0.5": True,
    "gzip;q=0.001": True,
    "x-gzip": True,
    "gzip ; q=1": True,
    "br,gzip": True,
    "identity": False,
    "*": False,
    "": False,
}
REFUSED = ["gzip;q=0", "gzip;q=0.000", "gzip ; q = 0", "br, gzip;q=0, *", "gzip;Q=0", "x-gzip;q=0"]


@pytest.mark.parametrize("value", ACCEPTED)
def test_accept_encoding(ask, value):
    head, _ = check(ask, "/plain/2000", headers=[f"Accept-Encoding: {value}"])
    assert (b"Content-Encoding: gzip" in head) == ACCEPTED[value]


@pytest.mark.parametrize("value", REFUSED)
def test_weight_of_nothing_is_honoured(ask, value):
    """Stock Tornado sends gzip to whoever mentions it."""
    outcome = ask(request("/plain/2000", headers=[f"Accept-Encoding: {value}"]))
    assert body(outcome["ours"][0]) == LONG[:2000] and b"Vary: Accept-Encoding" in outcome["ours"][0]
    assert b"Content-Encoding: gzip" in outcome["stock"][0]


# ---- subclasses and settings ----


@pytest.mark.parametrize("settings", [{}, {"gzip": False}, {"transforms": [], "gzip": True}], ids=repr)
def test_not_switched_on(settings):
    with pair(make_app_with(**settings)) as ask:
        head, got = check(ask, "/plain/2000", headers=[ACCEPT])
    assert b"Vary" not in head and got == LONG[:2000]


def test_subclass():
    def make(web):
        class Mine(web.GZipContentEncoding):
            CONTENT_TYPES = web.GZipContentEncoding.CONTENT_TYPES | {"image/png"}
            MIN_LENGTH = 10
            GZIP_LEVEL = 9

        return make_app_with(transforms=[Mine])(web)

    with pair(make) as ask:
        for path in ("/plain/9", "/plain/10", "/plain/10?Content-Type=image/png", "/plain/0", "/flushing"):
            check(ask, path, headers=[ACCEPT])


def test_no_minimum():
    """An empty body has no coding, whatever the subclass says."""

    class Mine(OURS.web.GZipContentEncoding):
        MIN_LENGTH = 0

    with serving(make_app_with(transforms=[Mine])(OURS.web)) as server:
        for path in ("/plain/0", "/plain/0?status=204", "/plain/0?status=304"):
            answer = server.exchange(request(path, headers=[ACCEPT]))
            assert b"Content-Encoding" not in answer and not body(answer)
        assert decoded(server.exchange(request("/plain/1", headers=[ACCEPT])))[1] == b"a"


def test_further_transforms():
    """What a transform behind it makes of the compressed bytes is sent."""

    def make(web):
        class Count(web.OutputTransform):
            def transform_first_chunk(self, status_code, headers, chunk, finishing):
                headers["X-Coding"] = headers.get("Content-Encoding", "none")
                return super().transform_first_chunk(status_code, headers, chunk, finishing)

        return make_app_with(transforms=[web.GZipContentEncoding, Count])(web)

    with pair(make) as ask:
        assert b"X-Coding: gzip" in check(ask, "/plain/2000", headers=[ACCEPT])[0]
        assert b"X-Coding: none" in check(ask, "/plain/2000")[0]


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_base_class(implementation):
    transform = implementation.web.OutputTransform(None)
    assert transform.transform_first_chunk(200, {}, b"x", True) == (200, {}, b"x")
    assert transform.transform_chunk(b"x", finishing=False) == b"x"
    assert implementation.web.GZipContentEncoding.CONTENT_TYPES == OURS.web.GZipContentEncoding.CONTENT_TYPES


# ---- static files ----


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text.txt").write_bytes(LONG * 100)
    (tmp_path / "short.txt").write_bytes(b"short")
    (tmp_path / "none.txt").write_bytes(b"")
    (tmp_path / "image.png").write_bytes(LONG * 100)
    return tmp_path


WANTED = [[], [ACCEPT], [ACCEPT, "Range: bytes=10-90000"], [ACCEPT, "Range: bytes=999999-"]]
STATIC = [
    *("/static/text.txt", "/static/short.txt", "/static/image.png", "/static/none.txt", "/static/missing"),
    "/static/text.txt?v=1",
]


def without_expires(head):
    return re.sub(rb"\r\nExpires: [^\r]+", b"", head)


@pytest.mark.parametrize("path", STATIC)
def test_static_files(folder, path):
    with pair(make_app_with(compress_response=True, static_path=str(folder))) as ask:
        for method in ("GET", "HEAD"):
            for headers in WANTED:
                outcome = ask(request(path, method, headers))
                ours, stock = decoded(outcome["ours"][0]), decoded(outcome["stock"][0])
                assert (without_expires(ours[0]), ours[1]) == (without_expires(stock[0]), stock[1])


def test_static_files_another_way(folder):
    app = make_app_with(compress_response=True, static_path=str(folder))(OURS.web)
    native, other = LiveServer(app), LiveServer(app, make=lambda: Overridden(app))
    try:
        for path in STATIC[:-1]:
            data = request(path, headers=[ACCEPT])
            assert decoded(native.exchange(data)) == decoded(other.exchange(data))
    finally:
        native.stop()
        other.stop()
