"""What reaches a running loop from outside: calls from threads that do nothing else, signals of a forked
child, a clock that is put on it, children that others have waited for.
"""

import asyncio
import contextlib
import functools
import signal
import subprocess
import sys
import threading
import unittest.mock

import pytest

import tornado_c
from support.children import run_alone
from tornado_c.ioloop import IOLoop
from tornado_c.process import Subprocess


@pytest.fixture
def loop():
    with contextlib.closing(tornado_c.new_event_loop()) as loop:
        yield loop


# --------------------------------------------------------------------------- threads


@pytest.mark.parametrize("way", ["add_callback", "call_soon_threadsafe", "executor"])
def test_a_thread_that_only_queues_calls(loop, way):
    """The loop keeps up with it, and stop() is acted on."""
    io_loop = IOLoop(make_current=False, asyncio_loop=loop)
    longest, over, started = 0, False, threading.Event()

    def call():
        nonlocal longest
        longest = max(longest, len(loop._ready))
        sum(range(50))

    def flood():
        add = io_loop.add_callback if way == "add_callback" else loop.call_soon_threadsafe
        while not over:
            started.set()
            add(call)

    def complete():
        while not over:
            started.set()
            future = asyncio.Future(loop=loop)
            loop.call_soon_threadsafe(future.add_done_callback, lambda _: call())
            loop.call_soon_threadsafe(future.set_result, None)

    thread = threading.Thread(target=complete if way == "executor" else flood)
    thread.start()
    assert started.wait(20)
    loop.call_later(0.5, io_loop.stop)
    loop.run_forever()
    over = True
    thread.join(20)
    loop._clear_ready()
    assert longest < 50_000
    io_loop.close()


def test_many_calls_before_the_loop_runs(loop):
    calls = []
    for i in range(20_000):
        loop.call_soon_threadsafe(calls.append, i)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert calls == list(range(20_000))


# --------------------------------------------------------------------------- signals of a child


@pytest.mark.parametrize("continues", [False, True])
def test_signals_of_a_forked_child(continues):
    """They are the child's own: its loop tells of them where it goes on, and the parent's never does."""
    program = """if True:
        import asyncio, os, signal, sys, time, tornado_c
        loop = tornado_c.EventLoop()
        got = []

        def handler():
            got.append(os.getpid())
            loop.stop()

        loop.add_signal_handler(signal.SIGUSR1, handler)
        loop.call_soon(loop.stop)
        loop.run_forever()
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
            if sys.argv[1] == "True":
                loop.call_later(20, loop.stop)
                loop.run_forever()
                os._exit(got != [os.getpid()])
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        loop.call_later(0.05, loop.stop)
        loop.run_forever()
        assert (status, got) == (0, []), (status, got)
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.call_later(20, loop.stop)
        loop.run_forever()
        assert got == [os.getpid()]
        loop.close()
        print("good")
    """
    assert run_alone(program, str(continues)) == "good\n"


# --------------------------------------------------------------------------- clocks


def shows(seconds):
    return lambda *_: seconds


@pytest.mark.parametrize("place", ["instance", "class", "base"])
def test_a_clock_put_on_a_running_loop(place):
    class Loop(tornado_c.EventLoop):
        pass

    def meddle():
        target = {"instance": loop, "class": Loop, "base": tornado_c.EventLoop}[place]
        with unittest.mock.patch.object(target, "time", shows(5000.0), create=True):
            seen.append(loop.time())
            seen.append(loop.call_later(10, loop.stop).when())
            seen.append(loop.call_later(0, print).when())
        seen.append(loop.call_later(0, int).when() < 4999 or loop.call_later(0, int).when() > 5001)
        loop.call_later(0.001, loop.stop)

    seen = []
    with contextlib.closing(Loop()) as loop:
        loop.call_soon(meddle)
        loop.run_forever()
    assert seen == [5000.0, 5010.0, 5000.0, True]


def test_time_moves_with_the_clock_of_a_running_loop(loop):
    """A timer far off is due at once when the clock jumps."""
    handle = loop.call_later(10_000, loop.stop)
    loop.call_soon(lambda: setattr(loop, "time", shows(handle.when() + 1)))
    loop.run_forever()
    del loop.time
    assert loop.time() < handle.when()


# --------------------------------------------------------------------------- what cannot be called


@pytest.fixture
def io_loop(implementation):
    io_loop = implementation.ioloop.IOLoop(make_current=False)
    yield io_loop
    io_loop.close()


@pytest.mark.parametrize("keywords", [{}, {"a": 1}])
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("add_callback", ()),
        ("spawn_callback", ()),
        ("call_later", (1,)),
        ("call_at", (1,)),
        ("add_timeout", (1,)),
    ],
)
def test_a_callback_that_cannot_be_called(io_loop, name, first, keywords):
    with pytest.raises(TypeError, match=r"the first argument must be callable"):
        getattr(io_loop, name)(*first, 5, **keywords)


def test_one_from_a_signal(io_loop):
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="first argument must be callable"):
        io_loop.add_callback_from_signal(5)


@pytest.mark.parametrize("factory", [tornado_c.EventLoop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("name", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_asyncio_checks_in_debug_mode(factory, name):
    with contextlib.closing(factory()) as loop:
        first = () if "soon" in name else (1,)
        loop.set_exception_handler(lambda *_: None)
        getattr(loop, name)(*first, 5)
        loop.set_debug(True)
        with pytest.raises(TypeError, match=r"a callable object was expected by call_\w+\(\), got 5"):
            getattr(loop, name)(*first, 5)


def test_a_subinterpreter_is_refused():
    program = """if True:
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import tornado_c
        source = f'''if True:
            import os, sys
            sys.path[:] = {sys.path!r}
            try:
                import tornado_c.ioloop
                os.write(1, b"imported")
            except ImportError:
                os.write(1, b"refused")
        '''
        interpreters.run_string(interpreters.create(), source)
    """
    # Python 3.12.1 words its own refusal from memory that is freed.
    assert run_alone(program, env={"PYTHONMALLOC": "malloc"}) == "refused"


# --------------------------------------------------------------------------- children


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_child_that_popen_has_reaped(code, when):
    async def main():
        child = Subprocess([sys.executable, "-c", f"raise SystemExit({code})"])
        if when == "before":
            child.proc.wait()
        ended = child.wait_for_exit(raise_error=False)
        if when == "meanwhile":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            try:
                child.proc.wait()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        return await asyncio.wait_for(ended, 20), child.returncode

    io_loop = IOLoop(make_current=False)
    try:
        assert io_loop.run_sync(main) == (code, code)
    finally:
        Subprocess.uninitialize()
        io_loop.close()


def test_an_error_code_of_a_child_that_popen_has_reaped():
    async def main():
        child = Subprocess(["false"])
        child.proc.wait()
        with pytest.raises(subprocess.CalledProcessError):
            await asyncio.wait_for(child.wait_for_exit(), 20)

    io_loop = IOLoop(make_current=False)
    try:
        io_loop.run_sync(functools.partial(main))
    finally:
        Subprocess.uninitialize()
        io_loop.close()
