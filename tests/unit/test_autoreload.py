"""The settings debug and autoreload, and what a program is after it has executed itself again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from support.children import CHILD_ENVIRONMENT
from support.live_http import wait_for
from support.ports import free_port
from tornado_c._workers.again import _program

pytest.importorskip("tornado")

#: Says what it is, under every URL. Its text is changed while it runs.
APP = """
import asyncio, os, signal, sys
from PACKAGE import httpserver, ioloop, web

VERSION = "one"
watched = []

class Facts(web.RequestHandler):
    def get(self):
        prefork = sys.modules.get("tornado_c._workers.prefork")
        self.write({
            "version": VERSION if watched else "",
            "argv": sys.argv,
            "name": getattr(__spec__, "name", None),
            "path": sys.path[0],
            "pid": os.getpid(),
            "loop": type(asyncio.get_running_loop()).__module__,
            "ioloop": sys.modules["tornado.ioloop"].__name__,
            "drain": signal.getsignal(signal.SIGTERM).__module__,
            "drain_timeout": prefork and prefork.drain_timeout,
            "options": sorted(sys._xoptions),
        })

application = web.Application([(".*", Facts)], SETTINGS)
httpserver.HTTPServer(application).listen(PORT, "127.0.0.1")
ioloop.IOLoop.current().call_later(0.6, watched.append, True)  # autoreload has looked at the files by then
ioloop.IOLoop.current().start()
"""


class App:
    """The program, in a package ``pkg``."""

    def __init__(self, folder, command, package="tornado", settings="debug=True"):
        self.port = free_port()
        text = APP.replace("PACKAGE", package).replace("PORT", str(self.port)).replace("SETTINGS", settings)
        (folder / "pkg").mkdir()
        (folder / "pkg" / "__init__.py").touch()
        (folder / "pkg" / "__main__.py").write_text("import runpy\n" + text)
        self.file = folder / "pkg" / "__main__.py"
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [sys.executable, *command, "x", "--y=1"],
            cwd=folder,
            env={**CHILD_ENVIRONMENT, "HOME": str(folder)},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def facts(self, version):
        """What it says of itself, when it is of this version."""
        said = {}

        def asked():
            assert self.process.poll() is None, self.said()
            with contextlib.suppress(OSError, ValueError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as response:
                    said.update(json.loads(response.read()))
            return said.get("version") == version

        wait_for(asked)
        del said["version"]
        return said

    def change(self):
        before = os.stat(self.file).st_mtime
        self.file.write_text(self.file.read_text().replace('VERSION = "one"', 'VERSION = "two"'))
        os.utime(self.file, (before + 10, before + 10))

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def app(tmp_path):
    apps = []

    def start(*command, **more):
        apps.append(App(tmp_path, command, **more))
        return apps[-1]

    yield start
    for each in apps:
        each.close()


WAYS = {
    "a file": ["pkg/__main__.py"],
    "a folder": ["pkg"],
    "a package": ["-m", "pkg"],
    "a module": ["-m", "pkg.__main__"],
    "autoreload and a file": ["-m", "tornado.autoreload", "pkg/__main__.py"],
    "autoreload and a package": ["-m", "tornado.autoreload", "-m", "pkg"],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_program_is_again_what_it_was(app, way):
    """With the native loop, the drain, its options and those of the interpreter."""
    running = app("-X", "utf8", "-m", "tornado_c", "--drain-timeout", "7", *WAYS[way])
    before = running.facts("one")
    assert before["loop"].startswith("tornado_c.")
    assert (before["ioloop"], before["drain_timeout"], before["options"]) == ("tornado_c.ioloop", 7, ["utf8"])
    assert before["drain"].startswith("tornado_c.") and before["argv"][1:] == ["x", "--y=1"]
    running.change()
    after = running.facts("two")
    assert after == before
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0  # autoreload does not wait for changes any more


def test_options_with_an_equals_sign(app):
    running = app("-m", "tornado_c", "--keep-orphans", "--drain-timeout=8", "pkg/__main__.py")
    before = running.facts("one")
    running.change()
    assert running.facts("two") == before and before["drain_timeout"] == 8


@pytest.mark.parametrize("settings", ["debug=True", "autoreload=True"])
def test_an_application_of_ours(app, settings):
    """Without the swap: started again as plain Python."""
    running = app("pkg/__main__.py", package="tornado_c", settings=settings)
    before = running.facts("one")
    assert before["loop"].startswith("tornado_c.")  # also though Tornado's loop runs on it
    assert (before["ioloop"], before["drain"]) == ("tornado.ioloop", "signal")
    running.change()
    assert running.facts("two") == before


def test_an_application_of_ours_under_the_swap(app):
    running = app("-m", "tornado_c", "pkg/__main__.py", package="tornado_c")
    before = running.facts("one")
    running.change()
    assert running.facts("two") == before and before["ioloop"] == "tornado_c.ioloop"


def run(source, *interpreter, **more):
    command = [sys.executable, *interpreter, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_only_on_request():
    code = """
