"""IOLoop, and the asyncio loop below it.

Where stock Tornado has the same call it is the oracle: those tests run over both.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import datetime
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref

import pytest
import tornado.ioloop

import tornado_c
from support.children import ROOT
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop, PeriodicCallback
from tornado_c.netutil import bind_sockets

LIMIT = 30  # seconds: far beyond what anything here takes


@pytest.fixture
def either(implementation):
    return implementation.ioloop.IOLoop


@contextlib.contextmanager
def fresh(cls):
    loop = cls(make_current=False)
    try:
        yield loop
    finally:
        loop.close()
        asyncio.set_event_loop(None)


@pytest.fixture
def both(either):
    with fresh(either) as loop:
        yield loop


@pytest.fixture
def loop():
    with fresh(IOLoop) as loop:
        yield loop


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    with a, b:
        yield a, b


def run_until_stopped(loop):
    guard = loop.call_later(LIMIT, lambda: os.abort())
    loop.start()
    loop.remove_timeout(guard)


def run_until(loop, condition):
    def look():
        if condition():
            loop.stop()
        else:
            loop.call_later(0.001, look)

    loop.add_callback(look)
    run_until_stopped(loop)


def messages(caplog, name="tornado.application"):
    return [record.getMessage() for record in caplog.records if record.name == name]


# --------------------------------------------------------------------------- which loop is current


class TestCurrent:
    def test_running_loop(self, either):
        with fresh(either) as loop:

            async def look():
                return either.current(), either.current(instance=False), either.instance()

            assert loop.run_sync(look) == (loop,) * 3

    def test_none_is_made_unasked(self, either):
        asyncio.set_event_loop(None)
        assert either.current(instance=False) is None

    def test_made_where_there_is_none(self):
        asyncio.set_event_loop(None)
        loop = IOLoop.current()
        try:
            assert IOLoop.current() is loop is IOLoop.instance()
            assert isinstance(loop.asyncio_loop, tornado_c.EventLoop)
        finally:
            loop.close()
            asyncio.set_event_loop(None)
        assert IOLoop.current(instance=False) is None

    def test_make_and_clear_current(self, either):
        with warnings.catch_warnings(), fresh(either) as loop:
            warnings.simplefilter("ignore", DeprecationWarning)
            loop.make_current()
            assert either.current() is loop
            either.clear_current()
            assert either.current(instance=False) is None

    def test_install(self, loop):
        with pytest.warns(DeprecationWarning, match="make_current is deprecated"):
            loop.install()
        assert IOLoop.current() is loop is IOLoop.instance()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(IOLoop.instance).result(LIMIT) is loop
            assert pool.submit(lambda: IOLoop.current(instance=False)).result(LIMIT) is None
        with pytest.warns(DeprecationWarning, match="clear_current is deprecated"):
            IOLoop.clear_current()

    def test_make_current_argument(self):
        asyncio.set_event_loop(None)
        first = IOLoop()
        try:
            assert IOLoop.current() is first
            second = IOLoop(make_current=False)
            assert IOLoop.current() is first
            second.close()
            third = IOLoop()
            assert IOLoop.current() is third
            third.close()
            assert IOLoop.current() is first
        finally:
            first.close()
            asyncio.set_event_loop(None)

    def test_one_ioloop_for_each_asyncio_loop(self, loop):
        with pytest.raises(RuntimeError, match="already associated"):
            IOLoop(make_current=False, asyncio_loop=loop.asyncio_loop)

    def test_loops_in_threads(self):
        seen = []

        def work():
            loop = IOLoop()
            try:
                loop.run_sync(lambda: seen.append((loop, IOLoop.current())))
            finally:
                loop.close()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert len({id(loop) for loop, _ in seen}) == 8
        assert all(loop is current for loop, current in seen)


# --------------------------------------------------------------------------- start, stop, close


class TestRunning:
    def test_stop_before_start(self, both):
        ran = []
        both.add_callback(ran.append, 1)
        both.stop()
        both.start()
        assert ran == [1]

    def test_stop_from_a_callback_ends_after_the_turn(self, both):
        ran = []
        both.add_callback(both.stop)
        both.add_callback(ran.append, 1)
        both.start()
        assert ran == [1]

    def test_start_again(self, both):
        for _ in range(3):
            both.add_callback(both.stop)
            run_until_stopped(both)

    def test_start_inside(self, loop):
        def nested():
            with pytest.raises(RuntimeError):
                loop.start()
            assert IOLoop.current() is loop

        loop.run_sync(nested)

    def test_callback_on_a_closed_loop(self, either):
        loop = either(make_current=False)
        loop.close()
        loop.add_callback(lambda: None)
        with pytest.raises(RuntimeError):
            loop.start()
        asyncio.set_event_loop(None)

    def test_close_with_all_fds(self, either, pair):
        a, b = pair
        loop = either(make_current=False)
        loop.add_handler(a, lambda *_: None, loop.READ)
        loop.add_handler(b.fileno(), lambda *_: None, loop.READ)
        loop.close(all_fds=True)
        asyncio.set_event_loop(None)
        assert a.fileno() == -1
        with pytest.raises(OSError):
            os.fstat(b.detach())

    def test_close_leaves_files_open(self, pair):
        loop = IOLoop(make_current=False)
        loop.add_handler(pair[0], lambda *_: None, loop.READ)
        loop.close()
        assert pair[0].fileno() != -1

    def test_close_while_running(self, loop):
        def close():
            with pytest.raises(RuntimeError, match="Cannot close a running"):
                loop.asyncio_loop.close()

        loop.run_sync(close)

    def test_many_loops_leak_no_descriptors(self):
        IOLoop(make_current=False).close()
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(2000):
            loop = IOLoop(make_current=False)
            loop.add_callback(loop.stop)
            loop.start()
            loop.close()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_closed_loop_is_collected(self):
        loop = IOLoop(make_current=False)
        loop.call_later(100, loop.stop)
        loop.add_callback(loop.stop)
        loop.close()
        asyncio.set_event_loop(None)
        dead = weakref.ref(loop.asyncio_loop)
        del loop
        gc.collect()
        assert dead() is None

    def test_unclosed_asyncio_loop_warns(self):
        loop = tornado_c.new_event_loop()
        loop.call_later(100, print)
        loop.call_soon(print)
        with pytest.warns(ResourceWarning, match="unclosed event loop"):
            del loop
            gc.collect()

    def test_fork_with_a_loop(self):
        """The child gets descriptors of its own, and disturbs nothing in the parent."""
        code = """
