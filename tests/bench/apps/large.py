"""A body of 1 MiB through HTTPServer(callback)."""

import sys

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.ioloop import IOLoop

OK = ResponseStartLine("HTTP/1.1", 200, "OK")
BODY = b"x" * (1 << 20)


def answer(request):
    headers = HTTPHeaders({"Content-Type": "text/plain", "Content-Length": str(len(BODY))})
    request.connection.write_headers(OK, headers, BODY)
    request.connection.finish()


HTTPServer(answer).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
