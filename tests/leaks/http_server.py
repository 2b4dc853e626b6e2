"""What HTTP servers leave behind: requests of all kinds, connections that end badly, servers that end."""

import asyncio
import gzip
import logging
import socket
from functools import partial

from harness import check, main

from tornado_c.httpserver import HTTPServer, _CallableAdapter
from tornado_c.httputil import HTTPHeaders, HTTPServerConnectionDelegate, ResponseStartLine
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets

logging.getLogger("tornado").addHandler(logging.NullHandler())
logging.getLogger("tornado").propagate = False

loop = IOLoop(make_current=True)
HOST = b" HTTP/1.1\r\nHost: a\r\n"
OK = ResponseStartLine("HTTP/1.1", 200, "OK")


def raw(request, text=b"x"):
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    request.finish()


async def handle(request):
    kind = request.path[1:]
    if kind == "attributes":
        for name in dir(request):
            getattr(request, name)
        raw(request, request.full_url().encode())
    elif kind == "headers":
        request.connection.write_headers(OK, HTTPHeaders({"X": "y"}), b"piece")
        await request.connection.write(b"other")
        request.connection.finish()
    elif kind == "wait":
        request.connection.set_close_callback(lambda: request)
        await asyncio.sleep(0)
        raw(request)
    elif kind == "raise":
        raise ValueError("mine")
    elif kind == "short":
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "5"}), b"x")
        request.finish()
    elif kind == "forged":
        request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "a\nb"), HTTPHeaders())
    elif kind == "detach":
        stream = request.connection.detach()
        await stream.write(b"bye")
        stream.close()
    elif kind == "never":
        request.connection.set_close_callback(lambda: request)
        request.connection.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000)
    else:
        raw(request, request.body)


class Delegating(HTTPServer):
    """Not native: its requests pass through HTTP1ServerConnection and delegates."""

    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)


class Holding(_CallableAdapter):
    """Holds the client back at the head and at each piece."""

    def headers_received(self, start_line, headers):
        super().headers_received(start_line, headers)
        return asyncio.sleep(0)

    def data_received(self, chunk):
        super().data_received(chunk)
        return asyncio.sleep(0)


class Delegate(HTTPServerConnectionDelegate):
    """Served natively."""

    def start_request(self, server_conn, request_conn):
        return Holding(handle, request_conn)


SERVERS, WAYS = {}, {}
for way, cls, application in (
    ("native", HTTPServer, handle),
    ("native delegate", HTTPServer, Delegate()),
    ("delegates", Delegating, handle),
):
    sockets = bind_sockets(0, "127.0.0.1")
    server = cls(application, xheaders=True, max_body_size=1000, decompress_request=True)
    server.add_sockets(sockets)
    SERVERS[server], WAYS[server] = sockets[0].getsockname(), way


def talk(server, *pieces, read=True):
    async def run():
        running = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await running.sock_connect(client, SERVERS[server])
            for piece in pieces:
                await running.sock_sendall(client, piece)
                await asyncio.sleep(0)
            try:
                while read and await running.sock_recv(client, 65536):
                    pass
            except ConnectionError:
                pass
        while server._connections:
            await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)


CLOSE = b"Connection: close\r\n\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n"
PARTS = b'--x\r\nContent-Disposition: form-data; name="f"; filename="g"\r\n\r\nhi\r\n--x--\r\n'
MULTIPART = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n" % len(PARTS)
ZIPPED = gzip.compress(b"hello")
ZIPPED_LENGTH = b"Content-Length: %d\r\n" % len(ZIPPED)
SCENARIOS = {
    "plain": [b"GET /" + HOST + b"\r\n", b"GET /" + HOST + CLOSE],
    "pipelined": [(b"GET /wait" + HOST + b"\r\n") * 5 + b"GET /" + HOST + CLOSE],
    "attributes": [
        b"POST /attributes?a=b" + HOST + b"Cookie: a=b\r\nX-Real-IP: 1.1.1.1\r\n" + FORM + CLOSE + b"a=1&b=2"
    ],
    "multipart": [b"POST /attributes" + HOST + MULTIPART + CLOSE + PARTS],
    "bad form": [b"POST /" + HOST + MULTIPART + CLOSE + PARTS.replace(b"form-data", b"data-form")],
    "lengths": [b"POST /attributes" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n" + CLOSE + b"hi"],
    "cut body": [b"POST /" + HOST + b"Content-Length: 9\r\n" + CLOSE, b"four", b"more", b"!"],
    "chunked": [
        b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n" + CLOSE,
        b"5\r\nhel",
        b"lo\r\n0\r\n\r\n",
    ],
    "bad chunk": [b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n" + CLOSE, b"5\r\nhel", b"looo\r\n"],
    "too long": [b"POST /" + HOST + b"Content-Length: 1001\r\n" + CLOSE],
    "malformed": [b"nonsense\r\n\r\n"],
    "gzip": [b"POST /" + HOST + b"Content-Encoding: gzip\r\n" + ZIPPED_LENGTH + CLOSE + ZIPPED],
    "bad gzip": [b"POST /" + HOST + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n" + CLOSE + b"hi"],
    "expect": [b"POST /" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n" + CLOSE, b"hi"],
    **{
        kind: [f"GET /{kind}".encode() + HOST + CLOSE]
        for kind in ("headers", "wait", "raise", "short", "forged", "detach")
    },
}
VANISHING = {
    "vanishes in the head": [b"GET / HT"],
    "vanishes in the body": [b"POST /" + HOST + b"Content-Length: 9\r\n\r\n", b"four"],
    "vanishes in the answer": [b"GET /never" + HOST + b"\r\n"],
    "vanishes while served": [b"GET /wait" + HOST + b"\r\n"],
}


def come_and_go():
    async def run():
        other = HTTPServer(raw, idle_connection_timeout=30, protocol="https")
        more = bind_sockets(0, "127.0.0.1")
        other.add_sockets(more)
        reader, writer = await asyncio.open_connection(*more[0].getsockname())
        writer.write(b"GET /" + HOST + b"\r\n")
        await reader.readuntil(b"\r\n\r\nx")
        other.stop()
        await other.close_all_connections()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    loop.run_sync(run, timeout=60)


if __name__ == "__main__":
    for server in SERVERS:
        way = WAYS[server]
        for name, pieces in SCENARIOS.items():
            check(f"http, {way}: {name}", partial(talk, server, *pieces), repeats=10)
        for name, pieces in VANISHING.items():
            check(f"http, {way}: {name}", partial(talk, server, *pieces, read=False), repeats=10)
    check("http: servers that come and go", come_and_go, repeats=10)
    for server in SERVERS:
        server.stop()
    main()