import os, signal, socket
from tornado_c.ioloop import IOLoop
signal.alarm(240)
loop = IOLoop(make_current=False)
a, b = socket.socketpair()
got = []
loop.add_handler(a, lambda fd, events: (got.append(fd.recv(9)), loop.stop()), loop.READ)
loop.add_callback(loop.stop)
loop.start()
pid = os.fork()
if pid == 0:
    os.write(b.fileno(), b"child")
    loop.start()
    loop.add_callback(loop.stop)
    loop.start()
    loop.close()
    a.close()
    b.close()
    os._exit(0 if got == [b"child"] else 1)
assert os.waitpid(pid, 0)[1] == 0
b.send(b"parent")
loop.start()
assert got == [b"parent"], got
loop.close(all_fds=True)
b.close()
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
        )
        assert (done.stderr, done.returncode) == ("", 0)


# --------------------------------------------------------------------------- callbacks


class TestCallbacks:
    def test_arguments_and_order(self, both):
        got = []
        both.add_callback(got.append, 1)
        both.spawn_callback(got.append, 2)
        both.add_callback(lambda *args, **kwargs: got.append((args, kwargs)), 3, 4, five=5)
        both.add_callback(lambda *args: got.append(args), *range(20))
        both.add_callback(both.stop)
        run_until_stopped(both)
        assert got == [1, 2, ((3, 4), {"five": 5}), tuple(range(20))]

    def test_added_inside_runs_in_the_next_turn(self, both):
        got = []

        def first():
            both.add_callback(got.append, "later")
            both.add_callback(both.stop)

        both.add_callback(first)
        both.add_callback(got.append, "now")
        run_until_stopped(both)
        assert got == ["now", "later"]

    def test_exception_is_logged(self, both, caplog):
        def fail():
            raise KeyError("told")

        both.add_callback(fail)
        both.add_callback(both.stop)
        run_until_stopped(both)
        (message,) = messages(caplog)
        assert message.startswith("Exception in callback ") and "fail" in message
        assert caplog.records[0].levelno == logging.ERROR
        assert isinstance(caplog.records[0].exc_info[1], KeyError)

    def test_exception_of_a_coroutine_is_logged(self, both, caplog):
        async def fail():
            await asyncio.sleep(0)
            raise KeyError("told")

        async def fail_at_once():
            raise KeyError("told")

        both.add_callback(fail)
        both.add_callback(fail_at_once)
        run_until(both, lambda: len(messages(caplog)) == 2)
        assert [message.startswith("Exception in callback ") for message in messages(caplog)] == [True, True]

    def test_cancellation_is_silent(self, both, caplog):
        async def cancelled():
            raise asyncio.CancelledError

        def raise_cancelled():
            raise asyncio.CancelledError

        both.add_callback(cancelled)
        both.add_callback(raise_cancelled)
        both.call_later(0.02, both.stop)
        run_until_stopped(both)
        assert not caplog.records

    def test_future_result_of_a_callback(self, both, caplog):
        def fail():
            future = both.asyncio_loop.create_future()
            future.set_exception(KeyError("told"))
            return future

        both.add_callback(fail)
        both.add_callback(lambda: "ignored")
        run_until(both, lambda: messages(caplog))
        assert len(messages(caplog)) == 1

    @pytest.mark.parametrize("place", ["class", "loop"])
    def test_overridden_handle_callback_exception(self, place):
        """The hook of 2.x-5.x, with one argument."""
        got = []

        class Loop(IOLoop):
            def handle_callback_exception(self, callback):
                got.append((callback, sys.exc_info()))

        def fail():
            raise KeyError("told")

        loop = Loop(make_current=False) if place == "class" else IOLoop(make_current=False)
        if place == "loop":
            loop.handle_callback_exception = lambda callback: Loop.handle_callback_exception(None, callback)
        loop.add_callback(fail)
        loop.add_callback(loop.stop)
        run_until_stopped(loop)
        loop.close()
        ((callback, (kind, exc, traceback)),) = got
        assert callback is fail and kind is KeyError and exc.args == ("told",)
        assert traceback is exc.__traceback__ and traceback.tb_frame.f_code is fail.__code__
        assert sys.exc_info() == (None, None, None)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_interrupts_leave_the_loop(self, both, kind):
        def interrupt():
            raise kind

        ran = []
        both.add_callback(interrupt)
        both.add_callback(ran.append, 1)
        with pytest.raises(kind):
            both.start()
        assert ran == []
        both.add_callback(both.stop)
        run_until_stopped(both)
        assert ran == [1]

    def test_from_threads(self, both):
        got = []

        def work(number):
            for i in range(200):
                both.add_callback(got.append, (number, i))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        both.add_callback(lambda: [thread.start() for thread in threads])
        run_until(both, lambda: len(got) == 800)
        for thread in threads:
            thread.join(LIMIT)
        for n in range(4):
            assert [i for number, i in got if number == n] == list(range(200))

    def test_thread_wakes_a_loop_that_sleeps(self, both):
        thread = threading.Thread(target=lambda: (time.sleep(0.05), both.add_callback(both.stop)))
        thread.start()
        run_until_stopped(both)
        thread.join(LIMIT)

    def test_context_variables(self, both):
        variable = contextvars.ContextVar("variable", default="unset")
        got = []
        for value in "ab":
            variable.set(value)
            both.add_callback(lambda: (got.append(variable.get()), variable.set("inside")))
            both.call_later(0.001, lambda: got.append(variable.get()))
        run_until(both, lambda: len(got) == 4)
        assert sorted(got) == ["a", "a", "b", "b"] and variable.get() == "b"

    def test_coroutine_sees_its_task(self, both):
        async def look():
            assert asyncio.current_task() is not None
            assert asyncio.get_running_loop() is both.asyncio_loop
            await asyncio.sleep(0)
            return asyncio.current_task() is not None

        got = []
        both.add_callback(lambda: both.add_future(asyncio.ensure_future(look()), got.append))
        run_until(both, lambda: got)
        assert got[0].result() is True

    def test_replaced_on_the_instance(self, loop):
        got = []
        loop.add_callback = lambda *args: got.append(args)
        loop.add_callback(1, 2)
        assert got == [(1, 2)]

    def test_missing_callback(self, both):
        with pytest.raises(TypeError):
            both.add_callback()
        with pytest.raises(TypeError):
            both.call_later(1)

    def test_from_a_signal_handler(self, both):
        deprecated = []

        def handler(number, frame):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                both.add_callback_from_signal(both.stop)
            deprecated.extend(w.category for w in caught)

        old = signal.signal(signal.SIGUSR1, handler)
        try:
            both.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
            run_until_stopped(both)
        finally:
            signal.signal(signal.SIGUSR1, old)
        assert deprecated == [DeprecationWarning]

    def test_signal_while_asleep(self, loop):
        old = signal.signal(signal.SIGALRM, lambda *_: loop.add_callback(loop.stop))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            run_until_stopped(loop)
        finally:
            signal.signal(signal.SIGALRM, old)


