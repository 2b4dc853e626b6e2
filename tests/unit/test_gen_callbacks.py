"""Tornado 2's and 3's names of gen: engines, YieldPoints, callbacks of coroutines."""

import asyncio
import concurrent.futures
import datetime
import gc
import sys

import pytest

from tornado_c import concurrent as own_concurrent
from tornado_c import gen, stack_context
from tornado_c._support import generations
from tornado_c.ioloop import IOLoop


@pytest.fixture
def loop():
    loop = IOLoop()
    yield loop
    loop.close()


def later(loop, *args, callback, **kwargs):
    loop.call_later(0.001, callback, *args, **kwargs)


def soon(loop, *args, callback):
    callback(*args)


def run(loop, function, *args, **kwargs):
    """Run an engine until it calls ``callback``, or raises into the stack context around its call."""
    raised = []

    def note(kind, value, traceback):
        raised.append(value)
        loop.stop()
        return True

    def stop(*result):
        results.append(result)
        loop.stop()

    results = []
    give_up = loop.call_later(5, loop.stop)
    with stack_context.ExceptionStackContext(note):
        loop.add_callback(function, *args, callback=stop, **kwargs)
    loop.start()
    loop.remove_timeout(give_up)
    if raised:
        raise raised[0]
    ((result,),) = results
    return result


class TestYieldPoints:
    @pytest.mark.parametrize("call", [soon, later])
    def test_task(self, loop, call):
        @gen.engine
        def work(callback):
            assert (yield gen.Task(call, loop)) is None
            assert (yield gen.Task(call, loop, 5)) == 5
            both = yield [gen.Task(call, loop, 1), gen.Task(call, loop, 2, 3)]
            assert both == [1, ((2, 3), {})]
            assert both[1].args == (2, 3) and both[1].kwargs == {} and type(both[1]) is gen.Arguments
            callback("done")

        assert run(loop, work) == "done"

    @pytest.mark.parametrize("call", [soon, later])
    def test_callback_and_wait(self, loop, call):
        @gen.engine
        def work(callback):
            call(loop, 1, callback=(yield gen.Callback("a")))
            call(loop, 2, callback=(yield gen.Callback(("b", 0))))
            call(loop, 3, callback=(yield gen.Callback("c")))
            assert (yield gen.Wait("c")) == 3
            assert (yield gen.WaitAll(["a", ("b", 0)])) == [1, 2]
            call(loop, 4, callback=(yield gen.Callback("a")))  # the key is free again
            assert (yield gen.Wait("a")) == 4
            callback("done")

        assert run(loop, work) == "done"

    @pytest.mark.parametrize("call", [soon, later])
    def test_among_several(self, loop, call):
        """Lists and dicts with YieldPoints, and other things, in them."""

        @gen.engine
        def work(callback):
            one, two = yield [gen.Callback(1), gen.Callback(2)]
            call(loop, "one", callback=one)
            call(loop, "two", callback=two)
            answers = yield {
                "x": gen.Wait(1),
                "y": gen.Wait(2),
                "z": gen.sleep(0),
                "t": gen.Task(call, loop, 5),
            }
            assert answers == {"x": "one", "y": "two", "z": None, "t": 5}
            third = yield gen.Callback(3)
            call(loop, 6, callback=third)
            future = gen.sleep(0.002)
            assert (yield gen.Multi([gen.Wait(3), gen.YieldFuture(future)])) == [6, None]
            assert (yield gen.YieldFuture(future)) is None
            assert isinstance(gen.multi([gen.Wait(3)]), gen.MultiYieldPoint)
            callback("done")

        assert run(loop, work) == "done"

    def test_exceptions_of_several(self, loop, caplog):
        async def fail(kind):
            raise kind("told")

        @gen.engine
        def work(callback):
            for quiet in ((), IndexError):
                later(loop, callback=(yield gen.Callback("k")))
                with pytest.raises(KeyError):
                    yield gen.Multi([gen.Wait("k"), fail(KeyError), fail(IndexError)], quiet)
            callback("done")

        assert run(loop, work) == "done"
        assert [record.getMessage() for record in caplog.records] == ["Multiple exceptions in yield list"]

    def test_a_point_of_an_application(self, loop):
        class Later(gen.YieldPoint):
            def start(self, runner):
                self.runner, self.key = runner, object()
                runner.register_callback(self.key)
                loop.call_later(0.001, runner.result_callback(self.key), "result")

            def is_ready(self):
                return self.runner.is_ready(self.key)

            def get_result(self):
                return self.runner.pop_result(self.key)

        class Broken(gen.YieldPoint):
            def start(self, runner):
                raise KeyError("broken")

        @gen.engine
        def work(callback):
            assert (yield Later()) == "result"
            with pytest.raises(KeyError, match="broken"):
                yield Broken()
            for point in (gen.YieldPoint(), gen.Multi([gen.YieldPoint()])):
                with pytest.raises(NotImplementedError):
                    yield point
            callback("done")

        assert run(loop, work) == "done"

    def test_wrong_keys(self, loop):
        @gen.engine
        def work(callback):
            with pytest.raises(gen.UnknownKeyError, match="'x' is not pending"):
                yield gen.Wait("x")
            first = yield gen.Callback("k")
            with pytest.raises(gen.KeyReuseError, match="'k' is already pending"):
                yield gen.Callback("k")
            with pytest.raises(TypeError, match="unhashable"):
                yield gen.Callback([])
            first("result")
            assert (yield gen.Wait("k")) == "result"
            callback("done")

        assert run(loop, work) == "done"

    def test_a_leaked_key(self, loop):
        @gen.engine
        def work(callback):
            yield gen.Callback("never")

        with pytest.raises(gen.LeakedCallbackError, match="never"):
            run(loop, work)

    def test_a_leaked_key_after_an_exception_is_none(self, loop):
        @gen.engine
        def work(callback):
            yield gen.Callback("never")
            try:
                yield 1
            except gen.BadYieldError:
                callback("done")

        assert run(loop, work) == "done"

    def test_a_callback_after_the_end(self, loop):
        kept = []

        @gen.engine
        def work(callback):
            kept.append((yield gen.Callback("k")))
            callback("done")
            raise KeyError("told")

        with pytest.raises(KeyError):
            run(loop, work)
        kept[0]("late")

    def test_a_callback_never_called(self, loop, caplog):
        """Is no leak: the generator is freed."""

        @gen.engine
        def work(callback):
            try:
                yield gen.Callback("k")
                callback("waits")
                yield gen.Wait("k")
            finally:
                freed.append(True)

        freed = []
        assert run(loop, work) == "waits"
        gc.collect()
        assert freed == [True] and not caplog.records


