"""Exceptions of handlers, and error pages, beside stock Tornado."""

import asyncio

import pytest
from tornado import gen

from support.web_servers import gets, same, without_body


def make_app(web):
    class Fail(web.RequestHandler):
        def get(self, what):
            if what == "zero":
                1 / 0  # noqa: B018
            if what == "http":
                raise web.HTTPError(403)
            if what == "message":
                raise web.HTTPError(400, "bad %s", "thing")
            if what == "percent":
                raise web.HTTPError(400, "100% bad")
            if what == "reason":
                raise web.HTTPError(499, reason="My Own")
            if what == "badreason":
                raise web.HTTPError(400, reason="<b>")
            if what == "304":
                raise web.HTTPError(304)
            if what == "204":
                raise web.HTTPError(204)
            if what == "finish":
                self.set_status(401)
                self.write("so far")
                raise web.Finish()
            if what == "finish_chunk":
                raise web.Finish("chunk")
            if what == "missing":
                self.get_argument("nothing")
            if what == "cancelled":
                raise asyncio.CancelledError()
            if what == "send_error":
                self.send_error(503, reason="Later")
            if what == "written":
                self.write("discarded")
                self.set_header("X-Gone", "1")
                raise web.HTTPError(409)
            if what == "after_finish":
                self.finish("ok")
                raise ValueError("too late")
            if what == "key":
                self.application.reverse_url("nothing")
            if what == "result":
                return "text"

    class AsyncFail(web.RequestHandler):
        async def get(self, what):
            await asyncio.sleep(0)
            await gen.maybe_future(Fail.get(self, what))

        async def post(self, what):
            return Fail.get(self, what)

    class CustomError(web.RequestHandler):
        def get(self):
            raise web.HTTPError(418, "short")

        def post(self):
            raise ValueError("x")

        def write_error(self, status_code, **kwargs):
            if self.request.method == "POST":
                raise RuntimeError("in write_error")
            self.finish(f"custom {status_code} {kwargs['exc_info'][0].__name__}")

        def log_exception(self, typ, value, tb):
            if self.request.method == "POST":
                raise RuntimeError("in log_exception")
            self.set_header("X-Lost", "1")

    return web.Application(
        [
            (r"/fail/(.*)", Fail),
            (r"/afail/(.*)", AsyncFail),
            (r"/custom", CustomError),
            (r"/error", web.ErrorHandler, {"status_code": 410}),
        ]
    )


CASES = {
    **gets("/fail/", "zero http message percent reason badreason 304 204 finish finish_chunk missing"),
    **gets("/fail/", "cancelled send_error written after_finish key result ok"),
    **gets("/afail/", "zero http message 304 204 finish finish_chunk cancelled written after_finish ok"),
    **gets("/", "custom error"),
    **without_body("POST /custom", "POST /afail/zero", "POST /afail/ok", "POST /afail/result"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
