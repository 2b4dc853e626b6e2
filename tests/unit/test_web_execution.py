"""The course of a request: hooks, prepare(), coroutines and the Task's own, beside stock Tornado."""

import asyncio
import contextvars
import gc
import logging
import weakref

import pytest
from tornado import gen

from support.live_http import serving
from support.web_servers import gets, request, same, without_body
from tornado_c import web

var = contextvars.ContextVar("var", default="unset")


def make_app(web):
    class Hooks(web.RequestHandler):
        def initialize(self, **kwargs):
            self.seen = [f"initialize {sorted(kwargs)!r}"]

        def set_default_headers(self):
            self.set_header("X-Default", "yes")
            self.set_header("Server", "mine")

        def prepare(self):
            self.seen.append("prepare")
            if self.get_argument("stop", None):
                self.finish("stopped")

        def get(self):
            self.seen.append("get")
            self.write(" ".join(self.seen))

        def compute_etag(self):
            return None if self.get_argument("noetag", None) else '"mine"'

    class AsyncPrepare(web.RequestHandler):
        async def prepare(self):
            var.set("prepare")
            if self.get_argument("sleep", None):
                await asyncio.sleep(0.001)
            var.set("prepared")
            if self.get_argument("fail", None):
                raise web.HTTPError(402)

        def get(self):
            self.write(var.get())

        async def post(self):
            await asyncio.sleep(0)
            self.write(var.get() + str(asyncio.current_task() is not None))
            var.set("posted")

        def on_finish(self):
            if self.request.method == "POST":
                from tornado.log import gen_log

                gen_log.info("context in on_finish: %s", var.get())

    class Coroutine(web.RequestHandler):
        @gen.coroutine
        def get(self):
            yield gen.sleep(0.001)
            self.write("from a generator")

        @gen.coroutine
        def post(self):
            self.write("at once")

        async def put(self):
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, "later")
            self.write(await future)

        def delete(self):
            future = asyncio.get_running_loop().create_future()
            future.set_exception(KeyError("in a future"))
            return future

        def options(self):
            return self.finish("finished")

        async def patch(self):
            self.finish("patched")
            await asyncio.sleep(0)

    class Fail(web.RequestHandler):
        def get(self):
            1 / 0  # noqa: B018

    class Flush(web.RequestHandler):
        async def get(self):
            self.write("one")
            await self.flush()
            self.write("two")

    class Interferes(web.RequestHandler):
        """Uses its own coroutine while it runs, by name."""

        async def get(self, name):
            if self.get_argument("later", None):
                await asyncio.sleep(0)
            task = asyncio.current_task()
            arguments = {"close": (), "send": (None,), "throw": (KeyError,)}[name]
            try:
                getattr(task.get_coro(), name)(*arguments)
            except ValueError as exc:
                self.write(f"{exc}; ")
            await asyncio.sleep(0.001)
            self.write("goes on")

    class Closed(web.RequestHandler):
        """Is closed by another while it waits; what it has to tell comes out of its own finally."""

        async def get(self):
            task = asyncio.current_task()

            async def end():
                coroutine = task.get_coro()
                coroutine.close()
                again = coroutine.close()
                with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                    coroutine.send(None)
                outcome.append(again)

            outcome = []
            ending = asyncio.ensure_future(end())
            try:
                await asyncio.sleep(20)
            finally:
                ending.add_done_callback(lambda _: self.finish(f"closed {outcome} {ending.exception()}"))

    class Own(web.RequestHandler):
        """Its _execute is its own, and returns or raises what the path says."""

        def _execute(self, transforms, kind):
            if kind == b"raises":
                raise KeyError("raised")
            if kind == b"nothing to wait for":
                return 5
            if kind in (b"Future", b"failed Future"):
                self._transforms = transforms
                self.finish("done")
                future = asyncio.get_running_loop().create_future()
                future.set_exception(KeyError("late")) if kind == b"failed Future" else future.set_result(5)
                return future
            coroutine = super()._execute(transforms, kind)
            if kind == b"fails":
                return fail(coroutine)
            return {b"list": [coroutine], b"dict": {"a": coroutine}}.get(kind, coroutine)

        async def get(self, kind):
            await asyncio.sleep(0)
            self.write(f"{kind} {asyncio.current_task() is not None}")

    async def fail(coroutine):
        await coroutine
        raise KeyError("at the end")

    class Ends(web.RequestHandler):
        """Its _execute ends without a response."""

        async def _execute(self, transforms, kind):
            if kind == b"waits":
                await asyncio.sleep(0)
            if kind == b"cancelled":
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            raise KeyError("no response")

    return web.Application(
        [
            ("/execute/(.*)", Own),
            ("/ends/(.*)", Ends),
            (r"/hooks", Hooks, {"x": 1, "y": 2}),
            (r"/aprepare", AsyncPrepare),
            (r"/coroutine", Coroutine),
            (r"/fail", Fail),
            (r"/flush", Flush),
            ("/own/(.*)", Interferes),
            ("/closed", Closed),
        ]
    )


