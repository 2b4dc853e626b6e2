"""Tornado's other modules under our names, and a program that becomes ours by changing one name."""

import subprocess
import sys
import textwrap

import pytest

from support.children import CHILD_ENVIRONMENT, run_quietly

pytest.importorskip("tornado")

ALWAYS = "auth autoreload httpclient locale locks queues simple_httpclient template wsgi".split()
SWAPPED_ONLY = ["testing"]


def run(source, *arguments, interpreter=(), cwd=None):
    """Run a program; what it prints. What it says on standard error fails the test."""
    return run_quietly(textwrap.dedent(source), *arguments, interpreter=interpreter, cwd=cwd)


@pytest.mark.parametrize("swap", ["", "tornado_c.install()"])
def test_they_are_the_installed_ones(swap):
    assert run(f"""
        import importlib, sys
        import tornado_c
        {swap}
        for name in {[*ALWAYS, *(SWAPPED_ONLY if swap else ())]!r}:
            module = importlib.import_module(f"tornado_c.{{name}}")
            assert module is importlib.import_module(f"tornado.{{name}}") is getattr(tornado_c, name), name
            assert module.__name__ == f"tornado.{{name}}" and module.__spec__.name == module.__name__
        from tornado_c.locks import Lock
        from tornado_c import locks, queues as q
        import tornado_c.httpclient
        import tornado.ioloop, tornado_c.ioloop
        print(tornado_c.httpclient.IOLoop is tornado_c.ioloop.IOLoop)
    """) == [str(bool(swap))]


@pytest.mark.parametrize("name", SWAPPED_ONLY)
def test_what_needs_the_swap_says_so(name):
    (text,) = run(f"""
        try:
            import tornado_c.{name}
        except ImportError as exc:
            print(exc.name, exc)
        import tornado_c
        tornado_c.install()
        import tornado_c.{name}
    """)
    assert text.startswith(f"tornado_c.{name} tornado_c.{name} is Tornado's own")
    assert "tornado_c.install()" in text and "python -m tornado_c" in text


@pytest.mark.parametrize("name", [*ALWAYS, "curl_httpclient"])
def test_without_tornado(name):
    (text,) = run(f"""
        import sys
        sys.modules["tornado"] = None
        try:
            import tornado_c.{name}
        except ImportError as exc:
            print(exc)
        assert "tornado_c.{name}" not in sys.modules
    """)
    assert text.startswith(f"tornado_c.{name} needs Tornado's own modules; install them")
    assert "pip install 'tornado_c[tornado]'" in text


def test_what_a_module_cannot_import_itself_is_its_own_error():
    (text,) = run("""
        import sys
        sys.modules["pycurl"] = None
        try:
            import tornado_c.curl_httpclient
        except ImportError as exc:
            print(exc.name)
    """)
    assert text == "pycurl"


def test_submodules_on_demand():
    """As in ``import tornado; tornado.web``, which Tornado has, too."""
    assert run("""
        import tornado_c
        print(tornado_c.web.Application.__module__, tornado_c.locks.Lock.__module__)
        print(hasattr(tornado_c, "nothing"), tornado_c.platform.__name__)
    """) == ["tornado_c.web tornado.locks", "False tornado_c.platform"]


PROGRAM = """
from PACKAGE import gen, locks, queues, template
from PACKAGE.httpclient import AsyncHTTPClient
from PACKAGE.httpserver import HTTPServer
from PACKAGE.ioloop import IOLoop
from PACKAGE.netutil import bind_sockets
from PACKAGE.web import Application, RequestHandler
from PACKAGE.wsgi import WSGIContainer

PAGE = template.Template("<b>{{ name }}</b>")

class Page(RequestHandler):
    lock = locks.Lock()

    @gen.coroutine
    def get(self):
        with (yield self.lock.acquire()):
            yield gen.moment
        self.write(PAGE.generate(name="<x>"))

def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]

async def main():
    queue = queues.Queue()
    for application in (Application([("/", Page)]), WSGIContainer(plain)):
        sockets = bind_sockets(0, "127.0.0.1")
        HTTPServer(application).add_sockets(sockets)
        await queue.put(sockets[0].getsockname()[1])
    while queue.qsize():
        response = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{await queue.get()}/")
        print(response.code, response.body.decode())

IOLoop.current().run_sync(main)
"""


@pytest.mark.parametrize("swap", ["", "import tornado_c; tornado_c.install()\n"])
@pytest.mark.parametrize("package", ["tornado", "tornado_c"])
def test_changing_a_programs_imports_is_changing_one_name(package, swap):
    lines = run(swap + PROGRAM.replace("PACKAGE", package))
    assert lines == ["200 <b>&lt;x&gt;</b>", "200 /"]


TEST = """
import PACKAGE.testing
import PACKAGE.web
import unittest

class Hello(PACKAGE.web.RequestHandler):
    def get(self):
        self.write("hello")

class HelloTest(PACKAGE.testing.AsyncHTTPTestCase):
    def get_app(self):
        return PACKAGE.web.Application([("/", Hello)])

    def test_hello(self):
        assert self.fetch("/").body == b"hello"

    @PACKAGE.testing.gen_test
    async def test_again(self):
        assert (await self.http_client.fetch(self.get_url("/"))).code == 200

result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(HelloTest).run(result)
print(result.testsRun, len(result.errors), len(result.failures))
"""


@pytest.mark.parametrize("package", ["tornado", "tornado_c"])
def test_cases_of_tornado_testing(package):
    lines = run("import tornado_c\ntornado_c.install()\n" + TEST.replace("PACKAGE", package))
    assert lines == ["2 0 0"]


def test_autoreload_as_a_program(tmp_path):
    (tmp_path / "app.py").write_text("import sys\nprint(sys.argv, flush=True)\n")
    command = [sys.executable, "-m", "tornado_c.autoreload", "--until-success", "app.py", "x"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=CHILD_ENVIRONMENT, cwd=tmp_path, check=True
    )
    assert done.stdout == "['app.py', 'x']\n"


HAD_BY_TORNADO = (
    "util escape concurrent log options ioloop iostream tcpserver tcpclient netutil process httputil "
    "http1connection httpserver routing web websocket gen platform.asyncio"
).split()

LISTED = """
import importlib, inspect, sys
{}
for name in sys.argv[1:]:
    module = importlib.import_module(f"tornado.{{name}}")
    for member in {}:
        if not member.startswith("_") and not member.isupper():
            value = getattr(module, member)
            print(name, member, inspect.ismodule(value) and value.__name__.replace("tornado_c", "tornado"))
"""


def test_what_programs_reach_through_a_module_is_there():
    """What Tornado's modules have imported: ``tornado.ioloop.time``, ``tornado.httputil.native_str``."""
    from tornado_c._swap.install import SWAPPED

    stock = {tuple(line.split()) for line in run(LISTED.format("", "vars(module)"), *HAD_BY_TORNADO)}
    assert len(stock) > 500 and {line[0] for line in stock} <= set(SWAPPED)
    names = {}
    for name, member, _ in stock:
        names.setdefault(name, []).append(member)
    swap = f"import tornado_c; tornado_c.install(); names = {names!r}"
    assert {tuple(line.split()) for line in run(LISTED.format(swap, "names[name]"), *HAD_BY_TORNADO)} == stock
