"""Guest mode: IOLoop under event loops that are not ours: callbacks, timers, executors, exits.

Every test runs under a plain asyncio loop, under uvloop, and under a plain loop in another thread. Streams
and servers are in test_ioloop_guest_servers.py.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import datetime
import gc
import logging
import os
import socket
import sys
import threading
import weakref

import pytest

import tornado_c
from support.guest_hosts import HOSTS, LIMIT, Host
from support.iostream_world import until
from tornado_c import _core
from tornado_c.ioloop import IOLoop, PeriodicCallback
from tornado_c.iostream import IOStream

POLLABLE = _core.poller_backend != "poll"


@pytest.fixture(params=HOSTS)
def host(request):
    return Host(request.param)


def app_messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "tornado.application"]


# --------------------------------------------------------------------------- which loop


def test_current(host):
    async def main():
        loop = IOLoop.current()
        assert loop is IOLoop.current() is IOLoop.instance() is IOLoop.current(instance=False)
        assert loop.asyncio_loop is asyncio.get_running_loop()
        assert loop.running() and IOLoop.initialized()
        return loop

    first, second = host.run(main), host.run(main)
    assert first is not second


def test_native_and_guest_loops_take_turns(host):
    async def main():
        done = asyncio.Event()
        IOLoop.current().call_later(0.001, done.set)
        await done.wait()
        return type(IOLoop.current().asyncio_loop)

    for _ in range(2):
        assert not issubclass(host.run(main), tornado_c.EventLoop)
        assert tornado_c.run(main()) is tornado_c.EventLoop


@pytest.mark.skipif(POLLABLE, reason="the poller has a descriptor")
def test_without_a_pollable_poller(host):
    """What needs no descriptor works; the rest says what to do, every time."""

    async def main():
        loop, done = IOLoop.current(), asyncio.Event()
        loop.call_later(0.001, loop.add_callback, done.set)
        await done.wait()
        a, b = socket.socketpair()
        with a, b:
            for _ in range(2):
                with pytest.raises(RuntimeError, match=r"poll\(2\).*run tornado_c.EventLoop"):
                    loop.add_handler(a, print, loop.READ)
            stream = IOStream(b)
            for _ in range(2):
                with pytest.raises(RuntimeError, match=r"poll\(2\).*run tornado_c.EventLoop"):
                    await stream.read_bytes(1)
            stream.close()

    host.run(main)


def test_hosts_in_several_threads_at_once():
    """Each thread's loop has its own guest, made and forgotten while others are made."""

    async def main():
        loop, done = IOLoop.current(), asyncio.Event()
        loop.add_callback(loop.call_later, 0, done.set)
        await done.wait()
        assert IOLoop.current() is loop

    def lives(_):
        for _ in range(60):
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(main())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lives, range(4), timeout=LIMIT):
                pass
    finally:
        sys.setswitchinterval(interval)


# --------------------------------------------------------------------------- callbacks


def test_callbacks_keep_their_order(host):
    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()
        for i in range(50):
            (loop.add_callback if i % 2 else loop.spawn_callback)(got.append, i)
        loop.add_callback(lambda *args, **kwargs: got.append((args, kwargs)), 1, two=2)
        loop.add_callback(done.set)
        assert got == []
        await done.wait()
        assert got == [*range(50), ((1,), {"two": 2})]

    host.run(main)


def test_spawned_coroutines(host):
    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()

        async def body(name, *, wait):
            task = asyncio.current_task()
            assert type(task) is asyncio.Task and task in asyncio.all_tasks()
            if wait:
                await asyncio.sleep(0.001)
            assert asyncio.current_task() is task
            got.append(name)
            if len(got) == 2:
                done.set()

        loop.spawn_callback(body, "waits", wait=True)
        loop.spawn_callback(body, "goes on", wait=False)
        await done.wait()
        assert got == ["goes on", "waits"]

    host.run(main)


def test_exceptions_are_logged_and_nothing_stops(host, caplog):
    async def main():
        loop = IOLoop.current()

        def fails():
            raise ValueError("at once")

        async def fails_later():
            await asyncio.sleep(0)
            raise ValueError("later")

        async def cancelled():
            raise asyncio.CancelledError

        loop.add_callback(fails)
        loop.call_later(0, fails)
        loop.spawn_callback(cancelled)
        loop.spawn_callback(fails_later)
        await until(lambda: len(app_messages(caplog)) == 3)

    with caplog.at_level(logging.ERROR, "tornado.application"):
        host.run(main)
    said = app_messages(caplog)
    assert len(said) == 3 and all(line.startswith("Exception in callback") for line in said)
    texts = [str(record.exc_info[1]) for record in caplog.records if record.name == "tornado.application"]
    assert sorted(texts) == ["at once", "at once", "later"]


