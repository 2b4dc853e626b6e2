"""Programs that end, or cancel their tasks, with WebSockets open. Handlers and clients must be told of it as
with stock Tornado, where each has a Task of its own.
"""

import re
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT, LIMIT
from support.live_http import PATIENCE

#: Its arguments are the package and what runs main(). Lines begin with whom they are about.
PROGRAM = """
import asyncio, contextlib, gc, importlib, logging, socket, sys, warnings

package, runner = sys.argv[1:]
web, websocket, ioloop, httpserver, netutil = (
    importlib.import_module(f"{package}.{name}")
    for name in ("web", "websocket", "ioloop", "httpserver", "netutil")
)
logging.basicConfig(format="log %(name)s %(message)s", stream=sys.stdout)

def say(who, *what):
    print(who, *what, flush=True)

class Handler(websocket.WebSocketHandler):
    def open(self, name):
        self.name = name
        say(name, "opens")

    def on_message(self, message):
        say(self.name, "message", message)

    def on_ws_connection_close(self, code=None, reason=None):
        protocol = self.ws_connection
        state = protocol and [protocol.client_terminated, protocol.server_terminated]
        say(self.name, "closed", code, reason, state)
        super().on_ws_connection_close(code, reason)

    def on_connection_close(self):
        super().on_connection_close()
        say(self.name, "left", self.ws_connection)

    def on_close(self):
        say(self.name, "on_close", self.close_code, self.close_reason)

peers = {}

class Peer:
    def __init__(self, name):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(
            f"GET /{name} HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n".encode()
        )
        self.sock.setblocking(False)

    async def head(self):
        data = b""
        while not data.endswith(b"\\r\\n\\r\\n"):
            data += await asyncio.get_running_loop().sock_recv(self.sock, 1)

    async def send(self, text):
        await asyncio.get_running_loop().sock_sendall(
            self.sock, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()
        )

    def rest(self):
        self.sock.settimeout(PATIENCE)
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := self.sock.recv(1000):
                data += more
        return data

async def serve(names="ab", handler=None):
    global port, server
    server = httpserver.HTTPServer(web.Application([("/(.*)", handler or Handler)]))
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    await connect(names)

async def connect(names):
    for name in names:
        peers[name] = Peer(name)
        await peers[name].head()
    await turns()

async def turns():
    for _ in range(20):
        await asyncio.sleep(0.002)

def others():
    return asyncio.all_tasks() - {asyncio.current_task()}

def run(main):
    if runner == "own":
        importlib.import_module(package).run(main())
    elif runner == "uvloop":
        importlib.import_module("uvloop").run(main())
    else:
        asyncio.run(main())
""".replace("PATIENCE", str(PATIENCE))

ENDED = """
run(main)
for name, peer in peers.items():
    say(name, "sees", peer.rest())
"""


def lines(text, package, runner):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + text, package, runner],
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def by_name(said):
    """The lines about each, in their order. That of the connections, and of the log, is chance with stock."""
    found = {}
    for line in said:
        name, _, what = line.partition(" ")
        if not line.startswith(" ") and re.fullmatch("[a-z]+", name):
            found.setdefault(name, []).append(what)
    return found | ({"log": sorted(found["log"])} if "log" in found else {})


@pytest.fixture(name="same", params=["own", "asyncio", "uvloop"])
def _same(request):
    """Runs a program; returns what it says about whom, with ours as with stock."""

    def run(text, end=ENDED):
        stock, stock_warnings = lines(text + end, "tornado", "asyncio")
        ours, our_warnings = lines(text + end, "tornado_c", request.param)
        assert by_name(ours) == by_name(stock)
        assert ("never awaited" in our_warnings) == ("never awaited" in stock_warnings)
        return by_name(ours)

    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return run


CANCELLED = ["opens", "closed None None [False, False]", "on_close None None", "left None"]


def test_the_program_ends(same):
    said = same("""
async def main():
    await serve()
    say("main", "ends")
""")
    assert said["a"] == said["b"] == [*CANCELLED, "sees b''"]


def test_one_that_was_closed_is_not_told_again(same):
    said = same("""
async def main():
    await serve()
    peers.pop("a").sock.close()
    await turns()
    say("main", "ends")
""")
    assert said["b"][:4] == CANCELLED
    assert said["a"] == ["opens", "closed None None [True, True]", "on_close None None", "left None"]


def test_on_close_that_raises(same):
    said = same("""
class Raises(Handler):
    def on_close(self):
        super().on_close()
        raise RuntimeError("mine")

async def main():
    await serve("abc", Raises)
""")
    assert said["a"][-2:] == ["on_close None None", "sees b''"]
    assert said["log"] == [
        f"tornado.application Uncaught exception GET /{name} (127.0.0.1)" for name in "abc"
    ]


