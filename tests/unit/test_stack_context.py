"""tornado_c.stack_context: contexts follow what is registered in them, wherever that is called."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import pytest

from support.children import run_alone
from support.iostream_world import until
from tornado_c import iostream, netutil, process, stack_context
from tornado_c.ioloop import IOLoop, PeriodicCallback
from tornado_c.stack_context import (
    ExceptionStackContext,
    NullContext,
    StackContext,
    StackContextInconsistentError,
    wrap,
)
from tornado_c.tcpserver import TCPServer


class Names:
    """The names of the contexts that are entered, and the exceptions that came to a handler."""

    def __init__(self):
        self.entered, self.left, self.caught = [], [], []

    @contextlib.contextmanager
    def enter(self, name):
        self.entered.append(name)
        try:
            yield
        except BaseException as error:
            self.left.append((name, error))
            raise
        finally:
            assert self.entered.pop() == name

    def context(self, name):
        return StackContext(functools.partial(self.enter, name))

    def handler(self, name, handles=True):
        def handle(kind, value, traceback):
            assert kind is type(value) and (traceback is None or traceback is value.__traceback__)
            self.caught.append((name, value))
            return handles

        return ExceptionStackContext(handle)


@pytest.fixture
def names():
    return Names()


def fail():
    raise KeyError("told")


# ---- the places ----

opened = []  # what is closed when a test ends


def by_add_callback(loop, call):
    loop.add_callback(call)


def by_add_callback_with_keywords(loop, call):
    loop.add_callback(lambda first, second, *, third: call(), 1, second=2, third=3)


def by_spawn_callback(loop, call):
    loop.spawn_callback(call)


def by_thread(loop, call):
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(loop.add_callback, call)).start()


def by_call_later(loop, call):
    loop.call_later(0.001, call)


def by_add_timeout(loop, call):
    loop.add_timeout(loop.time() + 0.001, call)


def by_call_at(loop, call):
    loop.call_at(loop.time() + 0.001, call)


def by_call_soon(loop, call):
    loop.asyncio_loop.call_soon(call)


def by_asyncio_timer(loop, call):
    loop.asyncio_loop.call_later(0.001, lambda a, b, c: call(), 1, 2, 3)


def by_add_future(loop, call):
    future = asyncio.Future()
    loop.add_future(future, lambda f: call())
    loop.asyncio_loop.call_soon(future.set_result, None, context=contextvars.Context())


def by_add_future_of_a_thread(loop, call):
    loop.add_future(loop.asyncio_loop.run_in_executor(None, int), lambda f: call())


def by_add_future_of_an_executor(loop, call):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    loop.add_future(pool.submit(time.sleep, 0.001), lambda f: call())
    pool.shutdown(wait=False)


def by_done_callback(loop, call):
    future = asyncio.Future()
    future.add_done_callback(lambda f: call())
    loop.asyncio_loop.call_soon(future.set_result, None, context=contextvars.Context())


def by_handler(loop, call):
    reader, writer = socket.socketpair()

    def ready(fd, events):
        loop.remove_handler(reader)
        reader.close()
        writer.close()
        call()

    loop.add_handler(reader, ready, loop.READ)
    writer.send(b"x")


def by_reader(loop, call):
    reader, writer = socket.socketpair()

    def ready():
        loop.asyncio_loop.remove_reader(reader)
        reader.close()
        writer.close()
        call()

    loop.asyncio_loop.add_reader(reader, ready)
    writer.send(b"x")


def streams(loop):
    pair = [iostream.IOStream(each) for each in socket.socketpair()]
    opened.extend(pair)
    return pair


def by_read(loop, call):
    left, right = streams(loop)
    left.read_until(b"\n", lambda data: call())
    right.write(b"line\n")


def by_read_of_what_is_there(loop, call):
    left, right = streams(loop)
    right.write(b"line\n")
    left.read_bytes(1, lambda data: left.read_bytes(2, lambda data: call()))


def by_streaming(loop, call):
    left, right = streams(loop)
    left.read_until_close(streaming_callback=lambda data: call(), callback=lambda data: None)
    right.write(b"line\n")


def by_write(loop, call):
    left, right = streams(loop)
    left.write(b"x", call)


def by_large_write(loop, call):
    left, right = streams(loop)
    left.write(b"x" * 1_000_000, call)
    right.read_bytes(1_000_000)


def by_close(loop, call):
    left, right = streams(loop)
    left.set_close_callback(call)
    right.close()


def by_own_close(loop, call):
    left, right = streams(loop)
    left.set_close_callback(call)
    left.close()


def by_connect(loop, call):
    listener = socket.create_server(("127.0.0.1", 0))
    stream = iostream.IOStream(socket.socket())
    opened.extend([listener, stream])
    stream.connect(listener.getsockname(), call)


def by_accept_handler(loop, call):
    (sock,) = netutil.bind_sockets(0, "127.0.0.1")

    def accepted(connection, address):
        connection.close()
        loop.remove_handler(sock)
        sock.close()
        call()

    netutil.add_accept_handler(sock, accepted)
    opened.append(socket.create_connection(sock.getsockname()))


def by_handle_stream(loop, call):
    (sock,) = netutil.bind_sockets(0, "127.0.0.1")

    class Server(TCPServer):
        def handle_stream(self, stream, address):
            stream.close()
            self.stop()
            call()

    Server().add_sockets([sock])
    opened.append(socket.create_connection(sock.getsockname()))


def by_exit_callback(loop, call):
    child = process.Subprocess([sys.executable, "-c", ""], stdout=subprocess.DEVNULL)
    child.set_exit_callback(lambda status: call())


def by_signal_handler(loop, call):
    loop.asyncio_loop.add_signal_handler(signal.SIGUSR1, call)
    loop.add_callback(os.kill, os.getpid(), signal.SIGUSR1)


def by_second_hand(loop, call):
    """Registered by a callback that was registered in the contexts."""
    loop.add_callback(lambda: loop.call_later(0.001, lambda: loop.add_callback(call)))


def by_wrap(loop, call):
    wrapped = wrap(call)
    loop.asyncio_loop.call_soon(wrapped, context=contextvars.Context())


PLACES = {name[3:]: function for name, function in globals().items() if name.startswith("by_")}

#: Where what a callback raises is answered for by what calls it, and no handler is asked.
ANSWERED = {"handle_stream", "accept_handler"}


@pytest.mark.parametrize("host", ["native", "guest"])
@pytest.mark.parametrize("place", PLACES)
def test_context_is_entered(names, place, host):
    async def main():
        seen = []
        with names.context("outer"):
            with NullContext(), names.context("one"), names.context("two"):
                PLACES[place](IOLoop.current(), lambda: seen.append([*names.entered]))
        assert names.entered == []
        await until(lambda: seen)
        assert seen[0] == ["one", "two"] and names.entered == []
        assert stack_context._state.contexts == ((), None)

    run_on(host, place, main)


@pytest.mark.parametrize("host", ["native", "guest"])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("place", sorted(PLACES.keys() - ANSWERED))
def test_exception_is_handled(names, place, inside, host, caplog):
    """By the innermost handler that returns true, if any."""

    async def main():
        with names.handler("outer"), names.handler("middle"):
            with names.handler("inner", handles=False), names.context("c") if inside else NullHandler():
                PLACES[place](IOLoop.current(), fail)
        await until(lambda: len(names.caught) == 2)
        assert [name for name, _ in names.caught] == ["inner", "middle"]
        assert {str(error) for _, error in names.caught} == {"'told'"}
        assert [name for name, _ in names.left] == (["c"] if inside else [])
        await asyncio.sleep(0.01)
        assert len(names.caught) == 2

    run_on(host, place, main)
    assert not caplog.records


@pytest.mark.parametrize("host", ["native", "guest"])
def test_exit_callbacks_have_their_own_contexts(names, host):
    """Whichever call has the process's one handler of SIGCHLD set."""

    async def main():
        seen = {}

        def begin(name):
            child = process.Subprocess([sys.executable, "-c", ""], stdout=subprocess.DEVNULL)
            child.set_exit_callback(lambda status: seen.setdefault(name, [*names.entered]))

        for name in ("one", "two"):
            with names.context(name):
                begin(name)
        begin("none")
        await until(lambda: len(seen) == 3)
        assert seen == {"one": ["one"], "two": ["two"], "none": []}

    run_on(host, "exit_callback", main)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("how", ["true", "raise", "again", "no exit", "deactivated"])
