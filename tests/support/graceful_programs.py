"""Programs under `python -m tornado_c`, and clients that count what they lose."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import tornado_c
from support.live_tcp import free_port

ROOT = os.path.dirname(os.path.dirname(tornado_c.__file__))
PATIENCE = 60

#: Serves a version that lies in a file, after as many seconds as the query says.
PROGRAM = """
import asyncio, os, signal, sys, threading, time
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.process import fork_processes, task_id

version = open("version").read()
if version == "broken":
    raise RuntimeError("a program that does not start")

async def answer(request):
    if request.path == "/stuck":
        while True:
            pass
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
#: The loop runs in a thread; the main thread waits for something else.
IN_A_THREAD = """
def serve():
    asyncio.set_event_loop(asyncio.new_event_loop())
    HTTPServer(answer).listen(PORT, "127.0.0.1")
    IOLoop.current().start()
    print("behind start()", flush=True)

thread = threading.Thread(target=serve)
thread.start()
WAIT
"""
WORKERS = """
sockets = bind_sockets(PORT, "127.0.0.1") + [bind_unix_socket("socket")]
fork_processes(int(open("workers").read()))
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""


class Program:
    """A program under `python -m tornado_c`, in a folder of its own."""

    def __init__(
        self, folder, body, *options, workers=2, launch=(), fds=(), port=None, python=sys.executable, **env
    ):
        self.folder, self.port = folder, port or free_port()
        self.write("version", "v1")
        self.write("workers", str(workers))
        self.write_app(body)
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [*launch, python, "-m", "tornado_c", *options, "app.py"],
            cwd=env.pop("cwd", folder),
            pass_fds=fds,
            env={**os.environ, "PYTHONPATH": ROOT, **env},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.until(self.serves)
        if "fork_processes(int(" in body:
            self.until(lambda: len(self.workers()) == workers)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def write_app(self, body, program=PROGRAM):
        self.write("app.py", program + body.replace("PORT", str(self.port)))

    def output(self):
        return (self.folder / "log").read_text()

    def says(self, text, times=1):
        self.until(lambda: self.output().count(text) >= times)

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, self.output()
            time.sleep(0.02)

    def serves(self, port=None):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port or self.port)).close()
            return True
        return False

    def get(self, query="", path="/"):
        """(version, process id, header Connection) that one request got."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", f"{path}?{query}")
        response = connection.getresponse()
        assert response.status == 200
        version, pid = response.read().decode().split()
        connection.close()
        return version, int(pid), response.getheader("Connection")

    def becomes(self, *versions):
        self.until(lambda: {self.get()[0] for _ in range(20)} == set(versions))

    def load(self, version):
        """Have a version loaded."""
        self.write("version", version)
        self.signal(signal.SIGHUP)

    def workers(self):
        """The parent's children."""
        return children_of(self.process.pid)

    def everybody(self):
        """All processes of the program, without those that have ended."""
        found = set()
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{int(name)}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
                if fields[0] != "Z" and int(fields[3]) == self.process.pid:
                    found.add(int(name))
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def signal_group(self, number):
        os.killpg(self.process.pid, number)

    def ends(self, status=0):
        """Wait for its end: it has this status, and nothing is left of it."""
        assert self.process.wait(PATIENCE) == status, self.output()
        end = time.monotonic() + PATIENCE
        while left := self.everybody():
            assert time.monotonic() < end, (left, self.output())
            time.sleep(0.02)
        assert not self.serves()

    def close(self):
        for pid in self.everybody():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.log.close()


def children_of(pid):
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{pid}/children") as children:
        return {int(child) for child in children.read().split()}
    return set()


class InFlight(threading.Thread):
    """A request that takes its time."""

    def __init__(self, program, seconds):
        super().__init__(daemon=True)
        self.program, self.seconds, self.answer = program, seconds, None
        self.start()

    def run(self):
        try:
            self.answer = self.program.get(str(self.seconds))
        except (OSError, http.client.HTTPException) as e:
            self.answer = e

    def done(self):
        self.join(PATIENCE)
        return self.answer


class Counting:
    """Clients that ask one request after another over connections that are kept alive.

    A connection that ends while a request is in flight, without an answer that announced it, is a loss.
    """

    def __init__(self, program, connections=6, query=""):
        self.program, self.query = program, query
        self.answers, self.lost, self.versions = 0, [], set()
        self.ending = False
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.ending:
            try:
                with socket.create_connection(("127.0.0.1", self.program.port), timeout=PATIENCE) as sock:
                    while self._ask(sock) and not self.ending:
                        pass
            except OSError as e:
                self.lost.append(repr(e))
                time.sleep(0.05)

    def _ask(self, sock):
        """One request; whether another may follow."""
        sock.sendall(b"GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n" % self.query.encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive(sock)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(body) < length:
            body += self._receive(sock)
        self.answers += 1
        self.versions.add(body.split()[0].decode())
        return b"Connection: close" not in head

    def _receive(self, sock):
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("closed without an answer")
        return data

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join(PATIENCE)
        assert self.answers
        assert not self.lost, (len(self.lost), self.answers, self.lost[:5], self.program.output())
