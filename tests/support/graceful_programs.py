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

from support.children import CHILD_ENVIRONMENT
from support.ports import free_port

PATIENCE = 60

#: Serves a version that lies in a file: at once, after as many seconds as the query says, or when a file is
#: there that it names.
PROGRAM = """
import asyncio, os, signal, sys, threading, time
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.process import fork_processes, task_id

version = open("version").read()
print("loads", version, flush=True)
if version == "broken":
    raise RuntimeError("a program that does not start")

async def answer(request):
    if request.query.isalpha():
        os.write(1, b"handling\\n")
        while not os.path.exists(request.query):
            if request.path != "/stuck":
                await asyncio.sleep(0.01)
    elif request.query:
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
#: A worker that hangs is killed sooner than after five seconds; a second SIGTERM never belongs to the first.
IMPATIENT = """
import tornado_c._workers.prefork, tornado_c._workers.worker
tornado_c._workers.prefork.KILL_MARGIN = 0.5
tornado_c._workers.worker.TOGETHER = 0
"""
#: A new worker counts as serving sooner than after half a second.
QUICK = """
import tornado_c._workers.worker
tornado_c._workers.worker.SETTLING = 0.1
"""
WORKERS = (
    QUICK
    + """
sockets = bind_sockets(PORT, "127.0.0.1") + [bind_unix_socket("socket")]
fork_processes(int(open("workers").read()))
server = HTTPServer(answer)
server.add_sockets(sockets)
IOLoop.current().start()
"""
)


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
            env=CHILD_ENVIRONMENT | env,
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

    def handling(self, name, count=1):
        """Requests that are being handled until release(name)."""
        before = self.output().count("handling")
        requests = [InFlight(self, name) for _ in range(count)]
        self.says("handling", before + count)
        return requests

    def release(self, name):
        self.write(name, "")

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
        with contextlib.closing(connection):
            connection.request("GET", f"{path}?{query}")
            response = connection.getresponse()
            assert response.status == 200
            version, pid = response.read().decode().split()
            return version, int(pid), response.getheader("Connection")

    def becomes(self, *versions):
        """Wait until these are all that answers."""
        self.until(lambda: self.get()[0] in versions)
        self.until(lambda: {self.get()[0] for _ in range(20)} == set(versions))

    def load(self, version):
        """Have a version loaded."""
        self.get()  # it serves, and does not only listen
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

    def idle(self, pids=None):
        """A connection that persists to each of the processes, by default to all that serve."""
        found = {}
        while missing := (pids or self.workers() or {self.process.pid}) - set(found):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            connection.request("GET", "/")
            pid = int(connection.getresponse().read().split()[1])
            if pid in missing:
                found[pid] = connection.sock
            else:
                connection.close()
        return list(found.values())

    @staticmethod
    def drains(connections):
        """Wait until the processes at the other end of idle connections end them."""
        for sock in connections:
            with sock:
                assert sock.recv(1) == b""

    def rests(self):
        """Whether none of its processes runs Python."""
        states = []
        for pid in self.everybody():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as stat:
                states.append(stat.read().rpartition(")")[2].split()[0])
        return set(states) == {"S"}

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


def has_read(client):
    """Whether a TCP connection was accepted on this machine, and all that was sent has been read."""
    mine, theirs = client.getsockname()[1], client.getpeername()[1]
    with open("/proc/net/tcp") as sockets:
        for line in list(sockets)[1:]:
            _, local, remote, _, queues, *_, inode = line.split()[:10]
            if [int(end.partition(":")[2], 16) for end in (local, remote)] == [theirs, mine]:
                return queues.endswith(":00000000") and inode != "0"
    return False


def children_of(pid):
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{pid}/children") as children:
        return {int(child) for child in children.read().split()}
    return set()


class InFlight(threading.Thread):
    """A request that is answered when there is a file of that name."""

    def __init__(self, program, name):
        super().__init__(daemon=True)
        self.program, self.name, self.answer = program, name, None
        self.start()

    def run(self):
        try:
            self.answer = self.program.get(self.name)
        except (OSError, http.client.HTTPException) as e:
            self.answer = e

    def done(self):
        self.join(PATIENCE)
        return self.answer


class Counting:
    """Clients that ask one request after another, over connections that persist or each over its own.

    A connection that ends while a request is in flight, without an answer that announced it, is a loss.
    """

    def __init__(self, program, connections=4, query="", pause=0.02, persist=True):
        self.program, self.pause = program, pause
        last = "" if persist else "Connection: close\r\n"
        self.request = f"GET /?{query} HTTP/1.1\r\nHost: a\r\n{last}\r\n".encode()
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
                        time.sleep(self.pause)  # leaves the processor to the program
            except OSError as e:
                self.lost.append(repr(e))
                time.sleep(0.05)

    def _ask(self, sock):
        """One request; whether another may follow."""
        sock.sendall(self.request)
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
