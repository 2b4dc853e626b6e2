"""The third way to start a server: bind, fork and ``add_sockets``, each a step of the program's own.

What a worker must not share, such as a connection to a database, is made after the fork. The port may be
given as the first argument.
"""

import sys

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.process import fork_processes, task_id
from tornado_c.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write(f"Hello from worker {task_id()}\n")


app = Application([(r"/", MainHandler)])


def main() -> None:
    sockets = bind_sockets(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
    fork_processes(0)
    server = HTTPServer(app)
    server.add_sockets(sockets)
    IOLoop.instance().start()


if __name__ == "__main__":
    main()
