"""Hello world through HTTPServer(callback) in the older style: the answer's own bytes through
request.write.

Tornado 4.5 and later have no such call, so this one runs for us alone."""

import sys

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"


def answer(request):
    request.write(HEAD + b"Hello, world!")
    request.finish()


HTTPServer(answer).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
