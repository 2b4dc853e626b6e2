"""TCPServer with TLS, over real sockets."""

import asyncio
import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import sys

import pytest
import tornado.tcpserver

from support.children import FOREIGN_ENVIRONMENT
from support.live_tcp import TLS, LineServer, listening, run, talk
from tornado_c.tcpserver import TCPServer

OPENSSL = shutil.which("openssl")


@pytest.mark.parametrize("kind", ["dictionary", "context"])
def test_tls(kind):
    async def main():
        options = TLS
        if kind == "context":
            options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            options.load_cert_chain(TLS["certfile"], TLS["keyfile"])
        server = LineServer(ssl_options=options)
        port = listening(server)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        assert await talk(port, b"hello\n", ssl=client) == b"127.0.0.1 HELLO\n"
        server.stop()

    run(main)


def leave(sock):
    pass


def send_text(sock):
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        sock.recv(100)


def send_half_a_hello(sock):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="x").do_handshake()
    sock.sendall(outgoing.read()[:50])


def distrust(sock):
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize(
    "behave", [leave, send_text, send_half_a_hello, distrust], ids=lambda function: function.__name__
)
def test_tls_clients_that_fail(caplog, behave):
    """Their handshakes end with the exceptions and the lines in the log that stock Tornado has for them."""

    def client(port):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            behave(sock)

    async def scenario(module):
        class Server(module.TCPServer):
            async def handle_stream(self, stream, address):
                try:
                    await stream.wait_for_handshake()
                except Exception as e:
                    ends.append(type(e).__name__)
                else:
                    ends.append("a handshake")
                stream.close()
                done.set()

        done, ends = asyncio.Event(), []
        caplog.clear()
        server = Server(ssl_options=TLS)
        port = listening(server)
        await asyncio.get_running_loop().run_in_executor(None, client, port)
        await done.wait()
        server.stop()
        # The peer may have left when its address is asked for.
        unlike = re.compile(r"\(('127.0.0.1', \d+|not connected)\)|\d+")
        return ends, [(r.name, r.levelname, unlike.sub("N", r.getMessage())) for r in caplog.records]

    ours = run(lambda: scenario(sys.modules["tornado_c.tcpserver"]))
    assert ours == run(lambda: scenario(tornado.tcpserver))
    assert ours[0] != ["a handshake"]


def test_tls_peer_that_is_gone_already(monkeypatch, caplog):
    async def main():
        server = LineServer(ssl_options=TLS)
        module = sys.modules["tornado_c.tcpserver"]
        quiet = [
            ConnectionAbortedError(103, "mock"),
            OSError(22, "mock"),
            ssl.SSLError(ssl.SSL_ERROR_EOF, "mock"),
        ]
        for error in [*quiet, OSError(5, "mock"), ssl.SSLError(1, "mock")]:

            def fail(*args, error=error, **kwargs):
                raise error

            monkeypatch.setattr(module, "ssl_wrap_socket", fail)
            left, right = socket.socketpair()
            with right:
                if error in quiet:
                    server._handle_connection(left, "address")
                else:
                    with pytest.raises(OSError, match="mock"):
                        server._handle_connection(left, "address")
                assert left.fileno() == -1

    run(main)
    assert not caplog.records


# --------------------------------------------------------------------------- OpenSSL's own client


class TellingServer(TCPServer):
    """Answers a line with what it knows of the connection, and the line in capitals."""

    async def handle_stream(self, stream, address):
        await stream.wait_for_handshake()
        sock = stream.socket
        subject = dict(pair for pairs in (sock.getpeercert() or {}).get("subject", ()) for pair in pairs)
        told = f"{sock.version()} {sock.selected_alpn_protocol()} {subject.get('commonName')} "
        line = await stream.read_until(b"\n")
        await stream.write(told.encode() + line.upper())
        stream.close()


async def s_client(port, data, *options):
    process = await asyncio.create_subprocess_exec(
        OPENSSL,
        *("s_client", "-quiet", "-connect", f"127.0.0.1:{port}", *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=FOREIGN_ENVIRONMENT,
    )
    return (await process.communicate(data))[0]


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
def test_openssl_s_client():
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS["certfile"], TLS["keyfile"])
        context.load_verify_locations(TLS["certfile"])
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["line"])
        context.sni_callback = lambda sock, name, context: names.append(name)
        names = []
        server = TellingServer(ssl_options=context)
        port = listening(server)
        certificate = ("-cert", TLS["certfile"], "-key", TLS["keyfile"])
        answers = [
            await s_client(port, b"hello\n", "-tls1_2"),
            await s_client(port, b"hello\n", "-tls1_3", "-servername", "some.name"),
            await s_client(port, b"hello\n", "-tls1_3", "-alpn", "other,line", *certificate),
            await s_client(port, b"hello\n", "-tls1_2", *certificate),
        ]
        assert answers == [
            b"TLSv1.2 None None HELLO\n",
            b"TLSv1.3 None None HELLO\n",
            b"TLSv1.3 line foo.example.com HELLO\n",
            b"TLSv1.2 None foo.example.com HELLO\n",
        ]
        assert names.count("some.name") == 1
        long = b"x" * 1_000_000 + b"\n"
        assert await s_client(port, long, "-tls1_3") == b"TLSv1.3 None None " + long.upper()
        server.stop()

    run(main)
