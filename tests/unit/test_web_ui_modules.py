"""UI modules and methods, beside stock Tornado: how they are called, where their scripts and styles land."""

import types

import pytest
from tornado import template

from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, request, same, without_date

pytestmark = pytest.mark.usefixtures("no_loaders")

PAGE = "<html><head><title>{{ '</body>' }}</title></head><body>%s</body></html>"
DIFFERS = "{% module Template('differs.html', n=1) %}{% module Template('differs.html', n=2) %}"
CALLS = {
    "none": "",
    "one": "{% module Entry(1) %}",
    "several": "{% module Entry(1) %}{% module Entry(2, more=3) %}{% module Other() %}{% module Entry(4) %}",
    "other first": "{% module Other() %}{% module Entry(1) %}",
    "by item": "{% raw modules['Entry'](1) %}",
    "by attribute": "{% raw modules.Entry(1) %}",
    "methods": "{{ method('a') }}{{ handler.ui.method('b') }}",
    "linkify": "{% module linkify('see http://example.com') %}",
    "template": "{% module Template('part.html', x=1) %}{% module Template('part.html', x=2) %}",
    "two templates": "{% module Template('part.html', x=1) %}{% module Template('other.html') %}",
    "resources differ": DIFFERS,
    "unknown": "{% module Unknown() %}",
    "unknown attribute": "{{ modules.Unknown }}",
    "unknown, if there": "{{ hasattr(modules, 'Unknown') }}{{ hasattr(modules, 'Entry') }}",
    "user": "{% module User() %}",
    "nothing": "{% module Nothing() %}",
    "not overridden": "{% module Base() %}",
    "bytes": "{% module Bytes() %}",
    "files": "{% module Files() %}",
    "raises": "{% module Raises() %}",
    "nested": "{% module Nested() %}",
    "markers": "{% module Markers() %}{% module Entry(1) %}",
}
TEMPLATES = {name: PAGE % calls for name, calls in CALLS.items()} | {
    "part.html": (
        "{{ set_resources(embedded_javascript='js_of_part()', embedded_css='.part {}', html_head='<meta>', "
        "html_body='<hr>', javascript_files='/part.js', css_files=['/part.css', '/more.css']) }}part {{ x }}"
    ),
    "other.html": "{{ set_resources(embedded_javascript='js_of_other()', css_files='/part.css') }}other",
    "differs.html": "{{ set_resources(html_head='<meta n=%d>' % n) }}",
    "nested.html": "nested {% module Entry(5) %}{{ given }}",
    "no head": "<body>{% module Other() %}</body>",
    "no body": "<head></head>{% module Entry(1) %}",
    "two heads": "<head></head><head></head><body>{% module Entry(1) %}</body><body></body>",
}


def make_modules(web):
    class Entry(web.UIModule):
        def render(self, number, more=""):
            return f"<p>{number}{more}</p>"

        def embedded_javascript(self):
            return "js_of_entry()"

        def javascript_files(self):
            return ["/a.js", "https://example.com/<b>.js", "/a.js"]

        def embedded_css(self):
            return ".entry {}"

        def css_files(self):
            return ("/a.css", "http://example.com/b.css")

        def html_head(self):
            return "<!-- head of entry -->"

        def html_body(self):
            return "<!-- body of entry -->"

    class Other(web.UIModule):
        def render(self):
            return "<other>"

        def embedded_javascript(self):
            return "js_of_other()"

        def javascript_files(self):
            return "/other.js"

        def embedded_css(self):
            return b".other {}"

        def css_files(self):
            return b"/other.css"

        def html_head(self):
            return b"<!-- head of other -->"

        def html_body(self):
            return b"<!-- body of other -->"

    class User(web.UIModule):
        def render(self):
            ours = (self.handler.ui is self.ui, self.request is self.handler.request, self.locale.code)
            return f"{self.current_user} {ours}"

    class Nothing(web.UIModule):
        def render(self):
            return ""

        def javascript_files(self):
            return iter(())

        def css_files(self):
            return []

    class Bytes(web.UIModule):
        def render(self):
            return b"<bytes>"

    class Files(web.UIModule):
        def render(self):
            return ""

        def javascript_files(self):
            return (f"/{n % 2}.js" for n in range(4))

    class Raises(web.UIModule):
        def render(self):
            return ""

        def html_head(self):
            raise ValueError("no head")

    class Nested(web.UIModule):
        def render(self):
            return self.render_string("nested.html", given="<given>")

    class Markers(web.UIModule):
        """What it embeds looks like the end of the page."""

        def render(self):
            return "</head></body>"

        def embedded_javascript(self):
            return "'</body></head>'"

        def html_head(self):
            return "<x></head></x>"

    kinds = (Entry, Other, User, Nothing, Bytes, Files, Raises, Nested, Markers)
    return {kind.__name__: kind for kind in kinds} | {
        "Base": web.UIModule,
        "no_module": object,
        "text": "text",
    }


