"""What test_iostream_faults.py runs in a process of its own, with tests/c/faults.c preloaded: each scenario
again and again, while its first, second, third... call of one kind fails once. Prints a line of JSON for each
kind.

Usage: stream_fault_scenarios.py SCENARIO FOLDER"""

import asyncio
import ctypes
import gc
import json
import logging
import os
import socket
import ssl
import sys
from pathlib import Path

from tornado_c.ioloop import IOLoop
from tornado_c.iostream import BaseIOStream, IOStream, PipeIOStream, SSLIOStream

shim = ctypes.CDLL(None)
LIMIT = 10  # seconds: whatever takes longer hangs
MOST = 25  # calls of a kind that fail, one in each round
folder = Path(sys.argv[2])
opened = []

#: Faults that a stream has to overcome, and those that may cost it the connection.
SOFT = {
    "recv": ["EINTR", "EAGAIN", "short"],
    "send": ["EINTR", "EAGAIN", "short"],
    "sendmsg": ["EINTR", "EAGAIN", "short"],
    "read": ["EINTR", "EAGAIN", "short"],
    "write": ["EINTR", "EAGAIN", "short"],
    "writev": ["EINTR", "EAGAIN", "short"],
    "sendfile": ["EINTR", "EAGAIN", "EINVAL", "short"],
    "pread": ["EINTR", "short"],
    "epoll_wait": ["EINTR", "short"],
}
HARD = {
    "recv": ["ECONNRESET", "EIO"],
    "send": ["EPIPE", "ENOBUFS"],
    "sendmsg": ["ECONNRESET", "ENOMEM"],
    "read": ["ECONNRESET", "EIO"],
    "write": ["EPIPE", "EIO"],
    "writev": ["EPIPE", "EIO"],
    "sendfile": ["EPIPE", "EIO"],
    "pread": ["EIO"],
    "connect": ["ECONNREFUSED", "ENOBUFS"],
    "getsockopt": ["ENOBUFS", "ENOMEM"],
    "setsockopt": ["ENOBUFS", "EINVAL"],
    "epoll_ctl": ["ENOMEM"],
}


def keep(stream):
    opened.append(stream)
    return stream


def streams(**kwargs):
    left, right = socket.socketpair()
    return keep(IOStream(left, **kwargs)), keep(IOStream(right, **kwargs))


async def talk(left, right, size=150_000):
    data = bytes(range(250)) * (size // 250)
    await left.write(b"line\n")
    assert await right.read_until(b"\n") == b"line\n"
    left.write(b"a")
    left.write(b"b" * 100)
    left.write(b"c")
    left.write(bytearray(b"d" * 5000))
    assert await right.read_until_regex(b"c") == b"a" + b"b" * 100 + b"c"
    assert await right.read_bytes(5000) == b"d" * 5000
    pieces = [left.write(bytes([n]) * size) for n, size in enumerate([400_000, 10, 3000, 7000, 20])]
    assert len(await right.read_bytes(410_030)) == 410_030
    await asyncio.gather(*pieces)
    memory = bytearray(len(data))
    sent = [right.write(data), left.write(memoryview(data))]
    got, count = await asyncio.gather(right.read_bytes(len(data)), left.read_into(memory))
    assert got == data == memory
    assert count == len(data)
    await asyncio.gather(*sent)


async def ending(left, right):
    rest = right.read_until_close()
    await left.write(b"last words")
    left.close()
    # A fault may cost the connection at this moment; what comes is never something else.
    assert b"last words".startswith(await rest)
    return rest.result() == b"last words"


async def plain():
    left, right = streams()
    await talk(left, right)
    return await ending(left, right)


async def callbacks():
    left, right = streams()
    done = asyncio.get_running_loop().create_future()
    pieces = []

    def closed():
        if not done.done():
            done.set_result(b"".join(pieces))

    right.set_close_callback(closed)
    right.read_until_close(pieces.append, pieces.append)
    for _ in range(20):
        left.write(b"x" * 1000, lambda: None)
    left.write(bytes(100_000), left.close)
    data = await done
    assert (b"x" * 20_000 + bytes(100_000)).startswith(data)
    return len(data) == 120_000


async def tcp():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = keep(IOStream(socket.socket()))
        await left.connect(listener.getsockname())
        right = keep(IOStream(listener.accept()[0]))
    left.set_nodelay(True)
    right.set_nodelay(True)
    await talk(left, right)
    return await ending(left, right)


async def files():
    left, right = streams()
    with open(folder / "file", "rb") as file:
        expected = b"head" + file.read() + b"tail"
        sent = [left.write(b"head"), left.sendfile(file), left.write(b"tail")]
        assert await right.read_bytes(len(expected)) == expected
        await asyncio.gather(*sent)
    return await ending(left, right)


async def pipes():
    left, right = os.pipe()
    reader, writer = keep(PipeIOStream(left)), keep(PipeIOStream(right))
    data = bytes(range(250)) * 1000
    with open(folder / "file", "rb") as file:
        expected = b"line\n" + data + file.read()
        sent = [writer.write(b"line\n"), writer.write(data), writer.sendfile(file)]
        assert await reader.read_bytes(len(expected)) == expected
        await asyncio.gather(*sent)
    return await ending(writer, reader)


class Hooked(BaseIOStream):
    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)
        super().__init__()

    def fileno(self):
        return self.sock

    def close_fd(self):
        self.sock.close()

    def write_to_fd(self, data):
        return self.sock.send(data)

    def read_from_fd(self, buf):
        try:
            return self.sock.recv_into(buf)
        except BlockingIOError:
            return None


