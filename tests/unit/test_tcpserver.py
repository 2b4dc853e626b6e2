"""TCPServer over real sockets."""

import asyncio
import contextvars
import inspect
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest
import tornado.tcpserver

from support.live_tcp import TLS, LineServer, listening, run, talk
from tornado_c.ioloop import IOLoop
from tornado_c.tcpserver import TCPServer

ROOT = os.path.dirname(os.path.dirname(inspect.getfile(TCPServer)))


class FakeLoop:
    def add_handler(self, fd, handler, events):
        raise AssertionError("not needed")


LOOP = FakeLoop()
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class TestArguments:
    @pytest.mark.parametrize(
        ("args", "kwargs", "expected"),
        [
            # io_loop, ssl_options, max_buffer_size, read_chunk_size
            ((), {}, (None, None, None, None)),
            ((TLS,), {}, (None, TLS, None, None)),
            ((CONTEXT, 5, 6), {}, (None, CONTEXT, 5, 6)),
            ((None, 5), {}, (None, None, 5, None)),
            ((None, 5, 6), {}, (None, None, 5, 6)),
            ((), {"ssl_options": TLS, "max_buffer_size": 5, "read_chunk_size": 6}, (None, TLS, 5, 6)),
            ((LOOP,), {}, (LOOP, None, None, None)),
            ((LOOP, TLS), {}, (LOOP, TLS, None, None)),
            ((LOOP, None, 5, 6), {}, (LOOP, None, 5, 6)),
            ((LOOP,), {"ssl_options": CONTEXT}, (LOOP, CONTEXT, None, None)),
            ((None, TLS), {}, (None, TLS, None, None)),
            ((None, CONTEXT), {}, (None, CONTEXT, None, None)),
            ((None, None, 5, 6), {}, (None, None, 5, 6)),
            ((None,), {"ssl_options": TLS}, (None, TLS, None, None)),
            ((), {"io_loop": LOOP, "ssl_options": TLS}, (LOOP, TLS, None, None)),
            ((TLS,), {"io_loop": LOOP, "max_buffer_size": 5}, (LOOP, TLS, 5, None)),
        ],
    )
    def test_both_generations(self, args, kwargs, expected):
        server = TCPServer(*args, **kwargs)
        got = (server.io_loop, server.ssl_options, server.max_buffer_size, server.read_chunk_size)
        assert got == expected

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((1, 2, 3, 4, 5), {}), ((TLS,), {"ssl_options": TLS}), ((), {"no_such": 1})],
        ids=["too many", "twice", "unknown"],
    )
    def test_mistakes(self, args, kwargs):
        with pytest.raises(TypeError):
            TCPServer(*args, **kwargs)

    @pytest.mark.parametrize(
        "options",
        [{}, {"keyfile": "x"}, {"certfile": "/no/such"}, {**TLS, "keyfile": "/no/such"}],
        ids=["empty", "no certificate", "missing certificate", "missing key"],
    )
    def test_bad_certificates(self, options):
        raised = []
        for cls in (TCPServer, tornado.tcpserver.TCPServer):
            with pytest.raises((KeyError, ValueError)) as caught:
                cls(ssl_options=options)
            raised.append((caught.type, str(caught.value)))
        assert raised[0] == raised[1]

    @pytest.mark.parametrize(
        "name", ["listen", "bind", "start", "add_sockets", "add_socket", "stop", "handle_stream"]
    )
    def test_parameters(self, name):
        ours, stock = (
            [(p.name, p.default) for p in inspect.signature(getattr(cls, name)).parameters.values()]
            for cls in (TCPServer, tornado.tcpserver.TCPServer)
        )
        assert ours == stock

    def test_parameters_of_the_constructor(self):
        ours, stock = (
            [(p.name, p.default) for p in inspect.signature(cls).parameters.values()]
            for cls in (TCPServer, tornado.tcpserver.TCPServer)
        )
        added = [("proxy_protocol", False), ("trusted_proxies", None), ("proxy_protocol_timeout", 5.0)]
        assert ours == [*stock, ("io_loop", None), *added]

    def test_subclass_whose_init_does_not_call_ours(self):
        class Bare(TCPServer):
            def __init__(self):
                pass

        server = Bare()
        assert (server.io_loop, server.ssl_options) == (None, None)
        server.io_loop = LOOP
        assert server.io_loop is LOOP


