"""HTTPServerRequest as a live server makes it: attributes and methods of both generations, forms, bodies."""

import contextlib
import json
import warnings

import pytest

from support.implementations import BOTH
from support.live_http import both, headers_ok, raw_ok, serving, talk, wait_for
from tornado_c.httpserver import HTTPRequest, HTTPServer
from tornado_c.httputil import HTTPServerRequest


def describe(request):
    """Everything that a request says of itself, as JSON."""
    cookies = {name: morsel.value for name, morsel in request.cookies.items()}
    text = {
        name: {key: [v.decode("latin-1") for v in values] for key, values in getattr(request, name).items()}
        for name in ("arguments", "query_arguments", "body_arguments")
    }
    files = {
        name: [(f.filename, f.content_type, f.body.decode("latin-1")) for f in found]
        for name, found in request.files.items()
    }
    plain = ("method", "uri", "path", "query", "version", "remote_ip", "protocol", "host", "host_name")
    said = {name: getattr(request, name) for name in plain}
    said |= text | {"files": files, "cookies": cookies, "full_url": request.full_url()}
    said |= {"headers": sorted(request.headers.get_all()), "body": request.body.decode("latin-1")}
    types = {name: type(getattr(request, name)).__name__ for name in (*plain, "body", "headers")}
    return json.dumps(said | {"types": types}, sort_keys=True).encode()


def answer_description(request):
    headers_ok(request, describe(request))


HEADS = {
    "plain": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "query": b"GET /a/b%20c?x=1&x=2&y=%C3%A9&z=&=w&+q=a+b HTTP/1.1\r\nHost: Example.ORG:8080\r\n\r\n",
    "empty query": b"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n",
    "two marks": b"GET /a?b=1?c=2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute": b"GET http://other/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "own method": b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n",
    "1.0 no host": b"GET / HTTP/1.0\r\n\r\n",
    "1.0 empty host": b"GET / HTTP/1.0\r\nHost:\r\n\r\n",
    "1.1 empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "ipv6 host": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "host and port": b"GET / HTTP/1.1\r\nHost: WWW.Example.org:65536\r\n\r\n",
    "host with a long port": b"GET / HTTP/1.1\r\nHost: A:1234567890\r\n\r\n",
    "host without port": b"GET / HTTP/1.1\r\nHost: A.b:\r\n\r\n",
    "numeric host": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
    "latin-1 header": b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf\xe9\r\n\r\n",
    "repeated header": b"GET / HTTP/1.1\r\nHost: a\r\nx-a: 1\r\nX-A: 2\r\nX-a:\t 3 \r\n\r\n",
    "cookies": b'GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b="x y"; c; d=4\r\n\r\n',
    "bad cookie": b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ;;=; a[=1; b=2\r\n\r\n",
    "leading line": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "long head": b"GET /" + b"p" * 300 + b"?q=" + b"v" * 300 + b" HTTP/1.1\r\nHost: a\r\nX: " + b"h" * 3000 + b"\r\n\r\n",  # noqa: E501
    "body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "empty body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "body with GET": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "two equal lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",  # noqa: E501
    "form": b"POST /?a=0 HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"  # noqa: E501
    b"Content-Length: 21\r\n\r\na=1&b=%20x&a=2&c=&d=+",
    "empty form": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n",  # noqa: E501
    "form in capitals": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: Application/X-WWW-Form-Urlencoded\r\nContent-Length: 3\r\n\r\na=1",  # noqa: E501
    "not utf-8 form": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=%FF&b",  # noqa: E501
}  # fmt: skip

PARTS = (
    b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\nthere\r\n'  # noqa: E501
    b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="g.bin"\r\n\r\n\x00\xff\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n2\r\n'
    b"--xyz--\r\n"
)


def multipart(body, content_type=b"multipart/form-data; boundary=xyz"):
    head = b"POST /?a=0 HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (content_type, len(body)) + body


HEADS["multipart"] = multipart(PARTS)
HEADS["multipart, quoted boundary"] = multipart(PARTS, b'multipart/form-data; boundary="xyz"')


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_every_attribute_is_as_stocks(head, caplog):
    ours, stock = both(
        answer_description, head + b"GET /end HTTP/1.1\r\nHost: z\r\nConnection: close\r\n\r\n"
    )
    assert ours.count(b"HTTP/1.1 200 OK") == 2 or b"1.0" in head
    assert json_of(ours) == json_of(stock)
    assert ours == stock


def json_of(answers):
    return [
        json.loads(line)
        for line in answers.replace(b"}HTTP", b"}\nHTTP").splitlines()
        if line.startswith(b"{")
    ]


def test_form_that_is_sent_slowly():
    data = HEADS["multipart"].replace(b"Host: a", b"Host: a\r\nConnection: close")
    with serving(answer_description) as server:
        assert talk(server.address, data, pieces=1) == talk(server.address, data)


BAD_FORMS = {
    "no boundary": multipart(PARTS, b"multipart/form-data"),
    "with encoding": multipart(PARTS).replace(b"Host: a", b"Host: a\r\nContent-Encoding: gzip"),
    "cut": multipart(PARTS[:-6]),
    "no final boundary": multipart(PARTS.replace(b"--xyz--\r\n", b"")),
    "part without head end": multipart(b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n--xyz--\r\n'),
    "part without disposition": multipart(b"--xyz\r\nA: b\r\n\r\n1\r\n--xyz--\r\n"),
    "part that is no form-data": multipart(
        b'--xyz\r\nContent-Disposition: other; name="a"\r\n\r\n1\r\n--xyz--\r\n'
    ),
    "part without name": multipart(b"--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xyz--\r\n"),
    "too many arguments": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: %d\r\n\r\n" % (1001 * 4) + b"a=1&" * 1001,
    "long query": b"GET /?" + b"a=1&" * 1001 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD_FORMS.values(), ids=BAD_FORMS)
def test_malformed_form_never_reaches_the_callback(data, caplog):
    caplog.set_level("INFO", "tornado.general")
    called, seen = [], []

    def callback(request):
        called.append(request.uri[:20])
        raw_ok(request, b"fine")

    for implementation in BOTH:
        caplog.clear()
        with serving(callback, implementation) as server, server.connect() as client:
            answer = client.send(data).until(b"\r\n\r\n")
            if answer.startswith(b"HTTP/1.1 400"):
                answer += client.rest()
            seen.append(
                (
                    answer,
                    list(called),
                    [r.getMessage() for r in caplog.records if r.name == "tornado.general"],
                )
            )
            called.clear()
    assert seen[0] == seen[1]
    assert seen[0][0] == b"HTTP/1.1 400 Bad Request\r\n\r\n"


def test_methods_of_the_old_interface():
    seen = {}

    def callback(request):
        seen.update(
            isinstance_of_both=isinstance(request, HTTPRequest) and HTTPRequest is HTTPServerRequest,
            time=request.request_time(),
            http11=request.supports_http_1_1(),
            url=request.full_url(),
            text=repr(request),
            body=request.body,
        )
        message = f"You requested {request.uri}\n"
        request.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(message)}\r\n\r\n{message}")
        request.finish()
        seen["after"] = request.request_time()
        seen["again"] = request.request_time()

    with serving(callback) as server, server.connect() as client:
        client.send(b"GET /x%20y?q HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        assert client.answer() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n",
            b"You requested /x%20y?q\n",
        )
        wait_for(lambda: "again" in seen)  # the response goes before the callback ends
        assert seen["isinstance_of_both"] and seen["http11"] is True
        assert 0 <= seen["time"] <= seen["after"] == seen["again"]
        assert seen["url"] == "http://localhost:1/x%20y?q"
        assert seen["text"].startswith("HTTPServerRequest(protocol='http', host='localhost:1', method='GET'")
        client.send(b"GET / HTTP/1.0\r\n\r\n").rest()
        assert seen["http11"] is False and seen["body"] == b""


def test_str_is_written_as_utf8():
    def callback(request):
        request.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        request.write("grün €"[:4])
        request.write(bytearray("€"[:1].encode()))
        request.write(b"!")
        request.finish()

    with serving(callback) as server, server.connect() as client:
        assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1].decode() == "grün€!"


