"""IOStream over real sockets, with both of its interfaces. Where stock Tornado has the same call it is the
oracle: those tests run over
both."""

import asyncio
import contextvars
import errno
import gc
import os
import re
import socket
import weakref

import pytest

from support.iostream_world import LIMIT, reset, turns, until
from tornado_c import iostream, netutil
from tornado_c.ioloop import IOLoop

# --------------------------------------------------------------------------- reading with Futures


class TestRead:
    def test_kinds(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"line\nheader: x\r\n\r\nabcdefrest")
            assert await stream.read_until(b"\n") == b"line\n"
            assert await stream.read_until_regex(rb"\r\n\r\n") == b"header: x\r\n\r\n"
            assert await stream.read_bytes(6) == b"abcdef"
            assert await stream.read_bytes(100, partial=True) == b"rest"
            peer.sendall(b"until the end")
            peer.close()
            assert await stream.read_until_close() == b"until the end"
            assert stream.closed()

        both.run(main)

    @pytest.mark.parametrize("step", [1, 2, 3, 5])
    def test_input_in_pieces(self, both, step):
        """Delimiters cut at every offset."""

        async def main():
            stream, peer = both.pair()
            data = b"one\r\n\r\ntwo\r\r\n\r\nthree==\r\n\r\n12345"
            reads = asyncio.ensure_future(read_all(stream))
            for at in range(0, len(data), step):
                peer.sendall(data[at : at + step])
                await turns(3)
            assert await reads == [b"one\r\n\r\n", b"two\r\r\n\r\n", b"three=", b"=\r\n\r\n", b"12345"]

        async def read_all(stream):
            return [
                await stream.read_until(b"\r\n\r\n"),
                await stream.read_until(b"\r\n\r\n"),
                await stream.read_until_regex(b"[a-z]+="),
                await stream.read_until_regex(re.compile(b"=\r\n\r\n")),
                await stream.read_bytes(5),
            ]

        both.run(main)

    def test_read_of_nothing(self, both):
        async def main():
            stream, peer = both.pair()
            assert await stream.read_bytes(0) == b""
            peer.sendall(b"x")
            assert await stream.read_bytes(1) == b"x"

        both.run(main)

    def test_large(self, both):
        async def main():
            stream, peer = both.streams()
            data = os.urandom(5 << 20)
            write = stream.write(data)
            assert not write.done() and stream.writing()
            assert await peer.read_bytes(len(data)) == data
            await write
            assert not stream.writing()

        both.run(main)

    def test_many_lines_of_one_burst(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"".join(b"%d\n" % i for i in range(5000)))
            for i in range(5000):
                assert await stream.read_until(b"\n") == b"%d\n" % i

        both.run(main)

    def test_reading(self, both):
        async def main():
            stream, peer = both.pair()
            assert not stream.reading()
            future = stream.read_until(b"\n")
            assert stream.reading()
            with pytest.raises(AssertionError, match="Already reading"):
                stream.read_bytes(1)
            peer.sendall(b"x\n")
            assert await future == b"x\n"
            assert not stream.reading()

        both.run(main)

    def test_max_bytes(self, both, caplog):
        async def main():
            for method, pattern in (("read_until", b"def"), ("read_until_regex", b"def")):
                for data, limit, good in (
                    (b"abcdef", 6, True),
                    (b"abcdef", 5, False),
                    (b"abcdef", 50, True),
                    (b"x" * 100, 50, False),
                ):
                    caplog.clear()
                    stream, peer = both.pair()
                    peer.sendall(data)
                    future = getattr(stream, method)(pattern, max_bytes=limit)
                    if good:
                        assert await future == b"abcdef"
                        continue
                    with pytest.raises(both.module.StreamClosedError) as caught:
                        await future
                    assert isinstance(caught.value.real_error, both.module.UnsatisfiableReadError)
                    assert stream.closed() and stream.error is caught.value.real_error
                    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
                        "Unsatisfiable read, closing connection"
                    ]

        with caplog.at_level("INFO", logger="tornado"):
            both.run(main)

    def test_max_buffer_size(self, both, caplog):
        async def main():
            stream, peer = both.pair(max_buffer_size=1000)
            future = stream.read_until(b"\n")
            peer.sendall(b"x" * 2000)
            with pytest.raises(both.module.StreamClosedError):
                await future
            assert stream.closed()

        both.run(main)
        assert "Reached maximum read buffer size" in caplog.records[0].getMessage()

    def test_read_chunk_size(self, both):
        async def main():
            stream, peer = both.pair(read_chunk_size=10)
            assert stream.read_chunk_size == 10
            peer.sendall(b"x" * 95 + b"\n")
            assert await stream.read_until(b"\n") == b"x" * 95 + b"\n"
            assert both.pair(max_buffer_size=100)[0].read_chunk_size == 50

        both.run(main)

    def test_nonsensical_chunk_size(self, ours):
        """Asking for nothing would look like the end."""

        async def main():
            stream, peer = ours.pair()
            for size in (0, -5):
                stream.read_chunk_size = size
                peer.sendall(b"x\n")
                assert await stream.read_until(b"\n") == b"x\n"

        ours.run(main)

    def test_buffered_data_outlives_the_peer(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"one\ntwo\nrest")
            peer.close()
            assert await stream.read_until(b"\n") == b"one\n"
            await turns()
            assert await stream.read_until(b"\n") == b"two\n"
            assert await stream.read_until_close() == b"rest"
            with pytest.raises(both.module.StreamClosedError):
                await stream.read_until(b"\n")

        both.run(main)

    @pytest.mark.parametrize("with_callback", [False, True])
    def test_data_that_came_before_a_hang_up(self, both, with_callback):
        """Nobody reads when the peer sends and leaves: what it sent is still there for a later read."""

        async def main():
            stream, peer = both.pair()
            closed = []
            if with_callback:
                stream.set_close_callback(lambda: closed.append(True))
            future = stream.read_until(b"\n")
            peer.sendall(b"one\n")
            assert await future == b"one\n"
            await asyncio.sleep(0.01)
            peer.sendall(b"two\nrest")
            peer.close()
            await asyncio.sleep(0.02)
            assert not closed
            assert await stream.read_until(b"\n") == b"two\n"
            assert await stream.read_until_close() == b"rest"
            if with_callback:
                await until(lambda: closed)

        both.run(main)

    def test_end_before_the_delimiter(self, both):
        async def main():
            stream, peer = both.pair()
            future = stream.read_until(b"\n")
            peer.sendall(b"partial")
            peer.close()
            with pytest.raises(both.module.StreamClosedError) as caught:
                await future
            assert caught.value.real_error is None and stream.error is None

        both.run(main)

    def test_reset(self, both, caplog):
        async def main():
            stream, peer = both.pair(tcp=True)
            future = stream.read_until(b"\n")
            reset(peer)
            with pytest.raises(both.module.StreamClosedError) as caught:
                await future
            assert caught.value.real_error.errno == errno.ECONNRESET
            assert stream.error is caught.value.real_error

        both.run(main)
        assert not caplog.records

    def test_reset_ends_read_until_close(self, both):
        async def main():
            stream, peer = both.pair(tcp=True)
            future = stream.read_until_close()
            peer.sendall(b"some")
            await asyncio.sleep(0.02)
            reset(peer)
            assert await future == b"some"

        both.run(main)

    def test_half_closed_peer(self, both):
        """The end of the peer's side closes the stream."""

        async def main():
            stream, peer = both.pair(tcp=True)
            peer.sendall(b"question")
            peer.shutdown(socket.SHUT_WR)
            assert await stream.read_until_close() == b"question"
            assert stream.closed()

        both.run(main)

    def test_close_while_reading(self, both):
        async def main():
            stream, peer = both.pair()
            future = stream.read_until(b"\n")
            stream.close()
            with pytest.raises(both.module.StreamClosedError):
                await future
            with pytest.raises(both.module.StreamClosedError):
                stream.read_bytes(1)
            assert peer.recv(1) == b""

        both.run(main)

    def test_closed_with_an_error(self, both):
        async def main():
            stream, peer = both.pair()
            future = stream.read_until(b"\n")
            try:
                raise KeyError("why")
            except KeyError as e:
                stream.close(exc_info=True)
                assert stream.error is e
            with pytest.raises(both.module.StreamClosedError) as caught:
                await future
            assert isinstance(caught.value.real_error, KeyError)
            for form in (lambda e: e, lambda e: (type(e), e, None)):
                stream, peer = both.pair()
                error = ValueError()
                stream.close(exc_info=form(error))
                assert stream.error is error

        both.run(main)

    def test_cancelled_read(self, both):
        async def main():
            stream, peer = both.pair()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.read_until(b"\n"), 0.005)
            peer.sendall(b"lost\nkept\n")
            await asyncio.sleep(0.01)
            stream.close()

        both.run(main)

    def test_closed_underneath(self, both, caplog):
        """EBADF comes out of an inline read."""

        async def main():
            stream, peer = both.pair()
            stream.socket.close()
            with pytest.raises(OSError) as caught:
                await stream.read_bytes(1)
            error = caught.value
            if isinstance(error, both.module.StreamClosedError):
                error = error.real_error
            assert error.errno == errno.EBADF
            assert stream.closed()

        both.run(main)

    def test_wrong_types(self, ours):
        async def main():
            stream, peer = ours.pair()
            with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
                stream.read_bytes("5")
            with pytest.raises(
                TypeError, match=r"read_bytes\(\) missing required argument 'num_bytes' \(pos 1\)"
            ):
                stream.read_bytes()
            with pytest.raises(TypeError, match="bytes-like object is required"):
                stream.read_until(5)
            with pytest.raises(TypeError):
                stream.read_until_regex(5)
            with pytest.raises(TypeError):
                stream.read_until(b"x", max_bytes="y")
            with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
                stream.read_until(b"x", nonsense=1)
            with pytest.raises(re.error):
                stream.read_until_regex(b"(")
            with pytest.raises(TypeError, match="a bytes-like object is required"):
                stream.write(5)
            assert not stream.reading() and not stream.closed()
            peer.sendall(b"x")
            assert await stream.read_bytes(1) == b"x"

        ours.run(main)