def test_managers_that_are_left_with_an_exception(how, several, caplog):
    """They see it, as in a with statement, and cannot end it; what they raise takes its place."""
    seen, error = [], KeyError("told")

    class Manager:
        def __enter__(self):
            seen.append("entered")

        def __exit__(self, kind, value, traceback):
            seen.append((kind, value, traceback is not None, sys.exc_info()[1]))
            if how == "raise" and value is error:
                raise OSError("left")
            if how == "again" and value is error:
                raise
            return True

    def fail():
        raise error

    async def main():
        with StackContext(contextlib.nullcontext) if several else NullContext():
            with StackContext(Manager) as deactivate:
                IOLoop.current().add_callback(fail)
                if how == "deactivated":
                    IOLoop.current().add_callback(deactivate)
                    IOLoop.current().add_callback(seen.append, "called")
        if how == "no exit":
            Manager.__exit__ = property(lambda self: 1 / 0)
        seen.clear()
        await asyncio.sleep(0.01)

    run(main)
    raised = caplog.records[0].exc_info[1]
    left = (KeyError, error, True, error)
    if how == "deactivated":
        assert seen == ["entered", left, "entered", (None, None, False, None), "called"]
    else:
        assert seen == (["entered"] if how == "no exit" else ["entered", left])
    if how == "raise":
        assert type(raised) is OSError and raised.__context__ is error
    elif how == "no exit":
        assert type(raised) is ZeroDivisionError
    else:
        assert raised is error


