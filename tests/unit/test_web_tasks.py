"""The Task of an asynchronous handler: what can be seen of it is what stock Tornado shows, also where the
handler never waits and asyncio is not told of it."""

import asyncio
import contextlib
import contextvars
import gc
import inspect
import io
import socket
import sys
import weakref

import pytest

from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, pair, request, same

VARIABLE = contextvars.ContextVar("variable", default="unset")
OTHER = contextvars.ContextVar("other")


class Cases:
    """A method for each path; what it returns is the response. ``kept`` outlives a request."""

    def __init__(self):
        self.kept = []

    async def current(self, handler):
        task = asyncio.current_task()
        return [
            isinstance(task, asyncio.Task),
            task.done(),
            task.cancelling(),
            asyncio.iscoroutine(task.get_coro()),
            task.get_coro().__name__,
            task.get_coro().__qualname__,
            "coro=<RequestHandler._execute()" in repr(task),
        ]

    async def same_task(self, handler):
        before = asyncio.current_task()
        await asyncio.sleep(0)
        middle = asyncio.current_task()
        await asyncio.sleep(0.001)
        return [before is middle, middle is asyncio.current_task(), before in asyncio.all_tasks()]

    async def among_all_tasks(self, handler):
        tasks = asyncio.all_tasks()
        tasks.remove(asyncio.current_task())
        return len([task for task in asyncio.all_tasks() if task is asyncio.current_task()])

    async def keep_all_tasks(self, handler):
        self.kept.extend(task for task in asyncio.all_tasks() if task is asyncio.current_task())
        return len(self.kept)

    async def refer_weakly(self, handler):
        self.kept.extend(map(weakref.ref, asyncio.all_tasks() & {asyncio.current_task()}))
        return len({id(ref) for ref in self.kept})

    async def keep(self, handler):
        self.kept.append(asyncio.current_task())
        return "kept"

    async def cancel_all_that_exist(self, handler):
        """Tasks that asyncio does not know of are over."""
        known = asyncio.all_tasks()
        tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and each not in known]
        return any([task.cancel() for task in tasks])

    async def wait_to_be_released(self, handler):
        self.kept.append(asyncio.Event())
        await self.kept[-1].wait()

    async def stack(self, handler):
        """How many frames: of the running one those of the loop as well; of another that waits one."""
        own = len(asyncio.current_task().get_stack())
        while not self.kept:
            await asyncio.sleep(0.001)
        (waiting,) = (task for task in executions() if task is not asyncio.current_task())
        file = io.StringIO()
        waiting.print_stack(file=file)
        text = file.getvalue()
        self.kept.pop().set()
        return [
            own > 1,
            len(waiting.get_stack()),
            len(waiting.get_stack(limit=0)),
            text.startswith("Stack for <Task pending name="),
            "coro=<RequestHandler._execute() running at /" in text,
            inspect.getcoroutinestate(waiting.get_coro()),
            inspect.getcoroutinestate(asyncio.current_task().get_coro()),
        ]

    async def as_new(self, handler):
        task = asyncio.current_task()
        await asyncio.sleep(0)
        return [task.done(), task._cancel_message, task._asyncio_future_blocking]

    async def between(self, change):
        """Has it called while the Task has given up its turn; what it returned."""
        task, seen = asyncio.current_task(), []
        asyncio.get_running_loop().call_soon(lambda: seen.append(change(task)))
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        return seen.pop()

    async def seen_between(self, handler):
        current, among = [
            await self.between(see)
            for see in (lambda task: asyncio.current_task(), lambda task: task in asyncio.all_tasks())
        ]
        return [current, among, await self.between(lambda task: [task.done(), task._fut_waiter])]

    async def cancelled_between(self, handler):
        try:
            await self.between(lambda task: task.cancel("between"))
        except asyncio.CancelledError as e:
            task = asyncio.current_task()
            return [e.args, task.cancelling(), task.uncancel(), await self.between(asyncio.Task.cancelling)]

    async def cancelled_between_and_over(self, handler):
        await self.between(lambda task: task.cancel())

    async def cancelled_after_a_pause(self, handler):
        await self.between(str)
        task = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.001, task.cancel)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return task.uncancel()

    async def callback_between(self, handler):
        await self.between(lambda task: task.add_done_callback(lambda task: self.kept.append(task.result())))

    async def named_between(self, handler):
        task = asyncio.current_task()
        await self.between(lambda task: task.set_name("between"))
        return [task.get_name(), await self.between(asyncio.Task.get_name)]

    async def stepped_between(self, handler):
        def step(task):
            try:
                return task.get_coro().send(None)
            except BaseException as e:
                return type(e).__name__

        return await self.between(step)

    async def variable_between(self, handler):
        before = VARIABLE.get()
        VARIABLE.set("mine")
        seen = await self.between(lambda task: VARIABLE.get())
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        return [before, seen, VARIABLE.get()]

    async def fails_after_pauses(self, handler):
        for _ in range(3):
            await asyncio.sleep(0)
        raise ValueError

    async def yields_anything(self, handler):
        class Bare:
            def __init__(self, value):
                self.value = value

            def __await__(self):
                yield self.value

        await Bare(None)
        try:
            await Bare(3)
        except RuntimeError:
            await Bare(None)
            return "refused"

    async def ended_as_a_future(self, handler):
        await asyncio.sleep(0)
        asyncio.Future.set_result(asyncio.current_task(), "by itself")

    async def cancelled_as_a_future(self, handler):
        await asyncio.sleep(0)
        return asyncio.Future.cancel(asyncio.current_task())

    async def seems_to_be_awaited(self, handler):
        asyncio.current_task()._asyncio_future_blocking = True

    async def cancelled_with_a_message(self, handler):
        task = asyncio.current_task()
        task.cancel("why")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as exc:
            return [exc.args, task.uncancel(), task._cancel_message]

    async def keep_and_wait(self, handler):
        self.kept.append(asyncio.current_task())
        await asyncio.sleep(0)
        return "kept"

    async def keep_and_raise(self, handler):
        self.kept.append(asyncio.current_task())
        raise ValueError

    async def kept_tasks(self, handler):
        await asyncio.sleep(0.001)
        found = [[task.done(), task.cancelled()] for task in self.kept]
        different = len({id(task) for task in self.kept}) == len(self.kept)
        self.kept.clear()
        return [found, different]

    async def keep_coroutine(self, handler):
        self.kept.append(asyncio.current_task().get_coro())
        return "kept"

    async def kept_coroutine(self, handler):
        try:
            self.kept.pop().send(None)
        except (RuntimeError, StopIteration) as e:
            return type(e).__name__

    async def callback(self, handler):
        asyncio.current_task().add_done_callback(lambda task: self.kept.append([task.done(), task.result()]))
        return "added"

    async def called_back(self, handler):
        await asyncio.sleep(0.001)
        found = [*self.kept]
        self.kept.clear()
        return found

    async def attribute(self, handler):
        task = asyncio.current_task()
        before = getattr(task, "request", None)
        task.request = "this one"
        return before

    async def name(self, handler):
        task = asyncio.current_task()
        before = task.get_name() == "mine"
        task.set_name("mine")
        return before

    async def weak(self, handler):
        self.kept.append(weakref.ref(asyncio.current_task()))
        return "noted"

    async def weakly_kept(self, handler):
        gc.collect()
        task = self.kept.pop()()
        return [task is None or task.done(), task is asyncio.current_task()]

    async def variable(self, handler):
        before = VARIABLE.get()
        VARIABLE.set("set")
        return before

    async def variable_and_wait(self, handler):
        token = VARIABLE.set("set")
        await asyncio.sleep(0)
        during = VARIABLE.get()
        VARIABLE.reset(token)
        return [during, VARIABLE.get()]

    async def variable_reset(self, handler):
        token = OTHER.set(1)
        OTHER.reset(token)
        return OTHER.get("none")

    async def context_kept(self, handler):
        self.kept.append(contextvars.copy_context())
        VARIABLE.set("later")
        return self.kept.pop().get(VARIABLE, "not in it")

    async def call_soon(self, handler):
        VARIABLE.set("of the request")
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: future.set_result(VARIABLE.get()))
        return await future

    async def cancel_and_return(self, handler):
        self.kept.append(asyncio.current_task())
        asyncio.current_task().cancel()
        return "returned"

    async def cancel_and_wait(self, handler):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return "cancelled"

    async def cancel_and_wait_for_a_task(self, handler):
        steps = []

        async def other():
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                steps.append("other")
                await asyncio.sleep(0)
                steps.append("ended")
                raise

        task = asyncio.ensure_future(other())
        await asyncio.sleep(0)
        asyncio.current_task().cancel()
        try:
            await task
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return [*steps, task.cancelled()]

    async def cancel_first_and_wait_for_a_future(self, handler):
        future = asyncio.get_running_loop().create_future()
        asyncio.current_task().cancel("message")
        try:
            await future
        except asyncio.CancelledError as e:
            asyncio.current_task().uncancel()
            return [future.cancelled(), str(e)]

    async def cancel_before_a_bare_wait(self, handler):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return "cancelled"

    async def cancel_uncancel(self, handler):
        asyncio.current_task().cancel()
        asyncio.current_task().uncancel()
        return asyncio.current_task().cancelling()

    async def timeout(self, handler):
        async with asyncio.timeout(10) as limit:
            pass
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)
        except TimeoutError:
            return [limit.expired(), "timed out"]

    async def timeout_at_once(self, handler):
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out"

    async def group(self, handler):
        async def one(n):
            await asyncio.sleep(0)
            return n

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(n)) for n in range(3)]
        return [task.result() for task in tasks] + await asyncio.gather(one(3), one(4))

    async def shielded(self, handler):
        return await asyncio.shield(asyncio.sleep(0.001, "slept"))

    async def fails(self, handler):
        raise KeyError("first step")

    async def fails_later(self, handler):
        await asyncio.sleep(0)
        raise KeyError("second step")

    async def bad_await(self, handler):
        class Bad:
            def __await__(self):
                yield "no future"

        try:
            await Bad()
        except RuntimeError as e:
            return str(e).partition("Task got")[2]

    async def keep_later(self, handler):
        await asyncio.sleep(0)
        self.kept.append(asyncio.current_task())
        return "kept"

    async def keep_coroutine_later(self, handler):
        await asyncio.sleep(0)
        self.kept.append(asyncio.current_task().get_coro())
        return "kept"

    async def callback_later(self, handler):
        await asyncio.sleep(0)
        asyncio.current_task().add_done_callback(lambda task: self.kept.append([task.done(), task.result()]))
        return "added"

    async def attribute_later(self, handler):
        await asyncio.sleep(0)
        return await self.attribute(handler)

    async def name_later(self, handler):
        await asyncio.sleep(0)
        return await self.name(handler)

    async def weak_later(self, handler):
        await asyncio.sleep(0)
        return await self.weak(handler)

    async def context_kept_later(self, handler):
        await asyncio.sleep(0)
        VARIABLE.set("later")
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(0.001, lambda: self.kept.append(VARIABLE.get()))
        return "kept"

    async def cancel_later(self, handler):
        await asyncio.sleep(0)
        asyncio.current_task().cancel()
        return "returned"

    async def cancelled_by_another(self, handler):
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel, "by another")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError as e:
            return [str(e), task.cancelling(), task.uncancel()]

    async def cancelled_and_over(self, handler):
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "caught"

    async def awaited_by_another(self, handler):
        async def other(task):
            await task
            self.kept.append([task.done(), task.result()])

        self.other = asyncio.ensure_future(other(asyncio.current_task()))
        await asyncio.sleep(0.001)
        return "awaited"

    async def thread(self, handler):
        return await asyncio.get_running_loop().run_in_executor(None, lambda: 17)

    async def woken_twice(self, handler):
        """By a Future of Python's whose callbacks are called once more."""

        class Twice:
            _asyncio_future_blocking = False

            def __init__(self):
                self.loop = asyncio.get_running_loop()

            def get_loop(self):
                return self.loop

            def add_done_callback(self, callback, *, context):
                self.loop.call_soon(callback, self, context=context)
                self.loop.call_later(0.002, callback, self, context=context)

            def result(self):
                return None

            def __await__(self):
                self._asyncio_future_blocking = True
                yield self

        await Twice()
        return "woken"

    async def pause(self, handler):
        await asyncio.sleep(0.01)
        return "waited"

    async def others(self, handler):
        """The Tasks of handlers but this one."""
        await asyncio.sleep(0.001)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return [task for task in others if type(task.get_coro()).__name__ == "Execution"]