@pytest.mark.parametrize("wrong", [None, 5, object(), ["x"]], ids=lambda v: type(v).__name__)
def test_other_types_are_not_written(wrong):
    caught = []

    def callback(request):
        for write in (request.write, request.connection.write):
            try:
                write(wrong)
            except TypeError:
                caught.append(write)
        raw_ok(request, b"ok")

    with serving(callback) as server, server.connect() as client:
        assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1] == b"ok"
    assert len(caught) == 2


def test_callbacks_of_write_and_context_of_the_connection():
    order, seen = [], {}

    def callback(request):
        connection = request.connection
        seen.update(
            stream=connection.stream,
            address=connection.address,
            xheaders=connection.xheaders,
            no_keep_alive=connection.no_keep_alive,
            context=(connection.context.remote_ip, connection.context.protocol, str(connection.context)),
            callback=connection.request_callback,
            request=connection._request is request,
        )
        request.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", callback=lambda: order.append("sent")
        )
        order.append("written")
        request.connection.stream.io_loop.add_callback(request.finish)

    with serving(callback) as server, server.connect() as client:
        assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1] == b"hi"
        wait_for(lambda: len(order) == 2)
        assert order == ["written", "sent"]
        assert seen["address"] == client.sock.getsockname() and seen["request"]
        assert seen["context"] == ("127.0.0.1", "http", "127.0.0.1")
        assert (seen["xheaders"], seen["no_keep_alive"], seen["callback"]) == (False, False, callback)
        assert seen["stream"].socket is not None
        seen.clear()


