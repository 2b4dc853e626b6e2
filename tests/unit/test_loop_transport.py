"""The loop's socket transport: the same scripts over the standard library's loop and ours have to leave the
same record."""

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import re
import socket
import ssl
import tempfile
import time
import warnings
import weakref

import pytest
import tornado.test

import tornado_c
from tornado_c._asyncio.transport import SocketTransport

LIMIT = 30  # seconds: far beyond what anything here takes
TLS_FOLDER = os.path.dirname(tornado.test.__file__)
NAME = "_Selector(?=Socket)|0x[0-9a-f]+|[0-9]+"  # what differs between two transports' texts
VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def recorder(base, record, **overrides):
    """Return a protocol class that notes each call in `record`; `overrides` do so and then what they say."""

    def noting(name):
        def method(self, *args):
            noted = [self if isinstance(arg, asyncio.BaseTransport) else arg for arg in args]
            noted = ["transport" if arg is self else arg for arg in noted]
            noted = [bytes(arg) if isinstance(arg, bytearray) else arg for arg in noted]
            record.append((name, *(repr(arg) for arg in noted)))
            return overrides[name](self, *args) if name in overrides else None

        return method

    names = ["connection_made", "connection_lost", "eof_received", "pause_writing", "resume_writing"]
    names += ["data_received"] if base is asyncio.Protocol else ["get_buffer", "buffer_updated"]
    return type("Recorder", (base,), {name: noting(name) for name in names})


class Scene:
    """A loop of either kind, with a connected pair: a transport and a plain socket as its peer."""

    def __init__(self, loop):
        self.loop = loop
        self.record = []
        self.errors = []
        loop.set_exception_handler(self.on_error)
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.settimeout(LIMIT)

    def on_error(self, loop, context):
        message = re.sub(NAME, "", context["message"].partition("(")[0])
        self.errors.append((message, repr(context.get("exception")), sorted(context)))

    def open(self, base=asyncio.Protocol, waiter=None, **overrides):
        self.protocol = recorder(base, self.record, **overrides)()
        self.transport = self.loop._make_socket_transport(self.near, self.protocol, waiter)
        self.turns(3)
        return self.transport

    def note(self, what):
        self.record.append(("note", what))

    def turns(self, count=1):
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def until(self, done):
        deadline = time.monotonic() + LIMIT
        while not done():
            assert time.monotonic() < deadline, self.record
            self.turns()

    def lost(self):
        self.until(lambda: self.record and self.record[-1][0] == "connection_lost")

    def told(self, name, count=1):
        self.until(lambda: [call[0] for call in self.record].count(name) >= count)

    def outcome(self):
        return self.record, self.errors


@contextlib.contextmanager
def scene(make_loop):
    loop = make_loop()
    here = Scene(loop)
    try:
        yield here
    finally:
        if hasattr(here, "transport") and here.transport._loop is not None:
            here.transport.abort()
            here.turns(2)
        here.near.close()
        here.far.close()
        loop.close()


def echo(here):
    transport = here.open(data_received=lambda self, data: here.transport.write(data))
    for size in (1, 64, 4096):
        here.far.sendall(b"x" * size)
        here.told("data_received", len([call for call in here.record if call[0] == "data_received"]) + 1)
        here.note(len(here.far.recv(size, socket.MSG_WAITALL)))
    assert transport.get_write_buffer_size() == 0
    here.far.close()
    here.lost()


def eof_kept_open(here):
    here.open(eof_received=lambda self: True)
    here.far.shutdown(socket.SHUT_WR)
    here.told("eof_received")
    here.turns(3)
    here.transport.write(b"late")
    here.note(here.far.recv(10))
    here.note(here.transport.is_closing())
    here.transport.close()
    here.lost()


def eof_fails(here):
    here.open(eof_received=lambda self: 1 / 0)
    here.far.close()
    here.lost()


def data_fails(here):
    here.open(data_received=lambda self, data: 1 / 0)
    here.far.sendall(b"boom")
    here.lost()


def made_fails(here):
    here.open(connection_made=lambda self, transport: 1 / 0)
    here.far.sendall(b"still read")
    here.told("data_received")


def buffered(here):
    room = bytearray(8)
    here.open(asyncio.BufferedProtocol, get_buffer=lambda self, hint: room)
    here.far.sendall(b"123456789abc")
    here.told("buffer_updated", 2)
    here.note(bytes(room))
    here.far.close()
    here.lost()


