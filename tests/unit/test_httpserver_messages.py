"""Message delegates: what they hear and when, what they may do meanwhile, what becomes of their errors. Each
scenario on the native connection, through the Python classes and with stock Tornado."""

import asyncio
import contextlib
import gzip
import itertools
import os
import tempfile

import pytest

from support.implementations import OURS, STOCK
from support.live_http import LiveServer, Notified, serving, talk, wait_for
from tornado_c import httputil

GET = b"GET /get HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def post(body, head=b"", length=None):
    size = len(body) if length is None else length
    return b"POST /post HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (head, size, body)


CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
)


class World:
    """An application whose message delegates record what they hear and then do what a scenario says."""

    def __init__(self, implementation, **actions):
        self.implementation = implementation
        self.actions = actions
        self.events = []
        world, util = self, implementation.httputil

        class Message(util.HTTPMessageDelegate):
            def __init__(self, connection):
                self.connection = connection

            def act(self, name, *event):
                world.events.append((name, *event))
                action = world.actions.get(name)
                return action(world, self.connection) if action is not None else None

            def headers_received(self, start_line, headers):
                return self.act("headers", tuple(start_line), sorted(headers.get_all()))

            def data_received(self, chunk):
                return self.act("data", chunk)

            def finish(self):
                self.act("finish")
                if "finish" not in world.actions:
                    world.answer(self.connection)

            def on_connection_close(self):
                self.act("gone")

        class Application(util.HTTPServerConnectionDelegate):
            def start_request(self, server_conn, request_conn):
                if "start" in world.actions:
                    world.actions["start"](world, request_conn)
                return Message(request_conn)

        self.application = Application()

    def answer(self, connection, body=b"ok", **headers):
        util = self.implementation.httputil
        line = util.ResponseStartLine("HTTP/1.1", 200, "OK")
        connection.write_headers(line, util.HTTPHeaders({"Content-Length": str(len(body)), **headers}), body)
        connection.finish()

    def heard(self):
        """The events, with consecutive pieces of a body as one: how it was cut means nothing."""
        joined = []
        for name, group in itertools.groupby(self.events, lambda event: event[0]):
            if name == "data":
                joined.append((name, b"".join(event[1] for event in group)))
            else:
                joined.extend(group)
        return joined


@contextlib.contextmanager
def served(kind, actions, **settings):
    implementation = STOCK if kind == "stock" else OURS
    world = World(implementation, **actions)
    if kind == "python":
        server = LiveServer(None, make=lambda: Notified(world.application, **settings))
    else:
        server = LiveServer(world.application, implementation, **settings)
    try:
        yield world, server
    finally:
        server.stop()


WAYS = ("native", "python", "stock")


def same(wire, caplog, /, *, pieces=0, comparable=None, ours=None, **actions):
    """What each way hears, sends and logs for `wire`; returns it where all three agree."""
    outcomes = {}
    for kind in WAYS:
        caplog.clear()
        settings = dict(ours or {}) if kind != "stock" else {}
        settings |= actions.get("settings", {})
        hooks = {name: value for name, value in actions.items() if name != "settings"}
        with served(kind, hooks, **settings) as (world, server):
            sent = talk(server.address, wire, pieces=pieces)
            server.settle()
            server.settle()
        lines = [record.getMessage() for record in caplog.records]
        outcomes[kind] = (world.heard(), sent, lines)
        if comparable is not None:
            outcomes[kind] = comparable(outcomes[kind])
    assert outcomes["native"] == outcomes["stock"]
    assert outcomes["python"] == outcomes["stock"]
    return outcomes["native"]


def without_departures(outcome):
    heard, sent, lines = outcome
    for extra in (b"HTTP/1.1 100 (Continue)\r\n\r\n",):
        sent = sent.replace(extra, b"")
    return heard, sent, lines


# ---- what they hear ----


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize(
    "request_", [GET, post(b"hello"), post(b""), CHUNKED], ids=["get", "post", "empty", "chunked"]
)
def test_a_message_is_heard_in_order(request_, pieces, caplog):
    heard, sent, _ = same(request_ + LAST, caplog, pieces=pieces)
    assert [event[0] for event in heard].count("finish") == 2 and sent.endswith(b"ok")


def test_pieces_are_no_larger_than_chunk_size():
    with served("native", {}, chunk_size=10) as (world, server):
        talk(server.address, post(b"x" * 1000) + CHUNKED + LAST)
    sizes = [len(event[1]) for event in world.events if event[0] == "data"]
    assert max(sizes) <= 10 and sum(sizes) == 1005