def test_attributes_can_be_assigned():
    def callback(request):
        request.remote_ip, request.protocol, request.host = "1.2.3.4", "https", "changed"
        request.method, request.uri, request.path, request.query = "PUT", "/new?b=2", "/new", "b=2"
        request.body, request.files, request.cookies = b"new", {}, {}
        request.own = "attribute"
        text = f"{request.full_url()} {request.remote_ip} {request.method} {request.query_arguments} {request.own}"  # noqa: E501
        raw_ok(request, text.encode())

    with serving(callback) as server, server.connect() as client:
        body = client.send(b"GET /old?a=1 HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1]
        assert body == b"https://changed/new?b=2 1.2.3.4 PUT {'b': [b'2']} attribute"


@pytest.mark.parametrize("name", ["query", "body_arguments", "query_arguments", "host", "headers", "files"])
def test_attributes_of_wrong_types_do_no_harm(name):
    """What an application assigns is its own affair, but it may not crash the process."""

    def callback(request):
        setattr(request, name, 5)
        for other in (
            "arguments",
            "query_arguments",
            "body_arguments",
            "host_name",
            "cookies",
            "headers",
            "files",
        ):
            with contextlib.suppress(Exception):
                getattr(request, other)
        for method in (request.full_url, request._parse_body):
            with contextlib.suppress(Exception):
                method()
        raw_ok(request, b"alive")

    with serving(callback) as server, server.connect() as client:
        assert client.send(b"GET /?a=1 HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1] == b"alive"


SIZES = [0, 1, 2, 4095, 4096, 4097, 65535, 65536, 65537, 200_000, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_bodies_of_many_sizes(size):
    body = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    got = []

    def callback(request):
        got.append(request.body)
        raw_ok(request, b"%d" % len(request.body))

    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[i : i + 3000]), body[i : i + 3000]) for i in range(0, size, 3000)
    )
    with serving(callback) as server, server.connect() as client:
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (size, body))
            assert client.answer()[1] == b"%d" % size
            client.send(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
            )
            assert client.answer()[1] == b"%d" % size
    assert got == [body] * 4


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_cut_at_every_offset(chunked):
    """Each request arrives in two pieces; the second is sent when the server has had the first."""
    if chunked:
        data = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=y\r\n0123456789\r\n0\r\n\r\n"  # noqa: E501
        body = b"hello0123456789"
    else:
        data, body = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", b"0123456789"
    got = []

    def callback(request):
        got.append(request.body)
        raw_ok(request, b"ok")

    with serving(callback) as server, server.connect() as client:
        for at in range(1, len(data)):
            client.send(data[:at])
            server.call(lambda: None)
            client.send(data[at:])
            assert client.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"), at
    assert got == [body] * (len(data) - 1)


def test_one_byte_at_a_time():
    data = b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
    data += b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    def callback(request):
        raw_ok(request, request.uri.encode() + b" " + request.body)

    with serving(callback) as server:
        whole = talk(server.address, data)
        assert whole.count(b"HTTP/1.1 200 OK") == 2
        assert talk(server.address, data, pieces=1) == whole


EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


def test_expect_100_continue(implementation):
    with (
        serving(lambda request: raw_ok(request, request.body), implementation) as server,
        server.connect() as client,
    ):
        assert client.send(EXPECT).until(b"\r\n\r\n") == b"HTTP/1.1 100 (Continue)\r\n\r\n"
        client.send(b"hello")
        assert client.answer()[1] == b"hello"
        client.send(EXPECT + b"again")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 (Continue)\r\n\r\n"
        assert client.answer()[1] == b"again"


def test_expect_without_a_body():
    """Nothing is to come: the request is whole."""
    with serving(lambda request: raw_ok(request, b"whole")) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        answer = client.until(b"whole").replace(b"HTTP/1.1 100 (Continue)\r\n\r\n", b"")
        assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"


def test_expect_is_case_blind_and_not_for_1_0():
    with serving(lambda request: raw_ok(request, request.body)) as server, server.connect() as client:
        client.send(EXPECT.replace(b"100-continue", b"100-Continue"))
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 (Continue)\r\n\r\n"
        client.send(b"hello")
        assert client.answer()[1] == b"hello"
        client.send(EXPECT.replace(b"1.1", b"1.0") + b"hello")
        assert client.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("settings", [{"max_body_size": 4}, {"max_buffer_size": 4}], ids=str)
def test_expect_of_too_long_a_body_is_refused_first(settings, caplog):
    called = []
    with serving(called.append, **settings) as server:
        assert talk(server.address, EXPECT) == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert called == []


def test_requests_are_made_by_hand_too():
    """HTTPServerRequest(...) over a connection, as applications and their tests make them."""

    def callback(request):
        own = HTTPServerRequest("GET", "/own", connection=request.connection, headers=request.headers)
        own.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        own.write(own.path.encode())
        own.finish()

    def make_quietly(request):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            callback(request)

    with serving(make_quietly) as server, server.connect() as client:
        for _ in range(2):
            assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()[1] == b"/own"


def test_callback_of_wrong_type():
    for wrong in (None, 5, "callback"):
        with pytest.raises(TypeError):
            HTTPServer(wrong)
