"""The Task of an asynchronous handler: what can be seen of it is what stock Tornado shows, also where the
handler never waits and asyncio is not told of it."""

import asyncio
import contextvars
import gc
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
    "others current others keep others",
    "among_all_tasks among_all_tasks current among_all_tasks same_task among_all_tasks",
    "current keep_all_tasks keep_all_tasks keep_all_tasks current",
    "current refer_weakly refer_weakly current refer_weakly",
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


@pytest.mark.parametrize("each", BOTH, ids=repr)
def test_a_variable_that_prepare_set_is_reset_in_on_finish(each):
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

    with serving(each.web.Application([("/", Handler)]), each) as server:
        for query in ["turns=0", "turns=1", "turns=2", "turns=0&fail=1", "turns=2&fail=1"] * 2:
            answer = server.exchange(request("/?" + query))
            assert body(answer) == b"of prepare" or (b"409" in answer and "fail" in query)
    assert tokens == [["unset", "none"]] * 10


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