import sys
from tornado_c.web import Application
Application(debug=True, autoreload=False), Application(), Application(autoreload=False)
print("tornado.autoreload" in sys.modules, Application(debug=True).settings)
print("tornado.autoreload" in sys.modules)
"""
    stdout, stderr = run(code, env=CHILD_ENVIRONMENT)
    first, second = stdout.splitlines()
    assert first.startswith("False {") and "'autoreload': True" in first and second == "True"
    assert stderr == ""


def test_without_tornado_it_warns_once():
    code = """
import sys
sys.modules["tornado"] = None
from tornado_c.web import Application
for _ in range(3):
    Application(debug=True)
"""
    stdout, stderr = run(code, "-W", "error", env=CHILD_ENVIRONMENT)
    assert stdout == "" and stderr.count("\n") == 1
    assert stderr.startswith(
        "The program will not be reloaded: the setting autoreload, which debug includes,"
    )
    assert "pip install 'tornado_c[tornado]'" in stderr


@pytest.mark.parametrize("package", ["tornado", "tornado_c"])
def test_workers_do_not_reload(tmp_path, package):
    """Each would start the whole program."""
    (tmp_path / "app.py").write_text(f"""
import os, sys, time
import tornado_c
if {package!r} == "tornado":
    tornado_c.install()
from {package} import ioloop, process, web
print("started", flush=True)
process.fork_processes(2, max_restarts=0)
web.Application(debug=True)
os.utime(__file__, (time.time() + 10 * process.task_id(), time.time() + 10))
ioloop.IOLoop.current().call_later(1.5, ioloop.IOLoop.current().stop)
ioloop.IOLoop.current().start()
""")
    done = subprocess.run(
        [sys.executable, "app.py"],
        capture_output=True,
        text=True,
        timeout=60,
        env=CHILD_ENVIRONMENT,
        cwd=tmp_path,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("started\n", 0), done.stderr


# ---- programs that execute themselves ----

AGAIN = """
import asyncio, os, sys
print(type(asyncio.get_event_loop_policy()).__module__, sys.argv[1:], os.getpid(), flush=True)
if "again" not in os.environ:
    os.environ["again"] = "1"
    EXECUTE
"""


@pytest.mark.parametrize(
    "execute, swapped",
    [
        ("os.execv(sys.executable, [sys.executable] + sys.argv)", True),
        ("os.execv(sys.executable, [sys.executable, '-uX', 'dev', __file__, 'x'])", True),
        ("os.execv(sys.executable, [sys.executable, 'other.py', 'x'])", False),
        ("os.execv(sys.executable, [sys.executable, '-c', open(__file__).read(), 'x'])", False),
        ("import subprocess; subprocess.run([sys.executable] + sys.argv)", False),
    ],
)
def test_programs_that_execute_themselves(tmp_path, execute, swapped):
    """Others, and children, are swapped, but not run by us."""
    for name in ("app.py", "other.py"):
        (tmp_path / name).write_text(AGAIN.replace("EXECUTE", execute))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tornado_c", "app.py", "x"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**CHILD_ENVIRONMENT, "PYTHONWARNINGS": "ignore::DeprecationWarning"},
        cwd=tmp_path,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    first, second = (line.split() for line in done.stdout.splitlines())
    assert first[:2] == ["tornado_c._asyncio.policy", "['x']"] and second[1] == "['x']"
    assert (second[0] == first[0]) == swapped
    assert (second[2] == first[2]) == ("subprocess" not in execute)


@pytest.mark.parametrize(
    "arguments, program",
    [
        (["app.py", "-m", "x"], ["app.py", "-m", "x"]),
        (["-m", "pkg", "-c"], ["-m", "pkg", "-c"]),
        (["-mpkg", "x"], ["-m", "pkg", "x"]),
        (["-um", "pkg"], ["-m", "pkg"]),
        (["-uX", "dev", "-Werror", "-W", "ignore", "app.py"], ["app.py"]),
        (["--check-hash-based-pycs", "always", "-Bs", "app.py", "x"], ["app.py", "x"]),
        (["-c", "pass", "app.py"], []),
        (["-cpass"], []),
        (["-m"], ["-m", ""]),
        ([], []),
        (["-u"], []),
    ],
)
def test_arguments_of_an_interpreter(arguments, program):
    assert _program(arguments) == program