# --------------------------------------------------------------------------- timers


class TestTimeouts:
    def test_kinds_of_deadline(self, both):
        got = []
        # The later ones last: however long this takes, they keep their order.
        both.add_timeout(int(both.time()) - 5, got.append, 0)
        both.call_later(-1, lambda word: got.append(word), word=0)
        both.call_later(0.01, got.append, 1)
        both.add_timeout(both.time() + 0.02, got.append, 2)
        both.add_timeout(datetime.timedelta(seconds=0.03), got.append, 3)
        both.call_at(both.time() + 0.04, got.append, 4)
        run_until(both, lambda: 4 in got)
        assert got == [0, 0, 1, 2, 3, 4]

    def test_bad_deadline(self, both):
        for deadline in ("soon", None, object()):
            with pytest.raises(TypeError, match="Unsupported deadline"):
                both.add_timeout(deadline, print)

    def test_remove(self, both):
        got = []
        handles = [both.call_later(0.01, got.append, i) for i in range(5)]
        both.remove_timeout(handles[1])
        both.remove_timeout(handles[1])
        both.call_later(0.02, lambda: both.remove_timeout(handles[0]))  # it has run
        both.call_later(0.04, both.stop)
        run_until_stopped(both)
        assert got == [0, 2, 3, 4]

    def test_remove_one_that_is_due_in_the_same_turn(self, both):
        got = []
        both.call_later(0.01, lambda: both.remove_timeout(second))
        second = both.call_later(0.01, got.append, 2)
        both.add_callback(time.sleep, 0.03)
        both.call_later(0.05, both.stop)
        run_until_stopped(both)
        assert got == []

    def test_equal_deadlines_keep_their_order(self, loop):
        got = []
        when = loop.asyncio_loop.time() + 0.01
        for i in range(50):
            loop.asyncio_loop.call_at(when, got.append, i)
        loop.asyncio_loop.call_at(when, loop.stop)
        run_until_stopped(loop)
        assert got == list(range(50))

    def test_exception_is_logged(self, both, caplog):
        both.call_later(0, lambda: 1 / 0)
        both.call_later(0.02, both.stop)
        run_until_stopped(both)
        assert [m.startswith("Exception in callback ") for m in messages(caplog)] == [True]

    def test_time_is_the_wall_clock(self, both):
        assert abs(both.time() - time.time()) < LIMIT

    def test_own_time(self):
        class Loop(IOLoop):
            def time(self):
                return 1000.0

        loop = Loop(make_current=False)
        loop.add_timeout(1000.01, loop.stop)
        run_until_stopped(loop)
        loop.close()

    def test_cancelled_timers_leave_at_once(self, loop):
        for _ in range(1000):
            loop.remove_timeout(loop.call_later(1000, print))
        assert loop.asyncio_loop._scheduled == []

    def test_periodic(self, loop):
        got = []
        periodic = PeriodicCallback(lambda: got.append(1), 5)
        loop.add_callback(periodic.start)

        def watch():
            if len(got) >= 3:
                periodic.stop()
                loop.stop()
            else:
                loop.call_later(0.005, watch)

        loop.add_callback(watch)
        run_until_stopped(loop)
        assert not periodic.is_running()