@pytest.mark.parametrize("several", [False, True])
def test_handlers_see_the_exception_that_is_handled(several):
    """As those that log with exc_info=True."""
    seen = []

    async def main():
        with StackContext(contextlib.nullcontext) if several else NullContext():
            with ExceptionStackContext(lambda *args: seen.append(sys.exc_info()) or True):
                IOLoop.current().add_callback(fail)
        await until(lambda: seen)

    run(main)
    assert seen[0][0] is KeyError and sys.exc_info()[0] is None


@pytest.mark.parametrize("host", ["native", "guest"])
@pytest.mark.parametrize("how", ["returns", "waits", "raises", "is cancelled"])
def test_first_steps_of_coroutines(names, host, how, caplog):
    """Of one that a callback returns: inside, whoever takes it."""

    async def main():
        seen, loop = [], IOLoop.current()

        async def work():
            seen.append([*names.entered])
            if how == "raises":
                raise KeyError("told")
            if how == "returns":
                return
            try:
                await asyncio.sleep(0.001 if how == "waits" else 100)
            finally:
                seen.append([*names.entered])

        with names.context("one"), names.context("two"):
            loop.add_callback(work)
        await until(lambda: seen)
        if how == "is cancelled":
            await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        await until(lambda: len(seen) > (how in ("waits", "is cancelled")))
        assert seen[0] == ["one", "two"] and names.entered == []
        await asyncio.sleep(0.01)

    run_on(host, "add_callback", main)
    assert len(caplog.records) == (how == "raises")


@pytest.mark.parametrize("host", ["native", "guest"])
def test_periodic_callbacks_are_inside(names, host):
    async def main():
        seen = []
        with names.context("one"), names.context("two"):
            periodic = PeriodicCallback(lambda: seen.append([*names.entered]), 1)
            periodic.start()
        await until(lambda: len(seen) > 2)
        periodic.stop()
        assert all(each == ["one", "two"] for each in seen)

    run_on(host, "add_callback", main)


