"""Names of Tornado 2 to 4 that are there without being asked for."""

import asyncio
import fcntl
import hashlib
import hmac
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import tornado_c
from support.children import CHILD_ENVIRONMENT
from tornado_c import httputil, ioloop, iostream, netutil, options, tcpclient, util, web, websocket
from tornado_c.ioloop import IOLoop, PeriodicCallback, PollIOLoop
from tornado_c.platform import auto, epoll, kqueue, select

# ---- ioloop ----


@pytest.fixture
def loops():
    made = []

    def make(cls, *args, **kwargs):
        made.append(cls(*args, **kwargs))
        return made[-1]

    yield make
    for loop in made:
        loop.close(all_fds=True)
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("cls", [PollIOLoop, epoll.EPollIOLoop, kqueue.KQueueIOLoop, select.SelectIOLoop])
def test_poll_loops_run_natively(loops, cls):
    loop = loops(cls)
    assert isinstance(loop, IOLoop) and isinstance(loop.asyncio_loop, tornado_c.EventLoop)
    got = []
    loop.add_callback(got.append, 1)
    loop.add_timeout(time.time() + 0.01, loop.stop)
    loop.start()
    assert got == [1]


def test_configured():
    IOLoop.configure("tornado_c.platform.epoll.EPollIOLoop", time_func=time.monotonic)
    try:
        loop = IOLoop()
        assert type(loop) is epoll.EPollIOLoop and abs(loop.time() - time.monotonic()) < 10
        loop.call_at(time.monotonic() + 0.01, loop.stop)
        loop.start()
        loop.close()
    finally:
        IOLoop.configure(None)
        asyncio.set_event_loop(None)


class Fake(select._Select):
    """A poller with a clock that jumps to whatever comes next."""

    now = 1000.0

    def time(self):
        return self.now

    def poll(self, timeout):
        found = super().poll(0)
        if not found:
            self.now += timeout
        return found


def test_a_clock_that_is_none(loops):
    fake = Fake()
    loop = loops(PollIOLoop, impl=fake, time_func=fake.time)
    seen = []
    periodic = PeriodicCallback(lambda: seen.append(loop.time()), 10_000)
    periodic.start()
    loop.add_timeout(1025.0, lambda: seen.append("at"))
    dropped = loop.call_later(26, seen.append, "dropped")
    loop.call_later(31, loop.stop)
    loop.remove_timeout(dropped)
    begun = time.monotonic()
    loop.start()
    assert seen == [1010.0, 1020.0, "at", 1030.0] and time.monotonic() - begun < 20


def test_descriptors_and_streams_on_a_poller_of_python(loops):
    fake = Fake()
    loop = loops(PollIOLoop, impl=fake, time_func=time.time)
    one, other = socket.socketpair()
    stream, peer = iostream.IOStream(one), iostream.IOStream(other)
    got = []
    stream.read_until(b"\n", lambda data: (got.append(data), loop.stop()))
    loop.add_callback(lambda: peer.write(b"line\n"))
    loop.start()
    assert got == [b"line\n"]
    thread = threading.Thread(target=lambda: loop.add_callback(loop.stop))
    thread.start()
    loop.start()
    thread.join()
    stream.close()
    peer.close()


def test_an_exception_of_a_timer_is_logged(loops, caplog):
    fake = Fake()
    loop = loops(PollIOLoop, impl=fake, time_func=fake.time)
    loop.call_later(1, lambda: 1 / 0)
    loop.call_later(2, loop.stop)
    loop.start()
    assert ["Exception in callback" in record.getMessage() for record in caplog.records] == [True]


def test_small_names_of_the_loop(loops, caplog):
    assert (IOLoop._EPOLLIN, IOLoop._EPOLLOUT, IOLoop._EPOLLERR | IOLoop._EPOLLHUP) == (
        IOLoop.READ,
        IOLoop.WRITE,
        IOLoop.ERROR,
    )
    loop = loops(IOLoop)
    assert isinstance(loop.call_later(1, print), ioloop._Timeout)
    loop.log_stack(14, None)
    assert "test_small_names_of_the_loop" in caplog.records[0].getMessage()


