"""IOStream.sendfile over sockets, TLS, hooks and pipes. Stock Tornado has no such method."""

import asyncio
import hashlib
import os
import socket

import pytest

from support.iostream_world import reset, turns, until

SIZE = 5_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(SIZE))
    with open(path, "r+b") as file:
        yield file


def content(file, offset=0, size=None):
    size = os.fstat(file.fileno()).st_size - offset if size is None else size
    return os.pread(file.fileno(), size, offset)


@pytest.fixture(params=["socket", "tcp", "hook", "tls"])
def ends(request, ours, certificates):
    """A coroutine function: a sending stream of each kind, and the stream that receives."""
    from support.iostream_tls_tools import TlsWorld

    async def make():
        if request.param == "tls":
            return await TlsWorld(ours, certificates).pair()
        if request.param == "tcp":
            left, peer = ours.pair(tcp=True)
            return left, ours.stream(peer)
        left, right = ours.streams()
        if request.param == "hook":
            left.write_to_fd = lambda data: left.socket.send(data)
        return left, right

    make.way = request.param
    return make


class TestSending:
    def test_whole(self, ours, ends, file):
        async def main():
            left, right = await ends()
            done = left.sendfile(file)
            assert await right.read_bytes(SIZE) == content(file)
            await done
            assert not left.writing()
            assert file.tell() == 0

        ours.run(main)

    @pytest.mark.parametrize(
        "offset,count,size",
        [(0, 10, 10), (10, None, SIZE - 10), (SIZE - 1, None, 1), (SIZE, None, 0), (SIZE + 5, None, 0),
         (100, 0, 0), (3, 1_000_001, 1_000_001)],
    )  # fmt: skip
    def test_ranges(self, ours, ends, file, offset, count, size):
        async def main():
            left, right = await ends()
            done = left.sendfile(file, offset, count)
            left.write(b"end")
            assert await right.read_bytes(size + 3) == content(file, offset, size) + b"end"
            await done

        ours.run(main)

    def test_among_writes(self, ours, ends, file):
        async def main():
            left, right = await ends()
            expected = hashlib.sha256()
            total = 0
            futures = []
            for n in range(6):
                for data in (b"small %d" % n, bytes([n]) * 50_000):
                    futures.append(left.write(data))
                    expected.update(data)
                    total += len(data)
                futures.append(left.sendfile(file, n * 1000, 300_000 + n))
                expected.update(content(file, n * 1000, 300_000 + n))
                total += 300_000 + n
            got = await right.read_bytes(total)
            assert hashlib.sha256(got).digest() == expected.digest()
            await asyncio.gather(*futures)

        ours.run(main)

    def test_slow_reader(self, ours, ends, file):
        """Its Future waits as a write's does; the file is not among the bytes that max_write_buffer_size
        counts, but for the part that has to go through memory."""

        async def main():
            left, right = await ends()
            left.max_write_buffer_size = 200_000
            done = left.sendfile(file)
            await turns(50)
            assert not done.done()
            assert left.writing()
            left.write(b"x" * 100)
            got = b""
            while len(got) < SIZE + 100:
                got += await right.read_bytes(70_000, partial=True)
            assert got == content(file) + b"x" * 100
            await done

        ours.run(main)

    def test_truncated_meanwhile(self, ours, ends, file, caplog):
        """What the head has announced cannot be sent any more: the stream is closed."""

        async def main():
            left, right = await ends()
            done = left.sendfile(file)
            await turns()
            file.truncate(1000)
            receiving = right.read_until_close()
            with pytest.raises(ours.module.StreamClosedError) as caught:
                await done
            assert "the file ended" in str(caught.value.real_error)
            assert left.closed()
            assert len(await receiving) < SIZE

        ours.run(main)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "the file ended" in caplog.text

    def test_longer_than_the_file(self, ours, ends, file):
        async def main():
            left, right = await ends()
            done = left.sendfile(file, 0, SIZE + 1)
            receiving = right.read_until_close()
            with pytest.raises(ours.module.StreamClosedError):
                await done
            assert await receiving == content(file)

        ours.run(main)

    def test_closed_in_the_middle(self, ours, ends, file):
        async def main():
            left, right = await ends()
            done = left.sendfile(file)
            last = left.write(b"x")
            await turns()
            left.close()
            for future in (done, last):
                with pytest.raises(ours.module.StreamClosedError):
                    await future
            with pytest.raises(ours.module.StreamClosedError):
                left.sendfile(file)

        ours.run(main)

    def test_peer_leaves(self, ours, ends, file):
        async def main():
            left, right = await ends()
            done = left.sendfile(file)
            await turns()
            right.close()
            with pytest.raises(ours.module.StreamClosedError):
                await done

        ours.run(main)


