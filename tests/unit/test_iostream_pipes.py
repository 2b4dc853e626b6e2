"""PipeIOStream over real pipes, with stock Tornado as the oracle."""

import asyncio
import os
import socket

import pytest

from support.iostream_world import turns, until


@pytest.fixture
def pipe(both):
    """A function: streams of the reading and the writing end, or their numbers."""

    def make(left=True, right=True, **kwargs):
        ends = list(os.pipe())
        for i, wanted in enumerate((left, right)):
            if wanted:
                ends[i] = both.module.PipeIOStream(ends[i], **kwargs)
                both.open.append(ends[i])
        return ends

    return make


class TestBothEnds:
    def test_kinds(self, both, pipe):
        async def main():
            reader, writer = pipe()
            await writer.write(b"line\nabcdef")
            assert await reader.read_until(b"\n") == b"line\n"
            memory = bytearray(3)
            assert await reader.read_into(memory) == 3
            assert memory == b"abc"
            later = asyncio.ensure_future(reader.read_until_close())
            await turns()
            writer.write(b"more")
            writer.close()
            assert await later == b"defmore"
            assert reader.closed()

        both.run(main)

    def test_large(self, both, pipe):
        async def main():
            reader, writer = pipe()
            data = os.urandom(3_000_000)
            pieces = [data[:10], data[10:5000], data[5000:]]
            writing = [writer.write(piece) for piece in pieces]
            await turns(20)
            assert not writing[2].done()
            assert await reader.read_bytes(len(data)) == data
            await asyncio.gather(*writing)

        both.run(main)

    def test_attributes(self, both, pipe):
        async def main():
            reader, writer = pipe()
            assert reader.fileno() == reader.fd
            assert not os.get_blocking(reader.fd)
            reader.set_nodelay(True)

        both.run(main)

    def test_descriptor_is_closed(self, both, pipe):
        async def main():
            reader, writer = pipe()
            numbers = reader.fd, writer.fd
            reader.close()
            writer.close()
            for number in numbers:
                with pytest.raises(OSError):
                    os.fstat(number)

        both.run(main)

    def test_wrong_descriptor(self, both):
        async def main():
            with pytest.raises(OSError):
                both.module.PipeIOStream(999_999)

        both.run(main)

    def test_socket_as_a_pipe(self, both):
        async def main():
            left, right = socket.socketpair()
            stream = both.module.PipeIOStream(left.detach())
            both.open += [stream, right]
            await stream.write(b"abc")
            assert right.recv(10) == b"abc"
            right.sendall(b"def")
            assert await stream.read_bytes(3) == b"def"

        both.run(main)


class TestOtherEndLeaves:
    def test_writer(self, both, pipe, caplog):
        async def main():
            reader, number = pipe(right=False)
            called = []
            reader.set_close_callback(lambda: called.append(1))
            os.write(number, b"abc")
            assert await reader.read_bytes(1) == b"a"
            os.close(number)
            with pytest.raises(both.module.StreamClosedError):
                await reader.read_bytes(5)
            await until(lambda: called)
            assert reader.error is None

        both.run(main)
        assert not caplog.records

    def test_reader_of_an_idle_writer(self, both, pipe, caplog):
        """Polling tells the writer that nobody reads, its descriptor then says EBADF: no log line."""

        async def main():
            number, writer = pipe(left=False)
            called = []
            writer.set_close_callback(lambda: called.append(1))
            await writer.write(b"abc")
            os.close(number)
            await until(lambda: called)
            assert writer.closed()

        both.run(main)
        assert not caplog.records

    def test_reader_with_writes_waiting(self, both, pipe, caplog):
        async def main():
            number, writer = pipe(left=False)
            memory = bytearray(1_000_000)
            writing = writer.write(memory)
            await turns()
            assert not writing.done()
            os.close(number)
            with pytest.raises(both.module.StreamClosedError):
                await writing
            memory.append(1)

        both.run(main)
        assert not caplog.records

    def test_write_after_the_reader_left(self, both, pipe, caplog):
        async def main():
            number, writer = pipe(left=False)
            os.close(number)
            with pytest.raises(both.module.StreamClosedError) as caught:
                await writer.write(b"x")
            assert isinstance(caught.value.real_error, BrokenPipeError)

        both.run(main)
        assert not caplog.records

    def test_reading_the_written_end(self, both, pipe, caplog):
        """The rule of EBADF: closed, quietly."""

        async def main():
            number, writer = pipe(left=False)
            with pytest.raises(both.module.StreamClosedError) as caught:
                await writer.read_bytes(1)
            assert isinstance(caught.value.real_error, OSError)
            assert caught.value.real_error.errno == 9
            assert writer.closed()
            os.close(number)

        both.run(main)
        assert not caplog.records

    def test_hooks_of_a_subclass(self, both):
        async def main():
            left, right = os.pipe()
            seen = []

            class Spy(both.module.PipeIOStream):
                def read_from_fd(self, buf):
                    seen.append("read")
                    return super().read_from_fd(buf)

                def write_to_fd(self, data):
                    seen.append("write")
                    return super().write_to_fd(data)

            reader, writer = Spy(left), Spy(right)
            both.open += [reader, writer]
            await writer.write(b"abc")
            assert await reader.read_bytes(3) == b"abc"
            assert set(seen) == {"read", "write"}
            number = writer.fd
            reader.close()
            writer.set_close_callback(lambda: None)
            await until(writer.closed)
            with pytest.raises(OSError):
                os.fstat(number)

        both.run(main)


def test_sendfile(ours, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 2000)

    async def main():
        left, right = os.pipe()
        reader, writer = ours.module.PipeIOStream(left), ours.module.PipeIOStream(right)
        ours.open += [reader, writer]
        with open(tmp_path / "file", "rb") as file:
            done = [writer.write(b"head"), writer.sendfile(file), writer.write(b"tail")]
            assert await reader.read_bytes(512_008) == b"head" + bytes(range(256)) * 2000 + b"tail"
            await asyncio.gather(*done)

    ours.run(main)
