"""tornado_c.install() and `python -m tornado_c SCRIPT`: our core under Tornado's names.

Each case is a program of its own.
"""

import subprocess
import sys
import textwrap

import pytest

from support.children import CHILD_ENVIRONMENT

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
        print(tornado.platform.asyncio.AsyncIOLoop.__module__)
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
        print(type(Resolver()) is ThreadedResolver, ThreadedResolver.__module__)
    """) == ["True", "tornado_c.netutil"]


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
                self.write(type(IOLoop.current()).__module__)

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
        child = "import tornado.ioloop; print(tornado.ioloop.IOLoop.__module__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["tornado_c.ioloop"]


def test_children_can_be_left_alone():
    assert run("""
        import subprocess, sys
        import tornado_c
        tornado_c.install(children=False)
        child = "import tornado.ioloop; print(tornado.ioloop.IOLoop.__module__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["tornado.ioloop"]


def test_another_sitecustomize_still_runs(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.customized = True\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run("""
        import subprocess, sys
        import tornado_c
        tornado_c.install()
        child = "import sys, tornado.ioloop as i; print(sys.customized, i.IOLoop.__module__)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """) == ["True", "tornado_c.ioloop"]


def test_script(tmp_path):
    script = tmp_path / "app.py"
    (tmp_path / "beside.py").write_text("name = 'beside'\n")
    script.write_text(
        "import sys, beside\nfrom tornado.ioloop import IOLoop\n"
        "print(__name__, sys.argv[1:], beside.name, IOLoop.__module__)\n"
    )
    command = [sys.executable, "-m", "tornado_c", str(script), "--port=1", "x"]
    environment = CHILD_ENVIRONMENT
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout == "__main__ ['--port=1', 'x'] beside tornado_c.ioloop\n"
