"""Handlers with @stream_request_body, beside stock Tornado's: what is called, in which order, what is sent
and logged; natively, under TLS, through the Python classes, and where applications step in between.
"""

import asyncio
import contextvars

import pytest

from support.ways import WAYS, chunked_body, implementation_of, serve
from support.web_servers import collecting, request, without_date

BODY = bytes(range(256)) * 700
CHANGES = ["find_handler", "delegate around", "own delegate"]
variable = contextvars.ContextVar("variable", default="unset")


def make_handlers(web, seen):
    """Handlers by name. Each notes in `seen` what is called; pieces of a body are joined."""

    def note(what):
        if isinstance(what, bytes) and seen and isinstance(seen[-1], bytes):
            what = seen.pop() + what
        seen.append(what)

    @web.stream_request_body
    class Plain(web.RequestHandler):
        def initialize(self):
            note("initialize")

        def decode_argument(self, value, name=None):
            note(f"decode {value!r} {name}")
            return super().decode_argument(value, name)

        def _cross_origin_protection(self):
            note("protection")
            return super()._cross_origin_protection()

        def prepare(self):
            futures = self._prepared_future, self.request._body_future
            note(f"prepare {[(isinstance(future, asyncio.Future), future.done()) for future in futures]}")
            variable.set("set")

        def data_received(self, chunk):
            if type(chunk) is not bytes or not 0 < len(chunk) <= 65536 or not self._prepared_future.done():
                note("odd piece")
            note(chunk)

        def post(self, *args):
            body = self.request.body, self.request.body_arguments, self.request.files
            note(f"method {args} {body} {self.get_arguments('a')} {self.request._body_future.result()}")
            note(variable.get())
            self.write("done")

        get = put = post

        def on_finish(self):
            note("on_finish")

        def on_connection_close(self):
            note("on_connection_close")
            super().on_connection_close()

    class Patient(Plain):
        """Every hook suspends."""

        async def prepare(self):
            await asyncio.sleep(0)
            super().prepare()
            await asyncio.sleep(0.001)
            note("prepared")

        async def data_received(self, chunk):
            await asyncio.sleep(0)
            super().data_received(chunk)
            await asyncio.sleep(0)

        async def post(self, *args):
            await asyncio.sleep(0.001)
            super().post(*args)

    class Quick(Plain):
        """Every hook is a coroutine that does not suspend."""

        async def prepare(self):
            super().prepare()

        async def data_received(self, chunk):
            super().data_received(chunk)

        async def post(self, *args):
            super().post(*args)

    class Wrapped(Patient):
        async def _execute(self, *args, **kwargs):
            note("wrapped")
            await super()._execute(*args, **kwargs)

    class WrappedPlain(Plain):
        async def _execute(self, *args, **kwargs):
            note("wrapped")
            await super()._execute(*args, **kwargs)

    class Refusing(Plain):
        def prepare(self):
            super().prepare()
            raise web.HTTPError(401)

    class RefusingLate(Plain):
        async def prepare(self):
            await asyncio.sleep(0.001)
            raise web.HTTPError(403, "no %s", "entry")

    class Failing(Plain):
        def prepare(self):
            raise ValueError("in prepare")

    class Answering(Plain):
        def prepare(self):
            self.finish("early")

    class Finishing(Plain):
        async def prepare(self):
            await asyncio.sleep(0.001)
            self.write("early")
            raise web.Finish()

    class AnsweringPiece(Plain):
        def data_received(self, chunk):
            note("data_received")
            self.finish("too much")

    class AnsweringPieceLate(Plain):
        async def data_received(self, chunk):
            await asyncio.sleep(0.001)
            note("data_received")
            self.finish("too much")

    class Raising(Plain):
        error = ValueError("in data_received")

        def data_received(self, chunk):
            note("data_received")
            raise self.error

    class RaisingLate(Plain):
        async def data_received(self, chunk):
            await asyncio.sleep(0)
            note("data_received")
            raise KeyError("in data_received")

    class RaisingHTTPError(Raising):
        error = web.HTTPError(400, "bad piece")

    class RaisingFinish(Raising):
        error = web.Finish("an answer")

    class FailingMethod(Plain):
        def post(self):
            raise ValueError("in post")

    class Unimplemented(Plain):
        post = web.RequestHandler.post

    class NoData(Plain):
        data_received = web.RequestHandler.data_received

    class NotStreamed(Plain):
        """What a subclass says counts."""

        _stream_request_body = False

        def prepare(self):
            note("prepare")

        def post(self, *args):
            note(f"method {args} {self.request.body}")

    return {cls.__name__: cls for cls in locals().values() if isinstance(cls, type)}