ORDERS = [
    "current current same_task current same_task same_task",
    "keep keep keep_and_wait keep_and_raise kept_tasks current kept_tasks",
    "keep_coroutine current kept_coroutine current",
    "callback called_back current called_back",
    "attribute attribute current attribute",
    "name name current name",
    "weak weakly_kept current",
    "variable variable variable_and_wait variable current variable",
    "variable_reset variable_reset current same_task variable_reset",
    "context_kept current context_kept call_soon current",
    "current cancel_and_return current kept_tasks current",
    "cancel_and_wait current cancel_and_wait",
    "current cancel_and_wait_for_a_task cancel_first_and_wait_for_a_future cancel_before_a_bare_wait current",
    "cancel_first_and_wait_for_a_future cancel_before_a_bare_wait",
    "cancel_uncancel current cancel_uncancel",
    "timeout timeout_at_once current timeout_at_once timeout",
    "group shielded current group",
    "fails current fails fails_later current fails_later",
    "bad_await current bad_await",
    "same_task keep_later same_task keep_later kept_tasks same_task kept_tasks",
    "same_task keep_coroutine_later same_task kept_coroutine same_task",
    "same_task callback_later called_back same_task called_back",
    "attribute_later attribute_later same_task attribute_later attribute",
    "name_later name_later same_task name_later name",
    "same_task weak_later weakly_kept same_task weak_later same_task",
    "variable_and_wait variable_and_wait variable same_task variable_and_wait",
    "context_kept_later pause called_back variable_and_wait",
    "same_task cancel_later same_task cancel_later same_task",
    "same_task cancelled_by_another same_task cancelled_by_another cancelled_by_another",
    "same_task cancelled_and_over cancel_uncancel same_task cancelled_and_over same_task",
    "same_task awaited_by_another called_back same_task called_back",
    "thread same_task thread current thread",
    "same_task current same_task current current same_task same_task current",
    "same_task fails_later same_task fails same_task",
    "others current others keep others same_task others",
    "among_all_tasks among_all_tasks current among_all_tasks same_task among_all_tasks",
    "current keep_all_tasks keep_all_tasks keep_all_tasks current",
    "current refer_weakly refer_weakly current refer_weakly",
    "seen_between current seen_between same_task seen_between",
    "cancelled_between current cancelled_between same_task cancelled_between",
    "cancelled_between_and_over current cancelled_between_and_over same_task current",
    "cancelled_after_a_pause current cancelled_after_a_pause",
    "callback_between called_back callback_between called_back same_task called_back",
    "named_between same_task name named_between",
    "stepped_between current stepped_between",
    "variable_between variable_between current variable_between variable",
    "fails_after_pauses same_task fails_after_pauses current",
    "yields_anything current yields_anything same_task yields_anything",
    "as_new ended_as_a_future as_new as_new cancelled_as_a_future as_new as_new",
    "current cancel_all_that_exist current current cancel_all_that_exist same_task current",
    "same_task same_task cancel_all_that_exist same_task cancel_all_that_exist current same_task",
    "as_new seems_to_be_awaited as_new cancelled_with_a_message as_new as_new",
]


