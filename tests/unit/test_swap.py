"""tornado_c.install() and `python -m tornado_c SCRIPT`: our core under Tornado's names.

Each case is a program of its own.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from support.children import CHILD_ENVIRONMENT, PROGRAMS

pytest.importorskip("tornado")


def run(source, *arguments):
    """Runs a program; its standard output. What it says on standard error fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_modules_are_ours_under_both_names():
    assert run("""
        import tornado_c
        tornado_c.install()
        tornado_c.install()
        import tornado.ioloop, tornado.platform.asyncio, tornado_c.ioloop
        print(tornado.ioloop is tornado_c.ioloop, tornado.ioloop.__spec__.name)
        print(tornado.platform.asyncio.__name__)
    """) == ["True", "tornado_c.ioloop", "tornado_c.platform.asyncio"]


def test_every_module_of_the_list():
    assert run("""
        import importlib, tornado_c, tornado_c._swap.install
        tornado_c.install()
        for name in tornado_c._swap.install.SWAPPED:
            module = importlib.import_module(f"tornado.{name}")
            assert module is importlib.import_module(f"tornado_c.{name}"), name
        from tornado.netutil import Resolver, ThreadedResolver
        Resolver.configure("tornado.netutil.ThreadedResolver")
        print(type(Resolver()) is ThreadedResolver, ThreadedResolver is tornado_c.netutil.ThreadedResolver)
    """) == ["True", "True"]


def test_stock_upper_layers_run_on_our_loop():
    assert (
        run("""
        import tornado_c
        tornado_c.install()
        import asyncio
        from tornado.httpclient import AsyncHTTPClient
        from tornado.httpserver import HTTPServer
        from tornado.ioloop import IOLoop
        from tornado.netutil import bind_sockets
        from tornado.web import Application, RequestHandler

        class Hello(RequestHandler):
            async def get(self):
                await asyncio.sleep(0)
                self.write(type(IOLoop.current()).initialize.__globals__["__name__"])

        async def main():
            sockets = bind_sockets(0, "127.0.0.1")
            server = HTTPServer(Application([("/", Hello)]))
            server.add_sockets(sockets)
            port = sockets[0].getsockname()[1]
            answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/")
            print(answer.body.decode())
            server.stop()
            await server.close_all_connections()

        IOLoop.current().run_sync(main)
        asyncio.run(main())
    """)
        == ["tornado_c.platform.asyncio"] * 2
    )


def test_too_late():
    assert run("""
        import tornado.ioloop, tornado_c
        try:
            tornado_c.install()
        except RuntimeError as exc:
            print("tornado.ioloop" in str(exc), "python -m tornado_c" in str(exc))
    """) == ["True", "True"]


