"""python -m tornado_c: SIGHUP has a program loaded anew. Nothing is lost, nothing is left behind."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from support.graceful_programs import (
    ASYNC,
    IMPATIENT,
    IN_A_THREAD,
    ONE,
    PATIENCE,
    QUICK,
    WORKERS,
    Counting,
    free_port,
)

ACTIVATED = (
    QUICK
    + """
from tornado_c.netutil import activated_sockets
sockets = activated_sockets()
assert len(sockets) == 1 and activated_sockets() == []
fork_processes(2)
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""
)
#: Does as a service manager: its argument becomes descriptor 3, and the rest is the program.
LAUNCH_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.execv(sys.argv[2], sys.argv[2:])
"""
WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.close(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
#: As many processes as the file says; 0: it serves alone.
ANY_NUMBER = (
    QUICK
    + """
sockets = bind_sockets(PORT, "127.0.0.1")
number = int(open("workers").read())
if number:
    fork_processes(number)
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""
)
TWO_PORTS = (
    QUICK
    + """
ports = [PORT] + ([SECOND] if version in ("v1", "v3") else [])
sockets = [sock for port in ports for sock in bind_sockets(port, "127.0.0.1")]
number = int(open("workers").read())
if number:
    fork_processes(number)
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""
)
DELEGATES = """
class Overridden(HTTPServer):
    def start_request(self, server_conn, request_conn):
        return super().start_request(server_conn, request_conn)
HTTPServer = Overridden
"""
HANDLERS = """
import tornado_c.web
class Main(tornado_c.web.RequestHandler):
    async def get(self):
        if self.request.query:
            await asyncio.sleep(float(self.request.query))
        self.write(f"{version} {os.getpid()}")
answer = tornado_c.web.Application([("/.*", Main)])
"""


# ---- several processes ----


def test_hup_replaces_workers(start):
    program = start(WORKERS)
    before = program.workers()
    (slow,) = program.handling("go")
    program.load("v2")
    program.becomes("v2")
    program.release("go")
    assert slow.done()[0] == "v1"
    program.until(lambda: not program.workers() & before)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(program.folder / "socket"))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"v2" in client.recv(1000)
    program.signal(signal.SIGTERM)
    program.ends()


def test_hup_keeps_sockets_of_a_service_manager(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        launch = [sys.executable, "-c", LAUNCH_ACTIVATED, str(listener.fileno())]
        program = start(ACTIVATED, launch=launch, fds=[listener.fileno()], port=listener.getsockname()[1])
        program.until(lambda: len(program.workers()) == 2)
        for version in ("v2", "broken", "v3"):
            program.load(version)
            if version == "broken":
                program.says("its old workers go on")
            else:
                program.becomes(version)
        program.signal(signal.SIGTERM)
        assert program.process.wait(PATIENCE) == 0


def test_hup_with_other_numbers_of_workers(start):
    program = start(WORKERS, workers=3)
    for count in ("1", "2"):
        program.write("workers", count)
        program.load("w" + count)
        program.becomes("w" + count)
        program.until(lambda c=count: len(program.workers()) == int(c))


def test_hup_twice_in_a_row(start):
    program = start(WORKERS)
    program.load("v2")
    program.says("loads v2")
    program.load("v3")
    program.becomes("v3")


def test_many_hups_to_a_master_with_threads(start):
    """Any thread may get the signal, at any time: it is only noted there."""
    threads = "for _ in range(4): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    program = start(threads + WORKERS)
    for number in range(150):
        program.write("version", f"v{number}")
        program.signal(signal.SIGHUP)
        time.sleep(0.005)
    program.becomes("v149")
    program.until(lambda: len(program.workers()) == 2)
    program.signal(signal.SIGTERM)
    program.ends()


def test_drains_overlap(start):
    """Old workers that take their time do not keep the next ones from being replaced."""
    program = start(IMPATIENT + WORKERS, workers=3)
    before = program.workers()
    connections = {}  # to as many workers as there are

    def reach_another():
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE)
        connection.request("GET", "/")
        pid = int(connection.getresponse().read().split()[1])
        connections.setdefault(pid, connection)
        if connections[pid] is not connection:
            connection.close()
        return len(connections) == 3

    program.until(reach_another)
    for connection in connections.values():
        connection.request("GET", "/?never")
    program.says("handling", 3)
    program.load("v2")
    program.becomes("v2")
    program.until(lambda: len(program.workers() - before) == 3)
    assert program.workers() >= before
    idle = program.idle(program.workers() - before)
    program.signal_group(signal.SIGTERM)
    program.drains(idle)
    program.signal_group(signal.SIGTERM)
    program.ends()
    for connection in connections.values():
        connection.close()


def test_workers_that_start_slowly_are_waited_for(start):
    slowly = WORKERS.replace(
        "server = ", "while version == 'slow' and not os.path.exists('go'): pass\nserver = "
    )
    program = start(slowly)
    before = program.workers()
    program.load("slow")
    program.until(lambda: program.workers() - before)
    assert {program.get()[0] for _ in range(20)} == {"v1"}
    assert before <= program.workers()
    program.release("go")
    program.becomes("slow")


def test_a_new_worker_knows_nothing_of_old_ones(start):
    """One that is told to hurry does not tell those on."""
    program = start(IMPATIENT + WORKERS)
    slow = program.handling("go", 4)
    before = program.workers()
    program.load("v2")
    program.becomes("v2")
    new = program.workers() - before
    more = program.handling("never", 4)

    def all_have_ended():
        for pid in new:
            with contextlib.suppress(ProcessLookupError):  # it has ended, or no request came to it
                os.kill(pid, signal.SIGTERM)
        return not new & program.workers()

    program.until(all_have_ended)
    program.release("go")
    assert [request.done()[0] for request in slow] == ["v1"] * 4
    assert not any(isinstance(request.done(), tuple) for request in more)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_port_that_was_given_up_is_closed(start, workers):
    second = free_port()
    program = start(TWO_PORTS.replace("SECOND", str(second)), workers=workers)
    program.until(lambda: program.serves(second))
    for version, serves in (("v2", False), ("v3", True)):
        program.load(version)
        program.becomes(version)
        program.until(lambda s=serves: program.serves(second) == s)
    program.signal(signal.SIGTERM)
    program.ends()


def test_from_several_processes_to_one_and_back(start):
    program = start(ANY_NUMBER)
    program.until(lambda: len(program.workers()) == 2)
    slow = program.handling("go", 4)
    counting = Counting(program)
    for workers in (0, 2, 0):
        program.write("workers", str(workers))
        program.load(f"w{workers}")
        program.becomes(f"w{workers}")
        if workers == 0:
            assert program.get()[1] == program.process.pid
            program.release("go")
        program.until(lambda w=workers: len(program.workers()) == w)
    assert [request.done()[0] for request in slow] == ["v1"] * 4
    counting.end()
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize("at_once", [False, True])
def test_one_process_ends_its_predecessors_too(start, at_once):
    program = start(ANY_NUMBER)
    program.until(lambda: len(program.workers()) == 2)
    slow = program.handling("go", 4)
    program.write("workers", "0")
    program.load("alone")
    if at_once:
        program.until(lambda: program.get()[0] == "alone")
    else:
        program.becomes("alone")
    program.signal(signal.SIGTERM)
    program.until(lambda: not program.serves())
    program.release("go")
    assert [request.done()[0] for request in slow] == ["v1"] * 4
    program.ends()


# ---- nothing is lost ----


def test_no_request_fails_through_a_reload(start):
    wrk = shutil.which("wrk")
    if wrk is None:
        pytest.skip("wrk is not installed")
    program = start(WORKERS)
    load = subprocess.Popen(
        [wrk, "-t1", "-c16", "-d60s", f"http://127.0.0.1:{program.port}/"], stdout=subprocess.PIPE, text=True
    )
    for version in ("v2", "v3"):
        program.load(version)
        program.becomes(version)
    load.send_signal(signal.SIGINT)
    report = load.communicate(timeout=PATIENCE)[0]
    assert int(re.search(r"(\d+) requests in", report)[1]) > 100
    assert "Non-2xx" not in report
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    assert errors is None, report


@pytest.mark.parametrize("query", ["", "0.01"], ids=["at once", "later"])
@pytest.mark.parametrize("way", ["", DELEGATES, HANDLERS], ids=["callback", "delegates", "handlers"])
def test_no_promise_of_keep_alive_is_broken(start, way, query):
    program = start(way + WORKERS)
    counting = Counting(program, connections=3, query=query, pause=0.001)
    for number in range(2):
        program.load(f"n{number}")
        program.until(lambda n=number: f"n{n}" in counting.versions)
    program.becomes("n1")
    counting.end()
    program.signal(signal.SIGTERM)
    program.ends()


# ---- a single process ----


@pytest.mark.parametrize("body", [ONE, ASYNC], ids=["IOLoop.start", "asyncio.run"])
def test_hup_to_a_single_process(start, body):
    program = start(body)
    counting = Counting(program)
    for version, name in (("v2", "one"), ("v3", "other")):
        (slow,) = program.handling(name)
        program.load(version)
        program.says(f"loads {version}")
        program.release(name)
        assert slow.done()[0] != version
        program.becomes(version)
    assert program.get()[1] == program.process.pid
    assert program.everybody() == {program.process.pid}
    counting.end()
    said = program.output()
    assert (said.count("behind start()") == 2) == (body is ONE)
    assert (said.count("cleaned up") == 2) == (body is ASYNC)
    program.signal(signal.SIGTERM)
    program.ends()


def test_hup_with_the_loop_in_a_thread(start):
    program = start(IN_A_THREAD.replace("WAIT", "thread.join()"))
    counting = Counting(program)
    for version in ("v2", "v3"):
        program.load(version)
        program.becomes(version)
    counting.end()
    program.signal(signal.SIGTERM)
    program.ends()


def test_hup_to_a_single_process_whose_program_is_broken(start):
    program = start(ONE)
    counting = Counting(program)
    program.load("broken")
    program.says("SIGHUP tries again")
    assert program.get()[0] == "v1"
    program.load("v2")
    program.becomes("v2")
    counting.end()


def test_term_while_a_single_process_reloads(start):
    program = start(ONE)
    (slow,) = program.handling("go")
    program.load("v2")
    program.says("loads v2")
    program.until(lambda: not program.workers())  # it was tried, and is good
    program.signal(signal.SIGTERM)
    program.release("go")
    assert slow.done()[0] == "v1"
    program.ends()


@pytest.mark.parametrize("body", [ONE, WORKERS], ids=["single", "several"])
def test_a_terminal_that_is_gone(start, body):
    """That is a SIGHUP, too, but nobody wants the program loaded anew."""
    master, slave = os.openpty()
    program = start(body, launch=[sys.executable, "-c", WITH_TERMINAL, str(slave)], fds=[slave])
    os.close(slave)
    (slow,) = program.handling("go")
    idle = program.idle()
    os.close(master)
    program.drains(idle)
    program.release("go")
    assert slow.done()[0] == "v1"
    program.ends()


def test_hup_before_there_is_a_server(tmp_path):
    """It ends a program that serves nobody, as without us."""
    (tmp_path / "app.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(1000)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "tornado_c", "app.py"], cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == -signal.SIGHUP