def make_app(web):
    cases = Cases()

    class Handler(web.RequestHandler):
        async def get(self, name):
            self.write(repr(await getattr(cases, name)(self)))

        def on_finish(self):
            VARIABLE.get()

    class Prepared(Handler):
        async def prepare(self):
            OTHER.set("prepared")
            self.task = asyncio.current_task()

        async def get(self, name):
            assert asyncio.current_task() is self.task
            self.write(OTHER.get())
            await super().get(name)

    return web.Application([("/prepared/(.*)", Prepared), ("/(.*)", Handler)])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("prefix", ["/", "/prepared/"])
def test_what_a_handler_sees(order, prefix):
    with pair(make_app) as ask:
        for name in order.split():
            outcome = ask(request(prefix + name))
            assert outcome["ours"][0] == outcome["stock"][0], name
            same(outcome)


@pytest.mark.parametrize("each", BOTH, ids=repr)
def test_variables_of_prepare_are_seen_in_the_method(each):
    """They are in the context in which the coroutine begins."""
    web = each.web

    class Handler(web.RequestHandler):
        def prepare(self):
            self.token = VARIABLE.set(self.get_argument("v"))

        async def get(self):
            self.write(VARIABLE.get())
            if self.get_argument("wait", None):
                await asyncio.sleep(0)
            VARIABLE.set("of get")
            self.write(VARIABLE.get())

    with serving(web.Application([("/", Handler)]), each) as server:
        for path, expected in [
            ("/?v=1", b"1of get"),
            ("/?v=2", b"2of get"),
            ("/?v=3&wait=1", b"3of get"),
        ] * 2:
            assert body(server.exchange(request(path))) == expected