def test_children_are_swapped_too():
    assert run("""
        import subprocess, sys
        import tornado_c
        tornado_c.install()
        child = "import tornado.ioloop; print(tornado.ioloop.__name__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["tornado_c.ioloop"]


def test_children_can_be_left_alone():
    assert run("""
        import subprocess, sys
        import tornado_c
        tornado_c.install(children=False)
        child = "import tornado.ioloop; print(tornado.ioloop.__name__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["tornado.ioloop"]


def test_another_sitecustomize_still_runs(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.customized = True\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run("""
        import subprocess, sys
        import tornado_c
        tornado_c.install()
        child = "import sys, tornado.ioloop as i; print(sys.customized, i.__name__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["True", "tornado_c.ioloop"]


def test_script(tmp_path):
    script = tmp_path / "app.py"
    (tmp_path / "beside.py").write_text("name = 'beside'\n")
    script.write_text(
        "import sys, beside\nfrom tornado import ioloop\n"
        "print(__name__, sys.argv[1:], beside.name, ioloop.__name__)\n"
    )
    command = [sys.executable, "-m", "tornado_c", str(script), "--port=1", "x"]
    environment = CHILD_ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout == "__main__ ['--port=1', 'x'] beside tornado_c.ioloop\n"


PICKLED = str(PROGRAMS / "pickled.py")
#: Classes and functions that programs name from outside: pickles, error trackers, configurations.
NAMED = """
    tornado.concurrent.DummyExecutor tornado.escape.utf8 tornado.http1connection.HTTP1Connection
    tornado.httpserver.HTTPServer tornado.httputil.HTTPHeaders tornado.httputil.HTTPInputError
    tornado.httputil.HTTPServerRequest tornado.httputil.url_concat tornado.ioloop.IOLoop
    tornado.ioloop.PeriodicCallback tornado.iostream.IOStream tornado.iostream.StreamClosedError
    tornado.log.LogFormatter tornado.netutil.Resolver tornado.netutil.bind_sockets tornado.options.Error
    tornado.options.OptionParser tornado.platform.asyncio.AsyncIOMainLoop tornado.process.Subprocess
    tornado.routing.PathMatches tornado.routing.URLSpec tornado.tcpclient.TCPClient
    tornado.tcpserver.TCPServer
    tornado.util.Configurable tornado.util.ObjectDict tornado.web.Application tornado.web.Finish
    tornado.web.GZipContentEncoding tornado.web.HTTPError tornado.web.MissingArgumentError
    tornado.web.RequestHandler tornado.web.StaticFileHandler tornado.web.UIModule tornado.web.addslash
    tornado.web.authenticated tornado.web.create_signed_value tornado.web.stream_request_body
"""


def pickled(package, action, data=None):
    command = [sys.executable, PICKLED, package, action]
    done = subprocess.run(
        command, input=data, capture_output=True, env=CHILD_ENVIRONMENT, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == (b"", 0)
    return done.stdout


@pytest.mark.parametrize(
    "writes, reads", [("swapped", "tornado"), ("tornado", "swapped"), ("tornado_c",) * 2]
)
def test_pickles(writes, reads):
    """What is read is what stock Tornado would have read of what it wrote."""
    seen = pickled(reads, "load", pickled(writes, "dump")).decode()
    expected = pickled("tornado", "load", pickled("tornado", "dump")).decode()
    assert [*map(json.loads, seen.splitlines())] == [*map(json.loads, expected.splitlines())]


def test_names_are_tornados():
    """Whichever name a module is imported by first, and however late."""
    assert run(f"""
        import tornado_c.iostream, tornado_c.log
        tornado_c.install()
        import tornado_c.httpserver, tornado_c.tcpclient, tornado_c.platform.asyncio
        for name in {NAMED!r}.split():
            module, _, attribute = name.rpartition(".")
            thing = getattr(__import__(module, fromlist=["x"]), attribute)
            assert f"{{thing.__module__}}.{{thing.__qualname__}}" == name, name
        import inspect, sys, typing
        assert inspect.getfile(tornado_c.iostream.IOStream) == tornado_c.iostream.__file__
        assert sys.modules["tornado.tcpclient"] is tornado_c.tcpclient
        typing.get_type_hints(tornado_c.tcpclient.TCPClient.connect)
        try:
            raise tornado_c.iostream.StreamClosedError
        except __import__("tornado.iostream").iostream.StreamClosedError as e:
            print(repr(type(e)))
    """) == ["<class", "'tornado.iostream.StreamClosedError'>"]


def test_methods_are_tornados():
    """By these names tools that trace functions report them."""
    assert run("""
        import tornado_c
        tornado_c.install()
        import tornado.httpserver, tornado.web
        methods = [tornado.web.RequestHandler.get, tornado.web.Application.listen]
        methods.append(tornado.httpserver.HTTPServer.initialize)
        print(*(method.__module__ for method in methods))
        tornado_c.uninstall()
        print(*(method.__module__ for method in methods))
    """) == ["tornado.web"] * 2 + ["tornado.httpserver"] + ["tornado_c.web"] * 2 + ["tornado_c.httpserver"]


@pytest.mark.parametrize("order", ["install first", "hooks first"])
def test_tools_that_wait_for_an_import(order):
    """Monitoring tools wrap the loaders of modules that they patch, and go by the name of what comes."""
    assert run(f"""
        import importlib.abc, importlib.util, sys
        import tornado_c

        class Waiting(importlib.abc.MetaPathFinder):
            busy = False
            def find_spec(self, name, path=None, target=None):
                if self.busy or name not in names:
                    return None
                self.busy = True
                try:
                    spec = importlib.util.find_spec(name)
                finally:
                    self.busy = False
                execute = spec.loader.exec_module
                def exec_module(module):
                    execute(module)
                    seen.append((module.__name__, module is sys.modules[name]))
                spec.loader.exec_module = exec_module
                return spec

        seen = []
        names = ["tornado.gen", "tornado.httpserver", "tornado.routing", "tornado.web"]
        waiting = Waiting()
        if {order!r} == "hooks first":
            sys.meta_path.insert(0, waiting)
        tornado_c.install()
        if waiting not in sys.meta_path:
            sys.meta_path.insert(0, waiting)
        import tornado.web, tornado.routing, tornado.gen
        found = sorted(each for each in seen if each[0].startswith("tornado."))
        assert found == [(name, True) for name in names], seen
        print(tornado.web.__name__, tornado.web.__spec__.name, tornado.web is tornado_c.web)
    """) == ["tornado_c.web", "tornado_c.web", "True"]


def test_names_without_the_swap():
    assert run(f"""
        for name in {NAMED!r}.split():
            module, _, attribute = name.replace("tornado.", "tornado_c.").rpartition(".")
            thing = getattr(__import__(module, fromlist=["x"]), attribute)
            assert f"{{thing.__module__}}.{{thing.__qualname__}}" == f"{{module}}.{{attribute}}", name
        import tornado.iostream
        print(tornado.iostream.IOStream.__module__, len(tornado.__path__))
    """) == ["tornado.iostream", "1"]


def test_one_of_each():
    """Classes that stock Tornado's modules share are one class for all of them, ours and stock."""
    assert run("""
        import tornado_c
        tornado_c.install()
        import tornado.httpclient, tornado.ioloop, tornado.netutil, tornado.options, tornado.util
        import tornado_c.escape, tornado_c.options, tornado_c.util
        import tornado.escape, tornado.locale, tornado.log, tornado.simple_httpclient, tornado.template
        for cls in (tornado.ioloop.IOLoop, tornado.netutil.Resolver, tornado.httpclient.AsyncHTTPClient):
            assert issubclass(cls, tornado.util.Configurable), cls
        assert tornado.util.Configurable is tornado_c.util.Configurable
        assert tornado.template.ObjectDict is tornado_c.util.ObjectDict
        assert tornado.httpclient.utf8 is tornado.locale.escape.utf8 is tornado_c.escape.utf8
        assert tornado.options.options is tornado_c.options.options
        tornado_c.options.define("mine", 1)
        tornado.options.parse_command_line(["x", "--mine=2", "--logging=error"])
        import logging
        print(tornado.options.options.mine, logging.getLevelName(logging.getLogger().level))
    """) == ["2", "ERROR"]


def test_uninstall():
    assert run("""
        import os, sys
        import tornado_c
        before = dict(os.environ)
        tornado_c.uninstall()
        tornado_c.install()
        tornado_c.install()
        import tornado.gen, tornado.iostream, tornado.platform.asyncio
        swapped_gen, ours = tornado.gen, tornado.iostream
        assert swapped_gen.IOLoop is tornado_c.ioloop.IOLoop
        tornado_c.uninstall()
        assert os.environ == before, set(os.environ.items()) ^ set(before.items())
        assert not [name for name in sys.modules if name.startswith("tornado.")]
        assert ours.StreamClosedError.__module__ == "tornado_c.iostream"
        import tornado.gen, tornado.iostream, tornado.platform.asyncio, tornado_c.iostream
        assert tornado.iostream.__name__ == "tornado.iostream" and tornado.gen is not swapped_gen
        assert tornado.gen.IOLoop.__init__ is not ours and tornado.iostream is not ours
        assert tornado_c.iostream is ours and tornado.iostream.StreamClosedError is not ours.StreamClosedError
        try:
            tornado_c.install()
        except RuntimeError as exc:
            print("imported before" in str(exc))
        tornado_c.uninstall()
    """) == ["True"]


def test_install_again():
    """As tests do it: with the swap and without, by turns."""
    assert run("""
        import tornado_c
        for _ in range(3):
            tornado_c.install()
            import tornado.httpclient, tornado.iostream, tornado.web
            assert tornado.iostream is tornado_c.iostream
            assert tornado.iostream.IOStream.__module__ == "tornado.iostream"
            assert tornado.httpclient.httputil is tornado_c.httputil
            tornado_c.uninstall()
        import tornado.httpclient
        print(tornado.httpclient.httputil is tornado_c.httputil)
    """) == ["False"]


def test_uninstall_keeps_what_was_there():
    assert run("""
        import os, sys
        os.environ["PYTHONPATH"] = "/nowhere"
        import tornado.speedups, tornado_c
        before = sys.modules["tornado.speedups"]
        tornado_c.install()
        import tornado.websocket
        tornado_c.uninstall()
        print(sys.modules["tornado.speedups"] is before, os.environ["PYTHONPATH"])
    """) == ["True", "/nowhere"]
