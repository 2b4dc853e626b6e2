"""`request.connection.stream` in the application's hands while its request is handled, without detach(): for
CONNECT, upgrades and raw protocols. The same programs under stock Tornado's server, and the same bytes."""

import asyncio
import contextlib
import logging
import ssl

import pytest

from support.implementations import OURS, STOCK
from support.live_http import Overridden, raw_ok, serving, wait_for
from support.live_tcp import TLS

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OPENED = b"HTTP/1.1 200 Connection Established\r\n\r\n"


def talk(callback, talking, way, tls=False):
    """What talking(client) returns, with a server of that way whose callback is run in a Task."""
    tasks = []

    def answer(request):
        if request.uri == "/last":
            raw_ok(request, b"last")
        else:
            tasks.append(asyncio.ensure_future(callback(request)))

    settings = {"ssl_options": TLS} if tls else {}
    make = (lambda: Overridden(answer, **settings)) if way == "delegates" else None
    with serving(answer, STOCK if way == "stock" else OURS, make=make, **settings) as server:
        client = server.connect()
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.sock = context.wrap_socket(client.sock)
        with client:
            return talking(client)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def same(request):
    """Runs a program everywhere; the answer must be stock's."""

    def run(callback, talking):
        stock = talk(callback, talking, "stock", request.param)
        for way in ("native", "delegates"):
            assert talk(callback, talking, way, request.param) == stock, way
        return stock

    return run


TOGETHER = pytest.mark.parametrize("together", [True, False], ids=["with the request", "later"])


def reading_programs():
    async def until(stream):
        return await stream.read_until(b"\n")

    async def regex(stream):
        return await stream.read_until_regex(b"\r?\n")

    async def count(stream):
        return await stream.read_bytes(6)

    async def partial(stream):
        data = b""
        while len(data) < 6:
            data += await stream.read_bytes(6 - len(data), partial=True)
        return data

    async def into(stream):
        memory = bytearray(6)
        assert await stream.read_into(memory) == 6
        return bytes(memory)

    return [until, regex, count, partial, into]


@TOGETHER
@pytest.mark.parametrize("late", [False, True], ids=["in the callback", "after a turn"])
@pytest.mark.parametrize("read", reading_programs(), ids=lambda read: read.__name__)
def test_http_goes_on(same, read, late, together):
    """What was read is not HTTP's; the request behind it is."""

    async def callback(request):
        if late:
            await asyncio.sleep(0.002)
        raw_ok(request, await read(request.connection.stream))

    def talking(client):
        answers = []
        for _ in range(3):
            if together:
                client.send(GET + b"hello\n")
            else:
                client.send(GET)
                client.send(b"hello\n")
            answers.append(client.answer())
        client.send(GET + b"hello\n" + LAST)
        return answers, client.rest()

    assert b"last" in same(callback, talking)[1]


@TOGETHER
def test_tunnel(same, together):
    """A proxy's CONNECT: the stream is taken for good, and closed."""

    async def callback(request):
        stream = request.connection.stream
        await stream.write(OPENED)
        while (piece := await stream.read_bytes(100, partial=True)) != b"bye":
            await stream.write(piece.upper())
        stream.close()

    def talking(client):
        client.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + (b"early" if together else b""))
        said = client.until(b"\r\n\r\n")
        if together:
            said += client.exactly(5)
        said += client.send(b"hello").exactly(5)
        client.send(b"bye")
        return said, client.rest()

    assert same(callback, talking)[0] == OPENED + (b"EARLY" if together else b"") + b"HELLO"


