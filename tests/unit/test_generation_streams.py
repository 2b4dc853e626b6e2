"""Streams whose subclasses read as in Tornado 2 to 4: without a buffer."""

import asyncio
import os
import socket

import pytest

import tornado_c
from tornado_c.iostream import BaseIOStream, IOStream, PipeIOStream, StreamClosedError


class Four(IOStream):
    calls = 0

    def read_from_fd(self):
        self.calls += 1
        data = super().read_from_fd()
        return None if data is None else data.upper()


class Two(IOStream):
    calls = 0

    def _read_from_socket(self):
        self.calls += 1
        data = IOStream._read_from_socket(self)
        return None if data is None else data.upper()


class Below(Four):
    """Of a class in the old interface, in the old interface."""

    def read_from_fd(self):
        data = super().read_from_fd()
        return data and b"<" + data + b">"


class Long(IOStream):
    """Returns more than the buffer takes."""

    def read_from_fd(self):
        data = super().read_from_fd()
        return data and data * 100_000


class Own(BaseIOStream):
    """Over sockets of its own, with recv()."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)
        super().__init__()

    def fileno(self):
        return self.sock.fileno()

    def close_fd(self):
        self.sock.close()

    def write_to_fd(self, data):
        return self.sock.send(data)

    def read_from_fd(self):
        try:
            data = self.sock.recv(self.read_chunk_size)
        except BlockingIOError:
            return None
        if not data:
            self.close()
            return None
        return data.upper()


def run(test):
    async def main():
        await asyncio.wait_for(test(), 30)

    tornado_c.run(main())


@pytest.mark.parametrize(
    "cls, text", [(Four, b"HELLO "), (Two, b"HELLO "), (Below, b"<HELLO >"), (Own, b"HELLO ")]
)
def test_what_they_read(cls, text):
    async def test():
        one, other = socket.socketpair()
        stream, peer = cls(one), IOStream(other)
        await peer.write(b"hello ")
        assert await stream.read_bytes(len(text)) == text
        reading = asyncio.ensure_future(stream.read_until_close())
        await peer.write(b"end")
        peer.close()
        assert (await reading).strip(b"<>") == b"END"
        assert stream.closed()
        assert getattr(stream, "calls", 1) > 0

    run(test)


def test_more_than_a_buffer():
    async def test():
        one, other = socket.socketpair()
        stream, peer = Long(one), IOStream(other)
        await peer.write(b"0123456789")
        assert await stream.read_bytes(1_000_000) == b"0123456789" * 100_000
        await peer.write(b"ab")
        assert await stream.read_bytes(7) == b"abababa"
        assert await stream.read_until(b"b") == b"b"
        peer.close()
        assert len(await stream.read_until_close()) == 200_000 - 8

    run(test)


def test_callbacks_with_the_hook_of_2_x():
    async def test():
        one, other = socket.socketpair()
        stream, peer = Two(one), IOStream(other)
        got = asyncio.Future()
        stream.read_until(b"\n", got.set_result)
        await peer.write(b"line\n")
        assert await got == b"LINE\n"
        peer.close()
        with pytest.raises(StreamClosedError):
            await stream.read_bytes(1)

    run(test)


def test_our_own_without_a_buffer():
    """As old subclasses call them."""

    async def test():
        one, other = socket.socketpair()
        stream, peer = IOStream(one), IOStream(other)
        assert stream.read_from_fd() is None and stream._read_from_socket() is None
        await peer.write(b"hello")
        await asyncio.sleep(0.01)
        assert stream.read_from_fd() == b"hello"
        await peer.write(b"again")
        await asyncio.sleep(0.01)
        room = bytearray(3)
        assert (stream.read_from_fd(room), bytes(room)) == (3, b"aga")
        assert stream._read_from_socket() == b"in"
        peer.close()
        assert stream.read_from_fd() is None and stream.closed()

    run(test)


def test_a_pipe():
    class Pipe(PipeIOStream):
        def read_from_fd(self):
            data = super().read_from_fd()
            return data and data[::-1]

    async def test():
        read, write = os.pipe()
        stream = Pipe(read)
        os.write(write, b"abc")
        assert await stream.read_bytes(3) == b"cba"
        os.close(write)
        assert await stream.read_until_close() == b""

    run(test)


def test_hooks_of_today_are_left_alone():
    class Today(IOStream):
        def read_from_fd(self, buf):
            return super().read_from_fd(buf)

    class Any(IOStream):
        def read_from_fd(self, *args):
            return super().read_from_fd(*args)

    for cls in (Today, Any):
        assert cls.__dict__["read_from_fd"].__code__.co_name == "read_from_fd"
        assert not hasattr(cls.read_from_fd, "__wrapped__")


def test_a_hook_that_raises():
    class Fails(IOStream):
        def read_from_fd(self):
            raise OSError("told")

    async def test():
        one, other = socket.socketpair()
        stream, peer = Fails(one), IOStream(other)
        await peer.write(b"x")
        with pytest.raises((StreamClosedError, OSError)):
            await stream.read_bytes(1)
        assert stream.closed() and str(stream.error) == "told"
        peer.close()

    run(test)


@pytest.mark.parametrize("how", ["function", "method", "class"])
def test_an_old_method_put_in_the_place_of_ours(how, monkeypatch):
    """Of one stream, or of all."""

    async def main():
        one, other = socket.socketpair()
        stream, plain = IOStream(one), IOStream.read_from_fd

        def read_from_fd(self):
            data = plain(self)
            return data and data.upper() * 50_000

        with monkeypatch.context() as patched:
            if how == "class":
                patched.setattr(IOStream, "read_from_fd", read_from_fd)
            elif how == "method":
                stream.read_from_fd = read_from_fd.__get__(stream)
            else:
                stream.read_from_fd = lambda: read_from_fd(stream)
            other.sendall(b"abc")
            assert await stream.read_bytes(150_000) == b"ABC" * 50_000
            other.sendall(b"end")
            assert await stream.read_bytes(10, partial=True) == b"ENDENDENDE"
            other.close()
            assert await stream.read_until_close() == (b"END" * 50_000)[10:]

    run(main)