# --------------------------------------------------------------------------- run_sync, futures, executors


class TestRunSync:
    def test_results(self, both):
        async def coroutine():
            await asyncio.sleep(0.001)
            return 2

        assert both.run_sync(lambda: None) is None
        assert both.run_sync(coroutine) == 2
        assert both.run_sync(coroutine, timeout=LIMIT) == 2

    def test_errors(self, both):
        async def coroutine():
            raise KeyError("inside")

        with pytest.raises(KeyError, match="inside"):
            both.run_sync(coroutine)
        with pytest.raises(ZeroDivisionError):
            both.run_sync(lambda: 1 / 0)

    def test_timeout(self, both):
        cancelled = []

        async def forever():
            try:
                await asyncio.sleep(LIMIT)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        with pytest.raises(asyncio.TimeoutError, match="Operation timed out after 0.01 seconds"):
            both.run_sync(forever, timeout=0.01)
        assert cancelled == [True]
        assert both.run_sync(lambda: None) is None

    def test_stopped(self, both):
        future = both.asyncio_loop.create_future()

        def stop():
            both.stop()
            return future

        with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
            both.run_sync(stop)
        future.cancel()

    def test_not_awaitable(self, both):
        with pytest.raises(Exception, match="yielded unknown object 42"):
            both.run_sync(lambda: 42)


