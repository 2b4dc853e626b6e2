"""A coroutine of on_message, whose first step needs no Task of its own, finds what it would find in one.

One difference is not looked at: what the coroutine raises is the connection's, the Task itself returns."""

import asyncio
import contextlib
import contextvars
import gc
import sys
import weakref

import pytest

from support.ws_raw import TEXT, Handler, connected, frame, run, turns, until
from tornado_c import EventLoop

var = contextvars.ContextVar("var", default=0)
kept = []


async def returns(log):
    log("ran")


async def raises(log):
    log("ran")
    raise ValueError("x")


async def suspends(log):
    task = asyncio.current_task()
    await asyncio.sleep(0)
    log(asyncio.current_task() is task, task in asyncio.all_tasks(), task.get_coro().__name__)


async def suspends_for_a_future(log):
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 5)
    log(await future)
    log(await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)))


async def raises_later(log):
    await asyncio.sleep(0)
    log("then")
    raise ValueError("x")


async def cancels_itself_and_waits(log):
    asyncio.current_task().cancel("enough")
    future = asyncio.get_running_loop().create_future()
    try:
        await future
    except asyncio.CancelledError as exc:
        log("in vain", future.cancelled(), exc.args)
        asyncio.current_task().uncancel()


async def cancels_itself_and_waits_for_a_task(log):
    async def other():
        try:
            await asyncio.sleep(10)
        finally:
            log("the other ends")

    task = asyncio.create_task(other())
    asyncio.current_task().cancel()
    try:
        await task
    except asyncio.CancelledError:
        log("in vain", task.cancelled())
    asyncio.current_task().uncancel()
    await asyncio.sleep(0)
    log("on")


async def cancels_itself_and_yields(log):
    asyncio.current_task().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        log("in vain")
        raise


async def cancels_itself_and_returns(log):
    asyncio.current_task().cancel()
    log("on")


async def cancels_itself_later_and_returns(log):
    await asyncio.sleep(0)
    asyncio.current_task().cancel()
    log("on")


async def raises_after_a_cancel(log):
    asyncio.current_task().cancel()
    raise ValueError("x")


async def a_callback(log):
    asyncio.current_task().add_done_callback(lambda task: log("done", task.cancelled(), task.exception()))


async def is_kept(log):
    kept.append(asyncio.current_task())
    log(kept[-1].done())


async def has_attributes(log):
    task = asyncio.current_task()
    log(getattr(task, "mine", None))
    try:
        task.mine = 1
    except AttributeError:
        pass


async def is_referred_to(log):
    kept.append(weakref.ref(asyncio.current_task()))
    log("ran")


async def time_limit(log):
    async with asyncio.timeout(10):
        log("inside")
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(5)
    except TimeoutError:
        log("over")


async def task_group(log):
    async with asyncio.TaskGroup() as group:
        log("empty")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.sleep(0, 7))
    log(task.result())


async def contexts(log):
    log(var.get())
    var.set(var.get() + 1)
    log(var.get())
    await asyncio.sleep(0)
    log(var.get())
    var.set(var.get() + 1)
    log(var.get(), await asyncio.create_task(child()))


async def sets_a_variable(log):
    log(var.get())
    var.set(var.get() + 1)
    log(var.get())


async def child():
    return var.get()


async def shows_what_it_runs(log):
    task = asyncio.current_task()
    await asyncio.sleep(0)
    log("shows_what_it_runs" in repr(task), len(task.get_stack()))


async def waits_for_what_cannot_be(log):
    class Odd:
        def __await__(self):
            yield 5

    try:
        await Odd()
    except RuntimeError as exc:
        log("bad yield" in str(exc))


COROUTINES = [
    returns,
    raises,
    suspends,
    suspends_for_a_future,
    raises_later,
    cancels_itself_and_waits,
    cancels_itself_and_waits_for_a_task,
    cancels_itself_and_yields,
    cancels_itself_and_returns,
    cancels_itself_later_and_returns,
    raises_after_a_cancel,
    a_callback,
    is_kept,
    has_attributes,
    is_referred_to,
    time_limit,
    task_group,
    contexts,
    sets_a_variable,
    shows_what_it_runs,
    waits_for_what_cannot_be,
]


def by_task(coroutine):
    """What it logs in a Task, and how the Task ends."""
    log = []

    async def main():
        task = asyncio.ensure_future(coroutine(lambda *what: log.append(what)))
        await asyncio.wait([task])
        await turns()
        if task.cancelled():
            return "cancelled"
        return repr(task.exception()) if task.exception() else "returned"

    return log, run(main)


def by_message(coroutine, before):
    log = []

    class Running(Handler):
        async def on_message(self, message):
            self.events.append(("message", message))

        def log_exception(self, typ, value, tb):
            self.events.append(("exception", value))

    async def main():
        with connected(Running()) as (_protocol, handler, peer):
            if before:  # there is a spare already, and it was used
                await peer.send(frame(TEXT, b"before") * 3)
                await until(lambda: len(handler.messages) == 3)
                handler.events.clear()

            async def run_it(message):
                await coroutine(lambda *what: log.append(what))
                if message == "last":
                    handler.events.append(("message", message))

            run_it.__name__ = coroutine.__name__
            handler.on_message = lambda message: (
                run_it(message) if message == "last" else coroutine(lambda *what: log.append(what))
            )
            await peer.send(frame(TEXT, b"it"))
            await until(lambda: handler.closes or log)
            for _ in range(50):
                await asyncio.sleep(0.001)
            for event in handler.events:
                if event[0] == "exception":
                    return "cancelled" if isinstance(event[1], asyncio.CancelledError) else repr(event[1])
            # the next coroutine is run as if nothing had been
            handler.on_message = Running.on_message.__get__(handler)
            await peer.send(frame(TEXT, b"next"))
            await until(lambda: handler.messages == ["next"])
            assert not handler.closes
            return "returned"

    return log, run(main)


