"""A loop from its making to its end: many loops, loops closed with work pending, the interpreter's end,
forks, threads, signals, subclasses.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import pytest

import tornado_c

LIMIT = 60  # seconds: far beyond what anything here takes
PLAIN = {"PYTHONWARNINGS": "", "PYTHONDEVMODE": ""}  # children that warn of nothing but what is asked


def child(program, *options, env=None):
    """Run a program in an interpreter of its own; return (status, output, errors)."""
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def loop():
    with contextlib.closing(tornado_c.new_event_loop()) as loop:
        yield loop


# --------------------------------------------------------------------------- many loops


def one_life():
    loop = tornado_c.new_event_loop()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_ten_thousand_loops():
    for _ in range(50):
        one_life()
    gc.collect()
    fds, objects = descriptors(), len(gc.get_objects())
    for _ in range(10_000):
        one_life()
    gc.collect()
    assert descriptors() == fds
    assert len(gc.get_objects()) - objects < 50


def test_loops_that_are_never_run():
    before = descriptors()
    for _ in range(200):
        tornado_c.new_event_loop().close()
    assert descriptors() == before


# --------------------------------------------------------------------------- closed with work pending


class Witness:
    """What a callback holds."""

    def __call__(self, *args):
        raise AssertionError("not to be called")


@pytest.mark.parametrize("run", [False, True], ids=["never run", "run before"])
def test_closed_with_work_pending(run):
    before = descriptors()
    loop = tornado_c.new_event_loop()
    if run:
        loop.call_soon(loop.stop)
        loop.run_forever()
    a, b = socket.socketpair()
    witnesses = [Witness() for _ in range(7)]
    soon, later, reader, writer, cyclic, soon_args, at = witnesses
    handles = [
        loop.call_soon(soon),
        loop.call_later(0, later),
        loop.call_soon(print, soon_args, 1, 2),
        loop.call_at(loop.time() + 1000, at, loop),
    ]
    loop.add_reader(a, reader)
    loop.add_writer(a, writer, loop)
    cyclic.loop = loop
    loop.call_soon(cyclic, cyclic)
    b.send(b"x")
    gone = [weakref.ref(witness) for witness in witnesses]
    gone_loop = weakref.ref(loop)
    loop.close()
    del witnesses, soon, later, reader, writer, cyclic, soon_args, at, loop, handles
    gc.collect()
    assert [ref() for ref in gone] == [None] * 7 and gone_loop() is None
    a.close()
    b.close()
    assert descriptors() == before


def test_closed_with_tasks_pending(caplog):
    async def forever(held):
        await asyncio.sleep(1000)

    loop = tornado_c.new_event_loop()
    witness = Witness()
    started, fresh = (loop.create_task(forever(witness)) for _ in range(2))
    loop.call_soon(loop.stop)
    loop.run_forever()
    gone = [weakref.ref(witness), weakref.ref(loop), weakref.ref(started)]
    loop.close()
    with caplog.at_level(logging.CRITICAL, "asyncio"):  # "Task was destroyed but it is pending!"
        del witness, loop, started, fresh
        gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_calls_on_a_closed_loop(loop):
    loop.close()
    loop.close()
    for call in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()


# --------------------------------------------------------------------------- the interpreter's end

SHUTDOWN = """
import asyncio, socket, sys
import tornado_c
from tornado_c import httpserver, ioloop, iostream, netutil, tcpserver

class Echo(tcpserver.TCPServer):
    async def handle_stream(self, stream, address):
        await stream.read_until(b"never")

loop = ioloop.IOLoop.current()
sockets = netutil.bind_sockets(0, "127.0.0.1")
server = httpserver.HTTPServer(lambda request: None)
server.add_sockets(sockets)
echo_sockets = netutil.bind_sockets(0, "127.0.0.1")
echo = Echo()
echo.add_sockets(echo_sockets)
clients = [socket.create_connection(s.getsockname()) for s in (*sockets, *echo_sockets)]
clients[0].sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET /")
a, b = socket.socketpair()
stream = iostream.IOStream(a)
reading = stream.read_bytes(10)
loop.call_later(3600, print)
loop.add_callback(print)
loop.add_handler(b, lambda *args: None, loop.WRITE)
periodic = ioloop.PeriodicCallback(lambda: None, 1)
periodic.start()
loop.call_later(0.05, END)
loop.start()
"""


@pytest.mark.parametrize("end", ["loop.stop", "sys.exit"])
@pytest.mark.parametrize(
    "keep", ["", "\nsys.kept = dict(globals())", "\nimport builtins; builtins.loop = loop"]
)
def test_interpreter_ends_over_a_running_server(end, keep):
    status, out, errors = child(SHUTDOWN.replace("END", end) + keep, env=PLAIN)
    assert (status, out.strip(), errors) == (0, "", "")


def test_interpreter_ends_with_a_loop_in_a_daemon_thread():
    program = """
import threading, tornado_c
loop = tornado_c.new_event_loop()
running = threading.Event()
loop.call_soon(running.set)
def tick():
    loop.call_later(0.0005, tick)
