"""The application that test_web_stock.py has both servers run; `web` is tornado.web or tornado_c.web."""

import asyncio
import contextvars
import datetime

from tornado import gen

var = contextvars.ContextVar("var", default="unset")


def make_app(web):
    class Base(web.RequestHandler):
        pass

    class Hello(Base):
        def get(self):
            self.write("Hello, world")

        def head(self):
            self.write("Hello, world")

    class Write(Base):
        def get(self, what):
            if what == "dict":
                self.write({"a": 1, "b": ["</script>", None, "\u00e9"]})
            elif what == "list":
                self.write([1])
            elif what == "int":
                self.write(1)
            elif what == "none":
                self.write(None)
            elif what == "bytes":
                self.write(b"\x00\xff")
            elif what == "unicode":
                self.write("\u00e9\u20ac")
            elif what == "pieces":
                for i in range(10):
                    self.write(str(i))
            elif what.isdigit():
                self.write("x" * int(what))
            elif what == "after":
                self.finish("done")
                self.write("more")
            elif what == "twice":
                self.finish("done")
                self.finish()
            elif what == "finish_dict":
                self.finish({"x": 1})
            elif what == "empty":
                pass
            elif what == "json_type":
                self.write({"x": 1})
                self.set_header("Content-Type", "text/x-json")

    class Flush(Base):
        async def get(self, what):
            self.write("one")
            if what == "await":
                await self.flush()
            else:
                self.flush()
            self.write("two")
            if what == "length":
                self.set_header("Content-Length", "6")
            if what == "error":
                raise ValueError("late")
            if what == "http":
                raise web.HTTPError(400, "late")
            if what == "redirect":
                self.redirect("/")

        head = get

    class FlushLength(Base):
        def get(self, length):
            self.set_header("Content-Length", length)
            self.write("one")
            self.flush()
            self.write("two")

    class Status(Base):
        def get(self, code):
            self.set_status(int(code), self.get_argument("reason", None))
            if self.get_argument("body", ""):
                self.write("body")

        head = post = get

    class Header(Base):
        def get(self, what):
            values = {
                "str": "text",
                "bytes": b"\xe9t\xe9",
                "latin": "\xe9t\xe9",
                "int": 12345678901,
                "bool": True,
                "datetime": datetime.datetime(2020, 2, 29, 12, 0, 0),
                "float": 1.5,
                "none": None,
                "newline": "a\r\nb",
                "nul": "a\0b",
                "del": "a\x7f",
                "tab": "a\tb",
                "wide": "\u20ac",
            }
            self.set_header("x-some-header", values[what])

        def post(self, what):
            self.set_header("X-A", "1")
            self.add_header("X-A", "2")
            self.add_header("x-b", "3")
            self.clear_header("Server")
            self.clear_header("Not-There")
            self.set_header("CONTENT-type", "text/plain")

    class Args(Base):
        def get(self):
            name = self.get_argument("name")
            self.write(
                {
                    "name": name,
                    "all": self.get_arguments("name"),
                    "raw": self.get_arguments("name", strip=False),
                    "query": self.get_query_arguments("name"),
                    "body": self.get_body_arguments("name"),
                    "default": self.get_argument("none", None),
                    "q": self.get_query_argument("name", "q"),
                    "b": self.get_body_argument("name", "b"),
                    "one_raw": self.get_argument("name", "x", False),
                }
            )

        post = put = get

        def delete(self):
            self.get_arguments("x", "default")

    class Path(Base):
        def get(self, *args, **kwargs):
            self.write({"args": args, "kwargs": kwargs, "mine": [self.path_args, self.path_kwargs]})

    class Fail(Base):
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

    class AsyncFail(Base):
        async def get(self, what):
            await asyncio.sleep(0)
            await gen.maybe_future(Fail.get(self, what))

        async def post(self, what):
            return Fail.get(self, what)

    class CustomError(Base):
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

    class Hooks(Base):
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

    class AsyncPrepare(Base):
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

    class Coroutine(Base):
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

    class Redirect(Base):
        def get(self, what):
            if what == "permanent":
                self.redirect("/x", permanent=True)
            elif what == "status":
                self.redirect("/x", status=307)
            elif what == "bad":
                self.redirect("/x", status=200)
            else:
                self.redirect("/\u00e9 x")

    class Cookies(Base):
        def get(self, what):
            if what == "set":
                self.set_cookie("a", "1")
                self.set_cookie("b", "x;y", domain="example.test", max_age=5, httponly=True, secure=True)
                self.set_cookie("a", "2", samesite="lax", path="/p")
                self.set_cookie("e", "3", expires=0.0 + 1e9)
            elif what == "get":
                self.write(
                    {"a": self.get_cookie("a"), "n": self.get_cookie("n", "dflt"), "c": sorted(self.cookies)}
                )
            elif what == "bad_value":
                self.set_cookie("a", "x\n")
            elif what == "bad_path":
                self.set_cookie("a", "x", path="/;b")

    class Decorated(Base):
        def get_current_user(self):
            return self.get_argument("user", None)

        @web.authenticated
        def get(self):
            self.write(self.current_user)

        @web.authenticated
        def post(self):
            self.write(self.current_user)

    class Slash(Base):
        @web.removeslash
        def get(self):
            self.write("no slash")

        @web.removeslash
        def post(self):
            self.write("no slash")

    class AddSlash(Base):
        @web.addslash
        def get(self):
            self.write("slash")

    class Properties(Base):
        def get(self):
            self.require_setting("login_url")
            self.write(
                {
                    "reverse": [self.reverse_url("path2", "a b", 7), self.reverse_url("hello")],
                    "settings": self.settings is self.application.settings,
                    "status": self.get_status(),
                    "flags": [self._finished, self._headers_written, self._auto_finish],
                    "buffer": self._write_buffer,
                    "template": self.get_template_path(),
                    "summary": self._request_summary(),
                }
            )

        def post(self):
            self.require_setting("nothing", "something")

    class Unusual(Base):
        SUPPORTED_METHODS = Base.SUPPORTED_METHODS + ("PROPFIND",)

        def propfind(self):
            self.write("found")

    class Origin(Base):
        def post(self):
            self.write("posted")

    class Decode(Base):
        def decode_argument(self, value, name=None):
            return f"<{name}:{value!r}>"

        def get(self, arg):
            self.write(arg + self.get_argument("q", ""))

    return web.Application(
        [
            web.url(r"/", Hello, name="hello"),
            (r"/write/(.*)", Write),
            (r"/flush/(.*)", Flush),
            (r"/length/(.*)", FlushLength),
            (r"/status/(\d+)", Status),
            (r"/header/(.*)", Header),
            (r"/args", Args),
            (r"/path/named/(?P<first>[^/]*)/(?P<second>.*)", Path),
            (r"/path/optional(/x)?", Path),
            web.url(r"/path/([^/]*)/(.*)", Path, name="path2"),
            (r"/fail/(.*)", Fail),
            (r"/afail/(.*)", AsyncFail),
            (r"/custom", CustomError),
            (r"/hooks", Hooks, {"x": 1, "y": 2}),
            (r"/aprepare", AsyncPrepare),
            (r"/coroutine", Coroutine),
            (r"/redirect/(.*)", Redirect),
            (r"/cookies/(.*)", Cookies),
            (r"/decorated", Decorated),
            (r"/slash/*", Slash),
            (r"/addslash/?", AddSlash),
            (r"/properties", Properties),
            (r"/unusual", Unusual),
            (r"/origin", Origin),
            (r"/decode/(.*)", Decode),
            (r"/to/(.*)", web.RedirectHandler, {"url": "/target/{0}"}),
            (r"/toplain", web.RedirectHandler, {"url": "/target?x=1", "permanent": False}),
            (r"/tohost/(.*)", web.RedirectHandler, {"url": "{0}"}),
            (r"/error", web.ErrorHandler, {"status_code": 410}),
            (r"/esc\.txt", Hello),
            (r"/order/.*", Write, {}, "order"),
            (r"/order/hidden", Hello),
            (r"/initkw", Hello, {"unexpected": 1}),
        ],
        login_url="/login",
        cross_origin_protection=True,
    )