class TestExceptions:
    def test_of_the_function_of_a_task(self, loop):
        def fail(when, callback):
            if when == "later":
                loop.add_callback(fail, "now", callback)
            else:
                raise KeyError(when)

        @gen.engine
        def work(callback):
            for when in ("now", "later"):
                with pytest.raises(KeyError):
                    yield gen.Task(fail, when)
            callback("done")

        assert run(loop, work) == "done"

    def test_of_what_a_callback_was_given_to(self, loop):
        """An exception in the place of the result is raised where that is waited for."""

        def fail():
            raise KeyError("told")

        @gen.engine
        def work(callback):
            yield gen.Callback("k")
            loop.add_callback(fail)
            with pytest.raises(KeyError):
                yield gen.Wait("k")
            callback("done")

        assert run(loop, work) == "done"

    @pytest.mark.parametrize("wait", [False, True])
    def test_of_an_engine(self, loop, wait):
        @gen.engine
        def work(callback):
            if wait:
                yield gen.sleep(0.001)
            raise KeyError("told")

        with pytest.raises(KeyError, match="told"):
            run(loop, work)

    @pytest.mark.parametrize("wait", [False, True])
    def test_results_of_an_engine(self, loop, wait):
        @gen.engine
        def work(callback):
            if wait:
                yield gen.sleep(0.001)
            return 5

        with pytest.raises(gen.ReturnValueIgnoredError, match="cannot return values: 5"):
            run(loop, work)

    def test_engine_returns_nothing(self, loop):
        @gen.engine
        def work():
            """Said."""
            yield None

        assert work.__name__ == "work" and work.__doc__ == "Said."
        assert loop.run_sync(lambda: work()) is None
        assert not gen.is_coroutine_function(work)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_interrupts_go_on(self, loop, kind):
        def interrupt():
            raise kind

        def begin(callback):
            loop.add_callback(interrupt)

        @gen.engine
        def work():
            yield gen.Callback("k")
            yield gen.Task(begin)

        loop.add_callback(work)
        with pytest.raises(kind):
            loop.start()

    def test_yield_inside_a_context(self, loop):
        """Raises where it is, and leaves that."""

        @gen.coroutine
        def work(points):
            if points:
                yield gen.Callback("k")
            before = stack_context._state.contexts
            with pytest.raises(stack_context.StackContextInconsistentError):
                with stack_context.ExceptionStackContext(lambda *args: False):
                    yield gen.sleep(0)
            assert stack_context._state.contexts is before
            if points:
                raise KeyError
            return "done"

        assert loop.run_sync(lambda: work(False)) == "done"
        with pytest.raises(KeyError):
            loop.run_sync(lambda: work(True))
        assert stack_context._state.contexts == ((), None)


