"""python -m tornado_c: what it says of its command line, and that a program is run as by plain Python."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile

import pytest

import tornado_c
from support.ports import free_port

PACKAGE = os.path.dirname(os.path.abspath(tornado_c.__file__))

#: What a program sees of itself.
FACTS = """
import json, os, pickle, sys, threading, traceback

class Thing:
    pass

def facts():
    return {
        "argv": sys.argv,
        "path": sys.path[0],
        "names": {k: v for k, v in globals().items() if k in (
            "__name__", "__file__", "__package__", "__doc__", "__cached__")},
        "spec": getattr(__spec__, "name", None),
        "loader": type(__loader__).__name__,
        "main": sys.modules["__main__"].__dict__ is globals(),
        "pickled": type(pickle.loads(pickle.dumps(Thing()))) is Thing,
        "code": facts.__code__.co_filename,
    }

print(json.dumps(facts()))
"""
AT_EXIT = """
import atexit
atexit.register(lambda: print(sys.modules["__main__"].__dict__ is globals(), Thing.__name__))
"""


def run(*arguments, cwd=None, path="", interpreter=()):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PYTHONPATH"] = path or os.path.dirname(PACKAGE)
    return subprocess.run(
        [sys.executable, *interpreter, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env=environment,
        check=False,
    )


def ours(*arguments, **more):
    return run("-m", "tornado_c", *arguments, **more)


# ---- what it refuses ----

REFUSED = {
    "no script": (["nosuch.py"], "can't open file '{folder}/nosuch.py': [Errno 2] No such file or directory"),
    "a folder": (["folder"], "can't find '__main__' module in '{folder}/folder'"),
    "no module": (["-m", "nosuch.module"], "no module named 'nosuch.module' that can be run"),
    "no module's name": (["-m"], "argument -m: expected one argument"),
    "a package without a __main__": (["-m", "folder"], "no module named 'folder' that can be run"),
    "port too high": (["--port", "99999"], "argument --port: '99999' is not a number from 0 to 65535"),
    "port negative": (["--port", "-1"], "argument --port: '-1' is not a number from 0 to 65535"),
    "port no number": (["--port", "http"], "argument --port: 'http' is not a number from 0 to 65535"),
    "seconds negative": (["--drain-timeout", "-1", "x.py"], "argument --drain-timeout: '-1' is not a number"),
    "seconds nan": (["--drain-timeout=nan", "x.py"], "argument --drain-timeout: 'nan' is not a number"),
    "an option": (["--nope"], "unrecognized arguments: --nope"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_a_line(tmp_path, case):
    arguments, text = REFUSED[case]
    (tmp_path / "folder").mkdir()
    done = ours(*arguments, cwd=tmp_path)
    assert done.stderr.startswith("python -m tornado_c: " + text.format(folder=tmp_path))
    assert (done.stdout, done.stderr.count("\n"), done.returncode) == ("", 1, 2)


def test_version_and_usage():
    done = ours("--version")
    assert (done.stdout, done.returncode) == (
        f"tornado_c {tornado_c.__version__} (interface of Tornado 6.6.1)\n",
        0,
    )
    assert "SCRIPT" in ours("--help").stdout.splitlines()[0]


def test_page_names_the_port_that_was_bound():
    command = [sys.executable, "-m", "tornado_c", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(PACKAGE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


# ---- a program sees what it sees under plain Python ----


@pytest.mark.parametrize(
    "how", ["script", "absolute", "link", "compiled", "folder", "zip", "module", "package"]
)
def test_as_under_plain_python(tmp_path, how):
    text = '"""The doc."""\n' + FACTS
    (tmp_path / "sub").mkdir()
    script = tmp_path / "sub" / "app.py"
    script.write_text(text + AT_EXIT)
    (tmp_path / "link.py").symlink_to(script)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(text)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "__main__.py").write_text(text)
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", text)
    compile_it = "import py_compile; py_compile.compile('sub/app.py', cfile='app.pyc')"
    subprocess.run([sys.executable, "-c", compile_it], cwd=tmp_path, check=True)
    arguments = {
        "script": ["sub/app.py"],
        "absolute": [str(script)],
        "link": ["link.py"],
        "compiled": ["app.pyc"],
        "folder": ["folder"],
        "zip": ["app.zip"],
        "module": ["-m", "sub.app"],
        "package": ["-m", "package"],
    }[how]
    plain, swapped = (call(*arguments, "x", "--port=1", cwd=tmp_path) for call in (run, ours))
    assert (swapped.stderr, swapped.returncode) == (plain.stderr, plain.returncode) == ("", 0)
    assert swapped.stdout.splitlines()[1:] == plain.stdout.splitlines()[1:]
    theirs, mine = json.loads(plain.stdout.splitlines()[0]), json.loads(swapped.stdout.splitlines()[0])
    assert mine == theirs


def test_an_error_of_the_program_is_its_own(tmp_path):
    (tmp_path / "app.py").write_text("import nosuch_module\n")
    done = ours("app.py", cwd=tmp_path)
    assert "No module named 'nosuch_module'" in done.stderr and "Traceback" in done.stderr
    assert f'File "{tmp_path}/app.py", line 1' in done.stderr
    assert done.returncode == 1
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import nosuch_module\n")
    done = ours("-m", "package.inner", cwd=tmp_path)
    assert "No module named 'nosuch_module'" in done.stderr and done.returncode == 1


# ---- without Tornado ----


@pytest.fixture
def bare(tmp_path):
    """Arguments of an interpreter, and a path, with which tornado_c can be imported and Tornado cannot."""
    path = tmp_path / "path"
    path.mkdir()
    (path / "tornado_c").symlink_to(PACKAGE)
    more = {"interpreter": ["-S"], "path": str(path)}
    assert run("-c", "import tornado_c", **more).returncode == 0
    assert "ModuleNotFoundError" in run("-c", "import tornado", **more).stderr
    return more


ALONE = """
    import asyncio, sys
    from tornado_c.ioloop import IOLoop
    from tornado_c.web import Application, RequestHandler

    class Hello(RequestHandler):
        async def get(self):
            await asyncio.sleep(0.5)
            self.write("hello")

    async def main():
        Application([("/", Hello)]).listen(int(sys.argv[1]), "127.0.0.1")
        print("listens", type(asyncio.get_running_loop()).__module__, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


def test_a_program_of_ours_needs_no_tornado(tmp_path, bare):
    """It runs, on our loop, and drains."""
    port = free_port()
    (tmp_path / "app.py").write_text(textwrap.dedent(ALONE))
    command = [sys.executable, "-S", "-m", "tornado_c", "app.py", str(port)]
    environment = {**os.environ, "PYTHONPATH": bare["path"]}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "listens tornado_c._asyncio.eventloop\n"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/")
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.getheader("Connection")) == (200, b"hello", "close")
        connection.close()
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert "Error" not in process.stderr.read()


def test_a_program_for_tornado_says_what_is_missing(tmp_path, bare):
    (tmp_path / "app.py").write_text("import tornado.web\n")
    done = ours("app.py", cwd=tmp_path, **bare)
    assert done.returncode == 1
    assert "No module named 'tornado'" in done.stderr
    assert "pip install 'tornado_c[tornado]'" in done.stderr


def test_a_checkout_that_is_not_built_says_so(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "tornado_c", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    done = run("-c", "from tornado_c import _core", path=str(tmp_path), cwd=tmp_path, interpreter=["-S"])
    assert "pip install -e ." in done.stderr.splitlines()[-1]
    assert "ImportError: " in done.stderr and done.returncode == 1
