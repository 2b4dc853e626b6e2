"""Every TCP stream of ours has TCP_NODELAY from the start, as asyncio's transports do; what the application
sets afterwards stays."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import textwrap

import pytest

from support.children import CHILD_ENVIRONMENT
from support.iostream_world import turns
from support.live_http import Client, serving
from support.live_tcp import TLS, listening, run
from tornado_c import netutil
from tornado_c.httpserver import HTTPServer
from tornado_c.iostream import IOStream
from tornado_c.tcpclient import TCPClient
from tornado_c.tcpserver import TCPServer


def nodelay(stream):
    return bool(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def trusting():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Keeper(TCPServer):
    """Keeps the streams that it is given."""

    async def streams(self):
        while not self.kept:
            await asyncio.sleep(0.001)
        return self.kept

    def handle_stream(self, stream, address):
        self.kept.append(stream)


@contextlib.contextmanager
def keeper(**settings):
    server = Keeper(**settings)
    server.kept = []
    try:
        yield server
    finally:
        server.stop()
        for stream in server.kept:
            stream.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("tls", [None, TLS], ids=["plain", "tls"])
def test_both_ends(tls, host):
    async def main():
        with keeper(ssl_options=tls) as server:
            try:
                (sock,) = netutil.bind_sockets(0, host)
            except OSError:
                pytest.skip("no such address here")
            server.add_socket(sock)
            port = sock.getsockname()[1]
            stream = await TCPClient().connect(host, port, ssl_options=trusting() if tls else None)
            (other,) = await server.streams()
            assert nodelay(stream) and nodelay(other)
            stream.close()

    run(main)


def test_behind_a_proxy():
    async def main():
        with keeper(proxy_protocol=True, trusted_proxies=["127.0.0.1"]) as server:
            stream = IOStream(socket.socket())
            await stream.connect(("127.0.0.1", listening(server)))
            assert nodelay(stream)
            await stream.write(b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n")
            assert nodelay((await server.streams())[0])
            stream.close()

    run(main)


@pytest.mark.parametrize("way", ["native", "handed over", "tls"])
def test_http_servers(way):
    seen = []

    def answer(request):
        seen.append(nodelay(request.connection.stream))
        request.connection.stream.set_nodelay(False)
        request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        request.connection.finish()

    class Server(HTTPServer):
        if way == "handed over":

            def start_request(self, server_conn, request_conn):
                return super().start_request(server_conn, request_conn)

    settings = {"ssl_options": TLS} if way == "tls" else {}
    with serving(None, make=lambda: Server(answer, **settings)) as server, Client(server.address) as client:
        if way == "tls":
            client.sock = trusting().wrap_socket(client.sock)
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.answer()[1] == b"hi"
    assert seen == [True, False]  # once for each socket, not for each request


def test_the_applications_setting_stays_through_tls():
    async def main():
        with keeper() as server:
            stream = IOStream(socket.socket())
            await stream.connect(("127.0.0.1", listening(server)))
            (other,) = await server.streams()
            other.set_nodelay(False)
            secure, quick = await asyncio.gather(
                other.start_tls(True, TLS), stream.start_tls(False, trusting())
            )
            server.kept[:] = [secure]
            assert not nodelay(secure)
            assert nodelay(quick)
            quick.close()

    run(main)


def test_set_nodelay_means_it():
    """What was done to the socket meanwhile is not remembered wrongly."""

    async def main():
        with keeper() as server:
            stream = IOStream(socket.socket())
            await stream.connect(("127.0.0.1", listening(server)))
            stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            stream.set_nodelay(True)
            assert nodelay(stream)
            stream.close()

    run(main)


def test_sockets_without_the_option():
    async def main():
        left, right = socket.socketpair()
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (left, right, datagrams):
            stream = IOStream(sock)
            await turns()
            stream.close()

    run(main)


def test_modules_of_tornado_over_ours():
    """simple_httpclient and websocket, whose streams are made by our TCPClient."""
    program = """
        import tornado_c
        tornado_c.install()
        import asyncio, socket
        from tornado import httpclient, iostream, netutil, simple_httpclient, web, websocket

        seen = []
        def note(stream):
            seen.append(bool(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))

        class Hello(web.RequestHandler):
            def get(self):
                self.finish("hello")

        class Echo(websocket.WebSocketHandler):
            def on_message(self, message):
                note(self.ws_connection.stream)
                self.write_message(message)

        made = iostream.IOStream.connect
        def connect(self, *args, **kwargs):
            note(self)
            return made(self, *args, **kwargs)
        iostream.IOStream.connect = connect

        async def main():
            (sock,) = netutil.bind_sockets(0, "127.0.0.1")
            from tornado.httpserver import HTTPServer
            server = HTTPServer(web.Application([("/", Hello), ("/echo", Echo)]))
            server.add_socket(sock)
            address = "127.0.0.1:%d" % sock.getsockname()[1]
            response = await simple_httpclient.SimpleAsyncHTTPClient().fetch("http://%s/" % address)
            assert response.body == b"hello"
            client = await websocket.websocket_connect("ws://%s/echo" % address)
            await client.write_message("hi")
            assert await client.read_message() == "hi"
            client.close()
            assert await client.read_message() is None
            print(seen)

        tornado_c.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env=CHILD_ENVIRONMENT,
    )
    assert done.stdout == "[True, True, True]\n", done.stderr
