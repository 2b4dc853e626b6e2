"""Two hundred patterns: /section0/N to /section199/N, and fifty more in a list below /nested/."""

import logging
import sys

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self, number):
        self.write("Hello, world!")


logging.basicConfig(level=logging.WARNING)
rules = [(rf"/section{i}/([0-9]+)", MainHandler) for i in range(200)]
nested = [(rf"/nested/section{i}/([0-9]+)", MainHandler) for i in range(50)]
application = Application([(r"/nested/.*", nested), *rules])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