def NullHandler():
    return ExceptionStackContext(lambda *args: False)


def run(main):
    loop = IOLoop()
    try:
        loop.run_sync(main)
    finally:
        loop.close(all_fds=True)


def run_on(host, place, main):
    if host == "guest" and place in (
        "call_soon",
        "asyncio_timer",
        "reader",
        "done_callback",
        "second_hand",
        "signal_handler",
    ):
        pytest.skip("asyncio's own handles, which know nothing of contexts")
    if place == "exit_callback":
        process.Subprocess.uninitialize()

    async def clean():
        try:
            await main()
        finally:
            for thing in opened:
                thing.close()
            opened.clear()

    if host == "guest":
        asyncio.run(clean())
    else:
        run(clean)


# ---- contexts ----


def calling(loop, function, *args):
    """Call a function by the loop and wait for its result."""
    done = asyncio.Future()

    def call():
        try:
            done.set_result(function(*args))
        except BaseException as error:
            done.set_exception(error)
            raise

    loop.add_callback(call)
    return done


def test_wrapped_functions_have_their_own_contexts_alone(names):
    async def main():
        loop, seen = IOLoop.current(), []

        def look(*args, **kwargs):
            seen.append(([*names.entered], args, kwargs))

        with names.context("a"):
            wrapped = wrap(look)
        assert wrap(wrapped) is wrapped and wrap(None) is None
        with names.context("b"):
            loop.add_callback(wrapped, 1)
            loop.add_callback(wrapped, 2, x=3)
            loop.add_callback(functools.partial(look, 4))
            assert wrapped(5) is None
            bare = wrap(look)
        with NullContext():
            empty = wrap(lambda: loop.add_callback(look))
        with names.context("c"):
            empty()
        await asyncio.sleep(0.01)
        bare()
        assert seen == [
            (["b", "a"], (5,), {}),  # "b" was around the call
            (["a"], (1,), {}),
            (["a"], (2,), {"x": 3}),
            (["b"], (4,), {}),
            ([], (), {}),
            (["b"], (), {}),
        ]
        assert wrap(lambda *args: args)(1, 2) == (1, 2)

    run(main)


def test_deactivation(names):
    async def main():
        loop = IOLoop.current()
        for gone in range(8):
            with NullContext():
                with names.context("a") as a, names.context("b") as b, names.context("c") as c:
                    wrapped = wrap(lambda: [*names.entered])
                    seen = []
                    loop.add_callback(lambda: seen.append([*names.entered]))  # noqa: B023
                for place, deactivate in enumerate((a, b, c)):
                    if gone & 1 << place:
                        deactivate()
                left = [name for place, name in enumerate("abc") if not gone & 1 << place]
                assert wrapped() == wrapped() == left
                await until(lambda: seen)  # noqa: B023
                assert seen == [left]

    run(main)


def test_deactivated_handlers_are_not_asked(names, caplog):
    async def main():
        loop = IOLoop.current()
        with names.handler("outer"), names.handler("inner") as deactivate:
            loop.add_callback(fail)
            deactivate()
        await until(lambda: names.caught)
        assert [name for name, _ in names.caught] == ["outer"]

    run(main)
    assert not caplog.records


def test_deactivated_contexts_are_forgotten():
    """A chain of callbacks, each of which enters a context and ends it, does not grow."""
    refs = []

    class Handler:
        def __call__(self, *args):
            return False

    async def main():
        loop, done = IOLoop.current(), asyncio.Future()

        def step(n):
            handler = Handler()
            refs.append(weakref.ref(handler))
            with ExceptionStackContext(handler) as deactivate:
                loop.add_callback(step, n - 1) if n else done.set_result(None)
            deactivate()

        step(100)
        await done
        gc.collect()
        assert len([ref for ref in refs if ref() is not None]) < 5

    run(main)


