"""What an application uses of asyncio beside calls and timers, over the native loop; the standard loop is the
oracle: each test runs over both.

CPython's own suite (tests/conformance) has the details.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading

import pytest
import tornado.test

import tornado_c

LIMIT = 30  # seconds: far beyond what anything here takes


@pytest.fixture(params=[asyncio.SelectorEventLoop, tornado_c.EventLoop], ids=["standard", "ours"])
def factory(request):
    return request.param


@pytest.fixture
def run(factory):
    def run(main, debug=False):
        async def limited():
            assert type(asyncio.get_running_loop()) is factory
            async with asyncio.timeout(LIMIT):
                return await main()

        with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
            return runner.run(limited())

    return run


# --------------------------------------------------------------------------- async generators, exceptions


def test_asyncgens_are_closed_at_the_end(run):
    said = []

    async def endless():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            said.append("closed")

    kept = []

    async def main():
        generator = endless()
        kept.append(generator)
        assert await anext(generator) == 1
        dropped = endless()
        await anext(dropped)
        del dropped
        gc.collect()
        while not said:
            await asyncio.sleep(0)

    run(main)
    assert said == ["closed", "closed"]


def test_a_generator_after_the_shutdown_is_reported(run):
    async def one():
        yield 1

    async def main():
        await asyncio.get_running_loop().shutdown_asyncgens()
        with pytest.warns(ResourceWarning, match="after loop.shutdown_asyncgens"):
            async for _ in one():
                pass

    run(main)


def test_exception_handler(run):
    told = []

    def fails():
        raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context))
        handle = loop.call_soon(fails)
        loop.call_later(0.001, fails)
        await asyncio.sleep(0.01)
        return handle

    handle = run(main)
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError] * 2
    assert told[0]["handle"] is handle and "fails" in told[0]["message"]


def test_default_exception_handler_logs(run, caplog):
    def fails():
        raise ZeroDivisionError("said once")

    async def main():
        asyncio.get_running_loop().call_soon(fails)
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(main)
    (record,) = caplog.records
    assert "Exception in callback" in record.getMessage() and record.exc_info[0] is ZeroDivisionError


def test_a_failing_exception_handler_is_logged_itself(run, caplog):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: 1 / 0)
        loop.call_soon(int, "x")
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(main)
    assert "Unhandled error in exception handler" in caplog.text


def test_debug_mode_refuses_what_is_wrong(run):
    async def main():
        loop = asyncio.get_running_loop()

        async def coroutine():
            """Not a callback."""

        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.call_soon(coroutine)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print)):
                with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                    pool.submit(call).result(LIMIT)

    run(main, debug=True)


# --------------------------------------------------------------------------- threads, executors, signals


def test_executors(run):
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default") as pool:
            loop.set_default_executor(pool)
            name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
            assert name.startswith("default")
            assert await asyncio.to_thread(sum, [1, 2]) == 3
            await loop.shutdown_default_executor()
            with pytest.raises(RuntimeError):
                await loop.run_in_executor(None, print)

    run(main)


def test_calls_from_threads(run):
    async def main():
        loop, got, done = asyncio.get_running_loop(), [], asyncio.Event()
        variable = contextvars.ContextVar("variable")
        context = contextvars.copy_context()
        context.run(variable.set, "of the context")

        def from_a_thread():
            cancelled = loop.call_soon_threadsafe(got.append, "cancelled")
            loop.call_soon_threadsafe(lambda: got.append(variable.get()), context=context)
            cancelled.cancel()
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), loop).add_done_callback(
                lambda future: (got.append(future.result()), loop.call_soon_threadsafe(done.set))
            )

        # The loop is inside this callback, so that what is cancelled has not been run.
        thread = threading.Thread(target=from_a_thread)
        thread.start()
        thread.join(LIMIT)
        await done.wait()
        assert got == ["of the context", "slept"]

    run(main)


def test_signals(run):
    async def main():
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, done.set)
        signal.raise_signal(signal.SIGUSR1)
        await done.wait()
        assert loop.remove_signal_handler(signal.SIGUSR1)
        for wrong in (signal.SIGKILL, 1000):
            with pytest.raises((RuntimeError, ValueError)):
                loop.add_signal_handler(wrong, print)

    run(main)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


# --------------------------------------------------------------------------- subprocesses and pipes


def test_subprocesses(run):
    program = (
        "import sys; data = sys.stdin.read(); print(data[::-1]); print('err', file=sys.stderr); sys.exit(3)"
    )

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert await process.communicate(b"abc") == (b"cba\n", b"err\n")
        assert process.returncode == 3
        shell = await asyncio.create_subprocess_shell("exit 4")
        assert await shell.wait() == 4
        sleeper = await asyncio.create_subprocess_exec("sleep", str(LIMIT))
        sleeper.terminate()
        assert await sleeper.wait() == -signal.SIGTERM

    run(main)


def test_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        ends = [os.fdopen(fd, mode, buffering=0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True)]
        reader = asyncio.StreamReader()
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), ends[0])
        writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, ends[1])
        data = os.urandom(500_000)  # more than a pipe holds
        writing.write(data)
        writing.close()
        assert await reader.read() == data
        reading.close()
        await asyncio.sleep(0)

    run(main)


# --------------------------------------------------------------------------- sockets


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data[::-1], address)


class Ask(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        transport.sendto(b"abc")

    def datagram_received(self, data, address):
        self.answer.set_result(data)


def test_datagrams(run):
    async def main():
        loop = asyncio.get_running_loop()
        served, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        answer = loop.create_future()
        asking, _ = await loop.create_datagram_endpoint(
            lambda: Ask(answer), remote_addr=served.get_extra_info("sockname")
        )
        assert await answer == b"cba"
        asking.close()
        served.close()
        await asyncio.sleep(0)

    run(main)


async def reverse(reader, writer):
    writer.write((await reader.read())[::-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(reader, writer, data=b"abc" * 100_000):
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == data[::-1]
    writer.close()
    await writer.wait_closed()


def test_unix_sockets(run, tmp_path):
    path = str(tmp_path / "socket")

    async def main():
        async with await asyncio.start_unix_server(reverse, path):
            await asyncio.gather(*[ask(*await asyncio.open_unix_connection(path)) for _ in range(3)])
        with pytest.raises(ConnectionRefusedError if os.path.exists(path) else FileNotFoundError):
            await asyncio.open_unix_connection(path)

    run(main)


def test_tcp_streams(run):
    async def main():
        async with await asyncio.start_server(reverse, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            await asyncio.gather(*[ask(*await asyncio.open_connection(*address)) for _ in range(3)])

    run(main)


def tls_contexts():
    folder = os.path.dirname(tornado.test.__file__)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(os.path.join(folder, "test.crt"), os.path.join(folder, "test.key"))
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def test_streams_upgraded_to_tls(run):
    async def main():
        server_side, client_side = tls_contexts()
        data = os.urandom(300_000)

        async def serve(reader, writer):
            assert await reader.readline() == b"plain\n"
            writer.write(b"go on\n")
            await writer.drain()
            await writer.start_tls(server_side)
            writer.write((await reader.readexactly(len(data)))[::-1])
            await writer.drain()
            writer.close()
            with contextlib.suppress(ssl.SSLError):
                await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"plain\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(client_side)
            assert writer.get_extra_info("ssl_object") is not None
            writer.write(data)
            assert await reader.readexactly(len(data)) == data[::-1]
            writer.close()
            with contextlib.suppress(ssl.SSLError):
                await writer.wait_closed()

    run(main)


def test_raw_sockets(run, tmp_path):
    """sock_accept, sock_connect, sock_sendall, sock_recv, sock_recv_into and sock_sendfile."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(300_000))

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            served, _ = await accepting
            with served:
                reading = asyncio.ensure_future(loop.sock_recv(served, 10))
                await asyncio.sleep(0.001)
                await loop.sock_sendall(client, b"abc")
                assert await reading == b"abc"
                buffer = bytearray(3)
                await loop.sock_sendall(served, b"def")
                assert await loop.sock_recv_into(client, buffer) == 3 and buffer == b"def"
                with open(file, "rb") as source:
                    sending = asyncio.ensure_future(loop.sock_sendfile(client, source))
                    got = b""
                    while len(got) < 300_000:
                        got += await loop.sock_recv(served, 65536)
                    assert await sending == 300_000 and got == file.read_bytes()
                cancelled = asyncio.ensure_future(loop.sock_recv(served, 10))
                await asyncio.sleep(0)
                cancelled.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await cancelled
                assert not loop.remove_reader(served)

    run(main)


