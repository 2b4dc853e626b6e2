"""Socket activation: with systemd's own tool where it is installed, and by the same means without it."""

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from support.children import CHILD_ENVIRONMENT, FOREIGN_ENVIRONMENT
from support.ports import free_port
from tornado_c import netutil

ACTIVATE = shutil.which("systemd-socket-activate")
PATIENCE = 30

#: Prints what it was given; then serves one line on each socket.
PROGRAM = """
import asyncio, os, sys
from tornado_c import netutil
from tornado_c.tcpserver import TCPServer

sockets = netutil.activated_sockets()
assert netutil.activated_sockets() == []
assert not [name for name in os.environ if name.startswith("LISTEN_")], os.environ
for sock in sockets:
    print(sock.fileno(), sock.family.name, sock.getblocking(), sock.get_inheritable(), flush=True)
print("ready", flush=True)

async def main():
    served = 0

    class Server(TCPServer):
        async def handle_stream(self, stream, address):
            nonlocal served
            await stream.write(b"told " + await stream.read_until(b"\\n"))
            stream.close()
            served += 1
            if served == len(sockets):
                done.set()

    done = asyncio.Event()
    server = Server()
    server.add_sockets(sockets)
    await done.wait()
    server.stop()

if sockets:
    asyncio.run(main())
"""


def ask(family, address):
    with socket.socket(family) as client:
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(b"hello\n")
        return client.makefile("rb").read()


def given_to_child(listeners, program=PROGRAM, pid="own", count=None, **variables):
    """Start a program as a service manager does: descriptors from 3, and variables that name its process."""
    count = len(listeners) if count is None else count
    launcher = (
        "import os, sys\n"
        f"held = [os.dup(fd) for fd in {[sock.fileno() for sock in listeners]}]\n"
        "for number, fd in enumerate(held): os.dup2(fd, 3 + number + 20, inheritable=False)\n"
        "for number in range(len(held)): os.dup2(3 + number + 20, 3 + number, inheritable=True)\n"
        f"os.environ['LISTEN_PID'] = str(os.getpid()) if {pid!r} == 'own' else {pid!r}\n"
        f"os.environ['LISTEN_FDS'] = '{count}'\n"
        f"os.environ.update({variables!r})\n"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", launcher, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[sock.fileno() for sock in listeners],
    )


def lines_until_ready(process):
    lines = []
    for line in process.stdout:
        if line == "ready\n":
            return lines
        lines.append(line.split())
    raise AssertionError(f"it ended early: {lines}")


@pytest.fixture
def listeners(tmp_path):
    """A TCP and a Unix listener, both blocking, as a service manager makes them."""
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "socket"))
    unix.listen()
    with tcp, unix:
        yield [tcp, unix]


def test_served(listeners):
    with given_to_child(listeners, LISTEN_FDNAMES="a:b") as process:
        assert lines_until_ready(process) == [
            ["3", "AF_INET", "False", "False"],
            ["4", "AF_UNIX", "False", "False"],
        ]
        for sock in listeners:
            assert ask(sock.family, sock.getsockname()) == b"told hello\n"
        assert process.wait(PATIENCE) == 0, process.stdout.read()


@pytest.mark.parametrize("pid", ["1", ""])
def test_what_another_process_was_given(listeners, pid):
    with given_to_child(listeners, pid=pid) as process:
        assert lines_until_ready(process) == []
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({"pid": "me"}, "ValueError: LISTEN_PID is not a number: 'me'"),
        ({"count": "-1"}, "ValueError: LISTEN_FDS is not a number: '-1'"),
        ({"count": "3"}, "OSError: [Errno 9] Bad file descriptor"),
    ],
)
def test_mistakes(listeners, case, error):
    with given_to_child(listeners, **case) as process:
        output = process.stdout.read()
    assert output.splitlines()[-1] == error


def test_descriptor_that_is_no_socket():
    program = """
from tornado_c import netutil
import os
try:
    netutil.activated_sockets()
except OSError as e:
    print(type(e).__name__, e.strerror, bool(os.fstat(3)))
"""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as pipe, open(write_end, "wb"), given_to_child([pipe], program) as process:
        assert process.stdout.read() == "OSError Socket operation on non-socket True\n"


def test_variables_may_stay(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    assert netutil.activated_sockets(unset_environment=False) == []
    assert os.environ["LISTEN_FDS"] == "0"
    assert netutil.activated_sockets() == []
    assert "LISTEN_FDS" not in os.environ
    assert "LISTEN_PID" not in os.environ


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
def test_systemd_socket_activate(tmp_path):
    path = str(tmp_path / "socket")
    port = free_port()
    # The tool passes on what it is told to; a sanitizer that is preloaded here is for the program only.
    passed = [f"--setenv={name}={value}" for name, value in CHILD_ENVIRONMENT.items()]
    process = subprocess.Popen(
        [ACTIVATE, "-l", f"127.0.0.1:{port}", "-l", path, *passed, sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=FOREIGN_ENVIRONMENT,
    )
    with process:
        end = time.monotonic() + PATIENCE
        while True:
            # The first connection starts the program, which finds it waiting.
            try:
                assert ask(socket.AF_UNIX, path) == b"told hello\n"
                break
            except (FileNotFoundError, ConnectionRefusedError):  # the tool does not listen yet
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
        assert ask(socket.AF_INET, ("127.0.0.1", port)) == b"told hello\n"
        assert [line[1:] for line in lines_until_ready(process)] == [
            ["AF_INET", "False", "False"],
            ["AF_UNIX", "False", "False"],
        ]
        assert process.wait(PATIENCE) == 0
