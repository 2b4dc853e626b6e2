"""The programs in the documentation of Tornado 2.4.1 and 4.5.3, under `python -m tornado_c --generation 4`.

Their texts come from the source distributions; those of 2.4.1 go through 2to3. What an example leaves out
(its imports, a class around it, the site that it asks) stands here, in FRAMES; what cannot run, in CANNOT.
"""

import http.server
import importlib.util
import re
import shutil
import socket
import subprocess
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import old_documentation, old_tornado
from support.app_servers import ENVIRONMENT, SWAPPED, running, site
from support.children import PROGRAMS
from support.ports import free_port

pytestmark = pytest.mark.apps
requests = pytest.importorskip("requests")

MODULES = tuple(
    f"tornado/{name}.py" for name in ("ioloop", "iostream", "httpserver", "gen", "stack_context", "web")
)
GUIDE = tuple(
    f"docs/guide/{name}.rst" for name in ("async", "coroutines", "running", "security", "structure")
)
DOCUMENTS = {"2.4.1": MODULES, "4.5.3": (*MODULES, "docs/web.rst", "docs/index.rst", *GUIDE)}


@dataclass
class Frame:
    """What makes a program of an example, and what a user of it does and sees."""

    before: str = ""
    after: str = ""
    #: Lines that the example stands below.
    inside: str = ""
    #: Where the example is no program but a file that one reads, its name.
    file: str = ""
    edits: dict[str, str] = field(default_factory=dict)
    #: Requests in order, in one session: "METHOD path" and what the response's text has in it, or its status.
    asks: list[tuple[str, str | int]] = field(default_factory=list)
    #: Data for POST.
    data: dict[str, str] | None = None
    scheme: str = "http"
    #: What it says on its connections where it speaks no HTTP.
    greets: bytes = b""
    #: For programs that end: what is in their output, and with what they exit.
    says: str = ""
    exits: int = 0

    def program(self, example: str) -> str:
        for old, new in self.edits.items():
            assert old in example, f"{old!r} is not in the example"
            example = example.replace(old, new)
        example = re.sub(r"https?://(?:www\.)?(?:friendfeed(?:-api)?|example|google)\.com", "SITE", example)
        example = re.sub(r'"SITE([^"]*)"', r'SITE + "\1"', example).replace("8888", "PORT")
        inside = self.inside.splitlines()
        depth = sum(line.endswith(":") for line in inside)
        parts = [*self.before.splitlines(), *inside]
        parts += textwrap.indent(example, " " * 4 * depth).splitlines() if not self.file else []
        return "from old_example import *\n" + "\n".join([*parts, *self.after.splitlines(), ""])


HELLO = Frame(asks=[("GET /", "Hello, world"), ("GET /none", 404)])
CLASS = "class Handler(RequestHandler):"
GET = CLASS + "\n    def get(self):"
SERVE = "serve(('/', Handler))"
FETCHES = {
    "before": "open('template.html', 'w').write('fetched {{ handler.request.path }}')",
    "asks": [("GET /", "fetched /"), ("GET /", "fetched /")],
}
TLS = {"before": "app = Application([('/', handler())]); data_dir = '.'", "scheme": "https"}
APP = "app = Application([('/', handler())])"
LISTEN = "server.listen(PORT)\nIOLoop.current().start()"
RUN_SYNC = "IOLoop.current().run_sync(main)"
TWO = "http_client = AsyncHTTPClient()\nurl1, url2, url3, url4 = [SITE + '/%d' % n for n in range(4)]"
FUTURES = "future1, future2 = [gen.sleep(0.01 * n) for n in (2, 1)]"
STATIC = "import pathlib\npathlib.Path('text.txt').write_text('static')\n"
PLACES = {'"/var/www"': '"."'}
LOGIN = {
    "asks": [
        ("GET /", "Sign in"),
        ("POST /login", "Hello, &lt;Ann"),
        ("GET /", "Hello, &lt;Ann"),
    ],
    "data": {"name": "<Ann>"},
}
LOGIN_HANDLER = """\
class BaseHandler(RequestHandler):
    def get_current_user(self): return self.get_secure_cookie('user')
class LoginHandler(BaseHandler):
    def get(self): self.write('Sign in')
    def post(self):
        self.set_secure_cookie('user', self.get_argument('name'))
        self.redirect('/')
"""
DIVIDE = "@gen.coroutine\ndef divide(x, y): return x / y\n"
ACCEPTS = {
    "before": "port = PORT\ndef handle_connection(connection, address):\n    connection.sendall(b'hello')",
    "greets": b"hello",
}
CONTEXT = "@contextlib.contextmanager\ndef my_context():\n    print('in'); yield; print('out')"
MINUTES = "@gen.coroutine\ndef do_something(times=iter(range(3))):\n    print('minute', next(times, None))"
STOP_SOON = "soon(None, lambda _: IOLoop.current().stop())\nIOLoop.current().start()"
SITE_JSON = '{"entries": [1, 2]}'

