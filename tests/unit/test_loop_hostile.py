"""A loop, its IOLoop and a guest's core whose attributes hold anything or nothing, and whose private
functions are called with anything: errors come of it, and the process lives.
"""

import pytest

from support.children import run_alone

TOOLS = """if True:
    import asyncio, gc, itertools, os, signal, socket, sys, threading
    import tornado_c
    from tornado_c import _core
    from tornado_c._asyncio.eventloop import GuestCore
    from tornado_c.ioloop import IOLoop

    class Hostile:
        def __bool__(self): raise KeyError
        def __eq__(self, other): raise KeyError
        def __hash__(self): raise KeyError
        def __call__(self, *args, **kwargs): raise KeyError
        def __index__(self): raise KeyError
        def __getattr__(self, name): raise KeyError

    DELETED = object()
    VALUES = [5, -1, None, "x", (), [1], {}, Hostile(), int, DELETED, float("nan"), 2**70]
    sys.unraisablehook = lambda unraisable: None

    def attempt(function, *args):
        # A call that does not end ends with the alarm's exception.
        try:
            function(*args)
        except (Exception, SystemExit):
            pass

    def put(obj, name, value):
        delattr(obj, name) if value is DELETED else setattr(obj, name, value)

    def names(obj):
        return sorted({*dir(type(obj)), *vars(obj)} - {"__class__", "__dict__", "__weakref__"})

    async def handler():
        await asyncio.sleep(0)
        return 1

    class TooLong(BaseException):
        pass

    def too_long(*args):
        raise TooLong

    signal.signal(signal.SIGALRM, too_long)
"""

LOOP = """
    def use(loop):
        io_loop = IOLoop(make_current=False, asyncio_loop=loop)
        a, b = socket.socketpair()
        a.setblocking(False)
        loop.call_soon(int)
        loop.call_soon(max, 1, 2, 3)
        loop.call_later(0, int)
        loop.call_later(50, int)
        io_loop.add_callback(handler)
        io_loop.add_callback(print, file=None, end="")
        io_loop.add_handler(a.fileno(), lambda fd, events: a.recv(10), io_loop.READ)
        loop.add_reader(b, int)
        b.send(b"x")
        return io_loop, a, b

    def meddle(name, value, debug):
        loop = tornado_c.EventLoop()
        loop.set_debug(debug)
        loop.set_exception_handler(lambda loop, context: None)
        io_loop, a, b = use(loop)

        def during():
            attempt(put, loop, name, value)
            for each in (
                lambda: loop.call_soon(int), lambda: loop.call_later(0, int),
                lambda: io_loop.add_callback(handler), lambda: loop.create_task(handler()),
                lambda: io_loop.call_later(0, int),
                lambda: loop.call_soon_threadsafe(int), loop.create_future, lambda: loop._ready.append(5),
                lambda: loop.run_in_executor(None, int), lambda: list(loop._scheduled), IOLoop.current,
                lambda: loop._selector.get_map(),
            ):
                attempt(each)

        loop.call_soon(during)
        stopper = threading.Timer(0.002, lambda: attempt(loop.call_soon_threadsafe, loop.stop))
        loop.call_later(0.001, lambda: _core.LoopCore.stop(loop))
        signal.setitimer(signal.ITIMER_REAL, 1)
        try:
            loop.run_forever()
        except (Exception, TooLong):
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        attempt(io_loop.close)
        attempt(loop.close)
        a.close()
        b.close()
        asyncio._set_running_loop(None)

    every = names(tornado_c.EventLoop())
    mine = [name for i, name in enumerate(every) if i % PARTS == PART]
    for name, (i, value) in itertools.product(mine, enumerate(VALUES)):
        meddle(name, value, debug=i % 2)
    gc.collect()
    print("lives")
"""


@pytest.mark.parametrize("part", range(4))
def test_attributes_of_a_loop_that_runs(part):
    program = TOOLS + f"    PART, PARTS = {part}, 4\n" + LOOP
    assert run_alone(program) == "lives\n"


def test_functions_called_with_anything():
    program = (
        TOOLS
        + """
    def objects():
        loop = tornado_c.EventLoop()
        loop.set_exception_handler(lambda loop, context: None)
        io_loop = IOLoop(make_current=False, asyncio_loop=loop)
        timer = loop.call_later(50, int)
        io_loop.add_callback(int)
        run_callback = loop._ready[0]._callback
        host = asyncio.SelectorEventLoop()
        guest = GuestCore(host)
        guest.call_later(50, int)
        return {
            "loop": loop, "io_loop": io_loop, "timer": timer, "run_callback": run_callback,
            "guest": guest, "bare": _core.LoopCore(), "base": _core.IOLoopBase(), "ready": loop._ready,
            "transport": _core.SocketTransportBase.__new__(_core.SocketTransportBase),
            "selector": loop._selector, "scheduled": loop._scheduled,
            "running_ioloop": _core.running_ioloop,
            "unborn": tornado_c.EventLoop.__new__(tornado_c.EventLoop),
        }

    WAITS = {"run_forever", "_run_loop", "_run_once", "_select", "select", "run_sync", "start"}
    ENDS = {"__del__", "__reduce__", "__reduce_ex__", "__init_subclass__", "__subclasshook__", "__class__"}
    arguments = [
        (), (5,), (None,), ("x",), (-1, int), (0, 5, 7), (int,), (int, int), (2**40, int, 1), (Hostile(),)
    ]
    for key, obj in objects().items():
        methods = [None] if callable(obj) else [
            name for name in dir(obj) if name not in WAITS | ENDS and not name.startswith("__")
        ]
        for method, args in itertools.product(methods, arguments):
            everything = objects()
            target = everything[key]
            signal.signal(signal.SIGALRM, too_long)  # set_blocking_signal_threshold has put its own there
            try:
                signal.setitimer(signal.ITIMER_REAL, 1)
                attempt(target if method is None else lambda *args: getattr(target, method)(*args), *args)
                loop = everything["loop"]
                loop.call_soon(int)
                everything["guest"]._guest_turn()
                _core.LoopCore.call_soon(loop, lambda: _core.LoopCore.stop(loop))
                _core.LoopCore._run_loop(loop)
            except (Exception, TooLong):
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for each in everything.values():
                if isinstance(each, _core.LoopCore):
                    attempt(each._release)
            attempt(everything["guest"]._host.close)
            asyncio._set_running_loop(None)
        IOLoop._ioloop_for_asyncio.clear()
    gc.collect()
    print("lives")
"""
    )
    assert run_alone(program) == "lives\n"
