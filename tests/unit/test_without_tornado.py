"""Where nothing but tornado_c is installed."""

import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request
import venv

import pytest

from support.children import ROOT
from support.live_http import wait_for
from support.ports import free_port

#: The documentation's, in the style of its older editions and of its newer ones.
HELLO = """
import tornado_c.httpserver
import tornado_c.ioloop
import tornado_c.options
import tornado_c.web

from tornado_c.options import define, options

define("port", default=8888, help="run on the given port", type=int)

class MainHandler(tornado_c.web.RequestHandler):
    def get(self):
        self.write("Hello, world")

def main():
    tornado_c.options.parse_command_line()
    application = tornado_c.web.Application([(r"/", MainHandler)], SETTINGS)
    http_server = tornado_c.httpserver.HTTPServer(application)
    http_server.listen(options.port)
    tornado_c.ioloop.IOLoop.current().start()

if __name__ == "__main__":
    main()
"""
NEWER = """
import asyncio
import tornado_c.web
from tornado_c.options import define, options, parse_command_line

define("port", default=8888, help="run on the given port", type=int)

class MainHandler(tornado_c.web.RequestHandler):
    async def get(self):
        self.write("Hello, world")

async def main():
    parse_command_line()
    application = tornado_c.web.Application([(r"/", MainHandler)], SETTINGS)
    application.listen(options.port)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that has tornado_c and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (folder / "path").mkdir()
    (folder / "path" / "tornado_c").symlink_to(os.path.join(ROOT, "tornado_c"))
    interpreter = str(folder / "venv" / "bin" / "python")
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "ours.pth").write_text(f"{folder / 'path'}\n")
    done = subprocess.run(
        [interpreter, "-c", "import tornado_c.web, tornado"], capture_output=True, text=True
    )
    assert "No module named 'tornado'" in done.stderr
    return interpreter


@pytest.fixture
def serve(python, tmp_path):
    """Start a program and wait until it serves; returns what it said on standard error when it was ended."""

    def start(text, settings, *launch):
        (tmp_path / "app.py").write_text(text.replace("SETTINGS", settings))
        port, seen = free_port(), []
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, "-W", "error", *launch, "app.py", f"--port={port}"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:

            def answers():
                assert process.poll() is None, process.stderr.read()
                with contextlib.suppress(urllib.error.URLError):
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as response:
                        seen.append(response.read())
                return seen

            try:
                assert wait_for(answers) == [b"Hello, world"]
                process.send_signal(signal.SIGTERM)
                return process.communicate(timeout=60)[1].splitlines()
            finally:
                process.kill()

    return start


@pytest.mark.parametrize("launch", [(), ("-m", "tornado_c")], ids=["plain", "-m tornado_c"])
@pytest.mark.parametrize("text", [HELLO, NEWER], ids=["older", "newer"])
def test_hello_world(serve, text, launch):
    said = serve(text, "", *launch)
    assert not [line for line in said if " 200 GET / " not in line and "Draining" not in line]


@pytest.mark.parametrize("text", [HELLO, NEWER], ids=["older", "newer"])
def test_debug_warns_once(serve, text):
    said = serve(text, "debug=True")
    warnings = [line for line in said if " 200 GET / " not in line]
    assert len(warnings) == 1 and warnings[0].startswith("[W ")
    assert "will not be reloaded" in warnings[0] and "pip install 'tornado_c[tornado]'" in warnings[0]


def test_help(python, tmp_path):
    (tmp_path / "app.py").write_text(HELLO.replace("SETTINGS", ""))
    done = subprocess.run(
        [python, "app.py", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert "--port" in done.stderr + done.stdout and "run on the given port" in done.stderr + done.stdout
