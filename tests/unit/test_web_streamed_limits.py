"""Handlers with @stream_request_body where the body is too long, too slow or does not come; how much of it is
in memory; leave to send it. Natively, under TLS and through the Python classes, beside stock Tornado's.
"""

import asyncio
import gc
import gzip
import os
import weakref

import pytest

from support.implementations import OURS
from support.live_http import serving, wait_for
from support.ways import WAYS, chunked_body, implementation_of, serve
from support.web_servers import collecting, request

ALL = [*WAYS, "stock"]
INFO = ("tornado.general", "INFO")


def limited_app(way, seen, alive=None):
    """/: prepare() sets the limits that the query names. /PATH: what else may happen there."""
    web = implementation_of(way).web

    @web.stream_request_body
    class Limited(web.RequestHandler):
        def prepare(self):
            if alive is not None:
                alive.add(self)
            if "max" in self.request.arguments:
                self.request.connection.set_max_body_size(int(self.get_argument("max")))
            if "timeout" in self.request.arguments:
                self.request.connection.set_body_timeout(float(self.get_argument("timeout")))

        def data_received(self, chunk):
            seen.append(len(chunk))

        def post(self):
            seen.append("post")
            self.write("done")

        def on_connection_close(self):
            seen.append("closed")
            super().on_connection_close()

    class Quiet(Limited):
        """Does not call what it overrides."""

        def on_connection_close(self):
            seen.append("closed")

    class QuietTask(Quiet):
        async def prepare(self):
            super().prepare()
            await asyncio.sleep(0)

    class Preparing(Limited):
        async def prepare(self):
            super().prepare()
            seen.append("prepare")
            await asyncio.sleep(0.05)

    class Waiting(Limited):
        async def data_received(self, chunk):
            super().data_received(chunk)
            await asyncio.sleep(0.05)

    class Wrapped(Limited):
        async def prepare(self):
            super().prepare()
            await asyncio.sleep(0)

        async def _execute(self, *args, **kwargs):
            await super()._execute(*args, **kwargs)

    class Answering(Limited):
        def prepare(self):
            super().prepare()
            self.finish("early")

    class Beginning(Limited):
        async def prepare(self):
            super().prepare()
            self.write("begun ")
            await self.flush()

    handlers = {cls.__name__: cls for cls in locals().values() if isinstance(cls, type)}
    return web.Application([("/" + name, cls) for name, cls in handlers.items()])


def post(path, body, headers=(), close=True):
    return request(path, "POST", headers, body, close=close)


def chunked(path, body):
    return request(path, "POST", ["Transfer-Encoding: chunked"]) + chunked_body(body)


def total(seen):
    """The sizes of pieces added up, and what else there was."""
    return sum(each for each in seen if isinstance(each, int)), [
        each for each in seen if isinstance(each, str)
    ]


@pytest.mark.parametrize("way", ALL)
def test_a_length_beyond_the_limit_that_prepare_sets(way):
    seen = []
    with collecting() as log, serve(way, limited_app(way, seen)) as server:
        answer = server.exchange(post("/Limited?max=10", b"x" * 11))
        assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        assert server.exchange(post("/Limited?max=10", b"x" * 10)).endswith(b"\r\n\r\ndone")
        text = "Malformed HTTP message from 127.0.0.1: Content-Length too long"
        assert log.take()[0] == (*INFO, text, None)
    assert total(seen) == (10, ["closed", "post"])


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("path", ["Limited", "Waiting", "QuietTask", "Wrapped"])
def test_a_chunked_body_beyond_its_limit(way, path):
    seen = []
    with collecting() as log, serve(way, limited_app(way, seen), chunk_size=1000) as server:
        answer = server.exchange(chunked(f"/{path}?max=3500", b"x" * 100_000))
        assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        wait_for(lambda: "closed" in seen)
        assert [line[:2] for line in log.take()] == [INFO]
    size, rest = total(seen)
    assert size <= 3500 and rest == ["closed"]