def test_datagrams_over_raw_sockets(run):
    """sock_sendto and sock_recvfrom."""

    async def main():
        loop = asyncio.get_running_loop()
        with (
            socket.socket(type=socket.SOCK_DGRAM) as left,
            socket.socket(type=socket.SOCK_DGRAM) as right,
        ):
            for sock in (left, right):
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            receiving = asyncio.ensure_future(loop.sock_recvfrom(right, 10))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(left, b"abc", right.getsockname()) == 3
            assert await receiving == (b"abc", left.getsockname())

    run(main)


def test_names_are_looked_up(run):
    async def main():
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("127.0.0.1", 80)
        assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    run(main)


def test_futures_belong_to_the_loop_that_is_asked():
    """Also from another thread, and while another loop runs inside a callback of this one."""
    loop = tornado_c.new_event_loop()
    outer = []

    def nested():
        inner = asyncio.SelectorEventLoop()
        asyncio._set_running_loop(None)
        try:

            async def ask():
                outer.append(loop.create_future())
                return asyncio.get_running_loop().create_future()

            assert inner.run_until_complete(ask()).get_loop() is inner
        finally:
            asyncio._set_running_loop(loop)
            inner.close()

    async def main():
        outer.append(loop.create_future())
        outer.append(await loop.run_in_executor(None, loop.create_future))
        loop.call_soon(nested)
        await asyncio.sleep(0)
        outer.append(loop.create_future())

    outer.append(loop.create_future())
    loop.run_until_complete(main())
    loop.close()
    assert [future.get_loop() is loop for future in outer] == [True] * 5
