"""Hello world through HTTPServer(callback), answered with write_headers and finish; a body is echoed."""

import sys

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.ioloop import IOLoop

OK = ResponseStartLine("HTTP/1.1", 200, "OK")


def answer(request):
    body = request.body or b"Hello, world!"
    headers = HTTPHeaders({"Content-Type": "text/plain", "Content-Length": str(len(body))})
    request.connection.write_headers(OK, headers, body)
    request.connection.finish()


HTTPServer(answer).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
