"""Where a request may end, and how: every place that can finish it or raise, beside stock Tornado, with the
hooks that are called then and their order.
"""

import asyncio
import threading

import pytest
from tornado import gen

from support.implementations import BOTH, OURS
from support.live_http import Overridden, serving
from support.web_servers import collecting, request, same, without_date
from tornado_c import web


def finish(handler, web):
    handler.finish("finished")


def finish_exception(handler, web):
    raise web.Finish()


def finish_text(handler, web):
    raise web.Finish("text")


def finish_dict(handler, web):
    raise web.Finish({"a": 1})


def finish_twice(handler, web):
    handler.finish("finished")
    raise web.Finish("too late")


def finish_status(handler, web):
    handler.set_status(401)
    handler.set_header("WWW-Authenticate", "Basic")
    handler.write("written ")
    raise web.Finish("and more")


def finish_204(handler, web):
    handler.set_status(204)
    raise web.Finish()


def finish_flushed(handler, web):
    handler.write("flushed ")
    handler.flush()
    raise web.Finish("and more")


def finish_after_error(handler, web):
    handler.send_error(503)
    raise web.Finish("too late")


def http_error(handler, web):
    raise web.HTTPError(403, "no %s", "entry", reason="No Entry")


def http_error_quiet(handler, web):
    raise web.HTTPError(404)


def http_error_304(handler, web):
    raise web.HTTPError(304)


def missing_argument(handler, web):
    handler.get_argument("nothing")


def error(handler, web):
    handler.write("discarded")
    handler.set_header("X-Gone", "1")
    raise ValueError("bad")


def error_after_finish(handler, web):
    handler.finish("finished")
    raise ValueError("too late")


def send_error(handler, web):
    handler.send_error(503, reason="Later")


def redirect(handler, web):
    handler.redirect("/elsewhere")


def render_after_finish(handler, web):
    handler.finish("finished")
    handler.render("a.html")


def write_after_finish(handler, web):
    handler.finish("finished")
    handler.write("too late")


def flush_after_finish(handler, web):
    handler.finish("finished")
    handler.flush()


def flush_after_chunks(handler, web):
    handler.write("flushed ")
    handler.flush()
    handler.finish("finished")
    handler.flush(include_footers=True)


def finish_again(handler, web):
    handler.finish("finished")
    handler.finish("too late")


def cancelled(handler, web):
    raise asyncio.CancelledError()


def nothing(handler, web):
    pass


ENDINGS = {
    function.__name__: function
    for function in (
        *(nothing, finish, finish_exception, finish_text, finish_dict, finish_twice),
        *(finish_status, finish_204, finish_flushed, finish_after_error, http_error, http_error_quiet),
        *(http_error_304, missing_argument, error, error_after_finish, send_error, redirect),
        *(render_after_finish, write_after_finish, flush_after_finish, flush_after_chunks, finish_again),
        cancelled,
    )
}
PLACES = (
    *("initialize", "prepare", "async_prepare", "waiting_prepare", "get", "async_get", "waiting_get"),
    *("gen_get", "returned", "on_finish", "log_exception", "write_error", "get_current_user"),
)
AFTER_ERRORS = ("on_finish", "log_exception", "write_error")

WRITING = {name for name in ENDINGS if name.startswith(("finish", "send", "redirect")) or "after" in name}
#: What is not compared.
ELSEWHERE = {
    # Stock has nothing to finish a response with yet.
    "initialize": WRITING - {"finish_exception", "finish_text", "finish_dict", "finish_status", "finish_204"},
    # An error after the head: ours ends without the last chunk. Stock never ends after a cancellation.
    "log_exception": {"finish_flushed", "cancelled"},
    # An error page whose making makes an error page.
    "write_error": {"finish_after_error", "send_error", "cancelled"},
}


def make_app(web):
    class Base(web.RequestHandler):
        """Ends where the URL says."""

        def initialize(self):
            self.calls = self.settings["calls"]
            self.at("initialize")

        def at(self, place):
            self.calls.append(place)
            if self.get_argument("at") == place:
                ENDINGS[self.get_argument("how")](self, web)

        def set_default_headers(self):
            self.set_header("X-Default", "1")
            if getattr(self, "calls", None) is not None:
                self.calls.append("set_default_headers")

        def get_current_user(self):
            self.at("get_current_user")

        def prepare(self):
            self.at("prepare")

        def get(self):
            self.at("get")
            self.current_user  # noqa: B018
            if self.get_argument("at") in ("log_exception", "write_error"):
                raise KeyError("first")
            self.write("the end")

        def on_finish(self):
            self.at("on_finish")

        def on_connection_close(self):
            self.calls.append("on_connection_close")

        def log_exception(self, *args):
            super().log_exception(*args)
            self.at("log_exception")

        def write_error(self, status, **kwargs):
            self.calls.append(str(status))
            self.at("write_error")
            super().write_error(status, **kwargs)

    class AsyncPrepare(Base):
        async def prepare(self):
            self.at("async_prepare")

    class WaitingPrepare(Base):
        async def prepare(self):
            await asyncio.sleep(0)
            self.at("waiting_prepare")

    class AsyncGet(Base):
        async def get(self):
            self.at("async_get")
            self.write("the end")

    class WaitingGet(Base):
        async def get(self):
            await asyncio.sleep(0)
            self.at("waiting_get")
            self.write("the end")

    class GenGet(Base):
        @gen.coroutine
        def get(self):
            yield gen.moment
            self.at("gen_get")
            self.write("the end")

    class Returned(Base):
        def get(self):
            future = asyncio.get_event_loop().create_future()
            try:
                self.at("returned")
            except (Exception, asyncio.CancelledError) as exc:
                future.cancel() if isinstance(exc, asyncio.CancelledError) else future.set_exception(exc)
            else:
                future.set_result(None)
            return future

    class WaitingErrors(WaitingGet):
        async def get(self):
            await asyncio.sleep(0)
            Base.get(self)

    own = {
        "async_prepare": AsyncPrepare,
        "waiting_prepare": WaitingPrepare,
        "async_get": AsyncGet,
        "waiting_get": WaitingGet,
        "gen_get": GenGet,
        "returned": Returned,
    }
    rules = [(f"/{place}", own.get(place, Base)) for place in PLACES] + [("/waiting_errors", WaitingErrors)]
    return web.Application(rules, calls=[])