def test_small_chunks_are_joined():
    chunks = b"".join(b"1\r\n%c\r\n" % (97 + n % 26) for n in range(500)) + b"0\r\n\r\n"
    with served("native", {}) as (world, server):
        talk(server.address, CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4] + chunks + LAST)
    assert [len(event[1]) for event in world.events if event[0] == "data"] == [500]


# ---- what they return ----


def test_nothing_is_read_while_headers_are_awaited(caplog):
    async def headers(world, connection):
        await asyncio.sleep(0.02)
        world.events.append(("waited",))

    heard, sent, _ = same(post(b"hello") + LAST, caplog, headers=headers)
    assert [event[0] for event in heard] == [
        "headers",
        "waited",
        "data",
        "finish",
        "headers",
        "waited",
        "finish",
    ]


def test_one_piece_after_the_other(caplog):
    busy = []

    async def data(world, connection):
        assert not busy
        busy.append(1)
        await asyncio.sleep(0)
        busy.clear()

    heard, _, lines = same(post(b"x" * 300_000) + CHUNKED + LAST, caplog, data=data)
    assert lines == [] and len(heard[1][1]) == 300_000


def test_a_client_is_held_back_by_an_unfinished_awaitable():
    """What is not read stays with the client, not in memory."""
    gate = []

    async def data(world, connection):
        if not gate:
            gate.append(asyncio.Event())
        await gate[0].wait()

    with served("native", {"data": data}) as (world, server), server.connect() as client:
        client.sock.settimeout(0.5)
        size = 20_000_000
        client.send(post(b"", length=size))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < size:
                sent += client.sock.send(b"x" * 100_000)
        wait_for(lambda: len(world.events) > 1)
        assert len(world.events) == 2
        client.sock.settimeout(20)
        server.call(lambda: gate[0].set())
        while sent < size:
            sent += client.sock.send(b"x" * min(100_000, size - sent))
        assert client.answer()[1] == b"ok"
        assert len(world.heard()[1][1]) == size


def test_futures_that_are_done_or_fail(caplog):
    def done(world, connection):
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    heard, *_ = same(post(b"hello") + LAST, caplog, headers=done, data=done)
    assert [event[0] for event in heard] == ["headers", "data", "finish", "headers", "finish"]

    def failed(world, connection):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError("no"))
        return future

    heard, sent, lines = same(post(b"hello") + LAST, caplog, data=failed)
    assert sent == b"" and lines == ["Uncaught exception"] and heard[-1] == ("gone",)


@pytest.mark.parametrize("stage", ["headers", "data"])
def test_a_future_of_another_loop_is_refused(stage, caplog):
    def foreign(world, connection):
        loop = asyncio.new_event_loop()
        loop.close()
        return loop.create_future()

    heard, sent, lines = same(post(b"hello") + LAST, caplog, **{stage: foreign})
    assert sent == b"" and lines == ["Uncaught exception"] and heard[-1] == ("gone",)


def test_no_task_is_current_in_a_native_delegate():
    def look(world, connection):
        world.events.append(("task", asyncio.current_task()))

    with served("native", {"headers": look, "data": look}) as (world, server):
        talk(server.address, post(b"x") + LAST)
    assert [event for event in world.events if event[0] == "task"] == [("task", None)] * 3


# ---- what they raise ----


def raiser(error):
    def act(world, connection):
        raise error

    return act


async def fail_late(world, connection):
    await asyncio.sleep(0)
    raise ValueError("late")


@pytest.mark.parametrize("stage", ["headers", "data", "finish"])
def test_an_exception_is_logged_and_ends_the_connection(stage, caplog):
    heard, sent, lines = same(post(b"hello") + LAST, caplog, **{stage: raiser(ValueError("no"))})
    assert sent == b"" and lines == ["Uncaught exception"] and heard[-1] == ("gone",)


@pytest.mark.parametrize("stage", ["data", "finish"])
def test_after_an_exception_the_close_callback_is_not_called(stage, caplog):
    def watch(world, connection):
        connection.set_close_callback(lambda: world.events.append(("closed",)))

    heard, *_ = same(post(b"x"), caplog, headers=watch, **{stage: raiser(ValueError("no"))})
    assert heard[-2:] == [(stage, b"x") if stage == "data" else (stage,), ("gone",)]


class Unusual(BaseException):
    """One that is not logged."""


