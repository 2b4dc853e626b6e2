"""Clients and test cases under generation 4, each in a program of its own."""

import textwrap

import pytest

from support.children import run_quietly

pytest.importorskip("tornado")

START = """
import functools, logging, socket, sys, time, unittest
import tornado_c
tornado_c.install(generation=4)
from tornado import gen, httpclient, simple_httpclient, stack_context, testing, web
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

class Hello(web.RequestHandler):
    def get(self):
        self.write("hello ")
        self.flush()
        self.write("world")

    def post(self):
        self.write(self.request.body)

class Slow(web.RequestHandler):
    @web.asynchronous
    def get(self):
        IOLoop.instance().add_timeout(time.time() + 30, self.finish)

APP = web.Application([("/", Hello), ("/slow", Slow), ("/away", web.RedirectHandler, {"url": "/"})])
loop = IOLoop.instance()
logging.disable(logging.CRITICAL)

def listen():
    sock = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)[0]
    HTTPServer(APP).add_socket(sock)
    return "http://127.0.0.1:%d" % sock.getsockname()[1]

def nobody():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return "http://127.0.0.1:%d" % sock.getsockname()[1]

def wait(begin, *args, **kwargs):
    got = []
    def callback(value):
        got.append(value)
        loop.stop()
    begin(*args, callback=callback, **kwargs)
    assert not got
    loop.start()
    return got[0]
"""


def run(source, *interpreter):
    return run_quietly(START + textwrap.dedent(source), interpreter=interpreter)


def test_responses_and_errors_come_to_callbacks():
    assert run("""
        base, client = listen(), httpclient.AsyncHTTPClient(loop)
        response = wait(client.fetch, base + "/")
        print(response.code, response.body, response.error)
        response = wait(client.fetch, httpclient.HTTPRequest(base + "/", method="POST", body="x=1"))
        print(response.code, response.body)
        response = wait(client.fetch, base + "/nowhere")
        print(response.code, response.error)
        response = wait(client.fetch, nobody() + "/")
        print(response.code, type(response.error).__name__, response.request_time >= 0)
        response = wait(client.fetch, base + "/slow", request_timeout=1)
        print(response.code, response.error)
        response = wait(client.fetch, "ftp://x/")
        print(response.code, type(response.error).__name__)
        got = []
        client.fetch(base + "/", lambda response: (got.append(response.code), loop.stop()))
        loop.start()
        print(got)
    """) == [
        "200 b'hello world' None",
        "200 b'x=1'",
        "404 HTTP 404: Not Found",
        "599 ConnectionRefusedError True",
        "599 HTTP 599: Timeout during request",
        "599 ValueError",
        "[200]",
    ]


def test_futures():
    assert run("""
        base, client = listen(), httpclient.AsyncHTTPClient()
        @gen.coroutine
        def old():
            response = yield client.fetch(base + "/")
            print(response.body)
            for url in (base + "/nowhere", nobody()):
                try:
                    yield client.fetch(url)
                except Exception as exc:
                    print(type(exc).__name__)
                response = yield client.fetch(url, raise_error=False)
                print(response.code)
                response = yield gen.Task(client.fetch, url)
                print(response.code, bool(response.error))
        loop.run_sync(old)
        async def new():
            response = await client.fetch(base + "/", raise_error=False)
            print(response.code, (await client.fetch(base + "/nowhere", False)).code)
            try:
                await client.fetch(httpclient.HTTPRequest(base), method="POST")
            except ValueError as exc:
                print(exc)
        loop.run_sync(new)
    """) == [
        "b'hello world'",
        "HTTPClientError",
        "404",
        "404 True",
        "ConnectionRefusedError",
        "599",
        "599 True",
        "200 404",
        "kwargs can't be used if request is an HTTPRequest object",
    ]


def test_callbacks_of_a_request():
    assert run("""
        base, client, lines, pieces = listen(), httpclient.AsyncHTTPClient(), [], []
        response = wait(client.fetch, base + "/away", streaming_callback=pieces.append,
                        header_callback=lines.append)
        print(b"".join(pieces), response.body, lines[0].strip(), repr(lines[-1]), len(lines) > 3)
        request = httpclient.HTTPRequest(base, prepare_curl_callback=print)
        print(request.prepare_curl_callback is not None, request.body_producer)
    """) == [r"b'hello world' b'' HTTP/1.1 200 OK '\r\n' True", "True None"]


