"""The second way to start a server: ``bind`` and ``start``, which forks a process for each processor.

A worker that dies is replaced. The port may be given as the first argument.
"""

import os
import sys

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write(f"Hello from process {os.getpid()}\n")


app = Application([(r"/", MainHandler)])


def main() -> None:
    server = HTTPServer(app)
    server.bind(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
    server.start(0)  # each child returns from here
    IOLoop.instance().start()


if __name__ == "__main__":
    main()