async def fail_unusually(world, connection):
    await asyncio.sleep(0)
    raise Unusual


@pytest.mark.parametrize("action", [raiser(Unusual()), fail_unusually], ids=["at once", "late"])
@pytest.mark.parametrize("stage", ["headers", "data"])
def test_any_exception_ends_the_connection(stage, action):
    for kind in WAYS:
        with served(kind, {stage: action}) as (world, server), server.connect() as client:
            client.send(post(b"hello"))
            assert client.rest() == b""
            wait_for(lambda world=world: world.events[-1] == ("gone",))


@pytest.mark.parametrize("stage", ["headers", "data"])
def test_so_is_one_of_a_coroutine(stage, caplog):
    heard, sent, lines = same(post(b"hello") + LAST, caplog, **{stage: fail_late})
    assert sent == b"" and lines == ["Uncaught exception"] and heard[-1] == ("gone",)


def test_a_start_request_that_fails_ends_the_connection(caplog):
    for kind in ("native", "python"):
        with served(kind, {"start": raiser(ValueError("no"))}) as (world, server):
            assert talk(server.address, GET) == b""
        assert world.events == []
    assert caplog.records


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stage", ["headers", "data", "finish"])
def test_an_input_error_becomes_a_400(stage, late, caplog):
    caplog.set_level("INFO")

    def refuse(world, connection):
        error = world.implementation.httputil.HTTPInputError("bad")
        if not late or stage == "finish":
            raise error

        async def later():
            await asyncio.sleep(0)
            raise error

        return later()

    ours = {"linger_timeout": 0}
    heard, sent, lines = same(post(b"hello") + LAST, caplog, ours=ours, **{stage: refuse})
    assert sent == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert lines == ["Malformed HTTP message from 127.0.0.1: bad"] and heard[-1] == ("gone",)


def test_no_400_in_the_middle_of_a_response():
    def begin(world, connection):
        line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        connection.write_headers(line, httputil.HTTPHeaders(), b"some")

    bad = CHUNKED.replace(b"2\r\nde", b"zz\r\nde")
    for kind in ("native", "python"):
        with served(kind, {"headers": begin}) as (world, server):
            sent = talk(server.address, bad)
            server.settle()
        assert b"400" not in sent and sent.endswith(b"4\r\nsome\r\n")
        assert world.events[-1] == ("gone",)


# ---- answers before the end ----


def answer_now(world, connection):
    world.answer(connection)


@pytest.mark.parametrize(
    "request_", [GET, post(b"hello"), post(b"hello", length=500_000)], ids=["get", "post", "more"]
)
@pytest.mark.parametrize("stage", ["headers", "data"])
def test_an_early_response_ends_the_connection(request_, stage, caplog):
    """The rest is not delivered, the delegate hears of the end."""
    if stage == "data" and request_ is GET:
        return

    def answer_once(world, connection):
        if not any(event[0] == "answered" for event in world.events):
            world.events.append(("answered",))
            world.answer(connection)

    heard, sent, _ = same(request_ + b"x" * 1000, caplog, **{stage: answer_once})
    assert sent.endswith(b"ok") and heard[-1] == ("gone",) and ("finish",) not in heard


def test_an_early_response_reaches_a_client_that_goes_on_sending():
    with served("native", {"headers": answer_now}) as (_, server):
        for _ in range(5):
            with server.connect() as client:
                client.send(post(b"", length=99_999_999))
                for _ in range(40):
                    client.send(b"x" * 50_000)
                assert client.rest().endswith(b"ok")


@pytest.mark.parametrize("kind", ["native", "python"])
def test_after_an_early_response_only_the_client_ends_the_connection(kind):
    """Not the end of its body."""
    with served(kind, {"headers": answer_now}, linger_timeout=1000.0) as (world, server):
        with server.connect() as client:
            client.send(post(b"", length=5))
            assert client.rest().endswith(b"ok")
            client.send(b"hello")
            server.call(lambda: None)
            assert server.call(lambda: len(server.server._connections)) == 1
        wait_for(lambda: server.call(lambda: not server.server._connections))
        wait_for(lambda: ("gone",) in world.events)


def test_leave_to_send_a_body_is_given_behind_the_headers():
    def headers(world, connection):
        world.events.append(("answered",))
        world.answer(connection)

    request = post(b"", b"Expect: 100-continue\r\n", length=5)
    for kind in WAYS:
        with served(kind, {}) as (world, server), server.connect() as client:
            client.send(request)
            assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 (Continue)\r\n\r\n"
            assert [event[0] for event in world.events] == ["headers"]
            client.send(b"hello")
            assert client.answer()[1] == b"ok"
        with served(kind, {"headers": headers}) as (_, server), server.connect() as client:
            client.send(request)
            assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")


