"""python -m tornado_c: a new program that is no good is not given the old one's place."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig

import pytest

import tornado_c
from support.children import ROOT
from support.graceful_programs import ONE, PATIENCE, PROGRAM, WORKERS, Counting, Program

#: Fails after the fork, where the version says so.
FAILING_WORKERS = """
sockets = bind_sockets(PORT, "127.0.0.1")
fork_processes(int(open("workers").read()))
if version == "raises":
    raise RuntimeError("a worker that does not start")
if version == "exits":
    sys.exit(0)
server = HTTPServer(answer)

async def main():
    server.add_sockets(sockets)
    if version == "raises-later":
        await asyncio.sleep(0.1)
        raise RuntimeError("a worker that does not start")
    if version == "second-raises" and task_id() == 1:
        raise RuntimeError("a worker that does not start")
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def start(tmp_path):
    programs = []

    def run(body, *options, **more):
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        programs.append(Program(folder, body, *options, **more))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


def goes_on(program, before):
    """The old program serves as before, and a good one can be loaded still."""
    assert program.workers() == before
    assert program.get()[0] == "v1"


def test_program_that_fails_to_start_leaves_the_old_workers(start):
    program = start(WORKERS)
    before = program.workers()
    program.load("broken")
    program.says("its old workers go on")
    assert "a program that does not start" in program.output()
    goes_on(program, before)
    program.load("v3")
    program.becomes("v3")
    program.load("broken")
    program.says("its old workers go on", 2)
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("", ""),
        ("import os; os._exit(0)", ""),
        ("import sys; sys.exit(0)", ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ""),
        ("this is no Python", "SyntaxError"),
        (None, "can't open file"),
    ],
    ids=["empty", "os._exit", "sys.exit", "crashes", "syntax", "missing"],
)
def test_program_that_is_none(start, script, why):
    program = start(WORKERS)
    before = program.workers()
    counting = Counting(program, 2)
    if script is None:
        (program.folder / "app.py").unlink()
    else:
        program.write("app.py", script)
    program.signal(signal.SIGHUP)
    program.says("its old workers go on")
    assert why in program.output()
    goes_on(program, before)
    os.kill(min(before), signal.SIGKILL)  # they are ruled still
    program.until(lambda: len(program.workers() - {min(before)}) == 2)
    program.write_app(WORKERS)
    program.load("v2")
    program.becomes("v2")
    assert not [lost for lost in counting.lost if "reset" not in lost and "without" not in lost]
    program.signal(signal.SIGTERM)
    program.ends()


def test_package_that_does_not_load(start, tmp_path):
    program = start(WORKERS, PYTHONPATH=os.pathsep.join([str(tmp_path), ROOT]))
    before = program.workers()
    broken = tmp_path / "tornado_c.py"
    broken.write_text("raise ImportError('a broken installation')")
    program.load("v2")
    program.says("its old workers go on")
    goes_on(program, before)
    broken.unlink()
    program.load("v3")
    program.becomes("v3")
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize("body", [WORKERS, ONE], ids=["several", "single"])
def test_interpreter_that_is_gone(start, tmp_path, body):
    python = tmp_path / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    path = os.pathsep.join([ROOT, sysconfig.get_paths()["purelib"]])
    program = start(body, python=str(python), PYTHONPATH=path, PYTHONHOME=sys.base_prefix)
    before = program.workers()
    python.unlink()
    program.load("v2")
    program.says("SIGHUP tries again")
    goes_on(program, before)
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize("body", [WORKERS, ONE], ids=["several", "single"])
def test_folder_that_is_gone(start, body):
    program = start(body)
    before = program.workers()
    shutil.rmtree(program.folder)
    program.signal(signal.SIGHUP)
    program.until(lambda: "SIGHUP tries again" in os.pread(program.log.fileno(), 100_000, 0).decode())
    goes_on(program, before)
    program.folder.mkdir()
    (program.folder / "log").touch()
    program.write("workers", "2")
    program.write_app(body)
    program.load("v2")
    program.becomes("v2")
    program.signal(signal.SIGTERM)
    program.ends()


def test_folder_that_is_renamed(start):
    program = start(WORKERS)
    program.folder = program.folder.rename(program.folder.with_name("renamed"))
    program.load("v2")
    program.becomes("v2")
    program.signal(signal.SIGTERM)
    program.ends()