def test_platform():
    waker = auto.Waker()
    auto.set_close_exec(waker.fileno())
    assert fcntl.fcntl(waker.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    waker.consume()
    waker.wake()
    assert os.read(waker.fileno(), 10) == b"x"
    for _ in range(100_000):
        waker.wake()
    waker.consume()
    with pytest.raises(BlockingIOError):
        os.read(waker.fileno(), 1)
    assert waker.write_fileno() != waker.fileno()
    waker.close()
    assert auto.monotonic_time is time.monotonic


# ---- netutil, tcpclient, util, options ----

CERTIFICATE = {
    "subject": ((("commonName", "other.example"),),),
    "subjectAltName": (
        ("DNS", "example.com"),
        ("DNS", "*.Example.org"),
        ("DNS", "10.0.0.9"),
        ("IP Address", "10.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
    ),
}


@pytest.mark.parametrize("name", ["example.com", "EXAMPLE.com", "a.example.org", "10.0.0.1", "::1"])
def test_matching_host_names(name):
    netutil.ssl_match_hostname(CERTIFICATE, name)


@pytest.mark.parametrize(
    "name",
    [
        "a.example.com",
        "a.b.example.org",
        "example.org",
        "other.example",
        "10.0.0.2",
        "10.0.0.9",
        "::2",
        "",
        "org",
    ],
)
def test_other_host_names(name):
    with pytest.raises(netutil.SSLCertificateError):
        netutil.ssl_match_hostname(CERTIFICATE, name)


def test_no_certificate():
    assert netutil.SSLCertificateError is ssl.CertificateError
    for nothing in ({}, None):
        with pytest.raises(ValueError):
            netutil.ssl_match_hostname(nothing, "example.com")
    for wide in ("*", "*.com", "ex*.com", "*.*.com"):
        certificate = {"subjectAltName": (("DNS", wide),)}
        with pytest.raises(netutil.SSLCertificateError):
            netutil.ssl_match_hostname(certificate, "a.example.com")


@pytest.mark.parametrize("name", ["DefaultLoopResolver", "ThreadedResolver", "BlockingResolver"])
def test_resolvers_call_callbacks(name):
    """They begin without being awaited, and return a Future as well."""

    async def main():
        got = asyncio.Future()
        future = getattr(netutil, name)().resolve("127.0.0.1", 80, callback=got.set_result)
        assert await got == await future == [(socket.AF_INET, ("127.0.0.1", 80))]

    tornado_c.run(main())


def test_a_client_calls_a_callback():
    async def main():
        sock = netutil.bind_sockets(0, "127.0.0.1", family=socket.AF_INET)[0]
        got = asyncio.Future()
        client = tcpclient.TCPClient(io_loop=IOLoop.current())
        client.connect("127.0.0.1", sock.getsockname()[1], callback=got.set_result)
        stream = await got
        assert isinstance(stream, iostream.IOStream)
        stream.close()
        sock.close()

    tornado_c.run(main())


def test_util_and_options():
    assert (util.u("x"), util.b("\xe9"), util.PY3, util.is_finalizing()) == ("x", b"\xe9", True, False)
    assert list(util.xrange(2)) == [0, 1]
    assert options._Options.instance() is options.options
    parser = options._Options()
    parser.define("port", 80)
    assert parser is not options.options and parser.parse_command_line(["x", "--port=1"]) == []
    assert parser.port == 1


# ---- web and websocket ----


def test_signatures_of_2_x():
    expected = hmac.new(b"secret", b"ab", hashlib.sha1).hexdigest().encode()
    assert web._create_signature("secret", "a", b"b") == expected
    assert web._time_independent_equals(b"a", b"a") and not web._time_independent_equals(b"a", b"b")
    assert issubclass(web.ChunkedTransferEncoding, web.OutputTransform)


class Async(web.RequestHandler):
    @web.asynchronous
    def get(self):
        what = self.get_argument("what")
        call = self.async_callback(getattr(self, what), "one", key="two")
        assert self.async_callback(None) is None
        IOLoop.current().add_callback(call)

    def plain(self, one, key):
        self.finish(f"{one} {key} {self._generate_headers()[:15].decode()}")

    def fails(self, one, key):
        raise web.HTTPError(418)

    def late(self, one, key):
        self.write("sent ")
        self.flush()
        IOLoop.current().add_callback(self.finish)
        raise KeyError("late")


class Page(web.RequestHandler):
    def get(self, kind):
        if kind == "raises":
            raise KeyError("why")
        self.send_error(403, more=1)

    def get_error_html(self, status_code, exception=None, more=None):
        import sys

        return f"{status_code} {exception!r} {more} {sys.exc_info()[1] is exception}"


def application(**settings):
    return web.Application([("/async", Async), ("/page/(.*)", Page)], **settings)


def body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def test_async_callback(serve, caplog):
    get = serve(application())
    assert body(get("/async?what=plain")) == b"one two HTTP/1.1 200 OK"
    assert get("/async?what=fails").startswith(b"HTTP/1.1 418")
    assert b"sent " in body(get("/async?what=late"))
    assert "Exception after headers written" in [record.getMessage() for record in caplog.records]


def test_get_error_html(serve):
    get = serve(application())
    assert body(get("/page/raises")) == b"500 KeyError('why') None True"
    assert body(get("/page/sends")) == b"403 None 1 True"


def test_host_handlers():
    app = web.Application([("/any", Async)], default_host="one.example", wsgi=True)
    app.add_handlers(r"one\.example", [("/one", Page)])
    app.add_handlers(
        r".*\.two\.example$", [("/two", Page), ("/x", "tornado_c.web.RedirectHandler", {"url": "/"})]
    )

    def first(host, **headers):
        request = httputil.HTTPServerRequest(
            start_line=httputil.RequestStartLine("GET", "/", "HTTP/1.1"),
            headers=httputil.HTTPHeaders({"Host": host, **headers}),
            connection=object(),
        )
        return app._get_host_handlers(request)[0].matcher.regex.pattern

    assert first("one.example:80") == "/one$"
    assert first("A.two.example") == "/two$"
    assert first("elsewhere") == "/any$"


def test_websocket_connect_takes_a_loop(serve):
    class Echo(websocket.WebSocketHandler):
        def on_message(self, message):
            self.write_message(message)

    serve(web.Application([("/ws", Echo)]))
    url = f"ws://127.0.0.1:{serve.servers[0].port}/ws"

    async def main():
        loop = IOLoop.current()
        for arguments, keywords in (((), {"io_loop": loop}), ((loop,), {})):
            connection = await websocket.websocket_connect(url, *arguments, **keywords)
            await connection.write_message("hello")
            assert await connection.read_message() == "hello"
            connection.close()
            assert await connection.read_message() is None
        got = asyncio.Future()
        with pytest.warns(DeprecationWarning):
            websocket.websocket_connect(url, loop, got.set_result)
        connection = (await got).result()
        message = asyncio.Future()
        connection.read_message(message.set_result)
        await connection.write_message("again")
        assert (await message).result() == "again"
        connection.close()
        assert await connection.read_message() is None  # else the socket may be left to the collector

    tornado_c.run(main())


BLOCKED = """
import logging, sys, time
from tornado_c.ioloop import IOLoop

logging.basicConfig(stream=sys.stdout, format="%(message)s")
loop = IOLoop.instance()

def block():
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    loop.stop()

loop.set_blocking_signal_threshold({seconds}, {action})
loop.add_callback(time.sleep, 0)
loop.call_later(0.2, loop.add_callback, block)  # that it waits is no reason for a signal
loop.start()
time.sleep(0.1)
print("ends")
"""


@pytest.mark.parametrize(
    ("seconds", "action", "said", "status"),
    [
        (0.18, "loop.log_stack", ["in block", "ends"], 0),
        (0.18, "lambda number, frame: print(number, frame.f_code.co_name)", ["14 block", "ends"], 0),
        (0.18, "None", [], -signal.SIGALRM),
        (None, "None", ["ends"], 0),
        (60, "None", ["ends"], 0),
    ],
)
def test_a_turn_that_blocks_gets_a_signal(seconds, action, said, status):
    program = BLOCKED.format(seconds=seconds, action=action)
    done = subprocess.run(
        [sys.executable, "-c", program], env=CHILD_ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert all(text in done.stdout for text in said) and (said or not done.stdout)
