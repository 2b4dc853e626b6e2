"""Hello world through HTTPServer(delegate): a message delegate for each request, which answers when it is
complete; a body is echoed."""

import sys

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine
from tornado.ioloop import IOLoop

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


class Message(HTTPMessageDelegate):
    def __init__(self, connection):
        self.connection = connection
        self.chunks = []

    def headers_received(self, start_line, headers):
        return None

    def data_received(self, chunk):
        self.chunks.append(chunk)

    def finish(self):
        body = b"".join(self.chunks) or b"Hello, world!"
        headers = HTTPHeaders({"Content-Type": "text/plain", "Content-Length": str(len(body))})
        self.connection.write_headers(OK, headers, body)
        self.connection.finish()


class Application(HTTPServerConnectionDelegate):
    def start_request(self, server_conn, request_conn):
        return Message(request_conn)


HTTPServer(Application()).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
