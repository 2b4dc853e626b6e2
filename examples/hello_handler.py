"""The customary first program: a handler class, an application, and a port from the command line.

Run it with ``--help`` to see its options, with ``--port=8000`` to choose the port.
"""

import tornado_c.httpserver
import tornado_c.ioloop
import tornado_c.options
import tornado_c.web
from tornado_c.options import define, options

define("port", default=8888, help="port to listen on", type=int)


class MainHandler(tornado_c.web.RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")


def main() -> None:
    tornado_c.options.parse_command_line()
    application = tornado_c.web.Application([(r"/", MainHandler)])
    http_server = tornado_c.httpserver.HTTPServer(application)
    http_server.listen(options.port)
    tornado_c.ioloop.IOLoop.instance().start()


if __name__ == "__main__":
    main()
