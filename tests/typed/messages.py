"""HTTP without handlers: callbacks, delegates, clients, and every function of httputil."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable
from http.cookies import Morsel
from typing import Any

from tornado import httputil
from tornado.http1connection import (
    HTTP1Connection,
    HTTP1ConnectionParameters,
    HTTP1ServerConnection,
)
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPFile,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    ParseBodyConfig,
    ParseMultipartConfig,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient


class Delegate(HTTPMessageDelegate):
    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection
        self.chunks: list[bytes] = []

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if isinstance(start_line, RequestStartLine):
            print(start_line.method, start_line.path, start_line.version)
        else:
            print(start_line.code + 1, start_line.reason)
        return None

    async def data_received(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def finish(self) -> None:
        future: asyncio.Future[None] = self.connection.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": "1"})
        )
        print(future.done())
        self.connection.write(b"x")
        self.connection.finish()

    def on_connection_close(self) -> None:
        self.chunks.clear()


class Connections(HTTPServerConnectionDelegate):
    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return Delegate(request_conn)

    def on_close(self, server_conn: object) -> None:
        print("closed")


class Server(HTTPServer):
    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)


def callback(request: HTTPServerRequest) -> None:
    connection = request.connection
    assert connection is not None
    cookies: dict[str, Morsel[Any]] = request.cookies
    print(request.remote_ip, request.protocol.upper(), request.host, request.host_name, cookies)
    print(request.path.upper(), request.query, request.version, request.body.decode())
    print(request.request_time() + 1, request.full_url(), request.get_ssl_certificate())
    print(request.query_arguments["a"][0].decode(), request.body_arguments)
    connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"")
    connection.finish()


async def fetch(host: str, port: int) -> bytes:
    stream = await TCPClient().connect(host, port)
    params = HTTP1ConnectionParameters(chunk_size=10, max_header_size=100, decompress=True, body_timeout=5.0)
    connection = HTTP1Connection(stream, True, params, context=object())
    await connection.write_headers(RequestStartLine("GET", "/", ""), HTTPHeaders({"Host": host}))
    await connection.write(b"body")
    connection.finish()
    delegate = Delegate(connection)
    more: bool = await connection.read_response(delegate)
    connection.set_close_callback(lambda: print("closed"))
    connection.set_body_timeout(5)
    connection.set_max_body_size(10)
    if not more:
        taken: IOStream = connection.detach()
        taken.close()
    connection.close()
    return b"".join(delegate.chunks)


async def serve(stream: IOStream) -> None:
    connection = HTTP1ServerConnection(stream, HTTP1ConnectionParameters(no_keep_alive=True))
    connection.start_serving(Connections())
    await connection.close()


def headers() -> str:
    made = HTTPHeaders({"A": "b"})
    made.add("A", "c")
    made["B"] = "d"
    if "A" in made:
        del made["A"]
    made.update({"C": "d"})
    parsed = HTTPHeaders.parse("A: b\r\n")
    parsed.parse_line("C: d")
    copied: HTTPHeaders = parsed.copy()
    text: str = copied["A"] + copied.get("Missing", "default")
    for name, value in sorted(copied.get_all()):
        text += name + value
    for name in copied:
        text += name
    return text + ",".join(made.get_list("A")) + str(len(made)) + str(dict(made.items()))


def functions() -> None:
    print(httputil.url_concat("http://a/", {"a": "b"}), httputil.url_concat("/", [("a", "b")]))
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    config = ParseBodyConfig(multipart=ParseMultipartConfig(max_parts=1))
    httputil.set_parse_body_config(config)
    httputil.parse_body_arguments("text/plain", b"", arguments, files, HTTPHeaders(), config=config)
    httputil.parse_multipart_form_data(b"b", b"", arguments, files)
    stamp: str = httputil.format_timestamp(datetime.datetime.now()) + httputil.format_timestamp(1.5)
    line = httputil.parse_request_start_line("GET / HTTP/1.1")
    answer = httputil.parse_response_start_line("HTTP/1.1 200 OK")
    host, port = httputil.split_host_and_port("a:1")
    print(stamp, line.method, answer.code + 1, host.upper(), port)
    print(httputil.encode_username_password("a", b"b"), httputil.parse_cookie("a=b")["a"].upper())
    print(list(httputil.qs_to_qsl({"a": [b"b"]})))
    file = HTTPFile(filename="a", body=b"b", content_type="c")
    print(file.filename, HTTPInputError("x"), HTTPOutputError("y"))
    request = HTTPServerRequest("GET", "/", headers=HTTPHeaders(), host="a", files={"f": [file]})
    print(request)


async def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server = HTTPServer(callback, xheaders=True, ssl_options=context, trusted_downstream=["1.2.3.4"])
    server.bind(8888)
    server.start()
    server.stop()
    await server.close_all_connections()
    Server(Connections(), no_keep_alive=True, chunk_size=10).listen(8889)
    print(await fetch("localhost", 80), headers())
    functions()


if __name__ == "__main__":
    asyncio.run(main())
