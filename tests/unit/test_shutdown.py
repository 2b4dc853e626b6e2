"""python -m tornado_c: SIGTERM answers what is in flight, once, and leaves nothing behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.children import CHILD_ENVIRONMENT
from support.graceful_programs import (
    ASYNC,
    IMPATIENT,
    IN_A_THREAD,
    ONE,
    PATIENCE,
    WORKERS,
    children_of,
    has_read,
)
from support.live_http import wait_for

OWN_HANDLER = """
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))
HTTPServer(answer).listen(PORT, "127.0.0.1")
IOLoop.current().start()
"""
ECHO = """
from tornado.tcpserver import TCPServer
class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        while True:
            await stream.write(await stream.read_until(b"\\n"))

Echo().listen(PORT, "127.0.0.1")
IOLoop.current().start()
"""
WEBSOCKET = """
import tornado.web, tornado.websocket
class Talk(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        print("heard", message, flush=True)

tornado.web.Application([("/", Talk)]).listen(PORT, "127.0.0.1")
IOLoop.current().start()
"""
PROXY = """
HTTPServer(answer, proxy_protocol=True, trusted_proxies=["127.0.0.1"]).listen(PORT, "127.0.0.1")
IOLoop.current().start()
"""
IGNORING_SIGCHLD = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


# ---- a single process ----


@pytest.mark.parametrize("body", [ONE, ASYNC], ids=["IOLoop.start", "asyncio.run"])
def test_term_answers_what_is_in_flight(start, body):
    program = start(body)
    (slow,) = program.handling("go")
    idle = program.idle()
    program.signal(signal.SIGTERM)
    program.drains(idle)
    program.release("go")
    assert slow.done()[0] == "v1"
    assert slow.answer[2] == "close"
    program.ends()
    said = program.output()
    assert ("behind start()" in said) == (body is ONE)
    assert ("cleaned up" in said) == (body is ASYNC)
    assert "not reached" not in said and "Traceback" not in said


def test_asyncio_run_is_native(start):
    program = start(
        ASYNC.replace("async def main():", "async def main():\n    print(repr(asyncio.get_running_loop()))")
    )
    program.get()
    program.signal(signal.SIGTERM)
    program.ends()
    assert "EventLoop" in program.output() and "_UnixSelectorEventLoop" not in program.output()


def test_term_aborts_at_the_deadline(start):
    program = start(ONE, "--drain-timeout", "0.2")
    (slow,) = program.handling("never")
    program.signal(signal.SIGTERM)
    assert isinstance(slow.done(), (OSError, http.client.HTTPException))
    program.ends()


def test_second_term_ends_at_once(start):
    program = start(ONE)
    (slow,) = program.handling("never")
    program.signal(signal.SIGTERM)
    program.until(lambda: not program.serves())
    program.signal(signal.SIGTERM)
    program.ends(-signal.SIGTERM)
    slow.done()


@pytest.mark.parametrize("body", [ONE, ASYNC, WORKERS], ids=["IOLoop.start", "asyncio.run", "several"])
def test_an_interrupt_shows_the_application(start, body):
    program = start(body)
    program.get()
    program.until(program.rests)  # the function that answers has returned
    program.signal(signal.SIGINT)
    program.ends(-signal.SIGINT)
    said = program.output()
    assert "app.py" in said and "KeyboardInterrupt" in said
    assert "tornado_c" not in said and "runpy" not in said, said


@pytest.mark.parametrize("code", ["def fail():\n    import json\n    json.loads('x')\nfail()\n", "def f(:\n"])
def test_an_error_of_the_application_shows_the_application(tmp_path, code):
    (tmp_path / "app.py").write_text(code)
    command = [sys.executable, "-m", "tornado_c", "app.py"]
    env = CHILD_ENVIRONMENT
    ours, plain = (
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        for command in (command, [sys.executable, str(tmp_path / "app.py")])
    )
    assert (ours.returncode, ours.stderr) == (1, plain.stderr)


def test_handler_of_the_application_stays(start):
    program = start(OWN_HANDLER)
    program.signal(signal.SIGTERM)
    program.ends(7)


@pytest.mark.parametrize("wait", ["thread.join()", "while True: time.sleep(3600)"], ids=["joined", "daemon"])
def test_term_with_the_loop_in_a_thread(start, wait):
    program = start(IN_A_THREAD.replace("WAIT", wait))
    (slow,) = program.handling("go")
    program.signal(signal.SIGTERM)
    program.until(lambda: not program.serves())
    program.release("go")
    assert slow.done()[0] == "v1"
    program.ends()
    assert "Traceback" not in program.output()


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_a_limit_that_is_none(text):
    command = [sys.executable, "-m", "tornado_c", f"--drain-timeout={text}", "app.py"]
    done = subprocess.run(command, env=CHILD_ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--drain-timeout" in done.stderr and "Traceback" not in done.stderr


# ---- connections that are no longer, or never were, HTTP ----


def test_streams_of_a_tcp_server_go_on(start):
    program = start(ECHO)
    with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as client:
        client.sendall(b"one\n")
        assert client.recv(10) == b"one\n"
        program.signal(signal.SIGTERM)
        program.until(lambda: not program.serves())
        client.sendall(b"two\n")
        assert client.recv(10) == b"two\n"
        assert program.process.poll() is None
    program.ends()


def test_streams_are_cut_at_the_deadline(start):
    program = start(ECHO, "--drain-timeout=0.3")
    with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as client:
        client.sendall(b"one\n")
        assert client.recv(10) == b"one\n"
        program.signal(signal.SIGTERM)
        assert client.recv(10) == b""
    program.ends()


def test_websockets_are_told_and_what_they_send_before_they_know_is_served(start):
    program = start(WEBSOCKET)
    with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        program.signal(signal.SIGTERM)
        assert client.recv(1000) == b"\x88\x02\x03\xe9"  # 1001, "going away"
        client.sendall(b"\x81\x82\0\0\0\0hi" + b"\x88\x82\0\0\0\0\x03\xe9")
        assert client.recv(1000) == b""
    program.ends()
    assert "heard hi" in program.output()


def test_a_connection_whose_proxy_head_is_under_way(start):
    program = start(PROXY)
    with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as client:
        client.sendall(b"PROXY TCP4 ")
        program.until(lambda: has_read(client))
        program.signal(signal.SIGTERM)
        program.until(lambda: not program.serves())
        client.sendall(b"10.1.1.1 10.1.1.2 5 6\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with client.makefile("rb") as answer:
            assert b"v1 " in answer.read()
    program.ends()


# ---- several processes ----


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
        program.says(f"told {number.name}")
    program.signal(signal.SIGTERM)
    program.ends()


@pytest.mark.parametrize("whom", ["master", "group"])
def test_term_ends_all(start, whom):
    """systemd, supervisor and others tell the whole group, so that workers hear of it twice."""
    program = start(WORKERS)
    slow = program.handling("go", 8)
    idle = program.idle()
    (program.signal if whom == "master" else program.signal_group)(signal.SIGTERM)
    program.drains(idle)
    program.until(lambda: not program.serves())  # who comes now need not wait for the end
    program.release("go")
    assert [request.done()[0] for request in slow] == ["v1"] * 8
    program.ends()


def test_term_to_the_group_reaches_retiring_workers(start):
    program = start(WORKERS)
    slow = program.handling("go", 4)
    before = program.workers()
    program.load("v2")
    program.becomes("v2")
    slow += program.handling("go", 4)
    idle = program.idle(program.workers() - before)
    program.signal_group(signal.SIGTERM)
    program.drains(idle)
    program.release("go")
    answers = [request.done()[0] for request in slow]
    assert answers[:4] == ["v1"] * 4
    assert set(answers[4:]) <= {"v1", "v2"}  # an old worker may be there yet
    program.ends()


@pytest.mark.parametrize("whom", ["master", "group"])
def test_a_later_term_hurries(start, whom):
    program = start(IMPATIENT + WORKERS)
    slow = program.handling("never")
    idle = program.idle()
    tell = program.signal if whom == "master" else program.signal_group
    tell(signal.SIGTERM)
    program.drains(idle)
    assert program.process.poll() is None
    tell(signal.SIGTERM)
    program.ends()
    assert not isinstance(slow[0].done(), tuple)


def test_workers_end_with_their_master(start):
    program = start(WORKERS)
    slow = program.handling("go", 4)
    program.signal(signal.SIGKILL)
    program.process.wait(PATIENCE)
    program.release("go")
    assert [request.done()[0] for request in slow] == ["v1"] * 4
    program.ends(-signal.SIGKILL)


def test_workers_may_outlive_their_master(start):
    program = start(WORKERS, "--keep-orphans")
    workers = program.workers()
    program.signal(signal.SIGKILL)
    program.process.wait(PATIENCE)
    # Each hears of the end before the request that comes then.
    answers = set()

    def all_have_answered():
        answers.add(program.get())
        return {pid for _, pid, _ in answers} >= workers

    wait_for(all_have_answered)
    assert {persists for *_, persists in answers} == {None}
    assert program.everybody() == workers


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_stopped_alone_is_replaced(start, workers):
    program = start(WORKERS, workers=workers)
    slow = program.handling("go", 2 * workers)
    victim = min(program.workers())
    os.kill(victim, signal.SIGTERM)
    program.until(lambda: len(program.workers() - {victim}) == workers)
    program.until(lambda: program.get()[1] != victim)
    program.release("go")
    assert [request.done()[0] for request in slow] == ["v1"] * 2 * workers
    program.until(lambda: victim not in program.workers())
    program.signal(signal.SIGTERM)
    program.ends()


def test_killed_worker_is_replaced(start):
    program = start(WORKERS)
    victim = program.get()[1]
    os.kill(victim, signal.SIGKILL)
    program.until(lambda: len(program.workers() - {victim}) == 2)


@pytest.mark.parametrize(
    "handler",
    ["lambda number, frame: print('a child', flush=True)", "lambda number, frame: os.waitpid(-1, 0)"],
    ids=["looks", "reaps"],
)
def test_killed_worker_is_replaced_where_the_application_handles_sigchld(start, handler):
    program = start(f"signal.signal(signal.SIGCHLD, {handler})\n" + WORKERS)
    _, pid, _ = program.get()
    os.kill(pid, signal.SIGKILL)
    program.until(lambda: pid not in program.workers() and len(program.workers()) == 2)
    assert program.get()[0] == "v1"


def test_sigchld_that_was_ignored_at_the_start(start):
    program = start(WORKERS, launch=[sys.executable, "-c", IGNORING_SIGCHLD])
    victim = program.get()[1]
    os.kill(victim, signal.SIGKILL)
    program.until(lambda: len(program.workers() - {victim}) == 2)
    program.signal(signal.SIGTERM)
    program.ends()


def test_a_worker_that_hangs_is_killed(start):
    program = start(IMPATIENT + WORKERS, "--drain-timeout=1")
    with socket.create_connection(("127.0.0.1", program.port)) as client:
        client.sendall(b"GET /stuck?never HTTP/1.1\r\nHost: a\r\n\r\n")
        program.says("handling")
        program.signal(signal.SIGTERM)
        program.ends()
    assert "does not end, killing it" in program.output()


def test_what_workers_start_hears_of_hangups(start):
    sleeper = 'import subprocess; subprocess.Popen(["sleep", "1000"])'
    program = start(WORKERS.replace("server = ", sleeper + "\nserver = "), workers=1)
    (worker,) = program.workers()
    # Until it is that program a signal would meet the worker's own handler.
    program.until(
        lambda: {Path(f"/proc/{pid}/comm").read_text() for pid in children_of(worker)} == {"sleep\n"}
    )
    (child,) = children_of(worker)
    os.kill(worker, signal.SIGHUP)
    os.kill(child, signal.SIGHUP)
    program.until(lambda: child not in program.everybody())
    assert program.get()[1] == worker