#: By the places of the examples, several where they are alike.
FRAMES = {
    "2.4.1 tornado/ioloop.py:61": Frame(edits={"import ioloop": "from tornado import ioloop"}, **ACCEPTS),
    "4.5.3 tornado/ioloop.py:83": Frame(**ACCEPTS),
    "2.4.1 tornado/ioloop.py:141": Frame(after="print(MyClass().io_loop is IOLoop.instance())", says="True"),
    "2.4.1 tornado/ioloop.py:349 | 4.5.3 tornado/ioloop.py:388": Frame(
        before="def async_method(ioloop, callback):\n    ioloop.add_callback(callback)",
        after="print('stopped')",
        says="stopped",
    ),
    "4.5.3 tornado/ioloop.py:420": Frame(
        edits={"# do stuff...": "yield gen.moment; print('done')"}, says="done"
    ),
    "2.4.1 tornado/iostream.py:55": Frame(
        edits={
            '("': '(b"',
            '["Content-Length"]': '[b"Content-Length"]',
            'b"friendfeed.com", 80': '"127.0.0.1", int(SITE.rpartition(":")[2])',
        },
        says=SITE_JSON,
    ),
    "4.5.3 tornado/iostream.py:1000": Frame(
        edits={'"friendfeed.com", 80': '"127.0.0.1", int(SITE.rpartition(":")[2])'}, says=SITE_JSON
    ),
    "2.4.1 tornado/httpserver.py:55": Frame(
        edits={"import httpserver\nimport ioloop": "from tornado import httpserver, ioloop"},
        asks=[("GET /a?b", "You requested /a?b\n"), ("GET /", "You requested /\n")],
    ),
    "2.4.1 tornado/httpserver.py:89": Frame(
        edits={"HTTPServer(applicaton": "server = HTTPServer(app"},
        after=LISTEN,
        asks=[("GET /", "Hello")],
        **TLS,
    ),
    "4.5.3 tornado/httpserver.py:75": Frame(
        edits={"HTTPServer(applicaton": "server = HTTPServer(app"},
        after=LISTEN,
        asks=[("GET /", "Hello")],
        **TLS,
    ),
    "2.4.1 tornado/httpserver.py:99 | 4.5.3 tornado/httpserver.py:85"
    " | 2.4.1 tornado/httpserver.py:109 | 4.5.3 tornado/httpserver.py:95"
    " | 2.4.1 tornado/httpserver.py:120 | 4.5.3 tornado/httpserver.py:106": Frame(
        before=APP, asks=[("GET /", "Hello")]
    ),
    "2.4.1 tornado/httpserver.py:440": Frame(after=LISTEN, asks=[("GET /", "Hello")], **TLS),
    "2.4.1 tornado/gen.py:6 | 4.5.3 tornado/gen.py:8": Frame(after="serve(('/', AsyncHandler))", **FETCHES),
    "2.4.1 tornado/gen.py:19 | 4.5.3 tornado/gen.py:26": Frame(
        after="serve(('/', GenAsyncHandler))", **FETCHES
    ),
    "2.4.1 tornado/gen.py:33": Frame(
        before=TWO,
        inside=CLASS + "\n    @asynchronous\n    @gen.engine",
        after="        self.finish(response1.body + response2.body)\n" + SERVE,
        asks=[("GET /", SITE_JSON * 2)],
    ),
    "2.4.1 tornado/gen.py:41": Frame(
        edits={'gen.Callback("key"))': 'gen.Callback("key")))'},  # a parenthesis is missing
        after="serve(('/', GenAsyncHandler2))",
        **FETCHES,
    ),
    "4.5.3 tornado/gen.py:46": Frame(
        before=TWO,
        inside=CLASS,
        after="        self.write(b''.join(r.body for r in (response1, response2, response3, response4)))\n"
        + SERVE,
        asks=[("GET /", SITE_JSON * 4)],
    ),
    "2.4.1 tornado/gen.py:223": Frame(
        before="def func(value, callback): soon(value, callback)\nargs, key = 'said', object()",
        inside="def main():",
        after="    print(result); IOLoop.current().stop()\n"
        "IOLoop.current().add_callback(gen.engine(main))\nIOLoop.current().start()",
        says="said",
    ),
    "4.5.3 tornado/gen.py:354": Frame(
        before="json_decode = tornado.escape.json_decode",
        after="print(IOLoop.current().run_sync(lambda: fetch_json(SITE + '/'))['entries'])",
        says="[1, 2]",
    ),
    "4.5.3 tornado/gen.py:391": Frame(
        inside="def main():",
        before=FUTURES,
        after="IOLoop.current().run_sync(gen.coroutine(main))",
        says="at 1\n",
    ),
    "4.5.3 tornado/gen.py:417": Frame(
        inside="async def main():",
        before=FUTURES + "\nwait_iterator = gen.WaitIterator(future1, future2)",
        edits={"gen.WaitIterator(future1, future2)": "wait_iterator"},  # which its body names
        after=RUN_SYNC,
        says="at 1\n",
    ),
    "4.5.3 tornado/gen.py:683": Frame(
        inside="def main():",
        before=FUTURES + "\nlist_of_futures = [future1, future2]",
        edits={"(yield future)": "((yield future))"},  # as Python 3 wants it
        after="    print(results)\nIOLoop.current().run_sync(gen.coroutine(main))",
        says="[None, None]",
    ),
    "4.5.3 tornado/gen.py:941": Frame(
        inside="def main():",
        edits={"0.5": "0.01"},
        after="    print('slept')\nIOLoop.current().run_sync(gen.coroutine(main))",
        says="slept",
    ),
    "4.5.3 tornado/gen.py:1265": Frame(
        before="import asyncio, tornado.platform.asyncio",
        after="@gen.coroutine\ndef main():\n    future = asyncio.Future()\n"
        "    soon('set', future.set_result)\n    print((yield future))\n" + RUN_SYNC,
        says="set",
    ),
    "2.4.1 tornado/stack_context.py:32 | 4.5.3 tornado/stack_context.py:33": Frame(
        before="http_client, url, ioloop = AsyncHTTPClient(), SITE + '/', IOLoop.current()\n"
        "def callback(response): ioloop.add_callback(lambda: 1 / 0)",
        says="exception in asynchronous operation",
        exits=1,
    ),
    "2.4.1 tornado/stack_context.py:92 | 4.5.3 tornado/stack_context.py:95": Frame(
        before=CONTEXT,
        edits={"with my_context():": "with my_context(): soon('called\\n', sys.stdout.write)"},
        after=STOP_SOON,
        says="in\nout\ncalled\n",
    ),
    "2.4.1 tornado/stack_context.py:96 | 4.5.3 tornado/stack_context.py:99": Frame(
        before=CONTEXT,
        edits={"(my_context):": "(my_context): soon('called\\n', sys.stdout.write)"},
        after=STOP_SOON,
        says="in\nout\nin\ncalled\nout\n",
    ),
    "4.5.3 tornado/stack_context.py:375": Frame(
        before="@contextlib.contextmanager\ndef ctx():\n    yield\n"
        "@gen.coroutine\ndef other_coroutine():\n    yield gen.sleep(0.01); return 'result'",
        edits={"yield run_with": "return (yield run_with", "other_coroutine)": "other_coroutine))"},
        after="print(IOLoop.current().run_sync(correct))\n"
        "try: IOLoop.current().run_sync(incorrect)\nexcept Exception as e: print(type(e).__name__)",
        says="result\nStackContextInconsistentError\n",
    ),
    "2.4.1 tornado/web.py:23 | 4.5.3 tornado/web.py:24 | 4.5.3 docs/index.rst:32"
    " | 4.5.3 docs/guide/structure.rst:17": HELLO,
    "2.4.1 tornado/web.py:139 | 4.5.3 tornado/web.py:200": Frame(
        before="database = {'ann': 'Ann Bell'}",
        edits={"...": "self.write(self.database[username])"},
        after="serve(app)",
        asks=[("GET /user/ann", "Ann Bell")],
    ),
    "2.4.1 tornado/web.py:1119 | 4.5.3 tornado/web.py:1640": Frame(
        after="serve(('/', MyRequestHandler))", asks=[("GET /", "Downloaded!"), ("GET /", "Downloaded!")]
    ),
    "4.5.3 tornado/web.py:1134": Frame(
        inside=CLASS,
        after="    def get(self):\n        self.set_secure_cookie('user', '\"Ann\"')\n"
        "        self.write(repr(self.current_user))\n" + SERVE[:-1] + ", cookie_secret='s')",
        asks=[("GET /", "None"), ("GET /", "'Ann'")],
    ),
    "4.5.3 tornado/web.py:1143": Frame(
        before="@gen.coroutine\ndef load_user(user):\n"
        "    yield gen.sleep(0.01); return user.decode() + ' Bell'",
        inside=CLASS,
        after="    def get(self):\n        self.set_secure_cookie('user_id', 'Ann')\n"
        "        self.write(repr(self.current_user))\n" + SERVE[:-1] + ", cookie_secret='s')",
        asks=[("GET /", "None"), ("GET /", "'Ann Bell'")],
    ),
    "4.5.3 tornado/web.py:1425": Frame(
        before="tag = '\"x\"'",
        inside=CLASS + "\n    def get(self):",
        after="        self.write('whole')\n    def compute_etag(self):\n        return tag\n" + SERVE,
        asks=[("GET /", "whole"), ("GET / If-None-Match", 304)],
    ),
    "2.4.1 tornado/web.py:1191 | 4.5.3 tornado/web.py:1807": Frame(
        before="MainPageHandler = handler()", edits={"8080": "8888"}, asks=[("GET /", "Hello")]
    ),
    "4.5.3 tornado/web.py:1824": Frame(
        before="MainPageHandler, FeedHandler = handler('main'), handler('feed')",
        edits={"example.com": "127.0.0.1"},
        after="serve(application)",
        asks=[("GET /", "main"), ("GET /feed", "feed"), ("GET /none", 404)],
    ),
    "2.4.1 tornado/web.py:1210 | 2.4.1 tornado/web.py:1511 | 4.5.3 tornado/web.py:1847": Frame(
        before=STATIC, edits=PLACES, after="serve(application)", asks=[("GET /static/text.txt", "static")]
    ),
    "4.5.3 tornado/web.py:2278": Frame(
        before=STATIC, edits=PLACES, after="serve(application)", asks=[("GET /content/text.txt", "static")]
    ),
    "2.4.1 tornado/web.py:1217 | 4.5.3 tornado/web.py:1854": Frame(
        before="application, ArticleHandler = Application([]), handler('article')",
        edits={r"www\.myhost\.com": r"127\.0\.0\.1"},
        after="serve(application)",
        asks=[("GET /article/12", "article 12"), ("GET /article/x", 404)],
    ),
    "4.5.3 tornado/web.py:2190": Frame(inside=GET, after=SERVE, asks=[("GET /", 401), ("GET /", 401)]),
    "2.4.1 tornado/web.py:1493 | 4.5.3 tornado/web.py:2236": Frame(
        after="application.add_handlers('.*', [('/newpath', handler('new'))])\nserve(application)",
        asks=[("GET /oldpath", "new")],
    ),
    "4.5.3 tornado/web.py:2243": Frame(
        edits={"web.Application([": "web.Application([('/b/a/c', handler('swapped')),"},
        after="serve(application)",
        asks=[("GET /a/b/c", "swapped")],
    ),
    "4.5.3 tornado/web.py:2251": Frame(after="print('ran')", says="ran"),
    "2.4.1 tornado/web.py:1683 | 4.5.3 tornado/web.py:2762": Frame(
        before="def wsgi(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [environ['PATH_INFO'].encode()]\n"
        "FooHandler = handler('foo')",
        # Django has a stand-in; a parenthesis is missing.
        edits={
            "django.core.handlers.wsgi.WSGIHandler()": "wsgi",
            "fallback=wsgi_app)": "fallback=wsgi_app))",
        },
        after="serve(application)",
        asks=[("GET /foo", "foo"), ("GET /bar", "/bar")],
    ),
    "4.5.3 docs/web.rst:34": Frame(
        edits={"pass": "self.write('found')"},
        after="serve(('/', WebDAVHandler))",
        asks=[("PROPFIND /", "found"), ("GET /", 405), ("OTHER /", 405)],
    ),
    "4.5.3 docs/guide/async.rst:65": Frame(after="print(synchronous_fetch(SITE + '/'))", says=SITE_JSON),
    "4.5.3 docs/guide/async.rst:80": Frame(
        after="def got(body): print(body); IOLoop.current().stop()\n"
        "asynchronous_fetch(SITE + '/', got)\nIOLoop.current().start()",
        says=SITE_JSON,
    ),
    "4.5.3 docs/guide/async.rst:95": Frame(
        after="print(IOLoop.current().run_sync(lambda: async_fetch_future(SITE + '/')).body)", says=SITE_JSON
    ),
    "4.5.3 docs/guide/async.rst:120 | 4.5.3 docs/guide/coroutines.rst:22"
    " | 4.5.3 docs/guide/coroutines.rst:49": Frame(
        after="print(IOLoop.current().run_sync(lambda: fetch_coroutine(SITE + '/')))", says=SITE_JSON
    ),
    "4.5.3 docs/guide/coroutines.rst:93": Frame(
        inside="class Runner:",
        after="def work():\n    print((yield gen.sleep(0.01)))\n"
        "    IOLoop.current().stop()\n    yield Future()\n"
        "runner = Runner()\nrunner.gen, runner.next = work(), None\n"
        "soon(None, lambda _: runner.run())\nIOLoop.current().start()",
        says="None",
    ),
    "4.5.3 docs/guide/coroutines.rst:118": Frame(after="bad_call()\nprint('unnoticed')", says="unnoticed"),
    "4.5.3 docs/guide/coroutines.rst:134": Frame(
        before=DIVIDE,
        after="try: IOLoop.current().run_sync(good_call)\nexcept ZeroDivisionError: print('noticed')",
        says="noticed",
    ),
    "4.5.3 docs/guide/coroutines.rst:145": Frame(
        before=DIVIDE,
        after="IOLoop.current().call_later(0.01, IOLoop.current().stop)\nIOLoop.current().start()",
        says="ZeroDivisionError: division by zero",
    ),
    "4.5.3 docs/guide/coroutines.rst:159": Frame(
        before=DIVIDE, exits=1, says="ZeroDivisionError: division by zero"
    ),
    "4.5.3 docs/guide/coroutines.rst:175": Frame(
        before="other_args = 'called'\n"
        "def some_function(value, callback): soon(None, lambda _: (print(value), callback()))",
        after="IOLoop.current().run_sync(call_task)",
        says="called",
    ),
    "4.5.3 docs/guide/coroutines.rst:192": Frame(
        before="from concurrent.futures import ThreadPoolExecutor\nblocking_func, args = print, 'worked'",
        after="IOLoop.current().run_sync(call_blocking)",
        says="worked",
    ),
    "4.5.3 docs/guide/coroutines.rst:206": Frame(
        before=TWO,
        after="run = IOLoop.current().run_sync\nrun(lambda: parallel_fetch(url1, url2))\n"
        "run(lambda: parallel_fetch_many([url1, url2]))\nrun(lambda: parallel_fetch_dict([url1, url2]))\n"
        "print('fetched')",
        says="fetched",
    ),
    "4.5.3 docs/guide/coroutines.rst:233": Frame(
        inside=CLASS,
        after="    chunks = None\n    def fetch_next_chunk(self):\n"
        "        self.chunks = self.chunks or iter(['one ', 'two ', None])\n"
        "        future = Future()\n        soon(next(self.chunks), future.set_result)\n"
        "        return future\n" + SERVE,
        asks=[("GET /", "one two ")],
    ),
    "4.5.3 docs/guide/coroutines.rst:261": Frame(
        # Motor's cursor, which is no part of Tornado
        before="""\
import types
class Cursor:
    documents = ["one", "two"]
    @property
    def fetch_next(self): return gen.maybe_future(bool(self.documents))
    def next_object(self): print(self.documents.pop(0))
collection = types.SimpleNamespace(find=Cursor)
client = lambda: types.SimpleNamespace(test=types.SimpleNamespace(collection=collection))
sys.modules["motor"] = types.SimpleNamespace(MotorClient=client)
""",
        after="IOLoop.current().run_sync(lambda: loop_example(None))",
        says="one\ntwo\n",
    ),
    "4.5.3 docs/guide/coroutines.rst:277": Frame(
        before=MINUTES,
        edits={"sleep(60)": "sleep(0.01)"},
        after="IOLoop.current().call_later(0.5, IOLoop.current().stop)\nIOLoop.current().start()",
        says="minute 0\nminute 1\nminute 2\n",
    ),
    "4.5.3 docs/guide/coroutines.rst:292": Frame(
        before=MINUTES,
        edits={"sleep(60)": "sleep(0.01)"},
        after="IOLoop.current().spawn_callback(minute_loop2)\n"
        "IOLoop.current().call_later(0.5, IOLoop.current().stop)\nIOLoop.current().start()",
        says="minute 0\nminute 1\nminute 2\n",
    ),
    "4.5.3 docs/guide/running.rst:9": Frame(
        before="def make_app(): return Application([('/', handler())])", asks=[("GET /", "Hello")]
    ),
    "4.5.3 docs/guide/running.rst:39": Frame(
        before="def make_app(): return Application([('/', handler())])",
        after="main()",
        asks=[("GET /", "Hello")],
    ),
    "4.5.3 docs/guide/running.rst:156": Frame(
        before="os.makedirs('static')\n"
        "open('static/apple-touch-icon.png', 'w').write('icon')\n"
        "MainHandler, LoginHandler = handler('main'), handler('login')",
        after="serve(application)",
        asks=[("GET /apple-touch-icon.png", "icon"), ("GET /static/apple-touch-icon.png", "icon")]
        + [("GET /login", "login"), ("POST /login", 403)],
    ),
    "4.5.3 docs/guide/running.rst:196": Frame(
        file="example.html",
        before="os.makedirs('static/images')\nopen('static/images/logo.png', 'w').write('logo')",
        inside=GET,
        after="        self.render('example.html')\n" + SERVE[:-1] + ", static_path='static')",
        asks=[("GET /", "/static/images/logo.png?v=96d6f2e7"), ("GET /static/images/logo.png", "logo")],
    ),
    "4.5.3 docs/guide/running.rst:294": Frame(
        after="from wsgiref.simple_server import make_server\n"
        "make_server('', PORT, application).serve_forever()",
        asks=[("GET /", "Hello, world"), ("GET /none", 404)],
    ),
    "4.5.3 docs/guide/security.rst:14": Frame(
        after="serve(('/', MainHandler))", asks=[("GET /", "not set yet!"), ("GET /", "was set!")]
    ),
    "4.5.3 docs/guide/security.rst:36": Frame(
        before="MainHandler = handler()", after="serve(application)", asks=[("GET /", "Hello")]
    ),
    "4.5.3 docs/guide/security.rst:51": Frame(
        after="serve(('/', MainHandler), cookie_secret='s')",
        asks=[("GET /", "not set yet!"), ("GET /", "was set!")],
    ),
    "4.5.3 docs/guide/security.rst:102": Frame(after="serve(application)", **LOGIN),
    "4.5.3 docs/guide/security.rst:142": Frame(before=LOGIN_HANDLER, after="serve(application)", **LOGIN),
    "4.5.3 docs/guide/security.rst:187": Frame(
        before="tornado.auth.GoogleOAuth2Mixin._OAUTH_ACCESS_TOKEN_URL = SITE + '/token'\n"
        "tornado.auth.GoogleOAuth2Mixin._OAUTH_AUTHORIZE_URL = SITE + '/authorize'",
        edits={"# Save the user with e.g. set_secure_cookie": "self.write('who: %s' % user['entries'])"},
        after="serve(('/', GoogleOAuth2LoginHandler), google_oauth={'key': 'k', 'secret': 's'})",
        asks=[("GET /", SITE_JSON), ("GET /?code=x", "who: [1, 2]")],
    ),
    "4.5.3 docs/guide/security.rst:232": Frame(
        before="MainHandler, LoginHandler = handler(), handler()",
        after="serve(application)",
        asks=[("GET /", "Hello"), ("POST /", 403)],
    ),
    "4.5.3 docs/guide/security.rst:252": Frame(
        file="example.html",
        inside=GET,
        after="        self.render('example.html')\n    def post(self): self.write('posted')\n"
        "serve(('/', Handler), ('/new_message', Handler), xsrf_cookies=True)",
        asks=[("GET /", 'name="_xsrf" value="2|'), ("POST /new_message", 403)]
        + [("POST /new_message _xsrf", "posted")],
        data={"message": "hello"},
    ),
    "4.5.3 docs/guide/structure.rst:61": Frame(
        before="db = {}",
        after="serve(app)",
        asks=[("GET /", '<a href="/story/1">'), ("GET /story/12", "this is story 12")],
    ),
    "4.5.3 docs/guide/structure.rst:121": Frame(
        after="serve(('/myform', MyFormHandler))",
        asks=[("GET /myform", "<form"), ("POST /myform", "You wrote hello")],
        data={"message": "hello"},
    ),
    "4.5.3 docs/guide/structure.rst:165": Frame(
        inside=CLASS,
        after="    def post(self): self.write(repr(self.json_args))\n" + SERVE,
        asks=[("POST /", "None"), ("POST / json", "{'message': 'hello'}")],
        data={"message": "hello"},
    ),
    "4.5.3 docs/guide/structure.rst:271": Frame(
        edits={'"http://itunes.apple.com/my-app-id"': "SITE + '/app'"},
        after="serve(app)",
        asks=[("GET /app", SITE_JSON)],
    ),
    "4.5.3 docs/guide/structure.rst:280": Frame(
        before="MyPhotoHandler = handler('photo')",
        after="serve(app)",
        asks=[("GET /pictures/a.png", "photo a.png")],
    ),
    "4.5.3 docs/guide/structure.rst:323 | 4.5.3 docs/guide/structure.rst:349": Frame(
        after="serve(('/', MainHandler))", asks=[("GET /", "Fetched 2 entries from the FriendFeed API")]
    ),
}

