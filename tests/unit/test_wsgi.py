"""Handlers under WSGI: no loop, several threads, nothing that waits."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import io
import subprocess
import sys
import textwrap
import threading
import wsgiref.handlers
import wsgiref.simple_server
import wsgiref.util
import wsgiref.validate

import pytest

from support.children import CHILD_ENVIRONMENT
from tornado_c import gen, httputil, web
from tornado_c._generation4.wsgi import WSGIAdapter, WSGIApplication

pytest.importorskip("tornado")


class Hello(web.RequestHandler):
    def get(self, name="world"):
        self.write(f"hello {name} {self.get_argument('a', '')}")

    def post(self):
        self.write({"arguments": self.get_body_arguments("a"), "size": len(self.request.body)})

    def head(self):
        self.set_header("Content-Length", "5")


class Facts(web.RequestHandler):
    def get(self):
        request = self.request
        names = ("method", "uri", "path", "query", "version", "host", "host_name", "remote_ip", "protocol")
        self.write({name: getattr(request, name) for name in names} | {"x": request.headers.get("X-A-B")})


class Coroutine(web.RequestHandler):
    async def prepare(self):
        await self.step()

    async def get(self):
        self.write("one ")
        await self.flush()
        await self.step()
        self.write("two")

    async def step(self):
        pass


class Generators(web.RequestHandler):
    @gen.coroutine
    def get(self, how):
        self.write("one ")
        yield self.flush()
        if how == "waits":
            yield gen.sleep(0.001)
        if how == "native":
            yield asyncio.sleep(0)
        self.write((yield gen.Task(lambda callback: callback("two "))))
        self.write((yield [self.three(), self.three()])[1])

    @gen.coroutine
    def three(self):
        return "three"


class Engine(web.RequestHandler):
    @web.asynchronous
    @gen.engine
    def get(self):
        self.write((yield gen.Task(self.work)))
        self.finish()

    def work(self, callback):
        callback("done")


class Suspends(web.RequestHandler):
    async def get(self):
        try:
            await asyncio.sleep(0)
        finally:
            left.append("coroutine")


class Forgets(web.RequestHandler):
    @web.asynchronous
    def get(self):
        left.append(self)


class Fails(web.RequestHandler):
    def get(self, kind):
        if kind == "late":
            self.flush()
        if kind == "http":
            raise web.HTTPError(418)
        raise KeyError(kind)


class Lengths(web.RequestHandler):
    def get(self, length):
        self.set_header("Content-Length", length)
        self.write("hello")


class Pieces(web.RequestHandler):
    def get(self):
        called = []
        for _ in range(3):
            self.write("x" * 1000)
            self.flush(callback=lambda: called.append(1)) if self.get_argument("cb", "") else self.flush()
        left.append(len(called))
        self.set_header("Late", "1")


class Streamed(web.RequestHandler):
    def initialize(self):
        self.pieces = []

    def data_received(self, chunk):
        self.pieces.append(chunk)

    def post(self):
        self.write(b"".join(self.pieces))


Streamed = web.stream_request_body(Streamed)
left = []
ROUTES = [
    ("/", Hello),
    ("/hello/(.*)", Hello),
    ("/facts", Facts),
    ("/coroutine", Coroutine),
    ("/generators/(.*)", Generators),
    ("/engine", Engine),
    ("/suspends", Suspends),
    ("/forgets", Forgets),
    ("/fails/(.*)", Fails),
    ("/length/(.*)", Lengths),
    ("/pieces", Pieces),
    ("/redirect", web.RedirectHandler, {"url": "/to"}),
    ("/streamed", Streamed),
]


@pytest.fixture(params=["adapter", "application"])
def call(request):
    """Send a request as a WSGI server would: its status line, headers and body."""
    kind = request.param
    plain = WSGIApplication(ROUTES) if kind == "application" else WSGIAdapter(web.Application(ROUTES))
    checked = wsgiref.validate.validator(plain)

    def call(path, method="GET", body=b"", app=checked, source=None, **environ):
        path, _, query = path.partition("?")
        environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, **environ}
        environ |= {"REQUEST_METHOD": method, "wsgi.input": source or io.BytesIO(body)}
        if body and "CONTENT_LENGTH" not in environ:
            environ["CONTENT_LENGTH"] = str(len(body))
        wsgiref.util.setup_testing_defaults(environ)
        got = []
        result = app(environ, lambda status, headers, exc_info=None: got.append((status, headers)))
        text = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        assert len(got) == 1
        return got[0][0], dict(got[0][1]), text

    call.plain = plain
    return call


def test_responses(call):
    status, headers, text = call("/?a=1")
    assert (status, text) == ("200 OK", b"hello world 1")
    assert headers["Content-Length"] == "13" and headers["Content-Type"] == "text/html; charset=UTF-8"
    assert call("/nowhere")[0] == "404 Not Found"
    assert call("/", "PUT")[0] == "405 Method Not Allowed"
    assert call("/redirect")[0] == "301 Moved Permanently"
    assert call("/", "HEAD")[1:][1] == b""
    etag = headers["Etag"]
    assert call("/?a=1", HTTP_IF_NONE_MATCH=etag)[::2] == ("304 Not Modified", b"")


def test_bodies(call):
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    assert call("/", "POST", b"a=1&a=2", **form)[2] == b'{"arguments": ["1", "2"], "size": 7}'
    assert call("/", "POST", b"a=1&a=2", **form, CONTENT_LENGTH="3")[2] == b'{"arguments": ["1"], "size": 3}'
    assert call("/", "POST")[2] == b'{"arguments": [], "size": 0}'


def test_what_a_handler_sees(call):
    environ = {"HTTP_HOST": "h:81", "REMOTE_ADDR": "1.2.3.4", "HTTP_X_A_B": "v", "wsgi.url_scheme": "https"}
    status, _, text = call("/facts?q=1", SCRIPT_NAME="/mount", app=WSGIAdapter(mounted()), **environ)
    assert status == "200 OK"
    for part in ('"uri": "/mount/facts?q=1"', '"host": "h:81"', '"host_name": "h"', '"x": "v"'):
        assert part.encode() in text
    for part in ('"remote_ip": "1.2.3.4"', '"protocol": "https"', '"version": "HTTP/1.1"'):
        assert part.encode() in text
    assert b'"host": "127.0.0.1"' in call("/facts", HTTP_HOST="")[2]


def mounted():
    return web.Application([("/mount/facts", Facts)])


def test_paths_are_quoted_again(call):
    path = "/hello/foo bar\u00e9".encode().decode("latin1")
    assert call(path)[2] == "hello foo bar\u00e9 ".encode()


def test_coroutines_that_wait_for_nothing(call):
    assert call("/coroutine")[::2] == ("200 OK", b"one two")


@pytest.mark.parametrize("path", ["/suspends", "/forgets"])
def test_unfinished(call, path):
    """A handler that suspends, and one that leaves its request to others."""
    left.clear()
    with pytest.raises(Exception, match="^request did not finish synchronously$"):
        call(path, app=call.plain)
    assert len(left) == 1
    if path == "/forgets":  # and finishes when nobody listens any more
        left[0].write("late")
        left[0].finish()
        assert left[0]._finished
    assert call("/")[0] == "200 OK"


def test_streamed_bodies_need_a_loop(call):
    with pytest.raises(Exception, match="^request did not finish synchronously$"):
        call("/streamed", "POST", b"x", app=call.plain)


def test_errors(call, caplog):
    assert call("/fails/http")[0].startswith("418 ")
    status, _, text = call("/fails/early")
    assert status == "500 Internal Server Error" and b"500" in text
    assert sum("Uncaught exception" in record.getMessage() for record in caplog.records) == 1


def test_error_after_the_head(call):
    """What was sent cannot be taken back."""
    with contextlib.suppress(Exception):
        assert call("/fails/late")[0] == "200 OK"


@pytest.mark.parametrize("length, text", [("4", "more data"), ("6", "1 bytes less")])
def test_wrong_lengths(call, length, text):
    with pytest.raises(httputil.HTTPOutputError, match=f"^Tried to write {text} (than|than) Content-Length"):
        call(f"/length/{length}", app=call.plain)
    assert call("/length/5")[2] == b"hello"


@pytest.mark.parametrize("query", ["", "?cb=1"])
def test_pieces(call, query):
    status, headers, text = call("/pieces" + query)
    assert (status, text) == ("200 OK", b"x" * 3000)
    assert "Late" not in headers and "Content-Length" not in headers
    assert left.pop() == (3 if query else 0)


@pytest.mark.parametrize("path", ["/", "/pieces", "/coroutine", "/fails/early"])
def test_a_server_that_refuses_a_head(call, path):
    """It gets to see its own error, not what became of that."""

    def start_response(status, headers, exc_info=None):
        raise OSError("no more heads")

    environ = {"PATH_INFO": path}
    wsgiref.util.setup_testing_defaults(environ)
    with pytest.raises(OSError, match="no more heads"):
        call.plain(environ, start_response)


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "+3", "\u0663", "9" * 30, "9" * 6000])
def test_lengths_that_are_none(call, length):
    assert call("/", "POST", b"abc", CONTENT_LENGTH=length, app=call.plain)[0] == "400 Bad Request"


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0"])
def test_headers_that_are_none(call, value):
    assert call("/facts", HTTP_X_A_B=value, app=call.plain)[0] == "400 Bad Request"


def test_hop_by_hop_headers_stay_here(call):
    class Hops(web.RequestHandler):
        def get(self):
            for name in ("Connection", "Transfer-Encoding", "Keep-Alive", "X-Kept"):
                self.set_header(name, "chunked")

    headers = call("/", app=WSGIAdapter(web.Application([("/", Hops)])))[1]
    assert headers["X-Kept"] == "chunked" and not {"Connection", "Transfer-Encoding"} & headers.keys()


def test_an_application_that_is_a_function(call):
    def application(request):
        line = httputil.ResponseStartLine("", 200, "OK")
        request.connection.write_headers(line, httputil.HTTPHeaders({"A": "b"}), b"body")
        request.connection.finish()

    status, headers, text = call("/", app=WSGIAdapter(application))
    assert (status, headers, text) == ("200 OK", {"A": "b"}, b"body")


def test_threads(call):
    """None of them has a loop, and one that another thread runs is not touched."""
    barrier = threading.Barrier(4)

    def work(number):
        barrier.wait(30)
        for i in range(200):
            assert call(f"/hello/{number}?a={i}")[2] == f"hello {number} {i}".encode()
            assert call("/coroutine")[2] == b"one two"
        with pytest.raises(RuntimeError):
            asyncio.get_event_loop()
        return number

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["main", "thread"])
def test_coroutines_of_tornado(call, where):
    """Threads have no loop, and get none that stays."""

    def work():
        for _ in range(3):
            assert call("/generators/")[2] == b"one two three"
            assert call("/engine")[2] == b"done"
            for how in ("waits", "native"):
                with pytest.raises(Exception, match="synchronously"):
                    call(f"/generators/{how}", app=call.plain)
        if where == "thread":
            with pytest.raises(RuntimeError):
                asyncio.get_event_loop()

    if where == "thread":
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
    else:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            work()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@pytest.mark.parametrize("size", [0, 2, 4, 100])
def test_bodies_that_end_early(call, size):
    """A client that has left, or a server that does not count: no handler gets a part."""
    assert call("/", "POST", b"a=1"[:size] * 10, CONTENT_LENGTH="50", app=call.plain)[0] == "400 Bad Request"


def test_bodies_that_come_in_pieces(call):
    class Source:
        left = b"a=1&a=2"

        def read(self, size):
            piece, self.left = self.left[:2], self.left[2:]
            return piece

    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "7"}
    text = call("/", "POST", app=call.plain, source=Source(), **form)[2]
    assert text == b'{"arguments": ["1", "2"], "size": 7}'


def test_within_a_running_loop(call):
    """As under a WSGIContainer."""

    async def main():
        task = asyncio.current_task()
        assert call("/coroutine")[2] == b"one two"
        with pytest.raises(Exception, match="synchronously"):
            call("/suspends", app=call.plain)
        assert asyncio.current_task() is task

    asyncio.run(main())


def test_a_real_server():
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    app = WSGIAdapter(web.Application(ROUTES))
    with wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
            connection.request("POST", "/", "a=5", {"Content-Type": "application/x-www-form-urlencoded"})
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b'{"arguments": ["5"], "size": 3}')
            connection.close()
        finally:
            server.shutdown()
            thread.join()


def test_it_is_in_tornados_module_under_the_switch():
    program = """
        import tornado_c
        tornado_c.install(generation=4)
        import tornado.web, tornado.wsgi
        class Main(tornado.web.RequestHandler):
            def get(self):
                self.write("hello")
        def start(status, headers, exc_info=None):
            print(status)
        import wsgiref.util
        environ = {"PATH_INFO": "/"}
        wsgiref.util.setup_testing_defaults(environ)
        for app in (tornado.wsgi.WSGIApplication([("/", Main)]),
                    tornado.wsgi.WSGIAdapter(tornado.web.Application([("/", Main)]))):
            print(app(dict(environ), start))
        print(tornado.wsgi.WSGIContainer.__module__, tornado.wsgi.WSGIAdapter.__module__)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=CHILD_ENVIRONMENT)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["200 OK", "[b'hello']"] * 2 + ["tornado.wsgi tornado.wsgi"]
