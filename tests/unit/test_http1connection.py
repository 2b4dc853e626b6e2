"""HTTP1Connection and HTTP1ServerConnection: flow control, limits, overrides, errors; stock Tornado is the
oracle where it behaves as we do."""

import asyncio
import gzip
import logging
import zlib

import pytest

from support.http1_roles import ANSWER, Peer, fetch, recorder, serve, serving_delegate, turns
from support.implementations import BOTH, OURS, STOCK
from tornado_c import http1connection, httputil, iostream

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def lines(caplog):
    return [(r.name, r.levelname, r.getMessage()) for r in caplog.records]


def server_on(peer, delegate_class, implementation=OURS, **params):
    """Serve one delegate class, made with the connection, on a peer's stream."""

    class Server(implementation.httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            return delegate_class(request_conn)

    settings = implementation.http1connection.HTTP1ConnectionParameters(**params)
    server = implementation.http1connection.HTTP1ServerConnection(peer.stream, settings, "peer")
    server.start_serving(Server())
    return server


class Delegate(httputil.HTTPMessageDelegate):
    def __init__(self, connection):
        self.connection = connection

    def answer(self, body=b"ok"):
        headers = httputil.HTTPHeaders({"Content-Length": str(len(body))})
        self.connection.write_headers(httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), headers, body)
        self.connection.finish()


# ---- flow control ----


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_pending_future_holds_back_the_sender(chunked):
    size = 8 * 1024 * 1024
    sizes = []

    async def run():
        peer = Peer(OURS)
        gate = asyncio.Event()

        class Slow(Delegate):
            async def data_received(self, chunk):
                sizes.append(len(chunk))
                await gate.wait()

            def finish(self):
                self.answer(b"%d" % sum(sizes))

        server = server_on(peer, Slow)
        body = b"x" * size
        if chunked:
            data = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        else:
            data = POST + b"Content-Length: %d\r\n\r\n" % size + body
        sending = asyncio.ensure_future(peer.send(data))
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(sizes) == 1 and not sending.done()
        assert peer.stream._read_buffer_size <= 4 * 65536
        gate.set()
        await sending
        assert (await peer.until(b"%d" % size)).startswith(OK)
        await server.close()
        peer.close()

    asyncio.run(run())
    assert sum(sizes) == size and max(sizes) <= 65536


def test_an_awaitable_of_headers_received_holds_back_the_body():
    events = []

    async def run():
        peer = Peer(OURS)

        class Late(Delegate):
            async def headers_received(self, start_line, headers):
                await turns()
                events.append("head")

            def data_received(self, chunk):
                events.append(chunk)

            def finish(self):
                self.answer()

        server = server_on(peer, Late)
        await peer.send(POST + b"Content-Length: 5\r\n\r\nhello")
        await peer.until(b"ok")
        await server.close()
        peer.close()

    asyncio.run(run())
    assert events == ["head", b"hello"]


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_pieces_are_of_chunk_size(size):
    sizes = []

    async def run():
        peer = Peer(OURS, read_chunk_size=5)
        params = http1connection.HTTP1ConnectionParameters(chunk_size=size)
        client = http1connection.HTTP1Connection(peer.stream, True, params)

        class Sizes(httputil.HTTPMessageDelegate):
            def data_received(self, chunk):
                sizes.append(len(chunk))

        await peer.send(OK + b"Content-Length: 100\r\n\r\n" + b"x" * 100)
        client.write_headers(httputil.RequestStartLine("GET", "/", ""), httputil.HTTPHeaders())
        client.finish()
        assert await client.read_response(Sizes())
        peer.close()

    asyncio.run(run())
    assert sum(sizes) == 100 and sizes[:-1] == [size] * (len(sizes) - 1)


def test_many_small_chunks_are_joined():
    sent = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n"
    pieces = []

    async def run():
        peer = Peer(OURS)
        client = http1connection.HTTP1Connection(peer.stream, True)

        class Pieces(httputil.HTTPMessageDelegate):
            def data_received(self, chunk):
                pieces.append(chunk)

        await peer.send(sent)
        client.write_headers(httputil.RequestStartLine("GET", "/", ""), httputil.HTTPHeaders())
        client.finish()
        assert await client.read_response(Pieces())
        peer.close()

    asyncio.run(run())
    assert b"".join(pieces) == b"x" * 3000 and len(pieces) < 10