#: Examples that are no programs, or that cannot run any more, and why.
CANNOT = {
    "2.4.1 tornado/iostream.py:618": "ssl.wrap_socket is gone from Python 3.12",
    "4.5.3 tornado/iostream.py:1262": "ssl.wrap_socket is gone from Python 3.12",
    "4.5.3 docs/guide/coroutines.rst:62": "a thread's Future cannot be awaited, with 4.5.3 neither",
    "4.5.3 docs/index.rst:58": "a command for pip",
    "4.5.3 docs/guide/running.rst:78": "nginx's configuration",
    "4.5.3 docs/guide/running.rst:224": "nginx's configuration",
    "4.5.3 docs/guide/security.rst:264": "a script for a browser",
}

FRAME_OF = {place: frame for places, frame in FRAMES.items() for place in places.split(" | ")}


def texts(version: str) -> dict[str, str]:
    """The examples of a version by their places."""
    try:
        folder = old_tornado.fetch(version)
    except old_tornado.Unavailable as reason:
        pytest.skip(str(reason))
    found = old_documentation.examples(folder, DOCUMENTS[version])
    return {f"{version} {place}": text for place, text in found.items()}


@pytest.mark.parametrize("version", DOCUMENTS)
def test_every_example_is_listed(version):
    listed = {place for place in (*FRAME_OF, *CANNOT) if place.startswith(version)}
    assert listed == set(texts(version))
    assert not set(FRAME_OF) & set(CANNOT)