def test_callbacks_from_other_threads(host):
    """They wake a host that waits for nothing else, and each thread's keep their order."""

    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()
        home = threading.get_ident()

        def receive(who, i):
            assert threading.get_ident() == home
            got.append((who, i))
            if len(got) == 4 * 100:
                done.set()

        def send(who):
            for i in range(100):
                loop.add_callback(receive, who, i)

        threads = [threading.Thread(target=send, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        await done.wait()
        for thread in threads:
            thread.join(LIMIT)
        for who in range(4):
            assert [i for sender, i in got if sender == who] == [*range(100)]

    host.run(main)


def test_callback_after_the_host_closed(host):
    loops = []

    async def main():
        loops.append(IOLoop.current())

    host.run(main)
    loops[0].add_callback(print)
    with pytest.raises(RuntimeError, match="closed"):
        loops[0].start()


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def test_context(host):
    async def main():
        loop, got = IOLoop.current(), []

        def note(name):
            got.append((name, VARIABLE.get()))
            VARIABLE.set("by a callback")

        async def coroutine():
            note("coroutine")
            await asyncio.sleep(0)
            note("coroutine again")

        VARIABLE.set("outer")
        loop.add_callback(note, "soon")
        loop.call_later(0.001, note, "later")
        loop.spawn_callback(coroutine)
        VARIABLE.set("changed")
        await until(lambda: len(got) == 4)
        assert VARIABLE.get() == "changed"
        assert dict(got) == {
            "soon": "outer",
            "later": "outer",
            "coroutine": "outer",
            "coroutine again": "by a callback",
        }

    host.run(main)


def test_executors(host):
    async def main():
        loop = IOLoop.current()
        home = threading.get_ident()
        assert await loop.run_in_executor(None, threading.get_ident) != home
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
            name = await loop.run_in_executor(pool, lambda: threading.current_thread().name)
            assert name.startswith("mine")
            told = asyncio.Event()
            loop.add_future(pool.submit(lambda: 5), lambda future: (future.result(), told.set()))
            await told.wait()

    host.run(main)


# --------------------------------------------------------------------------- timers


def test_timers(host):
    async def main():
        loop, got = IOLoop.current(), []
        loop.call_later(100, got.append, "never")
        removed = loop.call_later(0, got.append, "removed")
        loop.call_later(0.001, lambda: loop.call_later(0, got.append, "nested"))
        loop.remove_timeout(removed)
        loop.remove_timeout(removed)
        await until(lambda: got)
        # The later ones last: however long this takes, they keep their order.
        loop.call_later(0.005, got.append, "later")
        loop.call_at(loop.time() + 0.01, got.append, "at")
        loop.add_timeout(loop.time() + 0.015, got.append, "timeout")
        loop.add_timeout(datetime.timedelta(milliseconds=20), got.append, "timedelta")
        await until(lambda: "timedelta" in got)
        assert got == ["nested", "later", "at", "timeout", "timedelta"]

    host.run(main)


def test_removing_the_earliest_leaves_the_rest(host):
    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()
        handles = [loop.call_later(0.002 * i, got.append, i) for i in range(20)]
        loop.call_later(0.08, done.set)
        for handle in handles[:10]:
            loop.remove_timeout(handle)
        await done.wait()
        assert got == [*range(10, 20)]

    host.run(main)


def test_timers_set_in_any_order_fire_in_order(host):
    async def main():
        loop, got, handles = IOLoop.current(), [], {}
        now = loop.time()
        for i in range(100):
            place = i * 37 % 100
            handles[place] = loop.call_at(now + 0.03 + place * 1e-4, got.append, place)
        await until(lambda: len(got) == 100)
        # One clock is read after the other: what comes in between puts a timer behind its place.
        assert got == sorted(handles, key=lambda place: handles[place].when())

    host.run(main)


def test_timers_removed_by_timers(host):
    async def main():
        loop, got, done = IOLoop.current(), [], asyncio.Event()
        loop.call_later(0.002, lambda: loop.remove_timeout(victim))
        victim = loop.call_later(0.004, got.append, "victim")
        loop.call_later(0.01, done.set)
        await done.wait()
        assert got == []

    host.run(main)


def test_a_host_whose_timers_are_early():
    """uvloop rounds to milliseconds: a timer that came too soon is set again."""

    class Early(asyncio.SelectorEventLoop):
        early = 3

        def call_later(self, delay, callback, *args, context=None):
            if delay > 0.001 and self.early:
                self.early -= 1
                delay /= 2
            return super().call_later(delay, callback, *args, context=context)

    async def main():
        done = asyncio.Event()
        IOLoop.current().call_later(0.02, done.set)
        await done.wait()

    with asyncio.Runner(loop_factory=Early) as runner:
        guard = threading.Timer(LIMIT, os.abort)
        guard.start()
        runner.run(main())
        guard.cancel()


def test_periodic_callback(host):
    async def main():
        got, done = [], asyncio.Event()

        async def tick():
            await asyncio.sleep(0)
            got.append(len(got))
            if len(got) == 3:
                periodic.stop()
                done.set()

        periodic = PeriodicCallback(tick, 2)
        periodic.start()
        await done.wait()
        await asyncio.sleep(0.01)
        assert got == [0, 1, 2]

    host.run(main)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_goes_through_and_the_rest_goes_on(host, error):
    """After SystemExit from a timer the host can run again, and later timers fire."""

    def body():
        with contextlib.closing(host.factory()) as loop:
            asyncio.set_event_loop(loop)
            got = []

            def leave():
                raise error(7)

            async def main():
                io_loop = IOLoop.current()
                io_loop.call_later(0.001, leave)
                io_loop.call_later(0.005, got.append, "later")
                await asyncio.sleep(LIMIT)

            with pytest.raises(error):
                loop.run_until_complete(main())
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.03))
            asyncio.set_event_loop(None)
            return got

    if host.in_thread:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            got = pool.submit(body).result(LIMIT)
    else:
        got = body()
    assert got == ["later"]


def test_many_hosts_without_descriptors_leave_nothing(host):
    """Timers and callbacks alone: no poller is watched."""
    hosts = []

    async def life():
        hosts.append(weakref.ref(asyncio.get_running_loop()))
        loop, done = IOLoop.current(), asyncio.Event()
        loop.call_later(LIMIT, print, loop)
        loop.call_later(0, done.set)
        loop.add_callback(lambda: None)
        await done.wait()

    async def last():
        IOLoop.current()

    for _ in range(100):
        host.run(life)
    host.run(last)  # without a descriptor, a closed host is noticed when the next one comes
    gc.collect()
    assert [ref() for ref in hosts if ref() is not None] == []
