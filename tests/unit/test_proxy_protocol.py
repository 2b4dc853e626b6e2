"""The PROXY protocol before a TCPServer: by hand, byte for byte, and from HAProxy where it is installed."""

import asyncio
import contextlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.live_tcp import PATIENCE, TLS, listening, run
from support.ports import free_port
from support.proxy_heads import BAD, GOOD, SIGNATURE, named
from tornado_c import iostream
from tornado_c._stream.proxy_protocol import MAX_V2_HEAD, MalformedHead, TrustedProxies, parse_head
from tornado_c.httpserver import HTTPServer
from tornado_c.netutil import bind_sockets, bind_unix_socket
from tornado_c.tcpserver import TCPServer

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


# --------------------------------------------------------------------------- the parser


@named(GOOD)
def test_every_prefix(head, expected):
    """A head is known when it is whole, and not before; what follows it changes nothing."""
    for end in range(1, len(head)):
        assert parse_head(head[:end]) is None
    for tail in (b"", b"x", b"\r\n", head):
        assert parse_head(head + tail) == (len(head), expected)


def test_anything():
    """Whatever comes, there is an answer, or a refusal, or a request for more that has an end."""
    rng = random.Random(5)
    seeds = [head for head, _ in [*GOOD.values(), *BAD.values()]]
    for _ in range(20000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with contextlib.suppress(MalformedHead):
            found = parse_head(bytes(data[:MAX_V2_HEAD]))
            assert found is not None or len(data) < MAX_V2_HEAD


@named(BAD)
def test_malformed(head, expected):
    with pytest.raises(MalformedHead, match=expected):
        parse_head(head)


# --------------------------------------------------------------------------- over sockets


class AddressServer(TCPServer):
    """Answers a line with the address that it was given for the client."""

    async def handle_stream(self, stream, address):
        try:
            line = await stream.read_until(b"\n")
            await stream.write(repr(address).encode() + b" " + line)
            stream.close()
        except iostream.StreamClosedError:
            pass


def serving(server, *sockets):
    sockets = sockets or bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    return sockets[0].getsockname()


def proxied(**kwargs):
    return AddressServer(proxy_protocol=True, **{"trusted_proxies": ["127.0.0.1"], **kwargs})


async def answer(address, *pieces):
    """Send the pieces, each in a packet of its own, and return the peer's port and all that comes back."""
    loop = asyncio.get_running_loop()
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setblocking(False)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
        port = sock.getsockname()[1:2]
        answered = []
        try:
            for piece in pieces:
                await loop.sock_sendall(sock, piece)
                await asyncio.sleep(0)
            while data := await loop.sock_recv(sock, 65536):
                answered.append(data)
        except (ConnectionResetError, BrokenPipeError):
            answered.append(b"<reset>")
        return port, b"".join(answered)


def shown(address, port):
    return repr(("127.0.0.1", *port) if address is None else address).encode()


@pytest.mark.guest
@named(GOOD)
def test_address_of_the_client(head, expected):
    async def main():
        server = proxied()
        address = serving(server)
        for pieces in ([head + b"hello\n"], [head, b"hello\n"]):
            port, got = await answer(address, *pieces)
            assert got == shown(expected, port) + b" hello\n"
        server.stop()

    run(main)


@pytest.mark.guest
@pytest.mark.parametrize("name", ["v1 tcp4", "v2 tcp4, fields"])
def test_split_anywhere(name):
    head, expected = GOOD[name]
    data = head + b"hello\n"

    async def main():
        server = proxied()
        address = serving(server)
        everywhere = [[data[:i], data[i:]] for i in range(1, len(data))]
        for pieces in [*everywhere, [data[i : i + 1] for i in range(len(data))]]:
            port, got = await answer(address, *pieces)
            assert got == shown(expected, port) + b" hello\n", pieces
        server.stop()

    run(main)


@pytest.mark.guest
@named(BAD)
def test_malformed_is_closed(caplog, head, expected):
    async def main():
        server = proxied()
        port, got = await answer(serving(server), head)
        assert got in (b"", b"<reset>")
        server.stop()
        return port

    (port,) = run(main)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tornado.general", "WARNING")
    assert record.getMessage() == f"PROXY protocol: connection from 127.0.0.1:{port} closed: {expected}"


@pytest.mark.guest
@pytest.mark.parametrize("head", [b"", b"PROXY TCP4 ", SIGNATURE], ids=["nothing", "v1", "v2"])
def test_end_inside_the_head(caplog, head):
    """A connection that says nothing at all, as in a check of the port, is no event."""

    async def main():
        server = proxied()
        address = serving(server)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        server.stop()

    run(main)
    texts = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert texts == (["the connection ended inside the head"] if head else [])


@pytest.mark.guest
@pytest.mark.parametrize("head", [b"", b"PROXY TCP4 "], ids=["nothing", "something"])
def test_late_head(caplog, head):
    async def main():
        server = proxied(proxy_protocol_timeout=0.01)
        sock = socket.create_connection(serving(server))
        sock.sendall(head)  # there when it is accepted
        reader, writer = await asyncio.open_connection(sock=sock)
        assert await reader.read() == b""
        writer.close()
        server.stop()

    run(main)
    (record,) = caplog.records
    assert record.getMessage().endswith(": the head did not come in time")


@pytest.mark.guest
def test_time_limit_ends_with_the_head():
    async def main():
        server = proxied(proxy_protocol_timeout=0.01)
        sock = socket.create_connection(serving(server))
        sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")  # there when it is accepted
        reader, writer = await asyncio.open_connection(sock=sock)
        await asyncio.sleep(0.1)
        writer.write(b"hello\n")
        assert await reader.read() == b"('192.0.2.7', 1234) hello\n"
        writer.close()
        server.stop()

    run(main)


@pytest.mark.guest
@pytest.mark.parametrize("trusted", [["192.0.2.1"], ["unix", "10.0.0.0/8"]], ids=str)
def test_untrusted_peer(caplog, trusted):
    async def main():
        server = proxied(trusted_proxies=trusted)
        port, got = await answer(serving(server), GOOD["v1 tcp4"][0] + b"hello\n")
        assert got in (b"", b"<reset>")
        server.stop()
        return port

    (port,) = run(main)
    (record,) = caplog.records
    text = f"PROXY protocol: connection from 127.0.0.1:{port} closed: not a trusted proxy"
    assert record.getMessage() == text


@pytest.mark.guest
@pytest.mark.parametrize("trusted", [["unix"], ["127.0.0.1"]], ids=str)
def test_unix_peer(caplog, trusted, tmp_path):
    async def main():
        server = proxied(trusted_proxies=trusted)
        address = serving(server, bind_unix_socket(str(tmp_path / "socket")))
        _, got = await answer(address, GOOD["v2 tcp6"][0] + b"hello\n")
        server.stop()
        return got

    if trusted == ["unix"]:
        assert run(main) == b"('2001:db8::7', 1234, 0, 0) hello\n"
        assert not caplog.records
    else:
        assert run(main) in (b"", b"<reset>")
        assert "connection from '' closed: not a trusted proxy" in caplog.text


class TestTrust:
    @pytest.mark.parametrize(
        ("entry", "peer", "expected"),
        [
            ("10.0.0.0/8", "10.1.2.3", True),
            ("10.0.0.0/8", "11.1.2.3", False),
            ("10.1.2.3", "10.1.2.3", True),
            ("10.1.2.3", "::ffff:10.1.2.3", True),  # a listener that takes IPv4 on IPv6
            ("2001:db8::/32", "2001:db8::1", True),
            ("2001:db8::/32", "10.1.2.3", False),
            ("fe80::/10", "fe80::1%eth0", True),
            ("0.0.0.0/0", "10.1.2.3", True),
            ("unix", "10.1.2.3", False),
        ],
    )
    def test_networks(self, entry, peer, expected):
        with socket.socket() as sock:
            assert TrustedProxies([entry]).trust(sock, (peer, 1)) is expected

    @pytest.mark.parametrize("entries", [None, [], "127.0.0.1", ["localhost"], ["10.0.0.1/8"]], ids=repr)
    def test_mistakes(self, entries):
        with pytest.raises(ValueError):
            TCPServer(proxy_protocol=True, trusted_proxies=entries)

    def test_off(self):
        assert TCPServer(trusted_proxies=["10.0.0.0/8"]).proxy_protocol is False
        assert TCPServer().proxy_protocol is False


@pytest.mark.guest
def test_many_at_once():
    async def main():
        server = proxied()
        address = serving(server)
        head = GOOD["v2 tcp4"][0]
        got = await asyncio.gather(*[answer(address, head[:20], head[20:], b"%d\n" % i) for i in range(50)])
        assert [data for _, data in got] == [b"('192.0.2.7', 1234) %d\n" % i for i in range(50)]
        server.stop()

    run(main)


@pytest.mark.guest
def test_stop_while_a_head_comes():
    """What was accepted goes on."""

    async def main():
        server = proxied()
        address = serving(server)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"PROXY TCP4 192.0.2.7")
        await answer(address, GOOD["v1 unknown"][0] + b"hello\n")  # so the first one was accepted
        server.stop()
        writer.write(b" 192.0.2.8 1234 443\r\nhello\n")
        assert await reader.read() == b"('192.0.2.7', 1234) hello\n"
        writer.close()

    run(main)


