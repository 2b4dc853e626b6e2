"""TLS streams against openssl's own client and server, curl, and each other. Stock Tornado is the oracle."""

import asyncio
import contextlib
import contextvars
import hashlib
import os
import re
import select
import shutil
import socket
import ssl
import weakref

import pytest

from support.implementations import OURS
from support.iostream_tls_tools import TlsWorld, client_context, server_context
from support.iostream_world import World, reset, turns, until
from tornado_c.ioloop import IOLoop

ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION, which ssl names from 3.12 on
TLS12 = ssl.TLSVersion.TLSv1_2


def messages(caplog):
    """Log lines, without the numbers of descriptors and ports and the line numbers of CPython's sources."""
    lines = []
    for record in caplog.records:
        text = re.sub(r"on \d+ ", "on FD ", record.getMessage())
        text = re.sub(r"\('127\.0\.0\.1', \d+\)", "PEER", text)
        lines.append((record.name, record.levelname, re.sub(r"\(_ssl\.c:\d+\)", "(_ssl.c)", text)))
    return lines


def readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


async def both_ends(tls):
    """A client's stream, what its connect() returned, and the server's end, before the handshake."""
    stream = tls.client_stream(client_context(tls.folder))
    accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
    connecting = stream.connect(("127.0.0.1", tls.port), server_hostname="localhost")
    return stream, connecting, await accepting


async def echo_lines(stream):
    try:
        while True:
            await stream.write(await stream.read_until(b"\n"))
    except OSError:
        pass


async def echoed(program, line):
    program.tell(line)
    await program.said(line)


def quiet(program_args=()):
    return ("-quiet", "-no_ign_eof", *program_args)


