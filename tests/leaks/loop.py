"""What the event loop leaves behind."""

import asyncio
import socket

from harness import check, main

from tornado_c import new_event_loop
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream

loop = IOLoop(make_current=False)
ignored = {"exception": None}


def quiet(inner: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    ignored["exception"] = None


def turns(count: int = 3) -> None:
    for _ in range(count):
        loop.add_callback(loop.stop)
        loop.start()


def callbacks() -> None:
    async def coroutine() -> None:
        await asyncio.sleep(0)

    loop.add_callback(lambda: None)
    loop.add_callback(lambda *args, **kwargs: None, 1, 2, 3, four=4)
    loop.add_callback(coroutine)
    turns()


def timers() -> None:
    loop.remove_timeout(loop.call_later(100, print, 1, 2, 3))
    loop.call_later(0, int)
    loop.add_timeout(loop.time(), int)
    for wrong in ("x", None):
        try:
            loop.add_timeout(wrong, print)
        except TypeError:
            pass
    turns()


def handlers() -> None:
    a, b = socket.socketpair()
    with a, b:
        loop.add_handler(a, lambda fd, events: fd.recv(10), loop.READ)
        try:
            loop.add_handler(a, print, loop.READ)
        except ValueError:
            pass
        b.send(b"x")
        turns()
        loop.update_handler(a, loop.WRITE)
        loop.remove_handler(a)
        inner = loop.asyncio_loop
        inner.add_reader(a, print)
        inner.add_reader(a, int)
        inner.add_writer(a, int)
        turns()
        inner.remove_reader(a)
        inner.remove_writer(a)


def failing_handlers() -> None:
    a, b = socket.socketpair()
    inner = loop.asyncio_loop
    fd = a.detach()
    inner.add_reader(fd, print)
    socket.socket(fileno=fd).close()
    for add in (inner.add_writer, inner.add_writer):
        try:
            add(fd, print)
        except OSError:
            pass
    inner.remove_reader(fd)
    b.close()


def exceptions() -> None:
    loop.asyncio_loop.set_exception_handler(quiet)
    loop.asyncio_loop.call_soon(lambda: 1 / 0)
    turns()
    loop.asyncio_loop.set_exception_handler(None)


def run_sync() -> None:
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 5

    loop.run_sync(coroutine)
    try:
        loop.run_sync(lambda: 1 / 0)
    except ZeroDivisionError:
        pass


def loops() -> None:
    one = IOLoop(make_current=False)
    one.add_callback(one.stop)
    one.call_later(100, print)
    one.start()
    one.close()


def native_asyncio() -> None:
    async def body() -> None:
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(body())


def guest() -> None:
    """The host is closed with a timer, a reader and a stream's read pending: that ends the guest."""

    async def coroutine() -> None:
        await asyncio.sleep(0)

    async def body() -> None:
        inner = IOLoop.current()
        done = asyncio.Event()
        inner.call_later(0, done.set)
        inner.call_later(100, print)
        inner.spawn_callback(coroutine)
        inner.add_handler(a, print, inner.READ)
        IOStream(c).read_bytes(1)
        await done.wait()

    a, b = socket.socketpair()
    c, d = socket.socketpair()

    with a, b, c, d, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(body())


def task_factory() -> None:
    def factory(inner: asyncio.AbstractEventLoop, coro: object, **options: object) -> object:
        return asyncio.Task(coro, loop=inner, **options)

    async def coroutine() -> None:
        await asyncio.sleep(0)

    loop.asyncio_loop.set_task_factory(factory)
    loop.add_callback(coroutine)
    turns()
    loop.asyncio_loop.set_task_factory(None)


if __name__ == "__main__":
    for scenario in (callbacks, timers, handlers, failing_handlers, exceptions, run_sync, task_factory):
        check(scenario.__name__, scenario, repeats=50)
    for scenario in (loops, native_asyncio, guest):
        check(scenario.__name__, scenario, repeats=20)
    main()
