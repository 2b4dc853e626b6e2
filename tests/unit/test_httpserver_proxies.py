"""HTTPServer behind nginx and HAProxy, over TCP, Unix sockets and TLS, for each kind of application."""

import concurrent.futures
import contextlib
import hashlib
import http.client
import json

import pytest

from support.live_http import PATIENCE, Client, LiveServer, wait_for
from support.proxied_app import FORMS, large
from support.proxies import Proxy, make_certificate
from tornado_c import netutil

LINKS = ["tcp", "unix", "tls"]


class Peer:
    """A server and the proxy in front of it."""

    def __init__(self, name, link, form, folder, **settings):
        self.events = []
        settings |= {"xheaders": True, "trusted_downstream": ["127.0.0.1", "5.5.5.5"]}
        if link == "tls":
            settings["ssl_options"] = make_certificate(folder)
        sockets = [netutil.bind_unix_socket(str(folder / "socket"))] if link == "unix" else None
        self.server = LiveServer(FORMS[form](self.events), sockets=sockets, **settings)
        try:
            self.proxy = Proxy(name, link, self.server.address, folder)
        except BaseException:
            self.server.stop()
            raise

    def stop(self):
        self.proxy.stop()
        self.server.stop()

    def raw(self, **kwargs):
        return Client(("127.0.0.1", self.proxy.port), **kwargs)

    def client(self):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=PATIENCE))

    def ask(self, method, target, body=None, headers=None, client=None, **kwargs):
        """(status, headers, body) of one exchange."""
        with contextlib.nullcontext(client) if client else self.client() as used:
            used.request(method, target, body, headers or {}, **kwargs)
            with used.getresponse() as answer:
                return answer.status, answer.headers, answer.read()

    def echo(self, *args, **kwargs):
        status, _, body = self.ask(*args, **kwargs)
        assert status == 200
        return json.loads(body)


@pytest.fixture(
    scope="module",
    params=[(name, link, form) for name in ("nginx", "haproxy") for link in LINKS for form in FORMS],
    ids="-".join,
)
def peer(request, tmp_path_factory):
    made = Peer(*request.param, tmp_path_factory.mktemp("proxy"))
    yield made
    made.stop()


# ---- whole exchanges ----


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("folder", ["", "/direct"], ids=["buffered", "direct"])
def test_uploads(peer, folder, chunked):
    with peer.client() as client:
        for size in (0, 1, 70_000, 4_000_000):
            body = large(size)
            data = (body[at : at + 50_000] for at in range(0, size, 50_000)) if chunked else body
            heard = peer.echo("POST", f"{folder}/echo?{size}", data, client=client, encode_chunked=chunked)
            assert (heard["method"], heard["uri"], heard["size"]) == ("POST", f"{folder}/echo?{size}", size)
            assert heard["sha1"] == hashlib.sha1(body).hexdigest()


@pytest.mark.parametrize("folder", ["", "/direct", "/old"])
@pytest.mark.parametrize("name", ["large", "chunked"])
def test_responses(peer, name, folder):
    with peer.client() as client:
        for size in (0, 1, 70_000, 4_000_000):
            status, headers, body = peer.ask("GET", f"{folder}/{name}?n={size}", client=client)
            assert status == 200 and body == large(size)
            status, headers, body = peer.ask("HEAD", f"{folder}/{name}?n={size}", client=client)
            assert status == 200 and body == b""
            assert headers["Content-Length"] == (str(size) if name == "large" else None)


@pytest.mark.parametrize("folder", ["", "/direct", "/old"])
def test_responses_without_a_body(peer, folder):
    with peer.client() as client:
        for _ in range(3):
            assert peer.ask("GET", f"{folder}/empty", client=client)[::2] == (204, b"")
            status, headers, body = peer.ask("GET", f"{folder}/same", client=client)
            assert (status, headers["Etag"], body) == (304, '"x"', b"")
            assert peer.echo("GET", f"{folder}/echo", client=client)["method"] == "GET"


def test_connections_to_the_server_are_kept(peer):
    with peer.client() as client:
        served = [peer.echo("POST", "/echo", b"x" * n, client=client)["served"] for n in range(40)]
        assert max(served) > 30


