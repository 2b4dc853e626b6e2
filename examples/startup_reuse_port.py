"""A fourth way to start a server: a listening socket for each worker, all on one port (SO_REUSEPORT).

The system spreads new connections over the sockets, and each wakes one worker only. The parent binds all of
them and keeps them open: connections that wait at the socket of a worker that died are served by the one that
replaces it, and none is refused in between. The port may be given as the first argument.
"""

import os
import sys

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.process import cpu_count, fork_processes, task_id
from tornado_c.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write(f"Hello from worker {task_id()}, process {os.getpid()}\n")


app = Application([(r"/", MainHandler)])


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8888
    workers = cpu_count()
    listeners = [bind_sockets(port, reuse_port=True) for _ in range(workers)]
    number = fork_processes(workers)
    mine = listeners.pop(number)
    for sockets in listeners:  # this process' copies of the others'
        for sock in sockets:
            sock.close()
    server = HTTPServer(app)
    server.add_sockets(mine)
    IOLoop.instance().start()


if __name__ == "__main__":
    main()