def test_handle_stream_is_to_be_overridden():
    with pytest.raises(NotImplementedError):
        TCPServer().handle_stream(None, None)


# --------------------------------------------------------------------------- with a loop


@pytest.mark.guest
def test_coroutine():
    async def main():
        server = LineServer()
        port = listening(server)
        try:
            assert await talk(port, b"hello\n") == b"127.0.0.1 HELLO\n"
            answers = await asyncio.gather(*[talk(port, b"%d\n" % i) for i in range(20)])
            assert answers == [b"127.0.0.1 %d\n" % i for i in range(20)]
        finally:
            server.stop()

    run(main)


@pytest.mark.guest
@pytest.mark.parametrize("result", [None, 5, "text", [], {}], ids=repr)
def test_assigned_function_and_ignored_result(caplog, result):
    async def main():
        def handle_stream(stream, address):
            stream.write(b"hello")
            stream.close()
            return result

        server = TCPServer()
        server.handle_stream = handle_stream
        port = listening(server)
        assert await talk(port, b"") == b"hello"
        server.stop()

    run(main)
    assert not caplog.records


@pytest.mark.guest
def test_future_result(caplog):
    """A Future that fails later is reported by the loop."""

    async def main():
        future = asyncio.get_running_loop().create_future()

        def handle_stream(stream, address):
            stream.close()
            return future

        server = TCPServer()
        server.handle_stream = handle_stream
        port = listening(server)
        await talk(port, b"")
        future.set_exception(KeyError("told"))
        while not caplog.records:
            await asyncio.sleep(0)
        server.stop()

    run(main)
    (record,) = caplog.records
    assert record.name == "tornado.application"
    assert "told" in str(record.exc_info[1])


@pytest.mark.guest
def test_result_that_tornado_can_yield(caplog):
    """Where tornado.gen is in use a list of Futures is one too, as `convert_yielded` has it."""
    pytest.importorskip("tornado.gen")

    async def main():
        futures = [asyncio.get_running_loop().create_future() for _ in range(2)]

        def handle_stream(stream, address):
            stream.close()
            return futures

        server = TCPServer()
        server.handle_stream = handle_stream
        port = listening(server)
        await talk(port, b"")
        futures[0].set_result(None)
        futures[1].set_exception(KeyError("told"))
        while not caplog.records:
            await asyncio.sleep(0)
        server.stop()

    run(main)
    (record,) = caplog.records
    assert "told" in str(record.exc_info[1])


@pytest.mark.guest
def test_exception_is_logged(caplog):
    async def main():
        def handle_stream(stream, address):
            stream.close()
            raise KeyError("told")

        server = TCPServer()
        server.handle_stream = handle_stream
        port = listening(server)
        for _ in range(2):  # the server goes on
            await talk(port, b"")
        server.stop()

    run(main)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("tornado.application", "Error in connection callback")
    ] * 2
    assert isinstance(caplog.records[0].exc_info[1], KeyError)


@pytest.mark.guest
def test_exception_of_a_coroutine_is_logged(caplog):
    async def main():
        class Server(TCPServer):
            async def handle_stream(self, stream, address):
                stream.close()
                raise KeyError("told")

        server = Server()
        port = listening(server)
        await talk(port, b"")
        while not caplog.records:
            await asyncio.sleep(0)
        server.stop()

    run(main)
    (record,) = caplog.records
    assert record.name == "tornado.application"
    assert isinstance(record.exc_info[1], KeyError)


@pytest.mark.guest
def test_handle_connection_can_be_overridden():
    async def main():
        class Server(TCPServer):
            def _handle_connection(self, connection, address):
                with connection:
                    connection.sendall(b"raw")

        server = Server()
        port = listening(server)
        assert await talk(port, b"") == b"raw"
        server.stop()

    run(main)


@pytest.mark.guest
def test_io_loop():
    async def main():
        server = LineServer()
        assert server.io_loop is None
        port = listening(server)
        assert server.io_loop is IOLoop.current()
        server.stop()
        given = LineServer(io_loop=IOLoop.current())
        assert given.io_loop is IOLoop.current()
        port = listening(given)
        assert await talk(port, b"x\n") == b"127.0.0.1 X\n"
        given.stop()

    run(main)