# ---- limits ----


def test_header_timeout(implementation, caplog):
    caplog.set_level(logging.INFO)

    async def run():
        peer = Peer(implementation)
        events = []
        params = implementation.http1connection.HTTP1ConnectionParameters(header_timeout=0.02)
        server = implementation.http1connection.HTTP1ServerConnection(peer.stream, params)
        server.start_serving(serving_delegate(implementation, events))
        await peer.send(GET + GET[:10])
        assert await peer.rest() == ANSWER
        await server.close()
        peer.close()
        return events

    assert [event[0] for event in asyncio.run(run())] == ["headers", "finish", "gone"]
    assert lines(caplog) == []


def test_body_timeout(implementation, caplog):
    caplog.set_level(logging.INFO)

    async def run():
        peer = Peer(implementation)
        events = []
        params = implementation.http1connection.HTTP1ConnectionParameters(body_timeout=0.02)
        server = implementation.http1connection.HTTP1ServerConnection(peer.stream, params, "the peer")
        server.start_serving(serving_delegate(implementation, events))
        await peer.send(POST + b"Content-Length: 5\r\n\r\nhel")
        assert await peer.rest() == b""
        await server.close()
        peer.close()
        return events

    assert [event[0] for event in asyncio.run(run())] == ["headers", "data", "closed", "gone"]
    assert lines(caplog) == [("tornado.general", "INFO", "Timeout reading body from the peer")]