class NamedTask(asyncio.Task):
    def __init__(self, coro, **options):
        super().__init__(coro, **options | {"name": "from a factory"})


FACTORIES = [
    None,
    lambda loop, coro: NamedTask(coro, loop=loop),
    lambda loop, coro, **options: NamedTask(coro, loop=loop, **options),
    getattr(asyncio, "eager_task_factory", None),
]


@pytest.mark.parametrize("each", BOTH, ids=repr)
@pytest.mark.parametrize("factory", FACTORIES, ids=["none", "plain", "options", "eager"])
def test_a_variable_that_prepare_set_is_reset_in_on_finish(each, factory):
    """A token is good in one context: that of prepare() is the method's, whether or not that waits."""
    tokens = []

    class Handler(each.web.RequestHandler):
        def prepare(self):
            self.token = VARIABLE.set("of prepare")

        async def get(self):
            self.inner = OTHER.set(1)
            for _ in range(int(self.get_argument("turns"))):
                await asyncio.sleep(0)
            if self.get_argument("fail", None):
                raise each.web.HTTPError(409)
            self.write(VARIABLE.get())

        def on_finish(self):
            OTHER.reset(self.inner)
            VARIABLE.reset(self.token)
            tokens.append([VARIABLE.get(), OTHER.get("none")])

    class Factory(each.web.RequestHandler):
        def get(self):
            asyncio.get_running_loop().set_task_factory(factory)

    with serving(each.web.Application([("/", Handler), ("/factory", Factory)]), each) as server:
        if factory is not None:
            server.exchange(request("/factory"))
        for query in ["turns=0", "turns=1", "turns=2", "turns=0&fail=1", "turns=2&fail=1"] * 2:
            answer = server.exchange(request("/?" + query))
            assert body(answer) == b"of prepare" or (b"409" in answer and "fail" in query)
    assert tokens == [["unset", "none"]] * 10