@pytest.mark.parametrize("coroutine", COROUTINES, ids=lambda coroutine: coroutine.__name__)
@pytest.mark.parametrize("before", [False, True], ids=["first", "again"])
def test_as_in_a_task(coroutine, before):
    expected = by_task(coroutine)
    kept.clear()
    assert by_message(coroutine, before) == expected
    if coroutine is is_kept:
        assert kept[0].done() and kept[0].result() is None
    if coroutine is is_referred_to:
        gc.collect()
        assert kept[0]() is None
    kept.clear()


def test_no_trace():
    """Nobody hears of the spare: not those who look at all tasks, nor at the loop's end."""

    async def main():
        class Quick(Handler):
            async def on_message(self, message):
                self.events.append(("message", asyncio.current_task()))

        with connected(Quick()) as (_protocol, handler, peer):
            await peer.send(frame(TEXT) * 3)
            await until(lambda: len(handler.messages) == 3)
            assert asyncio.all_tasks() == {asyncio.current_task(), *asyncio.all_tasks()} - set(
                handler.messages
            )
            assert len(set(handler.messages)) == 3 and all(task.done() for task in handler.messages)
            handler.events.clear()
            handler.on_message = quick
            await peer.send(frame(TEXT) * 3)
            await turns()

    async def quick(message):
        pass

    run(main)
    gc.collect()


def test_connections_of_different_contexts():
    """Each coroutine has the variables of its connection, and what it sets is its own, and freed."""
    values = []

    class Value:
        pass

    class Sets(Handler):
        async def on_message(self, message):
            self.events.append(("message", (message, var.get())))
            value = Value()
            values.append(weakref.ref(value))
            var.set(value)

    async def main():
        with contextlib.ExitStack() as stack:
            connections = []
            for i in range(5):
                context = contextvars.copy_context()
                context.run(var.set, i)
                connections.append(context.run(stack.enter_context, connected(Sets())))
            for text in (b"a", b"b", b"c"):
                for _protocol, _handler, peer in connections:
                    await peer.send(frame(TEXT, text))
            for i, (_protocol, handler, _peer) in enumerate(connections):
                await until(lambda handler=handler: len(handler.messages) == 3)
                assert handler.messages == [("a", i), ("b", i), ("c", i)]
            gc.collect()
            assert len(values) == 15 and all(ref() is None for ref in values)

    run(main)


def test_a_nested_loop():
    """A coroutine may run the loop, in which another connection's runs."""

    async def main():
        class Nested(Handler):
            async def on_message(self, message):
                loop = asyncio.get_running_loop()
                me = asyncio.current_task()
                self.events.append(("message", message))
                if message == "outer":
                    await_task, loop_tasks = me, asyncio.tasks
                    loop_tasks._leave_task(loop, await_task)
                    for _ in range(10):
                        loop._run_once()
                    loop_tasks._enter_task(loop, await_task)
                assert asyncio.current_task() is me
                self.events.append(("message", "end of " + message))

        with connected(Nested()) as (_p, one, peer), connected(Nested()) as (_q, two, other):
            await other.send(frame(TEXT, b"inner"))
            await peer.send(frame(TEXT, b"outer") + frame(TEXT, b"next"))
            await until(lambda: len(one.messages) == 4 and len(two.messages) == 2)
            assert one.messages == ["outer", "end of outer", "next", "end of next"]

    run(main)


def test_who_is_woken_while_the_task_is_made_is_woken():
    """As by a finalizer, when the collector runs there."""

    class Loop(EventLoop):
        wakes = None

        def get_debug(self):  # which asyncio asks for each Task; for those of C nothing of Python's is above
            wakes = self.wakes
            if wakes is not None and sys._getframe(1).f_code.co_name == "run_forever":
                self.wakes = None
                wakes.set_result("woken")
            return super().get_debug()

    class Quick(Handler):
        async def on_message(self, message):
            self.events.append(("message", message))

    async def main():
        loop = asyncio.get_running_loop()

        async def wait(future):
            return await future

        with connected(Quick()) as (_protocol, handler, peer):
            loop.wakes = loop.create_future()
            waiting = loop.create_task(wait(loop.wakes))
            await asyncio.sleep(0)
            await peer.send(frame(TEXT, b"1"))
            await until(lambda: handler.messages == ["1"])
            if sys.version_info < (3, 12):
                assert loop.wakes is None
            elif loop.wakes is not None:
                loop.wakes.set_result("woken")  # no Task was made
            assert await waiting == "woken"
            await peer.send(frame(TEXT, b"2"))
            await until(lambda: handler.messages == ["1", "2"])

    run(main, Loop, 20)