@pytest.mark.parametrize("way", ALL)
def test_a_limit_holds_for_its_request_alone(way):
    seen = []
    large = b"x" * 1000
    with collecting(), serve(way, limited_app(way, seen), max_body_size=100) as server:
        data = post("/Limited?max=1000", large, close=False) + post("/Limited", large)
        answer = server.exchange(data)
    assert answer.count(b"done") == 1 and answer.endswith(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert total(seen) == (1000, ["post", "closed"])


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("path", ["Limited", "QuietTask"])
def test_a_time_limit_of_its_own(way, path):
    seen = []
    with collecting() as log, serve(way, limited_app(way, seen)) as server, server.connect() as client:
        client.send(request(f"/{path}?timeout=0.05", "POST", ["Content-Length: 10"]) + b"half")
        assert client.rest() == b""
        wait_for(lambda: "closed" in seen)
        assert log.take() == [(*INFO, "Timeout reading body from 127.0.0.1", None)]
    assert total(seen) == (4, ["closed"])


# ---- gzip ----


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("path", ["Limited", "Waiting"])
def test_gzip_is_decoded_in_pieces(way, path):
    seen = []
    body = gzip.compress(b"x" * 950)
    with serve(way, limited_app(way, seen), decompress_request=True, chunk_size=100) as server:
        headers = ["Content-Encoding: gzip"]
        assert server.exchange(post("/" + path, body, headers)).endswith(b"done")
        assert total(seen) == (950, ["post"]) and max(seen[:-1]) <= 100
        assert server.exchange(post("/" + path, b"x" * 950)).endswith(b"done")  # not encoded


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("body", [b"x" * 1001, None], ids=["too long", "malformed"])
def test_gzip_beyond_the_limit(way, body):
    seen = []
    data = gzip.compress(body) if body else gzip.compress(b"x" * 100)[:-4]
    with collecting() as log:
        with serve(way, limited_app(way, seen), decompress_request=True, max_body_size=1000) as server:
            answer = server.exchange(post("/Limited", data, ["Content-Encoding: gzip"]))
            assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"
            assert [line[:2] for line in log.take()] == [INFO]
    assert total(seen)[1] == ["closed"] * (1 if body else 2)  # as it is with stock


@pytest.mark.parametrize("way", WAYS)
def test_the_limit_that_prepare_sets_is_on_what_was_decoded(way):
    """Stock takes the server's there, whatever prepare() says."""
    seen = []
    app = limited_app(way, seen)
    body = gzip.compress(b"x" * 2000)
    with collecting(), serve(way, app, decompress_request=True, max_body_size=1000) as server:
        assert server.exchange(post("/Limited?max=2000", body, ["Content-Encoding: gzip"])).endswith(b"done")
        answer = server.exchange(post("/Limited?max=1999", body, ["Content-Encoding: gzip"]))
        assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"


# ---- the client leaves ----


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("path", ["Limited", "Preparing", "Waiting", "Quiet", "QuietTask", "Wrapped"])
def test_a_client_that_leaves(way, reset, path):
    seen, alive = [], weakref.WeakSet()
    with collecting() as log, serve(way, limited_app(way, seen, alive)) as server:
        for head in (
            request("/" + path, "POST", ["Content-Length: 9"]),
            request("/" + path, "POST", ["Transfer-Encoding: chunked"]),
        ):
            with server.connect() as client:
                client.send(head + b"4\r\nh")
                wait_for(lambda: seen)
                if reset:
                    client.reset()
            wait_for(lambda: "closed" in seen)
            assert "post" not in seen and seen.count("closed") == 1
            seen.clear()
        if way == "stock":
            return  # its Tasks may end with a line in the log
        wait_for(lambda: server.live.call(gc.collect) is not None and not alive)
        assert log.take() == []


# ---- leave to send the body ----


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("path", ["Limited", "Preparing"])
def test_leave_is_given_after_prepare(way, path):
    seen = []
    with serve(way, limited_app(way, seen)) as server, server.connect() as client:
        client.send(request("/" + path, "POST", ["Expect: 100-continue", "Content-Length: 4"]))
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        assert client.send(b"body").rest().endswith(b"done")


@pytest.mark.parametrize("way", ALL)
def test_no_leave_is_given_after_the_response(way):
    seen = []
    with collecting(), serve(way, limited_app(way, seen)) as server, server.connect() as client:
        client.send(request("/Answering", "POST", ["Expect: 100-continue", "Content-Length: 4"]))
        assert client.rest().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("way", WAYS)
def test_no_leave_is_given_within_the_response(way):
    """Stock writes it between the chunks of the response."""
    seen = []
    with serve(way, limited_app(way, seen)) as server, server.connect() as client:
        client.send(request("/Beginning", "POST", ["Expect: 100-continue", "Content-Length: 4"]) + b"body")
        assert client.answer()[1] == b"begun done"


# ---- memory ----


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer keeps what is freed")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_memory_of_a_long_upload(way, slow, kind):
    """The client sends as fast as it can."""
    sizes, peak = [], [0]
    web = OURS.web

    @web.stream_request_body
    class Upload(web.RequestHandler):
        def prepare(self):
            self.request.connection.set_max_body_size(1 << 40)

        def data_received(self, chunk):
            sizes.append(len(chunk))
            peak[0] = max(peak[0], resident())
            return asyncio.sleep(0.001) if slow and len(sizes) % 8 == 0 else None

        def put(self):
            self.write(str(sum(sizes)))

    count, piece = 400, b"x" * 131072
    announced = f"Content-Length: {count * len(piece)}" if kind == "length" else "Transfer-Encoding: chunked"
    with serve(way, web.Application([("/", Upload)]), max_body_size=1000) as server:
        for _ in range(2):  # the first warms up
            before, peak[0] = resident(), 0
            sizes.clear()
            with server.connect() as client:
                client.send(request("/", "PUT", [announced]))
                for _ in range(count):
                    client.send(piece if kind == "length" else b"20000\r\n" + piece + b"\r\n")
                if kind == "chunked":
                    client.send(b"0\r\n\r\n")
                assert client.rest().endswith(b"\r\n\r\n%d" % (count * len(piece)))
    assert peak[0] - before < 4 << 20


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["prepare", "data_received"])
def test_an_awaitable_holds_the_client_back(way, where):
    """What the kernel does not take stays with the client."""
    web = OURS.web
    seen = []

    async def wait():
        event = seen_events[0] = asyncio.Event()
        await event.wait()

    seen_events = [None]

    @web.stream_request_body
    class Upload(web.RequestHandler):
        def prepare(self):
            return wait() if where == "prepare" else None

        def data_received(self, chunk):
            seen.append(len(chunk))
            return wait() if where == "data_received" and len(seen) == 1 else None

        def post(self):
            self.write(str(sum(seen)))

    size = 64 << 20
    with serve(way, web.Application([("/", Upload)])) as server, server.connect() as client:
        client.send(request("/", "POST", [f"Content-Length: {size}"]))
        client.sock.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.sock.send(b"x" * 65536)
        wait_for(lambda: seen_events[0] is not None)
        assert len(seen) <= 1 and sent < size // 2
        server.live.call(seen_events[0].set)
        client.sock.settimeout(20)
        if way != "tls":  # a record may have been cut
            client.send(b"x" * (size - sent))
            assert client.rest().endswith(b"\r\n\r\n%d" % size)


