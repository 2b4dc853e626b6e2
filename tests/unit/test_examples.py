"""Runs each program of examples/ as a person would, on a free port, and talks to it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from support.children import CHILD_ENVIRONMENT, EXAMPLES
from support.live_http import PATIENCE, Client
from support.live_ws import Peer, close, text
from support.ports import free_port

WITH_WEB = ["hello_handler", "startup_listen", "startup_bind_start", "startup_add_sockets"]
WITH_WEB += ["startup_reuse_port"]
CORES = os.cpu_count() or 1


@contextlib.contextmanager
def running(program, option="", body="", processes=False):
    """The port of a running example; at the end SIGTERM goes to its whole group, and all of it ends."""
    port = free_port()
    command = [sys.executable, "-c", body] if body else [sys.executable, str(EXAMPLES / f"{program}.py")]
    process = subprocess.Popen(
        [*command, f"{option}{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=os.sep,
        env=CHILD_ENVIRONMENT,
    )
    assert process.stdout is not None
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), Client(("127.0.0.1", port)):
                break
            assert process.poll() is None, process.stdout.read().decode()
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.01)
        yield port
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)  # ends when the last process has closed the pipe
        assert b"Traceback" not in output, output.decode()
        assert process.returncode in (-signal.SIGTERM, 0, 143) or processes
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def get(port, path="/"):
    with Client(("127.0.0.1", port)) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head, _, body = client.rest().partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode(), body.decode()


def several_answers(port, pattern):
    """What the processes of the example call themselves; asks until two have answered."""
    seen = set()
    end = time.monotonic() + PATIENCE
    while len(seen) < min(2, CORES):
        assert time.monotonic() < end, seen
        with contextlib.ExitStack() as stack:  # at once, so that one process does not get them all
            clients = [stack.enter_context(Client(("127.0.0.1", port))) for _ in range(20)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            for client in clients:
                answer = client.rest().decode()
                assert answer.startswith("HTTP/1.1 200 OK\r\n"), answer
                seen.add(re.search(pattern, answer)[1])
    return seen


def test_echo_callback():
    with running("echo_callback") as port:
        assert get(port, "/any/path?x=1") == ("HTTP/1.1 200 OK", "You requested /any/path?x=1\n")
        with Client(("127.0.0.1", port)) as client:
            for i in range(3):
                path = f"/{i}"
                assert client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).answer() == (
                    b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
                    f"You requested {path}\n".encode(),
                )


def test_tcp_line_server():
    with running("tcp_line_server") as port, Client(("127.0.0.1", port)) as client:
        assert client.until(b"\n") == b"Hello 127.0.0.1, say something\n"
        assert client.send("grüß dich\n".encode()).until(b"\n").decode() == "GRÜSS DICH\n"
        assert client.send(b"one\r\ntwo\n").until(b"TWO\n") == b"ONE\nTWO\n"
        assert client.send(b"\n").rest() == b""


def test_hello_handler():
    with running("hello_handler", "--port=") as port:
        assert get(port) == ("HTTP/1.1 200 OK", "Hello, world")
        assert get(port, "/none")[0] == "HTTP/1.1 404 Not Found"


def test_startup_listen():
    with running("startup_listen") as port:
        assert get(port) == ("HTTP/1.1 200 OK", "Hello from one process\n")


def test_startup_bind_start():
    with running("startup_bind_start", processes=True) as port:
        assert len(several_answers(port, r"process (\d+)")) >= min(2, CORES)


def test_startup_add_sockets():
    with running("startup_add_sockets", processes=True) as port:
        assert several_answers(port, r"worker (\d+)") <= {str(i) for i in range(CORES)}


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="no SO_REUSEPORT")
def test_startup_reuse_port():
    """A worker dies with connections in its own queue: they are served all the same."""
    with running("startup_reuse_port", processes=True) as port:
        pids = {int(pid) for pid in several_answers(port, r"worker \d+, process (\d+)")}
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        victim = pids.pop()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(("127.0.0.1", port))) for _ in range(40)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            os.kill(victim, signal.SIGKILL)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            answers = [client.rest().decode() for client in clients]
    assert all(answer.startswith("HTTP/1.1 200 OK\r\n") for answer in answers)
    by = {int(re.search(r"process (\d+)", answer)[1]) for answer in answers}
    assert victim not in by
    assert by - pids  # some by the worker that replaced it


WITH_CALLBACK = """
import os, sys
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.process import fork_processes

def callback(request):
    text = "process %d" % os.getpid()
    request.write("HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(text), text))
    request.finish()

port = int(sys.argv[1])
"""
BIND_START = """
server = HTTPServer(callback)
server.bind(port, "127.0.0.1")
server.start(2)
IOLoop.instance().start()
"""
FORK_FIRST = """
sockets = bind_sockets(port, "127.0.0.1")
fork_processes(2)
server = HTTPServer(callback)
server.add_sockets(sockets)
IOLoop.instance().start()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("body", [BIND_START, FORK_FIRST], ids=["bind and start", "fork_processes"])
def test_several_processes(body):
    """The two start-ups with processes, with a callback, and a worker that dies and is replaced."""
    with running("", body=WITH_CALLBACK + body, processes=True) as port:
        first = several_answers(port, r"process (\d+)")
        assert len(first) == min(2, CORES)
        victim = int(next(iter(first)))
        os.kill(victim, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        later = set()
        while not later - first:
            assert time.monotonic() < end, "it was not replaced"
            with contextlib.suppress(AssertionError):
                later |= several_answers(port, r"process (\d+)")


def test_every_example_is_tested():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"echo_callback", "tcp_line_server", *WITH_WEB}


def test_chat():
    hello = '{"name": "Ann", "text": "hello"}'
    with running("chat/chat") as port:
        status, page = get(port)
        assert status == "HTTP/1.1 200 OK" and "new WebSocket(" in page
        assert get(port, "/chat.py")[0] == "HTTP/1.1 404 Not Found"
        with Peer(("127.0.0.1", port)) as ann, Peer(("127.0.0.1", port)) as bob:
            for peer in (ann, bob):
                assert b" 101 " in peer.open(
                    "/chat", Origin=f"http://127.0.0.1:{port}", Host=f"127.0.0.1:{port}"
                )
            ann.send(text(hello))
            assert ann.message() == bob.message() == hello
            bob.send(text("nonsense"))
            assert bob.frame() == (0x88, (1003).to_bytes(2) + b"this is no line of a chat")
            bob.send(close(1003)).rest()
            ann.send(text(hello))
            assert ann.message() == hello
        with Peer(("127.0.0.1", port)) as late:
            late.open("/chat")
            assert [late.message() for _ in range(2)] == [hello, hello]
        with Peer(("127.0.0.1", port)) as stranger:
            assert b" 403 " in stranger.open("/chat", Origin="http://elsewhere.test")
