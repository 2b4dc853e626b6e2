"""tornado_c.gen beside Tornado's: coroutines, and what waits for several awaitables."""

import asyncio
import concurrent.futures
import contextvars
import datetime
import functools
import gc
import threading
import time
import weakref

import pytest

import tornado_c
from support.implementations import OURS, STOCK
from tornado_c import gen

variable = contextvars.ContextVar("variable", default="unset")


def messages(caplog):
    return [(record.name, record.getMessage()) for record in caplog.records]


class TestCoroutine:
    def test_first_step_runs_at_once(self, implementation):
        """And so does all that follows, while what is yielded is done."""
        gen, seen = implementation.gen, []

        @gen.coroutine
        def work(n):
            seen.append(n)
            for i in range(n):
                assert (yield done(i)) == i
            assert (yield [done(1), done(2)]) == [1, 2]
            assert (yield {"a": done(3)}) == {"a": 3}
            return n

        def done(value):
            future = asyncio.Future()
            future.set_result(value)
            return future

        async def main():
            future = work(20_000)
            assert type(future) is asyncio.Future and future.done() and future.result() == 20_000
            assert work(0).result() == 0
            assert seen == [20_000, 0]

        implementation.run(main())

    @pytest.mark.parametrize("how", ["return", "Return", "end", "no generator", "a value"])
    def test_results(self, implementation, how):
        gen = implementation.gen

        def work(wait):
            if wait:
                yield asyncio.sleep(0)
            if how == "Return":
                raise gen.Return(5)
            return 5 if how == "return" else None

        def plain(wait):
            if how == "a value":
                raise gen.Return(5)

        @gen.coroutine
        @functools.wraps(work)
        def call(wait):
            return plain(wait) if how in ("no generator", "a value") else work(wait)

        async def main():
            for wait in (False, True):
                assert await call(wait) == (None if how in ("end", "no generator") else 5)
            assert call.__wrapped__ is not None and call.__name__ == "work"
            assert gen.is_coroutine_function(call) and not gen.is_coroutine_function(work)

        implementation.run(main())

    @pytest.mark.parametrize("wait", [False, True])
    def test_exceptions(self, implementation, wait):
        gen = implementation.gen

        @gen.coroutine
        def fail(kind):
            if wait:
                yield asyncio.sleep(0)
            raise kind("told")

        @gen.coroutine
        def outer(kind):
            try:
                yield fail(kind)
            except KeyError as e:
                return e.args

        async def main():
            assert await outer(KeyError) == ("told",)
            with pytest.raises(ValueError, match="told") as raised:
                await outer(ValueError)
            assert raised.traceback[-1].name == "fail"
            future = outer(asyncio.CancelledError)
            with pytest.raises(asyncio.CancelledError):
                await future
            assert future.cancelled()

        implementation.run(main())

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_interrupts_are_the_callers(self, implementation, kind):
        @implementation.gen.coroutine
        def fail():
            yield implementation.gen.moment if False else None
            raise AssertionError

        @implementation.gen.coroutine
        def interrupt():
            raise kind
            yield

        async def main():
            with pytest.raises(kind):
                interrupt()

        implementation.run(main())

    def test_what_can_be_yielded(self, implementation):
        gen = implementation.gen

        async def native(value):
            await asyncio.sleep(0)
            return value

        class Awaitable:
            def __await__(self):
                yield from asyncio.sleep(0).__await__()
                return "awaited"

        @gen.coroutine
        def work(pool):
            assert (yield None) is None
            assert (yield) is None
            assert (yield gen.moment) is None
            assert (yield native(1)) == 1
            assert (yield Awaitable()) == "awaited"
            assert (yield pool.submit(threading.get_ident)) != threading.get_ident()
            assert (yield [native(1), [native(2)], {"x": native(3)}]) == [1, [2], {"x": 3}]
            assert (yield {"a": native(4)}) == {"a": 4}
            assert (yield []) == [] and (yield {}) == {}
            for nothing in (1, "text", object(), (native,), {1}):
                with pytest.raises(gen.BadYieldError, match="yielded unknown object"):
                    yield nothing
            return "done"

        async def main():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                assert await work(pool) == "done"

        implementation.run(main())

    def test_futures_of_threads_among_several(self):
        """Stock Tornado completes the common Future in the other thread, which the loop does not notice."""

        @gen.coroutine
        def work(pool):
            return (yield {"a": pool.submit(time.sleep, 0.01), "b": pool.submit(threading.get_ident)})

        async def main():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                assert (await work(pool))["a"] is None

        tornado_c.run(main())

    def test_a_type_that_is_registered(self, implementation):
        gen = implementation.gen

        class Deferred:
            pass

        @gen.convert_yielded.register(Deferred)
        def _(deferred):
            return asyncio.ensure_future(asyncio.sleep(0, "deferred"))

        class Immediate(asyncio.Future):
            pass

        @gen.convert_yielded.register(Immediate)
        def _(future):
            other = asyncio.Future()
            other.set_result("converted")
            return other

        @gen.coroutine
        def work():
            return [(yield Deferred()), (yield [Deferred()]), (yield Immediate())]

        async def main():
            assert await work() == ["deferred", ["deferred"], "converted"]

        implementation.run(main())

    def test_context_variables(self, implementation):
        """A coroutine has a context of its own, a copy of its caller's, from beginning to end."""

        @implementation.gen.coroutine
        def work():
            assert variable.get() == "caller"
            token = variable.set("mine")
            yield asyncio.sleep(0)
            assert variable.get() == "mine"
            yield None
            variable.reset(token)
            assert variable.get() == "caller"

        async def main():
            variable.set("caller")
            future = work()
            assert variable.get() == "caller"
            variable.set("later")
            await future

        implementation.run(main())

    def test_exception_state(self, implementation):
        """No exception is being handled where one is raised in a generator."""
        gen = implementation.gen

        @gen.coroutine
        def fail():
            yield None
            raise KeyError

        @gen.coroutine
        def work():
            try:
                yield fail()
            except KeyError as e:
                assert e.__context__ is None
            try:
                raise ValueError
            except ValueError:
                yield asyncio.sleep(0)

        async def main():
            await work()

        implementation.run(main())

    def test_cancelling_its_future(self, implementation):
        """The coroutine goes on, and its result is dropped."""
        ran = []

        @implementation.gen.coroutine
        def work():
            yield asyncio.sleep(0)
            ran.append(True)
            return 5

        async def main():
            future = work()
            future.cancel()
            while not ran:
                await asyncio.sleep(0)
            assert future.cancelled()

        implementation.run(main())

    def test_what_it_waits_for_is_cancelled(self, implementation):
        gen = implementation.gen

        @gen.coroutine
        def work(catches, future):
            try:
                yield future
            except asyncio.CancelledError:
                if not catches:
                    raise
                return "caught"

        async def main():
            for catches in (True, False):
                waited = asyncio.Future()
                future = work(catches, waited)
                waited.cancel()
                if catches:
                    assert await future == "caught"
                else:
                    with pytest.raises(asyncio.CancelledError):
                        await future
                    assert future.cancelled()

        implementation.run(main())

    def test_nothing_is_left(self, implementation):
        """A coroutine and its arguments are freed when it has ended, without the collector."""
        gen, refs = implementation.gen, []

        class Thing:
            pass

        @gen.coroutine
        def work(thing, fails):
            refs.append(weakref.ref(thing))
            if fails:
                yield gen.multi([])
                raise KeyError
            yield None
            yield asyncio.sleep(0)

        @gen.coroutine
        def outer(fails):
            try:
                yield work(Thing(), fails)
            except KeyError:
                pass

        async def main():
            gc.disable()
            try:
                for fails in (False, True):
                    await outer(fails)
                await asyncio.sleep(0)
                assert [ref() for ref in refs] == [None, None]
            finally:
                gc.enable()

        implementation.run(main())

    def test_who_holds_its_future_holds_it(self, implementation):
        """Though what it waits for is held by nobody else."""
        gen, events = implementation.gen, []

        @gen.coroutine
        def work():
            future = asyncio.Future()
            events.append(weakref.ref(future))
            return (yield future)

        async def main():
            held = work()
            gc.collect()
            events[0]().set_result(5)
            assert await held == 5

        implementation.run(main())

    def test_without_a_running_loop(self, implementation):
        gen, loop = implementation.gen, implementation.ioloop.IOLoop()

        @gen.coroutine
        def work():
            yield None
            yield gen.sleep(0.001)
            return 5

        assert loop.run_sync(work) == 5
        future = work()
        assert not future.done()
        assert loop.run_sync(lambda: future) == 5
        loop.close()

    def test_native_coroutines_wait_for_coroutines(self, implementation):
        gen = implementation.gen

        @gen.coroutine
        def old():
            yield None
            return (yield new(0))

        async def new(n):
            return n + 1 if n == 0 else await old()

        async def main():
            assert await new(1) == 1

        implementation.run(main())