def make_app(implementation, seen, change, **settings):
    """An Application of the handlers; `change` names what is different about it."""
    web, httputil = implementation.web, implementation.httputil
    handlers = make_handlers(web, seen)
    rules = [("/Plain/(.*)", handlers["Plain"])]
    rules += [("/" + name, handler) for name, handler in handlers.items()]

    class FindHandler(web.Application):
        def find_handler(self, request, **kwargs):
            return super().find_handler(request, **kwargs)

    class Around(web.Application):
        def find_handler(self, request, **kwargs):
            inner = super().find_handler(request, **kwargs)

            class Outer(httputil.HTTPMessageDelegate):
                def headers_received(self, start_line, headers):
                    return inner.headers_received(start_line, headers)

                def data_received(self, chunk):
                    return inner.data_received(chunk)

                def finish(self):
                    inner.finish()

                def on_connection_close(self):
                    inner.on_connection_close()

            return Outer()

    class OwnDelegate(web.Application):
        def get_handler_delegate(self, request, cls, target_kwargs=None, path_args=None, path_kwargs=None):
            class Delegate(web._HandlerDelegate):
                def execute(self):
                    result = super().execute()
                    assert self.handler.request is self.request
                    return result

            return Delegate(self, request, cls, target_kwargs, path_args, path_kwargs)

    classes = dict(zip(CHANGES, (FindHandler, Around, OwnDelegate), strict=True))
    return classes.get(change, web.Application)(rules, **settings)


def outcome(way, data, **settings):
    """What was sent, called and logged."""
    seen = []
    app = make_app(implementation_of(way), seen, way, **settings)
    with collecting() as collector, serve(way, app) as server:
        answer = without_date(server.exchange(data))
        log = [
            (name, level, text.replace("https", "http"), error)
            for name, level, text, error in collector.take()
        ]
        return answer, seen, log


def post(path, body=BODY, headers=(), **options):
    return request(path, "POST", headers, body, **options)


def chunked(path, body, headers=(), close=True):
    return request(path, "POST", [*headers, "Transfer-Encoding: chunked"], close=close) + chunked_body(body)


CASES = {
    "length": post("/Plain"),
    "small": post("/Plain", b"x"),
    "chunked": chunked("/Plain", BODY),
    "form": post("/Plain?a=query", b"a=body", ["Content-Type: application/x-www-form-urlencoded"]),
    "multipart": post("/Plain", b"no multipart", ["Content-Type: multipart/form-data"]),
    "no body": request("/Plain"),
    "empty": request("/Plain", "POST", ["Content-Length: 0"]),
    "empty chunked": chunked("/Plain", b""),
    "HTTP/1.0": post("/Plain", version="1.0", close=False),
    "PUT": request("/Plain", "PUT", (), BODY),
    "arguments": post("/Plain/%C3%A4?a=1&a=2"),
    "arguments that cannot be decoded": post("/Plain/%ff"),
    "pipelined": post("/Plain", close=False) + chunked("/Plain", b"two", close=False) + request("/Plain"),
    "waits": post("/Patient"),
    "waits, chunked": chunked("/Patient", BODY),
    "waits, no body": request("/Patient"),
    "waits, pipelined": post("/Patient", close=False) + post("/Plain", b"two"),
    "coroutines": post("/Quick"),
    "coroutines, no body": request("/Quick"),
    "_execute replaced": post("/WrappedPlain"),
    "_execute replaced, waits": post("/Wrapped"),
    "_execute replaced, no body": request("/WrappedPlain"),
    "refused": post("/Refusing", b"x"),
    "refused, no body": request("/Refusing"),
    "refused late": post("/RefusingLate"),
    "fails": post("/Failing"),
    "answers": post("/Answering"),
    "answers, chunked": chunked("/Answering", BODY),
    "finishes": post("/Finishing"),
    "answers to a piece": post("/AnsweringPiece"),
    "answers to a piece late": post("/AnsweringPieceLate"),
    "answers to the last piece": post("/AnsweringPiece", b"x"),
    "data_received raises": post("/Raising"),
    "data_received raises late": chunked("/RaisingLate", BODY),
    "HTTPError in data_received": post("/RaisingHTTPError"),
    "Finish in data_received": post("/RaisingFinish"),
    "the method raises": post("/FailingMethod"),
    "no such method": post("/Unimplemented"),
    "unknown method": request("/Plain", "PROPFIND", (), BODY),
    "no data_received": post("/NoData", b"x"),
    "not streamed": post("/NotStreamed"),
    "cross-origin": post("/Plain", b"x", ["Origin: http://evil.test", "Sec-Fetch-Site: cross-site"]),
}
_stocks = {}


@pytest.mark.parametrize("way", [*WAYS, *CHANGES])
@pytest.mark.parametrize("case", CASES)
def test_beside_stock(case, way):
    if case not in _stocks:
        _stocks[case] = outcome("stock", CASES[case])
    assert outcome(way, CASES[case]) == _stocks[case]


TOKEN = "0123456789abcdef0123456789abcdef"
COOKIE = f"Cookie: _xsrf={TOKEN}"
FORM = "Content-Type: application/x-www-form-urlencoded"
FORGED = {
    "header": post("/Plain", b"x", [COOKIE, f"X-Xsrftoken: {TOKEN}"]),
    "query": post(f"/Plain?_xsrf={TOKEN}", b"x", [COOKIE]),
    "form": post("/Plain", f"_xsrf={TOKEN}".encode(), [COOKIE, FORM]),
    "none": post("/Plain", b"x", [COOKIE]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", FORGED)
def test_the_token_comes_in_the_head(case, way):
    wanted = outcome("stock", FORGED[case], xsrf_cookies=True)
    assert outcome(way, FORGED[case], xsrf_cookies=True) == wanted
    assert wanted[0].startswith(b"HTTP/1.1 200" if case in ("header", "query") else b"HTTP/1.1 403")
