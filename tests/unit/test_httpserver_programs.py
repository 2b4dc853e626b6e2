"""Clients that everybody uses against an HTTPServer, on both ways through it: curl, wrk, requests, httpx and
aiohttp, over TCP, TLS and Unix sockets. Each is skipped by name where it is not installed.
"""

import asyncio
import gzip
import hashlib
import json
import shutil
import ssl
import subprocess
import warnings

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.live_http import PATIENCE, LiveServer, raw_ok
from support.proxied_app import FORMS, large
from support.proxies import make_certificate
from tornado_c import netutil

BODY = large(3_000_000)
SHA1 = hashlib.sha1(BODY).hexdigest()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=FORMS)
def server(request):
    made = LiveServer(FORMS[request.param]([]), decompress_request=True)
    yield made
    made.stop()


@pytest.fixture(scope="module", params=FORMS)
def tls_server(request, certificate):
    made = LiveServer(FORMS[request.param]([]), ssl_options=certificate)
    yield made
    made.stop()


@pytest.fixture(scope="module", params=FORMS)
def unix_server(request, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("unix") / "socket")
    made = LiveServer(FORMS[request.param]([]), sockets=[netutil.bind_unix_socket(path)])
    yield made
    made.stop()


def url(server, target, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.port}{target}"


def whole(heard):
    return heard["size"] == len(BODY) and heard["sha1"] == SHA1


# ---- curl ----


@pytest.fixture
def curl():
    program = shutil.which("curl")
    if not program:
        pytest.skip("curl is not installed")

    def run(*args, data=None, code=0):
        command = [program, "-q", "-sS", "--max-time", str(PATIENCE), *args]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, env=FOREIGN_ENVIRONMENT)
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


CHUNKED = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]


@pytest.mark.parametrize("options", [[], CHUNKED, ["-H", "Expect: 100-continue"], ["--http1.0"]], ids=str)
def test_curl_uploads(server, curl, options):
    if "--http1.0" not in options:
        options = [*options, "--data-binary", "@-"]
        assert whole(json.loads(curl(*options, url(server, "/echo"), data=BODY)))
        assert whole(json.loads(curl("-T", "-", *options[:-2], url(server, "/echo"), data=BODY)))
    else:
        heard = json.loads(curl("-0", "--data-binary", "@-", url(server, "/echo"), data=BODY))
        assert whole(heard)


def test_curl_sends_gzip(server, curl):
    for options in ([], CHUNKED):
        options = [*options, "-H", "Content-Encoding: gzip", "--data-binary", "@-"]
        assert whole(json.loads(curl(*options, url(server, "/echo"), data=gzip.compress(BODY))))
    cut = gzip.compress(BODY)[:-9]
    assert b"400" in curl("-o", "/dev/null", "-w", "%{http_code}", *options, url(server, "/echo"), data=cut)


def test_curl_responses(server, curl):
    for name in ("large", "chunked"):
        target = url(server, f"/{name}?n={len(BODY)}")
        assert curl(target) == BODY
        assert curl("--http1.0", target) == BODY
        assert curl("--limit-rate", "20M", target) == BODY
        assert curl("-I", target).startswith(b"HTTP/1.1 200 OK\r\n")
    for status in (("empty", b"204"), ("same", b"304")):
        assert curl("-w", "%{http_code}", url(server, f"/{status[0]}")) == status[1]
    assert curl(url(server, "/drop"), code=52) == b""
    assert curl(url(server, "/cut?n=1000"), code=18) == large(500)


def test_curl_keeps_its_connection(server, curl):
    served = curl(*[url(server, f"/echo?{n}") for n in range(20)], "-w", "\n").decode().split()
    text = "".join(served)
    assert '"served":20' in text or '"served": 20' in text


def test_curl_tls(tls_server, certificate, curl):
    trust = ["--cacert", certificate["certfile"]]
    target = url(tls_server, "/echo", "https")
    assert whole(json.loads(curl(*trust, "--data-binary", "@-", target, data=BODY)))
    assert whole(json.loads(curl(*trust, *CHUNKED, "--data-binary", "@-", target, data=BODY)))
    assert json.loads(curl(*trust, target))["protocol"] == "https"
    assert curl(*trust, url(tls_server, f"/large?n={len(BODY)}", "https")) == BODY
    assert curl(*trust, "--http1.0", url(tls_server, f"/chunked?n={len(BODY)}", "https")) == BODY
    curl(target, code=60)  # nobody has signed it
    assert json.loads(curl(*trust, target))["protocol"] == "https"


def test_curl_unix_socket(unix_server, curl):
    way = ["--unix-socket", unix_server.address]
    assert whole(json.loads(curl(*way, "--data-binary", "@-", "http://a/echo", data=BODY)))
    assert whole(json.loads(curl(*way, *CHUNKED, "--data-binary", "@-", "http://a/echo", data=BODY)))
    assert curl(*way, f"http://a/chunked?n={len(BODY)}") == BODY
    assert json.loads(curl(*way, "http://a/echo"))["ip"] == "0.0.0.0"


# ---- packages ----


def pieces():
    return (BODY[at : at + 70_000] for at in range(0, len(BODY), 70_000))


def test_requests(server):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False  # proxies and certificates of the machine are not for this
        assert whole(session.post(url(server, "/echo"), data=BODY).json())
        assert whole(session.put(url(server, "/echo"), data=pieces()).json())
        sent = session.post(
            url(server, "/echo"), data=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}
        )
        assert whole(sent.json())
        with session.get(url(server, f"/chunked?n={len(BODY)}"), stream=True) as answer:
            assert b"".join(answer.iter_content(50_000)) == BODY
        assert session.head(url(server, "/large?n=5")).headers["Content-Length"] == "5"
        assert session.get(url(server, "/empty")).status_code == 204
        assert session.get(url(server, "/same")).status_code == 304
        assert session.post(url(server, "/echo"), data=b"x").json()["served"] == 4
        with pytest.raises(requests.ConnectionError):
            session.get(url(server, "/drop"))
        assert session.get(url(server, "/echo")).json()["method"] == "GET"