def make_app(web, overriding=False):
    class Handler(web.RequestHandler):
        def get_current_user(self):
            return "somebody"

        def get(self):
            self.render(self.get_argument("page"))

    class Overriding(Handler):
        def render_linked_js(self, js_files):
            return "js " + ",".join(js_files)

        def render_embed_js(self, js_embed):
            return b"embedded js " + b",".join(js_embed)

        def render_linked_css(self, css_files):
            return "css " + ",".join(css_files)

        def render_embed_css(self, css_embed):
            return b"embedded css " + b",".join(css_embed)

    return web.Application(
        [("/", Overriding if overriding else Handler)],
        template_loader=template.DictLoader(TEMPLATES),
        ui_modules=make_modules(web),
        ui_methods={"method": lambda self, text: f"<{text}>"},
    )


@pytest.fixture(scope="module", params=[False, True], ids=["", "overriding"])
def both_say(request):
    """A function that gives both servers' answers and logs."""
    servers = []
    for each in BOTH:
        servers.append(serving(make_app(each.web, request.param), each))
    with collecting() as log:
        running = [server.__enter__() for server in servers]

        def ask(data):
            outcome = {}
            for server in running:
                log.take()
                answer = without_date(server.exchange(data))
                lines = [(*line[:2], line[2].partition("\n")[0], line[3]) for line in log.take()]
                outcome[server.implementation.name] = answer, lines
            return outcome

        yield ask
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.endswith(".html")])
def test_same_page(both_say, name):
    outcome = both_say(request("/?page=" + name.replace(" ", "+")))
    same(outcome)
    errors = {
        "resources differ",
        "unknown",
        "unknown attribute",
        "not overridden",
        "raises",
        "no head",
        "no body",
    }
    assert outcome["ours"][0].startswith(b"HTTP/1.1 500" if name in errors else b"HTTP/1.1 200")


def test_the_order_of_resources(serve):
    from tornado_c import web

    page = body(serve(make_app(web))("/?page=one")).decode()
    head, _, rest = page.partition("</head>")
    pieces = ["/a.css", "http://example.com/b.css", ".entry {}", "<!-- head of entry -->"]
    assert [head.index(piece) for piece in pieces] == sorted(head.index(piece) for piece in pieces)
    pieces = ["<p>1</p>", "/a.js", "&lt;b&gt;.js", "js_of_entry()", "<!-- body of entry -->", "</body>"]
    assert [rest.index(piece) for piece in pieces] == sorted(rest.index(piece) for piece in pieces)
    assert page.count("/a.js") == 1