class TestCallbackArgument:
    def test_of_a_coroutine(self, loop):
        @gen.coroutine
        def work(wait):
            if wait:
                yield gen.sleep(0)
            return wait

        for wait in (False, True):
            assert run(loop, work, wait) is wait

    def test_failure_is_the_contexts(self, loop):
        @gen.coroutine
        def work():
            yield gen.sleep(0)
            raise KeyError("told")

        with pytest.raises(KeyError):
            run(loop, work)

    def test_a_parameter_of_its_own(self, loop, monkeypatch):
        """Is the function's, as in Tornado 6; it was the decorator's before."""

        @gen.coroutine
        def own(callback=None):
            return callback

        @gen.coroutine
        def any_name(**kwargs):
            return kwargs

        async def main():
            assert await own(callback=5) == 5
            assert await any_name(callback=5) == {"callback": 5}
            monkeypatch.setattr(generations, "callbacks_are_decorators", True)
            got = []
            assert await own(callback=got.append) is None
            assert await any_name(callback=got.append) == {}
            await asyncio.sleep(0)
            assert got == [None, {}]

        loop.run_sync(main)

    def test_with_timeout(self, loop):
        soon = datetime.timedelta(milliseconds=1)

        async def main():
            assert await gen.with_timeout(loop.time() + 5, gen.sleep(0), loop) is None
            for args, kwargs in (
                ((loop,), {}),
                ((None, ()), {}),
                ((loop, KeyError), {}),
                ((loop,), {"quiet_exceptions": KeyError}),
                ((), {"io_loop": loop}),
                (((), loop), {}),
            ):
                with pytest.raises(gen.TimeoutError):
                    await gen.with_timeout(soon, asyncio.Future(), *args, **kwargs)
            for args, kwargs in (
                ((loop, (), 1), {}),
                (((),), {"quiet_exceptions": ()}),
                ((), {"unknown": 1}),
            ):
                with pytest.raises(TypeError, match=r"with_timeout\(\)"):
                    gen.with_timeout(soon, asyncio.Future(), *args, **kwargs)

        loop.run_sync(main)


class TestMixed:
    def test_generations(self, loop):
        """A native coroutine awaits a Task, an engine yields a native coroutine, and so on."""

        async def native(n):
            return n + await gen.Task(later, loop, 1)

        @gen.coroutine
        def old(n):
            value = yield from native(n)
            return value + (yield native(0))

        @gen.engine
        def oldest(callback):
            first, second = yield [old(1), native(5)]
            callback(first + second + (yield gen.Task(later, loop, 100)))

        async def newest():
            return await gen.Task(oldest) + await old(0)

        assert loop.run_sync(newest) == 1 + 1 + 1 + 5 + 1 + 100 + 2

    def test_under_asyncio(self):
        """In a guest, too, exceptions reach the contexts."""

        async def main():
            loop, done = IOLoop.current(), asyncio.Future()

            def fail(callback):
                loop.add_callback(lambda: 1 / 0)

            @gen.engine
            def work():
                with pytest.raises(ZeroDivisionError):
                    yield gen.Task(fail)
                assert (yield gen.Task(later, loop, 5)) == 5
                yield gen.sleep(0.001)
                raise KeyError("told")

            def note(kind, value, traceback):
                done.set_result(value)
                return True

            with stack_context.ExceptionStackContext(note):
                work()
            assert isinstance(await done, KeyError)

        asyncio.run(main())