def test_leaving_in_another_order(names):
    outer, inner = names.context("outer"), NullHandler()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(StackContextInconsistentError):
        outer.__exit__(None, None, None)
    assert stack_context._state.contexts == ((), None)
    with pytest.raises(StackContextInconsistentError):
        inner.__exit__(None, None, None)
    stack_context._state.contexts = ((), None)
    with pytest.raises(StackContextInconsistentError, match="inside of itself"):
        with inner:
            with inner:
                pass
    assert stack_context._state.contexts == ((), None)
    with inner:
        assert stack_context._state.contexts == ((), inner)


def test_a_deactivated_context_is_left_after_another(names):
    with names.context("outer"):
        with names.context("deactivated") as deactivate:
            deactivate()
            with names.context("inner"):
                pass
            with pytest.raises(ValueError, match="context"):
                with StackContext(functools.partial(int, "no context")):
                    pass
        assert wrap(names.entered.copy)() == ["outer", "outer"]
    assert stack_context._state.contexts == ((), None)


def test_many_contexts_that_are_deactivated(names):
    """More of them than Python has frames, each around one that stays."""
    with contextlib.ExitStack() as exits:
        for deactivate in [exits.enter_context(NullHandler()) for _ in range(2400)][::2]:
            deactivate()
        with names.handler("handler"):
            wrapped = wrap(lambda: 1 / 0)
    wrapped()
    assert [type(error) for _, error in names.caught] == [ZeroDivisionError]


def test_exceptions_in_the_block_itself(names):
    with names.handler("handler"):
        raise KeyError("told")
    assert [name for name, _ in names.caught] == ["handler"]
    with pytest.raises(KeyError):
        with names.context("context"):
            raise KeyError("told")
    with pytest.raises(KeyError):
        with names.handler("refuses", handles=False):
            raise KeyError("told")
    with names.handler("no exception"):
        pass
    assert [name for name, _ in names.caught] == ["handler", "refuses"]


def test_run_with_stack_context(names):
    seen = stack_context.run_with_stack_context(names.context("a"), lambda: [*names.entered])
    assert seen == ["a"] and names.entered == []


def test_contexts_that_fail(names, caplog):
    """What entering or leaving raises takes the place of the result, or of the exception."""

    class Failing:
        def __init__(self, where):
            self.where = where

        def __enter__(self):
            if self.where == "enter" and armed:
                raise ValueError("enter")

        def __exit__(self, *args):
            if self.where == "exit" and armed:
                raise ValueError("exit")

    async def main():
        loop = IOLoop.current()
        for where in ("enter", "exit"):
            for call in (lambda: ran.append(where), fail):  # noqa: B023
                armed.clear()
                names.caught.clear()
                with names.handler("handler"), names.context("around"):
                    with StackContext(functools.partial(Failing, where)), names.handler("inner"):
                        loop.add_callback(call)
                armed.append(True)
                await until(lambda: names.caught)
                assert names.caught[-1][0] == "handler" and str(names.caught[-1][1]) == where
                assert names.entered == []
        assert ran == ["exit"]

    armed, ran = [], []
    run(main)
    assert not caplog.records


def test_handlers_that_raise(names):
    def replace(kind, value, traceback):
        raise ValueError("replaced") from value

    async def main():
        with names.handler("outer"), ExceptionStackContext(replace):
            IOLoop.current().add_callback(fail)
        await until(lambda: names.caught)
        ((_, error),) = names.caught
        assert isinstance(error, ValueError) and isinstance(error.__cause__, KeyError)

    run(main)


def test_nobody_handles_it(caplog):
    async def main():
        with ExceptionStackContext(lambda *args: None):
            IOLoop.current().add_callback(fail)
        await asyncio.sleep(0.01)

    run(main)
    (record,) = caplog.records
    assert record.getMessage().startswith("Exception in callback <function fail")
    names = [entry.tb_frame.f_code.co_name for entry in tracebacks(record.exc_info[2])]
    assert names == ["fail"]