def buffered_empty(here):
    here.open(asyncio.BufferedProtocol, get_buffer=lambda self, hint: bytearray())
    here.far.sendall(b"1")
    here.lost()


def buffered_readonly(here):
    here.open(asyncio.BufferedProtocol, get_buffer=lambda self, hint: b"readonly")
    here.far.sendall(b"1")
    here.lost()
    here.record[-1] = "lost"
    here.errors[:] = [error[0] for error in here.errors]


def buffered_update_fails(here):
    here.open(
        asyncio.BufferedProtocol,
        get_buffer=lambda self, hint: bytearray(10),
        buffer_updated=lambda self, count: 1 / 0,
    )
    here.far.sendall(b"1")
    here.lost()


def protocol_changed(here):
    here.open()
    other = recorder(asyncio.BufferedProtocol, here.record, get_buffer=lambda self, hint: bytearray(20))()
    here.far.sendall(b"first")
    here.told("data_received")
    here.transport.set_protocol(other)
    assert here.transport.get_protocol() is other
    here.far.sendall(b"second")
    here.told("buffer_updated")
    here.transport.set_protocol(here.protocol)
    here.far.sendall(b"third")
    here.told("data_received", 2)
    here.protocol.data_received = lambda data: here.record.append(("replaced", data))
    here.far.sendall(b"fourth")
    here.told("replaced")


def paused(here):
    here.open()
    here.transport.pause_reading()
    here.transport.pause_reading()
    here.note(here.transport.is_reading())
    here.far.sendall(b"wait")
    here.turns(5)
    here.note("resume")
    here.transport.resume_reading()
    here.transport.resume_reading()
    here.note(here.transport.is_reading())
    here.told("data_received")


def paused_within(here):
    here.open(data_received=lambda self, data: here.transport.pause_reading())
    here.far.sendall(b"1")
    here.told("data_received")
    here.far.sendall(b"2")
    here.turns(5)
    here.note("resume")
    here.transport.resume_reading()
    here.told("data_received", 2)


def closed_within(here):
    here.open(data_received=lambda self, data: here.transport.close())
    here.far.sendall(b"1")
    here.lost()


def aborted_within(here):
    here.open(data_received=lambda self, data: here.transport.abort())
    here.far.sendall(b"1")
    here.lost()


def flow_control(here):
    here.open()
    here.transport.set_write_buffer_limits(high=4000, low=1000)
    here.note(here.transport.get_write_buffer_limits())
    size = 3_000_000
    here.transport.write(b"a" * size)
    here.transport.write(memoryview(b"b" * 10))
    assert here.transport.get_write_buffer_size() > 4000
    here.far.setblocking(False)
    got = bytearray()
    while len(got) < size + 10:
        here.turns()
        with contextlib.suppress(BlockingIOError):
            got += here.far.recv(1 << 20)
    here.turns(3)
    here.note((len(got), bytes(got[-12:]), here.transport.get_write_buffer_size()))


def flow_control_fails(here):
    here.open(pause_writing=lambda self: 1 / 0, resume_writing=lambda self: 1 / 0)
    here.transport.write(b"a" * 3_000_000)
    here.transport.close()
    here.note(here.transport.is_closing())
    here.far.setblocking(False)
    while here.record[-1][0] != "connection_lost":
        here.turns()
        with contextlib.suppress(BlockingIOError):
            here.far.recv(1 << 20)


def limits(here):
    here.open()
    for arguments in ({}, {"high": 10}, {"low": 10}, {"high": 0}, {"high": 1, "low": 2}, {"low": -1}):
        try:
            here.transport.set_write_buffer_limits(**arguments)
        except ValueError as error:
            here.note(str(error))
        here.note(here.transport.get_write_buffer_limits())


def write_kinds(here):
    here.open()
    words = memoryview(b"0123456789abcdef").cast("I")
    for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view"), memoryview(b"-i-s-")[1::1], words):
        here.transport.write(data)
    here.transport.writelines([b"many ", bytearray(b"lines "), memoryview(b"here")])
    here.note(here.far.recv(100))
    for wrong in ("text", None, 1, [b"list"]):
        try:
            here.transport.write(wrong)
        except TypeError as error:
            here.note(str(error))


def write_strided(here):
    here.open()
    here.transport.write(memoryview(b"a-b-c-")[::2])
    here.lost()
    here.record[-1] = "lost"


