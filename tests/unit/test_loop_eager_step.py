"""Coroutines that are started from C: their first step runs at once, inside a real asyncio.Task.

Each test runs for callbacks of an IOLoop, for callbacks of an HTTPServer and for handlers of an application.
"""

import asyncio
import contextlib
import contextvars
import gc
import logging
import sys

import pytest

import tornado_c
from support.iostream_world import until
from tornado_c import netutil, web
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop

LIMIT = 30  # seconds: far beyond what anything here takes
VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


# --------------------------------------------------------------------------- the ways to start a coroutine


async def by_add_callback(body):
    IOLoop.current().add_callback(body)


async def by_spawn_callback(body):
    IOLoop.current().spawn_callback(lambda *args, **kwargs: body(), 1, two=2)


async def by_call_later(body):
    IOLoop.current().call_later(0, body)


@contextlib.asynccontextmanager
async def one_request(app):
    server = HTTPServer(app)
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    _, writer = await asyncio.open_connection(*sockets[0].getsockname())
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield
    finally:
        writer.close()
        await writer.wait_closed()
        server.stop()
        await server.close_all_connections()


def by_server(body):
    async def answer(request):
        await body()
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        request.finish()

    return one_request(answer)


def by_handler(body):
    class Handler(web.RequestHandler):
        async def get(self):
            await body()

    return one_request(web.Application([("/", Handler)]))


def by_prepare(body):
    class Handler(web.RequestHandler):
        async def prepare(self):
            await body()

        def get(self):
            pass

    return one_request(web.Application([("/", Handler)]))


WAYS = [by_add_callback, by_spawn_callback, by_call_later, by_server, by_handler, by_prepare]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def through(request):
    """through(body): the coroutine function's result, or what it raised, started in one of the ways."""

    async def through(body):
        outcome = asyncio.get_running_loop().create_future()

        async def noted():
            try:
                result = await body()
            except BaseException as exc:
                if not outcome.done():
                    outcome.set_exception(exc)
                raise
            outcome.set_result(result)

        started = request.param(noted)
        if hasattr(started, "__aenter__"):
            async with started:
                return await outcome
        await started
        return await outcome

    return through


def run(main):
    async def limited():
        async with asyncio.timeout(LIMIT):
            return await main()

    return tornado_c.run(limited())


# --------------------------------------------------------------------------- the task


def test_current_task(through):
    async def body():
        task = asyncio.current_task()
        assert type(task) is asyncio.Task and not task.done()
        assert task in asyncio.all_tasks() and task.get_loop() is asyncio.get_running_loop()
        assert task.get_name() and task.get_coro() is not None
        await asyncio.sleep(0)
        assert asyncio.current_task() is task and task in asyncio.all_tasks()
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is task
        return task

    async def main():
        outer = asyncio.current_task()
        task = await through(body)
        assert asyncio.current_task() is outer is not task
        while not task.done():
            await asyncio.sleep(0)
        assert task not in asyncio.all_tasks()

    run(main)


def test_a_coroutine_that_never_suspends(through):
    async def body():
        task = asyncio.current_task()
        assert type(task) is asyncio.Task and task in asyncio.all_tasks()
        return task

    async def main():
        task = await through(body)
        while not task.done():
            await asyncio.sleep(0)
        assert task not in asyncio.all_tasks()

    run(main)


def test_the_first_step_runs_at_once():
    """Before what was added after it, and so does the whole of a coroutine that does not suspend."""
    order = []

    async def suspends():
        order.append("first step")
        await asyncio.sleep(0)
        order.append("second step")

    async def goes_through():
        order.append("whole")

    async def main():
        loop = IOLoop.current()
        loop.add_callback(suspends)
        loop.add_callback(goes_through)
        loop.add_callback(order.append, "after")
        await until(lambda: len(order) == 4)

    run(main)
    assert order == ["first step", "whole", "after", "second step"]


