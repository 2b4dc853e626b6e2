"""Forking workers (each time in an interpreter of its own) and running programs."""

import asyncio
import logging
import os
import random
import re
import signal
import subprocess
import sys

import pytest
import tornado.process

from support.children import CHILD_ENVIRONMENT, ROOT
from tornado_c import process
from tornado_c.ioloop import IOLoop


@pytest.fixture
def package(implementation):
    return implementation.package


HEAD = """
import logging, os, signal, sys
from {package}.process import fork_processes, task_id
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
signal.alarm(240)  # nothing of this outlives the test for long

def say(text):
    os.write(1, (text + "\\n").encode())

def once(name):
    "Tell whether this is the first process to ask for the name."
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
"""


def run(package, body, folder):
    """Run a program; return its exit status and its output with the pids taken out, sorted."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD.format(package=package) + body],
        cwd=folder,
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = re.sub(r"pid \d+", "pid N", done.stdout).splitlines()
    return done.returncode, sorted(lines), done.stderr


def test_all_exit_normally(package, tmp_path):
    code, lines, err = run(
        package,
        "assert task_id() is None\n"
        "number = fork_processes(3)\n"
        "assert number == task_id()\n"
        "say(f'worker {number}')\n",
        tmp_path,
    )
    assert (code, err) == (0, "")
    assert lines == [
        "tornado.general INFO Starting 3 processes",
        "tornado.general INFO child 0 (pid N) exited normally",
        "tornado.general INFO child 1 (pid N) exited normally",
        "tornado.general INFO child 2 (pid N) exited normally",
        "worker 0",
        "worker 1",
        "worker 2",
    ]


def test_restart(package, tmp_path):
    code, lines, err = run(
        package,
        "number = fork_processes(2)\n"
        "if number == 0 and once('status'):\n"
        "    os._exit(3)\n"
        "if number == 1 and once('signal'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "say(f'worker {task_id()}')\n",
        tmp_path,
    )
    assert (code, err) == (0, "")
    assert lines == [
        "tornado.general INFO Starting 2 processes",
        "tornado.general INFO child 0 (pid N) exited normally",
        "tornado.general INFO child 1 (pid N) exited normally",
        "tornado.general WARNING child 0 (pid N) exited with status 3, restarting",
        "tornado.general WARNING child 1 (pid N) killed by signal 9, restarting",
        "worker 0",
        "worker 1",
    ]


@pytest.mark.parametrize("limit", [0, 2])
def test_too_many_restarts(package, limit, tmp_path):
    code, lines, err = run(
        package,
        "try:\n"
        f"    fork_processes(1, max_restarts={limit})\n"
        "except RuntimeError as e:\n"
        "    say(f'parent: {e}')\n"
        "    os._exit(0)\n"
        "os._exit(5)\n",
        tmp_path,
    )
    assert (code, err) == (0, "")
    exits = [line for line in lines if "exited with status 5, restarting" in line]
    assert len(exits) == limit + 1
    assert "parent: Too many child restarts, giving up" in lines


def test_a_hundred_restarts_by_default(package, tmp_path):
    _, lines, _ = run(
        package,
        "try:\n"
        "    fork_processes(1)\n"
        "except RuntimeError:\n"
        "    say('gave up')\n"
        "    os._exit(0)\n"
        "os._exit(5)\n",
        tmp_path,
    )
    assert len([line for line in lines if "restarting" in line]) == 101
    assert "gave up" in lines


@pytest.mark.parametrize("count", ["None", "0", "-1"])
def test_one_for_each_processor(package, count, tmp_path):
    code, lines, err = run(
        package,
        f"import {package}.process as p\n"
        "p.cpu_count = lambda: 2\n"
        f"say(f'worker {{fork_processes({count})}}')\n",
        tmp_path,
    )
    assert (code, err) == (0, "")
    assert "tornado.general INFO Starting 2 processes" in lines
    assert lines[-2:] == ["worker 0", "worker 1"]


def test_strangers_are_ignored(package, tmp_path):
    """The end of a process that was not forked by the call is not a worker's end."""
    code, lines, err = run(
        package,
        "stranger = os.fork()\nif stranger == 0:\n    os._exit(9)\nsay(f'worker {fork_processes(1)}')\n",
        tmp_path,
    )
    assert (code, err) == (0, "")
    assert not [line for line in lines if "restarting" in line]


def test_each_worker_has_its_own_random_numbers(package, tmp_path):
    _, lines, _ = run(
        package,
        "import random\nrandom.seed(1)\nfork_processes(2)\nsay(f'random {random.random()}')\n",
        tmp_path,
    )
    assert len({line for line in lines if line.startswith("random")}) == 2


def test_a_worker_cannot_fork_workers(package, tmp_path):
    _, lines, err = run(
        package,
        "fork_processes(1)\ntry:\n    fork_processes(1)\nexcept AssertionError:\n    say('refused')\n",
        tmp_path,
    )
    assert "refused" in lines
    assert err == ""


def test_refuses_inside_a_running_loop():
    async def main():
        with pytest.raises(RuntimeError, match="IOLoop instance has already been initialized"):
            process.fork_processes(2)

    asyncio.run(main())


