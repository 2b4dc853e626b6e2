"""Handlers of the callback generation that end badly; also for Tornado 4.5 itself. Argument: the port."""

import functools
import gc
import logging
import socket
import sys
import weakref

from tornado import concurrent, gen, httpserver, ioloop, netutil, web

logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.INFO)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
alive = weakref.WeakSet()
begun, left, late, freed = [], [], [], []
loop = ioloop.IOLoop.instance()


def later(callback):
    loop.call_later(0.001, callback)


class Handler(web.RequestHandler):
    flushed = 0

    def prepare(self):
        alive.add(self)
        begun.append(self.request.path)

    def on_connection_close(self):
        left.append(self.request.path)


class Callbacks(Handler):
    @web.asynchronous
    def get(self, how):
        later(getattr(self, how))

    def raises(self):
        raise KeyError("told")

    def raises_after_finish(self):
        self.finish("finished")
        raise KeyError("told")

    def finishes_twice(self):
        self.finish("finished")
        self.finish("again")

    def writes_after_finish(self):
        self.finish("finished")
        self.write("more")

    def flushes_after_finish(self):
        self.finish("finished")
        self.flush()

    def sets_after_finish(self):
        self.finish("finished")
        self.set_status(404)
        self.set_header("A", "b")

    def redirects_after_finish(self):
        self.finish("finished")
        self.redirect("/")

    def errs_after_finish(self):
        self.finish("finished")
        self.send_error(404)

    def raises_after_flush(self):
        self.write("begun")
        self.flush()
        raise KeyError("told")

    def refuses(self):
        raise web.HTTPError(404, "not %s", "here")

    def ends(self):
        self.write("so far")
        raise web.Finish()

    def render_fails(self):
        self.render("none.html")

    def bad_chunk(self):
        self.write(1)


class Engines(Handler):
    @web.asynchronous
    @gen.engine
    def get(self, how):
        yield from getattr(self, how)()

    def raises(self):
        yield gen.Task(later)
        raise KeyError("told")

    def leaks_a_key(self):
        yield gen.Task(later)
        yield gen.Callback("key")

    def leaks_a_key_after_finish(self):
        yield gen.Task(later)
        yield gen.Callback("key")
        self.finish("finished")

    def unknown_key(self):
        yield gen.Wait("key")

    def key_twice(self):
        yield gen.Callback("key")
        yield gen.Callback("key")

    def bad_yield(self):
        yield 1

    def finishes_twice(self):
        yield gen.Task(later)
        self.finish("finished")
        yield gen.Task(later)
        self.finish("again")


class Coroutines(Engines):
    """Without asynchronous: the request is finished when the coroutine is."""

    @gen.coroutine
    def get(self, how):
        yield from getattr(self, how)()


class Waits(Handler):
    """The client leaves before each of these comes to its end, if one comes."""

    @web.asynchronous
    def get(self, how):
        getattr(self, how)()

    def never(self):
        self.callback = lambda: self.finish("never")

    @gen.engine
    def engine_never(self):
        try:
            yield gen.Task(lambda callback: None)
        finally:
            freed.append("engine_never")

    @gen.engine
    def key_never(self):
        try:
            yield gen.Callback("key")
            yield gen.Wait("key")
        finally:
            freed.append("key_never")

    @gen.coroutine
    def coroutine_never(self):
        try:
            yield gen.Task(lambda callback: None)
        finally:
            freed.append("coroutine_never")

    def when_left(self, callback):
        """Call it when the client has left."""
        if self.request.path in left:
            callback()
        else:
            loop.call_later(0.01, self.when_left, callback)

    def finish_later(self):
        self.when_left(functools.partial(self.finish, "late"))

    def write_later(self):
        def write():
            self.write("late")
            self.flush()
            self.finish()

        self.when_left(write)

    def flush_again(self):
        """Its callback writes on, for as long as it is called."""
        self.flushed += 1
        if self.request.path in left:
            late.append(self.flushed)
        self.write("again")
        self.flush(callback=self.flush_again)

    def raise_later(self):
        def fail():
            raise KeyError("told")

        self.when_left(fail)

    @gen.engine
    def engine_later(self):
        yield gen.Task(self.when_left)
        self.write("late")
        self.flush()
        self.finish()

    def error_later(self):
        self.when_left(functools.partial(self.send_error, 500))

    def redirect_later(self):
        self.when_left(functools.partial(self.redirect, "/"))


class State(web.RequestHandler):
    """Who has begun, who heard that the client left, how many flushed after that, and what is there."""

    def get(self):
        gc.collect()
        self.write({"begun": begun, "left": left, "late": len(late), "freed": freed, "alive": len(alive)})


class Raw:
    """A server's callback, which is there for as long as its request is."""

    def __init__(self, request):
        alive.add(self)
        begun.append(request.path)
        self.request = request
        request.raw = self
        how = request.path.rpartition("/")[2]
        if how.endswith("_late"):
            request.connection.set_close_callback(getattr(self, how))
        elif how == "raises":
            self.fail()
        else:
            later(getattr(self, how))

    def fail(self):
        raise KeyError("told")

    def respond(self):
        self.request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfinished")
        self.request.finish()

    def raises_later(self):
        self.respond()
        self.fail()

    def write_callback_raises(self):
        def fail():
            later(self.request.finish)
            self.fail()

        self.request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfinished", fail)

    def engine_raises(self):
        @gen.engine
        def run():
            yield gen.Task(later)
            self.respond()
            self.fail()

        run()

    def future_raises(self):
        @concurrent.return_future
        def returns(callback):
            later(callback)

        def end():
            self.respond()
            self.fail()

        returns(callback=end)

    def handler_raises(self):
        pair = socket.socketpair()

        def ready(fd, events):
            loop.remove_handler(fd)
            for each in pair:
                each.close()
            self.respond()
            self.fail()

        loop.add_handler(pair[0].fileno(), ready, loop.WRITE)

    def accept_raises(self):
        listener = socket.create_server(("127.0.0.1", 0))

        def accepted(connection, address):
            loop.remove_handler(listener)
            for each in (listener, connection):
                each.close()
            self.respond()
            self.fail()

        netutil.add_accept_handler(listener, accepted)
        socket.create_connection(listener.getsockname()).close()

    def writes_after_finish(self):
        self.respond()
        self.request.write(b"more")

    def finishes_twice(self):
        self.respond()
        self.request.finish()

    def responds_late(self):
        left.append(self.request.path)
        self.respond()

    def writes_late(self):
        left.append(self.request.path)
        self.request.write(b"HTTP/1.1 200 OK\r\n", self.fail)

    def raises_late(self):
        left.append(self.request.path)
        self.fail()

    def never_late(self):
        left.append(self.request.path)


application = web.Application(
    [
        (r"/callbacks/(\w+)", Callbacks),
        (r"/engines/(\w+)", Engines),
        (r"/coroutines/(\w+)", Coroutines),
        (r"/waits/(\w+)", Waits),
        ("/state", State),
        (r"/raw/\w+", web.FallbackHandler, {"fallback": Raw}),
    ]
)
server = httpserver.HTTPServer(application)
server.listen(int(sys.argv[1]), "127.0.0.1")
loop.start()