def test_requests_tls(tls_server, certificate):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False  # proxies and certificates of the machine are not for this
        session.verify = certificate["certfile"]
        assert whole(session.post(url(tls_server, "/echo", "https"), data=BODY).json())
        assert whole(session.post(url(tls_server, "/echo", "https"), data=pieces()).json())
        assert session.get(url(tls_server, f"/large?n={len(BODY)}", "https")).content == BODY
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url(tls_server, "/echo", "https"), verify=True)


def test_httpx(server):
    httpx = pytest.importorskip("httpx")
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        assert whole(client.post(url(server, "/echo"), content=BODY).json())
        assert whole(client.post(url(server, "/echo"), content=pieces()).json())
        assert client.get(url(server, f"/chunked?n={len(BODY)}")).content == BODY
        assert client.head(url(server, "/chunked?n=5")).content == b""
        assert client.get(url(server, "/echo")).json()["served"] == 3
        with client.stream("GET", url(server, f"/large?n={len(BODY)}")) as answer:
            next(answer.iter_raw())  # and no more of it
        assert client.get(url(server, "/echo")).json()["method"] == "GET"


def test_httpx_over_a_unix_socket(unix_server):
    httpx = pytest.importorskip("httpx")
    with httpx.Client(
        trust_env=False, transport=httpx.HTTPTransport(uds=unix_server.address), timeout=PATIENCE
    ) as client:
        assert whole(client.post("http://a/echo", content=pieces()).json())
        assert client.get(f"http://a/chunked?n={len(BODY)}").content == BODY


async def exchanges_of_aiohttp(aiohttp, connector, base):
    async def body():
        for piece in pieces():
            yield piece

    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number):
            data = large(number * 999)
            async with session.post(f"{base}/echo?{number}", data=data) as answer:
                heard = await answer.json(content_type=None)
                assert (heard["uri"], heard["size"]) == (f"/echo?{number}", len(data))

        await asyncio.gather(*map(one, range(100)))
        async with session.put(f"{base}/echo", data=body()) as answer:
            assert whole(await answer.json(content_type=None))
        async with session.get(f"{base}/chunked?n={len(BODY)}") as answer:
            assert await answer.read() == BODY
        async with session.head(f"{base}/large?n=5") as answer:
            assert answer.headers["Content-Length"] == "5"


@pytest.fixture
def aiohttp():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("aiohttp")


def test_aiohttp(server, aiohttp):
    async def run():
        await exchanges_of_aiohttp(aiohttp, aiohttp.TCPConnector(limit=20), url(server, ""))

    asyncio.run(run())


def test_aiohttp_tls(tls_server, certificate, aiohttp):
    async def run():
        context = ssl.create_default_context(cafile=certificate["certfile"])
        connector = aiohttp.TCPConnector(ssl=context, limit=20)
        await exchanges_of_aiohttp(aiohttp, connector, url(tls_server, "", "https"))

    asyncio.run(run())


def test_aiohttp_over_a_unix_socket(unix_server, aiohttp):
    async def run():
        connector = aiohttp.UnixConnector(path=unix_server.address, limit=20)
        await exchanges_of_aiohttp(aiohttp, connector, "http://a")

    asyncio.run(run())


# ---- wrk ----


@pytest.mark.parametrize("form", FORMS)
def test_wrk_gets_its_responses_without_an_error(form):
    wrk = shutil.which("wrk")
    if not wrk:
        pytest.skip("wrk is not installed")
    counted = LiveServer(FORMS[form]([]))
    try:
        command = [wrk, "-t1", "-c50", "-d1s", f"http://127.0.0.1:{counted.port}/large?n=1000"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=FOREIGN_ENVIRONMENT)
    finally:
        counted.stop()
    assert done.returncode == 0, done.stderr
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    assert int(done.stdout.partition(" requests in")[0].split()[-1]) > 50  # more than one on a connection


# ---- pipelining, which none of them does any more ----


def test_pipelined_requests_of_all_kinds(server):
    with server.connect() as client:
        post = b"POST /echo?%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        chunked = (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        head = b"HEAD /large?n=7 HTTP/1.1\r\nHost: a\r\n\r\n"
        empty = b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"
        streamed = b"GET /chunked?n=100000 HTTP/1.1\r\nHost: a\r\n\r\n"
        for n in range(10):
            client.send(post % (n, n) + b"x" * n + chunked + head + empty + streamed)
        for n in range(10):
            heard = json.loads(client.answer()[1])
            assert (heard["uri"], heard["size"], heard["served"]) == (f"/echo?{n}", n, 2 * n + 1)
            assert json.loads(client.answer()[1])["size"] == 5
            assert b"Content-Length: 7\r\n" in client.answer(head_only=True)[0]
            assert client.answer()[0].startswith(b"HTTP/1.1 204 ")
            assert client.answer()[1] == large(100_000)


def test_a_pipeline_ends_with_close():
    called = []

    def callback(request):
        called.append(request.uri)
        raw_ok(request, b"ok")

    server = LiveServer(callback)
    try:
        with server.connect() as client:
            for target in (b"/1", b"/2"):
                client.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            client.send(
                b"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            assert client.rest().count(b"200 OK") == 3
    finally:
        server.stop()
    assert called == ["/1", "/2", "/3"]
