"""start_tls() where the peer's handshake came first: its bytes may have been read, to notice the peer's end,
before anybody asked for TLS."""

import asyncio
import contextlib
import socket
import ssl
import threading

import pytest

from support.iostream_tls_tools import client_context, server_context
from support.iostream_world import until
from support.live_http import serving
from support.live_tcp import TLS


def talk(sock, context, before=b"", send=b"hello\n"):
    """A client that sends its ClientHello together with `before`, and what it gets over TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def do(operation, *args):
        nonlocal before
        while True:
            try:
                result = operation(*args)
            except ssl.SSLWantReadError:
                result = None
            if data := before + outgoing.read():
                sock.sendall(data)
            before = b""
            if result is not None:
                return result
            if not (data := sock.recv(65536)):
                return b""
            incoming.write(data)

    do(lambda: secure.do_handshake() or True)
    do(secure.write, send)
    return do(secure.read, 1000)


async def in_thread(function, *args):
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


@pytest.mark.parametrize("watched", ["close callback", "a read before", "nothing"])
def test_hello_first(ours, certificates, watched):
    async def main():
        stream, peer = ours.pair(tcp=True)
        if watched == "close callback":
            stream.set_close_callback(lambda: None)
        elif watched == "a read before":
            peer.sendall(b"STARTTLS\n")
            await stream.read_until(b"\n")
        talking = asyncio.ensure_future(in_thread(talk, peer, client_context(certificates)))
        if watched == "close callback":
            await until(lambda: stream._read_buffer_size)
        else:
            await asyncio.sleep(0.01)
        secure = await stream.start_tls(True, server_context(certificates))
        await secure.write((await secure.read_until(b"\n")).upper())
        assert await talking == b"HELLO\n"
        secure.close()

    ours.run(main)


def test_hello_with_the_command(ours, certificates):
    async def main():
        stream, peer = ours.pair(tcp=True)
        talking = asyncio.ensure_future(in_thread(talk, peer, client_context(certificates), b"STARTTLS\n"))
        assert await stream.read_until(b"\n") == b"STARTTLS\n"
        secure = await stream.start_tls(True, server_context(certificates))
        await secure.write((await secure.read_until(b"\n")).upper())
        assert await talking == b"HELLO\n"
        secure.close()

    ours.run(main)


def test_half_a_hello(ours, certificates):
    async def main():
        stream, peer = ours.pair(tcp=True)
        stream.set_close_callback(lambda: None)
        left, right = socket.socketpair()
        right.settimeout(20)
        client = asyncio.ensure_future(in_thread(talk, right, client_context(certificates)))

        def pump(source, target):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    for at in range(len(data)):
                        target.sendall(data[at : at + 1])

        left.settimeout(20)
        threads = [
            threading.Thread(target=pump, args=pair, daemon=True) for pair in ((left, peer), (peer, left))
        ]
        for thread in threads:
            thread.start()
        await until(lambda: stream._read_buffer_size)
        secure = await stream.start_tls(True, server_context(certificates))
        await secure.write((await secure.read_until(b"\n")).upper())
        assert await client == b"HELLO\n"
        secure.close()
        left.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            await in_thread(thread.join)
        left.close()
        right.close()

    ours.run(main)


@pytest.mark.parametrize("early", [b"NOOP\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"\x00"])
def test_other_bytes_first(both, certificates, early):
    """Commands slipped in before TLS are refused, as in stock Tornado."""

    async def main():
        stream, peer = both.pair(tcp=True)
        peer.sendall(b"STARTTLS\r\n" + early)
        await stream.read_until(b"\r\n")
        with pytest.raises(ValueError, match="not idle"):
            stream.start_tls(True, server_context(certificates))
        assert await stream.read_bytes(len(early)) == early

    both.run(main)


def test_no_handshake_after_all(ours, certificates, caplog):
    """What only begins like one fails as a handshake."""

    async def main():
        stream, peer = ours.pair(tcp=True)
        peer.sendall(b"\n\x16commands")
        await stream.read_until(b"\n")
        with pytest.raises(ssl.SSLError):
            await stream.start_tls(True, server_context(certificates))

    ours.run(main)
    assert [r.getMessage()[:12] for r in caplog.records] == ["SSL Error on"]


def test_a_socket_of_another_class(ours, certificates):
    """Where OpenSSL reads the descriptor itself there is no giving it what was read."""

    class Socket(ssl.SSLSocket):
        pass

    async def main():
        context = server_context(certificates)
        context.sslsocket_class = Socket
        stream, peer = ours.pair(tcp=True)
        peer.sendall(b"\n\x16\x03\x01")
        await stream.read_until(b"\n")
        starting = stream.start_tls(True, context)
        with pytest.raises(ValueError, match="before start_tls"):
            await starting

    ours.run(main)


@pytest.mark.parametrize("late", [False, True], ids=["in the callback", "after a turn"])
def test_in_a_connect(late):
    """A proxy's CONNECT with the hello behind it: the bytes are in a delivery at the time, or buffered."""
    tasks = []

    async def serve(starting):
        secure = await starting
        await secure.write((await secure.read_until(b"\n")).upper())
        secure.close()

    def answer(request):
        async def later():
            await asyncio.sleep(0.005)
            await serve(request.connection.stream.start_tls(True, TLS))

        work = later() if late else serve(request.connection.stream.start_tls(True, TLS))
        tasks.append(asyncio.ensure_future(work))

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with serving(answer) as server, server.connect() as client:
        head = b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"
        assert talk(client.sock, context, head) == b"HELLO\n"