class TestOtherRunners:
    @pytest.mark.parametrize("kind", ["subclass", "function"])
    def test_one_in_the_place_of_the_class(self, implementation, kind, monkeypatch):
        """As tools do that want to see what coroutines wait for."""
        gen, seen, runner = implementation.gen, [], implementation.gen.Runner

        class Seeing(runner):
            def __init__(self, ctx_run, gen, result_future, first_yielded):
                seen.append(first_yielded)
                super().__init__(ctx_run, gen, result_future, first_yielded)

        def make(*args):
            seen.append(args[3])
            return runner(*args)

        @gen.coroutine
        def work(waited):
            assert (yield waited) == 1
            return (yield gen.sleep(0)) or variable.get()

        async def main():
            waited = asyncio.Future()
            variable.set("set")
            with monkeypatch.context() as patched:
                patched.setattr(gen, "Runner", Seeing if kind == "subclass" else make)
                future = work(waited)
            gc.collect()
            waited.set_result(1)
            assert seen == [waited] and await future == "set"
            with monkeypatch.context() as patched:
                patched.setattr(gen, "Runner", lambda *args: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    work(asyncio.Future())
            assert await work(waited) == "set" and seen == [waited]

        implementation.run(main())

    @pytest.mark.parametrize("kind", ["class", "subclass", "instance"])
    def test_methods_in_the_place_of_ours(self, implementation, kind, monkeypatch):
        """As tools do that want to see each step, or have coroutines yield what they know."""
        gen, seen, runner = implementation.gen, [], implementation.gen.Runner
        plain_run, plain_handle = runner.run, runner.handle_yield

        def run(self):
            seen.append("run")
            return plain_run(self)

        def handle_yield(self, yielded):
            seen.append(yielded)
            if yielded == "known":
                self.future = asyncio.Future()
                self.future.set_result("from the tool")
                return True
            return plain_handle(self, yielded)

        class Seeing(runner):
            def __init__(self, *args):
                if kind == "instance":
                    self.run, self.handle_yield = run.__get__(self), handle_yield.__get__(self)
                super().__init__(*args)

        @gen.coroutine
        def work(waited):
            assert (yield waited) == 1
            assert (yield "known") == "from the tool"
            return (yield waited)

        async def main():
            waited = asyncio.Future()
            with monkeypatch.context() as patched:
                if kind == "class":
                    patched.setattr(runner, "run", run)
                    patched.setattr(runner, "handle_yield", handle_yield)
                else:
                    if kind == "subclass":
                        Seeing.run, Seeing.handle_yield = run, handle_yield
                    patched.setattr(gen, "Runner", Seeing)
                future = work(waited)
                waited.set_result(1)
                assert await future == 1
            assert seen == [waited, "run", "known", waited]
            with pytest.raises(gen.BadYieldError):
                await work(waited)

        implementation.run(main())


class TestSeveral:
    def test_multi(self, implementation):
        gen = implementation.gen

        async def main():
            assert await gen.multi([asyncio.sleep(0, 1), asyncio.sleep(0, 2)]) == [1, 2]
            assert await gen.Multi({"a": asyncio.sleep(0, 1)}) == {"a": 1}
            assert await gen.multi_future(asyncio.sleep(0, n) for n in range(3)) == [0, 1, 2]
            twice = asyncio.ensure_future(asyncio.sleep(0, 5))
            assert await gen.multi([twice, twice]) == [5, 5]
            with pytest.raises(gen.BadYieldError):
                gen.multi([1])

        implementation.run(main())

    @pytest.mark.parametrize("quiet", [(), KeyError, (ValueError, KeyError)])
    def test_several_exceptions(self, implementation, quiet, caplog):
        gen = implementation.gen

        async def fail(kind):
            raise kind("told")

        async def main():
            with pytest.raises(IndexError):
                await gen.multi([fail(IndexError), fail(KeyError), asyncio.sleep(0)], quiet_exceptions=quiet)

        implementation.run(main())
        assert messages(caplog) == (
            [] if quiet else [("tornado.application", "Multiple exceptions in yield list")]
        )

    def test_wait_iterator(self, implementation):
        gen = implementation.gen

        async def main():
            first, second = asyncio.Future(), asyncio.Future()
            waiting = gen.WaitIterator(first, second)
            assert not waiting.done() and waiting.current_index is None
            second.set_result("b")
            assert await waiting.next() == "b"
            assert (waiting.current_index, waiting.current_future) == (1, second)
            first.set_exception(KeyError("a"))
            with pytest.raises(KeyError):
                await waiting.next()
            assert waiting.current_index == 0
            assert waiting.done() and waiting.current_index is None
            named = gen.WaitIterator(x=asyncio.ensure_future(asyncio.sleep(0, 1)))
            assert [(value, named.current_index) async for value in named] == [(1, "x")]
            assert gen.WaitIterator().done()
            with pytest.raises(ValueError, match="args or kwargs, not both"):
                gen.WaitIterator(first, x=second)

        implementation.run(main())

    def test_with_timeout(self, implementation, caplog):
        gen, time = implementation.gen, implementation.ioloop.IOLoop.current

        async def fail(kind):
            await asyncio.sleep(0.01)
            raise kind("late")

        async def main():
            soon = datetime.timedelta(milliseconds=1)
            assert await gen.with_timeout(time().time() + 10, asyncio.sleep(0, 5)) == 5
            assert await gen.with_timeout(datetime.timedelta(seconds=10), [asyncio.sleep(0, 5)]) == [5]
            with pytest.raises(gen.TimeoutError, match="Timeout"):
                await gen.with_timeout(soon, asyncio.Future())
            with pytest.raises(asyncio.TimeoutError, match="mine"):
                await gen.with_timeout(soon, asyncio.Future(), message="mine")
            with pytest.raises(asyncio.TimeoutError, match="called"):
                await gen.with_timeout(soon, asyncio.Future(), (), message=lambda: "called")
            for quiet in ((), KeyError):
                with pytest.raises(asyncio.TimeoutError):
                    await gen.with_timeout(soon, fail(KeyError), quiet)
            await asyncio.sleep(0.03)

        implementation.run(main())
        ((name, text),) = messages(caplog)
        assert name == "tornado.application" and text.startswith("Exception in Future <Task")

    def test_sleep_and_maybe_future(self, implementation):
        gen = implementation.gen

        async def main():
            assert await gen.sleep(0.001) is None
            future = asyncio.Future()
            assert gen.maybe_future(future) is future
            assert await gen.maybe_future(5) == 5
            cancelled = gen.sleep(0.001)
            cancelled.cancel()
            await asyncio.sleep(0.01)

        implementation.run(main())


def test_names_of_stock(implementation):
    for name in vars(STOCK.gen):
        thing = getattr(STOCK.gen, name)
        if getattr(thing, "__module__", None) == "tornado.gen" and not name.startswith("_"):
            assert getattr(OURS.gen, name).__module__ == "tornado_c.gen", name
    assert OURS.gen.Future is asyncio.Future


def test_debug_mode_names_the_caller(implementation):
    """asyncio's Futures say where they were made: not in gen."""

    @implementation.gen.coroutine
    def work():
        yield asyncio.sleep(0)

    async def main():
        asyncio.get_running_loop().set_debug(True)
        future = work()
        assert f"created at {__file__}" in repr(future)
        await future

    implementation.run(main())