# ---- the client leaves ----


def test_a_client_that_leaves_within_its_body():
    for kind in WAYS:
        with served(kind, {}) as (world, server):
            with server.connect() as client:
                client.send(post(b"hello", length=100))
                wait_for(lambda world=world: len(world.events) == 2)
            wait_for(lambda world=world: world.events[-1] == ("gone",))
        assert world.events.count(("gone",)) == 1


def test_a_client_that_leaves_while_its_response_is_made():
    def finish(world, connection):
        connection.set_close_callback(lambda: world.events.append(("closed",)))

    for kind in WAYS:
        with served(kind, {"finish": finish}) as (world, server):
            with server.connect() as client:
                client.send(GET)
                wait_for(lambda world=world: ("finish",) in world.events)
            wait_for(lambda world=world: world.events[-1] == ("closed",))
        assert ("gone",) not in world.events


def test_the_end_is_notified_after_what_is_awaited():
    gate = []

    async def data(world, connection):
        gate.append(asyncio.Event())
        await gate[-1].wait()
        world.events.append(("waited",))

    for kind in ("native", "python"):
        gate.clear()
        with served(kind, {"data": data}) as (world, server):
            with server.connect() as client:
                client.send(post(b"hello", length=100))
                wait_for(lambda: gate)
            server.settle()
            assert ("gone",) not in world.events
            server.call(lambda: gate[0].set())
            wait_for(lambda world=world: world.events[-1] == ("gone",))
            assert world.events[-2] == ("waited",)


def test_the_end_is_told_after_what_the_call_that_ended_it_awaits(caplog):
    def data(world, connection):
        connection.stream.close()

        async def wait():
            for _ in range(5):
                await asyncio.sleep(0)
            world.events.append(("waited",))

        return wait()

    heard, *_ = same(post(b"hello", length=100), caplog, data=data)
    assert [event[0] for event in heard] == ["headers", "data", "waited", "gone"]


# ---- what they ask of the connection ----


def test_limits_of_one_message(caplog):
    caplog.set_level("INFO")

    def raise_limit(world, connection):
        connection.set_max_body_size(2000)

    def lower_limit(world, connection):
        connection.set_max_body_size(3)

    settings, ours = {"max_body_size": 1000}, {"linger_timeout": 0}
    body = post(b"x" * 1500) + LAST
    for action in ({"start": raise_limit}, {"headers": raise_limit}):
        heard, sent, _ = same(body, caplog, settings=settings, ours=ours, **action)
        assert sent.count(b"200 OK") == 2
    for data in (post(b"hello") + LAST, CHUNKED + LAST):
        heard, sent, _ = same(
            data, caplog, settings=settings, ours=ours, headers=lower_limit, comparable=without_data
        )
        assert sent == b"HTTP/1.1 400 Bad Request\r\n\r\n"


def without_data(outcome):
    heard, *rest = outcome
    return [event for event in heard if event[0] != "data"], *rest


def test_the_time_of_one_body(caplog):
    caplog.set_level("INFO")

    def limit(world, connection):
        connection.set_body_timeout(0.05)

    for kind in WAYS:
        caplog.clear()
        with served(kind, {"headers": limit}) as (world, server):
            assert talk(server.address, post(b"hello", length=10)) == b""
            wait_for(lambda world=world: world.events[-1] == ("gone",))
        assert caplog.messages == ["Timeout reading body from 127.0.0.1"]
    with served("native", {"headers": lambda world, connection: connection.set_body_timeout(None)}) as (
        _,
        server,
    ):
        assert talk(server.address, post(b"hello") + LAST).count(b"200 OK") == 2


def test_a_stream_is_handed_over_behind_its_head():
    def headers(world, connection):
        stream = connection.detach()
        stream.write(b"mine: ")

        async def echo():
            stream.write(await stream.read_until(b"!"))
            stream.close()

        world.task = asyncio.ensure_future(echo())

    for kind in WAYS:
        with served(kind, {"headers": headers}) as (world, server):
            assert talk(server.address, post(b"hello!", length=100)) == b"mine: hello!"
            server.settle()
        assert [event[0] for event in world.events] == ["headers"]


