"""Files through StaticFileHandler; the folder is made by servers.py."""

import logging
import sys
import tempfile
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, StaticFileHandler

logging.basicConfig(level=logging.WARNING)
folder = Path(tempfile.gettempdir(), "tornado_c-bench")
application = Application([(r"/static/(.*)", StaticFileHandler, {"path": str(folder)})])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
