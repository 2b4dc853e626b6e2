"""What a transform may give: anything bytes-like, as on stock Tornado; the rest is the handler's error."""

import array

import pytest

from support.implementations import OURS
from support.live_http import serving
from support.web_servers import collecting, pair, request
from tornado_c import httputil

BODY = b"0123456789" * 40


def make_app(change, flushes=False):
    def make(web):
        class Transform:
            def __init__(self, request):
                pass

            def transform_first_chunk(self, status, headers, chunk, finishing):
                headers["X-Transformed"] = "yes"
                return status, headers, change(chunk)

            def transform_chunk(self, chunk, finishing):
                return change(chunk)

        class Handler(web.RequestHandler):
            def get(self):
                if flushes:
                    self.write(BODY)
                    self.flush()
                self.write(BODY)

        return web.Application([("/", Handler)], transforms=[Transform])

    return make


def ask_ours(make, data):
    """The answer and the log; stock Tornado would hang."""
    with collecting() as collector:
        with serving(make(OURS.web)) as server:
            return server.exchange(data), collector.take()


BYTES_LIKE = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "view of a view": lambda chunk: memoryview(bytearray(chunk)).toreadonly(),
    "subclass": type("Sub", (bytes,), {}),
    "array": lambda chunk: array.array("B", chunk),
}
RUBBISH = {
    "str": lambda chunk: chunk.decode(),
    "int": lambda chunk: 400,
    "list": list,
    "tuple": tuple,
    "object": lambda chunk: object(),
    "None later": lambda chunk: None if chunk else 5,
    "strided view": lambda chunk: [memoryview(chunk)[::2]],
}


@pytest.mark.parametrize("flushes", [False, True])
@pytest.mark.parametrize("kind", BYTES_LIKE)
def test_anything_bytes_like_is_sent(kind, flushes):
    with pair(make_app(BYTES_LIKE[kind], flushes)) as ask:
        outcome = ask(request("/"))
    assert outcome["ours"] == outcome["stock"]
    assert BODY in outcome["ours"][0]


@pytest.mark.parametrize("kind", [kind for kind in RUBBISH if kind != "None later"])
def test_rubbish_becomes_a_500(kind):
    answer, log = ask_ours(make_app(RUBBISH[kind]), request("/"))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert answer.count(b"HTTP/1.1") == 1 and b"X-Transformed" not in answer
    assert ("tornado.application", "TypeError") in {(line[0], line[3]) for line in log}


@pytest.mark.parametrize("kind", RUBBISH)
def test_rubbish_behind_the_head_ends_the_response(kind):
    def change(chunk):
        seen.append(chunk)
        return chunk if len(seen) == 1 else RUBBISH[kind](chunk)

    seen = []
    answer, log = ask_ours(make_app(change, flushes=True), request("/", close=False))
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(BODY + b"\r\n")  # no last chunk
    assert ("tornado.application", "TypeError") in {(line[0], line[3]) for line in log}


def test_nothing_instead_of_the_first_chunk():
    with pair(make_app(lambda chunk: None)) as ask:
        outcome = ask(request("/nothing", "HEAD"))
    assert outcome["ours"] == outcome["stock"]
    assert outcome["ours"][0].startswith(b"HTTP/1.1 404")


def test_transform_that_raises():
    """Nothing was sent yet: the client gets an error page, without the transform."""

    def change(chunk):
        raise ValueError("broken")

    answer, log = ask_ours(make_app(change), request("/"))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert "ValueError" in {line[3] for line in log}


@pytest.mark.parametrize("parts", [(200,), (200, None), (200, None, b"", 1), 5, None, "abc"])
def test_wrong_parts(parts):
    def make(web):
        class Transform:
            def __init__(self, request):
                pass

            def transform_first_chunk(self, *args):
                return parts

        class Handler(web.RequestHandler):
            def get(self):
                self.write("x")

        return web.Application([("/", Handler)], transforms=[Transform])

    answer, _ = ask_ours(make, request("/"))
    assert answer.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("kind", ["list", "int", "object", "tuple"])
@pytest.mark.parametrize("method", ["raw", "write", "write_headers"])
def test_connection_takes_bytes_like_only(kind, method):
    """request.write(), connection.write() and write_headers() with a chunk."""
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + BODY
    told = []

    def make(web):
        def callback(request):
            line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
            call = {
                "raw": lambda chunk: request.write(chunk),
                "write": lambda chunk: request.connection.write(chunk),
                "write_headers": lambda chunk: request.connection.write_headers(
                    line, httputil.HTTPHeaders({"Content-Length": "400"}), chunk
                ),
            }[method]
            try:
                call(RUBBISH[kind](BODY))
            except TypeError as e:
                told.append(str(e))
            call(bytearray(BODY if method == "write_headers" else good))
            request.finish()

        return callback

    answer, _ = ask_ours(make, request("/"))
    assert answer.endswith(BODY)
    assert len(told) == 1 and "bytes-like" in told[0]
