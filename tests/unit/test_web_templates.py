"""Responses from templates, beside stock Tornado. The templates are stock's; ours is what they are given."""

import ast
import threading
from pathlib import Path

import pytest
from tornado import template

from support.children import run_alone
from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, gets, request, same, without_date
from tornado_c import web

pytestmark = pytest.mark.usefixtures("no_loaders")

PAGES = {
    "plain.html": "Hello, {{ name }}!",
    "names.html": (
        "{{ handler.request is request }} {{ current_user }} {{ locale.code }} {{ _('text') }} "
        "{{ pgettext('a', 'text') }} {{ reverse_url('again', 'x') }} {{ ui_text('<b>') }}"
    ),
    "own_name.html": "{{ name }} {{ added }}",
    "base.html": "<{% block b %}base{% end %}>",
    "extends.html": "{% extends base.html %}{% block b %}{{ 1 + 1 }}{% end %}",
    "includes.html": "({% include plain.html %})",
    "error.html": "{{ 1 / 0 }}",
    "blanks.html": "a   b\n\n   c",
    "bytes.html": "{{ data }}",
    "broken.html": "{% if %}",
    "raw.html": "{% raw name %}",
    "form.html": "{% raw xsrf_form_html() == handler.xsrf_form_html() %}",
    "modules.html": "{{ modules is _tt_modules }}{{ sorted(handler.ui) }}",
}


def ui_text(handler, text):
    return f"{type(handler).__name__} {text}"


def make_app(web, pages=PAGES, **settings):
    class Page(web.RequestHandler):
        def get_current_user(self):
            return "<user>"

        def get(self, name):
            self.render(name + ".html", name="<name>", data=b"\xc3\xa9<")

    class String(web.RequestHandler):
        def get(self):
            text = self.render_string("plain.html", name="<you>")
            self.write({"type": type(text).__name__, "text": text.decode()})

    class Namespace(web.RequestHandler):
        def get_template_namespace(self):
            names = super().get_template_namespace()
            names["added"] = ",".join(sorted(set(names) - {"ui_text"}))
            names["name"] = "overridden"
            return names

        def get(self):
            self.render("own_name.html")

    class Finished(web.RequestHandler):
        def get(self, how):
            if how == "finish":
                self.finish("done")
            elif how == "render":
                self.render("plain.html", name="first")
            elif how == "flush":
                self.write("flushed ")
                self.flush()
            self.render("plain.html", name="second")

    class Awaited(web.RequestHandler):
        async def get(self):
            await self.render("plain.html", name="awaited")

    class Missing(web.RequestHandler):
        def get(self):
            self.render("missing.html")

    class Error(web.RequestHandler):
        def get(self):
            raise web.HTTPError(418)

        def write_error(self, status, **kwargs):
            self.render("plain.html", name=f"error {status}")

    rules = [
        (r"/string", String),
        (r"/namespace", Namespace),
        (r"/finished/(.*)", Finished),
        (r"/awaited", Awaited),
        (r"/missing", Missing),
        (r"/error", Error),
        web.url(r"/(.*)", Page, name="again"),
    ]
    settings = {
        "template_loader": template.DictLoader(dict(pages)),
        "ui_methods": {"ui_text": ui_text},
    } | settings
    return web.Application(rules, **settings)


CASES = {
    **gets("/", " ".join(name.removesuffix(".html") for name in PAGES)),
    **gets("/", "string namespace finished/finish finished/render finished/flush awaited missing error"),
    "HEAD": request("/string", "HEAD"),
}
CASES.pop("/form")  # random


def both_say(data, **settings):
    """What both servers say, with the log."""
    outcome = {}
    for each in BOTH:
        with collecting() as log, serving(make_app(each.web, **settings), each) as server:
            outcome[each.name] = without_date(server.exchange(data)), log.take()
    return outcome


@pytest.mark.parametrize("name", CASES)
def test_same_response(name):
    outcome = both_say(CASES[name])
    for answer, lines in outcome.values():
        assert answer
        # The text of a handler's repr says where it is.
        for at, line in enumerate(lines):
            lines[at] = (*line[:2], line[2].partition("\n")[0], line[3])
    same(outcome)