def test_a_loop_that_was_only_made_is_no_obstacle():
    """Programs of 6.x may call IOLoop.current() first: parent and children have descriptors of their own."""
    code = """
import os, signal, socket
from tornado_c.ioloop import IOLoop
from tornado_c.process import fork_processes
signal.alarm(60)
loop = IOLoop.current()
loop.run_sync(lambda: None)
fork_processes(2)
loop = IOLoop.current()
a, b = socket.socketpair()
loop.add_handler(a, lambda fd, events: loop.stop(), loop.READ)
b.send(b"x")
loop.start()
loop.remove_handler(a)
a.close()
b.close()
loop.close()
os.write(1, b"served\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("served\n" * 2, "", 0)


def test_reseed_random():
    random.seed(1)
    first = random.random()
    random.seed(1)
    process._reseed_random()
    assert random.random() != first


class TestCPUCount:
    def test_known(self):
        assert process.cpu_count() == tornado.process.cpu_count()

    def test_unknown(self, implementation, monkeypatch, caplog):
        def unknown(*args):
            raise NotImplementedError

        def invalid(*args):
            raise ValueError

        monkeypatch.setattr("multiprocessing.cpu_count", unknown)
        monkeypatch.setattr("os.sysconf", lambda name: 7)
        assert implementation.process.cpu_count() == 7
        assert not caplog.records
        monkeypatch.setattr("os.sysconf", invalid)
        assert implementation.process.cpu_count() == 1
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("tornado.general", logging.ERROR)
        assert record.getMessage() == "Could not detect number of processors; assuming 1"


class FakeLoop:
    """As much of an IOLoop as Subprocess needs, over a running asyncio loop."""

    def __init__(self):
        self.asyncio_loop = asyncio.get_running_loop()

    def add_callback(self, callback, *args):
        self.asyncio_loop.call_soon(callback, *args)


class TestSubprocess:
    def in_loop(self, scenario):
        async def main():
            io_loop = FakeLoop()
            process.Subprocess.initialize(io_loop)
            try:
                async with asyncio.timeout(30):
                    return await scenario(io_loop)
            finally:
                process.Subprocess.uninitialize()

        return asyncio.run(main())

    def test_exit_callback(self):
        async def scenario(io_loop):
            ended = asyncio.get_running_loop().create_future()
            child = process.Subprocess([sys.executable, "-c", "raise SystemExit(3)"], io_loop=io_loop)
            assert child.returncode is None
            assert child.pid == child.proc.pid
            child.set_exit_callback(ended.set_result)
            assert await ended == 3
            assert (child.returncode, child.proc.returncode) == (3, 3)

        self.in_loop(scenario)

    def test_wait_for_exit(self):
        async def scenario(io_loop):
            def start(code):
                return process.Subprocess([sys.executable, "-c", code], io_loop=io_loop)

            assert await start("pass").wait_for_exit() == 0
            assert await start("raise SystemExit(2)").wait_for_exit(raise_error=False) == 2
            with pytest.raises(process.CalledProcessError) as caught:
                await start("raise SystemExit(2)").wait_for_exit()
            assert caught.value.returncode == 2
            killed = start("import time; time.sleep(60)")
            os.kill(killed.pid, signal.SIGTERM)
            assert await killed.wait_for_exit(raise_error=False) == -signal.SIGTERM

        self.in_loop(scenario)

    def test_already_ended(self):
        async def scenario(io_loop):
            child = process.Subprocess(
                [sys.executable, "-c", "print('x')"], stdout=subprocess.PIPE, io_loop=io_loop
            )
            with child.stdout:
                assert child.stdout.read() == b"x\n"
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            assert await child.wait_for_exit() == 0

        self.in_loop(scenario)

    def test_a_program_that_is_not_there(self, tmp_path):
        async def scenario(io_loop):
            before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else None
            with pytest.raises(FileNotFoundError):
                process.Subprocess([str(tmp_path / "none")], io_loop=io_loop)
            if before is not None:
                assert len(os.listdir("/proc/self/fd")) == len(before)

        self.in_loop(scenario)

    @pytest.mark.parametrize("given", [True, False], ids=["io_loop", "current loop"])
    def test_streams(self, given):
        async def main():
            loop = IOLoop.current()
            stream = process.Subprocess.STREAM
            child = process.Subprocess(
                [sys.executable, "-c", "import sys; sys.stderr.write(sys.stdin.read()); print('out')"],
                stdin=stream,
                stdout=stream,
                stderr=stream,
                **({"io_loop": loop} if given else {}),
            )
            assert {child.stdin.io_loop, child.stdout.io_loop, child.stderr.io_loop} == {loop}
            await child.stdin.write(b"in")
            child.stdin.close()
            # The ends come when the child does: no copy of them is left open here.
            assert await child.stdout.read_until_close() == b"out\n"
            assert await child.stderr.read_until_close() == b"in"
            try:
                return await asyncio.wait_for(child.wait_for_exit(), 30)
            finally:
                process.Subprocess.uninitialize()

        assert asyncio.run(main()) == 0

    def test_initialize_again_after_a_loop_was_closed(self):
        async def main():
            io_loop = FakeLoop()
            process.Subprocess.initialize(io_loop)
            child = process.Subprocess([sys.executable, "-c", "pass"], io_loop=io_loop)
            return await asyncio.wait_for(child.wait_for_exit(), 30)

        try:
            assert asyncio.run(main()) == 0
            assert asyncio.run(main()) == 0
        finally:
            process.Subprocess.uninitialize()