def test_on_close_that_is_a_coroutine(same):
    said = same("""
class Coroutine(Handler):
    async def on_close(self):
        say("never")

async def main():
    await serve("ab", Coroutine)
""")
    assert "never" not in said


def test_on_close_that_writes_and_closes(same):
    said = same("""
class Writes(Handler):
    def on_close(self):
        try:
            self.write_message("farewell")
        except websocket.WebSocketClosedError:
            say(self.name, "cannot write")
        self.close()

async def main():
    await serve("ab", Writes)
""")
    assert said["a"][-3:] == ["cannot write", "left None", "sees b''"]


def test_a_close_that_calls_nothing_above(same):
    same("""
class Own(Handler):
    def on_ws_connection_close(self, code=None, reason=None):
        say(self.name, "closed", code, reason)

async def main():
    await serve("ab", Own)
""")


def test_a_message_that_is_being_handled(same):
    said = same("""
class Slow(Handler):
    async def on_message(self, message):
        try:
            await asyncio.sleep(100)
        finally:
            for _ in range(9):
                await asyncio.sleep(0)
            say("message", "ends")

async def main():
    await serve("a", Slow)
    await peers["a"].send("x")
    await turns()
""")
    assert said["a"] == [*CANCELLED, "sees b''"] and said["message"] == ["ends"]


def test_a_closing_handshake_that_waits(same):
    same("""
class Closes(Handler):
    def on_message(self, message):
        self.close(1001, "bye")

async def main():
    await serve("ab", Closes)
    await peers["a"].send("x")
    await turns()
""")


def test_get_of_the_applications_own(same):
    said = same("""
class Own(Handler):
    async def get(self, name):
        try:
            await super().get(name)
            say(name, "returns")
        finally:
            say(name, "ends")

async def main():
    await serve("ab", Own)
""")
    assert said["a"] == [*CANCELLED, "returns", "ends", "sees b''"]


def test_the_application_cancels_all(same):
    said = same("""
async def main():
    await serve()
    for _ in range(2):
        tasks = others()
        for task in tasks:
            task.cancel()
        say("main", set(await asyncio.gather(*tasks)), len(others()))
        await connect("c")
    say("main", "ends")
""")
    assert said["main"] == ["{None} 0", "{None} 0", "ends"]


@pytest.mark.parametrize("where", ["open", "on_message"])
def test_all_are_cancelled_by_a_handler(same, where):
    """In the turn in which the connection is opened, or from a callback of its own."""
    same(
        """
class Cancels(Handler):
    def open(self, name):
        super().open(name)
        if WHERE == "open":
            self.cancel()

    def on_message(self, message):
        self.cancel()

    def cancel(self):
        for task in asyncio.all_tasks() - keep:
            task.cancel()

async def main():
    global keep
    keep = {asyncio.current_task()}
    await serve("a", Cancels)
    if WHERE != "open":
        await peers["a"].send("x")
    await turns()
    say("main", len(others()))
""".replace("WHERE", repr(where))
    )


def test_who_waits_for_all_waits_for_the_last(same):
    said = same("""
async def main():
    await serve()
    tasks = others()
    say("main", bool(tasks))
    async def close():
        for name in "ab":
            await turns()
            say("main", all(task.done() for task in tasks))
            peers.pop(name).sock.close()
    closing = asyncio.create_task(close())
    await asyncio.gather(*tasks)
    say("main", "all")
    await closing
    say("main", len(others()))
""")
    assert said["main"] == ["True", "False", "False", "all", "0"]


def test_one_after_the_other(same):
    """The Task ends with the last connection, and there is another with the next."""
    same("""
async def main():
    await serve("")
    for name in "abc":
        await connect(name)
        say("main", len(others()))
        peers.pop(name).sock.close()
        await turns()
        say("main", len(others()))
""")


