"""A file of 100 KB through StaticFileHandler."""

import logging
import sys
import tempfile
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, StaticFileHandler

logging.basicConfig(level=logging.WARNING)
folder = Path(tempfile.gettempdir(), "tornado_c-bench")
folder.mkdir(exist_ok=True)
Path(folder, "100k.bin").write_bytes(b"x" * 102400)
Path(folder, "small.txt").write_bytes(b"Hello, world!")
application = Application([(r"/static/(.*)", StaticFileHandler, {"path": str(folder)})])
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