def executions():
    """The Tasks of handlers."""
    return [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_execute"]


@pytest.mark.parametrize("each", BOTH, ids=repr)
def test_many_handlers_that_wait_at_once(each):
    """Each has a Task of its own, which is among all Tasks while it waits."""
    waiting, release = [], []

    class Handler(each.web.RequestHandler):
        async def get(self, number):
            task = asyncio.current_task()
            waiting.append(task.get_name())
            await release[0].wait()
            assert asyncio.current_task() is task
            self.write(f"{number} {VARIABLE.get()}")
            VARIABLE.set(number)

    async def main():
        server = each.web.Application([("/(.*)", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        for count in (3, 100, 70, 1, 100):
            release[:] = [asyncio.Event()]
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
            for i, (_, writer) in enumerate(clients):
                writer.write(request(f"/{i}"))
            while len(waiting) < count:
                await asyncio.sleep(0)
            assert len(set(waiting)) == count
            waiting.clear()
            assert len(executions()) == count
            release[0].set()
            for i, (reader, writer) in enumerate(clients):
                assert body(await reader.read()) == b"%d unset" % i
                writer.close()
        server.stop()

    each.run(main())


@pytest.mark.parametrize("each", BOTH[:1], ids=repr)
@pytest.mark.parametrize("before", [0, 2])
def test_a_task_that_is_lost_while_it_waits(each, before):
    """The loop's handler hears of it, as of any."""
    heard, refs = [], []

    class Handler(each.web.RequestHandler):
        async def get(self, how):
            await asyncio.sleep(0)
            if how == "lose":
                refs.append(weakref.ref(asyncio.current_task()))
                await asyncio.get_running_loop().create_future()
            self.write(how)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: heard.append(context["message"]))
        server = each.web.Application([("/(.*)", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        for _ in range(before):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("/answer"))
            assert body(await reader.read()) == b"answer"
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/lose"))
        while not refs:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        writer.close()
        while refs[0]() is not None:
            await asyncio.sleep(0.001)
            gc.collect()
        assert not executions()
        server.stop()

    each.run(main())
    assert heard == ["Task was destroyed but it is pending!"]


@pytest.mark.parametrize("each", BOTH, ids=repr)
@pytest.mark.parametrize("end", ["cancelled", "closed"])
def test_a_task_that_has_given_up_its_turn_when_the_loop_ends(each, end):
    """It can be cancelled, or (ours) goes with the loop."""
    seen = []

    class Handler(each.web.RequestHandler):
        async def get(self):
            try:
                await asyncio.sleep(0)
                if self.get_argument("how") == "stop":
                    asyncio.get_running_loop().stop()
                await asyncio.sleep(0)
                self.write("went on")
            except asyncio.CancelledError:
                seen.append("cancelled")

    async def main():
        server = each.web.Application([("/", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/?how=go"))
        assert body(await reader.read()) == b"went on"
        writer.close()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request("/?how=stop"))
            await asyncio.sleep(10)

    io_loop = each.ioloop.IOLoop(make_current=False)
    io_loop.add_callback(main)
    io_loop.start()
    loop = io_loop.asyncio_loop
    tasks = [task for task in asyncio.all_tasks(loop) if task.get_coro().__name__ == "_execute"]
    assert len(tasks) == 1
    lost = weakref.ref(tasks[0])
    if end == "cancelled":
        tasks[0].cancel()
        loop.run_until_complete(asyncio.sleep(0))
        assert tasks[0].done() and seen == ["cancelled"]
    tasks.clear()
    io_loop.close(all_fds=True)
    del io_loop, loop
    gc.collect()
    assert lost() is None or each is not BOTH[0]


def test_a_task_that_is_woken_once_too_often():
    """Then it is done, and the next handler gets another."""
    with pair(make_app) as ask:
        for _ in range(2):
            for name in ("woken_twice", "same_task", "pause", "same_task"):
                assert body(ask(request("/" + name))["ours"][0]) != b""


@pytest.mark.parametrize("each", BOTH, ids=repr)
def test_handlers_that_wait_are_found_and_cancelled(each):
    ended = []

    class Handler(each.web.RequestHandler):
        async def get(self, how):
            try:
                await asyncio.sleep(0)
                if how == "wait":
                    ended.append("begun")
                    await asyncio.sleep(100)
                self.write("done")
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

    async def main():
        server = each.web.Application([("/(.*)", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        for path in ("/", "/", "/wait"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(path))
            if path == "/":
                assert body(await reader.read()) == b"done"
                writer.close()
        while not ended:
            await asyncio.sleep(0.001)
        for task in executions():
            task.cancel()
        while len(ended) < 2:
            await asyncio.sleep(0.001)
        await reader.read()
        server.stop()
        writer.close()

    each.run(main())
    assert ended == ["begun", "cancelled"]


def test_a_loop_with_a_task_that_has_not_begun_closes():
    async def main():
        server = each.web.Application([("/(.*)", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("/current"))
            answers.append(body(await reader.read()))
            writer.close()
        assert len(asyncio.all_tasks()) <= 2
        server.stop()

    each, answers = BOTH[0], []

    class Handler(each.web.RequestHandler):
        async def get(self, name):
            self.write("hello")

    for _ in range(2):
        each.run(main())
    assert answers == [b"hello"] * 6


@pytest.mark.parametrize("each", BOTH, ids=repr)
@pytest.mark.parametrize("courses", ["1", "11", "01", "10", "2121", "w1w1", "1w01"])
def test_a_loop_with_tasks_that_gave_up_their_turns_closes(each, courses, caplog):
    """Nobody hears of Tasks that have nothing left to do."""

    async def take(course):
        for _ in range(int(course) if course != "w" else 0):
            await asyncio.sleep(0)
        if course == "w":
            await asyncio.sleep(0.001)

    class Handler(each.web.RequestHandler):
        async def get(self, course):
            await take(course)
            self.write(course)

    class Socket(each.websocket.WebSocketHandler):
        async def on_message(self, course):
            await take(course)
            self.write_message(course)

    async def main():
        server = each.web.Application([("/socket", Socket), ("/(.)", Handler)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        connection = await each.websocket.websocket_connect(f"ws://127.0.0.1:{port}/socket")
        for course in courses:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("/" + course))
            assert body(await reader.read()) == course.encode()
            writer.close()
            connection.write_message(course)
            assert await connection.read_message() == course
        connection.close()
        assert await connection.read_message() is None
        server.stop()

    each.run(main())
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="each coroutine has a Task of its own")
def test_a_task_that_did_not_wait_serves_the_next_request():
    web = BOTH[0].web

    class Handler(web.RequestHandler):
        async def get(self):
            self.write(asyncio.current_task().get_name())

    with serving(web.Application([("/", Handler)]), BOTH[0]) as server:
        names = {body(server.exchange(request("/"))) for _ in range(3)}
    assert len(names) == 1


@pytest.mark.parametrize("end", [asyncio.Task.cancel, asyncio.Future.cancel])
@pytest.mark.parametrize("waits", [False, True])
def test_a_task_between_two_requests_is_ended(end, waits):
    """Somebody finds it by what refers to it."""

    class Handler(BOTH[0].web.RequestHandler):
        async def get(self):
            if waits:
                await asyncio.sleep(0)
            self.write("served")

    class Ending(BOTH[0].web.RequestHandler):
        def get(self):
            steps = [each for each in gc.get_objects() if type(each).__name__ == "TaskStepMethWrapper"]
            for step in steps:
                end(step.__self__)

    rules = [("/", Handler), ("/ending", Ending)]
    with serving(BOTH[0].web.Application(rules), BOTH[0]) as server:
        for _ in range(3):
            for path, expected in (("/", b"served"), ("/ending", b""), ("/", b"served"), ("/", b"served")):
                answer = server.exchange(request(path))
                assert answer.startswith(b"HTTP/1.1 200 ") and body(answer) == expected


def test_the_stack_of_a_task_that_waits():
    with pair(make_app) as ask, contextlib.ExitStack() as stack:
        for server in ask.servers.values():
            stack.enter_context(socket.create_connection(server.address)).sendall(
                request("/wait_to_be_released", close=False)
            )
        same(ask(request("/stack")))


def test_what_a_task_shows():
    """Of the coroutine of Tornado's that is no Python here, what it awaits."""
    web, seen = BOTH[0].web, []

    class Handler(web.RequestHandler):
        async def get(self):
            task = asyncio.current_task()
            seen.append([frame.f_code.co_name for frame in task.get_stack()][-1])
            await asyncio.sleep(0)
            seen.append(task.get_coro().cr_code.co_name)
            asyncio.get_running_loop().call_soon(self.look, task)
            await asyncio.sleep(0.01)

        def look(self, task):
            seen.extend([frame.f_code.co_name for frame in task.get_stack()])

    with serving(web.Application([("/", Handler)]), BOTH[0]) as server:
        assert server.exchange(request("/")).startswith(b"HTTP/1.1 200 ")
    assert seen == ["get"] * 3


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="each coroutine has a Task of its own")
def test_a_task_that_waited_serves_the_next_request():
    web = BOTH[0].web

    class Handler(web.RequestHandler):
        async def get(self):
            await asyncio.sleep(0)
            self.write(asyncio.current_task().get_name())

    with serving(web.Application([("/", Handler)]), BOTH[0]) as server:
        names = [body(server.exchange(request("/"))) for _ in range(4)]
    assert len(set(names[1:])) == 1