@pytest.mark.parametrize("signature", ["loop, coroutine", "loop, coroutine, **kwargs"])
def test_a_task_factory(request, same, signature):
    if "kwargs" not in signature and request.node.callspec.params["same"] == "uvloop":
        pytest.skip("uvloop calls its factories with a context")
    said = same(
        """
def factory(SIGNATURE):
    assert asyncio.iscoroutine(coroutine) and hasattr(coroutine, "cr_code")
    return asyncio.Task(coroutine, loop=loop)

async def main():
    asyncio.get_running_loop().set_task_factory(factory)
    await serve()
""".replace("SIGNATURE", signature)
    )
    assert said["a"] == [*CANCELLED, "sees b''"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no such factory")
def test_eager_tasks(same):
    said = same("""
async def main():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    await serve()
""")
    assert said["a"] == [*CANCELLED, "sees b''"]


def test_clients(same):
    said = same("""
async def main():
    await serve("")
    def on_message(message):
        say("callback", message)
    url = f"ws://127.0.0.1:{port}/"
    one = await websocket.websocket_connect(url + "a", on_message_callback=on_message)
    two = await websocket.websocket_connect(url + "b")
    await one.write_message("hello")
    waiting = two.read_message()
    await turns()
    tasks = others()
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    say("main", sorted(repr(result) for result in results if result is not None))
    say("main", await waiting, one.close_code, two.close_code, one.protocol.is_closing())
""")
    assert said["callback"] == ["None"]


def test_a_client_may_write_when_it_was_cancelled(same):
    said = same("""
async def main():
    await serve("")
    client = await websocket.websocket_connect(f"ws://127.0.0.1:{port}/a")
    await turns()
    (task,) = (task for task in others() if "_receive_frame_loop" in repr(task.get_coro()))
    task.cancel()
    say("main", await client.read_message())
    await client.write_message("still there")
    await turns()
""")
    assert said["main"] == ["None"] and "message still there" in said["a"]


STARTED = """
async def main():
    await serve()
    loop.stop()

loop = ioloop.IOLoop.current()
loop.add_callback(main)
loop.start()
say("main", "stopped")
"""


@pytest.mark.parametrize("end", ["", "loop.close()", "loop.close(all_fds=True)", "del peers"])
def test_a_loop_that_is_stopped(end):
    """Nobody is told, and nothing is logged."""
    ours, _ = lines(STARTED + end, "tornado_c", "own")
    stock, _ = lines(STARTED + end, "tornado", "own")
    assert by_name(ours) == by_name(stock) == {"a": ["opens"], "b": ["opens"], "main": ["stopped"]}


def test_a_loop_that_is_closed_with_tasks():
    text = """
loop = MAKE
asyncio.set_event_loop(loop)
loop.run_until_complete(serve())
loop.close()
gc.collect()
say("main", "closed")
"""
    for make in "asyncio.new_event_loop()", "importlib.import_module('tornado_c').EventLoop()":
        ours, _ = lines(text.replace("MAKE", make), "tornado_c", "own")
        assert by_name(ours) == {"a": ["opens"], "b": ["opens"], "main": ["closed"]}
    stock, _ = lines(text.replace("MAKE", "asyncio.new_event_loop()"), "tornado", "own")
    assert by_name(stock) == by_name(ours)


def test_a_drain_tells_websockets_that_the_server_goes_away():
    """Nobody waits for the drain's limit: they close in their own time, and what they sent still arrives."""
    text = """
async def main():
    await serve()
    await peers["b"].send("late")
    drained = asyncio.ensure_future(server.drain(timeout=3600))
    for name, peer in peers.items():
        say(name, "gets", await asyncio.get_running_loop().sock_recv(peer.sock, 100))
        await asyncio.get_running_loop().sock_sendall(peer.sock, bytes.fromhex("88820000000003e9"))
    say("drained", await drained)
"""
    said = by_name(lines(text + ENDED, "tornado_c", "own")[0])
    frame = f"gets {bytes.fromhex('880203e9')!r}"
    ends = ["closed 1001 None [True, True]", "on_close 1001 None", "left None", "sees b''"]
    assert said["a"] == ["opens", frame, *ends] and said["drained"] == ["True"]
    assert said["b"] == ["opens", "message late", frame, *ends]


@pytest.mark.parametrize(
    "how", ["pass", "del loop, self.ws_connection", "loop.call_soon(loop.stop), loop.close()"]
)
def test_a_forked_child_leaves_its_parents_websockets_alone(how):
    text = f"""
import os

class Forks(Handler):
    def on_message(self, message):
        super().on_message(message)
        self.write_message("before")
        loop = asyncio.get_running_loop()
        if (pid := os.fork()) == 0:
            with contextlib.suppress(RuntimeError):
                {how}
            gc.collect()
            os._exit(0)
        self.write_message(f"child {{os.waitpid(pid, 0)[1]}}")

async def main():
    await serve(handler=Forks)
    for name, peer in [*peers.items()] * 2:
        await peer.send("fork")
        said = b""
        while b"child" not in said:
            said += await asyncio.get_running_loop().sock_recv(peer.sock, 100)
        say(name, "hears", said)
"""
    said = by_name(lines(text + ENDED, "tornado_c", "own")[0])
    heard = f"hears {bytes.fromhex('8106') + b'before' + bytes.fromhex('8107') + b'child 0'!r}"
    assert said["a"] == said["b"]
    assert [line for line in said["a"] if "hears" in line] == [heard, heard]
