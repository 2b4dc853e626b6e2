"""Handlers of the callback generation that end badly: status and log are Tornado 4.5's, nothing is left."""

import json
import re
import socket
import time

import pytest

from support.app_servers import running
from support.children import PROGRAMS
from support.live_http import PATIENCE

pytest.importorskip("tornado")

UNCAUGHT = ["ERROR tornado.application Uncaught exception GET PATH (127.0.0.1)"]
TOO_LATE = ["ERROR tornado.general Cannot send error response after headers written"]
TOLD = ["KeyError: 'told'"]
ERROR = ["ERROR tornado.access 500 GET PATH (127.0.0.1)"]
GOOD = ["INFO tornado.access 200 GET PATH (127.0.0.1)"]
CALLBACK = ["ERROR tornado.application Exception in callback"]
TWICE = ["RuntimeError: finish() called twice"]
LEAKED = ["tornado.gen.LeakedCallbackError: finished without waiting for callbacks {'key'}"]

#: By the path: the status, the body (None: an error page) and what is logged.
ENDINGS = {
    "/callbacks/raises": (500, None, UNCAUGHT + TOLD + ERROR),
    "/callbacks/raises_after_finish": (200, b"finished", GOOD + UNCAUGHT + TOLD),
    "/callbacks/finishes_twice": (200, b"finished", GOOD + UNCAUGHT + TWICE),
    "/callbacks/writes_after_finish": (
        200,
        b"finished",
        GOOD + UNCAUGHT + ["RuntimeError: Cannot write() after finish()"],
    ),
    "/callbacks/flushes_after_finish": (200, b"finished", GOOD),
    "/callbacks/sets_after_finish": (200, b"finished", GOOD),
    "/callbacks/redirects_after_finish": (
        200,
        b"finished",
        GOOD + UNCAUGHT + ["Exception: Cannot redirect after headers have been written"],
    ),
    "/callbacks/errs_after_finish": (200, b"finished", GOOD + TOO_LATE),
    # Without its last chunk: it cannot be taken for a whole response.
    "/callbacks/raises_after_flush": (200, b"5\r\nbegun\r\n", UNCAUGHT + TOLD + TOO_LATE + GOOD),
    "/callbacks/refuses": (
        404,
        None,
        ["WARNING tornado.general 404 GET PATH (127.0.0.1): not here"]
        + ["WARNING tornado.access 404 GET PATH (127.0.0.1)"],
    ),
    "/callbacks/ends": (200, b"so far", GOOD),
    "/callbacks/bad_chunk": (
        500,
        None,
        UNCAUGHT + ["TypeError: write() only accepts bytes, unicode, and dict objects"] + ERROR,
    ),
    "/raw/respond": (200, b"finished", []),
    "/raw/raises": (500, None, UNCAUGHT + TOLD + ERROR),
    "/raw/raises_later": (200, b"finished", CALLBACK + TOLD),
    "/raw/write_callback_raises": (200, b"finished", CALLBACK + TOLD),
    "/raw/engine_raises": (200, b"finished", CALLBACK + TOLD),
    "/raw/future_raises": (200, b"finished", CALLBACK + TOLD),
    "/raw/handler_raises": (200, b"finished", CALLBACK + TOLD),
    "/raw/accept_raises": (200, b"finished", CALLBACK + TOLD),
    "/raw/writes_after_finish": (200, b"finished", []),
    "/raw/finishes_twice": (200, b"finished", []),
}
#: The same for gen.engine below asynchronous, and for gen.coroutine.
GENERATORS = {
    "raises": (500, None, UNCAUGHT + TOLD + ERROR),
    "leaks_a_key": (500, None, UNCAUGHT + LEAKED + ERROR),
    "leaks_a_key_after_finish": (200, b"finished", GOOD + UNCAUGHT + LEAKED),
    "unknown_key": (500, None, UNCAUGHT + ["tornado.gen.UnknownKeyError: key 'key' is not pending"] + ERROR),
    "key_twice": (500, None, UNCAUGHT + ["tornado.gen.KeyReuseError: key 'key' is already pending"] + ERROR),
    "bad_yield": (500, None, UNCAUGHT + ["tornado.gen.BadYieldError: yielded unknown object 1"] + ERROR),
    "finishes_twice": (200, b"finished", GOOD + UNCAUGHT + TWICE),
}
ENDINGS |= {f"/{kind}/{how}": GENERATORS[how] for kind in ("engines", "coroutines") for how in GENERATORS}

#: What is logged when it ends, if it does, after its client has left.
LEFT = {
    "/raw/responds_late": [],
    "/raw/writes_late": [],
    "/raw/never_late": [],
    "/raw/raises_late": CALLBACK + TOLD,
    "/waits/never": [],
    "/waits/engine_never": [],
    "/waits/key_never": [],
    "/waits/coroutine_never": [],
    "/waits/flush_again": [],
    "/waits/finish_later": GOOD,
    "/waits/write_later": GOOD,
    "/waits/engine_later": GOOD,
    "/waits/raise_later": UNCAUGHT + TOLD + ERROR,
    "/waits/error_later": ERROR,
    "/waits/redirect_later": ["INFO tornado.access 302 GET PATH (127.0.0.1)"],
}


class Server:
    def __init__(self, log, url):
        self.log, self.port, self.read = log, int(url.rpartition(":")[2]), 0

    def begin(self, path):
        client = socket.create_connection(("127.0.0.1", self.port), 60)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return client

    def ask(self, path):
        """The status and the body, as they are on the wire."""
        with self.begin(path) as client:
            head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def state(self):
        return json.loads(self.ask("/state")[1])

    def until(self, wanted):
        end = time.monotonic() + PATIENCE
        while not wanted(state := self.state()):
            assert time.monotonic() < end, state
            time.sleep(0.01)

    def lines(self, path):
        """What has been logged since, but for tracebacks and the requests of state(); without its times."""
        self.until(lambda state: state["alive"] == 0)
        log = self.log.read_text()[self.read :]
        self.read += len(log)
        found = []
        for line in log.splitlines():
            if re.match(r"[A-Z]+ tornado|[\w.]+: ", line) and "/state" not in line:
                line = re.sub(r" <.*>$| [\d.]+ms$", "", line)
                found.append(line.replace(path, "PATH"))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endings")
    program = ["--generation", "4", str(PROGRAMS / "old_endings.py"), "PORT"]
    with running(folder, *program, quiet=False) as (process, url):
        yield Server(folder / "log", url)
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("path", ENDINGS)
def test_status_and_log(server, path):
    status, body, lines = ENDINGS[path]
    got = server.ask(path)
    assert got[0] == status
    assert got[1] == body if body is not None else b"<title>" in got[1]
    assert server.lines(path) == lines


@pytest.mark.parametrize("path", LEFT)
def test_a_client_that_leaves(server, path):
    client = server.begin(path)
    server.until(lambda state: path in state["begun"])
    client.close()
    server.until(lambda state: path in state["left"])
    server.until(lambda state: state["alive"] == 0)
    assert server.lines(path) == LEFT[path]
    state, how = server.state(), path.rpartition("/")[2]
    assert how in state["freed"] or not how.endswith("_never")
    if how == "flush_again":
        assert state["late"] <= 1