class TestFutures:
    def test_add_future(self, both, caplog):
        got = []
        future = both.asyncio_loop.create_future()
        both.add_future(future, lambda f: got.append(f.result()))
        both.add_future(future, lambda f: 1 / 0)
        future.set_result(5)
        assert got == []
        run_until(both, lambda: got and messages(caplog))
        assert got == [5] and len(messages(caplog)) == 1

    def test_concurrent_future(self, both):
        got = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            both.add_future(pool.submit(lambda: 7), lambda f: (got.append(f.result()), both.stop()))
            run_until_stopped(both)
        assert got == [7]

    def test_run_in_executor(self, both):
        async def main():
            main_thread = threading.get_ident()
            assert await both.run_in_executor(None, threading.get_ident) != main_thread
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                both.set_default_executor(pool)
                assert await both.run_in_executor(None, int, "5") == 5
                with pytest.raises(ValueError):
                    await both.run_in_executor(pool, int, "x")

        both.run_sync(main, timeout=LIMIT)


# --------------------------------------------------------------------------- descriptors


class TestHandlers:
    @pytest.mark.parametrize("as_number", [False, True])
    def test_read_and_write(self, both, pair, as_number):
        a, b = pair
        fd = a.fileno() if as_number else a
        got = []

        def handler(which, events):
            got.append((which, events))
            if events & both.READ:
                a.recv(100)
                both.update_handler(fd, both.WRITE)
            else:
                both.remove_handler(fd)
                both.stop()

        both.add_handler(fd, handler, both.READ)
        b.send(b"x")
        run_until_stopped(both)
        assert got == [(fd, both.READ), (fd, both.WRITE)]

    def test_added_twice(self, both, pair):
        both.add_handler(pair[0], print, both.READ)
        with pytest.raises(ValueError, match="added twice"):
            both.add_handler(pair[0].fileno(), print, both.READ)
        both.remove_handler(pair[0])
        both.remove_handler(pair[0])

    def test_error_is_reported_with_what_was_asked_for(self, loop, pair):
        a, b = pair
        got = []

        def handler(fd, events):
            got.append(events)
            loop.remove_handler(fd)
            loop.stop()

        loop.add_handler(a, handler, loop.READ)
        b.close()
        run_until_stopped(loop)
        assert got[0] & loop.READ and got[0] & loop.ERROR

    def test_error_alone(self, loop, pair):
        a, b = pair
        got = []

        def handler(fd, events):
            got.append(events)
            loop.remove_handler(fd)
            loop.stop()

        loop.add_handler(a, handler, loop.ERROR)
        b.close()
        run_until_stopped(loop)
        assert got[0] & loop.ERROR and not got[0] & (loop.READ | loop.WRITE)

    def test_removes_itself_or_another_in_the_same_batch(self, both):
        """A handler that was removed is not called any more, though its event was there already."""
        pairs = [socket.socketpair() for _ in range(6)]
        called = []

        def handler(fd, events):
            called.append(fd)
            for a, _ in pairs:
                both.remove_handler(a)
            both.add_callback(both.stop)

        for a, b in pairs:
            both.add_handler(a, handler, both.READ)
            b.send(b"x")
        run_until_stopped(both)
        assert len(called) == 1
        for a, b in pairs:
            a.close()
            b.close()

    def test_closed_and_reused_within_a_batch(self, loop):
        """The number of a removed and closed socket is taken by a new one: it does not get the old event."""
        pairs = [socket.socketpair() for _ in range(2)]
        called, new = [], []

        def fresh_handler(fd, events):
            called.append("new")

        def handler(fd, events):
            called.append("old")
            for a, _ in pairs:
                loop.remove_handler(a)
                a.close()
            for _ in range(2):
                new.append(socket.socketpair())
                loop.add_handler(new[-1][0], fresh_handler, loop.READ)
                loop.add_handler(new[-1][1], fresh_handler, loop.READ)
            loop.call_later(0.02, loop.stop)

        for a, b in pairs:
            loop.add_handler(a, handler, loop.READ)
            b.send(b"x")
        run_until_stopped(loop)
        assert called == ["old"]
        for a, b in pairs + new:
            loop.remove_handler(a)
            loop.remove_handler(b)
            a.close()
            b.close()

    def test_exception_of_a_handler(self, loop, pair, caplog):
        a, b = pair

        def handler(fd, events):
            loop.remove_handler(fd)
            loop.add_callback(loop.stop)
            raise KeyError("told")

        loop.add_handler(a, handler, loop.READ)
        b.send(b"x")
        run_until_stopped(loop)
        (record,) = caplog.records
        assert isinstance(record.exc_info[1], KeyError)

    def test_removing_a_closed_socket(self, both, pair):
        """It no longer has a number; ours is found by the object and forgotten."""
        a, b = pair
        both.add_handler(a, print, both.READ)
        a.close()
        both.remove_handler(a)
        if isinstance(both, IOLoop):
            assert both._handler_fds() == []
        both.remove_handler(b)
        b.close()
        both.remove_handler(b)

    def test_bad_descriptors(self, loop, tmp_path):
        with pytest.raises(ValueError):
            loop.add_handler(-1, print, loop.READ)
        with pytest.raises(TypeError):
            loop.add_handler("x", print, loop.READ)
        with pytest.raises(TypeError):
            loop.add_handler(0, print)
        with open(tmp_path / "file", "w") as regular, pytest.raises(PermissionError):
            loop.add_handler(regular, print, loop.READ)
        closed = os.dup(0)
        os.close(closed)
        with pytest.raises(OSError):
            loop.add_handler(closed, print, loop.READ)
        assert loop._handler_fds() == []

    def test_failing_change_keeps_the_old_reader(self, loop, pair):
        """add_writer on a descriptor that was closed under its reader fails and leaves nothing behind."""
        a, b = pair
        fd = os.dup(a.fileno())
        core = loop.asyncio_loop
        core.add_reader(fd, print)
        os.close(fd)
        with pytest.raises(OSError):
            core.add_writer(fd, print)
        assert core._fd_info(fd)[2] is None
        assert core.remove_reader(fd)
        assert core._fd_info(fd) is None

    def test_closed_loop(self, pair):
        loop = IOLoop(make_current=False)
        loop.close()
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.add_handler(pair[0], print, loop.READ)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.call_later(1, print)

    def test_context_of_the_addition(self, both, pair):
        variable = contextvars.ContextVar("variable", default="unset")
        got = []

        def handler(fd, events):
            got.append(variable.get())
            both.remove_handler(fd)
            both.stop()

        variable.set("set")
        both.add_handler(pair[0], handler, both.READ)
        variable.set("later")
        pair[1].send(b"x")
        run_until_stopped(both)
        assert got == ["set"]

    def test_split_and_close_fd(self, both, pair):
        a, b = pair
        assert both.split_fd(a) == (a.fileno(), a)
        assert both.split_fd(7) == (7, 7)
        both.close_fd(a)
        both.close_fd(b.fileno())
        b.detach()