class TestFutures:
    def test_traceback_future(self, loop):
        kind = own_concurrent.TracebackFuture

        async def main():
            future = kind()
            assert future.running() and own_concurrent.is_future(future) and future.exc_info() is None
            future.set_result(5)
            assert await future == future.result(timeout=1) == 5
            assert not future.running() and future.exception(1) is None and future.exc_info() is None
            failed = kind()
            try:
                raise KeyError("told")
            except KeyError:
                failed.set_exc_info(sys.exc_info())
            name, error, traceback = failed.exc_info()
            assert (name, error.args) == (KeyError, ("told",)) and traceback is error.__traceback__
            with pytest.raises(KeyError):
                await failed
            cancelled = kind()
            cancelled.cancel()
            assert cancelled.exc_info() is None
            copied = asyncio.Future()
            own_concurrent.chain_future(failed, copied)
            with pytest.raises(KeyError):
                await copied
            assert isinstance(asyncio.Future(), kind) and isinstance(gen.sleep(0), kind)
            assert not isinstance(5, kind)

        loop.run_sync(main)
        assert kind().get_loop() is loop.asyncio_loop

    def test_return_future(self, loop):
        @own_concurrent.return_future
        def work(how, callback):
            if how == "fails":
                raise KeyError("now")
            if how == "fails later":
                loop.add_callback(lambda: 1 / 0)
            elif how == "returns":
                return 5
            elif how == "later":
                loop.add_callback(callback, how)
            elif how == "nothing":
                callback()
            else:
                callback(how)
                callback("twice")

        async def main():
            got = []
            assert await work("now") == "now"
            assert await work("later", None) == "later"
            assert await work("nothing", callback=None) is None
            for how in ("now", "later"):
                assert await work(how, got.append) == how
                assert await work(how, callback=got.append) == how
            await work("nothing", callback=lambda: got.append("none"))
            await asyncio.sleep(0)
            assert got == ["now", "now", "later", "later", "none"]
            with pytest.raises(KeyError, match="now"):
                work("fails", got.append)
            with pytest.raises(own_concurrent.ReturnValueIgnoredError):
                work("returns")
            with pytest.raises(ZeroDivisionError):
                await work("fails later")
            assert len(got) == 5

        loop.run_sync(main)

    def test_return_future_raises_to_the_contexts(self, loop):
        @own_concurrent.return_future
        def work(callback):
            loop.add_callback(lambda: 1 / 0)

        with pytest.raises(ZeroDivisionError):
            run(loop, work)

        @own_concurrent.return_future
        @gen.engine
        def both(n, callback):
            yield gen.Task(later, loop)
            callback(n / 0)

        with pytest.raises(ZeroDivisionError):
            run(loop, both, 1)

    def test_run_on_executor(self, loop):
        class Object:
            def __init__(self, pool):
                self.executor = self.pool = pool
                self.io_loop = self.mine = loop

            @own_concurrent.run_on_executor
            def plain(self, x):
                return x

            @own_concurrent.run_on_executor(executor="pool", io_loop="mine")
            def named(self, x):
                return x / 0

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert run(loop, Object(pool).plain, 5) == 5
            with pytest.raises(ZeroDivisionError):
                run(loop, Object(pool).named, 5)


def test_a_runner_made_with_the_arguments_of_4(loop):
    """It has no ctx_run; the generator goes on in a copy of the current context."""

    def work():
        yield gen.moment
        return (yield gen.Task(loop.add_callback))

    def begin():
        generator, future = work(), own_concurrent.Future()
        gen.Runner(generator, future, next(generator))
        return future

    assert loop.run_sync(begin) is None
