"""Servers whose system calls fail: they answer correctly all the same, or give up that one connection.

tests/c/faults.c, preloaded into the server, makes the calls fail. Nothing fails in this process, the client.
"""

import errno
import json
import os
import random
import socket
import subprocess
import sys

import pytest

from support.children import ROOT

LIMIT = 10  # seconds that a client waits: a server that hangs has failed
ROUNDS = 12  # exchanges with a server while faults strike

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the shim knows Linux's calls")

SERVER = r"""
import ctypes, json, sys
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets
from tornado_c.tcpserver import TCPServer

shim = ctypes.CDLL(None)


def echo(request):
    body = request.body
    if request.path == "/struck":
        body = json.dumps(shim.faults_struck()).encode()
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    request.write(body)
    request.finish()


class Lines(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write(await stream.read_until(b"\n"))
        except OSError:  # a StreamClosedError, or a fault that met the read as it was called
            pass


http, lines = HTTPServer(echo), Lines()
ports = []
for server in (http, lines):
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    ports.append(sockets[0].getsockname()[1])


def ready():
    if shim.faults_arm() < 0:
        sys.exit("the list of faults cannot be read")
    print(json.dumps(ports), flush=True)


loop = IOLoop.current()
loop.add_callback(ready)
loop.start()
"""

#: What each call may meet. A full poller or listener would be a defect of the machine, not of a connection.
FAULTS = {
    "recv": ["EINTR", "EAGAIN", "ECONNRESET", "ENOBUFS", "short"],
    "send": ["EINTR", "EAGAIN", "ECONNRESET", "EPIPE", "ENOBUFS", "short"],
    "sendmsg": ["EINTR", "EAGAIN", "ECONNRESET", "ENOBUFS", "short"],
    "accept4": ["EINTR", "EAGAIN", "ECONNRESET"],
    "epoll_wait": ["EINTR", "short"],
    "epoll_ctl": ["ENOMEM"],
}
CLOSES = {"ECONNRESET", "EPIPE", "ENOBUFS", "ENOMEM"}  # faults that may cost the connection


class Server:
    def __init__(self, shim, faults):
        environment = os.environ | {
            "FAULTS": ",".join(faults),
            "LD_PRELOAD": " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(shim)])),
            "PYTHONPATH": ROOT,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate()[1].decode())
        self.http, self.lines = json.loads(line)

    def stop(self):
        """Whether it was still alive, and what it has said."""
        alive = self.process.poll() is None
        self.process.kill()
        return alive, self.process.communicate()[1].decode()


class Gone(Exception):
    """The server has closed the connection."""


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)

    def exchange(self, request, answer):
        """Send the one, get the other, nothing less and nothing else. Raises Gone."""
        received = b""
        try:
            self.sock.sendall(request)
            while len(received) < len(answer):
                data = self.sock.recv(1 << 20)
                if not data:
                    break
                received += data
        except (ConnectionError, BrokenPipeError):
            pass
        assert answer.startswith(received), "a wrong answer"
        if received != answer:
            self.sock.close()
            raise Gone


def http_exchange(body):
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def exchange_all(server, rng):
    """Rounds of exchanges with both servers, on connections kept until they break. How many broke."""
    broken = 0
    clients = {server.http: None, server.lines: None}
    for _ in range(ROUNDS):
        body = bytes(rng.choices(b"abcdefgh", k=rng.choice([0, 10, 3000, 200_000])))
        for port in clients:
            message = http_exchange(body) if port == server.http else (body + b"\n",) * 2
            if clients[port] is None or rng.random() < 0.3:
                if clients[port] is not None:
                    clients[port].sock.close()
                clients[port] = Client(port)
            try:
                clients[port].exchange(*message)
            except Gone:
                broken += 1
                clients[port] = None
    for client in filter(None, clients.values()):
        client.sock.close()
    return broken


def plan(rng, calls, count):
    return [
        f"{call}:{rng.randint(1, 12)}:{rng.choice(FAULTS[call])}"
        for call in (rng.choice(calls) for _ in range(count))
    ]


def check(shim, faults, rng):
    server = Server(shim, faults)
    try:
        broken = exchange_all(server, rng)
        struck = json.loads(ask(server.http))
    finally:
        alive, said = server.stop()
    assert alive, said
    assert "Traceback" not in said
    assert broken <= sum(fault.rsplit(":", 1)[1] in CLOSES for fault in faults)
    return struck


def ask(port):
    """GET /struck, on as many connections as it takes: a fault may strike this one too."""
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as sock:
            try:
                sock.sendall(b"GET /struck HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                data = b""
                while chunk := sock.recv(65536):
                    data += chunk
            except ConnectionError:
                continue
            if data:
                return data.partition(b"\r\n\r\n")[2]
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize("call", FAULTS)
def test_each_fault_of_a_call(fault_shim, call):
    """Every kind of fault, one after the other, at the first calls."""
    faults = [f"{call}:{2 * n + 1}:{fault}" for n, fault in enumerate(FAULTS[call])]
    struck = check(fault_shim, faults, random.Random(call))
    assert struck > 0


@pytest.mark.parametrize("seed", range(6))
def test_faults_at_random(fault_shim, seed):
    rng = random.Random(seed)
    faults = plan(rng, [call for call in FAULTS if call != "epoll_ctl"], 12)
    assert check(fault_shim, faults, rng) > 0


def test_accept_without_resources(fault_shim):
    """The listener rests, tells of it once, and then takes the connection that waited."""
    errors = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
    # The native acceptor meets the first fault, later accepts one and finds no more; the fourth is Python's.
    servers = [Server(fault_shim, [f"accept4:1:{name}", f"accept4:4:{name}"]) for name in errors]
    try:
        for port, message in (("http", http_exchange(b"x")), ("lines", (b"x\n",) * 2)):
            clients = [Client(getattr(server, port)) for server in servers]
            for client in clients:
                client.exchange(*message)
                client.sock.close()
        struck = [json.loads(ask(server.http)) for server in servers]
    finally:
        ends = [server.stop() for server in servers]
    assert struck == [2] * len(errors)
    for name, (alive, said) in zip(errors, ends, strict=True):
        assert alive
        lines = said.splitlines()
        assert len(lines) == 2, said
        assert all(os.strerror(getattr(errno, name)) in line for line in lines), said