class Site(http.server.BaseHTTPRequestHandler):
    """The site that the examples ask."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(SITE_JSON)))
        self.end_headers()
        self.wfile.write(SITE_JSON.encode())

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module", name="site")
def _site():
    with site(Site) as url:
        yield url


def ask(session, url, request):
    """The response to "METHOD path", and a word for what is special about it."""
    method, path, *special = request.split()
    options = {"data": session.data, "verify": False, "timeout": 60}
    if special == ["If-None-Match"]:
        options["headers"] = {"If-None-Match": session.etag}
    if special == ["_xsrf"]:
        options["data"] = {**session.data, "_xsrf": session.cookies["_xsrf"]}
    if special == ["json"]:
        del options["data"]
        options["json"] = session.data
    if method == "GET":
        options.pop("data")
    if url.startswith("https"):
        options["cert"] = session.certificate
    response = session.request(method, url + path, **options)
    session.etag = response.headers.get("Etag")
    return response


def drive(frame, url, folder):
    if frame.greets:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 60) as client:
            assert client.recv(100) == frame.greets
        return
    session = requests.Session()
    session.data, session.certificate = frame.data or {"a": "b"}, (folder / "foo.crt", folder / "foo.key")
    for request, expected in frame.asks:
        response = ask(session, url.replace("http", frame.scheme), request)
        if isinstance(expected, int):
            assert response.status_code == expected
        else:
            assert (response.status_code, expected in response.text) == (200, True), response.text


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("place", FRAME_OF)
def test_example(place, site, tmp_path):
    version, frame = place.split()[0], FRAME_OF[place]
    example = texts(version)[place]
    program = tmp_path / "example.py"
    program.write_text(frame.program(example))
    if frame.file:
        (tmp_path / frame.file).write_text(example)
    if version == "2.4.1":
        if importlib.util.find_spec("lib2to3") is None:
            pytest.skip("this Python has no lib2to3")
        old_tornado.translate(tmp_path)
    installed = Path(importlib.util.find_spec("tornado").submodule_search_locations[0], "test")
    for name in ("mydomain.crt", "mydomain.key", "foo.crt", "foo.key", "cacert.crt"):
        shutil.copyfile(installed / ("test" + name[-4:]), tmp_path / name)
    port = free_port()
    environment = {"SITE": site, "PORT": str(port)}
    environment["PYTHONPATH"] = f"{ENVIRONMENT['PYTHONPATH']}:{PROGRAMS}"
    if frame.asks or frame.greets:
        arguments = ("--generation", "4", program.name)
        with running(tmp_path, *arguments, port=port, **environment) as (process, url):
            drive(frame, url, tmp_path)
            process.terminate()
            assert process.wait(60) in (0, -15 if "wsgiref" in frame.after else 0)
    else:
        done = subprocess.run(
            [*SWAPPED, "--generation", "4", program.name],
            cwd=tmp_path,
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == frame.exits, done.stdout
        assert frame.says in done.stdout
