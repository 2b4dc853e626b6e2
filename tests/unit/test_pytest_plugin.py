"""The plugin for pytest, as a project uses it."""

import pytest

from support.children import ROOT

pytest_plugins = ["pytester"]

CONFTEST = """
SWAP
import pytest
from PACKAGE.web import Application, RequestHandler

pytest_plugins = ["tornado_c.pytest_plugin"]

class Hello(RequestHandler):
    async def get(self):
        self.write("Hello, " + self.get_argument("name", "world"))

class Never(RequestHandler):
    async def get(self):
        import asyncio
        await asyncio.Event().wait()

@pytest.fixture
def app():
    return Application([("/", Hello), ("/never", Never)])
"""
WAYS = {
    "ours": ("tornado_c", ""),
    "stock handlers": ("tornado", ""),
    "swapped": ("tornado", "import tornado_c; tornado_c.install()"),
    "ours, swapped": ("tornado_c", "import tornado_c; tornado_c.install()"),
}


@pytest.fixture
def project(pytester, monkeypatch):
    """Runs the tests of a project in a process of its own; its result."""
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "60")  # longer than by default, on a busy machine

    def run(tests, way="ours", *arguments, conftest=CONFTEST):
        package, swap = WAYS[way]
        pytester.makeconftest(conftest.replace("PACKAGE", package).replace("SWAP", swap))
        pytester.makepyfile(tests.replace("PACKAGE", package))
        return pytester.runpytest_subprocess("-p", "no:xdist", "-W", "error", *arguments)

    return run


@pytest.mark.parametrize("way", WAYS)
def test_fixtures(project, way):
    project(
        """
        import asyncio
        import pytest
        import urllib.request
        from PACKAGE.httpserver import HTTPServer
        from tornado.httpclient import HTTPClientError

        async def test_hello(http_client, base_url):
            response = await http_client.fetch(base_url + "/?name=you")
            assert response.body == b"Hello, you"

        async def test_error(http_client, base_url):
            with pytest.raises(HTTPClientError):
                await http_client.fetch(base_url + "/nothing")

        def test_plain_function(io_loop, http_client, base_url):
            response = io_loop.run_sync(lambda: http_client.fetch(base_url + "/"))
            assert response.body == b"Hello, world"

        async def test_blocking_client(base_url):
            with await asyncio.to_thread(urllib.request.urlopen, base_url + "/") as response:
                assert response.read() == b"Hello, world"

        async def test_what_they_are(io_loop, http_server, base_url):
            import tornado_c.httpserver, tornado_c.ioloop
            assert type(http_server) is tornado_c.httpserver.HTTPServer
            assert io_loop is tornado_c.ioloop.IOLoop.current()
            assert io_loop.asyncio_loop is asyncio.get_running_loop()
            assert type(io_loop.asyncio_loop).__name__ == "EventLoop"
            assert base_url.startswith("http://127.0.0.1:")

        async def test_what_goes_on_is_ended(http_client, base_url):
            http_client.fetch(base_url + "/never")
            asyncio.create_task(asyncio.sleep(1000))
            await asyncio.sleep(0.05)
        """,
        way,
    ).assert_outcomes(passed=6)


def test_coroutines(project):
    project(
        """
        import asyncio
        import pytest
        from tornado import gen

        @pytest.mark.parametrize("n", [1, 2])
        async def test_parameters(n, tmp_path):
            await asyncio.sleep(0)
            assert n and tmp_path.is_dir()

        class TestMethods:
            async def test_method(self):
                assert asyncio.get_running_loop()

            @pytest.fixture
            async def mine(self):
                self.value = 1
                return asyncio.get_running_loop()

            async def test_fixture(self, mine):
                assert mine is asyncio.get_running_loop() and self.value == 1

        @gen.coroutine
        def test_older_kind():
            yield gen.sleep(0.001)
            assert asyncio.get_running_loop()

        def test_plain():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()

        def test_loop_alone(io_loop):
            io_loop.call_later(0.001, io_loop.stop)
            io_loop.start()

        async def test_fails():
            await asyncio.sleep(0)
            assert 1 == 2, "the reason"
        """
    ).assert_outcomes(passed=7, failed=1)