loop.call_soon(tick)
threading.Thread(target=loop.run_forever, daemon=True).start()
running.wait()
loop.call_soon_threadsafe(print, "ran")
import time; time.sleep(0.05)
"""
    assert child(program, env=PLAIN) == (0, "ran\n", "")


# --------------------------------------------------------------------------- fork

FORK = """
import asyncio, os, socket, sys, threading, time
import tornado_c

def check(loop, a, b, name):
    "Readers, timers and calls from another thread all arrive on this side."
    got = []
    async def main():
        asked = asyncio.Event()
        loop.add_reader(a, lambda: (got.append(a.recv(100)), asked.set()))
        loop.call_later(0.02, b.send, name)
        await asyncio.wait_for(asked.wait(), 20)
        loop.remove_reader(a)
        other = loop.create_future()
        def from_a_thread():
            time.sleep(0.02)
            loop.call_soon_threadsafe(other.set_result, name)
        thread = threading.Thread(target=from_a_thread)
        thread.start()
        got.append(await asyncio.wait_for(other, 20))
        thread.join()
    loop.run_until_complete(main())
    assert got == [name, name], got

loop = tornado_c.new_event_loop()
a, b = socket.socketpair()
kept_a, kept_b = socket.socketpair()
check(loop, a, b, b"before")
told = []
loop.add_reader(kept_a, lambda: told.append(kept_a.recv(1)))
pid = os.fork()
if pid == 0:
    a, b = socket.socketpair()
    loop.remove_reader(kept_a)  # here only
    check(loop, a, b, b"child")
    loop.close()
    os._exit(0)
check(loop, a, b, b"parent")
assert os.waitpid(pid, 0)[1] == 0
check(loop, a, b, b"after")
kept_b.send(b"k")
loop.run_until_complete(asyncio.sleep(0.05))
assert told == [b"k"], told
loop.close()
print("done")
"""


def test_fork():
    # A thread that was joined may still be counted as the system's when Python looks for threads.
    quiet = ("-W", "ignore::DeprecationWarning")
    assert child(FORK, *quiet, env=PLAIN) == (0, "done\n", "")


# --------------------------------------------------------------------------- threads


def test_loops_in_four_threads():
    count, calls = 4, 500
    loops = [tornado_c.new_event_loop() for _ in range(count)]
    got = [[] for _ in range(count)]
    gate = threading.Barrier(count)
    failures = []

    def receive(place, sender, i):
        if threading.get_ident() != idents[place]:
            failures.append("another thread's callback")
        got[place].append((sender, i))
        if len(got[place]) == count * calls:
            loops[place].stop()

    async def send(place):
        for i in range(calls):
            for other in range(count):
                loops[other].call_soon_threadsafe(receive, other, place, i)
            if i % 50 == 0:
                await asyncio.sleep(0.001)

    idents = [0] * count

    def run(place):
        idents[place] = threading.get_ident()
        asyncio.set_event_loop(loops[place])
        gate.wait(LIMIT)
        task = loops[place].create_task(send(place))
        guard = loops[place].call_later(LIMIT, loops[place].stop)
        loops[place].run_forever()
        guard.cancel()
        if not task.done():
            loops[place].run_until_complete(task)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    for loop in loops:
        loop.close()
    assert failures == []
    for place in range(count):
        assert len(got[place]) == count * calls
        for sender in range(count):  # each sender's calls in their order
            assert [i for who, i in got[place] if who == sender] == [*range(calls)]


# --------------------------------------------------------------------------- subclasses


class VirtualTime(tornado_c.EventLoop):
    """Time stands still but for timers: the clock jumps to the next one when nothing else is to be done."""

    def __init__(self):
        self.virtual = 1000.0
        super().__init__()

    def time(self):
        return self.virtual

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.virtual = max(self.virtual, self._scheduled[0].when())
        super()._run_once()


def test_virtual_time():
    order = []

    async def sleeper(name, seconds):
        await asyncio.sleep(seconds)
        order.append((name, asyncio.get_running_loop().time()))

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(50, order.append, "later")
        loop.call_at(1150, order.append, "at")
        await asyncio.gather(sleeper("a", 200), sleeper("b", 100))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10_000), 5_000)
        return loop.time()

    began = time.monotonic()
    with contextlib.closing(VirtualTime()) as loop:
        assert loop.run_until_complete(main()) == 6200.0
    assert order == ["later", ("b", 1100.0), "at", ("a", 1200.0)]
    assert time.monotonic() - began < 30


def test_time_alone_overridden():
    """A clock that reads another time and runs slower: nothing else is replaced."""

    class Slow(tornado_c.EventLoop):
        def time(self):
            return 1e6 + super().time() / 4

    async def main():
        loop = asyncio.get_running_loop()
        began, began_here = loop.time(), time.monotonic()
        await asyncio.sleep(0.02)
        return loop.time() - began, time.monotonic() - began_here

    with contextlib.closing(Slow()) as loop:
        seconds, here = loop.run_until_complete(asyncio.wait_for(main(), 30))
    assert 0.019 <= seconds < 5 and here >= 0.075


# --------------------------------------------------------------------------- signals


def test_signal_handlers(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.call_later(LIMIT, loop.stop)
    loop.add_signal_handler(signal.SIGUSR1, lambda: (got.append(2), loop.stop()))
    loop.run_forever()
    assert got == [2]
    assert loop.remove_signal_handler(signal.SIGUSR1) and not loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_signal_from_a_thread_wakes_the_loop(loop):
    loop.add_signal_handler(signal.SIGUSR2, loop.stop)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR2))
    timer.start()
    began = time.monotonic()
    guard = loop.call_later(LIMIT, loop.stop)
    loop.run_forever()
    guard.cancel()
    timer.join()
    assert time.monotonic() - began < LIMIT / 2


def test_wakeup_descriptor_is_left_as_found():
    def found():
        fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        return fd

    a, b = socket.socketpair()
    a.setblocking(False)
    try:
        for outer in (-1, a.fileno()):
            signal.set_wakeup_fd(outer)
            loop = tornado_c.new_event_loop()
            loop.run_until_complete(asyncio.sleep(0))
            assert found() == outer
            loop.close()
            assert found() == outer
        signal.set_wakeup_fd(-1)
        with contextlib.closing(tornado_c.new_event_loop()) as loop:
            loop.add_signal_handler(signal.SIGUSR1, print)
            assert found() != -1
        assert found() == -1 and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    finally:
        signal.set_wakeup_fd(-1)
        a.close()
        b.close()


INTERRUPTS = """
import asyncio, os, signal, sys, tornado_c
factory = asyncio.SelectorEventLoop if sys.argv[1] == "standard" else tornado_c.new_event_loop
said = []
async def patient():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        said.append("cancelled")
        raise