class TestServerAndSClient:
    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    def test_echo(self, tls, version):
        async def main():
            client = tls.s_client(version, *quiet())
            stream = await tls.accepted(server_context(tls.folder))
            assert await stream.wait_for_handshake() is stream
            echo = asyncio.ensure_future(echo_lines(stream))
            for n in range(20):
                await echoed(client, b"line %d\n" % n)
            client.process.stdin.close()
            await echo
            assert stream.closed()
            assert stream.error is None

        tls.run(main)

    def test_sni_and_alpn(self, tls):
        names = []

        async def main():
            context = server_context(tls.folder)
            context.set_alpn_protocols(["http/1.1"])
            context.sni_callback = lambda sock, name, ctx: names.append(name)
            tls.s_client("-servername", "some.test", "-alpn", "h2,http/1.1", *quiet())
            stream = await tls.accepted(context)
            await stream.wait_for_handshake()
            assert stream.socket.selected_alpn_protocol() == "http/1.1"

        tls.run(main)
        assert names == ["some.test"]

    def test_client_certificate(self, tls):
        async def main():
            context = server_context(tls.folder, verify_mode=ssl.CERT_REQUIRED)
            context.load_verify_locations(tls.folder / "ca.pem")
            tls.s_client("-cert", "client.pem", "-key", "client.key", *quiet())
            stream = await tls.accepted(context)
            await stream.wait_for_handshake()
            assert ((("commonName", "client"),),) == stream.socket.getpeercert()["subject"]

        tls.run(main)

    @pytest.mark.parametrize("certificate", [(), ("-cert", "other.pem", "-key", "other.key")])
    def test_client_certificate_refused(self, tls, caplog, certificate):
        async def main():
            context = server_context(tls.folder, verify_mode=ssl.CERT_REQUIRED)
            context.load_verify_locations(tls.folder / "ca.pem")
            tls.s_client(*certificate, *quiet())
            stream = await tls.accepted(context)
            closed = asyncio.Event()
            stream.set_close_callback(closed.set)
            with pytest.raises(ssl.SSLError) as caught:
                await stream.wait_for_handshake()
            assert stream.error is caught.value
            await closed.wait()

        tls.run(main)
        ((name, level, text),) = messages(caplog)
        assert (name, level) == ("tornado.general", "WARNING")
        assert text.startswith("SSL Error on FD PEER: [SSL: ")

    def test_version_mismatch(self, tls, caplog):
        async def main():
            tls.s_client("-tls1_2", *quiet())
            stream = await tls.accepted(server_context(tls.folder, minimum_version=ssl.TLSVersion.TLSv1_3))
            with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
                await stream.wait_for_handshake()

        tls.run(main)
        assert messages(caplog) == [
            (
                "tornado.general",
                "WARNING",
                "SSL Error on FD PEER: [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol (_ssl.c)",
            )
        ]

    @pytest.mark.parametrize("allowed", [True, False])
    def test_renegotiation(self, tls, allowed):
        """What R makes openssl's client do. Where it is refused (openssl's default) the client gives up."""

        async def main():
            context = server_context(tls.folder, maximum_version=TLS12)
            if allowed:
                context.options |= ALLOW_CLIENT_RENEGOTIATION
            client = tls.s_client("-tls1_2")
            stream = await tls.accepted(context)
            await stream.wait_for_handshake()
            echo = asyncio.ensure_future(echo_lines(stream))
            await echoed(client, b"before\n")
            await client.said(b"Extended master secret")
            client.tell(b"R\n")
            await client.said(b"RENEGOTIATING")
            if allowed:
                for n in range(5):
                    await echoed(client, b"after %d\n" % n)
                client.tell(b"R\n")
                await until(lambda: client.output.count(b"RENEGOTIATING") == 2)
                await echoed(client, b"and again\n")
                client.tell(b"Q\n")
            await echo
            assert stream.closed()

        tls.run(main)

    def test_key_updates(self, tls):
        async def main():
            client = tls.s_client("-tls1_3")
            stream = await tls.accepted(server_context(tls.folder))
            await stream.wait_for_handshake()
            echo = asyncio.ensure_future(echo_lines(stream))
            await echoed(client, b"before\n")
            for n, command in enumerate([b"k\n", b"K\n", b"K\n", b"k\n"]):
                client.tell(command)
                await until(lambda n=n: client.output.count(b"KEYUPDATE") == n + 1)
                await echoed(client, b"after %d\n" % n)
            client.tell(b"Q\n")
            await echo

        tls.run(main)

    @pytest.mark.parametrize("how", ["close_notify", "ragged"])
    @pytest.mark.parametrize("read", ["until_close", "bytes", "callback"])
    def test_peer_leaves(self, tls, caplog, how, read):
        async def main():
            client = tls.s_client(*quiet())
            stream = await tls.accepted(server_context(tls.folder))
            await stream.wait_for_handshake()
            closed = asyncio.Event()
            if read == "callback":
                stream.set_close_callback(closed.set)
            else:
                reading = stream.read_until_close() if read == "until_close" else stream.read_bytes(100)
                client.tell(b"last words\n")
                await until(lambda: stream._read_buffer_size == len(b"last words\n"))
                await stream.write(b"seen\n")
                await client.said(b"seen")
            if how == "ragged":
                client.process.kill()
            else:
                client.process.stdin.close()
            if read == "until_close":
                assert await reading == b"last words\n"
            elif read == "bytes":
                with pytest.raises(tls.module.StreamClosedError):
                    await reading
            else:
                await closed.wait()
            assert stream.closed()
            # Killed with bytes unread, the client resets the connection.
            reset = how == "ragged" and isinstance(stream.error, ConnectionResetError)
            assert stream.error is None or reset

        tls.run(main)
        assert messages(caplog) == []

    def test_half_closed_peer(self, tls):
        """TCP's half is closed without close_notify, while the other half still carries an answer."""

        async def main():
            accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
            context = client_context(tls.folder)

            def peer():
                with socket.create_connection(("127.0.0.1", tls.port)) as sock:
                    with context.wrap_socket(sock, server_hostname="localhost") as wrapped:
                        wrapped.sendall(b"request\n")
                        assert wrapped.recv(100) == b"ready\n"
                        socket.socket.shutdown(wrapped, socket.SHUT_WR)
                        got = b""
                        try:
                            while chunk := wrapped.recv(100):
                                got += chunk
                        except ssl.SSLError:
                            pass  # the server's alert about the missing goodbye
                        return got

            loop = asyncio.get_running_loop()
            answer = loop.run_in_executor(None, peer)
            stream = await accepting
            assert await stream.read_until(b"\n") == b"request\n"
            await stream.write(b"ready\n")
            stream.write(b"answer\n")
            with pytest.raises(tls.module.StreamClosedError):
                await stream.read_until(b"\n")
            return await answer

        assert tls.run(main) == b"answer\n"