def test_one_client_for_each_loop():
    assert run("""
        first, second = IOLoop(), IOLoop()
        Client, Simple = httpclient.AsyncHTTPClient, simple_httpclient.SimpleAsyncHTTPClient
        one = Client(first)
        print(one is Client(io_loop=first), one is Client(second), one.io_loop is first)
        print(one is Client(first, force_instance=True), Client(first, True) is one)
        print(Client(second, 7, force_instance=True).max_clients)
        print(Client(first, max_clients=3, force_instance=True).max_clients)
        print(Simple(first) is Simple(first), Simple(first) is Simple(second), Client(True) is Client())
        Client.configure(None, max_clients=5)
        print(Client(first, force_instance=True).max_clients)
        class Own(Simple):
            def initialize(self, io_loop, **kwargs):
                super(Own, self).initialize(io_loop, max_clients=2, **kwargs)
        class Today(Simple):
            def initialize(self, max_clients=4):
                super().initialize(max_clients)
        own = Own(first, defaults={"user_agent": "me"})
        print(own.max_clients, own.io_loop is first, own.defaults["user_agent"])
        Client.configure(Today)
        today = Client(second, force_instance=True)
        print(type(today).__name__, today.max_clients, today.io_loop is second)
    """) == [
        "True False True",
        "False False",
        "7",
        "3",
        "True False False",
        "5",
        "2 True me",
        "Today 4 True",
    ]


def test_a_loop_that_is_not_the_current_one():
    assert run("""
        base, other = listen(), IOLoop(make_current=False)
        import threading
        client, got = httpclient.AsyncHTTPClient(io_loop=other), []
        client.fetch(base, lambda response: (got.append(response.code), other.add_callback(other.stop)))
        thread = threading.Thread(target=other.start)
        thread.start()
        def look():
            loop.stop() if not thread.is_alive() else loop.call_later(0.01, look)
        look() or loop.start()
        print(got, other is IOLoop.current())
    """) == ["[200] False"]


def test_http_client():
    assert run("""
        import threading
        base = listen()
        def work():
            client = httpclient.HTTPClient()
            print(client.fetch(base).code, client.fetch(base + "/nowhere", raise_error=False).code)
            try:
                client.fetch(base + "/nowhere")
            except httpclient.HTTPError as exc:
                print(exc.code)
            client.close()
            loop.add_callback(loop.stop)
        thread = threading.Thread(target=work)
        thread.start()
        loop.start()
        thread.join()
    """) == ["200 404", "404"]


def test_http_client_while_a_loop_runs():
    """Of another server: that loop waits meanwhile, and goes on where it was."""
    assert run("""
        import asyncio, threading
        base, started = [], threading.Event()
        def serve():
            other = IOLoop()
            other.add_callback(lambda: (base.append(listen()), started.set()))
            other.start()
        threading.Thread(target=serve, daemon=True).start()
        started.wait()
        client = httpclient.HTTPClient()
        def fetch():
            print(client.fetch(base[0]).code, httpclient.HTTPClient().fetch(base[0]).code)
        async def inside():
            before = asyncio.current_task(), IOLoop.current(), asyncio.get_running_loop()
            fetch()
            print(before == (asyncio.current_task(), IOLoop.current(), asyncio.get_running_loop()))
            await asyncio.sleep(0)
            loop.stop()
        loop.add_callback(fetch)
        loop.add_callback(inside)
        loop.start()
    """) == ["200 200", "200 200", "True"]


def test_contexts_follow_a_request():
    assert (
        run("""
        base, client, caught = listen(), httpclient.AsyncHTTPClient(), []
        def handle(kind, value, traceback):
            caught.append(str(value))
            loop.stop()
            return True
        def fail(what, *args):
            raise KeyError(what)
        with stack_context.ExceptionStackContext(handle):
            client.fetch(base, functools.partial(fail, "callback"))
        loop.start()
        with stack_context.ExceptionStackContext(handle):
            client.fetch(base, print, streaming_callback=functools.partial(fail, "streaming"))
        loop.start()
        print(caught[:2])  # the second chunk of the body may be there already
    """)[-1]
        == """["'callback'", "'streaming'"]"""
    )


CASES = """
class Case(testing.AsyncTestCase):
    def test_callback(self):
        self.io_loop.add_callback(self.fail, "in a callback")
        self.wait()

    def test_timeout(self):
        self.io_loop.add_timeout(time.time() + 0.01, lambda: 1 / 0)
        self.wait()

    def test_stop(self):
        self.io_loop.add_callback(self.stop, 5)
        self.assertEqual(self.wait(), 5)

    @testing.gen_test
    def test_gen(self):
        yield gen.Task(self.io_loop.add_callback)

    @testing.gen_test
    async def test_async(self):
        await gen.sleep(0)

class Http(testing.AsyncHTTPTestCase):
    def get_app(self):
        return APP

    def test_fetch(self):
        self.assertEqual(self.fetch("/").body, b"hello world")
        self.assertEqual(self.fetch("/nowhere").code, 404)
        self.assertEqual(self.fetch(nobody()).code, 599)
        self.assertIs(self.http_client.io_loop, self.io_loop)

    def test_twice(self):
        self.http_client.fetch(self.get_url("/"), self.stop)
        self.assertEqual(self.wait().code, 200)

class Trapped(testing.LogTrapTestCase):
    def test_good(self):
        logging.warning("good")

    def test_bad(self):
        logging.warning("bad")
        self.fail()
"""