@pytest.mark.parametrize("kind", ["dict", "list", "module"])
def test_where_modules_and_methods_come_from(implementation, kind):
    web = implementation.web

    def shout(self, text):
        return text.upper()

    class Loud(web.UIModule):
        def render(self, text):
            return text.upper()

    values = {"Loud": Loud, "shout": shout, "_hidden": shout, "Capital": shout, "number": 5}
    if kind == "module":
        given = types.ModuleType("given")
        vars(given).update(values)
    else:
        given = values if kind == "dict" else [{"Loud": Loud}, [values]]
    application = web.Application([], ui_modules=given, ui_methods=given)
    assert set(application.ui_modules) == {"linkify", "xsrf_form_html", "Template", "Loud"}
    methods = {name for name in application.ui_methods if name in values}
    assert methods == {"shout"}


def test_what_every_application_has(implementation):
    web = implementation.web
    modules = web.Application([]).ui_modules
    assert modules == {
        "linkify": web._linkify,
        "xsrf_form_html": web._xsrf_form_html,
        "Template": web.TemplateModule,
    }
    assert all(issubclass(module, web.UIModule) for module in modules.values())


def test_modules_can_replace_those(implementation):
    web = implementation.web

    class Linkify(web.UIModule):
        pass

    assert web.Application([], ui_modules={"linkify": Linkify}).ui_modules["linkify"] is Linkify


def test_the_form_field_is_a_module(implementation):
    web = implementation.web

    class Handler(web.RequestHandler):
        def get(self):
            self.render("a.html")

        def post(self):
            self.write("good")

    loader = template.DictLoader({"a.html": "{% module xsrf_form_html() %}"})
    application = web.Application([("/", Handler)], template_loader=loader, xsrf_cookies=True)
    with collecting(), serving(application, implementation) as server:
        token = body(server.exchange(request("/"))).decode().split('"')[5]
        headers = [f"Cookie: _xsrf={token}", f"X-XSRFToken: {token}", "Content-Length: 0"]
        assert body(server.exchange(request("/", "POST", headers))) == b"good"


def test_a_module_is_made_once_for_each_response(implementation):
    web = implementation.web
    made = []

    class Counting(web.UIModule):
        def __init__(self, handler):
            super().__init__(handler)
            made.append(self)

        def render(self):
            return str(made.index(self))

    class Handler(web.RequestHandler):
        def get(self):
            self.render("a.html")

        def on_finish(self):
            self.settings["seen"].append([*self._active_modules])

    loader = template.DictLoader({"a.html": "{% module Counting() %}{% module Counting() %}"})
    settings = {"template_loader": loader, "ui_modules": {"Counting": Counting}, "seen": []}
    application = web.Application([("/", Handler)], **settings)
    with collecting(), serving(application, implementation) as server:
        assert [body(server.exchange(request("/"))) for _ in range(2)] == [b"00", b"11"]
    assert application.settings["seen"] == [["Counting"], ["Counting"]]
    assert all(module.handler.ui is None for module in made)  # no longer needed


@pytest.mark.parametrize("include_host", [False, True])
def test_files_with_a_path_are_static_files(tmp_path, include_host):
    """Their URLs have a version, and the host where the handler wants it."""
    (tmp_path / "a.js").write_text("a()")
    (tmp_path / "b.css").write_text("b {}")
    pages = []
    for each in BOTH:

        class Files(each.web.UIModule):
            def render(self):
                return ""

            def javascript_files(self):
                return ["a.js", "/a.js", "a.js"]

            def css_files(self):
                return ["b.css", "missing.css", "httpd.css"]

        class Handler(each.web.RequestHandler):
            def get(self):
                self.include_host = include_host
                self.render("a.html")

        loader = template.DictLoader({"a.html": PAGE % "{% module Files() %}"})
        settings = {"template_loader": loader, "static_path": str(tmp_path), "ui_modules": {"Files": Files}}
        application = each.web.Application([("/", Handler)], **settings)
        with collecting(), serving(application, each) as server:
            pages.append(body(server.exchange(request("/"))))
    assert pages[0] == pages[1]
    assert pages[0].count(b"a.js?v=") == 1 and pages[0].count(b"b.css?v=") == 1
    assert (b"http://example.test/static/b.css?v=" in pages[0]) == include_host