# --------------------------------------------------------------------------- writing with Futures


class TestWrite:
    def test_goes_out_at_once(self, both):
        async def main():
            stream, peer = both.pair()
            future = stream.write(b"now")
            assert peer.recv(10) == b"now"
            await future
            stream.write(b"last")
            stream.close()
            assert peer.recv(10) == b"last" and peer.recv(10) == b""

        both.run(main)

    def test_kinds_of_data(self, both):
        async def main():
            stream, peer = both.pair()
            for data in (b"bytes", bytearray(b"array"), memoryview(b"view"), b""):
                await stream.write(data)
            await asyncio.sleep(0)  # a turn's later writes leave together at its end
            assert peer.recv(100) == b"bytesarrayview"

        both.run(main)

    def test_order_of_futures(self, both):
        async def main():
            stream, peer = both.streams()
            done = []
            sizes = [1 << 20, 0, 5, 1 << 18, 0, 1]
            futures = [stream.write(bytes(size)) for size in sizes]
            for i, future in enumerate(futures):
                future.add_done_callback(lambda f, i=i: done.append(i))
            await peer.read_bytes(sum(sizes))
            await asyncio.gather(*futures)
            await turns()
            assert done == list(range(len(sizes)))

        both.run(main)

    def test_many_queued_writes(self, both):
        async def main():
            stream, peer = both.streams()
            first = stream.write(bytes(4 << 20))
            futures = [first, *[stream.write(b"%06d" % i) for i in range(20000)]]
            await peer.read_bytes(4 << 20)
            data = await peer.read_bytes(6 * 20000)
            assert data == b"".join(b"%06d" % i for i in range(20000))
            await asyncio.gather(*futures)

        both.run(main)

    def test_back_pressure(self, both):
        async def main():
            stream, peer = both.pair()
            future = stream.write(bytes(10 << 20))
            await asyncio.sleep(0.01)
            assert not future.done() and stream.writing()
            got = 0
            peer.setblocking(False)
            while got < 10 << 20:
                try:
                    got += len(peer.recv(1 << 20))
                except BlockingIOError:
                    await asyncio.sleep(0)
            await future

        both.run(main)

    def test_max_write_buffer_size(self, both):
        async def main():
            stream, peer = both.streams(max_write_buffer_size=5 << 20)
            stream.write(bytes(4 << 20)).add_done_callback(lambda f: f.exception())
            with pytest.raises(both.module.StreamBufferFullError, match="Reached maximum write buffer size"):
                stream.write(bytes(5 << 20))
            assert not stream.closed()
            await peer.read_bytes(4 << 20)
            assert stream.max_write_buffer_size == 5 << 20

        both.run(main)

    def test_bytearray_is_the_callers_again(self, both):
        async def main():
            stream, peer = both.streams()
            data = bytearray(os.urandom(3 << 20))
            copy = bytes(data)
            future = stream.write(data)
            assert await peer.read_bytes(len(copy)) == copy
            await future
            data += b"more"
            # Also where the stream closes first.
            data = bytearray(4 << 20)
            future = stream.write(data)
            stream.close()
            with pytest.raises(both.module.StreamClosedError):
                await future
            del future
            gc.collect()
            data += b"more"

        both.run(main)

    def test_bytearray_is_free_again_after_write(self, both):
        async def main():
            stream, peer = both.streams()
            data = bytearray(b"x" * (4 << 20))
            future = stream.write(data)
            with pytest.raises(BufferError):
                data.clear()
            assert await peer.read_bytes(4 << 20) == b"x" * (4 << 20)
            await future
            data.clear()

        both.run(main)

    def test_writes_before_an_exit_go_out(self, both):
        """An exception that leaves the loop does not take what was written before it along."""
        peers = []

        async def main():
            stream, peer = both.pair()
            peers.append(peer)
            for data in (b"one", b"two", b"three"):
                stream.write(data)
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            both.run(main)
        assert peers[0].recv(100) == b"onetwothree"
        gc.collect()  # asyncio logs the exception now, not into another test

    def test_close_while_writing(self, both):
        async def main():
            stream, peer = both.pair()
            futures = [stream.write(bytes(4 << 20)), stream.write(b"x")]
            stream.close()
            for future in futures:
                with pytest.raises(both.module.StreamClosedError):
                    await future
            with pytest.raises(both.module.StreamClosedError):
                stream.write(b"x")
            assert not (both.native and stream.writing())

        both.run(main)

    def test_peer_has_gone(self, both, caplog):
        async def main():
            stream, peer = both.pair()
            peer.close()
            with pytest.raises(both.module.StreamClosedError) as caught:
                await stream.write(b"x" * 100000)
                await stream.write(b"x" * 100000)
            assert caught.value.real_error.errno == errno.EPIPE
            assert stream.closed()

        both.run(main)
        assert not caplog.records

    def test_reset_while_writing(self, both):
        async def main():
            stream, peer = both.pair(tcp=True)
            future = stream.write(bytes(30 << 20))
            await asyncio.sleep(0.01)
            reset(peer)
            with pytest.raises(both.module.StreamClosedError):
                await future

        both.run(main)

    def test_reads_and_writes_at_once(self, both):
        async def main():
            left, right = both.streams()
            data = os.urandom(2 << 20)
            results = await asyncio.gather(
                left.write(data), right.write(data), left.read_bytes(len(data)), right.read_bytes(len(data))
            )
            assert results[2] == results[3] == data

        both.run(main)


