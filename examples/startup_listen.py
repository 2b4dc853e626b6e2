"""The first way to start a server: ``listen``, in a single process.

The port may be given as the first argument.
"""

import sys

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write("Hello from one process\n")


app = Application([(r"/", MainHandler)])


def main() -> None:
    server = HTTPServer(app)
    server.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
    IOLoop.instance().start()


if __name__ == "__main__":
    main()