def tracebacks(traceback):
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def test_a_handled_exception_leaves_the_stream_open(names):
    """One that nobody handles closes it, as ever."""

    async def main():
        for handles in (True, False):
            left, right = (iostream.IOStream(each) for each in socket.socketpair())
            with names.handler("handler", handles):
                left.read_bytes(1, lambda data: fail())
            right.write(b"x")
            await until(lambda: names.caught)
            names.caught.clear()
            await asyncio.sleep(0.01)
            assert left.closed() is not handles
            left.close()
            right.close()

    loop = IOLoop()
    loop.handle_callback_exception = lambda callback: None
    loop.asyncio_loop.set_exception_handler(lambda loop, context: None)
    loop.run_sync(main)
    loop.close()


def test_periodic_callbacks(names):
    async def main():
        seen = []
        with names.context("a"):
            periodic = PeriodicCallback(lambda: seen.append([*names.entered]), 1)
            periodic.start()
        await until(lambda: len(seen) > 2)
        periodic.stop()
        assert {tuple(each) for each in seen} == {("a",)}

    run(main)


def test_tasks(names):
    """Each step of a Task that began in a context is inside of it."""

    async def work():
        seen = [[*names.entered]]
        await asyncio.sleep(0)
        seen.append([*names.entered])
        await asyncio.sleep(0.001)
        return [*seen, [*names.entered]]

    async def main():
        with names.context("a"):
            task = asyncio.ensure_future(work())
        assert await task == [["a"]] * 3

    run(main)


@pytest.mark.filterwarnings("ignore:add_callback_from_signal")
def test_signals(names):
    """A signal comes in any context, and takes none along."""

    async def main():
        loop, seen = IOLoop.current(), []
        old = signal.signal(
            signal.SIGUSR1,
            lambda *args: loop.add_callback_from_signal(lambda: seen.append([*names.entered])),
        )
        try:
            with names.context("a"):
                os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, old)
        await until(lambda: seen)
        assert seen == [[]]

    run(main)


def test_variables_of_the_application():
    """Are what they are without contexts."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def main():
        loop, seen = IOLoop.current(), []
        variable.set("a")
        with ExceptionStackContext(lambda *args: True):
            loop.add_callback(lambda: seen.append(variable.get()))
            variable.set("b")
        with StackContext(contextlib.nullcontext):
            loop.add_callback(lambda: seen.append(variable.get()))
        variable.set("c")
        await until(lambda: len(seen) == 2)
        assert seen == ["a", "b"]

    run(main)


@pytest.mark.parametrize("value", [None, (), ((),), ("x", None), ((1,), 2), [(), None], ((), 5)])
def test_contexts_that_are_none(value):
    """Whatever is put there, a callback is called or an exception logged."""
    with pytest.raises(TypeError):
        stack_context._state.contexts = value


def test_contexts_can_be_set(names):
    with names.context("a"):
        kept = stack_context._state.contexts
        assert len(kept[0]) == 1 and kept[1] is kept[0][0]
    assert stack_context._state.contexts == ((), None)
    stack_context._state.contexts = kept
    wrapped = wrap(lambda: [*names.entered])
    stack_context._state.contexts = ((), None)
    assert wrapped() == ["a"]


def test_what_is_wrapped_is_freed():
    class Thing:
        def method(self):
            pass

    thing = Thing()
    with NullHandler():
        wrapped = wrap(thing.method)
    gone = weakref.ref(thing)
    gc.disable()
    try:
        wrapped()
        del thing, wrapped
        assert gone() is None
    finally:
        gc.enable()


def test_unused_it_is_not_imported():
    program = "import sys, tornado_c.gen, tornado_c.web, tornado_c.websocket, tornado_c.httpserver\n"
    assert run_alone(program + "print('tornado_c.stack_context' in sys.modules)").split() == ["False"]