def write_eof(here):
    here.open()
    here.note(here.transport.can_write_eof())
    here.transport.write(b"last")
    here.transport.write_eof()
    here.transport.write_eof()
    for data in (b"more", b""):
        try:
            here.transport.write(data)
        except RuntimeError as error:
            here.note(str(error))
    here.note(here.far.recv(10))
    here.note(here.far.recv(10))
    here.far.sendall(b"still read")
    here.told("data_received")


def peer_gone(here):
    here.open()
    here.transport.pause_reading()
    here.far.close()
    for _ in range(9):
        here.transport.write(b"unheard")
    here.lost()
    for _ in range(3):
        here.transport.write(b"unheard")


def closed(here):
    transport = here.open()
    transport.close()
    transport.close()
    here.note((transport.is_closing(), transport.is_reading()))
    transport.write(b"sent still")
    here.lost()
    here.note((transport._sock, transport._protocol, transport._loop, here.near.fileno()))
    here.note(here.far.recv(10))
    transport.resume_reading()
    transport.abort()


def queued_order(here):
    """What was queued before the descriptor became readable comes before its data."""
    here.open(data_received=lambda self, data: here.loop.call_soon(here.note, "after"))
    here.far.sendall(b"1")
    here.loop.call_soon(here.note, "before")
    here.loop.call_soon(lambda: here.loop.call_soon(here.note, "next turn"))
    here.until(lambda: ("note", "after") in here.record)


def context(here):
    VARIABLE.set("opener")
    here.open(data_received=lambda self, data: here.note(VARIABLE.get()))
    VARIABLE.set("later")
    here.far.sendall(b"1")
    here.told("data_received")


def cancelled_waiter(here):
    waiter = here.loop.create_future()
    waiter.cancel()
    here.open(waiter=waiter)
    here.note(waiter.cancelled())


def waiter(here):
    future = here.loop.create_future()
    future.add_done_callback(lambda done: here.note("waiter"))
    here.far.sendall(b"1")
    here.open(waiter=future)
    here.told("data_received")


def empty_waiter(here):
    here.open()
    done = here.transport._make_empty_waiter()
    here.note(done.done())
    for call in (here.transport._make_empty_waiter, lambda: here.transport.write(b"x")):
        try:
            call()
        except RuntimeError as error:
            here.note(str(error))
    here.transport._reset_empty_waiter()
    here.transport.write(b"x")
    here.note(here.far.recv(3))


def interrupt(here):
    def stop(self, data):
        raise KeyboardInterrupt

    here.open(data_received=stop)
    here.far.sendall(b"1")
    try:
        here.until(lambda: False)
    except KeyboardInterrupt:
        here.note("interrupted")
    here.note(here.transport.is_closing())


def representations(here):
    def show():
        text = repr(here.transport).replace("_SelectorSocketTransport", "SocketTransport")
        here.note(re.sub(r"\d+", "N", text))

    transport = here.open()
    show()
    transport.pause_reading()
    show()
    transport.write(b"a" * 3_000_000)
    show()
    transport.close()
    show()
    transport.abort()
    here.lost()
    show()


def extra_info(here):
    transport = here.open()
    for name in ("sockname", "peername", "nothing"):
        here.note(transport.get_extra_info(name))
    here.note(transport.get_extra_info("nothing", 5))
    info = transport.get_extra_info("socket")
    here.note((type(info).__name__, info.fileno() == here.near.fileno()))
    here.note(here.loop._transports[here.near.fileno()] is transport)
    try:
        here.loop.remove_reader(here.near)
    except RuntimeError as error:
        here.note("is used by transport" in str(error))


SCRIPTS = [
    echo, eof_kept_open, eof_fails, data_fails, made_fails, buffered, buffered_empty, buffered_readonly,
    buffered_update_fails, protocol_changed, paused, paused_within, closed_within, aborted_within,
    flow_control, flow_control_fails, limits, write_kinds, write_strided, write_eof, peer_gone, closed,
    queued_order, context, cancelled_waiter, waiter, empty_waiter, interrupt, representations, extra_info,
]  # fmt: skip


def played(script, make_loop, debug, caplog):
    caplog.clear()
    with scene(make_loop) as here:
        here.loop.set_debug(debug)
        here.loop.slow_callback_duration = LIMIT
        contextvars.copy_context().run(script, here)
        here.turns(3)
        logged = [re.sub(NAME, "", entry.getMessage()) for entry in caplog.records]
        logged = [text for text in logged if not text.startswith("Using selector")]
        return *here.outcome(), logged


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_as_the_standard_loop(script, debug, caplog):
    caplog.set_level(logging.DEBUG if debug else logging.WARNING, "asyncio")
    expected = played(script, asyncio.SelectorEventLoop, debug, caplog)
    assert played(script, tornado_c.EventLoop, debug, caplog) == expected