class TestHandshakeFailures:
    """Peers that talk no TLS, or stop doing so. The same exceptions and log lines as stock Tornado's."""

    def check(self, tls, talk, expected, match=None):
        async def main():
            peer = socket.create_connection(("127.0.0.1", tls.port))
            with peer:
                stream = await tls.accepted(server_context(tls.folder))
                closed = asyncio.Event()
                stream.set_close_callback(closed.set)
                waiting = stream.wait_for_handshake()
                await turns()
                talk(peer)
                with pytest.raises(expected, match=match):
                    await waiting
                await closed.wait()
                assert stream.closed()

        tls.run(main)

    def test_http(self, tls, caplog):
        self.check(tls, lambda peer: peer.sendall(b"GET / HTTP/1.0\r\n\r\n"), ssl.SSLError, "HTTP_REQUEST")
        assert [text for _, _, text in messages(caplog)] == [
            "SSL Error on FD PEER: [SSL: HTTP_REQUEST] http request (_ssl.c)"
        ]

    def test_garbage(self, tls, caplog):
        self.check(tls, lambda peer: peer.sendall(b"\x01" * 100), ssl.SSLError)
        ((_, level, text),) = messages(caplog)
        assert level == "WARNING"
        assert text.startswith("SSL Error on FD PEER: [SSL: ")

    def test_leaves_at_once(self, tls, caplog):
        self.check(tls, lambda peer: peer.close(), (ssl.SSLError, OSError))
        assert messages(caplog) == []

    def test_reset(self, tls, caplog):
        self.check(tls, reset, OSError)
        assert messages(caplog) == []

    def test_cut_in_the_middle(self, tls, caplog):
        def talk(peer):
            peer.sendall(bytes.fromhex("16030100f4010000f0"))
            peer.close()

        self.check(tls, talk, (ssl.SSLError, OSError))
        assert messages(caplog) == []

    @pytest.mark.parametrize("who", ["us", "never"])
    def test_closed_before_it_is_done(self, tls, caplog, who):
        """The peer says nothing."""

        async def main():
            with socket.create_connection(("127.0.0.1", tls.port)) as peer:
                stream = await tls.accepted(server_context(tls.folder))
                called = []
                stream.set_close_callback(lambda: called.append(1))
                waiting = stream.wait_for_handshake()
                reading = stream.read_bytes(1)
                writing = stream.write(b"x" * 100000)
                await turns(20)
                assert not waiting.done()
                stream.close()
                if who == "us":
                    for future in (waiting, reading, writing):
                        with pytest.raises(tls.module.StreamClosedError):
                            await future
                await until(lambda: called)
                peer.settimeout(30)
                assert peer.recv(1) == b""

        tls.run(main)
        assert messages(caplog) == []