def test_asynchronous_fixtures(project):
    result = project(
        """
        import asyncio
        import pytest

        events = []

        @pytest.fixture(params=["a", "b"])
        async def value(request):
            await asyncio.sleep(0)
            return request.param

        @pytest.fixture
        async def resource(value):
            loop = asyncio.get_running_loop()
            events.append("begin")
            yield value + "!"
            assert loop is asyncio.get_running_loop()
            events.append("end")

        async def test_them(resource, value):
            assert resource == value + "!" and events[-1] == "begin"

        def test_in_a_plain_function(io_loop, resource):
            assert resource in ("a!", "b!")

        def test_they_ended():
            assert events == ["begin", "end"] * 4

        @pytest.fixture
        async def twice():
            yield 1
            yield 2

        async def test_twice(twice):
            pass
        """
    )
    result.assert_outcomes(passed=6, errors=1)
    result.stdout.fnmatch_lines(["*the fixture twice yields more than once*"])


def test_time_limit(project, monkeypatch):
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "0.1")
    result = project(
        """
        import asyncio

        async def test_hangs():
            await asyncio.Event().wait()

        async def test_goes_on():
            pass
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*TimeoutError*"])


def test_without_an_application(project):
    result = project(
        "async def test_it(http_server): pass",
        conftest="""
        pytest_plugins = ["tornado_c.pytest_plugin"]
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs a fixture app of yours*"])


def test_without_tornado(project):
    """All but the client works."""
    result = project(
        """
        import asyncio, sys, urllib.request

        async def test_client(http_client):
            pass

        async def test_server(base_url):
            with await asyncio.to_thread(urllib.request.urlopen, base_url + "/") as response:
                assert response.read() == b"Hello, world"
            assert not [name for name in sys.modules if name.startswith("tornado.")]
        """,
        conftest="import sys\nsys.modules['tornado'] = None\n" + CONFTEST,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the fixture http_client needs Tornado's own modules*pip install*"])


def test_others_tests_are_left_alone(project):
    """unittest's own coroutines, and tests that are marked for another plugin."""
    result = project(
        """
        import asyncio, unittest
        import pytest

        class Case(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                self.assertNotEqual(type(asyncio.get_running_loop()).__module__.split(".")[0], "tornado_c")

        @pytest.mark.asyncio
        async def test_marked(request):
            assert "io_loop" not in request.fixturenames
        """,
        conftest=CONFTEST
        + """
import inspect, asyncio

def pytest_configure(config):
    config.addinivalue_line("markers", "asyncio: another plugin's")

def pytest_pyfunc_call(pyfuncitem):  # as another plugin does it
    if pyfuncitem.get_closest_marker("asyncio"):
        asyncio.run(pyfuncitem.obj(request=pyfuncitem.funcargs["request"]))
        return True
""",
    )
    result.assert_outcomes(passed=2)


def test_the_loop_before_is_current_again(project):
    project(
        """
        import asyncio

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)

        async def test_it():
            assert asyncio.get_running_loop() is not loop

        def test_after():
            assert asyncio.get_event_loop_policy().get_event_loop() is loop
            loop.close()
        """,
        "ours",
        "-W",
        "ignore::DeprecationWarning",
    ).assert_outcomes(passed=2)


def test_tornado_testing_beside_it(project):
    project(
        """
        import PACKAGE.testing
        from conftest import Application, Hello

        class HelloTest(PACKAGE.testing.AsyncHTTPTestCase):
            def get_app(self):
                return Application([("/", Hello)])

            def test_hello(self):
                assert self.fetch("/").body == b"Hello, world"

            @PACKAGE.testing.gen_test
            async def test_again(self):
                assert (await self.http_client.fetch(self.get_url("/"))).code == 200

        async def test_hello(http_client, base_url):
            assert (await http_client.fetch(base_url)).code == 200
        """,
        "swapped",
    ).assert_outcomes(passed=3)
