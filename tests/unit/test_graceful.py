"""python -m tornado_c: SIGTERM answers what is in flight, SIGHUP replaces workers and loses no request."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import tornado_c

ROOT = os.path.dirname(os.path.dirname(tornado_c.__file__))

#: Serves a version that lies in a file, after as many seconds as the query says.
PROGRAM = """
import asyncio, os, signal, sys
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.process import fork_processes, task_id

version = open("version").read()
if version == "broken":
    raise RuntimeError("a program that does not start")

async def answer(request):
    if request.query:
        await asyncio.sleep(float(request.query))
    body = f"{version} {os.getpid()}".encode()
    request.connection.write_headers(
        ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": str(len(body))}), body)
    request.connection.finish()

from tornado.httputil import HTTPHeaders, ResponseStartLine
"""
ONE = """
server = HTTPServer(answer)
server.listen(PORT, "127.0.0.1")
IOLoop.current().start()
print("behind start()", flush=True)
"""
ASYNC = """
async def main():
    HTTPServer(answer).listen(PORT, "127.0.0.1")
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
asyncio.run(main())
print("not reached", flush=True)
"""
OWN_HANDLER = """
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))
HTTPServer(answer).listen(PORT, "127.0.0.1")
IOLoop.current().start()
"""
ACTIVATED = """
from tornado_c.netutil import activated_sockets
sockets = activated_sockets()
assert len(sockets) == 1 and activated_sockets() == []
fork_processes(2)
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""
WORKERS = """
sockets = bind_sockets(PORT, "127.0.0.1") + [bind_unix_socket("socket")]
fork_processes(int(open("workers").read()))
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""


#: Does as a service manager: its argument becomes descriptor 3, and the rest is the program.
LAUNCH_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.execv(sys.argv[2], sys.argv[2:])
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Program:
    """A program under `python -m tornado_c`, in a folder of its own."""

    def __init__(self, folder, body, *options, workers=2, launch=(), fds=(), port=None):
        self.folder, self.port = folder, port or free_port()
        self.write("version", "v1")
        self.write("workers", str(workers))
        self.write("app.py", PROGRAM + body.replace("PORT", str(self.port)))
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [*launch, sys.executable, "-m", "tornado_c", *options, "app.py"],
            cwd=folder,
            pass_fds=fds,
            env={**os.environ, "PYTHONPATH": ROOT},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.until(self.serves)
        if body.endswith(WORKERS):
            self.until(lambda: len(self.workers()) == workers)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def output(self):
        return (self.folder / "log").read_text()

    def until(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, self.output()
            time.sleep(0.02)

    def serves(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def get(self, query=""):
        """(version, process id) that one request got."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/?" + query)
        response = connection.getresponse()
        assert response.status == 200
        version, pid = response.read().decode().split()
        connection.close()
        return version, int(pid), response.getheader("Connection")

    def workers(self):
        """The parent's children."""
        parent = self.process.pid
        with open(f"/proc/{parent}/task/{parent}/children") as children:
            return {int(pid) for pid in children.read().split()}

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self.log.close()


@pytest.fixture
def start(tmp_path):
    programs = []

    def run(body, *options, **more):
        programs.append(Program(tmp_path, body, *options, **more))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


class InFlight(threading.Thread):
    """A request that takes its time."""

    def __init__(self, program, seconds):
        super().__init__(daemon=True)
        self.program, self.seconds, self.answer = program, seconds, None
        self.start()

    def run(self):
        try:
            self.answer = self.program.get(str(self.seconds))
        except OSError as e:
            self.answer = e
        except http.client.HTTPException as e:
            self.answer = e


@pytest.mark.parametrize("body", [ONE, ASYNC], ids=["IOLoop.start", "asyncio.run"])
def test_term_answers_what_is_in_flight(start, body):
    program = start(body)
    slow = InFlight(program, 1)
    idle = socket.create_connection(("127.0.0.1", program.port))
    time.sleep(0.3)
    program.signal(signal.SIGTERM)
    with idle:
        assert idle.recv(1) == b""
    slow.join(30)
    assert slow.answer[0] == "v1"
    assert slow.answer[2] == "close"
    assert program.process.wait(30) == 0
    assert not program.serves()
    said = program.output()
    assert ("behind start()" in said) == (body is ONE)
    assert ("cleaned up" in said) == (body is ASYNC)
    assert "not reached" not in said and "Traceback" not in said


def test_asyncio_run_is_native(start):
    program = start(
        ASYNC.replace("async def main():", "async def main():\n    print(repr(asyncio.get_running_loop()))")
    )
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == 0
    assert "EventLoop" in program.output() and "_UnixSelectorEventLoop" not in program.output()


def test_term_aborts_at_the_deadline(start):
    program = start(ONE, "--drain-timeout", "0.2")
    slow = InFlight(program, 60)
    time.sleep(0.3)
    program.signal(signal.SIGTERM)
    slow.join(30)
    assert isinstance(slow.answer, (OSError, http.client.HTTPException))
    assert program.process.wait(30) == 0


def test_second_term_ends_at_once(start):
    program = start(ONE)
    slow = InFlight(program, 60)
    time.sleep(0.3)
    program.signal(signal.SIGTERM)
    program.until(lambda: not program.serves())
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == -signal.SIGTERM
    slow.join(30)


