"""Hello world through Application and RequestHandler: / plain, /async as a coroutine; POST echoes the
body."""

import logging
import sys

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self):
        self.write("Hello, world!")

    def post(self):
        self.write(self.request.body)


class AsyncHandler(RequestHandler):
    async def get(self):
        self.write("Hello, world!")


logging.basicConfig(level=logging.WARNING)
application = Application([(r"/", MainHandler), (r"/async", AsyncHandler)])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