async def hooks():
    left, right = (keep(Hooked(sock)) for sock in socket.socketpair())
    await talk(left, right)
    return await ending(left, right)


def contexts():
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    client.load_verify_locations(folder / "ca.pem")
    return server, client


async def tls():
    server, client = contexts()
    left, right = socket.socketpair()
    left = keep(SSLIOStream(server.wrap_socket(left, server_side=True, do_handshake_on_connect=False)))
    right = client.wrap_socket(right, server_hostname="localhost", do_handshake_on_connect=False)
    right = keep(SSLIOStream(right))
    await asyncio.gather(left.wait_for_handshake(), right.wait_for_handshake())
    await talk(left, right, 50_000)
    with open(folder / "file", "rb") as file:
        sent = left.sendfile(file)
        assert await right.read_bytes(200_000) == file.read()
        await sent
    return await ending(left, right)


async def start_tls():
    server, client = contexts()
    left, right = streams()
    await left.write(b"STARTTLS\n")
    await right.read_until(b"\n")
    both = [left.start_tls(True, server), right.start_tls(False, client, "localhost")]
    left, right = await asyncio.gather(*both)
    keep(left)
    keep(right)
    await talk(left, right, 50_000)
    with open(folder / "file", "rb") as file:
        sent = left.sendfile(file)
        assert await right.read_bytes(200_000) == file.read()
        await sent
    return await ending(left, right)


def one_round(loop, scenario, plan):
    """Runs it with this fault; returns whether the fault came to pass, and how it ended."""
    shim.faults_plan(plan.encode())
    result = struck = None

    async def main():
        nonlocal result, struck
        task = asyncio.ensure_future(scenario())
        done, _ = await asyncio.wait([task], timeout=LIMIT)
        struck = shim.faults_struck()
        shim.faults_plan(b"")
        if not done:
            raise SystemExit(f"{plan}: hangs")
        try:
            result = task.result()
        except OSError:  # StreamClosedError, SSLError among them
            result = None

    loop.run_sync(main)
    for stream in opened:
        stream.close()
    opened.clear()
    return struck, result


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def main():
    logging.getLogger("tornado").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    scenario = globals()[sys.argv[1]]
    loop = IOLoop(make_current=False)
    asyncio.set_event_loop(None)
    assert one_round(loop, scenario, "") == (0, True)
    before = descriptors()
    for table, soft in ((SOFT, True), (HARD, False)):
        for call, faults in table.items():
            for fault in faults:
                for n in range(1, MOST + 1):
                    struck, result = one_round(loop, scenario, f"{call}:{n}:{fault}")
                    if soft and result is not True:
                        raise SystemExit(f"{call}:{n}:{fault}: {result}")
                    if not struck:
                        break
                print(json.dumps([call, fault, n]), flush=True)
    gc.collect()  # what a failed call left unclosed; then its peers notice
    loop.run_sync(lambda: asyncio.sleep(0.01))
    if descriptors() > before:
        raise SystemExit(f"{descriptors() - before} descriptors are left open")
    loop.close()


if __name__ == "__main__":
    main()