def test_no_step_inside_another_tasks_step():
    """A coroutine that is started while a task runs does not take its place."""
    order = []

    async def inner():
        order.append(("inner", asyncio.current_task()))

    async def main():
        me = asyncio.current_task()
        IOLoop.current()._run_callback(inner)
        assert asyncio.current_task() is me
        order.append("outer")
        await asyncio.sleep(0.001)
        assert order[0] == "outer" and order[1][0] == "inner" and order[1][1] is not me

    run(main)


def test_calls_that_are_queued_while_the_task_is_made(through, caplog):
    """As finalizers do, when the collector runs there."""
    events = []

    class Loop(tornado_c.EventLoop):
        watched = False

        def get_debug(self):  # which asyncio asks for each Future and Task
            if self.watched:
                self.call_soon(events.append, "called")
                events.append("queued")
            return super().get_debug()

    async def body():
        assert events.count("queued") > events.count("called")  # the last of them is behind this first step
        events.append("begun")
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def main():
        asyncio.get_running_loop().watched = True
        task = await through(body)
        asyncio.get_running_loop().watched = False
        await until(lambda: events.count("called") == events.count("queued"))
        await until(task.done)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asyncio.wait_for(main(), LIMIT))
    gc.collect()
    assert "queued" in events and events.count("begun") == 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_plain_functions_have_no_task():
    got = []

    async def main():
        done = asyncio.Event()
        IOLoop.current().add_callback(lambda: (got.append(asyncio.current_task()), done.set()))
        await done.wait()

    run(main)
    assert got == [None]


def test_a_task_started_in_the_first_step(through):
    async def child():
        return asyncio.current_task()

    async def body():
        me = asyncio.current_task()
        children = [asyncio.create_task(child()) for _ in range(2)]
        got = await asyncio.gather(*children)
        assert got == children and me not in got
        async with asyncio.TaskGroup() as group:
            third = group.create_task(child())
        assert third.result() is third and asyncio.current_task() is me
        return "done"

    async def main():
        assert await through(body) == "done"

    run(main)


# --------------------------------------------------------------------------- timeouts and cancellation


def test_timeout_in_the_first_step(through):
    async def body():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await asyncio.sleep(LIMIT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(LIMIT), 0.002)
        async with asyncio.timeout(LIMIT):
            await asyncio.sleep(0)
        assert not asyncio.current_task().cancelling()
        return "in time"

    async def main():
        assert await through(body) == "in time"

    run(main)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cancelled_from_outside(through):
    got = []

    async def main():
        suspended = asyncio.Event()

        async def body():
            got.append(asyncio.current_task())
            suspended.set()
            try:
                await asyncio.sleep(LIMIT)
            except asyncio.CancelledError as exc:
                got.append(exc.args)
                raise

        waiting = asyncio.ensure_future(through(body))
        await suspended.wait()
        assert got[0].cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert got[1] == ("why",)
        while not got[0].done():
            await asyncio.sleep(0)

    run(main)


def test_cancellation_can_be_refused(through):
    async def main():
        tasks = []

        async def body():
            tasks.append(asyncio.current_task())
            try:
                await asyncio.sleep(LIMIT)
            except asyncio.CancelledError:
                assert asyncio.current_task().uncancel() == 0
            return "refused"

        waiting = asyncio.ensure_future(through(body))
        while not tasks:
            await asyncio.sleep(0)
        tasks[0].cancel()
        assert await waiting == "refused"

    run(main)


def test_a_step_that_cancels_its_own_task(through):
    async def body():
        asyncio.current_task().cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        asyncio.current_task().uncancel()
        return "went on"

    async def main():
        assert await through(body) == "went on"

    run(main)


# --------------------------------------------------------------------------- contexts


