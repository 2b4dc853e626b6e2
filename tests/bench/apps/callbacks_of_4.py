"""Programs of Tornado 4's time, with stack_context: / says hello, /later finishes from a later callback."""

import logging
import sys

from tornado import stack_context, web  # noqa: F401
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

TEXT = "Hello, world!"


class MainHandler(web.RequestHandler):
    def get(self):
        self.write(TEXT)


class LaterHandler(web.RequestHandler):
    @web.asynchronous
    def get(self):
        IOLoop.current().add_callback(self.answer)

    def answer(self):
        self.write(TEXT)
        self.finish()


logging.basicConfig(level=logging.WARNING)
application = web.Application([(r"/", MainHandler), (r"/later", LaterHandler)])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
