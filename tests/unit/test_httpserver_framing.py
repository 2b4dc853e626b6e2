"""What an application says about the connection itself: Connection and Transfer-Encoding of its own.

Both ways through a server, and handlers, on raw sockets.
"""

import pytest

from support.live_http import Notified, both_ways, serving
from support.web_servers import collecting, request
from tornado_c import web
from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders, ResponseStartLine

WAYS = ["native", "delegate"]
BODY = b"0123456789"


def server_of(way, answer):
    """answer(connection) for each request."""
    native, delegate = both_ways(answer)
    return delegate if way == "delegate" else native


def get(method="GET", version="1.1", *headers):
    lines = [f"{method} / HTTP/{version}", "Host: test", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Received:
    """An answer, taken apart, and what came behind it."""

    def __init__(self, data):
        head, _, rest = data.partition(b"\r\n\r\n")
        self.headers = HTTPHeaders.parse("\r\n".join(head.decode().split("\r\n")[1:]))
        if self.headers.get("Transfer-Encoding", "").endswith("chunked"):
            self.body, self.rest = unchunk(rest), b""
        else:
            length = int(self.headers.get("Content-Length", len(rest)))
            self.body, self.rest = rest[:length], rest[length:]


def exchange(way, answer, data):
    """What comes up to the end of the connection."""
    with serving(server_of(way, answer)) as server, server.connect() as client:
        return client.send(data).rest()


def writes(headers, status=200, pieces=(BODY,)):
    def answer(connection):
        connection.write_headers(ResponseStartLine("", status, "Reason"), HTTPHeaders(headers))
        for piece in pieces:
            connection.write(piece)
        connection.finish()

    return answer


LENGTH = {"Content-Length": str(len(BODY))}


@pytest.mark.parametrize("value", ["close", "Close", "x, close", "close , x", ",CLOSE"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("way", WAYS)
def test_close_closes(way, version, value):
    """The client did not ask for it; two requests are sent, one is answered."""
    keep = ["Connection: keep-alive"] if version == "1.0" else []
    data = exchange(way, writes(LENGTH | {"Connection": value}), get("GET", version, *keep) * 2)
    answer = Received(data)
    assert (answer.body, answer.rest, answer.headers.get_list("Connection")) == (BODY, b"", [value])


@pytest.mark.parametrize("value", ["keep-alive", "closed", "x", "", "close-not", "Upgrade"])
@pytest.mark.parametrize("way", WAYS)
def test_other_options_do_not_close(way, value):
    with (
        serving(server_of(way, writes(LENGTH | {"Connection": value}))) as server,
        server.connect() as client,
    ):
        for _ in range(3):
            assert client.send(get()).until(BODY).endswith(BODY)


@pytest.mark.parametrize("way", WAYS)
def test_close_without_a_length(way):
    answer = Received(exchange(way, writes({"Connection": "close"}), get() * 2))
    assert (answer.body, answer.rest) == (BODY, b"")
    assert answer.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize("way", WAYS)
def test_close_of_an_interim_response_does_not_count(way):
    def answer(connection):
        connection.write_headers(
            ResponseStartLine("", 103, "Early Hints"), HTTPHeaders({"Connection": "close"})
        )
        writes(LENGTH)(connection)

    with serving(server_of(way, answer)) as server, server.connect() as client:
        for _ in range(2):
            assert client.send(get()).until(BODY).count(b"HTTP/1.1") == 2


ENCODINGS = {
    # what the application says, and how: (Transfer-Encoding of the answer, whether it has a Content-Length)
    "chunked": ({"Transfer-Encoding": "chunked"}, "chunked", False),
    "case": ({"Transfer-Encoding": "Chunked"}, "chunked", False),
    "with a length": ({"Transfer-Encoding": "chunked"} | LENGTH, None, True),
    "identity": ({"Transfer-Encoding": "identity"}, "chunked", False),
    "identity with a length": ({"Transfer-Encoding": "identity"} | LENGTH, None, True),
    "empty": ({"Transfer-Encoding": ""}, "chunked", False),
    "own coding": ({"Transfer-Encoding": "x-own"}, "x-own, chunked", False),
    "own coding, chunked": ({"Transfer-Encoding": "x-own, chunked"}, "x-own, chunked", False),
    "own coding with a length": ({"Transfer-Encoding": "x-own"} | LENGTH, "x-own, chunked", False),
    "chunked twice": ({"Transfer-Encoding": "chunked, chunked"}, "chunked", False),
}


def unchunk(data):
    """The contents of a body in chunks, which must end with the data."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) :]
        assert data.startswith(b"\r\n")
        data = data[2:]
        if int(size, 16) == 0:
            assert data == b""
            return body


def check(data, encoding, has_length):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    found = [line.partition(": ")[2] for line in lines if line.startswith("Transfer-Encoding: ")]
    assert found == ([] if encoding is None else [encoding])
    assert any(line.startswith("Content-Length: ") for line in lines) is has_length
    assert (unchunk(body) if encoding else body) == BODY


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("way", WAYS)
def test_transfer_encoding_frames_once(way, name):
    headers, encoding, has_length = ENCODINGS[name]
    data = exchange(way, writes(headers, pieces=(BODY[:3], BODY[3:])), get("GET", "1.1", "Connection: close"))
    check(data, encoding, has_length)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("flushes", [False, True])
def test_transfer_encoding_of_a_handler(name, flushes):
    """A handler that sends all at once has a Content-Length, which only a coding of its own takes away."""
    headers, encoding, has_length = ENCODINGS[name]

    class Handler(web.RequestHandler):
        def get(self):
            for pair in headers.items():
                self.set_header(*pair)
            self.write(BODY[:3])
            if flushes:
                self.flush()
            self.write(BODY[3:])

    with collecting():
        with serving(web.Application([("/", Handler)])) as server:
            data = server.exchange(request("/"))
    if not flushes and "x-own" not in str(encoding):
        encoding, has_length = None, True
    check(data, encoding, has_length)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("way", WAYS)
def test_http10_has_no_transfer_encoding(way, name):
    headers, _, _ = ENCODINGS[name]
    answer = Received(exchange(way, writes(headers), get("GET", "1.0")))
    assert "Transfer-Encoding" not in answer.headers
    assert (answer.body, answer.rest) == (BODY, b"")


@pytest.mark.parametrize("status", [204, 304, 200])
@pytest.mark.parametrize("way", WAYS)
def test_responses_without_a_body(way, status):
    """204 must not have the header at all; with 304 and HEAD it says what a GET would bring."""
    method = "HEAD" if status == 200 else "GET"
    headers = {"Transfer-Encoding": "chunked"}
    data = exchange(way, writes(headers, status, ()), get(method, "1.1", "Connection: close"))
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == b""
    assert (b"Transfer-Encoding: chunked" in head) == (status != 204)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("way", WAYS)
def test_head_has_the_transfer_encoding_of_get(way, name):
    headers, encoding, has_length = ENCODINGS[name]
    data = exchange(way, writes(headers, 200, ()), get("HEAD", "1.1", "Connection: close"))
    answer = Received(data.replace(b"\r\n\r\n", b"\r\n\r\n0\r\n\r\n") if encoding else data)
    assert answer.headers.get_list("Transfer-Encoding") == ([] if encoding is None else [encoding])
    assert ("Content-Length" in answer.headers) is has_length


@pytest.mark.parametrize("value", [5, b"chunked", None])
@pytest.mark.parametrize("way", WAYS)
def test_transfer_encoding_that_is_no_text(way, value):
    """The handler's error; nothing is sent."""

    def answer(connection):
        headers = HTTPHeaders()
        headers["Transfer-Encoding"] = value
        connection.write_headers(ResponseStartLine("", 200, "OK"), headers, BODY)
        connection.finish()

    assert exchange(way, answer, get()) == b""


# ---- cookies ----

COOKIES = [
    (["Cookie: a=1", "Cookie: b=2"], {"a": "1", "b": "2"}),
    (["Cookie: a=1; b=2", "cookie: c=3"], {"a": "1", "b": "2", "c": "3"}),
    (['Cookie: a="x,y"', "Cookie: b=2"], {"a": "x,y", "b": "2"}),
    (["Cookie: a=1", "Cookie: a=2"], {"a": "2"}),
    (["Cookie: a=1,b=2"], {"a": "1,b=2"}),
    (["Cookie: a=1;", "Cookie: ", "Cookie: b=2"], {"a": "1", "b": "2"}),
]


@pytest.mark.parametrize("number", range(len(COOKIES)))
@pytest.mark.parametrize("way", WAYS)
def test_several_cookie_lines_are_one_list(way, number):
    lines, cookies = COOKIES[number]
    seen = []

    class Handler(web.RequestHandler):
        def get(self):
            seen.append({name: morsel.value for name, morsel in self.request.cookies.items()})
            seen.append({name: self.get_cookie(name) for name in cookies})
            seen.append(self.request.headers.get_list("Cookie"))

    class Application(web.Application):
        if way == "delegate":

            def start_request(self, server_conn, request_conn):
                return super().start_request(server_conn, request_conn)

    with collecting():
        with serving(Application([("/", Handler)])) as server:
            server.exchange(request("/", headers=lines))
    assert seen == [cookies, cookies, [line.partition(":")[2].strip() for line in lines]]


def echo(request):
    request.connection.write_headers(
        ResponseStartLine("", 200, "OK"),
        HTTPHeaders({"Content-Length": str(len(request.body))}),
        request.body,
    )
    request.connection.finish()


CHUNKED_1_0 = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("make", [HTTPServer, Notified])
def test_chunked_request_in_http10_ends_its_connection(make):
    """It is served, without a promise, and what comes behind it is not (RFC 9112, section 6.1)."""
    data = CHUNKED_1_0 + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    with serving(None, make=lambda: make(echo)) as server, server.connect() as client:
        answer = Received(client.send(data + data).rest())
    assert (answer.body, answer.rest) == (b"hello", b"")
    assert "Connection" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n"],
)
@pytest.mark.parametrize("make", [HTTPServer, Notified])
def test_chunked_request_in_http10_must_be_plain(make, headers):
    """What two servers could read differently is refused, as in HTTP/1.1."""
    data = CHUNKED_1_0 + headers + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    with serving(None, make=lambda: make(echo)) as server, server.connect() as client:
        assert client.send(data).rest() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