CASES = {
    **gets("/hooks", "?stop=1 ?noetag=1"),
    **gets("/aprepare", "?sleep=1 ?fail=1 ?sleep=1&fail=1"),
    **gets("/", "hooks aprepare coroutine"),
    **without_body("POST /aprepare", "POST /aprepare?sleep=1"),
    **without_body(*(f"{method} /coroutine" for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"))),
    "pipelined": request("/coroutine", close=False) + request("/fail", close=False) + request("/hooks"),
    "pipelined async": request("/coroutine", close=False) * 3 + request("/flush"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


@pytest.fixture
def said(caplog):
    """Level and exception of what asyncio logs."""

    def take():
        records = [each for each in caplog.records if each.name == "asyncio"]
        return [(each.levelname, each.exc_info and repr(each.exc_info[1])) for each in records]

    return take


@pytest.mark.parametrize("kind", ["coroutine", "list", "dict", "Future", "raises"])
def test_an_execute_of_its_own(ask, kind, said):
    outcome = ask(request(f"/execute/{kind}"))
    assert outcome["ours"] == outcome["stock"]
    assert bool(outcome["ours"][0]) == (kind != "raises")
    assert said() == []


def test_an_execute_that_returns_nothing_to_wait_for(ask):
    outcome = ask(request("/execute/nothing%20to%20wait%20for"))
    assert outcome["ours"] == outcome["stock"]
    assert outcome["ours"][1][-1][-1] == "BadYieldError"


@pytest.mark.parametrize("kind", ["fails", "failed%20Future"])
def test_an_execute_that_fails_after_the_response(ask, kind, said):
    outcome = ask(request(f"/execute/{kind}"))
    assert outcome["ours"] == outcome["stock"]
    assert len(said()) == 2 and len(set(said())) == 1 and said()[0][0] == "ERROR"


@pytest.mark.parametrize("kind", ["at once", "waits", "cancelled"])
def test_an_execute_that_ends_without_a_response(ask, kind, said):
    """The connection is closed. With Tornado the client waits for ever."""
    path = request("/ends/" + kind.replace(" ", "%20"), close=False)
    assert ask.servers["ours"].exchange(path) == b""
    assert said() == ([] if kind == "cancelled" else [("ERROR", "KeyError('no response')")])


def test_a_handler_whose_execute_failed_is_not_left_to_the_collector(monkeypatch):
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # pytest keeps what is logged
    alive = weakref.WeakSet()

    class Fails(web.RequestHandler):
        async def _execute(self, *args):
            alive.add(self)
            raise KeyError("no response")

    gc.disable()
    try:
        with serving(web.Application([("/", Fails)])) as server:
            assert server.exchange(request("/")) == b""
            assert not alive
    finally:
        gc.enable()


@pytest.mark.parametrize("later", ["", "?later=1"])
@pytest.mark.parametrize("name", ["close", "send", "throw"])
def test_a_handler_that_runs_cannot_be_entered(ask, name, later):
    outcome = ask(request(f"/own/{name}{later}"))
    assert outcome["ours"] == outcome["stock"]
    assert outcome["ours"][0].endswith(b"coroutine already executing; goes on")


def test_a_handler_closed_while_it_waits(ask):
    outcome = ask(request("/closed"))
    assert outcome["ours"][0].endswith(b"closed [None] None"), outcome
    assert outcome["ours"][0] == outcome["stock"][0]