def test_releases_behind_a_link(start, tmp_path):
    """`cd current; python -m tornado_c app.py`, and `current` is another release by now."""
    link = tmp_path / "current"
    link.symlink_to("folder")
    program = start(WORKERS, cwd=link, PWD=str(link))
    release = tmp_path / "release2"
    shutil.copytree(program.folder, release, ignore=shutil.ignore_patterns("socket"))
    program.folder = release
    program.write("version", "v2")
    link.unlink()
    link.symlink_to("release2")
    shutil.rmtree(tmp_path / "folder")
    program.signal(signal.SIGHUP)
    program.becomes("v2")
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize("version", ["raises", "exits", "raises-later"])
def test_workers_that_fail_after_the_fork(start, version):
    program = start(FAILING_WORKERS)
    before = program.workers()
    counting = [Counting(program), Counting(program, query="0.05", persist=False)]
    for times in (1, 2):
        program.load(version)
        program.says("the old ones go on", times)
        goes_on(program, before)
    program.load("v2")
    program.becomes("v2")
    for each in counting:
        each.end()
    program.signal(signal.SIGTERM)
    program.ends()


def test_the_roll_out_stops_where_a_worker_fails(start):
    program = start(FAILING_WORKERS, workers=3)
    before = program.workers()
    counting = Counting(program)
    program.load("second-raises")
    program.says("the old ones go on")
    program.until(lambda: len(program.workers()) == 3)
    assert len(program.workers() & before) == 2
    victim = min(program.workers() - before)
    os.kill(victim, signal.SIGTERM)
    program.until(lambda: len(program.workers() - before - {victim}) == 1)
    program.load("v2")
    program.becomes("v2")
    program.until(lambda: len(program.workers()) == 3)
    counting.end()
    program.signal(signal.SIGTERM)
    program.ends()


def test_the_second_run_may_fail_too(start):
    """The program was tried and is good, but fails when it counts."""
    program = start(WORKERS)
    before = program.workers()
    once = "import os\nif os.path.exists('once'): raise RuntimeError('again')\nopen('once', 'w').close()\n"
    program.write_app(WORKERS, once + PROGRAM)
    program.load("v2")
    program.says("its old workers go on")
    goes_on(program, before)
    os.unlink(program.folder / "once")
    program.write_app(WORKERS)
    program.load("v3")
    program.becomes("v3")
    program.signal(signal.SIGTERM)
    program.ends()


def test_term_during_a_trial_leaves_nothing(start):
    program = start(WORKERS)
    program.write("app.py", "import time; open('tried', 'w').close(); time.sleep(1000)")
    program.signal(signal.SIGHUP)
    program.until((program.folder / "tried").exists)
    assert program.get()[0] == "v1"
    program.signal(signal.SIGTERM)
    program.ends()


def test_kill_during_a_trial_leaves_nothing(start):
    program = start(WORKERS)
    program.write("app.py", "import time; open('tried', 'w').close(); time.sleep(1000)")
    program.signal(signal.SIGHUP)
    program.until((program.folder / "tried").exists)
    program.signal(signal.SIGKILL)
    program.ends(-signal.SIGKILL)


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[]",
        "{}",
        "5",
        "null",
        '{"pid": PID}',
        '{"pid": "x", "trial": -1}',
        '{"pid": PID, "trial": -1, "notes": -1, "workers": 5, "sockets": [], "activated": []}',
        '{"pid": PID, "trial": -1, "notes": -1, "workers": [[1]], "sockets": [], "activated": []}',
        '{"pid": PID, "trial": -1, "notes": 99, "workers": [[0, 1, 9, null]], '
        '"sockets": [0, 99], "activated": [2]}',
    ],
)
def test_garbage_in_the_variable(text):
    code = (
        f"import os; text = {text!r}.replace('PID', str(os.getpid()))\n"
        "os.environ['TORNADO_C_HANDOVER'] = text\n"
        "import tornado_c.netutil, sys\n"
        "assert 'TORNADO_C_HANDOVER' not in os.environ\n"
        "from tornado_c._workers import handover\n"
        "assert handover.predecessors() == [] and os.fstat(0) and os.fstat(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_variable_that_is_an_ancestors():
    left = {"pid": os.getpid(), "trial": -1, "notes": -1, "workers": [], "sockets": [], "activated": []}
    env = {**os.environ, "TORNADO_C_HANDOVER": json.dumps(left)}
    code = "from tornado_c._workers import handover; assert not handover.succeeds"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert tornado_c


def test_a_fork_that_fails_is_tried_again(start):
    """The system is out of processes for a while."""
    failing = """
fork = os.fork
def sometimes():
    if os.path.exists("full"):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = sometimes
"""
    program = start(failing + WORKERS)
    victim = min(program.workers())
    program.write("full", "")
    os.kill(victim, signal.SIGKILL)
    program.says("Cannot start child")
    (program.folder / "full").unlink()
    program.until(lambda: len(program.workers() - {victim}) == 2)
    program.signal(signal.SIGTERM)
    program.ends()
