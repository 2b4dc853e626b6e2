"""What handlers leave behind that keep state, replace methods, write JSON, set cookies and are coroutines."""

import asyncio
import contextvars
import logging
import socket
from functools import partial

from harness import check, main

from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, RequestHandler

logging.getLogger("tornado").addHandler(logging.NullHandler())
logging.getLogger("tornado").propagate = False

loop = IOLoop(make_current=True)
VARIABLE = contextvars.ContextVar("variable")
KEPT = []


class Stateful(RequestHandler):
    def initialize(self, db, other):
        self.db, self.other = db, other

    def prepare(self):
        self.user = self.current_user

    def get(self, *args):
        self.write({"user": self.user, "args": args, "name": self.get_argument("name", "</")})
        self.set_cookie("a", "b")

    def on_finish(self):
        del self.db


class Replacing(Stateful):
    def prepare(self):
        self.on_finish = list
        self.compute_etag = lambda: '"x"'

    user = None


class Shown(Stateful):
    def prepare(self):
        vars(self)["user"] = 1


class BadJson(Stateful):
    def get(self, *args):
        self.write({"a": [object()]})


class Never(Stateful):
    async def get(self, *args):
        super().get(*args)


class Waits(Stateful):
    async def get(self, *args):
        await asyncio.sleep(0)
        super().get(*args)


class Fails(Stateful):
    async def get(self, *args):
        raise ValueError("mine")


class Keeps(Stateful):
    async def get(self, *args):
        KEPT[:] = [asyncio.current_task(), asyncio.current_task().get_coro(), self]


class Changes(Stateful):
    async def get(self, *args):
        VARIABLE.set(self)
        asyncio.current_task().mine = self


class Cancels(Stateful):
    async def get(self, *args):
        asyncio.current_task().cancel()
        await asyncio.get_running_loop().create_future()


class Stops(Stateful):
    async def get(self, *args):
        asyncio.current_task().cancel()


class Wrapped(Waits):
    async def _execute(self, *args, **kwargs):
        await super()._execute(*args, **kwargs)


HANDLERS = [Stateful, Replacing, Shown, BadJson, Never, Waits, Fails, Keeps, Changes, Cancels, Stops, Wrapped]

sockets = bind_sockets(0, "127.0.0.1")
rules = [(f"/{each.__name__}(/.*)?", each, {"db": {}, "other": [1]}) for each in HANDLERS]
server = HTTPServer(Application(rules))
server.add_sockets(sockets)


def talk(*names):
    async def run():
        running = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await running.sock_connect(client, sockets[0].getsockname())
            for name in names:
                await running.sock_sendall(client, f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                assert await running.sock_recv(client, 65536)
        while server._connections:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        KEPT.clear()

    loop.run_sync(run, timeout=60)


if __name__ == "__main__":
    for handler in HANDLERS:
        name = handler.__name__
        check(f"handlers: {name}", partial(talk, name), repeats=10)
        check(
            f"handlers: {name} among others",
            partial(talk, "Never", name + "/a%20b?name=x", "Never"),
            repeats=10,
        )
    server.stop()
    main()