@pytest.mark.parametrize("method", ["set_max_body_size", "set_body_timeout"])
def test_limits_of_one_message(implementation, method):
    """Each applies to the request whose delegate set it and not to the next."""

    async def run():
        peer = Peer(implementation)
        events = []

        class Server(implementation.httputil.HTTPServerConnectionDelegate):
            def start_request(self, server_conn, request_conn):
                delegate = recorder(implementation, events, request_conn)
                plain = delegate.headers_received

                def headers_received(start_line, headers):
                    value = {"set_max_body_size": 10, "set_body_timeout": 20.0}[method]
                    if start_line.path == "/more":
                        getattr(request_conn, method)(value)
                    return plain(start_line, headers)

                delegate.headers_received = headers_received
                return delegate

        params = implementation.http1connection.HTTP1ConnectionParameters(max_body_size=4)
        server = implementation.http1connection.HTTP1ServerConnection(peer.stream, params)
        server.start_serving(Server())
        for path in (b"/more", b"/"):
            await peer.send(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" % path)
            await peer.until(b"\r\n\r\n")
        peer.end()
        sent = await peer.rest()
        await server.close()
        peer.close()
        return events, sent

    events, sent = asyncio.run(run())
    refused = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert sent == (ANSWER + refused if method == "set_max_body_size" else refused)


def test_head_limit_of_the_client_is_an_unsatisfiable_read():
    async def run():
        peer = Peer(OURS)
        params = http1connection.HTTP1ConnectionParameters(max_header_size=100)
        client = http1connection.HTTP1Connection(peer.stream, True, params)
        await peer.send(OK + b"X: " + b"y" * 200 + b"\r\n\r\n")
        with pytest.raises(iostream.StreamClosedError) as caught:
            await client.read_response(httputil.HTTPMessageDelegate())
        assert isinstance(caught.value.real_error, iostream.UnsatisfiableReadError)
        assert peer.stream.closed() and isinstance(peer.stream.error, iostream.UnsatisfiableReadError)
        peer.close()

    asyncio.run(run())


# ---- gzip ----

TWO = gzip.compress(b"hello ") + gzip.compress(b"world")
BODIES = {
    "one": gzip.compress(b"hello" * 100),
    "two members": TWO,
    "empty member": gzip.compress(b""),
    "nothing": b"",
    "cut": gzip.compress(b"hello" * 100)[:-3],
    "no gzip": b"hello, world",
    "garbage behind": gzip.compress(b"hello") + b"garbage",
    "damaged": bytes(b ^ (i == 15) for i, b in enumerate(gzip.compress(b"hello" * 100))),
    "raw deflate": zlib.compress(b"hello"),
    "too large": gzip.compress(b"x" * 5000),
}


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_gzip_as_stock_decodes_it(body, pieces, caplog):
    caplog.set_level(logging.INFO)
    data = POST + b"Content-Encoding: GZip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    cut = [data] if pieces == "whole" else [data[:80]] + [data[i : i + 1] for i in range(80, len(data))]

    async def run(implementation, **more):
        return await serve(implementation, cut, decompress=True, max_body_size=1000, chunk_size=64, **more)

    ours = asyncio.run(run(OURS, linger_timeout=0))
    our_lines = lines(caplog)
    caplog.clear()
    events, sent = asyncio.run(run(STOCK))
    assert ours == (events, sent)
    assert our_lines == lines(caplog)


def test_encoded_bodies_are_left_alone_unless_asked_for():
    data = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(TWO) + TWO
    for implementation in BOTH:
        events, _ = asyncio.run(serve(implementation, [data]))
        assert ("data", TWO) in events


# ---- handing over, overriding ----


def test_detach(implementation):
    async def run():
        peer = Peer(implementation)
        streams = []

        class Tunnel(implementation.httputil.HTTPMessageDelegate):
            def __init__(self, connection):
                self.connection = connection

            def headers_received(self, start_line, headers):
                streams.append(self.connection.detach())

        server = server_on(peer, Tunnel, implementation)
        await peer.send(GET + b"raw bytes")
        await peer.send(b" and more")
        while not streams:
            await asyncio.sleep(0)
        assert streams == [peer.stream]
        assert await peer.stream.read_bytes(18) == b"raw bytes and more"
        await server._serving_future
        assert not peer.stream.closed()
        peer.close()

    asyncio.run(run())


def test_overridden_read_body_may_read_the_stream_itself(implementation):
    class Connection(implementation.http1connection.HTTP1Connection):
        def _read_body(self, code, headers, delegate):
            if headers.get("X-Own") is None:
                return super()._read_body(code, headers, delegate)

            async def read():
                delegate.data_received(await self.stream.read_until(b"!"))

            return read()

    class ServerConnection(implementation.http1connection.HTTP1ServerConnection):
        async def _server_request_loop(self, delegate):
            try:
                for _ in range(2):
                    connection = Connection(self.stream, False, self.params, self.context)
                    request_delegate = delegate.start_request(self, connection)
                    await connection.read_response(request_delegate)
            finally:
                delegate.on_close(self)

    async def run():
        peer = Peer(implementation)
        events = []
        server = ServerConnection(peer.stream)
        server.start_serving(serving_delegate(implementation, events))
        await peer.send(POST + b"X-Own: 1\r\n\r\nhel")
        await turns()
        await peer.send(b"lo!" + POST + b"Content-Length: 3\r\n\r\nyou")
        await peer.until(ANSWER + ANSWER)
        await server._serving_future
        peer.close()
        return [event for event in events if event[0] == "data"]

    assert asyncio.run(run()) == [("data", b"hello!"), ("data", b"you")]


# ---- errors ----


@pytest.mark.parametrize("method", ["headers_received", "data_received", "finish"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "awaited"])
def test_errors_of_delegates(implementation, method, late, caplog):
    """They are logged, the connection is closed, and the delegate hears of that once."""
    caplog.set_level(logging.INFO)
    closed = []

    async def run():
        peer = Peer(implementation)

        class Failing(implementation.httputil.HTTPMessageDelegate):
            def __init__(self, connection):
                pass

            def on_connection_close(self):
                closed.append(1)

        def fail(self, *args):
            raise ValueError("mine")

        async def fail_late(self, *args):
            await turns()
            raise ValueError("mine")

        setattr(Failing, method, fail_late if late and method != "finish" else fail)
        server = server_on(peer, Failing, implementation)
        await peer.send(POST + b"Content-Length: 5\r\n\r\nhello")
        assert await peer.rest() == b""
        await server.close()
        peer.close()

    asyncio.run(run())
    assert closed == [1]
    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("tornado.application", "Uncaught exception")
    assert isinstance(record.exc_info[1], ValueError)


def test_errors_of_a_response_that_is_framed_wrongly(implementation):
    util = implementation.httputil
    errors = []

    async def run():
        for length, body in (("3", b"more"), ("5", b"less")):
            peer = Peer(implementation)

            class Wrong(util.HTTPMessageDelegate):
                def __init__(self, connection):
                    self.connection = connection

                def finish(self, length=length, body=body):
                    line = util.ResponseStartLine("HTTP/1.1", 200, "OK")
                    try:
                        self.connection.write_headers(line, util.HTTPHeaders({"Content-Length": length}))
                        self.connection.write(body)
                        self.connection.finish()
                    except util.HTTPOutputError as e:
                        errors.append(str(e))

            server = server_on(peer, Wrong, implementation)
            await peer.send(GET)
            await peer.rest()
            await server.close()
            peer.close()

    asyncio.run(run())
    assert errors == [
        "Tried to write more data than Content-Length",
        "Tried to write 1 bytes less than Content-Length",
    ]


def test_line_ends_in_heads_are_refused(implementation):
    util = implementation.httputil

    async def run():
        peer = Peer(implementation)
        client = implementation.http1connection.HTTP1Connection(peer.stream, True)
        for path, value in (("/\r\nX: y", "z"), ("/", "a\nb")):
            headers = util.HTTPHeaders()
            headers._as_list["X"], headers._combined_cache["X"] = [value], value
            with pytest.raises(ValueError, match="Illegal characters"):
                client.write_headers(util.RequestStartLine("GET", path, ""), headers)
        peer.close()

    asyncio.run(run())


def test_writing_to_a_closed_connection(implementation):
    async def run():
        peer = Peer(implementation)
        client = implementation.http1connection.HTTP1Connection(peer.stream, True)
        peer.stream.close()
        line = implementation.httputil.RequestStartLine("POST", "/", "")
        for future in (client.write_headers(line, implementation.httputil.HTTPHeaders()), client.write(b"x")):
            with pytest.raises(implementation.iostream.StreamClosedError):
                await future
        client.finish()
        peer.close()

    asyncio.run(run())


def test_close_callback(implementation):
    """It is called when the client leaves before its answer; once the answer is there it is forgotten."""
    called = []

    async def run():
        peer = Peer(implementation)
        connections = []

        class Slow(implementation.httputil.HTTPMessageDelegate):
            def __init__(self, connection):
                connections.append(connection)

            def finish(self):
                connections[-1].set_close_callback(lambda: called.append(len(connections)))

        server = server_on(peer, Slow, implementation)
        await peer.send(GET)
        while not connections or not connections[0]._read_finished:
            await asyncio.sleep(0)
        await turns()
        peer.sock.close()
        await server._serving_future
        peer.close()

    asyncio.run(run())
    assert called == [1]


# ---- 100-continue ----

CONTINUE = b"HTTP/1.1 100 (Continue)\r\n\r\n"
EXPECTING = {
    "length": (POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", b"hi", True),
    "chunked": (
        POST + b"Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"2\r\nhi\r\n0\r\n\r\n",
        True,
    ),
    "no body": (POST + b"Expect: 100-continue\r\n\r\n", b"", False),
    "empty body": (POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", b"", False),
    "1.0": (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", b"hi", False),
    "other": (POST + b"Expect: a pony\r\nContent-Length: 2\r\n\r\n", b"hi", False),
}


@pytest.mark.parametrize("name", EXPECTING)
def test_continue_is_said_where_a_body_is_to_come(name):
    head, body, said = EXPECTING[name]

    async def run():
        return await serve(OURS, [head, body])

    events, sent = asyncio.run(run())
    assert sent.startswith(CONTINUE + OK if said else OK)
    assert (("data", b"hi") in events) == bool(body)


def test_continue_is_not_said_before_a_refusal():
    head = POST + b"Expect: 100-continue\r\nContent-Length: 200\r\n\r\n"
    events, sent = asyncio.run(serve(OURS, [head], max_body_size=100))
    assert sent == b"HTTP/1.1 400 Bad Request\r\n\r\n" and events[-2:] == [("closed",), ("gone",)]


# ---- the end of a connection ----


def test_a_refusal_is_not_written_into_a_response():
    async def run():
        peer = Peer(OURS)

        class Early(Delegate):
            def headers_received(self, start_line, headers):
                line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                self.connection.write_headers(line, httputil.HTTPHeaders(), b"some")

        server = server_on(peer, Early)
        await peer.send(POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert await peer.rest() == OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"
        await server.close()
        peer.close()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["close", "foo, close", "Close"])
def test_close_among_other_tokens(how):
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n" % how.encode()
    events, sent = asyncio.run(serve(OURS, [request + GET]))
    assert sent.count(b"200 OK") == 1 and b"Connection: close\r\n" in sent


def test_a_response_to_1_0_without_length_ends_with_the_connection():
    async def run():
        peer = Peer(OURS)

        class Streaming(Delegate):
            def finish(self):
                line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
                self.connection.write_headers(line, httputil.HTTPHeaders(), b"hello")
                self.connection.finish()

        server = server_on(peer, Streaming)
        await peer.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert await peer.rest() == OK + b"\r\nhello"
        await server.close()
        peer.close()

    asyncio.run(run())


def test_responding_early_drops_the_rest_of_the_body():
    told = []

    async def run():
        peer = Peer(OURS)

        class Early(Delegate):
            def headers_received(self, start_line, headers):
                self.answer(b"enough")

            def data_received(self, chunk):
                told.append(chunk)

            def finish(self):
                told.append("finish")

            def on_connection_close(self):
                told.append("closed")

        server = server_on(peer, Early)
        await peer.send(POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 100000)
        await peer.until(b"enough")
        await peer.send(b"x" * 900000)  # it is taken, and not answered with a reset
        assert (await peer.rest()).endswith(b"enough")
        await server.close()
        peer.close()

    asyncio.run(run())
    assert told == ["closed"]


def test_close_ends_the_serving_loop_and_on_close_is_called_once():
    async def run():
        peer = Peer(OURS)
        events = []
        server = http1connection.HTTP1ServerConnection(peer.stream)
        server.start_serving(serving_delegate(OURS, events))
        await peer.send(GET)
        await peer.until(b"ok")
        await server.close()
        assert peer.stream.closed() and server._serving_future.done()
        peer.close()
        return events

    assert asyncio.run(run())[-1] == ("gone",)


def test_client_reads_responses_one_after_another():
    async def run():
        peer = Peer(OURS)
        seen = []
        await peer.send((OK + b"Content-Length: 1\r\n\r\na") + (OK + b"Content-Length: 1\r\n\r\nb"))
        for _ in range(2):
            events = []
            client = http1connection.HTTP1Connection(peer.stream, True)
            client.write_headers(httputil.RequestStartLine("GET", "/", ""), httputil.HTTPHeaders())
            client.finish()
            assert await client.read_response(recorder(OURS, events))
            seen.append(events[1])
        peer.close()
        return seen

    assert asyncio.run(run()) == [("data", b"a"), ("data", b"b")]


def test_reading_twice_at_once_is_refused():
    async def run():
        peer = Peer(OURS)
        client = http1connection.HTTP1Connection(peer.stream, True)
        first = asyncio.ensure_future(client.read_response(httputil.HTTPMessageDelegate()))
        await turns()
        other = http1connection.HTTP1Connection(peer.stream, True)
        with pytest.raises(AssertionError, match="Already reading"):
            await other.read_response(httputil.HTTPMessageDelegate())
        first.cancel()
        peer.close()

    asyncio.run(run())


def test_decompressing_client():
    body = gzip.compress(b"hello" * 1000)
    answer = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for implementation in BOTH:
        events, result = asyncio.run(fetch(implementation, [answer], decompress=True))
        assert events[1:] == [("data", b"hello" * 1000), ("finish",)] and result is True
        assert ("X-Consumed-Content-Encoding", "gzip") in events[0][2]