def test_time_of_other_clients():
    """A long upload to a handler that awaits nothing leaves others their turn."""
    web = OURS.web

    @web.stream_request_body
    class Upload(web.RequestHandler):
        def data_received(self, chunk):
            pass

        def post(self):
            self.write("done")

    class Hello(web.RequestHandler):
        def get(self):
            self.write("hello")

    with serving(web.Application([("/", Upload), ("/hello", Hello)])) as server:
        with server.connect() as uploading, server.connect() as other:
            uploading.send(request("/", "POST", ["Content-Length: 50000000"]))
            for _ in range(10):
                uploading.send(b"x" * 5_000_000)
                assert other.send(request("/hello", close=False)).answer()[1] == b"hello"
            assert uploading.answer()[1] == b"done"


@pytest.mark.parametrize("way", ["native", "python"])
def test_behind_a_proxy(way):
    seen = []
    app = limited_app(way, seen)
    with serve(way, app, proxy_protocol=True, trusted_proxies=["127.0.0.1"]) as server:
        announced = b"PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\n"
        assert server.exchange(announced + post("/Waiting", b"x" * 100)).endswith(b"done")
    assert total(seen) == (100, ["post"])


@pytest.mark.parametrize("way", ALL)
def test_a_whole_body_of_many_megabytes(way):
    """For a handler that does not stream: it is there, however it grew."""
    web = implementation_of(way).web
    body = os.urandom(1 << 20) * 11

    class Whole(web.RequestHandler):
        def post(self):
            self.write("same" if self.request.body == body else "other")

    with serve(way, web.Application([("/", Whole)])) as server:
        for data in post("/", body), chunked("/", body):
            assert server.exchange(data).endswith(b"same")