class TestClientAndSServer:
    async def line_through(self, tls, *server_args, context, **kwargs):
        program, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-rev", *server_args)
        stream = tls.client_stream(context, **kwargs)
        await stream.connect(("127.0.0.1", port), server_hostname="localhost")
        await stream.write(b"abc\n")
        assert await stream.read_until(b"\n") == b"cba\n"
        return program, stream

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    def test_line(self, tls, version):
        async def main():
            _, stream = await self.line_through(tls, version, context=client_context(tls.folder))
            assert stream.socket.version() == {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version]

        tls.run(main)

    def test_options_as_a_dict(self, tls):
        async def main():
            options = {"ca_certs": str(tls.folder / "ca.pem"), "cert_reqs": ssl.CERT_REQUIRED}
            await self.line_through(tls, context=options)

        tls.run(main)

    def test_alpn(self, tls):
        async def main():
            context = client_context(tls.folder)
            context.set_alpn_protocols(["spdy", "xyz"])
            _, stream = await self.line_through(tls, "-alpn", "xyz", context=context)
            assert stream.socket.selected_alpn_protocol() == "xyz"

        tls.run(main)

    def test_client_certificate(self, tls):
        async def main():
            context = client_context(tls.folder)
            context.load_cert_chain(tls.folder / "client.pem", tls.folder / "client.key")
            await self.line_through(tls, "-Verify", "1", "-CAfile", "ca.pem", context=context)

        tls.run(main)

    def test_client_certificate_missing(self, tls, caplog):
        """In TLS 1.3 the client believes itself connected and finds out when it reads or writes."""

        async def main():
            closed = (tls.module.StreamClosedError, ssl.SSLError)
            with pytest.raises(closed) as caught:
                await self.line_through(
                    tls, "-Verify", "1", "-verify_return_error", context=client_context(tls.folder)
                )
            return getattr(caught.value, "real_error", caught.value)

        error = tls.run(main)
        assert isinstance(error, OSError)
        assert {text.split(":")[0] for _, _, text in messages(caplog)} <= {"error on read"}

    @pytest.mark.parametrize("wrong", ["issuer", "name"])
    def test_certificate_errors(self, tls, caplog, wrong):
        async def main():
            _, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-rev")
            context = client_context(tls.folder, trusted="other" if wrong == "issuer" else "ca")
            stream = tls.client_stream(context)
            closed = asyncio.Event()
            stream.set_close_callback(closed.set)
            name = "wrong.test" if wrong == "name" else "localhost"
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await stream.connect(("127.0.0.1", port), server_hostname=name)
            assert stream.error is caught.value
            await closed.wait()

        tls.run(main)
        ((name, level, text),) = messages(caplog)
        assert (name, level) == ("tornado.general", "WARNING")
        assert text.startswith(
            "SSL Error on FD PEER: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        )

    def test_refused(self, tls, caplog):
        async def main():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                address = listener.getsockname()
            stream = tls.client_stream(client_context(tls.folder))
            with pytest.raises(ConnectionRefusedError):
                await stream.connect(address, server_hostname="localhost")
            assert isinstance(stream.error, ConnectionRefusedError)

        tls.run(main)

    def test_host_name_missing(self, tls, caplog):
        """A context that checks names refuses to wrap without one: in an event, where it is logged."""

        async def main():
            _, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-rev")
            stream = tls.client_stream(client_context(tls.folder))
            with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
                await stream.connect(("127.0.0.1", port))
            assert stream.closed()

        tls.run(main)
        assert messages(caplog)[0][1:] == ("ERROR", "Uncaught exception, closing connection.")

    def test_callback(self, our_tls):
        tls = our_tls

        async def main():
            _, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-rev")
            stream = tls.client_stream(client_context(tls.folder))
            got = []
            assert stream.connect(("127.0.0.1", port), lambda: got.append(1), "localhost") is None
            await until(lambda: got)
            stream.write(b"ab\n")
            stream.read_until(b"\n", got.append)
            await until(lambda: len(got) == 2)
            assert got == [1, b"ba\n"]

        tls.run(main)

    def test_server_renegotiates(self, tls):
        """openssl's server asks with R in its terminal (TLS 1.2), and its lines go on."""

        async def main():
            program, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-tls1_2")
            stream = tls.client_stream(client_context(tls.folder, maximum_version=TLS12))
            await stream.connect(("127.0.0.1", port), server_hostname="localhost")
            await stream.write(b"hello\n")
            await program.said(b"hello")
            reading = stream.read_until(b"\n")
            finished = stream.socket.get_channel_binding()
            program.tell(b"r\n")
            await until(lambda: stream.socket.get_channel_binding() != finished)
            program.tell(b"line\n")
            assert await reading == b"line\n"
            await stream.write(b"still here\n")
            await program.said(b"still here")

        tls.run(main)

    def test_server_updates_keys(self, tls):
        async def main():
            program, port = await tls.s_server("-cert", "server.pem", "-key", "server.key", "-tls1_3")
            stream = tls.client_stream(client_context(tls.folder))
            await stream.connect(("127.0.0.1", port), server_hostname="localhost")
            await stream.write(b"hello\n")
            await program.said(b"hello")
            for n, command in enumerate([b"K\n", b"k\n"]):
                reading = stream.read_until(b"\n")
                program.tell(command)
                await until(lambda n=n: program.output.count(b"SSL_do_handshake") > n)
                program.tell(b"line\n")
                assert await reading == b"line\n"
                await stream.write(b"answer %d\n" % n)
                await program.said(b"answer %d" % n)

        tls.run(main)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
class TestCurl:
    def test_large_both_ways(self, tls):
        """Curl sends 8 MB and gets them back, in the body of one exchange."""
        data = os.urandom(1 << 23)
        (tls.folder / "upload").write_bytes(data)

        async def main():
            program = tls.program(
                "curl", "-sS", "--cacert", "ca.pem", "--data-binary", "@upload", "-H", "Expect:",
                f"https://localhost:{tls.port}/", "--resolve", f"localhost:{tls.port}:127.0.0.1",
                "-o", "download",
            )  # fmt: skip
            stream = await tls.accepted(server_context(tls.folder))
            head = await stream.read_until(b"\r\n\r\n")
            size = int(re.search(rb"Content-Length: (\d+)", head)[1])
            stream.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            while size > 0:
                part = await stream.read_bytes(min(size, 100_000), partial=True)
                size -= len(part)
                await stream.write(part)
            assert await program.exited() == 0, program.output

        tls.run(main)
        assert (
            hashlib.sha256((tls.folder / "download").read_bytes()).digest() == hashlib.sha256(data).digest()
        )


class TestPairs:
    def test_large_both_ways_at_once(self, tls):
        data = os.urandom(1 << 22)

        async def main():
            left, right = await tls.pair()
            memory = bytearray(len(data))
            sent = [left.write(data), right.write(memoryview(data)), left.write(b"end\n")]
            got, size = await asyncio.gather(right.read_bytes(len(data)), left.read_into(memory))
            assert got == data
            assert size == len(data)
            assert memory == data
            assert await right.read_until(b"\n") == b"end\n"
            await asyncio.gather(*sent)

        tls.run(main)

    def test_many_small_messages(self, tls):
        async def main():
            left, right = await tls.pair()
            for n in range(3000):
                left.write(b"message %d\n" % n)
            for n in range(3000):
                assert await right.read_until(b"\n") == b"message %d\n" % n
            for n in range(300):
                await right.write(b"%d\n" % n)
                assert await left.read_until(b"\n") == b"%d\n" % n

        tls.run(main)

    @pytest.mark.parametrize("chunk", [1, 100, 16384, 20000])
    def test_chunk_sizes(self, tls, chunk):
        """Less than a record is taken at a time: what OpenSSL holds is not forgotten."""

        async def main():
            left, right = await tls.pair(read_chunk_size=chunk)
            data = os.urandom(50_000)
            left.write(data)
            assert await right.read_bytes(3) == data[:3]
            assert await right.read_bytes(1, partial=True) == data[3:4]
            assert await right.read_bytes(len(data) - 4) == data[4:]

        tls.run(main)

    def test_bytearray_is_the_callers_again(self, tls):
        async def main():
            left, right = await tls.pair()
            data = bytearray(1 << 20)
            sending = left.write(data)
            await right.read_bytes(len(data))
            await sending
            data.append(1)
            left.write(data)
            left.close()
            data.append(1)

        tls.run(main)

    def test_back_pressure(self, tls):
        async def main():
            left, right = await tls.pair()
            writing = left.write(bytes(1 << 24))
            await turns(50)
            assert not writing.done()
            assert left.writing()
            await right.read_bytes(1 << 24)
            await writing

        tls.run(main)

    def test_close_callback_after_buffered_data(self, tls):
        async def main():
            left, right = await tls.pair()
            await left.write(b"abc" * 20000)
            left.close()
            assert await right.read_bytes(3) == b"abc"
            assert await right.read_bytes(59_997) == b"abc" * 19_999
            with pytest.raises(tls.module.StreamClosedError):
                await right.read_bytes(1)

        tls.run(main)

    def test_wait_for_handshake(self, tls):
        async def main():
            stream, connecting, server = await both_ends(tls)
            waiting = server.wait_for_handshake()
            with pytest.raises(RuntimeError, match="Already waiting"):
                server.wait_for_handshake()
            assert await waiting is server
            assert await server.wait_for_handshake() is server
            await connecting
            server.close()
            stream.close()

        tls.run(main)

    def test_wait_for_handshake_with_a_callback(self, our_tls):
        tls = our_tls

        async def main():
            stream, connecting, server = await both_ends(tls)
            called = []
            assert server.wait_for_handshake(lambda: called.append(1)) is None
            await connecting
            await until(lambda: called)

        tls.run(main)

    def test_callback_where_the_client_leaves_after_the_handshake(self, our_tls):
        tls = our_tls
        told = contextvars.ContextVar("told")

        async def main():
            accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context(tls.folder).wrap_bio(incoming, outgoing, server_hostname="localhost")
            sock = socket.create_connection(("127.0.0.1", tls.port))
            tls.open.append(sock)
            server = await accepting
            seen = []
            told.set("then")

            def done():
                seen.append((server.closed(), told.get(), server.socket.cipher()))

            server.wait_for_handshake(done)
            told.set("later")
            sock.setblocking(False)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    await until(lambda: readable(sock))
                    incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                client.unwrap()
            sock.sendall(outgoing.read())
            sock.shutdown(socket.SHUT_WR)
            await until(lambda: seen)
            assert seen == [(False, "then", client.cipher())]
            await until(server.closed)

        tls.run(main)

    def test_callback_after_the_handshake(self, our_tls):
        tls = our_tls

        async def main():
            stream, connecting, server = await both_ends(tls)
            await asyncio.gather(server.wait_for_handshake(), connecting)
            called = []
            assert server.wait_for_handshake(lambda: called.append(1)) is None
            assert not called
            await until(lambda: called)
            server.close()
            assert server.wait_for_handshake(lambda: called.append(2)) is None
            await turns(5)
            assert called == [1]

        tls.run(main)

    def test_callback_of_a_handshake_that_fails(self, our_tls, caplog):
        tls = our_tls

        async def main():
            accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
            sock = socket.create_connection(("127.0.0.1", tls.port))
            tls.open.append(sock)
            server = await accepting

            def callback():
                raise AssertionError("called")

            kept = weakref.ref(callback)
            server.wait_for_handshake(callback)
            del callback
            assert kept() is not None
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            await until(server.closed)
            await turns(3)
            assert kept() is None

        tls.run(main)
        assert [level for _, level, _ in messages(caplog)] == ["WARNING"]

    def test_writes_before_the_handshake(self, tls):
        async def main():
            stream = tls.client_stream(client_context(tls.folder))
            accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
            connecting = stream.connect(("127.0.0.1", tls.port), server_hostname="localhost")
            first = stream.write(b"first\n")
            reading = stream.read_until(b"\n")
            server = await accepting
            answer = server.write(b"answer\n")
            assert await server.read_until(b"\n") == b"first\n"
            assert await reading == b"answer\n"
            await asyncio.gather(connecting, first, answer)

        tls.run(main)

    def test_corrupted_record(self, tls, caplog):
        """A record that was tampered with: everything before it arrives, then the error does."""

        async def main():
            accepting = asyncio.ensure_future(tls.accepted(server_context(tls.folder)))
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            peer = client_context(tls.folder).wrap_bio(incoming, outgoing, server_hostname="localhost")
            sock = socket.create_connection(("127.0.0.1", tls.port))
            tls.open.append(sock)
            stream = await accepting
            waiting = stream.wait_for_handshake()
            sock.setblocking(False)
            while not waiting.done():
                try:
                    peer.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                if outgoing.pending:
                    sock.sendall(outgoing.read())
                await asyncio.sleep(0.001)
                try:
                    incoming.write(sock.recv(65536))
                except BlockingIOError:
                    pass
            peer.write(b"a" * 16384)
            good = outgoing.read()
            peer.write(b"b" * 16384)
            bad = bytearray(outgoing.read())
            bad[-1] ^= 1
            reading = stream.read_bytes(16384)
            sock.sendall(good + bad)
            assert await reading == b"a" * 16384
            with pytest.raises((ssl.SSLError, tls.module.StreamClosedError)) as caught:
                await stream.read_bytes(1)
            error = getattr(caught.value, "real_error", caught.value)
            assert "BAD_RECORD_MAC" in str(error)
            assert stream.error is error

        tls.run(main)


class TestStartTls:
    async def plain(self, tls):
        accepting = asyncio.ensure_future(tls.accept())
        client = tls.module.IOStream(socket.socket())
        await client.connect(("127.0.0.1", tls.port))
        return tls.module.IOStream(await accepting), client

    def test_both_sides(self, tls):
        async def main():
            server, client = await self.plain(tls)
            await client.write(b"STARTTLS\n")
            assert await server.read_until(b"\n") == b"STARTTLS\n"
            called = []
            server.set_close_callback(lambda: called.append(1))
            left = server.start_tls(True, server_context(tls.folder))
            right = client.start_tls(False, client_context(tls.folder), server_hostname="localhost")
            left, right = await asyncio.gather(left, right)
            tls.open.extend([left, right])
            assert isinstance(left, tls.module.SSLIOStream)
            await left.write(b"secret\n")
            assert await right.read_until(b"\n") == b"secret\n"
            right.close()
            await until(lambda: called)

        tls.run(main)

    def test_not_idle(self, tls):
        async def main():
            server, client = await self.plain(tls)
            reading = server.read_bytes(1)
            with pytest.raises(ValueError, match="not idle"):
                server.start_tls(True, server_context(tls.folder))
            await client.write(b"ab")
            assert await reading == b"a"
            with pytest.raises(ValueError, match="not idle"):
                server.start_tls(True, server_context(tls.folder))
            tls.open.extend([server, client])

        tls.run(main)

    def test_certificate_error(self, tls, caplog):
        async def main():
            server, client = await self.plain(tls)
            left = server.start_tls(True, server_context(tls.folder))
            right = client.start_tls(
                False, client_context(tls.folder, trusted="other"), server_hostname="localhost"
            )
            with pytest.raises(ssl.SSLCertVerificationError):
                await right
            try:
                tls.open.append(await left)
            except (ssl.SSLError, tls.module.StreamClosedError, OSError):
                pass

        tls.run(main)
        assert "CERTIFICATE_VERIFY_FAILED" in messages(caplog)[0][2]

    def test_cancelled(self, our_tls):
        """Nobody else knows the new stream: it is closed, and the peer sees that."""
        tls = our_tls

        async def main():
            server, client = await self.plain(tls)
            starting = asyncio.ensure_future(server.start_tls(True, server_context(tls.folder)))
            await turns()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            with pytest.raises(tls.module.StreamClosedError):
                await client.read_bytes(1)

        tls.run(main)

    def test_refused_options(self, our_tls):
        """Wrapping fails: the socket is closed, not lost."""
        tls = our_tls

        async def main():
            server, client = await self.plain(tls)
            with pytest.raises(ValueError):
                client.start_tls(False, client_context(tls.folder))  # it checks names, and there is none
            with pytest.raises(tls.module.StreamClosedError):
                await server.read_bytes(1)

        tls.run(main)


class TestCallbacksOfTheSslModule:
    def test_closes_in_the_middle_of_the_handshake(self, our_tls, caplog):
        """The server's choice by name closes the stream that is shaking hands."""
        tls = our_tls

        async def main():
            context = server_context(tls.folder)
            streams = []

            def choose(sock, name, ctx):
                streams[0].close()

            context.sni_callback = choose
            client = tls.s_client("-servername", "some.test", *quiet())
            streams.append(await tls.accepted(context))
            with pytest.raises((tls.module.StreamClosedError, OSError)):
                await streams[0].wait_for_handshake()
            assert streams[0].closed()
            await client.exited()

        tls.run(main)

    def test_reads_in_the_middle_of_the_handshake(self, our_tls):
        tls = our_tls

        async def main():
            context = server_context(tls.folder)
            streams, reads = [], []
            context.sni_callback = lambda sock, name, ctx: reads.append(streams[0].read_until(b"\n"))
            client = tls.s_client("-servername", "some.test", *quiet())
            streams.append(await tls.accepted(context))
            await streams[0].wait_for_handshake()
            client.tell(b"line\n")
            assert await reads[0] == b"line\n"

        tls.run(main)

    @pytest.mark.parametrize("when", ["handshake", "renegotiation"])
    def test_comes_back_into_the_stream(self, our_tls, when):
        """OpenSSL is on the stack and is not entered again; what was written goes out afterwards."""
        tls = our_tls
        count = []

        async def main():
            context = server_context(tls.folder, maximum_version=TLS12)
            context.options |= ALLOW_CLIENT_RENEGOTIATION
            streams = []

            def choose(sock, name, ctx):
                count.append(name)
                stream = streams[0]
                if len(count) == (1 if when == "handshake" else 2):
                    stream.write(b"from inside\n")
                    for act in (stream._handle_read, stream._handle_write, stream._try_inline_read):
                        act()
                    stream._handle_events(stream.fileno(), IOLoop.READ | IOLoop.WRITE)

            context.sni_callback = choose
            client = tls.s_client("-servername", "some.test", "-tls1_2")
            streams.append(await tls.accepted(context))
            stream = streams[0]
            await stream.wait_for_handshake()
            echo = asyncio.ensure_future(echo_lines(stream))
            await echoed(client, b"before\n")
            if when == "renegotiation":
                client.tell(b"R\n")
            await client.said(b"from inside")
            await echoed(client, b"after\n")
            client.tell(b"Q\n")
            await echo

        tls.run(main)
        assert len(count) == (1 if when == "handshake" else 2)


def test_guest_mode(certificates):
    """On a foreign loop."""

    async def main():
        world = World(OURS, IOLoop.current())
        tls = TlsWorld(world, certificates)
        left, right = await tls.pair()
        data = os.urandom(1 << 20)
        sent = [left.write(data), right.write(data)]
        assert await asyncio.gather(right.read_bytes(len(data)), left.read_bytes(len(data))) == [data, data]
        await asyncio.gather(*sent)
        client = tls.s_client(*quiet())
        stream = await tls.accepted(server_context(certificates))
        echo = asyncio.ensure_future(echo_lines(stream))
        await echoed(client, b"over a guest\n")
        client.process.stdin.close()
        await echo
        for thing in world.open:
            thing.close()

    asyncio.run(main())