# --------------------------------------------------------------------------- the callback interface


class TestCallbacks:
    def test_reads(self, ours):
        got = []

        async def main():
            stream, peer = ours.pair()
            steps = [
                lambda: stream.read_until(b"\n", step),
                lambda: stream.read_until("\n", step),
                lambda: stream.read_until(b"\n", callback=step),
                lambda: stream.read_until_regex(b"[0-9]+!", step),
                lambda: stream.read_bytes(3, step),
                lambda: stream.read_bytes(100, step, partial=True),
            ]

            def step(data):
                got.append(data)
                if steps:
                    assert steps.pop(0)() is None

            steps.pop(0)()
            peer.sendall(b"one\ntwo\nthree\n123!abcrest")
            await until(lambda: len(got) == 6)
            assert got == [b"one\n", b"two\n", b"three\n", b"123!", b"abc", b"rest"]

        ours.run(main)

    def test_never_called_inline(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            peer.sendall(b"data")
            stream.read_bytes(4, got.append)
            stream.write(b"x", lambda: got.append("written"))
            stream.read_bytes(0, got.append)
            assert got == []
            await turns()
            assert got == [b"data", "written", b""]

        ours.run(main)

    def test_text_is_encoded(self, ours):
        async def main():
            stream, peer = ours.pair()
            done = []
            stream.write("gr\u00fc\u00dfe", lambda: done.append(True))
            await until(lambda: done)
            assert peer.recv(100) == "gr\u00fc\u00dfe".encode()

        ours.run(main)

    def test_streaming(self, ours):
        async def main():
            stream, peer = ours.pair()
            chunks, done, sent = [], [], 0
            stream.read_bytes(6, done.append, streaming_callback=chunks.append)
            for piece in (b"ab", b"c", b"defg"):
                peer.sendall(piece)
                sent += 1
                await until(lambda: len(chunks) == sent)  # noqa: B023
            await until(lambda: done)
            assert b"".join(chunks) == b"abcdef" and done == [b""]
            assert await stream.read_bytes(1) == b"g"
            chunks.clear()
            stream.read_until_close(lambda data: done.append(("end", data)), chunks.append)
            peer.sendall(b"tail")
            await until(lambda: chunks)
            peer.close()
            await until(lambda: len(done) == 2)
            assert chunks == [b"tail"] and done[1] == ("end", b"")

        ours.run(main)

    def test_streaming_with_a_future(self, ours):
        async def main():
            stream, peer = ours.pair()
            chunks = []
            future = stream.read_bytes(4, streaming_callback=chunks.append)
            peer.sendall(b"abcd")
            assert await future == b""
            assert b"".join(chunks) == b"abcd"

        ours.run(main)

    def test_read_until_close(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            stream.read_until_close(got.append)
            peer.sendall(b"all of it")
            peer.close()
            await until(lambda: got)
            assert got == [b"all of it"]

        ours.run(main)

    def test_exception_closes_the_stream(self, ours, caplog):
        async def main():
            stream, peer = ours.pair()
            closed = []
            stream.set_close_callback(lambda: closed.append(True))

            def fail(data):
                raise KeyError("told")

            stream.read_bytes(1, fail)
            peer.sendall(b"x")
            await until(lambda: closed)
            assert isinstance(stream.error, KeyError)

        ours.run(main)
        first = caplog.records[0]
        assert (first.name, first.getMessage()) == (
            "tornado.application",
            "Uncaught exception, closing connection.",
        )
        assert isinstance(first.exc_info[1], KeyError)
        assert len(caplog.records) == 2  # and the loop's own

    def test_coroutine_as_callback(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []

            async def callback(data):
                await asyncio.sleep(0)
                got.append(data)

            stream.read_bytes(1, callback)
            peer.sendall(b"x")
            await until(lambda: got)

        ours.run(main)

    def test_context_of_the_call(self, ours):
        variable = contextvars.ContextVar("variable", default="unset")

        async def main():
            (listener,) = netutil.bind_sockets(0, "127.0.0.1")
            stream = ours.stream(socket.socket())
            got = []
            variable.set("connect")
            stream.connect(listener.getsockname(), lambda: got.append(variable.get()))
            variable.set("later")
            await until(lambda: got)
            stream.set_close_callback(lambda: got.append(variable.get()))
            variable.set("write")
            stream.write(b"x", lambda: got.append(variable.get()))
            variable.set("later")
            await until(lambda: len(got) == 2)
            stream.close()
            await until(lambda: len(got) == 3)
            listener.close()
            assert got == ["connect", "write", "later"]

        ours.run(main)

    def test_write_callbacks_are_not_called_after_close(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            stream.write(bytes(4 << 20), lambda: got.append("written"))
            stream.close()
            await turns()
            assert got == []

        ours.run(main)

    def test_io_loop_argument(self, ours):
        async def main():
            for args, kwargs in (
                ((ours.loop,), {}),
                ((None, 500), {}),
                ((ours.loop, 500), {}),
                ((), {"io_loop": ours.loop}),
                ((500,), {}),
            ):
                left, right = socket.socketpair()
                stream = iostream.IOStream(left, *args, **kwargs)
                assert stream.io_loop is ours.loop
                assert stream.max_buffer_size == (500 if 500 in args else 104857600)
                stream.close()
                right.close()
            left, right = socket.socketpair()
            for wrong in (((1, 2, 3, 4), {}), ((1,), {"max_buffer_size": 2}), ((), {"nonsense": 1})):
                with pytest.raises(TypeError):
                    iostream.IOStream(left, *wrong[0], **wrong[1])
            left.close()
            right.close()

        ours.run(main)

    def test_stream_is_kept_alive_by_its_callback(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            stream.read_bytes(1, got.append)
            ours.open[:] = [peer, stream.socket]
            del stream
            gc.collect()
            peer.sendall(b"x")
            await until(lambda: got)

        ours.run(main)


# --------------------------------------------------------------------------- the close callback


class TestClose:
    def test_called_once_in_a_later_turn(self, both):
        async def main():
            stream, peer = both.pair()
            closed = []
            stream.set_close_callback(lambda: closed.append(True))
            stream.close()
            stream.close()
            assert stream.closed() and closed == []
            await turns()
            assert closed == [True]
            assert stream.socket is None and stream.fileno() is None

        both.run(main)

    def test_peer_leaves(self, both):
        async def main():
            stream, peer = both.pair()
            closed = []
            stream.set_close_callback(lambda: closed.append(True))
            await asyncio.sleep(0.01)
            assert not closed
            peer.close()
            await until(lambda: closed)

        both.run(main)

    def test_waits_for_buffered_data(self, both):
        """A stream with unread data does not notice its end until the data are read."""

        async def main():
            stream, peer = both.pair()
            closed = []
            stream.set_close_callback(lambda: closed.append(True))
            peer.sendall(b"onetwo")
            await asyncio.sleep(0.01)
            peer.close()
            assert await stream.read_bytes(3) == b"one"
            await asyncio.sleep(0.01)
            assert closed == []
            assert await stream.read_bytes(3) == b"two"
            await until(lambda: closed)

        both.run(main)

    def test_after_pending_callbacks(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []
            stream.set_close_callback(lambda: got.append("closed"))
            peer.sendall(b"last words")
            stream.read_bytes(10, got.append)
            stream.close()
            await turns()
            assert got == [b"last words", "closed"]

        ours.run(main)

    def test_callback_that_reads_on_holds_it_back(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []

            def more(data):
                got.append(data)
                if len(got) < 3:
                    stream.read_until(b"\n", more)

            stream.set_close_callback(lambda: got.append("closed"))
            peer.sendall(b"1\n2\n3\n")
            peer.close()
            stream.read_until(b"\n", more)
            await until(lambda: "closed" in got)
            assert got == [b"1\n", b"2\n", b"3\n", "closed"]

        ours.run(main)

    def test_taken_back(self, both):
        async def main():
            stream, peer = both.pair()
            stream.set_close_callback(lambda: 1 / 0)
            stream.set_close_callback(None)
            peer.close()
            await asyncio.sleep(0.01)
            stream.close()
            await turns()

        both.run(main)

    def test_write_future_fails_before_it(self, both):
        async def main():
            stream, peer = both.pair()
            got = []
            stream.set_close_callback(lambda: got.append("closed"))
            stream.write(bytes(4 << 20)).add_done_callback(lambda f: got.append(type(f.exception()).__name__))
            stream.close()
            await turns()
            assert got == ["StreamClosedError", "closed"]

        both.run(main)

    def test_closes_in_its_own_read_callback(self, ours):
        async def main():
            stream, peer = ours.pair()
            got = []

            def callback(data):
                got.append(data)
                stream.close()

            stream.set_close_callback(lambda: got.append("closed"))
            stream.read_bytes(1, callback)
            peer.sendall(b"x")
            await until(lambda: "closed" in got)

        ours.run(main)

    def test_unreferenced_idle_stream_is_collected(self, both):
        async def main():
            stream, peer = both.pair()
            peer.sendall(b"x")
            assert await stream.read_bytes(1) == b"x"
            both.open[:] = [peer, stream.socket]
            dead = weakref.ref(stream)
            del stream
            gc.collect()
            assert dead() is None

        both.run(main)

    def test_collected_stream_closes_its_socket(self, ours):
        async def main():
            stream, peer = ours.pair()
            ours.open.remove(stream)
            with pytest.warns(ResourceWarning):
                del stream
                gc.collect()
            assert peer.recv(1) == b""

        ours.run(main)

    def test_in_a_cycle(self, ours):
        async def main():
            stream, peer = ours.pair()
            ours.open.remove(stream)
            stream.itself = stream
            stream.socket.close()
            dead = weakref.ref(stream)
            del stream
            gc.collect()
            assert dead() is None

        ours.run(main)

    def test_loop_closed_with_streams_alive(self, both):
        streams = []

        async def main():
            for _ in range(3):
                streams.append(both.pair()[0])
            asyncio.ensure_future(streams[0].read_until(b"\n")).cancel()
            streams[1].set_close_callback(lambda: None)

        both.run(main)
        both.loop.close()
        for stream in streams:
            stream.close()
            assert stream.closed()

    def test_unclosed_loop_is_collected_with_its_streams(self):
        """Core, registration and stream are one cycle."""
        left, right = socket.socketpair()
        loop = IOLoop(make_current=False)
        stream = iostream.IOStream(left, loop)
        stream.read_until(b"\n", print)
        dead = weakref.ref(stream)
        loop.close()
        left.close()
        right.close()
        asyncio.set_event_loop(None)
        del stream, loop
        gc.collect()
        assert dead() is None

    def test_loop_closed_with_all_fds(self):
        left, right = socket.socketpair()
        with right:
            loop = IOLoop(make_current=False)
            stream = iostream.IOStream(left, loop)
            future = stream.read_until(b"\n")
            loop.close(all_fds=True)
            asyncio.set_event_loop(None)
            assert stream.closed() and left.fileno() == -1
            with pytest.raises(iostream.StreamClosedError):
                future.result()

    def test_after_the_loop_was_closed(self):
        left, right = socket.socketpair()
        with left, right:
            loop = IOLoop(make_current=False)
            stream = iostream.IOStream(left, loop)
            loop.close()
            with pytest.raises(RuntimeError, match="Event loop is closed"):
                stream.read_until(b"\n")
            asyncio.set_event_loop(None)

    def test_set_up_twice(self, ours):
        async def main():
            stream, peer = ours.pair()
            with pytest.raises(RuntimeError, match="initialized already"):
                stream.__init__(peer)

        ours.run(main)

    def test_without_init(self):
        class Stream(iostream.IOStream):
            def __init__(self):
                pass

        stream = Stream()
        assert stream.closed() and stream.socket is None
        with pytest.raises(RuntimeError, match="__init__"):
            stream.read_bytes(1)
        stream.close()


# --------------------------------------------------------------------------- connecting


@pytest.fixture
def listener():
    (sock,) = netutil.bind_sockets(0, "127.0.0.1")
    with sock:
        yield sock


@pytest.fixture
def refused():
    """An address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


class TestConnect:
    def test_success(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            assert await stream.connect(listener.getsockname()) is stream
            peer, _ = listener.accept()
            with peer:
                await stream.write(b"x")
                assert peer.recv(1) == b"x"

        both.run(main)

    def test_server_hostname_is_accepted(self, both, listener):
        async def main():
            await both.stream(socket.socket()).connect(listener.getsockname(), server_hostname="localhost")
            if both.native:
                await both.stream(socket.socket()).connect(listener.getsockname(), "localhost")

        both.run(main)

    def test_refused(self, both, refused, caplog):
        async def main():
            stream = both.stream(socket.socket())
            closed = []
            stream.set_close_callback(lambda: closed.append(True))
            with pytest.raises(both.module.StreamClosedError) as caught:
                await stream.connect(refused)
            assert caught.value.real_error.errno == errno.ECONNREFUSED
            assert stream.error is caught.value.real_error
            await until(lambda: closed)

        both.run(main)
        assert not caplog.records

    def test_callback(self, ours, listener, refused, caplog):
        async def main():
            stream = ours.stream(socket.socket())
            got = []
            assert stream.connect(listener.getsockname(), lambda: got.append("connected")) is None
            assert got == []
            await until(lambda: got)
            stream = ours.stream(socket.socket())
            stream.set_close_callback(lambda: got.append("closed"))
            stream.connect(refused, lambda: got.append("never"))
            await until(lambda: len(got) == 2)
            assert got == ["connected", "closed"]
            assert stream.error.errno == errno.ECONNREFUSED

        ours.run(main)
        (record,) = caplog.records
        assert re.fullmatch(r"Connect error on fd \d+: ECONNREFUSED", record.getMessage())

    def test_failing_at_once(self, both):
        async def main():
            stream = both.stream(socket.socket(socket.AF_UNIX))
            with pytest.raises(both.module.StreamClosedError) as caught:
                await stream.connect("/no/such/socket")
            assert caught.value.real_error.errno == errno.ENOENT

        both.run(main)

    def test_writes_before_it_is_connected(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            connected = stream.connect(listener.getsockname())
            writes = [stream.write(b""), stream.write(b"one"), stream.write(b"two")]
            await connected
            await asyncio.gather(*writes)
            peer, _ = listener.accept()
            with peer:
                assert peer.recv(6, socket.MSG_WAITALL) == b"onetwo"

        both.run(main)

    def test_empty_write_before_it_is_connected(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            connected = stream.connect(listener.getsockname())
            await stream.write(b"")
            await connected

        both.run(main)

    def test_read_before_it_is_connected(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            stream.connect(listener.getsockname())
            future = stream.read_bytes(1)
            await asyncio.sleep(0.01)
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"x")
                assert await future == b"x"

        both.run(main)

    def test_close_while_connecting(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            future = stream.connect(listener.getsockname())
            stream.close()
            with pytest.raises(both.module.StreamClosedError):
                await future

        both.run(main)

    def test_wrong_address(self, both):
        async def main():
            stream = both.stream(socket.socket())
            with pytest.raises(TypeError):
                await stream.connect("not a tuple")
            stream.close()

        both.run(main)

    def test_patched_connect(self, both, monkeypatch):
        """connect goes through the socket object."""

        class Socket(socket.socket):
            def connect(self, address):
                raise socket.gaierror(-2, "nobody of that name")

        async def main():
            stream = both.stream(Socket())
            with pytest.raises(both.module.StreamClosedError) as caught:
                await stream.connect(("host", 80))
            assert isinstance(caught.value.real_error, socket.gaierror)

        both.run(main)

    def test_nodelay(self, both, listener):
        async def main():
            stream = both.stream(socket.socket())
            await stream.connect(listener.getsockname())

            def option():
                return bool(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

            for value in (True, False, True):
                stream.set_nodelay(value)
                assert option() is value
            stream.close()
            stream.set_nodelay(True)
            unix, _ = both.pair()
            unix.set_nodelay(True)

        both.run(main)


# --------------------------------------------------------------------------- on another loop


@pytest.mark.guest
def test_on_a_foreign_loop():
    async def main():
        async with asyncio.timeout(LIMIT):
            left, right = (iostream.IOStream(sock) for sock in socket.socketpair())
            data = os.urandom(1 << 20)
            write = left.write(data)
            assert await right.read_bytes(len(data)) == data
            await write
            got = []
            right.read_until(b"\n", got.append)
            closed = asyncio.Event()
            right.set_close_callback(closed.set)
            await left.write(b"line\n")
            left.close()
            await closed.wait()
            assert got == [b"line\n"]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


class TestManyWritesInOneTurn:
    def test_peer_gone_among_them(self, both):
        """The writes of a turn are joined; sending them halfway finds the connection broken."""

        async def main():
            stream, peer = both.pair(tcp=True)
            stream.write(b"first")
            stream.write(b"second")
            reset(peer)
            with pytest.raises(both.module.StreamClosedError):
                for _ in range(1000):
                    await stream.write(b"z" * 8000)
            assert stream.closed()

        both.run(main)

    def test_peer_gone_without_waiting(self, both):
        async def main():
            stream, peer = both.pair(tcp=True)
            stream.write(b"first")
            stream.write(b"second")
            reset(peer)
            for _ in range(100):
                if stream.closed():
                    break
                stream.write(b"z" * 8000)
            await until(stream.closed)

        both.run(main)