def test_expectation(peer):
    with peer.raw() as client:
        for folder in (b"", b"/direct"):
            head = b"POST %s/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            client.send(head % folder)
            assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
            client.send(b"hello")
            assert json.loads(client.answer()[1])["sha1"] == hashlib.sha1(b"hello").hexdigest()


def test_forwarded_addresses(peer):
    def heard(headers):
        answer = peer.echo("GET", "/echo", headers=headers)
        return answer["ip"], answer["protocol"]

    assert heard({}) == ("127.0.0.1", "https")
    assert heard({"X-Forwarded-For": "4.4.4.4, 5.5.5.5"}) == ("4.4.4.4", "https")
    assert heard({"X-Forwarded-For": "4.4.4.4, 6.6.6.6"}) == ("6.6.6.6", "https")
    assert heard({"X-Forwarded-For": "4.4.4.4", "X-Real-Ip": "2001:db8::1"}) == ("2001:db8::1", "https")
    assert heard({"X-Scheme": "http"}) == ("127.0.0.1", "http")
    assert heard({}) == ("127.0.0.1", "https")  # nothing is left of another client's request


def test_many_at_once(peer):
    def one(number):
        with peer.client() as client:
            for turn in range(8):
                size = (number * 37 + turn * 1009) % 60_000
                target = f"{('', '/direct')[turn % 2]}/echo?{number}.{turn}"
                heard = peer.echo("POST", target, large(size), client=client)
                assert (heard["uri"], heard["size"]) == (target, size)
                assert peer.ask("GET", f"/chunked?n={size}", client=client)[2] == large(size)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(one, number) for number in range(32)]:
            done.result()


# ---- exchanges that break off ----


def none_left(peer):
    """No answer is under way; connections that the proxy keeps for later do not count."""
    return peer.echo("GET", "/echo")["method"] == "GET"


def test_client_gives_up_while_it_is_served(peer):
    peer.events.clear()
    with peer.raw() as client:
        client.send(b"GET /direct/wait HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: peer.events == ["waiting"])
    wait_for(lambda: peer.events == ["waiting", "closed"])
    assert none_left(peer)


def test_client_gives_up_during_a_response(peer):
    peer.events.clear()
    with peer.raw(receive_buffer=65536) as client:
        client.send(b"GET /direct/large?n=100000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(client.exactly(200_000)) == 200_000
        client.reset()
    wait_for(lambda: peer.events == ["client gone"])
    assert none_left(peer)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_client_gives_up_during_an_upload(peer, chunked):
    """Nobody is called with half a request."""
    peer.events.clear()
    kind = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1000000"
    with peer.raw() as client:
        client.send(b"POST /direct/wait HTTP/1.1\r\nHost: a\r\n" + kind + b"\r\n\r\n")
        client.send((b"10000\r\n" if chunked else b"") + b"x" * 50_000)
        wait_for(lambda: peer.server.call(lambda: peer.server.server._connections))
    assert none_left(peer)
    assert set(peer.events) <= {"request cut"}


@pytest.mark.parametrize("folder", ["", "/direct"])
def test_server_gives_up(peer, folder):
    assert peer.ask("GET", f"{folder}/drop")[0] == 502
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        peer.ask("GET", f"{folder}/cut?n=100000")
    assert none_left(peer)


# ---- refusals ----


@pytest.fixture(
    scope="module",
    params=[
        (name, link, form) for name in ("nginx", "haproxy") for link in ("tcp", "unix") for form in FORMS
    ],
    ids="-".join,
)
def strict_peer(request, tmp_path_factory):
    made = Peer(*request.param, tmp_path_factory.mktemp("proxy"), max_body_size=1000)
    yield made
    made.stop()


@pytest.mark.parametrize("folder", ["", "/direct"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_the_refusal_of_a_long_body_comes_through(strict_peer, folder, chunked):
    """The proxy still sends when it is refused: it must not take that for a server that is broken."""
    for size in (1001, 100_000, 5_000_000):
        data = iter([large(size)]) if chunked else large(size)
        assert strict_peer.ask("POST", f"{folder}/echo", data, encode_chunked=chunked)[0] == 400
        assert strict_peer.echo("POST", f"{folder}/echo", b"x" * 1000)["size"] == 1000
