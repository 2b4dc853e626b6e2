"""TCPClient over real sockets, next to stock Tornado's."""

import asyncio
import concurrent.futures
import datetime
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.implementations import OURS
from support.live_tcp import TLS, TLS_FOLDER, run
from support.live_ws import scripted
from support.ports import free_port
from tornado_c import tcpclient
from tornado_c.ioloop import IOLoop

OPENSSL = shutil.which("openssl")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(30)
        yield sock


@pytest.fixture
def port(listener):
    return listener.getsockname()[1]


@pytest.fixture
def refusing():
    """A port of 127.0.0.1 where nobody listens, and none will."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def resolving(implementation, *addresses):
    """A resolver that answers with these (family, address) pairs; or with the Future that stands for them."""

    class Fixed(implementation.netutil.Resolver):
        closed = False

        def resolve(self, host, port, family=socket.AF_UNSPEC):
            if addresses and isinstance(addresses[0], (asyncio.Future, concurrent.futures.Future)):
                return addresses[0]
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(list(addresses))
            return answer

        def close(self):
            self.closed = True

    return Fixed()


# --------------------------------------------------------------------------- connecting


@pytest.mark.guest
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_connects(implementation, listener, port, host):
    async def main():
        client = implementation.tcpclient.TCPClient()
        stream = await client.connect(host, port, socket.AF_INET, max_buffer_size=1000)
        assert type(stream) is implementation.iostream.IOStream
        assert stream.max_buffer_size == 1000
        connection, _ = listener.accept()
        with connection:
            await stream.write(b"hello")
            assert connection.recv(5) == b"hello"
        stream.close()
        client.close()

    run(main)


@pytest.mark.guest
def test_refused(implementation, refusing):
    async def main():
        with pytest.raises(ConnectionRefusedError):
            try:
                await implementation.tcpclient.TCPClient().connect("127.0.0.1", refusing)
            except implementation.iostream.StreamClosedError as e:
                raise e.real_error from None

    run(main)


@pytest.mark.guest
def test_first_address_that_answers(implementation, listener, port, refusing):
    async def main():
        pairs = [(socket.AF_INET, ("127.0.0.1", refusing))] * 2 + [(socket.AF_INET, ("127.0.0.1", port))]
        client = implementation.tcpclient.TCPClient(resolving(implementation, *pairs))
        stream = await client.connect("anything", 0)
        assert stream.socket.getpeername()[1] == port
        stream.close()

    run(main)


@pytest.mark.guest
def test_a_family_that_fails_at_once(implementation, listener, port):
    """An IPv4 source address cannot be bound on an IPv6 socket: the other family's address is taken."""

    async def main():
        pairs = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
        client = implementation.tcpclient.TCPClient(resolving(implementation, *pairs))
        stream = await client.connect("anything", 0, source_ip="127.0.0.1")
        assert stream.socket.family == socket.AF_INET
        stream.close()

    run(main)


@pytest.mark.guest
@pytest.mark.parametrize("given", ["ip", "port", "both"])
def test_source(implementation, listener, port, given):
    source_port = free_port()
    kwargs = {"source_ip": "127.0.0.2", "source_port": source_port}
    if given != "both":
        del kwargs["source_ip" if given == "port" else "source_port"]

    async def main():
        stream = await implementation.tcpclient.TCPClient().connect("127.0.0.1", port, **kwargs)
        connection, address = listener.accept()
        connection.close()
        # A port alone is taken on the loopback address.
        assert address[0] == kwargs.get("source_ip", "127.0.0.1")
        assert address[1] == source_port or given == "ip"
        stream.close()

    run(main)


@pytest.mark.guest
def test_source_that_is_not_ours(implementation, port):
    async def main():
        with pytest.raises(OSError):
            await implementation.tcpclient.TCPClient().connect("127.0.0.1", port, source_ip="8.8.8.8")

    run(main)


@pytest.mark.guest
def test_resolver(implementation, monkeypatch):
    async def main():
        given = resolving(implementation)
        implementation.tcpclient.TCPClient(given).close()
        assert not given.closed  # its owner's business
        own = implementation.tcpclient.TCPClient()
        closed = []
        monkeypatch.setattr(own.resolver, "close", lambda: closed.append(own.resolver))
        own.close()
        assert closed == [own.resolver]

        failing = asyncio.get_running_loop().create_future()
        failing.set_exception(socket.gaierror("no such name"))
        with pytest.raises(OSError, match="no such name"):
            await implementation.tcpclient.TCPClient(resolving(implementation, failing)).connect(
                "nowhere", 80
            )

    run(main)


