"""stream.socket of a TLS stream: an SSLSocket in all that an application may want of it, whoever made it."""

import asyncio
import select
import socket
import ssl

import pytest

from support.iostream_tls_tools import client_context, server_context
from support.iostream_world import until

TLS13 = ssl.TLSVersion.TLSv1_3


async def when_possible(operation, *args):
    """The result of a call of a non-blocking SSLSocket."""
    while True:
        try:
            return operation(*args)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            await asyncio.sleep(0.001)


def test_what_it_knows(tls):
    async def main():
        context = server_context(tls.folder)
        context.set_alpn_protocols(["http/1.1"])
        client = client_context(tls.folder)
        client.set_alpn_protocols(["h2", "http/1.1"])
        for sock in [stream.socket for stream in await tls.pair(context, client)]:
            assert isinstance(sock, ssl.SSLSocket)
            assert sock.selected_alpn_protocol() == "http/1.1"
            assert sock.version() == "TLSv1.3"
            assert sock.cipher()[2] >= 128
            assert sock.pending() == 0
            assert sock.gettimeout() == 0
        assert sock.server_hostname == "localhost"
        assert ("DNS", "localhost") in sock.getpeercert()["subjectAltName"]
        assert sock.getpeercert(True).startswith(b"0")

    tls.run(main)


def test_sends_and_receives(tls):
    async def main():
        left, right = await tls.pair()
        assert await when_possible(left.socket.send, b"by the socket\n") == 14
        assert await right.read_until(b"\n") == b"by the socket\n"
        assert await when_possible(left.socket.write, b"written\n") == 8
        assert await right.read_until(b"\n") == b"written\n"
        right.write(b"answer\n")
        select.select([left.socket], [], [], 20)  # without a turn of the loop, in which the stream reads
        assert left.socket.recv(4) == b"answ"
        assert left.socket.pending() == 3
        memory = bytearray(10)
        assert left.socket.recv_into(memory) == 3
        assert memory == b"er\n" + bytes(7)
        with pytest.raises(ssl.SSLWantReadError):
            left.socket.recv(1)

    tls.run(main)


def test_more_than_the_peer_takes(tls):
    async def main():
        left, right = await tls.pair()
        sent, data = 0, bytes(100_000)
        with pytest.raises(ssl.SSLWantWriteError):
            while True:
                sent += left.socket.send(data)
        reading = asyncio.ensure_future(right.read_bytes(sent))
        sent_later = await when_possible(left.socket.send, data)
        left.write(b"end\n")
        assert await reading == bytes(sent)
        assert await right.read_until(b"\n") == bytes(sent_later) + b"end\n"

    tls.run(main)


def test_says_goodbye(tls):
    async def main():
        left, right = await tls.pair()
        end = right.read_until_close()
        with pytest.raises(ssl.SSLWantReadError):
            left.socket.unwrap()
        assert await end == b""
        assert right.error is None

    tls.run(main)


def test_certificate_asked_for_later(tls):
    """TLS 1.3's post-handshake authentication."""

    async def main():
        server = server_context(tls.folder, verify_mode=ssl.CERT_OPTIONAL, minimum_version=TLS13)
        server.load_verify_locations(tls.folder / "ca.pem")
        server.post_handshake_auth = True
        client = client_context(tls.folder)
        client.load_cert_chain(tls.folder / "client.pem", tls.folder / "client.key")
        client.post_handshake_auth = True
        left, right = await tls.pair(server, client)
        assert not left.socket.getpeercert()
        left.socket.verify_client_post_handshake()
        left.write(b"who is there?\n")
        assert await right.read_until(b"\n") == b"who is there?\n"
        await right.write(b"it's me\n")
        assert await left.read_until(b"\n") == b"it's me\n"
        assert left.socket.getpeercert()["subject"] == ((("commonName", "client"),),)

    tls.run(main)


def test_session_is_resumed(tls):
    async def main():
        server, client = server_context(tls.folder), client_context(tls.folder)
        left, right = await tls.pair(server, client)
        left.write(b"x")
        await right.read_bytes(1)  # behind the session tickets
        session = right.socket.session
        assert session is not None
        assert session.has_ticket
        accepting = asyncio.ensure_future(tls.accepted(server))
        plain = socket.create_connection(("127.0.0.1", tls.port))
        again = client.wrap_socket(
            plain, server_hostname="localhost", session=session, do_handshake_on_connect=False
        )
        again = tls.module.SSLIOStream(again)
        tls.open.append(again)
        await again.wait_for_handshake()
        assert again.socket.session_reused
        stream = await accepting
        await stream.wait_for_handshake()
        assert stream.socket.session_reused

    tls.run(main)


def test_closed_stream(tls):
    async def main():
        left, _ = await tls.pair()
        sock = left.socket
        left.close()
        assert sock.fileno() == -1
        with pytest.raises((OSError, ValueError)):
            sock.recv(1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            sock.send(b"x")

    tls.run(main)


def test_hooks_of_a_subclass(tls):
    """A class that has its own read_from_fd and write_to_fd, over those of SSLIOStream."""
    sizes = {"read": 0, "written": 0}

    class Counting(tls.module.SSLIOStream):
        def read_from_fd(self, buf):
            n = super().read_from_fd(buf)
            sizes["read"] += n or 0
            return n

        def write_to_fd(self, data):
            n = super().write_to_fd(data)
            sizes["written"] += n
            return n

    async def main():
        accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
        stream = Counting(socket.socket(), ssl_options=client_context(tls.folder))
        tls.open.append(stream)
        await stream.connect(("127.0.0.1", tls.port), server_hostname="localhost")
        other = await accepting
        data = bytes(range(256)) * 10_000
        sent = [stream.write(data), other.write(data)]
        assert await stream.read_bytes(len(data)) == data
        assert await other.read_bytes(len(data)) == data
        await asyncio.gather(*sent)
        assert sizes == {"read": len(data), "written": len(data)}
        end = stream.read_until_close()
        other.close()
        assert await end == b""

    tls.run(main)


def test_hook_that_comes_while_records_wait(our_tls):
    """What is encrypted and not yet sent is not given to a write_to_fd that was assigned meanwhile."""
    tls = our_tls

    async def main():
        left, right = await tls.pair()
        data = bytes(range(256)) * (1 << 16)
        sent = left.write(data)
        await until(lambda: left._total_write_done_index > 0)
        original = left.write_to_fd
        left.write_to_fd = lambda piece: original(piece)
        assert await right.read_bytes(len(data)) == data
        await sent

    tls.run(main)