@pytest.fixture(scope="module", params=["native", "by classes"])
def both_say(request):
    """A function that gives the answer, the log and the calls of ours and of stock Tornado's."""
    with collecting() as log:
        make = (lambda: Overridden(applications["ours"])) if request.param == "by classes" else None
        applications = {each.name: make_app(each.web) for each in BOTH}
        running = {
            each.name: serving(
                applications[each.name], each, **({"make": make} if make and each is OURS else {})
            )
            for each in BOTH
        }
        servers = {name: server.__enter__() for name, server in running.items()}

        def ask(data):
            outcome = {}
            for name, server in servers.items():
                calls = applications[name].settings["calls"]
                calls.clear()
                log.take()
                answer = without_date(server.exchange(data))
                lines = [(*line[:2], line[2].partition("\n")[0], line[3]) for line in log.take()]
                outcome[name] = answer, (lines, [*calls])
            return outcome

        yield ask
    for server in running.values():
        server.__exit__(None, None, None)


def cases(places):
    return [(place, how) for place in places for how in ENDINGS if how not in ELSEWHERE.get(place, ())]


@pytest.mark.parametrize(("place", "how"), cases(PLACES))
def test_same_end(both_say, place, how):
    outcome = both_say(request(f"/{place}?at={place}&how={how}"))
    assert outcome["ours"] == outcome["stock"]
    # An exception of initialize() closes the connection.
    assert bool(outcome["ours"][0]) == (place != "initialize" or how == "nothing")


@pytest.mark.parametrize(("place", "how"), cases(AFTER_ERRORS))
def test_same_end_after_waiting(both_say, place, how):
    same(both_say(request(f"/waiting_errors?at={place}&how={how}")))


@pytest.mark.parametrize("way", ["native", "by classes"])
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("how", ["chunk", "headers"])
def test_where_there_is_not_even_an_error_page_the_connection_ends(how, waits, way):
    """Stock Tornado's client waits for ever."""

    class Handler(web.RequestHandler):
        def set_default_headers(self):
            if how == "headers" and self.settings["fail"]:
                raise ValueError("again")

        async def get(self):
            if waits:
                await asyncio.sleep(0)
            self.settings["fail"] = True
            raise web.Finish(["no such chunk"]) if how == "chunk" else ValueError("first")

    application = web.Application([("/", Handler)], fail=False)
    make = (lambda: Overridden(application)) if way == "by classes" else None
    with collecting() as log, serving(application, **({"make": make} if make else {})) as server:
        assert server.exchange(request("/", close=False)) == b""
        assert log.take()[-1][2] == "Exception in exception handler"


def by_stream(handler):
    handler.request.connection.stream.close()


def by_later_callback(handler):
    by_stream(handler)
    handler.request.connection.set_close_callback(lambda: handler.told("the connection's own"))


def by_earlier_callback(handler):
    handler.request.connection.set_close_callback(lambda: handler.told("the connection's own"))
    by_stream(handler)


def by_finishing_too(handler):
    by_stream(handler)
    handler.finish("too late")


@pytest.mark.parametrize("place", ["prepare", "get"])
@pytest.mark.parametrize("close", [by_stream, by_later_callback, by_earlier_callback, by_finishing_too])
def test_a_handler_that_closes_its_own_stream_is_told_once(implementation, close, place):
    seen, done = [], threading.Event()

    class Handler(implementation.web.RequestHandler):
        def told(self, what):
            seen.append(what)

        def on_connection_close(self):
            self.told("the handler's")

        def prepare(self):
            if place == "prepare":
                close(self)

        async def get(self):
            if place == "get":
                close(self)
            await asyncio.sleep(0.05)
            done.set()

    with serving(implementation.web.Application([("/", Handler)]), implementation) as server:
        server.exchange(request("/"))
        wanted = {
            by_stream: ["the handler's"],
            by_later_callback: ["the connection's own"],
            by_earlier_callback: ["the connection's own"],
            by_finishing_too: [],
        }
        assert close is by_finishing_too or done.wait(20)
    assert seen == wanted[close]