@pytest.mark.guest
def test_listen_and_stop():
    async def main():
        server = LineServer()
        server.listen(0, "127.0.0.1")
        server.listen(0, "127.0.0.1")
        ports = [sock.getsockname()[1] for sock in server._sockets.values()]
        assert len(set(ports)) == 2
        for port in ports:
            assert await talk(port, b"x\n") == b"127.0.0.1 X\n"
        open_one, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        # Known to have been accepted once a later connection was answered.
        assert await talk(ports[0], b"x\n") == b"127.0.0.1 X\n"
        server.stop()
        server.stop()
        for port in ports:
            with pytest.raises(OSError):
                await talk(port, b"x\n")
        # What was accepted goes on.
        writer.write(b"y\n")
        assert await open_one.read() == b"127.0.0.1 Y\n"
        writer.close()
        await writer.wait_closed()

    run(main)


@pytest.mark.guest
def test_bind_and_start():
    async def main():
        server = LineServer()
        server.bind(0, "127.0.0.1")
        (pending,) = server._pending_sockets
        assert not server._sockets
        port = pending.getsockname()[1]
        answer = asyncio.ensure_future(talk(port, b"x\n"))
        server.start()
        assert await answer == b"127.0.0.1 X\n"
        assert not server._pending_sockets
        with pytest.raises(AssertionError):
            server.start()
        # Once started, binding is listening.
        server.bind(0, "127.0.0.1")
        assert len(server._sockets) == 2
        server.stop()

    run(main)


@pytest.mark.guest
def test_unix_socket(tmp_path):
    from tornado_c.netutil import bind_unix_socket

    async def main():
        class Server(TCPServer):
            async def handle_stream(self, stream, address):
                await stream.write(await stream.read_until(b"\n"))
                stream.close()

        path = str(tmp_path / "socket")
        server = Server()
        server.add_socket(bind_unix_socket(path))
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.stop()

    run(main)


@pytest.mark.guest
def test_context_of_the_listener():
    """A handler sees the context variables that were set when the sockets were added."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def main():
        class Server(TCPServer):
            async def handle_stream(self, stream, address):
                await stream.write(variable.get().encode())
                stream.close()

        variable.set("set")
        server = Server()
        port = listening(server)
        variable.set("set later")
        assert await talk(port, b"") == b"set"
        server.stop()

    run(main)


@pytest.mark.guest
def test_same_server_on_a_second_loop():
    server = LineServer()
    for _ in range(2):

        async def main():
            port = listening(server)
            assert await talk(port, b"x\n") == b"127.0.0.1 X\n"
            for remove in server._handlers.values():
                remove()
            for sock in server._sockets.values():
                sock.close()
            server._handlers.clear()
            server._sockets.clear()

        run(main)


WORKERS = """
import os, signal, sys
from tornado_c.ioloop import IOLoop
from tornado_c.tcpserver import TCPServer

class Server(TCPServer):
    async def handle_stream(self, stream, address):
        word = await stream.read_until(b"\\n")
        if word == b"crash\\n":
            os._exit(1)
        if word == b"leave\\n":
            os._exit(0)
        await stream.write(b"%d" % os.getpid())
        stream.close()

signal.alarm(60)
server = Server()
server.bind(0, "127.0.0.1")
print(server._pending_sockets[0].getsockname()[1], flush=True)
server.start(2)
signal.alarm(60)
IOLoop.current().start()
"""


def test_workers_are_restarted():
    parent = subprocess.Popen([sys.executable, "-c", WORKERS], stdout=subprocess.PIPE, text=True)

    def ask(word):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(word)
            return client.makefile("rb").read()

    with parent:
        port = int(parent.stdout.readline())
        try:
            first = ask(b"pid\n")
            assert first.isdigit()
            for _ in range(3):
                assert ask(b"crash\n") == b""
                assert ask(b"pid\n").isdigit()
            # Two end well, and with them the parent.
            assert ask(b"leave\n") == b""
            assert ask(b"leave\n") == b""
            assert parent.wait(30) == 0
        finally:
            if parent.poll() is None:
                parent.send_signal(signal.SIGKILL)