def test_tokens_of_the_first_step(through):
    async def body():
        token = VARIABLE.set("in the first step")
        other = VARIABLE.set("again")
        await asyncio.sleep(0)
        VARIABLE.reset(other)
        assert VARIABLE.get() == "in the first step"
        await asyncio.sleep(0.001)
        before = token.old_value
        VARIABLE.reset(token)
        assert VARIABLE.get() == ("unset" if before is contextvars.Token.MISSING else before)
        return "reset"

    async def main():
        assert await through(body) == "reset"

    run(main)


def test_contexts_are_apart(through):
    async def body():
        before = VARIABLE.get()
        VARIABLE.set("inside")
        await asyncio.sleep(0)
        assert VARIABLE.get() == "inside"
        return before

    async def main():
        VARIABLE.set("of the starter")
        assert await through(body) == await through(body) == "of the starter"
        assert VARIABLE.get() == "of the starter"
        VARIABLE.set("changed")
        assert await through(body) == "changed"

    run(main)


def test_a_context_manager_over_the_suspension(through):
    @contextlib.contextmanager
    def set_to(value):
        token = VARIABLE.set(value)
        try:
            yield
        finally:
            VARIABLE.reset(token)

    async def body():
        before = VARIABLE.get()
        with set_to("outer"):
            await asyncio.sleep(0)
            with set_to("inner"):
                await asyncio.sleep(0)
            assert VARIABLE.get() == "outer"
        return before == VARIABLE.get()

    async def main():
        assert await through(body)

    run(main)


# --------------------------------------------------------------------------- what it raises


def quiet_collection(caplog):
    """No task tells of an exception that nobody has looked at."""
    gc.collect()
    return not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("suspend", [False, True], ids=["at once", "later"])
def test_exceptions_are_logged_once(through, suspend, caplog):
    async def body():
        if suspend:
            await asyncio.sleep(0)
        raise ZeroDivisionError("of the body")

    async def main():
        with pytest.raises(ZeroDivisionError):
            await through(body)
        await asyncio.sleep(0.005)

    with caplog.at_level(logging.ERROR):
        run(main)
    told = [
        record
        for record in caplog.records
        if record.exc_info and isinstance(record.exc_info[1], ZeroDivisionError)
    ]
    assert len(told) == 1 and told[0].name == "tornado.application"
    assert quiet_collection(caplog)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("suspend", [False, True], ids=["at once", "later"])
def test_exits_leave_the_loop_which_can_run_again(error, suspend):
    with contextlib.closing(tornado_c.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        io_loop, got = IOLoop.current(), []

        async def leaves():
            got.append(asyncio.current_task())
            if suspend:
                await asyncio.sleep(0)
            raise error(3)

        async def after():
            got.append(asyncio.current_task())

        io_loop.add_callback(leaves)
        io_loop.add_callback(after)
        with pytest.raises(error):
            io_loop.start()
        assert asyncio.current_task(loop) is None
        io_loop.call_later(0.005, io_loop.stop)
        io_loop.start()
        assert len(got) == 2 and type(got[1]) is asyncio.Task
        with contextlib.suppress(error):
            got[0].exception()
        asyncio.set_event_loop(None)


# --------------------------------------------------------------------------- asyncio's settings


def test_task_factories_are_asked(through):
    made = []

    def factory(loop, coro, **options):
        assert asyncio.iscoroutine(coro) and coro.__qualname__
        made.append(task := asyncio.Task(coro, loop=loop, **options))
        return task

    async def body():
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        assert loop.get_task_factory() is factory
        assert await through(body) in made

    run(main)


def test_debug_mode(through):
    async def body():
        task = asyncio.current_task()
        await asyncio.sleep(0)
        return task

    async def main():
        assert type(await through(body)) is asyncio.Task

    loop = tornado_c.new_event_loop
    with asyncio.Runner(loop_factory=loop, debug=True) as runner:
        runner.run(asyncio.wait_for(main(), LIMIT))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought eager tasks")
def test_with_the_eager_task_factory(through):
    async def body():
        task = asyncio.current_task()
        assert type(task) is asyncio.Task
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        return "done"

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert await through(body) == "done"

    run(main)