@TOGETHER
def test_until_the_client_ends(same, together):
    seen = []

    async def callback(request):
        stream = request.connection.stream
        seen.append(await stream.read_until_close())
        assert stream.closed()

    def talking(client):
        client.send(GET + (b"early " if together else b""))
        client.send(b"and the rest")
        if isinstance(client.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                client.sock.unwrap()
        client.sock.close()
        wait_for(lambda: seen)
        return seen.pop()

    assert same(callback, talking).endswith(b"and the rest")


def test_written_between(same):
    """Both directions at once, in the middle of an answer."""

    async def callback(request):
        stream = request.connection.stream
        request.connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(2):
            request.connection.write((await stream.read_until(b"\n")).upper())
        request.connection.finish()

    def talking(client):
        client.send(GET)
        client.until(b"\r\n\r\n")
        one = client.send(b"first\n").exactly(6)
        two = client.send(b"later\n" + LAST).exactly(6)
        return one, two, client.rest()

    same(callback, talking)


def test_closed_by_the_application(same):
    async def callback(request):
        stream = request.connection.stream
        await stream.write(b"raw")
        stream.close()

    def talking(client):
        return client.send(GET + LAST).rest()

    assert same(callback, talking) == b"raw"


def test_two_readers(same, caplog):
    """A read that waits when the request is answered. The connection fails as in stock Tornado."""
    failures = []

    async def callback(request):
        reading = request.connection.stream.read_until(b"never")
        raw_ok(request, b"answered")
        try:
            await reading
        except Exception as exc:
            failures.append(type(exc).__name__)

    def talking(client):
        del failures[:]
        said = client.send(GET + LAST).rest()
        wait_for(lambda: failures)
        messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        caplog.clear()
        return said, list(failures), messages

    said, failed, messages = same(callback, talking)
    assert said.endswith(b"answered")
    assert (failed, messages) == (["StreamClosedError"], ["Uncaught exception"])


def test_a_cancelled_read_is_no_second_reader():
    """Ours alone: stock Tornado reads on for nobody."""

    async def callback(request):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(request.connection.stream.read_until(b"never"), 0.005)
        raw_ok(request, b"answered")

    for way in ("native", "delegates"):
        said = talk(callback, lambda client: client.send(GET + LAST).rest(), way)
        assert b"answered" in said and said.endswith(b"last")


@TOGETHER
def test_the_client_leaves(together):
    """A close callback of the application's, and a read, learn of it."""
    told = []

    async def callback(request):
        stream = request.connection.stream
        stream.set_close_callback(lambda: told.append("callback"))
        told.append("begun")
        try:
            while True:
                told.append(await stream.read_bytes(5))
        except Exception as exc:
            told.append(type(exc).__name__)

    def talking(client):
        del told[:]
        client.send(GET + (b"early" if together else b""))
        wait_for(lambda: told)
        client.sock.close()
        wait_for(lambda: {"callback", "StreamClosedError"} <= set(told))

    for tls in (False, True):
        talk(callback, talking, "native", tls)


def test_the_client_leaves_unread():
    """No read at all."""
    told = []

    async def callback(request):
        request.connection.stream.set_close_callback(lambda: told.append("left"))
        told.append("begun")

    def talking(client):
        del told[:]
        client.send(GET)
        wait_for(lambda: told)
        client.sock.close()
        wait_for(lambda: told == ["begun", "left"])

    for tls in (False, True):
        talk(callback, talking, "native", tls)


def test_handlers_of_ours():
    from tornado_c import web

    class Tunnel(web.RequestHandler):
        SUPPORTED_METHODS = ("CONNECT",)

        async def connect(self):
            stream = self.request.connection.stream
            await stream.write(OPENED)
            await stream.write((await stream.read_until(b"\n")).upper())
            stream.close()

    with serving(web.Application([(r".*", Tunnel)])) as server, server.connect() as client:
        client.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nhello\n")
        assert client.rest() == OPENED + b"HELLO\n"
        assert not server.call(lambda: list(server.server._connections))


# --------------------------------------------------------------------------- detach


def test_a_detached_connection_has_no_stream(same):
    """Programs ask it whether the stream is theirs; the rest of it is as before."""

    async def detach(request):
        connection = request.connection
        stream = connection.detach()
        assert not stream.closed()
        seen = connection.stream, request.protocol, request.remote_ip, connection.context.remote_ip
        await stream.write(repr(seen).encode())
        stream.close()
        assert connection.stream is None

    scheme = same(detach, lambda client: client.send(GET).rest())
    assert scheme.startswith(b"(None, 'http") and scheme.endswith(b"'127.0.0.1', '127.0.0.1')")


# --------------------------------------------------------------------------- start_tls


def secured(client):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.sock = context.wrap_socket(client.sock)
    return client


async def intercepting(request):
    """A proxy that looks into what it tunnels."""
    stream = request.connection.stream
    await stream.write(OPENED)
    stream = await stream.start_tls(True, TLS)
    await stream.write((await stream.read_until(b"\n")).upper())
    stream.close()


@pytest.mark.parametrize("way", ["native", "delegates"])
def test_start_tls(way):
    def talking(client):
        client.send(GET)
        assert client.until(b"\r\n\r\n") == OPENED
        return secured(client).send(b"hello\n").rest()

    assert talk(intercepting, talking, way) == b"HELLO\n"


def test_nothing_is_left_of_the_connection():
    def answer(request):
        asyncio.ensure_future(intercepting(request))

    with serving(answer) as server, server.connect() as client:
        client.send(GET)
        client.until(b"\r\n\r\n")
        secured(client)
        assert not server.call(lambda: list(server.server._connections))
        assert client.send(b"hello\n").rest() == b"HELLO\n"


def test_finish_after_start_tls():
    """It has nothing to write to any more."""
    done = []

    async def callback(request):
        stream = await request.connection.stream.start_tls(True, TLS)
        request.connection.finish()
        done.append(True)
        await stream.write(b"secret")
        stream.close()

    def talking(client):
        client.send(GET)
        return secured(client).rest()

    assert talk(callback, talking, "native") == b"secret"
    assert done
