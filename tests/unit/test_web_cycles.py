"""No handler is left to the garbage collector."""

import asyncio
import gc

import pytest
from tornado import gen, template

from support.live_http import serving
from support.web_servers import collecting, request
from tornado_c import gen as ours
from tornado_c import locale, stack_context, web
from tornado_c.ioloop import IOLoop

TEMPLATES = {
    "plain.html": "{{ name }}{{ '' }}",
    "loop.html": "{% for n in range(3) %}{{ n }}{% apply str.upper %}x{{ n }}{% end %}{% end %}",
    "extends.html": "{% extends base.html %}{% block b %}{{ name }}{% end %}",
    "base.html": "{% block b %}{% end %}{{ locale.code }}{% raw xsrf_form_html() %}",
    "modules.html": "<head></head><body>{% module Entry() %}{% module Entry() %}{{ ui_text() }}</body>",
    "template.html": "<head></head><body>{% module Template('part.html') %}</body>",
    "part.html": "{{ set_resources(html_head='<x>') }}part",
    "linkify.html": "{% module linkify('http://example.com') %}{% module xsrf_form_html() %}",
    "function.html": "{% set f = lambda: name %}{{ f() }}{% from math import pi %}{{ pi }}",
}


class Entry(web.UIModule):
    def render(self):
        return "<p>"

    def html_head(self):
        return "<meta>"


class Render(web.RequestHandler):
    def get(self):
        self.render(self.get_argument("page") + ".html", name="é")


class AsyncRender(web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        await self.render("extends.html", name="é")


class RenderString(web.RequestHandler):
    def get(self):
        self.write(self.render_string("plain.html", name="a"))


class ErrorPage(web.RequestHandler):
    def get(self):
        raise web.HTTPError(418)

    def write_error(self, status, **kwargs):
        self.render("plain.html", name=status)


class Cookies(web.RequestHandler):
    def get_current_user(self):
        return self.get_signed_cookie("a")

    def get_user_locale(self):
        return locale.get("en_US")

    @web.authenticated
    def get(self):
        pass

    def head(self):
        self.set_signed_cookie("a", "b")
        self.xsrf_token  # noqa: B018
        self.locale  # noqa: B018


class Fail(web.RequestHandler):
    def get(self):
        how = self.get_argument("how")
        if how == "finish":
            raise web.Finish("text")
        if how == "http":
            raise web.HTTPError(404, "no %s", "such")
        if how == "missing":
            self.get_argument("nothing")
        raise ValueError("bad")

    async def post(self):
        await asyncio.sleep(0)
        self.get()

    @gen.coroutine
    def put(self):
        yield gen.moment
        self.get()


class Callbacks(web.RequestHandler):
    """As in Tornado 2 to 4."""

    @web.asynchronous
    @ours.engine
    def get(self):
        callback = yield ours.Callback("key")
        with stack_context.ExceptionStackContext(self.look_on):
            IOLoop.current().add_callback(callback, "text")
        self.write((yield ours.Wait("key")))
        if self.get_argument("how") == "engine":
            yield ours.Task(IOLoop.current().add_callback)
            raise ValueError("bad")
        self.finish()

    @web.asynchronous
    def post(self):
        with stack_context.ExceptionStackContext(self.look_on):
            IOLoop.current().add_callback(self.later)

    def later(self):
        raise ValueError("bad")

    def look_on(self, *args):
        return False


RULES = [
    ("/callbacks", Callbacks),
    ("/render", Render),
    ("/async", AsyncRender),
    ("/string", RenderString),
    ("/error", ErrorPage),
    ("/cookies", Cookies),
    ("/fail", Fail),
]
PAGES = [name.removesuffix(".html") for name in TEMPLATES if name != "part.html"]
PATHS = [f"GET /render?page={page}" for page in PAGES]
PATHS += ["GET /async", "GET /string", "GET /error", "GET /cookies", "HEAD /cookies", "GET /nothing"]
PATHS += [
    f"{method} /fail?how={how}"
    for method in ("GET", "POST", "PUT")
    for how in ("finish", "http", "missing", "x")
]
PATHS += ["GET /callbacks?how=well", "GET /callbacks?how=engine", "POST /callbacks"]
KINDS = (web.RequestHandler, web.UIModule)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_left_to_the_collector(path, debug):
    application = web.Application(
        RULES,
        cookie_secret="x",
        login_url="/login",
        template_loader=template.DictLoader(TEMPLATES),
        ui_modules={"Entry": Entry},
        ui_methods={"ui_text": lambda handler: "text"},
        **({"serve_traceback": True, "compiled_template_cache": False} if debug else {}),
    )
    web.RequestHandler._template_loaders.clear()
    method, _, target = path.partition(" ")
    data = request(target, method, headers=["Content-Length: 0"])
    with collecting() as log, serving(application) as server:
        assert server.exchange(data)  # what is made once
        server.call(gc.collect)
        gc.disable()
        try:
            gc.set_debug(gc.DEBUG_SAVEALL)
            for _ in range(3):
                assert server.exchange(data)
            log.take()
            server.call(gc.collect)
            left = [type(each).__name__ for each in gc.garbage if isinstance(each, KINDS)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