# --------------------------------------------------------------------------- time limits


@pytest.mark.guest
@pytest.mark.parametrize("timeout", [0.01, datetime.timedelta(milliseconds=10)], ids=["float", "timedelta"])
@pytest.mark.parametrize("kind", [asyncio.Future, concurrent.futures.Future])
def test_name_takes_too_long(implementation, timeout, kind):
    async def main():
        client = implementation.tcpclient.TCPClient(resolving(implementation, kind()))
        with pytest.raises(TimeoutError) as caught:
            await client.connect("example.com", 80, timeout=timeout)
        assert str(caught.value) == "Timeout while resolving example.com"

    run(main)


@pytest.mark.guest
def test_late_failure_of_the_resolver_is_logged(implementation, caplog):
    async def main():
        late = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await implementation.tcpclient.TCPClient(resolving(implementation, late)).connect(
                "x", 80, timeout=0.01
            )
        late.set_exception(OSError("late"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(main)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tornado.application", "ERROR")
    assert record.getMessage().startswith("Exception in Future <")
    assert record.getMessage().endswith(" after timeout")
    assert str(record.exc_info[1]) == "late"


@pytest.mark.guest
def test_connection_takes_too_long(implementation):
    """The text names all addresses that are being tried."""

    async def main():
        streams = []

        class Hanging(implementation.tcpclient.TCPClient):
            def _create_stream(self, max_buffer_size, af, addr, source_ip=None, source_port=None):
                streams.append(implementation.iostream.IOStream(socket.socket()))
                return streams[-1], asyncio.get_running_loop().create_future()

        pairs = [(socket.AF_INET6, ("2001:db8::1", 443, 0, 0)), (socket.AF_INET, ("192.0.2.1", 443))]
        with pytest.raises(TimeoutError) as caught:
            await Hanging(resolving(implementation, *pairs)).connect("example.com", 443, timeout=0.5)
        assert str(caught.value) == "Timeout while connecting to 192.0.2.1:443, [2001:db8::1]:443"
        assert len(streams) == 2
        assert all(stream.closed() for stream in streams)

    run(main)


@pytest.mark.guest
def test_timeout_of_another_type(implementation):
    async def main():
        with pytest.raises(TypeError, match="^Unsupported timeout 'soon'$"):
            await implementation.tcpclient.TCPClient().connect("127.0.0.1", 80, timeout="soon")

    run(main)


@pytest.mark.guest
def test_cancelled_caller(implementation):
    async def main():
        stream = implementation.iostream.IOStream(socket.socket())
        trying = asyncio.Event()

        class Hanging(implementation.tcpclient.TCPClient):
            def _create_stream(self, *args, **kwargs):
                trying.set()
                return stream, asyncio.get_running_loop().create_future()

        client = Hanging(resolving(implementation, (socket.AF_INET, ("192.0.2.1", 1))))
        task = asyncio.ensure_future(client.connect("example.com", 1))
        await trying.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert stream.closed()

    run(main)


# --------------------------------------------------------------------------- TLS


@pytest.mark.guest
@pytest.mark.parametrize("options", ["dictionary", "context", "verifying"])
def test_tls(implementation, options):
    async def main():
        given = {"cert_reqs": ssl.CERT_NONE}
        if options != "dictionary":
            given = ssl.create_default_context()
        if options == "context":
            given.check_hostname = False
            given.verify_mode = ssl.CERT_NONE
        client = implementation.tcpclient.TCPClient()
        if options == "verifying":
            # Nobody signed the test's certificate.
            with pytest.raises(ssl.SSLError):
                await client.connect("127.0.0.1", port, ssl_options=given)
            return
        stream = await client.connect("127.0.0.1", port, ssl_options=given, timeout=20)
        assert type(stream) is implementation.iostream.SSLIOStream
        await stream.write(b"hello\n")
        assert await stream.read_until(b"\n") == b"hello\n"
        stream.close()

    with scripted(lambda peer: peer.send(peer.until(b"\n")), (TLS["certfile"], TLS["keyfile"])) as port:
        run(main)


@pytest.mark.guest
@pytest.mark.parametrize("cut", ["timeout", "cancel"])
def test_silent_tls_server(implementation, listener, port, cut):
    """The connection is closed when its handshake is given up."""

    async def main():
        timeout = 0.2 if cut == "timeout" else None
        client = implementation.tcpclient.TCPClient()
        options = {"cert_reqs": ssl.CERT_NONE}
        task = asyncio.ensure_future(client.connect("127.0.0.1", port, ssl_options=options, timeout=timeout))
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        connection, _ = await loop.sock_accept(listener)
        with connection:
            connection.setblocking(False)
            assert await loop.sock_recv(connection, 1)
            if cut == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                with pytest.raises(TimeoutError) as caught:
                    await task
                text = f"Timeout during TLS handshake with 127.0.0.1:{port}"
                assert str(caught.value) == text
            while await loop.sock_recv(connection, 65536):
                pass

    run(main)


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
@pytest.mark.guest
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_server(implementation, version):
    """The certificate is for a name, which the resolver sends to this machine."""
    certificate, key = (os.path.join(TLS_FOLDER, name) for name in ("test.crt", "test.key"))
    files = ("-cert", certificate, "-key", key)
    port = free_port()
    command = [OPENSSL, "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-rev", version, *files]
    options = ssl.create_default_context(cafile=certificate)

    async def main():
        default = implementation.netutil.Resolver()
        resolver = implementation.netutil.OverrideResolver(default, {"foo.example.com": "127.0.0.1"})
        client = implementation.tcpclient.TCPClient(resolver)
        while True:
            try:
                stream = await client.connect("foo.example.com", port, ssl_options=options)
                break
            except OSError as e:  # it does not listen yet
                assert isinstance(e, (ConnectionRefusedError, implementation.iostream.StreamClosedError)), e
                await asyncio.sleep(0.01)
        assert stream.socket.version() == {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version]
        for word in (b"hello", b"x" * 10000 + b"y"):
            await stream.write(word + b"\n")
            assert await stream.read_until(b"\n") == word[::-1] + b"\n"
        stream.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect("127.0.0.1", port, ssl_options=options)

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=FOREIGN_ENVIRONMENT)
    try:
        run(main)
    finally:
        process.kill()
        process.wait()


# --------------------------------------------------------------------------- the older interface


@pytest.mark.guest
def test_io_loop_argument(listener, port):
    """Tornado 3 and 4: TCPClient(resolver, io_loop)."""

    async def main():
        loop = IOLoop.current()
        resolver = resolving(OURS, (socket.AF_INET, ("127.0.0.1", port)))
        for client in (tcpclient.TCPClient(resolver, loop), tcpclient.TCPClient(io_loop=loop)):
            assert client.io_loop is loop
            stream = await client.connect("127.0.0.1", port)
            stream.close()

    run(main)


@pytest.mark.guest
def test_create_stream_is_overridable(listener, port):

    async def main():
        class Client(tcpclient.TCPClient):
            def _create_stream(self, max_buffer_size, af, addr, **source):
                seen.append((max_buffer_size, af, addr, source))
                return super()._create_stream(max_buffer_size, af, addr)

        seen = []
        (await Client().connect("127.0.0.1", port)).close()
        source = {"source_ip": None, "source_port": None}
        assert seen == [(None, socket.AF_INET, ("127.0.0.1", port), source)]

    run(main)


@pytest.mark.parametrize("case", ["no file", "no version", "not idle"])
def test_a_handshake_that_cannot_begin_leaves_no_stream(listener, port, case):
    options = {
        "no file": {"certfile": "not there"},
        "no version": {"ssl_version": "nonsense"},
        "not idle": {"cert_reqs": ssl.CERT_NONE},
    }

    class Busy(tcpclient.TCPClient):
        def _create_stream(self, *args, **kwargs):
            stream, future = super()._create_stream(*args, **kwargs)
            if case == "not idle":
                future.add_done_callback(lambda _: setattr(self, "reading", stream.read_bytes(1)))
            return stream, future

    async def main():
        with pytest.raises((ValueError, TypeError, OSError)):
            await Busy().connect("127.0.0.1", port, ssl_options=options[case])
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(20)
            assert peer.recv(1) == b""

    run(main)