@pytest.mark.guest
def test_handle_connection_is_given_the_clients_address():
    async def main():
        class Server(AddressServer):
            def _handle_connection(self, connection, address):
                seen.append((connection.getpeername()[0], address))
                super()._handle_connection(connection, address)

        seen = []
        server = Server(proxy_protocol=True, trusted_proxies=["127.0.0.0/8"])
        await answer(serving(server), GOOD["v1 tcp4"][0] + b"hello\n")
        assert seen == [("127.0.0.1", ("192.0.2.7", 1234))]
        server.stop()

    run(main)


@pytest.mark.guest
def test_tls_after_the_head():
    async def main():
        server = proxied(ssl_options=TLS)
        address = serving(server)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GOOD["v2 tcp4, fields"][0])
        await writer.start_tls(context)
        writer.write(b"hello\n")
        assert await reader.read() == b"('192.0.2.7', 1234) hello\n"
        writer.close()
        server.stop()

    run(main)


# --------------------------------------------------------------------------- HTTP


def answer_with_ip(request):
    body = f"{request.remote_ip} {request.uri}".encode()
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    request.finish()


def get(path, connection="keep-alive", extra=""):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n{extra}\r\n".encode()


@pytest.mark.guest
@pytest.mark.parametrize("name", ["v1 tcp4", "v1 tcp6", "v2 tcp4", "v2 local"])
def test_http_remote_ip(name):
    head, expected = GOOD[name]
    ip = b"127.0.0.1" if expected is None else expected[0].encode()

    async def main():
        server = HTTPServer(answer_with_ip, proxy_protocol=True, trusted_proxies=["127.0.0.1"])
        address = serving(server)
        first, second = get("/1"), get("/2", "close")
        for pieces in ([head + first + second], [head[:9], head[9:], first, second]):
            _, got = await answer(address, *pieces)
            bodies = [part.partition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 200 OK")[1:]]
            assert bodies == [ip + b" /1", ip + b" /2"]
        _, got = await answer(address, get("/1", "close"))
        assert got in (b"", b"<reset>")
        server.stop()

    run(main)


@pytest.mark.guest
def test_http_headers_of_the_proxy():
    """With xheaders they count for more, for one request."""

    async def main():
        server = HTTPServer(answer_with_ip, xheaders=True, proxy_protocol=True, trusted_proxies=["127.0.0.1"])
        requests = get("/1", extra="X-Real-Ip: 192.0.2.99\r\n") + get("/2", "close")
        _, got = await answer(serving(server), GOOD["v1 tcp4"][0], requests)
        assert b"192.0.2.99 /1" in got
        assert b"192.0.2.7 /2" in got
        server.stop()

    run(main)


# --------------------------------------------------------------------------- the real thing


HAPROXY_CONFIG = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{front}
    default_backend back
backend back
    server one {back} {option}
"""


PROXIED = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.1"]}


@pytest.mark.parametrize("first", [b"", b"PROXY TCP4 1.2"], ids=["nothing yet", "a part of it"])
def test_drain_counts_heads(first):
    """Connections whose head is still to come are waited for like others that are idle, or under way."""
    head = b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n"

    async def main():
        server = HTTPServer(answer_with_ip, **PROXIED, proxy_protocol_timeout=1.0)
        port = listening(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        while len(server._heads) < 2:
            await asyncio.sleep(0.001)
        draining = asyncio.ensure_future(server.drain(timeout=20, idle_grace=0.1))
        await asyncio.sleep(0.02)
        assert not draining.done()
        writer.write(head[len(first) :] + get("/", "keep-alive"))
        said = await reader.read()
        assert said.endswith(b"1.2.3.4 /")
        assert await idle_reader.read() == b""
        assert await draining
        for end in (writer, idle_writer):
            end.close()

    run(main)


def test_drain_ends_a_head_in_time(caplog):
    async def main():
        server = HTTPServer(answer_with_ip, **PROXIED, proxy_protocol_timeout=1.0)
        port = listening(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PROXY")
        while not server._heads:
            await asyncio.sleep(0.001)
        assert not await server.drain(timeout=0.05, idle_grace=0.01)
        assert await reader.read() == b""
        writer.close()

    run(main)


@pytest.fixture
def haproxy(tmp_path):
    """Start HAProxy before an address; returns its port."""
    started = []

    def start(back, option):
        front = free_port()
        config = tmp_path / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(front=front, back=back, option=option))
        command = [HAPROXY, "-db", "-f", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=FOREIGN_ENVIRONMENT)
        started.append(process)
        end = time.monotonic() + PATIENCE
        while not _is_listening(front):
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < end
            time.sleep(0.01)
        return front

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def _is_listening(port):
    """Whether somebody listens there, without connecting: the server behind is not up for that yet."""
    entry = f":{port:04X} 00000000:0000 0A"
    with open("/proc/net/tcp", encoding="ascii") as table:
        return entry in table.read()


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_haproxy(haproxy, option, kind, tmp_path):
    async def main():
        server = proxied(trusted_proxies=["127.0.0.1", "unix"])
        if kind == "tcp":
            back = ":".join(map(str, serving(server)))
        else:
            back = serving(server, bind_unix_socket(str(tmp_path / "socket")))
        front = haproxy(back, option)
        for _ in range(3):
            port, got = await answer(("127.0.0.1", front), b"hello\n")
            assert got == shown(None, port) + b" hello\n"
        server.stop()

    run(main)


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_haproxy_before_http(haproxy, option, kind, tmp_path):
    async def main():
        server = HTTPServer(answer_with_ip, proxy_protocol=True, trusted_proxies=["127.0.0.1", "unix"])
        if kind == "tcp":
            front = haproxy(":".join(map(str, serving(server))), option + " source 127.0.0.1")
        else:
            front = haproxy(serving(server, bind_unix_socket(str(tmp_path / "socket"))), option)
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.bind(("127.0.0.5", 0))
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", front))
            await loop.sock_sendall(client, get("/", "close"))
            got = b""
            while data := await loop.sock_recv(client, 65536):
                got += data
        assert got.endswith(b"127.0.0.5 /")
        server.stop()

    run(main)