# --------------------------------------------------------------------------- the asyncio side


@pytest.fixture
def arun():
    """Run a coroutine on a native loop."""

    def run(main, debug=False):
        async def limited():
            async with asyncio.timeout(LIMIT):
                return await main

        with asyncio.Runner(loop_factory=tornado_c.new_event_loop, debug=debug) as runner:
            return runner.run(limited())

    return run


class TestAsyncio:
    def test_tasks(self, arun):
        async def main():
            async def child(n):
                await asyncio.sleep(n / 1000)
                return n

            task = asyncio.create_task(child(1))
            assert await asyncio.gather(*[child(n) for n in (3, 1, 2)]) == [3, 1, 2]
            assert await task == 1
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.sleep(LIMIT), 0.001)
            assert isinstance(asyncio.get_running_loop(), tornado_c.EventLoop)

        arun(main())
        arun(main(), debug=True)

    def test_subprocess(self, arun):
        async def main():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(input() * 2)", stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            out, _ = await process.communicate(b"ab\n")
            assert out == b"abab\n" and process.returncode == 0

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # child watchers, from 3.12
            arun(main())

    def test_signal_handler(self, arun):
        async def main():
            loop = asyncio.get_running_loop()
            came = asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, came.set)
            os.kill(os.getpid(), signal.SIGUSR1)
            await came.wait()
            assert loop.remove_signal_handler(signal.SIGUSR1)

        arun(main())

    def test_keyboard_interrupt(self, arun):
        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
            await asyncio.sleep(LIMIT)

        with pytest.raises(KeyboardInterrupt):
            arun(main())

    def test_low_level_sockets(self, arun, pair):
        async def main():
            a, b = pair
            loop = asyncio.get_running_loop()
            data = os.urandom(1 << 20)

            async def receive():
                got = bytearray()
                while len(got) < len(data):
                    got += await loop.sock_recv(b, 65536)
                return bytes(got)

            task = asyncio.create_task(receive())
            await loop.sock_sendall(a, data)
            assert await task == data

        arun(main())

    def test_transports_and_executor(self, arun):
        async def main():
            async def serve(reader, writer):
                writer.write(await reader.readline())
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]

            def blocking():
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"hello\n")
                    return client.makefile("rb").read()

            loop = asyncio.get_running_loop()
            answers = await asyncio.gather(*[loop.run_in_executor(None, blocking) for _ in range(10)])
            assert answers == [b"hello\n"] * 10
            server.close()
            await server.wait_closed()
            assert await loop.getaddrinfo("127.0.0.1", 80)

        arun(main())

    def test_tls(self, arun):
        import ssl

        folder = os.path.join(os.path.dirname(tornado.__file__), "test")

        async def main():
            async def serve(reader, writer):
                writer.write(await reader.readexactly(200000))
                await writer.drain()
                writer.close()

            server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server_side.load_cert_chain(os.path.join(folder, "test.crt"), os.path.join(folder, "test.key"))
            client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client_side.check_hostname = False
            client_side.verify_mode = ssl.CERT_NONE
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side)
            data = os.urandom(200000)
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()

        arun(main())

    def test_call_soon_threadsafe(self, arun):
        async def main():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            thread = threading.Thread(
                target=lambda: (time.sleep(0.01), loop.call_soon_threadsafe(future.set_result, 1))
            )
            thread.start()
            assert await future == 1
            thread.join(LIMIT)
            with pytest.raises(ValueError):
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.to_thread(int, "x"), loop))

        arun(main())

    def test_debug_mode(self, arun, caplog):
        async def main():
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 0.005
            loop.call_soon(time.sleep, 0.01)
            handle = loop.call_later(100, print)
            assert "created at" in repr(handle)
            handle.cancel()
            await asyncio.sleep(0.02)
            errors = []

            def elsewhere():
                try:
                    loop.call_soon(print)
                except RuntimeError as e:
                    errors.append(e)

            await loop.run_in_executor(None, elsewhere)
            assert "Non-thread-safe operation" in str(errors[0])
            with pytest.raises(TypeError, match="coroutines cannot be used"):
                loop.call_soon(main)

        arun(main(), debug=True)
        assert any("Executing" in m and "took" in m for m in messages(caplog, "asyncio"))

    def test_exception_handler(self, arun):
        async def main():
            loop = asyncio.get_running_loop()
            got = []
            loop.set_exception_handler(lambda loop, context: got.append(context))
            handle = loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
            (context,) = got
            assert context["message"].startswith("Exception in callback ")
            assert isinstance(context["exception"], ZeroDivisionError)
            assert context["handle"] is handle

        arun(main())

    def test_closing_runs_async_generators(self, arun):
        closed = []

        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                closed.append(True)

        async def main():
            generator = numbers()
            assert await anext(generator) == 1
            return generator

        arun(main())
        assert closed == [True]


