"""A form with a file: how large it is."""

import logging
import sys

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class UploadHandler(RequestHandler):
    def post(self):
        self.write(str(len(self.request.files["file"][0]["body"])))


logging.basicConfig(level=logging.WARNING)
HTTPServer(Application([(r"/upload", UploadHandler)])).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
