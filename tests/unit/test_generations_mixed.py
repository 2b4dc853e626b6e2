"""Programs that mix the generations: callbacks that start coroutines, coroutines that wait for callbacks."""

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from support.app_servers import running
from support.children import CHILD_ENVIRONMENT, PROGRAMS, ROOT

pytest.importorskip("tornado")

RESULTS = {
    "/starts": ["one", "two", "three"],
    "/awaits": ["prepared", "one", "two", "three", "site", "four", "five"],
    "/engine": ["future", "own", "native", "slept", "task", "in a list", "callback", "in a dict"]
    + ["late", "late, too"],
    "/threads": [True],
    "/ticks": [3, False],
    "/asks_echo": ["cba"],
    "/callback": ["/callback"],
    "/contexts": [
        ["unset"],
        ["set"],
        ["set", "context"],
        ["set in the task", "context"],
        ["set in the task"],
    ],
}
FAILURES = ["call_soon", "call_later", "done_callback", "from_a_thread", "task", "engine"]


@pytest.fixture(scope="module", params=["plain", "tls", "fork"])
def ask(request, tmp_path_factory):
    """Asks the server: the status and the body."""
    folder = tmp_path_factory.mktemp("mixed")
    context = ssl._create_unverified_context()
    program = ["--generation", "4", str(PROGRAMS / "mixed_generations.py"), "PORT", request.param]
    with running(folder, *program) as (process, url):

        def get(path):
            try:
                address = url.replace("http", "https" if request.param == "tls" else "http") + path
                with urllib.request.urlopen(address, timeout=60, context=context) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as response:
                with response:
                    return response.status, response.read()

        yield get
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("path", RESULTS)
def test_results(ask, path):
    status, body = ask(path)
    assert (status, json.loads(body)) == (200, {"results": RESULTS[path]})
    assert ask(path)[0] == 200


@pytest.mark.parametrize("how", FAILURES)
def test_failures(ask, how):
    """Wherever it fails, the client hears of it."""
    assert ask(f"/fails/{how}")[0] == 418


def test_forked(ask, request):
    assert json.loads(ask("/worker")[1])["results"][0] in (0, 1, None)


BESIDE = """
import json
import of_today
from tornado import gen, httpclient, httpserver, ioloop, netutil, stack_context, web

class Old(web.RequestHandler):
    @web.asynchronous
    @gen.engine
    def get(self):
        response = yield gen.Task(httpclient.AsyncHTTPClient().fetch, url + "/none")
        self.write("old %d" % response.code)
        self.finish()

sockets = netutil.bind_sockets(0, "127.0.0.1")
url = "http://127.0.0.1:%d" % sockets[0].getsockname()[1]
loop = ioloop.IOLoop.instance()
server = httpserver.HTTPServer(web.Application([("/", Old)]), io_loop=loop)
server.add_sockets(sockets)
results, bodies = [], []

def got(response):
    bodies.append(response.body.decode())
    if results:
        loop.stop()

def ended(future):
    results.append(future.result())
    httpclient.AsyncHTTPClient(loop, force_instance=True).fetch(url + "/", got)

httpclient.AsyncHTTPClient(loop, force_instance=True).fetch(url + "/", got)
with stack_context.StackContext(stack_context.NullContext):
    loop.add_callback(lambda: loop.add_future(gen.convert_yielded(of_today.main()), ended))
loop.start()
assert set(bodies) == {"old 404"}, bodies
print(json.dumps(results[0]))
"""


def said(*command):
    environment = CHILD_ENVIRONMENT | {"PYTHONPATH": f"{ROOT}:{PROGRAMS}"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stock():
    return said(PROGRAMS / "of_today.py")


def test_a_program_of_today(stock):
    """It finds what it finds with Tornado 6."""
    assert stock["error"] == ["HTTP 418: I'm a Teapot", 418]
    assert said("-m", "tornado_c", "--generation", "4", PROGRAMS / "of_today.py") == stock


def test_a_program_of_today_beside_an_old_one(stock, tmp_path):
    (tmp_path / "beside.py").write_text(BESIDE)
    assert said("-m", "tornado_c", "--generation", "4", tmp_path / "beside.py") == stock
