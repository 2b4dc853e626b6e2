"""Handlers as people write them: state that initialize() keeps, hooks that are overridden, arguments, JSON,
cookies, coroutines, methods that tools have replaced."""

import asyncio
import functools
import logging
import sys

from tornado import gen
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

TEXT = "Hello, world!"
DATABASE = {"name": "world"}


class InitializeHandler(RequestHandler):
    def initialize(self, db):
        self.db = db

    def get(self):
        self.write(TEXT)


class HooksHandler(RequestHandler):
    def initialize(self, db):
        self.db = db

    def set_default_headers(self):
        self.set_header("X-Frame-Options", "DENY")

    def prepare(self):
        self.user = self.current_user

    def get_current_user(self):
        return "alice"

    def on_finish(self):
        self.db = None

    def get(self):
        self.write(TEXT)


class ItemHandler(HooksHandler):
    async def get(self, id):
        name = self.get_argument("name", "nobody")
        self.write({"id": id, "name": name, "user": self.user})


class ArgumentHandler(RequestHandler):
    def get(self):
        self.write("Hello, " + self.get_argument("name"))


class DictHandler(RequestHandler):
    def get(self):
        self.write({"text": TEXT})


class CookieHandler(RequestHandler):
    def get(self):
        self.set_cookie("session", "0123456789abcdef")
        self.write(TEXT)


class ReplacedHandler(RequestHandler):
    def initialize(self):
        self.on_finish = self.forget

    def forget(self):
        pass

    def get(self):
        self.write(TEXT)


class CoroutineHandler(RequestHandler):
    @gen.coroutine
    def get(self):
        self.write(TEXT)


class SuspendHandler(RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        self.write(TEXT)


class WrappedHandler(RequestHandler):
    def get(self):
        self.write(TEXT)


def wrap(cls, name):
    """Replaces a method of a class as tracing tools do."""
    original = getattr(cls, name)

    @functools.wraps(original)
    def wrapper(self, *args, **kwargs):
        return original(self, *args, **kwargs)

    setattr(cls, name, wrapper)


for method in ("prepare", "on_finish", "log_exception"):
    wrap(WrappedHandler, method)


class AwaitedHandler(RequestHandler):
    """Its _execute is replaced by one that awaits the original, as error trackers do."""

    def get(self):
        self.write(TEXT)


def wrap_execute(cls):
    original = cls._execute

    async def wrapper(self, *args, **kwargs):
        return await original(self, *args, **kwargs)

    cls._execute = wrapper


wrap_execute(AwaitedHandler)

logging.basicConfig(level=logging.WARNING)
application = Application(
    [
        (r"/initialize", InitializeHandler, {"db": DATABASE}),
        (r"/hooks", HooksHandler, {"db": DATABASE}),
        (r"/items/([0-9]+)", ItemHandler, {"db": DATABASE}),
        (r"/argument", ArgumentHandler),
        (r"/dict", DictHandler),
        (r"/cookie", CookieHandler),
        (r"/replaced", ReplacedHandler),
        (r"/coroutine", CoroutineHandler),
        (r"/suspend", SuspendHandler),
        (r"/wrapped", WrappedHandler),
        (r"/awaited", AwaitedHandler),
    ]
)
HTTPServer(application).listen(int(sys.argv[1]), "127.0.0.1", backlog=4096)
IOLoop.current().start()