def test_test_cases():
    source = (
        CASES
        + """
logging.disable(logging.NOTSET)
import io
log = io.StringIO()
logging.basicConfig(stream=log, format="%(message)s")
result = unittest.TestResult()
for name in ("Case", "Http", "Trapped"):
    unittest.defaultTestLoader.loadTestsFromTestCase(globals()[name]).run(result)
    print(result.testsRun)
print(sorted(test.id().rpartition(".")[2] for test, _ in result.failures + result.errors))
print([text.rstrip().rpartition("\\n")[2] for _, text in result.errors])
print("bad" in log.getvalue(), "good" in log.getvalue())
ports = {testing.get_unused_port() for _ in range(5)}
print(len(ports))
"""
    )
    assert run(source) == [
        "5",
        "7",
        "9",
        "['test_bad', 'test_callback', 'test_timeout']",
        "['ZeroDivisionError: division by zero']",
        "True False",
        "5",
    ]


def test_certificates_and_private_names():
    assert run("""
        print(simple_httpclient._DEFAULT_CA_CERTS == simple_httpclient._default_ca_certs())
        print(simple_httpclient.HTTPTimeoutError("Timeout"), httpclient.HTTPError(599, "Closed"))
    """) == ["True", "HTTP 599: Timeout HTTP 599: Closed"]


def test_auth_calls_callbacks():
    assert run("""
        from tornado import auth
        class Service(web.RequestHandler):
            def get(self, what):
                if what == "bad":
                    raise web.HTTPError(500)
                self.write({"what": what})
        APP.add_handlers(".*", [("/service/(.*)", Service)])
        base = listen()
        class Mixin(auth.OAuth2Mixin):
            @auth._auth_return_future
            def later(self, value, callback):
                if value is None:
                    raise KeyError("now")
                IOLoop.current().add_callback(callback.set_result, value)
        mixin = Mixin()
        print(wait(mixin.oauth2_request, base + "/service/good"))
        print(wait(mixin.oauth2_request, base + "/service/bad"))
        print(wait(mixin.later, 5))
        @gen.coroutine
        def old():
            print((yield mixin.oauth2_request(base + "/service/good", access_token="t")))
            print((yield gen.Task(mixin.oauth2_request, base + "/service/bad")))
            for kind in (auth.AuthError, httpclient.HTTPError):
                try:
                    yield mixin.oauth2_request(base + "/service/bad")
                except kind as exc:
                    print(str(exc).startswith("Error response HTTP 500: Internal Server Error fetching http"))
            print((yield mixin.later(6)))
            try:
                yield mixin.later(None)
            except KeyError as exc:
                print(exc)
        loop.run_sync(old)
        async def new():
            print(await mixin.oauth2_request(base + "/service/good"))
        loop.run_sync(new)
    """) == [
        "{'what': 'good'}",
        "None",
        "5",
        "{'what': 'good'}",
        "None",
        "True",
        "True",
        "6",
        "'now'",
        "{'what': 'good'}",
    ]


def test_requests_that_wait_for_others_have_their_own_contexts():
    """A client serves many: what it does for one is in the contexts of that one, and once."""
    lines = run("""
        import contextlib
        active = []
        @contextlib.contextmanager
        def named(name):
            active.append(name)
            yield
            active.remove(name)
        base, client = listen(), httpclient.AsyncHTTPClient(force_instance=True, max_clients=1)
        left = []
        def fetch(name, path, **arguments):
            left.append(name)
            def end(response):
                print("end", response.code, active)
                left.remove(name)
                if not left:
                    loop.stop()
            with stack_context.StackContext(functools.partial(named, name)):
                client.fetch(base + path, end, streaming_callback=lambda data: print(active),
                             header_callback=lambda line: print(active) if "HTTP" in line else None,
                             **arguments)
        def produce(write):
            print(active)
            return write(b"body")
        fetch("a", "/")
        fetch("b", "/away")
        fetch("c", "/", method="POST", body_producer=produce, headers={"Content-Length": "4"})
        loop.start()
    """)
    ends = [f"end 200 ['{name}']" for name in "abc"]
    assert sorted(lines) == ["['a']"] * 3 + ["['b']"] * 3 + ["['c']"] * 3 + ends
