"""When what was written leaves: at finish(), flush() and a write whose Future is done it is the kernel's,
whatever the application does afterwards. Stock Tornado is the oracle."""

import os
import signal
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT, PROGRAMS
from support.implementations import BOTH
from support.live_http import Client

APP = PROGRAMS / "leaving_app.py"
PLACES = ("native", "delegates", "lines")


@pytest.fixture(scope="module", params=[each.package for each in BOTH])
def servers(request):
    """A program that makes servers."""
    command = [sys.executable, APP, request.param]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CHILD_ENVIRONMENT
    ) as process:
        yield process


@pytest.fixture
def connect(servers):
    """Connections to a server of its own, whose processes are all killed afterwards."""
    servers.stdin.write(b"\n")
    servers.stdin.flush()
    group, *ports = map(int, servers.stdout.readline().split())
    ports = dict(zip(PLACES, ports, strict=True))
    clients = []

    def connect(place):
        clients.append(Client(("127.0.0.1", ports[place])))
        return clients[-1]

    yield connect
    for client in clients:
        client.sock.close()
    os.killpg(group, signal.SIGKILL)


def get(path, then=""):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nThen: {then}\r\n\r\n".encode()


@pytest.mark.parametrize("then", ["end_process", "block"])
@pytest.mark.parametrize("way", ["finish", "async", "native", "flush"])
@pytest.mark.parametrize("place", ["native", "delegates"])
def test_a_finished_response_has_left(connect, place, way, then):
    client = connect(place).send(get(f"/{way}/0123456789", then))
    client.until(b"\r\n\r\n")
    assert client.exactly(10) == b"0123456789"


@pytest.mark.parametrize("then", ["execute", "block"])
@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("place", ["native", "delegates"])
def test_a_response_does_not_wait_for_the_next_handler(connect, place, before, then):
    """Requests in one packet: the last but one is answered before the last blocks, or ends it all."""
    train = [get(f"/finish/{n}") for n in range(before)]
    client = connect(place).send(b"".join([*train, get("/finish/fast"), get("/finish/slow", then)]))
    for n in range(before):
        assert client.answer()[1] == str(n).encode()
    assert client.answer()[1] == b"fast"
    assert client.answer()[1] == b"slow"


@pytest.mark.parametrize("then", ["execute", "block"])
@pytest.mark.parametrize("before", [0, 3])
def test_a_line_that_was_awaited_has_left(connect, before, then):
    lines = b"".join(b"%d\n" % n for n in range(before)) + then.encode() + b"\n"
    assert connect("lines").send(lines + b"more\n").exactly(len(lines)) == lines


def test_lines_that_are_answered_quickly_and_then_slowly(connect):
    """The answers of quick ones leave together; those of pairs of which the second blocks do not."""
    client = connect("lines")
    for _ in range(50):
        lines = b"".join(b"%d\n" % n for n in range(40))
        assert client.send(lines).exactly(len(lines)) == lines
    for _ in range(20):
        assert client.send(b"a\nb\n").exactly(4) == b"a\nb\n"
    client.send(b"last\nblock\n")
    assert client.exactly(11) == b"last\nblock\n"


@pytest.mark.parametrize("then", ["fork_and_exit", "fork_and_return"])
@pytest.mark.parametrize("way", ["finish", "async", "native"])
@pytest.mark.parametrize("warm", [0, 40])
def test_a_fork_sends_nothing_again(request, connect, way, then, warm):
    """Every answer once, in order, each to its request, before and after a fork within a handler."""
    if then == "fork_and_return" and "tornado-" in request.node.name:
        pytest.skip("two processes read from Tornado's connection")
    client = connect("native")
    for first in range(0, warm, 20):
        client.send(b"".join(get(f"/finish/w{n}") for n in range(first, first + 20)))
        assert [client.answer()[1] for _ in range(20)] == [b"w%d" % n for n in range(first, first + 20)]
    client.send(get("/finish/a") + get(f"/{way}/b", then) + get("/finish/c") + get("/finish/d"))
    assert [client.answer()[1] for _ in range(4)] == [b"a", b"b", b"c", b"d"]
    for n in range(10):
        assert client.send(get(f"/finish/{n}")).answer()[1] == b"%d" % n
    client.send(get("/finish/z", "end_process"))
    assert client.answer()[1] == b"z"


def test_a_forked_child_does_not_send_what_waits(request, connect):
    if request.node.name.endswith("[tornado]"):
        pytest.skip("Tornado's child sends it, too")
    slow, other = connect("native"), connect("native")
    slow.send(get("/big"))
    slow.until(b"\r\n\r\n")
    assert other.send(get("/finish/1", "fork_and_return")).answer()[1] == b"1"
    assert slow.exactly(8_000_000).strip(b"x") == b""
    assert slow.send(get("/finish/2")).answer()[1] == b"2"
    assert other.send(get("/finish/3")).answer()[1] == b"3"


def test_a_forked_child_answers_by_itself(connect):
    client = connect("native").send(get("/child"))
    assert client.answer()[1] == b"child"