class TestArguments:
    def test_wrong(self, ours, file):
        async def main():
            stream, _ = ours.pair()
            for wrong in (("text",), (None,), (file, "x"), (file, 0, "x"), (file, 1.5)):
                with pytest.raises(TypeError):
                    stream.sendfile(*wrong)
            for wrong in ((file, -1), (file, 0, -1), (-1,)):
                with pytest.raises(ValueError):
                    stream.sendfile(*wrong)
            with pytest.raises(OverflowError):
                stream.sendfile(file, 1 << 70)
            with pytest.raises(OSError):
                stream.sendfile(999_999)
            assert not stream.writing()

        ours.run(main)

    def test_absurd_range(self, ours, file):
        async def main():
            stream, peer = ours.pair()
            with pytest.raises(ours.module.StreamClosedError):
                await stream.sendfile(file, (1 << 63) - 10, 5)

        ours.run(main)

    def test_keywords_and_numbers(self, ours, file):
        async def main():
            left, right = ours.streams()
            await left.sendfile(file=file.fileno(), count=5, offset=2)
            assert await right.read_bytes(5) == content(file, 2, 5)

        ours.run(main)

    def test_no_regular_file(self, ours):
        """A pipe has no offsets."""

        async def main():
            stream, _ = ours.pair()
            read, write = os.pipe()
            os.write(write, b"abc")
            try:
                with pytest.raises(ours.module.StreamClosedError):
                    await stream.sendfile(read, 0, 3)
            finally:
                os.close(read)
                os.close(write)

        ours.run(main)

    def test_fileno_that_closes(self, ours, file):
        async def main():
            stream, _ = ours.pair()

            class File:
                def fileno(self):
                    stream.close()
                    return file.fileno()

            with pytest.raises(ours.module.StreamClosedError):
                await stream.sendfile(File())

        ours.run(main)


class TestBeforeItIsConnected:
    def test_waits(self, ours, file):
        async def main():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                stream = ours.stream(socket.socket())
                connecting = stream.connect(listener.getsockname())
                done = stream.sendfile(file, 0, 1000)
                await connecting
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(20)
                    await done
                    assert peer.recv(2000) == content(file, 0, 1000)

        ours.run(main)

    def test_during_the_handshake(self, ours, certificates, file):
        from support.iostream_tls_tools import TlsWorld, client_context, server_context

        async def main():
            tls = TlsWorld(ours, certificates)
            accepting = asyncio.ensure_future(tls.accepted(server_context(certificates)))
            left = tls.client_stream(client_context(certificates))
            connecting = left.connect(("127.0.0.1", tls.port), server_hostname="localhost")
            done = left.sendfile(file, 0, 100_000)
            right = await accepting
            assert await right.read_bytes(100_000) == content(file, 0, 100_000)
            await asyncio.gather(connecting, done)

        ours.run(main)


def test_reset_peer(ours, file, caplog):
    async def main():
        stream, peer = ours.pair(tcp=True)
        done = stream.sendfile(file)
        await turns()
        reset(peer)
        with pytest.raises(ours.module.StreamClosedError):
            await done
        await until(stream.closed)

    ours.run(main)
    assert not caplog.records