def test_handler_of_the_application_stays(start):
    program = start(OWN_HANDLER)
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == 7


def test_hangup_ends_a_single_process(start):
    program = start(ONE)
    program.signal(signal.SIGHUP)
    assert program.process.wait(30) == -signal.SIGHUP


def test_handlers_of_the_parent_stay(start):
    body = """
def told(number, frame):
    print("told", signal.Signals(number).name, flush=True)
for number in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, told)
"""
    program = start(body + WORKERS)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        program.signal(number)
        program.until(lambda n=number: f"told {n.name}" in program.output())
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == 0


def test_interrupt_ends_the_parent(start):
    program = start(WORKERS)
    program.signal(signal.SIGINT)
    assert program.process.wait(30) != 0
    assert "KeyboardInterrupt" in program.output()


def test_term_of_the_master_ends_its_workers(start):
    program = start(WORKERS)
    slow = InFlight(program, 1)
    time.sleep(0.3)
    program.signal(signal.SIGTERM)
    slow.join(30)
    assert slow.answer[0] == "v1"
    assert program.process.wait(30) == 0
    assert not program.serves()


def test_killed_worker_is_replaced(start):
    program = start(WORKERS)
    victim = program.get()[1]
    os.kill(victim, signal.SIGKILL)
    program.until(lambda: len(program.workers() - {victim}) == 2)


def test_killed_worker_is_replaced_where_the_application_handles_sigchld(start):
    handler = "signal.signal(signal.SIGCHLD, lambda number, frame: print('a child', flush=True))"
    program = start(handler + WORKERS)
    _, pid, _ = program.get()
    os.kill(pid, signal.SIGKILL)
    program.until(lambda: pid not in program.workers() and len(program.workers()) == 2)
    assert program.get()[0] == "v1"
    assert "a child" in program.output()


def test_hup_replaces_workers(start):
    program = start(WORKERS)
    before = program.workers()
    slow = InFlight(program, 1)
    time.sleep(0.3)
    program.write("version", "v2")
    program.signal(signal.SIGHUP)
    slow.join(30)
    assert slow.answer[0] == "v1"
    program.until(lambda: {program.get()[0] for _ in range(20)} == {"v2"})
    program.until(lambda: not program.workers() & before)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(program.folder / "socket"))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"v2" in client.recv(1000)
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == 0


def test_hup_keeps_sockets_of_a_service_manager(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        launch = [sys.executable, "-c", LAUNCH_ACTIVATED, str(listener.fileno())]
        program = start(ACTIVATED, launch=launch, fds=[listener.fileno()], port=listener.getsockname()[1])
        program.until(lambda: len(program.workers()) == 2)
        for version in ("v2", "broken", "v3"):
            program.write("version", version)
            program.signal(signal.SIGHUP)
            if version == "broken":
                program.until(lambda: "its old workers go on" in program.output())
            else:
                program.until(lambda v=version: {program.get()[0] for _ in range(20)} == {v})
        program.signal(signal.SIGTERM)
        assert program.process.wait(30) == 0


def test_hup_with_other_numbers_of_workers(start):
    program = start(WORKERS, workers=3)
    for count in ("1", "2"):
        program.write("workers", count)
        program.write("version", "w" + count)
        program.signal(signal.SIGHUP)
        program.until(lambda c=count: {program.get()[0] for _ in range(20)} == {"w" + c})
        program.until(lambda c=count: len(program.workers()) == int(c))


def test_hup_twice_in_a_row(start):
    program = start(WORKERS)
    program.write("version", "v2")
    program.signal(signal.SIGHUP)
    time.sleep(0.05)
    program.write("version", "v3")
    program.signal(signal.SIGHUP)
    program.until(lambda: {program.get()[0] for _ in range(20)} == {"v3"})


def test_program_that_fails_to_start_leaves_the_old_workers(start):
    program = start(WORKERS)
    before = program.workers()
    program.write("version", "broken")
    program.signal(signal.SIGHUP)
    program.until(lambda: "its old workers go on" in program.output())
    assert "a program that does not start" in program.output()
    assert program.workers() == before
    program.write("version", "v3")
    program.signal(signal.SIGHUP)
    program.until(lambda: {program.get()[0] for _ in range(20)} == {"v3"})
    program.write("version", "broken")
    program.signal(signal.SIGHUP)
    program.until(lambda: program.output().count("its old workers go on") == 2)
    program.signal(signal.SIGTERM)
    assert program.process.wait(30) == 0
    assert not program.serves()


def test_no_request_fails_through_a_reload(start):
    wrk = shutil.which("wrk")
    if wrk is None:
        pytest.skip("wrk is not installed")
    program = start(WORKERS)
    load = subprocess.Popen(
        [wrk, "-t1", "-c16", "-d4s", f"http://127.0.0.1:{program.port}/"], stdout=subprocess.PIPE, text=True
    )
    for version in ("v2", "v3"):
        time.sleep(1)
        program.write("version", version)
        program.signal(signal.SIGHUP)
    report = load.communicate(timeout=60)[0]
    assert int(re.search(r"(\d+) requests in", report)[1]) > 100
    assert "Non-2xx" not in report
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    assert errors is None, report
    program.until(lambda: {program.get()[0] for _ in range(20)} == {"v3"})
