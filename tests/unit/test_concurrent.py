"""tornado_c.concurrent, beside Tornado's."""

import asyncio
import concurrent.futures
import logging
import threading

import pytest
import tornado.concurrent

from tornado_c import concurrent as own_concurrent


class TestFutures:
    def test_is_future(self):
        async def run():
            return asyncio.Future()

        for x in (asyncio.run(run()), concurrent.futures.Future(), None, 1, object()):
            assert own_concurrent.is_future(x) == tornado.concurrent.is_future(x)

    def test_unless_cancelled(self, caplog):
        done = concurrent.futures.Future()
        own_concurrent.future_set_result_unless_cancelled(done, 5)
        assert done.result() == 5
        failed = concurrent.futures.Future()
        own_concurrent.future_set_exception_unless_cancelled(failed, KeyError("x"))
        assert isinstance(failed.exception(), KeyError)
        cancelled = concurrent.futures.Future()
        cancelled.cancel()
        own_concurrent.future_set_result_unless_cancelled(cancelled, 5)
        assert not caplog.records
        own_concurrent.future_set_exception_unless_cancelled(cancelled, KeyError("x"))
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("tornado.application", logging.ERROR)
        assert record.getMessage() == "Exception after Future was cancelled"
        assert isinstance(record.exc_info[1], KeyError)

    def test_done_callback_runs_at_once_when_done(self):
        seen = []
        future = concurrent.futures.Future()
        own_concurrent.future_add_done_callback(future, seen.append)
        assert seen == []
        future.set_result(None)
        assert seen == [future]
        own_concurrent.future_add_done_callback(future, seen.append)
        assert seen == [future, future]

    def test_chain(self):
        async def run():
            pairs = [(asyncio.Future(), asyncio.Future()) for _ in range(4)]
            for a, b in pairs:
                own_concurrent.chain_future(a, b)
            pairs[0][0].set_result(1)
            pairs[1][0].set_exception(KeyError("x"))
            pairs[2][0].cancel()
            pairs[3][1].set_result("mine")
            pairs[3][0].set_result("late")
            await asyncio.wait([b for _, b in pairs])
            assert pairs[0][1].result() == 1
            assert isinstance(pairs[1][1].exception(), KeyError)
            assert isinstance(pairs[1][0].exception(), KeyError)
            assert pairs[2][1].cancelled()
            assert pairs[3][1].result() == "mine"

        asyncio.run(run())

    def test_chain_from_a_thread(self, implementation):
        """The outcome arrives on the loop, in the loop's thread."""
        chained, current = implementation.concurrent.chain_future, threading.get_ident

        async def run():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                future, threads = asyncio.Future(), []
                future.add_done_callback(lambda _: threads.append(current()))
                chained(pool.submit(current), future)
                assert await future != current()
                assert threads == [current()]
                failed = asyncio.Future()
                chained(pool.submit(int, "x"), failed)
                with pytest.raises(ValueError):
                    await failed

        implementation.run(run())

    def test_exc_info(self, implementation):
        module = implementation.concurrent

        class Old(concurrent.futures.Future):
            def exc_info(self):
                return KeyError, KeyError("old"), None

        async def run():
            future = asyncio.Future()
            old = Old()
            module.chain_future(old, future)
            old.set_result(1)
            with pytest.raises(KeyError, match="old"):
                await future
            failed = asyncio.Future()
            module.future_set_exc_info(failed, (KeyError, KeyError("x"), None))
            with pytest.raises(KeyError):
                await failed
            with pytest.raises(Exception, match="called with no exception"):
                module.future_set_exc_info(failed, (None, None, None))

        implementation.run(run())


class TestExecutors:
    def test_dummy(self, implementation):
        executor = implementation.concurrent.dummy_executor
        assert executor.submit(divmod, 7, 3).result() == (2, 1)
        assert isinstance(executor.submit(int, "x").exception(), ValueError)
        with pytest.raises(KeyboardInterrupt):
            executor.submit(self.interrupt)
        assert executor.shutdown(wait=False, cancel_futures=True) is None
        assert list(executor.map(str, [1, 2])) == ["1", "2"]
        assert isinstance(executor, implementation.concurrent.DummyExecutor)

    def interrupt(self):
        raise KeyboardInterrupt

    def test_run_on_executor(self, implementation):
        decorator = implementation.concurrent.run_on_executor

        class Object:
            executor = implementation.concurrent.dummy_executor

            def __init__(self, pool):
                self.pool = pool

            @decorator
            def plain(self, x, y=0):
                """Said."""
                return x + y, threading.get_ident()

            @decorator()
            def with_parentheses(self):
                return threading.get_ident()

            @decorator(executor="pool")
            def elsewhere(self):
                return threading.get_ident()

            @decorator
            def fails(self):
                raise KeyError("x")

        async def run():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                thing, here = Object(pool), threading.get_ident()
                assert asyncio.isfuture(thing.plain(1))
                assert await thing.plain(1, y=2) == (3, here)
                assert await thing.with_parentheses() == here
                assert await thing.elsewhere() != here
                with pytest.raises(KeyError):
                    await thing.fails()
            assert (Object.plain.__name__, Object.plain.__doc__) == ("plain", "Said.")

        implementation.run(run())

    def test_run_on_executor_misused(self, implementation):
        decorator = implementation.concurrent.run_on_executor
        with pytest.raises(ValueError, match="cannot combine positional and keyword args"):
            decorator(len, executor="x")
        with pytest.raises(ValueError, match="expected 1 argument, got 2"):
            decorator(len, len)
