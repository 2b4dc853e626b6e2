"""A server without an application: one function gets each request and writes the whole response itself.

Try ``curl http://127.0.0.1:8888/any/path``. The port may be given as the first argument.
"""

# ruff: noqa: UP031
import sys

from tornado_c import httpserver, ioloop
from tornado_c.httputil import HTTPServerRequest


def handle_request(request: HTTPServerRequest) -> None:
    message = "You requested %s\n" % request.uri
    request.write("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(message), message))
    request.finish()


def main() -> None:
    http_server = httpserver.HTTPServer(handle_request)
    http_server.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
    ioloop.IOLoop.instance().start()


if __name__ == "__main__":
    main()