def test_the_stream_may_be_read_while_headers_are_awaited():
    async def headers(world, connection):
        world.events.append(("read", await connection.stream.read_bytes(4)))

    for kind in WAYS:
        with served(kind, {"headers": headers}) as (world, server):
            talk(server.address, LAST + b"mine")
            wait_for(lambda world=world: ("finish",) in world.events)
        assert [event for event in world.events if event[0] == "read"] == [("read", b"mine")]


def test_both_connections_have_what_programs_use():
    seen = []

    class Application(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn, request_conn):
            seen.append((server_conn, request_conn))
            return httputil.HTTPMessageDelegate()

    with serving(Application(), chunk_size=1000, max_body_size=5000) as server, server.connect() as client:
        client.send(GET)
        wait_for(lambda: seen)
        server_conn, request_conn = seen[0]
        assert server_conn.stream is request_conn.stream
        assert server_conn.context is request_conn.context
        assert server_conn.context.remote_ip == "127.0.0.1" and str(server_conn.context) == "127.0.0.1"
        assert (server_conn.params.chunk_size, request_conn.params.max_body_size) == (1000, 5000)
        assert request_conn.is_client is False

        async def close():
            await server_conn.close()

        server.call(close)
        assert client.rest() == b""


def test_xheaders_hold_from_the_head_to_the_end():
    def look(world, connection):
        world.events.append(("client", connection.context.remote_ip, connection.context.protocol))

    def finish(world, connection):
        look(world, connection)
        world.answer(connection)

    forwarded = b"X-Forwarded-For: 4.4.4.4\r\nX-Forwarded-Proto: https\r\n"
    data = post(b"x", forwarded) + LAST
    for kind in WAYS:
        with served(kind, {"headers": look, "finish": finish}, xheaders=True) as (world, server):
            talk(server.address, data)
        clients = [event[1:] for event in world.events if event[0] == "client"]
        assert clients == [("4.4.4.4", "https")] * 2 + [("127.0.0.1", "http")] * 2


def test_xheaders_hold_while_a_callback_runs():
    seen = []

    def callback(request):
        context = request.connection.context
        seen.append((request.remote_ip, context.remote_ip, context.protocol))
        request.connection.finish()

    data = LAST[:-2] + b"X-Real-Ip: 4.4.4.4\r\nX-Scheme: https\r\n\r\n"
    for implementation in (OURS, STOCK):
        with serving(callback, implementation, xheaders=True) as server:
            talk(server.address, data)
    assert seen == [("4.4.4.4", "4.4.4.4", "https")] * 2


def test_bodies_in_gzip_are_decoded(caplog):
    caplog.set_level("INFO")
    head, plain = b"Content-Encoding: gzip\r\n", b"hello " * 10_000
    settings = {"decompress_request": True}
    heard, sent, _ = same(post(gzip.compress(plain), head) + LAST, caplog, settings=settings)
    assert heard[1] == ("data", plain) and sent.count(b"200 OK") == 2
    truncated = post(gzip.compress(plain)[:-5], head) + LAST
    _, sent, lines = same(
        truncated, caplog, settings=settings, ours={"linger_timeout": 0}, comparable=without_data
    )
    assert sent == b"HTTP/1.1 400 Bad Request\r\n\r\n" and len(lines) == 1


# ---- files ----


@pytest.mark.parametrize("length", [True, False], ids=["counted", "chunked"])
def test_a_range_of_a_file_is_a_piece_of_body(length):
    content = os.urandom(300_000)

    def finish(world, connection):
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            headers = httputil.HTTPHeaders({"Content-Length": "200004"} if length else {})
            connection.write_headers(httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), headers, b"ab")
            connection._write_file(file, 1000, 200_000)
            connection.write(b"yz")
            connection.finish()

    with served("native", {"finish": finish}) as (_, server), server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.answer()[1] == b"ab" + content[1000:201_000] + b"yz"


def test_a_file_is_counted_against_content_length():
    errors = []

    def finish(world, connection):
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 100)
            file.flush()
            headers = httputil.HTTPHeaders({"Content-Length": "50"})
            connection.write_headers(httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), headers)
            try:
                connection._write_file(file, 0, 51)
            except httputil.HTTPOutputError as error:
                errors.append(str(error))

    with served("native", {"finish": finish}) as (_, server):
        assert b"x" not in talk(server.address, GET).partition(b"\r\n\r\n")[2]
    assert errors == ["Tried to write more data than Content-Length"]
