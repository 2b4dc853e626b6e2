"""README.rst: its code runs, and Tornado's modules work beside ours as it says."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT

pytest.importorskip("tornado")
from typed import check  # noqa: E402

README = (check.ROOT / "README.rst").read_text()
BLOCKS = check.code_blocks(README)


def block_with(text):
    (found,) = [block for block in BLOCKS if text in block]
    return found


def test_pictures_are_there_and_have_words():
    pictures = re.findall(r"^\.\. image:: (.*)\n   :alt: .", README, re.M)
    assert len(pictures) == README.count(".. image::") > 0
    for picture in pictures:
        assert (check.ROOT / picture).read_bytes().startswith(b"\x89PNG")


#: A test may take longer than by default.
PATIENT = CHILD_ENVIRONMENT | {"ASYNC_TEST_TIMEOUT": "60"}


def run_tests(folder):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        command, cwd=folder, env=PATIENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plugin(tmp_path):
    (tmp_path / "app.py").write_text(check.APP)
    (tmp_path / "conftest.py").write_text(block_with("pytest.fixture"))
    (tmp_path / "test_app.py").write_text(block_with("base_url"))
    assert "1 passed" in run_tests(tmp_path)


@pytest.mark.parametrize("swapped", [True, False])
def test_tornado_testing(tmp_path, swapped):
    (tmp_path / "app.py").write_text(check.APP)
    text = block_with("AsyncHTTPTestCase")
    if swapped:
        (swap,) = [block for block in BLOCKS if block.endswith("tornado_c.install()\n")]
        (tmp_path / "conftest.py").write_text(swap)
    else:
        override = (
            "    def get_http_server(self):\n        return tornado_c.httpserver.HTTPServer(self._app)\n"
        )
        text = "import tornado_c.httpserver\n" + text.rstrip() + "\n\n" + override
    (tmp_path / "test_app.py").write_text(text)
    assert "2 passed" in run_tests(tmp_path)


# ---- Tornado's modules beside ours ----

MIXED = r"""
import asyncio, datetime, json, os, sys
from concurrent.futures import ThreadPoolExecutor
import tornado_c

how = sys.argv[1]
if how == "swapped":
    tornado_c.install()
import tornado.auth, tornado.concurrent, tornado.escape, tornado.gen, tornado.httpclient, tornado.httpserver
import tornado.locale, tornado.locks, tornado.queues, tornado.template, tornado.util, tornado.web
import tornado.websocket, tornado.wsgi
from tornado_c.httpserver import HTTPServer
from tornado_c.netutil import bind_sockets
from tornado_c.web import Application, FallbackHandler, RequestHandler

SOON = datetime.timedelta(milliseconds=10)
results = {}


async def ask(app, server_class=HTTPServer, client=None, **options):
    sockets = bind_sockets(0, "127.0.0.1")
    server = server_class(app)
    server.add_sockets(sockets)
    client = client or tornado.httpclient.AsyncHTTPClient()
    url = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1]
    answer = await client.fetch(url, raise_error=False, request_timeout=60, **options)
    server.stop()
    return answer


class Coroutine(RequestHandler):
    @tornado.gen.coroutine
    def get(self):
        yield tornado.gen.sleep(0.01)
        found = yield [asyncio.sleep(0, 1), asyncio.sleep(0, 2)]
        try:
            yield tornado.gen.with_timeout(SOON, asyncio.ensure_future(asyncio.sleep(60)))
        except tornado.gen.TimeoutError:
            self.write(f"{found} late")


class Locks(RequestHandler):
    async def get(self):
        async with tornado.locks.Lock():
            pass
        try:
            await tornado.locks.Event().wait(timeout=SOON)
        except tornado.util.TimeoutError:
            self.write("late")


class Queues(RequestHandler):
    async def get(self):
        queue = tornado.queues.Queue(1)
        asyncio.get_running_loop().call_later(0.01, queue.put_nowait, "put")
        self.write(await queue.get(timeout=datetime.timedelta(seconds=10)))


class Texts(RequestHandler):
    def get(self):
        self.write(tornado.template.Template("{{ x }} ").generate(x="<"))
        self.write(tornado.escape.json_encode([self.locale.code]))


class Login(RequestHandler, tornado.auth.GoogleOAuth2Mixin):
    async def get(self):
        self.authorize_redirect("http://x/", "k", scope=["email"], response_type="code")


class Executor(RequestHandler):
    executor = ThreadPoolExecutor(1)

    @tornado.concurrent.run_on_executor
    def work(self):
        return "worked"

    async def get(self):
        self.write(await self.work())


class Stock(tornado.web.RequestHandler):
    def get(self):
        self.write("stock")


class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message[::-1])


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]


async def talk(server_class):
    sockets = bind_sockets(0, "127.0.0.1")
    server = server_class(tornado.web.Application([("/", Echo)]))
    server.add_sockets(sockets)
    client = await tornado.websocket.websocket_connect("ws://127.0.0.1:%d/" % sockets[0].getsockname()[1])
    await client.write_message("abc")
    answer = await client.read_message()
    client.close()
    assert await client.read_message() is None
    server.stop()
    return answer


async def main():
    for handler in (Coroutine, Locks, Queues, Texts, Executor):
        results[handler.__name__] = (await ask(Application([("/", handler)]))).body.decode()
    answer = await ask(Application([("/", Login)], google_oauth={"key": "k"}), follow_redirects=False)
    results["Login"] = answer.headers["Location"].partition("?")[0]
    container = tornado.wsgi.WSGIContainer(wsgi)
    results["wsgi"] = (await ask(container)).body.decode()
    fallback = Application([(".*", FallbackHandler, {"fallback": container})])
    results["wsgi fallback"] = (await ask(fallback)).body.decode()
    stock = tornado.web.Application([("/", Stock)])
    results["stock on ours"] = (await ask(stock)).body.decode()
    results["stock on stock"] = (await ask(stock, tornado.httpserver.HTTPServer)).body.decode()
    results["websocket on ours"] = await talk(HTTPServer)
    results["websocket on stock"] = await talk(tornado.httpserver.HTTPServer)
    if sys.argv[2] == "curl":
        from tornado.curl_httpclient import CurlAsyncHTTPClient
        results["curl"] = (await ask(stock, client=CurlAsyncHTTPClient())).body.decode()
    print(json.dumps(results))


(asyncio.run if how == "asyncio" else tornado_c.run)(main())
"""


@pytest.mark.guest
@pytest.mark.parametrize("how", ["asyncio", "native", "swapped"])
def test_modules_of_tornado_beside_ours(how):
    curl = "curl" if importlib.util.find_spec("pycurl") else ""
    done = subprocess.run(
        [sys.executable, "-c", MIXED, how, curl],
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    results = json.loads(done.stdout)
    assert results.pop("curl", "stock") == "stock"
    assert results == {
        "Coroutine": "[1, 2] late",
        "Locks": "late",
        "Queues": "put",
        "Texts": '&lt; ["en_US"]',
        "Executor": "worked",
        "Login": "https://accounts.google.com/o/oauth2/v2/auth",
        "wsgi": "wsgi",
        "wsgi fallback": "wsgi",
        "stock on ours": "stock",
        "stock on stock": "stock",
        "websocket on ours": "cba",
        "websocket on stock": "cba",
    }