async def busy():
    loop = asyncio.get_running_loop()
    def again():
        loop.call_soon(again)
    again()
    await patient()
async def main(body):
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
    await body()
for body in (patient, busy):
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main(body))
    except KeyboardInterrupt as error:
        said.append((type(error).__name__, error.args, type(error.__context__).__name__))
loop = factory()
loop.call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
try:
    loop.run_forever()
except KeyboardInterrupt:
    said.append(("plain", loop.is_running()))
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
print(said)
"""


def test_keyboard_interrupt_as_on_the_standard_loop():
    results = []
    for kind in ("standard", "ours"):
        command = [sys.executable, "-c", INTERRUPTS, kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        results.append((done.returncode, done.stdout, done.stderr))
    assert results[0] == results[1]
    assert results[1][0] == 0 and results[1][1].count("KeyboardInterrupt") == 2


# --------------------------------------------------------------------------- asyncio's own settings


def test_slow_callbacks_are_logged(loop, caplog):
    def slow():
        time.sleep(0.06)

    async def main():
        slow()
        await asyncio.sleep(0)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.05
    loop.call_soon(slow)
    loop.call_soon(time.sleep, 0)
    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.run_until_complete(main())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all(re.fullmatch(r"Executing <.*> took 0\.\d{3} seconds", line, re.S) for line in said)
    assert "slow" in said[0] and "Task" in said[1]


@pytest.mark.parametrize(
    "factory", [asyncio.SelectorEventLoop, tornado_c.EventLoop], ids=["standard", "ours"]
)
def test_cancelled_handles_say_so_in_debug_mode(factory):
    class Callback:
        """Its repr cancels again."""

        def __call__(self, *args):
            raise AssertionError("not to be called")

        def __repr__(self):
            for handle in handles:
                handle.cancel()
            return "the callback"

    with contextlib.closing(factory()) as loop:
        loop.set_debug(True)
        handles = [loop.call_soon(Callback()), loop.call_later(0, Callback(), Callback())]
        for handle in handles:
            handle.cancel()
            assert handle.cancelled() and "cancelled" in repr(handle) and "the callback" in repr(handle)
        loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought eager tasks")
def test_eager_tasks(loop):
    steps, inside = [], []

    async def step(name, wait):
        steps.append(name)
        inside.append(asyncio.current_task())
        if wait:
            await asyncio.sleep(0)
        return name

    async def main():
        outer = asyncio.current_task()
        done = loop.create_task(step("done", False))
        waits = loop.create_task(step("waits", True))
        assert done.done() and not waits.done() and steps == ["done", "waits"]
        assert asyncio.current_task() is outer and inside == [done, waits]
        return await asyncio.gather(done, waits)

    loop.set_task_factory(asyncio.eager_task_factory)
    assert loop.run_until_complete(main()) == ["done", "waits"]


async def which_loop():
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop())


def test_runner():
    with asyncio.Runner(loop_factory=tornado_c.new_event_loop, debug=True) as runner:
        assert runner.get_loop().get_debug()
        assert runner.run(which_loop()) is runner.run(which_loop()) is tornado_c.EventLoop
        loop = runner.get_loop()
    assert loop.is_closed()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run takes a loop_factory from Python 3.12 on")
def test_run_with_a_loop_factory():
    assert asyncio.run(which_loop(), loop_factory=tornado_c.EventLoop) is tornado_c.EventLoop