# ---- ours ----


def test_the_class():
    with scene(tornado_c.EventLoop) as here:
        transport = here.open()
        assert type(transport) is SocketTransport
        assert isinstance(transport, asyncio.Transport)


def test_sockets_with_methods_of_their_own_are_called():
    class Counting(socket.socket):
        calls = 0

        def recv(self, *args):
            type(self).calls += 1
            return super().recv(*args)

    with scene(tornado_c.EventLoop) as here:
        here.near = Counting(fileno=here.near.detach())
        here.near.setblocking(False)
        here.open()
        here.far.sendall(b"1")
        here.told("data_received")
        assert Counting.calls == 1 and type(here.transport) is not SocketTransport


def test_subclass_with_read_ready_of_its_own():
    seen = []

    class Transport(SocketTransport):
        def _read_ready(self):
            seen.append("event")
            super()._read_ready()

    with scene(tornado_c.EventLoop) as here:
        protocol = recorder(asyncio.Protocol, here.record)()
        here.transport = Transport(here.loop, here.near, protocol)
        here.far.sendall(b"1")
        here.told("data_received")
        assert seen == ["event"]


def test_unclosed_transport_is_reported_and_freed():
    with scene(tornado_c.EventLoop) as here:
        here.open()
        here.transport.pause_reading()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del here.transport
            gc.collect()
        assert [entry.category for entry in told] == [ResourceWarning]
        assert "unclosed transport" in str(told.pop().message)


def test_cycle_with_the_protocol_is_collected():
    loop = tornado_c.EventLoop()
    near, far = socket.socketpair()
    near.setblocking(False)
    protocol = recorder(asyncio.Protocol, [])()
    protocol.transport = loop._make_socket_transport(near, protocol)
    loop.call_soon(loop.stop)
    loop.run_forever()
    gone = weakref.ref(protocol.transport)
    protocol.transport.close()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    del protocol, loop
    gc.collect()
    assert gone() is None and near.fileno() == -1
    far.close()


def test_a_base_without_init():
    transport = SocketTransport.__new__(SocketTransport)
    assert transport._sock is None and transport.get_protocol() is None
    transport._read_ready()
    transport._add_reader(0, transport._read_ready)
    with pytest.raises(TypeError):
        transport.write("text")
    with pytest.raises(TypeError):
        transport._paused = 1


def test_many_bytes_through_streams():
    async def main():
        async def serve(reader, writer):
            while data := await reader.read(100_000):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        sent = os.urandom(5_000_000)

        async def send():
            for start in range(0, len(sent), 70_000):
                writer.write(sent[start : start + 70_000])
                await writer.drain()
            writer.write_eof()

        task = asyncio.create_task(send())
        got = await reader.read()
        await task
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return got == sent and writer.transport.__class__.__name__ == "SocketTransport"

    with asyncio.Runner(loop_factory=tornado_c.EventLoop) as runner:
        assert runner.run(asyncio.wait_for(main(), LIMIT))


def test_tls_and_sendfile():
    async def main(tls):
        server_side = client_side = None
        if tls:
            server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            server_side.load_cert_chain(
                os.path.join(TLS_FOLDER, "test.crt"), os.path.join(TLS_FOLDER, "test.key")
            )
            client_side = ssl.create_default_context(cafile=os.path.join(TLS_FOLDER, "test.crt"))
            client_side.check_hostname = False
            client_side.verify_mode = ssl.CERT_NONE
        contents, ended = os.urandom(1_000_000), asyncio.Event()
        with tempfile.TemporaryFile() as file:
            file.write(contents)
            file.flush()

            async def close(writer):
                writer.close()
                with contextlib.suppress(ssl.SSLError):
                    await writer.wait_closed()

            async def serve(reader, writer):
                writer.write(await reader.readline())
                if tls:
                    writer.write(contents)
                else:
                    await asyncio.get_running_loop().sendfile(writer.transport, file)
                await writer.drain()
                await close(writer)
                ended.set()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address, ssl=client_side)
            writer.write(b"hello\n")
            got = await reader.read()
            await close(writer)
            await ended.wait()
            server.close()
            await server.wait_closed()
        assert got == b"hello\n" + contents

    with asyncio.Runner(loop_factory=tornado_c.EventLoop) as runner:
        runner.run(asyncio.wait_for(main(False), LIMIT))
        runner.run(asyncio.wait_for(main(True), LIMIT))