class TestHandles:
    def test_kinds(self, loop):
        inner = loop.asyncio_loop
        handle, timer = inner.call_soon(print), inner.call_later(100, print, 1, 2, 3)
        assert isinstance(handle, asyncio.Handle) and not isinstance(handle, asyncio.TimerHandle)
        assert isinstance(timer, asyncio.TimerHandle)
        assert timer.when() > inner.time() + 90
        assert timer < inner.call_later(200, print)
        assert (handle._args, timer._args) == ((), (1, 2, 3))
        assert weakref.ref(timer)() is timer
        assert {timer: 1}[timer] == 1

    def test_repr_and_cancel(self, loop):
        inner = loop.asyncio_loop
        for handle in (inner.call_soon(print, "x"), inner.call_later(100, print, "x")):
            assert "print(" in repr(handle)  # with the arguments, on newer Pythons in debug mode only
            assert not handle.cancelled()
            handle.cancel()
            handle.cancel()
            assert handle.cancelled() and "cancelled" in repr(handle)
            assert handle._callback is None and handle._args is None

    def test_cancelled_is_not_run(self, loop):
        got = []
        inner = loop.asyncio_loop
        first = inner.call_soon(lambda: second.cancel())
        second = inner.call_soon(got.append, 1)
        loop.add_callback(loop.stop)
        run_until_stopped(loop)
        assert got == [] and not first.cancelled()

    def test_cancelling_drops_the_arguments(self, loop):
        class Thing:
            pass

        thing = Thing()
        dead = weakref.ref(thing)
        handle = loop.asyncio_loop.call_later(100, print, thing)
        del thing
        assert dead() is not None
        handle.cancel()
        assert dead() is None

    def test_cancels_itself_while_it_runs(self, loop):
        got = []

        def callback(a, b):
            handles[0].cancel()
            gc.collect()
            got.append(a + b)

        handles = [loop.asyncio_loop.call_soon(callback, "a" * 10, "b" * 10)]
        loop.add_callback(loop.stop)
        run_until_stopped(loop)
        assert got == ["a" * 10 + "b" * 10]

    def test_context(self, loop):
        variable = contextvars.ContextVar("variable", default=0)
        context = contextvars.copy_context()
        context.run(variable.set, 5)
        got = []
        handle = loop.asyncio_loop.call_soon(lambda: got.append(variable.get()), context=context)
        if sys.version_info >= (3, 12):
            assert handle.get_context() is context
        loop.add_callback(loop.stop)
        run_until_stopped(loop)
        assert got == [5]

    def test_wrong_calls(self, loop):
        inner = loop.asyncio_loop
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            inner.call_soon()
        with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
            inner.call_soon(print, nonsense=1)
        with pytest.raises(TypeError):
            inner.call_later("x", print)
        with pytest.raises(TypeError):
            inner.call_at(None, print)

    def test_foreign_handle_in_the_queue(self, loop):
        got = []
        inner = loop.asyncio_loop
        inner._add_callback(asyncio.Handle(got.append, (1,), inner))
        loop.add_callback(loop.stop)
        run_until_stopped(loop)
        assert got == [1]

    def test_own_run_once(self):
        turns = []

        class Loop(tornado_c.EventLoop):
            def _run_once(self):
                turns.append(1)
                super()._run_once()

        loop = Loop()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        assert turns == [1]

    def test_own_clock(self):
        """Loops with virtual time override time()."""

        class Loop(tornado_c.EventLoop):
            now = 0.0

            def time(self):
                return self.now

            def _run_once(self):
                if self._scheduled and not self._ready:
                    self.now = max(self.now, min(timer.when() for timer in self._scheduled))
                super()._run_once()

        async def main():
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()

        loop = Loop()
        guard = threading.Timer(LIMIT, os.abort)
        guard.start()
        try:
            assert loop.run_until_complete(main()) == 3600.0
        finally:
            guard.cancel()
            loop.close()


def test_close_all_fds_closes_http_listeners():
    loop = IOLoop(make_current=False)
    server = HTTPServer(lambda request: None, io_loop=loop)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    loop.close(all_fds=True)
    assert sockets[0].fileno() == -1
