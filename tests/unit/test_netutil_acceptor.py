"""A server that runs out of descriptors, for real: it rests, says so once, and goes on when it can."""

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tornado_c import _core

PATIENCE = 30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PROGRAM = """
import asyncio, logging, os, resource, sys
from tornado_c.httpserver import HTTPServer
from tornado_c.iostream import StreamClosedError
from tornado_c.netutil import bind_sockets
from tornado_c.tcpserver import TCPServer

logging.basicConfig(level="INFO", stream=sys.stdout, format="log %(name)s %(levelname)s %(message)s")
sys.stdout.reconfigure(line_buffering=True)

class LineServer(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            await stream.read_until(b"\\r\\n\\r\\n")
            await stream.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            await stream.read_until_close()
        except StreamClosedError:
            pass

def answer(request):
    request.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    request.finish()

async def main():
    server = LineServer() if sys.argv[1] == "python" else HTTPServer(answer)
    (sock,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(sock)
    await asyncio.sleep(0)
    used = len(os.listdir("/proc/self/fd")) - 1
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + int(sys.argv[2]), hard))
    print(sock.getsockname()[1], sock.fileno(), flush=True)
    await asyncio.sleep(2.5)  # over two rests of a second
    print("two rests", flush=True)
    await asyncio.Event().wait()

asyncio.run(main()) if sys.argv[3] == "guest" else __import__("tornado_c").run(main())
"""


def is_watched(pid, fd):
    """Whether one of the process' epoll descriptors reports when *fd* is readable."""
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        for line in entry.read_text().splitlines():
            words = line.split()
            if words[:2] == ["tfd:", str(fd)] and int(words[3], 16) & 1:
                return True
    return False


class Server:
    """A child that has descriptors left for a few connections only."""

    ALLOWED, TRIED = 5, 9

    def __init__(self, acceptor, mode):
        command = [sys.executable, "-c", PROGRAM, acceptor, str(self.ALLOWED), mode]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def exhaust(self):
        self.port, self.listener = map(int, self.child.stdout.readline().split())
        self.clients = []
        for _ in range(self.TRIED):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))
            self.clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.expect_answers(self.clients[: self.ALLOWED])
        line = self.child.stdout.readline()
        assert line.startswith("log tornado.general ERROR ")
        assert os.strerror(errno.EMFILE) in line
        if _core.poller_backend == "epoll":
            # Those that wait do not wake the loop meanwhile.
            assert not is_watched(self.child.pid, self.listener)

    def recover(self):
        assert self.child.stdout.readline() == "two rests\n"  # and no second line in the log
        for client in self.clients[: self.ALLOWED]:
            client.close()
        self.expect_answers(self.clients[self.ALLOWED :])
        if _core.poller_backend == "epoll":
            end = time.monotonic() + PATIENCE
            while not is_watched(self.child.pid, self.listener):
                assert time.monotonic() < end
                time.sleep(0.01)

    @staticmethod
    def expect_answers(clients):
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")

    def end(self):
        self.child.kill()
        rest = self.child.communicate()[0]
        for client in self.clients:
            client.close()
        return rest


def test_no_descriptor_left():
    modes = ["native"] if _core.poller_backend == "poll" else ["native", "guest"]
    servers = [Server(acceptor, mode) for acceptor in ("native", "python") for mode in modes]
    try:
        for server in servers:
            server.exhaust()
        for server in servers:
            server.recover()
    finally:
        rests = [server.end() for server in servers]
    assert rests == [""] * len(servers)
