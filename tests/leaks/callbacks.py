"""What callbacks, their stack contexts and engines leave behind, also where they end badly or never."""

import asyncio
import contextlib
import functools
import gc
import logging
import socket

from harness import check, main

from tornado_c import gen, stack_context
from tornado_c.concurrent import return_future
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, RequestHandler, asynchronous

logging.disable()

loop = IOLoop(make_current=True)


@contextlib.contextmanager
def entering():
    yield


def handle(kind, value, traceback):
    loop.stop()
    return True


def fail(*args):
    raise KeyError("told")


# ---- contexts, at each place where a callback can be registered ----


def with_add_callback(callback):
    loop.add_callback(callback)


def with_timeout(callback):
    loop.remove_timeout(loop.call_later(1000, callback))
    loop.call_later(0, callback)


def with_future(callback):
    loop.add_future(gen.convert_yielded(asyncio.sleep(0)), lambda future: callback())


def with_stream(callback):
    reader, writer = (IOStream(each) for each in socket.socketpair())

    def end(data):
        reader.close()
        callback()

    reader.set_close_callback(writer.close)
    reader.read_until(b"\n", end)
    writer.write(b"hello\n", lambda: None)


def with_handler(callback):
    pair = socket.socketpair()

    def ready(fd, events):
        loop.remove_handler(fd)
        for each in pair:
            each.close()
        callback()

    loop.add_handler(pair[0], ready, loop.WRITE)


def with_task(callback):
    async def work():
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(callback)

    loop.add_callback(lambda: gen.convert_yielded(work()))


PLACES = [with_add_callback, with_timeout, with_future, with_stream, with_handler, with_task]


def in_contexts(place, callback):
    with (
        stack_context.StackContext(entering) as deactivate,
        stack_context.ExceptionStackContext(handle),
        stack_context.StackContext(entering),
    ):
        place(callback)
        loop.add_callback(deactivate)
    loop.start()


def in_another_order():
    """Contexts that are left in another order, and one that fails."""

    def wrong():
        with contextlib.suppress(stack_context.StackContextInconsistentError):
            with stack_context.StackContext(entering):
                kept = stack_context.StackContext(entering)
                kept.__enter__()

    @contextlib.contextmanager
    def failing():
        yield
        fail()

    def late():
        with contextlib.suppress(KeyError), stack_context.StackContext(failing):
            pass
        loop.stop()

    stack_context.run_with_stack_context(stack_context.NullContext(), wrong)
    loop.add_callback(stack_context.wrap(late))
    loop.start()


# ---- engines ----


def soon(*args, callback):
    loop.add_callback(callback, *args)


@return_future
def returns(value, callback):
    soon(value, callback=callback)


@gen.engine
def waits(callback):
    soon(1, callback=(yield gen.Callback("key")))
    yield gen.Task(soon, 1)
    yield [gen.Task(soon, 2), gen.Wait("key"), returns(3), asyncio.sleep(0)]
    yield {"a": gen.Task(soon, 4)}
    callback()


@gen.engine
def raises(callback):
    yield gen.Task(soon)
    fail()


@gen.engine
def catches(callback):
    try:
        yield gen.Task(lambda callback: loop.add_callback(fail))
    except KeyError:
        callback()


@gen.engine
def leaks_a_key(callback):
    yield gen.Callback("key")


@gen.engine
def unknown_key(callback):
    yield gen.Wait("key")


@gen.engine
def never(callback):
    callback()
    yield gen.Callback("key")
    yield gen.Wait("key")


@gen.engine
def never_of_several(callback):
    callback()
    yield [gen.Task(lambda callback: None), gen.Task(soon)]


@gen.coroutine
def decorated():
    yield gen.Task(soon)
    yield gen.with_timeout(loop.time() + 1000, returns(1))
    return 1


ENGINES = [waits, raises, catches, leaks_a_key, unknown_key, never, never_of_several]


def engine(function):
    with stack_context.ExceptionStackContext(handle):
        loop.add_callback(function, callback=loop.stop)
    loop.start()
    gc.collect()


# ---- handlers ----


begun = []


class Handler(RequestHandler):
    @asynchronous
    def get(self, how):
        begun.append(how)
        if how == "engine":
            self.engine()
        elif how != "never":
            loop.call_later(0, getattr(self, how))

    def ends(self):
        self.finish("done")

    def ends_twice(self):
        self.finish("done")
        self.finish("again")

    def flushes(self):
        self.write("done")
        self.flush(callback=self.finish)

    def fails(self):
        fail()

    def wrapped(self):
        loop.add_callback(self.async_callback(functools.partial(self.finish, "done")))

    @gen.engine
    def engine(self):
        yield gen.Task(soon)
        yield gen.Task(lambda callback: None)


HANDLED = ["ends", "ends_twice", "flushes", "fails", "wrapped"]
sockets = bind_sockets(0, "127.0.0.1")
server = HTTPServer(Application([(r"/(\w+)", Handler)]))
server.add_sockets(sockets)


def ask(how, leave=False):
    async def run():
        running = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await running.sock_connect(client, sockets[0].getsockname())
            await running.sock_sendall(client, f"GET /{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            if leave:
                while not begun:
                    await asyncio.sleep(0)
            else:
                assert await running.sock_recv(client, 65536)
        begun.clear()
        while server._connections:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_sync(run, timeout=60)
    gc.collect()


if __name__ == "__main__":
    for place in PLACES:
        name = place.__name__.replace("_", " ")
        check(f"contexts: {name}", functools.partial(in_contexts, place, loop.stop))
        check(f"contexts: {name} that fails", functools.partial(in_contexts, place, fail))
    check("contexts: left in another order", in_another_order)
    for function in ENGINES:
        check(f"engines: {function.__name__}", functools.partial(engine, function))
    check("engines: a coroutine", lambda: loop.run_sync(decorated))
    for how in HANDLED:
        check(f"handlers: {how}", functools.partial(ask, how), repeats=10)
    for how in [*HANDLED, "never", "engine"]:
        check(f"handlers: {how}, the client leaves", functools.partial(ask, how, leave=True), repeats=10)
    server.stop()
    main()