@pytest.mark.parametrize("settings", [{}, {"autoescape": None}, {"template_whitespace": "all"}], ids=str)
@pytest.mark.parametrize("page", ["/plain", "/blanks"])
def test_settings_of_the_usual_loader(tmp_path, page, settings):
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    answers = []
    for each in BOTH:
        application = make_app(each.web, template_path=str(tmp_path), **settings)
        del application.settings["template_loader"]
        with collecting(), serving(application, each) as server:
            answers.append(body(server.exchange(request(page))))
    assert answers[0] == answers[1]
    if page == "/plain":
        assert answers[0] == (b"Hello, <name>!" if "autoescape" in settings else b"Hello, &lt;name&gt;!")
    else:
        assert answers[0] == (b"a   b\n\n   c" if settings.get("template_whitespace") else b"a b\nc")


def test_the_form_field_is_in_the_namespace():
    for answer, _ in both_say(request("/form"), xsrf_cookies=True).values():
        assert body(answer) == b"True"


PROGRAM = """
import sys
sys.path[:0] = [{folder!r}]
from {package} import web
from inner import handlers

class Here(web.RequestHandler):
    def get(self):
        self.write(self.render_string("here.html"))

class Deeper(web.RequestHandler):
    def get(self):
        handlers.through(self)

class Awaiting(web.RequestHandler):
    async def get(self):
        await self.render("here.html")

rules = [("/here", Here), ("/deeper", Deeper), ("/awaiting", Awaiting), ("/inner", handlers.make(web))]
application = web.Application(rules)
"""

INNER = """
def through(handler):
    handler.render("here.html")

def make(web):
    class Inner(web.RequestHandler):
        def get(self):
            self.render("here.html")
    return Inner
"""


def test_without_a_path_templates_are_beside_the_file_that_renders_them(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "handlers.py").write_text(INNER)
    (tmp_path / "inner" / "here.html").write_text("inner")
    (tmp_path / "here.html").write_text("outer")
    answers = []
    for each in BOTH:
        names = {}
        code = compile(
            PROGRAM.format(folder=str(tmp_path), package=each.package), tmp_path / "program.py", "exec"
        )
        exec(code, names)
        paths = ["/here", "/deeper", "/awaiting", "/inner"]
        with collecting(), serving(names["application"], each) as server:
            answers.append([body(server.exchange(request(path))) for path in paths])
        folders = {Path(path).name for path in each.web.RequestHandler._template_loaders}
        assert folders == {tmp_path.name, "inner"}
    assert answers == [[b"outer", b"inner", b"outer", b"inner"]] * 2


def test_a_loader_is_made_once_for_each_folder(implementation):
    web = implementation.web
    made = []

    class Page(web.RequestHandler):
        def get_template_path(self):
            return self.get_argument("folder")

        def create_template_loader(self, path):
            assert web.RequestHandler._template_loader_lock.locked()
            made.append(path)
            return template.DictLoader({"a.html": path})

        def get(self):
            self.render("a.html")

    with collecting(), serving(web.Application([("/", Page)]), implementation) as server:
        for folder in "xyxxy":
            assert body(server.exchange(request(f"/?folder={folder}"))) == folder.encode()
    assert made == ["x", "y"]
    assert set(web.RequestHandler._template_loaders) == {"x", "y"}


@pytest.mark.parametrize(
    "settings", [{}, {"debug": True, "autoreload": False}, {"compiled_template_cache": False}]
)
def test_templates_are_read_again_in_debug_mode(implementation, tmp_path, settings):
    page = tmp_path / "plain.html"
    application = make_app(implementation.web, template_path=str(tmp_path), **settings)
    del application.settings["template_loader"]
    with collecting(), serving(application, implementation) as server:
        texts = []
        for text in ("first", "second"):
            page.write_text(text)
            texts.append(body(server.exchange(request("/plain"))))
    assert texts == [b"first", b"second" if settings else b"first"]


