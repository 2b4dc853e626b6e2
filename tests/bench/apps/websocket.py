"""WebSockets: /echo, /async and /deflate send back what they get, /large too, as bytes; /broadcast sends it
to every socket."""

import logging
import sys

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class EchoHandler(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


class AsyncHandler(WebSocketHandler):
    async def on_message(self, message):
        self.write_message(message)


class DeflateHandler(EchoHandler):
    def get_compression_options(self):
        return {}


class LargeHandler(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=True)


class BroadcastHandler(WebSocketHandler):
    everybody = set()

    def open(self):
        self.everybody.add(self)

    def on_close(self):
        self.everybody.discard(self)

    def on_message(self, message):
        for each in self.everybody:
            each.write_message(message)


logging.basicConfig(level=logging.WARNING)
handlers = [EchoHandler, AsyncHandler, DeflateHandler, LargeHandler, BroadcastHandler]
application = Application([("/" + each.__name__.removesuffix("Handler").lower(), each) for each in handlers])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