def test_a_template_is_compiled_once_for_a_request_in_debug_mode(implementation):
    class Loader(template.DictLoader):
        made = 0

        def _create_template(self, name):
            Loader.made += 1
            return super()._create_template(name)

    web = implementation.web

    class Twice(web.RequestHandler):
        def get(self):
            self.write(self.render_string("a.html"))
            self.render("a.html")

    loader = Loader({"a.html": "a"})
    application = web.Application([("/", Twice)], template_loader=loader, compiled_template_cache=False)
    with collecting(), serving(application, implementation) as server:
        for count in (1, 2, 3):
            assert body(server.exchange(request("/"))) == b"aa"
            assert Loader.made == count


def test_a_loader_of_another_kind(implementation):
    """Anything with load(name).generate(**names) will do."""

    class Loader:
        def load(self, name):
            self.name = name
            return self

        def generate(self, **names):
            return f"{self.name} {names['name']} {names['locale'].code}".encode()

        def reset(self):
            pass

    with (
        collecting(),
        serving(make_app(implementation.web, template_loader=Loader()), implementation) as server,
    ):
        assert body(server.exchange(request("/x"))) == b"x.html <name> en_US"


def test_threads_share_loaders():
    made = []

    class Page(web.RequestHandler):
        def create_template_loader(self, path):
            made.append(path)
            return super().create_template_loader(path)

        def get(self):
            self.render("plain.html", name="you")

    application = web.Application(
        [("/", Page)], template_loader=template.DictLoader(PAGES), template_path="x"
    )
    with collecting(), serving(application) as first, serving(application) as second:
        threads = [
            threading.Thread(target=server.exchange, args=[request("/")]) for server in (first, second) * 4
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made == ["x"]


WITHOUT_TORNADO = """
import sys
sys.modules["tornado"] = None  # as where it is not installed
from tornado_c import web
from tornado_c.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

class Connection:
    def set_close_callback(self, callback):
        pass

line = RequestStartLine("GET", "/", "HTTP/1.1")
request = HTTPServerRequest(start_line=line, headers=HTTPHeaders(Host="a"), connection=Connection())
handler = web.RequestHandler(web.Application(template_path="x"), request)
said = []
for function in (
    lambda: handler.render("a.html"),
    lambda: handler.locale,
    lambda: web.template,
    lambda: web.locale,
    lambda: web.gen,
):
    try:
        function()
    except ImportError as exc:
        said.append(str(exc))
names = {}
exec("from tornado_c.web import *", names)
assert "template" not in names and "RequestHandler" in names and "re" in names
print(said)
"""


def test_without_tornado_one_error_names_the_extra():
    said = ast.literal_eval(run_alone(WITHOUT_TORNADO))
    advice = "needs Tornado's own modules; install them with: pip install 'tornado_c[tornado]'"
    subjects = ["template rendering", "a locale", "web.template", "web.locale", "web.gen"]
    assert said == [f"{subject} {advice}" for subject in subjects]


def test_stock_modules_run_beside_ours_unswapped():
    """Its gen, locks, queues and httpclient, on the loop that serves."""
    from tornado import gen, httpclient, locks, queues

    class Handler(web.RequestHandler):
        @gen.coroutine
        def get(self):
            queue = queues.Queue()
            event = locks.Event()
            self.settings["loop"].call_later(0, event.set)
            yield event.wait()
            yield queue.put("<put>")
            text = yield queue.get()
            yield gen.sleep(0)
            self.render("plain.html", name=text)

    class Named(web.RequestHandler):
        async def get(self):
            self.write(await gen.with_timeout(self.request.request_time() + 1e9, gen.maybe_future("named")))

    class Fetch(web.RequestHandler):
        async def get(self):
            async with locks.Semaphore(1):
                client = httpclient.AsyncHTTPClient(force_instance=True)
                response = await client.fetch(f"http://127.0.0.1:{self.settings['port']}/")
                client.close()
            self.write(response.body + str(response.code).encode())

    application = web.Application(
        [("/", Handler), ("/named", Named), ("/fetch", Fetch)], template_loader=template.DictLoader(PAGES)
    )
    with collecting(), serving(application) as server:
        application.settings.update(loop=server.io_loop, port=server.port)
        assert body(server.exchange(request("/"))) == b"Hello, &lt;put&gt;!"
        assert body(server.exchange(request("/named"))) == b"named"
        assert body(server.exchange(request("/fetch"))) == b"Hello, &lt;put&gt;!200"
